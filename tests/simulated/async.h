/*
 * async.h as the tests find it in the simulated build: the kit, which asks for async.h in its turn
 * and gets the real one; then the calls that a test makes itself.
 */
#ifdef ASYNC_TEST_H
#include "../../async.h"
#else
#include "async_test.h"
#include "calls.h"
#endif
