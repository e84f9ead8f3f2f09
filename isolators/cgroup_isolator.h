/* What isolators that own one cgroup controller have in common; the struct of each begins with it. */
#ifndef ISOLATORS_CGROUP_ISOLATOR_H
#define ISOLATORS_CGROUP_ISOLATOR_H

#include "isolators/cgroup.h"
#include "isolators/isolators_priv.h"

struct cgroup_isolator {
    struct isolator base; /* first */
    struct cgroup_room room;
};

/* Allocates `size` bytes that begin with a cgroup_isolator on that controller. */
int cgroup_isolator_new(const struct isolator_ops *ops, const struct isolator_config *config,
                        const char *controller, size_t size, struct cgroup_isolator **ret,
                        struct fl_err *err);
void cgroup_isolator_free(struct isolator *i);
/* Makes the group with its values and has the shim join it. */
int cgroup_isolator_make(struct cgroup_isolator *i, const char *id,
                         const struct cgroup_value *values, size_t n, struct launch_plan *plan,
                         struct fl_err *err);
/* Has the shim join the group of another container. */
void cgroup_isolator_join(const struct cgroup_isolator *i, const char *id,
                          struct launch_plan *plan);
/* As isolator hooks. The first for controllers without values: a group of its own, or that of another container. */
int cgroup_isolator_prepare(struct isolator *i, const struct isolated_container *c,
                            struct launch_plan *plan, struct fl_err *err);
int cgroup_isolator_cleanup(struct isolator *i, const char *id);
void cgroup_isolator_orphans(struct isolator *i, void (*found)(void *arg, const char *id),
                             void *arg);

#endif
