/* site: a web site to crawl, on this machine, as slow as you like.
 *
 *     cc -O2 -I. examples/site.c -o site
 *     ./site -n 200 -l 50 -d -p 8000
 *     curl http://127.0.0.1:8000/
 *
 * -n PAGES, -l MS before each reply, -p PORT (0: a free one). -d: a second
 * port, which accepts and never answers; some pages link to it. The same
 * PAGES are always the same site: pages with a length, in chunks and up to the
 * end of the connection, relative links, repeated ones, redirects, and some to
 * pages that do not exist. GET /counts tells how often each was asked for, and
 * how many requests were there at once at most. SIGTERM and SIGINT end it.
 */
#include "async.h"
#include "number.h"

enum { PAGE, OLD, MISSING, KINDS, COUNTS = -3, BAD, NOWHERE };
enum { TEXT = 16384, PIECE = 1000, REQUEST_MS = 10000, PAGES_MAX = 1000000 };

static int pages = 100, latency_ms, port, wants_dead, dead_port, listener;
static int *counts[KINDS], dead_count, now, most;

/* ---- what the site is ---- */

static char *path_of(char *path, int kind, int k)
{
    if (kind == PAGE && k == 0)
        strcpy(path, "/");
    else if (kind == PAGE)
        sprintf(path, "/p%d/%d", k % 4, k);
    else
        sprintf(path, kind == OLD ? "/old/%d" : "/missing/%d", k);
    return path;
}

/* Returns the kind of a path, and in *k which of them; or NOWHERE. */
static int kind_of(const char *asked, int *k)
{
    const char *last = strrchr(asked, '/');
    char path[64];
    int kind;
    *k = last ? atoi(last + 1) : 0;
    if (*k < 0 || *k >= pages)
        return NOWHERE;
    for (kind = 0; kind < KINDS; kind++)
        if (!strcmp(path_of(path, kind, *k), asked))
            return kind;
    return NOWHERE;
}

/* Three pages further down, which makes a tree of the whole site. */
static size_t links_down(char *text, int k)
{
    char path[64], own[64];
    const char *const before[] = {"", "/p0/..", own};
    size_t size = 0;
    int i, child;
    sprintf(own, "http://127.0.0.1:%d", port);
    for (i = 0; i < 3; i++) {
        child = 3 * k + i + 1;
        if (child >= pages)
            break;
        size += (size_t)sprintf(text + size, "<a href=\"%s%s\">%d</a>\n",
                                before[i], path_of(path, PAGE, child), child);
    }
    return size;
}

/* One page twice, from where we are; what is no page; what is elsewhere. */
static size_t links_across(char *text, int k)
{
    char path[64];
    int i;
    size_t size = 0;
    path_of(path, PAGE, (7 * k + 3) % pages);
    for (i = 0; i < 2; i++)
        size += (size_t)sprintf(text + size, "<a href=\"..%s#%d\">across</a>\n",
                                path, i);
    size += (size_t)sprintf(text + size,
                            "<a href=\"#top\">top</a>\n"
                            "<a href=\"mailto:me@example.org\">write</a>\n"
                            "<a href=\"http://example.org/%d\">out</a>\n", k);
    return size;
}

static size_t links_rare(char *text, int k)
{
    char path[64];
    if (k % 10 == 4 || k % 10 == 5)
        return (size_t)sprintf(text, "<a href=\"%s\">rare</a>\n",
                               path_of(path, k % 10 == 4 ? OLD : MISSING, k));
    if (k % 10 == 6 && wants_dead)
        return (size_t)sprintf(text,
                               "<a href=\"http://127.0.0.1:%d/\">dead</a>\n",
                               dead_port);
    return 0;
}

static size_t text_of(char *text, int k)
{
    size_t size = (size_t)sprintf(text, "<!DOCTYPE html>\n<title>%d</title>\n",
                                  k);
    int line;
    size += links_down(text + size, k);
    size += links_across(text + size, k);
    size += links_rare(text + size, k);
    for (line = 0; line < k % 50; line++)
        size += (size_t)sprintf(text + size, "<p>This is line %d of what "
                                "page %d has to say.\n", line, k);
    return size;
}

/* ---- how it answers ---- */

static void say(async_stream *to, const char *text)
{
    async_stream_write(to, text, strlen(text));
}

static void answer_error(async_stream *to, const char *status,
                         const char *location)
{
    char text[512];
    sprintf(text, "HTTP/1.1 %s\r\nConnection: close\r\n%s%s%s"
            "Content-Length: %d\r\n\r\n%s\n", status,
            *location ? "Location: " : "", location, *location ? "\r\n" : "",
            (int)strlen(status) + 1, status);
    say(to, text);
}

static void answer_chunks(async_stream *to, const char *text, size_t size)
{
    char line[32];
    size_t piece;
    for (; size > 0; size -= piece, text += piece) {
        piece = size < PIECE ? size : PIECE;
        sprintf(line, "%zx\r\n", piece);
        say(to, line);
        async_stream_write(to, text, piece);
        say(to, "\r\n");
    }
    say(to, "0\r\n\r\n");
}

/* A third of the pages each: with their length, in chunks, up to the end. */
static void answer_page(async_stream *to, int k)
{
    static char text[TEXT];
    char head[64] = "";
    size_t size = text_of(text, k);
    if (k % 3 == 0)
        sprintf(head, "Content-Length: %zu\r\n", size);
    else if (k % 3 == 1)
        strcpy(head, "Transfer-Encoding: chunked\r\n");
    say(to, "HTTP/1.1 200 OK\r\nConnection: close\r\n"
            "Content-Type: text/html\r\n");
    say(to, head);
    say(to, "\r\n");
    if (k % 3 == 1)
        answer_chunks(to, text, size);
    else
        async_stream_write(to, text, size);
}

static void answer_counts(async_stream *to)
{
    char line[96], path[64];
    int kind, k;
    say(to, "HTTP/1.1 200 OK\r\nConnection: close\r\n"
            "Content-Type: text/plain\r\n\r\n");
    for (kind = 0; kind < KINDS; kind++)
        for (k = 0; k < pages; k++)
            if (counts[kind][k]) {
                sprintf(line, "%d %s\n", counts[kind][k],
                        path_of(path, kind, k));
                say(to, line);
            }
    sprintf(line, "%d dead\n%d at once\n", dead_count, most);
    say(to, line);
}

static void answer(async_stream *to, int kind, int k)
{
    char path[64];
    if (kind == PAGE)
        answer_page(to, k);
    else if (kind == COUNTS)
        answer_counts(to);
    else if (kind == BAD)
        answer_error(to, "400 Bad Request", "");
    else if (kind == OLD)
        answer_error(to, "302 Found", path_of(path, PAGE, k));
    else
        answer_error(to, "404 Not Found", "");
}

/* What the head of a request asks for, as kind_of. */
static int asked_for(char *head, int *k)
{
    char *end = strstr(head, " HTTP/1.");
    if (!end || strncmp(head, "GET ", 4))
        return BAD;
    *end = '\0';
    return strcmp(head + 4, "/counts") ? kind_of(head + 4, k) : COUNTS;
}

async(session, int fd; async_stream *stream; int kind, k; char request[4096];)
{
    int n;
    async_begin;
    most = ++now > most ? now : most;
    self->stream = async_stream_open(self->fd);
    await(n, async_stream_read_until(self->stream, self->request,
                                     sizeof self->request - 1, "\r\n\r\n", 4),
          REQUEST_MS);
    if (n <= 0)
        async_return(n);
    self->request[n] = '\0';
    self->kind = asked_for(self->request, &self->k);
    if (self->kind >= 0)
        counts[self->kind][self->k]++;
    if (self->kind != COUNTS)
        await(async_sleep(latency_ms));
    answer(self->stream, self->kind, self->k);
    async_finally;
    now--;
    if (async_stream_close(self->stream) < 0)
        async_close(self->fd);
    async_end;
}

/* Reads, until the other side has had enough. */
async(silence, int fd; char data[512];)
{
    int n;
    async_begin;
    dead_count++;
    do {
        await(n, async_read(self->fd, self->data, sizeof self->data));
    } while (n > 0);
    async_finally;
    async_close(self->fd);
    async_end;
}

async(accept_dead, int listener;)
{
    int client;
    async_begin;
    for (;;) {
        await(client, async_accept(self->listener));
        if (client < 0)
            async_return(client);
        if (async_spawn(silence, .fd = client) < 0)
            async_close(client);
    }
    async_end;
}

/* ---- the program ---- */

static void on_signal(int signo, void *unused)
{
    (void)signo, (void)unused;
    async_close(listener);
    listener = -1;
}

static void tell(void)
{
    printf("listening on ");
    if (wants_dead)
        printf("http://127.0.0.1:%d (dead) and ", dead_port);
    printf("http://127.0.0.1:%d\n", port);
    fflush(stdout);
}

async(site, int dead;)
{
    int client;
    async_begin;
    listener = async_listen("127.0.0.1", port);
    self->dead = wants_dead ? async_listen("127.0.0.1", 0) : 0;
    if (listener < 0 || self->dead < 0)
        async_return(listener < 0 ? listener : self->dead);
    port = async_port(listener);
    dead_port = wants_dead ? async_port(self->dead) : 0;
    if (wants_dead && async_spawn(accept_dead, self->dead) < 0)
        async_return(-ENOMEM);
    async_on_signal(SIGTERM, NULL, on_signal);
    async_on_signal(SIGINT, NULL, on_signal);
    tell();
    for (;;) {
        await(client, async_accept(listener));
        if (client < 0)
            async_return(listener < 0 ? 0 : client);
        if (async_spawn(session, .fd = client) < 0)
            async_close(client);
    }
    async_end;
}

static int options(int argc, char **argv)
{
    int c, error = 0;
    while (error == 0 && (c = getopt(argc, argv, "n:l:p:d")) != -1) {
        if (c == 'd')
            wants_dead = 1;
        else if (c == 'n')
            error = read_number(&pages, "-n", optarg, 1, PAGES_MAX);
        else if (c == 'l')
            error = read_number(&latency_ms, "-l", optarg, 0, NUMBER_MAX);
        else if (c == 'p')
            error = read_number(&port, "-p", optarg, 0, 65535);
        else
            error = -EINVAL;
    }
    return optind == argc ? error : -EINVAL;
}

int main(int argc, char **argv)
{
    int kind, error;
    if (options(argc, argv) < 0) {
        fprintf(stderr, "usage: site [-n PAGES] [-l MS] [-p PORT] [-d]\n");
        return 2;
    }
    for (kind = 0; kind < KINDS; kind++)
        counts[kind] = calloc((size_t)pages, sizeof *counts[kind]);
    error = counts[0] && counts[1] && counts[2] ? (int)async_run(site)
                                                : -ENOMEM;
    if (error < 0)
        fprintf(stderr, "site: %s\n", strerror(-error));
    for (kind = 0; kind < KINDS; kind++)
        free(counts[kind]);
    return error < 0;
}
