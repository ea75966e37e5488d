/* solved: as it stands. */
#include "check.h"
#include "ex1.c"

Check(ex_0_1, says_hello, "The program prints \"hello, loop\".")
{
    char got[64] = "";
    FILE *out = fmemopen(got, sizeof got, "w");
    greet(out);
    fclose(out);
    seen("%.*s", (int)strcspn(got, "\n"), got);
    expect_seen("hello, loop");
}
