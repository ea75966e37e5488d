/* chart: what race and scale print, drawn as SVG.
 *
 *     race | chart losses > losses.svg          a bar for each run of two threads
 *     scale | chart scale > scale.svg           memory and time of a unit, both axes logarithmic
 *     chart crawl < crawl.tsv > crawl.svg       a bar for each crawler and each number of pages at a time
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 560, LEFT = 84, RIGHT = 520, MOST = 100, MODELS = 3 };

static void begin(int height, const char *title, const char *about)
{
    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" role=\"img\">\n"
           "<title>%s</title>\n<desc>%s</desc>\n", WIDTH, height, WIDTH, title, about);
    printf("<style>text{font:13px system-ui,sans-serif;fill:#1f2328}.bg{fill:#fff}.grid{stroke:#d0d7de}"
           ".mid{text-anchor:middle;font-size:12px}.end{text-anchor:end;font-size:12px}.title{font-weight:600}"
           ".a{fill:#0969da;stroke:#0969da}.b{fill:#bc4c00;stroke:#bc4c00}.c{fill:#1a7f37;stroke:#1a7f37}"
           ".line{fill:none;stroke-width:2}.lost{fill:#fff;stroke:#bc4c00;stroke-width:2;stroke-dasharray:5 3}\n"
           "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.bg{fill:#0d1117}.grid{stroke:#30363d}"
           ".a{fill:#58a6ff;stroke:#58a6ff}.b{fill:#ffa657;stroke:#ffa657}.c{fill:#3fb950;stroke:#3fb950}"
           ".line{fill:none}.lost{fill:#0d1117;stroke:#ffa657}}</style>\n"
           "<rect class=\"bg\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n"
           "<text class=\"title\" x=\"12\" y=\"21\">%s</text>\n", WIDTH, height, title);
}

/* ---- losses: a bar for each run, full if it is right, an empty dashed box if something was lost ---- */

enum { BARS = 60, BARS_TOP = 64, BARS_ROW = 120, RIGHT_NUMBER = 2000000 };

static const char *const race_names[MODELS] = { "threads", "lock", "coroutines" };

struct race {
    long results[MOST];
    int runs, right;
};

static struct race races[MODELS];

static void read_races(void)
{
    char who[32];
    int run, i;
    long result;
    while (scanf("%31s %d %ld", who, &run, &result) == 3)
        for (i = 0; i < MODELS; i++)
            if (strcmp(who, race_names[i]) == 0 && races[i].runs < MOST) {
                races[i].results[races[i].runs++] = result;
                races[i].right += result == RIGHT_NUMBER;
            }
}

static void draw_bar(int i, const struct race *race, int bottom)
{
    double wide = (double)(RIGHT - LEFT) / race->runs, x = LEFT + i * wide;
    double high = BARS * (double)race->results[i] / RIGHT_NUMBER;
    printf("<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>run %d: %ld</title>"
           "</rect>\n", race->results[i] == RIGHT_NUMBER ? "a" : "lost", x + 4, bottom - high, wide - 8, high, i + 1,
           race->results[i]);
    printf("<text class=\"mid\" x=\"%.1f\" y=\"%d\">%d</text>\n", x + wide / 2, bottom + 17, i + 1);
}

static void draw_race(const char *title, const struct race *race, int top)
{
    int i, bottom = top + BARS;
    printf("<text x=\"12\" y=\"%d\">%s: %d of %d right</text>\n", top - 12, title, race->right, race->runs);
    for (i = 0; i <= 2; i++)
        printf("<path class=\"grid\" d=\"M%d %dH%d\"/><text class=\"end\" x=\"%d\" y=\"%d\">%s</text>\n", LEFT,
               bottom - i * BARS / 2, RIGHT, LEFT - 8, bottom - i * BARS / 2 + 4,
               i == 0 ? "0" : i == 1 ? "1 million" : "2 million");
    for (i = 0; i < race->runs; i++)
        draw_bar(i, race, bottom);
    printf("<text class=\"end\" x=\"%d\" y=\"%d\">run</text>\n", LEFT - 8, bottom + 17);
}

static void draw_losses(void)
{
    static const char *const titles[MODELS] = { "Two threads", "Two threads with a lock", "Two coroutines" };
    char about[256];
    int i, height = BARS_TOP + MODELS * BARS_ROW + 6;
    read_races();
    snprintf(about, sizeof about, "Of %d runs of two threads %d are right, the others are below 2,000,000. With a lock "
             "%d of %d are right, with coroutines %d of %d.", races[0].runs, races[0].right, races[1].right,
             races[1].runs, races[2].right, races[2].runs);
    begin(height, "Two that add 1 to one number, a million times each", about);
    for (i = 0; i < MODELS; i++)
        draw_race(titles[i], &races[i], BARS_TOP + i * BARS_ROW);
    printf("<rect class=\"a\" x=\"12\" y=\"%d\" width=\"18\" height=\"12\"/><text x=\"36\" y=\"%d\">right</text>\n"
           "<rect class=\"lost\" x=\"102\" y=\"%d\" width=\"18\" height=\"12\"/><text x=\"126\" y=\"%d\">additions lost"
           "</text>\n</svg>\n", height - 21, height - 10, height - 21, height - 10);
}

/* ---- scale ---- */

static const struct {
    const char *name, *plural, *style;
} models[MODELS] = { { "process", "processes", "b" },
                     { "thread", "threads", "a" },
                     { "coroutine", "coroutines", "c" } };

struct point {
    int model;
    double units, values[2]; /* bytes, ns */
};

static struct point points[MOST];
static int count;

static void read_points(void)
{
    char line[256], name[32];
    while (fgets(line, sizeof line, stdin) && count < MOST) {
        struct point *p = &points[count];
        if (sscanf(line, "%31s %lf %lf %lf", name, &p->units, &p->values[0], &p->values[1]) != 4)
            continue;
        for (p->model = 0; p->model < MODELS - 1 && strcmp(name, models[p->model].name) != 0; p->model++)
            ;
        count++;
    }
}

struct panel {
    const char *title;
    const char *const *ticks; /* from `low`, a decade each */
    double low, high;         /* powers of ten */
    int value, top;
};
enum { HIGH = 170 };

static double x_of(double units)
{
    return LEFT + (RIGHT - LEFT) * (log10(units) - 1) / 5;
}

static double y_of(const struct panel *panel, double value)
{
    double part = (log10(value) - panel->low) / (panel->high - panel->low);
    return panel->top + HIGH - HIGH * fmin(fmax(part, 0), 1);
}

static void draw_grid(const struct panel *panel)
{
    static const char *const units[] = { "10", "100", "1,000", "10,000", "100,000", "1,000,000" };
    for (int i = 0; i <= (int)(panel->high - panel->low); i++) {
        double y = panel->top + HIGH - HIGH * i / (panel->high - panel->low);
        printf("<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"end\" x=\"%d\" y=\"%.1f\">%s</text>\n", LEFT, y,
               RIGHT, LEFT - 8, y + 4, panel->ticks[i]);
    }
    for (int i = 0; i < 6; i++)
        printf("<text class=\"mid\" x=\"%.1f\" y=\"%d\">%s</text>\n", x_of(pow(10, i + 1)), panel->top + HIGH + 18,
               units[i]);
}

/* A square, a triangle, a circle. */
static void draw_mark(int model, double x, double y)
{
    if (model == 0)
        printf("<rect class=\"b\" x=\"%.1f\" y=\"%.1f\" width=\"7\" height=\"7\">", x - 3.5, y - 3.5);
    else if (model == 1)
        printf("<path class=\"a\" d=\"M%.1f %.1fl4 8h-8z\">", x, y - 5);
    else
        printf("<circle class=\"c\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\">", x, y);
}

static void end_mark(int model)
{
    printf(model == 0 ? "</rect>\n" : model == 1 ? "</path>\n" : "</circle>\n");
}

static void draw_model(const struct panel *panel, int model)
{
    const struct point *p, *end = points + count;
    int first = 1;
    printf("<path class=\"%s line\" d=\"", models[model].style);
    for (p = points; p < end; p++)
        if (p->model == model && p->values[panel->value] > 0) {
            printf("%c%.1f %.1f", first ? 'M' : 'L', x_of(p->units), y_of(panel, p->values[panel->value]));
            first = 0;
        }
    printf("\"/>\n");
    for (p = points; p < end; p++)
        if (p->model == model && p->values[panel->value] > 0) {
            draw_mark(model, x_of(p->units), y_of(panel, p->values[panel->value]));
            printf("<title>%.0f %s: %.0f %s each</title>", p->units, models[model].plural, p->values[panel->value],
                   panel->value ? "ns" : "bytes");
            end_mark(model);
        }
}

static void draw_panel(const struct panel *panel)
{
    printf("<text x=\"12\" y=\"%d\">%s</text>\n", panel->top - 14, panel->title);
    draw_grid(panel);
    for (int model = 0; model < MODELS; model++)
        draw_model(panel, model);
}

/* The last point of each model, in words. */
static void describe_points(char *about, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < count && used < size; i++)
        if (i + 1 == count || points[i + 1].model != points[i].model)
            used += (size_t)snprintf(about + used, size - used, "%.0f %s: %.0f bytes and %.2f us each. ",
                                     points[i].units, models[points[i].model].plural, points[i].values[0],
                                     points[i].values[1] / 1e3);
}

static void draw_scale(void)
{
    static const char *const bytes[] = { "100 B", "1 kB", "10 kB", "100 kB", "1 MB" };
    static const char *const times[] = { "10 ns", "100 ns", "1 &#181;s", "10 &#181;s", "100 &#181;s", "1 ms" };
    const struct panel panels[] = { { "memory of each", bytes, 2, 6, 0, 64 },
                                    { "time to make one and have it wait", times, 1, 6, 1, 304 } };
    char about[512] = "";
    int x = 12, model;
    read_points();
    describe_points(about, sizeof about);
    begin(534, "What one more that waits costs, by how many there are", about);
    draw_panel(&panels[0]);
    draw_panel(&panels[1]);
    for (model = 0; model < MODELS; model++, x += 120) {
        draw_mark(model, x + 6, 517);
        end_mark(model);
        printf("<text x=\"%d\" y=\"521\">%s</text>\n", x + 18, models[model].plural);
    }
    printf("</svg>\n");
}

/* ---- crawl: lines "crawl, model, jobs, wall_us, cpu_us, KiB", in groups of the same jobs ---- */

enum { CRAWL_ROW = 22, CRAWL_LEFT = 104 };

struct crawl {
    char model[32];
    int jobs;
    double wall_us;
};

static void draw_crawl_bar(const struct crawl *crawl, double most_us, int y)
{
    double wide = (RIGHT - 50 - CRAWL_LEFT) * crawl->wall_us / most_us;
    printf("<text x=\"12\" y=\"%d\">%s</text><rect class=\"a\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"14\">"
           "<title>%s, %d at a time: %.2f s</title></rect>", y + 12, crawl->model, CRAWL_LEFT, y, fmax(wide, 1.5),
           crawl->model, crawl->jobs, crawl->wall_us / 1e6);
    printf("<text x=\"%.1f\" y=\"%d\">%.1f s</text>\n", CRAWL_LEFT + wide + 6, y + 12, crawl->wall_us / 1e6);
}

static void draw_crawl(void)
{
    struct crawl crawls[MOST];
    double most_us = 0, least_us = INFINITY;
    int i, n = 0, groups = 0, y = 34;
    char about[200];
    if (scanf("site %*[^\n]\n") < 0)
        return;
    while (n < MOST &&
           scanf("crawl %31s %d %lf %*[^\n]\n", crawls[n].model, &crawls[n].jobs, &crawls[n].wall_us) == 3) {
        most_us = fmax(most_us, crawls[n].wall_us);
        least_us = fmin(least_us, crawls[n].wall_us);
        groups += n == 0 || crawls[n].jobs != crawls[n - 1].jobs;
        n++;
    }
    snprintf(about, sizeof about, "The longest takes %.1f s, the shortest %.1f s.", most_us / 1e6, least_us / 1e6);
    begin(34 + n * CRAWL_ROW + groups * 34, "The same crawl by five programs", about);
    for (i = 0; i < n; i++, y += CRAWL_ROW) {
        if (i == 0 || crawls[i].jobs != crawls[i - 1].jobs) {
            y += i ? 34 : 24;
            printf("<text class=\"title\" x=\"12\" y=\"%d\">%d at a time</text>\n", y - 8, crawls[i].jobs);
        }
        draw_crawl_bar(&crawls[i], most_us, y);
    }
    printf("</svg>\n");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "losses") == 0)
        draw_losses();
    else if (argc > 1 && strcmp(argv[1], "scale") == 0)
        draw_scale();
    else if (argc > 1 && strcmp(argv[1], "crawl") == 0)
        draw_crawl();
    else
        return fprintf(stderr, "usage: chart losses|scale|crawl\n"), 2;
    return 0;
}
