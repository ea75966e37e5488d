/* echo: sends back what it gets, on every core. Each thread has a loop and a
 * listener; they share one port, and the system divides what comes, also among
 * processes: start it twice, and both listen. Where it cannot
 * (-DASYNC_HAS_REUSEPORT=0 plays that), one thread accepts and posts to all in
 * turn. A client that does not read is not read from. SIGTERM, SIGINT: what was
 * read is sent back; who takes nothing for 5 s is cut off.
 *     cc -O2 -I. examples/echo.c -pthread -o echo && ./echo 7000 2
 *     echo hello | nc -N 127.0.0.1 7000
 */
#include "async.h"
#include "number.h"
enum { IDLE_MS = 300000, MOST = 256, SHARES = ASYNC_HAS_REUSEPORT };
static struct worker {
    pthread_t thread;
    async_loop *loop;
} workers[MOST];
static int port = 7000, threads, started[2];

async(echo, async_stream *client; char data[4096];)
{
    ssize_t n;
    async_begin;
    do {
        await(n, async_stream_read(self->client, self->data,
                                   sizeof self->data), IDLE_MS);
        if (n <= 0 || async_stream_write(self->client, self->data, (size_t)n))
            break;
        await(n, async_stream_flush(self->client), IDLE_MS);
    } while (n == 0);
    async_finally;
    await(async_stream_wait_closed(self->client));
    async_end;
}

/* These two are posted to a worker's loop: there the client is adopted anew. */
static void on_client(void *data)
{
    int fd = (int)(intptr_t)data;
    async_stream *client = async_stream_open(async_adopt(fd));
    if (client && async_spawn(echo, .client = client) >= 0)
        return;
    if (async_stream_close(client) < 0 && async_close(fd) < 0)
        close(fd); /* not even adopted */
}
static void on_stop(void *unused) { (void)unused, async_loop_stop(); }

async(accepting, struct worker *me; int listener, next;)
{
    struct worker *to;
    int fd;
    async_begin;
    for (;;) {
        await(fd, async_accept(self->listener));
        to = SHARES ? self->me : &workers[self->next];
        self->next = (self->next + 1) % threads;
        if (async_release(fd) < 0) /* whoever gets it adopts it */
            await(async_sleep(100)); /* there is none, for lack of memory */
        else if (async_post(to->loop, (void *)(intptr_t)fd, on_client) < 0)
            close(fd);
    }
    async_end;
}

static void check(int error)
{
    if (error < 0) {
        fprintf(stderr, "echo: %s\n", strerror(-error));
        exit(1);
    }
}

static void *run(void *data)
{
    async_listen_options options = {.share_port = SHARES};
    struct worker *me = (struct worker *)data;
    int listener;
    check(async_open(NULL));
    me->loop = async_loop_share();
    if (SHARES || me == workers) { /* the last to start */
        check(listener = async_listen_with("127.0.0.1", port, &options));
        check(port = async_port(listener));
        check(async_spawn(accepting, me, listener) < 0 ? -ENOMEM : 0);
    }
    check(me->loop && write(started[1], "", 1) == 1 ? 0 : -ENOMEM);
    check(async_loop_run());
    async_loop_close(); /* cancels the tasks, which send what they have */
    return NULL;
}

/* All that the main thread's own loop does. */
async(until_signal, async_case signals[2];)
{
    async_begin;
    self->signals[0] = async_case_signal(async_catch_signal(SIGTERM));
    self->signals[1] = async_case_signal(async_catch_signal(SIGINT));
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
    await(async_select(self->signals, 2));
    async_end;
}

int main(int argc, char **argv)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    char byte;
    int i;
    threads = cores < MOST ? (int)cores : MOST;
    if (argc > 3 ||
        (argc > 1 && read_number(&port, "PORT", argv[1], 0, 65535)) ||
        (argc > 2 && read_number(&threads, "THREADS", argv[2], 1, MOST)))
        return fprintf(stderr, "usage: echo [PORT [THREADS]]\n"), 2;
    check(pipe(started) < 0 ? -errno : 0);
    for (i = threads; i-- > 0;) {
        check(-pthread_create(&workers[i].thread, NULL, run, &workers[i]));
        check(read(started[0], &byte, 1) < 1 ? -errno : 0);
    }
    check((int)async_run(until_signal));
    for (i = 0; i < threads; i++) { /* first the one that posts to all */
        async_post(workers[i].loop, NULL, on_stop);
        pthread_join(workers[i].thread, NULL);
    }
    return 0;
}
