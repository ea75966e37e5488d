#include "async_test.h"

#include "ex3.c"

static struct {
    int times[PAGES]; /* how often each page was fetched to its end */
    int now, most;    /* how many are being fetched                 */
} site;

async_define(fetch)
{
    async_begin;
    site.now++;
    if (site.now > site.most)
        site.most = site.now;
    await(async_sleep(100 + self->page));
    site.times[self->page]++;
    async_finally;
    site.now--;
    async_end;
}

/* Logs how many pages were fetched once. */
static void log_pages(void)
{
    int i, once = 0;
    for (i = 0; i < PAGES; i++)
        once += site.times[i] == 1;
    sim_log("pages that are fetched once: %d", once);
}

/* Runs the crawl for a minute at most. Returns what it does, or -ETIMEDOUT. */
async(crawls, async_task task; async_result n;)
{
    async_begin;
    memset(&site, 0, sizeof site);
    self->task = async_keep(async_spawn(crawl));
    await(self->n, async_join(self->task), 60000);
    async_cancel(self->task);
    await(async_join(self->task));
    async_return(self->n);
    async_end;
}

AsyncTestWith(ex_10_3, fetches_each_page_once,
              (.seeds = 50,
               .says = "Each of the 10 pages is fetched, and fetched once."))
{
    async_begin;
    await(async_call(crawls));
    log_pages();
    sim_expect("pages that are fetched once: 10");
    async_end;
}

AsyncTestWith(ex_10_3, three_at_a_time,
              (.seeds = 50,
               .says = "Three pages are fetched at a time, never more."))
{
    async_begin;
    await(async_call(crawls));
    sim_log("at most %d at a time", site.most);
    sim_expect("at most 3 at a time");
    async_end;
}

AsyncTestWith(ex_10_3, ends, (.seeds = 20, .says = "The crawl ends by itself."))
{
    async_result n;
    async_begin;
    await(n, async_call(crawls));
    sim_log(n == -ETIMEDOUT ? "after a minute, it still waits" : "it ends");
    sim_expect("it ends");
    async_end;
}
