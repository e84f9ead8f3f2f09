/* See plot.h. */
#include "emulator/load/plot.h"

#include <math.h>

enum { WIDE = 760, HIGH = 300, LEFT = 64, RIGHT = 16, TOP = 12, BOTTOM = 44, MOST_POINTS = 600 };

struct frame {
    double x0, x1,
        y1; /* what is drawn: x0 to x1, 0 to y1; x as its logarithm when the axis is one */
    bool log_x;
};

struct plot_line *plot_line(struct plot *p, const char *name)
{
    if (p->n == PLOT_LINES)
        return NULL;
    p->lines[p->n].name = name;
    return &p->lines[p->n++];
}

void plot_point(struct plot_line *l, double x, double y)
{
    l->points = xgrow(l->points, &l->cap, l->n + 1, sizeof *l->points);
    l->points[l->n++] = (struct plot_point){x, y};
}

void plot_done(struct plot *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->lines[i].points);
    p->n = 0;
}

void html_text(struct fl_buf *out, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '<':
            fl_buf_adds(out, "&lt;");
            break;
        case '>':
            fl_buf_adds(out, "&gt;");
            break;
        case '&':
            fl_buf_adds(out, "&amp;");
            break;
        case '"':
            fl_buf_adds(out, "&quot;");
            break;
        default:
            /* No other control characters: XML has none. */
            fl_buf_addc(out, (unsigned char)*s < ' ' ? ' ' : *s);
        }
    }
}

/* ---- the frame ---- */

static double scale_x(const struct frame *f, double x)
{
    return f->log_x ? log10(x > 1e-3 ? x : 1e-3) : x;
}

static double at_x(const struct frame *f, double x)
{
    return LEFT + (scale_x(f, x) - f->x0) / (f->x1 - f->x0) * (WIDE - LEFT - RIGHT);
}

static double at_y(const struct frame *f, double y)
{
    return HIGH - BOTTOM - y / f->y1 * (HIGH - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, so that about five steps reach `most`. */
static double step_of(double most)
{
    double power = pow(10, floor(log10(most / 5)));
    double n = most / 5 / power;

    return (n <= 1 ? 1 : n <= 2 ? 2 : n <= 5 ? 5 : 10) * power;
}

static struct frame frame_of(const struct plot *p)
{
    struct frame f = {.x0 = INFINITY, .x1 = -INFINITY, .y1 = p->y_most, .log_x = p->log_x};

    for (size_t i = 0; i < p->n; i++) {
        for (size_t k = 0; k < p->lines[i].n; k++) {
            double x = scale_x(&f, p->lines[i].points[k].x);

            f.x0 = fmin(f.x0, x);
            f.x1 = fmax(f.x1, x);
            if (p->y_most == 0)
                f.y1 = fmax(f.y1, p->lines[i].points[k].y);
        }
    }
    if (!(f.x1 > -INFINITY))
        f.x0 = f.x1 = 0;
    if (f.log_x) {
        f.x0 = floor(f.x0);
        f.x1 = ceil(f.x1);
    }
    if (f.x1 - f.x0 < 1e-9)
        f.x1 = f.x0 + 1;
    if (f.y1 <= 0)
        f.y1 = 1;
    return f;
}

static void add_number(struct fl_buf *out, double v)
{
    if (v >= 1e6)
        fl_buf_addf(out, "%gM", v / 1e6);
    else if (v >= 1e4)
        fl_buf_addf(out, "%gk", v / 1e3);
    else
        fl_buf_addf(out, "%g", v);
}

static void add_x_tick(struct fl_buf *out, const struct frame *f, double x)
{
    double at = at_x(f, x);

    fl_buf_addf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", at, at,
                TOP, HIGH - BOTTOM);
    fl_buf_addf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", at, HIGH - BOTTOM + 16);
    add_number(out, x);
    fl_buf_adds(out, "</text>");
}

static void add_axes(struct fl_buf *out, const struct plot *p, const struct frame *f)
{
    double step = step_of(f->y1);

    for (double y = 0; y <= f->y1 * 1.0001; y += step) {
        double at = at_y(f, y);

        fl_buf_addf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                    WIDE - RIGHT, at, at);
        fl_buf_addf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 6, at + 4);
        add_number(out, y);
        fl_buf_adds(out, "</text>");
    }
    if (f->log_x) {
        for (double e = f->x0; e <= f->x1 + 0.001; e++)
            add_x_tick(out, f, pow(10, e));
    } else {
        step = step_of(f->x1 - f->x0);
        for (double x = ceil(f->x0 / step) * step; x <= f->x1 + step / 1000; x += step)
            add_x_tick(out, f, x);
    }
    fl_buf_addf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDE - RIGHT, HIGH - 8);
    html_text(out, p->x_label);
    fl_buf_addf(
        out, "</text><text x=\"12\" y=\"%d\" transform=\"rotate(-90 12 %d)\" text-anchor=\"end\">",
        TOP, TOP);
    html_text(out, p->y_label);
    fl_buf_adds(out, "</text>");
}

/* Of many points the last of each stretch: what is drawn is monotonous or slow. */
static void add_line(struct fl_buf *out, const struct plot_line *l, const struct frame *f, size_t i)
{
    size_t step = l->n / MOST_POINTS + 1;

    fl_buf_addf(out, "<polyline class=\"c%zu\" points=\"", i);
    for (size_t k = 0; k < l->n; k++) {
        if (k % step == 0 || k == l->n - 1)
            fl_buf_addf(out, "%.1f,%.1f ", at_x(f, l->points[k].x), at_y(f, l->points[k].y));
    }
    fl_buf_adds(out, "\"/>");
}

void plot_svg(const struct plot *p, struct fl_buf *out)
{
    struct frame f = frame_of(p);

    fl_buf_adds(out, "<figure><figcaption>");
    html_text(out, p->title);
    fl_buf_adds(out, "</figcaption><p class=\"legend\">");
    for (size_t i = 0; i < p->n; i++) {
        fl_buf_addf(out, "<span><i class=\"c%zu\"></i>", i);
        html_text(out, p->lines[i].name);
        fl_buf_adds(out, "</span> ");
    }
    fl_buf_addf(out,
                "</p><svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
                "aria-label=\"",
                WIDE, HIGH);
    html_text(out, p->title);
    fl_buf_adds(out, "\">");
    add_axes(out, p, &f);
    for (size_t i = 0; i < p->n; i++)
        add_line(out, &p->lines[i], &f, i);
    fl_buf_adds(out, "</svg></figure>\n");
}
