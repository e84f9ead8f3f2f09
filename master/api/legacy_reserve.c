/* /reserve, /unreserve, /create-volumes, /destroy-volumes: forms with slaveId= and a JSON array of resources. What each does is
 * the same as the call of the operator API that is named alike.
 */
#include "common/model/http_guard.h"
#include "master/api/handlers.h"
#include "master/operator_resources.h"

/* ---- the form ---- */

struct form {
    struct http_exchange *ex;
    const char *body;
    struct fl_arena *arena;
};

static int bad(struct fl_err *err, const char *name, const char *why)
{
    return fl_err_set(err, FL_INVALID,
                      "Error in parsing '%s' query parameter in the request body: %s", name, why);
}

static int one_resource(struct form *f, const char *name, const json_t *value, V1__Resource **ret,
                        struct fl_err *err)
{
    ProtobufCMessage *m = NULL;
    struct fl_err why = {0};

    if (fl_json_value_to_pb(value, &v1__resource__descriptor, FL_JSON_V0,
                            fl_arena_allocator(f->arena), &m, &why) < 0)
        return bad(err, name, why.msg);
    *ret = (V1__Resource *)m;
    return 0;
}

static int field(struct form *f, const char *name, bool required, V1__Resource ***ret,
                 size_t *ret_n, struct fl_err *err)
{
    _cleanup_free_ char *text = http_query_get(f->body, name);
    json_error_t why;
    json_t *list;
    int r = 0;

    if (!text)
        return required ? fl_err_set(err, FL_INVALID,
                                     "Missing '%s' query parameter in the request body", name)
                        : 0;
    list = json_loads(text, JSON_DECODE_ANY, &why);
    if (!list)
        return bad(err, name, why.text);
    if (json_is_array(list)) {
        size_t n = json_array_size(list);
        *ret = fl_arena_alloc(f->arena, (n + 1) * sizeof(**ret));
        for (size_t i = 0; i < n && r == 0; i++)
            r = one_resource(f, name, json_array_get(list, i), &(*ret)[i], err);
        *ret_n = n;
    } else {
        r = bad(err, name, "an array is wanted");
    }
    json_decref(list);
    return r;
}

/* ---- what the forms ask for ---- */

typedef int read_f(struct form *f, V1__Offer__Operation *op, struct fl_err *err);

static int read_reserve(struct form *f, V1__Offer__Operation *op, struct fl_err *err)
{
    V1__Offer__Operation__Reserve *p =
        FL_ARENA_NEW(f->arena, V1__Offer__Operation__Reserve, v1__offer__operation__reserve);
    int r = field(f, "resources", true, &p->resources, &p->n_resources, err);

    op->type = V1__OFFER__OPERATION__TYPE__RESERVE;
    op->reserve = p;
    return r < 0 ? r : field(f, "source", false, &p->source, &p->n_source, err);
}

static int read_unreserve(struct form *f, V1__Offer__Operation *op, struct fl_err *err)
{
    V1__Offer__Operation__Unreserve *p =
        FL_ARENA_NEW(f->arena, V1__Offer__Operation__Unreserve, v1__offer__operation__unreserve);

    op->type = V1__OFFER__OPERATION__TYPE__UNRESERVE;
    op->unreserve = p;
    return field(f, "resources", true, &p->resources, &p->n_resources, err);
}

static int read_create(struct form *f, V1__Offer__Operation *op, struct fl_err *err)
{
    V1__Offer__Operation__Create *p =
        FL_ARENA_NEW(f->arena, V1__Offer__Operation__Create, v1__offer__operation__create);

    op->type = V1__OFFER__OPERATION__TYPE__CREATE;
    op->create = p;
    return field(f, "volumes", true, &p->volumes, &p->n_volumes, err);
}

static int read_destroy(struct form *f, V1__Offer__Operation *op, struct fl_err *err)
{
    V1__Offer__Operation__Destroy *p =
        FL_ARENA_NEW(f->arena, V1__Offer__Operation__Destroy, v1__offer__operation__destroy);

    op->type = V1__OFFER__OPERATION__TYPE__DESTROY;
    op->destroy = p;
    return field(f, "volumes", true, &p->volumes, &p->n_volumes, err);
}

/* ---- the endpoints ---- */

static int serve(struct form *f, struct master *m, read_f *read, struct fl_err *err)
{
    _cleanup_free_ char *agent_id = http_query_get(f->body, "slaveId");
    V1__Offer__Operation *op = FL_ARENA_NEW(f->arena, V1__Offer__Operation, v1__offer__operation);
    int r;

    if (!agent_id)
        return fl_err_set(err, FL_INVALID, "Missing 'slaveId' query parameter in the request body");
    op->has_type = true;
    r = read(f, op, err);
    return r < 0 ? r : master_operator_resources(m, agent_id, op, http_guard_principal(f->ex), err);
}

static void post(struct http_exchange *ex, void *arg, read_f *read)
{
    struct master_api *api = arg;
    const struct http_request *r = http_exchange_request(ex);
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    struct form f = {.ex = ex, .body = r->body, .arena = arena};
    struct fl_err err = {0};

    if (r->method != HTTP_M_POST) {
        api_refuse_method(ex, "POST");
        return;
    }
    if (api_refuse_unrecovered(ex, api))
        return;
    if (serve(&f, api->master, read, &err) < 0)
        http_respond_err(ex, &err);
    else
        http_respond(ex, 202, NULL, "");
}

void reserve_post(struct http_exchange *ex, void *arg)
{
    post(ex, arg, read_reserve);
}

void unreserve_post(struct http_exchange *ex, void *arg)
{
    post(ex, arg, read_unreserve);
}

void create_volumes_post(struct http_exchange *ex, void *arg)
{
    post(ex, arg, read_create);
}

void destroy_volumes_post(struct http_exchange *ex, void *arg)
{
    post(ex, arg, read_destroy);
}
