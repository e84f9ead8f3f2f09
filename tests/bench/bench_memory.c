/* What the master keeps: memory for an agent that is connected, and for a task that runs, of a real master with its sockets, I/O threads
 * and registry. The agents are channels of this process: they register, answer pings, and say of every task they are sent that it runs.
 *   agent.bytes        resident memory of the master a connected, admitted agent; the kernel's socket buffers are not in it
 *   task.bytes         the same a running and acknowledged task
 *   admit.agents_s     agents registered a second, with the CPU time of the master each: admit.master_us
 *   running.tasks_s    tasks a second from the scheduler's ACCEPT to the acknowledged TASK_RUNNING, and running.master_us
 * Buffers that the master grows once and keeps are in both: more agents would give smaller figures.
 */
#include "tests/bench/cluster.c"

#include "common/wire/wire.h"
#include "libframework/fairlead/scheduler.h"
#include "proto/internal.pb-c.h"

enum { AGENTS = 2000, PER_AGENT = 10, TASKS = AGENTS * PER_AGENT, TIMEOUT_S = 60, IN_FLIGHT = 200 };

struct fake {
    struct wire_channel *channel;
    char id[80];
    unsigned number;
};

static struct {
    struct bench_daemon master;
    struct fl_loop *loop;
    struct fake *agents;
    unsigned connecting, connected, registered, offers, launched, running, acked;
    bool launching;
    fw_scheduler *s;
    fw_offer **kept; /* one an agent, until its tasks are launched */
    uint64_t next_uuid;
} b;

/* ---- an agent ---- */

static V1__Resource *scalar(struct fl_arena *arena, const char *name, double value)
{
    V1__Resource *r = fl_arena_alloc(arena, sizeof(*r));
    V1__Value__Scalar *s = fl_arena_alloc(arena, sizeof(*s));

    v1__resource__init(r);
    v1__value__scalar__init(s);
    s->value = value;
    r->name = (char *)(uintptr_t)name;
    r->type = V1__VALUE__TYPE__SCALAR;
    r->scalar = s;
    return r;
}

static V1__Resource *ports(struct fl_arena *arena)
{
    V1__Resource *r = scalar(arena, "ports", 0);
    V1__Value__Ranges *list = fl_arena_alloc(arena, sizeof(*list));
    V1__Value__Range *one = fl_arena_alloc(arena, sizeof(*one));

    v1__value__ranges__init(list);
    v1__value__range__init(one);
    one->begin = 31000;
    one->end = 32000;
    list->n_range = 1;
    list->range = fl_arena_alloc(arena, sizeof(*list->range));
    list->range[0] = one;
    r->type = V1__VALUE__TYPE__RANGES;
    r->scalar = NULL;
    r->ranges = list;
    return r;
}

static void send_register(struct fake *a)
{
    static const V1__AgentInfo__Capability__Type types[] = {
        V1__AGENT_INFO__CAPABILITY__TYPE__MULTI_ROLE,
        V1__AGENT_INFO__CAPABILITY__TYPE__HIERARCHICAL_ROLE,
        V1__AGENT_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT,
        V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_DRAINING,
    };
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    Msg__RegisterSlaveMessage m = MSG__REGISTER_SLAVE_MESSAGE__INIT;
    V1__AgentInfo info = V1__AGENT_INFO__INIT;
    V1__Resource *res[] = {scalar(arena, "cpus", 16), scalar(arena, "mem", 65536),
                           scalar(arena, "disk", 1048576), ports(arena)};
    V1__AgentInfo__Capability caps[ARRAY_SIZE(types)], *list[ARRAY_SIZE(types)];
    char host[32];

    fl_snprintf(host, sizeof(host), "node-%u.example", a->number);
    info.hostname = host;
    info.n_resources = ARRAY_SIZE(res);
    info.resources = res;
    info.has_port = true;
    info.port =
        (int32_t)(1024 + a->number); /* all come from one address: the port tells them apart */
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        v1__agent_info__capability__init(&caps[i]);
        caps[i].has_type = true;
        caps[i].type = types[i];
        list[i] = &caps[i];
    }
    m.slave = &info;
    m.version = (char *)(uintptr_t)FL_VERSION;
    m.n_agent_capabilities = ARRAY_SIZE(types);
    m.agent_capabilities = list;
    wire_send(a->channel, &m.base);
}

static void send_running(struct fake *a, const Msg__RunTaskMessage *run)
{
    Msg__StatusUpdateMessage m = MSG__STATUS_UPDATE_MESSAGE__INIT;
    Msg__StatusUpdate up = MSG__STATUS_UPDATE__INIT;
    V1__TaskStatus st = V1__TASK_STATUS__INIT;
    V1__AgentID id = V1__AGENT_ID__INIT;
    uint8_t uuid[16] = {0};

    b.next_uuid++;
    memcpy(uuid, &b.next_uuid, sizeof(b.next_uuid));
    id.value = a->id;
    st.task_id = run->task->task_id;
    st.state = V1__TASK_STATE__TASK_RUNNING;
    st.has_source = true;
    st.source = V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
    st.has_uuid = up.has_uuid = true;
    st.uuid = up.uuid = (ProtobufCBinaryData){sizeof(uuid), uuid};
    up.framework_id = run->framework->id;
    up.slave_id = &id;
    up.status = &st;
    up.timestamp = 1.7e9;
    m.update = &up;
    wire_send(a->channel, &m.base);
}

static void connect_next(void);

static void on_message(struct wire_channel *c, const struct wire_message *m, void *arg)
{
    struct fake *a = arg;
    Msg__PongSlaveMessage pong = MSG__PONG_SLAVE_MESSAGE__INIT;

    switch (m->type) {
    case WIRE_AGENT_REGISTERED:
        fl_snprintf(a->id, sizeof(a->id), "%s",
                    ((const Msg__SlaveRegisteredMessage *)m->msg)->slave_id->value);
        b.registered++;
        connect_next();
        break;
    case WIRE_PING_AGENT:
        wire_send(c, &pong.base);
        break;
    case WIRE_RUN_TASK:
        send_running(a, (const Msg__RunTaskMessage *)m->msg);
        break;
    case WIRE_STATUS_UPDATE_ACK:
        b.acked++;
        break;
    default:
        break;
    }
}

static void on_open(struct wire_channel *c, void *arg)
{
    send_register(arg);
}

static void on_closed(struct wire_channel *c, const struct fl_err *why, void *arg)
{
    bench_fail("the master closed a channel: %s", why ? why->msg : "no reason");
}

static const struct wire_ops ops = {
    .on_message = on_message, .on_closed = on_closed, .on_open = on_open};

static void connect_next(void)
{
    struct fl_err err;

    if (b.connecting == AGENTS)
        return;
    struct fake *a = &b.agents[b.connecting];
    a->number = b.connecting++;
    if (wire_connect(b.loop, "127.0.0.1", b.master.port, NULL, NULL, "fairlead-agent/bench", NULL,
                     NULL, &ops, a, &a->channel, &err) < 0)
        bench_fail("%s", err.msg);
}

/* ---- the scheduler ---- */

static void on_offers(fw_scheduler *s, fw_offer **offers, size_t n, void *arg)
{
    for (size_t i = 0; i < n; i++) {
        const char *id = fw_offer_id(offers[i]);
        if (b.offers == AGENTS || b.launching) {
            fw_decline(s, &id, 1, 3600);
            continue;
        }
        b.kept[b.offers++] = fw_offer_dup(offers[i]);
    }
}

static void launch_on(unsigned i)
{
    fw_offer *o = b.kept[i];
    fw_task *tasks[PER_AGENT];

    for (unsigned k = 0; k < PER_AGENT; k++) {
        char id[32];
        fl_snprintf(id, sizeof(id), "task-%u-%u", i, k);
        tasks[k] = fw_task_new(id, "bench");
        if (!tasks[k] || fw_task_set_shell(tasks[k], "exec ./run --verbose") < 0 ||
            fw_task_set_scalar(tasks[k], "cpus", 0.5) < 0 ||
            fw_task_set_scalar(tasks[k], "mem", 128) < 0)
            bench_fail("no memory for a task");
    }
    fw_launch(b.s, o, tasks, PER_AGENT, 3600);
    b.launched += PER_AGENT;
    for (unsigned k = 0; k < PER_AGENT; k++)
        fw_task_free(tasks[k]);
    fw_offer_free(o);
}

static void on_update(fw_scheduler *s, const fw_status *status, void *arg)
{
    if (fw_status_state(status) != FW_TASK_RUNNING)
        bench_fail("task %s is %s: %s", fw_status_task_id(status),
                   fw_task_state_name(fw_status_state(status)), fw_status_message(status));
    b.running++;
}

static void on_error(fw_scheduler *s, const char *message, void *arg)
{
    bench_fail("the master says: %s", message);
}

static void on_readable(int fd, bool readable, bool writable, void *arg)
{
    if (fw_scheduler_dispatch(b.s) < 0)
        bench_fail("the scheduler ended: %s", fw_scheduler_last_error(b.s));
}

/* ---- measuring ---- */

static void wait_for(const unsigned *count, unsigned n, const char *what)
{
    double end = bench_seconds() + TIMEOUT_S;

    while (*count < n) {
        if (bench_seconds() > end)
            bench_fail("%u of %u %s after %d s", *count, n, what, TIMEOUT_S);
        fl_loop_run_once(b.loop);
    }
}

static void admit(void)
{
    double rss = bench_rss_bytes(b.master.pid), cpu = bench_cpu_us(b.master.pid),
           start = bench_seconds();

    for (unsigned i = 0; i < IN_FLIGHT; i++)
        connect_next();
    wait_for(&b.registered, AGENTS, "agents registered");
    printf("admit.agents_s %.0f /s\n", AGENTS / (bench_seconds() - start));
    printf("admit.master_us %.1f us\n", (bench_cpu_us(b.master.pid) - cpu) / AGENTS);
    printf("agent.bytes %.0f bytes\n", (bench_rss_bytes(b.master.pid) - rss) / AGENTS);
}

static void run_tasks(void)
{
    double rss = bench_rss_bytes(b.master.pid), cpu = bench_cpu_us(b.master.pid),
           start = bench_seconds();

    b.launching = true;
    for (unsigned i = 0; i < AGENTS; i++) {
        launch_on(i);
        if (i % IN_FLIGHT == IN_FLIGHT - 1)
            wait_for(&b.running, b.launched - IN_FLIGHT, "tasks running");
    }
    wait_for(&b.acked, TASKS, "tasks acknowledged");
    printf("running.tasks_s %.0f /s\n", TASKS / (bench_seconds() - start));
    printf("running.master_us %.1f us\n", (bench_cpu_us(b.master.pid) - cpu) / TASKS);
    printf("task.bytes %.0f bytes\n", (bench_rss_bytes(b.master.pid) - rss) / TASKS);
}

int main(void)
{
    const struct fw_scheduler_callbacks cb = {
        .size = sizeof(cb), .on_offers = on_offers, .on_update = on_update, .on_error = on_error};
    fw_info *info = fw_info_new("bench", NULL);
    struct fl_watch *watch;
    struct fl_err err;

    bench_open("bench_memory");
    if (fl_loop_new(&b.loop, &err) < 0)
        bench_fail("%s", err.msg);
    b.agents = xcalloc(AGENTS, sizeof(*b.agents));
    b.kept = xcalloc(AGENTS, sizeof(*b.kept));
    bench_master(&b.master);
    admit();
    if (!info || fw_scheduler_new(b.master.address, info, &cb, NULL, &b.s) < 0 ||
        fl_watch_new(b.loop, fw_scheduler_fd(b.s), true, false, on_readable, NULL, &watch, &err) <
            0)
        bench_fail("no scheduler");
    wait_for(&b.offers, AGENTS, "offers");
    run_tasks();
    fl_watch_free(watch);
    fw_scheduler_free(b.s);
    fw_info_free(info);
    bench_close();
    return 0;
}
