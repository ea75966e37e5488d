/*
 * Signals in the simulated world, which come in any call that the loop makes: between two awaits,
 * while it reads its pipe, right before it waits.
 */
#include "sim_io.h"

#include <signal.h>

static int heard;

static void hears(int signo, void *data)
{
    (void)data;
    heard += signo == SIGUSR1;
}

/* A call on the pipe says "not now" where a real one of one byte cannot. */
AsyncTestWith(signals, are_not_lost_wherever_they_come,
              (.seeds = 500, .real = 1, .faults = SIM_BENIGN & ~(1u << SIM_EAGAIN)),
              async_handle caught[2]; int i; async_result n;)
{
    async_begin;
    async_ok(async_on_signal(SIGUSR2, NULL, hears)); /* another may be there already */
    self->caught[0] = async_catch_signal(SIGUSR1);
    self->caught[1] = async_on_signal(SIGUSR1, NULL, hears);
    for (self->i = 0; self->i < 10; self->i++) {
        heard = 0;
        sim_raise(SIGUSR1);
        if (sim_random(2))
            raise(SIGUSR2);
        if (sim_random(2))
            await(async_sleep((int64_t)sim_random(3)));
        await(self->n, async_signal(self->caught[0]), 1000);
        cr_assert_eq(self->n, SIGUSR1);
        await(async_yield());
        cr_assert_eq(heard, 1);
    }
    async_ok(async_cancel(self->caught[0]));
    async_ok(async_cancel(self->caught[1]));
    async_end;
}

/* Whatever call fails: a signal is caught, or it is not. */
AsyncTestWith(signals, are_caught_or_not, (.seeds = 20, .torture = 1, .faults = SIM_CALM),
              async_handle caught; async_result n;)
{
    async_begin;
    self->caught = async_catch_signal(SIGUSR1);
    if (self->caught < 0)
        async_return(self->caught);
    raise(SIGUSR1);
    await(self->n, async_signal(self->caught), 1000);
    cr_assert(self->n == SIGUSR1 || sim_shows_errors());
    async_ok(async_cancel(self->caught));
    async_end;
}
