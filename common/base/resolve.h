/* Host names to addresses without blocking a loop. Private to common/base. */
#ifndef COMMON_BASE_RESOLVE_H
#define COMMON_BASE_RESOLVE_H

#include <sys/socket.h>

#include "common/base/loop.h"

struct resolve;
/* addrs is heap memory that the callback takes over; NULL with err set on failure. */
typedef void resolve_f(struct sockaddr_storage *addrs, size_t n, const struct fl_err *err,
                       void *arg);

/* A numeric address; 0 or -EINVAL without touching the name service. */
int resolve_numeric(const char *host, uint16_t port, struct sockaddr_storage *ret_addr);
/* Looks the name up on a thread of its own; fn runs on the loop. At most 64 a loop at a time
 * (FL_LIMIT). */
int resolve_start(struct fl_loop *loop, const char *host, uint16_t port, resolve_f *fn, void *arg,
                  struct resolve **ret, struct fl_err *err);
void resolve_cancel(struct resolve *r); /* fn will not be called */
socklen_t resolve_addr_len(const struct sockaddr_storage *ss);

#endif
