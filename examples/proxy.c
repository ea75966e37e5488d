/* proxy: passes TCP connections on, both ways, until both sides have ended.
 * Where one ends, the other is told and may still answer. Nobody is read from
 * faster than the other side takes it. Beyond MOST (1000) a connection waits to
 * be accepted; one without a byte for IDLE_MS (60000; at most twice that) is
 * closed. The host is an address or a name, looked up for each connection, and
 * of its addresses the first that answers is taken. SIGTERM, SIGINT: no new
 * connections, GRACE_MS (5000) for those that are open, then who takes nothing
 * for 5 s is cut off.
 *
 *     cc -O2 -I. examples/proxy.c -o proxy && ./proxy 8000 localhost 7000
 *     echo hello | nc -N 127.0.0.1 8000                (an echo is on 7000)
 */
#include "async.h"
#include "number.h"
enum { CONNECT_MS = 10000 };
static int from_port, to_port, most = 1000, idle_ms = 60000, grace_ms = 5000;
static const char *host;
static async_semaphore places;

/* One direction. */
async(pump, async_stream *from, *to; async_task *other; uint64_t *moved;
      char data[32768];)
{
    ssize_t n;
    async_begin;
    do {
        await(n, async_stream_read(self->from, self->data, sizeof self->data));
        if (n <= 0)
            break;
        *self->moved += (uint64_t)n;
        n = async_stream_write(self->to, self->data, (size_t)n);
        if (n == 0)
            await(n, async_stream_flush(self->to));
    } while (n == 0);
    if (n < 0 || async_stream_write_eof(self->to) < 0)
        async_cancel(*self->other); /* broken, so is the other direction */
    async_end;
}

async(connection, async_stream *side[2]; async_task pump[2];
      uint64_t moved, seen;)
{
    int n;
    async_begin;
    await(n, async_connect(host, to_port), CONNECT_MS);
    if (n < 0) {
        fprintf(stderr, "proxy: %s port %d: %s\n", host, to_port,
                n == -ENOENT ? "no such name" : strerror(-n));
        async_return(n);
    }
    self->side[1] = async_stream_open(n);
    if (!self->side[1])
        async_close(n); /* then both directions fail, with -EBADF */
    for (n = 0; n < 2; n++) {
        self->pump[n] = async_spawn(pump, self->side[n], self->side[!n],
                                    &self->pump[!n], &self->moved);
        if (self->pump[n] < 0)
            async_return(-ENOMEM);
    }
    do {
        self->seen = self->moved;
        await(n, async_join_all(self->pump, 2), idle_ms);
    } while (n == -ETIMEDOUT && self->seen != self->moved);
    async_finally;
    async_cancel(self->pump[0]); /* 0, where there is none, is no task */
    async_cancel(self->pump[1]);
    await(async_join_all(self->pump, 2)); /* no stream is in use any more */
    await(async_stream_wait_closed(self->side[0]));
    await(async_stream_wait_closed(self->side[1]));
    async_semaphore_release(&places);
    async_end;
}

async(stopping, int *listener; async_case signals[2];)
{
    async_begin;
    await(async_select(self->signals, 2));
    async_close(*self->listener);
    *self->listener = -EBADF; /* its number may be another's soon */
    async_semaphore_release(&places); /* that may be what `proxy` waits for */
    async_end;
}

async(proxy, int listener;)
{
    async_stream *client;
    int fd;
    async_begin;
    async_semaphore_init(&places, (size_t)most);
    self->listener = async_listen("127.0.0.1", from_port);
    if (self->listener < 0)
        async_return(self->listener);
    if (async_spawn(stopping, &self->listener,
                    {async_case_signal(async_catch_signal(SIGTERM)),
                     async_case_signal(async_catch_signal(SIGINT))}) < 0)
        async_return(-ENOMEM);
    printf("listening on 127.0.0.1:%d\n", async_port(self->listener));
    fflush(stdout);
    for (;;) {
        await(async_semaphore_acquire(&places));
        await(fd, async_accept(self->listener));
        if (fd == -EBADF)
            break; /* closed by `stopping` */
        client = async_stream_open(fd);
        if (client && async_spawn(connection, .side = {client, NULL}) >= 0)
            continue;
        if (async_stream_close(client) < 0)
            async_close(fd);
        async_semaphore_release(&places);
        await(async_sleep(100)); /* until there is memory again */
    }
    await(fd, async_join_children(), grace_ms); /* the return cuts them off */
    async_end;
}

int main(int argc, char **argv)
{
    int error;
    if (argc < 4 || argc > 7 ||
        read_number(&from_port, "PORT", argv[1], 0, 65535) ||
        read_number(&to_port, "PORT", argv[3], 1, 65535) ||
        (argc > 4 && read_number(&most, "MOST", argv[4], 1, NUMBER_MAX)) ||
        (argc > 5 && read_number(&idle_ms, "IDLE", argv[5], 1, NUMBER_MAX)) ||
        (argc > 6 && read_number(&grace_ms, "GRACE", argv[6], 0, NUMBER_MAX)))
        return fprintf(stderr, "usage: proxy PORT HOST PORT "
                               "[MOST [IDLE_MS [GRACE_MS]]]\n"), 2;
    host = argv[2];
    error = (int)async_run(proxy);
    if (error)
        fprintf(stderr, "proxy: port %d: %s\n", from_port, strerror(-error));
    return error != 0;
}
