/* The numbers of the built-in allocator, by the names that follow "allocator/mesos/" in the reference's metrics. */
#include <stdarg.h>

#include "master/allocator/allocator_priv.h"

struct telling {
    void (*fn)(const char *name, double value, void *arg);
    void *arg;
};

static void _printf_(3, 4) tell(const struct telling *t, double value, const char *format, ...)
{
    char name[512]; /* a longer name is cut: roles may be of any length */
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(name, sizeof(name), format, ap);
    va_end(ap);
    t->fn(name, value, t->arg);
}

static void tell_resources(const struct allocator *a, const struct telling *t)
{
    _cleanup_vec_ struct drf_vec held = DRF_VEC_INIT;

    for (const struct alloc_role *r = a->tree.roles; r; r = r->hh.next)
        if (r == r->top)
            drf_vec_add(&held, &r->turn.allocated);
    for (size_t i = 0; i < a->totals.n; i++) {
        const char *name = a->totals.scalars[i].name;

        tell(t, milli_to_double(drf_vec_at(&a->totals.total, i)), "resources/%s/total", name);
        tell(t, milli_to_double(drf_vec_at(&held, i)), "resources/%s/offered_or_allocated", name);
    }
}

static void tell_quota(const struct allocator *a, const struct alloc_role *r,
                       const struct telling *t)
{
    const struct alloc_quota *q = r->quota;

    for (size_t i = 0; i < a->totals.n; i++) {
        const char *name = a->totals.scalars[i].name;
        milli_t guarantee = drf_vec_at(&q->guarantee, i), limit = alloc_quota_limit(q, i);

        if (guarantee)
            tell(t, milli_to_double(guarantee), "quota/roles/%s/resources/%s/guarantee", r->name,
                 name);
        if (limit != ALLOC_NO_LIMIT)
            tell(t, milli_to_double(limit), "quota/roles/%s/resources/%s/limit", r->name, name);
        if (guarantee || limit != ALLOC_NO_LIMIT) {
            tell(t, milli_to_double(drf_vec_at(&r->turn.allocated, i)),
                 "quota/roles/%s/resources/%s/offered_or_allocated", r->name, name);
            tell(t, milli_to_double(drf_vec_at(&r->consumed, i)),
                 "quota/roles/%s/resources/%s/consumed", r->name, name);
        }
    }
}

static void tell_gangs(const struct allocator *a, const struct telling *t)
{
    const struct alloc_gang *g;
    size_t waiting = 0;

    DL_FOREACH (a->gangs, g)
        waiting += drf_client_is_active(&g->client->drf);
    tell(t, (double)waiting, "gangs/waiting");
    tell(t, a->gatherer ? 1 : 0, "gangs/gathering");
    tell(t, (double)a->counts.gangs_delivered, "gangs/delivered");
    tell(t, (double)a->counts.gangs_given_up, "gangs/given_up");
    tell(t, (double)a->counts.gang_tries, "gangs/tries");
}

void alloc_numbers(const struct allocator *ca,
                   void (*fn)(const char *name, double value, void *arg), void *arg)
{
    const struct allocator *a = allocator_cast((struct allocator *)ca);
    const struct telling t = {fn, arg};
    const struct alloc_role *r;

    tell_resources(a, &t);
    for (r = a->tree.roles; r; r = r->hh.next) {
        if (r->n_clients) {
            tell(&t, drf_share(&a->totals, &r->turn.allocated, 1.0), "roles/%s/shares/dominant",
                 r->name);
            tell(&t, (double)r->n_filters, "offer_filters/roles/%s/active", r->name);
        }
        if (r->quota)
            tell_quota(a, r, &t);
    }
    tell_gangs(a, &t);
    tell(&t, (double)a->counts.looks, "agents_looked_at");
    tell(&t, (double)a->counts.asked, "frameworks_asked");
    tell(&t, (double)a->counts.offers, "allocations");
    tell(&t, (double)a->counts.inverse_offers, "inverse_offers");
    tell(&t, (double)a->n_mismatched, "mismatched");
}
