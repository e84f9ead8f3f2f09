/* Recording of an allocator: a struct allocator_ops around another one that writes every input and every decision down
 * (docs/allocator-log.md) and changes nothing. Reading hooks (dominant_share, numbers, explain, each_inverse_status) pass through
 * unrecorded. Pure like the module: bytes go to a sink. The core's thread.
 */
#ifndef MASTER_ALLOCATOR_ALLOCATOR_RECORD_H
#define MASTER_ALLOCATOR_ALLOCATOR_RECORD_H

#include "master/allocator/allocator.h"

struct allocator_sink {
    /* Whole frames. Must not block. False: nothing more is wanted, recording ends for good. */
    bool (*append)(void *arg, const void *data, size_t len);
    void *arg;
};

/* Creates `inner` with a recorder around it. *ret_ops lives until *ret is destroyed (by ret_ops->destroy); its optional hooks
 * are those of `inner`. The sink is borrowed. */
int allocator_record_new(const struct allocator_ops *inner, const struct allocator_options *o,
                         const struct allocator_callbacks *cb, const struct allocator_sink *sink,
                         const struct allocator_ops **ret_ops, struct allocator **ret,
                         struct fl_err *err);
/* The recorded instance, for tests that look into it. Borrowed. */
struct allocator *allocator_record_inner(struct allocator *recorder);

#endif
