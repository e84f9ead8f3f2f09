/* What a call tells by itself: its type, the part that type needs, ids and uuids. Pure. */
#include <ctype.h>

#include "common/model/task_state.h"
#include "common/model/validate.h"

#define UUID_SIZE  16
#define ID_MAX_LEN 255 /* ids become names of directories */

int validate_id(const char *id, struct fl_err *err)
{
    size_t n = strlen(id);
    if (n == 0)
        return fl_err_set(err, FL_INVALID, "an id must not be empty");
    if (n > ID_MAX_LEN)
        return fl_err_set(err, FL_INVALID, "id '%.40s...' has %zu characters, more than %d", id, n,
                          ID_MAX_LEN);
    if (streq(id, ".") || streq(id, ".."))
        return fl_err_set(err, FL_INVALID, "id '%s' is not allowed", id);
    for (size_t i = 0; i < n; i++)
        if (id[i] == '/' || id[i] == '\\' || iscntrl((unsigned char)id[i]))
            return fl_err_set(err, FL_INVALID,
                              "id '%s' has a slash, a backslash or a control character", id);
    return 0;
}

static int expecting(const char *field, struct fl_err *err)
{
    return fl_err_set(err, FL_INVALID, "Expecting '%s' to be present", field);
}

static int validate_uuid(const ProtobufCBinaryData *uuid, struct fl_err *err)
{
    if (uuid->len != UUID_SIZE)
        return fl_err_set(err, FL_INVALID, "a uuid has 16 bytes, not %zu", uuid->len);
    return 0;
}

/* ---- schedulers ---- */

static const char *id_text(const V1__FrameworkID *id)
{
    return id ? id->value : "";
}

/* The part each type of call needs; types without a row need none. */
static const struct {
    Sched__Call__Type type;
    size_t offset; /* of the pointer in Sched__Call */
    const char *name;
} parts[] = {
#define PART(type, field)                                                                          \
    {                                                                                              \
        SCHED__CALL__TYPE__##type, offsetof(Sched__Call, field), #field                            \
    }
    PART(ACCEPT, accept),
    PART(DECLINE, decline),
    PART(ACCEPT_INVERSE_OFFERS, accept_inverse_offers),
    PART(DECLINE_INVERSE_OFFERS, decline_inverse_offers),
    PART(KILL, kill),
    PART(SHUTDOWN, shutdown),
    PART(ACKNOWLEDGE, acknowledge),
    PART(ACKNOWLEDGE_OPERATION_STATUS, acknowledge_operation_status),
    PART(RECONCILE, reconcile),
    PART(RECONCILE_OPERATIONS, reconcile_operations),
    PART(MESSAGE, message),
    PART(REQUEST, request),
    PART(UPDATE_FRAMEWORK, update_framework),
#undef PART
};

static int validate_part(const Sched__Call *call, struct fl_err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        if (parts[i].type == call->type && !*(void *const *)((const char *)call + parts[i].offset))
            return expecting(parts[i].name, err);
    return 0;
}

static int validate_subscribe(const Sched__Call *call, struct fl_err *err)
{
    if (!call->subscribe)
        return expecting("subscribe", err);
    if (!streq(id_text(call->subscribe->framework_info->id), id_text(call->framework_id)))
        return fl_err_set(err, FL_INVALID,
                          "'framework_id' differs from 'subscribe.framework_info.id'");
    return 0;
}

int validate_scheduler_call(const Sched__Call *call, struct fl_err *err)
{
    if (!call->has_type)
        return expecting("type", err);
    if (call->type == SCHED__CALL__TYPE__SUBSCRIBE)
        return validate_subscribe(call, err);
    if (!call->framework_id)
        return expecting("framework_id", err);
    int rc = validate_part(call, err);
    if (rc < 0)
        return rc;
    switch (call->type) {
    case SCHED__CALL__TYPE__ACKNOWLEDGE:
        return validate_uuid(&call->acknowledge->uuid, err);
    case SCHED__CALL__TYPE__ACKNOWLEDGE_OPERATION_STATUS:
        rc = validate_uuid(&call->acknowledge_operation_status->uuid, err);
        if (rc == 0 && !call->acknowledge_operation_status->agent_id)
            return expecting("agent_id", err);
        return rc;
    case SCHED__CALL__TYPE__UPDATE_FRAMEWORK:
        if (!streq(id_text(call->framework_id),
                   id_text(call->update_framework->framework_info->id)))
            return fl_err_set(err, FL_INVALID,
                              "'framework_id' differs from 'update_framework.framework_info.id'");
        return 0;
    default:
        return 0;
    }
}

/* ---- executors ---- */

static int validate_check_status(const V1__CheckStatusInfo *s, struct fl_err *err)
{
    if (!s->has_type)
        return fl_err_set(err, FL_INVALID, "CheckStatusInfo must specify 'type'");
    switch (s->type) {
    case V1__CHECK_INFO__TYPE__COMMAND:
        return s->command ? 0 : expecting("check_status.command", err);
    case V1__CHECK_INFO__TYPE__HTTP:
        return s->http ? 0 : expecting("check_status.http", err);
    case V1__CHECK_INFO__TYPE__TCP:
        return s->tcp ? 0 : expecting("check_status.tcp", err);
    default:
        return fl_err_set(err, FL_INVALID, "the type of 'check_status' is not known");
    }
}

static int validate_update(const Exec__Call *call, struct fl_err *err)
{
    if (!call->update)
        return expecting("update", err);
    const V1__TaskStatus *status = call->update->status;
    if (!status->has_uuid)
        return expecting("uuid", err);
    int rc = validate_uuid(&status->uuid, err);
    if (rc < 0)
        return rc;
    if (status->executor_id && !streq(status->executor_id->value, call->executor_id->value))
        return fl_err_set(err, FL_INVALID,
                          "the call is of executor '%s' but its update of executor '%s'",
                          call->executor_id->value, status->executor_id->value);
    if (!status->has_source || status->source != V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR)
        return fl_err_set(err, FL_INVALID,
                          "an update of executor '%s' must have the source SOURCE_EXECUTOR",
                          call->executor_id->value);
    if (!task_state_is_known(status->state))
        return fl_err_set(err, FL_INVALID, "an update of executor '%s' has the unknown state %d",
                          call->executor_id->value, (int)status->state);
    if (status->state == V1__TASK_STATE__TASK_STAGING)
        return fl_err_set(err, FL_INVALID, "executor '%s' must not send TASK_STAGING",
                          call->executor_id->value);
    return status->check_status ? validate_check_status(status->check_status, err) : 0;
}

int validate_executor_call(const Exec__Call *call, struct fl_err *err)
{
    if (!call->has_type)
        return expecting("type", err);
    switch (call->type) {
    case EXEC__CALL__TYPE__SUBSCRIBE:
        return call->subscribe ? 0 : expecting("subscribe", err);
    case EXEC__CALL__TYPE__UPDATE:
        return validate_update(call, err);
    case EXEC__CALL__TYPE__MESSAGE:
        return call->message ? 0 : expecting("message", err);
    default:
        return 0;
    }
}
