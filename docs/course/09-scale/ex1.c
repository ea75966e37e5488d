/* 9.1  A thousand clients, but only 100 descriptors. Let no more connect at a
 * time than there are places. */
#include "async.h"

/* A place takes two descriptors: the server is in this process, too. */
enum { CLIENTS = 1000, PLACES = 40 };

/* Connects, and reads until the server closes. Returns how many bytes came. */
async(visit, int port; async_semaphore *places; int fd; size_t got;
      char data[16];)
{
    ssize_t n;
    async_begin;
    /* TODO: take a place before you connect, give it back when you close:
     * await async_semaphore_acquire(self->places), and call
     * async_semaphore_release(self->places), which never waits. */
    await(self->fd, async_connect("127.0.0.1", self->port));
    do {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        self->got += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    async_close(self->fd);
    /* END */
    async_return(n < 0 ? n : (async_result)self->got);
    async_end;
}

/* Returns how many of the clients were answered. */
async(visit_all, int port; async_semaphore places; async_task tasks[CLIENTS];
      int i, answered;)
{
    async_result n;
    async_begin;
    async_semaphore_init(&self->places, PLACES);
    for (self->i = 0; self->i < CLIENTS; self->i++)
        self->tasks[self->i] = async_keep(
            async_spawn(visit, self->port, &self->places));
    for (self->i = 0; self->i < CLIENTS; self->i++) {
        await(n, async_join(self->tasks[self->i]));
        self->answered += n > 0;
    }
    async_return(self->answered);
    async_end;
}
