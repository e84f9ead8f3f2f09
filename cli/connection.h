/* Asking daemons, waiting for their answers. The master is the leader among those that are named: they are tried in turn, redirections
 * are followed. Agents are asked at their own address, or through the master (`/agent/<id>/...`). */
#ifndef CLI_CONNECTION_H
#define CLI_CONNECTION_H

#include "cli/cli.h"
#include "common/base/http.h"

struct address {
    char *host; /* owned */
    uint16_t port;
    bool tls;
};
void address_done(struct address *a);
/* "host:port", "http://host:port", "https://host:port"; without a scheme as `tls` says. */
int address_parse(const char *text, uint16_t default_port, bool tls, struct address *ret,
                  struct fl_err *err);

/* A daemon that can be asked. */
struct peer {
    struct address at;
    char *prefix; /* before paths: "" or "/agent/<id>"; owned */
    char *name;   /* for messages: "the agent at 'host:port'"; owned */
};
void peer_done(struct peer *p);
#define _cleanup_peer_ _cleanup_(peer_done)

/* From options, environment and configuration file. On failure *ret_code has been said. */
int connection_new(struct cli *c, struct connection **ret, int *ret_code);
void connection_free(struct connection *n);
const char *connection_masters(const struct cli *c);   /* as they were named */
const char *connection_principal(const struct cli *c); /* or NULL */
const char *connection_secret(const struct cli *c);    /* or NULL */
/* The leader, which is asked for when it is not known yet; "host:port" of it. */
int connection_leader(struct cli *c, const struct peer **ret, struct fl_err *err);
void connection_forget_leader(struct cli *c);
char *address_text(const struct address *a);

/* The headers of a request in that encoding; returns how many. Borrowed until the program ends. */
size_t cli_headers(const struct cli *c, const char *encoding, struct http_header headers[3]);
/* Fills host, port and TLS of a call. */
void cli_fill_call(const struct cli *c, const struct peer *p, struct http_call_config *cfg);

struct answer {
    int status;
    char *body; /* owned, terminated */
    size_t len;
};
void answer_done(struct answer *a);
#define _cleanup_answer_ _cleanup_(answer_done)

/* 0 whatever the status is. */
int cli_peer_request(struct cli *c, const struct peer *p, const char *method, const char *path,
                     const char *body, unsigned timeout_s, struct answer *ret, struct fl_err *err);
int cli_request(struct cli *c, const char *method, const char *path, const char *body,
                struct answer *ret, struct fl_err *err);
/* The error that a status means, with the daemon's own words. */
int cli_status_err(const struct answer *a, const char *who, const char *what, struct fl_err *err);
/* GET and parse; any status but 200 is an error. p NULL: the master. */
int cli_get_json(struct cli *c, const struct peer *p, const char *path, json_t **ret,
                 struct fl_err *err);
/* GETs `path` and hands its member `key` (an array) to the caller, who owns *ret. CLI_OK, or a code after having said why. */
int cli_get_list(struct cli *c, const char *path, const char *key, json_t **ret);
/* A call of the v1 operator API: {"type": type, key: body}; `body` is taken, and may be NULL. CLI_OK, or a code after having said why; the
 * answer's member `ret_key` (NULL: none is wanted) to the caller, who owns it. */
int cli_call(struct cli *c, const char *type, const char *key, json_t *body, const char *ret_key,
             json_t **ret);

/* How an agent is asked: at its address if it answers there, else, or with --via-master, through the master. */
int cli_agent_peer(struct cli *c, const char *agent_id, const char *agent_address, struct peer *ret,
                   struct fl_err *err);
int peer_direct(struct cli *c, const char *address, struct peer *ret, struct fl_err *err);
int peer_via_master(struct cli *c, const char *agent_id, struct peer *ret, struct fl_err *err);

/* "name=value" with '&' or '?' before it, the value percent-encoded. */
void query_add(struct fl_buf *path, const char *name, const char *value);

#endif
