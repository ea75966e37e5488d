/* 10.2  A cancelled copy leaves two descriptors open. Let every way out close
 * them: the end, an error, a cancel, a limit of the caller. */
#include "async.h"

/* Copies what one server says to another, up to its end. Returns how many
 * bytes that were. */
async(copy, int from_port, to_port; int from, to; async_result size;
      char data[64];)
{
    ssize_t n;
    async_begin;
    self->from = self->to = -1; /* none is open yet */
    await(self->from, async_connect("127.0.0.1", self->from_port));
    await(self->to, async_connect("127.0.0.1", self->to_port));
    for (;;) {
        await(async_sleep(10)); /* not too fast */
        await(n, async_read(self->from, self->data, sizeof self->data));
        if (n <= 0)
            break;
        await(n, async_write(self->to, self->data, (size_t)n));
        if (n < 0)
            break;
        self->size += n;
    }
    /* TODO: a cancelled coroutine does not come here. async_return leaves, so
     * it stands before async_finally, which every way out passes through. */
    async_close(self->from);
    async_close(self->to);
    async_return(n < 0 ? n : self->size);
    /* END */
    async_end;
}
