/* stdout and stderr as files of the sandbox: given to the command as they are, or, where the plan sets a limit, through a pipe that we
 * read, so that a file that has grown too large makes room for the next.
 *
 * What is in the pipes when the container is killed from outside is lost; what it wrote before it ended by itself is not. When a file
 * cannot be written any more, output is read and dropped: the command must not stand still for it. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* More than a pipe holds. */
#define MAX_READS 64
/* No limit is smaller. */
#define PIECE 4096u

static const char *const names[SHIM_LOGS] = {"stdout", "stderr"};

/* The user may append to them, and must not make us write elsewhere by a link. */
int open_output(const struct shim *s, const char *name, struct shim_error *e)
{
    int fd = openat(s->sandbox_fd, name,
                    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
    struct stat st;

    if (fd < 0)
        return fail(e, errno, "open in the sandbox", name);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
        close(fd);
        return fail(e, EINVAL, "use as output what is no plain file:", name);
    }
    if (s->switch_user && st.st_uid != s->uid && fchown(fd, s->uid, s->gid) < 0) {
        int errnum = errno;
        close(fd);
        return fail(e, errnum, "give to the user", name);
    }
    fcntl(fd, F_SETFL, O_APPEND);
    return fd;
}

int log_open(struct shim *s, unsigned i, struct shim_error *e)
{
    struct shim_log *l = &s->logs[i];
    struct stat st;

    l->fd = open_output(s, names[i], e);
    l->size = l->fd >= 0 && fstat(l->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    return l->fd < 0 ? -1 : 0;
}

int log_open_for_command(struct shim *s, unsigned i, struct shim_error *e)
{
    struct shim_log *l = &s->logs[i];
    int p[2];

    if (log_open(s, i, e) < 0)
        return -1;
    if (l->max_size == 0) {
        int fd = l->fd;
        l->fd = -1;
        return fd;
    }
    if (pipe2(p, O_CLOEXEC) < 0)
        return fail(e, errno, "make a pipe for", names[i]);
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    l->pipe_fd = p[0];
    return p[1];
}

static void numbered(struct line *l, unsigned i, unsigned n)
{
    l->n = 0;
    line_add(l, names[i]);
    line_add(l, ".");
    line_int(l, n);
}

/* stdout becomes stdout.1, and so on; the last goes. */
static void rotate(struct shim *s, unsigned i)
{
    struct shim_log *l = &s->logs[i];
    struct shim_error ignored;
    struct line from, to;

    close(l->fd);
    if (l->keep == 0)
        unlinkat(s->sandbox_fd, names[i], 0);
    for (unsigned n = l->keep; n > 0; n--) {
        numbered(&to, i, n);
        numbered(&from, i, n - 1);
        renameat(s->sandbox_fd, n > 1 ? from.text : names[i], s->sandbox_fd, to.text);
    }
    log_open(s, i, &ignored);
    if (l->size >= l->max_size && l->fd >= 0 && ftruncate(l->fd, 0) == 0)
        l->size = 0; /* it could not be moved: something else has that name */
}

/* At most `n` bytes that go into one file. Returns how many were dealt with. */
static size_t write_piece(struct shim *s, unsigned i, const char *p, size_t n)
{
    struct shim_log *l = &s->logs[i];

    if (l->max_size) {
        n = n < PIECE ? n : PIECE;
        if (l->size > 0 && l->size + n > l->max_size)
            rotate(s, i);
    }
    ssize_t k = l->fd < 0 ? -1 : write(l->fd, p, n);
    l->size += k > 0 ? (uint64_t)k : 0;
    return k > 0 ? (size_t)k : n;
}

void log_write(struct shim *s, unsigned i, const char *p, size_t n)
{
    for (size_t done = 0; done < n;)
        done += write_piece(s, i, p + done, n - done);
}

static void take(struct shim *s, unsigned i)
{
    char buf[16 << 10];
    ssize_t n = 0;

    /* Not for ever: there are signals to be seen to. */
    for (unsigned k = 0; k < MAX_READS; k++) {
        n = read(s->logs[i].pipe_fd, buf, sizeof(buf));
        if (n <= 0)
            break;
        log_write(s, i, buf, (size_t)n);
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close(s->logs[i].pipe_fd); /* nobody can write any more */
        s->logs[i].pipe_fd = -1;
    }
}

void logs_take(struct shim *s)
{
    for (unsigned i = 0; i < SHIM_LOGS; i++)
        if (s->logs[i].pipe_fd >= 0)
            take(s, i);
}
