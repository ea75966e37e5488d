/* 2.2  How long will it take? Predict the time of n pages, then see. */
#include "async.h"

/* Fetch n pages from one server, one after the other. A round trip is the
 * time from here to the server and back. */
async(fetch_all, int n, trip_ms, think_ms; int i;)
{
    async_begin;
    await(async_sleep(self->trip_ms));      /* connect: one round trip   */
    for (self->i = 0; self->i < self->n; self->i++) {
        await(async_sleep(self->trip_ms));  /* request, answer: another  */
        await(async_sleep(self->think_ms)); /* the server makes the page */
    }
    async_end;
}

/* How many ms fetch_all needs. */
static int total_ms(int n, int trip_ms, int think_ms)
{
    /* TODO: the formula. Nothing is run here. */
    (void)n, (void)trip_ms, (void)think_ms;
    return 0;
    /* END */
}

#ifndef LEARN
int main(void)
{
    int64_t start_ns = async_now();
    async_run(fetch_all, .n = 4, .trip_ms = 20, .think_ms = 30);
    printf("predicted %d ms, took %d ms\n", total_ms(4, 20, 30),
           (int)((async_now() - start_ns) / 1000000));
    return 0;
}
#endif
