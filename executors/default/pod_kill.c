/* Ending tasks: SIGTERM, the grace period, SIGKILL; the longest time a task may take. What the agent did not hear, because it was away
 * or busy, is repeated. */
#include <signal.h>

#include "common/base/log.h"
#include "common/model/roles.h"
#include "executors/default/pod_priv.h"

#define DEFAULT_GRACE_US (3ull * 1000000)
#define RETRY_US         1000000

uint64_t pod_grace(const struct pod_task *t, const V1__KillPolicy *override_or_null)
{
    const V1__KillPolicy *p = override_or_null;

    if (!p || !p->grace_period)
        p = t->info->kill_policy;
    if (!p || !p->grace_period)
        return DEFAULT_GRACE_US;
    return p->grace_period->nanoseconds > 0 ? (uint64_t)p->grace_period->nanoseconds / 1000 : 0;
}

static void on_signalled(void *arg, int status, const Aapi__Response *r, const char *text)
{
    struct pod_task *t = arg;

    t->kill_call = NULL;
    /* 404: its end is on the way. */
    if (status == 200 || status == 404)
        return;
    log_warning("The agent did not signal task '%s' (status %d): %s", t->info->task_id->value,
                status, text ? text : "");
    if (t->escalated)
        env_timer_set(pod_time(t->pod), t->kill_timer, RETRY_US);
}

static void send_signal(struct pod_task *t)
{
    struct pod_env *env = t->pod->env;
    Aapi__Call call = AAPI__CALL__INIT;
    Aapi__Call__KillNestedContainer k = AAPI__CALL__KILL_NESTED_CONTAINER__INIT;

    /* One that is only being started gets it when it has been. */
    if (!t->pod->connected || t->phase != POD_RUNNING)
        return;
    if (t->kill_call)
        env->io->cancel(env->ctx, TAKE_PTR(t->kill_call));
    k.container_id = &t->id;
    k.has_signal = true;
    k.signal = t->escalated ? SIGKILL : SIGTERM;
    call.has_type = true;
    call.type = AAPI__CALL__TYPE__KILL_NESTED_CONTAINER;
    call.kill_nested_container = &k;
    t->kill_call = env->io->post(env->ctx, &call, on_signalled, t);
}

void pod_kill_again(struct pod_task *t)
{
    send_signal(t);
}

static void on_grace_over(void *arg)
{
    struct pod_task *t = arg;

    if (!t->escalated)
        log_info("Task '%s' did not end within its grace period", t->info->task_id->value);
    t->escalated = true;
    send_signal(t);
}

/* A second kill changes nothing, as in the reference. */
void pod_kill(struct pod_task *t, uint64_t grace_us)
{
    const struct env *env = pod_time(t->pod);

    if (t->killing)
        return;
    t->killing = true;
    t->kill_timer = env_timer_new(env, on_grace_over, t);
    if (t->max_timer)
        env_timer_stop(env, t->max_timer);
    pod_checks_stop(t);
    env_timer_set(env, t->kill_timer, grace_us);
    if (!t->by_max_time && t->pod->framework &&
        framework_has_capability(t->pod->framework,
                                 V1__FRAMEWORK_INFO__CAPABILITY__TYPE__TASK_KILLING_STATE))
        pod_report(t, V1__TASK_STATE__TASK_KILLING, -1, NULL);
    send_signal(t);
}

static void on_max_time(void *arg)
{
    struct pod_task *t = arg;

    if (t->killing)
        return;
    log_info("Task '%s' has run for its maximum completion time", t->info->task_id->value);
    t->by_max_time = true;
    pod_kill(t, 0);
}

void pod_arm_max_time(struct pod_task *t)
{
    const V1__DurationInfo *max = t->info->max_completion_time;

    if (!max || max->nanoseconds <= 0)
        return;
    t->max_timer = env_timer_new(pod_time(t->pod), on_max_time, t);
    env_timer_set(pod_time(t->pod), t->max_timer, (uint64_t)max->nanoseconds / 1000);
}

void pod_kill_stop(struct pod_task *t)
{
    if (t->kill_call)
        t->pod->env->io->cancel(t->pod->env->ctx, TAKE_PTR(t->kill_call));
    env_timer_free(pod_time(t->pod), t->kill_timer);
    env_timer_free(pod_time(t->pod), t->max_timer);
    t->kill_timer = t->max_timer = NULL;
}
