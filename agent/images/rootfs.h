/* The root file system of a container out of layers, and its removal. Below the container's folder (provisioner.h):
 *
 *     layers                              hex digits of those it stands on, a line each, written before anything else: prune keeps them
 *     backends/BACKEND/rootfses/ID        the root
 *     backends/overlay/scratch/ID/{upper,work,l}
 *
 * The helper's process, which shares the agent's mount namespace. */
#ifndef AGENT_IMAGES_ROOTFS_H
#define AGENT_IMAGES_ROOTFS_H

#include <jansson.h>

#include "common/base/err.h"

struct rootfs_request {
    const char *store, *folder; /* of the container */
    const char *backend;        /* "overlay", "copy" or "bind" */
    const char *id;
    const json_t *layers; /* bottom first */
};
int rootfs_make(const struct rootfs_request *rq, struct fl_err *err);
/* The caller's. */
char *rootfs_path(const char *folder, const char *backend, const char *id);
/* Unmounts everything below the folder and removes it. */
int rootfs_destroy(const char *folder, struct fl_err *err);
/* Unmounts what is mounted below. */
int rootfs_unmount_below(const char *folder, struct fl_err *err);
/* Adds the layers of all containers below to the array. */
void rootfs_layers_in_use(const char *containers, json_t *used);
/* Whether overlay works below `folder` (which exists): tried out. Any process. */
int rootfs_overlay_works(const char *folder, struct fl_err *err);

#endif
