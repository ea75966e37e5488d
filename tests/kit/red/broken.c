/*
 * broken.c: bodies that are right, for red.sh to run with an async.h that is not: each puts the
 * loop where the fault shows. With async.h as it is all of them pass.
 */
#include "async_test.h"

async(sleeper, int64_t until_ns; int fails;)
{
    async_result result;
    async_begin;
    await(result, async_sleep_until(self->until_ns));
    async_return(self->fails ? -EIO : result);
    async_end;
}

async(limited, int fd; char byte; int64_t limit_ms;)
{
    async_result result;
    async_begin;
    await(result, async_read(self->fd, &self->byte, 1), self->limit_ms);
    async_return(result);
    async_end;
}

AsyncTest(broken, two_sleeps)
{
    async_begin;
    async_spawn(sleeper, .until_ns = async_now() + 1000000);
    async_spawn(sleeper, .until_ns = async_now() + 1300000);
    await(async_sleep(10));
    async_end;
}

AsyncTest(broken, two_limits, int n;)
{
    async_begin;
    async_spawn(sleeper, .until_ns = async_now() + 1000000);
    await(self->n, async_sleep(100), 3);
    async_end;
}

AsyncTest(broken, many_sleeps)
{
    async_begin;
    for (int i = 0; i < 40; i++)
        async_spawn(sleeper, .until_ns = async_now() + 2000000 - i * 40000);
    await(async_sleep(10));
    async_end;
}

AsyncTest(broken, cancelled_sleeps, async_task tasks[80]; int i;)
{
    async_begin;
    async_spawn(sleeper, .until_ns = async_now() + 9000000);
    for (int i = 0; i < 80; i++)
        self->tasks[i] = async_spawn(sleeper, .until_ns = async_now() + 5000000);
    await(async_sleep(1));
    for (int i = 0; i < 80; i++)
        async_cancel(self->tasks[i]);
    for (self->i = 0; self->i < 4; self->i++)
        await(async_sleep(1));
    async_end;
}

async(yields, int times; int i;)
{
    async_begin;
    for (self->i = 0; self->i < self->times; self->i++)
        await(async_yield());
    async_end;
}

AsyncTest(broken, yielders, int i;)
{
    async_begin;
    for (int i = 0; i < 3; i++)
        async_spawn(yields, .times = 9000);
    await(async_sleep(1));
    for (self->i = 0; self->i < 9000; self->i++)
        await(async_yield());
    async_end;
}

async(reads_twice, int fd; char bytes[4];)
{
    async_result n;
    async_begin;
    await(n, async_read(self->fd, self->bytes, 4));
    async_ok(n);
    await(async_yield());
    await(n, async_read(self->fd, self->bytes, 4));
    async_ok(n);
    async_end;
}

AsyncTest(broken, half_read, int ends[2]; async_task reader;)
{
    async_result n;
    async_begin;
    async_ok(async_socketpair(self->ends));
    self->reader = async_spawn(reads_twice, .fd = self->ends[0]);
    await(async_sleep(1));
    await(n, async_write(self->ends[1], "12345678", 8));
    async_ok(n);
    await(n, async_join(self->reader), 100);
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

static char data[70000];

AsyncTest(broken, full_pipe, int ends[2]; char *got;)
{
    async_result n;
    async_begin;
    async_ok(async_pipe(self->ends));
    await(n, async_write(self->ends[1], data, sizeof data), 5);
    cr_assert(n > 0);
    for (ssize_t got = n; got > 0; got -= n) {
        n = async_read_nowait(self->ends[0], data, sizeof data);
        if (n <= 0)
            break;
    }
    await(async_sleep(1));
    await(n, async_write(self->ends[1], "x", 1));
    async_ok(n);
    await(async_sleep(1));
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

static char drained[70000];

async(drains, int fd;)
{
    async_begin;
    await(async_sleep(2));
    async_read_nowait(self->fd, drained, sizeof drained);
    async_end;
}

AsyncTestWith(broken, pipe_that_drains, (.backends = SIM_EPOLL | SIM_KQUEUE), int ends[2];)
{
    async_result n;
    async_begin;
    async_ok(async_pipe(self->ends));
    async_spawn(drains, .fd = self->ends[0]);
    async_spawn(sleeper, .until_ns = async_now() + 9000000);
    await(n, async_write(self->ends[1], data, sizeof data), 5);
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

AsyncTestWith(broken, late_write, (.backends = SIM_EPOLL | SIM_KQUEUE), int ends[2];
              async_task reader;)
{
    async_result n;
    async_begin;
    async_ok(async_pipe(self->ends));
    self->reader = async_spawn(limited, .fd = self->ends[0], .limit_ms = 50);
    await(async_sleep(1));
    await(n, async_write(self->ends[1], "x", 1));
    async_ok(n);
    await(async_sleep(5));
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

static void reads(int fd, void *ignored)
{
    char byte;
    (void)ignored;
    async_read_nowait(fd, &byte, 1);
}

AsyncTestWith(broken, late_write_for_a_callback, (.backends = SIM_EPOLL | SIM_KQUEUE),
              int ends[2];)
{
    async_result n;
    async_begin;
    async_ok(async_pipe(self->ends));
    async_ok(async_on_readable(self->ends[0], NULL, reads));
    await(async_sleep(1));
    await(n, async_write(self->ends[1], "x", 1));
    async_ok(n);
    await(async_sleep(5));
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

AsyncTest(broken, limit_of_a_read, int ends[2];)
{
    async_begin;
    async_ok(async_pipe(self->ends));
    async_spawn(limited, .fd = self->ends[0], .limit_ms = 3);
    await(async_sleep(10));
    async_finally;
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}

AsyncTest(broken, cancelled_sleep, async_task task;)
{
    async_begin;
    self->task = async_spawn(sleeper, .until_ns = async_now() + 100000000);
    await(async_sleep(1));
    async_cancel(self->task);
    await(async_sleep(1));
    async_end;
}

async(tidies_up)
{
    async_begin;
    await(async_sleep(1000));
    async_finally;
    await(async_sleep(1));
    async_end;
}

async(has_a_child)
{
    async_begin;
    async_spawn(tidies_up);
    await(async_yield());
    await(async_yield());
    async_end;
}

AsyncTest(broken, family)
{
    async_begin;
    async_spawn(has_a_child);
    await(async_sleep(10));
    async_end;
}

async(calls)
{
    int ignored;
    async_begin;
    await(ignored, async_call(tidies_up), 1);
    (void)ignored;
    await(async_call(yields, .times = 1));
    async_end;
}

AsyncTest(broken, caller)
{
    async_begin;
    async_spawn(calls);
    await(async_sleep(10));
    async_end;
}

async(joins, async_task task;)
{
    async_begin;
    await(async_join(self->task));
    async_end;
}

AsyncTest(broken, joiner, async_task task;)
{
    async_begin;
    self->task = async_spawn(sleeper, .until_ns = async_now() + 2000000);
    async_spawn(joins, .task = self->task);
    await(async_sleep(5));
    async_end;
}

AsyncTest(broken, parent)
{
    async_begin;
    async_spawn(sleeper, .until_ns = async_now() + 2000000);
    async_spawn(sleeper, .until_ns = async_now() + 9000000);
    await(async_join_children());
    async_end;
}

async(lines_up, async_event *event; async_semaphore *semaphore; async_mutex *mutex;
      async_channel *sends; async_channel *receives; int item;)
{
    async_begin;
    if (self->event)
        await(async_event_wait(self->event));
    else if (self->semaphore)
        await(async_semaphore_acquire(self->semaphore));
    else if (self->mutex)
        await(async_mutex_lock(self->mutex));
    else if (self->sends)
        await(async_channel_send(self->sends, &self->item));
    else
        await(async_channel_receive(self->receives, &self->item));
    async_end;
}

/* One waits for each of these; then each has what it waited for. */
AsyncTest(broken, queues, async_event event; async_semaphore semaphore; async_mutex mutex;
          async_channel full, empty; int held[2]; int item;)
{
    async_begin;
    async_channel_init(&self->full, &self->held[0], sizeof(int), 1);
    async_channel_init(&self->empty, &self->held[1], sizeof(int), 1);
    async_ok(async_channel_send_nowait(&self->full, &self->item));
    async_ok(async_mutex_lock_nowait(&self->mutex));
    async_spawn(lines_up, .event = &self->event);
    async_spawn(lines_up, .semaphore = &self->semaphore);
    async_spawn(lines_up, .mutex = &self->mutex);
    async_spawn(lines_up, .sends = &self->full);
    async_spawn(lines_up, .receives = &self->empty);
    await(async_sleep(1));
    async_event_set(&self->event);
    async_semaphore_release(&self->semaphore);
    async_ok(async_mutex_unlock(&self->mutex));
    async_ok(async_channel_receive_nowait(&self->full, &self->item));
    async_ok(async_channel_send_nowait(&self->empty, &self->item));
    await(async_sleep(1));
    async_end;
}

async(flushes, async_stream *stream;)
{
    int result;
    async_begin;
    await(result, async_stream_flush(self->stream));
    (void)result;
    async_end;
}

AsyncTest(broken, flusher, int ends[2]; async_stream *stream;)
{
    async_begin;
    async_ok(async_pipe(self->ends));
    self->stream = async_stream_open(self->ends[1]);
    async_ok(async_stream_write(self->stream, data, sizeof data));
    async_spawn(flushes, .stream = self->stream);
    await(async_sleep(1));
    async_finally;
    async_close(self->ends[0]);
    async_stream_close(self->stream);
    async_end;
}

AsyncTest(broken, long_sleep)
{
    async_begin;
    await(async_sleep(INT64_C(3) * 86400 * 1000));
    async_end;
}
