/* The echo server on libev: one ev_io per connection, read and write by hand, as its manual shows.
 */
#define _GNU_SOURCE
#include "echo.h"
#include <ev.h>

struct connection {
    ev_io io;
    char *rest; /* only while the client does not read its echo */
    size_t sent, size;
};

static char buffer[ECHO_BUFFER];

static void drop(struct ev_loop *loop, struct connection *connection)
{
    ev_io_stop(loop, &connection->io);
    close(connection->io.fd);
    free(connection->rest);
    free(connection);
}

static void wait_for(struct ev_loop *loop, ev_io *io, int events)
{
    ev_io_stop(loop, io);
    ev_io_set(io, io->fd, events);
    ev_io_start(loop, io);
}

static void flush(struct ev_loop *loop, struct connection *connection)
{
    size_t left = connection->size - connection->sent;
    ssize_t n = send(connection->io.fd, connection->rest + connection->sent, left, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN)
            drop(loop, connection);
        return;
    }
    connection->sent += (size_t)n;
    if (connection->sent < connection->size)
        return;
    free(connection->rest);
    connection->rest = NULL;
    wait_for(loop, &connection->io, EV_READ);
}

static void keep_rest(struct ev_loop *loop, struct connection *connection, size_t sent, size_t size)
{
    connection->rest = malloc(size - sent);
    if (!connection->rest) {
        drop(loop, connection);
        return;
    }
    memcpy(connection->rest, buffer + sent, size - sent);
    connection->sent = 0;
    connection->size = size - sent;
    wait_for(loop, &connection->io, EV_WRITE);
}

static void on_event(struct ev_loop *loop, ev_io *io, int events)
{
    struct connection *connection = (struct connection *)io;
    ssize_t n, sent;

    if (events & EV_WRITE) {
        flush(loop, connection);
        return;
    }
    n = recv(io->fd, buffer, sizeof buffer, 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            drop(loop, connection);
        return;
    }
    sent = send(io->fd, buffer, (size_t)n, MSG_NOSIGNAL);
    if (sent == n)
        return;
    if (sent < 0 && errno != EAGAIN)
        drop(loop, connection);
    else
        keep_rest(loop, connection, sent < 0 ? 0 : (size_t)sent, (size_t)n);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
    (void)events;
    for (;;) {
        struct connection *connection;
        int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        connection = calloc(1, sizeof *connection);
        if (!connection) {
            close(fd);
            continue;
        }
        ev_io_init(&connection->io, on_event, fd, EV_READ);
        ev_io_start(loop, &connection->io);
    }
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = ev_default_loop(EVBACKEND_EPOLL);
    ev_io accepting;

    if (!loop)
        echo_die("ev_default_loop");
    echo_setup();
    ev_io_init(&accepting, on_accept, echo_listen(echo_port(argc, argv)), EV_READ);
    ev_io_start(loop, &accepting);
    ev_run(loop, 0);
    return 0;
}
