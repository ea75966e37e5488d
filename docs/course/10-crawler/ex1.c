/* 10.1  A host that never answers holds up the crawl. Give a page 3,000 ms in
 * all, and go on with the next. */
#include "async.h"

/* Reads a page to its end. Returns its size, or a negative errno. */
async(fetch, int port; int fd; ssize_t size; char data[64];)
{
    ssize_t n;
    async_begin;
    await(self->fd, async_connect("127.0.0.1", self->port));
    if (self->fd < 0)
        async_return(self->fd);
    do {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        self->size += n > 0 ? n : 0;
    } while (n > 0);
    async_return(n < 0 ? n : self->size);
    async_finally;
    async_close(self->fd);
    async_end;
}

/* What came of a page: its size, or a negative errno. (It stands in the
 * check.) */
static void report(int page, async_result n);

/* Fetches one page after the other. */
async(crawl, const int *ports; int count; int page;)
{
    async_result n;
    async_begin;
    for (self->page = 0; self->page < self->count; self->page++) {
        /* TODO: wait for at most 3,000 ms. */
        await(n, async_call(fetch, .port = self->ports[self->page]));
        /* END */
        report(self->page, n);
    }
    async_end;
}
