/* timeline: events of a run, as record.h writes them, drawn as SVG: a row for each lane, a slice for each event.
 *
 *     timeline [--title TEXT] [--about TEXT] [--from MS] [--until MS] [--zoom FROM:UNTIL] < x.tsv > x.svg
 *
 * Time 0 is the first event's. --until gives figures that are compared the same axis; --zoom adds a second panel. What
 * a slice is shows in its height and place, not in its colour alone; a pointer on it shows its name and its times.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 20000, LANES = 100, WIDTH = 560, LEFT = 84, RIGHT = 520, ROW = 26 };

static const struct shape {
    const char *name, *said;
    int top, height;
    const char *light, *dark;
} shapes[] = { /* waiting is an empty box, work is filled */
    { "wait", "waits", 7, 12, "#f6f8fa;stroke:#6e7781", "#21262d;stroke:#8b949e" },
    { "start", "starts", 1, 24, "#57606a", "#b1bac4" },
    { "connect", "connects", 9, 8, "#8250df", "#bc8cff" },
    { "send", "sends", 1, 12, "#bc4c00", "#ffa657" },
    { "receive", "receives", 13, 12, "#1a7f37", "#3fb950" },
    { "accept", "accepts", 1, 24, "#57606a", "#b1bac4" },
    { "close", "closes", 5, 16, "#0969da", "#58a6ff" },
    { "cpu", "computes", 1, 24, "#0969da", "#58a6ff" },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

struct slice {
    char lane[32], kind[48];
    int row, shape;
    double start, end; /* ms */
};

static struct slice slices[MOST];
static char lanes[LANES][32];
static int slice_count, lane_count, used[SHAPES];
static double last;

static void escaped(const char *text)
{
    for (; *text; text++)
        if (*text == '<' || *text == '&')
            printf("&#%d;", *text);
        else
            putchar(*text);
}

static int shape_of(const char *kind)
{
    int i, size = (int)strcspn(kind, ":");
    for (i = 0; i < SHAPES; i++)
        if ((int)strlen(shapes[i].name) == size && strncmp(kind, shapes[i].name, (size_t)size) == 0)
            return i;
    return SHAPES - 1;
}

static int row_of(const char *lane)
{
    int i;
    for (i = 0; i < lane_count && strcmp(lanes[i], lane) != 0; i++)
        ;
    if (i == LANES)
        fprintf(stderr, "timeline: more than %d lanes\n", LANES), exit(1);
    if (i == lane_count)
        strcpy(lanes[lane_count++], lane);
    return i;
}

static void read_slices(void)
{
    double first = INFINITY, start_ns, end_ns;
    struct slice *s = slices;
    static const char format[] = "%31[^\t]\t%47[^\t]\t%lf\t%lf\n";
    for (; s < slices + MOST && scanf(format, s->lane, s->kind, &start_ns, &end_ns) == 4; s++) {
        s->start = start_ns / 1e6;
        s->end = end_ns / 1e6;
        first = fmin(first, s->start);
        s->row = row_of(s->lane);
        used[s->shape = shape_of(s->kind)] = 1;
    }
    slice_count = (int)(s - slices);
    for (s = slices; s < slices + slice_count; s++) {
        s->start -= first;
        s->end -= first;
        last = fmax(last, s->end);
    }
}

/* ---- a panel: from `from` to `until`, its top at `y` ---- */

struct panel {
    double from, until;
    int y;
};

static double x_of(const struct panel *panel, double ms)
{
    double inside = fmin(fmax(ms, panel->from), panel->until);
    return LEFT + (RIGHT - LEFT) * (inside - panel->from) / (panel->until - panel->from);
}

/* A time in the unit that suits it. */
static void print_time(double ms)
{
    if (fabs(ms) >= 0.9995)
        printf(ms < 10 ? "%.2f ms" : "%.1f ms", ms);
    else
        printf(fabs(ms) < 0.01 ? "%.1f &#181;s" : "%.0f &#181;s", ms * 1e3);
}

static void draw_slice(const struct panel *panel, const struct slice *s)
{
    const struct shape *shape = &shapes[s->shape];
    double x = x_of(panel, s->start), width = x_of(panel, s->end) - x;
    int y = panel->y + s->row * ROW;
    if (s->end <= panel->from || s->start >= panel->until)
        return;
    printf("<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"><title>", shape->name, x,
           y + shape->top, fmax(width, 1.5), shape->height);
    escaped(s->lane);
    printf(": ");
    escaped(s->kind);
    printf(", ");
    print_time(s->end - s->start);
    printf(", from %.3f ms</title></rect>\n", s->start);
    if (s->shape != 0 || width < 60)
        return;
    printf("<text class=\"in\" x=\"%.1f\" y=\"%d\">", x + width / 2, y + 17);
    print_time(s->end - s->start);
    printf("</text>\n");
}

/* Ticks at 1, 2 or 5 times a power of ten, six at most; in us from the panel's own beginning. */
static void draw_axis(const struct panel *panel)
{
    double wide = panel->until - panel->from, step = pow(10, floor(log10(wide / 6))), at;
    int bottom = panel->y + lane_count * ROW, micro = wide < 0.9;
    double zero = micro ? panel->from : 0, end = panel->until + step / 1e3;
    step *= wide / step <= 6 ? 1 : wide / step <= 12 ? 2 : wide / step <= 30 ? 5 : 10;
    for (at = zero + ceil((panel->from - zero) / step) * step; at <= end; at += step)
        printf("<path class=\"grid\" d=\"M%.1f %dV%d\"/><text class=\"tick\" x=\"%.1f\" y=\"%d\">%g%s</text>\n",
               x_of(panel, at), panel->y, bottom + 4, x_of(panel, at), bottom + 18,
               round((at - zero) * (micro ? 1e3 : 1) * 1e3) / 1e3, at + step <= end ? "" : micro ? " &#181;s" : " ms");
}

static void draw_panel(const struct panel *panel)
{
    int i, waits;
    draw_axis(panel);
    for (i = 0; i < lane_count; i++)
        printf("<text x=\"12\" y=\"%d\">%s</text>\n", panel->y + i * ROW + 17, lanes[i]);
    for (waits = 1; waits >= 0; waits--) /* work over waiting */
        for (i = 0; i < slice_count; i++)
            if ((slices[i].shape == 0) == waits)
                draw_slice(panel, &slices[i]);
}

/* ---- the page ---- */

static void draw_legend(int y)
{
    int i, x = 12;
    for (i = 0; i < SHAPES; i++) {
        if (!used[i])
            continue;
        printf("<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"18\" height=\"%d\"/><text x=\"%d\" y=\"%d\">%s</text>\n",
               shapes[i].name, x, y + shapes[i].top, shapes[i].height, x + 24, y + 17, shapes[i].said);
        x += 36 + 8 * (int)strlen(shapes[i].said);
    }
}

/* What is seen, for who does not see it. */
static void describe(const char *about)
{
    int row, i;
    printf("<desc>");
    for (row = 0; row < lane_count; row++) {
        double busy = 0, waiting = 0, end = 0;
        for (i = 0; i < slice_count; i++)
            if (slices[i].row == row) {
                *(slices[i].shape ? &busy : &waiting) += slices[i].end - slices[i].start;
                end = fmax(end, slices[i].end);
            }
        printf("%s: works %.2f ms, waits %.2f ms, ends at %.2f ms. ", lanes[row], busy, waiting, end);
    }
    escaped(about);
    printf("</desc>\n");
}

static void style(void)
{
    int i, dark;
    printf("<style>text{font:13px system-ui,sans-serif;fill:#1f2328}.bg{fill:#fff}.grid{stroke:#d0d7de}"
           ".tick,.in{text-anchor:middle;font-size:12px}.title{font-weight:600}");
    for (dark = 0; dark < 2; dark++) {
        if (dark)
            printf("\n@media(prefers-color-scheme:dark){text{fill:#e6edf3}.bg{fill:#0d1117}.grid{stroke:#30363d}");
        for (i = 0; i < SHAPES; i++)
            if (used[i])
                printf(".%s{fill:%s}", shapes[i].name, dark ? shapes[i].dark : shapes[i].light);
    }
    printf("}</style>\n");
}

static void draw(const char *title, const char *about, struct panel panels[2])
{
    int i, count = panels[1].until > 0 ? 2 : 1, tall = lane_count * ROW + 26;
    int height = 32 + tall + (count - 1) * (tall + 34) + 32;
    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" role=\"img\">\n<title>", WIDTH,
           height, WIDTH);
    escaped(title);
    printf("</title>\n");
    describe(about);
    style();
    printf("<rect class=\"bg\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n<text class=\"title\" x=\"12\" y=\"21\">", WIDTH,
           height);
    escaped(title);
    printf("</text>\n");
    for (i = 0; i < count; i++) {
        panels[i].y = 32 + i * (tall + 34);
        if (i)
            printf("<text class=\"title\" x=\"12\" y=\"%d\">Enlarged: from %g to %g ms</text>\n", panels[i].y - 11,
                   panels[i].from, panels[i].until);
        draw_panel(&panels[i]);
    }
    draw_legend(height - 30);
    printf("</svg>\n");
}

int main(int argc, char **argv)
{
    struct panel panels[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
    const char *title = "", *about = "";
    int i;
    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--title") == 0)
            title = argv[i + 1];
        else if (strcmp(argv[i], "--about") == 0)
            about = argv[i + 1];
        else if (strcmp(argv[i], "--from") == 0)
            panels[0].from = atof(argv[i + 1]);
        else if (strcmp(argv[i], "--until") == 0)
            panels[0].until = atof(argv[i + 1]);
        else if (strcmp(argv[i], "--zoom") != 0 ||
                 sscanf(argv[i + 1], "%lf:%lf", &panels[1].from, &panels[1].until) != 2)
            break;
    }
    read_slices();
    if (i < argc || !slice_count)
        return fprintf(stderr, "timeline: %s\n", i < argc ? "see its head for its options" : "no events"), 2;
    if (panels[0].until <= panels[0].from)
        panels[0].until = last;
    draw(title, about, panels);
    return 0;
}
