/* 6.2  Close only after the echo has left. The handler on_writable closes too
 * early: run the check, and read the timeline. The loop calls a handler again
 * and again, until async_cancel ends that or the descriptor is closed. */
#include "async.h"

enum { MESSAGE = 14 };

struct echo {
    async_handle reader;
    char text[MESSAGE];
    size_t got, sent;
};

/* The socket takes bytes: all that we have, or only the first of them. */
static void on_writable(int fd, void *data)
{
    struct echo *echo = data;
    ssize_t n = async_write_nowait(fd, echo->text + echo->sent,
                                   MESSAGE - echo->sent);
    /* TODO: close when the whole message is sent, not before. n is how many
     * bytes have left; or -EAGAIN: none for now, the loop will call again;
     * or another negative number: an error, and nothing will ever leave. */
    if (n > 0)
        echo->sent += (size_t)n;
    free(echo);
    async_close(fd);
    /* END */
}

/* Some of the message has come. When it is whole, it is sent back. */
static void on_readable(int fd, void *data)
{
    struct echo *echo = data;
    ssize_t n = async_read_nowait(fd, echo->text + echo->got,
                                  MESSAGE - echo->got);
    if (n > 0)
        echo->got += (size_t)n;
    if (n == -EAGAIN || (n > 0 && echo->got < MESSAGE))
        return;
    async_cancel(echo->reader);
    if (n > 0 && async_on_writable(fd, echo, on_writable) > 0)
        return;
    free(echo);
    async_close(fd);
}

/* Echo one message of this client, then close. */
static void serve(int fd)
{
    struct echo *echo = calloc(1, sizeof *echo);
    if (echo)
        echo->reader = async_on_readable(fd, echo, on_readable);
    if (echo && echo->reader > 0)
        return;
    free(echo);
    async_close(fd);
}
