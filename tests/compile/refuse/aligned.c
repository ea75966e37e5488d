/* A frame that needs more alignment than the heap gives. */
/* gcc clang g++ clang++: refuse: main_task_frame_is_over_aligned */
#define ASYNC_SHORT_NAMES
#include "async.h"

#ifdef CONTROL
#define ALIGNED __attribute__((aligned(16)))
#else
#define ALIGNED __attribute__((aligned(32)))
#endif

async(main_task, ALIGNED int number;)
{
    async_begin;
    await(async_yield());
    async_return(self->number);
    async_end;
}

int main(void)
{
    return async_run(main_task) < 0;
}
