/* What legacy_json_task() writes, from the encoded message: for answers that hold very many tasks. */
#ifndef COMMON_MODEL_LEGACY_WIRE_H
#define COMMON_MODEL_LEGACY_WIRE_H

#include "common/base/json_wire.h"
#include "proto/mesos.pb-c.h"

struct legacy_wire; /* not shared between threads */
struct legacy_wire *legacy_wire_new(void);
void legacy_wire_free(struct legacy_wire *w);

/* `task`: an encoded V1__Task as protobuf-c packs it, whose `resources` are not looked at; `summary`: what resources_json_summary()
 * writes of them; `role`: resources_allocation_role(). One value, without a comma. */
void legacy_wire_task(struct legacy_wire *w, struct fl_buf *b, const void *task, size_t n,
                      const struct fl_buf *summary, const char *role_or_null);

#endif
