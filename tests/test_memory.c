/*
 * Memory that runs out: at each allocation in turn, once and for good.
 *
 * Goal: -ENOMEM comes from what makes something, and then nothing was made and nothing is lost;
 * what exists goes on without any memory. Method: the nth allocation of a call fails, for every n
 * until the call succeeds; at the end no block and no descriptor may be left.
 *
 * On the real kernel only: where the number of a descriptor must lie below the loop's first table.
 * In the simulation only: what is tried again by timer.
 */
#include "seam.h"
#include "async.h"
#include "test.h"

#include "io.h"

/* The statement after it runs once for each allocation of the expression that can fail; then the
 * expression has succeeded, and `result` is what it gave. */
#define each_failure(result, expression) \
    for (seam_failed = 0, tries = 1; \
         seam_fail_from = tries, result = (expression), seam_fail_from = 0, seam_failed; \
         tries++, seam_failed = 0)

static long tries;

async(nothing)
{
    async_begin;
    async_end;
}

async(sleeps)
{
    async_begin;
    await(async_sleep(INT64_MAX));
    async_end;
}

/* So that the table of handles is full, or nearly so: it has room for 64 at first. */
static void open_filled(int tasks, int once)
{
    seam_reset();
    seam_blocks = 0;
    seam_fail_once = once;
    check_equal(async_open(NULL), 0);
    while (tasks-- > 0)
        check(async_spawn(sleeps) > 0);
    check(async_loop_run_once(0) >= 0);
}

static void close_empty(void)
{
    check_equal(async_loop_run_once(0) < 0, 0);
    check_equal(async_loop_close(), 0);
    check_equal(seam_blocks, 0);
}

static void make_tasks(void)
{
    async_task task;

    each_failure(task, async_spawn(nothing))
        check_error(async_spawn, ENOMEM, task);
    check(task > 0);
    check_equal(async_cancel(task), 0);
}

static void make_soon(void)
{
    async_handle handle;

    each_failure(handle, async_soon(NULL, ignore))
        check_error(async_soon, ENOMEM, handle);
    check_equal(async_cancel(handle), 0);
}

static void make_after(void)
{
    async_handle handle;

    each_failure(handle, async_after(1000, NULL, ignore))
        check_error(async_after, ENOMEM, handle);
    check_equal(async_cancel(handle), 0);
}

static void make_every(void)
{
    async_handle handle;

    each_failure(handle, async_every(1000, NULL, ignore))
        check_error(async_every, ENOMEM, handle);
    check_equal(async_cancel(handle), 0);
}

/* Many: the callbacks before have left no room. */
static void make_many(void)
{
    async_handle handles[200];

    for (int i = 0; i < 200; i++) {
        each_failure(handles[i], async_after(1000, NULL, ignore))
            check_error(async_after, ENOMEM, handles[i]);
        check(handles[i] > 0);
    }
    for (int i = 0; i < 200; i++)
        check_equal(async_cancel(handles[i]), 0);
}

static void make_reader(void)
{
    async_handle handle;
    int ends[2];

    check_equal(async_pipe(ends), 0);
    each_failure(handle, async_on_readable(ends[0], NULL, ignore_ready))
        check_error(async_on_readable, ENOMEM, handle);
    check_equal(async_cancel(handle), 0);
    async_close(ends[0]);
    async_close(ends[1]);
}

static void make_writer(void)
{
    async_handle handle;
    int ends[2];

    check_equal(async_pipe(ends), 0);
    each_failure(handle, async_on_writable(ends[1], NULL, ignore_ready))
        check_error(async_on_writable, ENOMEM, handle);
    check_equal(async_cancel(handle), 0);
    async_close(ends[0]);
    async_close(ends[1]);
}

/* Blocking and inherited by exec as before, and its bytes still there. */
static void make_adopted(void)
{
    int ends[2], fd;

    check_equal(pipe(ends), 0);
    check_equal(write(ends[1], "x", 1), 1);
    each_failure(fd, async_adopt(ends[0])) {
        check_error(async_adopt, ENOMEM, fd);
        check_equal(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
        check_equal(fcntl(ends[0], F_GETFD), 0);
    }
    check_equal(fd, ends[0]);
    check_equal(async_read_nowait(fd, (char[1]){ 0 }, 1), 1);
    async_close(fd);
    close(ends[1]);
}

static void make_listeners(void)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/tmp/async-memory-%ld", (long)getpid());
    each_failure(fd, async_listen("127.0.0.1", 0))
        check_error(async_listen, ENOMEM, fd);
    check(fd >= 0);
    async_close(fd);
    each_failure(fd, (unlink(path), async_listen_unix(path)))
        check_error(async_listen_unix, ENOMEM, fd);
    check(fd >= 0);
    async_close(fd);
    unlink(path);
}

static void make_pairs(void)
{
    int ends[2], r;

    each_failure(r, async_pipe(ends))
        check_error(async_pipe, ENOMEM, r);
    check_equal(r, 0);
    async_close(ends[0]);
    async_close(ends[1]);
    each_failure(r, async_socketpair(ends))
        check_error(async_socketpair, ENOMEM, r);
    check_equal(r, 0);
    async_close(ends[0]);
    async_close(ends[1]);
}

static ssize_t read_all(int fd)
{
    static char data[65536];
    ssize_t n, sum = 0;
    while ((n = read(fd, data, sizeof data)) > 0)
        sum += n;
    return sum;
}

/* The peer is not the loop's, so that looking at what arrived needs nothing of it. */
static void make_streams(void)
{
    static char data[400000];
    async_stream *stream;
    int ends[2], r;
    ssize_t sent = 1;

    check_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    check_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    check_equal(async_adopt(ends[0]), ends[0]);
    each_failure(stream, async_stream_open(ends[0]))
        check(stream == NULL);
    check(stream != NULL);
    each_failure(r, async_stream_write(stream, "x", 1)) {
        check_error(async_stream_write, ENOMEM, r);
        check_equal(read_all(ends[1]), 0);
    }
    check_equal(r, 0);
    for (int i = 0; i < 4; i++) {
        each_failure(r, async_stream_write(stream, data, sizeof data)) {
            if (r == 0) /* what failed was to watch the descriptor: it is tried by timer */
                break;
            check_error(async_stream_write, ENOMEM, r);
        }
        seam_fail_from = 0;
        check_equal(r, 0);
        sent += (ssize_t)sizeof data;
    }
    each_failure(r, async_stream_on_data(stream, ignore_data))
        check_error(async_stream_on_data, ENOMEM, r);
    check_equal(r, 0);
    while (sent) {
        sent -= read_all(ends[1]);
        check(async_loop_run_once(1) >= 0);
    }
    close(ends[1]);
    check_equal(async_stream_close(stream), 0);
    for (int i = 0; i < 4; i++)
        check(async_loop_run_once(0) >= 0);
}

static void (*const makers[])(void) = {
    make_tasks, make_soon, make_after, make_every, make_many, make_reader, make_writer,
    make_adopted, make_listeners, make_pairs, make_streams
};

TEST(memory, a_call_that_fails_for_lack_of_it_has_made_nothing)
{
    static const int fills[] = { 0, 61, 62, 63, 64 };

    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        for (size_t fill = 0; fill < sizeof fills / sizeof *fills; fill++) {
            for (int once = 0; once < 2; once++) {
                open_filled(fills[fill], once);
                makers[i]();
                close_empty();
            }
        }
    }
}

/* The table of descriptors starts with room for 64. */
REAL_TEST(memory, the_table_of_descriptors_grows_or_nothing_is_made, "numbers below 64")
{
    int fillers[64], count = 0;

    while ((fillers[count] = dup(0)) < 62 && fillers[count] >= 0)
        count++;
    close(fillers[count]);
    for (int more = 0; more < 3; more++) {
        for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
            open_filled(0, more & 1);
            makers[i]();
            close_empty();
        }
        fillers[count++] = dup(0);
    }
    while (count > 0)
        close(fillers[--count]);
}

/* ----------------------------------------------------------------------------
 * MARK: - In a coroutine
 * ------------------------------------------------------------------------- */

async(calls, int64_t n;)
{
    async_result r;
    async_begin;
    for (self->n = 1; self->n < 3; self->n++) {
        seam_failed = 0;
        seam_fail_from = self->n;
        await(r, async_call(nothing));
        seam_fail_from = 0;
        if (!seam_failed)
            break;
        check_error(async_call, ENOMEM, r);
    }
    check_equal(r, 0);
    async_end;
}

async(names_itself)
{
    int r;
    async_begin;
    each_failure(r, async_name("name"))
        check_error(async_name, ENOMEM, r);
    check_equal(r, 0);
    check_equal(async_name("another"), 0);
    async_end;
}

static char path[64];

/* The listeners and the accepted sockets are adopted by then, the descriptor's own entry is not. */
async(connects, int n; int local; int listener; int fd;)
{
    async_begin;
    self->listener = self->local ? async_listen_unix(path) : async_listen("127.0.0.1", 0);
    for (self->n = 1;; self->n++) {
        seam_failed = 0;
        seam_fail_from = self->n;
        if (self->local)
            await(self->fd, async_connect_unix(path));
        else
            await(self->fd, async_connect("127.0.0.1", async_port(self->listener)));
        seam_fail_from = 0;
        if (!seam_failed)
            break;
        if (self->local)
            check_error(async_connect_unix, ENOMEM, self->fd);
        else
            check_error(async_connect, ENOMEM, self->fd);
    }
    check(self->fd >= 0);
    async_close(self->fd);
    async_close(self->listener);
    async_end;
}

static void connect_port(int *fds, int count, int port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    for (int i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        check_equal(connect(fds[i], (struct sockaddr *)&address, sizeof address), 0);
    }
}

/* Each failure costs one connection: what was accepted and cannot be served is closed. */
async(accepts, int n; int listener; int fd; int peers[4];)
{
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    connect_port(self->peers, 4, async_port(self->listener));
    for (self->n = 1; self->n <= 4; self->n++) {
        seam_failed = 0;
        seam_fail_from = self->n;
        await(self->fd, async_accept(self->listener));
        seam_fail_from = 0;
        if (!seam_failed)
            break;
        check_error(async_accept, ENOMEM, self->fd);
    }
    check(self->fd >= 0);
    async_close(self->fd);
    async_close(self->listener);
    for (self->n = 0; self->n < 4; self->n++)
        close(self->peers[self->n]);
    async_end;
}

/* Here the numbers from 64 on are the new ones. */
TEST(memory, a_coroutine_learns_of_it_by_its_await)
{
    int fillers[64], count = 0;

    snprintf(path, sizeof path, "/tmp/async-memory-%ld", (long)getpid());
    while ((fillers[count] = dup(0)) < 50 && fillers[count] >= 0)
        count++;
    while (count < 64 && (fillers[++count] = dup(0)) < 63) {
        seam_reset();
        seam_blocks = 0;
        unlink(path);
        check_equal(async_run(calls), 0);
        check_equal(async_run(names_itself), 0);
        check_equal(async_run(connects), 0);
        check_equal(async_run(connects, .local = 1), 0);
        check_equal(async_run(accepts), 0);
        check_equal(seam_blocks, 0);
    }
    unlink(path);
    do
        close(fillers[count]);
    while (count-- > 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Without any
 * ------------------------------------------------------------------------- */

async(ping, int fd; int rounds; char data[4];)
{
    ssize_t n;
    async_begin;
    while (self->rounds-- > 0) {
        await(n, async_read(self->fd, self->data, sizeof self->data), 60000);
        check_equal(n, 4);
        await(n, async_write(self->fd, self->data, 4));
        check_equal(n, 4);
    }
    async_return(9);
    async_end;
}

async(fills, int fd; const char *data; size_t size;)
{
    ssize_t n;
    async_begin;
    await(n, async_write(self->fd, self->data, self->size));
    async_return(n);
    async_end;
}

/* Every operation that waits, with what it needs in place before the memory is gone. */
async(goes_on, const char *data; size_t size; int ends[4]; async_task tasks[4]; int rounds;
      char word[4]; char *rest; ssize_t got; async_case cases[2];)
{
    ssize_t n;
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    check_equal(async_socketpair(self->ends + 2), 0);
    self->tasks[0] = async_spawn(ping, .fd = self->ends[0], .rounds = 20);
    self->tasks[1] = async_spawn(fills, self->ends[2], self->data, self->size);
    self->tasks[2] = async_spawn(sleeps);
    self->tasks[3] = async_spawn(sleeps);
    seam_fail_from = 1;
    for (self->rounds = 0; self->rounds < 20; self->rounds++) {
        await(n, async_write(self->ends[1], "ping", 4));
        check_equal(n, 4);
        await(n, async_readable(self->ends[1]));
        check_equal(n, 0);
        await(n, async_read(self->ends[1], self->word, 4));
        check_equal(n, 4);
    }
    while (self->got < (ssize_t)self->size) {
        await(n, async_read(self->ends[3], self->rest, self->size));
        check(n > 0);
        self->got += n;
    }
    await(n, async_sleep(1), 1000);
    check_equal(n, 0);
    check_equal(async_cancel(self->tasks[2]), 0);
    self->cases[0] = async_case_join(self->tasks[2]);
    self->cases[1] = async_case_join(self->tasks[3]);
    await(n, async_select(self->cases, 2));
    check_equal(n, 0);
    check_equal(async_cancel(self->tasks[3]), 0);
    await(n, async_join_all(self->tasks, 4), 60000);
    check(n == 0 || n == -ECANCELED);
    seam_fail_from = 0;
    for (n = 0; n < 4; n++)
        async_close(self->ends[n]);
    async_end;
}

SIMULATED_TEST(memory, what_exists_goes_on_without_it)
{
    static char data[1000000], rest[1000000];

    seam_reset();
    seam_blocks = 0;
    check_equal(async_run(goes_on, .data = data, .rest = rest, .size = sizeof data), 0);
    check_equal(seam_blocks, 0);
}
