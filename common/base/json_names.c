/* Names in JSON: the protocol's two spellings of them, enum values, maps. Any thread. */
#include "common/base/json_text.h"

#include <errno.h>

/* ---- the two spellings ----
 * Of all fields and enum values of the API messages, the older spelling differs in these and in
 * none besides: the fields agent_id and agent_info, and what begins with SOURCE_AGENT or
 * REASON_AGENT_. Two messages that were added late say "agent" in both. */
static const struct {
    const char *v1, *v0;
} field_names[] = {
    {"agent_id", "slave_id"},
    {"agent_info", "slave_info"},
};

static const struct {
    const char *v1, *v0;
} enum_names[] = {
    {"SOURCE_AGENT", "SOURCE_SLAVE"},
    {"REASON_AGENT_DISCONNECTED", "REASON_SLAVE_DISCONNECTED"},
    {"REASON_AGENT_REMOVED", "REASON_SLAVE_REMOVED"},
    {"REASON_AGENT_RESTARTED", "REASON_SLAVE_RESTARTED"},
    {"REASON_AGENT_UNKNOWN", "REASON_SLAVE_UNKNOWN"},
    {"REASON_AGENT_REMOVED_BY_OPERATOR", "REASON_SLAVE_REMOVED_BY_OPERATOR"},
    {"REASON_AGENT_REREGISTERED", "REASON_SLAVE_REREGISTERED"},
    {"REASON_AGENT_DRAINING", "REASON_SLAVE_DRAINING"},
};

static bool spelled_alike(const ProtobufCMessageDescriptor *d)
{
    return streq(d->name, "mesos.v1.master.Event.AgentRemoved") ||
           streq(d->name, "mesos.v1.master.Response.GetAgents.Agent");
}

const char *json_v0_field(const ProtobufCMessageDescriptor *d, const char *text)
{
    if (text[0] != 'a')
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(field_names); i++) {
        if (streq(field_names[i].v1, text))
            return spelled_alike(d) ? NULL : field_names[i].v0;
    }
    return NULL;
}

const char *json_v1_field(const ProtobufCMessageDescriptor *d, const char *text)
{
    for (size_t i = 0; i < ARRAY_SIZE(field_names); i++) {
        if (streq(field_names[i].v0, text))
            return spelled_alike(d) ? NULL : field_names[i].v1;
    }
    return NULL;
}

const char *json_v0_enum(const char *text)
{
    for (size_t i = 0; i < ARRAY_SIZE(enum_names); i++) {
        if (streq(enum_names[i].v1, text))
            return enum_names[i].v0;
    }
    return NULL;
}

const char *json_v1_enum(const char *text)
{
    for (size_t i = 0; i < ARRAY_SIZE(enum_names); i++) {
        if (streq(enum_names[i].v0, text))
            return enum_names[i].v1;
    }
    return NULL;
}

bool json_is_map_entry(const ProtobufCMessageDescriptor *d)
{
    return d->n_fields == 2 && d->fields[0].type == PROTOBUF_C_TYPE_STRING &&
           streq(d->fields[0].name, "key") && streq(d->fields[1].name, "value") &&
           str_ends(d->short_name, "Entry");
}

const char *fl_enum_name(const ProtobufCEnumDescriptor *d, int value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);

    return v ? v->name : NULL;
}

int fl_enum_value(const ProtobufCEnumDescriptor *d, const char *name, int *ret_value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value_by_name(d, name);

    if (!v)
        return -ENOENT;
    *ret_value = v->value;
    return 0;
}
