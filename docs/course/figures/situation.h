/* situation.h: what the programs of this folder have in common: the server, a page fetched the blocking way, and what
 * a run cost, as one line: wall and CPU time in us, voluntary and involuntary switches.
 *
 *     static int run(int port) { ...fetch pages 1 to PAGES... }
 *     int main(int argc, char **argv) { return situation(argc, argv, run); }
 *
 * `delays` must stand beside the program. Recording is as record.h says.
 */
#ifndef SITUATION_H
#define SITUATION_H

#include "record.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { PAGES = 4, PAGE_BYTES = 2000 };

static inline struct sockaddr_in server_address(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* Is this the whole page? */
static inline int page_is_whole(const char *text, size_t size)
{
    return size > PAGE_BYTES && strncmp(text, "HTTP/1.0 200 OK\r\n", 17) == 0;
}

static inline size_t request_for(int page, char *text, size_t size)
{
    return (size_t)snprintf(text, size, "GET /%d HTTP/1.0\r\n\r\n", page);
}

/* Fetch a page with calls that block. Returns 0, or -1. */
static inline int fetch(int port, int page, const char *lane, int number)
{
    struct sockaddr_in address = server_address(port);
    char request[64], text[PAGE_BYTES + 200];
    size_t size = request_for(page, request, sizeof request), got = 0;
    int64_t t = record_now();
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct pollfd answer = { .fd = fd, .events = POLLIN };
    ssize_t n = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof address);
    t = record(lane, number, "connect", t);
    if (n == 0)
        n = send(fd, request, size, 0);
    t = record(lane, number, "send", t);
    if (n > 0)
        poll(&answer, 1, -1);
    t = record(lane, number, "wait:page", t);
    while (n > 0 && (n = recv(fd, text + got, sizeof text - got, 0)) > 0)
        got += (size_t)n;
    close(fd);
    record(lane, number, "receive", t);
    return n == 0 && page_is_whole(text, got) ? 0 : -1;
}

/* ---- the server ---- */

struct server {
    pid_t pid;
    int input, port; /* it ends when its input does */
};

static inline void exec_server(const char *argv0, int input, int output)
{
    const char *slash = strrchr(argv0, '/');
    char path[4096];
    snprintf(path, sizeof path, "%.*sdelays", slash ? (int)(slash - argv0 + 1) : 0, argv0);
    dup2(input, 0);
    dup2(output, 1);
    execl(path, "delays", (char *)NULL);
    perror(path);
    _exit(127);
}

static inline int server_start(struct server *server, const char *argv0)
{
    int in[2], out[2];
    char text[16] = "";
    if (pipe(in) < 0 || pipe(out) < 0)
        return -1;
    fcntl(in[1], F_SETFD, FD_CLOEXEC);
    fcntl(out[0], F_SETFD, FD_CLOEXEC);
    server->pid = fork();
    if (server->pid == 0)
        exec_server(argv0, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    server->input = in[1];
    server->port = server->pid > 0 && read(out[0], text, sizeof text - 1) > 0 ? atoi(text) : 0;
    close(out[0]);
    return server->port > 0 ? 0 : -1;
}

static inline void server_stop(const struct server *server)
{
    close(server->input);
    waitpid(server->pid, NULL, 0);
}

/* ---- what it costs ---- */

struct cost {
    int64_t wall_us, cpu_us;
    long voluntary, involuntary;
};

static inline int64_t time_us(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static inline void add_usage(struct cost *cost, int whose)
{
    struct rusage usage;
    getrusage(whose, &usage);
    cost->cpu_us += time_us(usage.ru_utime) + time_us(usage.ru_stime);
    cost->voluntary += usage.ru_nvcsw;
    cost->involuntary += usage.ru_nivcsw;
}

/* Of this process and of the children it has waited for: not of the server. */
static inline struct cost cost_now(void)
{
    struct cost cost = { record_now() / 1000, 0, 0, 0 };
    add_usage(&cost, RUSAGE_SELF);
    add_usage(&cost, RUSAGE_CHILDREN);
    return cost;
}

static inline int situation(int argc, char **argv, int (*run)(int port))
{
    struct server server;
    struct cost before, after;
    int error;
    (void)argc;
    if (server_start(&server, argv[0]) < 0)
        return fprintf(stderr, "%s: no server\n", argv[0]), 1;
    record_open();
    before = cost_now();
    error = run(server.port);
    after = cost_now();
    server_stop(&server);
    if (error)
        return fprintf(stderr, "%s: a page is missing\n", argv[0]), 1;
    printf("%lld\t%lld\t%ld\t%ld\n", (long long)(after.wall_us - before.wall_us),
           (long long)(after.cpu_us - before.cpu_us), after.voluntary - before.voluntary,
           after.involuntary - before.involuntary);
    return 0;
}

#endif
