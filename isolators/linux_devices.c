/* linux/devices: the devices of --allowed_devices as nodes in the /dev of containers that have a root file system of their own; the shim
 * makes them. Others see the machine's /dev. Who may open a device is said twice: here by the node's mode, which holds for every user of the
 * container alike, and by cgroups/devices, which keeps out nodes that come by other ways. */
#include "isolators/stateless.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/base/json.h"

struct device {
    char *path; /* owned; "/dev/..." */
    struct plan_node node;
};
struct devices_isolator {
    struct stateless_isolator base; /* first */
    struct device *v;               /* owned, n of them */
    size_t n;
};

static void devices_free(struct isolator *i)
{
    struct devices_isolator *x = (struct devices_isolator *)i;

    for (size_t k = 0; k < x->n; k++)
        free(x->v[k].path);
    free(x->v);
    free(x);
}

static int look(const V1__DeviceAccess *a, struct device *d, struct fl_err *err)
{
    const char *path = a->device->path;
    struct stat st;

    if (!path || *path != '/')
        return fl_err_set(err, FL_INVALID, "Whitelisted device has no device path provided");
    if (stat(path, &st) < 0)
        return fl_err_errno(err, errno, "Failed to obtain device ID for '%s'", path);
    if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
        return fl_err_set(err, FL_INVALID, "'%s' is not a block or character device", path);
    d->path = strncmp(path, "/dev/", 5) == 0 ? xstrdup(path) : xasprintf("/dev%s", path);
    d->node.mode = (st.st_mode & S_IFMT) | S_IRUSR | S_IWUSR;
    d->node.mode |= a->access->read ? S_IRGRP | S_IROTH : 0u;
    d->node.mode |= a->access->write ? S_IWGRP | S_IWOTH : 0u;
    d->node.major = major(st.st_rdev);
    d->node.minor = minor(st.st_rdev);
    return 0;
}

static int read_flag(struct devices_isolator *x, const char *json, struct fl_err *err)
{
    ProtobufCMessage *m = NULL;
    int r;

    if (!json)
        return 0;
    r = fl_json_to_pb(json, strlen(json), &v1__device_whitelist__descriptor, 0, NULL, &m, err);
    const V1__DeviceWhitelist *w = (V1__DeviceWhitelist *)m;
    x->v = xcalloc(r == 0 ? w->n_allowed_devices + 1 : 1, sizeof(*x->v));
    for (size_t i = 0; r == 0 && i < w->n_allowed_devices; i++) {
        r = look(w->allowed_devices[i], &x->v[x->n], err);
        x->n += r == 0;
    }
    fl_pb_free(m);
    return r < 0 ? fl_err_wrap(err, "--allowed_devices") : 0;
}

static int devices_create(struct fl_loop *loop, const struct isolator_config *config,
                          isolator_limit_f *limit, void *arg, struct isolator **ret,
                          struct fl_err *err)
{
    int r = need_linux(config, err);

    if (r < 0)
        return r;
    struct devices_isolator *x = xnew0(struct devices_isolator);
    x->base.base.ops = &isolator_linux_devices;
    x->base.config = config;
    r = read_flag(x, config->allowed_devices, err);
    if (r < 0) {
        devices_free(&x->base.base);
        return r;
    }
    *ret = &x->base.base;
    return 0;
}

static int devices_prepare(struct isolator *i, const struct isolated_container *c,
                           struct launch_plan *plan, struct fl_err *err)
{
    const struct devices_isolator *x = (struct devices_isolator *)i;

    for (size_t k = 0; c->rootfs && !c->debug && k < x->n; k++)
        launch_plan_node(plan, &x->v[k].node, x->v[k].path);
    return 0;
}

const struct isolator_ops isolator_linux_devices = {
    .name = "linux/devices",
    .create = devices_create,
    .free = devices_free,
    .prepare = devices_prepare,
};
