/* 0.2  Change one word: the program is to say "hello, course". */
#include <stdio.h>

static void greet(FILE *out)
{
    /* TODO: the word after the comma. */
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
