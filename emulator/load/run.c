/* The phases of a run and its time. See load.h.
 *
 *   SUBSCRIBING -> WORKING -> SETTLING -> HOLDING (--then=hold)             -> LEAVING -> OVER
 *                                      -> KILLING -> KILL_SETTLING (kill)  -'
 *                                      -'  (exit)
 *
 * "Settled" means that every task is where the file wants it and that the master has handled all of our calls: each framework asks
 * for the state of a task that does not exist (a fence), and calls are handled in order. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/http.h"
#include "emulator/load/load.h"

#define TICK_US         100000ull
#define SETTLE_WAIT_US  10000000ull
#define LEAVE_WAIT_US   10000000ull
#define RESYNC_EVERY_US 10000000ull
#define FENCE_EVERY_US  1000000ull
#define SUBSCRIBE_LEAST 32
enum { MAX_SAMPLES = 36000 };

static void enter(struct load *l, enum load_phase phase);

#define EACH_GROUP(l, g)                                                                           \
    for (struct load_group *g = (l)->groups; g < (l)->groups + (l)->n_groups; g++)
#define EACH_FRAMEWORK(g, f)                                                                       \
    for (struct load_framework *f = (g)->frameworks; f < (g)->frameworks + (g)->n_frameworks; f++)

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
        enter(l, LOAD_LEAVING);
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

static void get_metrics(struct load *l, bool after)
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

/* ---- arrival ---- */

static void arrivals(void *arg)
{
    struct load_group *g = arg;
    struct load *l = g->load;

    l->now_us = fl_loop_now_us(l->loop);
    if (l->phase != LOAD_WORKING && l->phase != LOAD_HOLDING)
        return;
    while (g->next_job < g->entry->jobs && g->arrival_us <= l->now_us) {
        load_group_arrive(g);
        g->arrival_us = load_arrival_next(&g->entry->arrival, g->arrival_us, &g->random);
    }
    if (g->next_job < g->entry->jobs)
        fl_timer_set(g->timer, g->arrival_us > l->now_us ? g->arrival_us - l->now_us : 0);
    load_progress(l);
}

static const struct load_group *group_named(const struct load *l, const char *name)
{
    EACH_GROUP(l, g)
    {
        if (streq(g->entry->name, name))
            return g;
    }
    return NULL;
}

static void start_due_groups(struct load *l)
{
    EACH_GROUP(l, g)
    {
        const struct load_group *after = g->entry->after ? group_named(l, g->entry->after) : NULL;
        uint64_t from = after ? after->complete_us : l->began_us;

        if (g->started_us || from == 0 || l->now_us < from + g->entry->start_us)
            continue;
        g->started_us = l->now_us;
        g->arrival_us = l->now_us;
        if (!g->timer)
            g->timer = fl_timer_new(l->loop, arrivals, g);
        if (g->entry->arrival.kind == LOAD_POISSON)
            g->arrival_us = load_arrival_next(&g->entry->arrival, g->arrival_us, &g->random);
        if (g->total == 0 && !g->entry->keep)
            g->complete_us = l->now_us;
        fl_timer_set(g->timer, 0);
    }
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
static bool all_complete(const struct load *l)
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
        done = all_complete(l);
    if (done)
        enter(l, LOAD_SETTLING);
}

void load_progress(struct load *l)
{
    switch (l->phase) {
    case LOAD_SUBSCRIBING:
        if (all_subscribed(l))
            enter(l, LOAD_WORKING);
        break;
    case LOAD_WORKING:
        work_progress(l);
        break;
    case LOAD_SETTLING:
    case LOAD_KILL_SETTLING:
        if (fences_heard(l))
            enter(l, l->phase + 1);
        break;
    case LOAD_KILLING:
        if (l->kill_left == 0)
            enter(l, LOAD_KILL_SETTLING);
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
    start_due_groups(l);
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
        enter(l, LOAD_KILLING);
    } else if (l->options.then == LOAD_THEN_EXIT || l->asked_to_end) {
        enter(l, LOAD_LEAVING);
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
    enter(l, LOAD_LEAVING);
}

static void leave(struct load *l)
{
    get_metrics(l, true);
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

static void enter(struct load *l, enum load_phase phase)
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

static void leaving(struct load *l)
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

/* ---- ticks ---- */

static uint64_t sum_of(const struct load *l, enum load_count what)
{
    uint64_t n = 0;

    EACH_GROUP(l, g)
    n += g->figures->counts[what];
    return n;
}

/* When there are too many, every other one goes. */
static void sample(struct load *l)
{
    if (l->now_us < l->sample_due_us)
        return;
    l->sample_due_us = l->now_us + l->sample_every_us;
    if (l->n_samples == MAX_SAMPLES) {
        for (size_t i = 0; i < MAX_SAMPLES / 2; i++)
            l->samples[i] = l->samples[i * 2];
        l->n_samples = MAX_SAMPLES / 2;
        l->sample_every_us *= 2;
    }
    l->samples = xgrow(l->samples, &l->cap_samples, l->n_samples + 1, sizeof *l->samples);
    l->samples[l->n_samples++] = (struct load_sample){
        .at_us = l->now_us - l->began_us,
        .running = l->running,
        .accepted = sum_of(l, LOAD_COUNT_ACCEPTED),
        .offers = sum_of(l, LOAD_COUNT_OFFERS),
        .updates = sum_of(l, LOAD_COUNT_UPDATES),
    };
}

static void resync(struct load *l)
{
    uint64_t heard = sum_of(l, LOAD_COUNT_UPDATES);

    if (l->now_us < l->resync_due_us)
        return;
    l->resync_due_us = l->now_us + RESYNC_EVERY_US;
    /* While updates still come in numbers, nothing is missing yet. */
    if (l->phase == LOAD_KILLING && heard != l->progress_us) {
        l->progress_us = heard;
        return;
    }
    l->progress_us = heard;
    EACH_GROUP(l, g)
    {
        EACH_FRAMEWORK(g, f)
        {
            if (g->entry->jobs)
                load_framework_resync(f);
        }
    }
}

/* One framework a second asks, so that the way of a call and back is measured under load. */
static void fence_now_and_then(struct load *l)
{
    struct load_group *g = &l->groups[l->fence_turn % l->n_groups];

    if (l->now_us < l->fence_due_us || g->n_frameworks == 0)
        return;
    l->fence_due_us = l->now_us + FENCE_EVERY_US;
    struct load_framework *f = &g->frameworks[l->fence_turn / l->n_groups % g->n_frameworks];
    if (f->fence_seen == f->fence)
        load_framework_fence(f);
    l->fence_turn++;
}

static void open_frameworks(struct load *l)
{
    uint64_t made = 0;
    struct fl_err err = {0};
    bool all;

    EACH_GROUP(l, g)
    made += g->n_frameworks;
    if (made - l->subscribed >= l->options.subscribing)
        return;
    if (load_groups_open(l, l->options.subscribing - (made - l->subscribed), &all, &err) < 0)
        load_give_up(l, "%s", err.msg);
}

static void give_up_late(struct load *l)
{
    uint64_t total = 0, settled_tasks = 0, waiting = 0;

    EACH_GROUP(l, g)
    {
        total += g->total;
        settled_tasks += g->settled;
        EACH_FRAMEWORK(g, f)
        waiting += f->n_tasks - f->next_fresh + f->n_again;
    }
    load_give_up(
        l,
        "the time of --limit is over; %llu of %llu tasks are not where they should be, and "
        "%llu of them wait for offers",
        (unsigned long long)(total - settled_tasks), (unsigned long long)total,
        (unsigned long long)waiting);
}

static void work_tick(struct load *l)
{
    uint64_t since = l->now_us - l->began_us;

    start_due_groups(l);
    sample(l);
    fence_now_and_then(l);
    if (l->options.seconds_us && since > l->options.seconds_us && l->phase == LOAD_WORKING)
        enter(l, LOAD_SETTLING);
    if (l->options.limit_us && since > l->options.limit_us)
        give_up_late(l);
}

static void tick(void *arg)
{
    struct load *l = arg;

    l->now_us = fl_loop_now_us(l->loop);
    fl_timer_set(l->tick, l->phase == LOAD_SUBSCRIBING ? TICK_US / 20 : TICK_US);
    if (l->phase == LOAD_SUBSCRIBING) {
        open_frameworks(l);
        if (l->options.limit_us && l->now_us - l->first_subscribe_us > l->options.limit_us)
            load_give_up(l, "not all frameworks could subscribe within --limit");
    } else if (l->phase < LOAD_LEAVING) {
        work_tick(l);
    }
    if (l->phase == LOAD_WORKING || l->phase == LOAD_HOLDING || l->phase == LOAD_KILLING)
        resync(l);
    if ((l->phase == LOAD_SETTLING || l->phase == LOAD_KILL_SETTLING) &&
        l->now_us > l->settle_deadline_us) {
        load_error_count(l, "no answer to a fence", "", 0);
        enter(l, l->phase + 1);
    }
    if (l->phase == LOAD_LEAVING)
        leaving(l);
    else
        load_progress(l);
}

static void asked_to_end(void *arg)
{
    struct load *l = arg;

    l->now_us = fl_loop_now_us(l->loop);
    if (l->asked_to_end && l->phase == LOAD_LEAVING)
        l->settle_deadline_us = l->now_us;
    l->asked_to_end = true;
    if (l->phase == LOAD_SUBSCRIBING || l->phase == LOAD_KILLING)
        load_give_up(l, "it was asked to end before it was done");
    else if (l->phase == LOAD_WORKING)
        enter(l, LOAD_SETTLING);
    else if (l->phase == LOAD_HOLDING)
        enter(l, LOAD_LEAVING);
}

/* ---- life ---- */

int load_new(const struct load_plan *plan, const struct load_options *o, struct load **ret,
             struct fl_err *err)
{
    _cleanup_(load_freep) struct load *l = xnew0(struct load);
    int r = fl_loop_new(&l->loop, err);

    l->plan = plan;
    l->options = *o;
    l->sample_every_us = TICK_US;
    if (r == 0)
        r = http_parse_host_port(o->master, 5050, &l->host, &l->port, err);
    if (r < 0)
        return r;
    l->http = http_client_new(l->loop);
    l->arena = fl_arena_new(1 << 20);
    l->tick = fl_timer_new(l->loop, tick, l);
    r = load_groups_new(l, err);
    if (r == 0)
        r = fl_signal_new(l->loop, SIGTERM, asked_to_end, l, &l->term, err);
    if (r == 0)
        r = fl_signal_new(l->loop, SIGINT, asked_to_end, l, &l->interrupt, err);
    if (r == 0)
        *ret = TAKE_PTR(l);
    return r;
}

void load_run(struct load *l)
{
    l->now_us = l->first_subscribe_us = fl_loop_now_us(l->loop);
    get_metrics(l, false);
    fl_timer_set(l->tick, 0);
    fl_loop_run(l->loop);
}

void load_free(struct load *l)
{
    if (!l)
        return;
    load_groups_free(l);
    if (l->http)
        http_client_free(l->http);
    if (l->tick)
        fl_timer_free(l->tick);
    if (l->term)
        fl_signal_free(l->term);
    if (l->interrupt)
        fl_signal_free(l->interrupt);
    for (size_t i = 0; i < l->n_errors; i++) {
        free(l->errors[i].kind);
        free(l->errors[i].message);
    }
    free(l->errors);
    free(l->samples);
    load_agents_done(&l->agents);
    load_metrics_done(&l->metrics_before);
    load_metrics_done(&l->metrics_after);
    fl_arena_free(l->arena);
    fl_buf_done(&l->out);
    fl_buf_done(&l->accept.launch);
    free(l->total);
    free(l->why);
    free(l->host);
    fl_loop_free(l->loop);
    free(l);
}

/* A run that was ended by time, or asked to end, did well unless something went wrong before. */
bool load_went_well(const struct load *l)
{
    bool whole = l->options.seconds_us || l->asked_to_end ||
                 l->options.until == LOAD_UNTIL_ACCEPTED || all_complete(l) || l->killed_us;

    return whole && !l->failed && l->gangs_partial == 0 && l->settled_us;
}
