/*
 * sim_streams_reading.c: the reads of buffered streams in the simulated world. Goal: every byte
 * comes once and in order, whatever kind of read asks for it, however it was cut on its way, and
 * although reads are cancelled, out of time or refused. Method: the text that is sent is known, so
 * the result of each read can be told beforehand; whoever gives up reads on in another way.
 */
#include "sim_io.h"

/* ----------------------------------------------------------------------------
 * MARK: - All kinds of reads, mixed
 * ------------------------------------------------------------------------- */
static char text[30000];
static size_t length; /* of it, so much is sent */

/* Lines of all lengths, some of them very long; halves of separators, and whole ones. */
static void make_text(size_t size)
{
    uint32_t draw = 1;
    length = size;
    for (size_t i = 0; i < length; i++) {
        uint32_t one_in = i % 12000 < 6000 ? 16 : 600;
        draw = draw * 1103515245 + 12345;
        text[i] = (draw >> 16) % one_in < 2 ? "\r\n"[draw >> 20 & 1] : (char)('a' + i % 26);
    }
}

/* What a read up to the separator must give of what is left. */
static async_result expected(size_t place, size_t limit, const char *separator, size_t width)
{
    size_t left = length - place, most = left < limit ? left : limit;
    for (size_t n = width; n <= most; n++)
        if (memcmp(text + place + n - width, separator, width) == 0)
            return (async_result)n;
    return left > limit ? -EMSGSIZE : (async_result)left;
}

async(text_sender, int kind, fd; size_t place, piece;)
{
    ssize_t n;
    async_begin;
    while (self->place < length) {
        self->piece = 1 + (size_t)sim_random(sim_random(4) ? 600 : 9000);
        if (self->piece > length - self->place)
            self->piece = length - self->place;
        await(n, async_write(self->fd, text + self->place, self->piece));
        if (n < 0)
            async_return(n);
        self->place += (size_t)n;
        if (sim_random(3) == 0)
            await(async_sleep(1 + (int64_t)sim_random(3)));
    }
    async_finally;
    end_writing(self->kind, self->fd);
    async_end;
}

enum { SOME, ALL, UNTIL, LINE, WAYS };

/* One read, as a task that can be cancelled. */
async(one_read, async_stream *stream; int way; char *data; size_t size;)
{
    async_result n = 0;
    async_begin;
    if (self->way == SOME)
        await(n, async_stream_read(self->stream, self->data, self->size));
    if (self->way == ALL)
        await(n, async_stream_read_exactly(self->stream, self->data, self->size));
    if (self->way == UNTIL)
        await(n, async_stream_read_until(self->stream, self->data, self->size, "\r\n", 2));
    if (self->way == LINE)
        await(n, async_stream_read_line(self->stream, self->data, self->size));
    async_return(n);
    async_end;
}

static void check_read(int way, size_t place, const char *data, size_t size, async_result n)
{
    size_t left = length - place;
    if (way == SOME)
        cr_assert(n > 0 ? (size_t)n <= size : left == 0 || size == 0);
    if (way == ALL)
        cr_assert_eq(n, (async_result)(size < left ? size : left));
    if (way == UNTIL)
        cr_assert_eq(n, expected(place, size, "\r\n", 2));
    if (way == LINE)
        cr_assert_eq(n, size ? expected(place, size - 1, "\n", 1) : -EINVAL);
    if (way == LINE && size)
        cr_assert_eq(data[n > 0 ? n : 0], '\0');
}

static void take_text(async_stream *stream, const char *data, ssize_t size)
{
    size_t *place = stream->data;
    cr_assert(size <= 0 || memcmp(data, text + *place, (size_t)size) == 0);
    *place += size > 0 ? (size_t)size : 0;
    async_mark("text was called back");
    async_stream_on_data(stream, NULL);
}

/* Reads to the end, in ways that chance chooses; every third read is given up before long. */
async(mixed_reader, async_stream *stream; size_t place, size; int way, patience; async_task task;
      char data[10000];)
{
    async_result n;
    async_begin;
    self->stream->data = &self->place;
    async_expect_mark("text was called back");
    while (self->place < length && self->patience < 50) {
        self->way = (int)sim_random(WAYS);
        self->size = (size_t)sim_random(sim_random(3) ? 300 : sizeof self->data);
        if (self->way == SOME && sim_random(8) == 0) {
            async_ok(async_stream_on_data(self->stream, take_text));
            await(async_sleep((int64_t)sim_random(3)));
            async_ok(async_stream_on_data(self->stream, NULL));
            continue;
        }
        self->task = async_spawn(one_read, .stream = self->stream, .way = self->way,
                                 .data = self->data, .size = self->size);
        async_ok(async_keep(self->task));
        if (sim_random(3) == 0) {
            await(async_sleep((int64_t)sim_random(3)));
            async_cancel(self->task);
        }
        await(n, async_join(self->task));
        async_sometimes(n == -ECANCELED);
        self->patience += n == 0 || n == -ENOMEM;
        if (n == -ECANCELED || (n == -ENOMEM && sim_has_failed()))
            continue;
        if (n != -EMSGSIZE && (n != -EINVAL || self->size))
            async_ok(n);
        if (!sim_has_failed()) /* else the text may be cut off */
            check_read(self->way, self->place, self->data, self->size, n);
        cr_assert(n <= 0 || memcmp(self->data, text + self->place, (size_t)n) == 0);
        self->place += n > 0 ? (size_t)n : 0;
        if (n == -EMSGSIZE && sim_random(2)) { /* as whoever does not want so long a line */
            await(n, async_stream_read(self->stream, self->data, 1 + self->size));
            self->place += n > 0 ? (size_t)n : 0;
        }
    }
    cr_assert(self->place == length || sim_has_failed());
    await(n, async_stream_read(self->stream, self->data, 1));
    cr_assert(n == 0 || sim_has_failed());
    cr_assert(self->stream->input == NULL || sim_has_failed());
    async_end;
}

async(mixed, int kind; int ends[2]; async_stream *stream; async_task sender;)
{
    async_result n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    async_ok(open_pair(self->kind, self->ends));
    self->stream = async_stream_open(self->ends[0]);
    async_ok(self->stream ? 0 : -ENOMEM);
    self->ends[0] = -1;
    self->sender = async_spawn(text_sender, .kind = self->kind, .fd = self->ends[1]);
    async_ok(self->sender);
    if (self->kind == PIPE)
        self->ends[1] = -1;
    await(n, async_call(mixed_reader, .stream = self->stream));
    async_ok(n);
    async_finally;
    async_stream_close(self->stream);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

AsyncTestWith(reading, what_one_read_leaves_the_next_one_gets, (.seeds = 200, .real = 1), int kind;)
{
    async_result n;
    async_begin;
    make_text(sizeof text);
    for (self->kind = PIPE; self->kind < KINDS; self->kind++) {
        await(n, async_call(mixed, .kind = self->kind));
        async_ok(n);
    }
    async_end;
}

AsyncTestWith(reading, what_fails_loses_nothing, (.seeds = 100, .torture = 1), int kind;)
{
    async_result n;
    async_begin;
    make_text(9000);
    for (self->kind = PIPE; self->kind < KINDS; self->kind++) {
        await(n, async_call(mixed, .kind = self->kind));
        async_ok(n);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - What each read says
 * ------------------------------------------------------------------------- */

/* A stream at the one end, and at the other a script. */
#define PLAYED(name, ...) \
    static const sim_line name[] = { __VA_ARGS__, { SIM_OVER_, NULL, 0 } }

static async_stream *stream_of_peer(const sim_line *script)
{
    int ends[2];
    sim_tcp_pair(ends);
    sim_peer_plays(ends[1], script);
    cr_assert_eq(async_adopt(ends[0]), ends[0]);
    return async_stream_open(ends[0]);
}

PLAYED(mail, SIM_SEND("HELO x\r\n"), SIM_WAIT(5), SIM_SEND("DATA\r"), SIM_WAIT(5),
       SIM_SEND("\nbody\r\r\n.\r"), SIM_WAIT(5), SIM_SEND("\nQUIT"), SIM_END);

AsyncTestWith(reading, lines_and_separators, (.seeds = 200), async_stream *stream; char data[20];)
{
    async_result n;
    async_begin;
    self->stream = stream_of_peer(mail);
    await(n, async_stream_read_line(self->stream, self->data, 20));
    cr_assert_eq(n, 8);
    cr_assert_str_eq(self->data, "HELO x\r\n");
    await(n, async_stream_read_until(self->stream, self->data, 6, "\r\n", 2));
    cr_assert_eq(n, 6);
    cr_assert_arr_eq(self->data, "DATA\r\n", 6);
    await(n, async_stream_read_until(self->stream, self->data, 20, "\r\n.\r\n", 5));
    cr_assert_eq(n, 10);
    cr_assert_arr_eq(self->data, "body\r\r\n.\r\n", 10);
    await(n, async_stream_read_line(self->stream, self->data, 20));
    cr_assert_eq(n, 4);
    cr_assert_str_eq(self->data, "QUIT");
    await(n, async_stream_read_line(self->stream, self->data, 20));
    cr_assert_eq(n, 0);
    cr_assert_str_eq(self->data, "");
    await(n, async_stream_read_until(self->stream, self->data, 20, ".", 1));
    cr_assert_eq(n, 0);
    await(n, async_stream_read_exactly(self->stream, self->data, 20));
    cr_assert_eq(n, 0);
    async_finally;
    async_stream_close(self->stream);
    async_end;
}

PLAYED(long_line, SIM_SEND("abcdefgh\nij"), SIM_END);

AsyncTestWith(reading, a_line_beyond_the_limit_is_still_there, (.seeds = 200),
              async_stream *stream; char data[20];)
{
    async_result n;
    async_begin;
    self->stream = stream_of_peer(long_line);
    await(n, async_stream_read_line(self->stream, self->data, 0));
    cr_assert_eq(n, -EINVAL);
    self->data[0] = self->data[1] = 'x';
    await(n, async_stream_read_line(self->stream, self->data, 1));
    cr_assert_eq(n, -EMSGSIZE);
    cr_assert(self->data[0] == '\0' && self->data[1] == 'x');
    await(n, async_stream_read_line(self->stream, self->data, 9));
    cr_assert_eq(n, -EMSGSIZE);
    cr_assert_str_eq(self->data, "");
    await(n, async_stream_read_until(self->stream, self->data, 4, "\n", 1));
    check_error(async_stream_read_until, EMSGSIZE, n);
    await(n, async_stream_read_exactly(self->stream, self->data, 2));
    cr_assert_eq(n, 2);
    cr_assert_arr_eq(self->data, "ab", 2);
    await(n, async_stream_read_line(self->stream, self->data, 8));
    cr_assert_eq(n, 7);
    cr_assert_str_eq(self->data, "cdefgh\n");
    await(n, async_stream_read_until(self->stream, self->data, 1, "\n", 1));
    cr_assert_eq(n, -EMSGSIZE);
    await(n, async_stream_read_line(self->stream, self->data, 4));
    cr_assert_eq(n, 2);
    cr_assert_str_eq(self->data, "ij");
    async_finally;
    async_stream_close(self->stream);
    async_end;
}

/* One received block is read in a hundred pieces. */
AsyncTestWith(reading, many_small_reads_cost_one_system_call, (.faults = SIM_CALM), int raw[2];
              async_stream *stream; int i; char data[10];)
{
    async_result n;
    async_begin;
    make_text(1000);
    sim_tcp_pair(self->raw);
    cr_assert_eq(sim_write(self->raw[1], text, 1000), 1000);
    async_adopt(self->raw[0]);
    self->stream = async_stream_open(self->raw[0]);
    await(async_sleep(1));
    for (self->i = 0; self->i < 100; self->i++) {
        if (self->i % 2)
            await(n, async_stream_read(self->stream, self->data, 10));
        else
            await(n, async_stream_read_exactly(self->stream, self->data, 10));
        cr_assert_eq(n, 10);
        cr_assert_arr_eq(self->data, text + 10 * self->i, 10);
    }
    cr_assert_eq(sim_count(recv), 1);
    cr_assert(self->stream->input == NULL);
    async_finally;
    async_stream_close(self->stream);
    sim_close(self->raw[1]);
    async_end;
}

/* A large block needs as many calls as it comes in pieces; given up, it is there for others. */
PLAYED(in_pieces, SIM_SEND("0123456789"), SIM_WAIT(10), SIM_SEND("abcdefghij"), SIM_WAIT(100),
       SIM_SEND("the end"), SIM_END);

AsyncTestWith(reading, a_large_block_is_given_up, (.seeds = 100), async_stream *stream;
              char data[5000];)
{
    async_result n;
    async_begin;
    self->stream = stream_of_peer(in_pieces);
    await(n, async_stream_read_exactly(self->stream, self->data, 5000), 60);
    cr_assert_eq(n, -ETIMEDOUT);
    memset(self->data, 0, sizeof self->data);
    await(n, async_stream_read_exactly(self->stream, self->data, 12));
    cr_assert_eq(n, 12);
    cr_assert_arr_eq(self->data, "0123456789ab", 12);
    await(n, async_stream_read_exactly(self->stream, self->data, 5000));
    cr_assert_eq(n, 15);
    cr_assert_arr_eq(self->data, "cdefghijthe end", 15);
    cr_assert(self->stream->input == NULL);
    async_finally;
    async_stream_close(self->stream);
    async_end;
}

/* Who only waits holds no buffer; there is one reader at a time; the close tells it. */
AsyncTestWith(reading, one_waits_without_a_buffer, (.seeds = 50), int way; int ends[2];
              async_stream *stream; async_task task; char data[5000];)
{
    async_result n;
    async_begin;
    async_ok(open_pair(TCP, self->ends));
    self->stream = async_stream_open(self->ends[0]);
    for (; self->way < 2 * WAYS; self->way++) {
        self->task = async_keep(async_spawn(one_read, .stream = self->stream,
                                            .way = self->way % WAYS, .data = self->data,
                                            .size = self->way < WAYS ? 100 : 5000));
        await(async_settle());
        async_expect_blocked(self->task);
        cr_assert(self->stream->input == NULL);
        await(n, async_stream_read(self->stream, self->data, 10));
        cr_assert_eq(n, -EBUSY);
        await(n, async_stream_read(self->stream, self->data, 5000));
        cr_assert_eq(n, -EBUSY);
        cr_assert_eq(async_stream_on_data(self->stream, take_text), -EBUSY);
        if (self->way < 2 * WAYS - 1)
            async_cancel(self->task);
        else
            async_stream_close(self->stream);
        await(n, async_join(self->task));
        cr_assert_eq(n, self->way < 2 * WAYS - 1 ? -ECANCELED : -EBADF);
    }
    async_close(self->ends[1]);
    async_end;
}

/* Nor is what the one who waits searches for. */
AsyncTestWith(reading, who_is_refused_changes_nothing, (.seeds = 20), int ends[2];
              async_stream *stream; async_task task; char data[100]; char line[10];)
{
    async_result n;
    async_begin;
    async_ok(open_pair(TCP, self->ends));
    self->stream = async_stream_open(self->ends[0]);
    self->task = async_keep(async_spawn(one_read, .stream = self->stream, .way = UNTIL,
                                        .data = self->data, .size = sizeof self->data));
    await(async_settle());
    await(n, async_stream_read_line(self->stream, self->line, sizeof self->line));
    cr_assert_eq(n, -EBUSY);
    await(n, async_write(self->ends[1], "a\nb\r\n", 5));
    async_ok(n);
    await(n, async_join(self->task));
    cr_assert_eq(n, 5);
    async_stream_close(self->stream);
    async_close(self->ends[1]);
    async_end;
}

AsyncTestWith(reading, who_reads_wrongly_is_told, (.faults = SIM_CALM), int ends[2];
              async_stream *stream; size_t place; char data[10];)
{
    async_result n;
    async_begin;
    await(n, async_stream_read_exactly(NULL, self->data, 10));
    cr_assert_eq(n, -EBADF);
    await(n, async_stream_read_until(NULL, self->data, 10, "\n", 1));
    cr_assert_eq(n, -EBADF);
    await(n, async_stream_read_line(NULL, self->data, 10));
    cr_assert_eq(n, -EBADF);
    async_ok(open_pair(TCP, self->ends));
    self->stream = async_stream_open(self->ends[0]);
    self->stream->data = &self->place;
    await(n, async_stream_read_until(self->stream, self->data, 10, "", 0));
    check_error(async_stream_read_until, EINVAL, n);
    if (SIZE_MAX > UINT32_MAX) {
        await(n, async_stream_read_until(self->stream, self->data, 10, "",
                                         SIZE_MAX - UINT32_MAX + 1));
        cr_assert_eq(n, -EINVAL);
    }
    await(n, async_stream_read(self->stream, self->data, 0));
    cr_assert_eq(n, 0);
    await(n, async_stream_read_exactly(self->stream, self->data, 0));
    cr_assert_eq(n, 0);
    cr_assert_eq(async_stream_on_data(self->stream, take_text), 0);
    await(n, async_stream_read_line(self->stream, self->data, 10));
    cr_assert_eq(n, -EBUSY);
    async_finally;
    async_stream_close(self->stream);
    async_close(self->ends[1]);
    async_end;
}

/* A connection that breaks in the midst: what came before can still be read. */
AsyncTestWith(reading, a_reset_leaves_what_had_come, (.seeds = 50), int round; int ends[2];
              async_stream *stream; async_task task; char data[5000];)
{
    async_result n;
    async_begin;
    make_text(100);
    for (; self->round < 2; self->round++) {
        async_ok(open_pair(TCP, self->ends));
        self->stream = async_stream_open(self->ends[0]);
        self->task = async_keep(async_spawn(one_read, .stream = self->stream, .way = ALL,
                                            .data = self->data,
                                            .size = self->round ? 5000 : 100));
        await(n, async_write(self->ends[1], text, 99));
        await(async_sleep(1000));
        sim_reset(self->ends[0]);
        await(n, async_join(self->task));
        cr_assert_eq(n, -ECONNRESET);
        await(n, async_stream_read_exactly(self->stream, self->data, 99));
        cr_assert_eq(n, 99);
        cr_assert_arr_eq(self->data, text, 99);
        async_stream_close(self->stream);
        async_close(self->ends[1]);
    }
    async_end;
}

/* What was received ahead is called back before what comes later; the call may close the stream. */
static void take_and_close(async_stream *stream, const char *data, ssize_t size)
{
    size_t *place = stream->data;
    cr_assert_eq(size, 8);
    cr_assert_eq(async_stream_close(stream), 0);
    cr_assert(matches(data, 2, 8));
    *place += (size_t)size;
}

AsyncTestWith(reading, what_was_read_ahead_is_called_back, (.seeds = 50), int ends[2];
              async_stream *stream; size_t place; char data[10];)
{
    async_result n;
    async_begin;
    async_ok(open_pair(TCP, self->ends));
    self->stream = async_stream_open(self->ends[0]);
    self->stream->data = &self->place;
    async_spawn(sender, .kind = TCP, .fd = self->ends[1], .size = 10, .piece = 10);
    await(n, async_stream_read_until(self->stream, self->data, 9, "\v", 1));
    cr_assert_eq(n, -EMSGSIZE);
    await(n, async_stream_read(self->stream, self->data, 2));
    cr_assert_eq(n, 2);
    cr_assert_eq(async_stream_on_data(self->stream, take_and_close), 0);
    cr_assert_eq(self->place, (size_t)0);
    await(async_sleep(1));
    cr_assert_eq(self->place, (size_t)8);
    async_close(self->ends[1]);
    async_end;
}

/* ---- a line that just fits ---- */
AsyncTestWith(reading, what_just_fits_is_the_last_piece, (.seeds = 100), int ends[2];
              async_stream *stream; char line[4]; async_result n;)
{
    async_begin;
    async_ok(async_socketpair(self->ends));
    self->stream = async_stream_open(self->ends[0]);
    async_ok(self->stream ? 0 : -ENOMEM);
    await(self->n, async_write(self->ends[1], "abc", 3));
    async_ok(self->n);
    async_close(self->ends[1]);
    await(self->n, async_stream_read_line(self->stream, self->line, sizeof self->line));
    cr_assert_eq(self->n, 3);
    cr_assert_str_eq(self->line, "abc");
    await(self->n, async_stream_read_line(self->stream, self->line, 1));
    cr_assert_eq(self->n, 0);
    await(self->n, async_stream_read_line(self->stream, self->line, 0));
    check_error(async_stream_read_line, EINVAL, self->n);
    async_stream_close(self->stream);
    async_end;
}

/* To stop needs no memory. */
AsyncTest(reading, nothing_is_needed_to_stop, int ends[2]; async_stream *stream; long before;)
{
    async_begin;
    async_ok(async_socketpair(self->ends));
    self->stream = async_stream_open(self->ends[0]);
    cr_assert(self->stream);
    self->before = sim_allocations();
    cr_assert_eq(async_stream_on_data(self->stream, NULL), 0);
    cr_assert_eq(sim_allocations(), self->before);
    async_close(self->ends[1]);
    async_stream_close(self->stream);
    async_end;
}
