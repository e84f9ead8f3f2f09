/* The master's core: its life, the registry's records at start, and the dispatch of what comes in.
 *
 * Entry points are bracketed by core_enter() and core_leave(): see core.h. After the outermost
 * leave nothing points into the scratch arena any more.
 */
#include "master/core.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/model/intern.h"
#include "master/quota.h"
#include "master/roles.h"
#include "master/weights.h"

/* ---- the event under way ---- */

void core_enter(struct master *m)
{
    m->core->depth++;
}

void core_leave(struct master *m)
{
    assert(m->core->depth > 0);
    if (--m->core->depth == 0)
        fl_arena_reset(m->core->scratch);
}

const struct env *core_env(const struct master *m)
{
    return &m->env->env;
}

uint64_t core_now(const struct master *m)
{
    return env_now_us(&m->env->env);
}

void *core_alloc(struct master *m, size_t n)
{
    return memset(fl_arena_alloc(m->core->scratch, n), 0, n);
}

char *core_printf(struct master *m, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return fl_arena_strdup(m->core->scratch, text);
}

/* ---- life ---- */

static V1__MasterInfo *own_info(struct master *m, const V1__MasterInfo *given)
{
    V1__MasterInfo copy = *given;
    copy.id = m->id;
    return FL_PB_DUP(&copy);
}

/* --roles=a,b,c */
static void read_role_whitelist(struct master *m)
{
    const char *p = m->flags->roles;
    size_t cap = 0;

    if (!p)
        return;
    while (*p) {
        size_t n = strcspn(p, ",");
        if (n > 0) {
            m->role_whitelist =
                xgrow(m->role_whitelist, &cap, m->n_role_whitelist + 2, sizeof(char *));
            m->role_whitelist[m->n_role_whitelist++] = intern_n(p, n);
        }
        p += n + (p[n] == ',');
    }
    m->role_whitelist = xgrow(m->role_whitelist, &cap, m->n_role_whitelist + 2, sizeof(char *));
    m->role_whitelist[m->n_role_whitelist++] = intern("*");
}

int master_new(struct master_env *env, const struct master_flags *flags, struct metrics *metrics,
               const struct allocator_ops *alloc, const V1__MasterInfo *info, struct master **ret,
               struct fl_err *err)
{
    struct master *m = xnew0(struct master);
    uint8_t uuid[FL_UUID_LEN];
    int r;

    m->magic = MASTER_MAGIC;
    m->env = env;
    m->flags = flags;
    m->metrics = metrics;
    m->core = xnew0(struct core);
    m->core->scratch = fl_arena_new(64 * 1024);
    fl_uuid_make(core_env(m), uuid);
    fl_uuid_format(uuid, m->id);
    m->info = own_info(m, info);
    m->start_time = env_wall_s(core_env(m));
    read_role_whitelist(m);
    core_metrics_init(m);
    maintenance_init(m);
    pings_init(m);
    r = removals_init(m, err);
    if (r == 0)
        r = weights_init(m, err);
    if (r == 0)
        r = allocation_new(m, alloc, err);
    if (r < 0) {
        master_free(m);
        return r;
    }
    *ret = m;
    return 0;
}

static void free_known(struct master *m, struct known_agent **list)
{
    struct known_agent *k, *tmp;

    HASH_ITER (hh, *list, k, tmp)
        known_remove(m, list, k);
}

static void free_frameworks(struct master *m)
{
    struct framework *f, *tmp;

    HASH_ITER (hh, m->frameworks, f, tmp) {
        HASH_DEL(m->frameworks, f);
        framework_free(f);
    }
    while (m->completed_frameworks) {
        f = m->completed_frameworks;
        m->completed_frameworks = f->next_completed;
        framework_free(f);
    }
}

static void free_agents(struct master *m)
{
    struct agent *a, *tmp;

    HASH_ITER (hh, m->agents, a, tmp) {
        agents_free(m, a);
    }
}

static void free_core(struct master *m)
{
    struct core *c = m->core;
    struct transition *tr, *tr_tmp;
    struct link *l, *l_tmp;

    maintenance_free(m);
    drain_free(m);
    allocation_free(m);
    weights_done(m);
    quota_done(m);
    roles_free(m);
    HASH_ITER (hh, c->transitions, tr, tr_tmp) {
        HASH_DEL(c->transitions, tr);
        transition_free(tr);
    }
    HASH_ITER (hh, c->links, l, l_tmp) {
        HASH_DEL(c->links, l);
        free(l);
    }
    removals_free(m);
    pings_free(m);
    env_timer_free(core_env(m), c->recovery_timer);
    env_timer_free(core_env(m), c->gc_timer);
    counters_free(m);
    totals_free(m);
    free(c->total_gauges);
    fl_buf_done(&c->pack);
    fl_arena_free(c->scratch);
    free(c);
}

void master_free(struct master *m)
{
    if (!m)
        return;
    free_agents(m);
    free_known(m, &m->recovered_agents);
    free_known(m, &m->unreachable_agents);
    free_known(m, &m->gone_agents);
    free_frameworks(m);
    free_core(m);
    free(m->role_whitelist);
    fl_pb_free(m->info);
    free(m);
}

/* ---- agents' messages ---- */

typedef void agent_message_f(struct master *m, struct agent *a, const ProtobufCMessage *msg);

static void on_pong(struct master *m, struct agent *a, const ProtobufCMessage *msg)
{
    agents_pong(m, a);
}

static void on_status_update(struct master *m, struct agent *a, const ProtobufCMessage *msg)
{
    agents_status_update(m, a, (const Msg__StatusUpdateMessage *)msg);
}

static void on_exited_executor(struct master *m, struct agent *a, const ProtobufCMessage *msg)
{
    agents_exited_executor(m, a, (const Msg__ExitedExecutorMessage *)msg);
}

static void on_executor_message(struct master *m, struct agent *a, const ProtobufCMessage *msg)
{
    agents_executor_message(m, a, (const Msg__ExecutorToFrameworkMessage *)msg);
}

static void on_unregister(struct master *m, struct agent *a, const ProtobufCMessage *msg)
{
    metric_inc(m->core->c.messages_unregister_slave);
    agents_unregister(m, a, "the agent unregistered", m->core->c.slave_removals_unregistered);
}

static void on_update_agent(struct master *m, struct agent *a, const ProtobufCMessage *msg)
{
    agents_update(m, a, (const Msg__UpdateSlaveMessage *)msg);
    drain_kick(m, a); /* the first one after it came back says which operations it has */
}

static void on_operation_status(struct master *m, struct agent *a, const ProtobufCMessage *msg)
{
    agents_operation_status(m, a, (const Msg__UpdateOperationStatusMessage *)msg);
    drain_kick(m, a);
}

/* What a registered agent says. */
static const struct {
    const ProtobufCMessageDescriptor *type;
    agent_message_f *fn;
} agent_messages[] = {
    {&msg__status_update_message__descriptor, on_status_update},
    {&msg__pong_slave_message__descriptor, on_pong},
    {&msg__exited_executor_message__descriptor, on_exited_executor},
    {&msg__executor_to_framework_message__descriptor, on_executor_message},
    {&msg__unregister_slave_message__descriptor, on_unregister},
    {&msg__update_slave_message__descriptor, on_update_agent},
    {&msg__update_operation_status_message__descriptor, on_operation_status},
};

static void dispatch(struct master *m, struct link *l, const ProtobufCMessage *msg)
{
    if (msg->descriptor == &msg__register_slave_message__descriptor) {
        agents_register(m, l, (const Msg__RegisterSlaveMessage *)msg);
        return;
    }
    if (msg->descriptor == &msg__reregister_slave_message__descriptor) {
        agents_reregister(m, l, (const Msg__ReregisterSlaveMessage *)msg);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(agent_messages); i++) {
        if (agent_messages[i].type != msg->descriptor)
            continue;
        if (l->agent) {
            agent_messages[i].fn(m, l->agent, msg);
        } else {
            log_debug("ignoring %s from %s, which is not registered", msg->descriptor->short_name,
                      l->address);
            metric_inc(m->core->c.dropped_messages);
            if (msg->descriptor == &msg__status_update_message__descriptor)
                metric_inc(m->core->c.invalid_status_updates);
        }
        return;
    }
    log_warning("ignoring %s from agent at %s: masters do not take it", msg->descriptor->name,
                l->address);
    metric_inc(m->core->c.dropped_messages);
}

void master_agent_message(struct master *m, void *peer, const char *peer_address,
                          const ProtobufCMessage *msg)
{
    assert(m->magic == MASTER_MAGIC);
    if (!m->recovered) {
        metric_inc(m->core->c.dropped_messages);
        return;
    }
    core_enter(m);
    dispatch(m, link_get(m, peer, peer_address), msg);
    core_leave(m);
}

void master_agent_closed(struct master *m, void *peer)
{
    struct link *l = link_find(m, peer);

    if (!l)
        return;
    core_enter(m);
    if (l->agent)
        agents_disconnected(m, l->agent);
    link_drop(m, l, false);
    core_leave(m);
}

/* ---- reading ---- */

struct framework *master_framework(const struct master *m, const char *id)
{
    struct framework *f;

    HASH_FIND_STR(m->frameworks, id, f);
    return f;
}

struct agent *master_agent(const struct master *m, const char *id)
{
    struct agent *a;

    HASH_FIND_STR(m->agents, id, a);
    return a;
}

unsigned master_task_count(const struct master *m, V1__TaskState state)
{
    return (size_t)state < ARRAY_SIZE(m->core->task_count) ? m->core->task_count[state] : 0;
}
