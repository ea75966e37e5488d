/*
 * Cancelling in the simulated world: whatever a task waits for, it ends, and leaves things whole.
 *
 * Method. Tasks that wait in each way there is are cancelled at moments drawn from the seed; each
 * keeps a record of its way out, which is compared with what the rules say.
 */
#include "async_test.h"

#include <stdbool.h>

/* ----------------------------------------------------------------------------
 * MARK: - A storm
 * ------------------------------------------------------------------------- */
enum { SLEEPS, YIELDS, READS, WRITES, READABLE, ACCEPTS, JOINS, JOINS_ALL, SELECTS, CALLS,
       FLUSHES, WAYS };

static struct {
    int pipe[2], quiet[2], full[2], listener;
    async_stream *stream;
    async_task sleeper[2];
    bool is_cancelled[WAYS], is_over[WAYS];
    int told[WAYS]; /* how often -ECANCELED came */
} storm;

async(sleeps)
{
    async_begin;
    await(async_sleep(100000));
    async_end;
}

async(calls_deep, int depth; async_result n;)
{
    async_begin;
    if (self->depth)
        await(self->n, async_call(calls_deep, self->depth - 1));
    else
        await(self->n, async_sleep(100000));
    async_return(self->n);
    async_end;
}

static char lots[70000];

/* Waits in its way for what never comes. Returns how that ended. */
async(waits, int way, yields; char byte; async_task tasks[2]; async_case it; async_result n;)
{
    async_begin;
    if (self->way == YIELDS)
        for (self->yields = 0; self->yields < 50 && !self->n; self->yields++)
            await(self->n, async_yield());
    if (self->way == SLEEPS || (self->way == YIELDS && !self->n))
        await(self->n, async_sleep(100000));
    if (self->way == READS)
        await(self->n, async_read(storm.pipe[0], &self->byte, 1));
    if (self->way == WRITES)
        while (self->n >= 0)
            await(self->n, async_write(storm.full[1], lots, sizeof lots));
    if (self->way == READABLE)
        await(self->n, async_readable(storm.quiet[0]));
    if (self->way == ACCEPTS)
        await(self->n, async_accept(storm.listener));
    if (self->way == JOINS)
        await(self->n, async_join(storm.sleeper[0]));
    self->tasks[0] = storm.sleeper[0];
    self->tasks[1] = storm.sleeper[1];
    self->it = async_case_join(storm.sleeper[1]);
    if (self->way == JOINS_ALL)
        await(self->n, async_join_all(self->tasks, 1));
    if (self->way == SELECTS)
        await(self->n, async_select(&self->it, 1));
    if (self->way == CALLS)
        await(self->n, async_call(calls_deep, 4));
    if (self->way == FLUSHES)
        await(self->n, async_stream_flush(storm.stream));
    storm.told[self->way] += self->n == -ECANCELED;
    cr_assert(!self->n || sim_has_failed() || storm.is_cancelled[self->way]);
    await(self->n, async_sleep(1)); /* and once more */
    storm.told[self->way] += self->n == -ECANCELED;
    async_return(self->n);
    async_finally;
    await(async_sleep((int64_t)sim_random(3)));
    storm.is_over[self->way] = true;
    async_end;
}

static async_result open_storm(void)
{
    int result;
    memset(&storm, 0, sizeof storm);
    storm.pipe[0] = storm.pipe[1] = storm.quiet[0] = storm.quiet[1] = -1;
    storm.full[0] = storm.full[1] = storm.listener = -1;
    if ((result = async_pipe(storm.pipe)) < 0 || (result = async_pipe(storm.quiet)) < 0 ||
        (result = async_socketpair(storm.full)) < 0)
        return result;
    storm.listener = async_listen("127.0.0.1", 0);
    if (storm.listener < 0)
        return storm.listener;
    storm.stream = async_stream_open(storm.full[0]);
    if (!storm.stream)
        return -ENOMEM;
    result = async_stream_write(storm.stream, lots, sizeof lots);
    for (int i = 0; i < 2 && !result; i++) {
        storm.sleeper[i] = async_spawn(sleeps);
        result = storm.sleeper[i] < 0 ? (int)storm.sleeper[i] : 0;
    }
    return result;
}

static void close_storm(void)
{
    async_close(storm.pipe[0]);
    async_close(storm.pipe[1]);
    async_close(storm.quiet[0]);
    async_close(storm.quiet[1]);
    async_close(storm.full[1]);
    async_close(storm.listener);
    if (!storm.stream)
        async_close(storm.full[0]);
    async_stream_close(storm.stream);
}

AsyncTestWith(cancel, ends_whoever_waits_for_whatever, (.seeds = 1200, .torture = 1),
              async_task tasks[WAYS]; int i, chosen; async_result n;)
{
    async_begin;
    async_ok(open_storm());
    for (int i = 0; i < WAYS; i++)
        async_ok(self->tasks[i] = async_keep(async_spawn(waits, i)));
    for (self->i = 0; self->i < WAYS; self->i++) {
        do
            self->chosen = (int)sim_random(WAYS);
        while (storm.is_cancelled[self->chosen]);
        storm.is_cancelled[self->chosen] = true;
        self->n = async_cancel(self->tasks[self->chosen]);
        cr_assert(self->n == 0 || sim_has_failed());
        if (sim_random(2)) /* twice is as once */
            cr_assert(async_cancel(self->tasks[self->chosen]) == self->n);
        if (sim_random(2))
            await(async_sleep((int64_t)sim_random(3)));
    }
    for (self->i = 0; self->i < WAYS; self->i++) {
        await(self->n, async_join(self->tasks[self->i]));
        cr_assert(storm.is_over[self->i] || sim_has_failed());
        cr_assert(self->n == -ECANCELED || sim_has_failed());
        cr_assert(storm.told[self->i] == 2 || sim_has_failed()); /* until it has left */
    }
    async_finally;
    close_storm();
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Shields and finally sections
 * ------------------------------------------------------------------------- */
static struct {
    int shielded, finals;
    bool is_told;
} shields;

/* Waits that no cancel ends, between some that it does. */
async(shielded, int depth; async_result n; int64_t start_ns;)
{
    async_begin;
    await(self->n, async_sleep((int64_t)sim_random(4)));
    if (self->n < 0)
        async_return(self->n);
    self->start_ns = async_now();
    await(self->n, async_shield(async_sleep(5)));
    cr_assert(self->n == 0 || sim_has_failed());
    cr_assert(async_now() - self->start_ns >= 5000000 || sim_has_failed());
    shields.shielded++;
    if (self->depth)
        await(self->n, async_shield(async_call(shielded, self->depth - 1)));
    cr_assert(self->n == 0 || sim_has_failed()); /* nor does it reach what is called there */
    if (self->n < 0)
        async_return(self->n);
    await(self->n, async_sleep(2));
    async_return(self->n);
    async_finally;
    self->start_ns = async_now();
    await(async_sleep(3));
    cr_assert(async_now() - self->start_ns >= 3000000 || sim_has_failed());
    await(self->n, async_sleep(1000), 1); /* its own limit holds here too */
    cr_assert(self->n == -ETIMEDOUT || sim_has_failed());
    shields.finals++;
    async_end;
}

AsyncTestWith(cancel, waits_for_what_is_shielded, (.seeds = 1500, .torture = 1), async_task task;
              int i; async_result n;)
{
    async_begin;
    for (self->i = 0; self->i < 6; self->i++) {
        memset(&shields, 0, sizeof shields);
        self->task = async_keep(async_spawn(shielded, 2));
        async_ok(self->task);
        await(async_sleep((int64_t)sim_random(36)));
        shields.is_told = async_cancel(self->task) == 0;
        await(self->n, async_join(self->task));
        cr_assert(self->n == 0 || self->n == -ECANCELED || sim_has_failed());
        /* Once a shield is entered what is called there runs to its end. */
        cr_assert(shields.finals == shields.shielded || self->n == -ECANCELED || sim_has_failed());
        cr_assert(shields.finals >= 1 || sim_has_failed());
        async_sometimes(self->n == 0);
        async_sometimes(self->n == -ECANCELED && shields.shielded == 0);
        async_sometimes(self->n == -ECANCELED && shields.shielded == 3);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - A write cut short
 * ------------------------------------------------------------------------- */
enum { BULK = 100000 };
static char bulk[BULK], drained[BULK];

async(writes_bulk, int fd; async_result n;)
{
    async_begin;
    await(self->n, async_write(self->fd, bulk, BULK));
    async_return(self->n);
    async_finally;
    async_close(self->fd);
    async_end;
}

/* What the writer says it has written is what arrives, to the byte. */
AsyncTestWith(cancel, keeps_count_of_what_was_written, (.seeds = 1200, .torture = 1), int ends[2];
              async_task writer; size_t sum; int i; async_result n, written;)
{
    async_begin;
    for (size_t i = 0; i < BULK; i++)
        bulk[i] = (char)(i * 7 + i / 251);
    async_ok(sim_random(2) ? async_socketpair(self->ends) : async_pipe(self->ends));
    self->writer = async_keep(async_spawn(writes_bulk, self->ends[1]));
    if (self->writer < 0)
        async_close(self->ends[1]);
    async_ok(self->writer);
    for (self->i = (int)sim_random(8); self->i > 0; self->i--) {
        await(self->n, async_read(self->ends[0], drained + self->sum, 4000), 1);
        async_ok(self->n == -ETIMEDOUT ? 0 : self->n);
        self->sum += self->n > 0 ? (size_t)self->n : 0;
    }
    async_cancel(self->writer);
    await(self->written, async_join(self->writer));
    do {
        await(self->n, async_read(self->ends[0], drained + self->sum, BULK - self->sum));
        async_ok(self->n);
        self->sum += (size_t)self->n;
    } while (self->n > 0 && self->sum < BULK);
    if (!sim_has_failed()) {
        cr_assert(self->written >= 0 ? self->sum == (size_t)self->written : self->sum == 0);
        cr_assert(self->written >= 0 || self->written == -ECANCELED);
        cr_assert(memcmp(bulk, drained, self->sum) == 0);
        async_sometimes(self->written > 0 && self->written < BULK);
    }
    async_finally;
    async_close(self->ends[0]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Those that can run already
 * ------------------------------------------------------------------------- */
async(joins_one, async_task other; async_result n, next;)
{
    async_begin;
    await(self->n, async_join(self->other));
    await(self->next, async_yield());
    async_return(self->n == 42 && self->next == -ECANCELED ? 1
                 : self->n == -ECANCELED && self->next == -ECANCELED ? 2
                 : self->n == 42 && self->next == 0 ? 3 : self->n < 0 ? self->n : -EPROTO);
    async_end;
}

async(gives_42, int64_t duration_ms;)
{
    async_begin;
    await(async_sleep(self->duration_ms));
    async_return(42);
    async_end;
}

async(cancels, async_task *victims; int count; int64_t duration_ms;)
{
    async_begin;
    await(async_sleep(self->duration_ms));
    for (int i = 0; i < self->count; i++)
        async_cancel(self->victims[i]);
    async_end;
}

/* A result that has come is not taken away; the cancel arrives at the next await. */
AsyncTestWith(cancel, comes_after_a_result_that_is_there, (.seeds = 1500, .torture = 1),
              async_task source, victims[6]; int i; int64_t until_ns; async_result n;)
{
    async_begin;
    self->source = async_spawn(gives_42, 3);
    async_ok(self->source);
    for (int i = 0; i < 6; i++)
        async_ok(self->victims[i] = async_keep(async_spawn(joins_one, self->source)));
    async_ok(async_spawn(cancels, self->victims, 6, 2 + (int64_t)sim_random(3)));
    await(self->n, async_join_all(self->victims, 6));
    async_ok(self->n);
    for (self->i = 0; self->i < 6; self->i++) {
        await(self->n, async_join(self->victims[self->i]));
        cr_assert((self->n >= 1 && self->n <= 3) || sim_has_failed());
        async_sometimes(self->n == 1);
        async_sometimes(self->n == 2);
        async_sometimes(self->n == 3);
    }
    async_end;
}

/* Before its first step: it runs to its first await, no further. */
async(is_told_at_once, int *steps;)
{
    async_begin;
    ++*self->steps;
    await(async_yield());
    *self->steps += 100;
    async_finally;
    *self->steps += 10;
    async_end;
}

AsyncTestWith(cancel, of_a_task_that_has_not_begun, (.seeds = 1000, .torture = 1, .real = 1),
              int steps[8]; async_task tasks[8]; int i; async_result n;)
{
    async_begin;
    for (int i = 0; i < 8; i++) {
        async_ok(self->tasks[i] = async_keep(async_spawn(is_told_at_once, &self->steps[i])));
        cr_assert_eq(async_cancel(self->tasks[i]), 0);
    }
    for (self->i = 0; self->i < 8; self->i++) {
        await(self->n, async_join(self->tasks[self->i]));
        async_ok(self->n == -ECANCELED ? 0 : self->n);
        cr_assert(self->n == -ECANCELED);
        cr_assert_eq(self->steps[self->i], 11);
        cr_assert_eq(async_cancel(self->tasks[self->i]), -ESRCH);
    }
    async_end;
}

async(yields_once, async_result *result;)
{
    async_result n;
    async_begin;
    await(n, async_yield());
    *self->result = n;
    async_end;
}

/* A yield is an await like any other: a task that was told to end hears of it there. */
AsyncTestWith(cancel, arrives_at_a_yield, (.seeds = 20), async_task task; async_result result;)
{
    async_begin;
    self->task = async_keep(async_spawn(yields_once, &self->result));
    async_cancel(self->task);
    await(async_join(self->task));
    cr_assert_eq(self->result, -ECANCELED);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Before an operation
 * ------------------------------------------------------------------------- */
static async_result is_called(void *called)
{
    return *(int *)called = 1;
}

enum { CONNECT_AT, OFFLOAD, RESOLVE, OPERATIONS };

async(begins, int operation; int called; async_address address; async_result n;)
{
    async_begin;
    async_address_parse(&self->address, "127.0.0.1", 80);
    if (self->operation == CONNECT_AT)
        await(self->n, async_connect_at(&self->address));
    else if (self->operation == OFFLOAD)
        await(self->n, async_offload(is_called, &self->called));
    else
        await(self->n, async_resolve("127.0.0.2", 80, &self->address, 1));
    cr_assert(!self->called);
    cr_assert_eq(self->address.is.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    async_return(self->n);
    async_end;
}

AsyncTestWith(cancel, before_an_operation_is_heard_of_instead_of_it, (.seeds = 20),
              async_task task; int i; async_result n;)
{
    async_begin;
    for (; self->i < OPERATIONS; self->i++) {
        self->task = async_keep(async_spawn(begins, self->i));
        async_ok(async_cancel(self->task));
        await(self->n, async_join(self->task));
        cr_assert_eq(self->n, -ECANCELED);
    }
    cr_assert_eq(sim_count(connect) + sim_count(pthread_create), 0);
    async_end;
}

/* One of two has ended, then told to end: it must not go on behind the await. */
async(sleeps_for, int ms;)
{
    async_begin;
    await(async_sleep(self->ms));
    async_end;
}

async(joins_both, async_task tasks[2]; int *went_on;)
{
    async_begin;
    await(async_join_all(self->tasks, 2));
    *self->went_on = 1;
    async_end;
}

AsyncTest(cancel, ends_a_join_of_several_of_which_one_has_ended, async_task tasks[2];
          async_task task; int went_on;)
{
    async_result n;
    async_begin;
    self->tasks[0] = async_keep(async_spawn(sleeps_for, 10));
    self->tasks[1] = async_keep(async_spawn(sleeps_for, 1000));
    self->task = async_keep(async_spawn(joins_both, { self->tasks[0], self->tasks[1] },
                                        &self->went_on));
    await(async_sleep(100));
    async_cancel(self->task);
    await(n, async_join(self->task));
    cr_assert_eq(n, -ECANCELED);
    cr_assert_eq(self->went_on, 0);
    async_end;
}

/* A finally that waits, and is served, hides nothing from the caller. */
async(waits_and_tidies_up, async_event *never; async_event *tidied;)
{
    int n;
    async_begin;
    await(n, async_event_wait(self->never));
    async_return(n);
    async_finally;
    await(n, async_event_wait(self->tidied));
    async_end;
}

async(calls_who_tidies_up, async_event *never; async_event *tidied; int *went_on;)
{
    async_begin;
    await(async_call(waits_and_tidies_up, self->never, self->tidied));
    *self->went_on = 1;
    async_end;
}

AsyncTestWith(cancel, passes_a_finally_that_was_served, (.seeds = 20), async_event never, tidied;
              async_task task; int went_on;)
{
    async_result n;
    async_begin;
    self->task = async_keep(async_spawn(calls_who_tidies_up, &self->never, &self->tidied,
                                        &self->went_on));
    await(async_sleep(1));
    async_cancel(self->task);
    await(async_sleep(1));
    async_event_set(&self->tidied);
    await(n, async_join(self->task));
    cr_assert_eq(n, -ECANCELED);
    cr_assert_eq(self->went_on, 0);
    async_end;
}

/* Who only wraps a lock: with the permit its caller goes on, and hears of the cancel afterwards. */
async(wraps_a_lock, async_semaphore *permits; int is_shielded;)
{
    async_begin;
    if (self->is_shielded)
        await(async_shield(async_semaphore_acquire(self->permits)));
    else
        await(async_semaphore_acquire(self->permits));
    async_end;
}

async(calls_who_wraps_a_lock, async_semaphore *permits; int is_shielded; int has_it;)
{
    int n;
    async_begin;
    await(async_call(wraps_a_lock, self->permits, self->is_shielded));
    self->has_it = 1;
    await(n, async_sleep(10));
    cr_assert_eq(n, -ECANCELED);
    async_return(n);
    async_finally;
    if (self->has_it)
        async_semaphore_release(self->permits);
    async_end;
}

AsyncTestWith(cancel, leaves_no_permit_with_a_caller_that_is_gone, (.seeds = 50),
              async_semaphore permits; async_task task; int i;)
{
    async_result n;
    async_begin;
    for (; self->i < 4; self->i++) {
        self->task = async_keep(async_spawn(calls_who_wraps_a_lock, &self->permits, self->i & 1));
        await(async_sleep(1));
        if (self->i & 2)
            async_cancel(self->task);
        async_semaphore_release(&self->permits);
        async_cancel(self->task);
        await(n, async_join(self->task));
        cr_assert_eq(n, -ECANCELED);
        cr_assert_eq(async_semaphore_acquire_nowait(&self->permits), 0);
        cr_assert_eq(async_semaphore_acquire_nowait(&self->permits), -EAGAIN);
    }
    async_end;
}

/* What is out of a write that was cut short is no success. */
async(sends_all, int fd; char *data; size_t size; size_t *sent;)
{
    async_begin;
    await(async_write(self->fd, self->data, self->size));
    *self->sent += self->size;
    async_end;
}

AsyncTestWith(cancel, leaves_a_write_of_which_a_part_is_out, (.seeds = 10), int ends[2];
              char data[30000]; size_t sent, came; async_task task; int i;)
{
    async_result n;
    async_begin;
    async_ok(async_socketpair(self->ends));
    for (n = 0; n == 0; self->i++)
        await(n, async_call(sends_all, self->ends[0], self->data, sizeof self->data, &self->sent),
              50);
    cr_assert_eq(n, -ETIMEDOUT);
    cr_assert_eq(self->sent, (size_t)(self->i - 1) * sizeof self->data);
    while (self->came < self->sent) {
        await(n, async_read(self->ends[1], self->data, sizeof self->data), 50);
        async_ok(n);
        self->came += (size_t)n;
    }
    self->task = async_keep(async_spawn(sends_all, self->ends[0], self->data, sizeof self->data,
                                        &self->sent));
    await(async_yield());
    async_cancel(self->task);
    await(n, async_join(self->task));
    cr_assert(n == -ECANCELED || n == 0);
    async_end;
}

/* What an earlier await was handed does not count for this one. */
async(yields_after_its_permit, async_semaphore *permits; int *stage;)
{
    int n;
    async_begin;
    await(n, async_semaphore_acquire(self->permits));
    *self->stage = 1 + n;
    await(async_yield());
    *self->stage = 2;
    async_end;
}

AsyncTestWith(cancel, ends_a_yield_of_who_was_served_before, (.seeds = 50), async_semaphore permits;
              async_task task; int stage, was;)
{
    async_result n;
    async_begin;
    self->task = async_keep(async_spawn(yields_after_its_permit, &self->permits, &self->stage));
    await(async_sleep(1));
    async_semaphore_release(&self->permits);
    while (!self->stage)
        await(async_yield());
    self->was = self->stage;
    async_cancel(self->task);
    await(n, async_join(self->task));
    async_sometimes(self->was == 1);
    cr_assert(n == (self->was == 1 ? -ECANCELED : 0) && self->stage == self->was);
    async_end;
}
