/* disk/xfs: the sandbox of each container, and each persistent volume, is an XFS project; the kernel counts what it holds and, with
 * --enforce_container_disk_quota, ends what it may hold:
 *
 *   as it is                  writes above the quota fail, the container goes on
 *   --xfs_kill_containers     a container above it is killed at the next look; the kernel's limit lies --xfs_quota_headroom higher
 *
 * A project is bound to its folder and its id is free again once the folder is gone, which is looked for every --disk_watch_interval: files
 * that outlive a container keep its id, links cannot lose it, and volumes have theirs as long as they are. After a restart ids are read from
 * the folders below the work directory. Nested containers write into the sandbox of their root, which counts them.
 * The agent's thread: each call is one into the kernel that waits for no disk, but for folders that have content when they become a project.
 */
#include "isolators/stateless.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/base/log.h"
#include "common/model/resource_value.h"
#include "isolators/id_map.h"
#include "isolators/persistent_path.h"
#include "isolators/sandbox_path.h"
#include "isolators/xfs_quota.h"

#define MAX_PROJECTS 1000000

/* By path. */
struct project {
    struct id_entry path; /* first */
    char *anchor;         /* owned: a folder of the same file system that stays */
    uint32_t id;
    unsigned users; /* containers */
};
/* What a container may use: its sandbox first, then volumes. */
struct share {
    struct project *project;      /* NULL: a disk of its own, without quota */
    V1__Resource__DiskInfo *disk; /* owned; NULL: the sandbox */
    char *path;                   /* owned: of a disk of its own */
    uint64_t quota;               /* bytes */
};
struct xfs_entry {
    struct id_entry id; /* first */
    struct share *shares;
    size_t n, cap;
    struct volume_usage *usage; /* owned: what xfs_usage() hands out */
};
struct xfs_isolator {
    struct stateless_isolator base; /* first */
    struct fl_loop *loop;
    isolator_limit_f *limit;
    void *limit_arg;
    struct fl_timer *watch, *reclaim;
    struct id_map projects, containers;
    struct value ids; /* ranges */
    size_t n_ids, next;
    bool *taken; /* owned, n_ids of them */
};

/* ---- ids ---- */

static uint32_t id_at(const struct xfs_isolator *x, size_t i)
{
    for (uint32_t k = 0;; k++) {
        size_t n = (size_t)(x->ids.ranges[k].end - x->ids.ranges[k].begin + 1);
        if (i < n)
            return (uint32_t)(x->ids.ranges[k].begin + i);
        i -= n;
    }
}

/* NULL: it is not one of ours, for the operator changed the range. */
static bool *taken_of(const struct xfs_isolator *x, uint32_t id)
{
    size_t before = 0;

    for (uint32_t k = 0; k < x->ids.n; k++) {
        const struct range *r = &x->ids.ranges[k];
        if (id >= r->begin && id <= r->end)
            return &x->taken[before + (size_t)(id - r->begin)];
        before += (size_t)(r->end - r->begin + 1);
    }
    return NULL;
}

static struct project *project_note(struct xfs_isolator *x, const char *path, const char *anchor,
                                    uint32_t id)
{
    struct project *p = id_map_make(&x->projects, path, sizeof(*p));
    bool *taken = taken_of(x, id);

    free(p->anchor);
    p->anchor = xstrdup(anchor);
    p->id = id;
    if (taken)
        *taken = true;
    return p;
}

static void project_drop(struct xfs_isolator *x, struct project *p)
{
    free(p->anchor);
    id_map_drop(&x->projects, p);
}

/* Files that were removed count until the file system has got round to them; in need the id is taken all the same. */
static bool still_counts(const struct project *p)
{
    uint64_t used;

    return xfs_quota_used(p->anchor, p->id, &used) == 0 && used > 0;
}

static void reclaim(struct xfs_isolator *x, bool in_need)
{
    struct id_entry *e, *tmp;
    struct fl_err err;

    HASH_ITER (hh, x->projects.head, e, tmp) {
        struct project *p = (struct project *)e;
        bool *taken = taken_of(x, p->id);
        if (p->users || access(e->id, F_OK) == 0 || errno != ENOENT ||
            (!in_need && still_counts(p)))
            continue;
        if (xfs_quota_set(p->anchor, p->id, 0, 0, &err) < 0)
            log_warning("%s; it stays for the next user of that project", err.msg);
        if (taken)
            *taken = false;
        project_drop(x, p);
    }
}

static void reclaim_now(void *arg)
{
    struct xfs_isolator *x = arg;

    reclaim(x, false);
    fl_timer_set(x->reclaim, x->base.config->disk_watch_interval);
}

static bool next_free(struct xfs_isolator *x, uint32_t *ret)
{
    for (size_t i = 0; i < x->n_ids; i++) {
        size_t k = (x->next + i) % x->n_ids;
        if (!x->taken[k]) {
            *ret = id_at(x, k);
            x->next = (k + 1) % x->n_ids;
            return true;
        }
    }
    return false;
}

/* The project of a folder, which becomes one when it is none. */
static int project_for(struct xfs_isolator *x, const char *path, const char *anchor,
                       struct project **ret, struct fl_err *err)
{
    struct project *p = id_map_get(&x->projects, path);
    int64_t now = p ? 0 : xfs_project_of(path);
    uint32_t id;

    if (now < 0)
        return fl_err_errno(err, (int)-now, "read the XFS project of '%s'", path);
    if (!p && now > 0)
        p = project_note(x, path, anchor, (uint32_t)now);
    if (p) {
        *ret = p;
        return 0;
    }
    if (!next_free(x, &id)) {
        reclaim(x, true);
        if (!next_free(x, &id))
            return fl_err_set(err, FL_LIMIT,
                              "Failed to assign project ID, range exhausted: all of the %zu of "
                              "--xfs_project_range belong to folders that are still there",
                              x->n_ids);
    }
    int r = xfs_project_set(path, id, err);
    if (r == 0)
        *ret = project_note(x, path, anchor, id);
    return r;
}

/* ---- a container's shares ---- */

static void shares_clear(struct xfs_entry *e)
{
    for (size_t i = 0; i < e->n; i++) {
        if (e->shares[i].project)
            e->shares[i].project->users--;
        fl_pb_free(e->shares[i].disk);
        free(e->shares[i].path);
    }
    e->n = 0;
}

/* Takes path. */
static void share_add(struct xfs_entry *e, struct project *p, const V1__Resource__DiskInfo *disk,
                      char *path, uint64_t quota)
{
    e->shares = xgrow(e->shares, &e->cap, e->n + 1, sizeof(*e->shares));
    e->shares[e->n++] = (struct share){p, disk ? FL_PB_DUP(disk) : NULL, path, quota};
    if (p)
        p->users++;
}

static int apply(const struct xfs_isolator *x, const struct project *p, uint64_t quota,
                 struct fl_err *err)
{
    const struct isolator_config *c = x->base.config;

    if (!c->enforce_container_disk_quota)
        return xfs_quota_set(p->path.id, p->id, 0, 0, err);
    return xfs_quota_set(p->path.id, p->id, quota,
                         quota + (c->xfs_kill_containers ? c->xfs_quota_headroom : 0), err);
}

static uint64_t bytes_of(double mb)
{
    return mb > 0 ? (uint64_t)(mb * 1048576.0) : 0;
}

static uint64_t sandbox_quota(const struct isolated_container *c)
{
    _cleanup_resources_ struct resources volumes = RESOURCES_INIT;

    resources_persistent_volumes(c->resources, &volumes);
    return bytes_of(milli_to_double(resources_scalar(c->resources, "disk") -
                                    resources_scalar(&volumes, "disk")));
}

struct volumes {
    struct xfs_isolator *x;
    struct xfs_entry *e;
    struct fl_err *err;
    int r;
};

/* Its file system, by the folder that holds all volumes of that disk. */
static char *anchor_of(const char *path)
{
    const char *end = strstr(path, "/volumes/roles/"), *next;

    while (end && (next = strstr(end + 1, "/volumes/roles/")))
        end = next;
    return end ? xstrndup(path, (size_t)(end - path)) : xstrdup(path);
}

static void add_volume(const V1__Resource *v, char *taken_path, void *arg)
{
    _cleanup_free_ char *path = taken_path;
    _cleanup_free_ char *anchor = anchor_of(path);
    struct volumes *a = arg;
    struct project *p = NULL;
    uint64_t quota = bytes_of(v->scalar ? v->scalar->value : 0);

    if (a->r == 0 && !persistent_volume_is_mount(v))
        a->r = project_for(a->x, path, anchor, &p, a->err);
    if (a->r == 0 && p)
        a->r = apply(a->x, p, quota, a->err);
    if (a->r == 0)
        share_add(a->e, p, v->disk, p ? NULL : TAKE_PTR(path), quota);
}

/* A container without `disk` has no quota but what its folder had before. */
static int fill(struct xfs_isolator *x, const struct isolated_container *c, struct xfs_entry *e,
                struct fl_err *err)
{
    struct volumes a = {.x = x, .e = e, .err = err};
    struct project *sandbox;
    uint64_t quota = sandbox_quota(c);
    int r = project_for(x, c->sandbox, x->base.config->work_dir, &sandbox, err);

    if (r < 0)
        return r;
    shares_clear(e);
    share_add(e, sandbox, NULL, NULL, quota);
    if (quota)
        r = apply(x, sandbox, quota, err);
    if (r == 0)
        r = persistent_volumes_each(x->base.config->work_dir, c->resources, add_volume, &a, err);
    return r < 0 ? r : a.r;
}

static int take_up(struct isolator *i, const struct isolated_container *c, struct fl_err *err)
{
    struct xfs_isolator *x = (struct xfs_isolator *)i;

    if (c->root_id || !c->sandbox)
        return 0;
    return fill(x, c, id_map_make(&x->containers, c->id, sizeof(struct xfs_entry)), err);
}

static int xfs_prepare(struct isolator *i, const struct isolated_container *c,
                       struct launch_plan *plan, struct fl_err *err)
{
    return take_up(i, c, err);
}

static int xfs_recover(struct isolator *i, const struct isolated_container *c, pid_t pid,
                       struct fl_err *err)
{
    return pid > 0 ? take_up(i, c, err) : 0;
}

static int xfs_update(struct isolator *i, const struct isolated_container *c, struct fl_err *err)
{
    return id_map_get(&((struct xfs_isolator *)i)->containers, c->id) ? take_up(i, c, err) : 0;
}

static int xfs_cleanup(struct isolator *i, const char *id)
{
    struct id_map *m = &((struct xfs_isolator *)i)->containers;
    struct xfs_entry *e = id_map_get(m, id);

    if (e) {
        shares_clear(e);
        free(e->shares);
        free(e->usage);
        id_map_drop(m, e);
    }
    return 0;
}

static bool used_of(const struct share *s, uint64_t *ret)
{
    struct statvfs fs;

    if (s->project)
        return xfs_quota_used(s->project->path.id, s->project->id, ret) == 0;
    if (statvfs(s->path, &fs) < 0)
        return false;
    *ret = (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize;
    return true;
}

static int xfs_usage(struct isolator *i, const char *id, struct container_usage *out)
{
    struct xfs_entry *e = id_map_get(&((struct xfs_isolator *)i)->containers, id);

    if (!e || e->n == 0)
        return -ENOENT;
    out->disk_limit_bytes = e->shares[0].quota;
    out->has_disk = used_of(&e->shares[0], &out->disk_used_bytes);
    free(e->usage);
    e->usage = xcalloc(e->n, sizeof(*e->usage));
    for (size_t k = 1; k < e->n; k++) {
        struct volume_usage *v = &e->usage[k - 1];
        v->disk = e->shares[k].disk;
        v->limit_bytes = e->shares[k].quota;
        v->has_used = used_of(&e->shares[k], &v->used_bytes);
    }
    out->volumes = e->usage;
    out->n_volumes = e->n - 1;
    return 0;
}

/* ---- who is above its quota ---- */

/* In the largest unit that divides it, as the protocol prints sizes. */
static const char *size_text(uint64_t bytes, char buf[32])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    size_t u = 0;

    while (u + 1 < ARRAY_SIZE(units) && bytes && bytes % 1024 == 0) {
        bytes /= 1024;
        u++;
    }
    fl_snprintf(buf, 32, "%" PRIu64 "%s", bytes, units[u]);
    return buf;
}

static void say(const struct xfs_isolator *x, const char *id, const struct share *s, uint64_t used)
{
    V1__TaskResourceLimitation limitation = V1__TASK_RESOURCE_LIMITATION__INIT;
    V1__Resource res = V1__RESOURCE__INIT, *res_v = &res;
    V1__Value__Scalar scalar = V1__VALUE__SCALAR__INIT;
    const char *volume = s->disk ? s->disk->persistence->id : NULL;
    char a[32], b[32];
    _cleanup_free_ char *message = xasprintf(
        "Disk usage (%s) exceeded quota (%s)%s%s%s", size_text(used, a), size_text(s->quota, b),
        volume ? " for volume '" : "", volume ? volume : "", volume ? "'" : "");

    res.name = (char *)(uintptr_t) "disk";
    res.type = V1__VALUE__TYPE__SCALAR;
    res.scalar = &scalar;
    scalar.value = (double)(used >> 20);
    res.disk = s->disk;
    limitation.n_resources = 1;
    limitation.resources = &res_v;
    x->limit(x->limit_arg, id, ISOLATOR_LIMIT_DISK, message, &limitation);
}

static void look_at(const struct xfs_isolator *x, const struct xfs_entry *e)
{
    for (size_t i = 0; i < e->n; i++) {
        const struct share *s = &e->shares[i];
        uint64_t used;
        if (s->project && s->quota &&
            xfs_quota_used(s->project->path.id, s->project->id, &used) == 0 && used > s->quota) {
            say(x, e->id.id, s, used);
            return; /* it ends, and may be gone */
        }
    }
}

static void look(void *arg)
{
    struct xfs_isolator *x = arg;
    struct id_entry *e, *tmp;

    HASH_ITER (hh, x->containers.head, e, tmp) {
        look_at(x, (struct xfs_entry *)e);
    }
    fl_timer_set(x->watch, x->base.config->container_disk_watch_interval);
}

/* ---- the isolator ---- */

static void xfs_free(struct isolator *i)
{
    struct xfs_isolator *x = (struct xfs_isolator *)i;

    fl_timer_free(x->watch);
    fl_timer_free(x->reclaim);
    while (x->containers.head)
        xfs_cleanup(i, x->containers.head->id);
    while (x->projects.head)
        project_drop(x, (struct project *)x->projects.head);
    if (x->taken)
        value_done(&x->ids, V1__VALUE__TYPE__RANGES);
    free(x->taken);
    free(x);
}

static int read_range(struct xfs_isolator *x, const char *text, struct fl_err *err)
{
    _cleanup_free_ char *word = NULL;
    V1__Value__Type type;
    struct value v;
    uint64_t n = 0;
    int r = value_parse(text, strlen(text), &type, &v, &word, err);

    if (r < 0)
        return fl_err_wrap(err, "--xfs_project_range");
    if (type != V1__VALUE__TYPE__RANGES) {
        if (type != V1__VALUE__TYPE__TEXT)
            value_done(&v, type);
        return fl_err_set(err, FL_INVALID,
                          "--xfs_project_range '%s' is no list of ranges, as [1-2]", text);
    }
    for (uint32_t i = 0; i < v.n && n <= MAX_PROJECTS; i++)
        n = v.ranges[i].end > UINT32_MAX || v.ranges[i].begin == 0
                ? MAX_PROJECTS + 1
                : n + v.ranges[i].end - v.ranges[i].begin + 1;
    if (n == 0 || n > MAX_PROJECTS) {
        value_done(&v, type);
        return fl_err_set(err, FL_INVALID,
                          "--xfs_project_range '%s' must have between 1 and %d ids, which are "
                          "between 1 and %u",
                          text, MAX_PROJECTS, UINT32_MAX);
    }
    x->ids = v;
    x->n_ids = (size_t)n;
    x->taken = xcalloc(x->n_ids, sizeof(bool));
    return 0;
}

/* Folders that are projects from before; links are those to the latest. */
static void note_folders(struct xfs_isolator *x, const char *pattern)
{
    const char *work_dir = x->base.config->work_dir;
    _cleanup_free_ char *whole = xasprintf("%s/%s", work_dir, pattern);
    struct stat st;
    glob_t g = {0};

    if (glob(whole, GLOB_NOSORT, NULL, &g) == 0) {
        for (size_t i = 0; i < g.gl_pathc; i++) {
            int64_t id = lstat(g.gl_pathv[i], &st) == 0 && S_ISDIR(st.st_mode)
                             ? xfs_project_of(g.gl_pathv[i])
                             : 0;
            if (id > 0)
                project_note(x, g.gl_pathv[i], work_dir, (uint32_t)id);
        }
    }
    globfree(&g);
}

static int fill_isolator(struct xfs_isolator *x, struct fl_err *err)
{
    const struct isolator_config *c = x->base.config;
    int r;

    if (geteuid() != 0)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "it needs root; run the agent as root or leave it out");
    r = make_folders(c->work_dir, err);
    if (r == 0)
        r = xfs_quota_check(c->work_dir, err);
    if (r == 0)
        r = read_range(x, c->xfs_project_range, err);
    return r;
}

static int xfs_create(struct fl_loop *loop, const struct isolator_config *config,
                      isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err)
{
    struct xfs_isolator *x = xnew0(struct xfs_isolator);

    x->base.base.ops = &isolator_disk_xfs;
    x->base.config = config;
    x->loop = loop;
    x->limit = limit;
    x->limit_arg = arg;
    int r = fill_isolator(x, err);
    if (r < 0) {
        xfs_free(&x->base.base);
        return r;
    }
    note_folders(x, "slaves/*/frameworks/*/executors/*/runs/*");
    note_folders(x, "volumes/roles/*/*");
    x->reclaim = fl_timer_new(loop, reclaim_now, x);
    fl_timer_set(x->reclaim, config->disk_watch_interval);
    if (config->enforce_container_disk_quota && config->xfs_kill_containers) {
        x->watch = fl_timer_new(loop, look, x);
        fl_timer_set(x->watch, config->container_disk_watch_interval);
    }
    *ret = &x->base.base;
    return 0;
}

const struct isolator_ops isolator_disk_xfs = {
    .name = "disk/xfs",
    .create = xfs_create,
    .free = xfs_free,
    .prepare = xfs_prepare,
    .recover = xfs_recover,
    .update = xfs_update,
    .usage = xfs_usage,
    .cleanup = xfs_cleanup,
};
