/* Probes of checks over the network: does a task's port answer, with which HTTP status. On one loop. */
#ifndef COMMON_BASE_NET_PROBE_H
#define COMMON_BASE_NET_PROBE_H

#include <sys/types.h>

#include "common/base/loop.h"

/* A port on the loopback address. */
struct net_target {
    bool http; /* otherwise it is enough that it takes a connection */
    uint16_t port;
    const char *path; /* HTTP: begins with '/' */
    bool tls, ipv6;
};
struct net_prober; /* of one loop */
struct net_probe;
/* Once a probe, never within net_probe_begin(). `value`: HTTP status code, or whether the port took the connection. Not `known`: no answer. */
typedef void net_probe_f(void *arg, bool known, int value);

struct net_prober *net_prober_new(struct fl_loop *loop);
void net_prober_free(struct net_prober *p); /* no callbacks follow; takes NULL */
/* In the network namespace of the process `pid` (0: our own). The probe is gone once
 * `fn` is called. */
struct net_probe *net_probe_begin(struct net_prober *p, const struct net_target *target, pid_t pid,
                                  net_probe_f *fn, void *arg);
void net_probe_cancel(struct net_probe *p);

#endif
