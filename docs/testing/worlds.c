/* The same test in a hundred worlds on each backend. */
#include "async_test.h"

#include "echo.c"

AsyncTestWith(echo, returns_every_byte, (.seeds = 100), int ends[2]; char got[64]; size_t sum;)
{
    ssize_t n;
    async_begin;
    async_ok(async_socketpair(self->ends));
    async_ok(echo(self->ends[1]));
    await(n, async_write(self->ends[0], "hello, world", 12));
    async_ok(n);
    for (self->sum = 0; self->sum < 12; self->sum += (size_t)n) {
        await(n, async_read(self->ends[0], self->got + self->sum, 64 - self->sum));
        cr_assert(n > 0);
    }
    cr_assert(memcmp(self->got, "hello, world", 12) == 0);
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}
