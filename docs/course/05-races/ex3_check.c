/* tsan: the threads also run freely, and ThreadSanitizer looks for races. */
#include "check.h"

static void say_who_waits(void);
#define turns_stuck say_who_waits
#include "turns.h"

#include "ex3.c"

/* Nobody can go on: who has which lock, and who waits for it? */
static void say_who_waits(void)
{
    char text[200] = "";
    int i, j;
    for (i = 0; i < 2; i++)
        for (j = 1; j < turns.count; j++)
            if (turns.threads[j].state == TURNS_LOCKS_IT &&
                turns.threads[j].lock == &accounts[i].lock)
                sprintf(text + strlen(text),
                        "%saccount %d: thread %d has it, thread %d waits",
                        *text ? "; " : "", i + 1,
                        *turns_owner(&accounts[i].lock), j);
    expect(0, "For ever: %s.",
           *text ? text : "a thread waits for a lock that is not given back");
}

static void open_accounts(void)
{
    accounts[0].balance = accounts[1].balance = 100;
}

Check(ex_5_3, moves_the_money, "The money arrives when nobody comes between.")
{
    open_accounts();
    turns_begin(0);
    there_and_back();
    turns_end();
    expect(accounts[0].balance == 120 && accounts[1].balance == 80,
           "Account 1 should have 120, account 2 80; they have %ld and %ld.",
           accounts[0].balance, accounts[1].balance);
}

Check(ex_5_3, no_deadlock,
      "In every order of the threads, both transfers come to their end.")
{
    uint32_t seed;
    for (seed = 1; seed <= 20; seed++) {
        open_accounts();
        turns_begin(seed);
        there_and_back();
        turns_end();
    }
}

/* Look at all the money, with both locks: but never wait for the second. */
static void *audit(void *data)
{
    long *wrong = data;
    pthread_mutex_lock(&accounts[0].lock);
    if (pthread_mutex_trylock(&accounts[1].lock) == 0) {
        if (accounts[0].balance + accounts[1].balance != 200)
            *wrong = accounts[0].balance + accounts[1].balance;
        pthread_mutex_unlock(&accounts[1].lock);
    }
    pthread_mutex_unlock(&accounts[0].lock);
    return NULL;
}

static void audit_there_and_back(void)
{
    pthread_t auditor;
    long wrong = 200;
    open_accounts();
    pthread_create(&auditor, NULL, audit, &wrong);
    there_and_back();
    pthread_join(auditor, NULL);
    expect(wrong == 200, "Both accounts have 200 together; between two steps "
                         "of a transfer somebody saw %ld.", wrong);
    expect(accounts[0].balance == 120 && accounts[1].balance == 80,
           "Account 1 should have 120, account 2 80; they have %ld and %ld.",
           accounts[0].balance, accounts[1].balance);
}

Check(ex_5_3, no_money_is_missing,
      "Who holds both locks always sees all of the money.")
{
    uint32_t seed;
    for (seed = 1; seed <= 30; seed++) {
        turns_begin(seed);
        audit_there_and_back();
        turns_end();
    }
}

Check(ex_5_3, no_race, "No balance is touched without the account's lock.")
{
    int i;
    for (i = 0; i < 20; i++)
        audit_there_and_back();
}
