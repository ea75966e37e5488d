/* The echo server on libuv the way its guide shows: every read allocates its buffer, every write
 * its request. */
#define _GNU_SOURCE
#include "echo.h"
#include <uv.h>

struct owned_write {
    uv_write_t request;
    uv_buf_t buffer;
};

static void on_close(uv_handle_t *handle)
{
    free(handle);
}

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)handle;
    out->base = malloc(suggested);
    out->len = out->base ? suggested : 0;
}

static void on_written(uv_write_t *request, int status)
{
    struct owned_write *owned = (struct owned_write *)request;
    (void)status;
    free(owned->buffer.base);
    free(owned);
}

/* At the end of the stream the writes that still wait go out first. */
static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)status;
    uv_close((uv_handle_t *)request->handle, on_close);
    free(request);
}

static void end_stream(uv_stream_t *stream)
{
    uv_shutdown_t *request = malloc(sizeof *request);
    uv_read_stop(stream);
    if (!request || uv_shutdown(request, stream, on_shutdown) < 0) {
        free(request);
        uv_close((uv_handle_t *)stream, on_close);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *in)
{
    struct owned_write *owned = n > 0 ? malloc(sizeof *owned) : NULL;
    if (owned) {
        owned->buffer = uv_buf_init(in->base, (unsigned)n);
        uv_write(&owned->request, stream, &owned->buffer, 1, on_written);
        return;
    }
    if (n < 0)
        end_stream(stream);
    free(in->base);
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *client = status < 0 ? NULL : malloc(sizeof *client);
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
