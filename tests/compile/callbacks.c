/* The callback layer, as C and as C++11: an echo over a socket pair and a stream, timers. Ends
 * with 0 if all was called that had to be. */
#include "async.h"

#if defined __cplusplus && (defined async || defined await)
#error "C++ has std::async: the short names must be asked for"
#endif

static int ends[2];
static int called;
static char data[64];
static async_handle reader, ticker;

static void on_client(async_stream *stream, const char *bytes, ssize_t size)
{
    if (size == 4 && memcmp(bytes, "ping", 4) == 0)
        called |= 1;
    async_stream_close(stream);
}

static void on_closed(async_stream *stream, int status)
{
    (void)stream;
    if (status == 0)
        called |= 2;
}

static void on_readable(int fd, void *context)
{
    ssize_t n = async_read_nowait(fd, context, sizeof data);
    if (n == -EAGAIN)
        return;
    if (n <= 0 || async_write_nowait(fd, context, (size_t)n) != n)
        async_loop_stop();
    async_cancel(reader);
    async_close(fd); /* else the stream would linger for its peer */
}

static void on_tick(void *context)
{
    *(int *)context |= 4;
    async_cancel(ticker);
}

static void on_soon(void *context)
{
    *(int *)context |= 8;
}

static void on_writable(int fd, void *context)
{
    (void)fd;
    *(int *)context |= 16;
    async_loop_stop();
}

static int talk(void)
{
    async_stream *client = async_stream_open(ends[0]);
    if (!client)
        return 1;
    async_stream_on_data(client, on_client);
    async_stream_on_close(client, on_closed);
    if (async_stream_write(client, "ping", 4) < 0)
        return 1;
    reader = async_on_readable(ends[1], data, on_readable);
    ticker = async_every(1, &called, on_tick);
    return reader < 0 || ticker < 0 || async_soon(&called, on_soon) < 0 || async_loop_run() < 0;
}

int main(void)
{
    int failed = async_open(NULL) < 0 || async_socketpair(ends) < 0 || talk();
    if (!failed)
        failed = async_pipe(ends) < 0 ||
                 async_on_writable(ends[1], &called, on_writable) < 0 || async_loop_run() < 0;
    async_loop_close();
    return failed || called != 31;
}
