#include "async_test.h"

#include "ex2.c"

enum { PAGES = 32, ENOUGH = 5 };
enum { RIGHT, ASKS_TWICE, GIVES_UP };

struct page {
    const char *path, *links;
    int64_t after_ms;
    int times, is_found, is_answered;
};

static struct {
    struct page pages[PAGES];
    int count, crawler, gives_up;
    const char *failure; /* what the test says of the crawler, or NULL */
} site;

/* A path ends with its string, or with a blank. */
static struct page *find(const char *path)
{
    size_t size = strcspn(path, " ");
    int i;
    for (i = 0; i < site.count; i++)
        if (strlen(site.pages[i].path) == size &&
            memcmp(site.pages[i].path, path, size) == 0)
            return &site.pages[i];
    return NULL;
}

static void page(const char *path, const char *links, int64_t after_ms)
{
    struct page *added = &site.pages[site.count];
    if (site.count == PAGES)
        async_test_fail(__FILE__, __LINE__, "The site has too many pages.");
    added->path = path;
    added->links = links;
    added->after_ms = after_ms;
    site.count++;
}

static int times(const char *path)
{
    struct page *known = find(path);
    return known ? known->times : 0;
}

static void must_be(int is_true, const char *text)
{
    if (!is_true && !site.failure)
        site.failure = text;
}

/* Does this crawler go to a page that it has found? */
static int wants(const struct page *link)
{
    if (!link || site.gives_up)
        return 0;
    if (site.crawler == ASKS_TWICE)
        return !link->is_answered && link->times < ENOUGH;
    return !link->is_found;
}

async_declare(visit, struct page *page;);

static void follow(const char *links)
{
    struct page *link;
    for (; *links; links += strcspn(links, " "), links += *links == ' ') {
        link = find(links);
        if (wants(link)) {
            link->is_found = 1;
            async_spawn(visit, link);
        }
    }
}

async_define(visit)
{
    async_begin;
    self->page->times++;
    if (self->page->after_ms < 0) {
        site.gives_up = site.crawler == GIVES_UP;
        async_return(0);
    }
    await(async_sleep(self->page->after_ms));
    self->page->is_answered = 1;
    follow(self->page->links);
    await(async_join_children());
    async_end;
}

async_define(crawl)
{
    async_begin;
    follow("/");
    await(async_join_children());
    async_end;
}

/* The learner's test, with one of the crawlers. */
async(try, int crawler;)
{
    async_begin;
    memset(&site, 0, sizeof site);
    site.crawler = self->crawler;
    await(async_call(test));
    async_end;
}

AsyncTestWith(ex_11_2, passes_the_right_one,
              (.seeds = 30, .says = "The right crawler passes your test."))
{
    async_begin;
    await(async_call(try, RIGHT));
    if (site.failure)
        async_test_fail(__FILE__, __LINE__,
                        "The crawler is right, and your test says no: "
                        "must(%s).", site.failure);
    async_end;
}

/* It may need an order of events that not every world has. */
static void judge_the_broken(void)
{
    static const char is_found_out[] = "this broken crawler makes a must() false";
    async_expect_mark(is_found_out);
    if (site.failure)
        async_mark(is_found_out);
}

AsyncTestWith(ex_11_2, finds_who_asks_twice,
              (.seeds = 30,
               .says = "Your test finds the crawler that asks twice "
                       "for a page that is found twice."))
{
    async_begin;
    await(async_call(try, ASKS_TWICE));
    judge_the_broken();
    async_end;
}

AsyncTestWith(ex_11_2, finds_who_gives_up,
              (.seeds = 30,
               .says = "Your test finds the crawler that gives up "
                       "when a page refuses."))
{
    async_begin;
    await(async_call(try, GIVES_UP));
    judge_the_broken();
    async_end;
}
