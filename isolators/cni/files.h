/* hosts, hostname and resolv.conf of a container with a network of its own, and how they get to be in its /etc. The agent's thread. */
#ifndef ISOLATORS_CNI_FILES_H
#define ISOLATORS_CNI_FILES_H

#include "isolators/cni/result.h"
#include "isolators/launch_plan.h"

/* Writes them into `folder`; resolv.conf only with servers, for else the machine's is right. `address` may be NULL. */
int cni_files_write(const char *folder, const char *hostname, const char *address,
                    const struct cni_dns *dns, bool durable, struct fl_err *err);
/* Mounts them over those of the machine, or of `rootfs`, which is PLAN_ROOTFS. What is not in `folder` is the machine's, read-only. */
int cni_files_mount(const char *folder, const char *rootfs, struct launch_plan *plan,
                    struct fl_err *err);
/* Makes a file below /etc of a root file system to be one, if need be: images have links there to places that only their makers'
 * machines had. None is followed out of the root. */
int cni_files_make(const char *rootfs, const char *name, struct fl_err *err);

#endif
