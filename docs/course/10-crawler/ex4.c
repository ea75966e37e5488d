/* 10.4  Challenge: be polite. Ask a host for one page at a time, but let no
 * worker wait for a busy host while another host has a page for it. */
#include "async.h"

enum { MOST = 16, HOSTS = 128 };

/* A page's name is its host and its path: "a/1" is a page of host 'a'. */
struct crawl {
    const char *pages[MOST]; /* found so far; NULL: somebody has taken it */
    int count;
    char is_busy[HOSTS];     /* hosts that are being asked                */
    int under_way;           /* pages that may still bring others         */
    async_event change;
};

/* Asks for a page, and adds those that it links to. (It stands in the
 * check.) */
async_declare(fetch, struct crawl *crawl; const char *page;);

static int host_of(const char *page)
{
    return page[0] % HOSTS;
}

/* TODO: take a page that may be asked for now. Two workers run this: one that
 * finds none now waits, as long as pages that are under way may bring some. For
 * that, await async_event_wait(&crawl->change): async_event_set wakes all who
 * wait there, and async_event_clear lets the next ones wait again. */
static const char *take(struct crawl *crawl)
{
    int i;
    for (i = 0; i < crawl->count; i++) {
        const char *page = crawl->pages[i];
        crawl->pages[i] = NULL;
        if (page)
            return page;
    }
    return NULL;
}

async(worker, struct crawl *crawl; const char *page;)
{
    async_begin;
    while ((self->page = take(self->crawl)))
        await(async_call(fetch, self->crawl, self->page));
    async_end;
}
/* END */
