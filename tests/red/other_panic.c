/* Red: a panic with other words. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <stdio.h>
#include <stdlib.h>

TEST(red, other_panic)
{
    test_panics({ fputs("no memory", stderr); abort(); }, "no await");
}
