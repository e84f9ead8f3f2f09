/* Streams that begin with a view of the state and go on with what happens from the instant on that it shows: SUBSCRIBE of the operator API
 * and the web page's events.
 *
 * A stream is one of its set from that instant on. Until the view is written, which another process may do (state_answer.c), what it is
 * sent waits; one for whom more than --http_max_unsent bytes wait is refused. A reader that is too slow is closed by its http_stream. */
#ifndef MASTER_API_STATE_STREAM_H
#define MASTER_API_STATE_STREAM_H

#include "master/api/state.h"

struct state_stream;

struct state_stream_kind {
    const struct state_view *view;
    bool records;     /* what is sent are RecordIO records; else plain bytes */
    bool shared;      /* records of who sees everything go by state_streams_cast() */
    const char *what; /* for the log: "the operators' events" */
    void (*counted)(struct master_api *api); /* set->n has changed; or NULL */
    void (*begun)(struct state_stream *s);   /* s->stream is there, nothing was sent yet; or NULL */
    void (*ready)(struct state_stream *s);   /* the view and all that waited was sent; or NULL */
    void (*free)(struct state_stream *s);    /* its end: frees it */
};

/* The beginning of what its user has. */
struct state_stream {
    struct state_streams *set;
    struct master_api *api;
    struct http_exchange *ex;   /* until there is a stream */
    struct http_stream *stream; /* owned until gone */
    struct state_wish *wish;    /* under way, or NULL */
    struct fl_buf queue;        /* owned: pieces behind the view, each after its length */
    bool listed, direct;        /* in the set's lists */
    enum api_encoding encoding;
    const char *content_type; /* borrowed: a literal */
    struct viewer *viewer;    /* owned; NULL: sees everything */
    struct state_stream *next, *prev, *direct_next, *direct_prev;
};

/* Takes `ex` and `s` (zeroed, of its user's size). It may be gone when this returns. */
void state_stream_open(struct state_streams *set, struct state_stream *s, struct master_api *api,
                       struct http_exchange *ex, const char *principal, enum api_encoding encoding,
                       const char *content_type);
/* A piece of its own (HTTP chunk or record). It may be gone afterwards. */
void state_stream_send(struct state_stream *s, const struct fl_buf *piece);
/* Where what happens is written for all of an encoding that are not in set->direct; NULL: there are none. */
struct http_cast *state_streams_cast(struct state_streams *set, enum api_encoding encoding);
void state_streams_end(struct state_streams *set, const char *why);

#endif
