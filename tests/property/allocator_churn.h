/* Random life of a cluster against an allocator, through its hooks alone and on a simulated clock: agents, frameworks, tasks,
 * declines, reservations, quota, weights, maintenance, suppression, recovery holds. A ledger of its own checks every offer:
 * nothing is offered twice, no agent gives more than it has, and what is declined or ends can be offered again. For the
 * property tests, the day of churn, and the recorder's tests. */
#ifndef TESTS_PROPERTY_ALLOCATOR_CHURN_H
#define TESTS_PROPERTY_ALLOCATOR_CHURN_H

#include <stdio.h>

#include "common/model/roles.h"
#include "master/allocator/allocator.h"

#define CHURN_SECOND UINT64_C(1000000)
#define CHURN_CHECK(x)                                                                             \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "churn seed %llu, %.6f s: %s\n", (unsigned long long)c->seed,          \
                    (double)c->now / 1e6, #x);                                                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static const char *const churn_tops[] = {"eng", "science", "ops"}; /* that may have a quota */

enum { CHURN_AGENTS = 48, CHURN_FRAMEWORKS = 16, CHURN_ROLES = 6, CHURN_TOPS = 3 };

static const char *const churn_roles[CHURN_ROLES] = {"*",       "eng",     "eng/web",
                                                     "eng/dev", "science", "ops/night"};
static const char *const churn_totals[] = {
    "cpus:8;mem:8192;disk:1000;ports:[31000-31099]",
    "cpus:16;mem:4096;ports:[31000-31009]",
    "cpus:4;mem:16384;disk:500;cpus(eng):2;mem(eng):512",
    "cpus:32;mem:65536;gpus:2",
};

struct churn_framework {
    char id[32];
    bool here, active;
    size_t roles[2], n_roles; /* the first and perhaps a second */
    unsigned generation;
};
struct churn_agent {
    char id[32];
    bool here, active, grown, listed;
    int64_t down_at;              /* nanoseconds: it will be unavailable; 0: it will not */
    struct resources total, free; /* the ledger */
    unsigned generation;
};
struct churn_held {
    size_t framework, agent, role;
    bool used;
    uint64_t due; /* the framework answers, or the task ends */
    struct resources res;
};
struct churn_inverse {
    size_t framework, agent;
};

struct churn {
    const struct allocator_ops *ops;
    struct allocator *a;
    uint64_t seed, random, now;
    struct churn_framework frameworks[CHURN_FRAMEWORKS];
    struct churn_agent agents[CHURN_AGENTS];
    struct churn_held *held;
    size_t n_held, held_cap;
    struct churn_inverse *inverse;
    size_t n_inverse, inverse_cap;
    bool paused, in_run, whitelisting;
    uint64_t n_offers, n_declines, n_tasks, n_reserved, n_inverse_offers;
    uint64_t next_us; /* what run() asked for */
    struct quantities limits[CHURN_TOPS];
    struct resources reserve_from[CHURN_ROLES], reserve_to[CHURN_ROLES];
};

static inline unsigned churn_rnd(struct churn *c, unsigned n)
{
    c->random = c->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(c->random >> 33) % n;
}

static inline bool churn_one_in(struct churn *c, unsigned n)
{
    return churn_rnd(c, n) == 0;
}

static inline size_t churn_framework_index(struct churn *c, const char *id)
{
    for (size_t i = 0; i < CHURN_FRAMEWORKS; i++)
        if (c->frameworks[i].here && streq(c->frameworks[i].id, id))
            return i;
    CHURN_CHECK(!"a framework that is there");
    return 0;
}

static inline size_t churn_agent_index(struct churn *c, const char *id)
{
    for (size_t i = 0; i < CHURN_AGENTS; i++)
        if (c->agents[i].here && streq(c->agents[i].id, id))
            return i;
    CHURN_CHECK(!"an agent that is there");
    return 0;
}

static inline size_t churn_role_index(struct churn *c, const char *role)
{
    for (size_t i = 0; i < CHURN_ROLES; i++)
        if (streq(churn_roles[i], role))
            return i;
    CHURN_CHECK(!"a role of the test");
    return 0;
}

static inline void churn_parse(struct churn *c, const char *text, struct resources *out)
{
    CHURN_CHECK(resources_parse(text, "*", out, NULL) == 0);
}

/* ---- quota ---- */

static inline bool churn_is_below(const char *role, const char *top)
{
    return streq(role, top) || role_is_strict_subrole(role, top);
}

/* What counts for the quota of a role: what is held unreserved in it and below it, and all that agents reserve to it or below. */
static inline milli_t churn_consumed(const struct churn *c, const char *top, const char *name)
{
    _cleanup_resources_ struct resources part = RESOURCES_INIT;
    milli_t sum = 0;

    for (size_t i = 0; i < c->n_held; i++)
        if (churn_is_below(churn_roles[c->held[i].role], top)) {
            resources_unreserved(&c->held[i].res, &part);
            sum += resources_scalar(&part, name);
        }
    for (size_t i = 0; i < CHURN_AGENTS; i++)
        for (size_t r = 1; c->agents[i].here && r < CHURN_ROLES; r++)
            if (churn_is_below(churn_roles[r], top)) {
                resources_reserved_to(&c->agents[i].total, churn_roles[r], &part);
                sum += resources_scalar(&part, name);
            }
    return sum;
}

/* A limit holds for the frameworks of the top-level role itself. */
static inline void churn_check_limit(struct churn *c, const char *role,
                                     const struct resources *offered)
{
    _cleanup_resources_ struct resources open = RESOURCES_INIT;

    resources_unreserved(offered, &open);
    for (size_t t = 0; t < CHURN_TOPS; t++)
        for (size_t i = 0; streq(role, churn_tops[t]) && i < c->limits[t].n; i++) {
            const struct quantity *q = &c->limits[t].items[i];
            CHURN_CHECK(resources_scalar(&open, q->name) == 0 ||
                        churn_consumed(c, role, q->name) <= q->amount);
        }
}

/* ---- what the allocator decides ---- */

static inline struct churn_held *churn_hold(struct churn *c)
{
    c->held = xgrow(c->held, &c->held_cap, c->n_held + 1, sizeof(*c->held));
    memset(&c->held[c->n_held], 0, sizeof(*c->held));
    return &c->held[c->n_held++];
}

static inline void churn_on_offer(void *arg, const char *framework_id, const char *role,
                                  const char *agent_id, const struct resources *res)
{
    struct churn *c = arg;
    struct churn_held *h = churn_hold(c);
    struct churn_agent *ag;
    struct churn_framework *f;
    _cleanup_resources_ struct resources bare = RESOURCES_INIT;

    CHURN_CHECK(c->in_run && !c->paused);
    h->framework = churn_framework_index(c, framework_id);
    h->agent = churn_agent_index(c, agent_id);
    h->role = churn_role_index(c, role);
    h->due = c->now + churn_rnd(c, 5000) * 1000;
    ag = &c->agents[h->agent];
    f = &c->frameworks[h->framework];
    CHURN_CHECK(f->active && ag->active && ag->listed);
    CHURN_CHECK(f->roles[0] == h->role || (f->n_roles > 1 && f->roles[1] == h->role));
    CHURN_CHECK(streq(resources_allocation_role(res), role));
    resources_copy(&h->res, res);
    resources_copy(&bare, res);
    resources_unallocate(&bare);
    CHURN_CHECK(!resources_empty(&bare) && resources_contains(&ag->free, &bare));
    resources_subtract(&ag->free, &bare);
    churn_check_limit(c, role, res);
    c->n_offers++;
}

static inline bool churn_holds(const struct churn *c, size_t framework, size_t agent)
{
    for (size_t i = 0; i < c->n_held; i++)
        if (c->held[i].framework == framework && c->held[i].agent == agent)
            return true;
    return false;
}

static inline void churn_on_inverse(void *arg, const char *framework_id, const char *agent_id,
                                    const V1__Unavailability *u)
{
    struct churn *c = arg;
    struct churn_inverse i = {churn_framework_index(c, framework_id),
                              churn_agent_index(c, agent_id)};

    CHURN_CHECK(c->frameworks[i.framework].active && c->agents[i.agent].down_at);
    CHURN_CHECK(u->start->nanoseconds == c->agents[i.agent].down_at);
    CHURN_CHECK(churn_holds(c, i.framework, i.agent));
    for (size_t k = 0; k < c->n_inverse; k++)
        CHURN_CHECK(c->inverse[k].framework != i.framework || c->inverse[k].agent != i.agent);
    c->inverse = xgrow(c->inverse, &c->inverse_cap, c->n_inverse + 1, sizeof(i));
    c->inverse[c->n_inverse++] = i;
    c->n_inverse_offers++;
}

static inline void churn_on_flush(void *arg)
{
    struct churn *c = arg;

    CHURN_CHECK(c->in_run);
}

/* ---- giving back ---- */

/* Out of the ledger's holdings; the allocator has been told, or forgets by itself. */
static inline void churn_release(struct churn *c, size_t i)
{
    struct churn_held *h = &c->held[i];

    resources_unallocate(&h->res);
    resources_add(&c->agents[h->agent].free, &h->res);
    resources_done(&h->res);
    *h = c->held[--c->n_held];
}

static inline void churn_recover(struct churn *c, size_t i, const V1__Filters *f)
{
    struct churn_held *h = &c->held[i];

    c->ops->recover(c->a, c->frameworks[h->framework].id, c->agents[h->agent].id, &h->res, f,
                    c->now);
    churn_release(c, i);
}

static inline void churn_decline(struct churn *c, size_t i)
{
    static const double seconds[] = {0, 1, 5, 30, 600};
    V1__Filters f = V1__FILTERS__INIT;

    f.has_refuse_seconds = true;
    f.refuse_seconds = seconds[churn_rnd(c, ARRAY_SIZE(seconds))];
    c->n_declines++;
    churn_recover(c, i, churn_one_in(c, 4) ? NULL : &f);
}

static inline void churn_drop_inverse(struct churn *c, size_t framework, size_t agent)
{
    for (size_t i = c->n_inverse; i-- > 0;)
        if (c->inverse[i].framework == framework || c->inverse[i].agent == agent)
            c->inverse[i] = c->inverse[--c->n_inverse];
}

/* ---- using ---- */

/* A task of the offer; the rest goes back. False: it does not fit. */
static inline bool churn_launch(struct churn *c, size_t i)
{
    static const char *const tasks[] = {"cpus:1;mem:512", "cpus:0.5;mem:128", "cpus:2;mem:2048",
                                        "cpus:0.25;mem:4096"};
    _cleanup_resources_ struct resources task = RESOURCES_INIT, want = RESOURCES_INIT;
    struct churn_held *h = &c->held[i];
    struct churn_held rest = *h;
    struct churn_agent *ag = &c->agents[h->agent];

    churn_parse(c, tasks[churn_rnd(c, ARRAY_SIZE(tasks))], &want);
    resources_copy(&task, &want);
    resources_allocate(&task, churn_roles[h->role]);
    if (!resources_contains(&h->res, &task))
        return false;
    c->ops->transition_to_used(c->a, c->frameworks[h->framework].id, ag->id, &task);
    rest.res = (struct resources)RESOURCES_INIT;
    resources_copy(&rest.res, &h->res);
    resources_subtract(&rest.res, &task);
    resources_move(&h->res, &task);
    h->used = true;
    h->due = c->now + (1 + churn_rnd(c, 300)) * CHURN_SECOND;
    if (!resources_empty(&rest.res)) {
        c->ops->recover(c->a, c->frameworks[rest.framework].id, ag->id, &rest.res, NULL, c->now);
        resources_unallocate(&rest.res);
        resources_add(&ag->free, &rest.res);
    }
    resources_done(&rest.res);
    c->n_tasks++;
    return true;
}

/* RESERVE out of an offer, then the offer goes back. */
static inline void churn_reserve(struct churn *c, size_t i)
{
    struct churn_held *h = &c->held[i];
    struct churn_agent *ag = &c->agents[h->agent];
    _cleanup_resources_ struct resources from = RESOURCES_INIT, to = RESOURCES_INIT;

    resources_copy(&from, &c->reserve_from[h->role]);
    resources_copy(&to, &c->reserve_to[h->role]);
    resources_allocate(&from, churn_roles[h->role]);
    resources_allocate(&to, churn_roles[h->role]);
    if (h->role == 0 || !resources_contains(&h->res, &from))
        return;
    CHURN_CHECK(c->ops->update_allocation(c->a, c->frameworks[h->framework].id, ag->id, &from, &to,
                                          NULL) == 0);
    resources_subtract(&h->res, &from);
    resources_add(&h->res, &to);
    resources_subtract(&ag->total, &c->reserve_from[h->role]);
    resources_add(&ag->total, &c->reserve_to[h->role]);
    c->n_reserved++;
    churn_decline(c, i);
}

/* The operator takes a reservation back, when it is free. */
static inline void churn_unreserve(struct churn *c)
{
    struct churn_agent *ag = &c->agents[churn_rnd(c, CHURN_AGENTS)];
    size_t role = 1 + churn_rnd(c, CHURN_ROLES - 1);
    const struct resources *from = &c->reserve_to[role], *to = &c->reserve_from[role];
    int rc;

    if (!ag->here)
        return;
    rc = c->ops->update_allocation(c->a, NULL, ag->id, from, to, NULL);
    CHURN_CHECK((rc == 0) == resources_contains(&ag->free, from));
    if (rc < 0)
        return;
    resources_subtract(&ag->free, from);
    resources_add(&ag->free, to);
    resources_subtract(&ag->total, from);
    resources_add(&ag->total, to);
}

static inline void churn_answer(struct churn *c, size_t i)
{
    unsigned what = churn_rnd(c, 16);

    if (c->held[i].used)
        churn_recover(c, i, NULL);
    else if (what < 10 && churn_launch(c, i))
        ;
    else if (what == 15)
        churn_reserve(c, i);
    else
        churn_decline(c, i);
}

static inline void churn_answer_due(struct churn *c)
{
    for (size_t i = c->n_held; i-- > 0;)
        if (i < c->n_held && c->held[i].due <= c->now)
            churn_answer(c, i);
}

/* ---- frameworks ---- */

static inline void churn_tell_framework(struct churn *c, size_t i, bool update)
{
    struct churn_framework *f = &c->frameworks[i];
    V1__FrameworkInfo info = V1__FRAMEWORK_INFO__INIT;
    V1__FrameworkInfo__Capability caps[3], *cap_ptrs[3];
    char *roles[2] = {(char *)churn_roles[f->roles[0]], (char *)churn_roles[f->roles[1]]};
    struct allocator_framework in = {.id = f->id, .info = &info, .active = f->active};

    info.user = (char *)"u";
    info.name = f->id;
    info.roles = roles;
    info.n_roles = f->n_roles;
    info.n_capabilities = i % 3 == 0 ? 3 : 2;
    for (size_t k = 0; k < info.n_capabilities; k++) {
        v1__framework_info__capability__init(&caps[k]);
        caps[k].has_type = true;
        cap_ptrs[k] = &caps[k];
    }
    caps[0].type = V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE;
    caps[1].type = V1__FRAMEWORK_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT;
    caps[2].type = V1__FRAMEWORK_INFO__CAPABILITY__TYPE__GPU_RESOURCES;
    info.capabilities = cap_ptrs;
    if (update)
        c->ops->update_framework(c->a, &in, c->now);
    else
        c->ops->add_framework(c->a, &in, c->now);
}

static inline void churn_framework(struct churn *c)
{
    size_t i = churn_rnd(c, CHURN_FRAMEWORKS);
    struct churn_framework *f = &c->frameworks[i];

    if (!f->here) {
        f->here = f->active = true;
        f->roles[0] = churn_rnd(c, CHURN_ROLES);
        f->roles[1] = (f->roles[0] + 1) % CHURN_ROLES;
        f->n_roles = 1 + churn_rnd(c, 2);
        fl_snprintf(f->id, sizeof(f->id), "f%zu-%u", i, ++f->generation);
        churn_tell_framework(c, i, false);
    } else if (churn_one_in(c, 2)) {
        f->active = !f->active;
        c->ops->set_framework_active(c->a, f->id, f->active);
    } else if (churn_one_in(c, 2)) {
        churn_tell_framework(c, i, true);
    } else {
        for (size_t k = c->n_held; k-- > 0;)
            if (c->held[k].framework == i)
                churn_recover(c, k, NULL);
        churn_drop_inverse(c, i, SIZE_MAX);
        c->ops->remove_framework(c->a, f->id);
        f->here = false;
    }
}

static inline void churn_suppress(struct churn *c)
{
    struct churn_framework *f = &c->frameworks[churn_rnd(c, CHURN_FRAMEWORKS)];
    const char *roles[2] = {churn_roles[f->roles[0]], churn_roles[f->roles[1]]};

    if (!f->here)
        return;
    if (churn_one_in(c, 3))
        c->ops->suppress(c->a, f->id, roles, 1 + churn_rnd(c, (unsigned)f->n_roles));
    else
        c->ops->revive(c->a, f->id, roles, f->n_roles, c->now);
}

/* ---- agents ---- */

struct churn_unavailability {
    V1__Unavailability u;
    V1__TimeInfo start;
};

/* NULL when it stays. */
static inline const V1__Unavailability *churn_unavailable(const struct churn_agent *ag,
                                                          struct churn_unavailability *m)
{
    v1__unavailability__init(&m->u);
    v1__time_info__init(&m->start);
    m->start.nanoseconds = ag->down_at;
    m->u.start = &m->start;
    return ag->down_at ? &m->u : NULL;
}

static inline void churn_tell_agent(struct churn *c, size_t i, bool update)
{
    struct churn_agent *ag = &c->agents[i];
    V1__AgentInfo info = V1__AGENT_INFO__INIT;
    V1__AgentInfo__Capability caps[3], *cap_ptrs[3];
    struct churn_unavailability down;
    struct allocator_agent in = {.id = ag->id,
                                 .info = &info,
                                 .total = &ag->total,
                                 .active = ag->active,
                                 .unavailability = churn_unavailable(ag, &down),
                                 .capabilities = cap_ptrs,
                                 .n_capabilities = ARRAY_SIZE(caps)};

    info.hostname = ag->id;
    for (size_t k = 0; k < ARRAY_SIZE(caps); k++) {
        v1__agent_info__capability__init(&caps[k]);
        caps[k].has_type = true;
        cap_ptrs[k] = &caps[k];
    }
    caps[0].type = V1__AGENT_INFO__CAPABILITY__TYPE__MULTI_ROLE;
    caps[1].type = V1__AGENT_INFO__CAPABILITY__TYPE__HIERARCHICAL_ROLE;
    caps[2].type = V1__AGENT_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT;
    if (update)
        c->ops->update_agent(c->a, &in, c->now);
    else
        c->ops->add_agent(c->a, &in, c->now);
}

static inline void churn_add_agent(struct churn *c, size_t i)
{
    struct churn_agent *ag = &c->agents[i];

    ag->here = ag->active = true;
    ag->grown = false;
    ag->listed = !c->whitelisting;
    ag->down_at = churn_one_in(c, 10) ? (int64_t)c->now * 2000 : 0;
    fl_snprintf(ag->id, sizeof(ag->id), "a%zu-%u", i, ++ag->generation);
    resources_done(&ag->total);
    churn_parse(c, churn_totals[i % ARRAY_SIZE(churn_totals)], &ag->total);
    resources_copy(&ag->free, &ag->total);
    churn_tell_agent(c, i, false);
}

static inline void churn_remove_agent(struct churn *c, size_t i)
{
    struct churn_agent *ag = &c->agents[i];

    churn_drop_inverse(c, SIZE_MAX, i);
    c->ops->remove_agent(c->a, ag->id);
    for (size_t k = c->n_held; k-- > 0;)
        if (c->held[k].agent == i)
            churn_release(c, k);
    ag->here = false;
}

/* A disk is plugged in, or out when nobody has it. */
static inline void churn_resize_agent(struct churn *c, size_t i)
{
    struct churn_agent *ag = &c->agents[i];
    _cleanup_resources_ struct resources more = RESOURCES_INIT;

    churn_parse(c, "cpus:2;disk:100", &more);
    if (ag->grown && !resources_contains(&ag->free, &more))
        return;
    if (ag->grown) {
        resources_subtract(&ag->free, &more);
        resources_subtract(&ag->total, &more);
    } else {
        resources_add(&ag->free, &more);
        resources_add(&ag->total, &more);
    }
    ag->grown = !ag->grown;
    churn_tell_agent(c, i, true);
}

static inline void churn_agent(struct churn *c)
{
    size_t i = churn_rnd(c, CHURN_AGENTS);
    struct churn_agent *ag = &c->agents[i];

    if (!ag->here) {
        churn_add_agent(c, i);
    } else if (churn_one_in(c, 3)) {
        churn_remove_agent(c, i);
    } else if (churn_one_in(c, 2)) {
        ag->active = !ag->active;
        c->ops->set_agent_active(c->a, ag->id, ag->active);
    } else {
        churn_resize_agent(c, i);
    }
}

/* ---- operators ---- */

static inline void churn_maintenance(struct churn *c)
{
    size_t i = churn_rnd(c, CHURN_AGENTS);
    struct churn_agent *ag = &c->agents[i];
    struct churn_unavailability down;

    if (!ag->here || !c->ops->set_unavailability)
        return;
    ag->down_at =
        churn_one_in(c, 2) ? (int64_t)(c->now + (1 + churn_rnd(c, 3600)) * CHURN_SECOND) * 1000 : 0;
    churn_drop_inverse(c, SIZE_MAX, i); /* a new one begins anew */
    c->ops->set_unavailability(c->a, ag->id, churn_unavailable(ag, &down), c->now);
}

static inline void churn_answer_inverse(struct churn *c)
{
    V1__Filters f = V1__FILTERS__INIT;
    V1__FrameworkID id = V1__FRAMEWORK_ID__INIT;
    V1__TimeInfo at = V1__TIME_INFO__INIT;
    Alloc__InverseOfferStatus st = ALLOC__INVERSE_OFFER_STATUS__INIT;
    struct churn_inverse i;

    if (c->n_inverse == 0 || !c->ops->update_inverse_offer)
        return;
    i = c->inverse[--c->n_inverse];
    id.value = c->frameworks[i.framework].id;
    at.nanoseconds = (int64_t)c->now * 1000;
    st.framework_id = &id;
    st.timestamp = &at;
    st.status = churn_one_in(c, 2) ? ALLOC__INVERSE_OFFER_STATUS__STATUS__ACCEPT
                                   : ALLOC__INVERSE_OFFER_STATUS__STATUS__DECLINE;
    f.has_refuse_seconds = true;
    f.refuse_seconds = churn_rnd(c, 60);
    c->ops->update_inverse_offer(c->a, id.value, c->agents[i.agent].id,
                                 churn_one_in(c, 5) ? NULL : &st, churn_one_in(c, 3) ? NULL : &f,
                                 c->now);
}

static inline void churn_whitelist(struct churn *c)
{
    const char *hosts[CHURN_AGENTS];
    size_t n = 1 + churn_rnd(c, CHURN_AGENTS);

    c->whitelisting = !c->whitelisting;
    for (size_t i = 0; i < CHURN_AGENTS; i++) {
        hosts[i] = c->agents[i].id;
        c->agents[i].listed = !c->whitelisting || i < n;
    }
    c->ops->set_whitelist(c->a, c->whitelisting ? hosts : NULL, c->whitelisting ? n : 0);
}

static inline void churn_operator(struct churn *c)
{
    static const double weights[] = {1, 2, 0.5, 3};
    _cleanup_quantities_ struct quantities guarantee = QUANTITIES_INIT, limit = QUANTITIES_INIT;
    size_t top = churn_rnd(c, CHURN_TOPS);

    if (churn_one_in(c, 4)) {
        c->ops->set_weight(c->a, churn_roles[churn_rnd(c, CHURN_ROLES)],
                           weights[churn_rnd(c, ARRAY_SIZE(weights))]);
    } else if (c->paused || churn_one_in(c, 20)) {
        c->paused = !c->paused;
        c->ops->set_paused(c->a, c->paused);
    } else if (c->whitelisting || churn_one_in(c, 20)) {
        churn_whitelist(c);
    } else if (c->ops->set_quota && churn_one_in(c, 2)) {
        quantities_set(&guarantee, "cpus", churn_rnd(c, 40) * MILLI_ONE);
        quantities_set(&limit, "cpus", (40 + churn_rnd(c, 100)) * MILLI_ONE);
        quantities_set(&limit, "mem", (40000 + churn_rnd(c, 100000)) * MILLI_ONE);
        c->ops->set_quota(c->a, churn_tops[top], &guarantee, &limit);
        quantities_copy(&c->limits[top], &limit);
    } else if (c->ops->set_quota) {
        c->ops->set_quota(c->a, churn_tops[top], NULL, NULL);
        quantities_done(&c->limits[top]);
        c->limits[top] = (struct quantities)QUANTITIES_INIT;
    }
}

/* ---- time ---- */

static inline void churn_run(struct churn *c, bool all)
{
    c->in_run = true;
    c->next_us = c->ops->run(c->a, c->now, 2000, all);
    while (c->next_us <= c->now)
        c->next_us = c->ops->run(c->a, c->now, 2000, false);
    c->in_run = false;
}

/* About one second of life. */
static inline void churn_second(struct churn *c)
{
    uint64_t end = c->now - c->now % CHURN_SECOND + CHURN_SECOND;

    for (unsigned events = churn_rnd(c, 8); events > 0; events--) {
        c->now += churn_rnd(c, 120000);
        churn_answer_due(c);
        if (churn_one_in(c, 20))
            churn_framework(c);
        if (churn_one_in(c, 10))
            churn_agent(c);
        if (churn_one_in(c, 4))
            churn_suppress(c);
        if (churn_one_in(c, 60))
            churn_operator(c);
        if (churn_one_in(c, 20))
            churn_maintenance(c);
        if (churn_one_in(c, 3))
            churn_answer_inverse(c);
        if (churn_one_in(c, 10))
            churn_unreserve(c);
        churn_run(c, false);
    }
    c->now = end;
    churn_answer_due(c);
    churn_run(c, true);
}

static inline size_t churn_agents_here(const struct churn *c)
{
    size_t n = 0;

    for (size_t i = 0; i < CHURN_AGENTS; i++)
        n += c->agents[i].here;
    return n;
}

static inline size_t churn_frameworks_here(const struct churn *c)
{
    size_t n = 0;

    for (size_t i = 0; i < CHURN_FRAMEWORKS; i++)
        n += c->frameworks[i].here;
    return n;
}

/* So that there is something from the first second on. */
static inline void churn_begin(struct churn *c)
{
    for (size_t i = 0; i < CHURN_AGENTS; i += 2)
        churn_add_agent(c, i);
    while (churn_frameworks_here(c) < CHURN_FRAMEWORKS / 2)
        churn_framework(c);
}

/* ---- beginning and end: fill c->ops and c->a between them ---- */

/* One CPU that a framework reserved for the role. */
static inline void churn_reserved_cpu(struct churn *c, const char *role, struct resources *out)
{
    V1__Resource cpu = V1__RESOURCE__INIT, *pb = &cpu;
    V1__Value__Scalar one = V1__VALUE__SCALAR__INIT;
    V1__Resource__ReservationInfo to = V1__RESOURCE__RESERVATION_INFO__INIT, *stack = &to;

    cpu.name = (char *)"cpus";
    cpu.type = V1__VALUE__TYPE__SCALAR;
    one.value = 1;
    cpu.scalar = &one;
    to.has_type = true;
    to.type = V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC;
    to.role = (char *)role;
    to.principal = (char *)"p";
    cpu.n_reservations = 1;
    cpu.reservations = &stack;
    CHURN_CHECK(resources_from_pb(&pb, 1, out, NULL) == 0);
}

static inline void churn_init(struct churn *c, uint64_t seed)
{
    *c = (struct churn){.seed = seed, .random = seed, .now = CHURN_SECOND};
    for (size_t i = 1; i < CHURN_ROLES; i++) {
        churn_reserved_cpu(c, churn_roles[i], &c->reserve_to[i]);
        churn_parse(c, "cpus:1", &c->reserve_from[i]);
    }
}

static inline struct allocator_callbacks churn_callbacks(struct churn *c)
{
    return (struct allocator_callbacks){.offer = churn_on_offer,
                                        .inverse_offer = churn_on_inverse,
                                        .flush = churn_on_flush,
                                        .arg = c};
}

static inline struct allocator_options churn_options(void)
{
    return (struct allocator_options){.allocation_interval_us = CHURN_SECOND,
                                      .min_allocatable_resources = "cpus:0.01|mem:32",
                                      .role_sorter = "drf",
                                      .framework_sorter = "drf",
                                      .filter_gpu_resources = true,
                                      .random_seed = 7};
}

static inline void churn_done(struct churn *c)
{
    for (size_t i = 0; i < c->n_held; i++)
        resources_done(&c->held[i].res);
    for (size_t i = 0; i < CHURN_AGENTS; i++) {
        resources_done(&c->agents[i].total);
        resources_done(&c->agents[i].free);
    }
    for (size_t i = 0; i < CHURN_ROLES; i++) {
        resources_done(&c->reserve_from[i]);
        resources_done(&c->reserve_to[i]);
    }
    for (size_t i = 0; i < CHURN_TOPS; i++)
        quantities_done(&c->limits[i]);
    free(c->held);
    free(c->inverse);
    c->ops->destroy(c->a);
}

#endif
