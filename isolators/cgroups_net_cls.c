/* cgroups/net_cls: a class id for each container's packets, by which the operator's traffic control and firewall know them
 * (net_cls.classid, version 1 only). Given out when there is --cgroups_net_cls_primary_handle, told in ContainerStatus.cgroup_info, and
 * found again after a restart in the group itself. */
#include <errno.h>
#include <inttypes.h>

#include "common/base/buf.h"
#include "isolators/cgroup_isolator.h"
#include "isolators/id_map.h"
#include "isolators/net_cls_handles.h"

struct net_cls_isolator {
    struct cgroup_isolator cg; /* first */
    struct net_cls_handles handles;
    struct id_map entries;
};

struct net_cls_entry {
    struct id_entry id; /* first */
    uint32_t classid;   /* 0: none */
};

static void net_cls_free(struct isolator *i)
{
    struct net_cls_isolator *n = (struct net_cls_isolator *)i;

    id_map_done(&n->entries);
    cgroup_isolator_free(i);
}

static int net_cls_create(struct fl_loop *loop, const struct isolator_config *config,
                          isolator_limit_f *limit, void *arg, struct isolator **ret,
                          struct fl_err *err)
{
    struct cgroup_isolator *cg = NULL;
    int r = cgroup_isolator_new(&isolator_cgroups_net_cls, config, "net_cls",
                                sizeof(struct net_cls_isolator), &cg, err);

    if (r < 0)
        return r;
    r = net_cls_handles_init(&((struct net_cls_isolator *)cg)->handles,
                             config->cgroups_net_cls_primary_handle,
                             config->cgroups_net_cls_secondary_handles, err);
    if (r < 0) {
        net_cls_free(&cg->base);
        return r;
    }
    *ret = &cg->base;
    return 0;
}

static int net_cls_prepare(struct isolator *i, const struct isolated_container *c,
                           struct launch_plan *plan, struct fl_err *err)
{
    struct net_cls_isolator *n = (struct net_cls_isolator *)i;
    int r = cgroup_isolator_prepare(i, c, plan, err);
    uint32_t classid;
    char text[16];

    if (r < 0 || c->shares_cgroups || !n->handles.given)
        return r;
    r = net_cls_handles_take(&n->handles, &classid, err);
    if (r < 0)
        return fl_err_wrap(err, "Failed to allocate a net_cls handle");
    struct net_cls_entry *e = id_map_make(&n->entries, c->id, sizeof(*e));
    e->classid = classid;
    fl_snprintf(text, sizeof(text), "%" PRIu32, classid);
    return cgroup_write(&n->cg.room, c->id, "net_cls.classid", text, err);
}

static int net_cls_recover(struct isolator *i, const struct isolated_container *c, pid_t pid,
                           struct fl_err *err)
{
    struct net_cls_isolator *n = (struct net_cls_isolator *)i;
    uint64_t v;

    if (c->shares_cgroups || cgroup_read_u64(&n->cg.room, c->id, "net_cls.classid", &v) < 0 ||
        v == 0 || v > UINT32_MAX)
        return 0;
    struct net_cls_entry *e = id_map_make(&n->entries, c->id, sizeof(*e));
    e->classid = (uint32_t)v;
    if (n->handles.given && !net_cls_handles_reserve(&n->handles, e->classid))
        return fl_err_set(err, FL_CONFLICT,
                          "its net_cls handle 0x%" PRIx32
                          " is not among those of the flags, or another container has it",
                          e->classid);
    return 0;
}

/* One that shares its groups has what it is nested in has. */
static const struct net_cls_entry *find(const struct net_cls_isolator *n, const char *id)
{
    _cleanup_free_ char *name = xstrdup(id);

    for (;;) {
        const struct net_cls_entry *e = id_map_get(&n->entries, name);
        char *dot = strrchr(name, '.');
        if (e || !dot)
            return e;
        *dot = '\0';
    }
}

static void net_cls_status(struct isolator *i, const char *id, struct fl_arena *arena,
                           V1__ContainerStatus *status)
{
    const struct net_cls_entry *e = find((struct net_cls_isolator *)i, id);

    if (!e || !e->classid)
        return;
    if (!status->cgroup_info)
        status->cgroup_info = FL_ARENA_NEW(arena, V1__CgroupInfo, v1__cgroup_info);
    status->cgroup_info->net_cls =
        FL_ARENA_NEW(arena, V1__CgroupInfo__NetCls, v1__cgroup_info__net_cls);
    status->cgroup_info->net_cls->has_classid = true;
    status->cgroup_info->net_cls->classid = e->classid;
}

static int net_cls_cleanup(struct isolator *i, const char *id)
{
    struct net_cls_isolator *n = (struct net_cls_isolator *)i;
    struct net_cls_entry *e = id_map_get(&n->entries, id);
    int r = cgroup_remove(&n->cg.room, id);

    if (e && r == 0) {
        net_cls_handles_give_back(&n->handles, e->classid);
        id_map_drop(&n->entries, e);
    }
    return r;
}

const struct isolator_ops isolator_cgroups_net_cls = {
    .name = "cgroups/net_cls",
    .create = net_cls_create,
    .free = net_cls_free,
    .prepare = net_cls_prepare,
    .recover = net_cls_recover,
    .cleanup = net_cls_cleanup,
    .orphans = cgroup_isolator_orphans,
    .status = net_cls_status,
};
