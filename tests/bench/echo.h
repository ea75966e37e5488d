/* What the echo servers of the benchmark share, so that they differ in their event loop and in
 * nothing else: the listening socket, the line that names the port, and the way to end. */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* One size for every server: far above the messages, small enough to be one page in a frame. */
enum { ECHO_BUFFER = 4096 };

static inline void echo_die(const char *what)
{
    perror(what);
    exit(1);
}

/* Leaving from the handler keeps signals out of the loops that are compared. */
static inline void echo_on_term(int signal_number)
{
    (void)signal_number;
    _exit(0);
}

/* Ten thousand connections need more descriptors than most shells allow at first. */
static inline void echo_setup(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGTERM, echo_on_term);
    signal(SIGPIPE, SIG_IGN);
}

/* The port is announced at once: whoever started the server waits for this line. */
static inline void echo_announce(int listener)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    if (getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        echo_die("getsockname");
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
}

static inline int echo_port(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s PORT    (0 means any)\n", argv[0]);
        exit(2);
    }
    return atoi(argv[1]);
}

/* A non-blocking listening socket on the loopback interface. */
static inline int echo_listen(int port)
{
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        echo_die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        echo_die("bind");
    if (listen(fd, 4096) < 0)
        echo_die("listen");
    echo_announce(fd);
    return fd;
}
#endif
