/* interleaved: two threads that only compute, kept on one core. Each reads the clock all the time: where it jumps, the
 * thread was not running. It ends after MS, 40 if not told. Prints what the kernel says: voluntary and involuntary
 * switches of the whole program.
 *
 *     cc -O2 docs/course/figures/interleaved.c -pthread -o interleaved && RECORD_FILE=x.tsv ./interleaved [MS]
 */
#ifdef __linux__
#define _GNU_SOURCE
#include <sched.h>
#endif
#include "record.h"

#include <pthread.h>
#include <sys/resource.h>

enum { JUMP_NS = 20000, MOST = 4000 };

static int64_t run_ns = 40000000;

struct worker {
    pthread_t thread;
    int number, count;
    int64_t start_ns, times[2 * MOST];
};

/* Where the system has no such thing the threads run on several cores, and the figure shows that. */
static void keep_on_one_core(void)
{
#ifdef __linux__
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
#endif
}

static void *compute(void *data)
{
    struct worker *worker = data;
    int64_t start, before, now;
    while ((start = record_now()) < worker->start_ns)
        ;
    for (before = start; before < worker->start_ns + run_ns; before = now) {
        now = record_now();
        if (now - before < JUMP_NS || worker->count + 2 > 2 * MOST)
            continue;
        worker->times[worker->count++] = start;
        worker->times[worker->count++] = before;
        start = now;
    }
    worker->times[worker->count++] = start;
    worker->times[worker->count++] = before;
    return NULL;
}

static void save(const struct worker *worker)
{
    for (int i = 0; i < worker->count; i += 2)
        if (worker->times[i] < worker->times[i + 1])
            record_slice("thread", worker->number, "cpu", worker->times[i], worker->times[i + 1]);
}

int main(int argc, char **argv)
{
    static struct worker workers[2];
    struct rusage usage;
    int64_t start_ns;
    int i;
    if (argc > 1 && atoi(argv[1]) > 0)
        run_ns = atoi(argv[1]) * INT64_C(1000000);
    record_open();
    keep_on_one_core();
    start_ns = record_now() + 2000000;
    for (i = 0; i < 2; i++) {
        workers[i].number = i + 1;
        workers[i].start_ns = start_ns;
        if (pthread_create(&workers[i].thread, NULL, compute, &workers[i]))
            return perror("interleaved"), 1;
    }
    for (i = 0; i < 2; i++)
        pthread_join(workers[i].thread, NULL);
    getrusage(RUSAGE_SELF, &usage);
    for (i = 0; i < 2; i++)
        save(&workers[i]);
    printf("%ld\t%ld\n", usage.ru_nvcsw, usage.ru_nivcsw);
    return 0;
}
