/* Filling the error type. No allocation, no state; any thread. */
#include "common/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name;
    int http_status;
    int errnum;
} reasons[] = {
    [FL_OK] = {"OK", 200, 0},
#define FL_REASON(name, http_status, errnum, text) [FL_##name] = {#name, http_status, errnum},
#include "common/base/reasons.def"
#undef FL_REASON
};

/* What a failed system call means to whoever asked for the work. A right that we lack (EACCES,
 * EPERM) is our trouble and not the peer's, so it is no reason of authorisation. What is not here
 * is FL_IO. */
static const struct {
    int errnum;
    enum fl_reason reason;
} errno_reasons[] = {
    {EINVAL, FL_INVALID},
    {ERANGE, FL_INVALID},
    {EBADMSG, FL_INVALID},
    {ENOENT, FL_NOT_FOUND},
    {ENOTDIR, FL_NOT_FOUND},
    {ESRCH, FL_NOT_FOUND},
    {EEXIST, FL_CONFLICT},
    {EMSGSIZE, FL_TOO_LARGE},
    {E2BIG, FL_TOO_LARGE},
    {ENAMETOOLONG, FL_TOO_LARGE},
    {EOPNOTSUPP, FL_UNSUPPORTED},
    {ENOSYS, FL_NOT_IMPLEMENTED},
    {EAGAIN, FL_LIMIT},
    {EMFILE, FL_LIMIT},
    {ENFILE, FL_LIMIT},
    {ECONNREFUSED, FL_UNAVAILABLE},
    {EHOSTUNREACH, FL_UNAVAILABLE},
    {ENETUNREACH, FL_UNAVAILABLE},
    {ENOTCONN, FL_UNAVAILABLE},
    {ETIMEDOUT, FL_TIMEOUT},
    {ENOMEM, FL_NO_MEMORY},
    {EPIPE, FL_CLOSED},
    {ECONNRESET, FL_CLOSED},
    {ECONNABORTED, FL_CLOSED},
};

static enum fl_reason reason_of_errno(int errnum)
{
    for (size_t i = 0; i < ARRAY_SIZE(errno_reasons); i++) {
        if (errno_reasons[i].errnum == errnum)
            return errno_reasons[i].reason;
    }
    return FL_IO;
}

/* The message may quote what a peer sent; the log keeps one event a line. */
static void keep_one_line(char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < ' ')
            *s = ' ';
    }
}

int fl_err_set(struct fl_err *err, enum fl_reason reason, const char *fmt, ...)
{
    int code = -reasons[reason].errnum;
    va_list ap;

    if (!err)
        return code;
    err->reason = reason;
    err->code = code;
    va_start(ap, fmt);
    (void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    keep_one_line(err->msg);
    return code;
}

int fl_err_errno(struct fl_err *err, int errnum, const char *fmt, ...)
{
    char text[128];
    va_list ap;
    size_t n;

    if (!err)
        return -errnum;
    err->reason = reason_of_errno(errnum);
    err->code = -errnum;
    va_start(ap, fmt);
    (void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    n = strlen(err->msg);
    (void)fl_snprintf(err->msg + n, sizeof err->msg - n, ": %s",
                      strerror_r(errnum, text, sizeof text));
    keep_one_line(err->msg);
    return -errnum;
}

int fl_err_wrap(struct fl_err *err, const char *fmt, ...)
{
    char old[sizeof err->msg];
    va_list ap;
    size_t n;

    if (!err)
        return -EIO;
    memcpy(old, err->msg, sizeof old);
    va_start(ap, fmt);
    (void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    n = strlen(err->msg);
    (void)fl_snprintf(err->msg + n, sizeof err->msg - n, ": %s", old);
    keep_one_line(err->msg);
    return err->code;
}

const char *fl_reason_name(enum fl_reason r)
{
    return (unsigned)r < ARRAY_SIZE(reasons) ? reasons[r].name : "UNKNOWN";
}

int fl_reason_http_status(enum fl_reason r)
{
    return (unsigned)r < ARRAY_SIZE(reasons) ? reasons[r].http_status : 500;
}
