/* The files of struct agent_io on a real disk. Every function takes the shell's context and ignores it. Blocking: the files are
 * small, and what must be durable is synced (slave.info, resources; a few a day). */
#include "agent/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#define MAX_FILE (256u * 1024 * 1024)

/* The folder above `path`, and what is missing above that. Looks from below, where usually all but one is there. */
static int make_parents(const char *path, struct fl_err *err)
{
    _cleanup_free_ char *parent = xstrdup(path);
    char *slash = strrchr(parent, '/');
    int r;

    if (!slash || slash == parent)
        return 0;
    *slash = '\0';
    if (mkdir(parent, 0755) == 0 || errno == EEXIST)
        return 0;
    if (errno != ENOENT)
        return fl_err_errno(err, errno, "make folder '%s'", parent);
    r = make_parents(parent, err);
    if (r < 0)
        return r;
    if (mkdir(parent, 0755) < 0 && errno != EEXIST)
        return fl_err_errno(err, errno, "make folder '%s'", parent);
    return 0;
}

/* Opens, making the parent folders only when they turn out to be missing. */
static int open_for_write(const char *path, int flags, int *ret_fd, struct fl_err *err)
{
    int fd = open(path, flags | O_CLOEXEC | O_CREAT, 0644), r;

    if (fd < 0 && errno == ENOENT) {
        r = make_parents(path, err);
        if (r < 0)
            return r;
        fd = open(path, flags | O_CLOEXEC | O_CREAT, 0644);
    }
    if (fd < 0)
        return fl_err_errno(err, errno, "open '%s'", path);
    *ret_fd = fd;
    return 0;
}

static int write_all(int fd, const void *p, size_t n, const char *path, struct fl_err *err)
{
    const char *q = p;

    while (n > 0) {
        ssize_t done = write(fd, q, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fl_err_errno(err, errno, "write '%s'", path);
        q += done;
        n -= (size_t)done;
    }
    return 0;
}

static void sync_parent(const char *path)
{
    _cleanup_free_ char *copy = xstrdup(path);
    _cleanup_close_ int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0)
        fsync(fd);
}

int agent_disk_write(void *ctx, const char *path, const void *p, size_t n, bool durable,
                     struct fl_err *err)
{
    _cleanup_free_ char *tmp = xasprintf("%s.new", path);
    _cleanup_close_ int fd = -EBADF;
    int r = open_for_write(tmp, O_WRONLY | O_TRUNC, &fd, err);

    if (r == 0)
        r = write_all(fd, p, n, tmp, err);
    if (r < 0)
        return r;
    if (durable && fsync(fd) < 0)
        return fl_err_errno(err, errno, "sync '%s'", tmp);
    if (rename(tmp, path) < 0)
        return fl_err_errno(err, errno, "rename '%s' to '%s'", tmp, path);
    if (durable)
        sync_parent(path);
    return 0;
}

int agent_disk_append(void *ctx, const char *path, const void *p, size_t n, struct fl_err *err)
{
    _cleanup_close_ int fd = -EBADF;
    int r = open_for_write(path, O_WRONLY | O_APPEND, &fd, err);

    return r < 0 ? r : write_all(fd, p, n, path, err);
}

int agent_disk_truncate(void *ctx, const char *path, size_t n, struct fl_err *err)
{
    return truncate(path, (off_t)n) < 0 ? fl_err_errno(err, errno, "truncate '%s'", path) : 0;
}

int agent_disk_read(void *ctx, const char *path, struct fl_buf *out, struct fl_err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fl_err_errno(err, errno, "open '%s'", path);
    for (;;) {
        char *p = fl_buf_reserve(out, 8192);
        ssize_t n = read(fd, p, 8192);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fl_err_errno(err, errno, "read '%s'", path);
        if (n == 0)
            return 0;
        out->len += (size_t)n;
        if (out->len > MAX_FILE)
            return fl_err_set(err, FL_TOO_LARGE, "'%s' is larger than any checkpoint", path);
    }
}

int agent_disk_list(void *ctx, const char *path, void (*fn)(const char *name, void *arg), void *arg,
                    struct fl_err *err)
{
    DIR *d = opendir(path);
    struct dirent *e;

    if (!d)
        return fl_err_errno(err, errno, "list '%s'", path);
    while ((e = readdir(d))) {
        if (e->d_name[0] != '.' || (e->d_name[1] && !streq(e->d_name, "..")))
            fn(e->d_name, arg);
    }
    closedir(d);
    return 0;
}

/* As the reference: what a task writes is not for the users of other tasks. */
static int own(const char *path, const char *user, struct fl_err *err)
{
    const struct passwd *p = getpwnam(user);

    if (!p)
        return fl_err_set(err, FL_INVALID, "there is no user '%s' on this machine", user);
    if (chmod(path, 0750) < 0)
        return fl_err_errno(err, errno, "keep '%s' to user '%s'", path, user);
    if (p->pw_uid == geteuid())
        return 0;
    if (chown(path, p->pw_uid, p->pw_gid) < 0)
        return fl_err_errno(
            err, errno, "%sgive '%s' to user '%s'",
            geteuid() == 0 ? ""
                           : "(not being root; --no-switch_user runs all as the agent's own user) ",
            path, user);
    return 0;
}

int agent_disk_mkdir(void *ctx, const char *path, const char *user_or_null, struct fl_err *err)
{
    int r = 0;

    if (mkdir(path, 0755) < 0 && errno == ENOENT) {
        r = make_parents(path, err);
        if (r == 0 && mkdir(path, 0755) < 0 && errno != EEXIST)
            r = fl_err_errno(err, errno, "make folder '%s'", path);
    } else if (access(path, F_OK) < 0) {
        r = fl_err_errno(err, errno, "make folder '%s'", path);
    }
    if (r < 0)
        return r;
    return user_or_null ? own(path, user_or_null, err) : 0;
}

int agent_disk_link(void *ctx, const char *target, const char *path, struct fl_err *err)
{
    _cleanup_free_ char *tmp = xasprintf("%s.new", path);
    int r;

    if (unlink(tmp) < 0 && errno != ENOENT)
        return fl_err_errno(err, errno, "remove '%s'", tmp);
    if (symlink(target, tmp) < 0) {
        if (errno != ENOENT)
            return fl_err_errno(err, errno, "link '%s'", tmp);
        r = make_parents(path, err);
        if (r < 0)
            return r;
        if (symlink(target, tmp) < 0)
            return fl_err_errno(err, errno, "link '%s'", tmp);
    }
    if (rename(tmp, path) < 0)
        return fl_err_errno(err, errno, "rename '%s' to '%s'", tmp, path);
    return 0;
}

int agent_disk_readlink(void *ctx, const char *path, struct fl_buf *out, struct fl_err *err)
{
    char *p = fl_buf_reserve(out, PATH_MAX);
    ssize_t n = readlink(path, p, PATH_MAX);

    if (n < 0)
        return fl_err_errno(err, errno, "read link '%s'", path);
    out->len += (size_t)n;
    return 0;
}

int agent_disk_remove(void *ctx, const char *path, struct fl_err *err)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : fl_err_errno(err, errno, "remove '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return unlink(path) < 0 ? fl_err_errno(err, errno, "remove '%s'", path) : 0;
    /* A task may have made it: no path is long enough. */
    return agent_disk_empty(ctx, path, true, err);
}
