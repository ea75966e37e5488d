/* 4.2  A pool of workers. A few threads share all the requests. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>

#ifndef LEARN /* the check has its own */
/* Fetch a page: the server lets us wait. Returns the page's size. */
static int fetch(int page)
{
    poll(NULL, 0, 100);
    return 1000 + page;
}
#endif

struct pool {
    pthread_mutex_t lock; /* for `next`: hold it to read and to change it */
    int next;             /* the first page that nobody has taken         */
    int count;            /* of pages                                     */
    int *sizes;           /* what came of them                            */
};

static void *worker(void *data)
{
    struct pool *pool = data;
    int page;
    /* TODO: this worker fetches one page. It is to go on until no page is
     * left. While one worker fetches, the others must be able to take. */
    pthread_mutex_lock(&pool->lock);
    page = pool->next++;
    pool->sizes[page] = fetch(page);
    pthread_mutex_unlock(&pool->lock);
    /* END */
    return NULL;
}

/* Fetch `count` pages with as many threads as there are `workers`. */
static void fetch_all(int count, int sizes[], int workers)
{
    struct pool pool = { PTHREAD_MUTEX_INITIALIZER, 0, 0, NULL };
    pthread_t threads[16];
    int i;
    pool.count = count;
    pool.sizes = sizes;
    for (i = 0; i < workers; i++)
        pthread_create(&threads[i], NULL, worker, &pool);
    for (i = 0; i < workers; i++)
        pthread_join(threads[i], NULL);
}

#ifndef LEARN
int main(void)
{
    int i, sizes[10] = { 0 };
    fetch_all(10, sizes, 3);
    for (i = 0; i < 10; i++)
        printf("page %d: %d bytes\n", i, sizes[i]);
    return 0;
}
#endif
