/* learn: shows an exercise, checks it again at each save, and says what is
 * wrong first.
 *     make learn              begin, or go on where you were
 *     make learn AT=06.2      go on there
 *     make learn EX=06.2      check one exercise, and end with its status
 *
 * Three tasks and a channel. `watch` looks at the file's time, `keys` reads
 * the keyboard, `check` runs docs/course/check.sh in a child process. Each of
 * them sends what has happened to `learn`, which does something and draws.
 * Progress, the exercises as they were and what a reset took are in .learn/.
 */
#include "async.h"

#include <ctype.h>
#include <glob.h>
#include <termios.h>

enum { MOST = 100, TEXT = 8192, HINTS = 3, LOOK_MS = 100, LIMIT_MS = 60000 };

/* What the tasks send, beside the keys themselves. */
enum { SAVED = 1, CHECKED, DRAW };

/* What stands between the verdict and the keys. */
enum panel { NOTHING, HINT, LIST, SOLUTION, NOTE };

struct exercise {
    char id[8], lesson[40]; /* "06.2", "06-callbacks" */
    int number, is_done;
};

static struct exercise exercises[MOST];
static int count, current, hints, is_checking, status, ended_by;
static enum panel panel;
static char verdict[TEXT]; /* what check.sh has said last */
static const char *note;
static struct stat seen; /* of the file, when it was last looked at */
static async_channel happened;
static async_task boss;

/* ---- files ---- */

/* "docs/course/06-callbacks/ex2" and this ending. */
static const char *file_of(const struct exercise *it, const char *ending)
{
    static char path[160];
    snprintf(path, sizeof path, "docs/course/%s/ex%d%s", it->lesson,
             it->number, ending);
    return path;
}

/* ".learn/06.2" and this ending. */
static const char *kept(const struct exercise *it, const char *ending)
{
    static char path[160];
    snprintf(path, sizeof path, ".learn/%s%s", it->id, ending);
    return path;
}

/* The file's first bytes, as a string: "" if there is no such file. */
static const char *contents(const char *path)
{
    static char text[4 * TEXT];
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[size] = '\0';
    if (file)
        fclose(file);
    return text;
}

static int copy(const char *from, const char *to)
{
    char bytes[4096];
    size_t n;
    FILE *in = fopen(from, "r"), *out = in ? fopen(to, "w") : NULL;
    while (out && (n = fread(bytes, 1, sizeof bytes, in)) > 0)
        fwrite(bytes, 1, n, out);
    if (in)
        fclose(in);
    return out && fclose(out) == 0 ? 0 : -1;
}

static int find(const char *id)
{
    int i = 0;
    while (i < count && strcmp(exercises[i].id, id) != 0)
        i++;
    return i < count ? i : -1;
}

/* Each line of the progress is "at" or "done", and an exercise. */
static void load_progress(void)
{
    char word[8], id[8];
    FILE *file = fopen(".learn/progress", "r");
    while (file && fscanf(file, "%7s %7s", word, id) == 2) {
        int i = find(id);
        if (i >= 0 && strcmp(word, "at") == 0)
            current = i;
        else if (i >= 0)
            exercises[i].is_done = 1;
    }
    if (file)
        fclose(file);
}

static void save_progress(void)
{
    FILE *file = fopen(".learn/progress.new", "w");
    if (!file)
        return;
    fprintf(file, "at %s\n", exercises[current].id);
    for (int i = 0; i < count; i++)
        if (exercises[i].is_done)
            fprintf(file, "done %s\n", exercises[i].id);
    if (fclose(file) == 0)
        rename(".learn/progress.new", ".learn/progress");
}

/* An exercise is there if its check is; it is kept as it was found. */
static void load(void)
{
    glob_t found;
    mkdir(".learn", 0777);
    if (glob("docs/course/[0-9][0-9]-*/ex[0-9]_check.c", 0, NULL, &found))
        return;
    for (size_t i = 0; i < found.gl_pathc && count < MOST; i++) {
        struct exercise *it = &exercises[count];
        if (sscanf(found.gl_pathv[i], "docs/course/%39[^/]/ex%d", it->lesson,
                   &it->number) != 2)
            continue;
        sprintf(it->id, "%c%c.%d", *it->lesson, it->lesson[1], it->number);
        if (access(kept(it, ".c"), F_OK) < 0)
            copy(file_of(it, ".c"), kept(it, ".c"));
        count++;
    }
    globfree(&found);
    load_progress();
}

/* ---- the screen ---- */
static const char *clear = "", *good = "", *bad = "", *plain = "";

static void choose_look(void)
{
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    if (!isatty(1) || !term || strcmp(term, "dumb") == 0)
        return;
    clear = "\033[H\033[2J\033[3J";
    if (no_colour && *no_colour)
        return;
    good = "\033[32m";
    bad = "\033[31m";
    plain = "\033[0m";
}

static int done(void)
{
    int sum = 0;
    for (int i = 0; i < count; i++)
        sum += exercises[i].is_done;
    return sum;
}

static void show_head(const struct exercise *it)
{
    enum { WIDTH = 20 };
    printf("%s%s %-25s [", clear, it->id, it->lesson + 3);
    for (int i = 0; i < WIDTH; i++)
        putchar(i < done() * WIDTH / count ? '#' : '-');
    printf("] %3d/%d\n%s\n\n", done(), count, file_of(it, ".c"));
}

/* The comment that the exercise begins with, without its stars. */
static void show_task(const struct exercise *it)
{
    const char *text = contents(kept(it, ".c")), *end = strstr(text, "*/");
    for (text += strspn(text, "/* "); end && text < end; text++) {
        putchar(*text);
        if (*text == '\n')
            text += strspn(text + 1, " *");
    }
    puts("\n");
}

static void show_verdict(void)
{
    if (is_checking)
        puts("  checking...\n");
    else if (*verdict)
        printf("%s%s%s\n", status == 0 ? good : bad, verdict, plain);
    else
        puts("  Save the file, and it is checked.\n");
}

static void show_hints(const struct exercise *it)
{
    char text[TEXT], *hint = text;
    snprintf(text, sizeof text, "%s", contents(file_of(it, ".hint")));
    for (int i = 1; i <= hints && hint; i++) {
        char *next = strstr(hint, "\n--\n");
        if (next)
            *next = '\0';
        printf("  hint %d/%d\n%s\n\n", i, HINTS, hint);
        hint = next ? next + 4 : NULL;
    }
}

/* A line for each lesson. */
static void show_list(void)
{
    for (int i = 0; i < count; i++) {
        const struct exercise *it = &exercises[i];
        if (i == 0 || strcmp(it->lesson, it[-1].lesson) != 0)
            printf("%s  %-26s", i ? "\n" : "", it->lesson);
        printf(" %c%d %s", i == current ? '>' : ' ', it->number,
               it->is_done ? "done" : "----");
    }
    puts("\n");
}

/* The patch, from its first change on. */
static void show_solution(const struct exercise *it)
{
    const char *text = strstr(contents(file_of(it, ".patch")), "\n@@");
    text = text ? strchr(text + 1, '\n') : NULL;
    if (!it->is_done)
        puts("  The solution is shown once yours is right.\n");
    else if (!text)
        puts("  The file is its own solution.\n");
    else
        printf("  one solution (- was there, + comes instead):%s\n", text);
}

static void draw(void)
{
    const struct exercise *it = &exercises[current];
    int next = hints < HINTS ? hints + 1 : HINTS;
    show_head(it);
    show_task(it);
    show_verdict();
    if (panel == HINT)
        show_hints(it);
    else if (panel == LIST)
        show_list();
    else if (panel == SOLUTION)
        show_solution(it);
    else if (panel == NOTE)
        printf("  %s\n\n", note);
    printf("  n next   h hint (%d/%d)   l list   r reset   s solution   "
           "q quit\n", next, HINTS);
    fflush(stdout);
}

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
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        async_on_signal(ends[i], NULL, on_end);
    async_on_signal(SIGTSTP, NULL, on_pause);
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
    if (self->result < 0)
        snprintf(verdict, TEXT, "  x The check was stopped: %s.\n",
                 strerror((int)-self->result));
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

/* As it was; that the file has changed is for `watch` to see. */
static void reset(void)
{
    const struct exercise *it = &exercises[current];
    char file[160], mine[160];
    snprintf(file, sizeof file, "%s", file_of(it, ".c"));
    snprintf(mine, sizeof mine, "%s", kept(it, ".mine.c"));
    note = copy(file, mine) == 0 && copy(kept(it, ".c"), file) == 0
               ? "The file is as it was; what you had is in .learn/."
               : "The file cannot be reset.";
    panel = NOTE;
}

static int act(int what)
{
    switch (what) {
    case SAVED:
        return 1;
    case CHECKED:
        exercises[current].is_done |= status == 0;
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
    case 's':
        panel = what == 'l' ? LIST : SOLUTION;
    }
    return 0;
}

async(learn, async_task checking; char what, events[16];)
{
    int again;
    async_begin;
    boss = async_current_task();
    async_channel_init(&happened, self->events, 1, sizeof self->events);
    catch_signals();
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
    go(current);
    show_head(&exercises[current]);
    await(async_call(check));
    act(CHECKED);
    show_verdict();
    async_return(status);
    async_end;
}

/* learn [--at] [EXERCISE] */
int main(int argc, char **argv)
{
    const char *id = argc > 1 ? argv[argc - 1] : NULL;
    int is_once = argc == 2, at;
    load();
    at = id ? find(id) : current;
    if (at < 0 || count == 0)
        return fprintf(stderr, "there is no such exercise: %s\n", id), 2;
    current = at;
    if (is_once)
        return async_run(once) == 0 ? 0 : status > 0 ? status : 1;
    choose_look();
    take_terminal();
    at = (int)async_run(learn);
    give_terminal();
    if (at < 0 && !ended_by)
        return fprintf(stderr, "learn: %s\n", strerror(-at)), 1;
    return ended_by ? 128 + ended_by : 0;
}
