/* Handles of tasks, executor infos and statuses. */
#include <errno.h>

#include "common/base/json.h"
#include "common/model/task_state.h"
#include "libframework/messages.h"

/* ---- tasks ---- */

fw_task *fw_task_new(const char *task_id, const char *name)
{
    fw_task *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->pb = FW_NEW(V1__TaskInfo, v1__task_info);
    if (!t->pb || fw_set_string(&t->pb->name, name) < 0 ||
        !(t->pb->task_id = FW_NEW(V1__TaskID, v1__task_id)) ||
        fw_set_string(&t->pb->task_id->value, task_id) < 0) {
        fw_task_free(t);
        return NULL;
    }
    return t;
}

void fw_task_free(fw_task *t)
{
    if (!t)
        return;
    if (!t->borrowed)
        fl_pb_free(t->pb);
    free(t);
}

const char *fw_task_id(const fw_task *t)
{
    return t->pb->task_id->value;
}

/* The task's command, made when there is none; NULL when out of memory. */
static V1__CommandInfo *command_of(fw_task *t)
{
    if (!t->pb->command)
        t->pb->command = FW_NEW(V1__CommandInfo, v1__command_info);
    return t->pb->command;
}

static void clear_command(V1__CommandInfo *c)
{
    free(c->value);
    c->value = NULL;
    for (size_t i = 0; i < c->n_arguments; i++)
        free(c->arguments[i]);
    free(c->arguments);
    c->arguments = NULL;
    c->n_arguments = 0;
}

int fw_task_set_shell(fw_task *t, const char *text)
{
    V1__CommandInfo *c = command_of(t);
    char *copy = strdup(text);

    if (!c || !copy) {
        free(copy);
        return -ENOMEM;
    }
    clear_command(c);
    c->has_shell = c->shell = true;
    c->value = copy;
    return 0;
}

int fw_task_set_argv(fw_task *t, const char *const *argv)
{
    V1__CommandInfo *c = command_of(t);

    if (!argv[0])
        return -EINVAL;
    if (!c)
        return -ENOMEM;
    clear_command(c);
    c->has_shell = true;
    c->shell = false;
    if (fw_set_string(&c->value, argv[0]) < 0)
        return -ENOMEM;
    for (size_t i = 0; argv[i]; i++) {
        char *copy = strdup(argv[i]);
        if (!copy || fw_append(&c->arguments, &c->n_arguments, copy) < 0) {
            free(copy);
            return -ENOMEM;
        }
    }
    return 0;
}

int fw_task_set_user(fw_task *t, const char *user)
{
    V1__CommandInfo *c = command_of(t);
    char *copy = strdup(user);

    if (!c || !copy) {
        free(copy);
        return -ENOMEM;
    }
    free(c->user);
    c->user = copy;
    return 0;
}

int fw_task_add_env(fw_task *t, const char *name, const char *value)
{
    V1__CommandInfo *c = command_of(t);

    return c ? fw_add_env(c, name, value) : -ENOMEM;
}

int fw_task_add_uri(fw_task *t, const char *uri, bool executable, bool extract)
{
    V1__CommandInfo *c = command_of(t);

    return c ? fw_add_uri(c, uri, executable, extract) : -ENOMEM;
}

int fw_task_set_scalar(fw_task *t, const char *name, double amount)
{
    return fw_set_scalar(&t->pb->resources, &t->pb->n_resources, name, amount);
}

static V1__Resource *ports_of(fw_task *t)
{
    for (size_t i = 0; i < t->pb->n_resources; i++)
        if (streq(t->pb->resources[i]->name, "ports") && t->pb->resources[i]->ranges)
            return t->pb->resources[i];
    _cleanup_pb_ V1__Resource *r = FW_NEW(V1__Resource, v1__resource);
    if (!r || fw_set_string(&r->name, "ports") < 0)
        return NULL;
    r->type = V1__VALUE__TYPE__RANGES;
    r->ranges = FW_NEW(V1__Value__Ranges, v1__value__ranges);
    if (!r->ranges || fw_append(&t->pb->resources, &t->pb->n_resources, r) < 0)
        return NULL;
    return TAKE_PTR(r);
}

int fw_task_add_port(fw_task *t, uint16_t port)
{
    V1__Resource *ports = ports_of(t);
    _cleanup_pb_ V1__Value__Range *range = FW_NEW(V1__Value__Range, v1__value__range);

    if (!ports || !range)
        return -ENOMEM;
    range->begin = range->end = port;
    if (fw_append(&ports->ranges->range, &ports->ranges->n_range, range) < 0)
        return -ENOMEM;
    TAKE_PTR(range);
    return 0;
}

int fw_task_set_limit(fw_task *t, const char *name, double amount)
{
    _cleanup_pb_ V1__TaskInfo__LimitsEntry *e =
        FW_NEW(V1__TaskInfo__LimitsEntry, v1__task_info__limits_entry);

    if (!e || fw_set_string(&e->key, name) < 0 ||
        !(e->value = FW_NEW(V1__Value__Scalar, v1__value__scalar)))
        return -ENOMEM;
    e->value->value = amount;
    if (fw_append(&t->pb->limits, &t->pb->n_limits, e) < 0)
        return -ENOMEM;
    TAKE_PTR(e);
    return 0;
}

int fw_task_set_kill_grace(fw_task *t, double seconds)
{
    _cleanup_pb_ V1__KillPolicy *k = FW_NEW(V1__KillPolicy, v1__kill_policy);

    if (!k || !(k->grace_period = FW_NEW(V1__DurationInfo, v1__duration_info)))
        return -ENOMEM;
    k->grace_period->nanoseconds = (int64_t)(seconds * 1e9);
    fl_pb_free(t->pb->kill_policy);
    t->pb->kill_policy = TAKE_PTR(k);
    return 0;
}

int fw_task_add_label(fw_task *t, const char *key, const char *value)
{
    return fw_add_label(&t->pb->labels, key, value);
}

int fw_task_set_data(fw_task *t, const void *data, size_t n)
{
    return fw_set_bytes(&t->pb->data, &t->pb->has_data, data, n);
}

const void *fw_task_data(const fw_task *t, size_t *ret_n)
{
    *ret_n = t->pb->has_data ? t->pb->data.len : 0;
    return t->pb->has_data ? t->pb->data.data : NULL;
}

static ProtobufCMessage *copy_message(const ProtobufCMessage *m)
{
    void *bytes;
    size_t n;

    if (fw_encode(m, &bytes, &n) < 0)
        return NULL;
    ProtobufCMessage *copy = fw_decode(m->descriptor, bytes, n);
    free(bytes);
    return copy;
}

int fw_task_set_executor(fw_task *t, const fw_executor_info *e)
{
    V1__ExecutorInfo *copy = (V1__ExecutorInfo *)copy_message(&e->pb->base);

    if (!copy)
        return -ENOMEM;
    fl_pb_free(t->pb->executor);
    t->pb->executor = copy;
    return 0;
}

int fw_task_encode(const fw_task *t, void **ret_bytes, size_t *ret_n)
{
    /* Without its agent id a task is no whole message: the launch fills it in. */
    if (!t->pb->agent_id) {
        V1__AgentID none = V1__AGENT_ID__INIT;
        V1__TaskInfo whole = *t->pb;
        none.value = (char *)"";
        whole.agent_id = &none;
        return fw_encode(&whole.base, ret_bytes, ret_n);
    }
    return fw_encode(&t->pb->base, ret_bytes, ret_n);
}

fw_task *fw_task_decode(const void *bytes, size_t n)
{
    fw_task *t = calloc(1, sizeof(*t));

    if (t && !(t->pb = (V1__TaskInfo *)fw_decode(&v1__task_info__descriptor, bytes, n))) {
        free(t);
        return NULL;
    }
    return t;
}

/* ---- executor infos ---- */

fw_executor_info *fw_executor_info_new(const char *executor_id, const char *shell_command)
{
    fw_executor_info *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    e->pb = FW_NEW(V1__ExecutorInfo, v1__executor_info);
    if (!e->pb || !(e->pb->executor_id = FW_NEW(V1__ExecutorID, v1__executor_id)) ||
        fw_set_string(&e->pb->executor_id->value, executor_id) < 0 ||
        !(e->pb->command = FW_NEW(V1__CommandInfo, v1__command_info)) ||
        fw_set_string(&e->pb->command->value, shell_command) < 0) {
        fw_executor_info_free(e);
        return NULL;
    }
    e->pb->has_type = true;
    e->pb->type = V1__EXECUTOR_INFO__TYPE__CUSTOM;
    return e;
}

void fw_executor_info_free(fw_executor_info *e)
{
    if (!e)
        return;
    fl_pb_free(e->pb);
    free(e);
}

int fw_executor_info_set_scalar(fw_executor_info *e, const char *name, double amount)
{
    return fw_set_scalar(&e->pb->resources, &e->pb->n_resources, name, amount);
}

int fw_executor_info_add_env(fw_executor_info *e, const char *name, const char *value)
{
    return e->pb->command ? fw_add_env(e->pb->command, name, value) : -EINVAL;
}

int fw_executor_info_add_uri(fw_executor_info *e, const char *uri, bool executable, bool extract)
{
    return e->pb->command ? fw_add_uri(e->pb->command, uri, executable, extract) : -EINVAL;
}

int fw_executor_info_set_data(fw_executor_info *e, const void *data, size_t n)
{
    return fw_set_bytes(&e->pb->data, &e->pb->has_data, data, n);
}

int fw_executor_info_encode(const fw_executor_info *e, void **ret_bytes, size_t *ret_n)
{
    return fw_encode(&e->pb->base, ret_bytes, ret_n);
}

fw_executor_info *fw_executor_info_decode(const void *bytes, size_t n)
{
    fw_executor_info *e = calloc(1, sizeof(*e));

    if (e && !(e->pb = (V1__ExecutorInfo *)fw_decode(&v1__executor_info__descriptor, bytes, n))) {
        free(e);
        return NULL;
    }
    return e;
}

/* ---- statuses ---- */

const char *fw_status_task_id(const fw_status *s)
{
    return s->pb->task_id->value;
}

const char *fw_status_agent_id(const fw_status *s)
{
    return s->pb->agent_id ? s->pb->agent_id->value : "";
}

const char *fw_status_executor_id(const fw_status *s)
{
    return s->pb->executor_id ? s->pb->executor_id->value : "";
}

enum fw_task_state fw_status_state(const fw_status *s)
{
    return (enum fw_task_state)s->pb->state;
}

const char *fw_status_message(const fw_status *s)
{
    return s->pb->message ? s->pb->message : "";
}

const char *fw_status_reason(const fw_status *s)
{
    const char *name = s->pb->has_reason ? task_reason_name(s->pb->reason) : NULL;

    return name ? name : "";
}

const char *fw_status_source(const fw_status *s)
{
    const char *name = NULL;

    if (s->pb->has_source)
        name = fl_enum_name(&v1__task_status__source__descriptor, (int)s->pb->source);
    return name ? name : "";
}

double fw_status_timestamp(const fw_status *s)
{
    return s->pb->has_timestamp ? s->pb->timestamp : 0;
}

bool fw_status_needs_ack(const fw_status *s)
{
    return s->pb->has_uuid && s->pb->uuid.len > 0;
}

const void *fw_status_data(const fw_status *s, size_t *ret_n)
{
    *ret_n = s->pb->has_data ? s->pb->data.len : 0;
    return s->pb->has_data ? s->pb->data.data : NULL;
}

const char *fw_status_container_id(const fw_status *s)
{
    const V1__ContainerStatus *c = s->pb->container_status;

    return c && c->container_id ? c->container_id->value : "";
}

int fw_status_encode(const fw_status *s, void **ret_bytes, size_t *ret_n)
{
    return fw_encode(&s->pb->base, ret_bytes, ret_n);
}

fw_status *fw_status_dup(const fw_status *s)
{
    fw_status *copy = calloc(1, sizeof(*copy));

    if (!copy)
        return NULL;
    copy->owned = true;
    copy->pb = (V1__TaskStatus *)copy_message(&s->pb->base);
    if (!copy->pb) {
        free(copy);
        return NULL;
    }
    return copy;
}

void fw_status_free(fw_status *s)
{
    if (!s)
        return;
    if (s->owned)
        fl_pb_free(s->pb);
    free(s);
}
