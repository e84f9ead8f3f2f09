/* Sets of resources that many hold and nobody changes: the tasks of a job all need the same, and
 * thousands of agents have the same. */
#include "common/model/hold_table.h"
#include "common/model/resources_internal.h"

struct held {
    struct resources res; /* first: what is handed out */
    struct hold_link link;
};

static struct hold_table table = HOLD_TABLE_INIT;

static uint64_t hash_value(uint64_t h, const struct value *v, V1__Value__Type type)
{
    if (type == V1__VALUE__TYPE__SCALAR)
        return hold_mix(h, (uint64_t)v->scalar);
    for (uint32_t i = 0; i < v->n; i++) {
        if (type == V1__VALUE__TYPE__RANGES)
            h = hold_mix(hold_mix(h, v->ranges[i].begin), v->ranges[i].end);
        else
            h = hold_mix(h, strlen(v->items[i]));
    }
    return h;
}

static uint32_t hash_set(const struct resources *r)
{
    uint64_t h = r->n;

    for (size_t i = 0; i < r->n; i++) {
        const struct resource *item = &r->items[i];
        h = hold_mix(hold_mix(h, (uintptr_t)item->kind), item->copies);
        h = hash_value(h, &item->value, item->kind->type);
    }
    return hold_fold(h);
}

/* The very same: kinds are told apart even where they may merge, and the order counts. */
static bool same(const struct resources *a, const struct resources *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct resource *x = &a->items[i], *y = &b->items[i];
        if (x->kind != y->kind || x->copies != y->copies ||
            !value_equal(&x->value, &y->value, x->kind->type))
            return false;
    }
    return true;
}

/* With the lock held. */
static struct held *find_or_add(struct resources *r, uint32_t hash)
{
    struct held *e;

    for (struct hold_link *l = hold_first(&table, hash); l; l = hold_next(l)) {
        e = container_of(l, struct held, link);
        if (same(&e->res, r))
            return e;
    }
    e = xmalloc(sizeof(*e));
    *e = (struct held){.res = *r, .link.hash = hash};
    *r = (struct resources)RESOURCES_INIT;
    hold_add(&table, &e->link);
    return e;
}

const struct resources *resources_hold(struct resources *r)
{
    uint32_t hash = hash_set(r);
    struct held *e;

    hold_lock(&table);
    e = find_or_add(r, hash);
    e->link.refs++;
    hold_unlock(&table);
    resources_done(r);
    return &e->res;
}

void resources_release(const struct resources *held)
{
    struct held *e;
    bool last;

    if (!held)
        return;
    e = container_of(held, struct held, res);
    hold_lock(&table);
    last = hold_drop(&table, &e->link);
    hold_unlock(&table);
    if (!last)
        return;
    resources_done(&e->res);
    free(e);
}

size_t resources_held_count(void)
{
    return hold_count(&table);
}

void resources_fork_hold(bool hold)
{
    if (hold) {
        hold_over_fork(&table, true);
        kinds_fork_hold(true);
    } else {
        kinds_fork_hold(false);
        hold_over_fork(&table, false);
    }
}
