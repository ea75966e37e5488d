/* The yardstick: an echo server written by hand on edge-triggered epoll, with nothing that could be
 * left out. A round trip costs one recv, one send and a share of one epoll_wait: a read shorter
 * than the buffer means that the socket is drained, so nobody asks a second time just to hear
 * EAGAIN. */
#define _GNU_SOURCE
#include "echo.h"
#include <stdint.h>
#include <sys/epoll.h>

enum { EVENTS = 256, DESCRIPTORS = 1 << 16 };

/* What a full send buffer left over. It exists only while a client does not read its echo. */
struct rest {
    size_t sent, size;
    char data[ECHO_BUFFER];
};

static char buffer[ECHO_BUFFER];
static struct rest *rests[DESCRIPTORS];
static int poller;

static void drop(int fd)
{
    free(rests[fd]);
    rests[fd] = NULL;
    close(fd);
}

/* Send what was just read. Returns 1 when it is gone, 0 when some of it waits, -1 when the client
 * is lost. */
static int answer(int fd, ssize_t size)
{
    ssize_t sent = send(fd, buffer, (size_t)size, MSG_NOSIGNAL);
    if (sent == size)
        return 1;
    if (sent < 0 && errno != EAGAIN)
        return -1;
    sent = sent < 0 ? 0 : sent;
    rests[fd] = malloc(sizeof *rests[fd]);
    if (!rests[fd])
        return -1;
    rests[fd]->sent = 0;
    rests[fd]->size = (size_t)(size - sent);
    memcpy(rests[fd]->data, buffer + sent, (size_t)(size - sent));
    return 0;
}

/* Send what waits. Returns as answer() does. */
static int flush(int fd)
{
    struct rest *rest = rests[fd];
    while (rest->sent < rest->size) {
        ssize_t n = send(fd, rest->data + rest->sent, rest->size - rest->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        rest->sent += (size_t)n;
    }
    free(rest);
    rests[fd] = NULL;
    return 1;
}

/* Echo until the socket is drained. Once the peer has hung up there is no further edge, so a short
 * read proves nothing then and the end of the stream has to be read. */
static void echo(int fd, int hang_up)
{
    for (;;) {
        ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        int done;
        if (n <= 0) {
            if (n == 0 || errno != EAGAIN)
                drop(fd);
            return;
        }
        done = answer(fd, n);
        if (done < 0)
            drop(fd);
        if (done <= 0)
            return;
        if (n < (ssize_t)sizeof buffer && !hang_up)
            return;
    }
}

/* After a wait for room the edge of data that came meanwhile is long gone: read whatever there is.
 */
static void on_event(int fd, uint32_t events)
{
    int waited = rests[fd] != NULL;
    if (waited) {
        int done = flush(fd);
        if (done < 0)
            drop(fd);
        if (done <= 0)
            return;
    }
    if (waited || (events & ~(uint32_t)EPOLLOUT))
        echo(fd, waited || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)));
}

static void on_accept(int listener)
{
    for (;;) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        event.data.fd = fd;
        if (fd >= DESCRIPTORS || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
            close(fd);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN};
    int listener;

    echo_setup();
    listener = echo_listen(echo_port(argc, argv));
    poller = epoll_create1(EPOLL_CLOEXEC);
    event.data.fd = listener;
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) < 0)
        echo_die("epoll");
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++)
            if (events[i].data.fd == listener)
                on_accept(listener);
            else
                on_event(events[i].data.fd, events[i].events);
    }
}
