/* What the v1 endpoints share: content types, decoding on the I/O thread, the order of refusals
 * (features.md 1.0). */
#include "common/base/http_v1.h"

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

/* A range of an Accept header, without its parameters: does it take `type`? `q=0` refuses. */
static bool range_takes(const char *range, size_t n, const char *type)
{
    const char *semi = memchr(range, ';', n);
    size_t len = semi ? (size_t)(semi - range) : n;

    while (len && (range[len - 1] == ' ' || range[len - 1] == '\t'))
        len--;
    if (semi) {
        const char *q = memmem(semi, (size_t)(range + n - semi), "q=", 2);
        double v = 1;
        if (q) {
            _cleanup_free_ char *text = xstrndup(q + 2, (size_t)(range + n - q - 2));
            text[strcspn(text, "; \t")] = '\0';
            if (fl_parse_f64(text, &v) == 0 && v <= 0)
                return false;
        }
    }
    if (len == 3 && memcmp(range, "*/*", 3) == 0)
        return true;
    if (len == strlen("application/*") && strncasecmp(range, "application/*", len) == 0)
        return true;
    return len == strlen(type) && strncasecmp(range, type, len) == 0;
}

static bool accepts(const char *header, const char *type)
{
    for (const char *p = header; *p;) {
        size_t n = strcspn(p, ",");
        const char *s = p;
        size_t len = n;
        while (len && (*s == ' ' || *s == '\t')) {
            s++;
            len--;
        }
        if (len && range_takes(s, len, type))
            return true;
        p += n;
        if (*p == ',')
            p++;
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

    if (!c)
        return;
    fl_arena_free(c->arena);
    free(c);
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
    struct fl_arena *arena = fl_arena_new(r->body_len + 1024);
    if (json)
        rc = fl_json_to_pb(r->body, r->body_len, desc, 0, fl_arena_allocator(arena), &msg, err);
    else
        rc = fl_pb_decode(r->body, r->body_len, desc, fl_arena_allocator(arena), &msg, err);
    if (rc < 0) {
        fl_arena_free(arena);
        return NULL;
    }
    struct api_call *c = xnew0(struct api_call);
    c->arena = arena;
    c->msg = msg;
    c->encoding = json ? API_JSON : API_PROTOBUF;
    return c;
}

bool api_refuse_early(struct http_exchange *ex)
{
    const struct http_request *r = http_exchange_request(ex);

    if (r->method != HTTP_M_POST) {
        http_exchange_add_header(ex, "Allow", "POST");
        http_respondf(ex, 405, "text/plain", "Expecting 'POST', received '%s'", r->method_name);
        return true;
    }
    if (!r->decoded) {
        http_respond_err(ex, &r->decode_err);
        return true;
    }
    return false;
}
