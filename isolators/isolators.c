/* The table of isolators and the reading of --isolation (features.md 5.1).
 *
 * Isolators prepare in the table's order, whatever the order in the flag, and clean up in reverse. Rules of the reference:
 *   exactly one filesystem/..., by default posix; filesystem/linux brings the volume isolators with it
 *   names that stand for several: process, cgroups, cgroups/all
 *   network/cni is always there
 *   an isolator that needs another is refused without it
 */
#include "isolators/isolators_priv.h"

#include <errno.h>

#include "isolators/cgroup.h"

/* In order of preparing. */
static const struct row {
    const struct isolator_ops *ops;
    const char *needs; /* a name that must be chosen as well; or NULL */
} table[] = {
    {&isolator_filesystem_posix, NULL},
    {&isolator_filesystem_linux, NULL},
    {&isolator_posix_cpu, NULL},
    {&isolator_posix_mem, NULL},
    {&isolator_posix_rlimits, NULL},
    {&isolator_cgroups_cpu, NULL},
    {&isolator_cgroups_mem, NULL},
    {&isolator_cgroups_cpuset, NULL},
    {&isolator_cgroups_blkio, NULL},
    {&isolator_cgroups_devices, NULL},
    {&isolator_cgroups_hugetlb, NULL},
    {&isolator_cgroups_net_cls, NULL},
    {&isolator_cgroups_net_prio, NULL},
    {&isolator_cgroups_perf_event, NULL},
    {&isolator_cgroups_pids, NULL},
    {&isolator_docker_runtime, NULL},
    {&isolator_linux_devices, "filesystem/linux"},
    {&isolator_linux_capabilities, NULL},
    {&isolator_linux_nnp, NULL},
    {&isolator_namespaces_pid, "filesystem/linux"},
    {&isolator_namespaces_ipc, "filesystem/linux"},
    {&isolator_namespaces_uts, NULL},
    {&isolator_volume_host_path, "filesystem/linux"},
    {&isolator_volume_sandbox_path, NULL},
    {&isolator_volume_image, "filesystem/linux"},
    {&isolator_volume_secret, "filesystem/linux"},
    {&isolator_environment_secret,
     NULL}, /* always; behind docker/runtime, whose variables it may replace */
    {&isolator_disk_du, NULL},
    {&isolator_disk_xfs, NULL},
    {&isolator_linux_seccomp, NULL}, /* behind linux/capabilities, by which rules are chosen */
    {&isolator_gpu_nvidia, "filesystem/linux"},
    {&isolator_network_ports, NULL},
    {&isolator_network_cni, NULL},
    {&isolator_linux_launcher,
     NULL}, /* last: when it prepares it is known whether there is a pid namespace */
};

/* What cgroups/all chooses, where the machine has it. */
static const struct {
    const struct isolator_ops *ops;
    const char *controller;
} controllers[] = {
    {&isolator_cgroups_pids, "pids"},         {&isolator_cgroups_cpuset, "cpuset"},
    {&isolator_cgroups_blkio, "blkio"},       {&isolator_cgroups_devices, "devices"},
    {&isolator_cgroups_hugetlb, "hugetlb"},   {&isolator_cgroups_net_cls, "net_cls"},
    {&isolator_cgroups_net_prio, "net_prio"}, {&isolator_cgroups_perf_event, "perf_event"},
};

static const struct {
    const char *name, *stands_for;
} aliases[] = {
    {"process", "posix/cpu,posix/mem"},
    {"cgroups", "cgroups/cpu,cgroups/mem"},
    {"cgroups/all", "cgroups/cpu,cgroups/mem"}, /* and the others that this machine has */
    {"cgroups/io", "cgroups/blkio"},
    {"posix/disk", "disk/du"},
    {"filesystem/linux", "volume/host_path,volume/sandbox_path,volume/image"}, /* besides itself */
};

const struct isolator_ops *isolator_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (streq(table[i].ops->name, name))
            return table[i].ops;
    return NULL;
}

struct chosen {
    const struct isolator_config *config;
    bool on[ARRAY_SIZE(table)];
};

static bool *choice(struct chosen *c, const char *name, size_t n)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (strlen(table[i].ops->name) == n && memcmp(table[i].ops->name, name, n) == 0)
            return &c->on[i];
    return NULL;
}

static bool *named(struct chosen *c, const char *name)
{
    return choice(c, name, strlen(name));
}

static int choose_list(const char *list, struct chosen *c, struct fl_err *err);

static void choose_mounted(struct chosen *c)
{
    /* A group for counting nothing would only make each launch dearer. */
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
        if ((controllers[i].ops != &isolator_cgroups_perf_event || c->config->perf_events) &&
            cgroup_has(c->config, controllers[i].controller))
            *named(c, controllers[i].ops->name) = true;
}

static int choose(const char *name, size_t n, struct chosen *c, struct fl_err *err)
{
    bool *on = choice(c, name, n);
    bool known = on && strncmp(name, "launcher/", 9) != 0; /* that comes by --launcher */
    int r = 0;

    if (known)
        *on = true;
    if (n == strlen("cgroups/all") && memcmp(name, "cgroups/all", n) == 0)
        choose_mounted(c);
    for (size_t i = 0; i < ARRAY_SIZE(aliases) && r == 0; i++)
        if (strlen(aliases[i].name) == n && memcmp(aliases[i].name, name, n) == 0) {
            known = true;
            r = choose_list(aliases[i].stands_for, c, err);
        }
    if (!known)
        return fl_err_set(err, FL_INVALID,
                          "Unknown or unsupported isolator '%.*s' in --isolation; "
                          "docs/isolators.md lists those there are",
                          (int)n, name);
    return r;
}

static int choose_list(const char *list, struct chosen *c, struct fl_err *err)
{
    int r = 0;

    for (const char *p = list; *p && r == 0;) {
        size_t n = strcspn(p, ",");
        if (n)
            r = choose(p, n, c, err);
        p += n + (p[n] == ',');
    }
    return r;
}

static int complete(struct chosen *c, const struct isolator_config *config, struct fl_err *err)
{
    bool *posix = named(c, "filesystem/posix"), *lin = named(c, "filesystem/linux");

    if (*posix && *lin)
        return fl_err_set(err, FL_INVALID,
                          "Using multiple filesystem isolators simultaneously is disallowed: "
                          "filesystem/posix, filesystem/linux");
    if (!*lin)
        *posix = true;
    *named(c, "environment_secret") = true;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (c->on[i] && table[i].needs && !*named(c, table[i].needs))
            return fl_err_set(err, FL_INVALID,
                              "isolator '%s' needs isolator '%s' as well; add it to --isolation",
                              table[i].ops->name, table[i].needs);
    *named(c, "network/cni") = true; /* costs nothing where no network is named */
    *named(c, "launcher/linux") = streq(config->launcher, "linux");
    return 0;
}

static void free_all(struct isolator **v, size_t n)
{
    while (n-- > 0)
        v[n]->ops->free(v[n]);
    free(v);
}

int isolators_create(struct fl_loop *loop, const struct isolator_config *config,
                     const char *isolation, isolator_limit_f *limit, void *arg,
                     struct isolator ***ret, size_t *ret_n, struct fl_err *err)
{
    struct chosen c = {.config = config};
    struct isolator **v = xcalloc(ARRAY_SIZE(table), sizeof(*v));
    size_t n = 0;

    int r = choose_list(isolation, &c, err);
    if (r == 0)
        r = complete(&c, config, err);
    for (size_t i = 0; i < ARRAY_SIZE(table) && r == 0; i++) {
        if (!c.on[i])
            continue;
        r = table[i].ops->create(loop, config, limit, arg, &v[n], err);
        if (r < 0)
            fl_err_wrap(err, "isolator '%s'", table[i].ops->name);
        else
            n++;
    }
    if (r < 0) {
        free_all(v, n);
        return r;
    }
    *ret = v;
    *ret_n = n;
    return 0;
}
