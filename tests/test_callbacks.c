/*
 * Callbacks: readiness, timers, the functions that do not wait, and a server made of nothing else.
 *
 * Goal: a callback runs when its contract says, as often as it says, and never after it was
 * cancelled or on the stack of its caller. Method: callbacks that write down the order in which
 * they ran, in loops without a single task, which end by themselves when nothing can happen.
 *
 * Where the point is that time passes, it passes in the simulation only.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "async.h"
#include "test.h"

#include "io.h"

static char order[64]; /* a letter for each callback that ran */

static void note(char letter)
{
    size_t used = strlen(order);

    check(used < sizeof order - 1);
    order[used] = letter;
}

static void open_loop(void)
{
    memset(order, 0, sizeof order);
    check_equal(async_open(NULL), 0);
}

static void run_and_close(void)
{
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_close(), 0);
}

static void note_letter(void *data)
{
    note(*(const char *)data);
}

/* ----------------------------------------------------------------------------
 * MARK: - Soon, after, every
 * ------------------------------------------------------------------------- */

TEST(soon, runs_in_order_and_not_on_its_callers_stack)
{
    open_loop();
    check(async_soon((void *)"a", note_letter) > 0);
    check(async_after(0, (void *)"b", note_letter) > 0);
    check(async_after(-5, (void *)"c", note_letter) > 0);
    check(async_soon((void *)"d", note_letter) > 0);
    check_text(order, "");
    run_and_close();
    check_text(order, "abcd");
}

static void asks_again(void *data)
{
    int *left = (int *)data;

    note('0' + (char)*left);
    if (--*left) {
        check(async_soon(left, asks_again) > 0);
        note('-');
    }
}

/* Zero is the next turn, not this one. */
TEST(soon, from_a_callback_comes_at_the_next_turn)
{
    int left = 3;

    open_loop();
    check(async_soon(&left, asks_again) > 0);
    check(async_soon((void *)"x", note_letter) > 0);
    check_equal(async_loop_run_once(0), 2);
    check_text(order, "3-x");
    check_equal(async_loop_run_once(0), 1);
    check_text(order, "3-x2-");
    run_and_close();
    check_text(order, "3-x2-1");
}

TEST(soon, has_a_handle_until_it_runs)
{
    async_handle handle, other;

    open_loop();
    handle = async_soon((void *)"a", note_letter);
    other = async_soon((void *)"b", note_letter);
    check_equal(async_cancel(handle), 0);
    check_error(async_cancel, ESRCH, async_cancel(handle));
    check_equal(async_loop_run(), 0);
    check_text(order, "b");
    check_equal(async_cancel(other), -ESRCH);
    check_equal(async_loop_close(), 0);
}

TEST(after, is_never_early)
{
    int64_t start;

    open_loop();
    start = async_now();
    check(async_after(3, (void *)"a", note_letter) > 0);
    run_and_close();
    check_text(order, "a");
    check(async_now() - start >= 3000000);
}

TEST(after, takes_any_delay)
{
    async_handle handle;

    open_loop();
    handle = async_after(INT64_MAX, (void *)"x", note_letter);
    check(handle > 0);
    check(async_every(INT64_MAX, (void *)"x", note_letter) > 0);
    check_equal(async_loop_run_once(0), 0);
    check_equal(async_cancel(handle), 0);
    check_equal(async_loop_close(), 0);
    check_text(order, "");
}

static async_handle siblings[3];

static void cancels_its_siblings(void *data)
{
    note_letter(data);
    for (int i = 0; i < 3; i++)
        async_cancel(siblings[i]);
}

/* All three are due before the first runs. */
TEST(after, can_be_cancelled_by_a_sibling_that_is_due_too)
{
    open_loop();
    siblings[0] = async_after(1, (void *)"a", cancels_its_siblings);
    siblings[1] = async_after(1, (void *)"b", cancels_its_siblings);
    siblings[2] = async_every(1, (void *)"c", cancels_its_siblings);
    take_ms(2);
    run_and_close();
    check_text(order, "a");
}

static async_handle self_handle;
static int rounds;

static void counts_rounds(void *data)
{
    (void)data;
    if (++rounds == 3)
        check_equal(async_cancel(self_handle), 0);
}

SIMULATED_TEST(every, runs_until_it_is_cancelled_by_itself)
{
    int64_t start;

    open_loop();
    rounds = 0;
    start = async_now();
    self_handle = async_every(2, NULL, counts_rounds);
    run_and_close();
    check_equal(rounds, 3);
    check(async_now() - start >= 6000000);
}

TEST(every, needs_an_interval)
{
    open_loop();
    check_error(async_every, EINVAL, async_every(0, NULL, counts_rounds));
    check_equal(async_every(-1, NULL, counts_rounds), -EINVAL);
    run_and_close();
}

static int64_t step_start;
static int64_t steps_seen[4];

/* The first turn is held up for ten intervals. */
static void holds_up(void *data)
{
    (void)data;
    steps_seen[rounds++] = async_now() - step_start;
    if (rounds == 1)
        take_ms(50);
    if (rounds == 4)
        check_equal(async_cancel(self_handle), 0);
}

/* Turns that were missed are left out: four of them are not over before the eleventh. */
SIMULATED_TEST(every, leaves_out_the_turns_it_has_missed)
{
    open_loop();
    rounds = 0;
    step_start = async_now();
    self_handle = async_every(5, NULL, holds_up);
    run_and_close();
    check_equal(rounds, 4);
    check(steps_seen[0] >= 5000000);
    check(steps_seen[1] >= 50000000);
    check(steps_seen[3] >= 55000000);
}

static void stops_the_loop(void *data)
{
    note_letter(data);
    async_loop_stop();
}

TEST(stop, from_a_callback_ends_the_run_and_keeps_the_rest)
{
    open_loop();
    check(async_soon((void *)"a", stops_the_loop) > 0);
    check(async_soon((void *)"b", note_letter) > 0);
    check_equal(async_loop_run(), 0);
    check_text(order, "a");
    run_and_close();
    check_text(order, "ab");
}

static void closes_the_loop(void *data)
{
    (void)data;
    check_error(async_loop_close, EBUSY, async_loop_close());
    note('x');
}

TEST(stop, by_closing_the_loop_is_refused)
{
    open_loop();
    check(async_soon(NULL, closes_the_loop) > 0);
    run_and_close();
    check_text(order, "x");
}

TEST(stop, leaves_what_was_never_called)
{
    int ends[2];

    open_loop();
    check_equal(async_pipe(ends), 0);
    check(async_soon((void *)"a", note_letter) > 0);
    check(async_after(1000, (void *)"b", note_letter) > 0);
    check(async_every(1000, (void *)"c", note_letter) > 0);
    check_equal(async_loop_close(), 0);
    check_text(order, "");
}

/* ----------------------------------------------------------------------------
 * MARK: - Readiness
 * ------------------------------------------------------------------------- */

static async_handle reader;

static void reads_one(int fd, void *data)
{
    char byte = '?';

    check_equal(async_read_nowait(fd, &byte, 1), 1);
    note(byte);
    if (byte == *(const char *)data)
        check_equal(async_cancel(reader), 0);
}

/* Four bytes are one event; who leaves some is called again, who is cancelled is not. */
TEST(on_readable, is_called_again_while_data_is_left)
{
    int ends[2];

    open_loop();
    check_equal(async_pipe(ends), 0);
    check_equal(write(ends[1], "abcd", 4), 4);
    reader = async_on_readable(ends[0], (void *)"c", reads_one);
    check(reader > 0);
    check_text(order, "");
    run_and_close();
    check_text(order, "abc");
}

/* The program may read by itself: then there is nothing to call for. */
static void reads_behind_our_back(int fd, void *data)
{
    char bytes[8];

    (void)data;
    check_equal(read(fd, bytes, 8), 4);
    note('r');
    check(async_soon((void *)"s", stops_the_loop) > 0);
}

TEST(on_readable, is_not_called_for_what_the_program_has_read)
{
    int ends[2];

    open_loop();
    check_equal(async_pipe(ends), 0);
    check(async_on_readable(ends[0], NULL, reads_behind_our_back) > 0);
    check_equal(async_loop_run_once(0), 0);
    check_equal(write(ends[1], "abcd", 4), 4);
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_run_once(0), 0);
    check_equal(write(ends[1], "abcd", 4), 4);
    check_equal(async_loop_run(), 0);
    check_text(order, "rsrs");
    check_equal(async_loop_close(), 0);
}

static void closes_its_own(int fd, void *data)
{
    note_letter(data);
    check_equal(async_close(fd), 0);
}

/* The loop ends, as nothing is watched any more. */
TEST(on_readable, ends_with_its_descriptor)
{
    int ends[2], other[2];

    open_loop();
    check_equal(async_pipe(ends), 0);
    check_equal(async_pipe(other), 0);
    check_equal(write(ends[1], "x", 1), 1);
    reader = async_on_readable(ends[0], (void *)"a", closes_its_own);
    check_equal(async_loop_run(), 0);
    check_equal(async_cancel(reader), -ESRCH);
    reader = async_on_readable(other[0], (void *)"b", closes_its_own);
    check_equal(async_close(other[0]), 0);
    check_equal(async_cancel(reader), -ESRCH);
    run_and_close();
    check_text(order, "a");
}

static int victim;

static void closes_the_other(int fd, void *data)
{
    char bytes[8];

    (void)fd;
    note_letter(data);
    if (victim >= 0)
        check_equal(async_close(victim), 0);
    victim = -1;
    check_equal(async_read_nowait(fd, bytes, 8), 1);
}

/* Both are ready, the first closes the second, whose callback must not come. */
TEST(on_readable, of_a_sibling_is_not_called_after_its_close)
{
    int a[2], b[2];

    open_loop();
    check_equal(async_pipe(a), 0);
    check_equal(async_pipe(b), 0);
    check(async_on_readable(a[0], (void *)"a", closes_the_other) > 0);
    check(async_on_readable(b[0], (void *)"b", closes_the_other) > 0);
    check_equal(async_loop_run_once(0), 0);
    victim = b[0];
    check_equal(write(a[1], "x", 1), 1);
    check_equal(write(b[1], "x", 1), 1);
    check(async_loop_run_once(0) >= 1);
    check_equal(async_loop_run_once(0), 0);
    check_equal(victim, -1);
    check_equal(strlen(order), 1);
    check_equal(async_loop_close(), 0);
}

static void note_end(int fd, void *data)
{
    char byte;

    check_equal(async_read_nowait(fd, &byte, 1), 0);
    note_letter(data);
    check_equal(async_cancel(reader), 0);
}

TEST(on_readable, is_called_at_the_end)
{
    int ends[2];

    open_loop();
    check_equal(async_pipe(ends), 0);
    reader = async_on_readable(ends[0], (void *)"e", note_end);
    check_equal(async_loop_run_once(0), 0);
    check_equal(async_close(ends[1]), 0);
    run_and_close();
    check_text(order, "e");
}

static void never(int fd, void *data)
{
    (void)fd;
    (void)data;
    test_fail(__FILE__, __LINE__, "%s", "called although nothing is to be done");
}

/* One reader and one writer, whether they are callbacks or tasks. */
TEST(on_readable, excludes_a_second_reader)
{
    int ends[2];

    open_loop();
    check_equal(async_socketpair(ends), 0);
    fill(ends[0]);
    check(async_on_readable(ends[0], NULL, never) > 0);
    check_error(async_on_readable, EBUSY, async_on_readable(ends[0], NULL, never));
    check(async_on_writable(ends[0], NULL, never) > 0);
    check_error(async_on_writable, EBUSY, async_on_writable(ends[0], NULL, never));
    check_equal(async_loop_close(), 0);
}

TEST(on_readable, needs_a_descriptor_of_the_loop)
{
    open_loop();
    check_error(async_on_readable, EBADF, async_on_readable(0, NULL, never));
    check_error(async_on_writable, EBADF, async_on_writable(1000000, NULL, never));
    check_equal(async_on_readable(-EADDRINUSE, NULL, never), -EADDRINUSE);
    check_equal(async_on_writable(-EADDRINUSE, NULL, never), -EADDRINUSE);
    run_and_close();
}

/* Cancelled when it is in the queue already. */
TEST(on_readable, does_not_come_after_its_cancel)
{
    int ends[2];

    open_loop();
    check_equal(async_pipe(ends), 0);
    check_equal(write(ends[1], "x", 1), 1);
    reader = async_on_readable(ends[0], NULL, never);
    check_equal(async_cancel(reader), 0);
    reader = async_on_readable(ends[0], (void *)"x", reads_one);
    check(reader > 0);
    run_and_close();
    check_text(order, "x");
}

static void writes_until_full(int fd, void *data)
{
    int *calls = (int *)data;

    fill(fd);
    if (++*calls == 2)
        check_equal(async_cancel(reader), 0);
    else
        async_loop_stop();
}

TEST(on_writable, is_called_again_when_the_peer_has_read)
{
    int ends[2], calls = 0;
    size_t full;

    open_loop();
    raw_pair(ends);
    check_equal(async_adopt(ends[0]), ends[0]);
    full = fill(ends[0]);
    reader = async_on_writable(ends[0], &calls, writes_until_full);
    check_equal(async_loop_run_once(0), 0);
    drain(ends[1], full);
    check_equal(async_loop_run(), 0);
    check_equal(calls, 1);
    check_equal(async_loop_run_once(0), 0);
    check_equal(calls, 1);
    close(ends[1]);
    run_and_close();
    check_equal(calls, 2);
    close(ends[0]);
}

/* ----------------------------------------------------------------------------
 * MARK: - The functions that do not wait
 * ------------------------------------------------------------------------- */

TEST(nowait, says_what_can_be_done_now)
{
    int ends[2];
    char data[16];
    ssize_t n, sum = 0;

    open_loop();
    check_equal(async_socketpair(ends), 0);
    check_error(async_read_nowait, EAGAIN, async_read_nowait(ends[0], data, 16));
    check_equal(async_write_nowait(ends[1], "hello", 5), 5);
    check_equal(async_loop_run_once(0), 0);
    check_equal(async_close(ends[0]), 0);
    check_equal(async_close(ends[1]), 0);
    check_equal(async_pipe(ends), 0);
    check_equal(async_write_nowait(ends[1], "hello", 5), 5);
    check_equal(async_read_nowait(ends[0], data, 3), 3);
    check_equal(async_read_nowait(ends[0], data, 16), 2);
    check_equal(async_read_nowait(ends[0], data, 0), 0);
    while ((n = async_write_nowait(ends[1], order, sizeof order)) > 0)
        sum += n;
    check_error(async_write_nowait, EAGAIN, n);
    check(sum > 0);
    drain(ends[0], (size_t)sum);
    check_equal(async_close(ends[1]), 0);
    check_equal(async_close(ends[0]), 0);
    check_equal(async_loop_close(), 0);
}

TEST(nowait, refuses_what_was_not_adopted)
{
    char data[4];

    open_loop();
    check_error(async_read_nowait, EBADF, async_read_nowait(0, data, 4));
    check_error(async_write_nowait, EBADF, async_write_nowait(0, data, 4));
    check_error(async_accept_nowait, EBADF, async_accept_nowait(0));
    check_equal(async_read_nowait(-EADDRINUSE, data, 4), -EADDRINUSE);
    check_equal(async_write_nowait(-EADDRINUSE, data, 4), -EADDRINUSE);
    check_equal(async_accept_nowait(-EADDRINUSE), -EADDRINUSE);
    run_and_close();
}

TEST(nowait, reports_errors_of_the_peer)
{
    int ends[2];
    char data[4] = "abc";

    open_loop();
    raw_tcp_pair(ends);
    check_equal(async_adopt(ends[0]), ends[0]);
    check_equal(async_accept_nowait(ends[0]), -EINVAL);
    reset_on_close(ends[1]);
    close(ends[1]);
    check_equal(async_read_nowait(ends[0], data, 4), -ECONNRESET);
    check_equal(async_write_nowait(ends[0], data, 4), -EPIPE);
    check_equal(async_close(ends[0]), 0);
    run_and_close();
}

static void stops_at_once(int fd, void *data)
{
    (void)fd;
    (void)data;
    async_loop_stop();
}

TEST(nowait, accepts_what_is_in_the_backlog)
{
    int listener, client, fd;

    open_loop();
    listener = async_listen("127.0.0.1", 0);
    check_error(async_accept_nowait, EAGAIN, async_accept_nowait(listener));
    client = raw_client(async_port(listener));
    check(async_on_readable(listener, NULL, stops_at_once) > 0);
    check_equal(async_loop_run(), 0);
    fd = async_accept_nowait(listener);
    check(fd >= 0);
    check(is_nonblocking(fd));
    check(is_close_on_exec(fd));
    close(client);
    check_equal(async_loop_close(), 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - A server without a coroutine
 * ------------------------------------------------------------------------- */

enum { GUESTS = 20 };

static int listener_fd;
static int guests_left;

static void echo(int fd, void *data)
{
    char bytes[64];
    ssize_t n = async_read_nowait(fd, bytes, sizeof bytes);

    (void)data;
    if (n > 0)
        check_equal(async_write_nowait(fd, bytes, (size_t)n), n);
    if (n != -EAGAIN && n <= 0)
        check_equal(async_close(fd), 0);
}

static void welcome(int listener, void *data)
{
    int fd = async_accept_nowait(listener);

    (void)data;
    if (fd == -EAGAIN)
        return;
    check(fd >= 0);
    check(async_on_readable(fd, NULL, echo) > 0);
}

static void reads_echo(int fd, void *data)
{
    char bytes[64];

    (void)data;
    check_equal(async_read_nowait(fd, bytes, sizeof bytes), 4);
    check(memcmp(bytes, "ping", 4) == 0);
    check_equal(async_close(fd), 0);
    if (--guests_left == 0)
        async_loop_stop();
}

TEST(callbacks, make_an_echo_server)
{
    open_loop();
    listener_fd = async_listen("127.0.0.1", 0);
    check(async_on_readable(listener_fd, NULL, welcome) > 0);
    for (guests_left = 0; guests_left < GUESTS; guests_left++) {
        int fd = raw_client(async_port(listener_fd));
        check_equal(async_adopt(fd), fd);
        check_equal(async_write_nowait(fd, "ping", 4), 4);
        check(async_on_readable(fd, NULL, reads_echo) > 0);
    }
    check_equal(async_loop_run(), 0);
    check_equal(guests_left, 0);
    check_equal(async_loop_close(), 0);
}

/* Nobody waits for the descriptor, so no event says that there is room again: each call asks. */
TEST(nowait, sees_what_has_changed_without_a_callback)
{
    static char data[65536];
    int ends[2];

    open_loop();
    check_equal(async_socketpair(ends), 0);
    while (async_write_nowait(ends[0], data, sizeof data) > 0) {
    }
    check_equal(async_read_nowait(ends[0], data, 1), -EAGAIN);
    while (async_read_nowait(ends[1], data, sizeof data) > 0) {
    }
    check(async_write_nowait(ends[0], "x", 1) == 1);
    check(async_read_nowait(ends[1], data, 2) == 1);
    check_equal(async_close(ends[0]), 0);
    check_equal(async_close(ends[1]), 0);
    run_and_close();
}
