/* Attributes of agents: text, JSON, comparing. Pure. */
#include "common/model/attributes.h"

#include "common/model/resource_value.h"

/* ---- text ---- */

static void set_value(V1__Attribute *a, V1__Value__Type type, const struct value *value,
                      const char *words, struct fl_arena *arena)
{
    a->type = type;
    if (type == V1__VALUE__TYPE__SCALAR) {
        a->scalar = value_to_scalar(value, arena);
    } else if (type == V1__VALUE__TYPE__RANGES) {
        a->ranges = value_to_ranges(value, arena);
    } else {
        a->text = fl_arena_alloc(arena, sizeof(*a->text));
        v1__value__text__init(a->text);
        a->text->value = fl_arena_strdup(arena, words);
    }
}

static int parse_pair(const char *pair, size_t n, struct fl_arena *arena, V1__Attribute **ret,
                      struct fl_err *err)
{
    const char *colon = memchr(pair, ':', n);
    if (!colon || colon == pair || colon + 1 == pair + n)
        return fl_err_set(err, FL_INVALID, "attribute '%.*s' is not of the form name:value",
                          (int)FL_MIN(n, 200u), pair);
    V1__Value__Type type;
    struct value value = {.n = 0};
    _cleanup_free_ char *words = NULL, *name = xstrndup(pair, (size_t)(colon - pair));
    int rc = value_parse(colon + 1, (size_t)(pair + n - colon - 1), &type, &value, &words, err);
    if (rc == 0 && type == V1__VALUE__TYPE__SET) {
        value_done(&value, type);
        rc = fl_err_set(err, FL_INVALID, "sets are not supported");
    }
    if (rc < 0) {
        fl_err_wrap(err, "attribute '%.100s' is invalid", name);
        return rc;
    }
    V1__Attribute *a = fl_arena_alloc(arena, sizeof(*a));
    v1__attribute__init(a);
    a->name = fl_arena_strdup(arena, name);
    set_value(a, type, &value, words, arena);
    if (type != V1__VALUE__TYPE__TEXT)
        value_done(&value, type);
    *ret = a;
    return 0;
}

int attributes_parse(const char *text, struct fl_arena *arena, V1__Attribute ***ret_attributes,
                     size_t *ret_n, struct fl_err *err)
{
    V1__Attribute **list =
        fl_arena_alloc(arena, (strlen(text) / 2 + 1) * sizeof(*list)); /* a pair has 3 letters */
    size_t n = 0;
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, ";\n");
        if (len) {
            int rc = parse_pair(p, len, arena, &list[n], err);
            if (rc < 0)
                return rc;
            n++;
        }
        p += len + (p[len] != 0);
    }
    *ret_attributes = list;
    *ret_n = n;
    return 0;
}

/* ---- JSON ---- */

static void put_ranges(const V1__Value__Ranges *ranges, struct json_out *j)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    fl_buf_addc(&text, '[');
    for (size_t i = 0; ranges && i < ranges->n_range; i++)
        fl_buf_addf(&text, "%s%llu-%llu", i ? ", " : "",
                    (unsigned long long)ranges->range[i]->begin,
                    (unsigned long long)ranges->range[i]->end);
    fl_buf_addc(&text, ']');
    json_stringn(j, text.data, text.len);
}

void attributes_json(V1__Attribute *const *a, size_t n, struct json_out *j)
{
    json_object(j);
    for (size_t i = 0; i < n; i++) {
        bool again = false; /* of one name the last is shown */
        for (size_t k = i + 1; !again && k < n; k++)
            again = streq(a[i]->name, a[k]->name);
        if (again)
            continue;
        if (a[i]->type == V1__VALUE__TYPE__SCALAR && a[i]->scalar) {
            json_kdouble(j, a[i]->name, a[i]->scalar->value);
        } else if (a[i]->type == V1__VALUE__TYPE__RANGES) {
            json_key(j, a[i]->name);
            put_ranges(a[i]->ranges, j);
        } else if (a[i]->type == V1__VALUE__TYPE__TEXT && a[i]->text) {
            json_kstr(j, a[i]->name, a[i]->text->value);
        }
    }
    json_end_object(j);
}

/* ---- comparing ---- */

static bool scalars_equal(const V1__Value__Scalar *a, const V1__Value__Scalar *b)
{
    struct value x, y;
    if (!a || !b)
        return a == b;
    if (value_from_scalar(a->value, &x, NULL) < 0 || value_from_scalar(b->value, &y, NULL) < 0)
        return fl_pb_equal(&a->base, &b->base);
    return x.scalar == y.scalar;
}

static bool ranges_equal(const V1__Value__Ranges *a, const V1__Value__Ranges *b)
{
    struct value x = {.n = 0}, y = {.n = 0};
    if (!a || !b)
        return a == b;
    bool valid = value_from_ranges(a, &x, NULL) == 0 && value_from_ranges(b, &y, NULL) == 0;
    bool equal =
        valid ? value_equal(&x, &y, V1__VALUE__TYPE__RANGES) : fl_pb_equal(&a->base, &b->base);
    value_done(&x, V1__VALUE__TYPE__RANGES);
    value_done(&y, V1__VALUE__TYPE__RANGES);
    return equal;
}

static bool attribute_equal(const V1__Attribute *a, const V1__Attribute *b)
{
    if (a->type != b->type || !streq(a->name, b->name))
        return false;
    switch (a->type) {
    case V1__VALUE__TYPE__SCALAR:
        return scalars_equal(a->scalar, b->scalar);
    case V1__VALUE__TYPE__RANGES:
        return ranges_equal(a->ranges, b->ranges);
    default:
        return fl_pb_equal(&a->base, &b->base);
    }
}

static bool all_in(V1__Attribute *const *a, size_t na, V1__Attribute *const *b, size_t nb)
{
    for (size_t i = 0; i < na; i++) {
        size_t j = 0;
        while (j < nb && !attribute_equal(a[i], b[j]))
            j++;
        if (j == nb)
            return false;
    }
    return true;
}

bool attributes_equal(V1__Attribute *const *a, size_t na, V1__Attribute *const *b, size_t nb)
{
    return na == nb && all_in(a, na, b, nb) && all_in(b, nb, a, na);
}

char *attribute_text(V1__Attribute *const *a, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (!streq(a[i]->name, name))
            continue;
        if (a[i]->text)
            return xstrdup(a[i]->text->value);
        return a[i]->scalar ? xasprintf("%.10g", a[i]->scalar->value) : NULL;
    }
    return NULL;
}
