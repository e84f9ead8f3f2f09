/* The scheduler's shell: wires the core to a loop, the detector and HTTP, and keeps its life: new, run or start or fd, stop, free.
 *
 * Two connections: one carries SUBSCRIBE and its events, the other the calls, one after another, so that they arrive in order. */
#include "libframework/scheduler.h"

#include <errno.h>

#include "common/base/http_auth.h"
#include "common/base/log.h"
#include "libframework/fw_loop.h"

#define API_PATH         "/api/v1/scheduler"
#define TEARDOWN_WAIT_US 5000000ull

/* ---- HTTP ---- */

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
    struct fl_err err = {0};

    if (fw_open_stream(s->http, host, port, API_PATH, s->authorization, body, n, &stream_ops, s,
                       &s->stream, &err) < 0)
        sched_core_stream_ended(s->core, err.msg);
}

static void io_close_stream(void *ctx)
{
    struct fw_scheduler *s = ctx;

    atomic_store(&s->subscribed, false);
    if (s->stream)
        http_call_cancel(s->stream);
    s->stream = NULL;
    /* Calls belong to the subscription they were made under. */
    fw_sender_clear(&s->sender);
    if (s->stopping)
        fw_runner_end(&s->runner);
}

static void answered(void *arg, int status, const char *body)
{
    struct fw_scheduler *s = FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, arg);

    sched_core_call_answered(s->core, status, body);
    if (s->stopping && fw_sender_idle(&s->sender))
        fw_runner_end(&s->runner);
}

static void io_call(void *ctx, const char *host, uint16_t port, const char *stream_id,
                    const void *body, size_t n)
{
    struct fw_scheduler *s = ctx;

    fw_sender_push(&s->sender, host, port, stream_id, body, n);
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
        pthread_mutex_lock(&s->runner.lock);
        fl_snprintf(s->framework_id, sizeof(s->framework_id), "%s",
                    sched_core_framework_id(s->core));
        pthread_mutex_unlock(&s->runner.lock);
        atomic_store(&s->subscribed, true);
    }
    /* An ERROR is told once, by on_error. */
    if (ev->type != SCHED__EVENT__TYPE__ERROR)
        fw_runner_tell(&s->runner, FW_EVENT, bytes, n, ev);
}

static void io_disconnected(void *ctx, const char *why)
{
    struct fw_scheduler *s = ctx;

    /* The master closes the stream of a framework that it tears down: that is no news. */
    if (!s->stopping)
        fw_runner_tell(&s->runner, FW_DISCONNECTED, why, strlen(why), NULL);
}

static void io_dead(void *ctx, const char *message)
{
    struct fw_scheduler *s = ctx;

    fl_snprintf(s->last_error, sizeof(s->last_error), "%s", message);
    atomic_store(&s->dead, true);
    fw_runner_tell(&s->runner, FW_DEAD, message, strlen(message), NULL);
    fw_runner_end(&s->runner);
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

static void make_core(struct fw_scheduler *s);

static void leader_changed(const struct detected_master *m, void *arg)
{
    struct fw_scheduler *s = FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, arg);

    make_core(s);
    sched_core_leader(s->core, m ? m->host : NULL, m ? m->port : 0);
}

static void on_call(void *owner, const void *bytes, size_t n)
{
    struct fw_scheduler *s = FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, owner);

    sched_core_call(s->core, bytes, n);
}

static const struct fw_runner_ops runner_ops = {.on_call = on_call, .on_notice = fw_sched_notice};

/* ---- life ---- */

static void free_roles(struct fw_scheduler *s)
{
    for (size_t i = 0; i < s->n_suppressed; i++)
        free(s->suppressed[i]);
    free(s->suppressed);
    s->suppressed = NULL;
    s->n_suppressed = 0;
}

static fw_info *copy_info(const fw_info *info)
{
    void *bytes;
    size_t n;
    fw_info *copy;

    if (fw_info_encode(info, &bytes, &n) < 0)
        return NULL;
    copy = fw_info_decode(bytes, n);
    free(bytes);
    return copy;
}

static int scheduler_new(struct fl_loop *loop_or_null, const char *master, const fw_info *info,
                         const struct fw_scheduler_callbacks *cb, void *arg,
                         fw_scheduler **ret_scheduler)
{
    struct fw_scheduler *s;
    struct fl_err err = {0};

    if (!master || !*master || !info || !cb || cb->size > sizeof(s->cb) ||
        cb->size < sizeof(size_t))
        return -EINVAL;
    s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->magic = FW_SCHEDULER_MAGIC;
    memcpy(&s->cb, cb, cb->size);
    s->arg = arg;
    s->info = copy_info(info);
    if (fw_runner_init(&s->runner, &runner_ops, s, loop_or_null) < 0 || !s->info) {
        fw_scheduler_free(s);
        return -ENOMEM;
    }
    s->http = http_client_new(s->runner.loop);
    s->sender = (struct fw_sender){
        .loop = s->runner.loop, .path = API_PATH, .answered = answered, .arg = s};
    if (detector_new(s->runner.loop, master, leader_changed, s, &s->detector, &err) < 0) {
        log_debug("'%s' cannot be used as a master: %s", master, err.msg);
        fw_scheduler_free(s);
        return -EINVAL;
    }
    *ret_scheduler = s;
    return 0;
}

int fw_scheduler_new(const char *master, const fw_info *info,
                     const struct fw_scheduler_callbacks *cb, void *arg,
                     fw_scheduler **ret_scheduler)
{
    return scheduler_new(NULL, master, info, cb, arg, ret_scheduler);
}

int fw_scheduler_new_on(fw_loop *loop, const char *master, const fw_info *info,
                        const struct fw_scheduler_callbacks *cb, void *arg,
                        fw_scheduler **ret_scheduler)
{
    return loop ? scheduler_new(fw_loop_base(loop), master, info, cb, arg, ret_scheduler) : -EINVAL;
}

bool fw_scheduler_ended(const fw_scheduler *s)
{
    return atomic_load(&s->runner.ended);
}

void fw_scheduler_free(fw_scheduler *s)
{
    if (!s)
        return;
    fw_runner_quit(&s->runner);
    if (s->detector)
        detector_free(s->detector);
    fw_sender_clear(&s->sender);
    if (s->http)
        http_client_free(s->http);
    if (s->stop_timer)
        fl_timer_free(s->stop_timer);
    sched_core_free(s->core);
    fw_runner_done(&s->runner);
    fw_info_free(s->info);
    free_roles(s);
    http_secret_free(s->authorization);
    fw_runner_free_owner(&s->runner, s);
}

void fw_scheduler_set_explicit_acks(fw_scheduler *s, bool on)
{
    s->explicit_acks = on;
}

int fw_scheduler_set_suppressed_roles(fw_scheduler *s, const char *const *roles, size_t n)
{
    char **copy = calloc(n + 1, sizeof(*copy));

    if (!copy)
        return -ENOMEM;
    free_roles(s);
    s->suppressed = copy;
    for (; s->n_suppressed < n; s->n_suppressed++)
        if (fw_set_string(&copy[s->n_suppressed], roles[s->n_suppressed]) < 0)
            return -ENOMEM;
    return 0;
}

int fw_scheduler_set_credential(fw_scheduler *s, const char *principal, const char *secret)
{
    if (strchr(principal, ':'))
        return -EINVAL;
    http_secret_free(s->authorization);
    s->authorization = http_basic_header(principal, secret);
    s->sender.authorization = s->authorization;
    return 0;
}

/* Made when it starts, for what the setters said belongs to the first subscription. */
static void make_core(struct fw_scheduler *s)
{
    if (!s->core)
        s->core =
            sched_core_new(&s->runner.env, &io, s, s->info->pb, s->suppressed, s->n_suppressed);
}

static int outcome(struct fw_scheduler *s, int r)
{
    return r == 0 && atomic_load(&s->dead) ? -ECONNABORTED : r;
}

int fw_scheduler_run(fw_scheduler *s)
{
    make_core(s);
    return outcome(s, fw_runner_run(&s->runner));
}

int fw_scheduler_start(fw_scheduler *s)
{
    make_core(s);
    return fw_runner_start(&s->runner);
}

int fw_scheduler_join(fw_scheduler *s)
{
    return outcome(s, fw_runner_join(&s->runner));
}

int fw_scheduler_fd(fw_scheduler *s)
{
    make_core(s);
    return fw_runner_fd(&s->runner);
}

int fw_scheduler_dispatch(fw_scheduler *s)
{
    return fw_runner_dispatch(&s->runner);
}

static void stop_now(void *arg)
{
    struct fw_scheduler *s = FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, arg);

    if (!s->runner.closed)
        fw_runner_end(&s->runner);
}

/* What was queued before is sent first; the loop ends with the answer to the last call, or when it does not come. */
static void stop_after_teardown(void *arg)
{
    struct fw_scheduler *s = FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, arg);

    if (s->runner.closed || s->stopping)
        return;
    fw_runner_drain(&s->runner);
    s->stopping = true;
    if (sched_core_teardown(s->core) < 0 || fw_sender_idle(&s->sender)) {
        fw_runner_end(&s->runner);
        return;
    }
    s->stop_timer = fl_timer_new(s->runner.loop, stop_now, s);
    fl_timer_set(s->stop_timer, TEARDOWN_WAIT_US);
}

void fw_scheduler_stop(fw_scheduler *s, bool teardown)
{
    make_core(s);
    fl_loop_post(s->runner.loop, teardown ? stop_after_teardown : stop_now, s);
}

const char *fw_scheduler_framework_id(const fw_scheduler *s)
{
    return s->framework_id;
}

const char *fw_scheduler_last_error(const fw_scheduler *s)
{
    return s->last_error;
}
