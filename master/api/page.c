/* The web page: files that are compiled in (page_assets.h), so that a master serves it from wherever it was installed, and needs no other
 * network. Names below /assets carry a hash of their content and may be kept for ever; all others are asked for again, with their ETag.
 *
 * Nothing here is secret: what the page shows it asks for at the API, with the rights of who looks. */
#include "master/api/handlers.h"
#include "master/api/page_assets.h"

#define ASSETS "/assets/"

static const struct page_asset *find(const char *path)
{
    if (str_starts(path, "/master/"))
        path += strlen("/master");
    if (streq(path, "/") || streq(path, "/master"))
        path = "/index.html";
    for (size_t i = 0; i < page_assets_n; i++)
        if (streq(page_assets[i].path, path))
            return &page_assets[i];
    return NULL;
}

/* Whether the client's copy is this one, in either coding. "*" is any. */
static bool has_current(const struct http_request *r, const struct page_asset *a)
{
    const char *have = http_request_header(r, "If-None-Match");

    return have && (streq(have, "*") || strstr(have, a->etag) != NULL);
}

static bool is_for_ever(const struct page_asset *a)
{
    return str_starts(a->path, ASSETS);
}

static void add_headers(struct http_exchange *ex, const struct page_asset *a, bool gzipped)
{
    _cleanup_free_ char *etag = xasprintf("\"%s%s\"", a->etag, gzipped ? "-gz" : "");
    _cleanup_free_ char *policy = NULL;

    http_exchange_add_header(ex, "ETag", etag);
    http_exchange_add_header(ex, "Cache-Control",
                             is_for_ever(a) ? "public, max-age=31536000, immutable" : "no-cache");
    if (a->gzip)
        http_exchange_add_header(ex, "Vary", "Accept-Encoding");
    http_exchange_add_header(ex, "X-Content-Type-Options", "nosniff");
    policy = xasprintf("default-src 'self'; %s%s%sstyle-src 'self' 'unsafe-inline'; "
                       "img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'",
                       *a->scripts ? "script-src 'self'" : "", a->scripts, *a->scripts ? "; " : "");
    http_exchange_add_header(ex, "Content-Security-Policy", policy);
}

static void serve(struct http_exchange *ex, const struct page_asset *a)
{
    bool gzipped = a->gzip && http_exchange_takes_gzip(ex, a->len);
    _cleanup_(fl_region_unrefp) struct fl_region *body = NULL;

    add_headers(ex, a, gzipped);
    if (has_current(http_exchange_request(ex), a)) {
        http_respond(ex, 304, NULL, "");
        return;
    }
    body = fl_region_new(gzipped ? a->gzip : a->data, gzipped ? a->gzip_len : a->len, NULL, NULL);
    http_respond_region(ex, 200, a->type, body, gzipped);
}

void page_get(struct http_exchange *ex, void *arg)
{
    const struct http_request *r = http_exchange_request(ex);
    const struct page_asset *a = find(r->path);

    /* Every path that no route takes ends here. */
    if (!a) {
        plain_not_found(ex, arg);
    } else if (r->method != HTTP_M_GET && r->method != HTTP_M_HEAD) {
        api_refuse_method(ex, "GET, HEAD");
    } else {
        serve(ex, a);
    }
}

/* A script that is refused cannot make every browser ask for a name; going somewhere can. */
void page_sign_in_get(struct http_exchange *ex, void *arg)
{
    http_exchange_add_header(ex, "Location", "/");
    http_exchange_add_header(ex, "Cache-Control", "no-store");
    http_respond(ex, 303, NULL, "");
}
