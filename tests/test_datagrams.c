/*
 * Datagrams and addresses: the errors that contracts name, and what is printed and read.
 *
 * Goal: each error comes from what the contract says it comes from, and the socket goes on after
 * it. Method: sockets on loopback that send to themselves and to one another. What a network does
 * to datagrams is in sim_datagrams.c.
 */
#include "seam.h"

#include "async.h"
#include "test.h"

#include "io.h"

/* ----------------------------------------------------------------------------
 * MARK: - Addresses
 * ------------------------------------------------------------------------- */

static const char *printed(const async_address *address)
{
    static char text[ASYNC_ADDRESS_TEXT];
    int length = async_address_print(address, text, sizeof text);

    check_equal(length, (int)strlen(text));
    return text;
}

TEST(addresses, are_printed_as_they_are_read)
{
    static const struct {
        const char *host, *text;
        int port;
    } cases[] = {
        { "127.0.0.1", "127.0.0.1:80", 80 }, { "0.0.0.0", "0.0.0.0:0", 0 },
        { "255.255.255.255", "255.255.255.255:65535", 65535 }, { "::1", "[::1]:80", 80 },
        { "::", "[::]:0", 0 }, { "fe80::1%2", "[fe80::1%2]:5353", 5353 },
        { "1111:2222:3333:4444:5555:6666:7777:8888%4294967295",
          "[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535", 65535 },
    };
    async_address address;
    size_t i;

    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_equal(async_address_parse(&address, cases[i].host, cases[i].port), 0);
        check_text(printed(&address), cases[i].text);
    }
    check_error(async_address_parse, EINVAL, async_address_parse(&address, "localhost", 80));
    check_equal(address.size, 0);
    check_text(printed(&address), "");
    check_equal(async_address_parse(&address, NULL, 80), -EINVAL);
    check_equal(async_address_parse(&address, "", 80), -EINVAL);
    check_equal(async_address_parse(&address, "127.0.0.1", -1), -EINVAL);
    check_equal(async_address_parse(&address, "127.0.0.1", 65536), -EINVAL);
    check_equal(async_address_parse(&address, "127.0.0.1%1", 80), -EINVAL);
    check_equal(async_address_parse(&address, "::1%", 80), -EINVAL);
    check_equal(async_address_parse(&address, "fe80::1%4294967297", 80), -EINVAL);
    check_equal(async_address_parse(&address, "fe80::1%-1", 80), -EINVAL);
    check_equal(async_address_parse(&address, "fe80::1% +2", 80), -EINVAL);
    check_equal(async_address_parse(&address, "fe80::1%2x", 80), -EINVAL);
}

TEST(addresses, of_unix_sockets_are_paths_and_names)
{
    async_address address;
    char longest[sizeof address.is.local.sun_path + 1], small[8];

    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    check_error(async_address_unix, ENAMETOOLONG, async_address_unix(&address, longest));
    check_equal(address.size, 0);
    longest[sizeof longest - 2] = '\0';
    check_equal(async_address_unix(&address, longest), 0);
    check_text(printed(&address), longest);
    check_error(async_address_unix, EINVAL, async_address_unix(&address, NULL));
    check_equal(async_address_unix(&address, ""), -EINVAL);
    check_equal(async_address_unix(&address, "/run/x"), 0);
    check_text(printed(&address), "/run/x");
    address.size = offsetof(struct sockaddr_un, sun_path); /* as the system writes "no name" */
    check_text(printed(&address), "");
    check_equal(async_address_unix(&address, "/run/x"), 0);
    check_equal(async_address_print(&address, small, 4), 6);
    check_text(small, "/ru");
#ifdef __linux__
    check_equal(async_address_unix(&address, "@name"), 0);
    check_text(printed(&address), "@name");
    check_equal(address.is.local.sun_path[0], 0);
    check_equal(address.size, offsetof(struct sockaddr_un, sun_path) + 5);
    longest[0] = '@'; /* without a zero at its end it is as long as there is room */
    longest[sizeof longest - 2] = 'x';
    check_equal(async_address_unix(&address, longest), 0);
    check_equal(address.size, sizeof address.is.local);
    check_text(printed(&address), longest);
#endif
}

TASK_TEST(addresses, of_sockets_can_be_asked_for, int listener, client, fd, pipe[2];
          async_address address; char expected[32];)
{
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    snprintf(self->expected, sizeof self->expected, "127.0.0.1:%d", async_port(self->listener));
    check_equal(async_own_address(self->listener, &self->address), 0);
    check_text(printed(&self->address), self->expected);
    check_error(async_peer_address, ENOTCONN, async_peer_address(self->listener, &self->address));
    check_equal(self->address.size, 0);
    await(self->client, async_connect("127.0.0.1", async_port(self->listener)));
    await(self->fd, async_accept(self->listener));
    check_equal(async_peer_address(self->client, &self->address), 0);
    check_text(printed(&self->address), self->expected);
    check_equal(async_own_address(self->fd, &self->address), 0);
    check_text(printed(&self->address), self->expected);
    check_equal(async_peer_address(self->fd, &self->address), 0);
    check_equal(ntohs(self->address.is.v4.sin_port), async_port(self->client));
    check_equal(async_pipe(self->pipe), 0);
    check_error(async_own_address, ENOTSOCK, async_own_address(self->pipe[0], &self->address));
    check_error(async_peer_address, ENOTSOCK, async_peer_address(self->pipe[0], &self->address));
    async_close(self->pipe[0]);
    check_error(async_own_address, EBADF, async_own_address(self->pipe[0], &self->address));
    check_error(async_peer_address, EBADF, async_peer_address(self->pipe[0], &self->address));
    check_equal(async_socketpair(self->pipe), 0); /* without a name */
    check_equal(async_own_address(self->pipe[0], &self->address), 0);
    check_equal(self->address.size, 0);
    check_text(printed(&self->address), "");
    check_error(async_listen_at, EINVAL, async_listen_at(&self->address, NULL));
    check_equal(async_peer_address(self->pipe[0], &self->address), 0);
    check_equal(self->address.size, 0);
    check_equal(async_own_address(-ENOMEM, &self->address), -ENOMEM);
    check_equal(async_peer_address(-ENOMEM, &self->address), -ENOMEM);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Datagrams
 * ------------------------------------------------------------------------- */

async(receives, int fd; char data[8]; async_address from;)
{
    ssize_t n;
    async_begin;
    await(n, async_recvfrom(self->fd, self->data, sizeof self->data, &self->from));
    async_return(n);
    async_end;
}

TASK_TEST(datagrams, tell_what_is_wrong, int fd; async_task task; async_address own, none;
          char data[8];)
{
    static const char large[65536];
    ssize_t n;
    async_begin;
    self->fd = async_bind_udp("127.0.0.1", 0, NULL);
    check_equal(async_own_address(self->fd, &self->own), 0);
    await(n, async_sendto(self->fd, "x", 1, NULL));
    check_error(async_sendto, EDESTADDRREQ, n);
    await(n, async_sendto(self->fd, "x", 1, &self->none));
    check_equal(n, -EDESTADDRREQ);
    await(n, async_sendto(self->fd, large, sizeof large, &self->own));
    check_error(async_sendto, EMSGSIZE, n);
    await(n, async_sendto(self->fd, "ping", 4, &self->own));
    check_equal(n, 4);
    await(n, async_recvfrom(self->fd, self->data, 3, NULL));
    check_error(async_recvfrom, EMSGSIZE, n);
    self->task = async_keep(async_spawn(receives, .fd = self->fd));
    await(async_yield());
    await(n, async_recvfrom(self->fd, self->data, 8, NULL));
    check_error(async_recvfrom, EBUSY, n);
    check_equal(async_close(self->fd), 0);
    await(n, async_join(self->task));
    check_error(async_recvfrom, EBADF, n);
    await(n, async_sendto(self->fd, "x", 1, &self->own));
    check_error(async_sendto, EBADF, n);
    await(n, async_sendto(-EMFILE, "x", 1, &self->own));
    check_equal(n, -EMFILE);
    check_equal(async_bind_udp("localhost", 0, NULL), -EINVAL);
    check_equal(async_connect_udp("localhost", 1), -EINVAL);
    async_end;
}

TASK_TEST(datagrams, tell_that_nobody_is_there, int fd, round; async_address from; char data[8];)
{
    ssize_t n;
    async_begin;
    self->fd = async_bind_udp("127.0.0.1", 0, NULL);
    check_equal(async_own_address(self->fd, &self->from), 0);
    check_equal(async_close(self->fd), 0);
    self->fd = async_connect_udp("127.0.0.1", ntohs(self->from.is.v4.sin_port));
    check(self->fd >= 0);
    for (; self->round < 3; self->round++) {
        await(n, async_sendto(self->fd, "x", 1, NULL));
        check_equal(n, 1);
        await(n, async_recvfrom(self->fd, self->data, 8, &self->from), 5000);
        check_error(async_recvfrom, ECONNREFUSED, n);
        check_equal(self->from.size, 0);
        await(n, async_sendto(self->fd, "x", 1, NULL));
        check_equal(n, 1);
        await(async_sleep(2));
        await(n, async_sendto(self->fd, "x", 1, NULL));
        check_error(async_sendto, ECONNREFUSED, n);
    }
    async_end;
}

async(sends, int fd; async_address to;)
{
    ssize_t n;
    async_begin;
    await(n, async_sendto(self->fd, "x", 1, &self->to));
    async_return(n);
    async_end;
}

/* The queue of a Unix socket is full: who sends waits, until there is room or it is told to end. */
TASK_TEST(datagrams, have_one_sender_at_a_time, int reader, writer, sent; async_task task;
          async_address to; char path[64]; char data[8];)
{
    ssize_t n;
    async_begin;
    snprintf(self->path, sizeof self->path, "/tmp/async-datagrams-%ld", (long)getpid());
    unlink(self->path);
    self->reader = async_bind_unix(self->path);
    self->writer = async_bind_unix(NULL);
    check(self->reader >= 0 && self->writer >= 0);
    check_equal(async_bind_unix(self->path), -EADDRINUSE);
    check_equal(async_bind_unix(""), -EINVAL);
    check_equal(async_address_unix(&self->to, self->path), 0);
    while ((n = async_sendto_nowait(self->writer, "x", 1, &self->to)) == 1)
        self->sent++;
    check_error(async_sendto_nowait, EAGAIN, n);
    self->task = async_keep(async_spawn(sends, .fd = self->writer, .to = self->to));
    await(async_yield());
    await(n, async_sendto(self->writer, "x", 1, &self->to));
    check_error(async_sendto, EBUSY, n);
    await(n, async_recvfrom(self->reader, self->data, 8, NULL));
    check_equal(n, 1);
    await(n, async_join(self->task), 5000);
    check_equal(n, 1);
    await(n, async_sendto(self->writer, "x", 1, &self->to), 30);
    check_equal(n, -ETIMEDOUT);
    while ((n = async_recvfrom_nowait(self->reader, self->data, 8, &self->to)) == 1)
        self->sent--;
    check_error(async_recvfrom_nowait, EAGAIN, n);
    check_equal(self->sent, 0);
    async_close(self->reader);
    check_error(async_recvfrom_nowait, EBADF, async_recvfrom_nowait(self->reader, self->data, 8,
                                                                    NULL));
    check_error(async_sendto_nowait, EBADF, async_sendto_nowait(self->reader, "x", 1, NULL));
    unlink(self->path);
    async_end;
}

/* A Unix socket that nobody reads is full: `to` is its address. Returns it. */
static int full_socket(async_address *to, int writer)
{
    char path[64];
    int fd;
    snprintf(path, sizeof path, "/tmp/async-full-%ld", (long)getpid());
    unlink(path);
    fd = async_bind_unix(path);
    check(fd >= 0);
    check_equal(async_address_unix(to, path), 0);
    while (async_sendto_nowait(writer, "x", 1, to) == 1) {
    }
    return fd;
}

/* No event tells when it has room: each try is one event more for Linux. */
TASK_TEST(datagrams, are_tried_at_intervals_while_there_is_no_room, int full, writer;
          async_address to;)
{
    ssize_t n;
    async_begin;
    self->writer = async_bind_unix(NULL);
    self->full = full_socket(&self->to, self->writer);
    seam_waits = 0;
    await(n, async_sendto(self->writer, "x", 1, &self->to), 100);
    check_equal(n, -ETIMEDOUT);
    check(seam_waits < 30); /* 10 ms, 20, 40, 80 */
    unlink(self->to.is.local.sun_path);
    async_end;
}

async(takes_one, int fd; char data[8];)
{
    ssize_t n;
    async_begin;
    await(n, async_recvfrom(self->fd, self->data, sizeof self->data, NULL));
    async_return(n);
    async_end;
}

/* Nor does that keep others from reading, or from asking whether they could. */
TASK_TEST(datagrams, arrive_while_a_sender_has_no_room, int full, other, fd; async_address to, mine;
          async_task sender, receiver; char path[64];)
{
    ssize_t n;
    async_begin;
    snprintf(self->path, sizeof self->path, "/tmp/async-arrives-%ld", (long)getpid());
    unlink(self->path);
    self->fd = async_bind_unix(self->path);
    self->other = async_bind_unix(NULL);
    check_equal(async_address_unix(&self->mine, self->path), 0);
    self->full = full_socket(&self->to, self->fd);
    self->receiver = async_keep(async_spawn(takes_one, .fd = self->fd));
    self->sender = async_spawn(sends, .fd = self->fd, .to = self->to);
    await(async_yield());
    check_equal(async_sendto_nowait(self->other, "ab", 2, &self->mine), 2);
    await(n, async_join(self->receiver), 5000);
    check_equal(n, 2);
    check_equal(async_sendto_nowait(self->other, "ab", 2, &self->mine), 2);
    await(n, async_readable(self->fd), 0);
    check_equal(n, 0);
    check_equal(async_cancel(self->sender), 0);
    await(async_join(self->sender));
    unlink(self->path);
    unlink(self->to.is.local.sun_path);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Listening with options
 * ------------------------------------------------------------------------- */
TASK_TEST(listening, shares_a_port_with_those_who_share_it, int first, second, third;)
{
    static const async_listen_options sharing = { 0, 1 };
    async_begin;
    self->first = async_listen_with("127.0.0.1", 0, &sharing);
    if (self->first == -ENOTSUP)
        async_return(0);
    check(self->first >= 0);
    self->second = async_listen_with("127.0.0.1", async_port(self->first), &sharing);
    check(self->second >= 0);
    self->third = async_listen_with("127.0.0.1", async_port(self->first), NULL);
    check_equal(self->third, -EADDRINUSE);
    self->third = async_bind_udp("127.0.0.1", async_port(self->first), &sharing);
    check(self->third >= 0);
    self->third = async_bind_udp("127.0.0.1", async_port(self->first), NULL);
    check_equal(self->third, -EADDRINUSE);
    async_end;
}
