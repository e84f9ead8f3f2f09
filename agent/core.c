/* The agent's core: its life, the dispatch of the master's messages, what the containerizer reports.
 *
 * Core's thread. Invariant: every executor whose container the containerizer has is in core->containers.
 */
#include <utlist.h>

#include "agent/agent_priv.h"
#include "agent/oversubscription.h"
#include "common/base/log.h"

static void parse_address(struct agent_core *a, const char *address)
{
    const char *colon = strrchr(address, ':');

    a->endpoint = xstrdup(address);
    a->pid = xasprintf("slave(1)@%s", address);
    a->ip = colon ? xstrndup(address, (size_t)(colon - address)) : xstrdup(address);
}

int agent_new(struct agent_env *env, const struct agent_flags *flags, struct metrics *metrics,
              const V1__AgentInfo *info, const char *address, struct agent_core **ret,
              struct fl_err *err)
{
    struct agent_core *a = xnew0(struct agent_core);
    int r = resources_from_pb(info->resources, info->n_resources, &a->total, err);

    if (r < 0) {
        free(a);
        return r;
    }
    a->magic = AGENT_CORE_MAGIC;
    a->env = env;
    a->flags = flags;
    a->metrics = metrics;
    a->info = FL_PB_DUP(info);
    parse_address(a, address);
    a->work_dir = xstrdup(flags->work_dir);
    a->meta_dir = xasprintf("%s/meta", flags->work_dir);
    a->start_time = env_wall_s(agent_time(a));
    fl_uuid_make(agent_time(a), a->resource_version);
    a->updates = agent_updates_new(a);
    a->operations = agent_operations_new(a);
    a->nested = agent_nested_new();
    a->gc = agent_gc_new(a);
    a->counters = agent_counters_new(a);
    r = agent_oversub_new(a, &a->oversub, err);
    if (r < 0) {
        agent_free(a);
        return r;
    }
    *ret = a;
    return 0;
}

void agent_free(struct agent_core *a)
{
    struct agent_framework *f, *tmp;

    if (!a)
        return;
    HASH_ITER (hh, a->frameworks, f, tmp) {
        HASH_DEL(a->frameworks, f);
        agent_framework_free(f);
    }
    DL_FOREACH_SAFE (a->completed_frameworks, f, tmp) {
        DL_DELETE(a->completed_frameworks, f);
        agent_framework_free(f);
    }
    agent_nested_free(a);
    agent_updates_free(a->updates);
    agent_operations_free(a->operations);
    agent_gc_free(a->gc);
    agent_oversub_free(a->oversub);
    agent_counters_free(a->counters);
    env_timer_free(agent_time(a), a->link.register_timer);
    env_timer_free(agent_time(a), a->link.ping_timer);
    env_timer_free(agent_time(a), a->link.recover_timer);
    resources_done(&a->total);
    resources_done(&a->checkpointed);
    fl_pb_free(a->info);
    fl_pb_free(a->drain);
    free(a->pid);
    free(a->endpoint);
    free(a->ip);
    free(a->work_dir);
    free(a->meta_dir);
    free(a->master_address);
    free(a);
}

const char *agent_state_name(enum agent_state s)
{
    static const char *const names[] = {"RECOVERING", "DISCONNECTED", "RUNNING", "TERMINATING"};

    return names[s];
}

bool agent_send(struct agent_core *a, const ProtobufCMessage *m)
{
    return a->env->io->master_send(a->env->ctx, m);
}

/* ---- finding ---- */

struct agent_framework *agent_find_framework(const struct agent_core *a, const char *id)
{
    struct agent_framework *f;

    HASH_FIND_STR(a->frameworks, id, f);
    return f;
}

struct agent_executor *agent_find_executor(const struct agent_framework *f, const char *id)
{
    struct agent_executor *e;

    HASH_FIND_STR(f->executors, id, e);
    return e;
}

struct agent_executor *agent_find_container(const struct agent_core *a, const char *container_id)
{
    struct agent_executor *e;

    HASH_FIND(hh_container, a->containers, container_id, strlen(container_id), e);
    return e;
}

struct agent_task *agent_find_task(const struct agent_framework *f, const char *task_id)
{
    struct agent_task *t;

    HASH_FIND_STR(f->tasks, task_id, t);
    return t;
}

void agent_allocated(const struct agent_core *a, struct resources *out)
{
    resources_done(out);
    *out = (struct resources)RESOURCES_INIT;
    for (struct agent_framework *f = a->frameworks; f; f = f->hh.next) {
        for (struct agent_executor *e = f->executors; e; e = e->hh.next) {
            _cleanup_resources_ struct resources one = RESOURCES_INIT;

            agent_executor_allocated(e, &one);
            resources_add(out, &one);
        }
    }
}

/* ---- messages of the master ---- */

static void on_shutdown_executor(struct agent_core *a, const Msg__ShutdownExecutorMessage *m)
{
    struct agent_framework *f =
        m->framework_id ? agent_find_framework(a, m->framework_id->value) : NULL;
    struct agent_executor *e =
        f && m->executor_id ? agent_find_executor(f, m->executor_id->value) : NULL;

    if (!e || f->terminating || e->state == EXECUTOR_TERMINATING || e->state == EXECUTOR_TERMINATED)
        return;
    agent_executor_shutdown(e);
}

static void on_framework_message(struct agent_core *a, const Msg__FrameworkToExecutorMessage *m)
{
    struct agent_framework *f = agent_find_framework(a, m->framework_id->value);
    struct agent_executor *e = f ? agent_find_executor(f, m->executor_id->value) : NULL;
    Exec__Event ev = EXEC__EVENT__INIT;
    Exec__Event__Message msg = EXEC__EVENT__MESSAGE__INIT;

    if (!e || f->terminating || e->state != EXECUTOR_RUNNING || !e->stream) {
        agent_count(a, COUNT_INVALID_MESSAGES);
        return;
    }
    agent_count(a, COUNT_VALID_MESSAGES);
    msg.data = m->data;
    ev.has_type = true;
    ev.type = EXEC__EVENT__TYPE__MESSAGE;
    ev.message = &msg;
    agent_executor_send_event(e, &ev);
}

static void on_shutdown(struct agent_core *a, const Msg__ShutdownMessage *m)
{
    log_warning("The master asks this agent to shut down: %s",
                m->message ? m->message : "no reason given");
    agent_shutdown(a, m->message ? m->message : "asked to by the master", false);
}

static void on_shutdown_framework(struct agent_core *a, const Msg__ShutdownFrameworkMessage *m)
{
    agent_framework_shutdown(a, m->framework_id->value);
}

static void on_drain(struct agent_core *a, const Msg__DrainSlaveMessage *m)
{
    agent_drain(a, m->config);
}

typedef void handler_f(struct agent_core *a, const void *msg);
/* A handler takes its own message type; the table pairs it with that type's descriptor. */
#define H(fn) ((handler_f *)(void *)(fn))

static const struct {
    const ProtobufCMessageDescriptor *desc;
    handler_f *fn;
    bool registered_only; /* dropped unless RUNNING */
} handlers[] = {
    {&msg__slave_registered_message__descriptor, H(agent_registered), false},
    {&msg__slave_reregistered_message__descriptor, H(agent_reregistered), false},
    {&msg__ping_slave_message__descriptor, H(agent_ping), false},
    {&msg__shutdown_message__descriptor, H(on_shutdown), false},
    {&msg__run_task_message__descriptor, H(agent_run_task), true},
    {&msg__run_task_group_message__descriptor, H(agent_run_task_group), true},
    {&msg__kill_task_message__descriptor, H(agent_kill_task), true},
    {&msg__status_update_acknowledgement_message__descriptor, H(agent_status_ack), true},
    {&msg__shutdown_executor_message__descriptor, H(on_shutdown_executor), true},
    {&msg__shutdown_framework_message__descriptor, H(on_shutdown_framework), true},
    {&msg__framework_to_executor_message__descriptor, H(on_framework_message), true},
    {&msg__update_framework_message__descriptor, H(agent_framework_update), true},
    {&msg__checkpoint_resources_message__descriptor, H(agent_checkpoint_resources_message), true},
    {&msg__apply_operation_message__descriptor, H(agent_apply_operation), true},
    {&msg__reconcile_operations_message__descriptor, H(agent_reconcile_operations), true},
    {&msg__acknowledge_operation_status_message__descriptor, H(agent_ack_operation), true},
    {&msg__drain_slave_message__descriptor, H(on_drain), true},
};

void agent_dispatch(struct agent_core *a, const ProtobufCMessage *msg)
{
    for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
        if (handlers[i].desc != msg->descriptor)
            continue;
        if (handlers[i].registered_only && a->state != AGENT_RUNNING) {
            log_warning("Dropping %s: not registered with the master", msg->descriptor->short_name);
            return;
        }
        handlers[i].fn(a, msg);
        return;
    }
    log_warning("Dropping %s: not for an agent", msg->descriptor->short_name);
}

void agent_master_message(struct agent_core *a, const ProtobufCMessage *msg)
{
    assert(a->magic == AGENT_CORE_MAGIC);
    if (a->state == AGENT_RECOVERING || a->state == AGENT_TERMINATING)
        return;
    if (!agent_hold(a, msg))
        agent_dispatch(a, msg);
}

/* ---- the containerizer's reports ---- */

static void on_started(void *arg, const char *container_id, pid_t pid)
{
    struct agent_core *a = FL_CAST(agent_core, AGENT_CORE_MAGIC, arg);
    struct agent_executor *e = agent_find_container(a, container_id);

    if (!e) {
        agent_nested_started(a, container_id, pid);
        return;
    }
    e->pid = pid;
    agent_checkpoint_pid(e);
    if (e->command)
        agent_command_started(e);
    else
        agent_executor_deliver(e);
}

static void on_ended(void *arg, const char *container_id, const struct container_end *end)
{
    struct agent_core *a = FL_CAST(agent_core, AGENT_CORE_MAGIC, arg);
    struct agent_executor *e = agent_find_container(a, container_id);

    agent_nested_ended(a, container_id, end);
    if (e)
        agent_executor_ended(e, end);
}

static void on_recovered(void *arg, const char *container_id, pid_t pid)
{
    struct agent_core *a = FL_CAST(agent_core, AGENT_CORE_MAGIC, arg);
    struct agent_executor *e = agent_find_container(a, container_id);

    if (!e) {
        agent_nested_recovered(a, container_id, pid);
        return;
    }
    e->pid = pid;
    if (e->command) {
        agent_executor_resize(
            e); /* isolators know after a restart what it was launched with, at most */
        agent_command_recovered(e);
    }
}

static void on_recovery_done(void *arg, const struct fl_err *err_or_null)
{
    agent_recovery_containers_done(FL_CAST(agent_core, AGENT_CORE_MAGIC, arg), err_or_null);
}

void agent_containerizer_callbacks(struct agent_core *a, struct containerizer_callbacks *ret)
{
    *ret = (struct containerizer_callbacks){
        .started = on_started,
        .ended = on_ended,
        .recovered = on_recovered,
        .recovery_done = on_recovery_done,
        .arg = a,
    };
}

void agent_set_containerizer(struct agent_core *a, struct containerizer *c)
{
    a->containerizer = c;
}

/* ---- the end ---- */

void agent_finish(struct agent_core *a, const char *why)
{
    _cleanup_free_ char *latest = xasprintf("%s/slaves/latest", a->meta_dir);
    struct fl_err err;

    /* The next start is a new agent's. */
    if (a->env->io->remove(a->env->ctx, latest, &err) < 0)
        log_warning("Cannot remove '%s': %s, ignoring", latest, err.msg);
    a->env->io->exit(a->env->ctx, 0, why);
}

void agent_shutdown(struct agent_core *a, const char *why, bool unregister)
{
    struct agent_framework *f, *tmp;
    bool idle = !a->frameworks;

    if (a->state == AGENT_TERMINATING)
        return;
    log_info("Shutting down: %s", why);
    if (unregister && a->state == AGENT_RUNNING) {
        Msg__UnregisterSlaveMessage m = MSG__UNREGISTER_SLAVE_MESSAGE__INIT;

        m.slave_id = a->info->id;
        agent_send(a, &m.base);
    }
    a->state = AGENT_TERMINATING;
    agent_updates_pause(a->updates);
    HASH_ITER (hh, a->frameworks, f, tmp) {
        agent_framework_shutdown(a, f->id);
    }
    if (idle)
        agent_finish(a, why);
}
