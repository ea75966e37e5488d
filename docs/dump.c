/* The dump that README.md shows: a server with two clients, one of them in the middle of a call. */
#include "async.h"

async(query, int client; char line[64];)
{
    int n;
    async_begin;
    await(n, async_read(self->client, self->line, sizeof self->line));
    async_return(n);
    async_end;
}

async(session, int client;)
{
    int n;
    async_begin;
    async_name("session");
    await(n, async_call(query, .client = self->client), 5000);
    async_close(self->client);
    async_return(n);
    async_end;
}

async(statistics)
{
    async_begin;
    for (;;)
        await(async_sleep(60000));
    async_end;
}

async(server, int listener;)
{
    int client;
    async_begin;
    async_spawn(statistics);
    for (;;) {
        await(client, async_accept(self->listener));
        if (client < 0)
            async_return(client);
        async_spawn(session, .client = client);
    }
    async_end;
}

async(demo, int listener, a, b;)
{
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    async_spawn(server, .listener = self->listener);
    await(self->a, async_connect("127.0.0.1", async_port(self->listener)));
    await(async_sleep(700));
    await(self->b, async_connect("127.0.0.1", async_port(self->listener)));
    await(async_sleep(500));
    async_dump(stdout);
    async_end;
}

int main(void)
{
    return async_run(demo) < 0;
}
