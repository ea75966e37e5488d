/*
 * The plain face of the test layer: a driver that needs nothing but a C library, for static and
 * cross builds, and for ThreadSanitizer, which cannot run beneath Criterion.
 *
 *     plain [--list] [--filter words]      words: a part of "suite::name"
 *
 * Each test runs in a child. The driver itself starts no thread, and keeps a watch that works
 * where a signal handler in the child may not: with all signals blocked, or under a sanitizer.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifndef TEST_PLAIN
#define TEST_PLAIN
#endif
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

enum state { UNFINISHED, FINISHED, FAILED, SKIPPED };

/* What a child tells the driver, in memory that both see. */
struct record {
    volatile int state;
    volatile int limit_s;           /* 0: none                          */
    volatile int64_t limit_from_ns; /* when the child has last set it   */
    char message[4096];
};

static struct test_case *first;
static struct test_case **last = &first;
static struct record *record;
static int passed;
static int failed;

void test_register(struct test_case *test)
{
    *last = test;
    last = &test->next;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ----------------------------------------------------------------------------
 * MARK: - In the child
 * ------------------------------------------------------------------------- */

void test_driver_limit(int seconds)
{
    record->limit_from_ns = now_ns();
    record->limit_s = seconds;
}

void test_driver_fail(const char *file, int line, const char *message)
{
    snprintf(record->message, sizeof record->message, "%s:%d: %s", file, line, message);
    record->state = FAILED;
    _exit(1);
}

void test_driver_skip(const char *reason)
{
    snprintf(record->message, sizeof record->message, "%s", reason);
    record->state = SKIPPED;
    exit(0);
}

/* By exit(), so that what checks or counts at exit has its turn. */
static void run_child(const struct test_case *test)
{
    signal(SIGALRM, SIG_DFL);
    test_run(test);
    record->state = FINISHED;
    exit(0);
}

/* ----------------------------------------------------------------------------
 * MARK: - In the driver
 * ------------------------------------------------------------------------- */

static void tick(int number)
{
    (void)number; /* it is here to end a waitpid */
}

/* A tick a second, so that one that comes before waitpid has begun to wait does no harm. */
static void start_ticking(void)
{
    struct itimerval second;
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = tick;
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    memset(&second, 0, sizeof second);
    second.it_interval.tv_sec = 1;
    second.it_value.tv_sec = 1;
    setitimer(ITIMER_REAL, &second, NULL);
}

/* The child's own watchdog comes first and says more; two seconds later it is killed. */
static int wait_for(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0) {
        int64_t limit_ns = ((int64_t)record->limit_s + 2) * 1000000000;
        if (record->limit_s && now_ns() - record->limit_from_ns > limit_ns)
            kill(child, SIGKILL);
    }
    return status;
}

/* The verdict in one line, and counted: a test that was skipped is neither. */
static void judge(const struct test_case *test, int status)
{
    const char *suite = test->suite;
    const char *name = test->name;
    int clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

    if (record->state == FAILED)
        printf("FAIL %s::%s: %s\n", suite, name, record->message);
    else if (WIFSIGNALED(status))
        printf("FAIL %s::%s: ended by signal %d%s\n", suite, name, WTERMSIG(status),
               WTERMSIG(status) == SIGKILL ? ", stuck or killed" : "");
    else if (!clean)
        printf("FAIL %s::%s: ended with status %d\n", suite, name, WEXITSTATUS(status));
    else if (record->state == UNFINISHED)
        printf("FAIL %s::%s: ended its process before the end of its body\n", suite, name);
    else if (record->state == SKIPPED)
        printf("skip %s::%s: %s\n", suite, name, record->message);
    else
        printf("ok %s::%s\n", suite, name);
    if (!clean || record->state == FAILED || record->state == UNFINISHED)
        failed++;
    else if (record->state == FINISHED)
        passed++;
}

static void run(const struct test_case *test)
{
    pid_t child;

    memset(record, 0, sizeof *record);
    test_driver_limit(60);
    fflush(NULL);
    child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0)
        run_child(test);
    judge(test, wait_for(child));
}

static int matches(const struct test_case *test, const char *filter)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s::%s", test->suite, test->name);
    return strstr(whole, filter) != NULL;
}

int main(int argc, char **argv)
{
    const char *filter = "";
    int list = 0;
    int found = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            list = 1;
        } else if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc) {
            filter = argv[++i];
        } else {
            fprintf(stderr, "usage: %s [--list] [--filter words]\n", argv[0]);
            return 2;
        }
    }
    record = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (record == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    start_ticking();
    for (struct test_case *test = first; test; test = test->next) {
        if (!matches(test, filter))
            continue;
        found++;
        if (list)
            printf("%s::%s\n", test->suite, test->name);
        else
            run(test);
    }
    if (list)
        return 0;
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 || found == 0; /* a filter that fits nothing is a mistake */
}
