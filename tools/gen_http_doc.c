/* Prints docs/http-api.md from the tables that requests are routed by (`make docs`; `make lint` compares). The fields of calls come from
 * the messages themselves. */
#include <ctype.h>
#include <stdio.h>

#include "agent/api/api.h"
#include "common/model/api_doc.h"
#include "master/api/api.h"

static const char head[] =
    "# The HTTP endpoints\n"
    "\n"
    "Made from `api/routes.def` and `api/operator_calls.def` of `master/` and `agent/` by `make "
    "docs`; edit those.\n"
    "A running daemon shows the same at `/help`, and as JSON at `/help?format=json`.\n"
    "\n"
    "- **Paths.** Every path also answers below the daemon's process id, `/master/state`, "
    "`/slave(1)/state`, where the table says so,\n"
    "  and with a slash or more behind it: the longest path that fits serves the request. Paths "
    "marked *.json* also answer with that ending.\n"
    "- **Methods.** Endpoints without a list of methods answer any method alike; HEAD gets the "
    "head alone.\n"
    "- **JSON.** `?jsonp=NAME` wraps an answer of JSON into a call of that function. Answers of a "
    "kilobyte and more are compressed for\n"
    "  clients that send `Accept-Encoding: gzip`.\n"
    "- **Leader.** A master that does not lead answers 307 with `Location: //host:port/path` of "
    "the "
    "leader where the table says so,\n"
    "  and 503 when it knows none.\n"
    "- **Who may.** 401 asks for credentials, where authentication is on for the endpoint's realm; "
    "403 says that access rules, or\n"
    "  `--firewall_rules`, forbid it. See [security](security.md).\n"
    "- **Other origins.** With `--http_cors_origins` pages of those origins may read answers.\n"
    "- **Errors** are plain text that says what was wrong.\n";

/* ---- text in tables ---- */

static void cell(const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '|')
            putchar('\\');
        putchar(*p);
    }
}

static const char *kind_title(enum api_doc_kind kind)
{
    switch (kind) {
    case API_DOC_METHOD:
        return "Method";
    case API_DOC_QUERY:
        return "Query";
    case API_DOC_FORM:
        return "Form";
    case API_DOC_ANSWER:
        return "Answer";
    case API_DOC_ROUTE:
        break;
    }
    return "";
}

/* ---- endpoints ---- */

static void print_overview(const struct api_doc *doc)
{
    printf("\n| path | also | leader | realm | |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < doc->n_rows; i++) {
        const struct api_doc_row *r = &doc->rows[i];

        if (r->kind != API_DOC_ROUTE)
            continue;
        printf("| `%s` | %s%s%s | %s | %s | ", r->name, r->own_process ? "" : "`/",
               r->own_process ? "" : doc->process_id, r->own_process ? "" : "/...`",
               r->leader_only ? "yes" : "", r->realm ? r->realm : "open");
        cell(r->text);
        printf("%s |\n", r->json_alias ? " *.json*" : "");
    }
}

static void print_route(const struct api_doc *doc, const struct api_doc_row *r)
{
    size_t n = api_doc_parts(doc, r);

    if (n == 0)
        return;
    printf("\n### %s `%s`\n\n%s\n\n| | | |\n|---|---|---|\n", doc->title, r->name, r->text);
    for (size_t i = 1; i <= n; i++) {
        printf("| %s | `%s` | ", kind_title(r[i].kind), r[i].name);
        cell(r[i].text);
        printf(" |\n");
    }
}

/* ---- calls ---- */

static const char *label_of(const ProtobufCFieldDescriptor *f)
{
    return f->label == PROTOBUF_C_LABEL_REPEATED   ? "[]"
           : f->label == PROTOBUF_C_LABEL_REQUIRED ? ""
                                                   : "?";
}

/* The part of a call bears the name of its type, in small letters. */
static void print_fields(const ProtobufCMessageDescriptor *call, const char *type)
{
    char name[64];
    const ProtobufCFieldDescriptor *part;
    const ProtobufCMessageDescriptor *m;
    size_t i;

    for (i = 0; type[i] && i < sizeof(name) - 1; i++)
        name[i] = (char)tolower((unsigned char)type[i]);
    name[i] = '\0';
    part = protobuf_c_message_descriptor_get_field_by_name(call, name);
    if (!part || part->type != PROTOBUF_C_TYPE_MESSAGE)
        return;
    m = part->descriptor;
    printf("`%s` {", name);
    for (i = 0; i < m->n_fields; i++)
        printf("%s%s%s", i ? ", " : "", m->fields[i].name, label_of(&m->fields[i]));
    printf("}");
}

static void print_calls(const struct api_doc *doc, const ProtobufCMessageDescriptor *call)
{
    printf("\n### %s: calls of `%s`\n\n"
           "`?` marks fields that may be left out, `[]` those that are lists. `200` with an empty "
           "body where there is nothing to say.\n\n"
           "| call | its part | answers | |\n|---|---|---|---|\n",
           doc->title, doc->calls_path);
    for (size_t i = 0; i < doc->n_calls; i++) {
        printf("| %s | ", doc->calls[i].name);
        print_fields(call, doc->calls[i].name);
        printf(" | %s | ", doc->calls[i].answers);
        cell(doc->calls[i].text);
        printf(" |\n");
    }
}

static void print_daemon(const struct api_doc *doc, const ProtobufCMessageDescriptor *call)
{
    printf("\n## %s\n", doc->title);
    print_overview(doc);
    for (size_t i = 0; i < doc->n_rows; i++)
        if (doc->rows[i].kind == API_DOC_ROUTE)
            print_route(doc, &doc->rows[i]);
    print_calls(doc, call);
}

int main(void)
{
    fputs(head, stdout);
    print_daemon(&master_api_doc, &mapi__call__descriptor);
    print_daemon(&agent_api_doc, &aapi__call__descriptor);
    return ferror(stdout) ? 1 : 0;
}
