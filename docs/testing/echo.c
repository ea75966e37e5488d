#include "async.h"

static void on_message(int fd, void *data)
{
    char message[4096];
    ssize_t n = async_read_nowait(fd, message, sizeof message);
    (void)data;
    if (n > 0)
        async_write_nowait(fd, message, (size_t)n);
    else if (n != -EAGAIN)
        async_close(fd);
}

/* Send back all that comes from this client. */
static int echo(int client)
{
    async_handle handle = async_on_readable(client, NULL, on_message);
    return handle < 0 ? (int)handle : 0;
}
