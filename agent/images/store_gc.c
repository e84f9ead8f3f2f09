/* What is taken out of the store: rests of what was ended, and what nobody needs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#include "agent/images/store.h"
#include "agent/images/tree.h"

/* Calls `fn` for each entry of <store>/<folder>; the first error is kept, the rest is done all the same. */
struct sweep {
    const char *store;
    int dir; /* the folder */
    int (*fn)(struct sweep *s, const char *name, struct fl_err *err);
    json_t *used, *kept; /* hex digits of layers -> true: by containers; by images that stay */
    const json_t *keep_names;
    int gc;
};

static int sweep_folder(struct sweep *s, const char *folder, struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", s->store, folder);
    DIR *d = opendir(path);
    const struct dirent *e;
    int r = 0;

    if (!d)
        return fl_err_errno(err, errno, "list '%s'", path);
    s->dir = dirfd(d);
    while ((e = readdir(d))) {
        struct fl_err one;
        int k = streq(e->d_name, ".") || streq(e->d_name, "..") ? 0 : s->fn(s, e->d_name, &one);

        if (k < 0 && r == 0) {
            r = k;
            *err = one;
        }
    }
    closedir(d);
    return r;
}

/* ---- rests ---- */

static int drop_stale(struct sweep *s, const char *name, struct fl_err *err)
{
    _cleanup_close_ int fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
        return 0; /* somebody is at it */
    return tree_remove(s->dir, name, err);
}

static int drop_damaged(struct sweep *s, const char *name, struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/images/%s", s->store, name);
    _cleanup_(image_record_freep) struct image_record *r = NULL;
    json_error_t je;
    json_t *j = json_load_file(path, 0, &je);
    const char *image = json_string_value(json_object_get(j, "name"));
    int k = image ? store_find(s->store, image, &r, err) : -EINVAL;

    json_decref(j);
    if (k < 0 && unlinkat(s->dir, name, 0) < 0 && errno != ENOENT)
        return fl_err_errno(err, errno, "remove the damaged record '%s'", name);
    return 0;
}

int store_clean(const char *store, struct fl_err *err)
{
    struct sweep s = {.store = store, .fn = drop_stale};
    int r = sweep_folder(&s, "staging", err);

    if (r == 0)
        r = sweep_folder(&s, "gc", err);
    s.fn = drop_damaged;
    if (r == 0)
        r = sweep_folder(&s, "images", err);
    return r;
}

/* ---- what nobody needs ---- */

static bool is_named(const json_t *names, const char *name)
{
    const json_t *n;
    size_t i;

    json_array_foreach(names, i, n)
    {
        if (streq(json_string_value(n), name))
            return true;
    }
    return false;
}

/* Its container runs: the next one of it needs no pull. */
static bool is_in_use(const struct sweep *s, const json_t *layers)
{
    const json_t *l;
    size_t i;

    json_array_foreach(layers, i, l)
    {
        if (!json_is_string(l) || !json_object_get(s->used, json_string_value(l)))
            return false;
    }
    return true;
}

static int sort_record(struct sweep *s, const char *name, struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/images/%s", s->store, name);
    json_error_t je;
    json_t *j = json_load_file(path, 0, &je), *l;
    const char *image = json_string_value(json_object_get(j, "name"));
    size_t i;
    int r = 0;

    const json_t *layers = json_object_get(j, "layers");
    if (image && (is_named(s->keep_names, image) || is_in_use(s, layers))) {
        json_array_foreach(layers, i, l)
        {
            if (json_is_string(l))
                json_object_set_new(s->kept, json_string_value(l), json_true());
        }
    } else if (unlinkat(s->dir, name, 0) < 0 && errno != ENOENT) {
        r = fl_err_errno(err, errno, "remove the record '%s'", name);
    }
    json_decref(j);
    return r;
}

/* Away first, by one rename: half of a layer is never seen. */
static int drop_unused(struct sweep *s, const char *name, struct fl_err *err)
{
    if (json_object_get(s->kept, name) || json_object_get(s->used, name))
        return 0;
    if (renameat(s->dir, name, s->gc, name) < 0 && errno != ENOENT)
        return fl_err_errno(err, errno, "move the layer '%s' away", name);
    return tree_remove(s->gc, name, err);
}

static int prune(struct sweep *s, const json_t *used, struct fl_err *err)
{
    const json_t *hex;
    size_t i;

    json_array_foreach(used, i, hex)
    {
        if (json_is_string(hex))
            json_object_set_new(s->used, json_string_value(hex), json_true());
    }
    s->fn = sort_record;
    int r = sweep_folder(s, "images", err);
    s->fn = drop_unused;
    return r < 0 ? r : sweep_folder(s, "layers", err);
}

int store_prune(const char *store, const json_t *keep, const json_t *used, struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/gc", store);
    _cleanup_close_ int gc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct sweep s = {.store = store, .keep_names = keep, .gc = gc};

    if (gc < 0)
        return fl_err_errno(err, errno, "open '%s'", path);
    s.used = json_object();
    s.kept = json_object();
    int r = prune(&s, used, err);
    json_decref(s.used);
    json_decref(s.kept);
    return r;
}
