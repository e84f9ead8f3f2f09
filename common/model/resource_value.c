/* The arithmetic of values: scalars, ranges and sets. Pure; both operands of a two-sided function
 * are normalised. */
#include "common/model/resource_value.h"

#include <math.h>

static int compare_ranges(const void *x, const void *y)
{
    const struct range *a = x, *b = y;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

static int compare_items(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

/* Joins neighbours of a sorted array. */
static size_t coalesce(struct range *v, size_t n)
{
    if (n == 0)
        return 0;
    size_t last = 0;
    for (size_t i = 1; i < n; i++) {
        if (v[i].begin <= v[last].end || v[i].begin - 1 == v[last].end)
            v[last].end = FL_MAX(v[last].end, v[i].end);
        else
            v[++last] = v[i];
    }
    return last + 1;
}

size_t ranges_normalise(struct range *v, size_t n)
{
    if (n > 1)
        qsort(v, n, sizeof(*v), compare_ranges);
    return coalesce(v, n);
}

void value_done(struct value *v, V1__Value__Type type)
{
    if (type == V1__VALUE__TYPE__RANGES)
        free(v->ranges);
    if (type == V1__VALUE__TYPE__SET) {
        for (uint32_t i = 0; i < v->n; i++)
            free(v->items[i]);
        free(v->items);
    }
    *v = (struct value){.n = 0};
}

void value_copy(struct value *dst, const struct value *src, V1__Value__Type type)
{
    *dst = *src;
    if (type == V1__VALUE__TYPE__RANGES)
        dst->ranges = src->n ? xmemdup(src->ranges, src->n * sizeof(*src->ranges)) : NULL;
    if (type == V1__VALUE__TYPE__SET) {
        dst->items = src->n ? xcalloc(src->n, sizeof(*src->items)) : NULL;
        for (uint32_t i = 0; i < src->n; i++)
            dst->items[i] = xstrdup(src->items[i]);
    }
}

bool value_empty(const struct value *v, V1__Value__Type type)
{
    return type == V1__VALUE__TYPE__SCALAR ? v->scalar <= 0 : v->n == 0;
}

bool value_equal(const struct value *a, const struct value *b, V1__Value__Type type)
{
    if (type == V1__VALUE__TYPE__SCALAR)
        return a->scalar == b->scalar;
    if (a->n != b->n)
        return false;
    if (type == V1__VALUE__TYPE__RANGES)
        return a->n == 0 || memcmp(a->ranges, b->ranges, a->n * sizeof(*a->ranges)) == 0;
    for (uint32_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

static bool contains_ranges(const struct value *a, const struct value *b)
{
    uint32_t i = 0;
    for (uint32_t j = 0; j < b->n; j++) {
        while (i < a->n && a->ranges[i].end < b->ranges[j].begin)
            i++;
        if (i == a->n || a->ranges[i].begin > b->ranges[j].begin ||
            a->ranges[i].end < b->ranges[j].end)
            return false;
    }
    return true;
}

static bool contains_set(const struct value *a, const struct value *b)
{
    uint32_t i = 0;
    for (uint32_t j = 0; j < b->n; j++) {
        int order = 1;
        while (i < a->n && (order = strcmp(a->items[i], b->items[j])) < 0)
            i++;
        if (i == a->n || order != 0)
            return false;
    }
    return true;
}

bool value_contains(const struct value *a, const struct value *b, V1__Value__Type type)
{
    switch (type) {
    case V1__VALUE__TYPE__SCALAR:
        return a->scalar >= b->scalar;
    case V1__VALUE__TYPE__RANGES:
        return contains_ranges(a, b);
    default:
        return contains_set(a, b);
    }
}

static void add_ranges(struct value *a, const struct value *b)
{
    if (b->n == 0)
        return;
    struct range *out = xmalloc((a->n + (size_t)b->n) * sizeof(*out));
    size_t i = 0, j = 0, n = 0;
    while (i < a->n || j < b->n) {
        bool left = j == b->n || (i < a->n && compare_ranges(&a->ranges[i], &b->ranges[j]) <= 0);
        out[n++] = left ? a->ranges[i++] : b->ranges[j++];
    }
    free(a->ranges);
    a->ranges = out;
    a->n = (uint32_t)coalesce(out, n);
}

static void add_set(struct value *a, const struct value *b)
{
    if (b->n == 0)
        return;
    char **out = xcalloc(a->n + (size_t)b->n, sizeof(*out));
    uint32_t i = 0, j = 0, n = 0;
    while (i < a->n || j < b->n) {
        int order = i == a->n ? 1 : j == b->n ? -1 : strcmp(a->items[i], b->items[j]);
        out[n++] = order <= 0 ? a->items[i++] : xstrdup(b->items[j]);
        j += order >= 0;
    }
    free(a->items);
    a->items = out;
    a->n = n;
}

static int64_t add_saturated(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void value_add(struct value *a, const struct value *b, V1__Value__Type type)
{
    if (type == V1__VALUE__TYPE__RANGES)
        add_ranges(a, b);
    else if (type == V1__VALUE__TYPE__SET)
        add_set(a, b);
    else
        a->scalar = add_saturated(a->scalar, b->scalar);
}

static void subtract_ranges(struct value *a, const struct value *b)
{
    if (a->n == 0 || b->n == 0)
        return;
    /* Each range of b can split at most one of a. */
    struct range *out = xmalloc((a->n + (size_t)b->n) * sizeof(*out));
    uint32_t n = 0, j = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        struct range rest = a->ranges[i];
        bool left = true;
        while (j < b->n && b->ranges[j].end < rest.begin)
            j++;
        for (; left && j < b->n && b->ranges[j].begin <= rest.end; j++) {
            if (b->ranges[j].begin > rest.begin)
                out[n++] = (struct range){rest.begin, b->ranges[j].begin - 1};
            if (b->ranges[j].end >= rest.end) {
                left = false;
                break;
            }
            rest.begin = b->ranges[j].end + 1;
        }
        if (left)
            out[n++] = rest;
    }
    free(a->ranges);
    a->ranges = out;
    a->n = n;
}

static void subtract_set(struct value *a, const struct value *b)
{
    uint32_t j = 0, n = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        while (j < b->n && strcmp(b->items[j], a->items[i]) < 0)
            j++;
        if (j < b->n && strcmp(b->items[j], a->items[i]) == 0)
            free(a->items[i]);
        else
            a->items[n++] = a->items[i];
    }
    a->n = n;
}

void value_subtract(struct value *a, const struct value *b, V1__Value__Type type)
{
    if (type == V1__VALUE__TYPE__RANGES)
        subtract_ranges(a, b);
    else if (type == V1__VALUE__TYPE__SET)
        subtract_set(a, b);
    else
        a->scalar = a->scalar > b->scalar ? a->scalar - b->scalar : 0;
}

int value_from_scalar(double d, struct value *ret, struct fl_err *err)
{
    if (!isfinite(d))
        return fl_err_set(err, FL_INVALID, "the value is not a finite number");
    if (d > VALUE_SCALAR_MAX)
        return fl_err_set(err, FL_INVALID, "the value %g is too large (the most is %g)", d,
                          VALUE_SCALAR_MAX);
    int64_t milli = llround(d * 1000.0);
    /* Zero stands for nothing; what is not zero must not vanish in rounding. */
    if (d != 0 && milli <= 0)
        return fl_err_set(err, FL_INVALID, "the value %g is not above zero in thousandths", d);
    *ret = (struct value){.scalar = milli};
    return 0;
}

int value_from_ranges(const V1__Value__Ranges *pb, struct value *ret, struct fl_err *err)
{
    size_t n = pb->n_range;
    _cleanup_free_ struct range *v = xcalloc(n + 1, sizeof(*v));
    for (size_t i = 0; i < n; i++) {
        v[i] = (struct range){pb->range[i]->begin, pb->range[i]->end};
        if (v[i].begin > v[i].end)
            return fl_err_set(err, FL_INVALID, "range [%llu-%llu] begins after its end",
                              (unsigned long long)v[i].begin, (unsigned long long)v[i].end);
    }
    if (n > 1)
        qsort(v, n, sizeof(*v), compare_ranges);
    for (size_t i = 1; i < n; i++)
        if (v[i].begin <= v[i - 1].end)
            return fl_err_set(err, FL_INVALID, "ranges overlap at %llu",
                              (unsigned long long)v[i].begin);
    *ret = (struct value){.n = (uint32_t)coalesce(v, n)};
    ret->ranges = TAKE_PTR(v);
    return 0;
}

int value_from_set(const V1__Value__Set *pb, struct value *ret, struct fl_err *err)
{
    size_t n = pb->n_item;
    _cleanup_free_ char **v = xcalloc(n + 1, sizeof(*v));
    for (size_t i = 0; i < n; i++)
        v[i] = pb->item[i];
    if (n > 1)
        qsort(v, n, sizeof(*v), compare_items);
    for (size_t i = 1; i < n; i++)
        if (strcmp(v[i - 1], v[i]) == 0)
            return fl_err_set(err, FL_INVALID, "the set has '%s' twice", v[i]);
    for (size_t i = 0; i < n; i++)
        v[i] = xstrdup(v[i]);
    *ret = (struct value){.n = (uint32_t)n};
    ret->items = TAKE_PTR(v);
    return 0;
}

V1__Value__Scalar *value_to_scalar(const struct value *v, struct fl_arena *arena)
{
    V1__Value__Scalar *pb = fl_arena_alloc(arena, sizeof(*pb));
    v1__value__scalar__init(pb);
    pb->value = (double)v->scalar / 1000.0;
    return pb;
}

V1__Value__Ranges *value_to_ranges(const struct value *v, struct fl_arena *arena)
{
    V1__Value__Ranges *pb = fl_arena_alloc(arena, sizeof(*pb));
    v1__value__ranges__init(pb);
    pb->n_range = v->n;
    pb->range = fl_arena_alloc(arena, (v->n + 1) * sizeof(*pb->range));
    for (uint32_t i = 0; i < v->n; i++) {
        pb->range[i] = fl_arena_alloc(arena, sizeof(**pb->range));
        v1__value__range__init(pb->range[i]);
        pb->range[i]->begin = v->ranges[i].begin;
        pb->range[i]->end = v->ranges[i].end;
    }
    return pb;
}

V1__Value__Set *value_to_set(const struct value *v, struct fl_arena *arena)
{
    V1__Value__Set *pb = fl_arena_alloc(arena, sizeof(*pb));
    v1__value__set__init(pb);
    pb->n_item = v->n;
    pb->item = fl_arena_alloc(arena, (v->n + 1) * sizeof(*pb->item));
    for (uint32_t i = 0; i < v->n; i++)
        pb->item[i] = fl_arena_strdup(arena, v->items[i]);
    return pb;
}
