/* Single values of a message, from JSON: what each type of field takes, and what is said when it does not. Any
 * thread. */
#include <errno.h>
#include <math.h>

#include "common/base/json_decode.h"

#define PATH_SHOWN 300 /* characters: the message must have room for what is wrong */

/* ---- errors ---- */

static void path_text(struct fl_buf *b, const struct json_path *p)
{
    if (!p || !p->up)
        return;
    path_text(b, p->up);
    if (!p->name) {
        fl_buf_addf(b, "[%zu]", p->index);
        return;
    }
    if (b->len)
        fl_buf_addc(b, '.');
    fl_buf_adds(b, p->name);
}

int json_dec_fail(struct json_dec *d, const struct json_path *path, const char *what)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    path_text(&b, path);
    if (b.len > PATH_SHOWN) {
        fl_buf_drain(&b, b.len - PATH_SHOWN);
        memcpy(b.data, "...", 3);
    }
    if (b.len == 0)
        return fl_err_set(d->in.err, FL_INVALID, "%s", what);
    return fl_err_set(d->in.err, FL_INVALID, "%s: %s", fl_buf_cstr(&b), what);
}

/* ---- values ---- */

/* A number, or a string that is one. */
static int read_number(struct json_dec *d, const struct json_path *path, int kind,
                       const char *expected, struct json_number *ret)
{
    struct json_in quoted = {0};
    struct json_slice slice;
    char text[NAME_SIZE];
    int r;

    if (kind == 0)
        return json_in_number(&d->in, ret);
    if (kind != '"')
        return json_dec_fail(d, path, expected);
    r = json_in_string(&d->in, &slice);
    if (r < 0)
        return r;
    if (json_slice_small(&slice, text, sizeof text) &&
        (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'))) {
        quoted.begin = quoted.p = text;
        quoted.end = text + strlen(text);
        if (json_in_number(&quoted, ret) == 0 && quoted.p == quoted.end)
            return 0;
    }
    return json_dec_fail(d, path, expected);
}

int json_dec_int(struct json_dec *d, const struct json_path *path, int kind, int64_t min,
                 int64_t max, int64_t *ret)
{
    struct json_number n;
    int r = read_number(d, path, kind, "expected an integer, or a string that is one", &n);
    int64_t v;

    if (r < 0)
        return r;
    if (!n.integer) {
        if (!(n.real > -9.3e18 && n.real < 9223372036854775808.0))
            return json_dec_fail(d, path, "the number is out of range");
        v = n.real < -9223372036854775808.0 ? INT64_MIN : (int64_t)n.real;
    } else if (n.magnitude > (uint64_t)INT64_MAX + n.negative) {
        return json_dec_fail(d, path, "the number is out of range");
    } else {
        v = n.negative ? (int64_t)(0 - n.magnitude) : (int64_t)n.magnitude;
    }
    if (v < min || v > max)
        return json_dec_fail(d, path, "the number is out of range");
    *ret = v;
    return 1;
}

int json_dec_u64(struct json_dec *d, const struct json_path *path, int kind, uint64_t *ret)
{
    struct json_number n;
    int r = read_number(d, path, kind, "expected an integer, or a string that is one", &n);

    if (r < 0)
        return r;
    if (n.integer && (!n.negative || n.magnitude == 0))
        *ret = n.magnitude;
    else if (!n.integer && n.real > -1 && n.real < 18446744073709551616.0)
        *ret = n.real < 0 ? 0 : (uint64_t)n.real;
    else
        return json_dec_fail(d, path, "the number is out of range");
    return 1;
}

int json_dec_double(struct json_dec *d, const struct json_path *path, int kind, double *ret)
{
    static const struct {
        const char *text;
        double value;
    } names[] = {{"\"Infinity\"", INFINITY}, {"\"-Infinity\"", -INFINITY}, {"\"NaN\"", NAN}};
    struct json_number n;
    int r;

    for (size_t i = 0; kind == '"' && i < ARRAY_SIZE(names); i++) {
        size_t len = strlen(names[i].text);

        if ((size_t)(d->in.end - d->in.p) >= len && memcmp(d->in.p, names[i].text, len) == 0) {
            d->in.p += len;
            *ret = names[i].value;
            return 1;
        }
    }
    r = read_number(d, path, kind, "expected a number, or a string that is one", &n);
    if (r < 0)
        return r;
    if (!isfinite(n.real))
        return json_dec_fail(d, path, "the number is out of range");
    *ret = n.real;
    return 1;
}

int json_dec_bool(struct json_dec *d, const struct json_path *path, int kind,
                  protobuf_c_boolean *ret)
{
    struct json_slice slice;
    char text[NAME_SIZE];
    int r;

    if (kind == 't' || kind == 'f') {
        r = json_in_literal(&d->in);
        *ret = r == 't';
        return r < 0 ? r : 1;
    }
    if (kind != '"')
        return json_dec_fail(d, path, "expected true or false");
    r = json_in_string(&d->in, &slice);
    if (r < 0)
        return r;
    if (!json_slice_small(&slice, text, sizeof text) ||
        !(streq(text, "true") || streq(text, "false")))
        return json_dec_fail(d, path, "expected true or false");
    *ret = text[0] == 't';
    return 1;
}

int json_dec_enum(struct json_dec *d, const struct json_path *path, int kind,
                  const ProtobufCFieldDescriptor *f, int *ret)
{
    char what[NAME_SIZE + 40], buf[NAME_SIZE];
    const char *text, *newer;
    struct json_slice slice;
    int r;

    if (kind != '"')
        return json_dec_fail(d, path, "expected the name of an enum value");
    r = json_in_string(&d->in, &slice);
    if (r < 0)
        return r;
    text = json_slice_small(&slice, buf, sizeof buf);
    if (!text)
        text = "...";
    newer = d->flags & FL_JSON_V0 ? json_v1_enum(text) : NULL;
    if (fl_enum_value(f->descriptor, newer ? newer : text, ret) == 0)
        return 1;
    if (f->label != PROTOBUF_C_LABEL_REQUIRED)
        return 0;
    (void)fl_snprintf(what, sizeof what, "unknown value '%s'", text);
    return json_dec_fail(d, path, what);
}

int json_dec_string(struct json_dec *d, const struct json_path *path, int kind, char **ret)
{
    struct json_slice slice;
    int r;

    if (kind != '"')
        return json_dec_fail(d, path, "expected a string");
    r = json_in_string(&d->in, &slice);
    if (r < 0)
        return r;
    *ret = json_dec_alloc(d, slice.len + 1);
    (void)json_slice_copy(&slice, *ret);
    return 1;
}

int json_dec_bytes(struct json_dec *d, const struct json_path *path, int kind,
                   ProtobufCBinaryData *ret)
{
    _cleanup_free_ char *copy = NULL;
    struct json_slice slice;
    uint8_t *data;
    int r;

    if (kind != '"')
        return json_dec_fail(d, path, "expected a string of base64");
    r = json_in_string(&d->in, &slice);
    if (r < 0)
        return r;
    if (!slice.plain) {
        copy = xmalloc(slice.len + 1);
        slice.len = json_slice_copy(&slice, copy);
        slice.raw = copy;
    }
    data = json_dec_alloc(d, slice.len / 4 * 3 + 3);
    if (json_base64_decode(slice.raw, slice.len, data, &ret->len) < 0) {
        json_dec_free(d, data);
        return json_dec_fail(d, path, "not valid base64");
    }
    ret->data = data;
    return 1;
}
