/* One controller's cgroups of our containers, <mount>/<cgroups_root>/<container id>, on version 1 and 2 alike.
 *
 * libcgroup finds the mounts and makes the groups with their values. What it cannot do, or does in a way that does not suit us, is plain
 * file access here: reading and changing one value, event descriptors, joining (the shim does it for itself), killing what is in a
 * group, and removing one (libcgroup would first move the processes to the parent, where they would escape).
 * The agent's thread. */
#ifndef ISOLATORS_CGROUP_H
#define ISOLATORS_CGROUP_H

#include "isolators/isolator.h"

struct cgroup_room {
    bool v2;
    char controller[16]; /* "" : version 2 without a controller, for its kill file alone */
    char *mount, *root;  /* owned */
};
struct cgroup_value {
    const char *name; /* "memory.limit_in_bytes" */
    char text[32];
};

/* Is version 2 what is mounted at --cgroups_hierarchy? */
bool cgroup_is_v2(const struct isolator_config *config);
/* FL_UNSUPPORTED when the controller is not mounted, we are not root, or the launcher is not `linux`. */
int cgroup_room_open(const struct isolator_config *config, const char *controller,
                     struct cgroup_room *ret, struct fl_err *err);
void cgroup_room_done(struct cgroup_room *r);

char *cgroup_path(const struct cgroup_room *r, const char *id, const char *file); /* the caller's */
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
uint32_t cgroup_count(const struct cgroup_room *r, const char *id, const char *file); /* lines */
/* Kills what is in it and removes it. -EAGAIN: not all is gone yet. 0 also when there was none. */
int cgroup_remove(const struct cgroup_room *r, const char *id);
void cgroup_each(const struct cgroup_room *r, void (*found)(void *arg, const char *id), void *arg);

#endif
