/* delays: a web server on this machine that takes its time: page 1 for 40 ms, page 2 for 35, page 3 for 45, page 4 for
 * 40, and so on, times $DELAYS_SLOWER. It prints its port, and ends when its input does, or after two minutes.
 *
 *     cc -O2 -I. docs/course/figures/delays.c -pthread -o delays && ./delays
 */
#include "async.h"

#include "record.h"

enum { PAGE_BYTES = 2000, LIFE_MS = 120000, PATIENCE_MS = 10000 };

static int slower = 1, lane;

static int delay_ms(int page)
{
    static const int delays[] = { 40, 35, 45, 40 };
    return page > 0 ? slower * delays[(page - 1) % 4] : 0;
}

static int reply(char *text, size_t size, int page)
{
    char body[PAGE_BYTES + 1];
    memset(body, 'a' + page % 26, PAGE_BYTES);
    body[PAGE_BYTES] = '\0';
    return snprintf(text, size, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s", PAGE_BYTES, body);
}

async(answer, async_stream *client; int page; int64_t t; char text[PAGE_BYTES + 100];)
{
    ssize_t n;
    async_begin;
    self->t = record_now();
    await(n, async_stream_read_until(self->client, self->text, sizeof self->text - 1, "\r\n\r\n", 4), PATIENCE_MS);
    if (n <= 0 || sscanf(self->text, "GET /%d ", &self->page) != 1)
        async_return(-EINVAL);
    self->t = record("server", lane, "receive", self->t);
    await(async_sleep(delay_ms(self->page)));
    self->t = record("server", lane, "wait:delay", self->t);
    async_stream_write(self->client, self->text, (size_t)reply(self->text, sizeof self->text, self->page));
    await(n, async_stream_flush(self->client), PATIENCE_MS);
    record("server", lane, "send", self->t);
    async_finally;
    async_stream_close(self->client);
    async_end;
}

async(accept_all, int listener;)
{
    int fd;
    async_stream *client;
    async_begin;
    for (;;) {
        await(fd, async_accept(self->listener));
        if (fd < 0)
            async_return(fd);
        client = async_stream_open(fd);
        if (!client || async_spawn(answer, .client = client) < 0)
            async_return(-ENOMEM);
    }
    async_end;
}

async(server, char rest[16]; int listener;)
{
    ssize_t n;
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    n = async_port(self->listener);
    if (n < 0)
        async_return(n);
    printf("%d\n", (int)n);
    fflush(stdout);
    async_spawn(accept_all, .listener = self->listener);
    await(n, async_read(async_adopt(0), self->rest, sizeof self->rest), LIFE_MS);
    async_end;
}

int main(void)
{
    const char *times = getenv("DELAYS_SLOWER");
    int error;
    slower = times && atoi(times) > 1 ? atoi(times) : 1;
    unsetenv("ASYNC_TRACE_FILE"); /* the client's */
    record_open();
    error = (int)async_run(server);
    if (error < 0)
        fprintf(stderr, "delays: %s\n", strerror(-error));
    return error < 0;
}
