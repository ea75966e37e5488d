/* A buffer on the C stack, given to an operation: the stack is gone when the data comes. */
/* gcc clang tcc | -O0: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* gcc clang | -O1: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* gcc clang | -O2: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* gcc clang | -O3: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* gcc | -O2 -flto: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* gcc clang | -O1 -fsanitize=address: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* gcc clang | -O0 -fsanitize=address: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* gcc clang | -O0 -DPIECES: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* gcc clang | -O2 -DPIECES: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* gcc clang | -O2 -DPIECE: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* gcc clang | -O2 -DTASKS: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* gcc clang | -O2 -DSTREAM: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* gcc clang | -O2 -DWRITE: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* gcc clang | -O2 -DPATH: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
/* g++ clang++ | -O2: panic: a buffer on the C stack.* main_task, .*stack.c:[0-9] */
#define ASYNC_SHORT_NAMES
#include "async.h"

async(main_task, int ends[2]; async_stream *stream; char data[64]; struct iovec piece;
      async_task tasks[1];)
{
    char data[64];
    struct iovec piece;
    async_task tasks[1];
    async_begin;
#ifdef CONTROL
#define MEMORY(name) self->name
#else
#define MEMORY(name) name
#endif
    (void)data;
    (void)piece;
    (void)tasks;
    MEMORY(piece).iov_base = self->data;
    MEMORY(piece).iov_len = 1;
    MEMORY(tasks)[0] = -1;
    memcpy(MEMORY(data), "/", 2);
    async_pipe(self->ends);
#if defined PIECES
    await(async_writev(self->ends[1], &MEMORY(piece), 1));
#elif defined PIECE
    self->piece.iov_base = MEMORY(data);
    self->piece.iov_len = 1;
    await(async_writev(self->ends[1], &self->piece, 1));
#elif defined TASKS
    await(async_join_all(MEMORY(tasks), 1));
#elif defined STREAM
    self->stream = async_stream_open(self->ends[0]);
    async_stream_close(async_stream_open(self->ends[1]));
    await(async_stream_read(self->stream, MEMORY(data), 1));
#elif defined WRITE
    await(async_write(self->ends[1], MEMORY(data), 1));
#elif defined PATH
    await(async_connect_unix(MEMORY(data)));
#else
    async_close(self->ends[1]);
    await(async_read(self->ends[0], MEMORY(data), sizeof self->data));
#endif
    async_end;
}

int main(void)
{
    return async_run(main_task) < 0;
}
