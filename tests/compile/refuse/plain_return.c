/* A coroutine that is left by `return` would skip its finally section. */
/* gcc clang tcc | -O0: panic: left by .return.* main_task, .*plain_return.c:[0-9] */
/* gcc clang | -O2: panic: left by .return.* main_task, .*plain_return.c:[0-9] */
#include "async.h"

async(main_task, int waits;)
{
    async_begin;
    await(async_sleep(1));
#ifndef CONTROL
    if (self->waits == 0)
        return 0;
#endif
    async_finally;
    puts("cleaned up");
    async_end;
}

int main(void)
{
    return async_run(main_task) < 0;
}
