/*
 * check.h: checks an exercise that runs on the real kernel (processes, threads, plain C).
 *
 *     #include "check.h"
 *     #include "ex1.c"
 *
 *     Check(ex_3_1, leaves_no_zombie, "Every child is waited for: none is left as a zombie.")
 *     {
 *         fetch_all(3);
 *         expect(waitpid(-1, NULL, WNOHANG) < 0, "A child is left, and nobody has waited for it.");
 *         expect_seen("page 1", "page 2", "page 3");
 *     }
 *
 * Each check runs in a process of its own, with a deadline: a hang or a crash is one failed check. Two faces: Criterion;
 * or, with -DASYNC_TEST_PLAIN, a driver that needs no library (--filter suite/name, --stop at the first that fails).
 * docs/course/check.sh compiles with LEARN defined: an exercise that is a program, too, has its main for all others.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ----------------------------------------------------------------------------
 * MARK: - The log: what has happened, in this order
 * ------------------------------------------------------------------------- */
enum { CHECK_LINES = 256, CHECK_WIDTH = 80 };

struct check_log {
    int count;
    char lines[CHECK_LINES][CHECK_WIDTH];
};

static inline struct check_log *check_log(void)
{
    static struct check_log log;
    return &log;
}

/* A line of the log; for one thread and one process. Outside a check it is printed. */
__attribute__((format(printf, 1, 2))) static inline void seen(const char *format, ...)
{
    struct check_log *log = check_log();
    char line[CHECK_WIDTH];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
#ifndef LEARN
    puts(line);
#endif
    if (log->count < CHECK_LINES)
        memcpy(log->lines[log->count++], line, sizeof line);
}

#ifdef LEARN
/* ----------------------------------------------------------------------------
 * MARK: - A check
 * ------------------------------------------------------------------------- */
typedef struct check_case {
    const char *suite, *name, *sentence;
    void (*body)(void);
    struct check_case *next;
} check_case;

/* The check that runs, and the process it runs in; in memory that its children share: what came of it. */
struct check_now {
    const check_case *check;
    pid_t owner;
    volatile struct { int is_said, is_ended; } *verdict;
};

static inline struct check_now *check_now(void)
{
    static struct check_now now;
    return &now;
}

/* The check's own sentence, before all else and once. */
static inline void check_say(void)
{
    struct check_now *now = check_now();
    if (!now->verdict->is_said)
        fprintf(stderr, "  x %s\n", now->check->sentence);
    now->verdict->is_said = 1;
}

__attribute__((noreturn)) static void check_end(const char *file, int line, const char *message);

__attribute__((noreturn, format(printf, 3, 4)))
static inline void check_fail(const char *file, int line, const char *format, ...)
{
    const check_case *check = check_now()->check;
    char message[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    fflush(NULL);
    check_say();
    fprintf(stderr, "[FAIL] %s::%s  %s\n", check->suite, check->name, message);
    if (getpid() != check_now()->owner) /* a child of the body */
        _exit(1);
    check_end(file, line, message);
}

/* Must be true: otherwise the check fails with this sentence, and ends. */
#define expect(condition, ...) ((condition) ? (void)0 : check_fail(__FILE__, __LINE__, __VA_ARGS__))

/* The whole log must be these lines (none: it must be empty): otherwise both are printed, side by side. */
#define expect_seen(...) check_lines(__FILE__, __LINE__, (const char *const[]){ "", ##__VA_ARGS__, NULL } + 1)

static inline void check_lines(const char *file, int line, const char *const *lines)
{
    const struct check_log *log = check_log();
    int count = 0, differs = -1;
    while (lines[count])
        count++;
    for (int i = 0; i < count || i < log->count; i++)
        if (differs < 0 && (i >= count || i >= log->count || strcmp(lines[i], log->lines[i]) != 0))
            differs = i;
    if (differs < 0)
        return;
    fflush(NULL);
    check_say();
    fprintf(stderr, "      %-38s | %s\n", "expected", "got");
    for (int i = 0; i < count || i < log->count; i++)
        fprintf(stderr, "    %s %-38s | %s\n", i == differs ? ">" : " ", i < count ? lines[i] : "-",
                i < log->count ? log->lines[i] : "-");
    check_fail(file, line, "line %d is \"%s\", expected \"%s\"", differs + 1,
               differs < log->count ? log->lines[differs] : "-", differs < count ? lines[differs] : "-");
}

static inline int check_deadline(void)
{
    const char *text = getenv("LEARN_DEADLINE");
    return text && atoi(text) > 0 ? atoi(text) : 10;
}

static inline int check_prepare(const check_case *check)
{
    struct check_now *now = check_now();
    now->check = check;
    now->owner = getpid();
    if (!now->verdict)
        now->verdict = mmap(NULL, sizeof *now->verdict, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (now->verdict == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    now->verdict->is_said = now->verdict->is_ended = 0;
    return 0;
}

#define Check(suite, name, sentence) \
    static void suite##_##name##_body(void); \
    static check_case suite##_##name##_case = { #suite, #name, sentence, suite##_##name##_body, NULL }; \
    CHECK_ENTRY(suite, name, sentence) \
    static void suite##_##name##_body(void)

#ifndef ASYNC_TEST_PLAIN
/* ----------------------------------------------------------------------------
 * MARK: - The face of Criterion
 * ------------------------------------------------------------------------- */
#include <criterion/criterion.h>

#define CHECK_ENTRY(suite, name, sentence) \
    Test(suite, name, .description = sentence, .timeout = 120) \
    { \
        check_prepare(&suite##_##name##_case); \
        suite##_##name##_body(); \
    }

static void check_end(const char *file, int line, const char *message)
{
    (void)file, (void)line;
    cr_assert_fail("%s", message);
    abort();
}
#else
/* ----------------------------------------------------------------------------
 * MARK: - The face without a library
 * ------------------------------------------------------------------------- */
#define CHECK_ENTRY(suite, name, sentence) \
    __attribute__((constructor)) static void suite##_##name##_register(void) \
    { \
        check_register(&suite##_##name##_case); \
    }

static void check_end(const char *file, int line, const char *message)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, message);
    _exit(1);
}

static check_case *check_first, **check_last = &check_first;

static inline void check_register(check_case *check)
{
    *check_last = check;
    check_last = &check->next;
}

/* The process group of the check that runs, and the signal that has cut it short. */
static volatile sig_atomic_t check_group, check_cut;

static inline void check_on_signal(int signo)
{
    int error = errno; /* of what was interrupted */
    check_cut = signo;
    if (check_group > 0)
        kill(-check_group, SIGKILL);
    errno = error;
}

static inline void check_catch_signals(void (*handler)(int))
{
    static const int signals[] = { SIGALRM, SIGINT, SIGTERM, SIGHUP };
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    for (int i = 0; i < 4; i++)
        sigaction(signals[i], &action, NULL);
}

__attribute__((noreturn)) static inline void check_run(const check_case *check)
{
    setpgid(0, 0);
    check_catch_signals(SIG_DFL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    check_now()->owner = getpid();
    check->body();
    if (getpid() != check_now()->owner)
        check_fail(__FILE__, __LINE__, "A child process has come back from your function: it must end before, by _exit.");
    check_now()->verdict->is_ended = 1;
    exit(0); /* a sanitizer may have a word to say */
}

/* Why a check has failed that has not said so itself. */
static inline void check_explain(int status, int is_ended)
{
    check_say();
    if (check_cut == SIGALRM)
        fprintf(stderr, "[FAIL] It did not end within %d seconds. (On a busy machine: LEARN_DEADLINE=60)\n", check_deadline());
    else if (WIFSIGNALED(status))
        fprintf(stderr, "[FAIL] It crashed: %s.\n", strsignal(WTERMSIG(status)));
    else if (is_ended)
        fprintf(stderr, "[FAIL] After its end, the process had status %d.\n", WEXITSTATUS(status));
    else
        fprintf(stderr, "[FAIL] Its process ended too early, with status %d.\n", WEXITSTATUS(status));
}

/* Its end, or that of the deadline; then nothing of its group is left. */
static inline int check_wait(pid_t child)
{
    int status = 0;
    check_group = child;
    if (check_cut) /* just now */
        check_on_signal(check_cut);
    alarm((unsigned)check_deadline());
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    alarm(0);
    check_group = 0;
    kill(-child, SIGKILL);
    return status;
}

static inline int check_passes(const check_case *check)
{
    int status;
    pid_t child;
    check_prepare(check);
    fflush(NULL);
    check_cut = 0;
    child = fork();
    if (child == 0)
        check_run(check);
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    setpgid(child, child);
    status = check_wait(child);
    if (check_now()->verdict->is_said)
        return 0;
    if (status == 0 && check_now()->verdict->is_ended)
        return 1;
    check_explain(status, check_now()->verdict->is_ended);
    return 0;
}

static inline int check_matches(const check_case *check, const char *filter)
{
    char whole[200];
    snprintf(whole, sizeof whole, "%s/%s", check->suite, check->name);
    return strstr(whole, filter) != NULL;
}

static inline int check_all(const char *filter, int stops)
{
    int passed = 0, failed = 0;
    for (const check_case *check = check_first; check && !(stops && failed); check = check->next) {
        int good;
        if (!check_matches(check, filter))
            continue;
        good = check_passes(check);
        passed += good;
        failed += !good;
        printf("%s %s::%s\n", good ? "ok" : "FAIL", check->suite, check->name);
        if (check_cut && check_cut != SIGALRM)
            break;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}

int main(int argc, char **argv)
{
    const char *filter = "";
    int stops = 0;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--stop") == 0)
            stops = 1;
        else if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc)
            filter = argv[++i];
    check_catch_signals(check_on_signal);
    return check_all(filter, stops);
}
#endif
#endif
#endif
