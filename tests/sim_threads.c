/*
 * Posts in the simulated world, and the pool, whose threads have turns there. Those that run at the
 * same time are in test_threads.c.
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

/* Blocks its thread, and says how often it was called. */
static int calls;

static async_result works(void *data)
{
    sim_block(*(int *)data);
    return ++calls;
}

async(offloads, int duration_ms; async_result n;)
{
    async_begin;
    await(self->n, async_offload(works, &self->duration_ms));
    async_return(self->n);
    async_end;
}

/* Of six jobs four run at once; told to end, one that waits is not run, one that runs is waited
 * for. */
AsyncTestWith(offload, runs_four_at_a_time, (.seeds = 200, .torture = 1), async_task tasks[6];
              int i; int64_t at_ns; async_result n, sum;)
{
    async_begin;
    calls = 0;
    self->at_ns = async_now();
    for (self->i = 0; self->i < 6; self->i++)
        self->tasks[self->i] = async_keep(async_spawn(offloads, 100));
    await(async_sleep(50));
    async_cancel(self->tasks[0]);
    async_cancel(self->tasks[5]);
    for (self->i = 0; self->i < 6; self->i++) {
        await(self->n, async_join(self->tasks[self->i]));
        if (self->n >= 0)
            self->sum += self->n;
    }
    cr_assert(sim_shows_errors() || self->sum == calls * (calls + 1) / 2);
    cr_assert(calls <= 5 + !sim_is_calm());
    cr_assert(!sim_is_calm() || (calls == 5 && async_now() - self->at_ns == 200 * 1000000));
    async_end;
}

AsyncTestWith(offload, without_threads_says_so, (.seeds = 3), async_result n; int none;)
{
    async_begin;
    sim_fail_next(pthread_create, EAGAIN);
    await(self->n, async_offload(works, &self->none));
    check_error(async_offload, EAGAIN, self->n);
    await(self->n, async_offload(works, &self->none));
    async_ok(self->n);
    async_end;
}

AsyncTest(offload, without_a_descriptor_says_so, async_result n;)
{
    async_begin;
    sim_limit(0);
    await(self->n, async_offload(works, NULL));
    check_error(async_offload, EMFILE, self->n);
    cr_assert(!async_loop_share());
    async_end;
}

AsyncTest(offload, has_no_new_thread_where_one_is_idle, async_result n; int none;)
{
    async_begin;
    await(self->n, async_offload(works, &self->none));
    async_ok(self->n);
    await(async_sleep(1));
    await(self->n, async_offload(works, &self->none));
    async_ok(self->n);
    cr_assert_eq(sim_count(pthread_create), 1);
    async_end;
}
