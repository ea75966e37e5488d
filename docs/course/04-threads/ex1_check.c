/* tsan: the threads also run freely, and ThreadSanitizer looks for races. */
#include "check.h"

static int at_once, most_at_once;

#include "turns.h"

/* A page takes long: until no thread can do anything else. */
static int fetch(int page)
{
    if (turns.is_on) {
        at_once++;
        most_at_once = at_once > most_at_once ? at_once : most_at_once;
        turns_settle();
        at_once--;
    }
    return 4000 - 300 * page;
}

#include "ex1.c"

static void serve_four(void)
{
    struct request requests[4];
    int i;
    for (i = 0; i < 4; i++) {
        requests[i].page = i;
        requests[i].size = -1;
    }
    serve_all(4, requests);
    for (i = 0; i < 4; i++) {
        expect(requests[i].size != -1, "Nobody has served request %d.", i);
        expect(requests[i].page == i && requests[i].size == 4000 - 300 * i,
               "Request %d was for page %d, of %d bytes; it has page %d, with "
               "%d bytes.", i, i, 4000 - 300 * i, requests[i].page,
               requests[i].size);
    }
}

Check(ex_4_1, serves_each_request, "Each of the requests is served.")
{
    turns_begin(0);
    serve_four();
    turns_end();
}

Check(ex_4_1, a_thread_for_each, "Each request has a thread of its own.")
{
    turns_begin(0);
    serve_four();
    expect(turns.count - 1 == 4, "For 4 requests there were %d threads.",
           turns.count - 1);
    turns_end();
}

Check(ex_4_1, all_at_once, "All the pages are fetched at the same time.")
{
    turns_begin(0);
    serve_four();
    expect(most_at_once == 4,
           "There were 4 pages to fetch, and at most %d of them at one time.",
           most_at_once);
    turns_end();
}

Check(ex_4_1, any_order, "It works in whatever order the threads run.")
{
    uint32_t seed;
    for (seed = 1; seed <= 20; seed++) {
        turns_begin(seed);
        serve_four();
        turns_end();
    }
}

Check(ex_4_1, no_race, "No two threads use the same memory without a lock.")
{
    serve_four();
}
