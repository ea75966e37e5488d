/* tls_client: what is typed goes to a TLS server, what it answers is shown; the
 * certificate must be HOST's, or NAME's. CA_FILE has the authorities to
 * trust, "-": the system's. LIMIT_MS bounds the handshake.
 *
 *     cc -I. examples/adapters/tls_client.c -o tls_client \
 *         $(pkg-config --cflags --libs openssl)
 *     printf 'GET / HTTP/1.0\r\nHost: example.org\r\n\r\n' |
 *         ./tls_client example.org 443 -
 */
#include "tls.h"
#include "../number.h"

/* Standard input, then an end. */
async(sender, tls *tls; char data[16384];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(0, self->data, sizeof self->data));
        if (n <= 0)
            async_return(n < 0 ? n : tls_write_eof(self->tls));
        await(n, async_call(tls_write, self->tls, self->data, (size_t)n));
        if (n < 0)
            async_return(n);
    }
    async_end;
}

async(receiver, tls *tls; char data[16384];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_call(tls_read, self->tls, self->data,
                            sizeof self->data));
        if (n <= 0)
            async_return(n);
        await(n, async_write(1, self->data, (size_t)n));
        if (n < 0)
            async_return(n);
    }
    async_end;
}

async(client, const char *host; int port; const char *ca_file, *name;
      int64_t limit_ms; int fd; SSL_CTX *context; tls *tls; async_task sender;)
{
    int n;
    async_begin;
    async_adopt(0);
    async_adopt(1);
    self->context = tls_client_context(self->ca_file);
    if (!self->context) {
        ERR_print_errors_fp(stderr);
        async_return(-ENOENT);
    }
    await(self->fd, async_connect(self->host, self->port), self->limit_ms);
    if (self->fd < 0)
        async_return(self->fd);
    self->tls = tls_connected(self->fd, self->context, self->name);
    if (!self->tls)
        async_return(-ENOMEM);
    await(n, async_call(tls_handshake, self->tls), self->limit_ms);
    if (n < 0)
        async_return(n);
    self->sender = async_spawn(sender, self->tls);
    await(n, async_call(receiver, self->tls));
    async_return(n);
    async_finally;
    async_cancel(self->sender); /* before what it uses is gone */
    await(n, async_join(self->sender));
    if (self->tls && *tls_error(self->tls))
        fprintf(stderr, "tls_client: %s\n", tls_error(self->tls));
    tls_close(self->tls);
    SSL_CTX_free(self->context);
    async_end;
}

int main(int argc, char **argv)
{
    int port, limit_ms = 10000, error;
    if (argc < 4 || argc > 6 ||
        read_number(&port, "PORT", argv[2], 1, 65535) ||
        (argc > 5 &&
         read_number(&limit_ms, "LIMIT_MS", argv[5], 1, NUMBER_MAX)))
        return fprintf(stderr, "usage: tls_client HOST PORT CA_FILE [NAME "
                               "[LIMIT_MS]]\n"), 2;
    error = (int)async_run(client, .host = argv[1], .port = port,
                           .ca_file = strcmp(argv[3], "-") ? argv[3] : NULL,
                           .name = argc > 4 ? argv[4] : argv[1],
                           .limit_ms = limit_ms);
    if (error < 0)
        fprintf(stderr, "tls_client: %s\n", strerror(-error));
    return error < 0;
}
