/* 11.2  Test a crawler. Write a site, and what a good crawler does there: the
 * right one must pass, and two that are broken must fail. */
#include "async.h"

/* Your tools. (They stand in the check.)
 *   page:  a page of the site, the pages it links to ("/b /c"), and how long
 *          it takes to answer; with a negative time it refuses, at once.
 *   crawl: to be awaited, by async_call: visits the site from "/" on.
 *   times: how often the crawler has asked for a page.
 *   must:  this is true, or the test fails. */
static void page(const char *path, const char *links, int64_t after_ms);
async_declare(crawl);
static int times(const char *path);
static void must_be(int is_true, const char *text);
#define must(condition) must_be(condition, #condition)

async(test)
{
    async_begin;
    /* TODO: make the site larger. One broken crawler asks twice for a page
     * that is found twice, the other gives up when a page refuses. */
    page("/", "/a", 10);
    page("/a", "", 10);
    await(async_call(crawl));
    must(times("/") == 1);
    must(times("/a") == 1);
    /* END */
    async_end;
}
