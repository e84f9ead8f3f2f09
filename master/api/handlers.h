/* The handlers that routes.def names, and what they share. */
#ifndef MASTER_API_HANDLERS_H
#define MASTER_API_HANDLERS_H

#include "common/model/plain_http.h"
#include "master/api/api.h"

enum { ROUTE_JSON_ALIAS = 1, ROUTE_EXACT = 2 };

#define ROUTE(path, handler, decode, flags, help) http_handler_f handler;
#include "master/api/routes.def"
#undef ROUTE
void *scheduler_decode(const struct http_request *r, struct fl_err *err);
void *operator_decode(const struct http_request *r, struct fl_err *err);

/* The server's fallback: the page at "/", 404 elsewhere. */
http_handler_f page_get;

/* One task as the older endpoints show it. */
void legacy_task(struct json_out *j, const struct task *t);

/* The GetState message as JSON, empty lists written. */
void operator_state_json(struct json_out *j, const Mapi__Response__GetState *s);
/* Opens the event stream of the operator API on a SUBSCRIBE that passed all checks. */
void operator_subscribe(struct http_exchange *ex, struct master_api *api,
                        enum api_encoding encoding);

#endif
