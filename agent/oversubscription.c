/* The agent's side of oversubscription: asks the estimator every --oversubscribed_resources_interval and tells the master when the
 * answer has changed; asks the QoS controller and kills the executors it names.
 *
 * What the master hears is a total: revocable resources in use, by this agent's own books, and those that may still be offered. So a
 * task that the master has just sent is not counted twice, and one whose resources are no longer estimated keeps them. Each total
 * replaces the one before; it is sent again whenever the agent has registered, for a master that knows nothing of it.
 *
 * Core's thread.
 */
#include <errno.h>

#include "agent/agent_priv.h"
#include "agent/oversubscription.h"
#include "common/base/log.h"

/* A controller that may always be asked (--qos_correction_interval_min=0) is asked this often: the kernel has new load averages
 * every five seconds. */
#define QOS_INTERVAL_US 1000000ull

struct agent_oversub {
    struct agent_core *core;
    const struct estimator_ops *estimator;
    void *estimator_self;
    const struct qos_ops *qos;
    void *qos_self;
    bool estimated;         /* `total` holds an answer */
    struct resources total; /* as the master is told; allocated to nobody */
    struct env_timer *estimate_timer, *qos_timer;
};

struct qos_corrections {
    struct qos_kill {
        char *framework_id, *executor_id, *container_id;
    } * items;
    size_t n, cap;
};

/* ---- usage ---- */

static size_t count_executors(const struct agent_core *a)
{
    size_t n = 0;

    for (struct agent_framework *f = a->frameworks; f; f = f->hh.next)
        n += HASH_COUNT(f->executors);
    return n;
}

/* Takes the next word of *at. */
static char *next_word(const char **at)
{
    const char *word = *at + strspn(*at, " ");
    size_t n = strcspn(word, " \n");

    *at = word + n;
    return xstrndup(word, n);
}

/* "0.20 0.18 0.12 1/80 11206": the load averages of 1, 5 and 15 minutes come first. */
static void look_at_load(const struct agent_core *a, struct oversub_usage *u)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    _cleanup_free_ char *one = NULL, *five = NULL, *fifteen = NULL;
    const char *at;
    struct fl_err err;

    if (a->env->io->read(a->env->ctx, a->flags->load_average_file, &text, &err) < 0) {
        log_debug("%s", err.msg);
        return;
    }
    at = fl_buf_cstr(&text);
    one = next_word(&at);
    five = next_word(&at);
    fifteen = next_word(&at);
    u->has_load =
        fl_parse_f64(five, &u->load_5min) == 0 && fl_parse_f64(fifteen, &u->load_15min) == 0;
}

static void look(const struct agent_core *a, struct oversub_usage *u)
{
    size_t n = count_executors(a);

    *u = (struct oversub_usage){.total = &a->total};
    u->executors = xcalloc(n ? n : 1, sizeof *u->executors);
    for (struct agent_framework *f = a->frameworks; f; f = f->hh.next) {
        for (struct agent_executor *e = f->executors; e; e = e->hh.next) {
            struct oversub_executor *x = &u->executors[u->n_executors];

            if (e->state == EXECUTOR_TERMINATED)
                continue;
            x->framework_id = f->id;
            x->executor_id = e->id;
            x->container_id = e->container_id;
            agent_executor_allocated(e, &x->allocated);
            u->n_executors++;
        }
    }
    look_at_load(a, u);
}

static void look_away(struct oversub_usage *u)
{
    for (size_t i = 0; i < u->n_executors; i++)
        resources_done(&u->executors[i].allocated);
    free(u->executors);
}

/* ---- estimates ---- */

static int estimate(struct agent_oversub *o, struct resources *out)
{
    _cleanup_(look_away) struct oversub_usage u;
    _cleanup_resources_ struct resources firm = RESOURCES_INIT;
    struct fl_err err;
    int r;

    look(o->core, &u);
    r = o->estimator->estimate(o->estimator_self, &u, out, &err);
    if (r < 0) {
        log_error("The resource estimator '%s' failed: %s; its last estimate stands",
                  o->estimator->name, err.msg);
        return r;
    }
    resources_revocable(out, false, &firm);
    if (!resources_empty(&firm)) {
        log_error("The resource estimator '%s' names resources that are not revocable; its last "
                  "estimate stands",
                  o->estimator->name);
        return -EINVAL;
    }
    for (size_t i = 0; i < u.n_executors; i++) {
        _cleanup_resources_ struct resources used = RESOURCES_INIT;

        resources_revocable(&u.executors[i].allocated, true, &used);
        resources_unallocate(&used);
        resources_add(out, &used);
    }
    return 0;
}

const struct resources *agent_oversub_total(const struct agent_oversub *o)
{
    return &o->total;
}

void agent_oversub_fill(const struct agent_oversub *o, struct fl_arena *arena,
                        Msg__UpdateSlaveMessage *m)
{
    m->has_update_oversubscribed_resources = true;
    m->update_oversubscribed_resources = o->estimated;
    m->n_oversubscribed_resources = resources_to_pb(&o->total, RESOURCES_POST_REFINEMENT, false,
                                                    arena, &m->oversubscribed_resources);
}

static void tell_master(struct agent_oversub *o)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(2048);
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    Msg__UpdateSlaveMessage m = MSG__UPDATE_SLAVE_MESSAGE__INIT;

    resources_format(&o->total, &text);
    log_info("Oversubscribed resources are now '%s'", fl_buf_cstr(&text));
    m.slave_id = o->core->info->id;
    agent_oversub_fill(o, arena, &m);
    agent_send(o->core, &m.base);
}

/* Without an estimator there is something to say only as long as tasks of an earlier one run. */
static bool goes_on(const struct agent_oversub *o)
{
    return o->estimator != estimator_find("noop") || !resources_empty(&o->total);
}

static void on_estimate(void *arg)
{
    struct agent_oversub *o = arg;
    struct agent_core *a = o->core;
    _cleanup_resources_ struct resources fresh = RESOURCES_INIT;

    if (a->state == AGENT_TERMINATING)
        return;
    if (estimate(o, &fresh) == 0) {
        bool changed = !resources_equal(&fresh, &o->total);

        resources_move(&o->total, &fresh);
        o->estimated = true;
        if (changed && a->state == AGENT_RUNNING)
            tell_master(o);
    }
    if (goes_on(o))
        env_timer_set(agent_time(a), o->estimate_timer,
                      a->flags->oversubscribed_resources_interval);
}

/* ---- corrections ---- */

void qos_kill(struct qos_corrections *out, const struct oversub_executor *e)
{
    out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
    out->items[out->n++] = (struct qos_kill){xstrdup(e->framework_id), xstrdup(e->executor_id),
                                             xstrdup(e->container_id)};
}

static void corrections_done(struct qos_corrections *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->items[i].framework_id);
        free(c->items[i].executor_id);
        free(c->items[i].container_id);
    }
    free(c->items);
}

static void preempt(struct agent_core *a, const struct qos_kill *k)
{
    struct agent_framework *f = agent_find_framework(a, k->framework_id);
    struct agent_executor *e = f ? agent_find_executor(f, k->executor_id) : NULL;
    bool aware;

    /* One of that id may have come in its place, or it is on its way out already. */
    if (!e || f->terminating || !streq(e->container_id, k->container_id) ||
        (e->state != EXECUTOR_REGISTERING && e->state != EXECUTOR_RUNNING)) {
        log_debug("No correction of executor '%s' of framework '%s': it is ending or gone",
                  k->executor_id, k->framework_id);
        return;
    }
    log_info("Killing container '%s' of executor '%s' of framework '%s' as a QoS correction",
             e->container_id, e->id, f->id);
    aware = agent_framework_has(f, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE);
    agent_count(a, COUNT_EXECUTORS_PREEMPTED);
    agent_executor_destroy(e, task_state_for_framework(V1__TASK_STATE__TASK_GONE, aware),
                           V1__TASK_STATUS__REASON__REASON_CONTAINER_PREEMPTED,
                           "Container preempted by QoS correction");
}

static void correct(struct agent_oversub *o)
{
    _cleanup_(look_away) struct oversub_usage u;
    _cleanup_(corrections_done) struct qos_corrections c = {0};
    struct fl_err err;

    look(o->core, &u);
    if (o->qos->correct(o->qos_self, &u, &c, &err) < 0) {
        log_warning("The QoS controller '%s' failed: %s; nothing is corrected", o->qos->name,
                    err.msg);
        return;
    }
    for (size_t i = 0; i < c.n; i++)
        preempt(o->core, &c.items[i]);
}

static void on_qos(void *arg)
{
    struct agent_oversub *o = arg;
    struct agent_core *a = o->core;
    uint64_t interval = a->flags->qos_correction_interval_min;

    if (a->state == AGENT_TERMINATING)
        return;
    env_timer_set(agent_time(a), o->qos_timer, interval ? interval : QOS_INTERVAL_US);
    if (a->state != AGENT_RECOVERING)
        correct(o);
}

/* ---- life ---- */

void agent_oversub_start(struct agent_oversub *o)
{
    const struct env *env = agent_time(o->core);

    o->estimate_timer = env_timer_new(env, on_estimate, o);
    on_estimate(o);
    if (o->qos == qos_find("noop"))
        return;
    o->qos_timer = env_timer_new(env, on_qos, o);
    env_timer_set(env, o->qos_timer, 0);
}

static int find_estimator(struct agent_oversub *o, struct fl_err *err)
{
    const char *name = o->core->flags->resource_estimator;

    o->estimator = estimator_find(name ? name : "noop");
    if (o->estimator)
        return 0;
    return fl_err_set(err, FL_INVALID,
                      "flag '--resource_estimator=%s' names no estimator; there are 'noop' and "
                      "'org_apache_mesos_FixedResourceEstimator' (or 'fixed')",
                      name);
}

static int find_qos(struct agent_oversub *o, struct fl_err *err)
{
    const char *name = o->core->flags->qos_controller;

    o->qos = qos_find(name ? name : "noop");
    if (o->qos)
        return 0;
    return fl_err_set(err, FL_INVALID,
                      "flag '--qos_controller=%s' names no QoS controller; there are 'noop' and "
                      "'org_apache_mesos_LoadQoSController' (or 'load')",
                      name);
}

/* Short flags first: what --modules says of the same parameter is later and counts. */
static void take_flags(const struct agent_flags *f, struct module_parameters *p)
{
    const struct {
        const char *key, *value;
    } rows[] = {
        {"resources", f->oversubscription_fixed},
        {"load_threshold_5min", f->qos_load_threshold_5min},
        {"load_threshold_15min", f->qos_load_threshold_15min},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].value)
            module_parameters_set(p, rows[i].key, rows[i].value);
    }
}

static int read_parameters(struct agent_core *a, const char *const *names,
                           struct module_parameters *out, struct fl_err *err)
{
    const struct module_source source = {a->flags, a->env->io, a->env->ctx};

    return module_parameters_read(&source, names, out, err);
}

static int make_estimator(struct agent_oversub *o, struct fl_err *err)
{
    _cleanup_(module_parameters_done) struct module_parameters p = {0};
    const char *names[] = {o->estimator->name, o->core->flags->resource_estimator, NULL};
    int r;

    take_flags(o->core->flags, &p);
    r = read_parameters(o->core, names, &p, err);
    if (r == 0)
        r = o->estimator->create(&p, &o->estimator_self, err);
    if (r < 0)
        o->estimator = NULL;
    return r;
}

static int make_qos(struct agent_oversub *o, struct fl_err *err)
{
    _cleanup_(module_parameters_done) struct module_parameters p = {0};
    const char *names[] = {o->qos->name, o->core->flags->qos_controller, NULL};
    int r;

    take_flags(o->core->flags, &p);
    r = read_parameters(o->core, names, &p, err);
    if (r == 0)
        r = o->qos->create(&p, &o->qos_self, err);
    if (r < 0)
        o->qos = NULL;
    return r;
}

int agent_oversub_new(struct agent_core *a, struct agent_oversub **ret, struct fl_err *err)
{
    struct agent_oversub *o = xnew0(struct agent_oversub);
    int r;

    o->core = a;
    r = find_estimator(o, err);
    if (r == 0)
        r = make_estimator(o, err);
    if (r == 0)
        r = find_qos(o, err);
    if (r == 0)
        r = make_qos(o, err);
    if (r < 0) {
        agent_oversub_free(o);
        return r;
    }
    *ret = o;
    return 0;
}

void agent_oversub_free(struct agent_oversub *o)
{
    if (!o)
        return;
    env_timer_free(agent_time(o->core), o->estimate_timer);
    env_timer_free(agent_time(o->core), o->qos_timer);
    if (o->estimator)
        o->estimator->destroy(o->estimator_self);
    if (o->qos)
        o->qos->destroy(o->qos_self);
    resources_done(&o->total);
    free(o);
}
