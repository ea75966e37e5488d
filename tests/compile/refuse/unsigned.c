/* A result of await that is unsigned, or smaller than int, hides a negative errno. */
/* gcc clang g++ clang++ tcc | -DTYPE=size_t: refuse: the_result_of_await_needs_a_signed_integer */
/* gcc clang g++ clang++ tcc | -DTYPE=unsigned: refuse: the_result_of_await_needs_a_signed_integer */
/* gcc clang g++ clang++ tcc | -DTYPE=uint64_t: refuse: the_result_of_await_needs_a_signed_integer */
/* gcc clang g++ clang++ tcc | -DTYPE=short: refuse: the_result_of_await_needs_a_signed_integer */
/* gcc clang g++ clang++ tcc | -DTYPE=int8_t: refuse: the_result_of_await_needs_a_signed_integer */
/* gcc clang | -DTYPE=int8_t -DLIMIT=,1: refuse: the_result_of_await_needs_a_signed_integer */
#define ASYNC_SHORT_NAMES
#include "async.h"

#ifdef CONTROL
#undef TYPE
#define TYPE long
#endif
#ifndef LIMIT
#define LIMIT
#endif

async(main_task)
{
    TYPE n;
    async_begin;
    await(n, async_sleep(0) LIMIT);
    async_return((async_result)n);
    async_end;
}

int main(void)
{
    return async_run(main_task) < 0;
}
