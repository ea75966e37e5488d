#include "async_test.h"
#define note(event) sim_log("%s", event)
#include "ex3.c"

/* The peer: it answers each question with the next of its answers. It ends 50 ms after '.', or
 * when it is asked and has none left; if it is in a hurry, 50 ms after its last answer. */
async(answer_questions, int fd, in_a_hurry; const char *answers; char byte, heard[16]; size_t count;
      int64_t answered_ns;)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->fd, &self->byte, 1), 60000);
        if (n <= 0)
            break;
        self->heard[self->count++] = self->byte;
        if (self->answered_ns && self->byte == '?' && async_now() - self->answered_ns < 100 * 1000000)
            sim_log("(asked again before 100 ms had passed)");
        if (self->byte != '?' || !*self->answers || self->count == sizeof self->heard - 1) {
            await(async_sleep(50));
            break;
        }
        self->answered_ns = async_now();
        await(n, async_write(self->fd, self->answers++, 1));
        if (self->in_a_hurry && !*self->answers) {
            await(async_sleep(50));
            break;
        }
    }
    sim_log("(the peer ends)");
    async_finally;
    async_close(self->fd);
    await(async_sleep(60000));
    sim_log("the peer has heard %s", *self->heard ? self->heard : "nothing");
    async_end;
}

static async_stream *call_peer(const char *answers, int in_a_hurry)
{
    int ends[2];
    async_stream *peer;
    sim_tcp_pair(ends);
    cr_assert(async_spawn(answer_questions, async_adopt(ends[1]), in_a_hurry, answers) > 0);
    peer = async_stream_open(async_adopt(ends[0]));
    cr_assert(peer != NULL);
    return peer;
}

/* The traces to be had: those of the callbacks. */
#define LATE \
    "ask", "not yet", "ask", "not yet", "ask", "answer", "(the peer ends)", "end", "the peer has heard ???."
#define AT_ONCE "ask", "answer", "(the peer ends)", "end", "the peer has heard ?."
#define NEVER "ask", "(the peer ends)", "end", "the peer has heard ?"
#define IN_THE_PAUSE "ask", "not yet", "(the peer ends)", "end", "the peer has heard ?"

AsyncTestWith(ex_7_3, callbacks, (.seeds = 20, .says = "The callbacks are right as they are: leave them so."),
              struct visit visit;)
{
    async_begin;
    visit_with_callbacks(&self->visit, call_peer("007", 0));
    await(async_join_children());
    sim_expect(LATE);
    async_end;
}

AsyncTestWith(ex_7_3, callbacks_never, (.seeds = 20, .says = "The callbacks are right as they are: leave them so."),
              struct visit visit;)
{
    async_begin;
    visit_with_callbacks(&self->visit, call_peer("", 0));
    await(async_join_children());
    sim_expect(NEVER);
    async_end;
}

AsyncTestWith(ex_7_3, callbacks_pause,
              (.faults = SIM_CALM, .says = "The callbacks are right as they are: leave them so."),
              struct visit visit;)
{
    async_begin;
    visit_with_callbacks(&self->visit, call_peer("0", 1));
    await(async_join_children());
    sim_expect(IN_THE_PAUSE);
    async_end;
}

AsyncTestWith(ex_7_3, awaits, (.seeds = 50, .says = "The coroutine notes the same events as the callbacks do."))
{
    async_begin;
    await(async_call(visit_with_awaits, call_peer("007", 0)));
    await(async_join_children());
    sim_expect(LATE);
    async_end;
}

AsyncTestWith(ex_7_3, awaits_at_once, (.seeds = 50, .says = "An answer at once: the coroutine asks once only."))
{
    async_begin;
    await(async_call(visit_with_awaits, call_peer("7", 0)));
    await(async_join_children());
    sim_expect(AT_ONCE);
    async_end;
}

AsyncTestWith(ex_7_3, awaits_never, (.seeds = 50, .says = "A peer that ends without an answer gets no \".\"."))
{
    async_begin;
    await(async_call(visit_with_awaits, call_peer("", 0)));
    await(async_join_children());
    sim_expect(NEVER);
    async_end;
}

AsyncTestWith(ex_7_3, awaits_pause,
              (.faults = SIM_CALM, .says = "A peer that ends in the pause is noticed at once: no second question."))
{
    async_begin;
    await(async_call(visit_with_awaits, call_peer("0", 1)));
    await(async_join_children());
    sim_expect(IN_THE_PAUSE);
    async_end;
}
