#include "async_test.h"

#include "ex2.c"

enum { CLIENTS = 3 };

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
    sim_log("the listener is %s",
            async_port(self->listener) > 0 ? "open" : "closed");
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
               .says = "After an error that stays, the listener is closed."),
              int listener, fd;)
{
    ssize_t n;
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    async_ok(self->listener);
    async_ok(async_on_readable(self->listener, NULL, on_client));
    sim_fail_next(accept4, ENOTSOCK);
    self->fd = async_adopt(sim_dial(async_port(self->listener)));
    await(n, async_readable(self->fd), 5000);
    sim_log("the listener is %s",
            async_port(self->listener) > 0 ? "open" : "closed");
    sim_expect("the listener is closed");
    async_finally;
    async_close(self->fd);
    async_end;
}
