/* Version 2 only, for cgroup.c and cgroup_mounts.c: controllers must be enabled in every group above the one that uses them, and a group
 * that passes controllers on may have no processes itself. */
#ifndef ISOLATORS_CGROUP_V2_H
#define ISOLATORS_CGROUP_V2_H

#include "isolators/cgroup.h"

/* Is it in <mount>/cgroup.controllers? True for "". */
bool cgroup_v2_has(const char *mount, const char *controller);
/* Makes --cgroups_root and enables the controller in it and all above it. */
int cgroup_v2_root(const struct cgroup_room *r, struct fl_err *err);
/* Makes the container's group and its leaf, with the controller enabled in each group on the way. */
int cgroup_v2_make(const struct cgroup_room *r, const char *id, struct fl_err *err);

#endif
