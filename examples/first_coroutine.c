#include "async.h"

async(pong, int client; char data[4096];)
{
    ssize_t n;
    async_begin;
    await(n, async_read(self->client,
                self->data, sizeof self->data));
    if (n > 0)
        await(n, async_write(self->client,
                    self->data, (size_t)n));
    async_close(self->client);
    async_end;
}

async(server, int listener;)
{
    int client;
    async_begin;
    self->listener = async_listen(NULL, 7000);
    for (;;) {
        await(client,
              async_accept(self->listener));
        if (client < 0)
            async_return(client);
        if (async_spawn(pong,
                        .client = client) < 0)
            async_close(client);
    }
    async_end;
}

int main(void)
{
    int error = (int)async_run(server);
    puts(strerror(-error));
    return 1;
}
