/* The echo server on libuv in its fastest form: one static read buffer, and uv_try_write before
 * uv_write. */
#define _GNU_SOURCE
#include "echo.h"
#include <uv.h>

struct late_write {
    uv_write_t request;
    char data[];
};

static char buffer[ECHO_BUFFER];

static void on_close(uv_handle_t *handle)
{
    free(handle);
}

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)handle, (void)suggested;
    *out = uv_buf_init(buffer, sizeof buffer);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *in);

static void on_written(uv_write_t *request, int status)
{
    if (status == 0)
        uv_read_start(request->handle, on_buffer, on_read);
    else if (!uv_is_closing((uv_handle_t *)request->handle))
        uv_close((uv_handle_t *)request->handle, on_close);
    free(request);
}

/* What did not fit is copied, and reading pauses until it is gone, as in the other servers. */
static void write_later(uv_stream_t *stream, const char *data, size_t size)
{
    struct late_write *late = malloc(sizeof *late + size);
    uv_buf_t out;
    if (!late) {
        uv_close((uv_handle_t *)stream, on_close);
        return;
    }
    memcpy(late->data, data, size);
    out = uv_buf_init(late->data, (unsigned)size);
    uv_read_stop(stream);
    uv_write(&late->request, stream, &out, 1, on_written);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *in)
{
    uv_buf_t out = uv_buf_init(in->base, n < 0 ? 0 : (unsigned)n);
    int sent;
    if (n < 0)
        uv_close((uv_handle_t *)stream, on_close);
    if (n <= 0)
        return;
    sent = uv_try_write(stream, &out, 1);
    if (sent == n)
        return;
    if (sent < 0 && sent != UV_EAGAIN) {
        uv_close((uv_handle_t *)stream, on_close);
        return;
    }
    sent = sent < 0 ? 0 : sent;
    write_later(stream, buffer + sent, (size_t)(n - sent));
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *client;
    if (status < 0)
        return;
    client = malloc(sizeof *client);
    if (!client)
        return;
    uv_tcp_init(listener->loop, client);
    if (uv_accept(listener, (uv_stream_t *)client) < 0)
        uv_close((uv_handle_t *)client, on_close);
    else
        uv_read_start((uv_stream_t *)client, on_buffer, on_read);
}

int main(int argc, char **argv)
{
    uv_tcp_t listener;

    echo_setup();
    uv_tcp_init(uv_default_loop(), &listener);
    if (uv_tcp_open(&listener, echo_listen(echo_port(argc, argv))) < 0)
        echo_die("uv_tcp_open");
    if (uv_listen((uv_stream_t *)&listener, 4096, on_connection) < 0)
        echo_die("uv_listen");
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
