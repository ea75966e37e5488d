#include "async_test.h"

#include "ex4.c"

/* The site: what each page links to, separated by NULL. */
static const char *const links[][4] = {
    { "a/1", "c/1" },
    { "a/2", "a/3" },
    { "a/3", "b/2", "a/4" },
};

static struct {
    int asked[HOSTS];  /* pages that this host is asked for, now     */
    const char *rude;  /* a page that came while its host was asked  */
    int fetched, ended_at; /* pages, and those when the first worker ended */
    int slowness;
    long wakes;        /* of the worker that was woken most          */
} site;

static void add(struct crawl *crawl, const char *page)
{
    cr_assert(crawl->count < MOST);
    crawl->pages[crawl->count++] = page;
}

static void add_links(struct crawl *crawl, const char *page)
{
    size_t i, link;
    for (i = 0; i < sizeof links / sizeof *links; i++)
        for (link = 1; link < 4 && strcmp(links[i][0], page) == 0; link++)
            if (links[i][link])
                add(crawl, links[i][link]);
}

async_define(fetch)
{
    async_begin;
    sim_log("ask %s", self->page);
    if (++site.asked[host_of(self->page)] > 1 && !site.rude)
        site.rude = self->page;
    await(async_sleep((self->page[0] == 'b' ? 250 : 100) * site.slowness));
    site.asked[host_of(self->page)]--;
    site.fetched++;
    add_links(self->crawl, self->page);
    sim_log("done %s", self->page);
    async_end;
}

async(work, struct crawl *crawl;)
{
    async_begin;
    await(async_call(worker, self->crawl));
    if (!site.ended_at)
        site.ended_at = site.fetched;
    if (site.wakes < async_wakes(async_current_task()))
        site.wakes = async_wakes(async_current_task());
    async_end;
}

async(crawls, int slowness;)
{
    static struct crawl crawl; /* outlives the workers, whatever they do */
    async_result n;
    async_begin;
    memset(&site, 0, sizeof site);
    site.slowness = self->slowness ? self->slowness : 1;
    memset(&crawl, 0, sizeof crawl);
    add(&crawl, "a/1");
    add(&crawl, "a/2");
    add(&crawl, "b/1");
    async_spawn(work, &crawl);
    async_spawn(work, &crawl);
    await(n, async_join_children(), 600000);
    async_return(n);
    async_end;
}

AsyncTestWith(ex_10_4, waits,
              (.faults = SIM_CALM,
               .says = "A worker that finds no page waits until something has "
                       "changed."))
{
    async_result n;
    async_begin;
    await(n, async_call(crawls));
    if (n < 0)
        async_test_fail(__FILE__, __LINE__,
                        "%d of 7 pages are fetched, and a worker waits for "
                        "ever.", site.fetched);
    async_end;
}

AsyncTestWith(ex_10_4, is_polite,
              (.seeds = 30,
               .says = "No host is asked for two pages at a time."))
{
    async_begin;
    await(async_call(crawls));
    if (site.rude)
        async_test_fail(__FILE__, __LINE__,
                        "%s is asked for while host '%c' is busy.", site.rude,
                        host_of(site.rude));
    async_end;
}

AsyncTestWith(ex_10_4, fetches_all,
              (.seeds = 30,
               .says = "No worker ends while a page is under way: "
                       "it may bring others."))
{
    async_begin;
    await(async_call(crawls));
    if (site.ended_at < 7)
        async_test_fail(__FILE__, __LINE__,
                        "A worker has ended when %d of 7 pages were fetched.",
                        site.ended_at);
    async_end;
}

AsyncTestWith(ex_10_4, is_not_slow,
              (.seeds = 30,
               .says = "No worker waits for a busy host while another host "
                       "has a page for it."))
{
    async_begin;
    await(async_call(crawls));
    sim_expect("ask a/1", "ask b/1", "done a/1", "ask a/2", "done a/2",
               "ask c/1", "done b/1", "ask a/3", "done c/1", "done a/3",
               "ask b/2", "ask a/4", "done a/4", "done b/2");
    async_end;
}

/* While a slow page is under way nothing changes for many seconds. */
AsyncTestWith(ex_10_4, sleeps,
              (.faults = SIM_CALM,
               .says = "A worker that finds no page is woken by a change, and "
                       "does not ask a clock."))
{
    async_begin;
    await(async_call(crawls, .slowness = 100));
    if (site.wakes > 25)
        async_test_fail(__FILE__, __LINE__,
                        "A worker was woken %ld times for 7 pages: it looks "
                        "again and again.", site.wakes);
    async_end;
}
