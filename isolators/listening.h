/* Which ports processes listen on: the machine's listening TCP sockets, asked of the kernel, and the processes that hold them, by /proc.
 * Any thread; what it reads may be slow with thousands of processes. */
#ifndef ISOLATORS_LISTENING_H
#define ISOLATORS_LISTENING_H

#include <sys/types.h>

#include "common/base/err.h"

struct listener {
    uint32_t inode;
    uint16_t port;
};
struct listeners {
    struct listener *v; /* owned; by inode */
    size_t n, cap;
};
struct ports {
    uint16_t *v; /* owned; ascending, each once */
    size_t n, cap;
};

/* All of this network namespace, IPv4 and IPv6. */
int listeners_read(struct listeners *out, struct fl_err *err);
void listeners_done(struct listeners *l);
/* Those that `root` or a process below it holds. */
void listeners_held(const struct listeners *l, pid_t root, struct ports *out);
void ports_done(struct ports *p);

#endif
