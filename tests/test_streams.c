/*
 * Streams: buffered writing, reading by await or by callback, and closing without loss.
 *
 * Goal: what was written arrives, in order and to the last byte, however slow the peer is and
 * whenever the stream is closed; each callback comes as often as its contract says. Method: pairs
 * of sockets whose other end the test holds; a pattern shows bytes that are lost or doubled.
 *
 * On the real kernel only: a reader in another process.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "async.h"
#include "test.h"

#include "io.h"

#include <sys/wait.h>

enum { LARGE = 1 << 20 }; /* more than a socket takes at once */

static char *large(void)
{
    char *data = (char *)malloc(LARGE);

    check(data != NULL);
    pattern_put(data, 0, LARGE);
    return data;
}

static async_stream *stream_over(int fd)
{
    async_stream *stream;

    check_equal(async_adopt(fd), fd);
    stream = async_stream_open(fd);
    check(stream != NULL);
    return stream;
}

/* A stream that closes lives on until its peer has ended. */
async(waits_until_gone, int fd;)
{
    async_begin;
    while (is_open(self->fd))
        await(async_yield());
    async_end;
}

/* Read until the end, in pieces of odd sizes, letting others run between them; then close. */
async(reads_slowly, int fd; size_t total, place; char data[30011];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->fd, self->data, self->place % sizeof self->data + 1));
        check(n >= 0);
        if (n == 0)
            break;
        check(pattern_is(self->data, self->place, (size_t)n));
        self->place += (size_t)n;
        await(async_yield());
    }
    check_equal(self->place, self->total);
    check_equal(async_close(self->fd), 0);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Opening
 * ------------------------------------------------------------------------- */

TEST(stream, is_made_of_a_descriptor_of_the_loop)
{
    int ends[2];
    async_stream *stream;

    check_equal(async_open(NULL), 0);
    raw_pair(ends);
    check(async_stream_open(ends[0]) == NULL);
    check(async_stream_open(-1) == NULL);
    check(async_stream_open(1000000) == NULL);
    stream = stream_over(ends[0]);
    check(async_stream_open(ends[0]) == NULL);
    check_error(async_close, EBUSY, async_close(ends[0]));
    stream->data = ends;
    check_equal(async_stream_close(stream), 0);
    close(ends[1]);
    check_equal(async_loop_run(), 0);
    check(!is_open(ends[0]));
    check_equal(async_loop_close(), 0);
}

async(uses_stream, async_stream *stream; char data[4];)
{
    ssize_t n;
    async_begin;
    await(n, async_stream_read(self->stream, self->data, 4));
    check_error(async_stream_read, EBADF, n);
    await(n, async_stream_flush(self->stream));
    check_error(async_stream_flush, EBADF, n);
    await(n, async_stream_wait_closed(self->stream));
    check_error(async_stream_wait_closed, EBADF, n);
    check_error(async_stream_write, EBADF, async_stream_write(self->stream, "x", 1));
    check_error(async_stream_close, EBADF, async_stream_close(self->stream));
    check_error(async_stream_on_data, EBADF, async_stream_on_data(self->stream, NULL));
    check_error(async_stream_on_written, EBADF, async_stream_on_written(self->stream, NULL));
    check_error(async_stream_on_close, EBADF, async_stream_on_close(self->stream, NULL));
    async_end;
}

/* While the queue drains there is still memory to look at. */
TASK_TEST(stream, refuses_everything_when_it_closes, int ends[2]; char *data;
          async_stream *stream; async_task task;)
{
    async_begin;
    await(async_call(uses_stream, .stream = NULL));
    raw_pair(self->ends);
    self->stream = stream_over(self->ends[0]);
    self->data = large();
    check_equal(async_stream_write(self->stream, self->data, LARGE), 0);
    check_equal(async_stream_close(self->stream), 0);
    await(async_call(uses_stream, .stream = self->stream));
    free(self->data);
    close(self->ends[1]);
    await(async_call(waits_until_gone, .fd = self->ends[0]));
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Reading and writing in coroutines
 * ------------------------------------------------------------------------- */

async(reads_stream, async_stream *stream; void *data; size_t size; async_result *result;)
{
    async_result n;
    async_begin;
    await(n, async_stream_read(self->stream, self->data, self->size));
    *self->result = n;
    async_end;
}

TASK_TEST(stream, reads_what_arrives_and_the_end, int ends[2]; async_stream *stream;
          char data[16];)
{
    ssize_t n;
    async_begin;
    raw_pair(self->ends);
    self->stream = stream_over(self->ends[0]);
    await(n, async_stream_read(self->stream, self->data, 16), 0);
    check_equal(n, -ETIMEDOUT);
    check_equal(write(self->ends[1], "early", 5), 5);
    await(n, async_stream_read(self->stream, self->data, 16), 0);
    check_equal(n, 5);
    close(self->ends[1]);
    await(n, async_stream_read(self->stream, self->data, 16), 0);
    check_equal(n, 0);
    await(n, async_stream_wait_closed(self->stream));
    check_equal(n, 0);
    check(!is_open(self->ends[0]));
    async_end;
}

async(reads_exactly, async_stream *stream; char *data; size_t size;)
{
    ssize_t n;
    async_begin;
    await(n, async_stream_read_exactly(self->stream, self->data, self->size));
    check_equal(n, self->size);
    async_end;
}

/* What is read in large pieces is not copied: it goes where the reader wants it, at once. */
TASK_TEST(stream, reads_large_pieces_in_place, int ends[2]; async_stream *stream; async_task task;
          char data[8192], sent[8192];)
{
    ssize_t n;
    async_begin;
    pattern_put(self->sent, 0, sizeof self->sent);
    raw_pair(self->ends);
    self->stream = stream_over(self->ends[0]);
    check_equal(write(self->ends[1], self->sent, 5000), 5000);
    self->task = async_spawn(reads_exactly, .stream = self->stream, .data = self->data,
                             .size = sizeof self->data);
    await(async_yield());
    check(pattern_is(self->data, 0, 5000)); /* and it waits for the rest */
    check_equal(write(self->ends[1], self->sent + 5000, 3192), 3192);
    await(async_join(self->task));
    check(pattern_is(self->data, 0, sizeof self->data));
    close(self->ends[1]);
    await(n, async_stream_wait_closed(self->stream));
    async_end;
}

/* The data comes before the cancel, and is the next reader's. */
TASK_TEST(stream, loses_nothing_when_a_read_is_cancelled, int ends[2]; async_stream *stream;
          char data[16]; async_result read; async_task task;)
{
    ssize_t n;
    async_begin;
    raw_pair(self->ends);
    self->stream = stream_over(self->ends[0]);
    self->task = async_spawn(reads_stream, .stream = self->stream, .data = self->data, .size = 16,
                             .result = &self->read);
    await(async_yield());
    check_equal(write(self->ends[1], "kept", 4), 4);
    check_equal(async_cancel(self->task), 0);
    await(async_join(self->task));
    check_equal(self->read, -ECANCELED);
    await(n, async_stream_read(self->stream, self->data, 16), 0);
    check_equal(n, 4);
    close(self->ends[1]);
    await(n, async_stream_wait_closed(self->stream));
    check_equal(n, 0);
    async_end;
}

TASK_TEST(stream, has_one_reader_at_a_time, int ends[2]; async_stream *stream; char data[16];
          async_result read;)
{
    ssize_t n;
    async_begin;
    raw_pair(self->ends);
    self->stream = stream_over(self->ends[0]);
    async_spawn(reads_stream, .stream = self->stream, .data = self->data, .size = 16,
                .result = &self->read);
    await(async_yield());
    await(n, async_stream_read(self->stream, self->data, 16));
    check_error(async_stream_read, EBUSY, n);
    check_error(async_stream_on_data, EBUSY, async_stream_on_data(self->stream, ignore_data));
    check_equal(async_stream_close(self->stream), 0);
    await(async_yield());
    check_equal(self->read, -EBADF);
    close(self->ends[1]);
    await(async_call(waits_until_gone, .fd = self->ends[0]));
    raw_pair(self->ends);
    self->stream = stream_over(self->ends[0]);
    check_equal(async_stream_on_data(self->stream, ignore_data), 0);
    await(n, async_stream_read(self->stream, self->data, 16));
    check_equal(n, -EBUSY);
    check_equal(async_stream_on_data(self->stream, NULL), 0);
    await(n, async_stream_read(self->stream, self->data, 16), 0);
    check_equal(n, -ETIMEDOUT);
    close(self->ends[1]);
    await(n, async_stream_wait_closed(self->stream));
    check_equal(n, 0);
    async_end;
}

/* Writing takes all of it at once, however slow the peer; flushing waits for it. */
TASK_TEST(stream, writes_all_through_a_slow_reader, int ends[2]; async_stream *stream; int i;
          int mebibytes; char *data; async_task task;)
{
    ssize_t n;
    async_begin;
    self->mebibytes = test_is_costly() ? 4 : 16;
    raw_pair(self->ends);
    self->stream = stream_over(self->ends[0]);
    check_equal(async_adopt(self->ends[1]), self->ends[1]);
    self->task = async_spawn(reads_slowly, .fd = self->ends[1],
                             .total = (size_t)self->mebibytes * 251 * 4096);
    self->data = large(); /* multiples of the period are sent, so the pattern goes on */
    for (self->i = 0; self->i < self->mebibytes; self->i++) {
        check_equal(async_stream_write(self->stream, self->data, 251 * 1000), 0);
        check_equal(async_stream_write(self->stream, self->data, 251 * 3096), 0);
        if (self->i % 2) {
            await(n, async_stream_flush(self->stream));
            check_equal(n, 0);
        }
    }
    free(self->data);
    await(n, async_stream_wait_closed(self->stream));
    check_equal(n, 0);
    await(async_join(self->task));
    async_end;
}

async(flushes, async_stream *stream; async_result *result;)
{
    async_result n;
    async_begin;
    await(n, async_stream_flush(self->stream));
    *self->result = n;
    async_end;
}

TASK_TEST(flush, is_awaited_by_one_task_at_a_time, int ends[2]; async_stream *stream; char *data;
          async_result first; async_task task;)
{
    ssize_t n;
    async_begin;
    raw_pair(self->ends);
    self->stream = stream_over(self->ends[0]);
    self->data = large();
    await(n, async_stream_flush(self->stream), 0);
    check_equal(n, 0);
    check_equal(async_stream_write(self->stream, self->data, LARGE), 0);
    self->first = 1;
    self->task = async_spawn(flushes, .stream = self->stream, .result = &self->first);
    await(async_yield());
    await(n, async_stream_flush(self->stream));
    check_error(async_stream_flush, EBUSY, n);
    check_equal(async_cancel(self->task), 0);
    await(async_join(self->task));
    check_equal(self->first, -ECANCELED);
    await(n, async_stream_flush(self->stream), 0);
    check_equal(n, -ETIMEDOUT);
    self->task = async_spawn(flushes, .stream = self->stream, .result = &self->first);
    await(async_yield());
    check_equal(async_stream_close(self->stream), 0);
    await(async_join(self->task));
    check_equal(self->first, -EBADF);
    free(self->data);
    close(self->ends[1]);
    await(async_call(waits_until_gone, .fd = self->ends[0]));
    async_end;
}

/* The peer resets the connection while bytes are queued. */
TASK_TEST(flush, tells_of_a_reset, int ends[2]; async_stream *stream; char *data;
          async_result flushed; async_task task;)
{
    ssize_t n;
    async_begin;
    raw_tcp_pair(self->ends);
    self->stream = stream_over(self->ends[0]);
    self->data = (char *)calloc(16, LARGE);
    check_equal(async_stream_write(self->stream, self->data, 16 * LARGE), 0);
    self->task = async_spawn(flushes, .stream = self->stream, .result = &self->flushed);
    await(async_yield());
    reset_on_close(self->ends[1]);
    close(self->ends[1]);
    await(async_join(self->task));
    check_error(async_stream_flush, ECONNRESET, self->flushed);
    check_error(async_stream_write, ECONNRESET, async_stream_write(self->stream, "x", 1));
    await(n, async_stream_flush(self->stream));
    check_equal(n, -ECONNRESET);
    await(n, async_stream_wait_closed(self->stream));
    check_error(async_stream_wait_closed, ECONNRESET, n);
    free(self->data);
    async_end;
}

TASK_TEST(stream, tells_of_a_peer_that_is_gone, int ends[2]; async_stream *stream;)
{
    ssize_t n;
    async_begin;
    raw_pair(self->ends);
    close(self->ends[1]);
    self->stream = stream_over(self->ends[0]);
    check_error(async_stream_write, EPIPE, async_stream_write(self->stream, "x", 1));
    check_equal(async_stream_write(self->stream, "x", 1), -EPIPE);
    await(n, async_stream_flush(self->stream));
    check_error(async_stream_flush, EPIPE, n);
    await(n, async_stream_wait_closed(self->stream));
    check_error(async_stream_wait_closed, EPIPE, n);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Closing
 * ------------------------------------------------------------------------- */

/* Written and closed in one step, without a pause in which something could be sent. */
static void (*const makers[])(int ends[2]) = { raw_pair, raw_tcp_pair };

TASK_TEST(closing_stream, delivers_what_is_queued, int ends[2]; char *data; size_t i;
          async_task task; async_stream *stream;)
{
    async_begin;
    self->data = large();
    for (self->i = 0; self->i < 2; self->i++) {
        makers[self->i](self->ends);
        self->stream = stream_over(self->ends[0]);
        check_equal(async_stream_write(self->stream, self->data, 251 * 4000), 0);
        check_equal(async_stream_write(self->stream, self->data, 1000), 0);
        check_equal(async_stream_close(self->stream), 0);
        check_equal(async_adopt(self->ends[1]), self->ends[1]);
        self->task = async_spawn(reads_slowly, .fd = self->ends[1], .total = 251 * 4000 + 1000);
        await(async_join(self->task));
        await(async_call(waits_until_gone, .fd = self->ends[0]));
    }
    free(self->data);
    async_end;
}

TASK_TEST(closing_stream, over_a_pipe_delivers_what_is_queued, int ends[2]; char *data;
          async_task task; async_stream *stream;)
{
    async_begin;
    check_equal(async_pipe(self->ends), 0);
    self->data = large();
    self->stream = async_stream_open(self->ends[1]);
    check_equal(async_stream_write(self->stream, self->data, LARGE), 0);
    check_equal(async_stream_close(self->stream), 0);
    free(self->data);
    self->task = async_spawn(reads_slowly, .fd = self->ends[0], .total = LARGE);
    await(async_join(self->task));
    async_end;
}

/* close(2) with unread data resets, and the reset overtakes the reply. */
TASK_TEST(closing_stream, does_not_destroy_the_last_reply, int ends[2]; char data[64];
          async_stream *stream; async_task task;)
{
    ssize_t n;
    async_begin;
    raw_tcp_pair(self->ends);
    check_equal(write(self->ends[1], self->data, 64), 64);
    self->stream = stream_over(self->ends[0]);
    check_equal(async_stream_write(self->stream, "reply", 5), 0);
    check_equal(async_stream_close(self->stream), 0);
    check_equal(async_adopt(self->ends[1]), self->ends[1]);
    await(async_yield());
    await(n, async_write(self->ends[1], self->data, 64), 0);
    check_equal(n, 64);
    await(n, async_read(self->ends[1], self->data, 64), 5000);
    check_equal(n, 5);
    await(n, async_read(self->ends[1], self->data, 64), 5000);
    check_equal(n, 0);
    check_equal(async_close(self->ends[1]), 0);
    await(async_call(waits_until_gone, .fd = self->ends[0]));
    async_end;
}

async(waits_closed, async_stream *stream; async_result *result;)
{
    async_result n;
    async_begin;
    await(n, async_stream_wait_closed(self->stream));
    *self->result = n;
    async_end;
}

/* Whoever waits may leave; the bytes go out all the same. */
TASK_TEST(closing_stream, goes_on_when_its_waiter_is_cancelled, int ends[2]; char *data;
          async_stream *stream; async_task task; async_result closed;)
{
    async_begin;
    raw_pair(self->ends);
    self->stream = stream_over(self->ends[0]);
    self->data = large();
    check_equal(async_stream_write(self->stream, self->data, LARGE), 0);
    self->task = async_spawn(waits_closed, .stream = self->stream, .result = &self->closed);
    await(async_yield());
    check_equal(async_cancel(self->task), 0);
    await(async_join(self->task));
    check_equal(self->closed, -ECANCELED);
    check_equal(async_adopt(self->ends[1]), self->ends[1]);
    self->task = async_spawn(reads_slowly, .fd = self->ends[1], .total = LARGE);
    await(async_join(self->task));
    await(async_call(waits_until_gone, .fd = self->ends[0]));
    free(self->data);
    async_end;
}

/* A descriptor that was adopted is given back; one whose stream was closed is nobody's any more. */
TEST(closing_stream, by_the_loop_leaks_nothing)
{
    int kept[2], queued[2], closing[2];
    char *data = large();
    async_stream *stream;

    check_equal(async_open(NULL), 0);
    raw_pair(kept);
    raw_pair(queued);
    raw_pair(closing);
    check_equal(async_stream_on_data(stream_over(kept[0]), ignore_data), 0);
    check_equal(async_stream_write(stream_over(queued[0]), data, LARGE), 0);
    stream = stream_over(closing[0]);
    check_equal(async_stream_write(stream, "x", 1), 0);
    check_equal(async_stream_close(stream), 0);
    check(async_loop_run_once(0) > 0);
    check_equal(async_loop_close(), 0);
    free(data);
    check(!is_open(closing[0]));
    for (int i = 0; i < 2; i++) {
        close(kept[i]);
        close(queued[i]);
    }
    close(closing[1]);
}

/* What has come when the loop goes is still read: or the peer would have a reset for a reply. */
TEST(closing_stream, does_not_destroy_the_last_reply_with_its_loop)
{
    int ends[2];
    char data[16];
    async_stream *stream;

    check_equal(async_open(NULL), 0);
    raw_pair(ends);
    stream = stream_over(ends[0]);
    check_equal(async_stream_write(stream, "reply", 5), 0);
    check_equal(async_stream_close(stream), 0);
    check_equal(write(ends[1], "more", 4), 4);
    check_equal(async_loop_close(), 0);
    check(!is_open(ends[0]));
    check_equal(read(ends[1], data, sizeof data), 5);
    check_equal(read(ends[1], data, sizeof data), 0);
    close(ends[1]);
}

static int reads_all(int fd, size_t total)
{
    static char data[65536];
    size_t place = 0;
    ssize_t n;

    while ((n = read(fd, data, sizeof data)) > 0) {
        if (!pattern_is(data, place, (size_t)n))
            return 0;
        place += (size_t)n;
    }
    return place == total;
}

REAL_TEST(closing_stream, sends_its_queue_before_the_loop_goes, "the reader is a child process")
{
    int ends[2], status;
    char *data = large();
    async_stream *stream;
    pid_t child;

    raw_pair(ends);
    child = fork();
    if (child == 0) {
        close(ends[0]);
        _exit(!reads_all(ends[1], LARGE));
    }
    close(ends[1]);
    check_equal(async_open(NULL), 0);
    stream = stream_over(ends[0]);
    check_equal(async_stream_write(stream, data, LARGE), 0);
    check_equal(async_stream_close(stream), 0);
    check_equal(async_loop_close(), 0);
    check_equal(waitpid(child, &status, 0), child);
    check_equal(status, 0);
    free(data);
}

static int written_after_close;

static void counts_written(async_stream *stream, int status)
{
    (void)stream, (void)status;
    written_after_close++;
}

static void closes_on_data(async_stream *stream, const char *data, ssize_t size)
{
    (void)data, (void)size;
    async_stream_close(stream);
}

/* Both are due in the same turn: the one that closes is called first. */
TEST(closing_stream, is_not_told_that_it_has_written)
{
    int ends[2];
    async_stream *stream;

    written_after_close = 0;
    raw_pair(ends);
    check_equal(async_open(NULL), 0);
    stream = stream_over(ends[0]);
    check_equal(write(ends[1], "x", 1), 1);
    check_equal(async_stream_on_data(stream, closes_on_data), 0);
    check_equal(async_stream_on_written(stream, counts_written), 0);
    check_equal(async_stream_write(stream, "y", 1), 0);
    close(ends[1]);
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_close(), 0);
    check_equal(written_after_close, 0);
}

async(fills, int fd; char *data;)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, self->data, LARGE));
    async_return(n);
    async_end;
}

TASK_TEST(stream, refuses_to_write_where_a_task_waits_to_write, int ends[2]; char *data;
          async_stream *stream;)
{
    async_begin;
    self->data = large();
    check_equal(async_socketpair(self->ends), 0);
    self->stream = async_stream_open(self->ends[0]);
    check(async_spawn(fills, .fd = self->ends[0], .data = self->data) > 0);
    await(async_yield());
    check_error(async_stream_write, EBUSY, async_stream_write(self->stream, "x", 1));
    async_finally;
    free(self->data);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Callbacks
 * ------------------------------------------------------------------------- */

static char order[128];
static size_t received;

static void note(const char *text)
{
    check(strlen(order) + strlen(text) < sizeof order);
    strcat(order, text);
}

static void begin_callbacks(void)
{
    memset(order, 0, sizeof order);
    received = 0;
    check_equal(async_open(NULL), 0);
}

static void note_data(async_stream *stream, const char *data, ssize_t size)
{
    char text[32];

    (void)stream;
    if (size > 0)
        snprintf(text, sizeof text, "[%.*s]", (int)size, data);
    else
        snprintf(text, sizeof text, size ? "[error]" : "[end]");
    note(text);
}

static void note_written(async_stream *stream, int status)
{
    (void)stream;
    note(status == 0 ? "<written>" : status == -EPIPE ? "<EPIPE>" : "<other>");
}

static void note_close(async_stream *stream, int status)
{
    (void)stream;
    note(status == 0 ? "<closed>" : status == -EPIPE ? "<closed EPIPE>" : "<closed other>");
}

static void close_at_end(async_stream *stream, const char *data, ssize_t size)
{
    note_data(stream, data, size);
    if (size <= 0)
        check_equal(async_stream_close(stream), 0);
}

static async_stream *noted_stream(int fd)
{
    async_stream *stream = stream_over(fd);

    check_equal(async_stream_on_written(stream, note_written), 0);
    check_equal(async_stream_on_close(stream, note_close), 0);
    return stream;
}

/* The loop ends when the stream has, and nothing came from inside a call of ours. */
TEST(stream_callbacks, come_in_order_and_once)
{
    int ends[2];
    async_stream *stream;

    begin_callbacks();
    raw_pair(ends);
    stream = noted_stream(ends[0]);
    check_equal(async_stream_on_data(stream, close_at_end), 0);
    check_equal(write(ends[1], "one", 3), 3);
    check_text(order, "");
    check_equal(async_loop_run_once(0), 1);
    check_text(order, "[one]");
    check_equal(async_stream_write(stream, "reply", 5), 0);
    check_text(order, "[one]");
    check_equal(async_loop_run_once(0), 1);
    check_text(order, "[one]<written>");
    check_equal(write(ends[1], "two", 3), 3);
    check_equal(async_loop_run_once(0), 1);
    check_equal(shutdown(ends[1], SHUT_WR), 0);
    check_equal(async_loop_run(), 0);
    check_text(order, "[one]<written>[two][end]<closed>");
    check(!is_open(ends[0]));
    drain(ends[1], 5);
    close(ends[1]);
    check_equal(async_loop_close(), 0);
}

/* Data that came before anybody asked for it is kept. */
TEST(stream_callbacks, can_be_stopped_and_set_again)
{
    int ends[2];
    async_stream *stream;

    begin_callbacks();
    raw_pair(ends);
    check_equal(write(ends[1], "one", 3), 3);
    stream = stream_over(ends[0]);
    check_equal(async_stream_on_data(stream, note_data), 0);
    check_equal(async_stream_on_data(stream, NULL), 0);
    check_equal(async_loop_run(), 0);
    check_text(order, "");
    check_equal(async_stream_on_data(stream, note_data), 0);
    check_equal(async_loop_run_once(0), 1);
    check_text(order, "[one]");
    close(ends[1]);
    check_equal(async_loop_run(), 0);
    check_text(order, "[one][end]");
    check_equal(async_stream_on_data(stream, note_data), 0);
    check_equal(async_loop_run(), 0);
    check_text(order, "[one][end]");
    check_equal(async_stream_close(stream), 0);
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_close(), 0);
}

static void stop_reading(async_stream *stream, const char *data, ssize_t size)
{
    note_data(stream, data, size);
    check_equal(async_stream_on_data(stream, NULL), 0);
}

TEST(stream_callbacks, are_not_called_after_they_stopped_themselves)
{
    int ends[2];
    async_stream *stream;

    begin_callbacks();
    raw_pair(ends);
    stream = stream_over(ends[0]);
    check_equal(async_stream_on_data(stream, stop_reading), 0);
    check_equal(write(ends[1], "one", 3), 3);
    check_equal(async_loop_run(), 0);
    check_equal(write(ends[1], "two", 3), 3);
    check_equal(async_loop_run(), 0);
    check_text(order, "[one]");
    check_equal(async_stream_on_data(stream, stop_reading), 0);
    check_equal(async_loop_run(), 0);
    check_text(order, "[one][two]");
    close(ends[1]);
    check_equal(async_loop_close(), 0);
    close(ends[0]);
}

/* Read from a non-blocking descriptor what is there. */
static size_t skim(int fd)
{
    static char bytes[65536];
    size_t sum = 0;
    ssize_t n;

    while ((n = read(fd, bytes, sizeof bytes)) > 0)
        sum += (size_t)n;
    return sum;
}

/* One report for all that was queued, when the last byte is with the system. */
TEST(stream_callbacks, report_once_for_a_queue)
{
    int ends[2];
    size_t sum = 0;
    char *data = large();
    async_stream *stream;

    begin_callbacks();
    raw_pair(ends);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    stream = noted_stream(ends[0]);
    check_equal(async_stream_write(stream, data, LARGE), 0);
    check_equal(async_stream_write(stream, data, LARGE), 0);
    free(data);
    while (!*order) {
        sum += skim(ends[1]);
        check(async_loop_run_once(0) >= 0);
    }
    check_equal(sum + skim(ends[1]), 2 * LARGE);
    check_equal(async_loop_run(), 0);
    check_equal(async_stream_close(stream), 0);
    close(ends[1]);
    check_equal(async_loop_run(), 0);
    check_text(order, "<written><closed>");
    check_equal(async_loop_close(), 0);
}

TEST(stream_callbacks, report_a_failure_once)
{
    int ends[2];
    char *data = large();
    async_stream *stream;

    begin_callbacks();
    raw_pair(ends);
    stream = noted_stream(ends[0]);
    check_equal(async_stream_write(stream, data, LARGE), 0);
    close(ends[1]);
    check_equal(async_loop_run(), 0);
    check_text(order, "<EPIPE>");
    check_equal(async_stream_write(stream, data, LARGE), -EPIPE);
    check_equal(async_loop_run(), 0);
    check_equal(async_stream_close(stream), 0);
    check_equal(async_loop_run(), 0);
    check_text(order, "<EPIPE><closed EPIPE>");
    free(data);
    check_equal(async_loop_close(), 0);
}

/* A write that fails at once is reported by its result and by the callback. */
TEST(stream_callbacks, report_a_failure_at_once)
{
    int ends[2];
    async_stream *stream;

    begin_callbacks();
    raw_pair(ends);
    close(ends[1]);
    stream = noted_stream(ends[0]);
    check_equal(async_stream_write(stream, "x", 1), -EPIPE);
    check_text(order, "");
    check_equal(async_loop_run(), 0);
    check_text(order, "<EPIPE>");
    check_equal(async_stream_close(stream), 0);
    check_equal(async_loop_run(), 0);
    check_text(order, "<EPIPE><closed EPIPE>");
    check_equal(async_loop_close(), 0);
}

static void note_error(async_stream *stream, const char *data, ssize_t size)
{
    check(data == NULL);
    note(size == -ECONNRESET ? "[ECONNRESET]" : "[other]");
    check_equal(async_stream_close(stream), 0);
}

TEST(stream_callbacks, are_given_the_error_that_ended_reading)
{
    int ends[2];
    async_stream *stream;

    begin_callbacks();
    raw_tcp_pair(ends);
    reset_on_close(ends[1]);
    close(ends[1]);
    stream = noted_stream(ends[0]);
    check_equal(async_stream_on_data(stream, note_error), 0);
    check_equal(async_loop_run(), 0);
    check_text(order, "[ECONNRESET]<closed>");
    check_equal(async_loop_close(), 0);
}

static void close_at_once(async_stream *stream, const char *data, ssize_t size)
{
    note_data(stream, data, size);
    check_equal(async_stream_write(stream, "bye", 3), 0);
    check_equal(async_stream_close(stream), 0);
}

/* From inside its own callback, with data still unread. */
TEST(stream_callbacks, may_close_their_stream)
{
    int ends[2];
    char bytes[8];
    async_stream *stream;

    begin_callbacks();
    raw_pair(ends);
    check_equal(write(ends[1], "one", 3), 3);
    stream = stream_over(ends[0]);
    check_equal(async_stream_on_close(stream, note_close), 0);
    check_equal(async_stream_on_data(stream, close_at_once), 0);
    check_equal(async_loop_run_once(0), 1);
    check_equal(write(ends[1], "two", 3), 3);
    check_equal(read(ends[1], bytes, 8), 3);
    check_equal(read(ends[1], bytes, 8), 0);
    check_text(order, "[one]");
    close(ends[1]);
    check_equal(async_loop_run(), 0);
    check_text(order, "[one]<closed>");
    check_equal(async_loop_close(), 0);
}

static void echo(async_stream *stream, const char *data, ssize_t size)
{
    if (size > 0)
        check_equal(async_stream_write(stream, data, (size_t)size), 0);
    else
        check_equal(async_stream_close(stream), 0);
}

static void count_data(async_stream *stream, const char *data, ssize_t size)
{
    check(size >= 0);
    if (size == 0) {
        note("[end]");
        check_equal(async_stream_close(stream), 0);
        return;
    }
    check(pattern_is(data, received, (size_t)size));
    received += (size_t)size;
    if (received == 2 * 251 * 4000)
        check_equal(async_stream_close(stream), 0);
}

/* Both ends are streams with callbacks: what one sends comes back from the other. */
TEST(stream_callbacks, make_an_echo)
{
    int ends[2];
    char *data = large();
    async_stream *client, *server;

    begin_callbacks();
    raw_tcp_pair(ends);
    client = noted_stream(ends[0]);
    server = stream_over(ends[1]);
    check_equal(async_stream_on_close(server, note_close), 0);
    check_equal(async_stream_on_data(server, echo), 0);
    check_equal(async_stream_on_data(client, count_data), 0);
    check_equal(async_stream_write(client, data, 251 * 4000), 0);
    check_equal(async_stream_write(client, data, 251 * 4000), 0);
    free(data);
    check_equal(async_loop_run(), 0);
    check_equal(received, 2 * 251 * 4000);
    check_text(order, "<written><closed><closed>");
    check_equal(async_loop_close(), 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - The descriptor beneath
 * ------------------------------------------------------------------------- */

async(waits_below, int fd; async_result *results;)
{
    async_begin;
    await(self->results[0], async_readable(self->fd));
    await(self->results[1], async_readable(self->fd));
    async_end;
}

static void never_called(int fd, void *data)
{
    (void)fd;
    (void)data;
    check(!"called");
}

/* From its close on, a stream's descriptor is nobody's: who waits is told, who comes is refused. */
TASK_TEST(closing_stream, lets_nobody_wait_on_its_descriptor, int ends[2]; async_stream *stream;
          async_result results[2]; async_task reader;)
{
    char byte;
    async_begin;
    raw_pair(self->ends);
    self->stream = stream_over(self->ends[0]);
    self->reader = async_spawn(waits_below, self->ends[0], self->results);
    await(async_yield());
    check_equal(async_stream_close(self->stream), 0);
    check(is_open(self->ends[0]));
    check_equal(async_on_readable(self->ends[0], NULL, never_called), -EBADF);
    check_equal(async_on_writable(self->ends[0], NULL, never_called), -EBADF);
    check_equal(async_read_nowait(self->ends[0], &byte, 1), -EBADF);
    check_equal(async_write_nowait(self->ends[0], "x", 1), -EBADF);
    check_equal(async_close(self->ends[0]), -EBUSY);
    await(async_join(self->reader));
    check_equal(self->results[0], -EBADF);
    check_equal(self->results[1], -EBADF);
    check_equal(close(self->ends[1]), 0);
    await(async_call(waits_until_gone, .fd = self->ends[0]));
    async_end;
}

/* close(2) is misuse, but it hangs nobody: when the number comes back as another's, who waited is
 * told, and the stream can still be closed. */
TASK_TEST(stream, survives_close_2_of_its_descriptor, int ends[2], again[2]; async_stream *stream;
          char *data; async_result result; async_task task;)
{
    async_begin;
    raw_pair(self->ends);
    self->stream = stream_over(self->ends[0]);
    self->data = large();
    check_equal(async_stream_write(self->stream, self->data, LARGE), 0);
    self->task = async_spawn(flushes, self->stream, &self->result);
    await(async_yield());
    check_equal(close(self->ends[0]), 0);
    check_equal(async_socketpair(self->again), 0);
    check_equal(self->again[0], self->ends[0]);
    await(async_join(self->task));
    check_equal(self->result, -EBADF);
    check(async_stream_write(self->stream, "x", 1) < 0);
    check_equal(async_stream_close(self->stream), -EBADF);
    check(is_open(self->again[0]));
    close(self->ends[1]);
    free(self->data);
    async_end;
}

/* Whoever reads meanwhile, or nobody, and nothing queued: the number is another's all the same. */
TASK_TEST(stream, is_not_what_has_the_number_of_its_descriptor_now, int ends[2], again[2], i;
          async_stream *stream; char data[4096]; async_result result; async_task task;)
{
    static const size_t sizes[] = { 0, 4, sizeof self->data };
    async_begin;
    for (self->i = 0; self->i < 3; self->i++) {
        raw_pair(self->ends);
        self->stream = stream_over(self->ends[0]);
        self->task = sizes[self->i] ? async_spawn(reads_stream, self->stream, self->data,
                                                  sizes[self->i], &self->result) : 0;
        await(async_yield());
        check_equal(close(self->ends[0]), 0);
        check_equal(async_socketpair(self->again), 0);
        check_equal(self->again[0], self->ends[0]);
        self->result = -EBADF;
        if (self->task)
            await(async_join(self->task));
        check_equal(self->result, -EBADF);
        await(self->result, async_stream_read(self->stream, self->data, sizeof self->data));
        check_equal(self->result, -EBADF);
        check_equal(async_stream_write(self->stream, "x", 1), -EBADF);
        check_equal(async_stream_close(self->stream), -EBADF);
        check(is_open(self->again[0]));
        check_equal(async_close(self->again[0]), 0);
        check_equal(async_close(self->again[1]), 0);
        close(self->ends[1]);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - At the end
 * ------------------------------------------------------------------------- */
static int late_calls;

static void counts_late_calls(async_stream *stream, const char *data, ssize_t size)
{
    (void)stream;
    (void)data;
    (void)size;
    late_calls++;
}

async(writes_at_the_end, int fd;)
{
    ssize_t n;
    async_begin;
    await(async_sleep(100000));
    async_finally;
    await(n, async_write(self->fd, "x", 1));
    check_equal(n, 1);
    await(async_sleep(10)); /* the loop sees it */
    async_end;
}

async(leaves_a_stream_with_a_callback, int ends[2]; async_stream *stream;)
{
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->stream = async_stream_open(self->ends[0]);
    check_equal(async_stream_on_data(self->stream, counts_late_calls), 0);
    check_equal(async_detach(async_spawn(writes_at_the_end, self->ends[1])), 0);
    await(async_yield());
    async_end;
}

/* What the callback was given may be in a frame that is gone. */
TEST(streams, call_nobody_back_while_the_loop_closes)
{
    late_calls = 0;
    check_equal(async_run(leaves_a_stream_with_a_callback), 0);
    check_equal(late_calls, 0);
}

#ifdef TCP_NOTSENT_LOWAT
/* What nobody takes is not with the system, where it would look like progress at first, and then
 * for long like none: of 16 MiB to a peer that does not read, all but two are still queued. */
REAL_TASK_TEST(streams, leave_the_system_little_that_the_peer_does_not_take, "the system's buffers",
               int ends[2]; async_stream *stream; char *data; int i;)
{
    ssize_t n;
    async_begin;
    raw_tcp_pair(self->ends);
    self->stream = stream_over(self->ends[0]);
    self->data = large();
    for (self->i = 0; self->i < 16; self->i++)
        check_equal(async_stream_write(self->stream, self->data, LARGE), 0);
    free(self->data);
    check_equal(async_stream_set_limits(self->stream, 14 * LARGE, 14 * LARGE), 0);
    await(n, async_stream_flush(self->stream), 0);
    check_error(async_stream_flush, ETIMEDOUT, n);
    close(self->ends[1]);
    async_stream_close(self->stream);
    async_end;
}
#endif
