/* A frame above 64 KiB: its buffer belongs on the heap. */
/* gcc clang g++ clang++ tcc: refuse: main_task_frame_exceeds_64_KiB */
#define ASYNC_SHORT_NAMES
#include "async.h"

#ifdef CONTROL
#define SIZE (65536 - (int)sizeof(async_frame))
#else
#define SIZE (65536 - (int)sizeof(async_frame) + 1)
#endif

async(main_task, char data[SIZE];)
{
    async_begin;
    await(async_yield());
    async_return(self->data[SIZE - 1]);
    async_end;
}

int main(void)
{
    async_open(NULL);
    async_spawn(main_task);
    async_loop_run();
    return async_loop_close() < 0;
}
