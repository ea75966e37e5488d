/* What the small measurements share: a clock, a random number, the memory that is resident. */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* CPU time, so that it does not matter what else the machine is doing. */
static inline int64_t micro_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* xorshift64*: the same sequence in every run and every program. */
static inline uint64_t micro_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * 2685821657736338717u) >> 11;
}

/* Between one minute and eighteen: none comes due while we measure. */
static inline int64_t micro_delay_ms(void)
{
    return 60000 + (int64_t)(micro_random() % 1000000);
}

static inline int64_t micro_rss_bytes(void)
{
    char line[256];
    long kb = -1;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Rss: %ld", &kb) == 1)
            break;
    fclose(file);
    return (int64_t)kb * 1024;
}
#endif
