/* pong with coroutines: it sends each client's message back and hangs up. A
 * connection is one function, read from top to bottom. pong_callback.c is the
 * same server with callbacks; read them side by side:
 *
 *     cc -I. examples/pong_coroutine.c -o pong && ./pong 7000
 *     diff -y -W 165 examples/pong_callback.c examples/pong_coroutine.c
 */
#include "async.h"
#include <sys/resource.h>

static int connections, most;

static void arrived(void)
{
    if (++connections > most)
        most = connections;
}

static void left(void)
{
    if (--connections == 0)
        printf("idle; most connections at one moment: %d\n", most);
}

/* [pong] */
async(pong, async_stream *client; char data[4096];)
{
    ssize_t n;
    async_begin;
    arrived();
    await(n, async_stream_read(self->client,
                       self->data, sizeof self->data));
    if (n > 0)
        async_stream_write(self->client,
                           self->data, (size_t)n);
    await(async_stream_flush(self->client));
    async_finally;
    await(async_stream_wait_closed(self->client));
    left();
    async_end;
}

async(server, int listener;)
{
    async_stream *client;
    int fd;
    async_begin;
    for (;;) {
        await(fd, async_accept(self->listener));
        if (fd < 0)
            async_return(fd);
        client = async_stream_open(fd);
        if (!client)
            async_close(fd);
        else if (async_spawn(pong, .client = client) < 0)
            async_stream_close(client);
    }
    async_end;
}

static int start(int port)
{
    int listener = async_listen("127.0.0.1", port);
    if (listener < 0)
        return listener;
    printf("listening on port %d\n", async_port(listener));
    return async_spawn(server, .listener = listener) < 0 ? -ENOMEM : 0;
}
/* [/pong] */

/* As many descriptors as the system lets us have. */
static void raise_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    char *end = "";
    long port = argc > 1 ? strtol(argv[1], &end, 10) : 7000;
    int error;
    if (argc > 2 || *end || port < 0 || port > 65535) {
        fprintf(stderr, "usage: pong [PORT]\n");
        return 2;
    }
    raise_limit();
    setvbuf(stdout, NULL, _IOLBF, 0);
    error = async_open(NULL);
    if (!error)
        error = start((int)port);
    if (!error)
        error = async_loop_run();
    async_loop_close();
    if (error)
        fprintf(stderr, "pong: port %ld: %s\n", port, strerror(-error));
    return error != 0;
}
