/*
 * What seldom happens: each branch of async.h that no scenario comes by of itself.
 *
 * A body here leads to one corner and asserts what a user sees there. Some corners lie behind 2^31
 * uses of something: there the test sets the counter.
 */
#include "async_test.h"

#include <stdlib.h>

#define CALM (.faults = SIM_CALM)
#define FAMILY 40 /* neither Internet nor Unix: AF_VSOCK on Linux */

static char much[6000000];

async(sleeps, int64_t ms; async_result result;)
{
    async_begin;
    await(async_sleep(self->ms));
    async_return(self->result);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Handles
 * ------------------------------------------------------------------------- */

/* The root has slot 0: no handle names it, whatever generation it claims. */
AsyncTest(corners, nothing_names_the_root)
{
    async_begin;
    cr_assert_eq(async_cancel((async_handle)1 << 32), -ESRCH);
    async_end;
}

AsyncTest(corners, generations_begin_anew_after_the_last, async_task old; async_task fresh;)
{
    async_loop *loop = async__current;
    int n;
    async_begin;
    self->old = async_spawn(sleeps, .ms = 1);
    loop->slots[(uint32_t)self->old].generation = INT32_MAX;
    self->old = (async_task)INT32_MAX << 32 | (uint32_t)self->old;
    await(n, async_join(self->old));
    cr_assert_eq(n, 0);
    self->fresh = async_spawn(sleeps, .ms = 1);
    cr_assert_eq((uint32_t)self->fresh, (uint32_t)self->old);
    cr_assert_eq(self->fresh >> 32, 1);
    cr_assert_eq(async_cancel(self->old), -ESRCH);
    async_end;
}

static void never_called(void *data)
{
    (void)data;
    cr_assert_fail("a callback that was cancelled");
}

AsyncTestBare(corners, generations_of_callbacks_begin_anew_too, CALM)
{
    async_handle handle, next;
    cr_assert_eq(async_open(NULL), 0);
    handle = async_after(1000, NULL, never_called);
    async__callback_at(async__current, (uint32_t)handle)->generation = INT32_MAX;
    handle = (async_handle)INT32_MAX << 32 | (uint32_t)handle;
    cr_assert_eq(async_cancel(handle), 0);
    next = async_after(1000, NULL, never_called);
    cr_assert_eq(next >> 32, 1);
    cr_assert_eq(async_cancel(handle), -ESRCH);
    cr_assert_eq(async_cancel(next), 0);
    async_loop_close();
}

/* The table ends where the callbacks' slots begin. */
AsyncTest(corners, a_full_table_of_tasks_is_ENOMEM)
{
    async_loop *loop = async__current;
    uint32_t count = loop->slot_count, capacity = loop->slot_capacity, first = loop->free_slot;
    async_begin;
    loop->free_slot = 0;
    loop->slot_count = loop->slot_capacity = ASYNC__CALLBACKS / 2;
    cr_assert_eq(async_spawn(sleeps, .ms = 1), -ENOMEM);
    loop->slot_count = count;
    loop->slot_capacity = capacity;
    loop->free_slot = first;
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Opening and running
 * ------------------------------------------------------------------------- */
AsyncTestBare(corners, a_backend_by_its_name_or_the_best, CALM)
{
    async_options options = { "nothing", 0 };
    const char *chosen = getenv("ASYNC_BACKEND");
    char before[16];
    snprintf(before, sizeof before, "%s", chosen);
    cr_assert_eq(async_open(&options), -EINVAL);
    setenv("ASYNC_BACKEND", "", 1);
    cr_assert_eq(async_open(NULL), 0);
    cr_assert_str_eq(async_loop_backend(), ASYNC_HAS_EPOLL ? "epoll"
                                           : ASYNC_HAS_KQUEUE ? "kqueue" : "poll");
    async_loop_close();
    unsetenv("ASYNC_BACKEND");
    cr_assert_eq(async_open(NULL), 0);
    async_loop_close();
    setenv("ASYNC_BACKEND", before, 1);
}

AsyncTestBare(corners, a_stop_before_a_turn_ends_it_even_where_nothing_waits, CALM)
{
    cr_assert_eq(async_open(NULL), 0);
    async_loop_stop();
    cr_assert_eq(async_loop_run_once(-1), 0);
    cr_assert_eq(async_loop_run_once(-1), 0);
    async_loop_close();
}

static void spawns(async_stream *stream, int status)
{
    (void)stream;
    (void)status;
    cr_assert(async_spawn(sleeps, .ms = 1000) > 0);
}

/* The loop closes and a stream still sends: who is called then may spawn, and it is cancelled. */
AsyncTestBare(corners, what_is_spawned_while_the_loop_closes_is_cancelled, CALM)
{
    int ends[2];
    async_stream *stream;
    cr_assert_eq(async_open(NULL), 0);
    cr_assert_eq(async_socketpair(ends), 0);
    stream = async_stream_open(ends[0]);
    cr_assert_eq(async_stream_on_close(stream, spawns), 0);
    cr_assert_eq(async_stream_write(stream, much, 100000), 0);
    cr_assert_eq(async_stream_close(stream), 0);
    async_loop_close();
}

async(spawns_in_the_end)
{
    async_begin;
    await(async_sleep(1000000));
    async_finally;
    cr_assert(async_spawn(sleeps, .ms = 1000) > 0);
    async_end;
}

/* The poller is broken: the loop says why, and what is spawned in the end does not run on. */
AsyncTestBare(corners, what_is_spawned_after_a_failed_wait_is_cancelled, CALM)
{
    int ends[2];
    cr_assert_eq(async_open(NULL), 0);
    cr_assert_eq(async_pipe(ends), 0);
    cr_assert(async_spawn(spawns_in_the_end) > 0);
    cr_assert_eq(async_loop_run_once(0), 1);
    sim_fail_next(epoll_wait, EBADF);
    sim_fail_next(kevent, EBADF);
    sim_fail_next(poll, EINVAL);
    cr_assert(async_loop_run() < 0);
    async_loop_close();
}

/* ----------------------------------------------------------------------------
 * MARK: - Awaits
 * ------------------------------------------------------------------------- */
AsyncTest(corners, a_shield_in_a_finally_section_adds_nothing, int ends[2];)
{
    ssize_t n;
    async_begin;
    cr_assert_eq(async_pipe(self->ends), 0);
    async_finally;
    await(n, async_shield(async_write(self->ends[1], "x", 1)));
    cr_assert_eq(n, 1);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

async(ends_itself, int ended;)
{
    int n;
    async_begin;
    await(n, async_sleep(1000));
    cr_assert_eq(n, -ETIMEDOUT);
    async_cancel(async_current_task());
    await(n, async_sleep(1000));
    cr_assert_eq(n, -ECANCELED);
    async_end;
}

/* A caller's limit has passed, and then it cancels itself. */
AsyncTest(corners, a_task_past_its_limit_cancels_itself)
{
    int n;
    async_begin;
    await(n, async_call(ends_itself), 10);
    cr_assert_eq(n, 0);
    await(n, async_sleep(1000));
    cr_assert_eq(n, -ECANCELED);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Joining and detaching
 * ------------------------------------------------------------------------- */
async(joins_all, async_task *tasks; size_t count; async_result *result;)
{
    async_result n;
    async_begin;
    await(n, async_join_all(self->tasks, self->count));
    *self->result = n;
    async_end;
}

AsyncTest(corners, join_all_is_cancelled_with_a_handle_in_it_that_is_gone, async_task tasks[3];
          async_task joiner; async_result result;)
{
    async_result n;
    async_begin;
    self->tasks[0] = async_spawn(sleeps, .ms = 1);
    self->tasks[1] = async_spawn(sleeps, .ms = 1000);
    self->tasks[2] = async_spawn(sleeps, .ms = 1000);
    await(async_sleep(10)); /* the first is gone: nobody kept it */
    self->joiner = async_spawn(joins_all, self->tasks, 3, &self->result);
    await(async_sleep(10));
    async_cancel(self->joiner);
    await(n, async_join(self->joiner));
    cr_assert_eq(self->result, -ECANCELED);
    async_end;
}

async(has_two, async_task *tasks;)
{
    async_begin;
    self->tasks[0] = async_spawn(sleeps, .ms = 1000);
    self->tasks[1] = async_spawn(sleeps, .ms = 1000);
    await(async_sleep(10));
    async_end;
}

/* Both are cancelled with their parent: the first failure is what join_all gives. */
AsyncTest(corners, join_all_of_children_whose_parent_ends, async_task tasks[2]; async_task parent;)
{
    async_result n;
    async_begin;
    self->parent = async_spawn(has_two, self->tasks);
    await(async_yield());
    await(n, async_join_all(self->tasks, 2));
    cr_assert_eq(n, -ECANCELED);
    async_end;
}

AsyncTest(corners, join_all_of_what_is_gone_has_no_failure, async_task tasks[2];)
{
    async_result n;
    async_begin;
    self->tasks[0] = async_keep(async_spawn(sleeps, .ms = 1, .result = 3));
    self->tasks[1] = async_spawn(sleeps, .ms = 1, .result = -EIO);
    await(async_sleep(10));
    await(n, async_join_all(self->tasks, 2));
    cr_assert_eq(n, 0); /* the second has not been kept */
    async_end;
}

async(calls, int64_t ms;)
{
    int n;
    async_begin;
    await(n, async_call(sleeps, .ms = self->ms));
    async_end;
}

async(leaves_a_child, async_task *child; async_task *other;)
{
    async_begin;
    *self->child = async_spawn(calls, .ms = 50);
    *self->other = async_spawn(sleeps, .ms = 50);
    await(async_yield());
    await(async_yield());
    async_end;
}

async(stays, int *done;)
{
    int n;
    async_begin;
    await(n, async_shield(async_sleep(50)));
    ++*self->done;
    async_end;
}

async(ends_before_its_children, int *done; async_task *children;)
{
    async_begin;
    self->children[0] = async_spawn(stays, self->done);
    self->children[1] = async_spawn(stays, self->done);
    await(async_yield());
    async_end;
}

/* A task is detached whose body has ended, one in the middle of a call, and the children of one
 * that waits for them, the last of which lets it go. */
AsyncTest(corners, detaching_in_every_state, int done; async_task parent; async_task children[2];
          async_task a; async_task b;)
{
    int n;
    async_begin;
    self->parent = async_spawn(ends_before_its_children, &self->done, self->children);
    await(async_sleep(10));
    cr_assert_eq(async_detach(self->parent), 0);
    cr_assert_eq(async_detach(self->children[0]), 0);
    cr_assert_eq(async_detach(self->children[1]), 0);
    await(n, async_join(self->parent));
    cr_assert_eq(n, -ESRCH);
    self->parent = async_spawn(leaves_a_child, &self->a, &self->b);
    await(async_yield());
    await(async_yield());
    cr_assert_eq(async_detach(self->a), 0);
    await(async_sleep(100));
    cr_assert_eq(self->done, 2);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Descriptors of other kinds
 * ------------------------------------------------------------------------- */
AsyncTestBare(corners, directories_and_disks_are_always_ready, CALM)
{
    int directory = sim_special(S_IFDIR), disk = sim_special(S_IFBLK), null = sim_special(S_IFCHR);
    cr_assert_eq(async_open(NULL), 0);
    cr_assert_eq(async_adopt(null), null);
    cr_assert_eq(async_adopt(directory), directory);
    cr_assert_eq(async_adopt(disk), disk);
    async_loop_close();
    sim_close(null);
    sim_close(directory);
    sim_close(disk);
}

AsyncTestBare(corners, a_socket_of_IPv6_is_adopted_as_a_connection, CALM)
{
    int fd = sim_socket(AF_INET6, SOCK_STREAM, 0);
    cr_assert_eq(async_open(NULL), 0);
    cr_assert_eq(async_adopt(fd), fd);
    cr_assert_eq(async__current->descriptors[fd].kind, ASYNC__STREAM_TCP);
    async_loop_close();
    sim_close(fd);
}

static int other_listener(void)
{
    struct sockaddr_un address;
    int fd = sim_socket(FAMILY, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sun_family = FAMILY;
    strcpy(address.sun_path, "other");
    cr_assert_eq(sim_bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(sim_listen(fd, 5), 0);
    return fd;
}

static int other_client(void)
{
    struct sockaddr_un address;
    int fd = sim_socket(FAMILY, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sun_family = FAMILY;
    strcpy(address.sun_path, "other");
    cr_assert_eq(sim_connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* A family the header does not know: no shortcut is taken, all works. */
AsyncTest(corners, sockets_of_another_family_are_accepted_from, int listener; int client;
          int server; char got[4];)
{
    ssize_t n;
    async_begin;
    self->listener = other_listener();
    self->client = other_client();
    cr_assert_eq(async_adopt(self->listener), self->listener);
    await(self->server, async_accept(self->listener));
    cr_assert(self->server >= 0);
    cr_assert_eq(sim_send(self->client, "abc", 3, 0), 3);
    await(n, async_read(self->server, self->got, 4));
    cr_assert_eq(n, 3);
    async_close(self->server);
    async_close(self->listener);
    sim_close(self->client);
    async_end;
}

AsyncTest(corners, addresses_that_are_none)
{
    int n;
    async_begin;
    await(n, async_connect("fe80::1%", 80));
    cr_assert_eq(n, -EINVAL);
    await(n, async_connect("::1%3", 1), 10);
    cr_assert(n < 0);
    cr_assert_eq(async_listen("127.0.0.1", -1), -EINVAL);
    cr_assert_eq(async_listen("127.0.0.1", 65536), -EINVAL);
    cr_assert_eq(async_listen("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", 1),
                 -EINVAL);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Ghosts
 * ------------------------------------------------------------------------- */

/* The number of the ghost is nobody's; and another descriptor, which waits to write, is entered
 * into the new set with all that it wants to know. */
AsyncTest(corners, a_ghost_of_a_number_that_is_free, int ends[2]; int twin; int full[2]; int i;)
{
    ssize_t n;
    async_begin;
    cr_assert_eq(async_socketpair(self->full), 0);
    while ((n = async_write_nowait(self->full[0], much, 50000)) > 0)
        ;
    await(n, async_write(self->full[0], much, 100), 10);
    cr_assert_eq(n, -ETIMEDOUT);
    cr_assert_eq(sim_socketpair(AF_UNIX, SOCK_STREAM, 0, self->ends), 0);
    async_adopt(self->ends[0]);
    self->twin = sim_dup(self->ends[0]);
    sim_close(self->ends[0]);
    async_close(self->ends[0]); /* too late: the file lives on, and epoll keeps it */
    sim_write(self->ends[1], "x", 1);
    await(async_sleep(10));
    sim_write(self->ends[1], "x", 1);
    await(async_sleep(10));
    sim_read(self->full[1], much, 65536);
    await(n, async_write(self->full[0], much, 100), 10);
    cr_assert_eq(n, 100);
    sim_close(self->ends[1]);
    sim_close(self->twin);
    async_close(self->full[0]);
    async_close(self->full[1]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Connecting
 * ------------------------------------------------------------------------- */

/* SO_ERROR may say that the attempt was interrupted, or still goes on: another event follows. */
AsyncTest(corners, an_attempt_that_goes_on_is_waited_for, int listener; int fd;)
{
    async_begin;
    self->listener = async_listen("127.0.0.1", 7000);
    sim_fail_next(getsockopt, EINTR);
    await(self->fd, async_connect("127.0.0.1", 7000), 1000);
    cr_assert(self->fd >= 0);
    async_close(self->fd);
    sim_fail_next(getsockopt, EINPROGRESS);
    await(self->fd, async_connect("127.0.0.1", 7000), 1000);
    cr_assert(self->fd >= 0);
    async_close(self->fd);
    async_close(self->listener);
    async_end;
}

/* Somebody else has taken the reason off the socket. */
AsyncTest(corners, a_refusal_without_a_reason_is_ECONNREFUSED, int fd;)
{
    async_begin;
    sim_take_errors(1);
    await(self->fd, async_connect("127.0.0.1", 7000), 1000);
    cr_assert_eq(self->fd, -ECONNREFUSED);
    sim_take_errors(2);
    await(self->fd, async_connect("127.0.0.1", 7000), 1000);
    cr_assert_eq(self->fd, -ECONNREFUSED);
    sim_take_errors(0);
    async_end;
}

/* kqueue gives the reason with the event, so that it is not lost. */
AsyncTest(corners, a_reason_that_came_with_the_event_is_kept, int fd;)
{
    async_begin;
    sim_take_errors(1);
    await(self->fd, async_connect("192.0.2.1", 7000)); /* nobody answers, for two minutes */
    cr_assert_eq(self->fd, strcmp(async_loop_backend(), "kqueue") == 0 ? -ETIMEDOUT
                                                                       : -ECONNREFUSED);
    sim_take_errors(0);
    async_end;
}

async(connects_to, const char *path; int *fd;)
{
    async_begin;
    await(*self->fd, async_connect_unix(self->path));
    async_end;
}

/* The path is the caller's, and must outlive the await: one that changes is an error, no crash. */
AsyncTest(corners, a_path_that_changes_while_the_backlog_is_full, int listener; int fds[9]; int i;
          char path[200]; async_task task; int fd;)
{
    async_begin;
    self->listener = async_listen_unix("/full");
    cr_assert(self->listener >= 0);
    sim_listen(self->listener, 0);
    await(self->fds[0], async_connect_unix("/full"));
    cr_assert(self->fds[0] >= 0);
    strcpy(self->path, "/full");
    self->task = async_spawn(connects_to, self->path, &self->fd);
    await(async_sleep(5));
    memset(self->path, 'x', 150);
    await(async_join(self->task));
    cr_assert_eq(self->fd, -ENAMETOOLONG);
    async_close(self->fds[0]);
    async_close(self->listener);
    async_end;
}

/* Where accept cannot set the flags itself, and they cannot be set: the next one is taken. */
AsyncTest(corners, a_connection_whose_flags_cannot_be_set_is_passed_over, int listener; int fd;
          int clients[2];)
{
    async_begin;
    self->listener = async_listen("127.0.0.1", 7000);
    self->clients[0] = sim_dial(7000);
    self->clients[1] = sim_dial(7000);
    sim_fail_next(fcntl, EAGAIN);
    await(self->fd, async_accept(self->listener), 1000);
    cr_assert(self->fd >= 0);
    sim_close(self->clients[0]);
    sim_close(self->clients[1]);
    async_close(self->fd);
    async_close(self->listener);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - What cannot be watched
 * ------------------------------------------------------------------------- */
async(writes_some, int fd; async_result *result;)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, much, 1000));
    *self->result = n;
    async_end;
}

async(waits_to_write, int fd; async_result *result;)
{
    int n;
    async_begin;
    await(n, async_writable(self->fd));
    *self->result = n ? n : 1;
    async_end;
}

static void nothing_can_be_watched(void)
{
    sim_fail_next(epoll_ctl, ENOMEM);
    sim_fail_next(kevent, -ENOMEM);
}

/* The kernel has no memory to watch with, and has none 10 ms later: it is asked again. */
AsyncTest(corners, what_cannot_be_watched_is_tried_again, int ends[2]; async_result written;
          int kind; async_task task;)
{
    ssize_t n;
    async_begin;
    for (; self->kind < 2; self->kind++) {
        cr_assert_eq(async_pipe(self->ends), 0);
        while (async_write_nowait(self->ends[1], much, 65536) > 0)
            ;
        self->written = 0;
        nothing_can_be_watched();
        self->task = self->kind ? async_spawn(waits_to_write, self->ends[1], &self->written)
                                : async_spawn(writes_some, self->ends[1], &self->written);
        await(async_sleep(5));
        nothing_can_be_watched();
        await(async_sleep(50));
        cr_assert_eq(self->written, 0);
        await(n, async_read(self->ends[0], much, 65536));
        cr_assert(n > 0);
        await(async_join(self->task));
        cr_assert_eq(self->written, self->kind ? 1 : 1000);
        async_close(self->ends[0]);
        async_close(self->ends[1]);
        sim_fail_next(epoll_ctl, 0);
        sim_fail_next(kevent, 0);
    }
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Callbacks
 * ------------------------------------------------------------------------- */
static int taken;

static void takes_one(int fd, void *data)
{
    int client = async_accept_nowait(fd);
    (void)data;
    if (client >= 0) {
        taken++;
        async_close(client);
    }
}

/* No descriptor is left for the callback; when it is tried again there is nothing to accept. */
AsyncTest(corners, a_listener_is_looked_at_again_and_has_nothing, int listener; int client;
          int server;)
{
    async_begin;
    taken = 0;
    self->listener = async_listen("127.0.0.1", 7000);
    cr_assert(async_on_readable(self->listener, NULL, takes_one) > 0);
    self->client = sim_dial(7000);
    sim_limit(0);
    await(async_sleep(1));
    cr_assert_eq(taken, 0);
    sim_limit(-1);
    self->server = sim_accept(self->listener, NULL, NULL); /* somebody else takes it */
    await(async_sleep(1000));
    cr_assert_eq(taken, 0);
    sim_close(self->client);
    sim_close(self->server);
    self->client = sim_dial(7000);
    await(async_sleep(1000));
    cr_assert_eq(taken, 1);
    sim_close(self->client);
    async_close(self->listener);
    async_end;
}

/* To wait for a listener that is out of descriptors is to wait until it has another try. */
AsyncTest(corners, readiness_is_awaited_while_no_descriptor_is_left, int listener; int client;
          int fd;)
{
    int n;
    async_begin;
    self->listener = async_listen("127.0.0.1", 7000);
    self->client = sim_dial(7000);
    await(async_sleep(1)); /* its event is over */
    sim_limit(0);
    self->fd = async_accept_nowait(self->listener);
    cr_assert_eq(self->fd, -EMFILE);
    sim_limit(-1);
    await(n, async_readable(self->listener), 1000);
    cr_assert_eq(n, 0);
    self->fd = async_accept_nowait(self->listener);
    cr_assert(self->fd >= 0);
    async_close(self->fd);
    async_close(self->listener);
    sim_close(self->client);
    async_end;
}

static void never_ready(int fd, void *data)
{
    (void)fd;
    (void)data;
    cr_assert_fail("a callback that was not registered");
}

/* What cannot be watched cannot be promised. */
AsyncTestWith(corners, a_callback_that_cannot_be_watched_for,
              (.faults = SIM_CALM, .backends = SIM_EPOLL | SIM_KQUEUE), int ends[2];)
{
    async_begin;
    cr_assert_eq(async_pipe(self->ends), 0);
    sim_fail_next(epoll_ctl, ENOMEM);
    sim_fail_next(kevent, ENOMEM);
    cr_assert_eq(async_on_writable(self->ends[1], NULL, never_ready), -ENOMEM);
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Streams
 * ------------------------------------------------------------------------- */
AsyncTest(corners, a_stream_that_failed_takes_no_more, int ends[2]; async_stream *stream;)
{
    int n;
    async_begin;
    cr_assert_eq(async_socketpair(self->ends), 0);
    self->stream = async_stream_open(self->ends[0]);
    cr_assert_eq(async_stream_write(self->stream, "", 0), 0);
    async_close(self->ends[1]);
    cr_assert_eq(async_stream_write(self->stream, "x", 1), -EPIPE);
    cr_assert_eq(async_stream_write(self->stream, "x", 1), -EPIPE);
    await(n, async_stream_wait_closed(self->stream));
    cr_assert_eq(n, -EPIPE);
    async_end;
}

/* The peer has ended its side while ours still has much to say. */
AsyncTest(corners, a_closing_stream_outlasts_the_end_of_its_peer, int ends[2]; size_t sum;
          async_stream *stream;)
{
    ssize_t n;
    async_begin;
    cr_assert_eq(async_socketpair(self->ends), 0);
    self->stream = async_stream_open(self->ends[0]);
    cr_assert_eq(async_stream_write(self->stream, much, 200000), 0);
    cr_assert_eq(async_stream_close(self->stream), 0);
    sim_shutdown(self->ends[1], SHUT_WR);
    await(async_sleep(10));
    do {
        await(n, async_read(self->ends[1], much, sizeof much));
        self->sum += (size_t)n;
    } while (n > 0);
    cr_assert_eq(self->sum, 200000);
    async_close(self->ends[1]);
    async_end;
}

static int pieces;

static void counts_pieces(async_stream *stream, const char *data, ssize_t size)
{
    (void)stream;
    (void)data;
    (void)size;
    pieces++;
}

/* Set twice it is set once; set after the end it is not called again. */
AsyncTest(corners, on_data_is_set_again, int ends[2]; async_stream *stream;)
{
    async_begin;
    pieces = 0;
    cr_assert_eq(async_socketpair(self->ends), 0);
    self->stream = async_stream_open(self->ends[0]);
    cr_assert_eq(async_stream_on_data(self->stream, counts_pieces), 0);
    cr_assert_eq(async_stream_on_data(self->stream, counts_pieces), 0);
    async_close(self->ends[1]);
    await(async_sleep(10));
    cr_assert_eq(pieces, 1);
    cr_assert_eq(async_stream_on_data(self->stream, counts_pieces), 0);
    await(async_sleep(10));
    cr_assert_eq(pieces, 1);
    async_stream_close(self->stream);
    async_end;
}

static int written;

static void counts_written(async_stream *stream, int status)
{
    (void)stream;
    (void)status;
    written++;
}

/* It is queued for its callback when it is told to close, over a pipe, with more to send. */
AsyncTest(corners, a_pipe_closes_with_a_turn_outstanding, int ends[2]; async_stream *stream;)
{
    async_begin;
    written = 0;
    cr_assert_eq(async_pipe(self->ends), 0);
    self->stream = async_stream_open(self->ends[1]);
    cr_assert_eq(async_stream_on_written(self->stream, counts_written), 0);
    cr_assert_eq(async_stream_write(self->stream, "x", 1), 0);
    cr_assert_eq(async_stream_write(self->stream, much, 100000), 0);
    async_stream_close(self->stream);
    await(async_sleep(10));
    cr_assert_eq(written, 0);
    async_close(self->ends[0]);
    await(async_sleep(10));
    async_end;
}

/* Written, and then there is more: the callback comes once, for all of it. */
AsyncTest(corners, on_written_waits_for_what_was_queued_after_it, int ends[2]; int i;
          async_stream *stream;)
{
    ssize_t n;
    async_begin;
    written = 0;
    cr_assert_eq(async_socketpair(self->ends), 0);
    self->stream = async_stream_open(self->ends[0]);
    cr_assert_eq(async_stream_on_data(self->stream, counts_pieces), 0);
    cr_assert_eq(async_stream_on_written(self->stream, counts_written), 0);
    cr_assert_eq(async_stream_write(self->stream, "x", 1), 0);
    cr_assert_eq(async_stream_write(self->stream, much, 100000), 0);
    await(async_yield());
    await(async_yield());
    cr_assert_eq(written, 0);
    for (self->i = 0; self->i < 2; self->i++) {
        await(n, async_read(self->ends[1], much, sizeof much));
        cr_assert(n > 0);
        await(async_sleep(1));
    }
    cr_assert_eq(written, 1);
    async_stream_on_written(self->stream, NULL);
    async_close(self->ends[1]);
    async_stream_close(self->stream);
    async_end;
}

/* Nobody wants to know any more when its turn comes. */
AsyncTest(corners, on_written_is_withdrawn_before_its_turn, int ends[2]; async_stream *stream;)
{
    async_begin;
    written = 0;
    cr_assert_eq(async_socketpair(self->ends), 0);
    self->stream = async_stream_open(self->ends[0]);
    cr_assert_eq(async_stream_on_written(self->stream, counts_written), 0);
    cr_assert_eq(async_stream_write(self->stream, "x", 1), 0);
    cr_assert_eq(async_stream_on_written(self->stream, NULL), 0);
    await(async_sleep(1));
    cr_assert_eq(written, 0);
    async_stream_close(self->stream);
    async_close(self->ends[1]);
    async_end;
}

/* The end was read before its turn comes, which on_written has asked for. */
AsyncTest(corners, on_written_after_the_end_of_the_peer, int ends[2]; async_stream *stream;)
{
    async_begin;
    written = pieces = 0;
    cr_assert_eq(async_socketpair(self->ends), 0);
    self->stream = async_stream_open(self->ends[0]);
    cr_assert_eq(async_stream_on_data(self->stream, counts_pieces), 0);
    cr_assert_eq(async_stream_on_written(self->stream, counts_written), 0);
    sim_shutdown(self->ends[1], SHUT_WR);
    await(async_sleep(1));
    cr_assert_eq(pieces, 1);
    cr_assert_eq(async_stream_write(self->stream, "x", 1), 0);
    await(async_sleep(1));
    cr_assert_eq(written, 1);
    cr_assert_eq(pieces, 1);
    async_stream_close(self->stream);
    async_close(self->ends[1]);
    async_end;
}

/* More unread than anybody should read for the sake of a clean end. */
AsyncTestBare(corners, a_loop_that_closes_reads_and_forgets_only_so_much, CALM)
{
    int size = sizeof much, ends[2], raw[2];
    async_stream *stream;
    sim_socketpair(AF_UNIX, SOCK_STREAM, 0, raw);
    sim_setsockopt(raw[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    cr_assert_eq(async_open(NULL), 0);
    cr_assert_eq(async_pipe(ends), 0);
    ends[0] = async_adopt(raw[0]);
    stream = async_stream_open(ends[0]);
    cr_assert_eq(async_stream_write(stream, much, 100000), 0);
    cr_assert_eq(async_stream_close(stream), 0);
    cr_assert_eq(sim_send(raw[1], much, sizeof much, MSG_NOSIGNAL), sizeof much);
    sim_fail_next(epoll_wait, EBADF);
    sim_fail_next(kevent, EBADF);
    sim_fail_next(poll, EINVAL);
    async_loop_close();
    sim_close(raw[1]);
}

/* What is unread then is more than one turn forgets: the peer has the end all the same. */
AsyncTestBare(corners, a_loop_that_closes_reads_and_forgets_a_large_rest, CALM)
{
    int size = 1000000, raw[2];
    async_stream *stream;
    sim_socketpair(AF_UNIX, SOCK_STREAM, 0, raw);
    sim_setsockopt(raw[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    cr_assert_eq(async_open(NULL), 0);
    stream = async_stream_open(async_adopt(raw[0]));
    cr_assert_eq(async_stream_close(stream), 0);
    cr_assert_eq(sim_send(raw[1], much, 1000000, MSG_NOSIGNAL), 1000000);
    async_loop_close();
    cr_assert_eq(sim_recv(raw[1], much, sizeof much, 0), 0);
    sim_close(raw[1]);
}

/* More unread than one turn forgets. */
AsyncTest(corners, a_closing_stream_forgets_in_turns, int raw[2]; async_stream *stream;)
{
    int size = 1000000;
    async_begin;
    sim_socketpair(AF_UNIX, SOCK_STREAM, 0, self->raw);
    sim_setsockopt(self->raw[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    cr_assert_eq(async_adopt(self->raw[0]), self->raw[0]);
    self->stream = async_stream_open(self->raw[0]);
    cr_assert_eq(sim_send(self->raw[1], much, 1000000, MSG_NOSIGNAL), 1000000);
    cr_assert_eq(async_stream_close(self->stream), 0);
    await(async_sleep(10));
    cr_assert_eq(sim_send(self->raw[1], much, 1000000, MSG_NOSIGNAL), 1000000);
    sim_close(self->raw[1]);
    await(async_sleep(10));
    async_end;
}

/* A broken poller, and a pipe that was to be closed: there is nothing to read from it. */
AsyncTestBare(corners, a_loop_that_fails_gives_up_a_closing_pipe, CALM)
{
    int ends[2];
    async_stream *stream;
    cr_assert_eq(async_open(NULL), 0);
    cr_assert_eq(async_pipe(ends), 0);
    stream = async_stream_open(ends[1]);
    cr_assert_eq(async_stream_write(stream, much, 100000), 0);
    cr_assert_eq(async_stream_close(stream), 0);
    sim_fail_next(epoll_wait, EBADF);
    sim_fail_next(kevent, EBADF);
    sim_fail_next(poll, EINVAL);
    async_loop_close();
}
