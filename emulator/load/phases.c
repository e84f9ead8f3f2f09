/* The phases of a run. See load.h.
 *
 *   SUBSCRIBING -> WORKING -> SETTLING -> HOLDING (--then=hold)             -> LEAVING -> OVER
 *                                      -> KILLING -> KILL_SETTLING (kill)  -'
 *                                      -'  (exit)
 *
 * "Settled" means that every task is where the file wants it and that the master has handled all of our calls: each framework asks
 * for the state of a task that does not exist (a fence), and calls are handled in order. */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/http.h"
#include "emulator/load/run.h"

#define SETTLE_WAIT_US 10000000ull
#define LEAVE_WAIT_US  10000000ull

static void tell(const struct load *l, const char *fmt, ...) _printf_(2, 3);
static void tell(const struct load *l, const char *fmt, ...)
{
    va_list ap;

    if (l->options.quiet)
        return;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void load_give_up(struct load *l, const char *fmt, ...)
{
    va_list ap;

    l->failed = true;
    if (!l->why) {
        char text[600];

        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        l->why = xstrdup(text);
    }
    if (l->phase < LOAD_LEAVING)
        load_enter(l, LOAD_LEAVING);
}

static void read_usages(const struct load *l, struct load_usages *u)
{
    emu_usage_self(&u->self);
    emu_usage_read(l->options.master_pid, false, &u->master);
    emu_usage_read(l->options.emulator_pid, true, &u->emulator);
}

/* ---- metrics of the master ---- */

static void metrics_before(struct http_call *c, const struct http_client_response *r,
                           const struct fl_err *err, void *arg)
{
    struct load *l = arg;

    if (r && r->status == 200)
        load_metrics_parse(&l->metrics_before, r->body, r->body_len);
}

static void metrics_after(struct http_call *c, const struct http_client_response *r,
                          const struct fl_err *err, void *arg)
{
    struct load *l = arg;

    if (r && r->status == 200)
        load_metrics_parse(&l->metrics_after, r->body, r->body_len);
}

void load_get_metrics(struct load *l, bool after)
{
    static const struct http_call_ops before_ops = {.on_done = metrics_before},
                                      after_ops = {.on_done = metrics_after};
    struct http_call_config cfg = {.method = "GET",
                                   .host = l->host,
                                   .port = l->port,
                                   .path = "/metrics/snapshot",
                                   .own_connection = true,
                                   .timeout_s = 10};

    http_client_call(l->http, &cfg, after ? &after_ops : &before_ops, l, NULL, NULL);
}

/* ---- progress ---- */

static bool all_subscribed(const struct load *l)
{
    uint64_t wanted = 0;

    EACH_GROUP(l, g)
    wanted += g->entry->frameworks;
    return l->subscribed == wanted;
}

static bool all_accepted(const struct load *l)
{
    EACH_GROUP(l, g)
    {
        if (g->first_accepted < g->total)
            return false;
    }
    return true;
}

/* Entries that never end do not count, unless there are no others. */
bool load_all_complete(const struct load *l)
{
    bool any = false;

    EACH_GROUP(l, g)
    {
        if (g->entry->keep)
            continue;
        any = any || g->total > 0;
        if (!g->complete_us || g->settled < g->total)
            return false;
    }
    return any;
}

static bool fences_heard(const struct load *l)
{
    EACH_GROUP(l, g)
    {
        EACH_FRAMEWORK(g, f)
        {
            if (f->subscribed && g->entry->jobs && f->fence_seen < f->fence)
                return false;
        }
    }
    return true;
}

static void send_fences(struct load *l)
{
    EACH_GROUP(l, g)
    {
        EACH_FRAMEWORK(g, f)
        {
            if (g->entry->jobs)
                load_framework_fence(f);
        }
    }
    l->settle_deadline_us = l->now_us + SETTLE_WAIT_US;
}

static void work_progress(struct load *l)
{
    bool done = false;

    if (!l->accepted_us && all_accepted(l)) {
        l->accepted_us = l->now_us;
        tell(l, "All tasks are accepted, %.3f s after work began.",
             (double)(l->now_us - l->began_us) / 1e6);
    }
    if (l->options.until == LOAD_UNTIL_ACCEPTED)
        done = l->accepted_us != 0;
    else
        done = load_all_complete(l);
    if (done)
        load_enter(l, LOAD_SETTLING);
}

void load_progress(struct load *l)
{
    switch (l->phase) {
    case LOAD_SUBSCRIBING:
        if (all_subscribed(l))
            load_enter(l, LOAD_WORKING);
        break;
    case LOAD_WORKING:
        work_progress(l);
        break;
    case LOAD_SETTLING:
    case LOAD_KILL_SETTLING:
        if (fences_heard(l))
            load_enter(l, l->phase + 1);
        break;
    case LOAD_KILLING:
        if (l->kill_left == 0)
            load_enter(l, LOAD_KILL_SETTLING);
        break;
    default:
        break;
    }
}

/* ---- phases ---- */

static void begin_work(struct load *l)
{
    l->began_us = l->now_us;
    tell(l, "%llu frameworks are subscribed after %.3f s.", (unsigned long long)l->subscribed,
         (double)(l->now_us - l->first_subscribe_us) / 1e6);
    read_usages(l, &l->at_begin);
    l->resync_due_us = l->now_us + RESYNC_EVERY_US;
    load_start_due_groups(l);
}

/* A job that was begun, and of which not all tasks ran. */
static void count_partial_gangs(struct load *l)
{
    EACH_GROUP(l, g)
    {
        if (!g->entry->gang)
            continue;
        EACH_FRAMEWORK(g, f)
        {
            for (size_t i = 0; i < f->n_arrived; i++)
                l->gangs_partial += f->jobs[i].accepted > 0 && f->jobs[i].ran < g->entry->tasks;
        }
    }
}

static void settled(struct load *l)
{
    l->settled_us = l->now_us;
    count_partial_gangs(l);
    tell(l, "All is where it should be, and acknowledged, %.3f s after work began.",
         (double)(l->now_us - l->began_us) / 1e6);
    read_usages(l, &l->at_settled);
    l->settled_running = l->running;
    if (l->options.then == LOAD_THEN_KILL) {
        load_enter(l, LOAD_KILLING);
    } else if (l->options.then == LOAD_THEN_EXIT || l->asked_to_end) {
        load_enter(l, LOAD_LEAVING);
    }
}

static void begin_kill(struct load *l)
{
    l->killing_us = l->now_us;
    read_usages(l, &l->at_killing);
    l->kill_left = 0;
    EACH_GROUP(l, g)
    {
        EACH_FRAMEWORK(g, f)
        {
            for (size_t i = 0; i < f->n_tasks; i++)
                l->kill_left +=
                    f->tasks[i].state == LOAD_ACCEPTED || f->tasks[i].state == LOAD_RUNNING;
            if (g->entry->jobs && f->subscribed && !f->suppressed)
                load_framework_suppress(f);
        }
    }
    EACH_GROUP(l, g)
    {
        EACH_FRAMEWORK(g, f)
        load_framework_kill_some(f);
    }
    l->resync_due_us = l->now_us + RESYNC_EVERY_US;
    load_progress(l);
}

static void killed(struct load *l)
{
    l->killed_us = l->now_us;
    tell(l, "All tasks are killed and acknowledged after %.3f s.",
         (double)(l->now_us - l->killing_us) / 1e6);
    read_usages(l, &l->at_killed);
    load_enter(l, LOAD_LEAVING);
}

static void leave(struct load *l)
{
    load_get_metrics(l, true);
    l->settle_deadline_us = l->now_us + LEAVE_WAIT_US;
}

static void teardown_all(struct load *l)
{
    l->torn_down = true;
    EACH_GROUP(l, g)
    {
        EACH_FRAMEWORK(g, f)
        {
            if (f->subscribed) {
                load_call_plain(&l->out, SCHED__CALL__TYPE__TEARDOWN);
                load_framework_send(f, 0);
            }
        }
    }
}

void load_enter(struct load *l, enum load_phase phase)
{
    l->phase = phase;
    switch (phase) {
    case LOAD_WORKING:
        begin_work(l);
        break;
    case LOAD_SETTLING:
        l->running_us = l->now_us;
        send_fences(l);
        break;
    case LOAD_HOLDING:
        settled(l);
        break;
    case LOAD_KILLING:
        begin_kill(l);
        break;
    case LOAD_KILL_SETTLING:
        send_fences(l);
        break;
    case LOAD_LEAVING:
        /* From KILL_SETTLING it was reached by counting up. */
        if (l->killing_us && !l->killed_us && l->kill_left == 0)
            killed(l);
        else
            leave(l);
        break;
    default:
        break;
    }
}

void load_leaving(struct load *l)
{
    bool all = true;

    /* The metrics first: they are of the cluster as it was left. */
    if (l->metrics_after.n == 0 && l->now_us + LEAVE_WAIT_US - 2000000u < l->settle_deadline_us)
        return;
    if (!l->torn_down)
        teardown_all(l);
    EACH_GROUP(l, g)
    {
        EACH_FRAMEWORK(g, f)
        all = all && (f->gone || !f->ever);
    }
    if (all || l->now_us > l->settle_deadline_us) {
        l->phase = LOAD_OVER;
        fl_loop_stop(l->loop);
    }
}
