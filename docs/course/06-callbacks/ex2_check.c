/* The server has a socket that holds 7 bytes; the client sends it 14. */
#include "async_test.h"

static int error; /* what a write has returned; after that the server must close */

static ssize_t logged_write(int fd, const void *data, size_t size)
{
    ssize_t n = async_write_nowait(fd, data, size);
    if (error)
        async_test_fail(__FILE__, __LINE__, "A write has failed (%s), and on_writable is still called, for ever.",
                        strerror(-error));
    if (n < 0 && n != -EAGAIN)
        error = (int)n;
    if (n > 0 && sim_is_calm())
        sim_log("write %d", (int)n);
    return n;
}

static int logged_close(int fd)
{
    if (sim_is_calm())
        sim_log("close");
    return async_close(fd);
}

#define async_write_nowait logged_write
#define async_close logged_close
#include "ex2.c"
#undef async_write_nowait
#undef async_close

AsyncTestWith(ex_6_2, closes_after_write,
              (.seeds = 50, .says = "The client receives every byte before the connection closes."),
              int ends[2]; char got[32]; size_t size;)
{
    static const int seven = 7;
    ssize_t n;
    async_begin;
    error = 0;
    sim_tcp_pair(self->ends);
    sim_setsockopt(self->ends[1], SOL_SOCKET, SO_SNDBUF, &seven, sizeof seven);
    async_adopt(self->ends[0]);
    serve(async_adopt(self->ends[1]));
    await(n, async_write(self->ends[0], "hello, client!", 14));
    if (n < 0)
        async_test_fail(__FILE__, __LINE__, "The server has hung up before the client has sent its message.");
    for (;;) {
        await(n, async_read(self->ends[0], self->got + self->size, sizeof self->got - self->size));
        if (n <= 0)
            break;
        self->size += (size_t)n;
    }
    if (sim_is_calm())
        sim_expect("write 7", "write 7", "close");
    if (self->size != 14 || memcmp(self->got, "hello, client!", 14) != 0)
        async_test_fail(__FILE__, __LINE__, "The client sent \"hello, client!\", and \"%.*s\" came back, then the end.",
                        (int)self->size, self->got);
    async_close(self->ends[0]);
    async_end;
}

AsyncTestWith(ex_6_2, closes_after_an_error,
              (.seeds = 50, .says = "When the client breaks off before it has read its echo, the server closes, too."),
              int ends[2];)
{
    static const int seven = 7;
    ssize_t n;
    async_begin;
    error = 0;
    sim_tcp_pair(self->ends);
    sim_setsockopt(self->ends[1], SOL_SOCKET, SO_SNDBUF, &seven, sizeof seven);
    async_adopt(self->ends[0]);
    serve(async_adopt(self->ends[1]));
    await(n, async_write(self->ends[0], "hello, client!", 14));
    (void)n;
    await(async_sleep(60000));
    sim_reset(self->ends[0]);
    async_close(self->ends[0]);
    await(async_sleep(60000));
    async_end;
}
