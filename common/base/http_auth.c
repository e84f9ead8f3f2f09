/* See http_auth.h: realms, Basic and Bearer. */
#include "common/base/http_auth.h"

#include <strings.h>

#include "common/base/base64.h"

/* ---- principals ---- */

void http_principal_free(struct http_principal *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_claims; i++) {
        free(p->claims[i].name);
        free(p->claims[i].value);
    }
    free(p->claims);
    free(p->value);
    free(p);
}

const char *http_principal_claim(const struct http_principal *p, const char *name)
{
    for (size_t i = 0; i < p->n_claims; i++) {
        if (streq(p->claims[i].name, name))
            return p->claims[i].value;
    }
    return NULL;
}

/* ---- realms ---- */

#define MAX_REALMS         6
#define MAX_AUTHENTICATORS 4

struct http_auth;
/* Fills *ret on success. On failure err says what is wrong with what was sent; NULL `value` is no failure to explain. */
typedef int authenticate_f(const struct http_auth *a, const char *value,
                           struct http_principal **ret, struct fl_err *err);

struct authenticator {
    const char *name, *scheme;
    authenticate_f *fn;
    bool explains; /* the challenge says why (RFC 6750); with Basic there is no place for it */
};

struct realm {
    char *name;
    const struct authenticator *authenticators[MAX_AUTHENTICATORS];
    size_t n;
    bool optional;
};

struct http_auth {
    struct env env;
    struct http_credentials *credentials;
    char *token_key;
    struct realm realms[MAX_REALMS];
    size_t n_realms;
};

static int authenticate_basic(const struct http_auth *a, const char *value,
                              struct http_principal **ret, struct fl_err *err)
{
    size_t n = strlen(value), len;
    _cleanup_free_ char *text = xmalloc(n + 4);
    char *colon;

    if (json_base64_decode(value, n, (uint8_t *)text, &len) < 0)
        return fl_err_set(err, FL_UNAUTHENTICATED, "Malformed credentials");
    text[len] = '\0';
    colon = strchr(text, ':');
    if (!colon || strlen(text) != len)
        return fl_err_set(err, FL_UNAUTHENTICATED, "Malformed credentials");
    *colon = '\0';
    if (!http_credentials_fit(a->credentials, text, colon + 1))
        return fl_err_set(err, FL_UNAUTHENTICATED, "Wrong principal or secret");
    *ret = xnew0(struct http_principal);
    (*ret)->value = xstrdup(text);
    return 0;
}

static int authenticate_token(const struct http_auth *a, const char *value,
                              struct http_principal **ret, struct fl_err *err)
{
    int r = http_token_check(value, a->token_key, env_wall_s(&a->env), ret, err);

    return r < 0 ? fl_err_wrap(err, "Invalid JWT") : 0;
}

static const struct authenticator basic = {"basic", "Basic", authenticate_basic, false};
static const struct authenticator jwt = {"jwt", "Bearer", authenticate_token, true};

struct http_auth *http_auth_new(const struct env *env, struct http_credentials *credentials,
                                char *token_key)
{
    struct http_auth *a = xnew0(struct http_auth);

    a->env = *env;
    a->credentials = credentials;
    a->token_key = token_key;
    return a;
}

void http_auth_free(struct http_auth *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n_realms; i++)
        free(a->realms[i].name);
    http_credentials_free(a->credentials);
    http_secret_free(a->token_key);
    free(a);
}

static int find(const struct http_auth *a, const char *name, const struct authenticator **ret,
                struct fl_err *err)
{
    if (streq(name, basic.name)) {
        *ret = &basic;
        return a->credentials ? 0 : fl_err_set(err, FL_INVALID, "'basic' needs credentials");
    }
    if (streq(name, jwt.name)) {
        *ret = &jwt;
        return a->token_key ? 0 : fl_err_set(err, FL_INVALID, "'jwt' needs --jwt_secret_key");
    }
    return fl_err_set(err, FL_INVALID, "'%s' is not an authenticator: basic and jwt are", name);
}

int http_auth_add(struct http_auth *a, const struct http_auth_realm *realm, struct fl_err *err)
{
    struct realm *r = &a->realms[a->n_realms];

    assert(a->n_realms < MAX_REALMS);
    r->n = 0;
    for (const char *p = realm->authenticators; *p; p += *p == ',') {
        size_t len = strcspn(p, ",");
        _cleanup_free_ char *name = xstrndup(p, len);
        int rc;

        if (r->n == MAX_AUTHENTICATORS)
            return fl_err_set(err, FL_INVALID, "'%s' are too many authenticators",
                              realm->authenticators);
        rc = find(a, name, &r->authenticators[r->n], err);
        if (rc < 0)
            return rc;
        r->n++;
        p += len;
    }
    if (r->n == 0)
        return fl_err_set(err, FL_INVALID, "no authenticator is named");
    r->name = xstrdup(realm->name);
    r->optional = realm->optional;
    a->n_realms++;
    return 0;
}

/* ---- a request ---- */

/* The credentials of a header "Scheme credentials" when it is of that scheme (its case does not count), or NULL. */
static const char *after_scheme(const char *header, const char *scheme)
{
    size_t n = strlen(scheme);

    if (strncasecmp(header, scheme, n) != 0 || header[n] != ' ')
        return NULL;
    return header + n + strspn(header + n, " ");
}

/* A quoted string may hold neither quotes nor backslashes as they are. */
static void add_quoted(struct fl_buf *b, const char *text)
{
    fl_buf_addc(b, '"');
    for (const char *p = text; *p; p++)
        fl_buf_addc(b, *p == '"' || *p == '\\' ? '\'' : *p);
    fl_buf_addc(b, '"');
}

static void add_challenge(struct fl_buf *b, const struct realm *r, const struct authenticator *how,
                          const char *why)
{
    if (b->len > 0)
        fl_buf_adds(b, ",");
    fl_buf_addf(b, "%s realm=", how->scheme);
    add_quoted(b, r->name);
    if (!why || !how->explains)
        return;
    fl_buf_adds(b, ", error=\"invalid_token\", error_description=");
    add_quoted(b, why);
}

/* The principal, or the challenges of all authenticators. */
static struct http_principal *authenticate(const struct http_auth *a, const struct realm *r,
                                           const char *header, struct fl_buf *challenges)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct authenticator *how = r->authenticators[i];
        const char *value = header ? after_scheme(header, how->scheme) : NULL;
        struct http_principal *p = NULL;
        struct fl_err err = {.msg = "Another scheme is wanted"};

        if (value && how->fn(a, value, &p, &err) == 0)
            return p;
        add_challenge(challenges, r, how, header ? err.msg : NULL);
    }
    return NULL;
}

bool http_auth_refused_in(const struct http_auth *a, struct http_exchange *ex,
                          const char *realm_name)
{
    const struct realm *realm = NULL;
    const char *header;
    struct http_principal *p;
    _cleanup_buf_ struct fl_buf challenges = FL_BUF_INIT;

    for (size_t i = 0; realm_name && i < a->n_realms; i++) {
        if (streq(a->realms[i].name, realm_name))
            realm = &a->realms[i];
    }
    if (!realm)
        return false;
    header = http_request_header(http_exchange_request(ex), "Authorization");
    if (!header && realm->optional)
        return false;
    p = authenticate(a, realm, header, &challenges);
    if (p) {
        http_exchange_set_principal(ex, p);
        return false;
    }
    http_exchange_add_header(ex, "WWW-Authenticate", fl_buf_cstr(&challenges));
    http_respond(ex, 401, HTTP_TEXT, "401 Unauthorized.\n");
    return true;
}

bool http_auth_refused(const struct http_auth *a, struct http_exchange *ex)
{
    const struct http_route *route = http_exchange_route(ex);

    return http_auth_refused_in(a, ex, route ? route->realm : NULL);
}
