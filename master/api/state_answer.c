/* Who writes a view for whom. See state.h.
 *
 * A view of few objects is written at once. For one of many a snapshot is made: wishes for equal views wait together for the next
 * snapshot of that view. It is forked after the requests that came in one turn of the loop were all heard, so it never shows anything
 * older than the youngest of them. Wishes that come while it is written wait for the next one: they may not be shown what was before they
 * asked. At most CHILDREN_MAX processes run; the bytes of all snapshots that someone still reads are limited. */
#include <stdatomic.h>
#include <utlist.h>

#include "common/base/log.h"
#include "master/api/state_fork.h"

#define CHILDREN_MAX     4
#define WISHES_MAX       4096
#define CHILD_TIMEOUT_S  120
#define REAP_US          5000
#define GZIP_MIN         1024
#define FORK_AGAIN_AFTER 10000000u /* us: after a failure, views are written at once for so long */

struct snapshot;

struct state_wish {
    struct snapshot *of;      /* NULL: it is being answered */
    struct http_exchange *ex; /* or: */
    const struct state_wish_ops *ops;
    void *arg;
    struct state_wish *prev, *next;
};

/* Waits, then runs (`child`), then its child ends (no wishes). */
struct snapshot {
    struct state_service *s;
    struct state_request rq;
    struct state_wish *wishes;
    struct state_child *child;
    bool delivered;
    uint64_t begun_us;
    struct snapshot *prev, *next;
};

struct state_service {
    struct master_api *api;
    struct fl_loop *loop;
    struct task_writer *tasks; /* owned */
    struct snapshot *snapshots;
    unsigned n_wishes, n_children;
    _Atomic size_t held;
    bool start_due, stopped;
    uint64_t no_fork_until_us;
    struct fl_timer *reap; /* owned */
    struct metric *made, *failed, *refused, *shared, *ms, *hold_ms;
};

static double pull_held(void *arg)
{
    struct state_service *s = arg;

    return (double)atomic_load(&s->held);
}

static double pull_shared(void *arg)
{
    return metric_get(((struct state_service *)arg)->shared);
}

static double pull_children(void *arg)
{
    return ((struct state_service *)arg)->n_children;
}

static struct state_service *service(struct master_api *api)
{
    struct metrics *m = api->master->metrics;
    struct state_service *s = api->state;

    if (s)
        return s;
    s = api->state = xnew0(struct state_service);
    s->api = api;
    s->tasks = task_writer_new();
    s->made = metrics_counter(m, "master/state_snapshots");
    s->failed = metrics_counter(m, "master/state_snapshots_failed");
    s->refused = metrics_counter(m, "master/state_snapshots_refused");
    s->shared = metrics_counter(m, "master/state_snapshots_shared");
    metrics_pull(m, "master/http_cache_hits", pull_shared, s);
    s->ms = metrics_timer(m, "master/state_snapshot_ms");
    s->hold_ms = metrics_timer(m, "master/state_hold_ms");
    metrics_pull(m, "master/state_snapshot_bytes", pull_held, s);
    metrics_pull(m, "master/state_snapshot_processes", pull_children, s);
    return s;
}

void state_metrics(struct master_api *api)
{
    (void)service(api);
}

/* ---- small ones, at once ---- */

static bool over(size_t *n, size_t more, size_t limit)
{
    *n += more;
    return *n >= limit;
}

static bool is_large(const struct master *m)
{
    size_t limit = m->flags->state_snapshot_objects, n = 0;

    if (over(&n, HASH_COUNT(m->agents), limit))
        return true;
    for (const struct framework *f = m->frameworks; f; f = f->hh.next)
        if (over(&n, HASH_COUNT(f->tasks) + HASH_COUNT(f->unreachable_tasks) + f->n_completed,
                 limit))
            return true;
    for (const struct framework *f = m->completed_frameworks; f; f = f->next_completed)
        if (over(&n, f->n_completed, limit))
            return true;
    for (const struct agent *a = m->agents; a; a = a->hh.next)
        for (const struct executor *e = a->executors; e; e = e->next)
            if (over(&n, 1, limit))
                return true;
    return false;
}

static void write_now(struct state_service *s, const struct state_request *rq, struct fl_buf *ret)
{
    struct state_out o = {.api = s->api, .rq = rq, .tasks = s->tasks};
    uint64_t begun = env_now_us(&s->api->master->env->env);

    state_write(&o);
    if (o.head.len)
        fl_buf_add(&o.head, o.buf.data, o.buf.len);
    *ret = o.head.len ? o.head : o.buf;
    *(o.head.len ? &o.head : &o.buf) = (struct fl_buf)FL_BUF_INIT;
    state_out_done(&o);
    metric_sample_ms(s->hold_ms, (double)(env_now_us(&s->api->master->env->env) - begun) / 1e3);
}

/* ---- requests ---- */

static const char *type_of(const struct state_request *rq)
{
    return rq->jsonp ? "text/javascript" : api_content_type(rq->encoding);
}

static bool same(const struct state_request *a, const struct state_request *b)
{
    return a->view == b->view && a->encoding == b->encoding && a->gzip == b->gzip &&
           streq(a->query, b->query) && streq(a->path_rest, b->path_rest) &&
           streq(a->jsonp, b->jsonp) && streq(a->principal, b->principal);
}

static void fill_request(struct state_request *rq, const struct master_api *api,
                         const struct state_view *view, enum api_encoding encoding,
                         const struct http_request *r, const char *principal)
{
    rq->view = view;
    rq->encoding = encoding;
    rq->query = xstrdup(r && view->by_query ? r->query : "");
    rq->path_rest = xstrdup(r && view->by_query ? r->path_rest : "");
    rq->principal = api->master->acls && principal ? xstrdup(principal) : NULL;
}

/* ---- answering wishes ---- */

static void answer(struct state_wish *w, const struct state_request *rq,
                   const struct state_child_result *r, const struct fl_err *err)
{
    if (w->ops)
        w->ops->done(w->arg, r ? r->bytes : NULL, err);
    else if (!w->ex)
        ; /* cancelled by one that was answered before it */
    else if (r && r->bytes)
        http_respond_region(w->ex, 200, type_of(rq), r->bytes, r->gzipped);
    else
        http_respond_err(w->ex, err);
}

/* To all who wait for it; r is NULL or has no bytes when it failed. */
static void deliver(struct snapshot *x, const struct state_child_result *r,
                    const struct fl_err *err)
{
    struct state_wish *wishes = x->wishes, *w, *next;

    x->wishes = NULL;
    x->delivered = true;
    DL_FOREACH (wishes, w)
        w->of = NULL;
    for (w = wishes; w; w = next) {
        next = w->next;
        x->s->n_wishes--;
        answer(w, &x->rq, r, err);
        free(w);
    }
}

static void snapshot_free(struct snapshot *x)
{
    DL_DELETE(x->s->snapshots, x);
    if (x->child)
        x->s->n_children--;
    state_child_free(x->child);
    state_request_done(&x->rq);
    free(x);
}

static void start_later(struct state_service *s);

/* Children that have told all still need some time to go; waiting for them would hold up the core. */
static void on_reap(void *arg)
{
    struct state_service *s = arg;
    struct snapshot *x, *next;
    bool more = false;

    DL_FOREACH_SAFE (s->snapshots, x, next) {
        if (!x->delivered)
            continue;
        if (!x->child || state_child_gone(x->child))
            snapshot_free(x);
        else
            more = true;
    }
    if (more)
        fl_timer_set(s->reap, REAP_US);
    start_later(s);
}

static void on_child_done(void *arg, const struct state_child_result *r, const struct fl_err *err)
{
    struct snapshot *x = arg;
    struct state_service *s = x->s;

    if (r->bytes) {
        metric_sample_ms(s->ms, (double)r->write_us / 1e3);
    } else {
        metric_inc(err->reason == FL_UNAVAILABLE ? s->refused : s->failed);
        log_warning("%s", err->msg);
    }
    deliver(x, r, err);
    fl_region_unref(r->bytes);
    fl_timer_set(s->reap, REAP_US);
    start_later(s);
}

/* ---- beginning ---- */

static void tell_taken(struct snapshot *x)
{
    struct state_wish *w;

    DL_FOREACH (x->wishes, w)
        if (w->ops)
            w->ops->taken(w->arg);
}

static void write_snapshot_now(struct snapshot *x)
{
    struct state_child_result r = {0};
    struct fl_buf b;

    write_now(x->s, &x->rq, &b);
    r.bytes = fl_region_of_buf(&b);
    deliver(x, &r, NULL);
    fl_region_unref(r.bytes);
    snapshot_free(x);
}

static void refuse(struct snapshot *x, size_t held)
{
    struct fl_err err = {0};

    fl_err_set(
        &err, FL_UNAVAILABLE,
        "%zu bytes of earlier answers are held for clients that read them slowly, as much as "
        "--max_state_snapshot_bytes allows; try again later",
        held);
    metric_inc(x->s->refused);
    deliver(x, NULL, &err);
    snapshot_free(x);
}

static void start(struct snapshot *x)
{
    struct state_service *s = x->s;
    size_t limit = s->api->master->flags->max_state_snapshot_bytes, held = atomic_load(&s->held);
    struct state_child_config c = {
        .loop = s->loop,
        .api = s->api,
        .rq = &x->rq,
        .tasks = s->tasks,
        .gzip_min = GZIP_MIN,
        .timeout_s = CHILD_TIMEOUT_S,
        .held = &s->held,
        .done = on_child_done,
        .arg = x,
    };
    uint64_t begun = fl_loop_now_us(s->loop);
    struct fl_err err;

    if (held >= limit) {
        refuse(x, held);
        return;
    }
    c.max_bytes = limit - held;
    tell_taken(x);
    x->begun_us = begun;
    if (begun < s->no_fork_until_us) {
        write_snapshot_now(x);
        return;
    }
    if (state_child_new(&c, &x->child, &err) < 0) {
        log_warning("%s; the main thread writes what is asked for meanwhile", err.msg);
        metric_inc(s->failed);
        s->no_fork_until_us = begun + FORK_AGAIN_AFTER;
        write_snapshot_now(x);
        return;
    }
    s->n_children++;
    metric_inc(s->made);
    metric_sample_ms(s->hold_ms, (double)(fl_loop_now_us(s->loop) - begun) / 1e3);
}

static bool is_running(const struct state_service *s, const struct state_request *rq)
{
    const struct snapshot *x;

    DL_FOREACH (s->snapshots, x)
        if (x->child && !x->delivered && same(&x->rq, rq))
            return true;
    return false;
}

static void start_due(void *arg)
{
    struct state_service *s = arg;
    struct snapshot *x, *next;

    s->start_due = false;
    DL_FOREACH_SAFE (s->snapshots, x, next) {
        if (s->n_children >= CHILDREN_MAX)
            return; /* on_reap() comes back */
        if (!x->child && !x->delivered && !is_running(s, &x->rq))
            start(x);
    }
}

static void start_later(struct state_service *s)
{
    if (s->start_due || s->stopped)
        return;
    s->start_due = true;
    fl_loop_defer(s->loop, start_due, s);
}

/* ---- wishing ---- */

static struct snapshot *waiting(struct state_service *s, struct state_request *rq)
{
    struct snapshot *x;

    DL_FOREACH (s->snapshots, x)
        if (!x->child && !x->delivered && same(&x->rq, rq)) {
            metric_inc(s->shared);
            state_request_done(rq);
            return x;
        }
    x = xnew0(struct snapshot);
    x->s = s;
    x->rq = *rq;
    DL_APPEND(s->snapshots, x);
    return x;
}

static bool may_wish(struct state_service *s, struct fl_err *err)
{
    if (s->stopped) {
        fl_err_set(err, FL_UNAVAILABLE, "The master is ending");
        return false;
    }
    if (s->n_wishes >= WISHES_MAX) {
        metric_inc(s->refused);
        fl_err_set(err, FL_UNAVAILABLE, "%u requests wait for the state already; try again later",
                   s->n_wishes);
        return false;
    }
    return true;
}

/* Takes the request. */
static struct state_wish *wish(struct state_service *s, struct fl_loop *loop,
                               struct state_request *rq)
{
    struct state_wish *w = xnew0(struct state_wish);

    if (!s->loop) {
        s->loop = loop;
        s->reap = fl_timer_new(loop, on_reap, s);
    }
    w->of = waiting(s, rq);
    DL_APPEND(w->of->wishes, w);
    s->n_wishes++;
    start_later(s);
    return w;
}

static void respond(struct http_exchange *ex, struct state_service *s, struct state_request *rq)
{
    struct fl_err err = {0};
    struct fl_buf body;

    if (!is_large(s->api->master)) {
        write_now(s, rq, &body);
        http_respond_buf(ex, 200, type_of(rq), &body);
        state_request_done(rq);
        return;
    }
    if (!may_wish(s, &err)) {
        state_request_done(rq);
        http_respond_err(ex, &err);
        return;
    }
    rq->gzip = http_exchange_takes_gzip(ex, SIZE_MAX);
    wish(s, http_exchange_loop(ex), rq)->ex = ex;
}

void state_respond(struct http_exchange *ex, struct master_api *api, const struct state_view *view)
{
    struct state_request rq = {0};

    if (!http_exchange_jsonp(ex, &rq.jsonp))
        return;
    fill_request(&rq, api, view, API_JSON, http_exchange_request(ex), http_guard_principal(ex));
    respond(ex, service(api), &rq);
}

void state_respond_call(struct http_exchange *ex, struct master_api *api,
                        const struct state_view *view, enum api_encoding encoding,
                        const char *principal)
{
    struct state_request rq = {0};

    fill_request(&rq, api, view, encoding, NULL, principal);
    respond(ex, service(api), &rq);
}

struct state_wish *state_ask(struct master_api *api, struct fl_loop *loop,
                             const struct state_view *view, enum api_encoding encoding,
                             const char *principal, const struct state_wish_ops *ops, void *arg)
{
    struct state_service *s = service(api);
    struct state_request rq = {0};
    struct state_wish *w;
    struct fl_err err = {0};

    if (!may_wish(s, &err)) {
        ops->done(arg, NULL, &err);
        return NULL;
    }
    fill_request(&rq, api, view, encoding, NULL, principal);
    if (!is_large(api->master)) {
        struct fl_buf body;

        ops->taken(arg);
        write_now(s, &rq, &body);
        state_request_done(&rq);
        _cleanup_(fl_region_unrefp) struct fl_region *r = fl_region_of_buf(&body);
        ops->done(arg, r, NULL);
        return NULL;
    }
    w = wish(s, loop, &rq);
    w->ops = ops;
    w->arg = arg;
    return w;
}

void state_cancel(struct state_wish *w)
{
    if (!w)
        return;
    if (!w->of) {
        w->ops = NULL;
        return;
    }
    DL_DELETE(w->of->wishes, w);
    w->of->s->n_wishes--;
    free(w);
}

/* ---- the end ---- */

void state_stop(struct master_api *api)
{
    struct state_service *s = api->state;
    struct snapshot *x, *next;
    struct fl_err err = {0};

    if (!s || s->stopped)
        return;
    s->stopped = true;
    fl_err_set(&err, FL_UNAVAILABLE, "The master is ending");
    DL_FOREACH_SAFE (s->snapshots, x, next) {
        deliver(x, NULL, &err);
        snapshot_free(x);
    }
    fl_timer_free(TAKE_PTR(s->reap));
}

void state_free(struct master_api *api)
{
    struct state_service *s = api->state;

    if (!s)
        return;
    state_stop(api);
    if (s->loop)
        fl_loop_forget(s->loop, s);
    task_writer_free(s->tasks);
    free(TAKE_PTR(api->state));
}
