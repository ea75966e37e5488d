/*
 * Descriptors: adopting, closing, waiting, reading and writing.
 *
 * Goal: each kind of descriptor is served to the last byte, and none is left waiting for an event
 * that has come already. Method: pipes, socket pairs, terminals and files, whose other ends the
 * test holds itself and moves between two awaits; what must be there is asked for with a limit of
 * 0 ms.
 *
 * On the real kernel only: what the simulation has not, or has not by that name: terminals, files,
 * eventfds and the standard descriptors.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
static void note_warning(const char *text);
#define ASYNC_WARN(text) note_warning(text)
#include "async.h"
#include "test.h"

#include "io.h"
#include <sys/time.h>
#include <termios.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

static int warnings;

static void note_warning(const char *text)
{
    warnings += !strstr(text, "held the loop"); /* a slow machine's */
}

/* ----------------------------------------------------------------------------
 * MARK: - Adopting
 * ------------------------------------------------------------------------- */

TEST(adopt, makes_a_descriptor_non_blocking_and_close_on_exec)
{
    int ends[2];

    raw_pair(ends);
    check_equal(async_open(NULL), 0);
    check_equal(async_adopt(ends[0]), ends[0]);
    check(is_nonblocking(ends[0]));
    check(is_close_on_exec(ends[0]));
    check(!is_nonblocking(ends[1]));
    check_equal(async_loop_close(), 0);
    check(is_open(ends[0]));
    close(ends[0]);
    close(ends[1]);
}

TEST(adopt, gives_a_descriptor_back_as_it_was)
{
    int ends[2];

    raw_pair(ends);
    fcntl(ends[1], F_SETFL, fcntl(ends[1], F_GETFL) | O_NONBLOCK);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    check_equal(async_open(NULL), 0);
    check_equal(async_adopt(ends[0]), ends[0]);
    check_equal(async_adopt(ends[1]), ends[1]);
    check_equal(async_loop_close(), 0);
    check(!is_nonblocking(ends[0]));
    check(!is_close_on_exec(ends[0]));
    check(is_nonblocking(ends[1]));
    check(is_close_on_exec(ends[1]));
    close(ends[0]);
    close(ends[1]);
}

TEST(adopt, refuses_what_it_has_and_what_is_not)
{
    int ends[2];

    check_equal(async_open(NULL), 0);
    raw_pair(ends);
    check_equal(async_adopt(ends[0]), ends[0]);
    check_error(async_adopt, EEXIST, async_adopt(ends[0]));
    check_error(async_adopt, EBADF, async_adopt(lowest_free()));
    check_equal(async_adopt(-7), -7);
    check_equal(async_close(-7), -7);
    check_equal(async_close(ends[0]), 0);
    check_error(async_close, EBADF, async_close(ends[0]));
    check_error(async_close, EBADF, async_close(ends[1]));
    check_error(async_close, EBADF, async_close(1000000));
    close(ends[1]);
    check_equal(async_pipe(ends), 0);
    check_error(async_adopt, EEXIST, async_adopt(ends[0]));
    check_equal(async_loop_close(), 0);
    check(!is_open(ends[0]));
    check(!is_open(ends[1]));
}

/* The loop was inherited by fork: the child must not touch what it shares with its parent. */
TEST(adopt, belongs_to_the_process_that_opened_the_loop)
{
    int ends[2], status = 0;
    pid_t child;

    raw_pair(ends);
    check_equal(async_open(NULL), 0);
    check_equal(async_adopt(ends[0]), ends[0]);
    child = fork();
    if (child == 0) {
        check_error(async_adopt, EPERM, async_adopt(ends[1]));
        check_error(async_close, EPERM, async_close(ends[0]));
        _exit(0);
    }
    check_equal(waitpid(child, &status, 0), child);
    check_equal(status, 0);
    provokes(async_adopt, EPERM);
    provokes(async_close, EPERM);
    check(is_nonblocking(ends[0]));
    check_equal(async_loop_close(), 0);
    close(ends[0]);
    close(ends[1]);
}

/* The shell's terminal must survive the program: 0, 1 and 2 are given back and never closed. */
REAL_TEST(adopt, never_closes_the_standard_descriptors, "descriptors 0 to 2")
{
    int ends[2], saved = dup(0);

    check(saved >= 0);
    raw_pair(ends);
    check_equal(dup2(ends[0], 0), 0);
    check_equal(async_open(NULL), 0);
    check_equal(async_adopt(0), 0);
    check(is_nonblocking(0));
    check(!is_close_on_exec(0));
    check_equal(async_close(0), 0);
    check(is_open(0));
    check(!is_nonblocking(0));
    check_equal(async_adopt(0), 0);
    check_equal(async_loop_close(), 0);
    check(is_open(0));
    check(!is_nonblocking(0));
    check_equal(dup2(saved, 0), 0);
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

/* 0 and 1 of a terminal are one description, and so is their O_NONBLOCK. */
REAL_TEST(adopt, keeps_a_description_non_blocking_until_its_last_descriptor_goes, "descriptor 0")
{
    int ends[2], saved_in = dup(0), saved_out = dup(1);

    raw_pair(ends);
    dup2(ends[0], 0);
    dup2(ends[0], 1);
    check_equal(async_open(NULL), 0);
    check_equal(async_adopt(0), 0);
    check_equal(async_adopt(1), 1);
    check_equal(async_close(0), 0);
    check(is_nonblocking(1));
    check_equal(async_close(1), 0);
    check(!is_nonblocking(1));
    check_equal(async_loop_close(), 0);
    dup2(saved_in, 0);
    dup2(saved_out, 1);
    close(saved_in);
    close(saved_out);
    close(ends[0]);
    close(ends[1]);
}

REAL_TASK_TEST(adopt, serves_regular_files, "a real file", int fd; char data[64]; struct iovec
               pieces[2];)
{
    char path[] = "/tmp/async-test-XXXXXX";
    ssize_t n;
    async_begin;
    self->fd = mkstemp(path);
    unlink(path);
    check_equal(async_adopt(self->fd), self->fd);
    await(n, async_writable(self->fd), 0);
    check_equal(n, 0);
    await(n, async_write(self->fd, "hello, file", 11), 0);
    check_equal(n, 11);
    check_equal(lseek(self->fd, 0, SEEK_SET), 0);
    await(n, async_readable(self->fd), 0);
    check_equal(n, 0);
    self->pieces[0].iov_base = self->data;
    self->pieces[0].iov_len = 5;
    self->pieces[1].iov_base = self->data + 5;
    self->pieces[1].iov_len = 59;
    await(n, async_readv(self->fd, self->pieces, 2), 0);
    check_equal(n, 11);
    check(memcmp(self->data, "hello, file", 11) == 0);
    await(n, async_read(self->fd, self->data, sizeof self->data), 0);
    check_equal(n, 0);
    check_equal(async_close(self->fd), 0);
    async_end;
}

static void count_and_close_at_three(int fd, void *count)
{
    if (++*(int *)count == 3)
        async_close(fd);
}

/* More files than the table first has places, so that whoever listed them for poll(2) would write
 * past its end; or, where nothing else was adopted, nowhere at all. */
REAL_TASK_TEST(adopt, calls_back_for_regular_files, "real files", int fds[80]; int counts[80];
               int others, i; int ends[2];)
{
    async_begin;
    for (self->others = 0; self->others < 2; self->others++) {
        if (self->others)
            check_equal(async_pipe(self->ends), 0);
        for (self->i = 0; self->i < 80; self->i++) {
            char path[] = "/tmp/async-test-XXXXXX";
            self->counts[self->i] = 0;
            self->fds[self->i] = mkstemp(path);
            unlink(path);
            check_equal(async_adopt(self->fds[self->i]), self->fds[self->i]);
            check((self->i % 2 ? async_on_readable : async_on_writable)(
                      self->fds[self->i], &self->counts[self->i], count_and_close_at_three) > 0);
        }
        for (self->i = 0; self->i < 80; self->i++)
            while (self->counts[self->i] < 3)
                await(async_yield());
    }
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

REAL_TASK_TEST(adopt, serves_directories_and_dev_null, "real files", int fd; char data[64];)
{
    ssize_t n;
    async_begin;
    self->fd = open("/", O_RDONLY);
    check_equal(async_adopt(self->fd), self->fd);
    await(n, async_read(self->fd, self->data, sizeof self->data), 0);
    check_error(async_read, EISDIR, n);
    check_equal(async_close(self->fd), 0);
    self->fd = open("/dev/null", O_RDWR);
    check_equal(async_adopt(self->fd), self->fd);
    await(n, async_readable(self->fd), 0);
    check_equal(n, 0);
    await(n, async_read(self->fd, self->data, sizeof self->data), 0);
    check_equal(n, 0);
    await(n, async_write(self->fd, self->data, sizeof self->data), 0);
    check_equal(n, 64);
    check_equal(async_close(self->fd), 0);
    async_end;
}

/* A terminal hands out one line per read, and makes no event for the next. */
REAL_TASK_TEST(adopt, serves_terminals_line_by_line, "a real terminal", int master, slave; char
               data[64];)
{
    ssize_t n;
    async_begin;
    self->master = posix_openpt(O_RDWR | O_NOCTTY);
    check_equal(grantpt(self->master), 0);
    check_equal(unlockpt(self->master), 0);
    self->slave = open(ptsname(self->master), O_RDWR | O_NOCTTY);
    check_equal(async_adopt(self->master), self->master);
    check_equal(async_adopt(self->slave), self->slave);
    await(n, async_read(self->slave, self->data, sizeof self->data), 0);
    check_equal(n, -ETIMEDOUT);
    await(n, async_write(self->master, "one\ntwo\n", 8), 0);
    check_equal(n, 8);
    await(n, async_read(self->slave, self->data, sizeof self->data), 5000);
    check_equal(n, 4);
    await(n, async_read(self->slave, self->data, sizeof self->data), 5000);
    check_equal(n, 4);
    check(memcmp(self->data, "two\n", 4) == 0);
    check_equal(async_close(self->slave), 0);
    check_equal(async_close(self->master), 0);
    async_end;
}

static int raw_terminal(int *master)
{
    struct termios mode;
    int slave;

    *master = posix_openpt(O_RDWR | O_NOCTTY);
    check_equal(grantpt(*master), 0);
    check_equal(unlockpt(*master), 0);
    slave = open(ptsname(*master), O_RDWR | O_NOCTTY);
    check(slave >= 0);
    check_equal(tcgetattr(slave, &mode), 0);
    mode.c_oflag &= ~(tcflag_t)OPOST;
    mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    check_equal(tcsetattr(slave, TCSANOW, &mode), 0);
    return slave;
}

/* A master's reads stop short of what there is. */
REAL_TASK_TEST(adopt, serves_the_masters_of_terminals, "a real terminal", int master, slave; ssize_t
               sum, sent; char data[16384];)
{
    ssize_t n;
    async_begin;
    self->slave = raw_terminal(&self->master);
    check_equal(async_adopt(self->master), self->master);
    check_equal(async_adopt(self->slave), self->slave);
    self->sent = (ssize_t)fill(self->slave);
    check(self->sent > 0);
    while (self->sum < self->sent) {
        await(n, async_read(self->master, self->data, sizeof self->data), 5000);
        check(n > 0);
        self->sum += n;
    }
    check_equal(self->sum, self->sent);
    check_equal(async_close(self->slave), 0);
    check_equal(async_close(self->master), 0);
    async_end;
}

#ifdef __linux__
REAL_TASK_TEST(adopt, serves_event_descriptors, "an eventfd", int fd; uint64_t count;)
{
    ssize_t n;
    async_begin;
    self->fd = eventfd(0, 0);
    check_equal(async_adopt(self->fd), self->fd);
    await(n, async_read(self->fd, &self->count, sizeof self->count), 0);
    check_equal(n, -ETIMEDOUT);
    self->count = 3;
    await(n, async_write(self->fd, &self->count, sizeof self->count), 0);
    check_equal(n, 8);
    self->count = 0;
    await(n, async_read(self->fd, &self->count, sizeof self->count), 0);
    check_equal(n, 8);
    check_equal(self->count, 3);
    check_equal(async_close(self->fd), 0);
    async_end;
}
#endif

/* A descriptor above what select(2) can hold, and the table of descriptors grows to it. */
TASK_TEST(adopt, takes_numbers_above_FD_SETSIZE, int ends[2]; int high; char data[4];)
{
    ssize_t n;
    async_begin;
    allow_descriptors(2100);
    raw_pair(self->ends);
    self->high = fcntl(self->ends[0], F_DUPFD, 2000);
    check_equal(self->high, 2000);
    close(self->ends[0]);
    check_equal(async_adopt(self->high), self->high);
    await(n, async_read(self->high, self->data, 4), 0);
    check_equal(n, -ETIMEDOUT);
    check_equal(write(self->ends[1], "high", 4), 4);
    await(n, async_read(self->high, self->data, 4), 0);
    check_equal(n, 4);
    check_equal(async_close(self->high), 0);
    close(self->ends[1]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Closing
 * ------------------------------------------------------------------------- */

/* What a library opens, and closes by itself. */
TASK_TEST(closing, a_released_descriptor_is_open_and_as_it_was, int ends[2]; char data[4];
          async_result read; ssize_t n;)
{
    async_begin;
    raw_pair(self->ends);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    self->read = 1;
    async_spawn(io_reader, .fd = self->ends[0], .data = self->data, .size = 4,
                .result = &self->read);
    await(async_yield());
    check_equal(async_release(self->ends[0]), 0);
    await(async_yield());
    check_equal(self->read, -EBADF);
    check_equal(async_release(self->ends[0]), -EBADF);
    check(!is_nonblocking(self->ends[0]));
    check(!is_close_on_exec(self->ends[0]));
    check_equal(write(self->ends[1], "late", 4), 4);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    await(self->n, async_read(self->ends[0], self->data, 4));
    check_equal(self->n, 4);
    check_equal(async_close(self->ends[0]), 0);
    close(self->ends[1]);
    async_end;
}

TASK_TEST(closing, wakes_reader_and_writer_with_EBADF, int ends[2]; char data[4];
          async_result read, written;)
{
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    fill(self->ends[0]);
    self->read = self->written = 1;
    async_spawn(io_reader, .fd = self->ends[0], .data = self->data, .size = 4,
                .result = &self->read);
    async_spawn(io_writer, .fd = self->ends[0], .data = "late", .size = 4,
                .result = &self->written);
    await(async_yield());
    check_equal(self->read, 1);
    check_equal(async_close(self->ends[0]), 0);
    await(async_yield());
    check_error(async_read, EBADF, self->read);
    check_error(async_write, EBADF, self->written);
    check_equal(async_close(self->ends[1]), 0);
    async_end;
}

async(waits_until_writable, int fd; async_result *result;)
{
    async_result n;
    async_begin;
    await(n, async_writable(self->fd));
    *self->result = n;
    async_end;
}

async(waits_until_readable, int fd; async_result *result;)
{
    async_result n;
    async_begin;
    await(n, async_readable(self->fd));
    *self->result = n;
    async_end;
}

TASK_TEST(closing, wakes_those_who_wait_for_readiness, int ends[2]; async_result in, out;)
{
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    fill(self->ends[0]);
    self->in = self->out = 1;
    async_spawn(waits_until_readable, .fd = self->ends[0], .result = &self->in);
    async_spawn(waits_until_writable, .fd = self->ends[0], .result = &self->out);
    await(async_yield());
    check_equal(async_close(self->ends[0]), 0);
    await(async_yield());
    check_error(async_readable, EBADF, self->in);
    check_error(async_writable, EBADF, self->out);
    check_equal(async_close(self->ends[1]), 0);
    async_end;
}

/* The closer runs first, the other finds the descriptor gone; its number serves a newcomer. */
TASK_TEST(closing, comes_before_the_read_of_another, int ends[2]; int next[2]; char data[4];
          async_result read;)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    async_spawn(io_reader, .fd = self->ends[0], .data = self->data, .size = 4,
                .result = &self->read);
    check_equal(async_close(self->ends[0]), 0);
    await(async_yield());
    check_equal(self->read, -EBADF);
    check_equal(async_pipe(self->next), 0);
    check_equal(self->next[0], self->ends[0]);
    await(n, async_write(self->next[1], "new", 3), 0);
    check_equal(n, 3);
    await(n, async_read(self->next[0], self->data, 4), 0);
    check_equal(n, 3);
    async_end;
}

static void close_it(void *data)
{
    check_equal(async_close(*(int *)data), 0);
}

TASK_TEST(closing, works_from_a_callback, int ends[2]; char data[4]; async_result n;)
{
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    check(async_soon(&self->ends[0], close_it) > 0);
    await(self->n, async_read(self->ends[0], self->data, 4));
    check_equal(self->n, -EBADF);
    async_end;
}

/* The peer sees the end at once: nothing of ours keeps the description. */
TASK_TEST(closing, reaches_the_peer, int ends[2]; char data[4];)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    check_equal(async_close(self->ends[1]), 0);
    await(n, async_read(self->ends[0], self->data, 4), 0);
    check_equal(n, 0);
    async_end;
}

/* One task's turn: two are ready, the first closes the second and puts an idle socket there. */
TASK_TEST(closing, does_not_pass_an_event_on_to_the_next_owner, int a[2]; int b[2]; int idle[2];
          char data[4];)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->a), 0);
    raw_pair(self->b);
    raw_pair(self->idle);
    check_equal(async_adopt(self->b[0]), self->b[0]);
    check_equal(write(self->b[1], "old", 3), 3);
    check_equal(write(self->a[1], "go", 2), 2);
    await(n, async_read(self->a[0], self->data, 4));
    check_equal(n, 2);
    check_equal(async_close(self->b[0]), 0);
    check_equal(dup2(self->idle[0], self->b[0]), self->b[0]);
    check_equal(async_adopt(self->b[0]), self->b[0]);
    await(n, async_readable(self->b[0]), 0);
    check_equal(n, -ETIMEDOUT);
    check_equal(write(self->idle[1], "new", 3), 3);
    await(n, async_read(self->b[0], self->data, 4), 0);
    check_equal(n, 3);
    check_equal(self->data[0], 'n');
    check_equal(async_close(self->b[0]), 0);
    close(self->b[1]);
    close(self->idle[0]);
    close(self->idle[1]);
    async_end;
}

/* closed with close(2) while a duplicate lives: on epoll its entry reports under a number that is
 * another's now, and only the generation tells. */
TASK_TEST(closing, behind_our_back_leaves_no_ghost, int old[2]; int next[2]; int ghost;
          char data[4];)
{
    ssize_t n;
    async_begin;
    raw_pair(self->old);
    raw_pair(self->next);
    check_equal(async_adopt(self->old[0]), self->old[0]);
    self->ghost = dup(self->old[0]);
    close(self->old[0]);
    check_equal(dup2(self->next[0], self->old[0]), self->old[0]);
    warnings = 0;
    check_equal(async_adopt(self->old[0]), self->old[0]);
    check_equal(warnings, ASYNC_DEBUG);
    await(n, async_readable(self->old[0]), 0);
    check_equal(n, -ETIMEDOUT);
    check_equal(write(self->old[1], "ghost", 5), 5);
    await(n, async_readable(self->old[0]), 0);
    check_equal(n, -ETIMEDOUT);
    check_equal(write(self->next[1], "real", 4), 4);
    await(n, async_read(self->old[0], self->data, 4), 0);
    check_equal(n, 4);
    check(memcmp(self->data, "real", 4) == 0);
    check_equal(async_close(self->old[0]), 0);
    close(self->ghost);
    close(self->old[1]);
    close(self->next[0]);
    close(self->next[1]);
    async_end;
}

/* Who still waits under a number that the system gave to another learns of it. */
TASK_TEST(closing, behind_our_back_is_noticed_when_the_number_returns, int ends[2]; int next[2];
          char data[4]; async_result read;)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->read = 1;
    async_spawn(io_reader, .fd = self->ends[0], .data = self->data, .size = 4,
                .result = &self->read);
    await(async_yield());
    close(self->ends[0]);
    warnings = 0;
    check_equal(async_pipe(self->next), 0);
    check_equal(self->next[0], self->ends[0]);
    check_equal(warnings, ASYNC_DEBUG);
    await(async_yield());
    check_equal(self->read, -EBADF);
    check_equal(write(self->next[1], "ab", 2), 2);
    await(n, async_read(self->next[0], self->data, 4), 0);
    check_equal(n, 2);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Errors of operations
 * ------------------------------------------------------------------------- */

TASK_TEST(operations, refuse_what_was_not_adopted, int ends[2]; char data[4];
          struct iovec piece;)
{
    ssize_t n;
    async_begin;
    raw_pair(self->ends);
    self->piece.iov_base = self->data;
    self->piece.iov_len = 4;
    await(n, async_read(self->ends[0], self->data, 4));
    check_error(async_read, EBADF, n);
    await(n, async_write(self->ends[0], self->data, 4));
    check_error(async_write, EBADF, n);
    await(n, async_readv(self->ends[0], &self->piece, 1));
    check_error(async_readv, EBADF, n);
    await(n, async_writev(self->ends[0], &self->piece, 1));
    check_error(async_writev, EBADF, n);
    await(n, async_readable(self->ends[0]));
    check_error(async_readable, EBADF, n);
    await(n, async_writable(1000000));
    check_error(async_writable, EBADF, n);
    await(n, async_accept(self->ends[0]));
    check_error(async_accept, EBADF, n);
    close(self->ends[0]);
    close(self->ends[1]);
    async_end;
}

TASK_TEST(operations, give_a_negative_descriptor_back, char data[4]; struct iovec piece;)
{
    ssize_t n;
    async_begin;
    self->piece.iov_base = self->data;
    self->piece.iov_len = 4;
    await(n, async_read(-EADDRINUSE, self->data, 4));
    check_equal(n, -EADDRINUSE);
    await(n, async_write(-EADDRINUSE, self->data, 4));
    check_equal(n, -EADDRINUSE);
    await(n, async_readv(-EADDRINUSE, &self->piece, 1));
    check_equal(n, -EADDRINUSE);
    await(n, async_writev(-EADDRINUSE, &self->piece, 1));
    check_equal(n, -EADDRINUSE);
    await(n, async_readable(-EADDRINUSE));
    check_equal(n, -EADDRINUSE);
    await(n, async_writable(-EADDRINUSE));
    check_equal(n, -EADDRINUSE);
    await(n, async_accept(-EADDRINUSE));
    check_equal(n, -EADDRINUSE);
    check_equal(async_port(-EADDRINUSE), -EADDRINUSE);
    async_end;
}

TASK_TEST(operations, refuse_a_second_reader, int ends[2]; char data[4]; struct iovec piece;
          async_result read; async_task task;)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->piece.iov_base = self->data;
    self->piece.iov_len = 4;
    self->task = async_spawn(io_reader, .fd = self->ends[0], .data = self->data, .size = 4,
                .result = &self->read);
    await(async_yield());
    await(n, async_read(self->ends[0], self->data, 4));
    check_error(async_read, EBUSY, n);
    await(n, async_readv(self->ends[0], &self->piece, 1));
    check_error(async_readv, EBUSY, n);
    await(n, async_readable(self->ends[0]));
    check_error(async_readable, EBUSY, n);
    await(n, async_write(self->ends[0], "free", 4), 0);
    check_equal(n, 4);
    await(n, async_write(self->ends[1], "abcd", 4), 0);
    check_equal(n, 4);
    await(n, async_join(self->task), 5000);
    check_equal(n, 0);
    check_equal(self->read, 4);
    async_end;
}

TASK_TEST(operations, refuse_a_second_writer, int ends[2]; char data[4]; struct iovec piece;
          async_result written;)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->piece.iov_base = self->data;
    self->piece.iov_len = 4;
    fill(self->ends[0]);
    async_spawn(io_writer, .fd = self->ends[0], .data = "late", .size = 4,
                .result = &self->written);
    await(async_yield());
    await(n, async_write(self->ends[0], self->data, 4));
    check_error(async_write, EBUSY, n);
    await(n, async_writev(self->ends[0], &self->piece, 1));
    check_error(async_writev, EBUSY, n);
    await(n, async_writable(self->ends[0]));
    check_error(async_writable, EBUSY, n);
    await(n, async_write(self->ends[1], "free", 4), 0);
    check_equal(n, 4);
    await(n, async_read(self->ends[0], self->data, 4), 0);
    check_equal(n, 4);
    check_equal(self->written, 0);
    async_end;
}

TASK_TEST(operations, of_no_bytes_are_done_at_once, int ends[2]; struct iovec pieces[2];
          async_result read;)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    fill(self->ends[0]);
    await(n, async_read(self->ends[0], self->pieces, 0));
    check_equal(n, 0);
    await(n, async_write(self->ends[0], self->pieces, 0));
    check_equal(n, 0);
    await(n, async_readv(self->ends[0], self->pieces, 2));
    check_equal(n, 0);
    await(n, async_writev(self->ends[0], self->pieces, 2));
    check_equal(n, 0);
    await(n, async_readv(self->ends[0], NULL, 0));
    check_equal(n, 0);
    await(n, async_writev(self->ends[0], NULL, 0));
    check_equal(n, 0);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Waiting for readiness
 * ------------------------------------------------------------------------- */

/* What we know of a descriptor is a hint: the program's own read(2) and write(2) are invisible. */
TASK_TEST(readiness, is_asked_of_the_system, int ends[2]; char data[8];)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    await(n, async_readable(self->ends[0]), 0);
    check_equal(n, -ETIMEDOUT);
    await(n, async_writable(self->ends[0]), 0);
    check_equal(n, 0);
    check_equal(write(self->ends[1], "abcd", 4), 4);
    await(n, async_readable(self->ends[0]), 0);
    check_equal(n, 0);
    await(n, async_readable(self->ends[0]), 0);
    check_equal(n, 0);
    check_equal(read(self->ends[0], self->data, 8), 4);
    await(n, async_readable(self->ends[0]), 0);
    check_equal(n, -ETIMEDOUT);
    check_equal(write(self->ends[1], "more", 4), 4);
    await(n, async_readable(self->ends[0]), 0);
    check_equal(n, 0);
    await(n, async_read(self->ends[0], self->data, 8), 0);
    check_equal(n, 4);
    async_end;
}

TASK_TEST(readiness, to_write_comes_when_the_peer_reads, int ends[2]; size_t full;
          async_result out;)
{
    ssize_t n;
    async_begin;
    raw_pair(self->ends);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    self->full = fill(self->ends[0]);
    await(n, async_writable(self->ends[0]), 0);
    check_equal(n, -ETIMEDOUT);
    self->out = 1;
    async_spawn(waits_until_writable, .fd = self->ends[0], .result = &self->out);
    await(async_yield());
    check_equal(self->out, 1);
    drain(self->ends[1], self->full);
    await(n, async_readable(self->ends[0]), 0);
    check_equal(n, -ETIMEDOUT);
    check_equal(self->out, 0);
    check_equal(async_close(self->ends[0]), 0);
    close(self->ends[1]);
    async_end;
}

TASK_TEST(readiness, is_cancelled_and_can_be_waited_for_again, int ends[2]; async_result in;
          async_task task;)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->task = async_spawn(waits_until_readable, .fd = self->ends[0], .result = &self->in);
    await(async_yield());
    check_equal(async_cancel(self->task), 0);
    await(async_join(self->task));
    check_equal(self->in, -ECANCELED);
    check_equal(write(self->ends[1], "x", 1), 1);
    await(n, async_readable(self->ends[0]), 0);
    check_equal(n, 0);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Reading
 * ------------------------------------------------------------------------- */

/* Ten bytes make one event, and are read one by one. */
TASK_TEST(reading, takes_leftovers_without_another_event, int ends[2]; int i; char data[2];
          async_result first;)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->first = 1;
    async_spawn(io_reader, .fd = self->ends[0], .data = self->data, .size = 1,
                .result = &self->first);
    await(async_yield());
    check_equal(write(self->ends[1], "0123456789", 10), 10);
    await(n, async_readable(self->ends[1]), 0);
    check_equal(n, -ETIMEDOUT);
    check_equal(self->first, 1);
    for (self->i = 1; self->i < 10; self->i++) {
        await(n, async_read(self->ends[0], self->data, 1), 0);
        check_equal(n, 1);
        check_equal(self->data[0], '0' + self->i);
    }
    await(n, async_read(self->ends[0], self->data, 1), 0);
    check_equal(n, -ETIMEDOUT);
    async_end;
}

/* Data and end that came before the wait are one event: after the short read nothing follows. */
static void send_and_end(int fd)
{
    check_equal(write(fd, "12345678", 8), 8);
    close(fd);
}

async(reads_data_then_end, int fd; char data[64];)
{
    ssize_t n;
    async_begin;
    await(n, async_read(self->fd, self->data, sizeof self->data), 0);
    check_equal(n, 8);
    await(n, async_read(self->fd, self->data, sizeof self->data), 0);
    check_equal(n, 0);
    await(n, async_read(self->fd, self->data, sizeof self->data), 0);
    check_equal(n, 0);
    check_equal(async_close(self->fd), 0);
    async_end;
}

static void make_pipe(int ends[2])
{
    check_equal(pipe(ends), 0);
}

static void (*const makers[])(int ends[2]) = { make_pipe, raw_pair, raw_tcp_pair };
enum { MAKERS = sizeof makers / sizeof *makers };

/* First an EAGAIN, so that the event is what sets the bits. */
TASK_TEST(reading, sees_an_end_that_came_with_the_data, int ends[2]; size_t i; char data[64];)
{
    ssize_t n;
    async_begin;
    for (self->i = 0; self->i < MAKERS; self->i++) {
        makers[self->i](self->ends);
        check_equal(async_adopt(self->ends[0]), self->ends[0]);
        await(n, async_read(self->ends[0], self->data, 64), 0);
        check_equal(n, -ETIMEDOUT);
        send_and_end(self->ends[1]);
        await(async_call(reads_data_then_end, .fd = self->ends[0]));
    }
    async_end;
}

TASK_TEST(reading, sees_an_end_that_was_there_before_adopting, int ends[2]; size_t i;)
{
    async_begin;
    for (self->i = 0; self->i < MAKERS; self->i++) {
        makers[self->i](self->ends);
        send_and_end(self->ends[1]);
        check_equal(async_adopt(self->ends[0]), self->ends[0]);
        await(async_call(reads_data_then_end, .fd = self->ends[0]));
    }
    async_end;
}

/* The end between two reads makes an event of its own. */
TASK_TEST(reading, sees_an_end_that_comes_after_a_short_read, int ends[2]; size_t i;
          char data[64];)
{
    ssize_t n;
    async_begin;
    for (self->i = 0; self->i < MAKERS; self->i++) {
        makers[self->i](self->ends);
        check_equal(async_adopt(self->ends[0]), self->ends[0]);
        check_equal(write(self->ends[1], "12345678", 8), 8);
        await(n, async_read(self->ends[0], self->data, 64), 0);
        check_equal(n, 8);
        close(self->ends[1]);
        await(n, async_read(self->ends[0], self->data, 64), 0);
        check_equal(n, 0);
        check_equal(async_close(self->ends[0]), 0);
    }
    async_end;
}

TASK_TEST(reading, is_spread_over_the_pieces, int ends[2]; char data[16]; struct iovec pieces[4];)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->pieces[0].iov_base = self->data;
    self->pieces[0].iov_len = 0;
    self->pieces[1].iov_base = self->data;
    self->pieces[1].iov_len = 3;
    self->pieces[2].iov_base = self->data;
    self->pieces[2].iov_len = 0;
    self->pieces[3].iov_base = self->data + 8;
    self->pieces[3].iov_len = 8;
    await(n, async_write(self->ends[1], "abcdefgh", 8), 0);
    check_equal(n, 8);
    await(n, async_readv(self->ends[0], self->pieces, 4), 0);
    check_equal(n, 8);
    check(memcmp(self->data, "abc", 3) == 0);
    check(memcmp(self->data + 8, "defgh", 5) == 0);
    async_end;
}

/* Zero means the end, so that many empty pieces in front must not give it. */
TASK_TEST(reading, passes_over_any_number_of_empty_pieces, int ends[2]; char data[4];
          struct iovec pieces[1030];)
{
    ssize_t n;
    async_begin;
    check_equal(async_pipe(self->ends), 0);
    self->pieces[1029].iov_base = self->data;
    self->pieces[1029].iov_len = 4;
    check_equal(write(self->ends[1], "abc", 3), 3);
    await(n, async_readv(self->ends[0], self->pieces, 1030), 0);
    check_equal(n, 3);
    async_end;
}

/* Descriptors that come along cut a read short, and what is behind them makes no event. */
static void pass_descriptor(int over, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec piece = { (void *)(uintptr_t)"ab", 2 };
    struct msghdr message;

    memset(&control, 0, sizeof control);
    memset(&message, 0, sizeof message);
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.space;
    message.msg_controllen = sizeof control.space;
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    check_equal(sendmsg(over, &message, 0), 2);
}

TASK_TEST(reading, goes_on_behind_descriptors_that_were_passed, int ends[2]; char data[16];)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    await(n, async_read(self->ends[0], self->data, 16), 0);
    check_equal(n, -ETIMEDOUT);
    pass_descriptor(self->ends[1], 2);
    pass_descriptor(self->ends[1], 2);
    check_equal(write(self->ends[1], "cd", 2), 2);
    await(n, async_read(self->ends[0], self->data, 16), 0);
    check_equal(n, 2);
    await(n, async_read(self->ends[0], self->data, 16), 0);
    check_equal(n, 2);
    await(n, async_read(self->ends[0], self->data, 16), 0);
    check_equal(n, 2);
    check(memcmp(self->data, "cd", 2) == 0);
    async_end;
}

/* A socket that was adopted before it listened accepts what one does that listened before. */
REAL_TASK_TEST(reading, goes_on_behind_descriptors_passed_to_an_early_listener, "sun_path",
               int listener, peer, client; char data[16]; struct sockaddr_un address;)
{
    ssize_t n;
    async_begin;
    self->address.sun_family = AF_UNIX;
    snprintf(self->address.sun_path, sizeof self->address.sun_path, "/tmp/async-test-%d",
             (int)getpid());
    self->listener = async_adopt(socket(AF_UNIX, SOCK_STREAM, 0));
    check(self->listener >= 0);
    check_equal(bind(self->listener, (struct sockaddr *)&self->address, sizeof self->address), 0);
    check_equal(listen(self->listener, 1), 0);
    self->peer = socket(AF_UNIX, SOCK_STREAM, 0);
    check_equal(connect(self->peer, (struct sockaddr *)&self->address, sizeof self->address), 0);
    unlink(self->address.sun_path);
    await(self->client, async_accept(self->listener));
    check(self->client >= 0);
    await(n, async_read(self->client, self->data, 16), 0);
    check_equal(n, -ETIMEDOUT);
    pass_descriptor(self->peer, 2);
    check_equal(write(self->peer, "cd", 2), 2);
    await(n, async_read(self->client, self->data, 16), 0);
    check_equal(n, 2);
    await(n, async_read(self->client, self->data, 16), 1000);
    check_equal(n, 2);
    async_close(self->client);
    async_close(self->listener);
    close(self->peer);
    async_end;
}

/* A read stops at the urgent mark. kqueue does not tell of it: a documented limit. */
TASK_TEST(reading, goes_on_behind_urgent_data, int ends[2]; char data[16]; ssize_t sum;)
{
    ssize_t n;
    async_begin;
    if (strcmp(test_backend, "kqueue") == 0)
        async_return(0);
    raw_tcp_pair(self->ends);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    await(n, async_read(self->ends[0], self->data, 16), 0);
    check_equal(n, -ETIMEDOUT);
    check_equal(send(self->ends[1], "ab", 2, 0), 2);
    check_equal(send(self->ends[1], "!", 1, MSG_OOB), 1);
    check_equal(send(self->ends[1], "cd", 2, 0), 2);
    while (self->sum < 4) {
        await(n, async_read(self->ends[0], self->data + self->sum, 16), 2000);
        check(n > 0);
        self->sum += n;
    }
    check(memcmp(self->data, "abcd", 4) == 0);
    check_equal(async_close(self->ends[0]), 0);
    close(self->ends[1]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Writing
 * ------------------------------------------------------------------------- */

TASK_TEST(writing, says_how_much_went_out_when_cancelled, int ends[2]; char *data;
          async_result written; async_task task;)
{
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->data = (char *)calloc(1, 4 << 20);
    self->task = async_spawn(io_writer, .fd = self->ends[0], .data = self->data, .size = 4 << 20,
                             .result = &self->written);
    await(async_yield());
    check_equal(self->written, 0);
    check_equal(async_cancel(self->task), 0);
    await(async_join(self->task));
    check(self->written > 0);
    check(self->written < 4 << 20);
    drain(self->ends[1], (size_t)self->written);
    check_equal(recv(self->ends[1], self->data, 1, 0), -1);
    check_equal(errno, EAGAIN);
    free(self->data);
    async_end;
}

TASK_TEST(writing, says_how_much_went_out_when_closed_or_late, int ends[2]; char *data;
          async_result written;)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->data = (char *)calloc(1, 4 << 20);
    await(n, async_write(self->ends[0], self->data, 4 << 20), 0);
    check(n > 0);
    check(n < 4 << 20);
    await(n, async_write(self->ends[0], self->data, 4 << 20), 0);
    check_equal(n, -ETIMEDOUT);
    async_spawn(io_writer, .fd = self->ends[1], .data = self->data, .size = 4 << 20,
                .result = &self->written);
    await(async_yield());
    check_equal(async_close(self->ends[1]), 0);
    await(async_yield());
    check(self->written > 0);
    free(self->data);
    async_end;
}

/* All of it, while the other end reads in pieces of odd sizes. */
async(checks_pattern, int fd; size_t total, place, size; char data[5000];)
{
    ssize_t n;
    async_begin;
    while (self->place < self->total) {
        self->size = self->place % sizeof self->data + 1;
        await(n, async_read(self->fd, self->data, self->size));
        check(n > 0);
        check(pattern_is(self->data, self->place, (size_t)n));
        self->place += (size_t)n;
    }
    async_end;
}

enum { MANY = 2000 };

TASK_TEST(writing, gathers_2000_pieces_of_a_byte, int ends[2]; size_t i; char data[MANY];
          struct iovec *pieces; async_task task;)
{
    ssize_t n;
    int size = 4096;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    setsockopt(self->ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    self->pieces = (struct iovec *)calloc(2 * MANY, sizeof *self->pieces);
    pattern_put(self->data, 0, MANY);
    for (self->i = 0; self->i < MANY; self->i++) {
        self->pieces[2 * self->i].iov_base = self->data + self->i;
        self->pieces[2 * self->i].iov_len = 1;
    }
    self->task = async_spawn(checks_pattern, .fd = self->ends[1], .total = MANY);
    await(n, async_writev(self->ends[0], self->pieces, 2 * MANY));
    check_equal(n, MANY);
    await(async_join(self->task));
    free(self->pieces);
    async_end;
}

enum { MUCH = 1 << 17 };

TASK_TEST(writing, gathers_much_through_a_small_buffer, int ends[2]; size_t i, place;
          char *data; struct iovec pieces[40]; async_task task;)
{
    ssize_t n;
    int size = 4096;
    async_begin;
    raw_tcp_pair(self->ends);
    setsockopt(self->ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    check_equal(async_adopt(self->ends[1]), self->ends[1]);
    self->data = (char *)malloc(MUCH);
    pattern_put(self->data, 0, MUCH);
    for (self->i = 0; self->i < 40; self->i++) {
        self->pieces[self->i].iov_base = self->data + self->place;
        self->pieces[self->i].iov_len = self->i % 3 == 1 ? 0 : self->i * (MUCH / 787);
        self->place += self->pieces[self->i].iov_len;
    }
    check(self->place < MUCH);
    self->pieces[39].iov_len += (size_t)MUCH - self->place;
    self->task = async_spawn(checks_pattern, .fd = self->ends[1], .total = MUCH);
    await(n, async_writev(self->ends[0], self->pieces, 40));
    check_equal(n, MUCH);
    await(async_join(self->task));
    free(self->data);
    check_equal(async_close(self->ends[0]), 0);
    check_equal(async_close(self->ends[1]), 0);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Many, and interrupted
 * ------------------------------------------------------------------------- */

enum { CROWD = 600 };

async(counts_itself, int fd; int *count; char data[4];)
{
    ssize_t n;
    async_begin;
    await(n, async_read(self->fd, self->data, 4));
    check_equal(n, 1);
    ++*self->count;
    async_end;
}

/* More of them are ready at once than the poller hands out in one go. */
TASK_TEST(many, ready_descriptors_are_all_served, int (*ends)[2]; int i, count;
          async_task tasks[CROWD];)
{
    async_begin;
    allow_descriptors(2 * CROWD + 100);
    self->ends = (int(*)[2])calloc(CROWD, sizeof *self->ends);
    for (self->i = 0; self->i < CROWD; self->i++) {
        check_equal(async_pipe(self->ends[self->i]), 0);
        self->tasks[self->i] = async_spawn(counts_itself, .fd = self->ends[self->i][0],
                                           .count = &self->count);
    }
    await(async_yield());
    for (self->i = 0; self->i < CROWD; self->i++)
        check_equal(write(self->ends[self->i][1], "x", 1), 1);
    check_equal(self->count, 0);
    await(async_join_all(self->tasks, CROWD));
    check_equal(self->count, CROWD);
    free(self->ends);
    async_end;
}

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
    (void)number;
    alarms++;
}

/* A signal every millisecond (where that leaves time for anything else), and no system call is
 * restarted. One may still be on its way when the storm is over, so it is ignored from then on. */
static void storm(int begins)
{
    struct itimerval every = { { 0, 0 }, { 0, 0 } };
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = begins ? count_alarm : SIG_IGN;
    if (begins)
        every.it_interval.tv_usec = every.it_value.tv_usec = test_on_valgrind() ? 20000 : 1000;
    if (begins)
        sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    if (!begins)
        sigaction(SIGALRM, &action, NULL);
}

TASK_TEST(interrupted, calls_go_on, int ends[2]; char *data; async_task task; int64_t start;)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->data = (char *)malloc(1 << 20);
    pattern_put(self->data, 0, 1 << 20);
    alarms = 0;
    storm(1);
    self->start = async_now();
    await(n, async_sleep(50));
    check_equal(n, 0);
    check(async_now() - self->start >= 50000000);
    self->task = async_spawn(checks_pattern, .fd = self->ends[1], .total = 1 << 20);
    await(n, async_write(self->ends[0], self->data, 1 << 20));
    check_equal(n, 1 << 20);
    await(async_join(self->task));
    storm(0);
    check(alarms > 0);
    free(self->data);
    async_end;
}
