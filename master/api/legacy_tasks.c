/* /tasks. */
#include "master/api/handlers.h"
#include "master/api/viewer.h"

#define TASKS_LIMIT_DEFAULT 100

struct task_list {
    struct viewer *viewer;
    const struct task **items; /* owned */
    size_t n, cap;
};

static void collect(struct task_list *l, const struct task *t, const char *only_id)
{
    if ((only_id && !streq(only_id, t->id)) || !viewer_sees_task(l->viewer, t))
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
    _cleanup_viewer_ struct viewer *v = viewer_new(api->master, http_guard_principal(ex));
    struct task_list list = {.viewer = v};

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
