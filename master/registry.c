/* The registry: which agents are admitted, unreachable or gone, one record an agent, so that a
 * cluster of any size writes only what changes.
 *
 *   master             Registry.Master            who led last
 *   agent/<id>        Registry.Slave             admitted
 *   unreachable/<id>  Registry.UnreachableSlave
 *   gone/<id>         Registry.GoneSlave
 *   maintenance       Registry                  machines and schedules of it: maintenance.c
 *   quota/<role>      QuotaConfig
 *   weight/<role>     Registry.Weight
 *
 * An agent changes its place only after the store has the change (struct transition). A failed
 * write ends the process: what is on disk is then no longer known.
 */
#include "master/core.h"

#include "common/base/json.h"
#include "common/model/agent_info.h"
#include "common/model/intern.h"
#include "master/quota.h"
#include "master/weights.h"

/* Of a registration in memory, mostly. */
#define KEPT_MESSAGE 3072

/* ---- known agents ---- */

struct known_agent *known_find(struct known_agent *list, const char *id)
{
    struct known_agent *k;

    HASH_FIND_STR(list, id, k);
    return k;
}

struct known_agent *known_add(struct known_agent **list, const char *id)
{
    struct known_agent *k = known_find(*list, id);

    if (k)
        return k;
    k = xnew0(struct known_agent);
    k->id = intern_ref(id);
    HASH_ADD_KEYPTR(hh, *list, k->id, strlen(k->id), k);
    return k;
}

void known_remove(struct master *m, struct known_agent **list, struct known_agent *k)
{
    known_gone(m, k);
    HASH_DEL(*list, k);
    agent_info_release(k->info);
    fl_pb_free(k->drain_info);
    intern_unref(k->id);
    free(k);
}

/* ---- reading at start ---- */

static int recover_agent(struct master *m, const ProtobufCMessage *msg, struct fl_err *err)
{
    const Reg__Registry__Slave *rec = (const Reg__Registry__Slave *)msg;
    struct known_agent *k;

    if (!rec->info->id)
        return fl_err_set(err, FL_INVALID, "an agent of the registry has no id");
    k = known_add(&m->recovered_agents, rec->info->id->value);
    agent_info_release(k->info);
    k->info = agent_info_keep(rec->info, false);
    k->drain_info = rec->drain_info ? FL_PB_DUP(rec->drain_info) : NULL;
    k->deactivated = rec->deactivated;
    known_changed(m, k);
    return 0;
}

static int recover_unreachable(struct master *m, const ProtobufCMessage *msg, struct fl_err *err)
{
    const Reg__Registry__UnreachableSlave *rec = (const Reg__Registry__UnreachableSlave *)msg;
    struct known_agent *k = known_add(&m->unreachable_agents, rec->id->value);

    k->since_ns = (uint64_t)rec->timestamp->nanoseconds;
    k->drain_info = rec->drain_info ? FL_PB_DUP(rec->drain_info) : NULL;
    k->deactivated = rec->deactivated;
    known_changed(m, k);
    return 0;
}

static int recover_gone(struct master *m, const ProtobufCMessage *msg, struct fl_err *err)
{
    const Reg__Registry__GoneSlave *rec = (const Reg__Registry__GoneSlave *)msg;

    known_add(&m->gone_agents, rec->id->value)->since_ns = (uint64_t)rec->timestamp->nanoseconds;
    return 0;
}

static const struct {
    const char *prefix;
    const ProtobufCMessageDescriptor *type;
    int (*recover)(struct master *m, const ProtobufCMessage *msg, struct fl_err *err);
} record_kinds[] = {
    {"agent/", &reg__registry__slave__descriptor, recover_agent},
    {"unreachable/", &reg__registry__unreachable_slave__descriptor, recover_unreachable},
    {"gone/", &reg__registry__gone_slave__descriptor, recover_gone},
    {"maintenance", &reg__registry__descriptor, maintenance_recover},
    {"quota/", &quota__quota_config__descriptor, quota_recover},
    {"weight/", &reg__registry__weight__descriptor, weight_recover},
};

int master_recover_record(struct master *m, const char *key, const void *data, size_t len,
                          struct fl_err *err)
{
    ProtobufCMessage *msg;
    int r = 0;

    assert(!m->recovered);
    core_enter(m);
    for (size_t i = 0; i < ARRAY_SIZE(record_kinds); i++) {
        if (!str_starts(key, record_kinds[i].prefix))
            continue;
        r = fl_pb_decode(data, len, record_kinds[i].type, fl_arena_allocator(m->core->scratch),
                         &msg, err);
        if (r == 0)
            r = record_kinds[i].recover(m, msg, err);
        if (r < 0)
            fl_err_wrap(err, "registry record '%s'", key);
        break;
    }
    core_leave(m);
    return r;
}

/* ---- changes ---- */

static void on_written(const struct fl_err *err, void *arg)
{
    struct master *m = arg;

    if (err)
        m->env->io->fatal(m->env->ctx, err->msg);
}

static void encode(struct master *m, const ProtobufCMessage *rec, struct store_op *op)
{
    struct fl_buf *b = &m->core->pack;
    char *data;

    fl_buf_clear(b);
    fl_buf_pack(b, rec);
    data = core_alloc(m, b->len + 1);
    memcpy(data, b->data, b->len);
    op->len = b->len;
    op->data = data;
}

/* Who leads; and a registry that cannot be written is found out before the first agent. */
static void write_leader(struct master *m)
{
    Reg__Registry__Master rec = REG__REGISTRY__MASTER__INIT;
    struct store_op op = {.key = "master"};

    core_enter(m);
    rec.info = m->info;
    encode(m, &rec.base, &op);
    m->env->io->store(m->env->ctx, &op, 1, on_written, m);
    core_leave(m);
}

void master_recovered(struct master *m)
{
    m->recovered = true;
    m->elected_time = env_wall_s(core_env(m));
    m->core->n_recovered_at_start = HASH_COUNT(m->recovered_agents);
    log_info("registry read: %u agents, %u unreachable, %u gone", HASH_COUNT(m->recovered_agents),
             HASH_COUNT(m->unreachable_agents), HASH_COUNT(m->gone_agents));
    write_leader(m);
    core_enter(m);
    weights_recovered(m);
    quota_recovered(m);
    core_leave(m);
    recovery_watch_start(m);
    registry_gc_start(m);
    allocation_kick(m);
}

/* ---- records that are no agent's ---- */

struct registry_batch {
    struct master *master;
    void (*done)(struct master *m, void *arg);
    void *arg;
};

static void on_batch_written(const struct fl_err *err, void *arg)
{
    struct registry_batch *b = arg;
    struct master *m = b->master;

    core_enter(m);
    if (err)
        m->env->io->fatal(m->env->ctx,
                          core_printf(m, "the registry cannot be written: %s", err->msg));
    else if (b->done)
        b->done(m, b->arg);
    core_leave(m);
    free(b);
}

void registry_write(struct master *m, const struct registry_change *changes, size_t n,
                    void (*done)(struct master *m, void *arg), void *arg)
{
    struct registry_batch *b = xnew0(struct registry_batch);
    struct store_op *ops;

    core_enter(m);
    ops = core_alloc(m, (n + 1) * sizeof(*ops));
    for (size_t i = 0; i < n; i++) {
        ops[i].key = changes[i].key;
        if (changes[i].record)
            encode(m, changes[i].record, &ops[i]);
    }
    *b = (struct registry_batch){m, done, arg};
    m->env->io->store(m->env->ctx, ops, n, on_batch_written, b);
    core_leave(m);
}

/* ---- agents that come and go ---- */

struct transition *transition_find(struct master *m, const char *agent_id)
{
    struct transition *tr;

    HASH_FIND_STR(m->core->transitions, agent_id, tr);
    return tr;
}

struct transition *transition_new(struct master *m, enum transition_kind kind, const char *agent_id)
{
    struct transition *tr = xnew0(struct transition);

    assert(!transition_find(m, agent_id));
    tr->master = m;
    tr->kind = kind;
    fl_snprintf(tr->id, sizeof(tr->id), "%s", agent_id);
    HASH_ADD_STR(m->core->transitions, id, tr);
    return tr;
}

void transition_keep(struct transition *tr, const ProtobufCMessage *msg)
{
    tr->arena = fl_arena_new(KEPT_MESSAGE);
    tr->msg = fl_pb_dup(msg, fl_arena_allocator(tr->arena));
}

void transition_free(struct transition *tr)
{
    drain_request_free(tr->request);
    fl_pb_free(tr->drain_info);
    fl_arena_free(tr->arena);
    free(tr->why);
    free(tr);
}

static void on_stored(const struct fl_err *err, void *arg)
{
    struct transition *tr = arg;
    struct master *m = tr->master;

    core_enter(m);
    HASH_DEL(m->core->transitions, tr);
    if (err) {
        m->env->io->fatal(m->env->ctx,
                          core_printf(m, "the registry cannot be written: %s", err->msg));
    } else {
        switch (tr->kind) {
        case TRANSITION_ADMIT:
            agents_registered(m, tr);
            break;
        case TRANSITION_READMIT:
        case TRANSITION_UPDATE:
            agents_reregistered(m, tr);
            break;
        case TRANSITION_UNREACHABLE:
        case TRANSITION_REMOVE:
            agents_left(m, tr);
            break;
        case TRANSITION_MARK:
            drain_stored(m, tr);
            break;
        case TRANSITION_GONE:
            gone_stored(m, tr);
            break;
        }
        drain_next(m, tr->id);
    }
    transition_free(tr);
    core_leave(m);
}

static void encode_admitted(struct master *m, const V1__AgentInfo *info, V1__DrainInfo *drain,
                            bool deactivated, struct store_op *op)
{
    Reg__Registry__Slave rec = REG__REGISTRY__SLAVE__INIT;

    rec.info = (V1__AgentInfo *)info;
    rec.drain_info = drain;
    rec.has_deactivated = rec.deactivated = deactivated;
    encode(m, &rec.base, op);
}

static void encode_unreachable(struct transition *tr, V1__DrainInfo *drain, bool deactivated,
                               struct store_op *op)
{
    Reg__Registry__UnreachableSlave rec = REG__REGISTRY__UNREACHABLE_SLAVE__INIT;
    V1__AgentID id = V1__AGENT_ID__INIT;
    V1__TimeInfo at = V1__TIME_INFO__INIT;

    id.value = tr->id;
    at.nanoseconds = (int64_t)tr->since_ns;
    rec.id = &id;
    rec.timestamp = &at;
    rec.drain_info = drain;
    rec.has_deactivated = rec.deactivated = deactivated;
    encode(tr->master, &rec.base, op);
}

static void encode_gone(struct transition *tr, struct store_op *op)
{
    Reg__Registry__GoneSlave rec = REG__REGISTRY__GONE_SLAVE__INIT;
    V1__AgentID id = V1__AGENT_ID__INIT;
    V1__TimeInfo at = V1__TIME_INFO__INIT;

    id.value = tr->id;
    at.nanoseconds = (int64_t)tr->since_ns;
    rec.id = &id;
    rec.timestamp = &at;
    encode(tr->master, &rec.base, op);
}

static char *key_of(struct master *m, const char *prefix, const char *id)
{
    size_t n = strlen(prefix), len = strlen(id);
    char *key = core_alloc(m, n + len + 1);

    memcpy(key, prefix, n);
    memcpy(key + n, id, len + 1);
    return key;
}

void transition_start(struct transition *tr, const V1__AgentInfo *info,
                      V1__DrainInfo *drain_or_null, bool deactivated)
{
    struct master *m = tr->master;
    struct store_op ops[3] = {
        {.key = key_of(m, "agent/", tr->id)},
        {.key = key_of(m, "unreachable/", tr->id)},
        {.key = key_of(m, "gone/", tr->id)},
    };
    size_t n = 2; /* without a record the key is deleted */

    switch (tr->kind) {
    case TRANSITION_ADMIT:
    case TRANSITION_READMIT:
    case TRANSITION_UPDATE:
        encode_admitted(m, info, drain_or_null, deactivated, &ops[0]);
        break;
    case TRANSITION_UNREACHABLE:
        tr->since_ns = env_wall_ns(core_env(m));
        encode_unreachable(tr, drain_or_null, deactivated, &ops[1]);
        break;
    case TRANSITION_REMOVE:
        break;
    case TRANSITION_MARK:
        if (known_find(m->unreachable_agents, tr->id))
            encode_unreachable(tr, drain_or_null, deactivated, &ops[1]);
        else
            encode_admitted(m, info, drain_or_null, deactivated, &ops[0]);
        break;
    case TRANSITION_GONE:
        tr->since_ns = env_wall_ns(core_env(m));
        encode_gone(tr, &ops[2]);
        n = 3;
        break;
    }
    m->env->io->store(m->env->ctx, ops, n, on_stored, tr);
}

/* ---- old entries ---- */

static void gc_list(struct master *m, struct known_agent **list, const char *prefix)
{
    uint64_t now = env_wall_ns(core_env(m)), age = m->flags->registry_max_agent_age * 1000;
    struct known_agent *k, *tmp;
    struct store_op op = {0};

    /* In order of insertion, which is the order of age but for what recovery brought. */
    HASH_ITER (hh, *list, k, tmp) {
        bool old = now > k->since_ns && now - k->since_ns > age;
        if (!old && HASH_COUNT(*list) <= m->flags->registry_max_agent_count)
            continue;
        if (transition_find(m, k->id))
            continue;
        op.key = core_printf(m, "%s%s", prefix, k->id);
        m->env->io->store(m->env->ctx, &op, 1, on_written, m);
        while (k->tasks)
            task_forget_unreachable(m, k->tasks);
        known_remove(m, list, k);
    }
}

static void on_gc(void *arg)
{
    struct master *m = arg;

    core_enter(m);
    gc_list(m, &m->unreachable_agents, "unreachable/");
    gc_list(m, &m->gone_agents, "gone/");
    env_timer_set(core_env(m), m->core->gc_timer, m->flags->registry_gc_interval);
    core_leave(m);
}

void registry_gc_start(struct master *m)
{
    m->core->gc_timer = env_timer_new(core_env(m), on_gc, m);
    env_timer_set(core_env(m), m->core->gc_timer, m->flags->registry_gc_interval);
}
