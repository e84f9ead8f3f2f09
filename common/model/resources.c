/* The algebra of resources: add, subtract, contain, equal. Pure.
 *
 * Sets are short (an agent has 4 to 6 items), so everything is a walk over an array comparing one
 * pointer an item. Invariants: no item is empty, and no two items of a set may be merged. */
#include "common/model/resources.h"

#include <math.h>

#include "common/model/intern.h"
#include "common/model/resources_internal.h"

milli_t milli_from_double(double v)
{
    if (isnan(v))
        return 0;
    double milli = v * 1000.0;
    if (milli >= (double)INT64_MAX)
        return INT64_MAX;
    if (milli <= (double)INT64_MIN)
        return INT64_MIN;
    return llround(milli);
}

/* ---- items ---- */

static struct resource *new_item(const struct kind *kind, const struct value *value,
                                 uint32_t copies)
{
    struct resource *item = xmalloc(sizeof(*item));
    item->kind = kind_ref(kind);
    item->copies = copies;
    value_copy(&item->value, value, kind->type);
    return item;
}

static void free_item(struct resource *item)
{
    value_done(&item->value, item->kind->type);
    kind_unref(item->kind);
    free(item);
}

bool resource_addable(const struct resource *a, const struct resource *b)
{
    if (!kind_same(a->kind, b->kind))
        return false;
    if (a->kind->shared)
        return value_equal(&a->value, &b->value, a->kind->type);
    return !a->kind->whole;
}

bool resource_subtractable(const struct resource *a, const struct resource *b)
{
    if (!kind_same(a->kind, b->kind))
        return false;
    if (a->kind->shared || a->kind->whole)
        return value_equal(&a->value, &b->value, a->kind->type);
    return true;
}

bool resource_contains(const struct resource *a, const struct resource *b)
{
    if (!resource_subtractable(a, b))
        return false;
    if (a->kind->shared)
        return a->copies >= b->copies;
    return value_contains(&a->value, &b->value, a->kind->type);
}

/* ---- sets ---- */

void resources_done(struct resources *r)
{
    for (size_t i = 0; i < r->n; i++)
        free_item(r->items[i]);
    free(r->items);
    *r = (struct resources)RESOURCES_INIT;
}

/* Room for exactly `n`: most sets never grow after they were made, and there are millions of them.
 */
static void reserve_exactly(struct resources *r, size_t n)
{
    if (r->cap >= n)
        return;
    r->items = xrealloc(r->items, n * sizeof(*r->items));
    r->cap = n;
}

static void append(struct resources *r, struct resource *item)
{
    if (r->n == r->cap)
        reserve_exactly(r, r->cap < 2 ? 2 : r->cap * 2);
    r->items[r->n++] = item;
}

void resources_append_copy(struct resources *a, const struct resource *item)
{
    append(a, new_item(item->kind, &item->value, item->copies));
}

void resources_remove_at(struct resources *a, size_t i)
{
    free_item(a->items[i]);
    memmove(a->items + i, a->items + i + 1, (a->n - i - 1) * sizeof(*a->items));
    a->n--;
}

void resources_copy(struct resources *dst, const struct resources *src)
{
    if (dst == src)
        return;
    resources_done(dst);
    reserve_exactly(dst, src->n);
    for (size_t i = 0; i < src->n; i++)
        resources_append_copy(dst, src->items[i]);
}

void resources_move(struct resources *dst, struct resources *src)
{
    if (dst == src)
        return;
    resources_done(dst);
    *dst = *src;
    *src = (struct resources)RESOURCES_INIT;
}

void resources_add_item(struct resources *a, const struct kind *kind, const struct value *value,
                        uint32_t copies)
{
    const struct resource added = {.kind = kind, .value = *value, .copies = copies};
    if (resource_empty(&added))
        return;
    for (size_t i = 0; i < a->n; i++) {
        struct resource *item = a->items[i];
        if (!resource_addable(item, &added))
            continue;
        if (kind->shared)
            item->copies += copies;
        else
            value_add(&item->value, value, kind->type);
        return;
    }
    append(a, new_item(kind, value, copies));
}

void resources_add(struct resources *a, const struct resources *b)
{
    if (a->n == 0) {
        resources_copy(a, b);
        return;
    }
    size_t n = b->n; /* b may be a */
    for (size_t i = 0; i < n; i++)
        resources_add_item(a, b->items[i]->kind, &b->items[i]->value, b->items[i]->copies);
}

void resources_subtract_item(struct resources *a, const struct resource *taken)
{
    for (size_t i = 0; i < a->n; i++) {
        struct resource *item = a->items[i];
        if (!resource_subtractable(item, taken))
            continue;
        if (item->kind->shared)
            item->copies -= FL_MIN(item->copies, taken->copies);
        else
            value_subtract(&item->value, &taken->value, item->kind->type);
        if (resource_empty(item))
            resources_remove_at(a, i);
        return;
    }
}

void resources_subtract(struct resources *a, const struct resources *b)
{
    if (a == b) {
        resources_done(a);
        return;
    }
    for (size_t i = 0; i < b->n; i++)
        resources_subtract_item(a, b->items[i]);
}

/* Things taken whole do not merge, so the i-th of b may be the second of its likes: then a must
 * have two. */
static size_t count_alike(const struct resources *r, size_t upto, const struct resource *item)
{
    size_t n = 0;
    for (size_t i = 0; i < upto; i++)
        n += resource_subtractable(r->items[i], item);
    return n;
}

bool resources_contains(const struct resources *a, const struct resources *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct resource *item = b->items[i];
        size_t j = 0;
        while (j < a->n && !resource_contains(a->items[j], item))
            j++;
        if (j == a->n)
            return false;
        if (item->kind->whole && !item->kind->shared &&
            count_alike(b, i + 1, item) > count_alike(a, a->n, item))
            return false;
    }
    return true;
}

bool resources_equal(const struct resources *a, const struct resources *b)
{
    return a->n == b->n && resources_contains(a, b) && resources_contains(b, a);
}

/* ---- allocation ---- */

/* Gives every item the allocation and merges what has become the same. */
static void set_allocation(struct resources *r, const char *role)
{
    bool changed = false;
    const char *interned = intern_ref(role);
    for (size_t i = 0; i < r->n; i++) {
        const struct kind *kind = kind_allocated_to(r->items[i]->kind, interned);
        changed |= kind != r->items[i]->kind;
        kind_unref(r->items[i]->kind);
        r->items[i]->kind = kind;
    }
    intern_unref(interned);
    for (size_t i = 1; changed && i < r->n; i++) {
        for (size_t j = 0; j < i; j++) {
            struct resource *into = r->items[j], *item = r->items[i];
            if (!resource_addable(into, item))
                continue;
            if (item->kind->shared)
                into->copies += item->copies;
            else
                value_add(&into->value, &item->value, item->kind->type);
            resources_remove_at(r, i--);
            break;
        }
    }
}

void resources_allocate(struct resources *r, const char *role)
{
    set_allocation(r, role);
}

void resources_unallocate(struct resources *r)
{
    set_allocation(r, NULL);
}

const char *resources_allocation_role(const struct resources *r)
{
    const char *role = r->n ? r->items[0]->kind->allocation : NULL;
    for (size_t i = 1; i < r->n; i++)
        if (r->items[i]->kind->allocation != role)
            return NULL;
    return intern_pin(role);
}

/* ---- quantities ---- */

milli_t resources_scalar(const struct resources *r, const char *name)
{
    milli_t sum = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct resource *item = r->items[i];
        if (item->kind->type == V1__VALUE__TYPE__SCALAR && streq(item->kind->name, name))
            if (__builtin_add_overflow(sum, item->value.scalar, &sum))
                return INT64_MAX;
    }
    return sum;
}

/* Whether an earlier item is a scalar of the same name, so its sum was told already. */
static bool named_before(const struct resources *r, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (r->items[j]->kind->name == r->items[i]->kind->name &&
            r->items[j]->kind->type == V1__VALUE__TYPE__SCALAR)
            return true;
    return false;
}

void resources_each_scalar(const struct resources *r,
                           void (*fn)(const char *name, milli_t sum, void *arg), void *arg)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct kind *kind = r->items[i]->kind;
        if (kind->type == V1__VALUE__TYPE__SCALAR && !named_before(r, i))
            fn(intern_pin(kind->name), resources_scalar(r, kind->name), arg);
    }
}

uint32_t resources_copies_at(const struct resources *r, size_t i)
{
    return r->items[i]->copies;
}

bool resources_has_revocable(const struct resources *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->items[i]->kind->revocable)
            return true;
    return false;
}

bool resources_has_refined(const struct resources *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->items[i]->kind->n_reservations > 1)
            return true;
    return false;
}
