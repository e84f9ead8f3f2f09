/* The shapes of the JSON endpoints from before the v1 API (features.md 2): what tools read from
 * /state and its kin. Shared by master and agent. Each writes one whole value unless it says
 * "fields". Any thread. */
#ifndef COMMON_MODEL_LEGACY_JSON_H
#define COMMON_MODEL_LEGACY_JSON_H

#include "common/base/json.h"
#include "common/model/resources.h"
#include "proto/mesos.pb-c.h"

/* The fields of a task; `res` is what it holds, with allocation_info (its `resources` field is not
 * looked at). */
void legacy_json_task(struct json_out *j, const V1__Task *t, const struct resources *res);
/* One that waits for its executor: it has neither state nor statuses. `command`: NULL when an executor runs it. */
void legacy_json_queued_task(struct json_out *j, const V1__Task *t, const V1__CommandInfo *command,
                             const struct resources *res);
/* Fields of an executor as the master lists them: executor_id, name, framework_id, command,
 * resources, role, labels, type. */
void legacy_json_executor_fields(struct json_out *j, const V1__ExecutorInfo *e,
                                 const struct resources *res);
void legacy_json_command(struct json_out *j, const V1__CommandInfo *c);
void legacy_json_labels(struct json_out *j, const V1__Labels *l);
void legacy_json_domain(struct json_out *j, const V1__DomainInfo *d);
/* Fields id, hostname, port, attributes, domain. */
void legacy_json_agent_fields(struct json_out *j, const V1__AgentInfo *a);
/* Field `role` or `roles`, whichever the framework uses. */
void legacy_json_framework_roles(struct json_out *j, const V1__FrameworkInfo *f);
void legacy_json_framework_capabilities(struct json_out *j, const V1__FrameworkInfo *f);
/* {"role": {summary}, ...} of what is reserved, and the same with whole resources. */
void legacy_json_reservations(struct json_out *j, const struct resources *total);
void legacy_json_reservations_full(struct json_out *j, const struct resources *total);
/* Fields version, build_date, build_time, build_user, git_*. */
void legacy_json_build_fields(struct json_out *j);

#endif
