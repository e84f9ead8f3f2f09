/* How the shim carries it out: cgroups are joined; PLAN_NETNS and the parent's namespaces are entered; then mounts, nodes and host name
 * in the order they were added; then PLAN_ROOTFS becomes the root; then, in the process that will be the command, rlimits, bounding
 * capabilities, user, capabilities, no_new_privs, seccomp, exec.
 *
 * Behind PLAN_ROOTFS an absolute target of a mount is a path in that root, as the container will see it: no symbolic link of the
 * image leads out of it, and what is missing is made. Sources are places of the machine. PLAN_ROOTFS itself brings /proc, /sys, /dev
 * and the sandbox.
 *
 * The launch plan while it is made: isolators and the containerizer add to it, launch_plan_encode() gives the bytes of
 * isolators/plan_format.h. What happens inside the container happens in the order it was added. Strings are copied. */
#ifndef ISOLATORS_LAUNCH_PLAN_H
#define ISOLATORS_LAUNCH_PLAN_H

#include "common/base/err.h"
#include "isolators/plan_format.h"
#include "proto/mesos.pb-c.h"

struct launch_plan {
    uint64_t clone_flags;   /* CLONE_NEW... of the shim */
    uint64_t flags;         /* enum plan_flag */
    uint64_t join;          /* CLONE_NEW...: nested, and those of its parent */
    uint64_t unshare;       /* CLONE_NEWNS: then a copy of its own */
    bool borrows, has_root; /* there is a PLAN_BORROW, a PLAN_ROOTFS */
    bool has_secret;        /* in buf */
    /* owned: what isolators add to the environment, "NAME=value"; CommandInfo's own comes later and wins */
    char **env;
    size_t n_env, cap_env;
    V1__CommandInfo *command; /* owned: runs in place of the container's own; or NULL */
    /* owned: the records, encoded as they come */
    char *buf;
    size_t len, cap;
};

void launch_plan_init(struct launch_plan *p);
void launch_plan_done(struct launch_plan *p);
#define _cleanup_launch_plan_ _cleanup_(launch_plan_done)

void launch_plan_string(struct launch_plan *p, enum plan_tag tag, const char *text);
/* `procs` is the path of a cgroup.procs file. */
void launch_plan_cgroup(struct launch_plan *p, const char *procs);
/* NULL strings are none. `options` is enum plan_mount_option. */
void launch_plan_mount(struct launch_plan *p, const char *source, const char *target,
                       const char *type, unsigned long flags, const char *data, unsigned options);
/* A file of the machine as one of the container's /etc, read-only. Nothing without PLAN_ROOTFS or when `source` is not there. */
void launch_plan_etc_file(struct launch_plan *p, const char *source, const char *target);
/* What the parent of a nested container has mounted at `seen`, at `put`. */
void launch_plan_borrow(struct launch_plan *p, enum plan_borrow_kind kind, const char *seen,
                        const char *put);
/* A file of this content, as of launch_plan_mount(). */
void launch_plan_secret(struct launch_plan *p, const char *target, unsigned options,
                        const void *data, size_t n);
/* Takes nothing: `entry` is copied. A later one of the same name wins. */
void launch_plan_env(struct launch_plan *p, const char *entry);
void launch_plan_rlimit(struct launch_plan *p, int resource, uint64_t soft, uint64_t hard);
void launch_plan_bytes(struct launch_plan *p, enum plan_tag tag, const void *data, size_t n);
/* `path` as the container sees it. */
void launch_plan_node(struct launch_plan *p, const struct plan_node *node, const char *path);
/* Nothing when there is nothing to join. `folder` is the runtime folder of the parent. */
void launch_plan_join(struct launch_plan *p, const char *folder);
void launch_plan_limits(struct launch_plan *p, double cpus, double mem);

/* Whether the container has a mount namespace of its own, so that what is mounted is for it alone. */
bool launch_plan_has_mounts(const struct launch_plan *p);

/* Closes the plan: adds the flags. The bytes are p->buf, p->len. FL_TOO_LARGE above PLAN_MAX_SIZE. */
int launch_plan_finish(struct launch_plan *p, struct fl_err *err);

#endif
