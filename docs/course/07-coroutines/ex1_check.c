#include "check.h"
#include "ex1.c"

static void take(const char *name, struct letters *letters, int count)
{
    for (int i = 0; i < count; i++) {
        int letter = next(letters);
        if (letter)
            seen("%s gives %c", name, letter);
        else
            seen("%s gives 0", name);
    }
}

Check(ex_7_1, goes_on_where_it_left, "Six calls of next() for \"a3b2\" give a, a, a, b, b and 0.")
{
    struct letters one = { "a3b2", 0, 0 };
    take("one", &one, 6);
    expect_seen("one gives a", "one gives a", "one gives a", "one gives b", "one gives b", "one gives 0");
}

Check(ex_7_1, may_give_nothing, "\"\" and \"x0\" give 0 at once.")
{
    struct letters one = { "", 0, 0 }, two = { "x0", 0, 0 };
    take("one", &one, 1);
    take("two", &two, 1);
    expect_seen("one gives 0", "two gives 0");
}

Check(ex_7_1, two_at_once, "Two generators at the same time do not disturb each other.")
{
    struct letters one = { "a2b1", 0, 0 }, two = { "x1y2", 0, 0 };
    for (int i = 0; i < 4; i++) {
        take("one", &one, 1);
        take("two", &two, 1);
    }
    expect_seen("one gives a", "two gives x", "one gives a", "two gives y", "one gives b", "two gives y",
                "one gives 0", "two gives 0");
}

/* There is more behind the end, for who goes too far. */
Check(ex_7_1, stays_at_its_end, "After its end it gives 0 again, however often it is called.")
{
    static const char code[] = "a1\0?z9\0?z9z9z9";
    struct letters one = { code, 0, 0 };
    take("one", &one, 4);
    expect_seen("one gives a", "one gives 0", "one gives 0", "one gives 0");
    expect(one.code <= code + 2, "It has read behind the end of its code.");
}
