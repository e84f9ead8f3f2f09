/* What processes cost, from /proc. Any thread. */
#ifndef EMULATOR_USAGE_H
#define EMULATOR_USAGE_H

#include "common/base/util.h"

/* CPU time, microseconds, and bytes of memory of a process and, when asked for, its children. */
struct emu_usage {
    uint64_t cpu_us, rss, peak;
    bool known;
};
/* Zeros when it has just gone, or for no process (0). */
void emu_usage_read(int64_t pid, bool children, struct emu_usage *ret);
void emu_usage_self(struct emu_usage *ret);

#endif
