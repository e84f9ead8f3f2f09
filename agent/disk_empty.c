/* Removing what a task left in a folder, whatever it made there: names that are links, folders nested deeper than a path can say or
 * than there are descriptors, folders it may not enter. Works by descriptors and follows no link. A folder within is not descended
 * into: what it holds is moved up beside it, so two descriptors are enough. What is mounted below is not ours to remove. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/containerizer/containerizer.h"
#include "agent/disk.h"

struct emptying {
    int root;
    uint64_t n; /* folders moved up */
};

static bool is_dots(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Runs fn for each name in the folder until it fails. */
static int each(int dir, int (*fn)(struct emptying *e, int dir, const char *name),
                struct emptying *e)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!d) {
        r = -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    while (r == 0 && (entry = readdir(d))) {
        if (!is_dots(entry->d_name))
            r = fn(e, dir, entry->d_name);
    }
    closedir(d);
    return r;
}

static int unlink_as(int dir, const char *name, int flags)
{
    return unlinkat(dir, name, flags) == 0 || errno == ENOENT ? 0 : -errno;
}

static int move_up(struct emptying *e, int dir, const char *name)
{
    int r = unlink_as(dir, name, 0);
    char fresh[48];

    if (r != -EISDIR && r != -EPERM)
        return r;
    do {
        if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
            return 0;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return -errno;
        snprintf(fresh, sizeof fresh, ".fairlead-removing-%llu", (unsigned long long)e->n++);
        r = renameat(dir, name, e->root, fresh) == 0 ? 0 : -errno;
    } while (r == -ENOTEMPTY || r == -EEXIST || r == -ENOTDIR);
    return r;
}

/* Opens a folder that its owner may have closed to everybody. */
static int open_folder(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == EACCES && fchmodat(dir, name, 0700, 0) == 0)
        fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int remove_entry(struct emptying *e, int dir, const char *name)
{
    int r = unlink_as(dir, name, 0), fd;

    if (r != -EISDIR && r != -EPERM)
        return r;
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return -errno; /* EBUSY: something is mounted there */
    fd = open_folder(dir, name);
    if (fd < 0)
        return fd;
    fchmod(fd, 0700); /* to take names out of it; as root not needed */
    r = each(fd, move_up, e);
    close(fd);
    return r == 0 ? unlink_as(dir, name, AT_REMOVEDIR) : r;
}

static int count(struct emptying *e, int dir, const char *name)
{
    return -ENOTEMPTY;
}

int agent_disk_empty(void *ctx, const char *path, bool root, struct fl_err *err)
{
    _cleanup_close_ int fd = open_folder(AT_FDCWD, path);
    struct emptying e = {.root = fd};
    int r = fd < 0 ? fd : 0;

    if (r == -ENOENT)
        return 0;
    if (r == 0 && root)
        fchmod(fd, 0700);
    /* What was moved up may or may not be met in the same reading of the folder. */
    while (r == 0 && (r = each(fd, count, &e)) == -ENOTEMPTY)
        r = each(fd, remove_entry, &e);
    if (r == 0 && root && rmdir(path) < 0 && errno != ENOENT)
        r = -errno;
    return r < 0 ? fl_err_errno(err, -r, "empty the folder '%s'", path) : 0;
}

int agent_disk_empty_below(void *ctx, const char *base, const char *path, struct fl_err *err)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *above = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
    _cleanup_close_ int fd = container_open_below(base, above);

    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fl_err_errno(err, -fd, "open '%s' in the folder '%s'", above, base);
    _cleanup_free_ char *held = xasprintf("/proc/self/fd/%d/%s", fd, slash ? slash + 1 : path);
    return agent_disk_empty(ctx, held, true, err);
}

int agent_disk_sync(void *ctx, const char *path, struct fl_err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return 0;
    return fd < 0 || fsync(fd) < 0 ? fl_err_errno(err, errno, "sync '%s'", path) : 0;
}
