/* An argument by a name that the coroutine does not have. */
/* gcc: refuse: has no member named .clinet */
/* clang: refuse: field designator 'clinet' does not refer to any field */
/* g++: refuse: has no (non-static data )?member named .clinet */
/* clang++: refuse: field designator 'clinet' does not refer to any field */
/* tcc: refuse: field expected */
#define ASYNC_SHORT_NAMES
#include "async.h"

async(main_task, int client;)
{
    async_begin;
    await(async_yield());
    async_return(self->client);
    async_end;
}

int main(void)
{
#ifdef CONTROL
    return async_run(main_task, .client = 0) < 0;
#else
    return async_run(main_task, .clinet = 0) < 0;
#endif
}
