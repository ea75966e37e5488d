/* Two files of one program, the second: must see the loop that the first has opened. */
#include "two.h"

int counted;

async_define(counter)
{
    async_begin;
    await(async_yield());
    counted++;
    async_end;
}

/* A coroutine of the same name as one of the other file's must be another one. */
async(main_task)
{
    async_begin;
    await(async_yield());
    async_return(42);
    async_end;
}

const char *backend_seen_by_b(void)
{
    return async_loop_backend();
}

async_task spawned_by_b(void)
{
    return async_keep(async_spawn(main_task));
}
