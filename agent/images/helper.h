/* fairlead-image: what is slow or reads strangers' bytes, in a process of its own. One request, a line of JSON on standard input, which its
 * sender holds open: when it closes, the sender is gone and so are we. The answer is a line of JSON on standard output and status 0, or the
 * reason on standard error and status 1. Requests ("do"):
 *
 *     pull     store, name, registry, config, default_config, stall_us -> the image record
 *     root     store, folder, backend, id, layers
 *     destroy  folder
 *     clean    store
 *     prune    store, keep (names of images), containers (folder)
 */
#ifndef AGENT_IMAGES_HELPER_H
#define AGENT_IMAGES_HELPER_H

#include <jansson.h>

#include "common/base/err.h"

/* *ret: the answer, may stay NULL. */
int image_helper_do(const json_t *request, json_t **ret, struct fl_err *err);

#endif
