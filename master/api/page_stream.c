/* GET /page/events: what the web page shows, as a stream of small events (page_rows.h). It begins with a picture of the state; then, each
 * PAGE_INTERVAL_MS, the newest row of whatever changed meanwhile (changes.h), once, however often it changed. Amounts of resources go out
 * once a second.
 *
 * Those who see everything are sent one encoding. Rows that a timer's turn would take too long to write wait for the next ones. A stream
 * that begins hears also of changes that its picture has already: rows replace each other, so that does no harm, and nothing has to be
 * remembered for each. */
#include <utlist.h>

#include "master/api/page_rows.h"
#include "master/api/state_stream.h"

#define SUBSCRIBERS_MAX 1000
#define AMOUNTS_EACH    4     /* turns: a second */
#define BEAT_EACH       8     /* turns without another event: 2 s */
#define ROWS_A_TURN     10000 /* of tasks: some milliseconds of the core's time */
#define EVENTS          "text/event-stream; charset=utf-8"

struct page_stream {
    struct state_stream base; /* first */
    char *principal;          /* owned, or NULL */
};

struct page_service {
    struct master_api *api;
    struct state_streams streams;
    struct page_rows *rows;  /* owned */
    struct env_timer *timer; /* owned; runs while there are streams */
    unsigned turn, silent;   /* turns; those since the last event */
    struct metric *bytes, *refused, *write_ms;
};

/* ---- the picture ---- */

static void put_task(struct state_out *o, const struct task *t, void *arg)
{
    page_put_task(arg, t);
}

static void put_things(struct state_out *o, struct page_rows *r)
{
    for (const struct agent *a = o->m->agents; a; a = a->hh.next, state_step(o))
        page_put_agent(r, a);
    for (const struct known_agent *k = o->m->unreachable_agents; k; k = k->hh.next, state_step(o))
        page_put_known_agent(r, k, true);
    for (const struct known_agent *k = o->m->recovered_agents; k; k = k->hh.next, state_step(o))
        page_put_known_agent(r, k, false);
    for (const struct framework *f = o->m->frameworks; f; f = f->hh.next, state_step(o))
        page_put_framework(r, f);
    for (const struct framework *f = o->m->completed_frameworks; f; f = f->next_completed)
        page_put_framework(r, f);
}

static void put_all_roles(struct page_rows *r, const struct master *m, const char *principal)
{
    struct fl_arena *arena = fl_arena_new(16 * 1024);
    struct role_view **views;
    size_t n = roles_list(m, principal, arena, &views);

    for (size_t i = 0; i < n; i++)
        page_put_role(r, views[i]->name, views[i]->role);
    fl_arena_free(arena);
}

static void write_picture(struct state_out *o)
{
    struct page_rows *r = o->api->page->rows;

    page_rows_begin(r, o->m, o->viewer, &o->buf);
    put_things(o, r);
    put_all_roles(r, o->m, o->rq->principal);
    for (int list = TASKS_LIVE; list <= TASKS_COMPLETED; list++)
        state_each_task(o, (enum task_list)list, put_task, r);
    page_rows_end(r);
    fl_buf_adds(&o->buf, PAGE_READY);
}

static const struct state_view picture = {"the page's picture", write_picture, false};

/* ---- what changed ---- */

static size_t tasks_a_turn(const struct changes *c)
{
    return FL_MIN(c->of[CHANGED_TASKS].n, (size_t)ROWS_A_TURN);
}

static bool is_due(enum change_kind kind, void *thing, bool amounts)
{
    return thing && (amounts || change_mark_of(kind, thing)->at_once);
}

static void put_agents(struct page_rows *r, const struct master *m, bool amounts)
{
    const struct change_list *l = &m->changes->of[CHANGED_AGENTS];
    const struct change_list *known = &m->changes->of[CHANGED_KNOWN_AGENTS];

    for (size_t i = 0; i < l->n; i++)
        if (is_due(CHANGED_AGENTS, l->items[i], amounts))
            page_put_agent(r, l->items[i]);
    for (size_t i = 0; i < known->n; i++) {
        const struct known_agent *k = known->items[i], *unreachable;

        if (!k)
            continue;
        HASH_FIND_STR(m->unreachable_agents, k->id, unreachable);
        page_put_known_agent(r, k, unreachable == k);
    }
}

static void put_frameworks(struct page_rows *r, const struct master *m, bool amounts)
{
    const struct change_list *l = &m->changes->of[CHANGED_FRAMEWORKS];

    for (size_t i = 0; i < l->n; i++)
        if (is_due(CHANGED_FRAMEWORKS, l->items[i], amounts))
            page_put_framework(r, l->items[i]);
}

static void put_roles(struct page_rows *r, const struct master *m, const char *principal,
                      bool amounts)
{
    const struct change_list *l = &m->changes->of[CHANGED_ROLES];

    if (amounts && m->changes->all_roles) {
        put_all_roles(r, m, principal);
        return;
    }
    for (size_t i = 0; i < l->n; i++) {
        const struct role *role = l->items[i];

        if (is_due(CHANGED_ROLES, l->items[i], amounts))
            page_put_role(r, role->name, role);
    }
}

static void put_changes(struct page_service *p, struct viewer *v, const char *principal,
                        bool amounts, struct fl_buf *out)
{
    const struct master *m = p->api->master;
    const struct change_list *tasks = &m->changes->of[CHANGED_TASKS];

    page_rows_begin(p->rows, m, v, out);
    put_agents(p->rows, m, amounts);
    put_frameworks(p->rows, m, amounts);
    put_roles(p->rows, m, principal, amounts);
    for (size_t i = 0; i < tasks_a_turn(m->changes); i++)
        if (tasks->items[i])
            page_put_task(p->rows, tasks->items[i]);
    page_put_gone(p->rows, m->changes);
}

static void all_seen(struct changes *c, bool amounts)
{
    changes_seen(c, CHANGED_TASKS, tasks_a_turn(c), false);
    for (int kind = CHANGED_AGENTS; kind < CHANGE_KINDS; kind++)
        changes_seen(c, (enum change_kind)kind, SIZE_MAX, !amounts);
    changes_gone_seen(c);
    if (amounts)
        c->all_roles = false;
}

/* Of its own: only what its viewer sees. */
static void send_filtered(struct page_service *p, struct state_stream *s, bool amounts)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    put_changes(p, s->viewer, ((struct page_stream *)s)->principal, amounts, &b);
    if (b.len)
        state_stream_send(s, &b);
}

static bool send_changes(struct page_service *p, bool amounts)
{
    _cleanup_buf_ struct fl_buf all = FL_BUF_INIT;
    struct state_stream *s, *next;
    bool written = false;

    DL_FOREACH_SAFE (p->streams.first, s, next) {
        if (s->viewer) {
            send_filtered(p, s, amounts);
            continue;
        }
        if (!written)
            put_changes(p, NULL, NULL, amounts, &all);
        written = true;
        if (all.len) {
            metric_add(p->bytes, (double)all.len);
            state_stream_send(s, &all);
        }
    }
    return all.len > 0;
}

static void send_beat(struct page_service *p)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct state_stream *s, *next;

    page_put_beat(p->api->master, &b);
    DL_FOREACH_SAFE (p->streams.first, s, next)
        state_stream_send(s, &b);
}

static void on_turn(void *arg)
{
    struct page_service *p = arg;
    struct master *m = p->api->master;
    const struct env *e = &m->env->env;
    uint64_t before = env_now_us(e);
    bool amounts = ++p->turn % AMOUNTS_EACH == 0;

    if (m->changes->lost) {
        state_streams_end(&p->streams, "More has changed than can be told; begin anew");
        return;
    }
    env_timer_set(e, p->timer, PAGE_INTERVAL_MS * 1000);
    p->silent = send_changes(p, amounts) ? 0 : p->silent + 1;
    if (m->changes) /* streams that were closed may have been the last */
        all_seen(m->changes, amounts);
    if (p->silent >= BEAT_EACH) {
        send_beat(p);
        p->silent = 0;
    }
    metric_sample_ms(p->write_ms, (double)(env_now_us(e) - before) / 1e3);
}

/* ---- streams ---- */

static void counted(struct master_api *api)
{
    struct page_service *p = api->page;
    struct master *m = api->master;
    const struct state_stream *s;

    if (p->streams.n == 0) {
        env_timer_stop(&m->env->env, p->timer);
        changes_stop(m);
        return;
    }
    if (!m->changes) {
        changes_start(m);
        p->silent = 0;
        env_timer_set(&m->env->env, p->timer, PAGE_INTERVAL_MS * 1000);
    }
    m->changes->keep_users = false;
    DL_FOREACH (p->streams.first, s)
        m->changes->keep_users |= s->viewer != NULL;
}

static void begun(struct state_stream *s)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    page_put_hello(s->api->master, ((struct page_stream *)s)->principal, s->viewer, &b);
    state_stream_send(s, &b);
}

/* So that nobody waits for what a quiet cluster sends two seconds later. */
static void ready(struct state_stream *s)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    page_put_beat(s->api->master, &b);
    state_stream_send(s, &b);
}

static void page_stream_free(struct state_stream *base)
{
    struct page_stream *s = (struct page_stream *)base;

    free(s->principal);
    free(s);
}

static const struct state_stream_kind kind = {
    .view = &picture,
    .what = "the page's events",
    .counted = counted,
    .begun = begun,
    .ready = ready,
    .free = page_stream_free,
};

void page_events_get(struct http_exchange *ex, void *arg)
{
    struct master_api *api = arg;
    struct page_service *p = api->page;
    const char *principal = http_guard_principal(ex);
    struct page_stream *s;

    if (http_exchange_request(ex)->method != HTTP_M_GET) {
        api_refuse_method(ex, "GET");
        return;
    }
    if (api_refuse_unrecovered(ex, api))
        return;
    if (p->streams.n_all >= SUBSCRIBERS_MAX) {
        metric_inc(p->refused);
        http_respondf(ex, 503, HTTP_TEXT, "%u pages are open already, as many as there may be",
                      p->streams.n_all);
        return;
    }
    s = xnew0(struct page_stream);
    s->principal = principal ? xstrdup(principal) : NULL;
    http_exchange_add_header(ex, "Cache-Control", "no-store");
    http_exchange_add_header(ex, "X-Accel-Buffering", "no"); /* proxies: not gathered */
    state_stream_open(&p->streams, &s->base, api, ex, s->principal, API_JSON, EVENTS);
}

/* ---- life ---- */

static double pull_streams(void *arg)
{
    return ((struct page_service *)arg)->streams.n_all;
}

void page_metrics(struct master_api *api)
{
    struct metrics *m = api->master->metrics;
    struct page_service *p = api->page = xnew0(struct page_service);

    p->api = api;
    p->streams.kind = &kind;
    p->rows = page_rows_new();
    p->timer = env_timer_new(&api->master->env->env, on_turn, p);
    p->bytes = metrics_counter(m, "master/page_bytes");
    p->refused = metrics_counter(m, "master/page_subscribers_refused");
    p->write_ms = metrics_timer(m, "master/page_write_ms");
    metrics_pull(m, "master/page_subscribers", pull_streams, p);
}

void page_stop(struct master_api *api)
{
    if (api->page)
        state_streams_end(&api->page->streams, "The master is ending");
}

void page_free(struct master_api *api)
{
    struct page_service *p = TAKE_PTR(api->page);

    if (!p)
        return;
    env_timer_free(&api->master->env->env, p->timer);
    page_rows_free(p->rows);
    free(p);
}
