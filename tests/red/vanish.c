/* Red: _exit(0) in the body, which no atexit() sees. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <unistd.h>

TEST(red, vanish)
{
    _exit(0);
}
