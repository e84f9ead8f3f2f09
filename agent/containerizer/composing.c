/* See composing.h. Who has a container is known from its launch, or from the recovery, until its end has been told; before recovery the
 * members' own records on the disk say it. */
#include "agent/containerizer/composing.h"

#include <errno.h>
#include <uthash.h>

#define MAX_MEMBERS     4
#define COMPOSING_MAGIC 0xc0450001u

struct composing;
struct member {
    struct composing *in;
    struct containerizer *c; /* owned */
    int rank;
    composing_takes_f *takes;
    bool recovering;
};
struct owned {
    char *id; /* of a root */
    struct member *by;
    UT_hash_handle hh;
};
struct composing {
    struct containerizer base; /* first */
    unsigned magic;
    struct containerizer_callbacks cb;
    const char *enabled;
    struct member members[MAX_MEMBERS];
    unsigned n;
    struct owned *owned;
    bool recovering;
    struct fl_err recovery_error;
};

static struct composing *composing_of(struct containerizer *c)
{
    struct composing *p = (struct composing *)c;

    assert(p && p->magic == COMPOSING_MAGIC);
    return p;
}

/* ---- who has what ---- */

static struct owned *find(struct composing *p, const char *id)
{
    struct owned *o;

    HASH_FIND(hh, p->owned, id, strcspn(id, "."), o);
    return o;
}

/* NULL: nobody. */
static struct containerizer *owner(struct containerizer *base, const char *id)
{
    const struct owned *o = find(composing_of(base), id);

    return o ? o->by->c : NULL;
}

static void own(struct composing *p, const char *id, struct member *m)
{
    struct owned *o = find(p, id);

    if (!o) {
        o = xnew0(struct owned);
        o->id = xstrndup(id, strcspn(id, "."));
        HASH_ADD_KEYPTR(hh, p->owned, o->id, strlen(o->id), o);
    }
    o->by = m;
}

static void disown(struct composing *p, const char *id)
{
    struct owned *o = strchr(id, '.') ? NULL : find(p, id);

    if (!o)
        return;
    HASH_DEL(p->owned, o);
    free(o->id);
    free(o);
}

/* ---- what the members report ---- */

static void on_started(void *arg, const char *id, pid_t pid)
{
    struct member *m = arg;

    m->in->cb.started(m->in->cb.arg, id, pid);
}

static void on_ended(void *arg, const char *id, const struct container_end *end)
{
    struct member *m = arg;

    m->in->cb.ended(m->in->cb.arg, id, end);
    disown(m->in, id);
}

static void on_recovered(void *arg, const char *id, pid_t pid)
{
    struct member *m = arg;

    own(m->in, id, m);
    m->in->cb.recovered(m->in->cb.arg, id, pid);
}

/* The first that went wrong is the one that is told. */
static void on_recovery_done(void *arg, const struct fl_err *err)
{
    struct member *m = arg;
    struct composing *p = m->in;

    m->recovering = false;
    if (err && p->recovery_error.reason == FL_OK)
        p->recovery_error = *err;
    for (unsigned i = 0; i < p->n; i++)
        if (p->members[i].recovering)
            return;
    if (!p->recovering)
        return;
    p->recovering = false;
    p->cb.recovery_done(p->cb.arg, p->recovery_error.reason == FL_OK ? NULL : &p->recovery_error);
}

void composing_callbacks(struct containerizer *composing, struct containerizer_callbacks *ret)
{
    struct composing *p = composing_of(composing);

    assert(p->n < MAX_MEMBERS);
    *ret = (struct containerizer_callbacks){.started = on_started,
                                            .ended = on_ended,
                                            .recovered = on_recovered,
                                            .recovery_done = on_recovery_done,
                                            .arg = &p->members[p->n]};
}

/* ---- launch ---- */

static struct member *first_that_takes(struct composing *p, const V1__ContainerInfo *info)
{
    struct member *best = NULL;

    for (unsigned i = 0; i < p->n; i++) {
        struct member *m = &p->members[i];
        if (m->rank >= 0 && m->takes(info) && (!best || m->rank < best->rank))
            best = m;
    }
    return best;
}

static int c_launch(struct containerizer *base, const struct container_spec *spec,
                    struct fl_err *err)
{
    struct composing *p = composing_of(base);
    const struct owned *o = find(p, spec->container_id);

    if (strchr(spec->container_id, '.')) {
        if (!o)
            return fl_err_set(err, FL_INVALID, "Parent container %.*s does not exist",
                              (int)strcspn(spec->container_id, "."), spec->container_id);
        return o->by->c->ops->launch(o->by->c, spec, err);
    }
    if (o)
        return fl_err_set(err, FL_CONFLICT, "there is already a container '%s'",
                          spec->container_id);
    struct member *m = first_that_takes(p, spec->container);
    if (!m)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "None of the enabled containerizers (%s) could create a container for "
                          "the provided TaskInfo/ExecutorInfo message",
                          p->enabled);
    int r = m->c->ops->launch(m->c, spec, err);
    if (r == 0)
        own(p, spec->container_id, m);
    return r;
}

/* ---- what goes to the one that has it ---- */

static int not_there(const char *id, struct fl_err *err)
{
    return fl_err_set(err, FL_NOT_FOUND, "no container '%s'", id);
}

static int c_signal(struct containerizer *base, const char *id, int signo, struct fl_err *err)
{
    struct containerizer *c = owner(base, id);

    return c ? c->ops->signal(c, id, signo, err) : not_there(id, err);
}

static void c_destroy(struct containerizer *base, const char *id)
{
    struct containerizer *c = owner(base, id);

    if (c)
        c->ops->destroy(c, id);
}

static void c_update(struct containerizer *base, const char *id, const struct resources *res,
                     double cpu_limit, double mem_limit)
{
    struct containerizer *c = owner(base, id);

    if (c)
        c->ops->update(c, id, res, cpu_limit, mem_limit);
}

static int c_usage(struct containerizer *base, const char *id, struct container_usage *out)
{
    struct containerizer *c = owner(base, id);

    return c ? c->ops->usage(c, id, out) : -ENOENT;
}

static int c_status(struct containerizer *base, const char *id, struct fl_arena *arena,
                    V1__ContainerStatus **ret)
{
    struct containerizer *c = owner(base, id);

    return c ? c->ops->status(c, id, arena, ret) : -ENOENT;
}

static bool c_describe(struct containerizer *base, const char *id,
                       struct container_description *out)
{
    struct containerizer *c = owner(base, id);

    return c && c->ops->describe && c->ops->describe(c, id, out);
}

static int c_attach(struct containerizer *base, const char *id, const struct container_listener *l,
                    struct fl_err *err)
{
    struct containerizer *c = owner(base, id);

    return c ? c->ops->attach(c, id, l, err) : not_there(id, err);
}

static void c_detach(struct containerizer *base, const char *id, const void *arg)
{
    struct containerizer *c = owner(base, id);

    if (c)
        c->ops->detach(c, id, arg);
}

static void c_resume(struct containerizer *base, const char *id)
{
    struct containerizer *c = owner(base, id);

    if (c)
        c->ops->resume(c, id);
}

static int c_input(struct containerizer *base, const char *id, const void *data, size_t n,
                   struct fl_err *err)
{
    struct containerizer *c = owner(base, id);

    return c ? c->ops->input(c, id, data, n, err) : not_there(id, err);
}

static void c_window(struct containerizer *base, const char *id, unsigned rows, unsigned columns)
{
    struct containerizer *c = owner(base, id);

    if (c)
        c->ops->window(c, id, rows, columns);
}

/* ---- what goes to all ---- */

static bool c_knows(struct containerizer *base, const char *id)
{
    struct composing *p = composing_of(base);

    for (unsigned i = 0; i < p->n; i++) {
        struct containerizer *c = p->members[i].c;
        if (c->ops->knows && c->ops->knows(c, id))
            return true;
    }
    return false;
}

/* Its end has been told, so nobody has it; who knows nothing of it does nothing. */
static void c_forget(struct containerizer *base, const char *id)
{
    struct composing *p = composing_of(base);

    for (unsigned i = 0; i < p->n; i++)
        p->members[i].c->ops->forget(p->members[i].c, id);
}

static void c_each(struct containerizer *base, void (*fn)(void *arg, const char *id), void *arg)
{
    struct composing *p = composing_of(base);

    for (unsigned i = 0; i < p->n; i++)
        p->members[i].c->ops->each(p->members[i].c, fn, arg);
}

static void c_fetch_stats(const struct containerizer *base, struct containerizer_fetch_stats *out)
{
    const struct composing *p = (const struct composing *)base;

    for (unsigned i = 0; i < p->n; i++) {
        const struct containerizer *c = p->members[i].c;
        struct containerizer_fetch_stats one = {0};
        if (!c->ops->fetch_stats)
            continue;
        if (i == 0)
            *out = (struct containerizer_fetch_stats){0};
        c->ops->fetch_stats(c, &one);
        out->succeeded += one.succeeded;
        out->failed += one.failed;
        out->cache_total_bytes += one.cache_total_bytes;
        out->cache_used_bytes += one.cache_used_bytes;
    }
}

/* Images are the mesos containerizer's, of which there is one. */
static int c_prune_images(struct containerizer *base, const V1__Image *const *excluded, size_t n,
                          containerizer_pruned_f *done, void *arg, struct fl_err *err)
{
    struct composing *p = composing_of(base);

    for (unsigned i = 0; i < p->n; i++) {
        struct containerizer *c = p->members[i].c;
        if (c->ops->prune_images)
            return c->ops->prune_images(c, excluded, n, done, arg, err);
    }
    done(arg, NULL);
    return 0;
}

/* Of whom nobody has a record is the first one's to declare lost. */
static struct member *who_knows(struct composing *p, const char *id)
{
    for (unsigned i = 0; i < p->n; i++) {
        struct containerizer *c = p->members[i].c;
        if (c->ops->knows && c->ops->knows(c, id))
            return &p->members[i];
    }
    return &p->members[0];
}

static void c_recover(struct containerizer *base, const char *const *ids, size_t n)
{
    struct composing *p = composing_of(base);
    _cleanup_free_ const char **part = xcalloc(n + 1, sizeof(char *));

    assert(p->n > 0);
    for (size_t k = 0; k < n; k++)
        own(p, ids[k], who_knows(p, ids[k]));
    p->recovering = true;
    for (unsigned i = 0; i < p->n; i++)
        p->members[i].recovering = true;
    for (unsigned i = 0; i < p->n; i++) {
        struct member *m = &p->members[i];
        size_t n_part = 0;
        for (size_t k = 0; k < n; k++)
            if (find(p, ids[k])->by == m)
                part[n_part++] = ids[k];
        m->c->ops->recover(m->c, part, n_part);
    }
}

static void c_free(struct containerizer *base)
{
    struct composing *p = composing_of(base);

    for (unsigned i = p->n; i-- > 0;)
        p->members[i].c->ops->free(p->members[i].c);
    while (p->owned)
        disown(p, p->owned->id);
    p->magic = 0;
    free(p);
}

/* ---- making ---- */

static const struct containerizer_ops composing_ops = {
    .launch = c_launch,
    .signal = c_signal,
    .destroy = c_destroy,
    .update = c_update,
    .usage = c_usage,
    .status = c_status,
    .recover = c_recover,
    .forget = c_forget,
    .free = c_free,
    .attach = c_attach,
    .detach = c_detach,
    .resume = c_resume,
    .input = c_input,
    .window = c_window,
    .describe = c_describe,
    .knows = c_knows,
    .each = c_each,
    .fetch_stats = c_fetch_stats,
    .prune_images = c_prune_images,
};

struct containerizer *composing_new(const struct containerizer_callbacks *cb, const char *enabled)
{
    struct composing *p = xnew0(struct composing);

    p->base.ops = &composing_ops;
    p->magic = COMPOSING_MAGIC;
    p->cb = *cb;
    p->enabled = enabled;
    return &p->base;
}

int composing_add(struct containerizer *composing, struct containerizer *member, int rank,
                  composing_takes_f *takes, struct fl_err *err)
{
    struct composing *p = composing_of(composing);

    if (p->n == MAX_MEMBERS)
        return fl_err_set(err, FL_LIMIT, "there can be only %d containerizers", MAX_MEMBERS);
    p->members[p->n++] = (struct member){.in = p, .c = member, .rank = rank, .takes = takes};
    return 0;
}
