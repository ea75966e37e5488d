/* tls.h - TLS 1.2 and 1.3 for async.h, by OpenSSL 1.1.1 or later.
 *
 *     self->context = tls_client_context(NULL);
 *     self->tls = tls_connected(fd, self->context, "example.org");
 *     await(n, async_call(tls_handshake, self->tls), 10000);
 *     await(n, async_call(tls_write, self->tls, self->data, size));
 *     await(n, async_call(tls_read, self->tls, self->data, sizeof self->data));
 *     tls_close(self->tls);
 *
 * OpenSSL works in memory: what it has to say goes into the queue of a stream,
 * what the stream receives is handed to it. So it never stops in the middle of
 * a record: one task may read while another writes, and who is cancelled or out
 * of time has lost nothing. Renegotiation (TLS 1.2) is refused.
 *
 * Results are as in async.h, and besides:
 *     -ECONNRESET  the peer is gone, and has not said that this was all
 *     -EACCES      its certificate is not to be trusted, or another host's
 *     -EPROTO      TLS failed in another way; tls_error has the words for each
 */
#ifndef TLS_H
#define TLS_H

#include "async.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* A connection. One task reads, one writes; a second one gets -EBUSY. */
typedef struct tls {
    SSL *ssl;
    async_stream *stream;
    int error; /* what ended it, a negative errno */
    size_t owed; /* bytes said in answer, by reading, since all was sent */
    char words[128], input[16384];
} tls;

/* What connections share: free it with SSL_CTX_free. A client trusts the
 * authorities in the PEM file `ca_file`; NULL: the system's. A server has its
 * certificate, followed by those that vouch for it, and its key in PEM files.
 * Return NULL if there is no memory or a file is no good: ERR_print_errors_fp
 * tells. Never suspend. */
static inline SSL_CTX *tls_client_context(const char *ca_file);
static inline SSL_CTX *tls_server_context(const char *certificate_file,
                                          const char *key_file);

/* Our end of a connection: opened by us to `host`, the name or the address that
 * its certificate must have; or accepted by us. `fd` is adopted, and the
 * connection's from here on. Return NULL, and `fd` is as before, if there is no
 * memory or async_stream_open refuses it. Never suspend. */
static inline tls *tls_connected(int fd, SSL_CTX *context, const char *host);
static inline tls *tls_accepted(int fd, SSL_CTX *context);

/* Say that this was all: the peer reads an end, we can still read. Returns 0 or
 * a negative errno. Never suspends. */
static inline int tls_write_eof(tls *it);

/* Say so, send what is queued, and free the connection; as async_stream_close.
 * Nobody may wait on it. Takes NULL. Never suspends. */
static inline void tls_close(tls *it);

/* Why it failed, in words; "" if it has not. Valid until tls_close. */
static inline const char *tls_error(const tls *it);

/* ---- between OpenSSL and the stream ---- */

static inline int tls__fail(tls *it, int error, const char *words)
{
    it->error = error;
    snprintf(it->words, sizeof it->words, "%s", words);
    return error;
}

/* What OpenSSL has to say is queued. Where the stream does not take it any more
 * there may still be something to read; whoever flushes is told. */
static inline int tls__push(tls *it)
{
    char *bytes;
    long size = BIO_get_mem_data(SSL_get_wbio(it->ssl), &bytes);
    int error = 0;
    if (size > 0)
        error = async_stream_write(it->stream, bytes, (size_t)size);
    (void)BIO_reset(SSL_get_wbio(it->ssl));
    return error == -ENOMEM ? tls__fail(it, error, strerror(ENOMEM)) : error;
}

/* Why OpenSSL does not go on. */
static inline int tls__refused(tls *it)
{
    long verdict = SSL_get_verify_result(it->ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (verdict != X509_V_OK)
        return tls__fail(it, -EACCES, X509_verify_cert_error_string(verdict));
    return tls__fail(it, -EPROTO, reason ? reason : "TLS failed");
}

/* A call of OpenSSL's gave `result`: returns it if it is positive, 0 at the
 * peer's end, -EAGAIN if it needs input, or another negative errno. */
static inline int tls__outcome(tls *it, int result)
{
    int why = SSL_get_error(it->ssl, result);
    tls__push(it);
    if (why == SSL_ERROR_NONE || why == SSL_ERROR_ZERO_RETURN)
        return why == SSL_ERROR_NONE ? result : 0;
    return why == SSL_ERROR_WANT_READ ? -EAGAIN : tls__refused(it);
}

/* Receive once, for OpenSSL. Returns 0 or a negative errno. */
async(tls__receive, tls *it;)
{
    ssize_t n;
    async_begin;
    await(n, async_stream_read(self->it->stream, self->it->input,
                               sizeof self->it->input));
    if (n == -ECANCELED || n == -ETIMEDOUT || n == -EBUSY || n == -ENOMEM)
        async_return(n); /* of this call, not of the connection */
    if (n == 0)
        async_return(tls__fail(self->it, -ECONNRESET,
                               "the peer is gone without a goodbye"));
    if (n < 0)
        async_return(tls__fail(self->it, (int)n, strerror((int)-n)));
    if (BIO_write(SSL_get_rbio(self->it->ssl), self->it->input, (int)n) != n)
        async_return(tls__fail(self->it, -ENOMEM, strerror(ENOMEM)));
    async_end;
}

/* ---- to be awaited ---- */

/* Agree on the keys, and see who the peer is. To be called first, and once.
 * Returns 0 or a negative errno. Suspends. Cancel point. */
async(tls_handshake, tls *it;)
{
    int n;
    async_begin;
    while (!self->it->error) {
        ERR_clear_error();
        n = tls__outcome(self->it, SSL_do_handshake(self->it->ssl));
        if (n >= 0)
            async_return(n ? 0 : -ECONNRESET);
        if (n != -EAGAIN)
            async_return(n);
        await(n, async_call(tls__receive, self->it));
        if (n < 0)
            async_return(n);
    }
    async_return(self->it->error);
    async_end;
}

/* Read up to `size` bytes into `data`, at least one. Returns the count; 0 when
 * the peer has said that this was all; or a negative errno. Suspends. Cancel
 * point. `data` must outlive the await: keep it in the frame. */
async(tls_read, tls *it; void *data; size_t size;)
{
    int n;
    async_begin;
    while (!self->it->error) {
        ERR_clear_error();
        n = SSL_read(self->it->ssl, self->data,
                     self->size < INT_MAX ? (int)self->size : INT_MAX);
        self->it->owed += BIO_ctrl_pending(SSL_get_wbio(self->it->ssl));
        n = tls__outcome(self->it, n);
        if (n != -EAGAIN)
            async_return(n);
        if (self->it->owed > 16384) { /* key updates... */
            await(n, async_stream_flush(self->it->stream), 0);
            if (n == -ETIMEDOUT || n == -EBUSY)
                async_return(tls__fail(self->it, -EPROTO,
                                       "the peer asks, and does not read"));
            if (n < 0)
                async_return(n);
            self->it->owed = 0;
        }
        await(n, async_call(tls__receive, self->it));
        if (n < 0)
            async_return(n);
    }
    async_return(self->it->error);
    async_end;
}

/* Write all of `size` bytes, the last of which may still be queued. Returns
 * `size`; fewer if cancelled or out of time when some were taken: these are on
 * their way; or a negative errno. Suspends. Cancel point. `data` must outlive
 * the await: keep it in the frame. Leave `done` out. */
async(tls_write, tls *it; const void *data; size_t size, done;)
{
    size_t piece;
    int n;
    async_begin;
    while (!self->it->error && self->done < self->size) {
        await(n, async_stream_flush(self->it->stream));
        if (self->done && (n == -ECANCELED || n == -ETIMEDOUT))
            async_return((ssize_t)self->done);
        if (n < 0)
            async_return(n);
        self->it->owed = 0;
        if (SSL_get_shutdown(self->it->ssl) & SSL_SENT_SHUTDOWN)
            async_return(-EPIPE);
        piece = self->size - self->done;
        ERR_clear_error();
        n = SSL_write(self->it->ssl, (const char *)self->data + self->done,
                      piece < 16384 ? (int)piece : 16384);
        n = tls__outcome(self->it, n);
        if (n < 0)
            async_return(n);
        self->done += (size_t)n;
    }
    async_return(self->it->error ? self->it->error : (ssize_t)self->done);
    async_end;
}

/* ---- the rest ---- */

static inline SSL_CTX *tls__context(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);
    if (context) {
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
        SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    }
    return context;
}

static inline SSL_CTX *tls_client_context(const char *ca_file)
{
    SSL_CTX *context = tls__context(TLS_client_method());
    if (!context)
        return NULL;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if ((ca_file ? SSL_CTX_load_verify_locations(context, ca_file, NULL)
                 : SSL_CTX_set_default_verify_paths(context)) == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

static inline SSL_CTX *tls_server_context(const char *certificate_file,
                                          const char *key_file)
{
    SSL_CTX *context = tls__context(TLS_server_method());
    if (!context)
        return NULL;
    if (SSL_CTX_use_certificate_chain_file(context, certificate_file) == 1 &&
        SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_check_private_key(context) == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

/* Takes `ssl`, which may be NULL. */
static inline tls *tls__new(int fd, SSL *ssl)
{
    tls *it = (tls *)calloc(1, sizeof *it);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (it && ssl && in && out && (it->stream = async_stream_open(fd))) {
        it->ssl = ssl;
        SSL_set_bio(ssl, in, out);
        return it;
    }
    BIO_free(in);
    BIO_free(out);
    SSL_free(ssl);
    free(it);
    return NULL;
}

static inline tls *tls_accepted(int fd, SSL_CTX *context)
{
    SSL *ssl = SSL_new(context);
    if (ssl)
        SSL_set_accept_state(ssl);
    return tls__new(fd, ssl);
}

/* Without a host nobody is to be trusted. */
static inline int tls__expect(SSL *ssl, const char *host)
{
    if (!ssl || !host || !*host)
        return 0;
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return 1; /* an address is not sent: RFC 6066, section 3 */
    return SSL_set1_host(ssl, host) == 1 &&
           SSL_set_tlsext_host_name(ssl, host) == 1;
}

static inline tls *tls_connected(int fd, SSL_CTX *context, const char *host)
{
    SSL *ssl = SSL_new(context);
    if (!tls__expect(ssl, host)) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return tls__new(fd, ssl);
}

static inline int tls_write_eof(tls *it)
{
    if (it->error)
        return it->error;
    ERR_clear_error();
    if (SSL_shutdown(it->ssl) < 0)
        return tls__refused(it);
    return tls__push(it);
}

static inline void tls_close(tls *it)
{
    if (!it)
        return;
    if (SSL_is_init_finished(it->ssl))
        (void)tls_write_eof(it);
    async_stream_close(it->stream);
    SSL_free(it->ssl);
    free(it);
}

static inline const char *tls_error(const tls *it)
{
    return it->words;
}
#endif
