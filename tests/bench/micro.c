/* Small costs of async.h, each in a process of its own: `micro yield | spawn | channel | join | parked |
 * timers`.
 * Every one prints a line of names and values. */
#include "../../async.h"
#include "micro.h"

/* ------------------------------------------------ yield */

static int64_t counter;

static void count(void)
{
    counter++;
}

/* The measure beside it: what one indirect call in a loop costs on this machine at this moment. */
static double call_ns(int64_t times)
{
    void (*volatile call)(void) = count;
    int64_t start = micro_cpu_ns();
    for (int64_t i = 0; i < times; i++)
        call();
    return (double)(micro_cpu_ns() - start) / (double)times;
}

async(yielder, int64_t left;)
{
    async_begin;
    while (self->left-- > 0)
        await(async_yield());
    async_end;
}

static double yield_ns(int64_t times)
{
    int64_t start = micro_cpu_ns();
    if (async_run(yielder, .left = times) < 0)
        exit(1);
    return (double)(micro_cpu_ns() - start) / (double)times;
}

/* In slices of some milliseconds, one beside the other: what disturbs the machine disturbs both, or
 * some slices only. The median of the ratios counts. */
enum { SLICES = 31, SLICE = 1000000 };

static int by_ratio(const void *a, const void *b)
{
    const double *left = a, *right = b;
    return (left[0] / left[1] > right[0] / right[1]) - (left[0] / left[1] < right[0] / right[1]);
}

static int micro_yield(void)
{
    double slices[SLICES][2];

    for (int i = 0; i < SLICES; i++) {
        slices[i][1] = call_ns(SLICE);
        slices[i][0] = yield_ns(SLICE);
    }
    qsort(slices, SLICES, sizeof slices[0], by_ratio);
    printf("yield_ns %.3f call_ns %.3f\n", slices[SLICES / 2][0], slices[SLICES / 2][1]);
    return 0;
}

/* ------------------------------------------------ spawn */

async(tiny, int64_t a; int64_t b;)
{
    async_begin;
    counter += self->a + self->b;
    async_end;
}

/* A server spawns a few at a time, and they have ended before the next ones come. */
async(spawner, int64_t left;)
{
    async_begin;
    while (self->left > 0) {
        for (int i = 0; i < 16; i++)
            if (async_spawn(tiny, .a = 1, .b = i) < 0)
                async_return(-1);
        self->left -= 16;
        await(async_yield());
    }
    async_end;
}

static int micro_spawn(void)
{
    int64_t times = 8000000, start = micro_cpu_ns();
    if (async_run(spawner, .left = times) < 0)
        return 1;
    printf("spawn_ns %.3f\n", (double)(micro_cpu_ns() - start) / (double)times);
    return 0;
}

/* ------------------------------------------------ channel and join, as in peers.go */

enum { MEETINGS = 4000000 };

async(answerer, async_channel *there, *back; int64_t item;)
{
    int n;
    async_begin;
    for (;;) {
        await(n, async_channel_receive(self->there, &self->item));
        if (n <= 0)
            break;
        await(async_channel_send(self->back, &self->item));
    }
    async_end;
}

/* A number goes there and comes back. */
async(asker, async_channel there, back; int64_t i, item;)
{
    async_begin;
    async_channel_init(&self->there, NULL, sizeof self->item, 0);
    async_channel_init(&self->back, NULL, sizeof self->item, 0);
    if (async_spawn(answerer, &self->there, &self->back) < 0)
        async_return(-ENOMEM);
    for (self->i = 0; self->i < MEETINGS; self->i++) {
        await(async_channel_send(&self->there, &self->i));
        await(async_channel_receive(&self->back, &self->item));
        if (self->item != self->i)
            exit(1);
    }
    async_channel_close(&self->there);
    async_end;
}

/* One is started and waited for, then the next. */
async(joiner, int64_t left;)
{
    async_begin;
    for (self->left = MEETINGS; self->left > 0; self->left--)
        await(async_join(async_spawn(tiny, .a = 1, .b = self->left)));
    async_end;
}

/* ------------------------------------------------ parked */

enum { SLEEPERS = 1000000, TIMERS = 1000000 };

async(sleeper, int64_t duration_ms; int64_t unused;)
{
    async_begin;
    await(async_sleep(self->duration_ms));
    async_end;
}

/* All have to be asleep, not just spawned, when the memory is looked at: one turn of the loop. */
async(dormitory, int64_t left; int64_t before;)
{
    async_begin;
    self->before = micro_rss_bytes();
    for (self->left = SLEEPERS; self->left > 0; self->left--) {
        if (async_spawn(sleeper, .duration_ms = 3600000 + (int64_t)(micro_random() % 3600000)) < 0)
            async_return(-1);
        if (self->left % 1000 == 0)
            await(async_yield());
    }
    await(async_sleep(10));
    printf("parked_bytes %.1f\n", (double)(micro_rss_bytes() - self->before) / SLEEPERS);
    async_end;
}

/* ------------------------------------------------ timers */

static void on_timer(void *data)
{
    (void)data;
    counter++;
}

static async_handle timers[TIMERS];

static int micro_timers(void)
{
    int64_t times = 2000000, start;

    if (async_open(NULL) < 0)
        return 1;
    for (int i = 0; i < TIMERS; i++)
        timers[i] = async_after(micro_delay_ms(), NULL, on_timer);
    start = micro_cpu_ns();
    for (int64_t i = 0; i < times; i++) {
        int k = (int)(micro_random() % TIMERS);
        if (async_cancel(timers[k]) < 0)
            return 1;
        timers[k] = async_after(micro_delay_ms(), NULL, on_timer);
    }
    printf("timer_ns %.3f\n", (double)(micro_cpu_ns() - start) / (double)times);
    fflush(stdout);
    for (int i = 0; i < TIMERS; i++)
        async_cancel(timers[i]);
    return async_loop_close() < 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "yield"))
        return micro_yield();
    if (!strcmp(what, "spawn"))
        return micro_spawn();
    if (!strcmp(what, "channel") || !strcmp(what, "join")) {
        int64_t start = micro_cpu_ns();
        if ((*what == 'c' ? async_run(asker) : async_run(joiner)) < 0)
            return 1;
        printf("%s_ns %.3f\n", what, (double)(micro_cpu_ns() - start) / MEETINGS);
        return 0;
    }
    if (!strcmp(what, "parked"))
        return async_run(dormitory) < 0;
    if (!strcmp(what, "timers"))
        return micro_timers();
    fprintf(stderr, "usage: micro yield | spawn | channel | join | parked | timers\n");
    return 2;
}
