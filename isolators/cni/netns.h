/* Network namespaces that outlive their processes: each is a bind mount on a file, below a folder that is a shared mount, so that what
 * is unmounted here goes from the mount namespaces of containers as well. */
#ifndef ISOLATORS_CNI_NETNS_H
#define ISOLATORS_CNI_NETNS_H

#include "common/base/loop.h"

/* Makes `root` and its mount; what is there already stays. */
int cni_root_make(const char *root, struct fl_err *err);
/* Unmounts it when nothing lies in it. */
void cni_root_drop(const char *root);

/* A new namespace at `path`, with its lo up. On a thread of its own: that takes the kernel milliseconds, and the agent must never be
 * in there itself. `done` once, on the loop, unless freed before. */
typedef void cni_netns_f(void *arg, const struct fl_err *err_or_null);
struct cni_netns;
int cni_netns_make(struct fl_loop *loop, const char *path, cni_netns_f *done, void *arg,
                   struct cni_netns **ret, struct fl_err *err);
void cni_netns_free(struct cni_netns *n); /* waits for the thread; not in `done` */

bool cni_netns_is(const char *path); /* a namespace is mounted there */
int cni_netns_remove(const char *path);

#endif
