#include "check.h"

#include "ex1.c"

/* A run of `duration` ms, after which getrusage shows what is given here. */
static struct run a_run(long duration, long user, long kernel)
{
    struct run run;
    memset(&run, 0, sizeof run);
    run.start.tv_sec = 7;
    run.start.tv_nsec = 900000000;
    duration += 900;
    run.end.tv_sec = 7 + duration / 1000;
    run.end.tv_nsec = duration % 1000 * 1000000;
    run.after.ru_utime.tv_sec = user / 1000;
    run.after.ru_utime.tv_usec = user % 1000 * 1000;
    run.after.ru_stime.tv_sec = kernel / 1000;
    run.after.ru_stime.tv_usec = kernel % 1000 * 1000;
    return run;
}

static void expect_percent(const struct run *run, double expected)
{
    double got = busy_percent(run);
    expect(got > expected - 0.01 && got < expected + 0.01,
           "It was busy %.1f %% of the time; you say %.1f %%.", expected, got);
}

Check(ex_1_1, time_in_the_program,
      "A run of 400 ms with 100 ms in the program is busy 25 % of the time.")
{
    struct run run = a_run(400, 100, 0);
    expect_percent(&run, 25);
}

Check(ex_1_1, time_in_the_kernel,
      "The time that the kernel works for the program counts, too.")
{
    struct run run = a_run(400, 100, 200);
    expect_percent(&run, 75);
}

Check(ex_1_1, seconds, "A long run has whole seconds, too.")
{
    struct run run = a_run(8000, 3500, 1500);
    expect_percent(&run, 62.5);
}

Check(ex_1_1, not_what_was_before,
      "What the program used before the run does not count.")
{
    struct run run = a_run(400, 5100, 2200);
    run.before.ru_utime.tv_sec = 5;
    run.before.ru_stime.tv_sec = 2;
    expect_percent(&run, 75);
}

/* Until the system says that it took 20 ms of the processor. */
static void use_the_processor(void)
{
    struct rusage start, now;
    getrusage(RUSAGE_SELF, &start);
    do {
        compute();
        getrusage(RUSAGE_SELF, &now);
    } while (cpu_seconds(now.ru_utime) - cpu_seconds(start.ru_utime) < 0.02);
}

Check(ex_1_1, real_runs, "It is right about two real programs, too.")
{
    struct run computing = measure(use_the_processor);
    struct run waiting = measure(wait_for_nobody);
    double busy = busy_percent(&computing);
    expect(busy > 0, "A program that computes was busy: you say %g %%.", busy);
    busy = busy_percent(&waiting);
    expect(busy >= 0 && busy < 50,
           "A program that sleeps is hardly ever busy: you say %g %%.", busy);
}
