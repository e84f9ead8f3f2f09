/* See viewer.h. */
#include "master/api/viewer.h"

#include "common/model/acl_operation.h"
#include "common/model/acl_resources.h"

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

void viewer_begin(struct viewer *v)
{
    /* What was remembered may be gone by now, and another at its place. */
    if (v) {
        v->last_user = NULL;
        v->last_framework = NULL;
    }
}

bool viewer_sees_users(const struct viewer *v, const char *framework_user, const char *user)
{
    return !v ||
           (acl_approves(v->frameworks, framework_user) && (!user || acl_approves(v->tasks, user)));
}

/* ---- resources ---- */

V1__AgentInfo *viewer_agent_info(const struct viewer *v, V1__AgentInfo *info,
                                 struct fl_arena *arena)
{
    V1__AgentInfo *copy;

    if (!v)
        return info;
    copy = fl_arena_alloc(arena, sizeof(*copy));
    *copy = *info;
    acl_keep_resources(v->roles, &copy->resources, &copy->n_resources, arena);
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
    acl_keep_resources(v->roles, &copy->total_resources, &copy->n_total_resources, arena);
    acl_keep_resources(v->roles, &copy->allocated_resources, &copy->n_allocated_resources, arena);
    acl_keep_resources(v->roles, &copy->offered_resources, &copy->n_offered_resources, arena);
    return copy;
}

const struct resources *viewer_resources(const struct viewer *v, const struct resources *from,
                                         struct resources *room)
{
    return acl_visible_resources(v ? v->roles : NULL, from, room);
}

bool viewer_sees_operation(const struct viewer *v, const V1__Offer__Operation *op)
{
    return acl_sees_operation(v ? v->roles : NULL, op);
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
    viewer_begin(v);
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
