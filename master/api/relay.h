/* The relay: a request below /agent/<agent id>/ is passed on to that agent, for browsers and tools that reach the master only.
 *
 * The core's thread looks at the path, who asks, and where the agent is (relay.c); all bytes move on the I/O thread of the client's
 * connection (relay_pipe.c, shell.c), each relay with a connection of its own to the agent. What is held of a relay is bounded both
 * ways: who is not read by the other side is not read by us. */
#ifndef MASTER_API_RELAY_H
#define MASTER_API_RELAY_H

#include <stdatomic.h>

#include "common/base/http_side.h"
#include "master/flags.h"

struct fl_tls;
struct metrics;

/* Lives longer than the HTTP server's threads. */
struct relay_service {
    bool enabled;
    unsigned max;
    uint64_t begin_us;  /* an agent has to begin its answer */
    uint64_t idle_us;   /* without a byte that moved */
    struct fl_tls *tls; /* borrowed; or NULL */
    _Atomic unsigned active;
    _Atomic uint64_t refused, failed;
};

/* tls: for connections to agents, borrowed; NULL when the cluster has none. */
struct relay_service *relay_service_new(const struct master_flags *flags, struct fl_tls *tls,
                                        struct metrics *metrics);
void relay_service_free(
    struct relay_service *s); /* after the HTTP server, and after the metrics' last reader */

/* Where a relay goes; it counts as active as long as it is there. Any thread. */
struct relay_target {
    struct relay_service *service; /* borrowed */
    char *agent_id, *host;
    uint16_t port;
};
void relay_target_done(struct relay_target *t);
/* "Agent 'ID' at host:port" */
char *relay_target_name(const struct relay_target *t);

/* Passes the exchange on as `path`, with its own query; takes the target. */
void relay_pipe(struct http_exchange *ex, const struct relay_target *t, const char *path);

/* A WebSocket to a shell: a command with a terminal beside a task, in its container. What becomes of it is told on the WebSocket. */
struct shell_request {
    struct relay_target target; /* owned */
    char *authorization;        /* owned; the caller's, or NULL */
    char *container_id;         /* owned; dotted, the last part is the new one's */
    char *command;              /* owned; for /bin/sh -c */
    unsigned rows, columns;     /* 0: not known */
};
/* After websocket_refused(). Takes the request. */
void shell_open(struct http_exchange *ex, struct shell_request *r);

/* Whether a header of a request goes on to the agent. For tests, too. */
bool relay_passes_request_header(const struct http_request *r, const struct http_header *h);
bool relay_passes_answer_header(const char *name);
/* The path at the agent that `rest` ("/files/read") may be relayed as, and whether reading it changes nothing; NULL: it may not. */
const char *relay_path(const char *rest, bool *ret_reads);

#endif
