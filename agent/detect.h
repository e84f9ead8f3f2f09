/* What this machine has to offer, and how the agent describes itself. Start-up only; may read /proc and statvfs. */
#ifndef AGENT_DETECT_H
#define AGENT_DETECT_H

#include "agent/flags.h"
#include "common/base/buf.h"
#include "proto/mesos.pb-c.h"

/* What is counted when --resources does not name it; separate, for tests. */
struct machine {
    unsigned cpus;
    uint64_t mem_bytes, disk_bytes;
};
int agent_look_at_machine(const char *work_dir, struct machine *ret, struct fl_err *err);

/* AgentInfo with resources (given or detected), attributes, domain, hostname and port, in the arena; no id. */
int agent_describe(const struct agent_flags *flags, const struct machine *machine,
                   const char *hostname, uint16_t port, struct fl_arena *arena,
                   V1__AgentInfo **ret_info, struct fl_err *err);

#endif
