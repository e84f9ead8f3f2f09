/* The tree of roles.
 *
 * The published rule (features.md 4.1): roles form a tree on '/'. Siblings are compared by the dominant shares of all that is
 * held below them, divided by their weights; the order of the frameworks' roles is the tree walked depth first.
 *
 * Ours, with drf_sorter.c as the order of the children of one node:
 *   1. what a framework holds counts for its role and for every ancestor of it;
 *   2. a weight is of a path, and counts among the siblings of that path;
 *   3. a role with children stands among them by a leaf of its own, "eng/.", with weight 1 and by what its own frameworks hold;
 *   4. a node is in its parent's order while somebody below it is active; one that is not keeps counting in its ancestors;
 *   5. a change costs one step in each ancestor's order, so O(depth log n); a walk goes down only where it gets to.
 */
#include "master/allocator/role_tree.h"

#include "common/model/intern.h"

static void init_role(struct role_tree *t, struct alloc_role *r, const char *name)
{
    r->name = name;
    r->leaf_name = xasprintf("%s/.", name);
    drf_client_init(&r->turn, name, 1.0);
    drf_client_init(&r->leaf, r->leaf_name, 1.0);
    drf_sorter_init(&r->children, t->totals);
    drf_sorter_init(&r->frameworks, t->totals);
    drf_sorter_set_random(&r->children, t->random);
    drf_sorter_set_random(&r->frameworks, t->framework_random);
}

static void done_role(struct alloc_role *r)
{
    drf_client_done(&r->turn);
    drf_client_done(&r->leaf);
    drf_sorter_done(&r->children);
    drf_sorter_done(&r->frameworks);
    drf_vec_done(&r->consumed);
    free(r->leaf_name);
}

void role_tree_init(struct role_tree *t, const struct drf_totals *totals, uint64_t *role_random,
                    uint64_t *framework_random)
{
    *t = (struct role_tree){
        .totals = totals, .random = role_random, .framework_random = framework_random};
    init_role(t, &t->root, "");
}

struct alloc_role *role_tree_find(const struct role_tree *t, const char *name)
{
    const char *key = intern(name);
    struct alloc_role *r;

    HASH_FIND_PTR(t->roles, &key, r);
    return r;
}

/* Step 3: the leaf takes over what the role holds so far, which is its own. */
static void add_leaf(struct alloc_role *r)
{
    drf_vec_copy(&r->leaf.allocated, &r->turn.allocated);
    r->leaf.allocations = r->turn.allocations;
    if (drf_sorter_active(&r->frameworks) && !r->closed)
        drf_sorter_activate(&r->children, &r->leaf);
}

struct alloc_role *role_tree_get(struct role_tree *t, const char *name)
{
    struct alloc_role *r = role_tree_find(t, name), *parent = &t->root;
    const char *slash = strrchr(name, '/');

    if (r)
        return r;
    if (slash) {
        _cleanup_free_ char *above = xstrndup(name, (size_t)(slash - name));

        parent = role_tree_get(t, above);
    }
    r = xnew0(struct alloc_role);
    init_role(t, r, intern(name));
    r->parent = parent;
    r->top = parent->parent ? parent->top : r;
    if (parent->n_children++ == 0 && parent->parent)
        add_leaf(parent);
    HASH_ADD_PTR(t->roles, name, r);
    return r;
}

static bool is_needed(const struct alloc_role *r)
{
    return r->n_clients || r->n_children || r->n_reserved || r->quota || r->turn.weight != 1.0;
}

static void remove_role(struct role_tree *t, struct alloc_role *r)
{
    struct alloc_role *parent = r->parent;

    drf_sorter_deactivate(&parent->children, &r->turn);
    if (--parent->n_children == 0)
        drf_sorter_deactivate(&parent->children, &parent->leaf);
    HASH_DEL(t->roles, r);
    done_role(r);
    free(r);
}

void role_tree_release(struct role_tree *t, struct alloc_role *r)
{
    while (r != &t->root && !is_needed(r)) {
        struct alloc_role *parent = r->parent;

        remove_role(t, r);
        r = parent;
    }
}

void role_tree_done(struct role_tree *t)
{
    /* The last that came is nobody's parent. */
    while (t->roles)
        remove_role(t, ELMT_FROM_HH(t->roles->hh.tbl, t->roles->hh.tbl->tail));
    done_role(&t->root);
}

/* Step 2. */
void role_tree_set_weight(struct role_tree *t, struct alloc_role *r, double weight)
{
    drf_sorter_set_weight(&r->parent->children, &r->turn, weight);
}

static void set_active(struct drf_sorter *s, struct drf_client *c, bool active)
{
    if (active)
        drf_sorter_activate(s, c);
    else
        drf_sorter_deactivate(s, c);
}

/* Step 4. */
void role_tree_refresh(struct role_tree *t, struct alloc_role *r)
{
    bool own = drf_sorter_active(&r->frameworks) > 0 && !r->closed;

    if (r->n_children)
        set_active(&r->children, &r->leaf, own);
    for (; r != &t->root; r = r->parent) {
        bool active = r->n_children ? drf_sorter_active(&r->children) > 0 : own;

        if (active == drf_client_is_active(&r->turn))
            return;
        set_active(&r->parent->children, &r->turn, active);
    }
}

/* Step 1. */
void role_tree_allocated(struct role_tree *t, struct alloc_role *r, const struct drf_vec *v)
{
    if (r->n_children)
        drf_sorter_allocated(&r->children, &r->leaf, v);
    for (; r != &t->root; r = r->parent)
        drf_sorter_allocated(&r->parent->children, &r->turn, v);
}

void role_tree_unallocated(struct role_tree *t, struct alloc_role *r, const struct drf_vec *v)
{
    if (r->n_children)
        drf_sorter_unallocated(&r->children, &r->leaf, v);
    for (; r != &t->root; r = r->parent)
        drf_sorter_unallocated(&r->parent->children, &r->turn, v);
}

/* ---- comparing ---- */

void role_tree_settle(struct alloc_role *r)
{
    for (; r; r = r->parent)
        drf_sorter_settle(&r->children);
}

static size_t depth_of(const struct alloc_role *r)
{
    size_t n = 0;

    for (; r->parent; r = r->parent)
        n++;
    return n;
}

/* Climbs from `*r` to where its depth is `want`; what stands for it among its siblings there. A role that is not climbed from stands
 * by its leaf among its children, which are one deeper than itself. */
static const struct drf_client *climb(const struct alloc_role **r, size_t depth, size_t want)
{
    const struct drf_client *at = &(*r)->leaf;

    for (; depth >= want; depth--) {
        at = &(*r)->turn;
        *r = (*r)->parent;
    }
    return at;
}

bool role_tree_before(const struct alloc_role *a, const struct alloc_role *b)
{
    size_t da = depth_of(a), db = depth_of(b), want = FL_MIN(da, db) + 1;
    const struct drf_client *x = climb(&a, da, want), *y = climb(&b, db, want);

    /* `a` and `b` are now the nodes among whose children x and y stand. */
    while (a != b) {
        x = &a->turn;
        y = &b->turn;
        a = a->parent;
        b = b->parent;
    }
    return drf_client_before(x, y);
}

/* ---- walking ---- */

void role_walk_begin(struct role_walk *w, struct role_tree *t)
{
    w->at = &t->root;
    drf_sorter_walk_begin(&w->at->children);
}

static void leave(struct role_walk *w)
{
    drf_sorter_walk_end(&w->at->children);
    w->at = w->at->parent;
}

struct alloc_role *role_walk_next(struct role_walk *w)
{
    while (w->at) {
        struct drf_client *d = drf_sorter_walk_next(&w->at->children);
        struct alloc_role *r;

        if (!d) {
            leave(w);
            continue;
        }
        if (d == &w->at->leaf)
            return w->at;
        r = container_of(d, struct alloc_role, turn);
        if (!r->n_children)
            return r;
        w->at = r;
        drf_sorter_walk_begin(&r->children);
    }
    return NULL;
}

void role_walk_end(struct role_walk *w)
{
    while (w->at)
        leave(w);
}
