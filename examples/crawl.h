/* crawl.h - what the five crawlers have in common: everything but the waiting.
 *
 *     URLs and links     a page's address, and the addresses it links to
 *     responses          HTTP/1.1, put together from pieces as they come
 *     the crawl          pages known, pages to fetch, options, the report
 *     a blocking fetch   for the models in which a page has a process or a
 *                        thread for itself, and for one after the other
 *
 * A model asks crawl_next for a page, fetches it, gives the answer to
 * crawl_done, which finds new pages in it, and so on until all are done.
 *
 * It reads http only, over IPv4; links in href="..." as they stand in the
 * text; and follows those to the host it began with, whatever the port.
 */
#ifndef CRAWL_H
#define CRAWL_H

#include "number.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    HOST_SIZE = 256,
    PATH_SIZE = 1024,
    REQUEST_SIZE = HOST_SIZE + PATH_SIZE + 128,
    HEAD_MAX = 16384,        /* bytes of a response's head     */
    RESPONSE_MAX = 1 << 20,  /* bytes of a response, all of it */
    BUCKETS = 4096
};

/* ---- URLs and links ---- */

struct url {
    char host[HOST_SIZE];
    int port;
    char path[PATH_SIZE]; /* from the first '/' on, with a query, if any */
};

/* Take "." and ".." out of a path: "/a/./b/../c" is "/a/c". */
static inline void url_remove_dots(char *path)
{
    char *from = path, *to = path;
    size_t size;
    int up;
    while (*from && *from != '?') {
        size = 1 + strcspn(from + 1, "/?");
        up = size == 3 && !memcmp(from, "/..", 3);
        if (up || (size == 2 && from[1] == '.')) {
            while (up && to > path && *--to != '/')
                ;
            if (from[size] != '/')
                *to++ = '/';
        } else {
            memmove(to, from, size);
            to += size;
        }
        from += size;
    }
    memmove(to, from, strlen(from) + 1);
}

/* Set the path to where `link` leads from there. Returns 0, or -EINVAL. */
static inline int url_follow(struct url *it, const char *link)
{
    char path[2 * PATH_SIZE];
    size_t keep = strcspn(it->path, "?"), size = strcspn(link, "#"), i;
    if (*link == '/')
        keep = 0;
    else if (size == 0)
        keep = strlen(it->path);
    else if (*link != '?')
        while (it->path[keep - 1] != '/')
            keep--;
    if (size >= PATH_SIZE || keep + size >= PATH_SIZE)
        return -EINVAL;
    for (i = 0; i < size; i++)
        if (link[i] <= ' ' || link[i] > '~')
            return -EINVAL;
    snprintf(path, sizeof path, "%.*s%.*s", (int)keep, it->path, (int)size,
             link);
    url_remove_dots(path);
    strcpy(it->path, path);
    return 0;
}

/* Read "http://HOST:PORT/PATH". Returns 0, or -EINVAL: it is none. */
static inline int url_parse(struct url *it, const char *text)
{
    size_t size, digits;
    if (strncasecmp(text, "http://", 7))
        return -EINVAL;
    text += 7;
    size = strcspn(text, ":/?#");
    if (size == 0 || size >= HOST_SIZE)
        return -EINVAL;
    for (digits = 0; digits < size; digits++)
        it->host[digits] = (char)tolower((unsigned char)text[digits]);
    it->host[size] = '\0';
    if (strspn(it->host, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != size)
        return -EINVAL;
    text += size;
    digits = *text == ':' ? strspn(text + 1, "0123456789") : 0;
    it->port = digits == 0 ? 80 : digits > 5 ? 0 : atoi(text + 1);
    text += *text == ':' ? digits + 1 : 0;
    if (it->port < 1 || it->port > 65535 || !memchr("/?#", *text, 4))
        return -EINVAL;
    strcpy(it->path, "/");
    return url_follow(it, text);
}

/* Where a link leads that stands on the page `from`. Returns 0, or -EINVAL:
 * nowhere that we can follow. */
static inline int url_resolve(struct url *it, const struct url *from,
                              const char *link)
{
    char text[PATH_SIZE + HOST_SIZE];
    if (link[strcspn(link, ":/?#")] == ':')
        return url_parse(it, link);
    if (!strncmp(link, "//", 2)) {
        snprintf(text, sizeof text, "http:%s", link);
        return strlen(link) < PATH_SIZE ? url_parse(it, text) : -EINVAL;
    }
    *it = *from;
    return url_follow(it, link);
}

static inline int url_compare(const struct url *a, const struct url *b)
{
    int order = strcmp(a->host, b->host);
    if (order == 0)
        order = a->port < b->port ? -1 : a->port > b->port;
    return order ? order : strcmp(a->path, b->path);
}

static inline unsigned url_hash(const struct url *it)
{
    unsigned hash = (unsigned)it->port;
    const char *c;
    for (c = it->path; *c; c++)
        hash = hash * 31 + (unsigned char)*c;
    return hash;
}

/* Make each &amp; an "&", which may be written as a number, too. Returns 0, or
 * -EINVAL: another character is written as a number. */
static inline int link_decode(char *link)
{
    static const char *const names[] = {"amp;", "#38;", "#x26;"};
    size_t i, size;
    while ((link = strchr(link, '&')) != NULL) {
        link++;
        for (i = 0; i < 3 && strncasecmp(link, names[i], strlen(names[i])); i++)
            ;
        size = i < 3 ? strlen(names[i]) : 0;
        if (i == 3 && *link == '#')
            return -EINVAL;
        memmove(link, link + size, strlen(link + size) + 1);
    }
    return 0;
}

/* Copy the first link of a text to `link`, of PATH_SIZE. Returns where the text
 * goes on, or NULL: there is none. */
static inline const char *next_link(const char *text, char *link)
{
    size_t size;
    while ((text = strstr(text, "href=\"")) != NULL) {
        text += strlen("href=\"");
        size = strcspn(text, "\"");
        if (!text[size])
            return NULL;
        if (size < PATH_SIZE) {
            memcpy(link, text, size);
            link[size] = '\0';
            if (link_decode(link) == 0)
                return text + size;
        }
    }
    return NULL;
}

/* ---- responses ---- */

/* What has come of one. Zero is one of which nothing has. */
struct response {
    char *data; /* all that has come, and '\0' */
    size_t size, room;
    size_t head;    /* bytes of the head; 0: it is not complete     */
    size_t body;    /* bytes of the text after it, as far as it came */
    size_t length;  /* bytes it should have; SIZE_MAX: up to the end */
    size_t chunk;   /* where the next chunk begins; 0: no chunks     */
    int status;
};

static inline void response_free(struct response *it)
{
    free(it->data);
    memset(it, 0, sizeof *it);
}

static inline int response_append(struct response *it, const char *data,
                                  size_t size)
{
    size_t room = it->room ? it->room : 4096;
    char *more;
    if (size > RESPONSE_MAX - it->size)
        return -EMSGSIZE;
    while (room <= it->size + size)
        room *= 2;
    if (!it->data || room > it->room) {
        more = realloc(it->data, room);
        if (!more)
            return -ENOMEM;
        it->data = more;
        it->room = room;
    }
    memcpy(it->data + it->size, data, size);
    it->size += size;
    it->data[it->size] = '\0';
    return 0;
}

/* The value of a field of the head, or NULL. */
static inline const char *response_field(const struct response *it,
                                         const char *name)
{
    const char *line = it->data, *end = it->data + it->head - 2;
    size_t size = strlen(name);
    while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL)
        if (!strncasecmp(++line, name, size) && line[size] == ':')
            return line + size + 1 + strspn(line + size + 1, " \t");
    return NULL;
}

/* Does the value of a field end here? There may be blanks behind it. */
static inline int field_ends(const char *value)
{
    return value[strspn(value, " \t")] == '\r';
}

/* How long is the text? Returns 0, or a negative errno. */
static inline int response_parse_length(struct response *it)
{
    const char *coding = response_field(it, "Transfer-Encoding");
    const char *length = response_field(it, "Content-Length");
    char *end;
    it->length = SIZE_MAX;
    if (it->status == 204 || it->status == 304) {
        it->length = 0;
    } else if (coding) {
        it->chunk = it->head;
        if (strncasecmp(coding, "chunked", 7) || !field_ends(coding + 7))
            return -EPROTO;
    } else if (length) {
        it->length = strtoul(length, &end, 10);
        if (!isdigit((unsigned char)*length) || !field_ends(end))
            return -EPROTO;
        if (it->length > RESPONSE_MAX)
            return -EMSGSIZE;
    }
    return 0;
}

/* Returns 0, or a negative errno. Sets `head`, if it is complete. A status of
 * 1xx is none yet: that head is dropped, and another one follows. */
static inline int response_parse_head(struct response *it)
{
    char *end, after[2];
    while ((end = strstr(it->data, "\r\n\r\n")) != NULL) {
        if (end - it->data > HEAD_MAX)
            return -EMSGSIZE;
        if (sscanf(it->data, "HTTP/1.%*1[01] %4d%1[ \r]", &it->status,
                   after) != 2 || it->status < 100 || it->status > 999)
            return -EPROTO;
        it->head = (size_t)(end - it->data) + 4;
        if (it->status >= 200)
            return response_parse_length(it);
        it->size -= it->head;
        memmove(it->data, it->data + it->head, it->size + 1);
        it->head = 0;
    }
    return it->size > HEAD_MAX ? -EMSGSIZE : 0;
}

/* Move the text of the chunks that are complete together. Returns 1 after the
 * last one, 0: there must be more, or a negative errno. */
static inline int response_join_chunks(struct response *it)
{
    char *line, *end;
    size_t size, rest;
    for (;;) {
        line = it->data + it->chunk;
        rest = it->size - it->chunk;
        end = memchr(line, '\n', rest);
        if (!end)
            return rest > HEAD_MAX ? -EPROTO : 0;
        if (!isxdigit((unsigned char)*line))
            return -EPROTO;
        size = strtoul(line, NULL, 16);
        if (size > RESPONSE_MAX)
            return -EMSGSIZE;
        if (size == 0) /* there may be more fields, then an empty line */
            return strstr(end - 1, "\r\n\r\n") != NULL;
        rest -= (size_t)(++end - line);
        if (rest < size + 2)
            return 0;
        if (memcmp(end + size, "\r\n", 2))
            return -EPROTO;
        memmove(it->data + it->head + it->body, end, size);
        it->body += size;
        it->chunk = (size_t)(end - it->data) + size + 2;
    }
}

/* Give it what a read returned: bytes, 0 at the end, or a negative errno.
 * Returns the status if that was all of it, 0: there must be more, or a
 * negative errno; the text is then at data + head, `body` bytes and '\0'. */
static inline int response_add(struct response *it, const char *data, ssize_t n)
{
    int result;
    if (n == 0)
        return it->head && !it->chunk && it->length == SIZE_MAX ? it->status
                                                                : -EPROTO;
    if (n < 0)
        return (int)n;
    result = response_append(it, data, (size_t)n);
    if (result == 0 && !it->head)
        result = response_parse_head(it);
    if (result < 0 || !it->head)
        return result;
    if (it->chunk) {
        result = response_join_chunks(it);
    } else {
        it->body = it->size - it->head;
        result = it->body >= it->length;
        it->body = result ? it->length : it->body;
    }
    if (result > 0)
        it->data[it->head + it->body] = '\0';
    return result > 0 ? it->status : result;
}

/* ---- the crawl ---- */

struct page {
    struct url url;
    int status; /* what the server said; a negative errno; 0: not fetched */
    size_t size;       /* of its text                         */
    struct page *same; /* the next of those with the same hash */
};

struct crawl {
    struct page **pages; /* in the order in which they were found */
    int found, given, done, running, most;
    int limit, jobs, timeout_ms; /* the options */
    struct sockaddr_in address;  /* of the host, which is looked up once */
    char ip[INET_ADDRSTRLEN];    /* the same as text */
    int64_t start_ms;
    struct page *known[BUCKETS];
};

static inline int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void *crawl_need(void *memory)
{
    if (!memory) {
        perror("crawl");
        exit(1);
    }
    return memory;
}

/* The page of that URL, which is made if it is not known. NULL: there are as
 * many as there may be. */
static inline struct page *crawl_add(struct crawl *it, const struct url *url)
{
    struct page **bucket = &it->known[url_hash(url) % BUCKETS], *page;
    for (page = *bucket; page; page = page->same)
        if (!url_compare(&page->url, url))
            return page;
    if (it->found == it->limit)
        return NULL;
    if ((it->found & (it->found - 1)) == 0) /* the powers of two */
        it->pages = crawl_need(realloc(it->pages, 2 * (size_t)(it->found + 1) *
                                                      sizeof *it->pages));
    page = crawl_need(calloc(1, sizeof *page));
    page->url = *url;
    page->same = *bucket;
    *bucket = page;
    it->pages[it->found++] = page;
    return page;
}

/* A page to be fetched, or NULL: none is known now. */
static inline struct page *crawl_next(struct crawl *it)
{
    return it->given < it->found ? it->pages[it->given++] : NULL;
}

/* Will there be no more? Not as long as one is fetched: it may have links. */
static inline int crawl_is_over(const struct crawl *it)
{
    return it->done == it->found;
}

/* Its fetch begins now. */
static inline void crawl_begin(struct crawl *it)
{
    it->running++;
    it->most = it->running > it->most ? it->running : it->most;
}

/* crawl_next and crawl_begin in one. */
static inline struct page *crawl_take(struct crawl *it)
{
    struct page *page = crawl_next(it);
    if (page)
        crawl_begin(it);
    return page;
}

static inline void crawl_follow(struct crawl *it, const struct page *from,
                                const char *link)
{
    struct url to;
    if (!url_resolve(&to, &from->url, link) &&
        !strcmp(to.host, from->url.host))
        crawl_add(it, &to);
}

/* The links of a text are new pages. A NUL in it does not end it. */
static inline void crawl_read(struct crawl *it, const struct page *page,
                              char *data, size_t size)
{
    const char *text = data;
    char link[PATH_SIZE], *nul;
    while ((nul = memchr(data, '\0', size)) != NULL)
        *nul = ' ';
    while ((text = next_link(text, link)) != NULL)
        crawl_follow(it, page, link);
}

/* A page that has moved leads to one page. */
static inline void crawl_redirect(struct crawl *it, const struct page *page,
                                  const struct response *response)
{
    const char *location = response_field(response, "Location");
    size_t size = location ? strcspn(location, " \t\r") : 0;
    char link[PATH_SIZE];
    if (!location || size >= sizeof link)
        return;
    memcpy(link, location, size);
    link[size] = '\0';
    crawl_follow(it, page, link);
}

/* The fetch has ended: `status` is HTTP's, or a negative errno. The links are
 * new pages; the response is freed. */
static inline void crawl_done(struct crawl *it, struct page *page,
                              struct response *response, int status)
{
    it->running--;
    it->done++;
    page->status = status;
    page->size = status > 0 ? response->body : 0;
    if (!response->data)
        return; /* nothing has come */
    if (status == 200)
        crawl_read(it, page, response->data + response->head, response->body);
    else if (status >= 300 && status < 400)
        crawl_redirect(it, page, response);
    response_free(response);
}

/* The request for a page, as text of at most REQUEST_SIZE. Returns its size. */
static inline size_t crawl_request(const struct page *page, char *text)
{
    return (size_t)snprintf(text, REQUEST_SIZE,
                            "GET %s HTTP/1.1\r\nHost: %s:%d\r\n"
                            "User-Agent: crawl\r\nConnection: close\r\n\r\n",
                            page->url.path, page->url.host, page->url.port);
}

/* ---- options and report ---- */

static inline void crawl_usage(const char *program)
{
    fprintf(stderr, "usage: %s http://HOST[:PORT]/[PATH] [--limit PAGES] "
                    "[--jobs N] [--timeout MS]\n", program);
    exit(2);
}

static inline void crawl_options(struct crawl *it, int argc, char **argv)
{
    const char *const names[] = {"--limit", "--jobs", "--timeout"};
    int *const values[] = {&it->limit, &it->jobs, &it->timeout_ms};
    int i, k;
    for (i = 2; i + 1 < argc; i += 2) {
        for (k = 0; k < 3 && strcmp(argv[i], names[k]); k++)
            ;
        if (k == 3 ||
            read_number(values[k], names[k], argv[i + 1], 1, NUMBER_MAX) < 0)
            crawl_usage(argv[0]);
    }
    if (i != argc)
        crawl_usage(argv[0]);
}

static inline int crawl_find_host(struct crawl *it, const char *host)
{
    struct addrinfo hints, *found;
    int error;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    error = getaddrinfo(host, NULL, &hints, &found);
    if (error)
        return error;
    memcpy(&it->address, found->ai_addr, sizeof it->address);
    inet_ntop(AF_INET, &it->address.sin_addr, it->ip, sizeof it->ip);
    freeaddrinfo(found);
    return 0;
}

/* Read the options, and find the host. Does not return if they are wrong. */
static inline void crawl_open(struct crawl *it, int argc, char **argv)
{
    struct url start;
    int error;
    memset(it, 0, sizeof *it);
    it->limit = 1000;
    it->jobs = 8;
    it->timeout_ms = 2000;
    if (argc < 2 || url_parse(&start, argv[1]) < 0)
        crawl_usage(argv[0]);
    crawl_options(it, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    error = crawl_find_host(it, start.host);
    if (error) {
        fprintf(stderr, "%s: %s\n", start.host, gai_strerror(error));
        exit(1);
    }
    it->start_ms = now_ms();
    crawl_add(it, &start);
}

static inline int crawl_compare(const void *a, const void *b)
{
    return url_compare(&(*(struct page *const *)a)->url,
                       &(*(struct page *const *)b)->url);
}

static inline void url_print(const struct url *it, FILE *out)
{
    fprintf(out, "http://%s:%d%s", it->host, it->port, it->path);
}

static inline void page_print(const struct page *it, FILE *out)
{
    if (it->status > 0)
        fprintf(out, "%d   ", it->status);
    else
        fprintf(out, it->status ? "error " : "left  ");
    url_print(&it->url, out);
    if (it->status < 0)
        fprintf(out, " %s", strerror(-it->status));
    fprintf(out, "\n");
}

/* Seconds of processor time, ours and that of the children we had. */
static inline double cpu_seconds(void)
{
    struct rusage own, children;
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec +
                    children.ru_utime.tv_sec + children.ru_stime.tv_sec) +
           (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec +
                    children.ru_utime.tv_usec + children.ru_stime.tv_usec) /
               1e6;
}

/* Print the pages in order on stdout, the totals on stderr, and free all.
 * Returns what main should: 0, or 1 if no page gave an answer, or the list did
 * not get out. */
static inline int crawl_report(struct crawl *it)
{
    size_t bytes = 0;
    int i, answers = 0, errors = 0;
    if (it->found > 0)
        qsort(it->pages, (size_t)it->found, sizeof *it->pages, crawl_compare);
    for (i = 0; i < it->found; i++) {
        page_print(it->pages[i], stdout);
        bytes += it->pages[i]->size;
        answers += it->pages[i]->status > 0;
        errors += it->pages[i]->status < 0;
        free(it->pages[i]);
    }
    free(it->pages);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "crawl: the list could not be written\n");
        answers = 0;
    }
    fprintf(stderr, "%d pages, %zu bytes, %d errors, %.3f s, %.3f s of CPU, "
                    "%d at once at most\n", it->found, bytes, errors,
            (double)(now_ms() - it->start_ms) / 1000, cpu_seconds(), it->most);
    return answers == 0;
}

/* ---- a blocking fetch ---- */

/* A socket that is connecting to the page's server. Returns it, or a negative
 * errno. It is non-blocking: time limits are poll's. */
static inline int crawl_connect(const struct crawl *it, const struct page *page)
{
    struct sockaddr_in to = it->address;
    int fd = socket(AF_INET, SOCK_STREAM, 0), error;
    if (fd < 0)
        return -errno;
    to.sin_port = htons((uint16_t)page->url.port);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
        fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
        (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ||
         errno == EINPROGRESS))
        return fd;
    error = -errno;
    close(fd);
    return error;
}

/* Wait until it can be read or written. Returns 0, or a negative errno. */
static inline int crawl_wait(int fd, short events, int64_t deadline_ms)
{
    struct pollfd one = {fd, events, 0};
    int64_t left;
    int n;
    do {
        left = deadline_ms - now_ms();
        n = poll(&one, 1, left > 0 ? (int)left : 0);
    } while (n < 0 && errno == EINTR);
    return n > 0 ? 0 : n < 0 ? -errno : -ETIMEDOUT;
}

static inline int crawl_send(int fd, const struct page *page,
                             int64_t deadline_ms)
{
    char request[REQUEST_SIZE];
    size_t size = crawl_request(page, request), sent = 0;
    ssize_t n;
    int error = 0;
    while (error == 0 && sent < size) {
        error = crawl_wait(fd, POLLOUT, deadline_ms);
        n = error ? 0 : send(fd, request + sent, size - sent, 0);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            error = -errno;
    }
    return error;
}

/* Fetch a page, and do nothing else meanwhile. Returns as response_add. */
static inline int crawl_fetch(const struct crawl *it, const struct page *page,
                              struct response *response)
{
    char data[16384];
    int64_t deadline_ms = now_ms() + it->timeout_ms;
    int fd = crawl_connect(it, page), status;
    ssize_t n;
    if (fd < 0)
        return fd;
    status = crawl_send(fd, page, deadline_ms);
    while (status == 0) {
        status = crawl_wait(fd, POLLIN, deadline_ms);
        if (status < 0)
            break;
        n = recv(fd, data, sizeof data, 0);
        if (n >= 0 || (errno != EAGAIN && errno != EINTR))
            status = response_add(response, data, n < 0 ? -errno : n);
    }
    close(fd);
    return status;
}
#endif
