/* /tasks and /roles. */
#include "master/api/handlers.h"

#define TASKS_LIMIT_DEFAULT 100

struct task_list {
    const struct task **items; /* owned */
    size_t n, cap;
};

static void collect(struct task_list *l, const struct task *t, const char *only_id)
{
    if (only_id && !streq(only_id, t->id))
        return;
    l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof(*l->items));
    l->items[l->n++] = t;
}

static void collect_framework(struct task_list *l, const struct framework *f, const char *only_id)
{
    for (const struct task *t = f->tasks; t; t = t->hh.next)
        collect(l, t, only_id);
    for (const struct task *t = f->unreachable_tasks; t; t = t->hh.next)
        collect(l, t, only_id);
    for (const struct task *t = f->completed_tasks; t; t = t->next_completed)
        collect(l, t, only_id);
}

/* By the time of the first status; tasks that have none come last when descending and first when
 * ascending, as in the reference. */
static int by_first_status(const void *pa, const void *pb)
{
    const struct task *a = *(const struct task *const *)pa, *b = *(const struct task *const *)pb;

    return (a->first_status_time > b->first_status_time) -
           (a->first_status_time < b->first_status_time);
}

static int by_first_status_descending(const void *pa, const void *pb)
{
    return by_first_status(pb, pa);
}

/* A number of the query, or `otherwise` when it is absent or no number (the reference ignores such
 * ones). A negative one is no limit. */
static uint64_t query_number(const char *query, const char *name, uint64_t otherwise)
{
    _cleanup_free_ char *text = http_query_get(query, name);
    uint64_t v;

    if (text && text[0] == '-' && fl_parse_u64(text + 1, &v) == 0)
        return v ? UINT64_MAX : 0;
    return text && fl_parse_u64(text, &v) == 0 ? v : otherwise;
}

void tasks_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const char *query = http_exchange_request(ex)->query;
    uint64_t limit = query_number(query, "limit", TASKS_LIMIT_DEFAULT);
    uint64_t offset = query_number(query, "offset", 0);
    _cleanup_free_ char *order = http_query_get(query, "order");
    _cleanup_free_ char *framework_id = http_query_get(query, "framework_id");
    _cleanup_free_ char *task_id = http_query_get(query, "task_id");
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    struct task_list list = {0};

    for (const struct framework *f = api->master->frameworks; f; f = f->hh.next)
        if (!framework_id || streq(framework_id, f->id))
            collect_framework(&list, f, task_id);
    for (const struct framework *f = api->master->completed_frameworks; f; f = f->next_completed)
        if (!framework_id || streq(framework_id, f->id))
            collect_framework(&list, f, task_id);
    if (list.n)
        qsort(list.items, list.n, sizeof(*list.items),
              streq(order, "asc") ? by_first_status : by_first_status_descending);
    json_object(&j);
    json_karray(&j, "tasks");
    for (size_t i = offset; i < list.n && i - offset < limit; i++)
        legacy_task(&j, list.items[i]);
    json_end_array(&j);
    json_end_object(&j);
    free(list.items);
    http_respond_json(ex, 200, &out);
}

/* ---- /roles ---- */

/* What is known of one role: who subscribed to it, what it holds. */
struct role_view {
    const char *name; /* borrowed; key */
    const struct framework **frameworks;
    size_t n_frameworks, cap;
    struct resources allocated, offered, reserved;
    UT_hash_handle hh;
};

static struct role_view *role_get(struct role_view **roles, const char *name)
{
    struct role_view *r;

    HASH_FIND_STR(*roles, name, r);
    if (!r) {
        r = xnew0(struct role_view);
        r->name = name;
        HASH_ADD_KEYPTR(hh, *roles, r->name, strlen(r->name), r);
    }
    return r;
}

struct role_sum {
    struct role_view **roles;
    bool offered;
};

static void add_part(const char *role, const struct resources *part, void *arg)
{
    struct role_sum *s = arg;
    struct role_view *r = role_get(s->roles, role);

    resources_add(s->offered ? &r->offered : &r->allocated, part);
}

static void roles_collect(const struct master *m, struct role_view **roles)
{
    for (const struct framework *f = m->frameworks; f; f = f->hh.next) {
        for (size_t i = 0; i < f->n_roles; i++) {
            struct role_view *r = role_get(roles, f->roles[i]);
            r->frameworks =
                xgrow(r->frameworks, &r->cap, r->n_frameworks + 1, sizeof(*r->frameworks));
            r->frameworks[r->n_frameworks++] = f;
        }
        resources_by_role(&f->used, add_part, &(struct role_sum){roles, false});
        resources_by_role(&f->offered, add_part, &(struct role_sum){roles, true});
    }
    for (const struct agent *a = m->agents; a; a = a->hh.next) {
        _cleanup_free_ const char **names = NULL;
        size_t n = resources_reservation_roles(&a->total, &names);
        for (size_t i = 0; i < n; i++) {
            _cleanup_resources_ struct resources part = RESOURCES_INIT;
            resources_reserved_to(&a->total, names[i], &part);
            resources_add(&role_get(roles, names[i])->reserved, &part);
        }
    }
}

static void scalar_field(const char *name, milli_t sum, void *arg)
{
    json_kdouble(arg, name, milli_to_double(sum));
}

static void quantities(struct json_out *j, const char *key, const struct resources *r)
{
    json_kobject(j, key);
    resources_each_scalar(r, scalar_field, j);
    json_end_object(j);
}

static int by_name(struct role_view *a, struct role_view *b)
{
    return strcmp(a->name, b->name);
}

/* Weights and quota are settings of issue 3; until a role has one, these are the protocol's
 * defaults. */
static void role_json(struct json_out *j, const struct role_view *r)
{
    _cleanup_resources_ struct resources both = RESOURCES_INIT, none = RESOURCES_INIT;

    resources_copy(&both, &r->allocated);
    resources_add(&both, &r->offered);
    json_object(j);
    json_kstr(j, "name", r->name);
    json_kdouble(j, "weight", 1.0);
    json_kobject(j, "quota");
    json_kstr(j, "role", r->name);
    quantities(j, "guarantee", &none);
    quantities(j, "limit", &none);
    quantities(j, "consumed", &r->allocated);
    json_end_object(j);
    quantities(j, "resources", &both);
    quantities(j, "allocated", &r->allocated);
    quantities(j, "offered", &r->offered);
    quantities(j, "reserved", &r->reserved);
    json_karray(j, "frameworks");
    for (size_t i = 0; i < r->n_frameworks; i++)
        json_string(j, r->frameworks[i]->id);
    json_end_array(j);
    json_end_object(j);
}

void roles_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    struct role_view *roles = NULL, *r, *next;

    roles_collect(api->master, &roles);
    HASH_SORT(roles, by_name);
    json_object(&j);
    json_karray(&j, "roles");
    for (r = roles; r; r = r->hh.next)
        role_json(&j, r);
    json_end_array(&j);
    json_end_object(&j);
    HASH_ITER (hh, roles, r, next) {
        HASH_DEL(roles, r);
        resources_done(&r->allocated);
        resources_done(&r->offered);
        resources_done(&r->reserved);
        free(r->frameworks);
        free(r);
    }
    http_respond_json(ex, 200, &out);
}
