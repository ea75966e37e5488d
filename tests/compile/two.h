/* A coroutine that one file defines and another starts: see two_a.c and two_b.c. */
#ifndef TWO_H
#define TWO_H

#include "async.h"

async_declare(adder, int left; int right;);
async_declare(counter);

extern int counted;

const char *backend_seen_by_b(void);
async_task spawned_by_b(void);

#endif
