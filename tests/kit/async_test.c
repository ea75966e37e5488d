/*
 * async_test.c: runs bodies in worlds, judges each world, and says what was wrong.
 *
 * Method. A world is calm, or draws its faults from its seed; torture fails one call after the
 * other. The seam tells of each event of the scheduler: a SHADOW of each task is kept beside the
 * loop's own record, and what the loop does is compared with what it should. Before each wait that
 * lets time pass, every waiter is looked at by brute force: whoever could go on must not wait.
 * After each world nothing may be left.
 */
/* For the linker: async_test.h says why, where it gives the pointer another name. */
int async__current = 0;

#include "async_sim.h"
#include "errnos.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#ifndef ASYNC_TEST_PLAIN
#include <criterion/event.h>
#include <criterion/hooks.h>
#endif

#if defined __has_include
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#ifndef VALGRIND_COUNT_ERRORS
#define VALGRIND_COUNT_ERRORS 0
#define VALGRIND_DO_ADDED_LEAK_CHECK ((void)0)
#define VALGRIND_COUNT_LEAKS(a, b, c, d) ((void)((a) = (b) = (c) = (d) = 0))
#define RUNNING_ON_VALGRIND 0
#endif

#define MS INT64_C(1000000)

/* How a process ends that a test has cut short. */
enum { CHILD_FAILED = 122, ENDED_EARLY = 123, STUCK = 124 };

/* Which world. */
struct plan {
    uint64_t seed;
    int backend; /* index into backends[] */
    long fail_call, fail_allocation;
    int fail_errno;
    bool for_ever, real;
};

static const char *const backends[] = { "poll", "epoll", "kqueue" };

static const async_test_case *current; /* NULL: between tests */
static struct plan plan;
static pid_t owner;

/* ----------------------------------------------------------------------------
 * MARK: - What a test did, for the sums over all of them
 * ------------------------------------------------------------------------- */
enum { CALLS_COUNTED = 4096 };

static struct {
    long worlds, tortured, real;
    long fired[SIM_FAULTS];
    long by_calls[CALLS_COUNTED + 1]; /* worlds with so many calls */
} sums;

/* Call sites of async.h in which an errno was injected. */
struct site {
    const char *function;
    int line, call, error;
    long count;
};
static struct site *sites;
static size_t site_count, site_room;

static void count_site(void)
{
    size_t i;
    if (!sim.failed_function)
        return;
    for (i = 0; i < site_count; i++)
        if (sites[i].line == sim.failed_line && sites[i].call == sim.failed_call &&
            sites[i].error == plan.fail_errno)
            break;
    if (i == site_count) {
        if (site_count == site_room) {
            site_room = site_room ? site_room * 2 : 256;
            sites = realloc(sites, site_room * sizeof *sites);
        }
        sites[site_count].function = sim.failed_function;
        sites[site_count].line = sim.failed_line;
        sites[site_count].call = sim.failed_call;
        sites[site_count].error = plan.fail_errno;
        sites[site_count++].count = 0;
    }
    sites[i].count++;
}

static void count_world(void)
{
    sums.worlds++;
    sums.by_calls[sim.calls < CALLS_COUNTED ? sim.calls : CALLS_COUNTED]++;
    for (int fault = 0; fault < SIM_FAULTS; fault++)
        sums.fired[fault] += sim.fired[fault];
    count_site();
}

/* A line each, tab-separated, added in one write so that tests may run side by side. */
static void write_stats(void)
{
    const char *path = getenv("ASYNC_STATS");
    FILE *out = path && *path ? fopen(path, "a") : NULL;
    static char buffer[1 << 20];
    if (!out)
        return;
    setvbuf(out, buffer, _IOFBF, sizeof buffer);
    fprintf(out, "test\t%s::%s\t%ld\t%ld\t%ld\n", current->suite, current->name, sums.worlds,
            sums.tortured, sums.real);
    for (int fault = 0; fault < SIM_FAULTS; fault++)
        fprintf(out, "fault\t%s\t%ld\n", sim_fault_name(fault), sums.fired[fault]);
    for (int calls = 0; calls <= CALLS_COUNTED; calls++)
        if (sums.by_calls[calls])
            fprintf(out, "calls\t%d\t%ld\n", calls, sums.by_calls[calls]);
    for (size_t i = 0; i < site_count; i++)
        fprintf(out, "site\t%s\t%d\t%s\t%d\t%ld\n", sites[i].function, sites[i].line,
                sim_call_name(sites[i].call), sites[i].error, sites[i].count);
    fclose(out);
}

/* ----------------------------------------------------------------------------
 * MARK: - Saying what was wrong
 * ------------------------------------------------------------------------- */
static char replay[512];

static const char *executable(void)
{
    static char path[256];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    char here[200];
    size_t size;
    if (n <= 0)
        return "./tests";
    path[n] = '\0';
    if (!getcwd(here, sizeof here))
        return path;
    size = strlen(here);
    if (strncmp(path, here, size) != 0 || path[size] != '/')
        return path;
    path[--size] = '.';
    return path + size;
}

/* What Valgrind has found is found again under Valgrind. */
static const char *program(void)
{
    static char command[320];
    snprintf(command, sizeof command, "%s%s",
             RUNNING_ON_VALGRIND ? "valgrind -q --trace-children=yes --error-exitcode=99 " : "",
             executable());
    return command;
}

/* What has to be run again: one world; one seed, on each backend; the whole test. */
enum { ONE_WORLD, ONE_SEED, WHOLE_TEST };

static void write_replay(int what)
{
    if (sim.bytes)
        snprintf(replay, sizeof replay, "[async] replay: %s FILE, the one that the fuzzer writes "
                 "now\n", program());
    else if (what == WHOLE_TEST)
        snprintf(replay, sizeof replay, "[async] replay: %s --filter %s/%s\n", program(),
                 current->suite, current->name);
    else if (what == ONE_SEED)
        snprintf(replay, sizeof replay, "[async] replay: ASYNC_SEED=0x%llx %s --filter %s/%s\n",
                 (unsigned long long)plan.seed, program(), current->suite, current->name);
    else if (plan.real)
        snprintf(replay, sizeof replay, "[async] replay (on the real kernel): ASYNC_BACKENDS=%s %s "
                 "--filter %s/%s\n", backends[plan.backend], program(), current->suite,
                 current->name);
    else
        snprintf(replay, sizeof replay,
                 "[async] replay: ASYNC_BACKEND=%s ASYNC_SEED=0x%llx ASYNC_FAIL_CALL=%ld:%d "
                 "ASYNC_FAIL_ALLOC=%ld%s %s --filter %s/%s\n", backends[plan.backend],
                 (unsigned long long)plan.seed, plan.fail_call, plan.fail_errno,
                 plan.fail_allocation, plan.for_ever ? "+" : "", program(), current->suite,
                 current->name);
}

static void show_event(const struct sim_event *event, int64_t start_ns)
{
    fprintf(stderr, "  %11.6f ms  ", (double)(event->ns - start_ns) / 1e6);
    if (event->task)
        fprintf(stderr, "task %-3u ", (unsigned)event->task);
    else
        fprintf(stderr, "%-9s", "");
    fprintf(stderr, "%s", event->what);
    if (event->fd >= 0)
        fprintf(stderr, "(%d)", event->fd);
    if (event->error)
        fprintf(stderr, " = %ld %s", event->result, strerror(event->error));
    else if (event->function || event->result)
        fprintf(stderr, " = %ld", event->result);
    if (event->function)
        fprintf(stderr, "   in %s:%d", event->function, event->line);
    fprintf(stderr, "\n");
}

static void show_timeline(void)
{
    long first = sim.event_count > SIM_SHOWN ? sim.event_count - SIM_SHOWN : 0;
    const struct sim_event *start = &sim.events[(sim.event_count > SIM_EVENTS ? first : 0) %
                                                SIM_EVENTS];
    fprintf(stderr, "the last events:\n");
    for (long i = first; i < sim.event_count; i++)
        show_event(&sim.events[i % SIM_EVENTS], start->ns);
}

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

/* What the test says for its reader, first of all and once; also from a signal handler. */
static void say_what(void)
{
    static bool is_said;
    if (is_said || !current || !current->options.says)
        return;
    is_said = true;
    say("  x ");
    say(current->options.says);
    say("\n");
}

static bool is_shown;

/* The tree, the last events, the replay line: once. */
static void show_world(void)
{
    if (is_shown || !current)
        return;
    is_shown = true;
    say_what();
    if (sim.running && async__current)
        async_dump(stderr);
    if (sim.running)
        show_timeline();
    fputs(replay, stderr);
}

/* What is the fuzzer's, or the driver's, and what Criterion's. */
__attribute__((noreturn)) static void end_failed(const char *file, int line, const char *message);

void async_test_fail(const char *file, int line, const char *format, ...)
{
    static char message[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    say_what();
    fprintf(stderr, "[FAIL] %s::%s  %s\n", current ? current->suite : "?",
            current ? current->name : "?", message);
    if (current && owner != getpid()) /* a child of the body: its parent asks how it ended */
        _exit(CHILD_FAILED);
    show_world();
    end_failed(file, line, message);
}

void async_test_wrong(const char *format, ...)
{
    char message[800];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    async_test_fail(current->file, current->line, "%s", message);
}

void async_test_panic(const char *text)
{
    size_t size = strlen(text);
    if (current && owner != getpid()) { /* a child of the body, which may be there to see it */
        fputs(text, stderr);
        fflush(stderr);
        abort();
    }
    async_test_wrong("%.*s", (int)(size ? size - 1 : 0), text);
}

void async_test_warn(const char *text)
{
    (void)text;
    sim_note("warning", -1, 0, 0);
}

void async_test_error(const char *file, int line, const char *text, async_result result)
{
    if (!sim.shows_errors)
        async_test_fail(file, line, "%s is %ld (%s), and nothing was done to deserve it", text,
                        (long)result, strerror((int)-result));
}

/* ----------------------------------------------------------------------------
 * MARK: - The shadow of each task
 * ------------------------------------------------------------------------- */
enum { ABSENT, READY, RUNNING, WAITING, DONE };

struct shadow {
    bool has_run;
    int state, op;
    int64_t deadline_ns; /* of a sleep */
    long ready_turn, wakes;
};
static struct shadow *shadows;
static uint32_t shadow_count;
static long turns, most_alive, turn_calls, never_ran;

static struct shadow *shadow_of(uint32_t slot)
{
    if (slot >= shadow_count) {
        uint32_t count = slot * 2 + 64;
        shadows = realloc(shadows, count * sizeof *shadows);
        memset(shadows + shadow_count, 0, (count - shadow_count) * sizeof *shadows);
        shadow_count = count;
    }
    return &shadows[slot];
}

static const char *op_name(const async__task *task)
{
    return async__op_name(task->item.op);
}

/* "pong, line 12, read on descriptor 1001" */
static const char *describe(const async__task *task)
{
    static char texts[2][200];
    static int which;
    char *text = texts[which = !which];
    size_t used;
    if (!task->leaf) {
        snprintf(text, sizeof texts[0], "task %u, %s", (unsigned)task->item.slot, op_name(task));
        return text;
    }
    used = (size_t)snprintf(text, sizeof texts[0], "%s, line %u, %s", task->leaf->type->name,
                            async__line(task->leaf), op_name(task));
    if (async__op_has_descriptor(task->item.op) && used < sizeof texts[0])
        snprintf(text + used, sizeof texts[0] - used, " on descriptor %d", task->on.io.fd);
    return text;
}

static const async__timer *timer_of(const async_loop *loop, uint32_t slot)
{
    uint32_t number = *async__timer_of(loop, slot);
    for (uint32_t i = 1; number && i <= loop->heap_count; i++)
        if (loop->heap[i].slot == slot && loop->heap[i].order == number)
            return &loop->heap[i];
    return NULL;
}

static void task_waits(const async_loop *loop, const async__task *task, struct shadow *shadow)
{
    const async__timer *timer;
    shadow->op = task->item.op;
    shadow->state = WAITING;
    if (task->item.op != ASYNC__SLEEP)
        return;
    timer = timer_of(loop, task->item.slot);
    if (!timer)
        async_test_wrong("a sleep without a timer: %s", describe(task));
    shadow->deadline_ns = timer->deadline_ns;
}

/* The reason for which a task goes on must be true. */
static void task_wakes(const async_loop *loop, const async__task *task, struct shadow *shadow)
{
    if (shadow->state == READY || shadow->state == DONE)
        async_test_wrong("a task is woken that does not wait (twice, or it has ended): %s",
                         describe(task));
    if (shadow->state == WAITING && !sim.real && !loop->failed) {
        if (shadow->op == ASYNC__SLEEP && task->result == 0 && sim.now_ns < shadow->deadline_ns)
            async_test_wrong("a sleep ends %.6f ms early: %s",
                             (double)(shadow->deadline_ns - sim.now_ns) / 1e6, describe(task));
        if (task->result == -ETIMEDOUT && shadow->op == ASYNC__SLEEP &&
            task->leaf->deadline_ns > sim.now_ns)
            async_test_wrong("a limit is over %.6f ms early: %s",
                             (double)(task->leaf->deadline_ns - sim.now_ns) / 1e6, describe(task));
        if (task->result == -ECANCELED && shadow->op == ASYNC__SLEEP &&
            !(task->item.flags & ASYNC__CANCELLED))
            async_test_wrong("-ECANCELED for a task that nobody has cancelled: %s",
                             describe(task));
    }
    if (shadow->state == RUNNING && sim.calls - turn_calls > sim.patience / 50 && !sim.real)
        async_test_wrong("a task held the loop for %ld system calls in one turn: %s",
                         sim.calls - turn_calls, describe(task));
    shadow->state = READY;
    shadow->ready_turn = turns;
    shadow->wakes++;
}

static void task_runs(const async_loop *loop, const async__task *task, struct shadow *shadow)
{
    if (shadow->state == RUNNING) /* a coroutine was called, or has returned: the turn goes on */
        return;
    if (shadow->state != READY)
        async_test_wrong("a task is resumed that is not ready: %s", describe(task));
    turns++;
    never_ran -= !shadow->has_run;
    shadow->has_run = true;
    turn_calls = sim.calls;
    if ((long)loop->live > most_alive)
        most_alive = (long)loop->live;
    if (turns - shadow->ready_turn > 2 * most_alive + 2)
        async_test_wrong("unfair: %ld turns of others while a task was ready, with %ld tasks in "
                         "all: %s", turns - shadow->ready_turn, most_alive, describe(task));
    shadow->state = RUNNING;
}

static const char *const trace_names[] = { "spawn", "run", "wait", "wake", "cancel", "done" };

void async_test_trace(int event, const void *what)
{
    const async__task *task = what;
    const async_loop *loop = async__current;
    struct shadow *shadow = shadow_of(task->item.slot);
    sim_note(trace_names[event], -1, 0, 0);
    sim.events[(sim.event_count - 1) % SIM_EVENTS].task = task->item.slot;
    sim.hash = sim.hash * 31 + task->item.slot;
    switch (event) {
    case SIM_TRACE_spawn:
        memset(shadow, 0, sizeof *shadow);
        never_ran++;
        if (sim.ended == task)
            sim.ended = NULL;
        break;
    case SIM_TRACE_run:
        task_runs(loop, task, shadow);
        break;
    case SIM_TRACE_wait:
        task_waits(loop, task, shadow);
        break;
    case SIM_TRACE_wake:
        task_wakes(loop, task, shadow);
        break;
    case SIM_TRACE_done:
        shadow->state = DONE;
        if (loop->task == task)
            sim.ended = task;
        break;
    default:
        break;
    }
}

/* ----------------------------------------------------------------------------
 * MARK: - Invariants
 * ------------------------------------------------------------------------- */

/* Before each step: the heap is a heap, and each armed timer is in it. */
static void check_timers(const async_loop *loop)
{
    uint32_t dead = 0;
    for (uint32_t i = 1; i <= loop->heap_count; i++) {
        if (i > 1 && async__timer_before(&loop->heap[i], &loop->heap[(i + 2) / 4]))
            async_test_wrong("timer %u is due before the one above it in the heap", (unsigned)i);
        dead += !async__timer_lives(loop, &loop->heap[i]);
    }
    if (dead != loop->heap_dead)
        async_test_wrong("%u timers are dead, and the loop thinks %u", (unsigned)dead,
                         (unsigned)loop->heap_dead);
}

/* A cleared bit is a promise: there will be an event when it would be set. */
static void check_bits(const async_loop *loop, int fd)
{
    const async__descriptor *descriptor = &loop->descriptors[fd];
    unsigned level = sim_level(fd);
    unsigned hopes = descriptor->bits | async__later(descriptor);
    if (loop->poller < 0 || descriptor->kind == ASYNC__FILE)
        return;
    if (!(hopes & ASYNC__R) && (level & SIM_IN) &&
        sim_is_watched(loop->poller, fd, false) && !sim_is_pending(loop->poller, fd, false))
        async_test_wrong("descriptor %d (%s) can be read, is believed not to be, and no event will "
                         "say so", fd, sim_kind(fd));
    if (!(hopes & ASYNC__W) && (level & SIM_OUT) &&
        sim_is_watched(loop->poller, fd, true) && !sim_is_pending(loop->poller, fd, true))
        async_test_wrong("descriptor %d (%s) can be written, is believed not to be, and no event "
                         "will say so", fd, sim_kind(fd));
}

static void check_descriptors(const async_loop *loop)
{
    uint32_t waiting = 0;
    for (uint32_t fd = SIM_FIRST_FD; fd < loop->descriptor_count; fd++) {
        const async__descriptor *descriptor = &loop->descriptors[fd];
        if (!(descriptor->bits & ASYNC__ADOPTED))
            continue;
        waiting += (uint32_t)(descriptor->reader != 0) + (uint32_t)(descriptor->writer != 0);
        check_bits(loop, (int)fd);
    }
    if (waiting != loop->waiting)
        async_test_wrong("%u waiters on descriptors, and the loop thinks %u", (unsigned)waiting,
                         (unsigned)loop->waiting);
}

void async_test_resume(const void *what)
{
    const async_loop *loop = async__current;
    (void)what;
    if (sim.real)
        return;
    if (++sim.still > sim.patience)
        async_test_wrong("livelock: %ld calls and steps while virtual time stands still",
                         sim.patience);
    if (loop->slot_count + loop->heap_count > 200 && turns % 64)
        return;
    check_timers(loop);
    check_descriptors(loop);
}

static bool stands_in(async__waiter *const *queue, const async__task *task)
{
    const async__waiter *waiter = async__first_waiter(queue);
    while (waiter && waiter != &task->on.waiter)
        waiter = waiter == *queue ? NULL : waiter->next;
    return waiter != NULL;
}

/* Is this the queue of those who join a task, and it has not ended? */
static bool runs(const async_loop *loop, async__waiter *const *queue)
{
    for (uint32_t slot = 1; slot < loop->slot_count; slot++) {
        const async__item *item = async__item_at(loop, slot);
        if (item && item->kind == ASYNC__TASK && item->op != ASYNC__ENDED &&
            &((const async__task *)(const void *)item)->joiners == queue)
            return true;
    }
    return false;
}

static uint32_t running_children(const async_loop *loop, const async__task *task)
{
    uint32_t slot = async__youngest_child(loop, task), count = 0;
    for (; slot; slot = loop->slots[slot].older)
        count += async__task_at(loop, slot)->item.op != ASYNC__ENDED;
    return count;
}

/* What a queue belongs to. */
#define OBJECT_OF(queue, type, member) \
    ((const type *)(const void *)((const char *)(queue) - offsetof(type, member)))

static const char *why_not_in_line(unsigned op, async__waiter *const *queue)
{
    const async_channel *channel;
    if (op == ASYNC__EVENT)
        return OBJECT_OF(queue, async_event, waiters)->is_set ? "its event is set" : NULL;
    if (op == ASYNC__SEMAPHORE)
        return OBJECT_OF(queue, async_semaphore, waiters)->permits ? "there is a permit" : NULL;
    if (op == ASYNC__MUTEX)
        return OBJECT_OF(queue, async_mutex, waiters)->owner ? NULL : "its mutex is free";
    channel = op == ASYNC__SEND ? OBJECT_OF(queue, async_channel, senders)
                                : OBJECT_OF(queue, async_channel, receivers);
    if (op == ASYNC__SEND)
        return channel->count < channel->capacity ? "its channel has room" : NULL;
    return channel->count || channel->senders ? "its channel has an item" : NULL;
}

/* What a task waits for, of a stream. */
#define STREAM_OF(task) ((const async_stream *)(task)->item.at.buffer)

/* The descriptor on which a task waits, by itself or in the name of a stream. */
static int descriptor_of(const async__task *task)
{
    return async__op_has_descriptor(task->item.op) ? task->on.io.fd : STREAM_OF(task)->fd;
}

/* Why a waiting task could go on, or NULL. */
static const char *why_not_waiting(const async_loop *loop, const async__task *task)
{
    unsigned op = task->item.op;
    if (op == ASYNC__READY)
        return "it is ready, and in no queue";
    if (op == ASYNC__RUNNING || op == ASYNC__BEGUN)
        return "it has lost its turn";
    if (op == ASYNC__CHILDREN)
        return async__youngest_child(loop, task) ? NULL : "its last child has ended";
    if (op == ASYNC__ENDED)
        return task->item.flags & ASYNC__KEPT ? NULL : "it has ended, and its result is not kept";
    if (op == ASYNC__OFFLOAD && ((const async__job *)task->item.at.buffer)->is_running)
        return NULL; /* whatever was told to it or has passed */
    if ((task->item.flags & ASYNC__CANCELLED) && task->leaf && !async__is_covered(task->leaf))
        return "it was cancelled";
    if (task->leaf->deadline_ns <= sim.now_ns)
        return "its limit has passed";
    if (task->leaf->deadline_ns != ASYNC__NEVER && !timer_of(loop, task->item.slot))
        return "its limit has no timer";
    if (op == ASYNC__SLEEP && !timer_of(loop, task->item.slot))
        return "its sleep has no timer";
    if (op == ASYNC__JOIN_CHILDREN && running_children(loop, task) != task->on.waiter.left)
        return "the children it joins are not so many";
    if ((op == ASYNC__JOIN || op == ASYNC__JOIN_ALL) && !runs(loop, async__queue_of(loop, task)))
        return "the task it joins has ended";
    if (op >= ASYNC__JOIN && op <= ASYNC__RECEIVE &&
        !stands_in(async__queue_of(loop, task), task))
        return "it stands in no queue";
    if (op >= ASYNC__EVENT && op < ASYNC__SELECT)
        return why_not_in_line(op, async__queue_of(loop, task));
    if (op == ASYNC__FLUSH && !stands_in(&STREAM_OF(task)->flusher, task))
        return "its stream has forgotten it";
    if (op >= ASYNC__READABLE && op < ASYNC__FLUSH &&
        *async__waiter_of((async_loop *)(uintptr_t)loop, descriptor_of(task), op) !=
            task->item.slot)
        return "its descriptor has forgotten it";
    return NULL;
}

static void check_tasks(const async_loop *loop)
{
    for (uint32_t slot = 1; slot < loop->slot_count; slot++) {
        const async__item *item = async__item_at(loop, slot);
        const async__task *task = (const async__task *)(const void *)item;
        const char *why;
        if (!item || item->kind != ASYNC__TASK)
            continue;
        why = why_not_waiting(loop, task);
        if (why)
            async_test_wrong("lost wake-up: a task waits although %s: %s", why, describe(task));
    }
}

static const char *who_waits(const async_loop *loop, uint32_t slot)
{
    const async__item *item = async__item_at(loop, slot);
    if (item->kind == ASYNC__TASK)
        return describe((const async__task *)(const void *)item);
    return item->kind == ASYNC__STREAM ? "a stream" : "a callback";
}

static void check_waiters(const async_loop *loop)
{
    for (uint32_t fd = SIM_FIRST_FD; fd < loop->descriptor_count; fd++) {
        const async__descriptor *descriptor = &loop->descriptors[fd];
        unsigned level;
        if (!(descriptor->bits & ASYNC__ADOPTED) || descriptor->kind == ASYNC__FILE ||
            !(descriptor->reader || descriptor->writer))
            continue;
        level = sim_level((int)fd);
        if (descriptor->reader && !(async__later(descriptor) & ASYNC__R) &&
            (level & (SIM_IN | SIM_RDHUP | SIM_HUP | SIM_ERR)))
            async_test_wrong("lost wake-up: somebody waits although descriptor %d (%s) can be "
                             "read: %s", (int)fd, sim_kind((int)fd),
                             who_waits(loop, descriptor->reader));
        if (descriptor->writer && !(async__later(descriptor) & ASYNC__W) &&
            (level & (SIM_OUT | SIM_HUP | SIM_ERR)))
            async_test_wrong("lost wake-up: somebody waits although descriptor %d (%s) can be "
                             "written: %s", (int)fd, sim_kind((int)fd),
                             who_waits(loop, descriptor->writer));
    }
}

/* The wait must end when the next timer is due, to the millisecond that poll(2) counts in. */
static void check_timeout(async_loop *loop, int64_t timeout_ns)
{
    const async__timer *timer = async__timer_next(loop);
    int64_t next_ns = timer ? timer->deadline_ns : ASYNC__NEVER;
    if (loop->retry_ns < next_ns)
        next_ns = loop->retry_ns;
    if (async__is_ready(loop))
        async_test_wrong("the loop waits although something can run");
    if (next_ns == ASYNC__NEVER)
        return;
    if (timeout_ns < 0)
        async_test_wrong("the loop waits for ever although a timer is due in %.3f ms",
                         (double)(next_ns - sim.now_ns) / 1e6);
    if (timeout_ns > ASYNC__DAY_NS)
        async_test_wrong("a wait of more than a day");
    if (next_ns - sim.now_ns < ASYNC__DAY_NS && timeout_ns > next_ns - sim.now_ns + 2 * MS)
        async_test_wrong("the loop waits for %.3f ms although a timer is due in %.3f ms",
                         (double)timeout_ns / 1e6, (double)(next_ns - sim.now_ns) / 1e6);
}

void async_test_idle(int64_t timeout_ns)
{
    async_loop *loop = async__current;
    if (!loop || sim.real)
        return;
    check_timeout(loop, timeout_ns);
    check_timers(loop);
    check_descriptors(loop);
    check_waiters(loop);
    check_tasks(loop);
    sim_check_canaries();
}

void async_test_deadlock(void)
{
    const async_loop *loop = async__current;
    const async__task *first = NULL;
    long count = 0;
    for (uint32_t slot = 1; loop && slot < loop->slot_count; slot++) {
        const async__item *item = async__item_at(loop, slot);
        if (!item || item->kind != ASYNC__TASK || item->op == ASYNC__ENDED ||
            item->op == ASYNC__CHILDREN)
            continue;
        count++;
        if (!first || (item->op > ASYNC__READY && first->item.op == ASYNC__JOIN))
            first = (const async__task *)(const void *)item;
    }
    if (!first)
        async_test_wrong("deadlock: a blocking call waits for something that can never happen");
    async_test_wrong("deadlock: %ld %s for something that can never happen (first: %s)", count,
                     count == 1 ? "task waits" : "tasks wait", describe(first));
}

/* ----------------------------------------------------------------------------
 * MARK: - Verbs of a body
 * ------------------------------------------------------------------------- */
long sim_wakes(async_task task)
{
    return shadow_of((uint32_t)task)->wakes;
}

void sim_expect_blocked(const char *file, int line, async_task handle)
{
    const async__task *task = async__find_task(async__current, handle);
    if (!task)
        async_test_fail(file, line, "the task that should be blocked is gone");
    if (task->item.op <= ASYNC__READY || task->item.op >= ASYNC__CHILDREN)
        async_test_fail(file, line, "a task should be blocked: %s", describe(task));
}

static int sequence;

async_define(sim_seq)
{
    async_begin;
    while (sequence != self->step) {
        if (sequence > self->step)
            async_test_wrong("step %d for the second time", self->step);
        await(async_sleep_until(async_now() + 1000));
        if (++sim.counts[SIM_CALL_getpid] > 1000000)
            async_test_wrong("step %d never comes, for step %d is not over", self->step, sequence);
    }
    sequence++;
    async_end;
}

enum { LOG_LINES = 256, MARKS = 64 };
static char log_lines[LOG_LINES][80];
static int log_count;
static uint64_t log_hash;

void sim_log(const char *format, ...)
{
    char line[80];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    for (const char *c = line; *c; c++)
        log_hash = (log_hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    if (log_count < LOG_LINES)
        memcpy(log_lines[log_count++], line, sizeof line);
}

void sim_expect_lines(const char *file, int line, const char *const *lines)
{
    int i = 0, differs = -1, count = 0;
    while (lines[count])
        count++;
    for (i = 0; i < count || i < log_count; i++)
        if (differs < 0 && (i >= count || i >= log_count || strcmp(lines[i], log_lines[i]) != 0))
            differs = i;
    if (differs < 0)
        return;
    say_what();
    fprintf(stderr, "      %-38s | %s\n", "expected", "got");
    for (i = 0; i < count || i < log_count; i++)
        fprintf(stderr, "    %s %-38s | %s\n", i == differs ? ">" : " ",
                i < count ? lines[i] : "-", i < log_count ? log_lines[i] : "-");
    async_test_fail(file, line, "line %d of the log is \"%s\", expected \"%s\"", differs + 1,
                    differs < log_count ? log_lines[differs] : "-",
                    differs < count ? lines[differs] : "-");
}

static struct {
    const char *name;
    long hits;
    bool is_expected;
} marks[MARKS];
static int mark_count;

static int mark_of(const char *name)
{
    for (int i = 0; i < mark_count; i++)
        if (strcmp(marks[i].name, name) == 0)
            return i;
    if (mark_count == MARKS)
        async_test_wrong("more than %d marks", MARKS);
    marks[mark_count].name = name;
    marks[mark_count].hits = 0;
    marks[mark_count].is_expected = false;
    return mark_count++;
}

void async_mark(const char *name)
{
    marks[mark_of(name)].hits++;
}

void async_expect_mark(const char *name)
{
    marks[mark_of(name)].is_expected = true;
}

/* After FoundationDB: a bug site is on in a quarter of the worlds, and strikes once in four. */
int sim_bug(const char *name)
{
    uint64_t hash = sim.seed * UINT64_C(0x9e3779b97f4a7c15);
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return sim.seed && (hash >> 32) % 4 == 0 && sim_draw(4) == 0;
}

static void check_marks(void)
{
    for (int i = 0; i < mark_count; i++)
        if (marks[i].is_expected && !marks[i].hits) {
            write_replay(WHOLE_TEST);
            async_test_wrong("\"%s\" never came true, in %ld worlds", marks[i].name, sums.worlds);
        }
}

/* ----------------------------------------------------------------------------
 * MARK: - One world
 * ------------------------------------------------------------------------- */
enum { REAL_DESCRIPTORS = 1000 };
static unsigned char was_open[REAL_DESCRIPTORS];

static void look_at_descriptors(void)
{
    for (int fd = 0; fd < REAL_DESCRIPTORS; fd++)
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
}

static void compare_descriptors(void)
{
    for (int fd = 0; fd < REAL_DESCRIPTORS; fd++)
        if (was_open[fd] != (fcntl(fd, F_GETFD) >= 0))
            async_test_wrong("real descriptor %d is %s", fd,
                             was_open[fd] ? "closed, it is not the test's" : "left open");
}

/* Nothing may be left, whatever has happened. */
static void judge_world(async_result result)
{
    const struct sim_block *block;
    sim_end_threads();
    if (result < 0 && !sim.shows_errors)
        async_test_wrong("the body ended with %ld (%s)", (long)result, strerror((int)-result));
    if (async__current)
        async_test_wrong("the loop is left open");
    if (never_ran && !sim.failed)
        async_test_wrong("%ld of the tasks that were spawned never ran", never_ran);
    sim_check_blocks();
    if (sim.descriptors)
        async_test_wrong("descriptor %d (%s) is left open", sim_first_descriptor(),
                         sim_kind(sim_first_descriptor()));
    block = sim_blocks();
    if (block)
        async_test_wrong("a block of %lu bytes is left, allocated by %s, line %d",
                         (unsigned long)block->size, block->function ? block->function : "?",
                         block->line);
}

static uint64_t run_world(const struct plan *how)
{
    static const char nothing[65536];
    unsigned faults = current->options.faults ? current->options.faults : SIM_BENIGN;
    async_result result;
    uint64_t hash;
    setenv("ASYNC_BACKEND", backends[how->backend], 1);
    plan = *how;
    write_replay(ONE_WORLD);
    sim_begin(plan.seed, faults & SIM_CALM ? 0 : faults, plan.real);
    sim.fail_call = plan.fail_call;
    sim.fail_errno = plan.fail_errno;
    sim.fail_allocation = plan.fail_allocation;
    sim.fail_for_ever = plan.for_ever;
    sim.shows_errors |= plan.fail_call || plan.fail_allocation;
    turns = most_alive = turn_calls = never_ran = 0;
    sequence = 0;
    log_count = 0;
    log_hash = 0;
    if (shadows)
        memset(shadows, 0, shadow_count * sizeof *shadows);
    result = current->type ? async__run(current->type(), nothing) : (current->body(), 0);
    judge_world(result);
    log_hash ^= sim.shows_errors ? 0 : (uint64_t)result;
    count_world();
    hash = sim.hash;
    sim_end();
    return hash;
}

/* ----------------------------------------------------------------------------
 * MARK: - The worlds of a test
 * ------------------------------------------------------------------------- */

/* What the manual pages list: see errnos.h. A call without an entry there does not compile. */
enum { NO_MORE = -1 };
#define INJECTED(error, source) error,
#define NOT_INJECTED(error, reason)
#define ERRORS(call, page, list) \
    static const int errors_of_##call[] = { list(INJECTED, NOT_INJECTED) NO_MORE };
SIM_CALLS(ERRORS)
#define ERRORS_OF(call) errors_of_##call,
static const int *const errors_of[] = { SIM_EACH_CALL(ERRORS_OF) };

/* The same seed must give the same log and the same result on each backend. */
static uint64_t *log_hashes;
static long hashed_seeds;

static void compare_logs(uint64_t index, bool is_first)
{
    if ((long)index >= hashed_seeds)
        return;
    if (is_first)
        log_hashes[index] = log_hash;
    if (log_hashes[index] == log_hash)
        return;
    write_replay(ONE_SEED);
    async_test_wrong("with seed 0x%llx, %s gives another log than the backend before",
                     (unsigned long long)plan.seed, backends[plan.backend]);
}

static long number(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 0) : otherwise;
}

/* A test that asks for one world, the calm one, gets no other. Valgrind, which is slow, has few. */
static long seeds_of(const async_test_case *test)
{
    long count = test->options.seeds > 1 ? number("ASYNC_SEEDS", test->options.seeds) : 1;
    return RUNNING_ON_VALGRIND && count > 8 ? count / 50 + 8 : count;
}

/* Valgrind's complaints are this world's. */
static uint64_t run_counted(const struct plan *how)
{
    unsigned long before = VALGRIND_COUNT_ERRORS;
    uint64_t hash = run_world(how);
    if (VALGRIND_COUNT_ERRORS > before) {
        sim.running = true;
        async_test_wrong("Valgrind found an error in this world");
    }
    return hash;
}

static void check_same_twice(const struct plan *how, uint64_t hash)
{
    if (hash != run_world(how))
        async_test_wrong("seed 0x%llx does not give the same world twice",
                         (unsigned long long)how->seed);
}

static void run_seeds(int backend, bool is_first)
{
    long from = current->options.seeds > 1 ? number("ASYNC_SEED_FROM", 0) : 0;
    long step = number("ASYNC_SEED_STEP", 1);
    long count = seeds_of(current);
    struct plan how;
    uint64_t hash;
    memset(&how, 0, sizeof how);
    how.backend = backend;
    for (long i = 0; i < count; i++) {
        how.seed = (uint64_t)(from + i * step);
        hash = run_counted(&how);
        compare_logs((uint64_t)i, is_first);
        if (i < 3)
            check_same_twice(&how, hash);
    }
}

/* Each call of the calm world fails, with each of its errnos. */
static void torture_calls(struct plan how)
{
    static short trail[SIM_TRAIL];
    long calls, step = RUNNING_ON_VALGRIND ? 16 : 1;
    how.seed = 0;
    run_world(&how);
    calls = sim.calls < SIM_TRAIL ? sim.calls : SIM_TRAIL;
    memcpy(trail, sim.trail, sizeof trail);
    for (how.fail_call = 1; how.fail_call <= calls; how.fail_call += step) {
        const int *error = errors_of[trail[how.fail_call - 1]];
        for (; *error != NO_MORE; error++) {
            how.fail_errno = *error;
            if (!*error)
                continue;
            run_counted(&how);
            sums.tortured++;
            if (RUNNING_ON_VALGRIND)
                break;
        }
    }
}

static void torture_memory(struct plan how)
{
    long allocations;
    how.seed = 0;
    run_world(&how);
    allocations = sim.allocations;
    for (how.fail_allocation = 1; how.fail_allocation <= allocations;
         how.fail_allocation += RUNNING_ON_VALGRIND ? 4 : 1) {
        how.for_ever = false;
        run_counted(&how);
        how.for_ever = true;
        run_counted(&how);
        sums.tortured += 2;
    }
}

static bool has_backend(int backend)
{
    static const int compiled[] = { 1, ASYNC_HAS_EPOLL, ASYNC_HAS_KQUEUE };
    const char *wanted = getenv("ASYNC_BACKENDS");
    unsigned mask = current->options.backends ? current->options.backends
                                              : SIM_POLL | SIM_EPOLL | SIM_KQUEUE;
    if (compiled[backend] && !async__backend_named(backends[backend]))
        async_test_wrong("the backend %s is not found by its name", backends[backend]);
    return (mask & 1u << backend) && async__backend_named(backends[backend]) &&
           (!wanted || strstr(wanted, backends[backend]));
}

static void run_all(void)
{
    bool is_first = true;
    for (int backend = 0; backend < 3; backend++) {
        struct plan how;
        memset(&how, 0, sizeof how);
        how.backend = backend;
        if (!has_backend(backend))
            continue;
        run_seeds(backend, is_first);
        is_first = false;
        if (current->options.torture && number("ASYNC_TORTURE", 1)) {
            torture_calls(how);
            torture_memory(how);
        }
        if (current->options.real) {
            how.real = true;
            look_at_descriptors();
            run_world(&how);
            compare_descriptors();
            sums.real++;
        }
    }
}

/* The world of the replay line; without a backend, its seed on each of them. */
static void run_one(void)
{
    const char *backend = getenv("ASYNC_BACKEND"), *call = getenv("ASYNC_FAIL_CALL"),
               *allocation = getenv("ASYNC_FAIL_ALLOC"), *colon = call ? strchr(call, ':') : NULL;
    char wanted[16];
    bool is_first = true;
    struct plan how;
    memset(&how, 0, sizeof how);
    how.seed = strtoull(getenv("ASYNC_SEED"), NULL, 0);
    how.fail_call = call ? strtol(call, NULL, 0) : 0;
    how.fail_errno = colon ? (int)strtol(colon + 1, NULL, 0) : 0;
    how.fail_allocation = allocation ? strtol(allocation, NULL, 0) : 0;
    how.for_ever = allocation && strchr(allocation, '+');
    snprintf(wanted, sizeof wanted, "%s", backend ? backend : "");
    for (how.backend = 0; how.backend < 3; how.backend++) {
        if (*wanted ? strcmp(wanted, backends[how.backend]) != 0 : !has_backend(how.backend))
            continue;
        check_same_twice(&how, run_counted(&how));
        compare_logs(0, is_first);
        is_first = false;
    }
}

/* ----------------------------------------------------------------------------
 * MARK: - One test
 * ------------------------------------------------------------------------- */
static void is_stuck(int signal_number)
{
    const async_loop *loop = async__current;
    (void)signal_number;
    say_what();
    say("[FAIL] ");
    say(current->suite);
    say("::");
    say(current->name);
    if (loop && loop->task && loop->task->leaf) {
        say("  stuck: a step of ");
        say(loop->task->leaf->type->name);
        say(" never comes to an await\n");
    } else {
        say("  stuck\n");
    }
    say(replay);
    _exit(STUCK);
}

static void crashes(int signal_number)
{
    say_what();
    say("[FAIL] ");
    say(current->suite);
    say("::");
    say(current->name);
    say(signal_number == SIGABRT ? "  aborts\n" : "  crashes\n");
    say(replay);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void at_exit(void)
{
    if (!current || owner != getpid())
        return;
    say_what();
    fprintf(stderr, "[FAIL] %s::%s  exit() before the end of the body\n%s", current->suite,
            current->name, replay);
    _exit(ENDED_EARLY);
}

static void watch(int seconds)
{
    struct itimerval limit;
    memset(&limit, 0, sizeof limit);
    limit.it_value.tv_sec = seconds * (RUNNING_ON_VALGRIND ? 20 : 1);
    signal(SIGALRM, is_stuck);
    setitimer(ITIMER_REAL, &limit, NULL);
}

void async_test_run(const async_test_case *test)
{
    current = test;
    owner = getpid();
    memset(&sums, 0, sizeof sums);
    site_count = 0;
    mark_count = 0;
    hashed_seeds = seeds_of(test);
    log_hashes = calloc((size_t)hashed_seeds, sizeof *log_hashes);
    atexit(at_exit);
    signal(SIGABRT, crashes);
#if !ASYNC__ASAN
    signal(SIGSEGV, crashes);
    signal(SIGBUS, crashes);
    signal(SIGFPE, crashes);
#endif
    watch(test->options.watchdog ? test->options.watchdog : (int)number("ASYNC_WATCHDOG", 120));
    if (getenv("ASYNC_SEED") && *getenv("ASYNC_SEED")) {
        run_one();
    } else {
        run_all();
        if (seeds_of(test) >= test->options.seeds) /* fewer worlds promise less */
            check_marks();
        write_stats();
    }
    free(log_hashes);
    async_test_end();
}

/* Also after a failed cr_assert, which has left the body by longjmp. */
void async_test_end(void)
{
    if (!current || owner != getpid())
        return;
    watch(0);
    signal(SIGABRT, SIG_DFL);
    if (sim.running)
        show_world();
    current = NULL;
}

#if !defined ASYNC_TEST_PLAIN
/* A test's sentence stands among its options, which are no constant, and Test() wants one. */
static void describe_suite(const struct criterion_suite_set *suite)
{
    FOREACH_SET(struct criterion_test *test, suite->tests) {
        if (test->data->fini == async_test_end)
            test->data->description = ((async_test_case *)test->data->data)->options.says;
    }
}

static void describe_tests(void *data)
{
    const struct criterion_test_set *all = data;
    FOREACH_SET(struct criterion_suite_set *suite, all->suites) {
        describe_suite(suite);
    }
}

/* As in async_verdict.c, where ReportHook() would make a global name of the line number. */
CR_SECTION_("cr_pra") CR_ATTRIBUTE(used)
static f_report_hook describe_hook = describe_tests CR_SECTION_SUFFIX_;

static void end_failed(const char *file, int line, const char *message)
{
    struct criterion_assert_stats failure;
    memset(&failure, 0, sizeof failure);
    failure.passed = false;
    failure.file = file;
    failure.line = (unsigned)line;
    failure.message = message;
    watch(0);
    signal(SIGABRT, SIG_DFL);
    criterion_send_assert(&failure);
    criterion_abort_test();
    abort();
}
#elif defined ASYNC_TEST_FUZZ
static void end_failed(const char *file, int line, const char *message)
{
    (void)file, (void)line, (void)message;
    signal(SIGABRT, SIG_DFL);
    abort();
}
#else
static void end_failed(const char *file, int line, const char *message)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, message);
    fflush(NULL);
    _exit(1);
}
#endif

/* ----------------------------------------------------------------------------
 * MARK: - The plain driver, and the fuzzer's door
 * ------------------------------------------------------------------------- */
#ifdef ASYNC_TEST_PLAIN
static async_test_case *first_case, **last_case = &first_case;

void async_test_register(async_test_case *test)
{
    *last_case = test;
    last_case = &test->next;
}

#ifdef ASYNC_TEST_FUZZ
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int count, backend_count = 2 + ASYNC_HAS_KQUEUE;
    async_test_case *test = first_case;
    struct plan how;
    int chosen;
    if (!count) {
        for (; test; test = test->next)
            count++;
        test = first_case;
    }
    if (size < 2)
        return 0;
    for (chosen = data[0] % count; chosen; chosen--)
        test = test->next;
    memset(&how, 0, sizeof how);
    how.backend = data[1] % backend_count;
    sim.bytes = data + 2;
    sim.byte_count = size - 2;
    current = test;
    owner = getpid();
    is_shown = false;
    if (has_backend(how.backend))
        run_world(&how);
    current = NULL;
    return 0;
}
#else
/* In memory that the children share: how many have come to the end of their body. */
static volatile int *ended;

/* Runs in a child. With several jobs each has its share of the seeds. */
static void run_share(const async_test_case *test, int job, int jobs)
{
    char text[32];
    if (jobs > 1) {
        snprintf(text, sizeof text, "%ld", number("ASYNC_SEED_FROM", 0) + job);
        setenv("ASYNC_SEED_FROM", text, 1);
        snprintf(text, sizeof text, "%d", jobs);
        setenv("ASYNC_SEED_STEP", text, 1);
        snprintf(text, sizeof text, "%ld", (seeds_of(test) + jobs - 1 - job) / jobs);
        setenv("ASYNC_SEEDS", text, 1);
    }
    async_test_run(test);
    __atomic_add_fetch(ended, 1, __ATOMIC_SEQ_CST);
    exit(0);
}

static bool passes(const async_test_case *test, int jobs)
{
    bool all = true;
    int status;
    *ended = 0;
    fflush(NULL);
    for (int job = 0; job < jobs; job++)
        if (fork() == 0)
            run_share(test, job, jobs);
    for (int job = 0; job < jobs; job++)
        if (wait(&status) < 0 || status != 0)
            all = false;
    if (all && *ended != jobs)
        printf("[FAIL] %s::%s  its process has ended before its body\n", test->suite, test->name);
    return all && *ended == jobs;
}

static void print_errnos(void)
{
#define PRINT_INJECTED(error, source) \
    if (error) \
        printf("inject\t%s\t%d\t%s\t%s\n", call, error, #error, source);
#define PRINT_NEVER(error, reason) printf("never\t%s\t%d\t%s\t%s\n", call, error, #error, reason);
#define PRINT_ERRORS(name, page, list) \
    { \
        const char *call = #name; \
        printf("call\t%s\t%s\n", call, page); \
        list(PRINT_INJECTED, PRINT_NEVER) \
    }
    SIM_CALLS(PRINT_ERRORS)
}

/* A whole name is that test only, a part of one is all that have it. */
static bool matches(const async_test_case *test, const char *filter)
{
    char whole[200];
    bool is_whole = false;
    for (const async_test_case *each = first_case; each && !is_whole; each = each->next) {
        snprintf(whole, sizeof whole, "%s/%s", each->suite, each->name);
        is_whole = strcmp(whole, filter) == 0;
    }
    snprintf(whole, sizeof whole, "%s/%s", test->suite, test->name);
    return is_whole ? strcmp(whole, filter) == 0 : strstr(whole, filter) != NULL;
}

int main(int argc, char **argv)
{
    const char *filter = "";
    int jobs = 1, passed = 0, failed = 0;
    bool stops = false; /* at the first that fails */
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc) {
            filter = argv[++i];
        } else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc) {
            jobs = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--stop") == 0) {
            stops = true;
        } else if (strcmp(argv[i], "--errnos") == 0) {
            print_errnos();
            return 0;
        } else {
            fprintf(stderr, "usage: %s [--filter suite/name] [--jobs N] [--stop] [--errnos]\n",
                    argv[0]);
            return 2;
        }
    }
    ended = mmap(NULL, sizeof *ended, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ended == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    for (async_test_case *test = first_case; test; test = test->next) {
        bool good;
        if (!matches(test, filter))
            continue;
        good = passes(test, jobs);
        passed += good;
        failed += !good;
        printf("%s %s::%s\n", good ? "ok" : "FAIL", test->suite, test->name);
        if (stops && failed)
            break;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}
#endif
#endif
