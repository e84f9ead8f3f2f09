/* The event streams of frameworks. Records are encoded here and written as one chunk each, for there are
 * clients that take a chunk for a record. A reader too slow for the server's limit is cut off, which the
 * core hears as a closed stream. */
#include "master/api/scheduler.h"

#include <utlist.h>

#include "common/base/recordio.h"

struct sched_stream {
    struct master_api *api;
    struct http_stream *http;
    enum api_encoding encoding;
    struct sched_stream *next, *prev; /* api->sched->streams */
};

struct sched_api {
    struct sched_stream *streams;
    struct fl_buf record; /* reused */
};

struct sched_api *sched_api_new(void)
{
    return xnew0(struct sched_api);
}

static void stream_free(struct sched_stream *s)
{
    DL_DELETE(s->api->sched->streams, s);
    free(s);
}

void sched_api_close(struct sched_api *s)
{
    while (s->streams) {
        http_stream_end(s->streams->http);
        stream_free(s->streams);
    }
}

void sched_api_free(struct sched_api *s)
{
    if (!s)
        return;
    while (s->streams)
        stream_free(s->streams);
    fl_buf_done(&s->record);
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
    DL_APPEND(api->sched->streams, s);
    s->http = http_respond_stream(ex, 200, api_content_type(encoding), on_gone, s);
    return s;
}

void sched_stream_send(void *stream, const Sched__Event *ev)
{
    struct sched_stream *s = stream;
    struct fl_buf *record = &s->api->sched->record, framed = FL_BUF_INIT;

    fl_buf_clear(record);
    api_encode(record, &ev->base, s->encoding);
    recordio_add(&framed, record->data, record->len);
    http_stream_write_buf(s->http, &framed); /* too slow: on_gone follows */
}

void sched_stream_close(void *stream)
{
    struct sched_stream *s = stream;

    http_stream_end(s->http);
    stream_free(s);
}
