/* What happens to frameworks, told to the built-in allocator: hooks of allocator.h. Each changes the books; whatever may make a
 * framework want an agent that it did not want before wakes it (allocator_queue.c). No hook makes an offer: alloc_run() does.
 */
#include <stdlib.h>

#include "common/model/roles.h"
#include "master/allocator/allocator_priv.h"

static bool is_among(const char *s, char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (streq(s, list[i]))
            return true;
    return false;
}

static void drop_min(struct allocator *a, struct alloc_client *c)
{
    alloc_min_done(&c->min);
    if (!c->own_min)
        return;
    c->own_min = false;
    c->role->n_own_min--;
    a->n_own_min--;
    alloc_quota_refresh(a, c->role);
}

static void take_min(struct allocator *a, struct alloc_client *c, const V1__FrameworkInfo *info)
{
    drop_min(a, c);
    for (size_t i = 0; i < info->n_offer_filters; i++) {
        const V1__OfferFilters *f = info->offer_filters[i]->value;

        if (!streq(info->offer_filters[i]->key, c->role->name) || !f ||
            !f->min_allocatable_resources)
            continue;
        alloc_min_from_filters(&a->totals, f->min_allocatable_resources, &c->min);
        c->own_min = true;
        c->role->n_own_min++;
        a->n_own_min++;
    }
}

/* Roles that are no longer there keep what they hold, and get nothing more. */
static void drop_roles(struct allocator *a, struct alloc_framework *f, const char *const *roles,
                       size_t n)
{
    struct alloc_client *c, *next;

    LL_FOREACH_SAFE (f->clients, c, next) {
        bool still = false;

        for (size_t i = 0; i < n && !still; i++)
            still = streq(c->role->name, roles[i]);
        if (still)
            continue;
        alloc_gang_set(a, c, NULL);
        c->subscribed = false;
        drop_min(a, c);
        alloc_client_refresh(a, c);
        alloc_filters_drop_client(a, c);
        alloc_client_release(a, c);
    }
}

static void take_framework(struct allocator *a, struct alloc_framework *f,
                           const struct allocator_framework *in)
{
    _cleanup_free_ const char **roles = NULL;
    size_t n = framework_roles(in->info, &roles);

    f->known = true;
    f->active = in->active;
    f->constraints = in->constraints;
    f->capabilities = 0;
    for (size_t i = 0; i < in->info->n_capabilities; i++)
        if ((unsigned)in->info->capabilities[i]->type < 32)
            f->capabilities |= 1u << in->info->capabilities[i]->type;
    for (size_t i = 0; i < n; i++) {
        struct alloc_client *c = alloc_client_get(a, f, roles[i]);

        c->subscribed = true;
        c->suppressed = is_among(roles[i], in->suppressed_roles, in->n_suppressed);
        take_min(a, c, in->info);
        alloc_gang_set(a, c, in->info);
        alloc_client_refresh(a, c);
        alloc_wake(a, c);
    }
    drop_roles(a, f, roles, n);
}

void alloc_add_framework(struct allocator *a, const struct allocator_framework *f, uint64_t now_us)
{
    a = allocator_cast(a);
    take_framework(a, alloc_framework_get(a, f->id), f);
}

void alloc_update_framework(struct allocator *a, const struct allocator_framework *in,
                            uint64_t now_us)
{
    struct alloc_framework *f = alloc_framework_find(allocator_cast(a), in->id);

    if (f && f->known)
        take_framework(a, f, in);
}

static int by_place(const void *pa, const void *pb)
{
    const struct alloc_holding *a = *(struct alloc_holding *const *)pa,
                               *b = *(struct alloc_holding *const *)pb;

    return (a->agent->index > b->agent->index) - (a->agent->index < b->agent->index);
}

/* What it still holds anywhere is free again: agent by agent as they stand in the list, and on one
 * agent as its list has them. */
static void free_holdings(struct allocator *a, const struct alloc_framework *f)
{
    _cleanup_free_ struct alloc_holding **list = NULL;
    struct alloc_client *c;
    struct alloc_holding *h, *next;
    size_t n = 0, total = 0;

    LL_FOREACH (f->clients, c)
        total += c->n_holdings;
    list = xcalloc(total + 1, sizeof(*list));
    LL_FOREACH (f->clients, c)
        DL_FOREACH2(c->holdings, h, of_client_next)
    list[n++] = h;
    qsort(list, n, sizeof(*list), by_place);
    for (size_t i = 0; i < n; i++) {
        struct alloc_agent *ag = list[i]->agent;

        while (i + 1 < n && list[i + 1]->agent == ag)
            i++;
        LL_FOREACH_SAFE (ag->holdings, h, next) {
            if (h->client->framework != f)
                continue;
            alloc_unhold_all(a, ag, h);
            alloc_touch(a, ag);
        }
    }
}

void alloc_remove_framework(struct allocator *a, const char *framework_id)
{
    struct alloc_framework *f = alloc_framework_find(allocator_cast(a), framework_id);
    struct alloc_client *c;
    bool holds = false;

    if (!f || !f->known)
        return;
    LL_FOREACH (f->clients, c) {
        if (c->subscribed)
            alloc_gang_set(a, c, NULL);
        holds = holds || c->n_holdings;
    }
    if (holds)
        free_holdings(a, f);
    alloc_inverse_forget_framework(a, f);
    drop_roles(a, f, NULL, 0);
    f->active = f->known = false;
    if (!f->clients) {
        HASH_DEL(a->frameworks, f);
        free(f->id);
        free(f);
    }
}

void alloc_set_framework_active(struct allocator *a, const char *framework_id, bool active)
{
    struct alloc_framework *f = alloc_framework_find(allocator_cast(a), framework_id);
    struct alloc_client *c;

    if (!f || !f->known || f->active == active)
        return;
    f->active = active;
    LL_FOREACH (f->clients, c) {
        alloc_client_refresh(a, c);
        if (active) {
            alloc_wake(a, c);
        } else {
            alloc_filters_drop_client(a, c);
            alloc_gang_drop(a, c);
        }
    }
    if (!active)
        alloc_inverse_drop_filters(a, f);
}

static bool among_roles(const char *role, const char *const *roles, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (streq(role, roles[i]))
            return true;
    return n == 0;
}

void alloc_suppress(struct allocator *a, const char *framework_id, const char *const *roles,
                    size_t n)
{
    struct alloc_framework *f = alloc_framework_find(allocator_cast(a), framework_id);
    struct alloc_client *c;

    if (!f)
        return;
    LL_FOREACH (f->clients, c) {
        if (!among_roles(c->role->name, roles, n))
            continue;
        c->suppressed = true;
        alloc_client_refresh(a, c);
        alloc_gang_drop(a, c);
    }
}

void alloc_revive(struct allocator *a, const char *framework_id, const char *const *roles, size_t n,
                  uint64_t now_us)
{
    struct alloc_framework *f = alloc_framework_find(allocator_cast(a), framework_id);
    struct alloc_client *c;

    if (!f)
        return;
    alloc_inverse_drop_filters(a, f);
    LL_FOREACH (f->clients, c) {
        if (!among_roles(c->role->name, roles, n))
            continue;
        c->suppressed = false;
        alloc_filters_drop_client(a, c);
        alloc_client_refresh(a, c);
        alloc_wake(a, c);
    }
}
