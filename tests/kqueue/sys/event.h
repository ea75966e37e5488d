/*
 * <sys/event.h> for Linux: kqueue(2), as far as tests/kqueue/kqueue.c emulates it.
 *
 * For tests only. With -Itests/kqueue in front, code written for a BSD or for macOS compiles
 * unchanged. Types and values are those of macOS. Everything that is named here may be passed;
 * what is not implemented ends the program by abort() with a message, instead of behaving in a
 * way that no kqueue does.
 */
#ifndef KQUEUE_EMULATION_SYS_EVENT_H
#define KQUEUE_EMULATION_SYS_EVENT_H

#include <sched.h> /* struct timespec, in every dialect */
#include <stdint.h>

#ifdef __cplusplus
#pragma GCC system_header /* -Wshadow: a function and a struct share the name kevent */
extern "C" {
#endif

struct kevent {
    uintptr_t ident; /* what is watched: a descriptor, or for EVFILT_USER any number */
    int16_t filter;  /* how it is watched; one event per (ident, filter) and kqueue */
    uint16_t flags;  /* in: what to do with the event; out: EV_ERROR, EV_EOF */
    uint32_t fflags; /* in: NOTE_...; out: the socket's error, with EV_EOF */
    intptr_t data;   /* out: bytes to read, room to write, connections waiting; or an errno */
    void *udata;     /* the user's own: comes back unchanged */
};

/* Fill in *event. Each argument is evaluated once. */
#define EV_SET(event, id, which, action, note, value, user) do { \
    struct kevent *event_ = (event); \
    event_->ident = (uintptr_t)(id); \
    event_->filter = (int16_t)(which); \
    event_->flags = (uint16_t)(action); \
    event_->fflags = (uint32_t)(note); \
    event_->data = (intptr_t)(value); \
    event_->udata = (user); \
} while (0)

/* Filters. Implemented: EVFILT_READ, EVFILT_WRITE, EVFILT_USER. */
#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_AIO (-3)
#define EVFILT_VNODE (-4)
#define EVFILT_PROC (-5)
#define EVFILT_SIGNAL (-6)
#define EVFILT_TIMER (-7)
#define EVFILT_MACHPORT (-8)
#define EVFILT_FS (-9)
#define EVFILT_USER (-10)
#define EVFILT_VM (-12)
#define EVFILT_EXCEPT (-15)
#define EVFILT_SYSCOUNT 17

/* Flags going in. Implemented: EV_ADD, EV_DELETE, EV_CLEAR, EV_RECEIPT. */
#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_DISPATCH 0x0080

/* Flags coming out; ignored going in, as the kernels do. */
#define EV_SYSFLAGS 0xF000
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

/* EVFILT_USER. Implemented: NOTE_TRIGGER. */
#define NOTE_FFNOP 0x00000000u
#define NOTE_TRIGGER 0x01000000u
#define NOTE_FFAND 0x40000000u
#define NOTE_FFOR 0x80000000u
#define NOTE_FFCOPY 0xC0000000u
#define NOTE_FFCTRLMASK 0xC0000000u
#define NOTE_FFLAGSMASK 0x00FFFFFFu

/* Other filters. Implemented: none. */
#define NOTE_LOWAT 0x00000001u
#define NOTE_EXIT 0x80000000u

/* Make a kqueue. close(2) ends it.
 * Returns its descriptor, or -1 and errno. It is not close-on-exec, it can be polled like any
 * other, and it is gone in a child made by fork(). */
int kqueue(void);

/* Apply the changes in order, then fetch events.
 * A change that fails, or has EV_RECEIPT, is answered in the eventlist: EV_ERROR, and in `data`
 * its errno, or 0. If anything was answered, no event is fetched. A failure for which there is
 * no room ends the call with -1 and errno; a receipt for which there is none ends it, too, and
 * the changes after it are not applied.
 * Otherwise waits for an event, at most `timeout` (NULL: for ever), unless `nevents` is 0.
 * Returns the number of entries placed in the eventlist, 0 when the time is over, or -1 and
 * errno. Both lists may be the same array. */
int kevent(int kq, const struct kevent *changelist, int nchanges,
           struct kevent *eventlist, int nevents, const struct timespec *timeout);

#ifdef __cplusplus
}
#endif

#endif
