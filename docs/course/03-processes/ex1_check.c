#include "check.h"

#include <fcntl.h>
#include <poll.h>

static int fetch(int page)
{
    return 4000 - 300 * page;
}

/* The log has each start, and where the parent first stops to wait. */
static int starts, waits;

static pid_t fork_and_log(void)
{
    seen("start child %d", starts++);
    return fork();
}

static void log_wait(void)
{
    if (waits++ == 0)
        seen("wait for an answer");
}

#define fork() fork_and_log()
#define read(...) (log_wait(), read(__VA_ARGS__))
#define poll(...) (log_wait(), poll(__VA_ARGS__))
#define wait(...) (log_wait(), wait(__VA_ARGS__))
#define waitpid(...) (log_wait(), waitpid(__VA_ARGS__))
#include "ex1.c"
#undef waitpid

static int open_descriptors(void)
{
    int fd, count = 0;
    for (fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

Check(ex_3_1, starts_all_first,
      "All children are started before the parent waits for one of them.")
{
    int sizes[3];
    fetch_all(3, sizes);
    expect_seen("start child 0", "start child 1", "start child 2",
                "wait for an answer");
}

Check(ex_3_1, has_all_sizes, "The size of each page is in its place.")
{
    int i, sizes[5] = { 0, 0, 0, 0, 0 };
    fetch_all(5, sizes);
    for (i = 0; i < 5; i++)
        expect(sizes[i] == fetch(i),
               "Page %d has %d bytes; sizes[%d] is %d.", i, fetch(i), i,
               sizes[i]);
}

Check(ex_3_1, leaves_no_zombie,
      "Each child is waited for: none is left as a zombie.")
{
    int sizes[3], left = 0;
    fetch_all(3, sizes);
    while (waitpid(-1, NULL, 0) > 0)
        left++;
    expect(left == 0, "%d of 3 children are still there: nobody has asked "
                      "for their exit status.", left);
}

Check(ex_3_1, leaves_no_pipe, "Each pipe is closed in the end.")
{
    int sizes[3], before = open_descriptors(), after;
    fetch_all(3, sizes);
    after = open_descriptors();
    expect(after == before,
           "Before there were %d open descriptors, afterwards there are %d.",
           before, after);
}
