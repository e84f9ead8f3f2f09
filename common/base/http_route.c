/* Prefix routing. Rule: the route with the most path tokens in common with the request wins; below
 * the server's process id the rest of the path is routed the same way. Read-only once made; any
 * thread. */
#include <stdio.h>

#include "common/base/http_priv.h"

struct router {
    const struct http_route **sorted; /* owned; by path */
    size_t n;
    size_t max_tokens;
    char *prefix; /* owned; "/master" */
};

static size_t count_tokens(const char *path)
{
    size_t n = 0;
    for (const char *p = path; *p; p++)
        n += p[0] == '/' && p[1] != '\0';
    return n;
}

static int by_path(const void *a, const void *b)
{
    return strcmp((*(const struct http_route *const *)a)->path,
                  (*(const struct http_route *const *)b)->path);
}

struct router *router_new(const struct http_route *routes, size_t n, const char *process_id)
{
    struct router *r = xnew0(struct router);
    r->sorted = xcalloc(n + 1, sizeof *r->sorted);
    r->n = n;
    for (size_t i = 0; i < n; i++) {
        r->sorted[i] = &routes[i];
        r->max_tokens = FL_MAX(r->max_tokens, count_tokens(routes[i].path));
    }
    qsort(r->sorted, n, sizeof *r->sorted, by_path);
    if (process_id && *process_id)
        r->prefix = xasprintf("/%s", process_id);
    return r;
}

void router_free(struct router *r)
{
    if (!r)
        return;
    free(r->sorted);
    free(r->prefix);
    free(r);
}

static const struct http_route *lookup(const struct router *r, const char *path, size_t n)
{
    size_t lo = 0, hi = r->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const char *have = r->sorted[mid]->path;
        int c = strncmp(have, path, n);
        if (c == 0 && have[n] != '\0')
            c = 1;
        if (c == 0)
            return r->sorted[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* The route of exactly these n bytes, or of their ".json" alias. */
static const struct http_route *match(const struct router *r, const char *path, size_t n)
{
    const struct http_route *route = lookup(r, path, n);
    const char *ext = ".json";
    if (!route && n > strlen(ext) && memcmp(path + n - strlen(ext), ext, strlen(ext)) == 0) {
        route = lookup(r, path, n - strlen(ext));
        if (route && !route->json_alias)
            route = NULL;
    }
    return route;
}

static const struct http_route *find(const struct router *r, const char *path,
                                     const char **ret_rest)
{
    /* Of an address that ends in a slash and a path that begins with one. */
    while (path[0] == '/' && path[1] == '/')
        path++;
    size_t n = strlen(path), end = n;
    while (end > 1 && path[end - 1] == '/')
        end--;
    /* No route has more tokens than max_tokens: cut the path there before trying shorter and
     * shorter parts. */
    size_t cut = end, tokens = 0;
    for (size_t i = 0; i < end; i++)
        if (path[i] == '/' && ++tokens > r->max_tokens) {
            cut = i;
            break;
        }
    for (size_t at = cut; at > 0;) {
        const struct http_route *route = match(r, path, at);
        if (route && !(route->exact && at < end)) {
            *ret_rest = at < end ? path + at : "";
            return route;
        }
        do
            at--;
        while (at > 0 && path[at] != '/');
    }
    const struct http_route *root = lookup(r, "/", 1);
    if (root && !(root->exact && end > 1)) {
        *ret_rest = end > 1 ? path : "";
        return root;
    }
    return NULL;
}

const struct http_route *router_find(const struct router *r, const char *path,
                                     const char **ret_rest)
{
    size_t n = r->prefix ? strlen(r->prefix) : 0;
    /* Whatever a handler makes of the rest: nothing is above. */
    if (strstr(path, "/.."))
        return NULL;
    if (n > 0 && strncmp(path, r->prefix, n) == 0 && (path[n] == '/' || path[n] == '\0')) {
        const struct http_route *route = find(r, path[n] ? path + n : "/", ret_rest);
        if (route)
            return route;
    }
    return find(r, path, ret_rest);
}
