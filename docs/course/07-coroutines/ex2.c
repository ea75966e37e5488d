/* 7.2  Three counters, one of them right. First write down your guess: what
 * are a and b at the end of as_given? Then run it:
 *     cc -I. docs/course/07-coroutines/ex2.c -o build/ex2 && build/ex2
 * Last, repair its copy, which is called count: all three are to be 3. */
#include "async.h"

/* Leave this one as it is: the guess is about it, and it can always be run. */
async(as_given, int *out; int i, a;)
{
    int b = 0;
    volatile int c; /* without `volatile` the compiler warns: try it */
    async_begin;
    c = 0;
    for (self->i = 0; self->i < 3; self->i++) {
        self->a++;
        b++;
        c++;
        await(async_sleep(10));
    }
    self->out[0] = self->a;
    self->out[1] = b;
    self->out[2] = c;
    async_end;
}

/* TODO: first your guess, for a and b of as_given; then repair count. */
enum { GUESS_A = -1, GUESS_B = -1 };

async(count, int *out; int i, a;)
{
    int b = 0;
    volatile int c;
    async_begin;
    c = 0;
    for (self->i = 0; self->i < 3; self->i++) {
        self->a++;
        b++;
        c++;
        await(async_sleep(10));
    }
    self->out[0] = self->a;
    self->out[1] = b;
    self->out[2] = c;
    async_end;
}
/* END */

#ifndef LEARN
int main(void)
{
    int out[3];
    if (GUESS_A < 0 || GUESS_B < 0)
        return puts("Write down your guess first."), 1;
    async_run(as_given, .out = out);
    printf("as_given: a %d, b %d, c %d\n", out[0], out[1], out[2]);
    async_run(count, .out = out);
    printf("count:    a %d, b %d, c %d\n", out[0], out[1], out[2]);
    return 0;
}
#endif
