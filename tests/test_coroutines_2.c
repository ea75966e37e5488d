/*
 * The other half of test_coroutines.c: coroutines that are declared in a header and defined here.
 *
 * Goal: the long names alone are enough, and leave `async` and `await` to the program. Method: this
 * file has functions of those names.
 */
#define ASYNC_NO_SHORT_NAMES
#include "async.h"
#include "test.h"

#include "test_coroutines_2.h"

async_define(elsewhere)
{
    async_begin;
    async_await(async_yield());
    self->product = self->a * self->b;
    async_await(async_yield());
    async_return(self->product);
    async_end;
}

async_define(elsewhere_bare)
{
    async_begin;
    async_return(1);
    async_end;
}

static int await(int a)
{
    return a + 1;
}

static int async(int a, int b)
{
    return a * b;
}

async_coroutine(plain_names)
{
    async_begin;
    async_await(async_yield());
    async_return(await(1));
    async_end;
}

async_coroutine(with_fields, int a, b;)
{
    async_result r;
    async_begin;
    async_await(r, async_sleep(0), 100);
    async_return(r + async(self->a, self->b));
    async_end;
}

int long_names(void)
{
    return (int)(async_run(plain_names) + async_run(with_fields, .a = 5, .b = 8));
}
