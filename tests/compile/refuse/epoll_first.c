/* tcc does not see that glibc's struct epoll_event is packed, unless async.h says so first. */
/* tcc: refuse: include it before <sys/epoll.h> */
#ifndef CONTROL
#include <sys/epoll.h>
#endif
#include "async.h"

int main(void)
{
    return 0;
}
