/* The log's one place of output: formats a line in a stack buffer and writes it with one write(2), to stderr and
 * to the log file. Any thread; the lock covers which descriptor is the file, so that a reopen never writes a line
 * into a closed one. */
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#define LINE_MAX_LEN 4096

/* The log file's descriptor means something else in this thread's table. */
static _Thread_local bool stderr_only;

enum fl_log_level fl_log_level_now = FL_LOG_INFO;

static struct {
    pthread_mutex_t lock;
    char program[32];
    char *path; /* owned; NULL = stderr only */
    int fd;
    bool quiet;
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER, .program = "fairlead", .fd = -EBADF};

static const struct {
    const char *name;
    char letter;
} levels[] = {
    [FL_LOG_DEBUG] = {"DEBUG", 'D'},
    [FL_LOG_INFO] = {"INFO", 'I'},
    [FL_LOG_WARNING] = {"WARNING", 'W'},
    [FL_LOG_ERROR] = {"ERROR", 'E'},
};

static int open_file(const char *path, int *ret_fd, struct fl_err *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0)
        return fl_err_errno(err, errno, "open log file '%s'", path);
    *ret_fd = fd;
    return 0;
}

int fl_log_open(const char *program, const char *dir_or_null, struct fl_err *err)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_close_ int fd = -EBADF;
    if (dir_or_null) {
        path = xasprintf("%s/%s.log", dir_or_null, program);
        int r = open_file(path, &fd, err);
        if (r < 0)
            return r;
    }
    pthread_mutex_lock(&the_log.lock);
    (void)fl_snprintf(the_log.program, sizeof(the_log.program), "%s", program);
    free(the_log.path);
    closep(&the_log.fd);
    the_log.path = TAKE_PTR(path);
    the_log.fd = TAKE_FD(fd);
    pthread_mutex_unlock(&the_log.lock);
    return 0;
}

void fl_log_close(void)
{
    pthread_mutex_lock(&the_log.lock);
    free(the_log.path);
    closep(&the_log.fd);
    the_log.path = NULL;
    the_log.fd = -EBADF;
    pthread_mutex_unlock(&the_log.lock);
}

void fl_log_reopen(void)
{
    struct fl_err err = {0};
    int r = 0;
    pthread_mutex_lock(&the_log.lock);
    if (the_log.path) {
        int fd = -EBADF;
        r = open_file(the_log.path, &fd, &err);
        if (r == 0) {
            closep(&the_log.fd);
            the_log.fd = fd;
        }
    }
    pthread_mutex_unlock(&the_log.lock);
    if (r < 0)
        log_error("%s, keeping the old file", err.msg);
}

void fl_log_thread_to_stderr(void)
{
    stderr_only = true;
}

void fl_log_set_quiet(bool quiet)
{
    pthread_mutex_lock(&the_log.lock);
    the_log.quiet = quiet;
    pthread_mutex_unlock(&the_log.lock);
}

const char *fl_log_path(void)
{
    return the_log.path;
}

void fl_log_set_level(enum fl_log_level level)
{
    __atomic_store_n(&fl_log_level_now, level, __ATOMIC_RELAXED);
}

enum fl_log_level fl_log_get_level(void)
{
    return __atomic_load_n(&fl_log_level_now, __ATOMIC_RELAXED);
}

int fl_log_parse_level(const char *name, enum fl_log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
        if (strcasecmp(name, levels[i].name) == 0) {
            *ret_level = (enum fl_log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *fl_log_level_name(enum fl_log_level level)
{
    return levels[level].name;
}

/* "I 2026-11-21T10:00:00.123456Z [master] agents.c:120 " */
static size_t format_head(char *line, size_t size, enum fl_log_level level, const char *file,
                          int lineno)
{
    struct timespec ts;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    char when[32];
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    const char *slash = strrchr(file, '/');
    int n = snprintf(line, size, "%c %s.%06ldZ [%s] %s:%d ", levels[level].letter, when,
                     ts.tv_nsec / 1000, the_log.program, slash ? slash + 1 : file, lineno);
    return n < 0 ? 0 : FL_MIN((size_t)n, size - 1);
}

/* Appends `text`, control characters as \xNN; stops with "..." where the line is full. */
static size_t append_escaped(char *line, size_t size, size_t at, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (at + 8 > size) {
            memcpy(line + at, "...", 3);
            return at + 3;
        }
        if (*p >= 0x20 && *p != 0x7f) {
            line[at++] = (char)*p;
            continue;
        }
        if (*p == '\n') {
            memcpy(line + at, "\\n", 2);
            at += 2;
            continue;
        }
        memcpy(line + at, (char[]){'\\', 'x', hex[*p >> 4], hex[*p & 15]}, 4);
        at += 4;
    }
    return at;
}

/* A log that cannot be written must not stop what it describes, and has nowhere to say so. */
static void write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return;
        p += w;
        n -= (size_t)w;
    }
}

void fl_log_write(enum fl_log_level level, const char *file, int line, const char *fmt, ...)
{
    int saved_errno = errno;
    char text[LINE_MAX_LEN], out[LINE_MAX_LEN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);

    pthread_mutex_lock(&the_log.lock);
    size_t n = format_head(out, sizeof(out), level, file, line);
    n = append_escaped(out, sizeof(out) - 1, n, text);
    out[n++] = '\n';
    if (!the_log.quiet)
        write_all(STDERR_FILENO, out, n);
    if (the_log.fd >= 0 && !stderr_only)
        write_all(the_log.fd, out, n);
    pthread_mutex_unlock(&the_log.lock);
    errno = saved_errno;
}

void fl_log_fork_hold(bool hold)
{
    if (hold)
        pthread_mutex_lock(&the_log.lock);
    else
        pthread_mutex_unlock(&the_log.lock);
}
