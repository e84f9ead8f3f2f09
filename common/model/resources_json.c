/* Resources in the JSON endpoints: the summary object and the full list. Pure. */
#include "common/model/resources_internal.h"

/* Items whose amounts are shown under one key: one name, revocable or not, and one type. */
static bool same_key(const struct kind *a, const struct kind *b)
{
    return a->name == b->name && a->revocable == b->revocable && a->type == b->type;
}

static void put_key(const struct kind *k, struct json_out *j)
{
    if (!k->revocable) {
        json_key(j, k->name);
        return;
    }
    _cleanup_buf_ struct fl_buf key = FL_BUF_INIT;
    fl_buf_adds(&key, k->name);
    fl_buf_adds(&key, "_revocable");
    json_key(j, fl_buf_cstr(&key));
}

/* The sum of all from the i-th on that share its key. */
static void sum_from(const struct resources *r, size_t i, struct value *ret)
{
    const struct kind *k = r->items[i].kind;
    value_copy(ret, &r->items[i].value, k->type);
    for (size_t j = i + 1; j < r->n; j++)
        if (same_key(r->items[j].kind, k))
            value_add(ret, &r->items[j].value, k->type);
}

static void put_sum(const struct resources *r, size_t i, struct json_out *j)
{
    const struct kind *k = r->items[i].kind;
    struct value sum;
    sum_from(r, i, &sum);
    put_key(k, j);
    if (k->type == V1__VALUE__TYPE__SCALAR) {
        json_double(j, milli_to_double(sum.scalar));
    } else {
        _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
        value_format(&sum, k->type, &text);
        json_stringn(j, text.data, text.len);
    }
    value_done(&sum, k->type);
}

static bool is_plain_scalar(const struct kind *k, const char *name)
{
    return k->type == V1__VALUE__TYPE__SCALAR && !k->revocable && streq(k->name, name);
}

void resources_json_summary(const struct resources *r, struct json_out *j)
{
    static const char *const always[] = {"cpus", "gpus", "mem", "disk"};
    json_object(j);
    for (size_t a = 0; a < ARRAY_SIZE(always); a++) {
        milli_t sum = 0;
        for (size_t i = 0; i < r->n; i++)
            if (is_plain_scalar(r->items[i].kind, always[a]) &&
                __builtin_add_overflow(sum, r->items[i].value.scalar, &sum))
                sum = INT64_MAX;
        json_kdouble(j, always[a], milli_to_double(sum));
    }
    for (size_t i = 0; i < r->n; i++) {
        const struct kind *k = r->items[i].kind;
        bool told = false;
        for (size_t a = 0; !told && a < ARRAY_SIZE(always); a++)
            told = is_plain_scalar(k, always[a]);
        for (size_t before = 0; !told && before < i; before++)
            told = same_key(r->items[before].kind, k);
        if (!told)
            put_sum(r, i, j);
    }
    json_end_object(j);
}

void resources_json_full(const struct resources *r, struct json_out *j, unsigned json_flags)
{
    json_array(j);
    if (r->n) {
        _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
        for (size_t i = 0; i < r->n; i++) {
            const V1__Resource *pb = resource_to_pb(&r->items[i], RESOURCES_ENDPOINT, true, arena);
            json_pb(j, &pb->base, json_flags);
        }
    }
    json_end_array(j);
}
