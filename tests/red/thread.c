/* Red: a check that fails in another thread. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../test.h"

#include <pthread.h>

static void *thread(void *data)
{
    check(data != NULL);
    return data;
}

TEST(red, thread)
{
    pthread_t id;

    check_equal(pthread_create(&id, NULL, thread, NULL), 0);
    pthread_join(id, NULL);
}
