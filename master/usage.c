/* The master's own books of resources: per agent and framework, what is used and what is offered.
 * The allocator keeps its own; these serve the JSON faces, the metrics and re-registrations. */
#include "master/core.h"
#include "master/roles.h"

struct usage *usage_of(struct agent *a, const char *framework_id, bool make)
{
    struct usage *u;

    LL_FOREACH (a->usages, u) {
        if (u->framework_id == framework_id || streq(u->framework_id, framework_id))
            return u;
    }
    if (!make)
        return NULL;
    u = xnew0(struct usage);
    u->framework_id = framework_id;
    LL_PREPEND(a->usages, u);
    return u;
}

void usage_add(struct agent *a, struct framework *f, const struct resources *r, bool offered)
{
    struct usage *u = usage_of(a, f->id, true);

    roles_add(a->master, r, offered ? &u->offered : &u->used, offered);
    resources_add(offered ? &u->offered : &u->used, r);
    totals_change(a, offered ? &a->offered : &a->used, r, true);
    resources_add(offered ? &f->offered : &f->used, r);
    agent_changed(a, false);
    framework_changed(f, false);
}

static void usage_free(struct usage *u)
{
    resources_done(&u->used);
    resources_done(&u->offered);
    free(u);
}

void usage_subtract(struct agent *a, struct framework *f, const struct resources *r, bool offered)
{
    struct usage *u = usage_of(a, f->id, false);

    if (!u) {
        assert(resources_empty(r));
        return;
    }
    roles_subtract(a->master, r, offered ? &u->offered : &u->used, offered);
    resources_subtract(offered ? &u->offered : &u->used, r);
    totals_change(a, offered ? &a->offered : &a->used, r, false);
    resources_subtract(offered ? &f->offered : &f->used, r);
    agent_changed(a, false);
    framework_changed(f, false);
    if (resources_empty(&u->used) && resources_empty(&u->offered)) {
        LL_DELETE(a->usages, u);
        usage_free(u);
    }
}

void usages_free(struct agent *a)
{
    while (a->usages) {
        struct usage *u = a->usages;
        LL_DELETE(a->usages, u);
        usage_free(u);
    }
}

/* ---- an agent's total ---- */

/* What a checkpointed resource was before frameworks reserved it or made a volume of it. The parts
 * are borrowed from `r`. */
struct stripped {
    V1__Resource res;
    V1__Resource__DiskInfo disk;
};

static void strip(const V1__Resource *r, struct stripped *s)
{
    s->res = *r;
    s->res.n_reservations = 0;
    while (s->res.n_reservations < r->n_reservations) {
        const V1__Resource__ReservationInfo *ri = r->reservations[s->res.n_reservations];
        if (!ri->has_type || ri->type != V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC)
            break;
        s->res.n_reservations++;
    }
    if (r->n_reservations == 0 && r->reservation) {
        s->res.reservation = NULL;
        s->res.role = (char *)"*";
    }
    s->res.shared = NULL;
    if (!r->disk)
        return;
    s->disk = *r->disk;
    s->disk.persistence = NULL;
    s->disk.volume = NULL;
    s->res.disk = s->disk.source ? &s->disk : NULL;
}

static void apply_checkpointed(struct agent *a, const V1__Resource *r)
{
    struct stripped s;
    struct fl_err err;
    _cleanup_resources_ struct resources from = RESOURCES_INIT, to = RESOURCES_INIT;
    V1__Resource *one = &s.res, *as_is = (V1__Resource *)r;

    strip(r, &s);
    if (resources_from_pb(&one, 1, &from, &err) < 0 ||
        resources_from_pb(&as_is, 1, &to, &err) < 0) {
        log_warning("agent %s tells of a resource that is not valid, which is left out: %s", a->id,
                    err.msg);
        return;
    }
    if (!resources_contains(&a->total, &from)) {
        log_warning("agent %s tells of a reservation of '%s' that it does not have", a->id,
                    r->name);
        return;
    }
    resources_subtract(&a->total, &from);
    resources_add(&a->total, &to);
}

void agents_put_total(struct agent *a)
{
    struct fl_err err;
    struct resources total = RESOURCES_INIT;
    const struct resources *told;

    if (resources_from_pb(a->info->resources, a->info->n_resources, &total, &err) < 0)
        log_warning("the resources of agent %s are not valid, it counts as having none: %s", a->id,
                    err.msg);
    told = resources_hold(&total);
    resources_copy(&a->total, told);
    resources_release(a->told_total);
    a->told_total = told;
    for (size_t i = 0; i < a->n_checkpointed; i++)
        apply_checkpointed(a, a->checkpointed[i]);
    agents_total_changed(a);
}
