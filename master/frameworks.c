/* Frameworks: subscription, failover, update, disconnection and removal (features.md 3.6).
 *
 * A framework is connected while its stream is open, and active while it is connected. One that is
 * known only from agents after a restart of the master is `recovered`: it holds tasks and gets no
 * offers until it subscribes.
 */
#include "master/core.h"

#include <inttypes.h>

#include "common/model/acl_operation.h"
#include "common/model/intern.h"
#include "common/model/regex.h"
#include "common/model/roles.h"
#include "common/model/validate.h"
#include "master/roles.h"

/* ---- as a thing ---- */

static void put_info(struct framework *f, const V1__FrameworkInfo *info)
{
    const char **roles = NULL;
    V1__FrameworkInfo *copy = FL_PB_DUP(info);

    fl_pb_free(f->info);
    f->info = copy;
    f->n_roles = framework_roles(f->info, &roles);
    for (size_t i = 0; i < f->n_roles; i++)
        roles[i] = intern(roles[i]);
    free(f->roles);
    f->roles = roles;
#define CAP(name) framework_has_capability(info, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__##name)
    f->cap_partition_aware = CAP(PARTITION_AWARE);
    f->cap_task_killing = CAP(TASK_KILLING_STATE);
    f->cap_multi_role = CAP(MULTI_ROLE);
    f->cap_refinement = CAP(RESERVATION_REFINEMENT);
#undef CAP
}

static void free_suppressed(struct framework *f)
{
    for (size_t i = 0; i < f->n_suppressed; i++)
        free(f->suppressed[i]);
    free(f->suppressed);
    f->suppressed = NULL;
    f->n_suppressed = 0;
}

static void put_suppressed(struct framework *f, char *const *roles, size_t n)
{
    free_suppressed(f);
    f->suppressed = xcalloc(n + 1, sizeof(char *));
    while (f->n_suppressed < n) {
        f->suppressed[f->n_suppressed] = xstrdup(roles[f->n_suppressed]);
        f->n_suppressed++;
    }
}

/* Takes `constraints`. */
static void put_constraints(struct framework *f, const Sched__OfferConstraints *pb,
                            struct offer_constraints *constraints)
{
    fl_pb_free(f->constraints_pb);
    offer_constraints_free(f->constraints);
    f->constraints_pb = pb ? FL_PB_DUP(pb) : NULL;
    f->constraints = constraints;
}

static void on_failover_timeout(void *arg);
static void on_heartbeat(void *arg);

static struct framework *framework_new(struct master *m, const V1__FrameworkInfo *info)
{
    struct framework *f = xnew0(struct framework);

    f->magic = FRAMEWORK_MAGIC;
    f->master = m;
    f->id = xstrdup(info->id->value);
    put_info(f, info);
    f->failover_timer = env_timer_new(core_env(m), on_failover_timeout, f);
    f->heartbeat_timer = env_timer_new(core_env(m), on_heartbeat, f);
    HASH_ADD_KEYPTR(hh, m->frameworks, f->id, strlen(f->id), f);
    framework_changed(f, true);
    shares_add(m, f);
    roles_subscribe(m, f);
    return f;
}

static void free_tasks(struct framework *f)
{
    struct task *t, *tmp;

    HASH_ITER (hh, f->tasks, t, tmp) {
        HASH_DEL(f->tasks, t);
        task_free(t);
    }
    HASH_ITER (hh, f->unreachable_tasks, t, tmp) {
        HASH_DEL(f->unreachable_tasks, t);
        task_free(t);
    }
    HASH_CLEAR(hh, f->completed_by_id);
    while (f->completed_tasks) {
        t = f->completed_tasks;
        f->completed_tasks = t->next_completed;
        task_free(t);
    }
}

void framework_free(struct framework *f)
{
    const struct env *e = core_env(f->master);

    free_tasks(f);
    framework_gone(f);
    free_suppressed(f);
    put_constraints(f, NULL, NULL);
    env_timer_free(e, f->failover_timer);
    env_timer_free(e, f->heartbeat_timer);
    resources_done(&f->used);
    resources_done(&f->offered);
    fl_pb_free(f->info);
    free(f->roles);
    free(f->principal);
    free(f->id);
    free(f);
}

bool framework_is_completed(const struct master *m, const char *id)
{
    const struct framework *f;

    for (f = m->completed_frameworks; f; f = f->next_completed) {
        if (streq(f->id, id))
            return true;
    }
    return false;
}

struct framework *framework_recover(struct master *m, const V1__FrameworkInfo *info)
{
    struct framework *f = framework_new(m, info);

    f->recovered = true;
    allocation_add_framework(m, f);
    return f;
}

/* ---- the stream ---- */

static void send_subscribed(struct master *m, struct framework *f)
{
    Sched__Event__Subscribed subscribed = SCHED__EVENT__SUBSCRIBED__INIT;
    Sched__Event ev = SCHED__EVENT__INIT;

    subscribed.framework_id = f->info->id;
    subscribed.has_heartbeat_interval_seconds = true;
    subscribed.heartbeat_interval_seconds = (double)m->flags->heartbeat_interval / (double)US_PER_S;
    subscribed.master_info = m->info;
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__SUBSCRIBED;
    ev.subscribed = &subscribed;
    framework_send(m, f, &ev);
}

static void on_heartbeat(void *arg)
{
    struct framework *f = FL_CAST(framework, FRAMEWORK_MAGIC, arg);
    struct master *m = f->master;
    Sched__Event ev = SCHED__EVENT__INIT;

    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__HEARTBEAT;
    core_enter(m);
    env_timer_set(core_env(m), f->heartbeat_timer, m->flags->heartbeat_interval);
    framework_send(m, f, &ev);
    core_leave(m);
}

static void attach(struct master *m, struct framework *f, void *stream, const char *stream_id)
{
    env_timer_stop(core_env(m), f->failover_timer);
    f->stream = stream;
    fl_snprintf(f->stream_id, sizeof(f->stream_id), "%s", stream_id);
    f->connected = true;
    f->recovered = false;
    framework_changed(f, true);
    send_subscribed(m, f);
    on_heartbeat(f);
    if (!f->active) {
        f->active = true;
        m->alloc_ops->set_framework_active(m->alloc, f->id, true);
        allocation_kick(m);
    }
}

static void withdraw_offers(struct master *m, struct framework *f, bool rescind)
{
    while (f->offers)
        offer_withdraw(m, f->offers, rescind, NULL);
    inverse_offers_withdraw_framework(m, f, rescind);
}

static void disconnect(struct master *m, struct framework *f)
{
    f->connected = false;
    f->stream = NULL;
    f->stream_id[0] = '\0';
    framework_changed(f, true);
    env_timer_stop(core_env(m), f->heartbeat_timer);
    if (f->active) {
        f->active = false;
        m->alloc_ops->set_framework_active(m->alloc, f->id, false);
    }
    withdraw_offers(m, f, false);
}

static void on_failover_timeout(void *arg)
{
    struct framework *f = FL_CAST(framework, FRAMEWORK_MAGIC, arg);
    struct master *m = f->master;

    core_enter(m);
    log_info("framework %s did not come back in time", f->id);
    framework_remove(m, f);
    core_leave(m);
}

static uint64_t failover_timeout_us(const struct framework *f)
{
    double s = f->info->failover_timeout;

    if (!(s > 0))
        return 0;
    return s > 9e9 ? (uint64_t)9e15 : (uint64_t)(s * 1e6);
}

void master_framework_closed(struct master *m, void *stream)
{
    struct framework *f, *tmp;

    core_enter(m);
    HASH_ITER (hh, m->frameworks, f, tmp) {
        if (f->stream != stream)
            continue;
        log_info("framework %s disconnected; it has %g s to come back", f->id,
                 f->info->failover_timeout);
        disconnect(m, f);
        if (failover_timeout_us(f) == 0)
            framework_remove(m, f);
        else
            env_timer_set(core_env(m), f->failover_timer, failover_timeout_us(f));
        break;
    }
    core_leave(m);
}

void master_framework_too_slow(struct master *m, const void *stream, size_t waiting)
{
    struct framework *f, *tmp;
    const char *id = "that is not yet subscribed";

    HASH_ITER (hh, m->frameworks, f, tmp)
        if (f->stream == stream)
            id = f->id;
    metric_inc(m->core->c.frameworks_slow_disconnected);
    log_warning(
        "framework %s does not read its events: %zu bytes wait for it, closing its connection", id,
        waiting);
}

/* ---- SUBSCRIBE ---- */

/* What a FrameworkInfo must keep, in the order in which the reference looks. */
static int check_info(struct master *m, const V1__FrameworkInfo *info, struct fl_err *err)
{
    int r = validate_framework_info(info, m->role_whitelist, m->n_role_whitelist, NULL, 0, err);

    if (r < 0)
        return r;
    if (streq(info->user, "root") && !m->flags->root_submissions)
        return fl_err_set(err, FL_FORBIDDEN,
                          "User 'root' is not allowed to run frameworks without "
                          "--root_submissions set");
    if (info->id && framework_is_completed(m, info->id->value))
        return fl_err_set(err, FL_FORBIDDEN, "Framework has been removed");
    return 0;
}

/* What comes beside the FrameworkInfo: suppressed roles and constraints, both of roles of the framework. */
static int check_options(struct master *m, const V1__FrameworkInfo *info, char *const *suppressed,
                         size_t n_suppressed, const Sched__OfferConstraints *constraints,
                         struct offer_constraints **ret_constraints, struct fl_err *err)
{
    const struct fl_regex_limits limits = {
        (int64_t)FL_MIN(m->flags->offer_constraints_re2_max_mem, (uint64_t)INT64_MAX),
        m->flags->offer_constraints_re2_max_program_size};
    _cleanup_free_ const char **roles = NULL;
    int r = validate_framework_info(info, NULL, 0, suppressed, n_suppressed, err);

    if (r < 0 || !constraints)
        return r;
    size_t n = framework_roles(info, &roles);
    return offer_constraints_new(constraints, roles, n, &limits, ret_constraints, err);
}

/* Every agent, for one may hold updates that nobody acknowledged yet while it runs nothing of the
 * framework any more: hearing of the new subscription it sends them again. */
static void tell_agents(struct master *m, struct framework *f)
{
    Msg__UpdateFrameworkMessage msg = MSG__UPDATE_FRAMEWORK_MESSAGE__INIT;
    struct agent *a, *tmp;

    msg.framework_id = f->info->id;
    msg.framework_info = f->info;
    HASH_ITER (hh, m->agents, a, tmp) {
        if (a->connected)
            agents_send(m, a, &msg.base);
    }
}

/* Offers of roles that the framework no longer has go back. */
static void rescind_lost_roles(struct master *m, struct framework *f)
{
    struct offer *o, *tmp;

    DL_FOREACH_SAFE2(f->offers, o, tmp, framework_next)
    {
        bool kept = false;
        for (size_t i = 0; i < f->n_roles; i++)
            kept |= f->roles[i] == o->role;
        if (!kept)
            offer_withdraw(m, o, true, NULL);
    }
}

/* `constraints` is taken. Who watches is told by the caller, when the rest has changed as well. */
static void change(struct master *m, struct framework *f, const V1__FrameworkInfo *info,
                   char *const *suppressed, size_t n_suppressed,
                   const Sched__OfferConstraints *constraints_pb,
                   struct offer_constraints *constraints)
{
    struct offer_constraints *old = TAKE_PTR(f->constraints);

    framework_changed(f, true);
    shares_remove(m, f);
    roles_unsubscribe(m, f);
    put_info(f, info);
    shares_add(m, f);
    roles_subscribe(m, f);
    put_suppressed(f, suppressed, n_suppressed);
    put_constraints(f, constraints_pb, constraints);
    rescind_lost_roles(m, f);
    allocation_update_framework(m, f);
    offer_constraints_free(old); /* the allocator held it until now */
}

static void subscribe_new(struct master *m, void *stream, const char *stream_id,
                          const Sched__Call__Subscribe *call, V1__FrameworkInfo *info,
                          struct offer_constraints *constraints)
{
    V1__FrameworkID *id = core_new(m, V1__FrameworkID);
    struct framework *f;

    v1__framework_id__init(id);
    id->value = core_printf(m, "%s-%04" PRIu64, m->id, m->next_framework++);
    info->id = id;
    f = framework_new(m, info);
    put_suppressed(f, call->suppressed_roles, call->n_suppressed_roles);
    put_constraints(f, call->offer_constraints, constraints);
    f->registered_time = f->reregistered_time = env_wall_s(core_env(m));
    log_info("framework '%s' subscribed as %s", f->info->name, f->id);
    f->active = true;
    allocation_add_framework(m, f);
    framework_count_call(f, SCHED__CALL__TYPE__SUBSCRIBE);
    attach(m, f, stream, stream_id);
    publish_framework(m, f, MAPI__EVENT__TYPE__FRAMEWORK_ADDED);
}

/* A known framework, or one that names an id of its own. `constraints` is taken. */
static int subscribe_known(struct master *m, void *stream, const char *stream_id,
                           const Sched__Call__Subscribe *call, V1__FrameworkInfo *info,
                           struct offer_constraints *constraints, struct fl_err *err)
{
    struct framework *f = master_framework(m, info->id->value);
    bool was_recovered;
    int r;

    if (!f)
        f = framework_recover(m, info);
    info->user = f->info->user;
    info->has_checkpoint = f->info->has_checkpoint;
    info->checkpoint = f->info->checkpoint;
    r = validate_framework_update(f->info, info, err);
    if (r < 0) {
        offer_constraints_free(constraints);
        return r;
    }
    change(m, f, info, call->suppressed_roles, call->n_suppressed_roles, call->offer_constraints,
           constraints);
    was_recovered = f->recovered;
    f->reregistered_time = env_wall_s(core_env(m));
    if (was_recovered)
        f->registered_time = f->reregistered_time;
    if (f->connected) {
        log_info("framework %s failed over to another stream", f->id);
        framework_error(m, f->stream, "Framework failed over");
        f->stream = NULL;
    }
    withdraw_offers(m, f, false);
    framework_count_call(f, SCHED__CALL__TYPE__SUBSCRIBE);
    attach(m, f, stream, stream_id);
    publish_framework(m, f, MAPI__EVENT__TYPE__FRAMEWORK_UPDATED);
    tell_agents(m, f);
    return 0;
}

static int subscribe(struct master *m, void *stream, const char *stream_id,
                     const Sched__Call__Subscribe *call, const char *principal, struct fl_err *err)
{
    V1__FrameworkInfo info = *call->framework_info;
    struct offer_constraints *constraints = NULL;
    bool is_new = !info.id || info.id->value[0] == '\0';
    int r;

    metric_inc(is_new ? m->core->c.messages_register_framework
                      : m->core->c.messages_reregister_framework);
    if (principal && !info.principal)
        info.principal = (char *)principal;
    r = check_info(m, &info, err);
    if (r == 0)
        r = acl_check_framework(m->acls, &info, err);
    if (r == 0)
        r = check_options(m, &info, call->suppressed_roles, call->n_suppressed_roles,
                          call->offer_constraints, &constraints, err);
    if (r < 0)
        return r;
    if (!is_new)
        return subscribe_known(m, stream, stream_id, call, &info, constraints, err);
    if (HASH_COUNT(m->frameworks) >= m->flags->max_frameworks) {
        offer_constraints_free(constraints);
        return fl_err_set(err, FL_LIMIT,
                          "There are --max_frameworks=%" PRIu64 " frameworks already",
                          m->flags->max_frameworks);
    }
    subscribe_new(m, stream, stream_id, call, &info, constraints);
    return 0;
}

void master_subscribe(struct master *m, void *stream, const char *stream_id,
                      const Sched__Call *call, const char *principal)
{
    struct fl_err err;

    assert(m->magic == MASTER_MAGIC);
    core_enter(m);
    if (subscribe(m, stream, stream_id, call->subscribe, principal, &err) < 0) {
        log_info("refusing the subscription of framework '%s': %s",
                 call->subscribe->framework_info->name, err.msg);
        framework_error(m, stream, err.msg);
    }
    core_leave(m);
}

/* ---- UPDATE_FRAMEWORK ---- */

int framework_update(struct master *m, struct framework *f,
                     const Sched__Call__UpdateFramework *call, struct fl_err *err)
{
    const V1__FrameworkInfo *info = call->framework_info;
    struct offer_constraints *constraints = NULL;
    bool changed;

    if (check_info(m, info, err) < 0) {
        fl_err_wrap(err, "Supplied FrameworkInfo is not valid");
        return 400;
    }
    if (validate_framework_update(f->info, info, err) < 0) {
        fl_err_wrap(err, "FrameworkInfo update is not valid");
        return 400;
    }
    if (check_options(m, info, call->suppressed_roles, call->n_suppressed_roles,
                      call->offer_constraints, &constraints, err) < 0) {
        fl_err_wrap(err, "'UpdateFramework' call is not valid");
        return 400;
    }
    if (acl_check_framework(m->acls, info, err) < 0) {
        offer_constraints_free(constraints);
        return 403;
    }
    changed = !fl_pb_equal(&f->info->base, &info->base);
    change(m, f, info, call->suppressed_roles, call->n_suppressed_roles, call->offer_constraints,
           constraints);
    if (changed) {
        publish_framework(m, f, MAPI__EVENT__TYPE__FRAMEWORK_UPDATED);
        tell_agents(m, f);
    }
    return 200;
}

/* ---- removal ---- */

static void kill_task(struct master *m, struct framework *f, struct task *t)
{
    struct made_status s = {
        .task_id = t->id,
        .agent_id = t->agent_id,
        .executor_id = t->executor_id,
        .state = V1__TASK_STATE__TASK_KILLED,
        .reason = V1__TASK_STATUS__REASON__REASON_FRAMEWORK_REMOVED,
        .message = core_printf(m, "Framework %s removed", f->id),
    };

    task_update(m, t, status_make(m, &s), NULL);
}

static void end_on_agents(struct master *m, struct framework *f)
{
    Msg__ShutdownFrameworkMessage msg = MSG__SHUTDOWN_FRAMEWORK_MESSAGE__INIT;
    struct agent *a, *a_tmp;
    struct executor *e, *e_tmp;

    msg.framework_id = f->info->id;
    HASH_ITER (hh, m->agents, a, a_tmp) {
        agents_send(m, a, &msg.base);
        DL_FOREACH_SAFE (a->executors, e, e_tmp) {
            if (e->framework == f)
                executor_remove(m, e);
        }
    }
}

static void end_tasks(struct master *m, struct framework *f)
{
    struct task *t, *tmp;

    HASH_ITER (hh, f->tasks, t, tmp) {
        kill_task(m, f, t);
        task_remove(m, t, false);
    }
    HASH_ITER (hh, f->unreachable_tasks, t, tmp) {
        kill_task(m, f, t);
        task_complete_unreachable(m, t);
    }
}

static void complete(struct master *m, struct framework *f)
{
    struct framework **tail = &m->completed_frameworks;

    HASH_DEL(m->frameworks, f);
    while (*tail)
        tail = &(*tail)->next_completed;
    *tail = f;
    m->n_completed_frameworks++;
    while (m->n_completed_frameworks > m->flags->max_completed_frameworks) {
        struct framework *oldest = m->completed_frameworks;
        m->completed_frameworks = oldest->next_completed;
        m->n_completed_frameworks--;
        framework_free(oldest);
    }
}

void framework_remove(struct master *m, struct framework *f)
{
    void *stream = f->stream;

    log_info("removing framework %s", f->id);
    disconnect(m, f);
    env_timer_stop(core_env(m), f->failover_timer);
    end_tasks(m, f);
    end_on_agents(m, f);
    f->unregistered_time = env_wall_s(core_env(m));
    framework_changed(f, true);
    f->recovered = false;
    shares_remove(m, f);
    roles_unsubscribe(m, f);
    m->alloc_ops->remove_framework(m->alloc, f->id);
    allocation_kick(m);
    if (stream)
        m->env->io->framework_close(m->env->ctx, stream);
    publish_framework_removed(m, f);
    complete(m, f);
}

int master_teardown(struct master *m, const char *framework_id, struct fl_err *err)
{
    struct framework *f = master_framework(m, framework_id);

    if (!f)
        return fl_err_set(err, FL_INVALID, "No framework found with specified ID");
    core_enter(m);
    framework_remove(m, f);
    core_leave(m);
    return 0;
}
