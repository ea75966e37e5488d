/* crawl_threads: as many threads as --jobs says, and each fetches one page
 * after the other. They share one crawl: who looks at it holds the lock, and
 * nobody holds the lock while he waits for a server.
 *
 *     cc -O2 -I. examples/crawl_threads.c -pthread -o crawl_threads
 *     ./crawl_threads http://127.0.0.1:8000/ --jobs 8
 *
 * For something to crawl see site.c; all options are in crawl.h.
 */
#include "crawl.h"
#include <pthread.h>

static struct crawl crawl;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* A page, or NULL at the end. The lock is held, except while we wait. */
static struct page *wait_for_page(void)
{
    struct page *page;
    while ((page = crawl_take(&crawl)) == NULL && !crawl_is_over(&crawl))
        pthread_cond_wait(&changed, &lock);
    return page;
}

static void *work(void *unused)
{
    struct response response = {0};
    struct page *page;
    int status;
    pthread_mutex_lock(&lock);
    while ((page = wait_for_page()) != NULL) {
        pthread_mutex_unlock(&lock);
        status = crawl_fetch(&crawl, page, &response);
        pthread_mutex_lock(&lock);
        crawl_done(&crawl, page, &response, status);
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t *threads;
    int count, error;
    crawl_open(&crawl, argc, argv);
    threads = crawl_need(calloc((size_t)crawl.jobs, sizeof *threads));
    for (count = 0; count < crawl.jobs; count++) {
        error = pthread_create(&threads[count], NULL, work, NULL);
        if (error) {
            fprintf(stderr, "crawl_threads: only %d threads: %s\n", count,
                    strerror(error));
            break;
        }
    }
    while (count > 0)
        pthread_join(threads[--count], NULL);
    free(threads);
    return crawl_report(&crawl);
}
