/* The error type. A fallible function ends with `struct fl_err *err` (may be NULL) and returns 0 or a
 * negative errno. On failure it fills *err by one of the functions below, which return the code, so
 *
 *     return fl_err_errno(err, errno, "open '%s'", path);
 *
 * sets everything in one line. On success *err is untouched. Any thread; no allocation.
 */
#ifndef COMMON_BASE_ERR_H
#define COMMON_BASE_ERR_H

#include "common/base/util.h"

#pragma GCC visibility push(default) /* for modules: master/allocator/allocator.h */

/* Why something failed, coarse enough that each reason has one HTTP status (reasons of task states are
 * another matter: common/model/task_state.h). The rows are in reasons.def. */
enum fl_reason {
    FL_OK = 0,
#define FL_REASON(name, http_status, errnum, text) FL_##name,
#include "common/base/reasons.def"
#undef FL_REASON
};

struct fl_err {
    enum fl_reason reason;
    int code;      /* the negative errno that was returned */
    char msg[500]; /* one line for a person */
};

/* Sets reason and message; returns the reason's own negative errno. */
int fl_err_set(struct fl_err *err, enum fl_reason reason, const char *fmt, ...) _printf_(3, 4);
/* From errno: the message gets ": <strerror>" at its end, the reason is derived. `errnum` is positive. */
int fl_err_errno(struct fl_err *err, int errnum, const char *fmt, ...) _printf_(3, 4);
/* Puts "context: " before the message that is there; returns the code that is there. */
int fl_err_wrap(struct fl_err *err, const char *fmt, ...) _printf_(2, 3);

const char *fl_reason_name(enum fl_reason r);
int fl_reason_http_status(enum fl_reason r);

#pragma GCC visibility pop

#endif
