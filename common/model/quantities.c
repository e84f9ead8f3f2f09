/* Amounts by name (quantities.h): a sorted array, for there are seldom more than five. */
#include "common/model/quantities.h"

#include "common/model/intern.h"
#include "common/model/resources_internal.h"

void quantities_done(struct quantities *q)
{
    free(q->items);
    *q = (struct quantities)QUANTITIES_INIT;
}

void quantities_copy(struct quantities *dst, const struct quantities *src)
{
    dst->n = 0;
    quantities_add(dst, src);
}

/* Where the name is, or would stand. */
static size_t place(const struct quantities *q, const char *name, bool *ret_there)
{
    size_t i = 0;
    int c = 1;

    while (i < q->n && (c = strcmp(q->items[i].name, name)) < 0)
        i++;
    *ret_there = i < q->n && c == 0;
    return i;
}

static struct quantity *get(struct quantities *q, const char *name)
{
    bool there;
    size_t i = place(q, name, &there);

    if (there)
        return &q->items[i];
    q->items = xgrow(q->items, &q->cap, q->n + 1, sizeof(*q->items));
    memmove(q->items + i + 1, q->items + i, (q->n - i) * sizeof(*q->items));
    q->items[i] = (struct quantity){.name = intern(name)};
    q->n++;
    return &q->items[i];
}

void quantities_set(struct quantities *q, const char *name, milli_t amount)
{
    get(q, name)->amount = amount;
}

void quantities_remove(struct quantities *q, const char *name)
{
    bool there;
    size_t i = place(q, name, &there);

    if (!there)
        return;
    q->n--;
    memmove(q->items + i, q->items + i + 1, (q->n - i) * sizeof(*q->items));
}

const struct quantity *quantities_find(const struct quantities *q, const char *name)
{
    bool there;
    size_t i = place(q, name, &there);

    return there ? &q->items[i] : NULL;
}

milli_t quantities_get(const struct quantities *q, const char *name)
{
    const struct quantity *found = quantities_find(q, name);

    return found ? found->amount : 0;
}

milli_t quantities_change(struct quantities *q, const char *name, milli_t by)
{
    return get(q, name)->amount += by;
}

void quantities_drop_zeros(struct quantities *q)
{
    size_t n = 0;

    for (size_t i = 0; i < q->n; i++)
        if (q->items[i].amount > 0)
            q->items[n++] = q->items[i];
    q->n = n;
}

void quantities_add(struct quantities *a, const struct quantities *b)
{
    for (size_t i = 0; i < b->n; i++)
        get(a, b->items[i].name)->amount += b->items[i].amount;
}

void quantities_subtract(struct quantities *a, const struct quantities *b)
{
    for (size_t i = 0; i < b->n; i++)
        get(a, b->items[i].name)->amount -= b->items[i].amount;
}

bool quantities_contains(const struct quantities *a, const struct quantities *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (quantities_get(a, b->items[i].name) < b->items[i].amount)
            return false;
    return true;
}

bool quantities_equal(const struct quantities *a, const struct quantities *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!streq(a->items[i].name, b->items[i].name) || a->items[i].amount != b->items[i].amount)
            return false;
    return true;
}

static void add_scalar(const char *name, milli_t sum, void *arg)
{
    get(arg, name)->amount += sum;
}

void quantities_add_resources(struct quantities *q, const struct resources *r)
{
    resources_each_scalar(r, add_scalar, q);
}

static milli_t count(const struct resource *item)
{
    milli_t n = 0;

    switch (item->kind->type) {
    case V1__VALUE__TYPE__SCALAR:
        return item->value.scalar;
    case V1__VALUE__TYPE__RANGES:
        for (uint32_t i = 0; i < item->value.n; i++)
            n += (milli_t)FL_MIN(item->value.ranges[i].end - item->value.ranges[i].begin,
                                 (uint64_t)INT32_MAX) +
                 1;
        return n * MILLI_ONE;
    default:
        return (milli_t)item->value.n * MILLI_ONE;
    }
}

void resources_each_counted(const struct resources *r,
                            void (*fn)(const struct counted_item *item, void *arg), void *arg)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct kind *k = r->items[i].kind;
        struct counted_item item = {
            .name = k->name,
            .amount = count(&r->items[i]),
            .allocated_to = k->allocation,
            .reserved_to = k->role,
            .shared = k->shared,
            .revocable = k->revocable,
        };
        fn(&item, arg);
    }
}

/* ---- text ---- */

static int parse_one(char *item, const char *text, struct quantities *q, struct fl_err *err)
{
    char *colon = strchr(item, ':');
    double v;

    if (colon)
        *colon = '\0';
    if (!colon || colon == item || fl_parse_f64(colon + 1, &v) < 0 || !(v >= 0) || v > 1e15)
        return fl_err_set(err, FL_INVALID, "'%s': '%s' is no NAME:AMOUNT with an amount from 0 up",
                          text, item);
    if (quantities_find(q, item))
        return fl_err_set(err, FL_INVALID, "'%s' names '%s' twice", text, item);
    quantities_set(q, item, milli_from_double(v));
    return 0;
}

int quantities_parse(const char *text, struct quantities *out, struct fl_err *err)
{
    _cleanup_quantities_ struct quantities q = QUANTITIES_INIT;

    for (const char *p = text; *p;) {
        const char *end = strchrnul(p, ';'), *from = p, *to = end;
        int r;

        while (from < to && *from == ' ')
            from++;
        while (to > from && to[-1] == ' ')
            to--;
        if (to > from) {
            _cleanup_free_ char *item = xstrndup(from, (size_t)(to - from));
            r = parse_one(item, text, &q, err);
            if (r < 0)
                return r;
        }
        p = *end ? end + 1 : end;
    }
    quantities_done(out);
    *out = q;
    q = (struct quantities)QUANTITIES_INIT;
    return 0;
}

void quantities_format(const struct quantities *q, struct fl_buf *out)
{
    for (size_t i = 0; i < q->n; i++) {
        fl_buf_addf(out, "%s%s:%.10g", i ? "; " : "", q->items[i].name,
                    milli_to_double(q->items[i].amount));
    }
}
