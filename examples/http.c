/* http, a web server: the files below a directory, and /status in JSON.
 *
 *     cc -O2 -I. examples/http.c -lhttp_parser -o http && ./http 8080 docs
 *     curl -i http://127.0.0.1:8080/four-pages.svg
 *     curl http://127.0.0.1:8080/status
 *
 * It shows keep-alive and pipelining, one time limit for a whole request (so
 * sending it slowly gains nothing), and large files in pieces, at the pace of
 * who reads them. The parser is http-parser, which Debian has as a library; of
 * its successor llhttp there is only the source, in npm.
 *
 * A file is opened, and its first piece read, in the loop's thread: as long as
 * the page cache takes. The other pieces are read on a thread of the pool.
 */
#include "async.h"
#include <http_parser.h>
#include <strings.h>

enum { HEAD = 8192, PIECE = 65536, REQUEST_MS = 10000, STUCK_MS = 30000 };

static int directory = -1;
static long requests, connections;
static char first[PIECE]; /* first: no await before it is written */

/* What is under way on a connection. */
typedef struct answer {
    async_stream *stream;
    int keeps, only_head;
    int file; /* whose bytes from `at` on are still to be sent, if `left` */
    off_t at, left;
    char *piece;
} answer;

/* ---- requests ---- */

typedef struct request {
    const char *url, *since;
    size_t url_size, since_size;
    int field, hosts, has_body, keeps;
} request;

static int on_url(http_parser *parser, const char *at, size_t size)
{
    request *it = parser->data;
    it->url = at;
    it->url_size = size;
    return 0;
}

static int on_field(http_parser *parser, const char *at, size_t size)
{
    request *it = parser->data;
    it->field = size == 4 && !strncasecmp(at, "host", 4) ? 'h' :
        size == 17 && !strncasecmp(at, "if-modified-since", 17) ? 's' : 0;
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t size)
{
    request *it = parser->data;
    it->hosts += it->field == 'h';
    if (it->field == 's') {
        it->since = at;
        it->since_size = size;
    }
    return 0;
}

static int on_complete(http_parser *parser)
{
    request *it = parser->data;
    it->keeps = http_should_keep_alive(parser);
    it->has_body = (parser->flags & F_CHUNKED) ||
        (parser->content_length && parser->content_length != ULLONG_MAX);
    return 1; /* whatever follows is not parsed as its body */
}

/* Returns the status it has earned so far. */
static int parse(request *it, http_parser *parser, const char *head, size_t n)
{
    static const http_parser_settings settings = {
        .on_url = on_url, .on_header_field = on_field,
        .on_header_value = on_value, .on_headers_complete = on_complete };
    memset(it, 0, sizeof *it);
    http_parser_init(parser, HTTP_REQUEST);
    parser->data = it;
    if (http_parser_execute(parser, &settings, head, n) != n || !it->url ||
        HTTP_PARSER_ERRNO(parser) != HPE_OK || n < 4 ||
        memcmp(head + n - 4, "\r\n\r\n", 4) || it->hosts > 1 ||
        (parser->http_minor > 0 && !it->hosts))
        return 400;
    if (parser->method != HTTP_GET && parser->method != HTTP_HEAD)
        return 405;
    return it->has_body ? 413 : 200;
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at;
    at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The path as the file system knows it, below `directory`: no component begins
 * with a dot, so none is "..". Returns a status; `path` holds HEAD + 16. */
static int path_of(const request *it, char *path)
{
    struct http_parser_url url;
    const char *from, *end;
    char *to = path;
    http_parser_url_init(&url);
    if (http_parser_parse_url(it->url, it->url_size, 0, &url))
        return 400;
    from = it->url + url.field_data[UF_PATH].off;
    end = from + url.field_data[UF_PATH].len;
    while (from < end) {
        *to = *from++;
        if (*to == '%') {
            if (end - from < 2 || hex(from[0]) < 0 || hex(from[1]) < 0)
                return 400;
            *to = (char)(hex(from[0]) * 16 + hex(from[1]));
            from += 2;
        }
        if (!*to++)
            return 400;
    }
    *to = 0;
    if (to == path || to[-1] == '/')
        strcpy(to, to == path ? "/index.html" : "index.html");
    return strstr(path, "/.") || strstr(path, "//") ? 404 : 200;
}

/* ---- answers ---- */

static void http_time(char text[32], time_t seconds)
{
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(text, 32, "%a, %d %b %Y %H:%M:%S GMT", &parts);
}

static const char *date(void)
{
    static char text[32];
    static time_t then;
    if (then != time(NULL))
        http_time(text, then = time(NULL));
    return text;
}

/* `now` bytes of the body are there, and go with the head in one write. */
static void start(answer *it, int status, const char *type, const char *more,
                  off_t size, const char *body, size_t now)
{
    char head[512];
    struct iovec pieces[2] = { { head, 0 }, { (void *)(uintptr_t)body, now } };
    pieces[0].iov_len = (size_t)snprintf(
        head, sizeof head, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\n"
        "Content-Length: %lld\r\nConnection: %s\r\n%s\r\n", status,
        http_status_str((enum http_status)status), date(), type,
        (long long)size, it->keeps ? "keep-alive" : "close", more);
    if (async_stream_writev(it->stream, pieces, it->only_head ? 1 : 2) < 0)
        it->keeps = 0;
}

static void start_text(answer *it, int status, const char *type,
                       const char *text)
{
    start(it, status, type, status == 405 ? "Allow: GET, HEAD\r\n" : "",
          (off_t)strlen(text), text, strlen(text));
}

static void start_error(answer *it, int status)
{
    char text[64];
    snprintf(text, sizeof text, "%d %s\n", status,
             http_status_str((enum http_status)status));
    if (status != 404)
        it->keeps = 0; /* where the next request begins is not known */
    start_text(it, status, "text/plain", text);
}

static void start_status(answer *it)
{
    char text[96];
    snprintf(text, sizeof text, "{\"requests\":%ld,\"connections\":%ld}\n",
             requests, connections);
    start_text(it, 200, "application/json", text);
}

static const char *type_of(const char *path)
{
    static const char *const types[][2] = {
        { ".html", "text/html; charset=utf-8" },
        { ".txt", "text/plain; charset=utf-8" },
        { ".js", "text/javascript" }, { ".json", "application/json" },
        { ".css", "text/css" }, { ".svg", "image/svg+xml" },
        { ".png", "image/png" }, { ".jpg", "image/jpeg" },
    };
    const char *dot = strrchr(path, '.');
    size_t i;
    for (i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (!strcasecmp(dot, types[i][0]))
            return types[i][1];
    return "application/octet-stream";
}

/* O_NONBLOCK: for a FIFO that somebody put there. */
static void start_file(answer *it, const request *asked, const char *path)
{
    char changed[32], more[64];
    struct stat about;
    int status = 200;
    ssize_t n = 0;
    int file = openat(directory, path + 1, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0 || fstat(file, &about) < 0 || !S_ISREG(about.st_mode)) {
        start_error(it, file < 0 && (errno == EMFILE || errno == ENFILE) ?
                    503 : 404);
        if (file >= 0)
            close(file);
        return;
    }
    http_time(changed, about.st_mtime);
    snprintf(more, sizeof more, "Last-Modified: %s\r\n", changed);
    if (asked->since_size == strlen(changed) &&
        !strncmp(asked->since, changed, asked->since_size)) {
        status = 304;
        it->only_head = 1;
    }
    if (!it->only_head)
        n = read(file, first, sizeof first);
    n = n < 0 ? 0 : n > about.st_size ? about.st_size : n;
    start(it, status, type_of(path), more, about.st_size, first, (size_t)n);
    it->file = file;
    it->at = n;
    it->left = it->only_head ? 0 : about.st_size - n;
    if (!it->left)
        close(file);
}

static void respond(answer *it, const char *head, size_t size)
{
    char path[HEAD + 16];
    request asked;
    http_parser parser;
    int status = parse(&asked, &parser, head, size);
    requests++;
    it->keeps = asked.keeps;
    it->only_head = parser.method == HTTP_HEAD && status != 400;
    if (status == 200)
        status = path_of(&asked, path);
    if (status != 200)
        start_error(it, status);
    else if (!strcmp(path, "/status"))
        start_status(it);
    else
        start_file(it, &asked, path);
}

/* On a thread of the pool. */
static async_result read_piece(void *data)
{
    answer *it = data;
    ssize_t n = pread(it->file, it->piece, PIECE, it->at);
    return n < 0 ? -errno : n;
}

/* ---- tasks ---- */

async(send_rest, answer *it;)
{
    ssize_t n;
    async_begin;
    self->it->piece = malloc(PIECE);
    while (self->it->piece && self->it->left > 0) {
        await(n, async_stream_flush(self->it->stream), STUCK_MS);
        if (n < 0)
            async_return(n);
        await(n, async_offload(read_piece, self->it));
        if (n <= 0 || n > self->it->left)
            break; /* it is not the file any more whose size was told */
        if (async_stream_write(self->it->stream, self->it->piece, (size_t)n))
            break;
        self->it->at += n;
        self->it->left -= n;
    }
    if (self->it->left)
        async_return(-EIO);
    async_finally;
    free(self->it->piece);
    close(self->it->file);
    async_end;
}

async(session, int fd; answer answer; char head[HEAD];)
{
    ssize_t n;
    async_begin;
    connections++;
    self->answer.stream = async_stream_open(self->fd);
    self->answer.keeps = self->answer.stream != NULL;
    while (self->answer.keeps) {
        self->answer.only_head = 0;
        self->answer.left = 0;
        await(n, async_stream_read_until(self->answer.stream, self->head, HEAD,
                                         "\r\n\r\n", 4), REQUEST_MS);
        if (n > 0) {
            respond(&self->answer, self->head, (size_t)n);
        } else if (n == -EMSGSIZE) {
            start_error(&self->answer, 431);
        } else if (n == -ETIMEDOUT) { /* nothing for so long, or too little? */
            await(n, async_stream_read(self->answer.stream, self->head, 1), 0);
            if (n <= 0)
                break;
            start_error(&self->answer, 408);
        } else {
            break;
        }
        if (self->answer.left)
            await(n, async_call(send_rest, &self->answer));
        else
            await(n, async_stream_flush(self->answer.stream), STUCK_MS);
        if (n < 0)
            break;
    }
    async_finally;
    connections--;
    if (!self->answer.stream)
        async_close(self->fd);
    async_stream_close(self->answer.stream);
    async_end;
}

async(server, int port, listener;)
{
    int client;
    async_begin;
    self->listener = async_listen("127.0.0.1", self->port);
    if (self->listener < 0)
        async_return(self->listener);
    printf("listening on 127.0.0.1:%d\n", async_port(self->listener));
    fflush(stdout);
    for (;;) {
        await(client, async_accept(self->listener));
        if (client < 0)
            async_return(client);
        if (async_spawn(session, .fd = client) < 0)
            async_close(client);
    }
    async_end;
}

int main(int argc, char **argv)
{
    int error;
    directory = open(argc > 2 ? argv[2] : ".", O_RDONLY | O_DIRECTORY);
    error = directory < 0 ? -errno :
        (int)async_run(server, .port = argc > 1 ? atoi(argv[1]) : 8080);
    fprintf(stderr, "http: %s\n", strerror(-error));
    return 1;
}
