/* crawl_callbacks: one thread, and a callback wherever there was a wait. What a
 * fetch has come to stands in its struct job; the functions are its steps:
 *
 *     start -> on_writable -> on_readable -> finish, or on_limit -> finish
 *
 *     cc -O2 -I. examples/crawl_callbacks.c -o crawl_callbacks
 *     ./crawl_callbacks http://127.0.0.1:8000/ --jobs 8
 *
 * For something to crawl see site.c; all options are in crawl.h.
 */
#include "async.h"
#include "crawl.h"

struct job {
    struct page *page;
    struct response response;
    char request[REQUEST_SIZE];
    size_t size, sent; /* of the request */
    int fd;
    async_handle writer, limit;
};

static struct crawl crawl;

static void start_more(void);

static void end(struct job *job, int status)
{
    async_cancel(job->limit);
    async_close(job->fd);
    crawl_done(&crawl, job->page, &job->response, status);
    free(job);
}

static void finish(struct job *job, int status)
{
    end(job, status);
    start_more();
}

static void on_limit(void *data)
{
    finish(data, -ETIMEDOUT);
}

static void on_readable(int fd, void *data)
{
    struct job *job = data;
    char piece[16384];
    ssize_t n = async_read_nowait(fd, piece, sizeof piece);
    int status = n == -EAGAIN ? 0 : response_add(&job->response, piece, n);
    if (status != 0)
        finish(job, status);
}

/* Connected, or refused: the write tells. */
static void on_writable(int fd, void *data)
{
    struct job *job = data;
    ssize_t n = async_write_nowait(fd, job->request + job->sent,
                                   job->size - job->sent);
    if (n == -EAGAIN)
        return;
    job->sent += n > 0 ? (size_t)n : 0;
    if (job->sent == job->size) {
        async_cancel(job->writer);
        n = (ssize_t)async_on_readable(fd, job, on_readable);
    }
    if (n < 0)
        finish(job, (int)n);
}

/* Returns 0, or a negative errno. */
static int start(struct job *job)
{
    int fd = crawl_connect(&crawl, job->page);
    job->fd = fd < 0 ? fd : async_adopt(fd);
    if (job->fd < 0) {
        if (fd >= 0)
            close(fd);
        return job->fd;
    }
    job->size = crawl_request(job->page, job->request);
    job->writer = async_on_writable(fd, job, on_writable);
    job->limit = async_after(crawl.timeout_ms, job, on_limit);
    return job->writer < 0 || job->limit < 0 ? -ENOMEM : 0;
}

static void start_more(void)
{
    struct page *page;
    struct job *job;
    int error;
    while (crawl.running < crawl.jobs && (page = crawl_take(&crawl)) != NULL) {
        job = crawl_need(calloc(1, sizeof *job));
        job->page = page;
        error = start(job);
        if (error < 0)
            end(job, error);
    }
}

int main(int argc, char **argv)
{
    int error;
    crawl_open(&crawl, argc, argv);
    error = async_open(NULL);
    if (error == 0) {
        start_more();
        error = async_loop_run();
        async_loop_close();
    }
    if (error < 0)
        fprintf(stderr, "crawl_callbacks: %s\n", strerror(-error));
    return crawl_report(&crawl) || error < 0;
}
