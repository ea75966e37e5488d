/* 5.1  A race that always happens. Make two threads lose an update, always. */
#include <pthread.h>
#include <stdio.h>

/* A meeting point: who comes first waits there for the other thread. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t both_here = PTHREAD_COND_INITIALIZER;
static int here, meetings;

static void meet(void)
{
    int meeting;
    pthread_mutex_lock(&lock);
    meeting = meetings;
    if (++here == 2) {
        here = 0;
        meetings++;
        pthread_cond_broadcast(&both_here);
    }
    while (meeting == meetings)
        pthread_cond_wait(&both_here, &lock);
    pthread_mutex_unlock(&lock);
}

static long counter;

static void *add_one(void *unused)
{
    /* TODO: this line reads the counter, adds 1, writes the counter. Write
     * the steps apart, and put meet() where both have read the same value. */
    counter = counter + 1;
    meet();
    /* END */
    return unused;
}

/* Two threads add 1 each to `start`. Returns what the counter has then. */
static long race(long start)
{
    pthread_t threads[2];
    counter = start;
    pthread_create(&threads[0], NULL, add_one, NULL);
    pthread_create(&threads[1], NULL, add_one, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    return counter;
}

#ifndef LEARN
int main(void)
{
    int i, lost = 0;
    for (i = 0; i < 1000; i++)
        lost += race(0) != 2;
    printf("1000 races: in %d of them an update was lost\n", lost);
    return 0;
}
#endif
