/* The event streams of frameworks. Records are encoded here and written as one chunk each, for there are
 * clients that take a chunk for a record.
 *
 * What a framework does not read waits for it, up to a limit. A burst may pass the limit, for nobody reads a million statuses as fast
 * as they are made: over it, a framework has to take some of it every few seconds, and never more may wait than a multiple
 * of it. Who fails in that is told an ERROR behind what waits, and its connection ends; the core hears of a closed stream. */
#include "master/api/scheduler.h"

#include <utlist.h>

#include "common/base/log.h"

/* Without a byte taken, while over the limit. */
#define STUCK_US 5000000u
/* Times the limit: more never waits. */
#define BURST 8

struct sched_stream {
    struct master_api *api;
    struct http_stream *http;
    struct fl_loop *loop; /* borrowed */
    enum api_encoding encoding;
    uint64_t taken;       /* bytes, when it was over the limit last */
    uint64_t stuck_since; /* over the limit and nothing taken since; 0: it is not */
    bool cut;             /* it was too slow: `http` is gone, the core hears so soon */
    bool ended;           /* with the master: `http` is gone, the core does not hear so */
    struct sched_stream *next, *prev; /* api->sched->streams */
};

struct sched_api {
    struct sched_stream *streams;
};

struct sched_api *sched_api_new(void)
{
    return xnew0(struct sched_api);
}

static void stream_free(struct sched_stream *s)
{
    if (s->cut)
        fl_loop_forget(s->loop, s);
    DL_DELETE(s->api->sched->streams, s);
    free(s);
}

void sched_api_close(struct sched_api *s)
{
    struct sched_stream *st;

    /* The core goes on for as long as others are answered, and names them: told of their end, it would remove frameworks. */
    DL_FOREACH (s->streams, st) {
        if (!st->cut && !st->ended)
            http_stream_end(st->http);
        st->ended = true;
    }
}

void sched_api_free(struct sched_api *s)
{
    if (!s)
        return;
    while (s->streams)
        stream_free(s->streams);
    free(s);
}

static void on_gone(struct http_stream *http, void *arg)
{
    struct sched_stream *s = arg;
    struct master *m = s->api->master;

    master_framework_closed(m, s);
    stream_free(s);
}

struct sched_stream *sched_stream_new(struct master_api *api, struct http_exchange *ex,
                                      enum api_encoding encoding)
{
    struct sched_stream *s = xnew0(struct sched_stream);

    s->api = api;
    s->encoding = encoding;
    s->loop = http_exchange_loop(ex);
    DL_APPEND(api->sched->streams, s);
    s->http = http_respond_stream(ex, 200, api_content_type(encoding), on_gone, s);
    http_stream_set_max_unsent(s->http, SIZE_MAX / 2); /* ours below */
    return s;
}

/* ---- what a framework does not read ---- */

static void write_event(struct sched_stream *s, const Sched__Event *ev)
{
    struct fl_buf *record = http_stream_begin(s->http);

    if (!record)
        return;
    api_encode(record, &ev->base, s->encoding);
    http_stream_end_record(s->http);
}

static bool too_slow(struct sched_stream *s, size_t waiting)
{
    struct master *m = s->api->master;
    size_t limit = m->flags->framework_max_unsent;

    if (waiting <= limit) {
        s->stuck_since = 0;
        return false;
    }
    uint64_t now = env_now_us(&m->env->env);
    uint64_t taken = http_stream_taken(s->http);
    if (!s->stuck_since || taken > s->taken) {
        s->stuck_since = now;
        s->taken = taken;
    }
    return waiting / BURST > limit || now - s->stuck_since > STUCK_US;
}

static void tell_core(void *arg)
{
    struct sched_stream *s = arg;

    master_framework_closed(s->api->master, s);
    stream_free(s);
}

/* The core is in the middle of something, so it hears of it when the callback has returned. */
static void cut(struct sched_stream *s, size_t waiting)
{
    Sched__Event__Error error = SCHED__EVENT__ERROR__INIT;
    Sched__Event ev = SCHED__EVENT__INIT;

    master_framework_too_slow(s->api->master, s, waiting);
    error.message = (char *)"Framework does not read its events; the master closes its connection";
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__ERROR;
    ev.error = &error;
    write_event(s, &ev);
    http_stream_end_and_close(s->http);
    s->cut = true;
    fl_loop_defer(s->loop, tell_core, s);
}

void sched_stream_send(void *stream, const Sched__Event *ev)
{
    struct sched_stream *s = stream;

    if (s->cut || s->ended)
        return;
    size_t waiting = http_stream_unsent(s->http);
    if (too_slow(s, waiting))
        cut(s, waiting);
    else
        write_event(s, ev);
}

void sched_stream_close(void *stream)
{
    struct sched_stream *s = stream;

    if (!s->cut && !s->ended)
        http_stream_end(s->http);
    stream_free(s);
}
