/* 1.1  How busy was it? Say which share of its time a program computed. */
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

/* One run of a program: two looks at the clock, two at getrusage. */
struct run {
    struct timespec start, end;
    struct rusage before, after;
};

static double clock_seconds(struct timespec t)
{
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* 0 if the program only waited, 100 if it only computed. */
static double busy_percent(const struct run *run)
{
    double duration = clock_seconds(run->end) - clock_seconds(run->start);
    double cpu = 0;
    /* TODO: make cpu the processor time of this run, and of nothing before it.
     * ru_utime is time in the program, ru_stime is time in the kernel. */
    cpu += cpu_seconds(run->after.ru_utime);
    /* END */
    return 100 * cpu / duration;
}

static struct run measure(void (*program)(void))
{
    struct run run;
    clock_gettime(CLOCK_MONOTONIC, &run.start);
    getrusage(RUSAGE_SELF, &run.before);
    program();
    getrusage(RUSAGE_SELF, &run.after);
    clock_gettime(CLOCK_MONOTONIC, &run.end);
    return run;
}

static void compute(void)
{
    volatile long n;
    for (n = 0; n < 30000000; n++)
        ;
}

static void wait_for_nobody(void)
{
    poll(NULL, 0, 50);
}

#ifndef LEARN
int main(void)
{
    struct run computing = measure(compute);
    struct run waiting = measure(wait_for_nobody);
    printf("the first was busy %5.1f %% of the time\n"
           "the second was busy %5.1f %% of the time\n",
           busy_percent(&computing), busy_percent(&waiting));
    return 0;
}
#endif
