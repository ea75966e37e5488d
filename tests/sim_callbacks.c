/*
 * Callbacks in the simulated world: programs without a coroutine.
 *
 * Method. Each callback has a record; it is called only while its handle lives, never from inside
 * the call that made it, and once where once was asked for.
 */
#include "async_test.h"

#include <stdbool.h>

/* ----------------------------------------------------------------------------
 * MARK: - Callbacks that cancel one another
 * ------------------------------------------------------------------------- */
enum { SOON, AFTER, EVERY, FLOCK = 40, MADE = 400 };

static struct bird {
    async_handle handle;
    int kind, calls;
    bool is_alive;
    int64_t least_ns;
} birds[MADE];
static int bird_count;
static bool is_making;

static void flies(void *data);

static void make_bird(void)
{
    struct bird *bird = &birds[bird_count];
    int64_t delay_ms = 1 + (int64_t)sim_random(20);
    if (bird_count == MADE)
        return;
    memset(bird, 0, sizeof *bird);
    bird->kind = (int)sim_random(3);
    bird->least_ns = bird->kind == SOON ? 0 : async_now() + delay_ms * 1000000;
    is_making = true;
    bird->handle = bird->kind == SOON    ? async_soon(bird, flies)
                   : bird->kind == AFTER ? async_after(delay_ms, bird, flies)
                                         : async_every(delay_ms, bird, flies);
    is_making = false;
    cr_assert(bird->handle > 0 || sim_shows_errors());
    bird->is_alive = bird->handle > 0;
    for (int i = 0; i < bird_count; i++) /* no handle is another's */
        cr_assert(bird->handle < 0 || birds[i].handle != bird->handle);
    bird_count++;
}

static void cancel_bird(struct bird *bird)
{
    cr_assert_eq(async_cancel(bird->handle), bird->is_alive ? 0 : -ESRCH);
    bird->is_alive = false;
}

/* Whoever is called cancels another, maybe itself, and makes a new one. */
static void flies(void *data)
{
    struct bird *bird = data;
    cr_assert(bird->is_alive && !is_making);
    cr_assert(async_now() >= bird->least_ns);
    bird->calls++;
    if (bird->kind != EVERY)
        bird->is_alive = false;
    if (bird->kind == EVERY && bird->calls == 5)
        cancel_bird(bird);
    if (sim_random(3) == 0)
        cancel_bird(&birds[sim_random((uint64_t)bird_count)]);
    if (sim_random(2) == 0)
        make_bird();
}

/* The loop ends by itself when nobody is left who could be called. */
AsyncTestBare(callbacks, cancel_one_another, (.seeds = 1500, .torture = 1))
{
    int error = async_open(NULL);
    cr_assert(!error || sim_shows_errors());
    if (error)
        return;
    bird_count = 0;
    for (int i = 0; i < FLOCK; i++)
        make_bird();
    error = async_loop_run();
    cr_assert(!error || sim_shows_errors());
    for (int i = 0; i < bird_count && !error; i++) {
        cr_assert(!birds[i].is_alive);
        cr_assert_eq(async_cancel(birds[i].handle), -ESRCH);
        cr_assert(birds[i].kind == EVERY || birds[i].calls <= 1);
    }
    async_sometimes(bird_count > 60);
    async_loop_close();
}

/* Run a turn at a time, and closed in the middle: nobody is called any more. */
AsyncTestBare(callbacks, are_forgotten_with_their_loop, (.seeds = 1000, .torture = 1, .real = 1))
{
    int error = async_open(NULL), calls = 0;
    cr_assert(!error || sim_shows_errors());
    if (error)
        return;
    bird_count = 0;
    for (int i = 0; i < FLOCK; i++)
        make_bird();
    for (int i = 0; i < 12; i++) {
        int ran = async_loop_run_once(sim_is_real() ? 0 : (int64_t)sim_random(4));
        cr_assert(ran >= 0 || sim_shows_errors());
    }
    for (int i = 0; i < bird_count; i++)
        calls += birds[i].calls;
    async_loop_close();
    for (int i = 0; i < bird_count; i++)
        calls -= birds[i].calls;
    cr_assert_eq(calls, 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - A conversation
 * ------------------------------------------------------------------------- */
enum { ROUNDS = 40 };

static struct side {
    int fd, rounds;
    async_handle reads, writes;
    size_t in, out; /* of this round */
    char data[24];
} sides[2];

static void can_write(int fd, void *data);

static void gives_up(struct side *side)
{
    cr_assert(sim_shows_errors());
    async_close(side->fd);
}

/* What is left of the round is sent; the rest when there is room. */
static void sends(struct side *side)
{
    while (side->out < sizeof side->data) {
        ssize_t n = async_write_nowait(side->fd, side->data + side->out,
                                       sizeof side->data - side->out);
        if (n == -EAGAIN && !side->writes) {
            side->writes = async_on_writable(side->fd, side, can_write);
            if (side->writes < 0)
                gives_up(side);
        }
        if (n < 0 && n != -EAGAIN)
            gives_up(side);
        if (n <= 0)
            return;
        side->out += (size_t)n;
    }
    if (side->writes > 0) /* maybe from inside the callback itself */
        cr_assert(async_cancel(side->writes) == 0);
    side->writes = 0;
    side->rounds++;
}

static void can_write(int fd, void *data)
{
    struct side *side = data;
    cr_assert_eq(fd, side->fd);
    cr_assert(side->writes > 0);
    sends(side);
}

static void can_read(int fd, void *data)
{
    struct side *side = data;
    ssize_t n = 1;
    cr_assert_eq(fd, side->fd);
    while (side->in < sizeof side->data && n > 0) {
        n = async_read_nowait(fd, side->data + side->in, sizeof side->data - side->in);
        side->in += n > 0 ? (size_t)n : 0;
    }
    if (n == 0)
        async_close(fd); /* the other side has closed */
    else if (n < 0 && n != -EAGAIN)
        gives_up(side);
    if (n <= 0)
        return;
    for (size_t i = 0; i < sizeof side->data; i++)
        cr_assert_eq(side->data[i], side->data[0]);
    memset(side->data, side->data[0] + 1, sizeof side->data);
    side->in = side->out = 0;
    if (side->rounds == ROUNDS)
        async_close(fd);
    else
        sends(side);
}

static int opens_sides(void)
{
    int ends[2], error = async_socketpair(ends);
    memset(sides, 0, sizeof sides);
    for (int i = 0; i < 2 && !error; i++) {
        sides[i].fd = ends[i];
        sides[i].reads = async_on_readable(ends[i], &sides[i], can_read);
        if (sides[i].reads < 0)
            error = (int)sides[i].reads;
    }
    return error;
}

/* Twenty-four bytes go to and fro, each time one higher. */
AsyncTestBare(callbacks, read_and_write_by_turns, (.seeds = 1500, .torture = 1, .real = 1))
{
    int error = async_open(NULL);
    cr_assert(!error || sim_shows_errors());
    if (error)
        return;
    error = opens_sides();
    if (!error) {
        sends(&sides[0]);
        error = async_loop_run();
    }
    cr_assert(!error || sim_shows_errors());
    if (!sim_shows_errors()) {
        cr_assert_eq(sides[0].rounds, ROUNDS);
        cr_assert_eq(sides[1].rounds, ROUNDS);
        cr_assert_eq(sides[0].data[0], 2 * ROUNDS);
    }
    async_loop_close();
}

/* ----------------------------------------------------------------------------
 * MARK: - Callbacks and tasks
 * ------------------------------------------------------------------------- */
static struct {
    async_task task;
    int spawned, ended, ticks;
    async_handle every;
} mixed;

async(short_lived, int64_t duration_ms;)
{
    async_begin;
    await(async_sleep(self->duration_ms));
    async_finally;
    mixed.ended++;
    async_end;
}

/* A callback starts tasks, cancels the one before, and stops itself. */
static void starts_a_task(void *data)
{
    async_task task;
    (void)data;
    cr_assert_eq(async_current_task(), 0);
    cr_assert_eq(async_cancelled(), 0);
    if (mixed.task > 0 && sim_random(2))
        async_cancel(mixed.task);
    task = async_spawn(short_lived, (int64_t)sim_random(12));
    cr_assert(task > 0 || sim_shows_errors());
    mixed.task = task;
    mixed.spawned += task > 0;
    if (++mixed.ticks == 30)
        cr_assert_eq(async_cancel(mixed.every), 0);
}

AsyncTestBare(callbacks, start_tasks_and_cancel_them, (.seeds = 1200, .torture = 1))
{
    int error = async_open(NULL);
    cr_assert(!error || sim_shows_errors());
    if (error)
        return;
    memset(&mixed, 0, sizeof mixed);
    mixed.every = async_every(3, NULL, starts_a_task);
    cr_assert(mixed.every > 0 || sim_shows_errors());
    error = async_loop_run();
    cr_assert(!error || sim_shows_errors());
    if (!error)
        cr_assert_eq(mixed.spawned, mixed.ended);
    cr_assert(mixed.ticks == 30 || sim_shows_errors());
    async_loop_close();
    cr_assert_eq(mixed.spawned, mixed.ended);
}

/* ----------------------------------------------------------------------------
 * MARK: - As long as there is something
 * ------------------------------------------------------------------------- */
static char crumbs[64];
static size_t crumb_count;

static void takes_a_crumb(int fd, void *data)
{
    ssize_t n = async_read_nowait(fd, crumbs + crumb_count, 1);
    (void)data;
    if (n > 0)
        crumb_count++;
}

/* A callback that takes less than there is is called again, without another event. */
AsyncTestWith(callbacks, are_called_until_nothing_is_left, (.seeds = 100), int ends[2];)
{
    ssize_t n;
    async_begin;
    crumb_count = 0;
    async_ok(async_socketpair(self->ends));
    cr_assert(async_on_readable(self->ends[0], NULL, takes_a_crumb) > 0);
    await(n, async_write(self->ends[1], "abcdefgh", 8));
    cr_assert_eq(n, 8);
    await(async_sleep(1000));
    cr_assert_eq(crumb_count, 8);
    cr_assert(memcmp(crumbs, "abcdefgh", 8) == 0);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}
