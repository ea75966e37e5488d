/*
 * Events, semaphores, mutexes, channels and select in the simulated world: nothing is lost,
 * nothing is had twice, nobody overtakes.
 *
 * Method. Tasks do at random what the interface allows, some are cancelled or run out of time;
 * a plain record of what each was told is compared with what the others were told.
 */
#include "sim_io.h"

/* ----------------------------------------------------------------------------
 * MARK: - Channels
 * ------------------------------------------------------------------------- */
enum { SENDERS = 4, RECEIVERS = 3, ITEMS = 12 };

/* What became of an item: how often it was received, and what its sender was told. */
static struct {
    int received;
    async_result sent;
} items[SENDERS][ITEMS];

typedef struct item {
    short sender, number;
    char more[3]; /* an odd size */
} item;

/* `next`: the least number that may come from each sender. */
static void check_arrival(const item *it, int next[SENDERS])
{
    cr_assert(it->sender >= 0 && it->sender < SENDERS);
    cr_assert(it->number >= next[it->sender]);
    cr_assert_eq(memcmp(it->more, "abc", 3), 0);
    next[it->sender] = it->number + 1;
    items[it->sender][it->number].received++;
}

async(puts_items, async_channel *channel; int number; item it; int i; async_result n;)
{
    async_begin;
    memcpy(self->it.more, "abc", 3);
    for (self->i = 0; self->i < ITEMS; self->i++) {
        self->it.sender = (short)self->number;
        self->it.number = (short)self->i;
        if (!sim_random(4))
            self->n = async_channel_send_nowait(self->channel, &self->it);
        else
            await(self->n, async_channel_send(self->channel, &self->it),
                  sim_random(2) ? -1 : (int64_t)sim_random(4));
        items[self->number][self->i].sent = self->n;
        if (self->n == -ECANCELED)
            async_return(0);
        if (!sim_random(3))
            await(self->n, async_sleep((int64_t)sim_random(4)));
    }
    async_end;
}

async(takes, async_channel *channel; int next[SENDERS]; item it; async_result n;)
{
    async_begin;
    for (;;) {
        self->n = async_channel_receive_nowait(self->channel, &self->it);
        if (self->n == -EAGAIN)
            await(self->n, async_channel_receive(self->channel, &self->it),
                  sim_random(2) ? -1 : (int64_t)sim_random(4));
        if (self->n == 1)
            check_arrival(&self->it, self->next);
        if (self->n == 0 || self->n == -ECANCELED)
            async_return(self->n);
        if (self->n != -ETIMEDOUT)
            async_ok(self->n);
        if (!sim_random(3))
            await(self->n, async_sleep((int64_t)sim_random(4)));
        else
            await(self->n, async_yield());
    }
    async_end;
}

static void check_all_items(void)
{
    for (int i = 0; i < SENDERS; i++)
        for (int j = 0; j < ITEMS; j++)
            cr_assert_eq(items[i][j].received, items[i][j].sent == 0);
}

static int count_sent(async_result result)
{
    int count = 0;
    for (int i = 0; i < SENDERS; i++)
        for (int j = 0; j < ITEMS; j++)
            count += items[i][j].sent == result;
    return count;
}

AsyncTestWith(channels, lose_no_item_and_double_none, (.seeds = 1500, .torture = 1),
              async_channel channel; item held[3]; async_task senders[SENDERS];
              async_task receivers[RECEIVERS]; async_result n; int i;)
{
    async_begin;
    for (int i = 0; i < SENDERS; i++)
        for (int j = 0; j < ITEMS; j++) {
            items[i][j].received = 0;
            items[i][j].sent = -ESRCH;
        }
    async_channel_init(&self->channel, self->held, sizeof self->held[0], (size_t)sim_random(4));
    for (int i = 0; i < SENDERS; i++)
        async_ok(self->senders[i] = async_spawn(puts_items, &self->channel, i));
    for (int i = 0; i < RECEIVERS; i++)
        async_ok(self->receivers[i] = async_keep(async_spawn(takes, &self->channel)));
    await(async_sleep((int64_t)sim_random(20)));
    async_cancel(self->senders[sim_random(SENDERS)]);
    async_cancel(self->receivers[1 + sim_random(RECEIVERS - 1)]);
    await(self->n, async_join_all(self->senders, SENDERS));
    async_ok(self->n);
    async_channel_close(&self->channel);
    for (self->i = 0; self->i < RECEIVERS; self->i++) {
        await(self->n, async_join(self->receivers[self->i]));
        cr_assert(self->n == 0 || (self->i && self->n == -ECANCELED));
    }
    check_all_items();
    async_sometimes(count_sent(-ETIMEDOUT) > 0);
    async_sometimes(count_sent(-EAGAIN) > 0);
    async_sometimes(count_sent(-ECANCELED) > 0);
    async_end;
}

async(sends_one, async_channel *channel; int number; async_result *result; async_result n;)
{
    async_begin;
    await(self->n, async_channel_send(self->channel, &self->number));
    *self->result = self->n;
    async_end;
}

/* Without capacity: nobody is done before the other is there. */
AsyncTest(channels, without_capacity_are_a_meeting, async_channel channel; async_result sent;
          int got; async_result n;)
{
    async_begin;
    async_channel_init(&self->channel, NULL, sizeof(int), 0);
    self->n = async_channel_send_nowait(&self->channel, &self->got);
    check_error(async_channel_send_nowait, EAGAIN, self->n);
    self->n = async_channel_receive_nowait(&self->channel, &self->got);
    check_error(async_channel_receive_nowait, EAGAIN, self->n);
    self->sent = 1;
    cr_assert(async_spawn(sends_one, &self->channel, 7, &self->sent) > 0);
    await(async_settle());
    cr_assert_eq(self->sent, 1);
    await(self->n, async_channel_receive(&self->channel, &self->got));
    cr_assert_eq(self->n, 1);
    cr_assert_eq(self->got, 7);
    await(async_settle());
    cr_assert_eq(self->sent, 0);
    await(self->n, async_channel_receive(&self->channel, &self->got), 10);
    cr_assert_eq(self->n, -ETIMEDOUT);
    async_end;
}

/* Items without bytes are only counted, and need no place. */
AsyncTest(channels, may_carry_nothing, async_channel channel; async_result n;)
{
    async_begin;
    async_channel_init(&self->channel, NULL, 0, 2);
    cr_assert_eq(async_channel_send_nowait(&self->channel, NULL), 0);
    await(self->n, async_channel_send(&self->channel, NULL));
    cr_assert_eq(self->n, 0);
    cr_assert_eq(async_channel_send_nowait(&self->channel, NULL), -EAGAIN);
    await(self->n, async_channel_receive(&self->channel, NULL));
    cr_assert_eq(self->n, 1);
    cr_assert_eq(async_channel_receive_nowait(&self->channel, NULL), 1);
    cr_assert_eq(async_channel_receive_nowait(&self->channel, NULL), -EAGAIN);
    async_end;
}

/* Closing tells the senders that wait; what the channel holds is still to be had. */
AsyncTest(channels, hold_after_their_close_what_was_sent, async_channel channel; int held[2];
          async_result sent[3]; int got; async_result n; int i;)
{
    async_begin;
    async_channel_init(&self->channel, self->held, sizeof(int), 2);
    for (int i = 0; i < 3; i++)
        cr_assert(async_spawn(sends_one, &self->channel, i, &self->sent[i]) > 0);
    self->sent[2] = 1;
    await(async_settle());
    async_channel_close(&self->channel);
    async_channel_close(&self->channel);
    await(async_settle());
    cr_assert(self->sent[0] == 0 && self->sent[1] == 0);
    check_error(async_channel_close, EPIPE, self->sent[2]);
    await(self->n, async_channel_send(&self->channel, &self->got));
    check_error(async_channel_send, EPIPE, self->n);
    for (self->i = 0; self->i < 2; self->i++) {
        await(self->n, async_channel_receive(&self->channel, &self->got));
        cr_assert_eq(self->n, 1);
        cr_assert_eq(self->got, self->i);
    }
    await(self->n, async_channel_receive(&self->channel, &self->got));
    cr_assert_eq(self->n, 0);
    cr_assert_eq(async_channel_receive_nowait(&self->channel, &self->got), 0);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - First come, first served
 * ------------------------------------------------------------------------- */
enum { IN_LINE = 6 };

static int came[IN_LINE], served[IN_LINE], came_count, served_count;

async(stands_in_line, async_semaphore *semaphore; async_mutex *mutex; async_channel *channel;
      int number; int item; async_result n;)
{
    async_begin;
    came[came_count++] = self->number;
    if (self->semaphore)
        await(self->n, async_semaphore_acquire(self->semaphore));
    else if (self->mutex)
        await(self->n, async_mutex_lock(self->mutex));
    else
        await(self->n, async_channel_receive(self->channel, &self->item));
    served[self->channel ? self->item : served_count] = self->number;
    served_count++;
    if (self->mutex)
        cr_assert_eq(async_mutex_unlock(self->mutex), 0);
    async_end;
}

static void check_line(void)
{
    cr_assert_eq(served_count, IN_LINE);
    cr_assert_eq(memcmp(came, served, sizeof came), 0);
    came_count = served_count = 0;
}

AsyncTestWith(between, first_come_first_served, (.seeds = 100), async_semaphore semaphore;
              async_mutex mutex; async_channel channel; int i;)
{
    async_begin;
    came_count = served_count = 0;
    for (int i = 0; i < IN_LINE; i++)
        cr_assert(async_spawn(stands_in_line, .semaphore = &self->semaphore, .number = i) > 0);
    await(async_settle());
    async_sometimes(came[0] > came[1]);
    for (self->i = 0; self->i < IN_LINE; self->i++) {
        async_semaphore_release(&self->semaphore);
        cr_assert_eq(async_semaphore_acquire_nowait(&self->semaphore), -EAGAIN);
        await(async_settle());
    }
    check_line();

    cr_assert_eq(async_mutex_lock_nowait(&self->mutex), 0);
    for (int i = 0; i < IN_LINE; i++)
        cr_assert(async_spawn(stands_in_line, .mutex = &self->mutex, .number = i) > 0);
    await(async_settle());
    cr_assert_eq(async_mutex_unlock(&self->mutex), 0);
    cr_assert_eq(async_mutex_lock_nowait(&self->mutex), -EAGAIN);
    await(async_settle());
    check_line();

    async_channel_init(&self->channel, NULL, sizeof(int), 0);
    for (int i = 0; i < IN_LINE; i++)
        cr_assert(async_spawn(stands_in_line, .channel = &self->channel, .number = i) > 0);
    await(async_settle());
    for (self->i = 0; self->i < IN_LINE; self->i++)
        cr_assert_eq(async_channel_send_nowait(&self->channel, &self->i), 0);
    await(async_settle());
    check_line();
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Semaphores and mutexes
 * ------------------------------------------------------------------------- */
enum { WORKERS = 8, PERMITS = 3 };

static int inside, most_inside;

async(holder, async_semaphore *semaphore; int rounds; async_result n;)
{
    async_begin;
    for (self->rounds = 0; self->rounds < 5; self->rounds++) {
        await(self->n, async_semaphore_acquire(self->semaphore),
              sim_random(2) ? -1 : (int64_t)sim_random(6));
        if (self->n == -ECANCELED)
            async_return(0);
        if (self->n < 0)
            continue;
        inside++;
        cr_assert_leq(inside, PERMITS);
        most_inside = inside > most_inside ? inside : most_inside;
        await(self->n, async_shield(async_sleep((int64_t)sim_random(4))));
        inside--;
        async_semaphore_release(self->semaphore);
    }
    async_end;
}

AsyncTestWith(semaphores, lose_no_permit, (.seeds = 1000, .torture = 1),
              async_semaphore semaphore; async_task workers[WORKERS]; async_result n; int i;)
{
    async_begin;
    inside = most_inside = 0;
    async_semaphore_init(&self->semaphore, PERMITS);
    for (int i = 0; i < WORKERS; i++)
        async_ok(self->workers[i] = async_spawn(holder, &self->semaphore));
    for (self->i = 0; self->i < 3; self->i++) {
        await(async_sleep((int64_t)sim_random(5)));
        async_cancel(self->workers[sim_random(WORKERS)]);
    }
    await(self->n, async_join_all(self->workers, WORKERS));
    async_ok(self->n);
    cr_assert_eq(inside, 0);
    async_sometimes(most_inside == PERMITS);
    for (int i = 0; i < PERMITS; i++)
        cr_assert_eq(async_semaphore_acquire_nowait(&self->semaphore), 0);
    self->n = async_semaphore_acquire_nowait(&self->semaphore);
    check_error(async_semaphore_acquire_nowait, EAGAIN, self->n);
    async_end;
}

static async_mutex shared;

static void locks(void *unused)
{
    (void)unused;
    cr_assert_eq(async_mutex_lock_nowait(&shared), 0);
}

static void unlocks(void *unused)
{
    (void)unused;
    cr_assert_eq(async_mutex_unlock(&shared), 0);
}

/* All callbacks are one owner, which does not end as a task does. */
AsyncTest(mutexes, may_be_a_callbacks, async_result n;)
{
    async_begin;
    memset(&shared, 0, sizeof shared);
    async_ok(async_soon(NULL, locks));
    async_ok(async_after(3, NULL, unlocks));
    await(async_yield());
    await(self->n, async_mutex_lock(&shared), 1);
    check_error(async_mutex_lock, ETIMEDOUT, self->n);
    await(self->n, async_mutex_lock(&shared));
    cr_assert_eq(self->n, 0);
    cr_assert_eq(async_mutex_unlock(&shared), 0);
    async_end;
}

async(locks_and_dies, async_mutex *mutex; int limit_ms; async_result n;)
{
    async_begin;
    await(self->n, async_mutex_lock(self->mutex), self->limit_ms);
    async_return(self->n);
    async_end;
}

AsyncTest(mutexes, know_who_has_them, async_mutex mutex; async_task other; async_result n;)
{
    async_begin;
    check_error(async_mutex_unlock, EPERM, async_mutex_unlock(&self->mutex));
    await(self->n, async_mutex_lock(&self->mutex));
    cr_assert_eq(self->n, 0);
    await(self->n, async_mutex_lock(&self->mutex));
    check_error(async_mutex_lock, EDEADLK, self->n);
    check_error(async_mutex_lock_nowait, EDEADLK, async_mutex_lock_nowait(&self->mutex));
    self->other = async_keep(async_spawn(locks_and_dies, &self->mutex, 5));
    await(self->n, async_join(self->other));
    cr_assert_eq(self->n, -ETIMEDOUT);
    self->other = async_keep(async_spawn(locks_and_dies, &self->mutex, -1));
    await(async_settle());
    cr_assert_eq(async_mutex_unlock(&self->mutex), 0);
    cr_assert_eq(async_mutex_unlock(&self->mutex), -EPERM);
    check_error(async_mutex_lock_nowait, EAGAIN, async_mutex_lock_nowait(&self->mutex));
    await(self->n, async_join(self->other));
    cr_assert_eq(self->n, 0);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Events
 * ------------------------------------------------------------------------- */
async(waits_for, async_event *event; int *count; async_result n;)
{
    async_begin;
    await(self->n, async_event_wait(self->event));
    ++*self->count;
    async_end;
}

static void sets(void *event)
{
    async_event_set((async_event *)event);
}

AsyncTestWith(events, let_all_go_on_until_they_are_cleared, (.seeds = 50), async_event event;
              int count; async_task tasks[5]; async_result n;)
{
    async_begin;
    self->count = 0;
    cr_assert_eq(async_event_is_set(&self->event), 0);
    for (int i = 0; i < 5; i++)
        self->tasks[i] = async_spawn(waits_for, &self->event, &self->count);
    await(async_settle());
    async_cancel(self->tasks[2]);
    await(async_settle());
    cr_assert_eq(self->count, 1); /* the cancelled one */
    cr_assert(async_soon(&self->event, sets) > 0);
    await(self->n, async_event_wait(&self->event));
    await(async_settle());
    cr_assert_eq(self->count, 5);
    cr_assert_eq(async_event_is_set(&self->event), 1);
    await(self->n, async_event_wait(&self->event), 0);
    cr_assert_eq(self->n, 0);
    async_event_clear(&self->event);
    await(self->n, async_event_wait(&self->event), 10);
    cr_assert_eq(self->n, -ETIMEDOUT);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - Select
 * ------------------------------------------------------------------------- */
enum { SOURCES = 3, EACH = 8 };

static int had[SOURCES][EACH], timeouts;

async(source, async_channel *channel; int number; int i; int item; async_result n;)
{
    async_begin;
    for (self->i = 0; self->i < EACH; self->i++) {
        self->item = self->number * EACH + self->i;
        await(self->n, async_channel_send(self->channel, &self->item));
        async_ok(self->n);
        await(async_sleep((int64_t)sim_random(4)));
    }
    async_end;
}

async(selector, async_channel *channels; async_event *stop; int items[SOURCES];
      async_case cases[SOURCES + 1]; async_result n;)
{
    async_begin;
    for (;;) {
        for (int i = 0; i < SOURCES; i++)
            self->cases[i] = async_case_receive(&self->channels[i], &self->items[i]);
        self->cases[SOURCES] = async_case_event(self->stop);
        await(self->n, async_select(self->cases, SOURCES + 1),
              sim_random(2) ? -1 : (int64_t)sim_random(3));
        if (self->n == SOURCES)
            async_return(0);
        timeouts += self->n == -ETIMEDOUT;
        if (self->n == -ETIMEDOUT)
            continue;
        async_ok(self->n);
        cr_assert_eq(self->cases[self->n].result, 1);
        had[self->n][self->items[self->n] % EACH]++;
        cr_assert_eq(self->items[self->n] / EACH, self->n);
    }
    async_end;
}

AsyncTestWith(select, takes_one_thing_at_a_time_and_loses_none, (.seeds = 1000, .torture = 1),
              async_channel channels[SOURCES]; int held[SOURCES][2]; async_event stop;
              async_task sources[SOURCES]; async_task selectors[2]; async_result n;)
{
    async_begin;
    memset(had, 0, sizeof had);
    timeouts = 0;
    for (int i = 0; i < SOURCES; i++) {
        async_channel_init(&self->channels[i], self->held[i], sizeof(int), (size_t)i % 3);
        async_ok(self->sources[i] = async_spawn(source, &self->channels[i], i));
    }
    for (int i = 0; i < 2; i++)
        async_ok(self->selectors[i] = async_spawn(selector, self->channels, &self->stop));
    await(self->n, async_join_all(self->sources, SOURCES));
    async_ok(self->n);
    while (self->channels[1].count || self->channels[2].count)
        await(async_sleep(1));
    async_event_set(&self->stop);
    await(self->n, async_join_all(self->selectors, 2));
    async_ok(self->n);
    for (int i = 0; i < SOURCES; i++)
        for (int j = 0; j < EACH; j++)
            cr_assert_eq(had[i][j], 1);
    async_sometimes(timeouts > 0);
    async_end;
}

async(ends_with, int64_t delay_ms; int value;)
{
    async_begin;
    await(async_sleep(self->delay_ms));
    async_return(self->value);
    async_end;
}

async(selects, async_case *cases; size_t count; async_result n;)
{
    async_begin;
    await(self->n, async_select(self->cases, self->count));
    async_return(self->n);
    async_end;
}

/* Each kind of case is the one, and then the others have had nothing. */
AsyncTest(select, waits_for_each_kind_and_wakes_once, async_channel room; async_channel mail;
          async_event event; async_semaphore semaphore; async_mutex mutex; async_case cases[6];
          int item; int got; async_task task; async_result n; int i; int held[1];)
{
    async_begin;
    async_channel_init(&self->room, self->held, sizeof(int), 1);
    async_channel_init(&self->mail, NULL, sizeof(int), 0);
    for (self->i = 0; self->i < 6; self->i++) {
        self->item = 5;
        if (self->i)
            cr_assert_eq(async_channel_send_nowait(&self->room, &self->item), 0);
        cr_assert_eq(async_mutex_lock_nowait(&self->mutex), 0);
        self->cases[0] = async_case_send(&self->room, &self->item);
        self->cases[1] = async_case_receive(&self->mail, &self->got);
        self->cases[2] = async_case_event(&self->event);
        self->cases[3] = async_case_semaphore(&self->semaphore);
        self->cases[4] = async_case_mutex(&self->mutex);
        self->cases[5] = async_case_join(async_spawn(ends_with, 50, 9));
        self->task = async_keep(async_spawn(selects, self->cases, 6));
        await(async_settle());
        if (self->i == 1)
            cr_assert_eq(async_channel_send_nowait(&self->mail, &self->item), 0);
        if (self->i == 2)
            async_event_set(&self->event);
        if (self->i == 3)
            async_semaphore_release(&self->semaphore);
        if (self->i == 4)
            cr_assert_eq(async_mutex_unlock(&self->mutex), 0);
        if (self->i < 5)
            cr_assert_leq(async_wakes(self->task), 2);
        await(self->n, async_join(self->task));
        cr_assert_eq(self->n, self->i);
        cr_assert_eq(self->cases[self->i].result, self->i == 5 ? 9 : self->i == 1);
        cr_assert_eq(async_channel_receive_nowait(&self->room, &self->got), 1);
        cr_assert_eq(async_channel_receive_nowait(&self->room, &self->got), -EAGAIN);
        cr_assert_eq(async_semaphore_acquire_nowait(&self->semaphore), -EAGAIN);
        if (self->i != 4)
            cr_assert_eq(async_mutex_unlock(&self->mutex), 0);
        memset(&self->mutex, 0, sizeof self->mutex);
        async_event_clear(&self->event);
    }
    async_end;
}

/* A case that fails is done too: the one that waits is told. */
AsyncTest(select, is_told_of_a_channel_that_closes, async_channel channel; async_event event;
          async_case cases[2]; int item; async_task task; async_result n;)
{
    async_begin;
    async_channel_init(&self->channel, NULL, sizeof(int), 0);
    self->cases[0] = async_case_event(&self->event);
    self->cases[1] = async_case_send(&self->channel, &self->item);
    self->task = async_keep(async_spawn(selects, self->cases, 2));
    await(async_settle());
    async_channel_close(&self->channel);
    await(self->n, async_join(self->task));
    cr_assert_eq(self->n, 1);
    cr_assert_eq(self->cases[1].result, -EPIPE);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - What they cost, and what is seen of them
 * ------------------------------------------------------------------------- */
AsyncTest(between, waiting_allocates_nothing, async_channel channel; async_event event;
          async_case cases[2]; int item; long before; async_result n;)
{
    async_begin;
    async_channel_init(&self->channel, NULL, sizeof(int), 0);
    await(self->n, async_event_wait(&self->event), 1); /* the heap of timers is there */
    self->before = sim_allocations();
    await(self->n, async_event_wait(&self->event), 1);
    await(self->n, async_channel_receive(&self->channel, &self->item), 1);
    self->cases[0] = async_case_event(&self->event);
    self->cases[1] = async_case_receive(&self->channel, &self->item);
    await(self->n, async_select(self->cases, 2), 1);
    cr_assert_eq(self->n, -ETIMEDOUT);
    cr_assert_eq(sim_allocations(), self->before);
    async_end;
}

/* ----------------------------------------------------------------------------
 * MARK: - What is handed over is had
 * ------------------------------------------------------------------------- */
async(locks_plainly, async_mutex *mutex; async_semaphore *semaphore; int *steps; async_result n;)
{
    async_begin;
    await(async_mutex_lock(self->mutex));
    ++*self->steps;
    async_mutex_unlock(self->mutex);
    await(async_semaphore_acquire(self->semaphore));
    ++*self->steps;
    async_semaphore_release(self->semaphore);
    async_end;
}

/* Cancelled in the very turn in which it was served: it has the mutex, and the cancel comes with
 * the next await, where no result is looked at either. */
AsyncTest(between, who_is_served_and_cancelled_at_once_has_it, async_mutex mutex;
          async_semaphore semaphore; async_task task; int steps; async_result n;)
{
    async_begin;
    async_semaphore_init(&self->semaphore, 1);
    cr_assert_eq(async_mutex_lock_nowait(&self->mutex), 0);
    self->task = async_keep(async_spawn(locks_plainly, &self->mutex, &self->semaphore,
                                        &self->steps));
    await(async_settle());
    cr_assert_eq(async_mutex_unlock(&self->mutex), 0);
    cr_assert_eq(async_cancel(self->task), 0);
    await(self->n, async_join(self->task));
    cr_assert_eq(self->n, -ECANCELED);
    cr_assert_eq(self->steps, 1);
    cr_assert_eq(async_mutex_lock_nowait(&self->mutex), 0);
    cr_assert_eq(async_semaphore_acquire_nowait(&self->semaphore), 0);
    async_end;
}

/* A case is used as often as one likes. */
AsyncTest(select, takes_its_cases_again, async_mutex mutex; async_case it; async_result n;)
{
    async_begin;
    self->it = async_case_mutex(&self->mutex);
    cr_assert_eq(async_mutex_lock_nowait(&self->mutex), 0);
    await(self->n, async_select(&self->it, 1));
    cr_assert_eq(self->it.result, -EDEADLK);
    cr_assert_eq(async_mutex_unlock(&self->mutex), 0);
    await(self->n, async_select(&self->it, 1));
    cr_assert_eq(self->it.result, 0);
    cr_assert_eq(async_mutex_unlock(&self->mutex), 0);
    async_end;
}
