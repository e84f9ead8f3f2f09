/* Tasks as answers show them, written from the bytes that the core keeps: encoded, as JSON of the operator API, and as the older endpoints
 * have them. The same bytes as master_task_pb() would give through the encoders, many times faster. One thread. */
#ifndef MASTER_API_TASK_WRITER_H
#define MASTER_API_TASK_WRITER_H

#include "common/base/json_wire.h"
#include "master/master.h"

struct task_writer;
struct task_writer *task_writer_new(void);
void task_writer_free(struct task_writer *w);
FL_DEFINE_CLEANUP(struct task_writer *, task_writer_free, task_writer_freep)

/* Before tasks are written, whenever the master's state may have changed since the last time. */
void task_writer_begin(struct task_writer *w);
/* Each appends one task, without a comma. */
void task_writer_json(struct task_writer *w, const struct task *t, struct fl_buf *out);
void task_writer_legacy(struct task_writer *w, const struct task *t, struct fl_buf *out);
/* As the field `field` of another message: head and bytes. */
void task_writer_pb(struct task_writer *w, const struct task *t, uint32_t field,
                    struct fl_buf *out);
/* For loops over many: what will be read of this one soon. */
void task_writer_prefetch(const struct task *t);

#endif
