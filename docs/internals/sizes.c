/* The table of docs/internals.md: what the loop keeps of each thing, in bytes. */
#include "async.h"

async(bare)
{
    async_begin;
    async_end;
}

int main(void)
{
    printf("| what | bytes |\n|---|---|\n");
    printf("| a task, without its frame | %zu |\n", sizeof(async__task));
    printf("| a frame without fields | %zu |\n", sizeof(struct bare));
    printf("| its place in the table of handles | %zu |\n", sizeof(async__slot));
    printf("| a timer in the heap | %zu |\n", sizeof(async__timer));
    printf("| a descriptor's entry | %zu |\n", sizeof(async__descriptor));
    printf("| a callback | %zu |\n", sizeof(async__callback));
    printf("| a stream, without what it holds | %zu |\n", sizeof(async_stream));
    return bare_type() == NULL;
}
