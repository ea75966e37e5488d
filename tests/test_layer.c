/*
 * The test layer's own behaviour, where it is green; tests/red.sh shows that it can be red.
 *
 * Goal: a test sees what test.h promises. Method: bodies that look at their surroundings, and
 * statements that panic on purpose.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Statics are fresh in each test, because each has its own process, but not in each run. */
TEST(layer, runs_once_per_backend_in_turn)
{
    static const char *seen[8];
    static int runs;

    check(runs < 8);
    check_text(getenv("ASYNC_BACKEND"), test_backend);
    for (int i = 0; i < runs; i++)
        check(strcmp(seen[i], test_backend) != 0);
    seen[runs++] = test_backend;
}

enum colour { RED, GREEN };

TEST(layer, compares_integers_of_every_type)
{
    struct { unsigned three : 3; } bits = { 5 };
    unsigned char small = 200;
    signed char negative = -1;
    enum colour colour = GREEN;
    int calls = 0;

    check_equal(small, 200);
    check_equal(negative, -1);
    check_equal(bits.three, 5);
    check_equal(colour, GREEN);
    check_equal(true, 1);
    check_equal(sizeof(int), (long)sizeof(int));
    check_equal(UINT64_MAX, ULLONG_MAX);
    check_equal(INT64_MIN, LLONG_MIN);
    check_equal(calls++, 0);
    check_equal(calls, 1);
    check_text(NULL, NULL);
    check_text("same", "same");
}

TEST(layer, shows_errors)
{
    check_error(close, EBADF, close(-1) < 0 ? -errno : 0);
    provokes(open, ENOENT);
    check(open("/nonexistent/file", O_RDONLY) < 0 && errno == ENOENT);
}

static void panic(const char *words)
{
    fprintf(stderr, "panic: %s\n", words);
    abort();
}

/* Each of the children inherits what the body has opened, and the second panic has more to say
 * than a pipe holds. */
TEST(layer, sees_panics)
{
    static char longer[100000];
    int ends[2];

    check_equal(pipe(ends), 0);
    test_panics(panic("one, two"), "one, two");
    memset(longer, 'x', sizeof longer - 1);
    test_panics({ fputs("first\n", stderr); panic(longer); }, "first");
    close(ends[0]);
    close(ends[1]);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
    (void)number;
    alarms++;
}

/* The watchdog keeps out of the way of a test that has a use for SIGALRM itself. */
TEST(layer, leaves_the_alarm_clock_to_the_tests)
{
    struct itimerval soon = { { 0, 0 }, { 0, 1000 } };
    struct sigaction action;
    struct sigaction before;
    sigset_t blocked;
    sigset_t old;

    memset(&action, 0, sizeof action);
    action.sa_handler = count_alarm;
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, &before);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    sigprocmask(SIG_BLOCK, &blocked, &old);
    alarms = 0;
    setitimer(ITIMER_REAL, &soon, NULL);
    while (alarms == 0)
        sigsuspend(&old);
    sigprocmask(SIG_SETMASK, &old, NULL);
    sigaction(SIGALRM, &before, NULL);
    check_equal(alarms, 1);
}
