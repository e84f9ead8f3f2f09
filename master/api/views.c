/* See views.h. Resources go out in endpoint format, as the reference's operator API has them. */
#include "master/api/views.h"

V1__TimeInfo *view_time(double seconds, struct fl_arena *arena)
{
    V1__TimeInfo *t = FL_ARENA_NEW(arena, V1__TimeInfo, v1__time_info);
    t->nanoseconds = (int64_t)(seconds * 1e9);
    return t;
}

static size_t resources_of(const struct resources *r, struct fl_arena *arena, V1__Resource ***ret)
{
    return resources_to_pb(r, RESOURCES_ENDPOINT, true, arena, ret);
}

Mapi__Response__GetAgents__Agent *view_agent(const struct agent *a, struct fl_arena *arena)
{
    Mapi__Response__GetAgents__Agent *v =
        FL_ARENA_NEW(arena, Mapi__Response__GetAgents__Agent, mapi__response__get_agents__agent);

    v->agent_info = a->info;
    v->active = a->active;
    v->has_deactivated = true;
    v->deactivated = a->deactivated;
    v->version = a->version;
    v->pid = a->pid;
    v->registered_time = view_time(a->registered_time, arena);
    if (a->reregistered_time > 0)
        v->reregistered_time = view_time(a->reregistered_time, arena);
    v->n_total_resources = resources_of(&a->total, arena, &v->total_resources);
    v->n_allocated_resources = resources_of(&a->used, arena, &v->allocated_resources);
    v->n_offered_resources = resources_of(&a->offered, arena, &v->offered_resources);
    v->n_capabilities = a->n_capabilities;
    v->capabilities = fl_arena_alloc(arena, (a->n_capabilities + 1) * sizeof(*v->capabilities));
    for (size_t i = 0; i < a->n_capabilities; i++) {
        v->capabilities[i] =
            FL_ARENA_NEW(arena, V1__AgentInfo__Capability, v1__agent_info__capability);
        v->capabilities[i]->has_type = true;
        v->capabilities[i]->type = a->capabilities[i];
    }
    if (a->drain_info) {
        v->drain_info = a->drain_info;
        if (a->drain_start_time > 0)
            v->estimated_drain_start_time = view_time(a->drain_start_time, arena);
    }
    return v;
}

V1__Offer *view_offer(const struct offer *o, struct fl_arena *arena)
{
    V1__Offer *v = FL_ARENA_NEW(arena, V1__Offer, v1__offer);

    v->id = FL_ARENA_NEW(arena, V1__OfferID, v1__offer_id);
    v->id->value = (char *)o->id;
    v->framework_id = FL_ARENA_NEW(arena, V1__FrameworkID, v1__framework_id);
    v->framework_id->value = o->framework->id;
    v->agent_id = FL_ARENA_NEW(arena, V1__AgentID, v1__agent_id);
    v->agent_id->value = o->agent->id;
    v->hostname = o->agent->info->hostname;
    v->allocation_info =
        FL_ARENA_NEW(arena, V1__Resource__AllocationInfo, v1__resource__allocation_info);
    v->allocation_info->role = (char *)o->role;
    v->n_resources = resources_of(&o->resources, arena, &v->resources);
    v->n_attributes = o->agent->info->n_attributes;
    v->attributes = o->agent->info->attributes;
    v->domain = o->agent->info->domain;
    v->unavailability = o->agent->unavailability;
    return v;
}

Mapi__Response__GetFrameworks__Framework *view_framework(const struct framework *f,
                                                         struct fl_arena *arena)
{
    Mapi__Response__GetFrameworks__Framework *v = FL_ARENA_NEW(
        arena, Mapi__Response__GetFrameworks__Framework, mapi__response__get_frameworks__framework);
    size_t n = 0;

    v->framework_info = f->info;
    v->active = f->active;
    v->connected = f->connected;
    v->recovered = f->recovered;
    if (f->registered_time > 0)
        v->registered_time = view_time(f->registered_time, arena);
    if (f->reregistered_time > 0)
        v->reregistered_time = view_time(f->reregistered_time, arena);
    if (f->unregistered_time > 0)
        v->unregistered_time = view_time(f->unregistered_time, arena);
    for (const struct offer *o = f->offers; o; o = o->framework_next)
        n++;
    v->offers = fl_arena_alloc(arena, (n + 1) * sizeof(*v->offers));
    for (const struct offer *o = f->offers; o; o = o->framework_next)
        v->offers[v->n_offers++] = view_offer(o, arena);
    v->n_allocated_resources = resources_of(&f->used, arena, &v->allocated_resources);
    v->n_offered_resources = resources_of(&f->offered, arena, &v->offered_resources);
    v->offer_constraints =
        f->constraints_pb ? f->constraints_pb
                          : FL_ARENA_NEW(arena, Sched__OfferConstraints, sched__offer_constraints);
    return v;
}

Mapi__Response__GetAgents *view_agents(const struct master *m, struct fl_arena *arena)
{
    Mapi__Response__GetAgents *v =
        FL_ARENA_NEW(arena, Mapi__Response__GetAgents, mapi__response__get_agents);

    v->agents = fl_arena_alloc(arena, (HASH_COUNT(m->agents) + 1) * sizeof(*v->agents));
    for (const struct agent *a = m->agents; a; a = a->hh.next)
        v->agents[v->n_agents++] = view_agent(a, arena);
    v->recovered_agents =
        fl_arena_alloc(arena, (HASH_COUNT(m->recovered_agents) + 1) * sizeof(*v->recovered_agents));
    for (const struct known_agent *k = m->recovered_agents; k; k = k->hh.next)
        if (k->info)
            v->recovered_agents[v->n_recovered_agents++] = k->info;
    return v;
}

Mapi__Response__GetFrameworks *view_frameworks(const struct master *m, struct fl_arena *arena)
{
    Mapi__Response__GetFrameworks *v =
        FL_ARENA_NEW(arena, Mapi__Response__GetFrameworks, mapi__response__get_frameworks);

    v->frameworks = fl_arena_alloc(arena, (HASH_COUNT(m->frameworks) + 1) * sizeof(*v->frameworks));
    for (const struct framework *f = m->frameworks; f; f = f->hh.next)
        v->frameworks[v->n_frameworks++] = view_framework(f, arena);
    v->completed_frameworks =
        fl_arena_alloc(arena, (m->n_completed_frameworks + 1) * sizeof(*v->completed_frameworks));
    for (const struct framework *f = m->completed_frameworks; f; f = f->next_completed)
        v->completed_frameworks[v->n_completed_frameworks++] = view_framework(f, arena);
    return v;
}

Mapi__Response__GetExecutors *view_executors(const struct master *m, struct fl_arena *arena)
{
    Mapi__Response__GetExecutors *v =
        FL_ARENA_NEW(arena, Mapi__Response__GetExecutors, mapi__response__get_executors);
    size_t n = 0;

    for (const struct agent *a = m->agents; a; a = a->hh.next)
        for (const struct executor *e = a->executors; e; e = e->next)
            n++;
    v->executors = fl_arena_alloc(arena, (n + 1) * sizeof(*v->executors));
    for (const struct agent *a = m->agents; a; a = a->hh.next) {
        for (const struct executor *e = a->executors; e; e = e->next) {
            Mapi__Response__GetExecutors__Executor *x =
                FL_ARENA_NEW(arena, Mapi__Response__GetExecutors__Executor,
                             mapi__response__get_executors__executor);
            x->executor_info = e->info;
            x->agent_id = FL_ARENA_NEW(arena, V1__AgentID, v1__agent_id);
            x->agent_id->value = (char *)a->id;
            v->executors[v->n_executors++] = x;
        }
    }
    return v;
}

static void add_tasks(Mapi__Response__GetTasks *v, const struct framework *f,
                      struct fl_arena *arena)
{
    for (const struct task *t = f->tasks; t; t = t->hh.next)
        v->tasks[v->n_tasks++] = master_task_pb(t, arena);
    for (const struct task *t = f->unreachable_tasks; t; t = t->hh.next)
        v->unreachable_tasks[v->n_unreachable_tasks++] = master_task_pb(t, arena);
    for (const struct task *t = f->completed_tasks; t; t = t->next_completed)
        v->completed_tasks[v->n_completed_tasks++] = master_task_pb(t, arena);
}

Mapi__Response__GetTasks *view_tasks(const struct master *m, struct fl_arena *arena)
{
    Mapi__Response__GetTasks *v =
        FL_ARENA_NEW(arena, Mapi__Response__GetTasks, mapi__response__get_tasks);
    const struct framework *lists[] = {m->frameworks, m->completed_frameworks};
    size_t live = 0, unreachable = 0, completed = 0;

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        for (const struct framework *f = lists[i]; f; f = i ? f->next_completed : f->hh.next) {
            live += HASH_COUNT(f->tasks);
            unreachable += HASH_COUNT(f->unreachable_tasks);
            completed += f->n_completed;
        }
    }
    v->tasks = fl_arena_alloc(arena, (live + 1) * sizeof(*v->tasks));
    v->unreachable_tasks = fl_arena_alloc(arena, (unreachable + 1) * sizeof(*v->unreachable_tasks));
    v->completed_tasks = fl_arena_alloc(arena, (completed + 1) * sizeof(*v->completed_tasks));
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        for (const struct framework *f = lists[i]; f; f = i ? f->next_completed : f->hh.next)
            add_tasks(v, f, arena);
    return v;
}

Mapi__Response__GetState *view_state(const struct master *m, struct fl_arena *arena)
{
    Mapi__Response__GetState *v =
        FL_ARENA_NEW(arena, Mapi__Response__GetState, mapi__response__get_state);

    v->get_tasks = view_tasks(m, arena);
    v->get_executors = view_executors(m, arena);
    v->get_frameworks = view_frameworks(m, arena);
    v->get_agents = view_agents(m, arena);
    return v;
}
