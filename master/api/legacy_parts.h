/* Parts of the older endpoints' JSON that several of them show. */
#ifndef MASTER_API_LEGACY_PARTS_H
#define MASTER_API_LEGACY_PARTS_H

#include "master/api/state.h"

/* Fields of an object. */
void legacy_agent_fields(struct json_out *j, const struct agent *a, const struct viewer *v);
void legacy_framework_fields(struct json_out *j, const struct framework *f);

#endif
