/*
 * calls.h: the system calls that a test makes itself are the simulated kernel's. The names are
 * replaced after all headers of the system, and in async.h too, so that a member called `close`
 * has the same other name everywhere.
 */
#ifndef TEST_SIMULATED_CALLS_H
#define TEST_SIMULATED_CALLS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#endif
#if ASYNC_HAS_KQUEUE || !defined __linux__
#include <sys/event.h>
#endif

/* As in async_test.h, which comes later than seam.h needs them. */
struct kevent;
struct epoll_event;
int sim_accept(int fd, struct sockaddr *address, unsigned *size);
int sim_accept4(int fd, struct sockaddr *address, unsigned *size, int flags);
int sim_bind(int fd, const struct sockaddr *address, unsigned size);
int sim_clock_gettime(int clock, struct timespec *now);
int sim_close(int fd);
int sim_connect(int fd, const struct sockaddr *address, unsigned size);
int sim_dup(int fd);
int sim_dup2(int fd, int number);
int sim_epoll_create1(int flags);
int sim_epoll_ctl(int poller, int verb, int fd, struct epoll_event *event);
int sim_epoll_wait(int poller, struct epoll_event *events, int count, int timeout_ms);
int sim_fcntl(int fd, int command, ...);
int sim_fstat(int fd, struct stat *status);
int sim_getpeername(int fd, struct sockaddr *address, unsigned *size);
int sim_getsockname(int fd, struct sockaddr *address, unsigned *size);
int sim_getsockopt(int fd, int level, int option, void *value, unsigned *size);
int sim_kevent(int poller, const struct kevent *changes, int change_count, struct kevent *events,
               int count, const struct timespec *timeout);
int sim_kqueue(void);
int sim_listen(int fd, int backlog);
int sim_open(const char *path, int flags, int mode);
int sim_pipe(int ends[2]);
int sim_pipe2(int ends[2], int flags);
int sim_poll(struct pollfd *entries, unsigned long count, int timeout_ms);
ssize_t sim_read(int fd, void *data, size_t size);
ssize_t sim_readv(int fd, const struct iovec *pieces, int count);
ssize_t sim_recv(int fd, void *data, size_t size, int flags);
ssize_t sim_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t sim_send(int fd, const void *data, size_t size, int flags);
ssize_t sim_sendmsg(int fd, const struct msghdr *message, int flags);
int sim_setsockopt(int fd, int level, int option, const void *value, unsigned size);
int sim_shutdown(int fd, int how);
int sim_sigaction(int number, const struct sigaction *action, struct sigaction *old);
int sim_socket(int family, int type, int protocol);
int sim_socketpair(int family, int type, int protocol, int ends[2]);
int sim_unlink(const char *path);
ssize_t sim_write(int fd, const void *data, size_t size);
ssize_t sim_writev(int fd, const struct iovec *pieces, int count);
void *sim_malloc(size_t size);
void *sim_calloc(size_t count, size_t size);
void *sim_realloc(void *old, size_t size);
void sim_free(void *block);
int64_t *sim_clock_ns(void);
void sim_limit(int count);

#define accept sim_accept
#define accept4 sim_accept4
#define bind sim_bind
#define clock_gettime sim_clock_gettime
#define close sim_close
#define connect sim_connect
#define dup sim_dup
#define dup2 sim_dup2
#define epoll_create1 sim_epoll_create1
#define epoll_ctl sim_epoll_ctl
#define epoll_wait sim_epoll_wait
#define fcntl sim_fcntl
#define fstat sim_fstat
#define getpeername sim_getpeername
#define getsockname sim_getsockname
#define getsockopt sim_getsockopt
#define listen sim_listen
#define kqueue sim_kqueue
#define pipe sim_pipe
#define pipe2 sim_pipe2
#define poll sim_poll
#define read sim_read
#define readv sim_readv
#define recv sim_recv
#define recvmsg sim_recvmsg
#define send sim_send
#define sendmsg sim_sendmsg
#define setsockopt sim_setsockopt
#define shutdown sim_shutdown
#define socket sim_socket
#define socketpair sim_socketpair
#define unlink sim_unlink
#define write sim_write
#define writev sim_writev

/* These are names of structures too. */
#define kevent(poller, changes, change_count, events, count, timeout) \
    sim_kevent(poller, changes, change_count, events, count, timeout)
#define sigaction(number, action, old) sim_sigaction(number, action, old)
#define signal(number, handler) test_signal(number, handler)

typedef void test_handler(int number);

/* The simulated kernel knows SIGPIPE; all other signals are the system's. */
__attribute__((unused)) static test_handler *test_signal(int number, test_handler *handler)
{
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sim_sigaction(number, &action, &before);
    return before.sa_handler;
}

#endif
