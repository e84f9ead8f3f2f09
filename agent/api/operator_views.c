/* The agent's state as messages of the v1 operator API. Borrowed from the core; only the lists are the arena's. */
#include <utlist.h>

#include "agent/api/handlers.h"

#define NEW FL_ARENA_NEW

/* Appends to a repeated field; grown by doubling within the arena. */
#define APPEND(arena, list, n, item)                                                               \
    do {                                                                                           \
        if (((n) & ((n)-1)) == 0) {                                                                \
            void *_p = fl_arena_alloc(arena, ((n) ? 2 * (n) : 1) * sizeof(*(list)));               \
            if (n)                                                                                 \
                memcpy(_p, list, (n) * sizeof(*(list)));                                           \
            (list) = _p;                                                                           \
        }                                                                                          \
        (list)[(n)++] = (item);                                                                    \
    } while (0)

static Aapi__Response__GetFrameworks__Framework *one_framework(const struct agent_framework *f,
                                                               struct fl_arena *arena)
{
    Aapi__Response__GetFrameworks__Framework *m = NEW(
        arena, Aapi__Response__GetFrameworks__Framework, aapi__response__get_frameworks__framework);

    m->framework_info = f->info;
    return m;
}

Aapi__Response__GetFrameworks *agent_view_frameworks(const struct agent_core *a,
                                                     const struct agent_viewer *v,
                                                     struct fl_arena *arena)
{
    Aapi__Response__GetFrameworks *m =
        NEW(arena, Aapi__Response__GetFrameworks, aapi__response__get_frameworks);
    struct agent_framework *f;

    for (f = a->frameworks; f; f = f->hh.next)
        if (agent_viewer_framework(v, f))
            APPEND(arena, m->frameworks, m->n_frameworks, one_framework(f, arena));
    DL_FOREACH (a->completed_frameworks, f) {
        if (agent_viewer_framework(v, f))
            APPEND(arena, m->completed_frameworks, m->n_completed_frameworks,
                   one_framework(f, arena));
    }
    return m;
}

static Aapi__Response__GetExecutors__Executor *one_executor(const struct agent_executor *e,
                                                            struct fl_arena *arena)
{
    Aapi__Response__GetExecutors__Executor *m =
        NEW(arena, Aapi__Response__GetExecutors__Executor, aapi__response__get_executors__executor);

    m->executor_info = (V1__ExecutorInfo *)(uintptr_t)agent_executor_info(e, arena);
    return m;
}

static void add_executors(Aapi__Response__GetExecutors *m, const struct agent_framework *f,
                          const struct agent_viewer *v, struct fl_arena *arena)
{
    struct agent_executor *e;

    if (!agent_viewer_framework(v, f))
        return;
    for (e = f->executors; e; e = e->hh.next)
        if (agent_viewer_executor(v, ACL_VIEW_EXECUTORS, e))
            APPEND(arena, m->executors, m->n_executors, one_executor(e, arena));
    DL_FOREACH (f->completed, e) {
        if (agent_viewer_executor(v, ACL_VIEW_EXECUTORS, e))
            APPEND(arena, m->completed_executors, m->n_completed_executors, one_executor(e, arena));
    }
}

Aapi__Response__GetExecutors *agent_view_executors(const struct agent_core *a,
                                                   const struct agent_viewer *v,
                                                   struct fl_arena *arena)
{
    Aapi__Response__GetExecutors *m =
        NEW(arena, Aapi__Response__GetExecutors, aapi__response__get_executors);
    struct agent_framework *f;

    for (f = a->frameworks; f; f = f->hh.next)
        add_executors(m, f, v, arena);
    DL_FOREACH (a->completed_frameworks, f) {
        add_executors(m, f, v, arena);
    }
    return m;
}

static void add_tasks(Aapi__Response__GetTasks *m, const struct agent_executor *e,
                      const struct agent_viewer *v, struct fl_arena *arena)
{
    struct agent_task *t;

    for (t = e->tasks; t; t = t->next) {
        if (!agent_viewer_task(v, t))
            continue;
        if (t->phase == AGENT_TASK_QUEUED)
            APPEND(arena, m->queued_tasks, m->n_queued_tasks, agent_task_pb(t, arena));
        else if (t->phase == AGENT_TASK_LAUNCHED)
            APPEND(arena, m->launched_tasks, m->n_launched_tasks, agent_task_pb(t, arena));
        else
            APPEND(arena, m->terminated_tasks, m->n_terminated_tasks, agent_task_pb(t, arena));
    }
    DL_FOREACH (e->completed, t) {
        if (agent_viewer_task(v, t))
            APPEND(arena, m->completed_tasks, m->n_completed_tasks, agent_task_pb(t, arena));
    }
}

static void add_framework_tasks(Aapi__Response__GetTasks *m, const struct agent_framework *f,
                                const struct agent_viewer *v, struct fl_arena *arena)
{
    struct agent_executor *e;

    if (!agent_viewer_framework(v, f))
        return;
    for (e = f->executors; e; e = e->hh.next)
        add_tasks(m, e, v, arena);
    DL_FOREACH (f->completed, e) {
        add_tasks(m, e, v, arena);
    }
}

Aapi__Response__GetTasks *agent_view_tasks(const struct agent_core *a, const struct agent_viewer *v,
                                           struct fl_arena *arena)
{
    Aapi__Response__GetTasks *m = NEW(arena, Aapi__Response__GetTasks, aapi__response__get_tasks);
    struct agent_framework *f;

    for (f = a->frameworks; f; f = f->hh.next)
        add_framework_tasks(m, f, v, arena);
    DL_FOREACH (a->completed_frameworks, f) {
        add_framework_tasks(m, f, v, arena);
    }
    return m;
}

static Aapi__Response__GetContainers__Container *
of_executor(const struct agent_api *api, struct agent_executor *e, struct fl_arena *arena)
{
    Aapi__Response__GetContainers__Container *c = NEW(
        arena, Aapi__Response__GetContainers__Container, aapi__response__get_containers__container);
    const V1__ExecutorInfo *info = agent_executor_info(e, arena);

    c->framework_id = e->framework->info->id;
    c->executor_id = info->executor_id;
    c->executor_name = info->name ? info->name : (char *)"";
    c->container_id = NEW(arena, V1__ContainerID, v1__container_id);
    c->container_id->value = e->container_id;
    c->container_status = agent_api_container_status(e, arena);
    c->resource_statistics =
        (V1__ResourceStatistics *)(uintptr_t)usage_round_of(api->usage, e->container_id);
    return c;
}

/* Its id is without the parent here; container_status has the whole one. */
static Aapi__Response__GetContainers__Container *
of_nested(const struct agent_api *api, const struct agent_nested *n, struct fl_arena *arena)
{
    struct containerizer *cz = api->core->containerizer;
    const char *dot = strrchr(n->id, '.');
    Aapi__Response__GetContainers__Container *c = NEW(
        arena, Aapi__Response__GetContainers__Container, aapi__response__get_containers__container);

    c->container_id = NEW(arena, V1__ContainerID, v1__container_id);
    c->container_id->value = fl_arena_strdup(arena, dot ? dot + 1 : n->id);
    if (cz->ops->status(cz, n->id, arena, &c->container_status) < 0)
        c->container_status = NEW(arena, V1__ContainerStatus, v1__container_status);
    if (!c->container_status->container_id)
        c->container_status->container_id = container_id_pb(arena, n->id);
    c->resource_statistics = (V1__ResourceStatistics *)(uintptr_t)usage_round_of(api->usage, n->id);
    return c;
}

static bool sees_nested(const struct agent_core *a, const struct agent_viewer *v,
                        const struct agent_nested *n, bool nested, bool standalone)
{
    struct agent_executor *e = agent_nested_executor(a, n->id);

    if (n->executor || n->phase == AGENT_NESTED_ENDED)
        return false;
    if (!(strchr(n->id, '.') ? nested : standalone))
        return false;
    return e ? agent_viewer_executor(v, ACL_VIEW_CONTAINERS, e)
             : acls_allow(v->acls, ACL_VIEW_STANDALONE, v->principal, NULL);
}

Aapi__Response__GetContainers *agent_view_containers(const struct agent_api *api,
                                                     const struct agent_viewer *v, bool nested,
                                                     bool standalone, struct fl_arena *arena)
{
    Aapi__Response__GetContainers *m =
        NEW(arena, Aapi__Response__GetContainers, aapi__response__get_containers);
    const struct agent_core *a = api->core;

    for (struct agent_executor *e = a->containers; e; e = e->hh_container.next) {
        if (agent_viewer_executor(v, ACL_VIEW_CONTAINERS, e))
            APPEND(arena, m->containers, m->n_containers, of_executor(api, e, arena));
    }
    for (const struct agent_nested *n = agent_nested_first(a); n; n = n->hh.next) {
        if (sees_nested(a, v, n, nested, standalone))
            APPEND(arena, m->containers, m->n_containers, of_nested(api, n, arena));
    }
    return m;
}
