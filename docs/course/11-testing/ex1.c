/* 11.1  This server returns what each client sends: in most worlds, not in all.
 * The check names a world in which it does not. To replay it, put the two
 * variables before
 *     build/learn/ex1.11.plain
 * Read its last events, find the bug, repair it. Some of them say what the
 * server has received from which client, and what it sends to which. (What
 * stands at the right, "in async__...", is a place in async.h: never mind.) */
#include "async.h"

/* TODO: find out when a client gets what another one has sent. */
async(echo, int client;)
{
    static char data[64];
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->client, data, sizeof data));
        if (n <= 0)
            break;
        await(n, async_write(self->client, data, (size_t)n));
        if (n < 0)
            break;
    }
    async_finally;
    async_close(self->client);
    async_end;
}
/* END */

async(server, int listener;)
{
    int client;
    async_begin;
    for (;;) {
        await(client, async_accept(self->listener));
        if (client < 0)
            async_return(client);
        if (async_spawn(echo, client) < 0)
            async_close(client);
    }
    async_end;
}
