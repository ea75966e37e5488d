/* An hour of a protocol, in no time: a client that says "alive" every second,
 * and a server that gives up after five seconds of silence.
 *
 *     cc -I. -Itests/kit -DASYNC_TEST_PLAIN docs/course/11-testing/hour.c \
 *         tests/kit/async_*.c -pthread -o hour
 *     time ./hour
 */
#include "async_test.h"

enum { HOUR = 3600 };

/* Returns how many messages came before the silence. */
async(server, int client; int count; char message[8];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->client, self->message, 1), 5000);
        if (n <= 0)
            break;
        self->count++;
    }
    async_return(n == -ETIMEDOUT ? self->count : n);
    async_end;
}

AsyncTestWith(hour, of_heartbeats, (.seeds = 5), int ends[2], i;
              async_task server; int64_t start_ns;)
{
    ssize_t n;
    async_begin;
    async_ok(async_socketpair(self->ends));
    self->start_ns = async_now();
    self->server = async_keep(async_spawn(server, self->ends[1]));
    for (self->i = 0; self->i < HOUR; self->i++) {
        await(n, async_write(self->ends[0], "!", 1));
        async_ok(n);
        await(async_sleep(1000));
    }
    await(n, async_join(self->server));
    cr_assert(n == HOUR);
    cr_assert(async_now() - self->start_ns >= HOUR * INT64_C(1000000000));
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}
