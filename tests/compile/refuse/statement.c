/* An operation as a statement, without await: it would go on by itself. */
/* gcc g++ | -O0: warn: ignoring return value of .*warn_unused_result */
/* gcc g++ | -O2: warn: ignoring return value of .*warn_unused_result */
/* clang clang++ | -O0: warn: ignoring return value .*(warn_unused_result|warn_unused) */
/* clang clang++ | -O2: warn: ignoring return value .*(warn_unused_result|warn_unused) */
/* gcc | -DOPERATION=async_call(other): warn: ignoring return value of .*warn_unused_result */
/* gcc | -DOPERATION=async_shield(async_sleep(1)): warn: ignoring return value of .*warn_unused_result */
/* clang | -DOPERATION=async_call(other): warn: ignoring return value .*warn_unused */
/* clang | -DOPERATION=async_shield(async_sleep(1)): warn: ignoring return value .*warn_unused|unused */
/* gcc clang tcc | -DLATER -w: panic: two operations at once.* main_task, .*statement.c:[0-9] */
/* gcc clang tcc | -w: panic: not awaited.* main_task, .*statement.c:[0-9]  */
#define ASYNC_SHORT_NAMES
#include "async.h"

#ifndef OPERATION
#define OPERATION async_sleep(1)
#endif

async(other)
{
    async_begin;
    async_end;
}

async(main_task)
{
    async_begin;
#ifdef CONTROL
    await(OPERATION);
#else
    OPERATION;
#endif
#ifdef LATER
    await(async_yield());
#endif
    async_end;
}

int main(void)
{
    return async_run(main_task) == -1 && async_run(other);
}
