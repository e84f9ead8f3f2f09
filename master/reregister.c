/* Re-registration: an agent that has an id comes back, with its tasks (features.md 3.5).
 *
 * Registered ones only close the gap: tasks that the master knows and the agent does not are asked
 * about. Others (recovered, unreachable, never heard of) are admitted with all that they bring.
 * Gone ones are told to end.
 */
#include "master/core.h"

/* A re-registration on a channel within this time of the answer to another is that one repeated. */
#define REPEATED_US (5 * US_PER_S)

/* ---- frameworks that the agent names ---- */

static void shut_down_framework(struct master *m, struct agent *a, V1__FrameworkID *id)
{
    Msg__ShutdownFrameworkMessage msg = MSG__SHUTDOWN_FRAMEWORK_MESSAGE__INIT;

    log_info("framework %s is over: agent %s is told to shut it down", id->value, a->id);
    msg.framework_id = id;
    agents_send(m, a, &msg.base);
}

static void recover_frameworks(struct master *m, const Msg__ReregisterSlaveMessage *msg)
{
    for (size_t i = 0; i < msg->n_frameworks; i++) {
        const V1__FrameworkInfo *info = msg->frameworks[i];
        if (!info->id || master_framework(m, info->id->value) ||
            framework_is_completed(m, info->id->value))
            continue;
        log_info("framework %s is known again, from agent %s", info->id->value,
                 msg->slave->id->value);
        framework_recover(m, info);
    }
}

static void answer_frameworks(struct master *m, struct agent *a,
                              const Msg__ReregisterSlaveMessage *msg)
{
    for (size_t i = 0; i < msg->n_frameworks; i++) {
        V1__FrameworkID *id = msg->frameworks[i]->id;
        struct framework *f = id ? master_framework(m, id->value) : NULL;
        Msg__UpdateFrameworkMessage update = MSG__UPDATE_FRAMEWORK_MESSAGE__INIT;

        if (!id)
            continue;
        if (!f) {
            shut_down_framework(m, a, id);
            continue;
        }
        /* Mostly it has changed since for none of them, and there is one such message an agent and framework. */
        if (fl_pb_equal(&f->info->base, &msg->frameworks[i]->base))
            continue;
        update.framework_id = f->info->id;
        update.framework_info = f->info;
        agents_send(m, a, &update.base);
    }
}

/* ---- known to this master ---- */

static void mark_told(struct master *m, struct agent *a, const Msg__ReregisterSlaveMessage *msg)
{
    uint32_t mark = ++m->core->generation;

    for (size_t i = 0; i < msg->n_tasks; i++) {
        struct framework *f = master_framework(m, msg->tasks[i]->framework_id->value);
        struct task *t = NULL;
        if (f)
            HASH_FIND_STR(f->tasks, msg->tasks[i]->task_id->value, t);
        if (t && t->agent == a)
            t->mark = mark;
    }
}

static V1__TaskStatus *question(struct master *m, const struct task *t)
{
    struct made_status s = {
        .task_id = t->id,
        .agent_id = t->agent_id,
        .state = t->has_status_update ? t->status_update_state : t->state,
        .reason = V1__TASK_STATUS__REASON__REASON_RECONCILIATION,
        .message = "Reconciliation request",
    };

    return status_make(m, &s);
}

static Msg__ReconcileTasksMessage *reconciliation_of(struct master *m, const struct task *first)
{
    Msg__ReconcileTasksMessage *rec = core_new(m, Msg__ReconcileTasksMessage);
    struct task *t;
    size_t cap = 0;

    msg__reconcile_tasks_message__init(rec);
    rec->framework_id = first->framework->info->id;
    rec->framework = first->framework->info;
    DL_FOREACH2((struct task *)first, t, agent_next)
    cap += t->framework == first->framework;
    rec->statuses = core_alloc(m, cap * sizeof(*rec->statuses));
    DL_FOREACH2((struct task *)first, t, agent_next)
    {
        if (t->framework != first->framework || t->mark == m->core->generation)
            continue;
        t->mark = m->core->generation; /* asked now */
        log_warning("task '%s' of framework %s is not known to its agent %s: asking", t->id,
                    t->framework->id, t->agent_id);
        rec->statuses[rec->n_statuses++] = question(m, t);
    }
    return rec;
}

static void send_reregistered(struct master *m, struct agent *a, struct link *l)
{
    Msg__SlaveReregisteredMessage msg = MSG__SLAVE_REREGISTERED_MESSAGE__INIT;
    struct task *t;
    size_t cap = 0;

    msg.slave_id = a->info->id;
    msg.connection = agents_connection_pb(m);
    DL_FOREACH2(a->tasks, t, agent_next) cap += t->mark != m->core->generation;
    msg.reconciliations = core_alloc(m, (cap + 1) * sizeof(*msg.reconciliations));
    DL_FOREACH2(a->tasks, t, agent_next)
    {
        if (t->mark != m->core->generation)
            msg.reconciliations[msg.n_reconciliations++] = reconciliation_of(m, t);
    }
    agents_send(m, a, &msg.base);
    if (l)
        l->answered_us = core_now(m);
}

/* An agent with resource providers tells of its operations later, by its first update: not before that it can be drained. */
static void tell_drain(struct master *m, struct agent *a)
{
    drain_tell(m, a);
    if (!agents_has_capability(a, V1__AGENT_INFO__CAPABILITY__TYPE__RESOURCE_PROVIDER))
        drain_kick(m, a);
}

static bool told_executor(const Msg__ReregisterSlaveMessage *msg, const struct executor *e)
{
    for (size_t i = 0; i < msg->n_executor_infos; i++) {
        const V1__ExecutorInfo *info = msg->executor_infos[i];
        if (streq(info->executor_id->value, e->id) && info->framework_id &&
            streq(info->framework_id->value, e->framework->id))
            return true;
    }
    return false;
}

/* What was to be killed while the agent was away, and what is given up as lost: tasks of frameworks that do not
 * checkpoint end with the connection, though an agent that only lost its connection still runs them. */
static void kill_again(struct master *m, struct agent *a, const Msg__ReregisterSlaveMessage *msg)
{
    for (size_t i = 0; i < msg->n_tasks; i++) {
        const V1__Task *told = msg->tasks[i];
        struct framework *f = master_framework(m, told->framework_id->value);
        Msg__KillTaskMessage kill = MSG__KILL_TASK_MESSAGE__INIT;
        struct task *t = NULL;

        if (f)
            HASH_FIND_STR(f->tasks, told->task_id->value, t);
        if (!f || task_state_is_terminal(told->state) ||
            (t && (t->agent != a || !t->kill_requested)))
            continue;
        kill.framework_id = f->info->id;
        kill.task_id = told->task_id;
        agents_send(m, a, &kill.base);
    }
}

static void come_back(struct master *m, struct agent *a, struct link *l,
                      const Msg__ReregisterSlaveMessage *msg)
{
    _cleanup_free_ char *pid = agents_pid_of(l->address, msg->slave);
    struct executor *e, *tmp;

    agents_set_pid(m, a, pid);
    agents_set_info(a, msg->slave);
    agents_set_version(a, msg->version, msg->agent_capabilities, msg->n_agent_capabilities,
                       msg->resource_version_uuid);
    agents_set_checkpointed(a, msg->checkpointed_resources, msg->n_checkpointed_resources);
    agents_put_total(a);
    operations_total_told(m, a);
    a->reregistered_time = env_wall_s(core_env(m));
    metric_inc(m->core->c.slave_reregistrations);
    agents_attach(m, a, l);
    allocation_add_agent(m, a, true);
    recover_frameworks(m, msg);
    mark_told(m, a, msg);
    send_reregistered(m, a, l);
    tell_drain(m, a);
    DL_FOREACH_SAFE (a->executors, e, tmp) {
        if (!told_executor(msg, e))
            executor_remove(m, e);
    }
    kill_again(m, a, msg);
    answer_frameworks(m, a, msg);
    if (!a->active && !a->deactivated && !a->drain_info) {
        agents_set_active(a, true);
        m->alloc_ops->set_agent_active(m->alloc, a->id, true);
        allocation_kick(m);
    }
    log_info("agent %s at %s (%s) is back", a->id, a->pid, a->info->hostname);
    maintenance_enforce(m, a);
}

/* ---- not registered here: recovered, unreachable, or of another master ---- */

static void tell_back(struct master *m, struct framework *f, const V1__Task *told, bool unreachable)
{
    struct made_status s = {
        .task_id = told->task_id->value,
        .agent_id = told->agent_id->value,
        .executor_id = told->executor_id ? told->executor_id->value : NULL,
        .state = told->state,
        .reason = V1__TASK_STATUS__REASON__REASON_AGENT_REREGISTERED,
        .message = unreachable ? "Unreachable agent re-registered" : "Unknown agent re-registered",
        .like = told->n_statuses ? told->statuses[told->n_statuses - 1] : NULL,
    };

    if (f->connected)
        status_send(m, f, status_make(m, &s));
}

/* Of the states that an agent tells of a task, none is a number that has no name: they are counted by state. */
static bool states_known(const struct agent *a, const V1__Task *told)
{
    bool known = task_state_is_known(told->state) &&
                 (!told->has_status_update_state || task_state_is_known(told->status_update_state));

    for (size_t i = 0; known && i < told->n_statuses; i++)
        known = task_state_is_known(told->statuses[i]->state);
    if (!known)
        log_warning("ignoring task '%s' of agent %s: it has a state that is not known",
                    told->task_id->value, a->id);
    return known;
}

static void bring_tasks(struct master *m, struct agent *a, const Msg__ReregisterSlaveMessage *msg,
                        bool was_recovered, bool was_unreachable)
{
    for (size_t i = 0; i < msg->n_tasks; i++) {
        const V1__Task *told = msg->tasks[i];
        struct framework *f = master_framework(m, told->framework_id->value);
        struct task *t;

        if (!states_known(a, told))
            continue;
        if (!f) {
            log_debug("task '%s' of agent %s is of a framework that is over or unknown",
                      told->task_id->value, a->id);
            continue;
        }
        HASH_FIND_STR(f->unreachable_tasks, told->task_id->value, t);
        if (t)
            task_forget_unreachable(m, t);
        HASH_FIND_STR(f->tasks, told->task_id->value, t);
        if (t) {
            log_warning("task '%s' of framework %s is on agent %s and on agent %s", t->id, f->id,
                        t->agent_id, a->id);
            continue;
        }
        if (!was_recovered) {
            tasks_forget_completed(f, told->task_id->value);
            tell_back(m, f, told, was_unreachable);
        }
        task_add_known(m, f, a, told)->mark = m->core->generation;
    }
}

static void bring_executors(struct master *m, struct agent *a,
                            const Msg__ReregisterSlaveMessage *msg)
{
    for (size_t i = 0; i < msg->n_executor_infos; i++) {
        const V1__ExecutorInfo *info = msg->executor_infos[i];
        struct framework *f =
            info->framework_id ? master_framework(m, info->framework_id->value) : NULL;
        if (f && !executor_find(a, f, info->executor_id->value))
            executor_add(m, f, a, info);
    }
}

static void bring_history(struct master *m, struct agent *a, struct framework *f,
                          const Msg__Archive__Framework *ar)
{
    for (size_t i = 0; i < ar->n_tasks; i++) {
        const char *id = ar->tasks[i]->task_id->value;
        struct task *t;

        /* A full history has nothing to gain from what is perhaps older than all of it. */
        if (f->n_completed >= m->flags->max_completed_tasks_per_framework)
            return;
        HASH_FIND_STR(f->tasks, id, t);
        if (!t && !task_is_completed(f, id) && states_known(a, ar->tasks[i]))
            task_remove(m, task_add_known(m, f, a, ar->tasks[i]), false);
    }
}

/* After a restart of the master the agents are its memory of what has ended. */
static void bring_completed(struct master *m, struct agent *a,
                            const Msg__ReregisterSlaveMessage *msg)
{
    for (size_t i = 0; i < msg->n_completed_frameworks; i++) {
        const Msg__Archive__Framework *ar = msg->completed_frameworks[i];
        struct framework *f =
            ar->framework_info->id ? master_framework(m, ar->framework_info->id->value) : NULL;

        if (f)
            bring_history(m, a, f, ar);
    }
}

static void forget_elsewhere(struct master *m, struct agent *a)
{
    struct known_agent *recovered = known_find(m->recovered_agents, a->id);
    struct known_agent *unreachable = known_find(m->unreachable_agents, a->id);
    struct known_agent *from = recovered ? recovered : unreachable;

    if (from) {
        a->drain_info = TAKE_PTR(from->drain_info);
        a->deactivated = from->deactivated;
        agent_from_known(a, from);
    }
    if (recovered)
        known_remove(m, &m->recovered_agents, recovered);
    if (unreachable) {
        while (unreachable->tasks) /* the agent does not have them any more */
            task_forget_unreachable(m, unreachable->tasks);
        known_remove(m, &m->unreachable_agents, unreachable);
    }
}

static void admit_again(struct master *m, struct link *l, const Msg__ReregisterSlaveMessage *msg,
                        const char *pid)
{
    const char *id = msg->slave->id->value;
    bool was_recovered = known_find(m->recovered_agents, id) != NULL;
    bool was_unreachable = known_find(m->unreachable_agents, id) != NULL;
    struct agent *a = agents_new(m, msg->slave, pid);

    agents_set_version(a, msg->version, msg->agent_capabilities, msg->n_agent_capabilities,
                       msg->resource_version_uuid);
    agents_set_checkpointed(a, msg->checkpointed_resources, msg->n_checkpointed_resources);
    agents_put_total(a);
    a->registered_time = a->reregistered_time = env_wall_s(core_env(m));
    metric_inc(m->core->c.slave_reregistrations);
    recover_frameworks(m, msg);
    m->core->generation++; /* for send_reregistered(): all that it has was told */
    bring_tasks(m, a, msg, was_recovered, was_unreachable);
    forget_elsewhere(m, a);
    bring_executors(m, a, msg);
    bring_completed(m, a, msg);
    agents_admit(m, a, l);
    send_reregistered(m, a, l);
    agents_start_pings(m, a);
    tell_drain(m, a);
    answer_frameworks(m, a, msg);
    log_info("agent %s at %s (%s) re-registered with %zu tasks", a->id, a->pid, a->info->hostname,
             msg->n_tasks);
    maintenance_enforce(m, a);
}

/* ---- the message ---- */

static bool same_machine(const struct agent *a, const struct link *l, const V1__AgentInfo *info)
{
    _cleanup_free_ char *pid = agents_pid_of(l->address, info);
    const char *old_colon = strrchr(a->pid, ':'), *new_colon = strrchr(pid, ':');

    return streq(a->info->hostname, info->hostname) && old_colon - a->pid == new_colon - pid &&
           strncmp(a->pid, pid, (size_t)(new_colon - pid)) == 0;
}

static void start(struct master *m, struct link *l, const Msg__ReregisterSlaveMessage *msg,
                  enum transition_kind kind)
{
    struct transition *tr = transition_new(m, kind, msg->slave->id->value);
    struct known_agent *k = known_find(m->unreachable_agents, tr->id);
    const struct agent *a = master_agent(m, tr->id);

    if (!k)
        k = known_find(m->recovered_agents, tr->id);
    tr->peer = l->peer;
    transition_keep(tr, &msg->base);
    tr->why = agents_pid_of(l->address, msg->slave);
    l->registering = true;
    if (a)
        transition_start(tr, msg->slave, a->drain_info, a->deactivated);
    else
        transition_start(tr, msg->slave, k ? k->drain_info : NULL, k && k->deactivated);
}

static void reregister_known(struct master *m, struct agent *a, struct link *l,
                             const Msg__ReregisterSlaveMessage *msg)
{
    if (!same_machine(a, l, msg->slave)) {
        log_warning("agent %s comes back from %s (%s), but it is at %s (%s): it is shut down",
                    a->id, l->address, msg->slave->hostname, a->pid, a->info->hostname);
        agents_shutdown(m, l->peer, "Agent attempted to re-register with different IP / hostname");
    } else if (fl_pb_equal(&a->info->base, &msg->slave->base)) {
        come_back(m, a, l, msg);
    } else {
        start(m, l, msg, TRANSITION_UPDATE);
    }
}

static void reregister_other(struct master *m, struct link *l,
                             const Msg__ReregisterSlaveMessage *msg)
{
    struct known_agent *k = known_find(m->recovered_agents, msg->slave->id->value);
    _cleanup_free_ char *pid = agents_pid_of(l->address, msg->slave);

    if (k && k->info && fl_pb_equal(&k->info->base, &msg->slave->base))
        admit_again(m, l, msg, pid); /* the registry has it as it is */
    else
        start(m, l, msg, TRANSITION_READMIT);
}

/* Sent before the answer came, which is under way. When all agents come back at once many say it twice or more, and to take it each
 * time would make the others wait for longer still. One that means it anew has another version of its resources. */
static bool is_repeated(struct master *m, const struct link *l,
                        const Msg__ReregisterSlaveMessage *msg)
{
    const V1__UUID *u = msg->resource_version_uuid;
    const struct agent *a = l->agent;

    if (!a || !l->answered_us || core_now(m) - l->answered_us >= REPEATED_US)
        return false;
    return !u || !a->has_resource_version || u->value.len != FL_UUID_LEN ||
           memcmp(u->value.data, a->resource_version, FL_UUID_LEN) == 0;
}

void agents_reregister(struct master *m, struct link *l, const Msg__ReregisterSlaveMessage *msg)
{
    const char *id = msg->slave->id ? msg->slave->id->value : NULL;
    struct agent *a = id ? master_agent(m, id) : NULL;
    struct fl_err err;

    metric_inc(m->core->c.messages_reregister_slave);
    if (!id || strlen(id) >= AGENT_ID_SIZE) {
        log_warning("refusing the re-registration of an agent at %s: it has no fit id", l->address);
        return;
    }
    if (l->registering || transition_find(m, id) || (l->agent && l->agent != a)) {
        log_debug("ignoring a re-registration of agent %s: another change of it is under way", id);
        return;
    }
    if (is_repeated(m, l, msg)) {
        log_debug("ignoring a re-registration of agent %s: it was just answered", id);
        return;
    }
    if (known_find(m->gone_agents, id)) {
        log_warning("refusing the re-registration of agent %s: it was marked gone", id);
        agents_shutdown(m, l->peer, "Agent has been marked gone");
        return;
    }
    if (maintenance_down(m, msg->slave->hostname, l->address)) {
        log_warning("refusing the re-registration of agent %s: its machine is down for maintenance",
                    id);
        agents_shutdown(m, l->peer, "Machine is `DOWN`");
        return;
    }
    if (agents_check(m, msg->slave, msg->version, &err) < 0) {
        log_warning("refusing the re-registration of agent %s: %s", id, err.msg);
        return;
    }
    if (a)
        reregister_known(m, a, l, msg);
    else
        reregister_other(m, l, msg);
}

void agents_reregistered(struct master *m, struct transition *tr)
{
    const Msg__ReregisterSlaveMessage *msg = (const Msg__ReregisterSlaveMessage *)tr->msg;
    struct link *l = tr->peer ? link_find(m, tr->peer) : NULL;
    struct agent *a = master_agent(m, tr->id);

    if (l)
        l->registering = false;
    if (a && l)
        come_back(m, a, l, msg);
    else if (!a)
        admit_again(m, l, msg, tr->why);
    else
        log_info("agent %s went away again while it re-registered", tr->id);
}

/* ---- what changes on a registered agent ---- */

/* Each estimate replaces the one before. What is not revocable in it would change what the agent has, which an estimate may not. */
static void replace_oversubscribed(struct agent *a, const Msg__UpdateSlaveMessage *msg)
{
    _cleanup_resources_ struct resources told = RESOURCES_INIT, over = RESOURCES_INIT;
    _cleanup_resources_ struct resources total = RESOURCES_INIT;
    struct fl_err err;

    if (resources_from_pb(msg->oversubscribed_resources, msg->n_oversubscribed_resources, &told,
                          &err) < 0)
        log_warning("agent %s oversubscribes resources that are not valid: %s", a->id, err.msg);
    resources_unallocate(&told);
    resources_revocable(&told, true, &over);
    if (!resources_equal(&told, &over))
        log_warning("agent %s oversubscribes resources that are not revocable: they do not count",
                    a->id);
    resources_revocable(&a->total, false, &total);
    resources_add(&total, &over);
    resources_move(&a->total, &total);
    agents_total_changed(a);
}

/* The allocator first: what comes back from the offers below must not be offered again by the old total. Estimates come often, so
 * that offers without anything revocable stay. */
static void oversubscription_changed(struct master *m, struct agent *a)
{
    struct offer *o, *tmp;

    allocation_add_agent(m, a, true);
    DL_FOREACH_SAFE2(a->offers, o, tmp, agent_next)
    {
        if (resources_has_revocable(&o->resources))
            offer_withdraw(m, o, true, NULL);
    }
}

void agents_update(struct master *m, struct agent *a, const Msg__UpdateSlaveMessage *msg)
{
    struct resources before = RESOURCES_INIT;

    metric_inc(m->core->c.messages_update_slave);
    resources_copy(&before, &a->total);
    /* Agents from before the switch came to be send what they oversubscribe, and nothing else. */
    if (!msg->has_update_oversubscribed_resources || msg->update_oversubscribed_resources)
        replace_oversubscribed(a, msg);
    if (msg->resource_version_uuid && msg->resource_version_uuid->value.len == FL_UUID_LEN) {
        a->has_resource_version = true;
        memcpy(a->resource_version, msg->resource_version_uuid->value.data, FL_UUID_LEN);
    }
    if (msg->operations)
        operations_told(m, a, msg->operations->operations, msg->operations->n_operations);
    if (msg->resource_providers && msg->resource_providers->n_providers > 0)
        log_warning("agent %s has resource providers, which are not served", a->id);
    if (!resources_equal(&before, &a->total))
        oversubscription_changed(m, a);
    resources_done(&before);
}
