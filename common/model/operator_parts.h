/* What the operator APIs of master and agent answer alike: flags, metrics, version as messages, and lists in JSON. Any thread. */
#ifndef COMMON_MODEL_OPERATOR_PARTS_H
#define COMMON_MODEL_OPERATOR_PARTS_H

#include "common/base/flags.h"
#include "common/base/json.h"
#include "common/base/metrics.h"
#include "proto/mesos.pb-c.h"

/* A message as an object of its repeated message fields, empty ones too: the protocol's JSON leaves empty lists out, the reference
 * writes them in these answers, and clients index them. */
void operator_json_lists(struct json_out *j, const ProtobufCMessage *m);

/* Messages in the arena; how many. */
size_t operator_flags(const struct fl_flags *flags, struct fl_arena *arena, V1__Flag ***ret_flags);
size_t operator_metrics(const struct metrics *metrics, struct fl_arena *arena,
                        V1__Metric ***ret_metrics);
V1__VersionInfo *operator_version(struct fl_arena *arena);

#endif
