/* See legacy_json.h. The keys and their order are the reference's; a key is left out exactly when
 * it is there. */
#include "common/model/legacy_json.h"

#include "common/base/build.h"
#include "common/model/attributes.h"
#include "common/model/roles.h"
#include "common/model/task_state.h"

void legacy_json_labels(struct json_out *j, const V1__Labels *l)
{
    json_array(j);
    for (size_t i = 0; l && i < l->n_labels; i++)
        json_pb(j, &l->labels[i]->base, FL_JSON_LEGACY);
    json_end_array(j);
}

static void network_info(struct json_out *j, const V1__NetworkInfo *n)
{
    json_object(j);
    if (n->n_groups) {
        json_karray(j, "groups");
        for (size_t i = 0; i < n->n_groups; i++)
            json_string(j, n->groups[i]);
        json_end_array(j);
    }
    if (n->labels) {
        json_key(j, "labels");
        legacy_json_labels(j, n->labels);
    }
    if (n->n_ip_addresses) {
        json_karray(j, "ip_addresses");
        for (size_t i = 0; i < n->n_ip_addresses; i++)
            json_pb(j, &n->ip_addresses[i]->base, FL_JSON_LEGACY);
        json_end_array(j);
    }
    if (n->name)
        json_kstr(j, "name", n->name);
    if (n->n_port_mappings) {
        json_karray(j, "port_mappings");
        for (size_t i = 0; i < n->n_port_mappings; i++)
            json_pb(j, &n->port_mappings[i]->base, FL_JSON_LEGACY);
        json_end_array(j);
    }
    json_end_object(j);
}

static void container_status(struct json_out *j, const V1__ContainerStatus *s)
{
    json_object(j);
    if (s->container_id)
        json_kpb(j, "container_id", &s->container_id->base, FL_JSON_LEGACY);
    if (s->n_network_infos) {
        json_karray(j, "network_infos");
        for (size_t i = 0; i < s->n_network_infos; i++)
            network_info(j, s->network_infos[i]);
        json_end_array(j);
    }
    if (s->cgroup_info)
        json_kpb(j, "cgroup_info", &s->cgroup_info->base, FL_JSON_LEGACY);
    json_end_object(j);
}

static void task_status(struct json_out *j, const V1__TaskStatus *s)
{
    json_object(j);
    json_kstr(j, "state", task_state_name(s->state));
    json_kdouble(j, "timestamp", s->has_timestamp ? s->timestamp : 0);
    if (s->labels) {
        json_key(j, "labels");
        legacy_json_labels(j, s->labels);
    }
    if (s->container_status) {
        json_key(j, "container_status");
        container_status(j, s->container_status);
    }
    if (s->has_healthy)
        json_kbool(j, "healthy", s->healthy);
    json_end_object(j);
}

static void optional_pb(struct json_out *j, const char *key, const void *message)
{
    if (message)
        json_kpb(j, key, (const ProtobufCMessage *)message, FL_JSON_LEGACY);
}

void legacy_json_task(struct json_out *j, const V1__Task *t, const struct resources *res)
{
    json_object(j);
    json_kstr(j, "id", t->task_id ? t->task_id->value : "");
    json_kstr(j, "name", t->name);
    json_kstr(j, "framework_id", t->framework_id ? t->framework_id->value : "");
    json_kstr(j, "executor_id", t->executor_id ? t->executor_id->value : "");
    json_kstr(j, "slave_id", t->agent_id ? t->agent_id->value : "");
    json_kstr(j, "state", task_state_name(t->state));
    json_key(j, "resources");
    resources_json_summary(res, j);
    if (t->n_limits) {
        json_kobject(j, "limits");
        for (size_t i = 0; i < t->n_limits; i++)
            json_kdouble(j, t->limits[i]->key,
                         t->limits[i]->value ? t->limits[i]->value->value : 0);
        json_end_object(j);
    }
    const char *role = resources_allocation_role(res);
    json_kstr(j, "role", role ? role : "*");
    json_karray(j, "statuses");
    for (size_t i = 0; i < t->n_statuses; i++)
        task_status(j, t->statuses[i]);
    json_end_array(j);
    if (t->user)
        json_kstr(j, "user", t->user);
    if (t->labels) {
        json_key(j, "labels");
        legacy_json_labels(j, t->labels);
    }
    optional_pb(j, "discovery", t->discovery);
    optional_pb(j, "container", t->container);
    optional_pb(j, "health_check", t->health_check);
    json_end_object(j);
}

void legacy_json_command(struct json_out *j, const V1__CommandInfo *c)
{
    json_object(j);
    if (c && c->has_shell)
        json_kbool(j, "shell", c->shell);
    if (c && c->value)
        json_kstr(j, "value", c->value);
    json_karray(j, "argv");
    for (size_t i = 0; c && i < c->n_arguments; i++)
        json_string(j, c->arguments[i]);
    json_end_array(j);
    if (c && c->environment)
        json_kpb(j, "environment", &c->environment->base, FL_JSON_LEGACY);
    json_karray(j, "uris");
    for (size_t i = 0; c && i < c->n_uris; i++) {
        json_object(j);
        json_kstr(j, "value", c->uris[i]->value);
        json_kbool(j, "executable", c->uris[i]->has_executable && c->uris[i]->executable);
        json_end_object(j);
    }
    json_end_array(j);
    json_end_object(j);
}

void legacy_json_queued_task(struct json_out *j, const V1__Task *t, const V1__CommandInfo *command,
                             const struct resources *res)
{
    const char *role = resources_allocation_role(res);

    json_object(j);
    json_kstr(j, "id", t->task_id ? t->task_id->value : "");
    json_kstr(j, "name", t->name);
    json_kstr(j, "slave_id", t->agent_id ? t->agent_id->value : "");
    json_key(j, "resources");
    resources_json_summary(res, j);
    json_kstr(j, "role", role ? role : "*");
    if (command) {
        json_key(j, "command");
        legacy_json_command(j, command);
    }
    if (t->executor_id)
        json_kstr(j, "executor_id", t->executor_id->value);
    optional_pb(j, "discovery", t->discovery);
    json_end_object(j);
}

void legacy_json_executor_fields(struct json_out *j, const V1__ExecutorInfo *e,
                                 const struct resources *res)
{
    json_kstr(j, "executor_id", e->executor_id ? e->executor_id->value : "");
    json_kstr(j, "name", e->name);
    json_kstr(j, "framework_id", e->framework_id ? e->framework_id->value : "");
    json_key(j, "command");
    legacy_json_command(j, e->command);
    json_key(j, "resources");
    resources_json_summary(res, j);
    const char *role = resources_allocation_role(res);
    if (role)
        json_kstr(j, "role", role);
    if (e->labels) {
        json_key(j, "labels");
        legacy_json_labels(j, e->labels);
    }
    if (e->has_type)
        json_kstr(j, "type", fl_enum_name(&v1__executor_info__type__descriptor, (int)e->type));
}

void legacy_json_domain(struct json_out *j, const V1__DomainInfo *d)
{
    json_object(j);
    if (d->fault_domain) {
        json_kobject(j, "fault_domain");
        json_kobject(j, "region");
        json_kstr(j, "name", d->fault_domain->region ? d->fault_domain->region->name : "");
        json_end_object(j);
        json_kobject(j, "zone");
        json_kstr(j, "name", d->fault_domain->zone ? d->fault_domain->zone->name : "");
        json_end_object(j);
        json_end_object(j);
    }
    json_end_object(j);
}

void legacy_json_agent_fields(struct json_out *j, const V1__AgentInfo *a)
{
    json_kstr(j, "id", a->id ? a->id->value : "");
    json_kstr(j, "hostname", a->hostname);
    json_kint(j, "port", a->port);
    json_key(j, "attributes");
    attributes_json(a->attributes, a->n_attributes, j);
    if (a->domain) {
        json_key(j, "domain");
        legacy_json_domain(j, a->domain);
    }
}

void legacy_json_framework_roles(struct json_out *j, const V1__FrameworkInfo *f)
{
    if (!framework_has_capability(f, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE)) {
        json_kstr(j, "role", f->role ? f->role : "*");
        return;
    }
    json_karray(j, "roles");
    for (size_t i = 0; i < f->n_roles; i++)
        json_string(j, f->roles[i]);
    json_end_array(j);
}

void legacy_json_framework_capabilities(struct json_out *j, const V1__FrameworkInfo *f)
{
    json_array(j);
    for (size_t i = 0; i < f->n_capabilities; i++) {
        const char *name = fl_enum_name(&v1__framework_info__capability__type__descriptor,
                                        (int)f->capabilities[i]->type);
        json_string(j, name ? name : "UNKNOWN");
    }
    json_end_array(j);
}

static void reservations(struct json_out *j, const struct resources *total, bool full)
{
    _cleanup_free_ const char **roles = NULL;
    size_t n = resources_reservation_roles(total, &roles);

    json_object(j);
    for (size_t i = 0; i < n; i++) {
        _cleanup_resources_ struct resources part = RESOURCES_INIT;
        resources_reserved_to(total, roles[i], &part);
        json_key(j, roles[i]);
        if (full)
            resources_json_full(&part, j, FL_JSON_LEGACY);
        else
            resources_json_summary(&part, j);
    }
    json_end_object(j);
}

void legacy_json_reservations(struct json_out *j, const struct resources *total)
{
    reservations(j, total, false);
}

void legacy_json_reservations_full(struct json_out *j, const struct resources *total)
{
    reservations(j, total, true);
}

void legacy_json_build_fields(struct json_out *j)
{
    json_kstr(j, "version", FL_VERSION);
    if (fl_build.git_sha[0])
        json_kstr(j, "git_sha", fl_build.git_sha);
    if (fl_build.git_branch[0])
        json_kstr(j, "git_branch", fl_build.git_branch);
    if (fl_build.git_tag[0])
        json_kstr(j, "git_tag", fl_build.git_tag);
    json_kstr(j, "build_date", fl_build.date);
    json_kdouble(j, "build_time", fl_build.time);
    json_kstr(j, "build_user", fl_build.user);
}
