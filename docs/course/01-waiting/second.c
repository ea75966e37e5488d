/* A second of work, or a second of waiting.
 *
 *     cc docs/course/01-waiting/second.c -o second
 *     time ./second compute
 *     time ./second wait
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void compute(void)
{
    volatile int n;
    while (clock() < CLOCKS_PER_SEC)
        for (n = 0; n < 1000000; n++)
            ;
}

static void wait_for_nobody(void)
{
    poll(NULL, 0, 1000);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "compute") == 0)
        compute();
    else if (argc == 2 && strcmp(argv[1], "wait") == 0)
        wait_for_nobody();
    else
        return fprintf(stderr, "usage: second compute|wait\n"), 2;
    return 0;
}
