/* The tree of roles, and what each holds. A role is known while a framework has subscribed to it, something is allocated, offered or
 * reserved to it or below it, or it has a weight or a quota.
 *
 * The amounts are kept as things change, of a role and all below it: a change costs the depth of the role, a reading nothing.
 * What is counted: scalars, and how many numbers ports have, as the reference's /roles does. Core's thread.
 */
#ifndef MASTER_ROLES_H
#define MASTER_ROLES_H

#include "common/model/quantities.h"
#include "master/master.h"

struct quota;

enum role_book {
    ROLE_ALLOCATED,     /* tasks and executors use it */
    ROLE_OFFERED,       /* offers hold it */
    ROLE_RESERVED,      /* reserved on registered agents, used or not */
    ROLE_RESERVED_USED, /* of that, what tasks and executors of any role use */
    ROLE_BOOKS,
};

struct role {
    const char *name;                  /* interned; the key */
    struct role *parent;               /* NULL: top level */
    unsigned n_children, n_frameworks; /* frameworks: how many have subscribed to just this role */
    struct quantities books[ROLE_BOOKS];
    double weight;       /* 0: none was set, which counts as 1 */
    struct quota *quota; /* owned; NULL: none (quota.h) */
    struct change_mark change;
    UT_hash_handle hh; /* core->roles */
};

/* ---- reading ---- */
struct role *role_find(const struct master *m, const char *name); /* NULL: not known */
/* What counts against the quota of the role: allocations, and reservations that nothing uses. NULL has consumed nothing. */
void role_consumed(const struct role *r, struct quantities *ret);
bool role_is_whitelisted(const struct master *m, const char *name); /* by --roles */
bool role_is_within(const char *role, const char *top);             /* `top` itself, or below it */

/* What /roles and GET_ROLES list, by name: all known roles, or those of --roles, and their ancestors, as far as `principal` may see them.
 * Takes time as the roles and the
 * roles of frameworks are many; agents do not matter. */
struct role_view {
    const char *name;                    /* key, as pointer */
    const struct role *role;             /* NULL: whitelisted, and nothing is known of it */
    const struct framework **frameworks; /* subscribed to it, or having something allocated to it */
    size_t n_frameworks, cap;
    UT_hash_handle hh;
};
size_t roles_list(const struct master *m, const char *principal, struct fl_arena *arena,
                  struct role_view ***ret_views);

/* ---- for the core ---- */
/* Makes it when needed; what has no reason to stay any more goes. */
struct role *role_make(struct master *m, const char *name);
void role_release(struct master *m, struct role *r);
void roles_subscribe(struct master *m, const struct framework *f);
void roles_unsubscribe(struct master *m, const struct framework *f);
/* Something is used or offered (or no longer). `there` is what the framework has on that agent of that kind, before `r` is added to it or
 * taken out of it: shared volumes count once. */
void roles_add(struct master *m, const struct resources *r, const struct resources *there,
               bool offered);
void roles_subtract(struct master *m, const struct resources *r, const struct resources *there,
                    bool offered);
/* The agent's total changed. At its end with an empty total. Cheap when no reservation changed. */
void roles_total_changed(struct agent *a);
void roles_free(struct master *m);

#endif
