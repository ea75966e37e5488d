/* What `make bench` runs: the echo servers beside each other, then the small costs, then the
 * bounds.
 *
 * Machines drift by more than the differences that matter here. So all servers of one setting stand
 * ready at the same time, each with its own load generator connected and warm, and take turns in
 * slices of some milliseconds. A ratio is that of two slices of the same turn; a round gives the
 * median of its turns, and every round starts new processes. The table shows the median of the
 * rounds and, beside it, the lowest and the highest.
 *
 *     bench DIRECTORY FILE.tsv        the directory holds the built programs
 *
 * From the environment: ROUNDS=n; QUICK=1 for a first look; SERVERS="raw libev async.read" and
 * SETTINGS="64 1000" PEERS="get.1 http" to choose; SAME_CORE=1 to let server and load share one
 * processor; STRACE=1 to count system calls with strace even where the kernel would do it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS_MAX = 50, TURNS_MAX = 50, ARGUMENTS = 24, LINE = 256 };

/* Results of one server in one setting. Those per round are filled one after the other. */
struct cell {
    double rate[ROUNDS_MAX], cpu[ROUNDS_MAX], ratio[ROUNDS_MAX], memory[ROUNDS_MAX];
    int rounds;
    double calls;
    double turn_rate[TURNS_MAX], turn_cpu[TURNS_MAX], turn_ratio[TURNS_MAX];
};

struct server {
    const char *name, *program, *mode;
};

struct setting {
    const char *name;
    int connections, idle, turns, warm_up;
    const char *seconds; /* of a slice: at least two messages for each connection */
};

struct process {
    pid_t pid;
    FILE *out;
    int in;
};

/* Raw comes first, for the others are divided by it; libev second, for it tells whether raw is any
 * good. */
static const struct server servers[] = {
    {"raw", "echo_raw", NULL},
    {"libev", "echo_libev", NULL},
    {"async.read", "echo_async", "read"},
    {"async.readable", "echo_async", "readable"},
    {"async.stream", "echo_async", "stream"},
    {"libuv", "echo_libuv", NULL},
    {"libuv.documented", "echo_libuv_doc", NULL},
    {"libevent", "echo_libevent", NULL},
};

static const struct setting settings[] = {
    {"1", 1, 0, 12, 500, "0.04"},
    {"64", 64, 0, 16, 100, "0.04"},
    {"1000", 1000, 0, 12, 20, "0.06"},
    {"10000", 10000, 0, 4, 3, "0.25"},
    {"64+10000idle", 64, 10000, 12, 100, "0.04"},
};

enum {
    SERVERS = sizeof servers / sizeof servers[0],
    SETTINGS = sizeof settings / sizeof settings[0]
};
enum {
    RAW = 0,
    LIBEV = 1,
    ASYNC_READ = 2,
    ASYNC_READABLE = 3,
    ASYNC_STREAM = 4,
    SET_64 = 1,
    SET_IDLE = 4
};

static struct cell cells[SETTINGS][SERVERS];
static const char *directory;
static FILE *tsv;
static int rounds = 5, quick, same_core, cpus[2], pinned;
static const char *calls_source = "kernel counter";

/* ------------------------------------------------ small tools */

static void die(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, errno ? strerror(errno) : "failed");
    exit(1);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The place is a fraction: 0 the lowest, 0.5 the median, 1 the highest. */
static double at(const double *values, int count, double place)
{
    double sorted[ROUNDS_MAX];
    double position = place * (count - 1);
    int below = (int)position;

    if (count == 0)
        return -1;
    memcpy(sorted, values, (size_t)count * sizeof *values);
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (position - below) * (sorted[below + 1] - sorted[below]);
}

static double median(const double *values, int count)
{
    return at(values, count, 0.5);
}

/* The number after a name in a line of names and values. */
static double field(const char *line, const char *name)
{
    size_t size = strlen(name);
    for (const char *p = line; (p = strstr(p, name)); p += size)
        if ((p == line || p[-1] == ' ') && p[size] == ' ')
            return atof(p + size);
    return -1;
}

/* Is this word in the list that an environment variable holds? Without a list everything is wanted.
 */
static int wanted(const char *variable, const char *word)
{
    const char *list = getenv(variable);
    if (!list || !*list)
        return 1;
    while (*list) {
        size_t size = strcspn(list, " ");
        if (size == strlen(word) && !strncmp(list, word, size))
            return 1;
        list += size + strspn(list + size, " ");
    }
    return 0;
}

static int number(const char *variable, int otherwise)
{
    const char *value = getenv(variable);
    return value && *value ? atoi(value) : otherwise;
}

/* ------------------------------------------------ processes */

/* The server has the first processor, the load the second; all is one processor where turns must
 * not depend on timing. SCHED_BATCH keeps a woken server from interrupting the load there. */
static void pin(int role, int together)
{
    struct sched_param none = {0};
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpus[together ? 0 : role], &set);
    if (pinned)
        sched_setaffinity(0, sizeof set, &set);
    if (together)
        sched_setscheduler(0, SCHED_BATCH, &none);
}

/* Start a program of the build directory, with its stdin and stdout in our hands. */
static struct process start(const char *const *argv, int role, int together)
{
    struct process process;
    char path[LINE * 2];
    int in[2], out[2];

    snprintf(path, sizeof path, "%s/%s", directory, argv[0]);
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        die("pipe");
    process.pid = fork();
    if (process.pid < 0)
        die("fork");
    if (process.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], 0);
        dup2(out[1], 1);
        if (role >= 0)
            pin(role, together);
        execv(path, (char *const *)argv);
        die(path);
    }
    close(in[0]);
    close(out[1]);
    process.in = in[1];
    process.out = fdopen(out[0], "r");
    return process;
}

static void read_line(struct process *process, char *line, const char *who)
{
    errno = 0;
    if (!fgets(line, LINE, process->out))
        die(who);
}

static void finish(struct process *process, const char *who)
{
    int status;
    close(process->in);
    fclose(process->out);
    errno = 0;
    if (waitpid(process->pid, &status, 0) < 0 || status != 0)
        die(who);
}

static struct process start_server(const struct server *server, int together, int *port)
{
    const char *argv[] = {server->program, "0", server->mode, NULL};
    struct process process = start(argv, 0, together);
    char line[LINE];

    read_line(&process, line, server->name);
    if (sscanf(line, "listening %d", port) != 1)
        die(server->name);
    return process;
}

static void stop_server(const struct server *server, struct process *process)
{
    kill(process->pid, SIGTERM);
    finish(process, server->name);
}

/* The load with its connections warm; `line` then says what they cost the server in memory. */
static struct process start_load(const struct setting *setting, const struct process *server,
                                 int port, int together, const char *option, char *line)
{
    char text[5][16];
    const char *argv[] = {"load", "-g",    "-p", text[0], "-P", text[1],          "-c",   text[2],
                          "-i",   text[3], "-w", text[4], "-t", setting->seconds, option, NULL};
    struct process process;

    snprintf(text[0], sizeof text[0], "%d", port);
    snprintf(text[1], sizeof text[1], "%d", (int)server->pid);
    snprintf(text[2], sizeof text[2], "%d", setting->connections);
    snprintf(text[3], sizeof text[3], "%d", setting->idle);
    snprintf(text[4], sizeof text[4], "%d", setting->warm_up);
    process = start(argv, 1, together);
    read_line(&process, line, "load");
    return process;
}

static void one_window(struct process *load, char *line)
{
    if (write(load->in, "\n", 1) != 1)
        die("load");
    read_line(load, line, "load");
}

/* ------------------------------------------------ the echo servers */

static int is_built(const char *program)
{
    char path[LINE * 2];
    snprintf(path, sizeof path, "%s/%s", directory, program);
    return access(path, X_OK) == 0;
}

static int is_there(const struct server *server)
{
    return wanted("SERVERS", server->name) && is_built(server->program);
}

/* Each turn begins with another server, so that a drift within a turn favours nobody; and nobody has
 * two slices in a row, the second of which would find the caches warm. */
static void take_turn(struct cell *row, struct process *loads, const int *there, int turn)
{
    char line[LINE];
    for (int k = 0; k < SERVERS; k++) {
        int i = (turn + k) % SERVERS;
        double trips;
        if (!there[i])
            continue;
        one_window(&loads[i], line);
        trips = field(line, "round_trips");
        row[i].turn_rate[turn] = trips / field(line, "seconds");
        row[i].turn_cpu[turn] = field(line, "cpu_ns") / trips;
    }
    for (int i = 0; i < SERVERS; i++)
        if (there[i] && there[RAW])
            row[i].turn_ratio[turn] = row[i].turn_cpu[turn] / row[RAW].turn_cpu[turn];
}

static void close_round(struct cell *cell, int turns)
{
    cell->rate[cell->rounds] = median(cell->turn_rate, turns);
    cell->cpu[cell->rounds] = median(cell->turn_cpu, turns);
    cell->ratio[cell->rounds] = median(cell->turn_ratio, turns);
    cell->rounds++;
}

static void run_round(const struct setting *setting, struct cell *row, const int *there,
                      int round)
{
    struct process processes[SERVERS], loads[SERVERS];
    int turns = quick && setting->turns > 6 ? 6 : setting->turns;
    char line[LINE];

    for (int k = 0; k < SERVERS; k++) { /* who starts first has other memory of the kernel's */
        int i = (round + k) % SERVERS, port;
        if (!there[i])
            continue;
        processes[i] = start_server(&servers[i], same_core, &port);
        loads[i] = start_load(setting, &processes[i], port, same_core, NULL, line);
        row[i].memory[row[i].rounds] = field(line, "rss_kb") * 1024 / field(line, "connections");
    }
    for (int turn = 0; turn < turns; turn++)
        take_turn(row, loads, there, turn);
    for (int i = 0; i < SERVERS; i++) {
        if (!there[i])
            continue;
        finish(&loads[i], "load");
        stop_server(&servers[i], &processes[i]);
        close_round(&row[i], turns);
    }
}

/* Without the kernel's counter strace is attached for the length of one window. It prints a table
 * whose last line is the total: percent, seconds, microseconds per call, calls. */
static double calls_by_strace(struct process *server, struct process *load, char *line)
{
    char command[LINE], text[LINE];
    double calls = -1;
    FILE *table;

    snprintf(command, sizeof command, "exec strace -f -c -p %d 2>&1 >/dev/null & echo $!; wait",
             (int)server->pid);
    table = popen(command, "r");
    if (!table || !fgets(text, sizeof text, table)) {
        calls_source = "n/a: neither tracefs nor strace";
        return -1;
    }
    snprintf(command, sizeof command, "kill -INT %d", atoi(text));
    if (fgets(text, sizeof text, table) && strstr(text, "attached")) {
        one_window(load, line);
        if (system(command) != 0)
            die(command);
    }
    while (fgets(text, sizeof text, table))
        if (strstr(text, " total\n"))
            sscanf(text, "%*s %*s %*s %lf", &calls);
    pclose(table);
    calls_source = calls < 0 ? "n/a: neither tracefs nor strace" : "strace";
    return calls;
}

/* Both on one processor: then each wait of the server finds a message of every connection, and its
 * share of a wait is no matter of timing. */
static void count_calls(const struct setting *setting, const struct server *server,
                        struct cell *cell)
{
    char line[LINE];
    int port;
    struct process process = start_server(server, 1, &port);
    struct process load =
        start_load(setting, &process, port, 1, number("STRACE", 0) ? NULL : "-k", line);
    double calls;

    one_window(&load, line);
    calls = field(line, "calls");
    if (calls < 0)
        calls = calls_by_strace(&process, &load, line);
    cell->calls = calls < 0 ? -1 : calls / field(line, "round_trips");
    finish(&load, "load");
    stop_server(server, &process);
}

/* ------------------------------------------------ the table of the echo servers */

/* Raw is a yardstick only while nobody's loop beats it by more than the noise. */
static int raw_counts(const struct cell *row)
{
    return row[LIBEV].rounds == 0 || median(row[LIBEV].ratio, row[LIBEV].rounds) >= 1 / 1.03;
}

static void head(void)
{
    printf("\n%-13s %-16s %9s %7s %15s %7s %12s %7s %6s\n", "connections", "server", "trips/s",
           "CPU ns", "min..max", "to raw", "min..max", "calls", "bytes");
    fprintf(tsv, "connections\tserver\ttrips_per_s\ttrips_per_s_min\ttrips_per_s_max\tcpu_ns\tcpu_"
                 "ns_min\tcpu_ns_max\t"
                 "ratio\tratio_min\tratio_max\tcounts\tcalls\tbytes_per_connection\n");
}

static void show_tsv(const char *setting, const char *server, const struct cell *c, int counts)
{
    int n = c->rounds;
    fprintf(tsv, "%s\t%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.4f\t%.4f\t%.4f\t%s\t%.4f\t%.0f\n",
            setting, server, median(c->rate, n), at(c->rate, n, 0), at(c->rate, n, 1),
            median(c->cpu, n), at(c->cpu, n, 0), at(c->cpu, n, 1), median(c->ratio, n),
            at(c->ratio, n, 0), at(c->ratio, n, 1), counts ? "yes" : "no", c->calls,
            median(c->memory, n));
}

static void show(const struct setting *setting, const char *server, const struct cell *c,
                 int counts)
{
    char cpu[32], ratio[32], calls[32] = "n/a", memory[32] = "-";
    int n = c->rounds;

    snprintf(cpu, sizeof cpu, "%.0f..%.0f", at(c->cpu, n, 0), at(c->cpu, n, 1));
    snprintf(ratio, sizeof ratio, "%.3f..%.3f", at(c->ratio, n, 0), at(c->ratio, n, 1));
    if (c->calls >= 0)
        snprintf(calls, sizeof calls, "%.3f", c->calls);
    if (setting->connections + setting->idle >= 1000)
        snprintf(memory, sizeof memory, "%.0f", median(c->memory, n));
    printf("%-13s %-16s %9.0f %7.0f %15s %6.3f%s %12s %7s %6s\n", setting->name, server,
           median(c->rate, n), median(c->cpu, n), cpu, median(c->ratio, n), counts ? " " : "*",
           ratio, calls, memory);
    show_tsv(setting->name, server, c, counts);
    fflush(stdout);
}

static void run_setting(int s)
{
    int there[SERVERS], counts;

    for (int i = 0; i < SERVERS; i++)
        there[i] = is_there(&servers[i]);
    for (int round = 0; round < rounds; round++)
        run_round(&settings[s], cells[s], there, round);
    counts = raw_counts(cells[s]);
    for (int i = 0; i < SERVERS; i++)
        if (there[i]) {
            count_calls(&settings[s], &servers[i], &cells[s][i]);
            show(&settings[s], servers[i].name, &cells[s][i], counts);
        }
    if (!counts)
        printf("* does not count: libev is more than 3 %% faster than the raw loop here\n");
}

/* ------------------------------------------------ the small costs, and the bounds */

/* One number of a program that prints names and values. */
static double ask(const char *program, const char *argument, const char *name, double *also,
                  const char *also_name)
{
    const char *argv[] = {program, argument, NULL};
    struct process process = start(argv, 0, 0);
    char line[LINE];
    int status;

    if (!fgets(line, sizeof line, process.out))
        line[0] = 0;
    close(process.in);
    fclose(process.out);
    waitpid(process.pid, &status, 0);
    if (also)
        *also = field(line, also_name);
    return field(line, name);
}

static const char *verdict(double value, double most, double goal)
{
    if (value < 0)
        return "not measured";
    if (value > most)
        return "TOO MUCH";
    return value <= goal && goal < most ? "goal" : "holds";
}

/* A row of the bounds. A negative value is one that was not measured. */
static void bound(const char *what, double value, double most, double goal, const char *unit,
                  const char *note)
{
    const char *word = verdict(value, most, goal);
    char text[32] = "-";

    if (value >= 0)
        snprintf(text, sizeof text, "%.3f", value);
    printf("%-39s %7s %6.6g %5.6g %-5s %-12s %s\n", what, text, most, goal, unit, word, note);
    fprintf(tsv, "bound\t%s\t%s\t%g\t%g\t%s\t%s\t%s\n", what, text, most, goal, unit, word, note);
    fflush(stdout);
}

static double ratio_of(int setting, int server)
{
    const struct cell *row = cells[setting];
    return row[server].rounds ? median(row[server].ratio, row[server].rounds) : -1;
}

static void echo_bounds(void)
{
    for (int s = SET_64; s <= SET_64 + 1; s++) {
        struct cell *row = cells[s];
        char what[64];
        int both = row[RAW].rounds && row[ASYNC_READ].rounds && row[ASYNC_READ].calls > 0;
        snprintf(what, sizeof what, "CPU per round trip, %s connections", settings[s].name);
        bound(what, ratio_of(s, ASYNC_READ), 1.05, 1.01, "x raw",
              raw_counts(row) ? "" : "raw slow: no count");
        snprintf(what, sizeof what, "system calls over raw, %s connections", settings[s].name);
        bound(what, both ? row[ASYNC_READ].calls / row[RAW].calls : -1, 1.01, 1.01, "x raw", "");
    }
    for (int i = ASYNC_READABLE; i <= ASYNC_STREAM; i++) {
        struct cell *cell = &cells[SET_IDLE][i];
        bound(i == ASYNC_STREAM ? "idle connection in a stream read"
                                : "idle connection in async_readable",
              cell->rounds ? median(cell->memory, cell->rounds) : -1, 400, 400, "bytes", "");
    }
}

static void switch_bounds(void)
{
    double yields[ROUNDS_MAX], calls[ROUNDS_MAX], scaled[ROUNDS_MAX], spawns[ROUNDS_MAX];
    char note[64];

    for (int i = 0; i < rounds; i++) {
        yields[i] = ask("micro", "yield", "yield_ns", &calls[i], "call_ns");
        scaled[i] = yields[i] < 0 ? -1 : yields[i] * 2 / calls[i];
        spawns[i] = ask("micro", "spawn", "spawn_ns", NULL, NULL);
    }
    snprintf(note, sizeof note, "%.2f ns; a call %.2f", median(yields, rounds),
             median(calls, rounds));
    bound("yield and resume, where a call is 2 ns", median(scaled, rounds), 6, 4, "ns", note);
    bound("spawn and finish, 16-byte frame", median(spawns, rounds), 30, 15, "ns", "");
}

/* Both count a timer from the moment it is started. libev can also count from its last wait, which
 * saves reading the clock; such a timer may fire early. */
static void timer_bounds(void)
{
    double ratios[ROUNDS_MAX], ours[ROUNDS_MAX], theirs[ROUNDS_MAX], cached[ROUNDS_MAX];
    char note[64];

    for (int i = 0; i < rounds; i++) {
        cached[i] = ask("micro_libev", "cached", "timer_ns", NULL, NULL);
        theirs[i] = ask("micro_libev", "timers", "timer_ns", NULL, NULL);
        ours[i] = ask("micro", "timers", "timer_ns", NULL, NULL);
        ratios[i] = ours[i] < 0 || theirs[i] < 0 ? -1 : ours[i] / theirs[i];
    }
    snprintf(note, sizeof note, "%.0f ns; libev %.0f, with a stale clock %.0f",
             median(ours, rounds), median(theirs, rounds), median(cached, rounds));
    bound("cancel, start again: 1,000,000 timers", median(ratios, rounds), 1.5, 0.5, "x", note);
}

/* The same two things in Go; the two take turns. */
static void go_bound(const char *what, const char *which, double most, double goal)
{
    double ratios[ROUNDS_MAX], ours[ROUNDS_MAX], theirs[ROUNDS_MAX];
    char name[32], note[64];

    if (!is_built("peers_go"))
        return;
    snprintf(name, sizeof name, "%s_ns", which);
    for (int i = 0; i < rounds; i++) {
        theirs[i] = ask("peers_go", which, name, NULL, NULL);
        ours[i] = ask("micro", which, name, NULL, NULL);
        ratios[i] = ours[i] < 0 || theirs[i] < 0 ? -1 : ours[i] / theirs[i];
    }
    snprintf(note, sizeof note, "%.0f ns; Go %.0f", median(ours, rounds), median(theirs, rounds));
    bound(what, median(ratios, rounds), most, goal, "x Go", note);
}

/* A program of examples/ beside its peer: peers.sh lets them take turns. */
static void peer_bound(const char *what, const char *row, const char *peer, double most,
                       double goal)
{
    char note[64];
    double ours, theirs, ratio;

    if (!wanted("PEERS", row))
        return;
    ratio = ask("peers.sh", row, "ratio", &ours, "ours_ns");
    if (ratio < 0)
        return; /* peers.sh has said which program is missing */
    theirs = ours / ratio;
    snprintf(note, sizeof note, "%.0f ns; %s %.0f", ours, peer, theirs);
    bound(what, ratio, most, goal, "x", note);
}

static void peer_bounds(void)
{
    peer_bound("kv: CPU of a GET", "get.1", "redis-server", 1, 0.9);
    peer_bound("kv: CPU of a GET in a pipeline of 16", "get.16", "redis-server", 1, 0.9);
    peer_bound("kv: CPU of a SET", "set.1", "redis-server", 1, 0.9);
    peer_bound("kv: CPU of a SET in a pipeline of 16", "set.16", "redis-server", 1, 0.9);
    peer_bound("http: CPU of a file of 1 KiB", "http", "nginx", 1, 0.8);
    peer_bound("proxy: CPU of a round trip", "proxy", "HAProxy", 1, 0.8);
}

/* CPU time of one compilation, the compiler's own children included. */
static double compile_ms(const char *name)
{
    char command[LINE * 4];
    struct rusage usage;
    int status;
    pid_t pid;

    snprintf(command, sizeof command, "$CC -O2 -c -o %s/%s.o %s/%s.c", directory, name, directory,
             name);
    pid = fork();
    if (pid == 0)
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status != 0)
        return -1;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

/* The two files are compiled in turns; the median of the differences counts. */
static double include_ms(void)
{
    const char *argv[] = {"size.sh", "files", directory, NULL};
    struct process process = start(argv, -1, 0);
    double differences[21], with, without;
    int count = quick ? 7 : 21;

    finish(&process, "size.sh");
    setenv("CC", "cc", 0);
    for (int i = 0; i < count; i++) {
        with = compile_ms("with");
        without = compile_ms("without");
        if (with < 0 || without < 0)
            return -1;
        differences[i] = with > without ? with - without : 0;
    }
    return median(differences, count);
}

static void all_bounds(void)
{
    double parked, text, include;

    printf("\n%-39s %7s %6s %5s\n", "", "value", "most", "goal");
    echo_bounds();
    switch_bounds();
    parked = ask("micro", "parked", "parked_bytes", NULL, NULL);
    bound("1,000,000 parked tasks, 16-byte frame", parked, 208, 160, "bytes", "");
    timer_bounds();
    go_bound("channel: there and back", "channel", 1, 0.5);
    go_bound("spawn and join", "join", 1, 0.5);
    peer_bounds();
    text = ask("size.sh", "text", "text_bytes", NULL, NULL);
    bound("code of the ping-pong, -O2, stripped", text < 0 ? -1 : text / 1024, 24, 24, "KiB", "");
    include = include_ms();
    bound("header over its system headers, -O2", include, 60, 60, "ms", "");
}

/* ------------------------------------------------ set-up */

/* The first two processors that we may use. */
static void choose_cpus(void)
{
    cpu_set_t set;
    char both[32];
    int found = 0;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
            if (CPU_ISSET(cpu, &set))
                cpus[found++] = cpu;
    if (found == 1)
        cpus[1] = cpus[0];
    CPU_ZERO(&set);
    CPU_SET(cpus[0], &set);
    pinned = found > 0 && sched_setaffinity(0, sizeof set, &set) == 0;
    for (int i = 0; i < found; i++)
        CPU_SET(cpus[i], &set);
    if (pinned)
        sched_setaffinity(0, sizeof set, &set);
    snprintf(both, sizeof both, "%d %d", cpus[0], cpus[1]);
    setenv("BENCH_CPUS", both, 1);
    if (!pinned)
        printf("Could not pin to processors: expect more noise.\n");
    else if (same_core || found < 2)
        printf("Server and load take turns on processor %d.\n", cpus[0]);
    else
        printf("Server on processor %d, load on processor %d.\n", cpus[0], cpus[1]);
    same_core |= found == 1;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: bench DIRECTORY FILE.tsv\n");
        return 2;
    }
    directory = argv[1];
    tsv = fopen(argv[2], "w");
    if (!tsv)
        die(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    quick = number("QUICK", 0);
    rounds = number("ROUNDS", quick ? 2 : 5);
    if (rounds < 1 || rounds > ROUNDS_MAX)
        rounds = ROUNDS_MAX;
    same_core = number("SAME_CORE", 0);
    choose_cpus();
    printf("%d rounds; 64-byte messages; CPU: of the server, per round trip; calls: system calls "
           "per round\n"
           "trip; bytes: resident memory per connection.\n",
           rounds);
    head();
    for (int s = 0; s < SETTINGS; s++)
        if (wanted("SETTINGS", settings[s].name))
            run_setting(s);
    printf("system calls counted by: %s\n", calls_source);
    all_bounds();
    fclose(tsv);
    return 0;
}
