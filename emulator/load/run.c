/* A run and its time: groups that are due, jobs that arrive, and what is looked at now and then. See load.h; phases.c says what follows
 * what. */
#include <signal.h>

#include "common/base/http.h"
#include "emulator/load/run.h"

#define TICK_US        100000ull
#define FENCE_EVERY_US 1000000ull
enum { MAX_SAMPLES = 36000 };

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

void load_start_due_groups(struct load *l)
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

    load_start_due_groups(l);
    sample(l);
    fence_now_and_then(l);
    if (l->options.seconds_us && since > l->options.seconds_us && l->phase == LOAD_WORKING)
        load_enter(l, LOAD_SETTLING);
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
        load_enter(l, l->phase + 1);
    }
    if (l->phase == LOAD_LEAVING)
        load_leaving(l);
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
        load_enter(l, LOAD_SETTLING);
    else if (l->phase == LOAD_HOLDING)
        load_enter(l, LOAD_LEAVING);
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
    load_get_metrics(l, false);
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
                 l->options.until == LOAD_UNTIL_ACCEPTED || load_all_complete(l) || l->killed_us;

    return whole && !l->failed && l->gangs_partial == 0 && l->settled_us;
}
