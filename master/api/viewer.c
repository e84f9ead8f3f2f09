/* See viewer.h. */
#include "master/api/viewer.h"

#include "common/base/log.h"
#include "common/model/acl_operation.h"

struct viewer {
    const struct master *master;
    struct acl_approver *frameworks, *tasks, *executors, *roles; /* owned */
    bool flags;
    /* Most tasks are of few users and come by framework: the last answers. */
    const char *last_user;
    const struct framework *last_framework;
    bool last_user_seen, last_framework_seen;
};

struct viewer *viewer_new(const struct master *m, const char *principal)
{
    struct viewer *v;

    if (!m->acls)
        return NULL;
    v = xnew0(struct viewer);
    v->master = m;
    v->frameworks = acl_approver_get(m->acls, ACL_VIEW_FRAMEWORKS, principal);
    v->tasks = acl_approver_get(m->acls, ACL_VIEW_TASKS, principal);
    v->executors = acl_approver_get(m->acls, ACL_VIEW_EXECUTORS, principal);
    v->roles = acl_approver_get(m->acls, ACL_VIEW_ROLES, principal);
    v->flags = acls_allow(m->acls, ACL_VIEW_FLAGS, principal, NULL);
    return v;
}

void viewer_free(struct viewer *v)
{
    if (!v)
        return;
    acl_approver_free(v->frameworks);
    acl_approver_free(v->tasks);
    acl_approver_free(v->executors);
    acl_approver_free(v->roles);
    free(v);
}

bool viewer_sees_framework(const struct viewer *v, const V1__FrameworkInfo *info)
{
    return !v || acl_approves(v->frameworks, info->user);
}

bool viewer_sees_task(struct viewer *v, const struct task *t)
{
    const char *user;

    if (!v)
        return true;
    if (t->framework != v->last_framework) {
        v->last_framework = t->framework;
        v->last_framework_seen = viewer_sees_framework(v, t->framework->info);
    }
    user = t->user ? t->user : t->framework->info->user;
    if (user != v->last_user) {
        v->last_user = user;
        v->last_user_seen = acl_approves(v->tasks, user);
    }
    return v->last_framework_seen && v->last_user_seen;
}

bool viewer_sees_executor(const struct viewer *v, const struct executor *e)
{
    const V1__FrameworkInfo *info = e->framework->info;

    return !v || (viewer_sees_framework(v, info) &&
                  acl_approves(v->executors, acl_executor_user(e->info, info)));
}

bool viewer_sees_role(const struct viewer *v, const char *role)
{
    return !v || acl_approves(v->roles, role);
}

bool viewer_sees_flags(const struct viewer *v)
{
    return !v || v->flags;
}

/* ---- resources ---- */

bool viewer_sees_resource(const struct viewer *v, const V1__Resource *r)
{
    if (!v)
        return true;
    if (r->role && !streq(r->role, "*") && !viewer_sees_role(v, r->role))
        return false;
    for (size_t i = 0; i < r->n_reservations; i++) {
        if (!viewer_sees_role(v, r->reservations[i]->role))
            return false;
    }
    return !r->allocation_info || viewer_sees_role(v, r->allocation_info->role);
}

static bool sees_all(const struct viewer *v, V1__Resource *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!viewer_sees_resource(v, list[i]))
            return false;
    }
    return true;
}

bool viewer_sees_operation(const struct viewer *v, const V1__Offer__Operation *op)
{
    if (!v)
        return true;
    if (op->reserve)
        return sees_all(v, op->reserve->resources, op->reserve->n_resources) &&
               sees_all(v, op->reserve->source, op->reserve->n_source);
    if (op->unreserve)
        return sees_all(v, op->unreserve->resources, op->unreserve->n_resources);
    if (op->create)
        return sees_all(v, op->create->volumes, op->create->n_volumes);
    if (op->destroy)
        return sees_all(v, op->destroy->volumes, op->destroy->n_volumes);
    if (op->grow_volume)
        return viewer_sees_resource(v, op->grow_volume->volume);
    if (op->shrink_volume)
        return viewer_sees_resource(v, op->shrink_volume->volume);
    if (op->create_disk)
        return viewer_sees_resource(v, op->create_disk->source);
    return !op->destroy_disk || viewer_sees_resource(v, op->destroy_disk->source);
}

/* A list of its own in the arena. */
static void keep(const struct viewer *v, V1__Resource ***list, size_t *n, struct fl_arena *arena)
{
    V1__Resource **kept = fl_arena_alloc(arena, (*n + 1) * sizeof(*kept));
    size_t k = 0;

    for (size_t i = 0; i < *n; i++) {
        if (viewer_sees_resource(v, (*list)[i]))
            kept[k++] = (*list)[i];
    }
    *list = kept;
    *n = k;
}

V1__AgentInfo *viewer_agent_info(const struct viewer *v, V1__AgentInfo *info,
                                 struct fl_arena *arena)
{
    V1__AgentInfo *copy;

    if (!v)
        return info;
    copy = fl_arena_alloc(arena, sizeof(*copy));
    *copy = *info;
    keep(v, &copy->resources, &copy->n_resources, arena);
    return copy;
}

Mapi__Response__GetAgents__Agent *
viewer_agent(const struct viewer *v, Mapi__Response__GetAgents__Agent *a, struct fl_arena *arena)
{
    Mapi__Response__GetAgents__Agent *copy;

    if (!v)
        return a;
    copy = fl_arena_alloc(arena, sizeof(*copy));
    *copy = *a;
    copy->agent_info = viewer_agent_info(v, a->agent_info, arena);
    keep(v, &copy->total_resources, &copy->n_total_resources, arena);
    keep(v, &copy->allocated_resources, &copy->n_allocated_resources, arena);
    keep(v, &copy->offered_resources, &copy->n_offered_resources, arena);
    return copy;
}

const struct resources *viewer_resources(const struct viewer *v, const struct resources *from,
                                         struct resources *room)
{
    struct fl_arena *arena;
    V1__Resource **list;
    size_t n;
    struct fl_err err;

    if (!v)
        return from;
    arena = fl_arena_new(4096);
    n = resources_to_pb(from, RESOURCES_POST_REFINEMENT, true, arena, &list);
    keep(v, &list, &n, arena);
    /* They come from resources and are some again. */
    if (resources_from_pb(list, n, room, &err) < 0)
        log_error("resources that can be seen: %s", err.msg);
    fl_arena_free(arena);
    return room;
}

/* ---- events ---- */

static bool sees_task_of(struct viewer *v, const V1__FrameworkID *framework_id, const char *task_id,
                         const char *user)
{
    const struct framework *f =
        framework_id ? master_framework(v->master, framework_id->value) : NULL;
    const struct task *t = NULL;

    /* Whose it is cannot be said any more: only who sees every user's. */
    if (!f)
        return acl_approves(v->frameworks, NULL) && acl_approves(v->tasks, NULL);
    if (!user && task_id)
        HASH_FIND_STR(f->tasks, task_id, t);
    if (t)
        return viewer_sees_task(v, t);
    return viewer_sees_framework(v, f->info) && acl_approves(v->tasks, user ? user : f->info->user);
}

bool viewer_sees_event(struct viewer *v, const Mapi__Event *ev)
{
    if (!v)
        return true;
    /* What was remembered may be gone by now, and another at its place. */
    v->last_user = NULL;
    v->last_framework = NULL;
    if (ev->task_added)
        return sees_task_of(v, ev->task_added->task->framework_id, NULL,
                            ev->task_added->task->user);
    if (ev->task_updated)
        return sees_task_of(v, ev->task_updated->framework_id,
                            ev->task_updated->status->task_id->value, NULL);
    if (ev->framework_added)
        return viewer_sees_framework(v, ev->framework_added->framework->framework_info);
    if (ev->framework_updated)
        return viewer_sees_framework(v, ev->framework_updated->framework->framework_info);
    if (ev->framework_removed)
        return viewer_sees_framework(v, ev->framework_removed->framework_info);
    return true;
}
