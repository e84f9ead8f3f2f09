/* Agents that are to become unreachable: one after another under --agent_removal_rate_limit, so that
 * a broken network does not empty the cluster at once; and the agents of the registry that do not
 * come back after a restart of the master. */
#include "master/core.h"

#include <inttypes.h>

#include "common/base/flags.h"

struct removal {
    char id[64];
    char *why; /* owned */
    struct removal *next;
};

static int read_rate(struct master *m, struct fl_err *err)
{
    const char *text = m->flags->agent_removal_rate_limit, *slash;
    _cleanup_free_ char *number = NULL;
    uint64_t n, period;

    if (!text)
        return 0;
    slash = strchr(text, '/');
    number = slash ? xstrndup(text, (size_t)(slash - text)) : NULL;
    if (!number || fl_parse_u64(number, &n) < 0 || n == 0 ||
        fl_duration_parse(slash + 1, &period, NULL) < 0)
        return fl_err_set(err, FL_INVALID,
                          "flag '--agent_removal_rate_limit=%s' is no rate; write NUMBER/DURATION, "
                          "such as 1/10mins",
                          text);
    m->core->removal_period_us = period / n;
    return 0;
}

static int read_limit(struct master *m, struct fl_err *err)
{
    const char *text = m->flags->recovery_agent_removal_limit;
    _cleanup_free_ char *number = NULL;
    double percent = 100;

    if (text && str_ends(text, "%"))
        number = xstrndup(text, strlen(text) - 1);
    if (text &&
        (!number || fl_parse_f64(number, &percent) < 0 || !(percent >= 0 && percent <= 100)))
        return fl_err_set(err, FL_INVALID,
                          "flag '--recovery_agent_removal_limit=%s' is no share; write a "
                          "percentage, such as 50%%",
                          text);
    m->core->recovery_limit = percent / 100;
    return 0;
}

int removals_init(struct master *m, struct fl_err *err)
{
    int r = read_rate(m, err);

    return r < 0 ? r : read_limit(m, err);
}

static void removal_free(struct removal *r)
{
    free(r->why);
    free(r);
}

void removals_free(struct master *m)
{
    while (m->core->removals) {
        struct removal *r = m->core->removals;
        LL_DELETE(m->core->removals, r);
        removal_free(r);
    }
    env_timer_free(core_env(m), m->core->removal_timer);
}

static void remove_recovered(struct master *m, const char *id, const char *why)
{
    struct known_agent *k = known_find(m->recovered_agents, id);
    struct transition *tr;

    if (!k || transition_find(m, id))
        return;
    tr = transition_new(m, TRANSITION_UNREACHABLE, id);
    tr->why = xstrdup(why);
    tr->reason = m->core->c.recovery_slave_removals;
    transition_start(tr, k->info, k->drain_info, k->deactivated);
}

static void remove_now(struct master *m, const char *id, const char *why)
{
    struct agent *a = master_agent(m, id);

    if (a && a->removal_queued) {
        a->removal_queued = false;
        metric_inc(m->core->c.slave_unreachable_completed);
        metric_inc(m->core->c.slave_shutdowns_completed);
        agents_mark_unreachable(m, a, why);
    } else if (!a) {
        remove_recovered(m, id, why);
    }
}

static void arm(struct master *m)
{
    struct core *c = m->core;
    uint64_t now = core_now(m);

    env_timer_set(core_env(m), c->removal_timer,
                  c->removal_next_us > now ? c->removal_next_us - now : 0);
}

static void on_permit(void *arg)
{
    struct master *m = arg;
    struct core *c = m->core;
    struct removal *r = c->removals;

    if (!r)
        return;
    core_enter(m);
    LL_DELETE(c->removals, r);
    c->removal_next_us = core_now(m) + c->removal_period_us;
    remove_now(m, r->id, r->why);
    removal_free(r);
    if (c->removals)
        arm(m);
    core_leave(m);
}

void removal_queue(struct master *m, const char *agent_id, const char *why)
{
    struct core *c = m->core;
    struct agent *a = master_agent(m, agent_id);
    struct removal *r;

    if (a) {
        if (a->removal_queued || a->removing)
            return;
        a->removal_queued = true;
        metric_inc(c->c.slave_unreachable_scheduled);
        metric_inc(c->c.slave_shutdowns_scheduled);
    }
    if (c->removal_period_us == 0) {
        remove_now(m, agent_id, why);
        return;
    }
    r = xnew0(struct removal);
    fl_snprintf(r->id, sizeof(r->id), "%s", agent_id);
    r->why = xstrdup(why);
    LL_APPEND(c->removals, r);
    if (!c->removal_timer)
        c->removal_timer = env_timer_new(core_env(m), on_permit, m);
    arm(m);
}

void removal_cancel(struct master *m, struct agent *a)
{
    if (!a->removal_queued)
        return;
    a->removal_queued = false;
    metric_inc(m->core->c.slave_unreachable_canceled);
    metric_inc(m->core->c.slave_shutdowns_canceled);
}

/* ---- after a restart of the master ---- */

static void on_recovery_timeout(void *arg)
{
    struct master *m = arg;
    size_t missing = HASH_COUNT(m->recovered_agents);
    struct known_agent *k, *tmp;

    core_enter(m);
    if ((double)missing > m->core->recovery_limit * (double)m->core->n_recovered_at_start) {
        m->env->io->fatal(m->env->ctx,
                          core_printf(m,
                                      "%zu of %zu agents did not come back after the restart, more "
                                      "than --recovery_agent_removal_limit=%s allows to remove",
                                      missing, m->core->n_recovered_at_start,
                                      m->flags->recovery_agent_removal_limit));
    } else {
        HASH_ITER (hh, m->recovered_agents, k, tmp)
            removal_queue(m, k->id, "agent did not re-register after the master's failover");
    }
    core_leave(m);
}

void recovery_watch_start(struct master *m)
{
    if (!m->recovered_agents)
        return;
    m->core->recovery_timer = env_timer_new(core_env(m), on_recovery_timeout, m);
    env_timer_set(core_env(m), m->core->recovery_timer, m->flags->agent_reregister_timeout);
}
