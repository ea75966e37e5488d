/* The same visits to both servers: the trace of the callbacks is what is expected of the coroutines. */
#include "async_test.h"

static char recorded[32][48];
static const char *lines[33];
static int record_count, is_recording;

static void note_line(const char *line)
{
    if (!is_recording) {
        sim_log("%s", line);
    } else if (record_count < 32) {
        snprintf(recorded[record_count], sizeof recorded[0], "%s", line);
        lines[record_count] = recorded[record_count];
        record_count++;
    }
}

static void note_event(int number, const char *event)
{
    char line[48];
    snprintf(line, sizeof line, "client %d: %s", number, event);
    note_line(line);
}

/* No memory for a task, as long as a check wants that. */
static int spawns_fail;

static async_task spawn_or_fail(const async_type *type, const void *arguments)
{
    return spawns_fail ? -ENOMEM : async__spawn(type, arguments);
}

#define note(number, event) note_event(number, event)
#undef async_spawn
#define async_spawn(...) ASYNC__START(spawn_or_fail, __VA_ARGS__, )
#include "ex1.c"

/* Between two steps all that is under way arrives. */
#define pause() async_sleep(1000)

async(ping, int number, fd; char byte;)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, "x", 1));
    await(n, async_read(self->fd, &self->byte, 1), 1000);
    note_event(self->number, n == 1 ? "(has its pong)" : n == -ETIMEDOUT ? "(no answer)" : "(was cut off)");
    async_end;
}

/* Ends its side; the server is to close then, too. */
async(leave, int number, fd; char byte;)
{
    ssize_t n;
    async_begin;
    sim_shutdown(self->fd, SHUT_WR);
    await(n, async_read(self->fd, &self->byte, 1), 1000);
    note_event(self->number, n == 0 ? "(is closed)" : "(is not closed)");
    async_close(self->fd);
    async_end;
}

async(visits, int port; int fd[3];)
{
    async_begin;
    await(self->fd[1], async_connect("127.0.0.1", self->port));
    await(pause());
    await(self->fd[2], async_connect("127.0.0.1", self->port));
    await(pause());
    await(async_call(ping, 2, self->fd[2]));
    await(async_call(ping, 1, self->fd[1]));
    await(async_call(ping, 2, self->fd[2]));
    await(async_call(leave, 1, self->fd[1]));
    await(pause());
    await(async_call(leave, 2, self->fd[2]));
    await(pause());
    async_end;
}

static void record(int on)
{
    is_recording = on;
    if (on)
        memset(lines, 0, sizeof lines), record_count = 0;
}

AsyncTestWith(ex_8_1, same_trace,
              (.seeds = 50, .says = "The coroutines note the same events as the callbacks, in the same order."),
              int listener, count; async_task server;)
{
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    record(1);
    async_ok(serve_with_callbacks(self->listener, &self->count));
    await(async_call(visits, async_port(self->listener)));
    async_close(self->listener);
    self->listener = async_listen("127.0.0.1", 0);
    record(0);
    self->server = async_spawn(serve_with_awaits, self->listener);
    await(async_call(visits, async_port(self->listener)));
    sim_expect_lines(__FILE__, __LINE__, lines);
    async_cancel(self->server);
    async_close(self->listener);
    async_end;
}

/* It is the callbacks that are right. */
AsyncTestWith(ex_8_1, right_trace, (.seeds = 10, .says = "The callbacks are right as they are: leave them so."),
              int listener, count;)
{
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    record(0);
    async_ok(serve_with_callbacks(self->listener, &self->count));
    await(async_call(visits, async_port(self->listener)));
    sim_expect("client 1: open", "client 2: open", "client 2: ping", "client 2: (has its pong)", "client 1: ping",
               "client 1: (has its pong)", "client 2: ping", "client 2: (has its pong)", "client 1: end",
               "client 1: (is closed)", "client 2: end", "client 2: (is closed)");
    async_close(self->listener);
    async_end;
}

AsyncTestWith(ex_8_1, no_memory,
              (.seeds = 10, .says = "A client for whom async_spawn fails (it returns a negative number) is closed."),
              int listener, fd; char byte; async_task server;)
{
    ssize_t n;
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    self->server = async_spawn(serve_with_awaits, self->listener);
    spawns_fail = 1;
    await(self->fd, async_connect("127.0.0.1", async_port(self->listener)));
    await(n, async_write(self->fd, "x", 1));
    await(n, async_read(self->fd, &self->byte, 1), 10000);
    spawns_fail = 0;
    if (n == -ETIMEDOUT)
        async_test_fail(__FILE__, __LINE__, "The client has no answer, and waits for ever.");
    async_close(self->fd);
    async_cancel(self->server);
    async_close(self->listener);
    async_end;
}
