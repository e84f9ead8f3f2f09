/* What containers use, read for all of them without holding up the agent. Reading ten thousand takes half a second and more of system
 * calls, so a round does it in slices, and everybody who asks while a round runs waits for the next one together: nobody is shown
 * what was before he asked, and twenty pollers cost no more than one. Core's thread. */
#ifndef AGENT_API_USAGE_ROUND_H
#define AGENT_API_USAGE_ROUND_H

#include "agent/agent.h"

struct usage_round;

struct usage_round *usage_round_new(struct fl_loop *loop, struct agent_core *core);
/* Who waits is called with `gone`. */
void usage_round_free(struct usage_round *r);

/* `ready` is called once, within this call when there are few containers. From within it usage_round_of() answers. `gone`: the agent
 * ends, nothing was read. */
typedef void usage_ready_f(void *arg, bool gone);
void usage_round_ask(struct usage_round *r, usage_ready_f *ready, void *arg);

/* Borrowed for the call of `ready`. NULL: it was not there when the round came to it, or cannot be measured. */
const V1__ResourceStatistics *usage_round_of(const struct usage_round *r, const char *container_id);

#endif
