/*
 * Sockets: listening, accepting, connecting, and how connections end.
 *
 * Goal: each way in which a connection can begin and end gives the result that the contract names,
 * and no byte is lost on the way. Method: loopback and Unix sockets; the test holds the other end
 * itself, so that it decides what arrives before what.
 *
 * On the real kernel only: privileges and paths, which are a user's and a file system's. In the
 * simulation only: long waits for descriptors that somebody else gives back, or for a backlog.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
static void note_warning(const char *text);
#define ASYNC_WARN(text) note_warning(text)
#include "async.h"
#include "test.h"

#include "io.h"

static int warnings;

static void note_warning(const char *text)
{
    warnings += !strstr(text, "held the loop"); /* a slow machine's */
}

static int has_ipv6(void)
{
    int fd = async_listen("::1", 0);

    if (fd >= 0)
        check_equal(async_close(fd), 0);
    return fd >= 0;
}

/* A name for a Unix socket that nobody has. */
static const char *fresh_path(void)
{
    static char path[64];
    static int count;

    snprintf(path, sizeof path, "/tmp/async-test-%ld-%d", (long)getpid(), count++);
    unlink(path);
    return path;
}

/* ----------------------------------------------------------------------------
 * MARK: - Beginning
 * ------------------------------------------------------------------------- */

async(connects, const char *host; int port; const char *path; async_result *result;)
{
    async_result fd;
    async_begin;
    if (self->path)
        await(fd, async_connect_unix(self->path));
    else
        await(fd, async_connect(self->host, self->port));
    *self->result = fd;
    async_end;
}

/* Accept one, ping and pong by single bytes, close. */
async(plays_ping_pong, int listener; const char *host; const char *path; int server;
      async_result client; async_task task; int i; char byte;)
{
    ssize_t n;
    async_begin;
    self->task = async_spawn(connects, .host = self->host, .path = self->path,
                             .port = self->path ? 0 : async_port(self->listener),
                             .result = &self->client);
    await(self->server, async_accept(self->listener), 5000);
    check(self->server >= 0);
    await(async_join(self->task));
    check(self->client >= 0);
    check(is_nonblocking(self->server));
    check(is_close_on_exec(self->server));
    check(is_nonblocking((int)self->client));
    check(is_close_on_exec((int)self->client));
    for (self->i = 0; self->i < 10; self->i++) {
        await(n, async_write((int)self->client, "p", 1), 5000);
        check_equal(n, 1);
        await(n, async_read(self->server, &self->byte, 1), 5000);
        check_equal(n, 1);
        await(n, async_write(self->server, "q", 1), 5000);
        check_equal(n, 1);
        await(n, async_read((int)self->client, &self->byte, 1), 5000);
        check_equal(n, 1);
        check_equal(self->byte, 'q');
    }
    check_equal(async_close((int)self->client), 0);
    await(n, async_read(self->server, &self->byte, 1), 5000);
    check_equal(n, 0);
    check_equal(async_close(self->server), 0);
    check_equal(async_close(self->listener), 0);
    async_end;
}

TASK_TEST(connecting, works_over_IPv4, int listener;)
{
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    check(self->listener >= 0);
    check(async_port(self->listener) > 0);
    await(async_call(plays_ping_pong, .listener = self->listener, .host = "127.0.0.1"));
    async_end;
}

TASK_TEST(connecting, works_over_IPv6, int listener;)
{
    async_begin;
    if (!has_ipv6())
        test_skip("the machine has no ::1");
    self->listener = async_listen("::1", 0);
    check(self->listener >= 0);
    check(async_port(self->listener) > 0);
    await(async_call(plays_ping_pong, .listener = self->listener, .host = "::1"));
    async_end;
}

TASK_TEST(connecting, works_over_Unix_sockets, int listener; const char *path;)
{
    async_begin;
    self->path = fresh_path();
    self->listener = async_listen_unix(self->path);
    check(self->listener >= 0);
    check(is_nonblocking(self->listener));
    check(is_close_on_exec(self->listener));
    await(async_call(plays_ping_pong, .listener = self->listener, .path = self->path));
    unlink(self->path);
    async_end;
}

/* One listener for all addresses: who comes over IPv4 and who comes over IPv6. */
TASK_TEST(listening, on_no_address_takes_both_families, int listener, ipv6;)
{
    int fd;
    async_begin;
    self->ipv6 = has_ipv6();
    self->listener = async_listen(NULL, 0);
    check(self->listener >= 0);
    await(fd, async_connect("127.0.0.1", async_port(self->listener)), 5000);
    check(fd >= 0);
    await(fd, async_accept(self->listener), 5000);
    check(fd >= 0);
    if (!self->ipv6)
        async_return(0);
    await(fd, async_connect("::1", async_port(self->listener)), 5000);
    check(fd >= 0);
    await(fd, async_accept(self->listener), 5000);
    check(fd >= 0);
    async_end;
}

/* "::" is IPv6 alone, on every system. (Asked of the socket: whether the port of IPv4 is free is
 * also up to the other processes of the machine.) */
TASK_TEST(listening, on_an_IPv6_address_leaves_the_port_of_IPv4_free, int six, only;)
{
    socklen_t size = sizeof self->only;
    async_begin;
    if (!has_ipv6())
        test_skip("the machine has no ::1");
    self->six = async_listen("::", 0);
    check(self->six >= 0);
    check_equal(getsockopt(self->six, IPPROTO_IPV6, IPV6_V6ONLY, &self->only, &size), 0);
    check_equal(self->only, 1);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Errors of beginning
 * ------------------------------------------------------------------------- */

TASK_TEST(listening, refuses_bad_addresses_and_ports, int fd;)
{
    async_begin;
    check_error(async_listen, EINVAL, async_listen("localhost", 0));
    check_error(async_listen, EINVAL, async_listen("", 0));
    check_error(async_listen, EINVAL, async_listen("127.0.0.1 ", 0));
    check_error(async_listen, EINVAL, async_listen("127.0.0.1%lo", 0));
    check_error(async_listen, EINVAL, async_listen("::1%no-such-interface", 0));
    check_error(async_listen, EINVAL, async_listen("1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:0:1:2:3", 0));
    check_error(async_listen, EINVAL, async_listen("127.0.0.1", -1));
    check_error(async_listen, EINVAL, async_listen(NULL, 65536));
    await(self->fd, async_connect("localhost%lo", 80));
    check_error(async_connect, EINVAL, self->fd);
    await(self->fd, async_connect("", 80));
    check_error(async_connect, EINVAL, self->fd);
    await(self->fd, async_connect(NULL, 80));
    check_equal(self->fd, -EINVAL);
    await(self->fd, async_connect_unix(NULL));
    check_equal(self->fd, -EINVAL);
    check_equal(async_listen_unix(NULL), -EINVAL);
    await(self->fd, async_connect("127.0.0.1", 65536));
    check_error(async_connect, EINVAL, self->fd);
    await(self->fd, async_connect("127.0.0.1", -1));
    check_error(async_connect, EINVAL, self->fd);
    async_end;
}

TASK_TEST(listening, reports_what_the_system_says, int fd;)
{
    async_begin;
    self->fd = async_listen("127.0.0.1", 0);
    check(self->fd >= 0);
    check_error(async_listen, EADDRINUSE, async_listen("127.0.0.1", async_port(self->fd)));
    check_error(async_listen, EADDRINUSE, async_listen(NULL, async_port(self->fd)));
    check_error(async_listen, EADDRNOTAVAIL, async_listen("192.0.2.1", 0));
    async_end;
}

/* The superuser may bind any port, so the test becomes somebody else in a child. */
REAL_TEST(listening, on_a_low_port_needs_a_privilege, "a privilege of a real user")
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        int error;
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(2);
        if (async_open(NULL) != 0)
            _exit(3);
        error = async_listen("127.0.0.1", 81);
        _exit(error == -EACCES ? 0 : 1);
    }
    check_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
        test_skip("every port is free to all here");
    check_equal(status, 0);
    provokes(async_listen, EACCES);
}

REAL_TASK_TEST(listening, on_a_path_reports_what_is_wrong_with_it, "a real file system", int fd;
               char path[64]; char longest[200];)
{
    async_begin;
    snprintf(self->path, sizeof self->path, "%s", fresh_path());
    memset(self->longest, 'x', sizeof self->longest - 1);
    check_error(async_listen_unix, ENAMETOOLONG, async_listen_unix(self->longest));
    check_error(async_listen_unix, ENOENT, async_listen_unix("/tmp/no-such-directory/socket"));
    check_equal(async_listen_unix(""), -EINVAL);
    self->fd = async_listen_unix(self->path);
    check(self->fd >= 0);
    check_error(async_listen_unix, EADDRINUSE, async_listen_unix(self->path));
    check_equal(async_close(self->fd), 0);
    check_error(async_listen_unix, EADDRINUSE, async_listen_unix(self->path));
    await(self->fd, async_connect_unix(self->path));
    check_error(async_connect_unix, ECONNREFUSED, self->fd);
    unlink(self->path);
    await(self->fd, async_connect_unix(self->path));
    check_error(async_connect_unix, ENOENT, self->fd);
    await(self->fd, async_connect_unix(self->longest));
    check_error(async_connect_unix, ENAMETOOLONG, self->fd);
    await(self->fd, async_connect_unix("/dev/null"));
    check_equal(self->fd, -ECONNREFUSED);
    async_end;
}

/* As many bytes as sun_path has leave no room for the NUL that not every system does without. */
TASK_TEST(listening, takes_the_longest_path_there_is, int fd;
          char path[sizeof(struct sockaddr_un)];)
{
    size_t longest;
    async_begin;
    longest = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    memset(self->path, 0, sizeof self->path);
    snprintf(self->path, sizeof self->path, "%s", fresh_path());
    memset(self->path + strlen(self->path), 'x', longest - strlen(self->path));
    unlink(self->path);
    check_equal(strlen(self->path), longest);
    self->fd = async_listen_unix(self->path);
    check(self->fd >= 0);
    unlink(self->path);
    self->path[longest] = 'x';
    check_equal(async_listen_unix(self->path), -ENAMETOOLONG);
    async_end;
}

TASK_TEST(ports, are_those_of_TCP_sockets, int fds[2];)
{
    async_begin;
    check_equal(async_socketpair(self->fds), 0);
    check_error(async_port, EINVAL, async_port(self->fds[0]));
    check_equal(async_close(self->fds[0]), 0);
    check_error(async_port, EBADF, async_port(self->fds[0]));
    check_equal(async_pipe(self->fds), 0);
    check_error(async_port, ENOTSOCK, async_port(self->fds[0]));
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Connecting
 * ------------------------------------------------------------------------- */

TASK_TEST(connecting, is_refused_where_nobody_listens, int fd, port;)
{
    async_begin;
    self->fd = async_listen("127.0.0.1", 0);
    self->port = async_port(self->fd);
    check_equal(async_close(self->fd), 0);
    await(self->fd, async_connect("127.0.0.1", self->port), 5000);
    check_error(async_connect, ECONNREFUSED, self->fd);
    async_end;
}

/* The server closes first, and the system remembers the connection for a while: it may listen again
 * at once all the same. */
TASK_TEST(listening, goes_on_after_a_restart, int listener, fd, client, port; char byte;)
{
    ssize_t n;
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    self->port = async_port(self->listener);
    await(self->client, async_connect("127.0.0.1", self->port));
    await(self->fd, async_accept(self->listener));
    check_equal(async_close(self->fd), 0);
    await(n, async_read(self->client, &self->byte, 1));
    check_equal(n, 0);
    check_equal(async_close(self->client), 0);
    check_equal(async_close(self->listener), 0);
    self->listener = async_listen("127.0.0.1", self->port);
    check_equal(async_port(self->listener), self->port);
    check_equal(async_close(self->listener), 0);
    async_end;
}

/* Small writes do not wait for the peer's acknowledgement of those before. */
REAL_TASK_TEST(connecting, sends_without_delay, "options of the system", int listener, fd, client;)
{
    int is_on = 0;
    socklen_t size = sizeof is_on;
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    await(self->client, async_connect("127.0.0.1", async_port(self->listener)));
    await(self->fd, async_accept(self->listener));
    check_equal(getsockopt(self->client, IPPROTO_TCP, TCP_NODELAY, &is_on, &size), 0);
    check(is_on);
    is_on = 0;
    check_equal(getsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &is_on, &size), 0);
    check(is_on);
    check_equal(async_close(self->client), 0);
    check_equal(async_close(self->fd), 0);
    check_equal(async_close(self->listener), 0);
    async_end;
}

/* A listener with a full backlog takes nothing more on loopback: the attempt stays in progress. */
static int black_hole(int fillers[8])
{
    struct sockaddr_in address;
    int listener = raw_listener(0), i;

    address = loopback(async_port(listener));
    for (i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM, 0);
        fcntl(fillers[i], F_SETFL, O_NONBLOCK);
        connect(fillers[i], (struct sockaddr *)&address, sizeof address);
    }
    return listener;
}

TASK_TEST(connecting, ends_when_time_is_up_or_cancelled, int fillers[8]; int listener, fd, free, i;
          async_task task; async_result result;)
{
    async_begin;
    self->listener = black_hole(self->fillers);
    self->free = lowest_free();
    await(self->fd, async_connect("127.0.0.1", async_port(self->listener)), 1);
    check_equal(self->fd, -ETIMEDOUT);
    check_equal(lowest_free(), self->free);
    self->task = async_spawn(connects, .host = "127.0.0.1", .port = async_port(self->listener),
                             .result = &self->result);
    await(async_yield());
    check_equal(self->result, 0);
    check_equal(async_cancel(self->task), 0);
    await(async_join(self->task));
    check_equal(self->result, -ECANCELED);
    check_equal(lowest_free(), self->free);
    for (self->i = 0; self->i < 8; self->i++)
        close(self->fillers[self->i]);
    close(self->listener);
    async_end;
}

TASK_TEST(connecting, lets_a_write_follow_at_once, int listener, fd, server; char data[8];)
{
    ssize_t n;
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    await(self->fd, async_connect("127.0.0.1", async_port(self->listener)), 5000);
    check(self->fd >= 0);
    await(n, async_write(self->fd, "early", 5), 0);
    check_equal(n, 5);
    await(self->server, async_accept(self->listener), 5000);
    check(self->server >= 0);
    await(n, async_read(self->server, self->data, 8), 5000);
    check_equal(n, 5);
    async_end;
}

static async_task inherited_task;

static int cancels(void)
{
    return async_cancel(inherited_task);
}

/* Nor is it a child's to give up, after fork(): the parent's poller still watches for its end. (The
 * system asks the listener again after a second.) */
REAL_TASK_TEST(connecting, is_not_ended_by_a_child, "processes", int fillers[8]; int listener, i;
               async_result result;)
{
    int status;
    async_begin;
    self->listener = black_hole(self->fillers);
    inherited_task = async_spawn(connects, .host = "127.0.0.1", .port = async_port(self->listener),
                                 .result = &self->result);
    await(async_yield());
    check_equal(in_child(cancels), 0);
    for (self->i = 0; self->i < 8; self->i++) /* or they would ask again, too, and come first */
        close(self->fillers[self->i]);
    fcntl(self->listener, F_SETFL, O_NONBLOCK);
    while ((status = accept(self->listener, NULL, NULL)) >= 0)
        close(status);
    await(status, async_join(inherited_task), 60000);
    check_equal(status, 0);
    check(self->result > 0);
    close(self->listener);
    async_end;
}

static int raw_unix_listener(const char *path, int backlog)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    check(fd >= 0);
    check_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    check_equal(listen(fd, backlog), 0);
    return fd;
}

enum { CALLERS = 6 };

/* Linux refuses with EAGAIN when the backlog is full, and has no event for when it is not. */
SIMULATED_TASK_TEST(connecting, waits_for_a_place_in_a_full_backlog, int listener, i; char path[64];
                    async_result fds[CALLERS]; async_task tasks[CALLERS];)
{
    int fd;
    async_begin;
    snprintf(self->path, sizeof self->path, "%s", fresh_path());
    self->listener = raw_unix_listener(self->path, 0);
    for (self->i = 0; self->i < CALLERS; self->i++)
        self->tasks[self->i] = async_spawn(connects, .path = self->path,
                                           .result = &self->fds[self->i]);
    await(async_yield());
    check_equal(self->fds[CALLERS - 1], 0);
    check_equal(async_adopt(self->listener), self->listener);
    for (self->i = 0; self->i < CALLERS; self->i++) {
        await(fd, async_accept(self->listener), 5000);
        check(fd >= 0);
    }
    await(async_join_all(self->tasks, CALLERS));
    for (self->i = 0; self->i < CALLERS; self->i++)
        check(self->fds[self->i] > 0);
    unlink(self->path);
    check_equal(async_close(self->listener), 0);
    async_end;
}

TASK_TEST(connecting, to_a_full_backlog_can_be_cancelled, int listener, free, i; char path[64];
          async_result fds[CALLERS]; async_task tasks[CALLERS];)
{
    async_begin;
    snprintf(self->path, sizeof self->path, "%s", fresh_path());
    self->listener = raw_unix_listener(self->path, 0);
    self->free = lowest_free();
    for (self->i = 0; self->i < CALLERS; self->i++)
        self->tasks[self->i] = async_keep(async_spawn(connects, .path = self->path,
                                                      .result = &self->fds[self->i]));
    await(async_yield());
    for (self->i = 0; self->i < CALLERS; self->i++)
        check_equal(async_cancel(self->tasks[self->i]), self->fds[self->i] > 0 ? -ESRCH : 0);
    await(async_join_all(self->tasks, CALLERS));
    check_equal(self->fds[CALLERS - 1], -ECANCELED);
    for (self->i = 0; self->i < CALLERS; self->i++) {
        if (self->fds[self->i] > 0)
            check_equal(async_close((int)self->fds[self->i]), 0);
    }
    check_equal(lowest_free(), self->free);
    unlink(self->path);
    close(self->listener);
    async_end;
}

/* The listener goes while callers wait for a place: they are told. */
TASK_TEST(connecting, to_a_full_backlog_ends_with_the_listener, int listener, i, refused;
          char path[64]; async_result fds[CALLERS]; async_task tasks[CALLERS];)
{
    async_begin;
    snprintf(self->path, sizeof self->path, "%s", fresh_path());
    self->listener = raw_unix_listener(self->path, 0);
    for (self->i = 0; self->i < CALLERS; self->i++)
        self->tasks[self->i] = async_spawn(connects, .path = self->path,
                                           .result = &self->fds[self->i]);
    await(async_yield());
    close(self->listener);
    await(async_join_all(self->tasks, CALLERS));
    for (self->i = 0; self->i < CALLERS; self->i++)
        self->refused += self->fds[self->i] == -ECONNREFUSED;
    check(self->refused > 0);
    unlink(self->path);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Accepting
 * ------------------------------------------------------------------------- */

TASK_TEST(accepting, needs_a_listener, int ends[2]; int fd;)
{
    async_begin;
    raw_tcp_pair(self->ends);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    await(self->fd, async_accept(self->ends[0]));
    check_error(async_accept, EINVAL, self->fd);
    check_equal(async_close(self->ends[0]), 0);
    close(self->ends[1]);
    async_end;
}

async(accepts, int listener; async_result *result;)
{
    async_result fd;
    async_begin;
    await(fd, async_accept(self->listener));
    *self->result = fd;
    async_end;
}

TASK_TEST(accepting, is_done_by_one_task_at_a_time, int listener, fd; async_result first;)
{
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    self->first = 1;
    async_spawn(accepts, .listener = self->listener, .result = &self->first);
    await(async_yield());
    await(self->fd, async_accept(self->listener));
    check_error(async_accept, EBUSY, self->fd);
    check_equal(async_close(self->listener), 0);
    await(async_yield());
    check_equal(self->first, -EBADF);
    async_end;
}

/* The connection is there before the cancel: it waits for the next who accepts. */
TASK_TEST(accepting, takes_no_connection_when_cancelled, int listener, client, fd;
          async_result first; async_task task;)
{
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    self->task = async_spawn(accepts, .listener = self->listener, .result = &self->first);
    await(async_yield());
    self->client = raw_client(async_port(self->listener));
    check_equal(async_cancel(self->task), 0);
    await(async_join(self->task));
    check_equal(self->first, -ECANCELED);
    await(self->fd, async_accept(self->listener), 0);
    check(self->fd >= 0);
    close(self->client);
    async_end;
}

/* While the server is busy the backlog fills; then nobody was forgotten. */
TASK_TEST(accepting, keeps_the_backlog_of_a_busy_server, int listener, i, fd; int clients[50];)
{
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    await(self->fd, async_accept(self->listener), 0);
    check_equal(self->fd, -ETIMEDOUT);
    for (self->i = 0; self->i < 50; self->i++)
        self->clients[self->i] = raw_client(async_port(self->listener));
    for (self->i = 0; self->i < 50; self->i++) {
        await(self->fd, async_accept(self->listener), 0);
        check(self->fd >= 0);
    }
    await(self->fd, async_accept(self->listener), 0);
    check_equal(self->fd, -ETIMEDOUT);
    for (self->i = 0; self->i < 50; self->i++)
        close(self->clients[self->i]);
    async_end;
}

/* Clients that left before they were accepted are no error of the server's. */
TASK_TEST(accepting, survives_clients_that_are_gone, int listener, i, fd; char data[4];)
{
    struct linger abort_it;
    ssize_t n;
    async_begin;
    abort_it.l_onoff = 1;
    abort_it.l_linger = 0;
    self->listener = async_listen("127.0.0.1", 0);
    for (self->i = 0; self->i < 5; self->i++) {
        int client = raw_client(async_port(self->listener));
        setsockopt(client, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it);
        close(client);
    }
    for (self->i = 0; self->i < 5; self->i++) {
        await(self->fd, async_accept(self->listener), 0);
        check(self->fd >= 0);
        await(n, async_read(self->fd, self->data, 4), 0);
        check_error(async_read, ECONNRESET, n);
        check_equal(async_close(self->fd), 0);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Out of descriptors
 * ------------------------------------------------------------------------- */

enum { CLIENTS = 20 };

async(serves_one, int fd; char data[4];)
{
    ssize_t n;
    async_begin;
    await(n, async_read(self->fd, self->data, 4));
    check_equal(n, 2);
    await(n, async_write(self->fd, self->data, 2));
    check_equal(n, 2);
    async_finally;
    async_close(self->fd);
    async_end;
}

async(serves_all, int listener;)
{
    int fd;
    async_begin;
    for (;;) {
        await(fd, async_accept(self->listener));
        if (fd < 0)
            async_return(fd);
        check(async_spawn(serves_one, .fd = fd) > 0);
    }
    async_end;
}

async(asks_once, int fd; char data[4];)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, "hi", 2));
    check_equal(n, 2);
    await(n, async_read(self->fd, self->data, 4));
    check_equal(n, 2);
    check_equal(async_close(self->fd), 0);
    async_end;
}

/* Two numbers are left for twenty clients: they wait in the backlog, and all are served. */
TASK_TEST(exhaustion, delays_connections_and_loses_none, int listener, i; int clients[CLIENTS];
          async_task tasks[CLIENTS]; rlim_t limit;)
{
    ssize_t n;
    async_begin;
    if (test_on_valgrind())
        test_skip("Valgrind closes what it has no number for, where the system would not accept");
    self->listener = async_listen("127.0.0.1", 0);
    for (self->i = 0; self->i < CLIENTS; self->i++) {
        self->clients[self->i] = raw_client(async_port(self->listener));
        check_equal(async_adopt(self->clients[self->i]), self->clients[self->i]);
    }
    self->limit = leave_descriptors(2);
    warnings = 0;
    async_spawn(serves_all, .listener = self->listener);
    for (self->i = CLIENTS - 1; self->i >= 0; self->i--)
        self->tasks[self->i] = async_spawn(asks_once, .fd = self->clients[self->i]);
    await(n, async_join_all(self->tasks, CLIENTS));
    restore_descriptors(self->limit);
    check_equal(n, 0);
    check_equal(warnings, 1);
    async_end;
}

/* Nothing of ours will be closed, but the limit is lifted from outside: a timer tries again. */
SIMULATED_TASK_TEST(exhaustion, ends_by_itself, int listener, client, fd; rlim_t limit;
                    async_result late; async_task task;)
{
    async_begin;
    if (test_on_valgrind())
        test_skip("Valgrind closes what it has no number for, where the system would not accept");
    self->listener = async_listen("127.0.0.1", 0);
    self->client = raw_client(async_port(self->listener));
    self->limit = leave_descriptors(0);
    self->task = async_spawn(accepts, .listener = self->listener, .result = &self->late);
    await(async_yield());
    check_equal(self->late, 0);
    restore_descriptors(self->limit);
    await(async_join(self->task));
    check(self->late > 0);
    close(self->client);
    async_end;
}

TASK_TEST(exhaustion, is_a_result_where_something_is_made, int fd, ends[2]; char path[64];
          rlim_t limit;)
{
    async_begin;
    if (test_on_valgrind())
        test_skip("Valgrind has an idea of its own of the numbers that are left");
    snprintf(self->path, sizeof self->path, "%s", fresh_path());
    self->limit = leave_descriptors(0);
    await(self->fd, async_connect("127.0.0.1", 1));
    check_error(async_connect, EMFILE, self->fd);
    await(self->fd, async_connect_unix(self->path));
    check_equal(self->fd, -EMFILE);
    check_equal(async_listen("127.0.0.1", 0), -EMFILE);
    check_equal(async_listen(NULL, 0), -EMFILE);
    check_equal(async_listen_unix(self->path), -EMFILE);
    check_error(async_pipe, EMFILE, async_pipe(self->ends));
    check_error(async_socketpair, EMFILE, async_socketpair(self->ends));
    restore_descriptors(self->limit);
    self->limit = leave_descriptors(1);
    check_equal(async_pipe(self->ends), -EMFILE);
    check_equal(async_socketpair(self->ends), -EMFILE);
    restore_descriptors(self->limit);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Ending
 * ------------------------------------------------------------------------- */

/* Bytes that came before the reset may be lost or not; then the reset is told from an end. */
TASK_TEST(ending, by_reset_of_the_peer_is_an_error, int ends[2]; async_result read; char data[4];
          async_task task;)
{
    async_begin;
    raw_tcp_pair(self->ends);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    self->task = async_spawn(io_reader, .fd = self->ends[0], .data = self->data, .size = 4,
                             .result = &self->read);
    await(async_yield());
    reset_on_close(self->ends[1]);
    close(self->ends[1]);
    await(async_join(self->task));
    check_error(async_read, ECONNRESET, self->read);
    check_equal(async_close(self->ends[0]), 0);
    async_end;
}

/* TCP is never full for good, its buffers grow: what is written is more than they ever hold. */
TASK_TEST(ending, by_reset_wakes_the_writer_too, int ends[2]; async_result written;
          async_task task; char *data;)
{
    async_begin;
    raw_tcp_pair(self->ends);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    self->data = (char *)calloc(1, 1 << 26);
    check(self->data != NULL);
    self->task = async_spawn(io_writer, .fd = self->ends[0], .data = self->data, .size = 1 << 26,
                             .result = &self->written);
    await(async_yield());
    check_equal(self->written, 0);
    reset_on_close(self->ends[1]);
    close(self->ends[1]);
    await(async_join(self->task));
    check_error(async_write, ECONNRESET, self->written);
    free(self->data);
    check_equal(async_close(self->ends[0]), 0);
    async_end;
}

/* The other way round: we reset, the peer is told. */
TASK_TEST(ending, by_our_reset_reaches_the_peer, int ends[2]; char data[4];)
{
    async_begin;
    raw_tcp_pair(self->ends);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    reset_on_close(self->ends[0]);
    check_equal(async_close(self->ends[0]), 0);
    check_equal(recv(self->ends[1], self->data, 4, 0), -1);
    check_equal(errno, ECONNRESET);
    close(self->ends[1]);
    async_end;
}

/* A request, our end, and still the reply comes. */
TASK_TEST(ending, of_one_direction_leaves_the_other, int ends[2]; char data[16];)
{
    ssize_t n;
    async_begin;
    raw_tcp_pair(self->ends);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    check_equal(async_adopt(self->ends[1]), self->ends[1]);
    await(n, async_write(self->ends[0], "request", 7), 0);
    check_equal(n, 7);
    check_equal(shutdown(self->ends[0], SHUT_WR), 0);
    await(n, async_read(self->ends[1], self->data, 16), 5000);
    check_equal(n, 7);
    await(n, async_read(self->ends[1], self->data, 16), 5000);
    check_equal(n, 0);
    await(n, async_write(self->ends[1], "reply", 5), 0);
    check_equal(n, 5);
    await(n, async_read(self->ends[0], self->data, 16), 5000);
    check_equal(n, 5);
    await(n, async_write(self->ends[0], "more", 4), 0);
    check_error(async_write, EPIPE, n);
    check_equal(async_close(self->ends[1]), 0);
    await(n, async_read(self->ends[0], self->data, 16), 5000);
    check_equal(n, 0);
    check_equal(async_close(self->ends[0]), 0);
    async_end;
}

/* SIGPIPE would kill the process, and the test with it. */
TASK_TEST(ending, makes_a_write_fail_and_kills_nobody, int ends[2]; struct iovec piece[2];)
{
    ssize_t n;
    async_begin;
    self->piece[0].iov_base = self->piece[1].iov_base = self->ends;
    self->piece[0].iov_len = self->piece[1].iov_len = 4;
    check_equal(async_socketpair(self->ends), 0);
    check_equal(async_close(self->ends[1]), 0);
    await(n, async_write(self->ends[0], "dead", 4));
    check_error(async_write, EPIPE, n);
    await(n, async_writev(self->ends[0], self->piece, 2));
    check_equal(n, -EPIPE);
    check_equal(async_close(self->ends[0]), 0);
    check_equal(async_pipe(self->ends), 0);
    check_equal(async_close(self->ends[0]), 0);
    await(n, async_write(self->ends[1], "dead", 4));
    check_equal(n, -EPIPE);
    async_end;
}

/* Over TCP the first write may still go out: its answer is a reset. */
TASK_TEST(ending, of_a_dead_TCP_peer_is_noticed_by_the_second_write, int ends[2]; char data[4];)
{
    ssize_t n;
    async_begin;
    raw_tcp_pair(self->ends);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    close(self->ends[1]);
    await(n, async_write(self->ends[0], "one", 3));
    check_equal(n, 3);
    await(n, async_read(self->ends[0], self->data, 4), 5000);
    check(n == 0 || n == -ECONNRESET);
    await(n, async_write(self->ends[0], "two", 3));
    check(n == -EPIPE || n == -ECONNRESET);
    check_equal(async_close(self->ends[0]), 0);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - SIGPIPE
 * ------------------------------------------------------------------------- */

async(writes_to_nobody, int ends[2];)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    check_equal(async_close(self->ends[1]), 0);
    await(n, async_write(self->ends[0], "dead", 4));
    check_equal(n, -EPIPE);
    async_end;
}

/* Sockets need no help of the signal's disposition. */
TEST(sigpipe, never_comes_from_a_socket)
{
    async_options keep;

    memset(&keep, 0, sizeof keep);
    keep.keep_sigpipe = 1;
    signal(SIGPIPE, SIG_DFL);
    check_equal(async_open(&keep), 0);
    check(async_spawn(writes_to_nobody) > 0);
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_close(), 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Much
 * ------------------------------------------------------------------------- */

enum { PIECE = 1 << 16 };

async(sends_pattern, int fd; size_t total, place, size; char data[PIECE - 4096];)
{
    ssize_t n;
    async_begin;
    while (self->place < self->total) {
        self->size = self->total - self->place;
        if (self->size > sizeof self->data)
            self->size = sizeof self->data;
        pattern_put(self->data, self->place, self->size);
        await(n, async_write(self->fd, self->data, self->size));
        check_equal(n, (ssize_t)self->size);
        self->place += self->size;
    }
    shutdown(self->fd, SHUT_WR);
    async_end;
}

/* It yields between its reads, so that the writer has to wait for it. */
TASK_TEST(much, arrives_whole_at_a_slow_reader, int ends[2]; size_t total, place;
          char data[PIECE - 4096];)
{
    ssize_t n;
    async_begin;
    self->total = test_is_costly() ? 10000000 : 100000000;
    raw_tcp_pair(self->ends);
    check_equal(async_adopt(self->ends[0]), self->ends[0]);
    check_equal(async_adopt(self->ends[1]), self->ends[1]);
    async_spawn(sends_pattern, .fd = self->ends[0], .total = self->total);
    for (;;) {
        await(n, async_read(self->ends[1], self->data, sizeof self->data));
        if (n == 0)
            break;
        check(n > 0);
        check(pattern_is(self->data, self->place, (size_t)n));
        self->place += (size_t)n;
        await(async_yield());
    }
    check_equal(self->place, self->total);
    check_equal(async_close(self->ends[0]), 0);
    check_equal(async_close(self->ends[1]), 0);
    async_end;
}

/* A limit of 0 is no hindrance to what can be done at once. */
TASK_TEST(sockets, of_unix_are_connected_at_once, int listener, fd; char path[64];)
{
    async_begin;
    snprintf(self->path, sizeof self->path, "/tmp/async-test-%d", (int)getpid());
    self->listener = async_listen_unix(self->path);
    check(self->listener >= 0);
    await(self->fd, async_connect_unix(self->path), 0);
    unlink(self->path);
    check(self->fd >= 0);
    async_close(self->fd);
    async_close(self->listener);
    async_end;
}
