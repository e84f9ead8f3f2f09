/* See websocket.h. wslay reads and writes frames; bytes come from the stream's view and go to its output, so that a frame that is not
 * whole waits in wslay, and a message in parts up to max_message. */
#include "common/base/websocket.h"

#include <errno.h>
#include <strings.h>

#include <openssl/evp.h>
#include <wslay/wslay.h>

#include "common/base/base64.h"

#define WEBSOCKET_MAGIC 0x3eb50c01
/* Above it the peer is not read: it makes us answer pings and does not read them. */
#define UNSENT_MAX ((size_t)4 << 20)
#define VERSION    "13"
#define KEY_LEN    16
#define MAX_REASON 120 /* of a close frame, with its code, 125 */

/* ---- handshake ---- */

int websocket_answer_key(const char *key, char ret[WEBSOCKET_KEY])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    uint8_t bytes[KEY_LEN + 8], digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    size_t n = 0;

    if (strlen(key) != 24 || json_base64_decode(key, 24, bytes, &n) < 0 || n != KEY_LEN)
        return -EINVAL;
    fl_buf_adds(&text, key);
    fl_buf_adds(&text, guid);
    if (EVP_Digest(text.data, text.len, digest, &digest_len, EVP_sha1(), NULL) != 1)
        return -EINVAL;
    fl_buf_clear(&text);
    json_text_base64(&text, digest, digest_len);
    memcpy(ret, text.data + 1, WEBSOCKET_KEY - 1); /* without its quotes */
    ret[WEBSOCKET_KEY - 1] = '\0';
    return 0;
}

bool websocket_same_origin(const char *origin, const char *host)
{
    const char *at = origin ? strstr(origin, "://") : NULL;

    if (!origin)
        return true;
    return at && host && strcasecmp(at + 3, host) == 0;
}

static bool names_websocket(const char *list)
{
    static const char word[] = "websocket";

    for (const char *p = list; p && *p; p += strcspn(p, ",")) {
        p += strspn(p, ", \t");
        size_t n = strcspn(p, ", \t");
        if (n == sizeof(word) - 1 && strncasecmp(p, word, n) == 0)
            return true;
    }
    return false;
}

bool websocket_refused(struct http_exchange *ex)
{
    const struct http_request *r = http_exchange_request(ex);
    const char *key = http_request_header(r, "Sec-WebSocket-Key");
    const char *version = http_request_header(r, "Sec-WebSocket-Version");
    char answer[WEBSOCKET_KEY];

    if (r->method != HTTP_M_GET || http_request_header(r, "Content-Length") ||
        http_request_header(r, "Transfer-Encoding") || !http_exchange_asks_upgrade(ex) ||
        !names_websocket(http_request_header(r, "Upgrade"))) {
        http_respond(ex, 400, HTTP_TEXT,
                     "This is a WebSocket: GET with 'Connection: Upgrade' and 'Upgrade: "
                     "websocket'\n");
    } else if (!version || !streq(version, VERSION)) {
        http_exchange_add_header(ex, "Sec-WebSocket-Version", VERSION);
        http_respond(ex, 426, HTTP_TEXT, "Sec-WebSocket-Version must be " VERSION "\n");
    } else if (!key || websocket_answer_key(key, answer) < 0) {
        http_respond(ex, 400, HTTP_TEXT, "Sec-WebSocket-Key must be 16 bytes in base64\n");
    } else if (!websocket_same_origin(http_request_header(r, "Origin"),
                                      http_request_header(r, "Host"))) {
        http_respond(ex, 403, HTTP_TEXT,
                     "A page of another host sent this: 'Origin' is not this 'Host'\n");
    } else {
        return false;
    }
    return true;
}

void websocket_accept(struct http_exchange *ex, http_taken_f *taken, void (*never)(void *arg),
                      void *arg)
{
    const char *key = http_request_header(http_exchange_request(ex), "Sec-WebSocket-Key");
    char answer[WEBSOCKET_KEY] = "";

    websocket_answer_key(key, answer);
    http_exchange_add_header(ex, "Sec-WebSocket-Accept", answer);
    http_upgrade_or(ex, "websocket", NULL, taken, never, arg);
}

/* ---- connection ---- */

struct websocket {
    unsigned magic;
    struct fl_stream *stream;   /* owned */
    struct fl_loop *loop;       /* borrowed */
    wslay_event_context_ptr ws; /* owned */
    struct fl_timer *ping;      /* owned */
    struct websocket_limits limits;
    const struct websocket_ops *ops;
    void *arg;
    bool pumping; /* wslay is on the stack */
    bool paused;  /* by the owner */
    bool full;    /* by us: the peer does not read */
    bool closing; /* by the owner: a close frame is queued */
    bool ending;  /* the close frame is on its way out */
    bool over;    /* closed() was called */
    bool dead;    /* freed */
};

static ssize_t recv_bytes(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags,
                          void *arg)
{
    struct websocket *w = FL_CAST(websocket, WEBSOCKET_MAGIC, arg);
    size_t n = 0;
    const char *p = w->dead ? "" : fl_stream_peek(w->stream, &n);

    n = FL_MIN(n, len);
    if (n == 0 || w->paused) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(buf, p, n);
    fl_stream_consume(w->stream, n);
    return (ssize_t)n;
}

static ssize_t send_bytes(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags,
                          void *arg)
{
    struct websocket *w = FL_CAST(websocket, WEBSOCKET_MAGIC, arg);

    if (!w->dead)
        fl_stream_write(w->stream, data, len);
    return (ssize_t)len;
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m,
                       void *arg)
{
    struct websocket *w = FL_CAST(websocket, WEBSOCKET_MAGIC, arg);
    bool text = m->opcode == WSLAY_TEXT_FRAME;

    if (w->closing || w->dead || !(text || m->opcode == WSLAY_BINARY_FRAME))
        return;
    w->ops->message(w, text, m->msg ? (const char *)m->msg : "", m->msg_length, w->arg);
}

static void destroy(void *arg)
{
    struct websocket *w = arg;

    wslay_event_context_free(w->ws);
    w->magic = 0;
    free(w);
}

void websocket_free(struct websocket *w)
{
    if (!w || w->dead)
        return;
    w->dead = true;
    fl_timer_free(TAKE_PTR(w->ping));
    fl_stream_free(TAKE_PTR(w->stream));
    fl_loop_defer(w->loop, destroy, w); /* wslay may be on the stack */
}

static void tell_closed(struct websocket *w)
{
    if (w->over || w->dead)
        return;
    w->over = true;
    w->ops->closed(w, w->arg);
}

static void set_reading(struct websocket *w)
{
    w->full = fl_stream_unsent(w->stream) > UNSENT_MAX;
    fl_stream_pause_read(w->stream, !w->ending && (w->paused || w->full));
}

static void end(struct websocket *w)
{
    w->ending = true;
    fl_timer_stop(w->ping);
    fl_stream_close_after_write(w->stream);
}

/* Lets out what is queued. The connection ends behind a close frame, ours or the answer to the peer's. */
static void flush(struct websocket *w)
{
    if (w->dead || w->over || w->ending)
        return;
    if (wslay_event_want_write(w->ws) && wslay_event_send(w->ws) != 0)
        abort(); /* out of memory, as in xmalloc(): the stream takes all */
    if (wslay_event_get_close_sent(w->ws))
        end(w);
    else
        set_reading(w);
}

/* wslay has no close frame with a reason for frames that it cannot even take apart. All frames before went out whole. */
static void end_broken(struct websocket *w)
{
    static const char frame[] = {(char)0x88, 2, 1002 >> 8, (char)(1002 & 0xff)};

    fl_stream_write(w->stream, frame, sizeof(frame));
    end(w);
}

static void pump(struct websocket *w)
{
    if (w->dead || w->over || w->ending || w->pumping || w->paused)
        return;
    w->pumping = true;
    int r =
        wslay_event_recv(w->ws); /* what is wrong in a frame queues the close frame that says so */
    w->pumping = false;
    if (w->dead || w->over)
        return;
    if (r != 0)
        end_broken(w);
    else
        flush(w);
}

static void on_read(struct fl_stream *s, void *arg)
{
    pump(FL_CAST(websocket, WEBSOCKET_MAGIC, arg));
}

static void on_drained(struct fl_stream *s, void *arg)
{
    struct websocket *w = FL_CAST(websocket, WEBSOCKET_MAGIC, arg);

    if (w->dead || w->over || w->ending)
        return;
    set_reading(w);
    w->ops->room(w, w->arg);
}

static void on_closed(struct fl_stream *s, const struct fl_err *why, void *arg)
{
    tell_closed(FL_CAST(websocket, WEBSOCKET_MAGIC, arg));
}

static void on_ping(void *arg)
{
    struct websocket *w = FL_CAST(websocket, WEBSOCKET_MAGIC, arg);
    const struct wslay_event_msg m = {.opcode = WSLAY_PING};

    fl_timer_set(w->ping, w->limits.ping_us);
    wslay_event_queue_msg(w->ws, &m);
    flush(w);
}

struct websocket *websocket_new(struct fl_stream *s, const struct websocket_limits *limits,
                                const struct websocket_ops *ops, void *arg)
{
    static const struct fl_stream_ops stream_ops = {
        .on_read = on_read, .on_drained = on_drained, .on_closed = on_closed};
    static const struct wslay_event_callbacks callbacks = {.recv_callback = recv_bytes,
                                                           .send_callback = send_bytes,
                                                           .on_msg_recv_callback = on_message};
    struct websocket *w = xnew0(struct websocket);

    w->magic = WEBSOCKET_MAGIC;
    w->stream = s;
    w->loop = fl_stream_loop(s);
    w->limits = *limits;
    w->ops = ops;
    w->arg = arg;
    if (wslay_event_context_server_init(&w->ws, &callbacks, w) != 0)
        abort(); /* out of memory, as in xmalloc() */
    wslay_event_config_set_max_recv_msg_length(w->ws, limits->max_message);
    w->ping = fl_timer_new(w->loop, on_ping, w);
    fl_timer_set(w->ping, limits->ping_us);
    fl_stream_set_idle_timeout(s, limits->silent_s);
    fl_stream_set_ops(s, &stream_ops, w);
    return w;
}

void websocket_send(struct websocket *w, bool text, const void *p, size_t n)
{
    const struct wslay_event_msg m = {
        .opcode = text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, .msg = p, .msg_length = n};

    if (w->dead || w->over || w->ending)
        return;
    wslay_event_queue_msg(w->ws, &m);
    if (!w->pumping)
        flush(w);
}

size_t websocket_unsent(const struct websocket *w)
{
    return w->dead ? 0 : fl_stream_unsent(w->stream);
}

void websocket_pause(struct websocket *w, bool pause)
{
    if (w->dead || w->over || w->paused == pause)
        return;
    w->paused = pause;
    set_reading(w); /* the stream shows again what it holds */
}

void websocket_close(struct websocket *w, enum websocket_code code, const char *reason)
{
    if (w->dead || w->over || w->ending || w->closing)
        return;
    w->closing = true;
    wslay_event_queue_close(w->ws, (uint16_t)code, (const uint8_t *)reason,
                            FL_MIN(strlen(reason), (size_t)MAX_REASON));
    if (!w->pumping)
        flush(w);
}
