/* One image into the store: described, its missing layers fetched, verified and unpacked by a few threads in a staging folder, then renamed
 * into place. The helper's process. */
#ifndef AGENT_IMAGES_PULL_H
#define AGENT_IMAGES_PULL_H

#include <jansson.h>

#include "agent/images/source.h"

struct pull_request {
    const char *store;
    const char *name; /* the image, as the record will call it */
    struct source_options source;
};
/* *ret: the image record (store.h). */
int image_pull(const struct pull_request *rq, json_t **ret, struct fl_err *err);

#endif
