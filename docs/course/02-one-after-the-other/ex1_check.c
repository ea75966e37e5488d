#include "async_test.h"

#define note sim_log
#include "ex1.c"

AsyncTestWith(ex_2_1, one_after_the_other, (.seeds = 20,
    .says = "Each page is asked for when the one before it is there."))
{
    async_result sum;
    async_begin;
    await(sum, async_call(fetch_all));
    async_ok(sum);
    sim_expect("ask for page 0", "have page 0",
               "ask for page 1", "have page 1",
               "ask for page 2", "have page 2");
    async_end;
}

AsyncTestWith(ex_2_1, sum_of_all_sizes, (.seeds = 20,
    .says = "The result is the sum of the three sizes: 6200 bytes."))
{
    async_result sum;
    async_begin;
    await(sum, async_call(fetch_all));
    sim_log("%d bytes", (int)sum);
    sim_expect("ask for page 0", "have page 0",
               "ask for page 1", "have page 1",
               "ask for page 2", "have page 2", "6200 bytes");
    async_end;
}

AsyncTestWith(ex_2_1, delays_add_up, (.faults = SIM_CALM,
    .says = "It takes 30 + 10 + 20 ms, the sum of the delays."), int64_t start;)
{
    async_begin;
    self->start = async_now();
    await(async_call(fetch_all));
    self->start = async_now() - self->start;
    sim_log("%d ms in all", (int)(self->start / 1000000));
    sim_expect("ask for page 0", "have page 0",
               "ask for page 1", "have page 1",
               "ask for page 2", "have page 2", "60 ms in all");
    async_end;
}
