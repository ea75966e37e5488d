#include "async.h"

async(pong, int client; char data[4096];)
{
    ssize_t n;
    async_begin;
    await(n, async_read(self->client, self->data, sizeof self->data), 5000);
    if (n > 0)
        await(n, async_write(self->client, self->data, (size_t)n));
    async_close(self->client);
    async_end;
}

async(server, int listener;)
{
    int client;
    async_begin;
    self->listener = async_listen("127.0.0.1", 7000);
    for (;;) {
        await(client, async_accept(self->listener));
        if (client < 0)
            async_return(client);
        if (async_spawn(pong, .client = client) < 0)
            async_close(client);
    }
    async_end;
}

int main(void) { return async_run(server) < 0; }
