/* Two awaits on one line would be one place to come back to. */
/* gcc clang g++ clang++: refuse: duplicate case value */
/* tcc: refuse: duplicate|panic */
#define ASYNC_SHORT_NAMES
#include "async.h"

async(main_task)
{
    async_begin;
#ifdef CONTROL
    await(async_yield());
    await(async_yield());
#else
    await(async_yield()); await(async_yield());
#endif
    async_end;
}

int main(void)
{
    return async_run(main_task) < 0;
}
