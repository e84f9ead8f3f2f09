/* Who sends an HTTP request: credentials (Basic) and signed tokens (Bearer, JWT with HS256), by realm (features.md 1.0 and 7).
 *
 * A route belongs to a realm or to none (open). A realm that was added here asks for one of its authenticators, tried in order; the
 * principal that one of them finds is kept with the exchange. Everything on the owner loop of the server.
 *
 * Secrets are kept as digests, compared in constant time, and appear in no error and no log.
 */
#ifndef COMMON_BASE_HTTP_AUTH_H
#define COMMON_BASE_HTTP_AUTH_H

#include "common/base/env.h"
#include "common/base/http.h"

/* ---- principals ---- */
struct http_claim {
    char *name, *value;
};
struct http_principal {
    char *value;               /* NULL: known by its claims only, as an executor is */
    struct http_claim *claims; /* of a token */
    size_t n_claims;
};
void http_principal_free(struct http_principal *p);
FL_DEFINE_CLEANUP(struct http_principal *, http_principal_free, http_principal_freep)
const char *http_principal_claim(const struct http_principal *p, const char *name); /* or NULL */

/* ---- credentials ---- */
struct http_credentials;
/* {"credentials":[{"principal":..,"secret":..}]}, or the older form: one "principal secret" a line. */
int http_credentials_parse(const char *text, struct http_credentials **ret, struct fl_err *err);
int http_credentials_read(const char *path, struct http_credentials **ret, struct fl_err *err);
void http_credentials_free(struct http_credentials *c);
FL_DEFINE_CLEANUP(struct http_credentials *, http_credentials_free, http_credentials_freep)
bool http_credentials_fit(const struct http_credentials *c, const char *principal,
                          const char *secret);
/* One's own: {"principal":..,"secret":..} or one line. Heap memory; give them to http_secret_free(). */
struct http_credential {
    char *principal, *secret;
    char *header; /* "Basic ..." */
};
/* What a client says of itself in Authorization: "Basic ...". Give it to http_secret_free(). */
char *http_basic_header(const char *principal, const char *secret);
int http_credential_read(const char *path, struct http_credential *ret, struct fl_err *err);
void http_credential_done(struct http_credential *c);
/* A file of secrets, whole, without the line's end; *ret_text is heap memory. */
int http_secret_read(const char *path, char **ret_text, struct fl_err *err);
/* Overwrites the text before its memory is given back. Takes NULL. */
void http_secret_free(char *text);
/* Whether others than its owner's group may read the file: worth a warning. */
bool http_secret_is_exposed(const char *path);

/* ---- tokens (RFC 7519, HS256) ---- */
char *http_token_make(const struct http_claim *claims, size_t n, const char *key); /* heap memory */
/* The signature and `exp`. A claim `sub` is the principal's value. FL_UNAUTHENTICATED says what is wrong, in words that may be shown. */
int http_token_check(const char *token, const char *key, double now_s, struct http_principal **ret,
                     struct fl_err *err);

/* ---- realms ---- */
struct http_auth;
struct http_auth_realm {
    const char *name;           /* "mesos-master-readonly"; copied */
    const char *authenticators; /* "basic", "jwt", "basic,jwt" */
    bool optional;              /* who says nothing passes without a principal */
};
/* Both may be NULL, and are then an error of http_auth_add() when an authenticator needs them; taken. */
struct http_auth *http_auth_new(const struct env *env, struct http_credentials *credentials,
                                char *token_key);
void http_auth_free(struct http_auth *a);
int http_auth_add(struct http_auth *a, const struct http_auth_realm *realm, struct fl_err *err);
/* For http_server_config.before: true when it answered 401. */
bool http_auth_refused(const struct http_auth *a, struct http_exchange *ex);
/* The same for a realm that the handler of an open route chose. */
bool http_auth_refused_in(const struct http_auth *a, struct http_exchange *ex,
                          const char *realm_name);

#endif
