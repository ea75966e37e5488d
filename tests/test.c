/*
 * The test layer beneath both faces: see test.h for what it offers.
 *
 * Goal: a red test is red for every kind of fault, and never hangs. Method: each run of a body is
 * bracketed by records taken inside its own process, because Criterion's workers start with
 * descriptors and a thread of their own; whatever ends the process early has its own exit status.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__has_include) && defined(__GNUC__)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

#ifndef TEST_BACKEND_LIST
#ifdef __linux__
#define TEST_BACKEND_LIST "poll epoll"
#else
#define TEST_BACKEND_LIST "poll kqueue"
#endif
#endif

#ifdef __linux__
#define TEST_WATCHDOG_SIGNAL SIGVTALRM
#else
#define TEST_WATCHDOG_SIGNAL SIGALRM
#endif

enum {
    TEST_SECONDS = 20,
    TEST_DESCRIPTORS = 4096, /* the lowest free number is taken first, so a leak lies below */
    TEST_MESSAGE = 2048
};

/* How a process ends that a test has cut short. Valgrind's verdict is 99, by its command line. */
enum {
    TEST_CHILD_CHECK = 122,  /* a check failed in a child process of the body             */
    TEST_EXITED = 123,       /* exit() before the end of the body                         */
    TEST_STUCK = 124,        /* the watchdog                                              */
    TEST_RETURNED = 125,     /* a child process of the body came back out of it           */
    TEST_NO_PANIC = 126      /* the statement of test_panics ended                        */
};

const char *test_backend = "";

static const struct test_case *test_current; /* NULL outside a body                               */
static pid_t test_owner;                     /* the process that runs it                          */
static pid_t test_child = -1;                /* of test_panics, while it runs                     */
static int test_pipe[2];                     /* its stderr                                        */
static char test_stuck[256];                 /* the watchdog's words, ready for a signal handler  */
static size_t test_stuck_size;
static unsigned char test_open[TEST_DESCRIPTORS];

/* ----------------------------------------------------------------------------
 * MARK: - Failing
 * ------------------------------------------------------------------------- */

static void test_write(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, text, size);
        if (n <= 0)
            return;
        text += n;
        size -= (size_t)n;
    }
}

/* Where we are, as "stream::echoes (epoll)". */
static const char *test_where(void)
{
    static char where[200];
    const char *suite = test_current ? test_current->suite : "?";
    const char *name = test_current ? test_current->name : "?";

    if (*test_backend)
        snprintf(where, sizeof where, "%s::%s (%s)", suite, name, test_backend);
    else
        snprintf(where, sizeof where, "%s::%s", suite, name);
    return where;
}

/* A child of the body must not report to the driver: under Criterion that hangs the runner. */
static void test_report(const char *file, int line, const char *message)
{
    static char whole[TEST_MESSAGE + 64];

    if (test_owner != getpid()) {
        snprintf(whole, sizeof whole, "%s:%d: %s, in a child process of %s\n", file, line, message,
                 test_where());
        test_write(whole, strlen(whole));
        _exit(TEST_CHILD_CHECK);
    }
    if (*test_backend)
        snprintf(whole, sizeof whole, "%s [%s]", message, test_backend);
    else
        snprintf(whole, sizeof whole, "%s", message);
    test_end();
    test_driver_fail(file, line, whole);
}

void test_fail(const char *file, int line, const char *format, ...)
{
    static char message[TEST_MESSAGE];
    va_list list;

    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    test_report(file, line, message);
    abort();
}

void test_skip(const char *reason)
{
    if (test_owner != getpid())
        _exit(TEST_CHILD_CHECK);
    test_end();
    test_driver_skip(reason);
}

/* ----------------------------------------------------------------------------
 * MARK: - Checks
 * ------------------------------------------------------------------------- */

/* The numbers differ from system to system, so a failure shows the name. NULL if unknown. */
static const char *test_error_name(int error)
{
#define TEST_NAME(name) { name, #name }
    static const struct {
        int error;
        const char *name;
    } names[] = {
        TEST_NAME(E2BIG), TEST_NAME(EACCES), TEST_NAME(EADDRINUSE), TEST_NAME(EADDRNOTAVAIL),
        TEST_NAME(EAFNOSUPPORT), TEST_NAME(EAGAIN), TEST_NAME(EALREADY), TEST_NAME(EBADF),
        TEST_NAME(EBADMSG), TEST_NAME(EBUSY), TEST_NAME(ECANCELED), TEST_NAME(ECHILD),
        TEST_NAME(ECONNABORTED), TEST_NAME(ECONNREFUSED), TEST_NAME(ECONNRESET),
        TEST_NAME(EDEADLK), TEST_NAME(EDESTADDRREQ), TEST_NAME(EDOM), TEST_NAME(EEXIST),
        TEST_NAME(EFAULT), TEST_NAME(EFBIG), TEST_NAME(EHOSTUNREACH), TEST_NAME(EILSEQ),
        TEST_NAME(EINPROGRESS), TEST_NAME(EINTR), TEST_NAME(EINVAL), TEST_NAME(EIO),
        TEST_NAME(EISCONN), TEST_NAME(EISDIR), TEST_NAME(ELOOP), TEST_NAME(EMFILE),
        TEST_NAME(EMLINK), TEST_NAME(EMSGSIZE), TEST_NAME(ENAMETOOLONG), TEST_NAME(ENETDOWN),
        TEST_NAME(ENETRESET), TEST_NAME(ENETUNREACH), TEST_NAME(ENFILE), TEST_NAME(ENOBUFS),
        TEST_NAME(ENODEV), TEST_NAME(ENOENT), TEST_NAME(ENOEXEC), TEST_NAME(ENOMEM),
        TEST_NAME(ENOPROTOOPT), TEST_NAME(ENOSPC), TEST_NAME(ENOSYS), TEST_NAME(ENOTCONN),
        TEST_NAME(ENOTDIR), TEST_NAME(ENOTSOCK), TEST_NAME(ENOTSUP), TEST_NAME(ENOTTY),
        TEST_NAME(ENXIO), TEST_NAME(EOPNOTSUPP), TEST_NAME(EOVERFLOW), TEST_NAME(EPERM),
        TEST_NAME(EPIPE), TEST_NAME(EPROTO), TEST_NAME(EPROTONOSUPPORT), TEST_NAME(EPROTOTYPE),
        TEST_NAME(ERANGE), TEST_NAME(EROFS), TEST_NAME(ESPIPE), TEST_NAME(ESRCH),
        TEST_NAME(ETIMEDOUT), TEST_NAME(ETXTBSY), TEST_NAME(EWOULDBLOCK), TEST_NAME(EXDEV)
    };
#undef TEST_NAME
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].error == error)
            return names[i].name;
    }
    return NULL;
}

/* A value for a message, with the name of the error that a small negative number may be. */
static const char *test_number(char *text, size_t size, uint64_t value, int is_signed)
{
    int64_t number = (int64_t)value;
    const char *name = is_signed && number < 0 && number > -4096 ? test_error_name((int)-number)
                                                                  : NULL;
    if (!is_signed)
        snprintf(text, size, "%llu", (unsigned long long)value);
    else if (name)
        snprintf(text, size, "%lld (-%s)", (long long)number, name);
    else
        snprintf(text, size, "%lld", (long long)number);
    return text;
}

/* Equal as numbers: -1 and the largest unsigned number have the same bits, and are different. */
static int test_same(uint64_t a, int a_signed, uint64_t b, int b_signed)
{
    int a_negative = a_signed && (int64_t)a < 0;
    int b_negative = b_signed && (int64_t)b < 0;
    return a == b && a_negative == b_negative;
}

void test_equal(const char *file, int line, const char *left, uint64_t actual, int actual_signed,
                const char *right, uint64_t expected, int expected_signed)
{
    char is[64];
    char should[64];

    if (test_same(actual, actual_signed, expected, expected_signed))
        return;
    test_number(is, sizeof is, actual, actual_signed);
    test_number(should, sizeof should, expected, expected_signed);
    if (strcmp(right, should) == 0)
        test_fail(file, line, "%s is %s, expected %s", left, is, should);
    test_fail(file, line, "%s is %s, expected %s, which is %s", left, is, right, should);
}

/* A string in quotes, cut if long, with what a terminal would not show as escapes. */
static const char *test_quote(char *out, size_t size, const char *text)
{
    size_t used = 1;

    if (!text)
        return "NULL";
    out[0] = '"';
    for (; *text && used + 8 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '\n')
            used += (size_t)snprintf(out + used, size - used, "\\n");
        else if (c < 32 || c > 126 || c == '"' || c == '\\')
            used += (size_t)snprintf(out + used, size - used, "\\%03o", c);
        else
            out[used++] = (char)c;
    }
    snprintf(out + used, size - used, "%s", *text ? "..." : "\"");
    return out;
}

void test_text(const char *file, int line, const char *left, const char *actual,
               const char *expected)
{
    static char is[600];
    static char should[600];

    if (actual == expected || (actual && expected && strcmp(actual, expected) == 0))
        return;
    test_fail(file, line, "%s is %s, expected %s", left, test_quote(is, sizeof is, actual),
              test_quote(should, sizeof should, expected));
}

void test_provoked(const char *function, const char *name, int error)
{
    char line[300];
    const char *verbose = getenv("TEST_VERBOSE");

    if (error <= 0)
        test_fail(function, 0, "%s is not an error number", name);
    if (!verbose || !*verbose)
        return;
    snprintf(line, sizeof line, "provoked %s %s in %s\n", function, name, test_where());
    test_write(line, strlen(line));
}

void test_error(const char *file, int line, const char *function, const char *name, int error,
                const char *expression, uint64_t actual, int actual_signed)
{
    char is[64];

    if (!test_same(actual, actual_signed, (uint64_t)-(int64_t)error, 1))
        test_fail(file, line, "%s is %s, expected -%s of %s", expression,
                  test_number(is, sizeof is, actual, actual_signed), name, function);
    test_provoked(function, name, error);
}

/* ----------------------------------------------------------------------------
 * MARK: - Watchdog
 * ------------------------------------------------------------------------- */

/* A static program has no header of Valgrind's to ask by, but finds its library preloaded. */
int (test_on_valgrind)(void)
{
#ifdef RUNNING_ON_VALGRIND
    return RUNNING_ON_VALGRIND > 0;
#else
    const char *preload = getenv("LD_PRELOAD");
    return preload && strstr(preload, "vgpreload") != NULL;
#endif
}

static void test_bite(int number)
{
    (void)number;
    test_write(test_stuck, test_stuck_size);
    if (test_child > 0)
        kill(test_child, SIGKILL);
    _exit(TEST_STUCK);
}

/* Neither kind of timer is inherited by a child, so a child asks for its own. */
#ifdef __linux__
static void test_start_timer(int seconds)
{
    static timer_t timer;
    static pid_t timer_owner;
    struct itimerspec limit;

    if (timer_owner != getpid()) {
        struct sigevent event;
        memset(&event, 0, sizeof event);
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = TEST_WATCHDOG_SIGNAL;
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0)
            test_fail(__FILE__, __LINE__, "no timer for the watchdog: %s", strerror(errno));
        timer_owner = getpid();
    }
    memset(&limit, 0, sizeof limit);
    limit.it_value.tv_sec = seconds;
    timer_settime(timer, 0, &limit, NULL);
}
#else
static void test_start_timer(int seconds)
{
    struct itimerval limit;

    memset(&limit, 0, sizeof limit);
    limit.it_value.tv_sec = seconds;
    setitimer(ITIMER_REAL, &limit, NULL);
}
#endif

static void test_set_timer(int seconds)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = test_bite;
    sigemptyset(&action.sa_mask);
    sigaction(TEST_WATCHDOG_SIGNAL, &action, NULL);
    test_start_timer(seconds);
}

void test_watchdog(int seconds)
{
    const char *slow = getenv("TEST_SLOW");
    int n;

    if (test_on_valgrind())
        seconds *= 20;
    if (slow && *slow)
        seconds *= 5;
    n = snprintf(test_stuck, sizeof test_stuck, "%s is stuck: not done after %d s\n", test_where(),
                 seconds);
    test_stuck_size = n < (int)sizeof test_stuck ? (size_t)n : sizeof test_stuck - 1;
    test_set_timer(seconds);
    if (test_owner == getpid())
        test_driver_limit(seconds); /* a child of the body has its own limit                     */
}

/* ----------------------------------------------------------------------------
 * MARK: - Panics
 * ------------------------------------------------------------------------- */

/* A weak reference would not do: it does not fetch the function from the compiler's archive. */
#ifdef TEST_SAVE_COVERAGE
void TEST_SAVE_COVERAGE(void);
#else
#define TEST_SAVE_COVERAGE() ((void)0)
#endif

void test_save_coverage(void)
{
    TEST_SAVE_COVERAGE();
}

static void test_aborting(int number)
{
    test_save_coverage();
    signal(number, SIG_DFL);
    raise(number);
}

/* The child of test_panics: its stderr goes to the pipe, it leaves no core and has a watchdog. */
static void test_become_child(void)
{
    struct rlimit none = { 0, 0 };
    sigset_t set;

    test_child = -1;
    dup2(test_pipe[1], STDERR_FILENO);
    close(test_pipe[0]);
    close(test_pipe[1]);
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGABRT, test_aborting);
    sigemptyset(&set);
    sigaddset(&set, SIGABRT);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    test_watchdog(TEST_SECONDS / 2);
}

int test_forked(const char *file, int line)
{
    pid_t child;

    fflush(NULL);
    if (pipe(test_pipe) != 0)
        test_fail(file, line, "test_panics: pipe: %s", strerror(errno));
    child = fork();
    if (child < 0)
        test_fail(file, line, "test_panics: fork: %s", strerror(errno));
    if (child == 0) {
        test_become_child();
        return 1;
    }
    test_child = child;
    close(test_pipe[1]);
    return 0;
}

void test_not_panicked(void)
{
    _exit(TEST_NO_PANIC);
}

/* All that the child has to say; what does not fit is read and dropped, lest the child blocks. */
static void test_listen(char *text, size_t size)
{
    size_t used = 0;

    for (;;) {
        char drop[512];
        int full = used + 1 >= size;
        ssize_t n = full ? read(test_pipe[0], drop, sizeof drop)
                         : read(test_pipe[0], text + used, size - used - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if (!full)
            used += (size_t)n;
    }
    text[used] = '\0';
    close(test_pipe[0]);
}

void test_panicked(const char *file, int line, const char *statement, const char *words)
{
    char said[8192];
    char quoted[800];
    int status = 0;
    pid_t ended;

    test_listen(said, sizeof said);
    do
        ended = waitpid(test_child, &status, 0);
    while (ended < 0 && errno == EINTR);
    test_child = -1;
    test_quote(quoted, sizeof quoted, said);
    if (ended < 0)
        test_fail(file, line, "test_panics: waitpid: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_NO_PANIC)
        test_fail(file, line, "%s did not panic; it said %s", statement, quoted);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        test_fail(file, line, "%s ended with %s %d instead of SIGABRT; it said %s", statement,
                  WIFSIGNALED(status) ? "signal" : "status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), quoted);
    if (!strstr(said, words))
        test_fail(file, line, "%s panicked without the words \"%s\"; it said %s", statement, words,
                  quoted);
}

/* ----------------------------------------------------------------------------
 * MARK: - Running
 * ------------------------------------------------------------------------- */

static int test_is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

static void test_record_descriptors(void)
{
    for (int fd = 0; fd < TEST_DESCRIPTORS; fd++)
        test_open[fd] = (unsigned char)test_is_open(fd);
}

static void test_compare_descriptors(void)
{
    for (int fd = 0; fd < TEST_DESCRIPTORS; fd++) {
        char path[64];
        char what[128] = "";
        int now = test_is_open(fd);

        if (now == test_open[fd])
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (now && readlink(path, what, sizeof what - 1) < 0)
            what[0] = '\0';
        test_fail(test_current->suite, 0, now ? "descriptor %d is left open %s"
                                             : "descriptor %d was closed, it is not the test's%s",
                  fd, what);
    }
}

/* A child that nobody waits for outlives the test, or is found by the next backend's wait. */
static void test_compare_children(void)
{
    int status;
    pid_t child = waitpid(-1, &status, WNOHANG);

    if (child >= 0)
        test_fail(test_current->suite, 0, "a child process is left, %s",
                  child > 0 ? "ended but not waited for" : "and still runs");
}

static void test_run_once(void)
{
    test_watchdog(TEST_SECONDS);
    test_record_descriptors();
    test_current->body();
    if (test_owner != getpid()) {
        static const char words[] = "a child process came back out of the body of ";
        test_write(words, sizeof words - 1);
        test_write(test_where(), strlen(test_where()));
        test_write("\n", 1);
        _exit(TEST_RETURNED);
    }
    test_compare_descriptors();
    test_compare_children();
}

/* The names stay where they are: what a body keeps of test_backend is still right later. */
static void test_run_backends(void)
{
    static char list[256];
    const char *wanted = getenv("TEST_BACKENDS");
    char *next;

    snprintf(list, sizeof list, "%s", wanted && *wanted ? wanted : TEST_BACKEND_LIST);
    next = list + strspn(list, " ");
    if (!*next)
        test_fail(test_current->suite, 0, "TEST_BACKENDS names no backend");
    while (*next) {
        char *name = next;
        next += strcspn(next, " ");
        if (*next)
            *next++ = '\0';
        next += strspn(next, " ");
        setenv("ASYNC_BACKEND", name, 1);
        test_backend = name;
        test_run_once();
    }
}

/* A body that ends its process would be taken for one that came to its end. */
static void test_at_exit(void)
{
    static const char words[] = " ended its process by exit() before the end of its body\n";

    if (!test_current || test_owner != getpid())
        return;
    test_write(test_where(), strlen(test_where()));
    test_write(words, sizeof words - 1);
    _exit(TEST_EXITED);
}

void test_run(const struct test_case *test)
{
    atexit(test_at_exit);
    test_owner = getpid();
    test_current = test;
    if (test->each_backend)
        test_run_backends();
    else
        test_run_once();
    test_end();
}

/* The kit has taken the place of the driver, and looks itself for what is left behind. */
void test_in_world(const struct test_case *test)
{
    static const char *const names[] = { "poll", "epoll", "kqueue" };
    const char *chosen = getenv("ASYNC_BACKEND");

    test_owner = getpid();
    test_current = test;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (chosen && strcmp(chosen, names[i]) == 0)
            test_backend = names[i];
    }
    test->body();
    if (test_owner != getpid())
        _exit(TEST_RETURNED);
    test_compare_children();
    test_current = NULL;
}

void test_end(void)
{
    if (!test_current || test_owner != getpid())
        return;
    test_set_timer(0);
    test_current = NULL;
}
