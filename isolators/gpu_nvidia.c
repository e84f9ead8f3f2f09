/* gpu/nvidia: whole GPUs for containers with the resource `gpus`. A container may open the devices of its GPUs and those that control the
 * driver, by cgroups/devices; one with a root file system of its own has the nodes in its /dev, and the driver's files when its image wants them.
 *
 * Which GPUs a container has is kept in <work_dir>/meta/gpus/<container>, for an agent that comes later; the file goes with the container.
 * What is nested uses the GPUs of its root.
 * Version 1 of cgroups gives and takes devices one by one; on version 2 the program of cgroups/devices is replaced by one that knows them.
 */
#include "isolators/stateless.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <dirent.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "common/base/log.h"
#include "isolators/cgroup.h"
#include "isolators/device_rules.h"
#include "isolators/gpu_choice.h"
#include "isolators/gpu_volume.h"
#include "isolators/id_map.h"
#include "isolators/nvml.h"
#include "isolators/sandbox_path.h"

#define NVIDIA_MAJOR 195

struct gpu {
    unsigned minor; /* names it, also in the file of a container */
    dev_t device;
    char *owner; /* owned: the container's id; NULL: free */
};
/* A node of the machine that containers see. */
struct node {
    char *path; /* owned; as in the container */
    dev_t device;
    bool control;
};
struct gpu_isolator {
    struct stateless_isolator base; /* first */
    struct cgroup_room room;
    struct device_rules rules; /* version 2: those of cgroups/devices */
    struct gpu *gpus;
    size_t n_gpus;
    struct node *nodes;
    size_t n_nodes, cap_nodes;
    char *volume, *folder;    /* owned */
    struct id_map containers; /* roots; of struct id_entry */
};

/* ---- who has which ---- */

static size_t count_of(const struct gpu_isolator *x, const char *id)
{
    size_t n = 0;

    for (size_t i = 0; i < x->n_gpus; i++)
        n += x->gpus[i].owner && streq(x->gpus[i].owner, id);
    return n;
}

static char *file_of(const struct gpu_isolator *x, const char *id)
{
    return xasprintf("%s/%s", x->folder, id);
}

static int keep(const struct gpu_isolator *x, const char *id, struct fl_err *err)
{
    _cleanup_free_ char *path = file_of(x, id), *beside = xasprintf("%s/.tmp", x->folder);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    for (size_t i = 0; i < x->n_gpus; i++)
        if (x->gpus[i].owner && streq(x->gpus[i].owner, id))
            fl_buf_addf(&b, "%u\n", x->gpus[i].minor);
    _cleanup_close_ int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || (b.len && write(fd, b.data, b.len) != (ssize_t)b.len) || rename(beside, path) < 0)
        return fl_err_errno(err, errno, "note the GPUs of container '%s' in '%s'", id, path);
    return 0;
}

static void recall(struct gpu_isolator *x, const char *id)
{
    _cleanup_free_ char *path = file_of(x, id);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[1024];
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    for (char *p = text, *end; (end = strchr(p, '\n')); p = end + 1) {
        uint64_t minor;
        *end = '\0';
        if (fl_parse_u64(p, &minor) < 0)
            return;
        for (size_t i = 0; i < x->n_gpus; i++)
            if (x->gpus[i].minor == minor && !x->gpus[i].owner)
                x->gpus[i].owner = xstrdup(id);
    }
}

/* ---- what cgroups let it open ---- */

static struct device_rule rule_of(dev_t device, bool control)
{
    return (struct device_rule){'c',    (int64_t)major(device), (int64_t)minor(device), true, true,
                                control};
}

static int write_rule(const struct gpu_isolator *x, const char *id, const char *file, dev_t device,
                      bool control, struct fl_err *err)
{
    const struct device_rule rule = rule_of(device, control);
    char text[64];

    device_rule_text(&rule, text, sizeof(text));
    return cgroup_write(&x->room, id, file, text, err);
}

static bool has(const struct gpu *g, const char *id)
{
    return g->owner && streq(g->owner, id);
}

static int allow_v1(const struct gpu_isolator *x, const char *id, const char *owner,
                    struct fl_err *err)
{
    int r = 0;

    for (size_t i = 0; i < x->n_nodes && r == 0; i++)
        if (x->nodes[i].control)
            r = write_rule(x, id, "devices.allow", x->nodes[i].device, true, err);
    for (size_t i = 0; i < x->n_gpus && r == 0; i++)
        if (has(&x->gpus[i], owner))
            r = write_rule(x, id, "devices.allow", x->gpus[i].device, false, err);
    return r;
}

static int allow_v2(const struct gpu_isolator *x, const char *id, const char *owner,
                    struct fl_err *err)
{
    struct device_rules all = {
        .v = xcalloc(x->rules.n + x->n_nodes + x->n_gpus, sizeof(struct device_rule))};
    _cleanup_close_ int program = -EBADF;
    _cleanup_free_ char *group = cgroup_path(&x->room, id, "");
    size_t n;

    memcpy(all.v, x->rules.v, x->rules.n * sizeof(*all.v));
    all.n = x->rules.n;
    for (size_t i = 0; i < x->n_nodes; i++)
        if (x->nodes[i].control)
            all.v[all.n++] = rule_of(x->nodes[i].device, true);
    for (size_t i = 0; i < x->n_gpus; i++)
        if (has(&x->gpus[i], owner))
            all.v[all.n++] = rule_of(x->gpus[i].device, false);
    _cleanup_free_ struct bpf_insn *code = device_rules_program(&all, &n);
    device_rules_done(&all);
    int r = device_program_load(code, n, &program, err);
    return r < 0 ? r : device_program_replace(program, group, err);
}

/* In the group of `id` the GPUs of `owner`; on version 2 no others. */
static int allow(const struct gpu_isolator *x, const char *id, const char *owner,
                 struct fl_err *err)
{
    return x->room.v2 ? allow_v2(x, id, owner, err) : allow_v1(x, id, owner, err);
}

/* ---- allocation ---- */

static void release(struct gpu_isolator *x, const char *id, size_t n)
{
    for (size_t i = x->n_gpus; i-- > 0 && n > 0;) {
        struct gpu *g = &x->gpus[i];
        if (!has(g, id))
            continue;
        free(g->owner);
        g->owner = NULL;
        n--;
    }
}

static int take(struct gpu_isolator *x, const char *id, size_t n, struct fl_err *err)
{
    size_t available = 0;

    for (size_t i = 0; i < x->n_gpus; i++)
        available += x->gpus[i].owner == NULL;
    if (n > available)
        return fl_err_set(err, FL_LIMIT, "Requested %zu gpus but only %zu available", n, available);
    for (size_t i = 0; i < x->n_gpus && n > 0; i++) {
        if (x->gpus[i].owner)
            continue;
        x->gpus[i].owner = xstrdup(id);
        n--;
    }
    return 0;
}

static int deny_v1(const struct gpu_isolator *x, const char *id, struct fl_err *err)
{
    int r = 0;

    for (size_t i = 0; i < x->n_gpus && r == 0; i++)
        if (!has(&x->gpus[i], id))
            r = write_rule(x, id, "devices.deny", x->gpus[i].device, false, err);
    return r;
}

static int resize(struct gpu_isolator *x, const struct isolated_container *c, bool anyway,
                  struct fl_err *err)
{
    milli_t gpus = resources_scalar(c->resources, "gpus");
    size_t want = (size_t)(gpus / MILLI_ONE), now = count_of(x, c->id);
    int r = 0;

    if (gpus < 0 || gpus % MILLI_ONE)
        return fl_err_set(err, FL_INVALID, "The 'gpus' resource must be an unsigned integer");
    if (want == now && !anyway)
        return 0;
    if (want > now)
        r = take(x, c->id, want - now, err);
    else
        release(x, c->id, now - want);
    if (r == 0 && want < now && !x->room.v2)
        r = deny_v1(x, c->id, err);
    if (r == 0)
        r = allow(x, c->id, c->id, err);
    return r == 0 ? keep(x, c->id, err) : r;
}

/* ---- containers ---- */

static bool is_mine(const struct gpu_isolator *x, const struct node *n, const char *owner)
{
    if (n->control)
        return true;
    for (size_t i = 0; i < x->n_gpus; i++)
        if (x->gpus[i].device == n->device)
            return true;
    return false;
}

/* All GPUs are there to see, for the container may get more; which of them it can open, cgroups say. */
static void plan_root(const struct gpu_isolator *x, const struct isolated_container *c,
                      struct launch_plan *plan)
{
    if (gpu_volume_wanted(c->image))
        gpu_volume_plan(x->volume, c->image, plan);
    for (size_t i = 0; i < x->n_nodes; i++) {
        const struct plan_node n = {.mode = S_IFCHR | 0666,
                                    .major = major(x->nodes[i].device),
                                    .minor = minor(x->nodes[i].device)};
        if (is_mine(x, &x->nodes[i], c->id))
            launch_plan_node(plan, &n, x->nodes[i].path);
    }
}

static int gpu_prepare(struct isolator *i, const struct isolated_container *c,
                       struct launch_plan *plan, struct fl_err *err)
{
    struct gpu_isolator *x = (struct gpu_isolator *)i;
    int r = 0;

    if (!c->root_id) {
        id_map_make(&x->containers, c->id, sizeof(struct id_entry));
        r = resize(x, c, true, err);
    } else if (!c->shares_cgroups) {
        r = allow(x, c->id, c->root_id, err);
    }
    if (r == 0 && c->rootfs && !c->debug)
        plan_root(x, c, plan);
    return r;
}

static int gpu_update(struct isolator *i, const struct isolated_container *c, struct fl_err *err)
{
    struct gpu_isolator *x = (struct gpu_isolator *)i;

    return id_map_get(&x->containers, c->id) ? resize(x, c, false, err) : 0;
}

static int gpu_recover(struct isolator *i, const struct isolated_container *c, pid_t pid,
                       struct fl_err *err)
{
    struct gpu_isolator *x = (struct gpu_isolator *)i;

    if (c->root_id)
        return 0;
    id_map_make(&x->containers, c->id, sizeof(struct id_entry));
    recall(x, c->id);
    return 0;
}

static int gpu_cleanup(struct isolator *i, const char *id)
{
    struct gpu_isolator *x = (struct gpu_isolator *)i;
    _cleanup_free_ char *path = file_of(x, id);
    struct id_entry *e = id_map_get(&x->containers, id);

    release(x, id, SIZE_MAX);
    if (e)
        id_map_drop(&x->containers, e);
    if (!strchr(id, '.'))
        unlink(path);
    return 0;
}

static void gpu_orphans(struct isolator *i, void (*found)(void *arg, const char *id), void *arg)
{
    const struct gpu_isolator *x = (struct gpu_isolator *)i;
    DIR *d = opendir(x->folder);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            found(arg, e->d_name);
    if (d)
        closedir(d);
}

/* ---- the machine ---- */

static void gpu_free(struct isolator *i)
{
    struct gpu_isolator *x = (struct gpu_isolator *)i;

    for (size_t k = 0; k < x->n_gpus; k++)
        free(x->gpus[k].owner);
    for (size_t k = 0; k < x->n_nodes; k++)
        free(x->nodes[k].path);
    free(x->gpus);
    free(x->nodes);
    free(x->volume);
    free(x->folder);
    device_rules_done(&x->rules);
    id_map_done(&x->containers);
    if (x->room.mount)
        cgroup_room_done(&x->room);
    free(x);
}

static void add_node(struct gpu_isolator *x, const char *folder, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISCHR(st.st_mode))
        return;
    bool control = streq(name, "nvidiactl") || strncmp(name, "nvidia-uvm", 10) == 0;
    x->nodes = xgrow(x->nodes, &x->cap_nodes, x->n_nodes + 1, sizeof(*x->nodes));
    x->nodes[x->n_nodes++] = (struct node){xasprintf("/dev/%s", name), st.st_rdev, control};
}

/* The driver makes that device when it is first asked for, by a program of its own. */
static void load_uvm(void)
{
    static const char *const argv[] = {"nvidia-modprobe", "-u", "-c", "0", NULL};
    pid_t pid;

    if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ) == 0)
        waitpid(pid, NULL, 0);
}

static bool has_node(const struct gpu_isolator *x, const char *path)
{
    for (size_t i = 0; i < x->n_nodes; i++)
        if (streq(x->nodes[i].path, path))
            return true;
    return false;
}

static int find_nodes(struct gpu_isolator *x, struct fl_err *err)
{
    const char *folder = x->base.config->nvidia_device_dir;
    _cleanup_free_ char *uvm = xasprintf("%s/nvidia-uvm", folder),
                        *pattern = xasprintf("%s/nvidia*", folder);
    glob_t g = {0};

    if (access(uvm, F_OK) < 0)
        load_uvm();
    if (glob(pattern, 0, NULL, &g) == 0)
        for (size_t i = 0; i < g.gl_pathc; i++)
            add_node(x, folder, strrchr(g.gl_pathv[i], '/') + 1);
    globfree(&g);
    if (!has_node(x, "/dev/nvidiactl"))
        return fl_err_set(err, FL_UNSUPPORTED,
                          "there is no device '%s/nvidiactl'; is NVIDIA's driver loaded?", folder);
    if (!has_node(x, "/dev/nvidia-uvm"))
        return fl_err_set(err, FL_UNSUPPORTED,
                          "there is no device '%s'; run 'nvidia-modprobe -u -c 0'", uvm);
    return 0;
}

static dev_t device_of(const struct gpu_isolator *x, unsigned minor)
{
    char path[40];

    fl_snprintf(path, sizeof(path), "/dev/nvidia%u", minor);
    for (size_t i = 0; i < x->n_nodes; i++)
        if (streq(x->nodes[i].path, path))
            return x->nodes[i].device;
    return makedev(NVIDIA_MAJOR, minor);
}

static int find_gpus(struct gpu_isolator *x, const struct nvml *nvml, struct fl_err *err)
{
    const struct isolator_config *c = x->base.config;
    const struct gpu_flags flags = {c->isolation, c->resources, c->default_role,
                                    c->nvidia_gpu_devices, c->nvml_library};
    struct gpu_choice choice;
    int r = gpu_choose(&flags, &choice, err);

    if (r < 0)
        return r;
    x->gpus = xcalloc(choice.n + 1, sizeof(*x->gpus));
    for (size_t i = 0; i < choice.n && r == 0; i++) {
        r = nvml_minor(nvml, choice.indices[i], &x->gpus[i].minor, err);
        x->gpus[i].device = device_of(x, x->gpus[i].minor);
        x->n_gpus += r == 0;
    }
    gpu_choice_done(&choice);
    return r;
}

static int find_all(struct gpu_isolator *x, struct fl_err *err)
{
    const struct isolator_config *c = x->base.config;
    _cleanup_(nvml_closep) struct nvml *nvml = NULL;
    char version[96];
    int r = nvml_open(c->nvml_library, &nvml, err);

    if (r == 0)
        r = find_nodes(x, err);
    if (r == 0)
        r = find_gpus(x, nvml, err);
    if (r == 0)
        r = nvml_driver_version(nvml, version, err);
    if (r == 0)
        r = gpu_volume_make(c->work_dir, version, &x->volume, err);
    return r;
}

static int fill(struct gpu_isolator *x, struct fl_err *err)
{
    const struct isolator_config *c = x->base.config;
    int r = need_linux(c, err);

    if (r == 0 && !gpu_isolation_has(c->isolation, "cgroups/devices") &&
        !gpu_isolation_has(c->isolation, "cgroups/all"))
        r = fl_err_set(err, FL_INVALID,
                       "The 'cgroups/devices' or 'cgroups/all' isolator must be enabled in order "
                       "to use the 'gpu/nvidia' isolator");
    if (r == 0)
        r = find_all(x, err);
    if (r == 0)
        r = cgroup_room_open(c, "devices", &x->room, err);
    if (r == 0)
        r = device_rules_make(c->allowed_devices, &x->rules, err);
    x->folder = xasprintf("%s/meta/gpus", c->work_dir);
    return r == 0 ? make_folders(x->folder, err) : r;
}

static int gpu_create(struct fl_loop *loop, const struct isolator_config *config,
                      isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err)
{
    struct gpu_isolator *x = xnew0(struct gpu_isolator);

    x->base.base.ops = &isolator_gpu_nvidia;
    x->base.config = config;
    int r = fill(x, err);
    if (r < 0) {
        gpu_free(&x->base.base);
        return r;
    }
    *ret = &x->base.base;
    return 0;
}

const struct isolator_ops isolator_gpu_nvidia = {
    .name = "gpu/nvidia",
    .create = gpu_create,
    .free = gpu_free,
    .prepare = gpu_prepare,
    .recover = gpu_recover,
    .update = gpu_update,
    .cleanup = gpu_cleanup,
    .orphans = gpu_orphans,
};
