/* Red: a statement that should panic and does not. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <stdio.h>

TEST(red, no_panic)
{
    test_panics(fputs("all is well", stderr), "well");
}
