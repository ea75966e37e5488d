#include "check.h"
#include "ex2.c"

Check(ex_0_2, prints_the_other_word, "The program prints \"hello, course\".")
{
    char got[64] = "";
    FILE *out = fmemopen(got, sizeof got, "w");
    greet(out);
    fclose(out);
    seen("%.*s", (int)strcspn(got, "\n"), got);
    expect_seen("hello, course");
}

Check(ex_0_2, ends_the_line, "The line ends with \\n, once.")
{
    char got[64] = "";
    FILE *out = fmemopen(got, sizeof got, "w");
    greet(out);
    fclose(out);
    expect(strcmp(got, "hello, course\n") == 0, "What was printed has %d characters instead of 14.", (int)strlen(got));
}
