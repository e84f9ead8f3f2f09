/* How far the master's threads lag behind: the main thread (loop_delay.h), what the I/O threads
 * say of theirs, and how many requests wait for the main thread. */
#include "master/shell.h"

#include "common/model/loop_delay.h"

struct shell_delay {
    struct shell *s;
    struct loop_delay *loop;
};

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
    d->loop = loop_delay_new(s->loop, s->metrics);
    metrics_pull(s->metrics, "event_loop/io_delay_us", pull_io_last, d);
    metrics_pull(s->metrics, "event_loop/io_delay_max_us", pull_io_max, d);
    metrics_pull(s->metrics, "event_loop/http_wait_max_us", pull_wait_max, d);
    metrics_pull(s->metrics, "master/event_queue_http_requests", pull_waiting, d);
    return d;
}

void shell_delay_free(struct shell_delay *d)
{
    if (!d)
        return;
    loop_delay_free(d->loop);
    free(d);
}
