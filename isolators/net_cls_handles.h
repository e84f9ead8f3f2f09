/* The secondary handles of one primary net_cls handle: which are given out. A class id is primary << 16 | secondary. */
#ifndef ISOLATORS_NET_CLS_HANDLES_H
#define ISOLATORS_NET_CLS_HANDLES_H

#include "common/base/err.h"

struct net_cls_handles {
    bool given; /* is there a primary handle? without, the operator sets class ids by himself */
    uint16_t primary, first, last;
    uint64_t used[1024]; /* a bit a handle */
};

/* "0xAAAA" (or NULL) and "0xAAAA,0xBBBB" (or NULL: 1 to 0xffff). */
int net_cls_handles_init(struct net_cls_handles *h, const char *primary, const char *secondary,
                         struct fl_err *err);
/* The lowest that is free. FL_LIMIT when there is none. */
int net_cls_handles_take(struct net_cls_handles *h, uint32_t *ret_classid, struct fl_err *err);
/* One that a container already has. False when it is not one of ours, or taken. */
bool net_cls_handles_reserve(struct net_cls_handles *h, uint32_t classid);
void net_cls_handles_give_back(struct net_cls_handles *h, uint32_t classid);

#endif
