/* SUBSCRIBE of the operator API: SUBSCRIBED with a snapshot of the state, then every event, and a
 * heartbeat each 15 s. Too many subscribers: the oldest one is closed (as the reference does).
 *
 * A subscriber is one from the instant on that its snapshot shows. Until it is written, which may take a while, events wait in `queue`; one
 * for whom too many wait is refused. */
#include <utlist.h>

#include "common/base/log.h"
#include "common/base/recordio.h"
#include "master/api/state.h"

struct api_subscriber {
    struct master_api *api;
    struct http_exchange *ex;   /* until there is a stream */
    struct http_stream *stream; /* owned until gone */
    struct state_wish *wish;    /* under way, or NULL */
    struct fl_buf queue;        /* owned: records behind the snapshot */
    bool listed;
    enum api_encoding encoding;
    struct viewer *viewer; /* owned; NULL: sees everything */
    struct env_timer *heartbeat;
    struct api_subscriber *next, *prev; /* oldest first */
};

static void subscriber_free(struct api_subscriber *s)
{
    if (s->listed) {
        DL_DELETE(s->api->subscribers, s);
        s->api->master->n_subscribers = --s->api->n_subscribers;
    }
    state_cancel(s->wish);
    env_timer_free(&s->api->master->env->env, s->heartbeat);
    viewer_free(s->viewer);
    fl_buf_done(&s->queue);
    free(s);
}

/* Ends it from our side; `why` is for one who has no stream yet. */
static void subscriber_end(struct api_subscriber *s, const struct fl_err *why)
{
    if (s->stream)
        http_stream_end(s->stream);
    else
        http_respond_err(s->ex, why);
    subscriber_free(s);
}

static void gone(struct http_stream *st, void *arg)
{
    subscriber_free(arg);
}

static void send_record(struct api_subscriber *s, const struct fl_buf *record)
{
    struct fl_err err;

    if (s->stream) {
        /* A subscriber that is too slow is closed by the stream, which calls gone(). */
        http_stream_write_record(s->stream, record->data, record->len);
        return;
    }
    recordio_add(&s->queue, record->data, record->len);
    if (s->queue.len > s->api->master->flags->http_max_unsent) {
        fl_err_set(&err, FL_UNAVAILABLE, "More happens than can wait until the state is written");
        subscriber_end(s, &err);
    }
}

/* Only once there is a stream. */
static void send_event(struct api_subscriber *s, const Mapi__Event *ev)
{
    struct fl_buf *record = http_stream_begin(s->stream);

    if (!record)
        return;
    api_encode(record, &ev->base, s->encoding);
    http_stream_end_record(s->stream);
}

static void beat(void *arg)
{
    struct api_subscriber *s = arg;
    Mapi__Event ev = MAPI__EVENT__INIT;

    ev.has_type = true;
    ev.type = MAPI__EVENT__TYPE__HEARTBEAT;
    env_timer_set(&s->api->master->env->env, s->heartbeat, STATE_HEARTBEAT_S * 1000000ull);
    send_event(s, &ev);
}

/* From here on events are its. */
static void on_taken(void *arg)
{
    struct api_subscriber *s = arg;
    struct master_api *api = s->api;
    uint64_t limit = api->master->flags->max_operator_event_stream_subscribers;
    struct fl_err err;

    while (limit && api->n_subscribers >= limit) {
        log_warning("more than %llu subscribers to the operators' events, closing the oldest",
                    (unsigned long long)limit);
        fl_err_set(&err, FL_UNAVAILABLE, "Too many subscribers");
        subscriber_end(api->subscribers, &err);
    }
    s->listed = true;
    DL_APPEND(api->subscribers, s);
    api->master->n_subscribers = ++api->n_subscribers;
}

/* Each record in a chunk of its own, as always. */
static void send_queue(struct api_subscriber *s)
{
    const char *p = s->queue.data, *end = p + s->queue.len;

    while (p < end) {
        size_t n = 0;
        const char *begin = p;

        while (*p != '\n')
            n = n * 10 + (size_t)(*p++ - '0');
        p += 1 + n;
        http_stream_write(s->stream, begin, (size_t)(p - begin));
    }
    fl_buf_done(&s->queue);
}

static void on_written(void *arg, struct fl_region *bytes, const struct fl_err *err)
{
    struct api_subscriber *s = arg;

    s->wish = NULL;
    if (!bytes) {
        subscriber_end(s, err);
        return;
    }
    s->stream = http_respond_stream(TAKE_PTR(s->ex), 200, api_content_type(s->encoding), gone, s);
    http_stream_write_region(s->stream, bytes);
    send_queue(s);
    beat(s);
}

void operator_subscribe(struct http_exchange *ex, struct master_api *api, const char *principal,
                        enum api_encoding encoding)
{
    static const struct state_wish_ops ops = {on_taken, on_written};
    struct api_subscriber *s = xnew0(struct api_subscriber);
    struct state_wish *w;

    s->api = api;
    s->ex = ex;
    s->encoding = encoding;
    s->viewer = viewer_new(api->master, principal);
    s->heartbeat = env_timer_new(&api->master->env->env, beat, s);
    w = state_ask(api, http_exchange_loop(ex), &state_view_subscribed, encoding, principal, &ops,
                  s);
    if (w)
        s->wish = w; /* otherwise it was answered, and `s` may be gone */
}

/* An agent as far as this subscriber sees it. */
static void send_agent_added(struct api_subscriber *s, const Mapi__Event *ev)
{
    struct fl_arena *arena = fl_arena_new(8192);
    _cleanup_buf_ struct fl_buf record = FL_BUF_INIT;
    Mapi__Event__AgentAdded added = *ev->agent_added;
    Mapi__Event copy = *ev;

    added.agent = viewer_agent(s->viewer, added.agent, arena);
    copy.agent_added = &added;
    api_encode(&record, &copy.base, s->encoding);
    send_record(s, &record);
    fl_arena_free(arena);
}

void api_publish(struct master_api *api, const Mapi__Event *ev)
{
    struct api_subscriber *s, *next;
    _cleanup_buf_ struct fl_buf json = FL_BUF_INIT, pb = FL_BUF_INIT;

    /* Encoded once for all subscribers of one encoding. */
    DL_FOREACH_SAFE (api->subscribers, s, next) {
        if (!viewer_sees_event(s->viewer, ev))
            continue;
        if (s->viewer && ev->agent_added) {
            send_agent_added(s, ev);
            continue;
        }
        struct fl_buf *record = s->encoding == API_JSON ? &json : &pb;
        if (!record->len)
            api_encode(record, &ev->base, s->encoding);
        send_record(s, record);
    }
}

void api_done(struct master_api *api)
{
    struct fl_err err = {0};

    state_stop(api);
    fl_err_set(&err, FL_UNAVAILABLE, "The master is ending");
    while (api->subscribers)
        subscriber_end(api->subscribers, &err);
}
