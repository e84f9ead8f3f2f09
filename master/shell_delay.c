/* How far the master's threads lag behind: a timer of the main thread that looks how late it comes itself, what the I/O threads
 * say of theirs, and how many requests wait for the main thread. */
#include "master/shell.h"

#include "common/base/turns.h"

#define LOOK_US 250000u

struct shell_delay {
    struct shell *s;
    struct fl_timer *timer;
    struct metric *delay_ms;
    struct fl_lateness delay;
};

static void arm(struct shell_delay *d)
{
    fl_lateness_due(&d->delay, fl_loop_now_us(d->s->loop) + LOOK_US);
    fl_timer_set(d->timer, LOOK_US);
}

static void look(void *arg)
{
    struct shell_delay *d = arg;

    fl_lateness_note(&d->delay, fl_loop_now_us(d->s->loop));
    metric_sample_ms(d->delay_ms, (double)fl_lateness_last_us(&d->delay) / 1000.0);
    arm(d);
}

static double pull_last(void *arg)
{
    return (double)fl_lateness_last_us(&((struct shell_delay *)arg)->delay);
}

static double pull_max(void *arg)
{
    return (double)fl_peak_us(&((struct shell_delay *)arg)->delay.peak);
}

static struct http_counters counters(void *delay)
{
    struct http_counters c;

    http_server_counters(((struct shell_delay *)delay)->s->http, &c);
    return c;
}

static double pull_io_last(void *arg)
{
    return (double)counters(arg).io_delay_us;
}

static double pull_io_max(void *arg)
{
    return (double)counters(arg).io_delay_max_us;
}

static double pull_waiting(void *arg)
{
    return (double)counters(arg).waiting;
}

static double pull_wait_max(void *arg)
{
    return (double)counters(arg).wait_max_us;
}

struct shell_delay *shell_delay_new(struct shell *s)
{
    struct shell_delay *d = xnew0(struct shell_delay);

    d->s = s;
    d->timer = fl_timer_new(s->loop, look, d);
    d->delay_ms = metrics_timer(s->metrics, "event_loop/delay_ms");
    metrics_pull(s->metrics, "event_loop/delay_us", pull_last, d);
    metrics_pull(s->metrics, "event_loop/delay_max_us", pull_max, d);
    metrics_pull(s->metrics, "event_loop/io_delay_us", pull_io_last, d);
    metrics_pull(s->metrics, "event_loop/io_delay_max_us", pull_io_max, d);
    metrics_pull(s->metrics, "event_loop/http_wait_max_us", pull_wait_max, d);
    metrics_pull(s->metrics, "master/event_queue_http_requests", pull_waiting, d);
    arm(d);
    return d;
}

void shell_delay_free(struct shell_delay *d)
{
    if (!d)
        return;
    fl_timer_free(d->timer);
    free(d);
}
