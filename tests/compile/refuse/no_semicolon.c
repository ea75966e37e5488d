/* The last field without its semicolon. */
/* gcc: warn: no semicolon at end of struct or union */
/* clang: warn: expected ';' at end of declaration list */
/* g++: refuse: expected ';' at end of member declaration */
/* clang++: refuse: expected ';' at end of declaration list */
#define ASYNC_SHORT_NAMES
#include "async.h"

#ifdef CONTROL
async(main_task, int fd;)
#else
async(main_task, int fd)
#endif
{
    async_begin;
    await(async_yield());
    async_return(self->fd);
    async_end;
}

int main(void)
{
    return async_run(main_task) != 0;
}
