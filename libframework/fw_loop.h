/* Inside this house: a fw_loop of fairlead/scheduler.h is a loop of common/base. Programs of the house may run it as that, with timers
 * of their own on it. */
#ifndef LIBFRAMEWORK_FW_LOOP_H
#define LIBFRAMEWORK_FW_LOOP_H

#include "common/base/loop.h"
#include "libframework/fairlead/scheduler.h"

static inline struct fl_loop *fw_loop_base(fw_loop *l)
{
    return (struct fl_loop *)l;
}
static inline fw_loop *fw_loop_of(struct fl_loop *l)
{
    return (fw_loop *)l;
}

#endif
