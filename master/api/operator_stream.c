/* SUBSCRIBE of the operator API: SUBSCRIBED with a snapshot of the state, then every event, and a
 * heartbeat each 15 s. Too many subscribers: the oldest one is closed (as the reference does). */
#include <utlist.h>

#include "common/base/http_cast.h"
#include "master/api/state_stream.h"

struct subscriber {
    struct state_stream base; /* first */
    struct env_timer *heartbeat;
};

static void beat(void *arg)
{
    struct subscriber *s = arg;
    Mapi__Event ev = MAPI__EVENT__INIT;
    struct fl_buf *record;

    ev.has_type = true;
    ev.type = MAPI__EVENT__TYPE__HEARTBEAT;
    env_timer_set(&s->base.api->master->env->env, s->heartbeat, STATE_HEARTBEAT_S * 1000000ull);
    record = http_stream_begin(s->base.stream);
    if (!record)
        return;
    api_encode(record, &ev.base, s->base.encoding);
    http_stream_end_record(s->base.stream);
}

static void ready(struct state_stream *s)
{
    beat(s);
}

static void counted(struct master_api *api)
{
    api->master->n_subscribers = api->subscribers.n;
}

static void subscriber_free(struct state_stream *base)
{
    struct subscriber *s = (struct subscriber *)base;

    env_timer_free(&base->api->master->env->env, s->heartbeat);
    free(s);
}

static const struct state_stream_kind kind = {
    .view = &state_view_subscribed,
    .records = true,
    .shared = true,
    .what = "the operators' events",
    .counted = counted,
    .ready = ready,
    .free = subscriber_free,
};

void operator_subscribe(struct http_exchange *ex, struct master_api *api, const char *principal,
                        enum api_encoding encoding)
{
    struct subscriber *s = xnew0(struct subscriber);

    api->subscribers.kind = &kind;
    api->subscribers.limit = api->master->flags->max_operator_event_stream_subscribers;
    s->heartbeat = env_timer_new(&api->master->env->env, beat, s);
    state_stream_open(&api->subscribers, &s->base, api, ex, principal, encoding,
                      api_content_type(encoding));
}

/* An agent as far as this subscriber sees it. */
static void send_agent_added(struct state_stream *s, const Mapi__Event *ev)
{
    struct fl_arena *arena = fl_arena_new(8192);
    _cleanup_buf_ struct fl_buf record = FL_BUF_INIT;
    Mapi__Event__AgentAdded added = *ev->agent_added;
    Mapi__Event copy = *ev;

    added.agent = viewer_agent(s->viewer, added.agent, arena);
    copy.agent_added = &added;
    api_encode(&record, &copy.base, s->encoding);
    state_stream_send(s, &record);
    fl_arena_free(arena);
}

void api_done(struct master_api *api)
{
    state_stop(api);
    state_streams_end(&api->subscribers, "The master is ending");
    page_stop(api);
}

void api_publish(struct master_api *api, const Mapi__Event *ev)
{
    struct state_stream *s, *next;
    _cleanup_buf_ struct fl_buf json = FL_BUF_INIT, pb = FL_BUF_INIT;

    /* Encoded once for all subscribers of one encoding, and written once for those who see everything and have had the state. */
    for (size_t e = 0; e < ARRAY_SIZE(api->subscribers.casts); e++) {
        struct http_cast *cast = state_streams_cast(&api->subscribers, (enum api_encoding)e);
        if (!cast)
            continue;
        api_encode(http_cast_begin(cast), &ev->base, (enum api_encoding)e);
        http_cast_end_record(cast);
    }
    for (s = api->subscribers.direct; s; s = next) {
        next = s->direct_next;
        if (!viewer_sees_event(s->viewer, ev))
            continue;
        if (s->viewer && ev->agent_added) {
            send_agent_added(s, ev);
            continue;
        }
        struct fl_buf *record = s->encoding == API_JSON ? &json : &pb;
        if (!record->len)
            api_encode(record, &ev->base, s->encoding);
        state_stream_send(s, record);
    }
}
