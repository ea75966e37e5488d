/* kv, a small Redis: strings that may expire, for redis-cli and all clients of
 * Redis (requests are arrays; there are no inline commands). It knows
 * get, set (EX, PX), mset, del, incr, expire, ttl and ping.
 *
 *     cc -O2 -I. examples/kv.c -lhiredis -o kv && ./kv 7379
 *     redis-cli -p 7379 set greeting hello EX 60
 *     redis-benchmark -p 7379 -t set,get,incr,mset -P 16 -q
 *
 * A request has the form of a reply: hiredis's reader parses it, which is fed,
 * and so goes with any loop. A pipeline is answered by one write. A client is
 * bounded: in what it sends, in what waits for it, in how long it does nothing.
 * The hash table and the growing string are uthash's. What has expired is freed
 * when it is asked for; memory has no limit, and none left is the end; the hash
 * is not secret: for clients that mean well. SIGTERM, SIGINT: the answers that
 * are ready are still sent; who takes nothing for 5 s is cut off.
 */
#include "async.h"
#include "number.h"
#include <hiredis/hiredis.h>
#include <strings.h>
#include <uthash.h>
#include <utstring.h>

enum { WORDS = 1024, REQUEST = 1 << 20, PIECE = 16 << 10 }; /* at most */
enum { IDLE_MS = 300000, STUCK_MS = 30000, SECOND = 1000000000 };

typedef struct entry {
    int64_t expires_ns; /* 0: never */
    redisReply value;   /* of which only str and len count */
    UT_hash_handle hh;
    char key[]; /* the value's bytes are behind it */
} entry;

static entry *table;
static UT_string *out; /* the answers of one turn: a stream takes copies */
#define put(...) utstring_printf(out, __VA_ARGS__)

static int drop(entry *it) /* or nothing. Returns how many. */
{
    if (!it)
        return 0;
    HASH_DEL(table, it);
    free(it);
    return 1;
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
    entry *it;
    drop(find(key));
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

static int is(const redisReply *word, const char *name)
{
    return word->len == strlen(name) && !strcasecmp(word->str, name);
}

static int is_integer(const redisReply *word, long long *number)
{
    char same[24]; /* as Redis writes it */
    *number = strtoll(word->str, NULL, 10);
    return word->len == (size_t)sprintf(same, "%lld", *number) &&
           !memcmp(word->str, same, word->len);
}

/* ---- commands: each puts its answer but for the end, which it returns ---- */

static const char no_integer[] = "-ERR value is not an integer or out of range";

static const char *bulk(const redisReply *text)
{
    put("$%zu\r\n", text->len);
    utstring_bincpy(out, text->str, text->len);
    return "";
}

static const char *on_ping(const redisReply *r)
{
    return r->elements == 1 ? "+PONG" : bulk(r->element[1]);
}

static const char *on_get(const redisReply *r)
{
    const entry *it = find(r->element[1]);
    return it ? bulk(&it->value) : "$-1";
}

static const char *on_set(const redisReply *r)
{
    const redisReply *unit = r->elements == 5 ? r->element[3] : NULL;
    int64_t unit_ns = !unit ? 0 : is(unit, "ex") ? SECOND
                    : is(unit, "px") ? SECOND / 1000 : 0;
    long long n = 0;
    if (r->elements > 3 && !unit_ns)
        return "-ERR syntax error";
    if (unit_ns && !is_integer(r->element[4], &n))
        return no_integer;
    if (unit_ns && (n < 1 || n > INT64_MAX / 2 / unit_ns))
        return "-ERR invalid expire time in 'set' command";
    store(r->element[1], r->element[2], n ? async_now() + n * unit_ns : 0);
    return "+OK";
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

static const char *on_del(const redisReply *r)
{
    int count = 0;
    size_t i;
    for (i = 1; i < r->elements; i++)
        count += drop(find(r->element[i]));
    put(":%d", count);
    return "";
}

static const char *on_incr(const redisReply *r)
{
    const entry *it = find(r->element[1]);
    char digits[24];
    redisReply sum = {.str = digits};
    long long n = 0;
    if (it && !is_integer(&it->value, &n))
        return no_integer;
    if (n == LLONG_MAX)
        return "-ERR increment or decrement would overflow";
    sum.len = (size_t)sprintf(digits, "%lld", n + 1);
    store(r->element[1], &sum, it ? it->expires_ns : 0);
    put(":%s", digits);
    return "";
}

static const char *on_expire(const redisReply *r)
{
    entry *it = find(r->element[1]);
    long long n;
    if (!is_integer(r->element[2], &n))
        return no_integer;
    if (n > INT64_MAX / 2 / SECOND)
        return "-ERR invalid expire time in 'expire' command";
    if (it)
        it->expires_ns = async_now() + (n < 0 ? 0 : n * SECOND);
    return it ? ":1" : ":0";
}

static const char *on_ttl(const redisReply *r)
{
    const entry *it = find(r->element[1]);
    if (!it || !it->expires_ns)
        return it ? ":-1" : ":-2";
    put(":%.0f", (double)(it->expires_ns - async_now()) / SECOND);
    return "";
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
    {"get", 2, 2, on_get},        {"set", 3, WORDS, on_set},
    {"ping", 1, 2, on_ping},      {"mset", 3, WORDS, on_mset},
    {"incr", 2, 2, on_incr},      {"del", 2, WORDS, on_del},
    {"expire", 3, 3, on_expire},  {"ttl", 2, 2, on_ttl},
    {"config", 3, 3, on_command}, {"command", 1, 2, on_command},
    {NULL, 0, 0, NULL}};

static int is_request(const redisReply *r)
{
    size_t i = 0;
    while (i < r->elements && r->element[i]->type == REDIS_REPLY_STRING)
        i++;
    return i > 0 && i == r->elements;
}

/* Returns 1; or -1, if it is no request. */
static int execute(const redisReply *r)
{
    const struct command *it = commands;
    const char *end = "";
    if (!r || !is_request(r)) {
        put("-ERR Protocol error: expected an array of at most %d bulk strings,"
            " %d bytes\r\n", WORDS, REQUEST);
        return -1;
    }
    while (it->name && !is(r->element[0], it->name))
        it++;
    if (!it->name)
        end = "-ERR unknown command";
    else if (r->elements < it->least || r->elements > it->most)
        put("-ERR wrong number of arguments for '%s' command", it->name);
    else
        end = it->run(r);
    utstring_bincpy(out, end, strlen(end));
    utstring_bincpy(out, "\r\n", 2);
    return 1;
}

/* ---- requests ---- */

/* What hiredis makes replies with; `limited` makes no array that is too long,
 * as hiredis 0.14 would, and none inside another one. NULL is an error. */
static redisReplyObjectFunctions *usual, limited;
#if HIREDIS_MAJOR < 1
static void *on_array(const redisReadTask *task, int count)
#else
static void *on_array(const redisReadTask *task, size_t count)
#endif
{
    return task->parent || count > WORDS ? NULL
                                         : usual->createArray(task, count);
}

/* Answer the next request; `size` bytes have come since the last. Returns 1;
 * 0: it is not whole (its type and a bulk's length are known before); -1: it is
 * none. */
static int answer(redisReader *reader, size_t *size)
{
    void *request;
    int state;
    redisReaderGetReply(reader, &request);
    if (!request && !reader->err && *size <= REQUEST &&
        (!reader->pos || strchr("*$\n", reader->buf[reader->pos - 1])) &&
        atoll(reader->buf + reader->pos) <= REQUEST) /* behind a bulk's `$` */
        return 0;
    state = execute(request);
    freeReplyObject(request);
    *size = reader->len - reader->pos;
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
    do {
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
        n = async_stream_write(self->stream, utstring_body(out),
                               utstring_len(out));
        if (n == 0)
            await(n, async_stream_flush(self->stream), STUCK_MS);
    } while (n == 0 && self->state >= 0);
    async_finally;
    redisReaderFree(self->reader);
    if (async_stream_close(self->stream) < 0)
        async_close(self->fd);
    async_end;
}

/* Cancels all tasks; streams send what they have. */
static void on_stop(int n, void *p) { (void)n, (void)p, async_loop_stop(); }

async(server, int port, listener;)
{
    int client;
    async_begin;
    self->listener = async_listen("127.0.0.1", self->port);
    if (self->listener < 0)
        async_return(self->listener);
    async_on_signal(SIGTERM, NULL, on_stop);
    async_on_signal(SIGINT, NULL, on_stop);
    printf("listening on 127.0.0.1:%d\n", async_port(self->listener));
    fflush(stdout);
    for (;;) {
        await(client, async_accept(self->listener));
        if (client < 0)
            async_return(client);
        if (async_spawn(session, .fd = client) < 0)
            async_close(client);
    }
    async_finally;
    async_close(self->listener);
    async_end;
}

int main(int argc, char **argv)
{
    int error, port = 7379;
    if (argc > 2 || (argc > 1 && read_number(&port, "PORT", argv[1], 0, 65535)))
        return fprintf(stderr, "usage: kv [PORT]\n"), 2;
    utstring_new(out);
    error = (int)async_run(server, port);
    if (error == -ECANCELED) /* by on_stop */
        return 0;
    fprintf(stderr, "kv: %s\n", strerror(-error));
    return 1;
}
