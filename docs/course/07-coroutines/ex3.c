/* 7.3  From callbacks to awaits. The callbacks below ask a peer again every
 * 100 ms until its answer is not '0'. Write the same as one coroutine: it must
 * note the same events, in the same order. */
#include "async.h"

#ifndef note
#define note(event) puts(event)
#endif

struct visit {
    async_stream *peer;
    async_handle timer;
};

static void ask(void *data)
{
    struct visit *visit = data;
    note("ask");
    async_stream_write(visit->peer, "?", 1);
}

static void on_answer(async_stream *peer, const char *data, ssize_t size)
{
    struct visit *visit = peer->data;
    if (size <= 0) {
        note("end");
        async_cancel(visit->timer);
        async_stream_close(peer);
    } else if (*data == '0') {
        note("not yet");
        visit->timer = async_after(100, visit, ask);
    } else {
        note("answer");
        async_stream_write(peer, ".", 1);
    }
}

static void visit_with_callbacks(struct visit *visit, async_stream *peer)
{
    visit->peer = peer;
    peer->data = visit;
    async_stream_on_data(peer, on_answer);
    ask(visit);
}

async(visit_with_awaits, async_stream *peer; char answer;)
{
    ssize_t n;
    async_begin;
    /* TODO: the whole visit, from the first question until the peer ends. In
     * the pause the peer sends nothing, but it may end: the callbacks note that
     * at once. To wait for 100 ms at most:
     * await(n, async_stream_read(...), 100); n may be -ETIMEDOUT. */
    note("ask");
    async_stream_write(self->peer, "?", 1);
    await(n, async_stream_read(self->peer, &self->answer, 1));
    (void)n;
    /* END */
    async_stream_close(self->peer);
    async_end;
}
