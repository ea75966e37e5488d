/*
 * The kit itself, where it should say nothing: what must be red is in tests/kit/red.
 *
 * And what a body can count of async.h: allocations and wakes per operation.
 */
#include "async_test.h"

/* ----------------------------------------------------------------------------
 * MARK: - Worlds
 * ------------------------------------------------------------------------- */
async(notes, int number; int *order; int *count;)
{
    async_begin;
    self->order[(*self->count)++] = self->number;
    async_end;
}

/* A hundred seeds are enough to see each of three tasks first, and each last. */
AsyncTestWith(kit, draws_the_order_of_tasks, (.seeds = 100), int order[3]; int count;)
{
    async_begin;
    for (int i = 0; i < 3; i++)
        cr_assert(async_spawn(notes, i, self->order, &self->count) > 0);
    await(async_sleep(1));
    cr_assert_eq(self->count, 3);
    async_sometimes(self->order[0] == 0);
    async_sometimes(self->order[0] == 1);
    async_sometimes(self->order[0] == 2);
    async_sometimes(self->order[2] == 0);
    async_sometimes(self->order[2] == 1);
    async_end;
}

async(steps, int first; int second;)
{
    async_begin;
    await(async_seq(self->first));
    sim_log("step %d", self->first);
    await(async_seq(self->second));
    sim_log("step %d", self->second);
    async_end;
}

/* Whatever the order of turns: the steps have theirs. */
AsyncTestWith(kit, leads_tasks_through_steps, (.seeds = 100), async_task a; async_task b;)
{
    async_begin;
    self->a = async_keep(async_spawn(steps, 1, 2));
    self->b = async_keep(async_spawn(steps, 0, 3));
    await(async_join(self->a));
    await(async_join(self->b));
    sim_expect("step 0", "step 1", "step 2", "step 3");
    async_end;
}

async(writes_late, int fd;)
{
    async_begin;
    await(async_yield());
    await(async_yield());
    await(async_write(self->fd, "x", 1));
    await(async_sleep(1000));
    async_end;
}

AsyncTestWith(kit, settles_when_all_others_wait, (.seeds = 100), int ends[2]; async_task task;)
{
    async_begin;
    async_ok(async_pipe(self->ends));
    self->task = async_spawn(writes_late, .fd = self->ends[1]);
    await(async_settle());
    async_expect_blocked(self->task);
    cr_assert(async_wakes(self->task) > 0);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

AsyncTestWith(kit, strikes_where_a_bug_may_be, (.seeds = 200))
{
    async_begin;
    async_sometimes(ASYNC_BUG("here"));
    async_sometimes(!ASYNC_BUG("here"));
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Liveness: with an end of all faults comes the end of all tasks
 * ------------------------------------------------------------------------- */
async(sends_back, int fd; char data[512];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        if (n <= 0)
            break;
        await(n, async_write(self->fd, self->data, (size_t)n));
        if (n < 0)
            break;
    }
    async_finally;
    async_close(self->fd);
    async_end;
}

AsyncTestWith(kit, heals_and_then_all_comes_to_its_end, (.seeds = 700), int ends[2];
              char data[2000]; size_t sum; int64_t calm_ns;)
{
    ssize_t n;
    async_begin;
    async_ok(async_socketpair(self->ends));
    async_ok(async_spawn(sends_back, .fd = self->ends[1]));
    sim_latency(self->ends[0], 1, 200);
    await(n, async_write(self->ends[0], self->data, sizeof self->data), 20);
    sim_partition(self->ends[0]);
    self->sum = n > 0 ? (size_t)n : 0;
    await(async_sleep(500));
    sim_calm();
    self->calm_ns = async_now();
    while (self->sum > 0) {
        await(n, async_read(self->ends[0], self->data, sizeof self->data));
        cr_assert(n > 0);
        self->sum -= (size_t)n;
    }
    cr_assert(async_now() - self->calm_ns < INT64_C(1000000000));
    async_close(self->ends[0]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - What operations cost
 * ------------------------------------------------------------------------- */
async(returns_at_once)
{
    async_begin;
    async_return(7);
    async_end;
}

AsyncTestWith(kit, counts_allocations, (.faults = SIM_CALM), int ends[2]; int i; char byte;
              long before;)
{
    ssize_t n;
    async_begin;
    async_ok(async_socketpair(self->ends));
    self->before = sim_allocations();
    for (self->i = 0; self->i < 100; self->i++) {
        await(n, async_write(self->ends[0], "x", 1), 1000);
        await(n, async_read(self->ends[1], &self->byte, 1), 1000);
        cr_assert_eq(n, 1);
        await(async_sleep(1));
    }
    cr_assert_eq(sim_allocations(), self->before);
    await(n, async_call(returns_at_once));
    cr_assert_eq(n, 7);
    cr_assert_eq(sim_allocations(), self->before + 1);
    await(n, async_join(async_spawn(returns_at_once)));
    cr_assert_eq(n, 7);
    cr_assert_eq(sim_allocations(), self->before + 2);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* One byte in flight costs its reader one wake, its descriptor one registration. */
AsyncTestWith(kit, counts_wakes_and_calls, (.faults = SIM_CALM), int ends[2]; async_task task;)
{
    async_begin;
    async_ok(async_socketpair(self->ends));
    self->task = async_spawn(sends_back, .fd = self->ends[1]);
    await(async_settle());
    cr_assert_eq(async_wakes(self->task), 1);
    cr_assert_eq(sim_write(self->ends[0], "x", 1), 1);
    await(async_settle());
    cr_assert_eq(async_wakes(self->task), 2);
    cr_assert_leq(sim_count(epoll_ctl), 2);
    async_close(self->ends[0]);
    async_end;
}
