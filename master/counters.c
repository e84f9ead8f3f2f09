/* Counters whose names depend on what happened: ends of tasks by source and reason, operations by kind and
 * state, shares by role. And the allocator's numbers. */
#include "master/core.h"

#include <ctype.h>

#include "common/base/json.h"

/* ---- ends of tasks ---- */

/* "TASK_ERROR" -> "task_error"; the older word for agents, which monitors know. */
static void lower(const char *name, char out[64])
{
    char text[64] = "";
    char *agent;

    fl_snprintf(text, sizeof(text), "%s", name ? name : "unknown");
    for (char *p = text; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    agent = strstr(text, "agent");
    if (agent)
        memcpy(agent, "slave", 5);
    fl_snprintf(out, 64, "%s", text);
}

void count_end(struct master *m, V1__TaskState state, const V1__TaskStatus *st)
{
    struct metric **slot;
    char s[64], from[64], why[64], name[256];

    if (!st->has_reason || (size_t)state >= END_STATES || (size_t)st->source >= END_SOURCES ||
        (size_t)st->reason >= END_REASONS)
        return;
    slot = &m->core->ends[state][st->source][st->reason];
    if (!*slot) {
        lower(task_state_name(state), s);
        lower(fl_enum_name(&v1__task_status__source__descriptor, (int)st->source), from);
        lower(task_reason_name(st->reason), why);
        fl_snprintf(name, sizeof(name), "master/%s/%s/%s", s, from, why);
        *slot = metrics_counter(m->metrics, name);
    }
    metric_inc(*slot);
}

/* ---- operations ---- */

static const char *const operation_names[] = {
    [V1__OFFER__OPERATION__TYPE__RESERVE] = "reserve",
    [V1__OFFER__OPERATION__TYPE__UNRESERVE] = "unreserve",
    [V1__OFFER__OPERATION__TYPE__CREATE] = "create",
    [V1__OFFER__OPERATION__TYPE__DESTROY] = "destroy",
    [V1__OFFER__OPERATION__TYPE__GROW_VOLUME] = "grow_volume",
    [V1__OFFER__OPERATION__TYPE__SHRINK_VOLUME] = "shrink_volume",
    [V1__OFFER__OPERATION__TYPE__CREATE_DISK] = "create_disk",
    [V1__OFFER__OPERATION__TYPE__DESTROY_DISK] = "destroy_disk",
};
static const char *const operation_states[] = {
    "total",   "pending",     "finished",         "failed",     "error",
    "dropped", "unreachable", "gone_by_operator", "recovering",
};

static const char *operation_state(V1__OperationState s)
{
    switch (s) {
    case V1__OPERATION_STATE__OPERATION_PENDING:
        return "pending";
    case V1__OPERATION_STATE__OPERATION_FINISHED:
        return "finished";
    case V1__OPERATION_STATE__OPERATION_FAILED:
        return "failed";
    case V1__OPERATION_STATE__OPERATION_ERROR:
        return "error";
    case V1__OPERATION_STATE__OPERATION_DROPPED:
        return "dropped";
    case V1__OPERATION_STATE__OPERATION_UNREACHABLE:
        return "unreachable";
    case V1__OPERATION_STATE__OPERATION_GONE_BY_OPERATOR:
        return "gone_by_operator";
    case V1__OPERATION_STATE__OPERATION_RECOVERING:
        return "recovering";
    default:
        return NULL;
    }
}

static void add(struct master *m, V1__Offer__Operation__Type type, const char *state, double by)
{
    const char *kind = (size_t)type < ARRAY_SIZE(operation_names) ? operation_names[type] : NULL;

    metric_add(metrics_counter(m->metrics, core_printf(m, "master/operations/%s", state)), by);
    if (kind)
        metric_add(
            metrics_counter(m->metrics, core_printf(m, "master/operations/%s/%s", kind, state)),
            by);
}

void count_operation(struct master *m, V1__Offer__Operation__Type type, V1__OperationState from,
                     V1__OperationState to)
{
    const char *before = operation_state(from), *state = operation_state(to);

    if (from == to)
        add(m, type, "total", 1);
    else if (before && !operation_state_is_terminal(from))
        add(m, type, before, -1); /* those that ended stay counted */
    if (state)
        add(m, type, state, 1);
}

/* Monitors want the names from the start. */
static void operations_init(struct master *m)
{
    for (size_t s = 0; s < ARRAY_SIZE(operation_states); s++) {
        for (size_t t = 0; t < ARRAY_SIZE(operation_names); t++) {
            if (operation_names[t])
                add(m, (V1__Offer__Operation__Type)t, operation_states[s], 0);
        }
    }
}

/* ---- shares of roles ---- */

struct role_share {
    struct master *m;
    const char *role; /* interned */
    unsigned n;       /* frameworks that have it */
    UT_hash_handle hh;
};

static double pull_share(void *arg)
{
    struct role_share *s = arg;

    return s->m->alloc_ops->dominant_share ? s->m->alloc_ops->dominant_share(s->m->alloc, s->role)
                                           : 0;
}

static char *share_name(struct master *m, const char *role)
{
    return core_printf(m, "allocator/mesos/roles/%s/shares/dominant", role);
}

void shares_add(struct master *m, const struct framework *f)
{
    for (size_t i = 0; i < f->n_roles; i++) {
        struct role_share *s;
        HASH_FIND_PTR(m->core->shares, &f->roles[i], s);
        if (!s) {
            s = xnew0(struct role_share);
            s->m = m;
            s->role = f->roles[i];
            HASH_ADD_PTR(m->core->shares, role, s);
            metrics_pull(m->metrics, share_name(m, s->role), pull_share, s);
        }
        s->n++;
    }
}

static void share_free(struct master *m, struct role_share *s)
{
    HASH_DEL(m->core->shares, s);
    metrics_remove(m->metrics, share_name(m, s->role));
    free(s);
}

void shares_remove(struct master *m, const struct framework *f)
{
    for (size_t i = 0; i < f->n_roles; i++) {
        struct role_share *s;
        HASH_FIND_PTR(m->core->shares, &f->roles[i], s);
        if (s && --s->n == 0)
            share_free(m, s);
    }
}

/* ---- the allocator ---- */

static double pull_nothing(void *arg)
{
    return 0;
}

struct telling {
    metric_tell_f *tell;
    void *to;
};

/* Totals and shares have gauges of their own. */
static void tell_number(const char *name, double value, void *arg)
{
    const struct telling *t = arg;
    char full[512];

    if (str_starts(name, "resources/") || str_starts(name, "roles/"))
        return;
    fl_snprintf(full, sizeof(full), "allocator/mesos/%s", name);
    t->tell(full, value, t->to);
}

static void tell_all(metric_tell_f *tell, void *to, void *arg)
{
    struct master *m = arg;
    struct telling t = {tell, to};

    if (m->alloc && m->alloc_ops->numbers)
        m->alloc_ops->numbers(m->alloc, tell_number, &t);
    frameworks_tell(m, tell, to);
}

void counters_init(struct master *m)
{
    /* Of these there is no queue in which some could wait; event_queue_http_requests is the shell's. */
    static const char *const queues[] = {
        "master/event_queue_messages",
        "master/event_queue_dispatches",
        "allocator/event_queue_dispatches",
        "allocator/mesos/event_queue_dispatches",
    };

    for (size_t i = 0; i < ARRAY_SIZE(queues); i++)
        metrics_pull(m->metrics, queues[i], pull_nothing, NULL);
    metrics_source(m->metrics, tell_all, m);
    m->core->alloc_runs = metrics_counter(m->metrics, "allocator/mesos/allocation_runs");
    m->core->alloc_ms = metrics_timer(m->metrics, "allocator/mesos/allocation_run_ms");
    m->core->alloc_latency_ms =
        metrics_timer(m->metrics, "allocator/mesos/allocation_run_latency_ms");
    core_enter(m);
    operations_init(m);
    core_leave(m);
}

void counters_free(struct master *m)
{
    struct role_share *s, *tmp;

    metrics_source(m->metrics, NULL, NULL);
    core_enter(m);
    HASH_ITER (hh, m->core->shares, s, tmp) {
        share_free(m, s);
    }
    core_leave(m);
}
