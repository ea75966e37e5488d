#include "async_test.h"

#include "ex2.c"

enum { WORDS = 10 };

/* Says a word every 20 ms; or breaks off in the middle. */
async(talker, int listener, breaks_off; int fd, count;)
{
    ssize_t n;
    async_begin;
    self->fd = -1;
    await(self->fd, async_accept(self->listener));
    for (; self->count < WORDS; self->count++) {
        await(async_sleep(20));
        if (self->breaks_off && self->count == WORDS / 2) {
            sim_reset(self->fd);
            break;
        }
        await(n, async_write(self->fd, "words ", 6));
        if (n < 0)
            break;
    }
    async_finally;
    async_close(self->fd);
    async_close(self->listener);
    async_end;
}

/* Returns how many bytes it has heard. */
async(hearer, int listener; int fd; async_result size; char data[64];)
{
    ssize_t n;
    async_begin;
    self->fd = -1;
    await(self->fd, async_accept(self->listener));
    do {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        self->size += n > 0 ? n : 0;
    } while (n > 0);
    async_return(self->size);
    async_finally;
    async_close(self->fd);
    async_close(self->listener);
    async_end;
}

/* A copy from one server to another. */
struct copying {
    async_task talker, hearer;
    int from_port, to_port, descriptors;
};

static void begin(struct copying *it, int breaks_off)
{
    int from = async_listen("127.0.0.1", 0), to = async_listen("127.0.0.1", 0);
    it->from_port = async_port(from);
    it->to_port = async_port(to);
    it->descriptors = sim_descriptors() - 2;
    it->talker = async_keep(async_spawn(talker, from, breaks_off));
    it->hearer = async_keep(async_spawn(hearer, to));
}

/* The servers end when the copy has closed; if it has not, after a minute.
 * Logs how many descriptors are left. */
async(end, struct copying *it; async_result heard;)
{
    async_result n;
    async_begin;
    await(n, async_join(self->it->hearer), 60000);
    self->heard = n;
    async_cancel(self->it->hearer);
    async_cancel(self->it->talker);
    await(n, async_join(self->it->hearer));
    await(n, async_join(self->it->talker));
    sim_log("descriptors left open: %d",
            sim_descriptors() - self->it->descriptors);
    async_return(self->heard);
    async_end;
}

AsyncTestWith(ex_10_2, copies_all,
              (.seeds = 30,
               .says = "An undisturbed copy is complete, and both descriptors "
                       "are closed."),
              struct copying it; async_result size;)
{
    async_result n;
    async_begin;
    begin(&self->it, 0);
    await(self->size, async_call(copy, self->it.from_port, self->it.to_port));
    await(n, async_call(end, &self->it));
    if (n < 0)
        sim_log("%d bytes are copied, their end does not arrive",
                (int)self->size);
    else
        sim_log("%d bytes are copied, %d arrive", (int)self->size, (int)n);
    sim_expect("descriptors left open: 0", "60 bytes are copied, 60 arrive");
    async_end;
}

AsyncTestWith(ex_10_2, closes_when_cancelled,
              (.seeds = 50,
               .says = "Whenever the copy is cancelled, "
                       "both descriptors are closed."),
              struct copying it; async_task task;)
{
    async_result n;
    async_begin;
    begin(&self->it, 0);
    self->task = async_keep(
        async_spawn(copy, self->it.from_port, self->it.to_port));
    await(async_sleep(sim_is_calm() ? 100 : (int64_t)sim_random(250)));
    async_cancel(self->task);
    await(n, async_join(self->task));
    await(n, async_call(end, &self->it));
    sim_expect("descriptors left open: 0");
    async_end;
}

AsyncTestWith(ex_10_2, closes_after_a_limit,
              (.seeds = 50,
               .says = "When a limit of the caller ends the copy, "
                       "both descriptors are closed."),
              struct copying it;)
{
    async_result n;
    async_begin;
    begin(&self->it, 0);
    await(n, async_call(copy, self->it.from_port, self->it.to_port),
          (int64_t)sim_random(150));
    await(n, async_call(end, &self->it));
    sim_expect("descriptors left open: 0");
    async_end;
}

static const char *name_of(async_result n)
{
    static char text[32];
    snprintf(text, sizeof text, "%d", (int)n);
    return n == -ETIMEDOUT ? "-ETIMEDOUT"
           : n == -ECANCELED ? "-ECANCELED"
           : n == -ECONNRESET ? "-ECONNRESET" : text;
}

AsyncTestWith(ex_10_2, says_why_it_ended,
              (.seeds = 50,
               .says = "The caller sees why the copy has ended: "
                       "its limit, a cancel, an error."),
              struct copying it; async_task task; async_result n;)
{
    async_begin;
    begin(&self->it, 0);
    await(self->n, async_call(copy, self->it.from_port, self->it.to_port), 100);
    sim_log("after a limit: %s", name_of(self->n));
    await(async_call(end, &self->it));
    begin(&self->it, 0);
    self->task = async_keep(
        async_spawn(copy, self->it.from_port, self->it.to_port));
    await(async_sleep(100));
    async_cancel(self->task);
    await(self->n, async_join(self->task));
    sim_log("after a cancel: %s", name_of(self->n));
    await(async_call(end, &self->it));
    begin(&self->it, 1);
    await(self->n, async_call(copy, self->it.from_port, self->it.to_port));
    sim_log("after an error: %s", name_of(self->n));
    await(async_call(end, &self->it));
    sim_expect("after a limit: -ETIMEDOUT", "descriptors left open: 0",
               "after a cancel: -ECANCELED", "descriptors left open: 0",
               "after an error: -ECONNRESET", "descriptors left open: 0");
    async_end;
}
