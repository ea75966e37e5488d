/* Red: a child that nobody waits for. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <unistd.h>

TEST(red, zombie)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    check(child > 0);
}
