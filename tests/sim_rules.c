/*
 * Rules that the real kernel seldom puts to the test: one test each.
 *
 * Each of these fails with one of the mutants in tests/mutants: what it forbids is a mistake that
 * programs do make, and that goes unnoticed until a signal, a full table or a long computation
 * comes at the wrong moment. Most are calm worlds in which one call fails, by sim_fail_next.
 */
#include "sim_io.h"

#define CALM (.faults = SIM_CALM)

/* How often the backend was asked until now. */
static long waits(void)
{
    return sim_count(poll) + sim_count(epoll_wait) + sim_count(kevent);
}

/* ----------------------------------------------------------------------------
 * MARK: - Accepting
 * ------------------------------------------------------------------------- */

/* A connection's bad luck is not the listener's. */
AsyncTestWith(rules, accept_goes_on_after_a_connection_that_failed, CALM, int listener; int dialled;
              int fd; int next;)
{
    static const int errors[] = { EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN,
                                  EHOSTUNREACH, ENETUNREACH };
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    for (; self->next < 8; self->next++) {
        self->dialled = sim_dial(async_port(self->listener));
        async_ok(self->dialled);
        sim_fail_next(accept4, errors[self->next]);
        await(self->fd, async_accept(self->listener));
        sim_close(self->dialled);
        cr_assert(self->fd >= 0);
        async_close(self->fd);
    }
    async_finally;
    async_close(self->listener);
    async_end;
}

/* Without a descriptor, or memory, the connection stays in the backlog until there is one. */
AsyncTestWith(rules, accept_waits_for_a_descriptor_or_memory, CALM, int listener; int dialled;
              int fd; int next; int64_t start;)
{
    static const int errors[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM };
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    for (; self->next < 4; self->next++) {
        self->dialled = sim_dial(async_port(self->listener));
        async_ok(self->dialled);
        self->start = async_now();
        sim_fail_next(accept4, errors[self->next]);
        await(self->fd, async_accept(self->listener), 1000);
        sim_close(self->dialled);
        cr_assert(self->fd >= 0);
        cr_assert(async_now() - self->start == 10000000); /* the first pause, each time anew */
        async_close(self->fd);
    }
    async_finally;
    async_close(self->listener);
    async_end;
}

/* Why it cannot listen is said, whatever closing the socket says. */
AsyncTestWith(rules, listen_reports_the_error_and_not_its_clean_up, CALM)
{
    async_begin;
    sim_fail_next(bind, EADDRINUSE);
    cr_assert(async_listen("127.0.0.1", 0) == -EADDRINUSE);
    sim_fail_next(listen, EADDRINUSE);
    cr_assert(async_listen("127.0.0.1", 0) == -EADDRINUSE);
    async_end;
}

/* Of all addresses: one socket for both families. IPv4 alone only where there is no IPv6. */
AsyncTestWith(rules, listening_takes_one_socket, CALM, int listener; int fd;)
{
    async_begin;
    self->listener = async_listen(NULL, 0);
    async_ok(self->listener);
    cr_assert(sim_count(listen) == 1);
    async_close(self->listener);
    sim_fail_next(socket, EAFNOSUPPORT);
    self->listener = async_listen(NULL, 0);
    async_ok(self->listener);
    async_close(self->listener);
    sim_fail_next(socket, EAFNOSUPPORT);
    cr_assert(async_listen("127.0.0.1", 0) == -EAFNOSUPPORT);
    self->listener = async_listen("::1", 0);
    async_ok(self->listener);
    await(self->fd, async_connect("::1", async_port(self->listener)));
    async_ok(self->fd);
    async_close(self->fd);
    async_close(self->listener);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Connecting
 * ------------------------------------------------------------------------- */

/* connect(2): after EINTR the attempt goes on. */
AsyncTestWith(rules, connect_goes_on_after_a_signal, CALM, int listener; int fd;)
{
    async_begin;
    self->fd = -1;
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    sim_fail_next(connect, EINTR);
    await(self->fd, async_connect("127.0.0.1", async_port(self->listener)));
    async_ok(self->fd);
    async_finally;
    async_close(self->fd);
    async_close(self->listener);
    async_end;
}

/* An event that says "writable" is no connection yet: what is connected has a peer. */
AsyncTestWith(rules, connect_does_not_believe_an_event, (.seeds = 300), int listener; int fd;)
{
    struct sockaddr_storage peer;
    unsigned size = sizeof peer;
    async_begin;
    self->fd = -1;
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    sim_latency(-1, 20, 50);
    await(self->fd, async_connect("127.0.0.1", async_port(self->listener)));
    async_ok(self->fd);
    cr_assert(sim_getpeername(self->fd, (struct sockaddr *)&peer, &size) == 0);
    async_finally;
    async_close(self->fd);
    async_close(self->listener);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Errors of small calls
 * ------------------------------------------------------------------------- */

/* close(2): after EINTR the descriptor is gone, its number may be another's. */
AsyncTestWith(rules, close_is_never_made_again, CALM, int ends[2];)
{
    async_begin;
    async_ok(async_pipe(self->ends));
    sim_fail_next(close, EINTR);
    cr_assert(async_close(self->ends[0]) == 0);
    async_close(self->ends[1]);
    async_end;
}

/* Where poll(2) cannot say, the answer is yes: a wrong "no" would be waited for in vain. */
AsyncTestWith(rules, an_error_of_poll_does_not_mean_no, CALM, int ends[2]; async_result result;)
{
    async_begin;
    async_ok(async_pipe(self->ends));
    sim_write(self->ends[1], "x", 1);
    sim_fail_next(poll, ENOMEM);
    await(self->result, async_readable(self->ends[0]), 20);
    cr_assert(self->result == 0);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* What it is cannot be said: then it is not adopted. */
AsyncTestWith(rules, what_cannot_be_looked_at_is_not_adopted, CALM, int ends[2];)
{
    async_begin;
    async_ok(sim_socketpair(AF_UNIX, SOCK_STREAM, 0, self->ends));
    sim_fail_next(fstat, EIO);
    cr_assert(async_adopt(self->ends[0]) == -EIO);
    sim_fail_next(fcntl, EACCES);
    cr_assert(async_adopt(self->ends[0]) == -EACCES);
    sim_close(self->ends[0]);
    sim_close(self->ends[1]);
    async_end;
}

/* What the loop has made it knows already. */
AsyncTestWith(rules, what_is_adopted_is_not_adopted_again, CALM, int ends[2];)
{
    async_begin;
    async_ok(async_pipe(self->ends));
    cr_assert(async_adopt(self->ends[0]) == -EEXIST && async_adopt(self->ends[1]) == -EEXIST);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

AsyncTestWith(rules, a_port_that_cannot_be_asked_for_is_an_error, CALM, int listener;)
{
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    sim_fail_next(getsockname, ENOBUFS);
    cr_assert(async_port(self->listener) == -ENOBUFS);
    async_close(self->listener);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - The poller
 * ------------------------------------------------------------------------- */
static char filling[65536];

async(drainer, int fd; size_t size; char data[4096];)
{
    ssize_t n;
    async_begin;
    while (self->size) {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        if (n <= 0)
            async_return(n);
        self->size -= (size_t)n;
    }
    async_end;
}

async(filler, int fd;)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, filling, sizeof filling));
    async_return(n);
    async_end;
}

/* Events of a descriptor that was closed with close(2) while a duplicate lives on: the set is made
 * anew, and whoever waits goes on waiting, for writes too. */
AsyncTestWith(rules, a_set_made_anew_watches_for_all_that_was_watched,
              (.torture = 1, .faults = SIM_CALM), int pipe[2]; int ghost[2]; int twin; int heir[2];
              async_task tasks[2];)
{
    async_result result;
    async_begin;
    self->pipe[0] = self->pipe[1] = self->ghost[0] = self->ghost[1] = self->twin = -1;
    self->heir[0] = self->heir[1] = -1;
    async_ok(async_pipe(self->pipe));
    self->tasks[0] = async_spawn(filler, .fd = self->pipe[1]);
    async_ok(self->tasks[0]);
    async_keep(self->tasks[0]);
    self->tasks[1] = async_spawn(filler, .fd = self->pipe[1]);
    async_ok(self->tasks[1]);
    await(async_join(self->tasks[0]));
    async_ok(sim_socketpair(AF_UNIX, SOCK_STREAM, 0, self->ghost));
    if (async_adopt(self->ghost[0]) < 0)
        async_return(-EBADF);
    self->twin = sim_dup(self->ghost[0]);
    sim_close(self->ghost[0]);
    self->ghost[0] = -1;
    async_ok(async_pipe(self->heir));
    sim_write(self->ghost[1], "x", 1);
    await(async_sleep(10));
    cr_assert(strcmp(async_loop_backend(), "epoll") || sim_shows_errors() ||
              sim_count(epoll_create1) == 2);
    self->tasks[0] = async_spawn(drainer, .fd = self->pipe[0], .size = sizeof filling);
    async_ok(self->tasks[0]);
    await(result, async_join(self->tasks[0]));
    async_ok(result);
    async_finally;
    sim_close(self->ghost[0]);
    sim_close(self->ghost[1]);
    sim_close(self->twin);
    async_close(self->heir[0]);
    async_close(self->heir[1]);
    async_close(self->pipe[0]);
    async_close(self->pipe[1]);
    async_end;
}

/* The number of such a descriptor means another: its events are not the newcomer's. */
AsyncTestWith(rules, an_event_of_the_one_before_is_not_believed, CALM, int ghost[2]; int twin;
              int pipe[2]; async_result result;)
{
    async_begin;
    self->pipe[0] = self->pipe[1] = -1;
    async_ok(sim_socketpair(AF_UNIX, SOCK_STREAM, 0, self->ghost));
    async_ok(async_adopt(self->ghost[0]));
    self->twin = sim_dup(self->ghost[0]);
    sim_close(self->ghost[0]);
    async_ok(async_pipe(self->pipe));
    cr_assert(self->pipe[0] == self->ghost[0]);
    sim_write(self->ghost[1], "x", 1);
    await(self->result, async_readable(self->pipe[0]), 20);
    cr_assert(self->result == -ETIMEDOUT);
    async_finally;
    sim_close(self->ghost[1]);
    sim_close(self->twin);
    async_close(self->pipe[0]);
    async_close(self->pipe[1]);
    async_end;
}

async(waits_one_way, int fd; int writes; async_result *result;)
{
    async_begin;
    if (self->writes)
        await(*self->result, async_writable(self->fd), 20);
    else
        await(*self->result, async_readable(self->fd), 20);
    async_end;
}

/* What happens in one direction wakes nobody who waits for the other. */
AsyncTestWith(rules, each_direction_wakes_its_own, CALM, int ends[2]; int turn;
              async_result results[2]; async_task tasks[2];)
{
    async_begin;
    for (; self->turn < 2; self->turn++) { /* first it can be read, then it can be written */
        async_ok(async_socketpair(self->ends));
        while (async_write_nowait(self->ends[0], filling, sizeof filling) > 0) {
        }
        for (int writes = 0; writes < 2; writes++) {
            self->tasks[writes] = async_spawn(waits_one_way, .fd = self->ends[0], .writes = writes,
                                              .result = &self->results[writes]);
            async_ok(self->tasks[writes]);
        }
        await(async_sleep(5));
        if (self->turn == 0)
            sim_write(self->ends[1], "x", 1);
        else
            while (async_read_nowait(self->ends[1], filling, sizeof filling) > 0) {
            }
        await(async_join_all(self->tasks, 2));
        cr_assert(self->results[self->turn] == 0);
        cr_assert(self->results[!self->turn] == -ETIMEDOUT);
        async_close(self->ends[0]);
        async_close(self->ends[1]);
    }
    async_end;
}

static void counts(int fd, void *count)
{
    (void)fd;
    ++*(int *)count;
}

/* A write that is tried again by timer, for it cannot be watched, is no news for the reader. */
AsyncTestWith(rules, another_try_of_a_write_calls_no_reader, CALM, int ends[2]; int calls;
              async_result result;)
{
    async_begin;
    async_ok(async_socketpair(self->ends));
    while (async_write_nowait(self->ends[0], filling, sizeof filling) > 0) {
    }
    async_ok(async_on_readable(self->ends[0], &self->calls, counts));
    await(async_sleep(5));
    sim_fail_next(epoll_ctl, ENOMEM);
    sim_fail_next(kevent, ENOMEM);
    await(self->result, async_write(self->ends[0], filling, 1), 50);
    cr_assert(self->result == -ETIMEDOUT && !self->calls);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* SIGPIPE is ignored, unless one wishes to keep it. */
AsyncTestBare(rules, sigpipe_is_kept_on_demand, CALM)
{
    async_options options;
    struct sigaction action;
    memset(&options, 0, sizeof options);
    options.keep_sigpipe = 1;
    cr_assert(async_open(&options) == 0);
    async_loop_close();
    cr_assert(sim_sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    options.keep_sigpipe = 0;
    cr_assert(async_open(&options) == 0);
    async_loop_close();
    cr_assert(sim_sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
}

/* No poller, no loop. */
AsyncTestBare(rules, a_poller_that_cannot_be_had_is_an_error, (.faults = SIM_CALM,
              .backends = SIM_EPOLL | SIM_KQUEUE))
{
    sim_fail_next(epoll_create1, EMFILE);
    sim_fail_next(kqueue, EMFILE);
    cr_assert(async_open(NULL) == -EMFILE);
    cr_assert(async_open(NULL) == 0);
    async_loop_close();
}

/* What is known not to be ready is not tried again before there is an event. */
AsyncTestWith(rules, nothing_is_tried_in_vain_twice, CALM, int ends[2]; int listener; char byte;
              long reads; async_result result;)
{
    async_begin;
    async_ok(async_pipe(self->ends));
    await(self->result, async_read(self->ends[0], &self->byte, 1), 5);
    cr_assert(self->result == -ETIMEDOUT);
    self->reads = sim_count(read);
    await(self->result, async_read(self->ends[0], &self->byte, 1), 5);
    cr_assert(self->result == -ETIMEDOUT && sim_count(read) == self->reads);
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    await(self->result, async_accept(self->listener), 5);
    self->reads = sim_count(accept4);
    await(self->result, async_accept(self->listener), 5);
    cr_assert(self->result == -ETIMEDOUT && sim_count(accept4) == self->reads);
    async_close(self->listener);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* Two events come at once, then one: the second of the two is not there any more. */
AsyncTestWith(rules, an_event_comes_once, CALM, int pipes[2][2]; int round; async_task tasks[2];
              async_result results[2];)
{
    async_begin;
    async_ok(async_pipe(self->pipes[0]));
    async_ok(async_pipe(self->pipes[1]));
    for (; self->round < 2; self->round++) {
        for (int i = 0; i < 2; i++) {
            self->tasks[i] = async_spawn(waits_one_way, .fd = self->pipes[i][0],
                                         .result = &self->results[i]);
            async_ok(self->tasks[i]);
        }
        await(async_sleep(5));
        for (int i = 0; i < 2 - self->round; i++)
            sim_write(self->pipes[i][1], "x", 1);
        await(async_join_all(self->tasks, 2));
        cr_assert(self->results[0] == 0);
        cr_assert(self->results[1] == (self->round ? -ETIMEDOUT : 0));
        for (int i = 0; i < 2 - self->round; i++)
            cr_assert(async_read_nowait(self->pipes[i][0], filling, 2) == 1);
    }
    for (int i = 0; i < 4; i++)
        async_close(self->pipes[i / 2][i % 2]);
    async_end;
}

/* The table of descriptors grows by the power of two behind the highest number. */
AsyncTestWith(rules, there_is_room_for_every_number, CALM, int ends[300][2]; int next;)
{
    async_begin;
    for (; self->next < 300; self->next++) {
        async_ok(async_pipe(self->ends[self->next]));
        cr_assert(async_write_nowait(self->ends[self->next][1], "x", 1) == 1);
    }
    await(async_sleep(1));
    for (int i = 0; i < 300; i++) {
        cr_assert(async_read_nowait(self->ends[i][0], filling, 2) == 1);
        async_close(self->ends[i][0]);
        async_close(self->ends[i][1]);
    }
    async_end;
}

/* The flags of what is only read, and waits, are 0: that is no error. */
AsyncTestWith(rules, flags_may_be_nothing, CALM, int ends[2];)
{
    async_begin;
    async_ok(sim_pipe(self->ends));
    cr_assert(sim_fcntl(self->ends[0], F_GETFL) == O_RDONLY);
    cr_assert(async_adopt(self->ends[0]) == self->ends[0]);
    async_close(self->ends[0]);
    sim_close(self->ends[1]);
    async_end;
}

/* What was not blocking before is not so afterwards, either. */
AsyncTestBare(rules, what_did_not_block_is_given_back_so, CALM)
{
    int ends[2];
    cr_assert(sim_socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    sim_fcntl(ends[0], F_SETFL, sim_fcntl(ends[0], F_GETFL) | O_NONBLOCK);
    cr_assert(async_open(NULL) == 0);
    cr_assert(async_adopt(ends[0]) == ends[0] && async_adopt(ends[1]) == ends[1]);
    async_loop_close();
    cr_assert(sim_fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    cr_assert(!(sim_fcntl(ends[1], F_GETFL) & O_NONBLOCK));
    sim_close(ends[0]);
    sim_close(ends[1]);
}

/* ----------------------------------------------------------------------------
 * MARK: - Time
 * ------------------------------------------------------------------------- */

/* A deadline that has passed by the time the wait begins is no reason to wait for ever. */
AsyncTestWith(rules, a_deadline_may_pass_just_before_the_wait,
              (.seeds = 100, .faults = 1 << SIM_DRIFT), int next;)
{
    async_begin;
    for (; self->next < 200; self->next++)
        await(async_sleep_until(async_now() + 100));
    async_end;
}

/* Due in the same millisecond is not due yet. */
async(sleeper, int64_t until;)
{
    async_begin;
    await(async_sleep_until(self->until));
    cr_assert(async_now() >= self->until);
    async_end;
}

AsyncTestWith(rules, a_timer_is_due_to_the_nanosecond, CALM, int64_t start; int next;
              async_task tasks[10];)
{
    async_begin;
    self->start = async_now();
    for (; self->next < 10; self->next++) {
        self->tasks[self->next] = async_spawn(sleeper, .until = self->start + 1000000 +
                                                                 100001 * self->next);
        async_ok(self->tasks[self->next]);
    }
    await(async_join_all(self->tasks, 10));
    async_end;
}

/* Half a millisecond is not waited for by asking again and again. */
AsyncTestWith(rules, the_last_part_of_a_millisecond_is_not_spun_through, CALM, long waits;)
{
    async_begin;
    self->waits = waits();
    await(async_sleep_until(async_now() + 1500000));
    cr_assert(waits() - self->waits <= 2);
    async_end;
}

static int fired;

static void fires(void *data)
{
    cr_assert(data == NULL);
    fired++;
}

/* Stopped timers stay in the heap until half of it is dead; then the living are sorted anew. */
AsyncTestWith(rules, stopped_timers_take_no_living_one_along, CALM,
              async_handle timers[300]; int next; int64_t start;)
{
    async_begin;
    fired = 0;
    self->start = async_now();
    for (; self->next < 300; self->next++) {
        self->timers[self->next] = async_after(1000 - self->next * 3, NULL, fires);
        async_ok(self->timers[self->next]);
    }
    for (int i = 0; i < 300; i++)
        if (i % 3 != 2)
            cr_assert(async_cancel(self->timers[i]) == 0);
    self->timers[1] = async_after(500, NULL, fires);
    async_ok(self->timers[1]);
    await(async_sleep(498));
    cr_assert(fired == 44); /* those after 103, 112... 490 ms */
    await(async_sleep(600));
    cr_assert(fired == 101);
    async_end;
}

async(late, int64_t until;)
{
    async_begin;
    await(async_sleep_until(self->until));
    cr_assert(async_now() - self->until < 2000000);
    async_end;
}

/* After a long computation the wait is shorter by as much. */
AsyncTestWith(rules, a_wait_is_measured_by_the_clock_of_now, CALM, async_task task;)
{
    async_begin;
    self->task = async_spawn(late, .until = async_now() + 100000000);
    async_ok(self->task);
    await(async_sleep(10));
    sim_advance(50);
    await(async_join(self->task));
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Tasks
 * ------------------------------------------------------------------------- */
async(speaks, int number;)
{
    async_begin;
    sim_log("%d", self->number);
    await(async_yield());
    sim_log("%d again", self->number);
    async_end;
}

AsyncTestWith(rules, who_comes_first_is_first_served, CALM, async_task tasks[3]; int next;)
{
    async_begin;
    for (; self->next < 3; self->next++) {
        self->tasks[self->next] = async_spawn(speaks, .number = self->next);
        async_ok(self->tasks[self->next]);
    }
    await(async_join_all(self->tasks, 3));
    sim_expect("0", "1", "2", "0 again", "1 again", "2 again");
    async_end;
}

async(busy, int *turns; int done;)
{
    async_result result;
    async_begin;
    for (; self->done < 1000; self->done++) {
        await(result, async_join(1));
        cr_assert(result == -ESRCH);
        cr_assert(*self->turns == (self->done + 1) / ASYNC__BUDGET || *self->turns == 10);
    }
    async_end;
}

/* What is done at once costs a part of the turn, too. */
AsyncTestWith(rules, nobody_keeps_the_turn, CALM, async_task task; int turns;)
{
    async_begin;
    self->task = async_spawn(busy, .turns = &self->turns);
    async_ok(self->task);
    for (; self->turns < 10; self->turns++)
        await(async_yield());
    await(async_join(self->task));
    async_end;
}

enum { SHARES = 4, BLOCK = SHARES * (int)ASYNC__SHARE };
static char block[BLOCK];
static struct iovec pieces[4096]; /* more than one call takes */
static int others;                /* turns they had           */

/* A millisecond to a turn. Nobody writes into the midst of another's block. */
async(onlooker, const int *busy;)
{
    async_begin;
    for (;; others++) {
        sim_advance(1);
        if (*self->busy >= 0)
            cr_assert_eq(async_write_nowait(*self->busy, block, 1), -EAGAIN);
        await(async_yield());
    }
    async_end;
}

/* The others had turns in the middle of it. */
static void check_shares(void)
{
    cr_assert(others >= SHARES / 2, "%d turns of the others", others);
    others = 0;
}

static void read_share(int fd, void *got)
{
    ssize_t n = async_read_nowait(fd, block, BLOCK);
    if (n > 0)
        *(ssize_t *)got += n;
}

/* Between the ends of the pair there is room for all of it: only the share makes it pause. */
AsyncTestWith(rules, a_large_block_keeps_nobody_waiting, CALM,
              int ends[2]; async_stream *streams[2]; async_handle handle; ssize_t got; ssize_t n;
              int kind; int busy;)
{
    const int enough = BLOCK;
    async_begin;
    self->busy = -1;
    async_ok(async_spawn(onlooker, &self->busy));
    for (size_t i = 0; i < 4096; i++)
        pieces[i] = (struct iovec){ block + i * (BLOCK / 4096), BLOCK / 4096 };
    for (self->kind = UNIX; self->kind <= TCP; self->kind++) {
        async_ok(open_pair(self->kind, self->ends));
        sim_setsockopt(self->ends[1], SOL_SOCKET, SO_SNDBUF, &enough, sizeof enough);
        self->busy = self->ends[1];
        others = 0;
        await(self->n, async_write(self->ends[1], block, BLOCK));
        self->busy = -1;
        cr_assert_eq(self->n, BLOCK);
        check_shares();
        for (self->got = 0; self->got < BLOCK; self->got += self->n)
            await(self->n, async_read(self->ends[0], block, BLOCK), 0);
        check_shares();
        await(self->n, async_writev(self->ends[1], pieces, 4096));
        cr_assert_eq(self->n, BLOCK);
        check_shares();
        self->handle = async_on_readable(self->ends[0], &self->got, read_share);
        async_ok(self->handle);
        others = 0;
        for (self->got = 0; self->got < BLOCK;)
            await(async_yield());
        check_shares();
        async_cancel(self->handle);
        self->streams[0] = async_stream_open(self->ends[0]);
        self->streams[1] = async_stream_open(self->ends[1]);
        others = 0;
        cr_assert_eq(async_stream_set_limits(self->streams[1], 0, 0), 0);
        cr_assert_eq(async_stream_write(self->streams[1], block, BLOCK), 0);
        await(self->n, async_stream_flush(self->streams[1]));
        cr_assert_eq(self->n, 0);
        check_shares();
        await(self->n, async_stream_read_exactly(self->streams[0], block, BLOCK));
        cr_assert_eq(self->n, BLOCK);
        check_shares();
        memset(block, 0, BLOCK);
        block[BLOCK - 1] = '\n';
        cr_assert_eq(async_stream_write(self->streams[1], block, BLOCK), 0);
        await(self->n, async_stream_flush(self->streams[1]));
        others = 0;
        await(self->n, async_stream_read_until(self->streams[0], block, BLOCK, "\n", 1));
        cr_assert_eq(self->n, BLOCK);
        check_shares();
        async_stream_close(self->streams[0]);
        async_stream_close(self->streams[1]);
    }
    async_end;
}

async(writes_a_block, int fd;)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, block, BLOCK));
    async_return(n);
    async_end;
}

async(accepts, int listener;)
{
    int fd;
    async_begin;
    await(fd, async_accept(self->listener));
    async_return(fd);
    async_end;
}

/* A pause for want of descriptors is as long as without those who share their turns. */
AsyncTestWith(rules, a_large_block_cuts_no_pause_short, CALM, int ends[2]; int listener;
              int dialled; async_task writer, task; int64_t start; async_result n;)
{
    const int enough = BLOCK;
    async_begin;
    async_ok(open_pair(UNIX, self->ends));
    sim_setsockopt(self->ends[1], SOL_SOCKET, SO_SNDBUF, &enough, sizeof enough);
    self->listener = async_listen("127.0.0.1", 0);
    self->dialled = sim_dial(async_port(self->listener));
    sim_fail_next(accept4, EMFILE);
    self->writer = async_keep(async_spawn(writes_a_block, self->ends[1]));
    self->task = async_keep(async_spawn(accepts, self->listener));
    self->start = async_now();
    await(self->n, async_join(self->writer));
    cr_assert_eq(self->n, BLOCK);
    cr_assert_eq(async_now(), self->start); /* nor does that pause hold them up */
    await(self->n, async_join(self->task), 1000);
    cr_assert(self->n >= 0);
    cr_assert_eq((async_now() - self->start) / 1000000, 10);
    async_close((int)self->n);
    sim_close(self->dialled);
    async_end;
}

/* Told to end; then there is nothing to do, and no time at which there would be. */
static void end_and_check(async_task task)
{
    cr_assert_eq(async_loop_run_once(0), 1);
    cr_assert(async_loop_timeout() >= 0);
    cr_assert_eq(async_cancel(task), 0);
    async_loop_run_once(0);
    cr_assert_eq(async_loop_timeout(), -1);
}

/* Who waited for its next turn, or for a descriptor, and is gone, keeps no loop busy. */
AsyncTestBare(rules, who_waits_no_more_keeps_nobody_awake, CALM)
{
    const int enough = BLOCK;
    int ends[2], listener, dialled;
    cr_assert_eq(async_open(NULL), 0);
    cr_assert_eq(open_pair(UNIX, ends), 0);
    sim_setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &enough, sizeof enough);
    end_and_check(async_spawn(writes_a_block, ends[1]));
    listener = async_listen("127.0.0.1", 0);
    dialled = sim_dial(async_port(listener));
    sim_fail_next(accept4, EMFILE);
    end_and_check(async_spawn(accepts, listener));
    sim_close(dialled);
    cr_assert_eq(async_loop_close(), 0);
}

async(shielded, int *ended;)
{
    async_begin;
    await(async_shield(async_sleep(20)));
    *self->ended = 1;
    await(async_sleep(1000000));
    async_finally;
    *self->ended *= 2;
    async_end;
}

/* A cancel that comes while the task is shielded arrives at the next await. */
AsyncTestWith(rules, a_cancel_waits_behind_a_shield, CALM, async_task task; int ended;
              int64_t start;)
{
    async_result result;
    async_begin;
    self->start = async_now();
    self->task = async_spawn(shielded, .ended = &self->ended);
    async_ok(self->task);
    await(async_sleep(10));
    async_cancel(self->task);
    await(result, async_join(self->task));
    cr_assert(result == -ECANCELED && self->ended == 2);
    cr_assert(async_now() - self->start <= 21000000);
    async_end;
}

async(parent, int *left;)
{
    async_task child;
    async_begin;
    child = async_spawn(shielded, .ended = self->left);
    async_ok(child);
    async_keep(child);
    await(async_yield());
    async_end;
}

/* A result is kept for the parent: when that has ended it is kept for nobody. */
AsyncTestWith(rules, a_result_is_kept_for_somebody, CALM, async_task task; int ended;)
{
    async_begin;
    self->task = async_spawn(parent, .left = &self->ended);
    async_ok(self->task);
    await(async_join(self->task));
    cr_assert(self->ended);
    async_end;
}

/* The poller breaks while some wait for their children, which are shielded. */
AsyncTestWith(rules, a_broken_poller_ends_those_with_children, (.torture = 1, .faults = SIM_CALM),
              async_task task; int ended;)
{
    async_begin;
    self->task = async_spawn(parent, .left = &self->ended);
    async_ok(self->task);
    await(async_join(self->task));
    cr_assert(self->ended || sim_shows_errors());
    async_end;
}

/* Not at all is no sleep: others have their turn, and nothing is waited for. */
AsyncTestWith(rules, a_sleep_of_nothing_is_a_yield, CALM, long waits;)
{
    async_begin;
    self->waits = waits();
    await(async_sleep(0));
    await(async_sleep(-5));
    cr_assert(waits() == self->waits);
    async_end;
}

/* A table that cannot grow: the one that has no place in it is given back whole. */
AsyncTestWith(rules, a_task_without_a_place_is_freed, (.torture = 1, .faults = SIM_CALM), int next;)
{
    async_begin;
    for (; self->next < 70; self->next++)
        async_ok(async_spawn(speaks, .number = self->next));
    await(async_sleep(1));
    async_end;
}

async(ends, int after_ms; int with;)
{
    async_begin;
    await(async_sleep(self->after_ms));
    async_return(self->with);
    async_end;
}

/* Whichever of them fails: the first in the array, not in time. */
AsyncTestWith(rules, of_many_the_first_that_failed_is_reported, CALM, int next;
              async_task tasks[3];)
{
    static const int with[4][3] = { { -5, 0, 0 }, { 0, 0, -7 }, { -5, -6, -7 }, { 1, 2, 3 } };
    static const int first[] = { -5, -7, -5, 0 };
    async_result result;
    async_begin;
    for (; self->next < 4; self->next++) {
        for (int i = 0; i < 3; i++) {
            self->tasks[i] = async_spawn(ends, .after_ms = 3 - i, .with = with[self->next][i]);
            async_keep(self->tasks[i]);
        }
        await(result, async_join_all(self->tasks, 3));
        cr_assert(result == first[self->next]);
    }
    async_end;
}

async(waits_for, async_task other;)
{
    async_begin;
    await(async_shield(async_join(self->other)));
    async_end;
}

async(never_ends)
{
    async_task child;
    async_begin;
    child = async_spawn(waits_for, .other = async_current_task());
    async_loop_stop();
    await(async_shield(async_join(child)));
    async_end;
}

/* The loop was stopped, and the main task can never end: as if it had been cancelled. */
AsyncTestBare(rules, a_main_task_that_never_ends_counts_as_cancelled, CALM)
{
    cr_assert(async_run(never_ends) == -ECANCELED);
}

/* Of those in the array some have ended, and one is there twice: the rest is waited for. */
AsyncTestWith(rules, those_that_have_ended_hide_nobody, CALM, async_task tasks[4]; int64_t start;)
{
    async_result result;
    async_begin;
    self->start = async_now();
    for (int i = 0; i < 3; i++) {
        self->tasks[i] = async_spawn(ends, .after_ms = 1 + 10 * i, .with = -i);
        async_keep(self->tasks[i]);
    }
    await(async_sleep(5));
    self->tasks[3] = self->tasks[2];
    self->tasks[2] = self->tasks[1];
    await(result, async_join_all(self->tasks, 4));
    cr_assert(result == -1 && async_now() - self->start >= 21000000);
    async_end;
}

/* Who gives a result up that is there already gives it up at once. */
AsyncTestWith(rules, a_detached_result_is_gone, CALM, async_task task;)
{
    async_begin;
    self->task = async_spawn(ends, .after_ms = 1, .with = 5);
    async_ok(self->task);
    async_keep(self->task);
    await(async_sleep(5));
    cr_assert(async_detach(self->task) == 0);
    cr_assert(async_detach(self->task) == -ESRCH);
    self->task = async_spawn(ends, .after_ms = 1, .with = 5); /* and before it is there */
    async_ok(self->task);
    async_keep(self->task);
    cr_assert(async_detach(self->task) == 0);
    await(async_sleep(5));
    cr_assert(async_detach(self->task) == -ESRCH);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Handles and streams
 * ------------------------------------------------------------------------- */
static void nothing(void *data)
{
    (void)data;
}

/* A handle of another loop may be of a place that this one does not have: behind the last. */
AsyncTestWith(rules, a_handle_without_a_place_is_unknown, CALM, async_handle real;)
{
    async_begin;
    self->real = async_after(1000, NULL, nothing);
    async_ok(self->real);
    for (int64_t place = ASYNC__CHUNK; place < 4 * ASYNC__CHUNK; place++)
        cr_assert(async_cancel((int64_t)1 << 32 | (ASYNC__CALLBACKS + place)) == -ESRCH);
    cr_assert(async_cancel(self->real) == 0);
    cr_assert(async_cancel(self->real) == -ESRCH);
    async_end;
}

/* More callbacks than one allocation holds; without memory for more, that is said. */
AsyncTestWith(rules, callbacks_need_memory_now_and_then, (.torture = 1, .faults = SIM_CALM),
              int next; async_handle last;)
{
    async_begin;
    for (; self->next < 600; self->next++) {
        self->last = async_after(1, NULL, nothing);
        async_ok(self->last);
    }
    await(async_sleep(2));
    async_end;
}

async(flushes, async_stream *stream;)
{
    async_result result;
    async_begin;
    await(result, async_stream_flush(self->stream));
    async_return(result);
    async_end;
}

/* Whoever waits for the queue to drain when the stream is closed is told. */
AsyncTestWith(rules, a_stream_that_is_closed_tells_who_flushes, CALM, int ends[2];
              async_stream *stream; async_task task;)
{
    async_result result;
    async_begin;
    async_ok(async_socketpair(self->ends));
    self->stream = async_stream_open(self->ends[0]);
    cr_assert(self->stream != NULL);
    for (int i = 0; i < 8; i++)
        cr_assert(async_stream_write(self->stream, filling, sizeof filling) == 0);
    self->task = async_spawn(flushes, .stream = self->stream);
    async_ok(self->task);
    async_keep(self->task);
    await(async_sleep(5));
    cr_assert(async_stream_close(self->stream) == 0);
    await(result, async_join(self->task));
    cr_assert(result == -EBADF);
    async_close(self->ends[1]);
    async_end;
}

/* Closed with close(2) while it waits for its peer, and its number is another's at once. */
AsyncTestWith(rules, a_closing_stream_may_lose_its_number, CALM, int ends[2]; int pipe[2];
              async_stream *stream; char byte;)
{
    ssize_t n;
    async_begin;
    async_ok(async_socketpair(self->ends));
    self->stream = async_stream_open(self->ends[0]);
    cr_assert(self->stream != NULL);
    cr_assert(async_stream_close(self->stream) == 0);
    sim_close(self->ends[0]);
    async_ok(async_pipe(self->pipe));
    cr_assert(self->pipe[0] == self->ends[0]);
    await(async_sleep(10000));
    await(n, async_write(self->pipe[1], "x", 1));
    cr_assert(n == 1);
    await(n, async_read(self->pipe[0], &self->byte, 1));
    cr_assert(n == 1);
    async_close(self->ends[1]);
    async_close(self->pipe[0]);
    async_close(self->pipe[1]);
    async_end;
}

/* The peer has ended already: when all is sent there is nothing to linger for. */
static void closed(async_stream *stream, int status)
{
    cr_assert(status == 0);
    *(int64_t *)stream->data = async_now();
}

AsyncTestWith(rules, closing_does_not_wait_for_an_end_that_has_come, CALM, int ends[2];
              async_stream *stream; int64_t start; int64_t when;)
{
    async_begin;
    async_ok(async_socketpair(self->ends));
    self->stream = async_stream_open(self->ends[0]);
    cr_assert(self->stream != NULL);
    self->stream->data = &self->when;
    async_stream_on_close(self->stream, closed);
    for (int i = 0; i < 8; i++)
        cr_assert(async_stream_write(self->stream, filling, sizeof filling) == 0);
    sim_shutdown(self->ends[1], SHUT_WR);
    self->start = async_now();
    cr_assert(async_stream_close(self->stream) == 0);
    while (!self->when && async_now() - self->start < INT64_C(1000000000)) {
        while (async_read_nowait(self->ends[1], filling, sizeof filling) > 0) {
        }
        await(async_sleep(1));
    }
    cr_assert(self->when);
    async_close(self->ends[1]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Names
 * ------------------------------------------------------------------------- */
async(named, int *failed;)
{
    async_begin;
    if (async_name("a late one") < 0)
        ++*self->failed;
    await(async_sleep(10));
    async_end;
}

static int dump_has(const char *words)
{
    static char text[65536];
    FILE *out = fmemopen(text, sizeof text, "w");
    cr_assert(out != NULL);
    async_dump(out);
    fclose(out);
    return strstr(text, words) != NULL;
}

/* A name is shown while its task lives; one for which there is no memory is an error. */
AsyncTestWith(rules, names_are_shown_or_are_an_error, (.torture = 1, .faults = SIM_CALM), int next;
              int failed;)
{
    async_begin;
    async_ok(async_name("the first"));
    cr_assert(dump_has("\"the first\""));
    for (; self->next < 70; self->next++)
        async_ok(async_spawn(named, .failed = &self->failed));
    await(async_sleep(1));
    cr_assert(self->failed || dump_has("\"a late one\""));
    cr_assert(!self->failed || sim_shows_errors());
    cr_assert(dump_has("\"the first\""));
    await(async_sleep(20));
    async_ok(async_spawn(speaks, .number = 1)); /* in the place of one that had a name */
    cr_assert(!dump_has("\"a late one\"") && dump_has("\"the first\""));
    await(async_sleep(1));
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - What is not asked in vain
 * ------------------------------------------------------------------------- */
enum { MESSAGES = 100 };

async(takes_all, int fd; char message[64]; int i; async_result n;)
{
    async_begin;
    for (self->i = 0; self->i < MESSAGES; self->i++) {
        await(self->n, async_read(self->fd, self->message, sizeof self->message));
        cr_assert_eq(self->n, 8);
    }
    async_end;
}

static long exchange_cost(void)
{
    return sim_count(read) + sim_count(write) + sim_count(recvmsg) + sim_count(send);
}

/* A short read says that there is no more: over a pipe and a socket, one read for each message. */
AsyncTest(rules, a_message_costs_one_read_and_one_write, int ends[2]; int is_pipe; async_task task;
          char message[8]; long before; int i; async_result n;)
{
    async_begin;
    for (self->is_pipe = 0; self->is_pipe < 2; self->is_pipe++) {
        async_ok(self->is_pipe ? async_pipe(self->ends) : async_socketpair(self->ends));
        self->task = async_spawn(takes_all, self->ends[0]);
        await(async_settle());
        self->before = exchange_cost();
        for (self->i = 0; self->i < MESSAGES; self->i++) {
            await(self->n, async_write(self->ends[1], self->message, sizeof self->message));
            cr_assert_eq(self->n, (async_result)sizeof self->message);
            await(async_settle());
        }
        await(self->n, async_join(self->task));
        cr_assert_eq(exchange_cost() - self->before, 2 * MESSAGES);
        async_close(self->ends[0]);
        async_close(self->ends[1]);
    }
    async_end;
}

/* A number that is nobody's is refused by each operation, and waited on by none. */
AsyncTest(rules, what_was_never_adopted_is_refused, int fd; char byte; async_result n;)
{
    async_begin;
    self->fd = sim_socket(AF_UNIX, SOCK_STREAM, 0);
    await(self->n, async_read(self->fd, &self->byte, 1));
    check_error(async_read, EBADF, self->n);
    await(self->n, async_writable(self->fd));
    check_error(async_writable, EBADF, self->n);
    check_error(async_on_readable, EBADF, async_on_readable(self->fd, NULL, NULL));
    check_error(async_read_nowait, EBADF, async_read_nowait(self->fd, &self->byte, 1));
    sim_close(self->fd);
    async_end;
}

/* The loop may be left alone to the millisecond: not a moment after a timer is due. */
AsyncTestBare(rules, a_due_timer_is_no_millisecond_away, (.seeds = 1))
{
    cr_assert_eq(async_open(NULL), 0);
    cr_assert(async_after(5, NULL, nothing) > 0);
    cr_assert_eq(async_loop_timeout(), 5);
    sim_advance(5);
    cr_assert_eq(async_loop_timeout(), 0);
    cr_assert_eq(async_loop_run(), 0);
    cr_assert_eq(async_loop_close(), 0);
}
