/* An allocator from outside the tree, as an example (docs/allocator-modules.md): all that is free on an agent goes to the framework that
 * came first and did not decline anything of it within its refuse_seconds. No fairness, no quota, the first role only. Built as a
 * shared object with nothing but the headers:
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

/* What one framework was offered or uses on an agent. */
struct holding {
    char *framework;
    struct resources res; /* with allocation_info */
    bool asked;           /* an inverse offer is outstanding */
    struct holding *next;
};

struct agent {
    char *id, *hostname;
    bool active;
    struct resources total;
    struct holding *holdings;
    V1__Unavailability *unavailability; /* or NULL */
    struct agent *next;
};

struct allocator {
    struct allocator_callbacks cb;
    struct framework *frameworks; /* first come first */
    struct agent *agents;
    struct refusal *refusals;
    char **whitelist; /* host names; NULL: all */
    size_t n_whitelist;
    uint64_t n_offers;
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

/* ---- books ---- */

static struct holding *find_holding(struct agent *ag, const char *framework)
{
    struct holding *h = ag->holdings;

    while (h && !streq(h->framework, framework))
        h = h->next;
    return h;
}

static void hold(struct agent *ag, const char *framework, const struct resources *res)
{
    struct holding *h = find_holding(ag, framework);

    if (!h) {
        h = xnew0(struct holding);
        h->framework = xstrdup(framework);
        h->next = ag->holdings;
        ag->holdings = h;
    }
    resources_add(&h->res, res);
}

/* Frees the holdings of nothing, unless they say that somebody was asked, and with a framework all of its own. */
static void drop_holdings(struct agent *ag, const char *framework_or_null)
{
    for (struct holding **p = &ag->holdings; *p;) {
        struct holding *h = *p;

        if ((!resources_empty(&h->res) || h->asked) && !streq(h->framework, framework_or_null)) {
            p = &h->next;
            continue;
        }
        *p = h->next;
        resources_done(&h->res);
        free(h->framework);
        free(h);
    }
}

/* What nobody holds. */
static void free_of(const struct agent *ag, struct resources *out)
{
    resources_copy(out, &ag->total);
    for (const struct holding *h = ag->holdings; h; h = h->next) {
        _cleanup_resources_ struct resources bare = RESOURCES_INIT;

        resources_copy(&bare, &h->res);
        resources_unallocate(&bare);
        resources_subtract(out, &bare);
    }
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

static bool listed(const struct allocator *a, const struct agent *ag)
{
    for (size_t i = 0; i < a->n_whitelist; i++)
        if (streq(a->whitelist[i], ag->hostname))
            return true;
    return !a->whitelist;
}

static void offer(struct allocator *a, struct framework *f, struct agent *ag)
{
    _cleanup_resources_ struct resources free_now = RESOURCES_INIT, take = RESOURCES_INIT;

    free_of(ag, &free_now);
    resources_allocatable_to(&free_now, f->role, &take);
    if (resources_empty(&take))
        return;
    resources_allocate(&take, f->role);
    hold(ag, f->id, &take);
    a->n_offers++;
    a->cb.offer(a->cb.arg, f->id, f->role, ag->id, &take);
}

/* Whoever has something on an agent that will be unavailable is asked to leave, once: so update_inverse_offer() is not needed. */
static void ask_to_leave(struct allocator *a, struct agent *ag)
{
    for (struct holding *h = ag->holdings; h && ag->unavailability && a->cb.inverse_offer;
         h = h->next) {
        struct framework *f = find_framework(a, h->framework);

        if (h->asked || resources_empty(&h->res) || !f || !f->active)
            continue;
        h->asked = true;
        a->cb.inverse_offer(a->cb.arg, f->id, ag->id, ag->unavailability);
    }
}

static uint64_t run(struct allocator *a, uint64_t now_us, uint64_t budget_us, bool all)
{
    uint64_t next = expire(a, now_us, NULL);

    for (struct agent *ag = a->agents; ag && !a->paused; ag = ag->next) {
        for (struct framework *f = a->frameworks; f && ag->active && listed(a, ag); f = f->next)
            if (f->active && !f->suppressed && !refused(a, f, ag))
                offer(a, f, ag);
        ask_to_leave(a, ag);
    }
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
            for (struct agent *ag = a->agents; ag; ag = ag->next)
                drop_holdings(ag, f->id);
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

static void put_unavailability(struct agent *ag, const V1__Unavailability *u)
{
    fl_pb_free(ag->unavailability);
    ag->unavailability = u ? FL_PB_DUP(u) : NULL;
    for (struct holding *h = ag->holdings; h; h = h->next)
        h->asked = false;
    drop_holdings(ag, NULL);
}

static void add_agent(struct allocator *a, const struct allocator_agent *in, uint64_t now_us)
{
    struct agent *ag = xnew0(struct agent);

    ag->id = xstrdup(in->id);
    ag->hostname = xstrdup(in->info->hostname);
    ag->active = in->active;
    resources_copy(&ag->total, in->total);
    for (size_t i = 0; i < in->n_used; i++)
        hold(ag, in->used[i].framework_id, in->used[i].res);
    put_unavailability(ag, in->unavailability);
    ag->next = a->agents;
    a->agents = ag;
}

static void remove_agent(struct allocator *a, const char *id)
{
    for (struct agent **p = &a->agents; *p; p = &(*p)->next)
        if (streq((*p)->id, id)) {
            struct agent *ag = *p;

            *p = ag->next;
            while (ag->holdings) {
                _cleanup_free_ char *framework = xstrdup(ag->holdings->framework);
                drop_holdings(ag, framework);
            }
            put_unavailability(ag, NULL);
            resources_done(&ag->total);
            free(ag->hostname);
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
    for (size_t i = 0; i < a->n_whitelist; i++)
        free(a->whitelist[i]);
    free(TAKE_PTR(a->whitelist));
    a->n_whitelist = 0;
    if (!hostnames)
        return;
    a->whitelist = xcalloc(n + 1, sizeof(*a->whitelist));
    while (a->n_whitelist < n) {
        a->whitelist[a->n_whitelist] = xstrdup(hostnames[a->n_whitelist]);
        a->n_whitelist++;
    }
}

static void set_unavailability(struct allocator *a, const char *agent_id,
                               const V1__Unavailability *u, uint64_t now_us)
{
    struct agent *ag = find_agent(a, agent_id);

    if (ag)
        put_unavailability(ag, u);
}

/* ---- resources ---- */

static void transition_to_used(struct allocator *a, const char *framework_id, const char *agent_id,
                               const struct resources *res)
{
}

/* A decline hides the whole agent for a while. */
static void refuse(struct allocator *a, const char *framework_id, const char *agent_id,
                   const V1__Filters *filters, uint64_t now_us)
{
    double seconds = filters->has_refuse_seconds ? filters->refuse_seconds : 5;
    struct refusal *r = xnew0(struct refusal);

    r->framework = xstrdup(framework_id);
    r->agent = xstrdup(agent_id);
    r->until_us = now_us + (uint64_t)(seconds > 1 && seconds < 1e9 ? seconds * 1e6 : 1e6);
    r->next = a->refusals;
    a->refusals = r;
}

static void recover(struct allocator *a, const char *framework_id, const char *agent_id,
                    const struct resources *res, const V1__Filters *filters, uint64_t now_us)
{
    struct agent *ag = find_agent(a, agent_id);
    struct holding *h = ag ? find_holding(ag, framework_id) : NULL;

    if (!h)
        return;
    resources_subtract(&h->res, res);
    drop_holdings(ag, NULL);
    if (filters && find_framework(a, framework_id))
        refuse(a, framework_id, agent_id, filters, now_us);
}

/* RESERVE, CREATE and the like: `from` becomes `to` where it is held, or in what is free, and in the total. */
static int update_allocation(struct allocator *a, const char *framework_id, const char *agent_id,
                             const struct resources *from, const struct resources *to,
                             struct fl_err *err)
{
    struct agent *ag = find_agent(a, agent_id);
    struct holding *h = ag && framework_id ? find_holding(ag, framework_id) : NULL;
    _cleanup_resources_ struct resources have = RESOURCES_INIT, less = RESOURCES_INIT,
                                         more = RESOURCES_INIT;

    if (ag && !framework_id)
        free_of(ag, &have);
    else if (h)
        resources_copy(&have, &h->res);
    if (!resources_contains(&have, from))
        return fl_err_set(err, FL_CONFLICT, "agent '%s' does not have what is to be changed",
                          agent_id);
    if (h) {
        resources_subtract(&h->res, from);
        resources_add(&h->res, to);
    }
    resources_copy(&less, from);
    resources_unallocate(&less);
    resources_copy(&more, to);
    resources_unallocate(&more);
    resources_subtract(&ag->total, &less);
    resources_add(&ag->total, &more);
    return 0;
}

static void add_used(struct allocator *a, const char *framework_id, const char *agent_id,
                     const struct resources *res)
{
    struct agent *ag = find_agent(a, agent_id);

    if (ag)
        hold(ag, framework_id, res);
}

static void set_weight(struct allocator *a, const char *role, double weight)
{
}

static void set_paused(struct allocator *a, bool paused)
{
    a->paused = paused;
}

/* ---- numbers, and the end ---- */

static void numbers(const struct allocator *a,
                    void (*fn)(const char *name, double value, void *arg), void *arg)
{
    fn("offers", (double)a->n_offers, arg);
}

static void destroy(struct allocator *a)
{
    while (a->frameworks)
        remove_framework(a, a->frameworks->id);
    while (a->agents)
        remove_agent(a, a->agents->id);
    expire(a, UINT64_MAX, NULL);
    set_whitelist(a, NULL, 0);
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
    .set_unavailability = set_unavailability,
    .numbers = numbers,
};

FL_PUBLIC extern const struct allocator_module fairlead_allocator_module;
const struct allocator_module fairlead_allocator_module = {
    .abi = ALLOCATOR_ABI,
    .author = "Fairlead's tests",
    .description = "Everything to the framework that came first",
    .ops = &first_fit,
};
