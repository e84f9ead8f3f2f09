/* Running and killing tasks: from the master's message to the executor that takes them (features.md 1.1a, 3.1, 3.2). */
#include <utlist.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"
#include "common/model/validate.h"

/* ---- a task's life ---- */

static void record(struct agent_task *to, const V1__TaskInfo *info)
{
    const struct agent_executor *e = to->executor;
    V1__Task t = V1__TASK__INIT;
    V1__ExecutorID eid = V1__EXECUTOR_ID__INIT;

    t.name = info->name;
    t.task_id = info->task_id;
    t.framework_id = e->framework->info->id;
    t.agent_id = info->agent_id;
    t.state = V1__TASK_STATE__TASK_STAGING;
    t.n_resources = info->n_resources;
    t.resources = info->resources;
    t.labels = info->labels;
    t.discovery = info->discovery;
    t.container = info->container;
    t.user = e->user;
    t.health_check = info->health_check;
    t.kill_policy = info->kill_policy;
    t.n_limits = info->n_limits;
    t.limits = (V1__Task__LimitsEntry **)info->limits; /* the same two fields under another name */
    if (!e->command) {
        eid.value = e->id;
        t.executor_id = &eid;
    }
    agent_task_record(to, &t);
}

static struct agent_task *task_new(struct agent_executor *e, const char *id)
{
    struct agent_task *t = xnew0(struct agent_task);

    t->id = xstrdup(id);
    t->executor = e;
    DL_APPEND(e->tasks, t);
    HASH_ADD_KEYPTR(hh, e->framework->tasks, t->id, strlen(t->id), t);
    e->core->n_tasks++;
    return t;
}

struct agent_task *agent_task_add(struct agent_executor *e, const V1__TaskInfo *info,
                                  const void *group)
{
    struct agent_task *t = task_new(e, info->task_id->value);
    struct fl_err err;

    t->phase = AGENT_TASK_QUEUED;
    agent_task_keep_info(t, info);
    record(t, info);
    t->group = group;
    if (resources_from_pb(info->resources, info->n_resources, &t->resources, &err) < 0)
        log_warning("Resources of task '%s': %s, counting none", t->id, err.msg);
    return t;
}

struct agent_task *agent_task_recover(struct agent_executor *e, const V1__Task *pb)
{
    struct agent_task *t = task_new(e, pb->task_id->value);
    struct fl_err err;

    t->phase = AGENT_TASK_LAUNCHED;
    agent_task_record(t, pb);
    if (resources_from_pb(pb->resources, pb->n_resources, &t->resources, &err) < 0)
        log_warning("Resources of task '%s': %s, counting none", t->id, err.msg);
    return t;
}

void agent_task_free(struct agent_task *t)
{
    if (t->phase != AGENT_TASK_COMPLETED) {
        HASH_DEL(t->executor->framework->tasks, t);
        t->executor->core->n_tasks--;
    }
    free(t->record);
    fl_pb_free(t->info);
    resources_done(&t->resources);
    free(t->id);
    free(t);
}

void agent_task_launched(struct agent_task *t)
{
    t->phase = AGENT_TASK_LAUNCHED;
    t->executor->sent_task = true;
    if (t->executor->command)
        return; /* kept before its container was started */
    agent_checkpoint_task(t, NULL);
    fl_pb_free(t->info);
    t->info = NULL;
}

void agent_task_put_away(struct agent_task *t)
{
    struct agent_executor *e = t->executor;

    DL_DELETE(e->tasks, t);
    HASH_DEL(e->framework->tasks, t);
    t->phase = AGENT_TASK_COMPLETED;
    e->core->n_tasks--;
    DL_APPEND(e->completed, t);
    e->n_completed++;
}

void agent_task_complete(struct agent_task *t)
{
    struct agent_executor *e = t->executor;
    uint64_t limit = e->core->flags->max_completed_tasks_per_executor;

    agent_task_put_away(t);
    while (e->n_completed > limit) {
        struct agent_task *oldest = e->completed;

        DL_DELETE(e->completed, oldest);
        e->n_completed--;
        agent_task_free(oldest);
    }
    agent_executor_settle(e);
}

/* ---- running ---- */

/* Why a launch cannot be done here; NULL: it can. */
struct refusal {
    V1__TaskStatus__Reason reason;
    const char *message;
};

static bool same_version(const struct agent_core *a, Msg__ResourceVersionUUID *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i]->resource_provider_id)
            continue;
        if (v[i]->uuid->value.len != FL_UUID_LEN ||
            memcmp(v[i]->uuid->value.data, a->resource_version, FL_UUID_LEN) != 0)
            return false;
    }
    return true;
}

/* Revocable ones are an estimate, which may have changed since: what was offered of the last one may be used. */
static bool resources_known(const struct agent_core *a, V1__Resource *const *pb, size_t n)
{
    _cleanup_resources_ struct resources want = RESOURCES_INIT, firm = RESOURCES_INIT;
    struct fl_err err;

    if (n == 0)
        return true;
    if (resources_from_pb(pb, n, &want, &err) < 0)
        return false;
    resources_unallocate(&want);
    resources_revocable(&want, false, &firm);
    return resources_contains(&a->total, &firm);
}

static bool refuse(struct agent_core *a, const V1__TaskInfo *task, const V1__ExecutorInfo *executor,
                   Msg__ResourceVersionUUID *const *versions, size_t n_versions,
                   struct refusal *out)
{
    if (a->drain) {
        *out = (struct refusal){V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING,
                                "Task was received while agent was already draining"};
        return true;
    }
    if (!same_version(a, versions, n_versions)) {
        *out = (struct refusal){V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS,
                                "Task assumes outdated resource state"};
        return true;
    }
    if (a->n_tasks >= a->flags->max_tasks ||
        HASH_CNT(hh_container, a->containers) >= a->flags->max_executors) {
        agent_count(a, COUNT_TASKS_OVER_LIMIT);
        *out = (struct refusal){
            V1__TASK_STATUS__REASON__REASON_RESOURCES_UNKNOWN,
            "The agent holds as many tasks or executors as --max_tasks or --max_executors allow"};
        return true;
    }
    if (!resources_known(a, task->resources, task->n_resources) ||
        (executor && !resources_known(a, executor->resources, executor->n_resources))) {
        *out =
            (struct refusal){V1__TASK_STATUS__REASON__REASON_RESOURCES_UNKNOWN,
                             "The resources of the task or its executor are unknown to the agent"};
        return true;
    }
    return false;
}

static bool valid_ids(const char *framework_id, const char *task_id, const char *executor_id)
{
    struct fl_err err;
    /* They become names of files. */
    bool ok = validate_id(framework_id, &err) == 0 && validate_id(task_id, &err) == 0 &&
              validate_id(executor_id, &err) == 0;

    if (!ok)
        log_warning("Ignoring a launch with an impossible id: %s", err.msg);
    return ok;
}

static struct agent_framework *framework_for(struct agent_core *a, const char *id,
                                             const V1__FrameworkInfo *info)
{
    struct agent_framework *f = agent_find_framework(a, id);

    if (f)
        return f;
    f = agent_framework_add(a, id, info);
    agent_checkpoint_framework(f);
    return f;
}

static bool executor_is_over(const struct agent_executor *e)
{
    return e && (e->state == EXECUTOR_TERMINATING || e->state == EXECUTOR_TERMINATED);
}

static void run_command(struct agent_framework *f, const V1__TaskInfo *task)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    V1__ExecutorInfo *info = agent_command_executor_info(f->info, task, arena);
    struct agent_executor *e = agent_executor_new(f, info, NULL, true);

    agent_task_add(e, task, NULL);
    agent_executor_launch(e, task);
}

/* The master counts an executor from the moment it asks for it: one that it will not get must be given back. Of
 * one that is here its own end will tell. */
static void not_launched(struct agent_core *a, const char *framework_id, const char *executor_id,
                         bool asked)
{
    struct agent_framework *f = agent_find_framework(a, framework_id);
    struct agent_executor *e = f ? agent_find_executor(f, executor_id) : NULL;

    if (asked && (!e || e->state == EXECUTOR_TERMINATED))
        agent_tell_exited(a, framework_id, executor_id, -1);
}

/* Whether `e` cannot be what the master means by the executor of a launch; NULL: it can. */
static const char *wrong_executor(struct agent_executor *e, bool has_launch, bool launch)
{
    if (executor_is_over(e))
        return "The executor has terminated";
    if (has_launch && launch && e) {
        agent_executor_shutdown(e);
        return "Master wants to launch executor, but one already exists";
    }
    if (has_launch && !launch && !e)
        return "No executor is expected to launch and there is none running";
    return NULL;
}

static void run_with_executor(struct agent_core *a, const char *fid, const Msg__RunTaskMessage *m)
{
    const V1__TaskInfo *task = m->task;
    const char *eid = task->executor->executor_id->value;
    struct agent_framework *f = agent_find_framework(a, fid);
    struct agent_executor *e = f ? agent_find_executor(f, eid) : NULL;
    const char *wrong = wrong_executor(e, m->has_launch_executor, m->launch_executor);

    if (wrong) {
        agent_drop_task(a, fid, m->framework, task->task_id->value, eid,
                        V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED, wrong);
        not_launched(a, fid, eid, m->launch_executor);
        return;
    }
    f = framework_for(a, fid, m->framework);
    if (e) {
        agent_task_add(e, task, NULL);
        agent_executor_deliver(e);
        return;
    }
    e = agent_executor_new(f, task->executor, NULL, false);
    agent_task_add(e, task, NULL);
    agent_executor_launch(e, NULL);
}

void agent_run_task(struct agent_core *a, const Msg__RunTaskMessage *m)
{
    const V1__TaskInfo *task = m->task;
    const char *fid = m->framework->id  ? m->framework->id->value
                      : m->framework_id ? m->framework_id->value
                                        : "";
    const char *tid = task->task_id->value;
    const char *eid = task->executor ? task->executor->executor_id->value : tid;
    bool asked = task->executor && m->launch_executor;
    struct agent_framework *f;
    struct refusal why;

    if (!valid_ids(fid, tid, eid))
        return;
    f = agent_find_framework(a, fid);
    if (f && f->terminating) {
        log_warning("Ignoring task '%s': framework '%s' is shutting down", tid, fid);
        not_launched(a, fid, eid, asked);
        return;
    }
    if (refuse(a, task, task->executor, m->resource_version_uuids, m->n_resource_version_uuids,
               &why)) {
        agent_drop_task(a, fid, m->framework, tid, eid, why.reason, why.message);
        not_launched(a, fid, eid, asked);
        return;
    }
    if (f && agent_find_task(f, tid)) {
        log_warning("Ignoring task '%s' of framework '%s': it is here already", tid, fid);
        return;
    }
    if (task->executor) {
        run_with_executor(a, fid, m);
        return;
    }
    if (f && agent_find_executor(f, eid)) {
        agent_drop_task(a, fid, m->framework, tid, eid,
                        V1__TASK_STATUS__REASON__REASON_TASK_INVALID,
                        "Cannot reuse an already existing executor for a command task");
        return;
    }
    run_command(f ? f : framework_for(a, fid, m->framework), task);
}

static void drop_group(struct agent_core *a, const Msg__RunTaskGroupMessage *m, const char *fid,
                       const char *eid, V1__TaskStatus__Reason reason, const char *message)
{
    for (size_t i = 0; i < m->task_group->n_tasks; i++)
        agent_drop_task(a, fid, m->framework, m->task_group->tasks[i]->task_id->value, eid, reason,
                        message);
}

static bool group_refused(struct agent_core *a, const Msg__RunTaskGroupMessage *m, const char *fid,
                          const char *eid)
{
    struct refusal why;

    for (size_t i = 0; i < m->task_group->n_tasks; i++) {
        if (refuse(a, m->task_group->tasks[i], m->executor, m->resource_version_uuids,
                   m->n_resource_version_uuids, &why)) {
            drop_group(a, m, fid, eid, why.reason, why.message);
            not_launched(a, fid, eid, m->launch_executor);
            return true;
        }
    }
    return false;
}

void agent_run_task_group(struct agent_core *a, const Msg__RunTaskGroupMessage *m)
{
    const char *fid = m->framework->id ? m->framework->id->value : "";
    const char *eid = m->executor->executor_id->value;
    struct agent_framework *f = agent_find_framework(a, fid);
    struct agent_executor *e = f ? agent_find_executor(f, eid) : NULL;
    const char *wrong;
    const void *group;

    for (size_t i = 0; i < m->task_group->n_tasks; i++) {
        const char *tid = m->task_group->tasks[i]->task_id->value;

        if (!valid_ids(fid, tid, eid) || (f && agent_find_task(f, tid)))
            return;
    }
    if (f && f->terminating) {
        not_launched(a, fid, eid, m->launch_executor);
        return;
    }
    if (m->task_group->n_tasks == 0 || group_refused(a, m, fid, eid))
        return;
    wrong = wrong_executor(e, m->has_launch_executor, m->launch_executor);
    if (wrong) {
        drop_group(a, m, fid, eid, V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED, wrong);
        not_launched(a, fid, eid, m->launch_executor);
        return;
    }
    f = framework_for(a, fid, m->framework);
    if (!e)
        e = agent_executor_new(f, m->executor, NULL, false);
    group = NULL;
    for (size_t i = 0; i < m->task_group->n_tasks; i++) {
        struct agent_task *t = agent_task_add(e, m->task_group->tasks[i], group);

        if (!group)
            group = t->group = t; /* any address of the group's own will do */
    }
    if (e->contained)
        agent_executor_deliver(e);
    else
        agent_executor_launch(e, NULL);
}

/* ---- killing ---- */

/* A task that never reached its executor ends here; with it the rest of its group. */
static void kill_queued(struct agent_executor *e, struct agent_task *t)
{
    const void *group = t->group;
    struct agent_task *x, *tmp;

    DL_FOREACH_SAFE (e->tasks, x, tmp) {
        _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;

        if (x->phase != AGENT_TASK_QUEUED || (x != t && (!group || x->group != group)))
            continue;
        arena = fl_arena_new(AGENT_UPDATE_ARENA);
        agent_status_update(
            e->core, arena,
            agent_update_new(e->core, arena, e->framework->id, x->id, V1__TASK_STATE__TASK_KILLED,
                             V1__TASK_STATUS__SOURCE__SOURCE_AGENT,
                             V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH,
                             group ? "A task within the task group was killed before delivery to "
                                     "the executor"
                                   : "Killed before delivery to the executor",
                             e->id),
            false);
    }
}

bool agent_executor_has_queued(const struct agent_executor *e)
{
    for (struct agent_task *t = e->tasks; t; t = t->next) {
        if (t->phase == AGENT_TASK_QUEUED)
            return true;
    }
    return false;
}

static void send_kill(struct agent_executor *e, const struct agent_task *t,
                      const V1__KillPolicy *policy)
{
    Exec__Event ev = EXEC__EVENT__INIT;
    Exec__Event__Kill k = EXEC__EVENT__KILL__INIT;
    V1__TaskID id = V1__TASK_ID__INIT;

    id.value = t->id;
    k.task_id = &id;
    k.kill_policy = (V1__KillPolicy *)policy;
    ev.has_type = true;
    ev.type = EXEC__EVENT__TYPE__KILL;
    ev.kill = &k;
    agent_executor_send_event(e, &ev);
}

void agent_task_kill(struct agent_task *t, const V1__KillPolicy *policy)
{
    struct agent_executor *e = t->executor;

    if (t->phase == AGENT_TASK_TERMINATED || executor_is_over(e))
        return;
    if (t->phase == AGENT_TASK_QUEUED) {
        kill_queued(e, t);
        /* Without a task ever delivered the executor has nothing to live for. */
        if (!e->sent_task && !agent_executor_has_queued(e))
            agent_executor_shutdown(e);
        return;
    }
    if (e->command)
        agent_command_kill(e, agent_command_grace(t, policy), false);
    else
        send_kill(e, t, policy);
}

void agent_kill_task(struct agent_core *a, const Msg__KillTaskMessage *m)
{
    const char *fid = m->framework_id->value, *tid = m->task_id->value;
    struct agent_framework *f = agent_find_framework(a, fid);
    struct agent_task *t = f ? agent_find_task(f, tid) : NULL;

    log_info("Asked to kill task '%s' of framework '%s'", tid, fid);
    if (!f || f->terminating)
        return;
    if (!t) {
        agent_drop_task(a, fid, f->info, tid, NULL,
                        V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED,
                        "Cannot find executor");
        return;
    }
    agent_task_kill(t, m->kill_policy);
}
