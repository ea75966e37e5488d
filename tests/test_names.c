/*
 * Lookups in threads that are real, behind a resolver that answers when the test says so; what is
 * asked, when and for how long, is tried in virtual time in sim_names.c.
 */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_changed = PTHREAD_COND_INITIALIZER;
static int asked, gate_is_open, blocks;

static void add_to(int *count, int more)
{
    pthread_mutex_lock(&names_lock);
    *count += more;
    pthread_cond_broadcast(&has_changed);
    pthread_mutex_unlock(&names_lock);
}

static void reset(void)
{
    asked = gate_is_open = 0;
}

static void wait_until(const int *count, int value)
{
    pthread_mutex_lock(&names_lock);
    while (*count != value)
        pthread_cond_wait(&has_changed, &names_lock);
    pthread_mutex_unlock(&names_lock);
}

/* Of each name and both families the address is that of this machine; "localhost" is what the
 * system says, "/local" has an address of another family, and "silent" fails without an errno. */
static int answer(const char *host, const char *service, const struct addrinfo *hints,
                  struct addrinfo **list)
{
    if (strcmp(host, "localhost") == 0)
        return getaddrinfo(host, service, hints, list);
    if (strcmp(host, "/local") == 0) {
        int error = getaddrinfo("127.0.0.1", service, hints, list);
        if (!error)
            (*list)->ai_family = AF_UNIX;
        return error;
    }
    if (strcmp(host, "silent") == 0) {
        errno = 0;
        return EAI_SYSTEM;
    }
    add_to(&asked, 1);
    wait_until(&gate_is_open, 1);
    return getaddrinfo(hints->ai_family == AF_INET6 ? "::1" : "127.0.0.1", service, hints, list);
}

static void *counted_malloc(size_t size)
{
    add_to(&blocks, 1);
    return malloc(size);
}

static void *counted_calloc(size_t count, size_t size)
{
    add_to(&blocks, 1);
    return calloc(count, size);
}

static void *counted_realloc(void *old, size_t size)
{
    add_to(&blocks, !old);
    return realloc(old, size);
}

static void counted_free(void *block)
{
    free(block);
    add_to(&blocks, block ? -1 : 0);
}

#define NAMES_getaddrinfo x, answer
#define NAMES_SECOND(first, second, ...) second
#define NAMES_CHOOSE(...) NAMES_SECOND(__VA_ARGS__)
#define ASYNC_SYS(call) NAMES_CHOOSE(NAMES_##call, call, x)
#define ASYNC_MEM(call) counted_##call
#define ASYNC_PICK(count) 0
#define ASYNC_TRACE(event, task) ((void)0)
#define ASYNC_RESUME(task) ((void)0)

#include "async.h"
#include "test.h"

async(connects, const char *host; int port; int64_t limit_ms; async_result n;)
{
    async_begin;
    await(self->n, async_connect(self->host, self->port), self->limit_ms);
    if (self->n >= 0)
        self->n = async_close((int)self->n);
    async_return(self->n);
    async_end;
}

async(ten, int listener, i; async_task tasks[10]; async_result n;)
{
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    for (self->i = 0; self->i < 10; self->i++)
        self->tasks[self->i] = async_spawn(connects, "anybody", async_port(self->listener), -1);
    await(async_yield());
    await(async_yield());
    await(async_yield());
    wait_until(&asked, 20); /* the loop stands still, the threads do not need it */
    add_to(&gate_is_open, 1);
    await(self->n, async_join_all(self->tasks, 10));
    check_equal(self->n, 0);
    async_end;
}

TEST(names, are_looked_up_ten_at_once)
{
    reset();
    check_equal(async_run(ten), 0);
    wait_until(&blocks, 0);
}

async(impatient, async_task tasks[5]; int i; async_result n;)
{
    async_begin;
    for (self->i = 0; self->i < 5; self->i++)
        self->tasks[self->i] = async_spawn(connects, "nobody", 80, self->i ? self->i : -1);
    for (self->i = 1; self->i < 5; self->i++) {
        await(self->n, async_join(self->tasks[self->i]));
        check(self->n == -ETIMEDOUT || self->n == -ESRCH);
    }
    async_return(7); /* the one without a limit is told to end */
    async_end;
}

/* The loop is closed while all lookups are under way: they end by themselves, and leave nothing. */
TEST(names, are_not_waited_for)
{
    reset();
    check_equal(async_run(impatient), 7);
    check(blocks > 0);
    add_to(&gate_is_open, 1);
    wait_until(&blocks, 0);
}

/* The answers of those who left come while the loop still runs, and while it closes. */
TEST(names, may_be_answered_when_nobody_asks_any_more)
{
    reset();
    check_equal(async_open(NULL), 0);
    for (int i = 0; i < 20; i++) {
        async_task task = async_spawn(connects, "nobody", 80, -1);
        check(async_loop_run_once(0) > 0);
        check(async_loop_run_once(0) > 0);
        check_equal(async_cancel(task), 0);
        if (i == 10)
            add_to(&gate_is_open, 1);
    }
    check_equal(async_loop_run(), 0);
    check_equal(async_loop_close(), 0);
    wait_until(&blocks, 0);
}

async(local, int listener; async_result n; async_address found[4];)
{
    async_begin;
    await(self->n, async_resolve("localhost", 80, self->found, 4));
    check(self->n > 0);
    self->listener = async_listen("127.0.0.1", 0);
    await(self->n, async_call(connects, "localhost", async_port(self->listener), -1));
    check_equal(self->n, 0);
    async_end;
}

TEST(names, are_asked_of_the_system)
{
    check_equal(async_run(local), 0);
    wait_until(&blocks, 0);
}

async(odd, async_result n; async_address found[4];)
{
    async_begin;
    await(self->n, async_resolve("/local", 80, self->found, 4));
    check_error(async_resolve, ENOENT, self->n);
    await(self->n, async_resolve("silent", 80, self->found, 4));
    check_error(async_resolve, EIO, self->n);
    async_end;
}

TEST(names, whose_answers_are_odd_have_no_address)
{
    check_equal(async_run(odd), 0);
    wait_until(&blocks, 0);
}
