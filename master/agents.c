/* What an agent is to the master: its channel, its description, its place in the tables. */
#include "common/model/agent_info.h"
#include "common/model/intern.h"
#include "master/core.h"
#include "master/quota.h"
#include "master/roles.h"

/* ---- channels ---- */

struct link *link_find(struct master *m, void *peer)
{
    struct link *l;

    HASH_FIND_PTR(m->core->links, &peer, l);
    return l;
}

struct link *link_get(struct master *m, void *peer, const char *address)
{
    struct link *l = link_find(m, peer);

    if (l)
        return l;
    l = xcalloc(1, sizeof(*l) + strlen(address) + 1);
    l->peer = peer;
    memcpy(l->address, address, strlen(address) + 1);
    HASH_ADD_PTR(m->core->links, peer, l);
    return l;
}

void link_drop(struct master *m, struct link *l, bool close)
{
    struct transition *tr, *tmp;

    if (l->registering) {
        HASH_ITER (hh, m->core->transitions, tr, tmp) {
            if (tr->peer == l->peer)
                tr->peer = NULL;
        }
    }
    if (close)
        m->env->io->agent_close(m->env->ctx, l->peer);
    HASH_DEL(m->core->links, l);
    free(l);
}

/* ---- description ---- */

char *agents_pid_of(const char *peer_address, const V1__AgentInfo *info)
{
    const char *colon = strrchr(peer_address, ':');
    int n = colon ? (int)(colon - peer_address) : (int)strlen(peer_address);

    return xasprintf("slave(1)@%.*s:%d", n, peer_address, (int)info->port);
}

void agents_set_info(struct agent *a, const V1__AgentInfo *info)
{
    V1__AgentInfo *copy = agent_info_keep(info, false);

    agent_info_release(a->info);
    a->info = copy;
}

void agents_set_pid(struct master *m, struct agent *a, const char *pid)
{
    char *copy = xstrdup(pid);

    if (a->pid)
        HASH_DELETE(hh_pid, m->agents_by_pid, a);
    free(a->pid);
    a->pid = copy;
    HASH_ADD_KEYPTR(hh_pid, m->agents_by_pid, a->pid, strlen(a->pid), a);
}

void agents_set_version(struct agent *a, const char *version,
                        V1__AgentInfo__Capability *const *caps, size_t n_caps,
                        const V1__UUID *resource_version)
{
    const char *copy = intern_ref(version ? version : "");
    _cleanup_free_ V1__AgentInfo__Capability__Type *types = xcalloc(n_caps + 1, sizeof(*types));

    intern_unref(a->version);
    a->version = copy;
    intern_unref((const char *)a->capabilities);
    a->n_capabilities = 0;
    for (size_t i = 0; i < n_caps; i++) {
        if (caps[i]->has_type)
            types[a->n_capabilities++] = caps[i]->type;
    }
    a->capabilities = (const void *)intern_ref_n(types, a->n_capabilities * sizeof(*types));
    a->has_resource_version = resource_version && resource_version->value.len == FL_UUID_LEN;
    if (a->has_resource_version)
        memcpy(a->resource_version, resource_version->value.data, FL_UUID_LEN);
}

static void free_checkpointed(struct agent *a)
{
    for (size_t i = 0; i < a->n_checkpointed; i++)
        fl_pb_free(a->checkpointed[i]);
    free(a->checkpointed);
    a->checkpointed = NULL;
    a->n_checkpointed = 0;
}

void agents_set_checkpointed(struct agent *a, V1__Resource *const *r, size_t n)
{
    free_checkpointed(a);
    if (n == 0)
        return;
    a->checkpointed = xcalloc(n, sizeof(*a->checkpointed));
    while (a->n_checkpointed < n) {
        a->checkpointed[a->n_checkpointed] = FL_PB_DUP(r[a->n_checkpointed]);
        a->n_checkpointed++;
    }
}

bool agents_has_capability(const struct agent *a, V1__AgentInfo__Capability__Type type)
{
    for (size_t i = 0; i < a->n_capabilities; i++) {
        if (a->capabilities[i] == type)
            return true;
    }
    return false;
}

/* ---- life ---- */

struct agent *agents_new(struct master *m, const V1__AgentInfo *info, const char *pid)
{
    struct agent *a = xnew0(struct agent);

    a->magic = AGENT_MAGIC;
    a->master = m;
    a->id = intern_ref(info->id->value);
    agent_named(a);
    agents_set_info(a, info);
    HASH_ADD_KEYPTR(hh, m->agents, a->id, strlen(a->id), a);
    agents_set_pid(m, a, pid);
    return a;
}

void agents_free(struct master *m, struct agent *a)
{
    struct executor *e, *tmp;

    while (a->offers)
        offer_remove(m, a->offers);
    inverse_offers_drop_agent(m, a, false);
    DL_FOREACH_SAFE (a->executors, e, tmp) {
        DL_DELETE(a->executors, e);
        resources_done(&e->resources);
        fl_pb_free(e->info);
        free(e);
    }
    operations_drop(m, a);
    usages_free(a);
    HASH_DEL(m->agents, a);
    HASH_DELETE(hh_pid, m->agents_by_pid, a);
    agents_stop_pings(m, a);
    env_timer_free(core_env(m), a->reregister_timer);
    free_checkpointed(a);
    resources_done(&a->total);
    agents_total_changed(a);
    agents_set_connected(a, false);
    agents_set_active(a, false);
    totals_change(a, &a->used, &a->used, false);
    totals_change(a, &a->offered, &a->offered, false);
    resources_done(&a->used);
    resources_done(&a->offered);
    resources_release(a->told_total);
    agent_info_release(a->info);
    fl_pb_free(a->drain_info);
    fl_pb_free(a->unavailability);
    free(a->pid);
    intern_unref(a->version);
    intern_unref((const char *)a->capabilities);
    agent_gone(a);
    intern_unref(a->id);
    free(a);
}

void agents_attach(struct master *m, struct agent *a, struct link *l)
{
    struct link *old = a->peer ? link_find(m, a->peer) : NULL;

    if (old && old != l) {
        old->agent = NULL;
        link_drop(m, old, true);
    }
    l->agent = a;
    a->peer = l->peer;
    agents_set_connected(a, true);
    a->missed_pings = 0;
    a->pong_missing = false;
    removal_cancel(m, a);
    if (a->reregister_timer)
        env_timer_stop(core_env(m), a->reregister_timer);
}

void agents_admit(struct master *m, struct agent *a, struct link *l)
{
    if (l)
        agents_attach(m, a, l);
    maintenance_agent_added(m, a);
    agents_set_active(a, l && !a->deactivated && !a->drain_info);
    allocation_add_agent(m, a, false);
    if (!l) {
        agents_set_connected(a, true); /* it was, until its channel closed meanwhile */
        agents_disconnected(m, a);
    }
    publish_agent_added(m, a);
    quota_agent_admitted(m);
}
