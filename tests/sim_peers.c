/*
 * sim_peers.c: conversations with peers that play a script. Goal: a client copes with a peer that
 * is slow, sends in crumbs, ends early, resets or says nothing. Method: the script plays the other
 * side of a connection, with what it expects to the byte; the client is a coroutine with limits.
 */
#include "sim_io.h"

/* One end, adopted; the other plays the script. Returns the end or a negative errno. */
#define play_against(...) \
    adopt_against((const sim_line[]){ __VA_ARGS__, { SIM_OVER_, NULL, 0 } })
static int adopt_against(const sim_line *script)
{
    int ends[2], error;
    sim_tcp_pair(ends);
    error = async_adopt(ends[0]);
    sim_peer_plays(ends[1], script);
    if (error < 0)
        sim_close(ends[0]);
    return error;
}

/* Reads what is expected, byte for byte. Returns how much of it came before the end, or a negative
 * errno. */
async(reading, int fd; const char *text; size_t got; int64_t limit_ms; char data[24];)
{
    ssize_t n;
    async_begin;
    while (self->got < strlen(self->text)) {
        size_t room = strlen(self->text) - self->got;
        if (room > sizeof self->data)
            room = sizeof self->data;
        await(n, async_read(self->fd, self->data, room), self->limit_ms ? self->limit_ms : -1);
        if (n < 0)
            async_return(n);
        if (n == 0)
            break;
        cr_assert(memcmp(self->data, self->text + self->got, (size_t)n) == 0);
        self->got += (size_t)n;
    }
    async_return((async_result)self->got);
    async_end;
}

/* Writes a text; a limit is for all of it. */
async(saying, int fd; const char *text;)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, self->text, strlen(self->text)));
    async_return(n);
    async_end;
}

#define REQUEST "GET /index HTTP/1.1\r\nHost: here\r\n\r\n"
#define REPLY "HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\nA page, sent in crumbs of three.\n"

AsyncTestWith(peers, a_reply_in_crumbs_is_whole, (.seeds = 500, .torture = 1), int fd, round;)
{
    async_result n;
    async_begin;
    self->fd = -1;
    for (; self->round < 3; self->round++) {
        self->fd = play_against(SIM_EXPECT(REQUEST), SIM_WAIT(20), SIM_SHORT(3 + self->round),
                                SIM_SEND(REPLY), SIM_END);
        async_ok(self->fd);
        await(n, async_call(saying, .fd = self->fd, .text = REQUEST));
        async_ok(n);
        await(n, async_call(reading, .fd = self->fd, .text = REPLY "and no more"));
        async_ok(n);
        cr_assert(n == (async_result)strlen(REPLY) || sim_has_failed());
        async_close(self->fd);
        self->fd = -1;
    }
    async_finally;
    async_close(self->fd);
    async_end;
}

/* A dialogue line by line, with more than one turn, as mail servers have it. */
AsyncTestWith(peers, a_dialogue_takes_turns, (.seeds = 500, .torture = 1), int fd, turn;)
{
    static const char *const asks[] = { "HELO here\r\n", "MAIL FROM:<a>\r\n", "RCPT TO:<b>\r\n",
                                        "DATA\r\n", "Hello\r\n.\r\n", "QUIT\r\n" };
    static const char *const says[] = { "250 there\r\n", "250 OK\r\n", "250 OK\r\n",
                                        "354 Go on\r\n", "250 Queued\r\n", "221 Bye\r\n" };
    async_result n;
    async_begin;
    self->fd = play_against(
        SIM_WAIT(5), SIM_SEND("220 mail\r\n"), SIM_EXPECT("HELO here\r\n"),
        SIM_SEND("250 there\r\n"), SIM_EXPECT("MAIL FROM:<a>\r\n"), SIM_SHORT(2),
        SIM_SEND("250 OK\r\n"), SIM_EXPECT("RCPT TO:<b>\r\n"), SIM_SEND("250 OK\r\n"),
        SIM_EXPECT("DATA\r\n"), SIM_WAIT(300), SIM_SHORT(0), SIM_SEND("354 Go on\r\n"),
        SIM_TAKE(10), SIM_SEND("250 Queued\r\n"), SIM_EXPECT("QUIT\r\n"), SIM_SEND("221 Bye\r\n"),
        SIM_CLOSE);
    async_ok(self->fd);
    await(n, async_call(reading, .fd = self->fd, .text = "220 mail\r\n"));
    async_ok(n);
    cr_assert(n == 10 || sim_has_failed());
    for (; self->turn < 6; self->turn++) {
        await(n, async_call(saying, .fd = self->fd, .text = asks[self->turn]));
        async_ok(n);
        await(n, async_call(reading, .fd = self->fd, .text = says[self->turn]));
        async_ok(n);
        cr_assert(n == (async_result)strlen(says[self->turn]) || sim_has_failed());
    }
    await(n, async_call(reading, .fd = self->fd, .text = "more"));
    async_ok(n);
    cr_assert_eq(n, 0);
    async_finally;
    async_close(self->fd);
    async_end;
}

/* A limit gives up the wait, not the connection: the answer is there when it is asked for again. */
AsyncTestWith(peers, a_limit_that_passed_loses_no_byte, (.seeds = 500), int fd, late, round;
              char data[16]; size_t got;)
{
    ssize_t n;
    async_begin;
    for (; self->round < 3; self->round++) {
        self->fd = play_against(SIM_TAKE(1), SIM_WAIT(500), SIM_SEND("slow "), SIM_WAIT(200),
                                SIM_SEND("but sure"), SIM_END);
        async_ok(self->fd);
        await(n, async_call(saying, .fd = self->fd, .text = "?"));
        async_ok(n);
        for (self->late = 0, self->got = 0;;) {
            await(n, async_read(self->fd, self->data + self->got, 4), 40);
            if (n == 0)
                break;
            if (n > 0)
                self->got += (size_t)n;
            else
                cr_assert(n == -ETIMEDOUT && ++self->late < 60);
            if (self->got > 10)
                cr_assert(memcmp(self->data, "slow but sure", self->got) == 0);
        }
        cr_assert(self->got == 13 && self->late >= 10);
        async_close(self->fd);
    }
    async_end;
}

/* The peer resets in the middle of its reply: what came is right, then there is the error. */
AsyncTestWith(peers, a_reset_in_the_middle_is_an_error, (.seeds = 500), int fd, round; size_t got;
              char data[64];)
{
    ssize_t n;
    async_begin;
    for (; self->round < 6; self->round++) {
        self->fd = play_against(SIM_EXPECT("now "), SIM_SHORT(4), SIM_SEND("0123456789abcdef"),
                                SIM_WAIT(self->round % 2 ? 30 : 0), SIM_RESETS);
        async_ok(self->fd);
        await(n, async_call(saying, .fd = self->fd, .text = "now "));
        async_ok(n);
        for (self->got = 0;; self->got += (size_t)n) {
            await(n, async_read(self->fd, self->data + self->got, 5));
            if (n <= 0)
                break;
            cr_assert(self->got + (size_t)n <= 16);
            cr_assert(memcmp(self->data, "0123456789abcdef", self->got + (size_t)n) == 0);
        }
        cr_assert_eq(n, -ECONNRESET);
        async_sometimes(self->got == 16);
        await(n, async_call(saying, .fd = self->fd, .text = "again"));
        cr_assert_eq(n, -EPIPE);
        async_close(self->fd);
    }
    async_end;
}

/* A peer that takes nothing: writing stops at its limit and says how much went; then a peer that
 * takes a little at a time, and gets all of it. */
static char bulk[100000];

AsyncTestWith(peers, a_peer_that_takes_nothing_is_given_up, (.seeds = 500), int fd, round;
              size_t sent;)
{
    ssize_t n;
    async_begin;
    if (!bulk[1])
        fill(bulk, 0, sizeof bulk);
    for (; self->round < 8; self->round++) {
        self->fd = play_against(SIM_WAIT(50 + self->round), SIM_TAKE(300), SIM_WAIT(60000),
                                SIM_TAKE(5), SIM_SEND("!"));
        async_ok(self->fd);
        await(n, async_write(self->fd, bulk, sizeof bulk), 30000);
        cr_assert(n >= 300 && n < 100000);
        self->sent = (size_t)n;
        await(n, async_write(self->fd, bulk + self->sent, sizeof bulk - self->sent), 10);
        cr_assert(n == -ETIMEDOUT || (n > 0 && n < 100000));
        await(n, async_readable(self->fd), 1000);
        cr_assert_eq(n, -ETIMEDOUT);
        await(n, async_call(reading, .fd = self->fd, .text = "!"));
        cr_assert_eq(n, 1);
        async_close(self->fd);
    }
    async_end;
}
