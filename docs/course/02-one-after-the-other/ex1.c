/* 2.1  One page after the other. Fetch three pages, and add their sizes. */
#include "async.h"

#ifndef LEARN /* the check keeps these lines, instead of printing them */
#define note(...) (printf(__VA_ARGS__), puts(""))
#endif

static const struct { int size, delay_ms; } pages[] = {
    { 4000, 30 }, { 700, 10 }, { 1500, 20 }
};

/* Fetch one page: the server lets us wait for it. Returns its size. */
async(fetch, int page;)
{
    async_begin;
    note("ask for page %d", self->page);
    await(async_sleep(pages[self->page].delay_ms));
    note("have page %d", self->page);
    async_return(pages[self->page].size);
    async_end;
}

/* Fetch all three, one after the other. Returns the sum of their sizes. */
async(fetch_all, int sum;)
{
    int size;
    async_begin;
    /* TODO: this fetches page 0. Fetch pages 1 and 2 as well. */
    await(size, async_call(fetch, .page = 0));
    self->sum += size;
    /* END */
    async_return(self->sum);
    async_end;
}

#ifndef LEARN
int main(void)
{
    int64_t start_ns = async_now();
    int sum = (int)async_run(fetch_all);
    printf("%d bytes in %d ms\n", sum,
           (int)((async_now() - start_ns) / 1000000));
    return 0;
}
#endif
