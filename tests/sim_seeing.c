/*
 * Seeing in the simulated world: what async_dump prints of each thing that a task can wait for, and
 * what is said of steps that hold the loop.
 *
 * Method. A task for each kind of wait; the dump must have the line that says so, word for word.
 * A step is as long as the time that it lets pass.
 */
#define ASYNC_WARN(text) hears(text)
static void hears(const char *text);
#include "sim_io.h"

#include <stdarg.h>

/* ----------------------------------------------------------------------------
 * MARK: - The dump
 * ------------------------------------------------------------------------- */
static char dumped[20000];

static void dump(void)
{
    FILE *out = fmemopen(dumped, sizeof dumped, "w");
    cr_assert(out != NULL);
    async_dump(out);
    fclose(out);
}

/* A task waits for this, and the dump says nothing else about it. */
__attribute__((format(printf, 1, 2))) static void shows(const char *format, ...)
{
    char wait[300], line[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(wait, sizeof wait, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, ": %s, for 1.", wait);
    cr_assert(strstr(dumped, line) != NULL, "no \"%s\" in:\n%s", line, dumped);
}

static unsigned number_of(async_task task)
{
    return (unsigned)(uint32_t)task;
}

static struct {
    async_event event;
    async_semaphore semaphore;
    async_mutex mutex, callbacks;
    async_channel full, empty;
    async_task task;
    int item;
} things;

/* Waits for one of the things, and is cancelled there. */
async(meets, int what; int item; async_task tasks[3]; async_case cases[6];)
{
    async_begin;
    if (self->what == 0)
        await(async_event_wait(&things.event));
    if (self->what == 1)
        await(async_semaphore_acquire(&things.semaphore));
    if (self->what == 2)
        await(async_mutex_lock(&things.mutex));
    if (self->what == 3)
        await(async_mutex_lock(&things.callbacks));
    if (self->what == 4)
        await(async_channel_send(&things.full, &self->item));
    if (self->what == 5)
        await(async_channel_receive(&things.empty, &self->item));
    if (self->what == 6)
        await(async_join(things.task));
    self->tasks[0] = self->tasks[1] = self->tasks[2] = things.task;
    if (self->what == 7)
        await(async_join_all(self->tasks, 3));
    self->cases[0] = async_case_join(things.task);
    self->cases[1] = async_case_mutex(&things.mutex);
    if (self->what == 8)
        await(async_select(self->cases, 2));
    self->cases[2] = async_case_send(&things.full, &self->item);
    self->cases[3] = async_case_receive(&things.empty, &self->item);
    self->cases[4] = async_case_event(&things.event);
    self->cases[5] = async_case_semaphore(&things.semaphore);
    if (self->what == 9)
        await(async_select(self->cases, 6));
    if (self->what == 10)
        await(async_select(self->cases + 2, 4));
    if (self->what == 11 && async_spawn(meets, .what = 0) > 0)
        await(async_join_children());
    async_end;
}

static void locks(void *data)
{
    cr_assert_eq(async_mutex_lock_nowait((async_mutex *)data), 0);
}

AsyncTestWith(dump, names_what_tasks_meet_at, (.faults = SIM_CALM), int i;)
{
    unsigned task, itself;
    const void *mutex, *full, *empty, *event, *semaphore;
    async_begin;
    memset(&things, 0, sizeof things);
    async_channel_init(&things.full, &things.item, sizeof things.item, 1);
    async_channel_init(&things.empty, NULL, sizeof things.item, 0);
    cr_assert_eq(async_channel_send_nowait(&things.full, &things.item), 0);
    cr_assert_eq(async_mutex_lock_nowait(&things.mutex), 0);
    async_ok(async_soon(&things.callbacks, locks));
    await(async_sleep(1));
    async_ok(things.task = async_spawn(meets, .what = 0));
    for (self->i = 1; self->i <= 11; self->i++)
        async_ok(async_spawn(meets, .what = self->i));
    await(async_sleep(1100));
    dump();
    task = number_of(things.task);
    itself = number_of(async_current_task());
    shows("event %p", event = &things.event);
    shows("semaphore %p", semaphore = &things.semaphore);
    shows("mutex %p of task %u", mutex = &things.mutex, itself);
    shows("mutex %p of a callback", (void *)&things.callbacks);
    shows("send to channel %p", full = &things.full);
    shows("receive from channel %p", empty = &things.empty);
    shows("join of task %u", task);
    shows("join_all of task %u, 3 left", task);
    shows("select: join of task %u or mutex %p of task %u", task, mutex, itself);
    shows("select: join of task %u or mutex %p of task %u or send to channel %p or "
          "receive from channel %p or 2 more", task, mutex, itself, full, empty);
    shows("select: send to channel %p or receive from channel %p or event %p or semaphore %p",
          full, empty, event, semaphore);
    shows("join_children");
    async_mutex_unlock(&things.mutex);
    async_end;
}

/* Reads from a stream, or sees that its peer does not take what is written; cancelled there. */
enum { TOO_MUCH = 1 << 20 };
static char too_much[TOO_MUCH];

async(streams, int what; async_stream *stream; char data[100]; async_result n;)
{
    async_begin;
    if (self->what == 0)
        await(self->n, async_stream_read(self->stream, self->data, 100));
    if (self->what == 1)
        await(self->n, async_stream_read_exactly(self->stream, self->data, 90));
    if (self->what == 2)
        await(self->n, async_stream_read_until(self->stream, self->data, 80, "\r\n", 2));
    if (self->what == 3)
        await(self->n, async_stream_read_line(self->stream, self->data, 70));
    if (self->what >= 4)
        cr_assert_eq(async_stream_write(self->stream, too_much, sizeof too_much), 0);
    if (self->what == 4)
        await(self->n, async_stream_flush(self->stream));
    if (self->what == 5)
        await(self->n, async_stream_wait_closed(self->stream));
    cr_assert_eq(self->n, -ECANCELED);
    async_end;
}

/* All that lies in the system for this one. */
static unsigned long drain(int fd)
{
    unsigned long total = 0;
    ssize_t n;
    while ((n = async_read_nowait(fd, too_much, sizeof too_much)) > 0)
        total += (unsigned long)n;
    return total;
}

AsyncTestWith(dump, names_what_streams_wait_for, (.faults = SIM_CALM), int ends[6][2];
              async_task tasks[6]; async_stream *streams[6]; int i; async_result n;)
{
    async_begin;
    for (self->i = 0; self->i < 6; self->i++) {
        async_ok(async_socketpair(self->ends[self->i]));
        self->streams[self->i] = async_stream_open(self->ends[self->i][0]);
        self->tasks[self->i] = async_spawn(streams, self->i, self->streams[self->i]);
        if (self->i)
            await(self->n, async_write(self->ends[self->i][1], "abc", 3));
    }
    await(async_sleep(1100));
    dump();
    shows("stream_read on descriptor %d, 0 of 100 bytes", self->ends[0][0]);
    shows("read_exactly on descriptor %d, 3 of 90 bytes", self->ends[1][0]);
    shows("read_until on descriptor %d, 3 of 80 bytes", self->ends[2][0]);
    shows("read_line on descriptor %d, 3 of 69 bytes", self->ends[3][0]);
    shows("stream_flush on descriptor %d, %lu bytes left", self->ends[4][0],
          TOO_MUCH - drain(self->ends[4][1]));
    shows("stream_wait_closed on descriptor %d, %lu bytes left", self->ends[5][0],
          TOO_MUCH - drain(self->ends[5][1]));
    for (self->i = 0; self->i < 6; self->i++) {
        async_cancel(self->tasks[self->i]);
        await(self->n, async_join(self->tasks[self->i]));
        if (self->i < 5)
            async_stream_close(self->streams[self->i]);
        async_close(self->ends[self->i][1]);
    }
    async_end;
}

/* What waits on a descriptor alone. */
async(sockets, int what, fd; char data[8]; struct iovec piece; async_address address;
      async_result n;)
{
    async_begin;
    self->piece.iov_base = self->data;
    self->piece.iov_len = sizeof self->data;
    if (self->what == 0)
        await(self->n, async_readable(self->fd));
    if (self->what == 1)
        await(self->n, async_read(self->fd, self->data, sizeof self->data));
    if (self->what == 2)
        await(self->n, async_readv(self->fd, &self->piece, 1));
    if (self->what == 3)
        await(self->n, async_recvfrom(self->fd, self->data, sizeof self->data, NULL));
    if (self->what == 4)
        await(self->n, async_accept(self->fd));
    async_end;
}

AsyncTestWith(dump, names_what_waits_on_a_descriptor, (.faults = SIM_CALM), int fds[5], peers[5];
              int i;)
{
    static const char *const words[] = { "readable", "read", "readv", "recvfrom", "accept" };
    async_begin;
    for (int i = 0; i < 3; i++) {
        int ends[2];
        async_ok(async_socketpair(ends));
        self->fds[i] = ends[0];
        self->peers[i] = ends[1];
    }
    async_ok(self->fds[3] = async_bind_udp("127.0.0.1", 0, NULL));
    async_ok(self->fds[4] = async_listen("127.0.0.1", 0));
    for (int i = 0; i < 5; i++)
        async_ok(async_spawn(sockets, i, self->fds[i]));
    await(async_sleep(1100));
    dump();
    for (int i = 0; i < 5; i++)
        shows("%s on descriptor %d", words[i], self->fds[i]);
    for (int i = 0; i < 5; i++)
        async_close(self->fds[i]);
    for (int i = 0; i < 3; i++)
        async_close(self->peers[i]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Steps that hold the loop
 * ------------------------------------------------------------------------- */
static char heard[4000];

static void hears(const char *text)
{
    strncat(heard, text, sizeof heard - strlen(heard) - 1);
}

/* Its first step, then another one in three rounds; between them it waits, which takes no turn. */
async(holds, int64_t first_ms, later_ms; int i; unsigned line;)
{
    async_begin;
    sim_advance(self->first_ms);
    for (; self->i < 3; self->i++) {
        self->line = __LINE__ + 1;
        await(async_sleep(500));
        sim_advance(self->later_ms);
    }
    async_return((async_result)self->line);
    async_end;
}

static unsigned first_line(void)
{
    return holds_type()->line;
}

static void holds_for_200(void *data)
{
    ++*(int *)data;
    sim_advance(200);
}

async(is_slow, int calls; async_handle every; async_result line;)
{
    char expected[500];
    async_begin;
    await(self->line, async_call(holds, .first_ms = 120, .later_ms = 150));
    snprintf(expected, sizeof expected,
             "async: holds() held the loop for 120 ms, after %s:%u\n"
             "async: holds() held the loop for 150 ms, after %s:%u\n",
             __FILE__, first_line(), __FILE__, (unsigned)self->line);
    cr_assert_str_eq(heard, expected);
    heard[0] = '\0';
    self->every = async_every(500, &self->calls, holds_for_200);
    await(async_sleep(1900));
    async_cancel(self->every);
    cr_assert(self->calls > 1);
    cr_assert(strstr(heard, "async: a callback held the loop for 200 ms: 0x") == heard);
    cr_assert(strchr(heard, '\n')[1] == '\0');
    async_end;
}

AsyncTestBare(slow, steps_are_named_once_for_each_place, (.faults = SIM_CALM))
{
    heard[0] = '\0';
    cr_assert_eq(async_run(is_slow), 0);
}

/* Seventeen places, twice each. */
async(is_slow_everywhere, int i;)
{
    async_begin;
    for (; self->i < 2; self->i++) {
#define HOLDS \
    sim_advance(101); \
    await(async_yield())
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
        HOLDS;
    }
    async_end;
}

AsyncTestBare(slow, steps_are_named_at_sixteen_places, (.faults = SIM_CALM))
{
    int lines = 0;
    heard[0] = '\0';
    cr_assert_eq(async_run(is_slow_everywhere), 0);
    for (const char *end = heard; (end = strchr(end, '\n')) != NULL; end++)
        lines++;
    cr_assert_eq(lines, 16);
}

async(is_quick)
{
    async_begin;
    await(async_call(holds, .first_ms = 100, .later_ms = 100));
    await(async_sleep(100000));
    async_end;
}

AsyncTestBare(slow, are_no_steps_of_100_ms_and_no_waits, (.faults = SIM_CALM))
{
    heard[0] = '\0';
    cr_assert_eq(async_run(is_quick), 0);
    cr_assert_str_eq(heard, "");
}
