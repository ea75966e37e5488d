/* What the system has taken from the sender: send and sendmsg are counted. */
#define sim_send counted_send
#define sim_sendmsg counted_sendmsg
#include "async_test.h"
#undef sim_send
#undef sim_sendmsg

#include "ex3.c"

enum { MOST = 4 * 1024 };

/* More than the system holds for a socket: 64 KiB; less where faults make
 * that small. */
static int pieces(void)
{
    return sim_is_calm() ? 400 : 40;
}

static struct {
    int count;
    size_t taken, most;
} file;

ssize_t sim_send(int fd, const void *data, size_t size, int flags);
ssize_t counted_send(int fd, const void *data, size_t size, int flags)
{
    ssize_t n = sim_send(fd, data, size, flags);
    file.taken += n > 0 ? (size_t)n : 0;
    return n;
}

ssize_t sim_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t counted_sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t n = sim_sendmsg(fd, message, flags);
    file.taken += n > 0 ? (size_t)n : 0;
    return n;
}

static size_t next_piece(char *piece)
{
    size_t queued = (size_t)file.count * PIECE - file.taken;
    if (queued > file.most)
        file.most = queued;
    if (file.count == pieces())
        return 0;
    memset(piece, 'a' + file.count++ % 26, PIECE);
    return PIECE;
}

/* Reads nothing for an hour, then `size` bytes, slowly, and closes. Returns
 * how many were right. */
async(client, int fd; size_t size, got; char data[700];)
{
    ssize_t n, i;
    async_begin;
    await(async_sleep(3600 * 1000));
    while (self->got < self->size) {
        await(async_sleep(1));
        await(n, async_read(self->fd, self->data, sizeof self->data));
        if (n <= 0)
            break;
        for (i = 0; i < n; i++, self->got++)
            if (self->data[i] != 'a' + (char)(self->got / PIECE % 26))
                async_return((async_result)self->got);
    }
    async_return((async_result)self->got);
    async_finally;
    async_close(self->fd);
    async_end;
}

/* Sends the file to a client that reads `size` bytes. Returns how many it
 * got. */
async(transfer, size_t size; int ends[2]; async_task client; async_result n;
      async_stream *stream;)
{
    async_begin;
    sim_tcp_pair(self->ends);
    self->stream = async_stream_open(async_adopt(self->ends[0]));
    memset(&file, 0, sizeof file);
    self->client = async_keep(async_spawn(
        client, async_adopt(self->ends[1]), self->size));
    await(self->n, async_call(send_file, self->stream));
    async_stream_close(self->stream);
    await(self->n, async_join(self->client));
    async_return(self->n);
    async_end;
}

AsyncTestWith(ex_9_3, keeps_the_queue_short,
              (.seeds = 20,
               .says = "A slow client does not make the queue grow: "
                       "at most 4 KiB wait in it."))
{
    async_result n;
    async_begin;
    await(n, async_call(transfer, (size_t)pieces() * PIECE));
    if (file.most > MOST)
        sim_log("%d KiB wait", (int)(file.most / 1024));
    else
        sim_log("at most 4 KiB wait");
    sim_expect("at most 4 KiB wait");
    async_end;
}

AsyncTestWith(ex_9_3, uses_the_queue,
              (.faults = SIM_CALM,
               .says = "The sender waits only when more than HIGH bytes "
                       "are in the queue."))
{
    async_begin;
    await(async_call(transfer, (size_t)pieces() * PIECE));
    if (file.most >= HIGH)
        sim_log("the queue grows to HIGH bytes");
    else
        sim_log("the queue grows to %d bytes only", (int)file.most + PIECE);
    sim_expect("the queue grows to HIGH bytes");
    async_end;
}

AsyncTestWith(ex_9_3, sends_all,
              (.seeds = 20, .says = "The client receives the whole file."))
{
    async_result n;
    async_begin;
    await(n, async_call(transfer, (size_t)pieces() * PIECE));
    if (n == (async_result)pieces() * PIECE)
        sim_log("all bytes arrive");
    else
        sim_log("%d bytes of %d arrive", (int)n, pieces() * PIECE);
    sim_expect("all bytes arrive");
    async_end;
}

AsyncTestWith(ex_9_3, stops_when_the_client_is_gone,
              (.says = "When the client goes away, the sender stops soon."))
{
    async_result n;
    async_begin;
    await(n, async_call(transfer, 80 * PIECE));
    sim_log(file.count < pieces() ? "the sender stops before the end"
                                : "the sender goes on to the end");
    sim_expect("the sender stops before the end");
    async_end;
}
