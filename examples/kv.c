/* kv, a small Redis: strings that may expire, by the protocol that redis-cli
 * and all clients of Redis speak (requests are arrays; no inline commands).
 *
 *     cc -O2 -I. examples/kv.c -lhiredis -o kv && ./kv 7379
 *     redis-cli -p 7379 set greeting hello EX 60
 *     redis-benchmark -p 7379 -t set,get,incr,mset -P 16 -q
 *
 * A request has the form of a reply: hiredis's reader parses it, which is fed,
 * and so goes with any loop. A pipeline is answered by one write. A client is
 * bounded: in what it sends, in what waits for it, in how long it does nothing.
 * The hash table and the growing string are uthash's. What has expired is freed
 * when it is asked for; memory has no limit, and none left is the end.
 */
#include "async.h"
#include <hiredis/hiredis.h>
#include <strings.h>
#include <uthash.h>
#include <utstring.h>

enum { ARGUMENTS = 1024, REQUEST = 1 << 20, ANSWERS = 8 << 20 }; /* at most */
enum { PIECE = 16 << 10, IDLE_MS = 300000, STUCK_MS = 30000, GRACE_MS = 1000 };

typedef struct entry {
    int64_t expires_ns; /* 0: never */
    redisReply value;   /* of which only str and len count */
    UT_hash_handle hh;
    char key[]; /* the value's bytes are behind it */
} entry;

static entry *table;
static int listener;
static UT_string *out; /* the answers of one turn: a stream takes copies */

#define put(...) utstring_printf(out, __VA_ARGS__)

static void drop(entry *it)
{
    HASH_DEL(table, it);
    free(it);
}

static entry *find(const redisReply *key)
{
    entry *it;
    HASH_FIND(hh, table, key->str, key->len, it);
    if (!it || !it->expires_ns || it->expires_ns > async_now())
        return it;
    drop(it);
    return NULL;
}

static void store(const redisReply *key, const redisReply *value,
                  int64_t expires_ns)
{
    entry *it = find(key);
    if (it)
        drop(it);
    it = malloc(sizeof *it + key->len + value->len + 1);
    if (!it)
        abort();
    it->expires_ns = expires_ns;
    it->value.len = value->len;
    it->value.str = it->key + key->len;
    memcpy(it->key, key->str, key->len);
    memcpy(it->value.str, value->str, value->len + 1);
    HASH_ADD_KEYPTR(hh, table, it->key, key->len, it);
}

static void put_bulk(const redisReply *text)
{
    put("$%zu\r\n", text->len);
    utstring_bincpy(out, text->str, text->len);
    put("\r\n");
}

static int is(const redisReply *text, const char *name)
{
    return !strcasecmp(text->str, name);
}

static int is_integer(const redisReply *text, long long *number)
{
    char same[24]; /* as Redis writes it */
    *number = strtoll(text->str, NULL, 10);
    return text->len == (size_t)sprintf(same, "%lld", *number) &&
           !memcmp(text->str, same, text->len);
}

/* ---- commands: each returns a line to answer, or puts its answer ---- */

static const char not_integer[] =
    "-ERR value is not an integer or out of range";

static const char *on_set(const redisReply *r)
{
    int64_t unit_ns, expires_ns = 0;
    int nx = 0, xx = 0;
    long long n;
    size_t i;
    for (i = 3; i < r->elements; i++) {
        const redisReply *it = r->element[i];
        unit_ns = is(it, "ex") ? 1000000000 : is(it, "px") ? 1000000 : 0;
        if (is(it, "nx") && !xx)
            nx = 1;
        else if (is(it, "xx") && !nx)
            xx = 1;
        else if (!unit_ns || expires_ns || ++i == r->elements)
            return "-ERR syntax error";
        else if (!is_integer(r->element[i], &n))
            return not_integer;
        else if (n < 1 || n > INT64_MAX / 2 / unit_ns)
            return "-ERR invalid expire time in 'set' command";
        else
            expires_ns = async_now() + n * unit_ns;
    }
    if (find(r->element[1]) ? nx : xx)
        return "$-1";
    store(r->element[1], r->element[2], expires_ns);
    return "+OK";
}

static const char *on_exists(const redisReply *r) /* or del */
{
    int found = 0;
    size_t i;
    for (i = 1; i < r->elements; i++) {
        entry *it = find(r->element[i]);
        found += it != NULL;
        if (it && is(r->element[0], "del"))
            drop(it);
    }
    return put(":%d\r\n", found), NULL;
}

static const char *on_incr(const redisReply *r) /* or incrby, decr */
{
    const entry *it = find(r->element[1]);
    long long n = 0, by = is(r->element[0], "decr") ? -1 : 1;
    char digits[24];
    redisReply sum = {.str = digits};
    if ((r->elements > 2 && !is_integer(r->element[2], &by)) ||
        (it && !is_integer(&it->value, &n)))
        return not_integer;
    if (by < 0 ? n < LLONG_MIN - by : n > LLONG_MAX - by)
        return "-ERR increment or decrement would overflow";
    sum.len = (size_t)sprintf(digits, "%lld", n + by);
    store(r->element[1], &sum, it ? it->expires_ns : 0);
    return put(":%s\r\n", digits), NULL;
}

static const char *on_expire(const redisReply *r)
{
    entry *it = find(r->element[1]);
    long long n;
    if (!is_integer(r->element[2], &n))
        return not_integer;
    if (n > INT64_MAX / 2 / 1000000000)
        return "-ERR invalid expire time in 'expire' command";
    if (it)
        it->expires_ns = async_now() + (n < 0 ? 0 : n * 1000000000);
    return it ? ":1" : ":0";
}

static const char *on_ttl(const redisReply *r)
{
    const entry *it = find(r->element[1]);
    if (!it || !it->expires_ns)
        return it ? ":-1" : ":-2";
    return put(":%.0f\r\n", (double)(it->expires_ns - async_now()) / 1e9), NULL;
}

static const char *on_ping(const redisReply *r) /* or echo */
{
    return r->elements == 1 ? "+PONG" : (put_bulk(r->element[1]), NULL);
}

static const char *on_mget(const redisReply *r) /* or get: no count */
{
    size_t i;
    if (is(r->element[0], "mget"))
        put("*%zu\r\n", r->elements - 1);
    for (i = 1; i < r->elements && utstring_len(out) <= ANSWERS; i++) {
        const entry *it = find(r->element[i]);
        if (it)
            put_bulk(&it->value);
        else
            put("$-1\r\n");
    }
    return NULL;
}

static const char *on_mset(const redisReply *r)
{
    size_t i;
    if (r->elements % 2 == 0)
        return "-ERR wrong number of arguments for 'mset' command";
    for (i = 1; i < r->elements; i += 2)
        store(r->element[i], r->element[i + 1], 0);
    return "+OK";
}

/* What redis-cli and redis-benchmark ask before they begin. */
static const char *on_command(const redisReply *r) /* or config get */
{
    return r->elements < 3 ? "*0" : "*2\r\n$0\r\n\r\n$0\r\n";
}

static const struct command {
    const char *name;
    size_t least, most; /* words, the name among them */
    const char *(*run)(const redisReply *r);
} commands[] = {
    {"get", 2, 2, on_mget},      {"mget", 2, ARGUMENTS, on_mget},
    {"ping", 1, 2, on_ping},     {"set", 3, ARGUMENTS, on_set},
    {"echo", 2, 2, on_ping},     {"mset", 3, ARGUMENTS, on_mset},
    {"incr", 2, 2, on_incr},     {"exists", 2, ARGUMENTS, on_exists},
    {"decr", 2, 2, on_incr},     {"del", 2, ARGUMENTS, on_exists},
    {"incrby", 3, 3, on_incr},   {"config", 3, 3, on_command},
    {"expire", 3, 3, on_expire}, {"command", 1, 2, on_command},
    {"ttl", 2, 2, on_ttl},
};

static void execute(const redisReply *r)
{
    const struct command *it = commands;
    const struct command *end = it + sizeof commands / sizeof *commands;
    const char *line;
    while (it < end && !is(r->element[0], it->name))
        it++;
    if (it == end)
        put("-ERR unknown command\r\n");
    else if (r->elements < it->least || r->elements > it->most)
        put("-ERR wrong number of arguments for '%s' command\r\n", it->name);
    else if ((line = it->run(r)))
        put("%s\r\n", line);
}

/* ---- requests ---- */

static redisReplyObjectFunctions *usual, limited;

/* hiredis 0.14 would make room for any number of them; NULL is an error. */
#if HIREDIS_MAJOR < 1
static void *on_array(const redisReadTask *task, int count)
#else
static void *on_array(const redisReadTask *task, size_t count)
#endif
{
    return count > ARGUMENTS ? NULL : usual->createArray(task, count);
}

static int is_request(const redisReply *r)
{
    size_t i = 0;
    while (i < r->elements && r->element[i]->type == REDIS_REPLY_STRING)
        i++;
    return i > 0 && i == r->elements;
}

/* Answer the next request; `size` bytes have come since the last. Returns 1;
 * 0: it is not whole (a bulk's length is known before); -1: it is none. */
static int answer(redisReader *reader, size_t *size)
{
    void *request;
    int state = 0;
    if (redisReaderGetReply(reader, &request) != REDIS_OK ||
        (request ? !is_request(request) : *size > REQUEST ||
                   atoll(reader->buf + reader->pos) > REQUEST)) {
        put("-ERR Protocol error: expected at most %d bulk strings, %d bytes"
            "\r\n", ARGUMENTS, REQUEST);
        state = -1;
    } else if (request) {
        execute(request);
        *size = reader->len - reader->pos;
        state = 1;
    }
    freeReplyObject(request);
    return state;
}

async(session, int fd, state; async_stream *stream; redisReader *reader;
      size_t size; char input[PIECE];)
{
    ssize_t n;
    async_begin;
    self->stream = async_stream_open(self->fd);
    self->reader = redisReaderCreate();
    if (!self->reader)
        async_return(-ENOMEM);
    usual = self->reader->fn;
    limited = *usual;
    limited.createArray = on_array;
    self->reader->fn = &limited;
    while (self->state >= 0) {
        if (self->state == 0) {
            await(n, async_stream_read(self->stream, self->input, PIECE),
                  IDLE_MS);
            if (n <= 0)
                break;
            redisReaderFeed(self->reader, self->input, (size_t)n);
            self->size += (size_t)n;
        }
        utstring_clear(out);
        do
            self->state = answer(self->reader, &self->size);
        while (self->state > 0 && utstring_len(out) < PIECE);
        if (utstring_len(out) > ANSWERS || async_stream_write(
                self->stream, utstring_body(out), utstring_len(out)) < 0)
            break;
        await(n, async_stream_flush(self->stream), STUCK_MS);
        if (n < 0)
            break;
    }
    async_finally;
    redisReaderFree(self->reader);
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
    utstring_new(out);
    error = (int)async_run(server, .port = argc > 1 ? atoi(argv[1]) : 7379);
    if (error < 0)
        fprintf(stderr, "kv: %s\n", strerror(-error));
    return error < 0;
}
