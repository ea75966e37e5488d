/* Commands that have no reply, or many, are refused before they are sent, and the connection goes on.
 *     redis_many PORT */
#include "../../examples/adapters/redis.h"

async(redis_many, int port; redis redis; redisReply *reply;)
{
    int n;
    async_begin;
    n = redis_open(&self->redis, "127.0.0.1", self->port);
    if (n < 0)
        async_return(n);
    await(n, async_call(redis_command, &self->redis, &self->reply, { "SUBSCRIBE", "news" }), 5000);
    printf("%d ", n == -EINVAL);
    await(n, async_call(redis_command, &self->redis, &self->reply, { "monitor" }), 5000);
    printf("%d ", n == -EINVAL);
    await(n, async_call(redis_command, &self->redis, &self->reply, { NULL }), 5000);
    printf("%d ", n == -EINVAL);
    await(n, async_call(redis_command, &self->redis, &self->reply, { "PING" }), 5000);
    printf("%s\n", n == REDIS_REPLY_STATUS ? self->reply->str : "no reply");
    async_finally;
    freeReplyObject(self->reply);
    redis_close(&self->redis);
    async_end;
}

int main(int argc, char **argv)
{
    return async_run(redis_many, argc > 1 ? atoi(argv[1]) : 0) < 0;
}
