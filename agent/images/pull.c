#include "agent/images/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "agent/images/layer.h"
#include "agent/images/store.h"
#include "agent/images/tree.h"

#define THREADS 3

struct pull {
    const struct pull_request *rq;
    struct image_source *source;
    char *staging; /* owned */
    int staging_fd;
    struct image_manifest manifest;
    char *id;        /* of the manifest; owned */
    json_t *config;  /* owned */
    char **diff_ids; /* owned, one a layer */
    /* Shared by the threads. */
    atomic_size_t next;
    pthread_mutex_t mutex;
    int failed; /* the first failure, and */
    struct fl_err why;
};

/* ---- one layer ---- */

static int unpack_layer(struct pull *p, int archive, const char *folder, const char *hex,
                        struct fl_err *err)
{
    const struct layer_limits limits = {.spare_bytes = p->rq->source.spare_bytes};
    char digest[FL_SHA256_HEX];

    if (mkdir(folder, 0755) < 0)
        return fl_err_errno(err, errno, "make '%s'", folder);
    _cleanup_close_ int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return fl_err_errno(err, errno, "open '%s'", folder);
    int r = layer_unpack(archive, root, LAYER_OF_IMAGE, &limits, digest, err);
    if (r == 0 && !streq(digest, hex))
        r = fl_err_set(err, FL_INVALID,
                       "a layer unpacks to something of digest 'sha256:%s'; its image says "
                       "'sha256:%s'",
                       digest, hex);
    return r;
}

/* The same layer may be in an image more than once. */
static bool is_later_too(const struct pull *p, size_t i)
{
    for (size_t k = i + 1; k < p->manifest.n_layers; k++)
        if (streq(p->diff_ids[k], p->diff_ids[i]))
            return true;
    return false;
}

static int get_layer(struct pull *p, size_t i, struct fl_err *err)
{
    const char *hex = p->diff_ids[i] + strlen("sha256:");
    _cleanup_free_ char *folder = xasprintf("%s/%s", p->staging, hex);
    _cleanup_free_ char *scratch = xasprintf("%s/%s.blob", p->staging, hex);
    _cleanup_close_ int fd = -EBADF;

    if (is_later_too(p, i) || store_has_layer(p->rq->store, hex))
        return 0;
    int r = p->source->ops->blob(p->source, &p->manifest.layers[i], scratch, &fd, err);
    if (r == 0)
        r = unpack_layer(p, fd, folder, hex, err);
    unlink(scratch);
    return r < 0 ? fl_err_wrap(err, "layer %zu of %zu", i + 1, p->manifest.n_layers) : 0;
}

static void *work(void *arg)
{
    struct pull *p = arg;
    struct fl_err err;
    size_t i;

    while ((i = atomic_fetch_add(&p->next, 1)) < p->manifest.n_layers) {
        int r = get_layer(p, i, &err);

        if (r == 0)
            continue;
        pthread_mutex_lock(&p->mutex);
        if (p->failed == 0) {
            p->failed = r;
            p->why = err;
        }
        atomic_store(&p->next, p->manifest.n_layers);
        pthread_mutex_unlock(&p->mutex);
    }
    return NULL;
}

static int get_layers(struct pull *p, struct fl_err *err)
{
    pthread_t threads[THREADS];
    size_t n = 0;

    while (n + 1 < FL_MIN((size_t)THREADS, p->manifest.n_layers) &&
           pthread_create(&threads[n], NULL, work, p) == 0)
        n++;
    work(p);
    while (n > 0)
        pthread_join(threads[--n], NULL);
    if (p->failed < 0)
        *err = p->why;
    return p->failed;
}

/* ---- the image ---- */

static int get_config(struct pull *p, struct fl_err *err)
{
    _cleanup_free_ char *scratch = xasprintf("%s/config", p->staging);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_close_ int fd = -EBADF;
    size_t n = 0;

    if (p->manifest.config.size > IMAGE_MAX_MANIFEST)
        return fl_err_set(err, FL_TOO_LARGE, "the image's configuration is too large");
    int r = p->source->ops->blob(p->source, &p->manifest.config, scratch, &fd, err);
    if (r == 0)
        r = source_read_all(fd, &b, err);
    if (r == 0)
        r = image_config_parse(b.data ? b.data : "", b.len, &p->config, &p->diff_ids, err);
    unlink(scratch);
    if (r < 0)
        return r;
    while (p->diff_ids[n])
        n++;
    if (n != p->manifest.n_layers)
        return fl_err_set(err, FL_INVALID, "the image has %zu layers, its configuration %zu",
                          p->manifest.n_layers, n);
    return 0;
}

static json_t *record_of(const struct pull *p)
{
    json_t *layers = json_array(), *r = json_object();

    /* The uppermost place of a layer that is there twice decides what is seen. */
    for (size_t i = 0; i < p->manifest.n_layers; i++)
        if (!is_later_too(p, i))
            json_array_append_new(layers, json_string(p->diff_ids[i] + strlen("sha256:")));
    json_object_set_new(r, "name", json_string(p->rq->name));
    json_object_set_new(r, "manifest", json_string(p->id));
    json_object_set_new(r, "layers", layers);
    json_object_set(r, "config", p->config);
    return r;
}

/* One wait for the disk for all layers, before any has its name. */
static int keep_layers(struct pull *p, struct fl_err *err)
{
    _cleanup_free_ char *layers = xasprintf("%s/layers", p->rq->store);

    if (syncfs(p->staging_fd) < 0)
        return fl_err_errno(err, errno, "write the layers to the disk");
    for (size_t i = 0; i < p->manifest.n_layers; i++) {
        const char *hex = p->diff_ids[i] + strlen("sha256:");
        _cleanup_free_ char *folder = xasprintf("%s/%s", p->staging, hex);
        int r = access(folder, F_OK) == 0 ? store_take_layer(p->rq->store, folder, hex, err) : 0;
        if (r < 0)
            return r;
    }
    _cleanup_close_ int fd = open(layers, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return fl_err_errno(err, errno, "write '%s' to the disk", layers);
    return 0;
}

static int open_source(struct pull *p, struct fl_err *err)
{
    struct source_options o = p->rq->source;
    _cleanup_image_ref_ struct image_ref ref = {0};
    _cleanup_free_ char *base = NULL;

    o.staging = p->staging;
    int r = image_ref_parse(p->rq->name, &ref, err);
    if (r < 0)
        return r;
    if (*o.registry == '/' || str_starts(o.registry, "file://"))
        return source_folder_new(&o, &ref, &p->source, err);
    r = image_ref_resolve(&ref, o.registry, &base, err);
    return r < 0 ? r : source_registry_new(&o, &ref, base, &p->source, err);
}

static void pull_done(struct pull *p)
{
    if (p->source)
        p->source->ops->free(p->source);
    image_manifest_done(&p->manifest);
    json_decref(p->config);
    for (char **s = p->diff_ids; s && *s; s++)
        free(*s);
    free(p->diff_ids);
    free(p->id);
    free(p->staging);
    if (p->staging_fd >= 0)
        close(p->staging_fd);
    pthread_mutex_destroy(&p->mutex);
}

static void drop_staging(struct pull *p)
{
    _cleanup_free_ char *path = xasprintf("%s/staging", p->rq->store);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0)
        tree_remove(fd, strrchr(p->staging, '/') + 1, NULL);
}

int image_pull(const struct pull_request *rq, json_t **ret, struct fl_err *err)
{
    struct pull p = {.rq = rq, .staging_fd = -EBADF};
    int r = store_stage(rq->store, &p.staging, &p.staging_fd, err);

    if (r < 0)
        return r;
    pthread_mutex_init(&p.mutex, NULL);
    r = open_source(&p, err);
    if (r == 0)
        r = p.source->ops->describe(p.source, &p.manifest, &p.id, err);
    if (r == 0)
        r = get_config(&p, err);
    if (r == 0)
        r = get_layers(&p, err);
    if (r == 0)
        r = keep_layers(&p, err);
    json_t *record = r == 0 ? record_of(&p) : NULL;
    if (r == 0)
        r = store_put_record(rq->store, p.staging, rq->name, record, err);
    drop_staging(&p);
    pull_done(&p);
    if (r == 0)
        *ret = record;
    else
        json_decref(record);
    return r;
}
