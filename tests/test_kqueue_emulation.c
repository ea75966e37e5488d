/*
 * The emulation of kqueue(2) under tests/kqueue/, sentence by sentence against the manual pages.
 *
 * Goal: what the kqueue section of async.h is tested on behaves like a kqueue. Method: one test per
 * sentence of kqueue(2), quoted above it, from FreeBSD 14 [F] or macOS [M]; then what the pages
 * do not say but the kernels do, then the emulation's own promises. Only pipes, socket pairs and
 * the loopback interface; a test that waits waits for an event, and never for time to pass.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define TEST_ONCE
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/event.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct timespec no_time = { 0, 0 };

static struct kevent change(int ident, int filter, int flags)
{
    struct kevent event;
    EV_SET(&event, ident, filter, flags, 0, 0, NULL);
    return event;
}

/* Apply one change. Returns 0 or its errno. */
static int apply(int kq, int ident, int filter, int flags)
{
    struct kevent event = change(ident, filter, flags);
    return kevent(kq, &event, 1, NULL, 0, NULL) == 0 ? 0 : errno;
}

static int trigger(int kq, int ident)
{
    struct kevent event;
    EV_SET(&event, ident, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
    return kevent(kq, &event, 1, NULL, 0, NULL);
}

/* The next event, after waiting for it. */
static struct kevent next(int kq)
{
    struct kevent event;
    check_equal(kevent(kq, NULL, 0, &event, 1, NULL), 1);
    return event;
}

/* How many events there are now, at most 16. */
static int pending(int kq)
{
    struct kevent events[16];
    return kevent(kq, NULL, 0, events, 16, &no_time);
}

static int is_readable(int fd)
{
    struct pollfd poller = { .fd = fd, .events = POLLIN };
    return poll(&poller, 1, 0);
}

static int new_kqueue(void)
{
    int kq = kqueue();
    check(kq >= 0);
    return kq;
}

static void make_pipe(int ends[2])
{
    check_equal(pipe2(ends, O_NONBLOCK), 0);
}

static void make_pair(int ends[2])
{
    check_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
}

static void put(int fd, const char *text)
{
    check_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void drain(int fd)
{
    char data[4096];
    while (read(fd, data, sizeof data) > 0)
        continue;
}

/* Write until the descriptor takes no more. */
static void fill(int fd)
{
    static const char data[4096];
    while (write(fd, data, sizeof data) > 0)
        continue;
    while (write(fd, data, 1) > 0)
        continue;
}

/* A file with this text, read from its beginning. */
static int new_file(const char *text)
{
    int fd = memfd_create("text", 0);
    check(fd >= 0);
    put(fd, text);
    check_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static int new_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    check(fd >= 0);
    return fd;
}

/* A TCP socket bound to a free port of the loopback interface. */
static int new_bound(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int fd = new_socket();
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check_equal(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
    check_equal(getsockname(fd, (struct sockaddr *)address, &size), 0);
    return fd;
}

static int new_client(const struct sockaddr_in *address)
{
    int fd = new_socket();
    int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    check(result == 0 || errno == EINPROGRESS);
    return fd;
}

static void wait_readable(int fd)
{
    struct pollfd poller = { .fd = fd, .events = POLLIN };
    check_equal(poll(&poller, 1, -1), 1);
}

/* A TCP connection over the loopback interface. */
static void make_connection(int ends[2])
{
    struct sockaddr_in address;
    int listener = new_bound(&address);
    check_equal(listen(listener, 1), 0);
    ends[0] = new_client(&address);
    wait_readable(listener);
    ends[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    check(ends[1] >= 0);
    close(listener);
}

static void reset(int fd)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };
    check_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(fd);
}

static long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

#define MOST_DESCRIPTORS 1024

/* Note which descriptors are open. Returns how many. */
static int list_descriptors(char is_open[MOST_DESCRIPTORS])
{
    int count = 0;
    for (int fd = 0; fd < MOST_DESCRIPTORS; fd++) {
        is_open[fd] = fcntl(fd, F_GETFD) >= 0;
        count += is_open[fd];
    }
    return count;
}

static void run_and_close(void (*body)(void))
{
    char before[MOST_DESCRIPTORS], after[MOST_DESCRIPTORS];
    list_descriptors(before);
    body();
    list_descriptors(after);
    for (int fd = 0; fd < MOST_DESCRIPTORS; fd++)
        if (after[fd] && !before[fd])
            close(fd);
}

/* A test that need not close what it opens. */
#define KQUEUE_TEST(name) \
    static void body_##name(void); \
    TEST(kqueue, name) { run_and_close(body_##name); } \
    static void body_##name(void)

/* ------------------------------------------------------------------------ the pages: general -- */

/* "A kevent is identified by the (ident, filter) pair; there may only be one unique kevent per
 * kqueue." [F] */
KQUEUE_TEST(identified_by_ident_and_filter)
{
    struct kevent events[4];
    int kq = new_kqueue(), pair[2];
    make_pair(pair);
    put(pair[1], "x");
    check_equal(apply(kq, pair[0], EVFILT_READ, EV_ADD), 0);
    check_equal(apply(kq, pair[0], EVFILT_WRITE, EV_ADD), 0);
    check_equal(apply(kq, pair[0], EVFILT_READ, EV_ADD), 0);
    check_equal(kevent(kq, NULL, 0, events, 4, &no_time), 2);
    check(events[0].filter != events[1].filter);
    check_equal(events[0].ident, (uintptr_t)pair[0]);
    check_equal(events[1].ident, (uintptr_t)pair[0]);
}

/* "The filter is executed upon the initial registration of a kevent in order to detect whether a
 * preexisting condition is present, ..." [F] */
KQUEUE_TEST(preexisting_condition_is_detected)
{
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    put(ends[1], "x");
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    check_equal(pending(kq), 1);
}

/* "... and is also executed whenever an event is passed to the filter for evaluation." [F] */
KQUEUE_TEST(later_event_is_detected)
{
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    check_equal(pending(kq), 0);
    put(ends[1], "x");
    check_equal(pending(kq), 1);
}

/* "If the filter indicates that the condition that triggered the event no longer holds, the kevent
 * is removed from the kqueue and is not returned." [F] */
KQUEUE_TEST(condition_that_is_over_is_not_returned)
{
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    put(ends[1], "x");
    check_equal(is_readable(kq), 1);
    drain(ends[0]);
    check_equal(pending(kq), 0);
}

/* "Multiple events which trigger the filter do not result in multiple kevents being placed on the
 * kqueue; instead, the filter will aggregate the events into a single struct kevent." [F] */
KQUEUE_TEST(events_are_aggregated)
{
    struct kevent events[4];
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    put(ends[1], "one");
    put(ends[1], "three");
    check_equal(kevent(kq, NULL, 0, events, 4, &no_time), 1);
    check_equal(events[0].data, 8);
}

/* "Calling close() on a file descriptor will remove any kevents that reference the descriptor." [F]
 * Deleting the event of a number that is closed, and of one that is in use again. */
KQUEUE_TEST(close_removes)
{
    int kq = new_kqueue(), first[2], second[2];
    make_pipe(first);
    make_pipe(second);
    put(second[1], "x");
    check_equal(apply(kq, first[0], EVFILT_READ, EV_ADD), 0);
    check_equal(dup2(second[0], first[0]), first[0]);
    check_equal(apply(kq, first[0], EVFILT_READ, EV_DELETE), ENOENT);
    check_equal(apply(kq, first[0], EVFILT_READ, 0), ENOENT);
    check_equal(pending(kq), 0);
    check_equal(apply(kq, first[0], EVFILT_READ, EV_ADD), 0);
    check_equal(pending(kq), 1);
    close(first[0]);
    check_equal(pending(kq), 0);
    check_equal(apply(kq, first[0], EVFILT_READ, EV_DELETE), EBADF);
    check_equal(apply(kq, first[0], EVFILT_READ, EV_ADD), EBADF);
}

/* The same sentence, with an event on its way and the file kept open by a duplicate: neither the
 * closed number nor the newcomer under it gets the event. */
KQUEUE_TEST(close_removes_pending_event)
{
    int kq = new_kqueue(), first[2], second[2];
    make_pair(first);
    make_pair(second);
    check_equal(apply(kq, first[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    check(dup(first[0]) >= 0);
    put(first[1], "x");
    close(first[0]);
    check_equal(pending(kq), 0);
    check_equal(dup2(second[0], first[0]), first[0]);
    put(first[1], "y");
    check_equal(apply(kq, first[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    put(first[1], "z");
    check_equal(pending(kq), 0);
    put(second[1], "x");
    check_equal(pending(kq), 1);
    put(first[1], "again"); /* though the newcomer has data, this is not about it */
    check_equal(pending(kq), 0);
}

/* The same sentence, for an event that is active already: here it was left behind for want of
 * room. */
KQUEUE_TEST(close_removes_active_event)
{
    int kq = new_kqueue(), first[2], second[2], gone;
    make_pair(first);
    make_pair(second);
    put(first[1], "x");
    put(second[1], "x");
    check_equal(apply(kq, first[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    check_equal(apply(kq, second[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    gone = next(kq).ident == (uintptr_t)first[0] ? second[0] : first[0];
    check(dup2(first[1], gone) >= 0);
    put(gone == first[0] ? second[0] : first[0], "x");
    check_equal(pending(kq), 0);
}

/* "Calling close() on a file descriptor will remove any kevents that reference the descriptor." [F]
 * For a regular file, of which epoll knows nothing. */
KQUEUE_TEST(close_removes_event_of_file)
{
    int kq = new_kqueue(), first = new_file("one"), second = new_file("two");
    check_equal(apply(kq, first, EVFILT_READ, EV_ADD), 0);
    check_equal(pending(kq), 1);
    check_equal(dup2(second, first), first);
    check_equal(pending(kq), 0);
    check_equal(apply(kq, first, EVFILT_READ, EV_DELETE), ENOENT);
}

static void in_child(pid_t pid, int expected)
{
    int status;
    check(pid > 0);
    check_equal(waitpid(pid, &status, 0), pid);
    check(WIFEXITED(status));
    check_equal(WEXITSTATUS(status), expected);
}

/* "The queue is not inherited by a child created with fork(2)." [F] So its number is free there,
 * the child may have a kqueue of its own, and the parent's goes on. */
KQUEUE_TEST(not_inherited_by_fork)
{
    int kq = new_kqueue(), ends[2];
    pid_t pid;
    make_pipe(ends);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    pid = fork();
    if (pid == 0) {
        int failed = pending(kq) != -1 || errno != EBADF;
        failed |= (fcntl(kq, F_GETFD) != -1) << 1;
        failed |= (kqueue() != kq) << 2;
        failed |= (apply(kq, ends[0], EVFILT_READ, EV_DELETE) != ENOENT) << 3;
        _exit(failed);
    }
    in_child(pid, 0);
    put(ends[1], "x");
    check_equal(pending(kq), 1);
}

/* The same sentence, for a fork that no handler of the C library sees. */
KQUEUE_TEST(not_inherited_by_raw_fork)
{
    int kq = new_kqueue();
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(pending(kq) != -1 || errno != EBADF);
    in_child(pid, 0);
    check_equal(pending(kq), 0);
}

/* "All changes contained in the changelist are applied before any pending events are read from the
 * queue." [F] */
KQUEUE_TEST(changes_come_before_events)
{
    struct kevent changes[3], events[4];
    int kq = new_kqueue(), first[2], second[2];
    make_pipe(first);
    make_pipe(second);
    put(first[1], "x");
    put(second[1], "x");
    check_equal(apply(kq, first[0], EVFILT_READ, EV_ADD), 0);
    changes[0] = change(first[0], EVFILT_READ, EV_DELETE);
    changes[1] = change(second[0], EVFILT_READ, EV_ADD);
    check_equal(kevent(kq, changes, 2, events, 4, NULL), 1);
    check_equal(events[0].ident, (uintptr_t)second[0]);
}

/* The same sentence: and they are applied in order. */
KQUEUE_TEST(changes_are_applied_in_order)
{
    struct kevent changes[3], events[4];
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    changes[0] = change(ends[0], EVFILT_READ, EV_ADD | EV_RECEIPT);
    changes[1] = change(ends[0], EVFILT_READ, EV_DELETE | EV_RECEIPT);
    changes[2] = change(ends[0], EVFILT_READ, EV_DELETE | EV_RECEIPT);
    check_equal(kevent(kq, changes, 3, events, 4, NULL), 3);
    check_equal(events[0].data, 0);
    check_equal(events[1].data, 0);
    check_equal(events[2].data, ENOENT);
}

/* "When nevents is zero, kevent() will return immediately even if there is a timeout specified
 * unlike select(2)." [F] */
KQUEUE_TEST(no_room_returns_immediately)
{
    struct timespec year = { .tv_sec = 365 * 86400 };
    int kq = new_kqueue();
    check_equal(kevent(kq, NULL, 0, NULL, 0, &year), 0);
    check_equal(kevent(kq, NULL, 0, NULL, 0, NULL), 0);
}

/* "If timeout is a non-NULL pointer, it specifies a maximum interval to wait for an event, ..." [F]
 * "If the time limit expires, then kevent() returns 0." [F] Not before: that much is certain on a
 * machine of any speed. */
KQUEUE_TEST(time_limit)
{
    struct timespec limits[] = { { 0, 1 }, { 0, 900000 }, { 0, 1234567 } };
    struct kevent event;
    int kq = new_kqueue();
    for (size_t i = 0; i < 3; i++) {
        long long start_ns = now_ns();
        check_equal(kevent(kq, NULL, 0, &event, 1, &limits[i]), 0);
        check(now_ns() - start_ns >= limits[i].tv_nsec);
    }
}

/* The same sentence: an event ends the wait. */
KQUEUE_TEST(time_limit_is_a_maximum)
{
    struct timespec year = { .tv_sec = 365 * 86400 };
    struct kevent event;
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD), 0);
    put(ends[1], "x");
    check_equal(kevent(kq, NULL, 0, &event, 1, &year), 1);
}

static void *trigger_from_thread(void *kq)
{
    return trigger(*(int *)kq, 7) == 0 ? kq : NULL;
}

/* "If timeout is a NULL pointer, kevent() waits indefinitely." [F] Until, here, another thread
 * triggers a user event. */
KQUEUE_TEST(waits_for_another_thread)
{
    int kq = new_kqueue();
    pthread_t thread;
    void *result;
    check_equal(apply(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR), 0);
    check_equal(pthread_create(&thread, NULL, trigger_from_thread, &kq), 0);
    check_equal(next(kq).ident, 7);
    check_equal(pthread_join(thread, &result), 0);
    check(result == &kq);
}

/* "To effect a poll, the timeout argument should be non-NULL, pointing to a zero-valued timespec
 * structure." [F] */
KQUEUE_TEST(poll)
{
    struct kevent event;
    check_equal(kevent(new_kqueue(), NULL, 0, &event, 1, &no_time), 0);
}

/* "The same array may be used for the changelist and eventlist." [F] */
KQUEUE_TEST(one_array_for_both_lists)
{
    struct kevent events[3];
    int kq = new_kqueue(), first[2], second[2];
    make_pipe(first);
    make_pipe(second);
    events[0] = change(first[0], EVFILT_READ, EV_ADD);
    events[1] = change(-1, EVFILT_READ, EV_ADD);
    events[2] = change(second[0], EVFILT_READ, EV_ADD);
    check_equal(kevent(kq, events, 3, events, 3, NULL), 1);
    check_equal(events[0].ident, (uintptr_t)-1);
    check_equal(events[0].data, EBADF);
    put(first[1], "x");
    put(second[1], "x");
    check_equal(pending(kq), 2);
}

/* "udata: Opaque user-defined value passed through the kernel unchanged." [F] */
KQUEUE_TEST(udata_is_passed_through)
{
    struct kevent event;
    int kq = new_kqueue(), ends[2], user;
    make_pipe(ends);
    put(ends[1], "x");
    EV_SET(&event, ends[0], EVFILT_READ, EV_ADD, 0, 0, &user);
    check_equal(kevent(kq, &event, 1, NULL, 0, NULL), 0);
    check(next(kq).udata == &user);
}

/* -------------------------------------------------------------------------- the pages: flags -- */

/* "Re-adding an existing event will modify the parameters of the original event, and not result in
 * a duplicate entry." [F] */
KQUEUE_TEST(adding_again_modifies)
{
    struct kevent event;
    int kq = new_kqueue(), ends[2], user;
    make_pipe(ends);
    put(ends[1], "x");
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD), 0);
    EV_SET(&event, ends[0], EVFILT_READ, EV_ADD, 0, 0, &user);
    check_equal(kevent(kq, &event, 1, NULL, 0, NULL), 0);
    check_equal(pending(kq), 1);
    check(next(kq).udata == &user);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_DELETE), 0);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_DELETE), ENOENT);
}

/* "EV_DELETE: Removes the event from the kqueue." [F] Even one that is active. */
KQUEUE_TEST(delete)
{
    int kq = new_kqueue(), pair[2];
    make_pair(pair);
    check_equal(apply(kq, pair[0], EVFILT_READ, EV_ADD), 0);
    check_equal(apply(kq, pair[0], EVFILT_WRITE, EV_ADD), 0);
    put(pair[1], "x");
    check_equal(pending(kq), 2);
    check_equal(apply(kq, pair[0], EVFILT_WRITE, EV_DELETE), 0);
    check_equal(next(kq).filter, EVFILT_READ);
    check_equal(pending(kq), 1);
    check_equal(apply(kq, pair[0], EVFILT_READ, EV_DELETE), 0);
    check_equal(is_readable(kq), 0);
    check_equal(pending(kq), 0);
}

/* "EV_RECEIPT: This flag is useful for making bulk changes to a kqueue without draining any pending
 * events." [F] */
KQUEUE_TEST(receipt_drains_nothing)
{
    struct kevent changes[2], events[8];
    int kq = new_kqueue(), pair[2];
    make_pair(pair);
    put(pair[1], "x");
    changes[0] = change(pair[0], EVFILT_READ, EV_ADD | EV_CLEAR | EV_RECEIPT);
    changes[1] = change(pair[0], EVFILT_WRITE, EV_ADD | EV_CLEAR | EV_RECEIPT);
    check_equal(kevent(kq, changes, 2, events, 8, NULL), 2);
    check(events[0].flags & EV_ERROR);
    check(events[1].flags & EV_ERROR);
    check_equal(pending(kq), 2);
}

/* "When passed as input, it forces EV_ERROR to always be returned. When a filter is successfully
 * added the data field will be zero." [F] */
KQUEUE_TEST(receipt_says_how_it_went)
{
    struct kevent changes[2], events[2];
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    changes[0] = change(ends[0], EVFILT_READ, EV_ADD | EV_RECEIPT);
    changes[1] = change(-1, EVFILT_READ, EV_ADD | EV_RECEIPT);
    check_equal(kevent(kq, changes, 2, events, 2, NULL), 2);
    check(events[0].flags & EV_ERROR);
    check_equal(events[0].ident, (uintptr_t)ends[0]);
    check_equal(events[0].data, 0);
    check(events[1].flags & EV_ERROR);
    check_equal(events[1].data, EBADF);
}

/* "Note that if this flag is encountered and there is no remaining space in eventlist to hold the
 * EV_ERROR event, then subsequent changes will not get processed." [F] */
KQUEUE_TEST(receipt_without_room)
{
    struct kevent changes[3], event;
    int kq = new_kqueue(), pair[2];
    make_pair(pair);
    changes[0] = change(pair[0], EVFILT_READ, EV_ADD | EV_RECEIPT);
    changes[1] = change(pair[0], EVFILT_WRITE, EV_ADD | EV_RECEIPT);
    changes[2] = change(pair[1], EVFILT_READ, EV_ADD);
    check_equal(kevent(kq, changes, 3, &event, 1, NULL), 1);
    check_equal(apply(kq, pair[0], EVFILT_WRITE, EV_DELETE), 0);
    check_equal(apply(kq, pair[1], EVFILT_READ, EV_DELETE), ENOENT);
}

/* "EV_CLEAR: After the event is retrieved by the user, its state is reset." [F] What was left
 * unread makes no event, what comes does. */
KQUEUE_TEST(clear)
{
    int kq = new_kqueue(), ends[2];
    char byte;
    make_pipe(ends);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    put(ends[1], "abc");
    check_equal(pending(kq), 1);
    check_equal(read(ends[0], &byte, 1), 1);
    check_equal(pending(kq), 0);
    put(ends[1], "d");
    check_equal(next(kq).data, 3);
    check_equal(pending(kq), 0);
}

/* Without EV_CLEAR an event is returned for as long as its condition holds. */
KQUEUE_TEST(no_clear)
{
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD), 0);
    put(ends[1], "x");
    check_equal(pending(kq), 1);
    check_equal(pending(kq), 1);
    drain(ends[0]);
    check_equal(pending(kq), 0);
    put(ends[1], "x");
    check_equal(pending(kq), 1);
}

/* ------------------------------------------------------------------------ the pages: filters -- */

/* "Sockets which have previously been passed to listen() return when there is an incoming
 * connection pending. data contains the size of the listen backlog." [F] */
KQUEUE_TEST(listening_socket)
{
    struct sockaddr_in address;
    int kq = new_kqueue(), listener = new_bound(&address);
    check_equal(listen(listener, 8), 0);
    check_equal(apply(kq, listener, EVFILT_READ, EV_ADD), 0);
    check_equal(apply(kq, listener, EVFILT_WRITE, EV_ADD), 0);
    check_equal(pending(kq), 0);
    new_client(&address);
    check_equal(next(kq).data, 1);
    new_client(&address);
    while (next(kq).data < 2)
        continue;
    check_equal(next(kq).data, 2);
    check_equal(next(kq).filter, EVFILT_READ);
    while (accept4(listener, NULL, NULL, SOCK_NONBLOCK) >= 0)
        continue;
    check_equal(pending(kq), 0);
}

/* The same sentence, for a socket that is passed to listen(2) after it was registered. */
KQUEUE_TEST(socket_that_listens_later)
{
    struct sockaddr_in address;
    int kq = new_kqueue(), listener = new_bound(&address);
    check_equal(apply(kq, listener, EVFILT_READ, EV_ADD), 0);
    check_equal(listen(listener, 8), 0);
    check_equal(pending(kq), 0);
    new_client(&address);
    new_client(&address);
    while (next(kq).data < 2)
        continue;
}

/* "Other socket descriptors return when there is data to be read, ... On return, data contains the
 * number of bytes of protocol data available to read." [F] */
KQUEUE_TEST(socket_with_data)
{
    int kq = new_kqueue(), ends[2];
    struct kevent event;
    make_connection(ends);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD), 0);
    check_equal(pending(kq), 0);
    put(ends[1], "hello");
    event = next(kq);
    check_equal(event.data, 5);
    check_equal(event.flags & EV_EOF, 0);
    check_equal(event.fflags, 0);
}

/* "If the read direction of the socket has shutdown, then the filter also sets EV_EOF in flags,
 * ..." [F] */
KQUEUE_TEST(end_of_stream)
{
    int kq = new_kqueue(), ends[2];
    struct kevent event;
    make_connection(ends);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    check_equal(shutdown(ends[1], SHUT_WR), 0);
    event = next(kq);
    check(event.flags & EV_EOF);
    check_equal(event.fflags, 0);
    check_equal(event.data, 0);
}

/* "... and returns the socket error (if any) in fflags." [F] A reset; and the read still says so
 * itself. */
KQUEUE_TEST(reset_connection)
{
    int kq = new_kqueue(), ends[2];
    struct kevent event;
    char byte;
    make_connection(ends);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    reset(ends[1]);
    event = next(kq);
    check(event.flags & EV_EOF);
    check_equal(event.fflags, ECONNRESET);
    check_equal(read(ends[0], &byte, 1), -1);
    check_equal(errno, ECONNRESET);
}

/* "For sockets, the low water mark and socket error handling is identical to the EVFILT_READ
 * case." [F] A refused connection; and SO_ERROR still says so itself. */
KQUEUE_TEST(refused_connection)
{
    struct sockaddr_in address;
    struct kevent event;
    int kq = new_kqueue(), fd = new_socket(), error = 0;
    socklen_t size = sizeof error;
    new_bound(&address);
    connect(fd, (struct sockaddr *)&address, sizeof address);
    if (errno == ECONNREFUSED) /* at once: so there is no error left */
        connect(fd, (struct sockaddr *)&address, sizeof address);
    check_equal(apply(kq, fd, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    event = next(kq);
    check(event.flags & EV_EOF);
    check_equal(event.fflags, ECONNREFUSED);
    check_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
    check_equal(error, ECONNREFUSED);
}

/* "It is possible for EOF to be returned (indicating the connection is gone) while there is still
 * data pending in the socket buffer." [F] */
KQUEUE_TEST(end_of_stream_behind_data)
{
    int kq = new_kqueue(), pair[2];
    struct kevent event;
    make_pair(pair);
    put(pair[1], "last");
    close(pair[1]);
    check_equal(apply(kq, pair[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    event = next(kq);
    check(event.flags & EV_EOF);
    check_equal(event.data, 4);
    check_equal(pending(kq), 0);
}

/* "Vnodes: Returns when the file pointer is not at the end of file. data contains the offset from
 * current position to end of file, and may be negative." [F] */
KQUEUE_TEST(regular_file)
{
    int kq = new_kqueue(), file = new_file("0123456789");
    check_equal(apply(kq, file, EVFILT_READ, EV_ADD), 0);
    check_equal(next(kq).data, 10);
    check_equal(lseek(file, 3, SEEK_SET), 3);
    check_equal(next(kq).data, 7);
    check_equal(is_readable(kq), 1);
    check_equal(lseek(file, 20, SEEK_SET), 20);
    check_equal(next(kq).data, -10);
    check_equal(lseek(file, 0, SEEK_END), 10);
    check_equal(pending(kq), 0);
    check_equal(is_readable(kq), 0);
    check_equal(apply(kq, file, EVFILT_READ, EV_DELETE), 0);
    check_equal(apply(kq, file, EVFILT_READ, EV_DELETE), ENOENT);
}

/* The same sentence, after the end of file was reached: then only growth makes an event. */
KQUEUE_TEST(regular_file_that_grows)
{
    int kq = new_kqueue(), file = new_file("0123456789");
    check_equal(apply(kq, file, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    check_equal(pending(kq), 1);
    check_equal(pending(kq), 0);
    check_equal(pwrite(file, "more", 4, 10), 4);
    check_equal(next(kq).data, 14);
    check_equal(pending(kq), 0);
}

/* "Fifos, Pipes: Returns when there is data to read; data contains the number of bytes
 * available." [M] */
KQUEUE_TEST(pipe_with_data)
{
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD), 0);
    check_equal(pending(kq), 0);
    put(ends[1], "123");
    check_equal(next(kq).data, 3);
}

/* "When the last writer disconnects, the filter will set EV_EOF in flags." [F] */
KQUEUE_TEST(last_writer_disconnects)
{
    int kq = new_kqueue(), ends[2], other;
    make_pipe(ends);
    other = dup(ends[1]);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    close(other);
    check_equal(pending(kq), 0);
    close(ends[1]);
    check(next(kq).flags & EV_EOF);
}

/* "Device nodes: ... If the device does not support returning number of bytes, it will not allow
 * the filter to be attached." [M] */
KQUEUE_TEST(device_that_cannot_be_waited_for)
{
    int kq = new_kqueue(), device = open("/dev/null", O_RDWR);
    check(device >= 0);
    check_equal(apply(kq, device, EVFILT_READ, EV_ADD), EINVAL);
    check_equal(apply(kq, device, EVFILT_READ, EV_DELETE), ENOENT);
}

/* "EVFILT_WRITE: Takes a descriptor as the identifier, and returns whenever it is possible to write
 * to the descriptor." [F] */
KQUEUE_TEST(possible_to_write)
{
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    check_equal(apply(kq, ends[1], EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    check_equal(pending(kq), 1);
    fill(ends[1]);
    check_equal(pending(kq), 0);
    drain(ends[0]);
    check_equal(next(kq).filter, EVFILT_WRITE);
}

/* The same sentence: not if the room is used up before the event is fetched. */
KQUEUE_TEST(possible_to_write_no_longer)
{
    int kq = new_kqueue(), first[2], second[2];
    make_pipe(first);
    make_pipe(second);
    check_equal(apply(kq, first[1], EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    check_equal(apply(kq, second[1], EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    fill(next(kq).ident == (uintptr_t)first[1] ? second[1] : first[1]);
    check_equal(pending(kq), 0);
}

/* "For sockets, pipes and fifos, data will contain the amount of space remaining in the write
 * buffer." [F] */
KQUEUE_TEST(space_in_write_buffer)
{
    int kq = new_kqueue(), pair[2], ends[2];
    intptr_t room;
    make_pipe(ends);
    check_equal(apply(kq, ends[1], EVFILT_WRITE, EV_ADD), 0);
    room = next(kq).data;
    check_equal(room, fcntl(ends[1], F_GETPIPE_SZ));
    put(ends[1], "12345");
    check_equal(next(kq).data, room - 5);
    check_equal(apply(kq, ends[1], EVFILT_WRITE, EV_DELETE), 0);
    make_pair(pair);
    check_equal(apply(kq, pair[1], EVFILT_WRITE, EV_ADD), 0);
    room = next(kq).data;
    check(room > 0);
    put(pair[1], "12345");
    check(next(kq).data < room);
}

/* "The filter will set EV_EOF when the reader disconnects, ..." [F] */
KQUEUE_TEST(reader_disconnects)
{
    int kq = new_kqueue(), pair[2], ends[2];
    make_pipe(ends);
    fill(ends[1]);
    check_equal(apply(kq, ends[1], EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    check_equal(pending(kq), 0);
    close(ends[0]);
    check(next(kq).flags & EV_EOF);
    make_pair(pair);
    check_equal(apply(kq, pair[1], EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    check_equal(next(kq).flags & EV_EOF, 0);
    close(pair[0]);
    check(next(kq).flags & EV_EOF);
}

/* "Note that this filter is not supported for vnodes or BPF devices." [F] */
KQUEUE_TEST(write_filter_refuses_files)
{
    int kq = new_kqueue(), file = new_file("");
    check_equal(apply(kq, file, EVFILT_WRITE, EV_ADD), EINVAL);
    check_equal(apply(kq, file, EVFILT_READ, EV_DELETE), ENOENT);
}

/* "EVFILT_USER: Establishes a user event identified by ident which is not associated with any
 * kernel mechanism but is triggered by user level code." [F] */
KQUEUE_TEST(user_event)
{
    struct kevent event;
    int kq = new_kqueue(), user;
    EV_SET(&event, 1000000, EVFILT_USER, EV_ADD, 0, 0, NULL);
    check_equal(kevent(kq, &event, 1, NULL, 0, NULL), 0);
    check_equal(apply(kq, 3, EVFILT_USER, EV_ADD), 0);
    check_equal(pending(kq), 0);
    EV_SET(&event, 1000000, EVFILT_USER, 0, NOTE_TRIGGER, 5, &user);
    check_equal(kevent(kq, &event, 1, NULL, 0, NULL), 0);
    check_equal(pending(kq), 1);
    event = next(kq);
    check_equal(event.ident, 1000000);
    check_equal(event.filter, EVFILT_USER);
    check_equal(event.fflags, 0);
    check_equal(event.data, 5);
    check(event.udata == &user);
    check_equal(apply(kq, 1000000, EVFILT_USER, EV_DELETE), 0);
    check_equal(apply(kq, 1000000, EVFILT_USER, EV_DELETE), ENOENT);
    check_equal(pending(kq), 0);
    check_equal(apply(kq, 3, EVFILT_USER, EV_DELETE), 0);
}

/* "NOTE_TRIGGER: Cause the event to be triggered." [F] With EV_CLEAR, any number of triggers until
 * it is fetched make one event; and it may come with EV_ADD. */
KQUEUE_TEST(user_event_with_clear)
{
    struct kevent event;
    int kq = new_kqueue();
    EV_SET(&event, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, NULL);
    check_equal(kevent(kq, &event, 1, NULL, 0, NULL), 0);
    check_equal(next(kq).fflags, 0);
    check_equal(pending(kq), 0);
    check_equal(trigger(kq, 1), 0);
    check_equal(trigger(kq, 1), 0);
    check_equal(pending(kq), 1);
    check_equal(pending(kq), 0);
}

/* ---------------------------------------------------------- the pages: return values, errors -- */

/* "The kevent() system call returns the number of events placed in the eventlist, up to the value
 * given by nevents." [F] The rest waits, and comes before any that was returned already. */
KQUEUE_TEST(eventlist_too_small)
{
    int kq = new_kqueue(), ends[5][2], seen = 0;
    for (int i = 0; i < 5; i++) {
        make_pipe(ends[i]);
        put(ends[i][1], "x");
        check_equal(apply(kq, ends[i][0], EVFILT_READ, EV_ADD), 0);
    }
    for (int i = 0; i < 5; i++) {
        uintptr_t ident = next(kq).ident;
        for (int j = 0; j < 5; j++)
            seen |= (ident == (uintptr_t)ends[j][0]) << j;
    }
    check_equal(seen, 31);
}

/* "If an error occurs while processing an element of the changelist and there is enough room in the
 * eventlist, then the event will be placed in the eventlist with EV_ERROR set in flags and the
 * system error in data." [F] */
KQUEUE_TEST(error_with_room)
{
    struct kevent changes[2], events[2];
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    put(ends[1], "x");
    changes[0] = change(-1, EVFILT_READ, EV_ADD);
    changes[1] = change(ends[0], EVFILT_READ, EV_ADD);
    check_equal(kevent(kq, changes, 2, events, 2, NULL), 1);
    check(events[0].flags & EV_ERROR);
    check_equal(events[0].data, EBADF);
    check_equal(pending(kq), 1);
}

/* "Otherwise, -1 will be returned, and errno will be set to indicate the error condition." [F] */
KQUEUE_TEST(error_without_room)
{
    struct kevent changes[3], event;
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    changes[0] = change(-1, EVFILT_READ, EV_ADD);
    changes[1] = change(ends[0], EVFILT_READ, EV_DELETE);
    changes[2] = change(ends[0], EVFILT_READ, EV_ADD);
    check_equal(kevent(kq, changes, 3, &event, 1, NULL), -1);
    check_equal(errno, ENOENT);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_DELETE), ENOENT);
}

/* "The kqueue() system call fails if: EMFILE The per-process descriptor table is full." [F] */
KQUEUE_TEST(emfile)
{
    struct rlimit limit;
    int fd = dup(0);
    check(fd >= 0);
    check_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)fd + 1;
    check_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    check_equal(kqueue(), -1);
    check_equal(errno, EMFILE);
    close(fd);
    check_equal(kqueue(), fd);
    limit.rlim_cur = limit.rlim_max;
    check_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* "EBADF The specified descriptor is invalid." [F] The kqueue's: never opened, not a kqueue,
 * closed, and closed and used again. */
KQUEUE_TEST(ebadf)
{
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    check_equal(pending(-1), -1);
    check_equal(errno, EBADF);
    check_equal(pending(ends[0]), -1);
    check_equal(errno, EBADF);
    close(kq);
    check_equal(pending(kq), -1);
    check_equal(errno, EBADF);
    kq = new_kqueue();
    check_equal(dup2(ends[0], kq), kq);
    check_equal(pending(kq), -1);
    check_equal(errno, EBADF);
}

static void ignore_signal(int number)
{
    (void)number;
}

/* "EINTR A signal was delivered before the timeout expired and before any events were placed on the
 * kqueue for return." [F]
 * "When kevent() call fails with EINTR error, all changes in the changelist have been applied." [F]
 * The signal comes again and again, lest the only one came before the wait. */
KQUEUE_TEST(eintr)
{
    struct sigaction action = { .sa_handler = ignore_signal, .sa_flags = SA_RESTART };
    struct sigevent signal = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    struct itimerspec often = { { 0, 1000000 }, { 0, 1000000 } };
    struct kevent event;
    int kq = new_kqueue(), ends[2];
    timer_t timer;
    make_pipe(ends);
    check_equal(sigaction(SIGUSR1, &action, NULL), 0);
    check_equal(timer_create(CLOCK_MONOTONIC, &signal, &timer), 0);
    check_equal(timer_settime(timer, 0, &often, NULL), 0);
    event = change(ends[0], EVFILT_READ, EV_ADD);
    check_equal(kevent(kq, &event, 1, &event, 1, NULL), -1);
    check_equal(errno, EINTR);
    check_equal(timer_delete(timer), 0);
    check_equal(apply(kq, ends[0], EVFILT_READ, EV_DELETE), 0);
}

static int error_of_timeout(long long seconds, long nanoseconds)
{
    struct timespec limit = { .tv_sec = (time_t)seconds, .tv_nsec = nanoseconds };
    struct kevent event;
    int kq = new_kqueue(), result;
    check_equal(trigger(kq, 1), -1);
    EV_SET(&event, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, NULL);
    result = kevent(kq, &event, 1, &event, 1, &limit);
    check_equal(result, result < 0 ? -1 : 1);
    return result < 0 ? errno : 0;
}

/* "EINVAL The specified time limit or filter is invalid." [F] As strict as macOS is. */
KQUEUE_TEST(einval)
{
    check_equal(error_of_timeout(-1, 0), EINVAL);
    check_equal(error_of_timeout(0, -1), EINVAL);
    check_equal(error_of_timeout(0, 1000000000), EINVAL);
    check_equal(error_of_timeout(100000001, 0), EINVAL);
    check_equal(error_of_timeout(100000000, 999999999), 0);
    check_equal(error_of_timeout(0, 0), 0);
    check_equal(apply(new_kqueue(), 0, 0, EV_ADD), EINVAL);
    check_equal(apply(new_kqueue(), 0, 99, EV_ADD), EINVAL);
    check_equal(apply(new_kqueue(), 0, -99, EV_ADD), EINVAL);
}

/* "ENOENT The event could not be found to be modified or deleted." [F] */
KQUEUE_TEST(enoent)
{
    int kq = new_kqueue(), pair[2];
    make_pair(pair);
    check_equal(apply(kq, pair[0], EVFILT_READ, EV_DELETE), ENOENT);
    check_equal(apply(kq, pair[0], EVFILT_READ, 0), ENOENT);
    check_equal(apply(kq, pair[0], EVFILT_READ, EV_ADD), 0);
    check_equal(apply(kq, pair[0], EVFILT_WRITE, EV_DELETE), ENOENT);
    check_equal(trigger(kq, 1), -1);
    check_equal(errno, ENOENT);
}

/* --------------------------------------------------- what the pages leave out and kernels do -- */

/* A kqueue's descriptor polls readable while an event is pending, whatever its kind. */
KQUEUE_TEST(descriptor_can_be_polled)
{
    struct kevent event;
    int kq = new_kqueue(), first[2], second[2];
    make_pipe(first);
    make_pipe(second);
    check_equal(is_readable(kq), 0);
    check_equal(apply(kq, first[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    check_equal(apply(kq, second[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    check_equal(apply(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR), 0);
    check_equal(is_readable(kq), 0);
    put(first[1], "x");
    put(second[1], "x");
    check_equal(is_readable(kq), 1);
    check_equal(kevent(kq, NULL, 0, &event, 1, &no_time), 1);
    check_equal(is_readable(kq), 1);
    check_equal(kevent(kq, NULL, 0, &event, 1, &no_time), 1);
    check_equal(is_readable(kq), 0);
    check_equal(trigger(kq, 1), 0);
    check_equal(is_readable(kq), 1);
    check_equal(pending(kq), 1);
    check_equal(is_readable(kq), 0);
}

/* So one kqueue can watch another. */
KQUEUE_TEST(nested)
{
    int outer = new_kqueue(), inner = new_kqueue();
    check_equal(apply(outer, inner, EVFILT_READ, EV_ADD), 0);
    check_equal(apply(inner, 1, EVFILT_USER, EV_ADD | EV_CLEAR), 0);
    check_equal(pending(outer), 0);
    check_equal(trigger(inner, 1), 0);
    check_equal(next(outer).ident, (uintptr_t)inner);
    check_equal(pending(inner), 1);
    check_equal(pending(outer), 0);
}

/* The end of a kqueue gives back all it has taken; the next one under its number starts empty. */
KQUEUE_TEST(close_ends_it)
{
    int kq = new_kqueue(), ends[2], before;
    char is_open[MOST_DESCRIPTORS];
    make_pipe(ends);
    close(kq);
    before = list_descriptors(is_open);
    for (int i = 0; i < 100; i++) {
        check_equal(kqueue(), kq);
        check_equal(apply(kq, ends[0], EVFILT_READ, EV_DELETE), ENOENT);
        check_equal(trigger(kq, 1), -1);
        check_equal(apply(kq, ends[0], EVFILT_READ, EV_ADD), 0);
        check_equal(apply(kq, 1, EVFILT_USER, EV_ADD), 0);
        close(kq);
    }
    check_equal(list_descriptors(is_open), before);
}

/* Like a BSD's, the descriptor is not close-on-exec by itself. */
KQUEUE_TEST(no_close_on_exec)
{
    check_equal(fcntl(new_kqueue(), F_GETFD), 0);
}

/* The flags going out only are ignored going in, so an array of events can be handed back. */
KQUEUE_TEST(output_flags_are_ignored_as_input)
{
    int ends[2];
    make_pipe(ends);
    check_equal(apply(new_kqueue(), ends[0], EVFILT_READ, EV_ADD | EV_EOF | EV_ERROR), 0);
}

/* After the own shutdown(SHUT_WR), EVFILT_WRITE says EV_EOF as well. */
KQUEUE_TEST(own_shutdown)
{
    int kq = new_kqueue(), pair[2], ends[2];
    make_pair(pair);
    make_connection(ends);
    check_equal(apply(kq, pair[0], EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    check_equal(next(kq).flags & EV_EOF, 0);
    check_equal(shutdown(pair[0], SHUT_WR), 0);
    check(next(kq).flags & EV_EOF);
    check_equal(apply(kq, ends[0], EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    check_equal(next(kq).flags & EV_EOF, 0);
    check_equal(shutdown(ends[0], SHUT_WR), 0);
    check(next(kq).flags & EV_EOF);
}

/* But not after the peer's: that side can still be written to. */
KQUEUE_TEST(half_closed_connection_can_be_written)
{
    int kq = new_kqueue(), ends[2];
    make_connection(ends);
    check_equal(shutdown(ends[1], SHUT_WR), 0);
    wait_readable(ends[0]);
    check_equal(apply(kq, ends[0], EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    check_equal(next(kq).flags & EV_EOF, 0);
}

/* A socket that is not connected yet makes no event; Linux alone would say that it is hung up. */
KQUEUE_TEST(unconnected_socket_is_silent)
{
    int kq = new_kqueue(), tcp = new_socket(), local = socket(AF_UNIX, SOCK_STREAM, 0);
    check_equal(apply(kq, tcp, EVFILT_READ, EV_ADD), 0);
    check_equal(apply(kq, tcp, EVFILT_WRITE, EV_ADD), 0);
    check_equal(apply(kq, local, EVFILT_READ, EV_ADD), 0);
    check_equal(apply(kq, local, EVFILT_WRITE, EV_ADD), 0);
    check_equal(pending(kq), 0);
}

/* A connection that is made makes the socket writable, even if it was registered before. */
KQUEUE_TEST(connection_made)
{
    struct sockaddr_in address;
    int kq = new_kqueue(), fd = new_socket(), listener = new_bound(&address);
    check_equal(listen(listener, 1), 0);
    check_equal(apply(kq, fd, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    check_equal(pending(kq), 0);
    connect(fd, (struct sockaddr *)&address, sizeof address);
    check_equal(next(kq).flags & EV_EOF, 0);
}

/* shutdown(2) of a listening socket ends the wait for connections. */
KQUEUE_TEST(listener_shut_down)
{
    struct sockaddr_in address;
    int kq = new_kqueue(), listener = new_bound(&address);
    check_equal(listen(listener, 1), 0);
    check_equal(apply(kq, listener, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    check_equal(pending(kq), 0);
    check_equal(shutdown(listener, SHUT_RDWR), 0);
    check(next(kq).flags & EV_EOF);
}

/* The write filter refuses a pipe whose reader has left, with EPIPE. */
KQUEUE_TEST(pipe_without_reader)
{
    int kq = new_kqueue(), ends[2];
    make_pipe(ends);
    close(ends[0]);
    check_equal(apply(kq, ends[1], EVFILT_WRITE, EV_ADD), EPIPE);
    check_equal(apply(kq, ends[1], EVFILT_WRITE, EV_DELETE), ENOENT);
}

/* An error of a datagram socket makes an event, but not an end of file. */
KQUEUE_TEST(datagram_socket_with_error)
{
    struct sockaddr_in address;
    struct kevent event;
    int kq = new_kqueue(), fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    new_bound(&address); /* a TCP port: as a UDP port it is closed */
    check_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    check_equal(apply(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    check_equal(pending(kq), 0);
    check_equal(send(fd, "x", 1, 0), 1);
    event = next(kq);
    check_equal(event.flags & EV_EOF, 0);
    check_equal(recv(fd, &event, 1, 0), -1);
    check_equal(errno, ECONNREFUSED);
}

/* Many descriptors at once, more than the emulation takes from epoll in one go. */
KQUEUE_TEST(two_hundred_descriptors)
{
    struct kevent events[256];
    int kq = new_kqueue(), ends[200][2];
    for (int i = 0; i < 200; i++) {
        make_pipe(ends[i]);
        check_equal(apply(kq, ends[i][0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
        put(ends[i][1], "x");
    }
    check_equal(kevent(kq, NULL, 0, events, 256, NULL), 200);
    check_equal(pending(kq), 0);
}

struct producer {
    int kq;
    atomic_int done;
};

static void *produce(void *data)
{
    struct producer *producer = data;
    for (int i = 0; i < 1000; i++) {
        atomic_fetch_add(&producer->done, 1);
        trigger(producer->kq, 1);
    }
    return NULL;
}

/* Four threads trigger one user event: whatever was done before a trigger is seen after a wake. */
KQUEUE_TEST(no_trigger_is_lost)
{
    struct producer producer = { .kq = new_kqueue() };
    pthread_t threads[4];
    check_equal(apply(producer.kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR), 0);
    for (int i = 0; i < 4; i++)
        check_equal(pthread_create(&threads[i], NULL, produce, &producer), 0);
    while (atomic_load(&producer.done) < 4000)
        check_equal(next(producer.kq).ident, 1);
    for (int i = 0; i < 4; i++)
        check_equal(pthread_join(threads[i], NULL), 0);
}

/* -------------------------------------------------------- what is not implemented must abort -- */

/* Let abort() of a child end just that child, without a report or a core file. */
static void die_quietly(void)
{
    struct rlimit no_core = { 0, 0 };
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL);
}

/* In a child, call kevent() with this change. It must say so and abort. */
static void check_aborts(int ident, int filter, int flags, unsigned fflags)
{
    char text[256] = "";
    int ends[2], status;
    pid_t pid;
    check_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        struct kevent event;
        int kq = kqueue();
        die_quietly();
        dup2(ends[1], STDERR_FILENO);
        EV_SET(&event, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, NULL);
        if (kevent(kq, &event, 1, NULL, 0, NULL) != 0)
            _exit(1);
        EV_SET(&event, ident, filter, flags, fflags, 0, NULL);
        kevent(kq, &event, 1, NULL, 0, NULL);
        _exit(0);
    }
    check(pid > 0);
    close(ends[1]);
    check(read(ends[0], text, sizeof text - 1) >= 0);
    close(ends[0]);
    check_equal(waitpid(pid, &status, 0), pid);
    check(WIFSIGNALED(status));
    check_equal(WTERMSIG(status), SIGABRT);
    check(strstr(text, "is not implemented") != NULL);
}

KQUEUE_TEST(unknown_filters_abort)
{
    int filters[] = { EVFILT_AIO, EVFILT_VNODE, EVFILT_PROC, EVFILT_SIGNAL, EVFILT_TIMER,
                      EVFILT_MACHPORT, EVFILT_FS, EVFILT_VM, EVFILT_EXCEPT };
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        check_aborts(0, filters[i], EV_ADD, 0);
}

KQUEUE_TEST(unknown_flags_abort)
{
    check_aborts(0, EVFILT_READ, EV_ADD | EV_ONESHOT, 0);
    check_aborts(0, EVFILT_READ, EV_ADD | EV_DISPATCH, 0);
    check_aborts(0, EVFILT_READ, EV_ENABLE, 0);
    check_aborts(0, EVFILT_READ, EV_DISABLE, 0);
    check_aborts(0, EVFILT_READ, EV_ADD | EV_DELETE, 0);
    check_aborts(0, EVFILT_READ, EV_ADD | 0x0100, 0);
}

KQUEUE_TEST(unknown_fflags_abort)
{
    check_aborts(0, EVFILT_READ, EV_ADD, NOTE_LOWAT);
    check_aborts(0, EVFILT_WRITE, EV_ADD, NOTE_TRIGGER);
    check_aborts(1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_FFOR | 1);
}

/* The systems differ in what these do: FreeBSD and NetBSD forget the trigger, macOS does not; and
 * nowhere does EV_CLEAR change after the first EV_ADD. */
KQUEUE_TEST(unportable_changes_abort)
{
    check_aborts(1, EVFILT_USER, EV_CLEAR, NOTE_TRIGGER);
    check_aborts(1, EVFILT_USER, EV_ADD, 0);
}

/* A kqueue under a second number would work elsewhere. */
KQUEUE_TEST(duplicate_aborts)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        die_quietly();
        close(STDERR_FILENO);
        pending(dup(kqueue()));
        _exit(0);
    }
    check_equal(waitpid(pid, &status, 0), pid);
    check(WIFSIGNALED(status));
    check_equal(WTERMSIG(status), SIGABRT);
}
