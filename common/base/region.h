/* A piece of memory that several readers show at once without copying it: the body of an answer that went to many clients. Counted; the
 * last one to let go, on whatever thread, gives it back. The bytes never change. */
#ifndef COMMON_BASE_REGION_H
#define COMMON_BASE_REGION_H

#include "common/base/buf.h"

struct fl_region;
/* `release(arg)` runs once, on the thread of the last reference. One reference is the caller's. */
struct fl_region *fl_region_new(const char *data, size_t len, void (*release)(void *arg),
                                void *arg);
struct fl_region *fl_region_of_buf(struct fl_buf *b); /* takes the memory; b is empty afterwards */
struct fl_region *fl_region_ref(struct fl_region *r); /* returns it */
void fl_region_unref(struct fl_region *r);            /* takes NULL */
FL_DEFINE_CLEANUP(struct fl_region *, fl_region_unref, fl_region_unrefp)
const char *fl_region_data(const struct fl_region *r);
size_t fl_region_len(const struct fl_region *r);

#endif
