/* A counter of a loop that awaits, kept in a local. */
/* gcc | -O1: warn: may be used uninitialized */
/* gcc | -O2: warn: may be used uninitialized */
/* clang | -O1: warn: is (used uninitialized|uninitialized when used) */
/* clang | -O2: warn: is (used uninitialized|uninitialized when used) */
#define ASYNC_SHORT_NAMES
#include "async.h"

async(main_task, int i;)
{
    async_begin;
#ifdef CONTROL
    for (self->i = 0; self->i < 10; self->i++)
        await(async_sleep(1));
#else
    for (int i = 0; i < 10; i++)
        await(async_sleep(1));
#endif
    async_end;
}

int main(void)
{
    return async_run(main_task) == -1;
}
