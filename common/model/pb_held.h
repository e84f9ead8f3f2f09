/* Messages that many keep and nobody changes, once for all who have the same: thousands of agents have the same resources, racks
 * share their attributes. Counted by reference; any thread. Internal to common/model. */
#ifndef COMMON_MODEL_PB_HELD_H
#define COMMON_MODEL_PB_HELD_H

#include "common/base/buf.h"

/* A copy of the message that stays as it is until it is released as often as it was held. NULL stays NULL. */
const ProtobufCMessage *pb_hold(const ProtobufCMessage *m);
void pb_release(const ProtobufCMessage *held);
size_t pb_held_count(void); /* different ones */

#endif
