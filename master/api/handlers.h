/* The handlers that routes.def names, and what they share. */
#ifndef MASTER_API_HANDLERS_H
#define MASTER_API_HANDLERS_H

#include "common/model/plain_http.h"
#include "master/api/api.h"

/* Who must authenticate is the realm of a route. Without one of the four below it is the one for what changes something, so that a row that
 * says nothing is closed, not open. */
enum {
    ROUTE_JSON_ALIAS = 1,
    ROUTE_EXACT = 2,
    ROUTE_OPEN = 4,       /* no realm */
    ROUTE_READONLY = 8,   /* --authenticate_http_readonly */
    ROUTE_FRAMEWORK = 16, /* --authenticate_http_frameworks */
    ROUTE_AGENT = 32,     /* --authenticate_agents */
    ROUTE_LEADER = 64,    /* only the leader answers; others redirect to it */
    ROUTE_OWN =
        128, /* its first token names a process, as in the reference, so "/master" does not belong before it */
    ROUTE_FILTERED = 256, /* shows what the caller may see (VIEW_* rules) */
    ROUTE_GET = 512,      /* with access rules only GET is served */
    ROUTE_SIDE = 1024,    /* ends with http_side_move() */
};
#define ROUTE_REALM(opts)                                                                          \
    ((opts)&ROUTE_OPEN        ? NULL                                                               \
     : (opts)&ROUTE_READONLY  ? REALM_READONLY                                                     \
     : (opts)&ROUTE_FRAMEWORK ? REALM_FRAMEWORK                                                    \
     : (opts)&ROUTE_AGENT     ? REALM_AGENT                                                        \
                              : REALM_READWRITE)
#define REALM_READONLY  "mesos-master-readonly"
#define REALM_READWRITE "mesos-master-readwrite"
#define REALM_FRAMEWORK "mesos-master-scheduler"
#define REALM_AGENT     "fairlead-master-agent" /* ours: the upgrade to the agents' protocol */

#define ROUTE(path, handler, decode, flags, help) http_handler_f handler;
#include "master/api/routes.def"
#undef ROUTE
void *scheduler_decode(const struct http_request *r, struct fl_err *err);
void *operator_decode(const struct http_request *r, struct fl_err *err);

/* True when it answered, 503: before the registry has been read there is nothing to show or change. */
bool api_refuse_unrecovered(struct http_exchange *ex, const struct master_api *api);

/* The server's fallback: the page at "/", 404 elsewhere. */
http_handler_f page_get;

/* For http_server_config.before: true when it answered, because of the guard or because another master leads. */
bool api_before(struct http_exchange *ex, void *master_api);
/* Sends the client to the same place at the leader; 503 when nobody leads. */
void api_redirect(struct http_exchange *ex, const struct master_api *api);

/* The web page's events (page_stream.c). */
void page_metrics(struct master_api *api); /* at the start: makes it */
void page_stop(struct master_api *api);    /* ends the streams */
void page_free(struct master_api *api);    /* when no connection is left */

/* FL_NOT_FOUND, FL_FORBIDDEN. */
int api_teardown(struct master_api *api, const char *principal, const char *framework_id,
                 struct fl_err *err);

/* Opens the event stream of the operator API on a SUBSCRIBE that passed all checks. */
void operator_subscribe(struct http_exchange *ex, struct master_api *api, const char *principal,
                        enum api_encoding encoding);

#endif
