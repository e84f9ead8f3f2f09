/* See http_guard.h. */
#include "common/model/http_guard.h"

#include <jansson.h>

#include "common/base/http_v1.h"
#include "common/model/http_cors.h"

struct http_guard {
    struct http_auth *auth; /* or NULL */
    struct acls *acls;      /* or NULL */
    char **disabled;        /* owned; paths of routes */
    size_t n_disabled;
    struct http_cors *cors;   /* or NULL */
    const char *claims_below; /* borrowed: static */
};

void http_guard_free(struct http_guard *g)
{
    if (!g)
        return;
    http_auth_free(g->auth);
    acls_free(g->acls);
    for (size_t i = 0; i < g->n_disabled; i++)
        free(g->disabled[i]);
    free(g->disabled);
    http_cors_free(g->cors);
    free(g);
}

/* ---- making ---- */

static int read_secrets(const struct env *env, const struct http_guard_config *c,
                        struct http_guard *g, struct fl_err *err)
{
    _cleanup_(http_credentials_freep) struct http_credentials *credentials = NULL;
    char *key = NULL;
    int r = 0;

    if (c->credentials)
        r = http_credentials_read(c->credentials, &credentials, err);
    if (r == 0 && c->token_key)
        r = http_secret_read(c->token_key, &key, err);
    if (r < 0)
        return r;
    g->auth = http_auth_new(env, TAKE_PTR(credentials), key);
    return 0;
}

static int add_realms(const struct env *env, const struct http_guard_config *c,
                      struct http_guard *g, struct fl_err *err)
{
    for (size_t i = 0; i < c->n_realms; i++) {
        const struct http_guard_realm *x = &c->realms[i];
        int r = 0;

        if (!x->wanted)
            continue;
        if (!g->auth)
            r = read_secrets(env, c, g, err);
        if (r < 0)
            return r;
        r = http_auth_add(g->auth, &x->realm, err);
        if (r < 0)
            return fl_err_wrap(err, "flag '--%s'", x->flag);
    }
    return 0;
}

/* A rule for "/master/state" or "/slave(1)/state" is one for "/state": they are one endpoint. */
static const char *without_process(const char *path, const char *process_id)
{
    size_t n = strlen(process_id);

    if (path[0] == '/' && strncmp(path + 1, process_id, n) == 0 && path[1 + n] == '/')
        return path + 1 + n;
    return path;
}

static int read_firewall(const struct http_guard_config *c, struct http_guard *g,
                         struct fl_err *err)
{
    json_t *root = json_loads(c->firewall_rules, JSON_REJECT_DUPLICATES, NULL);
    const json_t *paths = json_object_get(json_object_get(root, "disabled_endpoints"), "paths");
    int r = 0;

    if (!json_is_array(paths))
        r = fl_err_set(err, FL_INVALID,
                       "flag '--firewall_rules' is not of the form "
                       "{\"disabled_endpoints\":{\"paths\":[\"/files/browse\"]}}");
    else
        g->disabled = xcalloc(json_array_size(paths) + 1, sizeof(char *));
    for (size_t i = 0; r == 0 && i < json_array_size(paths); i++) {
        const char *path = json_string_value(json_array_get(paths, i));
        if (path && path[0] == '/')
            g->disabled[g->n_disabled++] = xstrdup(without_process(path, c->process_id));
        else
            r = fl_err_set(err, FL_INVALID, "flag '--firewall_rules': path %zu is not one", i + 1);
    }
    json_decref(root);
    return r;
}

int http_guard_new(const struct env *env, const struct http_guard_config *c,
                   struct http_guard **ret_guard, struct fl_err *err)
{
    _cleanup_(http_guard_freep) struct http_guard *g = xnew0(struct http_guard);
    int r;

    g->claims_below = c->claims_below;
    if (!streq(c->authorizer, "local"))
        return fl_err_set(err, FL_INVALID, "there is no authorizer '%s'; use local with --acls",
                          c->authorizer);
    r = add_realms(env, c, g, err);
    if (r == 0 && c->acls && acls_parse(c->acls, &g->acls, err) < 0)
        r = fl_err_wrap(err, "flag '--acls'");
    if (r == 0 && c->firewall_rules)
        r = read_firewall(c, g, err);
    if (r == 0 && c->cors_origins && http_cors_new(c->cors_origins, &g->cors, err) < 0)
        r = fl_err_wrap(err, "flag '--http_cors_origins'");
    if (r < 0)
        return r;
    *ret_guard = g->auth || g->acls || g->n_disabled || g->cors ? TAKE_PTR(g) : NULL;
    return 0;
}

/* ---- a request ---- */

const struct acls *http_guard_acls(const struct http_guard *g)
{
    return g ? g->acls : NULL;
}

const char *http_guard_principal(const struct http_exchange *ex)
{
    const struct http_principal *p = http_exchange_principal(ex);

    return p ? p->value : NULL;
}

static bool firewall_refused(const struct http_guard *g, struct http_exchange *ex,
                             const struct http_route *route)
{
    for (size_t i = 0; i < g->n_disabled; i++) {
        if (!streq(g->disabled[i], route->path))
            continue;
        http_respondf(ex, 403, HTTP_TEXT,
                      "Endpoint '%s' is disabled by --firewall_rules of this daemon.", route->path);
        return true;
    }
    return false;
}

static bool claims_refused(const struct http_guard *g, struct http_exchange *ex,
                           const struct http_route *route)
{
    const struct http_principal *p = http_exchange_principal(ex);

    if (!p || p->value || (g->claims_below && str_starts(route->path, g->claims_below)))
        return false;
    http_respond(ex, 403, HTTP_TEXT,
                 "The request's authenticated principal contains claims, but no value string");
    return true;
}

bool http_guard_forbidden(const struct http_guard *g, struct http_exchange *ex,
                          enum acl_action action, const char *object)
{
    struct fl_err err = {0};

    if (!g || acls_check(g->acls, action, http_guard_principal(ex), object, &err) == 0)
        return false;
    http_respond_err(ex, &err);
    return true;
}

bool http_guard_refused_in(const struct http_guard *g, struct http_exchange *ex, const char *realm)
{
    const struct http_route *route = http_exchange_route(ex);

    return g && g->auth && route &&
           (http_auth_refused_in(g->auth, ex, realm) || claims_refused(g, ex, route));
}

static bool method_refused(struct http_exchange *ex, const struct http_route *route)
{
    enum http_method method = http_exchange_request(ex)->method;

    if (!route->rules_get || method == HTTP_M_GET || method == HTTP_M_HEAD)
        return false;
    api_refuse_method(ex, "GET");
    return true;
}

bool http_guard_refused(const struct http_guard *g, struct http_exchange *ex)
{
    const struct http_route *route = g ? http_exchange_route(ex) : NULL;

    /* Before all else: a browser shows its page no answer without these headers, not even a refusal; and it asks without credentials. */
    if (g && g->cors && http_cors_answered(g->cors, ex))
        return true;
    if (!route)
        return false;
    if (g->n_disabled && firewall_refused(g, ex, route))
        return true;
    if (g->auth && (http_auth_refused(g->auth, ex) || claims_refused(g, ex, route)))
        return true;
    if (!g->acls)
        return false;
    /* Rules of older clusters do not know that the same numbers are told in another form. */
    const char *path = streq(route->path, "/metrics") ? "/metrics/snapshot" : route->path;
    return method_refused(ex, route) ||
           (acl_is_endpoint(path) && http_guard_forbidden(g, ex, ACL_GET_ENDPOINTS, path));
}
