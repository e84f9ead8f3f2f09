/* The scheduler's shell: wires the core to a loop, the detector and HTTP, and keeps its life: new, run or start or fd, stop, free.
 *
 * Two connections: one carries SUBSCRIBE and its events, the other the calls, one after another, so that they arrive in order. */
#include "libframework/scheduler.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <utlist.h>

#include "common/base/json.h"
#include "common/base/log.h"

#define API_PATH         "/api/v1/scheduler"
#define TYPE_PROTOBUF    "application/x-protobuf"
#define TEARDOWN_WAIT_US 5000000ull

static void end_loop(struct fw_scheduler *s);
static void send_next(struct fw_scheduler *s);

/* ---- HTTP ---- */

static size_t headers_for(struct fw_scheduler *s, const char *stream_id, struct http_header h[4])
{
    size_t n = 0;

    h[n++] = (struct http_header){"Content-Type", TYPE_PROTOBUF};
    h[n++] = (struct http_header){"Accept", TYPE_PROTOBUF};
    if (stream_id)
        h[n++] = (struct http_header){"Mesos-Stream-Id", stream_id};
    if (s->authorization)
        h[n++] = (struct http_header){"Authorization", s->authorization};
    return n;
}

static void stream_headers(struct http_call *c, const struct http_client_response *r, void *arg)
{
    struct fw_scheduler *s = FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, arg);

    sched_core_headers(s->core, r->status, http_response_header(r, "Mesos-Stream-Id"),
                       http_response_header(r, "Location"), r->body, r->body_len);
}

static void stream_data(struct http_call *c, const char *p, size_t n, void *arg)
{
    struct fw_scheduler *s = FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, arg);

    sched_core_data(s->core, p, n);
}

static void stream_done(struct http_call *c, const struct http_client_response *r,
                        const struct fl_err *err, void *arg)
{
    struct fw_scheduler *s = FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, arg);

    s->stream = NULL;
    sched_core_stream_ended(s->core, err ? err->msg : "the master closed the stream");
}

static const struct http_call_ops stream_ops = {
    .on_headers = stream_headers,
    .on_data = stream_data,
    .on_done = stream_done,
};

static void io_subscribe(void *ctx, const char *host, uint16_t port, const void *body, size_t n)
{
    struct fw_scheduler *s = ctx;
    struct http_header headers[4];
    struct fl_err err = {0};
    struct http_call_config cfg = {
        .method = "POST",
        .host = host,
        .port = port,
        .path = API_PATH,
        .headers = headers,
        .n_headers = headers_for(s, NULL, headers),
        .body = body,
        .body_len = n,
        .streaming = true,
        .own_connection = true,
        .timeout_s = 30,
    };

    if (http_client_call(s->http, &cfg, &stream_ops, s, &s->stream, &err) < 0) {
        s->stream = NULL;
        sched_core_stream_ended(s->core, err.msg);
    }
}

static void outgoing_free(struct fw_scheduler *s, struct fw_outgoing **list)
{
    struct fw_outgoing *o, *next;

    DL_FOREACH_SAFE (*list, o, next) {
        DL_DELETE(*list, o);
        free(o->bytes);
        free(o);
        s->n_queued--;
    }
}

static void io_close_stream(void *ctx)
{
    struct fw_scheduler *s = ctx;

    atomic_store(&s->subscribed, false);
    if (s->stream)
        http_call_cancel(s->stream);
    s->stream = NULL;
    /* Calls belong to the subscription they were made under. */
    if (s->in_flight)
        http_call_cancel(s->in_flight);
    s->in_flight = NULL;
    pthread_mutex_lock(&s->lock);
    outgoing_free(s, &s->sending);
    outgoing_free(s, &s->outbox);
    pthread_mutex_unlock(&s->lock);
    if (s->stopping)
        end_loop(s);
}

static void call_done(struct http_call *c, const struct http_client_response *r,
                      const struct fl_err *err, void *arg)
{
    struct fw_scheduler *s = FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, arg);
    struct fw_outgoing *o = s->sending;

    s->in_flight = NULL;
    pthread_mutex_lock(&s->lock);
    DL_DELETE(s->sending, o);
    s->n_queued--;
    pthread_mutex_unlock(&s->lock);
    free(o->bytes);
    free(o);
    sched_core_call_answered(s->core, r ? r->status : 0, r ? r->body : NULL);
    if (s->stopping && !s->sending)
        end_loop(s);
    else
        send_next(s);
}

static const struct http_call_ops call_ops = {.on_done = call_done};

static void send_next(struct fw_scheduler *s)
{
    struct http_header headers[4];
    struct fl_err err = {0};
    struct fw_outgoing *o = s->sending;

    if (!o || s->in_flight)
        return;
    struct http_call_config cfg = {
        .method = "POST",
        .host = s->host,
        .port = s->port,
        .path = API_PATH,
        .headers = headers,
        .n_headers = headers_for(s, s->stream_id, headers),
        .body = o->bytes,
        .body_len = o->n,
    };
    if (http_client_call(s->http, &cfg, &call_ops, s, &s->in_flight, &err) < 0) {
        s->in_flight = NULL;
        log_debug("a call could not be sent, ignoring: %s", err.msg);
    }
}

static void io_call(void *ctx, const char *host, uint16_t port, const char *stream_id,
                    const void *body, size_t n)
{
    struct fw_scheduler *s = ctx;
    struct fw_outgoing *o = xnew0(struct fw_outgoing);

    if (!streq(s->host, host)) {
        free(s->host);
        s->host = xstrdup(host);
    }
    s->port = port;
    if (!streq(s->stream_id, stream_id)) {
        free(s->stream_id);
        s->stream_id = xstrdup(stream_id);
    }
    o->bytes = xmemdup(body, n);
    o->n = n;
    pthread_mutex_lock(&s->lock);
    DL_APPEND(s->sending, o);
    s->n_queued++;
    pthread_mutex_unlock(&s->lock);
    send_next(s);
}

static void io_leader_failed(void *ctx)
{
    struct fw_scheduler *s = ctx;

    detector_failed(s->detector);
}

/* ---- what the core tells ---- */

static void io_event(void *ctx, const Sched__Event *ev, const void *bytes, size_t n)
{
    struct fw_scheduler *s = ctx;

    if (ev->subscribed) {
        pthread_mutex_lock(&s->lock);
        fl_snprintf(s->framework_id, sizeof(s->framework_id), "%s",
                    sched_core_framework_id(s->core));
        pthread_mutex_unlock(&s->lock);
        atomic_store(&s->subscribed, true);
    }
    /* An ERROR is told once, by on_error. */
    if (ev->type != SCHED__EVENT__TYPE__ERROR)
        fw_deliver_event(s, ev, bytes, n);
}

static void io_disconnected(void *ctx, const char *why)
{
    struct fw_scheduler *s = ctx;

    /* The master closes the stream of a framework that it tears down: that is no news. */
    if (!s->stopping)
        fw_deliver_text(s, FW_DISCONNECTED, why);
}

static void io_dead(void *ctx, const char *message)
{
    struct fw_scheduler *s = ctx;

    pthread_mutex_lock(&s->lock);
    s->dead = true;
    fl_snprintf(s->last_error, sizeof(s->last_error), "%s", message);
    pthread_mutex_unlock(&s->lock);
    fw_deliver_text(s, FW_DEAD, message);
    end_loop(s);
}

static const struct sched_io io = {
    .subscribe = io_subscribe,
    .close_stream = io_close_stream,
    .call = io_call,
    .leader_failed = io_leader_failed,
    .on_event = io_event,
    .on_disconnected = io_disconnected,
    .on_dead = io_dead,
};

static void leader_changed(const struct detected_master *m, void *arg)
{
    struct fw_scheduler *s = FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, arg);

    sched_core_leader(s->core, m ? m->host : NULL, m ? m->port : 0);
}

/* ---- the outbox ---- */

static void drain(void *arg)
{
    struct fw_scheduler *s = FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, arg);
    struct fw_outgoing *list, *o, *next;

    pthread_mutex_lock(&s->lock);
    list = s->outbox;
    s->outbox = NULL;
    s->drain_posted = false;
    pthread_mutex_unlock(&s->lock);
    DL_FOREACH_SAFE (list, o, next) {
        sched_core_call(s->core, o->bytes, o->n);
        DL_DELETE(list, o);
        pthread_mutex_lock(&s->lock);
        s->n_queued--;
        pthread_mutex_unlock(&s->lock);
        free(o->bytes);
        free(o);
    }
}

void fw_wake(struct fw_scheduler *s)
{
    if (s->drain_posted)
        return;
    s->drain_posted = true;
    fl_loop_post(s->loop, drain, s);
}

/* ---- life ---- */

static int copy_roles(struct fw_scheduler *s, const char *const *roles, size_t n)
{
    char **copy = calloc(n + 1, sizeof(*copy));

    if (!copy)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(roles[i]);
    for (size_t i = 0; i < s->n_suppressed; i++)
        free(s->suppressed[i]);
    free(s->suppressed);
    s->suppressed = copy;
    s->n_suppressed = n;
    return 0;
}

int fw_scheduler_new(const char *master, const fw_info *info,
                     const struct fw_scheduler_callbacks *cb, void *arg,
                     fw_scheduler **ret_scheduler)
{
    struct fw_scheduler *s;
    struct fl_err err = {0};
    void *bytes;
    size_t n;

    if (!master || !*master || !info || !cb || cb->size > sizeof(s->cb) ||
        cb->size < sizeof(size_t))
        return -EINVAL;
    s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->magic = FW_SCHEDULER_MAGIC;
    memcpy(&s->cb, cb, cb->size);
    s->arg = arg;
    s->notice_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    s->master = strdup(master);
    if (fw_info_encode(info, &bytes, &n) == 0) {
        s->info = fw_info_decode(bytes, n);
        free(bytes);
    }
    if (!s->master || !s->info || fl_loop_new(&s->loop, &err) < 0) {
        fw_scheduler_free(s);
        return -ENOMEM;
    }
    s->env = env_from_loop(s->loop);
    s->http = http_client_new(s->loop);
    if (detector_new(s->loop, s->master, leader_changed, s, &s->detector, &err) < 0) {
        log_debug("'%s' cannot be used as a master: %s", master, err.msg);
        fw_scheduler_free(s);
        return -EINVAL;
    }
    *ret_scheduler = s;
    return 0;
}

/* Ends the thread, if there is one; afterwards the caller is alone with the scheduler. */
static void quit_thread(struct fw_scheduler *s)
{
    if (!s->thread_started)
        return;
    fl_loop_stop(s->loop);
    pthread_join(s->thread, NULL);
    s->thread_started = false;
}

void fw_scheduler_free(fw_scheduler *s)
{
    if (!s)
        return;
    quit_thread(s);
    if (s->detector)
        detector_free(s->detector);
    if (s->http)
        http_client_free(s->http);
    if (s->stop_timer)
        fl_timer_free(s->stop_timer);
    sched_core_free(s->core);
    outgoing_free(s, &s->sending);
    outgoing_free(s, &s->outbox);
    fw_notices_free(s);
    fl_loop_free(s->loop);
    if (s->notice_fd >= 0)
        close(s->notice_fd);
    fw_info_free(s->info);
    for (size_t i = 0; i < s->n_suppressed; i++)
        free(s->suppressed[i]);
    free(s->suppressed);
    free(s->master);
    free(s->authorization);
    free(s->host);
    free(s->stream_id);
    pthread_mutex_destroy(&s->lock);
    s->magic = 0;
    free(s);
}

void fw_scheduler_set_explicit_acks(fw_scheduler *s, bool on)
{
    s->explicit_acks = on;
}

int fw_scheduler_set_suppressed_roles(fw_scheduler *s, const char *const *roles, size_t n)
{
    return copy_roles(s, roles, n);
}

int fw_scheduler_set_credential(fw_scheduler *s, const char *principal, const char *secret)
{
    _cleanup_buf_ struct fl_buf plain = FL_BUF_INIT, encoded = FL_BUF_INIT;
    struct json_out j = json_out_on(&encoded);

    if (strchr(principal, ':'))
        return -EINVAL;
    fl_buf_addf(&plain, "%s:%s", principal, secret);
    json_base64(&j, plain.data, plain.len);
    free(s->authorization);
    /* The writer quotes: the text between the quotes is what the header wants. */
    s->authorization = xasprintf("Basic %.*s", (int)(encoded.len - 2), encoded.data + 1);
    return 0;
}

static int make_core(struct fw_scheduler *s)
{
    if (s->core)
        return -EALREADY;
    s->core = sched_core_new(&s->env, &io, s, s->info->pb, s->suppressed, s->n_suppressed);
    return 0;
}

static int outcome(struct fw_scheduler *s)
{
    return s->dead ? -ECONNABORTED : 0;
}

static void end_loop(struct fw_scheduler *s)
{
    atomic_store(&s->ended, true);
    if (s->notice_fd >= 0)
        eventfd_write(s->notice_fd, 1);
    fl_loop_stop(s->loop);
}

static void *thread_main(void *arg)
{
    struct fw_scheduler *s = arg;

    fl_loop_run(s->loop);
    atomic_store(&s->ended, true);
    return NULL;
}

int fw_scheduler_run(fw_scheduler *s)
{
    int r = make_core(s);

    if (r < 0)
        return r;
    fl_loop_run(s->loop);
    return outcome(s);
}

int fw_scheduler_start(fw_scheduler *s)
{
    int r = make_core(s);

    if (r < 0)
        return r;
    r = pthread_create(&s->thread, NULL, thread_main, s);
    if (r)
        return -r;
    s->thread_started = true;
    return 0;
}

int fw_scheduler_join(fw_scheduler *s)
{
    if (!s->thread_started)
        return -EINVAL;
    pthread_join(s->thread, NULL);
    s->thread_started = false;
    return outcome(s);
}

int fw_scheduler_fd(fw_scheduler *s)
{
    int r;

    if (s->notice_fd >= 0)
        return s->notice_fd;
    if (s->core)
        return -EALREADY;
    s->notice_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->notice_fd < 0)
        return -errno;
    r = fw_scheduler_start(s);
    return r < 0 ? r : s->notice_fd;
}

static void stop_waited(void *arg)
{
    end_loop(arg);
}

static void stop_now(void *arg)
{
    end_loop(FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, arg));
}

/* What was queued before is sent first; the loop ends with the answer to the last call. */
static void stop_after_teardown(void *arg)
{
    struct fw_scheduler *s = FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, arg);
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT;
    Sched__Call call = SCHED__CALL__INIT;

    drain(s);
    call.has_type = true;
    call.type = SCHED__CALL__TYPE__TEARDOWN;
    fl_buf_pack(&body, &call.base);
    s->stopping = true;
    if (!s->core || sched_core_call(s->core, body.data, body.len) < 0 || !s->sending) {
        end_loop(s);
        return;
    }
    s->stop_timer = fl_timer_new(s->loop, stop_waited, s);
    fl_timer_set(s->stop_timer, TEARDOWN_WAIT_US);
}

void fw_scheduler_stop(fw_scheduler *s, bool teardown)
{
    fl_loop_post(s->loop, teardown ? stop_after_teardown : stop_now, s);
}

const char *fw_scheduler_framework_id(const fw_scheduler *s)
{
    return s->framework_id;
}

const char *fw_scheduler_last_error(const fw_scheduler *s)
{
    return s->last_error;
}
