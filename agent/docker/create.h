/* What Docker is to run: ContainerInfo and CommandInfo as the body of POST /containers/create. Pure; any thread. */
#ifndef AGENT_DOCKER_CREATE_H
#define AGENT_DOCKER_CREATE_H

#include <jansson.h>

#include "agent/containerizer/containerizer.h"
#include "agent/flags.h"

/* common/base/json.h, which the model brings along, takes jansson's names for these. */
static inline json_t *docker_json_object(void)
{
    return json_pack("{}");
}
static inline json_t *docker_json_array(void)
{
    return json_pack("[]");
}
static inline json_t *docker_json_text(const char *s)
{
    return json_string_nocheck(s); /* what is no UTF-8 is refused when the whole is written */
}

/* Names of our containers: this and the container's id. */
#define DOCKER_NAME_PREFIX "mesos-"
/* Which agent's a container is, for two agents on one engine: its work_dir. */
#define DOCKER_OWNER_LABEL "fairlead.work_dir"

/* `spec->container` is of type DOCKER. The texts of errors of the options are the reference's. *ret is the caller's. */
int docker_create_body(const struct agent_flags *flags, const struct container_spec *spec,
                       const char *name, json_t **ret, struct fl_err *err);
/* The amounts alone, as create and update have them: into HostConfig, or the body of /containers/ID/update. */
void docker_put_amounts(const struct agent_flags *flags, const struct resources *res,
                        double cpu_limit, double mem_limit, json_t *host);
/* The hard limit of memory in bytes; 0: none. */
uint64_t docker_memory(const struct resources *res, double mem_limit);

/* ---- parameters.c: ContainerInfo.docker.parameters, which are the options of `docker run` ---- */
/* Adds one to the body (whose HostConfig is there). FL_UNSUPPORTED: there is no such option, or the agent does not let it be given. */
int docker_parameter_put(json_t *body, const char *key, const char *value, struct fl_err *err);
/* "8080:80/tcp" with the address before it, or of a port mapping. */
void docker_port_put(json_t *body, const char *host_ip, const char *host_port,
                     const char *container_port, const char *protocol);
/* Appends to the array, or sets in the object, that `host` has or gets under `name`. */
void docker_append(json_t *host, const char *name, const char *text);
void docker_set_in(json_t *host, const char *name, const char *key, const char *text);

#endif
