/* See state_stream.h. */
#include "master/api/state_stream.h"

#include <utlist.h>

#include "common/base/http_cast.h"
#include "common/base/log.h"

static void count(struct state_stream *s, int by)
{
    s->set->n += (unsigned)by;
    if (s->set->kind->counted)
        s->set->kind->counted(s->api);
}

static void set_direct(struct state_stream *s, bool direct)
{
    if (direct && !s->direct)
        DL_APPEND2(s->set->direct, s, direct_prev, direct_next);
    else if (!direct && s->direct)
        DL_DELETE2(s->set->direct, s, direct_prev, direct_next);
    s->direct = direct;
}

static void stream_free(struct state_stream *s)
{
    s->set->n_all--;
    set_direct(s, false);
    if (s->listed) {
        DL_DELETE(s->set->first, s);
        count(s, -1);
    }
    state_cancel(s->wish);
    viewer_free(s->viewer);
    fl_buf_done(&s->queue);
    s->set->kind->free(s);
}

/* Ends it from our side; `why` is for one who has no stream yet. */
static void stream_end(struct state_stream *s, const struct fl_err *why)
{
    if (s->stream)
        http_stream_end(s->stream);
    else
        http_respond_err(s->ex, why);
    stream_free(s);
}

static void gone(struct http_stream *st, void *arg)
{
    struct state_stream *s = arg;

    if (http_stream_overran(st))
        log_warning("the subscriber at %s to %s is closed: it does not read, and more than "
                    "--http_max_unsent waits for it",
                    http_stream_peer(st), s->set->kind->what);
    stream_free(s);
}

static void write_piece(struct state_stream *s, const void *p, size_t n)
{
    if (s->set->kind->records)
        http_stream_write_record(s->stream, p, n);
    else
        http_stream_write(s->stream, p, n);
}

void state_stream_send(struct state_stream *s, const struct fl_buf *piece)
{
    struct fl_err err;

    if (s->stream) {
        /* One that is too slow is closed by the stream, which calls gone(). */
        write_piece(s, piece->data, piece->len);
        return;
    }
    fl_buf_add(&s->queue, &piece->len, sizeof(piece->len));
    fl_buf_add(&s->queue, piece->data, piece->len);
    if (s->queue.len > s->api->master->flags->http_max_unsent) {
        fl_err_set(&err, FL_UNAVAILABLE, "More happens than can wait until the state is written");
        stream_end(s, &err);
    }
}

static void send_queue(struct state_stream *s)
{
    const char *p = s->queue.data, *end = p + s->queue.len;
    size_t n;

    for (; p < end; p += n) {
        memcpy(&n, p, sizeof(n));
        p += sizeof(n);
        write_piece(s, p, n);
    }
    fl_buf_done(&s->queue);
}

/* From here on what happens is its. */
static void on_taken(void *arg)
{
    struct state_stream *s = arg;
    struct state_streams *set = s->set;
    struct fl_err err;

    while (set->limit && set->n >= set->limit) {
        log_warning("more than %llu subscribers to %s, closing the oldest",
                    (unsigned long long)set->limit, set->kind->what);
        fl_err_set(&err, FL_UNAVAILABLE, "Too many subscribers");
        stream_end(set->first, &err);
    }
    s->listed = true;
    set_direct(s, true);
    DL_APPEND(set->first, s);
    count(s, 1);
}

/* All that was before is sent. */
static void share(struct state_stream *s)
{
    struct http_cast **cast = &s->set->casts[s->encoding];

    if (!s->set->kind->shared || s->viewer)
        return;
    if (!*cast)
        *cast = http_cast_new();
    if (http_cast_join(*cast, s->stream))
        set_direct(s, false);
}

struct http_cast *state_streams_cast(struct state_streams *set, enum api_encoding encoding)
{
    struct http_cast *c = set->casts[encoding];

    return c && http_cast_members(c) > 0 ? c : NULL;
}

static void on_written(void *arg, struct fl_region *bytes, const struct fl_err *err)
{
    struct state_stream *s = arg;
    const struct state_stream_kind *kind = s->set->kind;

    s->wish = NULL;
    if (!bytes) {
        stream_end(s, err);
        return;
    }
    s->stream = http_respond_stream(TAKE_PTR(s->ex), 200, s->content_type, gone, s);
    if (kind->begun)
        kind->begun(s);
    http_stream_write_region(s->stream, bytes);
    send_queue(s);
    share(s);
    if (kind->ready)
        kind->ready(s);
}

void state_stream_open(struct state_streams *set, struct state_stream *s, struct master_api *api,
                       struct http_exchange *ex, const char *principal, enum api_encoding encoding,
                       const char *content_type)
{
    static const struct state_wish_ops ops = {on_taken, on_written};
    struct state_wish *w;

    s->set = set;
    s->api = api;
    s->ex = ex;
    s->encoding = encoding;
    s->content_type = content_type;
    s->viewer = viewer_new(api->master, principal);
    set->n_all++;
    w = state_ask(api, http_exchange_loop(ex), set->kind->view, encoding, principal, &ops, s);
    if (w)
        s->wish = w; /* otherwise it was answered, and `s` may be gone */
}

void state_streams_end(struct state_streams *set, const char *why)
{
    struct fl_err err = {0};

    fl_err_set(&err, FL_UNAVAILABLE, "%s", why);
    while (set->first)
        stream_end(set->first, &err);
    for (size_t i = 0; i < ARRAY_SIZE(set->casts); i++)
        http_cast_free(TAKE_PTR(set->casts[i]));
}
