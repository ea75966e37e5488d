/* 6.1  The heart of a loop. poll_once() waits for all watched descriptors at
 * once, then calls the callback of each one that has news. */
#include <poll.h>
#include <stddef.h>

enum { PLACES = 8 };

/* Who is to be called when there is something to read. A place whose `call`
 * is NULL is free. */
static struct watch {
    int fd;
    void (*call)(int fd, void *data);
    void *data;
} table[PLACES];

static int watch(int fd, void (*call)(int fd, void *data), void *data)
{
    int i;
    for (i = 0; i < PLACES; i++)
        if (!table[i].call) {
            table[i] = (struct watch){ fd, call, data };
            return 0;
        }
    return -1;
}

/* A callback may call watch() and forget(), with any descriptor. */
static void forget(int fd)
{
    int i;
    for (i = 0; i < PLACES; i++)
        if (table[i].call && table[i].fd == fd)
            table[i].call = NULL;
}

/* Wait at most `timeout_ms` (-1: for ever) for news. Returns how many
 * callbacks were called, or -1 if poll() fails. */
static int poll_once(int timeout_ms)
{
    struct pollfd news[PLACES];
    int i, called = 0;
    for (i = 0; i < PLACES; i++) {
        news[i].fd = table[i].call ? table[i].fd : -1; /* poll() skips -1 */
        news[i].events = POLLIN;
        news[i].revents = 0;
    }
    /* TODO: call poll() once, then the callbacks, in the table's order. The
     * end of a pipe is news, too. A callback may forget() another, and watch()
     * a new descriptor in its place, which has no news in this round. */
    (void)news, (void)timeout_ms;
    /* END */
    return called;
}
