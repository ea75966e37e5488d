/*
 * sim_sockets.c: connections in the simulated world. Goal: whoever can be served is served, whoever
 * cannot is told so, and nobody waits for ever. Method: servers and clients in one loop, on a
 * network that delays, partitions, refuses and resets, in a system that runs out of descriptors.
 */
#include "sim_io.h"

/* ----------------------------------------------------------------------------
 * MARK: - A server and its clients
 * ------------------------------------------------------------------------- */
async(echoer, int client; char data[48];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->client, self->data, sizeof self->data));
        if (n <= 0)
            break;
        await(n, async_write(self->client, self->data, (size_t)n));
        if (n < 0)
            break;
    }
    async_return(n);
    async_finally;
    async_close(self->client);
    async_end;
}

/* Serves until it is cancelled, or the listener fails; rests after each connection. */
async(acceptor, int listener; int64_t rest_ms;)
{
    int client;
    async_begin;
    for (;;) {
        await(client, async_accept(self->listener));
        if (client < 0)
            async_return(client);
        if (async_spawn(echoer, .client = client) < 0)
            async_close(client);
        if (self->rest_ms)
            await(async_sleep(self->rest_ms));
    }
    async_finally;
    async_close(self->listener);
    async_end;
}

/* Sends and gets back `size` bytes of the pattern over a connection, and closes it. Returns how
 * many came back. (At a time no more than the smallest buffer holds.) */
async(talk, int fd; size_t place, size, piece, got; char data[7];)
{
    ssize_t n;
    async_begin;
    while (self->place < self->size) {
        self->piece = self->size - self->place < 7 ? self->size - self->place : 7;
        fill(self->data, self->place, self->piece);
        await(n, async_write(self->fd, self->data, self->piece));
        if (n < 0)
            async_return(n);
        for (self->got = 0; self->got < self->piece; self->got += (size_t)n) {
            await(n, async_read(self->fd, self->data + self->got, self->piece - self->got));
            if (n <= 0)
                async_return(n ? n : -EPIPE);
        }
        cr_assert(matches(self->data, self->place, self->piece));
        self->place += self->piece;
    }
    async_return((async_result)self->place);
    async_finally;
    async_close(self->fd);
    async_end;
}

async(client, const char *path; int port, fd; size_t size;)
{
    async_result n;
    async_begin;
    if (self->path)
        await(self->fd, async_connect_unix(self->path));
    else
        await(self->fd, async_connect("127.0.0.1", self->port));
    if (self->fd < 0)
        async_return(self->fd);
    await(n, async_call(talk, .fd = self->fd, .size = self->size));
    if (n == -ENOMEM)
        async_close(self->fd); /* the call did not come about; or it has closed it */
    async_return(n);
    async_end;
}

enum { CLIENTS = 4 };

async(service, const char *path; int listener, i; async_task acceptor, clients[CLIENTS];)
{
    async_result n;
    int port;
    async_begin;
    self->listener = self->path ? async_listen_unix(self->path) : async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    port = self->path ? 0 : async_port(self->listener);
    if (port < 0)
        async_close(self->listener);
    async_ok(port);
    self->acceptor = async_spawn(acceptor, .listener = self->listener);
    if (self->acceptor < 0)
        async_close(self->listener);
    async_ok(self->acceptor);
    for (self->i = 0; self->i < CLIENTS; self->i++) {
        self->clients[self->i] = async_spawn(client, .path = self->path, .port = port,
                                             .size = 9 + (size_t)self->i * 7);
        async_ok(async_keep(self->clients[self->i]));
    }
    for (self->i = 0; self->i < CLIENTS; self->i++) {
        await(n, async_join(self->clients[self->i]));
        async_ok(n);
        cr_assert_eq(n, 9 + self->i * 7);
    }
    async_cancel(self->acceptor);
    async_end;
}

AsyncTestWith(sockets, many_clients_are_served_over_tcp, (.seeds = 500, .torture = 1, .real = 1))
{
    async_result n;
    async_begin;
    await(n, async_call(service));
    async_return(n);
    async_end;
}

AsyncTestWith(sockets, many_clients_are_served_over_a_unix_socket, (.seeds = 500, .torture = 1))
{
    async_result n;
    async_begin;
    await(n, async_call(service, .path = "/run/service"));
    async_return(n);
    async_end;
}

/* Everything may fail, at any time; nothing may hang or be left. */
AsyncTestWith(sockets, a_hostile_world_leaves_nothing_behind,
              (.seeds = 500, .faults = SIM_HOSTILE), int round; async_task tasks[2];)
{
    async_result n;
    async_begin;
    for (; self->round < 3; self->round++) {
        self->tasks[0] = async_spawn(service);
        sim_unlink("/run/service");
        self->tasks[1] = async_spawn(service, .path = "/run/service");
        await(n, async_join(self->tasks[0]));
        await(n, async_join(self->tasks[1]));
        async_sometimes(n == -ECONNREFUSED);
    }
    async_end;
}

/* ---- the request ends before the reply begins ---- */
async(replier, int kind, fd; async_result got; async_task sender;)
{
    async_result n;
    async_begin;
    await(self->got, async_call(receiver, .fd = self->fd, .piece = 50));
    if (self->got < 0)
        async_return(self->got);
    await(n, async_call(sender, .kind = self->kind, .fd = self->fd, .piece = 80,
                        .size = 2 * (size_t)self->got));
    async_return(n);
    async_finally;
    async_close(self->fd);
    async_end;
}

AsyncTestWith(sockets, a_request_may_end_before_its_reply_begins,
              (.seeds = 500, .torture = 1, .real = 1), int round; int ends[2]; async_task replier;)
{
    async_result n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    for (; self->round < 4; self->round++) {
        async_ok(open_pair(self->round % 2 ? TCP : UNIX, self->ends));
        self->replier = async_spawn(replier, .kind = UNIX, .fd = self->ends[1]);
        async_ok(async_keep(self->replier));
        self->ends[1] = -1;
        await(n, async_call(sender, .kind = UNIX, .fd = self->ends[0], .size = 400, .piece = 90));
        async_ok(n);
        await(n, async_call(receiver, .fd = self->ends[0], .piece = 200));
        async_ok(n);
        cr_assert(n == 800 || sim_has_failed());
        await(n, async_join(self->replier));
        async_ok(n);
        async_close(self->ends[0]);
        self->ends[0] = -1;
    }
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Nothing is left: descriptors, room in the backlog
 * ------------------------------------------------------------------------- */

/* Connections wait in the backlog while there is no descriptor for them; each is served in the end,
 * for those who are served give theirs back. */
AsyncTestWith(sockets, without_descriptors_connections_wait_and_are_served,
              (.seeds = 500), int listener, i, fds[CLIENTS]; async_task acceptor, clients[CLIENTS];)
{
    static const int errors[CLIENTS] = { EMFILE, ENFILE, ECONNABORTED, EPROTO };
    async_result n;
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    for (self->i = 0; self->i < CLIENTS; self->i++) {
        self->fds[self->i] = sim_dial(async_port(self->listener));
        async_ok(async_adopt(self->fds[self->i]));
    }
    sim_limit(1);
    self->acceptor = async_spawn(acceptor, .listener = self->listener);
    for (self->i = 0; self->i < CLIENTS; self->i++) {
        self->clients[self->i] = async_spawn(talk, .fd = self->fds[self->i], .size = 14);
        async_keep(self->clients[self->i]);
    }
    for (self->i = 0; self->i < CLIENTS; self->i++) {
        sim_fail_next(accept4, errors[self->i]);
        sim_fail_next(accept, errors[self->i]);
        await(n, async_join(self->clients[self->i]));
        cr_assert_eq(n, 14);
    }
    async_cancel(self->acceptor);
    async_end;
}

/* A Unix socket's backlog is full: connecting goes on until there is room, or until the limit. */
AsyncTestWith(sockets, a_full_backlog_delays_a_connection, (.seeds = 500),
              int listener, i; async_task hopeless, acceptor, clients[CLIENTS];)
{
    struct sockaddr_un address;
    async_result n;
    async_begin;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    strcpy(address.sun_path, "/run/small");
    self->listener = sim_socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(sim_bind(self->listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(sim_listen(self->listener, 0), 0);
    async_ok(async_adopt(self->listener));
    for (self->i = 0; self->i < CLIENTS; self->i++) {
        self->clients[self->i] = async_spawn(client, .path = "/run/small", .size = 14);
        async_keep(self->clients[self->i]);
    }
    await(async_sleep(20));
    await(n, async_connect_unix("/run/small"), 30);
    cr_assert_eq(n, -ETIMEDOUT);
    await(n, async_connect_unix("/run/small"), 1000); /* it waits longer and longer, not for ever */
    cr_assert_eq(n, -ETIMEDOUT);
    self->hopeless = async_spawn(client, .path = "/run/small", .size = 1);
    async_keep(self->hopeless);
    await(async_sleep(5));
    async_cancel(self->hopeless);
    await(n, async_join(self->hopeless));
    cr_assert_eq(n, -ECANCELED);
    self->acceptor = async_spawn(acceptor, .listener = self->listener, .rest_ms = 15);
    for (self->i = 0; self->i < CLIENTS; self->i++) {
        await(n, async_join(self->clients[self->i]));
        cr_assert_eq(n, 14);
    }
    async_cancel(self->acceptor);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Connecting
 * ------------------------------------------------------------------------- */
async(connecter, const char *host; int port;)
{
    int fd;
    async_begin;
    await(fd, async_connect(self->host, self->port));
    async_close(fd);
    async_return(fd < 0 ? fd : 0);
    async_end;
}

async(attempts, int listener, port; async_task refused, nowhere, cancelled; int64_t start_ns;)
{
    async_result n;
    async_begin;
    self->listener = async_listen("::1", 0);
    async_ok(self->listener);
    self->port = async_port(self->listener);
    async_close(self->listener);
    self->start_ns = async_now();
    self->refused = async_spawn(connecter, .host = "::1", .port = self->port);
    self->nowhere = async_spawn(connecter, .host = "192.0.2.1", .port = 80);
    self->cancelled = async_spawn(connecter, .host = "192.0.2.1", .port = 80);
    async_ok(async_keep(self->refused));
    async_ok(async_keep(self->nowhere));
    async_ok(async_keep(self->cancelled));
    await(n, async_join(self->refused));
    cr_assert(n == -ECONNREFUSED || sim_has_failed());
    await(n, async_connect("192.0.2.1", 80), 700);
    cr_assert(n == -ETIMEDOUT || sim_has_failed());
    cr_assert(async_now() - self->start_ns < INT64_C(10000000000) || sim_has_failed());
    async_cancel(self->cancelled);
    await(n, async_join(self->cancelled));
    cr_assert(n == -ECANCELED || sim_has_failed());
    await(n, async_join(self->nowhere)); /* the system gives up, after its two minutes */
    cr_assert(n == -ETIMEDOUT || sim_has_failed());
    cr_assert(async_now() - self->start_ns > INT64_C(100000000000) || sim_has_failed());
    await(n, async_connect_unix("/run/nobody"));
    cr_assert(n == -ENOENT || sim_has_failed());
    await(n, async_connect("::not an address", 80));
    cr_assert(n == -EINVAL || sim_has_failed());
    async_end;
}

AsyncTestWith(sockets, connecting_fails_in_time_and_for_a_reason, (.seeds = 500, .torture = 1),
              int round;)
{
    async_result n;
    async_begin;
    for (; self->round < 3; self->round++) {
        await(n, async_call(attempts));
        async_ok(n);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - The network
 * ------------------------------------------------------------------------- */

/* Nothing comes through a partition, and nothing is lost by it. */
AsyncTestWith(sockets, a_partition_that_heals_loses_nothing, (.seeds = 500),
              int ends[2], round; size_t got, sent, seen; async_task sender, back; char data[400];)
{
    ssize_t n;
    async_begin;
    async_ok(open_pair(TCP, self->ends));
    sim_latency(self->ends[0], 1, 4);
    self->sender = async_spawn(sender, .fd = self->ends[1], .kind = TCP, .size = 900, .piece = 25);
    async_keep(self->sender);
    self->back = async_spawn(sender, .fd = self->ends[0], .kind = TCP, .size = 500, .piece = 25);
    async_keep(self->back);
    for (; self->round < 5; self->round++) {
        sim_partition(self->round % 2 ? -1 : self->ends[0]);
        for (;;) { /* what had arrived before */
            await(n, async_read(self->ends[0], self->data, 10), 20);
            if (n <= 0)
                break;
            cr_assert(matches(self->data, self->got, (size_t)n));
            self->got += (size_t)n;
        }
        cr_assert(n == -ETIMEDOUT || (n == 0 && self->got == 900));
        sim_heal(self->round % 2 ? -1 : self->ends[0]);
        sim_clog(self->ends[0], 3);
        await(n, async_read(self->ends[0], self->data, 150), 60000);
        cr_assert(n > 0 || self->got == 900);
        cr_assert(matches(self->data, self->got, (size_t)n));
        self->got += (size_t)n;
    }
    for (; self->got < 900; self->got += (size_t)n) {
        await(n, async_read(self->ends[0], self->data, 400), 60000);
        cr_assert(n > 0);
        cr_assert(matches(self->data, self->got, (size_t)n));
    }
    await(n, async_read(self->ends[0], self->data, 400));
    cr_assert_eq(n, 0);
    await(n, async_call(receiver, .fd = self->ends[1], .piece = 90));
    cr_assert_eq(n, 500);
    await(n, async_join(self->sender));
    cr_assert_eq(n, 900);
    await(n, async_join(self->back));
    cr_assert_eq(n, 500);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* A reset ends a connection after the bytes that came before it; then writing fails, too. */
AsyncTestWith(sockets, a_reset_comes_after_what_was_sent_before_it,
              (.seeds = 500, .torture = 1, .real = 1), int round; int ends[2]; size_t got;
              char data[64];)
{
    static const struct linger at_once = { 1, 0 };
    ssize_t n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    for (; self->round < 5; self->round++) {
        async_ok(open_pair(TCP, self->ends));
        sim_setsockopt(self->ends[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        fill(self->data, 0, 40);
        await(n, async_write(self->ends[1], self->data, 5));
        async_ok(n);
        if (self->round % 2) { /* both are known before the wait; or the reset comes later */
            async_close(self->ends[1]);
            self->ends[1] = -1;
        }
        for (self->got = 0; self->got < 5; self->got += (size_t)n) {
            await(n, async_read(self->ends[0], self->data, 3));
            async_ok(n);
            cr_assert(n > 0 && matches(self->data, self->got, (size_t)n));
        }
        async_close(self->ends[1]);
        self->ends[1] = -1;
        await(n, async_read(self->ends[0], self->data, 3));
        cr_assert(n == -ECONNRESET || sim_has_failed());
        await(n, async_read(self->ends[0], self->data, 3));
        cr_assert(n == 0 || sim_has_failed());
        await(n, async_write(self->ends[0], self->data, 3));
        cr_assert(n == -EPIPE || sim_has_failed());
        async_close(self->ends[0]);
        self->ends[0] = -1;
    }
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* Somebody resets what others read and write: both directions are told, each once. */
AsyncTestWith(sockets, a_reset_wakes_whoever_waits, (.seeds = 500, .faults = SIM_HOSTILE),
              int round; int ends[2]; async_task tasks[3];)
{
    async_result n;
    async_begin;
    for (; self->round < 6; self->round++) {
        n = open_pair(TCP, self->ends);
        if (n < 0)
            continue;
        self->tasks[0] = async_spawn(receiver, .fd = self->ends[0], .piece = 30);
        self->tasks[1] = async_spawn(receiver, .fd = self->ends[1], .piece = 30, .rest_ms = 1);
        self->tasks[2] = async_spawn(sender, .kind = TCP, .fd = self->ends[0], .size = 3000,
                                     .piece = 70);
        await(async_sleep(self->round * 2));
        sim_reset(self->ends[self->round % 2]);
        await(n, async_join(self->tasks[0]));
        await(n, async_join(self->tasks[1]));
        await(n, async_join(self->tasks[2]));
        async_close(self->ends[0]);
        async_close(self->ends[1]);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Time
 * ------------------------------------------------------------------------- */

/* Signals interrupt, the poller's clock runs at another pace, steps are long: no limit is early. */
AsyncTestWith(sockets, limits_hold_whatever_happens_to_the_clock, (.seeds = 500),
              int ends[2], round; int64_t start_ns; char data[8];)
{
    static const int skews[] = { 0, 200000, -200000, 1000, -1000 };
    ssize_t n;
    async_begin;
    async_ok(open_pair(TCP, self->ends));
    for (; self->round < 25; self->round++) {
        sim_skew(skews[self->round % 5]);
        if (self->round % 3)
            sim_signal();
        self->start_ns = async_now();
        await(n, async_read(self->ends[0], self->data, 8), 7);
        cr_assert_eq(n, -ETIMEDOUT);
        cr_assert(async_now() - self->start_ns >= 7000000);
        if (self->round % 4 == 0)
            sim_advance(50);
        sim_signal();
        await(n, async_write(self->ends[1], "x", 1), 1000);
        cr_assert_eq(n, 1);
        await(n, async_read(self->ends[0], self->data, 8), 1000);
        cr_assert_eq(n, 1);
    }
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Listening with options, and names
 * ------------------------------------------------------------------------- */
static const async_listen_options sharing = { .share_port = 1 };

/* Serves those who come to it until it is cancelled. Returns how many came. */
async(sharer, int listener, served;)
{
    int fd;
    async_begin;
    for (;; self->served++) {
        await(fd, async_accept(self->listener));
        if (fd < 0)
            async_return(fd == -ECANCELED ? self->served : fd);
        if (async_spawn(echoer, .client = fd) < 0)
            async_close(fd);
    }
    async_finally;
    async_close(self->listener);
    async_end;
}

enum { SHARERS = 2, CALLERS = 12 };

/* Each connection comes to one of those who share a port. */
AsyncTestWith(sockets, a_shared_port_serves_each_once, (.seeds = 300, .torture = 1, .real = 1),
              int listeners[SHARERS], port, i, sum; async_task sharers[SHARERS], clients[CALLERS];)
{
    async_result n;
    async_begin;
    for (; self->i < SHARERS; self->i++) {
        self->listeners[self->i] = async_listen_with("127.0.0.1", self->port, &sharing);
        async_ok(self->listeners[self->i]);
        async_ok(self->port = async_port(self->listeners[self->i]));
        self->sharers[self->i] = async_spawn(sharer, .listener = self->listeners[self->i]);
        async_ok(async_keep(self->sharers[self->i]));
    }
    cr_assert_lt(async_listen("127.0.0.1", self->port), 0);
    for (self->i = 0; self->i < CALLERS; self->i++) {
        self->clients[self->i] = async_spawn(client, .port = self->port, .size = 10);
        async_ok(async_keep(self->clients[self->i]));
    }
    for (self->i = 0; self->i < CALLERS; self->i++) {
        await(n, async_join(self->clients[self->i]));
        async_ok(n);
        cr_assert_eq(n, 10);
    }
    for (self->i = 0; self->i < SHARERS; self->i++) {
        async_cancel(self->sharers[self->i]);
        await(n, async_join(self->sharers[self->i]));
        async_ok(n);
        async_sometimes(n > 0 && n < CALLERS);
        self->sum += (int)n;
    }
    cr_assert(self->sum == CALLERS || sim_has_failed());
    async_end;
}

/* Who cannot share a port says so, and does not listen where others do not know of it. */
AsyncTestWith(sockets, a_port_that_cannot_be_shared_is_an_error, (.seeds = 5), int fd;)
{
    async_begin;
    sim_fail_next(setsockopt, ENOPROTOOPT);
    cr_assert_eq(async_bind_udp("127.0.0.1", 0, &sharing), -ENOPROTOOPT);
    sim_fail_next(socket, EAFNOSUPPORT); /* no IPv6 */
    async_ok(self->fd = async_bind_udp(NULL, 0, &sharing));
    async_close(self->fd);
    async_end;
}

/* As many wait to be accepted as the listener says, the next one until there is room. */
AsyncTestWith(sockets, a_backlog_is_as_long_as_it_was_asked_for, (.seeds = 300),
              int listener, port, fds[2], fd;)
{
    static const async_listen_options short_one = { .backlog = 1 };
    async_begin;
    async_ok(self->listener = async_listen_with("::1", 0, &short_one));
    async_ok(self->port = async_port(self->listener));
    await(self->fds[0], async_connect("::1", self->port), 500); /* one more fits, as in Linux */
    async_ok(self->fds[0]);
    await(self->fds[1], async_connect("::1", self->port), 500);
    async_ok(self->fds[1]);
    await(self->fd, async_connect("::1", self->port), 500);
    cr_assert_eq(self->fd, -ETIMEDOUT);
    await(self->fd, async_accept(self->listener));
    async_ok(self->fd);
    async_close(self->fd);
    await(self->fd, async_connect("::1", self->port), 500);
    async_ok(self->fd);
    async_close(self->fd);
    async_close(self->fds[0]);
    async_close(self->fds[1]);
    async_close(self->listener);
    async_end;
}

static bool is_printed(int error, const async_address *address, const char *text)
{
    char printed[ASYNC_ADDRESS_TEXT];
    async_address_print(address, printed, sizeof printed);
    return error || strcmp(printed, text) == 0;
}

/* An abstract name is nobody's as soon as its socket is gone. */
AsyncTestWith(sockets, an_abstract_name_goes_with_its_socket,
              (.seeds = 200, .torture = 1, .real = 1),
              int round, listener, client, server; async_address address;)
{
    int error;
    async_begin;
    self->client = self->server = -1;
    for (; self->round < 3; self->round++) {
        async_ok(self->listener = async_listen_unix("@async sockets"));
        await(self->client, async_connect_unix("@async sockets"));
        async_ok(self->client);
        await(self->server, async_accept(self->listener), 1000);
        async_ok(self->server);
        async_ok(error = async_peer_address(self->client, &self->address));
        cr_assert(is_printed(error, &self->address, "@async sockets"));
        async_ok(error = async_peer_address(self->server, &self->address));
        cr_assert(is_printed(error, &self->address, ""));
        async_close(self->listener);
        self->listener = -1;
        async_close(self->client);
        async_close(self->server);
        self->client = self->server = -1;
        await(self->client, async_connect_unix("@async sockets"));
        cr_assert(self->client == -ECONNREFUSED || sim_has_failed());
    }
    async_finally;
    async_close(self->listener);
    async_close(self->client);
    async_close(self->server);
    async_end;
}

/* Whoever comes by IPv4 to a socket of both families has an IPv4 address. */
AsyncTestWith(sockets, an_address_is_of_the_family_it_came_by,
              (.seeds = 100, .torture = 1, .real = 1),
              int listener, client, server, i; async_address address; char text[32];)
{
    static const char *const hosts[] = { "127.0.0.1", "::1" };
    async_begin;
    self->client = self->server = -1;
    async_ok(self->listener = async_listen_with(NULL, 0, NULL));
    for (; self->i < 2; self->i++) {
        await(self->client, async_connect(hosts[self->i], async_port(self->listener)));
        async_ok(self->client);
        await(self->server, async_accept(self->listener), 1000);
        async_ok(self->server);
        snprintf(self->text, sizeof self->text, self->i ? "[::1]:%d" : "127.0.0.1:%d",
                 async_port(self->client));
        if (sim_has_failed())
            async_return(-EIO);
        async_ok(async_peer_address(self->server, &self->address));
        cr_assert(is_printed(0, &self->address, self->text));
        snprintf(self->text, sizeof self->text, self->i ? "[::1]:%d" : "127.0.0.1:%d",
                 async_port(self->listener));
        if (sim_has_failed())
            async_return(-EIO);
        async_ok(async_own_address(self->server, &self->address));
        cr_assert(is_printed(0, &self->address, self->text));
        async_close(self->client);
        async_close(self->server);
        self->client = self->server = -1;
    }
    async_finally;
    async_close(self->listener);
    async_close(self->client);
    async_close(self->server);
    async_end;
}

/* What macOS says while it takes a connection down is what other systems call a reset; buffers that
 * ran out come back. */
AsyncTestWith(sockets, odd_errors_of_a_write_are_made_even, (.seeds = 50), int ends[2]; char got;)
{
    ssize_t n;
    async_begin;
    async_ok(open_pair(TCP, self->ends));
    sim_fail_next(send, EPROTOTYPE);
    await(n, async_write(self->ends[0], "x", 1));
    cr_assert_eq(n, -ECONNRESET);
    sim_fail_next(send, ENOBUFS);
    await(n, async_write(self->ends[0], "y", 1), 200);
    cr_assert_eq(n, 1);
    await(n, async_read(self->ends[1], &self->got, 1), 200);
    cr_assert_eq(n, 1);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

async(writes_all, int fd; char data[3000];)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, self->data, sizeof self->data));
    async_return(n);
    async_end;
}

/* Who waits for buffers has a right to the next ones: nothing goes out in the midst of a write. */
AsyncTest(sockets, a_write_that_waits_for_buffers_is_not_broken_up, int ends[2]; async_task task;
          ssize_t n; char got[3000];)
{
    async_begin;
    async_ok(open_pair(TCP, self->ends));
    self->task = async_keep(async_spawn(writes_all, self->ends[0]));
    sim_fail_next(send, ENOBUFS);
    await(async_yield());
    check_error(async_write_nowait, EAGAIN, async_write_nowait(self->ends[0], "x", 1));
    await(self->n, async_join(self->task), 1000);
    cr_assert_eq(self->n, 3000);
    cr_assert_eq(async_write_nowait(self->ends[0], "x", 1), 1);
    while (self->n > 0) {
        ssize_t n;
        await(n, async_read(self->ends[1], self->got, (size_t)self->n), 1000);
        async_ok(n);
        cr_assert(!memchr(self->got, 'x', (size_t)n));
        self->n -= n;
    }
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}
