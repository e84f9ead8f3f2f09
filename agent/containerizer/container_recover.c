/* After a restart: what the runtime folders say of containers that an earlier agent started.
 *
 *   wanted, shim alive            -> `recovered`, watched by pidfd
 *   wanted, shim ending           -> watched by pidfd; `ended` with the status it keeps
 *   wanted, status kept           -> `ended` with it (after whatever is left of it is removed)
 *   wanted, neither               -> `ended`, CONTAINER_LOST
 *   not wanted                    -> destroyed, never reported
 * A folder without `shim` belongs to a launch that had not begun: with the folder gone, its shim starts nothing.
 * A plan of another version is not guessed at: with --strict nothing is touched and recovery fails, so that the agent that wrote it
 * can be started again; without, its container is destroyed and reported as lost.
 * Reports are deferred, so none comes before recover() returned. Recovery is done when all of the wanted have been reported.
 */
#include "agent/containerizer/containerizer_priv.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>

#include "agent/containerizer/shim/note.h"
#include "common/base/log.h"

static void read_record(struct container *c, const struct plan_record *r)
{
    uint64_t flags;
    struct plan_limits l;

    switch (r->tag) {
    case PLAN_FLAGS:
        memcpy(&flags, r->data, sizeof(flags));
        c->checkpoint = flags & PLAN_CHECKPOINT;
        c->standalone = flags & PLAN_STANDALONE;
        c->debug = flags & PLAN_DEBUG;
        c->shares_cgroups = flags & PLAN_SHARES_CGROUPS;
        c->relayed = flags & PLAN_RELAY;
        c->plan.clone_flags = flags & PLAN_PID_NAMESPACE ? CLONE_NEWPID : 0;
        break;
    case PLAN_SANDBOX:
        free(c->sandbox);
        c->sandbox = xstrdup(r->data);
        break;
    case PLAN_ROOTFS:
        free(c->rootfs);
        c->rootfs = xstrdup(r->data);
        break;
    case PLAN_USER:
        free(c->user);
        c->user = xstrdup(r->data);
        break;
    case PLAN_LIMITS:
        memcpy(&l, r->data, sizeof(l));
        c->cpu_limit = l.cpus;
        c->mem_limit = l.mem;
        break;
    case PLAN_RESOURCES: {
        Msg__CheckpointResourcesMessage *m =
            msg__checkpoint_resources_message__unpack(NULL, r->len, (const uint8_t *)r->data);
        if (m)
            resources_from_pb(m->resources, m->n_resources, &c->resources, NULL);
        fl_pb_free(m);
        break;
    }
    default:
        break;
    }
}

/* Returns it, the caller's; NULL: there is none. */
static char *read_plan(struct container *c, size_t *ret_n)
{
    _cleanup_free_ char *data = NULL;
    struct plan_record r;
    size_t n, pos;

    c->cpu_limit = c->mem_limit = -1;
    *ret_n = 0;
    if (runtime_file_read(c->folder, "plan", PLAN_MAX_SIZE, &data, &n, NULL) < 0 ||
        !plan_begin(data, n, &pos))
        return NULL;
    while (plan_next(data, n, &pos, &r) > 0)
        read_record(c, &r);
    *ret_n = n;
    return TAKE_PTR(data);
}

static void recover_isolators(struct container *c, const char *plan, size_t plan_len)
{
    struct isolated_container ic = container_isolated(c);

    ic.plan = plan;
    ic.plan_len = plan_len;

    for (size_t i = 0; i < c->cz->n_isolators; i++) {
        struct isolator *iso = c->cz->isolators[i];
        struct fl_err err;
        if (iso->ops->recover && iso->ops->recover(iso, &ic, c->shim_pid, &err) < 0)
            log_warning("isolator '%s' cannot take up container '%s' again, ignoring: %s",
                        iso->ops->name, c->id, err.msg);
    }
}

static const char *without_status(const struct container *c)
{
    _cleanup_free_ char *shim = xasprintf("%s/shim", c->folder);

    if (access(shim, F_OK) == 0)
        return "the container ended while no agent ran, and left no exit status";
    if (access(c->folder, F_OK) == 0)
        return "the agent was restarted before the container was started";
    return "nothing is left of the container: the machine was restarted, or the agent was before "
           "the container had begun";
}

/* The end of one whose shim is gone, from the file it left. */
static void ended_meanwhile(void *arg)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, arg);
    char text[SHIM_TEXT_MAX];
    int value = 0;

    c->asked = false;
    if (c->state == CONTAINER_DESTROYING) {
        container_clean_up(c);
        return;
    }
    switch (runtime_status_read(c->folder, &value, text, sizeof(text))) {
    case RUNTIME_EXITED:
        c->end.has_status = true;
        c->end.status = value;
        container_end_with(c, CONTAINER_EXITED, NULL);
        return;
    case RUNTIME_FAILED: {
        struct fl_err err;
        fl_err_errno(&err, value, "cannot %s", text);
        container_end_with(c, CONTAINER_LAUNCH_FAILED, err.msg);
        return;
    }
    case RUNTIME_NO_STATUS:
        container_end_with(c, CONTAINER_LOST, without_status(c));
        return;
    }
}

static void still_running(void *arg)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, arg);
    struct real_containerizer *cz = c->cz;
    struct fl_err err;

    c->asked = false;
    if (container_watch_shim(c, &err) < 0)
        container_end_with(c, CONTAINER_LOST, err.msg);
    else if (!c->started)
        container_end_with(c, CONTAINER_LAUNCH_FAILED,
                           "the agent was restarted while the container was being started");
    else if (c->state == CONTAINER_RUNNING && c->pid > 0) {
        c->told = true;
        if (c->relayed)
            container_io_recover(c);
        cz->cb.recovered(cz->cb.arg, c->id, c->pid);
    }
}

static bool wanted(const char *const *ids, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (streq(ids[i], id))
            return true;
    return false;
}

/* Taken up, or destroyed. */
static void recover_processes(struct container *c, bool want, const char *plan, size_t plan_len)
{
    int pidfd;

    pid_t shim = runtime_process(c->folder, "shim", &pidfd);
    if (shim > 0) {
        c->pidfd = pidfd;
        c->shim_pid = shim;
        pid_t pid = runtime_process(c->folder, "started", &pidfd);
        c->started = pid >= 0;
        if (pid > 0) {
            c->pid = pid;
            close(pidfd);
        }
    }
    recover_isolators(c, plan, plan_len);
    if (want && shim > 0 && c->checkpoint) {
        c->asked = true;
        fl_loop_defer(c->cz->loop, still_running, c);
        return;
    }
    if (want && shim <= 0) {
        c->asked = true;
        fl_loop_defer(c->cz->loop, ended_meanwhile, c);
        return;
    }
    if (shim > 0)
        container_watch_shim(c, NULL);
}

/* Returns whether it is wanted. */
static bool recover_folder(struct real_containerizer *cz, const char *id, bool want)
{
    struct container *c = container_new(cz, id);
    size_t plan_len;

    c->recovered = true;
    c->state = CONTAINER_RUNNING;
    _cleanup_free_ char *plan = read_plan(c, &plan_len);
    want = c->parent ? want && !c->debug : want || c->standalone;
    c->unwanted = !want;
    recover_processes(c, want, plan, plan_len);
    return want;
}

/* Not taken up. What is nested in it has been destroyed before. */
static void destroy_unwanted(struct container *c)
{
    if (c->asked)
        return;
    if (c->pidfd < 0)
        runtime_folder_remove(c->folder);
    container_destroy(c);
}

struct recovered_folder {
    struct real_containerizer *cz;
    const char *const *ids; /* NULL: nested */
    size_t n;
    const char *parent;
    bool want;
};

static void recover_tree(const struct recovered_folder *f, const char *name);

static void recover_below(const struct recovered_folder *f, const char *path)
{
    DIR *d = opendir(path);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            recover_tree(f, e->d_name);
    if (d)
        closedir(d);
}

static void recover_tree(const struct recovered_folder *f, const char *name)
{
    _cleanup_free_ char *id = f->parent ? xasprintf("%s.%s", f->parent, name) : xstrdup(name);
    bool want = recover_folder(f->cz, id, f->parent ? f->want : wanted(f->ids, f->n, name));
    const struct recovered_folder below = {.cz = f->cz, .parent = id, .want = want};
    struct container *c;

    HASH_FIND_STR(f->cz->containers, id, c);
    _cleanup_free_ char *path = xasprintf("%s/containers", c->folder);
    recover_below(&below, path);
    destroy_unwanted(c);
}

static void recover_folders(struct real_containerizer *cz, const char *const *ids, size_t n)
{
    const struct recovered_folder top = {.cz = cz, .ids = ids, .n = n};
    _cleanup_free_ char *path = xasprintf("%s/containers", cz->flags->runtime_dir);

    recover_below(&top, path);
}

/* A cgroup of ours without a folder, or a wanted container of which nothing is left. */
static void found_orphan(void *arg, const char *id)
{
    struct real_containerizer *cz = arg;
    struct container *c;

    HASH_FIND_STR(cz->containers, id, c);
    if (c)
        return;
    _cleanup_free_ char *parent = container_parent_id(id);
    if (parent)
        found_orphan(cz, parent);
    c = container_new(cz, id);
    c->recovered = c->unwanted = true;
    c->state = CONTAINER_RUNNING;
    container_destroy(c);
}

/* Ends are reported when what is left of the container has been removed, which takes more than one turn of the loop. The agent takes
 * those of which it has heard nothing by then for lost. */
void containerizer_recovery_check(struct real_containerizer *cz)
{
    struct container *c, *tmp;

    if (!cz->recovering)
        return;
    HASH_ITER (hh, cz->containers, c, tmp) {
        if (c->recovered && !c->unwanted && !c->told)
            return;
    }
    cz->recovering = false;
    cz->cb.recovery_done(cz->cb.arg, NULL);
}

static void recover_done(void *arg)
{
    containerizer_recovery_check(arg);
}

/* ---- after an upgrade or a downgrade ---- */

static int check_version(const char *folder, struct fl_err *err)
{
    _cleanup_free_ char *data = NULL;
    struct plan_head h;
    size_t n;

    if (runtime_file_read(folder, "plan", PLAN_MAX_SIZE, &data, &n, NULL) < 0 || n < sizeof(h))
        return 0;
    memcpy(&h, data, sizeof(h));
    if (h.magic != PLAN_MAGIC || h.version == PLAN_VERSION)
        return 0;
    return fl_err_set(err, FL_CONFLICT,
                      "'%s/plan' is of version %u, written by %s agent; this one reads version %u. "
                      "Start that agent again until the container has ended, or this one with "
                      "--no-strict, which destroys the container",
                      folder, h.version, h.version > PLAN_VERSION ? "a newer" : "an older",
                      PLAN_VERSION);
}

/* Of all containers in `path`, and of those nested in them. */
static int check_versions(const char *path, unsigned depth, struct fl_err *err)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    int r = 0;

    while (d && r == 0 && (e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        _cleanup_free_ char *folder = xasprintf("%s/%s", path, e->d_name);
        _cleanup_free_ char *below = xasprintf("%s/containers", folder);
        r = check_version(folder, err);
        if (r == 0 && depth > 0)
            r = check_versions(below, depth - 1, err);
    }
    if (d)
        closedir(d);
    return r;
}

static void refuse(void *arg)
{
    struct real_containerizer *cz = arg;

    cz->recovering = false;
    cz->cb.recovery_done(cz->cb.arg, &cz->refusal);
}

/* Whether recovery is to stop here. */
static bool refused(struct real_containerizer *cz)
{
    _cleanup_free_ char *top = xasprintf("%s/containers", cz->flags->runtime_dir);

    if (check_versions(top, CONTAINER_MAX_DEPTH, &cz->refusal) == 0)
        return false;
    if (cz->flags->strict) {
        fl_loop_defer(cz->loop, refuse, cz);
        return true;
    }
    log_warning("%s, going on because of --no-strict", cz->refusal.msg);
    return false;
}

void containerizer_recover(struct containerizer *base, const char *const *ids, size_t n)
{
    struct real_containerizer *cz = real_of(base);

    cz->recovering = true;
    if (refused(cz))
        return;
    recover_folders(cz, ids, n);
    for (size_t i = 0; i < n; i++) {
        struct container *c;
        HASH_FIND_STR(cz->containers, ids[i], c);
        if (c)
            continue;
        c = container_new(cz, ids[i]);
        c->recovered = true;
        c->state = CONTAINER_RUNNING;
        c->asked = true;
        fl_loop_defer(cz->loop, ended_meanwhile, c);
    }
    for (size_t i = 0; i < cz->n_isolators; i++) {
        struct isolator *iso = cz->isolators[i];
        if (iso->ops->orphans)
            iso->ops->orphans(iso, found_orphan, cz);
    }
    if (cz->provisioner)
        provisioner_each(cz->provisioner, found_orphan, cz);
    fl_loop_defer(cz->loop, recover_done, cz);
}
