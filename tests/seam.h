/*
 * seam.h: what some tests put beneath the loop. Include it before async.h.
 *
 *     seam_reset();                   all counts to zero, nothing fails
 *     seam_fail_from = 3;             the third allocation from here on fails; all after it do too,
 *     seam_fail_once = 1;             or only that one
 *     seam_failed                     how many have failed
 *     seam_blocks                     allocations that were not freed yet
 *     seam_waits                      how often the backend was asked: poll, epoll_wait, kevent
 *     seam_break = EBADF;             and from now on it fails with this errno
 *     seam_clock = 1;                 from now on time passes only while the loop waits, at once:
 *                                     the clock in ns; 0 stands for the real one
 *     seam_refuse = ENFILE;           there is no epoll or kqueue descriptor to be had
 *     seam_hush(); seam_speak();      between these two, stderr leads nowhere
 *     seam_warnings, seam_warning     ASYNC_WARN: how many, and the last one's text
 */
#ifndef SEAM_H
#define SEAM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif
#if (defined __linux__ && defined ASYNC_HAS_KQUEUE && ASYNC_HAS_KQUEUE) || !defined __linux__
#include <sys/event.h>
#define SEAM_KQUEUE 1
#else
#define SEAM_KQUEUE 0
#endif

#define SEAM_UNUSED __attribute__((unused))

/* ---- stderr ---- */

static int seam_stderr;

static SEAM_UNUSED void seam_hush(void)
{
    int nowhere = open("/dev/null", O_WRONLY);
    fflush(stderr);
    seam_stderr = dup(STDERR_FILENO);
    dup2(nowhere, STDERR_FILENO);
    close(nowhere);
}

static SEAM_UNUSED void seam_speak(void)
{
    fflush(stderr);
    dup2(seam_stderr, STDERR_FILENO);
    close(seam_stderr);
}

/* ---- which kernel ----
 *
 * In the simulated build what follows lies between the loop and the simulated kernel: the clock is
 * the world's own, and it is the world's waits that let time pass. */
#ifdef TEST_SIMULATED
#include "simulated/calls.h"
#define seam_clock (*sim_clock_ns())
#define SEAM_OWN_CLOCK 0
#define SEAM_MEM(call) sim_##call
#else
static int64_t seam_clock;
#define SEAM_OWN_CLOCK (seam_clock != 0)
#define SEAM_MEM(call) call
#endif

static long seam_fail_from, seam_failed, seam_blocks, seam_waits, seam_warnings;
static int seam_fail_once, seam_break, seam_refuse;
static char seam_warning[600];

static SEAM_UNUSED void seam_reset(void)
{
    seam_fail_from = seam_failed = seam_waits = seam_warnings = 0;
#ifndef TEST_SIMULATED
    seam_clock = 0;
#endif
    seam_fail_once = seam_break = seam_refuse = 0;
    seam_warning[0] = '\0';
}

/* ---- memory ---- */

static SEAM_UNUSED int seam_fails(void)
{
    if (!seam_fail_from || seam_fail_from-- > 1)
        return 0;
    seam_fail_from = !seam_fail_once;
    seam_failed++;
    return 1;
}

static SEAM_UNUSED void *seam_malloc(size_t size)
{
    void *block = seam_fails() ? NULL : SEAM_MEM(malloc)(size);
    seam_blocks += block != NULL;
    return block;
}

static SEAM_UNUSED void *seam_calloc(size_t count, size_t size)
{
    void *block = seam_fails() ? NULL : SEAM_MEM(calloc)(count, size);
    seam_blocks += block != NULL;
    return block;
}

static SEAM_UNUSED void *seam_realloc(void *old, size_t size)
{
    void *block = seam_fails() ? NULL : SEAM_MEM(realloc)(old, size);
    seam_blocks += block && !old;
    return block;
}

static SEAM_UNUSED void seam_free(void *block)
{
    seam_blocks -= block != NULL;
    SEAM_MEM(free)(block);
}

/* ---- time ---- */

static SEAM_UNUSED int seam_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!SEAM_OWN_CLOCK)
        return clock_gettime(clock, now);
    now->tv_sec = (time_t)(seam_clock / 1000000000);
    now->tv_nsec = (long)(seam_clock % 1000000000);
    return 0;
}

/* With a clock of our own, a wait looks whether something is there, and else time has passed. */
static SEAM_UNUSED int seam_timeout(int timeout_ms)
{
    return SEAM_OWN_CLOCK && timeout_ms > 0 ? 0 : timeout_ms;
}

static SEAM_UNUSED void seam_pass(int count, int64_t timeout_ns)
{
    if (SEAM_OWN_CLOCK && count == 0 && timeout_ns > 0)
        seam_clock += timeout_ns;
}

/* ---- waiting ---- */

static SEAM_UNUSED int seam_poll(struct pollfd *entries, nfds_t count, int timeout_ms)
{
    int found = -1;
    seam_waits++;
    if (!seam_break)
        found = poll(entries, count, seam_timeout(timeout_ms));
    else
        errno = seam_break;
    seam_pass(found, (int64_t)timeout_ms * 1000000);
    return found;
}

#ifdef __linux__
static SEAM_UNUSED int seam_epoll_wait(int poller, struct epoll_event *events, int count,
                                       int timeout_ms)
{
    int found = -1;
    seam_waits++;
    if (!seam_break)
        found = epoll_wait(poller, events, count, seam_timeout(timeout_ms));
    else
        errno = seam_break;
    seam_pass(found, (int64_t)timeout_ms * 1000000);
    return found;
}

static SEAM_UNUSED int seam_epoll_create1(int flags)
{
    errno = seam_refuse;
    return seam_refuse ? -1 : epoll_create1(flags);
}
#endif

#if SEAM_KQUEUE
static SEAM_UNUSED int seam_kqueue(void)
{
    errno = seam_refuse;
    return seam_refuse ? -1 : kqueue();
}

/* With changes it does not wait. */
static SEAM_UNUSED int seam_kevent(int poller, const struct kevent *changes, int change_count,
                                   struct kevent *events, int count, const struct timespec *timeout)
{
    static const struct timespec at_once = { 0, 0 };
    int found = -1;
    if (change_count)
        return kevent(poller, changes, change_count, events, count, timeout);
    seam_waits++;
    if (!seam_break)
        found = kevent(poller, NULL, 0, events, count,
                       SEAM_OWN_CLOCK && timeout ? &at_once : timeout);
    else
        errno = seam_break;
    if (timeout)
        seam_pass(found, (int64_t)timeout->tv_sec * 1000000000 + timeout->tv_nsec);
    return found;
}
#endif

static SEAM_UNUSED void seam_warn(const char *text)
{
    if (strstr(text, "held the loop")) /* a slow machine's */
        return;
    seam_warnings++;
    snprintf(seam_warning, sizeof seam_warning, "%s", text);
}

/* ---- the five macros of the seam, and the warning ----
 *
 * ASYNC_SYS(read) is read, unless there is a SEAM_SYS_read, which holds "x, replacement". */
#define SEAM_SECOND(first, second, ...) second
#define SEAM_CHOOSE(...) SEAM_SECOND(__VA_ARGS__)
#define SEAM_SYS_clock_gettime x, seam_clock_gettime
#define SEAM_SYS_poll x, seam_poll
#define SEAM_SYS_epoll_wait x, seam_epoll_wait
#define SEAM_SYS_epoll_create1 x, seam_epoll_create1
#define SEAM_SYS_kqueue x, seam_kqueue
#define SEAM_SYS_kevent x, seam_kevent

#ifdef TEST_SIMULATED
#define ASYNC_SYS(call) \
    (sim_site(__func__, __LINE__, SIM_CALL_##call), SEAM_CHOOSE(SEAM_SYS_##call, sim_##call, x))
#define ASYNC_MEM(call) (sim_site(__func__, __LINE__, -1), seam_##call)
#define ASYNC_PICK(count) 0
#else
#define ASYNC_SYS(call) SEAM_CHOOSE(SEAM_SYS_##call, call, x)
#define ASYNC_MEM(call) seam_##call
#define ASYNC_PICK(count) 0
#define ASYNC_TRACE(event, task) ((void)0)
#define ASYNC_RESUME(task) ((void)0)
#endif

#define ASYNC_WARN(text) seam_warn(text)

#endif
