/*
 * Other threads: the pool that runs what blocks, and posts to the loop.
 *
 * Real threads on the real kernel, which is why this file has no second run in the simulation.
 * Nothing here depends on how fast they are: what must be at the same time waits for the other, and
 * what must not yet be waits for a word from the test.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "async.h"
#include "test.h"
#include "io.h"

/* ----------------------------------------------------------------------------
 * MARK: - The pool
 * ------------------------------------------------------------------------- */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int at_the_gate, gate_is_open, calls;
static async_loop *tell; /* the loop that is to know when four are at the gate */
static void all_are_there(void *unused);

static void set_gate(int is_open)
{
    pthread_mutex_lock(&lock);
    gate_is_open = is_open;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void reset(void)
{
    at_the_gate = calls = 0;
    tell = NULL;
    set_gate(0);
}

/* Blocks its thread until the gate is open. */
static async_result waits_at_the_gate(void *data)
{
    pthread_mutex_lock(&lock);
    calls++;
    if (++at_the_gate == 4 && tell)
        async_post(tell, NULL, all_are_there);
    while (!gate_is_open)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return *(int *)data;
}

/* Blocks its thread until four are here. */
static async_result waits_for_three_others(void *data)
{
    (void)data;
    pthread_mutex_lock(&lock);
    at_the_gate++;
    pthread_cond_broadcast(&changed);
    while (at_the_gate < 4)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return pthread_equal(*(pthread_t *)data, pthread_self()) ? 0 : 1;
}

async(meets, pthread_t loop_thread; async_result n;)
{
    async_begin;
    self->loop_thread = pthread_self();
    await(self->n, async_offload(waits_for_three_others, &self->loop_thread));
    async_return(self->n);
    async_end;
}

async(four, async_task tasks[4]; int i; async_result n;)
{
    async_begin;
    for (int i = 0; i < 4; i++)
        self->tasks[i] = async_keep(async_spawn(meets));
    for (self->i = 0; self->i < 4; self->i++) {
        await(self->n, async_join(self->tasks[self->i]));
        check_equal(self->n, 1);
    }
    async_end;
}

TEST(offload, runs_four_at_once_and_none_in_the_loops_thread)
{
    reset();
    check_equal(async_run(four), 0);
}

async(blocked, int value; int64_t limit_ms; async_result n; async_result next;)
{
    async_begin;
    await(self->n, async_offload(waits_at_the_gate, &self->value), self->limit_ms);
    if (self->n == -ECANCELED || self->n == -ETIMEDOUT)
        async_return(self->n);
    await(self->next, async_yield());
    async_return(self->next == -ECANCELED ? 1000 + self->n : self->n);
    async_end;
}

static void opens_gate(void *data)
{
    (void)data;
    set_gate(1);
}

static async_event *four_are_there;

static void all_are_there(void *unused)
{
    (void)unused;
    async_event_set(four_are_there);
}

/* Four run, four wait in the queue. Two of these are told to end before the gate opens; one that
 * runs is told too, and waited for. */
async(cancels, async_task tasks[8]; async_event event; int i; async_result n;)
{
    async_begin;
    four_are_there = &self->event;
    tell = async_loop_share();
    for (int i = 0; i < 8; i++)
        self->tasks[i] = async_keep(async_spawn(blocked, i, .limit_ms = i == 6 ? 1 : -1));
    await(async_event_wait(&self->event));
    check_equal(async_cancel(self->tasks[0]), 0);
    check_equal(async_cancel(self->tasks[5]), 0);
    await(self->n, async_join(self->tasks[5]));
    check_equal(self->n, -ECANCELED);
    await(self->n, async_join(self->tasks[6]));
    check_equal(self->n, -ETIMEDOUT);
    check(async_soon(NULL, opens_gate) > 0);
    for (self->i = 0; self->i < 8; self->i++) {
        await(self->n, async_join(self->tasks[self->i]));
        if (self->i != 5 && self->i != 6)
            check_equal(self->n, self->i ? self->i : 1000);
    }
    check_equal(calls, 6);
    async_end;
}

TEST(offload, is_cancelled_while_queued_and_waited_for_while_it_runs)
{
    reset();
    check_equal(async_run(cancels), 0);
}

static int count_in_dump(const char *words)
{
    char text[4000] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    const char *place = text;
    int count = 0;
    async_dump(out);
    fclose(out);
    while ((place = strstr(place, words)) != NULL && place++)
        count++;
    return count;
}

async(is_seen, async_task tasks[5]; async_event event; async_result n;)
{
    async_begin;
    four_are_there = &self->event;
    tell = async_loop_share();
    for (int i = 0; i < 5; i++)
        self->tasks[i] = async_spawn(blocked, 0, -1);
    await(async_event_wait(&self->event));
    check_equal(count_in_dump(": offload, running, for "), 4);
    check_equal(count_in_dump(": offload, queued, for "), 1);
    set_gate(1);
    await(self->n, async_join_all(self->tasks, 5));
    async_end;
}

TEST(offload, is_in_the_dump_queued_or_running)
{
    reset();
    check_equal(async_run(is_seen), 0);
}

/* In a child nobody gives back the lock that a thread of its parent had. */
async(is_seen_by_a_child, async_task task; async_result n;)
{
    pid_t child;
    int status;
    async_begin;
    self->task = async_spawn(blocked, 0, -1);
    await(async_yield());
    await(async_yield());
    pthread_mutex_lock(&async__current->threads->lock);
    child = fork();
    if (child == 0) {
        alarm(10);
        status = count_in_dump(": offload, ") == 1;
        test_save_coverage();
        _exit(!status);
    }
    pthread_mutex_unlock(&async__current->threads->lock);
    set_gate(1);
    check(child > 0);
    check_equal(waitpid(child, &status, 0), child);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    await(self->n, async_join(self->task));
    async_end;
}

TEST(offload, is_in_the_dump_of_a_child)
{
    reset();
    check_equal(async_run(is_seen_by_a_child), 0);
}

static pthread_t handled_by;
static volatile sig_atomic_t handled;

static void handles(int number)
{
    (void)number;
    handled_by = pthread_self();
    handled = 1;
}

/* While the loop's own thread does not take it, nobody does. */
async(signalled, async_task tasks[4]; async_event event; sigset_t all, before; async_result n;)
{
    async_begin;
    four_are_there = &self->event;
    tell = async_loop_share();
    for (int i = 0; i < 4; i++)
        self->tasks[i] = async_spawn(blocked, 3, -1);
    await(async_event_wait(&self->event));
    sigfillset(&self->all);
    check_equal(pthread_sigmask(SIG_BLOCK, &self->all, &self->before), 0);
    check_equal(kill(getpid(), SIGUSR1), 0);
    set_gate(1);
    await(self->n, async_join_all(self->tasks, 4));
    check_equal(handled, 0);
    check_equal(pthread_sigmask(SIG_SETMASK, &self->before, NULL), 0);
    async_end;
}

TEST(offload, leaves_signals_to_the_program)
{
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = handles;
    check_equal(sigaction(SIGUSR1, &action, &before), 0);
    handled = 0;
    reset();
    check_equal(async_run(signalled), 0);
    check_equal(sigaction(SIGUSR1, &before, NULL), 0);
    check(handled);
    check(pthread_equal(handled_by, pthread_self()));
}

async(waits_for_ever, async_event event; async_result n;)
{
    async_begin;
    await(self->n, async_event_wait(&self->event));
    async_end;
}

static async_result opens_the_gate_itself(void *data)
{
    (void)data;
    set_gate(1);
    return -EIO;
}

async(opener, async_result n;)
{
    async_begin;
    await(self->n, async_offload(opens_the_gate_itself, NULL));
    check_equal(self->n, -EIO);
    async_end;
}

TEST(offload, is_waited_for_and_then_the_loop_can_be_stuck)
{
    reset();
    check_equal(async_open(NULL), 0);
    check(async_spawn(blocked, 5, -1) > 0);
    check(async_spawn(opener) > 0);
    check_equal(async_loop_run(), 0);
    check_equal(gate_is_open, 1);
    check(async_spawn(waits_for_ever) > 0);
    check_equal(async_loop_run(), -EDEADLK);
    check_equal(async_loop_close(), 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Posts
 * ------------------------------------------------------------------------- */
enum { POSTERS = 4 };

static struct poster {
    async_loop *loop;
    pthread_t thread;
    int posts, number, seen;
    int is_in_order;
} posters[POSTERS];

static int all_posts, all_seen;

typedef struct letter {
    struct poster *from;
    int number;
} letter;

static void arrives(void *data)
{
    letter *it = (letter *)data;
    struct poster *from = it->from;
    from->is_in_order &= it->number == from->seen;
    from->seen++;
    free(it);
    if (++all_seen == all_posts)
        async_loop_stop();
}

static void *posts(void *argument)
{
    struct poster *poster = (struct poster *)argument;
    for (int i = 0; i < poster->posts; i++) {
        letter *it = (letter *)malloc(sizeof *it);
        if (!it)
            return NULL;
        it->from = poster;
        it->number = i;
        if (async_post(poster->loop, it, arrives) < 0)
            return NULL;
    }
    return poster;
}

static void start_posters(async_loop *loop, int each)
{
    memset(posters, 0, sizeof posters);
    all_posts = POSTERS * each;
    all_seen = 0;
    for (int i = 0; i < POSTERS; i++) {
        posters[i].loop = loop;
        posters[i].posts = each;
        posters[i].is_in_order = 1;
        check_equal(pthread_create(&posters[i].thread, NULL, posts, &posters[i]), 0);
    }
}

static void join_posters(void)
{
    for (int i = 0; i < POSTERS; i++)
        check_equal(pthread_join(posters[i].thread, NULL), 0);
}

TEST(posts, come_all_and_in_their_order)
{
    async_loop *loop;
    check_equal(async_open(NULL), 0);
    loop = async_loop_share();
    check(loop != NULL);
    start_posters(loop, test_is_costly() ? 1000 : 100000);
    check_equal(async_loop_run(), 0);
    join_posters();
    for (int i = 0; i < POSTERS; i++) {
        check_equal(posters[i].seen, posters[i].posts);
        check(posters[i].is_in_order);
    }
    check_equal(async_loop_close(), 0);
}

/* Before the loop runs; and for a loop that never takes them, they are forgotten. */
TEST(posts, wait_for_the_loop)
{
    int64_t timeout_ms;
    check_equal(async_open(NULL), 0);
    start_posters(async_loop_share(), 10);
    join_posters();
    timeout_ms = async_loop_timeout();
    check_equal(timeout_ms, -1); /* its descriptor says so */
    check_equal(async_loop_run(), 0);
    check_equal(all_seen, 10 * POSTERS);
    check_equal(async_post(async_loop_share(), NULL, opens_gate), 0);
    check_equal(async_loop_close(), 0);
}

static void posts_more(void *data)
{
    int *left = (int *)data;
    if (--*left)
        check_equal(async_post(async_loop_share(), left, posts_more), 0);
    else
        async_loop_stop();
}

TEST(posts, may_post)
{
    int left = 100;
    check_equal(async_open(NULL), 0);
    check_equal(async_post(async_loop_share(), &left, posts_more), 0);
    check_equal(async_loop_run(), 0);
    check_equal(left, 0);
    check_equal(async_loop_close(), 0);
}

static async_result returns_at_once(void *data)
{
    (void)data;
    return 0;
}

async(starts_a_thread)
{
    async_begin;
    await(async_offload(returns_at_once, NULL));
    async_end;
}

/* A child has neither the threads nor the lock. */
TEST(posts, leave_a_child_alone_that_closes_the_loop)
{
    check_equal(async_open(NULL), 0);
    check(async_spawn(starts_a_thread) > 0);
    check_equal(async_loop_run(), 0);
    check_equal(in_child(async_loop_close), 0);
    check_equal(async_loop_close(), 0);
}

async(sleeps)
{
    async_begin;
    await(async_sleep(1));
    async_end;
}

/* Nor has it a job that a thread had done and the loop had not taken: that belongs to its task. */
TEST(offload, leaves_a_child_alone_whose_loop_has_a_job_done)
{
    int ends[2];
    async_stream *stream;
    struct pollfd pipe = { .events = POLLIN };
    check_equal(async_open(NULL), 0);
    check_equal(async_pipe(ends), 0);
    stream = async_stream_open(ends[0]);
    check(async_spawn(sleeps) > 0);
    pipe.fd = dup(0); /* the number that the pipe will have */
    close(pipe.fd);
    check(async_spawn(starts_a_thread) > 0);
    check(async_loop_run_once(0) > 0);
    check_equal(poll(&pipe, 1, -1), 1);
    check_equal(in_child(async_loop_close), 0);
    check_equal(async_stream_close(stream), 0);
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_close(), 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - The end of a loop
 * ------------------------------------------------------------------------- */
static async_result seen_at_the_end;

async(offloads_at_the_end, int value; async_result n;)
{
    async_begin;
    await(self->n, async_sleep(1000000));
    async_finally;
    await(self->n, async_offload(returns_at_once, NULL));
    seen_at_the_end = 1 + self->n;
    async_end;
}

static void is_too_late(void *unused)
{
    (void)unused;
    check(!"called");
}

/* Of the loop's callbacks the one for its threads stays. */
async(ends_early)
{
    async_begin;
    async_detach(async_spawn(offloads_at_the_end));
    async_loop_share();
    await(async_yield());
    check(async_soon(NULL, is_too_late) > 0);
    async_end;
}

TEST(offload, is_waited_for_by_a_loop_that_closes)
{
    seen_at_the_end = 0;
    check_equal(async_run(ends_early), 0);
    check_equal(seen_at_the_end, 1);
}

static void *reads_all(void *argument)
{
    static char block[65536];
    int fd = *(int *)argument;
    while (read(fd, block, sizeof block) > 0) {
    }
    close(fd);
    return NULL;
}

/* The loop goes on for what the stream has still to send, and no task is there. */
async(posts_and_ends, pthread_t *reader; int *fd; int ends[2]; async_stream *stream;)
{
    static char block[1 << 20];
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    *self->fd = dup(self->ends[1]);
    async_close(self->ends[1]);
    check_equal(fcntl(*self->fd, F_SETFL, 0), 0);
    self->stream = async_stream_open(self->ends[0]);
    check_equal(async_stream_write(self->stream, block, sizeof block), 0);
    check_equal(async_stream_close(self->stream), 0);
    check_equal(async_post(async_loop_share(), self, is_too_late), 0);
    check_equal(pthread_create(self->reader, NULL, reads_all, self->fd), 0);
    async_end;
}

TEST(posts, are_forgotten_when_the_last_task_has_ended)
{
    pthread_t reader;
    int fd;
    check_equal(async_run(posts_and_ends, .reader = &reader, .fd = &fd), 0);
    check_equal(pthread_join(reader, NULL), 0);
}

/* But while there is one, it may wait for a post. */
async(posts_in_its_finally, async_event never, *came;)
{
    async_begin;
    await(async_event_wait(&self->never));
    async_finally;
    four_are_there = self->came;
    check_equal(async_post(async_loop_share(), NULL, all_are_there), 0);
    await(async_event_wait(self->came));
    async_end;
}

TEST(posts, still_come_while_the_loop_closes)
{
    async_event came = { 0 };
    check_equal(async_open(NULL), 0);
    check(async_spawn(posts_in_its_finally, .came = &came) > 0);
    check_equal(async_loop_run_once(0), 1);
    check_equal(async_loop_close(), 0);
    check(async_event_is_set(&came));
}

static int in_time;

static async_task inherited_task;

static int cancels_and_closes(void)
{
    alarm(10); /* or it would wait for ever */
    check_equal(async_cancel(inherited_task), 0);
    return async_loop_close();
}

/* A thread of the parent's may have the lock as the child comes to be, and never gives it back. */
TEST(offload, of_a_parent_cannot_be_cancelled_by_a_child)
{
    check_equal(async_open(NULL), 0);
    inherited_task = async_spawn(starts_a_thread);
    check(inherited_task > 0);
    check_equal(async_loop_run_once(0), 1);
    pthread_mutex_lock(&async__current->threads->lock);
    check_equal(in_child(cancels_and_closes), 0);
    pthread_mutex_unlock(&async__current->threads->lock);
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_close(), 0);
}

static void counts_posts(void *data)
{
    in_time++;
    if (data)
        async_loop_stop();
}

static int posts_to_the_parents(void)
{
    return async_post(async__current, NULL, counts_posts) != -EPERM;
}

/* A child's posts are refused: they would take the parent's byte. */
TEST(posts, of_a_child_are_refused)
{
    async_loop *loop;
    in_time = 0;
    check_equal(async_open(NULL), 0);
    loop = async_loop_share();
    check_equal(in_child(posts_to_the_parents), 0);
    provokes(async_post, EPERM);
    check_equal(async_post(loop, NULL, counts_posts), 0);
    check_equal(async_post(loop, loop, counts_posts), 0);
    check_equal(async_loop_run(), 0);
    check_equal(in_time, 2);
    check_equal(async_loop_close(), 0);
}
