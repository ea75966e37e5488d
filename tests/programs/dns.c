/*
 * A name server for names.sh, on 127.0.0.1, port 53, of a network of its own: what it knows, it
 * answers; for names below "silent" it never does.
 */
#include "async.h"

#include <sys/ioctl.h>

enum { A = 1, AAAA = 28, NXDOMAIN = 3, SERVFAIL = 2, SILENT = 16 };

static const struct {
    const char *name;
    int type, verdict;
    const char *address;
} zone[] = {
    { "both.test", AAAA, 0, "::1" },
    { "both.test", A, 0, "127.0.0.1" },
    { "four.test", AAAA, 0, NULL },
    { "four.test", A, 0, "127.0.0.1" },
    { "far.test", AAAA, 0, "2001:db8::1" },
    { "far.test", A, 0, "127.0.0.1" },
    { "slow.test", AAAA, SILENT, NULL },
    { "slow.test", A, 0, "127.0.0.1" },
    { "dead.test", AAAA, SILENT, NULL },
    { "dead.test", A, SILENT, NULL },
    { "broken.test", AAAA, SERVFAIL, NULL },
    { "broken.test", A, SERVFAIL, NULL },
};

/* The name in a question, with dots. Returns where it ends, or -1. */
static int read_name(const unsigned char *data, int size, char *name)
{
    int at = 12, length = 0;
    while (at < size && data[at] && at + data[at] < size && length + data[at] < 250) {
        memcpy(name + length, data + at + 1, data[at]);
        length += data[at];
        name[length++] = '.';
        at += data[at] + 1;
    }
    name[length ? length - 1 : 0] = '\0';
    return at + 5 <= size ? at + 1 : -1;
}

/* Turns a question into its answer. Returns its size, 0: there is none. */
static int reply(unsigned char *data, int size)
{
    static const unsigned char head[] = { 0xc0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0 };
    char name[256];
    int end = size > 12 ? read_name(data, size, name) : -1, verdict = NXDOMAIN, type;
    if (end < 0)
        return 0;
    type = data[end + 1];
    size = end + 4;
    memset(data + 6, 0, 6);
    for (size_t i = 0; i < sizeof zone / sizeof *zone; i++) {
        int length = type == A ? 4 : 16;
        if (strcmp(zone[i].name, name) != 0 || zone[i].type != type)
            continue;
        verdict = zone[i].verdict;
        if (!zone[i].address)
            continue;
        memcpy(data + size, head, sizeof head);
        data[size + 3] = (unsigned char)type;
        data[size + 11] = (unsigned char)length;
        inet_pton(type == A ? AF_INET : AF_INET6, zone[i].address, data + size + 12);
        size += 12 + length;
        data[7]++;
    }
    data[2] = 0x84; /* an answer, with authority */
    data[3] = (unsigned char)verdict;
    return verdict == SILENT ? 0 : size;
}

async(serve, int fd; async_address from; unsigned char data[600];)
{
    ssize_t n;
    async_begin;
    self->fd = async_bind_udp("127.0.0.1", 53, NULL);
    if (self->fd < 0)
        async_return(self->fd);
    printf("listening on 127.0.0.1:53\n");
    fflush(stdout);
    for (;;) {
        await(n, async_recvfrom(self->fd, self->data, 512, &self->from));
        if (n <= 0)
            continue;
        n = reply(self->data, (int)n);
        if (n > 0)
            await(n, async_sendto(self->fd, self->data, (size_t)n, &self->from));
    }
    async_end;
}

/* A network that was just made has its loopback down. */
static void loopback_up(void)
{
    struct ifreq request;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        perror("loopback");
    close(fd);
}

int main(void)
{
    async_result result;
    loopback_up();
    result = async_run(serve);
    fprintf(stderr, "%s\n", strerror((int)-result));
    return 1;
}
