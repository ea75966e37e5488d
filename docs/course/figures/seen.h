/* seen.h: beneath async.h, records each system call of any program, unchanged, in a lane of its connection: "client 1"
 * is the first that was accepted. The lane "loop" has the calls of all, and its waiting. seen_names.h,
 * made by figures.sh, has the calls that are not looked at.
 *
 *     cc -O2 -I. -Ibuild/figures -include docs/course/figures/seen.h examples/pong_callback.c -o pong
 *     RECORD_FILE=x.tsv ./pong 0
 */
#ifndef SEEN_H
#define SEEN_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "record.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define ASYNC_SYS(call) seen_##call
#define ASYNC_MEM(call) call
#define ASYNC_PICK(count) 0
#define ASYNC_TRACE(event, task) ((void)0)
#define ASYNC_RESUME(task) ((void)0)

enum { SEEN_MOST = 1024 };
static int seen_clients, seen_client_of[SEEN_MOST];
static int64_t seen_since[SEEN_MOST];

/* A call on a connection: until it began the connection waited. What failed because nothing was there is not shown. */
static inline void seen_call(int fd, const char *kind, int64_t start_ns)
{
    int error = errno;
    if (fd >= 0 && fd < SEEN_MOST && seen_client_of[fd]) {
        if (seen_since[fd])
            record_slice("client", seen_client_of[fd], "wait", seen_since[fd], start_ns);
        seen_since[fd] = record("client", seen_client_of[fd], kind, start_ns);
        record_slice("loop", 0, kind, start_ns, seen_since[fd]);
    }
    errno = error;
}

static inline int seen_accepted(int fd, int64_t start_ns)
{
    if (fd >= 0 && fd < SEEN_MOST) {
        seen_client_of[fd] = ++seen_clients;
        seen_since[fd] = 0;
        seen_call(fd, "accept", start_ns);
    }
    return fd;
}

static inline int seen_accept4(int listener, struct sockaddr *address, socklen_t *size, int flags)
{
    int64_t t = record_now();
    return seen_accepted(accept4(listener, address, size, flags), t);
}

static inline int seen_accept(int listener, struct sockaddr *address, socklen_t *size)
{
    int64_t t = record_now();
    return seen_accepted(accept(listener, address, size), t);
}

static inline ssize_t seen_recvmsg(int fd, struct msghdr *message, int flags)
{
    int64_t t = record_now();
    ssize_t n = recvmsg(fd, message, flags);
    if (n >= 0)
        seen_call(fd, n ? "receive" : "receive:end", t);
    return n;
}

static inline ssize_t seen_recv(int fd, void *data, size_t size, int flags)
{
    int64_t t = record_now();
    ssize_t n = recv(fd, data, size, flags);
    if (n >= 0)
        seen_call(fd, n ? "receive" : "receive:end", t);
    return n;
}

static inline ssize_t seen_send(int fd, const void *data, size_t size, int flags)
{
    int64_t t = record_now();
    ssize_t n = send(fd, data, size, flags);
    if (n >= 0)
        seen_call(fd, "send", t);
    return n;
}

static inline int seen_shutdown(int fd, int how)
{
    int64_t t = record_now();
    int result = shutdown(fd, how);
    seen_call(fd, "send:end", t);
    return result;
}

static inline int seen_close(int fd)
{
    int64_t t = record_now();
    int result = close(fd);
    seen_call(fd, "close", t);
    if (fd >= 0 && fd < SEEN_MOST)
        seen_client_of[fd] = 0;
    return result;
}

/* The first and the last wait are for nobody. */
static inline void seen_waited(int events, int64_t start_ns)
{
    int error = errno;
    if (record_tsv < 0)
        record_open();
    if (events > 0 && seen_clients)
        record("loop", 0, "wait", start_ns);
    errno = error;
}

static inline int seen_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    int64_t t = record_now();
    int events = poll(fds, count, timeout_ms);
    seen_waited(events, t);
    return events;
}

#ifdef __linux__
#include <sys/epoll.h>
static inline int seen_epoll_wait(int fd, struct epoll_event *list, int most, int timeout_ms)
{
    int64_t t = record_now();
    int events = epoll_wait(fd, list, most, timeout_ms);
    seen_waited(events, t);
    return events;
}
#endif

#include "seen_names.h"

#endif
