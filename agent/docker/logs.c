/* A container's output, from Docker's log into `stdout` and `stderr` of the sandbox, without loss or repetition over restarts of the agent
 * and of the engine.
 *
 * The engine is asked with times: each message of its log is one frame that begins with the time it was written. After each write to a
 * file we note, in the runtime folder, how long the file is then, the time of the last message in it, and how many messages of that
 * very time. Who begins anew asks for what is younger than a little before that time, leaves out what the note covers, and then as many
 * bytes as the file is longer than noted: an agent killed between the write and the note. The note is not synced: a machine that goes
 * down takes the container along.
 * The files are in the task's hands: they are never followed when links, and what the task does to them is its own affair. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/docker/docker_priv.h"
#include "common/base/log.h"

#define SECOND_NS     UINT64_C(1000000000)
#define OVERLAP_S     2 /* the two streams' times are not in order with each other */
#define RETRY_US      1000000u
#define MAX_TIME_TEXT 40

/* As it is in the runtime folder, one for each stream. */
struct note {
    uint64_t length, time_ns, count;
};
struct stream {
    int fd; /* -EBADF: none */
    struct note note;
    bool changed;
    /* While what was written before comes again: */
    bool resuming;
    uint64_t seen;       /* messages of note.time_ns that came again */
    uint64_t skip;       /* bytes that are in the file, and not in the note */
    struct fl_buf ready; /* to be written */
};
struct docker_logs {
    struct docker_container *c;
    struct docker_call *call;
    struct fl_timer *retry;
    struct docker_frames frames;
    struct stream out[2];
    int note_fd;
    bool over, complained;
    struct fl_err broken; /* what came was not what it should be */
};

/* ---- notes ---- */

static void write_note(struct docker_logs *l, int i)
{
    off_t at = (off_t)((size_t)i * sizeof(struct note));

    if (pwrite(l->note_fd, &l->out[i].note, sizeof(struct note), at) != sizeof(struct note))
        log_warning("Cannot note how far the output of Docker container '%s' is written, ignoring",
                    l->c->name);
}

static uint64_t length_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) < 0 || st.st_size < 0 ? 0 : (uint64_t)st.st_size;
}

static void read_note(struct docker_logs *l, int i)
{
    struct stream *s = &l->out[i];
    off_t at = (off_t)((size_t)i * sizeof(struct note));
    uint64_t length = length_of(s->fd);

    if (pread(l->note_fd, &s->note, sizeof(struct note), at) == sizeof(struct note)) {
        s->skip = length > s->note.length ? length - s->note.length : 0;
        return;
    }
    s->note = (struct note){.length = length};
    write_note(l, i);
}

static void flush(struct docker_logs *l, int i)
{
    struct stream *s = &l->out[i];

    if (!s->changed)
        return;
    for (size_t at = 0; at < s->ready.len;) {
        ssize_t n = write(s->fd, s->ready.data + at, s->ready.len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (!l->complained)
                log_warning("Cannot write output of Docker container '%s': %s, dropping it",
                            l->c->name, strerror(errno));
            l->complained = true;
            break;
        }
        at += (size_t)n;
    }
    fl_buf_clear(&s->ready);
    uint64_t length = length_of(s->fd);
    s->note.length = length > s->skip ? length - s->skip : 0;
    s->changed = false;
    write_note(l, i);
}

/* ---- messages ---- */

static bool digits(const char *p, size_t n, int *ret)
{
    *ret = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        *ret = *ret * 10 + (p[i] - '0');
    }
    return true;
}

/* "2026-11-21T19:52:54.217524591Z " in front of a message: nanoseconds since 1970, and its length. 0: there is none. */
static uint64_t time_of(const char *p, size_t n, size_t *ret_len)
{
    const char *space = memchr(p, ' ', FL_MIN(n, (size_t)MAX_TIME_TEXT));
    struct tm tm = {0};
    uint64_t ns = 0, unit = SECOND_NS / 10;

    *ret_len = 0;
    if (!space || space - p < 20 || p[10] != 'T' || !digits(p, 4, &tm.tm_year) ||
        !digits(p + 5, 2, &tm.tm_mon) || !digits(p + 8, 2, &tm.tm_mday) ||
        !digits(p + 11, 2, &tm.tm_hour) || !digits(p + 14, 2, &tm.tm_min) ||
        !digits(p + 17, 2, &tm.tm_sec))
        return 0;
    const char *q = p + 19;
    if (*q == '.')
        for (q++; q < space && *q >= '0' && *q <= '9'; q++, unit /= 10)
            ns += (uint64_t)(*q - '0') * unit;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    time_t t = timegm(&tm);
    *ret_len = (size_t)(space - p) + 1;
    return t < 0 ? 0 : (uint64_t)t * SECOND_NS + ns;
}

/* Was it written before? */
static bool known(struct stream *s, uint64_t at)
{
    if (!s->resuming)
        return false;
    if (at < s->note.time_ns || (at == s->note.time_ns && s->seen < s->note.count)) {
        s->seen += at == s->note.time_ns;
        return true;
    }
    s->resuming = false;
    return false;
}

static void on_message(void *arg, int fd, const char *p, size_t n)
{
    struct docker_logs *l = arg;
    struct stream *s = &l->out[fd == 2];
    size_t len;
    uint64_t at = time_of(p, n, &len);

    if (fd == 3) {
        log_warning("Docker cannot read the output of container '%s': %.*s", l->c->name,
                    (int)FL_MIN(n, 300u), p);
        return;
    }
    if (known(s, at))
        return;
    s->note.count = at == s->note.time_ns ? s->note.count + 1 : 1;
    s->note.time_ns = at;
    s->changed = true;
    size_t there = FL_MIN(s->skip, (uint64_t)(n - len));
    s->skip -= there;
    fl_buf_add(&s->ready, p + len + there, n - len - there);
}

/* ---- the request ---- */

static void follow(void *arg);

static void again(struct docker_logs *l)
{
    if (!l->retry)
        l->retry = fl_timer_new(l->c->dz->loop, follow, l);
    fl_timer_set(l->retry, RETRY_US);
}

static void on_data(void *arg, const char *p, size_t n)
{
    struct docker_logs *l = arg;

    if (l->broken.reason == FL_OK)
        docker_frames_add(&l->frames, p, n, on_message, l, &l->broken);
    flush(l, 0);
    flush(l, 1);
}

static void on_done(void *arg, const struct docker_answer *a)
{
    struct docker_logs *l = arg;

    l->call = NULL;
    if (docker_away(a)) {
        again(l);
        return;
    }
    if (a->err || l->broken.reason != FL_OK)
        log_warning("No (more) output of Docker container '%s': %s", l->c->name,
                    a->err ? a->err->msg : l->broken.msg);
    else if (!l->c->exited)
        again(l); /* the engine may be ending, or will say next that the container has */
    l->over = true;
    docker_output_over(l->c);
}

static void follow(void *arg)
{
    struct docker_logs *l = arg;
    uint64_t last = FL_MAX(l->out[0].note.time_ns, l->out[1].note.time_ns) / SECOND_NS;
    _cleanup_free_ char *base = docker_path(l->c, "logs");
    _cleanup_free_ char *path =
        xasprintf("%s?follow=true&stdout=true&stderr=true&timestamps=true&since=%" PRIu64, base,
                  last > OVERLAP_S ? last - OVERLAP_S : 0);
    const struct docker_request r = {
        .method = "GET", .path = path, .endless = true, .data = on_data, .done = on_done, .arg = l};

    l->over = false;
    fl_buf_clear(&l->frames.held);
    for (int i = 0; i < 2; i++) {
        l->out[i].resuming = l->out[i].note.time_ns > 0;
        l->out[i].seen = 0;
    }
    docker_ask(l->c->dz->engine, &r, &l->call);
}

/* ---- beginning and ending ---- */

static int open_output(struct docker_container *c, const char *name, int *ret_fd,
                       struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", c->sandbox, name);
    _cleanup_close_ int fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    struct stat st, sandbox;

    if (fd < 0 || fstat(fd, &st) < 0)
        return fl_err_errno(err, errno, "open '%s'", path);
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return fl_err_set(err, FL_INVALID, "'%s' is no regular file, or has another name as well",
                          path);
    if (st.st_size == 0 && stat(c->sandbox, &sandbox) == 0 && sandbox.st_uid != st.st_uid &&
        fchown(fd, sandbox.st_uid, sandbox.st_gid) < 0)
        log_debug("Cannot give '%s' to the task's user: %s", path, strerror(errno));
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int docker_logs_begin(struct docker_container *c, struct fl_err *err)
{
    struct docker_logs *l = xnew0(struct docker_logs);
    _cleanup_free_ char *note = xasprintf("%s/logs", c->folder);
    int r;

    l->c = c;
    l->out[0].fd = l->out[1].fd = l->note_fd = -EBADF;
    r = open_output(c, "stdout", &l->out[0].fd, err);
    if (r == 0)
        r = open_output(c, "stderr", &l->out[1].fd, err);
    if (r == 0) {
        l->note_fd = open(note, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (l->note_fd < 0)
            r = fl_err_errno(err, errno, "open '%s'", note);
    }
    if (r < 0) {
        docker_logs_free(l);
        return r;
    }
    read_note(l, 0);
    read_note(l, 1);
    c->logs = l;
    follow(l);
    return 0;
}

void docker_logs_free(struct docker_logs *l)
{
    if (!l)
        return;
    docker_cancel(l->call);
    fl_timer_free(l->retry);
    docker_frames_done(&l->frames);
    for (int i = 0; i < 2; i++) {
        fl_buf_done(&l->out[i].ready);
        if (l->out[i].fd >= 0)
            close(l->out[i].fd);
    }
    if (l->note_fd >= 0)
        close(l->note_fd);
    free(l);
}

bool docker_logs_over(const struct docker_logs *l)
{
    return l->over;
}
