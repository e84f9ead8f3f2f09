/* Who may have what, in the built-in allocator: the gates between an agent and a framework in a role, and the part of the free
 * resources that passes them.
 *
 * The published rules (features.md 4.1), in the order in which they are asked:
 *   1. the agent is active and whitelisted, the framework active, subscribed with the role, not suppressed;
 *   2. the agent knows several roles (MULTI_ROLE) when the framework has them, nested roles (HIERARCHICAL_ROLE) when the role is;
 *   3. an agent in another region than the master's is for REGION_AWARE frameworks;
 *   4. an agent with GPUs is for GPU_RESOURCES frameworks, unless the operator opened them to all;
 *   5. the framework's offer constraints hold for the agent;
 *   6. of what is free it may have: what is unreserved, or reserved to the role or an ancestor of it; revocable resources only with
 *      REVOCABLE_RESOURCES, refined reservations with RESERVATION_REFINEMENT, shared ones with SHARED_RESOURCES (those are
 *      offered however often they are in use);
 *   7. it is enough: one of the sets of min_allocatable_resources fits (the role's own, if the framework set them).
 *   8. quota leaves it something (allocator_quota.c); 7 is asked of what is left then.
 * The decline filters (allocator_filters.c) come last.
 */
#include "common/model/intern.h"
#include "common/model/roles.h"
#include "master/allocator/allocator_priv.h"

#define FW_CAP(name)    (1u << V1__FRAMEWORK_INFO__CAPABILITY__TYPE__##name)
#define AGENT_CAP(name) (1u << V1__AGENT_INFO__CAPABILITY__TYPE__##name)

const char *alloc_gate_text(enum alloc_gate g)
{
    static const char *const texts[] = {
#define ALLOC_GATE(name, text, advice) [GATE_##name] = text,
#include "master/allocator/gates.def"
#undef ALLOC_GATE
    };

    return texts[g];
}

/* ---- step 7 ---- */

void alloc_min_done(struct alloc_min *m)
{
    for (size_t i = 0; i < m->n; i++)
        drf_vec_done(&m->sets[i]);
    free(m->sets);
    *m = (struct alloc_min){0};
}

static struct drf_vec *add_set(struct alloc_min *m)
{
    m->sets = xrealloc(m->sets, (m->n + 1) * sizeof(*m->sets));
    m->sets[m->n] = (struct drf_vec)DRF_VEC_INIT;
    return &m->sets[m->n++];
}

int alloc_min_parse(struct drf_totals *t, const char *text, struct alloc_min *ret,
                    struct fl_err *err)
{
    struct alloc_min m = {0};

    for (const char *p = text; p && *p;) {
        const char *end = strchrnul(p, '|');
        _cleanup_free_ char *piece = xstrndup(p, (size_t)(end - p));
        _cleanup_resources_ struct resources r = RESOURCES_INIT;

        if (resources_parse(piece, "*", &r, err) < 0) {
            alloc_min_done(&m);
            return fl_err_wrap(err, "min_allocatable_resources '%s'", text);
        }
        drf_vec_add_resources(add_set(&m), t, &r);
        p = *end ? end + 1 : end;
    }
    *ret = m;
    return 0;
}

void alloc_min_from_filters(struct drf_totals *t,
                            const V1__OfferFilters__MinAllocatableResources *pb,
                            struct alloc_min *ret)
{
    *ret = (struct alloc_min){0};
    for (size_t i = 0; i < pb->n_quantities; i++) {
        const V1__OfferFilters__ResourceQuantities *q = pb->quantities[i];
        struct drf_vec *set = add_set(ret);

        for (size_t k = 0; k < q->n_quantities; k++)
            if (q->quantities[k]->key && q->quantities[k]->value)
                drf_vec_add_at(set, drf_scalar_id(t, intern(q->quantities[k]->key)),
                               milli_from_double(q->quantities[k]->value->value));
    }
}

bool alloc_min_fits(const struct alloc_min *m, const struct drf_vec *v)
{
    for (size_t i = 0; i < m->n; i++)
        if (drf_vec_covers(v, &m->sets[i]))
            return true;
    return m->n == 0;
}

const struct alloc_min *alloc_client_min(const struct allocator *a, const struct alloc_client *c)
{
    return c->own_min ? &c->min : &a->min;
}

/* ---- steps 1 to 5 ---- */

static const char *region_of(const V1__DomainInfo *d)
{
    return d && d->fault_domain && d->fault_domain->region ? d->fault_domain->region->name : NULL;
}

bool alloc_in_other_region(const struct allocator *a, const V1__DomainInfo *domain)
{
    const char *master = region_of(a->master_domain), *agent = region_of(domain);

    return master && agent && !streq(master, agent);
}

static enum alloc_gate state_gate(const struct alloc_agent *ag, const struct alloc_client *c)
{
    if (!ag->active)
        return GATE_AGENT_INACTIVE;
    if (!ag->whitelisted)
        return GATE_NOT_WHITELISTED;
    if (!c->framework->known || !c->framework->active)
        return GATE_FRAMEWORK_INACTIVE;
    if (!c->subscribed)
        return GATE_NOT_SUBSCRIBED;
    return c->suppressed ? GATE_SUPPRESSED : GATE_OPEN;
}

enum alloc_gate alloc_gate(const struct allocator *a, const struct alloc_agent *ag,
                           const struct alloc_client *c)
{
    const struct alloc_framework *f = c->framework;
    enum alloc_gate g = state_gate(ag, c);

    if (g != GATE_OPEN)
        return g;
    if ((f->capabilities & FW_CAP(MULTI_ROLE)) && !(ag->capabilities & AGENT_CAP(MULTI_ROLE)))
        return GATE_NEEDS_MULTI_ROLE;
    if (!(ag->capabilities & AGENT_CAP(HIERARCHICAL_ROLE)) && c->role != c->role->top)
        return GATE_NEEDS_HIERARCHICAL_ROLE;
    if (ag->is_remote && !(f->capabilities & FW_CAP(REGION_AWARE)))
        return GATE_NEEDS_REGION_AWARE;
    if (ag->has_gpus && a->filter_gpus && !(f->capabilities & FW_CAP(GPU_RESOURCES)))
        return GATE_NEEDS_GPU_RESOURCES;
    if (f->constraints && !offer_constraints_pass(f->constraints, c->role->name, ag->info))
        return GATE_CONSTRAINT;
    return GATE_OPEN;
}

/* ---- step 6 ---- */

void alloc_offerable(const struct alloc_agent *ag, const struct alloc_client *c,
                     const struct resources *shared, struct resources *out)
{
    unsigned caps = c->framework->capabilities;
    _cleanup_resources_ struct resources part = RESOURCES_INIT;

    resources_allocatable_to(&ag->free, c->role->name, out);
    if (ag->has_shared && (caps & FW_CAP(SHARED_RESOURCES))) {
        resources_allocatable_to(shared, c->role->name, &part);
        resources_add(out, &part);
    }
    if (ag->has_revocable && !(caps & FW_CAP(REVOCABLE_RESOURCES))) {
        resources_revocable(out, false, &part);
        resources_move(out, &part);
    }
    if (ag->has_refined && !(caps & FW_CAP(RESERVATION_REFINEMENT))) {
        resources_without_refined(out, &part);
        resources_move(out, &part);
    }
}
