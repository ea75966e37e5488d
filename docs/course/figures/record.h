/* record.h: what a program did, and when, for timeline.c. Processes, threads and tasks may record at the same time:
 * each event is one line, appended to a file by one write(2).
 *
 *     RECORD_FILE=x.tsv ./program        lane, kind, start_ns, end_ns of CLOCK_MONOTONIC, one event a line
 *     ASYNC_TRACE_FILE=x.json ./program  the same for ui.perfetto.dev, in the file where async.h puts its tasks
 *
 * Without them nothing is recorded. A kind may have a detail behind a colon: cpu:on_page, wait:read.
 *
 *     int64_t t = record_now();
 *     connect(...);
 *     t = record("client", 0, "connect", t);    from t until now; returns now
 *     send(...);
 *     t = record("client", 0, "send", t);       with a number above 0 the lane is "client 1", "client 2"...
 */
#ifndef RECORD_H
#define RECORD_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int record_tsv = -1, record_json = -1;

static inline int64_t record_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A list that is never closed, which its readers allow: whoever makes the file begins it, as async.h does. */
static inline void record_open_json(const char *path)
{
    record_json = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (record_json >= 0 && write(record_json, "[", 1) == 1)
        return;
    record_json = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
}

/* Before the first fork and the first thread. */
static inline void record_open(void)
{
    const char *tsv = getenv("RECORD_FILE"), *json = getenv("ASYNC_TRACE_FILE");
    if (tsv && *tsv)
        record_tsv = open(tsv, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (json && *json)
        record_open_json(json);
}

/* A track for each lane of a process; its number must not be one of async.h's. */
static inline unsigned record_track(const char *lane)
{
    unsigned hash = 5381;
    while (*lane)
        hash = hash * 33 + (unsigned char)*lane++;
    return 900000000 + hash % 1000000;
}

static inline void record_line(int fd, const char *line, int size)
{
    if (size > 0 && write(fd, line, (size_t)size) != size)
        perror("record");
}

static inline void record_slice(const char *lane, int number, const char *kind, int64_t start_ns, int64_t end_ns)
{
    char name[32], line[512];
    if (record_tsv < 0 && record_json < 0)
        return;
    snprintf(name, sizeof name, number > 0 ? "%.20s %d" : "%.20s", lane, number);
    if (record_tsv >= 0)
        record_line(record_tsv, line, snprintf(line, sizeof line, "%s\t%.32s\t%lld\t%lld\n", name, kind,
                                               (long long)start_ns, (long long)end_ns));
    if (record_json >= 0)
        record_line(record_json, line, snprintf(line, sizeof line,
            "{\"ph\":\"M\",\"pid\":%d,\"tid\":%u,\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"}},\n"
            "{\"ph\":\"X\",\"pid\":%d,\"tid\":%u,\"ts\":%.3f,\"dur\":%.3f,\"name\":\"%.32s\"},\n",
            (int)getpid(), record_track(name), name, (int)getpid(), record_track(name),
            (double)start_ns / 1e3, (double)(end_ns - start_ns) / 1e3, kind));
}

static inline int64_t record(const char *lane, int number, const char *kind, int64_t start_ns)
{
    int64_t end_ns = record_now();
    record_slice(lane, number, kind, start_ns, end_ns);
    return end_ns;
}

#endif
