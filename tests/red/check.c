/* Red: a check that fails, on the second backend only. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

TEST(red, check)
{
    check(test_backend[0] == 'p');
}
