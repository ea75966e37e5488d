/*
 * What seldom happens: system calls that fail where they never do, orders that chance picks, sizes
 * that nobody sends, tasks that end in the middle of a crowd.
 *
 * Goal: each branch of the header is taken by something that a user relies on. Method: the seam
 * lets the next calls of one function fail with an errno of the test's choice.
 *
 * On the real kernel only: files, FIFOs, the standard descriptors, and a lie about the state of a
 * connection that no kernel tells.
 */
#include "seam.h"

#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Calls of `fail_name` fail with `fail_errno`: after `fail_after` of them, `fail_times` often. */
static const char *fail_name;
static int fail_errno, fail_after, fail_times;

static int fails(const char *name)
{
    if (!fail_name || strcmp(name, fail_name) || fail_times == 0 || fail_after-- > 0)
        return 0;
    fail_times--;
    errno = fail_errno;
    return 1;
}

static void let_fail(const char *name, int error, int after, int times)
{
    fail_name = name;
    fail_errno = error;
    fail_after = after;
    fail_times = times;
}

static int rare_fcntl(int fd, int command, ...)
{
    va_list arguments;
    int value;

    va_start(arguments, command);
    value = command == F_SETFL || command == F_SETFD ? va_arg(arguments, int) : 0;
    va_end(arguments);
    return fails("fcntl") ? -1 : fcntl(fd, command, value);
}

static int rare_getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
    return fails("getsockopt") ? -1 : getsockopt(fd, level, option, value, size);
}

static int rare_getsockname(int fd, struct sockaddr *address, socklen_t *size)
{
    int result = fails("getsockname") ? -1 : getsockname(fd, address, size);

    if (fails("family"))
        address->sa_family = AF_UNSPEC;
    return result;
}

static int rare_getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
    return fails("getpeername") ? -1 : getpeername(fd, address, size);
}

static int rare_socket(int family, int type, int protocol)
{
    return fails(family == AF_INET6 ? "socket6" : "socket") ? -1 : socket(family, type, protocol);
}

static ssize_t rare_read(int fd, void *data, size_t size)
{
    return fails("read") ? -1 : read(fd, data, size);
}

static int called;
static size_t last_first, last_choice; /* where ASYNC_PICK was asked to choose */

static size_t pick_last(size_t count)
{
    last_choice = count;
    return last_first ? count - 1 : 0;
}

#ifdef __linux__
static int rare_epoll_ctl(int poller, int verb, int fd, struct epoll_event *event)
{
    return fails("epoll_ctl") ? -1 : epoll_ctl(poller, verb, fd, event);
}
#define SEAM_SYS_epoll_ctl x, rare_epoll_ctl
#endif

#define SEAM_SYS_fcntl x, rare_fcntl
#define SEAM_SYS_getsockopt x, rare_getsockopt
#define SEAM_SYS_getsockname x, rare_getsockname
#define SEAM_SYS_getpeername x, rare_getpeername
#define SEAM_SYS_socket x, rare_socket
#define SEAM_SYS_read x, rare_read
#undef ASYNC_PICK
#define ASYNC_PICK(count) pick_last(count)

#include "async.h"
#include "test.h"

#include "io.h"

static void open_loop_at(int64_t clock)
{
    seam_reset();
    fail_name = NULL;
    last_first = 0;
    seam_clock = clock;
    check_equal(async_open(NULL), 0);
}

static void open_loop(void)
{
    open_loop_at(0);
}

/* With a clock that passes only while the loop waits. */
static void open_loop_at_rest(void)
{
    open_loop_at(1000000000);
}

static void close_loop(void)
{
    check_equal(async_loop_close(), 0);
    seam_reset();
    fail_name = NULL;
}

/* ----------------------------------------------------------------------------
 * MARK: - System calls that never fail
 * ------------------------------------------------------------------------- */

/* Whatever fcntl(2) says at any of its calls, the descriptor is as it was. */
TEST(rare, adopting_reports_what_fcntl_says)
{
    int ends[2];

    open_loop();
    raw_pair(ends);
    for (int call = 0; call < 4; call++) {
        let_fail("fcntl", EACCES, call, 1);
        check_equal(async_adopt(ends[0]), -EACCES);
        check_equal(async_close(ends[0]), -EBADF);
        let_fail(NULL, 0, 0, 0);
        fcntl(ends[0], F_SETFL, fcntl(ends[0], F_GETFL) & ~O_NONBLOCK);
        fcntl(ends[0], F_SETFD, 0);
    }
    check_equal(async_adopt(ends[0]), ends[0]);
    close_loop();
    close(ends[0]);
    close(ends[1]);
}

/* A socket that does not tell what it is is read until it says EAGAIN. */
TEST(rare, a_socket_of_unknown_kind_works)
{
    static const char *const calls[] = { "getsockopt", "getsockname", "family" };
    char data[16];

    for (int i = 0; i < 3; i++) {
        int ends[2];

        open_loop();
        raw_pair(ends);
        let_fail(calls[i], EINVAL, 0, 1);
        check_equal(async_adopt(ends[0]), ends[0]);
        check_equal(write(ends[1], "hello", 5), 5);
        check_equal(async_read_nowait(ends[0], data, sizeof data), 5);
        check_equal(async_read_nowait(ends[0], data, sizeof data), -EAGAIN);
        check_equal(async_write_nowait(ends[0], "x", 0), 0);
        check_equal(async_write_nowait(ends[0], "x", 1), 1);
        close_loop();
        close(ends[0]);
        close(ends[1]);
    }
}

async(connects, int port; int fd;)
{
    async_begin;
    await(self->fd, async_connect("127.0.0.1", self->port), 1000);
    async_return(self->fd);
    async_end;
}

static int connect_while(const char *call, int error)
{
    int listener = raw_listener(4), fd;

    seam_reset();
    seam_clock = 1000000000;
    let_fail(call, error, 0, 1);
    fd = (int)async_run(connects, async_port(listener));
    let_fail(NULL, 0, 0, 0);
    seam_reset();
    close(listener);
    return fd;
}

/* connect(2): the outcome is SO_ERROR; a peer's name proves it, and without one it is no success:
 * the attempt goes on to the next event, if the system sends one, or to its limit. */
REAL_TEST(rare, connecting_believes_no_event_alone, "a lie at the seam that no kernel tells")
{
    int fd;

    check_equal(connect_while("getsockopt", EIO), -EIO);
    fd = connect_while("getpeername", ENOTCONN);
    check(fd >= 0 || fd == -ETIMEDOUT || fd == -ECONNREFUSED);
}

/* A system without IPv6: "all addresses" is IPv4. */
TEST(rare, listening_everywhere_does_not_need_IPv6)
{
    int listener, client;

    open_loop();
    let_fail("socket6", EAFNOSUPPORT, 0, 1);
    listener = async_listen(NULL, 0);
    check(listener >= 0);
    client = raw_client(async_port(listener));
    close(client);
    check_equal(async_close(listener), 0);
    close_loop();
}

async(reads_file, int fd; char data[8];)
{
    ssize_t n;
    async_begin;
    await(n, async_read(self->fd, self->data, sizeof self->data), 5000);
    check_equal(n, 5);
    async_end;
}

/* A device the poller does not know is tried again a little later. */
REAL_TEST(rare, a_file_that_is_not_ready_is_tried_again, "a real file")
{
    char path[] = "/tmp/async-test-XXXXXX";
    int fd = mkstemp(path);

    unlink(path);
    check_equal(write(fd, "hello", 5), 5);
    check_equal(lseek(fd, 0, SEEK_SET), 0);
    open_loop_at_rest();
    check_equal(async_adopt(fd), fd);
    let_fail("read", EAGAIN, 0, 3);
    check(async_spawn(reads_file, fd) > 0);
    check_equal(async_loop_run(), 0);
    check_equal(fail_times, 0);
    close_loop();
    close(fd);
}

static int writable_calls;

static void finds_no_reader(int fd, void *data)
{
    (void)data;
    writable_calls++;
    check_equal(async_write_nowait(fd, "x", 1), -EPIPE);
    check_equal(async_close(fd), 0);
}

/* A pipe without a reader cannot be watched (kqueue(2): EPIPE), but its writer is told. */
TEST(rare, a_pipe_without_a_reader_is_writable)
{
    int ends[2];

    open_loop();
    check_equal(async_pipe(ends), 0);
    check_equal(async_close(ends[0]), 0);
    writable_calls = 0;
    check(async_on_writable(ends[1], NULL, finds_no_reader) > 0);
    check_equal(async_loop_run(), 0);
    check_equal(writable_calls, 1);
    close_loop();
}

static char much[400000];

async(writes_much, int fd;)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, much, sizeof much), 5000);
    check_equal(n, (ssize_t)sizeof much);
    async_end;
}

async(reads_much, int fd; size_t sum; char data[4096];)
{
    ssize_t n;
    async_begin;
    while (self->sum < sizeof much) {
        await(n, async_read(self->fd, self->data, sizeof self->data), 5000);
        check(n > 0);
        self->sum += (size_t)n;
    }
    async_end;
}

/* The number is another file's now, behind our back: a write that has to wait finds it all the
 * same. */
TEST(rare, a_number_that_was_given_away_can_be_written_to)
{
    int ends[2], others[2];

    open_loop();
    check_equal(async_socketpair(ends), 0);
    check_equal(async_socketpair(others), 0);
    check_equal(dup2(others[0], ends[0]), ends[0]);
    check(async_spawn(writes_much, ends[0]) > 0);
    check(async_spawn(reads_much, others[1]) > 0);
    check_equal(async_loop_run(), 0);
    close_loop();
}

async(meets_a_ghost, int old[2], next[2], ghost, in_adding; char data[4];)
{
    ssize_t n;
    async_begin;
    raw_pair(self->old);
    raw_pair(self->next);
    check_equal(async_adopt(self->old[0]), self->old[0]);
    self->ghost = dup(self->old[0]);
    check_equal(dup2(self->next[0], self->old[0]), self->old[0]);
    check_equal(async_adopt(self->old[0]), self->old[0]);
    check_equal(write(self->old[1], "ghost", 5), 5);
    if (self->in_adding)
        let_fail("epoll_ctl", ENOMEM, 0, 1);
    else
        seam_refuse = EMFILE;
    await(n, async_readable(self->old[0]), 0);
    check_equal(n, -ETIMEDOUT);
    seam_refuse = 0;
    let_fail(NULL, 0, 0, 0);
    check_equal(write(self->next[1], "real", 4), 4);
    await(n, async_read(self->old[0], self->data, 4), 5000);
    check_equal(n, 4);
    check(memcmp(self->data, "real", 4) == 0);
    async_finally;
    check_equal(async_close(self->old[0]), 0);
    close(self->ghost);
    close(self->old[1]);
    close(self->next[0]);
    close(self->next[1]);
    async_end;
}

/* epoll(7): closed by close(2) while a duplicate lives, it goes on reporting. Where there is no
 * descriptor or no memory for a set without it, the old set serves on. */
TEST(rare, a_ghost_does_no_harm_where_no_new_set_is_to_be_had)
{
    for (int in_adding = 0; in_adding < 2; in_adding++) {
        open_loop();
        check(async_spawn(meets_a_ghost, .in_adding = in_adding) > 0);
        check_equal(async_loop_run(), 0);
        close_loop();
    }
}

/* ----------------------------------------------------------------------------
 * MARK: - Sizes
 * ------------------------------------------------------------------------- */

/* More than one call can take: cut to the pieces that fit, or to the one that does not. */
TEST(rare, pieces_of_gigabytes_are_cut_into_calls)
{
    struct iovec all[3];
    const struct iovec *pieces = all;
    size_t count = 3;

    memset(all, 0, sizeof all);
    all[1].iov_len = 100;
    all[2].iov_len = (size_t)3 << 30;
    check_equal(async__one_call(&pieces, &count), 100);
    check(pieces == &all[1]);
    check_equal(count, 1);
    pieces = &all[2];
    check_equal(async__one_call(&pieces, &count), 0);
    check(pieces == &all[2]);
    check_equal(count, 1);
}

/* The same of memory that is only promised: what fits goes out. */
TEST(rare, a_write_of_gigabytes_begins)
{
    size_t huge = (size_t)3 << 30;
    void *zeros;
    int ends[2];

    if (test_on_valgrind())
        test_skip("3 GiB of address space are too many");
    zeros = mmap(NULL, huge, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (zeros == MAP_FAILED) /* of 32 bits, most likely */
        return;
    open_loop();
    check_equal(async_socketpair(ends), 0);
    check(async_write_nowait(ends[0], zeros, huge) > 0);
    check_equal(async_write_nowait(ends[0], zeros, huge), -EAGAIN);
    close_loop();
    munmap(zeros, huge);
}

async(gathers, int ends[2]; struct iovec pieces[2]; char data[16];)
{
    ssize_t n;
    async_begin;
    check_equal(async_pipe(self->ends), 0);
    memcpy(self->data, "hello, world", 12);
    self->pieces[0].iov_base = self->data;
    self->pieces[0].iov_len = 5;
    self->pieces[1].iov_base = self->data + 5;
    self->pieces[1].iov_len = 7;
    await(n, async_writev(self->ends[1], self->pieces, 2));
    check_equal(n, 12);
    memset(self->data, 0, sizeof self->data);
    await(n, async_readv(self->ends[0], self->pieces, 2));
    check_equal(n, 12);
    check_text(self->data, "hello, world");
    async_end;
}

TEST(rare, a_pipe_takes_pieces)
{
    open_loop();
    check(async_spawn(gathers) > 0);
    check_equal(async_loop_run(), 0);
    close_loop();
}

/* ----------------------------------------------------------------------------
 * MARK: - Timers
 * ------------------------------------------------------------------------- */

enum { ALARMS = 3000 };

static int64_t due[ALARMS];
static int rung;

static void ring(void *data)
{
    int64_t *expected = data;

    check_equal(seam_clock, *expected);
    rung++;
}

/* Most limits are never reached: their timers are stopped, and what is left rings in time. */
TEST(rare, timers_survive_that_most_are_stopped)
{
    static async_handle alarms[ALARMS];

    open_loop_at_rest();
    rung = 0;
    for (int i = 0; i < ALARMS; i++) {
        int64_t delay_ms = 1 + i * 7919 % 100003;

        due[i] = seam_clock + delay_ms * 1000000;
        alarms[i] = async_after(delay_ms, &due[i], ring);
        check(alarms[i] > 0);
        if (i % 10)
            check_equal(async_cancel(alarms[i]), 0);
    }
    check(async__current->heap_count < ALARMS / 2);
    check_equal(async_loop_run(), 0);
    check_equal(rung, ALARMS / 10);
    close_loop();
}

/* The numbers of timers wrap after four milliards; the old ones still ring. */
TEST(rare, timers_survive_that_their_numbers_wrap)
{
    int64_t first, second;

    open_loop_at_rest();
    rung = 0;
    async__current->next_order = UINT32_MAX;
    first = seam_clock + 20 * 1000000;
    check(async_after(20, &first, ring) > 0);
    second = seam_clock + 10 * 1000000;
    check(async_after(10, &second, ring) > 0);
    check_equal(async_loop_run(), 0);
    check_equal(rung, 2);
    close_loop();
}

/* ----------------------------------------------------------------------------
 * MARK: - Tasks in a crowd
 * ------------------------------------------------------------------------- */

static char order[16];

async(writes_name, char name;)
{
    size_t end;
    async_begin;
    await(async_yield());
    end = strlen(order);
    order[end] = self->name;
    async_end;
}

/* A test may choose who is next; whoever was ready has its turn before a newcomer. */
TEST(rare, chance_may_pick_any_that_is_ready)
{
    open_loop();
    memset(order, 0, sizeof order);
    last_first = 1;
    for (char name = 'a'; name < 'e'; name++)
        check(async_spawn(writes_name, name) > 0);
    check_equal(async_loop_run(), 0);
    check_text(order, "abcd"); /* reversed, and reversed again */
    check(last_choice >= 1);
    close_loop();
}

async(sleeps_long)
{
    async_begin;
    await(async_sleep(100));
    async_return(7);
    async_end;
}

async(joins, async_task task; async_result *result;)
{
    async_result r;
    async_begin;
    await(r, async_join(self->task));
    *self->result = r;
    async_end;
}

async(watches, const async_task *tasks; async_result *result;)
{
    async_result r;
    async_begin;
    await(r, async_join_all(self->tasks, 1));
    *self->result = r;
    async_end;
}

/* Six wait for one task, one of them for several; one in the middle and the first leave. */
async(crowd, async_task target; async_task joiners[5]; async_task watcher; async_result results[6];)
{
    int i;
    async_begin;
    self->target = async_spawn(sleeps_long);
    for (i = 0; i < 5; i++)
        self->joiners[i] = async_spawn(joins, self->target, &self->results[i]);
    await(async_yield());
    self->watcher = async_spawn(watches, &self->target, &self->results[5]);
    await(async_yield());
    check_equal(async_cancel(self->joiners[2]), 0);
    check_equal(async_cancel(self->joiners[4]), 0);
    check_equal(async_cancel(self->joiners[0]), 0);
    await(async_sleep(200));
    for (i = 0; i < 6; i++)
        check_equal(self->results[i], i == 5 ? 0 : i % 2 == 0 ? -ECANCELED : 7);
    async_end;
}

/* The watcher comes first: those who come after it stand before it. */
async(crowd_behind, async_task target; async_task joiners[3]; async_result results[4];)
{
    int i;
    async_begin;
    self->target = async_spawn(sleeps_long);
    check(async_spawn(watches, &self->target, &self->results[3]) > 0);
    await(async_yield());
    for (i = 0; i < 3; i++)
        self->joiners[i] = async_spawn(joins, self->target, &self->results[i]);
    await(async_yield());
    check_equal(async_cancel(self->joiners[1]), 0);
    await(async_sleep(200));
    check_equal(self->results[0], 7);
    check_equal(self->results[1], -ECANCELED);
    check_equal(self->results[2], 7);
    check_equal(self->results[3], 0);
    async_end;
}

TEST(rare, of_many_that_join_any_may_leave)
{
    open_loop_at_rest();
    check(async_spawn(crowd) > 0);
    check_equal(async_loop_run(), 0);
    check(async_spawn(crowd_behind) > 0);
    check_equal(async_loop_run(), 0);
    close_loop();
}

async(joins_a_failure, async_task tasks[2];)
{
    async_result r;
    async_begin;
    self->tasks[0] = self->tasks[1] = -ENOMEM; /* as a spawn that failed gave it */
    await(r, async_join_all(self->tasks, 2));
    check_equal(r, -ENOMEM);
    async_end;
}

TEST(rare, join_all_reports_a_spawn_that_failed)
{
    open_loop();
    check(async_spawn(joins_a_failure) > 0);
    check_equal(async_loop_run(), 0);
    close_loop();
}

static int ended_children;

async(child_of_the_end)
{
    async_begin;
    await(async_sleep(1000));
    async_finally;
    ended_children++;
    async_end;
}

async(spawns_at_the_end)
{
    async_task task;
    async_begin;
    await(async_sleep(3600000));
    async_finally;
    task = async_spawn(child_of_the_end);
    check(task > 0);
    check_equal(async_detach(task), 0);
    async_end;
}

/* What is detached while the loop closes is cancelled like all the rest. */
TEST(rare, detaching_does_not_outlive_the_loop)
{
    open_loop();
    ended_children = 0;
    check(async_spawn(spawns_at_the_end) > 0);
    check(async_loop_run_once(0) > 0);
    close_loop();
    check_equal(ended_children, 1);
}

/* Nor does what is spawned when nothing can be waited for any more. */
TEST(rare, spawning_in_a_broken_loop_ends)
{
    open_loop();
    ended_children = 0;
    check(async_spawn(spawns_at_the_end) > 0);
    check(async_loop_run_once(0) > 0);
    seam_break = EBADF;
    check_equal(async_loop_run(), -EBADF);
    check_equal(ended_children, 1);
    close_loop();
}

async(flushes_cancelled, async_stream *stream;)
{
    async_result r;
    async_begin;
    async_cancel(async_current_task());
    await(r, async_stream_flush(self->stream));
    check_equal(r, -ECANCELED);
    await(r, async_stream_wait_closed(self->stream));
    check_equal(r, -ECANCELED);
    async_end;
}

/* It does not wait, but its stream closes all the same. */
TEST(rare, a_cancelled_task_does_not_wait_for_its_stream)
{
    int ends[2];

    open_loop();
    check_equal(async_socketpair(ends), 0);
    check(async_spawn(flushes_cancelled, async_stream_open(ends[0])) > 0);
    check_equal(async_close(ends[1]), 0);
    check_equal(async_loop_run(), 0);
    check(!is_open(ends[0]));
    close_loop();
}

/* ----------------------------------------------------------------------------
 * MARK: - Streams
 * ------------------------------------------------------------------------- */

static int peer, pieces_left, others_turns;

static void next_piece(async_stream *stream, const char *data, ssize_t size)
{
    (void)data;
    check_equal(size, 1);
    if (--pieces_left == 0)
        async_stream_close(stream);
    else
        check_equal(write(peer, "x", 1), 1);
}

async(others)
{
    async_begin;
    while (pieces_left > 0) {
        others_turns++;
        await(async_yield());
    }
    async_end;
}

/* A peer that never lets go does not keep the others from their turns. */
TEST(rare, on_data_lets_others_run)
{
    int ends[2];
    async_stream *stream;

    open_loop();
    raw_pair(ends);
    let_fail("getsockopt", EINVAL, 0, 1); /* of a kind that is read to EAGAIN */
    check_equal(async_adopt(ends[0]), ends[0]);
    peer = ends[1];
    pieces_left = 1000;
    others_turns = 0;
    stream = async_stream_open(ends[0]);
    check_equal(async_stream_on_data(stream, next_piece), 0);
    check(async_spawn(others) > 0);
    check_equal(write(peer, "x", 1), 1);
    check_equal(async_loop_run(), 0);
    check_equal(pieces_left, 0);
    check(others_turns > 5);
    close(peer);
    close_loop();
}

/* Much that arrives while a stream closes is forgotten piece by piece, and the close still ends. */
TEST(rare, closing_forgets_what_still_arrives)
{
    static char flood[4096];
    int ends[2], room = 1 << 20;
    ssize_t n;
    size_t sum = 0;

    open_loop();
    raw_tcp_pair(ends);
    check_equal(async_adopt(ends[0]), ends[0]);
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while ((n = write(ends[1], flood, sizeof flood)) > 0)
        sum += (size_t)n;
    check(sum > 64 * sizeof flood);
    shutdown(ends[1], SHUT_WR);
    check_equal(async_stream_close(async_stream_open(ends[0])), 0);
    check_equal(async_loop_run(), 0);
    check(!is_open(ends[0]));
    close(ends[1]);
    close_loop();
}

async(writes_beside, async_stream *stream; int fd; size_t written, got; char data[60000];)
{
    ssize_t n;
    async_begin;
    for (int i = 0; i < 60; i++) {
        pattern_put(self->data, self->written, sizeof self->data);
        check_equal(async_stream_write(self->stream, self->data, sizeof self->data), 0);
        self->written += sizeof self->data;
    }
    while (self->got < self->written) {
        await(n, async_read(self->fd, self->data, 9973));
        check(n > 0);
        check(pattern_is(self->data, self->got, (size_t)n));
        self->got += (size_t)n;
        if (self->written - self->got < 1500000 && self->written < 6000000) {
            pattern_put(self->data, self->written, 9973);
            check_equal(async_stream_write(self->stream, self->data, 9973), 0);
            self->written += 9973;
        }
    }
    async_end;
}

/* A queue that is written and sent in turns does not grow for ever: it moves to the front. */
TEST(rare, a_queue_moves_to_the_front)
{
    int ends[2];

    open_loop();
    check_equal(async_socketpair(ends), 0);
    check(async_spawn(writes_beside, async_stream_open(ends[0]), .fd = ends[1]) > 0);
    check_equal(async_loop_run(), 0);
    close_loop();
}

/* ----------------------------------------------------------------------------
 * MARK: - Found by reading
 * ------------------------------------------------------------------------- */

/* What the peer sent and nobody read must not cost it the reply, though the loop ends at once. */
TEST(found, the_last_reply_outlives_the_loop)
{
    static char reply[1 << 18]; /* as much as the system takes */
    int ends[2], whole;
    ssize_t n;
    size_t sum = 0, size = test_is_costly() ? sizeof reply / 8 : sizeof reply;

    open_loop();
    raw_tcp_pair(ends);
    check_equal(write(ends[1], "nobody reads this", 17), 17);
    check_equal(async_adopt(ends[0]), ends[0]);
    {
        async_stream *stream = async_stream_open(ends[0]);

        check_equal(async_stream_write(stream, reply, size), 0);
        whole = stream->queue == NULL;
        check_equal(async_stream_close(stream), 0);
    }
    if (!whole)
        test_skip("the system does not take so much at once");
    close_loop();
    check(!is_open(ends[0]));
    while ((n = read(ends[1], reply, sizeof reply)) > 0)
        sum += (size_t)n;
    check_equal(n, 0);
    check_equal(sum, size);
    close(ends[1]);
}

static int64_t last_tick, worst_gap;

static void tick(void *data)
{
    (void)data;
    if (last_tick && seam_clock - last_tick > worst_gap)
        worst_gap = seam_clock - last_tick;
    last_tick = seam_clock;
}

async(slows_down, int i; async_handle ticker;)
{
    async_begin;
    self->ticker = async_every(10, NULL, tick);
    await(async_sleep(50));
    for (self->i = 0; self->i < 2060; self->i++)
        await(async_yield());
    for (self->i = 0; self->i < 2060; self->i++) {
        seam_clock += 2000000; /* a step of 2 ms */
        await(async_yield());
    }
    async_cancel(self->ticker);
    async_end;
}

/* Quick steps do not buy slow ones a time without timers: at most 256 of them. */
TEST(found, slow_steps_after_quick_ones_starve_nobody)
{
    open_loop_at_rest();
    last_tick = worst_gap = 0;
    check(async_spawn(slows_down) > 0);
    check_equal(async_loop_run(), 0);
    check(worst_gap > 0);
    check(worst_gap <= 600 * INT64_C(1000000));
    close_loop();
}

async(computes, int limit_ms; int ms;)
{
    async_begin;
    for (; !async_cancelled() && self->ms < self->limit_ms; self->ms++)
        seam_clock += 1000000;
    async_return(self->ms);
    async_end;
}

async(limits_computing)
{
    int r;
    async_begin;
    await(r, async_call(computes, .limit_ms = 100), 50);
    check_equal(r, 50);
    async_end;
}

/* Time passes within a step, too. */
TEST(found, async_cancelled_sees_a_limit_pass_while_computing)
{
    open_loop_at_rest();
    check(async_spawn(limits_computing) > 0);
    check_equal(async_loop_run(), 0);
    close_loop();
}

async(writes_until_closed, int fd; async_result *result;)
{
    static char block[1 << 20];
    async_result r;
    async_begin;
    await(r, async_write(self->fd, block, sizeof block));
    *self->result = r;
    async_end;
}

async(closes_before_awaiting, int ends[2]; char data[8]; async_result written;)
{
    async_result r;
    async_op op;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    check(async_spawn(writes_until_closed, self->ends[0], &self->written) > 0);
    await(async_yield());
    await(async_yield());
    op = async_read(self->ends[0], self->data, sizeof self->data);
    check_equal(async_close(self->ends[0]), 0);
    await(r, op);
    check_equal(r, -EBADF);
    await(async_yield());
    check(self->written == -EBADF || self->written > 0);
    async_end;
}

/* An operation that ends before its await loses neither its own task nor another. */
TEST(found, an_operation_may_end_before_its_await)
{
    open_loop();
    check(async_spawn(closes_before_awaiting) > 0);
    check_equal(async_loop_run(), 0);
    close_loop();
}

async(returns_the_least)
{
    async_begin;
    async_return(INT32_MIN);
    async_end;
}

async(joins_the_least, async_task task;)
{
    async_result r;
    async_begin;
    self->task = async_keep(async_spawn(returns_the_least));
    await(async_sleep(5));
    await(r, async_join(self->task));
    check_equal(r, INT32_MIN);
    await(r, async_read(INT_MIN, &self->task, 1));
    check_equal(r, INT_MIN);
    async_end;
}

TEST(found, any_result_arrives)
{
    open_loop_at_rest();
    check(async_spawn(joins_the_least) > 0);
    check_equal(async_loop_run(), 0);
    close_loop();
}

enum { MUCH = 4 << 20 };

async(writes_then_reads, int fd; size_t sum; char *data;)
{
    ssize_t n;
    async_begin;
    self->data = (char *)calloc(1, MUCH);
    check(self->data != NULL);
    await(n, async_write(self->fd, self->data, MUCH));
    check_equal(n, MUCH);
    for (;;) {
        await(n, async_read(self->fd, self->data, MUCH));
        if (n <= 0)
            break;
        self->sum += (size_t)n;
    }
    check_equal(n, 0);
    check_equal(self->sum, MUCH);
    free(self->data);
    check_equal(async_close(self->fd), 0);
    async_end;
}

async(answers_early, int ends[2]; char *data; async_stream *stream; async_task peer;)
{
    async_result r;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->peer = async_spawn(writes_then_reads, self->ends[1]);
    self->stream = async_stream_open(self->ends[0]);
    self->data = (char *)calloc(1, MUCH);
    check(self->data != NULL);
    check_equal(async_stream_write(self->stream, self->data, MUCH), 0);
    free(self->data);
    await(r, async_stream_wait_closed(self->stream));
    check_equal(r, 0);
    await(async_join(self->peer));
    async_end;
}

/* A peer that reads only after it has written all gets its answer all the same. */
TEST(found, a_closing_stream_reads_while_it_drains)
{
    open_loop();
    check(async_spawn(answers_early) > 0);
    check_equal(async_loop_run(), 0);
    close_loop();
}

static int written_calls;

static void count_written(async_stream *stream, int status)
{
    (void)stream;
    (void)status;
    written_calls++;
}

/* A small write that went out does not announce the large one behind it. */
TEST(found, on_written_waits_for_the_queue)
{
    static char block[1 << 20];
    async_stream *stream;
    int ends[2];

    open_loop();
    raw_pair(ends);
    check_equal(async_adopt(ends[0]), ends[0]);
    stream = async_stream_open(ends[0]);
    written_calls = 0;
    check_equal(async_stream_on_written(stream, count_written), 0);
    check_equal(async_stream_write(stream, "x", 1), 0);
    check_equal(async_stream_write(stream, block, sizeof block), 0);
    for (int i = 0; i < 3; i++)
        check(async_loop_run_once(0) >= 0);
    check_equal(written_calls, 0);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    for (size_t sum = 0; sum <= sizeof block;) {
        ssize_t n = read(ends[1], block, sizeof block);

        if (n > 0)
            sum += (size_t)n;
        check(async_loop_run_once(0) >= 0);
    }
    for (int i = 0; i < 3; i++)
        check(async_loop_run_once(0) >= 0);
    check_equal(written_calls, 1);
    close_loop();
    close(ends[1]);
}

/* A number below 3 is closed if async.h made what it names: a daemon may have none of its own. */
REAL_TEST(found, a_descriptor_of_ours_is_closed_whatever_its_number, "descriptors 0 to 2")
{
    int saved = dup(0), ends[2], closed;
    char byte;

    check(saved > 2);
    open_loop();
    close(0);
    check_equal(async_socketpair(ends), 0);
    check_equal(ends[0], 0);
    closed = async_close(0) == 0 && !is_open(0);
    dup2(saved, 0);
    close(saved);
    check(closed);
    check_equal(async_read_nowait(ends[1], &byte, 1), 0);
    close_loop();
}

async(tries_twice)
{
    int r;
    async_begin;
    await(r, async_sleep(1000));
    if (r < 0)
        await(r, async_yield());
    async_return(r);
    async_end;
}

async(lets_limits_pass, int i;)
{
    int r;
    async_begin;
    for (self->i = 0; self->i < 1100; self->i++)
        await(r, async_call(tries_twice), 1);
    check_equal(r, -ETIMEDOUT);
    async_end;
}

/* A thousand limits that pass are no thousand awaits after a cancel. */
TEST(found, limits_that_pass_are_not_stubbornness)
{
    open_loop_at_rest();
    check(async_spawn(lets_limits_pass) > 0);
    check_equal(async_loop_run(), 0);
    check_equal(seam_warnings, 0);
    close_loop();
}

static void asks_how_long(void *data)
{
    (void)data;
    check_equal(async_loop_timeout(), 0);
    called++;
}

/* The batch is not over yet: there is work. */
TEST(found, a_callback_in_a_batch_sees_the_rest_of_it)
{
    open_loop();
    called = 0;
    check(async_soon(NULL, asks_how_long) > 0);
    check(async_soon(NULL, asks_how_long) > 0);
    check_equal(async_loop_run(), 0);
    check_equal(called, 2);
    close_loop();
}

async(hangs_up, int ends[2]; size_t size; char *data; async_stream *stream; int64_t start;)
{
    async_result r;
    async_begin;
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    self->stream = async_stream_open(self->ends[0]);
    self->data = (char *)calloc(1, self->size);
    check(self->data != NULL);
    check_equal(async_stream_write(self->stream, self->data, self->size), 0);
    free(self->data);
    self->start = async_now();
    await(r, async_stream_wait_closed(self->stream));
    check_equal(r, 0);
    check_equal(async_now(), self->start);
    async_end;
}

async(reads_it_all, int fd; size_t size, sum; char data[4096];)
{
    ssize_t n;
    async_begin;
    while (self->sum < self->size) {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        check(n > 0);
        self->sum += (size_t)n;
    }
    async_end;
}

/* Who hangs up waits until all is sent, not for a peer that has got it and does nothing. */
TEST(found, waiting_for_a_close_is_not_waiting_for_the_peer)
{
    static const size_t sizes[] = { 5, 1 << 20 };

    for (int i = 0; i < 2; i++) {
        int ends[2];

        open_loop_at_rest();
        raw_pair(ends);
        check_equal(async_adopt(ends[1]), ends[1]);
        check(async_spawn(hangs_up, { ends[0], ends[1] }, .size = sizes[i]) > 0);
        check(async_spawn(reads_it_all, ends[1], .size = sizes[i]) > 0);
        check_equal(async_loop_run(), 0);
        close_loop();
        close(ends[1]);
    }
}

/* A terminal's or a pipe's input is not the stream's to forget: only a connection is read to its
 * end. */
REAL_TEST(found, closing_does_not_eat_what_others_may_read, "a FIFO by its name")
{
    static char block[1 << 18];
    int fifo[2], beside;
    char path[64], byte = 0;
    async_stream *stream;

    snprintf(path, sizeof path, "/tmp/async-test-%ld-fifo", (long)getpid());
    unlink(path);
    check_equal(mkfifo(path, 0600), 0);
    fifo[0] = open(path, O_RDWR | O_NONBLOCK);
    beside = open(path, O_RDWR | O_NONBLOCK);
    unlink(path);
    check(fifo[0] >= 0 && beside >= 0);
    open_loop_at_rest();
    check_equal(write(beside, "k", 1), 1);
    check_equal(async_adopt(fifo[0]), fifo[0]);
    stream = async_stream_open(fifo[0]);
    check_equal(async_stream_write(stream, block, sizeof block), 0);
    check_equal(async_stream_close(stream), 0);
    check_equal(async_loop_run(), 0); /* nobody reads: cut off after 5 s */
    close_loop();
    check_equal(read(beside, &byte, 1), 1);
    check_equal(byte, 'k');
    close(beside);
}

/* A large write costs memory while it is queued, not longer. */
TEST(found, a_large_write_that_went_out_keeps_no_memory)
{
    static char block[100000];
    long before;
    int ends[2];
    async_stream *stream;

    open_loop();
    check_equal(async_socketpair(ends), 0);
    stream = async_stream_open(ends[0]);
    before = seam_blocks;
    check_equal(async_stream_write(stream, block, sizeof block), 0);
    if (!stream->queue) { /* the system took all of it */
        check_equal(seam_blocks, before);
        check_equal(async_stream_write(stream, block, 100), 0);
        check_equal(seam_blocks, before + 1); /* a small one is kept for the next */
    }
    close_loop();
}
