/* The figure of README.md, drawn from a run: four pages fetched from a slow server on this machine,
 * one after the other and then all at once. Prints SVG. */
#include "async.h"

enum { PAGES = 4, LEFT = 84, TOP = 30, ROW = 22, PER_MS = 2 }; /* PER_MS: ms to a pixel */

static const int delay_ms[PAGES] = { 300, 200, 400, 250 };

struct fetched {
    double begin_ms, end_ms;
};

/* ---- the server: page k takes delay_ms[k] ---- */

async(serve, int client; char page[1];)
{
    int n;
    async_begin;
    await(n, async_read(self->client, self->page, 1));
    if (n == 1 && self->page[0] >= 0 && self->page[0] < PAGES) {
        await(async_sleep(delay_ms[(int)self->page[0]]));
        await(async_write(self->client, self->page, 1));
    }
    async_finally;
    async_close(self->client);
    async_end;
}

async(server, int listener;)
{
    int client;
    async_begin;
    for (;;) {
        await(client, async_accept(self->listener));
        if (client < 0 || async_spawn(serve, .client = client) < 0)
            async_return(client);
    }
    async_end;
}

/* ---- the client ---- */

static int64_t start_ns;

static double elapsed_ms(void)
{
    return (double)(async_now() - start_ns) / 1e6;
}

async(fetch, int port; char page[1]; struct fetched *fetched; int fd;)
{
    int n;
    async_begin;
    self->fetched->begin_ms = elapsed_ms();
    await(self->fd, async_connect("127.0.0.1", self->port));
    await(n, async_write(self->fd, self->page, 1));
    await(n, async_read(self->fd, self->page, 1));
    self->fetched->end_ms = elapsed_ms();
    async_close(self->fd);
    async_return(n == 1 ? 0 : -EIO);
    async_end;
}

async(sequential, int port, page; struct fetched *fetched;)
{
    async_begin;
    start_ns = async_now();
    for (self->page = 0; self->page < PAGES; self->page++)
        await(async_call(fetch, self->port, { (char)self->page }, self->fetched + self->page));
    async_end;
}

async(concurrent, int port; struct fetched *fetched; async_task tasks[PAGES];)
{
    int i, error;
    async_begin;
    start_ns = async_now();
    for (i = 0; i < PAGES; i++)
        self->tasks[i] = async_spawn(fetch, self->port, { (char)i }, self->fetched + i);
    await(error, async_join_all(self->tasks, PAGES));
    async_return(error);
    async_end;
}

/* ---- the drawing ---- */

static double end_of(const struct fetched *fetched)
{
    double end = 0;
    for (int i = 0; i < PAGES; i++)
        end = fetched[i].end_ms > end ? fetched[i].end_ms : end;
    return end;
}

static void draw_panel(const char *title, const char *color, int y, const struct fetched *fetched)
{
    printf("<text x=\"16\" y=\"%d\" font-weight=\"600\">%s: %.2f s</text>\n", y + 2, title,
           end_of(fetched) / 1000);
    for (int i = 0; i < PAGES; i++) {
        double x = LEFT + fetched[i].begin_ms / PER_MS;
        double width = (fetched[i].end_ms - fetched[i].begin_ms) / PER_MS;
        int top = y + 12 + i * ROW;
        printf("<text x=\"16\" y=\"%d\" fill=\"#57606a\">page %d</text>\n", top + 13, i + 1);
        printf("<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"3\" fill=\"%s\"/>\n", x,
               top, width, ROW - 5, color);
    }
}

static void draw(const struct fetched *one, const struct fetched *all)
{
    double end = end_of(one);
    int second = TOP + PAGES * ROW + 44, bottom = second + 12 + PAGES * ROW;
    int width = LEFT + (int)end / PER_MS + 40, ms;
    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
           "font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#1f2328\">\n"
           "<title>Four pages from a slow server: one after the other, and with async.h</title>\n"
           "<rect width=\"100%%\" height=\"100%%\" rx=\"6\" fill=\"#ffffff\"/>\n",
           width, bottom + 30, width);
    for (ms = 0; ms <= end + 1; ms += 200)
        printf("<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#d0d7de\"/>\n"
               "<text x=\"%d\" y=\"%d\" fill=\"#57606a\" text-anchor=\"middle\">%.1f s</text>\n",
               LEFT + ms / PER_MS, TOP + 10, LEFT + ms / PER_MS, bottom, LEFT + ms / PER_MS,
               bottom + 18, ms / 1000.0);
    draw_panel("One after the other", "#8c959f", TOP, one);
    draw_panel("With async.h, still one thread", "#0969da", second, all);
    printf("</svg>\n");
}

async(figure, int port; struct fetched one[PAGES], all[PAGES];)
{
    int error;
    async_begin;
    error = async_listen("127.0.0.1", 0);
    self->port = async_port(error);
    async_spawn(server, .listener = error);
    await(error, async_call(sequential, self->port, .fetched = self->one));
    if (error < 0)
        async_return(error);
    await(error, async_call(concurrent, self->port, self->all));
    if (error < 0)
        async_return(error);
    draw(self->one, self->all);
    async_end;
}

int main(void)
{
    int error = (int)async_run(figure);
    if (error < 0)
        fprintf(stderr, "figure: %s\n", strerror(-error));
    return error < 0;
}
