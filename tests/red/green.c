/* Red: not at all, the control: every fault of the others, put right. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int zero;

TEST(red, green)
{
    int fd = open("/dev/null", O_RDONLY);
    int *block = calloc(4, sizeof *block);
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    check(fd >= 0);
    check(block != NULL);
    check_equal(block[3], zero);
    check_text("one", "one");
    test_panics(abort(), "");
    test_watchdog(1);
    free(block);
    close(fd);
}
