/* Two threads add 1 to the same number, a million times each.
 *
 *     cc docs/course/05-races/lost.c -pthread -o lost && ./lost
 */
#include <pthread.h>
#include <stdio.h>

enum { STEPS = 1000000 };

static volatile long number;

static void *add(void *unused)
{
    int i;
    for (i = 0; i < STEPS; i++)
        number = number + 1;
    return unused;
}

int main(void)
{
    pthread_t one, two;
    if (pthread_create(&one, NULL, add, NULL))
        return 1;
    if (pthread_create(&two, NULL, add, NULL))
        return 1;
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    printf("%ld\n", number);
    return 0;
}
