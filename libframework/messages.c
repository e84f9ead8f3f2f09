/* Building messages on the heap, and the handles of framework infos and offers. */
#include "libframework/messages.h"

#include <errno.h>
#include <pwd.h>

#include "common/base/json.h"
#include "common/model/task_state.h"

int fw_set_string(char **field, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    *field = copy;
    return 0;
}

int fw_set_bytes(ProtobufCBinaryData *field, protobuf_c_boolean *has, const void *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);

    if (!copy)
        return -ENOMEM;
    if (n)
        memcpy(copy, p, n);
    if (*has)
        free(field->data);
    field->data = copy;
    field->len = n;
    *has = true;
    return 0;
}

int fw_append(void *items, size_t *n, void *item)
{
    void ***list = items;
    void **grown = realloc(*list, (*n + 1) * sizeof(void *));

    if (!grown)
        return -ENOMEM;
    grown[*n] = item;
    *list = grown;
    *n += 1;
    return 0;
}

int fw_add_label(V1__Labels **labels, const char *key, const char *value)
{
    if (!*labels && !(*labels = FW_NEW(V1__Labels, v1__labels)))
        return -ENOMEM;
    _cleanup_pb_ V1__Label *l = FW_NEW(V1__Label, v1__label);
    if (!l || fw_set_string(&l->key, key) < 0 || (value && fw_set_string(&l->value, value) < 0))
        return -ENOMEM;
    if (fw_append(&(*labels)->labels, &(*labels)->n_labels, l) < 0)
        return -ENOMEM;
    TAKE_PTR(l);
    return 0;
}

int fw_add_env(V1__CommandInfo *c, const char *name, const char *value)
{
    if (!c->environment && !(c->environment = FW_NEW(V1__Environment, v1__environment)))
        return -ENOMEM;
    _cleanup_pb_ V1__Environment__Variable *v =
        FW_NEW(V1__Environment__Variable, v1__environment__variable);
    if (!v || fw_set_string(&v->name, name) < 0 || fw_set_string(&v->value, value) < 0)
        return -ENOMEM;
    if (fw_append(&c->environment->variables, &c->environment->n_variables, v) < 0)
        return -ENOMEM;
    TAKE_PTR(v);
    return 0;
}

int fw_add_uri(V1__CommandInfo *c, const char *uri, bool executable, bool extract)
{
    _cleanup_pb_ V1__CommandInfo__URI *u = FW_NEW(V1__CommandInfo__URI, v1__command_info__uri);

    if (!u || fw_set_string(&u->value, uri) < 0)
        return -ENOMEM;
    u->has_executable = u->has_extract = true;
    u->executable = executable;
    u->extract = extract;
    if (fw_append(&c->uris, &c->n_uris, u) < 0)
        return -ENOMEM;
    TAKE_PTR(u);
    return 0;
}

int fw_set_scalar(V1__Resource ***resources, size_t *n, const char *name, double amount)
{
    for (size_t i = 0; i < *n; i++) {
        if (streq((*resources)[i]->name, name) && (*resources)[i]->scalar) {
            (*resources)[i]->scalar->value = amount;
            return 0;
        }
    }
    _cleanup_pb_ V1__Resource *r = FW_NEW(V1__Resource, v1__resource);
    if (!r || fw_set_string(&r->name, name) < 0)
        return -ENOMEM;
    r->type = V1__VALUE__TYPE__SCALAR;
    r->scalar = FW_NEW(V1__Value__Scalar, v1__value__scalar);
    if (!r->scalar)
        return -ENOMEM;
    r->scalar->value = amount;
    if (fw_append(resources, n, r) < 0)
        return -ENOMEM;
    TAKE_PTR(r);
    return 0;
}

int fw_encode(const ProtobufCMessage *m, void **ret_bytes, size_t *ret_n)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = malloc(n ? n : 1);

    if (!bytes)
        return -ENOMEM;
    *ret_n = protobuf_c_message_pack(m, bytes);
    *ret_bytes = bytes;
    return 0;
}

ProtobufCMessage *fw_decode(const ProtobufCMessageDescriptor *d, const void *bytes, size_t n)
{
    return protobuf_c_message_unpack(d, NULL, n, bytes);
}

const char *fw_version(void)
{
    return FL_VERSION;
}

const char *fw_task_state_name(enum fw_task_state s)
{
    return task_state_name((V1__TaskState)s);
}

bool fw_task_state_is_terminal(enum fw_task_state s)
{
    return task_state_is_terminal((V1__TaskState)s);
}

/* ---- framework info ---- */

static int user_of_process(char **field)
{
    struct passwd pw, *found = NULL;
    char buf[4096];

    if (getpwuid_r(geteuid(), &pw, buf, sizeof(buf), &found) == 0 && found)
        return fw_set_string(field, found->pw_name);
    return fw_set_string(field, "");
}

fw_info *fw_info_new(const char *name, const char *user)
{
    fw_info *i = calloc(1, sizeof(*i));

    if (!i)
        return NULL;
    i->pb = FW_NEW(V1__FrameworkInfo, v1__framework_info);
    if (!i->pb || fw_set_string(&i->pb->name, name) < 0 ||
        (user ? fw_set_string(&i->pb->user, user) : user_of_process(&i->pb->user)) < 0) {
        fw_info_free(i);
        return NULL;
    }
    return i;
}

void fw_info_free(fw_info *i)
{
    if (!i)
        return;
    fl_pb_free(i->pb);
    free(i);
}

static int replace_string(char **field, const char *value)
{
    char *old = *field;
    int r = fw_set_string(field, value);

    if (r == 0)
        free(old);
    return r;
}

int fw_info_set_id(fw_info *i, const char *framework_id)
{
    _cleanup_pb_ V1__FrameworkID *id = FW_NEW(V1__FrameworkID, v1__framework_id);

    if (!id || fw_set_string(&id->value, framework_id) < 0)
        return -ENOMEM;
    fl_pb_free(i->pb->id);
    i->pb->id = TAKE_PTR(id);
    return 0;
}

int fw_info_set_failover_timeout(fw_info *i, double seconds)
{
    i->pb->has_failover_timeout = true;
    i->pb->failover_timeout = seconds;
    return 0;
}

int fw_info_set_checkpoint(fw_info *i, bool on)
{
    i->pb->has_checkpoint = true;
    i->pb->checkpoint = on;
    return 0;
}

int fw_info_set_hostname(fw_info *i, const char *hostname)
{
    return replace_string(&i->pb->hostname, hostname);
}

int fw_info_set_principal(fw_info *i, const char *principal)
{
    return replace_string(&i->pb->principal, principal);
}

int fw_info_set_webui_url(fw_info *i, const char *url)
{
    return replace_string(&i->pb->webui_url, url);
}

int fw_info_add_capability(fw_info *i, const char *name)
{
    int value;

    if (fl_enum_value(&v1__framework_info__capability__type__descriptor, name, &value) < 0)
        return -EINVAL;
    for (size_t k = 0; k < i->pb->n_capabilities; k++)
        if ((int)i->pb->capabilities[k]->type == value)
            return 0;
    _cleanup_pb_ V1__FrameworkInfo__Capability *c =
        FW_NEW(V1__FrameworkInfo__Capability, v1__framework_info__capability);
    if (!c)
        return -ENOMEM;
    c->has_type = true;
    c->type = (V1__FrameworkInfo__Capability__Type)value;
    if (fw_append(&i->pb->capabilities, &i->pb->n_capabilities, c) < 0)
        return -ENOMEM;
    TAKE_PTR(c);
    return 0;
}

int fw_info_add_role(fw_info *i, const char *role)
{
    char *copy;
    int r = fw_info_add_capability(i, "MULTI_ROLE");

    if (r < 0)
        return r;
    copy = strdup(role);
    if (!copy || fw_append(&i->pb->roles, &i->pb->n_roles, copy) < 0) {
        free(copy);
        return -ENOMEM;
    }
    return 0;
}

int fw_info_add_label(fw_info *i, const char *key, const char *value)
{
    return fw_add_label(&i->pb->labels, key, value);
}

int fw_info_encode(const fw_info *i, void **ret_bytes, size_t *ret_n)
{
    return fw_encode(&i->pb->base, ret_bytes, ret_n);
}

fw_info *fw_info_decode(const void *bytes, size_t n)
{
    fw_info *i = calloc(1, sizeof(*i));

    if (i && !(i->pb = (V1__FrameworkInfo *)fw_decode(&v1__framework_info__descriptor, bytes, n))) {
        free(i);
        return NULL;
    }
    return i;
}

/* ---- offers ---- */

const char *fw_offer_id(const fw_offer *o)
{
    return o->pb->id->value;
}

const char *fw_offer_agent_id(const fw_offer *o)
{
    return o->pb->agent_id->value;
}

const char *fw_offer_hostname(const fw_offer *o)
{
    return o->pb->hostname;
}

const char *fw_offer_role(const fw_offer *o)
{
    if (o->pb->allocation_info && o->pb->allocation_info->role)
        return o->pb->allocation_info->role;
    return "*";
}

double fw_offer_scalar(const fw_offer *o, const char *name)
{
    int64_t milli = 0;

    for (size_t i = 0; i < o->pb->n_resources; i++) {
        const V1__Resource *r = o->pb->resources[i];
        if (streq(r->name, name) && r->scalar)
            milli += (int64_t)(r->scalar->value * 1000 + 0.5);
    }
    return (double)milli / 1000;
}

static bool port_is_taken(const fw_offer *o, uint64_t port)
{
    for (size_t i = 0; i < o->n_taken; i++)
        if (o->taken[i] == port)
            return true;
    return false;
}

/* Ports of one range that are still free, into ports[got..n). */
static size_t take_from_range(fw_offer *o, const V1__Value__Range *range, size_t got, size_t n,
                              uint16_t *ports)
{
    for (uint64_t p = range->begin; p <= range->end && p <= UINT16_MAX && got < n; p++) {
        if (port_is_taken(o, p))
            continue;
        uint16_t *grown = realloc(o->taken, (o->n_taken + 1) * sizeof(*grown));
        if (!grown)
            return got;
        o->taken = grown;
        o->taken[o->n_taken++] = (uint16_t)p;
        ports[got++] = (uint16_t)p;
    }
    return got;
}

size_t fw_offer_take_ports(fw_offer *o, size_t n, uint16_t *ports)
{
    size_t got = 0;

    for (size_t i = 0; i < o->pb->n_resources && got < n; i++) {
        const V1__Resource *r = o->pb->resources[i];
        if (!streq(r->name, "ports") || !r->ranges)
            continue;
        for (size_t k = 0; k < r->ranges->n_range && got < n; k++)
            got = take_from_range(o, r->ranges->range[k], got, n, ports);
    }
    return got;
}

const char *fw_offer_attribute(const fw_offer *o, const char *name)
{
    for (size_t i = 0; i < o->pb->n_attributes; i++) {
        const V1__Attribute *a = o->pb->attributes[i];
        if (streq(a->name, name) && a->text)
            return a->text->value;
    }
    return NULL;
}

int fw_offer_encode(const fw_offer *o, void **ret_bytes, size_t *ret_n)
{
    return fw_encode(&o->pb->base, ret_bytes, ret_n);
}

fw_offer *fw_offer_dup(const fw_offer *o)
{
    void *bytes;
    size_t n;
    fw_offer *copy = calloc(1, sizeof(*copy));

    if (!copy || fw_encode(&o->pb->base, &bytes, &n) < 0) {
        free(copy);
        return NULL;
    }
    copy->pb = (V1__Offer *)fw_decode(&v1__offer__descriptor, bytes, n);
    copy->owned = true;
    free(bytes);
    if (!copy->pb) {
        free(copy);
        return NULL;
    }
    return copy;
}

void fw_offer_free(fw_offer *o)
{
    if (!o)
        return;
    if (o->owned)
        fl_pb_free(o->pb);
    free(o->taken);
    free(o);
}
