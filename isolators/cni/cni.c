/* network/cni: containers that name networks get a network namespace of their own, which plug-ins of the Container Network Interface
 * connect; everybody else keeps the machine's, at no cost. Facts of behaviour: features.md 5.1.
 *
 *   prepare: namespace (a thread) -> ADD for each network in turn (programs) -> hosts, hostname, resolv.conf -> the launch goes on
 *   cleanup: DEL for each -> namespace -> folder (detach.c)
 * What lies on disk (state.h) is always at least as much as what has been done, so whoever is killed in between leaves nothing unknown.
 * The agent's thread.
 */
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/base/log.h"
#include "isolators/cni/files.h"
#include "isolators/cni/network.h"
#include "isolators/cni/state.h"
#include "isolators/sandbox_path.h"
#include "isolators/stateless.h"

#define CNI_FOLDER    "isolators/network/cni"
#define HOST_NAME_LEN 64

/* ---- the isolator ---- */

static void cni_free(struct isolator *base)
{
    struct cni_isolator *i = cni_of(base);

    while (i->containers.head)
        cni_entry_drop((struct cni_entry *)i->containers.head);
    if (i->root && geteuid() == 0)
        cni_root_drop(i->root);
    cni_catalog_free(i->catalog);
    cni_default_dns_free(i->dns);
    free(i->root);
    i->magic = 0;
    free(i);
}

static int check_config(const struct isolator_config *c, struct fl_err *err)
{
    if (!c->network_cni_plugins_dir && !c->network_cni_config_dir)
        return 0;
    if (!c->network_cni_plugins_dir || !*c->network_cni_plugins_dir)
        return fl_err_set(err, FL_INVALID, "Missing required '--network_cni_plugins_dir' flag");
    if (!c->network_cni_config_dir || !*c->network_cni_config_dir)
        return fl_err_set(err, FL_INVALID, "Missing required '--network_cni_config_dir' flag");
    if (access(c->network_cni_config_dir, F_OK) < 0)
        return fl_err_set(err, FL_INVALID,
                          "The CNI network configuration directory '%s' does not exist",
                          c->network_cni_config_dir);
    return need_linux(c, err);
}

static int cni_create(struct fl_loop *loop, const struct isolator_config *config,
                      isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err)
{
    struct cni_isolator *i = xnew0(struct cni_isolator);
    const char *base =
        config->network_cni_root_dir_persist ? config->work_dir : config->runtime_dir;

    i->base.ops = &isolator_network_cni;
    i->magic = CNI_MAGIC;
    i->loop = loop;
    i->config = config;
    i->root = xasprintf("%s/" CNI_FOLDER, base);
    i->catalog = cni_catalog_new(config->network_cni_config_dir, config->network_cni_plugins_dir,
                                 config->launcher_dir);
    int r = check_config(config, err);
    if (r == 0)
        r = cni_default_dns_parse(config->default_container_dns, &i->dns, err);
    if (r < 0) {
        cni_free(&i->base);
        return r;
    }
    if (config->network_cni_config_dir)
        cni_catalog_read(i->catalog);
    *ret = &i->base;
    return 0;
}

/* ---- the end of preparing ---- */

static void add_environment(const struct cni_entry *e, struct launch_plan *plan)
{
    const char *ip = cni_entry_address(e);

    _cleanup_free_ char *own = xasprintf("MESOS_CONTAINER_IP=%s", ip ? ip : "");

    launch_plan_env(plan, "LIBPROCESS_IP=0.0.0.0");
    if (ip)
        launch_plan_env(plan, own);
}

static int write_files(const struct cni_entry *e, struct fl_err *err)
{
    struct cni_dns dns = {0};

    for (size_t k = 0; k < e->n; k++) {
        const struct cni_network *n = &e->networks[k];
        const struct cni_dns *more =
            n->result->dns.servers ? &n->result->dns : cni_default_dns_of(e->owner->dns, n->name);
        if (more)
            cni_dns_merge(&dns, more);
    }
    int r = cni_files_write(e->folder, e->hostname, cni_entry_address(e), &dns,
                            e->owner->config->network_cni_root_dir_persist, err);
    cni_dns_done(&dns);
    return r;
}

static int fill_plan(struct cni_entry *e, struct fl_err *err)
{
    struct launch_plan *plan = e->plan;

    int r = write_files(e, err);
    if (r < 0)
        return r;
    launch_plan_string(plan, PLAN_NETNS, e->ns);
    /* The name is that of the network's host: a nested container with networks of its own must not rename its parent. */
    plan->join &= ~(uint64_t)(CLONE_NEWUTS | CLONE_NEWNET);
    plan->clone_flags |= CLONE_NEWUTS;
    launch_plan_string(plan, PLAN_HOSTNAME, e->hostname);
    if (!launch_plan_has_mounts(plan)) {
        plan->clone_flags |= CLONE_NEWNS;
        launch_plan_mount(plan, NULL, "/", NULL, MS_SLAVE | MS_REC, NULL, 0);
    }
    add_environment(e, plan);
    return cni_files_mount(e->folder, e->rootfs, plan, err);
}

static void prepared(struct cni_entry *e, const struct fl_err *err)
{
    const struct isolator_config *config = e->owner->config;

    e->plan = NULL;
    /* It may be taken down at once, and e with it. */
    _cleanup_free_ char *id = xstrdup(e->id.id);
    config->ready(config->ready_arg, id, err);
}

/* ---- ADD ---- */

static void attach_next(struct cni_entry *e);

static int take_result(struct cni_entry *e, struct cni_network *n, const char *result,
                       struct fl_err *err)
{
    n->said = xstrdup(result);
    int r = cni_entry_save_result(e, n, err);
    if (r == 0)
        r = cni_result_parse(result, &n->result, err);
    return r < 0 ? fl_err_wrap(err, "the answer of CNI network '%s'", n->name) : 0;
}

static void attached(void *arg, const char *result, const struct fl_err *err)
{
    struct cni_entry *e = FL_CAST(cni_entry, CNI_ENTRY_MAGIC, arg);
    struct fl_err own;

    e->run = NULL;
    if (!err && take_result(e, &e->networks[e->next], result, &own) < 0)
        err = &own;
    if (err) {
        prepared(e, err);
        return;
    }
    e->next++;
    attach_next(e);
}

static void attach_next(struct cni_entry *e)
{
    const struct isolator_config *config = e->owner->config;
    struct fl_err err;
    int r;

    if (e->next == e->n) {
        r = fill_plan(e, &err);
        prepared(e, r < 0 ? &err : NULL);
        return;
    }
    struct cni_network *n = &e->networks[e->next];
    const struct cni_run_spec spec = {.add = true,
                                      .container_id = e->id.id,
                                      .ifname = n->ifname,
                                      .netns = e->ns,
                                      .plugins_dir = config->network_cni_plugins_dir,
                                      .launcher_dir = config->launcher_dir,
                                      .conf = n->conf};
    r = cni_entry_save(e, n, &err);
    if (r < 0)
        prepared(e, &err);
    else
        e->run = cni_run(e->owner->loop, &spec, attached, e);
}

static void namespace_made(void *arg, const struct fl_err *err)
{
    struct cni_entry *e = FL_CAST(cni_entry, CNI_ENTRY_MAGIC, arg);

    e->making = NULL;
    if (err)
        prepared(e, err);
    else
        attach_next(e);
}

/* ---- prepare ---- */

static bool names_network(const V1__ContainerInfo *info)
{
    for (size_t k = 0; info && k < info->n_network_infos; k++)
        if (info->network_infos[k]->name)
            return true;
    return false;
}

/* The network of the container around it. An image of its own gets the files of that one by filesystem/linux. */
static int join(const struct cni_entry *e, const struct isolated_container *c,
                struct launch_plan *plan, struct fl_err *err)
{
    plan->join |= CLONE_NEWNET | CLONE_NEWUTS;
    add_environment(e, plan);
    /* The files are in that one's mount namespace; only who has the machine's mounts anew lacks them. */
    if (!launch_plan_has_mounts(plan))
        plan->join |= CLONE_NEWNS;
    else if (plan->clone_flags & CLONE_NEWNS && !c->rootfs)
        return cni_files_mount(e->folder, NULL, plan, err);
    return 0;
}

static char *host_name(const struct isolated_container *c)
{
    const char *leaf = strrchr(c->id, '.');
    const char *name = c->info->hostname ? c->info->hostname : leaf ? leaf + 1 : c->id;

    return xstrndup(name, HOST_NAME_LEN);
}

static int begin(struct cni_isolator *i, const struct isolated_container *c,
                 struct launch_plan *plan, struct fl_err *err)
{
    struct cni_entry *e = cni_entry_new(i, c->id);

    e->plan = plan;
    e->hostname = host_name(c);
    e->rootfs = c->rootfs ? xstrdup(c->rootfs) : NULL;
    int r = cni_entry_fill(e, c->info, err);
    if (r == 0 && !i->root_made)
        r = cni_root_make(i->root, err);
    if (r == 0) {
        i->root_made = true;
        r = make_folders(e->folder, err);
    }
    if (r == 0)
        r = cni_netns_make(i->loop, e->ns, namespace_made, e, &e->making, err);
    if (r == 0)
        return ISOLATOR_WAIT;
    /* Nothing has been run for it. */
    for (size_t k = 0; k < e->n; k++) {
        json_decref(e->networks[k].conf);
        e->networks[k].conf = NULL;
    }
    return r;
}

static int cni_prepare(struct isolator *base, const struct isolated_container *c,
                       struct launch_plan *plan, struct fl_err *err)
{
    struct cni_isolator *i = cni_of(base);
    bool inherits = c->debug || !c->info || c->info->n_network_infos == 0;

    if (c->root_id && inherits) {
        const struct cni_entry *e = cni_entry_of(i, c->id);
        return e ? join(e, c, plan, err) : 0;
    }
    if (!names_network(c->info))
        return 0;
    if (c->info->type != V1__CONTAINER_INFO__TYPE__MESOS)
        return fl_err_set(err, FL_INVALID, "Can only prepare CNI networks for a MESOS container");
    return begin(i, c, plan, err);
}

/* ---- the rest of the vtable ---- */

static int cni_isolate(struct isolator *base, const char *id, pid_t pid, struct fl_err *err)
{
    struct cni_entry *e = id_map_get(&cni_of(base)->containers, id);

    if (e)
        e->pid = pid;
    return 0;
}

static int cni_recover(struct isolator *base, const struct isolated_container *c, pid_t pid,
                       struct fl_err *err)
{
    struct cni_entry *e = cni_entry_load(cni_of(base), c->id);

    if (e)
        e->pid = pid;
    return 0;
}

struct finding {
    struct cni_isolator *i;
    void (*found)(void *arg, const char *id);
    void *arg;
};

static void found_folder(void *arg, const char *id)
{
    const struct finding *f = arg;

    cni_entry_load(f->i, id);
    f->found(f->arg, id);
}

static void cni_orphans(struct isolator *base, void (*found)(void *arg, const char *id), void *arg)
{
    struct finding f = {cni_of(base), found, arg};

    cni_folder_each(f.i->root, found_folder, &f);
}

static int cni_cleanup(struct isolator *base, const char *id)
{
    struct cni_isolator *i = cni_of(base);
    struct cni_entry *e = i->containers.head ? id_map_get(&i->containers, id) : NULL;

    if (!e)
        return 0;
    e->pid = 0;
    cni_detach(e);
    return id_map_get(&i->containers, id) ? -EAGAIN : 0;
}

static int cni_usage(struct isolator *base, const char *id, struct container_usage *out)
{
    struct cni_isolator *i = cni_of(base);
    const struct cni_entry *e =
        i->config->network_cni_metrics ? id_map_get(&i->containers, id) : NULL;

    if (e)
        cni_entry_usage(e, out);
    return 0;
}

static void cni_status(struct isolator *base, const char *id, struct fl_arena *arena,
                       V1__ContainerStatus *status)
{
    const struct cni_entry *e = cni_entry_of(cni_of(base), id);

    if (e)
        cni_entry_status(e, arena, status);
}

const struct isolator_ops isolator_network_cni = {
    .name = "network/cni",
    .create = cni_create,
    .free = cni_free,
    .prepare = cni_prepare,
    .isolate = cni_isolate,
    .recover = cni_recover,
    .cleanup = cni_cleanup,
    .orphans = cni_orphans,
    .usage = cni_usage,
    .status = cni_status,
};
