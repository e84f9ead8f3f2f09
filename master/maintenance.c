/* The machines of the maintenance schedule: what is in force, what it means for agents, and what is
 * shown of it. How it changes is in maintenance_change.c.
 *
 * All of it is one record of the registry, "maintenance" (Registry with machines and schedules only).
 */
#include "master/maintenance_priv.h"

#include <ctype.h>

/* ---- machines ---- */

char *machine_key(const V1__MachineID *id, struct fl_arena *arena)
{
    const char *ip = id->ip ? id->ip : "", *hostname = id->hostname ? id->hostname : "";
    size_t n = strlen(ip) + strlen(hostname) + 5;
    char *key = fl_arena_alloc(arena, n);

    /* An ip has no space in it, so no two machines share a key. */
    fl_snprintf(key, n, "%c%c%s %s", id->hostname ? 'h' : '-', id->ip ? 'i' : '-', ip, hostname);
    for (char *p = key + 2 + strlen(ip); *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return key;
}

static struct machine *find_key(const struct master *m, const char *key)
{
    struct machine *mc;

    HASH_FIND_STR(m->core->maintenance->machines, key, mc);
    return mc;
}

struct machine *machine_find(const struct master *m, const V1__MachineID *id,
                             struct fl_arena *arena)
{
    return find_key(m, machine_key(id, arena));
}

static struct machine *find_at(const struct master *m, const char *hostname, const char *address)
{
    const char *colon = strrchr(address, ':');
    char *ip;
    V1__MachineID id = V1__MACHINE_ID__INIT;

    if (!m->core->maintenance->machines)
        return NULL;
    ip = fl_arena_strdup(m->core->scratch, address);
    if (colon)
        ip[colon - address] = '\0';
    id.hostname = (char *)hostname;
    id.ip = ip;
    return machine_find(m, &id, m->core->scratch);
}

struct machine *machine_of_agent(const struct master *m, const struct agent *a)
{
    const char *at = strchr(a->pid, '@');

    return find_at(m, a->info->hostname, at ? at + 1 : a->pid);
}

bool maintenance_down(struct master *m, const char *hostname, const char *address)
{
    const struct machine *mc = find_at(m, hostname, address);

    return mc && mc->info->mode == V1__MACHINE_INFO__MODE__DOWN;
}

bool maintenance_scheduled(const struct master *m, const struct agent *a)
{
    bool found;

    core_enter((struct master *)m); /* of the scratch arena only */
    found = machine_of_agent(m, a) != NULL;
    core_leave((struct master *)m);
    return found;
}

Maint__Schedule *maintenance_current(const struct master *m)
{
    const Reg__Registry *state = m->core->maintenance->state;

    return state && state->n_schedules > 0 ? state->schedules[0] : NULL;
}

/* ---- what it means for an agent ---- */

static bool same_unavailability(const V1__Unavailability *a, const V1__Unavailability *b)
{
    return (!a && !b) || (a && b && fl_pb_equal(&a->base, &b->base));
}

void maintenance_agent_added(struct master *m, struct agent *a)
{
    const struct machine *mc = machine_of_agent(m, a);

    fl_pb_free(a->unavailability);
    a->unavailability = mc ? FL_PB_DUP(mc->info->unavailability) : NULL;
}

void maintenance_enforce(struct master *m, struct agent *a)
{
    const struct machine *mc = machine_of_agent(m, a);

    if (!mc || mc->info->mode != V1__MACHINE_INFO__MODE__DOWN)
        return;
    if (a->peer)
        agents_shutdown(m, a->peer, "Operator initiated 'Machine DOWN'");
    agents_unregister(m, a, "Operator initiated 'Machine DOWN'", NULL);
}

/* Frameworks hear of the new window as soon as can be: all offers of the agent are made anew. */
static void put_unavailability(struct master *m, struct agent *a, const V1__Unavailability *u)
{
    if (same_unavailability(a->unavailability, u))
        return;
    log_info("agent %s (%s): %s", a->id, a->info->hostname,
             u ? "its maintenance is scheduled anew" : "no maintenance is scheduled any more");
    while (a->offers)
        offer_withdraw(m, a->offers, true, NULL);
    inverse_offers_withdraw_agent(m, a);
    fl_pb_free(a->unavailability);
    a->unavailability = u ? FL_PB_DUP(u) : NULL;
    if (m->alloc_ops->set_unavailability)
        m->alloc_ops->set_unavailability(m->alloc, a->id, u, core_now(m));
    else
        allocation_add_agent(m, a, true); /* the module learns it with the agent's description */
    allocation_kick(m);
}

static void forget_machines(struct maintenance *mt)
{
    struct machine *mc, *tmp;

    HASH_ITER (hh, mt->machines, mc, tmp) {
        HASH_DEL(mt->machines, mc);
        free(mc->key);
        free(mc);
    }
    fl_pb_free(mt->state);
    mt->state = NULL;
}

static void take_state(struct master *m, Reg__Registry *state)
{
    struct maintenance *mt = m->core->maintenance;

    forget_machines(mt);
    mt->state = state;
    for (size_t i = 0; state->machines && i < state->machines->n_machines; i++) {
        V1__MachineInfo *info = state->machines->machines[i]->info;
        struct machine *mc;
        if (machine_find(m, info->id, m->core->scratch))
            continue;
        mc = xnew0(struct machine);
        mc->key = xstrdup(machine_key(info->id, m->core->scratch));
        mc->info = info;
        HASH_ADD_KEYPTR(hh, mt->machines, mc->key, strlen(mc->key), mc);
    }
}

void maintenance_apply(struct master *m, Reg__Registry *state)
{
    struct agent *a, *tmp;

    take_state(m, state);
    HASH_ITER (hh, m->agents, a, tmp) {
        const struct machine *mc = machine_of_agent(m, a);
        put_unavailability(m, a, mc ? mc->info->unavailability : NULL);
        maintenance_enforce(m, a);
    }
}

/* ---- life ---- */

void maintenance_init(struct master *m)
{
    m->core->maintenance = xnew0(struct maintenance);
}

int maintenance_recover(struct master *m, const ProtobufCMessage *msg, struct fl_err *err)
{
    const Reg__Registry *rec = (const Reg__Registry *)msg;

    take_state(m, FL_PB_DUP(rec));
    log_info("registry: %u machines in the maintenance schedule",
             HASH_COUNT(m->core->maintenance->machines));
    return 0;
}

void maintenance_free(struct master *m)
{
    struct maintenance *mt = m->core->maintenance;
    struct fl_err err;

    if (!mt)
        return;
    fl_err_set(&err, FL_UNAVAILABLE, "the master is ending");
    while (mt->changes) {
        struct maintenance_change *c = mt->changes;
        LL_DELETE(mt->changes, c);
        c->done(c->arg, 0, &err);
        fl_pb_free(c->next_state);
        free(c);
    }
    forget_machines(mt);
    free(mt);
}

/* ---- what is shown ---- */

Maint__Schedule *maintenance_schedule(const struct master *m, const char *principal,
                                      struct fl_arena *arena)
{
    const Maint__Schedule *current = maintenance_current(m);
    Maint__Schedule *s = FL_ARENA_NEW(arena, Maint__Schedule, maint__schedule);

    if (current && acls_allow(m->acls, ACL_GET_MAINTENANCE_SCHEDULES, principal, NULL))
        *s = *current;
    return s;
}

struct gathering {
    struct fl_arena *arena;
    Maint__ClusterStatus__DrainingMachine *into;
    size_t cap;
};

static void gather(const Alloc__InverseOfferStatus *status, void *arg)
{
    struct gathering *g = arg;
    Maint__ClusterStatus__DrainingMachine *d = g->into;
    Alloc__InverseOfferStatus **grown;

    if (d->n_statuses == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 8;
        grown = fl_arena_alloc(g->arena, g->cap * sizeof(*grown));
        if (d->n_statuses > 0)
            memcpy(grown, d->statuses, d->n_statuses * sizeof(*grown));
        d->statuses = grown;
    }
    d->statuses[d->n_statuses++] =
        (Alloc__InverseOfferStatus *)fl_pb_dup(&status->base, fl_arena_allocator(g->arena));
}

static void put_answers(const struct master *m, struct fl_arena *arena)
{
    if (!m->alloc_ops->each_inverse_status || !m->core->maintenance->machines)
        return;
    for (const struct agent *a = m->agents; a; a = a->hh.next) {
        const struct machine *mc = a->unavailability ? machine_of_agent(m, a) : NULL;
        struct gathering g = {.arena = arena};
        if (!mc || !mc->status)
            continue;
        g.into = mc->status;
        g.cap = g.into->n_statuses;
        m->alloc_ops->each_inverse_status(m->alloc, a->id, gather, &g);
    }
}

Maint__ClusterStatus *maintenance_status(const struct master *m, const char *principal,
                                         struct fl_arena *arena)
{
    const struct maintenance *mt = m->core->maintenance;
    Maint__ClusterStatus *s = FL_ARENA_NEW(arena, Maint__ClusterStatus, maint__cluster_status);
    size_t n = HASH_COUNT(mt->machines) + 1;

    if (!acls_allow(m->acls, ACL_GET_MAINTENANCE_STATUSES, principal, NULL))
        return s;
    s->draining_machines = fl_arena_alloc(arena, n * sizeof(*s->draining_machines));
    s->down_machines = fl_arena_alloc(arena, n * sizeof(*s->down_machines));
    for (struct machine *mc = mt->machines; mc; mc = mc->hh.next) {
        mc->status = NULL;
        if (mc->info->mode == V1__MACHINE_INFO__MODE__DOWN) {
            s->down_machines[s->n_down_machines++] = mc->info->id;
            continue;
        }
        Maint__ClusterStatus__DrainingMachine *d = FL_ARENA_NEW(
            arena, Maint__ClusterStatus__DrainingMachine, maint__cluster_status__draining_machine);
        d->id = mc->info->id;
        mc->status = d;
        s->draining_machines[s->n_draining_machines++] = d;
    }
    core_enter((struct master *)m); /* of the scratch arena only */
    put_answers(m, arena);
    core_leave((struct master *)m);
    return s;
}
