/*
 * kqueue(2) over epoll(7), so that the kqueue section of async.h runs, unchanged, on Linux.
 *
 * A kernel's kqueue has two halves, and so has this one. Something happens to a descriptor: the
 * notes on it become active and queue up. Somebody fetches: the filter of each active note looks
 * again whether its condition holds, and only then is an event reported. Here epoll tells that
 * something happened (edge-triggered, one entry for both filters of a descriptor), and poll(2)
 * with some ioctl(2) is the filter. A note with EV_CLEAR then leaves the queue, any other goes to
 * its end. The descriptor of a kqueue is the epoll descriptor itself, so it can be polled. Active
 * notes that epoll knows nothing about ring the bell: one descriptor per process that is always
 * readable, a member of each epoll set, and muted unless the queue holds a note.
 *
 * close(2) cannot be seen from here. But epoll tells its entries apart by number AND open file:
 * adding a number again says EEXIST only while it stands for the file that was registered.
 *
 * Different from a kernel, and harmless to code that takes an event as a hint:
 *  - Whatever happens to a descriptor, or to its registration, makes both its notes active.
 *  - If the file of a closed number lives on in a dup(2) or a child, the kqueue may poll readable
 *    with nothing to fetch; and if dup2(2) puts it back under that number, its notes are back.
 *  - Linux cannot show a socket's pending error without taking it from the read, write or
 *    getsockopt that must report it. So it stays where it is, and `fflags` is a conclusion:
 *    ECONNREFUSED if the TCP socket was never connected, else ECONNRESET.
 *  - A regular file that grows is noticed by the next kevent(), but does not end one that waits.
 *  - `data` of a listening Unix socket is 1, however many connections wait.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "sys/event.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_TIMEOUT_S 100000000 /* above it macOS says EINVAL */
#define BELL UINT64_MAX         /* the bell's epoll data: no descriptor has this number */

/* A registered event: "knote" in the kernels. */
struct note {
    struct note *previous, *next; /* neighbours on the queue; NULL while not active */
    struct note *next_user;
    struct watch *watch;          /* NULL for EVFILT_USER */
    struct kevent event;          /* as registered */
    bool is_registered;
};

/* A descriptor with its two filters. */
struct watch {
    int fd;
    uint32_t generation;          /* tells its epoll events from those of an earlier one */
    struct note reader, writer;
    bool is_listener;             /* or has been one: after shutdown(2) nothing shows it */
    bool is_file;                 /* a file or directory, which epoll refuses */
    struct stat file;             /* as last seen */
};

struct table {                    /* by descriptor */
    void **entries;
    size_t size;
};

struct queue {
    int kq;
    pid_t owner;
    bool is_ringing;
    size_t files;
    struct note active;           /* head of the ring of active notes */
    struct note *users;
    struct table watches;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct table queues;       /* what a closed kqueue leaves stays until its number is reused */
static uint32_t last_generation;
static int bell = -1;

static void not_implemented(const char *what, int value)
{
    fprintf(stderr, "kqueue emulation: %s %d (0x%x) is not implemented\n", what, value,
            (unsigned)value);
    abort();
}

static void *table_get(const struct table *table, int fd)
{
    return fd >= 0 && (size_t)fd < table->size ? table->entries[fd] : NULL;
}

static int table_put(struct table *table, int fd, void *entry)
{
    if ((size_t)fd >= table->size) {
        size_t size = (size_t)fd * 2 + 16;
        void **entries = realloc(table->entries, size * sizeof *entries);
        if (entries == NULL)
            return ENOMEM;
        memset(entries + table->size, 0, (size - table->size) * sizeof *entries);
        table->entries = entries;
        table->size = size;
    }
    table->entries[fd] = entry;
    return 0;
}

/* -------------------------------------------------------------------------- the active notes -- */

static void enqueue(struct queue *queue, struct note *note)
{
    if (note->next != NULL)
        return;
    note->previous = queue->active.previous;
    note->next = &queue->active;
    note->previous->next = note->next->previous = note;
}

static void dequeue(struct note *note)
{
    if (note->next == NULL)
        return;
    note->previous->next = note->next;
    note->next->previous = note->previous;
    note->previous = note->next = NULL;
}

/* While a note is active the descriptor must poll readable, and a wait in another thread end. */
static void update_bell(struct queue *queue)
{
    bool is_pending = queue->active.next != &queue->active;
    struct epoll_event event = { .events = is_pending ? EPOLLIN : 0, .data.u64 = BELL };
    if (is_pending != queue->is_ringing)
        epoll_ctl(queue->kq, EPOLL_CTL_MOD, bell, &event);
    queue->is_ringing = is_pending;
}

/* ------------------------------------------------------- the filters: does a condition hold? -- */

struct state {
    int fd;
    int events;                   /* what poll(2) says */
    int type;                     /* SOCK_STREAM...; -1: not a socket */
    bool is_listener, is_tcp;
    struct tcp_info tcp;
};

static int socket_option(int fd, int option)
{
    int value;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

static int poll_now(int fd)
{
    struct pollfd poller = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP };
    return poll(&poller, 1, 0) > 0 ? poller.revents : 0;
}

static struct state look(struct watch *watch)
{
    struct state state = { .fd = watch->fd, .events = poll_now(watch->fd) };
    socklen_t size = sizeof state.tcp;
    if (socket_option(watch->fd, SO_ACCEPTCONN) > 0)
        watch->is_listener = true;
    state.type = socket_option(watch->fd, SO_TYPE);
    state.is_listener = watch->is_listener;
    state.is_tcp = getsockopt(watch->fd, IPPROTO_TCP, TCP_INFO, &state.tcp, &size) == 0;
    return state;
}

/* Linux reports a stream socket that was never connected as hung up, the BSDs not at all. */
static bool is_unconnected(const struct state *state)
{
    return state->type == SOCK_STREAM && (state->events & POLLHUP) && !(state->events & POLLRDHUP);
}

/* Can nothing be written any more, whichever side has ended it? */
static bool is_shut_for_writing(const struct state *state)
{
    if (state->type < 0)
        return (state->events & (POLLERR | POLLHUP)) != 0;
    if (state->is_tcp)
        return state->tcp.tcpi_state != TCP_ESTABLISHED && state->tcp.tcpi_state != TCP_SYN_SENT &&
               state->tcp.tcpi_state != TCP_CLOSE_WAIT && state->tcp.tcpi_state != TCP_SYN_RECV;
    /* No byte is sent, but a Unix stream that is shut says EPIPE all the same. */
    return state->type == SOCK_STREAM &&
           send(state->fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EPIPE;
}

static void set_eof(const struct state *state, struct kevent *event)
{
    event->flags |= EV_EOF;
    if (state->type >= 0 && (state->events & POLLERR))
        event->fflags = state->is_tcp && state->tcp.tcpi_rtt == 0 ? ECONNREFUSED : ECONNRESET;
}

static bool filter_listener(const struct state *state, struct kevent *event)
{
    if (state->events & POLLHUP)
        event->flags |= EV_EOF;
    else if (state->events & POLLIN)
        event->data = state->is_tcp ? (intptr_t)state->tcp.tcpi_unacked : 1;
    return (state->events & (POLLIN | POLLHUP)) != 0;
}

static bool filter_read(const struct state *state, struct kevent *event)
{
    int bytes;
    if (state->is_listener)
        return filter_listener(state, event);
    if (is_unconnected(state))
        return false;
    if (ioctl(state->fd, FIONREAD, &bytes) != 0)
        bytes = (state->events & POLLIN) != 0;
    event->data = bytes;
    if (state->events & (state->type < 0 ? POLLHUP | POLLERR : POLLRDHUP))
        set_eof(state, event);
    return (state->events & (POLLIN | POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static intptr_t room_to_write(const struct state *state)
{
    int used = 0, size = state->type < 0 ? fcntl(state->fd, F_GETPIPE_SZ)
                                         : socket_option(state->fd, SO_SNDBUF);
    if (ioctl(state->fd, state->type < 0 ? FIONREAD : TIOCOUTQ, &used) == 0 && size > used)
        return size - used;
    return (state->events & POLLOUT) != 0;
}

static bool filter_write(const struct state *state, struct kevent *event)
{
    bool is_shut;
    if (is_unconnected(state))
        return false;
    is_shut = is_shut_for_writing(state);
    event->data = room_to_write(state);
    if (is_shut)
        set_eof(state, event);
    return is_shut || (state->events & (POLLOUT | POLLERR));
}

static bool filter_file(const struct watch *watch, struct kevent *event)
{
    event->data = (intptr_t)(watch->file.st_size - lseek(watch->fd, 0, SEEK_CUR));
    return event->data != 0;
}

/* Describe the note in *event. Returns whether it is to be reported. */
static bool run_filter(struct note *note, struct kevent *event)
{
    struct state state;
    *event = note->event;
    if (note->watch == NULL)
        return true;              /* a user event is active because it was triggered */
    if (note->watch->is_file)
        return filter_file(note->watch, event);
    state = look(note->watch);
    return event->filter == EVFILT_READ ? filter_read(&state, event) : filter_write(&state, event);
}

/* ----------------------------------------------------------- the watches: one per descriptor -- */

/* Does epoll hold this number, still standing for the file it was registered with? */
static bool is_in_set(int kq, int fd)
{
    struct epoll_event event = { .events = 0 };
    if (epoll_ctl(kq, EPOLL_CTL_ADD, fd, &event) != 0)
        return errno == EEXIST;
    epoll_ctl(kq, EPOLL_CTL_DEL, fd, &event);
    return false;
}

static bool is_current(const struct queue *queue, const struct watch *watch)
{
    struct stat now;
    if (!watch->is_file)
        return is_in_set(queue->kq, watch->fd);
    return fstat(watch->fd, &now) == 0 && now.st_dev == watch->file.st_dev &&
           now.st_ino == watch->file.st_ino;
}

static void forget(struct queue *queue, struct watch *watch)
{
    dequeue(&watch->reader);
    dequeue(&watch->writer);
    queue->watches.entries[watch->fd] = NULL;
    queue->files -= watch->is_file;
    free(watch);
}

static struct watch *find_watch(struct queue *queue, int fd)
{
    struct watch *watch = table_get(&queue->watches, fd);
    if (watch == NULL || is_current(queue, watch))
        return watch;
    forget(queue, watch);
    return NULL;
}

/* Enter a descriptor into the epoll set. Returns 0 or an errno. */
static int enter(struct queue *queue, struct watch *watch)
{
    struct epoll_event event = { .events = 0 };
    if (fstat(watch->fd, &watch->file) == 0 &&
        epoll_ctl(queue->kq, EPOLL_CTL_ADD, watch->fd, &event) == 0)
        return 0;
    if (errno != EPERM)
        return errno;
    watch->is_file = S_ISREG(watch->file.st_mode) || S_ISDIR(watch->file.st_mode);
    queue->files += watch->is_file;
    return watch->is_file ? 0 : EINVAL; /* a device that cannot be waited for */
}

static int new_watch(struct queue *queue, int fd, struct watch **result)
{
    struct watch *watch = *result = calloc(1, sizeof *watch);
    int error;
    if (watch == NULL || table_put(&queue->watches, fd, watch) != 0) {
        free(watch);
        return ENOMEM;
    }
    watch->fd = fd;
    watch->generation = ++last_generation;
    watch->is_listener = socket_option(fd, SO_ACCEPTCONN) > 0;
    watch->reader.watch = watch->writer.watch = watch;
    error = enter(queue, watch);
    if (error != 0)
        forget(queue, watch);
    return error;
}

/* Tell epoll what the notes want. It then reports the present state once more, as an edge, and
 * that is how a new note comes to its first look. A watch without notes goes. */
static void update_interest(struct queue *queue, struct watch *watch)
{
    struct epoll_event event = { .events = EPOLLET };
    event.data.u64 = (uint64_t)watch->generation << 32 | (uint32_t)watch->fd;
    event.events |= watch->reader.is_registered ? EPOLLIN : 0;
    event.events |= watch->writer.is_registered ? EPOLLOUT : 0;
    watch->file.st_size = -1; /* whatever the size is now, it is news */
    if (event.events != EPOLLET) {
        epoll_ctl(queue->kq, EPOLL_CTL_MOD, watch->fd, &event);
    } else {
        epoll_ctl(queue->kq, EPOLL_CTL_DEL, watch->fd, &event);
        forget(queue, watch);
    }
}

/* ---------------------------------------------------------------------------- the changelist -- */

/* What this file does not know, and what no two systems treat alike, must not pass. */
static void check_implemented(const struct kevent *change)
{
    int unknown = change->flags & ~(EV_ADD | EV_DELETE | EV_CLEAR | EV_RECEIPT | EV_SYSFLAGS);
    bool is_user = change->filter == EVFILT_USER;
    if (change->filter < 0 && change->filter >= -EVFILT_SYSCOUNT && !is_user &&
        change->filter != EVFILT_READ && change->filter != EVFILT_WRITE)
        not_implemented("filter", change->filter);
    if (unknown != 0)
        not_implemented("flag", unknown);
    if ((change->flags & EV_ADD) && (change->flags & EV_DELETE))
        not_implemented("EV_ADD with EV_DELETE: flags", change->flags);
    if (change->fflags & ~(is_user ? NOTE_TRIGGER : 0u))
        not_implemented("fflags", (int)change->fflags);
}

static void set_note(struct note *note, const struct kevent *change)
{
    if (!note->is_registered) {
        note->event = *change;
        note->event.flags &= EV_CLEAR | EV_RECEIPT;
        note->event.fflags = 0;
        note->event.data = 0;
    } else if ((change->flags & EV_ADD) && ((change->flags ^ note->event.flags) & EV_CLEAR)) {
        not_implemented("changing EV_CLEAR of an event: flags", change->flags);
    }
    note->event.udata = change->udata;
    note->is_registered = true;
}

static int refuse(const struct watch *watch, int filter)
{
    if (filter == EVFILT_WRITE && watch->is_file)
        return EINVAL;
    /* The BSDs and macOS refuse a pipe whose reader has left. */
    if (filter == EVFILT_WRITE && S_ISFIFO(watch->file.st_mode) && (poll_now(watch->fd) & POLLERR))
        return EPIPE;
    return 0;
}

static int change_descriptor(struct queue *queue, const struct kevent *change)
{
    int error = 0, fd = change->ident <= INT_MAX ? (int)change->ident : -1;
    struct watch *watch = find_watch(queue, fd);
    struct note *note;
    if (fcntl(fd, F_GETFD) < 0)
        return EBADF;
    if (watch == NULL)
        error = change->flags & EV_ADD ? new_watch(queue, fd, &watch) : ENOENT;
    if (error != 0)
        return error;
    note = change->filter == EVFILT_READ ? &watch->reader : &watch->writer;
    if (!note->is_registered && !(change->flags & EV_ADD))
        return ENOENT;
    if (change->flags & EV_DELETE) {
        dequeue(note);
        note->is_registered = false;
    } else {
        error = refuse(watch, change->filter);
        if (error == 0)
            set_note(note, change);
    }
    update_interest(queue, watch);
    return error;
}

static void delete_user(struct note **place)
{
    struct note *note = *place;
    *place = note->next_user;
    dequeue(note);
    free(note);
}

static int change_user(struct queue *queue, const struct kevent *change)
{
    struct note **place = &queue->users;
    while (*place != NULL && (*place)->event.ident != change->ident)
        place = &(*place)->next_user;
    if (*place == NULL && !(change->flags & EV_ADD))
        return ENOENT;
    if (*place == NULL && (*place = calloc(1, sizeof **place)) == NULL)
        return ENOMEM;
    if (change->flags & EV_DELETE) {
        delete_user(place);
        return 0;
    }
    /* FreeBSD and NetBSD take EV_CLEAR on an existing event as "forget the trigger". */
    if ((*place)->is_registered && (change->flags & EV_CLEAR) &&
        ((*place)->next != NULL || (change->fflags & NOTE_TRIGGER)))
        not_implemented("EV_CLEAR on a triggered EVFILT_USER: flags", change->flags);
    set_note(*place, change);
    (*place)->event.data = change->data;
    if (change->fflags & NOTE_TRIGGER)
        enqueue(queue, *place);
    return 0;
}

static int apply_change(struct queue *queue, const struct kevent *change)
{
    check_implemented(change);
    switch (change->filter) {
    case EVFILT_READ:
    case EVFILT_WRITE: return change_descriptor(queue, change);
    case EVFILT_USER: return change_user(queue, change);
    default: return EINVAL;
    }
}

/* Returns the number of answers placed in the eventlist, or -1 and errno. */
static int apply_changes(struct queue *queue, const struct kevent *changes, int count,
                         struct kevent *eventlist, int nevents)
{
    int answers = 0;
    for (int i = 0; i < count; i++) {
        struct kevent change = changes[i]; /* the two lists may be one array */
        int error = apply_change(queue, &change);
        if (error == 0 && !(change.flags & EV_RECEIPT))
            continue;
        if (answers >= nevents) {
            errno = error;
            return error == 0 ? answers : -1;
        }
        change.flags |= EV_ERROR;
        change.data = error;
        eventlist[answers++] = change;
    }
    return answers;
}

/* ----------------------------------------------------------------------------- the eventlist -- */

static void activate(struct queue *queue, struct watch *watch, unsigned events)
{
    if (watch->reader.is_registered && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        enqueue(queue, &watch->reader);
    if (watch->writer.is_registered && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
        enqueue(queue, &watch->writer);
}

static void activate_files(struct queue *queue)
{
    for (size_t fd = 0; queue->files > 0 && fd < queue->watches.size; fd++) {
        struct watch *watch = table_get(&queue->watches, (int)fd);
        off_t size = watch != NULL ? watch->file.st_size : 0;
        if (watch == NULL || !watch->is_file || find_watch(queue, (int)fd) == NULL)
            continue;
        if (fstat(watch->fd, &watch->file) == 0 && watch->file.st_size != size)
            activate(queue, watch, EPOLLIN);
    }
}

/* Make active whatever something has happened to. */
static void collect(struct queue *queue)
{
    struct epoll_event events[64];
    int count;
    do {
        count = epoll_wait(queue->kq, events, 64, 0);
        for (int i = 0; i < count; i++) {
            struct watch *watch = table_get(&queue->watches, (int)(uint32_t)events[i].data.u64);
            if (watch != NULL && watch->generation == events[i].data.u64 >> 32)
                activate(queue, watch, events[i].events);
        }
    } while (count == 64);
    activate_files(queue);
}

/* Look at each active note once; report those whose condition holds. */
static int report(struct queue *queue, struct kevent *eventlist, int nevents)
{
    struct note end = { .next = NULL }, *note;
    int count = 0;
    enqueue(queue, &end);
    while (count < nevents && (note = queue->active.next) != &end) {
        dequeue(note);
        if (note->watch != NULL && !is_current(queue, note->watch)) {
            forget(queue, note->watch);
        } else if (run_filter(note, &eventlist[count])) {
            count++;
            if (!(note->event.flags & EV_CLEAR))
                enqueue(queue, note);
        }
    }
    dequeue(&end);
    return count;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Wait until something happens, without the mutex, to the nanosecond. Returns 0, or an errno. */
static int wait_until(int kq, int64_t deadline_ns)
{
    struct pollfd poller = { .fd = kq, .events = POLLIN };
    int64_t rest_ns = deadline_ns - now_ns();
    struct timespec rest = { .tv_sec = rest_ns > 0 ? (time_t)(rest_ns / 1000000000) : 0,
                             .tv_nsec = rest_ns > 0 ? (long)(rest_ns % 1000000000) : 0 };
    int error;
    pthread_mutex_unlock(&mutex);
    error = ppoll(&poller, 1, deadline_ns == INT64_MAX ? NULL : &rest, NULL) < 0 ? errno : 0;
    pthread_mutex_lock(&mutex);
    return error;
}

/* ------------------------------------------------------------------------------- the kqueues -- */

static void free_queue(struct queue *queue)
{
    for (size_t fd = 0; fd < queue->watches.size; fd++)
        free(queue->watches.entries[fd]);
    while (queue->users != NULL)
        delete_user(&queue->users);
    queues.entries[queue->kq] = NULL;
    free(queue->watches.entries);
    free(queue);
}

/* A kqueue has the bell in it; a number that was closed and then reused by others has not. */
static struct queue *find_queue(int kq)
{
    struct queue *queue = table_get(&queues, kq);
    bool has_bell = is_in_set(kq, bell);
    if (queue == NULL && has_bell)
        not_implemented("a duplicate of a kqueue's descriptor:", kq);
    if (queue != NULL && queue->owner == getpid()) {
        if (has_bell)
            return queue;
        free_queue(queue);
    }
    errno = EBADF;
    return NULL;
}

static int fetch(int kq, struct kevent *eventlist, int nevents, int64_t deadline_ns)
{
    struct queue *queue;
    while ((queue = find_queue(kq)) != NULL) { /* closed, perhaps, during the wait */
        int error, count;
        collect(queue);
        count = report(queue, eventlist, nevents);
        update_bell(queue);
        if (count > 0 || now_ns() >= deadline_ns)
            return count;
        error = wait_until(kq, deadline_ns);
        if (error != 0) {
            errno = error;
            return -1;
        }
    }
    return -1;
}

int kevent(int kq, const struct kevent *changelist, int nchanges,
           struct kevent *eventlist, int nevents, const struct timespec *timeout)
{
    int64_t deadline_ns = INT64_MAX;
    struct queue *queue;
    int result = -1;
    if (timeout != NULL) {
        if (timeout->tv_sec < 0 || timeout->tv_sec > MAX_TIMEOUT_S || timeout->tv_nsec < 0 ||
            timeout->tv_nsec >= 1000000000) {
            errno = EINVAL;
            return -1;
        }
        deadline_ns = now_ns() + (int64_t)timeout->tv_sec * 1000000000 + timeout->tv_nsec;
    }
    pthread_mutex_lock(&mutex);
    queue = find_queue(kq);
    if (queue != NULL) {
        result = apply_changes(queue, changelist, nchanges, eventlist, nevents);
        update_bell(queue);
        if (result == 0 && nevents > 0)
            result = fetch(kq, eventlist, nevents, deadline_ns);
    }
    pthread_mutex_unlock(&mutex);
    return result;
}

int kqueue(void)
{
    struct epoll_event event = { .events = 0, .data.u64 = BELL };
    struct queue *queue = calloc(1, sizeof *queue);
    int kq = queue != NULL ? epoll_create1(0) : -1;
    pthread_mutex_lock(&mutex);
    if (table_get(&queues, kq) != NULL)
        free_queue(table_get(&queues, kq));
    if (kq >= 0 && epoll_ctl(kq, EPOLL_CTL_ADD, bell, &event) == 0 &&
        table_put(&queues, kq, queue) == 0) {
        queue->kq = kq;
        queue->owner = getpid();
        queue->active.previous = queue->active.next = &queue->active;
    } else {
        free(queue);
        if (kq >= 0)
            close(kq);
        kq = -1;
    }
    pthread_mutex_unlock(&mutex);
    return kq;
}

/* -------------------------------------------------------------------------------------- fork -- */

static void before_fork(void)
{
    pthread_mutex_lock(&mutex);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&mutex);
}

/* A child has none of the kqueues, and their numbers are free. */
static void after_fork_in_child(void)
{
    for (size_t kq = 0; kq < queues.size; kq++) {
        if (queues.entries[kq] == NULL)
            continue;
        if (is_in_set((int)kq, bell))
            close((int)kq);
        free_queue(queues.entries[kq]);
    }
    pthread_mutex_unlock(&mutex);
}

/* Before main(), so that no test that counts descriptors sees the bell come. */
__attribute__((constructor)) static void set_up(void)
{
    bell = eventfd(1, EFD_CLOEXEC);
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}
