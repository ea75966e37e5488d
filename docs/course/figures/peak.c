/* peak: runs a program, looks every so many ms, and prints the most memory that it and its children had at one moment,
 * in KiB, then its wall and CPU time in us. What is shared is divided among those who share it (PSS). The server
 * `delays` is not counted. Where there is no /proc it is the largest process alone, as getrusage tells it.
 *
 *     cc -O2 docs/course/figures/peak.c -o peak && ./peak 1 ./threads
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static FILE *proc(int pid, const char *what)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
    return fopen(path, "r");
}

/* Is it the program, and not the server or what has not become the program yet? */
static int counts(int pid)
{
    char name[32] = "";
    FILE *in = proc(pid, "comm");
    int read = in && fscanf(in, "%31s", name) == 1;
    if (in)
        fclose(in);
    return read && strcmp(name, "delays") != 0 && strcmp(name, "peak") != 0;
}

static long pss_kib(int pid)
{
    char line[256];
    long kib = 0;
    FILE *in = counts(pid) ? proc(pid, "smaps_rollup") : NULL;
    while (in && fgets(line, sizeof line, in))
        if (sscanf(line, "Pss: %ld", &kib) == 1)
            break;
    if (in)
        fclose(in);
    return kib;
}

/* Of the process and of the children of its first thread. */
static long total_kib(int pid)
{
    char path[32];
    int child;
    long kib = pss_kib(pid);
    FILE *in;
    snprintf(path, sizeof path, "task/%d/children", pid);
    in = proc(pid, path);
    while (in && fscanf(in, "%d", &child) == 1)
        kib += pss_kib(child);
    if (in)
        fclose(in);
    return kib;
}

static void run(char **argv)
{
    int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, 1);
    execv(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

static long long us(struct timeval time)
{
    return time.tv_sec * 1000000LL + time.tv_usec;
}

static long long now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    int status = 0, ms = argc > 2 ? atoi(argv[1]) : 0;
    const struct timespec pause = { ms / 1000, ms % 1000 * 1000000L };
    struct rusage usage;
    long most = 0, now;
    long long start_us = now_us();
    pid_t pid = argc > 2 && ms > 0 ? fork() : -1;
    if (pid == 0)
        run(argv + 2);
    while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
        now = total_kib((int)pid);
        most = now > most ? now : most;
        nanosleep(&pause, NULL);
    }
    getrusage(RUSAGE_CHILDREN, &usage);
    printf("%ld\t%lld\t%lld\n", most ? most : usage.ru_maxrss, now_us() - start_us,
           us(usage.ru_utime) + us(usage.ru_stime));
    return pid < 0 || status != 0;
}
