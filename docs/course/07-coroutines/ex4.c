/* 7.4  Make it not compile. Write the `if` as a switch with an await in each
 * case. Then read: cc -I. -fsyntax-only docs/course/07-coroutines/ex4.c */
#include "async.h"

enum mood { TIRED, FRESH };

async(rest, enum mood mood;)
{
    async_begin;
    /* TODO: a switch over self->mood, with both awaits inside it. Before you
     * compile, guess: whose case labels does the compiler find there? */
    if (self->mood == TIRED)
        await(async_sleep(1000));
    else
        await(async_yield());
    /* END */
    async_end;
}
