/* http, a web server: the files below a directory, and /status in JSON.
 *
 *     cc -O2 -I. examples/http.c -lhttp_parser -o http && ./http 8080 docs
 *     curl -i http://127.0.0.1:8080/four-pages.svg
 *     curl http://127.0.0.1:8080/status
 *
 * It shows keep-alive and pipelining, one time limit for a whole request, and
 * large files in pieces, at the pace of who reads them: the first is read in
 * the loop's thread, the others on one of the pool. SIGTERM, SIGINT: GRACE_MS
 * for the connections that are open. The parser, http-parser, is in Debian.
 */
#include "async.h"
#include <ctype.h>
#include <http_parser.h>
#include <strings.h>

enum { HEAD = 8192, PIECE = 32768 };
enum { REQUEST_MS = 10000, STUCK_MS = 30000, GRACE_MS = 5000 };

async_declare(session, int fd, keeps, only_head; async_stream *stream;
              int file; off_t at, left; /* open, while `left` bytes are to go */
              char data[PIECE];         /* the request, then pieces of files  */
);

static int directory, listener;
static long requests, connections;

/* Make a path below `directory` of the URL. Returns 0; not 0: a bad request. */
static int on_url(http_parser *parser, const char *url, size_t size)
{
    struct http_parser_url parts;
    const char *from, *end;
    char *path = parser->data, *to = path;
    unsigned code;
    http_parser_url_init(&parts);
    if (http_parser_parse_url(url, size, parser->method == HTTP_CONNECT,
                              &parts))
        return 1;
    from = url + parts.field_data[UF_PATH].off;
    end = from + parts.field_data[UF_PATH].len;
    for (; from < end; from++) {
        code = (unsigned char)*from;
        if (code == '%') {
            if (!isxdigit(from[1] & 255) || !isxdigit(from[2] & 255))
                return 1;
            sscanf(from + 1, "%2x", &code);
            from += 2;
        }
        if (code == 0)
            return 1;
        *to++ = (char)code;
    }
    strcpy(to, to == path ? "/index.html" : to[-1] == '/' ? "index.html" : "");
    return 0;
}

/* The value of a header, after so many of the same name; or NULL. */
static const char *header(const char *head, const char *name, int skip)
{
    size_t size = strlen(name);
    while ((head = strchr(head, '\n')) != NULL)
        if (!strncasecmp(++head, name, size) && skip-- == 0)
            return head + size + strspn(head + size, " \t");
    return NULL;
}

/* Returns the status that a request has earned so far. */
static int parse(struct session *it, size_t size, char *path)
{
    static const http_parser_settings settings = {.on_url = on_url};
    http_parser parser;
    *path = it->data[size] = '\0';
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = path;
    if (http_parser_execute(&parser, &settings, it->data, size) != size ||
        HTTP_PARSER_ERRNO(&parser) != HPE_OK || !*path ||
        strcmp(it->data + size - 4, "\r\n\r\n") ||
        header(it->data, "Host:", 1) ||
        (parser.http_minor > 0 && !header(it->data, "Host:", 0)))
        return 400;
    it->only_head = parser.method == HTTP_HEAD;
    it->keeps = http_should_keep_alive(&parser) && listener >= 0;
    if (parser.method != HTTP_GET && parser.method != HTTP_HEAD)
        return 405;
    if (parser.flags & (F_CHUNKED | F_CONTENTLENGTH))
        return 413;
    /* No name begins with a dot: so none is hidden, and none is "..". */
    return strstr(path, "/.") || strstr(path, "//") ? 404 : 200;
}

static const char *http_time(char *text, time_t seconds)
{
    struct tm parts;
    strftime(text, 32, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&seconds, &parts));
    return text;
}

/* `now` bytes of the body are there, and go with the head in one write. */
static void answer(struct session *it, int status, const char *type,
                   const char *more, off_t size, const char *body, size_t now)
{
    char head[512], date[32];
    struct iovec pieces[2] = {{head, 0}, {(void *)(uintptr_t)body, now}};
    pieces[0].iov_len = (size_t)snprintf(
        head, sizeof head, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\n"
        "Content-Length: %lld\r\nConnection: %s\r\n%s\r\n", status,
        http_status_str(status), http_time(date, time(NULL)),
        type, (long long)size, it->keeps ? "keep-alive" : "close", more);
    if (async_stream_writev(it->stream, pieces, it->only_head ? 1 : 2) < 0)
        it->keeps = 0;
}

static const char *type_of(const char *path)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"}, {".css", "text/css"},
        {".txt", "text/plain; charset=utf-8"}, {".js", "text/javascript"},
        {".svg", "image/svg+xml"}, {".png", "image/png"},
        {".jpg", "image/jpeg"}, {".json", "application/json"}};
    const char *dot = strrchr(path, '.');
    size_t i;
    for (i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (!strcasecmp(dot, types[i][0]))
            return types[i][1];
    return "application/octet-stream";
}

/* Read the next piece. Returns as async_read. */
static async_result read_piece(void *data)
{
    struct session *it = data;
    size_t size = it->left < PIECE ? (size_t)it->left : PIECE;
    ssize_t n = pread(it->file, it->data, size, it->at);
    if (n < 0)
        return -errno;
    it->at += n;
    it->left -= n;
    if (it->left == 0)
        close(it->file);
    return n;
}

/* Returns 0 if there is no such file. */
static int answer_file(struct session *it, const char *path)
{
    char changed[32], more[64];
    const char *since = header(it->data, "If-Modified-Since:", 0);
    struct stat about;
    ssize_t n;
    if (fstatat(directory, path + 1, &about, 0) < 0 || !S_ISREG(about.st_mode))
        return 0;
    it->file = openat(directory, path + 1, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (it->file < 0)
        return 0;
    http_time(changed, about.st_mtime);
    snprintf(more, sizeof more, "Last-Modified: %s\r\n", changed);
    since = since && !strncmp(since, changed, strlen(changed)) ? since : NULL;
    it->only_head |= since != NULL;
    it->at = 0;
    it->left = it->only_head ? 0 : about.st_size;
    n = read_piece(it);
    answer(it, since ? 304 : 200, type_of(path), more, about.st_size, it->data,
           n < 0 ? 0 : (size_t)n);
    return 1;
}

/* `size` is that of the request, or why there is none. */
static void respond(struct session *it, ssize_t size)
{
    char path[HEAD + 16], text[96];
    const char *type = "text/plain";
    int status;
    requests++;
    it->keeps = it->only_head = 0;
    status = size == -EMSGSIZE ? 431 : size < 0 ? 408 :
        parse(it, (size_t)size, path);
    if (status == 200 && !strcmp(path, "/status")) {
        type = "application/json";
        sprintf(text, "{\"requests\":%ld,\"connections\":%ld}\n", requests,
                connections);
    } else {
        if (status == 200 && answer_file(it, path))
            return;
        status = status == 200 ? 404 : status;
        it->keeps &= status == 404; /* else the next request may be anywhere */
        sprintf(text, "%d %s\n", status, http_status_str(status));
    }
    answer(it, status, type, status == 405 ? "Allow: GET, HEAD\r\n" : "",
           (off_t)strlen(text), text, strlen(text));
}

async_define(session)
{
    ssize_t n;
    async_begin;
    connections++;
    self->stream = async_stream_open(self->fd);
    do {
        await(n, async_stream_read_until(self->stream, self->data, HEAD,
                                         "\r\n\r\n", 4), REQUEST_MS);
        if (n == -ETIMEDOUT) { /* nothing for so long, or too little? */
            await(n, async_stream_read(self->stream, self->data, 1), 0);
            n = n > 0 ? -ETIMEDOUT : 0;
        }
        if (n <= 0 && n != -EMSGSIZE && n != -ETIMEDOUT)
            break;
        respond(self, n);
        while (self->left > 0) {
            await(n, async_stream_flush(self->stream), STUCK_MS);
            if (n == 0)
                await(n, async_offload(read_piece, self));
            if (n <= 0 || async_stream_write(self->stream, self->data,
                                             (size_t)n) < 0)
                async_return(-EIO); /* also where the file has become shorter */
        }
        await(n, async_stream_flush(self->stream), STUCK_MS);
    } while (n == 0 && self->keeps);
    async_finally;
    connections--;
    if (self->left > 0)
        close(self->file);
    if (async_stream_close(self->stream) < 0)
        async_close(self->fd);
    async_end;
}

static void on_signal(int signo, void *unused)
{
    (void)signo, (void)unused;
    async_close(listener);
    listener = -1;
}

async(server, int port;)
{
    int client;
    async_begin;
    listener = async_listen("127.0.0.1", self->port);
    if (listener < 0)
        async_return(listener);
    async_on_signal(SIGTERM, NULL, on_signal);
    async_on_signal(SIGINT, NULL, on_signal);
    printf("listening on 127.0.0.1:%d\n", async_port(listener));
    fflush(stdout);
    for (;;) {
        await(client, async_accept(listener));
        if (client < 0)
            break; /* most likely closed by on_signal */
        if (async_spawn(session, .fd = client) < 0)
            async_close(client);
    }
    await(client, async_join_children(), GRACE_MS);
    async_return(listener < 0 ? 0 : -ENOMEM);
    async_end;
}

int main(int argc, char **argv)
{
    int error;
    directory = open(argc > 2 ? argv[2] : ".", O_RDONLY | O_DIRECTORY);
    error = directory < 0 ? -errno :
        (int)async_run(server, .port = argc > 1 ? atoi(argv[1]) : 8080);
    if (error < 0)
        fprintf(stderr, "http: %s\n", strerror(-error));
    return error < 0;
}
