/* Sends bytes that can be told from all others, and checks what comes, at the speed of memcmp:
 *
 *     pattern serve SIZE        listens, says where, and exchanges with the first who connects
 *     pattern connect PORT SIZE connects and exchanges
 *     pattern echo PORT SIZE    likewise, with an echo: what it sent comes back
 *     pattern stuff PORT        sends and does not read, until nothing is taken for a second: "stuck after N"; at a
 *                               line of input reads it back up to the end: "all of it came back", or "some"
 *
 * To exchange is to send SIZE bytes and receive SIZE others at the same time, and then the end. Each side's stream
 * repeats a block whose length is a prime, so that no piece that is lost, doubled or misplaced looks right. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK = 1000003, PIECE = 1 << 18 };
static unsigned char block[2][BLOCK + PIECE], got[PIECE];

static void fail(const char *what, long long at)
{
    fprintf(stderr, "pattern: %s after %lld bytes: %s\n", what, at, errno ? strerror(errno) : "");
    exit(1);
}

static void fill(void)
{
    uint64_t state = 1;
    size_t side, i;
    for (side = 0; side < 2; side++) {
        for (i = 0; i < BLOCK; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            block[side][i] = (unsigned char)(state >> 56);
        }
        memcpy(block[side] + BLOCK, block[side], PIECE);
    }
}

static size_t at_most(long long left)
{
    return left < PIECE ? (size_t)left : PIECE;
}

/* Receive what is there, and check it against `side`. Returns 0 at the end. */
static int receive(int fd, int side, long long *done, long long size)
{
    ssize_t n = read(fd, got, PIECE);
    if (n < 0 && errno != EAGAIN)
        fail("read", *done);
    if (n > 0 && (*done + n > size || memcmp(got, block[side] + *done % BLOCK, (size_t)n) != 0))
        errno = 0, fail("not what was sent", *done);
    *done += n > 0 ? n : 0;
    return n != 0;
}

static long long sending(int fd, int side, long long sent, long long size)
{
    ssize_t n = write(fd, block[side] + sent % BLOCK, at_most(size - sent));
    if (n < 0 && errno != EAGAIN)
        fail("write", sent);
    sent += n > 0 ? n : 0;
    if (sent == size)
        shutdown(fd, SHUT_WR);
    return sent;
}

static void exchange(int fd, int out, int in, long long size)
{
    long long sent = 0, received = 0;
    struct pollfd it = {.fd = fd};
    int open = 1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (open || sent < size) {
        it.events = (short)((open ? POLLIN : 0) | (sent < size ? POLLOUT : 0));
        if (poll(&it, 1, -1) < 0)
            fail("poll", sent);
        if (open && it.revents & (POLLIN | POLLHUP | POLLERR))
            open = receive(fd, in, &received, size);
        if (sent < size && it.revents & (POLLOUT | POLLHUP | POLLERR))
            sent = sending(fd, out, sent, size);
    }
    errno = 0;
    if (received != size)
        fail("the end", received);
    printf("exchanged %lld\n", size);
}

static void stuff(int fd)
{
    long long sent = 0, received = 0, most = 256 << 20;
    struct pollfd it = {.fd = fd, .events = POLLOUT};
    char line[8];
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (sent < most && poll(&it, 1, 1000) > 0)
        sent = sending(fd, 0, sent, most);
    printf("stuck after %lld\n", sent);
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        exit(0);
    shutdown(fd, SHUT_WR);
    it.events = POLLIN;
    while (poll(&it, 1, -1) > 0 && receive(fd, 0, &received, sent)) {}
    printf("%s of it came back\n", received == sent ? "all" : "some");
}

static int served(void)
{
    struct sockaddr_in it = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof it;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&it, size) || listen(fd, 5) || getsockname(fd, (struct sockaddr *)&it, &size))
        fail("listen", 0);
    printf("listening on 127.0.0.1:%d\n", ntohs(it.sin_port));
    fflush(stdout);
    return accept(fd, NULL, NULL);
}

static int connected(const char *port)
{
    struct sockaddr_in it = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    it.sin_port = htons((unsigned short)atoi(port));
    if (connect(fd, (struct sockaddr *)&it, sizeof it) < 0)
        fail("connect", 0);
    return fd;
}

int main(int argc, char **argv)
{
    int server = argc == 3 && strcmp(argv[1], "serve") == 0;
    fill();
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "stuff") == 0)
        stuff(connected(argv[2]));
    else
        exchange(server ? served() : connected(argv[2]), server,
                 strcmp(argv[1], "echo") == 0 ? 0 : !server, atoll(argv[server ? 2 : 3]));
    return 0;
}
