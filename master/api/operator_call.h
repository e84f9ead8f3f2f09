/* One call of the operator API (POST /api/v1) while it is served: for the files that serve calls, one room a file, each
 * function a row of operator_calls.def. Core's thread.
 */
#ifndef MASTER_API_OPERATOR_CALL_H
#define MASTER_API_OPERATOR_CALL_H

#include "master/api/handlers.h"
#include "master/api/viewer.h"

struct operator_call {
    struct http_exchange *ex;
    struct master_api *api;
    const Mapi__Call *call;     /* lives until the exchange is answered */
    enum api_encoding encoding; /* of the answer */
    struct fl_arena *arena;     /* of the call */
    const char *principal;      /* NULL: not authenticated */
    struct viewer *viewer;      /* viewer.h: what the caller may see; NULL: everything */
    Mapi__Response response;    /* type set */
};

/* Fills op->response and returns 0; or answers by itself, now or later, and returns 1; or fails (the reason says the status). */
typedef int operator_f(struct operator_call *op, struct fl_err *err);

#define OPERATOR_CALL(type, fn, answers, text) operator_f fn;
#include "master/api/operator_calls.def"
#undef OPERATOR_CALL

#define OPERATOR_NEW(op, Type, prefix) FL_ARENA_NEW((op)->arena, Type, prefix)

/* May the caller do that to `object` (NULL: it has no name)? FL_FORBIDDEN. What concerns a call as a whole (GET_FLAGS, DRAIN_AGENT, ...)
 * is a row of whole_calls[] in operator.c and need not be asked. */
int operator_check(const struct operator_call *op, enum acl_action action, const char *object,
                   struct fl_err *err);
/* Answers without a body; returns 1. */
int operator_empty(struct operator_call *op, int status);
/* An operator_done_f (master.h) that answers the exchange given as `arg`: empty with the status, or the error. For calls that
 * wait for the registry: pass op->ex, return 1. */
void operator_answer(void *exchange, int status, const struct fl_err *err_or_null);

#endif
