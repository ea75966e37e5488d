/* Two files of one program, the first: opens the loop, defines one coroutine and calls another. */
#include "two.h"

#include <stdio.h>
#include <string.h>

async_define(adder)
{
    async_begin;
    await(async_yield());
    async_return(self->left + self->right);
    async_end;
}

async(main_task, async_task task; ssize_t other; int sum;)
{
    async_begin;
    self->task = spawned_by_b();
    await(self->other, async_join(self->task));
    await(self->sum, async_call(adder, .left = 2, .right = 3));
    await(async_call(counter));
    if (strcmp(async_loop_backend(), backend_seen_by_b()) != 0)
        async_return(-1);
    async_return(self->other == 42 && self->sum == 5 && counted == 1 ? 0 : -1);
    async_end;
}

int main(void)
{
    int result = (int)async_run(main_task);
    if (result)
        fprintf(stderr, "the two files do not see the same loop\n");
    return result != 0;
}
