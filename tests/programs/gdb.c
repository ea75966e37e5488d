/*
 * For gdb.sh: tasks that wait for one thing each, in two threads. Each loop prints its tree from a
 * callback, while all tasks wait; it is what gdb must find then, since nothing changes any more.
 */
#define _GNU_SOURCE
#include "async.h"

#include <semaphore.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

static int over[2]; /* a pipe: nothing ever comes */

async(sleeps)
{
    async_begin;
    await(async_sleep(1000000));
    async_end;
}

async(calls, int depth;)
{
    async_begin;
    if (!self->depth)
        await(async_call(sleeps));
    else
        await(async_call(calls, self->depth - 1));
    async_end;
}

static struct {
    async_event event;
    async_mutex mutex;
    async_semaphore semaphore;
    async_channel channel, empty;
    async_stream *stream, *full;
    async_task task;
    int number;
} it;

static sem_t offloaded;

static async_result blocks(void *unused)
{
    (void)unused;
    sem_post(&offloaded);
    pause();
    return 0;
}

async(waits, int what; char data[100]; async_task tasks[2]; async_case cases[5]; async_result n;)
{
    async_begin;
    async_name("one of them");
    if (self->what == 0)
        await(async_event_wait(&it.event));
    if (self->what == 1)
        await(async_mutex_lock(&it.mutex));
    if (self->what == 2)
        await(async_channel_send(&it.channel, &it.number));
    if (self->what == 3)
        await(async_join(it.task));
    self->tasks[0] = self->tasks[1] = it.task;
    if (self->what == 4)
        await(async_join_all(self->tasks, 2));
    for (int i = 0; i < 5; i++)
        self->cases[i] = i % 2 ? async_case_event(&it.event) : async_case_join(it.task);
    if (self->what == 5)
        await(async_select(self->cases, 5));
    if (self->what == 6)
        await(async_stream_read_exactly(it.stream, self->data, 90));
    if (self->what == 7 && async_spawn(calls, 2) > 0)
        await(async_join_children());
    if (self->what == 8)
        await(self->n, async_call(calls, 6), 1000000);
    if (self->what == 9)
        await(async_readable(over[0]));
    if (self->what == 10)
        await(async_semaphore_acquire(&it.semaphore));
    if (self->what == 11)
        await(async_channel_receive(&it.empty, &it.number));
    if (self->what == 12)
        await(async_offload(blocks, NULL));
    if (self->what == 13)
        await(async_stream_flush(it.full));
    if (self->what == 14)
        await(async_stream_read_line(it.full, self->data, 50));
    async_end;
}

async(ends)
{
    async_begin;
    async_end;
}

async(all, int ends[2], more[2]; async_task task; char *text;)
{
    async_begin;
    async_socketpair(self->ends);
    async_socketpair(self->more);
    it.stream = async_stream_open(self->ends[0]);
    it.full = async_stream_open(self->more[0]);
    self->text = (char *)calloc(1, 1 << 20);
    async_stream_write(it.full, self->text, 1 << 20);
    free(self->text);
    async_mutex_lock_nowait(&it.mutex);
    async_channel_init(&it.channel, NULL, sizeof it.number, 0);
    async_channel_init(&it.empty, NULL, sizeof it.number, 0);
    async_adopt(over[0]);
    it.task = async_spawn(sleeps);
    self->task = async_keep(async_spawn(ends));
    for (int i = 0; i < 15; i++)
        async_spawn(waits, .what = i);
    await(async_write(self->ends[1], "abc", 3));
    await(async_call(sleeps));
    async_end;
}

static void prints(void *unused)
{
    (void)unused;
    while (sem_wait(&offloaded) < 0) {
    }
    async_dump(stdout);
    printf("listening on nothing:0\n");
    fflush(stdout);
}

static void *other_thread(void *unused)
{
    (void)unused;
    async_open(NULL);
    async_spawn(all);
    async_after(20, NULL, prints);
    async_loop_run();
    async_loop_close();
    return NULL;
}

static void starts_the_other(void *data)
{
    async_dump(stdout);
    pthread_create((pthread_t *)data, NULL, other_thread, data);
}

int main(void)
{
    pthread_t thread;
#ifdef PR_SET_PTRACER
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
#endif
    sem_init(&offloaded, 0, 0);
    if (pipe(over) < 0 || async_open(NULL) < 0)
        return 1;
    async_spawn(calls, 1);
    async_after(20, &thread, starts_the_other);
    return async_loop_run();
}
