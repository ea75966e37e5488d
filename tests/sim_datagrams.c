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
