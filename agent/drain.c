/* Draining: everything here is killed, nothing new is taken, until the last terminal update is acknowledged.
 *
 * The order is checkpointed as drain.config beside slave.info, so that an agent that is started again goes on with it when its
 * executors are back. It ends by itself with the last framework and operation; a master that wants more sends it again.
 */
#include <utlist.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"

static char *config_path(const struct agent_core *a)
{
    _cleanup_free_ char *dir = agent_path_slave(a, true);

    return xasprintf("%s/drain.config", dir);
}

/* ---- killing ---- */

/* The task's own grace period, but at most `max`. */
static void kill_one(struct agent_task *t, const V1__DurationInfo *max)
{
    V1__KillPolicy policy = V1__KILL_POLICY__INIT;

    if (!max || (t->has_grace && t->grace_ns <= max->nanoseconds)) {
        agent_task_kill(t, NULL);
        return;
    }
    policy.grace_period = (V1__DurationInfo *)max;
    agent_task_kill(t, &policy);
}

static void kill_all(struct agent_core *a)
{
    /* A copy: should the last framework go meanwhile, so does a->drain. */
    _cleanup_pb_ V1__DurationInfo *max =
        a->drain->max_grace_period ? FL_PB_DUP(a->drain->max_grace_period) : NULL;
    struct agent_framework *f, *ftmp;
    struct agent_executor *e, *etmp;
    struct agent_task *t, *ttmp;

    HASH_ITER (hh, a->frameworks, f, ftmp) {
        if (f->terminating)
            continue;
        HASH_ITER (hh, f->executors, e, etmp) {
            DL_FOREACH_SAFE (e->tasks, t, ttmp) {
                kill_one(t, max);
            }
        }
    }
}

/* ---- beginning and end ---- */

static bool idle(const struct agent_core *a)
{
    return !a->frameworks && !a->operations->all;
}

void agent_drain(struct agent_core *a, const V1__DrainConfig *config)
{
    _cleanup_free_ char *path = NULL;
    struct fl_err err;

    if (idle(a)) {
        log_info("Asked to drain: nothing is here to be drained");
        return;
    }
    path = config_path(a);
    if (agent_record_write(a, path, &config->base, true, &err) < 0) {
        /* The master counts on it: better gone than running on after a restart. */
        a->env->io->exit(a->env->ctx, 1, err.msg);
        return;
    }
    log_info("Draining%s: every task is killed",
             config->mark_gone ? " before this agent is marked gone" : "");
    fl_pb_free(a->drain);
    a->drain = FL_PB_DUP(config);
    a->drain_start_time = env_wall_s(agent_time(a));
    kill_all(a);
}

void agent_drain_settle(struct agent_core *a)
{
    _cleanup_free_ char *path = NULL;
    struct fl_err err;

    if (!a->drain || !idle(a) || a->state == AGENT_TERMINATING)
        return;
    log_info("Draining is complete");
    path = config_path(a);
    if (a->env->io->remove(a->env->ctx, path, &err) < 0) {
        a->env->io->exit(a->env->ctx, 1, err.msg);
        return;
    }
    fl_pb_free(TAKE_PTR(a->drain));
    a->drain_start_time = 0;
}

/* ---- after a restart ---- */

int agent_drain_recover(struct agent_core *a, struct fl_err *err)
{
    _cleanup_free_ char *path = config_path(a);
    V1__DrainConfig *config;
    int r = agent_record_read(a, path, &v1__drain_config__descriptor, (ProtobufCMessage **)&config,
                              err);

    if (r < 0)
        return err->reason == FL_NOT_FOUND ? 0 : r;
    a->drain = config;
    a->drain_start_time = env_wall_s(agent_time(a));
    return 0;
}

void agent_drain_resume(struct agent_core *a)
{
    if (!a->drain)
        return;
    log_info("Going on with draining");
    kill_all(a);
    agent_drain_settle(a);
}
