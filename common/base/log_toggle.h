/* More detail in the log for a while, then back: /logging/toggle and SET_LOGGING_LEVEL of the
 * protocol, where the level is a number: 0 is what the flags say, higher is more. Loop thread. */
#ifndef COMMON_BASE_LOG_TOGGLE_H
#define COMMON_BASE_LOG_TOGGLE_H

#include "common/base/env.h"

struct log_toggle;
struct log_toggle *log_toggle_new(const struct env *env); /* env is borrowed */
void log_toggle_free(struct log_toggle *t);
unsigned log_toggle_level(const struct log_toggle *t);
/* FL_INVALID: below the original level, or above 1000. */
int log_toggle_set(struct log_toggle *t, unsigned level, uint64_t duration_us, struct fl_err *err);

#endif
