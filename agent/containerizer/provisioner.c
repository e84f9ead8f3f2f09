/* See provisioner.h and provisioner_priv.h. */
#include "agent/containerizer/provisioner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <strings.h>
#include <utlist.h>

#include "agent/containerizer/provisioner_priv.h"
#include "agent/containerizer/runtime_dir.h"
#include "agent/images/rootfs.h"
#include "agent/images/tree.h"
#include "common/base/env.h"
#include "common/base/log.h"

#define MAKE_TIMEOUT_US   (600 * 1000000ull)
#define REMOVE_TIMEOUT_US (600 * 1000000ull)

/* ---- the helper ---- */

int helper_run(struct provisioner *p, const char *helper, json_t *request, uint64_t timeout_us,
               child_done_f *done, void *arg, struct child **ret, struct fl_err *err)
{
    const char *const argv[] = {helper, NULL};
    char *text = json_dumps(request, JSON_COMPACT);
    _cleanup_free_ char *line = xasprintf("%s\n", text);
    const struct child_spec spec = {.argv = argv,
                                    .input = line,
                                    .input_len = strlen(line),
                                    .hold_input = true,
                                    .timeout_us = timeout_us,
                                    .max_output = 8 << 20};

    int r = child_run(p->loop, &spec, done, arg, ret, err);
    explicit_bzero(line, strlen(line)); /* it may hold credentials */
    explicit_bzero(text, strlen(text));
    free(text);
    json_decref(request);
    return r;
}

int helper_check(const struct child_result *r, struct fl_err *err)
{
    int n = (int)strcspn(r->err, "\n");

    if (r->status != 0 && WIFEXITED(r->status) && n > 0)
        return fl_err_set(err, FL_UNAVAILABLE, "%.*s", n, r->err);
    return child_check(r, "the helper for images", err);
}

char *container_folder(const struct provisioner *p, const char *id)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    fl_buf_adds(&b, p->root);
    fl_buf_addc(&b, '/');
    for (const char *c = id; *c; c++) {
        if (*c == '.')
            fl_buf_adds(&b, "/containers/");
        else
            fl_buf_addc(&b, *c);
    }
    return fl_buf_take(&b);
}

/* ---- one root file system ---- */

static void provision_free(struct provision *v)
{
    pull_leave(v);
    child_free(v->child);
    fl_loop_forget(v->p->loop, v);
    image_record_free(v->record);
    fl_pb_free(v->image);
    free(v->container_id);
    free(v->name);
    free(v->rootfs);
    v->magic = 0;
    free(v);
}

/* With rootfs and config, or with *err. */
static void provision_end(struct provision *v, const struct fl_err *err)
{
    struct provisioner *p = v->p;

    DL_DELETE(p->provisions, v);
    if (err)
        v->done(v->arg, NULL, NULL, err);
    else
        v->done(v->arg, TAKE_PTR(v->rootfs), TAKE_PTR(v->record->config), NULL);
    provision_free(v);
    prune_when_idle(p);
}

static void give_up_now(void *arg)
{
    struct provision *v = FL_CAST(provision, PROVISION_MAGIC, arg);

    provision_end(v, &v->why);
}

static void root_made(void *arg, const struct child_result *r)
{
    struct provision *v = FL_CAST(provision, PROVISION_MAGIC, arg);
    struct fl_err err;

    v->child = NULL;
    if (helper_check(r, &err) < 0) {
        fl_err_wrap(&err, "lay out image '%s'", v->name);
        provision_end(v, &err);
    } else {
        provision_end(v, NULL);
    }
}

static void new_id(char id[FL_UUID_STR])
{
    uint8_t uuid[FL_UUID_LEN];
    struct env e = env_from_loop(NULL);

    fl_uuid_make(&e, uuid);
    fl_uuid_format(uuid, id);
}

static void make_root(struct provision *v)
{
    struct provisioner *p = v->p;
    _cleanup_free_ char *folder = container_folder(p, v->container_id);
    json_t *rq = json_object(), *layers = json_array();
    char id[FL_UUID_STR];
    struct fl_err err;

    new_id(id);
    for (size_t i = 0; i < v->record->n_layers; i++)
        json_array_append_new(layers, json_string(v->record->layers[i]));
    json_object_set_new(rq, "do", json_string("root"));
    json_object_set_new(rq, "store", json_string(p->store));
    json_object_set_new(rq, "folder", json_string(folder));
    json_object_set_new(rq, "backend", json_string(p->backend));
    json_object_set_new(rq, "id", json_string(id));
    json_object_set_new(rq, "layers", layers);
    v->rootfs = rootfs_path(folder, p->backend, id);
    if (helper_run(p, p->rootfs_helper, rq, MAKE_TIMEOUT_US, root_made, v, &v->child, &err) < 0)
        provision_end(v, &err);
}

void provision_pulled(struct provision *v, struct image_record *record, const struct fl_err *err)
{
    struct fl_err why;

    v->pull = NULL;
    if (err) {
        provision_end(v, err);
        return;
    }
    /* Each has its own: the config goes to the container. */
    if (store_find(v->p->store, record->name, &v->record, &why) < 0)
        provision_end(v, &why);
    else
        make_root(v);
}

static bool may_be_cached(const V1__Image *image)
{
    return !image->has_cached || image->cached;
}

void provision_begin(void *arg)
{
    struct provision *v = FL_CAST(provision, PROVISION_MAGIC, arg);
    struct fl_err err;

    v->queued = v->p->prune.wanted;
    if (v->given_up || v->queued)
        return;
    if (may_be_cached(v->image) && store_find(v->p->store, v->name, &v->record, &err) == 0)
        make_root(v);
    else
        pull_join(v);
}

static int image_name(const V1__Image *image, char **ret, struct fl_err *err)
{
    _cleanup_image_ref_ struct image_ref ref = {0};

    if (image->type != V1__IMAGE__TYPE__DOCKER || !image->docker)
        return fl_err_set(
            err, FL_UNSUPPORTED,
            "this agent provides images of type DOCKER, not appc; see docs/images.md");
    int r = image_ref_parse(image->docker->name, &ref, err);
    if (r == 0)
        *ret = image_ref_text(&ref);
    return r;
}

static void give_up(struct provision *v, const struct fl_err *why)
{
    if (v->given_up)
        return;
    v->given_up = true;
    v->why = *why;
    pull_leave(v);
    child_free(TAKE_PTR(v->child));
    fl_loop_forget(v->p->loop, v);
    fl_loop_defer(v->p->loop, give_up_now, v);
}

void provisioner_provision(struct provisioner *p, const char *container_id, const V1__Image *image,
                           provisioner_done_f *done, void *arg)
{
    struct provision *v = xnew0(struct provision);
    struct fl_err err;

    *v = (struct provision){.magic = PROVISION_MAGIC,
                            .p = p,
                            .container_id = xstrdup(container_id),
                            .image = FL_PB_DUP(image),
                            .done = done,
                            .arg = arg};
    DL_APPEND(p->provisions, v);
    if (image_name(image, &v->name, &err) < 0)
        give_up(v, &err);
    else
        fl_loop_defer(p->loop, provision_begin, v);
}

/* ---- removal ---- */

static void removed(void *arg, const struct child_result *r)
{
    struct removal *m = FL_CAST(removal, REMOVAL_MAGIC, arg);
    struct fl_err err;

    m->child = NULL;
    if (helper_check(r, &err) < 0)
        log_warning("Cannot remove the root file systems of container '%s', trying again: %s",
                    m->container_id, err.msg);
    DL_DELETE(m->p->removals, m);
    free(m->container_id);
    m->magic = 0;
    free(m);
}

static struct removal *removal_of(struct provisioner *p, const char *id)
{
    struct removal *m;

    DL_FOREACH (p->removals, m) {
        if (streq(m->container_id, id))
            return m;
    }
    return NULL;
}

static void remove_folder(struct provisioner *p, const char *id, const char *folder)
{
    struct removal *m = xnew0(struct removal);
    json_t *rq = json_object();
    struct fl_err err;

    *m = (struct removal){.magic = REMOVAL_MAGIC, .p = p, .container_id = xstrdup(id)};
    json_object_set_new(rq, "do", json_string("destroy"));
    json_object_set_new(rq, "folder", json_string(folder));
    DL_APPEND(p->removals, m);
    if (helper_run(p, p->rootfs_helper, rq, REMOVE_TIMEOUT_US, removed, m, &m->child, &err) < 0) {
        log_warning("Cannot remove the root file systems of container '%s': %s", id, err.msg);
        DL_DELETE(p->removals, m);
        free(m->container_id);
        free(m);
    }
}

int provisioner_destroy(struct provisioner *p, const char *id)
{
    static const struct fl_err why = {
        .reason = FL_CLOSED, .code = -EPIPE, .msg = "the container was destroyed"};
    _cleanup_free_ char *folder = container_folder(p, id);
    bool under_way = removal_of(p, id) != NULL;
    struct provision *v;

    DL_FOREACH (p->provisions, v) {
        if (streq(v->container_id, id)) {
            give_up(v, &why);
            under_way = true;
        }
    }
    if (under_way)
        return -EAGAIN;
    if (access(folder, F_OK) < 0)
        return 0;
    remove_folder(p, id, folder);
    return -EAGAIN;
}

/* ---- after a restart ---- */

static void each_below(const char *folder, const char *above,
                       void (*found)(void *arg, const char *id), void *arg)
{
    DIR *d = opendir(folder);
    const struct dirent *e;

    while (d && (e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        _cleanup_free_ char *id = above ? xasprintf("%s.%s", above, e->d_name) : xstrdup(e->d_name);
        _cleanup_free_ char *below = xasprintf("%s/%s/containers", folder, e->d_name);
        found(arg, id);
        each_below(below, id, found, arg);
    }
    if (d)
        closedir(d);
}

void provisioner_each(struct provisioner *p, void (*found)(void *arg, const char *container_id),
                      void *arg)
{
    each_below(p->root, NULL, found, arg);
}

/* ---- the object ---- */

static int check_providers(const char *list, struct fl_err *err)
{
    for (const char *s = list; *s;) {
        size_t n = strcspn(s, ",");

        if (n == 4 && strncasecmp(s, "appc", n) == 0)
            return fl_err_set(
                err, FL_UNSUPPORTED,
                "--image_providers: appc images are not supported; see docs/images.md");
        if (!(n == 6 && strncasecmp(s, "docker", n) == 0) &&
            !(n == 3 && strncasecmp(s, "oci", n) == 0))
            return fl_err_set(err, FL_INVALID,
                              "--image_providers: '%.*s' is none; there are docker and oci", (int)n,
                              s);
        s += n + (s[n] == ',');
    }
    return 0;
}

static int choose_backend(struct provisioner *p, struct fl_err *err)
{
    static const char *const known[] = {"overlay", "copy", "bind"};
    const char *wanted = p->flags->image_provisioner_backend;
    struct fl_err why;

    for (size_t i = 0; i < ARRAY_SIZE(known) && wanted; i++)
        if (streq(known[i], wanted))
            p->backend = known[i];
    if (wanted && !p->backend)
        return fl_err_set(
            err, FL_INVALID,
            "--image_provisioner_backend: '%s' is none; there are overlay, copy, bind", wanted);
    if (wanted && !streq(wanted, "overlay"))
        return 0;
    int r = rootfs_overlay_works(p->root, &why);
    if (r < 0 && wanted) {
        *err = why;
        return fl_err_wrap(err, "--image_provisioner_backend=overlay");
    }
    p->backend = r < 0 ? "copy" : "overlay";
    if (r < 0)
        log_info("Images are copied for each container: %s", why.msg);
    return 0;
}

/* Mounts are found by their paths, so no link may be in them. */
static int real_folder(const char *path, char **ret, struct fl_err *err)
{
    int r = tree_make(path, err);

    if (r == 0 && !(*ret = realpath(path, NULL)))
        r = fl_err_errno(err, errno, "find the folder '%s'", path);
    return r;
}

static int find_helper(struct provisioner *p, const char *name, char **ret, struct fl_err *err)
{
    *ret = helper_path(p->flags, name);
    if (*ret)
        return 0;
    return fl_err_set(err, FL_NOT_FOUND,
                      "no program '%s' in --launcher_dir or beside the agent, which "
                      "--image_providers needs",
                      name);
}

static int set_up(struct provisioner *p, struct fl_err *err)
{
    _cleanup_free_ char *root = xasprintf("%s/provisioner/containers", p->flags->work_dir);
    int r = check_providers(p->flags->image_providers, err);

    if (r == 0 && geteuid() != 0)
        r = fl_err_set(err, FL_UNSUPPORTED,
                       "--image_providers needs root: layers have owners, and are mounted; run the "
                       "agent as root or leave it out");
    if (r == 0)
        r = find_helper(p, "fairlead-image", &p->image_helper, err);
    if (r == 0)
        r = find_helper(p, "fairlead-rootfs", &p->rootfs_helper, err);
    if (r == 0)
        r = real_folder(root, &p->root, err);
    if (r == 0)
        r = real_folder(p->flags->docker_store_dir, &p->store, err);
    if (r == 0)
        r = store_open(p->store, &p->lock, err);
    if (r == 0)
        r = choose_backend(p, err);
    return r < 0 ? r : gc_configure(p, err);
}

int provisioner_new(struct fl_loop *loop, const struct agent_flags *flags, struct provisioner **ret,
                    struct fl_err *err)
{
    if (!flags->image_providers || !*flags->image_providers) {
        *ret = NULL;
        return 0;
    }
    struct provisioner *p = xnew0(struct provisioner);
    p->loop = loop;
    p->flags = flags;
    p->lock = -EBADF;
    int r = set_up(p, err);
    if (r < 0) {
        provisioner_free(p);
        return r;
    }
    store_clean_later(p);
    *ret = p;
    return 0;
}

void provisioner_free(struct provisioner *p)
{
    struct provision *v, *vt;
    struct removal *m, *mt;

    if (!p)
        return;
    DL_FOREACH_SAFE (p->provisions, v, vt) {
        DL_DELETE(p->provisions, v);
        provision_free(v);
    }
    DL_FOREACH_SAFE (p->removals, m, mt) {
        DL_DELETE(p->removals, m);
        child_free(m->child);
        free(m->container_id);
        free(m);
    }
    pull_free_all(p);
    gc_free(p);
    child_free(p->clean);
    if (p->lock >= 0)
        close(p->lock);
    free(p->image_helper);
    free(p->rootfs_helper);
    free(p->store);
    free(p->root);
    free(p);
}
