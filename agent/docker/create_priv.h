/* What create.c and create_network.c share. */
#ifndef AGENT_DOCKER_CREATE_PRIV_H
#define AGENT_DOCKER_CREATE_PRIV_H

#include "agent/docker/create.h"

struct making {
    const struct agent_flags *flags;
    const struct container_spec *spec;
    const V1__ContainerInfo *info;
    const V1__ContainerInfo__DockerInfo *docker;
    const char *name;
    json_t *body, *host; /* host: borrowed from it */
    const char *network;
    const char *volume_driver; /* or NULL */
};

static inline int making_refuse(struct fl_err *err, const char *why)
{
    return fl_err_set(err, FL_INVALID, "%s", why);
}

/* The network, its ports and host name; then, behind the user's own parameters, --default_container_dns. */
int making_put_network(struct making *m, struct fl_err *err);
int making_put_dns(struct making *m, struct fl_err *err);

#endif
