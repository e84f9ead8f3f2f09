/* The master's core alone at full size: no sockets, no encoding, its allocator included. One run of AGENTS agents and a million
 * tasks of JOBS frameworks, from registration to the last acknowledgement, then a restart with RETURNING agents of 10 tasks each.
 * Messages are made beforehand, a batch at a time, and only the core's CPU time is counted.
 *   core.agent_bytes     heap bytes of a registered agent that is offered
 *   core.task_bytes      heap bytes of a task that runs and is acknowledged, with its resources, names and tables
 *   core.admit_us        CPU time of an agent's registration; core.offer_us of one offer made
 *   core.task_us         of a task: accepted, RUNNING told, acknowledged
 *   core.kill_us         of a task: KILL, KILLED told, acknowledged
 *   core.reconcile_ms    of RECONCILE of 100,000 tasks
 *   core.reregister_us   of an agent that comes back with 10 tasks; core.reregister_task_us a tenth of it
 * Arguments: AGENTS TASKS_EACH (50000 20).
 */
#define W_NO_CHECK
#include <malloc.h>
#include <time.h>

#include "common/base/log.h"
#include "tests/bench/core_world.h"

enum { JOBS = 1000, BATCH = 512, RETURNING = 40000, RETURNING_TASKS = 10, RECONCILED = 100000 };

static struct core_world w;
static unsigned n_agents = 50000, per_agent = 20;
static double total_us;

struct place { /* one offer, and the agent it was of */
    char offer[64], agent[64];
    void *peer;
    unsigned job;
};
static struct place *places;
static size_t n_places;
static char (*framework_ids)[64];

/* ---- what the core says ---- */

static void framework_send(void *ctx, void *stream, const Sched__Event *ev)
{
    unsigned job = (unsigned)(uintptr_t)stream - 1;

    if (ev->type == SCHED__EVENT__TYPE__SUBSCRIBED)
        fl_snprintf(framework_ids[job], 64, "%s", ev->subscribed->framework_id->value);
    if (ev->type != SCHED__EVENT__TYPE__OFFERS)
        return;
    for (size_t i = 0; i < ev->offers->n_offers && n_places < n_agents; i++) {
        struct place *p = &places[n_places++];
        fl_snprintf(p->offer, sizeof(p->offer), "%s", ev->offers->offers[i]->id->value);
        fl_snprintf(p->agent, sizeof(p->agent), "%s", ev->offers->offers[i]->agent_id->value);
        p->peer = master_agent(w.m, p->agent)->peer;
        p->job = job;
    }
}

static void agent_send(void *ctx, void *peer, const ProtobufCMessage *m)
{
}

/* ---- messages, in w.arena ---- */

#define NEW(Type, prefix) FL_ARENA_NEW(w.arena, Type, prefix)

#define ID(Type, prefix, text)                                                                     \
    ({                                                                                             \
        Type *_id = NEW(Type, prefix);                                                             \
        _id->value = fl_arena_strdup(w.arena, text);                                               \
        _id;                                                                                       \
    })

static V1__Resource *scalar(const char *name, double value)
{
    V1__Resource *r = NEW(V1__Resource, v1__resource);

    r->name = fl_arena_strdup(w.arena, name);
    r->type = V1__VALUE__TYPE__SCALAR;
    r->scalar = NEW(V1__Value__Scalar, v1__value__scalar);
    r->scalar->value = value;
    return r;
}

static V1__Resource *ports(void)
{
    V1__Resource *r = scalar("ports", 0);

    r->type = V1__VALUE__TYPE__RANGES;
    r->scalar = NULL;
    r->ranges = NEW(V1__Value__Ranges, v1__value__ranges);
    r->ranges->n_range = 1;
    r->ranges->range = fl_arena_alloc(w.arena, sizeof(*r->ranges->range));
    r->ranges->range[0] = NEW(V1__Value__Range, v1__value__range);
    r->ranges->range[0]->begin = 31000;
    r->ranges->range[0]->end = 32000;
    return r;
}

static V1__AgentInfo *agent_info(unsigned number, const char *id_or_null)
{
    static const char *const keys[] = {"rack", "zone", "class"};
    V1__AgentInfo *info = NEW(V1__AgentInfo, v1__agent_info);
    char host[64];

    fl_snprintf(host, sizeof(host), "node-%06u.cluster.example", number);
    info->hostname = fl_arena_strdup(w.arena, host);
    info->has_port = true;
    info->port = 5051;
    info->resources = fl_arena_alloc(w.arena, 4 * sizeof(*info->resources));
    info->resources[info->n_resources++] = scalar("cpus", 0.1 * per_agent);
    info->resources[info->n_resources++] = scalar("mem", 64.0 * per_agent);
    info->resources[info->n_resources++] = scalar("disk", 1048576);
    info->resources[info->n_resources++] = ports();
    info->attributes = fl_arena_alloc(w.arena, ARRAY_SIZE(keys) * sizeof(*info->attributes));
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        V1__Attribute *a = NEW(V1__Attribute, v1__attribute);
        a->name = fl_arena_strdup(w.arena, keys[i]);
        a->type = V1__VALUE__TYPE__TEXT;
        a->text = NEW(V1__Value__Text, v1__value__text);
        fl_snprintf(host, sizeof(host), "%s-%u", keys[i], i ? number % 3 : number / 40);
        a->text->value = fl_arena_strdup(w.arena, host);
        info->attributes[info->n_attributes++] = a;
    }
    if (id_or_null)
        info->id = ID(V1__AgentID, v1__agent_id, id_or_null);
    return info;
}

static size_t capabilities(V1__AgentInfo__Capability ***ret)
{
    static const V1__AgentInfo__Capability__Type types[] = {
        V1__AGENT_INFO__CAPABILITY__TYPE__MULTI_ROLE,
        V1__AGENT_INFO__CAPABILITY__TYPE__HIERARCHICAL_ROLE,
        V1__AGENT_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT,
        V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_DRAINING,
    };

    *ret = fl_arena_alloc(w.arena, sizeof(types) / sizeof(types[0]) * sizeof(**ret));
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        (*ret)[i] = NEW(V1__AgentInfo__Capability, v1__agent_info__capability);
        (*ret)[i]->has_type = true;
        (*ret)[i]->type = types[i];
    }
    return ARRAY_SIZE(types);
}

static void put_uuid(ProtobufCBinaryData *uuid, uint64_t number)
{
    uuid->len = FL_UUID_LEN;
    uuid->data = fl_arena_alloc(w.arena, FL_UUID_LEN);
    memset(uuid->data, 7, FL_UUID_LEN);
    memcpy(uuid->data, &number, sizeof(number));
}

static V1__FrameworkInfo *framework_info(unsigned job)
{
    V1__FrameworkInfo *info = NEW(V1__FrameworkInfo, v1__framework_info);
    char name[32];

    fl_snprintf(name, sizeof(name), "job-%u", job);
    info->user = fl_arena_strdup(w.arena, "nobody");
    info->name = fl_arena_strdup(w.arena, name);
    info->has_checkpoint = info->checkpoint = true;
    info->has_failover_timeout = true;
    info->failover_timeout = 1e6;
    if (framework_ids[job][0])
        info->id = ID(V1__FrameworkID, v1__framework_id, framework_ids[job]);
    return info;
}

static Sched__Call *call_of(unsigned job, Sched__Call__Type type)
{
    Sched__Call *c = NEW(Sched__Call, sched__call);

    c->has_type = true;
    c->type = type;
    c->framework_id = ID(V1__FrameworkID, v1__framework_id, framework_ids[job]);
    return c;
}

static char *task_id(size_t place, unsigned i)
{
    char id[64];

    fl_snprintf(id, sizeof(id), "job-%u-instance-%zu-%u", places[place].job, place, i);
    return fl_arena_strdup(w.arena, id);
}

static V1__TaskInfo *task_info(size_t place, unsigned i)
{
    V1__TaskInfo *t = NEW(V1__TaskInfo, v1__task_info);

    t->task_id = NEW(V1__TaskID, v1__task_id);
    t->task_id->value = task_id(place, i);
    t->name = t->task_id->value;
    t->agent_id = ID(V1__AgentID, v1__agent_id, places[place].agent);
    t->command = NEW(V1__CommandInfo, v1__command_info);
    t->command->value = fl_arena_strdup(w.arena, "exec ./run --verbose");
    t->resources = fl_arena_alloc(w.arena, 2 * sizeof(*t->resources));
    t->resources[t->n_resources++] = scalar("cpus", 0.1);
    t->resources[t->n_resources++] = scalar("mem", 64);
    return t;
}

static Sched__Call *accept_call(size_t place)
{
    Sched__Call *c = call_of(places[place].job, SCHED__CALL__TYPE__ACCEPT);
    V1__Offer__Operation *op = NEW(V1__Offer__Operation, v1__offer__operation);

    c->accept = NEW(Sched__Call__Accept, sched__call__accept);
    c->accept->offer_ids = fl_arena_alloc(w.arena, sizeof(*c->accept->offer_ids));
    c->accept->offer_ids[0] = ID(V1__OfferID, v1__offer_id, places[place].offer);
    c->accept->n_offer_ids = 1;
    c->accept->filters = NEW(V1__Filters, v1__filters);
    c->accept->filters->has_refuse_seconds = true;
    c->accept->filters->refuse_seconds = 1e6;
    c->accept->operations = fl_arena_alloc(w.arena, sizeof(*c->accept->operations));
    c->accept->operations[0] = op;
    c->accept->n_operations = 1;
    op->has_type = true;
    op->type = V1__OFFER__OPERATION__TYPE__LAUNCH;
    op->launch = NEW(V1__Offer__Operation__Launch, v1__offer__operation__launch);
    op->launch->task_infos = fl_arena_alloc(w.arena, per_agent * sizeof(V1__TaskInfo *));
    while (op->launch->n_task_infos < per_agent) {
        unsigned i = (unsigned)op->launch->n_task_infos++;
        op->launch->task_infos[i] = task_info(place, i);
    }
    return c;
}

static V1__TaskStatus *task_status(const char *id, V1__TaskState state)
{
    V1__TaskStatus *st = NEW(V1__TaskStatus, v1__task_status);

    st->task_id = ID(V1__TaskID, v1__task_id, id);
    st->state = state;
    st->has_source = true;
    st->source = V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
    return st;
}

static ProtobufCMessage *status_message(size_t place, unsigned i, V1__TaskState state)
{
    Msg__StatusUpdateMessage *msg = NEW(Msg__StatusUpdateMessage, msg__status_update_message);
    Msg__StatusUpdate *up = NEW(Msg__StatusUpdate, msg__status_update);

    msg->update = up;
    msg->pid = fl_arena_strdup(w.arena, "slave(1)@10.0.0.1:5051");
    up->framework_id = ID(V1__FrameworkID, v1__framework_id, framework_ids[places[place].job]);
    up->slave_id = ID(V1__AgentID, v1__agent_id, places[place].agent);
    up->status = task_status(task_id(place, i), state);
    up->timestamp = 1.7e9;
    up->has_uuid = true;
    put_uuid(&up->uuid, place * per_agent + i);
    return &msg->base;
}

static Sched__Call *ack_call(size_t place, unsigned i)
{
    Sched__Call *c = call_of(places[place].job, SCHED__CALL__TYPE__ACKNOWLEDGE);

    c->acknowledge = NEW(Sched__Call__Acknowledge, sched__call__acknowledge);
    c->acknowledge->agent_id = ID(V1__AgentID, v1__agent_id, places[place].agent);
    c->acknowledge->task_id = ID(V1__TaskID, v1__task_id, task_id(place, i));
    put_uuid(&c->acknowledge->uuid, place * per_agent + i);
    return c;
}

static Sched__Call *kill_call(size_t place, unsigned i)
{
    Sched__Call *c = call_of(places[place].job, SCHED__CALL__TYPE__KILL);

    c->kill = NEW(Sched__Call__Kill, sched__call__kill);
    c->kill->task_id = ID(V1__TaskID, v1__task_id, task_id(place, i));
    return c;
}

/* ---- measuring ---- */

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double heap(void)
{
    struct mallinfo2 m = mallinfo2();

    return (double)m.uordblks + (double)m.hblkhd;
}

static void run_agent_message(unsigned i, const ProtobufCMessage *msg)
{
    char address[32];
    double start;

    fl_snprintf(address, sizeof(address), "10.%u.%u.%u:40000", i >> 16, i >> 8 & 255, i & 255);
    start = cpu_us();
    master_agent_message(w.m, (void *)((uintptr_t)i + 1), address, msg);
    cw_commit(&w);
    total_us += cpu_us() - start;
}

static void pass(uint64_t us)
{
    double start = cpu_us();

    cw_pass(&w, us);
    total_us += cpu_us() - start;
}

static double lap(void)
{
    double us = total_us;

    total_us = 0;
    return us;
}

/* ---- the cluster ---- */

static void begin(void)
{
    static const char *const args[] = {"--max_completed_tasks_per_framework=10",
                                       "--allocation_interval=1000secs", NULL};

    cw_init(&w, args, agent_send, framework_send);
    n_places = 0;
    lap();
}

static void register_agents(void)
{
    double before = heap();

    for (unsigned i = 0; i < n_agents; i++) {
        Msg__RegisterSlaveMessage m = MSG__REGISTER_SLAVE_MESSAGE__INIT;

        fl_arena_reset(w.arena);
        m.slave = agent_info(i, NULL);
        m.version = fl_arena_strdup(w.arena, "1.11.0");
        m.n_agent_capabilities = capabilities(&m.agent_capabilities);
        run_agent_message(i, &m.base);
    }
    pass(1000);
    printf("core.admit_us %.2f us\n", lap() / n_agents);
    printf("core.agent_bytes %.0f bytes\n", (heap() - before) / n_agents);
}

static void subscribe(void)
{
    for (unsigned job = 0; job < JOBS; job++) {
        Sched__Call *c;

        fl_arena_reset(w.arena);
        c = NEW(Sched__Call, sched__call);
        c->has_type = true;
        c->type = SCHED__CALL__TYPE__SUBSCRIBE;
        c->subscribe = NEW(Sched__Call__Subscribe, sched__call__subscribe);
        c->subscribe->framework_info = framework_info(job);
        master_subscribe(w.m, (void *)((uintptr_t)job + 1), "s", c, NULL);
    }
    lap();
    pass(1000000);
    printf("core.offer_us %.2f us\n", lap() / n_agents);
    if (n_places != n_agents)
        cw_fail("%zu offers for %u agents", n_places, n_agents);
}

static void timed_calls(Sched__Call **calls, size_t n)
{
    double start = cpu_us();

    for (size_t i = 0; i < n; i++) {
        struct fl_err err = {0};
        if (master_call(w.m, calls[i], "s", NULL, &err) != 202)
            cw_fail("a call was refused: %s", err.msg);
    }
    total_us += cpu_us() - start;
}

static void timed_messages(void *const *peers, ProtobufCMessage *const *msgs, size_t n)
{
    double start = cpu_us();

    for (size_t i = 0; i < n; i++)
        master_agent_message(w.m, peers[i], "", msgs[i]);
    total_us += cpu_us() - start;
}

static void launch_all(void)
{
    Sched__Call *calls[BATCH];

    for (size_t at = 0; at < n_places; at += BATCH) {
        size_t n = FL_MIN((size_t)BATCH, n_places - at);
        fl_arena_reset(w.arena);
        for (size_t i = 0; i < n; i++)
            calls[i] = accept_call(at + i);
        timed_calls(calls, n);
        pass(1000);
    }
}

/* Tells the state of every task, after a KILL if that is asked, and acknowledges it. */
static void update_all(V1__TaskState state, bool kill)
{
    size_t tasks = n_places * per_agent;
    Sched__Call *kills[BATCH], *acks[BATCH];
    ProtobufCMessage *msgs[BATCH];
    void *peers[BATCH];

    for (size_t at = 0; at < tasks; at += BATCH) {
        size_t n = FL_MIN((size_t)BATCH, tasks - at);
        fl_arena_reset(w.arena);
        for (size_t i = 0; i < n; i++) {
            size_t place = (at + i) / per_agent;
            unsigned k = (unsigned)((at + i) % per_agent);
            kills[i] = kill ? kill_call(place, k) : NULL;
            msgs[i] = status_message(place, k, state);
            acks[i] = ack_call(place, k);
            peers[i] = places[place].peer;
        }
        if (kill)
            timed_calls(kills, n);
        timed_messages(peers, msgs, n);
        timed_calls(acks, n);
        if (at % (64 * BATCH) == 0)
            pass(1000);
    }
    pass(1000);
}

static void reconcile(void)
{
    unsigned done = 0;

    for (unsigned job = 0; job < JOBS && done < RECONCILED; job++) {
        struct framework *f = master_framework(w.m, framework_ids[job]);
        Sched__Call *c;

        fl_arena_reset(w.arena);
        c = call_of(job, SCHED__CALL__TYPE__RECONCILE);
        c->reconcile = NEW(Sched__Call__Reconcile, sched__call__reconcile);
        done += HASH_COUNT(f->tasks);
        timed_calls(&c, 1);
    }
    printf("core.reconcile_ms %.1f ms\n", lap() * RECONCILED / done / 1000.0);
}

static void expect_running(unsigned n)
{
    if (master_task_count(w.m, V1__TASK_STATE__TASK_RUNNING) != n)
        cw_fail("%u of %u tasks run", master_task_count(w.m, V1__TASK_STATE__TASK_RUNNING), n);
}

static void run_tasks(void)
{
    double before = heap(), tasks = (double)n_agents * per_agent;

    launch_all();
    printf("core.launch_us %.3f us\n", total_us / tasks);
    update_all(V1__TASK_STATE__TASK_RUNNING, false);
    expect_running(n_agents * per_agent);
    printf("core.task_us %.3f us\n", lap() / tasks);
    printf("core.task_bytes %.0f bytes\n", (heap() - before) / tasks);
    reconcile();
    update_all(V1__TASK_STATE__TASK_KILLED, true);
    expect_running(0);
    printf("core.kill_us %.3f us\n", lap() / tasks);
    printf("core.left_bytes %.0f bytes\n", (heap() - before) / tasks);
}

/* ---- a restart ---- */

static V1__Task *known_task(size_t place, unsigned i)
{
    V1__Task *t = NEW(V1__Task, v1__task);
    const V1__TaskInfo *info = task_info(place, i);

    t->name = info->name;
    t->task_id = info->task_id;
    t->agent_id = info->agent_id;
    t->framework_id = ID(V1__FrameworkID, v1__framework_id, framework_ids[places[place].job]);
    t->state = V1__TASK_STATE__TASK_RUNNING;
    t->resources = info->resources;
    t->n_resources = info->n_resources;
    for (size_t k = 0; k < t->n_resources; k++) {
        t->resources[k]->allocation_info =
            NEW(V1__Resource__AllocationInfo, v1__resource__allocation_info);
        t->resources[k]->allocation_info->role = fl_arena_strdup(w.arena, "*");
    }
    t->statuses = fl_arena_alloc(w.arena, sizeof(*t->statuses));
    t->statuses[0] = task_status(info->task_id->value, t->state);
    t->n_statuses = 1;
    return t;
}

static void come_back(size_t i)
{
    Msg__ReregisterSlaveMessage m = MSG__REREGISTER_SLAVE_MESSAGE__INIT;
    V1__FrameworkInfo *framework;

    fl_arena_reset(w.arena);
    places[i].job = (unsigned)(i % JOBS);
    m.slave = agent_info((unsigned)i, places[i].agent);
    m.version = fl_arena_strdup(w.arena, "1.11.0");
    m.n_agent_capabilities = capabilities(&m.agent_capabilities);
    framework = framework_info(places[i].job);
    m.frameworks = &framework;
    m.n_frameworks = 1;
    m.tasks = fl_arena_alloc(w.arena, RETURNING_TASKS * sizeof(*m.tasks));
    while (m.n_tasks < RETURNING_TASKS) {
        m.tasks[m.n_tasks] = known_task(i, (unsigned)m.n_tasks);
        m.n_tasks++;
    }
    run_agent_message((unsigned)i, &m.base);
}

static void recover(size_t i)
{
    Reg__Registry__Slave record = REG__REGISTRY__SLAVE__INIT;
    _cleanup_buf_ struct fl_buf packed = FL_BUF_INIT;
    _cleanup_free_ char *key = NULL;

    fl_arena_reset(w.arena);
    fl_snprintf(places[i].agent, 64, "0a7c4f10-4be5-4f29-9c1f-0123456789ab-S%zu", i);
    key = xasprintf("agent/%s", places[i].agent);
    record.info = agent_info((unsigned)i, places[i].agent);
    fl_buf_pack(&packed, &record.base);
    if (master_recover_record(w.m, key, packed.data, packed.len, NULL) < 0)
        cw_fail("a record was refused");
}

static void restart(void)
{
    double before = heap();

    cw_new_master(&w, false);
    for (size_t i = 0; i < RETURNING; i++)
        recover(i);
    printf("core.recovered_bytes %.0f bytes\n", (heap() - before) / RETURNING);
    master_recovered(w.m);
    lap();
    for (size_t i = 0; i < RETURNING; i++) {
        come_back(i);
        if (i % 64 == 0)
            pass(1000);
    }
    pass(1000);
    expect_running(RETURNING * RETURNING_TASKS);
    printf("core.reregister_us %.2f us\n", total_us / RETURNING);
    printf("core.reregister_task_us %.2f us\n", lap() / RETURNING / RETURNING_TASKS);
    printf("core.returned_bytes %.0f bytes\n", (heap() - before) / RETURNING);
}

int main(int argc, char **argv)
{
    int64_t v;

    if (argc > 1 && fl_parse_i64(argv[1], &v) == 0)
        n_agents = (unsigned)v;
    if (argc > 2 && fl_parse_i64(argv[2], &v) == 0)
        per_agent = (unsigned)v;
    fl_log_set_level(FL_LOG_ERROR);
    places = xcalloc(FL_MAX(n_agents, (unsigned)RETURNING), sizeof(*places));
    framework_ids = xcalloc(JOBS, sizeof(*framework_ids));
    begin();
    register_agents();
    subscribe();
    run_tasks();
    cw_free_master(&w);
    restart();
    cw_done(&w);
    free(places);
    free(framework_ids);
    return 0;
}
