/*
 * Panics: misuse that would otherwise corrupt memory or start a coroutine anew.
 *
 * Goal: each kind of misuse stops the program, and the words name the coroutine, its file and the
 * line. Method: each misuse runs in a process of its own; what looks like it and is allowed runs
 * beside it.
 */
#include "async.h"
#include <pthread.h>
#include <sys/mman.h>

#include "test.h"

#define STACK_WORDS "a buffer on the C stack"
#define AT(name) "in " #name ", " __FILE__ ":"

/* ----------------------------------------------------------------------------
 * MARK: - Buffers on the C stack
 * ------------------------------------------------------------------------- */

enum kind { READ, WRITE, READV, WRITEV, PIECES, JOIN_ALL, SELECT, EVENT, RECEIVE,
            SELECT_RECEIVE, SELECT_EVENT, NO_CASE, DATAGRAM, ADDRESS, PATH, HOST, NAME, FOUND,
            LISTENED_ON, LISTENERS, PLACE };

/* What would be done at once, and what would have to wait. */
async(stack_buffer, enum kind kind; int fd; struct iovec kept;
      async_case kept_case;)
{
    async_result r;
    char data[16];
    struct iovec piece;
    async_address address;
    int listener;
    async_task task;
    async_case it;
    async_event event;
    async_begin;
    memset(&event, 0, sizeof event);
    self->kept_case = async_case_receive(NULL, data);
    if (self->kind == SELECT_EVENT)
        self->kept_case = async_case_event(&event);
    if (self->kind == NO_CASE)
        memset(&self->kept_case, 0, sizeof self->kept_case);
    memset(data, 0, sizeof data);
    memset(&it, 0, sizeof it);
    memset(&address, 0, sizeof address);
    task = 0;
    r = 0;
    piece.iov_base = &self->kept;
    piece.iov_len = 1;
    self->kept.iov_base = data;
    self->kept.iov_len = 1;
    if (self->kind == READ)
        await(r, async_read(self->fd, data, sizeof data));
    else if (self->kind == WRITE)
        await(r, async_write(self->fd, data, sizeof data));
    else if (self->kind == READV)
        await(r, async_readv(self->fd, &piece, 1));
    else if (self->kind == WRITEV)
        await(r, async_writev(self->fd, &piece, 1));
    else if (self->kind == PIECES)
        await(r, async_writev(self->fd, &self->kept, 1));
    else if (self->kind == JOIN_ALL)
        await(r, async_join_all(&task, 1));
    else if (self->kind == SELECT)
        await(r, async_select(&it, 1));
    else if (self->kind == NO_CASE)
        await(r, async_select(&self->kept_case, 1));
    else if (self->kind == EVENT)
        await(r, async_event_wait(&event));
    else if (self->kind == RECEIVE)
        await(r, async_channel_receive(NULL, data));
    else if (self->kind == SELECT_RECEIVE || self->kind == SELECT_EVENT)
        await(r, async_select(&self->kept_case, 1));
    else if (self->kind == DATAGRAM)
        await(r, async_recvfrom(self->fd, data, sizeof data, NULL));
    else if (self->kind == ADDRESS)
        await(r, async_sendto(self->fd, self, 1, &address));
    else if (self->kind == PATH)
        await(r, async_connect_unix(data));
    else if (self->kind == HOST)
        await(r, async_connect(data, 80));
    else if (self->kind == NAME)
        await(r, async_resolve(data, 80, NULL, 0));
    else if (self->kind == FOUND)
        await(r, async_resolve("::1", 80, &address, 1));
    else if (self->kind == LISTENED_ON)
        await(r, async_listen_name(data, 80, NULL, NULL, 0));
    else if (self->kind == LISTENERS)
        await(r, async_listen_name("::1", 80, NULL, &listener, 1));
    else
        await(r, async_connect_at(&address));
    async_return(r);
    async_end;
}

/* `ready`: there is something to read. Writing is always possible. */
async(with_pair, enum kind kind; int ready; int ends[2];)
{
    async_result r;
    async_begin;
    if (async_socketpair(self->ends) < 0)
        async_return(-1);
    if (self->ready && async_write_nowait(self->ends[1], "x", 1) != 1)
        async_return(-1);
    await(r, async_call(stack_buffer, self->kind, self->ends[0]));
    async_return(r);
    async_end;
}

TEST(panics, name_an_operation_whose_buffer_is_on_the_c_stack)
{
    test_panics(async_run(with_pair, READ), STACK_WORDS);
    test_panics(async_run(with_pair, READ, .ready = 1), STACK_WORDS);
    test_panics(async_run(with_pair, WRITE), STACK_WORDS);
    test_panics(async_run(with_pair, READV), STACK_WORDS);
    test_panics(async_run(with_pair, READV, .ready = 1), STACK_WORDS);
    test_panics(async_run(with_pair, WRITEV), STACK_WORDS);
    test_panics(async_run(with_pair, PIECES), STACK_WORDS);
    test_panics(async_run(with_pair, JOIN_ALL), STACK_WORDS);
    test_panics(async_run(with_pair, SELECT), STACK_WORDS);
    test_panics(async_run(with_pair, EVENT), STACK_WORDS);
    test_panics(async_run(with_pair, RECEIVE), STACK_WORDS);
    test_panics(async_run(with_pair, SELECT_RECEIVE), STACK_WORDS);
    test_panics(async_run(with_pair, SELECT_EVENT), STACK_WORDS);
    test_panics(async_run(with_pair, DATAGRAM), STACK_WORDS);
    test_panics(async_run(with_pair, ADDRESS), STACK_WORDS);
    test_panics(async_run(with_pair, PATH), STACK_WORDS);
    test_panics(async_run(with_pair, HOST), STACK_WORDS);
    test_panics(async_run(with_pair, NAME), STACK_WORDS);
    test_panics(async_run(with_pair, FOUND), STACK_WORDS);
    test_panics(async_run(with_pair, LISTENED_ON), STACK_WORDS);
    test_panics(async_run(with_pair, LISTENERS), STACK_WORDS);
    test_panics(async_run(with_pair, PLACE), STACK_WORDS);
    test_panics(async_run(with_pair, READ), AT(stack_buffer));
    test_panics(async_run(with_pair, PATH), AT(stack_buffer));
}

async(waits_for, async_event *event;)
{
    async_begin;
    await(async_event_wait(self->event));
    async_end;
}

async(forgets_who_waits, async_event *event;)
{
    async_begin;
    async_spawn(waits_for, self->event);
    await(async_yield());
    memset(self->event, 0, sizeof *self->event);
    async_end;
}

/* The last child's end is what lets its parent end, and who waits for that is told: nobody runs. */
async(ends_when_cancelled)
{
    async_begin;
    await(async_sleep(1000));
    async_finally;
    await(async_yield());
    async_end;
}

async(leaves_a_child)
{
    async_begin;
    async_spawn(ends_when_cancelled);
    await(async_yield());
    async_end;
}

async(selects_what_is_overwritten, async_task parent; async_event *event; async_case cases[2];)
{
    async_begin;
    self->cases[0] = async_case_join(self->parent);
    self->cases[1] = async_case_event(self->event);
    await(async_select(self->cases, 2));
    async_end;
}

async(forgets_who_selects, async_event event;)
{
    async_begin;
    async_spawn(selects_what_is_overwritten, async_spawn(leaves_a_child), &self->event);
    await(async_yield());
    memset(&self->event, 0, sizeof self->event);
    await(async_join_children());
    async_end;
}

async(locks_and_ends, async_mutex *mutex;)
{
    async_begin;
    await(async_mutex_lock(self->mutex));
    async_end;
}

async(locks_after_the_end, async_mutex mutex;)
{
    async_begin;
    await(async_call(locks_and_ends, &self->mutex)); /* it is this task's, which goes on */
    await(async_mutex_unlock(&self->mutex) ? async_sleep(1) : async_yield());
    async_spawn(locks_and_ends, &self->mutex);
    await(async_sleep(1));
    await(async_mutex_lock(&self->mutex));
    async_end;
}

async(locks_after_the_end_of_a_kept_one, async_mutex mutex;)
{
    async_begin;
    async_keep(async_spawn(locks_and_ends, &self->mutex));
    await(async_sleep(1));
    await(async_mutex_lock(&self->mutex));
    async_end;
}

async(opens_a_channel_without_memory, async_channel channel;)
{
    async_begin;
    async_channel_init(&self->channel, NULL, sizeof(int), 4);
    async_end;
}

TEST(panics, come_for_a_channel_without_memory)
{
    test_panics(async_run(opens_a_channel_without_memory),
                "a channel without memory for its items");
}

TEST(panics, come_for_a_mutex_whose_task_has_ended)
{
    test_panics(async_run(locks_after_the_end), "a mutex whose task has ended without unlocking");
    test_panics(async_run(locks_after_the_end_of_a_kept_one),
                "a mutex whose task has ended without unlocking");
}

TEST(panics, come_for_a_post_to_a_loop_that_was_not_shared)
{
    check_equal(async_open(NULL), 0);
    test_panics(async_post(async__current, NULL, NULL), "a post to a loop that async_loop_share");
    check_equal(async_loop_close(), 0);
}

TEST(panics, come_for_a_case_that_nobody_made)
{
    test_panics(async_run(with_pair, NO_CASE), "that no async_case_... has made");
}

TEST(panics, name_what_is_gone_while_a_task_waits_for_it)
{
    static async_event event;
    test_panics(async_run(forgets_who_waits, &event), "that a task waits for is gone");
    test_panics(async_run(forgets_who_selects), "that a task waits for is gone");
}

async(reads_into, char *data;)
{
    async_result r;
    int ends[2];
    async_begin;
    check_equal(async_pipe(ends), 0);
    check_equal(write(ends[1], "x", 1), 1);
    await(r, async_read(ends[0], self->data, 1));
    async_return(r);
    async_end;
}

/* A sanitizer wants more of a thread's stack than is there for the fault to show. */
#if defined __SANITIZE_THREAD__ || ASYNC__ASAN
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static void *reads_below(void *data)
{
    check_equal(async_run(reads_into, (char *)data), 1);
    return NULL;
}

/* Memory that ends where a small stack begins is no stack. */
TEST(panics, do_not_come_for_a_buffer_just_below_the_stack)
{
    enum { BELOW = 4096, STACK = SANITIZED ? 1 << 20 : 65536 };
    char *block = (char *)mmap(NULL, BELOW + STACK, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attributes;
    pthread_t thread;

    check(block != MAP_FAILED);
    check_equal(pthread_attr_init(&attributes), 0);
    check_equal(pthread_attr_setstack(&attributes, block + BELOW, STACK), 0);
    check_equal(pthread_create(&thread, &attributes, reads_below, block + BELOW - 64), 0);
    check_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    munmap(block, BELOW + STACK);
}

async(cancelled_stack_buffer, enum kind kind;)
{
    async_result r;
    char path[8];
    async_task task;
    async_begin;
    memset(path, 0, sizeof path);
    task = 0;
    r = 0;
    async_cancel(async_current_task());
    if (self->kind == READ)
        await(r, async_read(-1, path, sizeof path));
    else if (self->kind == JOIN_ALL)
        await(r, async_join_all(&task, 1));
    else
        await(r, async_connect_unix(path));
    async_return(r);
    async_end;
}

/* On every call: a fault that shows only when the operation has to wait is found too late. */
TEST(panics, come_for_a_stack_buffer_also_where_nothing_is_begun)
{
    test_panics(async_run(cancelled_stack_buffer, READ), STACK_WORDS);
    test_panics(async_run(cancelled_stack_buffer, JOIN_ALL), STACK_WORDS);
    test_panics(async_run(cancelled_stack_buffer, PATH), STACK_WORDS);
}

async(echoes_into, int fd; char *data; size_t size;)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, self->data, self->size));
    check_equal(n, (ssize_t)self->size);
    await(n, async_read(self->fd, self->data, self->size));
    async_return(n);
    async_end;
}

async(buffers_of_main, char *data; int ends[2]; char own[4]; async_task task;)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    self->task = async_spawn(echoes_into, self->ends[0], self->data, 4);
    await(n, async_read(self->ends[1], self->own, 4));
    check_equal(n, 4);
    await(n, async_write(self->ends[1], self->own, 4));
    check_equal(n, 4);
    await(n, async_join(self->task));
    check_equal(n, 4);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* The frame below is that of a function between main and the loop. */
static async_result run_with(char *outer)
{
    char data[4] = "abc";
    check_equal(async_run(buffers_of_main, .data = outer), 0);
    return async_run(buffers_of_main, .data = data);
}

TEST(panics, do_not_come_for_the_buffers_of_who_runs_the_loop)
{
    char data[4] = "xyz";
    static char fixed[4] = "uvw";
    check_equal(run_with(data), 0);
    check_equal(run_with(fixed), 0);
    check_equal(async_open(NULL), 0);
    check(async_spawn(buffers_of_main, .data = data) > 0);
    while (async_loop_run_once(-1) > 0) {
    }
    check_equal(async_loop_close(), 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - State
 * ------------------------------------------------------------------------- */

async(forges, uint32_t line; int turns;)
{
    async_begin;
    self->async_.line = self->line;
    while (self->turns-- > 0) {
        await(async_yield());
        self->async_.line = self->line;
    }
    async_end;
}

async(forges_other, async_frame *frame;)
{
    async_begin;
    await(async_yield());
    self->frame->line = 1;
    await(async_yield());
    await(async_yield());
    async_end;
}

async(is_forged)
{
    async_begin;
    if (async_spawn(forges_other, &self->async_) <= 0)
        async_return(-1);
    for (;;)
        await(async_yield());
    async_end;
}

TEST(panics, come_for_a_state_that_is_none_of_the_coroutine_s)
{
    test_panics(async_run(is_forged), "corrupted state");
    test_panics(async_run(is_forged), AT(is_forged) "1\n");
    check_equal(async_run(forges, .line = 1, .turns = 3), 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - The loop
 * ------------------------------------------------------------------------- */

async(nothing)
{
    async_begin;
    async_end;
}

enum verb { RUN, RUN_ONCE, RUN_NEW };

static void enter(enum verb verb)
{
    if (verb == RUN)
        async_loop_run();
    else if (verb == RUN_ONCE)
        async_loop_run_once(0);
    else
        async_run(nothing);
}

async(enters, enum verb verb;)
{
    async_begin;
    enter(self->verb);
    async_end;
}

static void enters_from_callback(void *data)
{
    enter(*(enum verb *)data);
}

static void run_callback(enum verb verb)
{
    async_open(NULL);
    async_soon(&verb, enters_from_callback);
    async_loop_run();
}

TEST(panics, come_for_a_loop_that_is_run_from_inside_itself)
{
    const char *words = "the loop was run from inside itself";
    test_panics(async_run(enters, RUN), words);
    test_panics(async_run(enters, RUN_ONCE), words);
    test_panics(async_run(enters, RUN_NEW), words);
    test_panics(async_run(enters, RUN), AT(enters));
    test_panics(run_callback(RUN), words);
    test_panics(run_callback(RUN_ONCE), words);
    test_panics(run_callback(RUN_NEW), words);
    test_panics(run_callback(RUN), "outside a coroutine");
}

static void without_loop(int which)
{
    if (which == 0)
        async_loop_run();
    else if (which == 1)
        async_spawn(nothing);
    else if (which == 2)
        async_soon(NULL, NULL);
    else if (which == 3)
        async_adopt(0);
    else if (which == 4)
        async_loop_stop();
    else
        async_dump(stderr);
}

TEST(panics, come_where_no_loop_is_open)
{
    for (int which = 0; which < 6; which++)
        test_panics(without_loop(which), "no loop is open in this thread");
    check_equal(async_open(NULL), 0);
    check_equal(async_loop_close(), 0);
    test_panics(without_loop(0), "no loop is open in this thread");
}

/* ----------------------------------------------------------------------------
 * MARK: - Operations
 * ------------------------------------------------------------------------- */

static async_op forgotten;

async(two_at_once, int waits;)
{
    async_begin;
    if (self->waits)
        forgotten = async_sleep(1000);
    else
        forgotten = async_join(0);
    await(async_yield());
    async_end;
}

async(one_too_many)
{
    async_result r;
    async_begin;
    await(r, (forgotten = async_yield(), async_sleep(1)));
    async_return(r);
    async_end;
}

TEST(panics, come_for_two_operations_at_once)
{
    test_panics(async_run(two_at_once), "two operations at once");
    test_panics(async_run(two_at_once, .waits = 1), "two operations at once");
    test_panics(async_run(two_at_once), AT(two_at_once));
    test_panics(async_run(one_too_many), "two operations at once");
}

async(returns_begun, int waits; int calls;)
{
    async_begin;
    if (self->calls)
        forgotten = async_call(nothing);
    else if (self->waits)
        forgotten = async_sleep(1000);
    else
        forgotten = async_join(0);
    async_end;
}

TEST(panics, come_for_an_operation_that_is_not_awaited)
{
    test_panics(async_run(returns_begun), "not awaited");
    test_panics(async_run(returns_begun, .waits = 1), "not awaited");
    test_panics(async_run(returns_begun, .calls = 1), "not awaited");
    test_panics(async_run(returns_begun), AT(returns_begun));
}

async(limits_too_late)
{
    async_result r;
    async_begin;
    forgotten = async_sleep(1000);
    await(r, forgotten, 10);
    async_return(r);
    async_end;
}

TEST(panics, come_for_a_limit_on_what_has_begun_already)
{
    test_panics(async_run(limits_too_late), "two operations at once");
}

async(calls_and_forgets)
{
    async_begin;
    await(async_yield()); forgotten = async_call(nothing);
    async_return(1);
    async_end;
}

/* The one who forgot is named, not the one who was called, and no line that is none. */
TEST(panics, name_who_forgot_to_await)
{
    test_panics(async_run(returns_begun, .calls = 1), AT(returns_begun));
    test_panics(async_run(returns_begun, .calls = 1), ", before its first await");
    test_panics(async_run(calls_and_forgets), AT(calls_and_forgets));
    test_panics(async_run(calls_and_forgets), ", after its last await");
}

async(returns_plainly, int value; int waits;)
{
    async_begin;
    if (self->waits)
        await(async_yield());
    if (self->value >= 0)
        return self->value;
    async_finally;
    check(!"reached");
    async_end;
}

TEST(panics, come_for_a_plain_return)
{
    for (int value = 0; value < 3; value++) {
        test_panics(async_run(returns_plainly, value), "left by `return`");
        test_panics(async_run(returns_plainly, value, .waits = 1), "left by `return`");
    }
    test_panics(async_run(returns_plainly, .waits = 1), AT(returns_plainly));
}

static void outside(void)
{
    forgotten = async_sleep(1);
}

static void outside_in_callback(void *data)
{
    (void)data;
    outside();
}

static void outside_open_loop(int in_callback)
{
    async_open(NULL);
    if (in_callback) {
        async_soon(NULL, outside_in_callback);
        async_loop_run();
    }
    outside();
}

TEST(panics, come_for_an_operation_outside_a_coroutine)
{
    test_panics(outside_open_loop(0), "an operation was begun outside a coroutine");
    test_panics(outside_open_loop(1), "an operation was begun outside a coroutine");
    test_panics(outside_open_loop(1), "outside a coroutine\n");
    test_panics(outside(), "no loop is open");
}

/* Kept and awaited a second time. */
async(awaits_again)
{
    async_result r;
    async_begin;
    forgotten = async_sleep(1);
    await(r, forgotten);
    await(r, forgotten);
    async_return(r);
    async_end;
}

TEST(panics, come_for_an_operation_that_is_over)
{
    test_panics(async_run(awaits_again), "after its end");
    test_panics(async_run(awaits_again), AT(awaits_again));
}

async(lines)
{
    async_begin;
    await(async_yield());
    forgotten = async_join(0); /* the line that is named is that of the last await */
    async_end;
}

TEST(panics, name_the_line_of_the_last_await)
{
    char words[100];
    snprintf(words, sizeof words, "in lines, %s:%d\n", __FILE__, __LINE__ - 8);
    test_panics(async_run(lines), words);
}

/* The loop reads the one end, which stays open; the threads write to the other. */
static int writing_end;

static async_result closes_the_writing_end(void *unused)
{
    (void)unused;
    check(dup(writing_end) > 0); /* so the reader does not hear of it */
    close(writing_end);
    return 0;
}

async(loses_its_pipe, int ends[2];)
{
    async_begin;
    self->ends[0] = dup(0);
    self->ends[1] = writing_end = dup(0); /* the numbers that the pipe will have */
    close(self->ends[0]);
    close(self->ends[1]);
    await(async_offload(closes_the_writing_end, NULL));
    async_end;
}

REAL_TEST(panics, come_for_a_thread_that_cannot_tell_the_loop, "descriptors of its own")
{
    test_panics(async_run(loses_its_pipe), "its threads cannot reach it");
    test_panics(async_run(loses_its_pipe), "outside a coroutine\n");
}
