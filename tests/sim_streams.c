/*
 * sim_streams.c: buffered streams in the simulated world. Goal: what was written arrives, in order
 * and whole, also when the writer has closed, waited, been cancelled or not looked; and each stream
 * says once how it ended. Method: streams talk to streams, to plain descriptors and to peers that
 * are slow, stuck or gone; patterns and counts are compared.
 */
#include "sim_io.h"

/* Of a test's streams: what their callbacks saw. */
struct account {
    int closed, written, status;
    size_t got;
};

static void count_closed(async_stream *stream, int status)
{
    struct account *account = stream->data;
    account->closed++;
    account->status = status;
}

static void count_written(async_stream *stream, int status)
{
    struct account *account = stream->data;
    account->written++;
    account->status = status;
}

/* A stream that counts, or NULL, and then the descriptor is closed. */
static async_stream *open_counted(int fd, struct account *account)
{
    async_stream *stream = async_stream_open(fd);
    if (!stream) {
        async_close(fd);
        return NULL;
    }
    stream->data = account;
    async_stream_on_close(stream, count_closed);
    return stream;
}

/* ----------------------------------------------------------------------------
 * MARK: - An echo of streams
 * ------------------------------------------------------------------------- */
static void echo(async_stream *stream, const char *data, ssize_t size)
{
    if (size <= 0 || async_stream_write(stream, data, (size_t)size) < 0)
        async_stream_close(stream);
}

/* Writes the pattern, and waits now and then until it is with the system. */
async(stream_sender, async_stream *stream; size_t size, place;)
{
    char piece[70];
    size_t part;
    async_result n;
    async_begin;
    while (self->place < self->size) {
        part = self->size - self->place < sizeof piece ? self->size - self->place : sizeof piece;
        fill(piece, self->place, part);
        n = async_stream_write(self->stream, piece, part);
        if (n < 0)
            async_return(n);
        self->place += part;
        if (self->place % 3 == 0)
            await(n, async_stream_flush(self->stream));
        if (n < 0)
            async_return(n);
    }
    await(n, async_stream_flush(self->stream));
    async_return(n < 0 ? n : (async_result)self->place);
    async_end;
}

/* Reads `size` bytes of the pattern. Returns how many came before the end. */
async(stream_receiver, async_stream *stream; size_t size, place; char data[50];)
{
    ssize_t n;
    async_begin;
    while (self->place < self->size) {
        await(n, async_stream_read(self->stream, self->data, sizeof self->data));
        if (n < 0)
            async_return(n);
        if (n == 0)
            break;
        cr_assert(matches(self->data, self->place, (size_t)n));
        self->place += (size_t)n;
    }
    async_return((async_result)self->place);
    async_end;
}

async(stream_echo, int kind; int ends[2]; async_stream *here, *there; async_task tasks[2];
      struct account *accounts;)
{
    async_result n;
    async_begin;
    async_ok(open_pair(self->kind, self->ends));
    self->here = open_counted(self->ends[0], &self->accounts[0]);
    self->there = open_counted(self->ends[1], &self->accounts[1]);
    if (self->there && async_stream_on_data(self->there, echo) < 0) {
        async_stream_close(self->there);
        async_ok(-ENOMEM);
    }
    async_ok(self->here && self->there ? 0 : -ENOMEM);
    self->tasks[0] = async_spawn(stream_sender, .stream = self->here, .size = 900);
    async_ok(async_keep(self->tasks[0]));
    self->tasks[1] = async_spawn(stream_receiver, .stream = self->here, .size = 900);
    async_ok(async_keep(self->tasks[1]));
    await(n, async_join(self->tasks[0]));
    async_ok(n); /* what could not be sent does not come back */
    await(n, async_join(self->tasks[1]));
    async_ok(n);
    cr_assert(n == 900 || sim_has_failed());
    await(n, async_stream_wait_closed(self->here));
    self->here = NULL;
    async_ok(n);
    while (self->accounts[0].closed + self->accounts[1].closed < 2)
        await(async_sleep(50));
    cr_assert(self->accounts[0].closed == 1 && self->accounts[1].closed == 1);
    cr_assert((self->accounts[0].status == 0 && self->accounts[1].status == 0) ||
              sim_has_failed());
    async_finally;
    async_stream_close(self->here);
    async_end;
}

/* The counts outlive the test: a stream may close after whoever opened it has left. */
static struct account accounts[6];

AsyncTestWith(streams, an_echo_of_streams_gives_everything_back,
              (.seeds = 500, .torture = 1, .real = 1), int kind;)
{
    async_result n;
    async_begin;
    for (self->kind = UNIX; self->kind < KINDS; self->kind++) {
        memset(accounts, 0, sizeof accounts);
        await(n, async_call(stream_echo, .kind = self->kind, .accounts = accounts));
        async_ok(n);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Flushing and closing
 * ------------------------------------------------------------------------- */
async(flusher, async_stream *stream;)
{
    async_result n;
    async_begin;
    await(n, async_stream_flush(self->stream));
    async_return(n);
    async_end;
}

/* Writing never waits; flushing can be given up, and begun again; closing sends what is queued. */
async(backlog, int kind; int ends[2]; async_stream *stream; async_task receiver, flusher;
      size_t size;)
{
    char piece[2000];
    async_result n;
    async_begin;
    async_ok(open_pair(self->kind, self->ends));
    self->stream = open_counted(self->ends[1], &accounts[0]);
    if (!self->stream)
        async_close(self->ends[0]);
    async_ok(self->stream ? 0 : -ENOMEM);
    async_stream_on_written(self->stream, count_written);
    self->receiver = async_spawn(receiver, .fd = self->ends[0], .piece = 400, .rest_ms = 2);
    async_ok(async_keep(self->receiver));
    self->flusher = async_spawn(flusher, .stream = self->stream);
    async_ok(async_keep(self->flusher));
    for (; self->size < 6000; self->size += sizeof piece) {
        fill(piece, self->size, sizeof piece);
        async_ok(async_stream_write(self->stream, piece, sizeof piece));
    }
    await(async_yield());
    async_cancel(self->flusher);
    await(n, async_join(self->flusher));
    async_sometimes(n == -ECANCELED);
    cr_assert(n == 0 || n == -ECANCELED || sim_has_failed());
    await(n, async_stream_flush(self->stream), 1);
    cr_assert(n == 0 || n == -ETIMEDOUT || sim_has_failed());
    async_sometimes(n == -ETIMEDOUT);
    await(n, async_stream_wait_closed(self->stream));
    self->stream = NULL;
    async_ok(n);
    await(n, async_join(self->receiver));
    async_ok(n);
    cr_assert(n == 6000 || sim_has_failed());
    async_finally;
    async_stream_close(self->stream);
    async_close(self->ends[0]);
    async_end;
}

AsyncTestWith(streams, what_was_written_before_the_close_arrives,
              (.seeds = 500, .torture = 1, .real = 1), int kind;)
{
    async_result n;
    async_begin;
    for (self->kind = PIPE; self->kind < KINDS; self->kind++) {
        memset(accounts, 0, sizeof accounts);
        await(n, async_call(backlog, .kind = self->kind));
        async_ok(n);
    }
    async_end;
}

/* The server looks at the first bytes only, answers and closes. What it has not read must not make
 * the system reset the connection: the reply arrives, and then the end. */
async(curt_server, int fd; async_stream *stream; char data[500];)
{
    async_result n;
    async_begin;
    self->stream = open_counted(self->fd, &accounts[0]);
    async_ok(self->stream ? 0 : -ENOMEM);
    await(n, async_stream_read(self->stream, self->data, 10));
    async_ok(n);
    fill(self->data, 0, sizeof self->data);
    async_ok(async_stream_write(self->stream, self->data, sizeof self->data));
    async_finally;
    async_stream_close(self->stream);
    async_end;
}

AsyncTestWith(streams, the_last_reply_is_safe_although_the_request_was_not_read,
              (.seeds = 500, .torture = 1, .real = 1), int round; int ends[2]; async_task sender;)
{
    async_result n;
    async_begin;
    self->ends[0] = -1;
    for (; self->round < 4; self->round++) {
        async_ok(open_pair(self->round % 2 ? UNIX : TCP, self->ends));
        n = async_spawn(curt_server, .fd = self->ends[1]);
        if (n < 0)
            async_close(self->ends[1]);
        async_ok(n);
        self->sender = async_spawn(sender, .kind = TCP, .fd = self->ends[0], .size = 800,
                                   .piece = 100);
        async_ok(async_keep(self->sender));
        await(n, async_call(receiver, .fd = self->ends[0], .piece = 60, .rest_ms = self->round));
        async_ok(n);
        cr_assert(n == 500 || sim_has_failed());
        await(n, async_join(self->sender));
        async_ok(n);
        cr_assert(n == 800 || sim_has_failed());
        async_close(self->ends[0]);
        self->ends[0] = -1;
    }
    async_finally;
    async_close(self->ends[0]);
    async_end;
}

/* A peer that does not move is cut off after a while, and the stream says what was lost. */
static char bulk[200000];

AsyncTestWith(streams, a_peer_that_is_stuck_is_cut_off, (.seeds = 400), int round;
              int ends[2]; async_stream *stream; int64_t start_ns; size_t i;)
{
    async_result n;
    async_begin;
    for (; self->round < 6; self->round++) {
        memset(accounts, 0, sizeof accounts);
        async_ok(open_pair(self->round % 2 ? TCP : UNIX, self->ends));
        self->stream = open_counted(self->ends[1], &accounts[0]);
        cr_assert_eq(async_stream_write(self->stream, bulk, self->round % 3 ? sizeof bulk : 5), 0);
        self->start_ns = async_now();
        if (self->round % 4 < 2) {
            cr_assert_eq(async_stream_close(self->stream), 0);
        } else {
            await(n, async_stream_wait_closed(self->stream), 3);
            cr_assert(n == -ETIMEDOUT || (n == 0 && self->round % 3 == 0));
        }
        while (!accounts[0].closed && async_now() - self->start_ns < INT64_C(9000000000))
            await(async_sleep(1000));
        cr_assert(async_now() - self->start_ns >= INT64_C(4900000000));
        cr_assert(async_now() - self->start_ns <= INT64_C(7000000000));
        if (self->round % 3)
            cr_assert_eq(accounts[0].status, -ETIMEDOUT);
        async_close(self->ends[0]);
    }
    async_end;
}

/* One that took the last of it after 4.5 s has moved: it has 5 s more to end its own side. */
AsyncTestWith(streams, a_peer_that_has_just_moved_is_not_cut_off, (.faults = SIM_CALM), int round;
              int ends[2]; async_stream *stream; size_t left; char data[4096];)
{
    async_result n;
    async_begin;
    for (; self->round < 2; self->round++) {
        memset(accounts, 0, sizeof accounts);
        async_ok(open_pair(self->round % 2 ? TCP : UNIX, self->ends));
        self->stream = open_counted(self->ends[1], &accounts[0]);
        for (self->left = 0; !self->stream->queue; self->left += 1000)
            cr_assert_eq(async_stream_write(self->stream, bulk, 1000), 0);
        cr_assert_eq(async_stream_close(self->stream), 0);
        await(async_sleep(4500));
        for (; self->left; self->left -= (size_t)n) {
            await(n, async_read(self->ends[0], self->data, sizeof self->data));
            cr_assert_gt(n, 0);
        }
        await(async_sleep(2000));
        cr_assert(!accounts[0].closed);
        async_close(self->ends[0]);
        await(async_sleep(1000));
        cr_assert(accounts[0].closed);
        cr_assert_eq(accounts[0].status, 0);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Callbacks that come and go
 * ------------------------------------------------------------------------- */
static void check_data(async_stream *stream, const char *data, ssize_t size)
{
    struct account *account = stream->data;
    if (size > 0) {
        cr_assert(matches(data, account->got, (size_t)size));
        account->got += (size_t)size;
        if (account->got % 2)
            async_stream_on_data(stream, NULL); /* enough, for now */
        return;
    }
    account->status = (int)size;
    account->written = -1; /* the end, once */
    async_stream_close(stream);
}

/* Data that nobody wants for the moment waits, in order; then the end comes, once. */
async(pauses, int kind; int ends[2]; async_stream *stream; async_task sender;
      struct account account;)
{
    async_result n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    async_ok(open_pair(self->kind, self->ends));
    self->stream = async_stream_open(self->ends[0]);
    if (self->stream)
        self->ends[0] = -1;
    async_ok(self->stream ? 0 : -ENOMEM);
    self->stream->data = &self->account;
    self->sender = async_spawn(sender, .kind = self->kind, .fd = self->ends[1], .size = 700,
                               .piece = 33);
    async_ok(async_keep(self->sender));
    if (self->kind == PIPE)
        self->ends[1] = -1;
    while (self->account.written == 0) {
        async_ok(async_stream_on_data(self->stream, check_data));
        await(async_sleep(3));
    }
    self->stream = NULL;
    cr_assert(self->account.got == 700 || sim_has_failed());
    async_ok(self->account.status);
    await(n, async_join(self->sender));
    async_ok(n);
    async_finally;
    if (self->account.written == 0)
        async_stream_close(self->stream);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

AsyncTestWith(streams, data_waits_while_nobody_wants_it, (.seeds = 500, .torture = 1, .real = 1),
              int kind;)
{
    async_result n;
    async_begin;
    for (self->kind = PIPE; self->kind < KINDS; self->kind++) {
        await(n, async_call(pauses, .kind = self->kind));
        async_ok(n);
    }
    async_end;
}

/* ---- a room in which everybody hears everybody else ---- */
enum { GUESTS = 4, WORDS = 12 };
static async_stream *guests[GUESTS];
static int guest_count;

static void tell_others(async_stream *stream, const char *data, ssize_t size)
{
    for (int i = 0; i < GUESTS; i++)
        if (size > 0 && guests[i] && guests[i] != stream)
            async_stream_write(guests[i], data, (size_t)size);
    for (int i = 0; i < GUESTS; i++)
        if (size <= 0 && guests[i] == stream)
            guests[i] = NULL;
    if (size <= 0)
        async_stream_close(stream);
}

static void leave_room(async_stream *stream, int status)
{
    (void)stream, (void)status;
    guest_count--;
}

async(guest, int fd, i, said; size_t got; char data[40];)
{
    ssize_t n;
    async_begin;
    for (; self->said < WORDS; self->said++) {
        self->data[0] = (char)('a' + self->i);
        await(n, async_write(self->fd, self->data, 1));
        if (n < 0)
            async_return(n);
        if (self->said % 3 == 0)
            await(async_sleep(1 + self->i));
    }
    while (self->got < (GUESTS - 1) * WORDS) {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        if (n <= 0)
            async_return(n ? n : -EPIPE);
        self->got += (size_t)n;
        cr_assert(!memchr(self->data, 'a' + self->i, (size_t)n));
    }
    cr_assert_eq(self->got, (size_t)((GUESTS - 1) * WORDS));
    async_finally;
    async_close(self->fd);
    async_end;
}

AsyncTestWith(streams, everybody_in_a_room_hears_everybody_else, (.seeds = 500, .real = 1), int i;
              async_task tasks[GUESTS];)
{
    async_result n;
    int ends[2];
    async_begin;
    memset(guests, 0, sizeof guests);
    guest_count = GUESTS;
    for (self->i = 0; self->i < GUESTS; self->i++) {
        async_ok(open_pair(self->i % 2 ? TCP : UNIX, ends));
        guests[self->i] = async_stream_open(ends[0]);
        async_stream_on_close(guests[self->i], leave_room);
        async_ok(async_stream_on_data(guests[self->i], tell_others));
        self->tasks[self->i] = async_spawn(guest, .fd = ends[1], .i = self->i);
        async_keep(self->tasks[self->i]);
    }
    await(n, async_join_all(self->tasks, GUESTS));
    async_ok(n);
    while (guest_count)
        await(async_sleep(50));
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Streams that break
 * ------------------------------------------------------------------------- */

/* Connections are reset, nothing is left to open or to allocate: each stream ends once, and says
 * so. */
AsyncTestWith(streams, a_stream_that_breaks_says_so_once, (.seeds = 600, .faults = SIM_HOSTILE),
              int round, opened; int ends[2]; async_stream *here, *there; async_task tasks[2];)
{
    async_result n;
    async_begin;
    for (; self->round < 5; self->round++) {
        memset(accounts, 0, sizeof accounts);
        if (open_pair(self->round % 2 ? UNIX : TCP, self->ends) < 0)
            continue;
        self->here = open_counted(self->ends[0], &accounts[0]);
        self->there = open_counted(self->ends[1], &accounts[1]);
        self->opened = !!self->here + !!self->there;
        if (self->there && async_stream_on_data(self->there, echo) < 0)
            async_stream_close(self->there);
        self->tasks[0] = async_spawn(stream_sender, .stream = self->here, .size = 600);
        self->tasks[1] = async_spawn(stream_receiver, .stream = self->here, .size = 600);
        await(async_sleep(self->round));
        if (self->round == 4 && self->here && !accounts[0].closed)
            sim_reset(self->ends[0]);
        await(n, async_join(self->tasks[0]));
        if (n < 0)
            async_cancel(self->tasks[1]);
        await(n, async_join(self->tasks[1]));
        if (self->here)
            async_stream_close(self->here);
        await(async_sleep(20000));
        cr_assert_eq(accounts[0].closed + accounts[1].closed, self->opened);
        async_sometimes(accounts[0].status == 0);
    }
    async_end;
}
