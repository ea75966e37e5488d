/* The server's calls are seen, with their bytes: recv and send. */
#define sim_recv seen_recv
#define sim_send seen_send
#include "async_sim.h" /* the kit's own: which world this is, its events */
#include "async_test.h"
#undef sim_recv
#undef sim_send

#include "ex1.c"

enum { CLIENTS = 3, SIZE = 40, ENDS = 64 };

static void fail(const char *what)
{
    async_test_fail(__FILE__, __LINE__,
                    "%s ASYNC_BACKEND=%s ASYNC_SEED=0x%llx replays it.", what,
                    async_loop_backend(), (unsigned long long)sim.seed);
}

/* Of each descriptor: is it a client's, or else the server's, for whom? */
static struct { int is_client; char letter; } ends[ENDS];

/* A line among the events; as many texts are kept as events are shown. */
static void note_bytes(const char *what, char letter, const char *data,
                       ssize_t size)
{
    static char texts[SIM_SHOWN + 1][100];
    static int count;
    char *text = texts[count++ % (SIM_SHOWN + 1)];
    snprintf(text, sizeof texts[0], "%s client '%c': \"%.*s\"", what, letter,
             (int)size, data);
    sim_note(text, -1, 0, 0);
}

ssize_t sim_recv(int fd, void *data, size_t size, int flags);
ssize_t seen_recv(int fd, void *data, size_t size, int flags)
{
    ssize_t n = sim_recv(fd, data, size, flags);
    if (n > 0 && !ends[fd % ENDS].is_client) {
        ends[fd % ENDS].letter = *(char *)data;
        note_bytes("the server has from", *(char *)data, data, n);
    }
    return n;
}

ssize_t sim_send(int fd, const void *data, size_t size, int flags);
ssize_t seen_send(int fd, const void *data, size_t size, int flags)
{
    ssize_t i, n = sim_send(fd, data, size, flags);
    const char *bytes = data;
    char what[64], letter = ends[fd % ENDS].letter;
    if (n <= 0 || ends[fd % ENDS].is_client)
        return n;
    note_bytes("the server sends to", letter, data, n);
    for (i = 0; i < n; i++) {
        if (bytes[i] == letter)
            continue;
        snprintf(what, sizeof what, "Client '%c' is sent a '%c'.", letter,
                 bytes[i]);
        fail(what);
    }
    return n;
}

/* In a task of its own: where both sides only write, each waits for the other
 * to read. */
async(sender, int fd; char letter; char data[SIZE];)
{
    async_begin;
    memset(self->data, self->letter, SIZE);
    await(async_write(self->fd, self->data, SIZE));
    async_end;
}

static void look(char letter, const char *data, ssize_t size)
{
    char what[64];
    ssize_t i;
    for (i = 0; i < size; i++) {
        if (data[i] == letter)
            continue;
        snprintf(what, sizeof what, "Client '%c' gets a '%c'.", letter,
                 data[i]);
        fail(what);
    }
}

/* After its time has come, sends its own letter `SIZE` times, and reads as
 * many bytes: all must be its own. */
async(client, int port; char letter; int64_t start_ms; int fd; size_t got;
      char data[SIZE];)
{
    ssize_t n;
    async_begin;
    await(async_sleep(self->start_ms));
    await(self->fd, async_connect("127.0.0.1", self->port));
    if (self->fd < 0)
        fail("A client cannot connect.");
    ends[self->fd % ENDS].is_client = 1;
    async_spawn(sender, self->fd, self->letter);
    while (self->got < SIZE) {
        await(n, async_read(self->fd, self->data, SIZE - self->got), 60000);
        if (n <= 0)
            fail("A client gets fewer bytes than it has sent.");
        look(self->letter, self->data, n);
        self->got += (size_t)n;
    }
    async_finally;
    if (async_close(self->fd) == 0)
        ends[self->fd % ENDS].is_client = 0;
    async_end;
}

AsyncTestWith(ex_11_1, each_gets_its_own,
              (.seeds = 200,
               .says = "Each client gets what it has sent, "
                       "in each of 200 worlds."),
              int listener, i; async_task server, clients[CLIENTS];)
{
    async_begin;
    memset(ends, 0, sizeof ends);
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    self->server = async_spawn(server, self->listener);
    for (self->i = 0; self->i < CLIENTS; self->i++)
        self->clients[self->i] = async_spawn(
            client, async_port(self->listener), (char)('a' + self->i),
            .start_ms = 5 * self->i);
    for (self->i = 0; self->i < CLIENTS; self->i++)
        await(async_join(self->clients[self->i]));
    async_finally;
    async_cancel(self->server);
    await(async_join(self->server));
    async_close(self->listener);
    async_end;
}
