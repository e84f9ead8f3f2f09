/* The log: one line an event on stderr, and in --log_dir's file PROGRAM.log when that is given (--quiet then leaves
 * only the file); rotation is left to the system (SIGHUP reopens). A line goes out in one write, control characters
 * in it escaped, so that a peer's text cannot forge lines. Any thread. Levels as the reference's --logging_level: INFO, WARNING, ERROR; DEBUG below.
 *   I 2026-11-21T10:00:00.123456Z [master] agents.c:120 text
 */
#ifndef COMMON_BASE_LOG_H
#define COMMON_BASE_LOG_H

#include "common/base/err.h"

enum fl_log_level { FL_LOG_DEBUG, FL_LOG_INFO, FL_LOG_WARNING, FL_LOG_ERROR };

int fl_log_open(const char *program, const char *dir_or_null, struct fl_err *err);
void fl_log_reopen(void);
void fl_log_fork_hold(bool hold); /* as intern_fork_hold() of common/model/intern.h */
void fl_log_close(void);
/* For a thread with a file table of its own, where the log file is not. */
void fl_log_thread_to_stderr(void);
void fl_log_set_quiet(bool quiet); /* nothing to stderr */
const char *fl_log_path(void);     /* the file's path, borrowed until close; NULL = stderr only */
void fl_log_set_level(enum fl_log_level level);
enum fl_log_level fl_log_get_level(void);
int fl_log_parse_level(const char *name, enum fl_log_level *ret_level); /* 0 or -EINVAL */
const char *fl_log_level_name(enum fl_log_level level);
void fl_log_write(enum fl_log_level level, const char *file, int line, const char *fmt, ...)
    _printf_(4, 5);
extern enum fl_log_level
    fl_log_level_now; /* read by the macros so that a disabled line costs a compare */

#define fl_log(level, ...)                                                                         \
    do {                                                                                           \
        if ((level) >= __atomic_load_n(&fl_log_level_now, __ATOMIC_RELAXED))                       \
            fl_log_write(level, __FILE__, __LINE__, __VA_ARGS__);                                  \
    } while (0)
#define log_debug(...)   fl_log(FL_LOG_DEBUG, __VA_ARGS__)
#define log_info(...)    fl_log(FL_LOG_INFO, __VA_ARGS__)
#define log_warning(...) fl_log(FL_LOG_WARNING, __VA_ARGS__)
#define log_error(...)   fl_log(FL_LOG_ERROR, __VA_ARGS__)

#endif
