/* linux/capabilities: which capabilities a container has (effective, given to other users as ambient ones) and which it may get at most
 * (bounding), by ContainerInfo.linux_info within what the operator allows. The shim sets them.
 *
 * What is not asked for is the operator's; without a bounding set of either it is the effective one. A session in a container has what the
 * container has, unless it asks for itself. */
#include "isolators/stateless.h"

#include <errno.h>

#include "common/base/json.h"
#include "isolators/capability_set.h"
#include "isolators/id_map.h"

/* A set that may be missing, which is not the same as empty. */
struct some_set {
    bool has;
    uint64_t set;
};
struct caps_isolator {
    struct stateless_isolator base; /* first */
    struct some_set effective, bounding;
    uint64_t machine; /* what there is at all */
    struct id_map containers;
};
struct caps_entry {
    struct id_entry id; /* first */
    struct plan_capabilities c;
};

/* ---- the operator's ---- */

static int read_flag(const char *flag, const char *json, struct some_set *out, struct fl_err *err)
{
    ProtobufCMessage *m = NULL;
    int r;

    if (!json)
        return 0;
    r = fl_json_to_pb(json, strlen(json), &v1__capability_info__descriptor, 0, NULL, &m, err);
    if (r == 0)
        r = capability_set_of((V1__CapabilityInfo *)m, &out->set, err);
    if (r < 0)
        fl_err_wrap(err, "--%s, as {\"capabilities\": [\"NET_RAW\"]}", flag);
    out->has = r == 0;
    fl_pb_free(m);
    return r;
}

static void caps_free(struct isolator *i)
{
    struct caps_isolator *x = (struct caps_isolator *)i;

    id_map_done(&x->containers);
    free(x);
}

static int caps_create(struct fl_loop *loop, const struct isolator_config *config,
                       isolator_limit_f *limit, void *arg, struct isolator **ret,
                       struct fl_err *err)
{
    struct caps_isolator *x;
    int r;

    if (geteuid() != 0)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "it needs root; run the agent as root or leave it out");
    x = xnew0(struct caps_isolator);
    x->base.base.ops = &isolator_linux_capabilities;
    x->base.config = config;
    x->machine = capability_set_bounding();
    r = read_flag("effective_capabilities", config->effective_capabilities, &x->effective, err);
    if (r == 0)
        r = read_flag("bounding_capabilities", config->bounding_capabilities, &x->bounding, err);
    if (r == 0 && x->effective.has && x->bounding.has && x->effective.set & ~x->bounding.set)
        r = fl_err_set(err, FL_INVALID,
                       "--effective_capabilities are not all among --bounding_capabilities");
    if (r < 0) {
        caps_free(&x->base.base);
        return r;
    }
    *ret = &x->base.base;
    return 0;
}

/* ---- a container's ---- */

static int too_many(const char *what, uint64_t wanted, uint64_t allowed, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf w = FL_BUF_INIT, a = FL_BUF_INIT;

    capability_set_print(wanted, &w);
    capability_set_print(allowed, &a);
    return fl_err_set(err, FL_FORBIDDEN, "%s capabilities '%s', but only '%s' are allowed", what,
                      fl_buf_cstr(&w), fl_buf_cstr(&a));
}

static int wanted_of(const V1__LinuxInfo *li, struct some_set *effective, struct some_set *bounding,
                     struct fl_err *err)
{
    const V1__CapabilityInfo *e = li ? li->effective_capabilities : NULL;
    int r = 0;

    if (li && li->capability_info && e)
        return fl_err_set(err, FL_INVALID,
                          "Only one of 'capability_info' or 'effective_capabilities' is allowed");
    if (li && li->capability_info)
        e = li->capability_info;
    effective->has = e != NULL;
    bounding->has = li && li->bounding_capabilities;
    if (e)
        r = capability_set_of(e, &effective->set, err);
    if (r == 0 && bounding->has)
        r = capability_set_of(li->bounding_capabilities, &bounding->set, err);
    return r;
}

/* 1: *ret is to be set; 0: nothing is. */
static int decide(const struct caps_isolator *x, const V1__LinuxInfo *li,
                  struct plan_capabilities *ret, struct fl_err *err)
{
    struct some_set effective = {0}, bounding = {0};
    int r = wanted_of(li, &effective, &bounding, err);

    if (r < 0)
        return r;
    if (!effective.has)
        effective = x->effective;
    if (bounding.has && x->bounding.has && bounding.set & ~x->bounding.set)
        return too_many("Bounding", bounding.set, x->bounding.set, err);
    if (!bounding.has)
        bounding = x->bounding.has ? x->bounding : effective;
    if (effective.has && effective.set & ~bounding.set)
        return too_many("Requested", effective.set, bounding.set, err);
    if (!bounding.has)
        return 0;
    ret->bounding = bounding.set & x->machine;
    ret->effective = effective.has ? effective.set & x->machine : PLAN_CAPABILITIES_OF_USER;
    return 1;
}

static bool asks(const V1__LinuxInfo *li)
{
    return li && (li->capability_info || li->effective_capabilities || li->bounding_capabilities);
}

static int caps_prepare(struct isolator *i, const struct isolated_container *c,
                        struct launch_plan *plan, struct fl_err *err)
{
    struct caps_isolator *x = (struct caps_isolator *)i;
    const V1__LinuxInfo *li = c->info ? c->info->linux_info : NULL;
    struct plan_capabilities set;
    struct caps_entry *e;

    if (c->debug && !asks(li)) {
        _cleanup_free_ char *parent = isolated_parent_id(c);
        e = id_map_get(&x->containers, parent);
        if (!e)
            return 0;
        set = e->c;
    } else {
        int r = decide(x, li, &set, err);
        if (r <= 0)
            return r;
    }
    e = id_map_make(&x->containers, c->id, sizeof(*e));
    e->c = set;
    launch_plan_bytes(plan, PLAN_CAPABILITIES, &set, sizeof(set));
    return 0;
}

static int caps_recover(struct isolator *i, const struct isolated_container *c, pid_t pid,
                        struct fl_err *err)
{
    struct plan_record r;

    if (plan_find(c->plan, c->plan_len, PLAN_CAPABILITIES, &r)) {
        struct caps_entry *e =
            id_map_make(&((struct caps_isolator *)i)->containers, c->id, sizeof(*e));
        memcpy(&e->c, r.data, sizeof(e->c));
    }
    return 0;
}

static int caps_cleanup(struct isolator *i, const char *id)
{
    struct id_map *m = &((struct caps_isolator *)i)->containers;
    struct caps_entry *e = id_map_get(m, id);

    if (e)
        id_map_drop(m, e);
    return 0;
}

const struct isolator_ops isolator_linux_capabilities = {
    .name = "linux/capabilities",
    .create = caps_create,
    .free = caps_free,
    .prepare = caps_prepare,
    .recover = caps_recover,
    .cleanup = caps_cleanup,
};
