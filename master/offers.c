/* Offers: made of the allocator's decisions, one agent and one role each; taken back when the agent
 * or the framework goes, or when --offer_timeout passes.
 *
 * During one allocation run the offers of a framework collect in its pending_offers; one OFFERS
 * event carries them at the end of the run.
 */
#include "master/core.h"

#include <inttypes.h>

#include "common/model/intern.h"

struct offer *offer_find(const struct master *m, const char *id)
{
    struct offer *o;

    HASH_FIND_STR(m->offers, id, o);
    return o;
}

/* ---- the message ---- */

V1__URL *agents_url(struct fl_arena *arena, const struct agent *a)
{
    V1__URL *url = fl_arena_alloc(arena, sizeof(*url));
    V1__Address *address = fl_arena_alloc(arena, sizeof(*address));
    const char *at = strchr(a->pid, '@'), *colon = strrchr(a->pid, ':');
    int64_t port = 0;

    v1__url__init(url);
    v1__address__init(address);
    address->hostname = a->info->hostname;
    if (at && colon && colon > at) {
        char *path = fl_arena_alloc(arena, (size_t)(at - a->pid) + 2);
        path[0] = '/';
        memcpy(path + 1, a->pid, (size_t)(at - a->pid));
        path[at - a->pid + 1] = '\0';
        url->path = path;
        address->ip = fl_arena_strdup(arena, at + 1);
        address->ip[colon - at - 1] = '\0';
        if (fl_parse_i64(colon + 1, &port) < 0)
            port = 0;
    }
    address->port = (int32_t)port;
    url->scheme = (char *)"http";
    url->address = address;
    return url;
}

static void put_executors(V1__Offer *pb, const struct offer *o, struct fl_arena *arena)
{
    struct executor *e;
    size_t n = 0;

    DL_FOREACH (o->agent->executors, e)
        n += e->framework == o->framework;
    if (n == 0)
        return;
    pb->executor_ids = fl_arena_alloc(arena, n * sizeof(*pb->executor_ids));
    DL_FOREACH (o->agent->executors, e) {
        if (e->framework == o->framework)
            pb->executor_ids[pb->n_executor_ids++] = e->info->executor_id;
    }
}

/* ephemeral_ports are the network isolator's own and are not shown. */
static void hide_ephemeral_ports(V1__Offer *pb)
{
    size_t n = 0;

    for (size_t i = 0; i < pb->n_resources; i++) {
        if (!streq(pb->resources[i]->name, "ephemeral_ports"))
            pb->resources[n++] = pb->resources[i];
    }
    pb->n_resources = n;
}

#define ARENA_PB(var, arena, type, init_fn)                                                        \
    type *var = fl_arena_alloc(arena, sizeof(type));                                               \
    init_fn(var)

V1__Offer *master_offer_pb(const struct master *m, const struct offer *o, bool for_operator,
                           struct fl_arena *arena)
{
    const struct framework *f = o->framework;
    bool keep_allocation = for_operator || f->cap_multi_role;
    ARENA_PB(pb, arena, V1__Offer, v1__offer__init);
    ARENA_PB(id, arena, V1__OfferID, v1__offer_id__init);

    id->value = (char *)o->id;
    pb->id = id;
    pb->framework_id = f->info->id;
    pb->agent_id = o->agent->info->id;
    pb->hostname = o->agent->info->hostname;
    pb->url = agents_url(arena, o->agent);
    pb->attributes = o->agent->info->attributes;
    pb->n_attributes = o->agent->info->n_attributes;
    pb->domain = o->agent->info->domain;
    pb->unavailability = o->agent->unavailability;
    if (keep_allocation) {
        ARENA_PB(ai, arena, V1__Resource__AllocationInfo, v1__resource__allocation_info__init);
        ai->role = (char *)o->role;
        pb->allocation_info = ai;
    }
    pb->n_resources = resources_to_pb(&o->resources,
                                      f->cap_refinement || for_operator ? RESOURCES_POST_REFINEMENT
                                                                        : RESOURCES_PRE_REFINEMENT,
                                      keep_allocation, arena, &pb->resources);
    hide_ephemeral_ports(pb);
    put_executors(pb, o, arena);
    return pb;
}

/* ---- making ---- */

static void on_timeout(void *arg)
{
    struct offer *o = arg;
    struct master *m = o->framework->master;

    core_enter(m);
    log_info("offer %s was not used in time and is rescinded", o->id);
    offer_withdraw(m, o, true, NULL);
    core_leave(m);
}

static struct offer *offer_new(struct master *m, struct framework *f, struct agent *a,
                               const char *role, const struct resources *res)
{
    struct offer *o = xnew0(struct offer);

    fl_snprintf(o->id, sizeof(o->id), "%s-O%" PRIu64, m->id, m->next_offer++);
    o->framework = f;
    o->agent = a;
    o->role = intern(role);
    o->made_us = core_now(m);
    resources_copy(&o->resources, res);
    HASH_ADD_STR(m->offers, id, o);
    DL_APPEND2(a->offers, o, agent_prev, agent_next);
    DL_APPEND2(f->offers, o, framework_prev, framework_next);
    usage_add(a, f, &o->resources, true);
    if (m->flags->offer_timeout > 0) {
        o->timeout = env_timer_new(core_env(m), on_timeout, o);
        env_timer_set(core_env(m), o->timeout, m->flags->offer_timeout);
    }
    return o;
}

static void make_pending(struct master *m, struct framework *f, const struct offer *o)
{
    V1__Offer **grown;

    if (f->n_pending == 0)
        LL_PREPEND2(m->core->pending, f, next_pending);
    if (f->n_pending == f->cap_pending) {
        f->cap_pending = f->cap_pending ? 2 * f->cap_pending : 16;
        grown = core_alloc(m, f->cap_pending * sizeof(*grown));
        if (f->n_pending > 0)
            memcpy(grown, f->pending_offers, f->n_pending * sizeof(*grown));
        f->pending_offers = grown;
    }
    f->pending_offers[f->n_pending++] = master_offer_pb(m, o, false, m->core->scratch);
}

void offer_made(void *arg, const char *framework_id, const char *role, const char *agent_id,
                const struct resources *res)
{
    struct master *m = arg;
    struct framework *f = master_framework(m, framework_id);
    struct agent *a = master_agent(m, agent_id);

    if (!f || !f->connected || !f->active || !a || !a->active) {
        log_debug("no offer of agent %s to framework %s: one of them is not active", agent_id,
                  framework_id);
        allocation_recover(m, framework_id, agent_id, res, NULL);
        return;
    }
    make_pending(m, f, offer_new(m, f, a, role, res));
}

void offers_flush(struct master *m)
{
    while (m->core->pending) {
        struct framework *f = m->core->pending;
        Sched__Event__Offers offers = SCHED__EVENT__OFFERS__INIT;
        Sched__Event ev = SCHED__EVENT__INIT;

        LL_DELETE2(m->core->pending, f, next_pending);
        offers.offers = f->pending_offers;
        offers.n_offers = f->n_pending;
        ev.has_type = true;
        ev.type = SCHED__EVENT__TYPE__OFFERS;
        ev.offers = &offers;
        f->pending_offers = NULL;
        f->n_pending = f->cap_pending = 0;
        f->counts.sent += offers.n_offers;
        log_debug("%zu offers to framework %s", offers.n_offers, f->id);
        framework_send(m, f, &ev);
    }
}

/* ---- ending ---- */

void offer_answered(struct master *m, const struct offer *o)
{
    metric_sample_us(m->core->offer_answer, core_now(m) - o->made_us);
}

void offer_remove(struct master *m, struct offer *o)
{
    usage_subtract(o->agent, o->framework, &o->resources, true);
    HASH_DEL(m->offers, o);
    DL_DELETE2(o->agent->offers, o, agent_prev, agent_next);
    DL_DELETE2(o->framework->offers, o, framework_prev, framework_next);
    env_timer_free(core_env(m), o->timeout);
    resources_done(&o->resources);
    free(o);
}

static void tell_rescinded(struct master *m, struct offer *o)
{
    V1__OfferID id = V1__OFFER_ID__INIT;
    Sched__Event__Rescind rescind = SCHED__EVENT__RESCIND__INIT;
    Sched__Event ev = SCHED__EVENT__INIT;

    id.value = o->id;
    rescind.offer_id = &id;
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__RESCIND;
    ev.rescind = &rescind;
    o->framework->counts.rescinded++;
    framework_send(m, o->framework, &ev);
}

void offer_withdraw(struct master *m, struct offer *o, bool rescind, const V1__Filters *filters)
{
    if (rescind)
        tell_rescinded(m, o);
    allocation_recover(m, o->framework->id, o->agent->id, &o->resources, filters);
    offer_remove(m, o);
}
