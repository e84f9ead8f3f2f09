#include "agent/images/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

/* Folders below this are moved to the top before they are emptied, so that neither the stack nor descriptors run out. */
#define REMOVE_DEPTH 64

struct removal {
    int top;
    unsigned moved;
};

static int remove_below(struct removal *r, int fd, int depth, struct fl_err *err);

static DIR *dir_of(int fd)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    DIR *d = own < 0 ? NULL : fdopendir(own);

    if (!d && own >= 0)
        close(own);
    if (d)
        rewinddir(d);
    return d;
}

static bool is_dots(const char *name)
{
    return streq(name, ".") || streq(name, "..");
}

static int remove_folder(struct removal *r, int dir, const char *name, int depth,
                         struct fl_err *err)
{
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat outer, inner;
    char other[32];
    int k;

    if (fd < 0 || fstat(dir, &outer) < 0 || fstat(fd, &inner) < 0)
        return fl_err_errno(err, errno, "open the folder '%s' to remove it", name);
    if (outer.st_dev != inner.st_dev)
        return fl_err_errno(err, EBUSY, "remove '%s', where something is mounted", name);
    if (depth >= REMOVE_DEPTH) {
        /* A layer may have that very name: then another. */
        do {
            fl_snprintf(other, sizeof(other), ".fairlead-deep-%u", r->moved++);
            k = renameat(dir, name, r->top, other) == 0 ? 0 : errno;
        } while (k == ENOTEMPTY || k == EEXIST || k == ENOTDIR);
        return k == 0 ? 0 : fl_err_errno(err, k, "move the folder '%s' to remove it", name);
    }
    k = remove_below(r, fd, depth + 1, err);
    if (k < 0)
        return k;
    return unlinkat(dir, name, AT_REMOVEDIR) == 0
               ? 0
               : fl_err_errno(err, errno, "remove the folder '%s'", name);
}

static int remove_one(struct removal *r, int dir, const char *name, int depth, struct fl_err *err)
{
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return fl_err_errno(err, errno, "remove '%s'", name);
    return remove_folder(r, dir, name, depth, err);
}

static int remove_below(struct removal *r, int fd, int depth, struct fl_err *err)
{
    DIR *d = dir_of(fd);
    const struct dirent *e;
    int k = d ? 0 : fl_err_errno(err, errno, "list a folder to remove it");

    while (k == 0 && d && (e = readdir(d)))
        if (!is_dots(e->d_name))
            k = remove_one(r, fd, e->d_name, depth, err);
    if (d)
        closedir(d);
    return k;
}

int tree_empty(int dir, struct fl_err *err)
{
    struct removal r = {.top = dir};
    unsigned before;
    int k;

    do {
        before = r.moved;
        k = remove_below(&r, dir, 0, err);
    } while (k == 0 && r.moved != before);
    return k;
}

int tree_remove(int dir, const char *name, struct fl_err *err)
{
    struct stat outer, inner;

    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return fl_err_errno(err, errno, "remove '%s'", name);
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(dir, &outer) < 0 || fstat(fd, &inner) < 0)
        return fl_err_errno(err, errno, "open the folder '%s' to remove it", name);
    if (outer.st_dev != inner.st_dev)
        return fl_err_errno(err, EBUSY, "remove '%s', where something is mounted", name);
    int k = tree_empty(fd, err);
    if (k < 0)
        return k;
    return unlinkat(dir, name, AT_REMOVEDIR) == 0
               ? 0
               : fl_err_errno(err, errno, "remove the folder '%s'", name);
}

int tree_make(const char *path, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(path);

    for (char *p = copy + 1;; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return fl_err_errno(err, errno, "make the folder '%s'", copy);
        *p = c;
        if (c == '\0')
            return 0;
    }
}
