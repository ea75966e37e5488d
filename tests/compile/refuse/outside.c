/* await outside a coroutine: there is no frame to come back to. */
/* gcc clang g++ clang++ tcc: refuse: self.*(undeclared|not declared)|undeclared identifier 'self' */
#define ASYNC_SHORT_NAMES
#include "async.h"

async(main_task)
{
    async_begin;
    await(async_yield());
    async_end;
}

int main(void)
{
#ifndef CONTROL
    await(async_yield());
#endif
    return async_run(main_task) < 0;
}
