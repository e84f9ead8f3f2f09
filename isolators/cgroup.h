/* One controller's cgroups of our containers, on version 1 and 2 alike. Container "a", and "b" nested in it:
 *
 *   v1   <mount>/<cgroups_root>/a                   <mount>/<cgroups_root>/a/mesos/b        values and processes
 *   v2   <mount>/<cgroups_root>/a                   <mount>/<cgroups_root>/a/mesos/b        values
 *        <mount>/<cgroups_root>/a/leaf              <mount>/<cgroups_root>/a/mesos/b/leaf   processes
 *
 * so what is nested can never have more than what it is nested in. Each controller has a room of its own: on a machine with both
 * versions, those that are mounted as version 1 are used so, the others are taken from the version 2 hierarchy.
 *
 * libcgroup finds the mounts and makes the groups of version 1 with their values. What it cannot do, or does in a way that does not suit
 * us, is plain file access here: version 2, reading and changing one value, event descriptors, joining (the shim does it for itself),
 * killing what is in a group, and removing one (libcgroup would first move the processes to the parent, where they would escape).
 * The agent's thread. */
#ifndef ISOLATORS_CGROUP_H
#define ISOLATORS_CGROUP_H

#include "isolators/isolator.h"

struct cgroup_room {
    bool v2;
    bool launcher_joins; /* v2, and the launcher's isolator has the shim join the group already */
    char controller[16]; /* "": version 2, and nothing has to be enabled for it */
    char *mount, *root;  /* owned */
};
struct cgroup_value {
    const char *name; /* "memory.limit_in_bytes" */
    char text[32];
};

/* Is version 2 what is mounted at --cgroups_hierarchy? */
bool cgroup_is_v2(const struct isolator_config *config);
/* `controller` is version 1's name: "blkio" is "io" on version 2. */
bool cgroup_has(const struct isolator_config *config, const char *controller);
/* FL_UNSUPPORTED when the controller is not mounted, we are not root, or the launcher is not `linux`. On version 2 the controller is
 * enabled down to --cgroups_root, which is made; when the agent itself is in the way it moves to <cgroups_root>/agent/leaf. */
int cgroup_room_open(const struct isolator_config *config, const char *controller,
                     struct cgroup_room *ret, struct fl_err *err);
void cgroup_room_done(struct cgroup_room *r);

char *cgroup_path(const struct cgroup_room *r, const char *id, const char *file); /* the caller's */
/* The cgroup.procs file to join; the caller's. */
char *cgroup_procs(const struct cgroup_room *r, const char *id);
/* Makes the container's group with these values, in this order. */
int cgroup_make(const struct cgroup_room *r, const char *id, const struct cgroup_value *values,
                size_t n, struct fl_err *err);
int cgroup_write(const struct cgroup_room *r, const char *id, const char *file, const char *text,
                 struct fl_err *err);
/* NUL-terminated, cut at size. Length or -errno. */
int cgroup_read(const struct cgroup_room *r, const char *id, const char *file, char *buf,
                size_t size);
int cgroup_read_u64(const struct cgroup_room *r, const char *id, const char *file, uint64_t *ret);
/* The number behind `key ` in a text of "key number\n" lines; false when there is none. */
bool cgroup_key(const char *text, const char *key, uint64_t *ret);
/* How many processes, or threads, are in the group itself. */
uint32_t cgroup_count(const struct cgroup_room *r, const char *id, bool threads);
void cgroup_each_process(const struct cgroup_room *r, const char *id,
                         void (*fn)(pid_t pid, void *arg), void *arg);
/* Kills what is in it and below, and removes it. -EAGAIN: not all is gone yet. 0 also when there was none. */
int cgroup_remove(const struct cgroup_room *r, const char *id);
/* Those that are nested come after what they are nested in. */
void cgroup_each(const struct cgroup_room *r, void (*found)(void *arg, const char *id), void *arg);

#endif
