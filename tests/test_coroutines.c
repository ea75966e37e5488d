/*
 * Coroutines: that the macros do what the C around them says.
 *
 * Goal: await, async_return and async_finally behave as statements wherever a statement may stand,
 * and arguments and results arrive. Method: small coroutines that leave a trace of letters, each
 * await both with an operation that is done at once and with one that has to wait.
 *
 * On the real kernel only: a timer beside tasks that never wait, for the simulated clock stands
 * still while tasks run.
 */
#include "async.h"
#include "test.h"

#include "test_coroutines_2.h"

#define NOTHING async_join(0)   /* done at once: -ESRCH    */
#define ONE_TURN async_yield()  /* has to wait: 0          */

static char trace[512];
static size_t traced;

static void trace_reset(void)
{
    traced = 0;
    trace[0] = '\0';
}

static void note(const char *text)
{
    for (; *text && traced + 1 < sizeof trace; text++)
        trace[traced++] = *text;
    trace[traced] = '\0';
}

/* ----------------------------------------------------------------------------
 * MARK: - await is a statement
 * ------------------------------------------------------------------------- */

async(branches, int yes; int waits;)
{
    async_result r;
    async_begin;
    r = 1;
    if (self->yes)
        if (self->waits)
            await(ONE_TURN);
        else
            await(NOTHING);
    else
        await(r, async_yield());
    note(self->yes ? "y" : "n");
    if (!self->yes)
        await(r, NOTHING, 1000);
    else if (self->waits)
        await(r, ONE_TURN, 1000);
    else
        r = 7;
    async_return(r);
    async_end;
}

TEST(coroutines, await_works_under_if_and_else_without_braces)
{
    trace_reset();
    check_equal(async_run(branches, .yes = 1, .waits = 1), 0);
    check_equal(async_run(branches, .yes = 1), 7);
    check_error(async_join, ESRCH, async_run(branches));
    check_text(trace, "yyn");
}

async(loops, int i; int j; int sum;)
{
    async_result r;
    async_begin;
    for (self->i = 0; self->i < 3; self->i++)
        await(ONE_TURN);
    for (self->j = 0; self->j < 5; self->j++) {
        if (self->j == 1)
            continue;
        if (self->j == 4)
            break;
        await(r, ONE_TURN);
        self->sum += (int)r + self->j;
    }
    while (self->i-- > 0)
        await(NOTHING);
    do
        await(r, async_sleep(0), 100);
    while (++self->i < 3);
    do {
        await(r, NOTHING);
    } while (r == 0);
    async_return(self->i * 100 + self->sum);
    async_end;
}

TEST(coroutines, await_works_in_every_loop)
{
    check_equal(async_run(loops), 305);
}

async(once, int made; int placed; int limits; async_result got[3];)
{
    async_begin;
    await((self->made++, NOTHING));
    await((self->made++, ONE_TURN));
    await(self->got[self->placed++], (self->made++, NOTHING));
    await(self->got[self->placed++], (self->made++, ONE_TURN));
    await(self->got[self->placed++], (self->made++, ONE_TURN), (self->limits++, 100));
    check_equal(self->made, 5);
    check_equal(self->placed, 3);
    check_equal(self->limits, 1);
    check_equal(self->got[0], -ESRCH);
    check_equal(self->got[1], 0);
    check_equal(self->got[2], 0);
    async_end;
}

TEST(coroutines, await_evaluates_its_arguments_once)
{
    check_equal(async_run(once), 0);
}

async(other_turns, int *turns;)
{
    async_begin;
    ++*self->turns;
    async_end;
}

async(immediate, int turns;)
{
    async_result r;
    async_begin;
    check(async_spawn(other_turns, .turns = &self->turns) > 0);
    await(NOTHING);
    await(r, NOTHING);
    await(r, NOTHING, 0);
    check_equal(r, -ESRCH);
    check_equal(self->turns, 0);
    await(ONE_TURN);
    check_equal(self->turns, 1);
    async_end;
}

TEST(coroutines, a_result_that_is_there_does_not_suspend)
{
    check_equal(async_run(immediate), 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Results
 * ------------------------------------------------------------------------- */

async(returns, async_result value; int nested; int waits; int i;)
{
    async_begin;
    if (self->waits)
        await(ONE_TURN);
    if (self->nested)
        for (self->i = 0;; self->i++)
            while (self->i > 2)
                async_return(self->value);
    if (self->value)
        async_return(self->value);
    else
        note("e");
    async_end;
}

TEST(coroutines, async_return_leaves_with_its_value)
{
    check_equal(async_run(returns, .value = 5), 5);
    check_equal(async_run(returns, .value = 5, .waits = 1), 5);
    check_equal(async_run(returns, .value = 6, .nested = 1), 6);
    check_equal(async_run(returns, .value = -EPIPE, .waits = 1), -EPIPE);
    check_equal(async_run(returns, .value = INTPTR_MAX), INTPTR_MAX);
    check_equal(async_run(returns, .value = INTPTR_MIN + 1), INTPTR_MIN + 1);
}

TEST(coroutines, falling_to_the_end_returns_zero)
{
    trace_reset();
    check_equal(async_run(returns), 0);
    check_equal(async_run(returns, .waits = 1), 0);
    check_text(trace, "ee");
}

async(bare)
{
    async_begin;
    note("b");
    async_end;
}

async(bare_waits)
{
    async_begin;
    await(async_call(bare));
    await(ONE_TURN);
    async_return(9);
    async_end;
}

TEST(coroutines, there_may_be_no_fields)
{
    trace_reset();
    check_equal(async_run(bare_waits), 9);
    check_text(trace, "b");
}

async(fibonacci, int n; int left;)
{
    int right;
    async_begin;
    if (self->n < 2)
        async_return(self->n);
    await(self->left, async_call(fibonacci, .n = self->n - 1));
    await(right, async_call(fibonacci, .n = self->n - 2));
    async_return(self->left + right);
    async_end;
}

TEST(coroutines, a_call_gives_what_the_coroutine_returns)
{
    check_equal(async_run(fibonacci, .n = 15), 610);
}

async(fill, char *text; size_t size; size_t i;)
{
    async_begin;
    for (self->i = 0; self->i < self->size; self->i++) {
        await(ONE_TURN);
        self->text[self->i] = 'x';
    }
    async_return((async_result)self->size);
    async_end;
}

async(filled, char text[8]; char *where;)
{
    ssize_t n;
    async_begin;
    self->where = self->text;
    await(n, async_call(fill, self->text, sizeof self->text - 1));
    check_equal(n, 7);
    check_text(self->text, "xxxxxxx");
    check(self->where == self->text);
    async_end;
}

TEST(coroutines, a_frame_stays_where_it_is)
{
    check_equal(async_run(filled), 0);
}

async(deep, long left;)
{
    async_result r;
    async_begin;
    if (self->left == 0)
        async_return(1);
    await(r, async_call(deep, .left = self->left - 1));
    async_return(r + 1);
    async_end;
}

/* Fewer in debug builds, where each step scribbles over 4 KiB: still too many for a stack. */
TEST(coroutines, a_recursion_of_a_million_levels_needs_no_stack)
{
    long levels = test_is_costly() ? 20000 : ASYNC_DEBUG ? 100000 : 1000000;
    check_equal(async_run(deep, .left = levels), levels + 1);
}

async(deep_wait, int left;)
{
    async_begin;
    if (self->left)
        await(async_call(deep_wait, .left = self->left - 1));
    else
        await(async_sleep(INT64_MAX));
    note("!");
    async_end;
}


/* 64 calls are one turn. */
async(cancels_deep, async_task task; int turns;)
{
    async_result r;
    async_begin;
    self->task = async_spawn(deep_wait, .left = 10000);
    for (self->turns = 0; self->turns < 200; self->turns++)
        await(ONE_TURN);
    check_equal(async_cancel(self->task), 0);
    await(r, async_join(self->task));
    async_return(r);
    async_end;
}

TEST(coroutines, cancelling_unwinds_a_deep_chain_without_running_on)
{
    trace_reset();
    check_error(async_join, ECANCELED, async_run(cancels_deep));
    check_text(trace, "");
}

/* ----------------------------------------------------------------------------
 * MARK: - Arguments
 * ------------------------------------------------------------------------- */

struct point {
    int x, y;
};

async(arguments, char letter; double number; const char *text; struct point point; int list[3];
      unsigned bits : 5; void (*call)(const char *);)
{
    async_begin;
    check_equal(self->letter, 'q');
    check(self->number > 1.4 && self->number < 1.6);
    check_text(self->text, "text");
    check_equal(self->point.x, 1);
    check_equal(self->point.y, 2);
    check_equal(self->list[2], 30);
    check_equal(self->bits, 19);
    self->call("c");
    async_end;
}

TEST(coroutines, arguments_go_by_name)
{
    struct point point = { 1, 2 };
    trace_reset();
    check_equal(async_run(arguments, .text = "text", .letter = 'q', .call = note, .bits = 19,
                          .point = point, .list = { 10, 20, 30 }, .number = 1.5), 0);
    check_text(trace, "c");
}

async(missing, int given; char text[100]; struct point point; void *pointer; int64_t last;)
{
    size_t i;
    async_begin;
    for (i = 0; i < sizeof self->text; i++)
        check_equal(self->text[i], 0);
    check_equal(self->given, 1);
    check_equal(self->point.x, 0);
    check_equal(self->point.y, 0);
    check(self->pointer == NULL);
    check_equal(self->last, 0);
    async_end;
}

async(calls_missing)
{
    async_result r;
    async_begin;
    await(async_call(missing, .given = 1));
    check(async_spawn(missing, .given = 1) > 0);
    await(r, async_join(async_spawn(missing, .given = 1)));
    check_equal(r, 0);
    async_end;
}

TEST(coroutines, an_argument_that_is_not_passed_is_zero)
{
    check_equal(async_run(missing, .given = 1), 0);
    check_equal(async_run(calls_missing), 0);
}

async(changes, int n;)
{
    async_begin;
    self->n++;
    await(ONE_TURN);
    async_return(self->n);
    async_end;
}

async(copies, int n;)
{
    int r;
    async_begin;
    self->n = 5;
    await(r, async_call(changes, .n = self->n));
    check_equal(self->n, 5);
    async_return(r);
    async_end;
}

TEST(coroutines, arguments_are_copies)
{
    check_equal(async_run(copies), 6);
}

/* A comma in a field is one more argument of the macro. */
async(commas, int a, b, c; int grid[2][2]; struct { int x, y; } at; int (*two)(int, int);
      int d1, d2, d3, d4, d5, d6, d7, d8, d9, d10, d11, d12, d13, d14, d15, d16, d17, d18, d19;)
{
    async_begin;
    await(ONE_TURN);
    async_return(self->a + self->b + self->c + self->grid[1][1] + self->at.y +
                 self->two(2, 3) + self->d19);
    async_end;
}

static int product(int a, int b)
{
    return a * b;
}

TEST(coroutines, fields_may_contain_commas)
{
    check_equal(async_run(commas, .a = 1, .b = 2, .c = 3, .grid = { { 0, 0 }, { 0, 4 } },
                          .at = { 5, 6 }, .two = product, .d19 = 100), 1 + 2 + 3 + 4 + 6 + 6 + 100);
}

/* What a macro's argument cannot hold: directives, and a tag that others use. */
struct by_hand {
    async_frame async_;
    int number;
#ifdef EINVAL
    int doubled; /* behind a directive */
#endif
};

async_define(by_hand)
{
    async_begin;
    self->doubled = 2 * self->number;
    await(ONE_TURN);
    async_return(self->doubled);
    async_end;
}

async(calls_by_hand)
{
    int r;
    async_begin;
    await(r, async_call(by_hand, .number = 4));
    async_return(r);
    async_end;
}

TEST(coroutines, a_frame_may_be_written_by_hand)
{
    check_equal(async_run(by_hand, .number = 21), 42);
    check_equal(async_run(calls_by_hand), 8);
}

/* ----------------------------------------------------------------------------
 * MARK: - More than one file
 * ------------------------------------------------------------------------- */

async(crosses, int sum; async_task task;)
{
    int r;
    async_begin;
    await(r, async_call(elsewhere, .a = 3, .b = 4));
    self->sum += r;
    await(r, async_call(elsewhere_bare));
    self->sum += r;
    self->task = async_spawn(elsewhere, .a = 10, .b = 20);
    await(r, async_join(self->task));
    async_return(self->sum + r);
    async_end;
}

TEST(coroutines, a_coroutine_may_live_in_another_file)
{
    check_equal(async_run(crosses), 12 + 1 + 200);
    check_equal(async_run(elsewhere, .a = 5, .b = 6), 30);
}

TEST(coroutines, the_long_names_do_the_same)
{
    check_equal(long_names(), 2 + 40);
}

/* ----------------------------------------------------------------------------
 * MARK: - Finally
 * ------------------------------------------------------------------------- */

enum way { FALLS, RETURNS, RETURNS_AGAIN, SLEEPS };

async(cleans, enum way way; const char *name;)
{
    async_result r;
    async_begin;
    note(self->name);
    if (self->way == RETURNS || self->way == RETURNS_AGAIN)
        async_return(3);
    if (self->way == SLEEPS)
        await(async_sleep(INT64_MAX));
    note("+");
    async_finally;
    note("f");
    await(r, async_sleep(0));
    check_equal(r, 0);
    check_equal(async_cancelled(), 0);
    await(r, async_sleep(INT64_MAX), 1);
    check_equal(r, -ETIMEDOUT);
    await(async_sleep(1));
    note("F");
    if (self->way == RETURNS_AGAIN)
        async_return(4);
    note(".");
    async_end;
}

TEST(coroutines, falling_through_passes_finally)
{
    trace_reset();
    check_equal(async_run(cleans, .name = "a"), 0);
    check_text(trace, "a+fF.");
}

TEST(coroutines, async_return_passes_finally)
{
    trace_reset();
    check_equal(async_run(cleans, .way = RETURNS, .name = "a"), 3);
    check_text(trace, "afF.");
}

TEST(coroutines, async_return_in_finally_leaves_at_once)
{
    trace_reset();
    check_equal(async_run(cleans, .way = RETURNS_AGAIN, .name = "a"), 4);
    check_text(trace, "afF");
}

async(cancels, async_task task; int turns;)
{
    async_result r;
    async_begin;
    self->task = async_spawn(cleans, .way = SLEEPS, .name = "a");
    while (self->turns-- > 0)
        await(ONE_TURN);
    check_equal(async_cancel(self->task), 0);
    await(r, async_join(self->task));
    async_return(r);
    async_end;
}

TEST(coroutines, a_cancel_passes_finally)
{
    trace_reset();
    check_error(async_join, ECANCELED, async_run(cancels, .turns = 1));
    check_text(trace, "afF.");
}

TEST(coroutines, a_cancel_before_the_first_step_passes_finally)
{
    trace_reset();
    check_error(async_join, ECANCELED, async_run(cancels));
    check_text(trace, "afF.");
}

async(limits)
{
    async_result r;
    async_begin;
    await(r, async_call(cleans, .way = SLEEPS, .name = "a"), 1);
    async_return(r);
    async_end;
}

TEST(coroutines, a_limit_passes_finally)
{
    trace_reset();
    check_error(async_call, ETIMEDOUT, async_run(limits));
    check_text(trace, "afF.");
}

async(outer_cleans, const char *name;)
{
    async_begin;
    note(self->name);
    await(async_call(cleans, .way = SLEEPS, .name = "i"));
    note("!");
    async_finally;
    note("o");
    await(async_call(cleans, .name = "x"));
    note("O");
    async_end;
}

async(cancels_nested, async_task task;)
{
    async_result r;
    async_begin;
    self->task = async_spawn(outer_cleans, .name = "n");
    await(ONE_TURN);
    check_equal(async_cancel(self->task), 0);
    await(r, async_join(self->task));
    async_return(r);
    async_end;
}

/* A coroutine called from a finally section is shielded as a whole. */
TEST(coroutines, finally_runs_from_the_inside_out)
{
    trace_reset();
    check_error(async_call, ECANCELED, async_run(cancels_nested));
    check_text(trace, "nifF.ox+fF.O");
}

async(only_finally)
{
    async_begin;
    async_finally;
    note("f");
    await(ONE_TURN);
    note("g");
    async_end;
}

TEST(coroutines, finally_may_be_all_there_is)
{
    trace_reset();
    check_equal(async_run(only_finally), 0);
    check_text(trace, "fg");
}

async(keeps_value, int waits; async_result value;)
{
    int r;
    async_begin;
    async_return(self->value);
    async_finally;
    await(r, async_call(returns, .value = 99, .waits = 1), 1000);
    check_equal(r, 99);
    await(r, async_shield(async_yield()));
    await(r, async_shield(async_yield()), 1000);
    async_end;
}

TEST(coroutines, what_is_returned_survives_the_awaits_of_finally)
{
    check_equal(async_run(keeps_value, .value = 1234), 1234);
    check_equal(async_run(keeps_value, .value = -EPIPE), -EPIPE);
}

/* ----------------------------------------------------------------------------
 * MARK: - Order
 * ------------------------------------------------------------------------- */

async(notes, const char *text; int times;)
{
    async_begin;
    do {
        note(self->text);
        await(ONE_TURN);
    } while (--self->times > 0);
    async_end;
}

async(spawns_notes, int times;)
{
    async_begin;
    check(async_spawn(notes, .text = "a", .times = self->times) > 0);
    check(async_spawn(notes, .text = "b", .times = self->times) > 0);
    check(async_spawn(notes, .text = "c", .times = self->times) > 0);
    note("-");
    while (self->times-- > 0)
        await(ONE_TURN);
    await(ONE_TURN);
    async_end;
}

TEST(coroutines, tasks_start_in_the_order_they_were_spawned)
{
    trace_reset();
    check_equal(async_run(spawns_notes, .times = 1), 0);
    check_text(trace, "-abc");
}

TEST(coroutines, tasks_that_yield_take_turns)
{
    trace_reset();
    check_equal(async_run(spawns_notes, .times = 4), 0);
    check_text(trace, "-abcabcabcabc");
}

static long hot_operations;

async(hot, long operations;)
{
    async_result r;
    async_begin;
    for (hot_operations = 0; hot_operations < self->operations; hot_operations++)
        await(r, NOTHING);
    async_end;
}

async(beside_hot, async_task task; long seen; int turns;)
{
    async_begin;
    self->task = async_spawn(hot, .operations = 6400);
    await(ONE_TURN);
    while (hot_operations < 6400) {
        check(hot_operations - self->seen <= 64);
        self->seen = hot_operations;
        self->turns++;
        await(ONE_TURN);
    }
    check(self->turns >= 100);
    async_end;
}

TEST(coroutines, a_task_that_never_waits_yields_after_64_operations)
{
    hot_operations = 0;
    check_equal(async_run(beside_hot), 0);
}

async(calls_often, int *calls; async_result r;)
{
    async_begin;
    while (++*self->calls < 640)
        await(self->r, async_call(bare));
    async_end;
}

async(beside_calls, int calls; int turns;)
{
    async_begin;
    check(async_spawn(calls_often, .calls = &self->calls) > 0);
    while (self->calls < 640) {
        self->turns++;
        await(ONE_TURN);
    }
    check(self->turns >= 10);
    async_end;
}

TEST(coroutines, calls_count_as_operations)
{
    trace_reset();
    check_equal(async_run(beside_calls), 0);
}

async(yields_until, const int *done; long turns;)
{
    async_begin;
    while (!*self->done) {
        self->turns++;
        await(ONE_TURN);
    }
    async_end;
}

async(reads_one, int fd; char data[1]; int *done;)
{
    ssize_t n;
    async_begin;
    await(n, async_read(self->fd, self->data, 1));
    check_equal(n, 1);
    *self->done = 1;
    async_end;
}

/* The byte is written by write(2), so that only the poller can tell the reader. */
async(polled_beside_yielders, int ends[2]; int done; int i;)
{
    async_begin;
    check_equal(async_pipe(self->ends), 0);
    check(async_spawn(reads_one, .fd = self->ends[0], .done = &self->done) > 0);
    for (self->i = 0; self->i < 3; self->i++)
        check(async_spawn(yields_until, .done = &self->done) > 0);
    await(ONE_TURN);
    check_equal(self->done, 0);
    check_equal(write(self->ends[1], "x", 1), 1);
    await(async_call(yields_until, .done = &self->done));
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

TEST(coroutines, yielders_do_not_keep_the_poller_from_being_asked)
{
    check_equal(async_run(polled_beside_yielders), 0);
}

async(wakes_after, int *done;)
{
    async_begin;
    await(async_sleep(1));
    *self->done = 1;
    async_end;
}

async(sleeper_beside_yielders, int done;)
{
    async_begin;
    check(async_spawn(wakes_after, .done = &self->done) > 0);
    check(async_spawn(yields_until, .done = &self->done) > 0);
    await(async_call(yields_until, .done = &self->done));
    async_end;
}

REAL_TEST(coroutines, yielders_do_not_keep_a_timer_from_its_turn,
          "a clock that moves while tasks run")
{
    check_equal(async_run(sleeper_beside_yielders), 0);
}
