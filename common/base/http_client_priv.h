/* The HTTP client's parts: calls (http_client.c), connections and parsing (http_client_conn.c). One loop's thread. */
#ifndef COMMON_BASE_HTTP_CLIENT_PRIV_H
#define COMMON_BASE_HTTP_CLIENT_PRIV_H

#define http_method http_parser_method
#include <http_parser.h>
#undef http_method

#include "common/base/http.h"

#define CLIENT_MAGIC      0x477c1001
#define CLIENT_CONN_MAGIC 0x477c1002
#define CALL_MAGIC        0x477c1003

struct client_conn;

struct http_client {
    unsigned magic;
    struct fl_loop *loop;      /* borrowed */
    struct client_conn *conns; /* all, in use or idle; doubly linked */
    struct http_call *calls;   /* doubly linked */
    unsigned n_idle;
};

struct client_conn {
    unsigned magic;
    struct http_client *client; /* borrowed */
    struct client_conn *prev, *next;
    struct fl_stream *stream; /* owned */
    char *key;                /* owned; what makes two calls share a connection */
    struct http_call *call;   /* borrowed; NULL when idle */
    http_parser parser;
    bool served;    /* has answered a call before this one */
    bool answering; /* a byte of this call's answer came */
    bool in_value;
    bool idle, eof;
    bool dead;
};

struct http_call {
    unsigned magic;
    struct http_client *client; /* borrowed */
    struct http_call *prev, *next;
    struct client_conn *conn; /* borrowed */
    struct http_call_ops ops;
    void *arg;
    struct http_call_config
        cfg; /* its pointers are replaced by the owned copies below, or dropped */
    char *host, *unix_path, *bind_ip, *key, *what; /* owned */
    struct fl_buf request;                         /* owned; head and body, kept for a second try */
    bool head_only;
    bool body_open; /* http_call_end_body() is still to come */
    bool retried, done;
    struct fl_timer *timer; /* owned */

    struct fl_buf text;          /* owned; header names and values */
    struct http_header *headers; /* owned */
    size_t n_headers, cap_headers;
    bool headers_done;
    struct fl_buf body; /* owned */
    struct http_client_response response;
    struct fl_err fail; /* why the parser was stopped */
};

/* Starts the call on an idle connection or a new one. */
int client_conn_start(struct http_call *c, bool fresh, struct fl_err *err);
void client_conn_close(struct client_conn *conn);
/* Ends the call with on_done; err NULL means the response is whole. */
void call_done(struct http_call *c, const struct fl_err *err);

#endif
