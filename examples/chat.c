/* chat: who connects says a name, then lines; all others get them. A member
 * has a box of messages, filled without waiting and emptied by a task of its
 * own: nobody waits for a slow one, and one whose box is full is dropped, as is
 * who gives no name in 20 s, or ten that cannot be had.
 *
 *     cc -O2 -I. examples/chat.c -o chat && ./chat 7000
 *     nc 127.0.0.1 7000                          in two terminals; /quit ends
 */
#include "async.h"
#include "number.h"
#include <ctype.h>
#include <stdarg.h>
enum { NAME = 16, LINE = 200, TEXT = 240, BOX = 100 };
enum { NAME_MS = 20000, LAST_MS = 1000 };

async_declare(member, int fd, tries; async_task task, writer;
              async_stream *stream;
              char name[NAME + 1], line[LINE + 1], held[BOX][TEXT];
              async_channel box; struct member *next;); /* a struct member */

static struct member *members; /* those that have a name */

/* To one; or, where that is NULL, to all members but `from`. */
static void tell(struct member *one, const struct member *from,
                 const char *format, ...)
{
    char text[TEXT], *c;
    va_list arguments;
    struct member *it;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (c = text; *c; c++)
        if (iscntrl((unsigned char)*c) && c[1])
            *c = '?'; /* a terminal might obey it */
        else if ((*c & 255) == 0xc2 && (c[1] & 0xe0) == 0x80)
            c[0] = c[1] = '?'; /* the same in UTF-8, U+0080 to U+009F */
    for (it = one ? one : members; it; it = one ? NULL : it->next)
        if (it != from && async_channel_send_nowait(&it->box, text) == -EAGAIN)
            async_cancel(it->task); /* it does not read */
}

static void enter(struct member *me)
{
    size_t size = strspn(me->line, "-_0123456789abcdefghijklmnopqrstuvwxyz");
    const struct member *it = members;
    while (it && strcmp(it->name, me->line) != 0)
        it = it->next;
    if (it || size == 0 || size > NAME || me->line[size]) {
        tell(me, NULL, it ? "* that name is taken; another?\n"
                          : "* 1 to %d of a-z, 0-9, - _; another?\n", NAME);
        return;
    }
    strcpy(me->name, me->line);
    me->next = members;
    members = me;
    tell(NULL, NULL, "* %s has joined\n", me->name);
}

static void leave(struct member *me)
{
    struct member **at = &members;
    while (*at != me)
        at = &(*at)->next;
    *at = me->next;
    tell(NULL, NULL, "* %s has left\n", me->name);
}

async(writing, struct member *me; char text[TEXT];)
{
    int n;
    async_begin;
    for (;;) {
        await(n, async_channel_receive(&self->me->box, self->text));
        if (n <= 0 || async_stream_write(self->me->stream, self->text,
                                         strlen(self->text)) < 0)
            break;
        await(async_stream_flush(self->me->stream));
    }
    async_end;
}

async_define(member)
{
    ssize_t n;
    async_begin;
    self->stream = async_stream_open(self->fd);
    self->task = async_current_task();
    async_channel_init(&self->box, self->held, TEXT, BOX);
    self->writer = async_spawn(writing, .me = self);
    tell(self, NULL, "* your name?\n");
    for (;;) {
        await(n, async_stream_read_line(self->stream, self->line, LINE + 1),
              *self->name ? -1 : NAME_MS);
        self->line[strcspn(self->line, "\r\n")] = '\0';
        if (n <= 0 || strcmp(self->line, "/quit") == 0 ||
            (!*self->name && self->tries++ == 10))
            break;
        if (!*self->name)
            enter(self);
        else
            tell(NULL, self, "%s: %s\n", self->name, self->line);
        await(async_yield()); /* meanwhile the boxes are emptied */
    }
    if (n == -EMSGSIZE)
        tell(self, NULL, "* a line has less than %d bytes\n", LINE);
    async_finally;
    if (*self->name)
        leave(self);
    async_channel_close(&self->box);
    await(n, async_join(self->writer), LAST_MS); /* time for the last lines */
    async_cancel(self->writer); /* it may be stuck, and uses the stream */
    await(async_join(self->writer));
    if (async_stream_close(self->stream) < 0)
        async_close(self->fd);
    async_end;
}

static void on_stop(int n, void *p) { (void)n, (void)p, async_loop_stop(); }

async(chat, int port, listener;)
{
    int fd;
    async_begin;
    self->listener = async_listen("127.0.0.1", self->port);
    if (self->listener < 0)
        async_return(self->listener);
    async_on_signal(SIGTERM, NULL, on_stop);
    async_on_signal(SIGINT, NULL, on_stop);
    printf("listening on 127.0.0.1:%d\n", async_port(self->listener));
    fflush(stdout);
    for (;;) {
        await(fd, async_accept(self->listener));
        if (fd < 0)
            async_return(fd);
        if (async_spawn(member, .fd = fd) < 0)
            async_close(fd);
    }
    async_end;
}

int main(int argc, char **argv)
{
    int error, port = 7000;
    if (argc > 2 || (argc > 1 && read_number(&port, "PORT", argv[1], 0, 65535)))
        return fprintf(stderr, "usage: chat [PORT]\n"), 2;
    error = (int)async_run(chat, port);
    if (error != -ECANCELED) /* that was on_stop */
        fprintf(stderr, "chat: %s\n", strerror(-error));
    return error != -ECANCELED;
}
