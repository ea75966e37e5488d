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

AsyncTestWith(descriptors, a_pipe_carries_every_byte, (.seeds = 1500, .torture = 1, .real = 1))
{
    async_result n;
    async_begin;
    await(n, async_call(both_ways, .kind = PIPE, .size = 2000));
    async_return(n);
    async_end;
}

AsyncTestWith(descriptors, a_unix_socket_carries_both_ways,
              (.seeds = 1500, .torture = 1, .real = 1))
{
    async_result n;
    async_begin;
    await(n, async_call(both_ways, .kind = UNIX, .size = 1300));
    async_return(n);
    async_end;
}

AsyncTestWith(descriptors, a_tcp_connection_carries_both_ways,
              (.seeds = 1500, .torture = 1, .real = 1))
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
              (.seeds = 1200, .torture = 1, .real = 1), int turn;)
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

AsyncTestWith(descriptors, pieces_may_have_odd_borders, (.seeds = 1000, .torture = 1, .real = 1),
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
