/* redis_count: increments KEY as often as you say, all at once, then reads it.
 * LIMIT_MS is how long each reply may take.
 *
 *     cc -I. examples/adapters/redis_count.c -o redis_count -lhiredis
 *     redis-server --port 6379 --save '' &
 *     ./redis_count 127.0.0.1 6379 visits 1000
 */
#include "redis.h"
#include "../number.h"

static int replies, failed;

async(increment, redis *redis; const char *key; int limit_ms;
      redisReply *reply;)
{
    int n;
    async_begin;
    await(n, async_call(redis_command, self->redis, &self->reply,
                        { "INCR", self->key }), self->limit_ms);
    if (n == REDIS_REPLY_INTEGER)
        replies++;
    else if (!failed++)
        fprintf(stderr, "redis_count: %s\n",
                n < 0 ? strerror(-n)
                : self->reply->str ? self->reply->str : "not a number");
    async_finally;
    freeReplyObject(self->reply);
    async_end;
}

async(redis_count, const char *address; int port; const char *key;
      int times, limit_ms, i; redis redis; redisReply *reply;
      async_task *tasks;)
{
    int n;
    async_begin;
    self->tasks = calloc((size_t)self->times, sizeof *self->tasks);
    if (!self->tasks)
        async_return(-ENOMEM);
    n = redis_open(&self->redis, self->address, self->port);
    if (n < 0)
        async_return(n);
    for (self->i = 0; self->i < self->times; self->i++)
        self->tasks[self->i] = async_spawn(increment, &self->redis, self->key,
                                           self->limit_ms);
    await(async_yield()); /* each has sent its command */
    printf("waiting for %d replies\n", self->times);
    fflush(stdout);
    await(n, async_join_all(self->tasks, (size_t)self->times));
    printf("%d replies, %d failed\n", replies, failed);
    if (failed)
        async_return(-EIO);
    await(n, async_call(redis_command, &self->redis, &self->reply,
                        { "GET", self->key }), self->limit_ms);
    if (n < 0)
        async_return(n);
    printf("%s is %s\n", self->key,
           self->reply->str ? self->reply->str : "not there");
    async_finally;
    freeReplyObject(self->reply);
    redis_close(&self->redis);
    free(self->tasks);
    async_end;
}

int main(int argc, char **argv)
{
    int port, times, limit_ms = 10000, error;
    if (argc < 5 || argc > 6 ||
        read_number(&port, "PORT", argv[2], 1, 65535) ||
        read_number(&times, "TIMES", argv[4], 1, NUMBER_MAX) ||
        (argc > 5 &&
         read_number(&limit_ms, "LIMIT_MS", argv[5], 1, NUMBER_MAX)))
        return fprintf(stderr, "usage: redis_count ADDRESS PORT KEY TIMES "
                               "[LIMIT_MS]\n"), 2;
    error = (int)async_run(redis_count, argv[1], port, argv[3], times,
                           limit_ms);
    if (error < 0)
        fprintf(stderr, "redis_count: %s\n", strerror(-error));
    return error < 0;
}
