/*
 * Cancelling, shields and limits: how a task is told to end, and what holds that off.
 *
 * Goal: a cancel or a limit that has passed arrives at each await, wherever the task is, and loses
 * nothing; what is shielded never hears of it. Method: a task is brought into each state there is,
 * cancelled there, and its result, its trace and the bytes it moved are looked at.
 *
 * Where the point is that time passes, it passes in the simulation only.
 */
#include "seam.h"
#include "async.h"
#include "test.h"
#include "trace.h"

#define FOREVER INT64_MAX
#define START INT64_C(1000000000000)
#define SIZE 4000000 /* more than a socket takes */

/* A fresh trace, the main task's result, and a clock that passes only while the loop waits. */
#define run_traced(...) \
    (trace_reset(), seam_reset(), seam_clock = START, async_run(__VA_ARGS__))

async(sleeps)
{
    async_result r;
    async_begin;
    await(r, async_sleep(FOREVER));
    async_return(r);
    async_end;
}

async(times_out)
{
    async_result r;
    async_begin;
    await(r, async_sleep(FOREVER), 1);
    async_return(r);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Wherever a task waits
 * ------------------------------------------------------------------------- */

enum state { READY, SLEEPING, SLEEPING_UNTIL, READABLE, READING, READING_V, ACCEPTING, JOINING,
             JOINING_ALL, SELECTING, CALLING, STATES };

async(in_state, enum state state; int fd; async_task task; char data[8]; struct iovec piece;
      async_case it;)
{
    async_result r;
    async_begin;
    self->piece.iov_base = self->data;
    self->piece.iov_len = sizeof self->data;
    self->it = async_case_join(self->task);
    r = 0;
    if (self->state == READY)
        do
            await(r, async_yield());
        while (!r);
    else if (self->state == SLEEPING)
        await(r, async_sleep(60000));
    else if (self->state == SLEEPING_UNTIL)
        await(r, async_sleep_until(FOREVER));
    else if (self->state == READABLE)
        await(r, async_readable(self->fd));
    else if (self->state == READING)
        await(r, async_read(self->fd, self->data, sizeof self->data));
    else if (self->state == READING_V)
        await(r, async_readv(self->fd, &self->piece, 1));
    else if (self->state == ACCEPTING)
        await(r, async_accept(self->fd));
    else if (self->state == JOINING)
        await(r, async_join(self->task));
    else if (self->state == JOINING_ALL)
        await(r, async_join_all(&self->task, 1));
    else if (self->state == SELECTING)
        await(r, async_select(&self->it, 1));
    else
        await(r, async_call(sleeps));
    async_return(r);
    async_end;
}

/* Cancel it after so many turns, twice; then its descriptor and its target must be as before. */
async(cancels_in_state, enum state state; int turns; int ends[2]; async_task target, task;)
{
    async_result r;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    if (self->state == ACCEPTING) {
        async_close(self->ends[0]);
        self->ends[0] = async_listen("127.0.0.1", 0);
    }
    self->target = async_spawn(sleeps);
    self->task = async_keep(async_spawn(in_state, .state = self->state, .fd = self->ends[0],
                                        .task = self->target));
    while (self->turns-- > 0)
        await(async_yield());
    check_equal(async_cancel(self->task), 0);
    check_equal(async_cancel(self->task), 0);
    await(r, async_join(self->task));
    check_equal(r, -ECANCELED);
    check_error(async_cancel, ESRCH, async_cancel(self->task));
    await(r, async_readable(self->ends[0]), 0);
    check_equal(r, -ETIMEDOUT);
    check_equal(async_cancel(self->target), 0);
    await(r, async_join(self->target));
    check_equal(r, -ECANCELED);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* After no turn the task has not started, after one it waits, after four it still does. */
TEST(cancel, reaches_a_task_in_every_state)
{
    for (unsigned state = 0; state < STATES; state++) {
        check_equal(run_traced(cancels_in_state, .state = (enum state)state, .turns = 0), 0);
        check_equal(run_traced(cancels_in_state, .state = (enum state)state, .turns = 1), 0);
        check_equal(run_traced(cancels_in_state, .state = (enum state)state, .turns = 4), 0);
    }
}

async(writes, int fd; const char *data; int pieces; struct iovec parts[2];)
{
    async_result r;
    async_begin;
    self->parts[0].iov_base = self->parts[1].iov_base = (void *)(uintptr_t)self->data;
    self->parts[0].iov_len = self->parts[1].iov_len = SIZE / 2;
    if (self->pieces)
        await(r, async_writev(self->fd, self->parts, 2));
    else
        await(r, async_write(self->fd, self->data, SIZE));
    async_return(r);
    async_end;
}

static ssize_t drain(int fd)
{
    static char data[65536];
    ssize_t n, sum = 0;
    while ((n = async_read_nowait(fd, data, sizeof data)) > 0)
        sum += n;
    return sum;
}

async(cancels_writing, const char *data; int pieces; int limit; int ends[2]; async_task task;)
{
    async_result r;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    if (self->limit) {
        await(r, async_call(writes, self->ends[0], self->data, self->pieces), 1);
    } else {
        self->task = async_spawn(writes, self->ends[0], self->data, self->pieces);
        await(async_yield());
        check_equal(async_cancel(self->task), 0);
        await(r, async_join(self->task));
    }
    check(r > 0);
    check(r < SIZE);
    check_equal(drain(self->ends[1]), r);
    await(r, async_write(self->ends[0], self->data, 1));
    check_equal(r, 1);
    await(r, async_readable(self->ends[1]));
    check_equal(drain(self->ends[1]), 1);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

TEST(cancel, a_write_says_how_much_went_out)
{
    static char data[SIZE];
    for (int limit = 0; limit < 2; limit++) {
        check_equal(run_traced(cancels_writing, .data = data, .limit = limit), 0);
        check_equal(run_traced(cancels_writing, .data = data, .limit = limit, .pieces = 1), 0);
    }
}

async(fills_and_waits, int fd; const char *data; int writable;)
{
    async_result r;
    async_begin;
    while (async_write_nowait(self->fd, self->data, SIZE) > 0) {
    }
    if (self->writable)
        await(r, async_writable(self->fd));
    else
        await(r, async_write(self->fd, self->data, 1));
    async_return(r);
    async_end;
}

async(cancels_full, const char *data; int writable; int ends[2]; async_task task;)
{
    async_result r;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->task = async_spawn(fills_and_waits, self->ends[0], self->data, self->writable);
    await(async_yield());
    check_equal(async_cancel(self->task), 0);
    await(r, async_join(self->task));
    check_equal(r, -ECANCELED);
    check(drain(self->ends[1]) > 0);
    await(r, async_writable(self->ends[0]));
    check_equal(r, 0);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

TEST(cancel, a_write_of_which_nothing_went_out_is_cancelled)
{
    static char data[SIZE];
    check_equal(run_traced(cancels_full, .data = data), 0);
    check_equal(run_traced(cancels_full, .data = data, .writable = 1), 0);
}

async(accepts, int listener;)
{
    int client;
    async_begin;
    await(client, async_accept(self->listener));
    async_return(client);
    async_end;
}

/* The connection comes right after the cancel: the cancelled accept must not take it. */
async(cancels_accept, int listener; int client; async_task task;)
{
    int fd;
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    self->task = async_spawn(accepts, .listener = self->listener);
    await(async_yield());
    check_equal(async_cancel(self->task), 0);
    await(self->client, async_connect("127.0.0.1", async_port(self->listener)));
    check(self->client >= 0);
    await(fd, async_join(self->task));
    check(fd == -ECANCELED || fd == -ESRCH);
    await(fd, async_accept(self->listener));
    check(fd >= 0);
    async_close(fd);
    async_close(self->client);
    async_close(self->listener);
    async_end;
}

TEST(cancel, an_accept_that_was_cancelled_took_no_connection)
{
    check_equal(run_traced(cancels_accept), 0);
}

#ifdef __linux__
/* A Unix socket whose backlog is full: there, connecting waits. */
static int full_listener(const char *path, int *clients, int count)
{
    struct sockaddr_un address;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    unlink(path);
    check_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    check_equal(listen(listener, 0), 0);
    for (int i = 0; i < count; i++) {
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(clients[i], (struct sockaddr *)&address, sizeof address) < 0)
            check_equal(errno, EAGAIN);
    }
    return listener;
}

async(connects, const char *path; int64_t timeout_ms;)
{
    int fd;
    async_begin;
    await(fd, async_connect_unix(self->path), self->timeout_ms);
    async_return(fd);
    async_end;
}

static int lowest_free(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    close(fd);
    return fd;
}

async(cancels_connect, const char *path; async_task task; int lowest;)
{
    async_result r;
    async_begin;
    self->lowest = lowest_free();
    self->task = async_spawn(connects, .path = self->path, .timeout_ms = -1);
    await(async_yield());
    check_equal(async_cancel(self->task), 0);
    await(r, async_join(self->task));
    check_equal(r, -ECANCELED);
    check_equal(lowest_free(), self->lowest);
    await(r, async_call(connects, .path = self->path, .timeout_ms = 1));
    check_equal(r, -ETIMEDOUT);
    check_equal(lowest_free(), self->lowest);
    async_end;
}

TEST(cancel, an_attempt_to_connect_is_closed)
{
    char path[64];
    int clients[4];
    int listener;

    snprintf(path, sizeof path, "/tmp/async-cancel-%ld", (long)getpid());
    listener = full_listener(path, clients, 4);
    check_equal(run_traced(cancels_connect, .path = path), 0);
    for (int i = 0; i < 4; i++)
        close(clients[i]);
    close(listener);
    unlink(path);
}
#endif

async(flushes, async_stream *stream; int closes;)
{
    async_result r;
    async_begin;
    if (self->closes)
        await(r, async_stream_wait_closed(self->stream));
    else
        await(r, async_stream_flush(self->stream));
    async_return(r);
    async_end;
}

async(cancels_flush, const char *data; int ends[2]; async_stream *stream; async_task task;
      ssize_t read;)
{
    async_result r;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->stream = async_stream_open(self->ends[0]);
    check_equal(async_stream_write(self->stream, self->data, SIZE), 0);
    self->task = async_spawn(flushes, .stream = self->stream);
    await(async_yield());
    check_equal(async_cancel(self->task), 0);
    await(r, async_join(self->task));
    check_equal(r, -ECANCELED);
    self->task = async_spawn(flushes, .stream = self->stream, .closes = 1);
    await(async_yield());
    check_equal(async_cancel(self->task), 0);
    await(r, async_join(self->task));
    check_equal(r, -ECANCELED);
    while (self->read < SIZE) {
        await(r, async_readable(self->ends[1]));
        self->read += drain(self->ends[1]);
    }
    check_equal(self->read, SIZE);
    async_close(self->ends[1]);
    async_end;
}

TEST(cancel, a_cancelled_flush_or_close_goes_on_without_the_task)
{
    static char data[SIZE];
    check_equal(run_traced(cancels_flush, .data = data), 0);
}

async(cancels_itself)
{
    async_result r;
    async_begin;
    check_equal(async_cancelled(), 0);
    check_equal(async_cancel(async_current_task()), 0);
    check_error(async_cancelled, ECANCELED, async_cancelled());
    note("a");
    await(r, async_yield());
    check_equal(r, -ECANCELED);
    async_return(r);
    async_end;
}

TEST(cancel, a_task_may_cancel_itself)
{
    check_equal(run_traced(cancels_itself), -ECANCELED);
    check_text(trace, "a");
}

static void cancels_from_callback(void *task)
{
    check_equal(async_cancelled(), 0);
    check_equal(async_cancel(*(async_task *)task), 0);
}

async(cancelled_by_callback, async_task task;)
{
    async_result r;
    async_begin;
    self->task = async_current_task();
    check(async_soon(&self->task, cancels_from_callback) > 0);
    await(r, async_sleep(FOREVER));
    async_return(r);
    async_end;
}

TEST(cancel, a_callback_may_cancel_a_task)
{
    check_equal(run_traced(cancelled_by_callback), -ECANCELED);
}

/* ----------------------------------------------------------------------------
 * MARK: - Level-triggered
 * ------------------------------------------------------------------------- */

async(insists, int fd; int *turns; int last; char data[1]; async_task none;
      async_case it;)
{
    async_result r;
    async_begin;
    await(r, async_sleep(FOREVER));
    check_equal(r, -ECANCELED);
    await(r, async_yield());
    check_equal(r, -ECANCELED);
    self->last = *self->turns;
    await(r, async_sleep(1));
    check_equal(r, -ECANCELED);
    check(*self->turns > self->last);
    await(r, async_read(self->fd, self->data, 1));
    check_equal(r, -ECANCELED);
    await(r, async_write(self->fd, self->data, 1));
    check_equal(r, -ECANCELED);
    await(r, async_join(self->none));
    check_equal(r, -ECANCELED);
    self->it = async_case_join(self->none);
    await(r, async_select(&self->it, 1));
    check_equal(r, -ECANCELED);
    await(r, async_accept(-1));
    check_equal(r, -ECANCELED);
    await(r, async_connect("127.0.0.1", 1));
    check_equal(r, -ECANCELED);
    await(r, async_connect_unix("/nowhere"));
    check_equal(r, -ECANCELED);
    await(r, async_call(sleeps));
    check_equal(r, -ECANCELED);
    await(r, async_stream_flush(NULL));
    check_equal(r, -ECANCELED);
    async_return(1);
    async_end;
}

/* The byte is there before the cancel: it stays where it is. */
async(cancels_insisting, int ends[2]; async_task task; int turns; char data[1];)
{
    async_result r;
    async_begin;
    check_equal(async_pipe(self->ends), 0);
    check_equal(async_write_nowait(self->ends[1], "x", 1), 1);
    self->task = async_keep(async_spawn(insists, .fd = self->ends[0], .turns = &self->turns));
    await(async_yield());
    check_equal(async_cancel(self->task), 0);
    for (self->turns = 0; self->turns < 100; self->turns++)
        await(async_yield());
    await(r, async_join(self->task));
    check_equal(r, 1);
    check_equal(async_read_nowait(self->ends[0], self->data, 1), 1);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

TEST(cancel, arrives_at_every_await_after_a_turn)
{
    check_equal(run_traced(cancels_insisting), 0);
}

async(periodic, int *runs;)
{
    async_begin;
    for (;;) {
        ++*self->runs;
        await(async_sleep(self->runs[1]));
    }
    async_finally;
    note("f");
    async_end;
}

async(stops_periodic, int runs[2]; async_task task; int limit;)
{
    async_result r;
    async_begin;
    self->runs[1] = 60000;
    if (self->limit) {
        await(r, async_call(periodic, .runs = self->runs), 1);
    } else {
        self->task = async_spawn(periodic, .runs = self->runs);
        await(async_yield());
        check_equal(async_cancel(self->task), 0);
        await(r, async_join(self->task));
    }
    check_equal(self->runs[0], 1);
    async_return(r);
    async_end;
}

TEST(cancel, a_periodic_job_that_looks_at_no_result_ends_through_its_finally_section)
{
    check_equal(run_traced(stops_periodic), -ECANCELED);
    check_text(trace, "f");
    check_equal(run_traced(stops_periodic, .limit = 1), -ETIMEDOUT);
    check_text(trace, "f");
}

async(leaves, async_task target; int level;)
{
    async_begin;
    if (self->level)
        await(async_call(leaves, .target = self->target, .level = self->level - 1));
    else
        await(async_join(self->target));
    note("!");
    async_end;
}

async(not_told, async_task targets[2]; async_task task;)
{
    async_result r;
    async_begin;
    self->targets[0] = async_spawn(sleeps);
    self->targets[1] = async_spawn(sleeps);
    self->task = async_spawn(leaves, .target = self->targets[0], .level = 2);
    await(async_yield());
    check_equal(async_cancel(self->targets[0]), 0);
    await(r, async_join(self->task));
    check_equal(r, 0);
    note("-");
    self->task = async_spawn(leaves, .target = self->targets[1], .level = 2);
    await(async_yield());
    check_equal(async_cancel(self->task), 0);
    await(r, async_join(self->task));
    check_equal(r, -ECANCELED);
    async_end;
}

/* The result alone does not make a coroutine leave: it has to be the task's own cancel. */
TEST(cancel, an_await_without_an_lvalue_leaves_only_when_its_own_task_is_told_to)
{
    check_equal(run_traced(not_told), 0);
    check_text(trace, "!!!-");
}

async(stubborn, int awaits;)
{
    async_result r;
    async_begin;
    check_equal(async_cancel(async_current_task()), 0);
    while (self->awaits-- > 0)
        await(r, async_yield());
    async_end;
}

TEST(cancel, a_task_that_awaits_a_thousand_times_after_its_cancel_is_named_once)
{
    check_equal(run_traced(stubborn, .awaits = 999), 0);
    check_equal(seam_warnings, 0);
    check_equal(run_traced(stubborn, .awaits = 3000), 0);
    check_equal(seam_warnings, 1);
    check(strstr(seam_warning, "1000 awaits") != NULL);
    check(strstr(seam_warning, "stubborn") != NULL);
    check(strstr(seam_warning, "test_cancel.c") != NULL);
}

/* ----------------------------------------------------------------------------
 * MARK: - Shields
 * ------------------------------------------------------------------------- */

async(works, int turns;)
{
    async_result r;
    async_begin;
    while (self->turns-- > 0) {
        await(r, async_yield());
        check_equal(r, 0);
        check_equal(async_cancelled(), 0);
    }
    await(async_yield());
    await(async_call(times_out));
    note("w");
    async_return(3);
    async_end;
}

async(shielded)
{
    async_result r;
    async_begin;
    await(r, async_shield(async_call(works, .turns = 3)));
    check_equal(r, 3);
    check_equal(async_cancelled(), -ECANCELED);
    await(r, async_shield(async_sleep(1)));
    check_equal(r, 0);
    await(r, async_shield(async_sleep(FOREVER)), 1);
    check_error(async_sleep, ETIMEDOUT, r);
    await(r, async_shield(async_call(sleeps)), 1);
    check_error(async_call, ETIMEDOUT, r);
    await(r, async_yield());
    check_error(async_yield, ECANCELED, r);
    note("e");
    async_end;
}

async(cancels_shielded, int turns; async_task task;)
{
    async_result r;
    async_begin;
    self->task = async_keep(async_spawn(shielded));
    while (self->turns-- > 0)
        await(async_yield());
    check_equal(async_cancel(self->task), 0);
    await(r, async_join(self->task));
    async_return(r);
    async_end;
}

TEST(cancel, does_not_come_through_a_shield)
{
    check_equal(run_traced(cancels_shielded, .turns = 1), 0);
    check_text(trace, "we");
    check_equal(run_traced(cancels_shielded, .turns = 3), 0);
    check_text(trace, "we");
}

async(shields_without_lvalue)
{
    async_begin;
    await(async_shield(async_yield()));
    note("a");
    await(async_shield(async_join(0)));
    note("b");
    await(async_shield(async_call(works)));
    note("c");
    await(async_yield());
    note("!");
    async_end;
}

async(cancels_without_lvalue, async_task task;)
{
    async_result r;
    async_begin;
    self->task = async_keep(async_spawn(shields_without_lvalue));
    check_equal(async_cancel(self->task), 0);
    await(r, async_join(self->task));
    async_return(r);
    async_end;
}

/* "They arrive at the next await": not at the end of the shielded one. */
TEST(cancel, a_shielded_await_without_an_lvalue_goes_on_to_the_next)
{
    check_equal(run_traced(cancels_without_lvalue), -ECANCELED);
    check_text(trace, "abwc");
}

async(shield_under_limit)
{
    async_result r;
    async_begin;
    await(r, async_shield(async_sleep(5)));
    check_equal(r, 0);
    check_error(async_cancelled, ETIMEDOUT, async_cancelled());
    await(r, async_shield(async_sleep(FOREVER)), 1);
    check_equal(r, -ETIMEDOUT);
    await(r, async_shield(async_call(works, .turns = 1)), 60000);
    check_equal(r, 3);
    await(r, async_yield());
    check_error(async_yield, ETIMEDOUT, r);
    note("e");
    async_return(5);
    async_end;
}

async(limits_shield)
{
    async_result r;
    async_begin;
    await(r, async_call(shield_under_limit), 1);
    async_return(r);
    async_end;
}

TEST(cancel, a_shield_holds_off_the_limits_of_callers_but_not_its_own)
{
    check_equal(run_traced(limits_shield), 5);
    check_text(trace, "we");
}

/* ----------------------------------------------------------------------------
 * MARK: - Limits
 * ------------------------------------------------------------------------- */

async(limited_sleep, int64_t own_ms; int64_t sleep_ms;)
{
    async_result r;
    async_begin;
    await(r, async_sleep(self->sleep_ms), self->own_ms);
    check(async_cancelled() == 0 || async_cancelled() == -ETIMEDOUT);
    async_return(async_cancelled() ? 1000 : r);
    async_end;
}

async(nested_limits, int64_t outer_ms; int64_t own_ms; int64_t sleep_ms;)
{
    async_result r;
    async_begin;
    await(r, async_call(limited_sleep, self->own_ms, self->sleep_ms), self->outer_ms);
    check_equal(async_cancelled(), 0);
    async_return(r);
    async_end;
}

TEST(limits, nest_and_the_nearer_one_wins)
{
    check_equal(run_traced(nested_limits, -1, -1, 1), 0);
    check_equal(run_traced(nested_limits, 60000, 60000, 1), 0);
    check_equal(run_traced(nested_limits, 60000, 1, 50000), -ETIMEDOUT);
    check_equal(run_traced(nested_limits, 1, 60000, 50000), 1000);
    check_equal(run_traced(nested_limits, 1, -1, FOREVER), 1000);
    check_equal(run_traced(nested_limits, -1, 1, FOREVER), -ETIMEDOUT);
    check_equal(run_traced(nested_limits, FOREVER, 1, FOREVER), -ETIMEDOUT);
    check_equal(run_traced(nested_limits, 0, 60000, 50000), 1000);
    check(seam_clock < START + INT64_C(50000) * 1000000);
}

async(outer_after_inner, int i;)
{
    async_result r;
    async_begin;
    for (self->i = 0; self->i < 3; self->i++) {
        await(r, async_sleep(FOREVER), 1);
        check_equal(r, -ETIMEDOUT);
        check_equal(async_cancelled(), 0);
        await(r, async_sleep(0), 60000);
        check_equal(r, 0);
        await(r, async_join(0), 60000);
        check_equal(r, -ESRCH);
    }
    await(r, async_sleep(FOREVER));
    check_equal(r, -ETIMEDOUT);
    check_equal(async_cancelled(), -ETIMEDOUT);
    await(r, async_sleep(FOREVER), 60000);
    check_equal(r, -ETIMEDOUT);
    await(r, async_yield(), -1);
    check_equal(r, -ETIMEDOUT);
    async_return(2);
    async_end;
}

async(limits_outer)
{
    async_result r;
    async_begin;
    await(r, async_call(outer_after_inner), 20);
    check_equal(r, 2);
    await(r, async_sleep(1));
    check_equal(r, 0);
    async_end;
}

TEST(limits, end_with_their_await_and_the_outer_one_holds_on)
{
    check_equal(run_traced(limits_outer), 0);
}

async(bound_child)
{
    async_result r;
    async_begin;
    note("s");
    await(r, async_sleep(10), 60000);
    note(r == 0 ? "0" : r == -ETIMEDOUT ? "T" : "C");
    async_return(r);
    async_end;
}

async(spawns_beneath, int detach; async_task *task; int after;)
{
    async_result r;
    async_begin;
    *self->task = async_spawn(bound_child);
    if (self->detach && self->after)
        await(async_yield());
    if (self->detach)
        check_equal(async_detach(*self->task), 0);
    await(r, async_join(*self->task));
    async_return(7);
    async_end;
}

async(limits_children, int detach; int after; async_task task;)
{
    async_result r;
    async_begin;
    await(r, async_call(spawns_beneath, self->detach, &self->task, self->after), 1);
    check_equal(r, 7);
    await(r, async_join(self->task));
    check(r != -ECANCELED);
    async_end;
}

TEST(limits, bound_the_tasks_spawned_beneath_them)
{
    check_equal(run_traced(limits_children), 0);
    check_text(trace, "sT");
    check_equal(run_traced(limits_children, .detach = 1), 0);
    check_text(trace, "s0");
    check_equal(run_traced(limits_children, .detach = 1, .after = 1), 0);
    check_text(trace, "sT");
}

async(at_once, int ends[2]; char data[1];)
{
    async_result r;
    async_begin;
    check_equal(async_pipe(self->ends), 0);
    await(r, async_read(self->ends[0], self->data, 1), 0);
    check_error(async_read, ETIMEDOUT, r);
    await(r, async_write(self->ends[1], "x", 1), 0);
    check_equal(r, 1);
    await(r, async_read(self->ends[0], self->data, 1), 0);
    check_equal(r, 1);
    await(r, async_sleep(1), 0);
    check_error(async_sleep, ETIMEDOUT, r);
    await(r, async_sleep_until(FOREVER), 0);
    check_error(async_sleep_until, ETIMEDOUT, r);
    await(r, async_yield(), 0);
    check_equal(r, 0);
    await(r, async_sleep(0), 0);
    check_equal(r, 0);
    await(r, async_sleep(1), -1);
    check_equal(r, 0);
    await(r, async_sleep(1), INT64_MIN);
    check_equal(r, 0);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

TEST(limits, zero_is_one_try_and_a_negative_one_is_none)
{
    check_equal(run_traced(at_once), 0);
}

async(never_early, int i; int64_t start; int ends[2]; char data[1];)
{
    async_result r;
    async_begin;
    check_equal(async_pipe(self->ends), 0);
    for (self->i = 0; self->i < 20; self->i++) {
        self->start = async_now();
        await(r, async_read(self->ends[0], self->data, 1), 1 + self->i % 3);
        check_equal(r, -ETIMEDOUT);
        check(async_now() - self->start >= (1 + self->i % 3) * INT64_C(1000000));
    }
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

SIMULATED_TEST(limits, are_never_early)
{
    seam_reset();
    check_equal(async_run(never_early), 0);
}

async(ends_cancelled)
{
    async_result r;
    async_begin;
    await(r, async_sleep(FOREVER), 60000);
    check_equal(r, -ECANCELED);
    check_equal(async_cancelled(), -ECANCELED);
    async_end;
}

async(cancels_limited, async_task task;)
{
    async_result r;
    async_begin;
    self->task = async_keep(async_spawn(ends_cancelled));
    await(async_yield());
    check_equal(async_cancel(self->task), 0);
    await(r, async_join(self->task));
    async_return(r);
    async_end;
}

TEST(limits, that_have_not_passed_do_not_hide_a_cancel)
{
    check_equal(run_traced(cancels_limited), 0);
}

static void outside(void *data)
{
    *(int *)data = async_cancelled();
}

async(asks_outside, int said;)
{
    async_begin;
    self->said = 1;
    check(async_soon(&self->said, outside) > 0);
    await(async_yield());
    await(async_yield());
    check_equal(self->said, 0);
    async_end;
}

TEST(cancel, nobody_is_cancelled_outside_a_task)
{
    check_equal(run_traced(asks_outside), 0);
    check_equal(async_open(NULL), 0);
    check_equal(async_cancelled(), 0);
    check_equal(async_loop_close(), 0);
}

async(shields_twice)
{
    async_result r;
    async_begin;
    await(async_shield(async_shield(async_sleep(1))));
    await(r, async_sleep(INT64_MAX));
    async_return(r);
    async_end;
}

async(limits_a_double_shield)
{
    async_result r;
    async_begin;
    await(r, async_call(shields_twice), 20);
    async_return(r);
    async_end;
}

SIMULATED_TEST(cancel, a_shield_within_a_shield_gives_the_limit_back)
{
    check_equal(async_run(limits_a_double_shield), -ETIMEDOUT);
}
