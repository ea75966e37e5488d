/* callbacks: all pages in one thread, each cut into handlers that the loop calls.
 *
 *     cc -O2 -I. docs/course/figures/callbacks.c -pthread -o callbacks && ./callbacks
 */
#include "async.h"

#include "situation.h"

struct page {
    int fd, number, whole;
    async_handle handle;
    int64_t since; /* when its last handler ended */
    size_t got;
    char text[PAGE_BYTES + 200];
};

/* Around each handler: what the page waited for, then what the thread did for it. */
static int64_t begins(struct page *page, const char *waited)
{
    int64_t t = record_now();
    record_slice("page", page->number, waited, page->since, t);
    return t;
}

static void ends(struct page *page, const char *handler, int64_t t)
{
    page->since = record("page", page->number, handler, t);
    record_slice("loop", 0, handler, t, page->since);
}

static void on_readable(int fd, void *data)
{
    struct page *page = data;
    int64_t t = begins(page, "wait:page");
    ssize_t n = async_read_nowait(fd, page->text + page->got, sizeof page->text - page->got);
    if (n > 0)
        page->got += (size_t)n;
    else if (n != -EAGAIN) {
        page->whole = n == 0 && page_is_whole(page->text, page->got);
        async_close(fd);
    }
    ends(page, "cpu:on_readable", t);
}

static void on_connected(int fd, void *data)
{
    struct page *page = data;
    int64_t t = begins(page, "wait:connect");
    size_t size = request_for(page->number, page->text, sizeof page->text);
    async_cancel(page->handle);
    if (async_write_nowait(fd, page->text, size) != (ssize_t)size || async_on_readable(fd, page, on_readable) < 0)
        async_close(fd);
    ends(page, "cpu:on_connected", t);
}

static int start(struct page *page, int port)
{
    struct sockaddr_in address = server_address(port);
    int64_t t = record_now();
    page->fd = async_adopt(socket(AF_INET, SOCK_STREAM, 0));
    if (page->fd < 0 || (connect(page->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS))
        return -1;
    page->handle = async_on_writable(page->fd, page, on_connected);
    ends(page, "cpu:start", t);
    return page->handle < 0 ? -1 : 0;
}

static int run(int port)
{
    static struct page pages[PAGES];
    int i, error = async_open(NULL);
    for (i = 0; i < PAGES && !error; i++) {
        pages[i].number = i + 1;
        error = start(&pages[i], port);
    }
    if (!error)
        error = async_loop_run();
    async_loop_close();
    for (i = 0; i < PAGES; i++)
        error |= !pages[i].whole;
    return error;
}

int main(int argc, char **argv)
{
    return situation(argc, argv, run);
}
