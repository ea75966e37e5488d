/*
 * turns.h: threads that take turns. One of them runs at a time, and a seed says which: what a check has seen once it
 * sees always, and a deadlock is a fact and not a long wait.
 *
 *     #include "check.h"
 *     #include "turns.h"              from here on pthread_create, _join, mutex_lock, _trylock, _unlock are its own
 *     #include "ex3.c"
 *
 *     turns_begin(seed);              0: a thread runs until it must wait; others: the seed switches
 *     ...                             what the exercise does
 *     turns_end();                    fails the check if threads are left, or locks
 *
 * A turn can end where a thread starts another, locks or joins, calls turns_switch (here the machine might
 * switch) or turns_settle (here it waits for something slow). Without turns_begin all these are the system's, and the
 * two last ones do nothing. Handing over puts all that the threads do in one order: ThreadSanitizer is silent about a
 * race then, and has its say in a check that runs freely. On a busy machine a thread may wait for some ms until it
 * runs: a few small orders are better than many large ones.
 */
#ifndef TURNS_H
#define TURNS_H

#include <pthread.h>
#include <stdint.h>
#include <string.h>

enum { TURNS_THREADS = 32, TURNS_LOCKS = 32 };
enum { TURNS_ENDED, TURNS_READY, TURNS_SETTLES, TURNS_LOCKS_IT, TURNS_JOINS };

struct turns_thread {
    int state, is_joined;
    pthread_t id;
    pthread_cond_t has_turn;
    const void *lock; /* the one it waits for */
    int other;        /* the thread it waits for */
    void *(*function)(void *data);
    void *data, *result;
};

static struct {
    pthread_mutex_t mutex;
    int is_on, is_stuck, turn, count, lock_count;
    uint32_t seed;
    struct turns_thread threads[TURNS_THREADS];
    struct { const void *lock; int owner; } locks[TURNS_LOCKS];
} turns = { .mutex = PTHREAD_MUTEX_INITIALIZER };

/* A check that fails ends with its threads where they are: this is no leak worth a report. And whether locks can be
 * taken in a bad order is tried here, not guessed from their order alone. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "report_thread_leaks=0:detect_deadlocks=0";
}

static __thread int turns_me; /* 0 is who began */

static inline uint32_t turns_random(uint32_t count)
{
    turns.seed ^= turns.seed << 13;
    turns.seed ^= turns.seed >> 17;
    turns.seed ^= turns.seed << 5;
    return turns.seed % count;
}

static inline int *turns_owner(const void *lock)
{
    for (int i = 0; i < turns.lock_count; i++)
        if (turns.locks[i].lock == lock)
            return &turns.locks[i].owner;
    expect(turns.lock_count < TURNS_LOCKS, "There are more than %d locks.", TURNS_LOCKS);
    turns.locks[turns.lock_count].lock = lock;
    turns.locks[turns.lock_count].owner = -1;
    return &turns.locks[turns.lock_count++].owner;
}

static inline int turns_can_run(int i)
{
    const struct turns_thread *thread = &turns.threads[i];
    return thread->state == TURNS_READY ||
           (thread->state == TURNS_LOCKS_IT && *turns_owner(thread->lock) < 0) ||
           (thread->state == TURNS_JOINS && turns.threads[thread->other].state == TURNS_ENDED);
}

/* Who is next: in the order of the threads after this one, or by chance. */
static inline int turns_next(void)
{
    int can_run[TURNS_THREADS], count = 0;
    for (int i = 0; i < turns.count; i++)
        if (turns_can_run((turns_me + i) % turns.count))
            can_run[count++] = (turns_me + i) % turns.count;
    for (int i = 1; count == 0 && i <= turns.count; i++)
        if (turns.threads[(turns_me + i) % turns.count].state == TURNS_SETTLES)
            return (turns_me + i) % turns.count;
    return count == 0 ? -1 : can_run[turns.seed ? turns_random((uint32_t)count) : 0];
}

static inline void turns_await(void)
{
    while (turns.turn != turns_me)
        pthread_cond_wait(&turns.threads[turns_me].has_turn, &turns.mutex);
    turns.threads[turns_me].state = TURNS_READY;
}

/* Hand over, and wait for the next turn of one's own. If nobody can have it, the first thread gets it, to say so. */
static inline void turns_pass(int state)
{
    turns.threads[turns_me].state = state;
    turns.turn = turns_next();
    if (turns.turn < 0) {
        turns.is_stuck = 1;
        turns.turn = 0;
    }
    pthread_cond_signal(&turns.threads[turns.turn].has_turn);
    if (state != TURNS_ENDED)
        turns_await();
}

/* Nobody can go on: say why. A check may have words of its own. */
static inline void turns_explain(void)
{
    for (int i = 1; i < turns.count; i++) {
        int owner = turns.threads[i].state == TURNS_LOCKS_IT ? *turns_owner(turns.threads[i].lock) : -1;
        expect(owner != i, "A thread waits for a lock that it holds itself: it has not unlocked it.");
        expect(owner < 0 || turns.threads[owner].state != TURNS_ENDED,
               "A thread has ended and still holds a lock; another thread waits for that lock for ever.");
    }
    expect(0, "Every thread waits for another one: no one can go on. This is a deadlock.");
}
#ifndef turns_stuck
#define turns_stuck() turns_explain()
#endif

static inline void turns_wait(int state)
{
    pthread_mutex_lock(&turns.mutex);
    turns_pass(state);
    pthread_mutex_unlock(&turns.mutex);
    if (turns.is_stuck)
        turns_stuck();
}

static inline void turns_switch(void)
{
    if (turns.is_on && turns.seed)
        turns_wait(TURNS_READY);
}

/* Something slow: without a seed until no other thread can run, with one for as long as the seed says. */
static inline void turns_settle(void)
{
    if (turns.is_on)
        turns_wait(turns.seed ? TURNS_READY : TURNS_SETTLES);
}

static void *turns_thread(void *data)
{
    struct turns_thread *me = data;
    turns_me = (int)(me - turns.threads);
    pthread_mutex_lock(&turns.mutex);
    turns_await();
    pthread_mutex_unlock(&turns.mutex);
    me->result = me->function(me->data);
    pthread_mutex_lock(&turns.mutex);
    turns_pass(TURNS_ENDED);
    pthread_mutex_unlock(&turns.mutex);
    return me->result;
}

static inline void turns_clear(struct turns_thread *thread)
{
    memset(thread, 0, sizeof *thread);
    pthread_cond_init(&thread->has_turn, NULL);
    thread->state = TURNS_READY;
}

static inline int turns_create(pthread_t *id, const pthread_attr_t *attributes, void *(*function)(void *), void *data)
{
    struct turns_thread *thread = &turns.threads[turns.count];
    int error;
    if (!turns.is_on)
        return pthread_create(id, attributes, function, data);
    expect(turns.count < TURNS_THREADS, "There are more than %d threads.", TURNS_THREADS - 1);
    turns_clear(thread);
    thread->function = function;
    thread->data = data;
    error = pthread_create(&thread->id, attributes, turns_thread, thread);
    expect(error == 0, "There is no thread to be had: %s.", strerror(error));
    *id = thread->id;
    turns.count++;
    turns_switch();
    return 0;
}

static inline int turns_join(pthread_t id, void **result)
{
    struct turns_thread *me = &turns.threads[turns_me];
    int i;
    if (!turns.is_on)
        return pthread_join(id, result);
    for (i = 1; i < turns.count; i++)
        if (!turns.threads[i].is_joined && pthread_equal(turns.threads[i].id, id))
            break;
    expect(i < turns.count, "pthread_join() of a thread that does not exist, or was joined before.");
    me->other = i;
    turns_wait(TURNS_JOINS);
    turns.threads[i].is_joined = 1;
    return pthread_join(id, result);
}

static inline int turns_lock(pthread_mutex_t *lock)
{
    if (!turns.is_on)
        return pthread_mutex_lock(lock);
    turns_switch();
    turns.threads[turns_me].lock = lock;
    if (*turns_owner(lock) >= 0)
        turns_wait(TURNS_LOCKS_IT);
    *turns_owner(lock) = turns_me;
    return 0;
}

static inline int turns_trylock(pthread_mutex_t *lock)
{
    if (!turns.is_on)
        return pthread_mutex_trylock(lock);
    turns_switch();
    if (*turns_owner(lock) >= 0)
        return EBUSY;
    *turns_owner(lock) = turns_me;
    return 0;
}

static inline int turns_unlock(pthread_mutex_t *lock)
{
    if (!turns.is_on)
        return pthread_mutex_unlock(lock);
    expect(*turns_owner(lock) == turns_me, "A thread unlocks a lock that it does not hold.");
    *turns_owner(lock) = -1;
    return 0;
}

static inline void turns_begin(uint32_t seed)
{
    turns.is_on = 1;
    turns.is_stuck = turns.turn = turns.lock_count = 0;
    turns.count = 1;
    turns.seed = seed * 2654435761u;
    turns_clear(&turns.threads[0]);
}

static inline void turns_end(void)
{
    turns.is_on = 0;
    for (int i = 1; i < turns.count; i++)
        expect(turns.threads[i].is_joined, "Thread %d of %d was not joined.", i, turns.count - 1);
    for (int i = 0; i < turns.lock_count; i++)
        expect(turns.locks[i].owner < 0, "In the end a lock is still held.");
}

#define pthread_create turns_create
#define pthread_join turns_join
#define pthread_mutex_lock turns_lock
#define pthread_mutex_trylock turns_trylock
#define pthread_mutex_unlock turns_unlock

#endif
