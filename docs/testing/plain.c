/* The usual test: a real socket, a message, the same message back. */
#include "echo.c"

#include <assert.h>

async(test, int ends[2]; char got[64];)
{
    ssize_t n;
    async_begin;
    assert(async_socketpair(self->ends) == 0);
    assert(echo(self->ends[1]) == 0);
    await(n, async_write(self->ends[0], "hello, world", 12));
    assert(n == 12);
    await(n, async_read(self->ends[0], self->got, 64));
    assert(n == 12 && memcmp(self->got, "hello, world", 12) == 0);
    async_end;
}

int main(void)
{
    assert(async_run(test) == 0);
    puts("passed");
    return 0;
}
