/* Red: a descriptor closed that belongs to somebody else. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <unistd.h>

TEST(red, closed)
{
    close(0);
}
