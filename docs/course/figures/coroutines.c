/* coroutines: all pages in one thread, a task for each. Its figure is made from the header's own trace, by trace.awk.
 *
 *     cc -O2 -I. docs/course/figures/coroutines.c -pthread -o coroutines && ./coroutines
 */
#include "async.h"

#include "situation.h"

async(page, int port, number, fd; size_t got; char text[PAGE_BYTES + 200];)
{
    static const char *const names[PAGES] = { "page 1", "page 2", "page 3", "page 4" };
    ssize_t n;
    async_begin;
    async_name(names[self->number - 1]);
    await(self->fd, async_connect("127.0.0.1", self->port));
    await(n, async_write(self->fd, self->text, request_for(self->number, self->text, sizeof self->text)));
    while (n > 0) {
        await(n, async_read(self->fd, self->text + self->got, sizeof self->text - self->got));
        if (n > 0)
            self->got += (size_t)n;
    }
    async_return(n == 0 && page_is_whole(self->text, self->got) ? 0 : -EIO);
    async_finally;
    async_close(self->fd);
    async_end;
}

async(pages, int port; async_task tasks[PAGES];)
{
    int i, error;
    async_begin;
    async_name("all");
    for (i = 0; i < PAGES; i++)
        self->tasks[i] = async_spawn(page, .port = self->port, .number = i + 1);
    await(error, async_join_all(self->tasks, PAGES));
    async_return(error);
    async_end;
}

static int run(int port)
{
    return async_run(pages, .port = port) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    return situation(argc, argv, run);
}
