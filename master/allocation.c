/* The core's side of the allocator module: tells it what changes, runs it, and takes its decisions.
 *
 * A change only marks that a run is due; the run comes as soon as the events at hand are handled,
 * so a burst of them is one run. Besides, every allocation interval looks at all agents. The module
 * may not be entered again from its own offer callback: what comes back then waits for the end of
 * the run.
 */
#include "master/core.h"

#include "master/allocator/allocator_record.h"

static void run(struct master *m, bool all)
{
    struct core *c = m->core;
    uint64_t now = core_now(m), next;

    core_enter(m);
    if (c->alloc_kicked)
        metric_sample_ms(c->alloc_latency_ms, (double)(now - c->alloc_kicked_us) / 1000.0);
    c->alloc_kicked = false;
    metric_inc(c->alloc_runs);
    c->alloc_running = true;
    next = m->alloc_ops->run(m->alloc, now, m->flags->allocation_slice, all);
    c->alloc_running = false;
    metric_sample_ms(c->alloc_ms, (double)(core_now(m) - now) / 1000.0);
    while (c->returned) {
        struct returned *r = c->returned;
        c->returned = r->next;
        m->alloc_ops->recover(m->alloc, r->framework_id, r->agent_id, &r->res, NULL, now);
        resources_done(&r->res);
    }
    offers_flush(m);
    inverse_offers_flush(m);
    if (next != UINT64_MAX && !c->alloc_kicked)
        env_timer_set(core_env(m), c->alloc_timer, next > now ? next - now : 0);
    core_leave(m);
}

static void on_due(void *arg)
{
    run(arg, false);
}

static void on_interval(void *arg)
{
    struct master *m = arg;

    run(m, true);
    env_timer_set(core_env(m), m->core->alloc_interval_timer, m->flags->allocation_interval);
}

void allocation_kick(struct master *m)
{
    if (m->core->alloc_kicked || !m->recovered)
        return;
    m->core->alloc_kicked = true;
    m->core->alloc_kicked_us = core_now(m);
    env_timer_set(core_env(m), m->core->alloc_timer, 0);
}

/* "a,b" -> names in the scratch arena */
static size_t split(struct master *m, const char *text, const char ***ret)
{
    size_t n = 0, cap = 1;
    char *copy = fl_arena_strdup(m->core->scratch, text);

    for (const char *p = text; *p; p++)
        cap += *p == ',';
    *ret = core_alloc(m, cap * sizeof(char *));
    while (*copy) {
        size_t len = strcspn(copy, ",");
        bool last = copy[len] == '\0';
        copy[len] = '\0';
        if (len > 0)
            (*ret)[n++] = copy;
        copy += len + !last;
    }
    return n;
}

static void flush(void *arg)
{
    offers_flush(arg);
}

int allocation_new(struct master *m, const struct allocator_ops *ops, struct fl_err *err)
{
    const struct allocator_callbacks cb = {
        .offer = offer_made, .inverse_offer = inverse_offer_made, .flush = flush, .arg = m};
    const struct master_flags *fl = m->flags;
    struct allocator_options o = {
        .allocation_interval_us = fl->allocation_interval,
        .min_allocatable_resources = fl->min_allocatable_resources,
        .role_sorter = fl->role_sorter,
        .framework_sorter = fl->framework_sorter,
        .filter_gpu_resources = fl->filter_gpu_resources,
        .master_domain = m->info->domain,
    };
    const char **excluded = NULL;
    int r;

    core_enter(m);
    if (fl->fair_sharing_excluded_resource_names)
        o.n_fair_share_excluded = split(m, fl->fair_sharing_excluded_resource_names, &excluded);
    o.fair_share_excluded = excluded;
    env_random(core_env(m), &o.random_seed, sizeof(o.random_seed));
    m->alloc_ops = ops;
    r = m->env->allocator_log ? allocator_record_new(ops, &o, &cb, m->env->allocator_log,
                                                     &m->alloc_ops, &m->alloc, err)
                              : ops->create(&o, &cb, &m->alloc, err);
    core_leave(m);
    if (r < 0)
        return r;
    m->core->alloc_timer = env_timer_new(core_env(m), on_due, m);
    m->core->alloc_interval_timer = env_timer_new(core_env(m), on_interval, m);
    env_timer_set(core_env(m), m->core->alloc_interval_timer, fl->allocation_interval);
    return 0;
}

void allocation_free(struct master *m)
{
    env_timer_free(core_env(m), m->core->alloc_timer);
    env_timer_free(core_env(m), m->core->alloc_interval_timer);
    if (m->alloc)
        m->alloc_ops->destroy(m->alloc);
}

void allocation_recover(struct master *m, const char *framework_id, const char *agent_id,
                        const struct resources *res, const V1__Filters *filters)
{
    if (resources_empty(res))
        return;
    if (m->core->alloc_running) {
        struct returned *r = core_new(m, struct returned);
        r->framework_id = fl_arena_strdup(m->core->scratch, framework_id);
        r->agent_id = fl_arena_strdup(m->core->scratch, agent_id);
        resources_copy(&r->res, res);
        LL_PREPEND(m->core->returned, r);
        return;
    }
    m->alloc_ops->recover(m->alloc, framework_id, agent_id, res, filters, core_now(m));
    allocation_kick(m);
}

static struct allocator_framework describe(const struct framework *f)
{
    return (struct allocator_framework){
        .id = f->id,
        .info = f->info,
        .suppressed_roles = f->suppressed,
        .n_suppressed = f->n_suppressed,
        .constraints = f->constraints,
        .constraints_pb = f->constraints_pb,
        .active = f->active,
    };
}

void allocation_add_framework(struct master *m, struct framework *f)
{
    struct allocator_framework d = describe(f);

    m->alloc_ops->add_framework(m->alloc, &d, core_now(m));
    allocation_kick(m);
}

void allocation_update_framework(struct master *m, struct framework *f)
{
    struct allocator_framework d = describe(f);

    m->alloc_ops->update_framework(m->alloc, &d, core_now(m));
    allocation_kick(m);
}

static size_t used_by_framework(struct master *m, struct agent *a, struct allocator_used **ret)
{
    struct usage *u;
    size_t n = 0;

    LL_FOREACH (a->usages, u)
        n++;
    *ret = core_alloc(m, (n + 1) * sizeof(**ret));
    n = 0;
    LL_FOREACH (a->usages, u) {
        if (!resources_empty(&u->used))
            (*ret)[n++] = (struct allocator_used){u->framework_id, &u->used};
    }
    return n;
}

void allocation_add_agent(struct master *m, struct agent *a, bool is_update)
{
    struct allocator_used *used = NULL;
    struct allocator_agent d = {
        .id = a->id,
        .info = a->info,
        .total = &a->total,
        .unavailability = a->unavailability,
        .active = a->active,
    };
    V1__AgentInfo__Capability **caps = core_alloc(m, (a->n_capabilities + 1) * sizeof(*caps));

    for (size_t i = 0; i < a->n_capabilities; i++) {
        caps[i] = core_new(m, V1__AgentInfo__Capability);
        v1__agent_info__capability__init(caps[i]);
        caps[i]->has_type = true;
        caps[i]->type = a->capabilities[i];
    }
    d.capabilities = caps;
    d.n_capabilities = a->n_capabilities;
    if (is_update) {
        m->alloc_ops->update_agent(m->alloc, &d, core_now(m));
    } else {
        d.n_used = used_by_framework(m, a, &used);
        d.used = used;
        m->alloc_ops->add_agent(m->alloc, &d, core_now(m));
    }
    allocation_kick(m);
}
