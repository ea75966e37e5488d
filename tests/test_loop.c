/*
 * The loop: opening, running, stopping, closing, and life inside another loop or beside a fork.
 *
 * Goal: each function's contract, with each of its errors, and no wake-up without a reason. Method:
 * the loop is driven by hand where order matters; memory, waits and time go through the seam, so
 * that running out of the first, breaking the second and passing the third are statements.
 */
#include "seam.h"
#include "async.h"
#include "test.h"
#include "trace.h"

#include <sys/wait.h>

#define FOREVER INT64_MAX
#define MS INT64_C(1000000)
#define START INT64_C(1000000000000)

static void reset(void)
{
    trace_reset();
    seam_reset();
    seam_blocks = 0;
}

static void open_loop(void)
{
    reset();
    check_equal(async_open(NULL), 0);
}

static void close_loop(void)
{
    check_equal(async_loop_close(), 0);
    check_equal(seam_blocks, 0);
}

static void note_data(void *data)
{
    note(data);
}

static void note_ready(int fd, void *data)
{
    (void)fd;
    note(data);
}

async(notes, const char *name; int turns;)
{
    async_begin;
    do {
        note(self->name);
        await(async_yield());
    } while (--self->turns > 0);
    async_return(5);
    async_end;
}

async(sleeps, const char *name; int64_t duration_ms;)
{
    async_begin;
    await(async_sleep(self->duration_ms ? self->duration_ms : FOREVER));
    async_finally;
    note(self->name);
    async_end;
}

async(reads, int fd; char data[1]; const char *name;)
{
    async_result r;
    async_begin;
    await(r, async_read(self->fd, self->data, 1));
    note(self->name);
    async_return(r);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Opening
 * ------------------------------------------------------------------------- */

TEST(loop, there_is_one_in_a_thread)
{
    open_loop();
    check_error(async_open, EBUSY, async_open(NULL));
    check_error(async_run, EBUSY, async_run(notes, .name = "!"));
    close_loop();
    check_equal(async_loop_close(), 0);
    check_equal(async_open(NULL), 0);
    close_loop();
    check_text(trace, "");
}

TEST(loop, its_backend_comes_from_the_options_or_the_environment)
{
    async_options options;
    char wanted[32];

    open_loop();
    check_text(async_loop_backend(), test_backend);
    close_loop();
    memset(&options, 0, sizeof options);
    check_equal(async_open(&options), 0);
    check_text(async_loop_backend(), test_backend);
    close_loop();
    snprintf(wanted, sizeof wanted, "%s", test_backend);
    options.backend = wanted;
    setenv("ASYNC_BACKEND", strcmp(test_backend, "poll") == 0 ? "epoll" : "poll", 1);
    check_equal(async_open(&options), 0);
    check_text(async_loop_backend(), test_backend);
    close_loop();
    setenv("ASYNC_BACKEND", "", 1);
    check_equal(async_open(NULL), 0);
    check(strcmp(async_loop_backend(), "poll") != 0);
    close_loop();
    setenv("ASYNC_BACKEND", test_backend, 1);
}

TEST(loop, an_unknown_backend_is_an_error)
{
    async_options options;

    reset();
    memset(&options, 0, sizeof options);
    options.backend = "telepathy";
    check_error(async_open, EINVAL, async_open(&options));
    setenv("ASYNC_BACKEND", "poll ", 1);
    check_error(async_open, EINVAL, async_open(NULL));
    check_error(async_run, EINVAL, async_run(notes, .name = "!"));
    setenv("ASYNC_BACKEND", test_backend, 1);
    check_equal(async_loop_close(), 0);
    check_equal(seam_blocks, 0);
    check_text(trace, "");
}

TEST(loop, without_memory_is_not_opened)
{
    int n, error = -ENOMEM;

    reset();
    for (n = 1; error; n++) {
        seam_fail_from = n;
        error = async_open(NULL);
        if (!error)
            break;
        check_error(async_open, ENOMEM, error);
        check_equal(seam_blocks, 0);
    }
    check(n > 3);
    seam_fail_from = 0;
    close_loop();
    for (seam_fail_from = n = 1; n < 20; seam_fail_from = ++n) {
        async_result r = async_run(notes, .name = "x");
        check(r == -ENOMEM || r == 5);
        check_equal(seam_blocks, 0);
    }
}

TEST(loop, without_a_descriptor_is_not_opened)
{
    reset();
    if (strcmp(test_backend, "poll") == 0)
        return;
    seam_refuse = EMFILE;
    check_error(async_open, EMFILE, async_open(NULL));
    seam_refuse = ENFILE;
    check_error(async_open, ENFILE, async_open(NULL));
    check_equal(seam_blocks, 0);
    seam_refuse = 0;
    check_equal(async_open(NULL), 0);
    close_loop();
}

TEST(loop, a_thousand_of_them_leave_nothing)
{
    int count = test_is_costly() ? 50 : 1000;

    reset();
    for (int i = 0; i < count; i++) {
        check_equal(async_open(NULL), 0);
        check(async_spawn(sleeps, .name = "") > 0);
        check(async_loop_run_once(0) >= 0);
        check_equal(async_loop_close(), 0);
    }
    check_equal(seam_blocks, 0);
}

static void (*sigpipe(void))(int)
{
    struct sigaction action;
    sigaction(SIGPIPE, NULL, &action);
    return action.sa_handler;
}

static void handler(int number)
{
    (void)number;
}

TEST(loop, ignores_sigpipe_unless_somebody_handles_it)
{
    async_options keep;

    memset(&keep, 0, sizeof keep);
    keep.keep_sigpipe = 1;
    signal(SIGPIPE, SIG_DFL);
    check_equal(async_open(&keep), 0);
    check(sigpipe() == SIG_DFL);
    check_equal(async_loop_close(), 0);
    check_equal(async_open(NULL), 0);
    check(sigpipe() == SIG_IGN);
    check_equal(async_loop_close(), 0);
    signal(SIGPIPE, handler);
    check_equal(async_open(NULL), 0);
    check(sigpipe() == handler);
    check_equal(async_loop_close(), 0);
    signal(SIGPIPE, SIG_DFL);
}

/* ----------------------------------------------------------------------------
 * MARK: - Running
 * ------------------------------------------------------------------------- */

TEST(loop, runs_until_nothing_is_left)
{
    open_loop();
    seam_clock = START;
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_run_once(-1), 0);
    check(async_spawn(notes, .name = "a", .turns = 2) > 0);
    check(async_soon("s", note_data) > 0);
    check(async_after(1, "t", note_data) > 0);
    check_equal(async_loop_run(), 0);
    check_text(trace, "asat");
    check(async_spawn(notes, .name = "b") > 0);
    check_equal(async_loop_run(), 0);
    check_text(trace, "asatb");
    close_loop();
}

async(joins_by_address, const async_task *task;)
{
    async_begin;
    await(async_join(*self->task));
    async_end;
}

/* In debug builds the run shows the tree; nobody is meant to read it here. */
TEST(loop, says_so_when_its_tasks_wait_for_what_can_never_happen)
{
    async_task one, two;
    int error;

    open_loop();
    one = async_spawn(joins_by_address, &two);
    two = async_spawn(joins_by_address, &one);
    seam_hush();
    error = async_loop_run();
    seam_speak();
    check_error(async_loop_run, EDEADLK, error);
    check_equal(seam_warnings, ASYNC_DEBUG);
    if (ASYNC_DEBUG)
        check_text(seam_warning, "async: a deadlock: nothing can wake these tasks\n");
    check_error(async_loop_run_once, EDEADLK, async_loop_run_once(-1));
    check_error(async_loop_run_once, EDEADLK, async_loop_run_once(0));
    check(async_spawn(notes, .name = "a") > 0);
    check_equal(async_loop_run_once(0), 1);
    seam_hush();
    error = async_loop_run();
    seam_speak();
    check_error(async_loop_run, EDEADLK, error);
    check_text(trace, "a");
    close_loop();
}

TEST(loop, run_once_with_zero_does_not_wait)
{
    int ends[2];

    open_loop();
    seam_clock = START;
    check_equal(async_pipe(ends), 0);
    check(async_spawn(sleeps, .name = "", .duration_ms = 10) > 0);
    check(async_spawn(reads, .fd = ends[0], .name = "r") > 0);
    check_equal(async_loop_run_once(0), 2);
    check_equal(async_loop_run_once(0), 0);
    check_equal(async_loop_run_once(0), 0);
    check_equal(seam_clock, START);
    check_equal(write(ends[1], "x", 1), 1);
    check_equal(async_loop_run_once(0), 1);
    check_text(trace, "r");
    close_loop();
}

TEST(loop, run_once_waits_for_its_timeout_or_for_the_first_thing_to_happen)
{
    open_loop();
    seam_clock = START;
    check(async_spawn(sleeps, .name = "s", .duration_ms = 10) > 0);
    check(async_loop_run_once(0) > 0);
    check_equal(async_loop_run_once(4), 0);
    check_equal(seam_clock, START + 4 * MS);
    check_equal(async_loop_run_once(100), 1);
    check_equal(seam_clock, START + 10 * MS);
    check(async_spawn(sleeps, .name = "t", .duration_ms = 10) > 0);
    check(async_loop_run_once(-1) > 0);
    check_equal(async_loop_run_once(INT64_MAX), 1);
    check(async_spawn(sleeps, .name = "u", .duration_ms = 10) > 0);
    check(async_loop_run_once(-1) > 0);
    check_equal(async_loop_run_once(-1), 1);
    check_equal(seam_clock, START + 30 * MS);
    check_text(trace, "stu");
    close_loop();
}

TEST(loop, run_once_runs_what_is_there_and_not_what_it_makes)
{
    open_loop();
    check(async_spawn(notes, .name = "a", .turns = 3) > 0);
    check(async_spawn(notes, .name = "b", .turns = 3) > 0);
    check_equal(async_loop_run_once(-1), 2);
    check_text(trace, "ab");
    check_equal(async_loop_run_once(-1), 2);
    check_equal(async_loop_run_once(-1), 2);
    check_text(trace, "ababab");
    check_equal(async_loop_run_once(-1), 2);
    check_equal(async_loop_run_once(-1), 0);
    close_loop();
}

async(stops)
{
    async_begin;
    note("s");
    async_loop_stop();
    note("t");
    await(async_yield());
    note("u");
    async_end;
}

static void stops_loop(void *data)
{
    note(data);
    async_loop_stop();
}

TEST(loop, stop_ends_the_run_and_the_next_one_goes_on)
{
    open_loop();
    check(async_spawn(stops) > 0);
    check(async_spawn(notes, .name = "n") > 0);
    check_equal(async_loop_run(), 0);
    check_text(trace, "st");
    check(async_soon("c", stops_loop) > 0);
    check_equal(async_loop_run(), 0);
    check_text(trace, "stnuc");
    check_equal(async_loop_run(), 0);
    close_loop();
}

TEST(loop, stop_before_a_run_makes_it_return_at_once)
{
    open_loop();
    check(async_spawn(notes, .name = "n") > 0);
    async_loop_stop();
    check_equal(async_loop_run(), 0);
    check_text(trace, "");
    check_equal(async_loop_run(), 0);
    check_text(trace, "n");
    close_loop();
}

TEST(loop, async_run_that_is_stopped_cancels_its_task)
{
    reset();
    check_equal(async_run(stops), -ECANCELED);
    check_text(trace, "st");
    check_equal(seam_blocks, 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Closing
 * ------------------------------------------------------------------------- */

static void closes_inside(void *data)
{
    (void)data;
    check_error(async_loop_close, EBUSY, async_loop_close());
    note("c");
}

async(closes)
{
    async_begin;
    check_error(async_loop_close, EBUSY, async_loop_close());
    await(async_sleep(FOREVER));
    async_finally;
    check_error(async_loop_close, EBUSY, async_loop_close());
    note("f");
    async_end;
}

TEST(loop, is_not_closed_from_inside)
{
    open_loop();
    check(async_soon(NULL, closes_inside) > 0);
    check(async_spawn(closes) > 0);
    check(async_loop_run_once(0) > 0);
    check_text(trace, "c");
    close_loop();
    check_text(trace, "cf");
}

TEST(loop, close_ends_what_is_left)
{
    int ends[2], own[2];

    open_loop();
    check_equal(pipe(own), 0);
    check_equal(fcntl(own[1], F_SETFL, O_NONBLOCK), 0);
    check_equal(async_adopt(own[0]), own[0]);
    check_equal(async_adopt(own[1]), own[1]);
    check_equal(async_pipe(ends), 0);
    check(async_spawn(sleeps, .name = "a") > 0);
    check(async_spawn(reads, .fd = ends[0], .name = "b") > 0);
    check(async_spawn(notes, .name = "n", .turns = 100) > 0);
    check(async_on_readable(own[0], "!", note_ready) > 0);
    check(async_on_writable(own[1], "!", note_ready) > 0);
    check(async_every(1000, "!", note_data) > 0);
    check(async_keep(async_spawn(notes, .name = "")) > 0);
    check(async_stream_open(ends[1]) != NULL);
    check(async_loop_run_once(0) > 0);
    check(async_soon("!", note_data) > 0);
    traced = 0;
    close_loop();
    check_equal(strlen(trace), 2);
    check(strchr(trace, 'a') && strchr(trace, 'b'));
    check_equal(fcntl(own[0], F_GETFL) & O_NONBLOCK, 0);
    check_equal(fcntl(own[1], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    check_equal(fcntl(ends[0], F_GETFD), -1);
    check_equal(fcntl(ends[1], F_GETFD), -1);
    close(own[0]);
    close(own[1]);
}

async(will_not_end, const async_task *other; int depth;)
{
    async_begin;
    if (self->depth)
        await(async_shield(async_call(will_not_end, self->other, self->depth - 1)));
    else
        await(async_shield(async_join(*self->other)));
    async_end;
}

/* Two that shield themselves and wait for each other: they are freed where they wait. */
TEST(loop, close_frees_what_will_not_end)
{
    async_task one, two;

    open_loop();
    one = async_spawn(will_not_end, &two, 3);
    two = async_spawn(will_not_end, &one, 0);
    check(async_loop_run_once(0) > 0);
    close_loop();
}

async(registers_in_finally, int way; int fd;)
{
    async_begin;
    await(async_sleep(FOREVER));
    async_finally;
    if (self->way == 0)
        check(async_every(1, "", note_data) > 0);
    else if (self->way == 1)
        check(async_on_readable(self->fd, "", note_ready) > 0);
    else
        check(async_spawn(sleeps, .name = "s") > 0);
    note("f");
    async_end;
}

/* Only tasks keep a loop from closing, and these are cancelled. */
TEST(loop, close_is_not_held_up_by_what_a_finally_section_registers)
{
    for (int way = 0; way < 3; way++) {
        int ends[2];
        open_loop();
        check_equal(async_pipe(ends), 0);
        check(async_spawn(registers_in_finally, .way = way, .fd = ends[0]) > 0);
        check(async_loop_run_once(0) > 0);
        close_loop();
        check_text(trace, way == 2 ? "fs" : "f");
    }
}

/* ----------------------------------------------------------------------------
 * MARK: - Inside another loop
 * ------------------------------------------------------------------------- */

TEST(loop, tells_how_long_it_may_be_left_alone)
{
    int ends[2];

    open_loop();
    seam_clock = START;
    check_equal(async_loop_timeout(), -1);
    check_equal(async_pipe(ends), 0);
    check(async_spawn(reads, .fd = ends[0], .name = "r") > 0);
    check_equal(async_loop_timeout(), 0);
    check_equal(async_loop_run_once(0), 1);
    check_equal(async_loop_timeout(), -1);
    check(async_after(10, "t", note_data) > 0);
    check_equal(async_loop_timeout(), 10);
    seam_clock += 1;
    check_equal(async_loop_timeout(), 10);
    seam_clock += MS;
    check_equal(async_loop_timeout(), 9);
    seam_clock += 20 * MS;
    check_equal(async_loop_timeout(), 0);
    check_equal(async_loop_run_once(0), 1);
    check_equal(async_loop_timeout(), -1);
    check(async_after(INT64_MAX, "!", note_data) > 0);
    check(async_loop_timeout() > 0);
    check_text(trace, "t");
    close_loop();
}

async(echoes, int fd; char data[8];)
{
    ssize_t n;
    async_begin;
    for (;;) {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        if (n <= 0)
            break;
        await(n, async_write(self->fd, self->data, (size_t)n));
    }
    note("e");
    async_end;
}

/* A program's own loop: it watches the descriptor, and one of its own. */
static void serve(int fd, int rounds)
{
    struct pollfd entries[2];
    char data[8];

    entries[0].fd = async_loop_descriptor();
    entries[1].fd = fd;
    entries[0].events = entries[1].events = POLLIN;
    while (rounds > 0) {
        check(async_loop_run_once(0) >= 0);
        check(poll(entries, 2, (int)async_loop_timeout()) >= 0);
        if (!(entries[1].revents & POLLIN))
            continue;
        check_equal(read(fd, data, sizeof data), 4);
        check_equal(write(fd, "ping", 4), 4);
        rounds--;
    }
}

TEST(loop, lives_inside_a_loop_of_poll)
{
    int ends[2];

    open_loop();
    if (strcmp(test_backend, "poll") == 0) {
        check_error(async_loop_descriptor, ENOTSUP, async_loop_descriptor());
        close_loop();
        return;
    }
    check_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    check_equal(async_adopt(ends[0]), ends[0]);
    check(async_spawn(echoes, .fd = ends[0]) > 0);
    check(async_after(1, "t", note_data) > 0);
    check_equal(write(ends[1], "ping", 4), 4);
    serve(ends[1], 100);
    while (async_loop_timeout() >= 0)
        check(async_loop_run_once(-1) >= 0);
    check_text(trace, "t");
    close(ends[1]);
    check_equal(async_loop_run(), 0);
    check_text(trace, "te");
    close_loop();
    close(ends[0]);
}

/* Stopped before it begins, a run does not wait; the one after it does. */
TEST(loop, stopped_beforehand_runs_once_without_waiting)
{
    open_loop();
    seam_clock = START;
    check(async_after(1000, "t", note_data) > 0);
    async_loop_stop();
    check_equal(async_loop_run_once(-1), 0);
    check_equal(seam_clock, START);
    check_equal(async_loop_run_once(INT64_MIN), 1);
    check_equal(seam_clock, START + 1000 * MS);
    check_text(trace, "t");
    close_loop();
}

/* What a task waits for may outlive the loop. */
static async_event of_the_program;

async(waits_in_vain)
{
    async_begin;
    await(async_event_wait(&of_the_program));
    async_finally;
    await(async_event_wait(&of_the_program));
    async_end;
}

async(waits_for_the_next_loop, const char *name;)
{
    async_begin;
    await(async_event_wait(&of_the_program));
    note(self->name);
    async_end;
}

TEST(loop, that_closes_takes_its_tasks_out_of_what_they_wait_for)
{
    open_loop();
    check(async_spawn(waits_in_vain) > 0);
    check(async_spawn(waits_in_vain) > 0);
    check_equal(async_loop_run_once(0), 2);
    close_loop();
    open_loop();
    check(async_spawn(waits_for_the_next_loop, .name = "n") > 0);
    check_equal(async_loop_run_once(0), 1);
    async_event_set(&of_the_program);
    check_equal(async_loop_run(), 0);
    check_text(trace, "n");
    async_event_clear(&of_the_program);
    close_loop();
}

/* A handle from before names nothing in the loop that comes after. */
REAL_TEST(loop, knows_no_handle_of_an_earlier_one, "time goes on between the two")
{
    async_handle old, fresh;
    async_task task, again;

    open_loop();
    old = async_after(1000, "o", note_data);
    task = async_spawn(notes, .name = "t");
    close_loop();
    open_loop();
    fresh = async_after(1, "f", note_data);
    again = async_spawn(notes, .name = "a");
    check((uint32_t)fresh == (uint32_t)old && (uint32_t)again == (uint32_t)task);
    check_error(async_cancel, ESRCH, async_cancel(old));
    check_error(async_cancel, ESRCH, async_cancel(task));
    check_equal(async_loop_run(), 0);
    check_text(trace, "af");
    close_loop();
}

/* ----------------------------------------------------------------------------
 * MARK: - Beside a fork
 * ------------------------------------------------------------------------- */

static int inherited[2];
static async_stream *inherited_stream;

static int works_in_child(void)
{
    int ends[2];

    if (async_open(NULL) != 0 || async_pipe(ends) != 0)
        return 1;
    if (async_spawn(reads, .fd = ends[0], .name = "c") <= 0 || write(ends[1], "x", 1) != 1)
        return 2;
    if (async_loop_run() != 0 || async_loop_close() != 0)
        return 3;
    return async_run(notes, .name = "d") != 5;
}

static void child_errors(void)
{
    check_error(async_loop_run, EPERM, async_loop_run());
    check_error(async_loop_run_once, EPERM, async_loop_run_once(0));
    check_error(async_adopt, EPERM, async_adopt(0));
    check_error(async_close, EPERM, async_close(inherited[0]));
    check_error(async_stream_close, EPERM, async_stream_close(inherited_stream));
}

/* The inherited loop is left where it is; this says to Valgrind that it is not forgotten. */
static void child_opens(void)
{
    static async_loop *volatile left;
    left = async__current;
    check(left != NULL);
    check_equal(works_in_child(), 0);
}

static void child_closes(void)
{
    check_equal(async_loop_close(), 0);
    check_equal(fcntl(inherited[0], F_GETFD), FD_CLOEXEC);
    check_equal(works_in_child(), 0);
}

/* What it inherited is freed, and nothing of its own is left either. */
static void child_opens_and_leaks_nothing(void)
{
    check(seam_blocks > 0);
    check_equal(works_in_child(), 0);
    check_equal(seam_blocks, 0);
}

static void child_cannot_close(void)
{
    check_error(async_loop_close, EBUSY, async_loop_close());
    check_equal(async_loop_close(), -EBUSY);
}

static void in_child(void (*work)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        work();
        test_save_coverage();
        _exit(0);
    }
    check_equal(waitpid(child, &status, 0), child);
    check_equal(status, 0);
}

async(forks, void (*work)(void);)
{
    async_begin;
    in_child(self->work);
    async_end;
}

/* The parent has readers, timers and callbacks of each kind while the child does its worst. */
static void fork_beside(void (*work)(void), int inside)
{
    open_loop();
    check_equal(async_pipe(inherited), 0);
    check(async_spawn(reads, .fd = inherited[0], .name = "r") > 0);
    check(async_spawn(sleeps, .name = "s", .duration_ms = 1) > 0);
    check(async_loop_run_once(0) > 0);
    check(async_after(1, "t", note_data) > 0);
    check(async_soon("u", note_data) > 0);
    inherited_stream = async_stream_open(inherited[1]);
    check(inherited_stream != NULL);
    if (inside)
        check(async_spawn(forks, work) > 0);
    else
        in_child(work);
    check(async_loop_run_once(0) > 0);
    check_equal(write(inherited[1], "x", 1), 1);
    check_equal(async_loop_run(), 0);
    check_equal(strlen(trace), 4);
    check(strchr(trace, 'r') && strchr(trace, 's') && strchr(trace, 't') && strchr(trace, 'u'));
    close_loop();
}

TEST(fork, makes_the_loop_another_process_s)
{
    fork_beside(child_errors, 0);
    fork_beside(child_errors, 1);
}

TEST(fork, leaves_the_child_free_to_open_its_own)
{
    fork_beside(child_opens, 1);
    seam_blocks = 0;
    fork_beside(child_opens_and_leaks_nothing, 0);
}

TEST(fork, lets_the_child_close_what_it_inherited)
{
    fork_beside(child_closes, 0);
    fork_beside(child_cannot_close, 1);
}

/* A channel of the program's, at which a task of the parent's waits. */
static async_channel jobs;

async(takes_a_job, int job;)
{
    async_begin;
    await(async_channel_receive(&jobs, &self->job));
    async_end;
}

static void child_finds_nobody(void)
{
    int job = 1;
    check_equal(async_open(NULL), 0);
    check_error(async_channel_send_nowait, EAGAIN, async_channel_send_nowait(&jobs, &job));
    check_equal(async_loop_close(), 0);
}

static void child_makes_it_anew(void)
{
    async_channel_init(&jobs, NULL, sizeof(int), 0);
    child_finds_nobody();
}

TEST(fork, leaves_nobody_waiting_in_the_child_s_loop)
{
    int job = 1;
    async_channel_init(&jobs, NULL, sizeof(int), 0);
    open_loop();
    check(async_spawn(takes_a_job) > 0);
    check_equal(async_loop_run_once(0), 1);
    in_child(child_finds_nobody);
    in_child(child_makes_it_anew);
    check(async_spawn(forks, child_finds_nobody) > 0);
    check_equal(async_loop_run_once(0), 1);
    check_equal(async_channel_send_nowait(&jobs, &job), 0);
    check_equal(async_loop_run(), 0);
    close_loop();
}

/* ----------------------------------------------------------------------------
 * MARK: - Waking up
 * ------------------------------------------------------------------------- */

async(idle, int ends[2];)
{
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    check(async_spawn(reads, .fd = self->ends[0], .name = "") > 0);
    await(async_yield());
    seam_waits = 0;
    await(async_sleep(3600000));
    check(seam_waits <= 2);
    async_end;
}

TEST(loop, does_not_wake_up_while_nothing_happens)
{
    reset();
    seam_clock = START;
    check_equal(async_run(idle), 0);
    check(seam_clock >= START + 3600000 * MS);
}

/* Its peer has left, and nobody reads: no reason to wake up again and again. */
async(hung_up, int ends[2];)
{
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    await(async_yield());
    async_close(self->ends[1]);
    seam_waits = 0;
    await(async_sleep(3600000));
    check(seam_waits <= 4);
    seam_waits = 0;
    await(async_sleep(3600000));
    check(seam_waits <= 2);
    async_end;
}

TEST(loop, does_not_wake_up_for_a_peer_that_left_while_nobody_looks)
{
    reset();
    seam_clock = START;
    check_equal(async_run(hung_up), 0);
}

async(yields_alone, int times;)
{
    async_begin;
    while (self->times-- > 0)
        await(async_yield());
    async_end;
}

/* A yield must not cost a system call: with the clock at rest it is one wait in some 4000 steps. */
TEST(loop, asks_the_poller_once_in_so_many_steps)
{
    reset();
    seam_clock = START;
    check_equal(async_run(yields_alone, .times = 100000), 0);
    check(seam_waits >= 100000 / 5000);
    check(seam_waits <= 100000 / 4000 + 2);
}

/* ----------------------------------------------------------------------------
 * MARK: - A poller that is broken
 * ------------------------------------------------------------------------- */

async(shielded_sleep)
{
    async_result r;
    async_begin;
    await(r, async_shield(async_sleep(FOREVER)));
    note("h");
    async_return(r);
    async_finally;
    await(r, async_sleep(1));
    check_equal(r, -EBADF);
    await(r, async_call(notes, .name = "!"));
    check_equal(r, -EBADF);
    note("H");
    async_end;
}

async(insists)
{
    async_result r;
    async_begin;
    for (;;)
        await(r, async_yield());
    async_end;
}

async(breaks, int insists; async_task task; int ends[2];)
{
    async_result r;
    async_begin;
    check_equal(async_pipe(self->ends), 0);
    check(async_spawn(sleeps, .name = "s") > 0);
    check(async_spawn(reads, .fd = self->ends[0], .name = "r") > 0);
    check(async_spawn(shielded_sleep) > 0);
    if (self->insists)
        check(async_spawn(insists) > 0);
    await(async_yield());
    seam_break = EBADF;
    await(r, async_sleep(1));
    note("m");
    async_return(r);
    async_end;
}

TEST(loop, that_cannot_wait_cancels_all_tasks_and_says_why)
{
    reset();
    check_equal(async_run(breaks), -EBADF);
    check_equal(strlen(trace), 5);
    check(strchr(trace, 'm') && strchr(trace, 's') && strchr(trace, 'r'));
    check(strchr(trace, 'h') && strchr(trace, 'H') && !strchr(trace, '!'));
    check_equal(seam_blocks, 0);
}

TEST(loop, that_cannot_wait_is_left_even_by_tasks_that_go_on)
{
    reset();
    check_equal(async_run(breaks, .insists = 1), -EBADF);
    check_equal(seam_blocks, 0);
    open_loop();
    check(async_spawn(sleeps, .name = "s") > 0);
    seam_break = EIO;
    check_equal(async_loop_run_once(-1), -EIO);
    check_text(trace, "s");
    check_equal(async_loop_run_once(-1), 0);
    close_loop();
}

/* ----------------------------------------------------------------------------
 * MARK: - Seeing
 * ------------------------------------------------------------------------- */

static char dumped[20000];

static void dump(void)
{
    FILE *out = tmpfile();
    size_t size;
    check(out != NULL);
    async_dump(out);
    rewind(out);
    size = fread(dumped, 1, sizeof dumped - 1, out);
    dumped[size] = '\0';
    fclose(out);
}

/* The line of the dump that has this in it. */
static const char *line_with(const char *words)
{
    static char line[2000];
    const char *place = strstr(dumped, words), *start = place;
    if (!place)
        return "";
    while (start > dumped && start[-1] != '\n')
        start--;
    snprintf(line, sizeof line, "%.*s", (int)strcspn(start, "\n"), start);
    return line;
}

static int indent_of(const char *words)
{
    return (int)strspn(line_with(words), " ");
}

async(innermost)
{
    async_begin;
    await(async_sleep(60000));
    async_end;
}

async(named, const char *name;)
{
    async_begin;
    check_equal(async_name(self->name), 0);
    await(async_call(innermost));
    async_end;
}

async(limited, async_task task;)
{
    async_result r;
    async_begin;
    await(r, async_join(self->task), 5000);
    async_end;
}

async(dumps, int ends[2]; async_task task; async_task kept;)
{
    async_begin;
    check_equal(async_pipe(self->ends), 0);
    self->task = async_spawn(named, .name = "the sleeper");
    check(async_spawn(reads, .fd = self->ends[0], .name = "") > 0);
    check(async_spawn(limited, .task = self->task) > 0);
    self->kept = async_keep(async_spawn(notes, .name = ""));
    await(async_yield());
    await(async_yield());
    await(async_yield());
    seam_clock += 2000 * MS;
    dump();
    async_end;
}

TEST(dump, shows_the_tree_with_what_each_task_waits_for)
{
    char words[100];

    reset();
    seam_clock = START;
    check_equal(async_run(dumps), 0);
    snprintf(words, sizeof words, "on %s", test_backend);
    check(strstr(line_with("async: "), words) != NULL);
    check(strstr(line_with("async: "), "4 tasks") != NULL);
    check(strstr(line_with("dumps()"), "test_loop.c:") != NULL);
    check(strstr(line_with("dumps()"), "running") != NULL);
    check(strstr(line_with("named()"), "\"the sleeper\"") != NULL);
    check(strstr(line_with("named()"), "innermost()") > strstr(line_with("named()"), "named()"));
    check(strstr(line_with("named()"), "sleep") != NULL);
    check(strstr(line_with("reads()"), "read on descriptor") != NULL);
    check(strstr(line_with("limited()"), "join of task") != NULL);
    check(strstr(line_with("limited()"), "limit in ") != NULL);
    check(strstr(dumped, "unjoined") != NULL);
    check_equal(indent_of("named()"), indent_of("dumps()") + 2);
    check_equal(indent_of("reads()"), indent_of("dumps()") + 2);
    check(strstr(dumped, "named()") < strstr(dumped, "reads()"));
    check(strstr(dumped, "reads()") < strstr(dumped, "limited()"));
}

async(chain, int left;)
{
    async_begin;
    if (self->left)
        await(async_call(chain, .left = self->left - 1));
    else
        await(async_call(innermost));
    async_end;
}

async(outermost, int left;)
{
    async_begin;
    await(async_call(chain, .left = self->left));
    async_end;
}

async(dumps_chain, int left; async_task task; int turns;)
{
    async_begin;
    self->task = async_spawn(outermost, .left = self->left);
    for (self->turns = 0; self->turns < 1 + self->left / 60; self->turns++)
        await(async_yield());
    check_equal(async_cancel(self->task), 0);
    dump();
    async_end;
}

TEST(dump, shows_both_ends_of_a_chain)
{
    int lengths[] = { 2, 7, 20, 999, 5000 };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        reset();
        check_equal(async_run(dumps_chain, .left = lengths[i]), 0);
        check(strstr(dumped, "innermost()") != NULL);
        check(strstr(line_with("innermost()"), "outermost()") != NULL);
        check(strstr(line_with("innermost()"), "cancelled") != NULL);
    }
}
