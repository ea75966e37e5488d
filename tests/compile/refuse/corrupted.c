/* A state that is no await of the coroutine's: somebody wrote over the frame. */
/* gcc clang tcc | -O0: panic: corrupted state.* main_task, .*corrupted.c:1 */
/* gcc clang | -O2: panic: corrupted state.* main_task, .*corrupted.c:1 */
#define ASYNC_SHORT_NAMES
#include "async.h"

static void overwrite(void *frame)
{
#ifdef CONTROL
    (void)frame;
#else
    ((async_frame *)frame)->line = 1;
#endif
}

async(main_task)
{
    async_begin;
    async_soon(&self->async_, overwrite);
    await(async_sleep(1));
    async_end;
}

int main(void)
{
    return async_run(main_task) < 0;
}
