/* 9.2  Sometimes no descriptor is left. The server below gives up then. Let it
 * go on: with the next client as soon as there is a descriptor again. */
#include "async.h"

static void welcome(int client)
{
    async_stream *stream = async_stream_open(client);
    if (!stream) {
        async_close(client);
        return;
    }
    async_stream_write(stream, "welcome", 7);
    async_stream_close(stream);
}

/* The loop calls this when a client wants to connect. */
static void on_client(int listener, void *data)
{
    int client = async_accept_nowait(listener);
    (void)data;
    /* TODO: two errors pass by themselves, and are no reason to stop: -EMFILE
     * (no descriptor is left) and -EAGAIN (nobody to accept now). */
    if (client < 0) {
        async_close(listener);
        return;
    }
    /* END */
    welcome(client);
}
