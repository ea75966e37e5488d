#include "check.h"

#include "ex2.c"

/* nap and ask wait 40 times, the others never; the rest is for the system,
 * which may make a program wait now and then. */
enum { MANY = 10 };

static const char *const words[] = { "nothing yet", "CPU", "IO" };
static const char *const names[] = { "add", "nap", "talk_to_itself", "ask",
                                     "look_again" };

Check(ex_1_2, all_are_guessed, "There is a guess, CPU or IO, for each program.")
{
    int i;
    expect(sizeof programs / sizeof *programs == 5,
           "There are five programs; your list has %d.",
           (int)(sizeof programs / sizeof *programs));
    for (i = 0; i < 5; i++) {
        expect(strcmp(programs[i].name, names[i]) == 0,
               "Line %d of the list is for %s.", i + 1, names[i]);
        expect(programs[i].guess != UNKNOWN,
               "%s: write CPU or IO instead of UNKNOWN.", programs[i].name);
    }
}

Check(ex_1_2, guesses_are_right,
      "Each guess is what the system has seen when the program ran.")
{
    int i;
    for (i = 0; i < 5; i++) {
        long waits = waits_of(&programs[i]);
        enum kind kind = waits >= MANY ? IO : CPU;
        expect(programs[i].guess == kind,
               "%s: you wrote %s. It ran, and waited %ld times: it is %s.",
               programs[i].name, words[programs[i].guess], waits, words[kind]);
    }
}
