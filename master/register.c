/* Registration of new agents: checks, the registry, then the agent hears its id (features.md 3.5). */
#include "master/core.h"

#include <inttypes.h>

/* Semantic version of 1.0.0 or later. */
static bool version_fine(const char *version)
{
    const char *dot = version ? strchr(version, '.') : NULL;
    _cleanup_free_ char *major = NULL;
    uint64_t n;

    if (!dot)
        return false;
    major = xstrndup(version, (size_t)(dot - version));
    return fl_parse_u64(major, &n) == 0 && n >= 1;
}

int agents_check(struct master *m, const V1__AgentInfo *info, const char *version,
                 struct fl_err *err)
{
    _cleanup_resources_ struct resources total = RESOURCES_INIT;
    int r;

    if (!version_fine(version))
        return fl_err_set(err, FL_INVALID, "its version '%s' is not 1.0.0 or later",
                          version ? version : "");
    if (info->domain && !m->info->domain)
        return fl_err_set(err, FL_INVALID,
                          "it has a fault domain, but the master has none: set --domain");
    if (m->flags->require_agent_domain && !info->domain)
        return fl_err_set(err, FL_INVALID,
                          "it has no fault domain, which --require_agent_domain asks for");
    r = resources_from_pb(info->resources, info->n_resources, &total, err);
    return r < 0 ? fl_err_wrap(err, "its resources are not valid") : 0;
}

Msg__MasterSlaveConnection *agents_connection_pb(struct master *m)
{
    Msg__MasterSlaveConnection *c = core_new(m, Msg__MasterSlaveConnection);

    msg__master_slave_connection__init(c);
    c->has_total_ping_timeout_seconds = true;
    c->total_ping_timeout_seconds = (double)m->flags->agent_ping_timeout *
                                    (double)m->flags->max_agent_ping_timeouts / (double)US_PER_S;
    return c;
}

static void send_registered(struct master *m, struct agent *a)
{
    Msg__SlaveRegisteredMessage msg = MSG__SLAVE_REGISTERED_MESSAGE__INIT;

    msg.slave_id = a->info->id;
    msg.connection = agents_connection_pb(m);
    agents_send(m, a, &msg.base);
}

/* An agent without an id at the address of a registered one is that one begun anew. */
static void replace_same_address(struct master *m, const char *pid)
{
    struct agent *old;

    HASH_FIND(hh_pid, m->agents_by_pid, pid, strlen(pid), old);
    if (old)
        agents_unregister(m, old, "a new agent registered at the same address",
                          m->core->c.slave_removals_registered);
}

void agents_register(struct master *m, struct link *l, const Msg__RegisterSlaveMessage *msg)
{
    _cleanup_free_ char *pid = agents_pid_of(l->address, msg->slave);
    struct transition *tr;
    V1__AgentInfo info = *msg->slave;
    V1__AgentID id = V1__AGENT_ID__INIT;
    Msg__RegisterSlaveMessage with_id = *msg;
    struct fl_err err;

    metric_inc(m->core->c.messages_register_slave);
    if (l->registering)
        return;
    if (l->agent) {
        send_registered(m, l->agent);
        return;
    }
    if (maintenance_down(m, msg->slave->hostname, l->address)) {
        log_warning(
            "refusing the registration of agent %s (%s): its machine is down for maintenance", pid,
            msg->slave->hostname);
        agents_shutdown(m, l->peer, "Machine is `DOWN`");
        return;
    }
    if (agents_check(m, msg->slave, msg->version, &err) < 0) {
        log_warning("refusing the registration of agent %s (%s): %s", pid, msg->slave->hostname,
                    err.msg);
        return;
    }
    if (HASH_COUNT(m->agents) >= m->flags->max_agents) {
        log_warning("refusing the registration of agent %s: there are --max_agents=%" PRIu64
                    " already",
                    pid, m->flags->max_agents);
        return;
    }
    replace_same_address(m, pid);
    id.value = core_printf(m, "%s-S%" PRIu64, m->id, m->next_agent++);
    info.id = &id;
    with_id.slave = &info;
    tr = transition_new(m, TRANSITION_ADMIT, id.value);
    tr->peer = l->peer;
    transition_keep(tr, &with_id.base);
    tr->why = xstrdup(pid);
    l->registering = true;
    log_info("admitting agent %s (%s) as %s", pid, info.hostname, id.value);
    transition_start(tr, &info, NULL, false);
}

void agents_registered(struct master *m, struct transition *tr)
{
    const Msg__RegisterSlaveMessage *msg = (const Msg__RegisterSlaveMessage *)tr->msg;
    struct link *l = tr->peer ? link_find(m, tr->peer) : NULL;
    struct agent *a = agents_new(m, msg->slave, tr->why);

    if (l)
        l->registering = false;
    agents_set_version(a, msg->version, msg->agent_capabilities, msg->n_agent_capabilities,
                       msg->resource_version_uuid);
    agents_set_checkpointed(a, msg->checkpointed_resources, msg->n_checkpointed_resources);
    agents_put_total(a);
    a->registered_time = env_wall_s(core_env(m));
    metric_inc(m->core->c.slave_registrations);
    agents_admit(m, a, l);
    send_registered(m, a);
    agents_start_pings(m, a); /* it travels with the answer */
    log_info("registered agent %s at %s (%s)", a->id, a->pid, a->info->hostname);
    maintenance_enforce(m, a);
}
