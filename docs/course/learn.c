/* learn: shows an exercise, checks it again at each save, and says what is
 * wrong first.
 *     make learn              begin, or go on where you were
 *     make learn AT=06.2      go on there
 *     make learn EX=06.2      check one exercise, and end with its status
 *
 * Three tasks and a channel. `watch` looks at the file's time, `keys` reads
 * the keyboard, `check` runs docs/course/check.sh in a child process. Each of
 * them sends what has happened to `learn`, which does something and draws
 * (learn.h). In .learn/ are the progress, the exercises as they were, and
 * what a reset took.
 */
#include "async.h"

#include "learn.h"

#include <termios.h>

enum { LOOK_MS = 100, LIMIT_MS = 120000 };

/* What the tasks send, beside the keys themselves. */
enum { SAVED = 1, CHECKED, DRAW };

static async_channel happened;
static async_task boss;
static int ended_by;     /* this signal */
static struct stat seen; /* of the file, when it was last looked at */

/* ---- the terminal: keys come one by one, and are not shown ---- */
static struct termios as_it_was;
static int has_terminal;

static void take_terminal(void)
{
    struct termios ours;
    has_terminal = tcgetattr(0, &as_it_was) == 0;
    ours = as_it_was;
    ours.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    if (has_terminal)
        tcsetattr(0, TCSADRAIN, &ours);
}

static void give_terminal(void)
{
    if (has_terminal)
        tcsetattr(0, TCSADRAIN, &as_it_was);
}

/* A descriptor of our own: what we do to it does not concern the shell. */
static int open_keyboard(void)
{
    const char *name = ttyname(0);
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    return async_adopt(fd < 0 ? 0 : fd);
}

static void on_end(int signo, void *unused)
{
    (void)unused;
    ended_by = signo;
    async_cancel(boss);
}

/* Ctrl-Z: the shell gets its terminal as it was, and we ours when we go on. */
static void on_pause(int signo, void *unused)
{
    (void)signo, (void)unused;
    give_terminal();
    raise(SIGSTOP);
    take_terminal();
    async_channel_send_nowait(&happened, &(char){DRAW});
}

static void catch_signals(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    boss = async_current_task();
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        async_on_signal(ends[i], NULL, on_end);
}

/* ---- the tasks ---- */
#ifdef __APPLE__
#define NANOSECONDS(stat) (stat).st_mtimespec.tv_nsec
#else
#define NANOSECONDS(stat) (stat).st_mtim.tv_nsec
#endif

/* Since the last look? Some editors write a new file of the same name. */
static int has_changed(void)
{
    struct stat was = seen;
    if (stat(file_of(&exercises[current], ".c"), &seen) < 0)
        return 0;
    return seen.st_ino != was.st_ino || seen.st_size != was.st_size ||
           seen.st_mtime != was.st_mtime ||
           NANOSECONDS(seen) != NANOSECONDS(was);
}

async(watch, char saved;)
{
    async_begin;
    self->saved = SAVED;
    for (;;) {
        await(async_sleep(LOOK_MS));
        if (has_changed())
            await(async_channel_send(&happened, &self->saved));
    }
    async_end;
}

async(keys, int fd; char key;)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->fd, &self->key, 1));
        if (n <= 0)
            self->key = 'q';
        await(async_channel_send(&happened, &self->key));
    }
    async_end;
}

/* Read all that check.sh says, and wait for its end: its status. */
async(hear, async_process *child; size_t size;)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->child->out, verdict + self->size,
                            TEXT - 1 - self->size));
        if (n <= 0)
            break;
        self->size += (size_t)n;
        verdict[self->size] = '\0';
    }
    await(n, async_process_wait(self->child));
    async_return(n);
    async_end;
}

static int start(async_process *child)
{
    static const async_process_options options = {
        ASYNC_TO_NULL, ASYNC_TO_PIPE, ASYNC_TO_OUT, .new_group = 1};
    const char *program[] = {"docs/course/check.sh", exercises[current].id,
                             NULL};
    verdict[0] = '\0';
    return async_process_start(child, program, &options);
}

/* All of its process group; check.sh's own children end with what they ran. */
static void end(const async_process *child, int signo)
{
    if (child->pid > 0)
        kill(-child->pid, signo);
}

async(check, async_process child; async_result result; char checked;)
{
    async_begin;
    self->checked = CHECKED;
    self->result = start(&self->child);
    if (self->result == 0)
        await(self->result, async_call(hear, &self->child), LIMIT_MS);
    if (self->result == -ECANCELED)
        async_return(self->result);
    if (self->result < 0 || self->result >= ASYNC_KILLED)
        snprintf(verdict, TEXT, "  x The check did not end: %s.\n",
                 self->result == -ETIMEDOUT ? "this machine was too slow for it; save again" :
                 self->result < 0 ? strerror((int)-self->result) : "killed");
    status = (int)self->result;
    is_checking = 0;
    await(async_channel_send(&happened, &self->checked));
    async_finally;
    end(&self->child, SIGTERM);
    await(self->result, async_process_wait(&self->child), 1000);
    end(&self->child, SIGKILL);
    async_close(self->child.out);
    async_end;
}

/* ---- what follows from what has happened; 1: check it again ---- */
static int go(int to)
{
    current = to;
    hints = 0;
    panel = NOTHING;
    verdict[0] = '\0';
    status = 1; /* what is checked no more, counts no more */
    has_changed();
    save_progress();
    return access(file_of(&exercises[to], ".patch"), F_OK) == 0;
}

/* The next that is not done; if all are, the next. */
static int next(void)
{
    for (int i = 1; i < count; i++)
        if (!exercises[(current + i) % count].is_done)
            return (current + i) % count;
    return (current + 1) % count;
}

/* As it was, and what was edited is kept; `watch` sees that. */
static void reset(void)
{
    const struct exercise *it = &exercises[current];
    if (is_edited(it) && rename(file_of(it, ".c"), kept(it, ".mine.c")) < 0) {
        snprintf(verdict, TEXT, "  x It stays as it is, for yours cannot be "
                                "kept: %s.\n", strerror(errno));
        return;
    }
    copy(kept(it, ".c"), file_of(it, ".c"));
    panel = RESET;
}

static int act(int what)
{
    switch (what) {
    case SAVED:
        return 1;
    case CHECKED:
        exercises[current].is_done |= status == 0;
        if (status == 0 && panel == RESET)
            panel = NOTHING;
        save_progress();
        return 0;
    case 'n':
        return go(next());
    case 'r':
        reset();
        return 0;
    case 'h':
        hints += hints < HINTS;
        panel = HINT;
        return 0;
    case 'l':
        panel = panel == LIST ? NOTHING : LIST;
        return 0;
    case 's':
        panel = SOLUTION;
    }
    return 0;
}

async(learn, async_task checking; char what, events[16];)
{
    int again;
    async_begin;
    async_channel_init(&happened, self->events, 1, sizeof self->events);
    catch_signals();
    async_on_signal(SIGTSTP, NULL, on_pause);
    async_spawn(watch);
    async_spawn(keys, .fd = open_keyboard());
    for (again = go(current); self->what != 'q'; again = act(self->what)) {
        if (again) {
            async_cancel(self->checking);
            await(async_join(self->checking));
            self->checking = async_spawn(check);
            is_checking = 1;
        }
        draw();
        await(async_channel_receive(&happened, &self->what));
    }
    async_end;
}

/* One exercise, without a terminal. */
async(once, char events[1];)
{
    async_begin;
    async_channel_init(&happened, self->events, 1, 1);
    catch_signals();
    clear = "";
    go(current);
    await(async_call(check));
    act(CHECKED);
    show_head(&exercises[current]);
    if (status != 0)
        show_task(&exercises[current]);
    show_verdict(&exercises[current]);
    show_next("make learn EX=", exercises[next()].id);
    async_return(status);
    async_end;
}

/* learn [--at] [EXERCISE] */
int main(int argc, char **argv)
{
    const char *id = argc > 1 ? argv[argc - 1] : NULL;
    int result;
    load();
    current = id ? find(id) : current;
    if (current < 0 || count == 0)
        return fprintf(stderr, "there is no exercise %s\n", id ? id : ""), 2;
    choose_look();
    if (argc == 2) {
        result = (int)async_run(once);
    } else {
        take_terminal();
        result = (int)async_run(learn);
        give_terminal();
        puts("\n  make learn goes on here.");
    }
    if (result < 0 && !ended_by)
        fprintf(stderr, "learn: %s\n", strerror(-result));
    return ended_by ? 128 + ended_by : result < 0 ? 1 : result;
}
