/* A coroutine without async_end: the switch of async_begin stays open, and takes in what follows. */
/* gcc g++: refuse: at end of input */
/* clang clang++: refuse: function definition is not allowed here */
/* tcc: refuse: function without file scope */
#define ASYNC_SHORT_NAMES
#include "async.h"

async(main_task)
{
    async_begin;
    await(async_yield());
#ifdef CONTROL
    async_end;
#endif
}

async(other)
{
    async_begin;
    async_end;
}

int main(void)
{
    return async_run(main_task) == -1 && async_run(other);
}
