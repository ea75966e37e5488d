/* Red: a loop without an end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

static volatile int forever = 1;

TEST(red, loop)
{
    test_watchdog(1);
    while (forever)
        ;
}
