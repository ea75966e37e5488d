/* Real pipes; poll() itself is counted, and fails when the check wants it. */
#include "check.h"
#include <poll.h>

static int polls, last_timeout_ms, fails, hurries;

__attribute__((unused)) /* as long as ex1.c does not call it */
static int counted_poll(struct pollfd *entries, nfds_t count, int timeout_ms)
{
    nfds_t i;
    polls++;
    last_timeout_ms = timeout_ms;
    if (!fails)
        return poll(entries, count, hurries ? 3 : timeout_ms);
    for (i = 0; i < count; i++)
        entries[i].revents = POLLIN; /* after a failure this means nothing */
    errno = EINTR;
    return -1;
}

#define poll(entries, count, timeout_ms) counted_poll(entries, count, timeout_ms)
#include "ex1.c"
#undef poll

static int pipes[3][2];

static void on_news(int fd, void *data)
{
    char text[16];
    ssize_t n = read(fd, text, sizeof text);
    if (n > 0)
        seen("%s reads %d", (const char *)data, (int)n);
    else
        seen("%s ends", (const char *)data);
}

/* Three pipes in the table: a, b, c. */
static void set_up(void (*call)(int fd, void *data))
{
    static char *const names[] = { "a", "b", "c" };
    for (int i = 0; i < 3; i++) {
        expect(pipe(pipes[i]) == 0, "No pipe could be made.");
        watch(pipes[i][0], call, names[i]);
    }
}

static void put(int number)
{
    expect(write(pipes[number][1], "x", 1) == 1, "The pipe takes no byte.");
}

Check(ex_6_1, calls_who_can_read, "When pipe b has a byte, the callback of b is called, and no other.")
{
    int called;
    set_up(on_news);
    put(1);
    called = poll_once(-1);
    expect_seen("b reads 1");
    expect(called == 1, "One callback was called; poll_once() returned %d.", called);
    expect(polls == 1, "One call of poll() is enough; there were %d.", polls);
}

Check(ex_6_1, calls_all_who_can_read, "When a and c have bytes, one poll_once() calls both, in the table's order.")
{
    int called;
    set_up(on_news);
    put(2);
    put(0);
    called = poll_once(-1);
    expect_seen("a reads 1", "c reads 1");
    expect(called == 2, "Two callbacks were called; poll_once() returned %d.", called);
}

Check(ex_6_1, waits_as_long_as_told,
      "poll() gets the time limit that poll_once() was given, and then nobody is called.")
{
    int called;
    set_up(on_news);
    hurries = 1; /* whatever it says */
    called = poll_once(3);
    expect(polls == 1 && last_timeout_ms == 3,
           "poll() is to be called once, with the limit 3. Calls: %d; the limit of the last: %d.", polls,
           last_timeout_ms);
    expect_seen(); /* nobody was called */
    expect(called == 0, "Nobody was called; poll_once() returned %d.", called);
}

Check(ex_6_1, tells_the_end, "When the writer of a pipe has closed it, the callback is called, to read the end.")
{
    set_up(on_news);
    close(pipes[1][1]);
    poll_once(1000);
    expect_seen("b ends");
}

static void on_news_forget_c(int fd, void *data)
{
    on_news(fd, data);
    forget(pipes[2][0]);
    close(pipes[2][0]);
}

Check(ex_6_1, skips_who_was_forgotten, "When the callback of a forgets c, c is not called any more, in this round too.")
{
    int called;
    set_up(on_news_forget_c);
    put(2);
    put(0);
    called = poll_once(-1);
    expect_seen("a reads 1");
    expect(called == 1, "One callback was called; poll_once() returned %d.", called);
}

static void on_no_news(int fd, void *data)
{
    (void)fd;
    seen("%s is called", (const char *)data);
}

static void on_news_replace_c(int fd, void *data)
{
    on_news_forget_c(fd, data);
    watch(pipes[1][0], on_no_news, "d");
}

Check(ex_6_1, keeps_news_apart, "When a forgets c, and d gets its place in the table, the news of c are not for d.")
{
    set_up(on_news_replace_c);
    put(2);
    put(0);
    poll_once(-1);
    expect_seen("a reads 1");
}

Check(ex_6_1, calls_nobody_after_a_failure, "When poll() fails, nobody is called, and poll_once() returns -1.")
{
    int called;
    set_up(on_no_news);
    put(0);
    fails = 1;
    called = poll_once(-1);
    expect_seen(); /* nobody was called */
    expect(called == -1, "poll() has failed; poll_once() returned %d.", called);
}
