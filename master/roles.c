/* The tree of roles and its books (roles.h). A role stays while something speaks for it; its ancestors stay with it. */
#include "master/roles.h"

#include "common/model/intern.h"
#include "common/model/roles.h"
#include "master/core.h"
#include "master/quota.h"

/* ---- the tree ---- */

struct role *role_find(const struct master *m, const char *name)
{
    struct role *r;

    HASH_FIND_STR(m->core->roles, name, r);
    return r;
}

struct role *role_make(struct master *m, const char *name)
{
    const char *slash = strrchr(name, '/');
    struct role *r = role_find(m, name);

    if (r)
        return r;
    r = xnew0(struct role);
    r->name = intern(name);
    HASH_ADD_KEYPTR(hh, m->core->roles, r->name, strlen(r->name), r);
    role_changed(m, r, true);
    if (slash) {
        /* As deep as a name has slashes: role_validate() bounds its length. */
        r->parent = role_make(m, intern_n(name, (size_t)(slash - name)));
        r->parent->n_children++;
    }
    return r;
}

static bool holds_something(const struct role *r)
{
    for (size_t b = 0; b < ROLE_BOOKS; b++)
        for (size_t i = 0; i < r->books[b].n; i++)
            if (r->books[b].items[i].amount != 0)
                return true;
    return false;
}

static void forget(struct master *m, struct role *r)
{
    role_gone(m, r);
    HASH_DEL(m->core->roles, r);
    for (size_t b = 0; b < ROLE_BOOKS; b++)
        quantities_done(&r->books[b]);
    quota_free(r->quota);
    free(r);
}

void role_release(struct master *m, struct role *r)
{
    while (r && r->n_frameworks == 0 && r->n_children == 0 && r->weight == 0 && !r->quota &&
           !holds_something(r)) {
        struct role *parent = r->parent;
        if (parent)
            parent->n_children--;
        forget(m, r);
        r = parent;
    }
}

void roles_free(struct master *m)
{
    struct role *r, *tmp;

    HASH_ITER (hh, m->core->roles, r, tmp) {
        forget(m, r);
    }
}

void roles_subscribe(struct master *m, const struct framework *f)
{
    for (size_t i = 0; i < f->n_roles; i++) {
        struct role *r = role_make(m, f->roles[i]);
        r->n_frameworks++;
        role_changed(m, r, true);
    }
}

void roles_unsubscribe(struct master *m, const struct framework *f)
{
    for (size_t i = 0; i < f->n_roles; i++) {
        struct role *r = role_find(m, f->roles[i]);
        assert(r && r->n_frameworks > 0);
        r->n_frameworks--;
        role_changed(m, r, true);
        role_release(m, r);
    }
}

/* ---- the books ---- */

struct booking {
    struct master *m;
    bool offered;
    bool shared; /* only shared items, or only others */
    bool saw_shared;
    int sign;
};

static void put(const struct booking *b, const char *role, enum role_book book,
                const struct counted_item *item)
{
    struct role *r = b->sign > 0 ? role_make(b->m, role) : role_find(b->m, role);

    assert(r);
    for (struct role *p = r; p; p = p->parent) {
        milli_t left = quantities_change(&p->books[book], item->name, b->sign * item->amount);
        assert(left >= 0);
        (void)left;
        role_changed(b->m, p, false);
    }
    if (b->sign < 0)
        role_release(b->m, r);
}

static void book_item(const struct counted_item *item, void *arg)
{
    struct booking *b = arg;

    b->saw_shared |= item->shared;
    if (item->shared != b->shared)
        return;
    if (item->allocated_to)
        put(b, item->allocated_to, b->offered ? ROLE_OFFERED : ROLE_ALLOCATED, item);
    if (item->reserved_to && !b->offered)
        put(b, item->reserved_to, ROLE_RESERVED_USED, item);
}

/* A shared volume that is there already adds nothing, and one that stays there takes nothing away: their part is
 * counted anew. */
static void book_shared(struct booking *b, const struct resources *r, const struct resources *there)
{
    _cleanup_resources_ struct resources after = RESOURCES_INIT;
    int sign = b->sign;

    resources_copy(&after, there);
    if (sign > 0)
        resources_add(&after, r);
    else
        resources_subtract(&after, r);
    b->shared = true;
    b->sign = 1;
    resources_each_counted(&after, book_item, b);
    b->sign = -1;
    resources_each_counted(there, book_item, b);
}

static void book(struct master *m, const struct resources *r, const struct resources *there,
                 bool offered, int sign)
{
    struct booking b = {.m = m, .offered = offered, .sign = sign};

    resources_each_counted(r, book_item, &b);
    if (b.saw_shared)
        book_shared(&b, r, there);
}

void roles_add(struct master *m, const struct resources *r, const struct resources *there,
               bool offered)
{
    book(m, r, there, offered, 1);
}

void roles_subtract(struct master *m, const struct resources *r, const struct resources *there,
                    bool offered)
{
    book(m, r, there, offered, -1);
}

static void book_reserved(const struct counted_item *item, void *arg)
{
    put(arg, item->reserved_to, ROLE_RESERVED, item);
}

void roles_total_changed(struct agent *a)
{
    struct booking b = {.m = a->master, .sign = 1};
    _cleanup_resources_ struct resources now = RESOURCES_INIT;

    resources_reserved_to(&a->total, NULL, &now);
    if (resources_equal(&now, &a->booked_reservations))
        return;
    resources_each_counted(&now, book_reserved, &b);
    b.sign = -1;
    resources_each_counted(&a->booked_reservations, book_reserved, &b);
    resources_move(&a->booked_reservations, &now);
}

/* ---- reading ---- */

void role_consumed(const struct role *r, struct quantities *ret)
{
    ret->n = 0;
    if (!r)
        return;
    quantities_add(ret, &r->books[ROLE_ALLOCATED]);
    quantities_add(ret, &r->books[ROLE_RESERVED]);
    quantities_subtract(ret, &r->books[ROLE_RESERVED_USED]);
    quantities_drop_zeros(ret);
}

bool role_is_whitelisted(const struct master *m, const char *name)
{
    for (size_t i = 0; i < m->n_role_whitelist; i++)
        if (streq(m->role_whitelist[i], name))
            return true;
    return m->role_whitelist == NULL;
}

bool role_is_within(const char *role, const char *top)
{
    return streq(role, top) || role_is_strict_subrole(role, top);
}

/* ---- all of them ---- */

struct role_listing {
    const struct master *m;
    struct fl_arena *arena;
    struct role_view *views;           /* hash */
    const struct framework *framework; /* whose allocations are looked at */
};

static void list_role(struct role_listing *l, const char *interned)
{
    const char *slash;
    struct role_view *v;

    for (const char *name = interned; name;
         name = slash ? intern_n(name, (size_t)(slash - name)) : NULL) {
        HASH_FIND_PTR(l->views, &name, v);
        if (v)
            return;
        v = fl_arena_alloc(l->arena, sizeof(*v));
        *v = (struct role_view){.name = name, .role = role_find(l->m, name)};
        HASH_ADD_PTR(l->views, name, v);
        slash = strrchr(name, '/');
    }
}

static void list_framework(struct role_listing *l, const char *role)
{
    struct role_view *v;
    const struct framework **grown;

    HASH_FIND_PTR(l->views, &role, v);
    if (!v || (v->n_frameworks > 0 && v->frameworks[v->n_frameworks - 1] == l->framework))
        return;
    if (v->n_frameworks == v->cap) {
        v->cap = v->cap ? 2 * v->cap : 4;
        grown = fl_arena_alloc(l->arena, v->cap * sizeof(*grown));
        if (v->n_frameworks > 0)
            memcpy(grown, v->frameworks, v->n_frameworks * sizeof(*grown));
        v->frameworks = grown;
    }
    v->frameworks[v->n_frameworks++] = l->framework;
}

static void list_allocation(const struct counted_item *item, void *arg)
{
    if (item->allocated_to)
        list_framework(arg, item->allocated_to);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct role_view *const *)a)->name, (*(struct role_view *const *)b)->name);
}

size_t roles_list(const struct master *m, const char *principal, struct fl_arena *arena,
                  struct role_view ***ret_views)
{
    _cleanup_approver_ struct acl_approver *visible =
        acl_approver_get(m->acls, ACL_VIEW_ROLES, principal);
    struct role_listing l = {.m = m, .arena = arena};
    struct role_view **views, *v, *tmp;
    size_t n = 0;

    if (m->role_whitelist) {
        for (size_t i = 0; i < m->n_role_whitelist; i++)
            list_role(&l, m->role_whitelist[i]);
    } else {
        for (const struct role *r = m->core->roles; r; r = r->hh.next)
            list_role(&l, r->name);
    }
    for (const struct framework *f = m->frameworks; f; f = f->hh.next) {
        l.framework = f;
        for (size_t i = 0; i < f->n_roles; i++)
            list_framework(&l, f->roles[i]);
        resources_each_counted(&f->used, list_allocation, &l);
    }
    views = fl_arena_alloc(arena, (HASH_COUNT(l.views) + 1) * sizeof(*views));
    HASH_ITER (hh, l.views, v, tmp) {
        if (acl_approves(visible, v->name))
            views[n++] = v;
    }
    HASH_CLEAR(hh, l.views);
    if (n > 0)
        qsort(views, n, sizeof(*views), by_name);
    *ret_views = views;
    return n;
}
