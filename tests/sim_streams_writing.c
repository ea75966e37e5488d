/*
 * sim_streams_writing.c: what buffered streams write, in the simulated world. Goal: a flush waits
 * as long as its marks say, an end of our side follows all that was written and leaves reading as
 * it was, and pieces arrive as one. Method: peers that are slow or do not read; what is queued is
 * looked at, system calls are counted.
 */
#include "sim_io.h"

static char bytes[30000];

static size_t queued(const async_stream *stream)
{
    return async__block_count(stream->queue);
}

/* The stream's is ends[1]. Returns NULL where that failed, and then both are closed. */
static async_stream *open_end(int kind, int ends[2])
{
    async_stream *stream;
    if (open_pair(kind, ends) < 0)
        return NULL;
    stream = async_stream_open(ends[1]);
    if (!stream) {
        async_close(ends[0]);
        async_close(ends[1]);
        ends[0] = -1;
    }
    return stream;
}

/* ----------------------------------------------------------------------------
 * MARK: - Marks
 * ------------------------------------------------------------------------- */

/* With marks a writer never has more than `high` and a piece queued; a flush goes on at `low`. */
async(marked, int kind; size_t high, low, place; int ends[2]; async_stream *stream;
      async_task receiver;)
{
    char piece[700];
    async_result n;
    async_begin;
    self->ends[0] = -1;
    self->stream = open_end(self->kind, self->ends);
    async_ok(self->stream ? 0 : -ENOMEM);
    cr_assert_eq(async_stream_set_limits(self->stream, self->high, self->low), 0);
    self->receiver = async_spawn(receiver, .fd = self->ends[0], .piece = 500, .rest_ms = 1);
    async_ok(async_keep(self->receiver));
    while (self->place < 7000) {
        fill(piece, self->place, sizeof piece);
        async_ok(async_stream_write(self->stream, piece, sizeof piece));
        self->place += sizeof piece;
        if (queued(self->stream) <= self->high) {
            await(n, async_stream_flush(self->stream), 0);
            cr_assert(n == 0 || sim_has_failed());
            continue;
        }
        await(n, async_stream_flush(self->stream));
        async_ok(n);
        cr_assert(queued(self->stream) <= self->low);
        async_sometimes(queued(self->stream) > 0);
    }
    cr_assert_eq(async_stream_set_limits(self->stream, 0, 0), 0);
    await(n, async_stream_flush(self->stream));
    async_ok(n);
    cr_assert(self->stream->queue == NULL);
    await(n, async_stream_wait_closed(self->stream));
    self->stream = NULL;
    async_ok(n);
    await(n, async_join(self->receiver));
    cr_assert(n == 7000 || sim_has_failed());
    async_finally;
    async_stream_close(self->stream);
    async_close(self->ends[0]);
    async_end;
}

AsyncTestWith(writing, a_flush_waits_from_one_mark_to_the_other,
              (.seeds = 300, .torture = 1, .real = 1), int kind;)
{
    async_result n;
    async_begin;
    for (self->kind = PIPE; self->kind < KINDS; self->kind++) {
        await(n, async_call(marked, .kind = self->kind, .high = 2000, .low = 500));
        async_ok(n);
    }
    async_end;
}

async(flushes, async_stream *stream;)
{
    async_result n;
    async_begin;
    await(n, async_stream_flush(self->stream));
    async_return(n);
    async_end;
}

/* Nobody reads: the queue stays as it is, and only the marks change. */
AsyncTestWith(writing, marks_may_change_while_one_waits, (.faults = SIM_CALM), int ends[2];
              async_stream *stream; async_task task; size_t many;)
{
    async_result n;
    async_begin;
    check_error(async_stream_set_limits, EBADF, async_stream_set_limits(NULL, 0, 0));
    async_ok(open_pair(UNIX, self->ends));
    self->stream = async_stream_open(self->ends[1]);
    check_error(async_stream_set_limits, EINVAL, async_stream_set_limits(self->stream, 1, 2));
    while (queued(self->stream) < 3000)
        cr_assert_eq(async_stream_write(self->stream, bytes, sizeof bytes), 0);
    self->task = async_keep(async_spawn(flushes, .stream = self->stream));
    await(async_settle());
    async_expect_blocked(self->task);
    cr_assert_eq(async_stream_set_limits(self->stream, SIZE_MAX, queued(self->stream) - 1), 0);
    await(async_settle());
    async_expect_blocked(self->task);
    await(n, async_stream_flush(self->stream), 0);
    cr_assert_eq(n, 0);
    cr_assert_eq(async_stream_set_limits(self->stream, SIZE_MAX, queued(self->stream)), 0);
    await(n, async_join(self->task));
    cr_assert_eq(n, 0);
    cr_assert_eq(async_stream_set_limits(self->stream, queued(self->stream) - 1, 0), 0);
    await(n, async_stream_flush(self->stream), 10);
    cr_assert_eq(n, -ETIMEDOUT);
    self->many = SIZE_MAX > UINT32_MAX ? SIZE_MAX - UINT32_MAX : SIZE_MAX;
    cr_assert_eq(async_stream_set_limits(self->stream, self->many, self->many), 0);
    await(n, async_stream_flush(self->stream), 0);
    cr_assert_eq(n, 0);
    async_close(self->ends[0]);
    async_stream_close(self->stream);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - The end of our side
 * ------------------------------------------------------------------------- */

/* Reads all until the end, and only then answers with as many bytes. */
async(answers_late, int fd; size_t place; char data[3000];)
{
    async_result n;
    async_begin;
    await(n, async_call(receiver, .fd = self->fd, .piece = 700, .rest_ms = 1));
    async_ok(n);
    cr_assert(n == 6000 || sim_has_failed());
    await(n, async_call(sender, .kind = TCP, .fd = self->fd, .size = (size_t)n, .piece = 900));
    async_ok(n);
    async_finally;
    async_close(self->fd);
    async_end;
}

async(half_closes, int kind, asks_at_once; int ends[2]; size_t place; async_stream *stream;
      async_task peer; char data[6001];)
{
    async_result n;
    async_begin;
    self->stream = open_end(self->kind, self->ends);
    async_ok(self->stream ? 0 : -ENOMEM);
    self->peer = async_spawn(answers_late, .fd = self->ends[0]);
    if (self->peer < 0)
        async_close(self->ends[0]);
    async_ok(async_keep(self->peer));
    fill(self->data, 0, 6000);
    async_ok(async_stream_write(self->stream, self->data, 6000));
    async_ok(async_stream_write_eof(self->stream));
    cr_assert_eq(async_stream_write(self->stream, "x", 1), -EPIPE);
    async_ok(async_stream_write_eof(self->stream));
    if (!self->asks_at_once) {
        await(n, async_stream_flush(self->stream));
        async_ok(n);
        cr_assert_eq(async_stream_write(self->stream, "x", 1), -EPIPE);
    }
    memset(self->data, 0, sizeof self->data);
    await(n, async_stream_read_exactly(self->stream, self->data, sizeof self->data));
    async_ok(n);
    cr_assert(n == 6000 || sim_has_failed());
    cr_assert(matches(self->data, 0, (size_t)n));
    await(n, async_join(self->peer));
    async_ok(n);
    await(n, async_stream_wait_closed(self->stream));
    self->stream = NULL;
    async_ok(n);
    async_finally;
    async_stream_close(self->stream);
    async_end;
}

AsyncTestWith(writing, an_end_follows_what_was_written, (.seeds = 150, .torture = 1, .real = 1),
              int round;)
{
    async_result n;
    async_begin;
    for (; self->round < 4; self->round++) {
        await(n, async_call(half_closes, .kind = self->round % 2 ? TCP : UNIX,
                            .asks_at_once = self->round / 2));
        async_ok(n);
    }
    async_end;
}

/* Closed with the end and bytes outstanding: both arrive, and the end is said once. */
AsyncTestWith(writing, a_stream_is_closed_after_its_end, (.seeds = 50), int ends[2];
              async_stream *stream; long said;)
{
    async_result n;
    async_begin;
    self->stream = open_end(TCP, self->ends);
    fill(bytes, 0, sizeof bytes);
    cr_assert_eq(async_stream_write(self->stream, bytes, sizeof bytes), 0);
    cr_assert_eq(async_stream_write_eof(self->stream), 0);
    cr_assert_eq(async_stream_close(self->stream), 0);
    await(n, async_call(receiver, .fd = self->ends[0], .piece = 2000));
    cr_assert_eq(n, (async_result)sizeof bytes);
    cr_assert_eq(sim_count(shutdown), 1);
    async_close(self->ends[0]);
    async_end;
}

/* Bytes that are lost have no end. */
AsyncTestWith(writing, no_end_follows_an_error, (.seeds = 50), int ends[2]; async_stream *stream;)
{
    async_result n;
    async_begin;
    self->stream = open_end(TCP, self->ends);
    while (!self->stream->queue)
        cr_assert_eq(async_stream_write(self->stream, bytes, sizeof bytes), 0);
    cr_assert_eq(async_stream_write_eof(self->stream), 0);
    sim_reset(self->ends[0]);
    await(n, async_stream_flush(self->stream));
    cr_assert(n == -ECONNRESET || n == -EPIPE);
    cr_assert_eq(async_stream_write_eof(self->stream), n);
    cr_assert_eq(sim_count(shutdown), 0);
    async_stream_close(self->stream);
    async_close(self->ends[0]);
    async_end;
}

async(fills_up, int fd;)
{
    async_begin;
    for (;;)
        await(async_write(self->fd, bytes, sizeof bytes));
    async_end;
}

AsyncTestWith(writing, who_ends_wrongly_is_told, (.faults = SIM_CALM), int ends[2];
              async_stream *stream; async_task task;)
{
    async_begin;
    check_error(async_stream_write_eof, EBADF, async_stream_write_eof(NULL));
    self->stream = open_end(PIPE, self->ends);
    check_error(async_stream_write_eof, ENOTSOCK, async_stream_write_eof(self->stream));
    cr_assert_eq(async_stream_write(self->stream, "x", 1), 0);
    async_stream_close(self->stream);
    async_close(self->ends[0]);
    self->stream = open_end(UNIX, self->ends);
    self->task = async_spawn(fills_up, .fd = self->ends[1]);
    await(async_settle());
    check_error(async_stream_write_eof, EBUSY, async_stream_write_eof(self->stream));
    async_cancel(self->task);
    await(async_join(self->task));
    sim_fail_next(shutdown, ENOBUFS);
    cr_assert_eq(async_stream_write_eof(self->stream), -ENOBUFS);
    cr_assert_eq(async_stream_write_eof(self->stream), -ENOBUFS);
    cr_assert_eq(async_stream_write(self->stream, "x", 1), -ENOBUFS);
    async_stream_close(self->stream);
    async_close(self->ends[0]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Pieces
 * ------------------------------------------------------------------------- */

/* Pieces of all sizes, empty ones too, in front of a slow reader: they arrive as one. */
async(pieces, int kind; int ends[2]; async_stream *stream; async_task receiver; size_t place;)
{
    struct iovec list[8];
    size_t i;
    async_result n;
    async_begin;
    self->stream = open_end(self->kind, self->ends);
    async_ok(self->stream ? 0 : -ENOMEM);
    self->receiver = async_spawn(receiver, .fd = self->ends[0], .piece = 900, .rest_ms = 1);
    async_ok(async_keep(self->receiver));
    while (self->place < 4000) {
        size_t place = self->place;
        fill(bytes, 0, sizeof bytes);
        for (i = 0; i < 8; i++) {
            list[i].iov_base = bytes + place;
            list[i].iov_len = sim_random(3) ? (size_t)sim_random(200) : 0;
            place += list[i].iov_len;
        }
        async_ok(async_stream_writev(self->stream, list, 8));
        self->place = place;
        if (sim_random(3) == 0)
            await(async_sleep(1));
    }
    await(n, async_stream_wait_closed(self->stream));
    self->stream = NULL;
    async_ok(n);
    await(n, async_join(self->receiver));
    async_ok(n);
    cr_assert(n == (async_result)self->place || sim_has_failed());
    async_finally;
    async_stream_close(self->stream);
    async_close(self->ends[0]);
    async_end;
}

AsyncTestWith(writing, pieces_arrive_as_one, (.seeds = 300, .torture = 1, .real = 1), int kind;)
{
    async_result n;
    async_begin;
    for (self->kind = PIPE; self->kind < KINDS; self->kind++) {
        await(n, async_call(pieces, .kind = self->kind));
        async_ok(n);
    }
    async_end;
}

/* One call for the pieces; and one for all that was queued, once there is room again. */
AsyncTestWith(writing, pieces_and_queue_cost_one_call_each, (.faults = SIM_CALM), int raw[2];
              async_stream *stream; long calls; size_t sum;)
{
    struct iovec list[3];
    ssize_t n;
    async_begin;
    sim_tcp_pair(self->raw);
    async_adopt(self->raw[1]);
    self->stream = async_stream_open(self->raw[1]);
    list[0].iov_base = list[1].iov_base = list[2].iov_base = bytes;
    list[0].iov_len = list[1].iov_len = list[2].iov_len = 100;
    cr_assert_eq(async_stream_writev(self->stream, list, 3), 0);
    cr_assert_eq(sim_count(sendmsg) + sim_count(send), 1);
    while (!self->stream->queue)
        cr_assert_eq(async_stream_write(self->stream, bytes, sizeof bytes), 0);
    self->calls = sim_count(sendmsg) + sim_count(send);
    list[0].iov_len = list[1].iov_len = list[2].iov_len = 1;
    cr_assert_eq(async_stream_writev(self->stream, list, 3), 0);
    cr_assert_eq(async_stream_writev(self->stream, list, 3), 0);
    cr_assert_eq(sim_count(sendmsg) + sim_count(send), self->calls);
    while ((n = sim_recv(self->raw[0], bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        self->sum += (size_t)n;
    await(n, async_stream_flush(self->stream));
    cr_assert_eq(n, 0);
    cr_assert_eq(sim_count(sendmsg) + sim_count(send), self->calls + 1);
    async_stream_close(self->stream);
    sim_close(self->raw[0]);
    async_end;
}

/* More pieces than one call takes; more bytes than there can be memory for. */
AsyncTestWith(writing, pieces_beyond_the_limits, (.seeds = 20), int ends[2]; async_stream *stream;
              int i;)
{
    static struct iovec list[3000];
    async_result n;
    async_begin;
    self->stream = open_end(TCP, self->ends);
    fill(bytes, 0, sizeof bytes);
    list[0].iov_base = list[1].iov_base = bytes;
    list[0].iov_len = list[1].iov_len = SIZE_MAX / 2 + 1;
    cr_assert_eq(async_stream_writev(self->stream, list, 2), -ENOMEM);
    for (self->i = 0; self->i < 3000; self->i++) {
        list[self->i].iov_base = bytes + self->i;
        list[self->i].iov_len = 1;
    }
    cr_assert_eq(async_stream_writev(self->stream, list, 0), 0);
    cr_assert_eq(async_stream_writev(self->stream, list, 3000), 0);
    cr_assert_eq(async_stream_close(self->stream), 0);
    await(n, async_call(receiver, .fd = self->ends[0], .piece = 2000));
    cr_assert_eq(n, 3000);
    async_close(self->ends[0]);
    async_end;
}

/* The first error is the one that is told: there is no second try. */
AsyncTestWith(writing, a_stream_that_fails_says_why, (.faults = SIM_CALM), int ends[2];
              async_stream *stream;)
{
    async_result n;
    async_begin;
    self->stream = open_end(TCP, self->ends);
    sim_fail_next(send, ECONNRESET);
    cr_assert_eq(async_stream_write(self->stream, "x", 1), -ECONNRESET);
    cr_assert_eq(sim_count(send), 1);
    cr_assert_eq(async_stream_write(self->stream, "x", 1), -ECONNRESET);
    cr_assert_eq(async_stream_write_eof(self->stream), -ECONNRESET);
    await(n, async_stream_flush(self->stream));
    cr_assert_eq(n, -ECONNRESET);
    async_stream_close(self->stream);
    async_close(self->ends[0]);
    async_end;
}
