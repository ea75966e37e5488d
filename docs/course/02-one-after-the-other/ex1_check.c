#include "async_test.h"

static void note_page(const char *text, int page)
{
    if (page < 0 || page > 2)
        async_test_fail(__FILE__, __LINE__, "Page %d is asked for. A local "
                        "does not outlast an await: make it a field.", page);
    sim_log(text, page);
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#define note note_page
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
    if (sum < 0 || sum > 3 * 6200)
        async_test_fail(__FILE__, __LINE__, "It is %ld bytes. A local does not "
                        "outlast an await: make it a field.", (long)sum);
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

AsyncTestWith(ex_2_1, two_at_a_time, (.seeds = 20,
    .says = "Two at a time do not disturb each other: "
            "each keeps what it needs in fields."), async_task tasks[2];)
{
    async_result sum, other;
    async_begin;
    self->tasks[0] = async_keep(async_spawn(fetch_all));
    self->tasks[1] = async_keep(async_spawn(fetch_all));
    await(sum, async_join(self->tasks[0]));
    if (sum != 6200)
        async_test_fail(__FILE__, __LINE__, "The first gives %d bytes.",
                        (int)sum);
    await(other, async_join(self->tasks[1]));
    if (other != 6200)
        async_test_fail(__FILE__, __LINE__, "The second gives %d bytes.",
                        (int)other);
    async_end;
}
