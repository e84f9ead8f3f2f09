/* What an image says of how to run it (the `config` of Docker's and OCI's image specifications), as far as a container cares.
 * Made by the provisioner, kept with the container, read by docker/runtime. */
#ifndef ISOLATORS_IMAGE_CONFIG_H
#define ISOLATORS_IMAGE_CONFIG_H

#include "common/base/util.h"

struct image_config {
    char **entrypoint, **cmd, **env; /* NULL-terminated, owned; NULL: none */
    char **labels;                   /* "NAME=value"; as those */
    char *working_dir, *user;        /* owned; NULL: none */
};

void image_config_free(struct image_config *c);
FL_DEFINE_CLEANUP(struct image_config *, image_config_free, image_config_freep)

#endif
