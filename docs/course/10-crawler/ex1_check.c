#include "async_test.h"

#include "ex1.c"

enum { PAGES = 3 };

static void report(int page, async_result n)
{
    if (async_cancelled()) /* the check's own limit */
        return;
    if (n == -ETIMEDOUT)
        sim_log("page %d: no answer in time", page + 1);
    else if (n < 0)
        sim_log("page %d: %s", page + 1, strerror((int)-n));
    else
        sim_log("page %d: %d bytes", page + 1, (int)n);
}

/* Sends a byte each `rest_ms`, `count` of them; negative: for ever. */
async(answer, int fd; int64_t rest_ms; int count;)
{
    ssize_t n;
    async_begin;
    while (self->count--) {
        await(async_sleep(self->rest_ms));
        await(n, async_write(self->fd, "x", 1));
        if (n < 0)
            async_return(n);
    }
    async_finally;
    async_close(self->fd);
    async_end;
}

async(host, int listener; int64_t rest_ms; int count;)
{
    int fd;
    async_begin;
    for (;;) {
        await(fd, async_accept(self->listener));
        if (fd < 0)
            async_return(fd);
        async_spawn(answer, fd, self->rest_ms, self->count);
    }
    async_finally;
    async_close(self->listener);
    async_end;
}

/* Hosts that send so many bytes, one each `rest_ms`; what is crawled. */
async(world, const int *rest_ms; const int *counts; int ports[PAGES];
      async_task hosts[PAGES]; int i; int64_t start_ns;)
{
    async_result n;
    async_begin;
    self->start_ns = async_now();
    for (self->i = 0; self->i < PAGES; self->i++) {
        int listener = async_listen("127.0.0.1", 0);
        self->ports[self->i] = async_port(listener);
        self->hosts[self->i] = async_spawn(
            host, listener, self->rest_ms[self->i], self->counts[self->i]);
    }
    await(n, async_call(crawl, self->ports, PAGES), 60000);
    if (async_now() - self->start_ns >= INT64_C(60000000000))
        sim_log("the crawl has not ended after a minute");
    async_end;
}

AsyncTestWith(ex_10_1, goes_on_after_a_dead_host,
              (.seeds = 50,
               .says = "After a host that never answers, "
                       "the next page is fetched."))
{
    static const int rest_ms[] = { 5, 1 << 30, 5 }, counts[] = { 20, 20, 30 };
    async_begin;
    await(async_call(world, rest_ms, counts));
    sim_expect("page 1: 20 bytes", "page 2: no answer in time",
               "page 3: 30 bytes");
    async_end;
}

AsyncTestWith(ex_10_1, waits_for_a_slow_host,
              (.seeds = 50,
               .says = "A host that takes 2 seconds is waited for."))
{
    static const int rest_ms[] = { 1000, 500, 5 }, counts[] = { 2, 4, 30 };
    async_begin;
    await(async_call(world, rest_ms, counts));
    sim_expect("page 1: 2 bytes", "page 2: 4 bytes", "page 3: 30 bytes");
    async_end;
}

AsyncTestWith(ex_10_1, bounds_the_whole_page,
              (.seeds = 50,
               .says = "A host that sends a byte a second for ever "
                       "is left after 3 seconds."))
{
    static const int rest_ms[] = { 5, 1000, 5 }, counts[] = { 20, -1, 30 };
    async_begin;
    await(async_call(world, rest_ms, counts));
    sim_expect("page 1: 20 bytes", "page 2: no answer in time",
               "page 3: 30 bytes");
    async_end;
}

AsyncTestWith(ex_10_1, gives_3000_ms,
              (.faults = SIM_CALM,
               .says = "A page that takes 2,950 ms is waited for, "
                       "one that takes 3,050 ms is not."))
{
    static const int rest_ms[] = { 2950, 3050, 1475 }, counts[] = { 1, 1, 2 };
    async_begin;
    await(async_call(world, rest_ms, counts));
    sim_expect("page 1: 1 bytes", "page 2: no answer in time",
               "page 3: 2 bytes");
    async_end;
}
