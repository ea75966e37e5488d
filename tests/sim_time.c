/*
 * Time in the simulated world: sleeps, limits, timers; never early, in order, and not late.
 *
 * Method. What should happen when is computed beside the library; where the clock drifts between
 * two looks, as an interval. The calm world (seed 0) is exact: there lateness is judged too.
 */
#include "async_test.h"

#include <stdbool.h>
#include <stdlib.h>

#define MS INT64_C(1000000)
#define YEAR_MS (INT64_C(365) * 86400 * 1000)
#define FAIR_ORDER (SIM_BENIGN & ~(1u << SIM_ORDER)) /* first in, first out                      */

/* ----------------------------------------------------------------------------
 * MARK: - Timers against a sorted list
 * ------------------------------------------------------------------------- */
enum { TIMERS = 1000 };

static struct timer {
    async_handle handle;
    int64_t least_ns, most_ns; /* between them it is due */
    bool is_cancelled, has_fired;
} timers[TIMERS];
static int timer_count, fired[TIMERS], fired_count;

static void fires(void *data)
{
    struct timer *timer = data;
    cr_assert(!timer->is_cancelled && !timer->has_fired);
    cr_assert(async_now() >= timer->least_ns);
    timer->has_fired = true;
    fired[fired_count++] = (int)(timer - timers);
}

static async_result start_timer(int64_t delay_ms)
{
    struct timer *timer = &timers[timer_count];
    timer->is_cancelled = timer->has_fired = false;
    timer->least_ns = async_now() + delay_ms * MS;
    timer->handle = async_after(delay_ms, timer, fires);
    timer->most_ns = async_now() + delay_ms * MS;
    if (timer->handle < 0)
        return timer->handle;
    timer_count++;
    return 0;
}

static void cancel_one(void)
{
    struct timer *timer = &timers[sim_random((uint64_t)timer_count)];
    bool is_alive = !timer->is_cancelled && !timer->has_fired;
    cr_assert_eq(async_cancel(timer->handle), is_alive ? 0 : -ESRCH);
    timer->is_cancelled |= is_alive;
}

/* All that was not cancelled has fired; nobody before one that was certainly due earlier. */
static void check_order(void)
{
    int64_t latest_ns = 0;
    int expected = 0;
    for (int i = 0; i < timer_count; i++)
        expected += !timers[i].is_cancelled;
    cr_assert_eq(fired_count, expected);
    for (int i = 0; i < fired_count; i++) {
        cr_assert(timers[fired[i]].most_ns >= latest_ns);
        if (timers[fired[i]].least_ns > latest_ns)
            latest_ns = timers[fired[i]].least_ns;
        if (i && sim_is_calm() && timers[fired[i]].most_ns == timers[fired[i - 1]].most_ns)
            cr_assert_gt(fired[i], fired[i - 1]);
    }
}

AsyncTestWith(timers, a_thousand_of_them_fire_in_order, (.seeds = 60, .faults = FAIR_ORDER),
              int round;)
{
    async_begin;
    timer_count = fired_count = 0;
    for (self->round = 0; self->round < 20; self->round++) {
        for (int i = 0; i < TIMERS / 20; i++)
            async_ok(start_timer(1 + (int64_t)sim_random(200)));
        for (int i = 0; i < TIMERS / 60; i++)
            cancel_one();
        await(async_sleep((int64_t)sim_random(20)));
    }
    await(async_sleep(200));
    check_order();
    async_end;
}

AsyncTestWith(timers, a_hundred_of_them_fire_in_order,
              (.seeds = 1500, .torture = 1, .faults = FAIR_ORDER), int round;)
{
    async_begin;
    timer_count = fired_count = 0;
    for (self->round = 0; self->round < 10; self->round++) {
        for (int i = 0; i < 10; i++)
            async_ok(start_timer(1 + (int64_t)sim_random(30)));
        cancel_one();
        cancel_one();
        await(async_sleep((int64_t)sim_random(6)));
    }
    await(async_sleep(31));
    check_order();
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Sleeping
 * ------------------------------------------------------------------------- */
enum { SLEEPERS = 25 };
static int64_t woken_ns[SLEEPERS];

/* Sleeps of each kind: until a moment that has passed, for less than nothing, under limits, with a
 * wait's clock that is not quite CLOCK_MONOTONIC. */
async(sleeper, int number; int i; int64_t duration_ms, limit_ms, start_ns, least_ns;
      async_result n;)
{
    async_begin;
    for (self->i = 0; self->i < 4; self->i++) {
        self->duration_ms = (int64_t)sim_random(24) - 4;
        self->limit_ms = sim_random(3) ? -1 : (int64_t)sim_random(20);
        self->start_ns = async_now();
        if (sim_random(2)) {
            await(self->n, async_sleep(self->duration_ms), self->limit_ms);
        } else {
            int64_t until_ns = async_now() + self->duration_ms * MS;
            await(self->n, async_sleep_until(until_ns), self->limit_ms);
        }
        async_ok(self->n == -ETIMEDOUT && self->limit_ms >= 0 ? 0 : self->n);
        self->least_ns = self->duration_ms > 0 ? self->duration_ms * MS : 0;
        if (self->n == -ETIMEDOUT)
            self->least_ns = self->limit_ms * MS;
        cr_assert(async_now() - self->start_ns >= self->least_ns);
        if (!sim_is_calm())
            continue;
        cr_assert(async_now() - self->start_ns < self->least_ns + 2 * MS);
        cr_assert(self->limit_ms < 0 || self->n == -ETIMEDOUT ||
                  self->duration_ms <= self->limit_ms);
    }
    woken_ns[self->number] = async_now();
    async_end;
}

AsyncTestWith(sleeps, are_neither_early_nor_late, (.seeds = 1500, .torture = 1),
              async_task tasks[SLEEPERS]; async_result n;)
{
    async_begin;
    if (!sim_is_calm())
        sim_skew((int)sim_random(2000) - 1000);
    for (int i = 0; i < SLEEPERS; i++)
        async_ok(self->tasks[i] = async_spawn(sleeper, i));
    await(self->n, async_join_all(self->tasks, SLEEPERS));
    async_ok(self->n);
    async_end;
}

/* Equal deadlines: first in, first out. */
AsyncTestWith(sleeps, that_end_together_end_in_order, (.seeds = 1000, .faults = FAIR_ORDER),
              async_task tasks[SLEEPERS]; int64_t until_ns; int i;)
{
    async_begin;
    self->until_ns = async_now() + 5 * MS;
    timer_count = 0;
    for (int i = 0; i < SLEEPERS; i++) {
        timers[i].handle = async_after(5, &timers[i], fires);
        timers[i].is_cancelled = timers[i].has_fired = false;
        timers[i].least_ns = self->until_ns;
    }
    fired_count = 0;
    await(async_sleep_until(self->until_ns + 10 * MS));
    cr_assert_eq(fired_count, SLEEPERS);
    for (int i = 0; i < SLEEPERS; i++)
        cr_assert_eq(fired[i], i);
    async_end;
}

async(sleeps_for, int64_t duration_ms;)
{
    async_result n;
    async_begin;
    await(n, async_sleep(self->duration_ms));
    async_return(n);
    async_end;
}

/* Decades beside milliseconds; for ever, which is ended by a limit and by a cancel. */
AsyncTestWith(sleeps, last_for_decades, (.seeds = 4), async_task tasks[3]; int64_t start_ns;
              async_result n;)
{
    async_begin;
    self->start_ns = async_now();
    self->tasks[0] = async_spawn(sleeps_for, 30 * YEAR_MS);
    self->tasks[1] = async_spawn(sleeps_for, INT64_MAX);
    self->tasks[2] = async_spawn(sleeps_for, 3);
    await(self->n, async_join(self->tasks[2]));
    cr_assert_eq(self->n, 0);
    cr_assert(async_now() - self->start_ns < 1000 * MS);
    await(self->n, async_join(self->tasks[1]), 20 * YEAR_MS);
    cr_assert_eq(self->n, -ETIMEDOUT);
    cr_assert(async_now() - self->start_ns >= 20 * YEAR_MS * MS);
    await(self->n, async_join(self->tasks[0]));
    cr_assert_eq(self->n, 0);
    cr_assert(async_now() - self->start_ns >= 30 * YEAR_MS * MS);
    async_cancel(self->tasks[1]);
    await(self->n, async_join(self->tasks[1]));
    cr_assert_eq(self->n, -ECANCELED);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Limits in limits
 * ------------------------------------------------------------------------- */
enum { DEPTH = 5 };
static int64_t limits_ns[DEPTH + 1]; /* of each call, at the latest; the last: of the sleep */

/* Calls itself under a limit, or none; at the bottom it sleeps. Whatever ends it is the nearest. */
async(nests, int depth; int64_t limit_ms, own_ns; async_result n;)
{
    async_begin;
    self->limit_ms = self->depth < DEPTH && !sim_random(3) ? -1 : (int64_t)sim_random(40);
    self->own_ns = self->limit_ms < 0 ? INT64_MAX : async_now() + self->limit_ms * MS;
    limits_ns[self->depth] = self->own_ns;
    if (self->depth == DEPTH)
        await(self->n, async_sleep(self->limit_ms));
    else
        await(self->n, async_call(nests, self->depth + 1), self->limit_ms);
    async_return(self->n);
    async_end;
}

static int64_t nearest_limit(void)
{
    int64_t nearest_ns = INT64_MAX;
    for (int i = 0; i <= DEPTH; i++)
        if (limits_ns[i] < nearest_ns)
            nearest_ns = limits_ns[i];
    return nearest_ns;
}

AsyncTestWith(limits, the_nearest_of_them_wins, (.seeds = 1500, .torture = 1), int i;
              async_result n;)
{
    async_begin;
    for (self->i = 0; self->i < 12; self->i++) {
        for (int i = 0; i <= DEPTH; i++)
            limits_ns[i] = INT64_MAX;
        await(self->n, async_call(nests));
        async_ok(self->n == -ETIMEDOUT ? 0 : self->n);
        cr_assert(async_now() >= nearest_limit());
        if (self->n == 0)
            cr_assert(async_now() >= limits_ns[DEPTH]);
        if (sim_is_calm())
            cr_assert(async_now() < nearest_limit() + 2 * MS);
        if (sim_is_calm() && limits_ns[DEPTH] > nearest_limit())
            cr_assert_eq(self->n, -ETIMEDOUT);
        async_sometimes(self->n == 0);
        async_sometimes(self->n == -ETIMEDOUT);
    }
    async_end;
}

/* A limit bounds the tasks that are spawned beneath it, a detached one not. */
async(spawns_under_a_limit, async_task *inner, *detached; async_result n;)
{
    async_begin;
    *self->inner = async_keep(async_spawn(sleeps_for, 50));
    async_ok(*self->inner);
    *self->detached = async_spawn(sleeps_for, 50);
    async_ok(*self->detached);
    async_detach(*self->detached);
    await(self->n, async_join(*self->inner));
    async_return(self->n);
    async_end;
}

AsyncTestWith(limits, bound_what_is_spawned_beneath, (.seeds = 1000, .torture = 1, .real = 1),
              async_task inner, detached; int64_t start_ns; async_result n;)
{
    async_begin;
    self->start_ns = async_now();
    await(self->n, async_call(spawns_under_a_limit, &self->inner, &self->detached), 2);
    async_ok(self->n == -ETIMEDOUT ? 0 : self->n);
    cr_assert_eq(self->n, -ETIMEDOUT);
    cr_assert(async_now() - self->start_ns >= 2 * MS);
    if (sim_is_real())
        async_return(0);
    await(self->n, async_join(self->inner));
    async_ok(self->n == -ETIMEDOUT ? 0 : self->n);
    await(self->n, async_join(self->detached));
    async_ok(self->n == -ESRCH ? 0 : self->n);
    cr_assert(async_now() - self->start_ns >= 50 * MS || sim_has_failed());
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Long steps
 * ------------------------------------------------------------------------- */
static int64_t ticked_ns[100];
static int tick_count;

static void ticks(void *data)
{
    (void)data;
    cr_assert_lt(tick_count, 100);
    ticked_ns[tick_count++] = async_now();
}

/* What is started after a step of half a second counts from then, not from the loop's last look. */
AsyncTestWith(sleeps, that_follow_a_long_step_are_whole, (.seeds = 1000, .torture = 1), int i;
              int64_t start_ns; async_task task; async_result n;)
{
    async_begin;
    for (self->i = 0; self->i < 8; self->i++) {
        sim_advance(100 + (int64_t)sim_random(400));
        self->start_ns = async_now();
        timer_count = fired_count = 0;
        async_ok(start_timer(10));
        self->task = async_keep(async_spawn(sleeps_for, 12));
        async_ok(self->task);
        await(self->n, async_sleep(1000), 11);
        async_ok(self->n == -ETIMEDOUT ? 0 : self->n);
        cr_assert(async_now() - self->start_ns >= 11 * MS);
        sim_advance((int64_t)sim_random(3));
        await(self->n, async_join(self->task));
        async_ok(self->n);
        cr_assert(async_now() - self->start_ns >= 12 * MS);
        await(async_yield()); /* all may have come due at once, the callback last in the batch */
        cr_assert_eq(fired_count, 1);
    }
    async_end;
}

/* Every 10 ms: what is missed during a long step is left out, and the rest keeps step. */
AsyncTestWith(timers, that_repeat_keep_step, (.seeds = 1000, .torture = 1), int i, before;
              int64_t start_ns; async_handle every;)
{
    async_begin;
    tick_count = 0;
    self->start_ns = async_now();
    self->every = async_every(10, NULL, ticks);
    async_ok(self->every);
    for (self->i = 0; self->i < 6; self->i++) {
        self->before = tick_count;
        sim_advance(15 + (int64_t)sim_random(90));
        await(async_yield());
        await(async_yield());
        cr_assert(tick_count <= self->before + 1 || !sim_is_calm());
        await(async_sleep(25));
    }
    cr_assert_eq(async_cancel(self->every), 0);
    cr_assert_eq(async_cancel(self->every), -ESRCH);
    cr_assert(tick_count >= 12 || sim_has_failed());
    for (int i = 0; i < tick_count; i++)
        cr_assert(ticked_ns[i] - self->start_ns >= 10 * MS * (i + 1));
    async_end;
}
