/* See sandbox_path.h. Walks by descriptors, each opened without following links. */
#include "isolators/sandbox_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

int make_folders(const char *path, struct fl_err *err)
{
    _cleanup_free_ char *p = xstrdup(path);

    for (char *s = p; s;) {
        s = strchr(s + 1, '/');
        if (s)
            *s = '\0';
        if (mkdir(p, 0755) < 0 && errno != EEXIST)
            return fl_err_errno(err, errno, "make the folder '%s'", p);
        if (s)
            *s = '/';
    }
    return 0;
}

/* Steps into `name` of *dir, making it if need be. */
static int step(int *dir, const char *name, const struct stat *owner)
{
    bool made = mkdirat(*dir, name, 0755) == 0;

    if (!made && errno != EEXIST)
        return -errno;
    int fd = openat(*dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (made && fchown(fd, owner->st_uid, owner->st_gid) < 0 && geteuid() == 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    close(*dir);
    *dir = fd;
    return 0;
}

static int make_last(int *dir, const char *name, enum sandbox_kind kind, const char *target,
                     const struct stat *owner)
{
    if (kind == SANDBOX_DIR)
        return step(dir, name, owner);
    if (kind == SANDBOX_LINK) {
        char now[PATH_MAX];
        if (symlinkat(target, *dir, name) == 0)
            return 0;
        ssize_t n = errno == EEXIST ? readlinkat(*dir, name, now, sizeof(now) - 1) : -1;
        if (n < 0)
            return -EEXIST;
        now[n] = '\0';
        return streq(now, target) ? 0 : -EEXIST;
    }
    _cleanup_close_ int fd = openat(*dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : 0;
}

int sandbox_make(const char *sandbox, const char *path, enum sandbox_kind kind, const char *target,
                 struct fl_err *err)
{
    _cleanup_close_ int dir = open(sandbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_free_ char *copy = xstrdup(path);
    struct stat owner;
    int r = 0;

    if (dir < 0 || fstat(dir, &owner) < 0)
        return fl_err_errno(err, errno, "open the sandbox '%s'", sandbox);
    if (*path == '/' || !*path)
        return fl_err_set(err, FL_INVALID, "the path '%s' must be relative to the sandbox", path);
    for (char *name = copy; name && r == 0;) {
        char *next = strchr(name, '/');
        if (next)
            *next++ = '\0';
        while (next && *next == '/')
            next++;
        if (next && !*next)
            next = NULL;
        if (streq(name, ".."))
            return fl_err_set(err, FL_INVALID, "the path '%s' must not leave the sandbox", path);
        if (!streq(name, "."))
            r = next ? step(&dir, name, &owner) : make_last(&dir, name, kind, target, &owner);
        name = next;
    }
    return r < 0 ? fl_err_errno(err, -r, "make '%s' in the sandbox '%s'", path, sandbox) : 0;
}

void sandbox_unlink(const char *sandbox, const char *path, const char *target)
{
    _cleanup_close_ int dir = open(sandbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_free_ char *copy = xstrdup(path);
    char *name = copy, *slash, now[PATH_MAX];
    ssize_t n;

    while (dir >= 0 && (slash = strchr(name, '/'))) {
        int next;

        *slash = '\0';
        next = *name ? openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                     : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(dir);
        dir = next;
        name = slash + 1;
    }
    n = dir < 0 ? -1 : readlinkat(dir, name, now, sizeof(now) - 1);
    if (n < 0)
        return;
    now[n] = '\0';
    if (streq(now, target))
        unlinkat(dir, name, 0);
}
