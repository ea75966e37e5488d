/*
 * Child processes in the simulated world: there are none, but what comes before the fork fails in
 * every way. Real ones are in test_processes.c.
 */
#include "sim_io.h"

#include <signal.h>

AsyncTestWith(processes, that_do_not_start_leave_nothing, (.seeds = 20, .torture = 1),
              const char *arguments[2]; async_process_options options; async_process child;
              int error; async_result n;)
{
    async_begin;
    self->arguments[0] = "true";
    self->options.in = self->options.out = ASYNC_TO_PIPE;
    self->options.err = sim_random(2) ? ASYNC_TO_PIPE : ASYNC_TO_OUT;
    self->error = async_process_start(&self->child, self->arguments, &self->options);
    cr_assert(self->error < 0);
    if (self->error == -EAGAIN)
        check_error(async_process_start, EAGAIN, self->error);
    else
        async_ok(self->error);
    cr_assert(self->child.in == -1 && self->child.out == -1 && self->child.err == -1);
    await(self->n, async_process_wait(&self->child));
    cr_assert_eq(self->n, self->error);
    cr_assert_eq(async_process_kill(&self->child, 0), -ESRCH);
    async_end;
}
