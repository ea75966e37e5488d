/* redis.h - Redis by hiredis 0.14 or later on the loop of async.h.
 *
 *     n = redis_open(&self->redis, "127.0.0.1", 6379);
 *     await(n, async_call(redis_command, &self->redis, &self->reply,
 *                         { "GET", self->key }), 1000);
 *     if (n == REDIS_REPLY_STRING)
 *         puts(self->reply->str);
 *     freeReplyObject(self->reply);
 *     redis_close(&self->redis);
 *
 * Any number of tasks may send commands at once: they are pipelined. hiredis
 * opens and closes its socket by itself: it is adopted here, and released in
 * the hook that comes before it is closed. Time limits are await's; those of
 * hiredis 1.0 are not used. Where hiredis's folder is in the include path, it
 * must come after that of async.h: there is another async.h in it.
 */
#ifndef ASYNC_REDIS_H
#define ASYNC_REDIS_H

#include "async.h"
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <strings.h>

/* A connection: a field of whoever outlives those who use it, or static. */
typedef struct redis {
    redisAsyncContext *context;  /* hiredis's; NULL: the connection is gone */
    async_handle reader, writer; /* 0: none */
    int error;                   /* why it is gone, a negative errno */
} redis;

/* Begin to connect to a numeric address. Whether it succeeds, the commands will
 * say. Returns 0, or -ENOMEM, -EINVAL (not an address), -EMFILE... Never
 * suspends. */
static inline int redis_open(redis *it, const char *address, int port);

/* Close it: who waits for a reply gets -EBADF. It may be gone already. Never
 * suspends. */
static inline void redis_close(redis *it);

/* ---- hiredis's hooks ---- */

static inline void redis__readable(int fd, void *data)
{
    (void)fd;
    redisAsyncHandleRead(((redis *)data)->context);
}

static inline void redis__writable(int fd, void *data)
{
    (void)fd;
    redisAsyncHandleWrite(((redis *)data)->context);
}

static inline void redis__add_read(void *data)
{
    redis *it = (redis *)data;
    if (it->reader <= 0)
        it->reader = async_on_readable(it->context->c.fd, it, redis__readable);
}

static inline void redis__add_write(void *data)
{
    redis *it = (redis *)data;
    if (it->writer <= 0)
        it->writer = async_on_writable(it->context->c.fd, it, redis__writable);
}

static inline void redis__del_read(void *data)
{
    async_cancel(((redis *)data)->reader);
    ((redis *)data)->reader = 0;
}

static inline void redis__del_write(void *data)
{
    async_cancel(((redis *)data)->writer);
    ((redis *)data)->writer = 0;
}

/* hiredis's error as a negative errno; -EBADF: none, we have closed it. */
static inline int redis__error(const redisAsyncContext *context)
{
    switch (context->err) {
    case 0: return -EBADF;
    case REDIS_ERR_IO: return errno ? -errno : -EIO;
    case REDIS_ERR_EOF: return -ECONNRESET;
    case REDIS_ERR_OOM: return -ENOMEM;
    default: return -EPROTO;
    }
}

/* The socket is about to be closed, and the context freed. */
static inline void redis__cleanup(void *data)
{
    redis *it = (redis *)data;
    if (!it->error)
        it->error = redis__error(it->context);
    async_release(it->context->c.fd);
    it->context = NULL;
}

static inline int redis_open(redis *it, const char *address, int port)
{
    redisAsyncContext *context = redisAsyncConnect(address, port);
    int error = -ENOMEM;
    memset(it, 0, sizeof *it);
    it->error = -EBADF;
    if (context)
        error = context->err == REDIS_ERR_OTHER ? -EINVAL
                : context->err ? redis__error(context)
                               : async_adopt(context->c.fd);
    if (error < 0) {
        if (context)
            redisAsyncFree(context);
        return error;
    }
    it->error = 0;
    it->context = context;
    context->ev.data = it;
    context->ev.addRead = redis__add_read;
    context->ev.delRead = redis__del_read;
    context->ev.addWrite = redis__add_write;
    context->ev.delWrite = redis__del_write;
    context->ev.cleanup = redis__cleanup;
    redis__add_write(it); /* tells when it is connected */
    return 0;
}

static inline void redis_close(redis *it)
{
    if (it->context)
        redisAsyncFree(it->context);
}

/* ---- a command ---- */

/* What a command's reply comes to. It outlives a task that has been cancelled:
 * the reply comes all the same. */
typedef struct redis__answer {
    async_event came;
    redisReply *reply;
    int error, is_deserted;
} redis__answer;

/* hiredis frees the reply after this call: its contents move to another one. */
static inline void redis__replied(redisAsyncContext *context, void *reply,
                                  void *data)
{
    redis__answer *answer = (redis__answer *)data;
    if (answer->is_deserted) {
        free(answer);
        return;
    }
    answer->error = redis__error(context);
    if (reply) {
        answer->reply = (redisReply *)malloc(sizeof *answer->reply);
        answer->error = answer->reply ? 0 : -ENOMEM;
    }
    if (answer->reply) {
        *answer->reply = *(redisReply *)reply;
        ((redisReply *)reply)->type = REDIS_REPLY_INTEGER; /* owns nothing */
    }
    async_event_set(&answer->came);
}

/* hiredis keeps the answer of these for the messages that follow. */
static inline int redis__goes_on(const char *word)
{
    size_t size = strlen(word);
    return !strcasecmp(word, "monitor") ||
           (size >= 9 && !strcasecmp(word + size - 9, "subscribe"));
}

static inline int redis__send(redis *it, const char **words,
                              redis__answer *answer)
{
    int count = 0;
    if (!it->context)
        return it->error;
    if (!words[0] || redis__goes_on(words[0]))
        return -EINVAL;
    while (words[count])
        count++;
    return redisAsyncCommandArgv(it->context, redis__replied, answer, count,
                                 words, NULL) == REDIS_OK ? 0 : -EPIPE;
}

/* Send a command of up to seven words and wait for its reply, which is the
 * caller's: freeReplyObject. `*reply` is NULL if there is none. Returns its
 * type, one of REDIS_REPLY_ERROR..., all positive; or -ECONNREFUSED,
 * -ECONNRESET, -EPROTO, -EBADF (closed), -EPIPE (it is being closed), -ENOMEM,
 * -EINVAL (no command, or one with many replies: subscribe, monitor).
 * Cancelled or out of time, the command may be carried out or not. Suspends.
 * Cancel point. `reply` must outlive the await. Leave `answer` out. */
async(redis_command, redis *redis; redisReply **reply; const char *words[8];
      redis__answer *answer;)
{
    int error;
    async_begin;
    *self->reply = NULL;
    self->answer = (redis__answer *)calloc(1, sizeof *self->answer);
    if (!self->answer)
        async_return(-ENOMEM);
    error = redis__send(self->redis, self->words, self->answer);
    if (error < 0) {
        free(self->answer);
        async_return(error);
    }
    await(error, async_event_wait(&self->answer->came));
    if (error < 0 && !async_event_is_set(&self->answer->came)) {
        self->answer->is_deserted = 1;
        async_return(error);
    }
    *self->reply = self->answer->reply;
    error = self->answer->error;
    free(self->answer);
    async_return(error < 0 ? error : (*self->reply)->type);
    async_end;
}
#endif
