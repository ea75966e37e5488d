/*
 * names HOST [LIMIT_MS]: listens on all addresses, connects to itself by that name, and says where
 * it has got to, or why not.
 */
#include "async.h"

async(reach, const char *host; int64_t limit_ms; int listener;)
{
    char text[ASYNC_ADDRESS_TEXT];
    async_address peer;
    int fd;
    async_begin;
    self->listener = async_listen(NULL, 0);
    await(fd, async_connect(self->host, async_port(self->listener)), self->limit_ms);
    if (fd < 0)
        async_return(fd);
    async_peer_address(fd, &peer);
    async_address_print(&peer, text, sizeof text);
    *strrchr(text, ':') = '\0';
    puts(text);
    async_end;
}

int main(int argc, char **argv)
{
    async_result result = async_run(reach, .host = argc > 1 ? argv[1] : "",
                                    .limit_ms = argc > 2 ? atoi(argv[2]) : -1);
    if (result < 0)
        puts(strerror((int)-result));
    return result < 0;
}
