/* Plots as inline SVG: lines over a linear or logarithmic axis. Colours come from the page (classes c0 to c7), so that it reads by day
 * and by night. Pure. */
#ifndef EMULATOR_LOAD_PLOT_H
#define EMULATOR_LOAD_PLOT_H

#include "common/base/buf.h"

struct plot_point {
    double x, y;
};
struct plot_line {
    const char *name;          /* borrowed */
    struct plot_point *points; /* owned */
    size_t n, cap;
};
enum { PLOT_LINES = 8 };
struct plot {
    const char *title, *x_label, *y_label; /* borrowed */
    bool log_x;
    double y_most; /* 0: the largest of all */
    struct plot_line lines[PLOT_LINES];
    size_t n;
};
/* NULL when there is no room for another. */
struct plot_line *plot_line(struct plot *p, const char *name);
void plot_point(struct plot_line *l, double x, double y);
void plot_svg(const struct plot *p, struct fl_buf *out);
void plot_done(struct plot *p);
void html_text(struct fl_buf *out, const char *s); /* with what HTML gives a meaning to replaced */

#endif
