/* The connection to the leading master: the detector says where it is, this keeps one wire channel to it. A broken channel is
 * tried again soon (0.1 s, doubling to 2 s), because a restarted master has no other way to learn of its agents. */
#include "agent/shell.h"
#include "common/base/log.h"

#define RETRY_FIRST_US 100000ull
#define RETRY_MAX_US   2000000ull

struct agent_link {
    struct agent_shell *shell;
    struct detector *detector;
    struct wire_channel *channel;
    bool open;
    char *host; /* owned: the leader's; NULL: none known */
    uint16_t port;
    struct fl_timer *retry;
    uint64_t retry_us;
};

static void connect_now(void *arg);

static void drop_channel(struct agent_link *l)
{
    bool was_open = l->open;

    l->open = false;
    if (l->channel)
        wire_channel_free(TAKE_PTR(l->channel));
    if (was_open)
        agent_master_down(l->shell->core);
}

static void try_again(struct agent_link *l)
{
    drop_channel(l);
    detector_failed(l->detector);
    /* The detector may have named another master, and be connected, by now. */
    if (l->channel || !l->host)
        return;
    fl_timer_set(l->retry, l->retry_us);
    l->retry_us = FL_MIN(l->retry_us * 2, RETRY_MAX_US);
}

static void on_open(struct wire_channel *c, void *arg)
{
    struct agent_link *l = arg;

    l->open = true;
    l->retry_us = RETRY_FIRST_US;
    agent_master_up(l->shell->core, wire_peer(c));
}

static void on_message(struct wire_channel *c, const struct wire_message *m, void *arg)
{
    struct agent_link *l = arg;

    /* An open connection alone may be to a master that hears nobody. */
    if (m->msg->descriptor == &msg__slave_registered_message__descriptor ||
        m->msg->descriptor == &msg__slave_reregistered_message__descriptor)
        detector_worked(l->detector);
    agent_master_message(l->shell->core, m->msg);
}

static void on_closed(struct wire_channel *c, const struct fl_err *why, void *arg)
{
    struct agent_link *l = arg;

    log_info("No connection to the master at %s:%u: %s", l->host ? l->host : "?", l->port,
             why ? why->msg : "closed");
    try_again(l);
}

static const struct wire_ops ops = {
    .on_message = on_message, .on_closed = on_closed, .on_open = on_open};

static void connect_now(void *arg)
{
    struct agent_link *l = arg;
    const struct agent_flags *flags = l->shell->flags;
    struct wire_limits limits = wire_limits_default;
    struct fl_err err;

    if (l->channel || !l->host)
        return;
    limits.max_frame = flags->wire_max_frame;
    limits.max_unsent = flags->wire_max_unsent;
    if (wire_connect(l->shell->loop, l->host, l->port, NULL, l->shell->tls_client,
                     "fairlead-agent/" FL_VERSION, l->shell->credential.header, &limits, &ops, l,
                     &l->channel, &err) < 0) {
        log_warning("Cannot connect to the master at %s:%u: %s", l->host, l->port, err.msg);
        try_again(l);
    }
}

static void on_leader(const struct detected_master *leader, void *arg)
{
    struct agent_link *l = arg;
    bool same = leader && l->host && streq(l->host, leader->host) && l->port == leader->port;

    if (same && l->open)
        return;
    drop_channel(l);
    free(l->host);
    l->host = leader ? xstrdup(leader->host) : NULL;
    l->port = leader ? leader->port : 0;
    fl_timer_stop(l->retry);
    if (!leader) {
        log_info("No leading master is known");
        return;
    }
    log_info("The leading master is at %s:%u", l->host, l->port);
    connect_now(l);
}

struct agent_link *agent_link_new(struct agent_shell *s)
{
    struct agent_link *l = xnew0(struct agent_link);

    l->shell = s;
    l->retry_us = RETRY_FIRST_US;
    l->retry = fl_timer_new(s->loop, connect_now, l);
    return l;
}

int agent_link_start(struct agent_link *l, struct fl_err *err)
{
    return detector_new(l->shell->loop, l->shell->flags->master, on_leader, l, &l->detector, err);
}

bool agent_link_send(struct agent_link *l, const ProtobufCMessage *m)
{
    return l->open && wire_send(l->channel, m);
}

void agent_link_reset(struct agent_link *l, enum agent_link_reset how)
{
    l->open = false; /* the core knows */
    if (how == AGENT_LINK_STOP)
        drop_channel(l);
    else
        try_again(l);
}

void agent_link_free(struct agent_link *l)
{
    if (!l)
        return;
    if (l->detector)
        detector_free(l->detector);
    if (l->channel)
        wire_channel_free(l->channel);
    fl_timer_free(l->retry);
    free(l->host);
    free(l);
}
