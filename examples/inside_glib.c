/* inside_glib: async.h's loop as one source of GLib's main loop. GLib's timer
 * and the tasks run side by side in one thread; each client is told once a
 * second, by its task, how often the timer has ticked. So it goes with GTK.
 *
 *     cc -I. examples/inside_glib.c $(pkg-config --cflags --libs glib-2.0) \
 *         -o inside_glib && ./inside_glib 7000
 *     nc 127.0.0.1 7000
 */
#include "async.h"
#include "number.h"
#include <glib-unix.h>

typedef struct source { /* it watches one descriptor and one deadline */
    GSource is;
    void *tag;
} source;

static gboolean prepare(GSource *unused, int *timeout_ms)
{
    int64_t ms = async_loop_timeout();
    *timeout_ms = ms > INT_MAX ? INT_MAX : (int)ms;
    return (void)unused, ms == 0;
}

static gboolean check(GSource *it)
{
    return g_source_query_unix_fd(it, ((source *)it)->tag) != 0 ||
           async_loop_timeout() == 0;
}

static gboolean dispatch(GSource *it, GSourceFunc callback, void *data)
{
    int n = async_loop_run_once(0);
    (void)it, (void)callback, (void)data;
    if (n < 0)
        fprintf(stderr, "inside_glib: %s\n", strerror(-n));
    return n < 0 ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static int attach(void)
{
    static GSourceFuncs functions = {.prepare = prepare, .check = check,
                                     .dispatch = dispatch};
    int fd = async_loop_descriptor();
    GSource *it;
    if (fd < 0)
        return fd; /* the backend "poll" has none */
    it = g_source_new(&functions, sizeof(source));
    ((source *)it)->tag = g_source_add_unix_fd(it, fd, G_IO_IN);
    g_source_attach(it, NULL);
    g_source_unref(it);
    return 0;
}

static int ticks;

async(session, async_stream *client; char line[32];)
{
    int n;
    async_begin;
    do {
        snprintf(self->line, sizeof self->line, "%d ticks\n", ticks);
        async_stream_write(self->client, self->line, strlen(self->line));
        await(n, async_stream_flush(self->client), 10000);
        if (n == 0)
            await(n, async_sleep(1000));
    } while (n == 0);
    async_finally;
    await(async_stream_wait_closed(self->client));
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
        else if (async_spawn(session, .client = client) < 0)
            async_stream_close(client);
    }
    async_end;
}

static gboolean tick(void *unused)
{
    (void)unused;
    printf("tick %d\n", ++ticks);
    fflush(stdout);
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    int listener, port, tick_ms = 250, error = async_open(NULL);
    if (argc < 2 || argc > 3 || read_number(&port, "PORT", argv[1], 0, 65535) ||
        (argc > 2 && read_number(&tick_ms, "TICK_MS", argv[2], 1, NUMBER_MAX)))
        return fprintf(stderr, "usage: inside_glib PORT [TICK_MS]\n"), 2;
    listener = error ? error : async_listen("127.0.0.1", port);
    if (!error)
        error = listener < 0 ? listener : attach();
    if (!error && async_spawn(server, .listener = listener) < 0)
        error = -ENOMEM;
    if (error)
        return fprintf(stderr, "inside_glib: %s\n", strerror(-error)), 1;
    printf("listening on 127.0.0.1:%d\n", async_port(listener));
    fflush(stdout);
    g_timeout_add((guint)tick_ms, tick, NULL);
    g_unix_signal_add(SIGTERM, G_SOURCE_FUNC(g_main_loop_quit), loop);
    g_unix_signal_add(SIGINT, G_SOURCE_FUNC(g_main_loop_quit), loop);
    g_main_loop_run(loop);
    g_main_loop_unref(loop);
    return async_loop_close() != 0;
}
