/* crawl_processes: a process for each page, --jobs of them at most at once.
 * What the child has read is its own: a pipe brings it to the parent. A child
 * that crashes, or is killed, costs one page and nothing else.
 *
 *     cc -O2 -I. examples/crawl_processes.c -o crawl_processes
 *     ./crawl_processes http://127.0.0.1:8000/ --jobs 8
 *
 * For something to crawl see site.c; all options are in crawl.h.
 */
#include "crawl.h"
#include <sys/wait.h>

struct job {
    struct page *page;
    pid_t pid;
};

/* What a child writes first; the bytes of the response come after it. */
struct result {
    int status;
    struct response response; /* its `data` is the child's: not for us */
};

static struct crawl crawl;
static struct job *jobs;
static struct pollfd *pipes; /* pipes[i].fd is the pipe of jobs[i] */

/* ---- in the child ---- */

static void send_all(int fd, const void *data, size_t size)
{
    const char *from = data;
    ssize_t n;
    for (; size > 0; from += n, size -= (size_t)n) {
        n = write(fd, from, size);
        if (n < 0)
            _exit(1);
    }
}

/* What the parent reads is closed, or a child would wait for ever to be read
 * by itself, or by the next one, where the parent is gone. */
static void close_pipes(int count)
{
    while (count > 0)
        close(pipes[--count].fd);
}

static void fetch_and_exit(const struct page *page, int fd)
{
    struct result result;
    memset(&result, 0, sizeof result);
    result.status = crawl_fetch(&crawl, page, &result.response);
    send_all(fd, &result, sizeof result);
    send_all(fd, result.response.data, result.response.size);
    _exit(0);
}

/* ---- in the parent ---- */

/* Returns 0, or a negative errno: there is no pipe or no process left. */
static int start(struct page *page, int i)
{
    int ends[2], error;
    if (pipe(ends) < 0)
        return -errno;
    pipes[i] = (struct pollfd){ends[0], POLLIN, 0};
    jobs[i].page = page;
    jobs[i].pid = fork();
    error = -errno;
    if (jobs[i].pid == 0) {
        close_pipes(i + 1);
        fetch_and_exit(page, ends[1]);
    }
    close(ends[1]);
    if (jobs[i].pid < 0) {
        close(ends[0]);
        return error;
    }
    return 0;
}

static void start_more(void)
{
    struct response nothing = {0};
    struct page *page;
    int error;
    while (crawl.running < crawl.jobs && (page = crawl_take(&crawl)) != NULL) {
        error = start(page, crawl.running - 1);
        if (error < 0)
            crawl_done(&crawl, page, &nothing, error);
    }
}

/* Returns 0, or -EIO: the child has ended before. */
static int receive_all(int fd, void *data, size_t size)
{
    char *to = data;
    ssize_t n;
    for (; size > 0; to += n, size -= (size_t)n) {
        n = read(fd, to, size);
        if (n <= 0)
            return -EIO;
    }
    return 0;
}

/* The child has begun to write: so it has all that it will write. */
static void finish(int i)
{
    struct job job = jobs[i];
    struct result result;
    struct response *response = &result.response;
    int fd = pipes[i].fd;
    if (receive_all(fd, &result, sizeof result) < 0)
        memset(&result, 0, sizeof result);
    response->data = crawl_need(malloc(response->size + 1));
    response->data[response->size] = '\0';
    if (!result.status || receive_all(fd, response->data, response->size) < 0)
        result.status = -EIO;
    close(fd);
    waitpid(job.pid, NULL, 0);
    jobs[i] = jobs[crawl.running - 1];
    pipes[i] = pipes[crawl.running - 1];
    crawl_done(&crawl, job.page, response, result.status);
}

int main(int argc, char **argv)
{
    int i;
    crawl_open(&crawl, argc, argv);
    jobs = crawl_need(calloc((size_t)crawl.jobs, sizeof *jobs));
    pipes = crawl_need(calloc((size_t)crawl.jobs, sizeof *pipes));
    for (start_more(); crawl.running > 0; start_more()) {
        if (poll(pipes, (nfds_t)crawl.running, -1) < 0)
            continue;
        for (i = crawl.running - 1; i >= 0; i--)
            if (pipes[i].revents)
                finish(i);
    }
    free(jobs);
    free(pipes);
    return crawl_report(&crawl);
}
