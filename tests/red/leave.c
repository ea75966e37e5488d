/* Red: exit(0) in the body. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <stdlib.h>

TEST(red, leave)
{
    exit(0);
}
