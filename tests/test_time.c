/*
 * Time: sleeping, and the heap of deadlines behind it.
 *
 * Goal: never early, in the order of deadlines, equal ones in the order they were armed, and no
 * wait more than needed. Method: mostly a clock of the test's own, which passes only while the loop
 * waits; the real one where rounding and signals come in. A hundred thousand timers are compared
 * with a sorted list.
 *
 * On the real kernel only: signals. In the simulation only: whether waits are cut to milliseconds.
 */
#include "seam.h"
#include "async.h"
#include "test.h"
#include "trace.h"

#include <sys/time.h>

#define FOREVER INT64_MAX
#define MS INT64_C(1000000)
#define START INT64_C(1000000000000)

#define run_traced(...) (trace_reset(), async_run(__VA_ARGS__))

TEST(time, works_without_a_loop)
{
    int64_t before = async_now();
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    check(before > 0);
    check((int64_t)now.tv_sec * 1000000000 + now.tv_nsec >= before);
    check(async_now() >= (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
}

async(wakes, int64_t deadline_ns; const char *name;)
{
    async_result r;
    async_begin;
    await(r, async_sleep_until(self->deadline_ns));
    check_equal(r, 0);
    check(async_now() >= self->deadline_ns);
    note(self->name);
    async_end;
}

async(wakes_in_order, int i;)
{
    static const struct { int after; const char *name; } order[] = {
        { 5, "e" }, { 3, "b" }, { 9, "h" }, { 1, "a" },
        { 3, "c" }, { 7, "g" }, { 5, "f" }, { 3, "d" }
    };
    async_begin;
    for (self->i = 0; self->i < 8; self->i++)
        check(async_spawn(wakes, START + order[self->i].after, order[self->i].name) > 0);
    await(async_sleep(1));
    await(async_yield());
    async_end;
}

TEST(time, sleepers_wake_by_deadline_and_equal_ones_in_turn)
{
    seam_reset();
    seam_clock = START;
    check_equal(run_traced(wakes_in_order), 0);
    check_text(trace, "abcdefgh");
}

async(notes, const char *name; int64_t duration_ms; int64_t until; int is_until;)
{
    async_result r;
    async_begin;
    note(self->name);
    if (self->is_until)
        await(r, async_sleep_until(self->until));
    else
        await(r, async_sleep(self->duration_ms));
    check_equal(r, 0);
    note(self->name);
    async_end;
}

async(sleeps_for_nothing)
{
    async_begin;
    check(async_spawn(notes, .name = "a", .duration_ms = 0) > 0);
    check(async_spawn(notes, .name = "b", .duration_ms = -1) > 0);
    check(async_spawn(notes, .name = "c", .duration_ms = INT64_MIN) > 0);
    await(async_yield());
    note("-");
    await(async_yield());
    note(".");
    async_end;
}

TEST(time, a_sleep_of_nothing_is_a_yield)
{
    check_equal(run_traced(sleeps_for_nothing), 0);
    check_text(trace, "abc-abc.");
}

async(sleeps_until_the_past, async_task tasks[4];)
{
    async_begin;
    self->tasks[0] = async_spawn(notes, "a", .until = START, .is_until = 1);
    self->tasks[1] = async_spawn(notes, "b", .until = START - 1, .is_until = 1);
    self->tasks[2] = async_spawn(notes, "c", .until = INT64_MIN, .is_until = 1);
    self->tasks[3] = async_spawn(notes, "d", .until = 0, .is_until = 1);
    await(async_join_all(self->tasks, 4));
    check_equal(seam_clock, START);
    async_end;
}

TEST(time, the_past_is_now)
{
    seam_reset();
    seam_clock = START;
    check_equal(run_traced(sleeps_until_the_past), 0);
    check_text(trace, "abcdcdba");
}

async(sleeps_for_ever, int64_t duration_ms; int until;)
{
    async_result r;
    async_begin;
    if (self->until)
        await(r, async_sleep_until(self->duration_ms));
    else
        await(r, async_sleep(self->duration_ms));
    async_return(r);
    async_end;
}

async(cancels_huge, int64_t duration_ms; int until; async_task task; int turns;)
{
    async_result r;
    async_begin;
    self->task = async_spawn(sleeps_for_ever, self->duration_ms, self->until);
    await(async_sleep(3));
    check_equal(async_cancel(self->task), 0);
    await(r, async_join(self->task));
    async_return(r);
    async_end;
}

TEST(time, a_huge_sleep_neither_overflows_nor_ends)
{
    seam_reset();
    for (seam_clock = START; seam_clock < 3 * START; seam_clock += START) {
        check_equal(run_traced(cancels_huge, .duration_ms = INT64_MAX), -ECANCELED);
        check_equal(run_traced(cancels_huge, .duration_ms = INT64_MAX - 1), -ECANCELED);
        check_equal(run_traced(cancels_huge, .duration_ms = INT64_MAX / 1000000), -ECANCELED);
        check_equal(run_traced(cancels_huge, .duration_ms = INT64_MAX, .until = 1), -ECANCELED);
        check_equal(run_traced(cancels_huge, .duration_ms = INT64_MAX - 1, .until = 1), -ECANCELED);
    }
}

async(sleeps_once, int64_t duration_ns;)
{
    async_result r;
    async_begin;
    await(r, async_sleep_until(async_now() + self->duration_ns));
    async_return(r);
    async_end;
}

/* A wait lasts a day at most. */
TEST(time, a_long_sleep_takes_one_wait_a_day)
{
    int64_t day = 86400000 * MS;
    seam_reset();
    seam_clock = START;
    check_equal(run_traced(sleeps_once, 10 * day), 0);
    check(seam_clock >= START + 10 * day);
    check(seam_clock <= START + 10 * day + MS);
    check(seam_waits <= 11);
    seam_waits = 0;
    check_equal(run_traced(sleeps_once, 3600000 * MS), 0);
    check_equal(seam_waits, 1);
}

async(sleeps_real, int64_t duration_ns; int times; int64_t deadline; int waits; int i;)
{
    async_begin;
    for (self->i = 0; self->i < self->times; self->i++) {
        seam_waits = 0;
        self->deadline = async_now() + self->duration_ns;
        await(async_sleep_until(self->deadline));
        check(async_now() >= self->deadline);
        check(seam_waits <= 3);
    }
    async_end;
}

/* Timeouts that are cut to whole milliseconds would come early and spin through the rest. */
SIMULATED_TEST(time, a_sleep_of_one_and_a_half_milliseconds_takes_three_waits_at_most)
{
    seam_reset();
    check_equal(run_traced(sleeps_real, .duration_ns = 3 * MS / 2, .times = 30), 0);
    check_equal(run_traced(sleeps_real, .duration_ns = 1, .times = 30), 0);
    check_equal(run_traced(sleeps_real, .duration_ns = MS - 1, .times = 10), 0);
}

async(sleeps_whole, int64_t start; int ms;)
{
    async_result r;
    async_begin;
    for (self->ms = 1; self->ms <= 5; self->ms++) {
        self->start = async_now();
        await(r, async_sleep(self->ms));
        check_equal(r, 0);
        check(async_now() - self->start >= self->ms * MS);
    }
    async_end;
}

TEST(time, a_sleep_is_never_early)
{
    check_equal(run_traced(sleeps_whole), 0);
}

static volatile sig_atomic_t alarms;

static void alarm_came(int number)
{
    (void)number;
    alarms++;
}

static void alarm_every_us(suseconds_t us)
{
    struct itimerval every;
    memset(&every, 0, sizeof every);
    every.it_interval.tv_usec = every.it_value.tv_usec = us;
    setitimer(ITIMER_REAL, &every, NULL);
}

async(sleeps_alarmed, int64_t start; int ends[2]; char data[1];)
{
    async_result r;
    async_begin;
    check_equal(async_pipe(self->ends), 0);
    self->start = async_now();
    await(r, async_sleep(20));
    check_equal(r, 0);
    check(async_now() - self->start >= 20 * MS);
    self->start = async_now();
    await(r, async_read(self->ends[0], self->data, 1), 20);
    check_equal(r, -ETIMEDOUT);
    check(async_now() - self->start >= 20 * MS);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

REAL_TEST(time, signals_do_not_end_a_sleep, "a real signal")
{
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = alarm_came;
    sigaction(SIGALRM, &action, &before);
    alarms = 0;
    alarm_every_us(1000);
    check_equal(run_traced(sleeps_alarmed), 0);
    alarm_every_us(0);
    signal(SIGALRM, SIG_IGN); /* one may be on its way */
    sigaction(SIGALRM, &before, NULL);
    check(alarms > 0);
}

/* The clock of the batch is old after a long step; a sleep is armed by a fresh one. */
async(sleeps_after_work, int64_t start;)
{
    async_result r;
    async_begin;
    await(async_yield());
    seam_clock += 500 * MS;
    self->start = async_now();
    await(r, async_sleep(100));
    check_equal(r, 0);
    check(async_now() >= self->start + 100 * MS);
    seam_clock += 500 * MS;
    self->start = async_now();
    await(r, async_sleep(1000), 100);
    check_equal(r, -ETIMEDOUT);
    check(async_now() >= self->start + 100 * MS);
    async_end;
}

TEST(time, a_sleep_after_a_long_step_is_not_cut_short)
{
    seam_reset();
    seam_clock = START;
    check_equal(run_traced(sleeps_after_work), 0);
}

async(wakes_together, async_task tasks[3];)
{
    async_begin;
    self->tasks[0] = async_spawn(wakes, START + 2, "b");
    self->tasks[1] = async_spawn(wakes, START + 3, "c");
    self->tasks[2] = async_spawn(wakes, START + 1, "a");
    await(async_yield());
    seam_clock += 10;
    await(async_join_all(self->tasks, 3));
    async_end;
}

TEST(time, what_became_due_together_runs_in_order)
{
    seam_reset();
    seam_clock = START;
    check_equal(run_traced(wakes_together), 0);
    check_text(trace, "abc");
}

async(cancels_sibling, async_task *sibling; int64_t deadline_ns;)
{
    async_begin;
    await(async_sleep_until(self->deadline_ns));
    check_equal(async_cancel(*self->sibling), 0);
    note("a");
    async_end;
}

/* Both are due: the second one's sleep is over, and its cancel comes at the await that follows. */
async(due_sibling, async_task sibling; async_task task;)
{
    async_begin;
    self->task = async_spawn(cancels_sibling, &self->sibling, START + 1);
    self->sibling = async_spawn(wakes, START + 2, "b");
    await(async_yield());
    seam_clock += 10;
    await(async_join(self->task));
    await(async_join(self->sibling));
    async_end;
}

TEST(time, a_sleep_that_is_over_is_not_undone_by_a_cancel)
{
    seam_reset();
    seam_clock = START;
    check_equal(run_traced(due_sibling), 0);
    check_text(trace, "ab");
}

/* ----------------------------------------------------------------------------
 * MARK: - A hundred thousand timers and a sorted list
 * ------------------------------------------------------------------------- */

struct alarm {
    int64_t deadline_ns;
    async_task task;
    uint32_t number; /* in the order of arming */
    int cancelled;
};

static struct alarm *model;
static uint32_t *woken;
static uint32_t woken_count, cancelled_count;
static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

async(alarm_sleeps, uint32_t number;)
{
    async_result r;
    async_begin;
    await(r, async_sleep_until(model[self->number].deadline_ns));
    if (r == 0) {
        check(async_now() >= model[self->number].deadline_ns);
        check(async_now() <= model[self->number].deadline_ns + MS);
        woken[woken_count++] = self->number;
    } else {
        check_equal(r, -ECANCELED);
        cancelled_count++;
    }
    async_end;
}

static void arm(uint32_t number)
{
    struct alarm *alarm = &model[number];
    alarm->number = number;
    alarm->deadline_ns = async_now() + random_below(50000) * INT64_C(1000);
    alarm->task = async_spawn(alarm_sleeps, number);
    check(alarm->task > 0);
}

/* One that is due has been woken already, maybe: leave it. */
static uint32_t cancel_some(uint32_t armed, uint32_t tries)
{
    uint32_t count = 0;
    while (tries--) {
        struct alarm *alarm = &model[random_below(armed)];
        if (alarm->cancelled || alarm->deadline_ns <= async_now())
            continue;
        check_equal(async_cancel(alarm->task), 0);
        alarm->cancelled = 1;
        count++;
    }
    return count;
}

async(random_alarms, uint32_t count; uint32_t armed; uint32_t cancelled;)
{
    uint32_t i;
    async_begin;
    while (self->armed < self->count) {
        for (i = 0; i < self->count / 10; i++)
            arm(self->armed++);
        await(async_yield());
        self->cancelled += cancel_some(self->armed, self->count / 20);
        await(async_sleep_until(async_now() + random_below(5000) * INT64_C(1000)));
    }
    await(async_sleep(60));
    check_equal(cancelled_count, self->cancelled);
    check_equal(woken_count + cancelled_count, self->count);
    async_end;
}

static int by_deadline(const void *a, const void *b)
{
    const struct alarm *left = a, *right = b;
    if (left->deadline_ns != right->deadline_ns)
        return left->deadline_ns < right->deadline_ns ? -1 : 1;
    return left->number < right->number ? -1 : left->number > right->number;
}

TEST(time, a_hundred_thousand_timers_fire_as_a_sorted_list_says)
{
    uint32_t count = test_is_costly() ? 500 : 100000, place = 0;

    seam_reset();
    seam_clock = START;
    random_state = 42;
    woken_count = cancelled_count = 0;
    model = calloc(count, sizeof *model);
    woken = calloc(count, sizeof *woken);
    check_equal(run_traced(random_alarms, .count = count), 0);
    qsort(model, count, sizeof *model, by_deadline);
    for (uint32_t i = 0; i < count; i++) {
        if (!model[i].cancelled)
            check_equal(woken[place++], model[i].number);
    }
    check_equal(place, woken_count);
    check(cancelled_count > count / 10);
    free(woken);
    free(model);
}
