/* crawl_sequential: one page after the other. While it waits for one, it does
 * nothing else: its time is the sum of all waits. --jobs changes nothing.
 *
 *     cc -O2 -I. examples/crawl_sequential.c -o crawl_sequential
 *     ./crawl_sequential http://127.0.0.1:8000/ --timeout 1000
 *
 * For something to crawl see site.c; all options are in crawl.h.
 */
#include "crawl.h"

static struct crawl crawl;

int main(int argc, char **argv)
{
    struct response response = {0};
    struct page *page;
    int status;
    crawl_open(&crawl, argc, argv);
    while ((page = crawl_take(&crawl)) != NULL) {
        status = crawl_fetch(&crawl, page, &response);
        crawl_done(&crawl, page, &response, status);
    }
    return crawl_report(&crawl);
}
