/* Frameworks as an agent knows them: whoever has executors or unacknowledged tasks here. */
#include <utlist.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"
#include "common/model/roles.h"

bool agent_framework_has(const struct agent_framework *f, V1__FrameworkInfo__Capability__Type c)
{
    return framework_has_capability(f->info, c);
}

static void set_info(struct agent_framework *f, const V1__FrameworkInfo *info)
{
    fl_pb_free(f->info);
    f->info = FL_PB_DUP(info);
    if (!f->info->id) {
        V1__FrameworkID id = V1__FRAMEWORK_ID__INIT;

        id.value = f->id;
        f->info->id = FL_PB_DUP(&id);
    }
}

/* A framework that was here before goes on with the executors that it had: it is listed once. */
static void take_completed(struct agent_framework *f)
{
    struct agent_core *a = f->core;
    struct agent_framework *old, *tmp;
    struct agent_executor *e;

    DL_FOREACH_SAFE (a->completed_frameworks, old, tmp) {
        if (!streq(old->id, f->id))
            continue;
        DL_FOREACH (old->completed, e)
            e->framework = f;
        f->completed = TAKE_PTR(old->completed);
        f->n_completed = old->n_completed;
        DL_DELETE(a->completed_frameworks, old);
        a->n_completed_frameworks--;
        agent_framework_free(old);
    }
}

static void keep_folders(struct agent_framework *f)
{
    _cleanup_free_ char *meta = NULL, *work = NULL;

    if (!f->core->info->id)
        return;
    meta = agent_path_framework(f, true);
    work = agent_path_framework(f, false);
    agent_gc_unschedule(f->core->gc, meta);
    agent_gc_unschedule(f->core->gc, work);
}

struct agent_framework *agent_framework_add(struct agent_core *a, const char *id,
                                            const V1__FrameworkInfo *info)
{
    struct agent_framework *f = xnew0(struct agent_framework);

    f->magic = AGENT_FRAMEWORK_MAGIC;
    f->id = xstrdup(id);
    f->core = a;
    set_info(f, info);
    HASH_ADD_KEYPTR(hh, a->frameworks, f->id, strlen(f->id), f);
    take_completed(f);
    keep_folders(f);
    return f;
}

void agent_framework_free(struct agent_framework *f)
{
    struct agent_executor *e, *tmp;

    if (!f)
        return;
    HASH_ITER (hh, f->executors, e, tmp) {
        HASH_DEL(f->executors, e);
        agent_executor_free(e);
    }
    DL_FOREACH_SAFE (f->completed, e, tmp) {
        DL_DELETE(f->completed, e);
        agent_executor_free(e);
    }
    fl_pb_free(f->info);
    free(f->id);
    f->magic = 0;
    free(f);
}

void agent_framework_update(struct agent_core *a, const Msg__UpdateFrameworkMessage *m)
{
    struct agent_framework *f = agent_find_framework(a, m->framework_id->value);

    if (!f || f->terminating)
        return;
    if (m->framework_info)
        set_info(f, m->framework_info);
    agent_checkpoint_framework(f);
    /* Its scheduler may be another process now that has none of the updates the old one did not acknowledge. */
    agent_updates_resend(a->updates, f->id);
    agent_operations_resend(a->operations, f->id);
}

static void complete(struct agent_framework *f)
{
    struct agent_core *a = f->core;
    uint64_t limit = a->flags->max_completed_frameworks;

    HASH_DEL(a->frameworks, f);
    agent_updates_drop_framework(a->updates, f->id);
    if (a->info->id) {
        _cleanup_free_ char *meta = agent_path_framework(f, true);
        _cleanup_free_ char *work = agent_path_framework(f, false);

        agent_gc_schedule(a->gc, work, false);
        if (agent_checkpoints(f))
            agent_gc_schedule(a->gc, meta, false);
    }
    DL_APPEND(a->completed_frameworks, f);
    a->n_completed_frameworks++;
    while (a->n_completed_frameworks > limit) {
        struct agent_framework *oldest = a->completed_frameworks;

        DL_DELETE(a->completed_frameworks, oldest);
        a->n_completed_frameworks--;
        agent_framework_free(oldest);
    }
}

void agent_framework_settle(struct agent_framework *f)
{
    struct agent_core *a = f->core;

    if (f->executors)
        return;
    complete(f);
    agent_drain_settle(a);
    if (a->state == AGENT_TERMINATING && !a->frameworks)
        agent_finish(a, "every framework has ended");
}

void agent_framework_shutdown(struct agent_core *a, const char *id)
{
    struct agent_framework *f = agent_find_framework(a, id);
    struct agent_executor *e, *tmp;

    if (!f || f->terminating)
        return;
    log_info("Shutting down framework '%s'", id);
    f->terminating = true;
    agent_updates_drop_framework(a->updates, id);
    HASH_ITER (hh, f->executors, e, tmp) {
        if (e->state == EXECUTOR_REGISTERING || e->state == EXECUTOR_RUNNING)
            agent_executor_shutdown(e);
    }
    /* Terminated executors only waited for acknowledgements that will not come. Settling the last one may free f. */
    HASH_ITER (hh, f->executors, e, tmp) {
        bool last = HASH_COUNT(f->executors) == 1;

        if (e->state == EXECUTOR_TERMINATED)
            agent_executor_settle(e);
        if (last)
            return;
    }
    agent_framework_settle(f);
}
