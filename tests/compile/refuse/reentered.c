/* The loop entered again from inside: from a coroutine and from a callback. */
/* gcc clang tcc: panic: loop.* main_task, .*reentered.c:[0-9] */
/* gcc clang | -O2: panic: loop.* main_task, .*reentered.c:[0-9] */
/* gcc clang | -O2 -DONCE: panic: loop.* main_task, .*reentered.c:[0-9] */
/* gcc clang | -O2 -DRUN: panic: loop.* main_task, .*reentered.c:[0-9] */
/* gcc clang tcc | -DCALLBACK: panic: loop */
#define ASYNC_SHORT_NAMES
#include "async.h"

async(other)
{
    async_begin;
    async_end;
}

static void enter(void *data)
{
    (void)data;
#if defined CONTROL
    async_loop_timeout();
#elif defined ONCE
    async_loop_run_once(0);
#elif defined RUN
    async_run(other);
#else
    async_loop_run();
#endif
}

async(main_task)
{
    async_begin;
    await(async_yield());
#ifdef CALLBACK
    async_soon(NULL, enter);
#else
    enter(NULL);
#endif
    await(async_sleep(1));
    await(async_call(other));
    async_end;
}

int main(void)
{
    return async_run(main_task) < 0;
}
