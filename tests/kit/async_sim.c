/*
 * async_sim.c: the simulated kernel beneath the seam of async.h.
 *
 * Pipes, sockets, epoll, kqueue and poll as Linux and the BSDs have them, as far as the header and
 * bodies use them, on a clock that stands still while code runs and jumps while all wait. What is
 * under way (bytes, connections, ends) is a DELIVERY: a moment and what happens then. A fault never
 * does what no kernel could: a short read means that the rest has not arrived yet, an EAGAIN after
 * an event that the readiness comes a little later, with an event of its own.
 */
#include "async_sim.h"

#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#if ASYNC_HAS_KQUEUE
#include <sys/event.h>
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifndef MSG_DONTWAIT
#define MSG_DONTWAIT 0
#endif

#define NEVER INT64_MAX
#define MS INT64_C(1000000)
#define EDGE 0x80000000u /* EPOLLET, also where there is no epoll */
#define EVERYTHING (SIM_IN | SIM_OUT | SIM_ERR | SIM_HUP | SIM_RDHUP | SIM_PRI)

struct sim_world sim;

/* ----------------------------------------------------------------------------
 * MARK: - Chance, and what happened
 * ------------------------------------------------------------------------- */
static const char *const call_names[] = {
#define NAME(call) #call,
    SIM_EACH_CALL(NAME)
#undef NAME
};

static const char *const fault_names[] = {
    "order", "short read", "short write", "EINTR", "EAGAIN", "latency", "spurious event",
    "few events", "events shuffled", "clock drift", "datagram lost", "datagram overtaken", "reset",
    "refused", "descriptor table full", "no memory"
};

/* In the timeline, before the call that it befalls. */
static const char *const fault_notes[] = {
    "", "fault: short read", "fault: short write", "", "fault: not ready yet", "",
    "fault: spurious event", "fault: few events", "fault: events shuffled", "",
    "fault: datagram lost", "fault: datagram overtaken", "fault: connection reset",
    "fault: connection refused", "fault: descriptor table full", "fault: no memory"
};

const char *sim_call_name(int call)
{
    return call >= 0 && call < SIM_CALLS ? call_names[call] : "memory";
}

const char *sim_fault_name(int fault)
{
    return fault_names[fault];
}

/* splitmix64, by Sebastiano Vigna: any seed will do, 0 too. */
static uint64_t draw_bits(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t sim_draw(uint64_t count)
{
    if (count < 2)
        return 0;
    if (!sim.bytes)
        return draw_bits(&sim.random) % count;
    if (!sim.byte_count)
        return 0;
    sim.byte_count--;
    return *sim.bytes++ % count;
}

/* When a fuzzer has no more to say, a body still gets different numbers: it may wait for that. */
uint64_t sim_random(uint64_t count)
{
    return sim.byte_count || count < 2 ? sim_draw(count) : draw_bits(&sim.chosen) % count;
}

bool sim_hit(int fault)
{
    if (!sim.rates[fault] || (sim.bytes && !sim.byte_count) || /* a fuzzer has no more to say */
        sim_draw((uint64_t)sim.rates[fault]))
        return false;
    sim.fired[fault]++;
    if (fault >= SIM_RESET)
        sim.failed++;
    if (fault != SIM_ORDER && fault != SIM_DRIFT && fault != SIM_LATENCY && fault != SIM_EINTR)
        sim_note(fault_notes[fault], -1, 0, 0);
    return true;
}

/* Swarm testing: each world has its own mix; with all kinds at once the frequent hide the rare. */
static void draw_rates(unsigned faults)
{
    static const int rates[] = { 0, 0, 2, 4, 24 };
    for (int fault = 0; fault < SIM_FAULTS; fault++) {
        sim.rates[fault] = rates[sim_draw(5)];
        if (!(faults & 1u << fault))
            sim.rates[fault] = 0;
    }
    if (sim.rates[SIM_MEMORY])
        sim.rates[SIM_MEMORY] *= 8;
    if (sim.rates[SIM_RESET])
        sim.rates[SIM_RESET] *= 4;
}

void sim_note(const char *what, int fd, long result, int error)
{
    struct sim_event *event = &sim.events[sim.event_count++ % SIM_EVENTS];
    event->ns = sim.now_ns;
    event->what = what;
    event->function = NULL;
    event->line = 0;
    event->fd = fd;
    event->error = error;
    event->result = result;
    event->task = async__current && async__current->task != sim.ended
                      ? async__current->task->item.slot : 0;
    sim.hash = (sim.hash ^ (uint64_t)(uint32_t)fd ^ (uint64_t)(uint32_t)error << 40 ^
                (uint64_t)result << 16 ^ (uint64_t)sim.now_ns << 8) * UINT64_C(0x100000001b3);
    for (; *what; what++)
        sim.hash = (sim.hash ^ (uint64_t)(unsigned char)*what) * UINT64_C(0x100000001b3);
}

/* ----------------------------------------------------------------------------
 * MARK: - Files and descriptors
 * ------------------------------------------------------------------------- */
enum kind { PIPE, STREAM, LISTENER, DATAGRAM, EPOLL, KQUEUE, REGULAR, DEVICE, TERMINAL };
enum { READS, WRITES };
enum state { FRESH, CONNECTING, CONNECTED, FAILED };

/* Bytes in one direction: [head, arrived) can be read, [arrived, written) is under way. */
struct channel {
    char *bytes;
    size_t capacity, allocated;
    size_t head, arrived, written, base; /* counted from the beginning; bytes[0] is base     */
    struct rights { size_t start, end; } rights[8]; /* messages with descriptors              */
    int rights_count;                    /* a read ends behind such a message                */
    size_t urgent;                       /* and before this byte; SIZE_MAX: none             */
    bool is_ended, end_arrived;          /* the writer's end                                 */
    bool has_reader, is_blocked;
    int64_t last_ns, clogged_ns;         /* nothing overtakes; nothing arrives before        */
    int64_t least_ns, most_ns;           /* latency                                          */
    struct channel *next;
};

struct address {
    struct sockaddr_storage storage;
    socklen_t size; /* 0: none */
};

struct packet {
    struct packet *next;
    struct address from;
    size_t size;
    char bytes[];
};

/* A registration with a poller: epoll's entry, or one filter of a kqueue. */
struct watch {
    struct file *poller, *file;
    struct watch *next_of_file, *next_of_poller, *next_ready, *previous_ready;
    uint64_t data;
    unsigned interest; /* SIM_IN... and EPOLLET */
    int fd, filter;
    bool is_ready;
};

/* An open file description. */
struct file {
    struct file *next;
    enum kind kind;
    int family, references, id, flags;
    bool taken; /* by a scripted peer */
    enum state state;
    struct channel *in, *out;
    struct file *peer;     /* of a connection                                               */
    int error;             /* SO_ERROR                                                      */
    bool is_reset, shut_reads, shut_writes, resets_on_close, was_full, is_listening, is_shut;
    bool clear, only_v6, shares;
    bool held[2];          /* a read (a write) says EAGAIN, until it is released            */
    struct address local, remote;
    struct file **backlog;
    int backlog_count, backlog_limit, attempts;
    struct packet *first;
    int64_t packet_ns;     /* when the last one under way arrives                           */
    int packets, waiting;  /* how many are, and have arrived                                */
    const char *text;      /* of a regular file                                             */
    unsigned mode;         /* st_mode; 0: what its kind has                                 */
    size_t place;
    struct watch *watches; /* on it                                                         */
    struct watch *members; /* of a poller                                                   */
    struct watch ready;    /* of a poller: the ring of what may have an event               */
    sim_line *script;      /* of a peer                                                     */
    int at, piece;
    size_t matched;
    int64_t rest_ns;
    bool is_scheduled;
};

struct descriptor {
    struct file *file; /* NULL: free */
    int flags;         /* FD_CLOEXEC */
};

/* A path to which a Unix socket was bound; its socket, if that is open still. */
struct name {
    struct name *next;
    struct file *file;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static struct descriptor *descriptors;
static struct name *paths;
static int descriptor_count, lowest_free;
static struct file *files;
static struct channel *channels;
static int file_count, next_port;
static struct sigaction sigpipe_action;
static int pending[SIM_CALLS + 1];
static const char *site_function;
static int site_line;

static struct file *file_of(int fd)
{
    int index = fd - SIM_FIRST_FD;
    return index >= 0 && index < descriptor_count ? descriptors[index].file : NULL;
}

static struct file *new_file(enum kind kind, int family)
{
    struct file *file = calloc(1, sizeof *file);
    file->next = files;
    files = file;
    file->kind = kind;
    file->family = family;
    file->id = ++file_count;
    file->ready.next_ready = file->ready.previous_ready = &file->ready;
    return file;
}

static struct channel *new_channel(void)
{
    struct channel *channel = calloc(1, sizeof *channel);
    channel->next = channels;
    channels = channel;
    channel->capacity = (size_t)sim.capacity;
    channel->urgent = SIZE_MAX;
    channel->has_reader = true;
    return channel;
}

static void grow_table(void)
{
    int count = descriptor_count ? descriptor_count * 2 : 64;
    descriptors = realloc(descriptors, (size_t)count * sizeof *descriptors);
    memset(descriptors + descriptor_count, 0,
           (size_t)(count - descriptor_count) * sizeof *descriptors);
    descriptor_count = count;
}

/* The lowest free number that is not below `index`. Returns it, or -1 and EMFILE. */
static int open_descriptor_from(struct file *file, int flags, int index)
{
    if (sim.limit >= 0 && sim.descriptors >= sim.limit) {
        errno = EMFILE;
        return -1;
    }
    if (index < lowest_free)
        index = lowest_free;
    while (index < descriptor_count && descriptors[index].file)
        index++;
    while (index >= descriptor_count)
        grow_table();
    descriptors[index].file = file;
    descriptors[index].flags = flags & O_CLOEXEC ? FD_CLOEXEC : 0;
    file->references++;
    if (index == lowest_free)
        lowest_free = index + 1;
    sim.descriptors++;
    return index + SIM_FIRST_FD;
}

static int open_descriptor(struct file *file, int flags)
{
    return open_descriptor_from(file, flags, 0);
}

/* A file under a number of its own, or, where there is none left, nothing. */
static int install(struct file *file, int flags)
{
    file->flags = O_RDWR | (flags & O_NONBLOCK);
    return open_descriptor(file, flags);
}

int sim_descriptors(void)
{
    return sim.descriptors;
}

int sim_first_descriptor(void)
{
    for (int index = 0; index < descriptor_count; index++)
        if (descriptors[index].file)
            return index + SIM_FIRST_FD;
    return -1;
}

/* ----------------------------------------------------------------------------
 * MARK: - A call begins and ends
 * ------------------------------------------------------------------------- */
void sim_site(const char *function, int line, int call)
{
    site_function = function;
    site_line = line;
    pending[call + 1]++;
}

static void injected(int call)
{
    sim.failed++;
    sim.failed_function = site_function;
    sim.failed_line = site_line;
    sim.failed_call = call;
}

/* Only calls that wait for something are interrupted. */
static bool is_interruptible(int call)
{
    return call == SIM_CALL_read || call == SIM_CALL_readv || call == SIM_CALL_recv ||
           call == SIM_CALL_recvmsg || call == SIM_CALL_write || call == SIM_CALL_writev ||
           call == SIM_CALL_send || call == SIM_CALL_sendmsg || call == SIM_CALL_accept ||
           call == SIM_CALL_accept4 || call == SIM_CALL_connect || call == SIM_CALL_epoll_wait ||
           call == SIM_CALL_kevent;
}

static bool makes_descriptor(int call)
{
    return call == SIM_CALL_accept || call == SIM_CALL_accept4 || call == SIM_CALL_socket ||
           call == SIM_CALL_socketpair || call == SIM_CALL_pipe || call == SIM_CALL_pipe2 ||
           call == SIM_CALL_epoll_create1 || call == SIM_CALL_kqueue;
}

static void count_still(void)
{
    if (++sim.still > sim.patience)
        async_test_wrong("livelock: %ld calls and steps while virtual time stands still",
                         sim.patience);
}

static void count_call(int call)
{
    if (sim.calls < SIM_TRAIL)
        sim.trail[sim.calls] = (short)call;
    sim.calls++;
    sim.counts[call]++;
    count_still();
}

/* Was this call made through the seam? A body's own calls are not counted and do not fail. */
static bool is_seam(int call)
{
    if (!pending[call + 1]) {
        site_function = NULL;
        return false;
    }
    pending[call + 1]--;
    return true;
}

static struct thread *running; /* which has its turn; NULL: the loop's */

void sim_raise(int number)
{
    if (sim.raised)
        async_test_wrong("sim_raise: signal %d has not come yet", sim.raised);
    sim.raised = number;
    sim.raised_after = (int)sim_draw(20);
}

/* The handler makes calls of its own. */
static void raise_now(void)
{
    const char *function = site_function;
    int number = sim.raised, line = site_line;
    sim.raised = 0;
    sim_note("signal", -1, number, 0);
    raise(number);
    site_function = function;
    site_line = line;
}

static bool is_raised(int call)
{
    bool waits = call == SIM_CALL_epoll_wait || call == SIM_CALL_kevent || call == SIM_CALL_poll;
    return sim.raised && (!sim.raised_after-- || (sim.real && waits));
}

/* Each call begins so. Returns the errno with which it fails; 0: it goes on; -1: it goes on, and
 * was made by a body. */
static int enter(int call)
{
    int error = 0;
    if (!is_seam(call))
        return -1;
    if (running && call != SIM_CALL_getaddrinfo)
        return -1; /* how a thread tells the loop: nothing outside is in its way */
    count_call(call);
    if (is_raised(call))
        raise_now();
    if (sim.next_failure[call] > 0) {
        error = sim.next_failure[call];
        sim.next_failure[call] = 0;
    }
    if (sim.calls == sim.fail_call)
        error = sim.fail_errno;
    if (error) {
        injected(call);
        return error;
    }
    if (is_interruptible(call) && sim_hit(SIM_EINTR))
        return EINTR;
    if (makes_descriptor(call) && sim_hit(SIM_TABLE))
        return sim_draw(4) ? EMFILE : ENFILE;
    return 0;
}

/* errno(3): a call that succeeds may change errno, too. This one does, to what misleads most. */
static long leave(int call, int fd, long result)
{
    int error = errno;
    sim_note(call_names[call], fd, result, result < 0 ? error : 0);
    if (site_function && sim.event_count) {
        struct sim_event *event = &sim.events[(sim.event_count - 1) % SIM_EVENTS];
        event->function = site_function;
        event->line = site_line;
    }
    errno = result < 0 ? error : sim.seed % 2 ? EINTR : ENOTTY;
    return result;
}

static long fail(int call, int fd, int error)
{
    errno = error;
    return leave(call, fd, -1);
}

long sim_calls(void)
{
    return sim.calls;
}

long sim_allocations(void)
{
    return sim.allocations;
}

long sim_count_call(int call)
{
    return sim.counts[call];
}

void sim_fail_next_call(int call, int error)
{
#if !ASYNC_HAS_ACCEPT4
    call = call == SIM_CALL_accept4 ? SIM_CALL_accept : call;
#endif
#if !ASYNC_HAS_PIPE2
    call = call == SIM_CALL_pipe2 ? SIM_CALL_pipe : call;
#endif
    sim.next_failure[call] = error;
}

/* ----------------------------------------------------------------------------
 * MARK: - Levels and edges
 * ------------------------------------------------------------------------- */
static size_t space_in(const struct channel *channel)
{
    size_t used = channel->written - channel->head;
    return used < channel->capacity ? channel->capacity - used : 0;
}

static size_t readable(const struct channel *channel)
{
    return channel->arrived - channel->head;
}

/* A writer that found it full is told when there is room again: until then there is none. */
static bool has_room(const struct file *file)
{
    return space_in(file->out) && !file->was_full;
}

static unsigned stream_level(const struct file *file)
{
    unsigned level = 0;
    bool ended = file->in && file->in->end_arrived;
    if (file->state == FRESH)
        return SIM_OUT | SIM_HUP;
    if (file->state == CONNECTING)
        return 0;
    if (file->is_reset || file->state == FAILED)
        return SIM_IN | SIM_OUT | SIM_HUP | SIM_RDHUP | (file->error ? (unsigned)SIM_ERR : 0u);
    if (readable(file->in) || ended || file->shut_reads)
        level |= SIM_IN;
    if (file->in->urgent != SIZE_MAX && file->in->arrived > file->in->urgent)
        level |= SIM_PRI;
    if (ended || file->shut_reads)
        level |= SIM_RDHUP;
    if (file->shut_writes || has_room(file) ||
        (file->family == AF_UNIX && !file->out->has_reader)) /* TCP learns it from a reset */
        level |= SIM_OUT;
    if ((ended || file->shut_reads) && file->shut_writes)
        level |= SIM_HUP;
    if (file->family == AF_UNIX && !file->out->has_reader && ended)
        level |= SIM_HUP;
    return level | (file->error ? (unsigned)SIM_ERR : 0u);
}

static unsigned pipe_level(const struct file *file)
{
    if (file->in)
        return (readable(file->in) ? (unsigned)SIM_IN : 0u) |
               (file->in->end_arrived ? (unsigned)SIM_HUP : 0u);
    if (!file->out->has_reader)
        return SIM_OUT | SIM_ERR;
    return has_room(file) ? SIM_OUT : 0;
}

static unsigned terminal_level(const struct file *file)
{
    size_t i;
    if (file->in->end_arrived)
        return SIM_IN | SIM_HUP | SIM_OUT;
    for (i = file->in->head; i < file->in->arrived; i++)
        if (file->in->bytes[i - file->in->base] == '\n')
            return SIM_IN | SIM_OUT;
    return SIM_OUT;
}

static bool has_event(const struct file *poller);
static bool is_choked(struct file *file);

/* What holds now, whatever was reported before. */
static unsigned level_of(const struct file *file)
{
    unsigned level;
    switch (file->kind) {
    case PIPE:
        level = pipe_level(file);
        break;
    case STREAM:
        level = stream_level(file);
        break;
    case LISTENER:
        level = file->is_shut ? SIM_OUT | SIM_HUP : file->backlog_count ? SIM_IN : 0;
        break;
    case DATAGRAM:
        level = (is_choked((struct file *)(uintptr_t)file) ? 0u : (unsigned)SIM_OUT) |
                (file->first ? (unsigned)SIM_IN : 0u) |
                (file->error ? (unsigned)(SIM_ERR | SIM_IN) : 0u);
        break;
    case TERMINAL:
        level = terminal_level(file);
        break;
    case EPOLL:
    case KQUEUE:
        level = has_event(file) ? SIM_IN : 0;
        break;
    default:
        level = SIM_IN | SIM_OUT;
    }
    if (file->held[READS])
        level &= ~(unsigned)(SIM_IN | SIM_RDHUP | SIM_PRI | SIM_HUP | SIM_ERR);
    if (file->held[WRITES])
        level &= ~(unsigned)(SIM_OUT | SIM_HUP | SIM_ERR);
    return level;
}

unsigned sim_level(int fd)
{
    struct file *file = file_of(fd);
    return file ? level_of(file) : 0;
}

const char *sim_kind(int fd)
{
    static const char *const names[] = { "pipe", "connection", "listener", "datagram socket",
                                         "epoll", "kqueue", "file", "device", "terminal" };
    struct file *file = file_of(fd);
    return file ? names[file->kind] : "closed descriptor";
}

static void set_ready(struct watch *watch)
{
    struct watch *ring = &watch->poller->ready;
    if (watch->is_ready)
        return;
    watch->is_ready = true;
    watch->previous_ready = ring->previous_ready;
    watch->next_ready = ring;
    ring->previous_ready->next_ready = watch;
    ring->previous_ready = watch;
}

static void set_idle(struct watch *watch)
{
    if (!watch->is_ready)
        return;
    watch->is_ready = false;
    watch->previous_ready->next_ready = watch->next_ready;
    watch->next_ready->previous_ready = watch->previous_ready;
}

static void deliver_later(int what, struct file *file, struct channel *channel, size_t place,
                          int64_t at_ns);
enum { ARRIVE, END, CONNECT, RELEASE, RESET, SPACE, PLAY, PACKET, THREAD };

/* Something happened to a file: epoll(7)'s edge. */
static void wake(struct file *file, unsigned events)
{
    for (struct watch *watch = file->watches; watch; watch = watch->next_of_file)
        if (watch->interest & events)
            set_ready(watch);
    if (file->script && !file->is_scheduled) {
        file->is_scheduled = true;
        deliver_later(PLAY, file, NULL, 0, sim.now_ns);
    }
}

static struct file *reader_of(const struct channel *channel)
{
    for (struct file *file = files; file; file = file->next)
        if (file->in == channel)
            return file;
    return NULL;
}

static struct file *writer_of(const struct channel *channel)
{
    for (struct file *file = files; file; file = file->next)
        if (file->out == channel)
            return file;
    return NULL;
}

/* The reader has made room. Linux tells a Unix socket's writer each time, others when they had
 * found it full and a third is free. */
static void made_room(struct channel *channel)
{
    struct file *writer = writer_of(channel);
    if (!writer || !space_in(channel))
        return;
    if ((writer->family != AF_UNIX || writer->kind != STREAM) &&
        (!writer->was_full || space_in(channel) < (channel->capacity + 2) / 3))
        return;
    writer->was_full = false;
    wake(writer, SIM_OUT);
}

/* ----------------------------------------------------------------------------
 * MARK: - Time and deliveries
 * ------------------------------------------------------------------------- */
struct delivery {
    int64_t at_ns;
    uint64_t order;
    int what;
    struct file *file;
    struct channel *channel;
    size_t place;
    struct packet *packet;
    struct thread *thread;
};
static struct delivery *deliveries; /* a heap */
static int delivery_count, delivery_room;
static uint64_t delivery_order;

static bool is_before(const struct delivery *a, const struct delivery *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

static void add_delivery(struct delivery delivery)
{
    int place = delivery_count++;
    if (delivery_count > delivery_room) {
        delivery_room = delivery_room ? delivery_room * 2 : 64;
        deliveries = realloc(deliveries, (size_t)delivery_room * sizeof *deliveries);
    }
    delivery.order = delivery_order++;
    for (; place && is_before(&delivery, &deliveries[(place - 1) / 2]); place = (place - 1) / 2)
        deliveries[place] = deliveries[(place - 1) / 2];
    deliveries[place] = delivery;
}

static struct delivery take_delivery(void)
{
    struct delivery first = deliveries[0], last = deliveries[--delivery_count];
    int place = 0;
    for (;;) {
        int child = 2 * place + 1;
        if (child >= delivery_count)
            break;
        if (child + 1 < delivery_count && is_before(&deliveries[child + 1], &deliveries[child]))
            child++;
        if (!is_before(&deliveries[child], &last))
            break;
        deliveries[place] = deliveries[child];
        place = child;
    }
    deliveries[place] = last;
    return first;
}

static void deliver_later(int what, struct file *file, struct channel *channel, size_t place,
                          int64_t at_ns)
{
    struct delivery delivery = { at_ns, 0, what, file, channel, place, NULL, NULL };
    add_delivery(delivery);
}

static int64_t latency(const struct channel *channel)
{
    int64_t ns = channel ? channel->least_ns : 0;
    if (channel && channel->most_ns > channel->least_ns)
        ns += (int64_t)sim_draw((uint64_t)(channel->most_ns - channel->least_ns));
    if (sim_hit(SIM_LATENCY))
        ns += 1000 + (int64_t)sim_draw(sim_draw(8) ? 2000 : 20000) * 1000;
    return ns;
}

static void reset_connection(struct file *file);
static void finish_connect(struct file *file);
static void play(struct file *file);
static void packet_arrives(struct file *file, struct packet *packet);
static void pass_turn(struct thread *to);

static void bytes_arrive(struct channel *channel, size_t place)
{
    struct file *reader = reader_of(channel);
    if (place <= channel->arrived || !reader || reader->is_reset)
        return;
    channel->arrived = place;
    if (reader->kind == STREAM && reader->family != AF_UNIX && sim_hit(SIM_RESET)) {
        reset_connection(reader);
        return;
    }
    wake(reader, channel->urgent < place ? SIM_IN | SIM_PRI : SIM_IN);
}

static void end_arrives(struct channel *channel)
{
    struct file *reader = reader_of(channel);
    channel->arrived = channel->written;
    channel->end_arrived = true;
    if (!reader)
        return;
    wake(reader, reader->kind == STREAM
                     ? SIM_IN | SIM_RDHUP | (reader->shut_writes ? (unsigned)SIM_HUP : 0u)
                     : (unsigned)SIM_HUP);
    if (reader->kind == STREAM && reader->family == AF_UNIX && !reader->out->has_reader)
        wake(reader, SIM_HUP | SIM_OUT);
}

static void deliver(struct delivery *delivery)
{
    struct channel *channel = delivery->channel;
    if (channel && delivery->what != SPACE &&
        (channel->is_blocked || channel->clogged_ns > sim.now_ns)) {
        delivery->at_ns = channel->is_blocked ? NEVER - 1 : channel->clogged_ns;
        add_delivery(*delivery);
        return;
    }
    switch (delivery->what) {
    case ARRIVE:
        bytes_arrive(channel, delivery->place);
        break;
    case END:
        end_arrives(channel);
        break;
    case CONNECT:
        finish_connect(delivery->file);
        break;
    case RELEASE:
        delivery->file->held[delivery->place] = false;
        wake(delivery->file, EVERYTHING);
        break;
    case RESET:
        if (channel) /* nothing is overtaken */
            bytes_arrive(channel, channel->written);
        reset_connection(delivery->file);
        break;
    case SPACE:
        made_room(channel);
        break;
    case PLAY:
        delivery->file->is_scheduled = false;
        play(delivery->file);
        break;
    case THREAD:
        pass_turn(delivery->thread);
        break;
    default:
        packet_arrives(delivery->file, delivery->packet);
    }
}

static void deliver_due(void)
{
    while (delivery_count && deliveries[0].at_ns <= sim.now_ns) {
        struct delivery delivery = take_delivery();
        deliver(&delivery);
        if (delivery.what != PLAY)
            count_still();
    }
}

static int64_t next_delivery_ns(void)
{
    return delivery_count && deliveries[0].at_ns < NEVER - 1 ? deliveries[0].at_ns : NEVER;
}

static void move_clock(int64_t to_ns)
{
    if (to_ns <= sim.now_ns)
        return;
    sim.now_ns = to_ns;
    sim.still = 0;
    sim.settling = false;
}

void sim_advance(int64_t duration_ms)
{
    move_clock(sim.now_ns + duration_ms * MS);
}

int64_t *sim_clock_ns(void)
{
    sim.still = 0;
    return &sim.now_ns;
}

void sim_patience(long count)
{
    sim.patience = count;
}

void sim_skew(int millionths)
{
    sim.skew = millionths;
}

/* Wait until `ready` gives something else than 0, for `limit_ns` at most (negative: for ever).
 * Returns that, 0 when the time is over, or -1: a signal came. */
static int wait_for(int (*ready)(void *what), void *what, int64_t limit_ns, bool seam)
{
    int64_t end_ns = limit_ns < 0 ? NEVER : sim.now_ns + limit_ns;
    int found;
    if (limit_ns > 0 && sim.skew)
        end_ns += limit_ns / 1000000 * sim.skew;
    if (limit_ns > 0 && sim_hit(SIM_DRIFT)) /* late; or early, by another clock */
        end_ns += (int64_t)sim_draw(3000000) - (limit_ns > 2000000 ? 900000 : 0);
    deliver_due();
    found = ready(what);
    if (!found && seam && limit_ns)
        async_test_idle(limit_ns);
    while (!found && sim.now_ns < end_ns) {
        int64_t next_ns = next_delivery_ns();
        if (sim.raised && seam) {
            raise_now();
            return -1;
        }
        if (sim.signal) {
            sim.signal = false;
            return -1;
        }
        if (sim.settling && sim.settle_ns > sim.now_ns && sim.settle_ns < next_ns) {
            move_clock(sim.settle_ns); /* all others wait: nothing else may happen before */
            return 0;
        }
        if (next_ns == NEVER && end_ns == NEVER)
            async_test_deadlock();
        move_clock(next_ns < end_ns ? next_ns : end_ns);
        deliver_due();
        found = ready(what);
    }
    return found;
}

void sim_signal(void)
{
    sim.signal = true;
}

int sim_clock_gettime(int clock, struct timespec *now)
{
    bool seam = is_seam(SIM_CALL_clock_gettime);
    if (sim.real)
        return clock_gettime((clockid_t)clock, now);
    if (seam) {
        count_call(SIM_CALL_clock_gettime);
    }
    if (seam && !sim.settling && sim_hit(SIM_DRIFT))
        sim.now_ns += 1 + (int64_t)sim_draw(200000); /* the program is slow: `still` counts on */
    now->tv_sec = (time_t)(sim.now_ns / 1000000000);
    now->tv_nsec = (long)(sim.now_ns % 1000000000);
    return 0;
}

int64_t sim_settle_ns(void)
{
    sim.settling = true;
    sim.settle_ns = async_now() + 1;
    return sim.settle_ns;
}

/* ----------------------------------------------------------------------------
 * MARK: - Bytes
 * ------------------------------------------------------------------------- */
static size_t total(const struct iovec *pieces, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += pieces[i].iov_len;
    return sum;
}

/* Copy `size` bytes between the pieces and one buffer. */
static void spread(const struct iovec *pieces, const char *from, char *into, size_t size)
{
    size_t done = 0;
    for (; done < size; pieces++) {
        size_t part = pieces->iov_len < size - done ? pieces->iov_len : size - done;
        if (from && part)
            memcpy(pieces->iov_base, from + done, part);
        else if (part)
            memcpy(into + done, pieces->iov_base, part);
        done += part;
    }
}

static void make_room(struct channel *channel, size_t size)
{
    size_t used = channel->written - channel->head;
    if (channel->head > channel->base) {
        memmove(channel->bytes, channel->bytes + (channel->head - channel->base), used);
        channel->base = channel->head;
    }
    if (used + size <= channel->allocated)
        return;
    channel->allocated = (used + size) * 2;
    channel->bytes = realloc(channel->bytes, channel->allocated);
}

/* Bytes set out, in one piece or in two, and arrive. */
static void send_bytes(struct channel *channel, const struct iovec *pieces, size_t size)
{
    size_t from = channel->written;
    int64_t at_ns;
    make_room(channel, size);
    spread(pieces, NULL, channel->bytes + (channel->written - channel->base), size);
    channel->written += size;
    at_ns = sim.now_ns + latency(channel);
    if (at_ns < channel->last_ns)
        at_ns = channel->last_ns;
    if (at_ns > sim.now_ns && size > 1 && !sim_draw(3)) {
        deliver_later(ARRIVE, NULL, channel, from + 1 + (size_t)sim_draw(size - 1), at_ns);
        at_ns += 1 + (int64_t)sim_draw(3000000);
    }
    channel->last_ns = at_ns;
    if (at_ns <= sim.now_ns && !channel->is_blocked && channel->clogged_ns <= sim.now_ns)
        bytes_arrive(channel, channel->written);
    else
        deliver_later(ARRIVE, NULL, channel, channel->written, at_ns);
}

static void send_end(struct channel *channel)
{
    int64_t at_ns = sim.now_ns + latency(channel);
    if (channel->is_ended)
        return;
    channel->is_ended = true;
    if (at_ns < channel->last_ns)
        at_ns = channel->last_ns;
    if (at_ns <= sim.now_ns && !channel->is_blocked && channel->clogged_ns <= sim.now_ns)
        end_arrives(channel);
    else
        deliver_later(END, NULL, channel, 0, at_ns);
}

static void hold(struct file *file, int direction, int64_t duration_ns)
{
    file->held[direction] = true;
    deliver_later(RELEASE, file, NULL, (size_t)direction, sim.now_ns + duration_ns);
}

/* Not now, although it is ready: the readiness comes a little later, with an event. */
static bool holds(struct file *file, int direction, bool seam)
{
    if (file->held[direction])
        return true;
    if (!seam || file->is_reset || !sim_hit(SIM_EAGAIN))
        return false;
    hold(file, direction, 1000 + (int64_t)sim_draw(3000000));
    return true;
}

/* How many bytes one read may take. */
static size_t may_take(const struct file *file, size_t size)
{
    const struct channel *in = file->in;
    size_t end = in->arrived;
    if (in->rights_count && in->rights[0].end < end)
        end = in->rights[0].end;
    if (in->urgent != SIZE_MAX && in->urgent > in->head && in->urgent < end)
        end = in->urgent;
    if (file->kind == TERMINAL) {
        const char *start = in->bytes + (in->head - in->base);
        const char *line = memchr(start, '\n', end - in->head);
        end = line ? in->head + (size_t)(line - start) + 1 : in->head;
    }
    return end - in->head < size ? end - in->head : size;
}

/* The rest has not arrived yet, it turns out. */
static size_t cut_read(struct file *file, size_t size)
{
    struct channel *in = file->in;
    size_t cut;
    if (size < 2 || in->end_arrived || file->is_reset || file->kind == TERMINAL ||
        in->rights_count || in->urgent != SIZE_MAX || !sim_hit(SIM_SHORT_READ))
        return size;
    cut = 1 + (size_t)sim_draw(size - 1);
    deliver_later(ARRIVE, NULL, in, in->arrived, sim.now_ns + 1 + (int64_t)sim_draw(500000));
    in->arrived = in->head + cut;
    return cut;
}

/* Take bytes out of a pipe, a connection or a terminal. Returns how many; 0 at the end; -errno. */
static ssize_t take(struct file *file, const struct iovec *pieces, size_t count, int *cut_rights,
                    bool seam)
{
    struct channel *in = file->in;
    size_t size = total(pieces, count), n;
    if (!size)
        return 0;
    if (holds(file, READS, seam))
        return -EAGAIN;
    if (in->urgent == in->head && in->arrived > in->head) { /* the urgent byte: passed over */
        in->head++;
        in->urgent = SIZE_MAX;
    }
    n = may_take(file, size);
    if (!n && file->error) {
        int error = file->error;
        file->error = 0;
        return -error;
    }
    if (!n)
        return in->end_arrived || file->is_reset || file->shut_reads ? 0 : -EAGAIN;
    if (seam)
        n = cut_read(file, n);
    spread(pieces, in->bytes + (in->head - in->base), NULL, n);
    in->head += n;
    if (in->rights_count && in->head > in->rights[0].start) { /* they came with its first byte */
        memmove(in->rights, in->rights + 1, (size_t)--in->rights_count * sizeof *in->rights);
        if (cut_rights)
            *cut_rights = MSG_CTRUNC;
    }
    if (sim.rates[SIM_LATENCY] && sim_draw(2))
        deliver_later(SPACE, NULL, in, 0, sim.now_ns + (int64_t)sim_draw(1000000));
    else
        made_room(in);
    return (ssize_t)n;
}

/* Behind what is under way in a channel, if there is one. */
static void send_reset(struct file *to, struct channel *behind, int64_t at_ns)
{
    struct delivery reset = { at_ns, 0, RESET, to, behind, 0, NULL, NULL };
    if (at_ns > sim.now_ns)
        add_delivery(reset);
    else
        deliver(&reset);
}

/* Nobody reads any more. Returns -errno. */
static int broken(struct file *file)
{
    int error = file->error ? file->error : EPIPE;
    file->error = 0;
    return -error;
}

/* Put bytes into a pipe or a connection. Returns how many, or -errno. */
static ssize_t put(struct file *file, const struct iovec *pieces, size_t count, bool seam)
{
    struct channel *out = file->out;
    size_t size = total(pieces, count), room;
    if (!out->has_reader && (file->kind != STREAM || file->family == AF_UNIX))
        return -EPIPE;
    if (file->shut_writes || file->is_reset || file->error)
        return broken(file);
    if (!size)
        return 0;
    room = space_in(out);
    if (!room)
        file->was_full = true;
    if (holds(file, WRITES, seam))
        return -EAGAIN;
    if (!room)
        return -EAGAIN;
    if (!out->has_reader) { /* TCP: the peer answers with a reset */
        send_reset(file, NULL, sim.now_ns + latency(out));
        return (ssize_t)size;
    }
    if (size > room)
        size = room;
    if (seam && size > 1 && sim_hit(SIM_SHORT_WRITE)) {
        size = 1 + (size_t)sim_draw(size - 1);
        hold(file, WRITES, 1 + (int64_t)sim_draw(500000));
    }
    file->was_full |= size == room;
    send_bytes(out, pieces, size);
    return (ssize_t)size;
}

static void reset_connection(struct file *file)
{
    struct file *peer = file->peer;
    if (file->kind != STREAM || file->is_reset)
        return;
    file->is_reset = true;
    file->error = ECONNRESET;
    wake(file, EVERYTHING);
    if (peer && !peer->is_reset) {
        peer->is_reset = true;
        peer->error = peer->shut_writes && peer->in->end_arrived ? 0 : ECONNRESET;
        wake(peer, EVERYTHING);
    }
}

void sim_reset(int fd)
{
    struct file *file = file_of(fd);
    if (!file || file->kind != STREAM)
        async_test_wrong("sim_reset: descriptor %d is no connection", fd);
    sim.failed++;
    reset_connection(file);
}

/* ----------------------------------------------------------------------------
 * MARK: - Opening and closing
 * ------------------------------------------------------------------------- */
static void connect_pair(struct file *a, struct file *b)
{
    a->state = b->state = CONNECTED;
    a->peer = b;
    b->peer = a;
    a->out = b->in = new_channel();
    b->out = a->in = new_channel();
}

static void leave_name(struct file *file);

static void remove_watch(struct watch *watch)
{
    struct watch **place;
    set_idle(watch);
    for (place = &watch->file->watches; *place != watch; place = &(*place)->next_of_file)
        ;
    *place = watch->next_of_file;
    for (place = &watch->poller->members; *place != watch; place = &(*place)->next_of_poller)
        ;
    *place = watch->next_of_poller;
    free(watch);
}

static void refuse_backlog(struct file *listener)
{
    for (int i = 0; i < listener->backlog_count; i++) {
        struct file *server = listener->backlog[i];
        if (server->peer)
            reset_connection(server->peer);
        server->references = 0;
        server->in->has_reader = false;
        send_end(server->out);
    }
    listener->backlog_count = 0;
    listener->is_listening = false;
}

static void close_stream(struct file *file)
{
    bool unread = file->in && file->in->written != file->in->head && !file->is_reset;
    if (file->state != CONNECTED)
        return;
    file->in->has_reader = false;
    if (file->is_reset)
        return;
    if (file->family != AF_UNIX && (unread || file->resets_on_close)) {
        send_reset(file->peer, file->out, file->out->last_ns);
    } else {
        if (unread && file->peer->references)
            file->peer->error = ECONNRESET;
        if (!file->shut_writes)
            send_end(file->out);
    }
    if (file->family == AF_UNIX)
        wake(file->peer, SIM_OUT | SIM_HUP | SIM_IN | SIM_RDHUP |
                             (file->peer->error ? (unsigned)SIM_ERR : 0u));
}

/* The last descriptor of a file is gone. */
static void packets_move(const struct file *file);

static void close_file(struct file *file)
{
    while (file->watches)
        remove_watch(file->watches);
    while (file->members)
        remove_watch(file->members);
    switch (file->kind) {
    case PIPE:
    case TERMINAL:
        if (file->out)
            send_end(file->out);
        if (file->in) {
            struct file *writer = writer_of(file->in);
            file->in->has_reader = false;
            if (writer)
                wake(writer, SIM_OUT | SIM_ERR);
        }
        break;
    case STREAM:
        close_stream(file);
        break;
    case LISTENER:
        refuse_backlog(file);
        break;
    case DATAGRAM:
        file->waiting = 0;
        packets_move(file);
        break;
    default:
        break;
    }
    leave_name(file);
    file->local.size = 0;
}

/* kqueue(2): "calling close() on a file descriptor will remove any kevents that reference it". */
static void remove_filters(struct file *file, int fd)
{
    struct watch *watch = file->watches, *next;
    for (; watch; watch = next) {
        next = watch->next_of_file;
        if (watch->poller->kind == KQUEUE && watch->fd == fd)
            remove_watch(watch);
    }
}

static int close_descriptor(int fd)
{
    struct file *file = file_of(fd);
    if (!file)
        return EBADF;
    remove_filters(file, fd);
    descriptors[fd - SIM_FIRST_FD].file = NULL;
    if (fd - SIM_FIRST_FD < lowest_free)
        lowest_free = fd - SIM_FIRST_FD;
    sim.descriptors--;
    if (--file->references == 0)
        close_file(file);
    return 0;
}

/* The library closes what is open, once, and not before its poller has forgotten it: a duplicate
 * would go on reporting under this number. */
static void check_close(int fd)
{
    const async_loop *loop = async__current;
    const struct file *file = file_of(fd);
    const struct watch *watch = file ? file->watches : NULL;
    if (sim.closes_itself)
        return;
    if (!file)
        async_test_wrong("descriptor %d is closed, and is not open: for the second time?", fd);
    for (; watch && loop && !sim.failed; watch = watch->next_of_file)
        if (watch->fd == fd && watch->poller == file_of(loop->poller))
            async_test_wrong("descriptor %d is closed while the poller still watches it", fd);
}

/* close(2): whatever it says, the descriptor is gone; with EBADF somebody else has closed it. */
int sim_close(int fd)
{
    int failure = enter(SIM_CALL_close), error;
    if (sim.real)
        return close(fd);
    if (failure >= 0)
        check_close(fd);
    else
        sim.closes_itself = true;
    error = close_descriptor(fd);
    if (error || failure > 0)
        return (int)fail(SIM_CALL_close, fd, error ? error : failure);
    return (int)leave(SIM_CALL_close, fd, 0);
}

int sim_dup(int fd)
{
    struct file *file = file_of(fd);
    if (sim.real)
        return dup(fd);
    errno = EBADF;
    return file ? open_descriptor(file, 0) : -1;
}

int sim_dup2(int fd, int number)
{
    struct file *file = file_of(fd);
    is_seam(SIM_CALL_dup2);
    if (sim.real)
        return dup2(fd, number);
    errno = EBADF;
    if (!file || number < SIM_FIRST_FD)
        return -1;
    if (fd == number)
        return number;
    while (number - SIM_FIRST_FD >= descriptor_count)
        grow_table();
    sim.closes_itself = true;
    close_descriptor(number);
    descriptors[number - SIM_FIRST_FD].file = file;
    descriptors[number - SIM_FIRST_FD].flags = 0;
    file->references++;
    sim.descriptors++;
    return number;
}

static int make_pair(int call, enum kind kind, int family, int ends[2], int flags)
{
    struct file *a = new_file(kind, family), *b = new_file(kind, family);
    if (kind == PIPE) {
        a->in = b->out = new_channel();
        a->state = b->state = CONNECTED;
    } else if (kind == DATAGRAM) {
        a->state = b->state = CONNECTED;
        a->peer = b;
        b->peer = a;
    } else {
        connect_pair(a, b);
    }
    ends[0] = install(a, flags);
    ends[1] = ends[0] < 0 ? -1 : install(b, flags);
    if (ends[1] >= 0)
        return (int)leave(call, ends[0], 0);
    if (ends[0] >= 0)
        close_descriptor(ends[0]);
    return (int)fail(call, -1, EMFILE);
}

int sim_pipe2(int ends[2], int flags)
{
    int failure = enter(SIM_CALL_pipe2);
#if ASYNC_HAS_PIPE2
    if (sim.real)
        return pipe2(ends, flags);
#endif
    return failure > 0 ? (int)fail(SIM_CALL_pipe2, -1, failure)
                       : make_pair(SIM_CALL_pipe2, PIPE, 0, ends, flags);
}

int sim_pipe(int ends[2])
{
    int failure = enter(SIM_CALL_pipe);
    if (sim.real)
        return pipe(ends);
    return failure > 0 ? (int)fail(SIM_CALL_pipe, -1, failure)
                       : make_pair(SIM_CALL_pipe, PIPE, 0, ends, 0);
}

#ifdef SOCK_CLOEXEC
static int socket_flags(int type)
{
    return (type & SOCK_NONBLOCK ? O_NONBLOCK : 0) | (type & SOCK_CLOEXEC ? O_CLOEXEC : 0);
}
#define SOCKET_TYPE(type) ((type) & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
#else
static int socket_flags(int type)
{
    (void)type;
    return 0;
}
#define SOCKET_TYPE(type) (type)
#endif

int sim_socketpair(int family, int type, int protocol, int ends[2])
{
    int failure = enter(SIM_CALL_socketpair);
    if (sim.real)
        return socketpair(family, type, protocol, ends);
    if (failure > 0)
        return (int)fail(SIM_CALL_socketpair, -1, failure);
    return make_pair(SIM_CALL_socketpair, SOCKET_TYPE(type) == SOCK_STREAM ? STREAM : DATAGRAM,
                     AF_UNIX, ends, socket_flags(type));
}

int sim_socket(int family, int type, int protocol)
{
    int failure = enter(SIM_CALL_socket), fd;
    struct file *file;
    if (sim.real)
        return socket(family, type, protocol);
    if (failure > 0)
        return (int)fail(SIM_CALL_socket, -1, failure);
    file = new_file(SOCKET_TYPE(type) == SOCK_STREAM ? STREAM : DATAGRAM, family);
    fd = install(file, socket_flags(type));
    return (int)leave(SIM_CALL_socket, fd, fd);
}

int sim_file(const char *text)
{
    struct file *file = new_file(REGULAR, 0);
    file->text = text;
    return install(file, 0);
}

int sim_device(void)
{
    return install(new_file(DEVICE, 0), 0);
}

int sim_special(unsigned mode)
{
    struct file *file = new_file(REGULAR, 0);
    file->text = "";
    file->mode = mode;
    return install(file, 0);
}

void sim_terminal(int ends[2])
{
    struct file *slave = new_file(TERMINAL, 0), *master = new_file(PIPE, 0);
    slave->in = master->out = new_channel();
    slave->in->capacity = 4096; /* it takes a whole line, always */
    slave->state = master->state = CONNECTED;
    ends[0] = install(slave, 0);
    ends[1] = install(master, 0);
}

void sim_tcp_pair(int ends[2])
{
    struct file *a = new_file(STREAM, AF_INET), *b = new_file(STREAM, AF_INET);
    if (sim.real) {
        struct sockaddr_in address;
        socklen_t size = sizeof address;
        int listener = socket(AF_INET, SOCK_STREAM, 0);
        memset(&address, 0, sizeof address);
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 1) < 0 ||
            getsockname(listener, (struct sockaddr *)&address, &size) < 0)
            async_test_wrong("no TCP pair: %s", strerror(errno));
        ends[0] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(ends[0], (struct sockaddr *)&address, size) < 0)
            async_test_wrong("no TCP pair: %s", strerror(errno));
        ends[1] = accept(listener, NULL, NULL);
        close(listener);
        return;
    }
    connect_pair(a, b);
    ends[0] = install(a, 0);
    ends[1] = install(b, 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Sockets
 * ------------------------------------------------------------------------- */
static int port_of(const struct address *address)
{
    const struct sockaddr_in *v4 = (const void *)&address->storage;
    const struct sockaddr_in6 *v6 = (const void *)&address->storage;
    if (!address->size)
        return 0;
    if (address->storage.ss_family == AF_INET)
        return ntohs(v4->sin_port);
    return address->storage.ss_family == AF_INET6 ? ntohs(v6->sin6_port) : 0;
}

static void set_port(struct address *address, int port)
{
    struct sockaddr_in *v4 = (void *)&address->storage;
    struct sockaddr_in6 *v6 = (void *)&address->storage;
    if (address->storage.ss_family == AF_INET)
        v4->sin_port = htons((uint16_t)port);
    else
        v6->sin6_port = htons((uint16_t)port);
}

/* ipv6(7): an IPv4 address is a mapped one to an IPv6 socket. Here it never is. */
static void unmap(struct address *address)
{
    struct sockaddr_in6 v6;
    struct sockaddr_in *v4 = (void *)&address->storage;
    memcpy(&v6, &address->storage, sizeof v6);
    if (v6.sin6_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
        return;
    memset(address, 0, sizeof *address);
    v4->sin_family = AF_INET;
    v4->sin_port = v6.sin6_port;
    memcpy(&v4->sin_addr, &v6.sin6_addr.s6_addr[12], 4);
    address->size = sizeof *v4;
}

/* An address as a socket of that family is told it. */
static struct address as_told(int family, const struct address *address)
{
    const struct sockaddr_in *v4 = (const void *)&address->storage;
    struct address mapped = *address;
    struct sockaddr_in6 *v6 = (void *)&mapped.storage;
    if (!address->size || family != AF_INET6 || v4->sin_family != AF_INET)
        return mapped;
    memset(&mapped, 0, sizeof mapped);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = v4->sin_port;
    memset(&v6->sin6_addr.s6_addr[10], 0xff, 2);
    memcpy(&v6->sin6_addr.s6_addr[12], &v4->sin_addr, 4);
    mapped.size = sizeof *v6;
    return mapped;
}

static void copy_address(struct address *into, const struct sockaddr *address, socklen_t size)
{
    memset(into, 0, sizeof *into);
    if (size > sizeof into->storage)
        size = sizeof into->storage;
    memcpy(&into->storage, address, size);
    into->size = size;
}

static bool is_any(const struct address *address)
{
    const struct sockaddr_in *v4 = (const void *)&address->storage;
    const struct sockaddr_in6 *v6 = (const void *)&address->storage;
    if (address->storage.ss_family == AF_INET)
        return v4->sin_addr.s_addr == htonl(INADDR_ANY);
    return memcmp(&v6->sin6_addr, &in6addr_any, sizeof in6addr_any) == 0;
}

/* An address of this machine: 127.0.0.0/8, ::1, any. Nothing else is reachable. */
static bool is_local(const struct address *address)
{
    const struct sockaddr_in *v4 = (const void *)&address->storage;
    const struct sockaddr_in6 *v6 = (const void *)&address->storage;
    if (address->storage.ss_family == AF_INET)
        return is_any(address) || ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    if (address->storage.ss_family == AF_INET6)
        return is_any(address) || IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    return true;
}

static bool same_host(const struct file *bound, const struct address *to)
{
    const struct sockaddr_in *a = (const void *)&bound->local.storage;
    const struct sockaddr_in *b = (const void *)&to->storage;
    int family = bound->local.storage.ss_family;
    if (family == AF_INET6 && to->storage.ss_family == AF_INET)
        return is_any(&bound->local) && !bound->only_v6;
    if (family != to->storage.ss_family)
        return false;
    if (is_any(&bound->local) || is_any(to))
        return true;
    return family == AF_INET6 || a->sin_addr.s_addr == b->sin_addr.s_addr;
}

/* Any other family is treated as Unix sockets are: an address is a name. */
static bool is_internet(int family)
{
    return family == AF_INET || family == AF_INET6;
}

/* The local address of a socket as its peer at `to` sees it: of the same family, on loopback. */
static struct address source_of(const struct file *file, const struct address *to)
{
    struct address from = file->local;
    struct sockaddr_in *v4 = (void *)&from.storage;
    struct sockaddr_in6 *v6 = (void *)&from.storage;
    if (!from.size || !is_internet(to->storage.ss_family) ||
        (from.storage.ss_family == to->storage.ss_family && !is_any(&from)))
        return from;
    memset(&from, 0, sizeof from);
    from.storage.ss_family = to->storage.ss_family;
    set_port(&from, port_of(&file->local));
    from.size = to->size;
    if (to->storage.ss_family == AF_INET)
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        v6->sin6_addr = in6addr_loopback;
    return from;
}

static const char *path_of(const struct address *address)
{
    const struct sockaddr_un *local = (const void *)&address->storage;
    return local->sun_path;
}

/* unix(7): a name is in the file system, and stays there after its socket, until somebody unlinks
 * it; an abstract one, which begins with a NUL, goes with the socket. */
static struct name **find_name(const char *path)
{
    struct name **place = &paths;
    while (*place && memcmp((*place)->path, path, sizeof(*place)->path) != 0)
        place = &(*place)->next;
    return place;
}

static void remove_name(struct name **place)
{
    struct name *name = *place;
    *place = name->next;
    free(name);
}

static void add_name(struct file *file)
{
    struct name *name = calloc(1, sizeof *name);
    memcpy(name->path, path_of(&file->local), sizeof name->path);
    name->file = file;
    name->next = paths;
    paths = name;
}

static void leave_name(struct file *file)
{
    struct name **place = find_name(path_of(&file->local));
    if (!file->local.size || is_internet(file->local.storage.ss_family) || !*place ||
        (*place)->file != file)
        return;
    (*place)->file = NULL;
    if (!(*place)->path[0])
        remove_name(place);
}

int sim_unlink(const char *path)
{
    char padded[sizeof paths->path] = { 0 };
    struct name **place;
    snprintf(padded, sizeof padded, "%s", path);
    place = find_name(padded);
    if (sim.real)
        return unlink(path);
    errno = ENOENT;
    if (!*place)
        return -1;
    remove_name(place);
    return 0;
}

/* Whoever is bound to where this address leads, or NULL. */
static struct file *find_bound(const struct address *to, enum kind kind)
{
    if (!is_internet(to->storage.ss_family)) {
        struct name *name = *find_name(path_of(to));
        return name && name->file && name->file->kind == kind ? name->file : NULL;
    }
    for (struct file *file = files; file; file = file->next) {
        if (!file->local.size || !file->references || file->kind != kind)
            continue;
        if (is_internet(file->local.storage.ss_family) && port_of(&file->local) == port_of(to) &&
            same_host(file, to))
            return file;
    }
    return NULL;
}

/* Of those who share a port with the first, the one who has what comes from `flow`. */
static struct file *among_sharers(struct file *first, const struct address *to, int flow)
{
    struct file *sharers[16];
    int count = 0;
    if (!first || !first->shares)
        return first;
    for (struct file *file = first; file && count < 16; file = file->next)
        if (file->shares && file->references && file->kind == first->kind &&
            port_of(&file->local) == port_of(to) && same_host(file, to))
            sharers[count++] = file;
    return sharers[(flow * 7 + flow / 16) % count];
}

/* Would a bind to this address be of a place that somebody has? */
static bool is_taken(const struct file *by, const struct address *to)
{
    if (!is_internet(to->storage.ss_family))
        return *find_name(path_of(to)) != NULL;
    for (struct file *file = files; file; file = file->next) {
        if (!file->local.size || !file->references || !is_internet(file->local.storage.ss_family) ||
            (file->kind == DATAGRAM) != (by->kind == DATAGRAM) || (file->shares && by->shares) ||
            port_of(&file->local) != port_of(to))
            continue;
        if (same_host(file, to) || (to->storage.ss_family == AF_INET6 && is_any(to) &&
                                    !by->only_v6))
            return true;
    }
    return false;
}

int sim_bind(int fd, const struct sockaddr *address, unsigned size)
{
    int failure = enter(SIM_CALL_bind);
    struct file *file = file_of(fd);
    struct address to;
    if (sim.real)
        return bind(fd, address, size);
    if (failure > 0 || !file)
        return (int)fail(SIM_CALL_bind, fd, failure > 0 ? failure : EBADF);
    if (file->local.size)
        return (int)fail(SIM_CALL_bind, fd, EINVAL);
    copy_address(&to, address, (socklen_t)size);
    if (!is_local(&to))
        return (int)fail(SIM_CALL_bind, fd, EADDRNOTAVAIL);
    if (is_internet(to.storage.ss_family) && !port_of(&to))
        set_port(&to, next_port++);
    if (is_taken(file, &to))
        return (int)fail(SIM_CALL_bind, fd, EADDRINUSE);
    file->local = to;
    if (!is_internet(to.storage.ss_family))
        add_name(file);
    return (int)leave(SIM_CALL_bind, fd, 0);
}

static void name_itself(struct file *file);

int sim_listen(int fd, int backlog)
{
    int failure = enter(SIM_CALL_listen);
    struct file *file = file_of(fd);
    if (sim.real)
        return listen(fd, backlog);
    if (failure > 0 || !file)
        return (int)fail(SIM_CALL_listen, fd, failure > 0 ? failure : EBADF);
    if (file->kind != STREAM && file->kind != LISTENER)
        return (int)fail(SIM_CALL_listen, fd, EOPNOTSUPP);
    if (!file->local.size && !is_internet(file->family))
        return (int)fail(SIM_CALL_listen, fd, EINVAL);
    name_itself(file);
    file->kind = LISTENER;
    file->is_listening = true;
    file->backlog_limit = backlog < 0 ? 0 : backlog;
    return (int)leave(SIM_CALL_listen, fd, 0);
}

/* The attempt has failed; the socket says why, once, and not if somebody took the error away. */
static void refuse_connect(struct file *file, int error)
{
    file->state = FAILED;
    file->error = sim.takes_errors > 1 ? 0 : error;
    wake(file, SIM_OUT | SIM_HUP | SIM_ERR | SIM_IN | SIM_RDHUP);
}

static void establish(struct file *client, struct file *listener)
{
    struct file *server = new_file(STREAM, listener->family);
    connect_pair(client, server);
    server->local = source_of(listener, &client->local);
    server->remote = client->local;
    listener->backlog = realloc(listener->backlog, (size_t)(listener->backlog_count + 1) *
                                                       sizeof *listener->backlog);
    listener->backlog[listener->backlog_count++] = server;
    wake(listener, SIM_IN);
}

/* The answer to a connection request comes; or none, and it is repeated (tcp(7): tcp_syn_retries,
 * about 127 s in all). */
static void finish_connect(struct file *file)
{
    struct file *listener;
    if (file->state != CONNECTING || !file->references)
        return;
    listener = is_local(&file->remote) ? find_bound(&file->remote, LISTENER) : NULL;
    listener = among_sharers(listener, &file->remote, port_of(&file->local));
    if (is_local(&file->remote) && (!listener || sim_hit(SIM_REFUSE))) {
        refuse_connect(file, ECONNREFUSED);
    } else if (!listener || listener->backlog_count > listener->backlog_limit) {
        if (file->attempts > 6)
            refuse_connect(file, ETIMEDOUT);
        else
            deliver_later(CONNECT, file, NULL, 0,
                          sim.now_ns + (INT64_C(1000) << file->attempts++) * MS);
    } else {
        establish(file, listener);
        wake(file, SIM_OUT);
    }
}

static int connect_unix(struct file *file)
{
    struct file *listener = find_bound(&file->remote, LISTENER);
    if (!listener)
        return *find_name(path_of(&file->remote)) || !*path_of(&file->remote) ? ECONNREFUSED
                                                                              : ENOENT;
    if (sim_hit(SIM_REFUSE))
        return ECONNREFUSED;
    if (listener->backlog_count > listener->backlog_limit)
        return EAGAIN;
    establish(file, listener);
    return 0;
}

static int is_settled(void *what)
{
    return ((struct file *)what)->state != CONNECTING;
}

/* A socket without a local address gets one: any, and a port. */
static void name_itself(struct file *file)
{
    if (file->local.size || !is_internet(file->family))
        return;
    file->local.storage.ss_family = (sa_family_t)file->family;
    file->local.size = file->family == AF_INET ? sizeof(struct sockaddr_in)
                                               : sizeof(struct sockaddr_in6);
    set_port(&file->local, next_port++);
}

/* A datagram socket only remembers. */
static int connect_file(struct file *file, const struct sockaddr *address, unsigned size)
{
    if (file->state == CONNECTING)
        return EALREADY;
    if (file->state == CONNECTED && file->kind == STREAM)
        return EISCONN;
    if (address->sa_family != file->family)
        return EAFNOSUPPORT;
    copy_address(&file->remote, address, (socklen_t)size);
    unmap(&file->remote);
    name_itself(file);
    file->local = source_of(file, &file->remote);
    if (file->kind == DATAGRAM) {
        file->state = CONNECTED;
        return 0;
    }
    if (!is_internet(file->family))
        return connect_unix(file);
    file->state = CONNECTING;
    file->attempts = 0;
    deliver_later(CONNECT, file, NULL, 0, sim.now_ns + latency(NULL));
    return EINPROGRESS;
}

int sim_connect(int fd, const struct sockaddr *address, unsigned size)
{
    int failure = enter(SIM_CALL_connect), error;
    struct file *file = file_of(fd);
    if (sim.real)
        return connect(fd, address, size);
    if (!file)
        return (int)fail(SIM_CALL_connect, fd, EBADF);
    if (failure > 0 && failure != EINTR && failure != EINPROGRESS)
        return (int)fail(SIM_CALL_connect, fd, failure);
    error = connect_file(file, address, size);
    if (error == EINPROGRESS && failure == 0 && !sim.rates[SIM_LATENCY] && sim.rates[SIM_ORDER] &&
        !sim_draw(4)) { /* some systems are that quick */
        deliver_due();
        error = file->state == CONNECTED ? 0 : EINPROGRESS;
    }
    if (failure == EINTR && error == EINPROGRESS)
        error = EINTR; /* connect(2): the attempt goes on */
    if (error == EINPROGRESS && !(file->flags & O_NONBLOCK)) {
        wait_for(is_settled, file, -1, false);
        error = file->error;
        file->error = 0;
    }
    return (int)(error ? fail(SIM_CALL_connect, fd, error) : leave(SIM_CALL_connect, fd, 0));
}

/* An injected failure that says "not now" must be followed by an event, as a real one is. */
static void readiness_comes_later(int fd, int direction)
{
    struct file *file = file_of(fd);
    if (file && direction == WRITES && file->out && !space_in(file->out))
        file->was_full = true; /* and so it is: the reader will tell */
    if (file && !file->held[direction])
        hold(file, direction, MS);
}

static ssize_t after(ssize_t n, int fd, int direction)
{
    if (n < 0 && errno == EAGAIN && sim.calls == sim.fail_call)
        readiness_comes_later(fd, direction);
    return n;
}

static int has_backlog(void *what)
{
    return ((struct file *)what)->backlog_count || ((struct file *)what)->is_shut;
}

static int accept_from(int call, int fd, int flags)
{
    int failure = enter(call), made;
    bool seam = failure >= 0;
    struct file *file = file_of(fd), *server;
    if (failure > 0 || !file)
        return (int)fail(call, fd, failure > 0 ? failure : EBADF);
    if (file->kind != LISTENER || file->is_shut)
        return (int)fail(call, fd, EINVAL);
    if (!file->backlog_count && !(file->flags & O_NONBLOCK))
        wait_for(has_backlog, file, -1, false);
    if (!file->backlog_count || holds(file, READS, seam))
        return (int)fail(call, fd, EAGAIN);
    server = file->backlog[0];
    made = install(server, flags);
    if (made < 0)
        return (int)fail(call, fd, EMFILE);
    file->backlog_count--;
    memmove(file->backlog, file->backlog + 1,
            (size_t)file->backlog_count * sizeof *file->backlog);
    return (int)leave(call, fd, made);
}

int sim_accept4(int fd, struct sockaddr *address, unsigned *size, int flags)
{
#if ASYNC_HAS_ACCEPT4
    if (sim.real)
        return is_seam(SIM_CALL_accept4), accept4(fd, address, size, flags);
#endif
    (void)address, (void)size;
    return (int)after(accept_from(SIM_CALL_accept4, fd, socket_flags(flags)), fd, READS);
}

int sim_accept(int fd, struct sockaddr *address, unsigned *size)
{
    if (sim.real)
        return is_seam(SIM_CALL_accept), accept(fd, address, size);
    return (int)after(accept_from(SIM_CALL_accept, fd, 0), fd, READS);
}

int sim_shutdown(int fd, int how)
{
    int failure = enter(SIM_CALL_shutdown);
    struct file *file = file_of(fd);
    if (sim.real)
        return shutdown(fd, how);
    if (failure > 0 || !file)
        return (int)fail(SIM_CALL_shutdown, fd, failure > 0 ? failure : EBADF);
    if (file->kind == LISTENER) {
        file->is_shut = true;
        wake(file, SIM_OUT | SIM_HUP);
        return (int)leave(SIM_CALL_shutdown, fd, 0);
    }
    if (file->kind != STREAM || file->state != CONNECTED || file->is_reset)
        return (int)fail(SIM_CALL_shutdown, fd, file->kind == STREAM ? ENOTCONN : ENOTSOCK);
    if (how != SHUT_WR) {
        file->shut_reads = true;
        wake(file, SIM_IN | SIM_RDHUP);
    }
    if (how != SHUT_RD && !file->shut_writes) {
        file->shut_writes = true;
        send_end(file->out);
        wake(file, SIM_OUT);
    }
    return (int)leave(SIM_CALL_shutdown, fd, 0);
}

static int give_address(int call, int fd, const struct file *file, const struct address *from,
                        struct sockaddr *address, unsigned *size)
{
    struct address told = as_told(file->family, from);
    struct sockaddr_storage storage = told.storage;
    unsigned whole = told.size;
    if (!whole) { /* nameless */
        memset(&storage, 0, sizeof storage);
        storage.ss_family = (sa_family_t)file->family;
        whole = file->family == AF_INET    ? sizeof(struct sockaddr_in)
                : file->family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                           : sizeof storage.ss_family;
    }
    memcpy(address, &storage, whole < *size ? whole : *size);
    *size = whole;
    return (int)leave(call, fd, 0);
}

static bool is_socket(const struct file *file)
{
    return file->kind == STREAM || file->kind == LISTENER || file->kind == DATAGRAM;
}

int sim_getsockname(int fd, struct sockaddr *address, unsigned *size)
{
    int failure = enter(SIM_CALL_getsockname);
    struct file *file = file_of(fd);
    if (sim.real)
        return getsockname(fd, address, size);
    if (failure > 0 || !file || !is_socket(file))
        return (int)fail(SIM_CALL_getsockname, fd,
                         failure > 0 ? failure : file ? ENOTSOCK : EBADF);
    return give_address(SIM_CALL_getsockname, fd, file, &file->local, address, size);
}

int sim_getpeername(int fd, struct sockaddr *address, unsigned *size)
{
    int failure = enter(SIM_CALL_getpeername);
    struct file *file = file_of(fd);
    if (sim.real)
        return getpeername(fd, address, size);
    if (failure == ENOTCONN) /* not yet: an event follows */
        readiness_comes_later(fd, WRITES);
    if (failure > 0 || !file || !is_socket(file))
        return (int)fail(SIM_CALL_getpeername, fd,
                         failure > 0 ? failure : file ? ENOTSOCK : EBADF);
    if (file->state != CONNECTED || file->is_reset)
        return (int)fail(SIM_CALL_getpeername, fd, ENOTCONN);
    return give_address(SIM_CALL_getpeername, fd, file, &file->remote, address, size);
}

static int option_of(struct file *file, int option)
{
    int error = file->error;
    switch (option) {
    case SO_TYPE:
        return file->kind == DATAGRAM ? SOCK_DGRAM : SOCK_STREAM;
    case SO_ACCEPTCONN:
        return file->kind == LISTENER;
    case SO_ERROR:
        file->error = 0;
        return sim.takes_errors ? 0 : error;
    default:
        return 0;
    }
}

int sim_getsockopt(int fd, int level, int option, void *value, unsigned *size)
{
    int failure = enter(SIM_CALL_getsockopt), number;
    struct file *file = file_of(fd);
    if (sim.real)
        return getsockopt(fd, level, option, value, size);
    if (option == SO_ERROR && (failure == EINTR || failure == EINPROGRESS))
        readiness_comes_later(fd, WRITES); /* the attempt goes on */
    if (failure > 0 || !file || !is_socket(file))
        return (int)fail(SIM_CALL_getsockopt, fd, failure > 0 ? failure : file ? ENOTSOCK : EBADF);
    number = level == SOL_SOCKET ? option_of(file, option) : 0;
    if (level == IPPROTO_IPV6 && option == IPV6_V6ONLY)
        number = file->only_v6;
    memcpy(value, &number, *size < sizeof number ? *size : sizeof number);
    return (int)leave(SIM_CALL_getsockopt, fd, 0);
}

int sim_setsockopt(int fd, int level, int option, const void *value, unsigned size)
{
    int failure = enter(SIM_CALL_setsockopt), number = 0;
    struct file *file = file_of(fd);
    if (sim.real)
        return setsockopt(fd, level, option, value, size);
    if (failure > 0 || !file || !is_socket(file))
        return (int)fail(SIM_CALL_setsockopt, fd, failure > 0 ? failure : file ? ENOTSOCK : EBADF);
    memcpy(&number, value, size < sizeof number ? size : sizeof number);
    if (level == SOL_SOCKET && option == SO_LINGER)
        file->resets_on_close = ((const struct linger *)value)->l_onoff &&
                                !((const struct linger *)value)->l_linger;
    if (level == SOL_SOCKET && option == SO_SNDBUF && file->out)
        file->out->capacity = (size_t)number;
    if (level == IPPROTO_IPV6 && option == IPV6_V6ONLY)
        file->only_v6 = number != 0;
    if (level == SOL_SOCKET && option == SO_REUSEPORT)
        file->shares = number != 0;
    return (int)leave(SIM_CALL_setsockopt, fd, 0);
}

int sim_dial(int port)
{
    struct sockaddr_in address;
    int fd = sim_socket(AF_INET, SOCK_STREAM, 0), error;
    if (fd < 0)
        return -errno;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (sim_connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    error = errno;
    sim_close(fd);
    return -error;
}

/* ----------------------------------------------------------------------------
 * MARK: - Datagrams
 * ------------------------------------------------------------------------- */
enum { QUEUE = 10 }; /* unix(7): datagrams that may wait for one reader */

static struct address *message_name; /* of the message under way: whose it is, or to whom it goes */

static void packet_arrives(struct file *file, struct packet *packet)
{
    struct packet **last = &file->first;
    file->packets--;
    if (!file->references) {
        free(packet);
        return;
    }
    while (*last)
        last = &(*last)->next;
    *last = packet;
    file->waiting++;
    wake(file, SIM_IN);
}

/* Is there no room for another one? UDP throws it away then; a Unix socket says so. */
static bool is_full(const struct file *to)
{
    return to->references && !is_internet(to->family) && to->waiting + to->packets > QUEUE;
}

/* poll(2) knows of a full queue if it is the peer's. */
static bool is_choked(struct file *file)
{
    struct file *to = file->peer;
    if (!to && file->state == CONNECTED && !is_internet(file->family))
        to = find_bound(&file->remote, DATAGRAM);
    return to && is_full(to);
}

/* There is room again, or the reader is gone: who has this one for a peer hears of it. */
static void packets_move(const struct file *file)
{
    for (struct file *other = files; other && !is_internet(file->family); other = other->next)
        if (other->kind == DATAGRAM && other->references && other->state == CONNECTED)
            wake(other, SIM_OUT);
}

static bool is_same(const struct address *a, const struct address *b)
{
    const struct sockaddr_in *v4[2] = { (const void *)&a->storage, (const void *)&b->storage };
    const struct sockaddr_in6 *v6[2] = { (const void *)&a->storage, (const void *)&b->storage };
    if (a->storage.ss_family != b->storage.ss_family || port_of(a) != port_of(b))
        return false;
    if (a->storage.ss_family == AF_INET)
        return v4[0]->sin_addr.s_addr == v4[1]->sin_addr.s_addr;
    return memcmp(&v6[0]->sin6_addr, &v6[1]->sin6_addr, sizeof v6[0]->sin6_addr) == 0;
}

/* The socket that hears what `file` sends to an internet address. Returns 0 or a negative errno. */
static int find_hearer(struct file *file, const struct address *address, struct file **hearer)
{
    struct address to = *address, from;
    if (message_name && to.storage.ss_family != file->family) /* Linux is not so strict */
        return -EAFNOSUPPORT;
    unmap(&to);
    if (file->only_v6 && to.storage.ss_family == AF_INET)
        return -ENETUNREACH;
    name_itself(file);
    from = source_of(file, &to);
    *hearer = among_sharers(find_bound(&to, DATAGRAM), &to, port_of(&from));
    if (*hearer && (*hearer)->state == CONNECTED && !is_same(&(*hearer)->remote, &from))
        *hearer = NULL;
    return 0;
}

/* Whom a datagram goes to, NULL: nobody. Returns 0 or a negative errno. */
static int find_receiver(struct file *file, struct file **to)
{
    const struct address *address = message_name ? message_name : &file->remote;
    const struct name *name;
    *to = message_name ? NULL : file->peer;
    if (!*to && !message_name && file->state != CONNECTED)
        return is_internet(file->family) ? -EDESTADDRREQ : -ENOTCONN;
    if (!*to && is_internet(file->family))
        return find_hearer(file, address, to);
    if (!*to) {
        name = *find_name(path_of(address));
        if (address->storage.ss_family != file->family)
            return -EINVAL;
        if (!name)
            return *path_of(address) ? -ENOENT : -ECONNREFUSED;
        if (name->file && name->file->kind != DATAGRAM)
            return -EPROTOTYPE;
        *to = name->file;
    }
    return *to && (*to)->references ? 0 : -ECONNREFUSED;
}

static void send_packet(struct file *file, struct file *to, const struct iovec *pieces, size_t size)
{
    struct delivery delivery = { sim.now_ns + latency(NULL), 0, PACKET, to, NULL, 0, NULL, NULL };
    struct address where = message_name ? *message_name : file->remote;
    bool is_safe = !is_internet(file->family);
    if (!is_safe && sim_hit(SIM_LOSS))
        return;
    if (!is_safe && sim_hit(SIM_REORDER))
        delivery.at_ns += 1 + (int64_t)sim_draw(5000000);
    else if (delivery.at_ns < to->packet_ns)
        delivery.at_ns = to->packet_ns;
    else
        to->packet_ns = delivery.at_ns;
    delivery.packet = calloc(1, sizeof *delivery.packet + size);
    delivery.packet->size = size;
    unmap(&where);
    delivery.packet->from = source_of(file, &where);
    spread(pieces, NULL, delivery.packet->bytes, size);
    to->packets++;
    if (delivery.at_ns <= sim.now_ns && to->packets == 1)
        packet_arrives(to, delivery.packet);
    else
        add_delivery(delivery);
}

static ssize_t put_packet(struct file *file, const struct iovec *pieces, size_t count, bool seam)
{
    size_t size = total(pieces, count);
    struct file *to;
    int error;
    if (file->error)
        return broken(file);
    error = find_receiver(file, &to);
    if (error)
        return error;
    if (size > 65507)
        return -EMSGSIZE;
    if ((to && is_full(to)) || holds(file, WRITES, seam))
        return -EAGAIN;
    if (to && to->references) {
        send_packet(file, to, pieces, size);
    } else if (file->state == CONNECTED) { /* udp(7): the error comes with the next call */
        file->error = ECONNREFUSED;
        wake(file, SIM_ERR | SIM_IN);
    }
    return (ssize_t)size;
}

static ssize_t take_packet(struct file *file, const struct iovec *pieces, size_t count, int *cut,
                           bool seam)
{
    struct packet *packet = file->first;
    size_t size = total(pieces, count);
    if (file->error)
        return broken(file);
    if (!packet || holds(file, READS, seam))
        return -EAGAIN;
    if (size < packet->size && cut)
        *cut = MSG_TRUNC;
    if (size > packet->size)
        size = packet->size;
    spread(pieces, packet->bytes, NULL, size);
    if (message_name)
        *message_name = as_told(file->family, &packet->from);
    file->first = packet->next;
    file->waiting--;
    free(packet);
    packets_move(file);
    return (ssize_t)size;
}

/* ----------------------------------------------------------------------------
 * MARK: - Reading and writing
 * ------------------------------------------------------------------------- */
static int is_readable(void *what)
{
    return (level_of(what) & (SIM_IN | SIM_HUP | SIM_ERR)) != 0;
}

static int is_writable(void *what)
{
    return (level_of(what) & (SIM_OUT | SIM_HUP | SIM_ERR)) != 0;
}

static ssize_t read_file(struct file *file, const struct iovec *pieces, size_t count, int *cut,
                         bool seam)
{
    switch (file->kind) {
    case PIPE:
    case TERMINAL:
        return file->in ? take(file, pieces, count, cut, seam) : -EBADF;
    case STREAM:
        if (file->state == FAILED && file->error)
            return broken(file);
        return file->state == CONNECTED ? take(file, pieces, count, cut, seam) : -ENOTCONN;
    case DATAGRAM:
        return take_packet(file, pieces, count, cut, seam);
    case REGULAR: {
        size_t left = strlen(file->text) - file->place, size = total(pieces, count);
        if (size > left)
            size = left;
        spread(pieces, file->text + file->place, NULL, size);
        file->place += size;
        return (ssize_t)size;
    }
    case DEVICE:
        return 0;
    default:
        return -EINVAL;
    }
}

static ssize_t write_file(struct file *file, const struct iovec *pieces, size_t count, bool seam)
{
    switch (file->kind) {
    case PIPE:
        return file->out ? put(file, pieces, count, seam) : -EBADF;
    case STREAM:
        return file->state == CONNECTED ? put(file, pieces, count, seam)
               : file->state == FRESH   ? -ENOTCONN : broken(file);
    case DATAGRAM:
        return put_packet(file, pieces, count, seam);
    case REGULAR:
    case DEVICE:
    case TERMINAL:
        return (ssize_t)total(pieces, count);
    default:
        return -EINVAL;
    }
}

/* SIGPIPE, where nobody has set it and no flag keeps it away. */
static void broken_pipe(int fd, int flags)
{
    if (!(flags & MSG_NOSIGNAL) && sigpipe_action.sa_handler == SIG_DFL)
        async_test_wrong("SIGPIPE ends the program: a write to descriptor %d, whose reader is gone",
                         fd);
}

static ssize_t read_any(int call, int fd, const struct iovec *pieces, size_t count, int flags,
                        int *cut)
{
    int failure = enter(call);
    struct file *file = file_of(fd);
    ssize_t n;
    if (failure > 0 || !file)
        return fail(call, fd, failure > 0 ? failure : EBADF);
    n = read_file(file, pieces, count, cut, failure >= 0);
    while (n == -EAGAIN && !(file->flags & O_NONBLOCK) && !(flags & MSG_DONTWAIT)) {
        wait_for(is_readable, file, -1, false);
        n = read_file(file, pieces, count, cut, false);
    }
    return n < 0 ? fail(call, fd, (int)-n) : leave(call, fd, n);
}

static ssize_t write_any(int call, int fd, const struct iovec *pieces, size_t count, int flags)
{
    int failure = enter(call);
    struct file *file = file_of(fd);
    ssize_t n;
    if (failure > 0 || !file)
        return fail(call, fd, failure > 0 ? failure : EBADF);
    if ((flags & MSG_OOB) && file->out) /* tcp(7): the last byte is the urgent one */
        file->out->urgent = file->out->written + total(pieces, count) - 1;
    n = write_file(file, pieces, count, failure >= 0);
    while (n == -EAGAIN && !(file->flags & O_NONBLOCK) && !(flags & MSG_DONTWAIT)) {
        wait_for(is_writable, file, -1, false);
        n = write_file(file, pieces, count, false);
    }
    if (n == -EPIPE)
        broken_pipe(fd, flags);
    return n < 0 ? fail(call, fd, (int)-n) : leave(call, fd, n);
}

ssize_t sim_read(int fd, void *data, size_t size)
{
    struct iovec piece = { data, size };
    if (sim.real)
        return is_seam(SIM_CALL_read), read(fd, data, size);
    return after(read_any(SIM_CALL_read, fd, &piece, 1, 0, NULL), fd, READS);
}

ssize_t sim_readv(int fd, const struct iovec *pieces, int count)
{
    if (sim.real)
        return is_seam(SIM_CALL_readv), readv(fd, pieces, count);
    return after(read_any(SIM_CALL_readv, fd, pieces, (size_t)count, 0, NULL), fd, READS);
}

ssize_t sim_recv(int fd, void *data, size_t size, int flags)
{
    struct iovec piece = { data, size };
    if (sim.real)
        return is_seam(SIM_CALL_recv), recv(fd, data, size, flags);
    return after(read_any(SIM_CALL_recv, fd, &piece, 1, flags, NULL), fd, READS);
}

ssize_t sim_recvmsg(int fd, struct msghdr *message, int flags)
{
    struct address from = { 0 };
    int cut = 0;
    ssize_t n;
    if (sim.real)
        return is_seam(SIM_CALL_recvmsg), recvmsg(fd, message, flags);
    message_name = &from;
    n = after(read_any(SIM_CALL_recvmsg, fd, message->msg_iov, (size_t)message->msg_iovlen, flags,
                       &cut), fd, READS);
    message_name = NULL;
    message->msg_flags = cut;
    if (n >= 0 && message->msg_name)
        memcpy(message->msg_name, &from.storage,
               from.size < message->msg_namelen ? from.size : message->msg_namelen);
    message->msg_namelen = n >= 0 ? from.size : message->msg_namelen;
    return n;
}

ssize_t sim_write(int fd, const void *data, size_t size)
{
    struct iovec piece = { (void *)(uintptr_t)data, size };
    if (sim.real)
        return is_seam(SIM_CALL_write), write(fd, data, size);
    return after(write_any(SIM_CALL_write, fd, &piece, 1, 0), fd, WRITES);
}

ssize_t sim_writev(int fd, const struct iovec *pieces, int count)
{
    if (sim.real)
        return is_seam(SIM_CALL_writev), writev(fd, pieces, count);
    return after(write_any(SIM_CALL_writev, fd, pieces, (size_t)count, 0), fd, WRITES);
}

ssize_t sim_send(int fd, const void *data, size_t size, int flags)
{
    struct iovec piece = { (void *)(uintptr_t)data, size };
    if (sim.real)
        return is_seam(SIM_CALL_send), send(fd, data, size, flags);
    return after(write_any(SIM_CALL_send, fd, &piece, 1, flags), fd, WRITES);
}

/* Descriptors come along with the bytes that are written next. They go nowhere: their receiver is
 * the library, which throws them away. */
static void send_along(struct file *file, size_t size)
{
    struct channel *out = file ? file->out : NULL;
    if (!out || !size || out->rights_count == 8)
        return;
    out->rights[out->rights_count].start = out->written;
    out->rights[out->rights_count++].end = out->written + size;
}

ssize_t sim_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct address to;
    ssize_t n;
    if (sim.real)
        return is_seam(SIM_CALL_sendmsg), sendmsg(fd, message, flags);
    if (message->msg_controllen)
        send_along(file_of(fd), total(message->msg_iov, (size_t)message->msg_iovlen));
    if (message->msg_namelen) {
        copy_address(&to, message->msg_name, message->msg_namelen);
        message_name = &to;
    }
    n = after(write_any(SIM_CALL_sendmsg, fd, message->msg_iov, (size_t)message->msg_iovlen,
                        flags), fd, WRITES);
    message_name = NULL;
    return n;
}

ssize_t sim_send_rights(int fd, const void *data, size_t size)
{
    send_along(file_of(fd), size);
    return sim_send(fd, data, size, MSG_NOSIGNAL);
}

ssize_t sim_send_urgent(int fd, const void *data, size_t size)
{
    return sim_send(fd, data, size, MSG_NOSIGNAL | MSG_OOB);
}

/* ----------------------------------------------------------------------------
 * MARK: - What else there is to a descriptor
 * ------------------------------------------------------------------------- */
int sim_fcntl(int fd, int command, ...)
{
    int failure = enter(SIM_CALL_fcntl), value;
    struct file *file = file_of(fd);
    va_list list;
    va_start(list, command);
    value = command == F_SETFL || command == F_SETFD || command == F_DUPFD ? va_arg(list, int) : 0;
    va_end(list);
    if (sim.real)
        return fcntl(fd, command, value);
    if (failure > 0 || !file)
        return (int)fail(SIM_CALL_fcntl, fd, failure > 0 ? failure : EBADF);
    switch (command) {
    case F_DUPFD:
        value = open_descriptor_from(file, 0, value - SIM_FIRST_FD);
        return (int)leave(SIM_CALL_fcntl, fd, value);
    case F_GETFL:
        value = file->kind != PIPE ? O_RDWR : file->in ? O_RDONLY : O_WRONLY;
        return (int)leave(SIM_CALL_fcntl, fd, (file->flags & ~O_ACCMODE) | value);
    case F_SETFL:
        file->flags = (file->flags & ~O_NONBLOCK) | (value & O_NONBLOCK);
        return (int)leave(SIM_CALL_fcntl, fd, 0);
    case F_GETFD:
        return (int)leave(SIM_CALL_fcntl, fd, descriptors[fd - SIM_FIRST_FD].flags);
    case F_SETFD:
        descriptors[fd - SIM_FIRST_FD].flags = value & FD_CLOEXEC;
        return (int)leave(SIM_CALL_fcntl, fd, 0);
    default:
        return (int)fail(SIM_CALL_fcntl, fd, EINVAL);
    }
}

/* There are no files in a simulated world. */
int sim_open(const char *path, int flags, int mode)
{
    int failure = enter(SIM_CALL_open);
    if (sim.real)
        return open(path, flags, mode);
    return (int)fail(SIM_CALL_open, -1, failure > 0 ? failure : ENOENT);
}

int sim_fstat(int fd, struct stat *status)
{
    static const unsigned modes[] = { S_IFIFO, S_IFSOCK, S_IFSOCK, S_IFSOCK, 0, 0, S_IFREG,
                                      S_IFCHR, S_IFCHR };
    int failure = enter(SIM_CALL_fstat);
    struct file *file = file_of(fd);
    if (sim.real)
        return fstat(fd, status);
    if (failure > 0 || !file)
        return (int)fail(SIM_CALL_fstat, fd, failure > 0 ? failure : EBADF);
    memset(status, 0, sizeof *status);
    status->st_mode = (mode_t)((file->mode ? file->mode : modes[file->kind]) | 0600);
    status->st_ino = (ino_t)file->id;
    status->st_dev = 1;
    return (int)leave(SIM_CALL_fstat, fd, 0);
}

int sim_getpid(void)
{
    is_seam(SIM_CALL_getpid);
    return (int)getpid();
}

/* No other processes either. What a child would do, or what is done to one, is the system's. */
int sim_fork(void)
{
    int failure = enter(SIM_CALL_fork);
    if (sim.real)
        return (int)fork();
    return (int)fail(SIM_CALL_fork, -1, failure > 0 ? failure : EAGAIN);
}

int sim_execvp(const char *file, char *const arguments[])
{
    is_seam(SIM_CALL_execvp);
    return execvp(file, arguments);
}

int sim_chdir(const char *path)
{
    is_seam(SIM_CALL_chdir);
    return chdir(path);
}

int sim_setsid(void)
{
    is_seam(SIM_CALL_setsid);
    return (int)setsid();
}

int sim_setpgid(int process, int group)
{
    is_seam(SIM_CALL_setpgid);
    return setpgid((pid_t)process, (pid_t)group);
}

int sim_waitpid(int process, int *status, int options)
{
    is_seam(SIM_CALL_waitpid);
    return (int)waitpid((pid_t)process, status, options);
}

int sim_kill(int process, int number)
{
    is_seam(SIM_CALL_kill);
    return kill((pid_t)process, number);
}

/* Signals are the system's. */
int sim_sigprocmask(int how, const void *set, void *old)
{
    is_seam(SIM_CALL_sigprocmask);
    return sigprocmask(how, (const sigset_t *)set, (sigset_t *)old);
}

unsigned sim_if_nametoindex(const char *name)
{
    int failure = enter(SIM_CALL_if_nametoindex);
    if (sim.real)
        return if_nametoindex(name);
    if (failure > 0 || strcmp(name, "lo") != 0) {
        fail(SIM_CALL_if_nametoindex, -1, failure > 0 ? failure : ENODEV);
        return 0;
    }
    return (unsigned)leave(SIM_CALL_if_nametoindex, -1, 1);
}

int sim_sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
    int failure = enter(SIM_CALL_sigaction);
    if (sim.real || number != SIGPIPE)
        return sigaction(number, action, old);
    if (failure > 0)
        return (int)fail(SIM_CALL_sigaction, -1, failure);
    if (old)
        *old = sigpipe_action;
    if (action)
        sigpipe_action = *action;
    return (int)leave(SIM_CALL_sigaction, -1, 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Pollers
 * ------------------------------------------------------------------------- */
static struct watch *find_watch(struct file *poller, const struct file *file, int fd, int filter)
{
    for (struct watch *watch = poller->members; watch; watch = watch->next_of_poller)
        if (watch->fd == fd && watch->file == file && watch->filter == filter)
            return watch;
    return NULL;
}

static struct watch *add_watch(struct file *poller, struct file *file, int fd, int filter)
{
    struct watch *watch = calloc(1, sizeof *watch);
    watch->poller = poller;
    watch->file = file;
    watch->fd = fd;
    watch->filter = filter;
    watch->next_of_file = file->watches;
    file->watches = watch;
    watch->next_of_poller = poller->members;
    poller->members = watch;
    return watch;
}

/* EVFILT_READ holds while there is something to read, or the end; EVFILT_WRITE likewise. */
static unsigned filter_level(const struct watch *watch)
{
    unsigned level = level_of(watch->file);
    bool is_fresh = watch->file->kind == STREAM && watch->file->state == FRESH;
    if (watch->poller->kind == EPOLL)
        return level & watch->interest;
    if (is_fresh)
        return 0;
    return level & watch->interest & (watch->filter ? SIM_OUT | SIM_ERR | SIM_HUP
                                                    : SIM_IN | SIM_ERR | SIM_HUP | SIM_RDHUP);
}

/* An edge for which nothing holds any more is no event; a spurious one is kept for its own sake. */
static bool has_event(const struct file *poller)
{
    const struct watch *watch = poller->ready.next_ready;
    for (; watch != &poller->ready; watch = watch->next_ready)
        if (filter_level(watch))
            return true;
    return false;
}

bool sim_is_watched(int poller, int fd, bool writes)
{
    struct file *file = file_of(poller);
    struct watch *watch = file ? file->members : NULL;
    for (; watch; watch = watch->next_of_poller)
        if (watch->fd == fd && watch->file == file_of(fd) &&
            (watch->interest & (writes ? SIM_OUT : SIM_IN)))
            return true;
    return false;
}

bool sim_is_pending(int poller, int fd, bool writes)
{
    struct file *file = file_of(poller);
    struct watch *watch = file ? file->members : NULL;
    for (; watch; watch = watch->next_of_poller)
        if (watch->fd == fd && watch->is_ready && (watch->interest & (writes ? SIM_OUT : SIM_IN)))
            return true;
    return false;
}

static struct watch *nth_ready(struct file *poller, int skip)
{
    struct watch *watch = poller->ready.next_ready;
    while (skip--)
        watch = watch->next_ready;
    return watch;
}

static int ready_count(struct file *poller)
{
    int count = 0;
    struct watch *watch = poller->ready.next_ready;
    for (; watch != &poller->ready; watch = watch->next_ready)
        count++;
    return count;
}

/* The events of a poller that can be fetched, taken off its ring: a random order or a few of them
 * in some worlds. Returns how many. `give` writes one event. */
static int fetch(struct file *poller, int room, void *events,
                 void (*give)(void *events, int place, const struct watch *watch, unsigned level))
{
    int count = 0, left = ready_count(poller);
    bool shuffles = left > 1 && sim_hit(SIM_SHUFFLE);
    if (left > 1 && room > 1 && sim_hit(SIM_FEW))
        room = 1;
    while (left && count < room) {
        int chosen = shuffles ? (int)sim_draw((uint64_t)left) : 0;
        struct watch *watch = nth_ready(poller, chosen);
        unsigned level = filter_level(watch);
        left--;
        set_idle(watch);
        if (!level)
            continue;
        give(events, count++, watch, level);
        if (!(watch->interest & EDGE))
            set_ready(watch);
    }
    return count;
}

struct waiting {
    struct file *poller;
    int room;
    void *events;
    void (*give)(void *events, int place, const struct watch *watch, unsigned level);
};

static int fetch_some(void *what)
{
    struct waiting *waiting = what;
    return fetch(waiting->poller, waiting->room, waiting->events, waiting->give);
}

/* An event that means nothing: some member is reported although nothing has changed. */
static void be_spurious(struct file *poller)
{
    int count = 0;
    struct watch *watch;
    if (!sim.rates[SIM_SPURIOUS] || !poller->members || !sim_hit(SIM_SPURIOUS))
        return;
    for (watch = poller->members; watch; watch = watch->next_of_poller)
        count++;
    count = (int)sim_draw((uint64_t)count);
    for (watch = poller->members; count--; watch = watch->next_of_poller)
        ;
    set_ready(watch);
}

#if ASYNC_HAS_EPOLL
int sim_epoll_create1(int flags)
{
    int failure = enter(SIM_CALL_epoll_create1), fd;
    if (sim.real)
        return epoll_create1(flags);
    if (failure > 0)
        return (int)fail(SIM_CALL_epoll_create1, -1, failure);
    fd = install(new_file(EPOLL, 0), flags);
    return (int)leave(SIM_CALL_epoll_create1, fd, fd);
}

static int change_entry(struct file *poller, int verb, int fd, const struct epoll_event *event)
{
    struct file *file = file_of(fd);
    struct watch *watch;
    if (!file)
        return EBADF;
    if (poller->kind != EPOLL)
        return EINVAL;
    if (file->kind == REGULAR || file->kind == DEVICE)
        return EPERM;
    watch = find_watch(poller, file, fd, 0);
    if (verb == EPOLL_CTL_ADD && watch)
        return EEXIST;
    if (verb != EPOLL_CTL_ADD && !watch)
        return ENOENT;
    if (verb == EPOLL_CTL_DEL) {
        remove_watch(watch);
        return 0;
    }
    if (!watch)
        watch = add_watch(poller, file, fd, 0);
    watch->interest = event->events | SIM_ERR | SIM_HUP;
    watch->data = event->data.u64;
    set_idle(watch);
    if (filter_level(watch))
        set_ready(watch);
    return 0;
}

int sim_epoll_ctl(int poller, int verb, int fd, struct epoll_event *event)
{
    int failure = enter(SIM_CALL_epoll_ctl), error;
    if (sim.real)
        return epoll_ctl(poller, verb, fd, event);
    if (failure > 0 || !file_of(poller))
        return (int)fail(SIM_CALL_epoll_ctl, fd, failure > 0 ? failure : EBADF);
    error = change_entry(file_of(poller), verb, fd, event);
    return (int)(error ? fail(SIM_CALL_epoll_ctl, fd, error) : leave(SIM_CALL_epoll_ctl, fd, 0));
}

static void give_entry(void *events, int place, const struct watch *watch, unsigned level)
{
    struct epoll_event *event = (struct epoll_event *)events + place;
    memset(event, 0, sizeof *event);
    event->events = level;
    event->data.u64 = watch->data;
}

int sim_epoll_wait(int poller, struct epoll_event *events, int count, int timeout_ms)
{
    int failure = enter(SIM_CALL_epoll_wait), found;
    struct file *file = file_of(poller);
    struct waiting waiting = { file, count, events, give_entry };
    if (sim.real)
        return epoll_wait(poller, events, count, timeout_ms);
    if (failure > 0 || !file)
        return (int)fail(SIM_CALL_epoll_wait, poller, failure > 0 ? failure : EBADF);
    be_spurious(file);
    found = wait_for(fetch_some, &waiting, timeout_ms < 0 ? -1 : timeout_ms * MS, failure >= 0);
    return (int)(found < 0 ? fail(SIM_CALL_epoll_wait, poller, EINTR)
                           : leave(SIM_CALL_epoll_wait, poller, found));
}
#endif

#if ASYNC_HAS_KQUEUE
int sim_kqueue(void)
{
    int failure = enter(SIM_CALL_kqueue), fd;
    if (sim.real)
        return kqueue();
    if (failure > 0)
        return (int)fail(SIM_CALL_kqueue, -1, failure);
    fd = install(new_file(KQUEUE, 0), 0);
    return (int)leave(SIM_CALL_kqueue, fd, fd);
}

static int change_filter(struct file *poller, const struct kevent *change)
{
    int fd = (int)change->ident, filter = (int)change->filter == (int)EVFILT_WRITE;
    struct file *file = file_of(fd);
    struct watch *watch;
    int error = -sim.next_failure[SIM_CALL_kevent];
    if (!file)
        return EBADF;
    if (error > 0) {
        sim.next_failure[SIM_CALL_kevent] = 0;
        injected(SIM_CALL_kevent);
        return error;
    }
    watch = find_watch(poller, file, fd, filter);
    if (change->flags & EV_DELETE) {
        if (!watch)
            return ENOENT;
        remove_watch(watch);
        return 0;
    }
    if (file->kind == DEVICE)
        return EINVAL;
    if (file->kind == REGULAR && S_ISCHR(file->mode))
        return ENODEV;
    if (filter && file->kind == PIPE && file->out && !file->out->has_reader)
        return EPIPE;
    if (!watch)
        watch = add_watch(poller, file, fd, filter);
    watch->interest = (filter ? SIM_OUT : SIM_IN | SIM_RDHUP) | SIM_ERR | SIM_HUP;
    if (change->flags & EV_CLEAR)
        watch->interest |= EDGE;
    watch->data = (uint64_t)(uintptr_t)change->udata;
    if (filter_level(watch))
        set_ready(watch);
    return 0;
}

static void give_filter(void *events, int place, const struct watch *watch, unsigned level)
{
    struct kevent *event = (struct kevent *)events + place;
    struct file *file = watch->file;
    bool ended = file->kind == DATAGRAM ? false /* its error comes with the next call */
                 : watch->filter ? (level & (SIM_HUP | SIM_ERR)) ||
                                     (file->kind == STREAM && file->shut_writes)
                               : (level & (SIM_HUP | SIM_ERR | SIM_RDHUP)) != 0;
    memset(event, 0, sizeof *event);
    event->ident = (uintptr_t)watch->fd;
    event->filter = watch->filter ? EVFILT_WRITE : EVFILT_READ;
    event->flags = (__typeof__(event->flags))(EV_CLEAR | (ended ? EV_EOF : 0));
    event->fflags = ended ? (__typeof__(event->fflags))file->error : 0;
    event->data = 1;
    event->udata = (__typeof__(event->udata))(uintptr_t)watch->data;
}

/* With EV_RECEIPT each change is answered, and no event is fetched. */
static int apply_changes(struct file *poller, const struct kevent *changes, int change_count,
                         struct kevent *events, int count)
{
    int answered = 0;
    for (int i = 0; i < change_count; i++) {
        struct kevent change = changes[i];
        int error = change_filter(poller, &change);
        if (!error && !(change.flags & EV_RECEIPT))
            continue;
        if (answered == count) {
            errno = error;
            return error ? -1 : answered;
        }
        events[answered] = change;
        events[answered].flags |= EV_ERROR;
        events[answered++].data = error;
    }
    return answered;
}

int sim_kevent(int poller, const struct kevent *changes, int change_count, struct kevent *events,
               int count, const struct timespec *timeout)
{
    int failure = enter(SIM_CALL_kevent), found;
    struct file *file = file_of(poller);
    struct waiting waiting = { file, count, events, give_filter };
    int64_t limit_ns = timeout ? (int64_t)timeout->tv_sec * 1000000000 + timeout->tv_nsec : -1;
    if (sim.real)
        return kevent(poller, changes, change_count, events, count, timeout);
    if (timeout && (timeout->tv_sec < 0 || timeout->tv_sec > 100000000 || timeout->tv_nsec < 0))
        failure = EINVAL;
    if ((failure > 0 && (failure != EINTR || !change_count)) || !file)
        return (int)fail(SIM_CALL_kevent, poller, failure > 0 ? failure : EBADF);
    found = change_count ? apply_changes(file, changes, change_count, events, count) : 0;
    if (failure == EINTR)
        return (int)fail(SIM_CALL_kevent, poller, EINTR); /* kqueue(2): the changes are made */
    if (change_count)
        return (int)(found < 0 ? fail(SIM_CALL_kevent, poller, errno)
                               : leave(SIM_CALL_kevent, (int)changes->ident, found));
    be_spurious(file);
    found = wait_for(fetch_some, &waiting, limit_ns, failure >= 0);
    return (int)(found < 0 ? fail(SIM_CALL_kevent, poller, EINTR)
                           : leave(SIM_CALL_kevent, poller, found));
}
#endif

struct polling {
    struct pollfd *entries;
    unsigned long count;
};

static int look_at_all(void *what)
{
    struct polling *polling = what;
    int found = 0;
    for (unsigned long i = 0; i < polling->count; i++) {
        struct pollfd *entry = &polling->entries[i];
        struct file *file = file_of(entry->fd);
        unsigned level = file ? level_of(file) : 0;
        int events = 0;
        entry->revents = 0;
        if (entry->fd < 0)
            continue;
        events |= level & SIM_IN ? POLLIN : 0;
        events |= level & SIM_PRI ? POLLPRI : 0;
        events |= level & SIM_OUT ? POLLOUT : 0;
        events &= entry->events;
        events |= level & SIM_HUP ? POLLHUP : 0;
        events |= level & SIM_ERR ? POLLERR : 0;
        entry->revents = (short)(file ? events : POLLNVAL);
        found += entry->revents != 0;
    }
    return found;
}

/* Fewer than there are, and what is not ready: as the other pollers' faults. */
static int distort(struct polling *polling, int found)
{
    if (found > 1 && sim_hit(SIM_FEW)) {
        int keep = (int)sim_draw((uint64_t)found);
        for (unsigned long i = 0; i < polling->count; i++)
            if (polling->entries[i].revents && keep--)
                polling->entries[i].revents = 0;
        found = 1;
    }
    return found;
}

int sim_poll(struct pollfd *entries, unsigned long count, int timeout_ms)
{
    int failure = enter(SIM_CALL_poll), found;
    struct polling polling = { entries, count };
    if (sim.real)
        return poll(entries, (nfds_t)count, timeout_ms);
    if (failure > 0)
        return (int)fail(SIM_CALL_poll, -1, failure);
    found = wait_for(look_at_all, &polling, timeout_ms < 0 ? -1 : timeout_ms * MS,
                     failure >= 0 && timeout_ms);
    if (found < 0 || (timeout_ms && failure >= 0 && sim_hit(SIM_EINTR)))
        return (int)fail(SIM_CALL_poll, -1, EINTR);
    if (failure >= 0)
        found = distort(&polling, found);
    return (int)leave(SIM_CALL_poll, -1, found);
}

/* ----------------------------------------------------------------------------
 * MARK: - The network, by script
 * ------------------------------------------------------------------------- */
static void each_channel(int fd, void (*act)(struct channel *channel, int64_t a, int64_t b),
                         int64_t a, int64_t b)
{
    struct file *file = fd >= 0 ? file_of(fd) : NULL;
    if (fd >= 0 && (!file || (!file->in && !file->out)))
        async_test_wrong("descriptor %d is no end of a connection", fd);
    if (file && file->in)
        act(file->in, a, b);
    if (file && file->out)
        act(file->out, a, b);
    for (struct channel *channel = file ? NULL : channels; channel; channel = channel->next)
        act(channel, a, b);
}

static void set_latency(struct channel *channel, int64_t least, int64_t most)
{
    channel->least_ns = least;
    channel->most_ns = most;
}

static void block(struct channel *channel, int64_t blocked, int64_t unused)
{
    (void)unused;
    channel->is_blocked = blocked != 0;
}

void sim_latency(int fd, int64_t least_ms, int64_t most_ms)
{
    each_channel(fd, set_latency, least_ms * MS, most_ms * MS);
}

void sim_partition(int fd)
{
    each_channel(fd, block, 1, 0);
}

/* What was held back sets out again. */
void sim_heal(int fd)
{
    int count = delivery_count;
    struct delivery *old = malloc((size_t)count * sizeof *old + 1);
    each_channel(fd, block, 0, 0);
    memcpy(old, deliveries, (size_t)count * sizeof *old);
    delivery_count = 0;
    for (int i = 0; i < count; i++) {
        if (old[i].at_ns == NEVER - 1 && !old[i].channel->is_blocked)
            old[i].at_ns = sim.now_ns + 1;
        add_delivery(old[i]);
    }
    free(old);
}

void sim_calm(void)
{
    memset(sim.rates, 0, sizeof sim.rates);
    each_channel(-1, set_latency, 0, 0);
    sim_heal(-1);
}

void sim_clog(int fd, int64_t duration_ms)
{
    struct file *file = file_of(fd);
    if (!file || !file->in)
        async_test_wrong("sim_clog: descriptor %d receives nothing", fd);
    file->in->clogged_ns = sim.now_ns + duration_ms * MS;
}

void sim_take_errors(int on)
{
    sim.takes_errors = on;
}

void sim_limit(int count)
{
    sim.limit = count < 0 ? -1 : sim.descriptors + count;
}

/* ----------------------------------------------------------------------------
 * MARK: - Scripted peers
 * ------------------------------------------------------------------------- */
void sim_peer_plays(int fd, const sim_line *script)
{
    struct file *file = file_of(fd);
    size_t count = 1;
    if (!file || file->kind != STREAM)
        async_test_wrong("sim_peer: descriptor %d is no connection", fd);
    while (script[count - 1].verb)
        count++;
    file->script = malloc(count * sizeof *script);
    memcpy(file->script, script, count * sizeof *script);
    file->at = file->piece = 0;
    file->rest_ns = -1;
    file->matched = 0;
    sim.closes_itself = true;
    descriptors[fd - SIM_FIRST_FD].file = NULL; /* not a descriptor of the program any more */
    if (fd - SIM_FIRST_FD < lowest_free)
        lowest_free = fd - SIM_FIRST_FD;
    sim.descriptors--;
    wake(file, 0);
}

/* Expect: read byte by byte. Returns whether the line is done. */
static bool play_reading(struct file *file, const sim_line *line)
{
    size_t want = line->verb == SIM_EXPECT_ ? strlen(line->text) : (size_t)line->number;
    while (file->matched < want) {
        char got;
        struct iovec piece = { &got, 1 };
        ssize_t n = take(file, &piece, 1, NULL, false);
        if (n == -EAGAIN)
            return false;
        if (n <= 0 && sim_shows_errors())
            return true;
        if (n <= 0)
            async_test_wrong("the peer expected \"%.60s\", and after %d bytes the connection %s",
                             line->text ? line->text : "", (int)file->matched,
                             n ? strerror((int)-n) : "ended");
        if (line->verb == SIM_EXPECT_ && got != line->text[file->matched])
            async_test_wrong("the peer expected \"%.60s\"; byte %d is '%c' (%d)", line->text,
                             (int)file->matched, got > 31 && got < 127 ? got : '?', got);
        file->matched++;
    }
    return true;
}

static bool play_sending(struct file *file, const sim_line *line)
{
    size_t size = strlen(line->text);
    while (file->matched < size) {
        size_t part = size - file->matched;
        struct iovec piece = { (void *)(uintptr_t)(line->text + file->matched), 0 };
        ssize_t n;
        if (file->piece && part > (size_t)file->piece)
            part = (size_t)file->piece;
        piece.iov_len = part;
        n = put(file, &piece, 1, false);
        if (n == -EAGAIN)
            return false;
        if (n < 0)
            return true; /* our side has gone */
        file->matched += (size_t)n;
        if (file->piece && file->matched < size) { /* the next piece sets out later */
            deliver_later(PLAY, file, NULL, 0, sim.now_ns + MS);
            return false;
        }
    }
    return true;
}

/* One line of the script. Returns whether it is done. */
static bool play_line(struct file *file, const sim_line *line)
{
    switch (line->verb) {
    case SIM_EXPECT_:
    case SIM_TAKE_:
        return play_reading(file, line);
    case SIM_SEND_:
        return play_sending(file, line);
    case SIM_SHORT_:
        file->piece = (int)line->number;
        return true;
    case SIM_WAIT_:
        if (file->rest_ns < 0) {
            file->rest_ns = sim.now_ns + line->number * MS;
            deliver_later(PLAY, file, NULL, 0, file->rest_ns);
        }
        return sim.now_ns >= file->rest_ns;
    case SIM_END_:
        file->shut_writes = true;
        send_end(file->out);
        return true;
    case SIM_RESET_:
        sim.failed++;
        reset_connection(file);
        return true;
    default:
        return false;
    }
}

static void play(struct file *file)
{
    while (file->script && file->references) {
        const sim_line *line = &file->script[file->at];
        if (line->verb == SIM_OVER_ || line->verb == SIM_CLOSE_) {
            if (line->verb == SIM_OVER_ && !file->in->end_arrived && !file->is_reset)
                return;
            file->references = 0;
            close_file(file);
            return;
        }
        if (!play_line(file, line))
            return;
        file->at++;
        file->matched = 0;
        file->rest_ns = -1;
    }
}

/* ----------------------------------------------------------------------------
 * MARK: - Memory
 * ------------------------------------------------------------------------- */
#define CANARY 0xc0ffee11u
#define QUARANTINE 64
static struct sim_block blocks = { &blocks, &blocks, NULL, 0, 0, { 0 } };
static struct sim_block *freed[QUARANTINE];
static int freed_place;

static char *data_of(struct sim_block *block)
{
    return (char *)block + ((sizeof *block + 15) & ~(size_t)15);
}

static struct sim_block *block_of(void *data)
{
    return (struct sim_block *)(void *)((char *)data - ((sizeof(struct sim_block) + 15) &
                                                        ~(size_t)15));
}

struct sim_block *sim_blocks(void)
{
    return blocks.next == &blocks ? NULL : blocks.next;
}

static void check_block(struct sim_block *block)
{
    uint32_t end;
    bool is_whole = block->front[0] == CANARY && block->front[1] == CANARY &&
                    block->front[2] == CANARY;
    memcpy(&end, data_of(block) + block->size, sizeof end);
    if (is_whole && end == CANARY)
        return;
    async_test_wrong("%s of a block of %lu bytes, allocated by %s, line %d, was written to",
                     is_whole ? "the memory behind the end" : "the memory in front",
                     (unsigned long)block->size, block->function ? block->function : "?",
                     block->line);
}

/* All bytes are right if the first one is and each is the same as the one before it: one memcmp,
 * where a loop would be half of what a world costs. */
static void check_freed(struct sim_block *block)
{
    const unsigned char *bytes = block ? (unsigned char *)data_of(block) : NULL;
    size_t at = 0;
    if (!block || block->size == 0)
        return;
    if (bytes[0] == 0xdb && memcmp(bytes, bytes + 1, block->size - 1) == 0)
        return;
    while (bytes[at] == 0xdb)
        at++;
    async_test_wrong("byte %lu of a freed block of %lu bytes, allocated by %s, line %d, "
                     "was written to", (unsigned long)at, (unsigned long)block->size,
                     block->function ? block->function : "?", block->line);
}

void sim_check_canaries(void)
{
    for (struct sim_block *block = blocks.next; block != &blocks; block = block->next)
        check_block(block);
}

void sim_check_blocks(void)
{
    sim_check_canaries();
    for (int i = 0; i < QUARANTINE; i++)
        check_freed(freed[i]);
}

static bool allocation_fails(void)
{
    bool fails;
    pending[0] = 0;
    sim.allocations++;
    fails = sim.allocations == sim.fail_allocation ||
            (sim.fail_for_ever && sim.allocations > sim.fail_allocation);
    if (fails)
        injected(-1);
    else
        fails = sim_hit(SIM_MEMORY);
    if (fails)
        sim_note("no memory", -1, 0, ENOMEM);
    return fails && !sim.real;
}

static void *allocate(size_t size, int fill)
{
    struct sim_block *block;
    uint32_t canary = CANARY;
    if (size > PTRDIFF_MAX - 256 || (block = malloc(sizeof *block + size + 32)) == NULL)
        return NULL;
    block->function = site_function;
    block->line = site_line;
    block->size = size;
    block->front[0] = block->front[1] = block->front[2] = CANARY;
    block->next = &blocks;
    block->previous = blocks.previous;
    block->previous->next = block->next->previous = block;
    memset(data_of(block), fill, size);
    memcpy(data_of(block) + size, &canary, sizeof canary);
    return data_of(block);
}

/* What nobody has written is a negative number in one world, a large one in the next. */
static int rubbish(void)
{
    return sim.seed % 2 ? 0x5a : 0xa5;
}

void *sim_malloc(size_t size)
{
    return allocation_fails() ? NULL : allocate(size, rubbish());
}

void *sim_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : allocate(count * size, 0);
}

/* A sanitizer, or Valgrind, sees more where the memory really goes. */
static void free_block(struct sim_block *block)
{
    check_block(block);
    block->previous->next = block->next;
    block->next->previous = block->previous;
    if (ASYNC__ASAN) {
        free(block);
        return;
    }
    memset(data_of(block), 0xdb, block->size);
    check_freed(freed[freed_place]);
    free(freed[freed_place]);
    freed[freed_place] = block;
    freed_place = (freed_place + 1) % QUARANTINE;
}

void sim_free(void *data)
{
    pending[0] = 0;
    if (data)
        free_block(block_of(data));
}

/* Moves always: a pointer into the old block is found out. */
void *sim_realloc(void *old, size_t size)
{
    void *fresh = allocation_fails() ? NULL : allocate(size, rubbish());
    size_t kept = old ? block_of(old)->size : 0;
    if (!fresh || !old)
        return fresh;
    memcpy(fresh, old, kept < size ? kept : size);
    free_block(block_of(old));
    return fresh;
}

static void forget_blocks(void)
{
    while (blocks.next != &blocks) {
        struct sim_block *block = blocks.next;
        blocks.next = block->next;
        free(block);
    }
    blocks.previous = &blocks;
    for (int i = 0; i < QUARANTINE; i++) {
        free(freed[i]);
        freed[i] = NULL;
    }
}

/* ----------------------------------------------------------------------------
 * MARK: - Threads
 * ------------------------------------------------------------------------- */

/* One that the header has made: a real one, which runs only when it has the turn. It has it from a
 * delivery until it blocks or ends, so that there is one order, and that is the seed's. A mutex is
 * the system's own: whoever has the turn finds it free. */
struct thread {
    struct thread *next;
    pthread_t real;
    void *(*function)(void *argument);
    void *argument;
    const void *condition; /* for which it waits */
    bool is_over;
};
static struct thread *threads; /* the last first */
static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_passed = PTHREAD_COND_INITIALIZER;

/* And wait until it comes back. */
static void pass_turn(struct thread *to)
{
    struct thread *self = running;
    pthread_mutex_lock(&turn_lock);
    running = to;
    pthread_cond_broadcast(&turn_passed);
    while (running != self)
        pthread_cond_wait(&turn_passed, &turn_lock);
    pthread_mutex_unlock(&turn_lock);
}

static void *run_thread(void *argument)
{
    struct thread *self = argument;
    pthread_mutex_lock(&turn_lock);
    while (running != self)
        pthread_cond_wait(&turn_passed, &turn_lock);
    pthread_mutex_unlock(&turn_lock);
    self->function(self->argument);
    pthread_mutex_lock(&turn_lock);
    self->is_over = true;
    running = NULL;
    pthread_cond_broadcast(&turn_passed);
    pthread_mutex_unlock(&turn_lock);
    return NULL;
}

static void resume_thread(struct thread *thread, int64_t after_ns)
{
    struct delivery delivery = { sim.now_ns + after_ns, 0, THREAD, NULL, NULL, 0, NULL, thread };
    add_delivery(delivery);
}

int sim_pthread_create(pthread_t *id, const pthread_attr_t *attributes,
                       void *(*function)(void *argument), void *argument)
{
    int failure = enter(SIM_CALL_pthread_create);
    struct thread *thread;
    if (sim.real)
        return pthread_create(id, attributes, function, argument);
    if (failure > 0) {
        fail(SIM_CALL_pthread_create, -1, failure);
        return failure;
    }
    thread = calloc(1, sizeof *thread);
    thread->function = function;
    thread->argument = argument;
    if (pthread_create(&thread->real, attributes, run_thread, thread))
        async_test_wrong("the system has no thread left");
    *id = thread->real;
    thread->next = threads;
    threads = thread;
    resume_thread(thread, latency(NULL));
    return (int)leave(SIM_CALL_pthread_create, -1, 0);
}

static int is_over(void *what)
{
    return ((struct thread *)what)->is_over;
}

int sim_pthread_join(pthread_t id, void **result)
{
    struct thread *thread = threads;
    enter(SIM_CALL_pthread_join);
    if (sim.real)
        return pthread_join(id, result);
    while (!pthread_equal(thread->real, id))
        thread = thread->next;
    wait_for(is_over, thread, -1, false);
    leave(SIM_CALL_pthread_join, -1, 0);
    return pthread_join(id, result);
}

int sim_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    enter(SIM_CALL_pthread_cond_wait);
    if (sim.real)
        return pthread_cond_wait(condition, mutex);
    leave(SIM_CALL_pthread_cond_wait, -1, 0);
    if (!sim_hit(SIM_SPURIOUS))
        running->condition = condition;
    else
        resume_thread(running, latency(NULL));
    pthread_mutex_unlock(mutex);
    pass_turn(NULL);
    return pthread_mutex_lock(mutex);
}

/* Who is woken first, and when, nobody knows. */
static void signal_threads(const void *condition, int most)
{
    int waiting = 0;
    for (struct thread *thread = threads; thread; thread = thread->next)
        waiting += thread->condition == condition;
    for (; waiting && most; waiting--, most--) {
        int chosen = sim_hit(SIM_ORDER) ? (int)sim_draw((uint64_t)waiting) : waiting - 1;
        struct thread *thread = threads;
        while (thread->condition != condition || chosen--)
            thread = thread->next;
        thread->condition = NULL;
        resume_thread(thread, latency(NULL));
    }
}

int sim_pthread_cond_signal(pthread_cond_t *condition)
{
    enter(SIM_CALL_pthread_cond_signal);
    if (sim.real)
        return pthread_cond_signal(condition);
    signal_threads(condition, 1);
    return (int)leave(SIM_CALL_pthread_cond_signal, -1, 0);
}

int sim_pthread_cond_broadcast(pthread_cond_t *condition)
{
    enter(SIM_CALL_pthread_cond_broadcast);
    if (sim.real)
        return pthread_cond_broadcast(condition);
    signal_threads(condition, -1);
    return (int)leave(SIM_CALL_pthread_cond_broadcast, -1, 0);
}

void sim_block(int64_t duration_ms)
{
    const char *function = site_function;
    int line = site_line;
    if (!running) {
        sim_advance(duration_ms);
        return;
    }
    resume_thread(running, duration_ms * MS);
    pass_turn(NULL);
    site_function = function;
    site_line = line;
}

void sim_end_threads(void)
{
    for (struct thread *thread = threads; thread; thread = thread->next)
        while (!thread->is_over) {
            if (next_delivery_ns() == NEVER)
                async_test_wrong("a thread waits for something that can never happen");
            move_clock(next_delivery_ns());
            deliver_due();
        }
}

/* ----------------------------------------------------------------------------
 * MARK: - Names
 * ------------------------------------------------------------------------- */

/* What there is to know of a name and a family. */
struct entry {
    struct entry *next;
    const char *name, *addresses;
    int family, error;
    int64_t delay_ms;
};
static struct entry *zone;

static void add_entry(const char *name, int family, int64_t delay_ms, int error,
                      const char *addresses)
{
    struct entry *entry = calloc(1, sizeof *entry);
    entry->next = zone;
    entry->name = name;
    entry->family = family;
    entry->delay_ms = delay_ms;
    entry->error = error;
    entry->addresses = addresses;
    zone = entry;
}

void sim_name(const char *name, int family, int64_t delay_ms, const char *addresses)
{
    add_entry(name, family, delay_ms, 0, addresses);
}

void sim_name_fails(const char *name, int family, int64_t delay_ms, int error)
{
    add_entry(name, family, delay_ms, error, "");
}

static const struct entry *find_entry(const char *name, int family, int asked)
{
    static const struct entry none = { NULL, "", "", 0, EAI_NONAME, 0 };
    const struct entry *entry = zone;
    while (entry && (entry->family != family || strcmp(entry->name, name)))
        entry = entry->next;
    return entry && (asked == family || asked == AF_UNSPEC) ? entry : &none;
}

/* The addresses of an entry, in front of `list`. */
static struct addrinfo *list_addresses(const struct entry *entry, struct addrinfo *list)
{
    char text[INET6_ADDRSTRLEN];
    const char *rest = entry->addresses;
    int length = 0;
    struct addrinfo *first;
    struct sockaddr_storage *address;
    if (sscanf(rest, " %45s%n", text, &length) < 1)
        return list;
    first = allocate(sizeof *first + sizeof *address, 0);
    address = (void *)(first + 1);
    address->ss_family = (sa_family_t)entry->family;
    if (inet_pton(entry->family, text, entry->family == AF_INET
                      ? (void *)&((struct sockaddr_in *)address)->sin_addr
                      : (void *)&((struct sockaddr_in6 *)address)->sin6_addr) != 1)
        async_test_wrong("sim_name: %s is no address of that family", text);
    first->ai_family = entry->family;
    first->ai_addr = (struct sockaddr *)address;
    first->ai_addrlen = entry->family == AF_INET ? sizeof(struct sockaddr_in)
                                                 : sizeof(struct sockaddr_in6);
    struct entry behind = *entry;
    behind.addresses = rest + length;
    first->ai_next = list_addresses(&behind, list);
    return first;
}

/* As errnos.h has them. */
static int eai_of(int error)
{
    return error == EAGAIN   ? EAI_AGAIN
           : error == EIO    ? EAI_FAIL
           : error == ENOMEM ? EAI_MEMORY
           : error == ENOENT ? EAI_NONAME : EAI_SYSTEM;
}

int sim_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                    struct addrinfo **list)
{
    int failure = enter(SIM_CALL_getaddrinfo);
    const struct entry *v6, *v4;
    if (sim.real)
        return getaddrinfo(host, service, hints, list);
    v6 = find_entry(host, AF_INET6, hints->ai_family);
    v4 = find_entry(host, AF_INET, hints->ai_family);
    sim_block(v6->delay_ms > v4->delay_ms ? v6->delay_ms : v4->delay_ms);
    if (failure > 0) {
        fail(SIM_CALL_getaddrinfo, -1, failure);
        return eai_of(failure);
    }
    *list = list_addresses(v6, list_addresses(v4, NULL));
    leave(SIM_CALL_getaddrinfo, -1, *list ? 0 : -1);
    if (*list)
        return 0;
    return v4->error && v4->error != EAI_NONAME ? v4->error : v6->error ? v6->error : EAI_NONAME;
}

void sim_freeaddrinfo(struct addrinfo *list)
{
    enter(SIM_CALL_freeaddrinfo);
    if (sim.real) {
        freeaddrinfo(list);
        return;
    }
    while (list) {
        struct addrinfo *next = list->ai_next;
        free_block(block_of(list));
        list = next;
    }
    leave(SIM_CALL_freeaddrinfo, -1, 0);
}

/* ----------------------------------------------------------------------------
 * MARK: - Worlds
 * ------------------------------------------------------------------------- */
size_t sim_pick(size_t count)
{
    size_t chosen = count > 1 && sim_hit(SIM_ORDER) ? (size_t)sim_draw(count) : 0;
    if (chosen)
        sim_note("order", -1, (long)chosen, 0);
    return chosen;
}

int sim_picks(void)
{
    return sim.rates[SIM_ORDER];
}

int sim_shows_errors(void)
{
    return sim.shows_errors;
}

int sim_has_failed(void)
{
    return sim.failed != 0;
}

int sim_is_real(void)
{
    return sim.real;
}

int sim_is_calm(void)
{
    return !sim.real && sim.seed == 0 && !sim.shows_errors;
}

/* A full buffer is a fault, too: most worlds have large ones, some of a few bytes. */
static int draw_capacity(void)
{
    static const int sizes[] = { 65536, 65536, 4096, 512, 61, 7 };
    return sim.rates[SIM_SHORT_WRITE] ? sizes[sim_draw(6)] : 65536;
}

void sim_begin(uint64_t seed, unsigned faults, bool real)
{
    const uint8_t *bytes = sim.bytes;
    size_t byte_count = sim.byte_count;
    memset(&sim, 0, offsetof(struct sim_world, trail));
    sim.event_count = 0;
    sim.bytes = bytes;
    sim.byte_count = byte_count;
    sim.seed = sim.random = seed;
    sim.chosen = ~seed;
    sim.hash = UINT64_C(0xcbf29ce484222325);
    sim.real = real;
    sim.limit = -1;
    sim.patience = 100000;
    sim.faults = faults;
    sim.now_ns = INT64_C(1000000000) + (int64_t)sim_draw(seed ? 1000000000 : 1) * 1000;
    if (seed || bytes)
        draw_rates(faults);
    sim.shows_errors = seed && (faults & ~SIM_DATAGRAMS & ((1u << SIM_FAULTS) - 1));
    sim.capacity = draw_capacity();
    sim.running = true;
    next_port = 40000;
    file_count = 0;
    memset(&sigpipe_action, 0, sizeof sigpipe_action);
    memset(pending, 0, sizeof pending);
    site_function = NULL;
}

static void free_file(struct file *file)
{
    while (file->first) {
        struct packet *packet = file->first;
        file->first = packet->next;
        free(packet);
    }
    while (file->members)
        remove_watch(file->members);
    while (file->watches)
        remove_watch(file->watches);
    free(file->backlog);
    free(file->script);
    free(file);
}

void sim_end(void)
{
    struct file *file = files, *next_file;
    for (struct file *each = files; each; each = each->next)
        while (each->members)
            remove_watch(each->members);
    for (; file; file = next_file) {
        next_file = file->next;
        free_file(file);
    }
    files = NULL;
    while (paths)
        remove_name(&paths);
    while (channels) {
        struct channel *channel = channels;
        channels = channel->next;
        free(channel->bytes);
        free(channel);
    }
    while (threads) {
        struct thread *thread = threads;
        threads = thread->next;
        free(thread);
    }
    while (zone) {
        struct entry *entry = zone;
        zone = entry->next;
        free(entry);
    }
    for (int i = 0; i < delivery_count; i++)
        free(deliveries[i].packet);
    delivery_count = 0;
    if (descriptor_count)
        memset(descriptors, 0, (size_t)descriptor_count * sizeof *descriptors);
    lowest_free = 0;
    forget_blocks();
    sim.running = false;
}
