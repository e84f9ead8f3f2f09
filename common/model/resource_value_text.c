/* Values as text, both ways: "4", "[1-2,5-6]", "{a,b}". Pure. */
#include <math.h>

#include "common/model/resource_value.h"

static void format_scalar(int64_t milli, struct fl_buf *out)
{
    fl_buf_addf(out, "%lld", (long long)(milli / 1000));
    int rest = (int)(milli % 1000);
    if (rest == 0)
        return;
    char digits[8];
    fl_snprintf(digits, sizeof(digits), ".%03d", rest);
    size_t n = strlen(digits);
    while (digits[n - 1] == '0')
        n--;
    fl_buf_add(out, digits, n);
}

void value_format(const struct value *v, V1__Value__Type type, struct fl_buf *out)
{
    if (type == V1__VALUE__TYPE__SCALAR) {
        format_scalar(v->scalar, out);
        return;
    }
    bool ranges = type == V1__VALUE__TYPE__RANGES;
    fl_buf_addc(out, ranges ? '[' : '{');
    for (uint32_t i = 0; i < v->n; i++) {
        if (i)
            fl_buf_adds(out, ", ");
        if (ranges)
            fl_buf_addf(out, "%llu-%llu", (unsigned long long)v->ranges[i].begin,
                        (unsigned long long)v->ranges[i].end);
        else
            fl_buf_adds(out, v->items[i]);
    }
    fl_buf_addc(out, ranges ? ']' : '}');
}

/* Words of `text` between any of `separators`; empty ones are skipped. The words point into `text`,
 * which is cut up. */
static size_t split_words(char *text, const char *separators, char ***ret_words)
{
    char **words = NULL;
    size_t n = 0, cap = 0;
    for (char *p = text; *p;) {
        p += strspn(p, separators);
        if (!*p)
            break;
        words = xgrow(words, &cap, n + 1, sizeof(*words));
        words[n++] = p;
        p += strcspn(p, separators);
        if (*p)
            *p++ = 0;
    }
    *ret_words = words;
    return n;
}

static int parse_ranges(char *text, struct value *ret, struct fl_err *err)
{
    _cleanup_free_ char **words = NULL;
    size_t n = split_words(text, "[]-,\n", &words);
    if (n % 2 != 0)
        return fl_err_set(err, FL_INVALID, "expected pairs 'begin-end' in the ranges");
    _cleanup_free_ struct range *v = xcalloc(n / 2 + 1, sizeof(*v));
    for (size_t i = 0; i < n; i += 2) {
        struct range *r = &v[i / 2];
        if (fl_parse_u64(words[i], &r->begin) < 0 || fl_parse_u64(words[i + 1], &r->end) < 0)
            return fl_err_set(err, FL_INVALID, "'%s-%s' is not a range of non-negative integers",
                              words[i], words[i + 1]);
        if (r->begin > r->end)
            return fl_err_set(err, FL_INVALID, "range [%s-%s] begins after its end", words[i],
                              words[i + 1]);
    }
    *ret = (struct value){.n = (uint32_t)ranges_normalise(v, n / 2)};
    ret->ranges = TAKE_PTR(v);
    return 0;
}

static int parse_set(char *text, struct value *ret, struct fl_err *err)
{
    _cleanup_free_ char **words = NULL;
    size_t n = split_words(text, "{},\n", &words);
    V1__Value__Set pb = V1__VALUE__SET__INIT;
    pb.n_item = n;
    pb.item = words;
    return value_from_set(&pb, ret, err);
}

static bool brackets_match(const char *s, char open, char close)
{
    int depth = 0;
    for (; *s; s++) {
        depth += *s == open;
        depth -= *s == close;
        if (depth < 0)
            return false;
    }
    return depth == 0;
}

static int parse_number_or_text(char **text, V1__Value__Type *ret_type, struct value *ret,
                                char **ret_text, struct fl_err *err)
{
    double d = 0;
    if (fl_parse_f64(*text, &d) == 0 && isfinite(d) && d >= 0) {
        if (fpclassify(d) == FP_SUBNORMAL)
            return fl_err_set(err, FL_INVALID, "'%s' is a subnormal number", *text);
        int rc = value_from_scalar(d, ret, err);
        if (rc == 0)
            *ret_type = V1__VALUE__TYPE__SCALAR;
        return rc;
    }
    *ret_type = V1__VALUE__TYPE__TEXT;
    *ret_text = TAKE_PTR(*text);
    return 0;
}

int value_parse(const char *text, size_t n, V1__Value__Type *ret_type, struct value *ret,
                char **ret_text, struct fl_err *err)
{
    _cleanup_free_ char *s = xmalloc(n + 1);
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        if (text[i] != ' ')
            s[len++] = text[i];
    s[len] = 0;
    if (len == 0)
        return fl_err_set(err, FL_INVALID, "the value is empty");
    if (!brackets_match(s, '{', '}') || !brackets_match(s, '[', ']') ||
        !brackets_match(s, '(', ')'))
        return fl_err_set(err, FL_INVALID, "brackets do not match in '%s'", s);
    int rc;
    if (s[0] == '[') {
        rc = parse_ranges(s, ret, err);
        if (rc == 0)
            *ret_type = V1__VALUE__TYPE__RANGES;
    } else if (s[0] == '{' && !strchr(s, '[')) {
        rc = parse_set(s, ret, err);
        if (rc == 0)
            *ret_type = V1__VALUE__TYPE__SET;
    } else if (strpbrk(s, "[{")) {
        rc = fl_err_set(err, FL_INVALID, "unexpected bracket in '%s'", s);
    } else {
        rc = parse_number_or_text(&s, ret_type, ret, ret_text, err);
    }
    return rc;
}
