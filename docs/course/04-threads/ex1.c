/* 4.1  A thread for each request. Start all threads, then wait for all. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>

#ifndef LEARN /* the check has its own */
/* Fetch a page: the server lets us wait. Returns the page's size. */
static int fetch(int page)
{
    poll(NULL, 0, 300);
    return 1000 + page;
}
#endif

/* What a thread is asked to do, and what came of it. Threads share memory:
 * the answer is written here, and nothing must be sent. */
struct request {
    int page;
    int size;
};

static void *serve(void *data)
{
    struct request *request = data;
    request->size = fetch(request->page);
    return NULL;
}

/* Serve n requests at the same time, each in its own thread; at most 16. */
static void serve_all(int n, struct request requests[])
{
    pthread_t threads[16];
    int i;
    /* TODO: for now, every thread serves the first request, and none runs
     * beside another. Give each its own request, and start all before you
     * wait. */
    for (i = 0; i < n; i++) {
        pthread_create(&threads[i], NULL, serve, &requests[0]);
        pthread_join(threads[i], NULL);
    }
    /* END */
}

#ifndef LEARN
int main(void)
{
    struct request requests[4] = { { 0, 0 }, { 1, 0 }, { 2, 0 }, { 3, 0 } };
    int i;
    serve_all(4, requests);
    for (i = 0; i < 4; i++)
        printf("page %d: %d bytes\n", requests[i].page, requests[i].size);
    return 0;
}
#endif
