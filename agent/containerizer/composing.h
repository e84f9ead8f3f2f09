/* Several containerizers as one: each launch goes to the first that takes its kind of container, all that follows to the one that has
 * it, and what is nested goes where its root is. The agent's thread. */
#ifndef AGENT_CONTAINERIZER_COMPOSING_H
#define AGENT_CONTAINERIZER_COMPOSING_H

#include "agent/containerizer/containerizer.h"

typedef bool composing_takes_f(const V1__ContainerInfo *info_or_null);

/* `enabled` is --containerizers, for messages; borrowed. */
struct containerizer *composing_new(const struct containerizer_callbacks *cb, const char *enabled);
/* What the next member must be made with. */
void composing_callbacks(struct containerizer *composing, struct containerizer_callbacks *ret);
/* Adds it, in the order of making, whose reverse is that of freeing; takes it over. `rank` is its place in the order of trying; negative:
 * it launches nothing, and only goes on with what it has. FL_LIMIT: there are too many. */
int composing_add(struct containerizer *composing, struct containerizer *member, int rank,
                  composing_takes_f *takes, struct fl_err *err);

#endif
