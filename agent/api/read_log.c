/* READ_LOG, a call of clusterd: what a container wrote, by its id alone, and the agent's own log. Both are files that /files/read shows, and
 * who may read them there may here. Core's thread. */
#include "agent/api/handlers.h"
#include "agent/containerizer/containerizer.h"
#include "common/model/operator_files.h"

static int read_part(const struct agent_api *api, const struct agent_viewer *v, const char *path,
                     uint64_t offset, uint64_t length, struct fl_arena *arena,
                     Aapi__Response__ReadLog__Data **ret, struct fl_err *err)
{
    Aapi__Response__ReadLog__Data *d =
        FL_ARENA_NEW(arena, Aapi__Response__ReadLog__Data, aapi__response__read_log__data);
    int r = agent_viewer_file(v, api, path, err);

    if (r == 0)
        r = operator_read_file(api->files, path, offset, length, arena, &d->data, &d->size, err);
    if (r == 0)
        *ret = d;
    return r;
}

/* The sandbox of an executor's container or of one below it; NULL: there is none of that id. */
static char *sandbox_of(const struct agent_core *a, const char *id)
{
    const struct agent_executor *e = agent_find_container(a, id);
    _cleanup_free_ char *top = NULL, *below = NULL;

    if (e)
        return agent_executor_directory(e);
    if (!agent_find_nested(a, id))
        return NULL;
    e = agent_nested_executor(a, id);
    if (!e)
        return xasprintf("%s/containers/%s", a->work_dir, id);
    top = agent_executor_directory(e);
    below = container_nested_path(id);
    return xasprintf("%s/%s", top, below);
}

static int read_container(const struct agent_api *api, const struct agent_viewer *v,
                          const Aapi__Call__ReadLog *c, struct fl_arena *arena,
                          Aapi__Response__ReadLog *m, struct fl_err *err)
{
    _cleanup_free_ char *id = container_id_text(c->container_id);
    _cleanup_free_ char *sandbox = sandbox_of(api->core, id);
    uint64_t length = c->has_length ? c->length : UINT64_MAX;
    int r;

    if (!sandbox)
        return fl_err_set(err, FL_NOT_FOUND, "Container %s cannot be found", id);
    _cleanup_free_ char *out = xasprintf("%s/stdout", sandbox);
    _cleanup_free_ char *error = xasprintf("%s/stderr", sandbox);
    r = read_part(api, v, out, c->stdout_offset, length, arena, &m->stdout, err);
    /* A container whose output goes elsewhere has no such file; then there is nothing of it to show. */
    if (r == 0 || err->reason == FL_NOT_FOUND)
        r = read_part(api, v, error, c->stderr_offset, length, arena, &m->stderr, err);
    return r < 0 && err->reason == FL_NOT_FOUND ? 0 : r;
}

int agent_read_log(const struct agent_api *api, const struct agent_viewer *v,
                   const Aapi__Call__ReadLog *c, struct fl_arena *arena,
                   Aapi__Response__ReadLog **ret, struct fl_err *err)
{
    Aapi__Response__ReadLog *m =
        FL_ARENA_NEW(arena, Aapi__Response__ReadLog, aapi__response__read_log);
    int r;

    if (c->source == AAPI__CALL__READ_LOG__SOURCE__AGENT) {
        r = read_part(api, v, AGENT_LOG_PATH, c->stdout_offset,
                      c->has_length ? c->length : UINT64_MAX, arena, &m->stdout, err);
        if (r < 0)
            r = fl_err_wrap(err, "read the log of this agent (--log_dir, --external_log_file)");
    } else if (c->source != AAPI__CALL__READ_LOG__SOURCE__CONTAINER || !c->container_id) {
        r = fl_err_set(err, FL_INVALID,
                       "Expecting 'read_log.source' to be AGENT, or CONTAINER with "
                       "'read_log.container_id'");
    } else {
        r = agent_container_id_check(c->container_id, "read_log.container_id", err);
        if (r == 0)
            r = read_container(api, v, c, arena, m, err);
    }
    if (r == 0)
        *ret = m;
    return r;
}
