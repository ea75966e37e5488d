/* ares.h - names looked up by c-ares 1.16 or later on the loop of async.h.
 *
 *     self->names = ares_loop_open(NULL);
 *     await(n, async_call(ares_lookup, self->names, "example.org", 443,
 *                         AF_UNSPEC, self->found, 8), 5000);
 *     for (i = 0; i < n; i++)
 *         ...self->found[i]...
 *     ares_loop_close(self->names);
 *
 * c-ares says which sockets it waits for, and until when. It opens and closes
 * them by itself: each is adopted when it is first named, and released when
 * c-ares says, before it closes it, that it does not wait any more.
 */
#ifndef ASYNC_ARES_H
#define ASYNC_ARES_H

#include "async.h"
#include <ares.h>

/* What look-ups share. */
typedef struct ares_loop {
    ares_channel channel;
    async_handle timer; /* 0: none */
} ares_loop;

/* Make one for this thread's loop. It asks `servers` ("127.0.0.1:5353,[::1]"),
 * NULL: the system's. Returns NULL if there is no memory or these are none.
 * Never suspends. */
static inline ares_loop *ares_loop_open(const char *servers);

/* Close and free it, before the loop closes: who waits gets -EBADF. Takes NULL.
 * Never suspends. */
static inline void ares_loop_close(ares_loop *it);

/* ---- what c-ares waits for ---- */

static inline void ares__due(void *data);

/* c-ares has done something: its next deadline may be another. */
static inline void ares__set_timer(ares_loop *it)
{
    struct timeval wait;
    if (it->timer > 0)
        async_cancel(it->timer);
    it->timer = 0;
    if (ares_timeout(it->channel, NULL, &wait))
        it->timer = async_after((int64_t)wait.tv_sec * 1000 +
                                (wait.tv_usec + 999) / 1000, it, ares__due);
}

static inline void ares__due(void *data)
{
    ares_loop *it = (ares_loop *)data;
    ares_process_fd(it->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    ares__set_timer(it);
}

static inline void ares__readable(int fd, void *data)
{
    ares_loop *it = (ares_loop *)data;
    ares_process_fd(it->channel, fd, ARES_SOCKET_BAD);
    ares__set_timer(it);
}

static inline void ares__writable(int fd, void *data)
{
    ares_loop *it = (ares_loop *)data;
    ares_process_fd(it->channel, ARES_SOCKET_BAD, fd);
    ares__set_timer(it);
}

/* A socket's state has changed: it is given back, and taken anew. What fails
 * here c-ares finds out when its time is over. */
static inline void ares__on_state(void *data, ares_socket_t fd, int readable,
                                  int writable)
{
    async_release(fd);
    if (!readable && !writable)
        return; /* about to be closed */
    if (async_adopt(fd) == fd && readable)
        async_on_readable(fd, data, ares__readable);
    if (writable)
        async_on_writable(fd, data, ares__writable);
}

static inline ares_loop *ares_loop_open(const char *servers)
{
    ares_loop *it = (ares_loop *)calloc(1, sizeof *it);
    struct ares_options options;
    memset(&options, 0, sizeof options);
    options.sock_state_cb = ares__on_state;
    options.sock_state_cb_data = it;
    if (it && ares_init_options(&it->channel, &options,
                                ARES_OPT_SOCK_STATE_CB) == ARES_SUCCESS) {
        if (!servers || ares_set_servers_ports_csv(it->channel, servers) ==
                            ARES_SUCCESS)
            return it;
        ares_destroy(it->channel);
    }
    free(it);
    return NULL;
}

static inline void ares_loop_close(ares_loop *it)
{
    if (!it)
        return;
    ares_destroy(it->channel);
    if (it->timer > 0)
        async_cancel(it->timer);
    free(it);
}

/* ---- a look-up ---- */

/* What it comes to. It outlives a task that has been cancelled: c-ares cannot
 * cancel one query of several. */
typedef struct ares__answer {
    async_event came;
    async_address *found;
    size_t room;
    int result, is_deserted;
} ares__answer;

static inline int ares__result(int status)
{
    switch (status) {
    case ARES_SUCCESS: return 0;
    case ARES_ENOTFOUND: case ARES_ENODATA: return -ENOENT;
    case ARES_ETIMEOUT: return -ETIMEDOUT;
    case ARES_ECONNREFUSED: return -ECONNREFUSED;
    case ARES_ENOMEM: return -ENOMEM;
    case ARES_EBADNAME: return -EINVAL;
    case ARES_EDESTRUCTION: return -EBADF;
    default: return -EIO;
    }
}

static inline void ares__answered(void *data, int status, int timeouts,
                                  struct ares_addrinfo *all)
{
    ares__answer *answer = (ares__answer *)data;
    struct ares_addrinfo_node *node = all ? all->nodes : NULL;
    (void)timeouts;
    answer->result = ares__result(status);
    for (; !answer->is_deserted && node && answer->room; node = node->ai_next) {
        memset(answer->found, 0, sizeof *answer->found);
        memcpy(&answer->found->is, node->ai_addr, node->ai_addrlen);
        answer->found->size = node->ai_addrlen;
        answer->found++;
        answer->room--;
        answer->result++;
    }
    if (all)
        ares_freeaddrinfo(all);
    if (answer->is_deserted)
        free(answer);
    else
        async_event_set(&answer->came);
}

static inline void ares__ask(ares_loop *it, const char *name, int port,
                             int family, ares__answer *answer)
{
    struct ares_addrinfo_hints hints;
    char service[12];
    memset(&hints, 0, sizeof hints);
    hints.ai_family = family;
    hints.ai_flags = ARES_AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    snprintf(service, sizeof service, "%d", port);
    ares_getaddrinfo(it->channel, name, service, &hints, ares__answered,
                     answer);
    ares__set_timer(it);
}

/* Look up the addresses of `name` with this port: IPv4, IPv6 (AF_INET,
 * AF_INET6) or both (AF_UNSPEC), at most `room` of them into `found`. Returns
 * how many; or -ENOENT (no such name, or it has none of these), -ETIMEDOUT (no
 * server answers), -ECONNREFUSED (there is none), -EINVAL (not a name), -EBADF
 * (closed), -ENOMEM, -EIO. Suspends. Cancel point. `found` must outlive the
 * await: keep it in the frame. Leave `answer` out. */
async(ares_lookup, ares_loop *loop; const char *name; int port, family;
      async_address *found; size_t room; ares__answer *answer;)
{
    int n;
    async_begin;
    self->answer = (ares__answer *)calloc(1, sizeof *self->answer);
    if (!self->answer)
        async_return(-ENOMEM);
    self->answer->found = self->found;
    self->answer->room = self->room;
    ares__ask(self->loop, self->name, self->port, self->family, self->answer);
    await(n, async_event_wait(&self->answer->came));
    if (n < 0 && !async_event_is_set(&self->answer->came)) {
        self->answer->is_deserted = 1;
        async_return(n);
    }
    n = self->answer->result;
    free(self->answer);
    async_return(n);
    async_end;
}
#endif
