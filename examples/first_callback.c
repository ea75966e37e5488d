#include "async.h"

static void on_written(async_stream *client,
                       int status)
{
    (void)status;
    async_stream_close(client);
}

static void on_data(async_stream *client,
                    const char *data, ssize_t n)
{
    async_stream_on_data(client, NULL);
    async_stream_on_written(client, on_written);
    if (n <= 0 ||
        async_stream_write(client, data,
                           (size_t)n) < 0)
        async_stream_close(client);
}

static void on_client(int listener, void *data)
{
    int fd = async_accept_nowait(listener);
    async_stream *client;
    (void)data;
    client = async_stream_open(fd);
    if (!client)
        async_close(fd);
    else
        async_stream_on_data(client, on_data);
}

int main(void)
{
    int listener;
    async_open(NULL);
    listener = async_listen(NULL, 7000);
    async_on_readable(listener, NULL,
                      on_client);
    async_loop_run();
    async_loop_close();
    puts(strerror(-listener));
    return 1;
}
