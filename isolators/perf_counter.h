/* Counters of the kernel for a cgroup, as `perf stat --cgroup` has them. Thread: the caller's; none of it waits. */
#ifndef ISOLATORS_PERF_COUNTER_H
#define ISOLATORS_PERF_COUNTER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"
#include "isolators/container_usage.h"

/* "cycles,page-faults": which of perf_events.def, in that order; case and '-' or '_' do not matter. FL_INVALID names the unknown one. */
int perf_events_parse(const char *list, bool on[PERF_EVENTS], struct fl_err *err);
/* Leaves out what this processor does not count. Fails when we may not count at all. */
int perf_events_supported(bool on[PERF_EVENTS], struct fl_err *err);

/* One container's counters, running: a descriptor an event and processor. */
struct perf_counters;
size_t perf_counters_fds(const bool on[PERF_EVENTS]); /* how many that are */
struct perf_counters *perf_counters_open(const bool on[PERF_EVENTS], const char *group);
/* Fills what was counted and closes them. */
void perf_counters_read(const struct perf_counters *c, struct perf_usage *out);
void perf_counters_free(struct perf_counters *c);

#endif
