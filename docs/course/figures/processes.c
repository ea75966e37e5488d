/* processes: a process for each page.
 *
 *     cc -O2 docs/course/figures/processes.c -o processes && ./processes
 */
#include "situation.h"

static pid_t start(int port, int page)
{
    int64_t t = record_now();
    pid_t pid = fork();
    if (pid == 0) {
        record("process", page, "start", t);
        _exit(fetch(port, page, "process", page) < 0);
    }
    record("parent", 0, "start", t);
    return pid;
}

static int wait_for(pid_t pid)
{
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static int run(int port)
{
    pid_t pids[PAGES];
    int64_t t;
    int i, error = 0;
    for (i = 0; i < PAGES; i++)
        pids[i] = start(port, i + 1);
    t = record_now();
    for (i = 0; i < PAGES; i++)
        error |= wait_for(pids[i]);
    record("parent", 0, "wait:children", t);
    return error;
}

int main(int argc, char **argv)
{
    return situation(argc, argv, run);
}
