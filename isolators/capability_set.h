/* Sets of capabilities: bit n is capability n of linux/capability.h. Any thread; no state. */
#ifndef ISOLATORS_CAPABILITY_SET_H
#define ISOLATORS_CAPABILITY_SET_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "proto/mesos.pb-c.h"

#define CAPABILITIES_ALL ((uint64_t)-1 >> 23) /* those the protocol names, 0 to 40 */

/* FL_INVALID: one that the protocol does not name. */
int capability_set_of(const V1__CapabilityInfo *info, uint64_t *ret, struct fl_err *err);
/* "{ CHOWN, NET_RAW }", as clients see it. */
void capability_set_print(uint64_t set, struct fl_buf *out);
/* By name, with "CAP_" before it; false when there is none. */
bool capability_by_name(const char *name, unsigned *ret);
/* What a process of root gets at most on this machine. */
uint64_t capability_set_bounding(void);

#endif
