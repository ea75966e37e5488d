/* refuse: duplicate case value */
/* on 2 lines with: await( */
#include "ex4.c"

int main(void)
{
    return async_run(rest, .mood = FRESH) < 0;
}
