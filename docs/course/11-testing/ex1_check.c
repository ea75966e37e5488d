#include "async_sim.h" /* the kit's own: which world this is */
#include "async_test.h"

#include "ex1.c"

enum { CLIENTS = 3, SIZE = 40 };

static void fail(const char *what)
{
    async_test_fail(__FILE__, __LINE__,
                    "%s ASYNC_BACKEND=%s ASYNC_SEED=0x%llx replays it.", what,
                    async_loop_backend(), (unsigned long long)sim.seed);
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
    async_spawn(sender, self->fd, self->letter);
    while (self->got < SIZE) {
        await(n, async_read(self->fd, self->data, SIZE - self->got), 60000);
        if (n <= 0)
            fail("A client gets fewer bytes than it has sent.");
        look(self->letter, self->data, n);
        self->got += (size_t)n;
    }
    async_finally;
    async_close(self->fd);
    async_end;
}

AsyncTestWith(ex_11_1, each_gets_its_own,
              (.seeds = 200,
               .says = "Each client gets what it has sent, "
                       "in each of 200 worlds."),
              int listener, i; async_task server, clients[CLIENTS];)
{
    async_begin;
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
