/* See api_doc.h. */
#include "common/model/api_doc.h"

#include "common/base/json.h"

/* ---- where a route is ---- */

void api_doc_place(const struct api_doc *doc, const struct api_doc_row *route, struct fl_buf *id,
                   const char **ret_name)
{
    size_t n = route->own_process ? 1 + strcspn(route->name + 1, "/") : 0;

    fl_buf_clear(id);
    if (route->own_process)
        fl_buf_add(id, route->name + 1, n - 1);
    else
        fl_buf_adds(id, doc->process_id);
    *ret_name = route->name[n] ? route->name + n : "/";
}

size_t api_doc_parts(const struct api_doc *doc, const struct api_doc_row *route)
{
    const struct api_doc_row *end = doc->rows + doc->n_rows, *p = route + 1;

    while (p < end && p->kind != API_DOC_ROUTE)
        p++;
    return (size_t)(p - route) - 1;
}

/* The reference shows no help for these two either. */
static bool is_shown(const struct api_doc_row *r)
{
    return r->kind == API_DOC_ROUTE && !streq(r->name, "/help") &&
           !streq(r->name, "/__processes__");
}

typedef void each_f(const char *id, const char *name, const struct api_doc_row *route, void *arg);

/* The routes of a process, or of all; a process's routes need not stand together. */
static void each_route(const struct api_doc *doc, const char *only_id, each_f *fn, void *arg)
{
    _cleanup_buf_ struct fl_buf id = FL_BUF_INIT;

    for (size_t i = 0; i < doc->n_rows; i++) {
        const char *name;

        if (!is_shown(&doc->rows[i]))
            continue;
        api_doc_place(doc, &doc->rows[i], &id, &name);
        if (!only_id || streq(only_id, fl_buf_cstr(&id)))
            fn(fl_buf_cstr(&id), name, &doc->rows[i], arg);
    }
}

/* ---- the text of one endpoint ---- */

static void add_item(struct fl_buf *out, const char *name, const char *text)
{
    fl_buf_addf(out, ">        %s\n>            %s\n", name, text);
}

/* Whether there were any. */
static bool parts_of(struct fl_buf *out, const struct api_doc *doc, const struct api_doc_row *route,
                     enum api_doc_kind kind, const char *title)
{
    size_t n = api_doc_parts(doc, route);
    bool begun = false;

    for (size_t i = 1; i <= n; i++) {
        const char *equals = kind == API_DOC_QUERY || kind == API_DOC_FORM ? "=VALUE" : "";
        _cleanup_free_ char *name = NULL;

        if (route[i].kind != kind)
            continue;
        if (!begun)
            fl_buf_addf(out, "\n### %s ###\n", title);
        begun = true;
        name = xasprintf("%s%s", route[i].name, equals);
        add_item(out, name, route[i].text);
    }
    return begun;
}

static void answers_of(struct fl_buf *out, const struct api_doc *doc,
                       const struct api_doc_row *route)
{
    bool begun = parts_of(out, doc, route, API_DOC_ANSWER, "ANSWERS");

    if (!route->leader_only)
        return;
    if (!begun)
        fl_buf_adds(out, "\n### ANSWERS ###\n");
    add_item(out, "307", API_DOC_307);
    add_item(out, "503", API_DOC_503);
}

static void access_of(struct fl_buf *out, const struct api_doc_row *route)
{
    fl_buf_adds(out, "\n### AUTHENTICATION ###\n");
    if (route->realm)
        fl_buf_addf(out,
                    "This endpoint wants credentials (401) when authentication is on for the realm "
                    "'%s'.\n",
                    route->realm);
    else
        fl_buf_adds(out, "This endpoint does not require authentication.\n");
    if (route->filtered)
        fl_buf_adds(out, "\n### AUTHORIZATION ###\nThe answer holds what access rules (--acls) let "
                         "the caller see.\n");
}

static void calls_of(struct fl_buf *out, const struct api_doc *doc, const struct api_doc_row *route)
{
    if (!streq(route->name, doc->calls_path))
        return;
    fl_buf_adds(out, "\n### CALLS ###\n");
    for (size_t i = 0; i < doc->n_calls; i++)
        fl_buf_addf(out, ">        %s (%s)\n>            %s\n", doc->calls[i].name,
                    doc->calls[i].answers, doc->calls[i].text);
}

void api_doc_text(struct fl_buf *out, const struct api_doc *doc, const struct api_doc_row *route)
{
    fl_buf_addf(out, "### USAGE ###\n>        %s\n", route->name);
    if (!route->own_process)
        fl_buf_addf(out, ">        /%s%s\n", doc->process_id, route->name);
    if (route->json_alias)
        fl_buf_addf(out, ">        %s.json\n", route->name);
    fl_buf_addf(out, "\n### TL;DR; ###\n%s\n", route->text);
    parts_of(out, doc, route, API_DOC_METHOD, "METHODS");
    parts_of(out, doc, route, API_DOC_QUERY, "QUERY");
    parts_of(out, doc, route, API_DOC_FORM, "FORM");
    answers_of(out, doc, route);
    access_of(out, route);
    calls_of(out, doc, route);
}

/* ---- lists ---- */

/* Names of processes, each once, in the order of the table. */
struct names {
    char *items[64];
    size_t n;
};

static void add_name(const char *id, const char *name, const struct api_doc_row *route, void *arg)
{
    struct names *l = arg;

    for (size_t i = 0; i < l->n; i++)
        if (streq(l->items[i], id))
            return;
    if (l->n < ARRAY_SIZE(l->items))
        l->items[l->n++] = xstrdup(id);
}

static void names_done(struct names *l)
{
    while (l->n > 0)
        free(l->items[--l->n]);
}

struct json_help {
    const struct api_doc *doc;
    struct json_out *j;
};

static void json_endpoint(const char *id, const char *name, const struct api_doc_row *route,
                          void *arg)
{
    struct json_help *h = arg;
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;

    api_doc_text(&text, h->doc, route);
    json_object(h->j);
    json_kstr(h->j, "name", name);
    json_kstr(h->j, "text", fl_buf_cstr(&text));
    json_end_object(h->j);
}

static void respond_help_json(struct http_exchange *ex, const struct api_doc *doc)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    struct json_help h = {doc, &j};
    struct names ids = {.n = 0};

    each_route(doc, NULL, add_name, &ids);
    json_object(&j);
    json_karray(&j, "processes");
    for (size_t i = 0; i < ids.n; i++) {
        json_object(&j);
        json_kstr(&j, "id", ids.items[i]);
        json_karray(&j, "endpoints");
        each_route(doc, ids.items[i], json_endpoint, &h);
        json_end_array(&j);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    names_done(&ids);
    http_respond_json(ex, 200, &out);
}

/* ---- the page ---- */

struct page {
    struct fl_buf body;
    bool html;
    const struct api_doc *doc;
    const struct api_doc_row *only; /* what add_endpoint() came to last, and how many there were */
    size_t n;
};

static void escape(struct fl_buf *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '<')
            fl_buf_adds(out, "&lt;");
        else if (*p == '>')
            fl_buf_adds(out, "&gt;");
        else if (*p == '&')
            fl_buf_adds(out, "&amp;");
        else
            fl_buf_addc(out, *p);
    }
}

/* "> [/files/read][files/read]": a link of both forms. */
static void add_link(struct page *p, const char *id, const char *name)
{
    const char *below = streq(name, "/") ? "" : name;

    if (p->html)
        fl_buf_addf(&p->body, "<p><a href=\"/help/%s%s\">/%s%s</a></p>\n", id, below, id, below);
    else
        fl_buf_addf(&p->body, "> [/%s%s](/help/%s%s)\n", id, below, id, below);
}

static void add_endpoint(const char *id, const char *name, const struct api_doc_row *route,
                         void *arg)
{
    struct page *p = arg;

    p->only = route;
    p->n++;
    add_link(p, id, name);
}

static void add_title(struct page *p, const char *title)
{
    fl_buf_addf(&p->body, p->html ? "<h2>%s</h2>\n" : "## %s\n", title);
}

static void add_text(struct page *p, const struct api_doc_row *route)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;

    api_doc_text(&text, p->doc, route);
    fl_buf_clear(&p->body);
    if (p->html) {
        fl_buf_adds(&p->body, "<pre>");
        escape(&p->body, fl_buf_cstr(&text));
        fl_buf_adds(&p->body, "</pre>\n");
    } else {
        fl_buf_add(&p->body, text.data, text.len);
    }
}

/* "/files/read" of a "/help/files/read"; false: there is no such thing. */
static bool add_process(struct page *p, const char *id, const char *name)
{
    if (!name) {
        add_title(p, id);
        each_route(p->doc, id, add_endpoint, p);
        if (p->n == 1 && p->only->own_process && !strchr(p->only->name + 1, '/'))
            add_text(p, p->only);
        return p->n > 0;
    }
    for (size_t i = 0; i < p->doc->n_rows; i++) {
        _cleanup_buf_ struct fl_buf at = FL_BUF_INIT;
        const char *have;

        if (!is_shown(&p->doc->rows[i]))
            continue;
        api_doc_place(p->doc, &p->doc->rows[i], &at, &have);
        if (streq(fl_buf_cstr(&at), id) && streq(have, name)) {
            add_text(p, &p->doc->rows[i]);
            return true;
        }
    }
    return false;
}

static void add_processes(struct page *p)
{
    struct names ids = {.n = 0};

    add_title(p, "HELP");
    each_route(p->doc, NULL, add_name, &ids);
    for (size_t i = 0; i < ids.n; i++)
        add_link(p, ids.items[i], "/");
    names_done(&ids);
}

/* Programs that show text; everything else is taken for a browser. */
static bool wants_text(const struct http_request *r)
{
    const char *agent = http_request_header(r, "User-Agent");

    return agent && (str_starts(agent, "curl") || str_starts(agent, "HTTPie"));
}

static void respond_page(struct http_exchange *ex, struct page *p)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

    if (!p->html) {
        http_respond_buf(ex, 200, "text/x-markdown", &p->body);
        return;
    }
    fl_buf_addf(&out,
                "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Help"
                "</title><style>body{font:14px/1.6 sans-serif;max-width:60em;margin:2em auto}"
                "</style></head><body>\n%s</body></html>\n",
                fl_buf_cstr(&p->body));
    http_exchange_add_header(ex, "Content-Security-Policy",
                             "default-src 'none'; style-src 'unsafe-inline'");
    http_respond_buf(ex, 200, "text/html", &out);
}

void api_doc_help(struct http_exchange *ex, const struct api_doc *doc)
{
    const struct http_request *r = http_exchange_request(ex);
    struct page p = {.body = FL_BUF_INIT, .html = !wants_text(r), .doc = doc};
    _cleanup_free_ char *format = http_query_get(r->query, "format");
    const char *at = r->path_rest + strspn(r->path_rest, "/");
    _cleanup_free_ char *id = xstrndup(at, strcspn(at, "/"));
    _cleanup_free_ char *name = xstrdup(at + strlen(id));

    while (*name && name[strlen(name) - 1] == '/')
        name[strlen(name) - 1] = '\0';
    if (!*id && streq(format, "json")) {
        respond_help_json(ex, doc);
        return;
    }
    if (!*id)
        add_processes(&p);
    if (*id && !add_process(&p, id, *name ? name : NULL))
        http_respondf(ex, 400, HTTP_TEXT, "No help available for '/%s%s'.\n", id, name);
    else
        respond_page(ex, &p);
    fl_buf_done(&p.body);
}

void api_doc_processes(struct http_exchange *ex, const struct api_doc *doc)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    struct names ids = {.n = 0};

    each_route(doc, NULL, add_name, &ids);
    json_array(&j);
    for (size_t i = 0; i < ids.n; i++) {
        json_object(&j);
        json_kstr(&j, "id", ids.items[i]);
        json_karray(&j, "events");
        json_end_array(&j);
        json_end_object(&j);
    }
    json_end_array(&j);
    names_done(&ids);
    http_respond_json(ex, 200, &out);
}
