/* A coroutine without async_begin: its awaits are labels of no switch. */
/* gcc g++: refuse: case label( '[0-9]+')? not within a switch statement */
/* clang clang++: refuse: 'case' statement not in switch statement */
/* tcc: refuse: switch expected */
#define ASYNC_SHORT_NAMES
#include "async.h"

async(main_task)
{
#ifdef CONTROL
    async_begin;
#endif
    await(async_yield());
    async_end;
}

int main(void)
{
    return async_run(main_task) < 0;
}
