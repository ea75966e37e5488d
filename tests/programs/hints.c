/*
 * For hints.sh: each mistake that a debug build tells of on stderr, and what any build tells.
 */
#include "async.h"

#include <sys/resource.h>

/* Longer than the loop should be held. */
async(client)
{
    async_begin;
    await(async_yield());
    usleep(130000);
    async_end;
}

static void slow(void *unused)
{
    (void)unused;
    usleep(130000);
}

/* Does not look at what it is told. */
async(goes_on, int i;)
{
    int n;
    async_begin;
    for (self->i = 0; self->i < 1100; self->i++)
        await(n, async_sleep(1));
    async_return(n);
    async_end;
}

/* A descriptor that nobody has adopted, and one that is closed behind the loop's back. */
async(descriptors, int plain[2], first[2], second[2]; char data;)
{
    ssize_t n;
    async_begin;
    if (pipe(self->plain) < 0)
        async_return(-errno);
    await(n, async_read(self->plain[0], &self->data, 1));
    if (n != -EBADF || async_pipe(self->first) < 0)
        async_return(-EINVAL);
    close(self->first[0]);
    async_return(async_pipe(self->second));
    async_end;
}

/* A connection for which there is no descriptor. */
async(full, int listener, fd;)
{
    struct rlimit none = { 0, 0 };
    int n;
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    await(self->fd, async_connect("127.0.0.1", async_port(self->listener)));
    if (self->fd < 0 || getrlimit(RLIMIT_NOFILE, &none) < 0)
        async_return(-EINVAL);
    none.rlim_cur = 3;
    if (setrlimit(RLIMIT_NOFILE, &none) < 0)
        async_return(-errno);
    await(n, async_accept(self->listener), 20);
    async_return(n == -ETIMEDOUT ? 0 : -EINVAL);
    async_end;
}

async(all, async_task goes_on;)
{
    int n;
    async_begin;
    self->goes_on = async_spawn(goes_on);
    await(async_yield());
    async_cancel(self->goes_on);
    await(async_call(client));
    async_soon(NULL, slow);
    await(n, async_call(descriptors));
    if (n < 0)
        async_return(n);
    await(async_join_children());
    await(n, async_call(full));
    async_return(n);
    async_end;
}

async(waits, async_event never;)
{
    async_begin;
    await(async_event_wait(&self->never));
    async_end;
}

int main(void)
{
    return async_run(waits) != -EDEADLK || async_run(all) < 0;
}
