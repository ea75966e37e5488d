/* 5.3  The deadlock. Repair a transfer that can wait for ever. */
#include <pthread.h>
#include <stdio.h>

struct account {
    int number;           /* each account has its own */
    pthread_mutex_t lock; /* for the balance          */
    long balance;
};

/* Move money from one account to another one: the two are never the same. No
 * thread may ever see that some of it is missing. */
static void transfer(struct account *from, struct account *to, long amount)
{
    /* TODO: one thread moves money from 1 to 2 and another from 2 to 1. Each
     * can hold one lock and wait for the other. Let this never happen. */
    pthread_mutex_lock(&from->lock);
    pthread_mutex_lock(&to->lock);
    from->balance -= amount;
    to->balance += amount;
    pthread_mutex_unlock(&to->lock);
    pthread_mutex_unlock(&from->lock);
    /* END */
}

static struct account accounts[2] = {
    { 1, PTHREAD_MUTEX_INITIALIZER, 100 },
    { 2, PTHREAD_MUTEX_INITIALIZER, 100 }
};

static void *there(void *unused)
{
    transfer(&accounts[0], &accounts[1], 30);
    return unused;
}

static void *back(void *unused)
{
    transfer(&accounts[1], &accounts[0], 50);
    return unused;
}

static void there_and_back(void)
{
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, there, NULL);
    pthread_create(&threads[1], NULL, back, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
}

#ifndef LEARN
int main(void)
{
    int i;
    for (i = 0; i < 10000; i++)
        there_and_back();
    printf("%ld, as before\n", accounts[0].balance + accounts[1].balance);
    return 0;
}
#endif
