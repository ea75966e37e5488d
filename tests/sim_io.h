/*
 * sim_io.h: what the simulated tests of I/O share: connected pairs of each kind, a pattern in which
 * no piece looks like another, and tasks that send and receive it.
 */
#ifndef SIM_IO_H
#define SIM_IO_H

#include "async_test.h"

#include <stdbool.h>

/* As in test.h: the lint looks for the errors that the header's contracts name. */
#define check_error(function, error, result) cr_assert_eq(result, -error)

enum { PIPE, UNIX, TCP, KINDS };

static inline char pattern(size_t place)
{
    return (char)(place * 31 + place / 251 + place / 8999);
}

static inline void fill(char *data, size_t place, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = pattern(place + i);
}

static inline bool matches(const char *data, size_t place, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != pattern(place + i))
            return false;
    return true;
}

/* Both are the loop's, or both are closed. Returns 0 or a negative errno. */
static inline async_result adopt_pair(int ends[2])
{
    int first = async_adopt(ends[0]), second = async_adopt(ends[1]);
    if (first >= 0 && second >= 0)
        return 0;
    if (first < 0 || async_close(ends[0]) < 0)
        sim_close(ends[0]);
    if (second < 0 || async_close(ends[1]) < 0)
        sim_close(ends[1]);
    ends[0] = ends[1] = -1;
    return first < 0 ? first : second;
}

/* Two connected descriptors; a pipe is written at ends[1]. Returns 0, or a negative errno, and then
 * none is open. */
static inline async_result open_pair(int kind, int ends[2])
{
    int error;
    if (kind == TCP) {
        sim_tcp_pair(ends);
        return adopt_pair(ends);
    }
    error = kind == PIPE ? async_pipe(ends) : async_socketpair(ends);
    if (error < 0)
        ends[0] = ends[1] = -1;
    return error;
}

/* Ends the writing of `fd`: a pipe has no half to shut, it is closed. */
static inline void end_writing(int kind, int fd)
{
    if (kind == PIPE)
        async_close(fd);
    else
        sim_shutdown(fd, SHUT_WR);
}

/* Sends `size` bytes of the pattern, `piece` at a time, and ends the writing, whatever happens: so
 * the other side comes to an end too. Returns how many bytes went out, or a negative errno. */
async(sender, int kind, fd; size_t size, piece, place; char data[2048];)
{
    ssize_t n;
    async_begin;
    while (self->place < self->size) {
        if (self->piece > self->size - self->place)
            self->piece = self->size - self->place;
        fill(self->data, self->place, self->piece);
        await(n, async_write(self->fd, self->data, self->piece));
        if (n < 0)
            async_return(n);
        self->place += (size_t)n;
        if ((size_t)n < self->piece)
            break;
    }
    async_return((async_result)self->place);
    async_finally;
    end_writing(self->kind, self->fd);
    async_end;
}

/* Receives to the end, at most `piece` bytes at a time, and nothing but the pattern; rests after
 * each piece. Returns how many bytes came, or a negative errno. */
async(receiver, int fd; size_t piece, place; int64_t rest_ms; char data[2048];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->fd, self->data, self->piece));
        if (n <= 0)
            break;
        cr_assert((size_t)n <= self->piece);
        cr_assert(matches(self->data, self->place, (size_t)n));
        self->place += (size_t)n;
        if (self->rest_ms)
            await(async_sleep(self->rest_ms));
    }
    async_return(n < 0 ? n : (async_result)self->place);
    async_end;
}

#endif
