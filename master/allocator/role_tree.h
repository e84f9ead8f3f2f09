/* The tree of roles ("eng", "eng/web", ...) and the order in which their frameworks have their turn. Pure; nothing here knows of
 * agents or offers.
 *
 * Every role that something needs (a framework, a weight, a quota, a reservation) is a node, and so are its ancestors. A node
 * has two orders: of its children that have anybody active below them, and of its own active frameworks. A node with children
 * also has a leaf, "eng/.", which stands for its own frameworks among its children.
 */
#ifndef MASTER_ALLOCATOR_ROLE_TREE_H
#define MASTER_ALLOCATOR_ROLE_TREE_H

#include <uthash.h>

#include "master/allocator/drf_sorter.h"

struct alloc_quota;

struct alloc_role {
    const char *name;             /* interned path; "" of the root */
    struct alloc_role *parent;    /* NULL: the root */
    struct alloc_role *top;       /* its top-level role, which may be itself: what quota is for */
    struct drf_client turn;       /* among its siblings, with all that is held in it and below it */
    struct drf_client leaf;       /* among its children: what its own frameworks hold */
    struct drf_sorter children;   /* and the leaf */
    struct drf_sorter frameworks; /* its own clients */
    size_t n_children;            /* the leaf is kept while there are some */
    size_t n_clients, n_reserved; /* frameworks in it; agents that reserve something to it */
    size_t n_filters;             /* decline filters of its clients */
    struct drf_vec consumed;      /* of a top-level role: allocator_quota.c */
    struct alloc_quota *quota;    /* NULL: none */
    uint64_t eased;    /* allocator.easings when its quota last left more room than before */
    bool closed;       /* its own frameworks stand in no order though active: allocator_quota.c */
    size_t n_own_min;  /* clients with a minimum of their own */
    char *leaf_name;   /* owned */
    UT_hash_handle hh; /* by the pointer `name` */
};

struct role_tree {
    const struct drf_totals *totals; /* borrowed */
    struct alloc_role root;
    struct alloc_role *roles; /* in the order in which they came */
    uint64_t *random;         /* not NULL: siblings stand in random order */
    uint64_t *framework_random;
};
/* With a `random` the roles, or the frameworks of each, stand in a weighted random order that is drawn from it. */
void role_tree_init(struct role_tree *t, const struct drf_totals *totals, uint64_t *role_random,
                    uint64_t *framework_random);
void role_tree_done(struct role_tree *t); /* frees what roles are left */
struct alloc_role *role_tree_find(const struct role_tree *t, const char *name);
struct alloc_role *role_tree_get(struct role_tree *t, const char *name); /* made when missing */
/* Frees the role, and ancestors of it, when nothing needs them. */
void role_tree_release(struct role_tree *t, struct alloc_role *r);
void role_tree_set_weight(struct role_tree *t, struct alloc_role *r, double weight);
/* After a framework of the role came into its order or left it, or `closed` changed. Not during a walk. */
void role_tree_refresh(struct role_tree *t, struct alloc_role *r);
/* What its own frameworks hold became more or less; all its ancestors count it. */
void role_tree_allocated(struct role_tree *t, struct alloc_role *r, const struct drf_vec *v);
void role_tree_unallocated(struct role_tree *t, struct alloc_role *r, const struct drf_vec *v);
/* Somebody is in the order. */
static inline bool role_tree_active(const struct role_tree *t)
{
    return drf_sorter_active(&t->root.children) > 0;
}

/* Of two different roles with active frameworks of their own, the first in the order. role_tree_settle() both before. */
bool role_tree_before(const struct alloc_role *a, const struct alloc_role *b);
void role_tree_settle(struct alloc_role *r);

/* The roles with active frameworks of their own, in order. What is not reached costs nothing. One walk at a time. */
struct role_walk {
    struct alloc_role *at; /* the node whose children are being walked; NULL at the end */
};
void role_walk_begin(struct role_walk *w, struct role_tree *t);
struct alloc_role *role_walk_next(struct role_walk *w); /* NULL at the end */
void role_walk_end(struct role_walk *w);

#endif
