/*
 * sim_descriptors.c: descriptors of every kind in the simulated world. Goal: what was written is
 * what is read, to the byte and to the end; closing, reusing and sharing a number confuses nobody.
 * Method: tasks on both ends compare a pattern, in worlds with their own mix of short reads, early
 * events, delays and orders; each call fails in turn.
 */
#include "sim_io.h"

/* ----------------------------------------------------------------------------
 * MARK: - Bytes
 * ------------------------------------------------------------------------- */
async(both_ways, int kind; size_t size; int ends[2]; async_task there, back;)
{
    async_result n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    async_ok(open_pair(self->kind, self->ends));
    self->there = async_spawn(receiver, .fd = self->ends[0], .piece = 41);
    async_ok(async_keep(self->there));
    async_ok(async_spawn(sender, .kind = self->kind, .fd = self->ends[1], .size = self->size,
                         .piece = 57));
    if (self->kind == PIPE) {
        self->ends[1] = -1; /* its sender closes it */
    } else {
        self->back = async_spawn(receiver, .fd = self->ends[1], .piece = 90, .rest_ms = 1);
        async_ok(async_keep(self->back));
        async_ok(async_spawn(sender, .kind = self->kind, .fd = self->ends[0], .size = self->size,
                             .piece = 301));
    }
    await(n, async_join(self->there));
    async_ok(n);
    cr_assert((size_t)n == self->size || sim_has_failed());
    if (self->back)
        await(n, async_join(self->back));
    async_ok(n);
    cr_assert((size_t)n == self->size || sim_has_failed());
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

AsyncTestWith(descriptors, a_pipe_carries_every_byte, (.seeds = 500, .torture = 1, .real = 1))
{
    async_result n;
    async_begin;
    await(n, async_call(both_ways, .kind = PIPE, .size = 2000));
    async_return(n);
    async_end;
}

AsyncTestWith(descriptors, a_unix_socket_carries_both_ways,
              (.seeds = 500, .torture = 1, .real = 1))
{
    async_result n;
    async_begin;
    await(n, async_call(both_ways, .kind = UNIX, .size = 1300));
    async_return(n);
    async_end;
}

AsyncTestWith(descriptors, a_tcp_connection_carries_both_ways,
              (.seeds = 500, .torture = 1, .real = 1))
{
    async_result n;
    async_begin;
    await(n, async_call(both_ways, .kind = TCP, .size = 1300));
    async_return(n);
    async_end;
}

/* Bytes, and at once the end: one event for both, perhaps, and the bytes come first. */
async(farewell, int fd; size_t size; char data[64];)
{
    ssize_t n;
    async_begin;
    fill(self->data, 0, self->size);
    await(n, async_write(self->fd, self->data, self->size));
    async_return(n);
    async_finally;
    async_close(self->fd);
    async_end;
}

async(last_words, int kind; int ends[2]; size_t size, piece, got; char data[64];)
{
    ssize_t n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    async_ok(open_pair(self->kind, self->ends));
    async_ok(async_spawn(farewell, .fd = self->ends[1], .size = self->size));
    self->ends[1] = -1;
    for (;; self->got += (size_t)n) {
        await(n, async_read(self->ends[0], self->data, self->piece));
        async_ok(n);
        if (!n)
            break;
        cr_assert(matches(self->data, self->got, (size_t)n));
    }
    cr_assert(self->got == self->size || sim_has_failed());
    await(n, async_read(self->ends[0], self->data, 1));
    async_ok(n);
    cr_assert(n == 0); /* and it stays the end */
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

AsyncTestWith(descriptors, what_came_before_the_end_is_read_first,
              (.seeds = 500, .torture = 1, .real = 1), int turn;)
{
    static const size_t sizes[] = { 0, 1, 8, 23 };
    async_result n;
    async_begin;
    for (; self->turn < 4 * KINDS; self->turn++) {
        await(n, async_call(last_words, .kind = self->turn % KINDS, .size = sizes[self->turn / 3],
                            .piece = 1 + (size_t)self->turn));
        async_ok(n);
    }
    async_end;
}

/* ---- in pieces ---- */
enum { PIECES = 150 };

/* Pieces of 0 to 22 bytes over `data`. Returns how many bytes they are. */
static size_t cut(struct iovec *pieces, size_t count, char *data, size_t seed)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        pieces[i].iov_base = data + sum;
        pieces[i].iov_len = i % 5 == seed % 5 ? 0 : (i * 7 + seed) % 23;
        sum += pieces[i].iov_len;
    }
    return sum;
}

async(piecewise_receiver, int fd; size_t got, turn, room; struct iovec pieces[40]; char data[1024];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        self->turn++;
        self->room = cut(self->pieces, 1 + self->turn % 40, self->data, self->turn);
        await(n, async_readv(self->fd, self->pieces, 1 + self->turn % 40));
        if (n < 0 || (n == 0 && self->room))
            break;
        cr_assert((size_t)n <= self->room);
        cr_assert(matches(self->data, self->got, (size_t)n));
        self->got += (size_t)n;
    }
    async_return(n < 0 ? n : (async_result)self->got);
    async_end;
}

async(piecewise, int kind; int ends[2]; size_t size; async_task receiver;
      struct iovec pieces[PIECES]; char data[PIECES * 22];)
{
    async_result n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    async_ok(open_pair(self->kind, self->ends));
    self->receiver = async_spawn(piecewise_receiver, .fd = self->ends[0]);
    async_ok(async_keep(self->receiver));
    self->size = cut(self->pieces, PIECES, self->data, 1);
    fill(self->data, 0, self->size);
    await(n, async_writev(self->ends[1], self->pieces, PIECES));
    async_ok(n);
    cr_assert_eq((size_t)n, self->size);
    async_close(self->ends[1]);
    self->ends[1] = -1;
    await(n, async_join(self->receiver));
    async_ok(n);
    cr_assert((size_t)n == self->size || sim_has_failed());
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

AsyncTestWith(descriptors, pieces_may_have_odd_borders, (.seeds = 500, .torture = 1, .real = 1),
              int kind;)
{
    async_result n;
    async_begin;
    for (self->kind = PIPE; self->kind < KINDS; self->kind++) {
        await(n, async_call(piecewise, .kind = self->kind));
        async_ok(n);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Writes that are cut short
 * ------------------------------------------------------------------------- */

/* Sends with a limit on each write, and goes on where that was cut. */
async(hasty_sender, int kind, fd; size_t size, place; int64_t limit_ms; char data[1500];)
{
    ssize_t n;
    async_begin;
    fill(self->data, 0, self->size);
    while (self->place < self->size) {
        await(n, async_write(self->fd, self->data + self->place, self->size - self->place),
              self->limit_ms);
        if (n < 0 && n != -ETIMEDOUT)
            async_return(n);
        async_sometimes(n == -ETIMEDOUT);
        async_sometimes(n > 0 && self->place + (size_t)n < self->size);
        if (n > 0)
            self->place += (size_t)n;
    }
    async_return((async_result)self->place);
    async_finally;
    end_writing(self->kind, self->fd);
    async_end;
}

AsyncTestWith(descriptors, a_limit_cuts_a_write_and_tells_how_much_is_out, (.seeds = 500),
              int kind; int ends[2]; async_task sender;)
{
    async_result n;
    async_begin;
    for (self->kind = PIPE; self->kind < KINDS; self->kind++) {
        async_ok(open_pair(self->kind, self->ends));
        if (self->kind == TCP)
            sim_latency(self->ends[0], 0, 3);
        self->sender = async_spawn(hasty_sender, .kind = self->kind, .fd = self->ends[1],
                                   .size = 600, .limit_ms = 1);
        async_keep(self->sender);
        await(n, async_call(receiver, .fd = self->ends[0], .piece = 70, .rest_ms = 2));
        cr_assert_eq(n, 600);
        await(n, async_join(self->sender));
        cr_assert_eq(n, 600);
        async_close(self->ends[0]);
        if (self->kind != PIPE)
            async_close(self->ends[1]);
    }
    async_end;
}

static char bulk[1 << 24]; /* more than any system holds */

async(bulk_writer, int fd;)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, bulk, sizeof bulk));
    async_return(n);
    async_end;
}

/* A writer that nobody reads from is cancelled: what it says is what the reader then finds. */
AsyncTestWith(descriptors, a_cancelled_write_tells_how_much_is_out,
              (.seeds = 500, .torture = 1, .real = 1), int kind; int ends[2]; size_t sent;
              async_task writer;)
{
    async_result n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    if (!bulk[1])
        fill(bulk, 0, sizeof bulk);
    for (self->kind = PIPE; self->kind < KINDS; self->kind++) {
        async_ok(open_pair(self->kind, self->ends));
        self->writer = async_spawn(bulk_writer, .fd = self->ends[1]);
        async_ok(async_keep(self->writer));
        await(async_sleep(3));
        async_cancel(self->writer);
        await(n, async_join(self->writer));
        cr_assert(n > 0 || n == -ECANCELED || sim_has_failed());
        cr_assert(n < (async_result)sizeof bulk);
        async_sometimes(n > 0);
        self->sent = n > 0 ? (size_t)n : 0;
        async_close(self->ends[1]);
        self->ends[1] = -1;
        await(n, async_call(receiver, .fd = self->ends[0], .piece = 2048));
        async_ok(n);
        cr_assert((size_t)n == self->sent || sim_has_failed());
        async_close(self->ends[0]);
        self->ends[0] = -1;
    }
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Closing, and numbers that come again
 * ------------------------------------------------------------------------- */
async(byte_reader, int fd; char byte;)
{
    ssize_t n;
    async_begin;
    await(n, async_read(self->fd, &self->byte, 1));
    async_return(n);
    async_end;
}

static void close_soon(void *data)
{
    async_close(*(int *)data);
}

/* Both directions wait on one descriptor, and it is closed under them: by a task, by a callback.
 * The next pair gets the same numbers, and hears nothing of the past. */
async(close_round, int kind, round; int ends[2], fresh[2], doomed; async_task reader, writer;)
{
    async_result n;
    async_begin;
    self->ends[0] = self->ends[1] = self->fresh[0] = self->fresh[1] = -1;
    async_ok(open_pair(self->kind, self->ends));
    self->reader = async_spawn(byte_reader, .fd = self->ends[0]);
    async_ok(async_keep(self->reader));
    self->writer = async_spawn(bulk_writer, .fd = self->ends[0]);
    async_ok(async_keep(self->writer));
    await(async_sleep(5));
    self->doomed = self->ends[0];
    if (self->round % 2)
        async_ok(async_soon(&self->doomed, close_soon));
    else
        async_ok(async_close(self->doomed));
    self->ends[0] = -1;
    await(n, async_join(self->reader));
    cr_assert(n == -EBADF || sim_has_failed());
    async_ok(open_pair(self->kind, self->fresh));
    await(n, async_join(self->writer));
    cr_assert(n == -EBADF || (n > 0 && n < (async_result)sizeof bulk) || sim_has_failed());
    await(n, async_write(self->fresh[0], "new", 3));
    async_ok(n);
    await(n, async_readable(self->fresh[0]), 10);
    cr_assert(n == -ETIMEDOUT || sim_has_failed()); /* nothing has come: the event was another's */
    await(n, async_call(byte_reader, .fd = self->fresh[1]));
    async_ok(n);
    cr_assert(n == 1 || sim_has_failed());
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_close(self->fresh[0]);
    async_close(self->fresh[1]);
    async_end;
}

AsyncTestWith(descriptors, closing_ends_both_waits, (.seeds = 500, .torture = 1, .real = 1),
              int round;)
{
    async_result n;
    async_begin;
    for (; self->round < 6; self->round++) {
        await(n, async_call(close_round, .kind = 1 + self->round % 2, .round = self->round / 2));
        async_ok(n);
    }
    async_end;
}

/* Two descriptors become readable at once. Whoever comes first closes the other's, and puts an idle
 * one under its number: the old event is not the newcomer's. */
async(usurper, int fd, victim, *idle; char byte;)
{
    ssize_t n;
    async_begin;
    await(n, async_read(self->fd, &self->byte, 1));
    if (n <= 0 || *self->idle < 0)
        async_return(n);
    async_close(self->victim);
    sim_dup2(*self->idle, self->victim);
    sim_close(*self->idle);
    *self->idle = -1;
    n = async_adopt(self->victim);
    if (n < 0)
        sim_close(self->victim);
    async_return(n < 0 ? n : self->victim);
    async_end;
}

async(usurpation, int kind, round; int a[2], b[2], ends[2], idle; async_task one, other; char byte;)
{
    async_result n;
    async_begin;
    self->idle = self->ends[0] = self->ends[1] = self->a[0] = self->b[0] = -1;
    self->a[1] = self->b[1] = -1;
    async_ok(open_pair(self->kind, self->a));
    async_ok(open_pair(self->kind, self->b));
    sim_tcp_pair(self->ends);
    self->idle = self->ends[0];
    self->one = async_spawn(usurper, .fd = self->a[0], .victim = self->b[0], .idle = &self->idle);
    async_ok(async_keep(self->one));
    self->other = async_spawn(usurper, .fd = self->b[0], .victim = self->a[0], .idle = &self->idle);
    async_ok(async_keep(self->other));
    await(async_settle());
    sim_write(self->a[1], "a", 1);
    sim_write(self->b[1], "b", 1);
    await(n, async_join(self->one));
    if (n != self->b[0])
        await(n, async_join(self->other));
    async_ok(n);
    if (sim_has_failed())
        async_return(-EIO);
    cr_assert(n == self->a[0] || n == self->b[0]);
    self->idle = (int)n;
    await(n, async_readable(self->idle), 10);
    cr_assert(n == -ETIMEDOUT || sim_has_failed());
    sim_write(self->ends[1], "!", 1);
    await(n, async_read(self->idle, &self->byte, 1));
    async_ok(n);
    cr_assert(n == 1 && self->byte == '!');
    async_finally;
    if (self->idle >= 0 && self->idle == self->ends[0])
        sim_close(self->idle);
    if (self->ends[1] >= 0)
        sim_close(self->ends[1]);
    async_close(self->a[0]);
    async_close(self->a[1]);
    async_close(self->b[0]);
    async_close(self->b[1]);
    async_end;
}

AsyncTestWith(descriptors, a_number_that_comes_again_gets_no_old_event,
              (.seeds = 500, .torture = 1), int round;)
{
    async_result n;
    async_begin;
    for (; self->round < 6; self->round++) {
        await(n, async_call(usurpation, .kind = self->round % KINDS));
        async_ok(n);
    }
    async_end;
}

/* A number and its duplicate are two descriptors of the loop; closing one leaves the other, and no
 * event of what is shared keeps the loop busy. */
AsyncTestWith(descriptors, a_duplicate_has_a_life_of_its_own, (.seeds = 500, .torture = 1),
              int round, twin; int ends[2]; long calls; char byte;)
{
    async_result n;
    async_begin;
    self->ends[0] = self->ends[1] = self->twin = -1;
    for (; self->round < 8; self->round++) {
        async_ok(open_pair(self->round % KINDS, self->ends));
        self->twin = sim_dup(self->ends[0]);
        n = async_adopt(self->twin);
        if (n < 0) {
            sim_close(self->twin);
            self->twin = -1;
        }
        async_ok(n);
        await(n, async_write(self->ends[1], "1", 1));
        async_ok(n);
        await(n, async_read(self->round % 2 ? self->twin : self->ends[0], &self->byte, 1));
        async_ok(n);
        cr_assert_eq(n, 1);
        async_close(self->ends[0]);
        self->ends[0] = -1;
        await(n, async_write(self->ends[1], "2", 1));
        async_ok(n);
        self->calls = sim_calls();
        await(async_sleep(1000)); /* nobody waits for the byte */
        cr_assert(sim_calls() - self->calls < 100);
        await(n, async_read(self->twin, &self->byte, 1));
        async_ok(n);
        cr_assert(n == 1 && self->byte == '2');
        async_close(self->twin);
        async_close(self->ends[1]);
        self->ends[1] = self->twin = -1;
    }
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_close(self->twin);
    async_end;
}

/* close(2) behind the loop's back, while a duplicate keeps what was open alive: its events still
 * come under the old number, which is a newcomer's. */
async(haunting, int kind; int ends[2], twin, fresh[2]; async_task reader; long calls; char byte;)
{
    async_result n;
    async_begin;
    self->ends[0] = self->ends[1] = self->fresh[0] = self->fresh[1] = self->twin = -1;
    if (self->kind == TCP)
        sim_tcp_pair(self->ends);
    else
        sim_socketpair(AF_UNIX, SOCK_STREAM, 0, self->ends);
    async_ok(adopt_pair(self->ends));
    self->reader = async_spawn(byte_reader, .fd = self->ends[0]);
    async_ok(async_keep(self->reader));
    await(async_settle());
    self->twin = sim_dup(self->ends[0]);
    sim_close(self->ends[0]);
    sim_tcp_pair(self->fresh);
    cr_assert_eq(self->fresh[0], self->ends[0]);
    self->ends[0] = -1;
    async_ok(adopt_pair(self->fresh));
    await(n, async_join(self->reader));
    cr_assert(n == -EBADF || sim_has_failed());
    await(n, async_write(self->ends[1], "past", 4));
    async_ok(n);
    await(n, async_readable(self->fresh[0]), 10);
    cr_assert(n == -ETIMEDOUT || sim_has_failed());
    self->calls = sim_calls();
    await(async_sleep(1000));
    cr_assert(sim_calls() - self->calls < 100);
    sim_write(self->fresh[1], "!", 1);
    await(n, async_read(self->fresh[0], &self->byte, 1));
    async_ok(n);
    cr_assert(n == 1 && self->byte == '!');
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_close(self->fresh[0]);
    async_close(self->fresh[1]);
    if (self->twin >= 0)
        sim_close(self->twin);
    async_end;
}

AsyncTestWith(descriptors, a_descriptor_closed_behind_our_back_haunts_nobody,
              (.seeds = 500, .torture = 1), int round;)
{
    async_result n;
    async_begin;
    for (; self->round < 4; self->round++) {
        await(n, async_call(haunting, .kind = self->round % 2 ? TCP : UNIX));
        async_ok(n);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Descriptors of other kinds
 * ------------------------------------------------------------------------- */

/* A descriptor that is not the loop's yet becomes so, or is closed. */
static int adopt_or_close(int fd)
{
    int error = async_adopt(fd);
    if (error < 0)
        sim_close(fd);
    return error;
}

async(file_reader, int fd; size_t place; char data[8];)
{
    static const char text[] = "a regular file is always ready, and no poller takes it";
    ssize_t n;
    async_begin;
    self->fd = adopt_or_close(sim_file(text));
    async_ok(self->fd);
    for (;;) {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        async_ok(n);
        if (!n)
            break;
        cr_assert(memcmp(self->data, text + self->place, (size_t)n) == 0);
        self->place += (size_t)n;
        await(n, async_readable(self->fd), 0);
        async_ok(n);
    }
    cr_assert_eq(self->place, sizeof text - 1);
    async_finally;
    async_close(self->fd);
    async_end;
}

async(device_user, int fd; char data[8];)
{
    ssize_t n;
    async_begin;
    self->fd = adopt_or_close(sim_device());
    async_ok(self->fd);
    await(n, async_write(self->fd, bulk, 1000));
    async_ok(n);
    cr_assert_eq(n, 1000);
    await(n, async_read(self->fd, self->data, sizeof self->data));
    async_ok(n);
    cr_assert_eq(n, 0);
    async_finally;
    async_close(self->fd);
    async_end;
}

/* Lines typed in one go are one event, and a read gets one of them. */
async(terminal_reader, int ends[2]; int line; char data[32];)
{
    static const char *const lines[] = { "one\n", "two, longer\n", "\n", "four\n", "five\n" };
    ssize_t n;
    async_begin;
    sim_terminal(self->ends);
    self->ends[0] = adopt_or_close(self->ends[0]);
    async_ok(self->ends[0]);
    sim_write(self->ends[1], "one\ntwo, longer\n\nfo", 19);
    for (; self->line < 5; self->line++) {
        if (self->line == 3)
            sim_write(self->ends[1], "ur\nfive\n", 8);
        await(n, async_read(self->ends[0], self->data, sizeof self->data));
        async_ok(n);
        cr_assert_eq((size_t)n, strlen(lines[self->line]));
        cr_assert(memcmp(self->data, lines[self->line], (size_t)n) == 0);
    }
    sim_close(self->ends[1]);
    self->ends[1] = -1;
    await(n, async_read(self->ends[0], self->data, sizeof self->data));
    async_ok(n);
    cr_assert_eq(n, 0);
    async_finally;
    async_close(self->ends[0]);
    if (self->ends[1] >= 0)
        sim_close(self->ends[1]);
    async_end;
}

AsyncTestWith(descriptors, files_devices_and_terminals_are_read_to_the_end,
              (.seeds = 500, .torture = 1), int round; async_task tasks[3];)
{
    async_result n;
    async_begin;
    for (; self->round < 3; self->round++) {
        async_ok(self->tasks[0] = async_keep(async_spawn(file_reader)));
        async_ok(self->tasks[1] = async_keep(async_spawn(device_user)));
        async_ok(self->tasks[2] = async_keep(async_spawn(terminal_reader)));
        await(n, async_join_all(self->tasks, 3));
        async_ok(n);
    }
    async_end;
}

/* ---- data behind which there is more, and no event for it ---- */
async(message_reader, int fd; const char *text; size_t got; char data[64];)
{
    ssize_t n;
    async_begin;
    while (self->got < strlen(self->text)) {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        async_ok(n);
        cr_assert(n > 0 || sim_has_failed());
        if (n <= 0)
            async_return(-EPIPE);
        cr_assert(memcmp(self->data, self->text + self->got, (size_t)n) == 0);
        self->got += (size_t)n;
    }
    async_end;
}

AsyncTestWith(descriptors, a_descriptor_sent_along_does_not_hide_what_follows,
              (.seeds = 500, .torture = 1), int round; int ends[2]; async_task reader;)
{
    static const int enough = 4096;
    async_result n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    for (; self->round < 6; self->round++) {
        async_ok(open_pair(UNIX, self->ends));
        self->reader = async_spawn(message_reader, .fd = self->ends[0],
                                   .text = "before, along and behind, last");
        async_ok(async_keep(self->reader));
        if (self->round % 2)
            await(async_settle());
        sim_setsockopt(self->ends[1], SOL_SOCKET, SO_SNDBUF, &enough, sizeof enough);
        sim_send(self->ends[1], "before, ", 8, MSG_NOSIGNAL);
        sim_send_rights(self->ends[1], "along ", 6);
        sim_send(self->ends[1], "and behind, last", 16, MSG_NOSIGNAL);
        await(n, async_join(self->reader));
        async_ok(n);
        async_close(self->ends[0]);
        async_close(self->ends[1]);
        self->ends[0] = self->ends[1] = -1;
    }
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Callbacks
 * ------------------------------------------------------------------------- */

/* One transfer, driven by callbacks alone. */
struct transfer {
    int kind, in, out;
    size_t size, sent, got;
    bool raw; /* reads by read(2) of its own, which the loop does not see */
    int over, error;
    async_handle reader, writer;
};

static void can_write(int fd, void *data)
{
    struct transfer *transfer = data;
    char piece[90];
    size_t size = transfer->size - transfer->sent;
    ssize_t n;
    if (size > sizeof piece)
        size = sizeof piece;
    fill(piece, transfer->sent, size);
    n = async_write_nowait(fd, piece, size);
    if (n == -EAGAIN)
        return;
    if (n < 0)
        transfer->error = (int)n;
    else
        transfer->sent += (size_t)n;
    if (n >= 0 && transfer->sent < transfer->size)
        return;
    async_cancel(transfer->writer);
    end_writing(transfer->kind, fd);
}

static void can_read(int fd, void *data)
{
    struct transfer *transfer = data;
    char piece[70];
    ssize_t n;
    if (transfer->raw) {
        n = sim_read(fd, piece, sizeof piece);
        n = n < 0 ? -errno : n;
    } else {
        n = async_read_nowait(fd, piece, sizeof piece);
    }
    if (n == -EAGAIN)
        return;
    if (n > 0) {
        cr_assert(matches(piece, transfer->got, (size_t)n));
        transfer->got += (size_t)n;
        return;
    }
    if (n < 0)
        transfer->error = (int)n;
    transfer->over = 1;
    async_cancel(transfer->reader);
}

async(callbacks_transfer, struct transfer transfer;)
{
    struct transfer *transfer = &self->transfer;
    int ends[2];
    async_begin;
    async_ok(open_pair(transfer->kind, ends));
    transfer->in = ends[0];
    transfer->out = ends[1];
    transfer->reader = async_on_readable(transfer->in, transfer, can_read);
    async_ok(transfer->reader);
    transfer->writer = async_on_writable(transfer->out, transfer, can_write);
    async_ok(transfer->writer);
    while (!self->transfer.over && !self->transfer.error)
        await(async_sleep(10));
    async_ok(self->transfer.error);
    cr_assert(self->transfer.got == self->transfer.size);
    async_finally;
    async_close(self->transfer.in);
    if (self->transfer.kind != PIPE || self->transfer.sent < self->transfer.size)
        async_close(self->transfer.out);
    async_end;
}

AsyncTestWith(descriptors, callbacks_carry_every_byte, (.seeds = 500, .torture = 1, .real = 1),
              int round;)
{
    async_result n;
    async_begin;
    for (; self->round < 2 * KINDS; self->round++) {
        await(n, async_call(callbacks_transfer,
                            .transfer = { .kind = self->round % KINDS, .size = 400, .in = -1,
                                          .out = -1, .raw = self->round >= KINDS }));
        async_ok(n);
    }
    async_end;
}

/* A task that awaits readiness and reads by itself: a bit that is set proves nothing to it. */
async(patient_reader, int fd; size_t place; char data[64];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_readable(self->fd));
        if (n < 0)
            async_return(n);
        n = sim_read(self->fd, self->data, sizeof self->data);
        if (n < 0 && errno == EAGAIN)
            continue;
        if (n <= 0)
            break;
        cr_assert(matches(self->data, self->place, (size_t)n));
        self->place += (size_t)n;
    }
    async_return(n < 0 ? -errno : (async_result)self->place);
    async_end;
}

async(patient_writer, int kind, fd; size_t size, place; char data[64];)
{
    size_t size;
    ssize_t n;
    async_begin;
    while (self->place < self->size) {
        await(n, async_writable(self->fd));
        if (n < 0)
            async_return(n);
        size = self->size - self->place < 64 ? self->size - self->place : 64;
        fill(self->data, self->place, size);
        n = sim_write(self->fd, self->data, size);
        if (n < 0 && errno == EAGAIN)
            continue;
        if (n < 0)
            async_return(-errno);
        self->place += (size_t)n;
    }
    async_finally;
    end_writing(self->kind, self->fd);
    async_end;
}

AsyncTestWith(descriptors, readiness_can_be_awaited_alone, (.seeds = 500, .torture = 1, .real = 1),
              int kind; int ends[2]; async_task reader;)
{
    async_result n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    for (self->kind = PIPE; self->kind < KINDS; self->kind++) {
        async_ok(open_pair(self->kind, self->ends));
        self->reader = async_spawn(patient_reader, .fd = self->ends[0]);
        async_ok(async_keep(self->reader));
        n = async_spawn(patient_writer, .kind = self->kind, .fd = self->ends[1], .size = 1200);
        async_ok(n);
        if (self->kind == PIPE)
            self->ends[1] = -1;
        await(n, async_join(self->reader));
        async_ok(n);
        cr_assert(n == 1200 || sim_has_failed());
        async_close(self->ends[0]);
        async_close(self->ends[1]);
        self->ends[0] = self->ends[1] = -1;
    }
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* The urgent byte is passed over, and a read ends in front of it. (A kqueue says nothing of it:
 * there the rest may come late.) */
AsyncTestWith(descriptors, an_urgent_byte_does_not_hide_what_follows,
              (.seeds = 500, .torture = 1, .backends = SIM_POLL | SIM_EPOLL), int round;
              int ends[2]; async_task reader;)
{
    static const int enough = 4096;
    async_result n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    for (; self->round < 6; self->round++) {
        async_ok(open_pair(TCP, self->ends));
        self->reader = async_spawn(message_reader, .fd = self->ends[0], .text = "in frontbehind");
        async_ok(async_keep(self->reader));
        if (self->round % 2)
            await(async_settle());
        sim_setsockopt(self->ends[1], SOL_SOCKET, SO_SNDBUF, &enough, sizeof enough);
        sim_send(self->ends[1], "in ", 3, MSG_NOSIGNAL);
        sim_send_urgent(self->ends[1], "front!", 6);
        sim_send(self->ends[1], "behind", 6, MSG_NOSIGNAL);
        await(n, async_join(self->reader));
        async_ok(n);
        async_close(self->ends[0]);
        async_close(self->ends[1]);
        self->ends[0] = self->ends[1] = -1;
    }
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}
