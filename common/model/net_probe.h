/* Probes of checks over the network: does a task's port answer, with which HTTP status. On one loop. */
#ifndef COMMON_MODEL_NET_PROBE_H
#define COMMON_MODEL_NET_PROBE_H

#include <sys/types.h>

#include "common/base/loop.h"
#include "common/model/checks.h"

struct net_prober; /* of one loop */
struct net_probe;
/* Once a probe, never within net_probe_begin(): as checker_answer() takes it. */
typedef void net_probe_f(void *arg, bool known, int value);

struct net_prober *net_prober_new(struct fl_loop *loop);
void net_prober_free(struct net_prober *p); /* no callbacks follow; takes NULL */
/* An HTTP or TCP target on the loopback address, in the network namespace of the process `pid` (0: our own). The probe is gone once
 * `fn` is called. */
struct net_probe *net_probe_begin(struct net_prober *p, const struct check_target *target,
                                  pid_t pid, net_probe_f *fn, void *arg);
void net_probe_cancel(struct net_probe *p);

#endif
