/* What legacy_json_task() writes, from encoded parts: for answers that hold very many tasks. */
#ifndef COMMON_MODEL_LEGACY_WIRE_H
#define COMMON_MODEL_LEGACY_WIRE_H

#include "common/base/json_wire.h"
#include "proto/mesos.pb-c.h"

struct legacy_wire; /* not shared between threads */
struct legacy_wire *legacy_wire_new(void);
void legacy_wire_free(struct legacy_wire *w);

/* `info`: fields of an encoded V1__Task as protobuf-c packs them, of which limits, user, labels, discovery, container and health_check
 * are looked at. The first writes `,"limits":{...}` when there are any, the second what else is there, each with a comma in front. */
void legacy_wire_limits(struct fl_buf *b, const void *info, size_t n);
void legacy_wire_info(struct legacy_wire *w, struct fl_buf *b, const void *info, size_t n);

/* One status. `rest`: fields of an encoded V1__TaskStatus, of which those count that are shown here: timestamp and healthy when they are
 * not given, labels, container_status. */
struct legacy_wire_status {
    V1__TaskState state;
    bool has_timestamp, has_healthy, healthy;
    double timestamp;
    const void *rest;
    size_t n_rest;
};
void legacy_wire_status(struct legacy_wire *w, struct fl_buf *b,
                        const struct legacy_wire_status *status);

#endif
