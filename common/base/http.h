/* HTTP/1.1, server and client.
 *
 * Server threads. A server is created on an owner loop. With io_threads = 0 connections live on that loop; with N > 0
 * they live on N threads of their own, which read, decrypt, parse, run `decode` hooks, compress and write. Handlers
 * always run on the owner loop, one request at a time, so logic needs no lock. A `struct http_exchange` may be
 * answered from any callback on the owner loop, at once or later; answers leave in the order of requests (pipelining).
 *
 * Limits (http_limits) close or answer: header too large 431, body too large 413, too many connections 503 and close,
 * idle or slow connections closed, unsent bytes of a stream over the limit: connection closed, on_gone called.
 * Each has a counter in http_counters.
 */
#ifndef COMMON_BASE_HTTP_H
#define COMMON_BASE_HTTP_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/loop.h"
#include "common/base/stream.h"

struct http_server;
struct http_exchange;
struct fl_tls;

enum http_method {
    HTTP_M_GET,
    HTTP_M_HEAD,
    HTTP_M_POST,
    HTTP_M_PUT,
    HTTP_M_DELETE,
    HTTP_M_PATCH,
    HTTP_M_OPTIONS,
    HTTP_M_OTHER,
};

struct http_header {
    const char *name, *value; /* borrowed from the request */
};

/* A whole request; lives until the exchange is answered. Strings are terminated. */
struct http_request {
    enum http_method method;
    const char *method_name;
    const char *target;    /* as sent */
    const char *path;      /* percent-decoded, without query; always begins with '/' */
    const char *path_rest; /* what follows the route's path after prefix routing: "" or "/x/y" */
    const char *query;     /* raw, "" when none */
    const struct http_header *headers;
    size_t n_headers;
    const char *body; /* terminated by an extra NUL, may hold others */
    size_t body_len;
    const char *peer;  /* "ip:port" */
    const char *local; /* "ip:port" of our end */
    void *decoded;     /* what the route's decode hook returned; freed by its free hook */
    struct fl_arena
        *arena; /* for the decode hook: lives as long as the request; NULL when it has none */
    struct fl_err decode_err;
    bool tls;
};
/* Case-insensitive; NULL when absent. Of several of one name the last, as the reference has it (libprocess decoder.hpp). */
const char *http_request_header(const struct http_request *r, const char *name);
/* A query (or form) parameter, decoded into heap memory; NULL when absent. */
char *http_query_get(const char *query, const char *name);

/* ---- routes ---- */
typedef void http_handler_f(struct http_exchange *ex, void *arg);

/* Longest-prefix routing on whole path tokens: "/state" also serves "/state/", "/state/x" (path_rest "/x") unless
 * a longer route fits; "/state.json" is served by "/state" when the row allows the alias. Every route answers also
 * below the process id prefix of the server: "/master/state", "/slave(1)/state" ("/slave%281%29/..." as well). */
struct http_route {
    const char *path;
    http_handler_f *handler;
    bool json_alias;  /* "/x.json" */
    bool exact;       /* no deeper paths: 404 */
    bool stream_body; /* handler is called when the headers are complete; body by http_on_body() */
    bool side_body;   /* the same for a handler that ends with http_side_move(): the body waits */
    const char *stream_type; /* the same, for requests of this Content-Type only; or NULL */
    /* Runs on the I/O thread when the body is complete, for parsing off the owner's thread. Its result is
     * request.decoded; on failure it returns NULL and fills err, kept in request.decode_err. Optional.
     * decoded_free runs on either thread. */
    void *(*decode)(const struct http_request *r, struct fl_err *err);
    void (*decoded_free)(void *decoded);
    const char *help;  /* one line for /help and the documents */
    const char *realm; /* who must authenticate (http_auth.h); NULL: open to all */
    /* Not looked at by the server, but by the daemon's config.before: */
    bool leader_only; /* who does not lead sends clients to who does */
    bool rules_get;   /* with access rules only GET is served */
};

struct http_limits {
    size_t max_header;         /* bytes; 64 KiB, at most 80 */
    size_t max_body;           /* bytes; 64 MiB */
    unsigned max_connections;  /* 20000 */
    unsigned header_timeout_s; /* first byte of a request to its last header; 30 */
    unsigned body_timeout_s;   /* without progress of the body; 60 */
    unsigned idle_timeout_s;   /* between requests; 600 */
    size_t max_unsent;         /* bytes queued to a slow reader before it is cut off; 64 MiB */
    size_t gzip_min;           /* answers this long are compressed if asked; 1024. 0 = never */
    unsigned max_pipelined;    /* requests of a connection waiting for their answers; 64 */
    size_t max_ahead;          /* bytes of their bodies, above which no other is read; 1 MiB */
};
extern const struct http_limits http_limits_default;

struct http_server_config {
    const char *ip;         /* "0.0.0.0" */
    uint16_t port;          /* 0 picks one */
    const char *process_id; /* "master", "slave(1)" */
    unsigned io_threads;
    struct http_limits limits;
    struct fl_tls *tls;              /* borrowed; NULL = plain */
    const struct http_route *routes; /* borrowed for the server's life */
    size_t n_routes;
    void *arg;                /* for handlers */
    http_handler_f *fallback; /* no route fits; NULL = 404 */
    /* Looks at a request before its handler, on the owner loop (authentication, firewall, ...); returns true when it
     * has answered. Optional. */
    bool (*before)(struct http_exchange *ex, void *arg);
    /* Told of every answer, on the owner loop: the route (NULL: none), and the time since the request was whole. Optional. */
    void (*answered)(const struct http_route *route, int status, uint64_t us, void *arg);
    /* Each I/O thread gets a file table of its own, so that the process may have more connections than RLIMIT_NOFILE says; more
     * threads are started when all tables are nearly full and there are fewer requests' connections than max_connections. Then what runs on I/O threads
     * (decoders, releases of regions, http_upgrade() with no loop) uses no descriptor that was made elsewhere, and wakes no loop but
     * the owner's; http_upgrade() to another loop is not possible. Needs io_threads. */
    bool own_files;
};

struct http_counters {
    uint64_t connections, requests, responses_5xx, refused_connections, bad_requests, too_large,
        slow_closed, overrun_closed, open_connections, bytes_in, bytes_out;
    /* With own_files: */
    uint64_t sockets;        /* open now, with those that switched protocol */
    unsigned io_threads;     /* now */
    unsigned full_tables;    /* now */
    uint64_t tables_filled;  /* times that one became full */
    unsigned failed_threads; /* that could not be started */
    uint64_t waiting;        /* requests that are read, and not yet seen by a handler */
    uint64_t
        io_delay_us; /* how late the latest timer of an I/O thread came: the worst of the threads */
    uint64_t io_delay_max_us; /* within the last one to two minutes */
    uint64_t reads_paused;    /* times that a connection was not read, for its requests waited */
    uint64_t
        wait_max_us; /* of a request, from being read to its handler; the last one to two minutes */
};

int http_server_new(struct fl_loop *owner, const struct http_server_config *c,
                    struct http_server **ret_server, struct fl_err *err);
uint16_t http_server_port(const struct http_server *s);
void http_server_counters(const struct http_server *s, struct http_counters *out);
/* Stops listening, lets answers under way finish for at most grace_ms, then closes all and calls done. */
void http_server_drain(struct http_server *s, unsigned grace_ms, fl_callback_f *done, void *arg);
/* Closes all at once. No on_gone follows; exchanges and streams that are still held may be answered, written to or
 * ended afterwards (nothing is sent), and must be, for that frees them. */
void http_server_free(struct http_server *s);

/* ---- answering (owner loop) ---- */

/* What errors and other plain answers are sent as. */
#define HTTP_TEXT "text/plain; charset=utf-8"

const struct http_request *http_exchange_request(const struct http_exchange *ex);
bool http_exchange_threaded(
    const struct http_exchange *ex); /* its connection is on an I/O thread */
struct fl_loop *http_exchange_loop(const struct http_exchange *ex);
const struct http_route *http_exchange_route(const struct http_exchange *ex); /* NULL: none fits */
/* Who sent the request, or NULL when nobody was authenticated; lives as long as the exchange. */
struct http_principal;
const struct http_principal *http_exchange_principal(const struct http_exchange *ex);
void http_exchange_set_principal(struct http_exchange *ex, struct http_principal *p); /* takes it */
/* Before the answer: adds a header. */
void http_exchange_add_header(struct http_exchange *ex, const char *name, const char *value);
/* Whole answer. content_type NULL with an empty body sends no Content-Type at all (clients depend on it).
 * The body's memory is taken. The exchange is gone afterwards. */
void http_respond_buf(struct http_exchange *ex, int status, const char *content_type,
                      struct fl_buf *body);
/* The same with a body that others may be sending, too; takes a reference of its own and never copies it. `gzipped`: it is compressed
 * already (only for a client that http_exchange_takes_gzip()); otherwise it goes out as it is. */
void http_respond_region(struct http_exchange *ex, int status, const char *content_type,
                         struct fl_region *body, bool gzipped);
/* Whether an answer of `len` bytes to this client would be compressed. */
bool http_exchange_takes_gzip(const struct http_exchange *ex, size_t len);
void http_respond(struct http_exchange *ex, int status, const char *content_type, const char *body);
void http_respondf(struct http_exchange *ex, int status, const char *content_type, const char *fmt,
                   ...) _printf_(4, 5);
/* The status of err->reason with the message as text/plain. */
void http_respond_err(struct http_exchange *ex, const struct fl_err *err);
/* The function that ?jsonp= names (heap), or NULL. False: it is no name, and 400 was answered. */
bool http_exchange_jsonp(struct http_exchange *ex, char **ret_callback);
/* JSON answer, wrapped by ?jsonp= when the query asks for it (then text/javascript). Takes the memory. */
void http_respond_json(struct http_exchange *ex, int status, struct fl_buf *body);

/* Streaming answer (always chunked, even with Connection: close). Turns the exchange into a stream that lives until
 * http_stream_end() or on_gone. */
struct http_stream;
typedef void http_gone_f(struct http_stream *st, void *arg);
struct http_stream *http_respond_stream(struct http_exchange *ex, int status,
                                        const char *content_type, http_gone_f *on_gone, void *arg);
/* Sends bytes as exactly one HTTP chunk. False when the client is too slow: the stream is over max_unsent and
 * is being closed; on_gone follows. */
bool http_stream_write(struct http_stream *st, const void *p, size_t n);
bool http_stream_write_buf(struct http_stream *st, struct fl_buf *b); /* takes the memory */
/* Of any size, shared with others; a reference of its own. It is not counted to max_unsent. */
void http_stream_write_region(struct http_stream *st, struct fl_region *r);
/* The same for a RecordIO record ("<length>\n<bytes>"), which becomes one chunk: one that is there, or one that is written in place.
 * http_stream_begin() gives the buffer to append it to, or NULL when nobody listens any more; http_stream_end_record() must
 * follow before anything else is written to this stream. */
bool http_stream_write_record(struct http_stream *st, const void *p, size_t n);
struct fl_buf *http_stream_begin(struct http_stream *st);
bool http_stream_end_record(struct http_stream *st);
/* Instead of the server's max_unsent; before anything is written. */
void http_stream_set_max_unsent(struct http_stream *st, size_t n);
size_t http_stream_unsent(const struct http_stream *st);
/* In on_gone: it was closed because its client was too slow. */
bool http_stream_overran(const struct http_stream *st);
const char *http_stream_peer(const struct http_stream *st); /* "ip:port" */
/* Bytes that left so far, about: what is on its way between the threads may be counted early. */
uint64_t http_stream_taken(const struct http_stream *st);
/* Called once when unsent falls to zero after having been over `low`. Optional back-pressure. */
void http_stream_on_drained(struct http_stream *st, void (*fn)(struct http_stream *st, void *arg));
void http_stream_end(struct http_stream *st); /* last chunk; no on_gone afterwards */
/* The same, and the connection ends when all is sent, or 30 s later. */
void http_stream_end_and_close(struct http_stream *st);
void http_stream_abort(struct http_stream *st); /* closes the connection; no on_gone afterwards */

/* Streaming request body, for routes with stream_body: fn gets each piece; (NULL, 0) at the end, and
 * (NULL, SIZE_MAX) when the client went away first. */
typedef void http_body_f(struct http_exchange *ex, const char *p, size_t n, void *arg);
void http_on_body(struct http_exchange *ex, http_body_f *fn, void *arg);
/* No more pieces until http_on_body() is called again; the client's connection is not read when some wait. From within fn, too. What
 * becomes of the client is told then. */
void http_hold_body(struct http_exchange *ex);

/* Protocol switch (426 when the request does not ask for one): answers 101 with `protocol` and hands the connection over as a stream ON `loop` (which may be
 * another thread's: `taken` runs there). NULL: on the loop that it is on, which is an I/O thread's when the server has such; who takes it
 * there must let go of it when that loop ends (fl_loop_at_end()). The exchange is gone. */
typedef void http_taken_f(struct fl_stream *s, void *arg);
void http_upgrade(struct http_exchange *ex, const char *protocol, struct fl_loop *loop,
                  http_taken_f *taken, void *arg);
/* The same; `never` is called instead of `taken`, on either thread, when the client goes away first. */
void http_upgrade_or(struct http_exchange *ex, const char *protocol, struct fl_loop *loop,
                     http_taken_f *taken, void (*never)(void *arg), void *arg);
bool http_exchange_asks_upgrade(const struct http_exchange *ex);

/* ---- client ---- */
struct http_client; /* connections of one loop, keep-alive per host:port */
struct http_call;   /* one request under way */

struct http_client_response {
    int status;
    const struct http_header *headers;
    size_t n_headers;
    const char *body; /* whole-body calls only */
    size_t body_len;
};
const char *http_response_header(const struct http_client_response *r, const char *name);

struct http_call_ops {
    /* Headers are here (streaming calls only). */
    void (*on_headers)(struct http_call *c, const struct http_client_response *r, void *arg);
    /* A piece of the body (streaming calls only). */
    void (*on_data)(struct http_call *c, const char *p, size_t n, void *arg);
    /* The end, once: r NULL and err set on failure; err->reason FL_CLOSED when a stream was cut. The call is
     * freed afterwards. */
    void (*on_done)(struct http_call *c, const struct http_client_response *r,
                    const struct fl_err *err, void *arg);
    /* All of the request, as far as it was written, has left (optional). */
    void (*on_sent)(struct http_call *c, void *arg);
};
struct http_call_config {
    const char *method; /* "GET" */
    const char *host;
    uint16_t port;
    const char *unix_path; /* instead of host and port */
    const char *path;      /* with query */
    const struct http_header *headers;
    size_t n_headers;
    const void *body;
    size_t body_len;
    bool chunked_body;       /* more by http_call_write(), until http_call_end_body() */
    bool streaming;          /* on_headers/on_data instead of one body at the end */
    bool own_connection;     /* do not share a kept-alive connection */
    unsigned timeout_s;      /* whole-body calls: for all; streaming: for the headers. 0 = 60 */
    unsigned idle_timeout_s; /* streaming: without a byte; 0 = never */
    size_t max_body;         /* 64 MiB */
    struct fl_tls *tls;
    const char *bind_ip; /* source address or NULL */
};
struct http_client *http_client_new(struct fl_loop *loop);
void http_client_free(struct http_client *c); /* cancels calls, without callbacks */
int http_client_call(struct http_client *c, const struct http_call_config *cfg,
                     const struct http_call_ops *ops, void *arg, struct http_call **ret_call,
                     struct fl_err *err);
void http_call_write(struct http_call *c, const void *p, size_t n); /* one chunk */
void http_call_end_body(struct http_call *c);
size_t http_call_unsent(const struct http_call *c); /* of what was written, bytes that still wait */
void http_call_cancel(struct http_call *c);         /* no callback follows */
/* Streaming calls: the answer is not read for now, but for what came already. */
void http_call_pause(struct http_call *c, bool pause);

/* Splits "http://host:port/path", "//host:port", "host:port" or "[::1]:5050". */
int http_parse_host_port(const char *s, uint16_t default_port, char **ret_host, uint16_t *ret_port,
                         struct fl_err *err);

#endif
