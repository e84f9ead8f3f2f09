/* See views.h. Resources go out in endpoint format, as the reference's operator API has them. */
#include "master/api/views.h"

V1__TimeInfo *view_time(double seconds, struct fl_arena *arena)
{
    V1__TimeInfo *t = FL_ARENA_NEW(arena, V1__TimeInfo, v1__time_info);
    t->nanoseconds = (int64_t)(seconds * 1e9);
    return t;
}

Mapi__Response__GetAgents *view_agents(const struct master *m, struct viewer *viewer,
                                       struct fl_arena *arena)
{
    Mapi__Response__GetAgents *v =
        FL_ARENA_NEW(arena, Mapi__Response__GetAgents, mapi__response__get_agents);

    v->agents = fl_arena_alloc(arena, (HASH_COUNT(m->agents) + 1) * sizeof(*v->agents));
    for (const struct agent *a = m->agents; a; a = a->hh.next)
        v->agents[v->n_agents++] = viewer_agent(viewer, master_agent_pb(m, a, arena), arena);
    v->recovered_agents =
        fl_arena_alloc(arena, (HASH_COUNT(m->recovered_agents) + 1) * sizeof(*v->recovered_agents));
    for (const struct known_agent *k = m->recovered_agents; k; k = k->hh.next)
        if (k->info)
            v->recovered_agents[v->n_recovered_agents++] =
                viewer_agent_info(viewer, k->info, arena);
    return v;
}

Mapi__Response__GetFrameworks *view_frameworks(const struct master *m, struct viewer *viewer,
                                               struct fl_arena *arena)
{
    Mapi__Response__GetFrameworks *v =
        FL_ARENA_NEW(arena, Mapi__Response__GetFrameworks, mapi__response__get_frameworks);

    v->frameworks = fl_arena_alloc(arena, (HASH_COUNT(m->frameworks) + 1) * sizeof(*v->frameworks));
    for (const struct framework *f = m->frameworks; f; f = f->hh.next)
        if (viewer_sees_framework(viewer, f->info))
            v->frameworks[v->n_frameworks++] = master_framework_pb(m, f, arena);
    v->completed_frameworks =
        fl_arena_alloc(arena, (m->n_completed_frameworks + 1) * sizeof(*v->completed_frameworks));
    for (const struct framework *f = m->completed_frameworks; f; f = f->next_completed)
        if (viewer_sees_framework(viewer, f->info))
            v->completed_frameworks[v->n_completed_frameworks++] = master_framework_pb(m, f, arena);
    return v;
}

Mapi__Response__GetExecutors *view_executors(const struct master *m, struct viewer *viewer,
                                             struct fl_arena *arena)
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
            if (!viewer_sees_executor(viewer, e))
                continue;
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

static void add_tasks(Mapi__Response__GetTasks *v, const struct framework *f, struct viewer *viewer,
                      struct fl_arena *arena)
{
    for (const struct task *t = f->tasks; t; t = t->hh.next)
        if (viewer_sees_task(viewer, t))
            v->tasks[v->n_tasks++] = master_task_pb(t, arena);
    for (const struct task *t = f->unreachable_tasks; t; t = t->hh.next)
        if (viewer_sees_task(viewer, t))
            v->unreachable_tasks[v->n_unreachable_tasks++] = master_task_pb(t, arena);
    for (const struct task *t = f->completed_tasks; t; t = t->next_completed)
        if (viewer_sees_task(viewer, t))
            v->completed_tasks[v->n_completed_tasks++] = master_task_pb(t, arena);
}

Mapi__Response__GetTasks *view_tasks(const struct master *m, struct viewer *viewer,
                                     struct fl_arena *arena)
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
            add_tasks(v, f, viewer, arena);
    return v;
}

Mapi__Response__GetState *view_state(const struct master *m, struct viewer *viewer,
                                     struct fl_arena *arena)
{
    Mapi__Response__GetState *v =
        FL_ARENA_NEW(arena, Mapi__Response__GetState, mapi__response__get_state);

    v->get_tasks = view_tasks(m, viewer, arena);
    v->get_executors = view_executors(m, viewer, arena);
    v->get_frameworks = view_frameworks(m, viewer, arena);
    v->get_agents = view_agents(m, viewer, arena);
    return v;
}
