/* Red: a read past the end of a block. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <stdlib.h>

static volatile int sum;

TEST(red, invalid_read)
{
    int *volatile block = calloc(4, sizeof *block);

    check(block != NULL);
    sum = block[4];
    free(block);
}
