/*
 * Child processes: what they are given, how they end, and that nothing of them stays.
 *
 * Real ones, which is why this file has no second run in the simulation. Nothing depends on how
 * fast they are: who must still run reads from a pipe of ours, who must have ended is waited for.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "async.h"
#include "test.h"
#include "io.h"

/* Runs a script of the shell, and reads its output to the end where there is room for it. Returns
 * how it ended. */
async(runs, const char *script; char *text; size_t size; async_process_options options;
      const char *arguments[4]; async_process child; size_t count; async_result n;)
{
    async_begin;
    self->arguments[0] = "sh";
    self->arguments[1] = "-c";
    self->arguments[2] = self->script;
    if (self->text)
        self->options.out = ASYNC_TO_PIPE;
    self->n = async_process_start(&self->child, self->arguments, &self->options);
    if (self->n < 0)
        async_return(self->n);
    while (self->text) {
        await(self->n, async_read(self->child.out, self->text + self->count,
                                  self->size - 1 - self->count));
        if (self->n <= 0)
            break;
        self->count += (size_t)self->n;
    }
    if (self->text)
        self->text[self->count] = '\0';
    if (self->child.out >= 0)
        async_close(self->child.out);
    await(self->n, async_process_wait(&self->child));
    async_return(self->n);
    async_end;
}

/* One that runs until its `in` is closed. */
static int start_cat(async_process *child)
{
    const char *arguments[] = { "cat", NULL };
    async_process_options options;
    memset(&options, 0, sizeof options);
    options.in = ASYNC_TO_PIPE;
    options.out = ASYNC_TO_NULL;
    return async_process_start(child, arguments, &options);
}

static int start_shell(async_process *child, const char *script)
{
    const char *arguments[] = { "sh", "-c", NULL, NULL };
    arguments[2] = script;
    return async_process_start(child, arguments, NULL);
}

async(asks, async_process child; async_result *result;)
{
    async_begin;
    await(*self->result, async_process_wait(&self->child));
    async_end;
}

/* It is a zombie when this returns. */
static void wait_for_zombie(pid_t pid)
{
    siginfo_t info;
    check_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - How they end
 * ------------------------------------------------------------------------- */

TASK_TEST(processes, say_how_they_ended, async_result n;)
{
    async_begin;
    await(self->n, async_call(runs, .script = "exit 0"));
    check_equal(self->n, 0);
    await(self->n, async_call(runs, .script = "exit 7"));
    check_equal(self->n, 7);
    await(self->n, async_call(runs, .script = "exit 255"));
    check_equal(self->n, 255);
    await(self->n, async_call(runs, .script = "kill -TERM $$"));
    check_equal(self->n, ASYNC_KILLED + SIGTERM);
    await(self->n, async_call(runs, .script = "kill -KILL $$"));
    check_equal(self->n, ASYNC_KILLED + SIGKILL);
    async_end;
}

TASK_TEST(processes, that_cannot_start_say_so_at_once, async_process child; async_result n;)
{
    static const char *const none[] = { NULL };
    static const char *const missing[] = { "/no/such/program", NULL };
    static const char *const unknown[] = { "no-such-program-in-the-path", NULL };
    static const char *const directory[] = { "/", NULL };
    static const char *const file[] = { "/etc/passwd", NULL };
    static const char *const good[] = { "true", NULL };
    async_process_options options;
    async_begin;
    memset(&options, 0, sizeof options);
    check_error(async_process_start, EINVAL, async_process_start(&self->child, NULL, NULL));
    check_error(async_process_start, EINVAL, async_process_start(&self->child, none, NULL));
    check_error(async_process_start, ENOENT, async_process_start(&self->child, missing, NULL));
    check_error(async_process_start, ENOENT, async_process_start(&self->child, unknown, NULL));
    check_error(async_process_start, EACCES, async_process_start(&self->child, directory, NULL));
    check_error(async_process_start, EACCES, async_process_start(&self->child, file, NULL));
    options.directory = "/no/such/directory";
    options.in = options.out = options.err = ASYNC_TO_PIPE;
    check_error(async_process_start, ENOENT, async_process_start(&self->child, good, &options));
    check_equal(self->child.in, -1);
    options.directory = NULL;
    options.out = 12345;
    check_error(async_process_start, EBADF, async_process_start(&self->child, good, &options));
    options.out = ASYNC_TO_OUT;
    check_equal(async_process_start(&self->child, good, &options), -EINVAL);
    options.out = -EPIPE;
    check_equal(async_process_start(&self->child, good, &options), -EPIPE);
    check_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie */
    check_equal(errno, ECHILD);
    await(self->n, async_process_wait(&self->child));
    check_equal(self->n, -EPIPE);
    check_error(async_process_kill, ESRCH, async_process_kill(&self->child, SIGTERM));
    async_return(0);
    async_end;
}

async(waits, async_process child; async_result n;)
{
    async_begin;
    await(self->n, async_process_wait(&self->child));
    async_return(self->n);
    async_end;
}

TASK_TEST(processes, tell_all_who_wait, async_process child; async_task tasks[3]; int i;
          async_case cases[2]; async_event never; async_result n;)
{
    async_begin;
    check_equal(start_cat(&self->child), 0);
    for (self->i = 0; self->i < 3; self->i++)
        self->tasks[self->i] = async_keep(async_spawn(waits, .child = self->child));
    await(async_yield());
    await(self->n, async_process_wait(&self->child), 0);
    check_equal(self->n, -ETIMEDOUT);
    async_cancel(self->tasks[2]);
    async_close(self->child.in);
    self->cases[0] = async_case_event(&self->never);
    self->cases[1] = async_case_process(&self->child);
    await(self->n, async_select(self->cases, 2));
    check_equal(self->n, 1);
    check_equal(self->cases[1].result, 0);
    for (self->i = 0; self->i < 3; self->i++) {
        await(self->n, async_join(self->tasks[self->i]));
        check_equal(self->n, self->i < 2 ? 0 : -ECANCELED);
    }
    await(self->n, async_process_wait(&self->child));
    check_error(async_process_wait, ESRCH, self->n);
    async_return(0);
    async_end;
}

TASK_TEST(processes, keep_their_end_for_one_who_asks_late, async_process child; async_task task;
          async_result n;)
{
    async_begin;
    check_equal(start_shell(&self->child, "exit 9"), 0);
    self->task = async_spawn(waits, .child = self->child);
    await(async_yield());
    async_cancel(self->task); /* nobody waits when it ends */
    wait_for_zombie(self->child.pid);
    await(self->n, async_call(runs, .script = "exit 1"));
    check_equal(self->n, 1);
    check_equal(waitpid(self->child.pid, NULL, WNOHANG), -1); /* it is no zombie any more */
    await(self->n, async_process_wait(&self->child));
    check_equal(self->n, 9);
    await(self->n, async_process_wait(&self->child));
    check_equal(self->n, -ESRCH);
    async_end;
}

async(ends_with, int status; char script[16]; async_result n;)
{
    async_begin;
    snprintf(self->script, sizeof self->script, "exit %d", self->status);
    await(self->n, async_call(runs, .script = self->script));
    async_return(self->n);
    async_end;
}

TASK_TEST(processes, may_be_many, async_task tasks[200]; int count; int i; async_result n;)
{
    async_begin;
    self->count = test_is_costly() ? 5 : 200;
    test_watchdog(60);
    for (self->i = 0; self->i < self->count; self->i++)
        self->tasks[self->i] = async_keep(async_spawn(ends_with, .status = self->i));
    for (self->i = 0; self->i < self->count; self->i++) {
        await(self->n, async_join(self->tasks[self->i]));
        check_equal(self->n, self->i);
    }
    async_end;
}

/* The kernel would forget the status of each child. */
TEST(processes, end_well_where_sigchld_is_ignored)
{
    struct sigaction now;
    signal(SIGCHLD, SIG_IGN);
    check_equal(async_run(ends_with, .status = 5), 5);
    sigaction(SIGCHLD, NULL, &now);
    check(now.sa_handler == SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
}

/* Who started this program may have left them so. */
TEST(processes, end_well_where_signals_are_blocked)
{
    sigset_t all, before;
    test_watchdog(30);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    check_equal(async_run(ends_with, .status = 5), 5);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

TASK_TEST(processes, that_others_collect_are_lost, async_process child; async_result n;)
{
    async_begin;
    check_equal(start_cat(&self->child), 0);
    async_close(self->child.in);
    while (waitpid(self->child.pid, NULL, 0) < 0) {
    }
    await(self->n, async_process_wait(&self->child));
    check_error(async_process_wait, ECHILD, self->n);
    async_return(0);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Signals to them
 * ------------------------------------------------------------------------- */

TASK_TEST(processes, get_signals_until_they_end, async_process child; async_result n;)
{
    async_begin;
    check_equal(start_cat(&self->child), 0);
    check_equal(async_process_kill(&self->child, 0), 0);
    check_error(async_process_kill, EINVAL, async_process_kill(&self->child, 1000));
    check_equal(async_process_kill(&self->child, SIGTERM), 0);
    wait_for_zombie(self->child.pid);
    check_error(async_process_kill, ESRCH, async_process_kill(&self->child, 0));
    check_equal(async_process_kill(&self->child, SIGTERM), -ESRCH);
    await(self->n, async_process_wait(&self->child));
    check_equal(self->n, ASYNC_KILLED + SIGTERM);
    check_equal(async_process_kill(&self->child, SIGTERM), -ESRCH);
    async_close(self->child.in);
    async_end;
}

TASK_TEST(processes, begin_with_signals_at_their_defaults, async_result n; sigset_t set;)
{
    async_begin;
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&self->set);
    sigaddset(&self->set, SIGTERM);
    sigprocmask(SIG_BLOCK, &self->set, NULL);
    check(async_catch_signal(SIGUSR1) > 0);
    await(self->n, async_call(runs, .script = "kill -HUP $$"));
    check_equal(self->n, ASYNC_KILLED + SIGHUP);
    await(self->n, async_call(runs, .script = "kill -TERM $$"));
    check_equal(self->n, ASYNC_KILLED + SIGTERM);
    await(self->n, async_call(runs, .script = "kill -USR1 $$"));
    check_equal(self->n, ASYNC_KILLED + SIGUSR1);
    await(self->n, async_call(runs, .script = "kill -PIPE $$")); /* the loop ignores it */
    check_equal(self->n, ASYNC_KILLED + SIGPIPE);
    sigprocmask(SIG_UNBLOCK, &self->set, NULL);
    signal(SIGHUP, SIG_DFL);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - What they are given
 * ------------------------------------------------------------------------- */

TASK_TEST(processes, write_into_pipes, char text[100]; async_process_options options;
          async_result n;)
{
    async_begin;
    self->options.err = ASYNC_TO_OUT;
    await(self->n, async_call(runs, .script = "echo one; echo two >&2; echo three",
                              .text = self->text, .size = sizeof self->text,
                              .options = self->options));
    check_equal(self->n, 0);
    check_text(self->text, "one\ntwo\nthree\n");
    self->options.err = ASYNC_TO_NULL;
    await(self->n, async_call(runs, .script = "echo one; echo two >&2; echo three",
                              .text = self->text, .size = sizeof self->text,
                              .options = self->options));
    check_text(self->text, "one\nthree\n");
    async_end;
}

/* Errors go where the output goes, also where that is ours. */
TASK_TEST(processes, have_their_errors_in_our_output, char text[100];
          async_process_options options; int saved; int ends[2]; async_result n;)
{
    async_begin;
    memset(&self->options, 0, sizeof self->options);
    self->options.err = ASYNC_TO_OUT;
    check_equal(pipe(self->ends), 0);
    self->saved = dup(1);
    check_equal(dup2(self->ends[1], 1), 1);
    await(self->n, async_call(runs, .script = "echo out; echo error >&2",
                              .options = self->options));
    check_equal(dup2(self->saved, 1), 1);
    close(self->saved);
    close(self->ends[1]);
    check_equal(self->n, 0);
    check_equal(read(self->ends[0], self->text, sizeof self->text), 10);
    check(memcmp(self->text, "out\nerror\n", 10) == 0);
    close(self->ends[0]);
    async_end;
}

TASK_TEST(processes, talk_through_three_pipes, async_process child; async_process_options options;
          const char *arguments[4]; async_stream *out; char line[32]; async_result n;)
{
    async_begin;
    self->arguments[0] = "sh";
    self->arguments[1] = "-c";
    self->arguments[2] = "read a; echo \"$a!\"; read b; echo \"$b?\" >&2";
    self->options.in = self->options.out = self->options.err = ASYNC_TO_PIPE;
    check_equal(async_process_start(&self->child, self->arguments, &self->options), 0);
    self->out = async_stream_open(self->child.out);
    await(self->n, async_write(self->child.in, "yes\n", 4));
    await(self->n, async_stream_read_line(self->out, self->line, sizeof self->line));
    check_text(self->line, "yes!\n");
    await(self->n, async_write(self->child.in, "no\n", 3));
    await(self->n, async_read(self->child.err, self->line, sizeof self->line));
    check_equal(self->n, 4);
    check(memcmp(self->line, "no?\n", 4) == 0);
    await(self->n, async_stream_read_line(self->out, self->line, sizeof self->line));
    check_equal(self->n, 0);
    await(self->n, async_process_wait(&self->child));
    check_equal(self->n, 0);
    async_stream_close(self->out);
    async_close(self->child.in);
    async_close(self->child.err);
    async_end;
}

/* All that was written there, but for what the loop says where the machine is slow. */
static void reads_text(int fd, const char *expected)
{
    char text[32] = "", line[256];
    FILE *file = fdopen(fd, "r");
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "async: ", 7) != 0 && strlen(text) + strlen(line) < sizeof text)
            strcat(text, line);
    check_text(text, expected);
    fclose(file);
}

/* Descriptors above 2, and our own 1 and 2 the other way round. */
TASK_TEST(processes, take_descriptors_of_ours, int first[2]; int second[2]; int saved[2];
          async_process_options options; async_result n;)
{
    async_begin;
    check_equal(pipe(self->first), 0);
    check_equal(pipe(self->second), 0);
    self->options.out = self->first[1];
    self->options.err = self->second[1];
    self->options.in = ASYNC_TO_NULL;
    await(self->n, async_call(runs, .script = "cat; echo out; echo err >&2",
                              .options = self->options));
    check_equal(self->n, 0);
    fflush(stdout);
    for (int i = 0; i < 2; i++)
        self->saved[i] = dup(i + 1);
    dup2(self->first[1], 1);
    dup2(self->second[1], 2);
    self->options.out = 2;
    self->options.err = 1;
    await(self->n, async_call(runs, .script = "echo out; echo err >&2", .options = self->options));
    for (int i = 0; i < 2; i++) {
        dup2(self->saved[i], i + 1);
        close(self->saved[i]);
    }
    check_equal(self->n, 0);
    close(self->first[1]);
    close(self->second[1]);
    reads_text(self->first[0], "out\nerr\n");
    reads_text(self->second[0], "err\nout\n");
    async_end;
}

static int without_stdio(void)
{
    async_process child;
    async_process_options options;
    const char *arguments[] = { "sh", "-c", "echo 1; echo 2 >&2; read a", NULL };
    char text[16];
    memset(&options, 0, sizeof options);
    for (int i = 0; i < 3; i++)
        close(i);
    if (async_open(NULL) != 0)
        return 1;
    options.in = ASYNC_TO_NULL;
    options.out = ASYNC_TO_PIPE;
    options.err = ASYNC_TO_OUT;
    arguments[0] = "no-such-program-in-the-path";
    if (async_process_start(&child, arguments, &options) != -ENOENT)
        return 5;
    arguments[0] = "sh";
    if (async_process_start(&child, arguments, &options) != 0)
        return 2;
    wait_for_zombie(child.pid);
    if (async_read_nowait(child.out, text, sizeof text) != 4 || memcmp(text, "1\n2\n", 4) != 0)
        return 3;
    if (async_loop_run() != 0)
        return 4;
    return async_loop_close();
}

/* The pipe that reports the exec gets their numbers. */
static int loses_stdio(void)
{
    async_process child;
    async_process_options options;
    const char *arguments[] = { "no-such-program-in-the-path", NULL };
    memset(&options, 0, sizeof options);
    options.in = options.out = options.err = ASYNC_TO_NULL;
    if (async_open(NULL) != 0 || async_catch_signal(SIGCHLD) < 0)
        return 1;
    for (int i = 0; i < 3; i++)
        close(i);
    if (async_process_start(&child, arguments, &options) != -ENOENT)
        return 2;
    return async_loop_close();
}

TEST(processes, are_right_where_we_have_no_stdio)
{
    check_equal(in_child(without_stdio), 0);
    check_equal(in_child(loses_stdio), 0);
}

/* The loop's own descriptors have the numbers 0 to 2 now. */
static int inherits_what_is_closed(void)
{
    async_result result = 1;
    async_process child;
    async_process_options options;
    const char *arguments[] = { "sh", "-c", "read a; echo b || exit 3", NULL };
    memset(&options, 0, sizeof options);
    options.in = ASYNC_TO_PIPE;
    for (int i = 0; i < 3; i++)
        close(i);
    if (async_open(NULL) != 0 || async_process_start(&child, arguments, &options) != 0)
        return 1;
    async_close(child.in);
    check(async_spawn(asks, .child = child, .result = &result) > 0);
    async_loop_run();
    async_loop_close();
    return (int)result;
}

TEST(processes, have_no_stdio_where_we_have_none)
{
    test_watchdog(30);
    check_equal(in_child(inherits_what_is_closed), 3);
}

TEST(processes, do_not_get_a_descriptor_that_is_made_for_them)
{
    const char *arguments[] = { "cat", NULL };
    async_process child;
    async_process_options options;
    test_watchdog(30);
    memset(&options, 0, sizeof options);
    options.in = ASYNC_TO_PIPE;
    check_equal(async_open(NULL), 0);
    for (options.out = 3; options.out < 20; options.out++) /* not open: not yet */
        if (fcntl(options.out, F_GETFD) < 0)
            check_error(async_process_start, EBADF,
                        async_process_start(&child, arguments, &options));
    check_equal(async_loop_close(), 0);
}

TASK_TEST(processes, have_a_directory_and_an_environment, char text[200];
          const char *environment[3]; async_process_options options; async_result n;)
{
    async_begin;
    self->environment[0] = "GREETING=hello";
    self->environment[1] = "PATH=/bin:/usr/bin";
    self->options.environment = self->environment;
    self->options.directory = "/";
    setenv("NOT_THERE", "is there", 1);
    await(self->n, async_call(runs, .script = "pwd; echo $GREETING $NOT_THERE",
                              .text = self->text, .size = sizeof self->text,
                              .options = self->options));
    check_equal(self->n, 0);
    check_text(self->text, "/\nhello\n");
    self->options.environment = NULL;
    await(self->n, async_call(runs, .script = "echo $NOT_THERE", .text = self->text,
                              .size = sizeof self->text, .options = self->options));
    check_text(self->text, "is there\n");
    async_end;
}

TASK_TEST(processes, lead_a_session_or_a_group, async_process child; int i;
          async_process_options options; const char *arguments[2]; async_result n;)
{
    async_begin;
    self->arguments[0] = "cat";
    for (self->i = 0; self->i < 3; self->i++) {
        self->options.in = ASYNC_TO_PIPE;
        self->options.new_group = self->i == 1;
        self->options.new_session = self->i == 2;
        check_equal(async_process_start(&self->child, self->arguments, &self->options), 0);
        check_equal(getpgid(self->child.pid), self->i ? self->child.pid : getpgrp());
        check_equal(getsid(self->child.pid), self->i == 2 ? self->child.pid : getsid(0));
        async_close(self->child.in);
        await(self->n, async_process_wait(&self->child));
        check_equal(self->n, 0);
    }
    async_end;
}

#ifdef __linux__
async(lists_descriptors, char text[400]; const char *expected; int ends[2]; async_process cat;
      async_result n;)
{
    async_begin;
    check_equal(async_pipe(self->ends), 0);
    check_equal(start_cat(&self->cat), 0);
    await(self->n, async_call(runs, .script = "ls /proc/self/fd", .text = self->text,
                              .size = sizeof self->text, .options.in = ASYNC_TO_NULL,
                              .options.err = 1));
    check_text(self->text, self->expected);
    async_close(self->cat.in);
    await(self->n, async_process_wait(&self->cat));
    async_end;
}

/* The same as a child of popen(3) before there is a loop, however many descriptors that has. */
TEST(processes, inherit_no_other_descriptor)
{
    char expected[400] = "";
    FILE *pipe = popen("ls /proc/self/fd", "r");
    check(pipe != NULL);
    check(fread(expected, 1, sizeof expected - 1, pipe) > 0);
    while (pclose(pipe) < 0) {
    }
    check_equal(async_run(lists_descriptors, .expected = expected), 0);
}
#endif

/* ----------------------------------------------------------------------------
 * MARK: - Beside the loop's end
 * ------------------------------------------------------------------------- */

/* The loop runs until it has ended, and it is collected. */
TEST(processes, that_nobody_waits_for_are_collected)
{
    async_result result = 0;
    async_process child;
    int i;
    check_equal(async_open(NULL), 0);
    for (i = 0; i < 2; i++) {
        const char *arguments[] = { "true", NULL };
        async_process_options options;
        memset(&options, 0, sizeof options);
        options.detached = i;
        check_equal(async_process_start(&child, arguments, &options), 0);
        check_equal(async_loop_run(), 0);
        check_equal(waitpid(-1, NULL, WNOHANG), -1);
        check_equal(errno, ECHILD);
    }
    check(async_spawn(asks, .child = child, .result = &result) > 0);
    check_equal(async_loop_run(), 0);
    check_equal(result, -ESRCH); /* nothing is known of a detached one */
    check_equal(async_loop_close(), 0);
}

TEST(processes, outlive_the_loop)
{
    async_process child;
    int status;
    check_equal(async_open(NULL), 0);
    check_equal(start_cat(&child), 0);
    check_equal(async_loop_close(), 0);
    while (waitpid(child.pid, &status, 0) < 0) {
    }
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0); /* for its pipe is closed */
}

/* Who asks of one does not disturb another; one that cannot start neither. */
TASK_TEST(processes, are_told_apart, async_process first; async_process second; async_process none;
          async_result n;)
{
    static const char *const nowhere[] = { "/nowhere", NULL };
    async_begin;
    memset(&self->none, 0, sizeof self->none);
    check_equal(async_process_kill(&self->none, 0), -ESRCH);
    await(self->n, async_process_wait(&self->none));
    check_equal(self->n, -ESRCH);
    check_equal(start_cat(&self->first), 0);
    check_equal(start_cat(&self->second), 0);
    check_equal(async_process_start(&self->none, nowhere, NULL), -ENOENT);
    check_equal(async_process_kill(&self->first, SIGTERM), 0);
    await(self->n, async_process_wait(&self->first));
    check_equal(self->n, ASYNC_KILLED + SIGTERM);
    check_equal(async_process_kill(&self->second, 0), 0);
    async_close(self->second.in);
    await(self->n, async_process_wait(&self->second));
    check_equal(self->n, 0);
    async_close(self->first.in);
    async_end;
}

/* Its record must not name a child of the next loop. */
TEST(processes, of_a_loop_that_is_closed_are_not_known)
{
    async_process old, child;
    check_equal(async_open(NULL), 0);
    check_equal(start_cat(&old), 0);
    check_equal(async_loop_close(), 0);
    check_equal(async_open(NULL), 0);
    check_equal(start_cat(&child), 0);
    check_error(async_process_kill, ESRCH, async_process_kill(&old, 0));
    async_close(child.in);
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_close(), 0);
    while (waitpid(old.pid, NULL, 0) < 0) {
    }
}

async(kills_in_the_end, async_process child; async_result n; async_result *result;)
{
    async_begin;
    check_equal(start_cat(&self->child), 0);
    await(async_process_wait(&self->child));
    async_finally;
    async_process_kill(&self->child, SIGKILL);
    await(*self->result, async_process_wait(&self->child));
    async_end;
}

TEST(processes, are_waited_for_in_a_finally)
{
    async_result result = 0;
    check_equal(async_open(NULL), 0);
    check(async_spawn(kills_in_the_end, .result = &result) > 0);
    check_equal(async_loop_run_once(0), 1);
    check_equal(async_loop_close(), 0);
    check_equal(result, ASYNC_KILLED + SIGKILL);
}

static async_process of_the_parent;

static int uses_the_parents(void)
{
    async_process child;
    check_error(async_process_kill, EPERM, async_process_kill(&of_the_parent, SIGKILL));
    check_error(async_process_start, EPERM, start_cat(&child));
    return 0;
}

TASK_TEST(processes, of_the_parent_are_not_the_childs, async_result n;)
{
    async_begin;
    check_equal(start_cat(&of_the_parent), 0);
    check_equal(in_child(uses_the_parents), 0);
    async_close(of_the_parent.in);
    await(self->n, async_process_wait(&of_the_parent));
    check_equal(self->n, 0);
    async_end;
}

async(waits_for_the_parents, async_result n;)
{
    async_begin;
    await(self->n, async_process_wait(&of_the_parent));
    async_return(self->n);
    async_end;
}

/* A child's loop is not the parent's: to close that one touches nothing that is freed. */
TEST(processes, are_not_waited_for_in_a_child)
{
    check_equal(async_open(NULL), 0);
    check_equal(start_cat(&of_the_parent), 0);
    check(async_spawn(waits_for_the_parents) > 0);
    check(async_spawn(waits_for_the_parents) > 0);
    check_equal(async_loop_run_once(0), 2);
    check_equal(in_child(async_loop_close), 0);
    async_close(of_the_parent.in);
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_close(), 0);
}

static async_event never_comes;

static void ignores_it(int signo, void *data)
{
    (void)signo;
    (void)data;
}

async(never_ends)
{
    async_begin;
    await(async_sleep(1000));
    async_finally;
    await(async_event_wait(&never_comes));
    async_end;
}

async(waits_for_a_child, async_process child;)
{
    async_result n;
    async_begin;
    check_equal(start_cat(&self->child), 0);
    async_close(self->child.in);
    await(n, async_process_wait(&self->child));
    check_equal(n, 0);
    async_loop_stop();
    async_end;
}

static void opens_beside_a_callback(void)
{
    alarm(30); /* or it would wait for ever */
    memset(&never_comes, 0, sizeof never_comes);
    check_equal(async_open(NULL), 0);
    check(async_on_signal(SIGTERM, NULL, ignores_it) > 0);
}

static int closes_after_a_child(void)
{
    opens_beside_a_callback();
    check(async_spawn(waits_for_a_child) > 0);
    check_equal(async_loop_run(), 0);
    check(async_spawn(never_ends) > 0);
    check_equal(async_loop_run_once(0), 1);
    return async_loop_close();
}

static int closes_before_a_child(void)
{
    async_result result = 0;
    opens_beside_a_callback();
    check(async_spawn(kills_in_the_end, .result = &result) > 0);
    check(async_spawn(never_ends) > 0);
    check_equal(async_loop_run_once(0), 2);
    check_equal(async_loop_close(), 0);
    check_equal(result, ASYNC_KILLED + SIGKILL);
    return 0;
}

/* What a child process needed is not needed for ever: nothing can wake the task that is left. */
TEST(processes, that_have_ended_do_not_keep_a_loop_that_closes)
{
    check_equal(in_child(closes_after_a_child), 0);
    check_equal(in_child(closes_before_a_child), 0);
}

TEST(processes, survive_that_there_is_no_descriptor)
{
    struct rlimit before, few;
    async_process child;
    int first, more, error = -1;
    check_equal(async_open(NULL), 0);
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    first = lowest_free();
    for (more = 0; error; more++) {
        few.rlim_cur = (rlim_t)(first + more);
        setrlimit(RLIMIT_NOFILE, &few);
        error = start_cat(&child);
        setrlimit(RLIMIT_NOFILE, &before);
        if (error) {
            check_error(async_process_start, EMFILE, error);
            check_equal(lowest_free(), first);
        }
    }
    check(more > 4);
    async_close(child.in);
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_close(), 0);
}

async(some, int i; async_result n;)
{
    async_begin;
    for (self->i = 0; self->i < (test_is_costly() ? 1 : 10); self->i++) {
        await(self->n, async_call(ends_with, .status = self->i));
        check_equal(self->n, self->i);
    }
    async_end;
}

static void *runs_some(void *unused)
{
    (void)unused;
    check_equal(async_run(some), 0);
    return NULL;
}

TEST(processes, belong_to_the_loop_of_their_thread)
{
    pthread_t threads[2];
    int i;
    for (i = 0; i < 2; i++)
        check_equal(pthread_create(&threads[i], NULL, runs_some, NULL), 0);
    for (i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}
