/* tls_echo: a TLS server that answers with what it receives. CERTIFICATE (and
 * those that vouch for it) and KEY are PEM files; port 0 is a free one.
 * LIMIT_MS bounds the handshake, and nothing else.
 *
 *     cc -I. examples/adapters/tls_echo.c -o tls_echo \
 *         $(pkg-config --cflags --libs openssl)
 *     openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost \
 *         -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
 *     ./tls_echo 7443 cert.pem key.pem &
 *     openssl s_client -connect localhost:7443 -CAfile cert.pem
 */
#include "tls.h"
#include "../number.h"

async(session, int fd; SSL_CTX *context; int64_t limit_ms; tls *tls;
      char data[16384];)
{
    ssize_t n;
    async_begin;
    self->tls = tls_accepted(self->fd, self->context);
    if (!self->tls) {
        async_close(self->fd);
        async_return(-ENOMEM);
    }
    await(n, async_call(tls_handshake, self->tls), self->limit_ms);
    while (n >= 0) {
        await(n, async_call(tls_read, self->tls, self->data,
                            sizeof self->data));
        if (n <= 0)
            break;
        await(n, async_call(tls_write, self->tls, self->data, (size_t)n));
    }
    if (n < 0 && n != -ECANCELED)
        fprintf(stderr, "tls_echo: %s%s%s\n", strerror((int)-n),
                *tls_error(self->tls) ? ": " : "", tls_error(self->tls));
    async_finally;
    tls_close(self->tls);
    async_end;
}

static void on_stop(int n, void *p) { (void)n, (void)p, async_loop_stop(); }

async(server, int port; SSL_CTX *context; int64_t limit_ms; int listener;)
{
    int fd;
    async_begin;
    self->listener = async_listen("127.0.0.1", self->port);
    async_on_signal(SIGTERM, NULL, on_stop);
    async_on_signal(SIGINT, NULL, on_stop);
    if (self->listener >= 0)
        printf("listening on 127.0.0.1:%d\n", async_port(self->listener));
    fflush(stdout);
    for (;;) {
        await(fd, async_accept(self->listener));
        if (fd < 0)
            async_return(fd);
        if (async_spawn(session, fd, self->context, self->limit_ms) < 0)
            async_close(fd);
    }
    async_end;
}

int main(int argc, char **argv)
{
    SSL_CTX *context;
    int port, limit_ms = 10000, error;
    if (argc < 4 || argc > 5 ||
        read_number(&port, "PORT", argv[1], 0, 65535) ||
        (argc > 4 &&
         read_number(&limit_ms, "LIMIT_MS", argv[4], 1, NUMBER_MAX)))
        return fprintf(stderr, "usage: tls_echo PORT CERTIFICATE KEY "
                               "[LIMIT_MS]\n"), 2;
    context = tls_server_context(argv[2], argv[3]);
    if (!context) {
        ERR_print_errors_fp(stderr);
        return 1;
    }
    error = (int)async_run(server, port, context, limit_ms);
    SSL_CTX_free(context);
    if (error == -ECANCELED) /* by on_stop */
        return 0;
    fprintf(stderr, "tls_echo: %s\n", strerror(-error));
    return 1;
}
