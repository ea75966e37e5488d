/* Red: a check that fails in a child, which must not report to the runner. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <sys/wait.h>
#include <unistd.h>

TEST(red, child_check)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        check(0 > 1);
    waitpid(child, &status, 0);
    check_equal(WEXITSTATUS(status), 0);
}
