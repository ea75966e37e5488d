/*
 * Signals: each that catches one hears of it, none is lost between two awaits, and what it did
 * before is back in the end.
 *
 * The signals are real ones in both runs; in the simulated one the pipe that tells the loop is not.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "async.h"
#include "test.h"
#include "io.h"

static volatile int heard;

static void hears(int signo, void *data)
{
    heard += signo == *(int *)data ? 1 : 100;
}

static void (*handler_of(int signo))(int)
{
    struct sigaction now;
    sigaction(signo, NULL, &now);
    return now.sa_handler;
}

async(waits_for, async_handle caught; async_result n;)
{
    async_begin;
    await(self->n, async_signal(self->caught));
    async_return(self->n);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Who hears of it
 * ------------------------------------------------------------------------- */

TASK_TEST(signals, reach_each_task_and_each_callback, async_handle caught[2]; async_task tasks[5];
          int signo; int i; async_result n;)
{
    async_begin;
    heard = 0;
    self->signo = SIGUSR1;
    self->caught[0] = async_catch_signal(SIGUSR1);
    self->caught[1] = async_catch_signal(SIGUSR1);
    check(async_on_signal(SIGUSR1, &self->signo, hears) > 0);
    check(async_on_signal(SIGUSR2, &self->signo, hears) > 0);
    for (self->i = 0; self->i < 5; self->i++)
        self->tasks[self->i] = async_keep(
            async_spawn(waits_for, .caught = self->caught[self->i % 2]));
    await(async_yield());
    raise(SIGUSR1);
    for (self->i = 0; self->i < 5; self->i++) {
        await(self->n, async_join(self->tasks[self->i]), 10000);
        check_equal(self->n, SIGUSR1);
    }
    check_equal(heard, 1);
    async_end;
}

/* All that came before has been told of when this returns. */
async(hears_another, async_handle caught; async_result n;)
{
    async_begin;
    self->caught = async_catch_signal(SIGUSR2);
    raise(SIGUSR2);
    await(self->n, async_signal(self->caught), 10000);
    check_equal(self->n, SIGUSR2);
    async_cancel(self->caught);
    async_end;
}

TASK_TEST(signals, between_two_awaits_are_kept_as_one, async_handle caught; async_result n;)
{
    async_begin;
    self->caught = async_catch_signal(SIGTERM);
    raise(SIGTERM);
    raise(SIGTERM);
    await(self->n, async_call(hears_another));
    raise(SIGTERM);
    await(self->n, async_call(hears_another));
    await(self->n, async_signal(self->caught), 0);
    check_equal(self->n, SIGTERM);
    await(self->n, async_signal(self->caught), 0);
    check_equal(self->n, -ETIMEDOUT);
    raise(SIGTERM);
    await(self->n, async_signal(self->caught), 10000);
    check_equal(self->n, SIGTERM);
    async_end;
}

TASK_TEST(signals, are_caught_though_they_were_blocked, async_handle caught; sigset_t before;
          async_result n;)
{
    sigset_t set;
    async_begin;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &self->before);
    self->caught = async_catch_signal(SIGUSR1);
    raise(SIGUSR1);
    await(self->n, async_signal(self->caught), 10000);
    check_equal(self->n, SIGUSR1);
    sigprocmask(SIG_SETMASK, &self->before, NULL);
    async_end;
}

async(reads_a_byte, int fd; char byte; char *log; async_result n;)
{
    async_begin;
    await(self->n, async_read(self->fd, &self->byte, 1));
    strcat(self->log, "r");
    async_end;
}

async(logs_a_signal, async_handle caught; char *log; async_result n;)
{
    async_begin;
    await(self->n, async_signal(self->caught));
    strcat(self->log, "s");
    async_end;
}

TASK_TEST(signals, come_after_what_became_ready_with_them, async_handle caught; int ends[2];
          char log[4]; async_task tasks[2]; async_result n;)
{
    async_begin;
    self->caught = async_catch_signal(SIGUSR1);
    check_equal(async_pipe(self->ends), 0);
    self->tasks[0] = async_spawn(logs_a_signal, .caught = self->caught, .log = self->log);
    self->tasks[1] = async_spawn(reads_a_byte, .fd = self->ends[0], .log = self->log);
    await(async_yield());
    await(async_yield());
    raise(SIGUSR1);
    await(self->n, async_write(self->ends[1], "x", 1));
    await(self->n, async_join_all(self->tasks, 2));
    check_text(self->log, "rs");
    async_end;
}

TASK_TEST(signals, can_be_selected, async_handle caught[2]; async_case cases[3]; async_event never;
          async_result n;)
{
    async_begin;
    self->caught[0] = async_catch_signal(SIGINT);
    self->caught[1] = async_catch_signal(SIGTERM);
    self->cases[0] = async_case_event(&self->never);
    self->cases[1] = async_case_signal(self->caught[0]);
    self->cases[2] = async_case_signal(self->caught[1]);
    await(self->n, async_select(self->cases, 3), 0);
    check_equal(self->n, -ETIMEDOUT);
    raise(SIGTERM);
    raise(SIGINT);
    await(self->n, async_select(self->cases, 3), 10000);
    check_equal(self->n, 1);
    check_equal(self->cases[1].result, SIGINT);
    await(self->n, async_select(self->cases, 3), 10000);
    check_equal(self->n, 2);
    check_equal(self->cases[2].result, SIGTERM);
    raise(SIGTERM);
    raise(SIGINT);
    await(self->n, async_call(hears_another));
    await(self->n, async_select(self->cases, 3), 0);
    check_equal(self->n, 1);
    await(self->n, async_select(self->cases, 3), 0);
    check_equal(self->n, 2);
    async_end;
}

TASK_TEST(signals, are_kept_where_a_wait_was_cut_short, async_handle caught; async_task task;
          async_result n;)
{
    async_begin;
    self->caught = async_catch_signal(SIGUSR1);
    self->task = async_keep(async_spawn(waits_for, .caught = self->caught));
    await(async_yield());
    async_cancel(self->task);
    raise(SIGUSR1);
    await(self->n, async_join(self->task));
    check_equal(self->n, -ECANCELED);
    await(self->n, async_call(hears_another));
    await(self->n, async_signal(self->caught), 0);
    check_equal(self->n, SIGUSR1);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Callbacks
 * ------------------------------------------------------------------------- */
static async_handle three[3];
static int calls[3];

/* The first lets go of itself and of the second, which was to be called next. */
static void first_lets_go(int signo, void *data)
{
    int which = *(int *)data;
    check_equal(signo, SIGUSR1);
    calls[which]++;
    if (which == 0) {
        check_equal(async_cancel(three[0]), 0);
        check_equal(async_cancel(three[0]), -ESRCH);
        check_equal(async_cancel(three[1]), 0);
    }
}

TEST(signals, may_be_let_go_in_their_callback)
{
    static int which[3] = { 0, 1, 2 };
    int i;
    check_equal(async_open(NULL), 0);
    memset(calls, 0, sizeof calls);
    for (i = 0; i < 3; i++)
        three[i] = async_on_signal(SIGUSR1, &which[i], first_lets_go);
    raise(SIGUSR1);
    while (async_loop_run_once(0) > 0) {
    }
    check_equal(calls[0], 1);
    check_equal(calls[1], 0);
    check_equal(calls[2], 1);
    check_equal(async_loop_close(), 0);
}

static void raises_again(int signo, void *data)
{
    int *count = (int *)data;
    if (++*count < 5)
        raise(signo);
    else
        async_loop_stop();
}

TEST(signals, raised_in_their_callback_come_again)
{
    int count = 0;
    check_equal(async_open(NULL), 0);
    check(async_on_signal(SIGUSR1, &count, raises_again) > 0);
    raise(SIGUSR1);
    check_equal(async_loop_run(), 0);
    check_equal(count, 5);
    check_equal(async_loop_close(), 0);
}

TEST(signals, keep_the_loop_waiting)
{
    async_handle caught;
    check_equal(async_open(NULL), 0);
    caught = async_catch_signal(SIGUSR1);
    check(async_spawn(waits_for, .caught = caught) > 0);
    check_equal(async_loop_run_once(0), 1);
    check_equal(async_loop_run_once(0), 0);
    check_equal(async_loop_timeout(), -1);
    check_equal(async_cancel(caught), 0);
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_close(), 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Letting go
 * ------------------------------------------------------------------------- */

static void an_old_handler(int signo)
{
    heard += signo;
}

TEST(signals, do_again_what_they_did)
{
    async_handle first, second;
    signal(SIGUSR1, an_old_handler);
    signal(SIGHUP, SIG_IGN);
    check_equal(async_open(NULL), 0);
    first = async_catch_signal(SIGUSR1);
    second = async_catch_signal(SIGUSR1);
    check(async_catch_signal(SIGHUP) > 0);
    check(handler_of(SIGHUP) != SIG_IGN);
    check_equal(async_cancel(first), 0);
    check(handler_of(SIGUSR1) != an_old_handler);
    check_equal(async_cancel(second), 0);
    check(handler_of(SIGUSR1) == an_old_handler);
    heard = 0;
    raise(SIGUSR1);
    check_equal(heard, SIGUSR1);
    check(async_catch_signal(SIGUSR1) > 0);
    check_equal(async_loop_close(), 0);
    check(handler_of(SIGUSR1) == an_old_handler);
    check(handler_of(SIGHUP) == SIG_IGN);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
}

TASK_TEST(signals, that_were_not_taken_go_with_the_handle, async_handle caught; async_result n;)
{
    async_begin;
    self->caught = async_catch_signal(SIGUSR1);
    raise(SIGUSR1);
    check_equal(async_cancel(self->caught), 0);
    self->caught = async_catch_signal(SIGUSR1);
    await(self->n, async_call(hears_another));
    await(self->n, async_signal(self->caught), 0);
    check_equal(self->n, -ETIMEDOUT);
    raise(SIGUSR1);
    check(async_catch_signal(SIGUSR1) > 0); /* and the first one's is not lost by a second one */
    await(self->n, async_signal(self->caught), 10000);
    check_equal(self->n, SIGUSR1);
    async_end;
}

TASK_TEST(signals, end_the_wait_with_their_handle, async_handle caught; async_task tasks[2]; int i;
          async_result n;)
{
    async_begin;
    self->caught = async_catch_signal(SIGUSR1);
    for (self->i = 0; self->i < 2; self->i++)
        self->tasks[self->i] = async_keep(async_spawn(waits_for, .caught = self->caught));
    await(async_yield());
    check_equal(async_cancel(self->caught), 0);
    for (self->i = 0; self->i < 2; self->i++) {
        await(self->n, async_join(self->tasks[self->i]));
        check_equal(self->n, -ESRCH);
    }
    await(self->n, async_signal(self->caught));
    check_equal(self->n, -ESRCH);
    async_end;
}

async(waits_in_its_finally, async_handle caught; async_event never; async_result *heard;)
{
    async_begin;
    await(async_event_wait(&self->never));
    async_finally;
    raise(SIGUSR1);
    await(*self->heard, async_signal(self->caught));
    async_end;
}

TEST(signals, still_come_while_the_loop_closes)
{
    async_result result = 0;
    check_equal(async_open(NULL), 0);
    check(async_spawn(waits_in_its_finally, .caught = async_catch_signal(SIGUSR1),
                      .heard = &result) > 0);
    check_equal(async_loop_run_once(0), 1);
    check_equal(async_loop_close(), 0);
    check_equal(result, SIGUSR1);
}

/* Of a signal that comes when it has ended, a task's callback must not hear: its data is gone. */
async(hears_until_its_end, async_handle caught; int signo; async_result *heard;)
{
    async_begin;
    self->signo = SIGUSR1;
    self->caught = async_catch_signal(SIGUSR1);
    check(async_on_signal(SIGUSR1, &self->signo, hears) > 0);
    async_detach(async_spawn(waits_in_its_finally, .caught = self->caught, .heard = self->heard));
    await(async_yield());
    async_end;
}

TEST(signals, are_not_told_to_callbacks_while_the_loop_closes)
{
    async_result result = 0;
    heard = 0;
    check_equal(async_run(hears_until_its_end, .heard = &result), 0);
    check_equal(result, SIGUSR1);
    check_equal(heard, 0);
}

async(hears_in_its_finally, async_handle caught; int signo; async_event never; async_result n;)
{
    async_begin;
    await(async_event_wait(&self->never));
    async_finally;
    self->signo = SIGUSR1;
    self->caught = async_on_signal(SIGUSR1, &self->signo, hears);
    raise(SIGUSR1);
    await(self->n, async_call(hears_another));
    async_cancel(self->caught);
    async_end;
}

/* The one task begins, and the loop closes. Returns how often callbacks heard meanwhile. */
static int heard_by_the_end(void)
{
    heard = 0;
    check_equal(async_loop_run_once(0), 1);
    check_equal(async_loop_close(), 0);
    return (int)heard;
}

TEST(signals, are_told_to_callbacks_that_are_made_while_the_loop_closes)
{
    check_equal(async_open(NULL), 0);
    check(async_spawn(hears_in_its_finally) > 0);
    check_equal(heard_by_the_end(), 1);
}

/* An older callback hears of nothing any more: it is no reason to wait. */
async(waits_for_what_an_older_one_does, async_event never;)
{
    async_begin;
    await(async_event_wait(&self->never));
    async_finally;
    await(async_event_wait(&self->never));
    async_end;
}

static void opens_with_an_older_callback(void)
{
    static int signo = SIGUSR1;
    check_equal(async_open(NULL), 0);
    check(async_on_signal(SIGUSR1, &signo, hears) > 0);
}

TEST(signals, that_only_older_callbacks_catch_do_not_keep_a_loop_that_closes)
{
    opens_with_an_older_callback();
    check(async_spawn(waits_for_what_an_older_one_does) > 0);
    check_equal(heard_by_the_end(), 0);
}

TEST(signals, are_told_to_callbacks_made_while_the_loop_closes_beside_older_ones)
{
    opens_with_an_older_callback();
    check(async_spawn(hears_in_its_finally) > 0);
    check_equal(heard_by_the_end(), 1);
}

/* The older ones can be cancelled, too: the last of them as well as the first. */
async(cancels_the_older_ones, async_event never; async_handle older[2];)
{
    async_begin;
    self->older[0] = async_on_signal(SIGUSR1, self, hears);
    self->older[1] = async_on_signal(SIGUSR2, self, hears);
    await(async_event_wait(&self->never));
    async_finally;
    check_equal(async_cancel(self->older[0]), 0);
    check_equal(async_cancel(self->older[1]), 0);
    check_equal(async_cancel(self->older[1]), -ESRCH);
    async_end;
}

TEST(signals, that_older_callbacks_catch_can_be_left_while_the_loop_closes)
{
    check_equal(async_open(NULL), 0);
    check(async_spawn(cancels_the_older_ones) > 0);
    check_equal(heard_by_the_end(), 0);
}

/* Another catch that goes meanwhile takes nothing from it. */
static void sets(int signo, void *event)
{
    (void)signo;
    async_event_set((async_event *)event);
}

async(drops_another_in_its_finally, async_event never; async_event came; async_result *heard;)
{
    async_begin;
    await(async_event_wait(&self->never));
    async_finally;
    check(async_on_signal(SIGUSR1, &self->came, sets) > 0);
    async_cancel(async_catch_signal(SIGUSR2));
    raise(SIGUSR1);
    await(*self->heard, async_event_wait(&self->came), 5000);
    async_end;
}

TEST(signals, are_told_while_the_loop_closes_when_another_is_not_caught_any_more)
{
    async_result result = -1;
    check_equal(async_open(NULL), 0);
    check(async_spawn(drops_another_in_its_finally, .heard = &result) > 0);
    check_equal(heard_by_the_end(), 0);
    check_equal(result, 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Misuse and failures
 * ------------------------------------------------------------------------- */

async(awaits_a_number, async_result n;)
{
    async_begin;
    await(self->n, async_signal(SIGHUP));
    async_end;
}

TASK_TEST(signals, that_cannot_be_caught, async_handle caught; async_result n;)
{
    static const int numbers[] = { -1, 0, 65, 1000, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE,
                                   SIGILL };
    async_begin;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        check_error(async_catch_signal, EINVAL, async_catch_signal(numbers[i]));
    await(self->n, async_signal(async_catch_signal(SIGKILL)));
    check_equal(self->n, -EINVAL);
    await(self->n, async_signal(async_soon(&self->n, NULL)));
    check_error(async_signal, ESRCH, self->n);
    self->caught = async_on_signal(SIGUSR1, &self->n, hears);
    await(self->n, async_signal(self->caught)); /* the callback has them */
    check_error(async_signal, ESRCH, self->n);
    async_return(0);
    async_end;
}

REAL_TEST(signals, are_awaited_by_handle, "a panic")
{
    test_panics(async_run(awaits_a_number), "a signal's number, where the handle");
}

REAL_TEST(signals, survive_that_there_is_no_descriptor, "the system's limit")
{
    struct rlimit before, none;
    check_equal(async_open(NULL), 0);
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = (rlim_t)lowest_free();
    setrlimit(RLIMIT_NOFILE, &none);
    check_error(async_catch_signal, EMFILE, async_catch_signal(SIGUSR1));
    setrlimit(RLIMIT_NOFILE, &before);
    check(handler_of(SIGUSR1) == SIG_DFL);
    check_equal(async_loop_close(), 0);
}

/* The pipe is full, so the handler meets an error. */
TEST(signals, leave_errno_alone)
{
    static const char block[65536];
    check_equal(async_open(NULL), 0);
    check(async_catch_signal(SIGUSR1) > 0);
    while (write(async__current->signals->ends[1], block, sizeof block) > 0) {
    }
    check_equal(errno, EAGAIN);
    errno = 77;
    raise(SIGUSR1);
    check_equal(errno, 77);
    check_equal(async_loop_close(), 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Processes and threads
 * ------------------------------------------------------------------------- */

static async_handle of_the_parent;

/* Until the child's own loop, signals do nothing; then they are its own. */
static int signals_itself(void)
{
    async_handle caught;
    raise(SIGUSR1);
    check_error(async_catch_signal, EPERM, async_catch_signal(SIGUSR2));
    check_equal(async_open(NULL), 0);
    caught = async_catch_signal(SIGUSR1);
    raise(SIGUSR1);
    async_spawn(waits_for, .caught = caught);
    if (async_loop_run_once(10000) < 1 || async_loop_run_once(10000) < 1)
        return 3;
    async_loop_close();
    return handler_of(SIGUSR1) == SIG_DFL ? 0 : 4;
}

/* The loop that caught it is another thread's: this one has none to close. */
static int is_ended_by_it(void)
{
    check_equal(async_open(NULL), 0);
    raise(SIGUSR1);
    return 1;
}

static int does_not_catch_it(void)
{
    check_equal(async_open(NULL), 0);
    check(handler_of(SIGUSR1) == SIG_DFL);
    check_equal(async_loop_close(), 0);
    return 0;
}

static sem_t is_caught, may_end;
static async_loop *volatile the_threads; /* where Valgrind finds it in a child */

static void *catches_until_told(void *unused)
{
    check_equal(async_open(NULL), 0);
    the_threads = async__current;
    check(async_catch_signal(SIGUSR1) > 0);
    sem_post(&is_caught);
    sem_wait(&may_end);
    check_equal(async_loop_close(), 0);
    return unused;
}

REAL_TEST(signals, of_another_thread_are_not_caught_in_a_child_s_loop, "processes")
{
    pthread_t thread;
    sem_init(&is_caught, 0, 0);
    sem_init(&may_end, 0, 0);
    check_equal(pthread_create(&thread, NULL, catches_until_told, NULL), 0);
    sem_wait(&is_caught);
    check_equal(in_child(does_not_catch_it), 0);
    check_equal(in_child(is_ended_by_it), 1000 + SIGUSR1);
    check(handler_of(SIGUSR1) != SIG_DFL);
    sem_post(&may_end);
    check_equal(pthread_join(thread, NULL), 0);
    check(handler_of(SIGUSR1) == SIG_DFL);
}

static int lets_go(void)
{
    return async_cancel(of_the_parent) == 0 && handler_of(SIGUSR1) == SIG_DFL ? 0 : 1;
}

REAL_TASK_TEST(signals, of_a_child_are_not_the_parents, "processes", async_result n;)
{
    async_begin;
    of_the_parent = async_catch_signal(SIGUSR1);
    check_equal(in_child(signals_itself), 0);
    check_equal(in_child(lets_go), 0);
    await(self->n, async_call(hears_another));
    await(self->n, async_signal(of_the_parent), 0);
    check_equal(self->n, -ETIMEDOUT);
    check_equal(handler_of(SIGUSR1) == SIG_DFL, 0);
    raise(SIGUSR1);
    await(self->n, async_signal(of_the_parent), 10000);
    check_equal(self->n, SIGUSR1);
    async_end;
}

static int is_as_before(void)
{
    raise(SIGUSR1); /* does nothing, above all not to the parent */
    check_equal(async_open(NULL), 0);
    check(handler_of(SIGUSR1) == SIG_DFL);
    return async_loop_close();
}

REAL_TEST(signals, are_given_back_by_a_child_that_opens_a_loop, "processes")
{
    check_equal(async_open(NULL), 0);
    check(async_catch_signal(SIGUSR1) > 0);
    check_equal(in_child(is_as_before), 0);
    check_equal(async_loop_run_once(0), 0);
    check(handler_of(SIGUSR1) != SIG_DFL);
    check_equal(async_loop_close(), 0);
}

static int opens_its_own(void)
{
    check_equal(async_open(NULL), 0);
    return handler_of(SIGUSR1) == SIG_DFL ? 0 : 1;
}

REAL_TASK_TEST(signals, are_given_back_by_a_loop_in_a_forked_task, "processes", async_result n;)
{
    async_begin;
    of_the_parent = async_catch_signal(SIGUSR1);
    check_equal(in_child(opens_its_own), 0);
    raise(SIGUSR1);
    await(self->n, async_signal(of_the_parent), 10000);
    check_equal(self->n, SIGUSR1);
    async_end;
}

/* A child sends many, and counts them where both can see. There is a report after the last. */
REAL_TASK_TEST(signals, in_a_flood_are_reported_after_the_last, "another process sends them",
               async_handle caught; int *sent; int all; pid_t child; async_result n;)
{
    async_begin;
    self->all = test_is_costly() ? 2000 : 100000;
    self->sent = (int *)mmap(NULL, sizeof *self->sent, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    self->caught = async_catch_signal(SIGUSR1);
    self->child = fork();
    if (!self->child) {
        while (__atomic_add_fetch(self->sent, 1, __ATOMIC_SEQ_CST) < self->all)
            kill(getppid(), SIGUSR1);
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    do
        await(self->n, async_signal(self->caught));
    while (__atomic_load_n(self->sent, __ATOMIC_SEQ_CST) < self->all && self->n == SIGUSR1);
    check_equal(self->n, SIGUSR1);
    while (waitpid(self->child, NULL, 0) < 0) {
    }
    munmap(self->sent, sizeof *self->sent);
    async_end;
}

static int catching; /* threads that do */

async(one_loop, async_handle caught; async_result n;)
{
    async_begin;
    self->caught = async_catch_signal(SIGUSR1);
    __atomic_add_fetch(&catching, 1, __ATOMIC_SEQ_CST);
    await(self->n, async_signal(self->caught));
    async_return(self->n);
    async_end;
}

static void *runs_a_loop(void *result)
{
    *(async_result *)result = async_run(one_loop);
    return NULL;
}

REAL_TEST(signals, reach_the_loops_of_all_threads, "threads")
{
    pthread_t threads[4];
    async_result results[4];
    int i;
    catching = 0;
    for (i = 0; i < 4; i++)
        check_equal(pthread_create(&threads[i], NULL, runs_a_loop, &results[i]), 0);
    while (__atomic_load_n(&catching, __ATOMIC_SEQ_CST) < 4)
        poll(NULL, 0, 1);
    raise(SIGUSR1);
    for (i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        check_equal(results[i], SIGUSR1);
    }
    check(handler_of(SIGUSR1) == SIG_DFL);
}

static void *opens_and_closes(void *unused)
{
    int i, count = test_is_costly() ? 20 : 300;
    (void)unused;
    for (i = 0; i < count; i++) {
        check_equal(async_open(NULL), 0);
        check(async_catch_signal(SIGUSR1) > 0);
        raise(SIGUSR1);
        check_equal(async_loop_close(), 0);
    }
    __atomic_sub_fetch(&catching, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* Loops come and go while handlers in other threads look at them. */
REAL_TEST(signals, may_come_while_loops_close, "threads")
{
    pthread_t threads[3];
    int i;
    signal(SIGUSR1, an_old_handler);
    catching = 3;
    for (i = 0; i < 3; i++)
        check_equal(pthread_create(&threads[i], NULL, opens_and_closes, NULL), 0);
    while (__atomic_load_n(&catching, __ATOMIC_SEQ_CST) > 0)
        raise(SIGUSR1);
    for (i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    check(handler_of(SIGUSR1) == an_old_handler);
    signal(SIGUSR1, SIG_DFL);
}
