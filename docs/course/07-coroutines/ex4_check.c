/* refuse: duplicate case value */
#include "ex4.c"

int main(void)
{
    return async_run(rest, .mood = FRESH) < 0;
}
