#include "async_test.h"

#include "ex1.c"

#include <sys/resource.h>

enum { DESCRIPTORS = 100 };

/* The descriptors of the whole process: clients, server and loop. */
static void allow(int descriptors)
{
    struct rlimit limit;
    if (!sim_is_real()) {
        sim_limit(descriptors - sim_descriptors());
        return;
    }
    cr_assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = (rlim_t)descriptors;
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

async(answer, int fd;)
{
    ssize_t n;
    async_begin;
    await(async_sleep(10)); /* it thinks */
    await(n, async_write(self->fd, "hello", 5));
    async_finally;
    async_close(self->fd);
    async_end;
}

async(serve, int listener;)
{
    int fd;
    async_begin;
    for (;;) {
        await(fd, async_accept(self->listener));
        if (fd < 0)
            async_return(fd);
        async_spawn(answer, .fd = fd);
    }
    async_end;
}

/* A simulated world looks at each task at each step: the thousand live in a
 * calm one, and on the real kernel. */
AsyncTestWith(ex_9_1, answers_all,
              (.real = 1,
               .says = "All 1,000 clients are answered, with 100 descriptors."),
              int listener; async_task server;)
{
    async_result n;
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    allow(DESCRIPTORS);
    self->server = async_spawn(serve, self->listener);
    await(n, async_call(visit_all, async_port(self->listener)),
          sim_is_real() ? -1 : 10000);
    if (n == 0) /* out of time */
        sim_log("all wait: the server has no descriptor");
    else
        sim_log("%d clients are answered", (int)n);
    sim_expect("1000 clients are answered");
    async_finally;
    async_cancel(self->server);
    await(async_join(self->server));
    async_close(self->listener);
    async_end;
}

AsyncTestWith(ex_9_1, gives_places_back,
              (.seeds = 20,
               .says = "With 3 places, 30 clients are answered, too."),
              int listener; async_task server, tasks[30]; int i, answered;
              async_semaphore places;)
{
    async_result n;
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    self->server = async_spawn(serve, self->listener);
    async_semaphore_init(&self->places, 3);
    sim_limit(2 * 3);
    for (self->i = 0; self->i < 30; self->i++)
        self->tasks[self->i] = async_keep(async_spawn(
            visit, async_port(self->listener), &self->places));
    for (self->i = 0; self->i < 30; self->i++) {
        await(n, async_join(self->tasks[self->i]));
        self->answered += n == 5;
    }
    sim_log("%d clients are answered", self->answered);
    sim_expect("30 clients are answered");
    async_finally;
    async_cancel(self->server);
    await(async_join(self->server));
    async_close(self->listener);
    async_end;
}

AsyncTestWith(ex_9_1, loses_no_place,
              (.seeds = 20,
               .says = "A client that cannot connect gives its place back, "
                       "too."),
              int listener, dead_port; async_task server;
              async_semaphore places;)
{
    async_result n;
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    self->dead_port = async_port(self->listener);
    async_close(self->listener);
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    self->server = async_spawn(serve, self->listener);
    async_semaphore_init(&self->places, 1);
    await(n, async_call(visit, self->dead_port, &self->places));
    sim_log("nobody listens: %s", n < 0 ? "an error" : "no error");
    await(n, async_call(visit, async_port(self->listener), &self->places),
          60000);
    sim_log("the next client: %s", n == 5 ? "is answered"
                                   : n == -ETIMEDOUT ? "finds no place"
                                                     : "is not answered");
    sim_expect("nobody listens: an error", "the next client: is answered");
    async_finally;
    async_cancel(self->server);
    await(async_join(self->server));
    async_close(self->listener);
    async_end;
}
