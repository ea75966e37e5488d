/* Red: a descriptor that is left open. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <fcntl.h>

TEST(red, descriptor)
{
    check(open("/dev/null", O_RDONLY) >= 0);
}
