/* pong with callbacks: it sends each client's message back and hangs up. A
 * connection is cut into pieces, one for each thing that it has to wait for.
 * pong_coroutine.c is the same server with coroutines; read them side by side:
 *
 *     cc -I. examples/pong_callback.c -o pong && ./pong 7000
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
static void on_close(async_stream *client, int status)
{
    (void)client, (void)status;
    left();
}

static void on_written(async_stream *client, int status)
{
    (void)status;
    async_stream_close(client);
}

static void on_data(async_stream *client,
                    const char *data, ssize_t n)
{
    async_stream_on_data(client, NULL);
    async_stream_on_written(client, on_written);
    if (n <= 0 ||
        async_stream_write(client, data, (size_t)n) < 0)
        async_stream_close(client);
}

static void on_client(int listener, void *data)
{
    int fd = async_accept_nowait(listener);
    async_stream *client = async_stream_open(fd);
    (void)data;
    if (!client) {
        async_close(fd);
        return;
    }
    arrived();
    async_stream_on_close(client, on_close);
    if (async_stream_on_data(client, on_data) < 0)
        async_stream_close(client);
}

static int start(int port)
{
    int listener = async_listen("127.0.0.1", port);
    if (listener < 0)
        return listener;
    printf("listening on port %d\n", async_port(listener));
    return async_on_readable(listener, NULL, on_client) < 0 ? -ENOMEM : 0;
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
