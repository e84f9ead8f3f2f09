/* An AgentInfo as it is kept for a long time, of tens of thousands of agents: in one small block, and what other agents have too
 * (resources, attributes, domain) once for all of them. To be read like any other and not to be changed; given back by
 * agent_info_release(), never by fl_pb_free(). */
#ifndef COMMON_MODEL_AGENT_INFO_H
#define COMMON_MODEL_AGENT_INFO_H

#include "common/base/util.h"
#include "proto/mesos.pb-c.h"

#pragma GCC visibility push(default) /* for modules: master/allocator/allocator.h */

/* A copy. `without_resources`: as if it had none. */
V1__AgentInfo *agent_info_keep(const V1__AgentInfo *info, bool without_resources);
void agent_info_release(V1__AgentInfo *kept); /* takes NULL */

#pragma GCC visibility pop

#endif
