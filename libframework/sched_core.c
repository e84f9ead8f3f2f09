/* See sched_core.h. Runs on the scheduler's loop thread. */
#include "libframework/sched_core.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/http.h"
#include "common/base/json.h"
#include "common/base/log.h"

#define BACKOFF_FIRST_US  1000000ull
#define BACKOFF_MAX_US    60000000ull
#define HEARTBEATS_MISSED 5
#define HEARTBEAT_DEFAULT 15.0
#define SUBSCRIBE_WAIT_US 30000000ull
#define MAX_RECORD        (256u << 20)
#define MASTER_PORT       5050

struct sched_core {
    const struct env *env;
    const struct sched_io *io;
    void *ctx;
    enum sched_link state;
    V1__FrameworkInfo *info;
    char **suppressed;
    size_t n_suppressed;
    char *host; /* the leader; NULL while none is known */
    uint16_t port;
    char *stream_id;
    struct recordio_reader reader;
    struct fl_arena *arena; /* of the event at hand */
    struct fl_buf id;       /* a call of the framework's id alone, encoded */
    struct fl_buf call;     /* reused */
    struct env_timer *retry;
    struct env_timer *silence; /* no bytes for HEARTBEATS_MISSED intervals */
    uint64_t backoff_us;
    double heartbeat_s;
    bool torn_down;
};

static void subscribe(struct sched_core *c);

static void set_state(struct sched_core *c, enum sched_link s)
{
    c->state = s;
}

static void watch_silence(struct sched_core *c)
{
    if (c->state == LINK_SUBSCRIBED)
        env_timer_set(c->env, c->silence, (uint64_t)(c->heartbeat_s * HEARTBEATS_MISSED * 1e6));
}

static void die(struct sched_core *c, const char *message)
{
    if (c->state == LINK_DEAD)
        return;
    set_state(c, LINK_DEAD);
    env_timer_stop(c->env, c->retry);
    env_timer_stop(c->env, c->silence);
    c->io->close_stream(c->ctx);
    c->io->on_dead(c->ctx, message);
}

static void reset_reader(struct sched_core *c)
{
    recordio_reader_done(&c->reader);
    recordio_reader_init(&c->reader, MAX_RECORD);
}

/* The stream is gone or useless: waits a random while and subscribes again. */
static void start_over(struct sched_core *c, const char *why)
{
    uint64_t r;
    bool was_subscribed = c->state == LINK_SUBSCRIBED;

    if (c->state == LINK_DEAD)
        return;
    c->io->close_stream(c->ctx);
    reset_reader(c);
    env_timer_stop(c->env, c->silence);
    free(c->stream_id);
    c->stream_id = NULL;
    set_state(c, c->host ? LINK_BACKOFF : LINK_IDLE);
    if (c->host) {
        env_random(c->env, &r, sizeof(r));
        env_timer_set(c->env, c->retry, r % c->backoff_us);
        c->backoff_us = FL_MIN(c->backoff_us * 2, BACKOFF_MAX_US);
    }
    if (was_subscribed)
        c->io->on_disconnected(c->ctx, why);
}

static void retry_due(void *arg)
{
    struct sched_core *c = arg;

    if (c->state == LINK_BACKOFF && c->host)
        subscribe(c);
}

static void silence_due(void *arg)
{
    struct sched_core *c = arg;

    if (c->state == LINK_SUBSCRIBING) {
        c->io->leader_failed(c->ctx);
        start_over(c, "the master did not answer the subscription");
    } else if (c->state == LINK_SUBSCRIBED) {
        start_over(c, "no heartbeat of the master for five intervals");
    }
}

static void subscribe(struct sched_core *c)
{
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT;
    Sched__Call call = SCHED__CALL__INIT;
    Sched__Call__Subscribe sub = SCHED__CALL__SUBSCRIBE__INIT;

    call.has_type = true;
    call.type = SCHED__CALL__TYPE__SUBSCRIBE;
    call.framework_id = c->info->id;
    call.subscribe = &sub;
    sub.framework_info = c->info;
    sub.suppressed_roles = c->suppressed;
    sub.n_suppressed_roles = c->n_suppressed;
    fl_buf_pack(&body, &call.base);
    set_state(c, LINK_SUBSCRIBING);
    env_timer_set(c->env, c->silence, SUBSCRIBE_WAIT_US);
    c->io->subscribe(c->ctx, c->host, c->port, body.data, body.len);
}

struct sched_core *sched_core_new(const struct env *env, const struct sched_io *io, void *ctx,
                                  const V1__FrameworkInfo *info, char *const *suppressed,
                                  size_t n_suppressed)
{
    struct sched_core *c = xnew0(struct sched_core);

    c->env = env;
    c->io = io;
    c->ctx = ctx;
    c->info = FL_PB_DUP(info);
    c->n_suppressed = n_suppressed;
    c->suppressed = xcalloc(n_suppressed + 1, sizeof(char *));
    for (size_t i = 0; i < n_suppressed; i++)
        c->suppressed[i] = xstrdup(suppressed[i]);
    c->retry = env_timer_new(env, retry_due, c);
    c->silence = env_timer_new(env, silence_due, c);
    c->arena = fl_arena_new(16 * 1024);
    c->backoff_us = BACKOFF_FIRST_US;
    c->heartbeat_s = HEARTBEAT_DEFAULT;
    recordio_reader_init(&c->reader, MAX_RECORD);
    return c;
}

void sched_core_free(struct sched_core *c)
{
    if (!c)
        return;
    env_timer_free(c->env, c->retry);
    env_timer_free(c->env, c->silence);
    recordio_reader_done(&c->reader);
    fl_arena_free(c->arena);
    fl_buf_done(&c->id);
    fl_buf_done(&c->call);
    fl_pb_free(c->info);
    for (size_t i = 0; i < c->n_suppressed; i++)
        free(c->suppressed[i]);
    free(c->suppressed);
    free(c->host);
    free(c->stream_id);
    free(c);
}

enum sched_link sched_core_state(const struct sched_core *c)
{
    return c->state;
}

const char *sched_core_framework_id(const struct sched_core *c)
{
    return c->info->id ? c->info->id->value : "";
}

void sched_core_leader(struct sched_core *c, const char *host, uint16_t port)
{
    bool same = host && c->host && streq(host, c->host) && port == c->port;

    if (c->state == LINK_DEAD || (same && c->state != LINK_IDLE))
        return;
    free(c->host);
    c->host = host ? xstrdup(host) : NULL;
    c->port = port;
    if (c->state == LINK_SUBSCRIBED || c->state == LINK_SUBSCRIBING) {
        c->backoff_us = BACKOFF_FIRST_US;
        start_over(c, host ? "another master leads" : "no master leads");
        return;
    }
    if (!host) {
        set_state(c, LINK_IDLE);
        env_timer_stop(c->env, c->retry);
        return;
    }
    env_timer_stop(c->env, c->retry);
    subscribe(c);
}

/* A standby answers 307 with the leader's address. */
static void follow(struct sched_core *c, const char *location)
{
    _cleanup_free_ char *host = NULL;
    uint16_t port;

    if (!location || http_parse_host_port(location, MASTER_PORT, &host, &port, NULL) < 0) {
        start_over(c, "a redirection without a usable Location");
        return;
    }
    free(c->host);
    c->host = TAKE_PTR(host);
    c->port = port;
    start_over(c, "redirected to the leading master");
}

void sched_core_headers(struct sched_core *c, int status, const char *stream_id,
                        const char *location, const char *body, size_t n)
{
    char text[600];

    if (c->state != LINK_SUBSCRIBING)
        return;
    if (status == 200) {
        if (!stream_id) {
            start_over(c, "the answer to SUBSCRIBE has no Mesos-Stream-Id");
            return;
        }
        free(c->stream_id);
        c->stream_id = xstrdup(stream_id);
        return;
    }
    if (status == 307 || status == 302) {
        follow(c, location);
        return;
    }
    /* 404 and 503 come from masters that start or recover; 5xx may pass as well. */
    if (status == 404 || status >= 500) {
        c->io->leader_failed(c->ctx);
        start_over(c, "the master does not serve yet");
        return;
    }
    snprintf(text, sizeof(text), "the master refused the subscription with status %d: %.*s", status,
             (int)FL_MIN(n, (size_t)400), body ? body : "");
    die(c, text);
}

static void encode_id(struct sched_core *c)
{
    Sched__Call id = SCHED__CALL__INIT;

    id.framework_id = c->info->id;
    fl_buf_clear(&c->id);
    fl_buf_pack(&c->id, &id.base);
}

static void subscribed(struct sched_core *c, const Sched__Event__Subscribed *s)
{
    if (!c->info->id || !streq(c->info->id->value, s->framework_id->value)) {
        fl_pb_free(c->info->id);
        c->info->id = FL_PB_DUP(s->framework_id);
    }
    encode_id(c);
    if (s->has_heartbeat_interval_seconds && s->heartbeat_interval_seconds > 0)
        c->heartbeat_s = s->heartbeat_interval_seconds;
    c->backoff_us = BACKOFF_FIRST_US;
    set_state(c, LINK_SUBSCRIBED);
    watch_silence(c);
}

static int event(void *arg, const char *record, size_t n, struct fl_err *err)
{
    struct sched_core *c = arg;
    ProtobufCMessage *m;
    int r;

    fl_arena_reset(c->arena);
    r = fl_pb_decode(record, n, &sched__event__descriptor, fl_arena_allocator(c->arena), &m, err);
    if (r < 0)
        return r;
    const Sched__Event *ev = (const Sched__Event *)m;
    if (ev->subscribed && ev->type == SCHED__EVENT__TYPE__SUBSCRIBED)
        subscribed(c, ev->subscribed);
    c->io->on_event(c->ctx, ev, record, n);
    if (ev->type == SCHED__EVENT__TYPE__ERROR)
        die(c, ev->error ? ev->error->message : "the master sent an ERROR event without a message");
    /* The callback may have ended the subscription: nothing more of this stream is delivered then. */
    if (c->state != LINK_SUBSCRIBED)
        return fl_err_set(err, FL_CLOSED, "the subscription is over");
    return 0;
}

void sched_core_data(struct sched_core *c, const char *p, size_t n)
{
    struct fl_err err = {0};

    if (c->state != LINK_SUBSCRIBING && c->state != LINK_SUBSCRIBED)
        return;
    watch_silence(c);
    if (recordio_feed(&c->reader, p, n, event, c, &err) < 0 &&
        (c->state == LINK_SUBSCRIBING || c->state == LINK_SUBSCRIBED))
        start_over(c, err.msg);
}

void sched_core_stream_ended(struct sched_core *c, const char *why)
{
    if (c->state != LINK_SUBSCRIBING && c->state != LINK_SUBSCRIBED)
        return;
    if (c->state == LINK_SUBSCRIBING)
        c->io->leader_failed(c->ctx);
    start_over(c, why);
}

void sched_core_call_answered(struct sched_core *c, int status, const char *body)
{
    char text[600];

    /* 202 and 200 are good. 404, 503, 307 and a broken connection say that the master is not what it was: the
     * event stream tells soon. 400 and 403 after a failover of the stream mean the same, once it is renewed. */
    if (status == 0 || status == 200 || status == 202 || status == 404 || status == 307 ||
        status == 503)
        return;
    if (c->state != LINK_SUBSCRIBED)
        return;
    snprintf(text, sizeof(text), "the master refused a call with status %d: %.400s", status,
             body ? body : "");
    log_debug("%s", text);
    if (status == 403 || status == 401)
        start_over(c, text);
    else
        die(c, text);
}

int sched_core_call(struct sched_core *c, const void *bytes, size_t n)
{
    if (c->state != LINK_SUBSCRIBED || c->torn_down)
        return -ENOTCONN;
    /* Encoded messages that are put end to end are merged by their reader: this sets the framework id. */
    fl_buf_clear(&c->call);
    fl_buf_add(&c->call, bytes, n);
    fl_buf_add(&c->call, c->id.data, c->id.len);
    c->io->call(c->ctx, c->host, c->port, c->stream_id, c->call.data, c->call.len);
    return 0;
}

int sched_core_teardown(struct sched_core *c)
{
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT;
    Sched__Call call = SCHED__CALL__INIT;
    int r;

    call.has_type = true;
    call.type = SCHED__CALL__TYPE__TEARDOWN;
    fl_buf_pack(&body, &call.base);
    r = sched_core_call(c, body.data, body.len);
    c->torn_down = c->torn_down || r == 0;
    return r;
}

void sched_core_set_info(struct sched_core *c, const V1__FrameworkInfo *info)
{
    V1__FrameworkInfo *copy = FL_PB_DUP(info);

    fl_pb_free(copy->id);
    copy->id = c->info->id ? FL_PB_DUP(c->info->id) : NULL;
    fl_pb_free(c->info);
    c->info = copy;
}
