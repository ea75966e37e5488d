/* crawl_coroutines: one thread, and --jobs workers, each of which reads like
 * the sequential crawler: the next page comes from a channel, and a limit
 * stands at the fetch. SIGINT ends the crawl with what it has found so far.
 *
 *     cc -O2 -I. examples/crawl_coroutines.c -o crawl_coroutines
 *     ./crawl_coroutines http://127.0.0.1:8000/ --jobs 8
 *
 * For something to crawl see site.c; all options are in crawl.h.
 */
#include "async.h"
#include "crawl.h"

static struct crawl crawl;
static async_channel pages;  /* for the workers, from `feed`     */
static async_event progress; /* a page is done, others are known */

/* Returns the status, or a negative errno. */
async(fetch, struct page *page; struct response *response; int fd;
      char data[16384];)
{
    size_t size;
    ssize_t n;
    int status;
    async_begin;
    await(self->fd, async_connect(crawl.ip, self->page->url.port));
    size = crawl_request(self->page, self->data);
    await(n, async_write(self->fd, self->data, size));
    if (n < 0)
        async_return(n);
    do {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        status = response_add(self->response, self->data, n);
    } while (status == 0);
    async_return(status);
    async_finally;
    async_close(self->fd);
    async_end;
}

async(worker, struct page *page; struct response response;)
{
    int n;
    async_begin;
    for (;;) {
        await(n, async_channel_receive(&pages, &self->page));
        if (n <= 0)
            break;
        crawl_begin(&crawl);
        await(n, async_call(fetch, self->page, &self->response),
              crawl.timeout_ms);
        crawl_done(&crawl, self->page, &self->response, n);
        async_event_set(&progress);
    }
    async_end;
}

async(feed, struct page *page; int i;)
{
    int error;
    async_begin;
    for (self->i = 0; self->i < crawl.jobs; self->i++) {
        error = async_spawn(worker) < 0 ? -ENOMEM : 0;
        if (error < 0)
            async_return(error);
    }
    while (!crawl_is_over(&crawl)) {
        self->page = crawl_next(&crawl);
        if (self->page) {
            await(async_channel_send(&pages, &self->page));
        } else {
            await(async_event_wait(&progress));
            async_event_clear(&progress);
        }
    }
    async_channel_close(&pages);
    await(async_join_children());
    async_end;
}

/* A feed that still runs when this ends is cancelled, and its workers with it:
 * each of them closes what it has open. */
async(crawl_all, async_task feed; async_case cases[2];)
{
    int which;
    async_begin;
    async_channel_init(&pages, NULL, sizeof(struct page *), 0);
    self->feed = async_keep(async_spawn(feed));
    self->cases[0] = async_case_join(self->feed);
    self->cases[1] = async_case_signal(async_catch_signal(SIGINT));
    await(which, async_select(self->cases, 2));
    async_return(which == 0 ? self->cases[0].result : 0);
    async_end;
}

int main(int argc, char **argv)
{
    int error;
    crawl_open(&crawl, argc, argv);
    error = (int)async_run(crawl_all);
    if (error < 0)
        fprintf(stderr, "crawl_coroutines: %s\n", strerror(-error));
    return crawl_report(&crawl) || error < 0;
}
