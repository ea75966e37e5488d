/* 7.2  Three counters, one of them right. Guess what a and b are at the end,
 * then run it: cc -I. docs/course/07-coroutines/ex2.c -o build/ex2 && build/ex2
 * Then mend the coroutine: all three are to be 3. */
#include "async.h"

/* TODO: your guess, for the coroutine as it is here; then mend it. */
enum { GUESS_A = -1, GUESS_B = -1 };

async(count, int *out; int i, a;)
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
/* END */

#ifndef LEARN
int main(void)
{
    int out[3];
    async_run(count, .out = out);
    printf("a %d, b %d, c %d\n", out[0], out[1], out[2]);
    return 0;
}
#endif
