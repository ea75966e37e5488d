/* async.h 0.1.0 - async / await for C: stackless coroutines and the event loop that runs them.
 *
 * One file. Drop it into a project, include it where it is needed, compile: nothing to link or
 * configure. Linux, macOS, FreeBSD, NetBSD, OpenBSD; gcc, clang, tcc; C99 to C23; C++ as below.
 *
 * SPDX-License-Identifier: MIT (the text is at the end)
 */
/* A whole server. It answers each connection with what it receives, all of them in one thread:
 *
 *     #include "async.h"
 *
 *     async(pong, int client; char data[4096];)
 *     {
 *         ssize_t n;
 *         async_begin;
 *         await(n, async_read(self->client, self->data, sizeof self->data), 5000);
 *         if (n > 0)
 *             await(n, async_write(self->client, self->data, (size_t)n));
 *         async_close(self->client);
 *         async_end;
 *     }
 *
 *     async(server, int listener;)
 *     {
 *         int client;
 *         async_begin;
 *         self->listener = async_listen("127.0.0.1", 7000);
 *         for (;;) {
 *             await(client, async_accept(self->listener));
 *             if (client < 0)
 *                 async_return(client);
 *             if (async_spawn(pong, .client = client) < 0)
 *                 async_close(client);
 *         }
 *         async_end;
 *     }
 *
 *     int main(void) { return async_run(server) < 0; }
 *
 * Contents, as tags to search for:
 *
 *     >>concepts    the words, and the rules that bite  >>backends     what a backend is
 *     >>options     macros you may define               >>poll         backend: poll
 *     >>system      includes, what the system has       >>epoll        backend: epoll
 *     >>types       public types                        >>kqueue       backend: kqueue
 *     >>api         every function, with its contract   >>loop         the loop
 *     >>coroutines  async, await and their expansion    >>tasks        tasks, cancelling, joining
 *     >>seam        system calls, memory, panics        >>operations   reading, writing, connecting
 *     >>state       the loop's own structures           >>callbacks    the callback layer
 *     >>table       handles                             >>streams      buffered streams
 *     >>timers      the heap of deadlines               >>dump         seeing
 *     >>ready       the queue of what can run           >>licence
 *     >>descriptors the table of descriptors            >>end          closing the loop; async_run
 *     >>between     event, semaphore, mutex, channel, select
 *     >>threads     the pool, posts from other threads  >>names        the resolver, happy eyeballs
 *     >>signals     signals                             >>processes    child processes
 */
/* ----------------------------------------------------------------------------
 * MARK: - Concepts
 * >>concepts
 *
 * A COROUTINE is a function that can stop at an `await` and go on later. A TASK is a coroutine that
 * the loop runs beside others: async_spawn makes one, async_call runs a coroutine inside the task
 * that calls it. The LOOP runs one task at a time, each until it awaits something that is not ready
 * yet; then the next. There is one thread, and another task can run only where you wrote `await`.
 *
 * async(name, fields) declares `struct name`, whose fields are both the coroutine's parameters and
 * the variables that live across an await; in the body they are self->field. Arguments are passed
 * by name and copied; one that is not passed is zero. Results are zero or more, or a negative
 * errno; `errno` means nothing after an await.
 *
 * The rules that bite:
 *   1. A plain local is gone after an await: what must survive is a field. Declare locals after
 *      async_begin (or without an initialiser before it), and the compiler warns where it can.
 *   2. An operation's buffer must be in the frame or on the heap, never on the C stack (a panic).
 *   3. One await per line, and none inside a `switch` of your own (compile errors).
 *   4. await is a statement; the value goes to the left: await(n, op), await(n, op, timeout_ms). A
 *      limit of 0 means now or -ETIMEDOUT, a negative one none. async_return leaves a coroutine;
 *      a plain `return` is a panic.
 *   5. A task belongs to the task that spawned it. When a task ends, its children are cancelled and
 *      waited for, after its async_finally. What they use, also a called coroutine's frame, goes
 *      only after async_cancel and async_join of them. async_detach gives a task to the loop.
 *   6. Cancelling and time limits arrive at an await. await(lvalue, op) shows them as -ECANCELED or
 *      -ETIMEDOUT; await(op) leaves the coroutine with that result (and drops other errors). Where
 *      an operation may give these two by itself, async_cancelled tells. Every way out passes
 *      through async_finally, where awaits are shielded. A limit bounds everything beneath it: the
 *      coroutines called and the tasks spawned there.
 *   7. A descriptor belongs to the loop once it was adopted (those made by async.h are): close it
 *      with async_close. After fork() the child must exec, _exit or open a loop of its own.
 * ------------------------------------------------------------------------- */
/* ----------------------------------------------------------------------------
 * MARK: - Options
 * >>options      Define them before the include. None of them changes the layout of anything, so
 *                files that were built with different options work together in one program.
 *
 *     macro                 default             effect, and where it counts
 *     ASYNC_NO_SHORT_NAMES  not defined         only async_coroutine and async_await; this file
 *     ASYNC_SHORT_NAMES     not defined         C++ only: `async` and `await` exist; this file
 *     ASYNC_DEBUG           1 at -O0, else 0    dead stack scribbled over, freed frames poisoned,
 *                                               hints on stderr, also of a step that holds
 *                                               the loop for more than 100 ms
 *     ASYNC_PANIC(text)     print and abort     what misuse does; must not return; this file
 *     ASYNC_WARN(text)      print               one line about something odd; this file
 *     ASYNC_HAS_EPOLL       Linux: 1            backends compiled in, 0 or 1; the program: the file
 *                                               that opens the loop
 *     ASYNC_HAS_KQUEUE      macOS, BSD: 1       likewise
 *     ASYNC_HAS_ACCEPT4     where it exists: 1  0 takes the way without it; this file
 *     ASYNC_HAS_PIPE2       where it exists: 1  likewise
 *     ASYNC_HAS_REUSEPORT   Linux, FreeBSD: 1   0: share_port is -ENOTSUP; this file
 *     ASYNC_HAS_ABSTRACT    Linux: 1            0: so is a Unix socket's "@name"; this file
 *
 * At run time the environment variable ASYNC_BACKEND chooses "epoll", "kqueue" or "poll", and
 * ASYNC_TRACE_FILE=x.json has each loop write there what its tasks do, for ui.perfetto.dev. A file
 * that exists (an empty one too) is added to: several loops, and several programs, are one picture.
 * ------------------------------------------------------------------------- */
#ifndef ASYNC_H
#define ASYNC_H

#define ASYNC_VERSION_MAJOR 0
#define ASYNC_VERSION_MINOR 1
#define ASYNC_VERSION_PATCH 0

/* ----------------------------------------------------------------------------
 * MARK: - System
 * >>system       Included first, this header asks the C library for what it needs. Included later,
 *                it takes what is there: enough in the gnu dialects, cut short by a strict -std=.
 * ------------------------------------------------------------------------- */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE 1
#endif
#if defined __APPLE__ && !defined _DARWIN_C_SOURCE
#define _DARWIN_C_SOURCE 1
#endif
#if defined __NetBSD__ && !defined _NETBSD_SOURCE
#define _NETBSD_SOURCE 1
#endif
#if (defined __FreeBSD__ || defined __OpenBSD__) && !defined __BSD_VISIBLE
#define __BSD_VISIBLE 1
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if !defined CLOCK_MONOTONIC || !defined SA_RESTART || !defined O_CLOEXEC
#error "async.h: the C library hides what it needs: include async.h before any system header, or compile with -D_GNU_SOURCE or -std=gnu11"
#endif

#ifndef ASYNC_HAS_EPOLL
#ifdef __linux__
#define ASYNC_HAS_EPOLL 1
#else
#define ASYNC_HAS_EPOLL 0
#endif
#endif
#ifndef ASYNC_HAS_KQUEUE
#if defined __APPLE__ || defined __FreeBSD__ || defined __NetBSD__ || defined __OpenBSD__ || \
    defined __DragonFly__
#define ASYNC_HAS_KQUEUE 1
#else
#define ASYNC_HAS_KQUEUE 0
#endif
#endif
#ifndef ASYNC_HAS_ACCEPT4
#if defined SOCK_CLOEXEC && !defined __APPLE__
#define ASYNC_HAS_ACCEPT4 1
#else
#define ASYNC_HAS_ACCEPT4 0
#endif
#endif
#ifndef ASYNC_HAS_PIPE2
#define ASYNC_HAS_PIPE2 ASYNC_HAS_ACCEPT4
#endif
#ifdef SO_REUSEPORT_LB /* one that divides what comes; elsewhere the last to bind gets all */
#define ASYNC__REUSEPORT SO_REUSEPORT_LB
#elif defined SO_REUSEPORT && (defined __linux__ || defined __DragonFly__)
#define ASYNC__REUSEPORT SO_REUSEPORT
#else
#define ASYNC__REUSEPORT 0
#endif
#ifndef ASYNC_HAS_REUSEPORT
#define ASYNC_HAS_REUSEPORT (ASYNC__REUSEPORT != 0)
#endif
#ifndef ASYNC_HAS_ABSTRACT
#ifdef __linux__
#define ASYNC_HAS_ABSTRACT 1
#else
#define ASYNC_HAS_ABSTRACT 0
#endif
#endif
#ifndef ASYNC_DEBUG
#if defined __OPTIMIZE__ || defined NDEBUG
#define ASYNC_DEBUG 0
#else
#define ASYNC_DEBUG 1
#endif
#endif

#if ASYNC_HAS_EPOLL
#if defined __TINYC__ && defined __x86_64__ && defined __GLIBC__ && defined _SYS_EPOLL_H
#error "async.h: with tcc, include it before <sys/epoll.h>, whose struct tcc lays out wrongly"
#endif
#if defined __TINYC__ && defined __x86_64__ /* glibc hides `packed` from it: 12 bytes, not 16 */
#pragma pack(push, 4)
#endif
#include <sys/epoll.h>
#if defined __TINYC__ && defined __x86_64__
#pragma pack(pop)
#endif
#endif
#if ASYNC_HAS_KQUEUE
#include <sys/event.h>
#endif

/* glibc declares these two only under _GNU_SOURCE, which changes other functions of the user's. */
#if defined __GLIBC__ && !defined __USE_GNU
extern int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
extern int pipe2(int ends[2], int flags);
#endif
#if (defined __GLIBC__ && !defined __USE_GNU) || \
    (defined __linux__ && !defined __GLIBC__ && !defined _GNU_SOURCE)
extern char *secure_getenv(const char *name); /* likewise, in musl, too */
#endif

/* The environment; but whoever starts a set-user-ID program does not decide what it does. */
#ifdef __linux__
#define ASYNC__GETENV(name) secure_getenv(name)
#else
#define ASYNC__GETENV(name) (issetugid() ? NULL : getenv(name))
#endif

/* Is AddressSanitizer on in this file? It may move locals to a stack of its own. */
#if defined __SANITIZE_ADDRESS__
#define ASYNC__ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define ASYNC__ASAN 1
#endif
#endif
#ifndef ASYNC__ASAN
#define ASYNC__ASAN 0
#endif

/* Where AddressSanitizer has moved a local, what it calls the real address may be a little below
 * the frame that has it: the loop's own frame goes further down, so that its caller's locals are
 * not taken for a coroutine's. */
#if ASYNC__ASAN
#define ASYNC__STEP_ASIDE() \
    do { \
        volatile size_t aside_ = 4096; \
        *(volatile char *)__builtin_alloca(aside_) = 0; \
    } while (0)
#else
#define ASYNC__STEP_ASIDE() ((void)0)
#endif

#if defined __GNUC__ || defined __clang__
#define ASYNC__MUST_AWAIT __attribute__((warn_unused_result))
#define ASYNC__UNUSED __attribute__((unused))
#define ASYNC__NORETURN __attribute__((noreturn))
#define ASYNC__RARE __attribute__((cold)) /* out of line, small: what is not done per operation */
#define ASYNC__REAL_STACK __attribute__((no_sanitize_address)) /* locals stay where they are */
#define ASYNC__EXPECT(condition, value) __builtin_expect(!!(condition), value)
#else
#define ASYNC__MUST_AWAIT
#define ASYNC__UNUSED
#define ASYNC__NORETURN
#define ASYNC__RARE
#define ASYNC__REAL_STACK
#define ASYNC__EXPECT(condition, value) (condition)
#endif
#ifdef __OPTIMIZE__ /* else an unused one would be in every object */
#define ASYNC__ONCE __attribute__((noinline, unused)) static /* many call it, or its frame counts */
#else
#define ASYNC__ONCE static inline
#endif

#ifdef __TINYC__ /* has no thread-local storage, so one loop thread per program, and no atomics */
#define ASYNC__THREAD
#define ASYNC__LOAD(place) (place)
#define ASYNC__STORE(place, value) ((void)((place) = (value)))
#define ASYNC__ADD(place, value) ((void)((place) += (value)))
static inline int async__swap(int *place, int value)
{
    int before = *place;
    *place = value;
    return before;
}
#else
#define ASYNC__THREAD __thread
#define ASYNC__LOAD(place) __atomic_load_n(&(place), __ATOMIC_SEQ_CST)
#define ASYNC__STORE(place, value) __atomic_store_n(&(place), value, __ATOMIC_SEQ_CST)
#define ASYNC__ADD(place, value) ((void)__atomic_add_fetch(&(place), value, __ATOMIC_SEQ_CST))
static inline int async__swap(int *place, int value)
{
    return __atomic_exchange_n(place, value, __ATOMIC_SEQ_CST);
}
#endif

#ifdef __cplusplus
#define ASYNC__C extern "C"
#else
#define ASYNC__C extern
#endif

/* ----------------------------------------------------------------------------
 * MARK: - Types
 * >>types
 * ------------------------------------------------------------------------- */

/* Zero or more, or a negative errno. */
typedef intptr_t async_result;

/* A task, or something that a callback was registered with. An integer with a generation in it:
 * once what it names is gone, every function answers -ESRCH. Never zero; negative on failure. */
typedef int64_t async_task;
typedef int64_t async_handle;

/* An operation that may suspend: what await takes, and nothing else does. */
typedef struct async_op {
    async_result value;
} async_op;

/* What all tasks of one coroutine share. */
typedef struct async_type {
    const char *name;
    const char *file;
    int (*step)(void *frame); /* runs the body until it suspends or returns */
    size_t size;              /* of its frame, in bytes                     */
    unsigned line;            /* where it is defined                        */
} async_type;

/* A coroutine's record, the first field of its frame: read it in a debugger, never write it. */
typedef struct async_frame {
    struct async_frame *caller;
    const async_type *type;
    int64_t deadline_ns; /* the nearest limit on the await in progress, of whoever set it */
    union {
        int64_t outer_ns;   /* in an await with its own limit or shield: deadline_ns without it */
        async_result value; /* on the way out: what the coroutine returns                       */
    } end;
    uint32_t line;                  /* where it waits, or last did                 */
    uint32_t since : 24, flags : 8; /* since: when that began, in units of 2^26 ns */
} async_frame;

/* Options of a loop; zero means the default. */
typedef struct async_options {
    const char *backend; /* "epoll", "kqueue", "poll"; NULL: $ASYNC_BACKEND, else the best */
    int keep_sigpipe;    /* 1: leave SIGPIPE alone (else it is ignored if nobody set it)   */
} async_options;

/* A loop: to tell one from another, and to post to it from other threads. */
typedef struct async_loop async_loop;
/* Options of a socket that others find; zero means the default. */
typedef struct async_listen_options {
    int backlog;    /* connections that may wait for async_accept; 0: what the system allows */
    int share_port; /* 1: with others that say so too, each in a loop of its own; the system */
                    /* gives each connection, all that one sender sends, to one of them      */
} async_listen_options;

/* Where a socket is: IPv4 or IPv6 and a port, or the name of a Unix socket. No pointer in it. */
typedef struct async_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
        struct sockaddr_storage storage;
    } is;
    socklen_t size; /* how many bytes of it count; 0: nowhere, or a Unix socket without a name */
} async_address;
#define ASYNC_ADDRESS_TEXT 112 /* bytes that are enough for async_address_print */

/* A buffered stream over a descriptor; see async_stream_open. Only `data` is yours. */
typedef struct async_stream async_stream;

/* A place in a queue: a task's own, a case's of its select, a job's. A queue is a ring and a
 * pointer to its last, so that both ends are near and zeroed memory is an empty one. */
typedef struct async__waiter {
    struct async__waiter *next, *prev;
    uint32_t slot; /* the task that waits, 0: nobody, it was posted                    */
    uint32_t left; /* tasks that may still run: of join_all's array, or of its children */
} async__waiter;

/* What tasks meet at: see "between tasks". Yours to place, not to look into. */
typedef struct async_event {
    async__waiter *waiters;
    int is_set;
} async_event;

typedef struct async_semaphore {
    async__waiter *waiters;
    size_t permits;
} async_semaphore;

typedef struct async_mutex {
    async__waiter *waiters;
    async_task owner; /* 0: free */
} async_mutex;

typedef struct async_channel {
    async__waiter *senders, *receivers;
    char *items; /* a ring of which [first, first + count) are in use */
    size_t item_size, capacity, first, count;
    int is_closed;
} async_channel;

/* One of the things a select waits for, made by async_case_join and its like. */
typedef struct async_case {
    async_result result; /* when it is the one: what its own await would have given */
    int (*attempt)(struct async_case *it); /* done now? else it has found the queue */
    void *object;
    void *data; /* of a channel's: the item, or room for one */
    async_task task;
    async__waiter waiter, **queue; /* its place, and where that is */
    uint32_t op; /* what waiting for it alone would be */
} async_case;

/* Where a child process reads or writes instead of where we do: one of these, or a descriptor above
 * 0. A negative one gives itself back as the result of async_process_start. */
enum {
    ASYNC_TO_PIPE = -10001, /* a pipe of ours                    */
    ASYNC_TO_NULL = -10002, /* /dev/null                         */
    ASYNC_TO_OUT = -10003   /* err alone: where its `out` writes */
};

/* What a child process does not have in common with us; zero means: it does. */
typedef struct async_process_options {
    int in, out, err;
    const char *directory;          /* relative names are looked up there                     */
    const char *const *environment; /* "NAME=value"..., NULL                                  */
    int new_session, new_group;     /* 1: the child leads its own: one of them                */
    int detached;                   /* 1: nobody asks for its end, and nothing is kept of it  */
} async_process_options;

/* A child process. No pointer in it: copy it, or lose it. */
typedef struct async_process {
    int64_t id; /* what the functions know it by; a negative errno if it did not start */
    pid_t pid;  /* 0 if it did not start                                           */
    int in, out, err; /* our ends of its pipes, adopted, or -1: async_close them */
} async_process;

enum { ASYNC_KILLED = 256 }; /* see async_process_wait */

/* ----------------------------------------------------------------------------
 * MARK: - API
 * >>api          All of it, with its contract. *Suspends*: to be awaited, in a coroutine. *Never
 *                suspends*: may be called anywhere in the loop's thread. *Cancel point*: see rule
 *                6. What suspends may always give -ECANCELED and -ETIMEDOUT; not repeated below.
 * ------------------------------------------------------------------------- */

/* ---- loop: one per thread, current from async_open to async_loop_close ---- */

/* Open this thread's loop. `options` may be NULL. Returns 0, or -EBUSY (one is open), -EINVAL (no
 * such backend), -ENOMEM, or what the system says (-EMFILE, -ENFILE...). Never suspends. */
static inline int async_open(const async_options *options);

/* Run until no task is left and nothing can call a callback any more, or until async_loop_stop.
 * Returns 0, or -EDEADLK (tasks wait for what can never happen), -EPERM (the loop belongs to
 * another process), or the error of a failed wait, after all tasks were cancelled.
 * A panic inside the loop itself. */
static inline int async_loop_run(void);

/* Wait for at most `timeout_ms` (0: not at all, negative: for ever) until something can run, and
 * run that once. Returns how many tasks and callbacks ran (0 also where a signal, or an event for
 * nobody, ended the wait early), or -EDEADLK, -EPERM as above. A panic inside the loop itself. */
static inline int async_loop_run_once(int64_t timeout_ms);

/* Make async_loop_run return when the running task or callback has given up its turn; before a run,
 * make it return at once. Never suspends. */
static inline void async_loop_stop(void);

/* Cancel all tasks, run until they have ended and closing streams have sent what they had, and free
 * the loop. Callbacks asked for before are not called, but for on_close of those streams, and for
 * posts while a task is left. Descriptors made by async.h are closed, adopted ones given back as
 * they were; in a child after fork() all of them stay as they are. Returns 0, also where no loop is
 * open, or -EBUSY inside the loop itself. */
static inline int async_loop_close(void);

/* A descriptor that polls readable when async_loop_run_once(0) has work, for a loop inside another.
 * Returns it, or -ENOTSUP (poll has none). Watch async_loop_timeout as well. Never suspends. */
static inline int async_loop_descriptor(void);

/* How long the loop may be left alone: milliseconds, rounded up; 0: it has work now; -1: until its
 * descriptor is readable. Never suspends. */
static inline int64_t async_loop_timeout(void);

/* The name of the backend in use. Never suspends. */
static inline const char *async_loop_backend(void);

/* ---- tasks (async_spawn, async_call, async_run take the coroutine's name and its arguments) ----
 *
 * async_task async_spawn(name, .field = value...)
 *     Start a task; it runs its first step when the loop comes to it. It belongs to the task that
 *     spawned it. Returns its handle, or -ENOMEM. Never suspends.
 * async_op async_call(name, .field = value...)
 *     Run a coroutine in this task and wait for what it returns. -ENOMEM. Suspends. Cancel point.
 * async_result async_run(name, .field = value...)
 *     Open a loop, run this coroutine as its first task until it ends, cancel what is left, close
 *     the loop. Returns what it returned, or a negative errno as async_open and async_loop_run do.
 *     A panic inside a loop.
 *
 * A coroutine that is defined later, or in another file: async_declare(name, fields...); and then
 * async_define(name) { ... }.
 */

/* Let the other tasks run that can. Returns 0. Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_yield(void);

/* Wait until a task has ended. Returns its result, or -ESRCH (it is gone, and its result was not
 * kept: see async_keep), -EDEADLK (a task cannot wait for itself). Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_join(async_task task);

/* Wait until all of `count` tasks have ended. Returns 0, or the first negative result in the
 * array's order; that of a task that is gone nobody knows. Their results are kept, as by
 * async_keep. -EDEADLK: one of them is this task, and nothing was waited for. A limit ends the
 * waiting, not the tasks. Suspends. Cancel point. `tasks` must outlive the await: keep it in the
 * frame. */
ASYNC__MUST_AWAIT static inline async_op async_join_all(const async_task *tasks, size_t count);

/* Wait until all children of the running task have ended; those that were detached are none of
 * them. Results that are kept stay so. Returns 0. A limit ends the waiting, not the children: they
 * are cancelled when the task returns. Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_join_children(void);

/* Keep the result of a task until it is joined or its parent ends; without this only those who
 * already wait get it. Takes the handle from async_spawn as it comes: returns it, or the negative
 * errno it is, or -ESRCH. Never suspends. */
static inline async_task async_keep(async_task task);

/* Ask a task to end: the await it is in, unless that is done, and every later one gives -ECANCELED
 * (rule 6), until it has left; look at the result and leave. A callback is not called any more, and
 * its handle is gone. Returns 0, or -ESRCH. Never suspends. */
static inline int async_cancel(async_handle handle);

/* Was the running task told to end? Returns 0, -ECANCELED, or -ETIMEDOUT (a caller's limit has
 * passed). Zero where it is shielded. Never suspends. */
static inline int async_cancelled(void);

/* async_op async_shield(op)
 *     The same operation, which neither a cancel nor the limits of callers interrupt: they arrive
 *     at the next await. A limit of the await's own still holds. */

/* Give a task to the loop: it may outlive its parent, not the loop (async_run closes its own when
 * the first task ends), and its result is not kept. Before its first step this also lifts the
 * limits it was spawned under. Returns 0, or -ESRCH. Never suspends. */
static inline int async_detach(async_task task);

/* The running task's handle, 0 in a callback or outside the loop. Never suspends. */
static inline async_task async_current_task(void);

/* Name the running task for async_dump. `name` must outlive the task. Returns 0, or -ENOMEM. Never
 * suspends. */
static inline int async_name(const char *name);

/* ---- between tasks: event, semaphore, mutex, channel; first come, first served ----
 *
 * They belong to one loop's thread, and must outlive those who wait: fields of a coroutine that
 * sees its tasks end, or static. Zeroed memory is an event that is not set, a mutex that is free,
 * and a semaphore without permits. Who is cancelled or out of time while waiting has taken nothing
 * and given nothing; who was served is told at its next await. */

/* Wait until the event is set. Returns 0, also if it was cleared again before this task had its
 * turn. Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_event_wait(async_event *event);

/* Set: all who wait go on, and nobody waits until it is cleared. Never suspend. */
static inline void async_event_set(async_event *event);
static inline void async_event_clear(async_event *event);
static inline int async_event_is_set(const async_event *event);

/* `permits` can be held at once. Nobody may wait. Never suspends. */
static inline void async_semaphore_init(async_semaphore *semaphore, size_t permits);

/* Take a permit: wait for one. Returns 0. Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_semaphore_acquire(async_semaphore *semaphore);

/* Take one if there is one. Returns 0 or -EAGAIN. Never suspends. */
static inline int async_semaphore_acquire_nowait(async_semaphore *semaphore);

/* Give a permit to whoever waits longest, or back. Never suspends. */
static inline void async_semaphore_release(async_semaphore *semaphore);

/* Lock; unlock before the task ends. It is not recursive; outside of tasks all callbacks are one
 * owner. Returns 0, or -EDEADLK (this task has it). Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_mutex_lock(async_mutex *mutex);

/* Lock if it is free. Returns 0, -EDEADLK or -EAGAIN. Never suspends. */
static inline int async_mutex_lock_nowait(async_mutex *mutex);

/* Unlock: whoever waits longest has it. Returns 0, or -EPERM (another task has it, or nobody).
 * Never suspends. */
static inline int async_mutex_unlock(async_mutex *mutex);

/* A channel for items of `item_size` bytes, of which it holds `capacity` in `items`, the caller's.
 * Without capacity (`items` may be NULL) a sender waits for its receiver. Never suspends. */
static inline void async_channel_init(async_channel *channel, void *items, size_t item_size,
                                      size_t capacity);

/* Send a copy of `*item`; wait while the channel is full. Returns 0, or -EPIPE (it is closed, and
 * the item was not taken). Suspends. Cancel point. `item` must outlive the await. */
ASYNC__MUST_AWAIT static inline async_op async_channel_send(async_channel *channel,
                                                            const void *item);

/* Receive into `*item`; wait while the channel is empty. Returns 1, or 0 (closed, and empty).
 * Suspends. Cancel point. `item` must outlive the await. */
ASYNC__MUST_AWAIT static inline async_op async_channel_receive(async_channel *channel, void *item);

/* The same, at once. Return the same, or -EAGAIN. Never suspend. */
static inline int async_channel_send_nowait(async_channel *channel, const void *item);
static inline int async_channel_receive_nowait(async_channel *channel, void *item);

/* No more is sent: senders that wait get -EPIPE; what the channel holds can still be received.
 * Never suspends. */
static inline void async_channel_close(async_channel *channel);

/* Wait until one of `count` cases can be done, do it, and no other; of several the first. Returns
 * its index, and its own result is cases[index].result; -EINVAL (count is 0). Cases can be used
 * again; one that joins finds the results of those that ended meanwhile only if they are kept
 * (async_keep). Suspends. Cancel point. The cases, and what they point to, must outlive the await:
 *
 *     self->cases[0] = async_case_receive(self->jobs, &self->job);
 *     self->cases[1] = async_case_event(self->stop);
 *     await(which, async_select(self->cases, 2), 1000);
 */
ASYNC__MUST_AWAIT static inline async_op async_select(async_case *cases, size_t count);

/* What async_join, async_event_wait... would wait for, as a case. Never suspend. */
static inline async_case async_case_join(async_task task);
static inline async_case async_case_event(async_event *event);
static inline async_case async_case_semaphore(async_semaphore *semaphore);
static inline async_case async_case_mutex(async_mutex *mutex);
static inline async_case async_case_send(async_channel *channel, const void *item);
static inline async_case async_case_receive(async_channel *channel, void *item);

/* ---- time ---- */

/* CLOCK_MONOTONIC, in nanoseconds. Works without a loop. Never suspends. */
static inline int64_t async_now(void);

/* Wait `duration_ms` at least; 0 or less: as async_yield. Returns 0. Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_sleep(int64_t duration_ms);

/* Wait until async_now() is at least `deadline_ns`. Returns 0. Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_sleep_until(int64_t deadline_ns);

/* ---- descriptors: one reader and one writer may wait on each at a time ----
 *
 * A large block goes in turns, 1 MiB at a time. A negative descriptor gives itself back as result:
 * an unchecked async_listen shows its error. */

/* Make a descriptor the loop's: non-blocking, close-on-exec, registered. It is given back as it was
 * when the loop closes. Returns `fd`, or -EBADF, -EEXIST (adopted already), -ENOMEM, -EPERM
 * (another process's loop), or what the backend says. Never suspends. */
static inline int async_adopt(int fd);

/* Close an adopted descriptor; tasks that wait on it get -EBADF (or how much of a write is out),
 * its callbacks are not called any more. An adopted 0, 1 or 2 is given back, not closed. Returns
 * 0, or -EBADF, -EBUSY (a stream's: async_stream_close), -EPERM (another process's loop). Never
 * suspends. */
static inline int async_close(int fd);

/* The same, but the descriptor stays open: it is given back as it was, for whoever closes it by
 * themselves. Returns as async_close. Never suspends. */
static inline int async_release(int fd);

/* Wait until a read (a write) would not block. Returns 0, or -EBADF, -EBUSY (another task waits).
 * Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_readable(int fd);
ASYNC__MUST_AWAIT static inline async_op async_writable(int fd);

/* Read up to `size` bytes into `data`: of what is there, at least one. Returns the count, 0 at
 * the end, or -EBADF, -EBUSY (another task reads), or read(2)'s errno (-ECONNRESET...). Suspends.
 * Cancel point. `data` must outlive the await: keep it in the frame. */
ASYNC__MUST_AWAIT static inline async_op async_read(int fd, void *data, size_t size);

/* Write all of `size` bytes. Returns `size`; fewer if cancelled or out of time when some were out;
 * or -EBADF, -EBUSY (another task writes), or write(2)'s errno (-EPIPE, -ECONNRESET...; SIGPIPE
 * never comes). Suspends. Cancel point. `data` must outlive the await: keep it in the frame. */
ASYNC__MUST_AWAIT static inline async_op async_write(int fd, const void *data, size_t size);

/* The same into, and out of, `count` pieces. `pieces` and what they point to must outlive the
 * await. -EBADF, -EBUSY. Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_readv(int fd, const struct iovec *pieces,
                                                     size_t count);
ASYNC__MUST_AWAIT static inline async_op async_writev(int fd, const struct iovec *pieces,
                                                      size_t count);

/* Take the next connection. Returns its descriptor, adopted, or -EBADF, -EBUSY, -EINVAL (not
 * listening), -ENOMEM. Where the system has no descriptor left it waits, and says so once.
 * Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_accept(int listener);

/* Connect over TCP to a numeric address ("127.0.0.1", "::1", "fe80::1%eth0"), or to a name: its
 * IPv6 and IPv4 addresses are asked for at once and tried in turn, the next one 250 ms after the
 * last or when that has failed; the first connection is taken, the others are given up (RFC 8305).
 * Returns the descriptor, adopted, or -EINVAL (not an address, a name or a port), -ENOMEM, -EMFILE,
 * as async_resolve does, or connect(2)'s errno (-ECONNREFUSED...). Of several the first is
 * returned; one that says that there is no way to go there (-ENETUNREACH...) or no such name only
 * if no other says more. Suspends. Cancel point. `host` must outlive the await. */
ASYNC__MUST_AWAIT static inline async_op async_connect(const char *host, int port);

/* Connect to one IPv4 or IPv6 address. Returns as async_connect. Suspends. Cancel point. `address`
 * must outlive the await. */
ASYNC__MUST_AWAIT static inline async_op async_connect_at(const async_address *address);

/* Connect to a Unix socket; waits while the other side's backlog is full. Returns the descriptor,
 * adopted, or -ENAMETOOLONG, -ENOENT, -ECONNREFUSED, -ENOMEM... Suspends. Cancel point. `path` must
 * outlive the await. */
ASYNC__MUST_AWAIT static inline async_op async_connect_unix(const char *path);

/* Listen on a numeric address, NULL for all of them (IPv4 and IPv6; OpenBSD's ip6(4) allows IPv6
 * alone); port 0: a free one, see async_port. Returns the descriptor, adopted, or -EINVAL (not an
 * address or a port), -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -ENOMEM... Never suspends. */
static inline int async_listen(const char *host, int port);

/* The same with options, which may be NULL. Returns also -ENOTSUP (this system cannot share a port
 * among several). Never suspends. */
static inline int async_listen_with(const char *host, int port,
                                    const async_listen_options *options);

/* The same at one address, IPv6, IPv4 or a Unix socket's; -EINVAL: it is none. An IPv6 one takes
 * IPv6 alone, so that "::" and "0.0.0.0" can have a listener each; only the NULL of async_listen is
 * both in one. Never suspends. */
static inline int async_listen_at(const async_address *address,
                                  const async_listen_options *options);

/* The same at each address of a name, but for those of a network that this machine lacks; with port
 * 0 each has a port of its own. Puts their descriptors, adopted, into `listeners`, `count` at most.
 * Returns how many; or, with none of them left, what async_resolve or async_listen_at says.
 * Suspends. Cancel point. `host` and `listeners` must outlive the await. */
ASYNC__MUST_AWAIT static inline async_op async_listen_name(const char *host, int port,
                                                           const async_listen_options *options,
                                                           int *listeners, size_t count);

/* Listen on a Unix socket; removing `path`, before and after, is the caller's. "@name" is abstract,
 * on Linux: in no file system, gone with the socket (a file of that name is "./@name"). Returns the
 * descriptor, adopted, or -ENAMETOOLONG, -EADDRINUSE, -ENOENT, -ENOMEM... Never suspends. */
static inline int async_listen_unix(const char *path);

/* The port a socket is bound to, or -EBADF, -ENOTSOCK, -EINVAL (no port). Never suspends. */
static inline int async_port(int fd);

/* ---- datagrams: each arrives whole, or not at all; UDP loses, repeats and reorders them ---- */

/* Make a UDP socket: bound as async_listen_with does it, or for one peer alone, from which it also
 * hears of errors. Returns the descriptor, adopted, or a negative errno as async_listen_with does.
 * Never suspends. */
static inline int async_bind_udp(const char *host, int port, const async_listen_options *options);
static inline int async_connect_udp(const char *host, int port);

/* Make a Unix datagram socket, `path` as in async_listen_unix; NULL: without a name, it can only
 * send. Returns the descriptor, adopted, or a negative errno as async_listen_unix does. Never
 * suspends. */
static inline int async_bind_unix(const char *path);

/* Receive one datagram into `data`, and into `address`, if not NULL, whose it is. Returns its size:
 * 0 is an empty one, not an end; or -EMSGSIZE (it is larger than `size`: `data` has its beginning,
 * `address` is set, the rest is lost), -EBADF, -EBUSY (another task reads), or recvmsg(2)'s errno
 * (-ECONNREFUSED: nobody took an earlier one; the socket goes on), and then address->size is 0.
 * Suspends. Cancel point. `data` and `address` must outlive the await. */
ASYNC__MUST_AWAIT static inline async_op async_recvfrom(int fd, void *data, size_t size,
                                                        async_address *address);

/* Send one datagram to `address`; NULL: to the peer. Waits while the system has no room for it.
 * Returns `size`, or -EMSGSIZE (more than a datagram takes), -EBADF, -EBUSY (another task writes),
 * or sendmsg(2)'s errno (-EDESTADDRREQ, -ECONNREFUSED as above...). Suspends. Cancel point. `data`
 * and `address` must outlive the await. */
ASYNC__MUST_AWAIT static inline async_op async_sendto(int fd, const void *data, size_t size,
                                                      const async_address *address);

/* Make an address of a numeric host ("127.0.0.1", "::1", "fe80::1%eth0") and a port. Returns 0; or
 * -EINVAL (it is none), and then address->size is 0. Never suspends. */
static inline int async_address_parse(async_address *address, const char *host, int port);

/* The same of a Unix socket's path or "@name". Returns 0, or -EINVAL (NULL or empty),
 * -ENAMETOOLONG, -ENOTSUP (this system has no abstract names). Never suspends. */
static inline int async_address_unix(async_address *address, const char *path);

/* Find the addresses of a host, by getaddrinfo(3) in a thread of its own, of which there are 64 at
 * most (a numeric one is only parsed): up to `count`, 32 at most, in the order in which they should
 * be tried. Returns how many; or -ENOENT (no such name, or no address), -EAGAIN (no server answers,
 * or no thread to be had: try later), -EIO (it refuses to say), -EINVAL (not a name or a port),
 * -ENOMEM, -EMFILE. Whoever is cancelled or out of time does not wait for the thread. Suspends.
 * Cancel point. `host` and `addresses` must outlive the await. */
ASYNC__MUST_AWAIT static inline async_op async_resolve(const char *host, int port,
                                                       async_address *addresses, size_t count);

/* The address a socket is bound to, that of its peer. Where IPv4 comes to an IPv6 socket it is an
 * IPv4 address here, as in async_recvfrom. Returns 0; or -EBADF, -ENOTSOCK,
 * async_peer_address: -ENOTCONN (it has none), and then address->size is 0. Never suspends. */
static inline int async_own_address(int fd, async_address *address);
static inline int async_peer_address(int fd, async_address *address);

/* Print an address: "127.0.0.1:80", "[::1]:80", "[fe80::1%2]:80", a path, "@name"; "" if it is
 * none. Returns what snprintf does; see ASYNC_ADDRESS_TEXT. Never suspends. */
static inline int async_address_print(const async_address *address, char *text, size_t size);

/* Make a pipe (ends[0] reads, ends[1] writes) or a pair of connected Unix sockets, adopted. Returns
 * 0, or -EMFILE, -ENOMEM. Never suspends. */
static inline int async_pipe(int ends[2]);
static inline int async_socketpair(int ends[2]);

/* ---- callbacks: called by the loop, never from inside the call that registers them ---- */

/* Call back whenever a read (a write) would not block, until cancelled or until the descriptor is
 * closed. Returns a handle for async_cancel, or -EBADF, -EBUSY (somebody waits already), -ENOMEM.
 * Never suspends. */
static inline async_handle async_on_readable(int fd, void *data,
                                             void (*callback)(int fd, void *data));
static inline async_handle async_on_writable(int fd, void *data,
                                             void (*callback)(int fd, void *data));

/* Call back once, at the loop's next turn; after `delay_ms`; or every `interval_ms`, at least 1 (a
 * turn that was missed is left out). Returns a handle for async_cancel, or -ENOMEM;
 * async_every: -EINVAL. Never suspends. */
static inline async_handle async_soon(void *data, void (*callback)(void *data));
static inline async_handle async_after(int64_t delay_ms, void *data, void (*callback)(void *data));
static inline async_handle async_every(int64_t interval_ms, void *data,
                                       void (*callback)(void *data));

/* What those callbacks do instead of awaiting: as the functions without _nowait, but at once.
 * Return the same, a write also fewer than `size`, or -EAGAIN (nothing to be done now), -EBADF;
 * accept also -EMFILE, and then the callback pauses for a moment. Never suspend. */
static inline ssize_t async_read_nowait(int fd, void *data, size_t size);
static inline ssize_t async_write_nowait(int fd, const void *data, size_t size);
static inline int async_accept_nowait(int listener);
static inline ssize_t async_recvfrom_nowait(int fd, void *data, size_t size,
                                            async_address *address);
static inline ssize_t async_sendto_nowait(int fd, const void *data, size_t size,
                                          const async_address *address);

/* ---- other threads (link with -pthread where the C library has them apart) ---- */

/* Run `function(data)` on a thread of the loop's pool (4, made when needed; signals are blocked
 * there), and wait for what it returns: for calls that block. Cancelled or out of time while it is
 * queued, it is not run; while it runs, it is waited for, whatever the limit. Returns its result,
 * or -ENOMEM, -EMFILE, -EAGAIN (no thread to be had). Suspends. Cancel point. `data` must outlive
 * the await. */
ASYNC__MUST_AWAIT static inline async_op async_offload(async_result (*function)(void *data),
                                                       void *data);

/* Have other threads post to this loop. It waits for them from now on: async_loop_run ends when it
 * is stopped, not because nothing else can happen. Returns the loop, or NULL: no memory, no
 * descriptor. Never suspends. */
static inline async_loop *async_loop_share(void);

/* From any thread, not from a signal handler: call back in the loop's, in the order of posting, all
 * that has come in one turn. The loop must have been shared, and stay open until this returns; what
 * has not been called when it closes is forgotten. Returns 0, -ENOMEM, -EPERM (another process's
 * loop), or what write(2) says. Never suspends. */
static inline int async_post(async_loop *loop, void *data, void (*callback)(void *data));

/* ---- signals ---- */

/* Catch a signal from now on: it is this loop's, instead of doing what it did, and this thread does
 * not block it any more. Others may catch it too, here and in other loops, and each hears of it.
 * One that comes while nobody awaits it is kept; several are one. What it did before is back when
 * the last who caught it has let go (async_cancel; a loop lets go of all when it closes). The loop
 * waits for it from now on: async_loop_run does not end by itself. Returns a handle, or -EINVAL (no
 * such signal, SIGKILL, SIGSTOP, or one by which the processor stops the program: SIGSEGV...),
 * -ENOMEM, -EMFILE, -EPERM (another process's loop). Never suspends. */
static inline async_handle async_catch_signal(int signo);

/* Wait for a signal that was caught. Returns its number; or -ESRCH, also when the handle is
 * cancelled meanwhile; a negative handle gives itself back. Suspends. Cancel point.
 *
 *     self->hangup = async_catch_signal(SIGHUP);
 *     for (;;) {
 *         await(async_signal(self->hangup));
 *         reload();
 *     }
 */
ASYNC__MUST_AWAIT static inline async_op async_signal(async_handle caught);

/* The same as a case of async_select. Never suspends. */
static inline async_case async_case_signal(async_handle caught);

/* Catch a signal, and call back in the loop, not in a handler, whenever it has come. Returns as
 * async_catch_signal does. Never suspends. */
static inline async_handle async_on_signal(int signo, void *data,
                                           void (*callback)(int signo, void *data));

/* ---- child processes ----
 *
 * A child is no task: it goes on when the task that started it, or the loop, has ended (then who
 * collects it is up to you). Where it should not, async_finally is the place for
 * async_process_kill. The loop collects it when it ends (SIGCHLD is caught as long as one runs),
 * and waits for it: async_loop_run does not end before. */

/* Start the program arguments[0], looked up in its $PATH, with the arguments up to NULL; signals
 * are at their defaults there. What the loop has adopted does not block there either: async_release
 * it before. `options` may be NULL. Fills in `*process`. Returns 0, or what kept it from running:
 * -ENOENT, -EACCES (no such program, or none), -EINVAL (no arguments), -EBADF, -ENOMEM, -EMFILE,
 * -EAGAIN (no more processes), -EPERM (another process's loop)... It holds the loop until the child
 * has begun; where another thread forks at that moment, and its child does not exec, until that
 * one's end. Never suspends. */
static inline int async_process_start(async_process *process, const char *const *arguments,
                                      const async_process_options *options);

/* Wait until it has ended. Returns its exit status, 0 to 255; or ASYNC_KILLED + the number of the
 * signal that ended it; -ESRCH (it is not known: who waited before has its status); -ECHILD (other
 * code collected it). Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_process_wait(const async_process *process);

/* The same as a case of async_select. Never suspends. */
static inline async_case async_case_process(const async_process *process);

/* Send it a signal; 0: only ask. Returns 0, or -ESRCH (it has ended; its pid may be another's),
 * -EINVAL (no such signal), -EPERM. Never suspends. */
static inline int async_process_kill(const async_process *process, int signo);

/* ---- streams: writing never waits, reading and flushing can be awaited or called back ----
 *
 * A stream owns its descriptor; idle, it holds no buffer. All functions take NULL: -EBADF. A read
 * that is cancelled or out of time loses nothing: what had come is there for the next, of whatever
 * kind. Where reads are said to fail as async_stream_read, nothing is lost either. */

/* Make a stream of an adopted descriptor. Returns it; or NULL, if there is no memory or `fd` is not
 * adopted or is a stream already, and `fd` is as before. Never suspends. */
static inline async_stream *async_stream_open(int fd);

/* Read up to `size` bytes: as async_read. Also -EBUSY (async_stream_on_data is set), -ENOMEM (for
 * reading ahead, which small reads do: many of them cost one system call). Suspends. Cancel point.
 * `data` must outlive the await. */
ASYNC__MUST_AWAIT static inline async_op async_stream_read(async_stream *stream, void *data,
                                                           size_t size);

/* Read all of `size` bytes. Returns `size`; fewer only if the peer ended before, 0 if at once; or
 * fails as async_stream_read (-ENOMEM: for as much again, so that a cancel can put back what has
 * come). Suspends. Cancel point. `data` must outlive the await. */
ASYNC__MUST_AWAIT static inline async_op async_stream_read_exactly(async_stream *stream, void *data,
                                                                   size_t size);

/* Read up to and including the separator. Returns how many bytes; the last ones before the peer's
 * end may lack the separator, and then there is 0. -EMSGSIZE (more than `size` bytes without it:
 * they are still there), -EINVAL (a separator that is empty or has 4 GiB), or as
 * async_stream_read. Suspends. Cancel point. `data` and `separator` must outlive the await. */
ASYNC__MUST_AWAIT static inline async_op async_stream_read_until(async_stream *stream, void *data,
                                                                 size_t size,
                                                                 const void *separator,
                                                                 size_t separator_size);

/* The same up to '\n', and a NUL behind it, which counts for `size` and not for the result. Where
 * nothing is read, `line` is "". -EINVAL: no room for that. Suspends. Cancel point. `line` must
 * outlive the await. */
ASYNC__MUST_AWAIT static inline async_op async_stream_read_line(async_stream *stream, char *line,
                                                                size_t size);

/* Send `size` bytes, now or as soon as the peer takes them; `data` is the caller's again at once.
 * The queue has no limit of its own: flush where the peer may be slow.
 * Returns 0, or -ENOMEM (none of it was taken), -EBADF (closed), -EBUSY (a task waits to write to
 * the descriptor), -EPIPE (after async_stream_write_eof), or the error that ended the stream
 * (-EPIPE, -ECONNRESET...). Never suspends. */
static inline int async_stream_write(async_stream *stream, const void *data, size_t size);

/* The same out of `count` pieces: one system call, where nothing is queued. Never suspends. */
static inline int async_stream_writev(async_stream *stream, const struct iovec *pieces,
                                      size_t count);

/* Send what is queued, then end our side: the peer reads an end, we can still read. Returns 0, or
 * -EBADF, -EBUSY as above, -ENOTSOCK (a pipe: close it), or the error that ended the stream. Never
 * suspends. */
static inline int async_stream_write_eof(async_stream *stream);

/* Wait while more than `high` bytes are queued, until at most `low` are (async_stream_set_limits);
 * both are 0 at first: until all that was written is with the system. Returns 0, or -EBADF, -EBUSY
 * (another task flushes), or the error that ended the stream. Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_stream_flush(async_stream *stream);

/* Set the two marks of async_stream_flush, in bytes; 4 GiB and more are one less. Returns 0, or
 * -EBADF, -EINVAL (`low` is above `high`). Never suspends. */
static inline int async_stream_set_limits(async_stream *stream, size_t high, size_t low);

/* Send what is still queued, then end our side and read on until the peer ends its own: only so is
 * the last reply safe. A peer that for 5 s takes nothing (over TCP less than 128 KiB), or has all
 * and does not end, is cut off. Whoever waits on the stream gets -EBADF. The stream is the loop's
 * from here on: do not use it again. Returns 0, or -EBADF, -EPERM (another process's loop). Never
 * suspends. */
static inline int async_stream_close(async_stream *stream);

/* async_stream_close, and wait until what was queued is with the system and our side has ended. Not
 * for the peer. Returns 0, or -EBADF, or the error that kept bytes from being sent. Cancelled, the
 * close goes on without you. Suspends. Cancel point. */
ASYNC__MUST_AWAIT static inline async_op async_stream_wait_closed(async_stream *stream);

/* Call back with each piece that arrives (size > 0, the bytes valid during the call), then once in
 * the stream's life with size 0 at the end or a negative errno. NULL stops. Returns 0, or -EBADF,
 * -EBUSY (somebody reads), -ENOMEM. Never suspends. */
static inline int async_stream_on_data(async_stream *stream,
                                       void (*callback)(async_stream *stream, const char *data,
                                                        ssize_t size));

/* Call back each time all that was written is with the system, and when that failed: `status` is 0
 * or a negative errno. Not after async_stream_close. Returns 0, or -EBADF. Never suspends. */
static inline int async_stream_on_written(async_stream *stream,
                                          void (*callback)(async_stream *stream, int status));

/* Call back once when the stream has closed; it is freed after that call. `status` is 0, or the
 * error that kept bytes from being sent. Streams that end with their loop are not called. Returns
 * 0, or -EBADF. Never suspends. */
static inline int async_stream_on_close(async_stream *stream,
                                        void (*callback)(async_stream *stream, int status));

/* ---- seeing ---- */

/* Print the tree of tasks: chains of awaits, what each waits for, how long (after 13 days it begins
 * anew). Never suspends. */
static inline void async_dump(FILE *out);

/* ----------------------------------------------------------------------------
 * MARK: - Coroutines
 * >>coroutines   async(pong, int client;) { async_begin; ... async_end; } becomes, roughly,
 *
 *     struct pong { async_frame async_; int client; };
 *     static int pong(struct pong *self)
 *     {
 *         switch (self->async_.line) {
 *         default: ...; break;                     a line that is none of these is a panic
 *         case 0: ...
 *         }
 *         ...; return ASYNC__RETURNED;
 *     }
 *
 * and on line 42, await(n, async_read(fd, p, size)) becomes
 *
 *         if (self->async_.line = 42, async__await(async_read(fd, p, size))) {
 *             return ASYNC__SUSPENDED;             the loop calls pong again when the read is done,
 *             case 42: case 42 + ASYNC__HIGH:;     and the switch brings it here
 *         }
 *         n = async__result();
 *
 * async_return stores the result and a line that means "leave", and calls the step once more: the
 * switch leads to the finally section, or out. (A jump back to the switch would keep clang from
 * warning about locals that are lost.)
 *
 * So plain locals are gone afterwards, and a line has one await. The second label exceeds what any
 * integer type of a user's holds: inside a `switch` of theirs it wraps onto the first, and
 * "duplicate case value" says so instead of a restart from the top that nobody notices. (tcc does
 * not tell; there the first resume panics.)
 * ------------------------------------------------------------------------- */
#if defined __SIZEOF_INT128__
__extension__ typedef unsigned __int128 async__state;
#define ASYNC__HIGH ((async__state)1 << 64)
#else
typedef uint64_t async__state;
#define ASYNC__HIGH ((async__state)1 << 32)
#endif

enum { ASYNC__RETURNED = 0x7a51, ASYNC__SUSPENDED = 0x7a52 }; /* what a step says; no `return n` */
enum { ASYNC__LEAVE = 0x7ffffffe, ASYNC__END = 0x7fffffff };  /* lines: to the finally, the end  */

#define async_begin \
    switch ((async__state)self->async_.line) { \
    default: \
        async__check_line(&self->async_); \
        break; \
    case 0: \
        (void)0

#define async_finally \
        if ((0)) { \
        case ASYNC__LEAVE: \
        case ASYNC__LEAVE + ASYNC__HIGH:; \
        } \
        async__enter_finally(&self->async_)

#define async_end \
    } \
    async__leave_frame(&self->async_); \
    return ASYNC__RETURNED

#define async_return(result) \
    do { \
        async__return(&self->async_, (result)); \
        return self->async_.type->step(self); \
    } while (0)

#define async_await(...) ASYNC__PICK_3(__VA_ARGS__, ASYNC__AWAIT_LIMIT, ASYNC__AWAIT_RESULT, \
                                       ASYNC__AWAIT, 0)(__VA_ARGS__)

#define ASYNC__AWAIT(operation) \
    do { \
        if (async__at(&self->async_, __LINE__), ASYNC__SUSPENDS(operation)) { \
            return ASYNC__SUSPENDED; \
        case __LINE__: \
        case __LINE__ + ASYNC__HIGH: \
            if (async__interrupted(&self->async_)) \
                return self->async_.type->step(self); \
        } \
    } while (0)

#define ASYNC__AWAIT_RESULT(lvalue, operation) \
    ASYNC__AWAIT_INTO(lvalue, async__at(&self->async_, __LINE__), operation)

#define ASYNC__AWAIT_LIMIT(lvalue, operation, timeout_ms) \
    ASYNC__AWAIT_INTO(lvalue, (async__at(&self->async_, __LINE__), \
                               async__limit(&self->async_, (timeout_ms))), \
                      async__settled(operation))

#define ASYNC__AWAIT_INTO(lvalue, before, operation) \
    do { \
        ASYNC__CHECK_RESULT(lvalue); \
        if (before, ASYNC__SUSPENDS(operation)) { \
            return ASYNC__SUSPENDED; \
        case __LINE__: \
        case __LINE__ + ASYNC__HIGH:; \
        } \
        (lvalue) = (__typeof__(lvalue))async__result(); \
    } while (0)

#ifndef ASYNC__SUSPENDS /* to an analyzer, `make lint` says that each await does */
#define ASYNC__SUSPENDS(operation) async__await(operation)
#endif

#define async_shield(operation) (async__shield(), async__settled(operation))

/* Declaring and defining. Fields may contain commas, and there may be none: the count chooses. */
#define async_coroutine(...) ASYNC__BY_COUNT(ASYNC__COROUTINE_FIELDS, ASYNC__COROUTINE_BARE, \
                                             __VA_ARGS__)(__VA_ARGS__)
#define ASYNC__COROUTINE_BARE(name) ASYNC__FRAME(name, ) ASYNC__BODY(static, static, name)
#define ASYNC__COROUTINE_FIELDS(name, ...) \
    ASYNC__FRAME(name, __VA_ARGS__) ASYNC__BODY(static, static, name)

/* async_declare(name, fields...); in a header, async_define(name) { ... } in one file. */
#define async_declare(...) ASYNC__BY_COUNT(ASYNC__DECLARE_FIELDS, ASYNC__DECLARE_BARE, \
                                           __VA_ARGS__)(__VA_ARGS__)
#define ASYNC__DECLARE_BARE(name) ASYNC__FRAME(name, ) ASYNC__C const async_type *name##_type(void)
#define ASYNC__DECLARE_FIELDS(name, ...) \
    ASYNC__FRAME(name, __VA_ARGS__) ASYNC__C const async_type *name##_type(void)
#define async_define(name) ASYNC__BODY(ASYNC__C, ASYNC__GLOBAL, name)

#define ASYNC__FRAME(name, ...) \
    struct name { \
        async_frame async_; \
        __VA_ARGS__ \
    }; \
    ASYNC__FRAME_NAME(name)

#define ASYNC__BODY(declaration, definition, name) \
    typedef struct name name##_frame_; \
    ASYNC__STATIC_ASSERT(sizeof(name##_frame_) <= 65536, name##_frame_exceeds_64_KiB); \
    ASYNC__STATIC_ASSERT(__alignof__(name##_frame_) <= 2 * sizeof(void *), \
                         name##_frame_is_over_aligned); \
    static int name(struct name *self); \
    static inline int name##_step(void *frame) \
    { \
        return name((struct name *)frame); \
    } \
    declaration const async_type *name##_type(void); \
    ASYNC__UNUSED definition const async_type *name##_type(void) \
    { \
        static const async_type type = { #name, __FILE__, name##_step, sizeof(struct name), \
                                         __LINE__ }; \
        return &type; \
    } \
    static int name(struct name *self)

/* The header's own, which a program that does not use them does not contain. */
#define ASYNC__COROUTINE(name, ...) \
    ASYNC__FRAME(name, __VA_ARGS__) \
    static inline int name(struct name *self); \
    ASYNC__BODY(static inline, static inline, name)

#define async_spawn(...) ASYNC__START(async__spawn, __VA_ARGS__, )
#define async_call(...) ASYNC__START(async__call, __VA_ARGS__, )
#define async_run(...) ASYNC__START(async__run, __VA_ARGS__, )
#ifdef __cplusplus
#define ASYNC__FRAME_NAME(name) typedef struct name name##_frame_; /* `name` alone: the function */
#define ASYNC__GLOBAL
#define ASYNC__START(verb, name, ...) \
    verb(name##_type(), async__temporary(name##_frame_{ .async_ = {}, __VA_ARGS__ }))
template <class frame> static inline const frame *async__temporary(const frame &temporary)
{ return &temporary; }
#else
#define ASYNC__FRAME_NAME(name)
#define ASYNC__GLOBAL
#define ASYNC__START(verb, name, ...) \
    verb(name##_type(), &(struct name){ .async_ = { 0 }, __VA_ARGS__ })
#endif

/* Chooses by the number of arguments: 1 or more; up to 64 of them. */
#define ASYNC__BY_COUNT(more, one, ...) \
    ASYNC__PICK_64(__VA_ARGS__, more, more, more, more, more, more, more, more, more, more, more, \
                   more, more, more, more, more, more, more, more, more, more, more, more, more, \
                   more, more, more, more, more, more, more, more, more, more, more, more, more, \
                   more, more, more, more, more, more, more, more, more, more, more, more, more, \
                   more, more, more, more, more, more, more, more, more, more, more, more, more, \
                   one, 0)
#define ASYNC__PICK_64(a1, a2, a3, a4, a5, a6, a7, a8, b1, b2, b3, b4, b5, b6, b7, b8, c1, c2, c3, \
                       c4, c5, c6, c7, c8, d1, d2, d3, d4, d5, d6, d7, d8, e1, e2, e3, e4, e5, e6, \
                       e7, e8, f1, f2, f3, f4, f5, f6, f7, f8, g1, g2, g3, g4, g5, g6, g7, g8, h1, \
                       h2, h3, h4, h5, h6, h7, h8, chosen, ...) chosen
#define ASYNC__PICK_3(a1, a2, a3, chosen, ...) chosen

/* A result may be a negative errno: an unsigned or narrow variable would hide it. */
#define ASYNC__CHECK_RESULT(lvalue) \
    ASYNC__STATIC_CHECK((__typeof__(lvalue))-1 < (__typeof__(lvalue))1 && \
                        sizeof(lvalue) >= sizeof(int), \
                        the_result_of_await_needs_a_signed_integer_of_at_least_int)
#ifdef __cplusplus
#define ASYNC__STATIC_CHECK(condition, words) static_assert(condition, #words)
#define ASYNC__STATIC_ASSERT(condition, words) static_assert(condition, #words)
#else
#define ASYNC__STATIC_CHECK(condition, words) \
    (void)sizeof(struct { int words : (condition) ? 1 : -1; })
#define ASYNC__STATIC_ASSERT(condition, words) struct words { int words : (condition) ? 1 : -1; }
#endif

#if !defined ASYNC_NO_SHORT_NAMES && (!defined __cplusplus || defined ASYNC_SHORT_NAMES)
#define async(...) async_coroutine(__VA_ARGS__)
#define await(...) async_await(__VA_ARGS__)
#endif

/* ----------------------------------------------------------------------------
 * MARK: - Seam
 * >>seam         Every system call, allocation and choice between tasks goes through one of these,
 *                so that a test can put another world beneath. In production they are nothing.
 * ------------------------------------------------------------------------- */
#ifndef ASYNC_SYS
#define ASYNC_SYS(call) call               /* system calls, clocks: ASYNC_SYS(read)(fd, data, n) */
#define ASYNC_MEM(call) call               /* malloc, calloc, realloc, free                      */
#define ASYNC_PICK(count) 0                /* which of `count` ready tasks is next: the first in */
#define ASYNC_TRACE(event, task) ((void)0) /* spawn, run, wait, wake, cancel, done               */
#define ASYNC_RESUME(task) ((void)0)       /* before each step                                   */
#endif

#ifndef ASYNC_PANIC
#define ASYNC_PANIC(text) (fputs(text, stderr), fflush(stderr), abort())
#endif
#ifndef ASYNC_WARN
#define ASYNC_WARN(text) ((void)fputs(text, stderr))
#endif

/* ----------------------------------------------------------------------------
 * MARK: - State
 * >>state        What the loop is made of. Structures refer to one another by slot, an index into
 *                the loop's table of handles: half a pointer, and it cannot dangle. Slot 0 is the
 *                root, the parent of tasks without one.
 * ------------------------------------------------------------------------- */
#define ASYNC__NEVER INT64_MAX
#define ASYNC__PENDING ((async_result)INT32_MIN) /* no count and no errno                        */
#define ASYNC__BUDGET 64             /* operations a task completes before the others' turn      */
#define ASYNC__CALLBACKS 0x20000000u /* slots from here on are callbacks                         */
#define ASYNC__CHUNK 256u            /* callbacks allocated at once                              */
#define ASYNC__EVENTS 128            /* events taken from the poller at once: a cache holds them */
#define ASYNC__LINGER_MS 5000        /* a closing stream's patience with a peer that is stuck    */
#define ASYNC__SCRATCH 65536         /* bytes handed to on_data at once, or kept spare, at most  */
#define ASYNC__AHEAD 4096            /* bytes that a read of fewer takes from the system at once */
#define ASYNC__DAY_NS INT64_C(86400000000000)
#define ASYNC__SLOW_NS 100000000     /* what a step may take before a debug build says so        */
#define ASYNC__STUBBORN 1000         /* awaits after its cancel that make a task worth a warning */

enum { ASYNC__TASK, ASYNC__CALLBACK, ASYNC__STREAM, ASYNC__CATCH, ASYNC__KINDS }; /* of item */

enum { /* what an item waits for; async__op_name has their names */
    ASYNC__RUNNING, ASYNC__BEGUN, ASYNC__READY, ASYNC__SLEEP, ASYNC__JOIN_CHILDREN,
    ASYNC__READABLE, ASYNC__WRITABLE, ASYNC__READ, ASYNC__WRITE, ASYNC__READV, ASYNC__WRITEV,
    ASYNC__ACCEPT, ASYNC__CONNECT, ASYNC__RECVFROM, ASYNC__SENDTO, ASYNC__STREAM_READ,
    ASYNC__STREAM_READ_EXACTLY, ASYNC__STREAM_READ_UNTIL, ASYNC__STREAM_READ_LINE, ASYNC__FLUSH,
    ASYNC__JOIN, ASYNC__JOIN_ALL, ASYNC__EVENT, ASYNC__SEMAPHORE, ASYNC__MUTEX, ASYNC__SEND,
    ASYNC__RECEIVE, ASYNC__SELECT, ASYNC__SIGNAL, ASYNC__PROCESS, ASYNC__OFFLOAD,
    ASYNC__CHILDREN, ASYNC__ENDED, ASYNC__SOON, ASYNC__AFTER, ASYNC__EVERY, ASYNC__IDLE
};

/* Flags of a frame. */
#define ASYNC__TIMED 1u    /* this await has a limit of its own                     */
#define ASYNC__SHIELDED 2u /* this await is shielded                                */
#define ASYNC__FINALLY 4u  /* in or past the finally section: shielded to the end   */
#define ASYNC__COVERED 8u  /* called from a shielded await: no cancel comes through */

/* Flags of an item. */
#define ASYNC__CANCELLED 1u /* a task that was told to end; a callback that must not be called */
#define ASYNC__KEPT 2u      /* its result stays until it is joined                             */
#define ASYNC__QUEUED 4u    /* in the queue of what can run (callbacks and streams)            */
#define ASYNC__NEEDED 8u    /* a callback that a closing loop needs                            */
#define ASYNC__EMPTY 4u     /* a task: with the result of its await nothing would be lost      */

/* Flags of a stream. */
#define ASYNC__CLOSING 8u  /* async_stream_close was called                    */
#define ASYNC__AT_END 32u  /* the peer has ended, or reading failed            */
#define ASYNC__WRITTEN 64u /* on_written is due                                */
#define ASYNC__EOF 128u    /* async_stream_write_eof: our end follows the queue */

/* Whatever the loop can run or wake. */
typedef struct async__item {
    union {
        struct async__item *next; /* in the queue of what can run                          */
        void *buffer;             /* while a task waits: what the operation is about       */
    } at;
    uint32_t slot;
    uint8_t op, flags;
    uint16_t kind : 4, stubborn : 12; /* stubborn: awaits since it was cancelled */
} async__item;

/* A task; its first coroutine's frame follows in the same block. 64 bytes where pointers have 8:
 * with a small frame that is a block of 128, up to which glibc's malloc is at its fastest. */
typedef struct async__task {
    async__item item;
    async_frame *leaf;   /* the coroutine that runs or waits                                   */
    async_result result; /* of the operation; while it waits, bytes moved, or where a datagram's
                            address or a channel's item is; at last, the task's                */
    union {
        struct {
            size_t size; /* of the buffer, or of the array of pieces or cases */
            int fd;
        } io;
        struct {
            char *data;
            size_t size;
            size_t done; /* of a large block: bytes that are in `data` already; else the separator
                            does not begin in so many bytes */
        } read;          /* from a stream */
        async__waiter waiter; /* its place in a queue */
    } on;
    async__waiter *joiners; /* those who wait for this one */
} async__task;

/* A callback; 64 bytes where pointers have 8. They are not in the table but in chunks that never
 * move: to stop one of a million timers touches one line of memory, not three. */
typedef struct async__callback {
    async__item item;            /* op is 0 when it is free; at.next: the next free one */
    uint32_t generation, timer;  /* as in async__slot                                   */
    int64_t due_ns, interval_ns; /* of async_every                                      */
    void *data;
    union {
        void (*plain)(void *data);
        void (*ready)(int fd, void *data); /* if fd is not -1 */
    } call;
    int fd;
} async__callback;

/* What a thread of the pool does for a task; or what was posted. */
typedef struct async__job {
    async__waiter waiter; /* its place in a queue; slot: the task that waits, 0: posted */
    union {
        async_result (*function)(void *data);
        void (*callback)(void *data);
    } call;
    union {
        void *data;
        async_result result; /* when it is done */
    } with;
    int is_running; /* atomic */
} async__job;

/* Bytes on their way: [first, last) of the `capacity` that follow it in memory. */
typedef struct async__block {
    size_t first, last, capacity;
} async__block;

struct async_stream {
    void *data; /* yours */
    async__item item;
    int fd;                      /* negative once it is closed                                   */
    int error;                   /* what ended it, a negative errno                              */
    async__waiter *flusher;      /* the task that waits for the queue to drain, or for the close */
    async__block *queue, *input; /* still to be written; received and not read                   */
    const char *separator;       /* the reader's                                                 */
    uint32_t separator_size, high, low;
    uint32_t generation;         /* of the descriptor: with another one, it is not ours any more */
    void (*on_data)(async_stream *stream, const char *data, ssize_t size);
    void (*on_written)(async_stream *stream, int status);
    void (*on_close)(async_stream *stream, int status);
};

/* How an operation on a descriptor is tried; see >>operations. */
typedef async_result async__attempt(async_loop *loop, async__task *task);

/* What the loop does with the items that are not tasks. A kind is known to the loop from its first
 * use on: a program that has no streams does not contain them. */
typedef struct async__kind {
    void (*run)(async_loop *loop, async__item *item);                 /* its turn in the queue    */
    void (*ready)(async_loop *loop, async__item *item, unsigned bits); /* its descriptor is       */
    void (*due)(async_loop *loop, async__item *item);                 /* its timer has come       */
    void (*drop)(async_loop *loop, async__item *item);                /* cancelled, or fd is gone */
    void (*free)(async__item *item);                                  /* the loop goes; or NULL   */
    void (*leave)(async_loop *loop, async__task *task);               /* no more waits for it     */
} async__kind;

/* A place in the table of handles. The tree of tasks is here, too: a walk through it touches no
 * task. A task's children are a list, the youngest first. */
typedef struct async__slot {
    async__item *item;   /* NULL: free                                                            */
    uint32_t generation; /* 1 to 2^31 - 1; another for each item that lives here                  */
    uint32_t timer;      /* the number of its armed timer, 0: none; when free: the next free slot */
    uint32_t parent, child, older, younger; /* slots of tasks; 0: nobody, or the root             */
} async__slot;

typedef struct async__timer {
    int64_t deadline_ns;
    uint32_t order; /* its number; equal deadlines: first in, first out */
    uint32_t slot;
} async__timer;

/* Kinds of descriptor: how they are read and written, whether a short read means drained. */
enum {
    ASYNC__FILE,         /* always ready, unknown to the poller: regular files... */
    ASYNC__OTHER,        /* read to EAGAIN: terminals, devices...                 */
    ASYNC__SOCKET,       /* read to EAGAIN: datagrams, other listeners            */
    ASYNC__DATAGRAM_V6,  /* likewise; it knows IPv4 addresses as mapped ones only */
    ASYNC__STREAM_TCP,   /* short means drained; or a listener that accepts such  */
    ASYNC__STREAM_UNIX,  /* likewise, unless descriptors came along               */
    ASYNC__PIPE          /* likewise, and no socket                               */
};

/* Bits of a descriptor. R and W are sticky: set by events, generously; cleared by EAGAIN, or by a
 * short count where that proves the same. A bit set wrongly costs one EAGAIN, one cleared wrongly
 * hangs a task. */
#define ASYNC__R 1u
#define ASYNC__W 2u
#define ASYNC__HUP 4u         /* hung up, or half so: a short read proves nothing any more  */
#define ASYNC__ADOPTED 8u     /* the slot is in use                                         */
#define ASYNC__WRITES 16u     /* the poller watches for writes as well                      */
#define ASYNC__OWNED 32u      /* made by async.h: closed with the loop                      */
#define ASYNC__BLOCKING 64u   /* was blocking before: to be given back so                   */
#define ASYNC__RETRY 384u     /* R and W << 7: out of descriptors or of buffers, or no      */
                              /* event will tell: the next try is at backoff_end_ns         */
#define ASYNC__STREAMED 512u  /* a stream's: async_close refuses it                         */
#define ASYNC__INHERITED 1024u /* a child was to have it: to be given back so               */
#define ASYNC__WARNED 2048u   /* said: no descriptor is left; until accept finds no backlog */
#define ASYNC__LEAVING 4096u  /* a closing stream's: nobody else may use it                 */
#define ASYNC__SHARED 8192u   /* with ASYNC__RETRY: had its share, the next turn goes on    */

typedef struct async__descriptor {
    uint32_t generation;     /* of the registration: an event with another one is stale  */
    uint32_t identity;       /* of the file behind the number, 0: not asked              */
    uint32_t reader, writer; /* slots of the items that wait, 0: nobody                  */
    uint16_t bits;
    uint8_t error, kind;     /* error: an errno that came with an event of kqueue's, or 0 */
} async__descriptor;

struct async_loop {
    const struct async__backend *backend;
    void *events;    /* poll's array                                                     */
    int poller;      /* epoll's or kqueue's descriptor, or -1                            */
    int32_t process; /* who opened it: a child must not use it                           */

    async__task *task;    /* the one that runs, or &root                                 */
    async_result pending; /* ASYNC__PENDING where no compiler sees it: an operation that */
                          /* "always suspends" would hide lost locals                    */
    int budget;           /* operations it may still complete before the others' turn    */
    int told;             /* 1: it may have been told to end; 2: but this await was shielded */
    uint8_t running, stopped;
    uint8_t closing;      /* 2: no task runs any more                                    */
    char *stack_base;     /* the C stack from here to the running function is the coroutines' */
    int64_t own_limit_ns; /* of the await that is being evaluated                        */

    const async__kind *kinds[ASYNC__KINDS]; /* those in use                              */
    struct async__trace *trace;     /* NULL unless ASYNC_TRACE_FILE is set               */
    struct async__threads *threads; /* NULL until they are used                          */
    struct async__signals *signals; /* likewise                                          */
    void (*select)(async_loop *loop, async__task *task, async__waiter *waiter,
                   async_result result); /* likewise: async__selected                    */
    async__attempt *attempts[ASYNC__FLUSH]; /* of operations on descriptors and streams: likewise */
    int (*join_next)(async_loop *loop, async__task *task); /* likewise                   */
    async__item *first, **last; /* what can run                                          */
    async__item *batch;         /* what of it has its turn now; newcomers wait for the next */
    uint32_t resumes;           /* since the poller was asked                            */

    async__slot *slots;
    async__callback **chunks;
    async__item *free_callback;
    const char **names; /* by slot; NULL until async_name is used                        */
    uint32_t slot_count, slot_capacity, free_slot, callback_count, name_capacity;

    async__timer *heap; /* [1, heap_count]; room for two a slot, so arming never allocates */
    uint32_t heap_count, heap_dead, next_order;

    async__descriptor *descriptors; /* by number                                         */
    uint32_t descriptor_count;
    uint32_t waiting;       /* readers and writers, of all descriptors                   */
    int64_t retry_ns;       /* when to try again what was put off                        */
    int64_t backoff_end_ns; /* likewise, but for what had its share                      */
    int64_t backoff_ns;     /* the pause before that                                     */
    int64_t now_ns;         /* the clock as of this batch                                */
    int64_t step_ns;        /* in debug builds: as of this step                          */
    uintptr_t slow[16];     /* likewise: the places where one took too long              */

    uint32_t live;            /* tasks that have not ended                               */
    uint32_t draining;        /* closing streams with a queue: the end waits for them too */
    uint32_t main_slot;       /* of async_run's task, 0: none                            */
    async_result main_result;
    int failed;               /* what a wait said: every operation fails with it now     */

    async__block *spare; /* an empty one, for the next stream that needs one             */
    char *scratch;       /* what arrives for on_data                                     */
    async__task root;
};

/* A trace, and what of it is not in the file yet. */
typedef struct async__trace {
    int fd, used;
    char text[65536];
} async__trace;

/* What a loop and other threads share: all of it but the functions is under the lock. */
enum { ASYNC__POOL = 4, ASYNC__LOOKUPS = 64 }; /* threads, at most */
typedef struct async__threads {
    pthread_mutex_t lock;
    pthread_cond_t work;          /* there are jobs, or the pool closes                 */
    async__waiter *jobs, *done;   /* queues: to be run; that were, or are posted        */
    int ends[2];                  /* a pipe: there is a byte in it while `done` is not empty */
    unsigned queued, idle, count; /* jobs, threads without one, threads                 */
    int is_closing;
    pthread_t pool[ASYNC__POOL];
    unsigned references; /* the loop and the lookups under way: the last of them frees  */
    unsigned users;      /* of the loop alone: reasons to wait for the pipe             */
    async_handle reader; /* likewise: who reads it                                      */
    async_semaphore lookups; /* likewise: how many more may begin                       */
    struct async__lookup *left; /* likewise: under way, and not needed any more         */
    int (*withdraw)(async_loop *loop, async__task *task);
    void (*close)(async_loop *loop);
} async__threads;

/* What a signal handler must find, and nothing but a variable leads to: see >>signals. */
typedef struct async__process {
    int id;                             /* a child after fork() has another                  */
    int lock;                           /* the id of the process one of whose threads has it */
    int handlers;                       /* running now: what they look at must not go yet    */
    struct async__signals *loops;       /* that catch signals                                */
    struct async__disposition *changed; /* what signals did that are caught now              */
    void (*renew)(void);                /* in a child: they do it again; NULL: not used yet  */
} async__process;

/* The thread's loop, and the record for signals: the only variables at file scope, one per program
 * because they are weak. (glibc hides `__attribute__` from tcc, not `__attribute`.) */
ASYNC__C ASYNC__THREAD async_loop *async__current;
__attribute((weak, visibility("default"))) ASYNC__THREAD async_loop *async__current;
ASYNC__C async__process async__this_process;
__attribute((weak, visibility("default"))) async__process async__this_process;

/* Where a coroutine waits or last did; before and after that, where it is defined. */
static inline unsigned async__line(const async_frame *frame)
{
    return frame->line - 1 < ASYNC__LEAVE - 1 ? frame->line : frame->type->line;
}

/* Misuse by the programmer: say where, and stop. */
ASYNC__RARE ASYNC__NORETURN static inline void async__panic(const char *why)
{
    async_loop *loop = async__current;
    async_frame *frame = loop ? loop->task->leaf : NULL;
    char text[512];
    if (frame)
        snprintf(text, sizeof text, "async: panic: %s\n  in %s, %s:%u%s\n", why, frame->type->name,
                 frame->type->file, async__line(frame),
                 !frame->line                   ? ", before its first await"
                 : frame->line >= ASYNC__LEAVE ? ", after its last await" : "");
    else
        snprintf(text, sizeof text, "async: panic: %s\n  outside a coroutine\n", why);
    ASYNC_PANIC(text);
    abort(); /* for a panic that returns */
}

/* Something odd: one line, with the coroutine that did it. */
ASYNC__RARE static inline void async__warn(const char *what, const async_frame *frame)
{
    char text[512];
    snprintf(text, sizeof text, "async: %s%s%s%s%s\n", what, frame ? ": " : "",
             frame ? frame->type->name : "", frame ? ", " : "", frame ? frame->type->file : "");
    ASYNC_WARN(text);
}

/* The others had to wait; said once for each place, and for the first few of them. */
ASYNC__RARE static inline void async__warn_slow(async_loop *loop, long took_ms, uintptr_t place,
                                                const async_frame *frame, unsigned line)
{
    size_t i = 0, most = sizeof loop->slow / sizeof *loop->slow;
    char text[512];
    while (i < most && loop->slow[i] && loop->slow[i] != place)
        i++;
    if (i == most || loop->slow[i])
        return;
    loop->slow[i] = place;
    if (frame)
        snprintf(text, sizeof text, "async: %s() held the loop for %ld ms, after %s:%u\n",
                 frame->type->name, took_ms, frame->type->file, line);
    else
        snprintf(text, sizeof text, "async: a callback held the loop for %ld ms: %p\n", took_ms,
                 (void *)place);
    ASYNC_WARN(text);
}

/* A step is over, `line` where it began. */
static inline void async__time_step(async_loop *loop, uintptr_t place, const async_frame *frame,
                                    unsigned line)
{
    int64_t start_ns = loop->step_ns;
    loop->step_ns = async_now();
    if (loop->step_ns - start_ns > ASYNC__SLOW_NS)
        async__warn_slow(loop, (long)((loop->step_ns - start_ns) / 1000000), place, frame, line);
}

static inline async_loop *async__loop(void)
{
    if (ASYNC__EXPECT(!async__current, 0))
        async__panic("no loop is open in this thread: async_open() or async_run() comes first");
    return async__current;
}

static inline int64_t async_now(void)
{
    struct timespec now;
    ASYNC_SYS(clock_gettime)(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The moment `delay_ms` from now, by a fresh clock: a stale one would be early. Saturates. */
static inline int64_t async__from_now(int64_t delay_ms)
{
    int64_t now = async_now();
    if (delay_ms <= 0)
        return now;
    return delay_ms > (ASYNC__NEVER - 1 - now) / 1000000 ? ASYNC__NEVER - 1
                                                         : now + delay_ms * 1000000;
}

/* A loop that was inherited by fork must not touch the kernel objects it shares with the parent. */
ASYNC__RARE static inline int async__is_foreign(const async_loop *loop)
{
    return loop->process != (int32_t)ASYNC_SYS(getpid)();
}

/* ----------------------------------------------------------------------------
 * MARK: - Table of handles
 * >>table        A handle is (generation << 32 | slot). The table and the heap of timers grow
 *                together and only here, when something is made: so nothing that exists can fail
 *                for lack of memory.
 * ------------------------------------------------------------------------- */
static inline async__callback *async__callback_at(const async_loop *loop, uint32_t slot)
{
    uint32_t index = slot - ASYNC__CALLBACKS;
    return &loop->chunks[index / ASYNC__CHUNK][index % ASYNC__CHUNK];
}

static inline async__item *async__item_at(const async_loop *loop, uint32_t slot)
{
    return slot < ASYNC__CALLBACKS ? loop->slots[slot].item : &async__callback_at(loop, slot)->item;
}

static inline async__task *async__task_at(const async_loop *loop, uint32_t slot)
{
    return (async__task *)(void *)loop->slots[slot].item;
}

/* Where the number of a slot's armed timer is kept. */
static inline uint32_t *async__timer_of(const async_loop *loop, uint32_t slot)
{
    return slot < ASYNC__CALLBACKS ? &loop->slots[slot].timer
                                   : &async__callback_at(loop, slot)->timer;
}

static inline int64_t async__handle(uint32_t slot, uint32_t generation)
{
    return (int64_t)((uint64_t)generation << 32 | slot);
}

static inline int64_t async__task_handle(const async_loop *loop, const async__task *task)
{
    return async__handle(task->item.slot, loop->slots[task->item.slot].generation);
}

/* The item of a handle, NULL if it is gone. */
static inline async__item *async__find(const async_loop *loop, int64_t handle)
{
    uint32_t slot = (uint32_t)handle, generation = (uint32_t)(handle >> 32);
    if (handle <= 0 || slot == 0)
        return NULL;
    if (slot < loop->slot_count)
        return loop->slots[slot].generation == generation ? loop->slots[slot].item : NULL;
    if (slot < ASYNC__CALLBACKS || slot - ASYNC__CALLBACKS >= loop->callback_count)
        return NULL;
    return async__callback_at(loop, slot)->generation == generation
               ? &async__callback_at(loop, slot)->item : NULL;
}

static inline async__task *async__find_task(const async_loop *loop, async_task handle)
{
    async__item *item = async__find(loop, handle);
    return item && item->kind == ASYNC__TASK ? (async__task *)(void *)item : NULL;
}

/* Room for two timers a slot, should there be so many of them. Returns 0 or -ENOMEM. */
ASYNC__RARE static inline int async__heap_grow(async_loop *loop, uint32_t slots)
{
    size_t capacity = (size_t)slots * 2 + 64;
    async__timer *heap = (async__timer *)ASYNC_MEM(realloc)(loop->heap, capacity * sizeof *heap);
    if (!heap)
        return -ENOMEM;
    loop->heap = heap;
    return 0;
}

/* Make room for twice as many. Returns 0 or -ENOMEM, and then nothing has changed. */
ASYNC__RARE static inline int async__table_grow(async_loop *loop)
{
    uint32_t capacity = loop->slot_capacity ? loop->slot_capacity * 2 : 64;
    async__slot *slots;
    if (capacity >= ASYNC__CALLBACKS)
        return -ENOMEM;
    slots = (async__slot *)ASYNC_MEM(realloc)(loop->slots, capacity * sizeof *slots);
    if (!slots)
        return -ENOMEM;
    loop->slots = slots;
    if (async__heap_grow(loop, capacity + loop->callback_count) < 0)
        return -ENOMEM;
    loop->slot_capacity = capacity;
    return 0;
}

/* A handle of an earlier loop names nothing in this one: generations begin where the clock stands,
 * and no place is used anew within 16 ns. */
static inline uint32_t async__first_generation(const async_loop *loop)
{
    return ((uint32_t)(loop->now_ns >> 4) & INT32_MAX) | 1;
}

/* Give an item a slot. Returns its handle or -ENOMEM. */
static inline int64_t async__enroll(async_loop *loop, async__item *item)
{
    uint32_t slot = loop->free_slot;
    if (slot) {
        loop->free_slot = loop->slots[slot].timer;
    } else {
        if (loop->slot_count == loop->slot_capacity && async__table_grow(loop) < 0)
            return -ENOMEM;
        slot = loop->slot_count++;
        loop->slots[slot].generation = async__first_generation(loop);
    }
    loop->slots[slot].item = item;
    loop->slots[slot].timer = 0;
    loop->slots[slot].child = 0;
    item->slot = slot;
    return async__handle(slot, loop->slots[slot].generation);
}

static inline void async__dismiss(async_loop *loop, uint32_t slot)
{
    async__slot *place = &loop->slots[slot];
    place->item = NULL;
    place->generation = place->generation == INT32_MAX ? 1 : place->generation + 1;
    place->timer = loop->free_slot;
    loop->free_slot = slot;
    if (slot < loop->name_capacity)
        loop->names[slot] = NULL;
}

/* ----------------------------------------------------------------------------
 * MARK: - Timers
 * >>timers       A heap with four children to a node and the keys in the array. Most timers are
 *                limits that are never reached, so stopping one only forgets its number: the entry
 *                stays, dead, until it comes to the top or until half of the heap is dead and the
 *                living are sorted anew. Neither starting nor stopping searches.
 * ------------------------------------------------------------------------- */
static inline int async__timer_before(const async__timer *a, const async__timer *b)
{
    return a->deadline_ns < b->deadline_ns ||
           (a->deadline_ns == b->deadline_ns && (int32_t)(a->order - b->order) < 0);
}

static inline int async__timer_lives(const async_loop *loop, const async__timer *timer)
{
    return *async__timer_of(loop, timer->slot) == timer->order;
}

/* The children of k are 4k-2 to 4k+1, its parent is (k+2)/4; the root is 1. */
static inline void async__timer_up(async_loop *loop, uint32_t place, async__timer timer)
{
    for (; place > 1 && async__timer_before(&timer, &loop->heap[(place + 2) / 4]);
         place = (place + 2) / 4)
        loop->heap[place] = loop->heap[(place + 2) / 4];
    loop->heap[place] = timer;
}

static inline void async__timer_down(async_loop *loop, uint32_t place, async__timer timer)
{
    for (;;) {
        uint32_t child = 4 * place - 2, end = child + 4, least = child;
        if (child > loop->heap_count)
            break;
        if (end > loop->heap_count + 1)
            end = loop->heap_count + 1;
        while (++child < end)
            if (async__timer_before(&loop->heap[child], &loop->heap[least]))
                least = child;
        if (!async__timer_before(&loop->heap[least], &timer))
            break;
        loop->heap[place] = loop->heap[least];
        place = least;
    }
    loop->heap[place] = timer;
}

/* Drop the dead, and make a heap of the rest. */
ASYNC__RARE static inline void async__timers_sort(async_loop *loop)
{
    uint32_t i, count = 0;
    for (i = 1; i <= loop->heap_count; i++)
        if (async__timer_lives(loop, &loop->heap[i]))
            loop->heap[++count] = loop->heap[i];
    loop->heap_count = count;
    loop->heap_dead = 0;
    for (i = (count + 2) / 4; i; i--)
        async__timer_down(loop, i, loop->heap[i]);
}

static inline void async__timer_stop(async_loop *loop, uint32_t slot)
{
    uint32_t *timer = async__timer_of(loop, slot);
    loop->heap_dead += *timer != 0;
    *timer = 0;
}

/* Arm a slot's timer, which must not be armed. The heap has room for two timers a slot: with as
 * many dead as alive, it is sorted, which is one step for each timer started since. */
static inline void async__timer_start(async_loop *loop, uint32_t slot, int64_t deadline_ns)
{
    async__timer timer;
    if (++loop->next_order < ASYNC__CALLBACKS) { /* at first; wrapped, a dead one may seem alive */
        async__timers_sort(loop);
        loop->next_order = ASYNC__CALLBACKS; /* no slot has it: where free, `timer` is a slot */
    }
    if (loop->heap_dead > 32 && loop->heap_dead > loop->heap_count / 2)
        async__timers_sort(loop);
    timer.deadline_ns = deadline_ns;
    timer.order = loop->next_order;
    timer.slot = slot;
    *async__timer_of(loop, slot) = timer.order;
    async__timer_up(loop, ++loop->heap_count, timer);
}

/* The nearest timer, NULL if none is armed. */
static inline const async__timer *async__timer_next(async_loop *loop)
{
    while (loop->heap_count && !async__timer_lives(loop, &loop->heap[1])) {
        async__timer last = loop->heap[loop->heap_count--];
        loop->heap_dead--;
        if (loop->heap_count)
            async__timer_down(loop, 1, last);
    }
    return loop->heap_count ? &loop->heap[1] : NULL;
}

/* ----------------------------------------------------------------------------
 * MARK: - The queue of what can run
 * >>ready
 * ------------------------------------------------------------------------- */
static inline void async__push(async_loop *loop, async__item *item)
{
    *loop->last = item;
    loop->last = &item->at.next;
}

static inline int async__is_ready(const async_loop *loop)
{
    return loop->batch || loop->last != &loop->first;
}

/* All that waits for its turn, or NULL. */
static inline async__item *async__next_batch(async_loop *loop)
{
    *loop->last = NULL;
    loop->last = &loop->first;
    return loop->first;
}

/* For tests only: how many there are to choose from. */
ASYNC__UNUSED static inline size_t async__batch_size(const async__item *batch)
{
    size_t count = 0;
    for (; batch; batch = batch->at.next)
        count++;
    return count;
}

/* Take the next of a batch, which must not be empty: the first, but where a test chooses. */
static inline async__item *async__take(async__item **batch)
{
    async__item **place = batch, *item;
    size_t skip;
    for (skip = (size_t)ASYNC_PICK(async__batch_size(*batch)); skip; skip--)
        place = &(*place)->at.next;
    item = *place;
    *place = item->at.next;
    return item;
}

/* The running task goes on with the next turn: it is queued when it has suspended. */
static inline void async__postpone(async__task *task, async_result result)
{
    task->result = result;
    task->item.op = ASYNC__READY;
    task->item.flags &= 0xff & ~ASYNC__EMPTY;
}

/* The task can go on: with this result of what it awaited. */
ASYNC__ONCE void async__wake(async_loop *loop, async__task *task, async_result result)
{
    async__timer_stop(loop, task->item.slot);
    async__postpone(task, result);
    if (task == loop->task)
        return;
    async__push(loop, &task->item);
    ASYNC_TRACE(wake, task);
}

/* A callback or a stream has something to do; once in the queue is enough. */
static inline void async__call_soon(async_loop *loop, async__item *item)
{
    if (item->flags & ASYNC__QUEUED)
        return;
    item->flags |= ASYNC__QUEUED;
    async__push(loop, item);
}

/* ----------------------------------------------------------------------------
 * MARK: - Descriptors
 * >>descriptors  One entry per number. The poller is told about a descriptor once, edge-triggered,
 *                and what it reports sets the sticky bits; an operation looks at the bit, tries,
 *                and waits only after an EAGAIN. Writes are watched from the first EAGAIN on: a
 *                Unix socket would report each message its peer reads.
 * ------------------------------------------------------------------------- */

/* A backend is four verbs. A descriptor is added once and removed before it is closed; `wait` hands
 * each event to async__event(), which sets the bits. */
typedef struct async__backend {
    const char *name;
    int is_inherited;                                    /* by fork(2): the poller               */
    int (*open)(async_loop *loop);                       /* 0 or -errno; NULL: nothing to open   */
    int (*add)(async_loop *loop, int fd, unsigned bits); /* R: new; W: writes too. Returns 0 or
                                                            -errno; -EPERM: always ready         */
    void (*remove)(async_loop *loop, int fd);            /* or NULL; errors are of no interest   */
    int (*wait)(async_loop *loop, int64_t timeout_ns);   /* 0 or -errno; negative: for ever      */
} async__backend;

static inline void async__rouse(async_loop *loop, int fd, uint32_t slot, unsigned bits);
static inline void async__abandon(async_loop *loop, uint32_t slot);

/* An adopted descriptor's entry, or NULL. */
static inline async__descriptor *async__descriptor_of(const async_loop *loop, int fd)
{
    if ((uint32_t)fd >= loop->descriptor_count || !(loop->descriptors[fd].bits & ASYNC__ADOPTED))
        return NULL;
    return &loop->descriptors[fd];
}

/* May a task or a callback use this descriptor? 0; or a negative `fd` itself; or -EBADF. */
static inline int async__unusable(const async_loop *loop, int fd)
{
    const async__descriptor *descriptor;
    if (fd < 0)
        return fd;
    descriptor = async__descriptor_of(loop, fd);
    return descriptor && !(descriptor->bits & ASYNC__LEAVING) ? 0 : -EBADF;
}

/* Somebody waits, or does not any more. */
static inline void async__attend(async_loop *loop, uint32_t *waiter, uint32_t slot)
{
    *waiter = slot;
    loop->waiting++;
}

static inline void async__desert(async_loop *loop, uint32_t *waiter)
{
    *waiter = 0;
    loop->waiting--;
}

/* The directions, R and W, in which nothing is tried before retry_ns. */
static inline unsigned async__later(const async__descriptor *descriptor)
{
    return (descriptor->bits & ASYNC__RETRY) >> 7;
}

/* Retry what waits to read, to write; `bits` has ASYNC__RETRY if no event says it may succeed. An
 * accept may move the table: hold no pointer into it. */
static inline void async__rouse_both(async_loop *loop, int fd, unsigned bits)
{
    if ((bits & ASYNC__R) && loop->descriptors[fd].reader)
        async__rouse(loop, fd, loop->descriptors[fd].reader, bits & ~ASYNC__W);
    if ((bits & ASYNC__W) && loop->descriptors[fd].writer)
        async__rouse(loop, fd, loop->descriptors[fd].writer, bits & ~ASYNC__R);
}

/* Called by the backends for each event. Sets bits and retries what waits for them; runs no user's
 * code. A descriptor may go away under the walk (a failed connect, a closing stream), a new one
 * under its number has another generation. Says whether it was such a ghost's. */
static inline int async__event(async_loop *loop, int fd, uint32_t generation, unsigned bits,
                               int error)
{
    async__descriptor *descriptor = async__descriptor_of(loop, fd);
    if (!descriptor || descriptor->generation != generation)
        return 1;
    descriptor->bits = (uint16_t)(descriptor->bits | bits);
    if (error)
        descriptor->error = (uint8_t)error;
    if (!(bits & ASYNC__HUP)) /* a failed send can be an edge itself: it would be tried for ever */
        bits &= ~async__later(descriptor);
    async__rouse_both(loop, fd, bits);
    return 0;
}

/* Does the system say, right now, that a read (a write) would not block? Where it cannot say, yes:
 * a try costs one EAGAIN, and after a wrong "no" there is no event. */
static inline int async__poll_now(int fd, short events)
{
    struct pollfd entry;
    int count;
    memset(&entry, 0, sizeof entry);
    entry.fd = fd;
    entry.events = events;
    do
        count = ASYNC_SYS(poll)(&entry, 1, 0);
    while (count < 0 && errno == EINTR);
    return count != 0;
}

/* Room for the entry of `fd`. Returns 0 or -ENOMEM. */
ASYNC__RARE static inline int async__descriptors_grow(async_loop *loop, int fd)
{
    uint32_t count = loop->descriptor_count ? loop->descriptor_count : 64;
    async__descriptor *descriptors;
    while (count <= (uint32_t)fd)
        count *= 2;
    if (count == loop->descriptor_count)
        return 0;
    descriptors = (async__descriptor *)ASYNC_MEM(calloc)(count, sizeof *descriptors);
    if (!descriptors)
        return -ENOMEM;
    if (loop->descriptors) /* not realloc, then memset: what is not in use takes no memory yet */
        memcpy(descriptors, loop->descriptors, loop->descriptor_count * sizeof *descriptors);
    ASYNC_MEM(free)(loop->descriptors);
    loop->descriptors = descriptors;
    loop->descriptor_count = count;
    return 0;
}

static inline uint32_t async__identity(const struct stat *status)
{
    uint64_t both = (uint64_t)status->st_ino * 31 + (uint64_t)status->st_dev;
    return (uint32_t)(both ^ both >> 32) | 1;
}

/* Forget a descriptor: who waits on it gets -EBADF. From here on its number may be anything. */
ASYNC__RARE static inline void async__release(async_loop *loop, int fd)
{
    async__descriptor *descriptor = &loop->descriptors[fd];
    uint32_t reader = descriptor->reader, writer = descriptor->writer;
    if (descriptor->kind != ASYNC__FILE && loop->backend->remove)
        loop->backend->remove(loop, fd);
    if (reader)
        async__desert(loop, &descriptor->reader);
    if (writer)
        async__desert(loop, &descriptor->writer);
    descriptor->bits = 0;
    async__abandon(loop, reader);
    async__abandon(loop, writer);
    if (loop->backoff_end_ns != ASYNC__NEVER)
        loop->retry_ns = loop->backoff_end_ns = loop->now_ns; /* a number is free again */
}

static inline int async__is_socket(int kind)
{
    return kind >= ASYNC__SOCKET && kind != ASYNC__PIPE;
}

/* Register a descriptor that is non-blocking already. Returns 0 or a negative errno. */
ASYNC__RARE static inline int async__register(async_loop *loop, int fd, int kind, unsigned bits)
{
    async__descriptor *descriptor;
    int error = async__descriptors_grow(loop, fd);
    if (error)
        return error;
    descriptor = &loop->descriptors[fd];
    if (descriptor->bits & ASYNC__ADOPTED) { /* closed with close(2), and its number given away */
        if (ASYNC_DEBUG)
            async__warn("an adopted descriptor was closed with close(2) instead of async_close",
                        NULL);
        async__release(loop, fd);
    }
    descriptor->generation++;
    descriptor->kind = (uint8_t)kind;
    descriptor->bits = (uint16_t)(bits | ASYNC__ADOPTED);
    descriptor->error = 0;
    if (kind != ASYNC__FILE)
        error = loop->backend->add(loop, fd,
                                   (bits & ASYNC__WRITES) ? ASYNC__R | ASYNC__W : ASYNC__R);
    if (error == -EPERM && !async__is_socket(kind)) { /* a socket that nobody watches is an error */
        descriptor->kind = ASYNC__FILE;
        error = 0;
    }
    if (error)
        descriptor->bits = 0;
    return error;
}

ASYNC__RARE static inline int async__kind_of_socket(int family, int type)
{
    if (type == SOCK_DGRAM && family == AF_INET6)
        return ASYNC__DATAGRAM_V6;
    if (type != SOCK_STREAM || (family != AF_UNIX && family != AF_INET && family != AF_INET6))
        return ASYNC__SOCKET;
    return family == AF_UNIX ? ASYNC__STREAM_UNIX : ASYNC__STREAM_TCP;
}

/* What cannot be found out stays 0, which is read to EAGAIN. */
ASYNC__RARE static inline int async__socket_kind(int fd)
{
    int type = 0;
    socklen_t type_size = sizeof type, size = sizeof(async_address);
    async_address address;
    memset(&address, 0, sizeof address);
    ASYNC_SYS(getsockopt)(fd, SOL_SOCKET, SO_TYPE, &type, &type_size);
    ASYNC_SYS(getsockname)(fd, &address.is.any, &size);
    return async__kind_of_socket(address.is.any.sa_family, type);
}

ASYNC__RARE static inline int async__kind_of(int fd, const struct stat *status)
{
    if (S_ISREG(status->st_mode) || S_ISDIR(status->st_mode) || S_ISBLK(status->st_mode))
        return ASYNC__FILE;
    if (S_ISFIFO(status->st_mode))
        return ASYNC__PIPE;
    return S_ISSOCK(status->st_mode) ? async__socket_kind(fd) : ASYNC__OTHER;
}

/* `flag` is O_NONBLOCK or 0. Returns 1 if that changes something, 0 if not, or -errno. */
ASYNC__RARE static inline int async__set_nonblocking(int fd, int flag)
{
    int status = ASYNC_SYS(fcntl)(fd, F_GETFL);
    if (status < 0 || (status & O_NONBLOCK) == flag)
        return status < 0 ? -errno : 0;
    return ASYNC_SYS(fcntl)(fd, F_SETFL, status ^ O_NONBLOCK) < 0 ? -errno : 1;
}

/* Non-blocking, and closed by exec (but for 0, 1 and 2). Returns bits of changes, or -errno. */
ASYNC__RARE static inline int async__set_flags(int fd)
{
    int flags = ASYNC_SYS(fcntl)(fd, F_GETFD);
    int changed = flags < 0 ? -errno : async__set_nonblocking(fd, O_NONBLOCK);
    if (changed < 0)
        return changed;
    changed = changed ? (int)ASYNC__BLOCKING : 0;
    if (flags & FD_CLOEXEC || fd <= 2)
        return changed;
    return ASYNC_SYS(fcntl)(fd, F_SETFD, flags | FD_CLOEXEC) < 0 ? -errno
                                                                 : changed | (int)ASYNC__INHERITED;
}

/* The same for one that async.h has just made: or else it is closed. Returns it or -errno. */
ASYNC__RARE static inline int async__prepare(int fd)
{
    int error = async__set_flags(fd);
    if (error >= 0 && fd <= 2) /* a number that the program had closed */
        ASYNC_SYS(fcntl)(fd, F_SETFD, FD_CLOEXEC);
    if (error < 0)
        ASYNC_SYS(close)(fd);
    return error < 0 ? error : fd;
}

/* What async__set_flags had changed is changed back. O_NONBLOCK belongs to the open file, not to
 * the number: where another adopted number is the same terminal, the flag stays, and giving that
 * one back clears it. */
ASYNC__RARE static inline void async__restore_flags(async_loop *loop, int fd, unsigned changed)
{
    uint32_t identity = loop->descriptors[fd].identity, other;
    if (changed & ASYNC__INHERITED)
        ASYNC_SYS(fcntl)(fd, F_SETFD, ASYNC_SYS(fcntl)(fd, F_GETFD) & ~FD_CLOEXEC);
    if (!(changed & ASYNC__BLOCKING))
        return;
    async__set_nonblocking(fd, 0);
    for (other = 0; other < loop->descriptor_count; other++) {
        async__descriptor *descriptor = &loop->descriptors[other];
        if ((descriptor->bits & ASYNC__ADOPTED) && descriptor->identity == identity &&
            async__set_nonblocking((int)other, O_NONBLOCK) == 1) {
            descriptor->bits |= ASYNC__BLOCKING;
            return;
        }
    }
}

ASYNC__RARE static inline int async_adopt(int fd)
{
    async_loop *loop = async__loop();
    async__descriptor *known;
    struct stat status;
    int flags, error;
    if (fd < 0)
        return fd;
    if (async__is_foreign(loop))
        return -EPERM;
    memset(&status, 0, sizeof status);
    if (ASYNC_SYS(fstat)(fd, &status) < 0)
        return -errno;
    known = async__descriptor_of(loop, fd);
    if (known && (!known->identity || known->identity == async__identity(&status)))
        return -EEXIST;
    error = async__descriptors_grow(loop, fd);
    if (error)
        return error;
    flags = async__set_flags(fd);
    if (flags < 0)
        return flags;
    error = async__register(loop, fd, async__kind_of(fd, &status),
                            (unsigned)flags | ASYNC__R | ASYNC__W);
    loop->descriptors[fd].identity = async__identity(&status);
    if (error)
        async__restore_flags(loop, fd, (unsigned)flags);
    return error ? error : fd;
}

/* Register a descriptor that async.h has just made, or, after an error, close it. Returns it or a
 * negative errno. */
ASYNC__RARE static inline int async__adopt_own(int error, int fd, int kind, unsigned bits)
{
    async_loop *loop = async__loop();
    if (!error)
        error = async__register(loop, fd, kind, bits | ASYNC__OWNED);
    if (error) {
        ASYNC_SYS(close)(fd);
        return error;
    }
    loop->descriptors[fd].identity = 0;
    return fd;
}

/* Give a descriptor back as it was: to the system if it is ours, else to whoever adopted it. */
ASYNC__RARE static inline void async__give_back(async_loop *loop, int fd, int closes)
{
    unsigned bits = loop->descriptors[fd].bits;
    async__release(loop, fd);
    if (!closes || (fd <= 2 && !(bits & ASYNC__OWNED)))
        async__restore_flags(loop, fd, bits);
    else
        ASYNC_SYS(close)(fd); /* never again after EINTR: it is closed, its number anybody's */
}

static inline int async__part_with(int fd, int closes)
{
    async_loop *loop = async__loop();
    if (fd < 0 || !async__descriptor_of(loop, fd))
        return fd < 0 ? fd : -EBADF;
    if (async__is_foreign(loop))
        return -EPERM;
    if (loop->descriptors[fd].bits & ASYNC__STREAMED)
        return -EBUSY;
    async__give_back(loop, fd, closes);
    return 0;
}

static inline int async_close(int fd)
{
    return async__part_with(fd, 1);
}

ASYNC__RARE static inline int async_release(int fd)
{
    return async__part_with(fd, 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Backends
 * >>backends     Each has the five verbs, in the same order, and ends with its row of the table.
 *                All that the system has are compiled in; async_open chooses one.
 * ------------------------------------------------------------------------- */

/* A timeout for poll(2) and epoll_wait(2): whole milliseconds, rounded up so that the last one is
 * not spun through, a day at most (an int of milliseconds ends after 24 of them). */
static inline int async__milliseconds(int64_t timeout_ns)
{
    if (timeout_ns < 0)
        return -1;
    return (int)(((timeout_ns < ASYNC__DAY_NS ? timeout_ns : ASYNC__DAY_NS) + 999999) / 1000000);
}

/* ----------------------------------------------------------------------------
 * MARK: - Backend: poll
 * >>poll         Everywhere. The kernel remembers nothing: the array is built anew for each wait,
 *                of the descriptors on which somebody waits (a descriptor that nobody wants to read
 *                would report its hang-up for ever).
 * ------------------------------------------------------------------------- */
/* Makes room now, so that waiting cannot run out of memory. */
ASYNC__RARE static inline int async__poll_add(async_loop *loop, int fd, unsigned bits)
{
    struct pollfd *entries;
    (void)fd;
    (void)bits;
    entries = (struct pollfd *)ASYNC_MEM(realloc)(loop->events,
                                                  loop->descriptor_count * sizeof *entries);
    if (!entries)
        return -ENOMEM;
    loop->events = entries;
    return 0;
}

static inline unsigned async__poll_bits(short events)
{
    unsigned bits = 0;
    if (events & POLLIN)
        bits |= ASYNC__R;
    if (events & POLLPRI)
        bits |= ASYNC__R | ASYNC__HUP;
    if (events & POLLOUT)
        bits |= ASYNC__W;
    if (events & (POLLHUP | POLLERR | POLLNVAL))
        bits |= ASYNC__R | ASYNC__W | ASYNC__HUP;
    return bits;
}

ASYNC__RARE static inline int async__poll_wait(async_loop *loop, int64_t timeout_ns)
{
    struct pollfd *entries = (struct pollfd *)loop->events;
    nfds_t count = 0, i;
    uint32_t fd;
    for (fd = 0; fd < loop->descriptor_count && loop->waiting; fd++) {
        const async__descriptor *descriptor = &loop->descriptors[fd];
        unsigned later = async__later(descriptor);
        int wants = descriptor->reader && !(later & ASYNC__R) ? POLLIN | POLLPRI : 0;
        wants |= descriptor->writer && !(later & ASYNC__W) ? POLLOUT : 0;
        if (!wants || descriptor->kind == ASYNC__FILE)
            continue;
        entries[count].fd = (int)fd;
        entries[count].events = (short)wants;
        entries[count++].revents = 0;
    }
    if (ASYNC_SYS(poll)(entries, count, async__milliseconds(timeout_ns)) < 0)
        return errno == EINTR ? 0 : -errno;
    for (i = 0; i < count; i++) {
        struct pollfd entry = ((struct pollfd *)loop->events)[i]; /* an accept may move them */
        if (entry.revents)
            async__event(loop, entry.fd, loop->descriptors[entry.fd].generation,
                         async__poll_bits(entry.revents), 0);
    }
    return 0;
}

#define ASYNC__POLL { "poll", 0, NULL, async__poll_add, NULL, async__poll_wait },

/* ----------------------------------------------------------------------------
 * MARK: - Backend: epoll
 * >>epoll        Linux. Registered once, edge-triggered; no epoll_ctl per wait. epoll(7) keeps a
 *                registration until the last duplicate of a description is closed: one that was
 *                closed with close(2) while a dup or a child holds it goes on reporting under a
 *                number that means something else now, and cannot be deleted. Its events carry an
 *                old generation; the cure is a new epoll descriptor with all others added again.
 * ------------------------------------------------------------------------- */
#if ASYNC_HAS_EPOLL
ASYNC__RARE static inline int async__epoll_open(async_loop *loop)
{
    loop->poller = ASYNC_SYS(epoll_create1)(EPOLL_CLOEXEC);
    return loop->poller < 0 ? -errno : 0;
}

ASYNC__RARE static inline int async__epoll_add(async_loop *loop, int fd, unsigned bits)
{
    struct epoll_event event;
    int verb = bits == ASYNC__W ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    memset(&event, 0, sizeof event);
    event.events = (uint32_t)(EPOLLIN | EPOLLRDHUP | EPOLLPRI) | (uint32_t)EPOLLET;
    if (bits & ASYNC__W)
        event.events |= (uint32_t)EPOLLOUT;
    event.data.u64 = (uint64_t)loop->descriptors[fd].generation << 32 | (uint32_t)fd;
    if (ASYNC_SYS(epoll_ctl)(loop->poller, verb, fd, &event) == 0)
        return 0;
    if (errno == ENOENT || errno == EEXIST) { /* closed and opened again behind our back */
        verb = verb == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
        if (ASYNC_SYS(epoll_ctl)(loop->poller, verb, fd, &event) == 0)
            return 0;
    }
    return -errno;
}

ASYNC__RARE static inline void async__epoll_remove(async_loop *loop, int fd)
{
    ASYNC_SYS(epoll_ctl)(loop->poller, EPOLL_CTL_DEL, fd, NULL);
}

static inline unsigned async__epoll_bits(uint32_t events)
{
    unsigned bits = 0;
    if (events & (uint32_t)EPOLLIN)
        bits |= ASYNC__R;
    if (events & (uint32_t)(EPOLLRDHUP | EPOLLPRI))
        bits |= ASYNC__R | ASYNC__HUP;
    if (events & (uint32_t)EPOLLOUT)
        bits |= ASYNC__W;
    if (events & (uint32_t)(EPOLLHUP | EPOLLERR))
        bits |= ASYNC__R | ASYNC__W | ASYNC__HUP;
    return bits;
}

/* A new set without the ghosts. If there is none to be had now, the next ghost asks again. */
ASYNC__RARE static inline void async__epoll_rebuild(async_loop *loop)
{
    int old = loop->poller, fresh = ASYNC_SYS(epoll_create1)(EPOLL_CLOEXEC), error = 0;
    uint32_t fd;
    if (fresh < 0)
        return;
    loop->poller = fresh;
    for (fd = 0; fd < loop->descriptor_count && !error; fd++) {
        const async__descriptor *descriptor = &loop->descriptors[fd];
        if ((descriptor->bits & ASYNC__ADOPTED) && descriptor->kind != ASYNC__FILE)
            error = async__epoll_add(loop, (int)fd, descriptor->bits & ASYNC__WRITES
                                                        ? ASYNC__R | ASYNC__W : ASYNC__R);
    }
    if (error)
        loop->poller = old;
    ASYNC_SYS(close)(error ? fresh : old);
}

static inline int async__epoll_wait(async_loop *loop, int64_t timeout_ns)
{
    struct epoll_event events[ASYNC__EVENTS];
    int i, ghosts = 0;
    int count = ASYNC_SYS(epoll_wait)(loop->poller, events, ASYNC__EVENTS,
                                      async__milliseconds(timeout_ns));
    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (i = 0; i < count; i++) {
        uint64_t data = events[i].data.u64;
        ghosts |= async__event(loop, (int)(uint32_t)data, (uint32_t)(data >> 32),
                               async__epoll_bits(events[i].events), 0);
    }
    if (ghosts)
        async__epoll_rebuild(loop);
    return 0;
}

#define ASYNC__EPOLL \
    { "epoll", 1, async__epoll_open, async__epoll_add, async__epoll_remove, async__epoll_wait },
#else
#define ASYNC__EPOLL
#endif

/* ----------------------------------------------------------------------------
 * MARK: - Backend: kqueue
 * >>kqueue       macOS and the BSDs, or an emulation of it. Reading and writing are two filters;
 *                EV_CLEAR makes them edge-triggered. Changes are a call of their own, with a
 *                receipt for each (kqueue(2): with EV_RECEIPT no pending event is drained). Field
 *                types differ from system to system: everything is cast.
 * ------------------------------------------------------------------------- */
#if ASYNC_HAS_KQUEUE
ASYNC__RARE static inline int async__kqueue_open(async_loop *loop)
{
    loop->poller = ASYNC_SYS(kqueue)();
    if (loop->poller < 0)
        return -errno;
    ASYNC_SYS(fcntl)(loop->poller, F_SETFD, FD_CLOEXEC);
    return 0;
}

/* One change, and what its receipt says: 0 or a negative errno. */
ASYNC__RARE static inline int async__kqueue_change(async_loop *loop, int fd, int filter,
                                                   unsigned flags)
{
    struct kevent change, receipt;
    struct timespec at_once = { 0, 0 };
    int count;
    memset(&change, 0, sizeof change);
    memset(&receipt, 0, sizeof receipt);
    change.ident = (uintptr_t)fd;
    change.filter = (__typeof__(change.filter))filter;
    change.flags = (__typeof__(change.flags))(flags | EV_RECEIPT);
    change.udata = (__typeof__(change.udata))(uintptr_t)loop->descriptors[fd].generation;
    do
        count = ASYNC_SYS(kevent)(loop->poller, &change, 1, &receipt, 1, &at_once);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return -errno;
    return -(int)receipt.data;
}

ASYNC__RARE static inline int async__kqueue_add(async_loop *loop, int fd, unsigned bits)
{
    int error = 0;
    if (bits & ASYNC__R)
        error = async__kqueue_change(loop, fd, EVFILT_READ, EV_ADD | EV_CLEAR);
    if (error == -EINVAL || error == -ENODEV) /* device without events: /dev/null; macOS /dev/tty */
        error = -EPERM;
    if (!error && (bits & ASYNC__W)) {
        error = async__kqueue_change(loop, fd, EVFILT_WRITE, EV_ADD | EV_CLEAR);
        if (error == -EPIPE) { /* a pipe without a reader: ready, and the write says why */
            loop->descriptors[fd].bits |= ASYNC__W | ASYNC__HUP;
            error = 0;
        }
    }
    return error;
}

ASYNC__RARE static inline void async__kqueue_remove(async_loop *loop, int fd)
{
    async__kqueue_change(loop, fd, EVFILT_READ, EV_DELETE);
    if (loop->descriptors[fd].bits & ASYNC__WRITES)
        async__kqueue_change(loop, fd, EVFILT_WRITE, EV_DELETE);
}

static inline int async__kqueue_wait(async_loop *loop, int64_t timeout_ns)
{
    struct kevent events[ASYNC__EVENTS];
    struct timespec timeout = { 0, 0 };
    int i, count;
    if (timeout_ns > ASYNC__DAY_NS)
        timeout_ns = ASYNC__DAY_NS;
    timeout.tv_sec = (time_t)(timeout_ns / 1000000000);
    timeout.tv_nsec = (long)(timeout_ns % 1000000000);
    count = ASYNC_SYS(kevent)(loop->poller, NULL, 0, events, ASYNC__EVENTS,
                              timeout_ns < 0 ? NULL : &timeout);
    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (i = 0; i < count; i++) {
        unsigned bits = (int)events[i].filter == (int)EVFILT_READ ? ASYNC__R : ASYNC__W;
        int is_end = (events[i].flags & EV_EOF) != 0;
        async__event(loop, (int)events[i].ident, (uint32_t)(uintptr_t)events[i].udata,
                     is_end ? bits | ASYNC__HUP : bits, is_end ? (int)events[i].fflags : 0);
    }
    return 0;
}

#define ASYNC__KQUEUE \
    { "kqueue", 0, \
      async__kqueue_open, async__kqueue_add, async__kqueue_remove, async__kqueue_wait },
#else
#define ASYNC__KQUEUE
#endif

/* Watch for writes as well: at the first EAGAIN of one. Returns 0 or a negative errno. */
ASYNC__RARE static inline int async__watch_writes(async_loop *loop, int fd,
                                                  async__descriptor *descriptor)
{
    int error;
    if ((descriptor->bits & ASYNC__WRITES) || descriptor->kind == ASYNC__FILE)
        return 0;
    error = loop->backend->add(loop, fd, ASYNC__W);
    if (!error)
        descriptor->bits |= ASYNC__WRITES;
    return error;
}

/* ----------------------------------------------------------------------------
 * MARK: - Loop
 * >>loop         Run what is ready, a batch at a time; when nothing is, or when the poller was not
 *                asked for a while, ask it. It sets bits and completes operations; then the timers
 *                that are due follow in their order, and only then does a task run again.
 * ------------------------------------------------------------------------- */
ASYNC__RARE static inline void async__trace_open(async_loop *loop, const char *name);
ASYNC__RARE static inline void async__trace_flush(async_loop *loop);
ASYNC__RARE static inline void async__trace_close(async_loop *loop);
ASYNC__RARE static inline void async__trace_task(async_loop *loop, const async__task *task,
                                                 int phase, const char *what);
ASYNC__RARE static inline int async__trace_step(async_loop *loop, const async__task *task);
static inline void async__trace_name(async_loop *loop, const char *name);
static inline void async__run_task(async_loop *loop, async__task *task);
static inline void async__interrupt(async_loop *loop, async__task *task, int error);
static inline void async__cancel_task(async_loop *loop, async__task *task);

/* The backend of that name; the best there is where no name is given. */
ASYNC__RARE static inline const async__backend *async__backend_named(const char *name)
{
    static const async__backend all[] = { ASYNC__EPOLL ASYNC__KQUEUE ASYNC__POLL };
    size_t i;
    for (i = 0; i < sizeof all / sizeof *all; i++)
        if (!name || !*name || strcmp(name, all[i].name) == 0)
            return &all[i];
    return NULL;
}

/* Pipes have no MSG_NOSIGNAL: a write into one whose reader left would kill the process. */
ASYNC__RARE static inline void async__ignore_sigpipe(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    if (ASYNC_SYS(sigaction)(SIGPIPE, NULL, &action) < 0 || action.sa_handler != SIG_DFL)
        return;
    action.sa_handler = SIG_IGN;
    ASYNC_SYS(sigaction)(SIGPIPE, &action, NULL);
}

ASYNC__RARE static inline void async__free_loop(async_loop *loop)
{
    uint32_t i;
    if (loop->poller >= 0 && (loop->backend->is_inherited || !async__is_foreign(loop)))
        ASYNC_SYS(close)(loop->poller); /* a kqueue's number may be anything in a child */
    ASYNC_MEM(free)(loop->events);
    for (i = 0; i < loop->callback_count / ASYNC__CHUNK; i++)
        ASYNC_MEM(free)(loop->chunks[i]);
    ASYNC_MEM(free)(loop->chunks);
    ASYNC_MEM(free)(loop->slots);
    ASYNC_MEM(free)(loop->heap);
    ASYNC_MEM(free)((void *)loop->names);
    ASYNC_MEM(free)(loop->descriptors);
    ASYNC_MEM(free)(loop->spare);
    ASYNC_MEM(free)(loop->scratch);
    ASYNC_MEM(free)(loop);
}

ASYNC__RARE static inline int async_open(const async_options *options)
{
    const char *name = options && options->backend ? options->backend
                                                   : ASYNC__GETENV("ASYNC_BACKEND");
    const async__backend *backend = async__backend_named(name);
    async_loop *loop;
    void (*renew)(void);
    int error;
    if (async__current && !async__is_foreign(async__current))
        return -EBUSY;
    if (!backend)
        return -EINVAL;
    async_loop_close(); /* one that fork left here; in a task of it, that stays as it is */
    loop = (async_loop *)ASYNC_MEM(calloc)(1, sizeof *loop);
    if (!loop)
        return -ENOMEM;
    loop->backend = backend;
    loop->poller = -1;
    loop->process = (int32_t)ASYNC_SYS(getpid)();
    loop->pending = ASYNC__PENDING;
    loop->last = &loop->first;
    loop->task = &loop->root;
    loop->root.item.op = ASYNC__IDLE;
    loop->retry_ns = loop->backoff_end_ns = ASYNC__NEVER;
    loop->now_ns = async_now();
    error = async__enroll(loop, &loop->root.item) < 0 ? -ENOMEM /* it takes slot 0 */
            : backend->open ? backend->open(loop) : 0;
    if (error) {
        async__free_loop(loop);
        return error;
    }
    if (!options || !options->keep_sigpipe)
        async__ignore_sigpipe();
    name = ASYNC__GETENV("ASYNC_TRACE_FILE");
    if (name && *name)
        async__trace_open(loop, name);
    async__current = loop;
    renew = ASYNC__LOAD(async__this_process.renew);
    if (renew && ASYNC__LOAD(async__this_process.id) != loop->process)
        renew();
    return 0;
}

/* Ask for another try, to read or to write, after 10 ms, then 20, 40, up to 100; a success begins
 * anew. */
ASYNC__RARE static inline void async__retry_later(async_loop *loop, async__descriptor *descriptor,
                                                  unsigned bit)
{
    descriptor->bits = (uint16_t)(descriptor->bits | bit << 7);
    if (loop->backoff_end_ns != ASYNC__NEVER)
        return;
    loop->backoff_ns = loop->backoff_ns ? loop->backoff_ns * 2 : 10000000;
    if (loop->backoff_ns > 100000000)
        loop->backoff_ns = 100000000;
    loop->backoff_end_ns = async_now() + loop->backoff_ns;
    if (loop->backoff_end_ns < loop->retry_ns)
        loop->retry_ns = loop->backoff_end_ns;
}

/* What a descriptor put off has another try. */
ASYNC__RARE static inline void async__retry_one(async_loop *loop, int fd)
{
    async__descriptor *descriptor = &loop->descriptors[fd];
    unsigned bits = async__later(descriptor);
    descriptor->bits &= (uint16_t)~(ASYNC__RETRY | ASYNC__SHARED);
    if (!(descriptor->bits & ASYNC__WRITES)) /* no event would say so: really try */
        descriptor->bits = (uint16_t)(descriptor->bits | (bits & ASYNC__W));
    async__rouse_both(loop, fd, bits | ASYNC__RETRY);
    descriptor = &loop->descriptors[fd];
    if (descriptor->writer && async__watch_writes(loop, fd, descriptor) < 0)
        async__retry_later(loop, descriptor, ASYNC__W);
}

ASYNC__RARE static inline void async__retry(async_loop *loop)
{
    unsigned which = ASYNC__SHARED;
    uint32_t fd;
    if (loop->backoff_end_ns <= loop->now_ns) {
        which |= ASYNC__RETRY;
        loop->backoff_end_ns = ASYNC__NEVER;
    }
    loop->retry_ns = loop->backoff_end_ns;
    for (fd = 0; fd < loop->descriptor_count; fd++)
        if (loop->descriptors[fd].bits & which)
            async__retry_one(loop, (int)fd);
}

/* Timers have come: what they were armed for happens, but an answer is first. */
ASYNC__RARE static inline void async__expire_due(async_loop *loop)
{
    const async__timer *next;
    loop->now_ns = async_now();
    if (loop->retry_ns <= loop->now_ns)
        async__retry(loop);
    while ((next = async__timer_next(loop)) != NULL && next->deadline_ns <= loop->now_ns) {
        int64_t deadline_ns = next->deadline_ns;
        async__item *item = async__item_at(loop, next->slot);
        async__task *task = (async__task *)(void *)item;
        async__timer_stop(loop, next->slot);
        if (item->kind != ASYNC__TASK) {
            loop->kinds[item->kind]->due(loop, item);
        } else { /* a sleep is over, or a limit has passed */
            int has_slept = item->op == ASYNC__SLEEP && deadline_ns < task->leaf->deadline_ns;
            async__interrupt(loop, task, has_slept ? 0 : -ETIMEDOUT);
        }
    }
}

/* Nanoseconds to the next deadline, negative if there is none. */
static inline int64_t async__next_ns(async_loop *loop)
{
    const async__timer *timer = async__timer_next(loop);
    int64_t next = timer ? timer->deadline_ns : ASYNC__NEVER, now;
    if (loop->retry_ns < next)
        next = loop->retry_ns;
    if (next == ASYNC__NEVER)
        return -1;
    now = async_now();
    return next > now ? next - now : 0;
}

/* Can anything ever happen by itself? */
static inline int async__can_wake(const async_loop *loop)
{
    return async__is_ready(loop) || loop->heap_count > loop->heap_dead || loop->waiting;
}

/* Ask the poller, waiting until the next deadline at most and not longer than `limit_ns`
 * (negative: no limit). */
static inline int async__ask(async_loop *loop, int64_t limit_ns)
{
    int64_t timeout_ns = async__is_ready(loop) ? 0 : async__next_ns(loop);
    int error;
    if (limit_ns >= 0 && (timeout_ns < 0 || timeout_ns > limit_ns))
        timeout_ns = limit_ns;
    if (ASYNC__EXPECT(loop->trace != NULL, 0))
        async__trace_flush(loop);
    loop->resumes = 0;
    error = loop->backend->wait(loop, timeout_ns);
    async__expire_due(loop);
    return error;
}

/* Is it time to ask although something is ready? After 100 us, or with a clock at rest after 4000
 * resumes. The clock is looked at after 1, 3, 7, 15... 255, and then once in 256. */
static inline int async__ask_due(const async_loop *loop)
{
    return loop->resumes >= 4000 || async_now() - loop->now_ns > 100000;
}

/* The turn of something that is not a task. It may be gone afterwards. */
static inline void async__run_callback(async_loop *loop, async__item *item)
{
    uintptr_t place = item->kind;
    if (ASYNC_DEBUG && item->kind == ASYNC__CALLBACK)
        memcpy(&place, &((async__callback *)(void *)item)->call, sizeof place);
    loop->task = &loop->root;
    loop->kinds[item->kind]->run(loop, item);
    if (ASYNC_DEBUG)
        async__time_step(loop, place, NULL, 0);
}

/* Run whole batches until `least` items have had their turn or nothing is ready. (To ask within a
 * batch is of no use: what the poller brings has its turn after it.) Returns how many ran. */
static inline int async__run_ready(async_loop *loop, uint32_t least)
{
    async__item *batch = loop->batch;
    uint32_t count = 0;
    if (ASYNC_DEBUG)
        loop->step_ns = async_now();
    while (!loop->stopped) {
        async__item *item;
        if (!batch && (count >= least || (batch = async__next_batch(loop)) == NULL))
            break;
        item = async__take(&batch);
        if (item->kind == ASYNC__TASK) {
            async__run_task(loop, (async__task *)(void *)item);
        } else {
            async__run_callback(loop, item);
        }
        count++;
    }
    loop->batch = batch;
    loop->task = &loop->root;
    loop->resumes += count;
    return (int)count;
}

/* The poller is broken: nothing can be waited for. All tasks are cancelled, and every operation,
 * shielded ones too, fails from here on, so that they end; those that will not are left. */
ASYNC__RARE static inline void async__fail(async_loop *loop, int error)
{
    uint32_t slot, patience = ASYNC__STUBBORN;
    loop->failed = error;
    for (slot = 1; slot < loop->slot_count; slot++) {
        async__item *item = async__item_at(loop, slot);
        if (!item || item->kind != ASYNC__TASK)
            continue;
        async__cancel_task(loop, (async__task *)(void *)item);
        if (item->op > ASYNC__READY && item->op < ASYNC__CHILDREN)
            async__interrupt(loop, (async__task *)(void *)item, error);
    }
    for (; async__is_ready(loop) && patience; patience--)
        async__run_ready(loop, 1);
}

/* Run until the main task has ended, the loop was stopped, nothing more can happen; or, closing,
 * until no task is left. The coroutines' stack begins in this frame, not in that of the caller,
 * whose buffers are fine. */
ASYNC__ONCE int async__run_loop(async_loop *loop)
{
    int error = 0;
    loop->stack_base = (char *)__builtin_frame_address(0);
    loop->running = 1;
    while (!loop->stopped && (loop->live || loop->draining || !loop->closing)) {
        if (!async__can_wake(loop)) {
            error = loop->live ? -EDEADLK : 0;
            break;
        }
        if (!async__is_ready(loop) || async__ask_due(loop))
            error = async__ask(loop, -1);
        if (error) {
            async__fail(loop, error);
            break;
        }
        async__run_ready(loop, loop->resumes < 256 ? loop->resumes + 1 : 256);
    }
    loop->running = loop->stopped = 0;
    return error;
}

ASYNC__ONCE int async__run_once(async_loop *loop, int64_t timeout_ms)
{
    int64_t limit_ns = timeout_ms < 0 ? -1
                     : timeout_ms > ASYNC__DAY_NS / 1000000 ? ASYNC__DAY_NS : timeout_ms * 1000000;
    int error, count = 0;
    loop->stack_base = (char *)__builtin_frame_address(0);
    if (!async__can_wake(loop) && !loop->stopped)
        return loop->live ? -EDEADLK : 0;
    loop->running = 1;
    error = loop->stopped ? 0 : async__ask(loop, limit_ns);
    if (error)
        async__fail(loop, error);
    else
        count = async__run_ready(loop, 1);
    loop->running = loop->stopped = 0;
    return error ? error : count;
}

ASYNC__RARE static inline async_loop *async__loop_to_run(void)
{
    async_loop *loop = async__loop();
    if (loop->running && !async__is_foreign(loop))
        async__panic("the loop was run from inside itself");
    return loop;
}

static inline int async_loop_run(void)
{
    async_loop *loop = async__loop_to_run();
    int error;
    ASYNC__STEP_ASIDE();
    error = async__is_foreign(loop) ? -EPERM : async__run_loop(loop);
    if (error == -EDEADLK && ASYNC_DEBUG) {
        async__warn("a deadlock: nothing can wake these tasks", NULL);
        async_dump(stderr);
    }
    return error;
}

static inline int async_loop_run_once(int64_t timeout_ms)
{
    async_loop *loop = async__loop_to_run();
    ASYNC__STEP_ASIDE();
    return async__is_foreign(loop) ? -EPERM : async__run_once(loop, timeout_ms);
}

static inline void async_loop_stop(void)
{
    async__loop()->stopped = 1;
}

static inline int async_loop_descriptor(void)
{
    async_loop *loop = async__loop();
    return loop->poller < 0 ? -ENOTSUP : loop->poller;
}

static inline int64_t async_loop_timeout(void)
{
    async_loop *loop = async__loop();
    int64_t next_ns = -1;
    if (loop->running || async__is_ready(loop))
        return 0;
    if (async__can_wake(loop)) /* else there is nobody to try again for either */
        next_ns = async__next_ns(loop);
    return next_ns < 0 ? -1 : (next_ns + 999999) / 1000000;
}

static inline const char *async_loop_backend(void)
{
    return async__loop()->backend->name;
}

/* ----------------------------------------------------------------------------
 * MARK: - Tasks
 * >>tasks        A task is a chain of frames; its leaf is what runs or waits. The loop resumes the
 *                leaf directly, and when that returns, its caller: the C stack never holds more
 *                than one coroutine, however deep they call.
 * ------------------------------------------------------------------------- */

/* ---- the frame: where it is, and what bounds its await ---- */

static inline void async__at(async_frame *frame, uint32_t line)
{
    frame->line = line;
}

static inline int64_t async__nearest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Every operation starts so, and what bounds one comes before it. Returns the running task. */
static inline async__task *async__begin(async_loop *loop)
{
    if (ASYNC__EXPECT(loop->task->item.op != ASYNC__RUNNING, 0))
        async__panic(loop->task->item.op == ASYNC__IDLE
                         ? "an operation was begun outside a coroutine"
                         : "two operations at once: the one before was not awaited");
    return loop->task;
}

/* This await gets a limit of its own; the nearer one wins. */
static inline void async__limit(async_frame *frame, int64_t timeout_ms)
{
    async_loop *loop = async__loop();
    async__begin(loop);
    loop->own_limit_ns = timeout_ms < 0 ? ASYNC__NEVER : async__from_now(timeout_ms);
    if (!(frame->flags & ASYNC__FINALLY))
        frame->end.outer_ns = frame->deadline_ns;
    frame->flags |= ASYNC__TIMED;
    frame->deadline_ns = async__nearest(frame->deadline_ns, loop->own_limit_ns);
}

/* This await is shielded from the limits of others and from cancelling. */
static inline void async__shield(void)
{
    async_loop *loop = async__loop();
    async_frame *frame = async__begin(loop)->leaf;
    if (frame->flags & (ASYNC__FINALLY | ASYNC__SHIELDED))
        return;
    if (!(frame->flags & ASYNC__TIMED))
        frame->end.outer_ns = frame->deadline_ns;
    frame->deadline_ns = frame->flags & ASYNC__TIMED ? loop->own_limit_ns : ASYNC__NEVER;
    frame->flags |= ASYNC__SHIELDED;
}

/* The await is over: what bounded only this one is lifted. */
static inline void async__settle(async_frame *frame)
{
    frame->deadline_ns = frame->flags & ASYNC__FINALLY ? ASYNC__NEVER : frame->end.outer_ns;
    frame->flags &= 0xff & ~(ASYNC__TIMED | ASYNC__SHIELDED);
}

static inline int async__is_covered(const async_frame *frame)
{
    return (frame->flags & (ASYNC__SHIELDED | ASYNC__FINALLY | ASYNC__COVERED)) != 0;
}

/* The nearest of the callers' limits. */
static inline int64_t async__outer_limit(const async_frame *frame)
{
    return frame->flags & ASYNC__TIMED ? frame->end.outer_ns : frame->deadline_ns;
}

/* Must the leaf be told to end? 0, -ECANCELED, or -ETIMEDOUT if a caller's limit has passed. */
static inline int async__interruption(const async__task *task, int64_t now_ns)
{
    const async_frame *frame = task->leaf;
    if ((task->item.flags & ASYNC__CANCELLED) && !async__is_covered(frame))
        return -ECANCELED;
    if (frame->flags & (ASYNC__SHIELDED | ASYNC__FINALLY))
        return 0;
    return async__outer_limit(frame) <= now_ns ? -ETIMEDOUT : 0;
}

static inline int async_cancelled(void)
{
    async_loop *loop = async__loop();
    int64_t now_ns = loop->now_ns;
    if (loop->task == &loop->root)
        return 0;
    if (async__outer_limit(loop->task->leaf) != ASYNC__NEVER)
        now_ns = async_now(); /* the loop's stands still while the task computes */
    return async__interruption(loop->task, now_ns);
}

static inline void async__return(async_frame *frame, async_result result)
{
    frame->end.value = result;
    frame->line = frame->flags & ASYNC__FINALLY ? ASYNC__END : ASYNC__LEAVE;
}

/* After await without lvalue: nobody sees that the operation was interrupted, so the coroutine is
 * left. (One that was done, or a coroutine that has returned something else, was not.) */
static inline int async__interrupted(async_frame *frame)
{
    async_loop *loop = async__current;
    int ended, error;
    if (ASYNC__EXPECT(!loop->told, 1))
        return 0;
    ended = loop->task->item.flags & ASYNC__EMPTY || loop->task->result == -ECANCELED ||
            loop->task->result == -ETIMEDOUT;
    error = loop->told == 2 || !ended ? 0 : async_cancelled(); /* else it may have a mutex now */
    if (error)
        async__return(frame, error);
    else
        loop->told = 1; /* it arrives at the next await */
    return error != 0;
}

static inline void async__enter_finally(async_frame *frame)
{
    if (frame->line != ASYNC__LEAVE)
        frame->end.value = 0;
    frame->flags |= ASYNC__FINALLY;
    frame->deadline_ns = ASYNC__NEVER;
}

static inline void async__leave_frame(async_frame *frame)
{
    if (!(frame->flags & ASYNC__FINALLY) && frame->line != ASYNC__LEAVE)
        frame->end.value = 0;
}

ASYNC__RARE static inline void async__check_line(const async_frame *frame)
{
    if (frame->line < ASYNC__LEAVE)
        async__panic("corrupted state: no await is on this line "
                     "(or it is inside a switch)");
}

/* ---- an operation: begun, and either done or waited for ---- */

#if ASYNC__ASAN
ASYNC__C void *__asan_get_current_fake_stack(void);
ASYNC__C void *__asan_addr_is_in_fake_stack(void *fake_stack, void *address, void **begin,
                                            void **end);
/* Where a local really lives: AddressSanitizer moves them to a stack of its own. */
static inline const void *async__real_address(const void *address)
{
    void *fake = __asan_get_current_fake_stack();
    void *real = fake ? __asan_addr_is_in_fake_stack(fake, (void *)(uintptr_t)address, NULL, NULL)
                      : NULL;
    return real ? real : address;
}
#else
static inline const void *async__real_address(const void *address)
{
    return address;
}
#endif

/* What an operation uses must outlive the step: it must not be on the C stack, between the loop's
 * frame and this one, which is never a part of the coroutine's own. (AddressSanitizer's idea of a
 * real address may be some way below the frame.) */
ASYNC__ONCE void async__check_buffer(const async_loop *loop, const void *data)
{
    uintptr_t low = (uintptr_t)__builtin_frame_address(0) - (ASYNC__ASAN ? 65536 : 0),
              base = (uintptr_t)loop->stack_base;
    if (ASYNC__EXPECT((uintptr_t)async__real_address(data) - low < base - low, 0))
        async__panic("a buffer on the C stack: it is gone when the coroutine goes on; "
                     "make it a field");
}

static inline async_op async__op(async_result value)
{
    async_op operation;
    operation.value = value;
    return operation;
}

static inline async_op async__pending(const async_loop *loop)
{
    return async__op(loop->pending);
}

/* The await macro: has the operation been done? Then its result is the loop's. */
static inline int async__await(async_op operation)
{
    async__task *task;
    if (operation.value == ASYNC__PENDING)
        return 1;
    task = async__current->task;
    task->item.op = ASYNC__RUNNING;
    task->result = operation.value;
    return 0;
}

/* The operand of a limited or a shielded await: done at once, it needs no bounds. */
ASYNC__MUST_AWAIT static inline async_op async__settled(async_op operation)
{
    async_frame *frame = async__current->task->leaf;
    if (operation.value != ASYNC__PENDING && (frame->flags & (ASYNC__TIMED | ASYNC__SHIELDED)))
        async__settle(frame);
    return operation;
}

static inline async_result async__result(void)
{
    return async__current->task->result;
}

/* A task that was told to end does not begin anything: it gets the reason, after one turn. */
ASYNC__RARE static inline int async__refuse(async_loop *loop, async__task *task)
{
    int error = loop->failed ? loop->failed : async__interruption(task, loop->now_ns);
    if (!error)
        return 0;
    if (error == -ECANCELED && task->item.stubborn < ASYNC__STUBBORN &&
        ++task->item.stubborn == ASYNC__STUBBORN)
        async__warn("a task goes on after it was cancelled: 1000 awaits so far", task->leaf);
    async__postpone(task, error);
    task->item.flags |= ASYNC__EMPTY;
    return 1;
}

static inline int async__refused(async_loop *loop, async__task *task)
{
    return ASYNC__EXPECT(loop->told, 0) && async__refuse(loop, task);
}

/* Done at once, unless the task has had its share of the turn: the result comes with the next. */
static inline async_op async__done(async_loop *loop, async__task *task, async_result result)
{
    if (ASYNC__EXPECT(--loop->budget <= 0 || result == ASYNC__PENDING, 0)) {
        async__postpone(task, result);
        return async__pending(loop);
    }
    task->item.op = ASYNC__BEGUN;
    return async__op(result);
}

static inline void async__date(const async_loop *loop, async_frame *frame)
{
    frame->since = (uint32_t)(loop->now_ns >> 26) & 0xffffff;
}

/* Wait: until async__wake, or until the limit on this await. */
static inline async_op async__park(async_loop *loop, async__task *task, unsigned op)
{
    async_frame *frame = task->leaf;
    task->item.op = op & 0xff;
    async__date(loop, frame);
    if (frame->deadline_ns != ASYNC__NEVER && !loop->slots[task->item.slot].timer)
        async__timer_start(loop, task->item.slot, frame->deadline_ns);
    ASYNC_TRACE(wait, task);
    return async__pending(loop);
}

static inline async_op async_yield(void)
{
    async_loop *loop = async__loop();
    async__task *task = async__begin(loop);
    async__postpone(task, 0);
    task->item.flags |= ASYNC__EMPTY;
    if (loop->told)
        async__refuse(loop, task);
    return async__pending(loop);
}

static inline async_op async_sleep_until(int64_t deadline_ns)
{
    async_loop *loop = async__loop();
    async__task *task = async__begin(loop);
    if (async__refused(loop, task))
        return async__pending(loop);
    async__timer_start(loop, task->item.slot, async__nearest(deadline_ns, task->leaf->deadline_ns));
    return async__park(loop, task, ASYNC__SLEEP);
}

static inline async_op async_sleep(int64_t duration_ms)
{
    return duration_ms > 0 ? async_sleep_until(async__from_now(duration_ms)) : async_yield();
}

/* ---- the tree ---- */

static inline void async__link(async_loop *loop, uint32_t slot, uint32_t parent)
{
    async__slot *all = loop->slots;
    all[slot].parent = parent;
    all[slot].younger = 0;
    all[slot].older = all[parent].child;
    if (all[parent].child)
        all[all[parent].child].younger = slot;
    all[parent].child = slot;
}

static inline void async__unlink(async_loop *loop, uint32_t slot)
{
    async__slot *all = loop->slots, *it = &all[slot];
    if (it->younger)
        all[it->younger].older = it->older;
    else
        all[it->parent].child = it->older;
    if (it->older)
        all[it->older].younger = it->younger;
}

static inline uint32_t async__youngest_child(const async_loop *loop, const async__task *task)
{
    return loop->slots[task->item.slot].child;
}

/* ---- beginning and ending ---- */

/* The root frame follows, aligned as malloc does. */
#define ASYNC__TASK_SIZE ((sizeof(async__task) + 15) & ~(size_t)15)

static inline async_frame *async__frame_init(void *memory, const async_type *type,
                                             const void *arguments)
{
    async_frame *frame = (async_frame *)memory;
    memset(frame, 0, sizeof *frame);
    memcpy(frame + 1, (const async_frame *)arguments + 1, type->size - sizeof *frame);
    frame->type = type;
    frame->deadline_ns = ASYNC__NEVER;
    return frame;
}

/* In debug builds what is freed is overwritten first: using it shows. */
static inline void async__free_block(void *block, size_t size)
{
    if (ASYNC_DEBUG)
        memset(block, 0xdb, size);
    ASYNC_MEM(free)(block);
}

static inline void async__free_task(async_loop *loop, async__task *task)
{
    async__unlink(loop, task->item.slot);
    async__dismiss(loop, task->item.slot);
    async__free_block(task, ASYNC__TASK_SIZE);
}

static inline async_task async__spawn(const async_type *type, const void *arguments)
{
    async_loop *loop = async__loop();
    async__task *parent = loop->task;
    async__task *task = (async__task *)ASYNC_MEM(malloc)(ASYNC__TASK_SIZE + type->size);
    async_task handle;
    if (!task)
        return -ENOMEM;
    memset(task, 0, sizeof *task);
    handle = async__enroll(loop, &task->item);
    if (handle < 0) {
        ASYNC_MEM(free)(task);
        return handle;
    }
    task->leaf = async__frame_init((char *)task + ASYNC__TASK_SIZE, type, arguments);
    if (parent != &loop->root)
        task->leaf->deadline_ns = parent->leaf->deadline_ns;
    if ((parent == &loop->root && loop->closing) || loop->failed)
        task->item.flags |= ASYNC__CANCELLED;
    async__link(loop, task->item.slot, parent->item.slot);
    loop->live++;
    ASYNC_TRACE(spawn, task);
    if (ASYNC__EXPECT(loop->trace != NULL, 0)) {
        async__trace_task(loop, task, 'M', "thread_name");
        async__trace_task(loop, task, 'i', "spawn");
    }
    async__wake(loop, task, 0);
    return handle;
}

ASYNC__MUST_AWAIT static inline async_op async__call(const async_type *type, const void *arguments)
{
    async_loop *loop = async__loop();
    async__task *task = async__begin(loop);
    async_frame *caller = task->leaf, *frame;
    void *memory;
    if (async__refused(loop, task))
        return async__pending(loop);
    memory = ASYNC_MEM(malloc)(type->size);
    if (!memory)
        return async__done(loop, task, -ENOMEM);
    frame = async__frame_init(memory, type, arguments);
    frame->caller = caller;
    frame->deadline_ns = caller->deadline_ns;
    frame->flags = async__is_covered(caller) ? ASYNC__COVERED & 0xff : 0;
    async__date(loop, caller);
    task->leaf = frame;
    task->item.op = ASYNC__RUNNING;
    if (--loop->budget <= 0)
        async__postpone(task, 0);
    return async__pending(loop);
}

/* ---- queues of those who wait ---- */

static inline void async__line_up(uint32_t slot, async__waiter *waiter, async__waiter **queue)
{
    async__waiter *last = *queue ? *queue : waiter;
    waiter->slot = slot;
    waiter->prev = last;
    waiter->next = *queue ? last->next : waiter;
    waiter->prev->next = waiter;
    waiter->next->prev = waiter;
    *queue = waiter;
}

static inline void async__leave_queue(async__waiter **queue, async__waiter *waiter)
{
    int is_alone = waiter->next == waiter, is_elsewhere = is_alone && *queue != waiter;
    if (is_elsewhere && async__current->closing == 2)
        return; /* a child after fork has made it anew */
    if (is_elsewhere)
        async__panic("an event, semaphore, mutex or channel that a task waits for is gone");
    waiter->prev->next = waiter->next;
    waiter->next->prev = waiter->prev;
    if (*queue == waiter)
        *queue = is_alone ? NULL : waiter->prev;
}

static inline async__waiter *async__first_waiter(async__waiter *const *queue)
{
    return *queue ? (*queue)->next : NULL;
}

/* What this one waited for has come: its task goes on with the result. */
static inline void async__serve(async_loop *loop, async__waiter **queue, async__waiter *waiter,
                                async_result result)
{
    async__task *task = async__task_at(loop, waiter->slot);
    async__leave_queue(queue, waiter);
    if (task->item.op == ASYNC__SELECT)
        loop->select(loop, task, waiter, result);
    else if (task->item.op != ASYNC__JOIN_ALL)
        async__wake(loop, task, result);
    else if (loop->join_next(loop, task)) /* it finds this one ended */
        async__wake(loop, task, task->result);
}

/* Those who wait for this task learn that it has ended; its result is with them. */
static inline void async__tell_joiners(async_loop *loop, async__task *task)
{
    async__waiter *waiter;
    while ((waiter = async__first_waiter(&task->joiners)) != NULL) {
        if (async__task_at(loop, waiter->slot)->item.op != ASYNC__JOIN_ALL)
            task->item.flags &= 0xff & ~ASYNC__KEPT;
        async__serve(loop, &task->joiners, waiter, task->result);
    }
}

static inline async__task *async__parent(const async_loop *loop, const async__task *task)
{
    return async__task_at(loop, loop->slots[task->item.slot].parent);
}

/* A child fewer for a parent that waits for them to end. */
static inline void async__child_leaves(async_loop *loop, async__task *parent)
{
    if (ASYNC__EXPECT(parent->item.op == ASYNC__JOIN_CHILDREN, 0) && !--parent->on.waiter.left)
        async__wake(loop, parent, 0);
}

/* Did this parent only wait for its children, and has none any more? */
static inline int async__was_the_last(const async_loop *loop, const async__task *parent)
{
    return parent->item.op == ASYNC__CHILDREN && !async__youngest_child(loop, parent);
}

/* A task without frames or children has ended, maybe the last its parent waited for, and so on. */
static inline void async__complete(async_loop *loop, async__task *task)
{
    while (task) {
        async__task *parent = async__parent(loop, task);
        loop->live--;
        task->item.op = ASYNC__ENDED;
        if (task->item.slot == loop->main_slot) {
            loop->main_result = task->result;
            loop->main_slot = 0;
            loop->stopped = 1;
        }
        if (task->joiners)
            async__tell_joiners(loop, task);
        async__child_leaves(loop, parent);
        if ((task->item.flags & ASYNC__KEPT) && parent->item.op != ASYNC__CHILDREN)
            break;
        async__free_task(loop, task);
        task = async__was_the_last(loop, parent) ? parent : NULL;
    }
}

/* The first coroutine has returned. Children are told to end, and waited for. */
static inline void async__end_task(async_loop *loop, async__task *task, async_result result)
{
    uint32_t slot = async__youngest_child(loop, task);
    if (ASYNC__EXPECT(loop->trace != NULL, 0))
        async__trace_task(loop, task, 'i', "end");
    task->result = result;
    task->leaf = NULL;
    loop->task = &loop->root; /* it may be freed here, and a panic names who runs */
    task->item.op = ASYNC__CHILDREN;
    ASYNC_TRACE(done, task);
    while (slot) {
        async__task *child = async__task_at(loop, slot);
        slot = loop->slots[slot].older;
        if (child->item.op == ASYNC__ENDED)
            async__free_task(loop, child);
        else
            async__cancel_task(loop, child);
    }
    if (!async__youngest_child(loop, task))
        async__complete(loop, task);
}

/* ---- running ---- */

/* Overwrite the stack that the next step will use: a plain local that was kept across an await
 * shows at once. */
ASYNC__REAL_STACK ASYNC__ONCE void async__scribble(void)
{
    void *(*volatile fill)(void *, int, size_t) = memset; /* or a compiler finds it useless */
    char dead[4096];
    fill(dead, 0xdb, sizeof dead);
}

/* The leaf has returned: its caller is next, or the task ends. Says whether there is more to
 * run. */
static inline int async__leaf_returned(async_loop *loop, async__task *task, async_frame *frame)
{
    async_result value = frame->end.value;
    if (task->item.op != ASYNC__RUNNING || task->leaf != frame) {
        task->leaf = frame;
        async__panic("an operation was begun and not awaited");
    }
    if (!frame->caller) {
        async__end_task(loop, task, value);
        return 0;
    }
    task->leaf = frame->caller;
    task->result = value;
    task->item.flags &= 0xff & ~ASYNC__EMPTY;
    async__free_block(frame, frame->type->size);
    return 1;
}

/* One step of the leaf. Says whether there is more to run: a coroutine was called, or the leaf's
 * caller goes on. */
static inline int async__step(async_loop *loop, async__task *task)
{
    async_frame *frame = task->leaf;
    unsigned line = ASYNC_DEBUG ? async__line(frame) : 0;
    int shielded = 0, said;
    if (ASYNC__EXPECT(frame->flags & (ASYNC__TIMED | ASYNC__SHIELDED), 0)) {
        shielded = (frame->flags & ASYNC__SHIELDED) != 0;
        async__settle(frame);
    }
    if (ASYNC__EXPECT(task->item.flags & ASYNC__CANCELLED || frame->deadline_ns <= loop->now_ns, 0))
        loop->told = 1 + shielded;
    if (ASYNC_DEBUG)
        async__scribble();
    ASYNC_TRACE(run, task);
    ASYNC_RESUME(task);
    said = ASYNC__EXPECT(loop->trace != NULL, 0) ? async__trace_step(loop, task)
                                                 : frame->type->step(frame);
    if (ASYNC_DEBUG)
        async__time_step(loop, (uintptr_t)frame->type + line, frame, line);
    if (said == ASYNC__RETURNED)
        return async__leaf_returned(loop, task, frame);
    if (said != ASYNC__SUSPENDED)
        async__panic("a coroutine was left by `return`: it takes async_return(result)");
    if (task->item.op == ASYNC__READY) {
        async__push(loop, &task->item);
        ASYNC_TRACE(wake, task);
    }
    if (task->item.op != ASYNC__RUNNING)
        return 0;
    if (task->leaf == frame)
        async__panic("an operation was awaited after its end");
    return 1;
}

static inline void async__run_task(async_loop *loop, async__task *task)
{
    loop->task = task;
    loop->budget = ASYNC__BUDGET;
    loop->told = 0;
    task->item.op = ASYNC__RUNNING;
    while (async__step(loop, task))
        loop->told = 0;
}

/* ---- joining ---- */

/* Begin to wait for what the case describes, if it cannot be done at once. */
static inline async_op async__wait_for(async_case it)
{
    async_loop *loop = async__loop();
    async__task *task = async__begin(loop);
    async__check_buffer(loop, it.object);
    async__check_buffer(loop, it.data);
    if (async__refused(loop, task))
        return async__pending(loop);
    if (it.attempt(&it))
        return async__done(loop, task, it.result);
    task->item.at.buffer = it.queue;
    task->result = (async_result)(uintptr_t)it.data;
    async__line_up(task->item.slot, &task->on.waiter, it.queue);
    return async__park(loop, task, it.op);
}

static inline async_case async__case(unsigned op, int (*attempt)(async_case *it), void *object,
                                     void *data, async_task task)
{
    async_case it;
    memset(&it, 0, sizeof it);
    it.op = op;
    it.attempt = attempt;
    it.object = object;
    it.data = data;
    it.task = task;
    return it;
}

static inline int async__attempt_join(async_case *it)
{
    async_loop *loop = async__loop();
    async__task *task = async__find_task(loop, it->task);
    if (!task || task == loop->task) {
        it->result = it->task < 0 ? (async_result)it->task : task ? -EDEADLK : -ESRCH;
        return 1;
    }
    it->queue = &task->joiners;
    if (task->item.op != ASYNC__ENDED)
        return 0;
    it->result = task->result;
    async__free_task(loop, task);
    return 1;
}

static inline async_case async_case_join(async_task task)
{
    return async__case(ASYNC__JOIN, async__attempt_join, NULL, NULL, task);
}

static inline async_op async_join(async_task task)
{
    return async__wait_for(async_case_join(task));
}

/* Line up with the next that still runs; of those before it the first failure is kept. Says whether
 * there is none: all have ended. */
static inline int async__join_next(async_loop *loop, async__task *task)
{
    for (; task->on.waiter.left; task->on.waiter.left--) {
        async_task *next = (async_task *)task->item.at.buffer;
        async__task *other = async__find_task(loop, *next);
        if (other && other->item.op != ASYNC__ENDED) {
            async__line_up(task->item.slot, &task->on.waiter, &other->joiners);
            return 0;
        }
        if (!task->result && (*next < 0 || (other && other->result < 0)))
            task->result = *next < 0 ? (async_result)*next : other->result;
        task->item.at.buffer = next + 1;
    }
    return 1;
}

/* The queue in which a task waits, not in a select. */
static inline async__waiter **async__queue_of(const async_loop *loop, const async__task *task)
{
    void *place = task->item.at.buffer;
    if (task->item.op == ASYNC__JOIN_ALL)
        place = &async__task_at(loop, (uint32_t)*(const async_task *)place)->joiners;
    return (async__waiter **)place;
}

static inline async_op async_join_all(const async_task *tasks, size_t count)
{
    async_loop *loop = async__loop();
    async__task *task = async__begin(loop);
    size_t i;
    async__check_buffer(loop, tasks);
    if (async__refused(loop, task))
        return async__pending(loop);
    for (i = 0; i < count; i++)
        if (tasks[i] == async_current_task())
            return async__done(loop, task, -EDEADLK);
    for (i = 0; i < count; i++)
        async_keep(tasks[i]);
    loop->join_next = async__join_next;
    task->item.at.buffer = (void *)(uintptr_t)tasks;
    task->on.waiter.left = (uint32_t)count;
    task->result = 0;
    if (async__join_next(loop, task))
        return async__done(loop, task, task->result);
    return async__park(loop, task, ASYNC__JOIN_ALL);
}

/* Counted once: while the task waits no child comes. */
static inline async_op async_join_children(void)
{
    async_loop *loop = async__loop();
    async__task *task = async__begin(loop);
    uint32_t slot, count = 0;
    if (async__refused(loop, task))
        return async__pending(loop);
    for (slot = async__youngest_child(loop, task); slot; slot = loop->slots[slot].older)
        count += async__task_at(loop, slot)->item.op != ASYNC__ENDED;
    if (!count)
        return async__done(loop, task, 0);
    task->on.waiter.left = count;
    return async__park(loop, task, ASYNC__JOIN_CHILDREN);
}

/* ---- cancelling ---- */

static inline void async__give_up_descriptor(async_loop *loop, async__task *task);

/* Take the task out of wherever it waits. Says whether it can be done. */
ASYNC__RARE static inline int async__unpark(async_loop *loop, async__task *task)
{
    unsigned op = task->item.op;
    if (op >= ASYNC__STREAM_READ && op <= ASYNC__FLUSH)
        loop->kinds[ASYNC__STREAM]->leave(loop, task);
    else if (op == ASYNC__OFFLOAD)
        return loop->threads->withdraw(loop, task);
    else if (op == ASYNC__SELECT)
        loop->select(loop, task, NULL, 0);
    else if (op >= ASYNC__JOIN)
        async__leave_queue(async__queue_of(loop, task), &task->on.waiter);
    else if (op >= ASYNC__READABLE)
        async__give_up_descriptor(loop, task);
    return 1;
}

/* What an operation that is cut short gives: `error`, or, if part of a write is out, how much. */
static inline async_result async__cut_short(const async__task *task, int error)
{
    int writes = task->item.op == ASYNC__WRITE || task->item.op == ASYNC__WRITEV;
    return writes && task->result > 0 ? task->result : error;
}

/* A task that waits does not any more. (`error` is 0 for a sleep that is over.) */
static inline void async__interrupt(async_loop *loop, async__task *task, int error)
{
    if (task->item.op <= ASYNC__READY || !async__unpark(loop, task))
        return;
    async__wake(loop, task, async__cut_short(task, error));
    task->item.flags |= ASYNC__EMPTY;
}

ASYNC__RARE static inline void async__cancel_task(async_loop *loop, async__task *task)
{
    if (task->item.flags & ASYNC__CANCELLED)
        return;
    task->item.flags |= ASYNC__CANCELLED;
    if (task == loop->task && !loop->told)
        loop->told = 1;
    ASYNC_TRACE(cancel, task);
    async__trace_task(loop, task, 'i', "cancel");
    if (task->leaf && !async__is_covered(task->leaf))
        async__interrupt(loop, task, -ECANCELED);
}

static inline int async_cancel(async_handle handle)
{
    async_loop *loop = async__loop();
    async__item *item = async__find(loop, handle);
    if (!item || item->op == ASYNC__ENDED)
        return -ESRCH;
    if (item->kind == ASYNC__TASK)
        async__cancel_task(loop, (async__task *)(void *)item);
    else
        loop->kinds[item->kind]->drop(loop, item);
    return 0;
}

static inline async_task async_keep(async_task handle)
{
    async__task *task = handle < 0 ? NULL : async__find_task(async__loop(), handle);
    if (!task)
        return handle < 0 ? handle : -ESRCH;
    task->item.flags |= ASYNC__KEPT;
    return handle;
}

static inline int async_detach(async_task handle)
{
    async_loop *loop = async__loop();
    async__task *task = async__find_task(loop, handle), *parent;
    if (!task)
        return -ESRCH;
    if (task->item.op == ASYNC__ENDED) {
        async__free_task(loop, task);
        return 0;
    }
    parent = async__parent(loop, task);
    async__child_leaves(loop, parent);
    async__unlink(loop, task->item.slot);
    async__link(loop, task->item.slot, 0);
    task->item.flags &= 0xff & ~ASYNC__KEPT;
    if (task->leaf && !task->leaf->caller && !task->leaf->line)
        task->leaf->deadline_ns = ASYNC__NEVER;
    if (loop->closing)
        async__cancel_task(loop, task);
    if (async__was_the_last(loop, parent))
        async__complete(loop, parent);
    return 0;
}

static inline async_task async_current_task(void)
{
    async_loop *loop = async__loop();
    return loop->task != &loop->root ? async__task_handle(loop, loop->task) : 0;
}

static inline int async_name(const char *name)
{
    async_loop *loop = async__loop();
    if (loop->task == &loop->root)
        return 0;
    if (loop->name_capacity < loop->slot_capacity) {
        const char **names = (const char **)ASYNC_MEM(realloc)(
            (void *)loop->names, loop->slot_capacity * sizeof *names);
        if (!names)
            return -ENOMEM;
        memset((void *)(names + loop->name_capacity), 0,
               (loop->slot_capacity - loop->name_capacity) * sizeof *names);
        loop->names = names;
        loop->name_capacity = loop->slot_capacity;
    }
    loop->names[loop->task->item.slot] = name;
    if (loop->trace && name)
        async__trace_name(loop, name);
    return 0;
}

/* ----------------------------------------------------------------------------
 * MARK: - Between tasks
 * >>between      Each thing that can be waited for is a case: an attempt, and the queue to stand in
 *                where that fails. Whoever changes the thing serves the first in the queue, by
 *                hand: what is given is taken, so nobody overtakes and nothing is lost on the way.
 * ------------------------------------------------------------------------- */

/* Do it now, or not at all. */
static inline int async__at_once(async_case it)
{
    return it.attempt(&it) ? (int)it.result : -EAGAIN;
}

static inline void async__serve_all(async__waiter **queue, async_result result)
{
    async__waiter *waiter;
    while ((waiter = async__first_waiter(queue)) != NULL)
        async__serve(async__loop(), queue, waiter, result);
}

/* ---- event ---- */

static inline int async__attempt_event(async_case *it)
{
    async_event *event = (async_event *)it->object;
    it->queue = &event->waiters;
    return event->is_set;
}

static inline async_case async_case_event(async_event *event)
{
    return async__case(ASYNC__EVENT, async__attempt_event, event, NULL, 0);
}

static inline async_op async_event_wait(async_event *event)
{
    return async__wait_for(async_case_event(event));
}

static inline void async_event_set(async_event *event)
{
    event->is_set = 1;
    async__serve_all(&event->waiters, 0);
}

static inline void async_event_clear(async_event *event)
{
    event->is_set = 0;
}

static inline int async_event_is_set(const async_event *event)
{
    return event->is_set;
}

/* ---- semaphore: where somebody waits there is no permit ---- */

static inline void async_semaphore_init(async_semaphore *semaphore, size_t permits)
{
    semaphore->waiters = NULL;
    semaphore->permits = permits;
}

static inline int async__attempt_semaphore(async_case *it)
{
    async_semaphore *semaphore = (async_semaphore *)it->object;
    it->queue = &semaphore->waiters;
    if (!semaphore->permits)
        return 0;
    semaphore->permits--;
    return 1;
}

static inline async_case async_case_semaphore(async_semaphore *semaphore)
{
    return async__case(ASYNC__SEMAPHORE, async__attempt_semaphore, semaphore, NULL, 0);
}

static inline async_op async_semaphore_acquire(async_semaphore *semaphore)
{
    return async__wait_for(async_case_semaphore(semaphore));
}

static inline int async_semaphore_acquire_nowait(async_semaphore *semaphore)
{
    return async__at_once(async_case_semaphore(semaphore));
}

static inline void async_semaphore_release(async_semaphore *semaphore)
{
    async__waiter *waiter = async__first_waiter(&semaphore->waiters);
    if (waiter)
        async__serve(async__loop(), &semaphore->waiters, waiter, 0);
    else
        semaphore->permits++;
}

/* ---- mutex: a semaphore of one permit that knows who has it ---- */

static inline int async__attempt_mutex(async_case *it)
{
    async_loop *loop = async__loop();
    async_mutex *mutex = (async_mutex *)it->object;
    async_task owner = async__task_handle(loop, loop->task); /* callbacks own as the root */
    const async__task *has_it = &loop->root;
    it->queue = &mutex->waiters;
    it->result = mutex->owner == owner ? -EDEADLK : 0;
    if (!mutex->owner || it->result) {
        mutex->owner = owner;
        return 1;
    }
    if (mutex->owner != async__task_handle(loop, &loop->root))
        has_it = async__find_task(loop, mutex->owner);
    if (!has_it || has_it->item.op == ASYNC__ENDED) /* nobody would ever unlock it */
        async__panic("a mutex whose task has ended without unlocking it");
    return 0;
}

static inline async_case async_case_mutex(async_mutex *mutex)
{
    return async__case(ASYNC__MUTEX, async__attempt_mutex, mutex, NULL, 0);
}

static inline async_op async_mutex_lock(async_mutex *mutex)
{
    return async__wait_for(async_case_mutex(mutex));
}

static inline int async_mutex_lock_nowait(async_mutex *mutex)
{
    return async__at_once(async_case_mutex(mutex));
}

static inline int async_mutex_unlock(async_mutex *mutex)
{
    async_loop *loop = async__loop();
    async__waiter *waiter = async__first_waiter(&mutex->waiters);
    if (mutex->owner != async__task_handle(loop, loop->task))
        return -EPERM;
    mutex->owner = waiter ? async__task_handle(loop, async__task_at(loop, waiter->slot)) : 0;
    if (waiter)
        async__serve(loop, &mutex->waiters, waiter, 0);
    return 0;
}

/* ---- channel: senders wait only where it is full, receivers only where it is empty ---- */

static inline void async_channel_init(async_channel *channel, void *items, size_t item_size,
                                      size_t capacity)
{
    if (!items && item_size && capacity)
        async__panic("a channel without memory for its items");
    memset(channel, 0, sizeof *channel);
    channel->items = (char *)(items ? items : channel); /* items of no bytes need no place */
    channel->item_size = item_size;
    channel->capacity = capacity;
}

/* Where the item of one who waits is, or is to be. */
static inline void *async__item_of(const async__waiter *waiter)
{
    const async__task *task = async__task_at(async__loop(), waiter->slot);
    if (task->item.op != ASYNC__SELECT)
        return (void *)(uintptr_t)task->result;
    return ((const async_case *)(const void *)((const char *)waiter -
                                               offsetof(async_case, waiter)))->data;
}

/* An item of no bytes may have no place either. */
static inline void async__channel_copy(const async_channel *channel, void *to, const void *from)
{
    if (channel->item_size)
        memcpy(to, from, channel->item_size);
}

static inline void async__channel_put(async_channel *channel, const void *item)
{
    size_t place = (channel->first + channel->count++) % channel->capacity;
    async__channel_copy(channel, channel->items + place * channel->item_size, item);
}

static inline void async__channel_take(async_channel *channel, void *item)
{
    async__channel_copy(channel, item, channel->items + channel->first * channel->item_size);
    channel->first = (channel->first + 1) % channel->capacity;
    channel->count--;
}

static inline int async__attempt_send(async_case *it)
{
    async_channel *channel = (async_channel *)it->object;
    async__waiter *receiver = async__first_waiter(&channel->receivers);
    it->queue = &channel->senders;
    if (channel->is_closed) {
        it->result = -EPIPE;
    } else if (receiver) {
        async__channel_copy(channel, async__item_of(receiver), it->data);
        async__serve(async__loop(), &channel->receivers, receiver, 1);
    } else if (channel->count < channel->capacity) {
        async__channel_put(channel, it->data);
    } else {
        return 0;
    }
    return 1;
}

static inline int async__attempt_receive(async_case *it)
{
    async_channel *channel = (async_channel *)it->object;
    async__waiter *sender = async__first_waiter(&channel->senders);
    it->queue = &channel->receivers;
    it->result = channel->count || sender;
    if (!it->result)
        return channel->is_closed;
    if (channel->count)
        async__channel_take(channel, it->data);
    else
        async__channel_copy(channel, it->data, async__item_of(sender));
    if (sender && channel->capacity)
        async__channel_put(channel, async__item_of(sender));
    if (sender)
        async__serve(async__loop(), &channel->senders, sender, 0);
    return 1;
}

static inline async_case async_case_send(async_channel *channel, const void *item)
{
    return async__case(ASYNC__SEND, async__attempt_send, channel, (void *)(uintptr_t)item, 0);
}

static inline async_case async_case_receive(async_channel *channel, void *item)
{
    return async__case(ASYNC__RECEIVE, async__attempt_receive, channel, item, 0);
}

static inline async_op async_channel_send(async_channel *channel, const void *item)
{
    return async__wait_for(async_case_send(channel, item));
}

static inline async_op async_channel_receive(async_channel *channel, void *item)
{
    return async__wait_for(async_case_receive(channel, item));
}

static inline int async_channel_send_nowait(async_channel *channel, const void *item)
{
    return async__at_once(async_case_send(channel, item));
}

static inline int async_channel_receive_nowait(async_channel *channel, void *item)
{
    return async__at_once(async_case_receive(channel, item));
}

static inline void async_channel_close(async_channel *channel)
{
    channel->is_closed = 1;
    async__serve_all(&channel->senders, -EPIPE);
    async__serve_all(&channel->receivers, 0);
}

/* ---- select ---- */

/* One of a task's cases has come; or, without a waiter, the task waits no longer. */
static inline void async__selected(async_loop *loop, async__task *task, async__waiter *waiter,
                                   async_result result)
{
    async_case *cases = (async_case *)task->item.at.buffer, *it;
    for (it = cases; it != cases + task->on.io.size; it++)
        if (&it->waiter != waiter)
            async__leave_queue(it->queue, &it->waiter);
    if (!waiter)
        return;
    it = (async_case *)(void *)((char *)waiter - offsetof(async_case, waiter));
    it->result = result;
    async__wake(loop, task, it - cases);
}

static inline async_op async_select(async_case *cases, size_t count)
{
    async_loop *loop = async__loop();
    async__task *task = async__begin(loop);
    size_t i;
    async__check_buffer(loop, cases);
    for (i = 0; i < count; i++) {
        if (!cases[i].attempt)
            async__panic("a case of a select that no async_case_... has made");
        async__check_buffer(loop, cases[i].object);
        async__check_buffer(loop, cases[i].data);
    }
    if (async__refused(loop, task))
        return async__pending(loop);
    for (i = 0; i < count; i++)
        if (cases[i].attempt(&cases[i]))
            return async__done(loop, task, (async_result)i);
    if (!count)
        return async__done(loop, task, -EINVAL);
    for (i = 0; i < count; i++)
        async__line_up(task->item.slot, &cases[i].waiter, cases[i].queue);
    loop->select = async__selected;
    task->item.at.buffer = cases;
    task->on.io.size = count;
    return async__park(loop, task, ASYNC__SELECT);
}

/* ----------------------------------------------------------------------------
 * MARK: - Operations
 * >>operations   An operation on a descriptor is described in the task (what, where, how much) and
 *                tried; only EAGAIN makes it wait, and each event has it tried again.
 * ------------------------------------------------------------------------- */
#ifdef MSG_NOSIGNAL
#define ASYNC__NOSIGNAL MSG_NOSIGNAL
#else
#define ASYNC__NOSIGNAL 0
#endif
#ifdef SOCK_CLOEXEC
#define ASYNC__SOCK_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)
#else
#define ASYNC__SOCK_FLAGS 0
#endif
#define ASYNC__PIECES_MAX 1024       /* iovecs in one call: IOV_MAX of every system we know    */
#define ASYNC__BYTES_MAX 0x7ffff000u /* bytes in one call: Linux's most; macOS refuses INT_MAX */
#define ASYNC__SHARE 1048576         /* bytes an operation moves before the others' turn       */

/* ---- one try ---- */

static inline int async__is_connection(int kind)
{
    return kind == ASYNC__STREAM_TCP || kind == ASYNC__STREAM_UNIX;
}

static inline int async__is_bytes(int kind)
{
    return kind >= ASYNC__STREAM_TCP;
}

/* Does a short count prove there is no more? Not after a hang-up: data and end may be one event. */
static inline int async__short_is_drained(const async__descriptor *descriptor)
{
    return async__is_bytes(descriptor->kind) && !(descriptor->bits & ASYNC__HUP);
}

/* Cut the pieces down to what one call takes, or to one that alone is too long. Returns how many
 * bytes they are. */
ASYNC__RARE static inline size_t async__one_call(const struct iovec **pieces, size_t *count)
{
    size_t bytes = 0, i;
    for (; *count && !(*pieces)->iov_len; --*count)
        ++*pieces;
    for (i = 0; i < *count && i < ASYNC__PIECES_MAX; i++) {
        if ((*pieces)[i].iov_len > ASYNC__BYTES_MAX - bytes)
            break;
        bytes += (*pieces)[i].iov_len;
    }
    *count = *count && !i ? 1 : i;
    return bytes;
}

static inline struct msghdr async__message(const struct iovec *pieces, size_t count)
{
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = (struct iovec *)(uintptr_t)pieces;
    message.msg_iovlen = (__typeof__(message.msg_iovlen))count;
    return message;
}

/* recvmsg, for it tells of descriptors that came along over a Unix socket (they are not taken): the
 * data ends there, with more behind it. */
ASYNC__RARE static inline ssize_t async__receive_message(async__descriptor *descriptor, int fd,
                                                         const struct iovec *pieces, size_t count)
{
    struct msghdr message = async__message(pieces, count);
    ssize_t n = ASYNC_SYS(recvmsg)(fd, &message, 0);
    if (n >= 0 && (message.msg_flags & MSG_CTRUNC))
        descriptor->bits |= ASYNC__HUP;
    return n;
}

static inline ssize_t async__receive(async__descriptor *descriptor, int fd, void *data, size_t size)
{
    struct iovec whole;
    if (!async__is_socket(descriptor->kind))
        return ASYNC_SYS(read)(fd, data, size);
    if (descriptor->kind != ASYNC__STREAM_UNIX)
        return ASYNC_SYS(recv)(fd, data, size, 0);
    whole.iov_base = data;
    whole.iov_len = size;
    return async__receive_message(descriptor, fd, &whole, 1);
}

static inline ssize_t async__transmit(const async__descriptor *descriptor, int fd, const void *data,
                                      size_t size)
{
    return async__is_socket(descriptor->kind) ? ASYNC_SYS(send)(fd, data, size, ASYNC__NOSIGNAL)
                                              : ASYNC_SYS(write)(fd, data, size);
}

static inline ssize_t async__transfer_pieces(async__descriptor *descriptor, int fd, unsigned bit,
                                             const struct iovec *pieces, size_t count)
{
    struct msghdr message = async__message(pieces, count);
    if (async__is_socket(descriptor->kind))
        return bit == ASYNC__R ? async__receive_message(descriptor, fd, pieces, count)
                               : ASYNC_SYS(sendmsg)(fd, &message, ASYNC__NOSIGNAL);
    return bit == ASYNC__R ? ASYNC_SYS(readv)(fd, pieces, (int)count)
                           : ASYNC_SYS(writev)(fd, pieces, (int)count);
}

ASYNC__STATIC_ASSERT(EAGAIN == EWOULDBLOCK, async__one_errno_for_not_now);

/* A try failed with this errno: clears the bit after EAGAIN. Returns -EAGAIN or what to report. */
static inline int async__try_failed(async_loop *loop, async__descriptor *descriptor, unsigned bit,
                                    int error)
{
    int reported = descriptor->error;
    if (error == EPROTOTYPE && async__is_connection(descriptor->kind))
        return -ECONNRESET; /* macOS says so while it takes the connection down */
    if (error == EAGAIN ? descriptor->kind == ASYNC__FILE : error == ENOBUFS && bit == ASYNC__W) {
        async__retry_later(loop, descriptor, bit); /* a device, or buffers: no event will tell */
        return -EAGAIN;
    }
    if (error != EAGAIN)
        return -error;
    descriptor->bits &= (uint16_t)~(bit | ASYNC__WARNED);
    descriptor->error = 0; /* kqueue may have taken an error off the socket before we could */
    return reported ? -reported : -EAGAIN;
}

/* A call was asked for so many bytes, and said `n`. */
static inline ssize_t async__tried(async_loop *loop, async__descriptor *descriptor, unsigned bit,
                                   size_t size, ssize_t n)
{
    if (n < 0)
        return async__try_failed(loop, descriptor, bit, errno);
    if (n > 0 && (size_t)n < size && async__short_is_drained(descriptor))
        descriptor->bits &= (uint16_t)~bit;
    if (ASYNC__EXPECT(n >= ASYNC__SHARE, 0))
        loop->budget = 0; /* who asked has had its share of the turn */
    return n;
}

/* Read (ASYNC__R) or write (ASYNC__W) once, if there is hope. Returns the count, 0 at the end,
 * -EAGAIN, or a negative errno. */
ASYNC__ONCE ssize_t async__try(async_loop *loop, int fd, unsigned bit, void *data, size_t size)
{
    async__descriptor *descriptor = &loop->descriptors[fd];
    size_t most = async__is_bytes(descriptor->kind) ? ASYNC__SHARE : ASYNC__BYTES_MAX;
    ssize_t n;
    if (size > most)
        size = most;
    if (!size)
        return 0;
    if (!(descriptor->bits & bit))
        return -EAGAIN;
    do
        n = bit == ASYNC__R ? async__receive(descriptor, fd, data, size)
                            : async__transmit(descriptor, fd, data, size);
    while (n < 0 && errno == EINTR);
    return async__tried(loop, descriptor, bit, size, n);
}

/* The same with pieces. */
static inline ssize_t async__try_pieces(async_loop *loop, int fd, unsigned bit,
                                        const struct iovec *pieces, size_t count)
{
    async__descriptor *descriptor = &loop->descriptors[fd];
    size_t bytes = async__one_call(&pieces, &count);
    ssize_t n;
    if (count == 1)
        return async__try(loop, fd, bit, pieces->iov_base, pieces->iov_len);
    if (!bytes)
        return 0;
    if (!(descriptor->bits & bit))
        return -EAGAIN;
    do
        n = async__transfer_pieces(descriptor, fd, bit, pieces, count);
    while (n < 0 && errno == EINTR);
    return async__tried(loop, descriptor, bit, bytes, n);
}

/* Can this accept(2) errno be a connection's bad luck? Linux also gives pending network errors. */
static inline int async__accept_goes_on(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN ||
           error == ENOPROTOOPT || error == EHOSTDOWN || error == EHOSTUNREACH ||
           error == ENETUNREACH;
}

static inline int async__no_descriptor_left(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* accept(2), and the flags where the system does not take them. Returns it or -errno. */
#if ASYNC_HAS_ACCEPT4
static inline int async__accept_raw(int listener)
{
    int fd = ASYNC_SYS(accept4)(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
#else
static inline int async__accept_raw(int listener)
{
    int fd = ASYNC_SYS(accept)(listener, NULL, NULL);
    if (fd < 0)
        return -errno;
    return async__prepare(fd) < 0 ? -ECONNABORTED : fd; /* closed: the next one */
}
#endif

/* Take a connection, if there is hope. Returns it, adopted, or -EAGAIN, or a negative errno.
 * Without a descriptor left the connection stays in the backlog, and the listener has another try a
 * little later, or when one is closed. */
ASYNC__RARE static inline int async__accept_now(async_loop *loop, int listener)
{
    async__descriptor *descriptor = &loop->descriptors[listener];
    int fd;
    if (!(descriptor->bits & ~async__later(descriptor) & ASYNC__R))
        return -EAGAIN;
    do
        fd = async__accept_raw(listener);
    while (async__accept_goes_on(-fd));
    if (fd >= 0) {
        loop->backoff_ns = 0;
        return async__adopt_own(0, fd, descriptor->kind, ASYNC__R | ASYNC__W);
    }
    if (!async__no_descriptor_left(-fd))
        return async__try_failed(loop, descriptor, ASYNC__R, -fd);
    if (!(descriptor->bits & ASYNC__WARNED))
        async__warn("no descriptor is left: connections wait", NULL);
    descriptor->bits |= ASYNC__WARNED;
    async__retry_later(loop, descriptor, ASYNC__R);
    return fd;
}

static inline int async__connect_raw(int fd, const async_address *address)
{
    return ASYNC_SYS(connect)(fd, &address->is.any, address->size) < 0 ? -errno : 0;
}

/* Has the attempt in progress ended? "Writable" alone proves nothing; SO_ERROR is cleared by being
 * read, so it is read once (connect(2)). */
ASYNC__RARE static inline async_result async__attempt_connect(async_loop *loop, async__task *task)
{
    int fd = task->on.io.fd, error = 0;
    async__descriptor *descriptor = &loop->descriptors[fd];
    async_address peer;
    socklen_t size = sizeof error, peer_size = sizeof peer.is;
    if (ASYNC_SYS(getsockopt)(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (!error && ASYNC_SYS(getpeername)(fd, &peer.is.any, &peer_size) < 0)
        error = errno != ENOTCONN                  ? errno
                : !(descriptor->bits & ASYNC__HUP) ? EINPROGRESS
                : descriptor->error                ? descriptor->error : ECONNREFUSED;
    if (error == EINPROGRESS || error == EINTR) {
        descriptor->bits &= (uint16_t)~ASYNC__W;
        return -EAGAIN;
    }
    descriptor->bits |= ASYNC__R | ASYNC__W;
    return error ? -error : fd;
}

/* Would a read (a write) succeed now? The bit says "no" for sure, but "yes" only as far as we know:
 * the caller's own read(2) is invisible here. */
static inline int async__ready_now(async_loop *loop, int fd, unsigned bit)
{
    async__descriptor *descriptor = &loop->descriptors[fd];
    if (!(descriptor->bits & ~async__later(descriptor) & bit))
        return 0;
    if (descriptor->kind == ASYNC__FILE || async__poll_now(fd, bit == ASYNC__R ? POLLIN : POLLOUT))
        return 1;
    descriptor->bits &= (uint16_t)~bit;
    return 0;
}

/* ---- the operation of a task ---- */

/* What the operation waits for: to read (ASYNC__R), or to write (ASYNC__W). */
static inline unsigned async__bit_of(unsigned op)
{
    return op == ASYNC__WRITABLE || op == ASYNC__WRITE || op == ASYNC__WRITEV ||
           op == ASYNC__CONNECT || op == ASYNC__SENDTO ? ASYNC__W : ASYNC__R;
}

/* Each tries what the task describes. Returns its result, or -EAGAIN: not yet. The loop knows those
 * in use, so that a program has no others in it. */
static inline async_result async__attempt_read(async_loop *loop, async__task *task)
{
    return async__try(loop, task->on.io.fd, ASYNC__R, task->item.at.buffer, task->on.io.size);
}

static inline async_result async__attempt_readv(async_loop *loop, async__task *task)
{
    return async__try_pieces(loop, task->on.io.fd, ASYNC__R,
                             (struct iovec *)task->item.at.buffer, task->on.io.size);
}

/* An operation that could go on for as long as its peer keeps up goes on in the next turn: what
 * waits for the descriptor is tried again then. */
ASYNC__RARE static inline ssize_t async__put_off(async_loop *loop, int fd, unsigned bit)
{
    loop->descriptors[fd].bits = (uint16_t)(loop->descriptors[fd].bits | bit << 7 | ASYNC__SHARED);
    loop->retry_ns = loop->now_ns;
    return -EAGAIN;
}

/* Writing goes on until all is out; task->result is how far it is. */
static inline async_result async__attempt_write(async_loop *loop, async__task *task)
{
    async_result share = task->result + ASYNC__SHARE;
    while ((size_t)task->result < task->on.io.size) {
        ssize_t n = task->result >= share
                        ? async__put_off(loop, task->on.io.fd, ASYNC__W)
                        : async__try(loop, task->on.io.fd, ASYNC__W,
                                     (char *)task->item.at.buffer + task->result,
                                     task->on.io.size - (size_t)task->result);
        if (n < 0)
            return n;
        task->result += n;
    }
    return task->result;
}

static inline async_result async__attempt_writev(async_loop *loop, async__task *task)
{
    const struct iovec *pieces = (const struct iovec *)task->item.at.buffer;
    size_t count = task->on.io.size, skip = (size_t)task->result;
    async_result share = task->result + ASYNC__SHARE;
    while (count) {
        ssize_t n;
        if (skip >= pieces->iov_len) {
            skip -= pieces->iov_len;
            pieces++;
            count--;
            continue;
        }
        if (task->result >= share)
            return async__put_off(loop, task->on.io.fd, ASYNC__W);
        n = skip ? async__try(loop, task->on.io.fd, ASYNC__W, (char *)pieces->iov_base + skip,
                              pieces->iov_len - skip)
                 : async__try_pieces(loop, task->on.io.fd, ASYNC__W, pieces, count);
        if (n < 0)
            return n;
        task->result += n;
        skip += (size_t)n;
    }
    return task->result;
}

static inline async_result async__attempt_accept(async_loop *loop, async__task *task)
{
    int fd = async__accept_now(loop, task->on.io.fd);
    return fd < 0 && async__later(&loop->descriptors[task->on.io.fd]) & ASYNC__R ? -EAGAIN : fd;
}

static inline async_result async__attempt_ready(async_loop *loop, async__task *task)
{
    return async__ready_now(loop, task->on.io.fd, async__bit_of(task->item.op)) ? 0 : -EAGAIN;
}

static inline uint32_t *async__waiter_of(async_loop *loop, int fd, unsigned op)
{
    async__descriptor *descriptor = &loop->descriptors[fd];
    return async__bit_of(op) == ASYNC__W ? &descriptor->writer : &descriptor->reader;
}

/* Wait for the descriptor. What cannot be watched for lack of kernel memory is retried by timer. */
static inline async_op async__park_descriptor(async_loop *loop, async__task *task, unsigned op)
{
    async__attend(loop, async__waiter_of(loop, task->on.io.fd, op), task->item.slot);
    if (async__bit_of(op) == ASYNC__W &&
        async__watch_writes(loop, task->on.io.fd, &loop->descriptors[task->on.io.fd]) < 0)
        async__retry_later(loop, &loop->descriptors[task->on.io.fd], ASYNC__W);
    return async__park(loop, task, op);
}

/* Begin an operation on an adopted descriptor. */
static inline async_op async__io_with(unsigned op, int fd, const void *buffer, size_t size,
                                      const async_address *address)
{
    async_loop *loop = async__loop();
    async__task *task = async__begin(loop);
    async_result result;
    async__check_buffer(loop, buffer);
    if (address)
        async__check_buffer(loop, address);
    if (async__refused(loop, task))
        return async__pending(loop);
    result = async__unusable(loop, fd);
    if (ASYNC__EXPECT(result < 0, 0)) {
        if (ASYNC_DEBUG && fd >= 0 && !async__descriptor_of(loop, fd))
            async__warn("a descriptor that was not adopted (async_adopt) was given to an operation",
                        task->leaf);
        return async__done(loop, task, result);
    }
    if (*async__waiter_of(loop, fd, op))
        return async__done(loop, task, -EBUSY);
    task->item.op = op & 0xff;
    task->item.at.buffer = (void *)(uintptr_t)buffer;
    task->on.io.fd = fd;
    task->on.io.size = size;
    task->result = (async_result)(uintptr_t)address;
    result = loop->attempts[op](loop, task);
    if (ASYNC__EXPECT(result != -EAGAIN, 1))
        return async__done(loop, task, result);
    return async__park_descriptor(loop, task, op);
}

/* Apart from that: compilers would make a copy of it for each `attempt`. */
static inline async_op async__io(unsigned op, async__attempt *attempt, int fd, const void *buffer,
                                 size_t size, const async_address *address)
{
    async__loop()->attempts[op] = attempt;
    return async__io_with(op, fd, buffer, size, address);
}

/* An event, for an item that waits on the descriptor. */
static inline void async__rouse(async_loop *loop, int fd, uint32_t slot, unsigned bits)
{
    async__item *item = async__item_at(loop, slot);
    async__task *task = (async__task *)(void *)item;
    async_result result;
    unsigned op = item->op;
    if (item->kind != ASYNC__TASK) {
        loop->kinds[item->kind]->ready(loop, item, bits);
        return;
    }
    if ((op == ASYNC__READABLE || op == ASYNC__WRITABLE) && !(bits & ASYNC__RETRY))
        result = 0; /* the event is the answer */
    else
        result = loop->attempts[op](loop, task);
    if (result == -EAGAIN)
        return;
    async__desert(loop, async__waiter_of(loop, fd, op));
    if (op == ASYNC__CONNECT && result < 0)
        async__give_back(loop, fd, 1);
    async__wake(loop, task, result);
}

/* The descriptor on which an item waited is gone. */
ASYNC__RARE static inline void async__abandon(async_loop *loop, uint32_t slot)
{
    async__item *item = slot ? async__item_at(loop, slot) : NULL;
    async__task *task = (async__task *)(void *)item;
    if (!item)
        return;
    if (item->kind != ASYNC__TASK)
        loop->kinds[item->kind]->drop(loop, item);
    else
        async__wake(loop, task, async__cut_short(task, -EBADF));
}

/* The task stops waiting on its descriptor. An attempt to connect ends here. */
static inline void async__give_up_descriptor(async_loop *loop, async__task *task)
{
    async__desert(loop, async__waiter_of(loop, task->on.io.fd, task->item.op));
    if (task->item.op == ASYNC__CONNECT && !async__is_foreign(loop))
        async__give_back(loop, task->on.io.fd, 1);
}

/* ---- what is called ---- */

static inline async_op async_readable(int fd)
{
    return async__io(ASYNC__READABLE, async__attempt_ready, fd, NULL, 0, NULL);
}

static inline async_op async_writable(int fd)
{
    return async__io(ASYNC__WRITABLE, async__attempt_ready, fd, NULL, 0, NULL);
}

static inline async_op async_read(int fd, void *data, size_t size)
{
    return async__io(ASYNC__READ, async__attempt_read, fd, data, size, NULL);
}

static inline async_op async_write(int fd, const void *data, size_t size)
{
    return async__io(ASYNC__WRITE, async__attempt_write, fd, data, size, NULL);
}

static inline void async__check_pieces(const struct iovec *pieces, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++)
        async__check_buffer(async__loop(), pieces[i].iov_base);
}

static inline async_op async_readv(int fd, const struct iovec *pieces, size_t count)
{
    async__check_pieces(pieces, count);
    return async__io(ASYNC__READV, async__attempt_readv, fd, pieces, count, NULL);
}

static inline async_op async_writev(int fd, const struct iovec *pieces, size_t count)
{
    async__check_pieces(pieces, count);
    return async__io(ASYNC__WRITEV, async__attempt_writev, fd, pieces, count, NULL);
}

ASYNC__RARE static inline async_op async_accept(int listener)
{
    return async__io(ASYNC__ACCEPT, async__attempt_accept, listener, NULL, 0, NULL);
}

/* ---- addresses ---- */

/* "fe80::1%eth0": the interface, by name or number. Returns 0 if there is none of that name. */
ASYNC__RARE static inline uint32_t async__scope(const char *name)
{
    char *end;
    unsigned long long number = strtoull(name, &end, 10);
    if (*name < '0' || *name > '9' || *end)
        return (uint32_t)ASYNC_SYS(if_nametoindex)(name);
    return number <= UINT32_MAX ? (uint32_t)number : 0;
}

ASYNC__RARE static inline int async_address_parse(async_address *address, const char *host,
                                                  int port)
{
    char plain[INET6_ADDRSTRLEN];
    const char *scope = host ? strchr(host, '%') : NULL;
    size_t size = scope ? (size_t)(scope - host) : host ? strlen(host) : sizeof plain;
    memset(address, 0, sizeof *address);
    if (port < 0 || port > 65535 || size >= sizeof plain)
        return -EINVAL;
    memcpy(plain, host, size);
    plain[size] = '\0';
    if (!scope && inet_pton(AF_INET, plain, &address->is.v4.sin_addr) == 1) {
        address->is.v4.sin_family = AF_INET;
        address->is.v4.sin_port = htons((uint16_t)port);
        address->size = sizeof address->is.v4;
        return 0;
    }
    address->is.v6.sin6_family = AF_INET6;
    address->is.v6.sin6_port = htons((uint16_t)port);
    address->is.v6.sin6_scope_id = scope ? async__scope(scope + 1) : 0;
    if (inet_pton(AF_INET6, plain, &address->is.v6.sin6_addr) != 1 ||
        (scope && !address->is.v6.sin6_scope_id))
        return -EINVAL;
    address->size = sizeof address->is.v6;
    return 0;
}

/* unix(7): an abstract name is as long as the address says, and begins with a NUL. */
ASYNC__RARE static inline int async_address_unix(async_address *address, const char *path)
{
    size_t length = path ? strlen(path) : 0, is_abstract = length && path[0] == '@';
    memset(address, 0, sizeof *address);
    address->is.local.sun_family = AF_UNIX;
    if (length - is_abstract >= sizeof address->is.local.sun_path)
        return -ENAMETOOLONG;
    if (!length)
        return -EINVAL;
    if (is_abstract && !ASYNC_HAS_ABSTRACT)
        return -ENOTSUP;
    memcpy(address->is.local.sun_path + is_abstract, path + is_abstract, length - is_abstract);
    address->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1 - is_abstract);
    return 0;
}

/* What the system has filled in; there ::ffff:127.0.0.1 stands for an IPv4 address. Returns 0, or
 * -errno of the call with that result. */
static inline int async__address_filled(async_address *address, ssize_t result, socklen_t size)
{
    struct sockaddr_in6 v6;
    address->size = result < 0 ? 0 : size;
    if (address->size <= offsetof(struct sockaddr_un, sun_path) ||
        (!ASYNC_HAS_ABSTRACT && address->is.any.sa_family == AF_UNIX &&
         !address->is.local.sun_path[0]))
        address->size = 0; /* a Unix socket without a name: macOS gives it 14 bytes of zeroes */
    if (!address->size || address->is.any.sa_family != AF_INET6 ||
        !IN6_IS_ADDR_V4MAPPED(&address->is.v6.sin6_addr))
        return result < 0 ? -errno : 0;
    v6 = address->is.v6;
    memset(address, 0, sizeof *address);
    address->is.v4.sin_family = AF_INET;
    address->is.v4.sin_port = v6.sin6_port;
    memcpy(&address->is.v4.sin_addr, &v6.sin6_addr.s6_addr[12], 4);
    address->size = sizeof address->is.v4;
    return 0;
}

/* The reverse, for a socket that knows no other addresses. */
static inline async_address async__mapped(const async_address *v4)
{
    async_address address;
    memset(&address, 0, sizeof address);
    address.is.v6.sin6_family = AF_INET6;
    address.is.v6.sin6_port = v4->is.v4.sin_port;
    memset(&address.is.v6.sin6_addr.s6_addr[10], 0xff, 2);
    memcpy(&address.is.v6.sin6_addr.s6_addr[12], &v4->is.v4.sin_addr, 4);
    address.size = sizeof address.is.v6;
    return address;
}

static inline int async_own_address(int fd, async_address *address)
{
    socklen_t size = sizeof address->is;
    int result = ASYNC_SYS(getsockname)(fd, &address->is.any, &size);
    int error = async__address_filled(address, result, size);
    return fd < 0 ? fd : error;
}

static inline int async_peer_address(int fd, async_address *address)
{
    socklen_t size = sizeof address->is;
    int result = ASYNC_SYS(getpeername)(fd, &address->is.any, &size);
    int error = async__address_filled(address, result, size);
    return fd < 0 ? fd : error;
}

static inline int async_port(int fd)
{
    async_address address;
    int error = async_own_address(fd, &address);
    if (error)
        return error;
    if (address.is.any.sa_family == AF_INET6)
        return ntohs(address.is.v6.sin6_port);
    return address.is.any.sa_family == AF_INET ? ntohs(address.is.v4.sin_port) : -EINVAL;
}

static inline int async__print_unix(const async_address *address, char *text, size_t size)
{
    const char *path = address->is.local.sun_path;
    int length = (int)(address->size - offsetof(struct sockaddr_un, sun_path));
    int is_abstract = length > 0 && !path[0];
    return snprintf(text, size, "%s%.*s", is_abstract ? "@" : "", length - is_abstract,
                    path + is_abstract);
}

ASYNC__RARE static inline int async_address_print(const async_address *address, char *text,
                                                  size_t size)
{
    const struct sockaddr_in6 *v6 = &address->is.v6;
    int family = address->size ? address->is.any.sa_family : AF_UNSPEC;
    char host[INET6_ADDRSTRLEN] = "", scope[12] = "";
    if (family == AF_UNIX)
        return async__print_unix(address, text, size);
    if (family == AF_INET) {
        inet_ntop(AF_INET, &address->is.v4.sin_addr, host, sizeof host);
        return snprintf(text, size, "%s:%d", host, ntohs(address->is.v4.sin_port));
    }
    if (family != AF_INET6)
        return snprintf(text, size, "%s", "");
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    if (v6->sin6_scope_id)
        snprintf(scope, sizeof scope, "%%%u", (unsigned)v6->sin6_scope_id);
    return snprintf(text, size, "[%s%s]:%d", host, scope, ntohs(v6->sin6_port));
}

/* ---- sockets ---- */

static inline int async__set_option(int fd, int level, int option, int value)
{
    return ASYNC_SYS(setsockopt)(fd, level, option, &value, sizeof value);
}

/* A non-blocking socket no child inherits, no write kills with. Returns it or -errno. */
ASYNC__RARE static inline int async__socket(int family, int type)
{
    int fd = ASYNC_SYS(socket)(family, type | ASYNC__SOCK_FLAGS, 0);
    if (fd < 0)
        return -errno;
    if (!ASYNC__SOCK_FLAGS && (fd = async__prepare(fd)) < 0)
        return fd;
    if (type == SOCK_STREAM && family != AF_UNIX)
        async__set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* as asyncio; inherited by accept */
    return fd;
}

static inline async_op async__connect(int error, const async_address *address, const char *path);

/* On Linux a full backlog is EAGAIN, and no attempt is in progress: again a little later. */
ASYNC__COROUTINE(async__connect_later, const char *path; int64_t pause_ms;)
{
    async_address address;
    int fd;
    async_begin;
    for (;;) {
        self->pause_ms += self->pause_ms < 100 ? 10 : 0;
        async_await(async_sleep(self->pause_ms));
        fd = async_address_unix(&address, self->path);
        async_await(fd, async__connect(fd, &address, NULL));
        if (fd != -EAGAIN)
            async_return(fd);
    }
    async_end;
}

/* Connect, unless the address is wrong already, and wait for the outcome; with a `path` also while
 * a Unix socket's backlog is full. */
ASYNC__RARE static inline async_op async__connect(int error, const async_address *address,
                                                  const char *path)
{
    async_loop *loop = async__loop();
    async__task *task = async__begin(loop);
    int family = address->is.any.sa_family, kind = async__kind_of_socket(family, SOCK_STREAM), fd;
    struct async__connect_later call;
    if (async__refused(loop, task))
        return async__pending(loop);
    fd = error ? error : async__socket(family, SOCK_STREAM);
    if (fd < 0)
        return async__done(loop, task, fd);
    error = async__connect_raw(fd, address);
    if (error == -EAGAIN && path) {
        ASYNC_SYS(close)(fd);
        memset(&call, 0, sizeof call);
        call.path = path;
        return async__call(async__connect_later_type(), &call);
    }
    if (error != -EINPROGRESS && error != -EINTR)
        return async__done(loop, task, async__adopt_own(error, fd, kind, ASYNC__R | ASYNC__W));
    fd = async__adopt_own(0, fd, kind, ASYNC__WRITES);
    if (fd < 0)
        return async__done(loop, task, fd);
    task->on.io.fd = fd;
    loop->attempts[ASYNC__CONNECT] = async__attempt_connect;
    return async__park_descriptor(loop, task, ASYNC__CONNECT);
}

static inline int async__is_internet(int family)
{
    return family == AF_INET || family == AF_INET6;
}

static inline async_op async_connect_at(const async_address *address)
{
    int is_wrong = !address->size || !async__is_internet(address->is.any.sa_family);
    async__check_buffer(async__loop(), address);
    return async__connect(is_wrong ? -EINVAL : 0, address, NULL);
}

static inline async_op async_connect_unix(const char *path)
{
    async_address address;
    int error = async_address_unix(&address, path);
    async__check_buffer(async__loop(), path);
    return async__connect(error, &address, path);
}

static inline int async_connect_udp(const char *host, int port)
{
    async_address address;
    int error = async_address_parse(&address, host, port), family = address.is.any.sa_family;
    int fd = error ? error : async__socket(family, SOCK_DGRAM);
    if (fd < 0)
        return fd;
    return async__adopt_own(async__connect_raw(fd, &address), fd,
                            async__kind_of_socket(family, SOCK_DGRAM), ASYNC__R | ASYNC__W);
}

/* Make a socket that others find, and adopt it. Returns it or a negative errno. */
ASYNC__RARE static inline int async__bound(const async_address *address, int type, int only_v6,
                                           const async_listen_options *options)
{
    int family = address->is.any.sa_family, error = 0, fd;
    int backlog = options && options->backlog ? options->backlog : SOMAXCONN;
    int shares = options && options->share_port;
    if (shares && !ASYNC_HAS_REUSEPORT)
        return -ENOTSUP;
    fd = async__socket(family, type);
    if (fd < 0)
        return fd;
    if (type == SOCK_STREAM && family != AF_UNIX)
        async__set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (family == AF_INET6) /* systems differ in what they start with */
        async__set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, only_v6);
    if ((shares && async__set_option(fd, SOL_SOCKET, ASYNC__REUSEPORT, 1) < 0) ||
        (address->size && ASYNC_SYS(bind)(fd, &address->is.any, address->size) < 0) ||
        (type == SOCK_STREAM && ASYNC_SYS(listen)(fd, backlog) < 0))
        error = -errno;
    return async__adopt_own(error, fd, async__kind_of_socket(family, type), ASYNC__R | ASYNC__W);
}

/* At a numeric address; NULL: at all of them, in one socket for IPv6 and IPv4. */
ASYNC__RARE static inline int async__bound_to(const char *host, int port, int type,
                                              const async_listen_options *options)
{
    async_address address;
    int fd = async_address_parse(&address, host ? host : "::", port);
    if (!fd)
        fd = async__bound(&address, type, host != NULL, options);
    if (host || (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL))
        return fd;
    async_address_parse(&address, "0.0.0.0", port); /* a system without IPv6 */
    return async__bound(&address, type, 0, options);
}

static inline int async_listen_with(const char *host, int port,
                                    const async_listen_options *options)
{
    return async__bound_to(host, port, SOCK_STREAM, options);
}

static inline int async_listen(const char *host, int port)
{
    return async__bound_to(host, port, SOCK_STREAM, NULL);
}

static inline int async_listen_at(const async_address *address,
                                  const async_listen_options *options)
{
    return address->size ? async__bound(address, SOCK_STREAM, 1, options) : -EINVAL;
}

static inline int async_listen_unix(const char *path)
{
    async_address address;
    int error = async_address_unix(&address, path);
    return error ? error : async_listen_at(&address, NULL);
}

static inline int async_bind_udp(const char *host, int port, const async_listen_options *options)
{
    return async__bound_to(host, port, SOCK_DGRAM, options);
}

static inline int async_bind_unix(const char *path)
{
    async_address address;
    int error = async_address_unix(&address, path);
    return error && path ? error : async__bound(&address, SOCK_DGRAM, 0, NULL);
}

/* ---- datagrams ---- */

/* One datagram, if there is hope; else as async__try. poll(2) tells nothing about the queue of
 * another Unix socket, so whoever finds it full looks again a little later. */
static inline ssize_t async__try_datagram(async_loop *loop, int fd, unsigned bit, void *data,
                                          size_t size, async_address *address)
{
    async__descriptor *descriptor = &loop->descriptors[fd];
    struct iovec whole = { data, size };
    struct msghdr message;
    async_address other; /* instead of none, or as a socket for IPv6 knows it */
    ssize_t n;
    int error;
    if (!(descriptor->bits & bit))
        return -EAGAIN;
    if (bit == ASYNC__R && !address) {
        address = &other;
    } else if (bit == ASYNC__W && address && descriptor->kind == ASYNC__DATAGRAM_V6 &&
               address->is.any.sa_family == AF_INET) {
        other = async__mapped(address);
        address = &other;
    }
    do {
        message = async__message(&whole, 1);
        message.msg_name = address ? &address->is : NULL;
        message.msg_namelen = bit == ASYNC__R ? sizeof address->is : address ? address->size : 0;
        n = bit == ASYNC__R ? ASYNC_SYS(recvmsg)(fd, &message, 0)
                            : ASYNC_SYS(sendmsg)(fd, &message, ASYNC__NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    error = n < 0 ? errno : bit == ASYNC__R && (message.msg_flags & MSG_TRUNC) ? EMSGSIZE : 0;
    if (bit == ASYNC__R)
        async__address_filled(address, n, message.msg_namelen);
    else if (!error)
        loop->backoff_ns = 0;
    else if (error == EAGAIN && address && address->is.any.sa_family == AF_UNIX)
        error = ENOBUFS;
    return error ? async__try_failed(loop, descriptor, bit, error) : n;
}

/* As the others that try what a task describes; its `result` is the address meanwhile. */
static inline async_result async__attempt_datagram(async_loop *loop, async__task *task)
{
    return async__try_datagram(loop, task->on.io.fd, async__bit_of(task->item.op),
                               task->item.at.buffer, task->on.io.size,
                               (async_address *)(uintptr_t)task->result);
}

static inline async_op async_recvfrom(int fd, void *data, size_t size, async_address *address)
{
    return async__io(ASYNC__RECVFROM, async__attempt_datagram, fd, data, size, address);
}

static inline async_op async_sendto(int fd, const void *data, size_t size,
                                    const async_address *address)
{
    return async__io(ASYNC__SENDTO, async__attempt_datagram, fd, data, size, address);
}

/* ---- pairs ---- */

/* Both ends of a pair that async.h has just made. Returns 0 or a negative errno, and then both are
 * closed. */
static inline int async__prepare_pair(int ends[2])
{
    int first = async__prepare(ends[0]), second = async__prepare(ends[1]);
    if (first >= 0 && second >= 0)
        return 0;
    if (first >= 0 || second >= 0)
        ASYNC_SYS(close)(first >= 0 ? first : second);
    return first < 0 ? first : second;
}

#if ASYNC_HAS_PIPE2
static inline int async__pipe_raw(int ends[2])
{
    return ASYNC_SYS(pipe2)(ends, O_NONBLOCK | O_CLOEXEC) < 0 ? -errno : 0;
}
#else
static inline int async__pipe_raw(int ends[2])
{
    if (ASYNC_SYS(pipe)(ends) < 0)
        return -errno;
    return async__prepare_pair(ends);
}
#endif

/* Adopt both, or close both. */
static inline int async__adopt_pair(int ends[2], int kind)
{
    int first = async__adopt_own(0, ends[0], kind, ASYNC__R | ASYNC__W);
    int second = async__adopt_own(first < 0 ? first : 0, ends[1], kind, ASYNC__R | ASYNC__W);
    if (first >= 0 && second < 0)
        async_close(first);
    return second < 0 ? second : 0;
}

static inline int async_pipe(int ends[2])
{
    int error = async__pipe_raw(ends);
    return error ? error : async__adopt_pair(ends, ASYNC__PIPE);
}

static inline int async_socketpair(int ends[2])
{
    int error;
    if (ASYNC_SYS(socketpair)(AF_UNIX, SOCK_STREAM | ASYNC__SOCK_FLAGS, 0, ends) < 0)
        return -errno;
    if (!ASYNC__SOCK_FLAGS && (error = async__prepare_pair(ends)) < 0)
        return error;
    return async__adopt_pair(ends, ASYNC__STREAM_UNIX);
}

/* ----------------------------------------------------------------------------
 * MARK: - Callbacks
 * >>callbacks    The same reactor without coroutines. A callback runs from the loop, never on its
 *                caller's stack.
 * ------------------------------------------------------------------------- */
/* A chunk more of free ones. Returns 0 or -ENOMEM, and then nothing has changed. */
ASYNC__RARE static inline int async__callbacks_grow(async_loop *loop)
{
    uint32_t count = loop->callback_count, i;
    size_t chunks = count / ASYNC__CHUNK + 1;
    async__callback **all = (async__callback **)ASYNC_MEM(realloc)(loop->chunks,
                                                                   chunks * sizeof *all), *chunk;
    if (!all)
        return -ENOMEM;
    loop->chunks = all;
    if (async__heap_grow(loop, loop->slot_capacity + count + ASYNC__CHUNK) < 0)
        return -ENOMEM;
    chunk = (async__callback *)ASYNC_MEM(calloc)(ASYNC__CHUNK, sizeof *chunk);
    if (!chunk)
        return -ENOMEM;
    all[chunks - 1] = chunk;
    loop->callback_count += ASYNC__CHUNK;
    for (i = ASYNC__CHUNK; i--;) {
        chunk[i].item.slot = ASYNC__CALLBACKS + count + i;
        chunk[i].item.kind = ASYNC__CALLBACK;
        chunk[i].generation = async__first_generation(loop);
        chunk[i].item.at.next = loop->free_callback;
        loop->free_callback = &chunk[i].item;
    }
    return 0;
}

/* A loop that closes does not drop this one; or does. */
static inline void async__need(const async_loop *loop, async_handle callback, int is_needed)
{
    async__item *item = async__find(loop, callback);
    if (item)
        item->flags = (uint8_t)((item->flags & ~ASYNC__NEEDED) | (is_needed ? ASYNC__NEEDED : 0));
}

static inline void async__callback_release(async_loop *loop, async__callback *callback)
{
    callback->item.op = 0;
    callback->item.at.next = loop->free_callback;
    loop->free_callback = &callback->item;
}

/* The handle is gone at once; the memory too, unless the callback is queued or runs right now. */
static inline void async__callback_drop(async_loop *loop, async__item *item)
{
    async__callback *callback = (async__callback *)(void *)item;
    async__timer_stop(loop, item->slot);
    if (callback->fd >= 0) {
        uint32_t *waiter = async__waiter_of(loop, callback->fd, item->op);
        if (*waiter == item->slot)
            async__desert(loop, waiter);
    }
    callback->generation = callback->generation == INT32_MAX ? 1 : callback->generation + 1;
    if (item->flags & ASYNC__QUEUED)
        item->flags |= ASYNC__CANCELLED;
    else
        async__callback_release(loop, callback);
}

static inline void async__callback_run(async_loop *loop, async__item *item)
{
    async__callback *callback = (async__callback *)(void *)item;
    unsigned op = callback->item.op;
    if (!(callback->item.flags & ASYNC__CANCELLED)) { /* queued while it runs: nobody frees it */
        if (op == ASYNC__SOON || op == ASYNC__AFTER)
            async__callback_drop(loop, item);
        if (callback->fd < 0)
            callback->call.plain(callback->data);
        else
            callback->call.ready(callback->fd, callback->data);
    }
    callback->item.flags &= 0xff & ~ASYNC__QUEUED;
    if (callback->item.flags & ASYNC__CANCELLED)
        async__callback_release(loop, callback);
    else if (callback->fd >= 0 &&
             async__ready_now(loop, callback->fd, async__bit_of(callback->item.op)))
        async__call_soon(loop, &callback->item);
}

/* Its timer has come. An interval that was missed is left out, and the next keeps step. */
static inline void async__callback_due(async_loop *loop, async__item *item)
{
    async__callback *callback = (async__callback *)(void *)item;
    if (callback->item.op == ASYNC__EVERY) {
        int64_t late_ns = loop->now_ns - callback->due_ns;
        callback->due_ns += (late_ns / callback->interval_ns + 1) * callback->interval_ns;
        async__timer_start(loop, callback->item.slot, callback->due_ns);
    }
    async__call_soon(loop, item);
}

static inline void async__callback_ready(async_loop *loop, async__item *item, unsigned bits)
{
    async__callback *callback = (async__callback *)(void *)item;
    if (!(bits & ASYNC__RETRY) ||
        async__ready_now(loop, callback->fd, async__bit_of(callback->item.op)))
        async__call_soon(loop, item);
}

static inline async__callback *async__callback_new(async_loop *loop, unsigned op, void *data)
{
    static const async__kind kind = { async__callback_run, async__callback_ready,
                                      async__callback_due, async__callback_drop, NULL, NULL };
    async__callback *callback;
    if (!loop->free_callback && async__callbacks_grow(loop) < 0)
        return NULL;
    loop->kinds[ASYNC__CALLBACK] = &kind;
    callback = (async__callback *)(void *)loop->free_callback;
    loop->free_callback = callback->item.at.next;
    callback->item.op = op & 0xff;
    callback->item.flags = 0;
    callback->fd = -1;
    callback->data = data;
    return callback;
}

static inline async_handle async__on_ready(unsigned op, int fd, void *data,
                                           void (*function)(int fd, void *data))
{
    async_loop *loop = async__loop();
    async__callback *callback;
    int error = async__unusable(loop, fd);
    if (error)
        return error;
    if (*async__waiter_of(loop, fd, op))
        return -EBUSY;
    if (op == ASYNC__WRITABLE)
        error = async__watch_writes(loop, fd, &loop->descriptors[fd]);
    if (error)
        return error;
    callback = async__callback_new(loop, op, data);
    if (!callback)
        return -ENOMEM;
    callback->fd = fd;
    callback->call.ready = function;
    async__attend(loop, async__waiter_of(loop, fd, op), callback->item.slot);
    if (async__ready_now(loop, fd, async__bit_of(callback->item.op)))
        async__call_soon(loop, &callback->item);
    return async__handle(callback->item.slot, callback->generation);
}

static inline async_handle async_on_readable(int fd, void *data,
                                             void (*callback)(int fd, void *data))
{
    return async__on_ready(ASYNC__READABLE, fd, data, callback);
}

static inline async_handle async_on_writable(int fd, void *data,
                                             void (*callback)(int fd, void *data))
{
    return async__on_ready(ASYNC__WRITABLE, fd, data, callback);
}

static inline async_handle async_soon(void *data, void (*callback)(void *data))
{
    return async_after(0, data, callback);
}

static inline async_handle async_after(int64_t delay_ms, void *data, void (*callback)(void *data))
{
    async_loop *loop = async__loop();
    async__callback *made = async__callback_new(loop, delay_ms > 0 ? ASYNC__AFTER : ASYNC__SOON,
                                                data);
    if (!made)
        return -ENOMEM;
    made->call.plain = callback;
    if (delay_ms > 0)
        async__timer_start(loop, made->item.slot, async__from_now(delay_ms));
    else
        async__call_soon(loop, &made->item);
    return async__handle(made->item.slot, made->generation);
}

static inline async_handle async_every(int64_t interval_ms, void *data,
                                       void (*callback)(void *data))
{
    async_loop *loop = async__loop();
    async__callback *made;
    if (interval_ms < 1)
        return -EINVAL;
    made = async__callback_new(loop, ASYNC__EVERY, data);
    if (!made)
        return -ENOMEM;
    made->call.plain = callback;
    made->due_ns = async__from_now(interval_ms);
    made->interval_ns = interval_ms > ASYNC__NEVER / 4000000 ? ASYNC__NEVER / 4
                                                             : interval_ms * 1000000;
    async__timer_start(loop, made->item.slot, made->due_ns);
    return async__handle(made->item.slot, made->generation);
}

/* As async__unusable, before a try without waiting. Where nobody waits the poller may not be told
 * to look: there a clear bit proves nothing. */
static inline int async__unusable_now(int fd)
{
    async_loop *loop = async__loop();
    int error = async__unusable(loop, fd);
    if (!error && !loop->descriptors[fd].reader)
        loop->descriptors[fd].bits |= ASYNC__R;
    if (!error && !loop->descriptors[fd].writer)
        loop->descriptors[fd].bits |= ASYNC__W;
    return error;
}

static inline ssize_t async_read_nowait(int fd, void *data, size_t size)
{
    int error = async__unusable_now(fd);
    return error ? error : async__try(async__loop(), fd, ASYNC__R, data, size);
}

static inline ssize_t async_write_nowait(int fd, const void *data, size_t size)
{
    async_loop *loop = async__loop();
    int error = async__unusable_now(fd);
    if (error)
        return error;
    if (loop->descriptors[fd].writer && (async__later(&loop->descriptors[fd]) & ASYNC__W))
        return -EAGAIN; /* who waits may be in the midst of a write */
    return async__try(loop, fd, ASYNC__W, (void *)(uintptr_t)data, size);
}

static inline int async_accept_nowait(int listener)
{
    int error = async__unusable_now(listener);
    return error ? error : async__accept_now(async__loop(), listener);
}

static inline ssize_t async_recvfrom_nowait(int fd, void *data, size_t size,
                                            async_address *address)
{
    int error = async__unusable_now(fd);
    return error ? error
                 : async__try_datagram(async__loop(), fd, ASYNC__R, data, size, address);
}

static inline ssize_t async_sendto_nowait(int fd, const void *data, size_t size,
                                          const async_address *address)
{
    int error = async__unusable_now(fd);
    return error ? error
                 : async__try_datagram(async__loop(), fd, ASYNC__W, (void *)(uintptr_t)data, size,
                                       (async_address *)(uintptr_t)address);
}

/* ----------------------------------------------------------------------------
 * MARK: - Threads
 * >>threads      Two queues under one lock: jobs for the pool, and what comes back from it or is
 *                posted. Who makes the second one not empty writes a byte into a pipe: one write
 *                for any number, and none is lost, for the loop takes the byte before the queue.
 * ------------------------------------------------------------------------- */
static inline async__job *async__job_take(async__waiter **queue)
{
    async__job *job = (async__job *)(void *)async__first_waiter(queue);
    async__leave_queue(queue, &job->waiter);
    return job;
}

/* Under the lock: the loop has something to take. Returns 0, or a negative errno if it cannot be
 * told, and then it has not. */
static inline int async__job_done(async__threads *threads, async__job *job)
{
    while (!threads->done && ASYNC_SYS(write)(threads->ends[1], "", 1) < 0)
        if (errno != EINTR)
            return -errno;
    async__line_up(job->waiter.slot, &job->waiter, &threads->done);
    return 0;
}

/* Likewise, of a thread that has nobody to say so to. */
static inline void async__job_deliver(async__threads *threads, async__job *job)
{
    if (async__job_done(threads, job) < 0)
        async__panic("a descriptor of the loop was closed: its threads cannot reach it");
}

/* What a thread of the pool runs. */
static inline void *async__pool_work(void *argument)
{
    async__threads *threads = (async__threads *)argument;
    pthread_mutex_lock(&threads->lock);
    for (;;) {
        async__job *job;
        threads->idle++;
        while (!threads->jobs && !threads->is_closing)
            ASYNC_SYS(pthread_cond_wait)(&threads->work, &threads->lock);
        threads->idle--;
        if (!threads->jobs)
            break;
        job = async__job_take(&threads->jobs);
        threads->queued--;
        ASYNC__STORE(job->is_running, 1);
        pthread_mutex_unlock(&threads->lock);
        job->with.result = job->call.function(job->with.data);
        pthread_mutex_lock(&threads->lock);
        async__job_deliver(threads, job);
    }
    pthread_mutex_unlock(&threads->lock);
    return NULL;
}

/* Start a thread, which no signal interrupts. Returns 0 or a negative errno. */
ASYNC__RARE static inline int async__thread_start(pthread_t *thread, void *(*function)(void *),
                                                  void *argument)
{
    sigset_t all, before;
    int error;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = ASYNC_SYS(pthread_create)(thread, NULL, function, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

/* A reason for the loop to wait for the pipe goes. */
static inline void async__threads_drop(async__threads *threads)
{
    if (!--threads->users)
        async_cancel(threads->reader);
}

/* The loop takes all that is done, and then what it calls may post anew. */
static inline void async__threads_read(int fd, void *argument)
{
    async_loop *loop = async__loop();
    async__threads *threads = (async__threads *)argument;
    async__waiter *done;
    char bytes[2]; /* with room left, a read says that the pipe is empty */
    if (async_read_nowait(fd, bytes, sizeof bytes) <= 0)
        return;
    pthread_mutex_lock(&threads->lock);
    done = threads->done;
    threads->done = NULL;
    pthread_mutex_unlock(&threads->lock);
    while (done) {
        async__job *place = async__job_take(&done), job = *place;
        int is_lookup = !job.waiter.slot && job.with.data == place; /* frees itself */
        if (!is_lookup)
            ASYNC_MEM(free)(place);
        if (job.waiter.slot) {
            async__threads_drop(threads);
            async__wake(loop, async__task_at(loop, job.waiter.slot), job.with.result);
        } else if (loop->live || !loop->closing || is_lookup) {
            job.call.callback(job.with.data); /* a post at the end, if a task may wait for it */
        }
    }
}

/* The task does not wait for its job any more, unless that runs. */
static inline int async__withdraw(async_loop *loop, async__task *task)
{
    async__threads *threads = loop->threads;
    async__job *job = (async__job *)task->item.at.buffer;
    int is_queued;
    if (async__is_foreign(loop)) /* one that is not there may have the lock */
        return 0;
    pthread_mutex_lock(&threads->lock);
    is_queued = !job->is_running;
    if (is_queued) {
        async__leave_queue(&threads->jobs, &job->waiter);
        threads->queued--;
    }
    pthread_mutex_unlock(&threads->lock);
    if (is_queued) {
        ASYNC_MEM(free)(job);
        async__threads_drop(threads);
    }
    return is_queued;
}

static inline void async__threads_release(async__threads *threads)
{
    unsigned left;
    pthread_mutex_lock(&threads->lock);
    left = --threads->references;
    pthread_mutex_unlock(&threads->lock);
    if (left)
        return;
    pthread_cond_destroy(&threads->work);
    pthread_mutex_destroy(&threads->lock);
    ASYNC_MEM(free)(threads);
}

/* In a child after fork there are no threads, nobody gives the lock back, and a queue may be in the
 * midst of a change: what was posted is lost. The tasks know their jobs. */
ASYNC__RARE static inline void async__forget_jobs(const async_loop *loop)
{
    uint32_t slot;
    for (slot = 1; slot < loop->slot_count; slot++) {
        const async__item *item = async__item_at(loop, slot);
        if (item && item->kind == ASYNC__TASK && item->op == ASYNC__OFFLOAD)
            ASYNC_MEM(free)(item->at.buffer);
    }
}

ASYNC__RARE static inline void async__threads_close(async_loop *loop)
{
    async__threads *threads = loop->threads;
    loop->threads = NULL;
    if (async__is_foreign(loop)) {
        async__forget_jobs(loop);
        ASYNC_MEM(free)(threads);
        return;
    }
    pthread_mutex_lock(&threads->lock);
    threads->is_closing = 1;
    ASYNC_SYS(pthread_cond_broadcast)(&threads->work);
    pthread_mutex_unlock(&threads->lock);
    while (threads->count)
        ASYNC_SYS(pthread_join)(threads->pool[--threads->count], NULL);
    while (threads->done)
        ASYNC_MEM(free)(async__job_take(&threads->done));
    async__threads_release(threads);
}

/* What the loop shares with threads, made at its first use. Returns 0 or a negative errno. */
ASYNC__RARE static inline int async__threads_open(async_loop *loop)
{
    async__threads *threads;
    int error;
    if (loop->threads)
        return 0;
    threads = (async__threads *)ASYNC_MEM(calloc)(1, sizeof *threads);
    if (!threads)
        return -ENOMEM;
    error = async_pipe(threads->ends);
    if (error) {
        ASYNC_MEM(free)(threads);
        return error;
    }
    pthread_mutex_init(&threads->lock, NULL);
    pthread_cond_init(&threads->work, NULL);
    async_semaphore_init(&threads->lookups, ASYNC__LOOKUPS);
    threads->references = 1;
    threads->withdraw = async__withdraw;
    threads->close = async__threads_close;
    loop->threads = threads;
    return 0;
}

/* A reason for the loop to wait for the pipe comes. Returns 0 or a negative errno. */
ASYNC__RARE static inline int async__threads_hold(async_loop *loop)
{
    int error = async__threads_open(loop);
    async__threads *threads = loop->threads;
    if (error)
        return error;
    if (!threads->users) {
        threads->reader = async_on_readable(threads->ends[0], threads, async__threads_read);
        if (threads->reader < 0)
            return (int)threads->reader;
        async__need(loop, threads->reader, 1);
    }
    threads->users++;
    return 0;
}

/* To the pool, which grows where nobody is idle. Returns 0; or a negative errno, and the pipe is
 * not held any more. */
static inline int async__enqueue(async_loop *loop, async__task *task,
                                 async_result (*function)(void *data), void *data)
{
    async__threads *threads = loop->threads;
    async__job *job = (async__job *)ASYNC_MEM(calloc)(1, sizeof *job);
    int needs_more, error = 0;
    if (!job) {
        async__threads_drop(threads);
        return -ENOMEM;
    }
    job->call.function = function;
    job->with.data = data;
    task->item.at.buffer = job;
    pthread_mutex_lock(&threads->lock);
    async__line_up(task->item.slot, &job->waiter, &threads->jobs);
    needs_more = ++threads->queued > threads->idle && threads->count < ASYNC__POOL;
    ASYNC_SYS(pthread_cond_signal)(&threads->work);
    pthread_mutex_unlock(&threads->lock);
    if (needs_more)
        error = async__thread_start(&threads->pool[threads->count], async__pool_work, threads);
    threads->count += needs_more && !error;
    if (threads->count)
        return 0;
    async__withdraw(loop, task);
    return error;
}

static inline async_op async_offload(async_result (*function)(void *data), void *data)
{
    async_loop *loop = async__loop();
    async__task *task = async__begin(loop);
    int error;
    async__check_buffer(loop, data);
    if (async__refused(loop, task))
        return async__pending(loop);
    error = async__threads_hold(loop);
    if (!error)
        error = async__enqueue(loop, task, function, data);
    return error ? async__done(loop, task, error) : async__park(loop, task, ASYNC__OFFLOAD);
}

static inline async_loop *async_loop_share(void)
{
    async_loop *loop = async__loop();
    return async__threads_hold(loop) ? NULL : loop;
}

static inline int async_post(async_loop *loop, void *data, void (*callback)(void *data))
{
    async__job *job;
    int error;
    if (!loop->threads)
        async__panic("a post to a loop that async_loop_share has not shared");
    if (async__is_foreign(loop))
        return -EPERM;
    job = (async__job *)ASYNC_MEM(calloc)(1, sizeof *job);
    if (!job)
        return -ENOMEM;
    job->call.callback = callback;
    job->with.data = data;
    pthread_mutex_lock(&loop->threads->lock);
    error = async__job_done(loop->threads, job);
    pthread_mutex_unlock(&loop->threads->lock);
    if (error)
        ASYNC_MEM(free)(job);
    return error;
}

/* ----------------------------------------------------------------------------
 * MARK: - Names
 * >>names        getaddrinfo(3) blocks, for half a minute where no server answers. So each lookup
 *                has a thread of its own and owns all that it writes to: who asked may leave, even
 *                the loop may, and it ends by itself. There are 64 at a time: where so many
 *                wait for a server, more would not be served sooner. Connecting is written with
 *                what stands above: each question and each attempt is a task, a child of who
 *                connects, and who wins or leaves ends the others.
 * ------------------------------------------------------------------------- */
#define ASYNC__ADDRESSES 32    /* taken of one answer                                         */
#define ASYNC__PATIENCE_MS 50  /* RFC 8305, 8: an answer for IPv4 waits so long for IPv6's    */
#define ASYNC__STAGGER_MS 250  /* likewise: from one attempt to the next                      */

/* A question and its answer: the thread's, until it is posted to the loop, or the loop is gone. */
typedef struct async__lookup {
    async__job job; /* first: whoever frees that frees all of it */
    async__threads *threads;
    async_event *news; /* the loop's: to be set when it is over; NULL: nobody waits */
    int is_over;       /* likewise: it has been posted                              */
    int is_answered;   /* under the lock                                            */
    int family;
    struct async__lookup *next; /* of those not needed any more */
    async_result found; /* how many, or a negative errno */
    async_address addresses[ASYNC__ADDRESSES];
    char host[1]; /* and the rest of it */
} async__lookup;

/* Right after getaddrinfo. What is not named here (EAI_NODATA...) not every system declares. */
static inline int async__lookup_error(int error)
{
    int system_error = errno;
    switch (error) {
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_FAIL:
        return -EIO;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return system_error ? -system_error : -EIO;
    default:
        return -ENOENT;
    }
}

/* Each once: two lines of /etc/hosts may say the same. */
static inline void async__lookup_add(async__lookup *lookup, const struct addrinfo *entry)
{
    async_address *address = &lookup->addresses[lookup->found], *other = lookup->addresses;
    if (!async__is_internet(entry->ai_family) || lookup->found == ASYNC__ADDRESSES)
        return;
    memset(address, 0, sizeof *address);
    memcpy(&address->is, entry->ai_addr, entry->ai_addrlen);
    address->size = entry->ai_addrlen;
    while (memcmp(&other->is, &address->is, sizeof other->is) != 0)
        other++;
    lookup->found += other == address;
}

static inline void async__look_up(async__lookup *lookup)
{
    struct addrinfo hints, *list = NULL, *entry;
    int error;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = lookup->family;
    hints.ai_socktype = SOCK_STREAM; /* each address once */
    error = ASYNC_SYS(getaddrinfo)(lookup->host, NULL, &hints, &list);
    if (error) {
        lookup->found = async__lookup_error(error);
        return;
    }
    for (entry = list; entry; entry = entry->ai_next)
        async__lookup_add(lookup, entry);
    ASYNC_SYS(freeaddrinfo)(list);
    if (!lookup->found)
        lookup->found = -ENOENT;
}

/* What a lookup's thread runs. */
static inline void *async__lookup_work(void *argument)
{
    async__lookup *lookup = (async__lookup *)argument;
    async__threads *threads = lookup->threads;
    int is_late;
    pthread_detach(pthread_self());
    async__look_up(lookup);
    pthread_mutex_lock(&threads->lock);
    is_late = threads->is_closing;
    lookup->is_answered = 1;
    if (!is_late)
        async__job_deliver(threads, &lookup->job);
    pthread_mutex_unlock(&threads->lock);
    if (is_late)
        ASYNC_MEM(free)(lookup);
    async__threads_release(threads);
    return NULL;
}

/* Out of those not needed any more, if it is one of them. */
static inline void async__lookup_remove(const async__lookup *lookup)
{
    async__lookup **place = &lookup->threads->left;
    while (*place && *place != lookup)
        place = &(*place)->next;
    if (*place)
        *place = lookup->next;
}

static inline void async__lookup_arrives(void *data)
{
    async__lookup *lookup = (async__lookup *)data;
    lookup->is_over = 1;
    async_semaphore_release(&lookup->threads->lookups);
    if (lookup->news) {
        async_event_set(lookup->news);
        return;
    }
    async__lookup_remove(lookup);
    ASYNC_MEM(free)(lookup);
}

/* Who waited for it is gone. An answer still to come that was needed took too long; one that was
 * not may be the next one's who asks. */
static inline void async__lookup_leave(async__lookup *lookup, int is_needed)
{
    if (lookup->is_over) {
        ASYNC_MEM(free)(lookup);
        return;
    }
    lookup->news = NULL;
    if (is_needed)
        return;
    lookup->next = lookup->threads->left;
    lookup->threads->left = lookup;
}

/* The same question, where a race was won without its answer: whoever connects again and again to a
 * host of whose questions one is never answered keeps one thread busy, not one for each time. (Who
 * gave up a question asks anew: packets are lost, servers change.) `news` is set when the answer
 * comes; one that has come would be an old one. */
static inline async__lookup *async__lookup_take(async__threads *threads, const char *host,
                                                int family, async_event *news)
{
    async__lookup *lookup;
    pthread_mutex_lock(&threads->lock);
    lookup = threads->left;
    while (lookup && (lookup->is_answered || lookup->family != family ||
                      strcmp(lookup->host, host) != 0))
        lookup = lookup->next;
    pthread_mutex_unlock(&threads->lock);
    if (lookup) {
        async__lookup_remove(lookup);
        lookup->news = news;
    }
    return lookup;
}

/* Ask; likewise. Returns 0 or a negative errno. */
ASYNC__RARE static inline int async__lookup_start(async__lookup **place, const char *host,
                                                  int family, async_event *news)
{
    async__threads *threads = async__loop()->threads;
    size_t length = strlen(host);
    async__lookup *lookup = (async__lookup *)ASYNC_MEM(calloc)(1, sizeof *lookup + length);
    pthread_t thread;
    int error = -ENOMEM;
    pthread_mutex_lock(&threads->lock);
    threads->references++;
    pthread_mutex_unlock(&threads->lock);
    if (lookup) {
        lookup->job.call.callback = async__lookup_arrives;
        lookup->job.with.data = lookup;
        lookup->threads = threads;
        lookup->news = news;
        lookup->family = family;
        memcpy((char *)lookup + offsetof(async__lookup, host), host, length + 1);
        error = async__thread_start(&thread, async__lookup_work, lookup);
    }
    if (error) {
        async__threads_release(threads);
        async_semaphore_release(&threads->lookups);
        ASYNC_MEM(free)(lookup);
        return error;
    }
    *place = lookup;
    return 0;
}

/* The first addresses found, each with the port. Returns how many, or a negative errno. */
static inline async_result async__lookup_answer(const async__lookup *lookup, int port,
                                                async_address *addresses, size_t count)
{
    async_result i;
    for (i = 0; i < lookup->found && (size_t)i < count; i++) {
        addresses[i] = lookup->addresses[i];
        if (addresses[i].is.any.sa_family == AF_INET6)
            addresses[i].is.v6.sin6_port = htons((uint16_t)port);
        else
            addresses[i].is.v4.sin_port = htons((uint16_t)port);
    }
    return lookup->found < 0 ? lookup->found : i;
}

/* An address that could not be parsed: may it be a name? */
static inline int async__is_name(const char *host, int port)
{
    return host && *host && !strpbrk(host, ":%") && port >= 0 && port <= 65535;
}

/* ---- async_resolve ---- */

ASYNC__COROUTINE(async__resolve_name, const char *host; int port, family; async_address *addresses;
                 size_t count; const int *winner; async__lookup *lookup; async_event news;
                 int error;)
{
    async_result n;
    async_begin;
    self->error = async__threads_hold(async__loop());
    if (self->error)
        async_return(self->error);
    self->lookup = async__lookup_take(async__loop()->threads, self->host, self->family,
                                      &self->news);
    if (!self->lookup) {
        async_await(n, async_semaphore_acquire(&async__loop()->threads->lookups));
        if (n == 0)
            n = async__lookup_start(&self->lookup, self->host, self->family, &self->news);
        if (n < 0)
            async_return(n);
    }
    async_await(n, async_event_wait(&self->news));
    if (n == 0)
        n = async__lookup_answer(self->lookup, self->port, self->addresses, self->count);
    async_return(n);
    async_finally;
    if (self->lookup)
        async__lookup_leave(self->lookup, !self->winner || *self->winner < 0);
    if (!self->error)
        async__threads_drop(async__loop()->threads);
    async_end;
}

/* Wait for one's turn, and for the answer; `winner` is of the race it is for, NULL: of none.
 * Returns how many addresses, or a negative errno. */
static inline async_op async__resolve(const char *host, int port, int family,
                                      async_address *addresses, size_t count, const int *winner)
{
    struct async__resolve_name call;
    memset(&call, 0, sizeof call);
    call.host = host;
    call.port = port;
    call.family = family;
    call.addresses = addresses;
    call.count = count;
    call.winner = winner;
    return async__call(async__resolve_name_type(), &call);
}

static inline async_op async_resolve(const char *host, int port, async_address *addresses,
                                     size_t count)
{
    async_loop *loop = async__loop();
    async__task *task = async__begin(loop);
    async_address address;
    int error = async_address_parse(&address, host, port);
    async__check_buffer(loop, host);
    async__check_buffer(loop, addresses);
    if (async__refused(loop, task))
        return async__pending(loop);
    if (!error && count)
        addresses[0] = address;
    if (!error || !async__is_name(host, port))
        return async__done(loop, task, error ? error : count != 0);
    return async__resolve(host, port, AF_UNSPEC, addresses, count, NULL);
}

/* ---- async_listen_name ---- */

/* Returns how many, or a negative errno and then there are none. */
static inline int async__listen_each(const async_address *addresses, async_result found,
                                     const async_listen_options *options, int *listeners,
                                     size_t count)
{
    int i, made = 0, error = 0;
    for (i = 0; i < found && (size_t)made < count; i++) {
        int fd = async_listen_at(&addresses[i], options);
        if (fd >= 0) {
            listeners[made++] = fd;
            continue;
        }
        error = fd;
        if (error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL) /* no such network here */
            continue;
        while (made)
            async_close(listeners[--made]);
        return error;
    }
    return made ? made : error;
}

ASYNC__COROUTINE(async__listen_run, const char *host; int port; async_listen_options options;
                 int *listeners; size_t count; async_address addresses[ASYNC__ADDRESSES];)
{
    async_result n;
    async_begin;
    async_await(n, async_resolve(self->host, self->port, self->addresses, ASYNC__ADDRESSES));
    if (n > 0)
        n = async__listen_each(self->addresses, n, &self->options, self->listeners, self->count);
    async_return(n);
    async_end;
}

static inline async_op async_listen_name(const char *host, int port,
                                         const async_listen_options *options, int *listeners,
                                         size_t count)
{
    struct async__listen_run call;
    async__check_buffer(async__loop(), host);
    async__check_buffer(async__loop(), listeners);
    memset(&call, 0, sizeof call);
    call.host = host;
    call.port = port;
    if (options)
        call.options = *options;
    call.listeners = listeners;
    call.count = count;
    return async__call(async__listen_run_type(), &call);
}

/* ---- async_connect: happy eyeballs ---- */

enum { ASYNC__V6, ASYNC__V4 }; /* families, in the order of preference */

typedef struct async__race {
    const char *host;
    int port;
    int last;              /* family tried                                         */
    int fd, error;         /* who has won, -1: nobody yet; or what to say          */
    int is_over, running;  /* children: questions and attempts                     */
    int has_tried;         /* an attempt was made                                  */
    async_event news;      /* a child has ended                                    */
    int64_t due_ns;        /* no attempt before; 0: now                            */
    async_result found[2]; /* how many; 0: no answer yet; or a negative errno      */
    async_result next[2];  /* the first of the addresses found that was not tried  */
    async_address addresses[2][ASYNC__ADDRESSES];
    int began;             /* children, those that have ended too                  */
    async_task children[2 + 2 * ASYNC__ADDRESSES];
} async__race;

/* How much an error says about the host. */
static inline int async__telling(int error)
{
    switch (error) {
    case 0:
        return 0;
    case -ENOENT:
        return 1;
    case -EAGAIN:
    case -EIO: /* of a lookup */
        return 2;
    case -ENETUNREACH:
    case -EADDRNOTAVAIL:
    case -EAFNOSUPPORT: /* this machine has no such network */
        return 3;
    default:
        return 4;
    }
}

static inline void async__race_failed(async__race *race, async_result error)
{
    if (async__telling((int)error) > async__telling(race->error))
        race->error = (int)error;
}

/* The race's children: a question of each family, and each attempt. */
ASYNC__COROUTINE(async__race_ask, async__race *race; int family;)
{
    async_result n;
    async_begin;
    async_await(n, async__resolve(self->race->host, self->race->port,
                                  self->family == ASYNC__V6 ? AF_INET6 : AF_INET,
                                  self->race->addresses[self->family], ASYNC__ADDRESSES,
                                  &self->race->fd));
    self->race->running--;
    self->race->found[self->family] = n;
    if (n < 0)
        async__race_failed(self->race, n);
    async_event_set(&self->race->news);
    async_end;
}

ASYNC__COROUTINE(async__race_attempt, async__race *race; int number; async_address address;)
{
    int fd;
    async_begin;
    async_await(fd, async_connect_at(&self->address));
    self->race->running--;
    if (self->number == self->race->began) /* no other was begun since */
        self->race->due_ns = 0;
    if (fd < 0)
        async__race_failed(self->race, fd);
    else if (self->race->is_over)
        async_close(fd);
    else
        self->race->fd = fd;
    self->race->is_over |= fd >= 0;
    async_event_set(&self->race->news);
    async_end;
}

/* Returns 0 or a negative errno. */
static inline int async__race_spawn(async__race *race, const async_type *type, const void *child)
{
    async_task task = async__spawn(type, child);
    if (task < 0) {
        async__race_failed(race, (async_result)task);
        return (int)task;
    }
    race->children[race->began++] = task;
    race->running++;
    return 0;
}

static inline void async__race_question(async__race *race, int family)
{
    struct async__race_ask child;
    memset(&child, 0, sizeof child);
    child.race = race;
    child.family = family;
    race->found[family] = async__race_spawn(race, async__race_ask_type(), &child);
}

static inline void async__race_try(async__race *race, int family)
{
    struct async__race_attempt child;
    int error;
    memset(&child, 0, sizeof child);
    child.race = race;
    child.number = race->began + 1;
    child.address = race->addresses[family][race->next[family]++];
    error = async__race_spawn(race, async__race_attempt_type(), &child);
    race->has_tried = 1;
    race->last = family;
    race->due_ns = error ? 0 : async__from_now(ASYNC__STAGGER_MS);
}

/* The family of the next address to try: the families take turns. -1: there is none now. */
static inline int async__race_next(const async__race *race)
{
    int i, family = !race->last;
    for (i = 0; i < 2; i++, family = !family)
        if (race->next[family] < race->found[family])
            return family;
    return -1;
}

/* Begin what is due. Returns how long to wait for news at most, in ms; -1: until there are some;
 * -ENOENT: there will be none. */
static inline int64_t async__race_on(async__race *race)
{
    int family;
    while ((family = async__race_next(race)) >= 0) {
        int64_t now_ns = async_now();
        int waits = !race->has_tried && family == ASYNC__V4 && !race->found[ASYNC__V6];
        if (!race->has_tried && !(waits && race->due_ns))
            race->due_ns = waits ? async__from_now(ASYNC__PATIENCE_MS) : 0;
        if (race->due_ns > now_ns)
            return (race->due_ns - now_ns + 999999) / 1000000;
        async__race_try(race, family);
    }
    return race->running ? -1 : -ENOENT;
}

ASYNC__COROUTINE(async__race_run, async__race race; int64_t wait_ms;)
{
    async_result n;
    async_begin;
    async__race_question(&self->race, ASYNC__V6);
    async__race_question(&self->race, ASYNC__V4);
    while (self->race.fd < 0) {
        self->wait_ms = async__race_on(&self->race);
        if (self->wait_ms == -ENOENT)
            async_return(self->race.error);
        async_event_clear(&self->race.news);
        async_await(n, async_event_wait(&self->race.news), self->wait_ms);
        if (self->race.fd < 0 && async_cancelled())
            async_return(async_cancelled());
    }
    async_return(self->race.fd);
    async_finally;
    self->race.is_over = 1;
    while (self->race.began)
        async_cancel(self->race.children[--self->race.began]);
    while (self->race.running) { /* they still look at it */
        async_event_clear(&self->race.news);
        async_await(n, async_event_wait(&self->race.news));
    }
    async_end;
}

static inline async_op async_connect(const char *host, int port)
{
    struct async__race_run call;
    async_address address;
    int error = async_address_parse(&address, host, port);
    async__check_buffer(async__loop(), host);
    if (!error || !async__is_name(host, port))
        return async__connect(error, &address, NULL);
    memset(&call, 0, sizeof call);
    call.race.host = host;
    call.race.port = port;
    call.race.last = ASYNC__V4;
    call.race.fd = -1;
    return async__call(async__race_run_type(), &call);
}

/* ----------------------------------------------------------------------------
 * MARK: - Signals
 * >>signals      A handler may do next to nothing: for each loop that catches the signal it sets a
 *                flag, and, if that was not set, writes a byte into the loop's pipe. It can run in
 *                any thread at any moment, so it reads a list of loops that others change under a
 *                lock, which it does not take: a loop that leaves the list waits for the handlers
 *                that may still look at it.
 * ------------------------------------------------------------------------- */
enum { ASYNC__SIGNALS = 128 }; /* the real-time ones of FreeBSD begin at 65 */

/* Somebody who catches a signal. */
typedef struct async__catch {
    async__item item;
    struct async__catch *next;
    async__waiter *waiters;
    void *data;
    void (*callback)(int signo, void *data); /* or NULL: it is awaited        */
    int signo, came;                         /* came: and nobody was told yet */
    int is_needed; /* while the loop closes: by a task, for a child, or made only then */
} async__catch;

/* A loop that catches signals. */
typedef struct async__signals {
    struct async__signals *next;
    int ends[2];
    int catches[ASYNC__SIGNALS + 1]; /* how many, by signal           */
    int came[ASYNC__SIGNALS + 1];    /* since the loop looked         */
    async__catch *all;
    async_handle reader; /* of the pipe, while anything is caught     */
    struct async__child *children;
    async_handle ended;  /* who catches SIGCHLD, while children run   */
    unsigned running;    /* of them                                   */
    int64_t last_id;
    void (*close)(async_loop *loop);
} async__signals;

typedef struct async__disposition {
    struct async__disposition *next;
    int signo;
    struct sigaction before;
} async__disposition;

/* The handler. In a child after fork() the loops are the parent's, and so are their pipes. */
static inline void async__caught(int signo)
{
    async__process *process = &async__this_process;
    int error = errno;
    async__signals *loop;
    if (ASYNC__LOAD(process->id) != (int)ASYNC_SYS(getpid)())
        return;
    ASYNC__ADD(process->handlers, 1);
    for (loop = ASYNC__LOAD(process->loops); loop; loop = ASYNC__LOAD(loop->next))
        if (ASYNC__LOAD(loop->catches[signo]) && !async__swap(&loop->came[signo], 1))
            while (ASYNC_SYS(write)(loop->ends[1], "", 1) < 0 && errno == EINTR) {
            }
    ASYNC__ADD(process->handlers, -1);
    errno = error;
}

/* ---- the process's record ---- */

/* In a child after fork() whoever had the lock is not there, and all loops are the parent's. */
ASYNC__RARE static inline async__process *async__lock_process(void)
{
    async__process *process = &async__this_process;
    int id = (int)ASYNC_SYS(getpid)();
    while (async__swap(&process->lock, id) == id)
        ASYNC_SYS(poll)(NULL, 0, 1);
    if (process->id != id) {
        ASYNC__STORE(process->loops, (async__signals *)NULL);
        ASYNC__STORE(process->handlers, 0);
        ASYNC__STORE(process->id, id);
    }
    return process;
}

static inline int async__is_caught(const async__process *process, int signo)
{
    const async__signals *loop = process->loops;
    while (loop && !loop->catches[signo])
        loop = loop->next;
    return loop != NULL;
}

/* What nobody catches any more does again what it did. */
ASYNC__RARE static inline void async__unlock_process(async__process *process)
{
    async__disposition **place = &process->changed, *it;
    while ((it = *place) != NULL) {
        if (async__is_caught(process, it->signo)) {
            place = &it->next;
            continue;
        }
        *place = it->next;
        ASYNC_SYS(sigaction)(it->signo, &it->before, NULL);
        ASYNC_MEM(free)(it);
    }
    ASYNC__STORE(process->lock, 0);
}

/* In a child after fork(): what was caught in the parent is not here. */
ASYNC__RARE static inline void async__renew_process(void)
{
    async__unlock_process(async__lock_process());
}

/* Under the lock, unless it is there. Returns 0 or a negative errno. */
ASYNC__RARE static inline int async__install_handler(async__process *process, int signo)
{
    async__disposition *it = process->changed;
    struct sigaction action;
    int error;
    while (it && it->signo != signo)
        it = it->next;
    if (it)
        return 0;
    it = (async__disposition *)ASYNC_MEM(malloc)(sizeof *it);
    if (!it)
        return -ENOMEM;
    memset(&action, 0, sizeof action);
    action.sa_handler = async__caught;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    if (ASYNC_SYS(sigaction)(signo, &action, &it->before) < 0) {
        error = -errno;
        ASYNC_MEM(free)(it);
        return error;
    }
    it->signo = signo;
    it->next = process->changed;
    process->changed = it;
    return 0;
}

/* ---- a loop's part ---- */

static inline void async__forget_child(async__signals *own, struct async__child *child);

/* Those who catch what has come get it, or have it kept for them. */
static inline void async__spread_signals(async__signals *own)
{
    async__catch *it;
    int signo;
    for (signo = 1; signo <= ASYNC__SIGNALS; signo++) {
        if (!async__swap(&own->came[signo], 0))
            continue;
        for (it = own->all; it; it = it->next) {
            if (it->signo != signo)
                continue;
            it->came = !it->waiters;
            async__serve_all(&it->waiters, signo);
        }
    }
}

/* Tasks and callbacks run after all that became ready together with the pipe. A callback may cancel
 * any other: the list is looked at anew after each. While the loop closes the data of an older one
 * may be gone. */
static inline void async__read_signals(int fd, void *argument)
{
    async__signals *own = (async__signals *)argument;
    async__catch *it;
    char bytes[ASYNC__SIGNALS + 1];
    async_read_nowait(fd, bytes, sizeof bytes);
    async__spread_signals(own);
    for (it = own->all; it; it = it ? it->next : own->all) {
        if (!it->came || !it->callback || (async__loop()->closing && !it->is_needed))
            continue;
        it->came = 0;
        it->callback(it->signo, it->data);
        it = NULL;
    }
}

ASYNC__RARE static inline void async__close_signals(async_loop *loop)
{
    async__signals *own = loop->signals, **place;
    async__process *process = async__lock_process();
    for (place = &process->loops; *place; place = &(*place)->next)
        if (*place == own) {
            ASYNC__STORE(*place, own->next);
            break;
        }
    async__unlock_process(process);
    if (loop->running) /* in a child, from a task of its parent's: that stays as it is */
        return;
    while (ASYNC__LOAD(process->handlers))
        ASYNC_SYS(poll)(NULL, 0, 1);
    while (own->children)
        async__forget_child(own, own->children);
    ASYNC_MEM(free)(own);
    loop->signals = NULL;
}

/* Made at its first use. Returns 0 or a negative errno. */
ASYNC__RARE static inline int async__open_signals(async_loop *loop)
{
    async__signals *own;
    async__process *process;
    int error;
    if (loop->signals)
        return 0;
    own = (async__signals *)ASYNC_MEM(calloc)(1, sizeof *own);
    if (!own)
        return -ENOMEM;
    error = async_pipe(own->ends);
    if (error) {
        ASYNC_MEM(free)(own);
        return error;
    }
    own->close = async__close_signals;
    own->last_id = loop->now_ns; /* no child of an earlier loop has one of these */
    loop->signals = own;
    process = async__lock_process();
    ASYNC__STORE(process->renew, &async__renew_process);
    own->next = process->loops;
    ASYNC__STORE(process->loops, own);
    async__unlock_process(process);
    return 0;
}

/* Who started the program may have left it blocked. */
ASYNC__RARE static inline void async__unblock(int signo)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* One more who catches it, or one less. Returns 0 or a negative errno. */
ASYNC__RARE static inline int async__count_catch(async__signals *own, int signo, int more)
{
    async__process *process = async__lock_process();
    int error = 0;
    ASYNC__ADD(own->catches[signo], more);
    if (more > 0)
        error = async__install_handler(process, signo);
    async__unlock_process(process);
    return error;
}

/* Must a loop that closes go on listening? */
ASYNC__RARE static inline int async__signals_needed(const async__signals *own)
{
    const async__catch *it = own->all;
    while (it && !it->is_needed)
        it = it->next;
    return it != NULL;
}

ASYNC__RARE static inline void async__drop_catch(async_loop *loop, async__item *item)
{
    async__signals *own = loop->signals;
    async__catch *it = (async__catch *)(void *)item, **place = &own->all;
    int is_needed;
    while (*place != it)
        place = &(*place)->next;
    *place = it->next;
    async__count_catch(own, it->signo, -1);
    is_needed = async__signals_needed(own);
    async__need(loop, own->reader, is_needed);
    if (!is_needed && (loop->closing || !own->all))
        async_cancel(own->reader);
    async__serve_all(&it->waiters, -ESRCH);
    async__dismiss(loop, item->slot);
    ASYNC_MEM(free)(it);
}

static inline void async__free_catch(async__item *item)
{
    ASYNC_MEM(free)(item);
}

/* ---- what is called ---- */

static inline async_handle async_on_signal(int signo, void *data,
                                           void (*callback)(int signo, void *data))
{
    static const async__kind kind = { NULL, NULL, NULL, async__drop_catch, async__free_catch,
                                      NULL };
    async_loop *loop = async__loop();
    async__signals *own;
    async__catch *it, **place;
    async_handle handle;
    int error = signo < 1 || signo > ASYNC__SIGNALS || signo == SIGSEGV || signo == SIGBUS ||
                signo == SIGFPE || signo == SIGILL ? -EINVAL
              : async__is_foreign(loop) ? -EPERM : async__open_signals(loop);
    if (error)
        return error;
    own = loop->signals;
    if (!async__find(loop, own->reader))
        own->reader = async_on_readable(own->ends[0], own, async__read_signals);
    it = own->reader < 0 ? NULL : (async__catch *)ASYNC_MEM(calloc)(1, sizeof *it);
    handle = own->reader < 0 ? own->reader : it ? async__enroll(loop, &it->item) : -ENOMEM;
    if (handle < 0) {
        if (!own->all)
            async_cancel(own->reader);
        ASYNC_MEM(free)(it);
        return handle;
    }
    loop->kinds[ASYNC__CATCH] = &kind;
    it->item.kind = ASYNC__CATCH;
    it->signo = signo;
    it->data = data;
    it->callback = callback;
    it->is_needed = !callback || data == own || loop->closing;
    async__spread_signals(own); /* what came before is not this one's */
    for (place = &own->all; *place; place = &(*place)->next) {
    }
    *place = it;
    error = async__count_catch(own, signo, 1);
    if (error) {
        async__drop_catch(loop, &it->item);
        return error;
    }
    async__unblock(signo);
    async__need(loop, own->reader, async__signals_needed(own));
    return handle;
}

static inline async_handle async_catch_signal(int signo)
{
    return async_on_signal(signo, NULL, NULL);
}

static inline int async__attempt_signal(async_case *it)
{
    async_handle handle = it->task;
    async__item *item = async__find(async__loop(), handle);
    async__catch *caught = (async__catch *)(void *)item;
    if (handle > 0 && handle <= ASYNC__SIGNALS)
        async__panic("a signal's number, where the handle from async_catch_signal belongs");
    it->result = handle < 0 ? (async_result)handle : -ESRCH;
    if (!item || item->kind != ASYNC__CATCH || caught->callback)
        return 1;
    it->queue = &caught->waiters;
    it->result = caught->signo;
    if (!caught->came)
        return 0;
    caught->came = 0;
    return 1;
}

static inline async_case async_case_signal(async_handle caught)
{
    return async__case(ASYNC__SIGNAL, async__attempt_signal, NULL, NULL, caught);
}

static inline async_op async_signal(async_handle caught)
{
    return async__wait_for(async_case_signal(caught));
}

/* ----------------------------------------------------------------------------
 * MARK: - Processes
 * >>processes    SIGCHLD tells that some child has ended, and waitpid asks each that runs: the same
 *                on every system, and no child that is not ours is collected. (A descriptor or an
 *                event per child would have to have this beneath it, for where there is none.)
 * ------------------------------------------------------------------------- */
#ifdef __APPLE__ /* whose shared libraries cannot see the variable */
#include <crt_externs.h>
#define ASYNC__ENVIRON (*_NSGetEnviron())
#else
ASYNC__C char **environ;
#define ASYNC__ENVIRON environ
#endif

typedef struct async__child {
    struct async__child *next;
    async__waiter *waiters;
    int64_t id;
    pid_t pid;
    int is_running, is_detached, result;
} async__child;

/* Not "the same number": that may be one of the loop's own, which exec closes. */
enum { ASYNC__AS_OURS = -1 };

/* What the new process must know. */
typedef struct async__plan {
    const char *const *arguments;
    const async_process_options *options;
    int stdio[3];  /* what shall be 0, 1 and 2: descriptors, ASYNC__AS_OURS, ASYNC_TO_NULL */
    int ours[3];   /* the other ends of pipes, or -1                                       */
    int report[2]; /* a pipe: closed by exec, or there is an errno in it                   */
    pid_t pid;
} async__plan;

/* ---- in the new process: nothing but what a signal handler may do, for there may be threads that
 * held locks ---- */

static inline void async__default_signals(void)
{
    struct sigaction action;
    sigset_t none;
    int signo;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (signo = 1; signo <= ASYNC__SIGNALS; signo++)
        ASYNC_SYS(sigaction)(signo, &action, NULL);
    sigemptyset(&none);
    ASYNC_SYS(sigprocmask)(SIG_SETMASK, &none, NULL);
}

/* Make the three what they shall be. What is below 3 steps aside first, so that two can be swapped.
 * Returns 0, or -1 and errno. */
static inline int async__place_stdio(int stdio[3])
{
    int i;
    for (i = 0; i < 3; i++) {
        if (stdio[i] == ASYNC__AS_OURS)
            continue;
        if (stdio[i] == ASYNC_TO_NULL)
            stdio[i] = ASYNC_SYS(open)("/dev/null", O_RDWR | O_CLOEXEC, 0);
        if (stdio[i] >= 0 && stdio[i] < 3)
            stdio[i] = ASYNC_SYS(fcntl)(stdio[i], F_DUPFD_CLOEXEC, 3);
        if (stdio[i] < 0)
            return -1;
    }
    for (i = 0; i < 3; i++)
        if (stdio[i] != ASYNC__AS_OURS && ASYNC_SYS(dup2)(stdio[i], i) < 0)
            return -1;
    return 0;
}

ASYNC__NORETURN static inline void async__become(async__plan *plan)
{
    const async_process_options *options = plan->options;
    int report = ASYNC_SYS(fcntl)(plan->report[1], F_DUPFD_CLOEXEC, 3), error;
    if (report >= 0 && (!options->new_session || ASYNC_SYS(setsid)() >= 0) &&
        (!options->new_group || ASYNC_SYS(setpgid)(0, 0) == 0) &&
        async__place_stdio(plan->stdio) == 0 &&
        (!options->directory || ASYNC_SYS(chdir)(options->directory) == 0)) {
        async__default_signals();
        if (options->environment)
            ASYNC__ENVIRON = (char **)(uintptr_t)options->environment;
        ASYNC_SYS(execvp)(plan->arguments[0], (char *const *)(uintptr_t)plan->arguments);
    }
    error = errno;
    if (ASYNC_SYS(write)(report < 0 ? plan->report[1] : report, &error, sizeof error) < 0)
        _exit(126);
    _exit(127);
}

/* ---- in ours ---- */

ASYNC__RARE static inline int async__plan_pipe(async__plan *plan, int i)
{
    int ends[2], error = async__pipe_raw(ends);
    if (error)
        return error;
    plan->stdio[i] = ends[i != 0];
    async__set_nonblocking(plan->stdio[i], 0);
    plan->ours[i] = async__adopt_own(0, ends[i == 0], ASYNC__PIPE,
                                     ASYNC__R | ASYNC__W);
    return plan->ours[i] < 0 ? plan->ours[i] : 0;
}

/* Decide what 0, 1 or 2 of the child will be. Returns 0 or a negative errno. */
ASYNC__RARE static inline int async__plan_stdio(async__plan *plan, int i, int wish)
{
    plan->stdio[i] = wish ? wish : ASYNC__AS_OURS;
    if (wish == ASYNC_TO_PIPE)
        return async__plan_pipe(plan, i);
    if (wish == ASYNC_TO_OUT) {
        plan->stdio[i] = plan->stdio[1] == ASYNC__AS_OURS ? 1 : plan->stdio[1];
        return i < 2 ? -EINVAL : 0;
    }
    return wish < 0 && wish != ASYNC_TO_NULL ? wish : 0;
}

/* Fork with all signals blocked, for no handler of ours may run in the child, and wait for the
 * exec. Returns the pid, or a negative errno, and then there is no child. */
ASYNC__RARE static inline pid_t async__execute(async__plan *plan)
{
    int error = async__pipe_raw(plan->report);
    sigset_t all, before;
    pid_t pid;
    if (error)
        return error;
    async__set_nonblocking(plan->report[0], 0);
    sigfillset(&all);
    ASYNC_SYS(sigprocmask)(SIG_SETMASK, &all, &before);
    pid = ASYNC_SYS(fork)();
    if (pid == 0)
        async__become(plan);
    if (pid < 0)
        pid = -errno;
    ASYNC_SYS(sigprocmask)(SIG_SETMASK, &before, NULL);
    ASYNC_SYS(close)(plan->report[1]);
    while (pid > 0 && ASYNC_SYS(read)(plan->report[0], &error, sizeof error) < 0 &&
           errno == EINTR) {
    }
    ASYNC_SYS(close)(plan->report[0]);
    while (error && ASYNC_SYS(waitpid)(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return error ? -error : pid;
}

static inline void async__forget_child(async__signals *own, async__child *child)
{
    async__child **place = &own->children;
    while (*place != child)
        place = &(*place)->next;
    *place = child->next;
    ASYNC_MEM(free)(child);
}

static inline async__child *async__find_child(int64_t id)
{
    const async__signals *own = async__loop()->signals;
    async__child *child = own ? own->children : NULL;
    while (child && child->id != id)
        child = child->next;
    return child;
}

/* Has it ended? Then those who wait learn how, or it is kept for the next who asks. */
static inline void async__collect(async__signals *own, async__child *child)
{
    int status = 0, is_taken = child->waiters || child->is_detached;
    pid_t pid = child->is_running ? ASYNC_SYS(waitpid)(child->pid, &status, WNOHANG) : 0;
    if (!pid)
        return;
    child->result = pid < 0             ? -errno
                  : WIFEXITED(status) ? WEXITSTATUS(status) : ASYNC_KILLED + WTERMSIG(status);
    child->is_running = 0;
    own->running--;
    async__serve_all(&child->waiters, child->result);
    if (is_taken)
        async__forget_child(own, child);
}

/* SIGCHLD: of several it may be one. */
static inline void async__collect_all(int signo, void *data)
{
    async__signals *own = (async__signals *)data;
    async__child *child = own->children, *next;
    (void)signo;
    for (; child; child = next) {
        next = child->next;
        async__collect(own, child);
    }
    if (!own->running)
        async_cancel(own->ended);
}

/* Hear of ends from before the child begins. Returns 0 or a negative errno. */
ASYNC__RARE static inline int async__expect_child(async_loop *loop)
{
    int error = async__open_signals(loop);
    async__signals *own = loop->signals;
    if (error || own->running)
        return error;
    own->ended = async_on_signal(SIGCHLD, own, async__collect_all);
    return own->ended < 0 ? (int)own->ended : 0;
}

/* Returns the child's id or a negative errno. */
ASYNC__RARE static inline int64_t async__begin_child(async_loop *loop, async__plan *plan)
{
    async__child *child = (async__child *)ASYNC_MEM(calloc)(1, sizeof *child);
    int error = child ? async__expect_child(loop) : -ENOMEM;
    async__signals *own = loop->signals;
    if (!error) {
        plan->pid = async__execute(plan);
        error = plan->pid < 0 ? (int)plan->pid : 0;
        if (error && !own->running)
            async_cancel(own->ended);
    }
    if (error) {
        ASYNC_MEM(free)(child);
        return error;
    }
    child->pid = plan->pid;
    child->is_running = 1;
    child->is_detached = plan->options->detached;
    child->id = ++own->last_id;
    child->next = own->children;
    own->children = child;
    own->running++;
    return child->id;
}

/* The plan's descriptors, then its child. Returns the child's id or a negative errno. */
ASYNC__RARE static inline int64_t async__carry_out(async_loop *loop, async__plan *plan)
{
    const int wishes[3] = { plan->options->in, plan->options->out, plan->options->err };
    int64_t result = 0;
    int i;
    for (i = 0; i < 3; i++) /* before what is made here has that number */
        if (wishes[i] > 0 && ASYNC_SYS(fcntl)(wishes[i], F_GETFD) < 0)
            return -errno;
    for (i = 0; i < 3 && !result; i++)
        result = async__plan_stdio(plan, i, wishes[i]);
    if (!result)
        result = async__begin_child(loop, plan);
    for (i = 0; i < 3; i++) {
        if (plan->ours[i] != -1)
            ASYNC_SYS(close)(plan->stdio[i]);
        if (result < 0) {
            async_close(plan->ours[i]);
            plan->ours[i] = -1;
        }
    }
    return result;
}

/* ---- what is called ---- */

static inline int async_process_start(async_process *process, const char *const *arguments,
                                      const async_process_options *options)
{
    static const async_process_options none = { 0, 0, 0, NULL, NULL, 0, 0, 0 };
    async_loop *loop = async__loop();
    async__plan plan;
    memset(&plan, 0, sizeof plan);
    plan.arguments = arguments;
    plan.options = options ? options : &none;
    plan.ours[0] = plan.ours[1] = plan.ours[2] = -1;
    process->id = !arguments || !arguments[0] ? -EINVAL
                : async__is_foreign(loop)     ? -EPERM : async__carry_out(loop, &plan);
    process->pid = process->id < 0 ? 0 : plan.pid;
    process->in = plan.ours[0];
    process->out = plan.ours[1];
    process->err = plan.ours[2];
    return process->id < 0 ? (int)process->id : 0;
}

static inline int async__attempt_process(async_case *it)
{
    async__child *child = async__find_child(it->task);
    it->result = !child ? it->task < 0 ? (async_result)it->task : -ESRCH : child->result;
    if (!child)
        return 1;
    it->queue = &child->waiters;
    if (child->is_running)
        return 0;
    async__forget_child(async__loop()->signals, child);
    return 1;
}

static inline async_case async_case_process(const async_process *process)
{
    return async__case(ASYNC__PROCESS, async__attempt_process, NULL, NULL, process->id);
}

static inline async_op async_process_wait(const async_process *process)
{
    return async__wait_for(async_case_process(process));
}

static inline int async_process_kill(const async_process *process, int signo)
{
    async__child *child = async__find_child(process->id);
    async_loop *loop = async__loop();
    if (async__is_foreign(loop))
        return -EPERM;
    if (child && child->is_running) /* after this it is our zombie at worst */
        async__collect_all(SIGCHLD, loop->signals);
    child = async__find_child(process->id);
    if (!child || !child->is_running)
        return -ESRCH;
    return ASYNC_SYS(kill)(child->pid, signo) < 0 ? -errno : 0;
}

/* ----------------------------------------------------------------------------
 * MARK: - Streams
 * >>streams      Writing goes straight to the system, and what does not fit there is queued.
 *                Small reads take more than they need from the system, and it waits in `input`;
 *                large ones go straight into the reader's memory. Closing sends the queue, then
 *                ends our side and reads on until the peer ends its own: close(2) with unread data
 *                would reset the connection and might destroy the last reply.
 * ------------------------------------------------------------------------- */

/* ---- blocks ---- */

static inline char *async__block_bytes(async__block *block)
{
    return (char *)(block + 1);
}

static inline size_t async__block_count(const async__block *block)
{
    return block ? block->last - block->first : 0;
}

/* One that is not needed any more is the loop's spare, if it is larger than the one there is. (A
 * very large one does not cost memory for ever.) */
static inline void async__block_drop(async_loop *loop, async__block **place)
{
    async__block *block = *place, *spare = loop->spare;
    *place = NULL;
    if (block && block->capacity <= ASYNC__SCRATCH &&
        (!spare || spare->capacity < block->capacity)) {
        block->first = block->last = 0;
        loop->spare = block;
        block = spare;
    }
    ASYNC_MEM(free)(block);
}

/* Room for `size` more bytes, had before the first of them moves: so nothing fails when some have.
 * Returns 0 or -ENOMEM. */
static inline int async__block_reserve(async_loop *loop, async__block **place, size_t size)
{
    async__block *block = *place;
    size_t left = async__block_count(block), capacity = ASYNC__AHEAD;
    if (size > SIZE_MAX / 4 - left)
        return -ENOMEM;
    if (!block && loop->spare && loop->spare->capacity >= size) {
        *place = loop->spare;
        loop->spare = NULL;
        return 0;
    }
    if (block) {
        if (block->first >= left) {
            memmove(async__block_bytes(block), async__block_bytes(block) + block->first, left);
            block->first = 0;
            block->last = left;
        }
        if (block->capacity - block->last >= size)
            return 0;
        capacity = 2 * block->capacity;
        size += block->last;
    }
    capacity = capacity < size ? size : capacity;
    block = (async__block *)ASYNC_MEM(realloc)(block, sizeof *block + capacity);
    if (!block)
        return -ENOMEM;
    if (!*place)
        block->first = block->last = 0;
    block->capacity = capacity;
    *place = block;
    return 0;
}

static inline void async__block_append(async__block *block, const void *data, size_t size)
{
    memcpy(async__block_bytes(block) + block->last, data, size);
    block->last += size;
}

/* ---- opening ---- */

static inline const async__kind *async__stream_kind(void);

/* Of what the peer does not take the system takes 256 KiB and no more. Else it swallows megabytes,
 * and tells of room when a third of them has gone: a slow peer seems stuck meanwhile. */
#ifdef TCP_NOTSENT_LOWAT
#define ASYNC__HOLD_BACK(fd) async__set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 262144)
#else
#define ASYNC__HOLD_BACK(fd) ((void)0)
#endif

static inline async_stream *async_stream_open(int fd)
{
    async_loop *loop = async__loop();
    async__descriptor *descriptor = async__descriptor_of(loop, fd);
    async_stream *stream;
    if (!descriptor || (descriptor->bits & ASYNC__STREAMED))
        return NULL;
    stream = (async_stream *)ASYNC_MEM(calloc)(1, sizeof *stream);
    if (!stream)
        return NULL;
    if (async__enroll(loop, &stream->item) < 0) {
        ASYNC_MEM(free)(stream);
        return NULL;
    }
    loop->kinds[ASYNC__STREAM] = async__stream_kind();
    stream->item.kind = ASYNC__STREAM;
    stream->item.op = ASYNC__IDLE;
    stream->fd = fd;
    stream->generation = descriptor->generation;
    descriptor->bits |= ASYNC__STREAMED;
    if (descriptor->kind == ASYNC__STREAM_TCP)
        ASYNC__HOLD_BACK(fd);
    return stream;
}

static inline async_stream *async__stream_of(async__item *item)
{
    return (async_stream *)(void *)((char *)item - offsetof(async_stream, item));
}

static inline int async__stream_is_usable(const async_loop *loop, const async_stream *stream)
{
    return stream && stream->fd >= 0 && !(stream->item.flags & ASYNC__CLOSING) &&
           stream->generation == loop->descriptors[stream->fd].generation;
}

static inline void async__stream_attend(async_loop *loop, const async_stream *stream, unsigned op)
{
    async__attend(loop, async__waiter_of(loop, stream->fd, op), stream->item.slot);
}

/* If the stream itself is what waits to write, or to read, it does not any more. */
static inline void async__stream_desert(async_loop *loop, const async_stream *stream, unsigned op)
{
    uint32_t *waiter = async__waiter_of(loop, stream->fd, op);
    if (*waiter == stream->item.slot)
        async__desert(loop, waiter);
}

/* The loop closes: nobody is called back any more, but for the end of a stream that closes. */
ASYNC__RARE static inline void async__stream_hush(async_loop *loop, async_stream *stream)
{
    if (stream->on_data && async__stream_is_usable(loop, stream))
        async__stream_desert(loop, stream, ASYNC__READABLE);
    stream->on_data = NULL;
    stream->on_written = NULL;
}

/* ---- reading ---- */

/* Where the separator ends, 0: it is not in the first `count` bytes that are there. */
static inline size_t async__find_separator(const async_stream *stream, size_t *searched,
                                           size_t count)
{
    size_t size = stream->separator_size;
    while (*searched + size <= count) {
        const char *bytes = async__block_bytes(stream->input) + stream->input->first;
        size_t starts = count - size + 1;
        const char *start = (const char *)memchr(bytes + *searched, *stream->separator,
                                                 starts - *searched);
        *searched = start ? (size_t)(start - bytes) : starts;
        if (start && memcmp(start, stream->separator, size) == 0)
            return *searched + size;
        *searched += start != NULL;
    }
    return 0;
}

/* How many of the bytes that are there the task gets, or -EAGAIN: more must come first. */
static inline async_result async__stream_share(const async_stream *stream, async__task *task,
                                               int at_end)
{
    size_t count = async__block_count(stream->input), size = task->on.read.size;
    size_t most = count < size ? count : size, found;
    if (stream->separator_size) {
        found = async__find_separator(stream, &task->on.read.done, most);
        if (found || count > size)
            return found ? (async_result)found : -EMSGSIZE;
    } else if (count >= size || (count && task->item.op == ASYNC__STREAM_READ)) {
        return (async_result)most;
    }
    return at_end ? (async_result)most : -EAGAIN;
}

static inline void async__stream_take(async_stream *stream, async__task *task, size_t n)
{
    async__block *input = stream->input;
    if (!n)
        return;
    memcpy(task->on.read.data, async__block_bytes(input) + input->first, n);
    input->first += n;
}

/* Receive once. Returns as async__try, or -ENOMEM, and then nothing was taken. */
static inline ssize_t async__stream_receive(async_loop *loop, async_stream *stream)
{
    async__block *input;
    ssize_t n;
    if (async__block_reserve(loop, &stream->input, 1) < 0)
        return -ENOMEM;
    input = stream->input;
    n = async__try(loop, stream->fd, ASYNC__R, async__block_bytes(input) + input->last,
                   input->capacity - input->last);
    input->last += n > 0 ? (size_t)n : 0;
    return n;
}

/* The part of a large block that has come is the next reader's. */
static inline void async__stream_put_back(async_stream *stream, async__task *task)
{
    if (task->on.read.done)
        async__block_append(stream->input, task->on.read.data, task->on.read.done);
}

/* A large block is received where it belongs, and the room that putting it back would need is had
 * before. */
static inline async_result async__attempt_large(async_loop *loop, async_stream *stream,
                                                async__task *task)
{
    size_t ahead = async__block_count(stream->input), size = task->on.read.size;
    size_t *done = &task->on.read.done, share;
    async_result n = 1;
    if (async__block_reserve(loop, &stream->input, size) < 0)
        return -ENOMEM;
    async__stream_take(stream, task, ahead);
    *done += ahead;
    for (share = *done + ASYNC__SHARE; *done < size && n > 0; *done += n > 0 ? (size_t)n : 0)
        n = *done >= share ? async__put_off(loop, stream->fd, ASYNC__R)
                           : async__try(loop, stream->fd, ASYNC__R, task->on.read.data + *done,
                                        size - *done);
    if (n >= 0)
        return (async_result)*done;
    if (n != -EAGAIN)
        async__stream_put_back(stream, task);
    return n;
}

/* What is there is shared first. */
static inline async_result async__attempt_small(async_loop *loop, async_stream *stream,
                                                async__task *task)
{
    async_result n = async__stream_share(stream, task, 0), received = 0;
    while (n == -EAGAIN) {
        n = received >= ASYNC__SHARE ? async__put_off(loop, stream->fd, ASYNC__R)
                                     : async__stream_receive(loop, stream);
        if (n < 0)
            break;
        received += n;
        n = async__stream_share(stream, task, n == 0);
    }
    if (n > 0)
        async__stream_take(stream, task, (size_t)n);
    if (n > 0 && task->item.op == ASYNC__STREAM_READ_LINE)
        task->on.read.data[n] = '\0';
    return n;
}

/* Returns the reader's result, or -EAGAIN: not yet. */
static inline async_result async__attempt_stream(async_loop *loop, async__task *task)
{
    async_stream *stream = (async_stream *)task->item.at.buffer;
    size_t size = task->on.read.size;
    int is_large = size >= ASYNC__AHEAD && task->item.op == ASYNC__STREAM_READ_EXACTLY &&
                   size > async__block_count(stream->input);
    async_result n = is_large ? async__attempt_large(loop, stream, task)
                              : async__attempt_small(loop, stream, task);
    if (!async__block_count(stream->input) && (n != -EAGAIN || !task->on.read.done))
        async__block_drop(loop, &stream->input); /* else a part may have to be put back there */
    return n;
}

static inline async_op async__stream_read(unsigned op, async_stream *stream, void *data,
                                          size_t size, const void *separator,
                                          uint32_t separator_size)
{
    async_loop *loop = async__loop();
    async__task *task = async__begin(loop);
    async_result result;
    async__check_buffer(loop, data);
    if (async__refused(loop, task))
        return async__pending(loop);
    if (!async__stream_is_usable(loop, stream))
        return async__done(loop, task, -EBADF);
    if (*async__waiter_of(loop, stream->fd, ASYNC__READABLE))
        return async__done(loop, task, -EBUSY);
    stream->separator = (const char *)separator;
    stream->separator_size = separator_size;
    if (op >= ASYNC__STREAM_READ_UNTIL && !separator_size)
        return async__done(loop, task, -EINVAL);
    loop->attempts[op] = async__attempt_stream;
    task->item.op = op & 0xff;
    task->item.at.buffer = stream;
    task->on.read.data = (char *)data;
    task->on.read.size = size;
    task->on.read.done = 0;
    result = async__attempt_stream(loop, task);
    if (result != -EAGAIN)
        return async__done(loop, task, result);
    async__attend(loop, async__waiter_of(loop, stream->fd, ASYNC__READABLE), task->item.slot);
    return async__park(loop, task, op);
}

static inline async_op async_stream_read(async_stream *stream, void *data, size_t size)
{
    if (size >= ASYNC__AHEAD && async__stream_is_usable(async__loop(), stream) && !stream->input)
        return async_read(stream->fd, data, size);
    return async__stream_read(ASYNC__STREAM_READ, stream, data, size, NULL, 0);
}

static inline async_op async_stream_read_exactly(async_stream *stream, void *data, size_t size)
{
    return async__stream_read(ASYNC__STREAM_READ_EXACTLY, stream, data, size, NULL, 0);
}

static inline async_op async_stream_read_until(async_stream *stream, void *data, size_t size,
                                               const void *separator, size_t separator_size)
{
    async__check_buffer(async__loop(), separator);
    return async__stream_read(ASYNC__STREAM_READ_UNTIL, stream, data, size, separator,
                              separator_size > UINT32_MAX ? 0 : (uint32_t)separator_size);
}

static inline async_op async_stream_read_line(async_stream *stream, char *line, size_t size)
{
    if (size)
        *line = '\0';
    return async__stream_read(ASYNC__STREAM_READ_LINE, stream, line, size ? size - 1 : 0, "\n",
                              size != 0); /* no room: as an empty separator */
}

/* A task that was cancelled, or whose time is over, waits no more. */
static inline void async__stream_leave(async_loop *loop, async__task *task)
{
    async_stream *stream = (async_stream *)task->item.at.buffer;
    if (task->item.op == ASYNC__FLUSH)
        async__leave_queue(&stream->flusher, &task->on.waiter);
    else
        async__desert(loop, async__waiter_of(loop, stream->fd, ASYNC__READABLE));
    if (task->item.op == ASYNC__STREAM_READ_EXACTLY)
        async__stream_put_back(stream, task);
}

/* ---- writing ---- */

static inline void async__stream_free_queue(async_loop *loop, async_stream *stream)
{
    loop->draining -= stream->queue && (stream->item.flags & ASYNC__CLOSING);
    async__block_drop(loop, &stream->queue);
}

/* Tell the peer that nothing follows. */
static inline void async__stream_end_writing(async_stream *stream)
{
    if (ASYNC_SYS(shutdown)(stream->fd, SHUT_WR) < 0)
        stream->error = -errno;
}

static inline void async__stream_end(async_loop *loop, async_stream *stream);

/* Nothing is queued any more: all is sent, or an error ended the stream. */
static inline void async__stream_drained(async_loop *loop, async_stream *stream)
{
    async__stream_free_queue(loop, stream);
    async__stream_desert(loop, stream, ASYNC__WRITABLE);
    if ((stream->item.flags & ASYNC__EOF) && !stream->error)
        async__stream_end_writing(stream);
    if (stream->item.flags & ASYNC__CLOSING) {
        async__stream_end(loop, stream);
        return;
    }
    async__serve_all(&stream->flusher, stream->error);
    if (stream->on_written) {
        stream->item.flags |= ASYNC__WRITTEN;
        async__call_soon(loop, &stream->item);
    }
}

/* A try to write gave `n`. Returns how many bytes went; an error, not EAGAIN, ends the stream. */
static inline size_t async__stream_sent(async_stream *stream, ssize_t n)
{
    if (n < 0 && n != -EAGAIN)
        stream->error = (int)n;
    return n > 0 ? (size_t)n : 0;
}

/* Send of the queue what the system takes. */
static inline void async__stream_drain(async_loop *loop, async_stream *stream)
{
    async__block *queue = stream->queue;
    size_t sent = !stream->error, before = queue->first;
    while (sent && queue->first < queue->last) {
        ssize_t n = queue->first - before >= ASYNC__SHARE
                        ? async__put_off(loop, stream->fd, ASYNC__W)
                        : async__try(loop, stream->fd, ASYNC__W,
                                     async__block_bytes(queue) + queue->first,
                                     async__block_count(queue));
        sent = async__stream_sent(stream, n);
        queue->first += sent;
    }
    if ((stream->item.flags & ASYNC__CLOSING) && queue->first > before) {
        async__timer_stop(loop, stream->item.slot); /* it moves: patience starts anew */
        async__timer_start(loop, stream->item.slot, async__from_now(ASYNC__LINGER_MS));
    }
    if (stream->error || queue->first == queue->last)
        async__stream_drained(loop, stream);
    else if (!(stream->item.flags & ASYNC__CLOSING) && async__block_count(queue) <= stream->low)
        async__serve_all(&stream->flusher, 0);
}

/* Queue the pieces without their first `skip` bytes, for which there is room. */
static inline void async__stream_enqueue(async_stream *stream, const struct iovec *pieces,
                                         size_t count, size_t skip)
{
    for (; count; pieces++, count--) {
        size_t part = pieces->iov_len < skip ? pieces->iov_len : skip;
        if (pieces->iov_len > part)
            async__block_append(stream->queue, (const char *)pieces->iov_base + part,
                                pieces->iov_len - part);
        skip -= part;
    }
}

/* The queue is empty: try, and queue the rest. */
static inline void async__stream_start(async_loop *loop, async_stream *stream,
                                       const struct iovec *pieces, size_t count)
{
    ssize_t n = async__try_pieces(loop, stream->fd, ASYNC__W, pieces, count);
    size_t sent = async__stream_sent(stream, n);
    async__stream_enqueue(stream, pieces, count, sent);
    async__stream_attend(loop, stream, ASYNC__WRITABLE);
    async__stream_drain(loop, stream);
    if (stream->queue && async__watch_writes(loop, stream->fd, &loop->descriptors[stream->fd]) < 0)
        async__retry_later(loop, &loop->descriptors[stream->fd], ASYNC__W);
}

/* May more be written? Returns 0 or a negative errno. */
static inline int async__stream_refuses(async_loop *loop, const async_stream *stream)
{
    if (!async__stream_is_usable(loop, stream))
        return -EBADF;
    if (stream->error || (stream->item.flags & ASYNC__EOF))
        return stream->error ? stream->error : -EPIPE;
    return !stream->queue && *async__waiter_of(loop, stream->fd, ASYNC__WRITABLE) ? -EBUSY : 0;
}

static inline int async_stream_writev(async_stream *stream, const struct iovec *pieces,
                                      size_t count)
{
    async_loop *loop = async__loop();
    int error = async__stream_refuses(loop, stream);
    size_t size = 0, i;
    for (i = 0; i < count; i++)
        size = pieces[i].iov_len > SIZE_MAX - size ? SIZE_MAX : size + pieces[i].iov_len;
    if (error || !size)
        return error;
    if (async__block_reserve(loop, &stream->queue, size) < 0)
        return -ENOMEM;
    if (async__block_count(stream->queue))
        async__stream_enqueue(stream, pieces, count, 0);
    else
        async__stream_start(loop, stream, pieces, count);
    return stream->error;
}

static inline int async_stream_write(async_stream *stream, const void *data, size_t size)
{
    struct iovec whole;
    whole.iov_base = (void *)(uintptr_t)data;
    whole.iov_len = size;
    return async_stream_writev(stream, &whole, 1);
}

static inline int async_stream_write_eof(async_stream *stream)
{
    async_loop *loop = async__loop();
    int error = async__stream_refuses(loop, stream);
    if (error || !async__is_socket(loop->descriptors[stream->fd].kind))
        return !error ? -ENOTSOCK : error == -EPIPE ? stream->error : error;
    stream->item.flags |= ASYNC__EOF;
    if (!stream->queue)
        async__stream_end_writing(stream);
    return stream->error;
}

/* Wait while more than the limit is queued, unless there is an error. */
static inline async_op async__stream_wait(async_stream *stream, int error)
{
    async_loop *loop = async__loop();
    async__task *task = async__begin(loop);
    if (async__refused(loop, task))
        return async__pending(loop);
    if (error || async__block_count(stream->queue) <= stream->high)
        return async__done(loop, task, error ? error : stream->error);
    if (stream->flusher)
        return async__done(loop, task, -EBUSY);
    task->item.at.buffer = stream;
    async__line_up(task->item.slot, &task->on.waiter, &stream->flusher);
    return async__park(loop, task, ASYNC__FLUSH);
}

static inline async_op async_stream_flush(async_stream *stream)
{
    return async__stream_wait(stream, async__stream_is_usable(async__loop(), stream) ? 0 : -EBADF);
}

static inline int async_stream_set_limits(async_stream *stream, size_t high, size_t low)
{
    if (!async__stream_is_usable(async__loop(), stream))
        return -EBADF;
    if (low > high)
        return -EINVAL;
    stream->high = high > UINT32_MAX ? UINT32_MAX : (uint32_t)high;
    stream->low = low > UINT32_MAX ? UINT32_MAX : (uint32_t)low;
    if (async__block_count(stream->queue) <= low)
        async__serve_all(&stream->flusher, 0);
    return 0;
}

/* ---- closing ---- */

/* The descriptor goes; on_close and memory follow from the queue, with no caller on the stack. */
static inline void async__stream_shut(async_loop *loop, async_stream *stream)
{
    int fd = stream->fd;
    async__timer_stop(loop, stream->item.slot);
    async__stream_desert(loop, stream, ASYNC__READABLE);
    async__stream_desert(loop, stream, ASYNC__WRITABLE);
    stream->fd = -EBADF;
    async__give_back(loop, fd, 1);
    async__call_soon(loop, &stream->item);
}

/* Whoever waits on the closing stream or its descriptor gets -EBADF. */
static inline void async__stream_evict(async_loop *loop, const async_stream *stream, unsigned op)
{
    uint32_t *waiter = async__waiter_of(loop, stream->fd, op), slot = *waiter;
    if (!slot || slot == stream->item.slot)
        return;
    async__desert(loop, waiter);
    async__abandon(loop, slot);
}

/* Only from a socket can come what close(2) would answer with a reset. */
static inline int async__stream_lingers(const async_loop *loop, const async_stream *stream)
{
    return async__is_connection(loop->descriptors[stream->fd].kind) &&
           !(stream->item.flags & ASYNC__AT_END);
}

/* Closing, and all is sent: say so to the peer, and wait for its end. */
static inline void async__stream_end(async_loop *loop, async_stream *stream)
{
    if (!async__stream_lingers(loop, stream) || stream->error ||
        (!(stream->item.flags & ASYNC__EOF) && ASYNC_SYS(shutdown)(stream->fd, SHUT_WR) < 0))
        async__stream_shut(loop, stream);
    else
        async__serve_all(&stream->flusher, 0);
}

/* Closing: read and forget until the peer's end, for it may not read before it has written all; a
 * share of the turn at a time. */
static inline void async__stream_linger(async_loop *loop, async_stream *stream)
{
    char forgotten[4096];
    int patience = ASYNC__BUDGET;
    ssize_t n;
    do
        n = async__try(loop, stream->fd, ASYNC__R, forgotten, sizeof forgotten);
    while (n > 0 && --patience);
    if (n > 0)
        async__call_soon(loop, &stream->item);
    if (n > 0 || n == -EAGAIN)
        return;
    stream->item.flags |= ASYNC__AT_END;
    async__stream_desert(loop, stream, ASYNC__READABLE);
    if (!stream->queue)
        async__stream_shut(loop, stream);
}

/* Who waits for the stream is told, what was received is forgotten. */
static inline void async__stream_desist(async_loop *loop, async_stream *stream)
{
    stream->on_data = NULL;
    stream->on_written = NULL;
    async__serve_all(&stream->flusher, -EBADF);
    async__block_drop(loop, &stream->input);
}

static inline int async_stream_close(async_stream *stream)
{
    async_loop *loop = async__loop();
    if (!async__stream_is_usable(loop, stream))
        return -EBADF;
    if (async__is_foreign(loop))
        return -EPERM;
    stream->item.flags |= ASYNC__CLOSING;
    stream->high = 0; /* who waits now waits for all */
    async__stream_desist(loop, stream);
    async__stream_desert(loop, stream, ASYNC__READABLE);
    loop->descriptors[stream->fd].bits |= ASYNC__LEAVING;
    async__stream_evict(loop, stream, ASYNC__READABLE);
    async__stream_evict(loop, stream, ASYNC__WRITABLE);
    async__timer_start(loop, stream->item.slot, async__from_now(ASYNC__LINGER_MS));
    if (async__stream_lingers(loop, stream))
        async__stream_attend(loop, stream, ASYNC__READABLE);
    if (stream->queue)
        loop->draining++;
    else
        async__stream_end(loop, stream);
    if (stream->fd >= 0 && async__stream_lingers(loop, stream))
        async__stream_linger(loop, stream);
    return 0;
}

static inline async_op async_stream_wait_closed(async_stream *stream)
{
    return async__stream_wait(stream, async_stream_close(stream));
}

/* The peer did not move for too long. */
static inline void async__stream_due(async_loop *loop, async__item *item)
{
    async_stream *stream = async__stream_of(item);
    if (stream->queue)
        stream->error = -ETIMEDOUT;
    async__stream_free_queue(loop, stream);
    async__stream_shut(loop, stream);
}

/* ---- callbacks ---- */

static inline int async_stream_on_data(async_stream *stream,
                                       void (*callback)(async_stream *stream, const char *data,
                                                        ssize_t size))
{
    async_loop *loop = async__loop();
    uint32_t *reader;
    if (!async__stream_is_usable(loop, stream))
        return -EBADF;
    reader = async__waiter_of(loop, stream->fd, ASYNC__READABLE);
    if (*reader && *reader != stream->item.slot)
        return -EBUSY;
    if (callback && !loop->scratch)
        loop->scratch = (char *)ASYNC_MEM(malloc)(ASYNC__SCRATCH);
    if (callback && !loop->scratch)
        return -ENOMEM;
    stream->on_data = callback;
    if (!callback) {
        async__stream_desert(loop, stream, ASYNC__READABLE);
    } else if (!*reader && !(stream->item.flags & ASYNC__AT_END)) {
        async__stream_attend(loop, stream, ASYNC__READABLE);
        async__call_soon(loop, &stream->item);
    }
    return 0;
}

static inline int async_stream_on_written(async_stream *stream,
                                          void (*callback)(async_stream *stream, int status))
{
    if (!async__stream_is_usable(async__loop(), stream))
        return -EBADF;
    stream->on_written = callback;
    return 0;
}

static inline int async_stream_on_close(async_stream *stream,
                                        void (*callback)(async_stream *stream, int status))
{
    if (!async__stream_is_usable(async__loop(), stream))
        return -EBADF;
    stream->on_close = callback;
    return 0;
}

/* What was received ahead is handed over first. The call may close the stream: the block is not
 * the stream's meanwhile. */
static inline void async__stream_hand_over(async_loop *loop, async_stream *stream)
{
    async__block *input = stream->input;
    stream->input = NULL;
    if (input)
        stream->on_data(stream, async__block_bytes(input) + input->first,
                        (ssize_t)async__block_count(input));
    async__block_drop(loop, &input);
}

/* Read what there is and hand it over while it is wanted; after a while others have their turn. */
static inline void async__stream_deliver(async_loop *loop, async_stream *stream)
{
    int patience;
    async__stream_hand_over(loop, stream);
    for (patience = ASYNC__BUDGET; stream->on_data && patience; patience--) {
        ssize_t n = async__try(loop, stream->fd, ASYNC__R, loop->scratch, ASYNC__SCRATCH);
        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            stream->item.flags |= ASYNC__AT_END;
            async__stream_desert(loop, stream, ASYNC__READABLE);
            stream->on_data(stream, NULL, n);
            return;
        }
        stream->on_data(stream, loop->scratch, n);
    }
    if (stream->on_data)
        async__call_soon(loop, &stream->item);
}

/* The stream has closed: whoever wants to know is told, then it is freed. */
static inline void async__stream_gone(async_loop *loop, async_stream *stream)
{
    async__serve_all(&stream->flusher, stream->error);
    if (stream->on_close)
        stream->on_close(stream, stream->error);
    async__dismiss(loop, stream->item.slot);
    async__free_block(stream, sizeof *stream);
}

static inline void async__stream_run(async_loop *loop, async__item *item)
{
    async_stream *stream = async__stream_of(item);
    stream->item.flags &= 0xff & ~ASYNC__QUEUED;
    if (stream->item.flags & ASYNC__CLOSING) {
        if (stream->fd < 0)
            async__stream_gone(loop, stream);
        else if (async__stream_lingers(loop, stream))
            async__stream_linger(loop, stream);
        return;
    }
    if (stream->on_data && !(stream->item.flags & ASYNC__AT_END))
        async__stream_deliver(loop, stream);
    if (stream->item.flags & ASYNC__WRITTEN) {
        stream->item.flags &= 0xff & ~ASYNC__WRITTEN;
        if (stream->on_written && !stream->queue) /* else: when that is sent, too */
            stream->on_written(stream, stream->error);
    }
}

static inline void async__stream_ready(async_loop *loop, async__item *item, unsigned bits)
{
    async_stream *stream = async__stream_of(item);
    if (bits & ASYNC__W)
        async__stream_drain(loop, stream);
    else
        async__call_soon(loop, item);
}

/* Its descriptor was closed with close(2), and the number came back as another's. */
static inline void async__stream_drop(async_loop *loop, async__item *item)
{
    async_stream *stream = async__stream_of(item);
    async__timer_stop(loop, item->slot);
    async__stream_free_queue(loop, stream);
    stream->fd = -EBADF;
    stream->error = -EBADF;
    async__stream_desist(loop, stream);
    if (stream->item.flags & ASYNC__CLOSING)
        async__call_soon(loop, item);
}

static inline void async__stream_free(async__item *item)
{
    ASYNC_MEM(free)(async__stream_of(item)->queue);
    ASYNC_MEM(free)(async__stream_of(item)->input);
    ASYNC_MEM(free)(async__stream_of(item));
}

static inline const async__kind *async__stream_kind(void)
{
    static const async__kind kind = { async__stream_run, async__stream_ready, async__stream_due,
                                      async__stream_drop, async__stream_free, async__stream_leave };
    return &kind;
}

/* ----------------------------------------------------------------------------
 * MARK: - The end
 * >>end          Closing a loop, and async_run, which is open, spawn, run and close in one.
 * ------------------------------------------------------------------------- */

/* Callbacks first: they would keep the loop alive. But who waits for a thread, or for a signal, has
 * to be told. */
ASYNC__RARE static inline void async__drop_callbacks(async_loop *loop)
{
    uint32_t i;
    for (i = 0; i < loop->callback_count; i++) {
        async__callback *callback = async__callback_at(loop, ASYNC__CALLBACKS + i);
        if (callback->item.op && !(callback->item.flags & (ASYNC__CANCELLED | ASYNC__NEEDED)))
            loop->kinds[ASYNC__CALLBACK]->drop(loop, &callback->item);
    }
    for (i = 1; i < loop->slot_count; i++) {
        async__item *item = async__item_at(loop, i);
        if (item && item->kind == ASYNC__STREAM)
            async__stream_hush(loop, async__stream_of(item));
    }
}

/* Cancel what runs, and let it: until no task is left, or what is left can never end. */
ASYNC__RARE static inline void async__end_tasks(async_loop *loop)
{
    uint32_t slot;
    int error = 0;
    loop->closing = 1;
    async__drop_callbacks(loop);
    for (slot = loop->slots[0].child; slot; slot = loop->slots[slot].older)
        if (async__task_at(loop, slot)->item.op != ASYNC__ENDED)
            async__cancel_task(loop, async__task_at(loop, slot));
    while ((loop->live || loop->draining) && !error)
        error = async__run_loop(loop);
}

/* Tasks that would not end, or are the parent's of a child, leave the queues they stand in: those
 * may be of what is static. */
ASYNC__RARE static inline void async__leave_queues(async_loop *loop)
{
    uint32_t slot;
    if (loop->closing == 2) /* a child's second try, in a task of its parent's */
        return;
    loop->closing = 2;
    for (slot = 1; slot < loop->slot_count; slot++) {
        async__item *item = async__item_at(loop, slot);
        if (item && item->kind == ASYNC__TASK && item->op >= ASYNC__JOIN &&
            item->op < ASYNC__OFFLOAD)
            async__unpark(loop, (async__task *)(void *)item);
    }
}

/* What is left when the loop goes: results nobody took, streams, tasks that would not end. */
ASYNC__RARE static inline void async__free_items(async_loop *loop)
{
    uint32_t slot;
    for (slot = 1; slot < loop->slot_count; slot++) {
        async__item *item = async__item_at(loop, slot);
        if (item && item->kind == ASYNC__TASK) {
            async_frame *frame = ((async__task *)(void *)item)->leaf, *caller;
            for (; frame && frame->caller; frame = caller) {
                caller = frame->caller;
                ASYNC_MEM(free)(frame);
            }
            ASYNC_MEM(free)(item);
        } else if (item) {
            loop->kinds[item->kind]->free(item);
        }
    }
}

/* close(2) with unread data resets the connection: a closing stream still reads what is there. */
ASYNC__RARE static inline void async__give_back_all(async_loop *loop)
{
    uint32_t fd;
    for (fd = 0; fd < loop->descriptor_count; fd++) {
        async__descriptor *it = &loop->descriptors[fd];
        int turns = (it->bits & ASYNC__LEAVING) ? 16 : 0;
        if (turns)
            it->bits |= ASYNC__R; /* no event is looked at any more */
        while (turns-- && it->reader)
            loop->kinds[ASYNC__STREAM]->run(loop, async__item_at(loop, it->reader));
        if (it->bits & ASYNC__ADOPTED)
            async__give_back(loop, (int)fd, (it->bits & (ASYNC__OWNED | ASYNC__STREAMED)) != 0);
    }
}

ASYNC__RARE static inline int async_loop_close(void)
{
    async_loop *loop = async__current;
    int foreign = loop && async__is_foreign(loop);
    if (!loop)
        return 0;
    if (!foreign && loop->running)
        return -EBUSY;
    if (!foreign)
        async__end_tasks(loop);
    async__leave_queues(loop);
    if (foreign && loop->signals) /* also where the rest stays as it is */
        loop->signals->close(loop);
    if (loop->running) /* in a child, from a task of its parent's: the rest stays as it is */
        return -EBUSY;
    if (loop->threads)
        loop->threads->close(loop);
    if (loop->signals)
        loop->signals->close(loop);
    if (!foreign)
        async__give_back_all(loop);
    async__free_items(loop);
    if (loop->trace && !foreign)
        async__trace_flush(loop);
    if (loop->trace)
        async__trace_close(loop);
    async__free_loop(loop);
    async__current = NULL;
    return 0;
}

ASYNC__RARE static inline async_result async__run(const async_type *type, const void *arguments)
{
    async_result result;
    async_task task;
    int error;
    if (async__current)
        async__loop_to_run();
    error = async_open(NULL);
    if (error)
        return error;
    task = async__spawn(type, arguments);
    result = (async_result)task;
    if (task > 0) {
        async_loop *loop = async__current;
        loop->main_slot = (uint32_t)task;
        loop->main_result = -ECANCELED;
        error = async_loop_run();
        async__end_tasks(loop);
        result = error ? error : loop->main_result;
    }
    async_loop_close();
    return result;
}

/* ----------------------------------------------------------------------------
 * MARK: - Seeing
 * >>dump
 * ------------------------------------------------------------------------- */
static inline const char *async__op_name(unsigned op)
{
    const char *name = /* one text, which takes less room than a table of pointers */
        "running\0" "running\0" "ready\0" "sleep\0" "join_children\0" "readable\0" "writable\0"
        "read\0" "write\0" "readv\0" "writev\0" "accept\0" "connect\0" "recvfrom\0" "sendto\0"
        "stream_read\0" "read_exactly\0" "read_until\0" "read_line\0" "flush\0" "join\0"
        "join_all\0" "event\0" "semaphore\0" "mutex\0" "send\0" "receive\0" "select\0" "signal\0"
        "process\0" "offload\0" "its children\0" "ended, unjoined\0" "soon\0" "after\0" "every\0"
        "idle";
    while (op--)
        while (*name++) {
        }
    return name;
}

static inline int async__op_has_descriptor(unsigned op)
{
    return op >= ASYNC__READABLE && op <= ASYNC__SENDTO;
}

/* Who or what has the queue: a task, or a thing between tasks. */
static inline void async__dump_queue(unsigned op, async__waiter **queue, FILE *out)
{
    const char *place = (const char *)queue;
    const async_mutex *mutex = (const async_mutex *)(const void *)place;
    if (op == ASYNC__JOIN || op == ASYNC__JOIN_ALL)
        fprintf(out, "%s of task %u", async__op_name(op),
                (unsigned)((const async__task *)(const void *)(
                    place - offsetof(async__task, joiners)))->item.slot);
    else if (op == ASYNC__SEND)
        fprintf(out, "send to channel %p", (const void *)place);
    else if (op == ASYNC__RECEIVE)
        fprintf(out, "receive from channel %p",
                (const void *)(place - offsetof(async_channel, receivers)));
    else
        fprintf(out, "%s %p", async__op_name(op), (const void *)place);
    if (op == ASYNC__MUTEX && (uint32_t)mutex->owner)
        fprintf(out, " of task %u", (unsigned)(uint32_t)mutex->owner);
    else if (op == ASYNC__MUTEX)
        fprintf(out, " of a callback");
}

/* The first cases of a select; there may be many. */
static inline void async__dump_select(const async__task *task, FILE *out)
{
    const async_case *cases = (const async_case *)task->item.at.buffer;
    size_t i, count = task->on.io.size, most = count > 4 ? 4 : count;
    for (i = 0; i < most; i++) {
        fputs(i ? " or " : "select: ", out);
        async__dump_queue(cases[i].op, cases[i].queue, out);
    }
    if (count > most)
        fprintf(out, " or %lu more", (unsigned long)(count - most));
}

static inline void async__dump_stream(const async__task *task, FILE *out)
{
    const async_stream *stream = (const async_stream *)task->item.at.buffer;
    size_t here = async__block_count(stream->input);
    if (task->item.op == ASYNC__STREAM_READ_EXACTLY)
        here += task->on.read.done;
    if (task->item.op == ASYNC__FLUSH)
        fprintf(out, "%s on descriptor %d, %lu bytes left",
                stream->item.flags & ASYNC__CLOSING ? "stream_wait_closed" : "stream_flush",
                stream->fd, (unsigned long)async__block_count(stream->queue));
    else
        fprintf(out, "%s on descriptor %d, %lu of %lu bytes", async__op_name(task->item.op),
                stream->fd, (unsigned long)here, (unsigned long)task->on.read.size);
}

/* What the task waits for, */
static inline void async__dump_op(const async_loop *loop, const async__task *task, FILE *out)
{
    unsigned op = task->item.op;
    if (op == ASYNC__SELECT)
        async__dump_select(task, out);
    else if (op >= ASYNC__STREAM_READ && op <= ASYNC__FLUSH)
        async__dump_stream(task, out);
    else if (op >= ASYNC__JOIN && op <= ASYNC__RECEIVE)
        async__dump_queue(op, async__queue_of(loop, task), out);
    else
        fputs(async__op_name(op), out);
    if (async__op_has_descriptor(op))
        fprintf(out, " on descriptor %d", task->on.io.fd);
    else if (op == ASYNC__JOIN_ALL)
        fprintf(out, ", %u left", (unsigned)task->on.waiter.left);
    else if (op == ASYNC__OFFLOAD)
        fputs(ASYNC__LOAD(((async__job *)task->item.at.buffer)->is_running) ? ", running"
                                                                            : ", queued", out);
}

/* how long already, how long at most. */
static inline void async__dump_wait(const async_loop *loop, const async__task *task, FILE *out)
{
    uint32_t now = (uint32_t)(loop->now_ns >> 26);
    int64_t since = task->leaf ? (int64_t)((now - task->leaf->since) & 0xffffff) << 26 : 0;
    async__dump_op(loop, task, out);
    if (task->item.op > ASYNC__READY && task->item.op < ASYNC__CHILDREN)
        fprintf(out, ", for %.3f s", (double)since / 1e9);
    if (task->leaf && task->leaf->deadline_ns != ASYNC__NEVER)
        fprintf(out, ", limit in %.3f s", (double)(task->leaf->deadline_ns - loop->now_ns) / 1e9);
    if (task->item.flags & ASYNC__CANCELLED)
        fprintf(out, ", cancelled");
}

/* The chain of awaits, the outermost first. Of a long one its ends are enough: 4 frames each. */
static inline void async__dump_chain(const async__task *task, FILE *out)
{
    const async_frame *frame;
    size_t depth = 0, left, i;
    for (frame = task->leaf; frame; frame = frame->caller)
        depth++;
    for (left = depth; left; left--) {
        if (left > 4 && depth - left == 4) {
            fprintf(out, "(%lu more) > ", (unsigned long)(left - 4));
            left = 4;
        }
        for (frame = task->leaf, i = 1; i < left; i++)
            frame = frame->caller;
        fprintf(out, "%s() at %s:%u%s", frame->type->name, frame->type->file, async__line(frame),
                left > 1 ? " > " : ": ");
    }
}

static inline void async__dump_task(const async_loop *loop, const async__task *task, int depth,
                                    FILE *out)
{
    const char *name = task->item.slot < loop->name_capacity ? loop->names[task->item.slot] : NULL;
    fprintf(out, "%*s%u ", 2 + 2 * (depth < 30 ? depth : 30), "", (unsigned)task->item.slot);
    if (name)
        fprintf(out, "\"%s\" ", name);
    async__dump_chain(task, out);
    async__dump_wait(loop, task, out);
    fprintf(out, "\n");
}

/* The youngest child's list runs back in time; the oldest comes first here. */
static inline uint32_t async__oldest_child(const async_loop *loop, const async__task *task)
{
    uint32_t slot = async__youngest_child(loop, task);
    while (slot && loop->slots[slot].older)
        slot = loop->slots[slot].older;
    return slot;
}

static inline void async_dump(FILE *out)
{
    async_loop *loop = async__loop();
    const async__task *task = &loop->root;
    int depth = -1;
    fprintf(out, "async: %u tasks, %u timers, on %s\n", (unsigned)loop->live,
            (unsigned)(loop->heap_count - loop->heap_dead), loop->backend->name);
    for (;;) { /* down to the children, then to the younger siblings, then up */
        uint32_t next = async__oldest_child(loop, task);
        depth += next != 0;
        while (!next && task != &loop->root) {
            next = loop->slots[task->item.slot].younger;
            task = next ? task : async__parent(loop, task);
            depth -= !next;
        }
        if (!next)
            break;
        task = async__task_at(loop, next);
        async__dump_task(loop, task, depth, out);
    }
}

/* ---- the trace: one JSON object to an event, in the Trace Event Format ----
 *
 * A list that is never closed, a comma last, which its readers allow: what is in the file is whole
 * whenever the program ends. The number of a track is that of the loop (its descriptor) and the
 * task's slot: tasks that have it one after the other share a track, under the last one's name. */

ASYNC__RARE static inline void async__trace_close(async_loop *loop)
{
    ASYNC_SYS(close)(loop->trace->fd);
    ASYNC_MEM(free)(loop->trace);
    loop->trace = NULL;
}

/* One write, which appends: loops that share the file do not meet within an event. */
ASYNC__RARE static inline void async__trace_flush(async_loop *loop)
{
    async__trace *trace = loop->trace;
    ssize_t used = trace->used;
    trace->used = 0;
    if (ASYNC_SYS(write)(trace->fd, trace->text, (size_t)used) == used)
        return;
    async__warn("the trace cannot be written", NULL);
    async__trace_close(loop);
}

/* An event of the task, of `phase`: M names its track, X is a step that began at `start_ns`, i an
 * instant. What a phase has no use for is skipped by the reader. Times are in us. */
ASYNC__RARE static inline void async__trace_event(async_loop *loop, const async__task *task,
                                                  int phase, const char *what, const char *name,
                                                  const async_frame *frame, int64_t start_ns)
{
    async__trace *trace = loop->trace;
    int has_fd = async__op_has_descriptor(task->item.op);
    int64_t took_ns = async_now() - start_ns;
    int room, size;
    if (!trace) /* the event before this one could not be written */
        return;
    room = (int)sizeof trace->text - trace->used;
    size = snprintf(trace->text + trace->used, (size_t)room,
                    "{\"ph\":\"%c\",\"pid\":%d,\"tid\":%d%06u,\"ts\":%lld.%03d,"
                    "\"dur\":%lld.%03d,\"name\":\"%s\",\"args\":{\"name\":\"%s\","
                    "\"at\":\"%s:%u\",\"then\":\"%s\",\"fd\":%d}},\n", phase,
                    (int)loop->process, trace->fd + 1, (unsigned)task->item.slot,
                    (long long)(start_ns / 1000),
                    (int)(start_ns % 1000), (long long)(took_ns / 1000), (int)(took_ns % 1000),
                    what, name, frame->type->file, async__line(frame),
                    async__op_name(task->item.op), has_fd ? task->on.io.fd : -1);
    trace->used += size * (size < room); /* else it is left out */
    if (trace->used > (int)sizeof trace->text / 2)
        async__trace_flush(loop);
}

ASYNC__RARE static inline void async__trace_task(async_loop *loop, const async__task *task,
                                                 int phase, const char *what)
{
    const async_frame *frame = task->leaf;
    if (loop->trace && frame)
        async__trace_event(loop, task, phase, what, frame->type->name, frame, async_now());
}

ASYNC__RARE static inline int async__trace_step(async_loop *loop, const async__task *task)
{
    async_frame *frame = task->leaf;
    int64_t start_ns = async_now();
    int said = frame->type->step(frame);
    async__trace_event(loop, task, 'X', frame->type->name, frame->type->name, frame, start_ns);
    return said;
}

/* A name may have any characters in it. It is also an instant: the track may be another's later. */
static inline void async__trace_name(async_loop *loop, const char *name)
{
    char plain[64];
    size_t i;
    for (i = 0; i < sizeof plain - 1 && name[i]; i++)
        plain[i] = (unsigned char)name[i] < ' ' || strchr("\\\"", name[i]) ? '_' : name[i];
    while (i && (name[i] & 0xc0) == 0x80) /* cut before a character of UTF-8, not in it */
        i--;
    plain[i] = '\0';
    async__trace_event(loop, loop->task, 'M', "thread_name", plain, loop->task->leaf, async_now());
    async__trace_event(loop, loop->task, 'i', "name", plain, loop->task->leaf, async_now());
}

/* Who makes the file begins the list, at once: others may follow. */
ASYNC__RARE static inline void async__trace_open(async_loop *loop, const char *name)
{
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    async__trace *trace = (async__trace *)ASYNC_MEM(malloc)(sizeof *trace);
    if (!trace) {
        async__warn("the trace cannot be written", NULL);
        return;
    }
    loop->trace = trace;
    trace->text[0] = '[';
    trace->used = 1;
    trace->fd = ASYNC_SYS(open)(name, flags | O_EXCL, 0666);
    if (trace->fd < 0) {
        trace->fd = ASYNC_SYS(open)(name, flags, 0666);
        trace->used = 0;
    }
    async__trace_flush(loop);
}

/* ----------------------------------------------------------------------------
 * MARK: - Licence
 * >>licence
 *
 * Copyright (c) 2026 the authors of async.h
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
 * associated documentation files (the "Software"), to deal in the Software without restriction,
 * including without limitation the rights to use, copy, modify, merge, publish, distribute,
 * sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
 * furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in all copies or
 * substantial portions of the Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
 * NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
 * NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
 * DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
 * ------------------------------------------------------------------------- */
#endif /* ASYNC_H */
