/* Root file systems of containers, as filesystem/linux and the isolators of namespaces plan them. */
#ifndef ISOLATORS_FILESYSTEM_ROOT_H
#define ISOLATORS_FILESYSTEM_ROOT_H

#include "isolators/isolator.h"
#include "isolators/launch_plan.h"

/* A nested container that begins with the machine's mounts instead of its parent's, because it or its parent has a root of its own.
 * As in the reference: what it sees of its parent is the sandbox, with what is mounted there. */
bool filesystem_is_fresh(const struct isolated_container *c);
void filesystem_plan_fresh(const struct isolator_config *config, const struct isolated_container *c,
                           struct launch_plan *plan);
/* c->rootfs becomes the root. First of what is mounted there. */
void filesystem_plan_root(const struct isolator_config *config, const struct isolated_container *c,
                          struct launch_plan *plan);
/* A /dev/shm of the container's own. */
void filesystem_plan_shm(struct launch_plan *plan, const char *data);

#endif
