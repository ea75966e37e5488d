/*
 * io.h: what the tests of descriptors, sockets, callbacks and streams have in common. Include it
 * after async.h and test.h.
 *
 *     TASK_TEST(suite, name, int ends[2];)        the body is a coroutine in a loop of its own
 *     {
 *         ssize_t n;
 *         async_begin;
 *         ...
 *         async_end;
 *     }
 *
 * An operation with a limit of 0 ms asks what is possible now, after one look at the poller: a
 * test that a fault would make wait for ever says -ETIMEDOUT instead.
 */
#ifndef TEST_IO_H
#define TEST_IO_H

#include <sys/resource.h>
#include <sys/wait.h>

#define TASK_TEST(suite, name, ...) \
    async_declare(suite##_##name, __VA_ARGS__); \
    TEST(suite, name) \
    { \
        check_equal(async_run(suite##_##name), 0); \
    } \
    async_define(suite##_##name)

/* The same where another build runs the test. */
#define TASK_TEST_ELSEWHERE(suite, name, ...) \
    async_declare(suite##_##name, __VA_ARGS__); \
    TEST_ELSEWHERE(suite, name) \
    { \
        async_run(suite##_##name); \
    } \
    async_define(suite##_##name)

#ifdef TEST_SIMULATED
#define REAL_TASK_TEST(suite, name, why, ...) TASK_TEST_ELSEWHERE(suite, name, __VA_ARGS__)
#define SIMULATED_TASK_TEST(...) TASK_TEST(__VA_ARGS__)
#else
#define REAL_TASK_TEST(suite, name, why, ...) TASK_TEST(suite, name, __VA_ARGS__)
#define SIMULATED_TASK_TEST(...) TASK_TEST_ELSEWHERE(__VA_ARGS__)
#endif

#define IO_UNUSED TEST_ATTRIBUTE((unused))

/* Blocking, and not the loop's. */
IO_UNUSED static void raw_pair(int ends[2])
{
    check_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

IO_UNUSED static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* A blocking socket that is connected, or at least on its way, to a listener on loopback. */
IO_UNUSED static int raw_client(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    check(fd >= 0);
    check_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

IO_UNUSED static int raw_listener(int backlog)
{
    struct sockaddr_in address = loopback(0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    check(fd >= 0);
    check_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    check_equal(listen(fd, backlog), 0);
    return fd;
}

/* Both ends of a TCP connection, blocking. */
IO_UNUSED static void raw_tcp_pair(int ends[2])
{
    int listener = raw_listener(1);

    ends[0] = raw_client(async_port(listener));
    ends[1] = accept(listener, NULL, NULL);
    check(ends[1] >= 0);
    close(listener);
}

IO_UNUSED static int is_nonblocking(int fd)
{
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

IO_UNUSED static int is_close_on_exec(int fd)
{
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

IO_UNUSED static int is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* The lowest number that no descriptor has: it stays the same if nothing was left open. */
IO_UNUSED static int lowest_free(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    close(fd);
    return fd;
}

/* Write until a non-blocking descriptor takes no more. Returns how much it took. */
IO_UNUSED static size_t fill(int fd)
{
    static char block[4096];
    size_t sum = 0, size = sizeof block;

    while (size > 0) {
        ssize_t n = write(fd, block, size);
        if (n > 0)
            sum += (size_t)n;
        else
            size /= 2;
    }
    return sum;
}

/* Read `size` bytes from a blocking descriptor and forget them. */
IO_UNUSED static void drain(int fd, size_t size)
{
    static char block[4096];

    while (size > 0) {
        ssize_t n = read(fd, block, size < sizeof block ? size : sizeof block);
        check(n > 0);
        size -= (size_t)n;
    }
}

/* A step that takes so long. */
IO_UNUSED static void take_ms(int64_t duration_ms)
{
#ifdef TEST_SIMULATED
    sim_advance(duration_ms);
#else
    int64_t end = async_now() + duration_ms * 1000000;

    while (async_now() < end) {
    }
#endif
}

/* Callbacks that do nothing. */
IO_UNUSED static void ignore(void *data)
{
    (void)data;
}

IO_UNUSED static void ignore_ready(int fd, void *data)
{
    (void)fd;
    (void)data;
}

IO_UNUSED static void ignore_data(async_stream *stream, const char *data, ssize_t size)
{
    (void)stream;
    (void)data;
    (void)size;
}

/* A pattern that shows a byte that is missing, doubled or elsewhere: its period is a prime. */
IO_UNUSED static char pattern_at(size_t place)
{
    return (char)(place % 251);
}

IO_UNUSED static void pattern_put(char *data, size_t place, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = pattern_at(place + i);
}

IO_UNUSED static int pattern_is(const char *data, size_t place, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != pattern_at(place + i))
            return 0;
    }
    return 1;
}

#ifdef TEST_SIMULATED
#define allow_descriptors(count) ((void)0)
#define leave_descriptors(spare) (sim_limit(spare), (rlim_t)0)
#define restore_descriptors(count) ((void)(count), sim_limit(-1))
#else
/* Allow that many descriptors, where the system lets us. */
IO_UNUSED static void allow_descriptors(rlim_t count)
{
    struct rlimit limit;

    check_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= count)
        return;
    limit.rlim_cur = count;
    if (limit.rlim_max < count || setrlimit(RLIMIT_NOFILE, &limit) != 0)
        test_skip("the system allows too few descriptors");
}

/* Allow `spare` descriptors besides those that are open. Returns the limit that was. */
IO_UNUSED static rlim_t leave_descriptors(int spare)
{
    struct rlimit limit;
    rlim_t old;
    int count = 0;

    check_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    old = limit.rlim_cur;
    while (spare > 0 || is_open(count))
        spare -= !is_open(count++);
    limit.rlim_cur = (rlim_t)count;
    check_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return old;
}

IO_UNUSED static void restore_descriptors(rlim_t count)
{
    struct rlimit limit;

    check_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = count;
    check_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}
#endif

/* From here on close(2) of a TCP socket resets the connection. */
IO_UNUSED static void reset_on_close(int fd)
{
    struct linger at_once;

    at_once.l_onoff = 1;
    at_once.l_linger = 0;
    check_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
}

/* What runs in a child of the test; its result there, or 1000 and the signal that ended it. */
IO_UNUSED static int in_child(int (*body)(void))
{
    int status;
    pid_t pid = fork();
    if (!pid) {
        int result = body();
        test_save_coverage();
        _exit(result);
    }
    check(pid > 0);
    while (waitpid(pid, &status, 0) < 0) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* One operation, and what came of it. */
async(io_reader, int fd; void *data; size_t size; async_result *result;)
{
    async_result n;
    async_begin;
    await(n, async_read(self->fd, self->data, self->size));
    *self->result = n;
    async_end;
}

async(io_writer, int fd; const void *data; size_t size; async_result *result;)
{
    async_result n;
    async_begin;
    await(n, async_write(self->fd, self->data, self->size));
    *self->result = n;
    async_end;
}

#endif
