#include "cmd/audit/chart.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 340, HEIGHT = 172, LEFT = 30, RIGHT = 84, TOP = 12, BOTTOM = 26, LABEL_GAP = 12, POINTS = 240 };

void chart_micro(int64_t micro, char out[40])
{
    if (micro == INT64_MAX)
        snprintf(out, 40, "inf");
    else
        snprintf(out, 40, "%s%" PRId64 ".%06" PRId64, micro < 0 ? "-" : "", (micro < 0 ? -micro : micro) / 1000000,
                 (micro < 0 ? -micro : micro) % 1000000);
}

/* ---- budget ---- */

struct frame {
    const struct fact_budget *b;
    double top; /* epsilon at the upper edge */
};

static double x_at(const struct frame *f, double charges)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * charges / (double)f->b->count;
}

static double y_at(const struct frame *f, int64_t micro)
{
    double share = (double)micro / 1e6 / f->top;

    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (share > 1 ? 1 : share < 0 ? 0 : share);
}

/* A round number not below v. */
static double round_up(double v)
{
    double unit = pow(10, floor(log10(v)));
    static const double step[] = {1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10};

    for (size_t i = 0; i < sizeof(step) / sizeof(*step); i++)
        if (step[i] * unit >= v * (1 - 1e-12))
            return step[i] * unit;
    return 10 * unit;
}

static double highest(const struct fact_budget *b)
{
    double most = 1e-6;

    for (size_t i = 0; i < b->count; i++) {
        const struct fact_point *p = &b->point[i];

        if (p->cap_micro != INT64_MAX && (double)p->cap_micro / 1e6 > most)
            most = (double)p->cap_micro / 1e6;
        if (p->spent_micro != INT64_MAX && (double)p->spent_micro / 1e6 > most)
            most = (double)p->spent_micro / 1e6;
    }
    return most;
}

static void axes(struct html *h, const struct frame *f)
{
    html_raw(h, "<g class=\"axis\"><path d=\"M%d %dH%d\"/>", LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT);
    for (int i = 0; i <= 2; i++) {
        double value = f->top * i / 2, y = y_at(f, (int64_t)(value * 1e6));

        html_raw(h, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>",
                 LEFT, y, WIDTH - RIGHT, LEFT - 5, y + 3.5, value);
    }
    html_raw(h, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">1</text>", x_at(f, 0.5), HEIGHT - BOTTOM + 13);
    if (f->b->count > 1)
        html_raw(h, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%zu</text>", x_at(f, (double)f->b->count - 0.5),
                 HEIGHT - BOTTOM + 13, f->b->count);
    html_raw(h, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", x_at(f, (double)f->b->count / 2),
             HEIGHT - BOTTOM + 23);
    html_say(h, YM_TEXT_DOC_AXIS);
    html_raw(h, "</text></g>");
}

static bool skipped(const struct fact_budget *b, size_t i)
{
    return b->count > POINTS && i % (b->count / POINTS + 1) != 0 && i + 1 != b->count;
}

/* Flat over each charge: a figure holds until the next. */
static void steps(struct html *h, const struct frame *f, const char *class, size_t offset)
{
    char move = 'M';

    html_raw(h, "<path class=\"%s\" d=\"", class);
    for (size_t i = 0; i < f->b->count; i++) {
        int64_t micro;

        if (skipped(f->b, i))
            continue;
        memcpy(&micro, (const char *)&f->b->point[i] + offset, sizeof(micro));
        html_raw(h, "%c%.1f %.1fH%.1f", move, x_at(f, (double)i), y_at(f, micro), x_at(f, (double)i + 1));
        move = 'L';
    }
    html_raw(h, "\"/>");
}

static void certified(struct html *h, const struct frame *f)
{
    char move = 'M';

    html_raw(h, "<path class=\"certified\" d=\"");
    for (size_t i = 0; i < f->b->count; i++)
        if (f->b->point[i].certified_micro >= 0) {
            html_raw(h, "%c%.1f %.1f", move, x_at(f, (double)i + 0.5), y_at(f, f->b->point[i].certified_micro));
            move = 'L';
        }
    html_raw(h, "\"/>");
    for (size_t i = 0; i < f->b->count; i++)
        if (f->b->point[i].certified_micro >= 0)
            html_raw(h, "<circle class=\"certified\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\"/>", x_at(f, (double)i + 0.5),
                     y_at(f, f->b->point[i].certified_micro));
}

/* Where one study ends and the next begins. */
static void borders(struct html *h, const struct frame *f)
{
    for (size_t i = 1; i < f->b->count; i++)
        if (f->b->point[i].study != f->b->point[i - 1].study)
            html_raw(h, "<path class=\"border\" d=\"M%.1f %dV%d\"/>", x_at(f, (double)i), TOP, HEIGHT - BOTTOM);
}

static void label(struct html *h, double y, const char *class, enum ym_text_id id, int64_t micro)
{
    char figure[40];

    if (micro == INT64_MAX)
        snprintf(figure, sizeof(figure), "inf");
    else
        snprintf(figure, sizeof(figure), "%.4g", (double)micro / 1e6);
    html_raw(h, "<text class=\"%s\" x=\"%d\" y=\"%.1f\">", class, WIDTH - RIGHT + 6, y + 3.5);
    html_say(h, id, figure);
    html_raw(h, "</text>");
}

/* Beside the lines' ends, never upon one another: cap, spent, certified from above. */
static void labels(struct html *h, const struct frame *f)
{
    const struct fact_point *last = &f->b->point[f->b->count - 1];
    double cap = y_at(f, last->cap_micro), spent = y_at(f, last->spent_micro), low;

    if (spent < cap + LABEL_GAP)
        spent = cap + LABEL_GAP;
    label(h, cap, "cap", YM_TEXT_DOC_CHART_CAP, last->cap_micro);
    if (last->certified_micro < 0) {
        label(h, spent, "spent", YM_TEXT_DOC_CHART_SPENT, last->spent_micro);
        return;
    }
    low = y_at(f, last->certified_micro);
    if (low < spent + LABEL_GAP)
        low = spent + LABEL_GAP;
    if (low > HEIGHT - BOTTOM) {
        low = HEIGHT - BOTTOM;
        spent = low - LABEL_GAP;
    }
    label(h, spent, "spent", YM_TEXT_DOC_CHART_SPENT, last->spent_micro);
    label(h, low, "certified", YM_TEXT_DOC_CHART_CERTIFIED, last->certified_micro);
}

void chart_budget(struct html *h, const struct fact_budget *b)
{
    struct frame f = {b, round_up(highest(b))};

    html_raw(h, "<svg viewBox=\"0 0 %d %d\" role=\"img\">", WIDTH, HEIGHT);
    axes(h, &f);
    borders(h, &f);
    steps(h, &f, "cap", offsetof(struct fact_point, cap_micro));
    certified(h, &f);
    steps(h, &f, "spent", offsetof(struct fact_point, spent_micro));
    labels(h, &f);
    html_raw(h, "</svg>");
}

/* ---- rounds ---- */

enum { ROW = 14, HOSPITALS_MAX = 100, NAME_LETTERS = 18, LETTER = 6, STRIP = 570 };

static double cell_width(int64_t rounds)
{
    double fit = 560.0 / (double)rounds;

    return fit > 14 ? 14 : fit;
}

static int name_width(const struct fact_study *s)
{
    size_t most = 2;

    for (size_t i = 0; i < s->member_count; i++)
        if (strlen(s->member[i].hospital) > most)
            most = strlen(s->member[i].hospital);
    return 8 + LETTER * (int)(most > NAME_LETTERS ? NAME_LETTERS + 3 : most);
}

static void strip(struct html *h, const struct fact_study *s, const struct fact_member *m, int row)
{
    double width = cell_width(s->rounds);
    int left = name_width(s);
    char name[24];

    snprintf(name, sizeof(name), "%.*s%s", NAME_LETTERS, m->hospital, strlen(m->hospital) > NAME_LETTERS ? "..." : "");
    html_raw(h, "<text x=\"0\" y=\"%d\">", row * ROW + 10);
    html_text(h, name);
    html_raw(h, "</text>");
    for (int64_t i = 0; i < s->rounds; i++)
        if (m->part[i])
            html_raw(h, "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>",
                     m->part[i] == '+' ? "in" : "out", left + (double)i * width + 0.5, row * ROW + 1,
                     width > 4 ? width - 1.5 : width * 0.8, ROW - 3);
}

void chart_rounds(struct html *h, const struct fact_study *s)
{
    int left = name_width(s), rows = (int)(s->member_count < HOSPITALS_MAX ? s->member_count : HOSPITALS_MAX);

    if (s->rounds < 1 || s->rounds > FACT_ROUNDS_SHOWN)
        return;
    html_raw(h, "<svg class=\"strip\" viewBox=\"0 0 %d %d\" role=\"img\">", left + STRIP, rows * ROW + 14);
    for (int i = 0; i < rows; i++)
        strip(h, s, &s->member[i], i);
    html_raw(h, "<text x=\"%.1f\" y=\"%d\">1</text>", left + 0.5, rows * ROW + 11);
    if (s->rounds > 1)
        html_raw(h, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"end\">%" PRId64 "</text>",
                 left + (double)s->rounds * cell_width(s->rounds) - 1, rows * ROW + 11, s->rounds);
    html_raw(h, "</svg>");
}
