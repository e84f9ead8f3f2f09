/* A log of the allocator in memory, and an allocator under test that is recorded to it. For tests/unit and tests/property. */
#ifndef TESTS_UNIT_ALLOCATOR_RECORD_HARNESS_H
#define TESTS_UNIT_ALLOCATOR_RECORD_HARNESS_H

#include "master/allocator/allocator_record.h"
#include "master/allocator/replay.h"

struct rec_memory {
    struct allocator_sink sink;
    struct fl_buf log;
    size_t max; /* bytes; 0: no limit */
    uint64_t frames;
};

static inline bool rec_append(void *arg, const void *data, size_t len)
{
    struct rec_memory *m = arg;

    if (m->max && m->log.len + len > m->max)
        return false;
    fl_buf_add(&m->log, data, len);
    m->frames++;
    return true;
}

static inline void rec_init(struct rec_memory *m)
{
    *m = (struct rec_memory){.sink = {.append = rec_append, .arg = m}};
}

static inline int rec_play_into(const struct allocator_ops *ops, const struct rec_memory *m,
                                struct replay_result *res, struct fl_err *err)
{
    struct replay_config c = {.log = m->log.data, .log_len = m->log.len, .ops = ops};

    return replay_log(&c, res, err);
}

static inline int rec_play(const struct rec_memory *m, struct replay_result *res,
                           struct fl_err *err)
{
    return rec_play_into(allocator_builtin("HierarchicalDRF"), m, res, err);
}

#endif
