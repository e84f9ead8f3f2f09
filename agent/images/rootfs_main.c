/* fairlead-rootfs: lays out and removes the root file systems of containers; see helper.h. */
#include "agent/images/helper.h"
#include "agent/images/rootfs.h"

static int do_root(const json_t *rq, json_t **ret, struct fl_err *err)
{
    const struct rootfs_request r = {.store = helper_text(rq, "store"),
                                     .folder = helper_text(rq, "folder"),
                                     .backend = helper_text(rq, "backend"),
                                     .id = helper_text(rq, "id"),
                                     .layers = json_object_get(rq, "layers")};

    return rootfs_make(&r, err);
}

static int do_destroy(const json_t *rq, json_t **ret, struct fl_err *err)
{
    return rootfs_destroy(helper_text(rq, "folder"), err);
}

int main(int argc, char **argv)
{
    static const struct helper_request requests[] = {
        {"root", do_root, {"store", "folder", "backend", "id"}},
        {"destroy", do_destroy, {"folder"}},
    };

    return helper_main(
        requests, ARRAY_SIZE(requests), argc,
        "usage: fairlead-rootfs\n\nLays out images for an agent, which starts it.\n");
}
