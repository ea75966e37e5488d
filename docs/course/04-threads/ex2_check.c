/* tsan: the threads also run freely, and ThreadSanitizer looks for races. */
#include "check.h"

#include "turns.h"

enum { MOST = 20 };

/* How many pages there are, how often each was fetched, how many now. */
static int pages, fetched[MOST], at_once, most_at_once;

/* A page takes long: until no thread can do anything else. */
static int fetch(int page)
{
    expect(page >= 0 && page < pages,
           "A worker fetches page %d; there are %d pages, from 0 on.", page,
           pages);
    __atomic_fetch_add(&fetched[page], 1, __ATOMIC_RELAXED);
    if (turns.is_on) {
        at_once++;
        most_at_once = at_once > most_at_once ? at_once : most_at_once;
        turns_settle();
        at_once--;
    }
    return 4000 - 100 * page;
}

#include "ex2.c"

static void fetch_pages(int count, int workers)
{
    int i, sizes[MOST + 1] = { 0 };
    pages = count;
    at_once = most_at_once = 0;
    memset(fetched, 0, sizeof fetched);
    fetch_all(count, sizes, workers);
    for (i = 0; i < count; i++) {
        expect(fetched[i] > 0, "Nobody has fetched page %d of %d.", i, count);
        expect(fetched[i] == 1, "Page %d was fetched %d times.", i, fetched[i]);
        expect(sizes[i] == 4000 - 100 * i,
               "Page %d has %d bytes; sizes[%d] is %d.", i, 4000 - 100 * i, i,
               sizes[i]);
    }
}

Check(ex_4_2, fetches_every_page,
      "Every page is fetched, and each of them once.")
{
    turns_begin(0);
    fetch_pages(10, 3);
    turns_end();
}

Check(ex_4_2, all_workers_work,
      "While one worker fetches its page, the others fetch theirs.")
{
    turns_begin(0);
    fetch_pages(10, 3);
    turns_end();
    expect(most_at_once == 3,
           "There were 3 workers, and at most %d page%s under way at one time.",
           most_at_once, most_at_once == 1 ? "" : "s");
}

Check(ex_4_2, ends_where_there_is_nothing,
      "A worker that finds no page left ends.")
{
    turns_begin(0);
    fetch_pages(2, 5);
    turns_end();
    turns_begin(0);
    fetch_pages(0, 1);
    turns_end();
}

Check(ex_4_2, any_order, "It works in whatever order the threads run.")
{
    uint32_t seed;
    for (seed = 1; seed <= 30; seed++) {
        turns_begin(seed);
        fetch_pages((int)(seed % 5), 1 + (int)(seed % 3));
        turns_end();
    }
}

Check(ex_4_2, no_race, "No two threads use the same memory without a lock.")
{
    fetch_pages(MOST, 4);
}
