/* A local declared before async_begin without a value, set, and used after an await. */
/* gcc | -O1: warn: may be used uninitialized */
/* gcc | -O2: warn: may be used uninitialized */
/* clang | -O1: warn: is (used uninitialized|uninitialized when used) */
/* clang | -O2: warn: is (used uninitialized|uninitialized when used) */
/* g++ | -O2: warn: may be used uninitialized */
/* clang++ | -O2: warn: is (used uninitialized|uninitialized when used) */
/* gcc | -O2 -DRESULT=n,: warn: may be used uninitialized */
/* gcc | -O2 -DRESULT=n, -DLIMIT=,1: warn: may be used uninitialized */
/* clang | -O2 -DRESULT=n,: warn: is (used uninitialized|uninitialized when used) */
/* clang | -O2 -DRESULT=n, -DLIMIT=,1: warn: is (used uninitialized|uninitialized when used) */
#define ASYNC_SHORT_NAMES
#include "async.h"

#ifndef RESULT
#define RESULT
#endif
#ifndef LIMIT
#define LIMIT
#endif

async(main_task, int in_frame;)
{
    int plain;
    ssize_t n = 0; /* in use only where RESULT says so */
    async_begin;
    plain = (int)async_now();
    self->in_frame = plain;
    await(RESULT async_sleep(1) LIMIT);
#ifdef CONTROL
    plain = self->in_frame;
#endif
    async_return(plain);
    async_end;
    (void)n;
}

int main(void)
{
    return async_run(main_task) == -1;
}
