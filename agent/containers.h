/* Makes what --containerizers names, as one containerizer. */
#ifndef AGENT_CONTAINERS_H
#define AGENT_CONTAINERS_H

#include "agent/containerizer/containerizer.h"

/* launcher_fd is taken. FL_INVALID: the flag names one that there is not. */
int agent_containers_new(struct fl_loop *loop, const struct agent_flags *flags, int launcher_fd,
                         const struct containerizer_callbacks *cb, struct containerizer **ret,
                         struct fl_err *err);

#endif
