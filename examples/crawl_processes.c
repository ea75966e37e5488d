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

/* What a child writes first; the bytes of the response come after it. */
struct result {
    int status;
    struct response response; /* its `data` is the child's: not for us */
};

struct job {
    struct page *page;
    pid_t pid;
    struct result result;     /* zero until it has come */
    struct response received;
};

static struct crawl crawl;
static struct job *jobs;
static struct pollfd *pipes; /* pipes[i].fd is the pipe of jobs[i] */
static int running;

/* ---- in the child ---- */

static void send_all(int fd, const void *data, size_t size)
{
    const char *from = data;
    ssize_t n;
    while (size > 0) {
        n = write(fd, from, size);
        if (n < 0 && errno != EINTR)
            _exit(1);
        from += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
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
static int start(struct page *page)
{
    struct job *job = &jobs[running];
    int ends[2], error;
    if (pipe(ends) < 0)
        return -errno;
    memset(job, 0, sizeof *job);
    job->page = page;
    job->pid = fork();
    error = -errno;
    if (job->pid == 0)
        fetch_and_exit(page, ends[1]);
    close(ends[1]);
    if (job->pid < 0) {
        close(ends[0]);
        return error;
    }
    pipes[running].fd = ends[0];
    pipes[running].events = POLLIN;
    running++;
    return 0;
}

/* The response, from what the child said of it and the bytes that came. Returns
 * the status, or -EIO: it did not say all. */
static int put_together(struct job *job)
{
    struct result *it = &job->result;
    int is_whole = it->status && it->response.size == job->received.size;
    it->response.data = job->received.data;
    return is_whole ? it->status : -EIO;
}

static void finish(int i)
{
    struct job job = jobs[i];
    int status = put_together(&job);
    close(pipes[i].fd);
    while (waitpid(job.pid, NULL, 0) < 0 && errno == EINTR)
        ;
    running--;
    jobs[i] = jobs[running];
    pipes[i] = pipes[running];
    crawl_done(&crawl, job.page, &job.result.response, status);
}

static void receive(int i)
{
    struct job *job = &jobs[i];
    char data[16384];
    ssize_t n;
    if (!job->result.status) { /* so small a write comes in one piece */
        n = read(pipes[i].fd, &job->result, sizeof job->result);
        if (n != sizeof job->result)
            finish(i);
        return;
    }
    n = read(pipes[i].fd, data, sizeof data);
    if (n <= 0 || response_append(&job->received, data, (size_t)n) < 0)
        finish(i);
}

static void start_more(void)
{
    struct response nothing = {0};
    struct page *page;
    int error;
    while (running < crawl.jobs && (page = crawl_take(&crawl)) != NULL) {
        error = start(page);
        if (error < 0)
            crawl_done(&crawl, page, &nothing, error);
    }
}

int main(int argc, char **argv)
{
    int i;
    crawl_open(&crawl, argc, argv);
    jobs = crawl_need(calloc((size_t)crawl.jobs, sizeof *jobs));
    pipes = crawl_need(calloc((size_t)crawl.jobs, sizeof *pipes));
    for (start_more(); running > 0; start_more()) {
        if (poll(pipes, (nfds_t)running, -1) < 0)
            continue;
        for (i = running - 1; i >= 0; i--)
            if (pipes[i].revents)
                receive(i);
    }
    free(jobs);
    free(pipes);
    return crawl_report(&crawl);
}
