/* 6.3  A login before the echo. A client first sends its name: answer
 * "password?". If its next line is "secret", answer "welcome NAME", and echo
 * from then on; if not, answer "no" and hang up. */
#include "async.h"

/* What is known of one client, from one callback to the next. */
struct session {
    async_stream *client; /* NULL: we have hung up */
    char line[32];
    size_t size;
    int step;      /* for you; 0 at first */
    char name[32]; /* for you             */
};

/* Send a line, now or as soon as the client takes it. */
static void answer(struct session *session, const char *text)
{
    async_stream_write(session->client, text, strlen(text));
    async_stream_write(session->client, "\n", 1);
}

/* Close: what was written and is still in the queue is sent before. */
static void hang_up(struct session *session)
{
    async_stream_close(session->client);
    session->client = NULL;
}

/* A line has come, without its '\n'. */
static void on_line(struct session *session, const char *line)
{
    /* TODO: name, password, echo: what a line means depends on the step. */
    answer(session, line);
    /* END */
}

/* Bytes come in any pieces: collect them until a line is whole. */
static void on_data(async_stream *client, const char *data, ssize_t size)
{
    struct session *session = client->data;
    ssize_t i;
    if (size <= 0)
        hang_up(session);
    for (i = 0; i < size && session->client; i++)
        if (data[i] == '\n') {
            session->line[session->size] = '\0';
            session->size = 0;
            on_line(session, session->line);
        } else if (session->size < sizeof session->line - 1) {
            session->line[session->size++] = data[i];
        }
}

static void on_close(async_stream *client, int status)
{
    (void)status;
    free(client->data);
}

static int serve(int fd)
{
    struct session *session = calloc(1, sizeof *session);
    async_stream *client = session ? async_stream_open(fd) : NULL;
    if (!client) {
        free(session);
        return -ENOMEM;
    }
    client->data = session;
    session->client = client;
    async_stream_on_close(client, on_close);
    return async_stream_on_data(client, on_data);
}
