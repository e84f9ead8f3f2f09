/* The handlers that routes.def names, and what they share. */
#ifndef AGENT_API_HANDLERS_H
#define AGENT_API_HANDLERS_H

#include "agent/api/api.h"
#include "agent/api/viewer.h"
#include "common/model/plain_http.h"

/* Who must authenticate is the realm of a route. Without one of the three below it is the one for what changes something, so that a row
 * that says nothing is closed, not open. */
enum {
    AGENT_ROUTE_JSON_ALIAS = 1,
    AGENT_ROUTE_EXACT = 2,
    AGENT_ROUTE_OPEN = 4,      /* no realm */
    AGENT_ROUTE_READONLY = 8,  /* --authenticate_http_readonly */
    AGENT_ROUTE_EXECUTOR = 16, /* --authenticate_http_executors */
    AGENT_ROUTE_RECORDIO = 32, /* a body of records is taken as it comes */
    AGENT_ROUTE_OWN =
        64, /* its first token names a process, as in the reference, so "/slave(1)" does not belong before it */
    AGENT_ROUTE_FILTERED = 128, /* shows what the caller may see (VIEW_* rules) */
    AGENT_ROUTE_GET = 256,      /* with access rules only GET is served */
};
#define AGENT_ROUTE_REALM(opts)                                                                    \
    ((opts)&AGENT_ROUTE_OPEN       ? NULL                                                          \
     : (opts)&AGENT_ROUTE_READONLY ? AGENT_REALM_READONLY                                          \
     : (opts)&AGENT_ROUTE_EXECUTOR ? AGENT_REALM_EXECUTOR                                          \
                                   : AGENT_REALM_READWRITE)

#define ROUTE(path, handler, decode, flags, help) http_handler_f handler;
#include "agent/api/routes.def"
#undef ROUTE
void *agent_executor_decode(const struct http_request *r, struct fl_err *err);
void *agent_operator_decode(const struct http_request *r, struct fl_err *err);

/* ---- nested.c: calls about nested and standalone containers ---- */
/* What the message alone tells; 0 for every other call. */
int agent_container_check(const Aapi__Call *c, struct fl_err *err);
int agent_container_id_check(const V1__ContainerID *id, const char *field, struct fl_err *err);
/* Answers, now or later, or fails. */
int agent_container_call(struct http_exchange *ex, struct agent_api *api, const Aapi__Call *c,
                         enum api_encoding encoding, struct fl_err *err);
/* Which rules a call is subject to: for what is below a container, asked about the user of its executor, and for what has no parent.
 * `command`, unless NULL, is also asked about by its user. */
struct agent_container_acl {
    enum acl_action nested, standalone, as_user;
    const V1__CommandInfo *command;
};
int agent_container_allowed(const struct agent_api *api, const struct http_exchange *ex,
                            const char *id, const struct agent_container_acl *acl,
                            struct fl_err *err);

/* ---- providers.c: calls about resource providers; the check as agent_container_check() ---- */
int agent_provider_check(const Aapi__Call *c, struct fl_err *err);
int agent_provider_call(const Aapi__Call *c, struct fl_err *err);

/* ---- attach.c: standard input and output ---- */
struct agent_stream_type {
    enum api_encoding encoding; /* of the records */
    bool recordio;              /* said to be that, not by the records' own type */
};
bool agent_is_recordio(const struct http_request *r);
/* What the client accepts as a stream; negative when it has been told that it cannot have it. */
int agent_stream_accept(struct http_exchange *ex, struct agent_stream_type *ret);
int agent_attach_output(struct http_exchange *ex, struct agent_api *api, const Aapi__Call *call,
                        const struct agent_stream_type *type, struct fl_err *err);
int agent_session(struct http_exchange *ex, struct agent_api *api, const Aapi__Call *call,
                  const struct agent_stream_type *type, struct fl_err *err);
/* A request whose body is a stream of calls: it is here when its head is. */
void agent_attach_input(struct http_exchange *ex, struct agent_api *api);

/* ---- read_log.c: the log of the agent, or the output of a container ---- */
int agent_read_log(const struct agent_api *api, const struct agent_viewer *v,
                   const Aapi__Call__ReadLog *c, struct fl_arena *arena,
                   Aapi__Response__ReadLog **ret, struct fl_err *err);

/* Measures a container now, in the arena; NULL when that cannot be. Answers show what usage_round.h has read. */
V1__ResourceStatistics *agent_api_container_statistics(const struct agent_core *a, const char *id,
                                                       struct fl_arena *arena);
V1__ContainerStatus *agent_api_container_status(const struct agent_executor *e,
                                                struct fl_arena *arena);

/* The parts of GET_STATE and its kin (operator_views.c) that the caller sees, in the arena. */
Aapi__Response__GetFrameworks *agent_view_frameworks(const struct agent_core *a,
                                                     const struct agent_viewer *v,
                                                     struct fl_arena *arena);
Aapi__Response__GetExecutors *agent_view_executors(const struct agent_core *a,
                                                   const struct agent_viewer *v,
                                                   struct fl_arena *arena);
Aapi__Response__GetTasks *agent_view_tasks(const struct agent_core *a, const struct agent_viewer *v,
                                           struct fl_arena *arena);
/* Within a usage_ready_f. */
Aapi__Response__GetContainers *agent_view_containers(const struct agent_api *api,
                                                     const struct agent_viewer *v, bool nested,
                                                     bool standalone, struct fl_arena *arena);

#endif
