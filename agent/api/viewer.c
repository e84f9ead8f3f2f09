/* See viewer.h. */
#include "agent/api/viewer.h"

#include <utlist.h>

#include "common/model/acl_operation.h"

bool agent_viewer_framework(const struct agent_viewer *v, const struct agent_framework *f)
{
    return acls_allow(v->acls, ACL_VIEW_FRAMEWORKS, v->principal, f->info->user);
}

bool agent_viewer_task(const struct agent_viewer *v, const struct agent_task *t)
{
    const V1__FrameworkInfo *info = t->executor->framework->info;

    return acls_allow(v->acls, ACL_VIEW_TASKS, v->principal,
                      t->executor->user ? t->executor->user : info->user);
}

bool agent_viewer_executor(const struct agent_viewer *v, enum acl_action action,
                           const struct agent_executor *e)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;

    if (!v->acls)
        return true;
    arena = fl_arena_new(4096);
    return acls_allow(v->acls, action, v->principal,
                      acl_executor_user(agent_executor_info(e, arena), e->framework->info));
}

/* ---- files ---- */

static bool is_sandbox(const struct agent_executor *e, const char *directory)
{
    _cleanup_free_ char *own = NULL;

    if (!str_ends(directory, e->container_id))
        return false;
    own = agent_executor_directory(e);
    return streq(own, directory);
}

static const struct agent_executor *in_framework(const struct agent_framework *f,
                                                 const char *directory)
{
    const struct agent_executor *e;

    for (e = f->executors; e; e = e->hh.next) {
        if (is_sandbox(e, directory))
            return e;
    }
    DL_FOREACH (f->completed, e) {
        if (is_sandbox(e, directory))
            return e;
    }
    return NULL;
}

static const struct agent_executor *executor_of(const struct agent_core *a, const char *directory)
{
    const struct agent_executor *e = NULL;
    const struct agent_framework *f;

    for (f = a->frameworks; f && !e; f = f->hh.next)
        e = in_framework(f, directory);
    if (e)
        return e;
    DL_FOREACH (a->completed_frameworks, f) {
        e = in_framework(f, directory);
        if (e)
            return e;
    }
    return NULL;
}

int agent_viewer_file(const struct agent_viewer *v, const struct agent_api *api, const char *path,
                      struct fl_err *err)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    const struct agent_executor *e;
    const char *virtual_path, *real;

    /* The root decides, for nothing outside it can be reached through it, whatever the path says. */
    if (!v->acls || !http_files_root(api->files, path, &virtual_path, &real))
        return 0;
    if (streq(virtual_path, AGENT_LOG_PATH))
        return acls_check(v->acls, ACL_ACCESS_MESOS_LOGS, v->principal, NULL, err);
    e = executor_of(api->core, real);
    return acls_check(
        v->acls, ACL_ACCESS_SANDBOXES, v->principal,
        e ? acl_executor_user(agent_executor_info(e, arena), e->framework->info) : NULL, err);
}
