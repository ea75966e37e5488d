/* A strict dialect, and a header of the system before async.h: it has hidden what is needed. */
/* gcc clang | -std=c99: refuse: async.h: the C library hides what it needs */
#ifndef CONTROL
#include <stdio.h>
#endif
#include "async.h"

async_coroutine(main_task)
{
    async_begin;
    async_await(async_yield());
    async_end;
}

int main(void)
{
    return async_run(main_task) < 0;
}
