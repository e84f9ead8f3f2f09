/* Quota (quota.h): the calls of operators, what the registry keeps, and the hold after a restart. What is refused is in quota_check.c,
 * which offers are taken back in quota_rescind.c. */
#include "master/quota.h"

#include "common/model/intern.h"
#include "common/model/roles.h"
#include "master/core.h"
#include "master/roles.h"

void quota_free(struct quota *q)
{
    if (!q)
        return;
    quantities_done(&q->guarantees);
    quantities_done(&q->limits);
    free(q);
}

void quota_write_free(struct quota_write *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++)
        quota_free(w->changes[i].quota);
    free(w->changes);
    free(w);
}

FL_DEFINE_CLEANUP(struct quota_write *, quota_write_free, quota_write_freep)

/* ---- as messages ---- */

#define ARENA(arena, Type, prefix) FL_ARENA_NEW(arena, Type, prefix)

static V1__Value__Scalar *scalar_pb(milli_t amount, struct fl_arena *arena)
{
    V1__Value__Scalar *s = ARENA(arena, V1__Value__Scalar, v1__value__scalar);

    s->value = milli_to_double(amount);
    return s;
}

static Quota__QuotaConfig *config_pb(const char *role, const struct quota *q,
                                     struct fl_arena *arena)
{
    Quota__QuotaConfig *c = ARENA(arena, Quota__QuotaConfig, quota__quota_config);

    c->role = (char *)role;
    c->guarantees = fl_arena_alloc(arena, (q->guarantees.n + 1) * sizeof(*c->guarantees));
    for (; c->n_guarantees < q->guarantees.n; c->n_guarantees++) {
        const struct quantity *item = &q->guarantees.items[c->n_guarantees];
        Quota__QuotaConfig__GuaranteesEntry *e = ARENA(arena, Quota__QuotaConfig__GuaranteesEntry,
                                                       quota__quota_config__guarantees_entry);
        e->key = (char *)item->name;
        e->value = scalar_pb(item->amount, arena);
        c->guarantees[c->n_guarantees] = e;
    }
    c->limits = fl_arena_alloc(arena, (q->limits.n + 1) * sizeof(*c->limits));
    for (; c->n_limits < q->limits.n; c->n_limits++) {
        const struct quantity *item = &q->limits.items[c->n_limits];
        Quota__QuotaConfig__LimitsEntry *e =
            ARENA(arena, Quota__QuotaConfig__LimitsEntry, quota__quota_config__limits_entry);
        e->key = (char *)item->name;
        e->value = scalar_pb(item->amount, arena);
        c->limits[c->n_limits] = e;
    }
    return c;
}

/* The older form, which knows no limits. */
static Quota__QuotaInfo *info_pb(const char *role, const struct quota *q, struct fl_arena *arena)
{
    Quota__QuotaInfo *info = ARENA(arena, Quota__QuotaInfo, quota__quota_info);

    info->role = (char *)role;
    info->guarantee = fl_arena_alloc(arena, (q->guarantees.n + 1) * sizeof(*info->guarantee));
    for (; info->n_guarantee < q->guarantees.n; info->n_guarantee++) {
        const struct quantity *item = &q->guarantees.items[info->n_guarantee];
        V1__Resource *r = ARENA(arena, V1__Resource, v1__resource);
        r->name = (char *)item->name;
        r->type = V1__VALUE__TYPE__SCALAR;
        r->scalar = scalar_pb(item->amount, arena);
        info->guarantee[info->n_guarantee] = r;
    }
    return info;
}

static int by_role(const void *a, const void *b)
{
    return strcmp((*(const struct role *const *)a)->name, (*(const struct role *const *)b)->name);
}

Quota__QuotaStatus *master_quota_status(const struct master *m, const char *principal,
                                        struct fl_arena *arena)
{
    size_t n = 0, all = HASH_COUNT(m->core->roles);
    const struct role **roles = fl_arena_alloc(arena, (all + 1) * sizeof(*roles));
    Quota__QuotaStatus *st = ARENA(arena, Quota__QuotaStatus, quota__quota_status);
    _cleanup_approver_ struct acl_approver *visible =
        acl_approver_get(m->acls, ACL_GET_QUOTAS, principal);

    for (const struct role *r = m->core->roles; r; r = r->hh.next)
        if (r->quota && acl_approves(visible, r->name))
            roles[n++] = r;
    if (n > 0)
        qsort(roles, n, sizeof(*roles), by_role);
    st->infos = fl_arena_alloc(arena, (n + 1) * sizeof(*st->infos));
    st->configs = fl_arena_alloc(arena, (n + 1) * sizeof(*st->configs));
    for (size_t i = 0; i < n; i++) {
        st->infos[st->n_infos++] = info_pb(roles[i]->name, roles[i]->quota, arena);
        st->configs[st->n_configs++] = config_pb(roles[i]->name, roles[i]->quota, arena);
    }
    return st;
}

/* ---- changes ---- */

/* Takes `q`. */
static void put(struct master *m, const char *name, struct quota *q)
{
    struct role *r = role_make(m, name);

    quota_free(r->quota);
    r->quota = q;
    role_changed(m, r, true);
    if (m->alloc_ops->set_quota && q && !quota_is_default(q))
        m->alloc_ops->set_quota(m->alloc, name, &q->guarantees, &q->limits);
    else if (m->alloc_ops->set_quota)
        m->alloc_ops->set_quota(m->alloc, name, NULL, NULL);
    role_release(m, r);
}

static void rescind(struct master *m, const struct quota_write *w)
{
    for (size_t i = 0; i < w->n; i++) {
        const char *name = w->changes[i].role;
        const struct role *r = role_find(m, name);
        if (r && r->quota && w->call == QUOTA_UPDATE)
            quota_rescind_for_update(m, name, r->quota);
        else if (r && r->quota && w->call == QUOTA_SET)
            quota_rescind_for_set(m, name, r->quota);
    }
}

/* The registry has it. */
static void on_written(struct master *m, void *arg)
{
    struct quota_write *w = arg;

    DL_DELETE(m->core->quota_writes, w);
    for (size_t i = 0; i < w->n; i++) {
        log_info("the quota of role '%s' has %s", w->changes[i].role,
                 w->changes[i].quota ? "changed" : "been removed");
        put(m, w->changes[i].role, TAKE_PTR(w->changes[i].quota));
    }
    rescind(m, w);
    allocation_kick(m);
    w->done(w->arg, 200, NULL);
    quota_write_free(w);
}

/* Takes `w`. */
static void start(struct master *m, struct quota_write *w)
{
    struct registry_change *changes = core_alloc(m, (w->n + 1) * sizeof(*changes));

    for (size_t i = 0; i < w->n; i++) {
        const struct quota_change *c = &w->changes[i];
        changes[i].key = core_printf(m, "quota/%s", c->role);
        if (c->quota && !quota_is_default(c->quota))
            changes[i].record = &config_pb(c->role, c->quota, m->core->scratch)->base;
    }
    DL_APPEND(m->core->quota_writes, w);
    if (w->n == 0)
        on_written(m, w);
    else
        registry_write(m, changes, w->n, on_written, w);
}

static struct quota_write *write_new(struct master *m, enum quota_call call, operator_done_f *done,
                                     void *arg)
{
    struct quota_write *w = xnew0(struct quota_write);

    *w = (struct quota_write){.master = m, .call = call, .done = done, .arg = arg};
    return w;
}

int master_update_quota(struct master *m, const Mapi__Call__UpdateQuota *call,
                        const char *principal, operator_done_f *done, void *arg, struct fl_err *err)
{
    _cleanup_(quota_write_freep) struct quota_write *w = write_new(m, QUOTA_UPDATE, done, arg);
    int r;

    core_enter(m);
    r = quota_check_update(m, call, principal, w, err);
    if (r == 0)
        start(m, TAKE_PTR(w));
    core_leave(m);
    return r;
}

int master_set_quota(struct master *m, const Quota__QuotaRequest *request, const char *principal,
                     operator_done_f *done, void *arg, struct fl_err *err)
{
    _cleanup_(quota_write_freep) struct quota_write *w = write_new(m, QUOTA_SET, done, arg);
    int r;

    core_enter(m);
    r = quota_check_set(m, request, principal, w, err);
    if (r == 0)
        start(m, TAKE_PTR(w));
    core_leave(m);
    return r;
}

int master_remove_quota(struct master *m, const char *role, const char *principal,
                        operator_done_f *done, void *arg, struct fl_err *err)
{
    _cleanup_(quota_write_freep) struct quota_write *w = write_new(m, QUOTA_REMOVE, done, arg);
    int r;

    core_enter(m);
    r = quota_check_remove(m, role, principal, w, err);
    if (r == 0)
        start(m, TAKE_PTR(w));
    core_leave(m);
    return r;
}

/* ---- after a restart ---- */

int quota_recover(struct master *m, const ProtobufCMessage *record, struct fl_err *err)
{
    const Quota__QuotaConfig *c = (const Quota__QuotaConfig *)record;

    if (role_validate(c->role, err) < 0)
        return fl_err_wrap(err, "a quota of the registry");
    put(m, c->role, quota_from_config(c));
    return 0;
}

static void end_hold(struct master *m, const char *why)
{
    log_info("offers are made from now on: %s", why);
    m->core->hold_agents = 0;
    env_timer_stop(core_env(m), m->core->hold_timer);
    m->alloc_ops->set_paused(m->alloc, false);
    allocation_kick(m);
}

static void on_hold_timeout(void *arg)
{
    struct master *m = arg;

    core_enter(m);
    end_hold(m, "--allocator_recovery_timeout is over");
    core_leave(m);
}

void quota_agent_admitted(struct master *m)
{
    if (m->core->hold_agents > 0 && HASH_COUNT(m->agents) >= m->core->hold_agents)
        end_hold(m, "enough of the recorded agents are back");
}

void quota_recovered(struct master *m)
{
    const struct role *r = m->core->roles;

    while (r && !r->quota)
        r = r->hh.next;
    m->core->hold_agents = r ? (size_t)((double)m->core->n_recovered_at_start *
                                        m->flags->allocator_agent_recovery_factor)
                             : 0;
    if (m->core->hold_agents == 0)
        return;
    log_info("there is quota: no offers until %zu agents are back", m->core->hold_agents);
    m->alloc_ops->set_paused(m->alloc, true);
    m->core->hold_timer = env_timer_new(core_env(m), on_hold_timeout, m);
    env_timer_set(core_env(m), m->core->hold_timer, m->flags->allocator_recovery_timeout);
}

void quota_done(struct master *m)
{
    struct quota_write *w, *tmp;

    DL_FOREACH_SAFE (m->core->quota_writes, w, tmp) {
        DL_DELETE(m->core->quota_writes, w);
        quota_write_free(w);
    }
    if (m->core->hold_timer)
        env_timer_free(core_env(m), m->core->hold_timer);
}
