/*
 * Connecting to names in virtual time: a scripted resolver says what there is and after how long,
 * and each connection must be there at its millisecond. Nobody answers at 2001:db8::1, 192.0.2.1
 * and the like; at ::1 and 127.0.0.1 a listener does, or the attempt is refused.
 */
#include "sim_io.h"

#include <netdb.h>

/* ::1 and 127.0.0.1 have a listener at the same port. Returns it, or a negative errno. */
static int listen_at_both(int listeners[2])
{
    int port;
    listeners[0] = async_listen("::1", 0);
    port = async_port(listeners[0]);
    listeners[1] = port > 0 ? async_listen("127.0.0.1", port) : port;
    return listeners[1] < 0 ? listeners[1] : port;
}

static int family_of(int fd)
{
    async_address peer;
    int error = async_peer_address(fd, &peer);
    return error ? error : peer.is.any.sa_family;
}

/* Connects, looks where to, and closes: nothing else may be open then. */
async(dial, const char *name; int port; int open; async_result result;)
{
    int fd;
    async_begin;
    self->open = sim_descriptors();
    await(fd, async_connect(self->name, self->port));
    self->result = fd;
    if (fd >= 0) {
        cr_assert_eq(sim_descriptors(), self->open + 1);
        self->result = family_of(fd);
        async_close(fd);
    }
    cr_assert_eq(sim_descriptors(), self->open);
    async_return(self->result);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Happy eyeballs
 * ------------------------------------------------------------------------- */
#define NONE NULL, EAI_NONAME

static const struct {
    struct {
        int64_t ms;
        const char *addresses;
        int error;
    } v6, v4;
    async_result result; /* the family of the connection, or what it failed with */
    int64_t ms;
} races[] = {
    /* IPv6 first, and both answers at once */
    { { 0, "::1", 0 }, { 0, "127.0.0.1", 0 }, AF_INET6, 0 },
    { { 20, "::1", 0 }, { 20, "127.0.0.1", 0 }, AF_INET6, 20 },
    { { 10, "::1", 0 }, { 30000, "127.0.0.1", 0 }, AF_INET6, 10 },
    /* IPv4's answer waits for IPv6's, 50 ms and no longer */
    { { 40, "::1", 0 }, { 0, "127.0.0.1", 0 }, AF_INET6, 40 },
    { { 60, "::1", 0 }, { 0, "127.0.0.1", 0 }, AF_INET, 50 },
    { { 30000, "::1", 0 }, { 7, "127.0.0.1", 0 }, AF_INET, 57 },
    /* nor where there is nothing to wait for */
    { { 0, NONE }, { 30, "127.0.0.1", 0 }, AF_INET, 30 },
    { { 20, NONE }, { 0, "127.0.0.1", 0 }, AF_INET, 20 },
    { { 20, NULL, EAI_AGAIN }, { 5, "127.0.0.1", 0 }, AF_INET, 20 },
    { { 5000, "::1", 0 }, { 0, NONE }, AF_INET6, 5000 },
    /* an attempt that does not end: 250 ms, and the other family */
    { { 0, "2001:db8::1", 0 }, { 0, "127.0.0.1", 0 }, AF_INET, 250 },
    { { 0, "2001:db8::1 ::1", 0 }, { 0, "127.0.0.1", 0 }, AF_INET, 250 },
    { { 0, "2001:db8::1 ::1", 0 }, { 0, NONE }, AF_INET6, 250 },
    { { 0, "2001:db8::1 2001:db8::2 ::1", 0 }, { 0, "192.0.2.1 192.0.2.2", 0 }, AF_INET6, 1000 },
    { { 0, "2001:db8::1", 0 }, { 0, "192.0.2.1 192.0.2.2 127.0.0.1", 0 }, AF_INET, 750 },
    /* an answer that comes during the attempts */
    { { 60, "::1", 0 }, { 0, "192.0.2.1", 0 }, AF_INET6, 300 },
    { { 60, "::1", 0 }, { 0, "192.0.2.1 127.0.0.1", 0 }, AF_INET6, 300 },
    { { 0, "2001:db8::1", 0 }, { 100, "127.0.0.1", 0 }, AF_INET, 250 },
    { { 0, "2001:db8::1", 0 }, { 600, "127.0.0.1", 0 }, AF_INET, 600 },
    { { 600, "::1", 0 }, { 0, "192.0.2.1", 0 }, AF_INET6, 600 },
    /* no such name, no server */
    { { 10, NONE }, { 30, NONE }, -ENOENT, 30 },
    { { 30, NULL, EAI_AGAIN }, { 10, NONE }, -EAGAIN, 30 },
    { { 10, NONE }, { 30, NULL, EAI_FAIL }, -EIO, 30 },
    { { 10, NULL, EAI_MEMORY }, { 30, NONE }, -ENOMEM, 30 },
    /* nobody answers: the system gives the attempts up */
    { { 0, "2001:db8::1", 0 }, { 0, "192.0.2.1", 0 }, -ETIMEDOUT, 127250 },
    { { 0, "2001:db8::1", 0 }, { 0, NONE }, -ETIMEDOUT, 127000 },
};
enum { RACES = sizeof races / sizeof *races };

static void tell(const char *name, int i)
{
    if (races[i].v6.error)
        sim_name_fails(name, AF_INET6, races[i].v6.ms, races[i].v6.error);
    else
        sim_name(name, AF_INET6, races[i].v6.ms, races[i].v6.addresses);
    if (races[i].v4.error)
        sim_name_fails(name, AF_INET, races[i].v4.ms, races[i].v4.error);
    else
        sim_name(name, AF_INET, races[i].v4.ms, races[i].v4.addresses);
}

static const char *name_of(int i)
{
    static char names[RACES][24];
    snprintf(names[i], sizeof names[i], "race-%d", i);
    return names[i];
}

AsyncTest(names, are_connected_to_at_their_millisecond, int listeners[2]; int i, port;
          int64_t at_ns; async_result n; async_address unused;)
{
    async_begin;
    self->port = listen_at_both(self->listeners);
    async_ok(self->port);
    await(self->n, async_resolve("nobody", 80, &self->unused, 1)); /* the loop's pipe */
    check_error(async_resolve, ENOENT, self->n);
    for (self->i = 0; self->i < RACES; self->i++) {
        tell(name_of(self->i), self->i);
        self->at_ns = async_now();
        await(self->n, async_call(dial, name_of(self->i), self->port));
        if (self->n != races[self->i].result ||
            async_now() - self->at_ns != races[self->i].ms * 1000000)
            async_test_fail(__FILE__, __LINE__, "race %d gives %d after %d us", self->i,
                            (int)self->n, (int)((async_now() - self->at_ns) / 1000));
    }
    async_finally;
    async_close(self->listeners[0]);
    async_close(self->listeners[1]);
    async_end;
}


/* In any world one of the addresses is reached, whatever comes first. */
AsyncTestWith(names, lead_somewhere_in_every_world, (.seeds = 300, .torture = 1), int listeners[2];
              int i, port; async_result n;)
{
    async_begin;
    self->listeners[0] = self->listeners[1] = -1;
    self->port = listen_at_both(self->listeners);
    async_ok(self->port);
    for (self->i = 0; self->i < 20; self->i += 3) {
        tell(name_of(self->i), self->i);
        await(self->n, async_connect(name_of(self->i), self->port));
        async_ok(self->n);
        async_close((int)self->n);
    }
    async_finally;
    async_close(self->listeners[0]);
    async_close(self->listeners[1]);
    async_end;
}

AsyncTest(names, whose_attempts_are_refused_go_on_at_once, int listener, port; int64_t at_ns;
          async_result n;)
{
    async_begin;
    sim_name("both", AF_INET6, 0, "::1 2001:db8::1");
    sim_name("both", AF_INET, 0, "127.0.0.2 127.0.0.1");
    sim_name("refused", AF_INET6, 0, "::1");
    sim_name("refused", AF_INET, 3, "127.0.0.1 127.0.0.2");
    sim_name("dead", AF_INET, 3, "127.0.0.1 192.0.2.1 127.0.0.2");
    self->listener = async_listen("127.0.0.1", 0);
    self->port = async_port(self->listener);
    self->at_ns = async_now();
    await(self->n, async_connect("both", self->port)); /* ::1, 127.0.0.2, 2001:db8::1, 127.0.0.1 */
    cr_assert_eq(family_of((int)self->n), AF_INET);
    cr_assert_eq(async_now() - self->at_ns, 250 * 1000000);
    async_close((int)self->n);
    async_close(self->listener);
    await(self->n, async_call(dial, "refused", self->port));
    check_error(async_connect, ECONNREFUSED, self->n);
    cr_assert_eq(async_now() - self->at_ns, 253 * 1000000);
    await(self->n, async_call(dial, "dead", self->port)); /* the first error is the one */
    check_error(async_connect, ECONNREFUSED, self->n);
    async_end;
}

/* The attempt at IPv6 fails at once, and says nothing about the host. */
AsyncTest(names, without_a_way_to_ipv6_have_the_error_of_ipv4, int64_t at_ns; async_result n;)
{
    async_begin;
    sim_name("host", AF_INET6, 0, "2001:db8::1");
    sim_name("host", AF_INET, 0, "127.0.0.1");
    sim_name("v6", AF_INET6, 0, "2001:db8::1");
    sim_fail_next(connect, ENETUNREACH);
    await(self->n, async_connect("host", 7));
    check_error(async_connect, ECONNREFUSED, self->n);
    sim_fail_next(connect, ENETUNREACH);
    await(self->n, async_connect("v6", 7));
    check_error(async_connect, ENETUNREACH, self->n);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Leaving
 * ------------------------------------------------------------------------- */

/* Out of time in every stage: while both answers are awaited, or the second; during the first
 * attempt, the second... The thread that still looks is not waited for. */
AsyncTest(names, are_given_up_in_time, int i, open; int64_t at_ns; async_result n;)
{
    async_begin;
    sim_name("slow", AF_INET6, 30, "2001:db8::1 2001:db8::2");
    sim_name("slow", AF_INET, 100, "192.0.2.1");
    sim_name("late", AF_INET6, 30000, "::1");
    sim_name("late", AF_INET, 0, "192.0.2.1");
    await(self->n, async_connect("slow", 80), 5);
    check_error(async_connect, ETIMEDOUT, self->n);
    self->open = sim_descriptors();
    for (self->i = 0; self->i < 800; self->i += self->i < 60 ? 1 : 37) {
        self->at_ns = async_now();
        await(self->n, async_connect(self->i % 2 ? "slow" : "late", 80), self->i);
        check_error(async_connect, ETIMEDOUT, self->n);
        cr_assert_eq(async_now() - self->at_ns, self->i * 1000000);
        cr_assert_eq(sim_descriptors(), self->open);
    }
    await(async_sleep(20000)); /* some of the late answers come, the others after the loop */
    cr_assert_eq(sim_descriptors(), self->open);
    async_end;
}

async(caller, const char *name; int port; async_result *result;)
{
    async_begin;
    *self->result = 0;
    await(*self->result, async_connect(self->name, self->port));
    async_finally;
    if (*self->result > 0)
        async_close((int)*self->result);
    async_end;
}

/* Told to end at any moment, in any world: a connection that was just won is not lost. */
AsyncTestWith(names, are_given_up_when_told_to, (.seeds = 600, .torture = 1), int listeners[2];
              int i, port, open; async_task task; async_result n, result; async_address unused;)
{
    async_begin;
    self->listeners[0] = self->listeners[1] = -1;
    self->port = listen_at_both(self->listeners);
    async_ok(self->port);
    sim_name("host", AF_INET6, (int64_t)sim_random(90), sim_random(2) ? "::1" : "2001:db8::1 ::1");
    sim_name("host", AF_INET, (int64_t)sim_random(90), "127.0.0.1");
    await(self->n, async_resolve("nobody", 80, &self->unused, 1)); /* the loop's pipe */
    for (self->i = 0; self->i < 3; self->i++) {
        self->task = async_spawn(caller, "host", self->port, &self->result);
        async_ok(self->task);
        if (sim_random(4))
            await(self->n, async_sleep((int64_t)sim_random(sim_random(4) ? 95 : 400)));
        async_cancel(self->task);
        await(self->n, async_join(self->task));
        async_sometimes(self->result == -ECANCELED);
        async_sometimes(self->result > 0);
        cr_assert(self->i == 0 || sim_shows_errors() || sim_descriptors() == self->open);
        self->open = sim_descriptors();
    }
    async_finally;
    async_close(self->listeners[0]);
    async_close(self->listeners[1]);
    async_end;
}

/* Likewise after each number of turns, with nothing that takes time. */
AsyncTestWith(names, are_given_up_in_each_turn, (.seeds = 300), int listeners[2];
              int i, turns, port, open; async_task task; async_result n, result;
              async_address unused;)
{
    async_begin;
    self->port = listen_at_both(self->listeners);
    async_ok(self->port);
    sim_name("host", AF_INET6, 0, "::1");
    sim_name("host", AF_INET, 0, "127.0.0.1");
    await(self->n, async_resolve("nobody", 80, &self->unused, 1));
    self->open = sim_descriptors();
    for (self->turns = 0; self->turns < 40; self->turns++) {
        self->task = async_spawn(caller, "host", self->port, &self->result);
        async_ok(self->task);
        for (self->i = 0; self->i < self->turns; self->i++)
            await(async_yield());
        async_cancel(self->task);
        await(self->n, async_join(self->task));
        cr_assert_eq(sim_descriptors(), self->open);
    }
    async_finally;
    async_close(self->listeners[0]);
    async_close(self->listeners[1]);
    async_end;
}

/* An attempt that fails late hurries nobody: the one begun last has its 250 ms all the same. (The
 * backlog at ::1 is full; the request is repeated after 1000 ms, and refused.) */
AsyncTest(names, whose_first_attempt_fails_late_keep_step, int listeners[2]; int fds[2];
          int i, port; int64_t at_ns; async_task task; async_result result;)
{
    static const async_listen_options short_queue = { .backlog = 1 };
    async_begin;
    self->listeners[0] = async_listen_with("::1", 0, &short_queue);
    self->port = async_port(self->listeners[0]);
    self->listeners[1] = async_listen("127.0.0.1", self->port);
    for (self->i = 0; self->i < 2; self->i++)
        await(self->fds[self->i], async_connect("::1", self->port));
    sim_name("host", AF_INET6, 0, "::1");
    sim_name("host", AF_INET, 330, "192.0.2.1 192.0.2.2 192.0.2.3 127.0.0.1");
    self->at_ns = async_now();
    self->task = async_spawn(caller, "host", self->port, &self->result);
    await(async_sleep(600));
    async_close(self->listeners[0]);
    await(async_join(self->task));
    cr_assert_gt(self->result, 0);
    cr_assert_eq(async_now() - self->at_ns, INT64_C(1080000000));
    async_finally;
    for (int i = 0; i < 2; i++)
        async_close(self->fds[i]);
    async_close(self->listeners[1]);
    async_end;
}

/* Both backlogs are full, so that the system repeats the requests at 1000 and 1250 ms; the program
 * sees what becomes of them at 1600 ms. */
AsyncTest(names, one_of_two_won_at_once_is_closed, int listeners[2]; int fds[6]; int i, port, open;
          async_task task; async_result n, result;)
{
    static const async_listen_options short_queue = { .backlog = 1 };
    static const char *const hosts[] = { "::1", "127.0.0.1" };
    async_begin;
    self->port = async_listen_with("::1", 0, &short_queue);
    self->listeners[0] = self->port;
    self->port = async_port(self->port);
    self->listeners[1] = async_listen_with("127.0.0.1", self->port, &short_queue);
    for (self->i = 0; self->i < 4; self->i++)
        await(self->fds[self->i], async_connect(hosts[self->i / 2], self->port));
    sim_name("host", AF_INET6, 0, "::1");
    sim_name("host", AF_INET, 0, "127.0.0.1");
    self->task = async_spawn(caller, "host", self->port, &self->result);
    await(async_sleep(600));
    for (self->i = 0; self->i < 2; self->i++) {
        await(self->fds[4 + self->i], async_accept(self->listeners[self->i]));
        async_ok(self->fds[4 + self->i]);
    }
    self->open = sim_descriptors();
    sim_advance(1000);
    await(self->n, async_join(self->task));
    cr_assert_gt(self->result, 0);
    cr_assert_eq(sim_descriptors(), self->open - 2); /* the caller has closed the one that won */
    async_finally;
    for (int i = 0; i < 6; i++)
        async_close(self->fds[i]);
    async_end;
}

/* Two minutes of a name server that does not answer: the loop does not wait for it. */
AsyncTestWith(names, do_not_keep_a_loop_open, (.seeds = 20))
{
    static async_result result;
    async_begin;
    sim_name_fails("host", AF_INET6, 120000, EAI_AGAIN);
    sim_name_fails("host", AF_INET, 120000, EAI_AGAIN);
    async_spawn(caller, "host", 80, &result);
    await(async_sleep(10));
    async_end;
}

/* No task is left, and the loop goes on for 5 s for a peer that does not read. */
async(leaves_a_stream, int ends[2]; async_stream *stream; async_address found;)
{
    static char block[1 << 22];
    async_result n;
    async_begin;
    cr_assert(async_loop_share()); /* it would not hear of the answer otherwise */
    await(n, async_resolve("host", 80, &self->found, 1), 10);
    check_error(async_resolve, ETIMEDOUT, n);
    async_ok(async_socketpair(self->ends));
    self->stream = async_stream_open(self->ends[0]);
    async_ok(async_stream_write(self->stream, block, sizeof block));
    async_ok(async_stream_close(self->stream));
    async_end;
}

AsyncTestBare(names, may_be_answered_when_no_task_is_left, (.seeds = 1))
{
    int64_t at_ns = async_now();
    sim_name("host", AF_INET, 1000, "192.0.2.1");
    sim_name_fails("host", AF_INET6, 1000, EAI_NONAME);
    cr_assert_eq(async_run(leaves_a_stream), 0);
    cr_assert(async_now() - at_ns > INT64_C(5000000000));
}

AsyncTestBare(names, do_not_keep_a_run_going, (.seeds = 20))
{
    static async_result result;
    async_task task;
    int64_t at_ns;
    sim_name_fails("host", AF_INET6, 120000, EAI_AGAIN);
    sim_name_fails("host", AF_INET, 120000, EAI_AGAIN);
    cr_assert_eq(async_open(NULL), 0);
    task = async_spawn(caller, "host", 80, &result);
    cr_assert_geq(async_loop_run_once(0), 0);
    cr_assert_eq(async_cancel(task), 0);
    at_ns = async_now();
    cr_assert_eq(async_loop_run(), 0);
    cr_assert(result == -ECANCELED && async_now() - at_ns < INT64_C(1000000000));
    cr_assert_eq(async_loop_close(), 0);
    cr_assert(async_now() - at_ns < INT64_C(1000000000));
}

/* ----------------------------------------------------------------------------
 * MARK: - Resolving
 * ------------------------------------------------------------------------- */
AsyncTest(names, that_are_numbers_ask_nobody, int listener; async_result n; async_address found[2];)
{
    async_begin;
    self->listener = async_listen(NULL, 0);
    await(self->n, async_call(dial, "127.0.0.1", async_port(self->listener)));
    cr_assert_eq(self->n, AF_INET);
    await(self->n, async_call(dial, "::1", async_port(self->listener)));
    cr_assert_eq(self->n, AF_INET6);
    await(self->n, async_resolve("127.0.0.1", 80, self->found, 2));
    cr_assert_eq(self->n, 1);
    await(self->n, async_resolve("127.0.0.1", 80, NULL, 0));
    cr_assert_eq(self->n, 0);
    await(self->n, async_resolve("::1%none", 80, self->found, 2));
    check_error(async_resolve, EINVAL, self->n);
    await(self->n, async_resolve("host", 65536, self->found, 2));
    check_error(async_resolve, EINVAL, self->n);
    await(self->n, async_resolve("", 80, self->found, 2));
    check_error(async_resolve, EINVAL, self->n);
    await(self->n, async_connect(NULL, 80));
    check_error(async_connect, EINVAL, self->n);
    cr_assert_eq(sim_count(getaddrinfo) + sim_count(pthread_create), 0);
    async_close(self->listener);
    async_end;
}

static bool prints_as(const async_address *address, const char *expected)
{
    char text[ASYNC_ADDRESS_TEXT];
    async_address_print(address, text, sizeof text);
    return strcmp(text, expected) == 0;
}

AsyncTestWith(names, are_resolved, (.seeds = 100, .torture = 1), async_result n;
              async_address found[4];)
{
    async_begin;
    sim_name("host", AF_INET6, 10, "2001:db8::1 2001:db8::2");
    sim_name("host", AF_INET, 20, "192.0.2.1");
    await(self->n, async_resolve("host", 443, self->found, 4));
    async_ok(self->n);
    cr_assert_eq(self->n, 3);
    cr_assert(prints_as(&self->found[0], "[2001:db8::1]:443"));
    cr_assert(prints_as(&self->found[1], "[2001:db8::2]:443"));
    cr_assert(prints_as(&self->found[2], "192.0.2.1:443"));
    memset(self->found, 0, sizeof self->found);
    await(self->n, async_resolve("host", 443, self->found, 1));
    async_ok(self->n);
    cr_assert_eq(self->n, 1);
    cr_assert_eq(self->found[1].size, 0);
    async_end;
}

/* A thread each, and 64 of them at most: the others wait for their turn, in their order, also where
 * those who asked before have left and only their threads are still there. */
async(asks, int64_t limit_ms; int64_t after_ns; async_result n; async_address found;)
{
    async_begin;
    self->after_ns = async_now();
    await(self->n, async_resolve("host", 443, &self->found, 1), self->limit_ms);
    async_return(self->n < 0 ? self->n : (async_now() - self->after_ns) / 1000000);
    async_end;
}

AsyncTest(names, are_asked_64_at_a_time, int i; async_task tasks[200]; async_result n;
          async_address unused;)
{
    async_begin;
    sim_name("host", AF_INET, 100, "192.0.2.1");
    await(self->n, async_resolve("nobody", 80, &self->unused, 1)); /* the loop's pipe */
    for (self->i = 0; self->i < 200; self->i++)
        self->tasks[self->i] = async_keep(async_spawn(asks, .limit_ms = -1));
    for (self->i = 0; self->i < 200; self->i++) {
        await(self->n, async_join(self->tasks[self->i]));
        cr_assert_eq(self->n, 100 * (1 + self->i / 64));
    }
    for (self->i = 0; self->i < 65; self->i++)
        self->tasks[self->i] = async_keep(async_spawn(asks, .limit_ms = self->i < 64 ? 10 : 250));
    await(self->n, async_join_all(self->tasks, 64));
    check_error(async_resolve, ETIMEDOUT, self->n);
    await(self->n, async_join(self->tasks[64]));
    cr_assert_eq(self->n, 200);
    async_end;
}

/* A question without whose answer a connection was made is the next one's who asks the same: one
 * thread waits for it. Who gave one up asks anew, and so does who asks when an answer is there. */
AsyncTest(names, whose_answer_is_not_needed_are_asked_once, int listeners[2]; int i, port;
          int64_t at_ns; async_address unused; async_result n;)
{
    async_begin;
    self->port = listen_at_both(self->listeners);
    async_ok(self->port);
    sim_name("half", AF_INET6, 30000, "::1");
    sim_name("half", AF_INET, 1, "127.0.0.1");
    sim_name("slow", AF_INET6, 30000, "::1");
    sim_name("slow", AF_INET, 30000, "127.0.0.1");
    sim_name("other", AF_INET6, 1, "::1");
    sim_name("other", AF_INET, 30000, "127.0.0.1");
    await(self->n, async_resolve("nobody", 80, &self->unused, 1)); /* the loop's pipe */
    self->at_ns = async_now();
    for (self->i = 0; self->i < 100; self->i++) {
        await(self->n, async_call(dial, "half", self->port));
        cr_assert_eq(self->n, AF_INET);
    }
    cr_assert_eq(sim_count(pthread_create), 1 + 100 + 1);
    for (self->i = 0; self->i < 2; self->i++) {
        await(self->n, async_call(dial, "other", self->port));
        cr_assert_eq(self->n, AF_INET6);
    }
    cr_assert_eq(sim_count(pthread_create), 102 + 2 + 1);
    cr_assert((async_now() - self->at_ns) / 1000000 < 10000);
    await(async_sleep(60000)); /* there are answers, and nobody has looked */
    await(self->n, async_call(dial, "half", self->port));
    cr_assert_eq(self->n, AF_INET);
    cr_assert_eq(sim_count(pthread_create), 105 + 2);
    for (self->i = 0; self->i < 3; self->i++) {
        await(self->n, async_connect("slow", self->port), 10);
        check_error(async_connect, ETIMEDOUT, self->n);
    }
    cr_assert_eq(sim_count(pthread_create), 107 + 3 * 2);
    async_close(self->listeners[0]);
    async_close(self->listeners[1]);
    async_end;
}

/* Both questions of a connection have their places in the queue at once: who asks after it is not
 * served between them, and the first answer is of use while the second question waits. */
AsyncTest(names, of_one_connection_wait_their_turns_together, int listeners[2]; int i, j, port, fd;
          int64_t at_ns; async_task tasks[200];)
{
    async_begin;
    self->port = listen_at_both(self->listeners);
    async_ok(self->port);
    for (self->j = 62; self->j < 65; self->j++) {
        sim_name("host", AF_INET, 30000, "192.0.2.1");
        sim_name("both", AF_INET6, 10, "::1");
        sim_name("both", AF_INET, 10, "199.0.0.1");
        self->at_ns = async_now();
        for (self->i = 0; self->i < self->j; self->i++)
            self->tasks[self->i] = async_keep(async_spawn(asks, .limit_ms = -1));
        self->tasks[199] = async_keep(async_spawn(dial, "both", self->port));
        await(async_sleep(1)); /* both ask */
        for (; self->i < 199; self->i++)
            self->tasks[self->i] = async_keep(async_spawn(asks, .limit_ms = -1));
        await(self->fd, async_join(self->tasks[199]));
        cr_assert_eq(self->fd, AF_INET6);
        cr_assert_eq((async_now() - self->at_ns) / 1000000, self->j < 64 ? 10 : 30010);
        for (self->i = 0; self->i < 199; self->i++)
            async_cancel(self->tasks[self->i]);
        await(self->fd, async_join_all(self->tasks, 199));
        await(async_sleep(60000)); /* for the threads left behind */
    }
    async_close(self->listeners[0]);
    async_close(self->listeners[1]);
    async_end;
}

#define EIGHT(net) net ".1 " net ".2 " net ".3 " net ".4 " net ".5 " net ".6 " net ".7 " net ".8 "
#define FORTY EIGHT("192.0.2") EIGHT("192.0.3") EIGHT("192.0.4") EIGHT("192.0.5") EIGHT("192.0.6")

AsyncTest(names, have_32_addresses_at_most, async_result n; async_address found[34];)
{
    async_begin;
    sim_name("host", AF_INET, 0, FORTY);
    await(self->n, async_resolve("host", 80, self->found, 34));
    cr_assert_eq(self->n, 32);
    cr_assert(prints_as(&self->found[31], "192.0.5.8:80"));
    cr_assert_eq(self->found[32].size, 0);
    async_end;
}

AsyncTest(names, that_cannot_be_resolved_say_why, async_result n; async_address found;)
{
    async_begin;
    sim_limit(0);
    await(self->n, async_resolve("host", 80, &self->found, 1));
    check_error(async_resolve, EMFILE, self->n);
    await(self->n, async_connect("host", 80));
    check_error(async_connect, EMFILE, self->n);
    sim_limit(-1);
    sim_fail_next(pthread_create, EAGAIN);
    await(self->n, async_resolve("host", 80, &self->found, 1));
    check_error(async_resolve, EAGAIN, self->n);
    sim_name_fails("host", AF_INET, 0, EAI_AGAIN);
    await(self->n, async_resolve("host", 80, &self->found, 1));
    check_error(async_resolve, EAGAIN, self->n);
    sim_name_fails("host", AF_INET, 0, EAI_FAIL);
    await(self->n, async_resolve("host", 80, &self->found, 1));
    check_error(async_resolve, EIO, self->n);
    sim_name_fails("host", AF_INET, 0, EAI_MEMORY);
    await(self->n, async_resolve("host", 80, &self->found, 1));
    check_error(async_resolve, ENOMEM, self->n);
    sim_name_fails("host", AF_INET, 10000, EAI_AGAIN);
    await(self->n, async_resolve("host", 80, &self->found, 1), 10);
    cr_assert_eq(self->n, -ETIMEDOUT);
    async_end;
}

async(looks, const char *name; async_address found;)
{
    async_result n;
    async_begin;
    await(n, async_resolve(self->name, 80, &self->found, 1));
    async_return(n);
    async_end;
}

/* Two lines of a hosts file may say the same. */
AsyncTest(names, have_each_address_once, async_address found[4]; int listeners[4]; async_result n;)
{
    async_begin;
    sim_name("twice", AF_INET, 0, "127.0.0.2 127.0.0.1 127.0.0.2 127.0.0.1");
    sim_name("twice", AF_INET6, 0, "::1 ::1");
    await(self->n, async_resolve("twice", 80, self->found, 4));
    cr_assert_eq(self->n, 3);
    await(self->n, async_listen_name("twice", 80, NULL, self->listeners, 4));
    cr_assert_eq(self->n, 3);
    while (self->n)
        async_close(self->listeners[--self->n]);
    async_end;
}

AsyncTest(names, are_looked_up_ten_at_once, async_task tasks[10]; int i; int64_t at_ns;
          async_result n;)
{
    async_begin;
    sim_name("host", AF_INET, 1000, "127.0.0.1");
    self->at_ns = async_now();
    for (self->i = 0; self->i < 10; self->i++)
        self->tasks[self->i] = async_spawn(looks, "host");
    await(self->n, async_join_all(self->tasks, 10));
    async_ok(self->n);
    for (self->i = 0; self->i < 10; self->i++) {
        await(self->n, async_join(self->tasks[self->i]));
        cr_assert_eq(self->n, 1);
    }
    cr_assert_eq(async_now() - self->at_ns, INT64_C(1000000000));
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Addresses
 * ------------------------------------------------------------------------- */

/* A name is listened on at each of its addresses. "::" takes IPv6 alone, and leaves IPv4 to
 * "0.0.0.0" at the same port. */
AsyncTestWith(names, are_listened_on, (.seeds = 50, .torture = 1), async_address at;
              int listeners[3], client, i; async_result n;)
{
    async_begin;
    self->client = -1;
    sim_name("any", AF_INET6, 0, "::");
    sim_name("any", AF_INET, 10, "0.0.0.0");
    await(self->n, async_listen_name("any", 7000, NULL, self->listeners, 3));
    async_ok(self->n);
    cr_assert(self->n == 2 || sim_shows_errors()); /* a network that is not there */
    for (self->i = 0; self->n == 2 && self->i < 2; self->i++) {
        async_address_parse(&self->at, self->i ? "127.0.0.1" : "::1", 7000);
        await(self->client, async_connect_at(&self->at));
        async_ok(self->client);
        async_close(self->client);
        await(self->client, async_accept(self->listeners[self->i]), 1000);
        async_ok(self->client);
        async_close(self->client);
    }
    async_finally;
    while (self->n > 0)
        async_close(self->listeners[--self->n]);
    async_end;
}

/* All or none; only what this machine has no network for is passed over. */
AsyncTest(names, are_listened_on_wherever_it_can_be, int listeners[3], other, open;
          async_result n; async_address unused;)
{
    async_begin;
    sim_name("three", AF_INET6, 0, "::1");
    sim_name("three", AF_INET, 0, "127.0.0.1 127.0.0.2");
    await(self->n, async_resolve("nobody", 80, &self->unused, 1)); /* the loop's pipe */
    self->open = sim_descriptors();
    await(self->n, async_listen_name("three", 80, NULL, self->listeners, 3));
    cr_assert_eq(self->n, 3);
    cr_assert_eq(sim_descriptors(), self->open + 3);
    while (self->n)
        async_close(self->listeners[--self->n]);
    await(self->n, async_listen_name("three", 80, NULL, self->listeners, 2));
    cr_assert_eq(self->n, 2);
    async_close(self->listeners[0]);
    async_close(self->listeners[1]);

    sim_fail_next(socket, EAFNOSUPPORT);
    await(self->n, async_listen_name("three", 80, NULL, self->listeners, 1));
    cr_assert_eq(self->n, 1);
    cr_assert_eq(async_port(self->listeners[0]), 80);
    async_close(self->listeners[0]);
    sim_fail_next(bind, EADDRNOTAVAIL);
    await(self->n, async_listen_name("three", 80, NULL, self->listeners, 1));
    cr_assert_eq(self->n, 1);
    async_close(self->listeners[0]);
    sim_fail_next(bind, EADDRNOTAVAIL);
    await(self->n, async_listen_name("::1", 80, NULL, self->listeners, 1));
    check_error(async_listen_name, EADDRNOTAVAIL, self->n);

    self->other = async_listen("127.0.0.2", 80);
    await(self->n, async_listen_name("three", 80, NULL, self->listeners, 3));
    check_error(async_listen_name, EADDRINUSE, self->n);
    cr_assert_eq(sim_descriptors(), self->open + 1);
    async_close(self->other);
    await(self->n, async_listen_name("nobody", 80, NULL, self->listeners, 3));
    check_error(async_listen_name, ENOENT, self->n);
    await(self->n, async_listen_name("three", 65536, NULL, self->listeners, 3));
    check_error(async_listen_name, EINVAL, self->n);
    cr_assert_eq(sim_descriptors(), self->open);
    async_end;
}

/* The options are copied: they may be gone when the answer comes. */
async(listens, const char *host; int *listeners;)
{
    async_result n;
    async_begin;
    await(n, async_listen_name(self->host, 80, &(async_listen_options){ .backlog = 1 },
                               self->listeners, 2));
    async_return(n);
    async_end;
}

AsyncTest(names, are_listened_on_with_options, int listeners[2], clients[3], i; async_result n;)
{
    async_begin;
    sim_name("one", AF_INET, 100, "127.0.0.1");
    await(self->n, async_call(listens, "one", self->listeners));
    cr_assert_eq(self->n, 1);
    for (self->i = 0; self->i < 2; self->i++)
        await(self->clients[self->i], async_connect("127.0.0.1", 80));
    await(self->clients[2], async_connect("127.0.0.1", 80), 100); /* two wait: it is full */
    check_error(async_connect, ETIMEDOUT, self->clients[2]);
    async_finally;
    for (self->i = 0; self->i < 2; self->i++)
        async_close(self->clients[self->i]);
    async_close(self->listeners[0]);
    async_end;
}

AsyncTest(names, are_not_listened_on_by_who_was_told_to_end, async_task task; int listeners[2];
          int open; async_result n;)
{
    async_begin;
    sim_name("slow", AF_INET, 100, "127.0.0.1");
    await(self->n, async_listen_name("slow", 80, NULL, NULL, 0));
    cr_assert_eq(self->n, 0);
    self->open = sim_descriptors();
    self->task = async_keep(async_spawn(listens, "slow", self->listeners));
    await(async_sleep(50));
    async_cancel(self->task);
    await(self->n, async_join(self->task));
    check_error(async_join, ECANCELED, self->n);
    await(async_sleep(100));
    cr_assert_eq(sim_descriptors(), self->open);
    async_end;
}

AsyncTest(names, no_address_is_refused, async_address at; async_result n;)
{
    async_begin;
    check_error(async_listen_at, EINVAL, async_listen_at(&self->at, NULL));
    await(self->n, async_connect_at(&self->at));
    check_error(async_connect_at, EINVAL, self->n);
    async_address_unix(&self->at, "/run/somebody");
    await(self->n, async_connect_at(&self->at));
    check_error(async_connect_at, EINVAL, self->n);
    self->n = async_listen_at(&self->at, NULL);
    async_ok(self->n);
    async_close((int)self->n);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - A turn that is given, and one that is not
 * ------------------------------------------------------------------------- */

/* It has the permit, but its share of the turn is over; it is told to end before the next. */
async(asks_late, int after; int i; async_event set; async_address found;)
{
    async_result n;
    async_begin;
    async_event_set(&self->set);
    for (self->i = 0; self->i < self->after; self->i++)
        await(async_event_wait(&self->set));
    await(n, async_resolve("host", 443, &self->found, 1));
    async_return(n);
    async_end;
}

AsyncTest(names, have_back_the_turn_of_who_was_told_to_end_before_it_ran, int i, after;
          async_task task; async_result n; async_address unused;)
{
    async_begin;
    sim_name("host", AF_INET, 100, "192.0.2.1");
    for (self->after = 58; self->after < 66; self->after++) {
        for (self->i = 0; self->i < 64; self->i++) {
            self->task = async_keep(async_spawn(asks_late, self->after));
            await(async_yield());
            async_cancel(self->task);
            await(self->n, async_join(self->task));
        }
        await(self->n, async_resolve("host", 443, &self->unused, 1), 5000);
        cr_assert_eq(self->n, 1);
    }
    await(async_sleep(1000));
    await(self->n, async_resolve("host", 443, &self->unused, 1), 5000);
    cr_assert_eq(self->n, 1);
    cr_assert_eq(async__loop()->threads->lookups.permits, 64);
    async_end;
}

/* Served long ago; its turn is over at the call; told to end; the turn is refused. */
async(asks_served, int after; int i; async_event *go; async_event set; async_address found;)
{
    async_result n;
    async_begin;
    async_event_set(&self->set);
    await(async_event_wait(self->go));
    for (self->i = 0; self->i < self->after; self->i++)
        await(n, async_event_wait(&self->set));
    await(n, async_resolve("host", 443, &self->found, 1));
    async_return(n);
    async_end;
}

AsyncTest(names, have_no_more_turns_than_were_given, int after; async_event go; async_task task;
          async_result n; async_address unused;)
{
    async_begin;
    sim_name("host", AF_INET, 100, "192.0.2.1");
    await(self->n, async_resolve("host", 443, &self->unused, 1), 5000);
    for (self->after = 50; self->after < 70; self->after++) {
        async_event_clear(&self->go);
        self->task = async_keep(async_spawn(asks_served, self->after, .go = &self->go));
        await(async_yield());
        await(async_yield());
        async_event_set(&self->go);
        await(async_yield());
        async_cancel(self->task);
        await(self->n, async_join(self->task));
    }
    await(async_sleep(1000));
    await(self->n, async_resolve("host", 443, &self->unused, 1), 5000);
    cr_assert_eq(self->n, 1);
    cr_assert_eq(async__loop()->threads->lookups.permits, 64);
    async_end;
}
