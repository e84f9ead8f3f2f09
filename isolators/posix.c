/* posix/cpu and posix/mem: no isolation, only what the container's processes use, by walking the tree below its shim. */
#include "isolators/isolators_priv.h"

#include <errno.h>

#include "isolators/id_map.h"
#include "isolators/process_tree.h"

struct posix_isolator {
    struct isolator base; /* first */
    struct id_map pids;
};
struct posix_entry {
    struct id_entry id; /* first */
    pid_t pid;
};

static struct isolator *make(const struct isolator_ops *ops)
{
    struct posix_isolator *p = xnew0(struct posix_isolator);

    p->base.ops = ops;
    return &p->base;
}

static void posix_free(struct isolator *i)
{
    struct posix_isolator *p = (struct posix_isolator *)i;

    id_map_done(&p->pids);
    free(p);
}

static int posix_isolate(struct isolator *i, const char *id, pid_t pid, struct fl_err *err)
{
    struct posix_entry *e = id_map_make(&((struct posix_isolator *)i)->pids, id, sizeof(*e));

    e->pid = pid;
    return 0;
}

static int posix_recover(struct isolator *i, const struct isolated_container *c, pid_t pid,
                         struct fl_err *err)
{
    return posix_isolate(i, c->id, pid, err);
}

static int posix_cleanup(struct isolator *i, const char *id)
{
    struct posix_isolator *p = (struct posix_isolator *)i;
    struct posix_entry *e = id_map_get(&p->pids, id);

    if (e)
        id_map_drop(&p->pids, e);
    return 0;
}

static int tree_of(struct isolator *i, const char *id, struct tree_usage *u)
{
    const struct posix_entry *e = id_map_get(&((struct posix_isolator *)i)->pids, id);

    return e ? process_tree_usage(e->pid, u) : -ENOENT;
}

static int cpu_usage(struct isolator *i, const char *id, struct container_usage *out)
{
    struct tree_usage u;
    int r = tree_of(i, id, &u);

    if (r < 0)
        return r;
    out->cpus_user_s = u.user_s;
    out->cpus_system_s = u.system_s;
    out->has_counts = true;
    out->processes = u.processes;
    out->threads = u.threads;
    return 0;
}

static int mem_usage(struct isolator *i, const char *id, struct container_usage *out)
{
    struct tree_usage u;
    int r = tree_of(i, id, &u);

    if (r < 0)
        return r;
    out->mem_rss_bytes = u.rss_bytes;
    out->mem_total_bytes = u.rss_bytes;
    return 0;
}

static int cpu_create(struct fl_loop *loop, const struct isolator_config *config,
                      isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err)
{
    *ret = make(&isolator_posix_cpu);
    return 0;
}

static int mem_create(struct fl_loop *loop, const struct isolator_config *config,
                      isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err)
{
    *ret = make(&isolator_posix_mem);
    return 0;
}

const struct isolator_ops isolator_posix_cpu = {
    .name = "posix/cpu",
    .create = cpu_create,
    .free = posix_free,
    .isolate = posix_isolate,
    .recover = posix_recover,
    .usage = cpu_usage,
    .cleanup = posix_cleanup,
};
const struct isolator_ops isolator_posix_mem = {
    .name = "posix/mem",
    .create = mem_create,
    .free = posix_free,
    .isolate = posix_isolate,
    .recover = posix_recover,
    .usage = mem_usage,
    .cleanup = posix_cleanup,
};
