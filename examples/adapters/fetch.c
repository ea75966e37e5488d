/* fetch: gets URLs, all at once, and shows of each its status, its size and its
 * time; with -b the bodies go to standard output, with -1 the first that comes
 * is enough. LIMIT_MS is for each of them; CURL_CA_BUNDLE may name a PEM file.
 *
 *     cc -I. examples/adapters/fetch.c -o fetch \
 *         $(pkg-config --cflags --libs libcurl)
 *     ./fetch 5000 https://example.org/ https://www.gnu.org/
 */
#include "curl.h"
#include "../number.h"

static int with_bodies, first_only, came, failed;
static async_task boss;

static size_t on_body(char *bytes, size_t one, size_t count, void *size)
{
    *(size_t *)size += one * count;
    return with_bodies ? fwrite(bytes, one, count, stdout) : one * count;
}

async(get, curl_loop *curl; const char *url; int limit_ms; CURL *easy;
      size_t size; int64_t begin_ns; char words[CURL_ERROR_SIZE];)
{
    int n;
    async_begin;
    self->begin_ns = async_now();
    self->easy = curl_easy_init();
    if (!self->easy)
        async_return(-ENOMEM);
    curl_easy_setopt(self->easy, CURLOPT_URL, self->url);
    if (getenv("CURL_CA_BUNDLE"))
        curl_easy_setopt(self->easy, CURLOPT_CAINFO, getenv("CURL_CA_BUNDLE"));
    curl_easy_setopt(self->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(self->easy, CURLOPT_WRITEDATA, &self->size);
    curl_easy_setopt(self->easy, CURLOPT_ERRORBUFFER, self->words);
    await(n, async_call(curl_transfer, self->curl, self->easy), self->limit_ms);
    came += n >= 0;
    failed += n < 0;
    if (n < 0 && !*self->words)
        snprintf(self->words, sizeof self->words, "%s", strerror(-n));
    fprintf(stderr, "%4d %9zu bytes %6.3f s %s %s\n", n, self->size,
            (double)(async_now() - self->begin_ns) / 1e9, self->url,
            self->words);
    if (n >= 0 && first_only)
        async_cancel(boss);
    async_finally;
    curl_easy_cleanup(self->easy);
    async_end;
}

/* A task's children are cancelled when it ends. */
async(get_all, curl_loop *curl; char **urls; int count, limit_ms, i;
      async_task *tasks;)
{
    int n;
    async_begin;
    boss = async_current_task();
    self->tasks = calloc((size_t)self->count, sizeof *self->tasks);
    if (!self->tasks)
        async_return(-ENOMEM);
    for (self->i = 0; self->i < self->count; self->i++)
        self->tasks[self->i] = async_spawn(get, self->curl,
                                           self->urls[self->i], self->limit_ms);
    await(n, async_join_all(self->tasks, (size_t)self->count));
    async_return(n);
    async_finally;
    free(self->tasks);
    async_end;
}

async(fetch, char **urls; int count, limit_ms; curl_loop *curl;)
{
    int n;
    async_begin;
    self->curl = curl_loop_open();
    if (!self->curl)
        async_return(-ENOMEM);
    await(n, async_join(async_spawn(get_all, self->curl, self->urls,
                                    self->count, self->limit_ms)));
    async_return(n);
    async_finally;
    curl_loop_close(self->curl);
    async_end;
}

int main(int argc, char **argv)
{
    int option, is_wrong = 0, limit_ms, n;
    while ((option = getopt(argc, argv, "b1")) != -1) {
        with_bodies |= option == 'b';
        first_only |= option == '1';
        is_wrong |= option == '?';
    }
    argv += optind;
    argc -= optind;
    if (is_wrong || argc < 2 ||
        read_number(&limit_ms, "LIMIT_MS", argv[0], 1, NUMBER_MAX))
        return fprintf(stderr, "usage: fetch [-b] [-1] LIMIT_MS URL...\n"), 2;
    n = (int)async_run(fetch, argv + 1, argc - 1, limit_ms);
    if (!first_only)
        return n < 0 || failed;
    if (!came)
        fprintf(stderr, "fetch: all have failed\n");
    return !came;
}
