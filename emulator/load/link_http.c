/* A framework's way to the master by plain HTTP: SUBSCRIBE on one connection, calls on another, pipelined. Acts as a v1 client does: no
 * redirections are followed. See load.h. */
#include <errno.h>
#include <stdio.h>

#include "common/base/http_auth.h"
#include "common/base/http_pipe.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/recordio.h"
#include "emulator/load/load.h"

#define MAGIC      0x10ad1171u
#define API_PATH   "/api/v1/scheduler"
#define MAX_RECORD (256u << 20)
#define RETRY_US   500000ull
/* A master under load may take minutes to answer, which is what is measured. */
#define ANSWER_S 3600

struct sent {
    uint64_t at_us, ref_us;
};
struct link_http {
    unsigned magic;
    struct load_link base;
    struct load *load;
    bool json;
    char *authorization;      /* owned or NULL */
    struct http_call *stream; /* SUBSCRIBE */
    struct recordio_reader reader;
    struct http_pipe *calls;
    struct fl_buf id_field; /* framework_id of each call */
    char *stream_id;
    struct sent *sent; /* a ring: calls that are not answered */
    size_t sent_first, sent_n, sent_cap;
    struct fl_timer *retry;
    struct fl_arena *arena;
    bool quit, progress_due;
};

static void subscribe(struct link_http *h);

/* ---- life of the two connections ---- */

static void down(struct link_http *h, const char *why)
{
    if (h->stream)
        http_call_cancel(TAKE_PTR(h->stream));
    http_pipe_free(TAKE_PTR(h->calls));
    h->sent_n = 0;
    recordio_reader_done(&h->reader);
    recordio_reader_init(&h->reader, MAX_RECORD);
    if (!h->quit)
        fl_timer_set(h->retry, RETRY_US);
    load_link_down(h->base.framework, why);
}

static void retry_due(void *arg)
{
    struct link_http *h = FL_CAST(link_http, MAGIC, arg);

    if (!h->base.framework->gone && h->load->phase < LOAD_LEAVING)
        subscribe(h);
}

/* ---- answers to calls ---- */

/* Once for all that one read brought. */
static void progress(void *arg)
{
    struct link_http *h = FL_CAST(link_http, MAGIC, arg);

    h->progress_due = false;
    load_progress(h->load);
}

static void answered(void *arg, int status, const char *body)
{
    struct link_http *h = FL_CAST(link_http, MAGIC, arg);
    struct sent q = h->sent[h->sent_first];

    if (status == 0) {
        down(h, "a call was not answered");
        return;
    }
    h->sent_first = (h->sent_first + 1) & (h->sent_cap - 1);
    h->sent_n--;
    h->load->now_us = fl_loop_now_us(h->load->loop);
    load_link_answered(h->base.framework, h->load->now_us - q.at_us, q.ref_us, status,
                       (struct load_bytes){body, strlen(body)});
    if (!h->progress_due)
        fl_loop_defer(h->load->loop, progress, h);
    h->progress_due = true;
}

/* ---- calls ---- */

static void remember(struct link_http *h, uint64_t ref_us)
{
    if (h->sent_n == h->sent_cap) {
        size_t cap = h->sent_cap ? h->sent_cap * 2 : 256;
        struct sent *wider = xcalloc(cap, sizeof *wider);

        for (size_t i = 0; i < h->sent_n; i++)
            wider[i] = h->sent[(h->sent_first + i) & (h->sent_cap - 1)];
        free(h->sent);
        h->sent = wider;
        h->sent_cap = cap;
        h->sent_first = 0;
    }
    h->sent[(h->sent_first + h->sent_n++) & (h->sent_cap - 1)] =
        (struct sent){h->load->now_us, ref_us};
}

static bool to_json(struct link_http *h, const void *bytes, size_t n, struct fl_buf *out)
{
    _cleanup_buf_ struct fl_buf whole = FL_BUF_INIT;
    ProtobufCMessage *m;

    fl_buf_add(&whole, bytes, n);
    fl_buf_add(&whole, h->id_field.data, h->id_field.len);
    fl_arena_reset(h->arena);
    if (fl_pb_decode(whole.data, whole.len, &sched__call__descriptor, fl_arena_allocator(h->arena),
                     &m, NULL) < 0)
        return false;
    fl_json_from_pb(out, m, 0);
    return true;
}

static void http_send(struct load_link *l, const void *bytes, size_t n, uint64_t ref_us)
{
    struct link_http *h = container_of(l, struct link_http, base);
    _cleanup_buf_ struct fl_buf call = FL_BUF_INIT;

    if (!h->calls)
        return;
    if (h->json) {
        if (!to_json(h, bytes, n, &call))
            return;
    } else {
        fl_buf_add(&call, bytes, n);
        fl_buf_add(&call, h->id_field.data, h->id_field.len);
    }
    remember(h, ref_us);
    http_pipe_post(h->calls, call.data, call.len);
}

static size_t http_unanswered(const struct load_link *l)
{
    return container_of(l, struct link_http, base)->sent_n;
}

/* ---- the stream of events ---- */

static const char *type_of(const struct link_http *h)
{
    return h->json ? "application/json" : "application/x-protobuf";
}

/* Those of SUBSCRIBE and of calls; how many. */
static size_t make_headers(struct link_http *h, const char *stream_id, struct http_header *out)
{
    size_t n = 0;

    out[n++] = (struct http_header){"Content-Type", type_of(h)};
    out[n++] = (struct http_header){"Accept", type_of(h)};
    if (stream_id)
        out[n++] = (struct http_header){"Mesos-Stream-Id", stream_id};
    if (h->authorization)
        out[n++] = (struct http_header){"Authorization", h->authorization};
    return n;
}

/* Calls can be sent as soon as the framework knows its id. */
static int open_calls(struct link_http *h, const char *framework_id)
{
    Sched__Call id = SCHED__CALL__INIT;
    V1__FrameworkID value = V1__FRAMEWORK_ID__INIT;
    struct http_header headers[4];
    const struct http_pipe_config c = {.host = h->load->host,
                                       .port = h->load->port,
                                       .path = API_PATH,
                                       .headers = headers,
                                       .n_headers = make_headers(h, h->stream_id, headers),
                                       .depth = UINT_MAX, /* what waits, waits at the master */
                                       .timeout_s = ANSWER_S};
    struct fl_err err;

    value.value = (char *)framework_id;
    id.framework_id = &value;
    fl_buf_clear(&h->id_field);
    fl_buf_pack(&h->id_field, &id.base);
    h->calls = http_pipe_new(h->load->loop, &c, answered, h, &err);
    return h->calls ? 0 : err.code;
}

static bool subscribed_id(const char *p, size_t n, char **ret)
{
    ProtobufCMessage *m;
    _cleanup_pb_ Sched__Event *ev = NULL;

    if (fl_pb_decode(p, n, &sched__event__descriptor, NULL, &m, NULL) < 0)
        return false;
    ev = (Sched__Event *)m;
    if (!ev->subscribed)
        return false;
    *ret = xstrdup(ev->subscribed->framework_id->value);
    return true;
}

static int deliver(struct link_http *h, const char *p, size_t n)
{
    _cleanup_free_ char *id = NULL;

    if (!h->calls && subscribed_id(p, n, &id) && open_calls(h, id) < 0)
        return -EIO;
    load_link_event(h->base.framework, p, n);
    return h->stream ? 0 : -ECANCELED;
}

static int event(void *arg, const char *record, size_t n, struct fl_err *err)
{
    struct link_http *h = FL_CAST(link_http, MAGIC, arg);
    _cleanup_buf_ struct fl_buf bytes = FL_BUF_INIT;
    ProtobufCMessage *m;
    int r;

    if (!h->json)
        return deliver(h, record, n);
    fl_arena_reset(h->arena);
    r = fl_json_to_pb(record, n, &sched__event__descriptor, 0, fl_arena_allocator(h->arena), &m,
                      err);
    if (r < 0)
        return r;
    fl_buf_pack(&bytes, m);
    return deliver(h, bytes.data, bytes.len);
}

static void stream_headers(struct http_call *c, const struct http_client_response *r, void *arg)
{
    struct link_http *h = FL_CAST(link_http, MAGIC, arg);
    const char *id = http_response_header(r, "Mesos-Stream-Id");
    char text[80];

    if (r->status == 200 && id) {
        free(h->stream_id);
        h->stream_id = xstrdup(id);
        return;
    }
    fl_snprintf(text, sizeof text, "SUBSCRIBE was answered with status %d", r->status);
    if (r->status == 503 || r->status == 404)
        down(h, text);
    else
        load_link_dead(h->base.framework, text);
}

static void stream_data(struct http_call *c, const char *p, size_t n, void *arg)
{
    struct link_http *h = FL_CAST(link_http, MAGIC, arg);
    struct fl_err err = {0};

    if (recordio_feed(&h->reader, p, n, event, h, &err) < 0 && h->stream)
        down(h, err.msg[0] ? err.msg : "the event stream cannot be read");
}

static void stream_done(struct http_call *c, const struct http_client_response *r,
                        const struct fl_err *err, void *arg)
{
    struct link_http *h = FL_CAST(link_http, MAGIC, arg);

    h->stream = NULL;
    down(h, err ? err->msg : "the master closed the stream");
}

static const struct http_call_ops stream_ops = {
    .on_headers = stream_headers, .on_data = stream_data, .on_done = stream_done};

static void subscribe_body(struct link_http *h, struct fl_buf *out)
{
    const V1__FrameworkInfo *info = h->base.framework->info;
    ProtobufCMessage *m;

    load_call_subscribe(out, info, info->roles, info->n_roles);
    if (!h->json)
        return;
    fl_arena_reset(h->arena);
    if (fl_pb_decode(out->data, out->len, &sched__call__descriptor, fl_arena_allocator(h->arena),
                     &m, NULL) < 0)
        return;
    fl_buf_clear(out);
    fl_json_from_pb(out, m, 0);
}

static void subscribe(struct link_http *h)
{
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT;
    struct http_header headers[4];
    struct http_call_config cfg = {.method = "POST",
                                   .host = h->load->host,
                                   .port = h->load->port,
                                   .path = API_PATH,
                                   .headers = headers,
                                   .n_headers = make_headers(h, NULL, headers),
                                   .streaming = true,
                                   .own_connection = true,
                                   .timeout_s = 60};
    struct fl_err err;

    subscribe_body(h, &body);
    cfg.body = body.data;
    cfg.body_len = body.len;
    if (http_client_call(h->load->http, &cfg, &stream_ops, h, &h->stream, &err) < 0) {
        h->stream = NULL;
        down(h, err.msg);
    }
}

/* ---- making ---- */

static void http_free(struct load_link *l)
{
    struct link_http *h = container_of(l, struct link_http, base);

    h->quit = true;
    if (h->stream)
        http_call_cancel(h->stream);
    http_pipe_free(h->calls);
    fl_loop_forget(h->load->loop, h);
    fl_timer_free(h->retry);
    recordio_reader_done(&h->reader);
    fl_arena_free(h->arena);
    fl_buf_done(&h->id_field);
    free(h->sent);
    free(h->stream_id);
    http_secret_free(h->authorization);
    h->magic = 0;
    free(h);
}

static const struct load_link_ops http_ops = {
    .call = http_send, .unanswered = http_unanswered, .free = http_free};

struct load_link *load_link_http_new(struct load_framework *f, struct fl_err *err)
{
    struct link_http *h = xnew0(struct link_http);
    const struct load_entry *e = f->group->entry;

    h->magic = MAGIC;
    h->base = (struct load_link){.ops = &http_ops, .framework = f};
    h->load = f->load;
    h->json = e->encoding == LOAD_JSON;
    h->authorization = e->principal ? http_basic_header(e->principal, e->secret) : NULL;
    h->retry = fl_timer_new(f->load->loop, retry_due, h);
    h->arena = fl_arena_new(4096);
    recordio_reader_init(&h->reader, MAX_RECORD);
    subscribe(h);
    return &h->base;
}
