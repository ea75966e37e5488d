/*
 * Each system call that async.h makes fails with each errno of its manual page.
 *
 * The bodies are small and calm, and together come by every call site of the header, those in the
 * paths of errors too: what must fail first, fails by sim_fail_next. Torture then does the rest.
 * What is asserted is what every such world is judged by: no hang, no crash, nothing left, and the
 * outcome either what it should be or a reported error.
 */
#include "async_test.h"

static char much[100000];

#define TORTURE (.torture = 1, .faults = SIM_CALM)

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* ----------------------------------------------------------------------------
 * MARK: - Adopting and giving back
 * ------------------------------------------------------------------------- */
static int is_blocking(int fd)
{
    return !(sim_fcntl(fd, F_GETFL) & O_NONBLOCK);
}

/* Two numbers of one socket: the flag goes with the last. */
AsyncTestBare(torture, adopted_descriptors_are_given_back_as_they_were, TORTURE)
{
    int ends[2], tcp[2], twin, first, second;
    sim_socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    sim_tcp_pair(tcp);
    twin = sim_dup(ends[0]);
    if (async_open(NULL) == 0) {
        first = async_adopt(ends[0]);
        second = async_adopt(twin);
        async_adopt(tcp[0]);
        cr_assert(sim_shows_errors() || (first == ends[0] && second == twin));
        if (first >= 0)
            async_close(ends[0]);
        else
            sim_close(ends[0]);
        async_loop_close();
    } else {
        sim_close(ends[0]);
    }
    sim_close(twin);
    sim_close(ends[1]);
    sim_close(tcp[0]);
    sim_close(tcp[1]);
}

/* A child was to have one of them: both keep that when the loop closes. */
AsyncTestBare(torture, several_numbers_of_one_file_share_its_flag, TORTURE)
{
    int ends[2], twin;
    sim_pipe2(ends, O_CLOEXEC);
    twin = sim_dup(ends[0]);
    if (async_open(NULL) == 0) {
        async_adopt(ends[0]);
        async_adopt(twin);
        async_adopt(ends[1]);
        async_loop_close();
    }
    cr_assert(sim_shows_errors() || (is_blocking(ends[0]) && is_blocking(ends[1])));
    sim_close(twin);
    sim_close(ends[0]);
    sim_close(ends[1]);
}

/* ----------------------------------------------------------------------------
 * MARK: - What is made fails half-way
 * ------------------------------------------------------------------------- */
AsyncTestWith(torture, a_pair_that_cannot_be_watched_is_closed,
              (.torture = 1, .faults = SIM_CALM, .backends = SIM_EPOLL), int ends[2]; int fd;)
{
    async_begin;
    sim_fail_next(epoll_ctl, ENOSPC);
    self->fd = async_socketpair(self->ends);
    if (self->fd == 0) {
        async_close(self->ends[0]);
        async_close(self->ends[1]);
    }
    cr_assert(self->fd == -ENOSPC || sim_shows_errors());
    async_end;
}

AsyncTestWith(torture, a_pair_whose_second_end_cannot_be_watched_is_closed,
              (.torture = 1, .faults = SIM_CALM, .backends = SIM_EPOLL), int ends[2]; int fd;)
{
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    async_ok(async_pipe(self->ends));
    sim_limit(0); /* the next does not come so far */
    self->fd = async_socketpair(self->ends);
    cr_assert(self->fd == -EMFILE || sim_shows_errors());
    async_finally;
    sim_limit(-1);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* Where the system has no pipe2, the flags are set by calls of their own. */
AsyncTestWith(torture, a_pipe_whose_flags_cannot_be_set_is_closed, TORTURE, int ends[2];)
{
    int result;
    async_begin;
    sim_fail_next(fcntl, EACCES);
    result = async_pipe(self->ends);
    if (result == 0) {
        async_close(self->ends[0]);
        async_close(self->ends[1]);
    }
    cr_assert(result == (ASYNC_HAS_PIPE2 ? 0 : -EACCES) || sim_shows_errors());
    async_end;
}

AsyncTestWith(torture, a_listener_that_cannot_be_had_is_closed, TORTURE, int first; int second;)
{
    async_begin;
    self->first = self->second = -1;
    self->first = async_listen("127.0.0.1", 7000);
    async_ok(self->first);
    self->second = async_listen("127.0.0.1", 7000);
    cr_assert(self->second == -EADDRINUSE || sim_shows_errors());
    async_finally;
    async_close(self->second);
    async_close(self->first);
    async_end;
}

AsyncTestWith(torture, a_connection_that_cannot_be_had_is_closed, TORTURE, int fd; int local;
              int listener;)
{
    int fd;
    async_begin;
    self->fd = self->local = self->listener = -1;
    await(self->fd, async_connect("127.0.0.1", 7000), 1000);
    cr_assert(self->fd == -ECONNREFUSED || sim_shows_errors());
    await(self->local, async_connect_unix("/nowhere"), 1000);
    cr_assert(self->local == -ENOENT || sim_shows_errors());
    sim_fail_next(connect, EADDRNOTAVAIL);
    await(fd, async_connect("127.0.0.1", 7000), 1000);
    cr_assert(fd == -EADDRNOTAVAIL || sim_shows_errors());
    async_close(fd);
    async_finally;
    async_close(self->fd);
    async_close(self->local);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Connections
 * ------------------------------------------------------------------------- */
async(serves, int listener; int fd; char data[64];)
{
    ssize_t n = 0;
    async_begin;
    self->fd = -1;
    await(self->fd, async_accept(self->listener));
    while (self->fd >= 0) {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        if (n <= 0)
            break;
        await(n, async_write(self->fd, self->data, (size_t)n));
        if (n < 0)
            break;
    }
    async_finally;
    async_close(self->fd);
    async_end;
}

/* Not forever: a reply that was lost with an injected error never comes. */
#define LIMIT 60000

AsyncTestWith(torture, a_connection_over_TCP, TORTURE, int listener; int fd; async_task server;
              char got[16]; struct iovec pieces[2];)
{
    ssize_t n;
    async_begin;
    self->fd = -1;
    self->listener = async_listen(NULL, 0);
    async_ok(self->listener);
    async_ok(async_port(self->listener));
    self->server = async_spawn(serves, .listener = self->listener);
    async_ok(self->server);
    await(self->fd, async_connect("127.0.0.1", async_port(self->listener)), LIMIT);
    async_ok(self->fd);
    self->pieces[0].iov_base = self->got;
    self->pieces[0].iov_len = 2;
    self->pieces[1].iov_base = self->got + 8;
    self->pieces[1].iov_len = 2;
    memcpy(self->got, "ab", 2);
    memcpy(self->got + 8, "cd", 2);
    await(n, async_writev(self->fd, self->pieces, 2), LIMIT);
    async_ok(n);
    memset(self->got, 0, sizeof self->got);
    await(n, async_readv(self->fd, self->pieces, 2), LIMIT);
    async_ok(n);
    cr_assert(n == 4 || sim_shows_errors());
    await(n, async_write(self->fd, "e", 1), LIMIT);
    async_ok(n);
    await(n, async_read(self->fd, self->got, 4), LIMIT);
    async_ok(n);
    async_finally;
    async_close(self->fd);
    async_close(self->listener);
    async_end;
}

/* The backlog is full at the first attempt, and has room at the next. */
AsyncTestWith(torture, a_connection_over_a_Unix_socket, TORTURE, int listener; int fd;
              async_task server; char got[16];)
{
    ssize_t n;
    async_begin;
    self->fd = -1;
    self->listener = async_listen_unix("/tmp/here");
    async_ok(self->listener);
    self->server = async_spawn(serves, .listener = self->listener);
    async_ok(self->server);
    sim_fail_next(connect, EAGAIN);
    await(self->fd, async_connect_unix("/tmp/here"), LIMIT);
    async_ok(self->fd);
    await(n, async_write(self->fd, "e", 1), LIMIT);
    async_ok(n);
    await(n, async_read(self->fd, self->got, 4), LIMIT);
    async_ok(n);
    async_finally;
    async_close(self->fd);
    async_close(self->listener);
    async_end;
}

/* Addresses with a scope, of which one names no interface. */
AsyncTestWith(torture, an_address_with_a_scope, TORTURE, int fd;)
{
    async_begin;
    self->fd = -1;
    await(self->fd, async_connect("::1%lo", 7000), LIMIT);
    cr_assert(self->fd == -ECONNREFUSED || sim_shows_errors());
    async_close(self->fd);
    self->fd = -1;
    await(self->fd, async_connect("::1%none", 7000), LIMIT);
    cr_assert(self->fd == -EINVAL || sim_shows_errors());
    async_finally;
    async_close(self->fd);
    async_end;
}

/* An adopted socket, never asked before what it is: connected, listening, a datagram's. */
AsyncTestBare(torture, sockets_of_every_kind_are_adopted, TORTURE)
{
    struct sockaddr_in address = loopback(0);
    int fds[4], i;
    fds[0] = sim_socket(AF_INET, SOCK_STREAM, 0);
    sim_bind(fds[0], (struct sockaddr *)&address, sizeof address);
    sim_listen(fds[0], 1);
    fds[1] = sim_socket(AF_INET, SOCK_DGRAM, 0);
    fds[2] = sim_file("text");
    fds[3] = sim_device();
    if (async_open(NULL) == 0) {
        for (i = 0; i < 4; i++)
            cr_assert(async_adopt(fds[i]) == fds[i] || sim_shows_errors());
        async_loop_close();
    }
    for (i = 0; i < 4; i++)
        sim_close(fds[i]);
}

/* ----------------------------------------------------------------------------
 * MARK: - Pipes, terminals, waiting
 * ------------------------------------------------------------------------- */
async(drains, int fd; size_t sum; char data[4096]; struct iovec pieces[2];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        self->pieces[0].iov_base = self->data;
        self->pieces[0].iov_len = 1000;
        self->pieces[1].iov_base = self->data + 1000;
        self->pieces[1].iov_len = 3096;
        await(n, async_readv(self->fd, self->pieces, 2));
        if (n <= 0)
            break;
        self->sum += (size_t)n;
        await(n, async_read(self->fd, self->data, 10));
        if (n <= 0)
            break;
        self->sum += (size_t)n;
    }
    async_return(n < 0 ? n : (async_result)self->sum);
    async_end;
}

AsyncTestWith(torture, more_than_a_pipe_holds, TORTURE, int ends[2]; async_task reader;
              struct iovec pieces[2];)
{
    ssize_t n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    async_ok(async_pipe(self->ends));
    self->reader = async_keep(async_spawn(drains, .fd = self->ends[0]));
    async_ok(self->reader);
    self->pieces[0].iov_base = much;
    self->pieces[0].iov_len = 39000;
    self->pieces[1].iov_base = much;
    self->pieces[1].iov_len = 40000;
    await(n, async_writev(self->ends[1], self->pieces, 2), LIMIT);
    async_ok(n);
    cr_assert(n == 79000 || sim_shows_errors());
    await(n, async_write(self->ends[1], much, 1000), LIMIT);
    async_ok(n);
    async_ok(async_close(self->ends[1]));
    self->ends[1] = -1;
    await(n, async_join(self->reader), LIMIT);
    async_ok(n);
    cr_assert(n == 80000 || sim_shows_errors());
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

AsyncTestWith(torture, readiness_is_waited_for, TORTURE, int ends[2]; char byte;)
{
    ssize_t n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    async_ok(async_socketpair(self->ends));
    await(n, async_writable(self->ends[0]), LIMIT);
    async_ok(n);
    await(n, async_write(self->ends[0], "xy", 2), LIMIT);
    async_ok(n);
    await(n, async_readable(self->ends[1]), LIMIT);
    async_ok(n);
    await(n, async_read(self->ends[1], &self->byte, 1), LIMIT);
    async_ok(n);
    await(n, async_readable(self->ends[1]), LIMIT);
    async_ok(n);
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Streams
 * ------------------------------------------------------------------------- */
AsyncTestWith(torture, a_stream_is_closed_after_its_last_word, TORTURE, int ends[2];
              async_stream *stream; async_task reader;)
{
    ssize_t n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    async_ok(async_socketpair(self->ends));
    self->stream = async_stream_open(self->ends[0]);
    if (!self->stream)
        async_return(-ENOMEM);
    self->ends[0] = -1;
    self->reader = async_keep(async_spawn(drains, .fd = self->ends[1]));
    async_ok(self->reader);
    async_ok(async_stream_write(self->stream, much, 80000 - 36));
    await(n, async_stream_flush(self->stream), LIMIT);
    async_ok(n);
    async_ok(async_stream_write(self->stream, much, 36));
    await(n, async_stream_wait_closed(self->stream), LIMIT);
    self->stream = NULL;
    async_ok(n);
    await(n, async_join(self->reader), LIMIT);
    async_ok(n);
    cr_assert(n == 80000 || sim_shows_errors());
    async_finally;
    async_stream_close(self->stream);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - What others do with close(2)
 * ------------------------------------------------------------------------- */

/* Closed behind the loop's back, it lives on as a duplicate: epoll goes on reporting it, under a
 * number that is another's by then. */
AsyncTestWith(torture, a_ghost_is_driven_out, TORTURE, int ends[2]; int twin; int others[2];
              char byte;)
{
    ssize_t n;
    async_begin;
    self->ends[0] = self->ends[1] = self->twin = self->others[0] = self->others[1] = -1;
    async_ok(sim_socketpair(AF_UNIX, SOCK_STREAM, 0, self->ends));
    if (async_adopt(self->ends[0]) < 0) {
        sim_close(self->ends[0]);
        async_return(-EBADF);
    }
    self->twin = sim_dup(self->ends[0]);
    sim_close(self->ends[0]);
    async_ok(async_pipe(self->others));
    cr_assert(self->others[0] == self->ends[0] || sim_shows_errors());
    self->ends[0] = -1;
    sim_write(self->ends[1], "x", 1);
    await(async_sleep(10));
    await(n, async_write(self->others[1], "y", 1), LIMIT);
    async_ok(n);
    await(n, async_read(self->others[0], &self->byte, 1), LIMIT);
    async_ok(n);
    async_finally;
    sim_close(self->ends[1]);
    sim_close(self->twin);
    async_close(self->others[0]);
    async_close(self->others[1]);
    async_end;
}

/* Another file is put under the number of an adopted one: it is watched from its first need on. */
AsyncTestWith(torture, a_number_that_means_another_file_is_watched_anew, TORTURE, int ends[2];
              int others[2]; async_task reader;)
{
    ssize_t n;
    async_begin;
    self->ends[0] = self->ends[1] = self->others[0] = self->others[1] = -1;
    async_ok(async_pipe(self->ends));
    async_ok(async_pipe(self->others));
    self->reader = async_spawn(drains, .fd = self->others[0]);
    async_ok(self->reader);
    sim_dup2(self->others[1], self->ends[1]);
    await(n, async_write(self->ends[1], much, sizeof much), LIMIT);
    async_ok(n);
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_close(self->others[0]);
    async_close(self->others[1]);
    async_end;
}
