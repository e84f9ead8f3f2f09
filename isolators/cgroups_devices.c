/* cgroups/devices: all devices are denied but the usual ones and those of --allowed_devices (device_rules.h).
 *
 *   v1: devices.deny "a", then a line a device in devices.allow
 *   v2: one BPF program for all containers, attached to each one's group
 */
#include <errno.h>
#include <fcntl.h>

#include "isolators/cgroup_isolator.h"
#include "isolators/device_rules.h"

struct devices_isolator {
    struct cgroup_isolator cg; /* first */
    struct device_rules rules;
    int program; /* v2; -EBADF */
};

static void devices_free(struct isolator *i)
{
    struct devices_isolator *d = (struct devices_isolator *)i;

    device_rules_done(&d->rules);
    if (d->program >= 0)
        close(d->program);
    cgroup_isolator_free(i);
}

static int load(struct devices_isolator *d, struct fl_err *err)
{
    size_t n;
    _cleanup_free_ struct bpf_insn *code = device_rules_program(&d->rules, &n);

    return device_program_load(code, n, &d->program, err);
}

static int devices_create(struct fl_loop *loop, const struct isolator_config *config,
                          isolator_limit_f *limit, void *arg, struct isolator **ret,
                          struct fl_err *err)
{
    struct cgroup_isolator *cg = NULL;
    int r = cgroup_isolator_new(&isolator_cgroups_devices, config, "devices",
                                sizeof(struct devices_isolator), &cg, err);

    if (r < 0)
        return r;
    struct devices_isolator *d = (struct devices_isolator *)cg;
    d->program = -EBADF;
    r = device_rules_make(config->allowed_devices, &d->rules, err);
    if (r == 0 && cg->room.v2)
        r = load(d, err);
    if (r < 0) {
        devices_free(&cg->base);
        return r;
    }
    *ret = &cg->base;
    return 0;
}

/* Denied all first: a group begins with all that the one above it may. */
static int write_rules(const struct devices_isolator *d, const char *id, struct fl_err *err)
{
    int r = cgroup_write(&d->cg.room, id, "devices.deny", "a", err);

    if (r < 0)
        return r;
    _cleanup_free_ char *path = cgroup_path(&d->cg.room, id, "devices.allow");
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    for (size_t i = 0; i < d->rules.n; i++) {
        char text[64];
        device_rule_text(&d->rules.v[i], text, sizeof(text));
        if (fd < 0 || write(fd, text, strlen(text)) < 0)
            return fl_err_errno(err, errno, "allow the device '%s' in '%s'", text, path);
    }
    return 0;
}

static int devices_prepare(struct isolator *i, const struct isolated_container *c,
                           struct launch_plan *plan, struct fl_err *err)
{
    struct devices_isolator *d = (struct devices_isolator *)i;
    int r = cgroup_isolator_prepare(i, c, plan, err);

    if (r < 0 || c->shares_cgroups)
        return r;
    if (!d->cg.room.v2)
        return write_rules(d, c->id, err);
    _cleanup_free_ char *group = cgroup_path(&d->cg.room, c->id, "");
    return device_program_attach(d->program, group, err);
}

const struct isolator_ops isolator_cgroups_devices = {
    .name = "cgroups/devices",
    .create = devices_create,
    .free = devices_free,
    .prepare = devices_prepare,
    .cleanup = cgroup_isolator_cleanup,
    .orphans = cgroup_isolator_orphans,
};
