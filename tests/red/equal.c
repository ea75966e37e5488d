/* Red: two numbers with the same bits that are not the same number. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

TEST(red, equal)
{
    check_equal(-1, SIZE_MAX);
}
