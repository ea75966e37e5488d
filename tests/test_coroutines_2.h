/* What test_coroutines.c uses of test_coroutines_2.c. */
#ifndef TEST_COROUTINES_2_H
#define TEST_COROUTINES_2_H

async_declare(elsewhere, int a, b; int product;);
async_declare(elsewhere_bare);

/* Runs two coroutines that were written with the long names. Returns the sum of their results. */
int long_names(void);

#endif
