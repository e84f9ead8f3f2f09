/* Containers that no executor runs as: nested ones, which an executor or an operator starts below a running container, and
 * standalone ones. This file knows which there are, who waits for them, and how those ended that nobody has removed.
 *
 * Core's thread. A record is there from the launch until the container is removed, until its root ends, or until KEPT_ENDED younger
 * ones have ended; one that could not be started is dropped at once. The ids of executors' containers have a record only while
 * somebody waits for their end. Every wait is answered, at the latest when the agent ends. */
#include <utlist.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"

#define KEPT_ENDED 10000

struct agent_nested_waiter {
    agent_nested_f *fn;
    void *arg;
    bool start; /* for the start, not for the end */
    struct agent_nested_waiter *prev, *next;
};

struct removal {
    struct agent_core *core;
    char *id, *base, *path; /* the sandbox: `path` below `base`, NULL: base itself */
    struct fl_err err;
    bool failed;
    agent_nested_removed_f *fn;
    void *arg;
    struct removal *prev, *next;
};

struct agent_nested_set {
    struct agent_nested *all;   /* hash by id */
    struct agent_nested *ended; /* oldest first */
    unsigned n_ended;
    struct removal *removals;
};

/* ---- records ---- */

struct agent_nested_set *agent_nested_new(void)
{
    return xnew0(struct agent_nested_set);
}

struct agent_nested *agent_find_nested(const struct agent_core *a, const char *id)
{
    struct agent_nested *n;

    HASH_FIND_STR(a->nested->all, id, n);
    return n && !n->executor ? n : NULL;
}

const struct agent_nested *agent_nested_first(const struct agent_core *a)
{
    return a->nested->all;
}

static struct agent_nested *record(struct agent_core *a, const char *id)
{
    struct agent_nested *n;

    HASH_FIND_STR(a->nested->all, id, n);
    if (n)
        return n;
    n = xnew0(struct agent_nested);
    n->id = xstrdup(id);
    HASH_ADD_KEYPTR(hh, a->nested->all, n->id, strlen(n->id), n);
    return n;
}

static void drop(struct agent_core *a, struct agent_nested *n)
{
    assert(!n->waits);
    if (n->phase == AGENT_NESTED_ENDED) {
        DL_DELETE(a->nested->ended, n);
        a->nested->n_ended--;
    }
    HASH_DEL(a->nested->all, n);
    free(n->message);
    fl_pb_free(n->limitation);
    free(n->id);
    free(n);
}

static void forget(struct agent_core *a, struct agent_nested *n)
{
    a->containerizer->ops->forget(a->containerizer, n->id);
    drop(a, n);
}

static bool is_below(const char *id, const char *above)
{
    size_t n = strlen(above);

    return strncmp(id, above, n) == 0 && id[n] == '.';
}

static void drop_below(struct agent_core *a, const char *above)
{
    struct agent_nested *n, *tmp;

    HASH_ITER (hh, a->nested->all, n, tmp) {
        if (n->phase == AGENT_NESTED_ENDED && is_below(n->id, above))
            drop(a, n);
    }
}

/* ---- waiting ---- */

static void add_wait(struct agent_nested *n, bool start, agent_nested_f *fn, void *arg)
{
    struct agent_nested_waiter *w = xnew0(struct agent_nested_waiter);

    w->fn = fn;
    w->arg = arg;
    w->start = start;
    DL_APPEND(n->waits, w);
}

/* `end` NULL: it has started. Callbacks may come back here. */
static void answer(struct agent_nested *n, const struct container_end *end)
{
    struct agent_nested_waiter *w, *tmp, *due = NULL;

    DL_FOREACH_SAFE (n->waits, w, tmp) {
        if (!end && !w->start)
            continue;
        DL_DELETE(n->waits, w);
        DL_APPEND(due, w);
    }
    DL_FOREACH_SAFE (due, w, tmp) {
        DL_DELETE(due, w);
        w->fn(w->arg, end);
        free(w);
    }
}

/* ---- what the containerizer reports ---- */

void agent_nested_started(struct agent_core *a, const char *id, pid_t pid)
{
    struct agent_nested *n = agent_find_nested(a, id);

    if (!n)
        return;
    n->phase = AGENT_NESTED_RUNNING;
    n->pid = pid;
    answer(n, NULL);
}

void agent_nested_recovered(struct agent_core *a, const char *id, pid_t pid)
{
    struct agent_nested *n = record(a, id);

    n->phase = AGENT_NESTED_RUNNING;
    n->pid = pid;
}

static void keep(struct agent_core *a, struct agent_nested *n, const struct container_end *end)
{
    n->phase = AGENT_NESTED_ENDED;
    n->pid = 0;
    n->end = *end;
    n->message = end->message ? xstrdup(end->message) : NULL;
    n->end.message = n->message;
    n->limitation = end->limitation ? FL_PB_DUP(end->limitation) : NULL;
    n->end.limitation = n->limitation;
    DL_APPEND(a->nested->ended, n);
    if (++a->nested->n_ended > KEPT_ENDED) {
        agent_count(a, COUNT_NESTED_OVER_LIMIT);
        forget(a, a->nested->ended);
    }
}

void agent_nested_ended(struct agent_core *a, const char *id, const struct container_end *end)
{
    struct agent_nested *n;

    HASH_FIND_STR(a->nested->all, id, n);
    if (!n && a->state == AGENT_RECOVERING && !agent_find_container(a, id))
        n = record(a, id);
    if (n) {
        bool never_ran =
            n->phase == AGENT_NESTED_STARTING && end->reason == CONTAINER_LAUNCH_FAILED;

        answer(n, end);
        if (n->executor)
            drop(a, n);
        else if (never_ran)
            forget(a, n);
        else
            keep(a, n, end);
    }
    if (!strchr(id, '.'))
        drop_below(a, id);
}

/* ---- what is asked ---- */

static char *root_of(const char *id)
{
    return xstrndup(id, strcspn(id, "."));
}

struct agent_executor *agent_nested_executor(const struct agent_core *a, const char *id)
{
    _cleanup_free_ char *root = root_of(id);

    return agent_find_container(a, root);
}

/* The sandbox of the root: NULL when there is no such container. */
static char *root_sandbox(const struct agent_core *a, const char *root)
{
    const struct agent_executor *e = agent_find_container(a, root);

    if (e)
        return agent_executor_directory(e);
    return agent_find_nested(a, root) ? xasprintf("%s/containers/%s", a->work_dir, root) : NULL;
}

static int make_sandbox(struct agent_core *a, const struct agent_nested_launch *l, char **ret,
                        struct fl_err *err)
{
    _cleanup_free_ char *root = root_of(l->container_id);
    _cleanup_free_ char *base = NULL;

    if (strchr(l->container_id, '.')) {
        _cleanup_free_ char *path = container_nested_path(l->container_id);
        base = root_sandbox(a, root);
        if (!base)
            return fl_err_set(err, FL_INVALID, "Parent container %s does not exist", root);
        *ret = xasprintf("%s/%s", base, path);
        return 0;
    }
    base = xasprintf("%s/containers/%s", a->work_dir, root);
    int r = a->env->io->mkdir(a->env->ctx, base, l->user, err);
    if (r == 0)
        *ret = TAKE_PTR(base);
    return r < 0 ? fl_err_wrap(err, "Failed to create sandbox") : 0;
}

int agent_nested_launch(struct agent_core *a, const struct agent_nested_launch *l,
                        agent_nested_f *fn, void *arg, struct fl_err *err)
{
    struct agent_nested *n = agent_find_nested(a, l->container_id);
    bool nested = strchr(l->container_id, '.') != NULL;
    _cleanup_free_ char *sandbox = NULL, *env_sandbox = NULL, *env_ip = NULL;

    if ((n && n->phase != AGENT_NESTED_ENDED) || agent_find_container(a, l->container_id))
        return fl_err_set(err, FL_CONFLICT, "there is already a container '%s'", l->container_id);
    int r = make_sandbox(a, l, &sandbox, err);
    if (r < 0)
        return r;
    env_sandbox = xasprintf("MESOS_SANDBOX=%s", sandbox);
    env_ip = xasprintf("MESOS_CONTAINER_IP=%s", a->ip);
    const char *const env[] = {env_sandbox, env_ip, NULL};
    const struct container_spec spec = {.container_id = l->container_id,
                                        .command = l->command,
                                        .container = l->container,
                                        .user = a->flags->switch_user ? l->user : NULL,
                                        .sandbox = nested ? NULL : sandbox,
                                        .env = env,
                                        .resources = l->resources,
                                        .cpu_limit = l->cpu_limit,
                                        .mem_limit = l->mem_limit,
                                        .checkpoint = true,
                                        .standalone = !nested,
                                        .debug = l->debug};
    r = a->containerizer->ops->launch(a->containerizer, &spec, err);
    if (r < 0)
        return r;
    if (n)
        drop(a, n);
    n = record(a, l->container_id);
    n->debug = l->debug;
    add_wait(n, true, fn, arg);
    return 0;
}

int agent_nested_wait(struct agent_core *a, const char *id, agent_nested_f *fn, void *arg,
                      struct fl_err *err)
{
    struct agent_nested *n = agent_find_nested(a, id);

    if (n && n->phase == AGENT_NESTED_ENDED) {
        fn(arg, &n->end);
        return 0;
    }
    if (!n && agent_find_container(a, id)) {
        n = record(a, id);
        n->executor = true;
    }
    if (!n)
        return fl_err_set(err, FL_NOT_FOUND, "Container %s cannot be found", id);
    add_wait(n, false, fn, arg);
    return 0;
}

int agent_nested_kill(struct agent_core *a, const char *id, int signo, struct fl_err *err)
{
    const struct agent_nested *n = agent_find_nested(a, id);

    if (agent_find_container(a, id))
        return agent_signal_container(a, id, signo, err);
    if (!n || n->phase == AGENT_NESTED_ENDED)
        return fl_err_set(err, FL_NOT_FOUND,
                          "Container '%s' cannot be found (or is already killed)", id);
    if (n->phase == AGENT_NESTED_STARTING) {
        agent_nested_destroy(a, id);
        return 0;
    }
    return a->containerizer->ops->signal(a->containerizer, id, signo, err);
}

void agent_nested_destroy(struct agent_core *a, const char *id)
{
    const struct agent_nested *n = agent_find_nested(a, id);

    if (n && n->phase != AGENT_NESTED_ENDED)
        a->containerizer->ops->destroy(a->containerizer, id);
}

/* ---- removing ---- */

static void removal_free(struct agent_core *a, struct removal *r)
{
    DL_DELETE(a->nested->removals, r);
    free(r->id);
    free(r->base);
    free(r->path);
    free(r);
}

static void removal_work(void *arg)
{
    struct removal *r = arg;
    struct agent_env *env = r->core->env;
    int k = r->path ? env->io->empty_below(env->ctx, r->base, r->path, &r->err)
                    : env->io->empty(env->ctx, r->base, true, &r->err);

    r->failed = k < 0;
}

static void removal_done(void *arg)
{
    struct removal *r = arg;

    r->fn(r->arg, r->failed ? &r->err : NULL);
    removal_free(r->core, r);
}

int agent_nested_remove(struct agent_core *a, const char *id, agent_nested_removed_f *fn, void *arg,
                        struct fl_err *err)
{
    struct agent_nested *n = agent_find_nested(a, id);
    _cleanup_free_ char *root = root_of(id), *base = root_sandbox(a, root);

    if (agent_find_container(a, id) || (n && n->phase != AGENT_NESTED_ENDED))
        return fl_err_set(err, FL_INTERNAL, "Nested container has not terminated yet");
    if (!base)
        return fl_err_set(err, FL_INTERNAL, "Unknown root container");
    struct removal *r = xnew0(struct removal);
    r->core = a;
    r->id = xstrdup(id);
    r->base = TAKE_PTR(base);
    r->path = strchr(id, '.') ? container_nested_path(id) : NULL;
    r->fn = fn;
    r->arg = arg;
    DL_APPEND(a->nested->removals, r);
    drop_below(a, id);
    if (n)
        forget(a, n);
    a->env->io->background(a->env->ctx, removal_work, removal_done, r);
    return 0;
}

void agent_nested_free(struct agent_core *a)
{
    const struct container_end lost = {.reason = CONTAINER_LOST, .message = "the agent is ending"};
    const struct fl_err ending = {.reason = FL_UNAVAILABLE, .msg = "the agent is ending"};
    struct agent_nested *n, *tmp;

    while (a->nested->removals) {
        a->nested->removals->fn(a->nested->removals->arg, &ending);
        removal_free(a, a->nested->removals);
    }
    HASH_ITER (hh, a->nested->all, n, tmp) {
        answer(n, &lost);
        drop(a, n);
    }
    free(a->nested);
}
