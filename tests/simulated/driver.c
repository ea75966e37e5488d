/*
 * What test.c asks of a driver, by way of the kit: a test of the project is a body that runs in a
 * calm world on each backend.
 */
#include "async_sim.h"
#include "test.h"

void test_driver_fail(const char *file, int line, const char *message)
{
    async_test_fail(file, line, "%s", message);
}

void test_driver_skip(const char *reason)
{
    async_test_wrong("here the world is always the same, a REAL_TEST may skip: %s", reason);
}

/* The kit has a watchdog of its own. */
void test_driver_limit(int seconds)
{
    (void)seconds;
}
