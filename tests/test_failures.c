/*
 * Failures and costs: no memory, a peer that does not move, and how often the system is asked.
 *
 * Goal: what the world refuses is a result, nothing is lost by it, and an idle loop sleeps. Method:
 * the seam beneath the loop lets allocations fail, counts waits and registrations, and has a clock
 * of its own, so that five seconds pass without being waited for.
 *
 * On the real kernel only: where the number of a descriptor must lie below the loop's first table.
 */
#include "seam.h"

static int registrations; /* what epoll was told of a descriptor of ours   */
static int unwatchable;   /* an errno: watching a descriptor for writes fails */

#ifdef __linux__
static int counted_epoll_ctl(int poller, int verb, int fd, struct epoll_event *event)
{
    registrations++;
    errno = unwatchable;
    if (unwatchable && verb == EPOLL_CTL_MOD)
        return -1;
    return epoll_ctl(poller, verb, fd, event);
}
#define SEAM_SYS_epoll_ctl x, counted_epoll_ctl
#endif

#include <sys/socket.h>

static int full_writes; /* how many writes to a socket said EAGAIN */
static int reads;
static int signals;     /* how many calls from now on are interrupted by one */

static int is_interrupted(void)
{
    errno = EINTR;
    return signals && signals--;
}

static ssize_t counted_recvmsg(int fd, struct msghdr *message, int flags)
{
    if (is_interrupted())
        return -1;
    reads++;
    return recvmsg(fd, message, flags);
}

static ssize_t counted_send(int fd, const void *data, size_t size, int flags)
{
    ssize_t n = is_interrupted() ? -1 : send(fd, data, size, flags);
    full_writes += n < 0 && errno == EAGAIN;
    return n;
}
#include <pthread.h>

static int threads_left = -1; /* how many more can be made; negative: any number */

static int counted_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                                  void *(*function)(void *argument), void *argument)
{
    if (!threads_left)
        return EAGAIN;
    threads_left--;
    return pthread_create(thread, attributes, function, argument);
}
#define SEAM_SYS_pthread_create x, counted_pthread_create

#define SEAM_SYS_recvmsg x, counted_recvmsg
#define SEAM_SYS_send x, counted_send

#include "async.h"
#include "test.h"

#include "io.h"

static void open_loop(void)
{
    seam_reset();
    seam_blocks = 0;
    check_equal(async_open(NULL), 0);
}

static void close_loop(void)
{
    seam_fail_from = 0;
    check_equal(async_loop_close(), 0);
    check_equal(seam_blocks, 0);
    seam_reset();
}

static void memory_ends(void)
{
    seam_fail_from = 1;
    seam_fail_once = 0;
}

static void memory_is_back(void)
{
    check(seam_failed > 0);
    seam_fail_from = seam_failed = 0;
}

/* ----------------------------------------------------------------------------
 * MARK: - No memory
 * ------------------------------------------------------------------------- */

/* The first descriptors make the table, and those above the table make it grow. */
TEST(no_memory, is_a_result_where_a_descriptor_is_made)
{
    int ends[2], made[2];

    open_loop();
    raw_pair(ends);
    memory_ends();
    check_error(async_adopt, ENOMEM, async_adopt(ends[0]));
    check(!is_nonblocking(ends[0]));
    check(!is_close_on_exec(ends[0]));
    check_error(async_listen, ENOMEM, async_listen("127.0.0.1", 0));
    check_equal(async_listen(NULL, 0), -ENOMEM);
    check_error(async_pipe, ENOMEM, async_pipe(made));
    check_error(async_socketpair, ENOMEM, async_socketpair(made));
    memory_is_back();
    check_equal(async_adopt(ends[0]), ends[0]);
    check_equal(async_close(ends[0]), 0);
    close(ends[1]);
    close_loop();
}

TEST(no_memory, is_a_result_where_a_Unix_socket_listens)
{
    char path[64];

    snprintf(path, sizeof path, "/tmp/async-test-%ld-memory", (long)getpid());
    unlink(path);
    open_loop();
    memory_ends();
    check_error(async_listen_unix, ENOMEM, async_listen_unix(path));
    memory_is_back();
    unlink(path);
    close_loop();
}

/* The number that comes next is above the table: a pair of which only one half fits as well. */
static int spread(int *count)
{
    int fds[80], lowest = 0, i;

    for (i = 0; i < 80; i++) {
        fds[i] = dup(2);
        if (fds[i] >= 63)
            break;
    }
    check(i < 80);
    lowest = fds[i];
    close(fds[i]);
    *count = i;
    return lowest;
}

static void close_spread(int lowest, const char *before)
{
    for (int fd = 3; fd < lowest; fd++) {
        if (!before[fd])
            close(fd);
    }
}

REAL_TEST(no_memory, for_the_second_half_of_a_pair_takes_back_the_first, "numbers below 64")
{
    char before[128];
    int made[2], count, lowest, fd;

    for (fd = 0; fd < 128; fd++)
        before[fd] = (char)is_open(fd);
    open_loop();
    check_equal(async_pipe(made), 0);
    lowest = spread(&count);
    if (lowest == 63) {
        memory_ends();
        check_equal(async_pipe(made), -ENOMEM);
        check_equal(async_socketpair(made), -ENOMEM);
        memory_is_back();
        check(!is_open(63));
        check(!is_open(64));
    }
    close_spread(lowest, before);
    check_equal(async_loop_close(), 0);
    for (fd = 0; fd < 128; fd++) {
        if (!before[fd])
            close(fd);
    }
}

async(connects_without_memory, int port; const char *path;)
{
    int fd;
    async_begin;
    memory_ends();
    if (self->path)
        await(fd, async_connect_unix(self->path));
    else
        await(fd, async_connect("127.0.0.1", self->port));
    if (self->path)
        check_error(async_connect_unix, ENOMEM, fd);
    else
        check_error(async_connect, ENOMEM, fd);
    memory_is_back();
    async_end;
}

TEST(no_memory, is_a_result_where_one_connects)
{
    struct sockaddr_un address;
    int tcp = raw_listener(4), local = socket(AF_UNIX, SOCK_STREAM, 0);

    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/async-test-%ld-m2", (long)getpid());
    unlink(address.sun_path);
    check_equal(bind(local, (struct sockaddr *)&address, sizeof address), 0);
    check_equal(listen(local, 4), 0);
    open_loop();
    check(async_spawn(connects_without_memory, .port = async_port(tcp)) > 0);
    check_equal(async_loop_run(), 0);
    check(async_spawn(connects_without_memory, .path = address.sun_path) > 0);
    check_equal(async_loop_run(), 0);
    unlink(address.sun_path);
    close(tcp);
    close(local);
    close_loop();
}

async(accepts_without_memory, int listener;)
{
    int fd;
    async_begin;
    memory_ends();
    await(fd, async_accept(self->listener), 0);
    check_error(async_accept, ENOMEM, fd);
    memory_is_back();
    async_end;
}

/* The listener sits in the table, and the connection's number is above it. */
REAL_TEST(no_memory, is_a_result_where_one_accepts, "numbers below 64")
{
    char before[128];
    int listener, count, lowest, fd, client;

    for (fd = 0; fd < 128; fd++)
        before[fd] = (char)is_open(fd);
    open_loop();
    listener = async_listen("127.0.0.1", 0);
    client = raw_client(async_port(listener));
    lowest = spread(&count);
    if (lowest == 63)
        check_equal(dup(2), 63);
    check(async_spawn(accepts_without_memory, .listener = listener) > 0);
    check_equal(async_loop_run(), 0);
    check_equal(async_close(listener), 0);
    close(client);
    for (fd = 0; fd < 128; fd++) {
        if (!before[fd])
            close(fd);
    }
    check_equal(async_loop_close(), 0);
}

TEST(no_memory, is_a_result_where_a_callback_is_made)
{
    int ends[2];

    open_loop();
    check_equal(async_socketpair(ends), 0);
    memory_ends();
    check_error(async_soon, ENOMEM, async_soon(NULL, ignore));
    check_error(async_after, ENOMEM, async_after(1, NULL, ignore));
    check_error(async_every, ENOMEM, async_every(1, NULL, ignore));
    check_error(async_on_readable, ENOMEM, async_on_readable(ends[0], NULL, ignore_ready));
    check_error(async_on_writable, ENOMEM, async_on_writable(ends[0], NULL, ignore_ready));
    memory_is_back();
    check(async_on_readable(ends[0], NULL, ignore_ready) > 0);
    check(async_on_writable(ends[0], NULL, ignore_ready) > 0);
    close_loop();
}

static int called;

static void count_call(void *data)
{
    (void)data;
    called++;
}

/* The first, second or third allocation fails, whatever it is for: those that were made are called,
 * the others are not. */
TEST(no_memory, at_any_moment_costs_one_callback)
{
    int made = 0, refused = 0;

    open_loop();
    called = 0;
    for (int i = 0; i < 900; i++) {
        async_handle handle;
        seam_fail_from = i % 3 + 1;
        seam_fail_once = 1;
        handle = async_soon(NULL, count_call);
        made += handle > 0;
        refused += handle == -ENOMEM;
    }
    check_equal(made + refused, 900);
    check(refused > 0);
    memory_is_back();
    check_equal(async_loop_run(), 0);
    check_equal(called, made);
    close_loop();
}

async(ends_at_once, int unused;)
{
    async_begin;
    async_end;
}

async(reads_without_memory, async_stream *stream; char data[5000];)
{
    async_result n;
    async_begin;
    memory_ends();
    await(n, async_stream_read(self->stream, self->data, 3));
    check_error(async_stream_read, ENOMEM, n);
    await(n, async_stream_read_line(self->stream, self->data, 5));
    check_equal(n, -ENOMEM);
    await(n, async_stream_read_exactly(self->stream, self->data, 5000));
    check_equal(n, -ENOMEM);
    memory_is_back();
    await(n, async_stream_read_exactly(self->stream, self->data, 3));
    check_equal(n, 3);
    check(memcmp(self->data, "pin", 3) == 0);
    memory_ends();
    await(n, async_stream_read_exactly(self->stream, self->data, 5000));
    check_error(async_stream_read_exactly, ENOMEM, n);
    memory_is_back();
    await(n, async_stream_read_exactly(self->stream, self->data, 5000));
    check_equal(n, 1);
    check(self->data[0] == 'g');
    async_end;
}

/* Without memory to read ahead nothing is taken; and nothing is lost that was. */
TEST(no_memory, for_a_read_takes_nothing)
{
    int ends[2];
    async_stream *stream;

    open_loop();
    raw_pair(ends);
    check_equal(write(ends[1], "ping", 4), 4);
    check_equal(close(ends[1]), 0);
    check_equal(async_adopt(ends[0]), ends[0]);
    stream = async_stream_open(ends[0]);
    check(async_spawn(reads_without_memory, .stream = stream) > 0);
    check_equal(async_loop_run(), 0);
    close_loop();
}

async(reads_a_large_piece, async_stream *stream; char data[5000];)
{
    async_result n;
    async_begin;
    memory_ends();
    await(n, async_stream_read(self->stream, self->data, sizeof self->data));
    check_equal(n, 4);
    check_equal(seam_failed, 0);
    seam_fail_from = 0;
    async_end;
}

/* Where the reader has as much room as the stream would take, it reads into that. */
TEST(no_memory, is_needed_to_read_a_large_piece)
{
    int ends[2];

    open_loop();
    raw_pair(ends);
    check_equal(write(ends[1], "ping", 4), 4);
    check_equal(close(ends[1]), 0);
    check_equal(async_adopt(ends[0]), ends[0]);
    check(async_spawn(reads_a_large_piece, .stream = async_stream_open(ends[0])) > 0);
    check_equal(async_loop_run(), 0);
    close_loop();
}

/* The table of handles is full, and grows for the stream: a part of that may fail. */
TEST(no_memory, for_the_table_of_handles_makes_no_stream)
{
    int ends[2];

    open_loop();
    check_equal(async_socketpair(ends), 0);
    for (int i = 0; i < 63; i++)
        check(async_spawn(ends_at_once) > 0);
    for (int nth = 1; nth <= 3; nth++) {
        seam_fail_from = nth;
        seam_fail_once = 1;
        check(async_stream_open(ends[0]) == NULL);
    }
    memory_is_back();
    check(async_stream_open(ends[0]) != NULL);
    check_equal(async_loop_run(), 0);
    close_loop();
}

/* All or nothing: what was not taken is not sent either. */
TEST(no_memory, for_a_stream_takes_nothing)
{
    static char data[1 << 20], got[1 << 16];
    int ends[2];
    async_stream *stream;
    ssize_t n, sum = 0;

    open_loop();
    raw_pair(ends);
    check_equal(async_adopt(ends[0]), ends[0]);
    memory_ends();
    check(async_stream_open(ends[0]) == NULL);
    memory_is_back();
    stream = async_stream_open(ends[0]);
    check(stream != NULL);
    memory_ends();
    check_error(async_stream_on_data, ENOMEM, async_stream_on_data(stream, ignore_data));
    check_error(async_stream_write, ENOMEM, async_stream_write(stream, data, sizeof data));
    check_equal(recv(ends[1], got, 1, MSG_DONTWAIT), -1);
    memory_is_back();
    check_equal(async_stream_write(stream, data, sizeof data), 0);
    memory_ends();
    check_equal(async_stream_write(stream, data, sizeof data), -ENOMEM);
    check_equal(async_stream_write(stream, data, SIZE_MAX), -ENOMEM);
    memory_is_back();
    while (sum < (ssize_t)sizeof data) {
        n = recv(ends[1], got, sizeof got, MSG_DONTWAIT);
        check(n > 0 || errno == EAGAIN);
        sum += n > 0 ? n : 0;
        check(async_loop_run_once(0) >= 0);
    }
    check_equal(sum, sizeof data);
    check_equal(recv(ends[1], got, 1, MSG_DONTWAIT), -1);
    close(ends[1]);
    check_equal(async_stream_close(stream), 0);
    check_equal(async_loop_run(), 0);
    close_loop();
}

/* ----------------------------------------------------------------------------
 * MARK: - Interrupted
 * ------------------------------------------------------------------------- */

/* Where a signal handler was installed without SA_RESTART, any call may say EINTR. */
TEST(interrupted, calls_are_made_again)
{
    int ends[2];
    char data[8];

    open_loop();
    check_equal(async_socketpair(ends), 0);
    signals = 2;
    check_equal(async_write_nowait(ends[1], "ping", 4), 4);
    check_equal(signals, 0);
    signals = 2;
    check_equal(async_read_nowait(ends[0], data, 8), 4);
    check_equal(signals, 0);
    seam_break = EINTR;
    check(async_soon(NULL, ignore) > 0);
    check_equal(async_loop_run_once(0), 1);
    seam_break = 0;
    close_loop();
}

/* ----------------------------------------------------------------------------
 * MARK: - A peer that does not move
 * ------------------------------------------------------------------------- */

static int closed_with; /* 1: not yet */

static void note_close(async_stream *stream, int status)
{
    (void)stream;
    closed_with = status;
}

static async_stream *closing_stream(int fd, size_t size)
{
    static char data[4 << 20];
    async_stream *stream;

    check_equal(async_adopt(fd), fd);
    stream = async_stream_open(fd);
    check(stream != NULL);
    closed_with = 1;
    check_equal(async_stream_on_close(stream, note_close), 0);
    check_equal(async_stream_write(stream, data, size), 0);
    check_equal(async_stream_close(stream), 0);
    return stream;
}

/* It is cut off after five seconds, and what it did not take is an error. */
TEST(patience, with_a_peer_that_never_reads_ends)
{
    int ends[2];

    open_loop();
    raw_pair(ends);
    seam_clock = 1000;
    closing_stream(ends[0], 4 << 20);
    check_equal(async_loop_run(), 0);
    check_equal(closed_with, -ETIMEDOUT);
    check(seam_clock >= INT64_C(5000000000));
    check(seam_clock < INT64_C(6000000000));
    check(!is_open(ends[0]));
    close(ends[1]);
    close_loop();
}

/* All was sent, but the peer never ends its side: no byte is lost, so it is no error. */
TEST(patience, with_a_peer_that_never_ends_ends)
{
    int ends[2];

    open_loop();
    raw_pair(ends);
    seam_clock = 1000;
    closing_stream(ends[0], 100);
    check_equal(async_loop_run(), 0);
    check_equal(closed_with, 0);
    check(seam_clock >= INT64_C(5000000000));
    check(seam_clock < INT64_C(6000000000));
    close(ends[1]);
    close_loop();
}

static int slow_end;
static size_t taken;

static void takes_some(void *data)
{
    static char some[300000];
    ssize_t n = recv(slow_end, some, sizeof some, MSG_DONTWAIT);

    (void)data;
    if (n > 0)
        taken += (size_t)n;
    if (n == 0) {
        close(slow_end);
        check_equal(async_cancel(*(async_handle *)data), 0);
    }
}

/* A peer that takes some every four seconds moves, and may take as long as it likes. */
TEST(patience, begins_anew_when_the_peer_moves)
{
    int ends[2];
    async_handle handle;

    open_loop();
    raw_pair(ends);
    slow_end = ends[1];
    taken = 0;
    seam_clock = 1000;
    closing_stream(ends[0], 2 << 20);
    handle = async_every(4000, &handle, takes_some);
    check(handle > 0);
    check_equal(async_loop_run(), 0);
    check_equal(closed_with, 0);
    check_equal(taken, 2 << 20);
    check(seam_clock > INT64_C(12000000000));
    close_loop();
}

async(waits_closed, async_stream *stream; async_result *result;)
{
    async_result n;
    async_begin;
    await(n, async_stream_wait_closed(self->stream));
    *self->result = n;
    async_end;
}

TEST(patience, tells_who_waits_that_it_has_ended)
{
    static char data[4 << 20];
    int ends[2];
    async_result result = 1;
    async_stream *stream;

    open_loop();
    raw_pair(ends);
    check_equal(async_adopt(ends[0]), ends[0]);
    seam_clock = 1000;
    stream = async_stream_open(ends[0]);
    check_equal(async_stream_write(stream, data, sizeof data), 0);
    check(async_spawn(waits_closed, .stream = stream, .result = &result) > 0);
    check_equal(async_loop_run(), 0);
    check_error(async_stream_wait_closed, ETIMEDOUT, result);
    close(ends[1]);
    close_loop();
}

/* ----------------------------------------------------------------------------
 * MARK: - By a clock that stands still
 * ------------------------------------------------------------------------- */

static char order[8];

static void note_letter(void *data)
{
    strcat(order, (const char *)data);
}

/* By deadline; equal ones in the order in which they were made. */
TEST(after, runs_by_deadline)
{
    open_loop();
    order[0] = '\0';
    seam_clock = 1000000000;
    check(async_after(3, (void *)"d", note_letter) > 0);
    check(async_after(1, (void *)"a", note_letter) > 0);
    check(async_after(2, (void *)"b", note_letter) > 0);
    check(async_after(2, (void *)"c", note_letter) > 0);
    check_equal(async_loop_run(), 0);
    check_text(order, "abcd");
    check_equal(seam_clock, 1003000000);
    close_loop();
}

static int64_t steps[4];
static int rounds;
static async_handle stepper;

/* The first turn is held up until the clock shows 52 ms. */
static void steps_on(void *data)
{
    steps[rounds] = seam_clock - *(int64_t *)data;
    if (++rounds == 1)
        seam_clock += 47000000;
    if (rounds == 4)
        check_equal(async_cancel(stepper), 0);
}

/* Ten turns were missed and give one; the next are where they would have been. */
TEST(every, keeps_step_after_a_turn_was_held_up)
{
    int64_t start = 1000000000;

    open_loop();
    seam_clock = start;
    rounds = 0;
    stepper = async_every(5, &start, steps_on);
    check_equal(async_loop_run(), 0);
    check_equal(steps[0], 5000000);
    check_equal(steps[1], 52000000);
    check_equal(steps[2], 55000000);
    check_equal(steps[3], 60000000);
    close_loop();
}

/* ----------------------------------------------------------------------------
 * MARK: - How often the system is asked
 * ------------------------------------------------------------------------- */

static void stop(void *data)
{
    (void)data;
    async_loop_stop();
}

/* Sleep for a second of our clock, and see how often the loop woke. */
static long waits_of_a_second(void)
{
    if (!seam_clock)
        seam_clock = async_now();
    check(async_after(1000, NULL, stop) > 0);
    seam_waits = 0;
    check_equal(async_loop_run(), 0);
    return seam_waits;
}

static void make_pipe(int ends[2])
{
    check_equal(pipe(ends), 0);
}

static void (*const makers[])(int ends[2]) = { make_pipe, raw_pair, raw_tcp_pair };

/* HUP and ERR cannot be masked: nobody reads, the peer is gone, and the loop must sleep. */
TEST(idle, means_asleep_when_a_peer_has_hung_up)
{
    int ends[2];

    open_loop();
    for (int i = 0; i < 3; i++) {
        makers[i](ends);
        check_equal(async_adopt(ends[0]), ends[0]);
        close(ends[1]);
        check(waits_of_a_second() <= 2);
        check(waits_of_a_second() <= 1);
        check_equal(async_close(ends[0]), 0);
    }
    close_loop();
}

async(reads_on, int fd; char data[4];)
{
    ssize_t n;
    async_begin;
    await(n, async_read(self->fd, self->data, 4));
    check_equal(n, -ECANCELED);
    async_end;
}

/* Who waits for nothing costs nothing. */
TEST(idle, means_asleep_with_a_reader)
{
    int ends[2];

    open_loop();
    check_equal(async_socketpair(ends), 0);
    check(async_spawn(reads_on, .fd = ends[0]) > 0);
    check(waits_of_a_second() <= 2);
    check(waits_of_a_second() <= 1);
    close_loop();
}

/* A half-closed peer and a writer that waits: RDHUP is there for good, and only space matters. */
async(writes_on, int fd; char data[4];)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, self->data, 4));
    check_equal(n, -ECANCELED);
    async_end;
}

TEST(idle, means_asleep_with_a_writer_whose_peer_has_ended_its_side)
{
    int ends[2];

    open_loop();
    check_equal(async_socketpair(ends), 0);
    fill(ends[0]);
    check_equal(shutdown(ends[1], SHUT_WR), 0);
    check(async_spawn(writes_on, .fd = ends[0]) > 0);
    check(waits_of_a_second() <= 3);
    check(waits_of_a_second() <= 1);
    close_loop();
}

/* close(2) behind our back while a duplicate lives: its entry in the set cannot be deleted, and
 * each message is an event for a number that means nothing, or something else. */
TEST(idle, means_asleep_with_a_ghost)
{
    int ends[2], other[2], ghost;

    open_loop();
    raw_pair(ends);
    raw_pair(other);
    check_equal(async_adopt(ends[0]), ends[0]);
    ghost = dup(ends[0]);
    close(ends[0]);
    check_equal(dup2(other[0], ends[0]), ends[0]);
    check_equal(async_adopt(ends[0]), ends[0]);
    check_equal(write(ends[1], "ghost", 5), 5);
    check(waits_of_a_second() <= 3);
    for (int i = 0; i < 5; i++) {
        check_equal(write(ends[1], "ghost", 5), 5);
        check(waits_of_a_second() <= 1);
    }
    check_equal(async_close(ends[0]), 0);
    close(other[0]);
    close(other[1]);
    close(ghost);
    close(ends[1]);
    close_loop();
}

/* A closed descriptor of which a duplicate lives is deregistered first. */
TEST(idle, means_asleep_after_the_close_of_a_duplicate)
{
    int ends[2], twin;

    open_loop();
    raw_pair(ends);
    check_equal(async_adopt(ends[0]), ends[0]);
    twin = dup(ends[0]);
    check_equal(async_close(ends[0]), 0);
    check_equal(write(ends[1], "x", 1), 1);
    check(waits_of_a_second() <= 1);
    close(twin);
    close(ends[1]);
    close_loop();
}

static int pauses;

/* Another client's event may call it during the pause. */
static void cannot_accept(int listener, void *data)
{
    int fd = async_accept_nowait(listener);

    (void)data;
    if (fd == -EAGAIN)
        return;
    pauses++;
    check_error(async_accept_nowait, EMFILE, fd);
    check_error(async_accept_nowait, EAGAIN, async_accept_nowait(listener));
}

static void accepts_one(int listener, void *data)
{
    int fd = async_accept_nowait(listener);

    (void)data;
    check(fd >= 0);
    async_loop_stop();
}

/* Its backlog is not empty and no number is left: the callback tries after 10, 20, 40, 80 and then
 * each 100 ms, and one line tells of it. */
TEST(idle, means_asleep_without_a_descriptor_left)
{
    int listener, client;
    rlim_t limit;
    async_handle handle;

    if (test_on_valgrind())
        test_skip("Valgrind closes what it has no number for");
    open_loop();
    listener = async_listen("127.0.0.1", 0);
    client = raw_client(async_port(listener));
    limit = leave_descriptors(0);
    pauses = 0;
    handle = async_on_readable(listener, NULL, cannot_accept);
    waits_of_a_second();
    check(pauses >= 2);
    check(pauses <= 20);
    check(seam_waits <= 60);
    check_equal(seam_warnings, 1);
    restore_descriptors(limit);
    check_equal(async_cancel(handle), 0);
    handle = async_on_readable(listener, NULL, accepts_one);
    check_equal(async_loop_run(), 0);
    check_equal(async_cancel(handle), 0);
    close(client);
    close_loop();
}

async(accepts, int listener; async_result *result;)
{
    async_result fd;
    async_begin;
    await(fd, async_accept(self->listener));
    *self->result = fd;
    async_end;
}

TEST(idle, means_asleep_while_an_accept_waits_for_a_descriptor)
{
    int listener, client;
    async_result fd = 0;
    rlim_t limit;

    if (test_on_valgrind())
        test_skip("Valgrind closes what it has no number for");
    open_loop();
    listener = async_listen("127.0.0.1", 0);
    client = raw_client(async_port(listener));
    limit = leave_descriptors(0);
    check(async_spawn(accepts, .listener = listener, .result = &fd) > 0);
    check(waits_of_a_second() <= 25);
    check_equal(seam_warnings, 1);
    check_equal(fd, 0);
    restore_descriptors(limit);
    check_equal(async_loop_run(), 0);
    check(fd > 0);
    close(client);
    close_loop();
}

/* ----------------------------------------------------------------------------
 * MARK: - What a message costs
 * ------------------------------------------------------------------------- */

enum { MESSAGES = 50 };

async(answers, int fd; char data[64];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->fd, self->data, 64));
        if (n <= 0)
            break;
        await(n, async_write(self->fd, self->data, (size_t)n));
    }
    async_end;
}

/* One read, one write, one wait; and what epoll knows does not change. */
TEST(cost, of_a_round_trip_is_one_read_and_a_wait)
{
    char data[64];
    int ends[2];

    open_loop();
    registrations = full_writes = 0;
    raw_pair(ends);
    check_equal(async_adopt(ends[0]), ends[0]);
    check(async_spawn(answers, .fd = ends[0]) > 0);
    check_equal(async_loop_run_once(0), 1);
    reads = 0;
    seam_waits = 0;
    for (int i = 0; i < MESSAGES; i++) {
        check_equal(write(ends[1], "message", 7), 7);
        check_equal(async_loop_run_once(-1), 1);
        check_equal(recv(ends[1], data, 64, MSG_DONTWAIT), 7);
    }
    check_equal(reads, MESSAGES);
    check_equal(seam_waits, MESSAGES);
    check_equal(full_writes, 0);
    check(registrations <= 1);
    close(ends[1]);
    check_equal(async_loop_run(), 0);
    check_equal(async_close(ends[0]), 0);
    check(registrations <= 2);
    close_loop();
}

/* ----------------------------------------------------------------------------
 * MARK: - A descriptor that cannot be watched for writes
 * ------------------------------------------------------------------------- */

async(writes_all, int fd; char *data; size_t size;)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, self->data, self->size));
    async_return(n);
    async_end;
}

async(becomes_readable, int fd;)
{
    int error;
    async_begin;
    await(error, async_readable(self->fd));
    async_return(error);
    async_end;
}

/* The kernel had no memory (epoll_ctl(2): ENOMEM): the write goes on by and by all the same, and
 * whoever waits to read there is not woken for nothing. */
async(written_unwatched, int ends[2]; async_task writer, reader; size_t size, got; char *data;)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->size = 1 << 20;
    self->data = (char *)malloc(self->size);
    check(self->data != NULL);
    pattern_put(self->data, 0, self->size);
    unwatchable = ENOMEM;
    self->writer = async_spawn(writes_all, self->ends[0], self->data, self->size);
    self->reader = async_spawn(becomes_readable, self->ends[0]);
    await(async_sleep(1000));
    check_equal(async_keep(self->writer), self->writer);
    check_equal(async_keep(self->reader), self->reader);
    while (self->got < self->size) {
        char piece[4096];
        n = read(self->ends[1], piece, sizeof piece);
        if (n > 0)
            self->got += (size_t)n;
        else
            await(async_sleep(10));
    }
    await(n, async_join(self->writer));
    check_equal(n, (ssize_t)self->size);
    await(n, async_join(self->reader), 1000);
    check_equal(n, -ETIMEDOUT);
    check_equal(write(self->ends[1], "x", 1), 1);
    await(n, async_join(self->reader), 1000);
    check_equal(n, 0);
    unwatchable = 0;
    free(self->data);
    async_end;
}

TEST(unwatched, a_write_goes_on_and_wakes_no_reader)
{
    seam_reset();
    seam_clock = 1000000000;
    check_equal(async_run(written_unwatched), 0);
}

/* ---- threads ---- */

static async_result doubles(void *data)
{
    return 2 * *(int *)data;
}

async(offloads, int value; async_result *result; async_result n;)
{
    async_begin;
    await(self->n, async_offload(doubles, &self->value));
    *self->result = self->n;
    async_end;
}

REAL_TEST(threads, that_cannot_be_had_are_an_error_unless_there_is_one, "real threads")
{
    async_result results[3] = { 0, 0, 0 };
    int i;
    seam_reset();
    open_loop();
    threads_left = 0;
    check(async_spawn(offloads, 5, &results[0]) > 0);
    check_equal(async_loop_run(), 0);
    check_error(async_offload, EAGAIN, results[0]);
    threads_left = 1;
    for (i = 0; i < 3; i++)
        check(async_spawn(offloads, i + 1, &results[i]) > 0);
    check_equal(async_loop_run(), 0);
    for (i = 0; i < 3; i++)
        check_equal(results[i], 2 * (i + 1));
    threads_left = -1;
    check_equal(async_loop_close(), 0);
    check_equal(seam_blocks, 0);
}

/* Each allocation in turn: what there is to share, its pipe, its reader; a post. */
REAL_TEST(no_memory, for_threads_is_an_error, "real threads")
{
    int first, failures = 0;
    for (first = 1; first < 8; first++) {
        async_result result = 0;
        async_loop *loop;
        seam_reset();
        open_loop();
        check(async_spawn(offloads, 4, &result) > 0);
        seam_fail_from = first;
        check_equal(async_loop_run(), 0);
        check(result == 8 || result == -ENOMEM);
        failures += result == -ENOMEM;
        if (result < 0)
            provokes(async_offload, ENOMEM);
        seam_fail_from = 0;
        loop = async_loop_share();
        check(loop != NULL);
        seam_fail_from = 1;
        check_error(async_post, ENOMEM, async_post(loop, NULL, NULL));
        seam_fail_from = 0;
        check_equal(async_post(loop, NULL, NULL), 0); /* forgotten, not lost */
        check_equal(async_loop_close(), 0);
        check_equal(seam_blocks, 0);
    }
    check(failures >= 2);
    seam_reset();
    open_loop();
    seam_fail_from = 1;
    check(!async_loop_share());
    seam_fail_from = 0;
    check_equal(async_loop_close(), 0);
}

TEST(signals, survive_that_there_is_no_memory)
{
    struct sigaction now;
    long i;
    int ok = 0;
    for (i = 1; !ok; i++) {
        async_handle handle;
        seam_reset();
        check_equal(async_open(NULL), 0);
        seam_fail_from = i;
        handle = async_catch_signal(SIGUSR1);
        ok = !seam_failed;
        seam_fail_from = 0;
        if (!ok)
            check_error(async_catch_signal, ENOMEM, handle);
        sigaction(SIGUSR1, NULL, &now);
        check_equal(now.sa_handler == SIG_DFL, !ok);
        handle = async_catch_signal(SIGUSR1);
        check(handle > 0);
        raise(SIGUSR1);
        check_equal(async_loop_close(), 0);
        sigaction(SIGUSR1, NULL, &now);
        check(now.sa_handler == SIG_DFL);
        check_equal(seam_blocks, 0);
    }
    check(i > 4);
}

/* The table of handles is full; then another signal is caught already. */
TEST(no_memory, for_a_signal_changes_nothing)
{
    struct sigaction now;
    async_handle handle;
    int nth;
    open_loop();
    check(async_catch_signal(SIGUSR2) > 0);
    for (int i = 0; i < 62; i++)
        check(async_spawn(ends_at_once) > 0);
    for (nth = 1;; nth++) {
        seam_fail_from = nth;
        handle = async_catch_signal(SIGUSR1);
        seam_fail_from = 0;
        if (handle > 0)
            break;
        check_equal(handle, -ENOMEM);
        sigaction(SIGUSR1, NULL, &now);
        check(now.sa_handler == SIG_DFL);
    }
    check(nth > 2);
    async_loop_stop();
    check_equal(async_loop_run(), 0);
    close_loop();
}

REAL_TEST(processes, survive_that_there_is_no_memory, "it starts a child process")
{
    static const char *const arguments[] = { "true", NULL };
    async_process_options options;
    async_process child;
    long i;
    int error = -ENOMEM;
    memset(&options, 0, sizeof options);
    options.in = options.out = options.err = ASYNC_TO_PIPE;
    for (i = 1; error; i++) {
        seam_reset();
        check_equal(async_open(NULL), 0);
        seam_fail_from = i;
        error = async_process_start(&child, arguments, &options);
        seam_fail_from = 0;
        if (error)
            check_error(async_process_start, ENOMEM, error);
        check_equal(async_loop_run(), 0); /* collects it */
        check_equal(async_loop_close(), 0);
        check_equal(seam_blocks, 0);
    }
    check(i > 5);
}
