/* An allocator from outside the tree, as an example: all that is free on an agent goes to the framework that came first and did
 * not decline it within its refuse_seconds. No fairness. Built as a shared object with nothing but the headers:
 *
 *     cc -shared -fPIC -o allocator_first_fit.so allocator_first_fit.c
 *
 * The functions of common/model and common/base that it calls are those of the program that loads it (master/allocator/allocator.h).
 */
#include "master/allocator/allocator.h"

struct framework {
    char *id, *role;
    bool active, suppressed;
    struct framework *next;
};

struct refusal {
    char *framework, *agent;
    uint64_t until_us;
    struct refusal *next;
};

struct agent {
    char *id;
    bool active;
    struct resources total, held; /* held: without allocation_info, by anybody */
    struct agent *next;
};

struct allocator {
    struct allocator_callbacks cb;
    struct framework *frameworks; /* first come first */
    struct agent *agents;
    struct refusal *refusals;
    bool paused;
};

static int create(const struct allocator_options *o, const struct allocator_callbacks *cb,
                  struct allocator **ret, struct fl_err *err)
{
    struct allocator *a = xnew0(struct allocator);

    a->cb = *cb;
    *ret = a;
    return 0;
}

static struct framework *find_framework(struct allocator *a, const char *id)
{
    struct framework *f = a->frameworks;

    while (f && !streq(f->id, id))
        f = f->next;
    return f;
}

static struct agent *find_agent(struct allocator *a, const char *id)
{
    struct agent *ag = a->agents;

    while (ag && !streq(ag->id, id))
        ag = ag->next;
    return ag;
}

/* ---- offers ---- */

static bool refused(const struct allocator *a, const struct framework *f, const struct agent *ag)
{
    for (const struct refusal *r = a->refusals; r; r = r->next)
        if (streq(r->framework, f->id) && streq(r->agent, ag->id))
            return true;
    return false;
}

/* Drops what is over; returns when the next one ends. */
static uint64_t expire(struct allocator *a, uint64_t now_us, const char *framework_or_null)
{
    uint64_t next = UINT64_MAX;

    for (struct refusal **p = &a->refusals; *p;) {
        struct refusal *r = *p;

        if (r->until_us > now_us && !streq(r->framework, framework_or_null)) {
            next = FL_MIN(next, r->until_us);
            p = &r->next;
            continue;
        }
        *p = r->next;
        free(r->framework);
        free(r->agent);
        free(r);
    }
    return next;
}

static void offer(struct allocator *a, struct framework *f, struct agent *ag)
{
    _cleanup_resources_ struct resources free_now = RESOURCES_INIT, take = RESOURCES_INIT;

    resources_copy(&free_now, &ag->total);
    resources_subtract(&free_now, &ag->held);
    resources_allocatable_to(&free_now, f->role, &take);
    if (resources_empty(&take))
        return;
    resources_add(&ag->held, &take);
    resources_allocate(&take, f->role);
    a->cb.offer(a->cb.arg, f->id, f->role, ag->id, &take);
}

static uint64_t run(struct allocator *a, uint64_t now_us, uint64_t budget_us, bool all)
{
    uint64_t next = expire(a, now_us, NULL);

    for (struct agent *ag = a->agents; ag && !a->paused; ag = ag->next)
        for (struct framework *f = a->frameworks; f && ag->active; f = f->next)
            if (f->active && !f->suppressed && !refused(a, f, ag))
                offer(a, f, ag);
    return next;
}

/* ---- frameworks ---- */

static void add_framework(struct allocator *a, const struct allocator_framework *in,
                          uint64_t now_us)
{
    struct framework *f = xnew0(struct framework), **end = &a->frameworks;

    while (*end)
        end = &(*end)->next;
    *end = f;
    f->id = xstrdup(in->id);
    f->role = xstrdup(in->info->n_roles ? in->info->roles[0] : in->info->role);
    f->active = in->active;
    f->suppressed = in->n_suppressed > 0;
}

static void remove_framework(struct allocator *a, const char *id)
{
    for (struct framework **p = &a->frameworks; *p; p = &(*p)->next)
        if (streq((*p)->id, id)) {
            struct framework *f = *p;

            *p = f->next;
            expire(a, 0, f->id);
            free(f->id);
            free(f->role);
            free(f);
            return;
        }
}

static void update_framework(struct allocator *a, const struct allocator_framework *in,
                             uint64_t now_us)
{
    struct framework *f = find_framework(a, in->id);

    if (f)
        f->suppressed = in->n_suppressed > 0;
}

static void set_framework_active(struct allocator *a, const char *id, bool active)
{
    struct framework *f = find_framework(a, id);

    if (f)
        f->active = active;
}

static void suppress(struct allocator *a, const char *id, const char *const *roles, size_t n)
{
    struct framework *f = find_framework(a, id);

    if (f)
        f->suppressed = true;
}

static void revive(struct allocator *a, const char *id, const char *const *roles, size_t n,
                   uint64_t now_us)
{
    struct framework *f = find_framework(a, id);

    if (f)
        f->suppressed = false;
    expire(a, 0, id);
}

/* ---- agents ---- */

static void hold(struct agent *ag, const struct resources *res)
{
    _cleanup_resources_ struct resources bare = RESOURCES_INIT;

    resources_copy(&bare, res);
    resources_unallocate(&bare);
    resources_add(&ag->held, &bare);
}

static void add_agent(struct allocator *a, const struct allocator_agent *in, uint64_t now_us)
{
    struct agent *ag = xnew0(struct agent);

    ag->id = xstrdup(in->id);
    ag->active = in->active;
    resources_copy(&ag->total, in->total);
    for (size_t i = 0; i < in->n_used; i++)
        hold(ag, in->used[i].res);
    ag->next = a->agents;
    a->agents = ag;
}

static void remove_agent(struct allocator *a, const char *id)
{
    for (struct agent **p = &a->agents; *p; p = &(*p)->next)
        if (streq((*p)->id, id)) {
            struct agent *ag = *p;

            *p = ag->next;
            resources_done(&ag->total);
            resources_done(&ag->held);
            free(ag->id);
            free(ag);
            return;
        }
}

static void update_agent(struct allocator *a, const struct allocator_agent *in, uint64_t now_us)
{
    struct agent *ag = find_agent(a, in->id);

    if (ag)
        resources_copy(&ag->total, in->total);
}

static void set_agent_active(struct allocator *a, const char *id, bool active)
{
    struct agent *ag = find_agent(a, id);

    if (ag)
        ag->active = active;
}

static void set_whitelist(struct allocator *a, const char *const *hostnames, size_t n)
{
}

/* ---- resources ---- */

static void transition_to_used(struct allocator *a, const char *framework_id, const char *agent_id,
                               const struct resources *res)
{
}

static void recover(struct allocator *a, const char *framework_id, const char *agent_id,
                    const struct resources *res, const V1__Filters *filters, uint64_t now_us)
{
    struct agent *ag = find_agent(a, agent_id);
    _cleanup_resources_ struct resources bare = RESOURCES_INIT;
    double seconds = filters && filters->has_refuse_seconds ? filters->refuse_seconds : 5;

    if (!ag)
        return;
    resources_copy(&bare, res);
    resources_unallocate(&bare);
    resources_subtract(&ag->held, &bare);
    if (filters && find_framework(a, framework_id)) {
        struct refusal *r = xnew0(struct refusal);

        r->framework = xstrdup(framework_id);
        r->agent = xstrdup(agent_id);
        r->until_us = now_us + (uint64_t)(seconds > 1 && seconds < 1e9 ? seconds * 1e6 : 1e6);
        r->next = a->refusals;
        a->refusals = r;
    }
}

static int update_allocation(struct allocator *a, const char *framework_id, const char *agent_id,
                             const struct resources *from, const struct resources *to,
                             struct fl_err *err)
{
    return fl_err_set(err, FL_NOT_IMPLEMENTED, "this allocator knows no operations");
}

static void add_used(struct allocator *a, const char *framework_id, const char *agent_id,
                     const struct resources *res)
{
    struct agent *ag = find_agent(a, agent_id);

    if (ag)
        hold(ag, res);
}

static void set_weight(struct allocator *a, const char *role, double weight)
{
}

static void set_paused(struct allocator *a, bool paused)
{
    a->paused = paused;
}

static void destroy(struct allocator *a)
{
    while (a->frameworks)
        remove_framework(a, a->frameworks->id);
    while (a->agents)
        remove_agent(a, a->agents->id);
    expire(a, UINT64_MAX, NULL);
    free(a);
}

static const struct allocator_ops first_fit = {
    .abi = ALLOCATOR_ABI,
    .name = "FirstFit",
    .create = create,
    .destroy = destroy,
    .run = run,
    .add_framework = add_framework,
    .remove_framework = remove_framework,
    .update_framework = update_framework,
    .set_framework_active = set_framework_active,
    .add_agent = add_agent,
    .remove_agent = remove_agent,
    .update_agent = update_agent,
    .set_agent_active = set_agent_active,
    .set_whitelist = set_whitelist,
    .transition_to_used = transition_to_used,
    .recover = recover,
    .update_allocation = update_allocation,
    .add_used = add_used,
    .suppress = suppress,
    .revive = revive,
    .set_weight = set_weight,
    .set_paused = set_paused,
};

FL_PUBLIC extern const struct allocator_module fairlead_allocator_module;
const struct allocator_module fairlead_allocator_module = {
    .abi = ALLOCATOR_ABI,
    .author = "Fairlead's tests",
    .description = "Everything to the framework that came first",
    .ops = &first_fit,
};
