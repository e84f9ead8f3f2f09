/* /roles, /quota and /weights: the endpoints from before the v1 API about roles. */
#include "common/model/http_guard.h"
#include "master/api/operator_call.h"
#include "master/quota.h"
#include "master/roles.h"
#include "master/weights.h"

/* ---- /roles ---- */

static void quantities_json(struct json_out *j, const char *key, const struct quantities *q,
                            bool zeros)
{
    json_kobject(j, key);
    for (size_t i = 0; q && i < q->n; i++)
        if (zeros || q->items[i].amount > 0)
            json_kdouble(j, q->items[i].name, milli_to_double(q->items[i].amount));
    json_end_object(j);
}

static void quota_json(struct json_out *j, const struct role_view *v)
{
    _cleanup_quantities_ struct quantities consumed = QUANTITIES_INIT;
    const struct quota *q = v->role ? v->role->quota : NULL;

    role_consumed(v->role, &consumed);
    json_kobject(j, "quota");
    json_kstr(j, "role", v->name);
    quantities_json(j, "guarantee", q ? &q->guarantees : NULL, false);
    quantities_json(j, "limit", q ? &q->limits : NULL, true);
    quantities_json(j, "consumed", &consumed, false);
    json_end_object(j);
}

static void role_json(struct json_out *j, const struct role_view *v)
{
    static const struct quantities nothing[ROLE_BOOKS];
    const struct quantities *books = v->role ? v->role->books : nothing;
    _cleanup_quantities_ struct quantities both = QUANTITIES_INIT;

    quantities_add(&both, &books[ROLE_ALLOCATED]);
    quantities_add(&both, &books[ROLE_OFFERED]);
    json_object(j);
    json_kstr(j, "name", v->name);
    json_kdouble(j, "weight", v->role && v->role->weight > 0 ? v->role->weight : 1.0);
    quota_json(j, v);
    quantities_json(j, "resources", &both, false);
    quantities_json(j, "allocated", &books[ROLE_ALLOCATED], false);
    quantities_json(j, "offered", &books[ROLE_OFFERED], false);
    quantities_json(j, "reserved", &books[ROLE_RESERVED], false);
    json_karray(j, "frameworks");
    for (size_t i = 0; i < v->n_frameworks; i++)
        json_string(j, v->frameworks[i]->id);
    json_end_array(j);
    json_end_object(j);
}

void roles_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(16 * 1024);
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    struct role_view **views;
    size_t n = roles_list(api->master, http_guard_principal(ex), arena, &views);

    json_object(&j);
    json_karray(&j, "roles");
    for (size_t i = 0; i < n; i++)
        role_json(&j, views[i]);
    json_end_array(&j);
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}

/* ---- /quota ---- */

static void quota_show(struct http_exchange *ex, const struct master *m, const char *principal)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

    fl_json_from_pb(&out, &master_quota_status(m, principal, arena)->base, FL_JSON_LEGACY);
    http_respond_json(ex, 200, &out);
}

static int quota_set(struct http_exchange *ex, struct master *m, const char *principal,
                     struct fl_err *err)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    const struct http_request *r = http_exchange_request(ex);
    ProtobufCMessage *msg;

    if (fl_json_to_pb(r->body, r->body_len, &quota__quota_request__descriptor, FL_JSON_LEGACY,
                      fl_arena_allocator(arena), &msg, err) < 0)
        return fl_err_wrap(err, "Failed to validate set quota request JSON '%.200s'", r->body);
    return master_set_quota(m, (const Quota__QuotaRequest *)msg, principal, operator_answer, ex,
                            err);
}

static int quota_remove(struct http_exchange *ex, struct master *m, const char *principal,
                        struct fl_err *err)
{
    const struct http_request *r = http_exchange_request(ex);
    const char *role = r->path_rest + strspn(r->path_rest, "/");

    if (!*role)
        return fl_err_set(err, FL_INVALID,
                          "Failed to parse remove quota request for path '%.200s': expected 3 "
                          "tokens, found 2 tokens",
                          r->path);
    return master_remove_quota(m, role, principal, operator_answer, ex, err);
}

void quota_any(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const char *principal = http_guard_principal(ex);
    struct fl_err err;
    int r = 0;

    if (api_refuse_unrecovered(ex, api))
        return;
    switch (http_exchange_request(ex)->method) {
    case HTTP_M_GET:
        quota_show(ex, api->master, principal);
        break;
    case HTTP_M_POST:
        r = quota_set(ex, api->master, principal, &err);
        break;
    case HTTP_M_DELETE:
        r = quota_remove(ex, api->master, principal, &err);
        break;
    default:
        api_refuse_method(ex, "GET, POST, DELETE");
    }
    if (r < 0)
        http_respond_err(ex, &err);
}

/* ---- /weights ---- */

static void weights_show(struct http_exchange *ex, const struct master *m, const char *principal)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    V1__WeightInfo **infos;
    size_t n = master_weights(m, principal, arena, &infos);

    json_array(&j);
    for (size_t i = 0; i < n; i++)
        json_pb(&j, &infos[i]->base, FL_JSON_LEGACY);
    json_end_array(&j);
    http_respond_json(ex, 200, &out);
}

/* The elements of a JSON array as messages in the arena. */
static int read_weights(const json_t *array, struct fl_arena *arena, V1__WeightInfo ***ret_infos,
                        struct fl_err *err)
{
    size_t n = json_array_size(array);
    V1__WeightInfo **infos = fl_arena_alloc(arena, (n + 1) * sizeof(*infos));

    for (size_t i = 0; i < n; i++) {
        ProtobufCMessage *msg;
        int r = fl_json_value_to_pb(json_array_get(array, i), &v1__weight_info__descriptor,
                                    FL_JSON_LEGACY, fl_arena_allocator(arena), &msg, err);
        if (r < 0)
            return fl_err_wrap(err, "Failed to convert weights JSON array to protobuf");
        infos[i] = (V1__WeightInfo *)msg;
    }
    *ret_infos = infos;
    return 0;
}

static int weights_put(struct http_exchange *ex, struct master *m, const char *principal,
                       struct fl_err *err)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    const struct http_request *r = http_exchange_request(ex);
    json_error_t why = {0};
    json_t *array = json_loadb(r->body, r->body_len, JSON_DECODE_ANY, &why);
    V1__WeightInfo **infos = NULL;
    int rc;

    if (!json_is_array(array))
        rc = fl_err_set(err, FL_INVALID,
                        "Failed to parse update weights request JSON '%.200s': %.100s", r->body,
                        array ? "it is no array" : why.text);
    else
        rc = read_weights(array, arena, &infos, err);
    if (rc == 0)
        rc = master_update_weights(m, infos, json_array_size(array), principal, operator_answer, ex,
                                   err);
    json_decref(array);
    return rc;
}

void weights_any(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const char *principal = http_guard_principal(ex);
    struct fl_err err;
    int r = 0;

    if (api_refuse_unrecovered(ex, api))
        return;
    switch (http_exchange_request(ex)->method) {
    case HTTP_M_GET:
        weights_show(ex, api->master, principal);
        break;
    case HTTP_M_PUT:
        r = weights_put(ex, api->master, principal, &err);
        break;
    default:
        api_refuse_method(ex, "GET, PUT");
    }
    if (r < 0)
        http_respond_err(ex, &err);
}
