/* lookup: the addresses of names, all looked up at once. SERVERS are those to
 * ask ("127.0.0.1:5353"), "-": the system's; LIMIT_MS is for each name.
 *
 *     cc -I. examples/adapters/lookup.c -o lookup -lcares
 *     ./lookup - 5000 example.org www.gnu.org
 */
#include "ares.h"
#include "../number.h"

static int failed;

async(look_up, ares_loop *names; const char *name; int family, limit_ms;
      async_address found[8];)
{
    char text[NI_MAXHOST];
    int n, i;
    async_begin;
    await(n, async_call(ares_lookup, self->names, self->name, 80, self->family,
                        self->found, 8), self->limit_ms); /* any port */
    failed += n < 0;
    printf("%s:", self->name);
    for (i = 0; i < n; i++)
        if (!getnameinfo(&self->found[i].is.any, self->found[i].size, text,
                         sizeof text, NULL, 0, NI_NUMERICHOST))
            printf(" %s", text);
    if (n < 0)
        printf(" %s", n == -ENOENT ? "no such name" : strerror(-n));
    printf("\n");
    async_end;
}

async(look_up_all, ares_loop *names; char **list; int count, limit_ms, i;
      async_task *tasks;)
{
    int n;
    async_begin;
    self->tasks = calloc((size_t)self->count, sizeof *self->tasks);
    if (!self->tasks)
        async_return(-ENOMEM);
    for (self->i = 0; self->i < self->count; self->i++)
        self->tasks[self->i] =
            async_spawn(look_up, self->names, self->list[self->i], AF_UNSPEC,
                        self->limit_ms);
    await(n, async_join_all(self->tasks, (size_t)self->count));
    async_return(n);
    async_finally;
    free(self->tasks);
    async_end;
}

async(lookup, const char *servers; char **list; int count, limit_ms;
      ares_loop *names;)
{
    int n;
    async_begin;
    self->names = ares_loop_open(self->servers);
    if (!self->names)
        async_return(-EINVAL);
    await(n, async_call(look_up_all, self->names, self->list, self->count,
                        self->limit_ms));
    async_return(n);
    async_finally;
    ares_loop_close(self->names);
    async_end;
}

int main(int argc, char **argv)
{
    int error, limit_ms;
    if (argc < 4 || read_number(&limit_ms, "LIMIT_MS", argv[2], 1, NUMBER_MAX))
        return fprintf(stderr, "usage: lookup SERVERS LIMIT_MS NAME...\n"), 2;
    ares_library_init(ARES_LIB_INIT_ALL);
    error = (int)async_run(lookup, strcmp(argv[1], "-") ? argv[1] : NULL,
                           argv + 3, argc - 3, limit_ms);
    ares_library_cleanup();
    if (error < 0)
        fprintf(stderr, "lookup: %s\n", strerror(-error));
    return error < 0 || failed;
}
