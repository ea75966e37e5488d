/* Two tasks, one loop. Which word comes first?
 *
 *     cc -I. docs/course/00-hello/hello.c -o hello && ./hello
 */
#include "async.h"

async(say, const char *word; int pause_ms;)
{
    async_begin;
    await(async_sleep(self->pause_ms));
    puts(self->word);
    async_end;
}

async(hello)
{
    async_begin;
    async_spawn(say, "loop", 200);
    async_spawn(say, "hello,", 100);
    puts("both have been started");
    await(async_join_children());
    async_end;
}

int main(void)
{
    return async_run(hello) < 0;
}
