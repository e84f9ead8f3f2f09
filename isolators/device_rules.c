/* See device_rules.h. */
#include "isolators/device_rules.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/base/buf.h"
#include "common/base/json.h"
#include "proto/mesos.pb-c.h"

/* More would be a mistake of the operator. */
#define MAX_ALLOWED 1024

static const struct device_rule usual[] = {
    {'c', DEVICE_ANY, DEVICE_ANY, .mknod = true},
    {'b', DEVICE_ANY, DEVICE_ANY, .mknod = true},
    {'c', 5, 1, true, true, true},            /* console */
    {'c', 4, 0, true, true, true},            /* tty0 */
    {'c', 4, 1, true, true, true},            /* tty1 */
    {'c', 136, DEVICE_ANY, true, true, true}, /* pts/... */
    {'c', 5, 2, true, true, true},            /* ptmx */
    {'c', 10, 200, true, true, true},         /* net/tun */
    {'c', 1, 3, true, true, true},            /* null */
    {'c', 1, 5, true, true, true},            /* zero */
    {'c', 1, 7, true, true, true},            /* full */
    {'c', 5, 0, true, true, true},            /* tty */
    {'c', 1, 9, true, true, true},            /* urandom */
    {'c', 1, 8, true, true, true},            /* random */
};

static int rule_of(const V1__DeviceAccess *a, struct device_rule *ret, struct fl_err *err)
{
    const char *path = a->device ? a->device->path : NULL;
    const V1__DeviceAccess__Access *may = a->access;
    struct stat st;

    if (!path)
        return fl_err_set(err, FL_INVALID, "Whitelisted device has no device path provided");
    *ret = (struct device_rule){.read = may && may->has_read && may->read,
                                .write = may && may->has_write && may->write,
                                .mknod = may && may->has_mknod && may->mknod};
    if (!ret->read && !ret->write && !ret->mknod)
        return fl_err_set(err, FL_INVALID,
                          "Could not whitelist device '%s' without any access privileges", path);
    if (stat(path, &st) < 0)
        return fl_err_errno(err, errno, "look at the device '%s' of --allowed_devices", path);
    if (!S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode))
        return fl_err_set(err, FL_INVALID, "Failed to determine device type for '%s'", path);
    ret->type = S_ISBLK(st.st_mode) ? 'b' : 'c';
    ret->major = major(st.st_rdev);
    ret->minor = minor(st.st_rdev);
    return 0;
}

int device_rules_make(const char *json, struct device_rules *ret, struct fl_err *err)
{
    _cleanup_pb_ ProtobufCMessage *m = NULL;
    struct device_rules r = {.n = ARRAY_SIZE(usual)};
    const V1__DeviceWhitelist *list = NULL;

    if (json) {
        int k =
            fl_json_to_pb(json, strlen(json), &v1__device_whitelist__descriptor, 0, NULL, &m, err);
        if (k < 0)
            return fl_err_wrap(err, "--allowed_devices");
        list = (const V1__DeviceWhitelist *)m;
        if (list->n_allowed_devices > MAX_ALLOWED)
            return fl_err_set(err, FL_LIMIT, "--allowed_devices names %zu devices, more than %d",
                              list->n_allowed_devices, MAX_ALLOWED);
    }
    r.v = xcalloc(r.n + (list ? list->n_allowed_devices : 0), sizeof(*r.v));
    memcpy(r.v, usual, sizeof(usual));
    for (size_t i = 0; list && i < list->n_allowed_devices; i++) {
        int k = rule_of(list->allowed_devices[i], &r.v[r.n++], err);
        if (k < 0) {
            device_rules_done(&r);
            return k;
        }
    }
    *ret = r;
    return 0;
}

void device_rules_done(struct device_rules *r)
{
    free(r->v);
    r->v = NULL;
    r->n = 0;
}

void device_rule_text(const struct device_rule *r, char *buf, size_t size)
{
    char number[2][24] = {"*", "*"};

    if (r->major != DEVICE_ANY)
        fl_snprintf(number[0], sizeof(number[0]), "%" PRId64, r->major);
    if (r->minor != DEVICE_ANY)
        fl_snprintf(number[1], sizeof(number[1]), "%" PRId64, r->minor);
    fl_snprintf(buf, size, "%c %s:%s %s%s%s", r->type, number[0], number[1], r->read ? "r" : "",
                r->write ? "w" : "", r->mknod ? "m" : "");
}
