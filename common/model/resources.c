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

/* The items of all copies that are equal because none of them was changed. */
struct block {
    unsigned refs; /* atomic: copies may be with other threads */
    struct resource items[];
};

static struct block *block_of(const struct resources *r)
{
    return container_of(r->items, struct block, items[0]);
}

static void put_item(struct resource *item, const struct kind *kind, const struct value *value,
                     uint32_t copies)
{
    item->kind = kind_ref(kind);
    item->copies = copies;
    value_copy(&item->value, value, kind->type);
}

static void done_item(struct resource *item)
{
    value_done(&item->value, item->kind->type);
    kind_unref(item->kind);
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
    if (r->cap > 0 && __atomic_sub_fetch(&block_of(r)->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        for (size_t i = 0; i < r->n; i++)
            done_item(&r->items[i]);
        free(block_of(r));
    }
    *r = (struct resources)RESOURCES_INIT;
}

static struct resource *new_items(size_t cap)
{
    struct block *b = xmalloc(sizeof(*b) + cap * sizeof(b->items[0]));

    b->refs = 1;
    return b->items;
}

static bool is_alone(const struct resources *r)
{
    return r->cap > 0 && __atomic_load_n(&block_of(r)->refs, __ATOMIC_ACQUIRE) == 1;
}

static void clone_set(struct resources *r, size_t cap)
{
    struct resources own = {.items = new_items(cap), .n = r->n, .cap = (uint32_t)cap};

    for (size_t i = 0; i < r->n; i++)
        put_item(&own.items[i], r->items[i].kind, &r->items[i].value, r->items[i].copies);
    resources_done(r);
    *r = own;
}

/* Before any change: nobody else has the items. Room for exactly `n`, as most sets never grow after
 * they were made, and there are millions of them. */
static void own(struct resources *r, size_t n)
{
    struct block *b;

    if (!is_alone(r)) {
        clone_set(r, FL_MAX(n, (size_t)r->n));
    } else if (r->cap < n) {
        b = xrealloc(block_of(r), sizeof(*b) + n * sizeof(b->items[0]));
        r->items = b->items;
        r->cap = (uint32_t)n;
    }
}

struct resource *resources_own_at(struct resources *a, size_t i)
{
    own(a, a->n);
    return &a->items[i];
}

struct resources resources_view(const struct resources *r, size_t i)
{
    return (struct resources){.items = &r->items[i], .n = 1};
}

static void append(struct resources *r, const struct kind *kind, const struct value *value,
                   uint32_t copies)
{
    own(r, r->n < r->cap ? r->cap : r->cap < 2 ? r->n + 2u : r->cap * 2u);
    put_item(&r->items[r->n++], kind, value, copies);
}

void resources_append_copy(struct resources *a, const struct resource *item)
{
    append(a, item->kind, &item->value, item->copies);
}

void resources_remove_at(struct resources *a, size_t i)
{
    if (a->n == 1) {
        resources_done(a);
        return;
    }
    own(a, a->n);
    done_item(&a->items[i]);
    memmove(a->items + i, a->items + i + 1, (a->n - i - 1) * sizeof(*a->items));
    a->n--;
}

void resources_copy(struct resources *dst, const struct resources *src)
{
    struct resources copy = *src;

    if (dst == src)
        return;
    if (src->cap > 0)
        __atomic_add_fetch(&block_of(src)->refs, 1, __ATOMIC_RELAXED);
    else if (src->n > 0)
        clone_set(&copy, src->n);
    resources_done(dst);
    *dst = copy;
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
        struct resource *item = &a->items[i];
        if (!resource_addable(item, &added))
            continue;
        item = resources_own_at(a, i);
        if (kind->shared)
            item->copies += copies;
        else
            value_add(&item->value, value, kind->type);
        return;
    }
    append(a, kind, value, copies);
}

void resources_add(struct resources *a, const struct resources *b)
{
    if (a->n == 0) {
        resources_copy(a, b);
        return;
    }
    if (a == b) {
        _cleanup_resources_ struct resources again = RESOURCES_INIT;
        resources_copy(&again, b);
        resources_add(a, &again);
        return;
    }
    for (size_t i = 0; i < b->n; i++)
        resources_add_item(a, b->items[i].kind, &b->items[i].value, b->items[i].copies);
}

void resources_subtract_item(struct resources *a, const struct resource *taken)
{
    for (size_t i = 0; i < a->n; i++) {
        struct resource *item = &a->items[i];
        if (!resource_subtractable(item, taken))
            continue;
        item = resources_own_at(a, i);
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
        resources_subtract_item(a, &b->items[i]);
}

/* Things taken whole do not merge, so the i-th of b may be the second of its likes: then a must
 * have two. */
static size_t count_alike(const struct resources *r, size_t upto, const struct resource *item)
{
    size_t n = 0;
    for (size_t i = 0; i < upto; i++)
        n += resource_subtractable(&r->items[i], item);
    return n;
}

bool resources_contains(const struct resources *a, const struct resources *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct resource *item = &b->items[i];
        size_t j = 0;
        while (j < a->n && !resource_contains(&a->items[j], item))
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
        const struct kind *kind;
        if (r->items[i].kind->allocation == interned)
            continue;
        if (!changed)
            own(r, r->n);
        changed = true;
        kind = kind_allocated_to(r->items[i].kind, interned);
        kind_unref(r->items[i].kind);
        r->items[i].kind = kind;
    }
    intern_unref(interned);
    for (size_t i = 1; changed && i < r->n; i++) {
        for (size_t j = 0; j < i; j++) {
            struct resource *into = &r->items[j], *item = &r->items[i];
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
    const char *role = r->n ? r->items[0].kind->allocation : NULL;
    for (size_t i = 1; i < r->n; i++)
        if (r->items[i].kind->allocation != role)
            return NULL;
    return intern_pin(role);
}

/* ---- quantities ---- */

milli_t resources_scalar(const struct resources *r, const char *name)
{
    milli_t sum = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct resource *item = &r->items[i];
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
        if (r->items[j].kind->name == r->items[i].kind->name &&
            r->items[j].kind->type == V1__VALUE__TYPE__SCALAR)
            return true;
    return false;
}

void resources_each_scalar(const struct resources *r,
                           void (*fn)(const char *name, milli_t sum, void *arg), void *arg)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct kind *kind = r->items[i].kind;
        if (kind->type == V1__VALUE__TYPE__SCALAR && !named_before(r, i))
            fn(intern_pin(kind->name), resources_scalar(r, kind->name), arg);
    }
}

uint32_t resources_copies_at(const struct resources *r, size_t i)
{
    return r->items[i].copies;
}

bool resources_has_revocable(const struct resources *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->items[i].kind->revocable)
            return true;
    return false;
}

bool resources_has_refined(const struct resources *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->items[i].kind->n_reservations > 1)
            return true;
    return false;
}
