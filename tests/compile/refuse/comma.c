/* Fields with a comma between them, as the parameters of a function have it. */
/* gcc: refuse: expected identifier or */
/* clang clang++: refuse: expected member name or ';' after declaration specifiers */
/* g++: refuse: expected unqualified-id before 'const' */
#define ASYNC_SHORT_NAMES
#include "async.h"

#ifdef CONTROL
async(main_task, int fd; const char *name;)
#else
async(main_task, int fd, const char *name;)
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
