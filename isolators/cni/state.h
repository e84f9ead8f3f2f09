/* What is kept on disk of the networks of containers, so that a restarted agent can take them down. The layout is the reference's:
 *
 *   <runtime_dir or work_dir>/isolators/network/cni/<container id>/
 *       ns                              the network namespace, a bind mount
 *       hosts, hostname, resolv.conf
 *       <network>/network.conf          what its plug-ins were given; there before the first of them runs
 *       <network>/<interface>/network.info   what they said
 * Any thread; no state in memory. */
#ifndef ISOLATORS_CNI_STATE_H
#define ISOLATORS_CNI_STATE_H

#include "common/base/err.h"

/* Whole, NUL-terminated, the caller's. */
int cni_file_read(const char *path, size_t max, char **ret, size_t *ret_n, struct fl_err *err);
/* Whole or not at all. `durable`: also over a failure of the machine. */
int cni_file_write(const char *path, const char *text, bool durable, struct fl_err *err);
/* Calls fn for every entry that is not hidden; those are few. Deferred until the folder is closed. */
void cni_folder_each(const char *path, void (*fn)(void *arg, const char *name), void *arg);
/* Removes files and folders below, at most `depth` down; never through a mount of another file system or a symbolic link. */
int cni_folder_remove(const char *path, unsigned depth);

#endif
