/* GET /state of the agent, key for key what tools read of the reference's (features.md 2.2). */
#include <utlist.h>

#include "agent/api/handlers.h"
#include "common/model/acl_resources.h"
#include "common/model/attributes.h"
#include "common/model/legacy_json.h"

static void write_task(struct json_out *j, const struct agent_task *t, const struct agent_viewer *v)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;

    if (!agent_viewer_task(v, t))
        return;
    arena = fl_arena_new(8192);
    legacy_json_task(j, agent_task_pb(t, arena), &t->resources);
}

static void write_queued_task(struct json_out *j, const struct agent_task *t,
                              const struct agent_viewer *v)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;

    if (!agent_viewer_task(v, t))
        return;
    arena = fl_arena_new(8192);
    legacy_json_queued_task(j, agent_task_pb(t, arena), t->info ? t->info->command : NULL,
                            &t->resources);
}

/* "tasks": launched and terminated ones; "queued_tasks": those that wait. */
static void write_tasks(struct json_out *j, const struct agent_executor *e,
                        const struct agent_viewer *v)
{
    json_karray(j, "tasks");
    for (struct agent_task *t = e->tasks; t; t = t->next) {
        if (t->phase == AGENT_TASK_LAUNCHED)
            write_task(j, t, v);
    }
    json_end_array(j);
    json_karray(j, "queued_tasks");
    for (struct agent_task *t = e->tasks; t; t = t->next) {
        if (t->phase == AGENT_TASK_QUEUED)
            write_queued_task(j, t, v);
    }
    json_end_array(j);
}

static void write_completed_tasks(struct json_out *j, const struct agent_executor *e,
                                  const struct agent_viewer *v)
{
    struct agent_task *t;

    json_karray(j, "completed_tasks");
    DL_FOREACH (e->completed, t) {
        write_task(j, t, v);
    }
    for (t = e->tasks; t; t = t->next) {
        if (t->phase == AGENT_TASK_TERMINATED)
            write_task(j, t, v);
    }
    json_end_array(j);
}

static void write_executor(struct json_out *j, const struct agent_executor *e,
                           const struct agent_viewer *v)
{
    _cleanup_resources_ struct resources res = RESOURCES_INIT;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;
    _cleanup_free_ char *directory = NULL;
    const V1__ExecutorInfo *info;
    const char *role = resources_allocation_role(&e->resources);

    if (!agent_viewer_executor(v, ACL_VIEW_EXECUTORS, e))
        return;
    arena = fl_arena_new(4096);
    info = agent_executor_info(e, arena);
    directory = agent_executor_directory(e);
    agent_executor_allocated(e, &res);
    json_object(j);
    json_kstr(j, "id", e->id);
    json_kstr(j, "name", info->name ? info->name : "");
    json_kstr(j, "source", info->source ? info->source : "");
    json_kstr(j, "container", e->container_id);
    json_kstr(j, "directory", directory);
    json_key(j, "resources");
    resources_json_summary(&res, j);
    if (role)
        json_kstr(j, "role", role);
    if (info->labels) {
        json_key(j, "labels");
        legacy_json_labels(j, info->labels);
    }
    if (info->has_type)
        json_kstr(j, "type", fl_enum_name(&v1__executor_info__type__descriptor, (int)info->type));
    write_tasks(j, e, v);
    write_completed_tasks(j, e, v);
    json_end_object(j);
}

static void write_framework(struct json_out *j, const struct agent_framework *f,
                            const struct agent_viewer *v)
{
    const V1__FrameworkInfo *info = f->info;
    struct agent_executor *e;

    if (!agent_viewer_framework(v, f))
        return;
    json_object(j);
    json_kstr(j, "id", f->id);
    json_kstr(j, "name", info->name);
    json_kstr(j, "user", info->user);
    json_kdouble(j, "failover_timeout", info->has_failover_timeout ? info->failover_timeout : 0);
    json_kbool(j, "checkpoint", info->has_checkpoint && info->checkpoint);
    json_kstr(j, "hostname", info->hostname ? info->hostname : "");
    if (info->principal)
        json_kstr(j, "principal", info->principal);
    legacy_json_framework_roles(j, info);
    json_karray(j, "executors");
    for (e = f->executors; e; e = e->hh.next)
        write_executor(j, e, v);
    json_end_array(j);
    json_karray(j, "completed_executors");
    DL_FOREACH (f->completed, e) {
        write_executor(j, e, v);
    }
    json_end_array(j);
    json_end_object(j);
}

static void write_frameworks(struct json_out *j, const struct agent_core *a,
                             const struct agent_viewer *v)
{
    struct agent_framework *f;

    json_karray(j, "frameworks");
    for (f = a->frameworks; f; f = f->hh.next)
        write_framework(j, f, v);
    json_end_array(j);
    json_karray(j, "completed_frameworks");
    DL_FOREACH (a->completed_frameworks, f) {
        write_framework(j, f, v);
    }
    json_end_array(j);
}

static void write_part(struct json_out *j, const char *key, const struct resources *r)
{
    json_key(j, key);
    resources_json_summary(r, j);
}

static void write_resources(struct json_out *j, const struct agent_core *a,
                            const struct agent_viewer *v)
{
    _cleanup_approver_ struct acl_approver *roles =
        acl_approver_get(v->acls, ACL_VIEW_ROLES, v->principal);
    _cleanup_resources_ struct resources room = RESOURCES_INIT, used_room = RESOURCES_INIT;
    _cleanup_resources_ struct resources unreserved = RESOURCES_INIT, used = RESOURCES_INIT,
                                         used_unreserved = RESOURCES_INIT;
    const struct resources *seen = acl_visible_resources(roles, &a->total, &room);

    resources_unreserved(&a->total, &unreserved);
    agent_allocated(a, &used);
    resources_unreserved(&used, &used_unreserved);
    write_part(j, "resources", &a->total);
    json_key(j, "reserved_resources");
    legacy_json_reservations(j, seen);
    write_part(j, "unreserved_resources", &unreserved);
    json_key(j, "reserved_resources_full");
    legacy_json_reservations_full(j, seen);
    json_key(j, "unreserved_resources_full");
    resources_json_full(&unreserved, j, FL_JSON_LEGACY);
    json_key(j, "reserved_resources_allocated");
    legacy_json_reservations(j, acl_visible_resources(roles, &used, &used_room));
    write_part(j, "unreserved_resources_allocated", &used_unreserved);
}

static void write_capabilities(struct json_out *j)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
    V1__AgentInfo__Capability **list;
    size_t n = agent_capabilities(arena, &list);

    json_karray(j, "capabilities");
    for (size_t i = 0; i < n; i++)
        json_string(
            j, fl_enum_name(&v1__agent_info__capability__type__descriptor, (int)list[i]->type));
    json_end_array(j);
}

static void write_head(struct json_out *j, const struct agent_core *a)
{
    legacy_json_build_fields(j);
    json_kdouble(j, "start_time", a->start_time);
    json_kstr(j, "id", a->info->id ? a->info->id->value : "");
    json_kstr(j, "pid", a->pid);
    json_kstr(j, "hostname", a->info->hostname);
    write_capabilities(j);
    if (a->info->domain) {
        json_key(j, "domain");
        legacy_json_domain(j, a->info->domain);
    }
    if (a->drain) {
        json_kpb(j, "drain_config", &a->drain->base, FL_JSON_LEGACY);
        /* Whole seconds here, unlike the master. */
        json_kint(j, "estimated_drain_start_time_seconds", (int64_t)a->drain_start_time);
    }
}

static void write_flags(struct json_out *j, const struct agent_api *api)
{
    const struct agent_flags *flags = api->core->flags;

    if (flags->log_dir)
        json_kstr(j, "log_dir", flags->log_dir);
    if (flags->external_log_file)
        json_kstr(j, "external_log_file", flags->external_log_file);
    json_key(j, "flags");
    legacy_flags_object(j, api->flags);
}

void agent_state_get(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;
    const struct agent_core *a = api->core;
    const struct agent_viewer viewer = agent_viewer_of(api, ex);
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    _cleanup_free_ char *master_host = NULL;
    struct json_out j = json_out_on(&out);

    json_object(&j);
    write_head(&j, a);
    write_resources(&j, a, &viewer);
    json_karray(&j, "resource_providers");
    json_end_array(&j);
    json_key(&j, "attributes");
    attributes_json(a->info->attributes, a->info->n_attributes, &j);
    if (a->master_address) {
        const char *colon = strrchr(a->master_address, ':');

        master_host = colon ? xstrndup(a->master_address, (size_t)(colon - a->master_address))
                            : xstrdup(a->master_address);
        json_kstr(&j, "master_hostname", master_host);
    }
    if (acls_allow(viewer.acls, ACL_VIEW_FLAGS, viewer.principal, NULL))
        write_flags(&j, api);
    write_frameworks(&j, a, &viewer);
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}
