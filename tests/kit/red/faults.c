/*
 * faults.c: bodies with one fault each, which the kit must find and name in the words that stand in
 * red.sh. The body "green" is the control.
 */
#include "async_test.h"

#include <setjmp.h>
#include <stdlib.h>
#include <sys/resource.h>

AsyncTestWith(red, green, (.seeds = 20, .torture = 1, .real = 1), int ends[2]; char byte;)
{
    async_result n;
    async_begin;
    async_ok(async_pipe(self->ends));
    await(n, async_write(self->ends[1], "x", 1), 1000);
    async_ok(n);
    await(n, async_read(self->ends[0], &self->byte, 1), 1000);
    async_ok(n);
    cr_assert_eq(self->byte, 'x');
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* A mark that few worlds reach: is it missed only where all the worlds were asked for? */
AsyncTestBare(red, green_with_a_rare_mark, (.seeds = 100))
{
    static int worlds;
    async_sometimes(worlds == 90);
    worlds++;
}

async(sleeper)
{
    async_begin;
    await(async_sleep(10));
    async_end;
}

/* ---- time that does not move ---- */

AsyncTest(red, livelock)
{
    async_begin;
    for (;;)
        await(async_yield());
    async_end;
}

AsyncTest(red, livelock_of_calls)
{
    async_begin;
    for (;;)
        async_now();
    async_end;
}

AsyncTest(red, hog)
{
    async_begin;
    for (int i = 0; i < 3000; i++)
        async_now();
    await(async_yield());
    async_end;
}

AsyncTest(red, deadlock, int ends[2]; char byte;)
{
    async_begin;
    async_ok(async_pipe(self->ends));
    await(async_read(self->ends[0], &self->byte, 1));
    async_end;
}

async(joins, async_task *other;)
{
    async_begin;
    await(async_join(*self->other));
    async_end;
}

AsyncTest(red, joins_in_a_circle, async_task tasks[2];)
{
    async_begin;
    self->tasks[0] = async_spawn(joins, .other = &self->tasks[1]);
    self->tasks[1] = async_spawn(joins, .other = &self->tasks[0]);
    await(async_join(self->tasks[0]));
    async_end;
}

AsyncTestBare(red, deadlock_of_a_call, (.seeds = 1))
{
    int ends[2];
    char byte;
    sim_pipe(ends);
    sim_read(ends[0], &byte, 1);
}

/* ---- the simulated kernel's own complaints ---- */

AsyncTestBare(red, no_reset, (.seeds = 1))
{
    sim_reset(7);
}

AsyncTestBare(red, no_latency, (.seeds = 1))
{
    sim_latency(7, 1, 2);
}

AsyncTestBare(red, no_clog, (.seeds = 1))
{
    sim_clog(7, 1);
}

AsyncTestBare(red, no_peer, (.seeds = 1))
{
    sim_peer(7, SIM_END);
}

AsyncTestBare(red, no_tcp_pair, (.real = 1))
{
    struct rlimit none = { 0, 1 };
    int ends[2];
    if (!sim_is_real())
        return;
    setrlimit(RLIMIT_NOFILE, &none);
    sim_tcp_pair(ends);
}

AsyncTestBare(red, sigpipe, (.seeds = 1))
{
    async_options options = { .keep_sigpipe = 1 };
    int ends[2];
    async_open(&options);
    async_pipe(ends);
    async_close(ends[0]);
    async_write_nowait(ends[1], "x", 1);
    async_loop_close();
}

AsyncTestBare(red, closed_twice, (.seeds = 1))
{
    ASYNC_SYS(close)(1234);
}

AsyncTest(red, peer_gets_another_byte, int ends[2];)
{
    async_begin;
    sim_tcp_pair(self->ends);
    sim_peer(self->ends[1], SIM_EXPECT("GET"));
    async_ok(async_adopt(self->ends[0]));
    await(async_write(self->ends[0], "GOT", 3));
    await(async_sleep(1));
    async_end;
}

AsyncTest(red, peer_gets_less, int ends[2];)
{
    async_begin;
    sim_tcp_pair(self->ends);
    sim_peer(self->ends[1], SIM_EXPECT("GET"));
    async_ok(async_adopt(self->ends[0]));
    await(async_write(self->ends[0], "GE", 2));
    async_close(self->ends[0]);
    await(async_sleep(1));
    async_end;
}

AsyncTest(red, peer_gets_a_reset, int ends[2];)
{
    async_begin;
    sim_tcp_pair(self->ends);
    sim_peer(self->ends[1], SIM_EXPECT("GET"));
    async_ok(async_adopt(self->ends[0]));
    sim_reset(self->ends[0]);
    await(async_sleep(1));
    async_end;
}

/* ---- memory ---- */

AsyncTest(red, overrun, volatile size_t place;)
{
    async_begin;
    self->place = sizeof *self;
    ((char *)self)[self->place] = 1;
    async_end;
}

async(writes_in_front, volatile int place;)
{
    async_begin;
    self->place = -1;
    ((char *)self)[self->place] = 1;
    async_end;
}

AsyncTest(red, underrun)
{
    async_begin;
    await(async_call(writes_in_front));
    async_end;
}

async(tells_its_address, char **address;)
{
    async_begin;
    *self->address = (char *)self;
    async_end;
}

AsyncTest(red, write_after_free, char *volatile address;)
{
    async_begin;
    await(async_call(tells_its_address, .address = (char **)(uintptr_t)&self->address));
    self->address[20] = 1;
    async_end;
}

AsyncTestBare(red, block_left, (.seeds = 1))
{
    void *block = ASYNC_MEM(malloc)(10);
    (void)block;
}

AsyncTestBare(red, leak, (.seeds = 1))
{
    char *volatile block = malloc(10);
    block[0] = 1;
    block = NULL;
}

AsyncTestBare(red, uninitialised, (.seeds = 1))
{
    char *volatile block = malloc(10);
    if (block[5] == 'x')
        async_now();
    free(block);
}

AsyncTestBare(red, read_after_free, (.seeds = 1))
{
    char *volatile block = malloc(10);
    char *volatile same = block;
    free(block);
    async_mark(same[5] == 'x' ? "x" : "not x");
}

/* ---- what a body does, or says ---- */

AsyncTestBare(red, panics, (.seeds = 1))
{
    async_op operation;
    async_open(NULL);
    operation = async_yield();
    (void)operation;
}

AsyncTest(red, unexpected_error, int ends[2];)
{
    async_begin;
    sim_limit(0);
    async_ok(async_pipe(self->ends));
    async_end;
}

AsyncTest(red, failed_body)
{
    async_begin;
    async_return(-EIO);
    async_end;
}

AsyncTest(red, failed_assertion)
{
    async_begin;
    await(async_sleep(1));
    cr_assert(async_now() < 0);
    async_end;
}

AsyncTest(red, not_blocked)
{
    async_begin;
    async_expect_blocked(async_spawn(sleeper));
    async_end;
}

AsyncTest(red, blocked_and_gone, async_task task;)
{
    async_begin;
    self->task = async_spawn(sleeper);
    await(async_join(self->task));
    async_expect_blocked(self->task);
    async_end;
}

AsyncTest(red, step_twice)
{
    async_begin;
    await(async_seq(0));
    await(async_seq(1));
    await(async_seq(0));
    async_end;
}

AsyncTest(red, step_that_never_comes)
{
    async_begin;
    await(async_seq(1));
    async_end;
}

AsyncTestBare(red, other_line, (.seeds = 1))
{
    sim_log("one");
    sim_log("%d", 2);
    sim_expect("one", "two");
}

AsyncTestBare(red, says_what, (.seeds = 1, .says = "The sentence comes first."))
{
    sim_log("one");
    sim_expect("two");
}

AsyncTestWith(red, says_before_criterion, (.says = "The sentence comes first."), int one;)
{
    async_begin;
    cr_assert_eq(self->one, 1);
    async_end;
}

AsyncTestBare(red, says_before_a_crash, (.says = "The sentence comes first."))
{
    raise(SIGABRT);
}

AsyncTestBare(red, line_missing, (.seeds = 1))
{
    sim_log("one");
    sim_expect("one", "two");
}

AsyncTestBare(red, line_too_many, (.seeds = 1))
{
    sim_log("one");
    sim_log("two");
    sim_expect("one");
}

AsyncTest(red, logs_differ)
{
    async_begin;
    sim_log("%s", async_loop_backend());
    async_end;
}

AsyncTest(red, not_the_same_twice)
{
    static int times;
    async_begin;
    if (times++ % 2)
        await(async_yield());
    async_end;
}

AsyncTestBare(red, too_many_marks, (.seeds = 1))
{
    static char names[65][16];
    for (int i = 0; i < 65; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        async_mark(names[i]);
    }
}

AsyncTestBare(red, mark_never_reached, (.seeds = 10))
{
    async_mark("reached");
    async_expect_mark("reached");
    async_expect_mark("not reached");
}

AsyncTestBare(red, never_true, (.seeds = 10))
{
    async_sometimes(async_now() > 0);
    async_sometimes(async_now() < 0);
}

AsyncTestBare(red, only_in_one_world, (.seeds = 400))
{
    for (int i = 0; i < 20; i++)
        cr_assert(!ASYNC_BUG("red"));
}

/* ---- what is left ---- */

AsyncTestBare(red, loop_left, (.seeds = 1))
{
    async_open(NULL);
}

AsyncTestBare(red, descriptor_left, (.seeds = 1))
{
    int ends[2];
    sim_pipe(ends);
}

AsyncTestBare(red, real_descriptor_left, (.real = 1))
{
    if (sim_is_real())
        open("/dev/null", O_RDONLY);
}

AsyncTestBare(red, real_descriptor_closed, (.real = 1))
{
    if (sim_is_real())
        close(0);
}

/* ---- ways out that are none ---- */

AsyncTest(red, exits)
{
    async_begin;
    exit(0);
    async_end;
}

AsyncTest(red, vanishes)
{
    async_begin;
    _exit(0);
    async_end;
}

AsyncTest(red, crashes)
{
    async_begin;
    *(volatile int *)(uintptr_t)(async_now() < 0) = 1;
    async_end;
}

AsyncTest(red, aborts)
{
    async_begin;
    abort();
    async_end;
}

AsyncTest(red, is_killed)
{
    async_begin;
    raise(SIGKILL);
    async_end;
}

AsyncTest(red, is_terminated)
{
    async_begin;
    raise(SIGTERM);
    async_end;
}

AsyncTestWith(red, stuck_step, (.watchdog = 1), volatile int forever;)
{
    async_begin;
    self->forever = 1;
    while (self->forever)
        ;
    async_end;
}

AsyncTestBare(red, stuck_call, (.watchdog = 1))
{
    pause();
}

static jmp_buf place;

async(jumps)
{
    async_begin;
    longjmp(place, 1);
    async_end;
}

AsyncTestBare(red, jumps_out, (.seeds = 1))
{
    if (!setjmp(place))
        async_run(jumps);
}
