/* Misuse of a loop that is not there, and an operation outside a coroutine. */
/* gcc clang tcc: panic: no loop is open.*outside a coroutine */
/* gcc clang tcc | -DOPEN: panic: an operation was begun outside a coroutine.*outside a coroutine */
#define ASYNC_SHORT_NAMES
#include "async.h"

int main(void)
{
#if defined CONTROL || defined OPEN
    async_open(NULL);
#endif
#if !defined CONTROL && defined OPEN
    async_op operation = async_yield();
    (void)operation;
#endif
    return async_loop_timeout() != -1;
}
