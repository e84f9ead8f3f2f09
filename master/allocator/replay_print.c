/* Records of the allocator's log as text. */
#include "common/base/json.h"
#include "master/allocator/replay.h"

const char *replay_kind_name(Alog__Record__Kind kind)
{
    const char *name = fl_enum_name(&alog__record__kind__descriptor, (int)kind);

    return name ? name : "UNKNOWN";
}

static void put_text(struct alog_reader *r, const char *name, uint32_t ref, struct fl_buf *out)
{
    const char *text = alog_text(r, ref);

    if (text)
        fl_buf_addf(out, " %s=%s", name, text);
}

static void put_resources(struct alog_reader *r, const char *name, uint32_t ref, struct fl_buf *out)
{
    const struct resources *res;

    if (ref == 0)
        return;
    fl_buf_addf(out, " %s=[", name);
    if (alog_resources(r, ref, &res, NULL) == 0)
        resources_format(res, out);
    else
        fl_buf_adds(out, "not readable");
    fl_buf_addc(out, ']');
}

static void put_message(const char *name, const ProtobufCMessage *m, struct fl_buf *out)
{
    fl_buf_addf(out, " %s=", name);
    fl_json_from_pb(out, m, 0);
}

static void put_names(struct alog_reader *r, const Alog__Record *rec, struct fl_buf *out)
{
    if (rec->n_names == 0)
        return;
    fl_buf_adds(out, " names=");
    for (size_t i = 0; i < rec->n_names; i++) {
        const char *text = alog_text(r, rec->names[i]);
        fl_buf_addf(out, "%s%s", i ? "," : "", text ? text : "?");
    }
}

void replay_format(struct alog_reader *r, const Alog__Record *rec, struct fl_buf *out)
{
#define MESSAGE(field)                                                                             \
    do {                                                                                           \
        if (rec->field)                                                                            \
            put_message(#field, &rec->field->base, out);                                           \
    } while (0)
    fl_buf_addf(out, "%.6f %s", (double)r->now_us / 1e6, replay_kind_name(rec->kind));
    put_text(r, "framework", rec->framework, out);
    put_text(r, "role", rec->role, out);
    put_text(r, "agent", rec->agent, out);
    put_resources(r, "resources", rec->resources, out);
    put_resources(r, "to", rec->to, out);
    put_names(r, rec, out);
    if (rec->has_flag)
        fl_buf_addf(out, " flag=%s", rec->flag ? "true" : "false");
    if (rec->has_number)
        fl_buf_addf(out, " number=%llu", (unsigned long long)rec->number);
    if (rec->has_weight)
        fl_buf_addf(out, " weight=%g", rec->weight);
    MESSAGE(options);
    MESSAGE(framework_state);
    MESSAGE(agent_state);
    MESSAGE(filters);
    MESSAGE(unavailability);
    MESSAGE(guarantees);
    MESSAGE(limits);
    MESSAGE(status);
    for (size_t i = 0; i < rec->n_requests; i++)
        put_message("request", &rec->requests[i]->base, out);
    MESSAGE(result);
#undef MESSAGE
}
