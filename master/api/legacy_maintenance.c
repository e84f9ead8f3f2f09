/* The older endpoints about maintenance: /maintenance/schedule, /maintenance/status, /machine/down, /machine/up. */
#include "master/api/handlers.h"
#include "master/maintenance.h"

/* What a POST asked for: lives until it is answered. */
struct asked {
    struct http_exchange *ex;
    struct fl_arena *arena;
};

static struct asked *asked_new(struct http_exchange *ex)
{
    struct asked *a = xnew0(struct asked);

    a->ex = ex;
    a->arena = fl_arena_new(4096);
    return a;
}

static void asked_free(struct asked *a)
{
    fl_arena_free(a->arena);
    free(a);
}

static void answer(void *arg, int status, const struct fl_err *err_or_null)
{
    struct asked *a = arg;

    if (err_or_null)
        http_respond_err(a->ex, err_or_null);
    else
        http_respond(a->ex, status, NULL, "");
    asked_free(a);
}

static void refuse(struct asked *a, const struct fl_err *err)
{
    http_respond_err(a->ex, err);
    asked_free(a);
}

static void respond_message(struct http_exchange *ex, const ProtobufCMessage *msg)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

    fl_json_from_pb(&out, msg, FL_JSON_LEGACY);
    http_respond_json(ex, 200, &out);
}

/* True when it answered: the method is not one of the list, such as "GET, POST". */
static bool refuse_method(struct http_exchange *ex, bool get, bool post)
{
    const struct http_request *r = http_exchange_request(ex);

    if ((get && r->method == HTTP_M_GET) || (post && r->method == HTTP_M_POST))
        return false;
    api_refuse_method(ex, get && post ? "GET, POST" : get ? "GET" : "POST");
    return true;
}

/* ---- the schedule ---- */

static void show_schedule(struct http_exchange *ex, const struct master *m)
{
    struct fl_arena *arena = fl_arena_new(4096);

    respond_message(ex, &maintenance_schedule(m, http_guard_principal(ex), arena)->base);
    fl_arena_free(arena);
}

void maintenance_schedule_any(struct http_exchange *ex, void *arg)
{
    struct master_api *api = arg;
    const struct http_request *r = http_exchange_request(ex);
    ProtobufCMessage *msg;
    struct asked *a;
    struct fl_err err;

    if (refuse_method(ex, true, true))
        return;
    if (r->method == HTTP_M_GET) {
        show_schedule(ex, api->master);
        return;
    }
    if (http_guard_forbidden(api->guard, ex, ACL_UPDATE_MAINTENANCE_SCHEDULES, NULL))
        return;
    a = asked_new(ex);
    if (fl_json_to_pb(r->body, r->body_len, &maint__schedule__descriptor, FL_JSON_V0,
                      fl_arena_allocator(a->arena), &msg, &err) < 0)
        refuse(a, &err);
    else
        maintenance_update(api->master, (Maint__Schedule *)msg, http_guard_principal(ex), answer,
                           a);
}

void maintenance_status_get(struct http_exchange *ex, void *arg)
{
    struct master_api *api = arg;
    struct fl_arena *arena;

    if (refuse_method(ex, true, false))
        return;
    arena = fl_arena_new(4096);
    respond_message(ex, &maintenance_status(api->master, http_guard_principal(ex), arena)->base);
    fl_arena_free(arena);
}

/* ---- machines ---- */

/* The body: an array of MachineIDs. */
static int read_machines(const struct http_request *r, struct fl_arena *arena, V1__MachineID ***ret,
                         size_t *ret_n, struct fl_err *err)
{
    json_error_t why;
    json_auto_t *root = json_loadb(r->body, r->body_len, 0, &why);
    size_t n = json_array_size(root);
    V1__MachineID **ids;

    if (!root)
        return fl_err_set(err, FL_INVALID, "the body is no JSON: %s", why.text);
    if (!json_is_array(root))
        return fl_err_set(err, FL_INVALID, "the body is no array of machines");
    ids = fl_arena_alloc(arena, (n + 1) * sizeof(*ids));
    for (size_t i = 0; i < n; i++) {
        ProtobufCMessage *msg;
        int e = fl_json_value_to_pb(json_array_get(root, i), &v1__machine_id__descriptor,
                                    FL_JSON_V0, fl_arena_allocator(arena), &msg, err);
        if (e < 0)
            return e;
        ids[i] = (V1__MachineID *)msg;
    }
    *ret = ids;
    *ret_n = n;
    return 0;
}

static void change_machines(struct http_exchange *ex, struct master_api *api, bool start)
{
    struct master *m = api->master;
    enum acl_action action = start ? ACL_START_MAINTENANCES : ACL_STOP_MAINTENANCES;
    V1__MachineID **ids = NULL;
    struct asked *a;
    struct fl_err err;
    size_t n = 0;

    if (refuse_method(ex, false, true) || http_guard_forbidden(api->guard, ex, action, NULL))
        return;
    a = asked_new(ex);
    if (read_machines(http_exchange_request(ex), a->arena, &ids, &n, &err) < 0)
        refuse(a, &err);
    else if (start)
        maintenance_start(m, ids, n, http_guard_principal(ex), answer, a);
    else
        maintenance_stop(m, ids, n, http_guard_principal(ex), answer, a);
}

void machine_down_post(struct http_exchange *ex, void *arg)
{
    struct master_api *api = arg;

    change_machines(ex, api, true);
}

void machine_up_post(struct http_exchange *ex, void *arg)
{
    struct master_api *api = arg;

    change_machines(ex, api, false);
}
