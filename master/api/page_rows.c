/* See page_rows.h. */
#include "master/api/page_rows.h"

#include <math.h>

#include "common/model/attributes.h"
#include "common/model/intern.h"
#include "master/api/page_values.h"
#include "master/quota.h"
#include "master/task_pack.h"

enum table { AGENTS, FRAMEWORKS, ROLES, TASKS, TABLES };
static const char *const heads[TABLES] = {
    [AGENTS] = "event: agents\ndata: {\"columns\":[\"key\",\"id\",\"hostname\",\"pid\",\"region\","
               "\"zone\",\"rack\",\"state\",\"version\",\"registered\",\"total\",\"used\","
               "\"offered\",\"reserved\",\"attributes\",\"tasks\"],\"rows\":[",
    [FRAMEWORKS] = "event: frameworks\ndata: {\"columns\":[\"key\",\"id\",\"name\",\"user\","
                   "\"host\",\"principal\",\"roles\",\"state\",\"webui_url\",\"registered\","
                   "\"used\",\"offered\",\"tasks\"],\"rows\":[",
    [ROLES] = "event: roles\ndata: {\"columns\":[\"name\",\"weight\",\"frameworks\",\"share\","
              "\"used\",\"offered\",\"reserved\",\"guarantee\",\"limit\"],\"rows\":[",
    [TASKS] = "event: tasks\ndata: {\"columns\":[\"key\",\"framework\",\"id\",\"name\",\"agent\","
              "\"role\",\"state\",\"at\",\"healthy\",\"resources\",\"executor\",\"started\"],"
              "\"rows\":[",
};

/* Sets that tasks share, by address: the last ones seen, as text. */
enum { CACHED = 64, AMOUNTS_TEXT = PAGE_AMOUNTS * 26 };
struct cached {
    const struct resources *of;
    const char *role;
    unsigned n;
    char text[AMOUNTS_TEXT];
};

struct page_rows {
    const char *names[PAGE_AMOUNTS]; /* interned */
    const struct master *m;
    struct viewer *viewer;
    struct fl_buf *out;
    enum table open; /* TABLES: none */
    unsigned n;      /* rows of it */
    struct cached cache[CACHED];
    const char *agent_id; /* of the last task whose agent was looked for */
    uint64_t agent_key;
};

struct page_rows *page_rows_new(void)
{
    struct page_rows *r = xnew0(struct page_rows);

    for (int i = 0; i < PAGE_AMOUNTS; i++)
        r->names[i] = intern(page_amount_names[i]);
    return r;
}

void page_rows_free(struct page_rows *r)
{
    free(r);
}

void page_rows_begin(struct page_rows *r, const struct master *m, struct viewer *v,
                     struct fl_buf *out)
{
    r->m = m;
    r->viewer = v;
    r->out = out;
    r->open = TABLES;
    r->n = 0;
    r->agent_id = NULL;
    for (int i = 0; i < CACHED; i++)
        r->cache[i].of = NULL;
    viewer_begin(v);
}

void page_rows_end(struct page_rows *r)
{
    if (r->open != TABLES)
        JSON_PUT(r->out, "]}\n\n");
    r->open = TABLES;
}

/* The place for a row's first value. */
static struct fl_buf *begin_row(struct page_rows *r, enum table table)
{
    if (r->open != table || r->n == PAGE_ROWS) {
        page_rows_end(r);
        json_put_raw(r->out, heads[table], strlen(heads[table]));
        r->open = table;
        r->n = 0;
    }
    if (r->n++ > 0)
        json_put_char(r->out, ',');
    json_put_char(r->out, '[');
    return r->out;
}

static void end_row(struct page_rows *r)
{
    json_put_char(r->out, ']');
}

/* ---- amounts ---- */

struct sums {
    const struct page_rows *r;
    milli_t of[PAGE_AMOUNTS];
};

static void add_item(const struct counted_item *item, void *arg)
{
    struct sums *s = arg;

    for (int i = 0; i < PAGE_AMOUNTS; i++)
        if (item->name == s->r->names[i])
            s->of[i] += item->amount;
}

/* What the viewer sees of it. */
static void next_resources(struct page_rows *r, const struct resources *all)
{
    _cleanup_resources_ struct resources room = RESOURCES_INIT;
    struct sums s = {.r = r};

    resources_each_counted(viewer_resources(r->viewer, all, &room), add_item, &s);
    json_put_char(r->out, ',');
    page_put_amounts(r->out, s.of);
}

/* ---- agents ---- */

static const char *agent_state(const struct agent *a)
{
    if (a->drain_info)
        return a->drain_info->state == V1__DRAIN_STATE__DRAINED ? "drained" : "draining";
    return a->deactivated ? "deactivated" : a->connected ? "active" : "inactive";
}

/* id hostname pid region zone rack, as far as an AgentInfo says it. */
static void put_place(struct fl_buf *b, const char *id, const V1__AgentInfo *info, const char *pid)
{
    const V1__DomainInfo__FaultDomain *d = info && info->domain ? info->domain->fault_domain : NULL;
    static const char *const attributes[] = {"region", "zone", "rack"};
    const char *of_domain[] = {d && d->region ? d->region->name : NULL,
                               d && d->zone ? d->zone->name : NULL, NULL};

    page_next_text(b, id);
    page_next_text(b, info ? info->hostname : NULL);
    page_next_text(b, pid);
    for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
        _cleanup_free_ char *text =
            info && !of_domain[i]
                ? attribute_text(info->attributes, info->n_attributes, attributes[i])
                : NULL;
        page_next_text(b, of_domain[i] ? of_domain[i] : text);
    }
}

static void next_attributes(struct fl_buf *b, const V1__AgentInfo *info)
{
    struct json_out j = json_out_on(b);

    json_put_char(b, ',');
    attributes_json(info ? info->attributes : NULL, info ? info->n_attributes : 0, &j);
}

void page_put_agent(struct page_rows *r, const struct agent *a)
{
    struct fl_buf *b = begin_row(r, AGENTS);

    json_put_uint(b, a->change.key);
    put_place(b, a->id, a->info, a->pid);
    page_next_text(b, agent_state(a));
    page_next_text(b, a->version);
    page_next_time(b, a->registered_time);
    next_resources(r, &a->total);
    next_resources(r, &a->used);
    next_resources(r, &a->offered);
    next_resources(r, &a->booked_reservations);
    next_attributes(b, a->info);
    page_next_uint(b, a->n_tasks);
    end_row(r);
}

void page_put_known_agent(struct page_rows *r, const struct known_agent *k, bool unreachable)
{
    static const struct resources none = RESOURCES_INIT;
    struct fl_buf *b = begin_row(r, AGENTS);

    json_put_uint(b, k->change.key);
    put_place(b, k->id, k->info, NULL);
    page_next_text(b, unreachable ? "unreachable" : "recovered");
    JSON_PUT(b, ",null,null");
    for (int i = 0; i < 4; i++)
        next_resources(r, &none);
    next_attributes(b, k->info);
    JSON_PUT(b, ",0");
    end_row(r);
}

/* ---- frameworks ---- */

static const char *framework_state(const struct framework *f)
{
    return f->unregistered_time > 0 ? "completed"
           : f->recovered           ? "recovered"
           : !f->connected          ? "disconnected"
           : !f->active             ? "inactive"
                                    : "active";
}

void page_put_framework(struct page_rows *r, const struct framework *f)
{
    const V1__FrameworkInfo *info = f->info;
    struct fl_buf *b;

    if (!viewer_sees_framework(r->viewer, info))
        return;
    b = begin_row(r, FRAMEWORKS);
    json_put_uint(b, f->change.key);
    page_next_text(b, f->id);
    page_next_text(b, info->name);
    page_next_text(b, info->user);
    page_next_text(b, info->hostname);
    page_next_text(b, info->principal);
    JSON_PUT(b, ",[");
    for (size_t i = 0; i < f->n_roles; i++) {
        if (i > 0)
            json_put_char(b, ',');
        page_put_text(b, f->roles[i]);
    }
    json_put_char(b, ']');
    page_next_text(b, framework_state(f));
    page_next_text(b, info->webui_url);
    page_next_time(b, f->registered_time);
    next_resources(r, &f->used);
    next_resources(r, &f->offered);
    page_next_uint(b, HASH_COUNT(f->tasks));
    end_row(r);
}

/* ---- roles ---- */

static void next_book(struct page_rows *r, const struct role *role, enum role_book book)
{
    milli_t of[PAGE_AMOUNTS] = {0};

    for (int i = 0; role && i < PAGE_AMOUNTS; i++)
        of[i] = quantities_get(&role->books[book], r->names[i]);
    json_put_char(r->out, ',');
    page_put_amounts(r->out, of);
}

static void next_quantities(struct page_rows *r, const struct quantities *q_or_null)
{
    if (!q_or_null || q_or_null->n == 0) {
        JSON_PUT(r->out, ",null");
        return;
    }
    for (int i = 0; i < PAGE_AMOUNTS; i++) {
        const struct quantity *q = quantities_find(q_or_null, r->names[i]);

        json_put_raw(r->out, i ? "," : ",[", i ? 1 : 2);
        if (q)
            page_put_milli(r->out, q->amount);
        else
            JSON_PUT(r->out, "null");
    }
    json_put_char(r->out, ']');
}

/* A share in millionths is exact enough to be drawn. */
static void next_share(struct page_rows *r, const char *name)
{
    const struct master *m = r->m;
    double share = m->alloc_ops->dominant_share ? m->alloc_ops->dominant_share(m->alloc, name) : 0;

    json_put_char(r->out, ',');
    json_text_double(r->out, isfinite(share) ? round(share * 1e6) / 1e6 : 0);
}

/* With --roles only those, and their ancestors, are shown (as /roles does). */
static bool is_listed(const struct master *m, const char *name)
{
    for (size_t i = 0; i < m->n_role_whitelist; i++)
        if (role_is_within(m->role_whitelist[i], name))
            return true;
    return m->role_whitelist == NULL;
}

void page_put_role(struct page_rows *r, const char *name, const struct role *role)
{
    struct fl_buf *b;

    if (!viewer_sees_role(r->viewer, name) || !is_listed(r->m, name))
        return;
    b = begin_row(r, ROLES);
    page_put_text(b, name);
    json_put_char(b, ',');
    json_text_double(b, role && role->weight > 0 ? role->weight : 1);
    page_next_uint(b, role ? role->n_frameworks : 0);
    next_share(r, name);
    next_book(r, role, ROLE_ALLOCATED);
    next_book(r, role, ROLE_OFFERED);
    next_book(r, role, ROLE_RESERVED);
    next_quantities(r, role && role->quota ? &role->quota->guarantees : NULL);
    next_quantities(r, role && role->quota ? &role->quota->limits : NULL);
    end_row(r);
}

/* ---- tasks ---- */

static const struct cached *cached_of(struct page_rows *r, const struct resources *res)
{
    struct cached *c = &r->cache[((uintptr_t)res >> 5) % CACHED];
    struct fl_buf b = FL_BUF_INIT;
    struct sums s = {.r = r};

    if (c->of == res)
        return c;
    resources_each_counted(res, add_item, &s);
    page_put_amounts(&b, s.of);
    c->of = res;
    c->role = resources_allocation_role(res);
    c->n = (unsigned)FL_MIN(b.len, sizeof(c->text));
    memcpy(c->text, b.data, c->n);
    fl_buf_done(&b);
    return c;
}

/* 0: it is not known any more. Tasks of one agent often come in a row. */
static uint64_t agent_key(struct page_rows *r, const struct task *t)
{
    const struct agent *a = t->agent;
    const struct known_agent *k = NULL;

    if (t->agent_id == r->agent_id)
        return r->agent_key;
    if (!a)
        a = master_agent(r->m, t->agent_id);
    if (!a)
        HASH_FIND_STR(r->m->unreachable_agents, t->agent_id, k);
    if (!a && !k)
        HASH_FIND_STR(r->m->recovered_agents, t->agent_id, k);
    r->agent_id = t->agent_id;
    r->agent_key = a ? a->change.key : k ? k->change.key : 0;
    return r->agent_key;
}

static double started_at(const struct task *t)
{
    struct task_status_view v;
    uint32_t at = 0;

    while (task_status_next(t, &at, &v))
        if (v.state == V1__TASK_STATE__TASK_RUNNING && v.has_timestamp)
            return v.timestamp;
    return 0;
}

void page_put_task(struct page_rows *r, const struct task *t)
{
    const struct cached *c;
    struct task_status_view last = {0};
    const char *state = task_state_name(t->state);
    uint64_t agent;
    struct fl_buf *b;

    if (!viewer_sees_task(r->viewer, t))
        return;
    c = cached_of(r, t->resources);
    agent = agent_key(r, t);
    (void)task_status_last(t, &last);
    b = begin_row(r, TASKS);
    json_put_uint(b, t->change.key);
    page_next_uint(b, t->framework->change.key);
    page_next_text(b, t->id);
    page_next_text(b, task_name(t));
    if (agent)
        page_next_uint(b, agent);
    else
        JSON_PUT(b, ",null");
    page_next_text(b, c->role ? c->role : "*");
    page_next_text(b, str_starts(state, "TASK_") ? state + strlen("TASK_") : state);
    page_next_time(b, last.has_timestamp ? last.timestamp : 0);
    page_next_text(b, NULL);
    if (last.has_healthy) {
        b->len -= strlen("null");
        json_put_raw(b, last.healthy ? "true" : "false", last.healthy ? 4 : 5);
    }
    json_put_char(b, ',');
    json_put_raw(b, c->text, c->n);
    page_next_text(b, t->executor_id);
    page_next_time(b, started_at(t));
    end_row(r);
}

/* ---- what is gone ---- */

static void begin_list(struct fl_buf *b, const char *name, bool *any)
{
    json_put_raw(b, *any ? ",\"" : "\"", *any ? 2 : 1);
    json_put_raw(b, name, strlen(name));
    JSON_PUT(b, "\":[");
    *any = true;
}

static void put_keys(const struct page_rows *r, const char *name, const struct gone_list *l,
                     bool is_agents, struct fl_buf *b, bool *any)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        const struct gone *g = &l->items[i];

        if (!is_agents && !viewer_sees_users(r->viewer, g->framework_user, g->user))
            continue;
        if (n++ == 0)
            begin_list(b, name, any);
        else
            json_put_char(b, ',');
        json_put_uint(b, g->key);
    }
    if (n > 0)
        json_put_char(b, ']');
}

static void put_role_names(const struct page_rows *r, const struct changes *c, struct fl_buf *b,
                           bool *any)
{
    size_t n = 0;

    for (size_t i = 0; i < c->gone_roles.n; i++) {
        const char *name = c->gone_roles.items[i];

        if (role_find(r->m, name) || !viewer_sees_role(r->viewer, name) ||
            (r->m->role_whitelist && is_listed(r->m, name)))
            continue;
        if (n++ == 0)
            begin_list(b, "roles", any);
        else
            json_put_char(b, ',');
        page_put_text(b, name);
    }
    if (n > 0)
        json_put_char(b, ']');
}

void page_put_gone(struct page_rows *r, const struct changes *c)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    bool any = false;

    page_rows_end(r);
    /* Those of --roles stay, as empty as they are then. */
    for (size_t i = 0; r->m->role_whitelist && i < c->gone_roles.n; i++)
        if (!role_find(r->m, c->gone_roles.items[i]))
            page_put_role(r, c->gone_roles.items[i], NULL);
    page_rows_end(r);
    put_keys(r, "agents", &c->gone_agents, true, &b, &any);
    put_keys(r, "frameworks", &c->gone_frameworks, false, &b, &any);
    put_role_names(r, c, &b, &any);
    put_keys(r, "tasks", &c->gone_tasks, false, &b, &any);
    if (!any)
        return;
    JSON_PUT(r->out, "event: gone\ndata: {");
    json_put_raw(r->out, b.data, b.len);
    JSON_PUT(r->out, "}\n\n");
}
