/* /tasks. */
#include "master/api/state.h"

#define TASKS_LIMIT_DEFAULT 100

struct found {
    const char *only_id;       /* or NULL */
    const struct task **items; /* owned */
    size_t n, cap;
};

static void collect(struct state_out *o, const struct task *t, void *arg)
{
    struct found *l = arg;

    if (l->only_id && !streq(l->only_id, t->id))
        return;
    l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof(*l->items));
    l->items[l->n++] = t;
}

static void collect_framework(struct state_out *o, const struct framework *f, const char *only,
                              struct found *l)
{
    if (only && !streq(only, f->id))
        return;
    state_each_task_of(o, f, TASKS_LIVE, collect, l);
    state_each_task_of(o, f, TASKS_UNREACHABLE, collect, l);
    state_each_task_of(o, f, TASKS_COMPLETED, collect, l);
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

static void write_tasks(struct state_out *o)
{
    const char *query = o->rq->query;
    uint64_t limit = query_number(query, "limit", TASKS_LIMIT_DEFAULT);
    uint64_t offset = query_number(query, "offset", 0);
    _cleanup_free_ char *order = http_query_get(query, "order");
    _cleanup_free_ char *framework_id = http_query_get(query, "framework_id");
    _cleanup_free_ char *task_id = http_query_get(query, "task_id");
    struct found l = {.only_id = task_id};

    for (const struct framework *f = o->m->frameworks; f; f = f->hh.next)
        collect_framework(o, f, framework_id, &l);
    for (const struct framework *f = o->m->completed_frameworks; f; f = f->next_completed)
        collect_framework(o, f, framework_id, &l);
    if (l.n)
        qsort(l.items, l.n, sizeof(*l.items),
              streq(order, "asc") ? by_first_status : by_first_status_descending);
    json_object(&o->j);
    json_karray(&o->j, "tasks");
    for (size_t i = offset; i < l.n && i - offset < limit; i++) {
        state_comma(o);
        task_writer_legacy(o->tasks, l.items[i], &o->buf);
        state_step(o);
    }
    json_end_array(&o->j);
    json_end_object(&o->j);
    free(l.items);
}

const struct state_view state_view_tasks = {"/tasks", write_tasks, true};

void tasks_get(struct http_exchange *ex, void *arg)
{
    state_respond(ex, arg, &state_view_tasks);
}
