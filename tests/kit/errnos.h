/*
 * errnos.h: the errnos that each system call of async.h may fail with, as its manual page lists
 * them. The kit makes the nth call of a program fail with each of them.
 *
 *     SIM_CALLS(CALL)                CALL(name, page, list) for each call through ASYNC_SYS
 *     SIM_ERRNOS_name(INJECT, NEVER) the `list` of that call, every errno once:
 *         INJECT(errno, source)          to be injected; the source is a page and its section
 *         NEVER(errno, source: reason)   also on the page, but no call of async.h can get it
 *
 * Names are for # and ##, in the macro that receives them: any further macro would be given what
 * <errno.h> or a system's header makes of them. A list may be empty (getpid), so a table made of
 * one needs an entry of its own. An errno that some system lacks has a SIM_ before its name, and is
 * 0 there: skip 0. EWOULDBLOCK is left out: it is EAGAIN, or treated alike.
 *
 * A failed call returns -1, but if_nametoindex 0. close has closed the descriptor all the same,
 * with EBADF somebody else has. connect with EINPROGRESS or EINTR has begun, and its outcome
 * follows.
 *
 * Sources: the Linux man-pages 6.03, and where they send the reader to the pages of a socket
 * family, what concerns a stream or datagram socket there; for kqueue(2) those of FreeBSD, macOS,
 * NetBSD and OpenBSD. Broken arguments are injected too where the world outside can bring them
 * about: whoever closes a number behind the loop's back, and opens something else, turns it into
 * EBADF, ENOTSOCK or EINVAL.
 */
#ifndef SIM_ERRNOS_H
#define SIM_ERRNOS_H

#include <errno.h>

#ifdef EHOSTDOWN
#define SIM_EHOSTDOWN EHOSTDOWN
#else
#define SIM_EHOSTDOWN 0
#endif
#ifdef ENONET
#define SIM_ENONET ENONET
#else
#define SIM_ENONET 0
#endif
#ifdef ENOPKG
#define SIM_ENOPKG ENOPKG
#else
#define SIM_ENOPKG 0
#endif
#ifdef ENOSR
#define SIM_ENOSR ENOSR
#else
#define SIM_ENOSR 0
#endif
#ifdef ERESTARTSYS
#define SIM_ERESTARTSYS ERESTARTSYS
#else
#define SIM_ERESTARTSYS 0
#endif
#ifdef ESOCKTNOSUPPORT
#define SIM_ESOCKTNOSUPPORT ESOCKTNOSUPPORT
#else
#define SIM_ESOCKTNOSUPPORT 0
#endif
#ifdef ETOOMANYREFS
#define SIM_ETOOMANYREFS ETOOMANYREFS
#else
#define SIM_ETOOMANYREFS 0
#endif

/* ---- lists that several calls share ---- */

/* What the network may have done to a connection: any call on it may be the one that is told. */
#define SIM_ERRNOS_OF_NETWORK(INJECT) \
    INJECT(EHOSTUNREACH, "ip(7) ERRORS") \
    INJECT(ENETUNREACH, "accept(2) RETURN VALUE") \
    INJECT(ENETDOWN, "accept(2) RETURN VALUE") \
    INJECT(SIM_EHOSTDOWN, "accept(2) RETURN VALUE")

/* A socket may stand under a number that is read or written as a file. */
#define SIM_ERRNOS_OF_SOCKET(INJECT) \
    INJECT(ECONNRESET, "unix(7) ERRORS") \
    INJECT(ETIMEDOUT, "tcp(7) ERRORS")

/* ---- the calls ---- */

#define SIM_CALLS(CALL) \
    CALL(accept, "accept(2)", SIM_ERRNOS_accept) \
    CALL(accept4, "accept(2)", SIM_ERRNOS_accept4) \
    CALL(bind, "bind(2)", SIM_ERRNOS_bind) \
    CALL(chdir, "chdir(2)", SIM_ERRNOS_chdir) \
    CALL(clock_gettime, "clock_gettime(2)", SIM_ERRNOS_clock_gettime) \
    CALL(close, "close(2)", SIM_ERRNOS_close) \
    CALL(connect, "connect(2)", SIM_ERRNOS_connect) \
    CALL(dup2, "dup(2)", SIM_ERRNOS_dup2) \
    CALL(epoll_create1, "epoll_create(2)", SIM_ERRNOS_epoll_create1) \
    CALL(epoll_ctl, "epoll_ctl(2)", SIM_ERRNOS_epoll_ctl) \
    CALL(epoll_wait, "epoll_wait(2)", SIM_ERRNOS_epoll_wait) \
    CALL(execvp, "execve(2)", SIM_ERRNOS_execvp) \
    CALL(fcntl, "fcntl(2)", SIM_ERRNOS_fcntl) \
    CALL(fork, "fork(2)", SIM_ERRNOS_fork) \
    CALL(fstat, "stat(2)", SIM_ERRNOS_fstat) \
    CALL(freeaddrinfo, "getaddrinfo(3)", SIM_ERRNOS_freeaddrinfo) \
    CALL(getaddrinfo, "getaddrinfo(3)", SIM_ERRNOS_getaddrinfo) \
    CALL(getpeername, "getpeername(2)", SIM_ERRNOS_getpeername) \
    CALL(getpid, "getpid(2)", SIM_ERRNOS_getpid) \
    CALL(getsockname, "getsockname(2)", SIM_ERRNOS_getsockname) \
    CALL(getsockopt, "getsockopt(2)", SIM_ERRNOS_getsockopt) \
    CALL(if_nametoindex, "if_nametoindex(3)", SIM_ERRNOS_if_nametoindex) \
    CALL(kevent, "kqueue(2)", SIM_ERRNOS_kevent) \
    CALL(kill, "kill(2)", SIM_ERRNOS_kill) \
    CALL(kqueue, "kqueue(2)", SIM_ERRNOS_kqueue) \
    CALL(listen, "listen(2)", SIM_ERRNOS_listen) \
    CALL(open, "open(2)", SIM_ERRNOS_open) \
    CALL(pipe, "pipe(2)", SIM_ERRNOS_pipe) \
    CALL(pipe2, "pipe(2)", SIM_ERRNOS_pipe2) \
    CALL(poll, "poll(2)", SIM_ERRNOS_poll) \
    CALL(pthread_cond_broadcast, "pthread_cond_init(3)", SIM_ERRNOS_pthread_cond_broadcast) \
    CALL(pthread_cond_signal, "pthread_cond_init(3)", SIM_ERRNOS_pthread_cond_signal) \
    CALL(pthread_cond_wait, "pthread_cond_init(3)", SIM_ERRNOS_pthread_cond_wait) \
    CALL(pthread_create, "pthread_create(3)", SIM_ERRNOS_pthread_create) \
    CALL(pthread_join, "pthread_join(3)", SIM_ERRNOS_pthread_join) \
    CALL(read, "read(2)", SIM_ERRNOS_read) \
    CALL(readv, "readv(2)", SIM_ERRNOS_readv) \
    CALL(recv, "recv(2)", SIM_ERRNOS_recv) \
    CALL(recvmsg, "recv(2)", SIM_ERRNOS_recvmsg) \
    CALL(send, "send(2)", SIM_ERRNOS_send) \
    CALL(sendmsg, "send(2)", SIM_ERRNOS_sendmsg) \
    CALL(setpgid, "setpgid(2)", SIM_ERRNOS_setpgid) \
    CALL(setsid, "setsid(2)", SIM_ERRNOS_setsid) \
    CALL(setsockopt, "getsockopt(2)", SIM_ERRNOS_setsockopt) \
    CALL(shutdown, "shutdown(2)", SIM_ERRNOS_shutdown) \
    CALL(sigaction, "sigaction(2)", SIM_ERRNOS_sigaction) \
    CALL(sigprocmask, "sigprocmask(2)", SIM_ERRNOS_sigprocmask) \
    CALL(socket, "socket(2)", SIM_ERRNOS_socket) \
    CALL(socketpair, "socketpair(2)", SIM_ERRNOS_socketpair) \
    CALL(waitpid, "wait(2)", SIM_ERRNOS_waitpid) \
    CALL(write, "write(2)", SIM_ERRNOS_write) \
    CALL(writev, "readv(2)", SIM_ERRNOS_writev)

/* ---- connections: accept, connect ---- */

#define SIM_ERRNOS_accept(INJECT, NEVER) \
    INJECT(EAGAIN, "accept(2) ERRORS") \
    INJECT(EBADF, "accept(2) ERRORS") \
    INJECT(ECONNABORTED, "accept(2) ERRORS") \
    INJECT(EINTR, "accept(2) ERRORS") \
    INJECT(EINVAL, "accept(2) ERRORS") \
    INJECT(EMFILE, "accept(2) ERRORS") \
    INJECT(ENFILE, "accept(2) ERRORS") \
    INJECT(ENOBUFS, "accept(2) ERRORS") \
    INJECT(ENOMEM, "accept(2) ERRORS") \
    INJECT(ENOTSOCK, "accept(2) ERRORS") \
    INJECT(EOPNOTSUPP, "accept(2) ERRORS") \
    INJECT(EPERM, "accept(2) ERRORS") \
    INJECT(EPROTO, "accept(2) ERRORS") \
    INJECT(SIM_ENOSR, "accept(2) ERRORS") \
    INJECT(SIM_ESOCKTNOSUPPORT, "accept(2) ERRORS") \
    INJECT(EPROTONOSUPPORT, "accept(2) ERRORS") \
    INJECT(ETIMEDOUT, "accept(2) ERRORS") \
    INJECT(ENOPROTOOPT, "accept(2) RETURN VALUE") \
    INJECT(SIM_ENONET, "accept(2) RETURN VALUE") \
    SIM_ERRNOS_OF_NETWORK(INJECT) \
    NEVER(EFAULT, "accept(2) ERRORS: no address is asked for, both pointers are NULL") \
    NEVER(SIM_ERESTARTSYS, "accept(2) ERRORS: seen by a tracer, never by the program")

#define SIM_ERRNOS_accept4(INJECT, NEVER) SIM_ERRNOS_accept(INJECT, NEVER)

#define SIM_ERRNOS_connect(INJECT, NEVER) \
    INJECT(EACCES, "connect(2) ERRORS") \
    INJECT(EPERM, "connect(2) ERRORS") \
    INJECT(EADDRINUSE, "connect(2) ERRORS") \
    INJECT(EADDRNOTAVAIL, "connect(2) ERRORS") \
    INJECT(EAFNOSUPPORT, "connect(2) ERRORS") \
    INJECT(EAGAIN, "connect(2) ERRORS") \
    INJECT(EALREADY, "connect(2) ERRORS") \
    INJECT(EBADF, "connect(2) ERRORS") \
    INJECT(ECONNREFUSED, "connect(2) ERRORS") \
    INJECT(EINPROGRESS, "connect(2) ERRORS") \
    INJECT(EINTR, "connect(2) ERRORS") \
    INJECT(EISCONN, "connect(2) ERRORS") \
    INJECT(ENETUNREACH, "connect(2) ERRORS") \
    INJECT(ENOTSOCK, "connect(2) ERRORS") \
    INJECT(EPROTOTYPE, "connect(2) ERRORS") \
    INJECT(ETIMEDOUT, "connect(2) ERRORS") \
    INJECT(ECONNRESET, "unix(7) ERRORS") \
    INJECT(EINVAL, "unix(7) ERRORS") \
    INJECT(ENOENT, "unix(7) ERRORS") \
    INJECT(ENOMEM, "unix(7) ERRORS") \
    INJECT(ENOBUFS, "ip(7) ERRORS") \
    INJECT(EHOSTUNREACH, "ip(7) ERRORS") \
    INJECT(ENETDOWN, "accept(2) RETURN VALUE") \
    INJECT(SIM_EHOSTDOWN, "accept(2) RETURN VALUE") \
    INJECT(ELOOP, "path_resolution(7)") \
    INJECT(ENAMETOOLONG, "path_resolution(7)") \
    INJECT(ENOTDIR, "path_resolution(7)") \
    NEVER(EFAULT, "connect(2) ERRORS: the address is an object")

#define SIM_ERRNOS_shutdown(INJECT, NEVER) \
    INJECT(EBADF, "shutdown(2) ERRORS") \
    INJECT(EINVAL, "shutdown(2) ERRORS, unix(7) ERRORS") \
    INJECT(ENOTCONN, "shutdown(2) ERRORS") \
    INJECT(ENOTSOCK, "shutdown(2) ERRORS")

/* ---- sockets: made, named, asked ---- */

#define SIM_ERRNOS_socket(INJECT, NEVER) \
    INJECT(EACCES, "socket(2) ERRORS") \
    INJECT(EAFNOSUPPORT, "socket(2) ERRORS") \
    INJECT(EINVAL, "socket(2) ERRORS") \
    INJECT(EMFILE, "socket(2) ERRORS") \
    INJECT(ENFILE, "socket(2) ERRORS") \
    INJECT(ENOBUFS, "socket(2) ERRORS") \
    INJECT(ENOMEM, "socket(2) ERRORS") \
    INJECT(EPROTONOSUPPORT, "socket(2) ERRORS") \
    INJECT(EPERM, "ip(7) ERRORS") \
    INJECT(SIM_ENOPKG, "ip(7) ERRORS") \
    INJECT(SIM_ESOCKTNOSUPPORT, "ip(7) ERRORS")

#define SIM_ERRNOS_socketpair(INJECT, NEVER) \
    INJECT(EAFNOSUPPORT, "socketpair(2) ERRORS") \
    INJECT(EMFILE, "socketpair(2) ERRORS") \
    INJECT(ENFILE, "socketpair(2) ERRORS") \
    INJECT(EOPNOTSUPP, "socketpair(2) ERRORS") \
    INJECT(EPROTONOSUPPORT, "socketpair(2) ERRORS") \
    INJECT(ENOMEM, "unix(7) ERRORS") \
    INJECT(SIM_ESOCKTNOSUPPORT, "unix(7) ERRORS") \
    NEVER(EFAULT, "socketpair(2) ERRORS: int ends[2] is the caller's, and written to right after")

#define SIM_ERRNOS_bind(INJECT, NEVER) \
    INJECT(EACCES, "bind(2) ERRORS") \
    INJECT(EADDRINUSE, "bind(2) ERRORS") \
    INJECT(EBADF, "bind(2) ERRORS") \
    INJECT(EINVAL, "bind(2) ERRORS") \
    INJECT(ENOTSOCK, "bind(2) ERRORS") \
    INJECT(EADDRNOTAVAIL, "bind(2) ERRORS") \
    INJECT(ELOOP, "bind(2) ERRORS") \
    INJECT(ENAMETOOLONG, "bind(2) ERRORS") \
    INJECT(ENOENT, "bind(2) ERRORS") \
    INJECT(ENOMEM, "bind(2) ERRORS") \
    INJECT(ENOTDIR, "bind(2) ERRORS") \
    INJECT(EROFS, "bind(2) ERRORS") \
    INJECT(EAFNOSUPPORT, "tcp(7) ERRORS") \
    INJECT(ENOBUFS, "ip(7) ERRORS") \
    INJECT(ENODEV, "ipv6(7) ERRORS") \
    INJECT(EDQUOT, "mknod(2) ERRORS") \
    INJECT(EEXIST, "mknod(2) ERRORS") \
    INJECT(ENOSPC, "mknod(2) ERRORS") \
    INJECT(EPERM, "mknod(2) ERRORS") \
    NEVER(EFAULT, "bind(2) ERRORS: the address is an object")

#define SIM_ERRNOS_listen(INJECT, NEVER) \
    INJECT(EADDRINUSE, "listen(2) ERRORS") \
    INJECT(EBADF, "listen(2) ERRORS") \
    INJECT(ENOTSOCK, "listen(2) ERRORS") \
    INJECT(EOPNOTSUPP, "listen(2) ERRORS") \
    INJECT(EINVAL, "unix(7) ERRORS") \
    INJECT(ENOBUFS, "ip(7) ERRORS") \
    INJECT(ENOMEM, "ip(7) ERRORS")

#define SIM_ERRNOS_getsockname(INJECT, NEVER) \
    INJECT(EBADF, "getsockname(2) ERRORS") \
    INJECT(EINVAL, "getsockname(2) ERRORS") \
    INJECT(ENOBUFS, "getsockname(2) ERRORS") \
    INJECT(ENOTSOCK, "getsockname(2) ERRORS") \
    NEVER(EFAULT, "getsockname(2) ERRORS: the address and its size are locals")

#define SIM_ERRNOS_getpeername(INJECT, NEVER) \
    INJECT(EBADF, "getpeername(2) ERRORS") \
    INJECT(EINVAL, "getpeername(2) ERRORS") \
    INJECT(ENOBUFS, "getpeername(2) ERRORS") \
    INJECT(ENOTCONN, "getpeername(2) ERRORS") \
    INJECT(ENOTSOCK, "getpeername(2) ERRORS") \
    NEVER(EFAULT, "getpeername(2) ERRORS: the address and its size are locals")

#define SIM_ERRNOS_getsockopt(INJECT, NEVER) \
    INJECT(EBADF, "getsockopt(2) ERRORS") \
    INJECT(EINVAL, "getsockopt(2) ERRORS") \
    INJECT(ENOPROTOOPT, "getsockopt(2) ERRORS") \
    INJECT(ENOTSOCK, "getsockopt(2) ERRORS") \
    INJECT(EOPNOTSUPP, "ip(7) ERRORS") \
    INJECT(ENOBUFS, "ip(7) ERRORS") \
    INJECT(ENOMEM, "ip(7) ERRORS") \
    NEVER(EFAULT, "getsockopt(2) ERRORS: the value and its size are locals")

#define SIM_ERRNOS_setsockopt(INJECT, NEVER) \
    INJECT(EBADF, "getsockopt(2) ERRORS") \
    INJECT(EINVAL, "getsockopt(2) ERRORS") \
    INJECT(ENOPROTOOPT, "getsockopt(2) ERRORS") \
    INJECT(ENOTSOCK, "getsockopt(2) ERRORS") \
    INJECT(EOPNOTSUPP, "ip(7) ERRORS") \
    INJECT(EPERM, "ip(7) ERRORS") \
    INJECT(ENOBUFS, "ip(7) ERRORS") \
    INJECT(ENOMEM, "ip(7) ERRORS") \
    NEVER(EFAULT, "getsockopt(2) ERRORS: the value is a parameter")

#define SIM_ERRNOS_if_nametoindex(INJECT, NEVER) \
    INJECT(ENODEV, "if_nametoindex(3) ERRORS") \
    INJECT(ENXIO, "if_nametoindex(3) ERRORS") \
    INJECT(EACCES, "socket(2) ERRORS") \
    INJECT(EAFNOSUPPORT, "socket(2) ERRORS") \
    INJECT(EINVAL, "socket(2) ERRORS, ioctl(2) ERRORS") \
    INJECT(EMFILE, "socket(2) ERRORS") \
    INJECT(ENFILE, "socket(2) ERRORS") \
    INJECT(ENOBUFS, "socket(2) ERRORS") \
    INJECT(ENOMEM, "socket(2) ERRORS") \
    INJECT(EPROTONOSUPPORT, "socket(2) ERRORS") \
    INJECT(EBADF, "ioctl(2) ERRORS") \
    INJECT(ENOTTY, "ioctl(2) ERRORS") \
    NEVER(EFAULT, "ioctl(2) ERRORS: what ioctl fills in belongs to the C library")

/* ---- data ---- */

#define SIM_ERRNOS_read(INJECT, NEVER) \
    INJECT(EAGAIN, "read(2) ERRORS") \
    INJECT(EBADF, "read(2) ERRORS") \
    INJECT(EINTR, "read(2) ERRORS") \
    INJECT(EINVAL, "read(2) ERRORS") \
    INJECT(EIO, "read(2) ERRORS") \
    INJECT(EISDIR, "read(2) ERRORS") \
    SIM_ERRNOS_OF_SOCKET(INJECT) \
    NEVER(EFAULT, "read(2) ERRORS: the buffer is the caller's, and the simulated read fills it")

#define SIM_ERRNOS_readv(INJECT, NEVER) \
    SIM_ERRNOS_read(INJECT, NEVER) \
    NEVER(EOPNOTSUPP, "readv(2) ERRORS: readv has no flags, only preadv2 has")

#define SIM_ERRNOS_recv(INJECT, NEVER) \
    INJECT(EAGAIN, "recv(2) ERRORS") \
    INJECT(EBADF, "recv(2) ERRORS") \
    INJECT(ECONNREFUSED, "recv(2) ERRORS") \
    INJECT(EINTR, "recv(2) ERRORS") \
    INJECT(EINVAL, "recv(2) ERRORS") \
    INJECT(ENOMEM, "recv(2) ERRORS") \
    INJECT(ENOTCONN, "recv(2) ERRORS") \
    INJECT(ENOTSOCK, "recv(2) ERRORS") \
    INJECT(EPIPE, "tcp(7) ERRORS") \
    INJECT(ENOBUFS, "ip(7) ERRORS") \
    SIM_ERRNOS_OF_SOCKET(INJECT) \
    SIM_ERRNOS_OF_NETWORK(INJECT) \
    NEVER(EFAULT, "recv(2) ERRORS: the buffer is the caller's, and the simulated recv fills it")

#define SIM_ERRNOS_recvmsg(INJECT, NEVER) SIM_ERRNOS_recv(INJECT, NEVER)

#define SIM_ERRNOS_write(INJECT, NEVER) \
    INJECT(EAGAIN, "write(2) ERRORS") \
    INJECT(EBADF, "write(2) ERRORS") \
    INJECT(EDESTADDRREQ, "write(2) ERRORS") \
    INJECT(EDQUOT, "write(2) ERRORS") \
    INJECT(EFBIG, "write(2) ERRORS") \
    INJECT(EINTR, "write(2) ERRORS") \
    INJECT(EINVAL, "write(2) ERRORS") \
    INJECT(EIO, "write(2) ERRORS") \
    INJECT(ENOSPC, "write(2) ERRORS") \
    INJECT(EPERM, "write(2) ERRORS") \
    INJECT(EPIPE, "write(2) ERRORS") \
    SIM_ERRNOS_OF_SOCKET(INJECT) \
    NEVER(EFAULT, "write(2) ERRORS: the data is the caller's, and the simulated write reads it")

#define SIM_ERRNOS_writev(INJECT, NEVER) \
    SIM_ERRNOS_write(INJECT, NEVER) \
    NEVER(EOPNOTSUPP, "readv(2) ERRORS: writev has no flags, only pwritev2 has")

#define SIM_ERRNOS_of_sending(INJECT, NEVER) \
    INJECT(EACCES, "send(2) ERRORS") \
    INJECT(EAGAIN, "send(2) ERRORS") \
    INJECT(EALREADY, "send(2) ERRORS") \
    INJECT(EBADF, "send(2) ERRORS") \
    INJECT(ECONNRESET, "send(2) ERRORS") \
    INJECT(EDESTADDRREQ, "send(2) ERRORS") \
    INJECT(EINTR, "send(2) ERRORS") \
    INJECT(EINVAL, "send(2) ERRORS") \
    INJECT(EMSGSIZE, "send(2) ERRORS") \
    INJECT(ENOBUFS, "send(2) ERRORS") \
    INJECT(ENOMEM, "send(2) ERRORS") \
    INJECT(ENOTCONN, "send(2) ERRORS") \
    INJECT(ENOTSOCK, "send(2) ERRORS") \
    INJECT(EOPNOTSUPP, "send(2) ERRORS") \
    INJECT(EPIPE, "send(2) ERRORS") \
    INJECT(ETIMEDOUT, "tcp(7) ERRORS") \
    INJECT(EPERM, "ip(7) ERRORS") \
    INJECT(ECONNREFUSED, "unix(7) ERRORS") \
    SIM_ERRNOS_OF_NETWORK(INJECT) \
    NEVER(EFAULT, "send(2) ERRORS: the data is the caller's, and the simulated send reads it")

#define SIM_ERRNOS_send(INJECT, NEVER) \
    SIM_ERRNOS_of_sending(INJECT, NEVER) \
    NEVER(EISCONN, "send(2) ERRORS: send names no recipient")

#define SIM_ERRNOS_sendmsg(INJECT, NEVER) \
    SIM_ERRNOS_of_sending(INJECT, NEVER) \
    INJECT(EISCONN, "send(2) ERRORS") \
    INJECT(EADDRNOTAVAIL, "ip(7) ERRORS") \
    INJECT(ENOENT, "unix(7) ERRORS") \
    INJECT(EPROTOTYPE, "unix(7) ERRORS") \
    NEVER(ESRCH, "unix(7) ERRORS: no credentials are sent along") \
    NEVER(SIM_ETOOMANYREFS, "unix(7) ERRORS: no descriptors are sent along")

/* ---- descriptors ---- */

#define SIM_ERRNOS_close(INJECT, NEVER) \
    INJECT(EBADF, "close(2) ERRORS") \
    INJECT(EINTR, "close(2) ERRORS") \
    INJECT(EIO, "close(2) ERRORS") \
    INJECT(ENOSPC, "close(2) ERRORS") \
    INJECT(EDQUOT, "close(2) ERRORS")

/* async.h gets and sets flags, no more. */
#define SIM_ERRNOS_fcntl(INJECT, NEVER) \
    INJECT(EACCES, "fcntl(2) ERRORS") \
    INJECT(EAGAIN, "fcntl(2) ERRORS") \
    INJECT(EBADF, "fcntl(2) ERRORS") \
    INJECT(EINTR, "fcntl(2) ERRORS") \
    INJECT(EINVAL, "fcntl(2) ERRORS") \
    INJECT(EPERM, "fcntl(2) ERRORS") \
    NEVER(EBUSY, "fcntl(2) ERRORS: only of a pipe's size and of seals") \
    NEVER(EDEADLK, "fcntl(2) ERRORS: only of a lock that is waited for") \
    NEVER(EFAULT, "fcntl(2) ERRORS: only of locks; an int is passed here, or nothing") \
    NEVER(EMFILE, "fcntl(2) ERRORS: only of F_DUPFD") \
    NEVER(ENOLCK, "fcntl(2) ERRORS: only of locks") \
    NEVER(ENOTDIR, "fcntl(2) ERRORS: only of F_NOTIFY")

#define SIM_ERRNOS_fstat(INJECT, NEVER) \
    INJECT(EACCES, "stat(2) ERRORS") \
    INJECT(EBADF, "stat(2) ERRORS") \
    INJECT(ENOMEM, "stat(2) ERRORS") \
    INJECT(EOVERFLOW, "stat(2) ERRORS") \
    NEVER(EFAULT, "stat(2) ERRORS: the status is a local") \
    NEVER(EINVAL, "stat(2) ERRORS: only of fstatat's flags") \
    NEVER(ELOOP, "stat(2) ERRORS: only of a path") \
    NEVER(ENAMETOOLONG, "stat(2) ERRORS: only of a path") \
    NEVER(ENOENT, "stat(2) ERRORS: only of a path") \
    NEVER(ENOTDIR, "stat(2) ERRORS: only of a path")

#define SIM_ERRNOS_open(INJECT, NEVER) \
    INJECT(EACCES, "open(2) ERRORS") \
    INJECT(EDQUOT, "open(2) ERRORS") \
    INJECT(EEXIST, "open(2) ERRORS") \
    INJECT(EINTR, "open(2) ERRORS") \
    INJECT(EINVAL, "open(2) ERRORS") \
    INJECT(EISDIR, "open(2) ERRORS") \
    INJECT(ELOOP, "open(2) ERRORS") \
    INJECT(EMFILE, "open(2) ERRORS") \
    INJECT(ENAMETOOLONG, "open(2) ERRORS") \
    INJECT(ENFILE, "open(2) ERRORS") \
    INJECT(ENODEV, "open(2) ERRORS") \
    INJECT(ENOENT, "open(2) ERRORS") \
    INJECT(ENOMEM, "open(2) ERRORS") \
    INJECT(ENOSPC, "open(2) ERRORS") \
    INJECT(ENOTDIR, "open(2) ERRORS") \
    INJECT(ENXIO, "open(2) ERRORS") \
    INJECT(EOVERFLOW, "open(2) ERRORS") \
    INJECT(EPERM, "open(2) ERRORS") \
    INJECT(EROFS, "open(2) ERRORS") \
    INJECT(ETXTBSY, "open(2) ERRORS") \
    NEVER(EBADF, "open(2) ERRORS: only of openat") \
    NEVER(EBUSY, "open(2) ERRORS: only of O_EXCL without O_CREAT") \
    NEVER(EFAULT, "open(2) ERRORS: the path is the environment's") \
    NEVER(EFBIG, "open(2) ERRORS: EOVERFLOW stands for it") \
    NEVER(EOPNOTSUPP, "open(2) ERRORS: only of O_TMPFILE")

#define SIM_ERRNOS_pipe(INJECT, NEVER) \
    INJECT(EMFILE, "pipe(2) ERRORS") \
    INJECT(ENFILE, "pipe(2) ERRORS") \
    NEVER(EFAULT, "pipe(2) ERRORS: int ends[2] is the caller's, and written to right after") \
    NEVER(EINVAL, "pipe(2) ERRORS: only of flags that pipe2 does not know") \
    NEVER(SIM_ENOPKG, "pipe(2) ERRORS: only of O_NOTIFICATION_PIPE")

#define SIM_ERRNOS_pipe2(INJECT, NEVER) SIM_ERRNOS_pipe(INJECT, NEVER)

/* ---- pollers ---- */

#define SIM_ERRNOS_poll(INJECT, NEVER) \
    INJECT(EINTR, "poll(2) ERRORS") \
    INJECT(EINVAL, "poll(2) ERRORS") \
    INJECT(ENOMEM, "poll(2) ERRORS") \
    INJECT(EAGAIN, "poll(2) NOTES") \
    NEVER(EFAULT, "poll(2) ERRORS: the entries are a local, or allocated")

#define SIM_ERRNOS_epoll_create1(INJECT, NEVER) \
    INJECT(EMFILE, "epoll_create(2) ERRORS") \
    INJECT(ENFILE, "epoll_create(2) ERRORS") \
    INJECT(ENOMEM, "epoll_create(2) ERRORS") \
    NEVER(EINVAL, "epoll_create(2) ERRORS: EPOLL_CLOEXEC is as old as the call")

#define SIM_ERRNOS_epoll_ctl(INJECT, NEVER) \
    INJECT(EBADF, "epoll_ctl(2) ERRORS") \
    INJECT(EEXIST, "epoll_ctl(2) ERRORS") \
    INJECT(EINVAL, "epoll_ctl(2) ERRORS") \
    INJECT(ELOOP, "epoll_ctl(2) ERRORS") \
    INJECT(ENOENT, "epoll_ctl(2) ERRORS") \
    INJECT(ENOMEM, "epoll_ctl(2) ERRORS") \
    INJECT(ENOSPC, "epoll_ctl(2) ERRORS") \
    INJECT(EPERM, "epoll_ctl(2) ERRORS")

#define SIM_ERRNOS_epoll_wait(INJECT, NEVER) \
    INJECT(EBADF, "epoll_wait(2) ERRORS") \
    INJECT(EINTR, "epoll_wait(2) ERRORS") \
    INJECT(EINVAL, "epoll_wait(2) ERRORS") \
    NEVER(EFAULT, "epoll_wait(2) ERRORS: the events are allocated with the poller")

#define SIM_ERRNOS_kqueue(INJECT, NEVER) \
    INJECT(EMFILE, "kqueue(2) ERRORS") \
    INJECT(ENFILE, "kqueue(2) ERRORS") \
    INJECT(ENOMEM, "kqueue(2) ERRORS")

/* Of the call itself. What becomes of one change stands in its receipt, and the call succeeds. With
 * EINTR the changes were made. EOPNOTSUPP: NetBSD. */
#define SIM_ERRNOS_kevent(INJECT, NEVER) \
    INJECT(EACCES, "kqueue(2) ERRORS") \
    INJECT(EBADF, "kqueue(2) ERRORS") \
    INJECT(EINTR, "kqueue(2) ERRORS") \
    INJECT(EINVAL, "kqueue(2) ERRORS") \
    INJECT(ENOENT, "kqueue(2) ERRORS") \
    INJECT(ENOMEM, "kqueue(2) ERRORS") \
    INJECT(EOPNOTSUPP, "kqueue(2) ERRORS") \
    NEVER(EFAULT, "kqueue(2) ERRORS: changes, receipts and timeout are locals, events allocated") \
    NEVER(ESRCH, "kqueue(2) ERRORS: only of a filter for processes")

/* ---- the process ---- */

/* The monotonic clock is always there, so a failure would be none that a kernel can have: async.h
 * does not ask whether there was one, and would go on with a time that nobody has set. */
#define SIM_ERRNOS_clock_gettime(INJECT, NEVER) \
    NEVER(EACCES, "clock_gettime(2) ERRORS: only of clock_settime") \
    NEVER(EFAULT, "clock_gettime(2) ERRORS: the time is a local") \
    NEVER(EINVAL, "clock_gettime(2) ERRORS: CLOCK_MONOTONIC is a clock on every system") \
    NEVER(ENODEV, "clock_gettime(2) ERRORS: only of a clock that is a device") \
    NEVER(ENOTSUP, "clock_gettime(2) ERRORS: only of a clock that is a device") \
    NEVER(EPERM, "clock_gettime(2) ERRORS: only of clock_settime")

#define SIM_ERRNOS_fork(INJECT, NEVER) \
    INJECT(EAGAIN, "fork(2) ERRORS") \
    INJECT(ENOMEM, "fork(2) ERRORS") \
    NEVER(ENOSYS, "fork(2) ERRORS: only without a memory management unit")

/* Of a child, or in one: a simulated world has none, its fork fails. */
#define SIM_ERRNOS_chdir(INJECT, NEVER)
#define SIM_ERRNOS_dup2(INJECT, NEVER)
#define SIM_ERRNOS_execvp(INJECT, NEVER)
#define SIM_ERRNOS_kill(INJECT, NEVER)
#define SIM_ERRNOS_setpgid(INJECT, NEVER)
#define SIM_ERRNOS_setsid(INJECT, NEVER)
#define SIM_ERRNOS_waitpid(INJECT, NEVER)

#define SIM_ERRNOS_sigprocmask(INJECT, NEVER) \
    NEVER(EFAULT, "sigprocmask(2) ERRORS: the sets are locals") \
    NEVER(EINVAL, "sigprocmask(2) ERRORS: the mask is only set")

/* It returns its errno. */
#define SIM_ERRNOS_pthread_create(INJECT, NEVER) \
    INJECT(EAGAIN, "pthread_create(3) ERRORS") \
    NEVER(EINVAL, "pthread_create(3) ERRORS: no attributes are given") \
    NEVER(EPERM, "pthread_create(3) ERRORS: likewise")

/* What waits for a thread, or wakes one. */
#define SIM_ERRNOS_pthread_cond_broadcast(INJECT, NEVER)
#define SIM_ERRNOS_pthread_cond_signal(INJECT, NEVER)
#define SIM_ERRNOS_pthread_cond_wait(INJECT, NEVER)
#define SIM_ERRNOS_pthread_join(INJECT, NEVER) \
    NEVER(EDEADLK, "pthread_join(3) ERRORS: a loop does not run in its own pool") \
    NEVER(EINVAL, "pthread_join(3) ERRORS: nobody else joins it") \
    NEVER(ESRCH, "pthread_join(3) ERRORS: it was made, and is joined once")

/* It returns EAI_AGAIN for EAGAIN, EAI_FAIL for EIO, EAI_MEMORY for ENOMEM, EAI_NONAME for ENOENT;
 * any other errno with EAI_SYSTEM. */
#define SIM_ERRNOS_getaddrinfo(INJECT, NEVER) \
    INJECT(EAGAIN, "getaddrinfo(3) RETURN VALUE: EAI_AGAIN") \
    INJECT(EIO, "getaddrinfo(3) RETURN VALUE: EAI_FAIL") \
    INJECT(ENOMEM, "getaddrinfo(3) RETURN VALUE: EAI_MEMORY") \
    INJECT(ENOENT, "getaddrinfo(3) RETURN VALUE: EAI_NONAME") \
    INJECT(EMFILE, "getaddrinfo(3) RETURN VALUE: EAI_SYSTEM")
#define SIM_ERRNOS_freeaddrinfo(INJECT, NEVER)

/* Its page says that it always succeeds. */
#define SIM_ERRNOS_getpid(INJECT, NEVER)

#define SIM_ERRNOS_sigaction(INJECT, NEVER) \
    INJECT(EINVAL, "sigaction(2) ERRORS") \
    NEVER(EFAULT, "sigaction(2) ERRORS: the action is a local")

#endif
