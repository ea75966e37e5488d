#include "async_test.h"

AsyncTest(clock, ten_years, int64_t start;)
{
    async_begin;
    self->start = async_now();
    await(async_sleep(INT64_C(10) * 365 * 86400 * 1000));
    cr_assert(async_now() - self->start >= INT64_C(10) * 365 * 86400 * 1000000000);
    async_end;
}

async(pong, int client; char data[64];)
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
    async_return(n);
    async_end;
}

AsyncTestWith(net, echo, (.seeds = 500, .torture = 1, .real = 1), int ends[2]; char got[64];
              size_t sum; async_task pong;)
{
    ssize_t n;
    async_begin;
    async_ok(async_socketpair(self->ends));
    self->pong = async_spawn(pong, .client = self->ends[1]);
    if (self->pong < 0)
        async_close(self->ends[1]);
    async_ok(self->pong);
    await(n, async_write(self->ends[0], "ping, pong!", 11));
    async_ok(n);
    while (self->sum < 11) {
        await(n, async_read(self->ends[0], self->got + self->sum, 64 - self->sum));
        async_ok(n);
        cr_assert(n > 0 || sim_shows_errors());
        if (n == 0)
            async_return(-EPIPE);
        self->sum += (size_t)n;
    }
    cr_assert(memcmp(self->got, "ping, pong!", 11) == 0);
    async_finally;
    async_close(self->ends[0]);
    async_end;
}
