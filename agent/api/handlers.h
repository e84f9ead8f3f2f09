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

/* Measurements of an executor's container, in the arena; NULL when there are none. */
V1__ResourceStatistics *agent_api_statistics(const struct agent_executor *e,
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
Aapi__Response__GetContainers *agent_view_containers(const struct agent_core *a,
                                                     const struct agent_viewer *v,
                                                     struct fl_arena *arena);

#endif
