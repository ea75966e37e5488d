/*
 * The trace: what ASYNC_TRACE_FILE makes any program write.
 *
 * Method. Programs run with the variable set, to their end or until they are killed; the file is
 * taken apart as JSON (with the bracket that its readers do without), and its events are looked at.
 */
#include "seam.h"

#include "async.h"
#include "test.h"

#include <ctype.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define A_FILE "it writes a file"

/* ----------------------------------------------------------------------------
 * MARK: - Reading a trace
 *
 * Some strspn(3) and strchr(3) go to the end of the text first, which is long: loops stand here.
 * ------------------------------------------------------------------------- */
static char path[64], text[4 << 20];

static void begin_trace(void)
{
    seam_reset();
    snprintf(path, sizeof path, "/tmp/async-trace-%ld.json", (long)getpid());
    unlink(path);
    setenv("ASYNC_TRACE_FILE", path, 1);
}

static void end_trace(void)
{
    FILE *in = fopen(path, "r");
    size_t size = in ? fread(text, 1, sizeof text - 2, in) : 0;
    if (in)
        fclose(in);
    strcpy(text + size, "{}]");
    unlink(path);
    unsetenv("ASYNC_TRACE_FILE");
}

static const char *skip(const char *p)
{
    while (*p == ' ' || *p == '\n')
        p++;
    return p;
}

/* What follows a JSON value that begins here, NULL if none does. */
static const char *value_end(const char *p)
{
    char close = *p == '[' ? ']' : '}';
    if (*p == '"') {
        for (p++; *p && *p != '"'; p++)
            if ((unsigned char)*p < ' ' || (*p == '\\' && !*++p))
                return NULL;
        return *p ? p + 1 : NULL;
    }
    if (*p != '[' && *p != '{') {
        char *end;
        strtod(p, &end);
        return end > p ? end : NULL;
    }
    p = skip(p + 1);
    while (*p != close) {
        if (close == '}' && (*p != '"' || (p = value_end(p)) == NULL || *p++ != ':'))
            return NULL;
        if ((p = value_end(p)) == NULL)
            return NULL;
        p = skip(p);
        if (*p == ',')
            p = skip(p + 1);
        else if (*p != close)
            return NULL;
    }
    return p[-1] == ',' ? NULL : p + 1;
}

static int is_json(void)
{
    const char *end = *text == '[' ? value_end(text) : NULL;
    return end && *end == '\0';
}

/* The events that have all of these words, and the last of them. */
static char event[1000];

static int events(const char *first, const char *second, const char *third)
{
    int count = 0;
    for (char *line = text, *end; line; line = *end ? end + 1 : NULL) {
        char copy[1000];
        for (end = line; *end && *end != '\n';)
            end++;
        snprintf(copy, sizeof copy, "%.*s", (int)(end - line), line);
        if (!strstr(copy, first) || !strstr(copy, second) || !strstr(copy, third))
            continue;
        memcpy(event, copy, sizeof event);
        count++;
    }
    return count;
}

static double number(const char *key)
{
    const char *place = strstr(event, key);
    check(place != NULL);
    return strtod(place + strlen(key), NULL);
}

/* Each step is on a track that has a name, and is over before the next one begins. */
static int steps_are_in_order(void)
{
    double last = 0;
    int count = 0;
    for (char *place = text; (place = strstr(place, "{\"ph\":\"X\"")) != NULL; place++, count++) {
        char track[60];
        double start;
        snprintf(event, sizeof event, "%.*s", (int)(strchr(place, '\n') - place), place);
        start = number("\"ts\":");
        check(start >= last);
        check(number("\"dur\":") >= 0);
        last = start + number("\"dur\":");
        snprintf(track, sizeof track, "\"tid\":%.0f,", number("\"tid\":"));
        check(events("\"ph\":\"M\"", "\"name\":\"thread_name\"", track) > 0);
    }
    return count;
}

/* ----------------------------------------------------------------------------
 * MARK: - What is in it
 * ------------------------------------------------------------------------- */
async(inner)
{
    async_begin;
    await(async_sleep(1));
    async_end;
}

async(worker, int fd; async_event *reads; char byte; async_result n;)
{
    async_begin;
    async_name("a name that is so long that no reader would show all of it on a track");
    async_name("a name of sixty-two bytes and then a character that takes two:\303\251");
    async_name(NULL);
    async_name("\"the\\reader\"\n");
    await(async_call(inner));
    async_event_set(self->reads);
    await(self->n, async_read(self->fd, &self->byte, 1));
    async_end;
}

async(boss, int ends[2]; async_event reads; async_task task;)
{
    async_begin;
    async_name("");
    check_equal(async_pipe(self->ends), 0);
    self->task = async_spawn(worker, .fd = self->ends[0], .reads = &self->reads);
    await(async_event_wait(&self->reads));
    check_equal(async_cancel(self->task), 0);
    await(async_join(self->task));
    async_end;
}

REAL_TEST(trace, has_each_task_and_each_of_its_steps, A_FILE)
{
    char then[60];
    begin_trace();
    check_equal(async_run(boss), 0);
    end_trace();
    check(is_json());
    check(steps_are_in_order() >= 7);
    check_equal(events("\"ph\":\"M\"", "thread_name", "\"name\":\"boss\""), 1);
    check_equal(events("\"ph\":\"M\"", "thread_name", "\"name\":\"worker\""), 1);
    check_equal(events("\"ph\":\"M\"", "thread_name", "\"name\":\"_the_reader__\""), 1);
    check_equal(events("thread_name", "\"a name that is so long that no reader would show all of ",
                       "it on a\""), 1);
    check_equal(events("thread_name", "and then a character that takes two:\"", "\"ph\":\"M\""), 1);
    check_equal(events("\"ph\":\"i\"", "\"name\":\"name\"", "\"name\":\"_the_reader__\""), 1);
    check_equal(events("\"ph\":\"i\"", "\"name\":\"spawn\"", "worker"), 1);
    check_equal(events("\"ph\":\"i\"", "\"name\":\"cancel\"", "worker"), 1);
    check_equal(events("\"ph\":\"i\"", "\"name\":\"end\"", "worker"), 1);
    check_equal(events("\"ph\":\"i\"", "\"name\":\"end\"", "boss"), 1);
    check_equal(events("\"ph\":\"X\"", "\"name\":\"inner\"", "\"then\":\"sleep\""), 1);
    check_equal(events("\"ph\":\"X\"", "\"name\":\"worker\"", "\"then\":\"read\""), 1);
    snprintf(then, sizeof then, "test_trace.c:%u\"", worker_type()->line + 9);
    check(strstr(event, then) != NULL);
    check(number("\"fd\":") > 2);
    check_equal((long)number("\"pid\":"), getpid());
}

REAL_TEST(trace, of_several_loops_is_one, A_FILE)
{
    begin_trace();
    check_equal(async_run(inner), 0);
    check_equal(async_run(inner), 0);
    end_trace();
    check(is_json());
    check_equal(events("thread_name", "\"name\":\"inner\"", "\"tid\""), 2);
}

REAL_TEST(trace, is_not_there_unless_asked_for, A_FILE)
{
    begin_trace();
    setenv("ASYNC_TRACE_FILE", "", 1);
    check_equal(async_run(inner), 0);
    check(access(path, F_OK) != 0);
    end_trace();
}

async(lingers)
{
    async_begin;
    await(async_sleep(1000000));
    async_finally;
    await(async_sleep(1));
    async_end;
}

async(leaves_a_child)
{
    async_begin;
    check(async_spawn(lingers) > 0);
    await(async_yield());
    async_end;
}

/* It has no place any more, and waits for its child. */
async(cancels_late, async_task task;)
{
    async_begin;
    self->task = async_keep(async_spawn(leaves_a_child));
    await(async_yield());
    await(async_yield());
    await(async_yield());
    check_equal(async_cancel(self->task), 0);
    await(async_join(self->task));
    async_end;
}

REAL_TEST(trace, has_no_cancelling_of_a_task_that_has_ended, A_FILE)
{
    begin_trace();
    check_equal(async_run(cancels_late), 0);
    end_trace();
    check(is_json());
    check_equal(events("\"name\":\"cancel\"", "lingers", ""), 1);
    check_equal(events("\"name\":\"cancel\"", "leaves_a_child", ""), 0);
}

/* What was not yet written is written once. */
REAL_TEST(trace, is_left_alone_by_a_child_that_closes_the_loop, A_FILE)
{
    pid_t child;
    int status = 0;
    begin_trace();
    check_equal(async_open(NULL), 0);
    check(async_spawn(inner) > 0);
    child = fork();
    if (child == 0) {
        async_loop_close();
        test_save_coverage();
        _exit(0);
    }
    check_equal(waitpid(child, &status, 0), child);
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_close(), 0);
    end_trace();
    check(is_json());
    check_equal(events("\"name\":\"spawn\"", "inner", ""), 1);
}

/* ----------------------------------------------------------------------------
 * MARK: - When it cannot go on
 * ------------------------------------------------------------------------- */
async(kills, int i;)
{
    async_begin;
    for (; self->i < 5; self->i++)
        await(async_sleep(1));
    kill(getpid(), SIGKILL);
    async_end;
}

REAL_TEST(trace, is_whole_where_the_program_is_killed, A_FILE)
{
    pid_t child;
    int status = 0;
    begin_trace();
    child = fork();
    if (child == 0) {
        async_run(kills);
        _exit(1);
    }
    check_equal(waitpid(child, &status, 0), child);
    check(WIFSIGNALED(status));
    end_trace();
    check(is_json());
    check_equal(events("\"ph\":\"X\"", "\"name\":\"kills\"", "\"then\":\"sleep\""), 5);
}

async(many, int i;)
{
    async_begin;
    for (; self->i < 5000; self->i++)
        await(async_yield());
    for (int i = 0; i < 1000; i++)
        check(async_spawn(inner) > 0);
    await(async_join_children());
    async_end;
}

REAL_TEST(trace, of_any_length_is_written, A_FILE)
{
    begin_trace();
    check_equal(async_run(many), 0);
    end_trace();
    check(is_json());
    check_equal(events("\"ph\":\"X\"", "\"name\":\"many\"", ""), 5002);
    check_equal(events("\"name\":\"spawn\"", "", ""), 1001);
    check_equal(events("\"name\":\"end\"", "", ""), 1001);
}

REAL_TEST(trace, that_cannot_be_written_ends_with_a_word, A_FILE)
{
    begin_trace();
    setenv("ASYNC_TRACE_FILE", "/nowhere/x.json", 1);
    check_equal(async_run(boss), 0);
    check_equal(seam_warnings, 1);
    check(strstr(seam_warning, "the trace cannot be written") != NULL);
    setenv("ASYNC_TRACE_FILE", "/dev/full", 1);
    if (access("/dev/full", W_OK) == 0) {
        check_equal(async_run(boss), 0);
        check_equal(seam_warnings, 2);
    }
    end_trace();
}

async(spawns_many)
{
    async_begin;
    for (int i = 0; i < 1000; i++)
        check(async_spawn(inner) > 0);
    await(async_join_children());
    async_end;
}

/* No file gets larger than that, and writing one so is an error, no signal. Returns the limit that
 * there was. */
static struct rlimit limit_files(rlim_t size)
{
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = size;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    return before;
}

static void lift_limit(struct rlimit before)
{
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
}

/* In the middle of a step. */
REAL_TEST(trace, whose_disk_is_full_ends_with_a_word, A_FILE)
{
    struct rlimit before;
    begin_trace();
    before = limit_files(100000);
    check_equal(async_run(spawns_many), 0);
    lift_limit(before);
    check_equal(seam_warnings, 1);
    check(strstr(seam_warning, "the trace cannot be written") != NULL);
    end_trace();
    check_equal(strlen(text), 100000 + 3);
}

/* Each name is two events, and the write that fails may come between them. */
async(names_itself_often, int length; int i; char text[64];)
{
    async_begin;
    snprintf(self->text, sizeof self->text, "%0*d", self->length, 0);
    for (; self->i < 500; self->i++)
        async_name(self->text);
    async_end;
}

REAL_TEST(trace, that_ends_between_two_events_of_a_name_ends_well, A_FILE)
{
    struct rlimit before;
    int length;
    begin_trace();
    before = limit_files(0);
    for (length = 1; length <= 40; length++)
        check_equal(async_run(names_itself_often, .length = length), 0);
    lift_limit(before);
    check_equal(seam_warnings, 40);
    end_trace();
}

REAL_TEST(trace, without_memory_is_none, A_FILE)
{
    int traces = 0, i;
    for (i = 1; i < 10; i++) {
        begin_trace();
        seam_fail_from = i;
        seam_fail_once = 1;
        if (async_run(inner) == 0 && seam_failed) {
            check_equal(seam_warnings, 1);
            check(strstr(seam_warning, "the trace cannot be written") != NULL);
            traces++;
        }
        end_trace();
    }
    check_equal(traces, 1);
}
