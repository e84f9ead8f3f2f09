/* What the v1 endpoints share: content types, decoding on the I/O thread, the order of refusals
 * (features.md 1.0). */
#include "common/base/http_v1.h"

#include <ctype.h>
#include <strings.h>

#define TYPE_JSON     "application/json"
#define TYPE_PROTOBUF "application/x-protobuf"

const char *api_content_type(enum api_encoding e)
{
    return e == API_JSON ? TYPE_JSON : TYPE_PROTOBUF;
}

void api_encode(struct fl_buf *out, const ProtobufCMessage *m, enum api_encoding e)
{
    if (e == API_JSON)
        fl_json_from_pb(out, m, FL_JSON_DEFAULTS);
    else
        fl_buf_pack(out, m);
}

static void copy_without_blanks(char *to, const char *from, size_t n)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++)
        if (from[i] != ' ' && from[i] != '\t')
            to[len++] = from[i];
    to[len] = '\0';
}

static bool is_refused(const char *params)
{
    double q;

    for (const char *p = params; *p; p += strcspn(p, ";")) {
        p += strspn(p, ";");
        if (strncmp(p, "q=", 2) == 0) {
            _cleanup_free_ char *text = xstrndup(p + 2, strcspn(p + 2, ";"));
            return fl_parse_f64(text, &q) < 0 || q <= 0;
        }
    }
    return false;
}

/* The first range of `header` that names `wanted` decides: 1 takes it, 0 refuses it, -1 says nothing. */
static int verdict(const char *header, const char *wanted)
{
    for (const char *p = header; *p;) {
        size_t n = strcspn(p, ",");
        _cleanup_free_ char *range = xmalloc(n + 1);
        copy_without_blanks(range, p, n);
        size_t type_len = strcspn(range, ";");
        if (type_len == strlen(wanted) && strncasecmp(range, wanted, type_len) == 0)
            return !is_refused(range + type_len);
        p += n;
        p += *p == ',';
    }
    return -1;
}

/* The more exact range counts, wherever it stands: a type refused by its name stays refused when
 * everything else is welcome. */
static bool accepts(const char *header, const char *type)
{
    const char *const candidates[] = {type, "application/*", "*/*"};

    for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
        int v = verdict(header, candidates[i]);
        if (v >= 0)
            return v;
    }
    return false;
}

int api_accept(const struct http_request *r, enum api_encoding *ret_encoding)
{
    const char *header = http_request_header(r, "Accept");

    if (!header || !*header || accepts(header, TYPE_JSON)) {
        *ret_encoding = API_JSON;
        return 0;
    }
    if (accepts(header, TYPE_PROTOBUF)) {
        *ret_encoding = API_PROTOBUF;
        return 0;
    }
    return -1;
}

void api_call_free(void *call)
{
    struct api_call *c = call;

    if (c && c->owns_arena)
        fl_arena_free(c->arena);
}

void *api_decode(const struct http_request *r, const ProtobufCMessageDescriptor *desc,
                 struct fl_err *err)
{
    const char *type = http_request_header(r, "Content-Type");
    ProtobufCMessage *msg = NULL;
    int rc;

    if (r->method != HTTP_M_POST)
        return NULL;
    if (!type) {
        fl_err_set(err, FL_INVALID, "Expecting 'Content-Type' to be present");
        return NULL;
    }
    bool json = streq(type, TYPE_JSON);
    if (!json && !streq(type, TYPE_PROTOBUF)) {
        fl_err_set(err, FL_UNSUPPORTED, "Expecting 'Content-Type' of '%s' or '%s'", TYPE_JSON,
                   TYPE_PROTOBUF);
        return NULL;
    }
    struct fl_arena *own = r->arena ? NULL : fl_arena_new(r->body_len + 1024);
    struct fl_arena *arena = r->arena ? r->arena : own;
    if (json)
        rc = fl_json_to_pb(r->body, r->body_len, desc, 0, fl_arena_allocator(arena), &msg, err);
    else
        rc = fl_pb_decode(r->body, r->body_len, desc, fl_arena_allocator(arena), &msg, err);
    if (rc < 0) {
        fl_arena_free(own);
        return NULL;
    }
    struct api_call *c = fl_arena_alloc(arena, sizeof *c);
    *c = (struct api_call){arena, own != NULL, msg, json ? API_JSON : API_PROTOBUF};
    return c;
}

int api_check_part(const ProtobufCMessage *call, const char *type, struct fl_err *err)
{
    char name[64];
    const ProtobufCFieldDescriptor *f;
    size_t i;

    for (i = 0; type[i] && i < sizeof(name) - 1; i++)
        name[i] = (char)tolower((unsigned char)type[i]);
    name[i] = '\0';
    f = protobuf_c_message_descriptor_get_field_by_name(call->descriptor, name);
    if (!f || f->type != PROTOBUF_C_TYPE_MESSAGE ||
        *(void *const *)((const char *)call + f->offset))
        return 0;
    return fl_err_set(err, FL_INVALID, "Expecting '%s' to be present", name);
}

void api_refuse_method(struct http_exchange *ex, const char *allowed)
{
    _cleanup_buf_ struct fl_buf quoted = FL_BUF_INIT;

    for (const char *p = allowed; *p; p += strspn(p, ", ")) {
        size_t n = strcspn(p, ",");
        fl_buf_addf(&quoted, "%s'%.*s'", quoted.len ? ", " : "", (int)n, p);
        p += n;
    }
    http_exchange_add_header(ex, "Allow", allowed);
    http_respondf(ex, 405, HTTP_TEXT,
                  "405 Method Not Allowed. Expecting one of { %s }, but received '%s'.",
                  fl_buf_cstr(&quoted), http_exchange_request(ex)->method_name);
}

bool api_refuse_early(struct http_exchange *ex)
{
    const struct http_request *r = http_exchange_request(ex);

    if (r->method != HTTP_M_POST) {
        api_refuse_method(ex, "POST");
        return true;
    }
    if (!r->decoded) {
        http_respond_err(ex, &r->decode_err);
        return true;
    }
    return false;
}
