/* tsan: the threads also run freely, and ThreadSanitizer looks for races. */
#include "check.h"

#include "turns.h"

#include "ex2.c"

Check(ex_5_2, counts_without_switches,
      "Each visit is counted when one thread runs after the other.")
{
    long count;
    turns_begin(0);
    count = count_visits(2);
    turns_end();
    expect(count == 4, "There were 4 visits; %ld are counted.", count);
}

Check(ex_5_2, counts_with_switches,
      "Each visit is counted, wherever the machine switches.")
{
    uint32_t seed;
    int wrong = 0;
    long count, worst = 4;
    for (seed = 1; seed <= 20; seed++) {
        turns_begin(seed);
        count = count_visits(2);
        turns_end();
        wrong += count != 4;
        worst = count < worst ? count : worst;
    }
    expect(wrong == 0,
           "There were 4 visits. In %d of 20 orders some are lost; "
           "in the worst only %ld are counted.", wrong, worst);
}

Check(ex_5_2, no_race, "No two threads use the counter without a lock.")
{
    long count = count_visits(1000);
    expect(count == 2000, "There were 2000 visits; %ld are counted.", count);
}
