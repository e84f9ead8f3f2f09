/* The operator API's events and the messages they carry, which GET_AGENTS and GET_FRAMEWORKS use too.
 * While nobody is subscribed nothing is built. */
#include "master/core.h"

static V1__TimeInfo *any_time_pb(double seconds, struct fl_arena *arena)
{
    V1__TimeInfo *t = fl_arena_alloc(arena, sizeof(*t));

    v1__time_info__init(t);
    t->nanoseconds = (int64_t)(seconds * 1e9);
    return t;
}

static V1__TimeInfo *time_pb(double seconds, struct fl_arena *arena)
{
    return seconds > 0 ? any_time_pb(seconds, arena) : NULL;
}

static size_t full(const struct resources *r, struct fl_arena *arena, V1__Resource ***ret)
{
    return resources_to_pb(r, RESOURCES_ENDPOINT, true, arena, ret);
}

static void put_capabilities(Mapi__Response__GetAgents__Agent *pb, const struct agent *a,
                             struct fl_arena *arena)
{
    if (a->n_capabilities == 0)
        return;
    pb->capabilities = fl_arena_alloc(arena, a->n_capabilities * sizeof(*pb->capabilities));
    while (pb->n_capabilities < a->n_capabilities) {
        V1__AgentInfo__Capability *c = fl_arena_alloc(arena, sizeof(*c));
        v1__agent_info__capability__init(c);
        c->has_type = true;
        c->type = a->capabilities[pb->n_capabilities];
        pb->capabilities[pb->n_capabilities++] = c;
    }
}

Mapi__Response__GetAgents__Agent *master_agent_pb(const struct master *m, const struct agent *a,
                                                  struct fl_arena *arena)
{
    Mapi__Response__GetAgents__Agent *pb = fl_arena_alloc(arena, sizeof(*pb));

    mapi__response__get_agents__agent__init(pb);
    pb->agent_info = a->info;
    pb->active = a->active;
    pb->has_deactivated = true;
    pb->deactivated = a->deactivated;
    pb->version = (char *)a->version;
    pb->pid = a->pid;
    pb->registered_time = time_pb(a->registered_time, arena);
    pb->reregistered_time = time_pb(a->reregistered_time, arena);
    pb->n_total_resources = full(&a->total, arena, &pb->total_resources);
    pb->n_allocated_resources = full(&a->used, arena, &pb->allocated_resources);
    pb->n_offered_resources = full(&a->offered, arena, &pb->offered_resources);
    put_capabilities(pb, a, arena);
    pb->drain_info = a->drain_info;
    pb->estimated_drain_start_time = time_pb(a->drain_start_time, arena);
    return pb;
}

static void put_offers(Mapi__Response__GetFrameworks__Framework *pb, const struct master *m,
                       const struct framework *f, struct fl_arena *arena)
{
    struct offer *o;
    size_t n = 0;

    DL_FOREACH2(f->offers, o, framework_next) n++;
    if (n == 0)
        return;
    pb->offers = fl_arena_alloc(arena, n * sizeof(*pb->offers));
    DL_FOREACH2(f->offers, o, framework_next)
    pb->offers[pb->n_offers++] = master_offer_pb(m, o, true, arena);
}

Mapi__Response__GetFrameworks__Framework *
master_framework_pb(const struct master *m, const struct framework *f, struct fl_arena *arena)
{
    Mapi__Response__GetFrameworks__Framework *pb = fl_arena_alloc(arena, sizeof(*pb));

    mapi__response__get_frameworks__framework__init(pb);
    pb->framework_info = f->info;
    pb->active = f->active;
    pb->connected = f->connected;
    pb->recovered = f->recovered;
    pb->registered_time = time_pb(f->registered_time, arena);
    pb->reregistered_time = time_pb(f->reregistered_time, arena);
    pb->unregistered_time = time_pb(f->unregistered_time, arena);
    put_offers(pb, m, f, arena);
    pb->n_allocated_resources = full(&f->used, arena, &pb->allocated_resources);
    pb->n_offered_resources = full(&f->offered, arena, &pb->offered_resources);
    pb->offer_constraints =
        f->constraints_pb ? f->constraints_pb
                          : FL_ARENA_NEW(arena, Sched__OfferConstraints, sched__offer_constraints);
    return pb;
}

/* Events tell all times, 0 for those that have not come, and nothing that offers change. */
static Mapi__Response__GetFrameworks__Framework *for_event(const struct framework *f,
                                                           struct fl_arena *arena)
{
    Mapi__Response__GetFrameworks__Framework *pb = fl_arena_alloc(arena, sizeof(*pb));

    mapi__response__get_frameworks__framework__init(pb);
    pb->framework_info = f->info;
    pb->active = f->active;
    pb->connected = f->connected;
    pb->recovered = f->recovered;
    pb->registered_time = any_time_pb(f->registered_time, arena);
    pb->reregistered_time = any_time_pb(f->reregistered_time, arena);
    pb->unregistered_time = any_time_pb(f->unregistered_time, arena);
    return pb;
}

/* ---- events ---- */

static bool nobody_listens(const struct master *m)
{
    return m->n_subscribers == 0 || !m->env->io->publish;
}

static void publish(struct master *m, Mapi__Event *ev, Mapi__Event__Type type)
{
    ev->has_type = true;
    ev->type = type;
    m->env->io->publish(m->env->ctx, ev);
}

void publish_task_added(struct master *m, const struct task *t)
{
    Mapi__Event__TaskAdded added = MAPI__EVENT__TASK_ADDED__INIT;
    Mapi__Event ev = MAPI__EVENT__INIT;

    if (nobody_listens(m))
        return;
    added.task = master_task_pb(t, m->core->scratch);
    ev.task_added = &added;
    publish(m, &ev, MAPI__EVENT__TYPE__TASK_ADDED);
}

void publish_task_updated(struct master *m, const struct task *t, const V1__TaskStatus *st)
{
    Mapi__Event__TaskUpdated updated = MAPI__EVENT__TASK_UPDATED__INIT;
    Mapi__Event ev = MAPI__EVENT__INIT;

    if (nobody_listens(m))
        return;
    updated.framework_id = t->framework->info->id;
    updated.status = (V1__TaskStatus *)st;
    updated.state = t->state;
    ev.task_updated = &updated;
    publish(m, &ev, MAPI__EVENT__TYPE__TASK_UPDATED);
}

void publish_agent_added(struct master *m, const struct agent *a)
{
    Mapi__Event__AgentAdded added = MAPI__EVENT__AGENT_ADDED__INIT;
    Mapi__Event ev = MAPI__EVENT__INIT;

    if (nobody_listens(m))
        return;
    added.agent = master_agent_pb(m, a, m->core->scratch);
    ev.agent_added = &added;
    publish(m, &ev, MAPI__EVENT__TYPE__AGENT_ADDED);
}

void publish_agent_removed(struct master *m, const char *agent_id)
{
    Mapi__Event__AgentRemoved removed = MAPI__EVENT__AGENT_REMOVED__INIT;
    V1__AgentID id = V1__AGENT_ID__INIT;
    Mapi__Event ev = MAPI__EVENT__INIT;

    if (nobody_listens(m))
        return;
    id.value = (char *)agent_id;
    removed.agent_id = &id;
    ev.agent_removed = &removed;
    publish(m, &ev, MAPI__EVENT__TYPE__AGENT_REMOVED);
}

void publish_framework(struct master *m, const struct framework *f, Mapi__Event__Type type)
{
    Mapi__Event__FrameworkAdded added = MAPI__EVENT__FRAMEWORK_ADDED__INIT;
    Mapi__Event__FrameworkUpdated updated = MAPI__EVENT__FRAMEWORK_UPDATED__INIT;
    Mapi__Event ev = MAPI__EVENT__INIT;

    if (nobody_listens(m))
        return;
    added.framework = updated.framework = for_event(f, m->core->scratch);
    if (type == MAPI__EVENT__TYPE__FRAMEWORK_ADDED)
        ev.framework_added = &added;
    else
        ev.framework_updated = &updated;
    publish(m, &ev, type);
}

void publish_framework_removed(struct master *m, const struct framework *f)
{
    Mapi__Event__FrameworkRemoved removed = MAPI__EVENT__FRAMEWORK_REMOVED__INIT;
    Mapi__Event ev = MAPI__EVENT__INIT;

    if (nobody_listens(m))
        return;
    removed.framework_info = f->info;
    ev.framework_removed = &removed;
    publish(m, &ev, MAPI__EVENT__TYPE__FRAMEWORK_REMOVED);
}
