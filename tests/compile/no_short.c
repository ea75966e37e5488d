/* ASYNC_NO_SHORT_NAMES: `async` and `await` are the user's own words. */
#define ASYNC_NO_SHORT_NAMES
#include "async.h"

#if defined async || defined await
#error "a short name is still defined"
#endif

static int await(int async)
{
    return async + 1;
}

async_coroutine(main_task, int sum;)
{
    ssize_t n;
    async_begin;
    async_await(n, async_yield());
    self->sum = await((int)n);
    async_await(async_sleep(0));
    async_return(self->sum - 1);
    async_end;
}

int main(void)
{
    return async_run(main_task) != 0;
}
