/* Offers taken back after a change of quota. All of it is best effort: what is on its way between master and frameworks is not known, and
 * reservations may count as consumed and as offered. */
#include "common/model/roles.h"
#include "master/core.h"
#include "master/quota.h"
#include "master/roles.h"

static void take_back(struct master *m, struct offer *o, struct quantities *sum, bool add)
{
    _cleanup_quantities_ struct quantities amounts = QUANTITIES_INIT;

    quantities_add_resources(&amounts, &o->resources);
    if (add)
        quantities_add(sum, &amounts);
    else
        quantities_subtract(sum, &amounts);
    offer_withdraw(m, o, true, NULL);
}

/* Offers of the role and below, until it keeps its limits. */
static void rescind_above_limits(struct master *m, const char *role,
                                 const struct quantities *limits, struct quantities *held)
{
    for (struct framework *f = m->frameworks; f; f = f->hh.next) {
        struct offer *o, *tmp;
        DL_FOREACH_SAFE2(f->offers, o, tmp, framework_next)
        {
            if (quota_within(limits, held))
                return;
            if (role_is_within(o->role, role))
                take_back(m, o, held, false);
        }
    }
}

/* Offers of others, until with what the role holds there is enough for its guarantees. */
static void rescind_for_guarantees(struct master *m, const char *role,
                                   const struct quantities *guarantees, struct quantities *held)
{
    for (struct agent *a = m->agents; a; a = a->hh.next) {
        struct offer *o, *tmp;
        DL_FOREACH_SAFE2(a->offers, o, tmp, agent_next)
        {
            if (quantities_contains(held, guarantees))
                return;
            if (!role_is_within(o->role, role))
                take_back(m, o, held, true);
        }
    }
}

void quota_rescind_for_update(struct master *m, const char *role, const struct quota *q)
{
    _cleanup_quantities_ struct quantities held = QUANTITIES_INIT;
    const struct role *r = role_find(m, role);

    role_consumed(r, &held);
    if (r)
        quantities_add(&held, &r->books[ROLE_OFFERED]);
    rescind_above_limits(m, role, &q->limits, &held);
    rescind_for_guarantees(m, role, &q->guarantees, &held);
}

static size_t active_frameworks(const struct master *m, const char *role)
{
    size_t n = 0;

    for (const struct framework *f = m->frameworks; f; f = f->hh.next)
        for (size_t i = 0; f->active && i < f->n_roles; i++)
            n += streq(f->roles[i], role);
    return n;
}

/* The older call knows no limits apart: whole agents are freed until the guarantee is there, and as many as the role has frameworks, so
 * that each can get one. */
void quota_rescind_for_set(struct master *m, const char *role, const struct quota *q)
{
    _cleanup_quantities_ struct quantities freed = QUANTITIES_INIT;
    size_t visited = 0, frameworks = active_frameworks(m, role);

    for (struct agent *a = m->agents; a; a = a->hh.next) {
        if (visited >= frameworks && quantities_contains(&freed, &q->guarantees))
            return;
        if (!a->active || !a->offers)
            continue;
        visited++;
        while (a->offers) {
            _cleanup_resources_ struct resources part = RESOURCES_INIT;
            resources_unreserved(&a->offers->resources, &part);
            resources_revocable(&part, false, &part);
            quantities_add_resources(&freed, &part);
            offer_withdraw(m, a->offers, true, NULL);
        }
    }
}
