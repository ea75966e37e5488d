/* crawl_shared: any number of processes, on any number of machines, share one
 * crawl. What is to be done stands in Redis, so nothing is lost with a process:
 *
 *     NAME:seen     a set: every URL that was found
 *     NAME:pending  a list: those that nobody has taken
 *     NAME:leases   a sorted set: those that somebody fetches, until when
 *     NAME:done     a hash: the others, each with its status and size
 *     NAME:expired  how many were taken a second time, from who was too slow
 *
 *     cc -O2 -I. examples/crawl_shared.c -lhiredis -o crawl_shared
 *     redis-server --port 6379 --save '' &
 *     ./crawl_shared --frontier redis://127.0.0.1:6379/mine \
 *         http://127.0.0.1:8000/ --jobs 8         (as often as you like)
 *
 * Each move is one script, which Redis runs alone: a URL is in one place. Who
 * takes a URL has it for --lease MS (the timeout and 10 s); was it killed,
 * another takes it. It is fetched twice only then. All end when nothing is
 * pending or leased, and print the whole list; meanwhile each tells on stderr
 * what it has done itself. The same NAME again prints the list again: delete
 * its keys to start anew, and for another host.
 */
#include "adapters/redis.h"
#include "crawl.h"

enum { REPLY_MS = 10000, LOOK_MS = 50 };

/* Take a URL: one whose lease has expired, else the first that is pending.
 * Returns it; or how long to wait, in ms; or -1: there is nothing left. */
static const char take_script[] =
    "local leases, now = KEYS[1] .. ':leases', redis.call('TIME') "
    "now = now[1] * 1000 + math.floor(now[2] / 1000) "
    "local till = now + ARGV[1] " /* no number: it fails before it takes */
    "local first = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES') "
    "local url = first[1] "
    "if url and tonumber(first[2]) <= now then "
    "  redis.call('INCR', KEYS[1] .. ':expired') "
    "else "
    "  url = redis.call('LPOP', KEYS[1] .. ':pending') "
    "end "
    "if url then "
    "  redis.call('ZADD', leases, till, url) "
    "  return url "
    "end "
    "return first[1] and first[2] - now or -1 ";

/* A URL that was leased is done, with this result; there are these links, one a
 * line, and the new ones are pending. The arguments: URL, "STATUS SIZE LIMIT",
 * links. */
static const char done_script[] =
    "local it, url = KEYS[1], ARGV[1] "
    "local result, limit = ARGV[2]:match('(.*) (.*)') "
    "if redis.call('ZREM', it .. ':leases', url) == 1 then "
    "  redis.call('HSET', it .. ':done', url, result) "
    "end "
    "for link in ARGV[3]:gmatch('[^\\n]+') do "
    "  if redis.call('SCARD', it .. ':seen') < tonumber(limit) and "
    "     redis.call('SADD', it .. ':seen', link) == 1 then "
    "    redis.call('RPUSH', it .. ':pending', link) "
    "  end "
    "end ";

static struct crawl crawl; /* what this process has seen */
static redis frontier;
static char host[64], name[64], lease_ms[16];
static int port, limit;

/* Returns the type of the reply, or a negative errno. */
async(run, const char *script, *a, *b, *c; redisReply **reply;)
{
    int n;
    async_begin;
    await(n, async_call(redis_command, &frontier, self->reply,
                        { "EVAL", self->script, "1", name, self->a, self->b,
                          self->c }), REPLY_MS);
    if (n == REDIS_REPLY_ERROR) {
        fprintf(stderr, "crawl_shared: %s\n", (*self->reply)->str);
        async_return(-EIO);
    }
    async_return(n);
    async_end;
}

/* The pages that we know since there were so many, one a line. */
static char *links_since(int known)
{
    char *text = NULL;
    size_t size;
    FILE *out = crawl_need(open_memstream(&text, &size));
    for (; known < crawl.found; known++) {
        url_print(&crawl.pages[known]->url, out);
        fputc('\n', out);
    }
    fclose(out);
    return crawl_need(text);
}

/* As in crawl_coroutines.c. */
async(fetch, struct page *page; struct response *response; int fd;
      char data[16384];)
{
    size_t size;
    ssize_t n;
    int status;
    async_begin;
    await(self->fd, async_connect(crawl.ip, self->page->url.port));
    size = crawl_request(self->page, self->data);
    await(n, async_write(self->fd, self->data, size));
    if (n < 0)
        async_return(n);
    do {
        await(n, async_read(self->fd, self->data, sizeof self->data));
        status = response_add(self->response, self->data, n);
    } while (status == 0);
    async_return(status);
    async_finally;
    async_close(self->fd);
    async_end;
}

/* Returns 1: there is a URL, in the reply; 0: there will be none; or a negative
 * errno. */
async(take, redisReply **reply;)
{
    int n;
    async_begin;
    for (;;) {
        await(n, async_call(run, take_script, lease_ms, .reply = self->reply));
        if (n != REDIS_REPLY_INTEGER || (*self->reply)->integer < 0)
            async_return(n < 0 ? n : n == REDIS_REPLY_STRING);
        n = (*self->reply)->integer < LOOK_MS ? (int)(*self->reply)->integer
                                              : LOOK_MS;
        freeReplyObject(*self->reply);
        *self->reply = NULL;
        await(async_sleep(n));
    }
    async_end;
}

/* The page of a URL from Redis. NULL: it is none, or one of another host. */
static struct page *page_of(const char *text)
{
    struct url url;
    if (url_parse(&url, text) < 0 ||
        strcmp(url.host, crawl.pages[0]->url.host))
        return NULL;
    return crawl_add(&crawl, &url);
}

/* Its links, too: those that this process has not told of before. */
async(tell, const char *url; struct page *page; char *links, result[64];
      redisReply *reply;)
{
    int n;
    async_begin;
    sprintf(self->result, "%d %zu %d",
            self->page ? self->page->status : -EINVAL,
            self->page ? self->page->size : 0, limit);
    await(n, async_call(run, done_script, self->url, self->result, self->links,
                        &self->reply));
    if (n >= 0 && self->page)
        page_print(self->page, stderr);
    async_return(n < 0 ? n : 0);
    async_finally;
    freeReplyObject(self->reply);
    free(self->links);
    async_end;
}

/* After an error the whole process ends: it knows links that it has not told,
 * and would never tell, were it to take that page again. Another one will. */
async(worker, redisReply *url; struct page *page; struct response response;)
{
    int n, known;
    async_begin;
    for (;;) {
        await(n, async_call(take, &self->url));
        if (n <= 0)
            break;
        known = crawl.found;
        self->page = page_of(self->url->str);
        if (self->page) {
            crawl_begin(&crawl);
            await(n, async_call(fetch, self->page, &self->response),
                  crawl.timeout_ms);
            known = crawl.found;
            crawl_done(&crawl, self->page, &self->response, n);
        }
        await(n, async_call(tell, self->url->str, self->page,
                            links_since(known)));
        if (n < 0)
            break;
        freeReplyObject(self->url);
        self->url = NULL;
    }
    if (n < 0)
        redis_close(&frontier);
    async_return(n);
    async_finally;
    freeReplyObject(self->url);
    async_end;
}

/* ---- the program ---- */

/* Print all that was done, by whomever. Returns as crawl_report. */
static int report(const redisReply *reply)
{
    static struct crawl all;
    struct page *page;
    struct url url;
    size_t i;
    all.limit = INT_MAX;
    all.start_ms = crawl.start_ms;
    all.most = crawl.most;
    for (i = 0; i + 1 < reply->elements; i += 2) {
        if (url_parse(&url, reply->element[i]->str) < 0)
            continue;
        page = crawl_add(&all, &url);
        sscanf(reply->element[i + 1]->str, "%d %zu", &page->status,
               &page->size);
    }
    return crawl_report(&all);
}

async(print_all, char key[96]; redisReply *reply;)
{
    int n;
    async_begin;
    sprintf(self->key, "%s:done", name);
    await(n, async_call(redis_command, &frontier, &self->reply,
                        { "HGETALL", self->key }), REPLY_MS);
    if (n != REDIS_REPLY_ARRAY)
        async_return(n < 0 ? n : -EIO);
    async_return(report(self->reply));
    async_finally;
    freeReplyObject(self->reply);
    async_end;
}

async(crawl_shared, async_task *workers; redisReply *reply; char *links;
      char limit[32]; int i;)
{
    int n;
    async_begin;
    n = redis_open(&frontier, host, port);
    if (n < 0)
        async_return(n);
    sprintf(self->limit, "0 0 %d", limit);
    self->links = links_since(0); /* where it begins */
    await(n, async_call(run, done_script, "", self->limit, self->links,
                        &self->reply));
    for (self->i = 0; n >= 0 && self->i < crawl.jobs; self->i++) {
        self->workers[self->i] = async_spawn(worker);
        n = self->workers[self->i] < 0 ? -ENOMEM : n;
    }
    if (n >= 0)
        await(n, async_join_all(self->workers, (size_t)crawl.jobs));
    if (n >= 0)
        await(n, async_call(print_all));
    async_return(n);
    async_finally;
    freeReplyObject(self->reply);
    free(self->links);
    redis_close(&frontier);
    async_end;
}

/* The value of an option of our own, which is taken out; or NULL. */
static const char *option(int *argc, char **argv, const char *wanted)
{
    const char *value;
    int i;
    for (i = 1; i + 1 < *argc; i++) {
        if (strcmp(argv[i], wanted))
            continue;
        value = argv[i + 1];
        *argc -= 2;
        memmove(argv + i, argv + i + 2, (size_t)(*argc - i) * sizeof *argv);
        return value;
    }
    return NULL;
}

static void usage(const char *program)
{
    fprintf(stderr, "crawl_shared: --frontier redis://ADDRESS:PORT/NAME "
                    "[--lease MS, longer than the timeout], and:\n");
    crawl_usage(program);
}

int main(int argc, char **argv)
{
    const char *at = option(&argc, argv, "--frontier");
    const char *text = option(&argc, argv, "--lease");
    async_task *workers;
    int error, lease;
    if (!at || sscanf(at, "redis://%63[^:/]:%5d/%63s", host, &port, name) != 3)
        usage(argv[0]);
    crawl_open(&crawl, argc, argv);
    lease = crawl.timeout_ms + REPLY_MS;
    if (text && read_number(&lease, "--lease", text, crawl.timeout_ms + 1,
                            NUMBER_MAX) < 0)
        usage(argv[0]);
    sprintf(lease_ms, "%d", lease);
    limit = crawl.limit;
    crawl.limit = INT_MAX; /* Redis knows how many there are */
    workers = crawl_need(calloc((size_t)crawl.jobs, sizeof *workers));
    error = (int)async_run(crawl_shared, workers);
    if (error < 0)
        fprintf(stderr, "crawl_shared: %s\n", strerror(-error));
    free(workers);
    return error != 0;
}
