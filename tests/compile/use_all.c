/* Every function and every macro of the API at least once, in C and in C++20: must compile without
 * a word in every dialect, link, run on every system, and end with 0. */
#define ASYNC_SHORT_NAMES /* for C++; C has them anyway */
#include "async.h"

#include <stdio.h>

#define SOCKET "use_all.socket" /* in the current directory: sun_path is short */

static int failures;

static void expect(int right, const char *words, int line)
{
    if (right)
        return;
    fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, line, words);
    failures++;
}

#define EXPECT(condition) expect(!!(condition), #condition, __LINE__)

/* ---- tasks and time ---- */

async(child, int64_t sleep_ms; int value;)
{
    async_begin;
    await(async_sleep(self->sleep_ms));
    async_return(self->value);
    async_finally;
    await(async_yield());
    async_end;
}

async_declare(declared, int value;);
async_define(declared)
{
    async_begin;
    await(async_sleep_until(async_now() + 1000));
    async_return(self->value);
    async_end;
}

struct by_hand {
    async_frame async_;
    int rounds;
};
async_define(by_hand)
{
    async_begin;
    for (; self->rounds > 0; self->rounds--)
        if (self->rounds & 1)
            await(async_yield());
        else
            await(async_sleep(0));
    async_end;
}

async_declare(bare);
async_define(bare)
{
    async_begin;
    await(async_yield());
    async_end;
}

async(tasks, async_task two[2]; async_task one; async_case cases[2]; int64_t start_ns;)
{
    ssize_t n;
    int small;
    long wide;
    async_begin;
    EXPECT(async_current_task() > 0);
    EXPECT(async_name("tasks") == 0);
    EXPECT(async_cancelled() == 0);
    self->two[0] = async_spawn(child, .sleep_ms = 60000, .value = 1);
    self->two[1] = async_keep(async_spawn(child, .value = 2));
    self->cases[0] = async_case_join(self->two[0]);
    self->cases[1] = async_case_join(self->two[1]);
    await(n, async_select(self->cases, 2));
    EXPECT(n == 1 && self->cases[1].result == 2);
    await(small, async_join(self->two[1]));
    EXPECT(small == -ESRCH);
    EXPECT(async_cancel(self->two[0]) == 0);
    await(wide, async_join_all(self->two, 2));
    EXPECT(wide == 0 || wide == -ECANCELED);
    await(n, async_join_children());
    EXPECT(n == 0);
    self->one = async_spawn(bare);
    EXPECT(async_detach(self->one) == 0);
    await(async_call(by_hand, .rounds = 3));
    await(n, async_shield(async_call(declared, .value = 7)), 60000);
    EXPECT(n == 7);
    self->start_ns = async_now();
    await(n, async_sleep(60000), 1);
    EXPECT(n == -ETIMEDOUT && async_now() - self->start_ns >= 1000000);
    async_end;
}

/* ---- descriptors ---- */

async(reader, int fd; char data[8]; struct iovec piece;)
{
    ssize_t n;
    async_begin;
    await(n, async_readable(self->fd));
    EXPECT(n == 0);
    await(n, async_read(self->fd, self->data, 2));
    EXPECT(n == 2);
    self->piece.iov_base = self->data + 2;
    self->piece.iov_len = sizeof self->data - 2;
    await(n, async_readv(self->fd, &self->piece, 1));
    EXPECT(n == 2 && memcmp(self->data, "pong", 4) == 0);
    async_return(n);
    async_end;
}

async(writer, int fd; struct iovec piece; char data[8];)
{
    ssize_t n;
    async_begin;
    memcpy(self->data, "pong", 4);
    await(n, async_writable(self->fd), 60000);
    EXPECT(n == 0);
    await(n, async_write(self->fd, self->data, 2));
    EXPECT(n == 2);
    self->piece.iov_base = self->data + 2;
    self->piece.iov_len = 2;
    await(n, async_writev(self->fd, &self->piece, 1));
    EXPECT(n == 2);
    async_end;
}

async(descriptors, int ends[2]; async_task both[2];)
{
    ssize_t n;
    async_begin;
    EXPECT(async_pipe(self->ends) == 0);
    self->both[0] = async_spawn(reader, .fd = self->ends[0]);
    self->both[1] = async_spawn(writer, .fd = self->ends[1]);
    await(n, async_join_all(self->both, 2), 60000);
    EXPECT(n == 0);
    EXPECT(async_release(self->ends[0]) == 0 && async_adopt(self->ends[0]) == self->ends[0]);
    EXPECT(async_close(self->ends[0]) == 0);
    EXPECT(async_close(self->ends[1]) == 0);
    EXPECT(async_adopt(-1) == -1);
    EXPECT(async_close(self->ends[1]) == -EBADF);
    async_end;
}

/* ---- sockets ---- */

async(accepter, int listener;)
{
    int fd;
    async_begin;
    await(fd, async_accept(self->listener), 60000);
    async_return(fd);
    async_end;
}

async(tcp, int listener; int client; async_task server; async_address address;)
{
    int fd;
    async_begin;
    await(fd, async_resolve("127.0.0.1", 0, &self->address, 1));
    EXPECT(fd == 1);
    self->listener = async_listen_at(&self->address, NULL);
    EXPECT(self->listener >= 0 && async_own_address(self->listener, &self->address) == 0);
    await(fd, async_listen_name("127.0.0.1", 0, NULL, &self->client, 1));
    EXPECT(fd == 1 && async_close(self->client) == 0);
    await(fd, async_connect_at(&self->address), 60000);
    EXPECT(fd >= 0 && async_close(fd) == 0);
    await(fd, async_accept(self->listener), 60000);
    EXPECT(fd >= 0 && async_close(fd) == 0);
    self->server = async_keep(async_spawn(accepter, .listener = self->listener));
    await(self->client, async_connect("127.0.0.1", async_port(self->listener)), 60000);
    EXPECT(self->client >= 0);
    await(fd, async_join(self->server));
    EXPECT(fd >= 0 && async_close(fd) == 0);
    async_close(self->client);
    async_close(self->listener);
    async_end;
}

async(local, int listener; int client; async_task server;)
{
    int fd;
    async_begin;
    unlink(SOCKET);
    self->listener = async_listen_unix(SOCKET);
    EXPECT(self->listener >= 0);
    self->server = async_keep(async_spawn(accepter, .listener = self->listener));
    await(self->client, async_connect_unix(SOCKET), 60000);
    EXPECT(self->client >= 0);
    await(fd, async_join(self->server));
    EXPECT(fd >= 0 && async_close(fd) == 0);
    async_close(self->client);
    async_close(self->listener);
    unlink(SOCKET);
    async_end;
}

/* ---- datagrams ---- */

async(datagrams, int server; int client; async_address from; async_address own; char data[8];)
{
    char text[ASYNC_ADDRESS_TEXT];
    ssize_t n;
    async_begin;
    self->server = async_bind_udp("127.0.0.1", 0, NULL);
    EXPECT(self->server >= 0);
    self->client = async_connect_udp("127.0.0.1", async_port(self->server));
    EXPECT(self->client >= 0);
    EXPECT(async_own_address(self->client, &self->own) == 0);
    EXPECT(async_peer_address(self->client, &self->from) == 0);
    EXPECT(async_address_print(&self->own, text, sizeof text) > 10);
    await(n, async_sendto(self->client, "ping", 4, NULL), 60000);
    EXPECT(n == 4);
    await(n, async_recvfrom(self->server, self->data, sizeof self->data, &self->from), 60000);
    EXPECT(n == 4 && self->from.is.v4.sin_port == self->own.is.v4.sin_port);
    EXPECT(async_sendto_nowait(self->server, "pong", 4, &self->from) == 4);
    await(n, async_readable(self->client), 60000);
    EXPECT(async_recvfrom_nowait(self->client, self->data, 8, NULL) == 4);
    async_close(self->client);
    async_close(self->server);
    async_end;
}

static void names(void)
{
    async_listen_options listen_options;
    async_address address;
    int fd;
    memset(&listen_options, 0, sizeof listen_options);
    listen_options.backlog = 16;
    fd = async_listen("127.0.0.1", 0);
    EXPECT(fd >= 0 && async_close(fd) == 0);
    fd = async_listen_with("127.0.0.1", 0, &listen_options);
    EXPECT(fd >= 0 && async_close(fd) == 0);
    fd = async_bind_unix(NULL);
    EXPECT(fd >= 0 && async_close(fd) == 0);
    EXPECT(async_address_parse(&address, "::1", 80) == 0);
    EXPECT(async_address_unix(&address, SOCKET) == 0);
}

/* ---- streams ---- */

static char letters[] = "ab\n";

async(streams, int ends[2]; async_stream *left; async_stream *right; char data[8];)
{
    struct iovec pieces[2];
    ssize_t n;
    async_begin;
    EXPECT(async_socketpair(self->ends) == 0);
    self->left = async_stream_open(self->ends[0]);
    self->right = async_stream_open(self->ends[1]);
    EXPECT(self->left && self->right);
    EXPECT(async_stream_write(self->left, "ping", 4) == 0);
    await(n, async_stream_flush(self->left), 60000);
    EXPECT(n == 0);
    await(n, async_stream_read(self->right, self->data, sizeof self->data));
    EXPECT(n == 4);
    pieces[0].iov_base = pieces[1].iov_base = letters;
    pieces[0].iov_len = pieces[1].iov_len = 3;
    EXPECT(async_stream_set_limits(self->left, 65536, 16384) == 0);
    EXPECT(async_stream_writev(self->left, pieces, 2) == 0);
    EXPECT(async_stream_write_eof(self->left) == 0);
    await(n, async_stream_read_exactly(self->right, self->data, 1), 60000);
    EXPECT(n == 1);
    await(n, async_stream_read_until(self->right, self->data, sizeof self->data, "\na", 2), 60000);
    EXPECT(n == 3);
    await(n, async_stream_read_line(self->right, self->data, sizeof self->data), 60000);
    EXPECT(n == 2 && strcmp(self->data, "b\n") == 0);
    EXPECT(async_stream_close(self->left) == 0);
    await(n, async_stream_wait_closed(self->right), 60000);
    EXPECT(n == 0);
    async_end;
}

/* ---- callbacks ---- */

static int called;
static int pair[2];
static async_handle readable, every;

static void on_data(async_stream *stream, const char *data, ssize_t size)
{
    EXPECT(size == 4 && memcmp(data, "data", 4) == 0);
    called |= 1;
    async_stream_close(stream);
}

static void on_written(async_stream *stream, int status)
{
    (void)stream;
    EXPECT(status == 0);
    called |= 2;
}

static void on_close(async_stream *stream, int status)
{
    (void)stream;
    EXPECT(status == 0);
    called |= 4;
}

static void on_readable(int fd, void *data)
{
    char byte[8];
    ssize_t n = async_read_nowait(fd, byte, sizeof byte);
    EXPECT(n == 4 || n == -EAGAIN);
    if (n == 4) {
        EXPECT(async_write_nowait(fd, byte, 4) == 4);
        *(int *)data |= 8;
        EXPECT(async_cancel(readable) == 0);
        EXPECT(async_close(fd) == 0);
    }
}

static void on_writable(int fd, void *data)
{
    EXPECT(async_accept_nowait(fd) < 0);
    *(int *)data |= 16;
    async_close(fd);
}

static void on_every(void *data)
{
    *(int *)data |= 32;
    async_cancel(every);
}

static void on_soon(void *data)
{
    *(int *)data |= 64;
}

static void on_after(void *data)
{
    *(int *)data |= 128;
}

static void callbacks(void)
{
    int other[2];
    async_stream *stream;
    EXPECT(async_socketpair(pair) == 0);
    EXPECT(async_pipe(other) == 0);
    stream = async_stream_open(pair[0]);
    EXPECT(async_stream_on_data(stream, on_data) == 0);
    EXPECT(async_stream_on_written(stream, on_written) == 0);
    EXPECT(async_stream_on_close(stream, on_close) == 0);
    EXPECT(async_stream_write(stream, "data", 4) == 0);
    readable = async_on_readable(pair[1], &called, on_readable);
    EXPECT(readable > 0);
    EXPECT(async_on_writable(other[1], &called, on_writable) > 0);
    every = async_every(1, &called, on_every);
    EXPECT(every > 0);
    EXPECT(async_soon(&called, on_soon) > 0);
    EXPECT(async_after(1, &called, on_after) > 0);
    EXPECT(async_loop_run() == 0);
    EXPECT(called == 255);
}

/* ---- between tasks ---- */

async(partner, async_channel *channel; async_event *event; int item;)
{
    async_begin;
    await(async_event_wait(self->event));
    self->item = 7;
    await(async_channel_send(self->channel, &self->item));
    async_end;
}

async(between, async_channel channel; async_event event; async_semaphore semaphore;
      async_mutex mutex; int held[2]; int item; async_case cases[6];)
{
    int n;
    async_begin;
    async_channel_init(&self->channel, self->held, sizeof self->held[0], 2);
    async_semaphore_init(&self->semaphore, 1);
    await(n, async_semaphore_acquire(&self->semaphore), 1000);
    EXPECT(n == 0 && async_semaphore_acquire_nowait(&self->semaphore) == -EAGAIN);
    await(async_mutex_lock(&self->mutex));
    EXPECT(async_mutex_lock_nowait(&self->mutex) == -EDEADLK);
    EXPECT(async_channel_receive_nowait(&self->channel, &self->item) == -EAGAIN);
    self->cases[0] = async_case_event(&self->event);
    self->cases[1] = async_case_semaphore(&self->semaphore);
    self->cases[2] = async_case_mutex(&self->mutex);
    self->cases[3] = async_case_receive(&self->channel, &self->item);
    self->cases[4] = async_case_join(
        async_spawn(partner, .channel = &self->channel, .event = &self->event));
    self->cases[5] = async_case_send(&self->channel, &self->item);
    await(n, async_select(self->cases, 5), 1);
    EXPECT(n == 2 && self->cases[2].result == -EDEADLK);
    async_event_set(&self->event);
    EXPECT(async_event_is_set(&self->event));
    await(n, async_channel_receive(&self->channel, &self->item));
    EXPECT(n == 1 && self->item == 7);
    async_event_clear(&self->event);
    async_semaphore_release(&self->semaphore);
    EXPECT(async_mutex_unlock(&self->mutex) == 0);
    EXPECT(async_channel_send_nowait(&self->channel, &self->item) == 0);
    async_channel_close(&self->channel);
    async_end;
}

/* ---- signals ---- */

static void on_signal(int signo, void *context)
{
    *(int *)context += signo == SIGUSR2;
}

async(signals, async_handle usr1; async_case cases[1]; int count;)
{
    int n;
    async_begin;
    self->usr1 = async_catch_signal(SIGUSR1);
    EXPECT(async_on_signal(SIGUSR2, &self->count, on_signal) > 0);
    kill(getpid(), SIGUSR2);
    kill(getpid(), SIGUSR1);
    await(n, async_signal(self->usr1));
    EXPECT(n == SIGUSR1 && self->count == 1);
    self->cases[0] = async_case_signal(self->usr1);
    kill(getpid(), SIGUSR1);
    await(n, async_select(self->cases, 1));
    EXPECT(n == 0 && self->cases[0].result == SIGUSR1);
    EXPECT(async_cancel(self->usr1) == 0);
    async_end;
}

/* ---- child processes ---- */

async(processes, const char *arguments[4]; async_process_options options; async_process child;
      async_case cases[1]; char data[8];)
{
    int n;
    async_begin;
    self->arguments[0] = "sh";
    self->arguments[1] = "-c";
    self->arguments[2] = "echo hello; exit 3";
    self->options.out = ASYNC_TO_PIPE;
    EXPECT(async_process_start(&self->child, self->arguments, &self->options) == 0);
    await(n, async_read(self->child.out, self->data, sizeof self->data));
    EXPECT(n == 6);
    self->cases[0] = async_case_process(&self->child);
    await(n, async_select(self->cases, 1));
    EXPECT(n == 0 && self->cases[0].result == 3);
    await(n, async_process_wait(&self->child));
    EXPECT(n == -ESRCH && async_process_kill(&self->child, 0) == -ESRCH);
    EXPECT(async_close(self->child.out) == 0);
    async_end;
}

/* ---- threads ---- */

static async_result answers(void *data)
{
    return *(int *)data;
}

static void on_post(void *data)
{
    async_event_set((async_event *)data);
}

async(threads, int answer; async_event posted;)
{
    int n;
    async_begin;
    self->answer = 42;
    await(n, async_offload(answers, &self->answer));
    EXPECT(n == 42);
    EXPECT(async_post(async_loop_share(), &self->posted, on_post) == 0);
    await(n, async_event_wait(&self->posted), 60000);
    EXPECT(n == 0);
    async_end;
}

/* ---- the loop ---- */

async(main_task, int argc;)
{
    async_begin;
    EXPECT(self->argc > 0);
    await(async_call(tasks));
    await(async_call(descriptors));
    await(async_call(tcp));
    await(async_call(local));
    await(async_call(datagrams));
    await(async_call(streams));
    await(async_call(between));
    await(async_call(signals));
    await(async_call(processes));
    await(async_call(threads));
    if (self->argc > 1)
        async_dump(stdout);
    async_end;
}

static void loop(void)
{
    async_options options;
    memset(&options, 0, sizeof options);
    options.keep_sigpipe = 1;
    EXPECT(async_open(&options) == 0);
    EXPECT(async_loop_backend() != NULL);
    EXPECT(async_loop_descriptor() >= -ENOTSUP);
    EXPECT(async_loop_timeout() == -1);
    names();
    callbacks();
    EXPECT(async_soon(&called, on_soon) > 0);
    EXPECT(async_loop_run_once(0) == 1);
    async_loop_stop();
    EXPECT(async_loop_run() == 0);
    EXPECT(async_loop_close() == 0);
}

int main(int argc, char **argv)
{
    (void)argv;
    loop();
    EXPECT(async_run(main_task, .argc = argc) == 0);
    return failures != 0;
}
