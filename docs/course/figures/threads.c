/* threads: a thread for each page.
 *
 *     cc -O2 docs/course/figures/threads.c -pthread -o threads && ./threads
 */
#include "situation.h"

#include <pthread.h>

struct job {
    pthread_t thread;
    int64_t start_ns;
    int port, page, error;
};

static void *fetch_page(void *data)
{
    struct job *job = data;
    record("thread", job->page, "start", job->start_ns);
    job->error = fetch(job->port, job->page, "thread", job->page);
    return NULL;
}

static int start(struct job *job)
{
    int error;
    job->start_ns = record_now();
    error = pthread_create(&job->thread, NULL, fetch_page, job);
    record("main", 0, "start", job->start_ns);
    return error ? -1 : 0;
}

static int run(int port)
{
    static struct job jobs[PAGES];
    int64_t t;
    int i, started, error = 0;
    for (started = 0; started < PAGES; started++) {
        jobs[started] = (struct job){ .port = port, .page = started + 1 };
        if (start(&jobs[started]) < 0)
            break;
    }
    t = record_now();
    for (i = 0; i < started; i++) {
        pthread_join(jobs[i].thread, NULL);
        error |= jobs[i].error;
    }
    record("main", 0, "wait:threads", t);
    return started < PAGES ? -1 : error;
}

int main(int argc, char **argv)
{
    return situation(argc, argv, run);
}
