#include "agent/images/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "agent/images/manifest.h"
#include "agent/images/tree.h"
#include "common/base/buf.h"
#include "common/base/sha256.h"

#define MAX_RECORD ((size_t)8 << 20)

void image_record_free(struct image_record *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_layers; i++)
        free(r->layers[i]);
    free(r->layers);
    image_config_free(r->config);
    free(r->name);
    free(r->manifest);
    free(r);
}

/* ---- paths ---- */

char *store_record_path(const char *store, const char *name)
{
    char hex[FL_SHA256_HEX];

    fl_sha256_of(name, strlen(name), hex);
    return xasprintf("%s/images/%s.json", store, hex);
}

bool store_has_layer(const char *store, const char *hex)
{
    _cleanup_free_ char *path = store_layer_path(store, hex);

    return access(path, F_OK) == 0;
}

/* ---- records ---- */

static int damaged(struct fl_err *err, const char *why)
{
    return fl_err_set(err, FL_INVALID, "the record of an image is damaged: %s", why);
}

int image_record_parse(const char *text, size_t n, struct image_record **ret, struct fl_err *err)
{
    _cleanup_(image_record_freep) struct image_record *r = xnew0(struct image_record);
    json_error_t je;
    json_t *j = json_loadb(text, n, 0, &je), *layer;
    const json_t *layers = json_object_get(j, "layers");
    const char *why = NULL, *name = json_string_value(json_object_get(j, "name"));
    const char *manifest = json_string_value(json_object_get(j, "manifest"));
    size_t i;

    if (!j || !name || !manifest || json_array_size(layers) == 0)
        why = j ? "it lacks a name, a manifest or layers" : je.text;
    r->layers = xcalloc(json_array_size(layers) + 1, sizeof(*r->layers));
    json_array_foreach(layers, i, layer)
    {
        const char *hex = json_string_value(layer);

        if (!hex || strlen(hex) != 64 || strspn(hex, "0123456789abcdef") != 64)
            why = "a layer has no digest";
        r->layers[r->n_layers++] = xstrdup(hex ? hex : "");
    }
    r->name = xstrdup(name ? name : "");
    r->manifest = xstrdup(manifest ? manifest : "");
    r->config = image_config_from_json(json_object_get(j, "config"));
    int k = why ? damaged(err, why) : 0;
    json_decref(j);
    if (k == 0)
        *ret = TAKE_PTR(r);
    return k;
}

static int read_small(const char *path, struct fl_buf *b, struct fl_err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return fl_err_errno(err, errno, "read '%s'", path);
    do {
        n = read(fd, fl_buf_reserve(b, 65536), 65536);
        if (n > 0)
            b->len += (size_t)n;
    } while ((n > 0 && b->len <= MAX_RECORD) || (n < 0 && errno == EINTR));
    return n < 0 ? fl_err_errno(err, errno, "read '%s'", path) : 0;
}

int store_find(const char *store, const char *name, struct image_record **ret, struct fl_err *err)
{
    _cleanup_free_ char *path = store_record_path(store, name);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_(image_record_freep) struct image_record *r = NULL;
    int k = read_small(path, &b, err);

    if (k == 0)
        k = image_record_parse(b.data ? b.data : "", b.len, &r, err);
    if (k < 0)
        return k;
    if (!streq(r->name, name))
        return damaged(err, "it is another image's");
    for (size_t i = 0; i < r->n_layers; i++)
        if (!store_has_layer(store, r->layers[i]))
            return fl_err_set(err, FL_NOT_FOUND, "a layer of image '%s' is missing", name);
    *ret = TAKE_PTR(r);
    return 0;
}

static int write_durably(const char *path, const char *text, struct fl_err *err)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t n = strlen(text);

    if (fd < 0 || write(fd, text, n) != (ssize_t)n || fsync(fd) < 0)
        return fl_err_errno(err, errno, "write '%s'", path);
    return 0;
}

static void sync_folder(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0)
        fsync(fd);
}

int store_put_record(const char *store, const char *staging, const char *name, const json_t *record,
                     struct fl_err *err)
{
    _cleanup_free_ char *path = store_record_path(store, name);
    _cleanup_free_ char *temporary = xasprintf("%s/record", staging);
    _cleanup_free_ char *folder = xasprintf("%s/images", store);
    _cleanup_free_ char *text = json_dumps(record, JSON_COMPACT);
    int r = write_durably(temporary, text, err);

    if (r < 0)
        return r;
    if (rename(temporary, path) < 0)
        return fl_err_errno(err, errno, "keep the record of image '%s'", name);
    sync_folder(folder);
    return 0;
}

/* ---- layers and staging ---- */

int store_take_layer(const char *store, const char *staged, const char *hex, struct fl_err *err)
{
    _cleanup_free_ char *path = store_layer_path(store, hex);
    struct stat st;

    if (rename(staged, path) == 0)
        return 0;
    if (stat(path, &st) == 0)
        return 0; /* another pull brought it; ours goes with the staging folder */
    return fl_err_errno(err, errno, "keep the layer '%s'", hex);
}

/* Whoever owns a folder above the store could put another in its place; by default it lies below /tmp. */
static int check_owners(const char *store, struct fl_err *err)
{
    _cleanup_free_ char *path = xstrdup(store);
    struct stat st;

    for (;;) {
        if (stat(path, &st) < 0)
            return fl_err_errno(err, errno, "look at '%s'", path);
        if (st.st_uid != 0 && st.st_uid != geteuid())
            return fl_err_set(err, FL_FORBIDDEN,
                              "the store of images '%s' would lie in a folder of user %u, '%s'; "
                              "choose another --docker_store_dir",
                              store, (unsigned)st.st_uid, path);
        char *slash = strrchr(path, '/');
        if (!slash || slash == path)
            return 0;
        *slash = '\0';
    }
}

int store_open(const char *store, int *ret_lock, struct fl_err *err)
{
    static const char *const folders[] = {"layers", "images", "staging", "gc"};
    _cleanup_free_ char *path = xasprintf("%s/lock", store);

    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        _cleanup_free_ char *folder = xasprintf("%s/%s", store, folders[i]);
        int r = tree_make(folder, err);
        if (r < 0)
            return r;
    }
    int k = check_owners(store, err);
    if (k < 0)
        return k;
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || chmod(store, 0700) < 0)
        return fl_err_errno(err, errno, "open '%s'", path);
    if (flock(fd, LOCK_SH | LOCK_NB) < 0)
        return fl_err_errno(err, errno, "share the store of images '%s' while it is pruned", store);
    *ret_lock = TAKE_FD(fd);
    return 0;
}

static bool is_same(int fd, const char *path)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

int store_stage(const char *store, char **ret_path, int *ret_fd, struct fl_err *err)
{
    for (int i = 0; i < 10; i++) {
        _cleanup_free_ char *path = xasprintf("%s/staging/XXXXXX", store);

        if (!mkdtemp(path))
            return fl_err_errno(err, errno, "make a folder in '%s/staging'", store);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        /* A cleaner may have been quicker than our lock. */
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || !is_same(fd, path))
            continue;
        *ret_path = TAKE_PTR(path);
        *ret_fd = TAKE_FD(fd);
        return 0;
    }
    return fl_err_set(err, FL_UNAVAILABLE, "cannot hold a folder in '%s/staging'", store);
}
