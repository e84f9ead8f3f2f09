/* /state, /slaves, /frameworks, /state-summary, /tasks: the master's state in the JSON from before
 * the v1 API. Written straight into the answer's buffer; keys and their order as in
 * features.md 2.1. */
#include "common/model/legacy_json.h"
#include "master/api/handlers.h"
#include "master/api/views.h"

/* ---- executors of a framework: the core keeps them by agent, these endpoints list them by
 * framework ---- */

struct executor_index {
    const struct framework *framework; /* key */
    const struct executor **items;     /* owned */
    size_t n, cap;
    UT_hash_handle hh;
};

static struct executor_index *executors_by_framework(const struct master *m)
{
    struct executor_index *index = NULL, *x;

    for (const struct agent *a = m->agents; a; a = a->hh.next) {
        for (const struct executor *e = a->executors; e; e = e->next) {
            HASH_FIND_PTR(index, &e->framework, x);
            if (!x) {
                x = xnew0(struct executor_index);
                x->framework = e->framework;
                HASH_ADD_PTR(index, framework, x);
            }
            x->items = xgrow(x->items, &x->cap, x->n + 1, sizeof(*x->items));
            x->items[x->n++] = e;
        }
    }
    return index;
}

static void executor_index_free(struct executor_index *index)
{
    struct executor_index *x, *next;

    HASH_ITER (hh, index, x, next) {
        HASH_DEL(index, x);
        free(x->items);
        free(x);
    }
}

/* ---- pieces ---- */

void legacy_task(struct json_out *j, const struct task *t)
{
    struct fl_arena *arena = fl_arena_new(2048);

    legacy_json_task(j, master_task_pb(t, arena), t->resources);
    fl_arena_free(arena);
}

static void agent_fields(struct json_out *j, const struct agent *a, const struct viewer *v)
{
    _cleanup_resources_ struct resources unreserved = RESOURCES_INIT, room = RESOURCES_INIT;

    legacy_json_agent_fields(j, a->info);
    json_kstr(j, "pid", a->pid);
    json_kdouble(j, "registered_time", a->registered_time);
    if (a->reregistered_time > 0)
        json_kdouble(j, "reregistered_time", a->reregistered_time);
    json_key(j, "resources");
    resources_json_summary(&a->total, j);
    json_key(j, "used_resources");
    resources_json_summary(&a->used, j);
    json_key(j, "offered_resources");
    resources_json_summary(&a->offered, j);
    json_key(j, "reserved_resources");
    legacy_json_reservations(j, viewer_resources(v, &a->total, &room));
    resources_unreserved(&a->total, &unreserved);
    json_key(j, "unreserved_resources");
    resources_json_summary(&unreserved, j);
    json_kbool(j, "active", a->active);
    json_kbool(j, "deactivated", a->deactivated);
    json_kstr(j, "version", a->version);
    json_karray(j, "capabilities");
    for (size_t i = 0; i < a->n_capabilities; i++)
        json_string(j, fl_enum_name(&v1__agent_info__capability__type__descriptor,
                                    (int)a->capabilities[i]));
    json_end_array(j);
    if (a->drain_info) {
        json_kpb(j, "drain_info", &a->drain_info->base, FL_JSON_LEGACY);
        if (a->drain_start_time > 0)
            json_kdouble(j, "estimated_drain_start_time_seconds", a->drain_start_time);
    }
}

static void full_field(struct json_out *j, const char *key, const struct resources *r,
                       const struct viewer *v)
{
    _cleanup_resources_ struct resources room = RESOURCES_INIT;

    json_key(j, key);
    resources_json_full(viewer_resources(v, r, &room), j, FL_JSON_LEGACY);
}

static void agent_full_fields(struct json_out *j, const struct agent *a, const struct viewer *v)
{
    _cleanup_resources_ struct resources unreserved = RESOURCES_INIT, room = RESOURCES_INIT;

    json_key(j, "reserved_resources_full");
    legacy_json_reservations_full(j, viewer_resources(v, &a->total, &room));
    resources_unreserved(&a->total, &unreserved);
    json_key(j, "unreserved_resources_full");
    resources_json_full(&unreserved, j, FL_JSON_LEGACY);
    full_field(j, "used_resources_full", &a->used, v);
    full_field(j, "offered_resources_full", &a->offered, v);
}

static void framework_summary_fields(struct json_out *j, const struct framework *f)
{
    json_kstr(j, "id", f->id);
    json_kstr(j, "name", f->info->name);
    json_key(j, "used_resources");
    resources_json_summary(&f->used, j);
    json_key(j, "offered_resources");
    resources_json_summary(&f->offered, j);
    json_key(j, "capabilities");
    legacy_json_framework_capabilities(j, f->info);
    json_kstr(j, "hostname", f->info->hostname);
    json_kstr(j, "webui_url", f->info->webui_url);
    json_kbool(j, "active", f->active);
    json_kbool(j, "connected", f->connected);
    json_kbool(j, "recovered", f->recovered);
}

static void framework_tasks(struct json_out *j, const struct framework *f, struct viewer *v)
{
    json_karray(j, "tasks");
    for (const struct task *t = f->tasks; t; t = t->hh.next)
        if (viewer_sees_task(v, t))
            legacy_task(j, t);
    json_end_array(j);
    json_karray(j, "unreachable_tasks");
    for (const struct task *t = f->unreachable_tasks; t; t = t->hh.next)
        if (viewer_sees_task(v, t))
            legacy_task(j, t);
    json_end_array(j);
    json_karray(j, "completed_tasks");
    for (const struct task *t = f->completed_tasks; t; t = t->next_completed)
        if (viewer_sees_task(v, t))
            legacy_task(j, t);
    json_end_array(j);
}

static void framework_offers(struct json_out *j, const struct framework *f)
{
    json_karray(j, "offers");
    for (const struct offer *o = f->offers; o; o = o->framework_next) {
        json_object(j);
        json_kstr(j, "id", o->id);
        json_kstr(j, "framework_id", f->id);
        json_kobject(j, "allocation_info");
        json_kstr(j, "role", o->role);
        json_end_object(j);
        json_kstr(j, "slave_id", o->agent->id);
        json_key(j, "resources");
        resources_json_summary(&o->resources, j);
        json_end_object(j);
    }
    json_end_array(j);
}

static void framework_executors(struct json_out *j, const struct framework *f,
                                const struct viewer *v, struct executor_index *index)
{
    struct executor_index *x;

    json_karray(j, "executors");
    HASH_FIND_PTR(index, &f, x);
    for (size_t i = 0; x && i < x->n; i++) {
        const struct executor *e = x->items[i];
        if (!viewer_sees_executor(v, e))
            continue;
        json_object(j);
        legacy_json_executor_fields(j, e->info, &e->resources);
        json_kstr(j, "slave_id", e->agent->id);
        json_end_object(j);
    }
    json_end_array(j);
}

static void framework_full(struct json_out *j, const struct framework *f, struct viewer *v,
                           struct executor_index *index)
{
    const V1__FrameworkInfo *info = f->info;
    _cleanup_resources_ struct resources all = RESOURCES_INIT;

    json_object(j);
    framework_summary_fields(j, f);
    json_kstr(j, "user", info->user);
    json_kdouble(j, "failover_timeout", info->failover_timeout);
    json_kbool(j, "checkpoint", info->checkpoint);
    json_kdouble(j, "registered_time", f->registered_time);
    json_kdouble(j, "unregistered_time", f->unregistered_time);
    if (info->principal)
        json_kstr(j, "principal", info->principal);
    resources_copy(&all, &f->used);
    resources_add(&all, &f->offered);
    json_key(j, "resources");
    resources_json_summary(&all, j);
    if (f->reregistered_time > 0 && f->reregistered_time != f->registered_time)
        json_kdouble(j, "reregistered_time", f->reregistered_time);
    legacy_json_framework_roles(j, info);
    framework_tasks(j, f, v);
    framework_offers(j, f);
    framework_executors(j, f, v, index);
    if (info->labels) {
        json_key(j, "labels");
        legacy_json_labels(j, info->labels);
    }
    json_key(j, "offer_constraints");
    if (f->constraints_pb)
        json_pb(j, &f->constraints_pb->base, FL_JSON_LEGACY);
    else {
        json_object(j);
        json_end_object(j);
    }
    json_end_object(j);
}

static void framework_lists(struct json_out *j, const struct master *m, struct viewer *v,
                            const char *only_id)
{
    struct executor_index *index = executors_by_framework(m);

    json_karray(j, "frameworks");
    for (const struct framework *f = m->frameworks; f; f = f->hh.next)
        if ((!only_id || streq(only_id, f->id)) && viewer_sees_framework(v, f->info))
            framework_full(j, f, v, index);
    json_end_array(j);
    json_karray(j, "completed_frameworks");
    for (const struct framework *f = m->completed_frameworks; f; f = f->next_completed)
        if ((!only_id || streq(only_id, f->id)) && viewer_sees_framework(v, f->info))
            framework_full(j, f, v, index);
    json_end_array(j);
    executor_index_free(index);
}

static void recovered_agents(struct json_out *j, const struct master *m, const char *only_id)
{
    json_karray(j, "recovered_slaves");
    for (const struct known_agent *k = m->recovered_agents; k; k = k->hh.next) {
        if (!k->info || (only_id && !streq(only_id, k->id)))
            continue;
        json_object(j);
        legacy_json_agent_fields(j, k->info);
        json_end_object(j);
    }
    json_end_array(j);
}

/* ---- /state ---- */

static void state_head(struct json_out *j, const struct master_api *api, const struct viewer *v)
{
    const struct master *m = api->master;
    unsigned active = 0, inactive = 0;

    for (const struct agent *a = m->agents; a; a = a->hh.next)
        *(a->active ? &active : &inactive) += 1;
    legacy_json_build_fields(j);
    json_kdouble(j, "start_time", m->start_time);
    json_kdouble(j, "elected_time", m->elected_time);
    json_kstr(j, "id", m->id);
    json_kstr(j, "pid", m->info->pid);
    json_kstr(j, "hostname", m->info->hostname);
    json_karray(j, "capabilities");
    for (size_t i = 0; i < m->info->n_capabilities; i++)
        json_string(j, fl_enum_name(&v1__master_info__capability__type__descriptor,
                                    (int)m->info->capabilities[i]->type));
    json_end_array(j);
    json_kuint(j, "activated_slaves", active);
    json_kuint(j, "deactivated_slaves", inactive);
    json_kuint(j, "unreachable_slaves", HASH_COUNT(m->unreachable_agents));
    if (m->info->domain) {
        json_key(j, "domain");
        legacy_json_domain(j, m->info->domain);
    }
    json_kstr(j, "leader", m->info->pid);
    json_kobject(j, "leader_info");
    json_kstr(j, "id", m->id);
    json_kstr(j, "pid", m->info->pid);
    json_kint(j, "port", m->info->port);
    json_kstr(j, "hostname", m->info->hostname);
    if (m->info->domain) {
        json_key(j, "domain");
        legacy_json_domain(j, m->info->domain);
    }
    json_end_object(j);
    if (!viewer_sees_flags(v))
        return;
    if (m->flags->cluster)
        json_kstr(j, "cluster", m->flags->cluster);
    if (m->flags->log_dir)
        json_kstr(j, "log_dir", m->flags->log_dir);
    if (m->flags->external_log_file)
        json_kstr(j, "external_log_file", m->flags->external_log_file);
    json_key(j, "flags");
    legacy_flags_object(j, api->flags);
}

void state_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const struct master *m = api->master;
    _cleanup_viewer_ struct viewer *v = viewer_new(m, http_guard_principal(ex));
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    json_object(&j);
    state_head(&j, api, v);
    json_karray(&j, "slaves");
    for (const struct agent *a = m->agents; a; a = a->hh.next) {
        json_object(&j);
        agent_fields(&j, a, v);
        json_end_object(&j);
    }
    json_end_array(&j);
    recovered_agents(&j, m, NULL);
    framework_lists(&j, m, v, NULL);
    /* Neither can be any more; the keys stay for those who read them. */
    json_karray(&j, "orphan_tasks");
    json_end_array(&j);
    json_karray(&j, "unregistered_frameworks");
    json_end_array(&j);
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}

void slaves_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const struct http_request *r = http_exchange_request(ex);
    _cleanup_free_ char *only = http_query_get(r->query, "slave_id");
    _cleanup_viewer_ struct viewer *v = viewer_new(api->master, http_guard_principal(ex));
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    /* "/slaves/<id>" means the same to clients that append the id. */
    const char *id = only                                        ? only
                     : r->path_rest[0] == '/' && r->path_rest[1] ? r->path_rest + 1
                                                                 : NULL;

    json_object(&j);
    json_karray(&j, "slaves");
    for (const struct agent *a = api->master->agents; a; a = a->hh.next) {
        if (id && !streq(id, a->id))
            continue;
        json_object(&j);
        agent_fields(&j, a, v);
        agent_full_fields(&j, a, v);
        json_end_object(&j);
    }
    json_end_array(&j);
    recovered_agents(&j, api->master, id);
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}

void frameworks_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    _cleanup_free_ char *only = http_query_get(http_exchange_request(ex)->query, "framework_id");
    _cleanup_viewer_ struct viewer *v = viewer_new(api->master, http_guard_principal(ex));
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    json_object(&j);
    framework_lists(&j, api->master, v, only);
    json_karray(&j, "unregistered_frameworks");
    json_end_array(&j);
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}

/* ---- /state-summary ---- */

/* Counts of task states, and who runs where. */
struct tally {
    const void *who; /* framework; or agent id text */
    char agent_id[64];
    unsigned counts[32];
    const char **others; /* ids, borrowed; each once */
    size_t n_others, cap;
    UT_hash_handle hh;
};

static void tally_add(struct tally *t, V1__TaskState state, const char *other)
{
    if ((size_t)state < ARRAY_SIZE(t->counts))
        t->counts[state]++;
    /* Tasks of one framework come in a row, so the last one is nearly always the same. */
    for (size_t i = t->n_others; i-- > 0;)
        if (streq(t->others[i], other))
            return;
    t->others = xgrow(t->others, &t->cap, t->n_others + 1, sizeof(*t->others));
    t->others[t->n_others++] = other;
}

static void tally_task(struct tally **agents, struct tally *framework, const struct framework *f,
                       const struct task *t)
{
    struct tally *a;

    HASH_FIND_STR(*agents, t->agent_id, a);
    if (!a) {
        a = xnew0(struct tally);
        fl_snprintf(a->agent_id, sizeof(a->agent_id), "%s", t->agent_id);
        HASH_ADD_STR(*agents, agent_id, a);
    }
    tally_add(a, t->state, f->id);
    tally_add(framework, t->state, t->agent_id);
}

static void tally_fields(struct json_out *j, const struct tally *t, const char *others_key)
{
    static const V1__TaskState states[] = {
        V1__TASK_STATE__TASK_STAGING,  V1__TASK_STATE__TASK_STARTING,
        V1__TASK_STATE__TASK_RUNNING,  V1__TASK_STATE__TASK_KILLING,
        V1__TASK_STATE__TASK_FINISHED, V1__TASK_STATE__TASK_KILLED,
        V1__TASK_STATE__TASK_FAILED,   V1__TASK_STATE__TASK_LOST,
        V1__TASK_STATE__TASK_ERROR,    V1__TASK_STATE__TASK_UNREACHABLE,
    };

    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        json_kuint(j, task_state_name(states[i]), t ? t->counts[states[i]] : 0);
    json_karray(j, others_key);
    for (size_t i = 0; t && i < t->n_others; i++)
        json_string(j, t->others[i]);
    json_end_array(j);
}

static void tally_free(struct tally *list)
{
    struct tally *t, *next;

    HASH_ITER (hh, list, t, next) {
        HASH_DEL(list, t);
        free(t->others);
        free(t);
    }
}

static void tally_all(const struct master *m, struct tally **agents, struct tally **frameworks)
{
    for (const struct framework *f = m->frameworks; f; f = f->hh.next) {
        struct tally *x = xnew0(struct tally);
        x->who = f;
        HASH_ADD_PTR(*frameworks, who, x);
        for (const struct task *t = f->tasks; t; t = t->hh.next)
            tally_task(agents, x, f, t);
        for (const struct task *t = f->unreachable_tasks; t; t = t->hh.next)
            tally_task(agents, x, f, t);
        for (const struct task *t = f->completed_tasks; t; t = t->next_completed)
            tally_task(agents, x, f, t);
    }
}

void state_summary_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const struct master *m = api->master;
    _cleanup_viewer_ struct viewer *v = viewer_new(m, http_guard_principal(ex));
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    struct tally *agents = NULL, *frameworks = NULL, *t;

    tally_all(m, &agents, &frameworks);
    json_object(&j);
    json_kstr(&j, "hostname", m->info->hostname);
    if (m->flags->cluster)
        json_kstr(&j, "cluster", m->flags->cluster);
    json_karray(&j, "slaves");
    for (const struct agent *a = m->agents; a; a = a->hh.next) {
        HASH_FIND_STR(agents, a->id, t);
        json_object(&j);
        agent_fields(&j, a, v);
        tally_fields(&j, t, "framework_ids");
        json_end_object(&j);
    }
    json_end_array(&j);
    json_karray(&j, "frameworks");
    for (const struct framework *f = m->frameworks; f; f = f->hh.next) {
        const void *key = f;
        if (!viewer_sees_framework(v, f->info))
            continue;
        HASH_FIND_PTR(frameworks, &key, t);
        json_object(&j);
        framework_summary_fields(&j, f);
        tally_fields(&j, t, "slave_ids");
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    tally_free(agents);
    tally_free(frameworks);
    http_respond_json(ex, 200, &out);
}
