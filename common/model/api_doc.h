/* What a daemon's HTTP face offers, for people: /help, /__processes__ and docs/http-api.md are made from the rows that the requests are
 * routed by (routes.def, operator_calls.def of master and agent). The form of /help is the reference's: processes, each with endpoints.
 *
 * Static data: any thread. Handlers: owner loop of the server.
 */
#ifndef COMMON_MODEL_API_DOC_H
#define COMMON_MODEL_API_DOC_H

#include "common/base/http.h"

enum api_doc_kind {
    API_DOC_ROUTE,
    /* The rest is of the route before it. */
    API_DOC_METHOD, /* "POST", what it does; none: any method does the same */
    API_DOC_QUERY,  /* a parameter of the query */
    API_DOC_FORM,   /* one of a form in the body */
    API_DOC_ANSWER, /* "400", when */
};
struct api_doc_row {
    enum api_doc_kind kind;
    const char *name; /* "/state", "limit", "400" */
    const char *text; /* a sentence */
    const char *realm;
    bool json_alias;
    bool
        own_process; /* "/files/read" is /read of the process "files", not /files/read of "master" */
    bool leader_only; /* other masters redirect */
    bool filtered;    /* shows what access rules let the caller see */
};

/* A call of the operator API. */
struct api_doc_call {
    const char *name, *answers, *text; /* "200 400" */
};

struct api_doc {
    const char *title;      /* "Master" */
    const char *process_id; /* "master" */
    const struct api_doc_row *rows;
    size_t n_rows;
    const char *calls_path; /* the route they are sent to */
    const struct api_doc_call *calls;
    size_t n_calls;
};

/* What every leader_only route can answer. */
#define API_DOC_307 "This master does not lead: Location names the one that does."
#define API_DOC_503 "No master leads, or the registry has not been read yet."

/* Of rows of a .def file. */
#define API_DOC_PART(k, n, t) {.kind = (k), .name = (n), .text = (t)},

/* The process of a route, and its name there: "files", "/read". */
void api_doc_place(const struct api_doc *doc, const struct api_doc_row *route, struct fl_buf *id,
                   const char **ret_name);
/* The parts of a route: how many rows follow it. */
size_t api_doc_parts(const struct api_doc *doc, const struct api_doc_row *route);
/* Markdown, as /help shows it. */
void api_doc_text(struct fl_buf *out, const struct api_doc *doc, const struct api_doc_row *route);

/* GET /help[/PROCESS[/ENDPOINT]][?format=json] */
void api_doc_help(struct http_exchange *ex, const struct api_doc *doc);
/* GET /__processes__ */
void api_doc_processes(struct http_exchange *ex, const struct api_doc *doc);

#endif
