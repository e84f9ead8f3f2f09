/* The file of --allocator_log. The core appends to memory; a thread of its own writes, so no disk is waited for between a
 * message and an offer. A full disk, an error, a disk too slow for the buffer or the size limit end the recording, with one
 * line and a counter, and never the master.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "common/base/log.h"
#include "master/allocator/allocator_record.h"
#include "master/shell.h"

enum {
    BUFFER_MAX = 64 << 20, /* waiting to be written; more means that the disk does not follow */
    WRITE_AT = 256 << 10,  /* written at once from here on, otherwise WRITE_EVERY_NS later */
    WRITE_EVERY_NS = 100 * 1000 * 1000,
};

struct allocator_log {
    struct allocator_sink sink;
    char *path;
    int fd;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;

    /* under the lock */
    struct fl_buf waiting;
    int error; /* errno of a write that failed */
    bool closing;

    /* the core's thread */
    uint64_t bytes, max_bytes;
    uint64_t records;
    bool stopped;
};

/* ---- the writing thread ---- */

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? errno : ENOSPC;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

/* Under the lock: until there is enough to write, or it has waited long enough. */
static void wait_for_work(struct allocator_log *l)
{
    struct timespec until;

    while (l->waiting.len == 0 && !l->closing)
        pthread_cond_wait(&l->work, &l->lock);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WRITE_EVERY_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (l->waiting.len < WRITE_AT && !l->closing)
        if (pthread_cond_timedwait(&l->work, &l->lock, &until) == ETIMEDOUT)
            break;
}

static void *writer(void *arg)
{
    struct allocator_log *l = arg;
    struct fl_buf mine = FL_BUF_INIT, swap;
    int error;

    pthread_mutex_lock(&l->lock);
    while (!l->error) {
        wait_for_work(l);
        if (l->waiting.len == 0) /* closing */
            break;
        swap = l->waiting;
        l->waiting = mine;
        mine = swap;
        pthread_mutex_unlock(&l->lock);
        error = write_all(l->fd, mine.data, mine.len);
        fl_buf_clear(&mine);
        pthread_mutex_lock(&l->lock);
        l->error = error;
    }
    pthread_mutex_unlock(&l->lock);
    fl_buf_done(&mine);
    return NULL;
}

/* ---- the core's side ---- */

static void stop_recording(struct allocator_log *l, const char *why)
{
    l->stopped = true;
    log_warning("recording of the allocator ends: '%s' has %llu records and %llu bytes: %s",
                l->path, (unsigned long long)l->records, (unsigned long long)l->bytes, why);
}

static bool append(void *arg, const void *data, size_t len)
{
    struct allocator_log *l = arg;
    bool slow;
    int error;

    if (l->stopped)
        return false;
    if (l->bytes + len > l->max_bytes) {
        stop_recording(l, "that is the limit of --allocator_log_max_size");
        return false;
    }
    pthread_mutex_lock(&l->lock);
    error = l->error;
    slow = l->waiting.len + len > BUFFER_MAX;
    if (!error && !slow) {
        bool wake = l->waiting.len == 0 || l->waiting.len + len >= WRITE_AT;
        fl_buf_add(&l->waiting, data, len);
        if (wake)
            pthread_cond_signal(&l->work);
    }
    pthread_mutex_unlock(&l->lock);
    if (error || slow) {
        stop_recording(l, error ? strerror(error) : "the disk is too slow for what is recorded");
        return false;
    }
    l->bytes += len;
    l->records++;
    return true;
}

/* ---- metrics ---- */

static double pull_bytes(void *arg)
{
    return (double)((struct allocator_log *)arg)->bytes;
}

static double pull_records(void *arg)
{
    return (double)((struct allocator_log *)arg)->records;
}

static double pull_stopped(void *arg)
{
    return ((struct allocator_log *)arg)->stopped;
}

/* ---- beginning and end ---- */

static int open_file(const char *path, struct fl_err *err)
{
    _cleanup_free_ char *old = xasprintf("%s.old", path);
    int fd;

    if (rename(path, old) < 0 && errno != ENOENT)
        return fl_err_errno(err, errno, "keep the older '%s' of --allocator_log as '%s'", path,
                            old);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return fl_err_errno(err, errno, "create '%s' of --allocator_log", path);
    return fd;
}

int shell_allocator_log_open(struct shell *s, struct fl_err *err)
{
    struct allocator_log *l;
    int fd, r;

    if (!s->flags.allocator_log)
        return 0;
    fd = open_file(s->flags.allocator_log, err);
    if (fd < 0)
        return fd;
    l = xnew0(struct allocator_log);
    l->sink = (struct allocator_sink){.append = append, .arg = l};
    l->path = xstrdup(s->flags.allocator_log);
    l->fd = fd;
    l->max_bytes = s->flags.allocator_log_max_size;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    r = pthread_create(&l->thread, NULL, writer, l);
    if (r != 0) {
        close(fd);
        free(l->path);
        free(l);
        return fl_err_errno(err, r, "start the thread that writes --allocator_log");
    }
    metrics_pull(s->metrics, "allocator/log/bytes", pull_bytes, l);
    metrics_pull(s->metrics, "allocator/log/records", pull_records, l);
    metrics_pull(s->metrics, "allocator/log/stopped", pull_stopped, l);
    s->allocator_log = l;
    s->env.allocator_log = &l->sink;
    return 0;
}

void shell_allocator_log_close(struct shell *s)
{
    struct allocator_log *l = TAKE_PTR(s->allocator_log);

    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->closing = true;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    if (l->error && !l->stopped)
        stop_recording(l, strerror(l->error));
    close(l->fd);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    fl_buf_done(&l->waiting);
    free(l->path);
    free(l);
}
