/* The books of the built-in allocator: who holds what where, and with it every share.
 *
 * A holding is what one client (a framework in one role) was offered or uses on one agent. Each change of a holding changes
 * the agent's free resources and the client's and its role's allocations by the same amounts: that is what keeps
 *     free + holdings == total
 * true. Shared resources are never in `free`: there is always another copy; a client counts one copy an agent, however many it holds.
 */
#include "common/model/intern.h"
#include "master/allocator/allocator_priv.h"

/* ---- roles, frameworks, clients ---- */

struct alloc_framework *alloc_framework_find(struct allocator *a, const char *id)
{
    struct alloc_framework *f;

    HASH_FIND_STR(a->frameworks, id, f);
    return f;
}

struct alloc_framework *alloc_framework_get(struct allocator *a, const char *id)
{
    struct alloc_framework *f = alloc_framework_find(a, id);

    if (f)
        return f;
    f = xnew0(struct alloc_framework);
    f->id = xstrdup(id);
    HASH_ADD_KEYPTR(hh, a->frameworks, f->id, strlen(f->id), f);
    return f;
}

static void framework_release(struct allocator *a, struct alloc_framework *f)
{
    if (f->known || f->clients)
        return;
    HASH_DEL(a->frameworks, f);
    free(f->id);
    free(f);
}

struct alloc_client *alloc_client_find(struct alloc_framework *f, const char *role)
{
    struct alloc_client *c;

    LL_FOREACH (f->clients, c)
        if (streq(c->role->name, role))
            return c;
    return NULL;
}

struct alloc_client *alloc_client_get(struct allocator *a, struct alloc_framework *f,
                                      const char *role)
{
    struct alloc_client *c = alloc_client_find(f, role);

    if (c)
        return c;
    c = xnew0(struct alloc_client);
    c->framework = f;
    c->role = role_tree_get(&a->tree, role);
    c->role->n_clients++;
    c->woken_at = c->held_at = IDX_HEAP_OUT;
    drf_client_init(&c->drf, f->id, 1.0);
    LL_APPEND(f->clients, c);
    return c;
}

void alloc_client_refresh(struct allocator *a, struct alloc_client *c)
{
    const struct alloc_framework *f = c->framework;
    struct alloc_role *r = c->role;

    if (f->known && f->active && c->subscribed && !c->suppressed)
        drf_sorter_activate(&r->frameworks, &c->drf);
    else
        drf_sorter_deactivate(&r->frameworks, &c->drf);
    role_tree_refresh(&a->tree, r);
    alloc_quota_refresh(a, r);
}

void alloc_client_release(struct allocator *a, struct alloc_client *c)
{
    struct alloc_framework *f = c->framework;
    struct alloc_role *r = c->role;

    if (c->subscribed || c->n_holdings)
        return;
    alloc_client_refresh(a, c);
    alloc_filters_drop_client(a, c);
    alloc_queue_forget_client(a, c);
    LL_DELETE(f->clients, c);
    alloc_min_done(&c->min);
    drf_client_done(&c->drf);
    free(c);
    r->n_clients--;
    role_tree_release(&a->tree, r);
    framework_release(a, f);
}

/* ---- holdings ---- */

struct alloc_holding *alloc_holding_find(struct alloc_agent *ag, const struct alloc_client *c)
{
    struct alloc_holding *h;

    LL_FOREACH (ag->holdings, h)
        if (h->client == c)
            return h;
    return NULL;
}

static struct alloc_holding *holding_get(struct alloc_agent *ag, struct alloc_client *c)
{
    struct alloc_holding *h = alloc_holding_find(ag, c);

    if (h)
        return h;
    h = xnew0(struct alloc_holding);
    h->client = c;
    h->agent = ag;
    c->n_holdings++;
    LL_PREPEND(ag->holdings, h);
    DL_APPEND2(c->holdings, h, of_client_prev, of_client_next);
    return h;
}

/* May free the client. */
static void holding_release(struct allocator *a, struct alloc_agent *ag, struct alloc_holding *h)
{
    struct alloc_client *c = h->client;

    LL_DELETE(ag->holdings, h);
    DL_DELETE2(c->holdings, h, of_client_prev, of_client_next);
    resources_done(&h->res);
    free(h);
    c->n_holdings--;
    alloc_client_release(a, c);
}

/* What a change of a holding by `res` means to everyone who counts. */
struct weight {
    struct resources own; /* unallocated, not shared: moves between free and the holding */
    struct drf_vec
        counted; /* the scalars of `own`, and of shared ones that the holding has no copy of: for shares */
    struct drf_vec consumed; /* for quota; not made when `plain` */
    bool plain;              /* `consumed` would be `counted` */
};
#define WEIGHT_INIT                                                                                \
    {                                                                                              \
        RESOURCES_INIT, DRF_VEC_INIT, DRF_VEC_INIT, false                                          \
    }

static void weight_done(struct weight *w)
{
    resources_done(&w->own);
    drf_vec_done(&w->counted);
    drf_vec_done(&w->consumed);
}

static void weigh(struct allocator *a, const struct resources *res, const struct resources *held,
                  struct weight *w)
{
    _cleanup_resources_ struct resources shared = RESOURCES_INIT;

    w->plain = resources_is_plain(res);
    if (w->plain)
        resources_copy(&w->own, res);
    else
        resources_shared(res, false, &w->own);
    resources_unallocate(&w->own);
    drf_vec_add_resources(&w->counted, &a->totals, &w->own);
    if (w->plain)
        return;
    alloc_add_counted(a, &w->consumed, &w->own);
    resources_shared(res, true, &shared);
    for (size_t i = 0; i < shared.n; i++) {
        const struct resources one = resources_view(&shared, i);

        if (!resources_contains(held, &one))
            drf_vec_add_resources(&w->counted, &a->totals, &one);
    }
}

static void count_held(struct allocator *a, struct alloc_client *c, const struct weight *w)
{
    drf_sorter_allocated(&c->role->frameworks, &c->drf, &w->counted);
    role_tree_allocated(&a->tree, c->role, &w->counted);
    alloc_consume(a, c->role, w->plain ? &w->counted : &w->consumed, 1);
}

static void count_returned(struct allocator *a, struct alloc_client *c, const struct weight *w)
{
    drf_sorter_unallocated(&c->role->frameworks, &c->drf, &w->counted);
    role_tree_unallocated(&a->tree, c->role, &w->counted);
    alloc_consume(a, c->role, w->plain ? &w->counted : &w->consumed, -1);
}

void alloc_recount_free(struct allocator *a, struct alloc_agent *ag)
{
    struct alloc_holding *h;

    alloc_spare_out(a, ag);
    resources_shared(&ag->total, false, &ag->free);
    ag->overcommitted = false;
    LL_FOREACH (ag->holdings, h) {
        _cleanup_resources_ struct resources own = RESOURCES_INIT;

        resources_shared(&h->res, false, &own);
        resources_unallocate(&own);
        if (!resources_contains(&ag->free, &own))
            ag->overcommitted = true;
        resources_subtract(&ag->free, &own);
    }
    drf_vec_clear(&ag->free_vec);
    drf_vec_add_resources(&ag->free_vec, &a->totals, &ag->free);
    alloc_spare_in(a, ag);
}

void alloc_hold(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                const struct resources *res)
{
    struct alloc_holding *h = holding_get(ag, c);
    _cleanup_(weight_done) struct weight w = WEIGHT_INIT;

    weigh(a, res, &h->res, &w);
    resources_add(&h->res, res);
    count_held(a, c, &w);
    if (ag->overcommitted || !resources_contains(&ag->free, &w.own)) {
        alloc_recount_free(a, ag);
        return;
    }
    alloc_spare_out(a, ag);
    resources_subtract(&ag->free, &w.own);
    drf_vec_clear(&ag->free_vec);
    drf_vec_add_resources(&ag->free_vec, &a->totals, &ag->free);
    alloc_spare_in(a, ag);
}

void alloc_take_all_free(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                         struct resources *taken)
{
    assert(ag->is_plain);
    alloc_spare_out(a, ag);
    resources_move(taken, &ag->free);
    drf_sorter_allocated(&c->role->frameworks, &c->drf, &ag->free_vec);
    role_tree_allocated(&a->tree, c->role, &ag->free_vec);
    alloc_consume(a, c->role, &ag->free_vec, 1);
    drf_vec_clear(&ag->free_vec);
    alloc_spare_in(a, ag);
}

struct alloc_holding *alloc_hold_taken(struct alloc_agent *ag, struct alloc_client *c,
                                       struct resources *taken)
{
    struct alloc_holding *h = holding_get(ag, c);

    if (resources_empty(&h->res))
        resources_move(&h->res, taken);
    else
        resources_add(&h->res, taken);
    return h;
}

void alloc_unhold(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                  const struct resources *res)
{
    struct alloc_holding *h = alloc_holding_find(ag, c);
    _cleanup_resources_ struct resources back = RESOURCES_INIT;
    _cleanup_(weight_done) struct weight w = WEIGHT_INIT;

    if (!h) {
        a->n_mismatched++;
        return;
    }
    resources_copy(&back, res);
    if (!resources_contains(&h->res, res)) {
        _cleanup_resources_ struct resources left = RESOURCES_INIT;

        a->n_mismatched++;
        resources_copy(&left, &h->res);
        resources_subtract(&left, res);
        resources_copy(&back, &h->res);
        resources_subtract(&back, &left);
    }
    resources_subtract(&h->res, &back);
    weigh(a, &back, &h->res, &w);
    count_returned(a, c, &w);
    if (ag->overcommitted) {
        alloc_recount_free(a, ag);
    } else {
        alloc_spare_out(a, ag);
        resources_add(&ag->free, &w.own);
        drf_vec_add_resources(&ag->free_vec, &a->totals, &w.own);
        alloc_spare_in(a, ag);
    }
    if (resources_empty(&h->res))
        holding_release(a, ag, h);
}

void alloc_unhold_all(struct allocator *a, struct alloc_agent *ag, struct alloc_holding *h)
{
    _cleanup_resources_ struct resources all = RESOURCES_INIT;

    resources_copy(&all, &h->res);
    alloc_unhold(a, ag, h->client, &all);
}

/* ---- an agent's total ---- */

static bool has_part(void (*part)(const struct resources *, bool, struct resources *),
                     const struct resources *r)
{
    _cleanup_resources_ struct resources found = RESOURCES_INIT;

    part(r, true, &found);
    return !resources_empty(&found);
}

void alloc_drop_reserved(struct allocator *a, struct alloc_agent *ag)
{
    for (size_t i = 0; i < ag->n_reserved; i++) {
        struct alloc_reserved *x = &ag->reserved[i];

        alloc_consume(a, x->role, &x->amount, -1);
        x->role->n_reserved--;
        role_tree_release(&a->tree, x->role);
        drf_vec_done(&x->amount);
    }
    free(ag->reserved);
    ag->reserved = NULL;
    ag->n_reserved = 0;
}

/* What the agent reserves to whom: consumption of those roles, used or not. */
static void take_reserved(struct allocator *a, struct alloc_agent *ag)
{
    _cleanup_free_ const char **roles = NULL;
    size_t n = resources_reservation_roles(&ag->total, &roles);

    ag->reserved = n ? xcalloc(n, sizeof(*ag->reserved)) : NULL;
    ag->n_reserved = n;
    for (size_t i = 0; i < n; i++) {
        struct alloc_reserved *x = &ag->reserved[i];
        _cleanup_resources_ struct resources part = RESOURCES_INIT;

        resources_reserved_to(&ag->total, roles[i], &part);
        drf_vec_add_resources(&x->amount, &a->totals, &part);
        x->role = role_tree_get(&a->tree, roles[i]);
        x->role->n_reserved++;
        alloc_consume(a, x->role, &x->amount, 1);
    }
}

void alloc_set_total(struct allocator *a, struct alloc_agent *ag, const struct resources *total)
{
    alloc_spare_out(a, ag);
    alloc_drop_reserved(a, ag);
    drf_totals_sub(&a->totals, &ag->total_vec);
    /* They belong to the agent's own network isolation and are in no offer. */
    resources_without(total, "ephemeral_ports", &ag->total);
    drf_vec_clear(&ag->total_vec);
    drf_vec_add_resources(&ag->total_vec, &a->totals, &ag->total);
    drf_totals_add(&a->totals, &ag->total_vec);
    take_reserved(a, ag);
    ag->has_reserved = ag->n_reserved > 0;
    ag->has_refined = resources_has_refined(&ag->total);
    ag->has_revocable = resources_has_revocable(&ag->total);
    ag->has_shared = has_part(resources_shared, &ag->total);
    ag->has_gpus = resources_scalar(&ag->total, "gpus") > 0;
    ag->is_plain = !ag->has_shared && !ag->has_revocable && !ag->has_reserved;
    alloc_recount_free(a, ag);
}

/* ---- parts by allocation role ---- */

void alloc_each_allocation_role(const struct resources *r, alloc_part_f *fn, void *arg)
{
    const char *role = resources_allocation_role(r);
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;
    V1__Resource **pb, **part;
    size_t n;

    if (role || resources_empty(r)) {
        if (role)
            fn(role, r, arg);
        return;
    }
    arena = fl_arena_new(4096);
    n = resources_to_pb(r, RESOURCES_POST_REFINEMENT, true, arena, &pb);
    part = fl_arena_alloc(arena, n * sizeof(*part));
    for (size_t i = 0; i < n; i++) {
        _cleanup_resources_ struct resources of_role = RESOURCES_INIT;
        size_t n_part = 0;

        if (!pb[i] || !pb[i]->allocation_info || !pb[i]->allocation_info->role)
            continue;
        role = pb[i]->allocation_info->role;
        for (size_t k = i; k < n; k++)
            if (pb[k] && pb[k]->allocation_info && streq(pb[k]->allocation_info->role, role)) {
                part[n_part++] = pb[k];
                if (k != i)
                    pb[k] = NULL;
            }
        if (resources_from_pb(part, n_part, &of_role, NULL) == 0)
            fn(role, &of_role, arg);
    }
}
