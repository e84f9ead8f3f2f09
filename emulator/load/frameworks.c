/* Frameworks: how they are made, their calls, jobs that arrive, and what their links say. See load.h. */
#include <pwd.h>
#include <stdio.h>

#include "common/base/json.h"
#include "emulator/load/offers.h"

/* ---- making ---- */

static void add_capability(V1__FrameworkInfo *info, V1__FrameworkInfo__Capability__Type type)
{
    V1__FrameworkInfo__Capability *c = xmalloc(sizeof *c);

    v1__framework_info__capability__init(c);
    c->has_type = true;
    c->type = type;
    info->capabilities = xrealloc(info->capabilities, (info->n_capabilities + 1) * sizeof(void *));
    info->capabilities[info->n_capabilities++] = c;
}

static void add_gang(V1__FrameworkInfo *info, const struct load_entry *e)
{
    _cleanup_buf_ struct fl_buf value = FL_BUF_INIT;
    V1__Label *label = xmalloc(sizeof *label);

    load_gang_label(e, &value);
    info->labels = xmalloc(sizeof *info->labels);
    v1__labels__init(info->labels);
    v1__label__init(label);
    label->key = xstrdup("fairlead.gang");
    label->value = fl_buf_take(&value);
    info->labels->labels = xcalloc(1, sizeof(void *));
    info->labels->labels[0] = label;
    info->labels->n_labels = 1;
}

static bool needs(const struct load_entry *e, const char *name)
{
    for (size_t i = 0; i < e->need.n; i++) {
        if (streq(e->need.v[i].name, name))
            return true;
    }
    return false;
}

static V1__FrameworkInfo *make_info(const struct load_entry *e, uint32_t index)
{
    V1__FrameworkInfo *info = xmalloc(sizeof *info);

    v1__framework_info__init(info);
    info->user = xstrdup("nobody");
    info->name = xasprintf("%s-%u", e->name, index + 1);
    info->principal = e->principal ? xstrdup(e->principal) : NULL;
    /* So that a subscription that breaks, or a master that starts again, finds it. */
    info->has_failover_timeout = info->has_checkpoint = true;
    info->failover_timeout = 300;
    info->checkpoint = e->checkpoint;
    info->roles = xcalloc(1, sizeof(char *));
    info->roles[0] = xstrdup(e->role ? e->role : "*");
    info->n_roles = 1;
    add_capability(info, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE);
    add_capability(info, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE);
    add_capability(info, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__REGION_AWARE);
    if (needs(e, "gpus"))
        add_capability(info, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__GPU_RESOURCES);
    if (e->gang)
        add_gang(info, e);
    return info;
}

static int framework_new(struct load_group *g, uint32_t index, struct fl_err *err)
{
    struct load_framework *f = &g->frameworks[index];
    const struct load_entry *e = g->entry;

    *f = (struct load_framework){.load = g->load, .group = g, .index = index, .suppressed = true};
    f->info = make_info(e, index);
    /* Jobs are dealt out in turn. */
    f->n_jobs = (size_t)(e->jobs / e->frameworks + (index < e->jobs % e->frameworks));
    f->n_tasks = f->n_jobs * (size_t)e->tasks;
    f->jobs = xcalloc(f->n_jobs + 1, sizeof *f->jobs);
    f->tasks = xcalloc(f->n_tasks + 1, sizeof *f->tasks);
    g->n_frameworks++;
    f->link = e->api == LOAD_HTTP ? load_link_http_new(f, err) : load_link_lib_new(f, err);
    return f->link ? 0 : -1;
}

int load_groups_new(struct load *l, struct fl_err *err)
{
    l->groups = xcalloc(l->plan->n_entries, sizeof *l->groups);
    for (size_t i = 0; i < l->plan->n_entries; i++) {
        struct load_group *g = &l->groups[i];
        const struct load_entry *e = &l->plan->entries[i];

        g->load = l;
        g->entry = e;
        g->figures = xnew0(struct load_figures);
        g->random.state = l->plan->seed * 0x9e3779b97f4a7c15ull + i;
        g->total = e->keep ? 0 : e->jobs * e->tasks;
        g->frameworks = xcalloc((size_t)e->frameworks, sizeof *g->frameworks);
        load_call_pattern(&g->pattern, e);
        l->n_groups++;
    }
    return 0;
}

/* A few at a time, or the master's backlog of connections would be what is measured. */
int load_groups_open(struct load *l, uint64_t most, bool *ret_all, struct fl_err *err)
{
    *ret_all = true;
    for (size_t i = 0; i < l->n_groups; i++) {
        struct load_group *g = &l->groups[i];

        for (; g->n_frameworks < g->entry->frameworks && most > 0; most--) {
            int r = framework_new(g, (uint32_t)g->n_frameworks, err);

            if (r < 0)
                return r;
        }
        *ret_all = *ret_all && g->n_frameworks == g->entry->frameworks;
    }
    return 0;
}

static void framework_done(struct load_framework *f)
{
    if (f->link)
        f->link->ops->free(f->link);
    load_held_drop(f);
    fl_pb_free(f->info);
    free(f->id);
    free(f->jobs);
    free(f->tasks);
    free(f->again);
    free(f->last_agent);
}

void load_groups_free(struct load *l)
{
    for (size_t i = 0; i < l->n_groups; i++) {
        struct load_group *g = &l->groups[i];

        for (size_t k = 0; k < g->n_frameworks; k++)
            framework_done(&g->frameworks[k]);
        if (g->timer)
            fl_timer_free(g->timer);
        fl_buf_done(&g->pattern);
        free(g->frameworks);
        free(g->figures);
    }
    free(l->groups);
}

/* ---- calls ---- */

void load_framework_send(struct load_framework *f, uint64_t ref_us)
{
    f->group->figures->counts[LOAD_COUNT_CALLS]++;
    f->link->ops->call(f->link, f->load->out.data, f->load->out.len, ref_us);
}

void load_framework_suppress(struct load_framework *f)
{
    f->suppressed = true;
    load_call_plain(&f->load->out, SCHED__CALL__TYPE__SUPPRESS);
    load_framework_send(f, 0);
}

void load_framework_fence(struct load_framework *f)
{
    char id[40];
    const char *list = id;

    if (!f->subscribed)
        return;
    f->fence++;
    f->fence_sent_us = f->load->now_us;
    fl_snprintf(id, sizeof id, "fence-%llx", (unsigned long long)f->fence);
    load_call_reconcile(&f->load->out, &list, 1);
    load_framework_send(f, 0);
}

/* ---- jobs ---- */

void load_group_arrive(struct load_group *g)
{
    struct load_framework *f = &g->frameworks[g->next_job++ % g->n_frameworks];

    f->jobs[f->n_arrived++].arrived_us = g->load->now_us;
    f->n_arrived_tasks += (size_t)g->entry->tasks;
    g->figures->counts[LOAD_COUNT_JOBS]++;
    g->figures->counts[LOAD_COUNT_TASKS] += g->entry->tasks;
    g->load->gangs += g->entry->gang;
    load_want(f, true);
}

/* ---- kills ---- */

enum { KILLS_UNDER_WAY = 8192, KILLS_LEAST = 64 };

void load_framework_kill_some(struct load_framework *f)
{
    uint64_t window = FL_MAX(KILLS_UNDER_WAY / f->group->n_frameworks, (uint64_t)KILLS_LEAST);
    char id[LOAD_TASK_ID];

    while (f->subscribed && f->kill_next < f->n_tasks && f->killing < window) {
        size_t i = f->kill_next++;
        struct load_task *t = &f->tasks[i];

        if (t->state != LOAD_ACCEPTED && t->state != LOAD_RUNNING)
            continue;
        if (!t->killed)
            f->killing++;
        t->killed = true;
        t->changed_us = f->load->now_us;
        load_task_id(id, i, t->attempt);
        load_call_kill(&f->load->out, id);
        load_framework_send(f, 0);
    }
}

/* ---- what may have been missed ---- */

enum { RESYNC_SOME = 500 };
#define RESYNC_AGE_US 10000000ull

static void kill_again(struct load_framework *f)
{
    for (size_t i = 0; i < f->n_tasks; i++)
        f->tasks[i].killed = f->tasks[i].killed && f->tasks[i].state == LOAD_ENDED;
    f->killing = 0;
    f->kill_next = 0;
    load_framework_kill_some(f);
}

static void ask_for(struct load_framework *f, char (*ids)[LOAD_TASK_ID], size_t n)
{
    const char *list[RESYNC_SOME];

    for (size_t i = 0; i < n; i++)
        list[i] = ids[i];
    load_call_reconcile(&f->load->out, list, n);
    load_framework_send(f, 0);
}

void load_framework_resync(struct load_framework *f)
{
    _cleanup_free_ char(*ids)[LOAD_TASK_ID] = xcalloc(RESYNC_SOME, sizeof *ids);
    size_t n = 0;

    if (!f->subscribed)
        return;
    if (f->load->phase == LOAD_KILLING) {
        kill_again(f);
        return;
    }
    for (size_t i = 0; i < f->n_tasks && n < RESYNC_SOME; i++) {
        const struct load_task *t = &f->tasks[i];

        if (t->state == LOAD_ACCEPTED && f->load->now_us - t->accepted_us > RESYNC_AGE_US)
            load_task_id(ids[n++], i, t->attempt);
    }
    if (n > 0)
        ask_for(f, ids, n);
}

/* ---- from the links ---- */

void load_link_subscribed(struct load_framework *f, const char *framework_id)
{
    struct load *l = f->load;

    l->now_us = fl_loop_now_us(l->loop);
    if (!f->id) {
        f->id = xstrdup(framework_id);
        f->info->id = xmalloc(sizeof *f->info->id);
        v1__framework_id__init(f->info->id);
        f->info->id->value = xstrdup(framework_id);
    }
    f->subscribed = f->suppressed = true;
    if (!f->ever)
        l->subscribed++;
    else
        load_framework_resync(f);
    f->ever = true;
    load_want(f, true);
    load_progress(l);
}

void load_link_down(struct load_framework *f, const char *why)
{
    struct load *l = f->load;

    l->now_us = fl_loop_now_us(l->loop);
    load_held_drop(f);
    if (f->subscribed && l->phase < LOAD_LEAVING) {
        f->group->figures->counts[LOAD_COUNT_DISCONNECTS]++;
        load_error_count(l, "subscription lost", why, strlen(why));
    }
    f->subscribed = false;
    if (l->phase >= LOAD_LEAVING)
        f->gone = true;
    load_progress(l);
}

void load_link_dead(struct load_framework *f, const char *why)
{
    struct load *l = f->load;

    f->subscribed = false;
    f->gone = true;
    if (l->phase < LOAD_LEAVING)
        load_give_up(l, "framework '%s' cannot go on: %s", f->info->name, why);
    else
        load_progress(l);
}

void load_link_answered(struct load_framework *f, uint64_t us, uint64_t ref_us, int status,
                        struct load_bytes body)
{
    struct load_figures *g = f->group->figures;
    char kind[60];

    if (us != UINT64_MAX)
        hist_add(&g->hists[LOAD_HIST_CALL], us);
    if (ref_us)
        hist_add(&g->hists[LOAD_HIST_ACCEPT_ACKED], f->load->now_us - ref_us);
    if (status >= 200 && status < 300)
        return;
    fl_snprintf(kind, sizeof kind, "HTTP %d", status);
    g->counts[LOAD_COUNT_ERRORS]++;
    load_error_count(f->load, kind, body.p, body.n);
}

static void other_event(struct load_framework *f, const Sched__Event *ev)
{
    if (ev->offers)
        load_offers(f, ev->offers->offers, ev->offers->n_offers);
    if (ev->rescind)
        load_offer_rescinded(f, ev->rescind->offer_id->value);
    if (ev->subscribed)
        load_link_subscribed(f, ev->subscribed->framework_id->value);
    if (ev->type == SCHED__EVENT__TYPE__ERROR)
        load_link_dead(f, ev->error ? ev->error->message : "an ERROR event without a message");
}

void load_link_event(struct load_framework *f, const void *bytes, size_t n)
{
    struct load *l = f->load;
    struct load_update u;
    ProtobufCMessage *m;
    struct fl_err err;

    l->now_us = fl_loop_now_us(l->loop);
    if (load_event_update(bytes, n, &u)) {
        load_framework_heard(f, &u);
        load_progress(l);
        return;
    }
    fl_arena_reset(l->arena);
    if (fl_pb_decode(bytes, n, &sched__event__descriptor, fl_arena_allocator(l->arena), &m, &err) <
        0) {
        load_error_count(l, "an event that cannot be read", err.msg, strlen(err.msg));
        return;
    }
    other_event(f, (const Sched__Event *)m);
}
