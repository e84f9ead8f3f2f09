/* One volume of a container, whichever isolator it comes from. */
#ifndef ISOLATORS_VOLUME_H
#define ISOLATORS_VOLUME_H

#include "isolators/sandbox_path.h"
#include "isolators/stateless.h"

/* Shows `source` (absolute, exists) as `container_path`: by a bind mount when the plan has a mount namespace, else by a link in the
 * sandbox, where only a relative container_path and read-write are possible. */
int volume_add(const struct isolated_container *c, const char *source, const char *container_path,
               bool read_only, struct launch_plan *plan, struct fl_err *err);
/* Checks the container_path of a volume that is mounted, makes it what a plan takes and adds its options. */
int volume_target(const struct isolated_container *c, const char **container_path,
                  unsigned *options, struct fl_err *err);
/* A link in the sandbox; already there is fine. FL_UNSUPPORTED for an absolute container_path. */
int volume_link(const char *sandbox, const char *source, const char *container_path,
                struct fl_err *err);
/* Takes it away, if it is still there and still ours. */
void volume_unlink(const char *sandbox, const char *source, const char *container_path);

#endif
