/* Red: a wait without an end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <unistd.h>

TEST(red, wait)
{
    test_watchdog(1);
    for (;;)
        pause();
}
