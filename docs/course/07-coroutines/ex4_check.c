/* refuse: duplicate case value */
/* on a line with: await( */
#include "ex4.c"

int main(void)
{
    return async_run(rest, .mood = FRESH) < 0;
}
