/*
 * sim_datagrams.c: datagrams in the simulated world. Goal: each arrives as it was sent, or not at
 * all; an error that comes back is told once, and the socket goes on. Method: sockets that the
 * library does not make are adopted; a protocol of numbers, answers and time limits carries bytes
 * over a network that loses and reorders.
 */
#include "sim_io.h"

/* A UDP socket on loopback with a port of its own, adopted; or a negative errno. */
static int open_udp(struct sockaddr_in *address)
{
    unsigned size = sizeof *address;
    int fd = sim_socket(AF_INET, SOCK_DGRAM, 0), error;
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(sim_bind(fd, (struct sockaddr *)address, size), 0);
    cr_assert_eq(sim_getsockname(fd, (struct sockaddr *)address, &size), 0);
    error = async_adopt(fd);
    if (error < 0)
        sim_close(fd);
    return error;
}

/* Two, each of which sends to the other. Returns 0 or a negative errno; what is open is in
 * `ends`. */
static async_result open_udp_pair(int ends[2])
{
    struct sockaddr_in addresses[2];
    ends[0] = ends[1] = -1;
    for (int i = 0; i < 2; i++)
        if ((ends[i] = open_udp(&addresses[i])) < 0)
            return ends[i];
    for (int i = 0; i < 2; i++)
        cr_assert_eq(sim_connect(ends[i], (struct sockaddr *)&addresses[!i], sizeof addresses[0]),
                     0);
    return 0;
}

/* ----------------------------------------------------------------------------
 * MARK: - Whole, and in order where nothing is lost
 * ------------------------------------------------------------------------- */
enum { LETTERS = 40 };

async(letters, int fd; size_t size; char data[LETTERS];)
{
    ssize_t n;
    async_begin;
    for (self->size = 1; self->size <= LETTERS; self->size++) {
        fill(self->data, self->size, self->size);
        await(n, async_write(self->fd, self->data, self->size));
        if (n < 0)
            async_return(n);
        cr_assert_eq((size_t)n, self->size);
        if (self->size % 5 == 0)
            await(async_sleep(2));
    }
    async_end;
}

/* A buffer that is too small cuts a datagram: the rest of it is gone, the next is whole. */
AsyncTestWith(datagrams, each_arrives_whole_and_alone, (.seeds = 500, .torture = 1, .real = 1),
              int ends[2]; size_t size, room; async_task writer; char data[64];)
{
    ssize_t n;
    async_begin;
    sim_socketpair(AF_UNIX, SOCK_DGRAM, 0, self->ends);
    async_ok(adopt_pair(self->ends));
    self->writer = async_spawn(letters, .fd = self->ends[1]);
    async_ok(async_keep(self->writer));
    for (self->size = 1; self->size <= LETTERS; self->size++) {
        self->room = self->size % 7 ? 64 : 3;
        await(n, async_read(self->ends[0], self->data, self->room), 1000);
        if (n == -ETIMEDOUT && sim_has_failed())
            async_return(n); /* the writer could not */
        async_ok(n);
        cr_assert_eq((size_t)n, self->size < self->room ? self->size : self->room);
        cr_assert(matches(self->data, self->size, (size_t)n));
    }
    await(n, async_read(self->ends[0], self->data, 64), 10);
    cr_assert(n == -ETIMEDOUT || sim_has_failed());
    await(n, async_join(self->writer));
    async_ok(n);
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Over a network that loses
 * ------------------------------------------------------------------------- */
struct packet {
    unsigned char number;
    char data[20];
};

enum { PACKETS = 16 };

/* Sends each packet until it is answered. */
async(stubborn_sender, int fd, number, tries; struct packet packet; unsigned char answer;)
{
    ssize_t n;
    async_begin;
    for (; self->number < PACKETS; self->number++) {
        self->packet.number = (unsigned char)self->number;
        fill(self->packet.data, (size_t)self->number * 20, 20);
        for (;;) {
            self->tries++;
            await(n, async_write(self->fd, &self->packet, sizeof self->packet));
            if (n < 0)
                async_return(n);
            do /* an answer to an earlier try may still come */
                await(n, async_read(self->fd, &self->answer, 1), 30);
            while (n == 1 && self->answer != self->packet.number);
            if (n != -ETIMEDOUT)
                break;
        }
        if (n < 0)
            async_return(n);
    }
    async_return(self->tries);
    async_end;
}

/* Answers each packet, also one that it has had; keeps each once. Returns how many there were. */
async(keeper, int fd, expected; struct packet packet;)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->fd, &self->packet, sizeof self->packet));
        if (n < 0)
            async_return(n == -ECANCELED ? self->expected : n);
        cr_assert_eq(n, (ssize_t)sizeof self->packet);
        cr_assert(self->packet.number <= self->expected);
        cr_assert(matches(self->packet.data, (size_t)self->packet.number * 20, 20));
        if (self->packet.number == self->expected)
            self->expected++;
        await(n, async_write(self->fd, &self->packet.number, 1));
        if (n < 0)
            async_return(n == -ECANCELED ? self->expected : n);
    }
    async_end;
}

AsyncTestWith(datagrams, a_protocol_survives_loss_and_reordering,
              (.seeds = 1200, .faults = SIM_DATAGRAMS, .real = 1), int ends[2]; async_task keeper;)
{
    async_result n;
    async_begin;
    async_ok(open_udp_pair(self->ends));
    self->keeper = async_spawn(keeper, .fd = self->ends[1]);
    async_keep(self->keeper);
    await(n, async_call(stubborn_sender, .fd = self->ends[0]));
    async_ok(n);
    async_sometimes(n == PACKETS);
    async_sometimes(n > 2 * PACKETS);
    async_cancel(self->keeper);
    await(n, async_join(self->keeper));
    cr_assert_eq(n, PACKETS);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* The same in both directions between three pairs at once: what is lost here does not hold up what
 * goes on there. */
AsyncTestWith(datagrams, lost_datagrams_hold_up_nobody_else,
              (.seeds = 500, .faults = SIM_DATAGRAMS), int ends[3][2], i; async_task keepers[3],
              senders[3];)
{
    async_result n;
    async_begin;
    for (self->i = 0; self->i < 3; self->i++) {
        async_ok(open_udp_pair(self->ends[self->i]));
        self->keepers[self->i] = async_spawn(keeper, .fd = self->ends[self->i][1]);
        self->senders[self->i] = async_spawn(stubborn_sender, .fd = self->ends[self->i][0]);
        async_keep(self->keepers[self->i]);
        async_keep(self->senders[self->i]);
    }
    for (self->i = 0; self->i < 3; self->i++) {
        await(n, async_join(self->senders[self->i]));
        cr_assert_geq(n, PACKETS);
        async_cancel(self->keepers[self->i]);
        await(n, async_join(self->keepers[self->i]));
        cr_assert_eq(n, PACKETS);
        async_close(self->ends[self->i][0]);
        async_close(self->ends[self->i][1]);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Errors that come back
 * ------------------------------------------------------------------------- */

async(ear, int fd; char data[8];)
{
    ssize_t n;
    async_begin;
    await(n, async_read(self->fd, self->data, sizeof self->data), 500);
    async_return(n);
    async_end;
}

/* Nobody is bound where the datagram goes: the next call says so, once, and the socket goes on. */
AsyncTestWith(datagrams, a_refusal_is_told_once_and_the_socket_lives, (.seeds = 500, .torture = 1),
              int ends[2], round; struct sockaddr_in here, there; async_task ear; char data[8];)
{
    ssize_t n;
    async_begin;
    self->ends[0] = self->ends[1] = -1;
    async_ok(self->ends[0] = open_udp(&self->here));
    for (; self->round < 6; self->round++) {
        async_ok(self->ends[1] = open_udp(&self->there));
        sim_connect(self->ends[0], (struct sockaddr *)&self->there, sizeof self->there);
        sim_connect(self->ends[1], (struct sockaddr *)&self->here, sizeof self->here);
        await(n, async_write(self->ends[0], "there", 5));
        async_ok(n);
        await(n, async_read(self->ends[1], self->data, 8));
        async_ok(n);
        cr_assert_eq(n, 5);
        async_close(self->ends[1]);
        self->ends[1] = -1;
        if (self->round % 2) { /* somebody waits already; or the error does */
            self->ear = async_spawn(ear, .fd = self->ends[0]);
            async_ok(async_keep(self->ear));
            await(async_settle());
        }
        await(n, async_write(self->ends[0], "gone", 4));
        async_ok(n);
        if (self->round % 2)
            await(n, async_join(self->ear));
        else
            await(n, async_call(ear, .fd = self->ends[0]));
        cr_assert(n == -ECONNREFUSED || sim_has_failed());
        await(n, async_read(self->ends[0], self->data, 8), 20);
        cr_assert(n == -ETIMEDOUT || sim_has_failed());
    }
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Names: who sends, and to whom
 * ------------------------------------------------------------------------- */

/* Is this address printed so? `port`: after it, -1 for none. */
static bool is_at(const async_address *address, const char *host, int port)
{
    char text[ASYNC_ADDRESS_TEXT], expected[ASYNC_ADDRESS_TEXT + 8];
    snprintf(expected, sizeof expected, port < 0 ? "%s" : "%s:%d", host, port);
    return async_address_print(address, text, sizeof text) == (int)strlen(expected) &&
           strcmp(text, expected) == 0;
}

/* Answers each datagram, to whoever sent it; an empty one ends it. */
async(answerer, int fd, count; char data[64]; async_address from;)
{
    ssize_t n;
    async_begin;
    for (;; self->count++) {
        await(n, async_recvfrom(self->fd, self->data, sizeof self->data, &self->from));
        if (n <= 0)
            async_return(n < 0 ? n : self->count);
        await(n, async_sendto(self->fd, self->data, (size_t)n, &self->from));
        if (n < 0)
            async_return(n);
    }
    async_end;
}

/* Sends to a port and takes what comes back, by the address it comes from. */
async(asker, int fd, port, round; const char *host, *shown; async_address to, from;
      char data[64];)
{
    ssize_t n;
    async_begin;
    async_ok(async_address_parse(&self->to, self->host, self->port));
    for (; self->round < 8; self->round++) {
        fill(self->data, (size_t)self->round, 20);
        await(n, async_sendto(self->fd, self->data, 20 + (size_t)self->round, &self->to));
        async_ok(n);
        cr_assert_eq(n, 20 + self->round);
        memset(self->data, 0, sizeof self->data);
        await(n, async_recvfrom(self->fd, self->data, sizeof self->data, &self->from), 1000);
        async_ok(n);
        cr_assert_eq(n, 20 + self->round);
        cr_assert(matches(self->data, (size_t)self->round, 20));
        cr_assert(is_at(&self->from, self->shown, self->port));
    }
    async_end;
}

/* One server for IPv4 and IPv6: each address is seen as what it is. */
AsyncTestWith(datagrams, one_socket_answers_both_families, (.seeds = 500, .torture = 1, .real = 1),
              int server, clients[3], port, i; async_task answerer, askers[3];)
{
    static const char *const hosts[] = { "127.0.0.1", "::1", "127.0.0.1" };
    static const char *const shown[] = { "127.0.0.1", "[::1]", "127.0.0.1" };
    static const char *const own[] = { "127.0.0.1", "::1", NULL };
    async_result n;
    async_begin;
    self->clients[0] = self->clients[1] = self->clients[2] = -1;
    async_ok(self->server = async_bind_udp(NULL, 0, NULL));
    async_ok(self->port = async_port(self->server));
    self->answerer = async_spawn(answerer, .fd = self->server);
    async_ok(async_keep(self->answerer));
    for (self->i = 0; self->i < 3; self->i++) {
        async_ok(self->clients[self->i] = async_bind_udp(own[self->i], 0, NULL));
        self->askers[self->i] = async_spawn(asker, .fd = self->clients[self->i],
                                            .port = self->port, .host = hosts[self->i],
                                            .shown = shown[self->i]);
        async_ok(async_keep(self->askers[self->i]));
    }
    for (self->i = 0; self->i < 3; self->i++) {
        await(n, async_join(self->askers[self->i]));
        async_ok(n);
    }
    async_cancel(self->answerer);
    await(n, async_join(self->answerer));
    cr_assert(n == -ECANCELED || sim_has_failed());
    async_finally;
    for (self->i = 0; self->i < 3; self->i++)
        async_close(self->clients[self->i]);
    async_close(self->server);
    async_end;
}

/* Sends each number until it is answered by the one that it was sent to. */
async(stubborn_asker, int fd, number, tries; async_address to, from; int answer;)
{
    ssize_t n;
    async_begin;
    for (; self->number < PACKETS; self->number++) {
        do {
            self->tries++;
            await(n, async_sendto(self->fd, &self->number, sizeof self->number, &self->to));
            if (n < 0)
                async_return(n);
            do /* an answer to an earlier try may still come */
                await(n, async_recvfrom(self->fd, &self->answer, sizeof self->answer,
                                        &self->from), 30);
            while (n > 0 && self->answer != self->number);
        } while (n == -ETIMEDOUT);
        if (n < 0)
            async_return(n);
        cr_assert_eq(n, (ssize_t)sizeof self->answer);
        cr_assert_eq(self->from.size, self->to.size);
        cr_assert(memcmp(&self->from.is, &self->to.is, self->to.size) == 0);
    }
    async_return(self->tries);
    async_end;
}

/* Callbacks: answers whatever is there, and each no more than the system takes. */
static void on_question(int fd, void *data)
{
    async_address from;
    char question[64];
    ssize_t n;
    (void)data;
    while ((n = async_recvfrom_nowait(fd, question, sizeof question, &from)) >= 0) {
        ssize_t sent = async_sendto_nowait(fd, question, (size_t)n, &from);
        cr_assert(sent == n || sent == -EAGAIN); /* then it is as good as lost */
    }
    cr_assert_eq(n, -EAGAIN);
}

/* Two servers, one of tasks and one of callbacks, and clients of both on each socket's network. */
AsyncTestWith(datagrams, answers_find_who_asked, (.seeds = 500, .faults = SIM_DATAGRAMS,
              .real = 1), int servers[2], clients[4], i; async_task answerer, askers[4];)
{
    async_address to;
    async_result n;
    async_begin;
    for (self->i = 0; self->i < 2; self->i++)
        async_ok(self->servers[self->i] = async_bind_udp("127.0.0.1", 0, NULL));
    self->answerer = async_spawn(answerer, .fd = self->servers[0]);
    async_ok(async_on_readable(self->servers[1], NULL, on_question));
    for (self->i = 0; self->i < 4; self->i++) {
        async_ok(self->clients[self->i] = async_bind_udp("127.0.0.1", 0, NULL));
        async_ok(async_own_address(self->servers[self->i % 2], &to));
        self->askers[self->i] = async_spawn(stubborn_asker, .fd = self->clients[self->i],
                                            .to = to);
        async_ok(async_keep(self->askers[self->i]));
    }
    for (self->i = 0; self->i < 4; self->i++) {
        await(n, async_join(self->askers[self->i]));
        async_ok(n);
        async_sometimes(n > 2 * PACKETS);
        async_close(self->clients[self->i]);
    }
    async_cancel(self->answerer);
    await(async_join(self->answerer));
    async_close(self->servers[0]);
    async_close(self->servers[1]);
    async_end;
}

/* A connected socket hears of its peer alone, and of nobody being there. */
AsyncTestWith(datagrams, a_connected_socket_hears_its_peer_alone,
              (.seeds = 500, .torture = 1, .real = 1), int server, client, stranger, port, own;
              async_task answerer; async_address to, from; char data[8];)
{
    ssize_t n;
    async_begin;
    self->client = self->stranger = -1;
    async_ok(self->server = async_bind_udp("::1", 0, NULL));
    async_ok(self->port = async_port(self->server));
    async_ok(self->client = async_connect_udp("::1", self->port));
    async_ok(self->own = async_port(self->client));
    async_ok(self->stranger = async_bind_udp("::1", 0, NULL));
    async_ok(async_peer_address(self->client, &self->from));
    cr_assert(is_at(&self->from, "[::1]", self->port));
    async_ok(async_own_address(self->client, &self->from));
    cr_assert(is_at(&self->from, "[::1]", self->own));
    cr_assert_neq(async_peer_address(self->server, &self->from), 0);
    cr_assert_eq(self->from.size, 0);
    self->answerer = async_spawn(answerer, .fd = self->server);
    async_ok(async_keep(self->answerer));
    async_ok(async_address_parse(&self->to, "::1", self->own));
    await(n, async_sendto(self->stranger, "strange", 7, &self->to));
    async_ok(n);
    await(n, async_sendto(self->client, "hello", 5, NULL));
    async_ok(n);
    await(n, async_recvfrom(self->client, self->data, sizeof self->data, NULL), 1000);
    async_ok(n);
    cr_assert_eq(n, 5);
    cr_assert(memcmp(self->data, "hello", 5) == 0);
    await(n, async_sendto(self->client, "", 0, NULL)); /* a datagram all the same */
    async_ok(n);
    await(n, async_join(self->answerer));
    async_ok(n);
    cr_assert_eq(n, 1);
    async_close(self->server);
    self->server = -1;
    await(n, async_sendto(self->client, "gone", 4, NULL));
    async_ok(n);
    await(n, async_recvfrom(self->client, self->data, sizeof self->data, &self->from), 1000);
    cr_assert(n == -ECONNREFUSED || sim_has_failed());
    cr_assert_eq(self->from.size, 0);
    await(n, async_recvfrom(self->client, self->data, sizeof self->data, &self->from), 5);
    cr_assert(n == -ETIMEDOUT || sim_has_failed());
    async_finally;
    async_close(self->server);
    async_close(self->client);
    async_close(self->stranger);
    async_end;
}

/* Only ::ffff:0:0/96 stands for IPv4. */
AsyncTest(datagrams, an_address_that_looks_like_another_is_its_own, int fd, i;)
{
    static const char *const hosts[] = { "2001:db8::1", "0:0:1::ffff:7f00:1", "::7f00:1",
                                         "::fffe:7f00:1", "::ffff:7f00:1" };
    static const char *const shown[] = { "[2001:db8::1]", "[::1:0:0:ffff:7f00:1]", "[::127.0.0.1]",
                                         "[::fffe:7f00:1]", "127.0.0.1" };
    async_address peer;
    async_begin;
    for (self->i = 0; self->i < 5; self->i++) {
        async_ok(self->fd = async_connect_udp(hosts[self->i], 9));
        async_ok(async_peer_address(self->fd, &peer));
        cr_assert(is_at(&peer, shown[self->i], 9));
        async_close(self->fd);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Too large, too many
 * ------------------------------------------------------------------------- */

/* A buffer that is too small is told, with the sender; what does not fit a datagram is not sent. */
AsyncTestWith(datagrams, what_does_not_fit_is_told, (.seeds = 300, .torture = 1, .real = 1),
              int a, b, port; async_address to, from; char data[9000];)
{
    static const char large[70000];
    ssize_t n;
    async_begin;
    self->b = -1;
    async_ok(self->a = async_bind_udp("127.0.0.1", 0, NULL));
    async_ok(self->b = async_bind_udp("127.0.0.1", 0, NULL));
    async_ok(self->port = async_port(self->b));
    async_ok(async_address_parse(&self->to, "127.0.0.1", async_port(self->a)));
    await(n, async_sendto(self->b, large, sizeof large, &self->to));
    cr_assert(n == -EMSGSIZE || sim_has_failed());
    fill(self->data, 0, 9000);
    await(n, async_sendto(self->b, self->data, 9000, &self->to));
    async_ok(n);
    await(n, async_sendto(self->b, self->data, 9, &self->to));
    async_ok(n);
    await(n, async_sendto(self->b, self->data, 9, &self->to));
    async_ok(n);
    memset(self->data, 0, sizeof self->data);
    await(n, async_recvfrom(self->a, self->data, 10, &self->from), 1000);
    if (sim_has_failed())
        async_return(-EIO);
    cr_assert_eq(n, -EMSGSIZE);
    cr_assert(matches(self->data, 0, 10) && self->data[10] == 0);
    cr_assert(is_at(&self->from, "127.0.0.1", self->port));
    await(n, async_recvfrom(self->a, self->data, 9, &self->from), 1000);
    cr_assert(n == 9 || sim_has_failed());
    await(n, async_recvfrom(self->a, self->data, 0, &self->from), 1000); /* not even one byte */
    cr_assert(n == -EMSGSIZE || sim_has_failed());
    async_finally;
    async_close(self->a);
    async_close(self->b);
    async_end;
}

/* A limit, a cancel, a close: whoever waits is told, and the next datagram is the next one's. */
AsyncTestWith(datagrams, who_waits_for_one_may_give_up, (.seeds = 500, .torture = 1, .real = 1),
              int fd, round; async_task tasks[2]; async_address own, from; char data[8];)
{
    ssize_t n;
    async_begin;
    async_ok(self->fd = async_bind_udp("127.0.0.1", 0, NULL));
    async_ok(async_own_address(self->fd, &self->own));
    for (; self->round < 4; self->round++) {
        self->tasks[0] = async_spawn(answerer, .fd = self->fd);
        async_ok(async_keep(self->tasks[0]));
        await(async_settle());
        await(n, async_recvfrom(self->fd, self->data, 8, &self->from), 1);
        cr_assert(n == -EBUSY || sim_has_failed());
        async_cancel(self->tasks[0]);
        await(n, async_join(self->tasks[0]));
        cr_assert(n == -ECANCELED || sim_has_failed());
        await(n, async_recvfrom(self->fd, self->data, 8, &self->from), 3);
        cr_assert(n == -ETIMEDOUT || sim_has_failed());
        await(n, async_sendto(self->fd, "to self", 7, &self->own));
        async_ok(n);
        await(n, async_recvfrom(self->fd, self->data, 8, &self->from), 1000);
        async_ok(n);
        cr_assert_eq(n, 7);
        cr_assert(memcmp(self->data, "to self", 7) == 0);
    }
    self->tasks[0] = async_spawn(answerer, .fd = self->fd);
    async_ok(async_keep(self->tasks[0]));
    await(async_settle());
    async_close(self->fd);
    self->fd = -1;
    await(n, async_join(self->tasks[0]));
    cr_assert(n == -EBADF || sim_has_failed());
    async_finally;
    async_close(self->fd);
    async_end;
}

/* No buffers are left (on a BSD nothing tells when there are again): the send waits, by the clock,
 * as long as it may. */
AsyncTestWith(datagrams, a_send_without_buffers_is_tried_again, (.seeds = 500),
              int fd, round; int64_t start_ns; async_address own; char data[8];)
{
    ssize_t n;
    async_begin;
    async_ok(self->fd = async_bind_udp("127.0.0.1", 0, NULL));
    async_ok(async_own_address(self->fd, &self->own));
    for (; self->round < 5; self->round++) {
        sim_fail_next(sendmsg, ENOBUFS);
        self->start_ns = async_now();
        await(n, async_sendto(self->fd, "round", 5, &self->own), 1000);
        cr_assert_eq(n, 5);
        cr_assert(async_now() - self->start_ns < 40000000);
        await(n, async_recvfrom(self->fd, self->data, 8, NULL), 1000);
        cr_assert_eq(n, 5);
        sim_fail_next(sendmsg, ENOBUFS);
        cr_assert_eq(async_sendto_nowait(self->fd, "now", 3, &self->own), -EAGAIN);
        do {
            await(n, async_writable(self->fd), 1000);
            cr_assert_eq(n, 0);
            n = async_sendto_nowait(self->fd, "now", 3, &self->own);
        } while (n == -EAGAIN);
        cr_assert_eq(n, 3);
        await(n, async_recvfrom(self->fd, self->data, 8, NULL), 1000);
        cr_assert_eq(n, 3);
    }
    async_close(self->fd);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Unix sockets
 * ------------------------------------------------------------------------- */
async(flood, int fd, count; const char *path; async_address to; unsigned char number;)
{
    ssize_t n;
    async_begin;
    async_ok(async_address_unix(&self->to, self->path));
    for (; self->number < self->count; self->number++) {
        await(n, async_sendto(self->fd, &self->number, 1, &self->to));
        async_ok(n);
    }
    async_return(self->count);
    async_end;
}

enum { FLOOD = 40 };

/* A reader that is slow holds up whoever writes to it, and nothing is lost: the queue of a socket
 * that is not the peer has no event. Abstract names, and none: whoever has one can be answered. */
AsyncTestWith(datagrams, a_full_unix_socket_holds_its_writers_up,
              (.seeds = 500, .torture = 1, .real = 1), int reader, writers[2], i, next[2];
              async_task floods[2]; async_address from; unsigned char data[8];)
{
    ssize_t n;
    int who;
    async_begin;
    self->writers[0] = self->writers[1] = -1;
    async_ok(self->reader = async_bind_unix("@async reader"));
    async_ok(self->writers[0] = async_bind_unix("@async writer"));
    async_ok(self->writers[1] = async_bind_unix(NULL));
    for (self->i = 0; self->i < 2; self->i++) {
        self->floods[self->i] = async_spawn(flood, .fd = self->writers[self->i],
                                            .path = "@async reader", .count = FLOOD);
        async_ok(async_keep(self->floods[self->i]));
    }
    await(async_settle());
    for (self->i = 0; self->i < 2 * FLOOD; self->i++) {
        await(n, async_recvfrom(self->reader, self->data, 8, &self->from), 2000);
        if (n == -ETIMEDOUT && sim_has_failed())
            async_return(n);
        async_ok(n);
        cr_assert_eq(n, 1);
        cr_assert(is_at(&self->from, "@async writer", -1) || is_at(&self->from, "", -1));
        who = !is_at(&self->from, "@async writer", -1);
        cr_assert_eq(self->data[0], self->next[who]);
        self->next[who]++;
    }
    for (self->i = 0; self->i < 2; self->i++) {
        await(n, async_join(self->floods[self->i]));
        async_ok(n);
        cr_assert_eq(n, FLOOD);
    }
    async_finally;
    async_close(self->reader);
    async_close(self->writers[0]);
    async_close(self->writers[1]);
    async_end;
}
