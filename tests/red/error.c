/* Red: another error than the one asked for. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

TEST(red, error)
{
    check_error(read, EAGAIN, -EPIPE);
}
