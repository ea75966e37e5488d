/* Red: a block that nobody frees. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <stdlib.h>

static void *volatile block;

TEST(red, leak)
{
    block = malloc(100);
    check(block != NULL);
    block = NULL;
}
