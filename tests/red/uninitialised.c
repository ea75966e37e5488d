/* Red: a decision that rests on memory that was never written. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <stdlib.h>

static volatile int sum;

TEST(red, uninitialised)
{
    int *volatile block = malloc(4 * sizeof *block);

    check(block != NULL);
    if (block[1] > 7)
        sum++;
    free(block);
}
