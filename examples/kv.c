/* kv, a small Redis: strings that may expire, by the protocol that redis-cli
 * and all clients of Redis speak (requests are arrays; no inline commands).
 *
 *     cc -O2 -I. examples/kv.c -o kv && ./kv 7379
 *     redis-cli -p 7379 set greeting hello EX 60
 *     redis-benchmark -p 7379 -t set,get,incr,mset -P 16 -q
 *
 * GET SET DEL EXISTS INCR INCRBY DECR EXPIRE TTL MGET MSET PING ECHO; no others
 * (DECRBY, FLUSHALL), no limit of its memory, and what has expired is freed
 * when it is asked for. It shows a protocol read as it is written, by lines and
 * exact sizes; how a pipeline is answered by one write; how a client is
 * bounded: in what it sends, in what waits for it, in how long it may do
 * nothing. SIGTERM, SIGINT: GRACE_MS for the clients. The hash table and the
 * growing string are uthash's. No memory is the end of it, as with Redis.
 */
#include "async.h"
#include <strings.h>
#include <uthash.h>
#include <utstring.h>

enum { ARGUMENTS = 1024, REQUEST = 1 << 20, ANSWERS = 8 << 20 }; /* at most */
enum { LINE = 32, PIECE = 64 << 10 };
enum { IDLE_MS = 300000, STUCK_MS = 30000, GRACE_MS = 1000 };

typedef struct text { size_t size; char bytes[2]; } text; /* and "\r\n" */
typedef struct entry {
    text *key, *value;
    int64_t expires_ns; /* 0: never */
    UT_hash_handle hh;
} entry;

async_declare(session, int fd, goes_on; async_stream *stream;
              char line[LINE]; UT_string answers;
              size_t count; text *texts[ARGUMENTS]; /* the request */
);
typedef struct session request;

static entry *table;
static int listener;
static UT_string *out; /* of the client that is served */

#define put(...) utstring_printf(out, __VA_ARGS__)

static text *text_new(size_t size)
{
    text *it = malloc(sizeof *it + size);
    if (!it)
        abort();
    it->size = size;
    return it;
}

static void drop(entry *it)
{
    HASH_DEL(table, it);
    free(it->key);
    free(it->value);
    free(it);
}

static entry *find(const text *key)
{
    entry *it;
    HASH_FIND(hh, table, key->bytes, key->size, it);
    if (!it || !it->expires_ns || it->expires_ns > async_now())
        return it;
    drop(it);
    return NULL;
}

/* What is stored is taken out of the request. */
static void store(text **key, text **value, int64_t expires_ns)
{
    entry *it = find(*key);
    if (!it) {
        it = calloc(1, sizeof *it);
        if (!it)
            abort();
        it->key = *key;
        HASH_ADD_KEYPTR(hh, table, it->key->bytes, it->key->size, it);
        *key = NULL;
    }
    free(it->value);
    it->value = *value;
    it->expires_ns = expires_ns;
    *value = NULL;
}

static void put_text(const text *it)
{
    if (it) {
        put("$%zu\r\n", it->size);
        utstring_bincpy(out, it->bytes, it->size);
        put("\r\n");
    } else {
        put("$-1\r\n");
    }
}

/* Is it a number, as Redis writes them? If not, says so. */
static int number_of(const text *it, long long *number)
{
    char same[24];
    *number = strtoll(it->bytes, NULL, 10);
    if (it->size == (size_t)sprintf(same, "%lld", *number) &&
        !memcmp(it->bytes, same, it->size))
        return 1;
    put("-ERR value is not an integer or out of range\r\n");
    return 0;
}

static int time_of(const text *it, long long unit_ns, long long least,
                   const char *who, int64_t *expires_ns)
{
    int64_t now = async_now();
    long long n;
    if (!number_of(it, &n))
        return 0;
    if (n < least || n > (INT64_MAX - now) / unit_ns) {
        put("-ERR invalid expire time in '%s' command\r\n", who);
        return 0;
    }
    *expires_ns = n <= 0 ? now : now + n * unit_ns;
    return 1;
}

/* ---- commands ---- */

static void on_set(request *r)
{
    int64_t expires_ns = 0;
    int absent = 0, present = 0;
    size_t i;
    for (i = 3; i < r->count; i++) {
        const char *word = r->texts[i]->bytes;
        int unit = !strcasecmp(word, "ex") ? 1000 : !strcasecmp(word, "px");
        if (!unit && !strcasecmp(word, "nx") && !present) {
            absent = 1;
        } else if (!unit && !strcasecmp(word, "xx") && !absent) {
            present = 1;
        } else if (!unit || expires_ns || ++i == r->count) {
            put("-ERR syntax error\r\n");
            return;
        } else if (!time_of(r->texts[i], unit * 1000000LL, 1, "set",
                            &expires_ns)) {
            return;
        }
    }
    if (find(r->texts[1]) ? absent : present) {
        put_text(NULL);
        return;
    }
    store(&r->texts[1], &r->texts[2], expires_ns);
    put("+OK\r\n");
}

static void on_exists(request *r) /* or del */
{
    int deletes = !strcasecmp(r->texts[0]->bytes, "del"), found = 0;
    size_t i;
    for (i = 1; i < r->count; i++) {
        entry *it = find(r->texts[i]);
        found += it != NULL;
        if (it && deletes)
            drop(it);
    }
    put(":%d\r\n", found);
}

static void on_incr(request *r) /* or incrby, decr */
{
    const entry *it = find(r->texts[1]);
    long long n = 0, by = strcasecmp(r->texts[0]->bytes, "decr") ? 1 : -1;
    text *sum;
    if ((r->count > 2 && !number_of(r->texts[2], &by)) ||
        (it && !number_of(it->value, &n)))
        return;
    if (by < 0 ? n < LLONG_MIN - by : n > LLONG_MAX - by) {
        put("-ERR increment or decrement would overflow\r\n");
        return;
    }
    sum = text_new(24);
    sum->size = (size_t)sprintf(sum->bytes, "%lld", n + by);
    store(&r->texts[1], &sum, it ? it->expires_ns : 0);
    put(":%lld\r\n", n + by);
}

static void on_expire(request *r)
{
    int64_t expires_ns;
    entry *it = find(r->texts[1]);
    if (!time_of(r->texts[2], 1000000000, LLONG_MIN, "expire", &expires_ns))
        return;
    if (it)
        it->expires_ns = expires_ns;
    put(":%d\r\n", it != NULL);
}

static void on_ttl(request *r)
{
    const entry *it = find(r->texts[1]);
    int64_t left_ns = it ? it->expires_ns - async_now() : 0;
    put(":%lld\r\n", !it ? -2LL : !it->expires_ns ? -1LL :
        (long long)(left_ns + 500000000) / 1000000000);
}

static void on_ping(request *r) /* or echo */
{
    if (r->count == 1)
        put("+PONG\r\n");
    else
        put_text(r->texts[1]);
}

static void on_mget(request *r) /* or get, which is one without a count */
{
    size_t i;
    if (strcasecmp(r->texts[0]->bytes, "get"))
        put("*%zu\r\n", r->count - 1);
    for (i = 1; i < r->count && utstring_len(out) <= ANSWERS; i++) {
        const entry *it = find(r->texts[i]);
        put_text(it ? it->value : NULL);
    }
}

static void on_mset(request *r)
{
    size_t i;
    if (r->count % 2 == 0) {
        put("-ERR wrong number of arguments for 'mset' command\r\n");
        return;
    }
    for (i = 1; i < r->count; i += 2)
        store(&r->texts[i], &r->texts[i + 1], 0);
    put("+OK\r\n");
}

/* What redis-cli and redis-benchmark ask before they begin. */
static void on_command(request *r) /* or config get */
{
    put(r->count == 3 ? "*2\r\n$0\r\n\r\n$0\r\n\r\n" : "*0\r\n");
}

static const struct command {
    const char *name;
    size_t least, most; /* texts, the name among them */
    void (*run)(request *r);
} commands[] = {
    {"get", 2, 2, on_mget},              {"set", 3, ARGUMENTS, on_set},
    {"mget", 2, ARGUMENTS, on_mget},     {"mset", 3, ARGUMENTS, on_mset},
    {"incr", 2, 2, on_incr},             {"incrby", 3, 3, on_incr},
    {"decr", 2, 2, on_incr},             {"expire", 3, 3, on_expire},
    {"exists", 2, ARGUMENTS, on_exists}, {"del", 2, ARGUMENTS, on_exists},
    {"ttl", 2, 2, on_ttl},               {"ping", 1, 2, on_ping},
    {"echo", 2, 2, on_ping},             {"config", 3, 3, on_command},
    {"command", 1, 2, on_command},
};

/* What the client sent is in the answer, which must be one line. */
static void unknown(const request *r)
{
    size_t start = utstring_len(out), i;
    char *c;
    put("-ERR unknown command '%.128s', with args beginning with: ",
        r->texts[0]->bytes);
    for (i = 1; i < r->count && utstring_len(out) < start + 256; i++)
        put("'%.128s' ", r->texts[i]->bytes);
    for (c = utstring_body(out) + start; *c; c++)
        if (*c == '\r' || *c == '\n')
            *c = ' ';
    put("\r\n");
}

static void execute(request *r)
{
    const struct command *it = commands;
    const struct command *end = it + sizeof commands / sizeof *commands;
    while (it < end && strcasecmp(r->texts[0]->bytes, it->name))
        it++;
    if (it == end)
        unknown(r);
    else if (r->count < it->least || r->count > it->most)
        put("-ERR wrong number of arguments for '%s' command\r\n", it->name);
    else
        it->run(r);
}

/* ---- tasks ---- */

/* The number in a line like "*3" or "$5"; or -1, and says what is wrong. */
static ssize_t length_of(const char *line, char mark, size_t most)
{
    char *end = "";
    long n = *line == mark ? strtol(line + 1, &end, 10) : -1;
    if (n >= 0 && (size_t)n <= most && !strcmp(end, "\r\n"))
        return n;
    put("-ERR Protocol error: expected '%c' and a bulk length or multibulk "
        "length (of bulk strings), got \"%.1s\"\r\n", mark, line);
    return -1;
}

/* Read a request, of which the first line is there. Returns 1; 0: not whole. */
async(receive, request *r; ssize_t whole, room;)
{
    ssize_t n;
    text *it;
    async_begin;
    out = &self->r->answers;
    self->whole = length_of(self->r->line, '*', ARGUMENTS);
    self->room = REQUEST;
    while ((ssize_t)self->r->count < self->whole) {
        await(n, async_stream_read_line(self->r->stream, self->r->line, LINE),
              IDLE_MS);
        out = &self->r->answers;
        if (n > 0 || n == -EMSGSIZE)
            n = length_of(self->r->line, '$', (size_t)self->room);
        if (n < 0 || !*self->r->line)
            async_return(0);
        self->room -= n;
        it = self->r->texts[self->r->count++] = text_new((size_t)n);
        await(n, async_stream_read_exactly(self->r->stream, it->bytes,
                                           it->size + 2), IDLE_MS);
        it = self->r->texts[self->r->count - 1];
        if (n < (ssize_t)it->size + 2)
            async_return(0);
        it->bytes[it->size] = '\0';
    }
    async_return(self->whole >= 0);
    async_end;
}

static void forget(request *r)
{
    while (r->count > 0)
        free(r->texts[--r->count]);
}

/* The answers are the stream's from here on. */
static int hand_over(request *r)
{
    size_t size = utstring_len(&r->answers);
    int error = size > ANSWERS ? -EMSGSIZE : async_stream_write(
        r->stream, utstring_body(&r->answers), size);
    utstring_done(&r->answers);
    utstring_init(&r->answers);
    return error;
}

async_define(session)
{
    ssize_t n;
    async_begin;
    self->stream = async_stream_open(self->fd);
    utstring_init(&self->answers);
    do { /* while there are answers, only what is here is read before them */
        await(n, async_stream_read_line(self->stream, self->line, LINE),
              utstring_len(&self->answers) ? 0 : IDLE_MS);
        self->goes_on = n == -ETIMEDOUT && utstring_len(&self->answers);
        if (n > 0 || n == -EMSGSIZE) {
            await(n, async_call(receive, self));
            self->goes_on = n > 0;
            out = &self->answers;
            if (n > 0 && self->count > 0)
                execute(self);
            forget(self);
            if (n > 0 && utstring_len(out) < PIECE)
                continue;
        }
        if (hand_over(self) < 0)
            break;
        await(n, async_stream_flush(self->stream), STUCK_MS);
        if (n < 0)
            break;
    } while (self->goes_on);
    async_finally;
    forget(self);
    utstring_done(&self->answers);
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
    int error = (int)async_run(server, .port = argc > 1 ? atoi(argv[1]) : 7379);
    if (error < 0)
        fprintf(stderr, "kv: %s\n", strerror(-error));
    return error < 0;
}
