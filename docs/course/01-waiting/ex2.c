/* 1.2  Computing or waiting? Write CPU or IO for each of five programs. */
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void add(void) /* adds numbers */
{
    volatile long n, sum = 0;
    for (n = 0; n < 3000000; n++)
        sum = sum + n;
}

static void nap(void) /* sleeps for 1 ms, 40 times */
{
    int i;
    for (i = 0; i < 40; i++)
        poll(NULL, 0, 1);
}

static void talk_to_itself(void) /* writes into a pipe, reads it again */
{
    char page[1024] = "a page";
    int i, ends[2];
    if (pipe(ends) < 0)
        return;
    for (i = 0; i < 20000; i++)
        if (write(ends[1], page, sizeof page) != (ssize_t)sizeof page ||
            read(ends[0], page, sizeof page) != (ssize_t)sizeof page)
            break;
    close(ends[0]);
    close(ends[1]);
}

static void answer(int in, int out) /* each question takes it 1 ms */
{
    char byte;
    while (read(in, &byte, 1) == 1) {
        poll(NULL, 0, 1);
        if (write(out, &byte, 1) != 1)
            break;
    }
    _exit(0);
}

static void ask(void) /* asks another process 40 questions */
{
    char byte = '?';
    int i, to[2], from[2];
    if (pipe(to) < 0 || pipe(from) < 0)
        return;
    if (fork() == 0) {
        close(to[1]);
        answer(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    for (i = 0; i < 40; i++)
        if (write(to[1], &byte, 1) != 1 || read(from[0], &byte, 1) != 1)
            break;
    close(to[1]);
    close(from[0]);
    wait(NULL);
}

static void look_again(void) /* has something come? and now? and now? */
{
    struct pollfd mail = { -1, POLLIN, 0 };
    int i, ends[2];
    if (pipe(ends) < 0)
        return;
    mail.fd = ends[0];
    for (i = 0; i < 20000 && poll(&mail, 1, 0) == 0; i++)
        ;
    close(ends[0]);
    close(ends[1]);
}

enum kind { UNKNOWN, CPU, IO };
static const struct program {
    const char *name;
    void (*run)(void);
    enum kind guess;
} programs[] = {
    /* TODO: for each, CPU (it computes) or IO (it waits). Guess first! */
    { "add", add, UNKNOWN },
    { "nap", nap, UNKNOWN },
    { "talk_to_itself", talk_to_itself, UNKNOWN },
    { "ask", ask, UNKNOWN },
    { "look_again", look_again, UNKNOWN },
    /* END */
};

/* How often did it give the processor back, because it had to wait? */
static long waits_of(const struct program *program)
{
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    program->run();
    getrusage(RUSAGE_SELF, &after);
    return after.ru_nvcsw - before.ru_nvcsw;
}

#ifndef LEARN
int main(void)
{
    int i;
    for (i = 0; i < 5; i++)
        printf("%-14s waited %ld times\n", programs[i].name,
               waits_of(&programs[i]));
    return 0;
}
#endif
