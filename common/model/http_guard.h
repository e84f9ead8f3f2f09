/* The door of a daemon's HTTP face, the same for master and agent: origins whose pages may read it (--http_cors_origins), endpoints that are switched off (--firewall_rules), who must
 * authenticate where (common/base/http_auth.h), and endpoints that access rules close (get_endpoints of acls.h). What else the rules
 * say is asked by the handlers.
 *
 * Owner loop of the HTTP server. A daemon without any of it has no guard at all.
 */
#ifndef COMMON_MODEL_HTTP_GUARD_H
#define COMMON_MODEL_HTTP_GUARD_H

#include "common/base/http_auth.h"
#include "common/model/acls.h"

struct http_guard_realm {
    const char *flag; /* that wants it, for errors */
    bool wanted;
    struct http_auth_realm realm;
};

struct http_guard_config {
    const char *credentials;    /* path, or NULL */
    const char *token_key;      /* path, or NULL */
    const char *acls;           /* JSON, or NULL */
    const char *authorizer;     /* "local" */
    const char *firewall_rules; /* JSON, or NULL */
    const char *cors_origins;   /* "https://a.example,https://b.example:8080", or NULL */
    const char *process_id;     /* of the server */
    /* Principals known by claims only (executors) are refused with 403 everywhere but below this path; NULL: everywhere. */
    const char *claims_below;
    const struct http_guard_realm *realms;
    size_t n_realms;
};

struct http_guard;
/* *ret_guard is NULL when there is nothing to guard. Reads the files. */
int http_guard_new(const struct env *env, const struct http_guard_config *c,
                   struct http_guard **ret_guard, struct fl_err *err);
void http_guard_free(struct http_guard *g);
FL_DEFINE_CLEANUP(struct http_guard *, http_guard_free, http_guard_freep)

/* For http_server_config.before: true when it answered. `g` may be NULL. */
bool http_guard_refused(const struct http_guard *g, struct http_exchange *ex);
/* For the handler of an open route that chooses its realm by the request: true when it answered. `g` may be NULL. */
bool http_guard_refused_in(const struct http_guard *g, struct http_exchange *ex, const char *realm);
/* The rules, or NULL. `g` may be NULL. */
const struct acls *http_guard_acls(const struct http_guard *g);
/* The principal's value, or NULL. */
const char *http_guard_principal(const struct http_exchange *ex);
/* One question about the sender of a request; answers 403 when it is refused. `g` may be NULL. */
bool http_guard_forbidden(const struct http_guard *g, struct http_exchange *ex,
                          enum acl_action action, const char *object);

#endif
