/* A log of dialogues: what a client sends -> what comes back. */
#include "async_test.h"
#include "ex3.c"

/* Send a line as `who`, and log the answer. Returns whether it was the question for a password. */
async(ask, async_stream *client; const char *who, *line; char got[64];)
{
    ssize_t n;
    async_begin;
    async_stream_write(self->client, self->line, strlen(self->line));
    async_stream_write(self->client, "\n", 1);
    await(n, async_stream_read_line(self->client, self->got, sizeof self->got), 60000);
    self->got[strcspn(self->got, "\n")] = '\0';
    sim_log("%s: %s -> %s", self->who, self->line, n > 0 ? self->got : n == 0 ? "the end" : "no answer");
    async_return(strcmp(self->got, "password?") == 0);
    async_end;
}

/* The next that comes, without a question. */
async(hear, async_stream *client; const char *who; char got[64];)
{
    ssize_t n;
    async_begin;
    await(n, async_stream_read_line(self->client, self->got, sizeof self->got), 60000);
    self->got[strcspn(self->got, "\n")] = '\0';
    sim_log("%s: %s", self->who, n > 0 ? self->got : n == 0 ? "the end" : "nothing");
    async_end;
}

static async_stream *call_server(void)
{
    int ends[2];
    sim_tcp_pair(ends);
    cr_assert(serve(async_adopt(ends[1])) == 0);
    return async_stream_open(async_adopt(ends[0]));
}

/* The server's sessions end, too, before the world does. */
async(leave, async_stream *client;)
{
    async_begin;
    await(async_stream_wait_closed(self->client));
    await(async_sleep(60000));
    async_end;
}

AsyncTestWith(ex_6_3, lets_in_who_knows_the_password,
              (.seeds = 50, .says = "A name, the right password, a welcome; then each line comes back."),
              async_stream *ada; int is_asked;)
{
    static int others; /* in the worlds before: who keeps a step in a static variable has it from them */
    async_begin;
    self->ada = call_server();
    await(self->is_asked, async_call(ask, self->ada, "ada", "ada"));
    if (!self->is_asked && others)
        sim_log("(what is left of the client before?)");
    others += self->is_asked;
    await(async_call(ask, self->ada, "ada", "secret"));
    await(async_call(ask, self->ada, "ada", "hello"));
    await(async_call(ask, self->ada, "ada", "secret"));
    sim_expect("ada: ada -> password?", "ada: secret -> welcome ada", "ada: hello -> hello", "ada: secret -> secret");
    await(async_call(leave, self->ada));
    async_end;
}

AsyncTestWith(ex_6_3, sends_away_who_does_not,
              (.seeds = 50, .says = "After a wrong password comes \"no\", then the end, and no echo."),
              async_stream *eve;)
{
    async_begin;
    self->eve = call_server();
    await(async_call(ask, self->eve, "eve", "eve"));
    await(async_call(ask, self->eve, "eve", "guess"));
    await(async_call(hear, self->eve, "eve"));
    sim_expect("eve: eve -> password?", "eve: guess -> no", "eve: the end");
    await(async_call(leave, self->eve));
    async_end;
}

AsyncTestWith(ex_6_3, knows_the_password,
              (.seeds = 10, .says = "The password is \"secret\": neither \"secre\" nor \"secrets\" will do."),
              async_stream *eve, *mal;)
{
    async_begin;
    self->eve = call_server();
    await(async_call(ask, self->eve, "eve", "eve"));
    await(async_call(ask, self->eve, "eve", "secre"));
    self->mal = call_server();
    await(async_call(ask, self->mal, "mal", "mal"));
    await(async_call(ask, self->mal, "mal", "secrets"));
    sim_expect("eve: eve -> password?", "eve: secre -> no", "mal: mal -> password?", "mal: secrets -> no");
    async_stream_close(self->mal);
    await(async_call(leave, self->eve));
    async_end;
}

AsyncTestWith(ex_6_3, takes_any_name,
              (.seeds = 10, .says = "Any line is a name: an empty one, and the longest, of 31 letters."),
              async_stream *nil, *max; char got[64];)
{
    ssize_t n;
    async_begin;
    self->nil = call_server();
    await(async_call(ask, self->nil, "nil", ""));
    await(async_call(ask, self->nil, "nil", "secret"));
    self->max = call_server();
    async_stream_write(self->max, "maximilian-the-third-of-nowhere\nsecret\n", 39);
    await(async_call(hear, self->max, "max"));
    await(n, async_stream_read_line(self->max, self->got, sizeof self->got), 60000);
    sim_log("max: welcome, and %d letters", n > 9 ? (int)n - 9 : 0);
    sim_expect("nil:  -> password?", "nil: secret -> welcome ", "max: password?", "max: welcome, and 31 letters");
    async_stream_close(self->max);
    await(async_call(leave, self->nil));
    async_end;
}

AsyncTestWith(ex_6_3, takes_lines_that_come_together,
              (.seeds = 50, .says = "Three lines that come at once get the same three answers."),
              async_stream *ada;)
{
    async_begin;
    self->ada = call_server();
    await(async_call(ask, self->ada, "ada", "ada\nsecret\nhello"));
    await(async_call(hear, self->ada, "ada"));
    await(async_call(hear, self->ada, "ada"));
    sim_expect("ada: ada\nsecret\nhello -> password?", "ada: welcome ada", "ada: hello");
    await(async_call(leave, self->ada));
    async_end;
}

AsyncTestWith(ex_6_3, keeps_clients_apart,
              (.seeds = 50, .says = "Two clients log in at the same time: each is at its own step, and has its own name."),
              async_stream *ada, *bob;)
{
    async_begin;
    self->ada = call_server();
    self->bob = call_server();
    await(async_call(ask, self->ada, "ada", "ada"));
    await(async_call(ask, self->bob, "bob", "bob"));
    await(async_call(ask, self->ada, "ada", "secret"));
    await(async_call(ask, self->bob, "bob", "secret"));
    sim_expect("ada: ada -> password?", "bob: bob -> password?", "ada: secret -> welcome ada",
               "bob: secret -> welcome bob");
    async_stream_close(self->bob);
    await(async_call(leave, self->ada));
    async_end;
}
