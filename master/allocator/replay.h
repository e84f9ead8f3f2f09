/* Playing a recorded log (docs/allocator-log.md) into a fresh allocator and comparing each decision bit for bit. Pure: the file
 * was read, and time of the processor is measured, by the caller. One thread.
 */
#ifndef MASTER_ALLOCATOR_REPLAY_H
#define MASTER_ALLOCATOR_REPLAY_H

#include "master/allocator/allocator_record_log.h"

enum { REPLAY_KINDS = 64 }; /* above every Alog__Record__Kind */

struct replay_config {
    const void *log; /* the whole file */
    size_t log_len;
    const struct allocator_ops *ops;
    /* Processor time so far in nanoseconds; NULL: not measured. */
    uint64_t (*cpu_ns)(void);
    /* Called with every record's number before it is played; NULL: none. For a measure of memory along the way. */
    void (*progress)(void *arg, const struct alog_reader *reader);
    void *arg;
};

struct replay_count {
    uint64_t n;
    uint64_t cpu_ns; /* of inputs: in the module, with the reading of its decisions */
};
struct replay_result {
    uint64_t records;
    uint64_t inputs, decisions;
    uint64_t first_us, last_us; /* the recorded clock */
    bool torn;                  /* the log ends within a record */
    bool differs;
    struct fl_buf difference; /* several lines for a person; when it differs */
    struct replay_count kinds[REPLAY_KINDS];
};
/* 0 also when the decisions differ: *ret says. FL_INVALID when the log cannot be played. */
int replay_log(const struct replay_config *c, struct replay_result *ret, struct fl_err *err);
void replay_result_done(struct replay_result *r);

/* ---- replay_print.c ---- */
/* "12.345678 OFFER framework=... agent=... resources=..."; no newline. */
void replay_format(struct alog_reader *r, const Alog__Record *rec, struct fl_buf *out);
const char *replay_kind_name(Alog__Record__Kind kind);

#endif
