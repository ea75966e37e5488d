/*
 * async_test.h: asynchronous C tested in a simulated world, replayed from a seed.
 *
 *     #include "async_test.h"                 instead of async.h; link async_test.c, async_sim.c
 *                                             and Criterion
 *     AsyncTest(clock, ten_years, int64_t start;)
 *     {
 *         async_begin;
 *         self->start = async_now();
 *         await(async_sleep(INT64_C(10) * 365 * 86400 * 1000));      returns at once
 *         cr_assert(async_now() - self->start >= INT64_C(10) * 365 * 86400 * 1000000000);
 *         async_end;
 *     }
 *
 *     AsyncTestWith(net, echo, (.seeds = 500, .torture = 1, .real = 1), int ends[2];) { ... }
 *
 * A test is a coroutine in a loop of its own; the fields are as in async(...). The loop, with the
 * backends it is shipped with, runs on a simulated kernel: a clock that jumps when all wait, pipes,
 * sockets and pollers whose every choice is drawn from one seed. A WORLD is one run of the body on
 * one backend with one seed. Each draws its own mix of faults: some kinds off, others frequent.
 * After each world nothing may be left: no task, timer, descriptor, allocation.
 *
 * The code under test is compiled against this header too: include its .c file after this one, or
 * compile it with -include async_test.h. A program in which one file is simulated and another is
 * not does not link.
 *
 * A test that fails says what went wrong in one sentence, then prints the tree of tasks, the last
 * events, and a line that replays that world when pasted into a shell.
 *
 * Environment: ASYNC_SEED, ASYNC_BACKEND, ASYNC_FAIL_CALL, ASYNC_FAIL_ALLOC (the replay line sets
 * them); ASYNC_SEEDS=n instead of a test's own number, if that is more than one;
 * ASYNC_SEED_FROM=n, the first; ASYNC_TORTURE=0: no torture; ASYNC_BACKENDS="poll epoll": only
 * these; ASYNC_WATCHDOG=n instead of 120 seconds; ASYNC_STATS=file, to which each test adds what it
 * did.
 */
#ifndef ASYNC_TEST_H
#define ASYNC_TEST_H

#ifdef ASYNC_H
#error "async_test.h: include it instead of async.h, or before it"
#endif

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ----------------------------------------------------------------------------
 * MARK: - Options of a test
 * ------------------------------------------------------------------------- */

/* Kinds of fault. The first are invisible to a program that does no more than it should; what
 * follows SIM_LOSS shows, as lost datagrams or as errors. */
enum {
    SIM_ORDER,       /* which of the tasks that can run is next                     */
    SIM_SHORT_READ,  /* a read gets a part: the rest comes later                    */
    SIM_SHORT_WRITE, /* a write puts a part: there is room for the rest later       */
    SIM_EINTR,       /* a signal interrupts the call                                */
    SIM_EAGAIN,      /* an event was premature: not now, later                      */
    SIM_LATENCY,     /* bytes, connections and ends are under way for a while       */
    SIM_SPURIOUS,    /* an event for which there is no reason                       */
    SIM_FEW,         /* a wait reports one event only of many                       */
    SIM_SHUFFLE,     /* a wait reports events in another order                      */
    SIM_DRIFT,       /* time passes between two looks at the clock                  */
    SIM_LOSS,        /* a datagram is lost                                          */
    SIM_REORDER,     /* a datagram overtakes another                                */
    SIM_RESET,       /* a TCP connection is reset                                   */
    SIM_REFUSE,      /* a connection is refused                                     */
    SIM_TABLE,       /* no descriptor is left                                       */
    SIM_MEMORY,      /* no memory is left                                           */
    SIM_FAULTS
};
#define SIM_BENIGN ((1u << SIM_LOSS) - 1) /* the default                                         */
#define SIM_DATAGRAMS (SIM_BENIGN | 1u << SIM_LOSS | 1u << SIM_REORDER)
#define SIM_HOSTILE ((1u << SIM_FAULTS) - 1)
#define SIM_CALM (1u << 31) /* none                                                              */

enum { SIM_POLL = 1, SIM_EPOLL = 2, SIM_KQUEUE = 4 };

typedef struct async_test_options {
    int seeds;         /* worlds on each backend, the first of them calm; default 1              */
    int torture;       /* 1: the nth system call fails, for each n and each errno of its manual
                          page, and the nth allocation, once and for ever                        */
    int real;          /* 1: the same body once on the real kernel, per backend                  */
    int watchdog;      /* real seconds for the whole test; default 120, times 20 under Valgrind   */
    unsigned backends; /* a mask of SIM_POLL...; default: all that are compiled in               */
    unsigned faults;   /* a mask of 1 << SIM_ORDER...; default SIM_BENIGN                        */
    const char *says;  /* a sentence for who reads the failure: printed before all else, and
                          Criterion's description of the test                                    */
} async_test_options;

/* ----------------------------------------------------------------------------
 * MARK: - In a body
 * ------------------------------------------------------------------------- */

/* The result is zero or more; or it is an error in a world that shows errors (torture, or faults
 * from SIM_LOSS on): then the body ends with it, and that is fine. */
#define async_ok(result) \
    do { \
        async_result ok_ = (result); \
        if (ok_ < 0) { \
            async_test_error(__FILE__, __LINE__, #result, ok_); \
            async_return(ok_); \
        } \
    } while (0)

/* Whether this world shows errors, or has shown one already. */
int sim_shows_errors(void);
int sim_has_failed(void);

/* Is the body on the real kernel, or in a calm world? */
int sim_is_real(void);
int sim_is_calm(void);

/* A number below `count`, drawn from the seed for the body alone: the same on every backend. */
uint64_t sim_random(uint64_t count);

/* A line of the body's own log, which must be the same on every backend for the same seed; and
 * whether it is these lines, both side by side if it is not. */
__attribute__((format(printf, 1, 2))) void sim_log(const char *format, ...);
#define sim_expect(...) \
    sim_expect_lines(__FILE__, __LINE__, (const char *const[]){ __VA_ARGS__, NULL })
void sim_expect_lines(const char *file, int line, const char *const *lines);

/* Marks that must have been reached in one of a test's worlds. async_sometimes: the condition must
 * have been true once. Nobody misses them when fewer worlds run than the test asks for, as under
 * Valgrind. ASYNC_BUG: in the code under test, true in a quarter of a quarter of the worlds
 * (elsewhere `#define ASYNC_BUG(name) 0`). */
void async_mark(const char *name);
void async_expect_mark(const char *name);
#define async_sometimes(condition) \
    (async_expect_mark(#condition), (condition) ? async_mark(#condition) : (void)0)
int sim_bug(const char *name);
#define ASYNC_BUG(name) sim_bug(name)

/* Let this much time pass in one step, as a long computation does. */
void sim_advance(int64_t duration_ms);

/* The clock, to be read and to be set; a body sets it while nothing is under way. */
int64_t *sim_clock_ns(void);

/* So many calls and steps while virtual time stands still are a livelock; at first 100000. A task
 * may make a 50th of them in one turn. */
void sim_patience(long count);

/* The clock of a wait runs faster (slower) than CLOCK_MONOTONIC by so many millionths. */
void sim_skew(int millionths);

/* The next call of this name fails: sim_fail_next(accept4, EMFILE). (Where async.h makes do without
 * accept4 and pipe2, these mean what it calls instead. A negative errno of kevent is that of the
 * next change, in its receipt.) */
#define sim_fail_next(call, error) sim_fail_next_call(SIM_CALL_##call, error)
void sim_fail_next_call(int call, int error);

/* How many more descriptors there may be, -1: any number. A signal during the next wait. */
void sim_limit(int count);
void sim_signal(void);

/* From now on somebody else takes SO_ERROR off each socket before the program does; 2: before any
 * event, too; 0: no more. */
void sim_take_errors(int on);

/* Network: of the connection of which `fd` is an end, of datagrams to and from it; -1: of all. What
 * was partitioned arrives when it heals. sim_clog: `fd` receives nothing for so long. */
void sim_latency(int fd, int64_t least_ms, int64_t most_ms);
void sim_partition(int fd);
void sim_heal(int fd);
void sim_clog(int fd, int64_t duration_ms);
void sim_reset(int fd);

/* No more faults from here on, and what was partitioned heals: who still waits will end soon. */
void sim_calm(void);

/* What getaddrinfo finds: `addresses`, with blanks between, of a name and a family (AF_INET,
 * AF_INET6), or EAI_AGAIN..., after it has blocked for so long. No other names exist. A thread that
 * the header has made runs while all others wait; sim_block: it blocks in a call. */
void sim_name(const char *name, int family, int64_t delay_ms, const char *addresses);
void sim_name_fails(const char *name, int family, int64_t delay_ms, int error);
void sim_block(int64_t duration_ms);

/* A scripted peer plays the other side: `fd`, a raw descriptor, is its own from here on.
 *     sim_peer(fd, SIM_EXPECT("GET /"), SIM_WAIT(50), SIM_SEND("HTTP/1.1 200"), SIM_RESETS);
 * SIM_TAKE(n) reads n bytes, SIM_SHORT(n) sends what follows in pieces of n, SIM_END ends its
 * writing, SIM_CLOSE closes; at the end of the script it waits for our end. */
typedef struct sim_line {
    int verb;
    const char *text;
    int64_t number;
} sim_line;
enum { SIM_OVER_, SIM_EXPECT_, SIM_SEND_, SIM_TAKE_, SIM_SHORT_, SIM_WAIT_, SIM_END_, SIM_CLOSE_,
       SIM_RESET_ };
#define SIM_EXPECT(text) { SIM_EXPECT_, text, 0 }
#define SIM_SEND(text) { SIM_SEND_, text, 0 }
#define SIM_TAKE(bytes) { SIM_TAKE_, NULL, bytes }
#define SIM_SHORT(bytes) { SIM_SHORT_, NULL, bytes }
#define SIM_WAIT(ms) { SIM_WAIT_, NULL, ms }
#define SIM_END { SIM_END_, NULL, 0 }
#define SIM_CLOSE { SIM_CLOSE_, NULL, 0 }
#define SIM_RESETS { SIM_RESET_, NULL, 0 }
#define sim_peer(fd, ...) \
    sim_peer_plays(fd, (const sim_line[]){ __VA_ARGS__, { SIM_OVER_, NULL, 0 } })
void sim_peer_plays(int fd, const sim_line *script);

/* Order. async_settle(): wait until all others wait. async_seq(n): wait until the steps before n
 * are over; each n once, from 0 on. async_expect_blocked: the task waits for something. */
#define async_settle() async_sleep_until(sim_settle_ns())
int64_t sim_settle_ns(void);
#define async_seq(n) async_call(sim_seq, .step = (n))
#define async_expect_blocked(task) sim_expect_blocked(__FILE__, __LINE__, task)

/* How often a task was resumed until now. */
#define async_wakes(task) sim_wakes(task)

/* ----------------------------------------------------------------------------
 * MARK: - The simulated kernel
 * ------------------------------------------------------------------------- */

/* System calls, as the system's: the seam calls them, a body may. Descriptors begin at 1000, so
 * that one which leaks into a real call is -EBADF; a body that calls close(2) itself calls it on
 * the real kernel. Called from a body they never fail by chance, and a blocking descriptor's wait
 * lets virtual time pass. */
struct addrinfo;
struct epoll_event;
struct iovec;
struct kevent;
struct msghdr;
struct pollfd;
struct sigaction;
struct sockaddr;
struct stat;
struct timespec;
int sim_accept(int fd, struct sockaddr *address, unsigned *size);
int sim_accept4(int fd, struct sockaddr *address, unsigned *size, int flags);
int sim_bind(int fd, const struct sockaddr *address, unsigned size);
int sim_chdir(const char *path);
int sim_clock_gettime(int clock, struct timespec *now);
int sim_close(int fd);
int sim_connect(int fd, const struct sockaddr *address, unsigned size);
int sim_dup(int fd);
int sim_dup2(int fd, int number);
int sim_epoll_create1(int flags);
int sim_epoll_ctl(int poller, int verb, int fd, struct epoll_event *event);
int sim_epoll_wait(int poller, struct epoll_event *events, int count, int timeout_ms);
int sim_execvp(const char *file, char *const arguments[]);
int sim_fcntl(int fd, int command, ...);
int sim_fork(void);
int sim_fstat(int fd, struct stat *status);
void sim_freeaddrinfo(struct addrinfo *list);
int sim_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                    struct addrinfo **list);
int sim_getpeername(int fd, struct sockaddr *address, unsigned *size);
int sim_getpid(void);
int sim_getsockname(int fd, struct sockaddr *address, unsigned *size);
int sim_getsockopt(int fd, int level, int option, void *value, unsigned *size);
unsigned sim_if_nametoindex(const char *name);
int sim_kevent(int poller, const struct kevent *changes, int change_count, struct kevent *events,
               int count, const struct timespec *timeout);
int sim_kill(int process, int number);
int sim_kqueue(void);
int sim_listen(int fd, int backlog);
int sim_open(const char *path, int flags, int mode);
int sim_pipe(int ends[2]);
int sim_pipe2(int ends[2], int flags);
int sim_pthread_cond_broadcast(pthread_cond_t *condition);
int sim_pthread_cond_signal(pthread_cond_t *condition);
int sim_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int sim_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                       void *(*function)(void *argument), void *argument);
int sim_pthread_join(pthread_t thread, void **result);
int sim_poll(struct pollfd *entries, unsigned long count, int timeout_ms);
ssize_t sim_read(int fd, void *data, size_t size);
ssize_t sim_readv(int fd, const struct iovec *pieces, int count);
ssize_t sim_recv(int fd, void *data, size_t size, int flags);
ssize_t sim_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t sim_send(int fd, const void *data, size_t size, int flags);
ssize_t sim_sendmsg(int fd, const struct msghdr *message, int flags);
int sim_setpgid(int process, int group);
int sim_setsid(void);
int sim_setsockopt(int fd, int level, int option, const void *value, unsigned size);
int sim_shutdown(int fd, int how);
int sim_sigaction(int number, const struct sigaction *action, struct sigaction *old);
int sim_sigprocmask(int how, const void *set, void *old); /* of sigset_t */
int sim_socket(int family, int type, int protocol);
int sim_socketpair(int family, int type, int protocol, int ends[2]);
int sim_unlink(const char *path);
int sim_waitpid(int process, int *status, int options);
ssize_t sim_write(int fd, const void *data, size_t size);
ssize_t sim_writev(int fd, const struct iovec *pieces, int count);

/* Ready-made, blocking: both ends of a TCP connection; a connection to a port on loopback, or
 * -errno; a regular file; a device that no poller takes; a terminal, whose ends[1] types (a read
 * of ends[0] gets one line). Sent along: a descriptor over a Unix socket, an urgent byte. */
void sim_tcp_pair(int ends[2]);
int sim_dial(int port);
int sim_file(const char *text);
int sim_device(void);
int sim_special(unsigned mode); /* what has this st_mode: S_IFDIR, S_IFBLK */
void sim_terminal(int ends[2]);
ssize_t sim_send_rights(int fd, const void *data, size_t size);
ssize_t sim_send_urgent(int fd, const void *data, size_t size);

/* Raise a signal in one of the loop's next calls, before that does anything: the seed says which,
 * at the latest when the loop waits. Signals are the system's, but for SIGPIPE: whoever catches
 * this one has its handler run. One at a time. */
void sim_raise(int number);

/* How many descriptors are open; calls and allocations made through the seam; calls of one kind. */
int sim_descriptors(void);
long sim_calls(void);
long sim_allocations(void);
#define sim_count(call) sim_count_call(SIM_CALL_##call)
long sim_count_call(int call);

/* ----------------------------------------------------------------------------
 * MARK: - The seam
 * ------------------------------------------------------------------------- */
#define SIM_EACH_CALL(CALL) \
    CALL(accept) CALL(accept4) CALL(bind) CALL(chdir) CALL(clock_gettime) CALL(close) \
    CALL(connect) CALL(dup2) CALL(epoll_create1) CALL(epoll_ctl) CALL(epoll_wait) CALL(execvp) \
    CALL(fcntl) CALL(fork) CALL(freeaddrinfo) CALL(fstat) CALL(getaddrinfo) CALL(getpeername) \
    CALL(getpid) CALL(getsockname) CALL(getsockopt) CALL(if_nametoindex) CALL(kevent) CALL(kill) \
    CALL(kqueue) CALL(listen) CALL(open) CALL(pipe) CALL(pipe2) CALL(poll) \
    CALL(pthread_cond_broadcast) CALL(pthread_cond_signal) CALL(pthread_cond_wait) \
    CALL(pthread_create) CALL(pthread_join) CALL(read) CALL(readv) CALL(recv) CALL(recvmsg) \
    CALL(send) CALL(sendmsg) CALL(setpgid) CALL(setsid) CALL(setsockopt) CALL(shutdown) \
    CALL(sigaction) CALL(sigprocmask) CALL(socket) CALL(socketpair) CALL(waitpid) CALL(write) \
    CALL(writev)
#define SIM_CALL_NUMBER(call) SIM_CALL_##call,
enum { SIM_EACH_CALL(SIM_CALL_NUMBER) SIM_CALLS };

enum { SIM_TRACE_spawn, SIM_TRACE_run, SIM_TRACE_wait, SIM_TRACE_wake, SIM_TRACE_cancel,
       SIM_TRACE_done };

/* Where the header is about to call: a call without an entry above does not compile. */
void sim_site(const char *function, int line, int call);
void *sim_malloc(size_t size);
void *sim_calloc(size_t count, size_t size);
void *sim_realloc(void *old, size_t size);
void sim_free(void *block);
size_t sim_pick(size_t count);
int sim_picks(void);
void async_test_trace(int event, const void *task);
void async_test_resume(const void *task);
__attribute__((noreturn)) void async_test_panic(const char *text);
void async_test_warn(const char *text);

#ifndef ASYNC_SYS
#define ASYNC_SYS(call) (sim_site(__func__, __LINE__, SIM_CALL_##call), sim_##call)
#endif
#ifndef ASYNC_MEM
#define ASYNC_MEM(call) (sim_site(__func__, __LINE__, -1), sim_##call)
#endif
#ifndef ASYNC_PICK
#define ASYNC_PICK(count) (sim_picks() ? sim_pick(count) : 0)
#endif
#ifndef ASYNC_TRACE
#define ASYNC_TRACE(event, task) async_test_trace(SIM_TRACE_##event, task)
#endif
#ifndef ASYNC_RESUME
#define ASYNC_RESUME(task) async_test_resume(task)
#endif
#ifndef ASYNC_PANIC
#define ASYNC_PANIC(text) async_test_panic(text)
#endif
#ifndef ASYNC_WARN
#define ASYNC_WARN(text) async_test_warn(text)
#endif
#ifndef ASYNC_DEBUG
#define ASYNC_DEBUG 1
#endif
#if !defined ASYNC_HAS_KQUEUE && defined __has_include
#if __has_include(<sys/event.h>)
#define ASYNC_HAS_KQUEUE 1 /* an emulation's header is enough: the kernel is ours */
#endif
#endif

/* The thread's loop has another name here. The plain one is defined in async_test.c, and is not
 * thread-local: with a file that includes async.h itself the linker finds two kinds of symbol, and
 * refuses. (LLVM's lld looks only if the kit comes after that file.) */
#define async__current async__current_simulated

#ifndef ASYNC_TEST_HEADER
#define ASYNC_TEST_HEADER "async.h"
#endif
#include ASYNC_TEST_HEADER

/* ----------------------------------------------------------------------------
 * MARK: - Defining a test
 * ------------------------------------------------------------------------- */
#ifndef ASYNC_TEST_PLAIN
#include <criterion/criterion.h>
#endif

typedef struct async_test_case {
    const char *suite, *name, *file;
    int line;
    const async_type *(*type)(void); /* of a body that is a coroutine */
    void (*body)(void);              /* of one that is a function     */
    async_test_options options;
    struct async_test_case *next;
} async_test_case;

void async_test_register(async_test_case *test);
void async_test_run(const async_test_case *test);
void async_test_end(void);

__attribute__((noreturn, format(printf, 3, 4)))
void async_test_fail(const char *file, int line, const char *format, ...);
void async_test_error(const char *file, int line, const char *text, async_result result);
void sim_expect_blocked(const char *file, int line, async_task task);
long sim_wakes(async_task task);

async_declare(sim_seq, int step;);

#define AsyncTest(suite, ...) ASYNC_TEST_DEFINE(suite, (.seeds = 0), __VA_ARGS__)
#define AsyncTestWith(suite, name, ...) \
    ASYNC__BY_COUNT(ASYNC_TEST_WITH_FIELDS, ASYNC_TEST_WITH_NONE, __VA_ARGS__)(suite, name, \
                                                                              __VA_ARGS__)
#define ASYNC_TEST_WITH_NONE(suite, name, options) ASYNC_TEST_DEFINE(suite, options, name)
#define ASYNC_TEST_WITH_FIELDS(suite, name, options, ...) \
    ASYNC_TEST_DEFINE(suite, options, name, __VA_ARGS__)
#define ASYNC_TEST_DEFINE(suite, options, ...) \
    ASYNC__BY_COUNT(ASYNC_TEST_FIELDS, ASYNC_TEST_NONE, __VA_ARGS__)(suite, options, __VA_ARGS__)
#define ASYNC_TEST_NONE(suite, options, name) ASYNC_TEST_CASE(suite, options, name, )
#define ASYNC_TEST_FIELDS(suite, options, name, ...) \
    ASYNC_TEST_CASE(suite, options, name, __VA_ARGS__)
#define ASYNC_TEST_OPTIONS(...) { __VA_ARGS__ }

#define ASYNC_TEST_CASE(suite, options, name, ...) \
    ASYNC__FRAME(suite##_##name, __VA_ARGS__) \
    static const async_type *suite##_##name##_type(void); \
    static async_test_case suite##_##name##_case = { \
        #suite, #name, __FILE__, __LINE__, suite##_##name##_type, NULL, \
        ASYNC_TEST_OPTIONS options, NULL \
    }; \
    ASYNC_TEST_ENTRY(suite, name) \
    ASYNC__BODY(static, static, suite##_##name)

/* A body that is a function, and opens and closes loops itself. */
#define AsyncTestBare(suite, name, options) \
    static void suite##_##name##_body(void); \
    static async_test_case suite##_##name##_case = { \
        #suite, #name, __FILE__, __LINE__, NULL, suite##_##name##_body, \
        ASYNC_TEST_OPTIONS options, NULL \
    }; \
    ASYNC_TEST_ENTRY(suite, name) \
    static void suite##_##name##_body(void)

#ifndef ASYNC_TEST_PLAIN
#define ASYNC_TEST_ENTRY(suite, name) \
    Test(suite, name, .fini = async_test_end, .data = &suite##_##name##_case) \
    { \
        async_test_run(&suite##_##name##_case); \
    }
#else /* a driver that needs no library: for fuzzing, soaking, other processors */
#define ASYNC_TEST_ENTRY(suite, name) \
    __attribute__((constructor)) static void suite##_##name##_register(void) \
    { \
        async_test_register(&suite##_##name##_case); \
    }
#define ASYNC_TEST_FIRST(a, ...) (a)
#define ASYNC_TEST_SECOND(a, b, ...) (b)
#define ASYNC_TEST_THIRD(a, b, c, ...) (c)
#define ASYNC_TEST_THAT(condition, text) \
    ((condition) ? (void)0 : async_test_fail(__FILE__, __LINE__, "%s is false", text))
#define ASYNC_TEST_BOTH(is, ...) \
    (ASYNC_TEST_FIRST(__VA_ARGS__, 0) is ASYNC_TEST_SECOND(__VA_ARGS__, 0, 0))
#define cr_assert(...) \
    ASYNC_TEST_THAT(ASYNC_TEST_FIRST(__VA_ARGS__, 0), "cr_assert(" #__VA_ARGS__ ")")
#define cr_assert_eq(...) \
    ASYNC_TEST_THAT(ASYNC_TEST_BOTH(==, __VA_ARGS__), "cr_assert_eq(" #__VA_ARGS__ ")")
#define cr_assert_neq(...) \
    ASYNC_TEST_THAT(ASYNC_TEST_BOTH(!=, __VA_ARGS__), "cr_assert_neq(" #__VA_ARGS__ ")")
#define cr_assert_lt(...) \
    ASYNC_TEST_THAT(ASYNC_TEST_BOTH(<, __VA_ARGS__), "cr_assert_lt(" #__VA_ARGS__ ")")
#define cr_assert_leq(...) \
    ASYNC_TEST_THAT(ASYNC_TEST_BOTH(<=, __VA_ARGS__), "cr_assert_leq(" #__VA_ARGS__ ")")
#define cr_assert_gt(...) \
    ASYNC_TEST_THAT(ASYNC_TEST_BOTH(>, __VA_ARGS__), "cr_assert_gt(" #__VA_ARGS__ ")")
#define cr_assert_geq(...) \
    ASYNC_TEST_THAT(ASYNC_TEST_BOTH(>=, __VA_ARGS__), "cr_assert_geq(" #__VA_ARGS__ ")")
#define cr_assert_null(...) \
    ASYNC_TEST_THAT(ASYNC_TEST_FIRST(__VA_ARGS__, 0) == NULL, "cr_assert_null(" #__VA_ARGS__ ")")
#define cr_assert_not_null(...) \
    ASYNC_TEST_THAT(ASYNC_TEST_FIRST(__VA_ARGS__, 0) != NULL, \
                    "cr_assert_not_null(" #__VA_ARGS__ ")")
#define cr_assert_str_eq(...) \
    ASYNC_TEST_THAT(strcmp(ASYNC_TEST_FIRST(__VA_ARGS__, 0), \
                           ASYNC_TEST_SECOND(__VA_ARGS__, 0, 0)) == 0, \
                    "cr_assert_str_eq(" #__VA_ARGS__ ")")
#define cr_assert_arr_eq(...) \
    ASYNC_TEST_THAT(memcmp(ASYNC_TEST_FIRST(__VA_ARGS__, 0), \
                           ASYNC_TEST_SECOND(__VA_ARGS__, 0, 0), \
                           ASYNC_TEST_THIRD(__VA_ARGS__, 0, 0, 0)) == 0, \
                    "cr_assert_arr_eq(" #__VA_ARGS__ ")")
#define cr_assert_fail(...) \
    async_test_fail(__FILE__, __LINE__, "%s", "cr_assert_fail(" #__VA_ARGS__ ")")
#endif

#endif
