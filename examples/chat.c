/* chat: who connects says a name, then lines; all others get them. A member
 * has a box of messages, filled without waiting and emptied by a task of its
 * own: nobody waits for a slow one, and one whose box is full is dropped.
 *
 *     cc -O2 -I. examples/chat.c -o chat && ./chat 7000
 *     nc 127.0.0.1 7000            in two terminals; also say /who and /quit
 */
#include "async.h"
#include <ctype.h>
#include <stdarg.h>
enum { NAME = 16, LINE = 200, TEXT = 240, BOX = 100, MOST = 50 };
enum { NAME_MS = 60000, LAST_MS = 1000 };
typedef struct member {
    struct member *next;
    async_stream *stream;
    async_task task;
    async_channel box;
    char held[BOX][TEXT], line[LINE + 1], name[NAME + 1];
} member;
static member *members;
static async_semaphore places;

/* To one; or, where that is NULL, to all members but `from`. */
static void tell(member *one, const member *from, const char *format, ...)
{
    char text[TEXT], *c;
    va_list arguments;
    member *it;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (c = text; *c; c++)
        if (iscntrl((unsigned char)*c) && c[1])
            *c = '?'; /* a terminal might obey it */
    for (it = one ? one : members; it; it = one ? NULL : it->next)
        if (it != from && async_channel_send_nowait(&it->box, text) == -EAGAIN)
            async_cancel(it->task); /* it does not read */
}

static void enter(member *me)
{
    size_t size = strspn(me->line, "-_0123456789abcdefghijklmnopqrstuvwxyz");
    member *it = members;
    while (it && strcmp(it->name, me->line) != 0)
        it = it->next;
    if (it || size == 0 || size > NAME || me->line[size]) {
        tell(me, NULL, it ? "* that name is taken; another?\n"
                          : "* 1 to %d of a-z, 0-9, - _; another?\n", NAME);
        return;
    }
    memcpy(me->name, me->line, size);
    me->next = members;
    members = me;
    tell(NULL, NULL, "* %s has joined\n", me->name);
}

static void leave(member *me)
{
    member **at = &members;
    while (*at && *at != me)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = me->next;
    tell(NULL, NULL, "* %s has left\n", me->name);
}

static void obey(member *me)
{
    member *it;
    if (!*me->name)
        enter(me);
    else if (strcmp(me->line, "/who") == 0)
        for (it = members; it; it = it->next)
            tell(me, NULL, "* %s is here\n", it->name);
    else
        tell(NULL, me, "%s: %s\n", me->name, me->line);
}

async(writing, member *me; char text[TEXT];)
{
    int n;
    async_begin;
    do {
        await(n, async_channel_receive(&self->me->box, self->text));
        if (n == 0 || async_stream_write(self->me->stream, self->text,
                                         strlen(self->text)) < 0)
            break;
        await(n, async_stream_flush(self->me->stream));
    } while (n == 0);
    async_end;
}

async(reading, member me; async_task writer;)
{
    ssize_t n;
    async_begin;
    self->me.task = async_current_task();
    async_channel_init(&self->me.box, self->me.held, TEXT, BOX);
    self->writer = async_spawn(writing, .me = &self->me);
    tell(&self->me, NULL, "* your name?\n");
    for (;;) {
        await(n, async_stream_read_line(self->me.stream, self->me.line,
                                        LINE + 1),
              *self->me.name ? -1 : NAME_MS);
        if (n <= 0)
            break;
        self->me.line[strcspn(self->me.line, "\r\n")] = 0;
        if (strcmp(self->me.line, "/quit") == 0)
            break;
        obey(&self->me);
        await(async_yield()); /* meanwhile the boxes are emptied */
    }
    if (n == -EMSGSIZE)
        tell(&self->me, NULL, "* a line has less than %d bytes\n", LINE);
    async_finally;
    leave(&self->me);
    async_channel_close(&self->me.box);
    await(n, async_join(self->writer), LAST_MS);
    async_cancel(self->writer);
    await(async_join(self->writer));
    await(async_stream_wait_closed(self->me.stream));
    async_semaphore_release(&places);
    async_end;
}

async(chat, int port, listener;)
{
    async_stream *client;
    int fd;
    async_begin;
    async_semaphore_init(&places, MOST);
    self->listener = async_listen("127.0.0.1", self->port);
    if (self->listener < 0)
        async_return(self->listener);
    printf("listening on 127.0.0.1:%d\n", async_port(self->listener));
    fflush(stdout);
    for (;;) {
        await(async_semaphore_acquire(&places));
        await(fd, async_accept(self->listener));
        if (fd < 0)
            async_return(fd);
        client = async_stream_open(fd);
        if (client && async_spawn(reading, .me.stream = client) >= 0)
            continue;
        client ? async_stream_close(client) : async_close(fd);
        async_semaphore_release(&places);
    }
    async_end;
}

int main(int argc, char **argv)
{
    int port, error;
    if (argc != 2 || sscanf(argv[1], "%d", &port) != 1) {
        fprintf(stderr, "usage: chat PORT\n");
        return 2;
    }
    error = (int)async_run(chat, .port = port);
    fprintf(stderr, "chat: port %d: %s\n", port, strerror(-error));
    return 1;
}
