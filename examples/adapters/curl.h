/* curl.h - transfers of libcurl 7.68 or later on the loop of async.h.
 *
 *     self->curl = curl_loop_open();
 *     self->easy = curl_easy_init();
 *     curl_easy_setopt(self->easy, CURLOPT_URL, "https://example.org/");
 *     await(n, async_call(curl_transfer, self->curl, self->easy), 10000);
 *     curl_easy_cleanup(self->easy);
 *     curl_loop_close(self->curl);
 *
 * libcurl's multi interface says which sockets and which deadline it waits for;
 * the loop watches them, and tells it. It opens and closes its sockets itself:
 * each is adopted when libcurl first names it, and released when libcurl says
 * that it is done with it, before it is closed.
 */
#ifndef ASYNC_CURL_H
#define ASYNC_CURL_H

#include "async.h"
#include <curl/curl.h>

/* What transfers share: connections that are kept open, names looked up. */
typedef struct curl_loop {
    CURLM *multi;
    async_handle timer; /* 0: none */
} curl_loop;

/* Make one for this thread's loop. Returns NULL if there is no memory. Never
 * suspends. */
static inline curl_loop *curl_loop_open(void);

/* Close its connections and free it, before the loop closes and after all its
 * transfers have ended. Takes NULL. Never suspends. */
static inline void curl_loop_close(curl_loop *it);

/* ---- how ---- */

/* A socket of libcurl's, while libcurl waits for it. */
typedef struct curl__socket {
    curl_loop *loop;
    async_handle reader, writer; /* 0: none */
} curl__socket;

/* What a transfer waits for. */
typedef struct curl__end {
    async_event came;
    CURLcode code;
} curl__end;

/* Tell libcurl, then those whose transfers have ended. */
static inline void curl__act(curl_loop *it, curl_socket_t fd, int what)
{
    int count;
    CURLMsg *message;
    curl_multi_socket_action(it->multi, fd, what, &count);
    while ((message = curl_multi_info_read(it->multi, &count))) {
        char *end = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &end);
        ((curl__end *)(void *)end)->code = message->data.result;
        async_event_set(&((curl__end *)(void *)end)->came);
    }
}

static inline void curl__readable(int fd, void *data)
{
    curl__act(((curl__socket *)data)->loop, fd, CURL_CSELECT_IN);
}

static inline void curl__writable(int fd, void *data)
{
    curl__act(((curl__socket *)data)->loop, fd, CURL_CSELECT_OUT);
}

static inline void curl__due(void *data)
{
    ((curl_loop *)data)->timer = 0;
    curl__act((curl_loop *)data, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl wants to be called after `timeout_ms`; not at all, if negative. */
static inline int curl__on_timer(CURLM *multi, long timeout_ms, void *data)
{
    curl_loop *it = (curl_loop *)data;
    (void)multi;
    if (it->timer)
        async_cancel(it->timer);
    it->timer = timeout_ms < 0 ? 0 : async_after(timeout_ms, it, curl__due);
    return it->timer < 0 ? -1 : 0;
}

/* Watch in one direction, or do not. Returns a handle, 0, or -errno. */
static inline async_handle curl__watch(async_handle now, int wanted, int fd,
                                       curl__socket *it, int writes)
{
    if (now > 0 && !wanted)
        async_cancel(now);
    if (now > 0 || !wanted)
        return wanted ? now : 0;
    return writes ? async_on_writable(fd, it, curl__writable)
                  : async_on_readable(fd, it, curl__readable);
}

/* libcurl waits for this socket, in other directions, or no more. */
static inline int curl__on_socket(CURL *easy, curl_socket_t fd, int what,
                                  void *data, void *known)
{
    curl_loop *loop = (curl_loop *)data;
    curl__socket *it = (curl__socket *)known;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        async_release(fd);
        free(it);
        return 0;
    }
    if (!it) {
        it = (curl__socket *)calloc(1, sizeof *it);
        if (!it || async_adopt(fd) < 0) {
            free(it);
            return -1;
        }
        it->loop = loop;
        curl_multi_assign(loop->multi, fd, it);
    }
    it->reader = curl__watch(it->reader, what & CURL_POLL_IN, fd, it, 0);
    it->writer = curl__watch(it->writer, what & CURL_POLL_OUT, fd, it, 1);
    return it->reader < 0 || it->writer < 0 ? -1 : 0;
}

static inline curl_loop *curl_loop_open(void)
{
    curl_loop *it = (curl_loop *)calloc(1, sizeof *it);
    CURLM *multi = curl_multi_init();
    if (!it || !multi) {
        curl_multi_cleanup(multi);
        free(it);
        return NULL;
    }
    it->multi = multi;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, curl__on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, it);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, curl__on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, it);
    return it;
}

static inline void curl_loop_close(curl_loop *it)
{
    if (!it)
        return;
    curl_multi_cleanup(it->multi);
    if (it->timer)
        async_cancel(it->timer);
    free(it);
}

/* What a transfer's end is here. */
static inline int curl__result(CURL *easy, CURLcode code)
{
    long status = 0, error = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
    switch (code) {
    case CURLE_OK: return (int)status;
    case CURLE_OUT_OF_MEMORY: return -ENOMEM;
    case CURLE_OPERATION_TIMEDOUT: return -ETIMEDOUT;
    case CURLE_COULDNT_CONNECT: return error ? -(int)error : -ECONNREFUSED;
    case CURLE_COULDNT_RESOLVE_HOST: return -EHOSTUNREACH;
    case CURLE_PEER_FAILED_VERIFICATION: return -EACCES;
    case CURLE_URL_MALFORMAT: case CURLE_UNSUPPORTED_PROTOCOL: return -EINVAL;
    case CURLE_PARTIAL_FILE: case CURLE_GOT_NOTHING: case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR: return -ECONNRESET;
    default: return -EIO;
    }
}

/* Whoever leaves a transfer waits for its name's resolver, before 7.87.0. */
static inline void curl__leave_at_once(CURL *easy)
#if LIBCURL_VERSION_NUM >= 0x075700
{
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
}
#else
{
    (void)easy;
}
#endif

/* Make the transfer that `easy` describes, and wait for its end. `easy` stays
 * the caller's, who leaves CURLOPT_PRIVATE alone. Returns the last response's
 * status (HTTP: 200, 404...); or a negative errno: -ECONNREFUSED, -ECONNRESET
 * (it was cut short), -EHOSTUNREACH (no such name), -EACCES (the server is not
 * to be trusted), -EINVAL (not a URL), -ENOMEM, -EIO (else; CURLOPT_ERRORBUFFER
 * has words for all). Cancelled or out of time, the transfer is dropped.
 * Suspends. Cancel point. Leave `end` out. */
async(curl_transfer, curl_loop *loop; CURL *easy; curl__end end;)
{
    async_begin;
    curl_easy_setopt(self->easy, CURLOPT_PRIVATE, &self->end);
    curl__leave_at_once(self->easy);
    if (curl_multi_add_handle(self->loop->multi, self->easy) != CURLM_OK)
        async_return(-ENOMEM);
    await(async_event_wait(&self->end.came));
    async_return(curl__result(self->easy, self->end.code));
    async_finally;
    curl_multi_remove_handle(self->loop->multi, self->easy);
    async_end;
}
#endif
