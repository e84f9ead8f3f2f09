/* The allocator module: who is offered what. Pure: the master tells it what happened, it answers through `offer` and `inverse_offer`
 * callbacks, and holds no clock, socket, lock or global. Time is an argument (microseconds, monotonic, same origin everywhere).
 * One thread, the master core's. Built-in: "HierarchicalDRF" (drf.c). Others are shared objects exporting `fairlead_allocator_module`
 * (struct allocator_module), loaded by --modules and chosen by --allocator; the version is checked before any call.
 *
 * Strings and messages passed in are borrowed for the call. Resources of an offer passed out are borrowed for the callback
 * and carry allocation_info.
 */
#ifndef MASTER_ALLOCATOR_ALLOCATOR_H
#define MASTER_ALLOCATOR_ALLOCATOR_H

#include "common/model/attributes.h"
#include "common/model/quantities.h"
#include "common/model/resources.h"
#include "proto/allocator.pb-c.h"

#define ALLOCATOR_ABI 2

struct allocator; /* an instance: the module's private data follows */

struct allocator_options {
    uint64_t allocation_interval_us;
    const char *min_allocatable_resources;  /* "cpus:0.01|mem:32" */
    const char *const *fair_share_excluded; /* resource names that do not count */
    size_t n_fair_share_excluded;
    const char *role_sorter, *framework_sorter; /* "drf", "random" */
    bool filter_gpu_resources;
    const V1__DomainInfo *master_domain; /* NULL when none */
    uint64_t random_seed;
};

struct allocator_callbacks {
    /* The module decided: these resources of this agent go to this framework for this role. They count as allocated from now
     * until recover() or until transition_to_used(). The master makes an offer of each call. */
    void (*offer)(void *arg, const char *framework_id, const char *role, const char *agent_id,
                  const struct resources *res);
    /* The framework uses something on an agent that will be unavailable: the master asks it to leave. One is outstanding for a
     * framework and agent at a time, until update_inverse_offer(). */
    void (*inverse_offer)(void *arg, const char *framework_id, const char *agent_id,
                          const V1__Unavailability *unavailability);
    /* What was offered since the last flush leaves as one OFFERS event for each framework, now. So a gang's offers come together
     * and alone. NULL: the master flushes at the end of the run only. */
    void (*flush)(void *arg);
    void *arg;
};

struct allocator_framework {
    const char *id;
    const V1__FrameworkInfo *info;
    char *const *suppressed_roles;
    size_t n_suppressed;
    const struct offer_constraints
        *constraints; /* borrowed while the framework is there; NULL: none */
    bool active;
    const Sched__OfferConstraints *constraints_pb; /* what `constraints` was made from; or NULL */
};

struct allocator_agent {
    const char *id;
    const V1__AgentInfo *info;
    const struct resources *total;
    V1__AgentInfo__Capability *const *capabilities;
    size_t n_capabilities;
    const V1__Unavailability *unavailability; /* or NULL */
    bool active;
    /* What is used on it already, per framework (re-registration). */
    const struct allocator_used {
        const char *framework_id;
        const struct resources *res; /* with allocation_info */
    } * used;
    size_t n_used;
};

/* Every hook is required unless marked optional. `now_us` is the present. Unknown ids are ignored. */
struct allocator_ops {
    unsigned abi; /* ALLOCATOR_ABI */
    const char *name;
    int (*create)(const struct allocator_options *o, const struct allocator_callbacks *cb,
                  struct allocator **ret, struct fl_err *err);
    void (*destroy)(struct allocator *a);

    /* Does due work: whatever changed since the last run, in at most about `budget_us` of processing; returns the time at which it wants to be
     * called again (expiring filters, rest of the work), UINT64_MAX for never. The master calls it after events (coalesced) and
     * then. `all` asks for a pass over every agent (the allocation interval). */
    uint64_t (*run)(struct allocator *a, uint64_t now_us, uint64_t budget_us, bool all);

    void (*add_framework)(struct allocator *a, const struct allocator_framework *f,
                          uint64_t now_us);
    void (*remove_framework)(struct allocator *a, const char *framework_id);
    void (*update_framework)(struct allocator *a, const struct allocator_framework *f,
                             uint64_t now_us);
    void (*set_framework_active)(struct allocator *a, const char *framework_id,
                                 bool active); /* inactive: no offers,
                                                                                                 filters dropped */
    void (*add_agent)(struct allocator *a, const struct allocator_agent *ag, uint64_t now_us);
    void (*remove_agent)(struct allocator *a, const char *agent_id);
    /* Info, total or capabilities changed; drops the filters on it when its attributes did. */
    void (*update_agent)(struct allocator *a, const struct allocator_agent *ag, uint64_t now_us);
    void (*set_agent_active)(struct allocator *a, const char *agent_id, bool active);
    /* Agents that may be offered, by hostname; NULL: all. */
    void (*set_whitelist)(struct allocator *a, const char *const *hostnames, size_t n);

    /* Resources of an offer became a task's or executor's. No change of the amounts allocated. */
    void (*transition_to_used)(struct allocator *a, const char *framework_id, const char *agent_id,
                               const struct resources *res);
    /* Resources come back: declined, rescinded, unused or freed. With filters (NULL: none), the framework does not get a subset of
     * `res` on this agent for that role again for refuse_seconds. */
    void (*recover)(struct allocator *a, const char *framework_id, const char *agent_id,
                    const struct resources *res, const V1__Filters *filters, uint64_t now_us);
    /* An operation converted `from` (held by the framework, or free when framework_id is NULL) into `to`; the
     * agent's total changes alike. FL_CONFLICT when `from` is not there. */
    int (*update_allocation)(struct allocator *a, const char *framework_id, const char *agent_id,
                             const struct resources *from, const struct resources *to,
                             struct fl_err *err);
    void (*add_used)(
        struct allocator *a, const char *framework_id, const char *agent_id,
        const struct resources *res); /* more in use than was offered (re-registration) */

    void (*suppress)(struct allocator *a, const char *framework_id, const char *const *roles,
                     size_t n);
    void (*revive)(struct allocator *a, const char *framework_id, const char *const *roles,
                   size_t n, uint64_t now_us);
    void (*request)(struct allocator *a, const char *framework_id, V1__Request *const *requests,
                    size_t n); /* optional */

    /* Of a top-level role. What a name is missing from is no guarantee (0) and no limit. Both NULL: no quota. Optional. */
    void (*set_quota)(struct allocator *a, const char *role, const struct quantities *guarantees,
                      const struct quantities *limits);
    void (*set_weight)(struct allocator *a, const char *role, double weight);
    void (*set_unavailability)(struct allocator *a, const char *agent_id,
                               const V1__Unavailability *u_or_null, uint64_t now_us); /* optional */
    /* An inverse offer is no longer outstanding: answered (`status`), or rescinded (NULL). With filters the next one waits for
     * refuse_seconds. Optional. */
    void (*update_inverse_offer)(struct allocator *a, const char *framework_id,
                                 const char *agent_id,
                                 const Alloc__InverseOfferStatus *status_or_null,
                                 const V1__Filters *filters_or_null, uint64_t now_us);
    /* What frameworks last answered to inverse offers of the agent. Optional. */
    void (*each_inverse_status)(const struct allocator *a, const char *agent_id,
                                void (*fn)(const Alloc__InverseOfferStatus *status, void *arg),
                                void *arg);
    void (*set_paused)(struct allocator *a, bool paused); /* recovery hold */

    /* Numbers for /metrics and /roles: optional. */
    double (*dominant_share)(const struct allocator *a, const char *role_or_framework);
    /* Every other number worth showing; names as below "allocator/mesos/" in the reference's metrics
     * ("offer_filters/roles/eng/active", "quota/roles/eng/resources/cpus/limit"). Optional. */
    void (*numbers)(const struct allocator *a,
                    void (*fn)(const char *name, double value, void *arg), void *arg);
    /* Why does the framework hold, or not get, the agent (NULL: each of the agents)? Appends one JSON object
     * (docs/explain.md). Changes nothing. Optional. */
    void (*explain)(const struct allocator *a, const char *framework_id, const char *agent_id,
                    uint64_t now_us, struct fl_buf *json);
};

struct allocator_module {
    unsigned abi;
    const char *author, *description;
    const struct allocator_ops *ops;
};

/* Built-in modules, and the loader.
 *
 * A module is built with these headers alone and brings no copy of their functions: it calls those of the program that loads it, which
 * exports what common/base/{util,buf,err}.h and common/model/{resources,attributes,roles,intern}.h declare. So interned names exist once
 * and compare by pointer on both sides. tests/modules/allocator_first_fit.c is an example. */
const struct allocator_ops *allocator_builtin(const char *name); /* NULL: unknown */
/* `so_path` through dlopen: FL_INVALID names both versions when they differ. Stays loaded for good. */
int allocator_load(const char *so_path, const char *name, const struct allocator_ops **ret_ops,
                   struct fl_err *err);

#endif
