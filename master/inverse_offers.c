/* Inverse offers: the allocator module asks a framework to leave an agent that will be unavailable; the
 * framework accepts or declines, which binds nobody and is shown in the maintenance status.
 *
 * One is outstanding for a framework and agent at a time. It ends by an answer, or is rescinded when the schedule
 * changes, when the agent or the framework goes, or after --offer_timeout. Each end is told to the module, unless the agent
 * has left it.
 *
 * Those made during one allocation run leave as one INVERSE_OFFERS event for each framework. The module may not be
 * entered from its own callback, so what cannot be delivered goes back to it after the run.
 */
#include "master/core.h"

#include <inttypes.h>

/* ---- telling ---- */

static V1__InverseOffer *message(const struct inverse_offer *o, struct fl_arena *arena)
{
    V1__InverseOffer *pb = FL_ARENA_NEW(arena, V1__InverseOffer, v1__inverse_offer);

    pb->id = FL_ARENA_NEW(arena, V1__OfferID, v1__offer_id);
    pb->id->value = (char *)o->id;
    pb->framework_id = o->framework->info->id;
    pb->agent_id = o->agent->info->id;
    pb->url = agents_url(arena, o->agent);
    pb->unavailability = o->agent->unavailability;
    return pb;
}

static void send_fresh(struct master *m, struct framework *f)
{
    Sched__Event__InverseOffers offers = SCHED__EVENT__INVERSE_OFFERS__INIT;
    Sched__Event ev = SCHED__EVENT__INIT;
    struct inverse_offer *o;
    size_t n = 0;

    DL_FOREACH2(f->inverse_offers, o, framework_next) n += o->fresh;
    if (n == 0)
        return;
    offers.inverse_offers = core_alloc(m, n * sizeof(*offers.inverse_offers));
    DL_FOREACH2(f->inverse_offers, o, framework_next)
    {
        if (o->fresh)
            offers.inverse_offers[offers.n_inverse_offers++] = message(o, m->core->scratch);
        o->fresh = false;
    }
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__INVERSE_OFFERS;
    ev.inverse_offers = &offers;
    log_info("%zu inverse offers to framework %s", n, f->id);
    framework_send(m, f, &ev);
}

static void tell_rescinded(struct master *m, struct inverse_offer *o)
{
    Sched__Event__RescindInverseOffer rescind = SCHED__EVENT__RESCIND_INVERSE_OFFER__INIT;
    V1__OfferID id = V1__OFFER_ID__INIT;
    Sched__Event ev = SCHED__EVENT__INIT;

    id.value = o->id;
    rescind.inverse_offer_id = &id;
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__RESCIND_INVERSE_OFFER;
    ev.rescind_inverse_offer = &rescind;
    framework_send(m, o->framework, &ev);
}

static void tell_module(struct master *m, const char *framework_id, const char *agent_id,
                        const Alloc__InverseOfferStatus *status, const V1__Filters *filters)
{
    if (m->alloc_ops->update_inverse_offer)
        m->alloc_ops->update_inverse_offer(m->alloc, framework_id, agent_id, status, filters,
                                           core_now(m));
}

/* ---- ending ---- */

static void remove_offer(struct master *m, struct inverse_offer *o)
{
    HASH_DEL(m->core->inverse_offers, o);
    DL_DELETE2(o->agent->inverse_offers, o, agent_prev, agent_next);
    DL_DELETE2(o->framework->inverse_offers, o, framework_prev, framework_next);
    env_timer_free(core_env(m), o->timeout);
    free(o);
}

static void withdraw(struct master *m, struct inverse_offer *o, bool rescind)
{
    tell_module(m, o->framework->id, o->agent->id, NULL, NULL);
    if (rescind && !o->fresh)
        tell_rescinded(m, o);
    remove_offer(m, o);
    allocation_kick(m);
}

void inverse_offers_withdraw_agent(struct master *m, struct agent *a)
{
    while (a->inverse_offers)
        withdraw(m, a->inverse_offers, true);
}

void inverse_offers_withdraw_framework(struct master *m, struct framework *f, bool rescind)
{
    while (f->inverse_offers)
        withdraw(m, f->inverse_offers, rescind);
}

void inverse_offers_drop_agent(struct master *m, struct agent *a, bool rescind)
{
    while (a->inverse_offers) {
        if (rescind)
            tell_rescinded(m, a->inverse_offers);
        remove_offer(m, a->inverse_offers);
    }
}

static void on_timeout(void *arg)
{
    struct inverse_offer *o = arg;
    struct master *m = o->framework->master;

    core_enter(m);
    log_info("inverse offer %s was not answered in time and is rescinded", o->id);
    withdraw(m, o, true);
    core_leave(m);
}

/* ---- making ---- */

static bool deliverable(const struct framework *f, const struct agent *a)
{
    return f && f->connected && f->active && a && a->active && a->unavailability;
}

void inverse_offer_made(void *arg, const char *framework_id, const char *agent_id,
                        const V1__Unavailability *unavailability)
{
    struct master *m = arg;
    struct framework *f = master_framework(m, framework_id);
    struct agent *a = master_agent(m, agent_id);
    struct inverse_offer *o;

    if (!deliverable(f, a)) {
        struct undelivered *u = core_new(m, struct undelivered);
        u->framework_id = fl_arena_strdup(m->core->scratch, framework_id);
        u->agent_id = fl_arena_strdup(m->core->scratch, agent_id);
        LL_PREPEND(m->core->undelivered, u);
        return;
    }
    o = xnew0(struct inverse_offer);
    fl_snprintf(o->id, sizeof(o->id), "%s-O%" PRIu64, m->id, m->next_offer++);
    o->framework = f;
    o->agent = a;
    o->fresh = true;
    HASH_ADD_STR(m->core->inverse_offers, id, o);
    DL_APPEND2(a->inverse_offers, o, agent_prev, agent_next);
    DL_APPEND2(f->inverse_offers, o, framework_prev, framework_next);
    if (m->flags->offer_timeout > 0) {
        o->timeout = env_timer_new(core_env(m), on_timeout, o);
        env_timer_set(core_env(m), o->timeout, m->flags->offer_timeout);
    }
    if (!f->inverse_pending)
        LL_PREPEND2(m->core->inverse_pending, f, next_inverse_pending);
    f->inverse_pending = true;
}

void inverse_offers_flush(struct master *m)
{
    while (m->core->undelivered) {
        struct undelivered *u = m->core->undelivered;
        m->core->undelivered = u->next;
        /* Asked again when the usual time has passed, not in the next run and each after it. */
        tell_module(m, u->framework_id, u->agent_id, NULL, filters_or_default(m, NULL));
    }
    while (m->core->inverse_pending) {
        struct framework *f = m->core->inverse_pending;
        LL_DELETE2(m->core->inverse_pending, f, next_inverse_pending);
        f->inverse_pending = false;
        send_fresh(m, f);
    }
}

/* ---- answers ---- */

void framework_answer_inverse(struct master *m, struct framework *f, V1__OfferID *const *ids,
                              size_t n, bool accept, const V1__Filters *filters)
{
    Alloc__InverseOfferStatus status = ALLOC__INVERSE_OFFER_STATUS__INIT;
    V1__TimeInfo now = V1__TIME_INFO__INIT;

    now.nanoseconds = (int64_t)env_wall_ns(core_env(m));
    status.status = accept ? ALLOC__INVERSE_OFFER_STATUS__STATUS__ACCEPT
                           : ALLOC__INVERSE_OFFER_STATUS__STATUS__DECLINE;
    status.framework_id = f->info->id;
    status.timestamp = &now;
    for (size_t i = 0; i < n; i++) {
        struct inverse_offer *o;
        HASH_FIND_STR(m->core->inverse_offers, ids[i]->value, o);
        if (!o || o->framework != f) {
            log_debug("framework %s answers inverse offer %s, which it does not hold", f->id,
                      ids[i]->value);
            continue;
        }
        tell_module(m, f->id, o->agent->id, &status, filters_or_default(m, filters));
        remove_offer(m, o);
        allocation_kick(m);
    }
}
