/* A local declared after async_begin and used on both sides of an await. */
/* gcc | -O1: warn: may be used uninitialized */
/* gcc | -O2: warn: may be used uninitialized */
/* clang | -O1: warn: is (used uninitialized|uninitialized when used) */
/* clang | -O2: warn: is (used uninitialized|uninitialized when used) */
/* gcc | -O2 -DOPERATION=async_sleep(1): warn: may be used uninitialized */
/* gcc | -O2 -DOPERATION=async_readable(0): warn: may be used uninitialized */
/* gcc | -O2 -DOPERATION=async_accept(0): warn: may be used uninitialized */
/* gcc | -O2 -DOPERATION=async_join(1): warn: may be used uninitialized */
/* gcc | -O2 -DOPERATION=async_call(other): warn: may be used uninitialized */
/* clang | -O2 -DOPERATION=async_call(other): warn: is (used uninitialized|uninitialized when used) */
/* g++ | -O2: refuse: jump to case label */
/* clang++ | -O2: refuse: cannot jump from switch statement to this case label */
#define ASYNC_SHORT_NAMES
#include "async.h"

#ifndef OPERATION
#define OPERATION async_yield()
#endif

async(other)
{
    async_begin;
    async_end;
}

async(main_task, int in_frame;)
{
    async_begin;
#ifdef CONTROL
    self->in_frame = (int)async_now();
    await(OPERATION);
    async_return(self->in_frame);
#else
    int plain = (int)async_now();
    await(OPERATION);
    async_return(plain);
#endif
    async_end;
}

int main(void)
{
    return async_run(main_task) == -1 && async_run(other);
}
