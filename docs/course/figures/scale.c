/* scale: how many can wait at once, and what one costs. 10, 20, 40... up to 1,000,000 processes, threads, coroutines,
 * all parked; each size is made three times, in a process of its own, and the medians count. Prints
 *
 *     model  units  bytes of a unit  ns to make one and have it park  bytes that the kernel keeps for it
 *     stop  model  units  why
 *
 * It stops where the system says so (EAGAIN, ENOMEM), or before it would take more than half of the system's process
 * numbers (ids), a quarter of the memory that is free (memory), or 20 seconds (time). The limits of the shell stay as
 * they are. Memory: of processes the mean PSS of some of them, else what the process has grown by. What the kernel
 * keeps (stacks, page tables, records) is known for the whole system only: from 1,000 units on, else 0.
 *
 *     cc -O2 -I. docs/course/figures/scale.c -pthread -o scale && ./scale [MOST]
 */
#include "async.h"

#include <sys/resource.h>

enum { FIRST = 10, RUNS = 3, SAMPLES = 32, PAGES_MEASURED = 16, SEEN_IN_KERNEL = 1000 };
#define BUDGET_NS INT64_C(20000000000)

struct result {
    long made;
    int error; /* of the one that could not be made */
    double bytes, ns, kernel_bytes; /* of all */
};

static int gate[2], ready[2]; /* all wait until the gate is closed; a process says that it does */

/* ---- what the system has ---- */

static double number_in(const char *path, const char *key)
{
    char line[256];
    double value = 0;
    size_t size = strlen(key);
    FILE *in = fopen(path, "r");
    while (in && fgets(line, sizeof line, in))
        if (strncmp(line, key, size) == 0) {
            value = atof(line + size);
            break;
        }
    if (in)
        fclose(in);
    return value;
}

/* Where there is no /proc: the most it ever had. */
static double resident_bytes(void)
{
    struct rusage usage;
    double kib = number_in("/proc/self/status", "VmRSS:");
    getrusage(RUSAGE_SELF, &usage);
    return 1024 * (kib > 0 ? kib : (double)usage.ru_maxrss);
}

static double kernel_bytes(void)
{
    static const char *const keys[] = { "KernelStack:", "PageTables:", "SUnreclaim:" };
    double kib = 0;
    for (int i = 0; i < 3; i++)
        kib += number_in("/proc/meminfo", keys[i]);
    return 1024 * kib;
}

static double pss_bytes(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    return 1024 * number_in(path, "Pss:");
}

static double most_ids(void)
{
    double pids = number_in("/proc/sys/kernel/pid_max", ""), threads = number_in("/proc/sys/kernel/threads-max", "");
    double most = pids > 0 && pids < threads ? pids : threads;
    return most > 0 ? most / 2 : 2000;
}

/* ---- processes ---- */

static void park_process(void)
{
    char byte = 0;
    close(gate[1]);
    if (write(ready[1], &byte, 1) == 1)
        while (read(gate[0], &byte, 1) > 0)
            ;
    _exit(0);
}

static void await_ready(long count)
{
    char bytes[4096];
    ssize_t n = 1;
    for (; count > 0 && n > 0; count -= (long)n)
        n = read(ready[0], bytes, count < 4096 ? (size_t)count : sizeof bytes);
}

static double mean_pss(const pid_t *pids, long count)
{
    long samples = count < SAMPLES ? count : SAMPLES;
    double sum = 0;
    for (long i = 0; i < samples; i++)
        sum += pss_bytes(pids[i * count / samples]);
    return samples ? sum / (double)samples : 0;
}

static struct result processes(long units)
{
    struct result result = { 0, 0, 0, 0, -kernel_bytes() };
    pid_t *pids = calloc((size_t)units, sizeof *pids);
    int64_t start = async_now();
    for (; pids && result.made < units; result.made++) {
        pid_t pid = fork();
        if (pid == 0)
            park_process();
        if (pid < 0) {
            result.error = errno;
            break;
        }
        pids[result.made] = pid;
    }
    await_ready(result.made);
    result.ns = (double)(async_now() - start);
    result.kernel_bytes += kernel_bytes();
    result.bytes = mean_pss(pids, result.made) * (double)result.made;
    close(gate[1]);
    for (long i = 0; i < result.made; i++)
        waitpid(pids[i], NULL, 0);
    free(pids);
    return result;
}

/* ---- threads ---- */

static void *park_thread(void *unused)
{
    char byte = 0;
    if (write(ready[1], &byte, 1) == 1)
        while (read(gate[0], &byte, 1) > 0)
            ;
    return unused;
}

static struct result threads(long units)
{
    struct result result = { 0, 0, 0, 0, -kernel_bytes() };
    pthread_t *made = calloc((size_t)units, sizeof *made);
    double before = resident_bytes();
    int64_t start = async_now();
    for (; made && result.made < units; result.made++)
        if ((result.error = pthread_create(&made[result.made], NULL, park_thread, NULL)) != 0)
            break;
    await_ready(result.made);
    result.ns = (double)(async_now() - start);
    result.kernel_bytes += kernel_bytes();
    result.bytes = resident_bytes() - before;
    close(gate[1]);
    for (long i = 0; i < result.made; i++)
        pthread_join(made[i], NULL);
    free(made);
    return result;
}

/* ---- coroutines ---- */

static long parked;
static async_event opened;

async(park_task)
{
    async_begin;
    parked++;
    await(async_event_wait(&opened));
    async_end;
}

async(park_all, long units; struct result *result; double before; int64_t start;)
{
    async_task task;
    async_begin;
    self->before = resident_bytes();
    self->start = async_now();
    for (; self->result->made < self->units; self->result->made++)
        if ((task = async_spawn(park_task)) < 0) {
            self->result->error = (int)-task;
            break;
        }
    while (parked < self->result->made)
        await(async_yield());
    self->result->ns = (double)(async_now() - self->start);
    self->result->kernel_bytes += kernel_bytes();
    self->result->bytes = resident_bytes() - self->before;
    async_event_set(&opened);
    await(async_join_children());
    async_end;
}

static struct result coroutines(long units)
{
    struct result result = { 0, 0, 0, 0, -kernel_bytes() };
    async_run(park_all, .units = units, .result = &result);
    return result;
}

/* ---- the sizes ---- */

static const struct model {
    const char *name;
    struct result (*park)(long units);
    int uses_ids;
} models[] = { { "process", processes, 1 }, { "thread", threads, 1 }, { "coroutine", coroutines, 0 } };

/* In a process of its own, whose memory is as at the start. */
static struct result run_apart(const struct model *model, long units)
{
    struct result result = { 0, EAGAIN, 0, 0, 0 };
    int told[2];
    pid_t pid;
    if (pipe(told) < 0 || pipe(gate) < 0 || pipe(ready) < 0 || (pid = fork()) < 0)
        perror("scale"), exit(1);
    if (pid == 0) {
        alarm(60);
        result = model->park(units);
        _exit(write(told[1], &result, sizeof result) != sizeof result);
    }
    close(gate[0]), close(gate[1]), close(ready[0]), close(ready[1]), close(told[1]);
    if (read(told[0], &result, sizeof result) != sizeof result)
        result.error = ENOMEM; /* the system ended it */
    close(told[0]);
    waitpid(pid, NULL, 0);
    return result;
}

static double median(double *values, int count)
{
    for (int i = 1; i < count; i++)
        for (int j = i; j > 0 && values[j] < values[j - 1]; j--) {
            double other = values[j];
            values[j] = values[j - 1];
            values[j - 1] = other;
        }
    return values[count / 2];
}

/* Returns why it is over, or NULL. What is less than some pages of memory says nothing of a unit: 0. */
static const char *measure(const struct model *model, long units, double *total_bytes, long *made)
{
    double bytes[RUNS], ns[RUNS], kernel[RUNS], kept;
    for (int i = 0; i < RUNS; i++) {
        struct result result = run_apart(model, units);
        *made = result.made;
        if (result.error)
            return result.error == EAGAIN ? "EAGAIN" : result.error == ENOMEM ? "ENOMEM" : strerror(result.error);
        bytes[i] = result.bytes;
        ns[i] = result.ns;
        kernel[i] = result.kernel_bytes;
    }
    *total_bytes = median(bytes, RUNS);
    kept = median(kernel, RUNS) / (double)units;
    printf("%s\t%ld\t%.0f\t%.1f\t%.0f\n", model->name, units,
           *total_bytes < PAGES_MEASURED * 4096 ? 0 : *total_bytes / (double)units, median(ns, RUNS) / (double)units,
           units < SEEN_IN_KERNEL || kept < 0 ? 0 : kept);
    fflush(stdout);
    return NULL;
}

static void measure_all(const struct model *model, long most)
{
    double bytes = 0, memory = 1024 * number_in("/proc/meminfo", "MemAvailable:") / 4;
    int64_t start = async_now(), before = start, took = 0;
    const char *why = NULL;
    long units = FIRST, made = 0;
    for (; !why; units *= 2) {
        units = units < most ? units : most;
        if (model->uses_ids && (double)units > most_ids())
            why = "ids";
        else if (memory > 0 && 2 * bytes > memory)
            why = "memory";
        else if (before - start + 2 * took > BUDGET_NS)
            why = "time";
        else if ((why = measure(model, units, &bytes, &made)) == NULL && units == most)
            why = "most";
        took = async_now() - before;
        before += took;
    }
    printf("stop\t%s\t%ld\t%s\n", model->name, made, why);
}

int main(int argc, char **argv)
{
    long most = argc > 1 ? atol(argv[1]) : 1000000;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        measure_all(&models[i], most >= FIRST ? most : FIRST);
    return 0;
}
