/* kv, a small Redis: strings that may expire, by the protocol that redis-cli
 * and all clients of Redis speak (requests are arrays; no inline commands).
 *
 *     cc -O2 -I. examples/kv.c -lhiredis -o kv && ./kv 7379
 *     redis-cli -p 7379 set greeting hello EX 60
 *     redis-benchmark -p 7379 -t set,get,incr,mset -P 16 -q
 *
 * It shows how a parser that is fed (hiredis's) meets await, how a pipeline is
 * answered by one write, and how a client is bounded: in what it sends, in what
 * waits for it, in how long it may do nothing. The hash table and the growing
 * string are uthash's. As in Redis, no memory is the end of the program. Read
 * from the end: server, session, answer; the commands are the bulk of it.
 */
#include "async.h"
#include <ctype.h>
#include <hiredis/hiredis.h>
#include <strings.h>
#include <uthash.h>
#include <utstring.h>

enum { ARGUMENTS = 1024, REQUEST = 1 << 20, ANSWERS = 8 << 20 }; /* at most */
enum { MEMORY = 1 << 30, PIECE = 64 << 10, IDLE_MS = 300000, STUCK_MS = 30000 };

typedef struct text { size_t size; char bytes[1]; } text; /* and a NUL */
typedef struct request { size_t size, count; text **texts; } request;
typedef struct entry {
    text *key, *value;
    int64_t expires_ns; /* 0: never */
    UT_hash_handle hh;
} entry;

static entry *table, *next_swept;
static size_t used;
static UT_string out; /* the answers of one turn, until a stream has them */

/* ---- texts and entries ---- */

static void *must(void *allocated)
{
    if (!allocated)
        abort();
    return allocated;
}

static text *text_of(const void *bytes, size_t size)
{
    text *it = must(malloc(sizeof *it + size));
    used += it->size = size;
    memcpy(it->bytes, bytes, size);
    it->bytes[size] = 0;
    return it;
}

static void forget(text *it)
{
    used -= it ? it->size : 0;
    free(it);
}

static void release(entry *it)
{
    forget(it->key);
    forget(it->value);
    used -= sizeof *it;
    free(it);
}

static void drop(entry *it)
{
    if (next_swept == it)
        next_swept = it->hh.next;
    HASH_DEL(table, it);
    release(it);
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
        it = must(calloc(1, sizeof *it));
        used += sizeof *it;
        it->key = *key;
        HASH_ADD_KEYPTR(hh, table, it->key->bytes, it->key->size, it);
        *key = NULL;
    }
    forget(it->value);
    it->value = *value;
    it->expires_ns = expires_ns;
    *value = NULL;
}

/* What has expired and nobody asks for goes, too: some entries a second. */
static void sweep(void *data)
{
    int64_t now = async_now();
    int left;
    (void)data;
    for (left = 1000; left && table; left--) {
        entry *it = next_swept ? next_swept : table;
        next_swept = it->hh.next;
        if (it->expires_ns && it->expires_ns <= now)
            drop(it);
    }
}

/* ---- answers ---- */

static const char *digits(long long number)
{
    static char room[24];
    unsigned long long left = (unsigned long long)number;
    char *at = room + sizeof room - 1;
    left = number < 0 ? 0 - left : left;
    do
        *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (number < 0)
        *--at = '-';
    return at;
}

static void put(const char *line)
{
    utstring_bincpy(&out, line, strlen(line));
}

static void put_number(const char *kind, long long number)
{
    put(kind);
    put(digits(number));
    put("\r\n");
}

static void put_text(const text *it)
{
    if (!it) {
        put("$-1\r\n");
        return;
    }
    put_number("$", (long long)it->size);
    utstring_bincpy(&out, it->bytes, it->size);
    put("\r\n");
}

/* What a client sent may be in it, so it is kept to one line. Returns 0. */
static int put_error(const char *format, ...)
{
    size_t i = utstring_len(&out);
    va_list arguments;
    va_start(arguments, format);
    utstring_printf_va(&out, format, arguments);
    va_end(arguments);
    for (; i < utstring_len(&out); i++)
        if (strchr("\r\n", utstring_body(&out)[i]))
            utstring_body(&out)[i] = ' ';
    put("\r\n");
    return 0;
}

/* Is it a number, as Redis writes them? If not, says so. */
static int number_of(const text *it, long long *number)
{
    *number = strtoll(it->bytes, NULL, 10);
    return (it->size == strlen(digits(*number)) &&
            memcmp(it->bytes, digits(*number), it->size) == 0) ||
           put_error("-ERR value is not an integer or out of range");
}

static int time_of(const text *it, long long unit_ns, long long least,
                   const char *who, int64_t *expires_ns)
{
    int64_t now = async_now();
    long long n;
    if (!number_of(it, &n))
        return 0;
    if (n < least || n > (INT64_MAX - now) / unit_ns)
        return put_error("-ERR invalid expire time in '%s' command", who);
    *expires_ns = n <= 0 ? now : now + n * unit_ns;
    return 1;
}

/* ---- commands: the first text is the command's name ---- */

static void on_get(request *r)
{
    const entry *it = find(r->texts[1]);
    put_text(it ? it->value : NULL);
}

static void on_set(request *r)
{
    const entry *it = find(r->texts[1]);
    int64_t expires_ns = 0;
    int absent = 0, present = 0;
    size_t i;
    for (i = 3; i < r->count; i++) {
        const char *word = r->texts[i]->bytes;
        int unit = !strcasecmp(word, "ex") ? 1000 : !strcasecmp(word, "px");
        int nx = !strcasecmp(word, "nx"), xx = !strcasecmp(word, "xx");
        absent |= nx;
        present |= xx;
        if ((absent && present) || !(nx || xx || unit) ||
            (unit && (expires_ns || ++i == r->count))) {
            put_error("-ERR syntax error");
            return;
        }
        if (unit && !time_of(r->texts[i], unit * 1000000LL, 1, "set",
                             &expires_ns))
            return;
    }
    if (it ? absent : present) {
        put_text(NULL);
        return;
    }
    store(&r->texts[1], &r->texts[2], expires_ns);
    put("+OK\r\n");
}

static void on_exists(request *r) /* or del */
{
    int deletes = tolower(*r->texts[0]->bytes) == 'd', found = 0;
    size_t i;
    for (i = 1; i < r->count; i++) {
        entry *it = find(r->texts[i]);
        found += it != NULL;
        if (it && deletes)
            drop(it);
    }
    put_number(":", found);
}

static void on_incr(request *r) /* or incrby, decr, decrby */
{
    const entry *it = find(r->texts[1]);
    int down = tolower(*r->texts[0]->bytes) == 'd';
    long long n = 0, by = 1;
    text *sum;
    if ((r->count > 2 && !number_of(r->texts[2], &by)) ||
        (it && !number_of(it->value, &n)))
        return;
    if (down && by == LLONG_MIN) {
        put_error("-ERR decrement would overflow");
        return;
    }
    by = down ? -by : by;
    if (by < 0 ? n < LLONG_MIN - by : n > LLONG_MAX - by) {
        put_error("-ERR increment or decrement would overflow");
        return;
    }
    sum = text_of(digits(n + by), strlen(digits(n + by)));
    store(&r->texts[1], &sum, it ? it->expires_ns : 0);
    put_number(":", n + by);
}

static void on_expire(request *r)
{
    int64_t expires_ns = 0;
    entry *it = find(r->texts[1]);
    if (!time_of(r->texts[2], 1000000000, LLONG_MIN, "expire", &expires_ns))
        return;
    if (it)
        it->expires_ns = expires_ns;
    put_number(":", it != NULL);
}

static void on_ttl(request *r)
{
    const entry *it = find(r->texts[1]);
    int64_t left_ns = it ? it->expires_ns - async_now() : 0;
    put_number(":", !it ? -2 : !it->expires_ns ? -1 :
                    (left_ns + 500000000) / 1000000000);
}

static void on_ping(request *r) /* or echo */
{
    if (r->count == 1)
        put("+PONG\r\n");
    else
        put_text(r->texts[1]);
}

static void on_mget(request *r)
{
    size_t i;
    put_number("*", (long long)r->count - 1);
    for (i = 1; i < r->count && utstring_len(&out) <= ANSWERS; i++) {
        const entry *it = find(r->texts[i]);
        put_text(it ? it->value : NULL);
    }
}

static void on_mset(request *r)
{
    size_t i;
    if (r->count % 2 == 0) {
        put_error("-ERR wrong number of arguments for 'mset' command");
        return;
    }
    for (i = 1; i < r->count; i += 2)
        store(&r->texts[i], &r->texts[i + 1], 0);
    put("+OK\r\n");
}

static void on_flushall(request *r)
{
    entry *it = table, *next;
    (void)r;
    next_swept = NULL;
    HASH_CLEAR(hh, table);
    for (; it; it = next) {
        next = it->hh.next;
        release(it);
    }
    put("+OK\r\n");
}

/* What redis-benchmark and redis-cli ask before they begin. */
static void on_config(request *r)
{
    if (r->count == 3 && !strcasecmp(r->texts[1]->bytes, "get")) {
        put("*2\r\n");
        put_text(r->texts[2]);
        put("$0\r\n\r\n");
    } else {
        put_error("-ERR there is only CONFIG GET");
    }
}

static void on_command(request *r)
{
    (void)r;
    put("*0\r\n");
}

static const struct command {
    const char *name;
    size_t least, most; /* texts, the name among them */
    int grows;
    void (*run)(request *r);
} commands[] = {
    { "get", 2, 2, 0, on_get },            { "set", 3, ARGUMENTS, 1, on_set },
    { "incr", 2, 2, 1, on_incr },          { "incrby", 3, 3, 1, on_incr },
    { "decr", 2, 2, 1, on_incr },          { "decrby", 3, 3, 1, on_incr },
    { "mget", 2, ARGUMENTS, 0, on_mget },  { "mset", 3, ARGUMENTS, 1, on_mset },
    { "exists", 2, ARGUMENTS, 0, on_exists },
    { "del", 2, ARGUMENTS, 0, on_exists }, { "expire", 3, 3, 0, on_expire },
    { "ttl", 2, 2, 0, on_ttl },            { "ping", 1, 2, 0, on_ping },
    { "echo", 2, 2, 0, on_ping },          { "flushall", 1, 1, 0, on_flushall },
    { "config", 2, ARGUMENTS, 0, on_config },
    { "command", 1, ARGUMENTS, 0, on_command },
};

static void unknown(const request *r)
{
    char list[160] = "";
    size_t i, size = 0;
    for (i = 1; i < r->count && size < 128; i++)
        size += (size_t)snprintf(list + size, sizeof list - size, "'%.*s' ",
                                 (int)(128 - size), r->texts[i]->bytes);
    put_error("-ERR unknown command '%.128s', with args beginning with: %s",
              r->texts[0]->bytes, list);
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
        put_error("-ERR wrong number of arguments for '%s' command", it->name);
    else if (it->grows && used > MEMORY)
        put_error("-OOM command not allowed when used memory > 'maxmemory'.");
    else
        it->run(r);
}

/* ---- requests: hiredis parses, and calls these with each part ---- */

#if HIREDIS_MAJOR >= 1
typedef size_t elements;
#else
typedef int elements;
#endif

static void *on_array(const redisReadTask *task, elements count)
{
    request *r = task->privdata;
    if (task->parent || (size_t)count > ARGUMENTS)
        return NULL; /* an error: nothing more is read */
    r->size = (size_t)count;
    r->texts = must(calloc((size_t)count + 1, sizeof *r->texts));
    return r;
}

static void *on_string(const redisReadTask *task, char *bytes, size_t size)
{
    request *r = task->privdata;
    if (!task->parent || task->type != REDIS_REPLY_STRING)
        return NULL;
    return r->texts[r->count++] = text_of(bytes, size);
}

static void request_free(request *r)
{
    while (r->count)
        forget(r->texts[--r->count]);
    free(r->texts);
    memset(r, 0, sizeof *r);
}

static void on_free(void *part)
{
    (void)part; /* request_free does it */
}

/* Answer the next request; `pending` bytes have come since the last. Returns 1;
 * 0: it is not complete; -1: it never will be. */
static int answer(redisReader *reader, request *r, size_t *pending)
{
    void *whole = NULL;
    const char *rest;
    if (redisReaderGetReply(reader, &whole) != REDIS_OK)
        return put_error("-ERR Protocol error: %s",
                         reader->err == REDIS_ERR_OOM ?
                         "invalid multibulk length" : reader->errstr) - 1;
    if (whole && (whole != r || r->count != r->size))
        return put_error("-ERR Protocol error: expected bulk strings") - 1;
    if (whole) {
        if (r->count)
            execute(r);
        request_free(r);
        *pending = reader->len - reader->pos;
        return 1;
    }
    rest = reader->pos < reader->len ? reader->buf + reader->pos : "";
    if (*pending > REQUEST || atoll(rest) > REQUEST) /* a length comes first */
        return put_error("-ERR Protocol error: invalid bulk length") - 1;
    return 0;
}

/* What was put is the stream's from here on. */
static int hand_over(async_stream *stream)
{
    size_t size = utstring_len(&out);
    int error = size > ANSWERS ? -EMSGSIZE : 0;
    if (!error && size)
        error = async_stream_write(stream, utstring_body(&out), size);
    utstring_clear(&out);
    return error;
}

static char input[16384]; /* of all: no await before hiredis has it */
static redisReplyObjectFunctions parts = {
    .createString = on_string, .createArray = on_array, .freeObject = on_free };

async(session, int fd, state; async_stream *stream; redisReader *reader;
      request request; size_t pending;)
{
    ssize_t n;
    async_begin;
    self->stream = async_stream_open(self->fd);
    self->reader = must(redisReaderCreateWithFunctions(&parts));
    self->reader->privdata = &self->request;
    while (self->stream && self->state >= 0) {
        await(n, async_readable(self->fd), IDLE_MS);
        if (n == 0)
            n = async_read_nowait(self->fd, input, sizeof input);
        if (n == -EAGAIN)
            continue;
        if (n <= 0 || redisReaderFeed(self->reader, input, (size_t)n))
            break;
        self->pending += (size_t)n;
        do {
            self->state = answer(self->reader, &self->request, &self->pending);
            if (self->state > 0 && utstring_len(&out) < PIECE)
                continue;
            if (hand_over(self->stream) < 0)
                async_return(0);
            await(n, async_stream_flush(self->stream), STUCK_MS);
            if (n < 0)
                async_return(n);
        } while (self->state > 0);
    }
    async_finally;
    request_free(&self->request);
    redisReaderFree(self->reader);
    if (!self->stream)
        async_close(self->fd);
    async_stream_close(self->stream);
    async_end;
}

async(server, int port, listener;)
{
    int client;
    async_begin;
    self->listener = async_listen("127.0.0.1", self->port);
    if (self->listener < 0)
        async_return(self->listener);
    if (async_every(1000, NULL, sweep) < 0)
        async_return(-ENOMEM);
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
    utstring_init(&out);
    error = (int)async_run(server, .port = argc > 1 ? atoi(argv[1]) : 7379);
    fprintf(stderr, "kv: %s\n", strerror(-error));
    return 1;
}
