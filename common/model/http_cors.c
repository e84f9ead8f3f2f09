/* See http_cors.h. */
#include "common/model/http_cors.h"

#define METHODS "GET, HEAD, POST, PUT, DELETE"
#define HEADERS                                                                                    \
    "Accept, Authorization, Content-Type, Mesos-Stream-Id, Message-Accept, Message-Content-Type"
#define EXPOSED "Location, Mesos-Stream-Id, Message-Content-Type"

struct http_cors {
    bool all;
    char **origins; /* owned */
    size_t n;
};

void http_cors_free(struct http_cors *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        free(c->origins[i]);
    free(c->origins);
    free(c);
}

static bool is_origin(const char *s)
{
    const char *host = str_starts(s, "https://")  ? s + strlen("https://")
                       : str_starts(s, "http://") ? s + strlen("http://")
                                                  : NULL;

    return host && *host && !host[strcspn(host, "/?#@ \t*")];
}

int http_cors_new(const char *origins, struct http_cors **ret_cors, struct fl_err *err)
{
    _cleanup_(http_cors_freep) struct http_cors *c = xnew0(struct http_cors);
    size_t cap = 0;

    for (const char *p = origins; *p;) {
        size_t n = strcspn(p, ", ");
        _cleanup_free_ char *one = xstrndup(p, n);

        p += n;
        p += strspn(p, ", ");
        if (!*one)
            continue;
        if (streq(one, "*")) {
            c->all = true;
            continue;
        }
        if (!is_origin(one))
            return fl_err_set(err, FL_INVALID,
                              "'%s' is no origin; write e.g. https://page.example:8080, without a "
                              "path, or *",
                              one);
        c->origins = xgrow(c->origins, &cap, c->n + 1, sizeof(*c->origins));
        c->origins[c->n++] = TAKE_PTR(one);
    }
    *ret_cors = TAKE_PTR(c);
    return 0;
}

bool http_cors_allows(const struct http_cors *c, const char *origin)
{
    for (size_t i = 0; i < c->n; i++)
        if (streq(c->origins[i], origin))
            return true;
    return c->all;
}

bool http_cors_answered(const struct http_cors *c, struct http_exchange *ex)
{
    const struct http_request *r = http_exchange_request(ex);
    const char *origin = http_request_header(r, "Origin");

    /* An answer that is kept for others must not say what only this origin is told. */
    http_exchange_add_header(ex, "Vary", "Origin");
    if (!origin || !http_cors_allows(c, origin))
        return false;
    http_exchange_add_header(ex, "Access-Control-Allow-Origin", c->all ? "*" : origin);
    http_exchange_add_header(ex, "Access-Control-Expose-Headers", EXPOSED);
    if (r->method != HTTP_M_OPTIONS || !http_request_header(r, "Access-Control-Request-Method"))
        return false;
    http_exchange_add_header(ex, "Access-Control-Allow-Methods", METHODS);
    http_exchange_add_header(ex, "Access-Control-Allow-Headers", HEADERS);
    http_exchange_add_header(ex, "Access-Control-Max-Age", "600");
    http_respond(ex, 204, NULL, "");
    return true;
}
