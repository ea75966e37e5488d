/* ping, the client of pong: sends a message and shows what comes back, COUNT
 * times; or CLIENTS connect at once, and when all have, each sends.
 *
 *     cc -I. examples/ping.c -o ping && ./ping 127.0.0.1 7000 hello 3
 *     ./ping 127.0.0.1 7000 hello 1 1000
 */
#include "async.h"
#include <sys/resource.h>
static int connected, same;
static async_event all_connected;

/* One exchange: connect, send, read until the server hangs up. */
async(exchange, const char *host; int port, fd; const char *message;
      int clients; size_t got; char reply[512];)
{
    ssize_t n;
    async_begin;
    await(self->fd, async_connect(self->host, self->port), 10000);
    if (++connected >= self->clients)
        async_event_set(&all_connected);
    if (self->fd < 0)
        async_return(self->fd);
    await(async_event_wait(&all_connected));
    await(n, async_write(self->fd, self->message, strlen(self->message)));
    while (n > 0 && self->got < sizeof self->reply) {
        await(n, async_read(self->fd, self->reply + self->got,
                            sizeof self->reply - self->got), 10000);
        if (n > 0)
            self->got += (size_t)n;
    }
    if (n < 0)
        async_return(n);
    if (!self->clients)
        printf("-> %s\n<- %.*s\n", self->message, (int)self->got, self->reply);
    if (self->got == strlen(self->message))
        same += memcmp(self->reply, self->message, self->got) == 0;
    async_finally;
    async_close(self->fd);
    async_end;
}

/* All at once. A task's children are cancelled when it ends: wait for them. */
async(crowd, const char *host; int port; const char *message;
      int clients, i; async_task *tasks;)
{
    int n;
    async_begin;
    self->tasks = calloc((size_t)self->clients, sizeof *self->tasks);
    if (!self->tasks)
        async_return(-ENOMEM);
    connected = same = 0;
    async_event_clear(&all_connected);
    for (self->i = 0; self->i < self->clients; self->i++)
        self->tasks[self->i] = async_spawn(
            exchange, .host = self->host, .port = self->port,
            .message = self->message, .clients = self->clients);
    await(n, async_join_all(self->tasks, (size_t)self->clients));
    printf("%d clients at once: %d got the same bytes back\n", self->clients,
           same);
    async_return(n);
    async_finally;
    free(self->tasks);
    async_end;
}

async(ping, const char *host; int port; const char *message;
      int count, clients;)
{
    int n;
    async_begin;
    for (; self->count > 0; self->count--) {
        if (self->clients)
            await(n, async_call(crowd, .host = self->host, .port = self->port,
                     .message = self->message, .clients = self->clients));
        else
            await(n, async_call(exchange, .host = self->host,
                     .port = self->port, .message = self->message));
        if (n < 0)
            async_return(n);
    }
    async_end;
}

static int number(const char *text) /* from 1 to 65535, else 0 */
{
    char *end;
    long value = strtol(text, &end, 10);
    return *text && !*end && value > 0 && value < 65536 ? (int)value : 0;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    int port = argc > 2 ? number(argv[2]) : 0, error;
    int count = argc > 4 ? number(argv[4]) : 1;
    int clients = argc > 5 ? number(argv[5]) : 0;
    if (argc < 4 || argc > 6 || !port || !count || (argc > 5 && !clients)) {
        fprintf(stderr, "usage: ping ADDRESS PORT MESSAGE [COUNT [CLIENTS]]\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    error = (int)async_run(ping, .host = argv[1], .port = port, .count = count,
                           .message = argv[3], .clients = clients);
    if (error < 0)
        fprintf(stderr, "ping: %s\n", strerror(-error));
    else if (same != (clients ? clients : count))
        fprintf(stderr, "ping: not all came back the same\n");
    return error < 0 || same != (clients ? clients : count);
}
