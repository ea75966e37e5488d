/* The load generator: the same one thread of epoll for every server.
 *
 * Each active connection has one message under way: it is sent, the echo is compared byte by byte,
 * the next one goes out. Idle connections do one round trip at the start, so that the server has
 * touched whatever it keeps for them, and are silent from then on. What is measured of the server
 * (its CPU time, its system calls, its resident memory) is taken by this process, because only it
 * knows when the measured window begins and ends.
 *
 * A line of names and values comes out once all are connected and warm, and one after each measured
 * window; -1 stands for what could not be measured. With -g each line on stdin asks for one window,
 * so that whoever started us can let several servers take turns. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 1024, SIZE_MAX_ = 16384, PATTERN = 251, SOURCES = 4, CHUNK = 512, POLITE = 64 };

struct options {
    int port, connections, idle, size, pid, gate, count_calls;
    long warm_up, round_trips;
    double seconds;
};

struct connection {
    int fd;
    uint32_t turn; /* chooses the message */
    uint32_t got;  /* bytes of its echo that have come */
};

/* A window of the server's life: what has been used up at its beginning, then what was used within
 * it. */
struct usage {
    int64_t time_ns, cpu_ns, calls;
};

static struct options options = {.connections = 1, .size = 64, .warm_up = 100, .seconds = 1};
static struct connection *connections;
static char pattern[SIZE_MAX_ + PATTERN];
static int poller, calls_fd = -1;
static clockid_t server_clock;

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void complain(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) < 0)
        return -1;
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* ------------------------------------------------ the server, seen from outside */

/* Walking the page tables is exact; VmRSS is a sum of per-CPU counters that may be off by many
 * pages. */
static long server_rss_kb(void)
{
    char name[64], line[256];
    long kb = -1;
    FILE *file;

    snprintf(name, sizeof name, "/proc/%d/smaps_rollup", options.pid);
    file = options.pid ? fopen(name, "r") : NULL;
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Rss: %ld", &kb) == 1)
            break;
    fclose(file);
    return kb;
}

static long tracepoint_id(void)
{
    static const char *const names[] = {
        "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
        "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id"};
    long id = -1;
    for (int i = 0; i < 2 && id < 0; i++) {
        FILE *file = fopen(names[i], "r");
        if (file && fscanf(file, "%ld", &id) != 1)
            id = -1;
        if (file)
            fclose(file);
    }
    return id;
}

/* A kernel counter sees every call without slowing it down as strace does. It takes root and
 * tracefs. */
static void open_calls(void)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof attr};
    long id = tracepoint_id();
    if (id < 0)
        return;
    attr.config = (uint64_t)id;
    calls_fd = (int)syscall(SYS_perf_event_open, &attr, options.pid, -1, -1, 0);
}

static int64_t server_calls(void)
{
    int64_t count;
    if (calls_fd < 0 || read(calls_fd, &count, sizeof count) != sizeof count)
        return -1;
    return count;
}

static struct usage usage_now(void)
{
    struct usage usage = {now_ns(CLOCK_MONOTONIC), -1, server_calls()};
    if (options.pid)
        usage.cpu_ns = now_ns(server_clock);
    return usage;
}

static struct usage usage_since(struct usage start)
{
    struct usage end = usage_now();
    end.time_ns -= start.time_ns;
    end.cpu_ns = end.cpu_ns < 0 ? -1 : end.cpu_ns - start.cpu_ns;
    end.calls = end.calls < 0 ? -1 : end.calls - start.calls;
    return end;
}

/* ------------------------------------------------ connections */

/* The source address is spread, for one of them has some 28,000 ports only. */
static int connect_one(int index)
{
    int one = 1;
    struct sockaddr_in source = {.sin_family = AF_INET};
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(index % SOURCES));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        die("socket");
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0)
        die("bind");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        die("connect");
    return fd;
}

/* Each message is another stretch of the pattern, so that an echo that went astray is seen. */
static const char *message(const struct connection *connection)
{
    return pattern + (connection->turn + (uint32_t)(connection - connections)) % PATTERN;
}

static void send_message(struct connection *connection)
{
    ssize_t n = send(connection->fd, message(connection), (size_t)options.size, MSG_NOSIGNAL);
    if (n < 0)
        die("send");
    if (n != options.size)
        complain("the message does not fit into the socket buffer");
}

/* Returns 1 when the echo is complete. */
static int receive(struct connection *connection, int flags)
{
    static char buffer[SIZE_MAX_];
    size_t left = (size_t)options.size - connection->got;
    ssize_t n = recv(connection->fd, buffer, left, flags);

    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n < 0)
        die("recv");
    if (n == 0)
        complain("the server closed a connection");
    if (memcmp(buffer, message(connection) + connection->got, (size_t)n) != 0)
        complain("the echo differs from what was sent");
    connection->got += (uint32_t)n;
    if (connection->got < (uint32_t)options.size)
        return 0;
    connection->got = 0;
    connection->turn++;
    return 1;
}

static void round_trip(struct connection *connection)
{
    send_message(connection);
    while (!receive(connection, 0))
        ;
}

/* Library code and the first heap pages are no cost of a connection: let the server touch them
 * before. */
static void touch_server(void)
{
    struct connection *first = &connections[0];
    first->fd = connect_one(0);
    round_trip(first);
    close(first->fd);
    usleep(20000);
}

static void close_hard(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

/* Connections are made in chunks that fit any backlog; each does a round trip, the idle ones their
 * only one. */
static void connect_all(int count)
{
    for (int base = 0; base < count; base += CHUNK) {
        int end = base + CHUNK < count ? base + CHUNK : count;
        for (int i = base; i < end; i++)
            connections[i].fd = connect_one(i);
        for (int i = base; i < end; i++)
            send_message(&connections[i]);
        for (int i = base; i < end; i++)
            while (!receive(&connections[i], 0))
                ;
    }
}

/* A few say goodbye and wait for the end of the stream, to see that the server closes. The rest is
 * reset: tens of thousands of sockets in TIME_WAIT would slow down what is measured next. */
static void close_all(int count)
{
    for (int i = 0; i < count; i++) {
        char byte;
        if (i < POLITE) {
            shutdown(connections[i].fd, SHUT_WR);
            if (recv(connections[i].fd, &byte, 1, 0) != 0)
                complain("the server did not close after the end of the stream");
        }
        close_hard(connections[i].fd);
    }
}

/* ------------------------------------------------ the measurement */

/* Run until `round_trips` are done or, if that is 0, until the clock says so. Returns how many are
 * done. */
static long run(long round_trips, int64_t deadline_ns)
{
    struct epoll_event events[EVENTS];
    long done = 0;
    int stop = 0;

    for (int i = 0; i < options.connections; i++)
        send_message(&connections[i]);
    while (!stop) {
        int count = epoll_wait(poller, events, EVENTS, 10000);
        if (count <= 0)
            complain("no echo for ten seconds");
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!receive(connection, MSG_DONTWAIT))
                continue;
            done++;
            send_message(connection);
        }
        stop = round_trips ? done >= round_trips : now_ns(CLOCK_MONOTONIC) >= deadline_ns;
    }
    return done;
}

/* A window ends when its last message has come home, for the server has worked for each of them by
 * then. */
static long drain(void)
{
    for (int i = 0; i < options.connections; i++)
        while (!receive(&connections[i], 0))
            ;
    return options.connections;
}

static void watch_active(void)
{
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < options.connections; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = &connections[i]};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, connections[i].fd, &event) < 0)
            die("epoll_ctl");
    }
}

static void measure_window(void)
{
    struct usage usage = usage_now();
    long done = run(options.round_trips, usage.time_ns + (int64_t)(options.seconds * 1e9));
    done += drain();
    usage = usage_since(usage);
    printf("round_trips %ld seconds %.6f cpu_ns %lld calls %lld\n", done,
           (double)usage.time_ns / 1e9, (long long)usage.cpu_ns, (long long)usage.calls);
    fflush(stdout);
}

static void measure(void)
{
    int total = options.connections + options.idle;
    long rss_kb = server_rss_kb();
    char line[64];

    connect_all(total);
    if (rss_kb >= 0)
        rss_kb = server_rss_kb() - rss_kb;
    watch_active();
    run(options.warm_up * options.connections, 0);
    drain();
    printf("connections %d rss_kb %ld\n", total, rss_kb);
    fflush(stdout);
    if (options.gate)
        while (fgets(line, sizeof line, stdin))
            measure_window();
    else
        measure_window();
    close_all(total);
}

static void usage_text(void)
{
    fprintf(stderr, "usage: load -p PORT [-c CONNECTIONS] [-i IDLE] [-s SIZE] [-w WARM_UP]\n"
                    "            [-n ROUND_TRIPS | -t SECONDS] [-P SERVER_PID] [-k] [-g]\n"
                    "  -w  round trips per connection before the measured window (100)\n"
                    "  -P  also measure the CPU time and the memory of this process\n"
                    "  -k  and count its system calls, if the kernel lets us\n"
                    "  -g  measure one window for each line on stdin instead of a single one\n");
    exit(2);
}

static void parse(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "p:c:i:s:w:n:t:P:kg")) != -1)
        switch (option) {
        case 'p': options.port = atoi(optarg); break;
        case 'c': options.connections = atoi(optarg); break;
        case 'i': options.idle = atoi(optarg); break;
        case 's': options.size = atoi(optarg); break;
        case 'w': options.warm_up = atol(optarg); break;
        case 'n': options.round_trips = atol(optarg); break;
        case 't': options.seconds = atof(optarg); break;
        case 'P': options.pid = atoi(optarg); break;
        case 'k': options.count_calls = 1; break;
        case 'g': options.gate = 1; break;
        default: usage_text();
        }
    if (!options.port || options.connections < 1 || options.size < 1 || options.size > SIZE_MAX_)
        usage_text();
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    uint32_t random = 1;

    parse(argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    for (size_t i = 0; i < sizeof pattern; i++) {
        random = random * 1664525 + 1013904223;
        pattern[i] = (char)(random >> 24);
    }
    if (options.pid && clock_getcpuclockid(options.pid, &server_clock) != 0)
        complain("no such server process");
    if (options.count_calls && options.pid)
        open_calls();
    connections = calloc((size_t)(options.connections + options.idle), sizeof *connections);
    if (!connections)
        die("calloc");
    touch_server();
    measure();
    return 0;
}
