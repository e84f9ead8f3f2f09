/* Registering with the leading master, and staying registered (features.md 3.5, 3.7).
 *
 * The first try comes a random part of registration_backoff_factor after the connection opened, so that a thousand agents do not
 * come at once; the next a random part of a bound, in its later half, and the bound doubles up to a minute. The master pings; when it
 * stays silent for as long as it said it would at most, or pings as if it did not know us, the connection is given up and the master
 * looked for again.
 */
#include <utlist.h>

#include "agent/agent_priv.h"
#include "agent/oversubscription.h"
#include "common/base/log.h"

#define BACKOFF_MAX_US (60ull * 1000000)
/* Of a second try, and so on: nothing is lost on the way, and a master with 40,000 agents that come back needs seconds for them. */
#define BACKOFF_MIN_US  (2ull * 1000000)
#define PING_TIMEOUT_US (75ull * 1000000) /* until the master has said its own */
/* The master's last ping before its time is up is sent at that very instant, and takes a while to arrive: without this an agent of a
 * master with --max_agent_ping_timeouts=1 would give up each time. */
#define PING_ON_ITS_WAY_US 1000000ull

static uint64_t random_below(struct agent_core *a, uint64_t bound)
{
    uint64_t x;

    env_random(agent_time(a), &x, sizeof x);
    return bound ? x % bound : 0;
}

/* ---- what the agent says of itself ---- */

static const V1__AgentInfo__Capability__Type capabilities[] = {
    V1__AGENT_INFO__CAPABILITY__TYPE__MULTI_ROLE,
    V1__AGENT_INFO__CAPABILITY__TYPE__HIERARCHICAL_ROLE,
    V1__AGENT_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT,
    V1__AGENT_INFO__CAPABILITY__TYPE__RESOURCE_PROVIDER,
    V1__AGENT_INFO__CAPABILITY__TYPE__RESIZE_VOLUME,
    V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_OPERATION_FEEDBACK,
    V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_DRAINING,
    V1__AGENT_INFO__CAPABILITY__TYPE__TASK_RESOURCE_LIMITS,
};

size_t agent_capabilities(struct fl_arena *arena, V1__AgentInfo__Capability ***ret)
{
    V1__AgentInfo__Capability **list =
        fl_arena_alloc(arena, ARRAY_SIZE(capabilities) * sizeof(void *));

    for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++) {
        list[i] = fl_arena_alloc(arena, sizeof **list);
        v1__agent_info__capability__init(list[i]);
        list[i]->has_type = true;
        list[i]->type = capabilities[i];
    }
    *ret = list;
    return ARRAY_SIZE(capabilities);
}

static V1__UUID *version_uuid(struct agent_core *a, struct fl_arena *arena)
{
    V1__UUID *u = fl_arena_alloc(arena, sizeof *u);

    v1__uuid__init(u);
    u->value = (ProtobufCBinaryData){FL_UUID_LEN, a->resource_version};
    return u;
}

static void send_register(struct agent_core *a, struct fl_arena *arena)
{
    Msg__RegisterSlaveMessage m = MSG__REGISTER_SLAVE_MESSAGE__INIT;

    m.slave = a->info;
    m.version = (char *)FL_VERSION;
    m.n_checkpointed_resources = resources_to_pb(&a->checkpointed, RESOURCES_POST_REFINEMENT, false,
                                                 arena, &m.checkpointed_resources);
    m.n_agent_capabilities = agent_capabilities(arena, &m.agent_capabilities);
    m.resource_version_uuid = version_uuid(a, arena);
    agent_send(a, &m.base);
}

/* ---- what it has, for a master that may know nothing of it ---- */

/* Growing arrays of borrowed pointers for the message's repeated fields. */
struct list {
    void **p;
    size_t n, cap;
};

static void push(struct list *l, const void *x)
{
    l->p = xgrow(l->p, &l->cap, l->n + 1, sizeof(void *));
    l->p[l->n++] = (void *)x;
}

struct inventory {
    struct list tasks, executors, frameworks, completed;
    struct fl_arena *arena;
};

static void add_executor(struct inventory *v, struct agent_executor *e)
{
    for (struct agent_task *t = e->tasks; t; t = t->next)
        push(&v->tasks, t);
    if (!e->command && e->state != EXECUTOR_TERMINATED)
        push(&v->executors, e->info);
}

/* There may be thousands of agents in one process, and all come back at once: their tasks are not decoded for it. */
static void put_tasks(struct inventory *v, ProtobufCMessage *m, void *const *tasks, size_t n)
{
    m->unknown_fields = fl_arena_alloc(v->arena, (n + 1) * sizeof *m->unknown_fields);
    for (size_t i = 0; i < n; i++)
        agent_task_put(tasks[i], "tasks", m, v->arena);
}

/* A framework's record of what has ended here. */
static void add_completed(struct inventory *v, struct agent_framework *f)
{
    Msg__Archive__Framework *c;
    struct list ended = {0};
    struct agent_executor *e;
    struct agent_task *t;

    DL_FOREACH (f->completed, e) {
        DL_FOREACH (e->completed, t) {
            push(&ended, t);
        }
    }
    if (ended.n == 0 && f->executors)
        return;
    c = FL_ARENA_NEW(v->arena, Msg__Archive__Framework, msg__archive__framework);
    c->framework_info = f->info;
    put_tasks(v, &c->base, ended.p, ended.n);
    push(&v->completed, c);
    free(ended.p);
}

static void take_inventory(struct agent_core *a, struct inventory *v)
{
    struct agent_framework *f;

    for (f = a->frameworks; f; f = f->hh.next) {
        push(&v->frameworks, f->info);
        for (struct agent_executor *e = f->executors; e; e = e->hh.next)
            add_executor(v, e);
        add_completed(v, f);
    }
    DL_FOREACH (a->completed_frameworks, f) {
        add_completed(v, f);
    }
}

static void send_reregister(struct agent_core *a, struct fl_arena *arena)
{
    Msg__ReregisterSlaveMessage m = MSG__REREGISTER_SLAVE_MESSAGE__INIT;
    struct inventory v = {.arena = arena};

    take_inventory(a, &v);
    m.slave = a->info;
    put_tasks(&v, &m.base, v.tasks.p, v.tasks.n);
    m.n_executor_infos = v.executors.n;
    m.executor_infos = (V1__ExecutorInfo **)v.executors.p;
    m.n_frameworks = v.frameworks.n;
    m.frameworks = (V1__FrameworkInfo **)v.frameworks.p;
    m.n_completed_frameworks = v.completed.n;
    m.completed_frameworks = (Msg__Archive__Framework **)v.completed.p;
    m.version = (char *)FL_VERSION;
    m.n_checkpointed_resources = resources_to_pb(&a->checkpointed, RESOURCES_POST_REFINEMENT, false,
                                                 arena, &m.checkpointed_resources);
    m.n_agent_capabilities = agent_capabilities(arena, &m.agent_capabilities);
    m.resource_version_uuid = version_uuid(a, arena);
    agent_send(a, &m.base);
    free(v.tasks.p);
    free(v.executors.p);
    free(v.frameworks.p);
    free(v.completed.p);
}

/* ---- trying ---- */

static void try_to_register(void *arg)
{
    struct agent_core *a = FL_CAST(agent_core, AGENT_CORE_MAGIC, arg);
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;

    if (a->state != AGENT_DISCONNECTED || !a->link.up)
        return;
    arena = fl_arena_new(8192);
    agent_commit_intend(a);
    if (a->info->id)
        send_reregister(a, arena);
    else
        send_register(a, arena);
    a->link.backoff_us = FL_MIN(FL_MAX(a->link.backoff_us * 2, BACKOFF_MIN_US), BACKOFF_MAX_US);
    /* Not in the sooner half: a master to which all of its agents come back at once is not helped by hearing them twice. */
    env_timer_set(agent_time(a), a->link.register_timer,
                  1000 + a->link.backoff_us / 2 + random_below(a, a->link.backoff_us / 2));
}

static void on_silence(void *arg)
{
    struct agent_core *a = FL_CAST(agent_core, AGENT_CORE_MAGIC, arg);

    log_warning("No ping from the master for %.0f s, looking for it again",
                (double)a->link.ping_timeout_us / 1e6);
    agent_master_down(a);
    a->env->io->master_reset(a->env->ctx, AGENT_LINK_RETRY);
}

static void make_timers(struct agent_core *a)
{
    if (a->link.register_timer)
        return;
    a->link.register_timer = env_timer_new(agent_time(a), try_to_register, a);
    a->link.ping_timer = env_timer_new(agent_time(a), on_silence, a);
    a->link.ping_timeout_us = PING_TIMEOUT_US;
}

static void await_ping(struct agent_core *a)
{
    env_timer_set(agent_time(a), a->link.ping_timer, a->link.ping_timeout_us + PING_ON_ITS_WAY_US);
}

void agent_master_up(struct agent_core *a, const char *address)
{
    if (a->state == AGENT_RECOVERING || a->state == AGENT_TERMINATING)
        return;
    make_timers(a);
    free(a->master_address);
    a->master_address = xstrdup(address);
    a->link.up = true;
    a->state = AGENT_DISCONNECTED;
    agent_updates_pause(a->updates);
    agent_operations_pause(a->operations);
    a->link.backoff_us = a->flags->registration_backoff_factor;
    env_timer_set(agent_time(a), a->link.register_timer, random_below(a, a->link.backoff_us));
    await_ping(a);
    log_info("Connected to master %s", address);
}

void agent_reregister(struct agent_core *a)
{
    if (a->state != AGENT_RUNNING)
        return;
    a->state = AGENT_DISCONNECTED;
    agent_updates_pause(a->updates);
    agent_operations_pause(a->operations);
    a->link.backoff_us = a->flags->registration_backoff_factor;
    env_timer_set(agent_time(a), a->link.register_timer, 0);
}

void agent_master_down(struct agent_core *a)
{
    if (!a->link.up)
        return;
    log_info("Disconnected from master %s", a->master_address);
    a->link.up = false;
    env_timer_stop(agent_time(a), a->link.register_timer);
    env_timer_stop(agent_time(a), a->link.ping_timer);
    agent_updates_pause(a->updates);
    agent_operations_pause(a->operations);
    free(a->master_address);
    a->master_address = NULL;
    if (a->state == AGENT_RUNNING)
        a->state = AGENT_DISCONNECTED;
}

/* ---- registered ---- */

static void take_ping_timeout(struct agent_core *a, const Msg__MasterSlaveConnection *c)
{
    if (c && c->has_total_ping_timeout_seconds && c->total_ping_timeout_seconds > 0)
        a->link.ping_timeout_us = (uint64_t)(c->total_ping_timeout_seconds * 1e6);
    else
        a->link.ping_timeout_us = PING_TIMEOUT_US;
    await_ping(a);
}

static void running(struct agent_core *a)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(2048);
    Msg__UpdateSlaveMessage m = MSG__UPDATE_SLAVE_MESSAGE__INIT;
    Msg__UpdateSlaveMessage__Operations ops = MSG__UPDATE_SLAVE_MESSAGE__OPERATIONS__INIT;
    Msg__UpdateSlaveMessage__ResourceProviders none =
        MSG__UPDATE_SLAVE_MESSAGE__RESOURCE_PROVIDERS__INIT;
    V1__UUID uuid = V1__UUID__INIT;

    a->state = AGENT_RUNNING;
    a->registered_time = env_wall_s(agent_time(a));
    env_timer_stop(agent_time(a), a->link.register_timer);
    m.slave_id = a->info->id;
    ops.n_operations = agent_operations_pb(a, arena, &ops.operations);
    m.operations = &ops;
    m.resource_providers = &none; /* there, and empty: this agent has none */
    uuid.value = (ProtobufCBinaryData){FL_UUID_LEN, a->resource_version};
    m.resource_version_uuid = &uuid;
    agent_oversub_fill(a->oversub, arena, &m);
    agent_send(a, &m.base);
    agent_updates_resume(a->updates);
    agent_operations_resume(a->operations);
}

/* The master has admitted an id that this agent cannot have: one of the two is mistaken, and to go on would mix two agents up. */
static void wrong_id(struct agent_core *a, const char *id)
{
    _cleanup_free_ char *why = xasprintf("the master calls this agent '%s', but its checkpoint "
                                         "says '%s'; remove '%s/slaves/latest' to "
                                         "register as a new agent",
                                         id, a->info->id->value, a->meta_dir);

    a->env->io->exit(a->env->ctx, 1, why);
}

void agent_registered(struct agent_core *a, const Msg__SlaveRegisteredMessage *m)
{
    struct fl_err err;

    if (a->info->id && !streq(a->info->id->value, m->slave_id->value)) {
        wrong_id(a, m->slave_id->value);
        return;
    }
    take_ping_timeout(a, m->connection);
    if (a->state == AGENT_RUNNING)
        return;
    if (!a->info->id) {
        a->info->id = FL_PB_DUP(m->slave_id);
        if (agent_checkpoint_info(a, &err) < 0) {
            a->env->io->exit(a->env->ctx, 1, err.msg);
            return;
        }
    }
    log_info("Registered with master %s as agent '%s'", a->master_address, a->info->id->value);
    running(a);
}

/* Tasks only the master knows of: they never came, or this agent lost them. */
static void reconcile(struct agent_core *a, const Msg__ReconcileTasksMessage *m)
{
    struct agent_framework *f = agent_find_framework(a, m->framework_id->value);

    for (size_t i = 0; i < m->n_statuses; i++) {
        const char *tid = m->statuses[i]->task_id->value;

        if (!f || !agent_find_task(f, tid))
            agent_drop_task(a, m->framework_id->value, m->framework, tid, NULL,
                            V1__TASK_STATUS__REASON__REASON_RECONCILIATION,
                            "Reconciliation: task unknown to the agent");
    }
}

void agent_reregistered(struct agent_core *a, const Msg__SlaveReregisteredMessage *m)
{
    if (!a->info->id || !streq(a->info->id->value, m->slave_id->value)) {
        if (a->info->id)
            wrong_id(a, m->slave_id->value);
        return;
    }
    take_ping_timeout(a, m->connection);
    if (a->state == AGENT_RUNNING)
        return;
    log_info("Re-registered with master %s", a->master_address);
    running(a);
    for (size_t i = 0; i < m->n_reconciliations; i++)
        reconcile(a, m->reconciliations[i]);
}

void agent_ping(struct agent_core *a, const Msg__PingSlaveMessage *m)
{
    Msg__PongSlaveMessage pong = MSG__PONG_SLAVE_MESSAGE__INIT;

    if (!m->connected && a->state == AGENT_RUNNING) {
        log_warning("The master believes this agent disconnected, registering again");
        agent_master_down(a);
        a->env->io->master_reset(a->env->ctx, AGENT_LINK_RETRY);
        return;
    }
    await_ping(a);
    agent_send(a, &pong.base);
}
