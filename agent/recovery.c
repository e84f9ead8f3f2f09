/* After a restart: who we were, which executors and tasks there were, which updates are not yet acknowledged (features.md 3.7).
 *
 *   slave.info -> frameworks, executors, tasks -> update logs -> containerizer (who is still alive) -> custom executors that live get
 *   executor_reregistration_timeout to come back -> look for the master.
 *
 * An error is fatal with --strict; without, what it concerns is left out and counted.
 */
#include <stdio.h>
#include <utlist.h>

#include "agent/agent_priv.h"
#include "agent/oversubscription.h"
#include "common/base/log.h"
#include "common/model/attributes.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

/* Returns 0 when the error may be passed over. */
static int tolerate(struct agent_core *a, int r, struct fl_err *err)
{
    if (r >= 0)
        return 0;
    if (a->flags->strict)
        return r;
    agent_count(a, COUNT_RECOVERY_ERRORS);
    log_warning("While recovering: %s, ignoring because of --no-strict", err->msg);
    return 0;
}

/* ---- folders ---- */

struct names {
    char **p;
    size_t n, cap;
};

static void names_done(struct names *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->p[i]);
    free(l->p);
}

static void add_name(const char *name, void *arg)
{
    struct names *l = arg;

    l->p = xgrow(l->p, &l->cap, l->n + 1, sizeof(char *));
    l->p[l->n++] = xstrdup(name);
}

/* A folder that is not there is an empty one. */
static int list_dir(struct agent_core *a, const char *path, struct names *out, struct fl_err *err)
{
    int r = a->env->io->list(a->env->ctx, path, add_name, out, err);

    return r < 0 && err->reason == FL_NOT_FOUND ? 0 : r;
}

static int read_link_name(struct agent_core *a, const char *path, char **ret_name,
                          struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    const char *slash;
    int r = a->env->io->readlink(a->env->ctx, path, &b, err);

    if (r < 0)
        return r;
    slash = strrchr(fl_buf_cstr(&b), '/');
    *ret_name = xstrdup(slash ? slash + 1 : b.data);
    return 0;
}

static bool file_exists(struct agent_core *a, const char *path)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct fl_err err;

    return a->env->io->read(a->env->ctx, path, &b, &err) == 0;
}

/* ---- identity ---- */

/* Whether the machine has been started anew since the checkpoints were written. */
static bool rebooted(struct agent_core *a)
{
    _cleanup_buf_ struct fl_buf now = FL_BUF_INIT, then = FL_BUF_INIT;
    _cleanup_free_ char *path = xasprintf("%s/boot_id", a->meta_dir);
    struct agent_env *env = a->env;
    bool differs = false;
    struct fl_err err;

    if (env->io->read(env->ctx, BOOT_ID_PATH, &now, &err) < 0)
        return false;
    while (now.len > 0 && now.data[now.len - 1] == '\n')
        now.len--;
    if (env->io->read(env->ctx, path, &then, &err) == 0)
        differs = then.len < now.len || memcmp(then.data, now.data, now.len) != 0;
    if (env->io->write(env->ctx, path, now.data, now.len, true, &err) < 0)
        log_warning("Cannot write '%s': %s, ignoring", path, err.msg);
    return differs;
}

static int same_resources(const V1__AgentInfo *old, const V1__AgentInfo *now, bool additive,
                          bool *ret, struct fl_err *err)
{
    _cleanup_resources_ struct resources o = RESOURCES_INIT, n = RESOURCES_INIT;
    int r = resources_from_pb(old->resources, old->n_resources, &o, err);

    if (r < 0)
        return r;
    r = resources_from_pb(now->resources, now->n_resources, &n, err);
    if (r < 0)
        return r;
    *ret = additive ? resources_contains(&n, &o) : resources_equal(&n, &o);
    return 0;
}

static bool same_attributes(const V1__AgentInfo *old, const V1__AgentInfo *now, bool additive)
{
    if (!additive)
        return attributes_equal(old->attributes, old->n_attributes, now->attributes,
                                now->n_attributes);
    for (size_t i = 0; i < old->n_attributes; i++) {
        bool found = false;

        for (size_t k = 0; k < now->n_attributes && !found; k++)
            found = fl_pb_equal(&old->attributes[i]->base, &now->attributes[k]->base);
        if (!found)
            return false;
    }
    return true;
}

static int check_compatible(struct agent_core *a, const V1__AgentInfo *old, struct fl_err *err)
{
    bool additive = streq(a->flags->reconfiguration_policy, "additive");
    const char *what = NULL;
    bool same = false;
    int r = same_resources(old, a->info, additive, &same, err);

    if (r < 0)
        return r;
    if (!same)
        what = "resources";
    else if (!same_attributes(old, a->info, additive))
        what = "attributes";
    else if (!streq(old->hostname, a->info->hostname))
        what = "hostname";
    else if (old->port != a->info->port)
        what = "port";
    else if (old->domain &&
             !fl_pb_equal(&old->domain->base, a->info->domain ? &a->info->domain->base : NULL))
        what = "domain";
    if (!what)
        return 0;
    return fl_err_set(err, FL_CONFLICT,
                      "the %s of agent '%s' differ from its checkpoint; start it as before%s, or "
                      "remove '%s/slaves/latest' "
                      "to begin as a new agent (its running tasks are then killed)",
                      what, old->id ? old->id->value : "",
                      additive ? ""
                               : ", or with --reconfiguration_policy=additive if they only grew",
                      a->meta_dir);
}

/* 1: this is the agent of the checkpoint; 0: it is a new one. */
static int recover_identity(struct agent_core *a, struct fl_err *err)
{
    _cleanup_free_ char *latest = xasprintf("%s/slaves/latest", a->meta_dir);
    _cleanup_free_ char *id = NULL, *path = NULL;
    _cleanup_pb_ V1__AgentInfo *old = NULL;
    bool boot = rebooted(a);
    int r = read_link_name(a, latest, &id, err);

    if (r < 0)
        return err->reason == FL_NOT_FOUND ? 0 : r;
    path = xasprintf("%s/slaves/%s/slave.info", a->meta_dir, id);
    r = agent_record_read(a, path, &v1__agent_info__descriptor, (ProtobufCMessage **)&old, err);
    if (r < 0)
        return fl_err_wrap(err, "cannot read who this agent is (remove '%s' to begin as a new one)",
                           latest);
    if (!old->id)
        return fl_err_set(err, FL_INVALID,
                          "'%s' has no agent id; remove '%s' to begin as a new agent", path,
                          latest);
    r = check_compatible(a, old, err);
    if (r < 0 && boot) {
        log_info("After a reboot with another configuration, beginning as a new agent: %s",
                 err->msg);
        /* The next start, before a master has given us an id, would not know of the reboot any more. */
        return a->env->io->remove(a->env->ctx, latest, err);
    }
    if (r < 0)
        return r;
    a->info->id = FL_PB_DUP(old->id);
    log_info("Recovering agent '%s'%s", id, boot ? " after a reboot" : "");
    return 1;
}

/* ---- tasks ---- */

static void replay_status(const Msg__StatusUpdate *u, void *arg)
{
    struct agent_task *t = arg;

    if (!u->status->has_source || u->status->source != V1__TASK_STATUS__SOURCE__SOURCE_AGENT)
        t->executor->sent_task = true;
    if (!task_state_is_terminal(t->state))
        agent_task_apply_status(t, u->status);
}

static int recover_updates(struct agent_core *a, struct agent_task *t, bool *ret_finished,
                           struct fl_err *err)
{
    _cleanup_free_ char *path = agent_path_task(t->executor, t->id, "task.updates");
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    size_t valid = 0;
    int r = a->env->io->read(a->env->ctx, path, &b, err);

    if (r < 0)
        return err->reason == FL_NOT_FOUND ? 0 : r;
    r = agent_updates_recover(a->updates, t->executor->framework->id, t->id, path, b.data, b.len,
                              replay_status, t, &valid, ret_finished, err);
    if (r < 0)
        return fl_err_wrap(err, "'%s'", path);
    if (valid == b.len)
        return 0;
    log_warning("'%s' ends in the middle of a record, cutting it off", path);
    return a->env->io->truncate(a->env->ctx, path, valid, err);
}

static int recover_task(struct agent_executor *e, const char *id, struct fl_err *err)
{
    struct agent_core *a = e->core;
    _cleanup_free_ char *path = agent_path_task(e, id, "task.info");
    _cleanup_free_ char *command = agent_path_task(e, id, "command.info");
    _cleanup_pb_ V1__Task *pb = NULL;
    _cleanup_pb_ V1__TaskInfo *info = NULL;
    struct agent_task *t;
    bool finished = false;
    int r = agent_record_read(a, path, &v1__task__descriptor, (ProtobufCMessage **)&pb, err);

    if (r < 0)
        return err->reason == FL_NOT_FOUND
                   ? 0
                   : r; /* died before it was written: the task was never started */
    if (!streq(pb->task_id->value, id))
        return fl_err_set(err, FL_INVALID, "'%s' is about another task, '%s'", path,
                          pb->task_id->value);
    t = agent_task_recover(e, pb);
    if (e->command && agent_record_read(a, command, &v1__task_info__descriptor,
                                        (ProtobufCMessage **)&info, err) < 0)
        log_warning("Task '%s': %s; its longest time is not enforced any more", id, err->msg);
    if (info)
        agent_task_keep_info(t, info);
    r = recover_updates(a, t, &finished, err);
    if (r < 0)
        return r;
    agent_task_phase_from_state(t);
    if (finished && t->phase == AGENT_TASK_TERMINATED)
        agent_task_complete(t);
    return 0;
}

/* ---- executors ---- */

static int recover_tasks(struct agent_executor *e, struct fl_err *err)
{
    _cleanup_free_ char *run = agent_path_run(e, true);
    _cleanup_free_ char *dir = xasprintf("%s/tasks", run);
    _cleanup_(names_done) struct names l = {0};
    int r = list_dir(e->core, dir, &l, err);

    for (size_t i = 0; r >= 0 && i < l.n; i++)
        r = tolerate(e->core, recover_task(e, l.p[i], err), err);
    return r;
}

static void hold_container(struct agent_executor *e)
{
    HASH_ADD_KEYPTR(hh_container, e->core->containers, e->container_id, strlen(e->container_id), e);
    e->contained = true;
    e->recovered = true;
    e->sent_task = e->command; /* of others their updates tell */
}

static int recover_executor(struct agent_framework *f, const char *dir, struct fl_err *err)
{
    struct agent_core *a = f->core;
    _cleanup_free_ char *info_path = xasprintf("%s/executor.info", dir);
    _cleanup_free_ char *latest = xasprintf("%s/runs/latest", dir);
    _cleanup_free_ char *generated = xasprintf("%s/executor_generated_for_command_task", dir);
    _cleanup_free_ char *container = NULL, *sentinel = NULL, *work = NULL, *sandbox = NULL;
    _cleanup_pb_ V1__ExecutorInfo *info = NULL;
    _cleanup_buf_ struct fl_buf mark = FL_BUF_INIT;
    struct agent_executor *e;
    bool command = false;
    int r = read_link_name(a, latest, &container, err);

    if (r < 0)
        return err->reason == FL_NOT_FOUND ? 0 : r; /* died before its container was begun */
    sentinel = xasprintf("%s/runs/%s/executor.sentinel", dir, container);
    if (file_exists(a, sentinel)) {
        work = agent_path_framework(f, false);
        sandbox = xasprintf("%s/executors/%s/runs/%s", work, strrchr(dir, '/') + 1, container);
        agent_gc_schedule(a->gc, sandbox, false);
        agent_gc_schedule(a->gc, dir, false);
        return 0;
    }
    r = agent_record_read(a, info_path, &v1__executor_info__descriptor, (ProtobufCMessage **)&info,
                          err);
    if (r < 0)
        return r;
    if (a->env->io->read(a->env->ctx, generated, &mark, err) == 0)
        command = mark.len > 0 && mark.data[0] == '1';
    e = agent_executor_new(f, info, container, command);
    hold_container(e);
    agent_executor_attach(e);
    return recover_tasks(e, err);
}

static int recover_framework(struct agent_core *a, const char *dir, const char *id,
                             struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/framework.info", dir);
    _cleanup_free_ char *executors = xasprintf("%s/executors", dir);
    _cleanup_(names_done) struct names l = {0};
    _cleanup_pb_ V1__FrameworkInfo *info = NULL;
    struct agent_framework *f;
    int r = agent_record_read(a, path, &v1__framework_info__descriptor, (ProtobufCMessage **)&info,
                              err);

    if (r < 0)
        return err->reason == FL_NOT_FOUND ? 0 : r;
    f = agent_framework_add(a, id, info);
    r = list_dir(a, executors, &l, err);
    for (size_t i = 0; r >= 0 && i < l.n; i++) {
        _cleanup_free_ char *sub = xasprintf("%s/%s", executors, l.p[i]);

        r = tolerate(a, recover_executor(f, sub, err), err);
    }
    if (!f->executors)
        agent_framework_settle(f);
    return r;
}

static int recover_frameworks(struct agent_core *a, struct fl_err *err)
{
    _cleanup_free_ char *base = agent_path_slave(a, true);
    _cleanup_free_ char *dir = xasprintf("%s/frameworks", base);
    _cleanup_(names_done) struct names l = {0};
    int r = list_dir(a, dir, &l, err);

    for (size_t i = 0; r >= 0 && i < l.n; i++) {
        _cleanup_free_ char *sub = xasprintf("%s/%s", dir, l.p[i]);

        r = tolerate(a, recover_framework(a, sub, l.p[i], err), err);
    }
    return r;
}

/* ---- containers ---- */

static void recover_containers(struct agent_core *a)
{
    size_t n = HASH_CNT(hh_container, a->containers), i = 0;
    _cleanup_free_ const char **ids = xcalloc(n + 1, sizeof(char *));

    for (struct agent_executor *e = a->containers; e; e = e->hh_container.next)
        ids[i++] = e->container_id;
    a->containerizer->ops->recover(a->containerizer, ids, n);
}

int agent_recover(struct agent_core *a, struct fl_err *err)
{
    int r = recover_identity(a, err);

    assert(a->containerizer && a->state == AGENT_RECOVERING);
    if (r < 0)
        return r;
    /* Reservations and volumes are the machine's: they outlive the agent's identity, operations do not. */
    if (tolerate(a, agent_recover_resources(a, r > 0, err), err) < 0)
        return err->code;
    if (r > 0) {
        r = tolerate(a, agent_drain_recover(a, err), err);
        if (r == 0)
            r = recover_frameworks(a, err);
        if (r < 0)
            return r;
    }
    a->cleanup = streq(a->flags->recover, "cleanup");
    recover_containers(a);
    return 0;
}

/* ---- executors coming back ---- */

static bool awaited(const struct agent_executor *e)
{
    return e->recovered && !e->command && e->state == EXECUTOR_REGISTERING;
}

static bool any_awaited(const struct agent_core *a)
{
    for (struct agent_executor *e = a->containers; e; e = e->hh_container.next) {
        if (awaited(e))
            return true;
    }
    return false;
}

static void finish(struct agent_core *a)
{
    env_timer_free(agent_time(a), a->link.recover_timer);
    a->link.recover_timer = NULL;
    a->state = AGENT_DISCONNECTED;
    metric_set(metrics_gauge(a->metrics, "slave/recovery_time_secs"),
               env_wall_s(agent_time(a)) - a->start_time);
    log_info("Recovery is complete");
    if (a->cleanup) {
        agent_shutdown(a, "--recover=cleanup", false);
        return;
    }
    agent_oversub_start(a->oversub);
    agent_drain_resume(a);
    a->env->io->master_find(a->env->ctx);
}

static void on_reregister_timeout(void *arg)
{
    struct agent_core *a = FL_CAST(agent_core, AGENT_CORE_MAGIC, arg);
    struct agent_executor *e, *tmp;
    char within[48], message[120];

    fl_duration_format(a->flags->executor_reregistration_timeout, within, sizeof within);
    snprintf(message, sizeof message, "Executor did not reregister within %s", within);
    HASH_ITER (hh_container, a->containers, e, tmp) {
        bool aware = agent_framework_has(e->framework,
                                         V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE);

        if (awaited(e))
            agent_executor_destroy(e, task_state_for_framework(V1__TASK_STATE__TASK_GONE, aware),
                                   V1__TASK_STATUS__REASON__REASON_EXECUTOR_REREGISTRATION_TIMEOUT,
                                   message);
    }
    finish(a);
}

/* Of these the containerizer has said nothing: they are gone without a trace. */
static void end_unreported(struct agent_core *a)
{
    const struct container_end lost = {.reason = CONTAINER_LOST};
    struct agent_executor *e, *tmp;

    HASH_ITER (hh_container, a->containers, e, tmp) {
        if (e->recovered && e->pid == 0)
            agent_executor_ended(e, &lost);
    }
}

void agent_recovery_containers_done(struct agent_core *a, const struct fl_err *err_or_null)
{
    if (a->state != AGENT_RECOVERING)
        return;
    if (err_or_null) {
        agent_count(a, COUNT_RECOVERY_ERRORS);
        if (a->flags->strict) {
            a->env->io->exit(a->env->ctx, 1, err_or_null->msg);
            return;
        }
        log_warning("While recovering containers: %s, ignoring because of --no-strict",
                    err_or_null->msg);
    }
    end_unreported(a);
    a->containers_recovered = true;
    if (!any_awaited(a) || a->cleanup) {
        finish(a);
        return;
    }
    a->link.recover_timer = env_timer_new(agent_time(a), on_reregister_timeout, a);
    env_timer_set(agent_time(a), a->link.recover_timer, a->flags->executor_reregistration_timeout);
}

void agent_recovery_executor_back(struct agent_core *a)
{
    if (a->state == AGENT_RECOVERING && a->containers_recovered && !any_awaited(a))
        finish(a);
}
