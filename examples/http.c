/* http, a web server: the files below a directory, and /status in JSON.
 *
 *     cc -O2 -I. examples/http.c -lhttp_parser -o http && ./http 8080 docs
 *     curl -i http://127.0.0.1:8080/four-pages.svg
 *     curl http://127.0.0.1:8080/status
 *
 * The parser is http-parser: Debian 12 has it, and not its successor llhttp.
 * It shows keep-alive and pipelining, one time limit for a whole request, and
 * large files in pieces, at the pace of who reads them: the first is read in
 * the loop's thread, the others on one of the pool. A symbolic link is followed
 * wherever it leads. SIGTERM, SIGINT: GRACE_MS for the connections that are
 * open, then who takes nothing for 5 s is cut off.
 */
#include "async.h"
#include "number.h"
#include <ctype.h>
#include <http_parser.h>
#include <strings.h>

enum { HEAD = 8192, PIECE = 32768 };
enum { REQUEST_MS = 10000, STUCK_MS = 30000, GRACE_MS = 5000 };

async_declare(session, int fd, keeps, only_head; async_stream *stream;
              int file; off_t left; /* open, while `left` bytes are to go */
              char data[PIECE];);   /* the request, then of the body      */

static int directory, listener;
static long requests, connections;

struct target {
    char *path;
    int hosts;
};

/* Make a path below `directory` of the URL. Returns 0; not 0: a bad request. */
static int on_url(http_parser *parser, const char *url, size_t size)
{
    struct http_parser_url part;
    const char *from, *end;
    char *path = ((struct target *)parser->data)->path, *to = path;
    unsigned code;
    if (*path) /* a second request, behind bare line feeds */
        return 1;
    http_parser_url_init(&part);
    if (http_parser_parse_url(url, size, parser->method == HTTP_CONNECT, &part))
        return 1;
    from = url + part.field_data[UF_PATH].off;
    end = from + part.field_data[UF_PATH].len;
    while (from < end) {
        code = (unsigned char)*from++;
        if (code == '%') {
            if (!isxdigit(from[0] & 255) || !isxdigit(from[1] & 255))
                return 1;
            sscanf(from, "%2x", &code);
            from += 2;
        }
        if (code == 0)
            return 1;
        *to++ = (char)code;
    }
    strcpy(to, to == path ? "/index.html" : to[-1] == '/' ? "index.html" : "");
    return 0;
}

/* RFC 9112, 5.1: no space may follow a field's name. */
static int on_field(http_parser *parser, const char *name, size_t size)
{
    struct target *target = parser->data;
    target->hosts += size == 4 && !strncasecmp(name, "Host", 4);
    return name[size - 1] == ' ';
}

/* Returns the status that a request has earned so far. */
static enum http_status parse(struct session *it, size_t size, char *path)
{
    static const http_parser_settings settings = {.on_url = on_url,
                                                .on_header_field = on_field};
    struct target target = {path, 0};
    http_parser parser;
    *path = it->data[size] = '\0';
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &target;
    if (http_parser_execute(&parser, &settings, it->data, size) != size ||
        HTTP_PARSER_ERRNO(&parser) != HPE_OK || !*path ||
        strlen(it->data) != size || strcmp(it->data + size - 4, "\r\n\r\n") ||
        target.hosts > 1 || (target.hosts == 0 && parser.http_minor > 0))
        return 400;
    it->only_head = parser.method == HTTP_HEAD;
    it->keeps = http_should_keep_alive(&parser) && listener >= 0;
    if (parser.method != HTTP_GET && parser.method != HTTP_HEAD)
        return 405;
    if (parser.flags & (F_CHUNKED | F_CONTENTLENGTH))
        return 413;
    /* No name begins with a dot: so none is hidden, and none is "..". */
    return *path != '/' || strstr(path, "/.") || strstr(path, "//") ? 404 : 200;
}

static const char *type_of(const char *path)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"}, {".css", "text/css"},
        {".js", "text/javascript"}, {".svg", "image/svg+xml"},
        {".png", "image/png"}, {".txt", "text/plain; charset=utf-8"},
        {".md", "text/markdown; charset=utf-8"}};
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
    ssize_t n = read(it->file, it->data, size);
    if (n < 0)
        return -errno;
    if ((it->left -= n) == 0)
        close(it->file); /* the loop has never had it: no async_close */
    return n;
}

/* `now` bytes of the body are in `data`, and go with the head in one write. */
static void answer(struct session *it, enum http_status status,
                   const char *type, off_t size, ssize_t now)
{
    char head[512], date[32];
    struct iovec pieces[2] = {{head, 0}, {it->data, now < 0 ? 0 : (size_t)now}};
    time_t seconds = time(NULL);
    struct tm utc;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT",
             gmtime_r(&seconds, &utc));
    pieces[0].iov_len = (size_t)snprintf(
        head, sizeof head, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\n"
        "Content-Length: %lld\r\nConnection: %s\r\n%s\r\n", status,
        http_status_str(status), date, type, (long long)size,
        it->keeps ? "keep-alive" : "close",
        status == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (async_stream_writev(it->stream, pieces, it->only_head ? 1 : 2) < 0)
        it->keeps = 0;
}

/* Returns 0 if there is no such file. */
static int answer_file(struct session *it, const char *path)
{
    struct stat about;
    if (fstatat(directory, path + 1, &about, 0) < 0 || !S_ISREG(about.st_mode))
        return 0;
    it->file = openat(directory, path + 1, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (it->file < 0)
        return 0;
    it->left = it->only_head ? 0 : about.st_size;
    answer(it, 200, type_of(path), about.st_size, read_piece(it));
    return 1;
}

/* `size` is that of the request, or why there is none. */
static void respond(struct session *it, ssize_t size)
{
    char path[HEAD + 16];
    enum http_status status;
    int n;
    requests++;
    it->keeps = it->only_head = 0;
    status = size == -EMSGSIZE ? 431 : size < 0 ? 408 :
        parse(it, (size_t)size, path);
    if (status == 200 && !strcmp(path, "/status")) {
        n = sprintf(it->data, "{\"requests\":%ld,\"connections\":%ld}\n",
                    requests, connections);
        answer(it, 200, "application/json", n, n);
    } else if (status != 200 || !answer_file(it, path)) {
        status = status == 200 ? 404 : status;
        it->keeps &= status == 404; /* else the next request may be anywhere */
        n = sprintf(it->data, "%d %s\n", status, http_status_str(status));
        answer(it, status, "text/plain", n, n);
    }
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
            n = n > 0 ? -ETIMEDOUT : 0; /* 0 ms: only what is there already */
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
    (void)signo, (void)unused, async_close(listener);
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
    int error, port = 8080;
    if (argc > 3 || (argc > 1 && read_number(&port, "PORT", argv[1], 0, 65535)))
        return fprintf(stderr, "usage: http [PORT [DIRECTORY]]\n"), 2;
    directory = open(argc > 2 ? argv[2] : ".", O_RDONLY | O_DIRECTORY);
    error = directory < 0 ? -errno : (int)async_run(server, port);
    if (error < 0)
        fprintf(stderr, "http: %s\n", strerror(-error));
    return error < 0;
}
