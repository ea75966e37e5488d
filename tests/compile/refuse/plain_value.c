/* await of a plain value: of a function that has not the meaning of an operation. */
/* gcc: refuse: incompatible type for argument 1 of .async__await */
/* clang: refuse: passing 'int' to parameter of incompatible type 'async_op' */
/* g++: refuse: could not convert .* from 'int' to 'async_op' */
/* clang++: refuse: no (viable|matching) .*async */
/* tcc: refuse: cannot (cast|convert) 'int' to 'struct async_op' */
#define ASYNC_SHORT_NAMES
#include "async.h"

async(main_task)
{
    async_begin;
#ifdef CONTROL
    await(async_yield());
#else
    await(async_close(0));
#endif
    async_end;
}

int main(void)
{
    return async_run(main_task) < 0;
}
