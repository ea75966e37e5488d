/* learn.h: what learn.c knows of the exercises, and how it shows them. Nothing
 * waits here.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 100, TEXT = 8192, PATH = 100, HINTS = 3 };

/* What stands between the verdict and the keys. */
enum panel { NOTHING, HINT, LIST, SOLUTION, RESET };

struct exercise {
    char id[8], lesson[40]; /* "06.2", "06-callbacks" */
    int number, is_done;
};

static struct exercise exercises[MOST];
static int count, current, hints, is_checking, status;
static enum panel panel;
static char verdict[TEXT]; /* what check.sh has said last */

/* ---- files ---- */

/* "docs/course/06-callbacks/ex2" and this ending. */
static const char *file_of(const struct exercise *it, const char *ending)
{
    static char path[PATH];
    snprintf(path, PATH, "docs/course/%s/ex%d%s", it->lesson, it->number,
             ending);
    return path;
}

/* ".learn/06.2" and this ending. */
static const char *kept(const struct exercise *it, const char *ending)
{
    static char path[PATH];
    snprintf(path, PATH, ".learn/%s%s", it->id, ending);
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

static void copy(const char *from, const char *to)
{
    const char *text = contents(from);
    FILE *file = *text ? fopen(to, "w") : NULL;
    if (file) {
        fputs(text, file);
        fclose(file);
    }
}

/* Has it been edited? */
static int is_edited(const struct exercise *it)
{
    char now[4 * TEXT];
    snprintf(now, sizeof now, "%s", contents(file_of(it, ".c")));
    return strcmp(now, contents(kept(it, ".c"))) != 0;
}

/* "06.2" or "6.2" */
static int find(const char *id)
{
    int i = 0;
    while (i < count && strcmp(exercises[i].id, id) != 0 &&
           strcmp(exercises[i].id + (*exercises[i].id == '0'), id) != 0)
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

/* Its task and its three hints, for whoever reads French (LANG=fr); or "". */
static const char *in_french(const struct exercise *it)
{
    const char *all = getenv("LC_ALL"), *messages = getenv("LC_MESSAGES"),
               *lang = getenv("LANG"),
               *language = all && *all ? all : messages && *messages ? messages : lang;
    int reads_french = language && strncmp(language, "fr", 2) == 0;
    return reads_french ? contents(file_of(it, ".fr")) : "";
}

/* The comment that the exercise begins with, without its stars. */
static void show_task(const struct exercise *it)
{
    const char *text = in_french(it), *end = strstr(text, "\n--\n");
    if (end) {
        printf("%.*s\n\n", (int)(end - text), text);
        return;
    }
    text = contents(file_of(it, ".c"));
    end = strstr(text, "*/");
    for (text += strspn(text, "/* "); end && text < end; text++) {
        putchar(*text);
        if (strncmp(text, "\n * ", 4) == 0)
            text += 3;
    }
    puts("\n");
}

static void show_verdict(const struct exercise *it)
{
    if (is_checking)
        puts("  checking...\n");
    else if (*verdict)
        printf("%s%s%s\n", status == 0 ? good : bad, verdict, plain);
    else
        printf("  %sSave the file, and it is checked.\n\n",
               it->is_done ? "It was right. " : "");
}

static void show_hints(const struct exercise *it)
{
    char text[TEXT], *hint = text;
    const char *french = strstr(in_french(it), "\n--\n");
    snprintf(text, sizeof text, "%s",
             french ? french + 4 : contents(file_of(it, ".hint")));
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

/* Once it is right: how one goes on. */
static void show_next(const char *how, const char *id)
{
    if (status != 0 || is_checking)
        return;
    if (done() == count)
        printf("  All %d are done.\n\n", count);
    else
        printf("  Next: %s%s\n\n", how, id);
}

static void draw(void)
{
    const struct exercise *it = &exercises[current];
    show_head(it);
    show_task(it);
    show_verdict(it);
    show_next("n", "");
    if (panel == HINT)
        show_hints(it);
    else if (panel == LIST)
        show_list();
    else if (panel == SOLUTION)
        show_solution(it);
    else if (panel == RESET)
        printf("  It is as it was; yours is %s.\n\n", kept(it, ".mine.c"));
    printf("  n next   h hint (%d/%d)   l list   r reset   s solution   "
           "q quit\n", hints < HINTS ? hints + 1 : HINTS, HINTS);
    fflush(stdout);
}
