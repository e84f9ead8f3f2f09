/* SUBSCRIBE of the operator API: SUBSCRIBED with a snapshot of the state, then every event, and a
 * heartbeat each 15 s. Too many subscribers: the oldest one is closed (as the reference does). */
#include <utlist.h>

#include "common/base/log.h"
#include "master/api/handlers.h"
#include "master/api/views.h"

#define HEARTBEAT_S 15

struct api_subscriber {
    struct master_api *api;
    struct http_stream *stream; /* owned until gone */
    enum api_encoding encoding;
    struct viewer *viewer; /* owned; NULL: sees everything */
    struct env_timer *heartbeat;
    struct api_subscriber *next, *prev; /* oldest first */
};

static void subscriber_free(struct api_subscriber *s)
{
    DL_DELETE(s->api->subscribers, s);
    s->api->master->n_subscribers = --s->api->n_subscribers;
    env_timer_free(&s->api->master->env->env, s->heartbeat);
    viewer_free(s->viewer);
    free(s);
}

static void gone(struct http_stream *st, void *arg)
{
    subscriber_free(arg);
}

/* A subscriber that is too slow is closed by the stream, which calls gone(). */
static void send_record(struct api_subscriber *s, const struct fl_buf *record)
{
    http_stream_write_record(s->stream, record->data, record->len);
}

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
    env_timer_set(&s->api->master->env->env, s->heartbeat, HEARTBEAT_S * 1000000ull);
    send_event(s, &ev);
}

static void send_subscribed(struct api_subscriber *s)
{
    struct fl_arena *arena = fl_arena_new(64 * 1024);
    _cleanup_buf_ struct fl_buf record = FL_BUF_INIT;
    Mapi__Response__GetState *state = view_state(s->api->master, s->viewer, arena);

    if (s->encoding == API_JSON) {
        struct json_out j = json_out_on(&record);
        json_object(&j);
        json_kstr(&j, "type", "SUBSCRIBED");
        json_kobject(&j, "subscribed");
        json_key(&j, "get_state");
        operator_state_json(&j, state);
        json_kdouble(&j, "heartbeat_interval_seconds", HEARTBEAT_S);
        json_end_object(&j);
        json_end_object(&j);
    } else {
        Mapi__Event ev = MAPI__EVENT__INIT;
        Mapi__Event__Subscribed sub = MAPI__EVENT__SUBSCRIBED__INIT;
        ev.has_type = true;
        ev.type = MAPI__EVENT__TYPE__SUBSCRIBED;
        ev.subscribed = &sub;
        sub.get_state = state;
        sub.has_heartbeat_interval_seconds = true;
        sub.heartbeat_interval_seconds = HEARTBEAT_S;
        fl_buf_pack(&record, &ev.base);
    }
    fl_arena_free(arena);
    send_record(s, &record);
}

void operator_subscribe(struct http_exchange *ex, struct master_api *api, const char *principal,
                        enum api_encoding encoding)
{
    struct api_subscriber *s = xnew0(struct api_subscriber);
    uint64_t limit = api->master->flags->max_operator_event_stream_subscribers;

    s->api = api;
    s->encoding = encoding;
    s->viewer = viewer_new(api->master, principal);
    s->heartbeat = env_timer_new(&api->master->env->env, beat, s);
    s->stream = http_respond_stream(ex, 200, api_content_type(encoding), gone, s);
    while (limit && api->n_subscribers >= limit) {
        struct api_subscriber *oldest = api->subscribers;
        log_warning("more than %llu subscribers to the operators' events, closing the oldest",
                    (unsigned long long)limit);
        http_stream_end(oldest->stream);
        subscriber_free(oldest);
    }
    DL_APPEND(api->subscribers, s);
    api->master->n_subscribers = ++api->n_subscribers;
    send_subscribed(s);
    beat(s);
}

/* An agent as far as this subscriber sees it. */
static void send_agent_added(struct api_subscriber *s, const Mapi__Event *ev)
{
    struct fl_arena *arena = fl_arena_new(8192);
    Mapi__Event__AgentAdded added = *ev->agent_added;
    Mapi__Event copy = *ev;

    added.agent = viewer_agent(s->viewer, added.agent, arena);
    copy.agent_added = &added;
    send_event(s, &copy);
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
    while (api->subscribers) {
        http_stream_end(api->subscribers->stream);
        subscriber_free(api->subscribers);
    }
}
