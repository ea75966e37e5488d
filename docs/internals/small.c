async(pong, int client; char data[64];)
{
    ssize_t n;
    async_begin;
    await(n, async_read(self->client, self->data, 64));
    if (n > 0)
        await(async_write(self->client, self->data, (size_t)n));
    async_finally;
    async_close(self->client);
    async_end;
}
