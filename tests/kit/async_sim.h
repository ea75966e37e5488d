/*
 * async_sim.h: what the two halves of the kit know of each other: the simulated kernel
 * (async_sim.c), and what runs worlds in it and judges them (async_test.c).
 */
#ifndef ASYNC_SIM_H
#define ASYNC_SIM_H

#include "async_test.h"

#include <stdbool.h>

enum { SIM_FIRST_FD = 1000, SIM_EVENTS = 4096, SIM_SHOWN = 48, SIM_TRAIL = 16384 };

/* One thing that happened. */
struct sim_event {
    int64_t ns;
    const char *what;     /* a call, an event of the scheduler, a fault; never to be freed        */
    const char *function; /* of async.h, which called; or NULL                                    */
    int line, fd, error;
    long result;
    uint32_t task; /* its slot; 0: outside                                                        */
};

/* A world: the clock, the source of randomness, the faults, and what happened so far. */
struct sim_world {
    uint64_t seed, random, chosen, hash; /* random is the kernel's, chosen the body's             */
    const uint8_t *bytes; /* a fuzzer's: draws come from here, then all are 0                     */
    size_t byte_count;
    int64_t now_ns;
    unsigned faults;         /* the kinds this world may have                                     */
    int rates[SIM_FAULTS];   /* one in so many; 0: off                                            */
    long fired[SIM_FAULTS];
    long calls, counts[SIM_CALLS], allocations;
    long still;              /* calls and steps since time has last moved                         */
    long patience;           /* so many are too many                                              */
    bool real, shows_errors, running;
    long failed;             /* faults that show, so far                                          */
    long fail_call;          /* this call of the seam fails, 0: none                              */
    int fail_errno;
    long fail_allocation;    /* this allocation fails, 0: none                                    */
    bool fail_for_ever;      /* and all after it                                                  */
    int next_failure[SIM_CALLS];
    int limit;               /* descriptors, -1: no limit                                         */
    int descriptors;         /* open ones                                                         */
    int capacity;            /* bytes a pipe or a socket holds                                    */
    int skew;                /* millionths                                                        */
    bool signal;             /* one arrives during the next wait                                  */
    int raised, raised_after; /* sim_raise: which signal, after so many calls                     */
    int takes_errors;        /* somebody reads SO_ERROR before the program does                   */
    int64_t settle_ns;       /* that moment, for whoever settles                                  */
    bool settling;           /* time stands still until all wait                                  */
    const void *ended;       /* the loop's task, if it has ended: it may be freed              */
    bool closes_itself;      /* the body has closed, or taken away, a descriptor by a raw call    */
    const char *failed_function; /* where the injected failure was                                */
    int failed_line, failed_call;
    short trail[SIM_TRAIL]; /* which calls were made                                          */
    long event_count;
    struct sim_event events[SIM_EVENTS];
};
extern struct sim_world sim;

struct sim_block {
    struct sim_block *next, *previous;
    const char *function;
    size_t size;
    int line;
    uint32_t front[3]; /* up to the data */
};

/* Begin a world; end it: closes all that is left. What is left is for the judge to ask before. */
void sim_begin(uint64_t seed, unsigned faults, bool real);
void sim_end(void);
void sim_end_threads(void); /* time passes until those that are left have ended */

uint64_t sim_draw(uint64_t count); /* 0 to count - 1; 0 without a look if there is no choice      */
bool sim_hit(int fault);
void sim_note(const char *what, int fd, long result, int error);
const char *sim_call_name(int call);
const char *sim_fault_name(int fault);

/* What a descriptor is: "TCP connection"...; which of SIM_IN... hold now; whether the poller has an
 * event for it that was not fetched yet. */
enum { SIM_IN = 1, SIM_OUT = 4, SIM_ERR = 8, SIM_HUP = 16, SIM_RDHUP = 0x2000, SIM_PRI = 2 };
const char *sim_kind(int fd);
unsigned sim_level(int fd);
bool sim_is_pending(int poller, int fd, bool writes);
bool sim_is_watched(int poller, int fd, bool writes);
int sim_first_descriptor(void); /* the lowest that is open, or -1                                 */

/* Blocks that were allocated through the seam and not freed. */
struct sim_block *sim_blocks(void);
void sim_check_canaries(void); /* around each block                                             */
void sim_check_blocks(void);   /* and that nobody wrote to what was freed                       */

/* Of async_test.c, called before a wait lets time pass; when nothing can ever happen; where
 * something is wrong with the world. */
void async_test_idle(int64_t timeout_ns);
__attribute__((noreturn)) void async_test_deadlock(void);
__attribute__((noreturn, format(printf, 1, 2))) void async_test_wrong(const char *format, ...);

#endif
