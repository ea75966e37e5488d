#include "async_test.h"

static int last_error; /* what the exercise was told last */

static int told_accept(int listener)
{
    int fd = async_accept_nowait(listener);
    if (fd < 0)
        last_error = fd;
    return fd;
}

#define async_accept_nowait told_accept
#include "ex2.c"
#undef async_accept_nowait

enum { CLIENTS = 3 };

static void log_listener(int listener)
{
    if (async_port(listener) > 0)
        sim_log("the listener is open");
    else
        sim_log("the listener is closed, after %s",
                last_error == -EMFILE ? "-EMFILE" :
                last_error == -EAGAIN ? "-EAGAIN" :
                last_error == -ENOTSOCK ? "-ENOTSOCK" : "no error");
}

async(client, int fd; char data[8];)
{
    ssize_t n;
    async_begin;
    await(n, async_read(self->fd, self->data, 1), 60000);
    async_return(n);
    async_finally;
    async_close(self->fd);
    async_end;
}

async(clients, int listener; async_task tasks[CLIENTS]; int i;)
{
    async_result n;
    async_begin;
    for (self->i = 0; self->i < CLIENTS; self->i++)
        self->tasks[self->i] = async_keep(async_spawn(
            client, async_adopt(sim_dial(async_port(self->listener)))));
    sim_limit(0);
    sim_log("no descriptor is left");
    await(async_sleep(5000));
    log_listener(self->listener);
    sim_limit(-1);
    sim_log("there are descriptors again");
    for (self->i = 0; self->i < CLIENTS; self->i++) {
        await(n, async_join(self->tasks[self->i]));
        sim_log("client %d is %s", self->i + 1,
                n > 0 ? "welcome" : "not served");
    }
    async_end;
}

AsyncTestWith(ex_9_2, goes_on,
              (.seeds = 50,
               .says = "Who comes while no descriptor is left "
                       "is served later."),
              int listener;)
{
    async_begin;
    last_error = 0;
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    async_ok(async_on_readable(self->listener, NULL, on_client));
    await(async_call(clients, self->listener));
    sim_expect("no descriptor is left", "the listener is open",
               "there are descriptors again", "client 1 is welcome",
               "client 2 is welcome", "client 3 is welcome");
    async_close(self->listener);
    async_end;
}

AsyncTestWith(ex_9_2, stops_at_other_errors,
              (.seeds = 20,
               .says = "After an error that stays, -ENOTSOCK, the listener "
                       "is closed."),
              int listener, fd;)
{
    ssize_t n;
    async_begin;
    last_error = 0;
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    async_ok(async_on_readable(self->listener, NULL, on_client));
    sim_fail_next(accept4, ENOTSOCK);
    self->fd = async_adopt(sim_dial(async_port(self->listener)));
    await(n, async_readable(self->fd), 5000);
    log_listener(self->listener);
    sim_expect("the listener is closed, after -ENOTSOCK");
    async_finally;
    async_close(self->fd);
    async_end;
}
