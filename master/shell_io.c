/* The world of the master's core: agents on wire channels, frameworks on HTTP streams, the registry in
 * the store. Main thread. */
#include "master/shell.h"

#include <errno.h>
#include <sys/stat.h>
#include <utlist.h>

#include "common/base/log.h"
#include "common/model/plain_http.h"
#include "common/wire/wire.h"
#include "master/api/handlers.h"
#include "master/api/scheduler.h"

/* ---- agents ---- */

static void on_message(struct wire_channel *c, const struct wire_message *m, void *arg)
{
    struct shell *s = arg;

    master_agent_message(s->master, c, wire_peer(c), m->msg);
}

static void on_closed(struct wire_channel *c, const struct fl_err *why, void *arg)
{
    struct shell *s = arg;

    log_info("channel of the agent at %s is closed: %s", wire_peer(c), why ? why->msg : "");
    master_agent_closed(s->master, c);
    wire_channel_free(c);
}

static const struct wire_ops agent_ops = {.on_message = on_message, .on_closed = on_closed};

/* A channel that the core has given up: what still comes is not for it. */
static void ignore_message(struct wire_channel *c, const struct wire_message *m, void *arg)
{
}

static void free_channel(struct wire_channel *c, const struct fl_err *why, void *arg)
{
    wire_channel_free(c);
}

static const struct wire_ops given_up_ops = {.on_message = ignore_message,
                                             .on_closed = free_channel};

static void agent_send(void *ctx, void *peer, const ProtobufCMessage *m)
{
    wire_send(peer, m);
}

static void agent_close(void *ctx, void *peer)
{
    wire_set_ops(peer, &given_up_ops, NULL);
    wire_channel_close(peer);
}

static void on_accepted(struct wire_channel *c, void *arg)
{
    struct shell *s = arg;

    wire_set_ops(c, &agent_ops, s);
}

void wire_get(struct http_exchange *ex, void *arg)
{
    struct master_api *api = arg;
    struct shell *s = container_of(api, struct shell, api);
    struct wire_limits limits = wire_limits_default;

    if (s->stopping) {
        http_respond(ex, 503, HTTP_TEXT, "the master is ending");
        return;
    }
    if (http_guard_forbidden(s->guard, ex, ACL_REGISTER_AGENTS, NULL))
        return;
    limits.max_frame = s->flags.wire_max_frame;
    limits.max_unsent = s->flags.wire_max_unsent;
    wire_accept(ex, &limits, on_accepted, s);
}

/* ---- frameworks and operators ---- */

static void framework_send(void *ctx, void *stream, const Sched__Event *ev)
{
    sched_stream_send(stream, ev);
}

static void framework_close(void *ctx, void *stream)
{
    sched_stream_close(stream);
}

static void publish(void *ctx, const Mapi__Event *ev)
{
    struct shell *s = ctx;

    api_publish(&s->api, ev);
}

/* ---- registry ---- */

struct pending_store {
    struct shell *s;
    store_done_f *done;
    void *arg;
    uint64_t since_us;
    struct pending_store *prev, *next;
};

static void on_stored(const struct fl_err *err, void *arg)
{
    struct pending_store *p = arg;
    uint64_t now = fl_loop_now_us(p->s->loop);

    metric_sample_ms(p->s->store_ms, (double)(now - p->since_us) / 1000.0);
    DL_DELETE(p->s->pending_stores, p);
    if (p->done)
        p->done(err, p->arg);
    free(p);
}

static void store(void *ctx, const struct store_op *ops, size_t n, store_done_f *done, void *arg)
{
    struct shell *s = ctx;
    struct pending_store *p = xnew0(struct pending_store);

    *p = (struct pending_store){s, done, arg, fl_loop_now_us(s->loop), NULL, NULL};
    DL_APPEND(s->pending_stores, p);
    store_apply(s->store, ops, n, on_stored, p);
}

static void fatal(void *ctx, const char *why)
{
    struct shell *s = ctx;

    log_error("this master ends: %s", why);
    s->exit_status = EXIT_FAILURE;
    s->stopping = true;
    fl_loop_stop(s->loop);
}

const struct master_io shell_io = {
    .agent_send = agent_send,
    .agent_close = agent_close,
    .framework_send = framework_send,
    .framework_close = framework_close,
    .publish = publish,
    .store = store,
    .fatal = fatal,
};

static int make_folder(const char *path, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(path);

    for (char *p = copy + 1;; p++) {
        char was = *p;
        if (was != '/' && was != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return fl_err_errno(err, errno, "make the folder '%s' of --work_dir", copy);
        *p = was;
        if (was == '\0')
            return 0;
    }
}

int shell_open_store(struct shell *s, struct fl_err *err)
{
    _cleanup_free_ char *path = NULL;
    int r;

    if (streq(s->flags.registry, "in_memory"))
        return store_open_memory(s->loop, &s->store, err);
    if (streq(s->flags.registry, "zookeeper"))
        return fl_err_set(err, FL_NOT_IMPLEMENTED,
                          "--registry=zookeeper is not served yet; use --registry=lmdb");
    r = make_folder(s->flags.work_dir, err);
    if (r < 0)
        return r;
    path = xasprintf("%s/registry", s->flags.work_dir);
    return store_open_lmdb(s->loop, path, &s->store, err);
}

void shell_close_store(struct shell *s)
{
    struct pending_store *p, *next;

    store_free(TAKE_PTR(s->store));
    DL_FOREACH_SAFE (s->pending_stores, p, next)
        free(p);
    s->pending_stores = NULL;
}

struct recovery {
    struct shell *s;
    int r;
    struct fl_err err;
};

static void on_record(const char *key, const void *data, size_t len, void *arg)
{
    struct recovery *rec = arg;

    if (rec->r == 0)
        rec->r = master_recover_record(rec->s->master, key, data, len, &rec->err);
}

int shell_recover(struct shell *s, struct fl_err *err)
{
    struct recovery rec = {.s = s};
    uint64_t since = fl_loop_now_us(s->loop);
    int r = store_load(s->store, "", on_record, &rec, err);

    if (r < 0)
        return r;
    if (rec.r < 0) {
        *err = rec.err;
        return rec.r;
    }
    metric_sample_ms(metrics_timer(s->metrics, "registrar/state_fetch_ms"),
                     (double)(fl_loop_now_us(s->loop) - since) / 1000.0);
    master_recovered(s->master);
    return 0;
}
