/* libev beside the timers of async.h: stop and start again a random one of a million. `micro_libev
 * timers` counts each from the moment it is started, as async.h does; `micro_libev cached` from the
 * last wait, which is what libev does if it is not told. */
#include "micro.h"
#include <ev.h>
#include <string.h>

enum { TIMERS = 1000000 };

static ev_timer timers[TIMERS];
static int64_t counter;

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
    counter++;
}

int main(int argc, char **argv)
{
    int cached = argc > 1 && !strcmp(argv[1], "cached");
    struct ev_loop *loop = ev_default_loop(0);
    int64_t times = 2000000, start;

    if (!loop)
        return 1;
    for (int i = 0; i < TIMERS; i++) {
        ev_timer_init(&timers[i], on_timer, (double)micro_delay_ms() / 1000, 0);
        ev_timer_start(loop, &timers[i]);
    }
    start = micro_cpu_ns();
    for (int64_t i = 0; i < times; i++) {
        ev_timer *timer = &timers[micro_random() % TIMERS];
        ev_timer_stop(loop, timer);
        if (!cached)
            ev_now_update(loop);
        ev_timer_set(timer, (double)micro_delay_ms() / 1000, 0);
        ev_timer_start(loop, timer);
    }
    printf("timer_ns %.3f\n", (double)(micro_cpu_ns() - start) / (double)times);
    return 0;
}
