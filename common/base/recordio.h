/* RecordIO: "<decimal length>\n<bytes>" repeated (the protocol's stream framing; chunk borders mean nothing
 * to a reader, but a writer puts each record in one chunk, for there are clients that depend on it). */
#ifndef COMMON_BASE_RECORDIO_H
#define COMMON_BASE_RECORDIO_H

#include "common/base/buf.h"
#include "common/base/err.h"

void recordio_add(struct fl_buf *out, const void *record, size_t n);

struct recordio_reader {
    struct fl_buf buf; /* what is not yet a whole record */
    size_t max_record; /* longer ones are an error */
    size_t want;       /* length of the record under way */
    bool have_len;
};
void recordio_reader_init(struct recordio_reader *r, size_t max_record);
void recordio_reader_done(struct recordio_reader *r);
typedef int recordio_record_f(void *arg, const char *record, size_t n, struct fl_err *err);
/* Feeds bytes; calls fn for every record completed. Stops at fn's first error and returns it; a bad or
 * over-long length is FL_INVALID / FL_TOO_LARGE, after which the reader only fails. */
int recordio_feed(struct recordio_reader *r, const void *p, size_t n, recordio_record_f *fn,
                  void *arg, struct fl_err *err);

#endif
