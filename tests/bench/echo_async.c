/* The echo server on async.h, in the three ways it offers. `echo_async PORT
 * [read|readable|stream]`:
 *
 *     read        the frame holds the buffer: the shortest program (the default). 512 bytes, for one
 *                 of 4096 puts each connection on a page of its own: 5 % at 1000 connections
 *     readable    wait first, then read into one shared buffer: an idle connection holds none
 *     stream      the buffered stream object, which gives its buffer back while it is idle */
#include "../../async.h"
#include "echo.h"

enum { FRAME_BUFFER = 512 };

async(echo_read, int client; char data[FRAME_BUFFER];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->client, self->data, sizeof self->data));
        if (n <= 0)
            break;
        await(n, async_write(self->client, self->data, (size_t)n));
        if (n < 0)
            break;
    }
    async_close(self->client);
    async_end;
}

static char shared[ECHO_BUFFER];

/* async_readable has just promised data, so the read does not wait, and nobody else gets at the
 * shared buffer before it is sent. A write that waited would break that, so the rest of a short one
 * is copied first. */
async(echo_readable, int client; char *rest; size_t size;)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_readable(self->client));
        if (n < 0)
            break;
        await(n, async_read(self->client, shared, sizeof shared));
        if (n <= 0)
            break;
        self->size = (size_t)n;
        n = send(self->client, shared, self->size, MSG_NOSIGNAL);
        if (n == (ssize_t)self->size)
            continue;
        if (n < 0 && errno != EAGAIN)
            break;
        self->size -= n < 0 ? 0 : (size_t)n;
        self->rest = malloc(self->size);
        if (!self->rest)
            break;
        memcpy(self->rest, shared + (n < 0 ? 0 : n), self->size);
        await(n, async_write(self->client, self->rest, self->size));
        free(self->rest);
        if (n < 0)
            break;
    }
    async_close(self->client);
    async_end;
}

/* A little more than one message, so that a message is a short read. */
async(echo_stream, async_stream *stream; char data[72];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_stream_read(self->stream, self->data, sizeof self->data));
        if (n <= 0 || async_stream_write(self->stream, self->data, (size_t)n) < 0)
            break;
        await(n, async_stream_flush(self->stream));
        if (n < 0)
            break;
    }
    async_stream_close(self->stream);
    async_end;
}

enum mode { MODE_READ, MODE_READABLE, MODE_STREAM };

/* Without a task nobody would close the stream. */
static async_task serve_stream(int client)
{
    async_stream *stream = async_stream_open(client);
    async_task task = stream ? async_spawn(echo_stream, .stream = stream) : -ENOMEM;
    if (stream && task < 0)
        async_stream_close(stream);
    return task;
}

static async_task serve(enum mode mode, int client)
{
    if (mode == MODE_READABLE)
        return async_spawn(echo_readable, .client = client);
    if (mode == MODE_STREAM)
        return serve_stream(client);
    return async_spawn(echo_read, .client = client);
}

async(server, int port; enum mode mode; int listener;)
{
    int client;
    async_begin;
    self->listener = async_listen("127.0.0.1", self->port);
    if (self->listener < 0)
        async_return(self->listener);
    echo_announce(self->listener);
    for (;;) {
        await(client, async_accept(self->listener));
        if (client < 0)
            async_return(client);
        if (serve(self->mode, client) < 0)
            async_close(client);
    }
    async_end;
}

int main(int argc, char **argv)
{
    enum mode mode = MODE_READ;

    echo_setup();
    if (argc > 2 && !strcmp(argv[2], "readable"))
        mode = MODE_READABLE;
    if (argc > 2 && !strcmp(argv[2], "stream"))
        mode = MODE_STREAM;
    return async_run(server, .port = echo_port(argc, argv), .mode = mode) < 0;
}
