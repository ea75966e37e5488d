/* 9.3  A client that reads slowly. The sender below puts the whole file into
 * the queue, in memory. Let it wait: at most 4 KiB may be in the queue. */
#include "async.h"

enum { PIECE = 256, HIGH = 3 * 1024, LOW = 1024 };

/* Fills `piece` with the next bytes of the file. Returns how many, 0 at its
 * end. (It stands in the check.) */
static size_t next_piece(char *piece);

async(send_file, async_stream *client; char piece[PIECE];)
{
    int error;
    size_t size;
    async_begin;
    /* TODO: async_stream_write never waits. async_stream_flush does: while more
     * than `high` bytes are queued, until at most `low` are. These limits are
     * set by async_stream_set_limits(stream, high, low): use HIGH and LOW. */
    while ((size = next_piece(self->piece)) > 0) {
        error = async_stream_write(self->client, self->piece, size);
        if (error < 0)
            async_return(error);
    }
    /* END */
    async_end;
}
