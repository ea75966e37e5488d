/* number.h - a number from the command line: all of the text, in its range. */
#ifndef NUMBER_H
#define NUMBER_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_MAX = 1000000000 }; /* less than a long holds, anywhere */

/* Read a number from `least` to `most`, which is NUMBER_MAX or less. Returns 0,
 * or -EINVAL: the text is none, as a line on stderr says. */
static inline int read_number(int *number, const char *option, const char *text,
                              int least, int most)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < least || value > most) {
        fprintf(stderr, "%s %s: not a number from %d to %d\n", option, text,
                least, most);
        return -EINVAL;
    }
    *number = (int)value;
    return 0;
}
#endif
