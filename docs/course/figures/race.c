/* race: two that add 1 to the same number, a million times each, a dozen times: two threads; two threads with a lock;
 * two coroutines, which give up their turn after each step. Prints who, which run, and the number at the end.
 *
 *     cc -O2 -I. docs/course/figures/race.c -pthread -o race && ./race
 */
#include "async.h"

enum { STEPS = 1000000, RUNS = 12 };

static volatile long number; /* each step loads it, adds, and stores it */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *add(void *unused)
{
    for (long i = 0; i < STEPS; i++)
        number = number + 1;
    return unused;
}

static void *add_locked(void *unused)
{
    for (long i = 0; i < STEPS; i++) {
        pthread_mutex_lock(&lock);
        number = number + 1;
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

static int two_threads(void *(*function)(void *))
{
    pthread_t threads[2];
    int i;
    for (i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, function, NULL))
            return -1;
    for (i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

async(adder, long i;)
{
    async_begin;
    for (self->i = 0; self->i < STEPS; self->i++) {
        number = number + 1;
        await(async_yield());
    }
    async_end;
}

async(two_tasks)
{
    async_begin;
    if (async_spawn(adder) < 0 || async_spawn(adder) < 0)
        async_return(-ENOMEM);
    await(async_join_children());
    async_end;
}

static int run(int who)
{
    number = 0;
    return who == 0 ? two_threads(add) : who == 1 ? two_threads(add_locked) : (int)async_run(two_tasks);
}

int main(void)
{
    static const char *const names[] = { "threads", "lock", "coroutines" };
    for (int who = 0; who < 3; who++)
        for (int i = 1; i <= RUNS; i++) {
            if (run(who) < 0)
                return fprintf(stderr, "race: no %s\n", names[who]), 1;
            printf("%s\t%d\t%ld\n", names[who], i, number);
        }
    return 0;
}
