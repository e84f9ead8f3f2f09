/* What docker/runtime makes of a command and an image's configuration, as a pure function. */
#ifndef ISOLATORS_DOCKER_RUNTIME_H
#define ISOLATORS_DOCKER_RUNTIME_H

#include "common/base/err.h"
#include "isolators/image_config.h"
#include "proto/mesos.pb-c.h"

/* The command with the image's Entrypoint and Cmd, the caller's (fl_pb_free); NULL: it stays as it is. */
int docker_runtime_command(const V1__CommandInfo *command, const struct image_config *image,
                           V1__CommandInfo **ret, struct fl_err *err);

#endif
