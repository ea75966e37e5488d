/* Red: a signal that kills the test. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <signal.h>

TEST(red, crash)
{
    raise(SIGSEGV);
}
