/* Red: a statement that should panic and crashes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <signal.h>

TEST(red, other_end)
{
    test_panics(raise(SIGKILL), "");
}
