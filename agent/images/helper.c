#include "agent/images/helper.h"

#include <errno.h>
#include <sys/statvfs.h>

#include "agent/images/pull.h"
#include "agent/images/rootfs.h"
#include "agent/images/store.h"

#define MAX_SPARE ((uint64_t)1 << 30)

static const char *text_of(const json_t *rq, const char *key)
{
    return json_string_value(json_object_get(rq, key));
}

/* Images never fill the disk: a twentieth of it stays free, at most MAX_SPARE. */
static uint64_t spare_bytes(const char *store)
{
    struct statvfs fs;

    if (statvfs(store, &fs) < 0)
        return MAX_SPARE;
    return FL_MIN(MAX_SPARE, (uint64_t)fs.f_blocks * fs.f_frsize / 20);
}

static int do_pull(const json_t *rq, json_t **ret, struct fl_err *err)
{
    const struct pull_request p = {
        .store = text_of(rq, "store"),
        .name = text_of(rq, "name"),
        .source = {.registry = text_of(rq, "registry"),
                   .config = text_of(rq, "config"),
                   .default_config = text_of(rq, "default_config"),
                   .user = text_of(rq, "user"),
                   .password = text_of(rq, "password"),
                   .stall_us = (uint64_t)json_integer_value(json_object_get(rq, "stall_us")),
                   .spare_bytes = spare_bytes(text_of(rq, "store"))}};

    return image_pull(&p, ret, err);
}

static int do_root(const json_t *rq, json_t **ret, struct fl_err *err)
{
    const struct rootfs_request r = {.store = text_of(rq, "store"),
                                     .folder = text_of(rq, "folder"),
                                     .backend = text_of(rq, "backend"),
                                     .id = text_of(rq, "id"),
                                     .layers = json_object_get(rq, "layers")};

    return rootfs_make(&r, err);
}

static int do_destroy(const json_t *rq, json_t **ret, struct fl_err *err)
{
    return rootfs_destroy(text_of(rq, "folder"), err);
}

static int do_clean(const json_t *rq, json_t **ret, struct fl_err *err)
{
    return store_clean(text_of(rq, "store"), err);
}

static int do_prune(const json_t *rq, json_t **ret, struct fl_err *err)
{
    json_t *used = json_array();

    rootfs_layers_in_use(text_of(rq, "containers"), used);
    int r = store_prune(text_of(rq, "store"), json_object_get(rq, "keep"), used, err);
    json_decref(used);
    return r;
}

static const struct {
    const char *name;
    int (*fn)(const json_t *rq, json_t **ret, struct fl_err *err);
    const char *needs[6];
} requests[] = {
    {"pull", do_pull, {"store", "name", "registry"}},
    {"root", do_root, {"store", "folder", "backend", "id"}},
    {"destroy", do_destroy, {"folder"}},
    {"clean", do_clean, {"store"}},
    {"prune", do_prune, {"store", "containers"}},
};

int image_helper_do(const json_t *rq, json_t **ret, struct fl_err *err)
{
    const char *what = text_of(rq, "do");

    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        if (!streq(what, requests[i].name))
            continue;
        for (size_t k = 0; requests[i].needs[k]; k++)
            if (!text_of(rq, requests[i].needs[k]))
                return fl_err_set(err, FL_INVALID, "the request '%s' lacks '%s'", what,
                                  requests[i].needs[k]);
        return requests[i].fn(rq, ret, err);
    }
    return fl_err_set(err, FL_INVALID, "'%s' is no request", what ? what : "");
}
