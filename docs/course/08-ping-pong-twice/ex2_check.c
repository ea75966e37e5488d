#include "async_test.h"
#include "ex2.c"

static char sent[MOST], capital[MOST];

static void make_texts(void)
{
    for (size_t i = 0; i < MOST; i++) {
        sent[i] = "half-closed. "[i % 13];
        capital[i] = "HALF-CLOSED. "[i % 13];
    }
}

static int connect_to_server(int with_callbacks)
{
    int ends[2];
    sim_tcp_pair(ends);
    async_adopt(ends[1]);
    if (with_callbacks)
        serve_with_callbacks(ends[1]);
    else
        cr_assert(async_spawn(serve_with_awaits, ends[1]) > 0);
    return async_adopt(ends[0]);
}

/* Send so much of the text, end our side, log what comes back. */
async(exchange, int with_callbacks; size_t size; int fd; char got[MOST + 1]; size_t count;)
{
    ssize_t n;
    async_begin;
    self->fd = connect_to_server(self->with_callbacks);
    await(n, async_write(self->fd, sent, self->size), 60000);
    sim_shutdown(self->fd, SHUT_WR);
    for (;;) {
        await(n, async_read(self->fd, self->got + self->count, sizeof self->got - self->count), 60000);
        if (n <= 0)
            break;
        self->count += (size_t)n;
    }
    sim_log("sent %d, back %d%s%s", (int)self->size, (int)self->count, n == 0 ? "" : ", no end",
            memcmp(self->got, capital, self->count < MOST ? self->count : MOST) == 0 ? "" : ", other bytes");
    async_close(self->fd);
    async_end;
}

/* Send, and break off while the answer may still be on its way: to be survived. */
async(leave, int with_callbacks; int fd;)
{
    ssize_t n;
    async_begin;
    self->fd = connect_to_server(self->with_callbacks);
    await(n, async_write(self->fd, sent, 100), 60000);
    (void)n;
    sim_shutdown(self->fd, SHUT_WR);
    await(async_sleep(60000));
    sim_reset(self->fd);
    async_close(self->fd);
    await(async_sleep(60000));
    async_end;
}

async(exchange_all, int with_callbacks;)
{
    async_begin;
    make_texts();
    await(async_call(exchange, self->with_callbacks, 11));
    await(async_call(exchange, self->with_callbacks, 300));
    await(async_call(exchange, self->with_callbacks, 0));
    sim_expect("sent 11, back 11", "sent 300, back 300", "sent 0, back 0");
    async_end;
}

AsyncTestWith(ex_8_2, callbacks_answer,
              (.seeds = 50, .says = "With callbacks: all of the text comes back, after the client has ended its side."))
{
    async_begin;
    await(async_call(exchange_all, 1));
    async_end;
}

AsyncTestWith(ex_8_2, coroutine_answers,
              (.seeds = 50, .says = "With a coroutine: all of the text comes back, after the client has ended its side."))
{
    async_begin;
    await(async_call(exchange_all, 0));
    async_end;
}

AsyncTestWith(ex_8_2, nothing_is_left,
              (.seeds = 50, .says = "When a client breaks off before it has read its answer, its session ends, too."))
{
    async_begin;
    make_texts();
    await(async_call(leave, 1));
    await(async_call(leave, 0));
    async_end;
}
