/* The provisioner: root file systems for containers, made of images. It pulls what the store does not have, and lays the layers of an
 * image over one another below its own folder of the container. All slow work (network, archives, mounts) is in other processes;
 * everything here is the agent's thread and does not block.
 *
 * Folders: `<work_dir>/provisioner/containers/<container id>/...`, so what an earlier agent left is found and removed.
 */
#ifndef AGENT_CONTAINERIZER_PROVISIONER_H
#define AGENT_CONTAINERIZER_PROVISIONER_H

#include "common/base/err.h"
#include "common/base/loop.h"
#include "isolators/image_config.h"
#include "proto/mesos.pb-c.h"

struct agent_flags;
struct provisioner;

/* `rootfs` (absolute) and `config` are the callee's; both NULL with *err_or_null set. Never before provisioner_provision() returned. */
typedef void provisioner_done_f(void *arg, char *rootfs, struct image_config *config,
                                const struct fl_err *err_or_null);

/* *ret is NULL and 0 returned when --image_providers is empty: no container may then have an image. */
int provisioner_new(struct fl_loop *loop, const struct agent_flags *flags, struct provisioner **ret,
                    struct fl_err *err);
void provisioner_free(
    struct provisioner *p); /* `done` is not called any more; what is mounted stays */

/* One root file system. A container may have several: its own, and one for each volume with an image. */
void provisioner_provision(struct provisioner *p, const char *container_id, const V1__Image *image,
                           provisioner_done_f *done, void *arg);
/* Removes all of the container's root file systems, and gives up those under way (`done` is called with an error, later). Idempotent.
 * -EAGAIN: not all is gone yet, call again; 0 also when there was nothing. */
int provisioner_destroy(struct provisioner *p, const char *container_id);
/* After a restart: the ids of which something is there are passed to `found`. */
void provisioner_each(struct provisioner *p, void (*found)(void *arg, const char *container_id),
                      void *arg);

/* PRUNE_IMAGES and --image_gc_config: removes layers that no container and none of `excluded` needs. Later, unless something of that
 * kind is under way: FL_CONFLICT. */
typedef void provisioner_pruned_f(void *arg, const struct fl_err *err_or_null);
int provisioner_prune(struct provisioner *p, const V1__Image *const *excluded, size_t n,
                      provisioner_pruned_f *done, void *arg, struct fl_err *err);

#endif
