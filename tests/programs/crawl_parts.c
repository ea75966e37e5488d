/* What the crawlers read: where links lead, and responses, whatever the pieces they come in. A table for each; then
 * responses that are damaged by a seed, which must be read alike whole and in pieces, and stay inside their memory
 * (compile with the sanitizers). Says what is wrong, and how many were right. */
#include "crawl.h"

static int checked, failed;

static void check(int is_right, const char *what, const char *detail)
{
    checked++;
    failed += !is_right;
    if (!is_right)
        printf("wrong: %s: %s\n", what, detail);
}

/* ---- where links lead ---- */

static const char *const links[][2] = {
    {"", "http://host:80/a/b/c?q=/x"},
    {"#top", "http://host:80/a/b/c?q=/x"},
    {"?r", "http://host:80/a/b/c?r"},
    {"d", "http://host:80/a/b/d"},
    {"d/", "http://host:80/a/b/d/"},
    {"./d", "http://host:80/a/b/d"},
    {".", "http://host:80/a/b/"},
    {"..", "http://host:80/a/"},
    {"../d", "http://host:80/a/d"},
    {"../../d", "http://host:80/d"},
    {"../../../d", "http://host:80/d"},
    {"../../..", "http://host:80/"},
    {"/", "http://host:80/"},
    {"/d/../e/./f", "http://host:80/e/f"},
    {"/..d/.e/...", "http://host:80/..d/.e/..."},
    {"/d?e/../f#g", "http://host:80/d?e/../f"},
    {"//other/d", "http://other:80/d"},
    {"http://host", "http://host:80/"},
    {"HTTP://Host:80/D", "http://host:80/D"},
    {"http://host:8080?q", "http://host:8080/?q"},
    {"http://host:8080#q", "http://host:8080/"},
    {"http://host:/d", "http://host:80/d"},
    {"http://host:65535/", "http://host:65535/"},
    {"d:e", NULL},
    {"mailto:a@b", NULL},
    {"https://host/", NULL},
    {"http://", NULL},
    {"http:///d", NULL},
    {"http://host:0/", NULL},
    {"http://host:65536/", NULL},
    {"http://host:999999999999/", NULL},
    {"http://host:80x/", NULL},
    {"http://a@b/", NULL},
    {"http://[::1]/", NULL},
    {"with space", NULL},
    {"line\r\nX: y", NULL},
    {"\xc3\xa9", NULL},
};

static void check_links(void)
{
    struct url from, to;
    char text[2 * PATH_SIZE];
    size_t i;
    check(!url_parse(&from, "http://HOST/a/b/c?q=/x#y"), "url_parse", "from");
    for (i = 0; i < sizeof links / sizeof *links; i++) {
        strcpy(text, "nowhere");
        if (!url_resolve(&to, &from, links[i][0]))
            snprintf(text, sizeof text, "http://%s:%d%s", to.host, to.port, to.path);
        check(!strcmp(text, links[i][1] ? links[i][1] : "nowhere"), links[i][0], text);
    }
}

/* As long as may be, and one more. */
static void check_long_links(void)
{
    struct url from, to;
    char link[PATH_SIZE + 1];
    check(!url_parse(&from, "http://host/a/"), "url_parse", "from");
    memset(link, 'x', sizeof link);
    link[PATH_SIZE - 3] = '\0'; /* 3: "/a/", of which the end of `path` takes none */
    check(url_resolve(&to, &from, link) == -EINVAL, "one too long", "is followed");
    link[PATH_SIZE - 4] = '\0';
    check(!url_resolve(&to, &from, link) && strlen(to.path) == PATH_SIZE - 1, "the longest", "is not followed");
    memcpy(link, "http://", 7);
    link[7 + HOST_SIZE] = '\0';
    check(url_parse(&to, link) == -EINVAL, "too long a host", "is taken");
    link[7 + HOST_SIZE - 1] = '\0';
    check(!url_parse(&to, link), "the longest host", "is not taken");
}

static void check_text(void)
{
    static const char text[] = "<a href=\"one\"><a href=''><a HREF=\"two\"><a href=\"?a&amp;b&amp;amp;c\">"
                               "<a href=\"?a&#38;b&#x26;c&amp;#d\"><a href=\"&#47;x\"><a href=\"three";
    char link[PATH_SIZE];
    const char *rest = next_link(text, link);
    check(rest && !strcmp(link, "one"), "first link", link);
    rest = rest ? next_link(rest, link) : NULL;
    check(rest && !strcmp(link, "?a&b&amp;c"), "second link", link);
    rest = rest ? next_link(rest, link) : NULL;
    check(rest && !strcmp(link, "?a&b&c&#d"), "third link", link);
    check(rest && !next_link(rest, link), "another character as a number, and no end", link);
}

/* What a page of these bytes leads to: its links, or where it has moved. */
static void check_page(const char *bytes, size_t size, int found)
{
    static struct crawl crawl;
    struct response response = {0};
    struct page *page;
    struct url url;
    int status, i;
    memset(&crawl, 0, sizeof crawl);
    crawl.limit = 100;
    check(!url_parse(&url, "http://host/"), "url_parse", "from");
    crawl_add(&crawl, &url);
    page = crawl_take(&crawl);
    status = response_add(&response, bytes, (ssize_t)size);
    status = status ? status : response_add(&response, NULL, 0);
    crawl_done(&crawl, page, &response, status);
    check(crawl.found == found, "pages found", bytes);
    for (i = 0; i < crawl.found; i++)
        free(crawl.pages[i]);
    free(crawl.pages);
}

static void check_pages(void)
{
    static const char text[] = "HTTP/1.1 200 OK\r\n\r\n<a href=\"a\">\0<a href=\"b\0c\"><a href=\"d\">";
    static const char moved[] = "HTTP/1.1 302 Found\r\nLocation: /a \r\n\r\n";
    char far[2 * PATH_SIZE];
    int size = sprintf(far, "HTTP/1.1 302 Found\r\nLocation: /%0*d\r\n\r\n", PATH_SIZE, 0);
    check_page(text, sizeof text - 1, 3);
    check_page(moved, sizeof moved - 1, 2);
    check_page(far, (size_t)size, 1);
}

/* ---- responses ---- */

#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

/* What comes; what the end of the connection is or is not needed for; what it is. */
static const struct {
    const char *bytes;
    int status, waits_for_end;
    const char *text;
} responses[] = {
    {OK "Content-Length: 5\r\n\r\nhello", 200, 0, "hello"},
    {OK "content-length:5\r\n\r\nhello and more", 200, 0, "hello"},
    {OK "Content-Length: 0\r\n\r\n", 200, 0, ""},
    {OK "\r\nhello", 200, 1, "hello"},
    {OK "\r\n", 200, 1, ""},
    {"HTTP/1.0 404 Not Found\r\nX-Content-Length: 1\r\n\r\nno", 404, 1, "no"},
    {OK "Content-Lengthy: 1\r\n\r\nno", 200, 1, "no"},
    {"HTTP/1.1 204 Nothing\r\n\r\n", 204, 0, ""},
    {"HTTP/1.1 304 Same\r\nContent-Length: 7\r\n\r\n", 304, 0, ""},
    {"HTTP/1.1 204 Nothing\r\nTransfer-Encoding: chunked\r\n\r\n", 204, 0, ""},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK "Content-Length: 2\r\n\r\nhe", 200, 0,
     "he"},
    {OK "Transfer-Encoding: chunked \t\r\n\r\n0\r\n\r\n", 200, 0, ""},
    {OK "Content-Length: 2 \r\n\r\nhe", 200, 0, "he"},
    {CHUNKED "5\r\nhello\r\n0\r\n\r\n", 200, 0, "hello"},
    {CHUNKED "2\r\nhe\r\n3;name=value\r\nllo\r\n000\r\nTrailer: x\r\n\r\n", 200, 0, "hello"},
    {CHUNKED "A\r\n0123456789\r\n1\r\n!\r\n0\r\n\r\n", 200, 0, "0123456789!"},
    {CHUNKED "0\r\n\r\n", 200, 0, ""},
    {OK "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\nhe\r\n0\r\n\r\n", 200, 0, "he"},
    {"", -EPROTO, 1, NULL},
    {"HTTP/1.1 200", -EPROTO, 1, NULL},
    {OK "Content-Length: 5\r\n\r\nhell", -EPROTO, 1, NULL},
    {CHUNKED "5\r\nhello\r\n", -EPROTO, 1, NULL},
    {CHUNKED "5\r\nhello\r\n0\r\nTrailer: x\r\n", -EPROTO, 1, NULL},
    {CHUNKED "5\r\nhello!\r\n0\r\n\r\n", -EPROTO, 0, NULL},
    {CHUNKED "-5\r\nhello\r\n", -EPROTO, 0, NULL},
    {CHUNKED "\r\n", -EPROTO, 0, NULL},
    {CHUNKED "fffffffffffffffff\r\n", -EMSGSIZE, 0, NULL},
    {OK "Transfer-Encoding: gzip\r\n\r\n", -EPROTO, 0, NULL},
    {OK "Transfer-Encoding: gzip, chunked\r\n\r\n", -EPROTO, 0, NULL},
    {OK "Content-Length: -1\r\n\r\n", -EPROTO, 0, NULL},
    {OK "Content-Length: 99999999999999999999999\r\n\r\n", -EMSGSIZE, 0, NULL},
    {OK "Content-Length: 1048577\r\n\r\n", -EMSGSIZE, 0, NULL},
    {"HTTP/2 200\r\n\r\n", -EPROTO, 0, NULL},
    {"HTTP/1.1 100 Continue\r\n\r\n", -EPROTO, 1, NULL},
    {"HTTP/1.1 2007 OK\r\n\r\n", -EPROTO, 0, NULL},
    {"HTTP/1.1 20 OK\r\n\r\n", -EPROTO, 0, NULL},
    {"HTTP/1.1 200OK\r\n\r\n", -EPROTO, 0, NULL},
    {OK "Transfer-Encoding: chunkedly\r\n\r\n", -EPROTO, 0, NULL},
    {OK "Content-Length: 10abc\r\n\r\n0123456789", -EPROTO, 0, NULL},
    {"SSH-2.0-server\r\n\r\n", -EPROTO, 0, NULL},
};

/* Reads bytes in pieces of up to `most`, then their end if that is needed. Returns the status; *ended: the end was
 * needed. Each piece is a block of its own, so that the sanitizer sees a step too far. */
static int feed(struct response *it, const char *bytes, size_t size, size_t most, int *ended)
{
    int status = 0;
    size_t piece;
    char *copy;
    memset(it, 0, sizeof *it);
    for (; status == 0 && size > 0; bytes += piece, size -= piece) {
        piece = most > size ? size : 1 + (size_t)rand() % most;
        copy = malloc(piece);
        memcpy(copy, bytes, piece);
        status = response_add(it, copy, (ssize_t)piece);
        free(copy);
    }
    *ended = status == 0;
    return status ? status : response_add(it, NULL, 0);
}

static void check_responses(void)
{
    struct response response;
    size_t i, most;
    int ended, status;
    for (i = 0; i < sizeof responses / sizeof *responses; i++)
        for (most = 1; most < 200; most++) {
            status = feed(&response, responses[i].bytes, strlen(responses[i].bytes), most, &ended);
            check(status == responses[i].status, responses[i].bytes, strerror(abs(status)));
            check(ended == responses[i].waits_for_end, responses[i].bytes,
                  ended ? "waits for the end" : "does not wait for it");
            if (status > 0)
                check(response.body == strlen(responses[i].text) &&
                          !strcmp(response.data + response.head, responses[i].text),
                      responses[i].bytes, response.data + response.head);
            response_free(&response);
        }
}

/* The first error of a connection: what had come does not matter. */
static void check_error(void)
{
    struct response response = {0};
    check(response_add(&response, OK "\r\nhel", 22) == 0, "the beginning", "is not enough");
    check(response_add(&response, NULL, -ECONNRESET) == -ECONNRESET, "a reset", "is not an error");
    response_free(&response);
}

/* As large as may be, and one byte more. */
static void check_size(void)
{
    static char bytes[RESPONSE_MAX + 1];
    struct response response;
    int ended;
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, OK "\r\n", sizeof OK + 1);
    check(feed(&response, bytes, RESPONSE_MAX, 70000, &ended) == 200, "the largest", "is not read");
    response_free(&response);
    check(feed(&response, bytes, RESPONSE_MAX + 1, 70000, &ended) == -EMSGSIZE, "one too large", "is read");
    response_free(&response);
    memcpy(bytes, OK "X: ", sizeof OK + 2);
    check(feed(&response, bytes, 40000, 70000, &ended) == -EMSGSIZE, "too large a head", "is read");
    response_free(&response);
}

static void check_damaged(unsigned seed)
{
    struct response whole, cut;
    char bytes[256];
    size_t size, times;
    int ended, a, b;
    srand(seed);
    strcpy(bytes, responses[(size_t)rand() % (sizeof responses / sizeof *responses)].bytes);
    size = strlen(bytes);
    for (times = size ? (size_t)rand() % 4 : 0; times > 0; times--)
        bytes[(size_t)rand() % size] = "0f9\r\n: \0-;AZ"[rand() % 12];
    a = feed(&whole, bytes, size, 1000, &ended);
    b = feed(&cut, bytes, size, 1 + seed % 9, &ended);
    check(a == b && (a < 0 || (whole.body == cut.body &&
                               !memcmp(whole.data + whole.head, cut.data + cut.head, cut.body))),
          "read otherwise in pieces", bytes);
    response_free(&whole);
    response_free(&cut);
}

int main(void)
{
    unsigned seed;
    check_links();
    check_long_links();
    check_text();
    check_pages();
    check_responses();
    check_error();
    check_size();
    for (seed = 1; seed <= 30000; seed++)
        check_damaged(seed);
    printf("%d right\n", checked - failed);
    return failed > 0;
}
