/* The programs that do what is slow, or reads strangers' bytes, in a process of its own. One request, a line of JSON on standard input, which
 * its sender holds open: when it closes, the sender is gone and so are we. The answer is a line of JSON on standard output and status 0, or
 * the reason on standard error and status 1. What is asked stands in "do":
 *
 *   fairlead-image   pull     store, name, registry, config, default_config, user, password, stall_us -> the image record
 *                    clean    store
 *                    prune    store, keep (names of images), containers (folder)
 *   fairlead-rootfs  root     store, folder, backend, id, layers
 *                    destroy  folder
 *
 * They are two because the libraries of the first take ten times as long to load as the second takes to do its work, once a container.
 */
#ifndef AGENT_IMAGES_HELPER_H
#define AGENT_IMAGES_HELPER_H

#include <jansson.h>

#include "common/base/err.h"

struct helper_request {
    const char *name;
    int (*fn)(const json_t *request, json_t **ret_answer,
              struct fl_err *err); /* may leave it NULL */
    const char *needs[6];          /* texts that must be in the request */
};
/* A whole main(): the status. */
int helper_main(const struct helper_request *requests, size_t n, int argc, const char *usage);

static inline const char *helper_text(const json_t *request, const char *key)
{
    return json_string_value(json_object_get(request, key));
}

#endif
