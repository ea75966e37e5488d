#include "async_test.h"

#pragma GCC diagnostic error "-Wreturn-type"
#include "ex2.c"

/* In a callback: whose total_ms never ends is then not told of a coroutine. */
struct prediction { int n, trip_ms, think_ms, total_ms; };

static void predict(void *data)
{
    struct prediction *it = data;
    it->total_ms = total_ms(it->n, it->trip_ms, it->think_ms);
}

/* Run it in virtual time, and compare with the prediction. */
async(compare, int n, trip_ms, think_ms; int64_t start; char lines[4][40];
      struct prediction it;)
{
    async_begin;
    self->it.n = self->n;
    self->it.trip_ms = self->trip_ms;
    self->it.think_ms = self->think_ms;
    async_after(0, &self->it, predict);
    await(async_sleep(1));
    self->start = async_now();
    await(async_call(fetch_all, .n = self->n, .trip_ms = self->trip_ms,
                     .think_ms = self->think_ms));
    self->start = (async_now() - self->start) / 1000000;
    sprintf(self->lines[0], "pages: %d", self->n);
    sprintf(self->lines[1], "round trip: %d ms", self->trip_ms);
    sprintf(self->lines[2], "server: %d ms", self->think_ms);
    sprintf(self->lines[3], "in all: %d ms", (int)self->start);
    sim_log("%s", self->lines[0]);
    sim_log("%s", self->lines[1]);
    sim_log("%s", self->lines[2]);
    sim_log("in all: %d ms", self->it.total_ms);
    sim_expect(self->lines[0], self->lines[1], self->lines[2], self->lines[3]);
    async_end;
}

AsyncTestWith(ex_2_2, one_page, (.faults = SIM_CALM,
    .says = "The prediction for one page is what a run takes."))
{
    async_begin;
    await(async_call(compare, .n = 1, .trip_ms = 20, .think_ms = 30));
    async_end;
}

AsyncTestWith(ex_2_2, many_pages, (.seeds = 50, .faults = SIM_CALM,
    .says = "The prediction is right for any number of pages, and any delay."))
{
    async_begin;
    await(async_call(compare, .n = (int)sim_random(200),
                     .trip_ms = 1 + (int)sim_random(300),
                     .think_ms = 1 + (int)sim_random(500)));
    async_end;
}
