/* The result of an operation taken without await: an operation is no number. */
/* gcc: refuse: incompatible types when assigning to type .*from type .*async_op */
/* clang: refuse: assigning to .* from incompatible type 'async_op' */
/* g++: refuse: cannot convert .*async_op.* to .* in assignment */
/* clang++: refuse: assigning to .* from incompatible type 'async_op' */
/* tcc: refuse: cannot (cast|convert) 'struct async_op' */
#define ASYNC_SHORT_NAMES
#include "async.h"

async(main_task)
{
    ssize_t n;
    async_begin;
#ifdef CONTROL
    await(n, async_yield());
#else
    n = async_yield();
#endif
    async_return(n);
    async_end;
}

int main(void)
{
    return async_run(main_task) < 0;
}
