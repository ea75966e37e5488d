/* The Criterion face of the test layer: how a failure is reported. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test.h"

#include <criterion/criterion.h>
#include <criterion/event.h>
#include <string.h>

/* What cr_assert_fail does, for a place that is not this one. Leaves by longjmp. */
void test_driver_fail(const char *file, int line, const char *message)
{
    struct criterion_assert_stats failure;

    memset(&failure, 0, sizeof failure);
    failure.passed = false;
    failure.file = file;
    failure.line = (unsigned)line;
    failure.message = message;
    criterion_send_assert(&failure);
    criterion_abort_test();
}

void test_driver_skip(const char *reason)
{
    criterion_skip_test("%s", reason);
}

void test_driver_limit(int seconds)
{
    (void)seconds; /* Criterion gets no limit of its own: 2.4.1 can hang when one has passed */
}
