/* 0.1  Save this file, and see it turn green. There is nothing to change: it
 * is solved. */
#include <stdio.h>

static void greet(FILE *out)
{
    /* TODO: nothing. In the other exercises, what you have to do stands
     * here. */
    fprintf(out, "hello, loop\n");
    /* END */
}

#ifndef LEARN
int main(void)
{
    greet(stdout);
    return 0;
}
#endif
