#include "check.h"

#include "ex1.c"

enum { RACES = 300 };

Check(ex_5_1, always_loses_one,
      "Two threads add 1 each, and together they always add 1 only.")
{
    int i, both = 0, none = 0;
    for (i = 0; i < RACES; i++) {
        long start = 7 * i, end = race(start);
        both += end == start + 2;
        none += end != start + 2 && end != start + 1;
    }
    expect(none == 0,
           "In %d of %d races the counter got neither 1 nor 2 more.", none,
           RACES);
    expect(both == 0, "In %d of %d races no update was lost.", both, RACES);
}
