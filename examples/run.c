/* run: runs the commands on its input, one a line, MOST at once, each for at
 * most LIMIT ms. Their lines get the command's number; what failed is told on
 * stderr. The status is 0, 1 if any failed, 128 + signo by SIGTERM or SIGINT.
 *     cc -O2 -I. examples/run.c -o run
 *     printf 'sleep 9\necho one; exit 3\necho two >&2\n' | ./run 2 5000
 * A command ends with its shell: what is left of its process group is killed.
 * Who has left that (setsid) is heard until there is nothing for QUIET_MS.
 */
#include "async.h"
#include "number.h"
enum { LINE = 8192, QUIET_MS = 1000 };
static async_stream *outputs[2];
static async_mutex flushing[2];
static async_semaphore places;
static async_task boss;
static int most = 4, limit_ms = -1, count, failed, stopped;

static int say(int output, int number, const char *line, size_t size)
{
    char text[LINE + 16];
    size_t begun = (size_t)sprintf(text, "%d: ", number);
    size -= size && line[size - 1] == '\n';
    memcpy(text + begun, line, size);
    text[begun + size] = '\n';
    return async_stream_write(outputs[output], text, begun + size + 1);
}

static void report(int number, int result)
{
    char text[32];
    snprintf(text, sizeof text, result < ASYNC_KILLED ? "exit status %d" :
             "killed by signal %d", result % ASYNC_KILLED);
    const char *words = result > 0 ? text : result == -ETIMEDOUT ?
                        "out of time" : strerror(-result);
    if (result != 0)
        say(1, number, words, strlen(words));
    failed |= result != 0;
}

async(copy, int number, output, fd, *over, is_cut; async_stream *from;
      char line[LINE];)
{
    ssize_t n;
    async_begin;
    self->from = async_stream_open(self->fd);
    for (;;) {
        await(n, async_stream_read_line(self->from, self->line, LINE),
              QUIET_MS);
        if (n == -ETIMEDOUT && !*self->over)
            continue;
        if (n == 1 && *self->line == '\n' && self->is_cut--)
            continue; /* the end of a line in pieces */
        self->is_cut = n == -EMSGSIZE;
        if (n == -EMSGSIZE || n == -ETIMEDOUT) /* a piece of it; the last */
            await(n, async_stream_read(self->from, self->line, LINE - 1), 0);
        if (n <= 0 ||
            say(self->output, self->number, self->line, (size_t)n) < 0)
            break;
        await(async_mutex_lock(&flushing[self->output]));
        await(n, async_stream_flush(outputs[self->output]));
        async_mutex_unlock(&flushing[self->output]);
    }
    async_finally;
    async_stream_close(self->from);
    async_end;
}

async(command, char *line; int number, over, result; async_process child;)
{
    ssize_t n;
    async_begin;
    self->result = async_process_start(
        &self->child, (const char *[]){"/bin/sh", "-c", "--", self->line, NULL},
        &(async_process_options){ASYNC_TO_NULL, ASYNC_TO_PIPE, ASYNC_TO_PIPE,
                                 .new_group = 1});
    if (self->result < 0)
        async_return(0);
    if (async_spawn(copy, self->number, 0, self->child.out, &self->over) < 0 ||
        async_spawn(copy, self->number, 1, self->child.err, &self->over) < 0)
        kill(-self->child.pid, SIGKILL); /* no memory */
    await(self->result, async_process_wait(&self->child), limit_ms);
    kill(-self->child.pid, SIGKILL);
    self->over = 1;
    await(async_join_children());
    async_finally;
    await(n, async_process_wait(&self->child)); /* who was killed just now */
    report(self->number, self->result);
    free(self->line);
    async_semaphore_release(&places);
    async_end;
}

static void on_signal(int signo, void *unused)
{
    (void)unused, stopped = signo, async_cancel(boss);
}

async(run, async_stream *input; char *command, line[LINE]; int error;)
{
    ssize_t n;
    async_begin;
    boss = async_current_task();
    async_semaphore_init(&places, (size_t)most);
    self->input = async_stream_open(async_adopt(0));
    outputs[0] = async_stream_open(async_adopt(1));
    outputs[1] = async_stream_open(async_adopt(2));
    async_on_signal(SIGTERM, NULL, on_signal);
    async_on_signal(SIGINT, NULL, on_signal);
    do {
        await(async_semaphore_acquire(&places));
        await(n, async_stream_read_line(self->input, self->line, LINE));
        if (n > 0 && strlen(self->line) != (size_t)n)
            n = -EINVAL; /* a zero byte: what follows would be left out */
        self->command = n > 0 ? strdup(self->line) : NULL;
    } while (n > 0 && async_spawn(command, self->command, ++count) >= 0);
    free(self->command); /* of who could not begin */
    self->error = n > 0 ? -ENOMEM : (int)n;
    await(async_join_children());
    await(n, async_stream_flush(outputs[0])); /* was all of it written? */
    if (n == 0)
        await(n, async_stream_flush(outputs[1]));
    async_return(self->error ? self->error : n);
    async_end;
}

int main(int argc, char **argv)
{
    int error;
    if (argc > 3 ||
        (argc > 1 && read_number(&most, "MOST", argv[1], 1, NUMBER_MAX)) ||
        (argc > 2 && read_number(&limit_ms, "LIMIT", argv[2], 1, NUMBER_MAX)))
        return fprintf(stderr, "usage: run [MOST [LIMIT]]\n"), 2;
    error = (int)async_run(run);
    if (error < 0 && !stopped)
        fprintf(stderr, "run: %s\n", strerror(-error));
    return stopped ? 128 + stopped : failed || error < 0;
}
