/* How far a loop lags behind: a timer that looks how late it comes itself. Metrics event_loop/delay_ms, delay_us, delay_max_us. The loop's
 * thread. */
#ifndef COMMON_MODEL_LOOP_DELAY_H
#define COMMON_MODEL_LOOP_DELAY_H

#include "common/base/loop.h"
#include "common/base/metrics.h"

struct loop_delay;

struct loop_delay *loop_delay_new(struct fl_loop *loop, struct metrics *m); /* both borrowed */
void loop_delay_free(struct loop_delay *d);

#endif
