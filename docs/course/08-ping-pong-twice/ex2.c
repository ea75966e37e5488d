/* 8.2  The answer after the end. A client sends a text (at most 4096 bytes),
 * ends its side (it sends no more), and reads on: both servers are to send the
 * text back in capitals, all of it, and then close. */
#include "async.h"
#include <ctype.h>

enum { MOST = 4096 };

static void capitals(char *text, size_t size)
{
    for (; size > 0; size--, text++)
        *text = (char)toupper((unsigned char)*text);
}

/* ---- with callbacks ---- */

struct session {
    async_handle reader;
    char text[MOST];
    size_t size, sent;
};

static void on_end(int fd, struct session *session);

static void on_text(int fd, void *data)
{
    struct session *session = data;
    ssize_t n = async_read_nowait(fd, session->text + session->size,
                                  MOST - session->size);
    if (n == -EAGAIN)
        return;
    if (n > 0) {
        session->size += (size_t)n;
        return;
    }
    async_cancel(session->reader);
    if (n < 0)
        session->size = 0; /* an error: there is nobody to answer */
    on_end(fd, session);
}

static void serve_with_callbacks(int fd)
{
    struct session *session = calloc(1, sizeof *session);
    if (session)
        session->reader = async_on_readable(fd, session, on_text);
    if (session && session->reader > 0)
        return;
    free(session);
    async_close(fd);
}

/* TODO: answer, in both. async_write_nowait may take only a part of the text:
 * async_on_writable calls you when there is room for more, as in 6.2. In the
 * coroutine, await(n, async_write(...)) sends all of it before it goes on. */
static void on_end(int fd, struct session *session)
{
    capitals(session->text, session->size);
    free(session);
    async_close(fd);
}

/* ---- with a coroutine ---- */

async(serve_with_awaits, int fd; char text[MOST]; size_t size;)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->fd, self->text + self->size,
                            MOST - self->size));
        if (n <= 0)
            break;
        self->size += (size_t)n;
    }
    capitals(self->text, self->size);
    async_close(self->fd);
    async_end;
}
/* END */
