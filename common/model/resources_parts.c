/* Parts of a set of resources by what they are: reserved, revocable, shared, persistent. Pure.
 *
 * A part of a normalised set is normalised, so parts are plain copies without merging. */
#include "common/model/intern.h"
#include "common/model/resources_internal.h"
#include "common/model/roles.h"

typedef bool (*item_test)(const struct kind *kind, const void *arg);

static void take_part(const struct resources *r, item_test test, const void *arg,
                      struct resources *out)
{
    struct resources part = RESOURCES_INIT; /* out may be r */
    size_t n = 0;
    while (n < r->n && test(r->items[n].kind, arg))
        n++;
    if (n == r->n) { /* all of it, as most often: shares the items */
        resources_copy(out, r);
        return;
    }
    for (size_t i = 0; i < r->n; i++)
        if (i < n || (i > n && test(r->items[i].kind, arg)))
            resources_append_copy(&part, &r->items[i]);
    resources_move(out, &part);
}

static bool is_unreserved(const struct kind *k, const void *arg)
{
    return !k->role;
}

static bool is_reserved_to(const struct kind *k, const void *role)
{
    return k->role && (!role || streq(k->role, role));
}

static bool is_allocatable_to(const struct kind *k, const void *role)
{
    return !k->role || streq(role, k->role) || role_is_strict_subrole(role, k->role);
}

static bool has_revocable(const struct kind *k, const void *wanted)
{
    return k->revocable == *(const bool *)wanted;
}

static bool has_shared(const struct kind *k, const void *wanted)
{
    return k->shared == *(const bool *)wanted;
}

static bool is_scalar(const struct kind *k, const void *arg)
{
    return k->type == V1__VALUE__TYPE__SCALAR;
}

static bool is_persistent(const struct kind *k, const void *arg)
{
    return k->persistent;
}

static bool is_not_refined(const struct kind *k, const void *arg)
{
    return k->n_reservations <= 1;
}

static bool is_allocated_to(const struct kind *k, const void *interned_role)
{
    return k->allocation == interned_role;
}

static bool is_not_named(const struct kind *k, const void *name)
{
    return !streq(k->name, name);
}

void resources_without(const struct resources *r, const char *name, struct resources *out)
{
    take_part(r, is_not_named, name, out);
}

void resources_unreserved(const struct resources *r, struct resources *out)
{
    take_part(r, is_unreserved, NULL, out);
}

void resources_reserved_to(const struct resources *r, const char *role_or_null,
                           struct resources *out)
{
    take_part(r, is_reserved_to, role_or_null, out);
}

void resources_allocatable_to(const struct resources *r, const char *role, struct resources *out)
{
    take_part(r, is_allocatable_to, role, out);
}

void resources_revocable(const struct resources *r, bool revocable, struct resources *out)
{
    take_part(r, has_revocable, &revocable, out);
}

void resources_shared(const struct resources *r, bool shared, struct resources *out)
{
    take_part(r, has_shared, &shared, out);
}

void resources_scalars(const struct resources *r, struct resources *out)
{
    take_part(r, is_scalar, NULL, out);
}

void resources_persistent_volumes(const struct resources *r, struct resources *out)
{
    take_part(r, is_persistent, NULL, out);
}

void resources_without_refined(const struct resources *r, struct resources *out)
{
    take_part(r, is_not_refined, NULL, out);
}

bool resources_is_plain(const struct resources *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct kind *k = r->items[i].kind;

        if (k->role || k->revocable || k->shared)
            return false;
    }
    return true;
}

static bool is_open_scalar(const struct kind *k)
{
    return k->type == V1__VALUE__TYPE__SCALAR && !k->role && !k->revocable;
}

void resources_each_open_scalar(const struct resources *r,
                                void (*fn)(const char *name, milli_t amount, void *arg), void *arg)
{
    for (size_t i = 0; i < r->n; i++)
        if (is_open_scalar(r->items[i].kind))
            fn(intern_pin(r->items[i].kind->name), r->items[i].value.scalar, arg);
}

void resources_chop(const struct resources *r, resources_take_f *take, void *arg,
                    struct resources *out)
{
    struct resources part = RESOURCES_INIT; /* out may be r */

    for (size_t i = 0; i < r->n; i++) {
        const struct resource *item = &r->items[i];
        const struct kind *k = item->kind;
        milli_t amount, taken;

        if (!is_open_scalar(k)) {
            resources_append_copy(&part, item);
            continue;
        }
        amount = item->value.scalar;
        taken = take(intern_pin(k->name), amount, k->whole, arg);
        if (taken <= 0 || (k->whole && taken < amount))
            continue;
        resources_append_copy(&part, item);
        resources_own_at(&part, part.n - 1)->value.scalar = FL_MIN(taken, amount);
    }
    resources_move(out, &part);
}

size_t resources_reservation_roles(const struct resources *r, const char ***ret_roles)
{
    const char **roles = xcalloc(r->n + 1, sizeof(*roles));
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const char *role = r->items[i].kind->role;
        size_t j = 0;
        while (j < n && roles[j] != role)
            j++;
        if (role && j == n)
            roles[n++] = intern_pin(role);
    }
    *ret_roles = roles;
    return n;
}

void resources_by_role(const struct resources *r,
                       void (*fn)(const char *role, const struct resources *part, void *arg),
                       void *arg)
{
    for (size_t i = 0; i < r->n; i++) {
        const char *role = r->items[i].kind->allocation;
        size_t j = 0;
        while (r->items[j].kind->allocation != role)
            j++;
        if (j < i)
            continue;
        _cleanup_resources_ struct resources part = RESOURCES_INIT;
        take_part(r, is_allocated_to, role, &part);
        fn(intern_pin(role), &part, arg);
    }
}

/* ---- reservations changed ---- */

void resources_to_unreserved(const struct resources *r, struct resources *out)
{
    struct resources made = RESOURCES_INIT;
    for (size_t i = 0; i < r->n; i++) {
        const struct resource *item = &r->items[i];
        if (!item->kind->role) {
            resources_add_item(&made, item->kind, &item->value, item->copies);
            continue;
        }
        _cleanup_pb_ V1__Resource *m = kind_to_template(item->kind);
        for (size_t j = 0; j < m->n_reservations; j++)
            fl_pb_free(m->reservations[j]);
        free(m->reservations);
        m->reservations = NULL;
        m->n_reservations = 0;
        const struct kind *kind = kind_intern(m);
        resources_add_item(&made, kind, &item->value, item->copies);
        kind_unref(kind);
    }
    resources_move(out, &made);
}

bool resources_pop_reservation(const struct resources *r, struct resources *out)
{
    struct resources made = RESOURCES_INIT;
    for (size_t i = 0; i < r->n; i++) {
        const struct resource *item = &r->items[i];
        if (!item->kind->role) {
            resources_done(&made);
            return false;
        }
        _cleanup_pb_ V1__Resource *m = kind_to_template(item->kind);
        fl_pb_free(m->reservations[--m->n_reservations]);
        const struct kind *kind = kind_intern(m);
        resources_add_item(&made, kind, &item->value, item->copies);
        kind_unref(kind);
    }
    resources_move(out, &made);
    return true;
}
