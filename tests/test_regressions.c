/*
 * What went wrong elsewhere: one test for each fault that another library had.
 *
 * Goal: none of them here. Method: the smallest program that shows the fault, and what it must do
 * instead; the comment above each test names the fault, not the library's number for it.
 *
 * Where the point is that time passes, it passes in the simulation only.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "async.h"
#include "test.h"

#include "io.h"

/* ----------------------------------------------------------------------------
 * MARK: - Waiting
 * ------------------------------------------------------------------------- */

/* neco: one registration of one shot for both directions, and the event for the reader disarms the
 * writer for good. */
TASK_TEST(regressions, neco_a_reader_does_not_disarm_the_writer, int ends[2]; size_t full;
          char data[4]; async_result read, written; async_task tasks[2];)
{
    ssize_t n;
    async_begin;
    raw_pair(self->ends);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    self->full = fill(self->ends[0]);
    self->tasks[0] = async_spawn(io_reader, .fd = self->ends[0], .data = self->data, .size = 4,
                                 .result = &self->read);
    self->tasks[1] = async_spawn(io_writer, .fd = self->ends[0], .data = "late", .size = 4,
                                 .result = &self->written);
    await(async_yield());
    check_equal(write(self->ends[1], "in", 2), 2);
    await(n, async_join(self->tasks[0]), 5000);
    check_equal(self->read, 2);
    check_equal(self->written, 0);
    drain(self->ends[1], self->full);
    await(n, async_join(self->tasks[1]), 5000);
    check_equal(n, 0);
    check_equal(self->written, 4);
    check_equal(async_close(self->ends[0]), 0);
    close(self->ends[1]);
    async_end;
}

/* And the other way round: the writer is served, the reader still waits. */
TASK_TEST(regressions, neco_a_writer_does_not_disarm_the_reader, int ends[2]; size_t full;
          char data[4]; async_result read, written; async_task tasks[2];)
{
    ssize_t n;
    async_begin;
    raw_pair(self->ends);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    self->full = fill(self->ends[0]);
    self->tasks[1] = async_spawn(io_writer, .fd = self->ends[0], .data = "late", .size = 4,
                                 .result = &self->written);
    self->tasks[0] = async_spawn(io_reader, .fd = self->ends[0], .data = self->data, .size = 4,
                                 .result = &self->read);
    await(async_yield());
    drain(self->ends[1], self->full);
    await(n, async_join(self->tasks[1]), 5000);
    check_equal(self->written, 4);
    check_equal(write(self->ends[1], "in", 2), 2);
    await(n, async_join(self->tasks[0]), 5000);
    check_equal(n, 0);
    check_equal(self->read, 2);
    check_equal(async_close(self->ends[0]), 0);
    close(self->ends[1]);
    async_end;
}

/* neco: only IN and OUT are looked at, so the end of an empty pipe is never seen. */
TASK_TEST(regressions, neco_the_end_of_an_empty_pipe_is_seen, int ends[2]; char data[4];
          async_result read; async_task task;)
{
    ssize_t n;
    async_begin;
    check_equal(async_pipe(self->ends), 0);
    self->read = 1;
    self->task = async_spawn(io_reader, .fd = self->ends[0], .data = self->data, .size = 4,
                             .result = &self->read);
    await(async_yield());
    check_equal(async_close(self->ends[1]), 0);
    await(n, async_join(self->task), 5000);
    check_equal(n, 0);
    check_equal(self->read, 0);
    async_end;
}

/* neco: a deadline in the past gives the wait a negative timeout, which is for ever. */
TASK_TEST(regressions, neco_a_deadline_in_the_past_is_now, int ends[2]; char data[4];)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    await(n, async_sleep_until(-1));
    check_equal(n, 0);
    await(n, async_sleep_until(async_now() - 1000000000));
    check_equal(n, 0);
    await(n, async_read(self->ends[0], self->data, 4), 0);
    check_equal(n, -ETIMEDOUT);
    async_end;
}

/* libdill: closing what another waits on is an assertion, or leaves a slot that is deaf. */
TASK_TEST(regressions, libdill_a_number_can_be_used_again_after_its_waiter_was_told, int ends[2];
          int i; char data[4]; async_result read; async_task task;)
{
    ssize_t n;
    async_begin;
    for (self->i = 0; self->i < 20; self->i++) {
        check_equal(async_socketpair(self->ends), 0);
        self->task = async_spawn(io_reader, .fd = self->ends[0], .data = self->data, .size = 4,
                                 .result = &self->read);
        await(async_yield());
        if (self->i % 2) {
            await(n, async_write(self->ends[1], "live", 4), 0);
            check_equal(n, 4);
            await(async_join(self->task));
            check_equal(self->read, 4);
        }
        check_equal(async_close(self->ends[0]), 0);
        check_equal(async_close(self->ends[1]), 0);
        await(n, async_join(self->task));
        check_equal(self->read, self->i % 2 ? 4 : -EBADF);
    }
    async_end;
}

/* libdill: descriptors are looked at once a second while anything else runs. */
async(never_rests, int *turns;)
{
    async_begin;
    for (;;) {
        ++*self->turns;
        await(async_yield());
    }
    async_end;
}

TASK_TEST(regressions, libdill_descriptors_are_polled_beside_busy_tasks, int ends[2]; int turns;
          int i; char data[4];)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    async_spawn(never_rests, .turns = &self->turns);
    for (self->i = 0; self->i < 20; self->i++) {
        check_equal(write(self->ends[1], "x", 1), 1);
        self->turns = 0;
        await(n, async_read(self->ends[0], self->data, 1));
        check_equal(n, 1);
        check(self->turns <= 300);
    }
    async_end;
}

/* libdill: closing drops what was not sent yet. */
TASK_TEST(regressions, libdill_closing_sends_what_is_left, int ends[2]; async_stream *stream;
          char *data; size_t sum; char got[32768];)
{
    ssize_t n;
    async_begin;
    raw_pair(self->ends);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    check_equal(async_adopt(self->ends[1]), self->ends[1]);
    self->stream = async_stream_open(self->ends[0]);
    self->data = (char *)calloc(1, 1 << 20);
    check_equal(async_stream_write(self->stream, self->data, 1 << 20), 0);
    check_equal(async_stream_close(self->stream), 0);
    free(self->data);
    for (;;) {
        await(n, async_read(self->ends[1], self->got, sizeof self->got), 5000);
        check(n >= 0);
        if (n == 0)
            break;
        self->sum += (size_t)n;
    }
    check_equal(self->sum, 1 << 20);
    check_equal(async_close(self->ends[1]), 0);
    while (is_open(self->ends[0]))
        await(async_yield());
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Tasks and timers
 * ------------------------------------------------------------------------- */

async(sleeps, int *runs;)
{
    async_begin;
    ++*self->runs;
    await(async_sleep(3600000));
    async_end;
}

async(joins, async_task task; async_result *result;)
{
    async_result n;
    async_begin;
    await(n, async_join(self->task));
    *self->result = n;
    async_end;
}

/* libdill: a bundle that is closed while somebody waits for it is used after it was freed. */
TASK_TEST(regressions, libdill_a_cancel_during_a_join_is_legal, int runs; async_task target;
          async_task joiners[2]; async_result results[2];)
{
    async_begin;
    self->target = async_spawn(sleeps, .runs = &self->runs);
    self->joiners[0] = async_spawn(joins, .task = self->target, .result = &self->results[0]);
    self->joiners[1] = async_spawn(joins, .task = self->target, .result = &self->results[1]);
    await(async_yield());
    check_equal(async_cancel(self->joiners[0]), 0);
    await(async_join(self->joiners[0]));
    check_equal(self->results[0], -ECANCELED);
    check_equal(async_cancel(self->target), 0);
    await(async_join(self->joiners[1]));
    check_equal(self->results[1], -ECANCELED);
    check_equal(self->runs, 1);
    async_end;
}

/* Protothreads: joining two of which one has finished enters that one again. */
async(counts_its_runs, int turns; int *runs;)
{
    async_begin;
    ++*self->runs;
    while (self->turns-- > 0)
        await(async_yield());
    async_end;
}

TASK_TEST(regressions, protothreads_a_finished_task_is_never_entered, int runs;
          async_task tasks[2];)
{
    ssize_t n;
    async_begin;
    self->tasks[0] = async_spawn(counts_its_runs, .runs = &self->runs);
    self->tasks[1] = async_spawn(counts_its_runs, .turns = 7, .runs = &self->runs);
    await(n, async_join_all(self->tasks, 2));
    check_equal(n, 0);
    check_equal(self->runs, 2);
    async_end;
}

static int64_t armed_at;

static void fires(void *data)
{
    *(int64_t *)data = async_now() - armed_at;
}

/* A long step, and then a timer: from the loop's old idea of the time it would fire at once. */
static void takes_long_and_arms(void *data)
{
    take_ms(20);
    armed_at = async_now();
    check(async_after(10, data, fires) > 0);
}

/* libuv: a timer armed after a long step, or in the middle of a millisecond, is early. */
SIMULATED_TEST(regressions, libuv_a_timer_is_never_early)
{
    int64_t elapsed;

    check_equal(async_open(NULL), 0);
    check(async_soon(&elapsed, takes_long_and_arms) > 0);
    check_equal(async_loop_run(), 0);
    check(elapsed >= 10000000);
    for (int i = 0; i < 20; i++) {
        armed_at = async_now();
        check(async_after(1, &elapsed, fires) > 0);
        check_equal(async_loop_run(), 0);
        check(elapsed >= 1000000);
    }
    check_equal(async_loop_close(), 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Changes and cancelling
 * ------------------------------------------------------------------------- */

static void never(int fd, void *data)
{
    (void)fd;
    (void)data;
    test_fail(__FILE__, __LINE__, "%s", "called for a descriptor that was closed");
}

static void stop(int fd, void *data)
{
    (void)fd;
    (void)data;
    async_loop_stop();
}

/* libxev: a deregistration is lost on a turn that does not wait. */
TEST(regressions, libxev_changes_survive_a_turn_that_does_not_wait)
{
    int ends[2], other[2], twin;

    check_equal(async_open(NULL), 0);
    raw_pair(ends);
    check_equal(async_adopt(ends[0]), ends[0]);
    check(async_on_readable(ends[0], NULL, never) > 0);
    check_equal(async_loop_run_once(0), 0);
    twin = dup(ends[0]);
    check_equal(async_close(ends[0]), 0);
    check_equal(async_loop_run_once(0), 0);
    check_equal(write(ends[1], "x", 1), 1);
    raw_pair(other);
    check_equal(other[0], ends[0]);
    check_equal(async_adopt(other[0]), other[0]);
    check(async_on_readable(other[0], NULL, stop) > 0);
    check_equal(async_loop_run_once(0), 0);
    check_equal(write(other[1], "y", 1), 1);
    check_equal(async_loop_run(), 0);
    check_equal(async_close(other[0]), 0);
    check_equal(async_loop_close(), 0);
    close(other[1]);
    close(ends[1]);
    close(twin);
}

/* tokio: a cancelled operation takes bytes with it. */
TASK_TEST(regressions, tokio_cancelling_loses_no_byte, int ends[2]; int i; char data[8];
          async_result read; async_task task;)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    for (self->i = 0; self->i < 10; self->i++) {
        self->data[0] = '?';
        self->task = async_spawn(io_reader, .fd = self->ends[0], .data = self->data, .size = 8,
                                 .result = &self->read);
        await(async_yield());
        check_equal(write(self->ends[1], "a", 1), 1);
        check_equal(async_cancel(self->task), 0);
        check_equal(write(self->ends[1], "b", 1), 1);
        await(async_join(self->task));
        check_equal(self->read, -ECANCELED);
        check_equal(self->data[0], '?');
        await(n, async_read(self->ends[0], self->data, 8), 0);
        check_equal(n, 2);
        check(memcmp(self->data, "ab", 2) == 0);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - What libuv's users rely on
 * ------------------------------------------------------------------------- */

static int accepted;

static void closes_in_accept(int listener, void *data)
{
    int fd = async_accept_nowait(listener);

    (void)data;
    if (fd == -EAGAIN)
        return;
    check(fd >= 0);
    check_equal(async_close(fd), 0);
    accepted++;
    check_equal(async_close(listener), 0);
}

TEST(libuv, a_listener_may_be_closed_by_its_own_callback)
{
    int listener, clients[2];
    char byte;

    check_equal(async_open(NULL), 0);
    accepted = 0;
    listener = async_listen("127.0.0.1", 0);
    clients[0] = raw_client(async_port(listener));
    clients[1] = raw_client(async_port(listener));
    check(async_on_readable(listener, NULL, closes_in_accept) > 0);
    check_equal(async_loop_run(), 0);
    check_equal(accepted, 1);
    check_equal(recv(clients[0], &byte, 1, 0), 0);
    check_equal(recv(clients[1], &byte, 1, 0), -1);
    close(clients[0]);
    close(clients[1]);
    check_equal(async_loop_close(), 0);
}

/* Both ends end their side at the same time, and one of them twice. */
TASK_TEST(libuv, both_ends_may_shut_down_at_once_and_twice, int ends[2]; int i; char data[8];)
{
    ssize_t n;
    async_begin;
    raw_tcp_pair(self->ends);
    for (self->i = 0; self->i < 2; self->i++) {
        check_equal(async_adopt(self->ends[self->i]), self->ends[self->i]);
        await(n, async_write(self->ends[self->i], "last", 4), 0);
        check_equal(n, 4);
        check_equal(shutdown(self->ends[self->i], SHUT_WR), 0);
    }
    shutdown(self->ends[0], SHUT_WR);
    for (self->i = 0; self->i < 2; self->i++) {
        await(n, async_read(self->ends[self->i], self->data, 8), 5000);
        check_equal(n, 4);
        await(n, async_read(self->ends[self->i], self->data, 8), 5000);
        check_equal(n, 0);
    }
    check_equal(async_close(self->ends[0]), 0);
    check_equal(async_close(self->ends[1]), 0);
    async_end;
}

/* A datagram may be empty, and several may have come with one event. */
TASK_TEST(libuv, datagrams_come_one_by_one, int ends[2]; char data[16];)
{
    ssize_t n;
    async_begin;
    check_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, self->ends), 0);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    await(n, async_read(self->ends[0], self->data, 16), 0);
    check_equal(n, -ETIMEDOUT);
    check_equal(send(self->ends[1], "one", 3, 0), 3);
    check_equal(send(self->ends[1], "", 0, 0), 0);
    check_equal(send(self->ends[1], "three", 5, 0), 5);
    await(n, async_read(self->ends[0], self->data, 16), 0);
    check_equal(n, 3);
    await(n, async_read(self->ends[0], self->data, 16), 0);
    check_equal(n, 0);
    await(n, async_read(self->ends[0], self->data, 16), 0);
    check_equal(n, 5);
    await(n, async_read(self->ends[0], self->data, 16), 0);
    check_equal(n, -ETIMEDOUT);
    check_equal(async_close(self->ends[0]), 0);
    close(self->ends[1]);
    async_end;
}

/* An ICMP error surfaces at the next call, and the socket survives it. */
TASK_TEST(libuv, a_datagram_socket_survives_a_refusal, int fd; int nobody; char data[16];
          async_result read; async_task task;)
{
    struct sockaddr_in address;
    socklen_t size;
    ssize_t n;
    async_begin;
    address = loopback(0);
    size = sizeof address;
    self->nobody = socket(AF_INET, SOCK_DGRAM, 0);
    check_equal(bind(self->nobody, (struct sockaddr *)&address, sizeof address), 0);
    check_equal(getsockname(self->nobody, (struct sockaddr *)&address, &size), 0);
    close(self->nobody);
    self->fd = socket(AF_INET, SOCK_DGRAM, 0);
    check_equal(connect(self->fd, (struct sockaddr *)&address, sizeof address), 0);
    check_equal(async_adopt(self->fd), self->fd);
    self->task = async_spawn(io_reader, .fd = self->fd, .data = self->data, .size = 16,
                             .result = &self->read);
    await(async_yield());
    await(n, async_write(self->fd, "anybody?", 8), 0);
    check_equal(n, 8);
    await(n, async_join(self->task), 5000);
    check_equal(n, 0);
    check_equal(self->read, -ECONNREFUSED);
    await(n, async_read(self->fd, self->data, 16), 0);
    check_equal(n, -ETIMEDOUT);
    check_equal(async_close(self->fd), 0);
    async_end;
}

/* What arrived before the descriptor was adopted is read after it. */
TASK_TEST(libuv, data_that_came_early_is_kept, int ends[2]; char data[16];)
{
    ssize_t n;
    async_begin;
    raw_tcp_pair(self->ends);
    check_equal(write(self->ends[1], "early", 5), 5);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    await(n, async_read(self->ends[0], self->data, 16), 5000);
    check_equal(n, 5);
    check_equal(async_close(self->ends[0]), 0);
    close(self->ends[1]);
    async_end;
}

/* stdout is gone, and stdin is still read. */
TASK_TEST(libuv, one_pipe_outlives_another, int in[2]; int out[2]; char data[16];)
{
    ssize_t n;
    async_begin;
    check_equal(async_pipe(self->in), 0);
    check_equal(async_pipe(self->out), 0);
    check_equal(async_close(self->out[0]), 0);
    await(n, async_write(self->out[1], "lost", 4), 0);
    check_equal(n, -EPIPE);
    check_equal(async_close(self->out[1]), 0);
    await(n, async_write(self->in[1], "still here", 10), 0);
    check_equal(n, 10);
    await(n, async_read(self->in[0], self->data, 16), 0);
    check_equal(n, 10);
    async_end;
}

/* A client of a Unix socket that is gone before it is accepted is a connection with an end. */
TASK_TEST(libuv, a_client_may_go_before_it_is_accepted, int listener, fd; char path[64];
          char data[4];)
{
    ssize_t n;
    async_begin;
    snprintf(self->path, sizeof self->path, "/tmp/async-test-%ld-gone", (long)getpid());
    unlink(self->path);
    self->listener = async_listen_unix(self->path);
    check(self->listener >= 0);
    await(self->fd, async_connect_unix(self->path));
    check(self->fd >= 0);
    check_equal(async_close(self->fd), 0);
    unlink(self->path);
    await(self->fd, async_accept(self->listener), 0);
    check(self->fd >= 0);
    await(n, async_read(self->fd, self->data, 4), 0);
    check_equal(n, 0);
    await(n, async_write(self->fd, self->data, 4), 0);
    check_equal(n, -EPIPE);
    async_end;
}
