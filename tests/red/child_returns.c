/* Red: a child that comes back out of the body. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <sys/wait.h>
#include <unistd.h>

TEST(red, child_returns)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        return;
    waitpid(child, &status, 0);
    check_equal(WEXITSTATUS(status), 0);
}
