/* fairlead-image: pulls images and looks after the store; see helper.h. */
#include <errno.h>
#include <sys/statvfs.h>

#include "agent/images/helper.h"
#include "agent/images/pull.h"
#include "agent/images/rootfs.h"
#include "agent/images/store.h"

#define MAX_SPARE ((uint64_t)1 << 30)

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
    const char *store = helper_text(rq, "store");
    const struct source_options source = {
        .registry = helper_text(rq, "registry"),
        .config = helper_text(rq, "config"),
        .default_config = helper_text(rq, "default_config"),
        .user = helper_text(rq, "user"),
        .password = helper_text(rq, "password"),
        .stall_us = (uint64_t)json_integer_value(json_object_get(rq, "stall_us")),
        .spare_bytes = spare_bytes(store),
    };
    const struct pull_request p = {
        .store = store, .name = helper_text(rq, "name"), .source = source};

    return image_pull(&p, ret, err);
}

static int do_clean(const json_t *rq, json_t **ret, struct fl_err *err)
{
    return store_clean(helper_text(rq, "store"), err);
}

static int do_prune(const json_t *rq, json_t **ret, struct fl_err *err)
{
    json_t *used = json_array();

    rootfs_layers_in_use(helper_text(rq, "containers"), used);
    int r = store_prune(helper_text(rq, "store"), json_object_get(rq, "keep"), used, err);
    json_decref(used);
    return r;
}

int main(int argc, char **argv)
{
    static const struct helper_request requests[] = {
        {"pull", do_pull, {"store", "name", "registry"}},
        {"clean", do_clean, {"store"}},
        {"prune", do_prune, {"store", "containers"}},
    };

    return helper_main(requests, ARRAY_SIZE(requests), argc,
                       "usage: fairlead-image\n\nPulls images for an agent, which starts it.\n");
}
