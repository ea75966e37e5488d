/* The echo server on libevent, with bufferevents as its book documents them: the input is moved to
 * the output. */
#define _GNU_SOURCE
#include "echo.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

static void on_read(struct bufferevent *stream, void *data)
{
    (void)data;
    bufferevent_write_buffer(stream, bufferevent_get_input(stream));
}

static void on_drained(struct bufferevent *stream, void *data)
{
    (void)data;
    bufferevent_free(stream);
}

/* At the end of the stream the output that still waits goes out first. */
static void on_event(struct bufferevent *stream, short events, void *data)
{
    (void)data;
    if ((events & BEV_EVENT_EOF) && evbuffer_get_length(bufferevent_get_output(stream)) > 0)
        bufferevent_setcb(stream, NULL, on_drained, on_event, NULL);
    else if (events & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_free(stream);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int size, void *base)
{
    struct bufferevent *stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    (void)listener, (void)address, (void)size;
    if (!stream) {
        close(fd);
        return;
    }
    bufferevent_setcb(stream, on_read, NULL, on_event, NULL);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

int main(int argc, char **argv)
{
    struct event_base *base = event_base_new();
    int fd;

    echo_setup();
    fd = echo_listen(echo_port(argc, argv));
    if (!base || !evconnlistener_new(base, on_accept, base, LEV_OPT_CLOSE_ON_FREE, 0, fd))
        echo_die("libevent");
    event_base_dispatch(base);
    return 0;
}
