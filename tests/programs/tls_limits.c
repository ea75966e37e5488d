/* Both ends of a TLS connection read and write at once, every operation with a limit that it seldom keeps, or in a
 * task that is cancelled: of BYTES in each direction none is lost, repeated or moved.
 *     tls_limits CA_FILE CERTIFICATE KEY */
#include "../../examples/adapters/tls.h"
#define BYTES 3000000

static unsigned seed = 1;

static int chance(int most)
{
    seed = seed * 1103515245 + 12345;
    return (int)(seed >> 16) % (most + 1);
}

static char nth(size_t i)
{
    return (char)(i * 31 + i / 251);
}

typedef struct side {
    tls *tls;
    size_t sent, received, interrupted;
    char out[50000], in[30000];
} side;

static side sides[2];

async(send_some, side *side;)
{
    ssize_t n;
    size_t i;
    async_begin;
    while (self->side->sent < BYTES) {
        for (i = 0; i < sizeof self->side->out; i++)
            self->side->out[i] = nth(self->side->sent + i);
        n = BYTES - (ssize_t)self->side->sent;
        if (n > (ssize_t)sizeof self->side->out)
            n = (ssize_t)sizeof self->side->out;
        await(n, async_call(tls_write, self->side->tls, self->side->out, (size_t)n), chance(9) == 0);
        self->side->sent += n > 0 ? (size_t)n : 0;
        self->side->interrupted += n == -ETIMEDOUT;
        if (n < 0 && n != -ETIMEDOUT)
            async_return(n);
        await(async_yield());
    }
    async_end;
}

async(receive_some, side *side;)
{
    ssize_t n, i;
    async_begin;
    while (self->side->received < BYTES) {
        await(n, async_call(tls_read, self->side->tls, self->side->in, 1 + (size_t)chance(29999)), chance(9) == 0);
        for (i = 0; i < n; i++)
            if (self->side->in[i] != nth(self->side->received++))
                async_return(-EILSEQ);
        self->side->interrupted += n == -ETIMEDOUT;
        if (n == 0 || (n < 0 && n != -ETIMEDOUT))
            async_return(n ? n : -EPIPE);
        await(async_yield());
    }
    async_end;
}

/* Cancels its two tasks now and then, and starts others. */
async(both_ways, side *side; async_task tasks[2]; int result;)
{
    int n;
    async_begin;
    await(n, async_call(tls_handshake, self->side->tls), 10000);
    if (n < 0)
        async_return(n);
    do {
        self->tasks[0] = async_keep(async_spawn(send_some, self->side));
        self->tasks[1] = async_keep(async_spawn(receive_some, self->side));
        await(n, async_join_all(self->tasks, 2), chance(3) == 0);
        async_cancel(self->tasks[0]);
        async_cancel(self->tasks[1]);
        await(self->result, async_join(self->tasks[0]));
        await(n, async_join(self->tasks[1]));
        n = self->result < 0 ? self->result : n;
        self->side->interrupted += n == -ECANCELED;
    } while (n == -ECANCELED || n == -ETIMEDOUT);
    async_return(n);
    async_end;
}

async(all, char **files; SSL_CTX *contexts[2]; async_task tasks[2]; int ends[2];)
{
    int n, i;
    async_begin;
    self->contexts[0] = tls_client_context(self->files[1]);
    self->contexts[1] = tls_server_context(self->files[2], self->files[3]);
    if (!self->contexts[0] || !self->contexts[1] || async_socketpair(self->ends) < 0)
        async_return(-EINVAL);
    sides[0].tls = tls_connected(self->ends[0], self->contexts[0], "localhost");
    sides[1].tls = tls_accepted(self->ends[1], self->contexts[1]);
    for (i = 0; i < 2; i++) /* where little fits, much is interrupted */
        setsockopt(self->ends[i], SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int));
    for (i = 0; i < 2; i++)
        self->tasks[i] = async_spawn(both_ways, &sides[i]);
    await(n, async_join_all(self->tasks, 2));
    async_return(n);
    async_finally;
    for (i = 0; i < 2; i++) {
        printf("received %zu, interrupted %s\n", sides[i].received,
               sides[i].interrupted > 20 ? "often" : "seldom");
        tls_close(sides[i].tls);
        SSL_CTX_free(self->contexts[i]);
    }
    async_end;
}

int main(int argc, char **argv)
{
    int error = argc == 4 ? (int)async_run(all, argv) : -EINVAL;
    printf("%s\n", strerror(-error));
    return error < 0;
}
