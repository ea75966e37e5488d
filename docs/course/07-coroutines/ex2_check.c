#include "async_test.h"
#include "ex2.c"

static const char *judge(int guess, int number)
{
    return guess < 0 ? "still missing" : guess == number ? "right" : "wrong";
}

AsyncTestWith(ex_7_2, guess, (.says = "GUESS_A and GUESS_B are what a and b are at the end of as_given."), int out[3];)
{
    async_begin;
    await(async_call(as_given, self->out));
    sim_log("GUESS_A is %s", judge(GUESS_A, self->out[0]));
    sim_log("GUESS_B is %s", judge(GUESS_B, self->out[1]));
    sim_expect("GUESS_A is right", "GUESS_B is right");
    async_end;
}

/* What is no number of times is garbage, another one each time: not for the log. */
static const char *counted(char *text, int number)
{
    sprintf(text, number < 0 || number > 6 ? "lost" : "%d", number);
    return text;
}

static void log_counts(const char *name, const int *out)
{
    char a[12], b[12], c[12];
    sim_log("%s: a %s, b %s, c %s", name, counted(a, out[0]), counted(b, out[1]), counted(c, out[2]));
}

AsyncTestWith(ex_7_2, repaired,
              (.seeds = 50, .says = "Two tasks run count at the same time: each ends with 3 in a, b and c."),
              int one[3], two[3];)
{
    async_begin;
    async_ok(async_spawn(count, .out = self->one));
    async_ok(async_spawn(count, .out = self->two));
    await(async_join_children());
    log_counts("one", self->one);
    log_counts("two", self->two);
    sim_expect("one: a 3, b 3, c 3", "two: a 3, b 3, c 3");
    async_end;
}
