/*
 * Tasks in the simulated world: trees of them, joining, keeping, detaching, fairness.
 *
 * Method. Bodies draw their own course from the seed, keep a plain record of what each task did,
 * and compare what the library says with that record.
 */
#include "async_test.h"

#include <stdbool.h>

/* ----------------------------------------------------------------------------
 * MARK: - A tree of random lifetimes
 * ------------------------------------------------------------------------- */
enum { TREES = 4, NODES = 64 };

/* What is known of each node. A node is over when its finally section is. */
static struct node_record {
    int parent; /* -1: nobody waits for it */
    bool is_over;
} nodes[NODES + TREES];
static int node_count;

/* Everything beneath a node that has been joined is over too. */
static void check_beneath(int number)
{
    for (int i = 0; i < node_count; i++) {
        if (nodes[i].parent != number)
            continue;
        cr_assert(nodes[i].is_over);
        check_beneath(i);
    }
}

/* Has some children, lets some of them go, waits a little or for one of them; then it ends, and
 * with it those that are left. */
async(node, int number, depth; int child_number; async_task child; async_result result;)
{
    int children;
    async_begin;
    children = self->depth ? (int)sim_random(4) : 0;
    for (; children && node_count < NODES; children--) {
        int number = node_count;
        async_task child = async_spawn(node, .number = number, .depth = self->depth - 1);
        if (child < 0)
            break;
        nodes[number].parent = self->number;
        nodes[number].is_over = false;
        node_count++;
        if (!sim_random(5) && async_detach(child) == 0)
            nodes[number].parent = -1;
        self->child = child;
        self->child_number = number;
    }
    await(self->result, async_sleep((int64_t)sim_random(8)));
    if (self->child && sim_random(2)) {
        await(self->result, async_join(self->child), 1 + (int64_t)sim_random(8));
        if (self->result == 0)
            check_beneath(self->child_number);
    }
    async_return(0);
    async_finally;
    await(async_sleep((int64_t)sim_random(3)));
    nodes[self->number].is_over = true;
    async_end;
}

async(forest, int i, number; async_task task; async_result result;)
{
    async_begin;
    for (self->i = 0; self->i < TREES; self->i++) {
        self->number = node_count++;
        nodes[self->number].parent = -1;
        nodes[self->number].is_over = false;
        self->task = async_keep(async_spawn(node, .number = self->number, .depth = 3));
        if (self->task < 0)
            nodes[self->number].is_over = true;
        async_ok(self->task);
        if (sim_random(2))
            async_cancel(self->task);
        await(self->result, async_join(self->task));
        async_ok(self->result);
        check_beneath(self->number);
    }
    async_end;
}

AsyncTestBare(tasks, end_before_their_parents_do, (.seeds = 1200, .torture = 1))
{
    async_result result;
    node_count = 0;
    result = async_run(forest);
    cr_assert(result == 0 || sim_shows_errors());
    for (int i = 0; i < node_count; i++)
        cr_assert(nodes[i].is_over);
    async_sometimes(node_count > 20);
}

/* ----------------------------------------------------------------------------
 * MARK: - Joining
 * ------------------------------------------------------------------------- */
enum { WORKERS = 10, UNKNOWN = 12345678 };

static async_result outcomes[WORKERS];
static bool is_told[WORKERS]; /* to end */

async(worker, int number; int64_t duration_ms; async_result result;)
{
    async_begin;
    await(self->result, async_sleep(self->duration_ms));
    if (self->result < 0)
        async_return(self->result);
    async_return(self->number * 7 + 1);
    async_finally;
    await(async_sleep(self->number % 3));
    outcomes[self->number] = self->result < 0 ? self->result : self->number * 7 + 1;
    async_end;
}

/* What a join may say: what the worker ended with, or why there is nothing to say. */
static void check_joined(int number, async_result result, bool is_limited)
{
    if (result == -ESRCH || sim_has_failed())
        return;
    if (result == -ECANCELED && async_cancelled() == -ECANCELED)
        return;
    if (result == -ETIMEDOUT && is_limited)
        return;
    cr_assert(result == outcomes[number]);
    cr_assert(result != -ECANCELED || is_told[number]);
}

async(joiner, const async_task *workers; int number; int64_t limit_ms; int i; async_result n;)
{
    async_begin;
    for (self->i = 0; self->i < 3; self->i++) {
        self->number = (int)sim_random(WORKERS);
        self->limit_ms = sim_random(2) ? (int64_t)sim_random(20) : -1;
        await(self->n, async_join(self->workers[self->number]), self->limit_ms);
        check_joined(self->number, self->n, self->limit_ms >= 0);
    }
    async_end;
}

/* One at a time may wait for all. */
async(watcher, const async_task *workers; async_result n;)
{
    async_begin;
    await(self->n, async_join_all(self->workers, WORKERS), 1 + (int64_t)sim_random(40));
    for (int i = 0; i < WORKERS; i++)
        cr_assert(self->n < 0 || outcomes[i] != UNKNOWN);
    if (self->n == -ECANCELED && !async_cancelled() && !sim_has_failed()) {
        bool one = false;
        for (int i = 0; i < WORKERS; i++)
            one |= outcomes[i] == -ECANCELED;
        cr_assert(one);
    }
    async_end;
}

AsyncTestWith(tasks, are_joined_while_others_cancel, (.seeds = 1500, .torture = 1),
              async_task workers[WORKERS]; async_task joiners[6]; int i; int chosen;)
{
    async_begin;
    for (int i = 0; i < WORKERS; i++) {
        outcomes[i] = UNKNOWN;
        is_told[i] = false;
        self->workers[i] = async_keep(async_spawn(worker, i, (int64_t)sim_random(25)));
        async_ok(self->workers[i]);
    }
    for (int i = 0; i < 6; i++) {
        self->joiners[i] = i ? async_spawn(joiner, self->workers)
                             : async_spawn(watcher, self->workers);
        async_ok(self->joiners[i]);
    }
    for (self->i = 0; self->i < 8; self->i++) {
        await(async_sleep((int64_t)sim_random(5)));
        self->chosen = (int)sim_random(WORKERS + 6);
        if (self->chosen >= WORKERS) {
            async_cancel(self->joiners[self->chosen - WORKERS]);
        } else {
            is_told[self->chosen] = true;
            async_cancel(self->workers[self->chosen]);
        }
    }
    for (self->i = 0; self->i < 6; self->i++) {
        ssize_t ignored;
        await(ignored, async_join(self->joiners[self->i]));
        (void)ignored;
    }
    for (self->i = 0; self->i < WORKERS; self->i++) {
        async_result n;
        await(n, async_join(self->workers[self->i]));
        check_joined(self->i, n, false);
        async_sometimes(n == -ESRCH);
        async_sometimes(n > 0);
        cr_assert(outcomes[self->i] != UNKNOWN || sim_has_failed());
    }
    async_end;
}

/* Each is had once, with its own result, in the order in which they end. */
AsyncTestWith(tasks, are_taken_one_by_one_as_they_end, (.seeds = 1500, .torture = 1, .real = 1),
              async_task left[WORKERS]; int number[WORKERS]; size_t count; size_t index;
              int64_t due_ns[WORKERS]; int64_t last_ns; async_case cases[WORKERS]; async_result n;)
{
    async_begin;
    for (self->count = 0; self->count < WORKERS; self->count++) {
        int i = (int)self->count;
        int64_t duration_ms = sim_is_real() ? i % 4 : (int64_t)sim_random(30);
        self->number[i] = i;
        self->due_ns[i] = async_now() + duration_ms * 1000000;
        self->left[i] = async_keep(async_spawn(worker, i, duration_ms));
        async_ok(self->left[i]);
    }
    while (self->count) {
        for (size_t i = 0; i < self->count; i++)
            self->cases[i] = async_case_join(self->left[i]);
        await(self->n, async_select(self->cases, self->count));
        async_ok(self->n);
        self->index = (size_t)self->n;
        cr_assert_lt(self->index, self->count);
        cr_assert(async_now() >= self->due_ns[self->index]);
        cr_assert_eq(self->cases[self->index].result, self->number[self->index] * 7 + 1);
        self->count--;
        self->left[self->index] = self->left[self->count];
        self->number[self->index] = self->number[self->count];
        self->due_ns[self->index] = self->due_ns[self->count];
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Joining the children
 * ------------------------------------------------------------------------- */
enum { CHILDREN = 6 };

static int running; /* of the children and what they have spawned, but for the detached */

/* A child: it may have one of its own, or leave its parent in the middle. */
async(child, bool has_one, leaves; async_result n;)
{
    async_begin;
    if (self->has_one && async_spawn(child, .n = 0) > 0)
        running++;
    await(self->n, async_sleep((int64_t)sim_random(6)));
    if (self->leaves) {
        running--;
        cr_assert_eq(async_detach(async_current_task()), 0);
        await(self->n, async_sleep(1000));
    }
    async_return(7);
    async_finally;
    await(self->n, async_sleep((int64_t)sim_random(3)));
    running -= !self->leaves;
    async_end;
}

async(parent, async_task kept; int i; async_result n;)
{
    async_begin;
    self->kept = 0;
    for (self->i = 0; self->i < CHILDREN; self->i++) {
        bool leaves = !sim_random(4);
        async_task one = async_spawn(child, .has_one = !leaves && sim_random(2), .leaves = leaves);
        running += one > 0;
        if (one > 0 && !leaves && sim_random(2))
            self->kept = async_keep(one);
        await(self->n, async_sleep((int64_t)sim_random(3)));
        if (!sim_random(3))
            await(self->n, async_join_children(), (int64_t)sim_random(9));
    }
    await(self->n, async_join_children(), sim_random(3) ? -1 : (int64_t)sim_random(6));
    if (self->n == -ECANCELED || self->n == -ETIMEDOUT)
        async_return(self->n);
    async_ok(self->n);
    cr_assert_eq(running, 0);
    if (!self->kept)
        async_return(0);
    await(self->n, async_join(self->kept));
    if (async_cancelled() == 0)
        async_ok(self->n);
    cr_assert(self->n == 7 || self->n < 0);
    async_return(0);
    async_end;
}

/* All have ended, unless the parent was out of time or cancelled, and then its end ends them. */
AsyncTestWith(children, have_all_ended_when_they_are_joined, (.seeds = 1000, .torture = 1,
              .real = 1), async_task parent; async_result n; int i;)
{
    async_begin;
    for (self->i = 0; self->i < 3; self->i++) {
        running = 0;
        async_ok(self->parent = async_spawn(parent));
        async_ok(async_keep(self->parent));
        await(self->n, async_sleep((int64_t)sim_random(20)));
        if (!sim_random(2))
            async_cancel(self->parent);
        await(self->n, async_join(self->parent));
        async_sometimes(self->n == -ETIMEDOUT);
        async_sometimes(self->n == -ECANCELED);
        async_sometimes(self->n == 0);
        cr_assert(running == 0 || sim_has_failed());
    }
    async_end;
}

AsyncTest(children, that_are_not_there_are_not_waited_for, async_task task; int64_t before_ns;
          async_result n;)
{
    async_begin;
    self->before_ns = async_now();
    await(self->n, async_join_children());
    cr_assert_eq(self->n, 0);
    self->task = async_keep(async_spawn(child, .n = 0));
    await(async_sleep(100));
    self->before_ns = async_now();
    await(self->n, async_join_children(), 0); /* it has ended, and is kept */
    cr_assert_eq(self->n, 0);
    async_ok(self->task = async_spawn(child, .n = 0));
    cr_assert_eq(async_detach(self->task), 0);
    await(self->n, async_join_children(), 0); /* it runs, and is somebody else's */
    cr_assert_eq(self->n, 0);
    cr_assert(async_now() - self->before_ns < 1000000 || !sim_is_calm());
    async_end;
}

/* The last two leave while they are waited for, each by another's hand. */
async(waits, async_event *event;)
{
    async_begin;
    await(async_event_wait(self->event));
    async_end;
}

async(detaches, async_task task;)
{
    async_begin;
    await(async_sleep(5));
    cr_assert_eq(async_detach(self->task), 0);
    async_end;
}

AsyncTest(children, may_be_detached_while_they_are_joined, async_task tasks[2]; async_event never;
          async_result n;)
{
    async_begin;
    for (int i = 0; i < 2; i++) {
        self->tasks[i] = async_spawn(waits, &self->never);
        async_detach(async_spawn(detaches, self->tasks[i]));
    }
    await(self->n, async_join_children());
    cr_assert_eq(self->n, 0);
    async_event_set(&self->never);
    await(async_sleep(1));
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Keeping, detaching, handles
 * ------------------------------------------------------------------------- */
enum { PLAIN, KEPT, DETACHED, FATES };

async(returns, int value; int64_t duration_ms;)
{
    async_begin;
    await(async_sleep(self->duration_ms));
    async_return(self->value);
    async_end;
}

AsyncTestWith(tasks, leave_a_result_only_where_it_is_kept,
              (.seeds = 1200, .torture = 1, .real = 1), async_task tasks[24]; int fates[24];
              int i; async_result n;)
{
    async_begin;
    for (int i = 0; i < 24; i++) {
        self->fates[i] = (int)sim_random(FATES);
        self->tasks[i] = async_spawn(returns, i, sim_is_real() ? i % 3 : (int64_t)sim_random(6));
        async_ok(self->tasks[i]);
        if (self->fates[i] == KEPT)
            cr_assert_eq(async_keep(self->tasks[i]), self->tasks[i]);
        if (self->fates[i] == DETACHED)
            cr_assert_eq(async_detach(self->tasks[i]), 0);
    }
    await(self->n, async_join_all(self->tasks, 24));
    async_ok(self->n);
    for (self->i = 0; self->i < 24; self->i++) { /* who is waited for is kept */
        cr_assert_eq(async_cancel(self->tasks[self->i]), -ESRCH);
        await(self->n, async_join(self->tasks[self->i]));
        cr_assert(self->n == self->i || self->n == -ESRCH || sim_has_failed());
        cr_assert(self->fates[self->i] != KEPT || self->n == self->i || sim_has_failed());
        await(self->n, async_join(self->tasks[self->i]));
        cr_assert(self->n == -ESRCH || sim_has_failed());
    }
    for (self->i = 0; self->i < 24; self->i++) {
        cr_assert_eq(async_keep(self->tasks[self->i]), -ESRCH);
        cr_assert_eq(async_detach(self->tasks[self->i]), -ESRCH);
    }
    async_end;
}

/* A place in the table is used again and again; an old handle never means the new task. */
AsyncTestWith(tasks, have_handles_that_mean_no_other, (.seeds = 300), async_task old[200];
              async_task now; int i; async_result n;)
{
    async_begin;
    for (self->i = 0; self->i < 200; self->i++) {
        self->now = self->old[self->i] = async_spawn(returns, self->i, (int64_t)sim_random(2));
        async_ok(self->now);
        for (int i = 0; i < self->i; i++) {
            cr_assert(self->old[i] != self->now);
            cr_assert_eq(async_cancel(self->old[i]), -ESRCH);
        }
        await(self->n, async_join(self->now));
        cr_assert_eq(self->n, self->i);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Turns
 * ------------------------------------------------------------------------- */
enum { YIELDERS = 7, YIELDS = 60 };
static int yields[YIELDERS];

async(yielder, int number;)
{
    async_begin;
    while (yields[self->number] < YIELDS) {
        yields[self->number]++;
        for (int i = 0; i < YIELDERS; i++) /* nobody is two turns ahead */
            cr_assert(yields[self->number] - yields[i] <= 2);
        await(async_yield());
    }
    async_end;
}

AsyncTestWith(tasks, that_yield_have_their_turns_together, (.seeds = 1000, .torture = 1, .real = 1),
              async_task tasks[YIELDERS]; async_result n;)
{
    async_begin;
    memset(yields, 0, sizeof yields);
    for (int i = 0; i < YIELDERS; i++)
        async_ok(self->tasks[i] = async_spawn(yielder, i));
    await(self->n, async_join_all(self->tasks, YIELDERS));
    async_ok(self->n);
    for (int i = 0; i < YIELDERS; i++)
        cr_assert_eq(yields[i], YIELDS);
    async_end;
}

static bool is_streaming;

async(pours, int fd; int i; char data[16];)
{
    async_result n;
    async_begin;
    for (self->i = 0; self->i < 1000; self->i++) {
        await(n, async_write(self->fd, self->data, sizeof self->data));
        async_ok(n);
        if (self->i % 16 == 0)
            sim_advance(1);
    }
    async_finally;
    async_close(self->fd);
    async_end;
}

async(drinks, int fd; char data[4096];)
{
    async_result n;
    async_begin;
    do {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        async_ok(n);
    } while (n > 0);
    async_finally;
    is_streaming = false;
    async_close(self->fd);
    async_end;
}

/* A stream that never has to wait: who sleeps 5 ms has his turn soon after. */
AsyncTestWith(tasks, that_stream_leave_room_for_others, (.seeds = 40), int ends[2];
              int64_t due_ns; int ticks;)
{
    async_begin;
    async_ok(async_socketpair(self->ends));
    is_streaming = true;
    async_ok(async_spawn(pours, self->ends[0]));
    async_ok(async_spawn(drinks, self->ends[1]));
    while (is_streaming) {
        self->due_ns = async_now() + 5000000;
        await(async_sleep_until(self->due_ns));
        cr_assert(async_now() >= self->due_ns);
        cr_assert(!sim_is_calm() || async_now() - self->due_ns < 12000000);
        self->ticks++;
    }
    cr_assert(!sim_is_calm() || self->ticks >= 4);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Calling
 * ------------------------------------------------------------------------- */

/* fibonacci(n), by its definition; some of the calls wait, some of them under a limit. */
async(fibonacci, int n; async_result one, two;)
{
    async_begin;
    if (self->n < 2)
        async_return(self->n);
    if (!sim_random(6))
        await(async_sleep((int64_t)sim_random(3)));
    await(self->one, async_call(fibonacci, self->n - 1));
    if (self->one < 0)
        async_return(self->one);
    await(self->two, async_call(fibonacci, self->n - 2), 100000);
    async_return(self->two < 0 ? self->two : self->one + self->two);
    async_end;
}

AsyncTestWith(tasks, call_themselves, (.seeds = 1000, .torture = 1, .real = 1), async_result n;)
{
    async_begin;
    await(self->n, async_call(fibonacci, 9));
    async_ok(self->n);
    cr_assert_eq(self->n, 34);
    async_end;
}

async(goes_down, int depth; async_result n;)
{
    async_begin;
    if (!self->depth) {
        await(self->n, async_sleep(1000));
        async_return(self->n);
    }
    await(self->n, async_call(goes_down, self->depth - 1));
    async_return(self->n < 0 ? self->n : self->n + 1);
    async_end;
}

/* From the bottom of three hundred calls: by a result, by a limit of each depth, by a cancel. */
AsyncTestWith(tasks, come_back_from_three_hundred_calls, (.seeds = 200), async_result n;
              async_task task; int64_t start_ns;)
{
    async_begin;
    await(self->n, async_call(goes_down, 300));
    cr_assert_eq(self->n, 300);
    self->start_ns = async_now();
    await(self->n, async_call(goes_down, 300), 7);
    cr_assert_eq(self->n, -ETIMEDOUT);
    cr_assert(async_now() - self->start_ns >= 7000000);
    self->task = async_keep(async_spawn(goes_down, 300));
    await(async_sleep((int64_t)sim_random(4)));
    async_cancel(self->task);
    await(self->n, async_join(self->task));
    cr_assert_eq(self->n, -ECANCELED);
    async_end;
}
