/* The header twice in one file, and once more by another name for the same file. */
#include "async.h"
#include "../../async.h"
#include "async.h"

int main(void)
{
    return async_now() <= 0;
}
