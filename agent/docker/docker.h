/* The Docker containerizer (docs/docker.md): containers of type DOCKER, run by a Docker Engine that is asked over its HTTP API. */
#ifndef AGENT_DOCKER_DOCKER_H
#define AGENT_DOCKER_DOCKER_H

#include "agent/containerizer/containerizer.h"

struct fetches;
/* `fetches` fetches URIs; it goes after this containerizer. The engine need not be there: launches say so when it is not. */
int docker_containerizer_new(struct fl_loop *loop, const struct agent_flags *flags,
                             struct fetches *fetches, const struct containerizer_callbacks *cb,
                             struct containerizer **ret, struct fl_err *err);

#endif
