/* See fetch_beneath.h. */
#include "agent/containerizer/fetch_beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#define LOOK_EVERY ((uint64_t)16 << 20)
#define KEEP_FREE  ((uint64_t)256 << 20)

/* ---- how much ---- */

static int look_at_disk(struct fetch_budget *b, struct fl_err *err)
{
    struct statvfs v;

    b->unchecked = 0;
    if (fstatvfs(b->fd, &v) < 0 || !v.f_blocks)
        return 0; /* a file system that does not say */
    uint64_t keep = FL_MIN(KEEP_FREE, (uint64_t)v.f_blocks * v.f_frsize / 50);
    if ((uint64_t)v.f_bavail * v.f_frsize >= keep)
        return 0;
    fl_err_set(err, FL_LIMIT,
               "the disk is nearly full, what is left of it is not given to fetching");
    return -ENOSPC;
}

int fetch_budget_take(struct fetch_budget *b, uint64_t n, struct fl_err *err)
{
    if (n > b->left) {
        b->left = 0;
        fl_err_set(err, FL_LIMIT, "it is larger than may be");
        return -ENOSPC;
    }
    b->left -= n;
    b->unchecked += n;
    return b->unchecked >= LOOK_EVERY ? look_at_disk(b, err) : 0;
}

int fetch_write(int fd, const char *data, size_t n, struct fl_err *err)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = write(fd, data + done, n - done);
        if (k < 0 && errno != EINTR)
            return fl_err_errno(err, errno, "write what was fetched");
        done += k > 0 ? (size_t)k : 0;
    }
    return 0;
}

/* ---- where ---- */

static int beneath(int sandbox, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};

    int fd = (int)syscall(SYS_openat2, sandbox, path, &how, sizeof(how));
    return fd < 0 ? -errno : fd;
}

static int open_failed(struct fl_err *err, int errnum, const char *path)
{
    if (errnum == EXDEV || errnum == ELOOP)
        return fl_err_set(err, FL_INVALID, "'%.200s' would lie outside of the sandbox", path);
    return fl_err_errno(err, errnum, "make '%.200s' in the sandbox", path);
}

/* Enters the folder `part` of `dir`, made if it is not there; `so_far` is the path to it, for one that is a link. */
static int enter(int sandbox, int dir, const char *part, const char *so_far)
{
    if (mkdirat(dir, part, 0755) < 0 && errno != EEXIST)
        return -errno;
    int fd = openat(dir, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? fd : beneath(sandbox, so_far, O_PATH | O_DIRECTORY);
}

/* Makes the folders of `path`, which is cut at each '/' and mended. */
static int make_folders(int sandbox, char *path, int *ret)
{
    _cleanup_close_ int dir = fcntl(sandbox, F_DUPFD_CLOEXEC, 3);
    char *part = path;

    for (int depth = 0; *part; depth++) {
        size_t n = strcspn(part, "/");
        char end = part[n];
        if (depth > BENEATH_MAX_DEPTH)
            return -ENAMETOOLONG;
        part[n] = '\0';
        int next = n == 0 || streq(part, ".") ? fcntl(dir, F_DUPFD_CLOEXEC, 3)
                                              : enter(sandbox, dir, part, path);
        part[n] = end;
        if (next < 0)
            return next;
        close(dir);
        dir = next;
        part += n + (end == '/');
    }
    *ret = TAKE_FD(dir);
    return 0;
}

/* The folder that holds `path`, and its last part, within `path` itself (whose slashes at the end are cut off). */
static int open_parent(int sandbox, char *path, int *ret_dir, const char **ret_name,
                       struct fl_err *err)
{
    size_t len = strlen(path);
    int dir, r = 0;

    while (len && path[len - 1] == '/')
        path[--len] = '\0';
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (!*name || streq(name, ".") || streq(name, "..") || *path == '/')
        return fl_err_set(err, FL_INVALID, "'%.200s' names nothing in the sandbox", path);
    if (!slash) {
        dir = fcntl(sandbox, F_DUPFD_CLOEXEC, 3);
    } else {
        *slash = '\0';
        dir = beneath(sandbox, path, O_PATH | O_DIRECTORY);
        if (dir == -ENOENT)
            r = make_folders(sandbox, path, &dir);
        *slash = '/';
    }
    if (r < 0 || dir < 0)
        return open_failed(err, r < 0 ? -r : -dir, path);
    *ret_dir = dir;
    *ret_name = name;
    return 0;
}

/* As open_parent(), and the name is free afterwards. */
static int open_place(int sandbox, char *path, int *ret_dir, const char **ret_name,
                      struct fl_err *err)
{
    int r = open_parent(sandbox, path, ret_dir, ret_name, err);

    if (r < 0)
        return r;
    if (unlinkat(*ret_dir, *ret_name, 0) < 0 && errno != ENOENT) {
        r = open_failed(err, errno, path);
        close(*ret_dir);
    }
    return r;
}

static int new_file(int dir, const char *name, mode_t mode)
{
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

    return fd < 0 ? -errno : fd;
}

int beneath_file(int sandbox, const char *path, int *ret_fd, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(path);
    _cleanup_close_ int dir = -EBADF;
    const char *name;

    int r = open_place(sandbox, copy, &dir, &name, err);
    if (r < 0)
        return r;
    int fd = new_file(dir, name, 0600);
    if (fd < 0)
        return open_failed(err, -fd, path);
    *ret_fd = fd;
    return 0;
}

int beneath_folder(int sandbox, const char *path, mode_t mode, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(path);
    int fd, r = make_folders(sandbox, copy, &fd);

    if (r < 0)
        return open_failed(err, -r, path);
    close(fd);
    fd = beneath(sandbox, copy, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return open_failed(err, -fd, path);
    /* What comes into it later must still be written. */
    if (fchmod(fd, mode | 0700) < 0)
        r = fl_err_errno(err, errno, "set the mode of '%.200s'", path);
    close(fd);
    return r;
}

int beneath_symlink(int sandbox, const char *path, const char *target, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(path);
    _cleanup_close_ int dir = -EBADF;
    const char *name;

    int r = open_place(sandbox, copy, &dir, &name, err);
    if (r < 0)
        return r;
    return symlinkat(target, dir, name) < 0 ? open_failed(err, errno, path) : 0;
}

int beneath_hardlink(int sandbox, const char *path, const char *target, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(path), *target_copy = xstrdup(target);
    _cleanup_close_ int dir = -EBADF, target_dir = -EBADF;
    const char *name, *target_name;

    if (streq(path, target))
        return 0;
    int r = open_parent(sandbox, target_copy, &target_dir, &target_name, err);
    if (r == 0)
        r = open_parent(sandbox, copy, &dir, &name, err);
    if (r < 0)
        return r;
    if (linkat(target_dir, target_name, dir, name, 0) == 0)
        return 0;
    if (errno == EEXIST && unlinkat(dir, name, 0) == 0 &&
        linkat(target_dir, target_name, dir, name, 0) == 0)
        return 0;
    return open_failed(err, errno, path);
}

int beneath_output(int sandbox, const char *name, int *ret_fd, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(name);
    _cleanup_close_ int dir = fcntl(sandbox, F_DUPFD_CLOEXEC, 3);
    char *part = copy;

    for (char *slash; (slash = strchr(part, '/')); part = slash + 1) {
        *slash = '\0';
        if (mkdirat(dir, part, 0755) < 0 && errno != EEXIST)
            return fl_err_errno(err, errno, "make the folder '%s' of '%.200s'", part, name);
        int next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return fl_err_errno(err, errno, "open the folder '%s' of '%.200s'", part, name);
        close(dir);
        dir = next;
    }
    unlinkat(dir, part, 0);
    int fd = new_file(dir, part, 0644);
    if (fd < 0)
        return fl_err_errno(err, -fd, "make '%.200s' in the sandbox", name);
    *ret_fd = fd;
    return 0;
}
