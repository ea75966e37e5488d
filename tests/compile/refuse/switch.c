/* An await inside a switch of the user's own: resuming would land in that switch's dispatch. */
/* gcc clang g++ clang++ | -DTYPE=int: refuse: duplicate case value */
/* gcc clang g++ clang++ | -DTYPE=colour: refuse: duplicate case value */
/* gcc clang g++ clang++ | -DTYPE=ssize_t: refuse: duplicate case value */
/* gcc clang g++ clang++ | -DTYPE=uint64_t: refuse: duplicate case value */
/* gcc clang | -m32 -DTYPE=int: refuse: duplicate case value */
/* gcc clang | -m32 -DTYPE=colour: refuse: duplicate case value */
/* tcc | -DTYPE=int: panic: corrupted state.* main_task, .*switch.c: */
#define ASYNC_SHORT_NAMES
#include "async.h"

typedef enum { RED, GREEN } colour;

async(main_task, TYPE choice;)
{
    async_begin;
#ifdef CONTROL
    if (self->choice == (TYPE)0)
        await(async_yield());
#else
    switch (self->choice) {
    case 0:
        await(async_yield());
        break;
    default:
        break;
    }
#endif
    async_end;
}

int main(void)
{
    return async_run(main_task) < 0;
}
