/*
 * Tasks: who belongs to whom, how they end, who learns of it.
 *
 * Goal: each promise about the tree of tasks, about joining and about handles. Method: small tasks
 * in a known order that leave a trace of letters; an order is brought about by counting turns.
 */
#include "seam.h"
#include "async.h"
#include "test.h"
#include "trace.h"

#define FOREVER INT64_MAX

/* A fresh trace, and the main task's result. */
#define run_traced(...) (trace_reset(), async_run(__VA_ARGS__))

/* Yields so often, then returns the value. */
async(returns, async_result value; int turns;)
{
    async_begin;
    while (self->turns-- > 0)
        await(async_yield());
    async_return(self->value);
    async_end;
}

/* Sleeps until it is cancelled. Its finally section takes some turns. */
async(sleeps, const char *name; int turns;)
{
    async_begin;
    note(self->name);
    await(async_sleep(FOREVER));
    note("!");
    async_finally;
    while (self->turns-- > 0)
        await(async_yield());
    note(self->name);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - The tree
 * ------------------------------------------------------------------------- */

async(has_children, async_result value;)
{
    async_begin;
    note("(");
    check(async_spawn(sleeps, .name = "a", .turns = 3) > 0);
    check(async_spawn(sleeps, .name = "b", .turns = 1) > 0);
    check(async_spawn(returns, .turns = 1) > 0);
    await(async_yield());
    await(async_yield());
    note(")");
    async_return(self->value);
    async_end;
}

async(joins_parent)
{
    async_result r;
    async_begin;
    await(r, async_join(async_spawn(has_children, .value = 7)));
    note("j");
    async_return(r);
    async_end;
}

TEST(tasks, a_task_that_ends_cancels_its_children_and_waits_for_them)
{
    check_equal(run_traced(joins_parent), 7);
    check_text(trace, "(ab)baj");
}

TEST(tasks, the_main_task_does_so_too)
{
    check_equal(run_traced(has_children, .value = 8), 8);
    check_text(trace, "(ab)ba");
}

async(joins, async_task task; const char *name; int64_t timeout_ms;)
{
    async_result r;
    async_begin;
    await(r, async_join(self->task), self->timeout_ms);
    note(self->name);
    async_return(r);
    async_end;
}

async(family, async_task *tree; int left;)
{
    async_begin;
    if (self->left)
        *self->tree = async_spawn(family, .tree = self->tree + 1, .left = self->left - 1);
    await(async_sleep(FOREVER));
    async_end;
}

async(watches_family, async_task tree[3]; async_task watchers[3]; int i;)
{
    static const char *const names[] = { "a", "b", "c" };
    async_begin;
    self->tree[0] = async_spawn(family, .tree = self->tree + 1, .left = 2);
    while (!self->tree[2])
        await(async_yield());
    for (self->i = 0; self->i < 3; self->i++)
        self->watchers[self->i] = async_spawn(joins, .task = self->tree[self->i],
                                              .name = names[self->i], .timeout_ms = -1);
    await(async_yield());
    check_equal(async_cancel(self->tree[0]), 0);
    await(async_join_all(self->watchers, 3));
    async_end;
}

TEST(tasks, the_tree_ends_from_its_leaves)
{
    check_equal(run_traced(watches_family), 0);
    check_text(trace, "cba");
}

static long ended;

/* Each level waits for the next because it is its parent: by sleeping, or by having returned. */
async(generation, long left; int returns;)
{
    async_begin;
    if (self->left)
        check(async_spawn(generation, .left = self->left - 1, .returns = self->returns) > 0);
    else
        note("L");
    if (!self->left || !self->returns)
        await(async_sleep(FOREVER));
    async_finally;
    ended++;
    async_end;
}

async(ends_generations, long count; int returns;)
{
    async_begin;
    check(async_spawn(generation, .left = self->count, .returns = self->returns) > 0);
    while (trace[0] != 'L')
        await(async_yield());
    async_end;
}

TEST(tasks, thousands_of_generations_end_with_the_first)
{
    long count = test_is_costly() ? 1000 : 20000;
    ended = 0;
    check_equal(run_traced(ends_generations, .count = count), 0);
    check_equal(ended, count + 1);
    ended = 0;
    check_equal(run_traced(ends_generations, .count = count, .returns = 1), 0);
    check_equal(ended, count + 1);
}

async(kept_and_other_children)
{
    async_begin;
    check(async_keep(async_spawn(returns, .value = 1)) > 0);
    check(async_keep(async_spawn(returns, .value = 2, .turns = 100)) > 0);
    check(async_keep(async_spawn(sleeps, .name = "a")) > 0);
    check(async_spawn(returns, .value = 3) > 0);
    await(async_yield());
    await(async_yield());
    async_end;
}

async(joins_kept)
{
    async_begin;
    await(async_join(async_spawn(kept_and_other_children)));
    note("j");
    async_end;
}

TEST(tasks, kept_results_go_with_the_parent)
{
    seam_reset();
    check_equal(run_traced(joins_kept), 0);
    check_text(trace, "aaj");
    check_equal(seam_blocks, 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Detaching
 * ------------------------------------------------------------------------- */

static async_task detached;

async(detaches)
{
    async_begin;
    detached = async_spawn(sleeps, .name = "d");
    check_equal(async_detach(detached), 0);
    await(async_yield());
    async_return(4);
    async_end;
}

async(outlives)
{
    async_result r;
    async_begin;
    await(r, async_join(async_spawn(detaches)));
    check_equal(r, 4);
    note("j");
    await(async_yield());
    check_equal(async_keep(detached), detached);
    note("m");
    async_end;
}

TEST(tasks, a_detached_task_outlives_its_parent_but_not_the_loop)
{
    check_equal(run_traced(outlives), 0);
    check_text(trace, "djmd");
}

async(detaches_itself)
{
    async_begin;
    await(async_yield());
    check_equal(async_detach(async_current_task()), 0);
    note("d");
    await(async_sleep(FOREVER));
    async_end;
}

async(ends_before_its_child)
{
    async_begin;
    check(async_spawn(detaches_itself) > 0);
    async_end;
}

/* Cancelled as a child, it detaches itself in its finally section: the parent waits no longer. */
async(detaches_in_finally)
{
    async_begin;
    await(async_sleep(FOREVER));
    async_finally;
    check_equal(async_detach(async_current_task()), 0);
    note("d");
    await(async_yield());
    await(async_yield());
    await(async_yield());
    note("e");
    async_end;
}

async(ends_before_finally)
{
    async_begin;
    check(async_spawn(detaches_in_finally) > 0);
    await(async_yield());
    async_return(6);
    async_end;
}

async(joins_detaching)
{
    async_result r;
    async_begin;
    await(r, async_join(async_spawn(ends_before_finally)));
    note("j");
    check_equal(r, 6);
    await(async_join(async_spawn(ends_before_its_child)));
    note("k");
    async_end;
}

TEST(tasks, a_task_may_detach_itself_from_a_parent_that_waits_for_it)
{
    check_equal(run_traced(joins_detaching), 0);
    check_text(trace, "djek");
}

async(stale_detach, async_task task;)
{
    async_result r;
    async_begin;
    self->task = async_keep(async_spawn(returns, .value = 5));
    await(async_yield());
    check_equal(async_detach(self->task), 0);
    check_error(async_detach, ESRCH, async_detach(self->task));
    await(r, async_join(self->task));
    check_equal(r, -ESRCH);
    self->task = async_keep(async_spawn(returns, .value = 5));
    check_equal(async_detach(self->task), 0);
    await(async_yield());
    await(r, async_join(self->task));
    check_equal(r, -ESRCH);
    self->task = async_spawn(returns, .value = 5, .turns = 2);
    check_equal(async_detach(self->task), 0);
    await(r, async_join(self->task));
    check_equal(r, 5);
    check_error(async_detach, ESRCH, async_detach(0));
    check_error(async_detach, ESRCH, async_detach(-ENOMEM));
    async_end;
}

TEST(tasks, the_result_of_a_detached_task_is_not_kept)
{
    check_equal(run_traced(stale_detach), 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Joining one
 * ------------------------------------------------------------------------- */

async(join_states, async_task task;)
{
    async_result r;
    async_begin;
    self->task = async_spawn(returns, .value = 1);
    await(r, async_join(self->task));
    check_equal(r, 1);
    self->task = async_spawn(returns, .value = 2, .turns = 5);
    await(async_yield());
    await(r, async_join(self->task));
    check_equal(r, 2);
    await(r, async_join(self->task));
    check_error(async_join, ESRCH, r);
    self->task = async_spawn(returns, .value = 3);
    await(async_yield());
    await(r, async_join(self->task));
    check_error(async_join, ESRCH, r);
    self->task = async_keep(async_spawn(returns, .value = 4));
    await(async_yield());
    await(r, async_join(self->task));
    check_equal(r, 4);
    await(r, async_join(self->task));
    check_error(async_join, ESRCH, r);
    async_end;
}

TEST(tasks, a_join_gives_the_result_before_the_end_and_afterwards_if_it_was_kept)
{
    check_equal(run_traced(join_states), 0);
}

async(join_nothing, async_handle timer;)
{
    async_result r;
    async_begin;
    await(r, async_join(async_current_task()));
    check_error(async_join, EDEADLK, r);
    await(r, async_join(0));
    check_error(async_join, ESRCH, r);
    await(r, async_join(-ENOMEM));
    check_equal(r, -ENOMEM);
    await(r, async_join(12345678));
    check_error(async_join, ESRCH, r);
    await(r, async_join(INT64_MAX));
    check_error(async_join, ESRCH, r);
    async_end;
}

TEST(tasks, a_join_of_nothing_says_so)
{
    check_equal(run_traced(join_nothing), 0);
}

static void never(void *data)
{
    (void)data;
    note("!");
}

async(join_callback, async_handle handle;)
{
    async_result r;
    async_begin;
    self->handle = async_after(60000, NULL, never);
    check(self->handle > 0);
    await(r, async_join(self->handle));
    check_error(async_join, ESRCH, r);
    check_error(async_keep, ESRCH, async_keep(self->handle));
    check_error(async_detach, ESRCH, async_detach(self->handle));
    check_equal(async_cancel(self->handle), 0);
    check_error(async_cancel, ESRCH, async_cancel(self->handle));
    async_end;
}

TEST(tasks, the_handle_of_a_callback_is_no_task)
{
    check_equal(run_traced(join_callback), 0);
    check_text(trace, "");
}

/* Four wait for one task; `stop` says which of them are cancelled before it ends. */
async(many_joiners, unsigned stop; async_task target; async_task joiners[4]; int i;)
{
    static const char *const names[] = { "a", "b", "c", "d" };
    async_result r;
    async_begin;
    self->target = async_spawn(sleeps, .name = "");
    for (self->i = 0; self->i < 4; self->i++)
        self->joiners[self->i] = async_keep(async_spawn(
            joins, .task = self->target, .name = names[self->i], .timeout_ms = -1));
    await(async_yield());
    for (self->i = 0; self->i < 4; self->i++)
        if (self->stop >> self->i & 1)
            check_equal(async_cancel(self->joiners[self->i]), 0);
    await(async_yield());
    await(async_yield());
    note("-");
    check_equal(async_cancel(self->target), 0);
    await(r, async_join(self->target));
    check_equal(r, -ECANCELED);
    for (self->i = 0; self->i < 4; self->i++) {
        await(r, async_join(self->joiners[self->i]));
        check_equal(r, -ECANCELED);
    }
    async_end;
}

TEST(tasks, any_number_may_join_a_task_and_any_of_them_may_give_up)
{
    for (unsigned stop = 0; stop < 16; stop++) {
        unsigned stopped = (stop & 1) + (stop >> 1 & 1) + (stop >> 2 & 1) + (stop >> 3);
        check_equal(run_traced(many_joiners, .stop = stop), 0);
        check_equal(strlen(trace), 5);
        check_equal(strchr(trace, '-') - trace, stopped);
        for (unsigned i = 0; i < 4; i++)
            check((strchr(trace, (int)('a' + i)) < strchr(trace, '-')) == (stop >> i & 1));
    }
    check_equal(run_traced(many_joiners), 0);
    check_text(trace, "-abcd");
}

async(joiner_times_out, async_task target;)
{
    async_result r;
    async_begin;
    self->target = async_spawn(sleeps, .name = "s");
    await(r, async_join(self->target), 1);
    check_error(async_join, ETIMEDOUT, r);
    await(r, async_join(self->target), 0);
    check_error(async_join, ETIMEDOUT, r);
    note("-");
    check_equal(async_cancel(self->target), 0);
    await(r, async_join(self->target));
    check_equal(r, -ECANCELED);
    async_end;
}

TEST(tasks, a_join_that_ran_out_of_time_leaves_its_target_alone)
{
    check_equal(run_traced(joiner_times_out), 0);
    check_text(trace, "s-s");
}

async(kept_and_waited_for, async_task task;)
{
    async_result r;
    async_begin;
    self->task = async_keep(async_spawn(returns, .value = 3, .turns = 3));
    await(r, async_join(self->task));
    check_equal(r, 3);
    await(r, async_join(self->task));
    check_error(async_join, ESRCH, r);
    async_end;
}

/* Otherwise a server that keeps and joins each request collects results for ever. */
TEST(tasks, a_kept_result_is_gone_once_somebody_has_waited_for_it)
{
    check_equal(run_traced(kept_and_waited_for), 0);
}

async(joins_by_address, const async_task *task;)
{
    async_begin;
    await(async_join(*self->task));
    async_end;
}

async(join_cycle, async_task a; async_task b; async_task c;)
{
    async_begin;
    self->a = async_spawn(joins_by_address, .task = &self->b);
    self->b = async_spawn(joins_by_address, .task = &self->c);
    self->c = async_spawn(joins_by_address, .task = &self->a);
    await(async_join(self->a));
    async_end;
}

async(joins_its_parent, async_task parent;)
{
    async_result r;
    async_begin;
    await(r, async_join(self->parent));
    check_equal(r, -ECANCELED);
    async_end;
}

async(joins_its_child)
{
    async_begin;
    await(async_join(async_spawn(joins_its_parent, .parent = async_current_task())));
    async_end;
}

/* In debug builds the run shows the tree; nobody is meant to read it here. */
TEST(tasks, a_cycle_of_joins_is_a_deadlock)
{
    async_result cycle, child;
    seam_hush();
    cycle = run_traced(join_cycle);
    child = run_traced(joins_its_child);
    seam_speak();
    check_error(async_run, EDEADLK, cycle);
    check_error(async_run, EDEADLK, child);
}

/* ----------------------------------------------------------------------------
 * MARK: - Joining several
 * ------------------------------------------------------------------------- */

async(all, async_task tasks[4];)
{
    async_result r;
    async_begin;
    self->tasks[0] = async_spawn(returns, .value = 10, .turns = 3);
    self->tasks[1] = async_spawn(returns, .value = -EPIPE, .turns = 5);
    self->tasks[2] = async_spawn(returns, .value = -EIO, .turns = 1);
    self->tasks[3] = async_spawn(returns, .value = 13);
    await(r, async_join_all(self->tasks, 1));
    check_equal(r, 0);
    await(r, async_join(self->tasks[0]));
    check_equal(r, 10);
    await(r, async_join_all(self->tasks + 1, 3));
    check_equal(r, -EPIPE);
    await(r, async_join(self->tasks[2]));
    check_equal(r, -ESRCH);
    await(r, async_join(self->tasks[1]));
    check_equal(r, -EPIPE);
    await(r, async_join_all(self->tasks, 4));
    check_equal(r, 0);
    await(r, async_join_all(self->tasks, 0));
    check_equal(r, 0);
    async_end;
}

TEST(tasks, join_all_gives_the_first_failure_and_keeps_each_result)
{
    check_equal(run_traced(all), 0);
}

/* A case for each task. */
static async_case *cases_of(async_case *cases, const async_task *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cases[i] = async_case_join(tasks[i]);
    return cases;
}

async(all_kept, async_task tasks[3]; async_case cases[3];)
{
    async_result r;
    async_begin;
    self->tasks[0] = async_keep(async_spawn(returns, .value = 1));
    self->tasks[1] = async_keep(async_spawn(returns, .value = -EIO));
    self->tasks[2] = async_keep(async_spawn(returns, .value = -EPIPE));
    await(async_yield());
    await(r, async_join_all(self->tasks, 3));
    check_equal(r, -EIO);
    await(r, async_select(cases_of(self->cases, self->tasks, 3), 3));
    check_equal(r, 0);
    check_equal(self->cases[0].result, 1);
    await(r, async_join(self->tasks[1]));
    check_equal(r, -EIO);
    await(r, async_join_all(self->tasks, 3));
    check_equal(r, -EPIPE);
    async_end;
}

TEST(tasks, join_all_and_select_of_ended_tasks_do_not_wait)
{
    check_equal(run_traced(all_kept), 0);
}

async(any, async_task tasks[3]; async_case cases[3];)
{
    async_result r;
    async_begin;
    self->tasks[0] = async_spawn(returns, .value = 20, .turns = 9);
    self->tasks[1] = async_spawn(returns, .value = 21, .turns = 2);
    self->tasks[2] = async_spawn(returns, .value = 22, .turns = 4);
    await(r, async_select(cases_of(self->cases, self->tasks, 3), 3));
    check_equal(r, 1);
    check_equal(self->cases[1].result, 21);
    self->tasks[1] = async_keep(self->tasks[2]);
    await(r, async_select(cases_of(self->cases, self->tasks, 2), 2));
    check_equal(r, 1);
    check_equal(self->cases[1].result, 22);
    await(r, async_select(cases_of(self->cases, self->tasks, 3), 3));
    check_equal(r, 1);
    check_equal(self->cases[1].result, -ESRCH);
    await(r, async_select(cases_of(self->cases, self->tasks, 1), 1));
    check_equal(r, 0);
    check_equal(self->cases[0].result, 20);
    await(r, async_select(self->cases, 0));
    check_error(async_select, EINVAL, r);
    async_end;
}

TEST(tasks, select_gives_the_lowest_index_of_those_that_have_ended)
{
    check_equal(run_traced(any), 0);
}

async(watches_all, const async_task *tasks; size_t count;)
{
    async_result r;
    async_begin;
    await(r, async_join_all(self->tasks, self->count));
    async_return(r);
    async_end;
}

async(watches_any, const async_task *tasks; size_t count; async_case cases[4];)
{
    async_result r;
    async_begin;
    await(r, async_select(cases_of(self->cases, self->tasks, self->count), self->count));
    async_return(r);
    async_end;
}

async(several, async_task tasks[3]; async_task watcher; async_case cases[3]; int any;)
{
    async_result r;
    async_begin;
    self->tasks[0] = async_spawn(returns, .value = 1, .turns = 20);
    self->tasks[1] = async_spawn(returns, .value = 2, .turns = 30);
    if (self->any)
        self->watcher = async_spawn(watches_any, self->tasks, 2);
    else
        self->watcher = async_spawn(watches_all, self->tasks, 2);
    await(async_yield());
    self->tasks[2] = async_spawn(returns, .turns = 10);
    await(r, async_select(cases_of(self->cases, self->tasks, 3), 3));
    check_equal(r, 2);
    await(r, async_join(self->tasks[0]));
    check_equal(r, 1);
    await(r, async_join_all(self->tasks, 2));
    check_equal(r, 0);
    await(r, async_join(self->tasks[1]));
    check_equal(r, 2);
    await(r, async_join(self->watcher));
    check_error(async_join, ESRCH, r);
    async_end;
}

TEST(tasks, are_joined_in_every_way_by_several_at_once)
{
    check_equal(run_traced(several, .any = 0), 0);
    check_equal(run_traced(several, .any = 1), 0);
}

async(watch_oneself, async_task tasks[3]; async_case cases[2];)
{
    async_result r;
    async_begin;
    self->tasks[0] = async_spawn(returns, .turns = 3);
    self->tasks[1] = async_current_task();
    await(r, async_join_all(self->tasks, 2));
    check_error(async_join_all, EDEADLK, r);
    check(!(async__find_task(async__current, self->tasks[0])->item.flags & ASYNC__KEPT));
    await(r, async_select(cases_of(self->cases, self->tasks, 2), 2));
    check_equal(r, 1);
    check_equal(self->cases[1].result, -EDEADLK);
    await(r, async_join_all(self->tasks, 1));
    check_equal(r, 0);
    async_end;
}

TEST(tasks, a_task_cannot_watch_itself)
{
    check_equal(run_traced(watch_oneself), 0);
}

async(ends_well_and_late, int turns;)
{
    int r;
    async_begin;
    while (self->turns-- > 0)
        await(r, async_yield());
    (void)r;
    async_return(1);
    async_end;
}

async(leaves_two, async_task *tasks;)
{
    async_begin;
    self->tasks[0] = async_spawn(returns, .value = 1, .turns = 1000);
    self->tasks[1] = async_spawn(ends_well_and_late, .turns = 10);
    await(async_yield());
    await(async_yield());
    async_end;
}

/* Their parent ends while somebody joins them: they are cancelled; the one that minds says so. */
async(joins_orphans, async_task tasks[2]; async_task parent, watcher;)
{
    async_result r;
    async_begin;
    self->parent = async_spawn(leaves_two, self->tasks);
    await(async_yield());
    self->watcher = async_spawn(watches_all, self->tasks, 2);
    await(r, async_join(self->watcher));
    check_equal(r, -ECANCELED);
    await(r, async_join(self->tasks[0]));
    check_equal(r, -ESRCH);
    async_end;
}

TEST(tasks, join_all_of_tasks_whose_parent_ends_gives_their_cancelling)
{
    check_equal(run_traced(joins_orphans), 0);
}

async(duplicates, async_task tasks[4]; async_case cases[4]; int any;)
{
    async_result r;
    async_begin;
    self->tasks[0] = self->tasks[2] = async_spawn(returns, .value = -EIO, .turns = 3);
    self->tasks[1] = self->tasks[3] = async_spawn(returns, .value = 1, .turns = 1);
    if (self->any)
        await(r, async_select(cases_of(self->cases, self->tasks, 4), 4));
    else
        await(r, async_join_all(self->tasks, 4));
    check_equal(r, self->any ? 1 : -EIO);
    await(r, async_join(self->tasks[3]));
    check_equal(r, self->any ? -ESRCH : 1);
    await(r, async_join(self->tasks[2]));
    check_equal(r, -EIO);
    async_end;
}

TEST(tasks, a_task_may_stand_twice_in_the_array)
{
    check_equal(run_traced(duplicates, .any = 0), 0);
    check_equal(run_traced(duplicates, .any = 1), 0);
}

/* The watcher gives up, by limit or by cancel; then others may watch, and a join is in order. */
async(watcher_gives_up, int any; async_task tasks[2]; async_task watcher; async_case cases[2];)
{
    async_result r;
    async_begin;
    self->tasks[0] = async_spawn(sleeps, .name = "a");
    self->tasks[1] = async_spawn(sleeps, .name = "b");
    if (self->any)
        self->watcher = async_keep(async_spawn(watches_any, self->tasks, 2));
    else
        self->watcher = async_keep(async_spawn(watches_all, self->tasks, 2));
    await(async_yield());
    check_equal(async_cancel(self->watcher), 0);
    await(r, async_join(self->watcher));
    check_equal(r, -ECANCELED);
    await(r, async_select(cases_of(self->cases, self->tasks, 2), 2), 1);
    check_error(async_select, ETIMEDOUT, r);
    await(r, async_join_all(self->tasks, 2), 1);
    check_error(async_join_all, ETIMEDOUT, r);
    check_equal(async_cancel(self->tasks[1]), 0);
    await(r, async_select(cases_of(self->cases, self->tasks, 2), 2));
    check_equal(r, 1);
    check_equal(self->cases[1].result, -ECANCELED);
    async_end;
}

TEST(tasks, a_watcher_may_give_up)
{
    check_equal(run_traced(watcher_gives_up, .any = 0), 0);
    check_text(trace, "abba");
    check_equal(run_traced(watcher_gives_up, .any = 1), 0);
    check_text(trace, "abba");
}

async(both_kinds, async_task task; async_task joiners[3];)
{
    async_result r;
    async_begin;
    self->task = async_spawn(sleeps, .name = "");
    self->joiners[0] = async_keep(async_spawn(joins, self->task, .name = "a", .timeout_ms = -1));
    self->joiners[1] = async_keep(async_spawn(watches_all, &self->task, 1));
    self->joiners[2] = async_keep(async_spawn(joins, self->task, .name = "c", .timeout_ms = -1));
    await(async_yield());
    check_equal(async_cancel(self->task), 0);
    await(r, async_join_all(self->joiners, 3));
    check_equal(r, -ECANCELED);
    await(r, async_join(self->joiners[1]));
    check_equal(r, -ECANCELED);
    async_end;
}

TEST(tasks, joiners_and_a_watcher_all_learn_of_the_end)
{
    check_equal(run_traced(both_kinds), 0);
    check_text(trace, "ac");
}

/* ----------------------------------------------------------------------------
 * MARK: - Handles
 * ------------------------------------------------------------------------- */

async(stale, async_task first; async_task again; int i;)
{
    async_result r;
    async_begin;
    self->first = async_spawn(returns);
    await(async_join(self->first));
    for (self->i = 0; self->i < 1000; self->i++) {
        self->again = async_spawn(returns, .value = self->i, .turns = 1);
        check_equal((uint32_t)self->again, (uint32_t)self->first);
        check(self->again != self->first);
        check_error(async_cancel, ESRCH, async_cancel(self->first));
        check_error(async_keep, ESRCH, async_keep(self->first));
        check_error(async_detach, ESRCH, async_detach(self->first));
        await(r, async_join(self->first));
        check_error(async_join, ESRCH, r);
        await(r, async_join_all(&self->first, 1));
        check_equal(r, 0);
        await(r, async_join(self->again));
        check_equal(r, self->i);
    }
    async_end;
}

TEST(tasks, a_stale_handle_is_nobody_s_even_when_its_slot_is_used_again)
{
    check_equal(run_traced(stale), 0);
}

async(keeps, async_task task;)
{
    async_result r;
    async_begin;
    self->task = async_spawn(returns, .value = 6);
    check_equal(async_keep(self->task), self->task);
    check_equal(async_keep(self->task), self->task);
    check_equal(async_keep(-ENOMEM), -ENOMEM);
    check_error(async_keep, ESRCH, async_keep(0));
    await(async_yield());
    await(async_yield());
    check_equal(async_keep(self->task), self->task);
    check_error(async_cancel, ESRCH, async_cancel(self->task));
    await(r, async_join(self->task));
    check_equal(r, 6);
    check_error(async_keep, ESRCH, async_keep(self->task));
    async_end;
}

TEST(tasks, async_keep_takes_the_handle_as_it_comes)
{
    check_equal(run_traced(keeps), 0);
}

async(spawns_many, long left;)
{
    async_begin;
    while (self->left-- > 0) {
        check(async_spawn(returns) > 0);
        await(async_yield());
    }
    check(seam_blocks < 20);
    async_end;
}

TEST(tasks, tasks_that_nobody_joins_cost_nothing_after_their_end)
{
    seam_reset();
    check_equal(run_traced(spawns_many, .left = 1000), 0);
    check_equal(seam_blocks, 0);
}

static async_task seen;

static void looks(void *data)
{
    (void)data;
    seen = async_current_task();
}

async(knows_itself, async_task *itself;)
{
    async_begin;
    *self->itself = async_current_task();
    await(async_yield());
    check_equal(async_current_task(), *self->itself);
    async_end;
}

async(currents, async_task task; async_task itself;)
{
    async_begin;
    self->task = async_spawn(knows_itself, .itself = &self->itself);
    await(async_join(self->task));
    check_equal(self->itself, self->task);
    await(async_call(knows_itself, .itself = &self->itself));
    check_equal(self->itself, async_current_task());
    seen = -1;
    check(async_soon(NULL, looks) > 0);
    await(async_yield());
    await(async_yield());
    check_equal(seen, 0);
    async_end;
}

TEST(tasks, async_current_task_is_the_handle_that_spawn_gave)
{
    check_equal(run_traced(currents), 0);
    check_equal(async_open(NULL), 0);
    check_equal(async_current_task(), 0);
    check_equal(async_loop_close(), 0);
}

async(named, char *text; size_t size; FILE *out;)
{
    async_begin;
    check_equal(async_name("first"), 0);
    check_equal(async_name("second"), 0);
    self->out = fmemopen(self->text, self->size, "w");
    async_dump(self->out);
    fclose(self->out);
    async_end;
}

/* The slot is used again, the name is not. */
async(names, char text[500]; int i;)
{
    async_begin;
    await(async_join(async_spawn(named, self->text, sizeof self->text)));
    check(strstr(self->text, "\"second\" named()") != NULL);
    check(strstr(self->text, "first") == NULL);
    check(async_spawn(sleeps, .name = "x") > 0);
    await(async_call(named, self->text, sizeof self->text));
    check(strstr(self->text, "\"second\" names()") != NULL);
    check(strstr(self->text, "\"second\" sleeps()") == NULL);
    for (self->i = 0; self->i < 200; self->i++)
        check(async_spawn(sleeps, .name = "") > 0);
    await(async_call(named, self->text, sizeof self->text));
    check(strstr(self->text, "\"second\" names()") != NULL);
    async_end;
}

TEST(tasks, a_name_belongs_to_the_task_and_not_to_its_slot)
{
    check_equal(run_traced(names), 0);
    check_equal(async_open(NULL), 0);
    check_equal(async_name("nobody"), 0);
    check_equal(async_loop_close(), 0);
}
