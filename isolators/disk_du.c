/* disk/du: how much each sandbox and each persistent volume holds, and the end of containers over their disk with
 * --enforce_container_disk_quota. A volume on a disk of its own ends where its disk does.
 *
 * The walks are done by one thread, one folder after the other, so the agent's thread never waits for a disk. It is handed copies of names and
 * posts numbers back; nothing is shared. A folder is walked again --container_disk_watch_interval after its last walk ended.
 */
#include "isolators/stateless.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/stat.h>
#include <utlist.h>

#include "isolators/id_map.h"
#include "isolators/persistent_path.h"

struct du_isolator;
struct walk {
    struct walk *next, *prev;
    struct du_isolator *du;
    char *id, *path; /* owned */
    uint64_t used;
};

struct du_isolator {
    struct stateless_isolator base; /* first */
    struct fl_loop *loop;
    isolator_limit_f *limit;
    void *limit_arg;
    struct id_map entries;
    size_t out;  /* walks handed over and not yet back */
    bool closed; /* freed when the last walk is back */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct walk *queue; /* under lock */
    bool stop;          /* under lock */
};

struct du_entry;
/* A folder that is measured for a container: its sandbox, or a volume. */
struct place {
    struct place *next, *prev;
    struct du_entry *of;
    char *path;                   /* owned */
    V1__Resource__DiskInfo *disk; /* owned; NULL: the sandbox */
    struct fl_timer *timer;
    uint64_t quota, used; /* quota 0: none */
    bool known, wanted;
};
struct du_entry {
    struct id_entry id; /* first */
    struct du_isolator *du;
    struct place *places;
    struct volume_usage *usage; /* owned: what du_usage() hands out */
    size_t cap;
};

/* ---- the thread ---- */

/* As du(1): blocks, mounts below not followed. */
static uint64_t measure(const char *path)
{
    char *paths[] = {(char *)(uintptr_t)path, NULL};
    FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    const FTSENT *e;
    uint64_t sum = 0;

    while (fts && (e = fts_read(fts)))
        if (e->fts_info != FTS_DP && e->fts_info != FTS_NS && e->fts_info != FTS_ERR &&
            e->fts_info != FTS_DNR)
            sum += (uint64_t)e->fts_statp->st_blocks * 512;
    if (fts)
        fts_close(fts);
    return sum;
}

static void walked(void *arg);

static void *work(void *arg)
{
    struct du_isolator *du = arg;

    pthread_mutex_lock(&du->lock);
    for (;;) {
        struct walk *w = du->queue;
        if (!w && du->stop)
            break;
        if (!w) {
            pthread_cond_wait(&du->work, &du->lock);
            continue;
        }
        DL_DELETE(du->queue, w);
        bool stop = du->stop;
        pthread_mutex_unlock(&du->lock);
        if (!stop)
            w->used = measure(w->path);
        fl_loop_post(du->loop, walked, w);
        pthread_mutex_lock(&du->lock);
    }
    pthread_mutex_unlock(&du->lock);
    return NULL;
}

/* ---- the agent's thread ---- */

static void destroy(struct du_isolator *du)
{
    pthread_mutex_destroy(&du->lock);
    pthread_cond_destroy(&du->work);
    free(du);
}

static void over_quota(const struct place *p)
{
    const struct du_isolator *du = p->of->du;
    V1__TaskResourceLimitation limitation = V1__TASK_RESOURCE_LIMITATION__INIT;
    V1__Resource res = V1__RESOURCE__INIT, *res_v = &res;
    V1__Value__Scalar scalar = V1__VALUE__SCALAR__INIT;
    char message[128];

    fl_snprintf(message, sizeof(message),
                "Disk usage (%" PRIu64 "KB) exceeds quota (%" PRIu64 "MB)", p->used >> 10,
                p->quota >> 20);
    res.name = (char *)(uintptr_t) "disk";
    res.type = V1__VALUE__TYPE__SCALAR;
    res.scalar = &scalar;
    res.disk = p->disk;
    scalar.value = (double)(p->quota >> 20);
    limitation.n_resources = 1;
    limitation.resources = &res_v;
    du->limit(du->limit_arg, p->of->id.id, ISOLATOR_LIMIT_DISK, message, &limitation);
}

static struct place *find_place(const struct du_entry *e, const char *path)
{
    struct place *p;

    DL_FOREACH (e->places, p) {
        if (streq(p->path, path))
            break;
    }
    return p;
}

static bool ends_by_itself(const struct place *p)
{
    return p->disk && p->disk->source &&
           p->disk->source->type == V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT;
}

static void take(const struct du_isolator *du, struct place *p, uint64_t used)
{
    p->used = used;
    p->known = true;
    fl_timer_set(p->timer, du->base.config->container_disk_watch_interval);
    if (du->base.config->enforce_container_disk_quota && p->quota && p->used > p->quota &&
        !ends_by_itself(p))
        over_quota(p);
}

static void walked(void *arg)
{
    struct walk *w = arg;
    struct du_isolator *du = w->du;
    const struct du_entry *e = du->closed ? NULL : id_map_get(&du->entries, w->id);
    struct place *p = e ? find_place(e, w->path) : NULL;

    du->out--;
    if (p)
        take(du, p, w->used);
    free(w->id);
    free(w->path);
    free(w);
    if (du->closed && du->out == 0)
        destroy(du);
}

static void hand_over(void *arg)
{
    const struct place *p = arg;
    struct du_isolator *du = p->of->du;
    struct walk *w = xnew0(struct walk);

    w->du = du;
    w->id = xstrdup(p->of->id.id);
    w->path = xstrdup(p->path);
    du->out++;
    pthread_mutex_lock(&du->lock);
    DL_APPEND(du->queue, w);
    pthread_cond_signal(&du->work);
    pthread_mutex_unlock(&du->lock);
}

static int du_create(struct fl_loop *loop, const struct isolator_config *config,
                     isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err)
{
    struct du_isolator *du = xnew0(struct du_isolator);

    du->base.base.ops = &isolator_disk_du;
    du->base.config = config;
    du->loop = loop;
    du->limit = limit;
    du->limit_arg = arg;
    pthread_mutex_init(&du->lock, NULL);
    pthread_cond_init(&du->work, NULL);
    int r = pthread_create(&du->thread, NULL, work, du);
    if (r != 0) {
        destroy(du);
        return fl_err_errno(err, r, "start the thread that measures disks");
    }
    *ret = &du->base.base;
    return 0;
}

static void place_drop(struct du_entry *e, struct place *p)
{
    DL_DELETE(e->places, p);
    fl_timer_free(p->timer);
    fl_pb_free(p->disk);
    free(p->path);
    free(p);
}

static void entry_drop(struct du_isolator *du, struct du_entry *e)
{
    while (e->places)
        place_drop(e, e->places);
    free(e->usage);
    id_map_drop(&du->entries, e);
}

static void du_free(struct isolator *i)
{
    struct du_isolator *du = (struct du_isolator *)i;

    pthread_mutex_lock(&du->lock);
    du->stop = true;
    pthread_cond_signal(&du->work);
    pthread_mutex_unlock(&du->lock);
    pthread_join(du->thread, NULL);
    while (du->entries.head)
        entry_drop(du, (struct du_entry *)du->entries.head);
    du->closed = true;
    if (du->out == 0)
        destroy(du);
}

static uint64_t quota_of(const struct isolated_container *c)
{
    _cleanup_resources_ struct resources volumes = RESOURCES_INIT;
    milli_t mb = resources_scalar(c->resources, "disk");

    resources_persistent_volumes(c->resources, &volumes);
    mb -= resources_scalar(&volumes, "disk");
    return mb > 0 ? (uint64_t)(milli_to_double(mb) * 1048576.0) : 0;
}

static struct place *want(struct du_entry *e, const char *path, uint64_t quota)
{
    struct place *p = find_place(e, path);

    if (!p) {
        p = xnew0(struct place);
        p->of = e;
        p->path = xstrdup(path);
        p->timer = fl_timer_new(e->du->loop, hand_over, p);
        fl_timer_set(p->timer, e->du->base.config->container_disk_watch_interval);
        DL_APPEND(e->places, p);
    }
    p->quota = quota;
    p->wanted = true;
    return p;
}

static void want_volume(const V1__Resource *v, char *taken_path, void *arg)
{
    _cleanup_free_ char *path = taken_path;
    struct place *p = want(arg, path, v->scalar ? (uint64_t)(v->scalar->value * 1048576.0) : 0);

    fl_pb_free(p->disk);
    p->disk = FL_PB_DUP(v->disk);
}

static int du_take_up(struct isolator *i, const struct isolated_container *c, struct fl_err *err)
{
    struct du_isolator *du = (struct du_isolator *)i;
    struct du_entry *e;
    struct place *p, *tmp;

    if (c->root_id || !c->sandbox)
        return 0; /* the sandbox of the root, which is measured, holds it */
    e = id_map_make(&du->entries, c->id, sizeof(*e));
    e->du = du;
    DL_FOREACH (e->places, p) {
        p->wanted = false;
    }
    want(e, c->sandbox, quota_of(c));
    int r = persistent_volumes_each(du->base.config->work_dir, c->resources, want_volume, e, err);
    DL_FOREACH_SAFE (e->places, p, tmp) {
        if (!p->wanted)
            place_drop(e, p);
    }
    return r;
}

static int du_prepare(struct isolator *i, const struct isolated_container *c,
                      struct launch_plan *plan, struct fl_err *err)
{
    return du_take_up(i, c, err);
}

static int du_recover(struct isolator *i, const struct isolated_container *c, pid_t pid,
                      struct fl_err *err)
{
    return pid > 0 ? du_take_up(i, c, err) : 0;
}

static int du_update(struct isolator *i, const struct isolated_container *c, struct fl_err *err)
{
    return id_map_get(&((struct du_isolator *)i)->entries, c->id) ? du_take_up(i, c, err) : 0;
}

static int du_usage(struct isolator *i, const char *id, struct container_usage *out)
{
    struct du_entry *e = id_map_get(&((struct du_isolator *)i)->entries, id);
    const struct place *p;
    size_t n = 0;

    if (!e)
        return -ENOENT;
    DL_FOREACH (e->places, p) {
        if (!p->disk) {
            out->disk_limit_bytes = p->quota;
            out->disk_used_bytes = p->used;
            out->has_disk = p->known;
            continue;
        }
        e->usage = xgrow(e->usage, &e->cap, n + 1, sizeof(*e->usage));
        e->usage[n++] = (struct volume_usage){p->disk, p->quota, p->used, p->known};
    }
    out->volumes = e->usage;
    out->n_volumes = n;
    return 0;
}

static int du_cleanup(struct isolator *i, const char *id)
{
    struct du_isolator *du = (struct du_isolator *)i;
    struct du_entry *e = id_map_get(&du->entries, id);

    if (e)
        entry_drop(du, e);
    return 0;
}

const struct isolator_ops isolator_disk_du = {
    .name = "disk/du",
    .create = du_create,
    .free = du_free,
    .prepare = du_prepare,
    .recover = du_recover,
    .update = du_update,
    .usage = du_usage,
    .cleanup = du_cleanup,
};
