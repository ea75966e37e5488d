/* 5.2  Repair the race. Every visit must be counted, in every order. */
#include <pthread.h>
#include <stdio.h>

#ifndef LEARN /* the check has its own: there, the other thread runs now */
#define turns_switch() ((void)0)
#endif

static long visits;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* One thread: as many visits as *data says. */
static void *visitor(void *data)
{
    long old, n = *(const long *)data;
    (void)lock;
    while (n-- > 0) {
        /* TODO: no visit may get lost when the machine switches threads at
         * turns_switch(), or anywhere else. The lock is there for it. */
        old = visits;
        turns_switch();
        visits = old + 1;
        /* END */
    }
    return NULL;
}

/* Two threads, n visits each. Returns how many were counted. */
static long count_visits(long n)
{
    pthread_t threads[2];
    visits = 0;
    pthread_create(&threads[0], NULL, visitor, &n);
    pthread_create(&threads[1], NULL, visitor, &n);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    return visits;
}

#ifndef LEARN
int main(void)
{
    int i;
    for (i = 0; i < 12; i++)
        printf("%ld of 2000000\n", count_visits(1000000));
    return 0;
}
#endif
