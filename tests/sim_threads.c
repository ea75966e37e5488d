/*
 * Posts in the simulated world, and a pool without threads: there are none in it. The real ones are
 * in test_threads.c.
 */
#include "sim_io.h"

static int posted;

static void arrives(void *data)
{
    cr_assert_eq(*(int *)data, posted);
    posted++;
}

/* A call on the pipe says "not now" where a real one of one byte cannot. */
AsyncTestWith(posts, come_in_their_order_and_wake_the_loop,
              (.seeds = 200, .torture = 1, .real = 1, .faults = SIM_BENIGN & ~(1u << SIM_EAGAIN)),
              async_loop *loop; int numbers[6]; int i; async_event none; async_result n;)
{
    async_begin;
    posted = 0;
    self->loop = async_loop_share();
    if (!self->loop)
        async_ok(sim_shows_errors() ? -ENOMEM : 0);
    if (!self->loop)
        async_return(0);
    cr_assert(async_loop_share() == self->loop || sim_shows_errors());
    for (self->i = 0; self->i < 6; self->i++) {
        self->numbers[self->i] = self->i;
        async_ok(async_post(self->loop, &self->numbers[self->i], arrives));
        if (self->i % 3 == 1)
            await(self->n, async_event_wait(&self->none), 1 + (int64_t)sim_random(3));
    }
    await(async_sleep(20));
    cr_assert_eq(posted, 6);
    async_end;
}

static async_result never(void *data)
{
    (void)data;
    return 0;
}

AsyncTestWith(offload, without_threads_says_so, (.seeds = 3, .torture = 1), async_result n;)
{
    async_begin;
    await(self->n, async_offload(never, NULL));
    if (self->n != -EAGAIN)
        async_ok(self->n);
    cr_assert(self->n < 0);
    await(self->n, async_sleep(1));
    async_ok(self->n);
    async_end;
}

AsyncTest(offload, without_a_descriptor_says_so, async_result n;)
{
    async_begin;
    sim_limit(0);
    await(self->n, async_offload(never, NULL));
    check_error(async_offload, EMFILE, self->n);
    cr_assert(!async_loop_share());
    async_end;
}
