/* A loop that counts in a local and awaits in its body. */
/* gcc | -O1: warn: may be used uninitialized */
/* gcc | -O2: warn: may be used uninitialized */
/* clang | -O0: warn: is used uninitialized */
/* clang | -O1: warn: is used uninitialized */
/* clang | -O2: warn: is used uninitialized */
/* g++ | -O2: refuse: jump to case label */
/* clang++ | -O2: refuse: cannot jump from switch statement to this case label */
#define ASYNC_SHORT_NAMES
#include "async.h"

async(main_task, int i;)
{
    async_begin;
#ifdef CONTROL
    for (self->i = 0; self->i < 3; self->i++)
#else
    for (int i = 0; i < 3; i++)
#endif
        await(async_sleep(1));
    async_return(self->i);
    async_end;
}

int main(void)
{
    return async_run(main_task) != 3;
}
