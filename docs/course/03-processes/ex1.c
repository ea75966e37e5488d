/* 3.1  A process for each page. Start all, collect all, leave nothing. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef LEARN /* the check has its own */
/* Fetch a page: the server lets us wait. Returns the page's size. */
static int fetch(int page)
{
    poll(NULL, 0, 300);
    return 1000 + page;
}
#endif

struct child {
    pid_t pid;
    int pipe; /* where its answer will come */
};

/* Start a child: it fetches a page, writes its size into the pipe, ends. */
static struct child start(int page)
{
    struct child child;
    int size, ends[2];
    if (pipe(ends) < 0)
        abort();
    child.pipe = ends[0];
    child.pid = fork();
    if (child.pid == 0) {
        size = fetch(page);
        _exit(write(ends[1], &size, sizeof size) < 0);
    }
    close(ends[1]);
    return child;
}

/* Wait for what the child writes. */
static int answer_of(struct child child)
{
    int size = -1;
    if (read(child.pipe, &size, sizeof size) != (ssize_t)sizeof size)
        return -1;
    return size;
}

/* Fetch pages 0 to n - 1 at the same time; n is 16 at most. */
static void fetch_all(int n, int sizes[])
{
    struct child children[16];
    int i;
    /* TODO: start all the children first. Then, for each child: take its
     * answer, close its pipe, and call waitpid. */
    for (i = 0; i < n; i++) {
        children[i] = start(i);
        sizes[i] = answer_of(children[i]);
    }
    /* END */
}

#ifndef LEARN
int main(void)
{
    int sizes[4];
    fetch_all(4, sizes);
    printf("%d %d %d %d bytes\n", sizes[0], sizes[1], sizes[2], sizes[3]);
    return 0;
}
#endif
