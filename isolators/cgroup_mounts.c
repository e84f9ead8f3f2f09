/* Where controllers are (cgroup.h): version 2 for all when that is what --cgroups_hierarchy is; otherwise each where libcgroup finds it, and
 * what is nowhere else in the version 2 hierarchy beside them. */
#include <errno.h>
#include <libcgroup.h>
#include <linux/magic.h>
#include <mntent.h>
#include <sys/vfs.h>

#include "isolators/cgroup_v2.h"

static bool is_v2_mount(const char *path)
{
    struct statfs st;

    return statfs(path, &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

bool cgroup_is_v2(const struct isolator_config *config)
{
    return is_v2_mount(config->cgroups_hierarchy);
}

/* What stands for a controller of version 1; NULL: nothing does. */
static const char *v2_name(const char *controller)
{
    static const struct {
        const char *v1, *v2;
    } other[] = {
        {"blkio", "io"},    {"cpuacct", "cpu"}, {"freezer", ""},    {"devices", ""},
        {"perf_event", ""}, {"net_cls", NULL},  {"net_prio", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(other); i++)
        if (streq(other[i].v1, controller))
            return other[i].v2;
    return controller;
}

/* libcgroup reads the mounts once a process. */
static int library_init(struct fl_err *err)
{
    static bool done;

    if (done)
        return 0;
    int r = cgroup_init();
    if (r != 0)
        return fl_err_set(err, FL_UNSUPPORTED, "cannot use the cgroups of this machine: %s",
                          cgroup_strerror(r));
    done = true;
    return 0;
}

/* The first version 2 hierarchy of the machine; the caller's, or NULL. */
static char *any_v2(void)
{
    FILE *f = setmntent("/proc/self/mounts", "re");
    struct mntent m;
    char buf[4096], *found = NULL;

    while (f && !found && getmntent_r(f, &m, buf, sizeof(buf)))
        if (streq(m.mnt_type, "cgroup2"))
            found = xstrdup(m.mnt_dir);
    if (f)
        endmntent(f);
    return found;
}

static int not_there(const char *controller, const char *why, struct fl_err *err)
{
    return fl_err_set(
        err, FL_UNSUPPORTED,
        "the cgroup controller '%s' is not mounted: %s; mount it or leave the isolator out",
        controller, why);
}

static int find_v2(const char *mount, const char *controller, struct cgroup_room *r,
                   struct fl_err *err)
{
    const char *name = v2_name(controller);

    if (!name)
        return not_there(controller, "version 2 of cgroups does not have it", err);
    if (!cgroup_v2_has(mount, name))
        return not_there(name, "it is not in cgroup.controllers of the version 2 hierarchy", err);
    r->v2 = true;
    r->mount = xstrdup(mount);
    fl_snprintf(r->controller, sizeof(r->controller), "%s", name);
    return 0;
}

static int find_any(const char *controller, struct cgroup_room *r, struct fl_err *err)
{
    _cleanup_free_ char *v2 = NULL;
    char *mount = NULL;
    int k = library_init(err);

    if (k < 0)
        return k;
    k = cgroup_get_subsys_mount_point(controller, &mount);
    if (k == 0 && !is_v2_mount(mount)) {
        r->mount = xstrdup(mount);
        free(mount);
        fl_snprintf(r->controller, sizeof(r->controller), "%s", controller);
        return 0;
    }
    free(mount);
    v2 = any_v2();
    return v2 ? find_v2(v2, controller, r, err)
              : not_there(controller, k ? cgroup_strerror(k) : "not as version 1", err);
}

static int find(const struct isolator_config *config, const char *controller, struct cgroup_room *r,
                struct fl_err *err)
{
    return cgroup_is_v2(config) ? find_v2(config->cgroups_hierarchy, controller, r, err)
                                : find_any(controller, r, err);
}

bool cgroup_has(const struct isolator_config *config, const char *controller)
{
    struct cgroup_room r = {.v2 = false};
    bool has = find(config, controller, &r, NULL) == 0;

    cgroup_room_done(&r);
    return has;
}

int cgroup_room_open(const struct isolator_config *config, const char *controller,
                     struct cgroup_room *ret, struct fl_err *err)
{
    struct cgroup_room r = {.launcher_joins = cgroup_is_v2(config)};

    if (!streq(config->launcher, "linux"))
        return fl_err_set(err, FL_UNSUPPORTED, "cgroups need --launcher=linux");
    if (geteuid() != 0)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "cgroups need root; run the agent as root or with --launcher=posix");
    int k = find(config, controller, &r, err);
    r.root = xstrdup(config->cgroups_root);
    if (k == 0 && r.v2)
        k = cgroup_v2_root(&r, err);
    if (k < 0) {
        cgroup_room_done(&r);
        return k;
    }
    *ret = r;
    return 0;
}

void cgroup_room_done(struct cgroup_room *r)
{
    free(r->mount);
    free(r->root);
    r->mount = r->root = NULL;
}
