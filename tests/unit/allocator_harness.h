/* An allocator under test with the smallest of masters around it: it collects the offers, and gives them back or
 * uses them when told. For tests/unit, tests/property and tests/bench. */
#ifndef TESTS_UNIT_ALLOCATOR_HARNESS_H
#define TESTS_UNIT_ALLOCATOR_HARNESS_H

#include <stdio.h>

#include "master/allocator/allocator.h"

#define SECOND UINT64_C(1000000)

struct h_offer {
    char framework[64], role[32], agent[32];
    struct resources res;
    bool gone; /* answered */
};

struct harness {
    const struct allocator_ops *ops;
    struct allocator *a;
    struct h_offer *offers; /* in the order they were made */
    size_t n, cap;
    uint64_t now;
};

static inline void h_on_offer(void *arg, const char *framework_id, const char *role,
                              const char *agent_id, const struct resources *res)
{
    struct harness *h = arg;
    struct h_offer *o;

    h->offers = xgrow(h->offers, &h->cap, h->n + 1, sizeof(*h->offers));
    o = &h->offers[h->n++];
    memset(o, 0, sizeof(*o));
    fl_snprintf(o->framework, sizeof(o->framework), "%s", framework_id);
    fl_snprintf(o->role, sizeof(o->role), "%s", role);
    fl_snprintf(o->agent, sizeof(o->agent), "%s", agent_id);
    resources_copy(&o->res, res);
}

static inline void h_init_with(struct harness *h, const struct allocator_ops *ops,
                               const struct allocator_options *o)
{
    struct allocator_callbacks cb = {.offer = h_on_offer, .arg = h};
    struct fl_err err;

    *h = (struct harness){.ops = ops, .now = SECOND};
    if (ops->create(o, &cb, &h->a, &err) < 0) {
        fprintf(stderr, "create: %s\n", err.msg);
        abort();
    }
}

static inline struct allocator_options h_options(void)
{
    return (struct allocator_options){.allocation_interval_us = SECOND,
                                      .min_allocatable_resources = "cpus:0.01|mem:32",
                                      .role_sorter = "drf",
                                      .framework_sorter = "drf",
                                      .filter_gpu_resources = true,
                                      .random_seed = 1};
}

static inline void h_init(struct harness *h)
{
    struct allocator_options o = h_options();

    h_init_with(h, allocator_builtin("HierarchicalDRF"), &o);
}

static inline void h_forget(struct harness *h)
{
    for (size_t i = 0; i < h->n; i++)
        resources_done(&h->offers[i].res);
    h->n = 0;
}

static inline void h_done(struct harness *h)
{
    h_forget(h);
    free(h->offers);
    h->ops->destroy(h->a);
}

/* A JSON array of anything a Resource can be. */
static inline int h_read_json(const char *text, struct resources *out, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    V1__Offer__Operation__Reserve *list;
    ProtobufCMessage *m;
    int r;

    fl_buf_addf(&b, "{\"resources\":%s}", text);
    r = fl_json_to_pb(b.data, b.len, &v1__offer__operation__reserve__descriptor, 0, NULL, &m, err);
    if (r < 0)
        return r;
    list = (V1__Offer__Operation__Reserve *)m;
    r = resources_from_pb(list->resources, list->n_resources, out, err);
    fl_pb_free(m);
    return r;
}

/* As --resources takes it, or JSON. */
static inline struct resources h_res(const char *text)
{
    struct resources r = RESOURCES_INIT;
    struct fl_err err;

    if ((text[0] == '[' ? h_read_json(text, &r, &err) : resources_parse(text, "*", &r, &err)) < 0) {
        fprintf(stderr, "'%s': %s\n", text, err.msg);
        abort();
    }
    return r;
}

/* What a framework is, for the tests: fill what matters. */
struct h_framework {
    const char *id;
    char *roles[8];                              /* ends with NULL */
    V1__FrameworkInfo__Capability__Type caps[8]; /* beside MULTI_ROLE; ends with 0 */
    char *suppressed[8];
    const struct offer_constraints *constraints;
    const V1__OfferFilters *filters; /* of the first role */
    bool inactive, single_role;
};

static inline void h_tell_framework(struct harness *h, const struct h_framework *in, bool update)
{
    V1__FrameworkInfo info = V1__FRAMEWORK_INFO__INIT;
    V1__FrameworkInfo__Capability caps[9], *cap_ptrs[9];
    V1__FrameworkInfo__OfferFiltersEntry entry = V1__FRAMEWORK_INFO__OFFER_FILTERS_ENTRY__INIT;
    V1__FrameworkInfo__OfferFiltersEntry *entries[] = {&entry};
    struct allocator_framework f = {
        .id = in->id, .info = &info, .suppressed_roles = in->suppressed, .active = !in->inactive};

    info.user = (char *)"u";
    info.name = (char *)in->id;
    for (size_t i = 0; in->caps[i] && i < 8; i++) {
        v1__framework_info__capability__init(&caps[info.n_capabilities]);
        caps[info.n_capabilities].has_type = true;
        caps[info.n_capabilities++].type = in->caps[i];
    }
    if (in->single_role) {
        info.role = in->roles[0];
    } else {
        v1__framework_info__capability__init(&caps[info.n_capabilities]);
        caps[info.n_capabilities].has_type = true;
        caps[info.n_capabilities++].type = V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE;
        info.roles = (char **)in->roles;
        while (in->roles[info.n_roles])
            info.n_roles++;
    }
    for (size_t i = 0; i < info.n_capabilities; i++)
        cap_ptrs[i] = &caps[i];
    info.capabilities = cap_ptrs;
    if (in->filters) {
        entry.key = in->roles[0];
        entry.value = (V1__OfferFilters *)in->filters;
        info.n_offer_filters = 1;
        info.offer_filters = entries;
    }
    while (in->suppressed[f.n_suppressed])
        f.n_suppressed++;
    f.constraints = in->constraints;
    if (update)
        h->ops->update_framework(h->a, &f, h->now);
    else
        h->ops->add_framework(h->a, &f, h->now);
}

static inline void h_add_framework(struct harness *h, const char *id, const char *role)
{
    struct h_framework f = {.id = id, .roles = {(char *)role}};

    h_tell_framework(h, &f, false);
}

struct h_agent {
    const char *id, *total, *hostname;
    unsigned without_caps; /* bits of capabilities it lacks */
    V1__DomainInfo *domain;
    V1__Attribute **attributes;
    size_t n_attributes;
    bool inactive;
    const struct allocator_used *used;
    size_t n_used;
};

static inline void h_tell_agent(struct harness *h, const struct h_agent *in, bool update)
{
    V1__AgentInfo info = V1__AGENT_INFO__INIT;
    struct resources total = h_res(in->total);
    struct allocator_agent ag = {.id = in->id,
                                 .info = &info,
                                 .total = &total,
                                 .active = !in->inactive,
                                 .used = in->used,
                                 .n_used = in->n_used};
    V1__AgentInfo__Capability caps[3], *cap_ptrs[3];

    info.hostname = (char *)(in->hostname ? in->hostname : in->id);
    info.domain = in->domain;
    info.attributes = in->attributes;
    info.n_attributes = in->n_attributes;
    for (unsigned t = V1__AGENT_INFO__CAPABILITY__TYPE__MULTI_ROLE;
         t <= V1__AGENT_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT; t++) {
        if (in->without_caps & (1u << t))
            continue;
        v1__agent_info__capability__init(&caps[ag.n_capabilities]);
        caps[ag.n_capabilities].has_type = true;
        caps[ag.n_capabilities].type = (V1__AgentInfo__Capability__Type)t;
        cap_ptrs[ag.n_capabilities] = &caps[ag.n_capabilities];
        ag.n_capabilities++;
    }
    ag.capabilities = cap_ptrs;
    if (update)
        h->ops->update_agent(h->a, &ag, h->now);
    else
        h->ops->add_agent(h->a, &ag, h->now);
    resources_done(&total);
}

static inline void h_add_agent(struct harness *h, const char *id, const char *total)
{
    struct h_agent ag = {.id = id, .total = total};

    h_tell_agent(h, &ag, false);
}

/* Runs until the allocator has no more to do at this time; returns how many offers came, and is told when to come again. */
static inline size_t h_run_all(struct harness *h, bool all, uint64_t *ret_next)
{
    size_t before = h->n;
    uint64_t next = h->ops->run(h->a, h->now, 5000, all);

    while (next <= h->now)
        next = h->ops->run(h->a, h->now, 5000, false);
    if (ret_next)
        *ret_next = next;
    return h->n - before;
}

static inline size_t h_run(struct harness *h)
{
    return h_run_all(h, false, NULL);
}

static inline struct h_offer *h_last(struct harness *h)
{
    return h->n ? &h->offers[h->n - 1] : NULL;
}

/* Gives the offer back; refuse_seconds below zero: without filters. */
static inline void h_decline(struct harness *h, struct h_offer *o, double refuse_seconds)
{
    V1__Filters f = V1__FILTERS__INIT;

    f.has_refuse_seconds = true;
    f.refuse_seconds = refuse_seconds;
    o->gone = true;
    h->ops->recover(h->a, o->framework, o->agent, &o->res, refuse_seconds < 0 ? NULL : &f, h->now);
}

/* Uses `text` of the offer, gives the rest back with refuse_seconds 0. False when the offer is too small: nothing happens. */
static inline bool h_use(struct harness *h, struct h_offer *o, const char *text)
{
    struct resources task = h_res(text), rest = RESOURCES_INIT;
    V1__Filters f = V1__FILTERS__INIT;
    bool fits;

    resources_allocate(&task, o->role);
    fits = resources_contains(&o->res, &task);
    if (fits) {
        f.has_refuse_seconds = true;
        f.refuse_seconds = 0;
        o->gone = true;
        resources_copy(&rest, &o->res);
        resources_subtract(&rest, &task);
        h->ops->transition_to_used(h->a, o->framework, o->agent, &task);
        if (!resources_empty(&rest))
            h->ops->recover(h->a, o->framework, o->agent, &rest, &f, h->now);
    }
    resources_done(&task);
    resources_done(&rest);
    return fits;
}

static inline void h_free_task(struct harness *h, const char *framework, const char *role,
                               const char *agent, const char *text)
{
    struct resources task = h_res(text);

    resources_allocate(&task, role);
    h->ops->recover(h->a, framework, agent, &task, NULL, h->now);
    resources_done(&task);
}

#endif
