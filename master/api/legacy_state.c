/* /state, /slaves, /frameworks: the master's state in the JSON from before
 * the v1 API. Written straight into the answer's buffer; keys and their order as in
 * features.md 2.1. */
#include "common/model/legacy_json.h"
#include "master/api/legacy_parts.h"

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

void legacy_agent_fields(struct json_out *j, const struct agent *a, const struct viewer *v)
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

void legacy_framework_fields(struct json_out *j, const struct framework *f)
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

static void put_task(struct state_out *o, const struct task *t, void *arg)
{
    state_comma(o);
    task_writer_legacy(o->tasks, t, &o->buf);
}

static void framework_tasks(struct state_out *o, const struct framework *f)
{
    struct json_out *j = &o->j;

    json_karray(j, "tasks");
    state_each_task_of(o, f, TASKS_LIVE, put_task, NULL);
    json_end_array(j);
    json_karray(j, "unreachable_tasks");
    state_each_task_of(o, f, TASKS_UNREACHABLE, put_task, NULL);
    json_end_array(j);
    json_karray(j, "completed_tasks");
    state_each_task_of(o, f, TASKS_COMPLETED, put_task, NULL);
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

static void framework_executors(struct state_out *o, const struct framework *f,
                                struct executor_index *index)
{
    struct json_out *j = &o->j;
    struct executor_index *x;

    json_karray(j, "executors");
    HASH_FIND_PTR(index, &f, x);
    for (size_t i = 0; x && i < x->n; i++) {
        const struct executor *e = x->items[i];
        if (!viewer_sees_executor(o->viewer, e))
            continue;
        json_object(j);
        legacy_json_executor_fields(j, e->info, &e->resources);
        json_kstr(j, "slave_id", e->agent->id);
        json_end_object(j);
        state_step(o);
    }
    json_end_array(j);
}

static void framework_full(struct state_out *o, const struct framework *f,
                           struct executor_index *index)
{
    struct json_out *j = &o->j;
    const V1__FrameworkInfo *info = f->info;
    _cleanup_resources_ struct resources all = RESOURCES_INIT;

    json_object(j);
    legacy_framework_fields(j, f);
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
    framework_tasks(o, f);
    framework_offers(j, f);
    framework_executors(o, f, index);
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

static void framework_list(struct state_out *o, const char *only_id)
{
    struct executor_index *index = executors_by_framework(o->m);

    json_karray(&o->j, "frameworks");
    for (const struct framework *f = o->m->frameworks; f; f = f->hh.next)
        if ((!only_id || streq(only_id, f->id)) && viewer_sees_framework(o->viewer, f->info))
            framework_full(o, f, index);
    json_end_array(&o->j);
    json_karray(&o->j, "completed_frameworks");
    for (const struct framework *f = o->m->completed_frameworks; f; f = f->next_completed)
        if ((!only_id || streq(only_id, f->id)) && viewer_sees_framework(o->viewer, f->info))
            framework_full(o, f, index);
    json_end_array(&o->j);
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

static void write_state(struct state_out *o)
{
    struct json_out *j = &o->j;

    json_object(j);
    state_head(j, o->api, o->viewer);
    json_karray(j, "slaves");
    for (const struct agent *a = o->m->agents; a; a = a->hh.next) {
        json_object(j);
        legacy_agent_fields(j, a, o->viewer);
        json_end_object(j);
        state_step(o);
    }
    json_end_array(j);
    recovered_agents(j, o->m, NULL);
    framework_list(o, NULL);
    /* Neither can be any more; the keys stay for those who read them. */
    json_karray(j, "orphan_tasks");
    json_end_array(j);
    json_karray(j, "unregistered_frameworks");
    json_end_array(j);
    json_end_object(j);
}

static void write_slaves(struct state_out *o)
{
    struct json_out *j = &o->j;
    _cleanup_free_ char *only = http_query_get(o->rq->query, "slave_id");
    /* "/slaves/<id>", perhaps with another slash, means the same to clients that append the id. */
    const char *rest = o->rq->path_rest + strspn(o->rq->path_rest, "/");
    _cleanup_free_ char *below = xstrndup(rest, strcspn(rest, "/"));
    const char *id = only ? only : *below ? below : NULL;

    json_object(j);
    json_karray(j, "slaves");
    for (const struct agent *a = o->m->agents; a; a = a->hh.next) {
        if (id && !streq(id, a->id))
            continue;
        json_object(j);
        legacy_agent_fields(j, a, o->viewer);
        agent_full_fields(j, a, o->viewer);
        json_end_object(j);
        state_step(o);
    }
    json_end_array(j);
    recovered_agents(j, o->m, id);
    json_end_object(j);
}

static void write_frameworks(struct state_out *o)
{
    _cleanup_free_ char *only = http_query_get(o->rq->query, "framework_id");

    json_object(&o->j);
    framework_list(o, only);
    json_karray(&o->j, "unregistered_frameworks");
    json_end_array(&o->j);
    json_end_object(&o->j);
}

const struct state_view state_view_state = {"/state", write_state, false};
const struct state_view state_view_slaves = {"/slaves", write_slaves, true};
const struct state_view state_view_frameworks = {"/frameworks", write_frameworks, true};

void state_get(struct http_exchange *ex, void *arg)
{
    state_respond(ex, arg, &state_view_state);
}

void slaves_get(struct http_exchange *ex, void *arg)
{
    state_respond(ex, arg, &state_view_slaves);
}

void frameworks_get(struct http_exchange *ex, void *arg)
{
    state_respond(ex, arg, &state_view_frameworks);
}
