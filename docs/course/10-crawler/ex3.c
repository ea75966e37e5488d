/* 10.3  One task fetches all pages, one after the other. Hand them out to
 * three workers instead, over a channel that holds two. */
#include "async.h"

enum { PAGES = 10, WORKERS = 3, HELD = 2 };

/* Fetches a page, which takes a while. (It stands in the check.) */
async_declare(fetch, int page;);

/* Fetches the pages that come out of the channel, until it is closed. */
async(worker, async_channel *jobs; int page;)
{
    int n;
    async_begin;
    for (;;) {
        await(n, async_channel_receive(self->jobs, &self->page));
        if (n <= 0) /* closed and empty, or cancelled */
            break;
        await(async_call(fetch, .page = self->page));
    }
    async_end;
}

async(crawl, async_channel jobs; int held[HELD]; int page, i;)
{
    async_begin;
    async_channel_init(&self->jobs, self->held, sizeof self->page, HELD);
    /* TODO: start the workers, send them the pages, wait for their end. */
    for (self->page = 0; self->page < PAGES; self->page++)
        await(async_call(fetch, .page = self->page));
    /* END */
    async_end;
}
