#include "check.h"

#include <fcntl.h>

#include "ex2.c"

/* What the work is to return, and who does it: children see both. */
static struct { int value; pid_t worker; } *shared;

static int work(void)
{
    shared->worker = getpid();
    return shared->value;
}

static int try(int value)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    expect(shared != MAP_FAILED, "There is no memory to share.");
    shared->value = value;
    return in_child(work);
}

static void expect_value(int value)
{
    int got = try(value);
    expect(got == value, "The child's work returned %d; the parent has %d.",
           value, got);
}

static int open_descriptors(void)
{
    int fd, count = 0;
    for (fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

Check(ex_3_2, small_number, "The parent gets the number that the child found.")
{
    expect_value(42);
}

Check(ex_3_2, large_number, "This is so for a large number, too.")
{
    expect_value(256);
    expect_value(1000000);
}

Check(ex_3_2, negative_number, "This is so for a number below zero, too.")
{
    expect_value(-1);
}

Check(ex_3_2, in_another_process, "The work is done in a child, not here.")
{
    try(7);
    expect(shared->worker != 0, "Nobody has called work().");
    expect(shared->worker != getpid(), "The parent has called work() itself.");
}

Check(ex_3_2, leaves_nothing, "No child and no open pipe is left behind.")
{
    int i, after, before = open_descriptors();
    for (i = 0; i < 20; i++)
        try(i);
    after = open_descriptors();
    expect(waitpid(-1, NULL, 0) < 0, "A child is still there: a zombie.");
    expect(after == before, "20 calls have left %d descriptors open.",
           after - before);
}
