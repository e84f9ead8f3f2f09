/* See loop_delay.h. */
#include "common/model/loop_delay.h"

#include "common/base/turns.h"

#define LOOK_US 250000u

struct loop_delay {
    struct fl_loop *loop;
    struct fl_timer *timer;
    struct metric *delay_ms;
    struct fl_lateness delay;
};

static void arm(struct loop_delay *d)
{
    fl_lateness_due(&d->delay, fl_loop_now_us(d->loop) + LOOK_US);
    fl_timer_set(d->timer, LOOK_US);
}

static void look(void *arg)
{
    struct loop_delay *d = arg;

    fl_lateness_note(&d->delay, fl_loop_now_us(d->loop));
    metric_sample_ms(d->delay_ms, (double)fl_lateness_last_us(&d->delay) / 1000.0);
    arm(d);
}

static double pull_last(void *arg)
{
    return (double)fl_lateness_last_us(&((struct loop_delay *)arg)->delay);
}

static double pull_max(void *arg)
{
    return (double)fl_peak_us(&((struct loop_delay *)arg)->delay.peak);
}

struct loop_delay *loop_delay_new(struct fl_loop *loop, struct metrics *m)
{
    struct loop_delay *d = xnew0(struct loop_delay);

    d->loop = loop;
    d->timer = fl_timer_new(loop, look, d);
    d->delay_ms = metrics_timer(m, "event_loop/delay_ms");
    metrics_pull(m, "event_loop/delay_us", pull_last, d);
    metrics_pull(m, "event_loop/delay_max_us", pull_max, d);
    arm(d);
    return d;
}

void loop_delay_free(struct loop_delay *d)
{
    if (!d)
        return;
    fl_timer_free(d->timer);
    free(d);
}
