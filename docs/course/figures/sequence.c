/* sequence: pages 1 to COUNT, one after the other, with calls that block. With 1 it is one request.
 *
 *     cc -O2 docs/course/figures/sequence.c -o sequence && ./sequence 2
 */
#include "situation.h"

static int count = PAGES;

static int run(int port)
{
    for (int page = 1; page <= count; page++)
        if (fetch(port, page, "client", 0) < 0)
            return -1;
    return 0;
}

int main(int argc, char **argv)
{
    count = argc > 1 ? atoi(argv[1]) : PAGES;
    return situation(argc, argv, run);
}
