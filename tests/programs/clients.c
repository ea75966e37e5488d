/* Many clients in one process, for tests of servers that echo. Says what it has done in lines, and goes on when it
 * reads one:
 *
 *     clients PORT COUNT FROM [ADDRESS]
 *
 * connects COUNT times (from ADDRESS), "connected"; sends FROM + i on the i-th, and reads it back while all are open,
 * "echoed"; ends. Blocking calls: the kernel's buffers hold what is sent here. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what, int i)
{
    fprintf(stderr, "clients: %s (connection %d): ", what, i);
    perror(NULL);
    exit(1);
}

static struct sockaddr_in address(const char *host, int port)
{
    struct sockaddr_in it = {.sin_family = AF_INET};
    it.sin_port = htons((unsigned short)port);
    if (inet_pton(AF_INET, host, &it.sin_addr) != 1)
        fail("address", 0);
    return it;
}

/* From a port below those the system gives out: looking for a free one of its own takes it long when half of them are
 * taken. Reset at the end: so many connections must not stay behind for a minute. */
static int connected(int port, const char *from, int i)
{
    static int own_port = 10000;
    struct sockaddr_in to = address("127.0.0.1", port), own;
    struct linger reset = {.l_onoff = 1};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0)
        fail("socket", i);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    do
        own = address(from, own_port++);
    while (bind(fd, (struct sockaddr *)&own, sizeof own) < 0 && errno == EADDRINUSE && own_port < 32768);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        fail("connect", i);
    return fd;
}

static void say(const char *what)
{
    char line[16];
    printf("%s\n", what);
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        exit(0);
}

int main(int argc, char **argv)
{
    int port = atoi(argv[1]), count = atoi(argv[2]), from = atoi(argv[3]), i, got;
    int *fd = malloc((size_t)count * sizeof *fd);
    for (i = 0; i < count; i++)
        fd[i] = connected(port, argc > 4 ? argv[4] : "127.0.0.1", i);
    say("connected");
    for (i = 0; i < count; i++) {
        got = from + i;
        if (send(fd[i], &got, sizeof got, 0) != (ssize_t)sizeof got)
            fail("send", i);
    }
    for (i = 0; i < count; i++)
        if (recv(fd[i], &got, sizeof got, MSG_WAITALL) != (ssize_t)sizeof got || got != from + i)
            fail("not the same number back", i);
    say("echoed");
    return 0;
}
