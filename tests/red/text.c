/* Red: two strings that differ. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

TEST(red, text)
{
    check_text("one\n", "two");
}
