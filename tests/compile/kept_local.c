/* A plain local that is kept across an await shows at once: the loop overwrites the stack before
 * each step, without optimisation, and with AddressSanitizer, too. */
#include "async.h"

async(keeps, int *out;)
{
    int kept;
    async_begin;
    kept = 42;
    await(async_yield());
    *self->out = kept;
    async_end;
}

int main(void)
{
    int out = 0;
    async_run(keeps, .out = &out);
    if ((unsigned)out == 0xdbdbdbdb)
        return 0;
    printf("the local that was kept is %#x, not 0xdbdbdbdb\n", (unsigned)out);
    return 1;
}
