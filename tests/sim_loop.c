/*
 * The loop in the simulated world: run by turns, from inside another loop, stopped, opened and
 * closed again and again, with every call and every allocation failing once.
 */
#include "async_test.h"

#include <poll.h>
#include <stdbool.h>

/* ----------------------------------------------------------------------------
 * MARK: - A loop inside another
 * ------------------------------------------------------------------------- */
enum { MESSAGES = 25 };

static struct {
    int ended, ticks;
    async_result sent, received;
} work;

async(sends, int fd; int i; char data[10]; async_result n;)
{
    async_begin;
    for (self->i = 0; self->i < MESSAGES; self->i++) {
        if (!sim_random(4))
            await(async_sleep((int64_t)sim_random(8)));
        await(self->n, async_write(self->fd, self->data, sizeof self->data));
        async_ok(self->n);
        work.sent += self->n;
    }
    async_finally;
    async_close(self->fd);
    work.ended++;
    async_end;
}

async(receives, int fd; char data[64]; async_result n;)
{
    async_begin;
    do {
        await(self->n, async_read(self->fd, self->data, sizeof self->data));
        async_ok(self->n);
        work.received += self->n;
    } while (self->n > 0);
    async_finally;
    async_close(self->fd);
    work.ended++;
    async_end;
}

static void ticks(void *data)
{
    (void)data;
    work.ticks++;
}

/* Returns 0 or a negative errno. Whoever runs closes its end. */
static async_result start_work(void)
{
    int ends[2], error = async_socketpair(ends);
    async_task sender, receiver;
    memset(&work, 0, sizeof work);
    if (error)
        return error;
    sender = async_spawn(sends, ends[0]);
    receiver = async_spawn(receives, ends[1]);
    if (sender < 0)
        async_close(ends[0]);
    if (receiver < 0)
        async_close(ends[1]);
    return sender < 0 ? sender : receiver < 0 ? receiver : async_after(7, NULL, ticks);
}

static int open_loop(void)
{
    int error = async_open(NULL);
    cr_assert(!error || sim_shows_errors());
    return error;
}

/* The other loop waits with poll(2), as long as this one allows, and not at all while it has work.
 * The poll backend has no descriptor: there this loop waits itself. */
static async_result turn_of_the_other_loop(void)
{
    struct pollfd entry = { async_loop_descriptor(), POLLIN, 0 };
    int64_t timeout_ms = async_loop_timeout();
    cr_assert(timeout_ms >= -1);
    cr_assert(entry.fd >= 0 || entry.fd == -ENOTSUP);
    if (entry.fd < 0)
        return async_loop_run_once(timeout_ms);
    sim_poll(&entry, 1, (int)timeout_ms);
    return async_loop_run_once(0);
}

AsyncTestBare(loop, runs_inside_another, (.seeds = 1500, .torture = 1))
{
    async_result result;
    int turns = 0, idle = 0;
    if (open_loop())
        return;
    result = start_work();
    cr_assert(result > 0 || sim_shows_errors());
    while (result >= 0 && (work.ended < 2 || !work.ticks) && turns++ < 20000) {
        result = turn_of_the_other_loop();
        idle += result == 0;
    }
    cr_assert(result >= 0 || sim_shows_errors());
    if (!sim_shows_errors()) {
        cr_assert_eq(work.sent, MESSAGES * 10);
        cr_assert_eq(work.received, MESSAGES * 10);
        cr_assert_eq(work.ticks, 1);
        cr_assert_eq(async_loop_timeout(), -1);
    }
    if (sim_is_calm()) /* it is told to look only when there is something to see */
        cr_assert(idle <= 2);
    async_loop_close();
}

/* ----------------------------------------------------------------------------
 * MARK: - Turns and stops
 * ------------------------------------------------------------------------- */
static int steps;

async(counts, int times; bool stops; int i;)
{
    async_begin;
    for (self->i = 0; self->i < self->times; self->i++) {
        steps++;
        if (self->stops)
            async_loop_stop();
        if (sim_random(2))
            await(async_yield());
        else
            await(async_sleep((int64_t)sim_random(3)));
    }
    async_end;
}

static void stops(void *data)
{
    (void)data;
    steps++;
    async_loop_stop();
}

/* Each stop ends one run; what is left goes on with the next. */
AsyncTestBare(loop, goes_on_after_each_stop, (.seeds = 1200, .torture = 1, .real = 1))
{
    async_result result = 0;
    int runs = 0, before;
    if (open_loop())
        return;
    steps = 0;
    for (int i = 0; i < 3; i++)
        if (async_spawn(counts, .times = 8, .stops = i == 1) < 0)
            result = -ENOMEM;
    if (async_soon(NULL, stops) < 0)
        result = -ENOMEM;
    async_loop_stop(); /* before a run: that returns at once */
    if (!result)
        result = async_loop_run();
    cr_assert_eq(steps, 0);
    do {
        before = steps;
        if (!result)
            result = async_loop_run();
        runs++;
    } while (!result && steps > before);
    cr_assert(!result || sim_shows_errors());
    if (!result) {
        cr_assert_eq(steps, 3 * 8 + 1);
        cr_assert(runs >= 9 && runs <= 11); /* the last has nothing left to do */
    }
    async_loop_close();
}

/* run_once says how many had their turn, waits no longer than it may, and sees all to its end. */
AsyncTestBare(loop, counts_its_turns, (.seeds = 1200, .torture = 1))
{
    async_result n = 0, sum = 0;
    int64_t before_ns;
    if (open_loop())
        return;
    steps = 0;
    for (int i = 0; i < 4 && n >= 0; i++)
        n = async_spawn(counts, .times = 6) < 0 ? -ENOMEM : 0;
    for (int i = 0; i < 4000 && n >= 0; i++) {
        int64_t limit_ms = (int64_t)sim_random(3), timeout_ms = async_loop_timeout();
        before_ns = async_now();
        n = async_loop_run_once(limit_ms);
        sum += n;
        if (sim_is_calm())
            cr_assert(async_now() - before_ns <= limit_ms * 1000000);
        if (timeout_ms < 0)
            break;
    }
    cr_assert(n >= 0 || sim_shows_errors());
    if (n >= 0) {
        cr_assert_eq(steps, 4 * 6);
        cr_assert(sum >= 4 * 6);
        cr_assert_eq(async_loop_run_once(-1), 0); /* nothing can ever happen: it does not wait */
    }
    async_loop_close();
}

async(waits_for, async_task *other;)
{
    async_begin;
    await(async_yield());
    await(async_join(*self->other));
    async_end;
}

/* A deadlocked loop prints its tree: here 2,000 times. */
static async_result run_in_silence(void)
{
    int kept = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY);
    async_result result;
    fflush(stderr);
    dup2(nowhere, STDERR_FILENO);
    result = async_loop_run();
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(nowhere);
    return result;
}

/* Tasks that wait for one another are found out, and end with their loop. */
AsyncTestBare(loop, finds_a_deadlock, (.seeds = 300, .torture = 1, .real = 1))
{
    static async_task tasks[3];
    async_result result = 0;
    if (open_loop())
        return;
    for (int i = 0; i < 3; i++) {
        tasks[i] = async_spawn(waits_for, &tasks[(i + 1) % 3]);
        result = tasks[i] < 0 ? (async_result)tasks[i] : result;
    }
    if (!result) {
        result = run_in_silence();
        cr_assert(result == -EDEADLK || sim_shows_errors());
        cr_assert_eq(async_loop_run_once(-1), result == -EDEADLK ? -EDEADLK : 0);
        async_cancel(tasks[1]);
        result = async_loop_run();
        cr_assert_eq(result, 0);
    }
    cr_assert(result >= 0 || sim_shows_errors());
    async_loop_close();
}

/* ----------------------------------------------------------------------------
 * MARK: - Opened, closed, and something of everything in between
 * ------------------------------------------------------------------------- */
static int in_progress;

async(is_in_progress, int fd; char byte;)
{
    async_result n;
    async_begin;
    in_progress++;
    async_name("in progress");
    if (self->fd < 0)
        await(n, async_sleep(100000));
    else
        await(n, async_read(self->fd, &self->byte, 1));
    (void)n;
    async_finally;
    if (!sim_has_failed())
        await(async_sleep((int64_t)sim_random(3)));
    in_progress--;
    async_end;
}

static void is_readable(int fd, void *data)
{
    (void)fd, (void)data;
}

static void has_data(async_stream *stream, const char *data, ssize_t size)
{
    (void)stream, (void)data, (void)size;
}

/* One of each thing there is. Where one cannot be had, the reason is that of the system. */
static void make_everything(void)
{
    static char text[3000];
    int ends[2] = { -1, -1 }, pair[2] = { -1, -1 }, raw[2];
    async_result made[12] = { 0 };
    async_stream *stream;
    made[0] = async_pipe(ends);
    made[1] = async_socketpair(pair);
    made[2] = async_listen("127.0.0.1", 0);
    made[3] = async_spawn(is_in_progress, -1);
    made[4] = async_spawn(is_in_progress, ends[0]);
    made[5] = async_after(1000, NULL, ticks);
    made[6] = async_every(1, NULL, ticks);
    made[7] = async_soon(NULL, ticks);
    stream = async_stream_open(pair[0]);
    made[8] = stream || pair[0] < 0 ? 0 : -ENOMEM;
    made[9] = pair[0] < 0 ? 0 : async_stream_write(stream, text, sizeof text);
    made[10] = pair[0] < 0 ? 0 : async_stream_on_data(stream, has_data);
    made[11] = pair[1] < 0 ? 0 : async_on_readable(pair[1], NULL, is_readable);
    for (int i = 0; i < 12; i++)
        cr_assert(made[i] >= 0 || sim_shows_errors());
    sim_pipe(raw); /* adopted: given back when the loop closes, and then the body's again */
    if (async_adopt(raw[0]) < 0)
        cr_assert(sim_shows_errors());
    async_loop_run_once((int64_t)sim_random(3));
    async_loop_run_once(0);
    async_loop_close();
    cr_assert_eq(sim_close(raw[0]), 0);
    cr_assert_eq(sim_close(raw[1]), 0);
}

/* Nothing is left of a loop, however far its tasks were. */
AsyncTestBare(loop, leaves_nothing_behind, (.seeds = 1200, .torture = 1))
{
    in_progress = 0;
    for (int i = 0; i < 4; i++) {
        if (open_loop())
            continue;
        cr_assert_eq(async_open(NULL), -EBUSY);
        make_everything();
        cr_assert_eq(sim_descriptors(), 0);
        cr_assert_eq(in_progress, 0);
        cr_assert_eq(async_loop_close(), 0); /* a second time is fine */
    }
}

/* A hundred loops one after the other, each with work. */
AsyncTestBare(loop, is_opened_a_hundred_times, (.seeds = 60, .real = 1))
{
    for (int i = 0; i < (sim_is_real() ? 10 : 100); i++) {
        if (open_loop())
            return;
        steps = 0;
        cr_assert(async_spawn(counts, .times = 2) > 0);
        cr_assert_eq(async_loop_run(), 0);
        cr_assert_eq(steps, 2);
        cr_assert_eq(async_loop_close(), 0);
    }
}
