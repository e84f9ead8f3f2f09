/* tree_copy_layer(): see tree.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>
#include <uthash.h>

#include "agent/images/tree.h"

/* A file of the layer with several names: where its first one was copied to. */
struct linked {
    ino_t ino;
    char *path; /* from the root that is made; owned */
    UT_hash_handle hh;
};
struct copy {
    int root; /* what is made */
    struct linked *linked;
};

static int copy_folder(struct copy *c, int from, int to, const char *path, int depth,
                       struct fl_err *err);

static int copy_data(int from, int to, off_t size)
{
    ssize_t n;

    if (size == 0 || ioctl(to, FICLONE, from) == 0)
        return 0;
    while ((n = copy_file_range(from, NULL, to, NULL, (size_t)1 << 30, 0)) > 0)
        ;
    if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS)) {
        while ((n = sendfile(to, from, NULL, (size_t)1 << 30)) > 0)
            ;
    }
    return n < 0 ? -errno : 0;
}

/* What a program gets from its file, and what users put there; not what file systems keep for themselves. */
static bool is_kept(const char *name)
{
    return streq(name, "security.capability") || str_starts(name, "user.");
}

static void copy_attributes(int from, int to)
{
    char names[4096], value[4096];
    ssize_t n = flistxattr(from, names, sizeof(names));

    for (const char *p = names; n > 0 && p < names + n; p += strlen(p) + 1) {
        ssize_t len = is_kept(p) ? fgetxattr(from, p, value, sizeof(value)) : -1;

        if (len >= 0)
            fsetxattr(to, p, value, (size_t)len, 0);
    }
}

/* Owner first: changing it takes set-user-id and capabilities away. */
static int copy_metadata(int from, int to, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};

    if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
        return -errno;
    copy_attributes(from, to);
    return futimens(to, times) < 0 ? -errno : 0;
}

static int copy_file(int from_dir, const char *name, int to_dir, const struct stat *st)
{
    _cleanup_close_ int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_close_ int to =
        openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (from < 0 || to < 0)
        return -errno;
    int r = copy_data(from, to, st->st_size);
    return r < 0 ? r : copy_metadata(from, to, st);
}

static int copy_link(int from_dir, const char *name, int to_dir)
{
    char target[4097];
    ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

    if (n < 0)
        return -errno;
    target[n] = '\0';
    return symlinkat(target, to_dir, name) < 0 ? -errno : 0;
}

static int copy_plain(int from_dir, const char *name, int to_dir, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    int r;

    if (S_ISREG(st->st_mode))
        return copy_file(from_dir, name, to_dir, st);
    if (S_ISLNK(st->st_mode))
        r = copy_link(from_dir, name, to_dir);
    else
        r = mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0 ? -errno : 0;
    if (r == 0 && fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        r = -errno;
    if (r == 0 && !S_ISLNK(st->st_mode) && fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0)
        r = -errno;
    if (r == 0)
        utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW);
    return r;
}

/* Its first name is copied, the others are linked to that. */
static int copy_other(struct copy *c, int from_dir, const char *name, int to_dir, const char *path,
                      const struct stat *st, struct fl_err *err)
{
    struct linked *l = NULL;
    int r;

    if (st->st_nlink > 1)
        HASH_FIND(hh, c->linked, &st->st_ino, sizeof(st->st_ino), l);
    if (l)
        r = linkat(c->root, l->path, to_dir, name, 0) < 0 ? -errno : 0;
    else
        r = copy_plain(from_dir, name, to_dir, st);
    if (r < 0)
        return fl_err_errno(err, -r, "copy '%s' out of a layer", path);
    if (st->st_nlink > 1 && !l) {
        l = xnew0(struct linked);
        l->ino = st->st_ino;
        l->path = xstrdup(path);
        HASH_ADD(hh, c->linked, ino, sizeof(l->ino), l);
    }
    return 0;
}

static bool is_opaque(int fd)
{
    char v;

    return fgetxattr(fd, TREE_OPAQUE, &v, 1) == 1 && v == 'y';
}

static int copy_subfolder(struct copy *c, int from_dir, const char *name, int to_dir,
                          const char *path, int depth, struct fl_err *err)
{
    _cleanup_close_ int from =
        openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st, old;
    int r = 0;

    if (from < 0 || fstat(from, &st) < 0)
        return fl_err_errno(err, errno, "open '%s' of a layer", path);
    if (depth > TREE_MAX_DEPTH)
        return fl_err_set(err, FL_LIMIT, "folders of the image are nested more than %d deep",
                          TREE_MAX_DEPTH);
    if (fstatat(to_dir, name, &old, AT_SYMLINK_NOFOLLOW) == 0 &&
        (!S_ISDIR(old.st_mode) || is_opaque(from)))
        r = tree_remove(to_dir, name, err);
    if (r == 0 && mkdirat(to_dir, name, 0700) < 0 && errno != EEXIST)
        r = fl_err_errno(err, errno, "make '%s'", path);
    if (r < 0)
        return r;
    _cleanup_close_ int to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (to < 0)
        return fl_err_errno(err, errno, "open '%s'", path);
    r = copy_folder(c, from, to, path, depth, err);
    if (r == 0 && (r = copy_metadata(from, to, &st)) < 0)
        r = fl_err_errno(err, -r, "give '%s' its owner", path);
    return r;
}

static int copy_entry(struct copy *c, int from, int to, const char *path, const char *name,
                      int depth, struct fl_err *err)
{
    _cleanup_free_ char *whole = xasprintf("%s%s%s", path, *path ? "/" : "", name);
    struct stat st;

    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return fl_err_errno(err, errno, "look at '%s' of a layer", whole);
    if (S_ISDIR(st.st_mode))
        return copy_subfolder(c, from, name, to, whole, depth + 1, err);
    int r = tree_remove(to, name, err);
    if (r < 0 || tree_is_whiteout(&st))
        return r;
    return copy_other(c, from, name, to, whole, &st, err);
}

static int copy_folder(struct copy *c, int from, int to, const char *path, int depth,
                       struct fl_err *err)
{
    int own = fcntl(from, F_DUPFD_CLOEXEC, 3);
    DIR *d = own < 0 ? NULL : fdopendir(own);
    const struct dirent *e;
    int r = d ? 0 : fl_err_errno(err, errno, "list '%s' of a layer", path);

    while (r == 0 && (e = readdir(d)))
        if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
            r = copy_entry(c, from, to, path, e->d_name, depth, err);
    if (d)
        closedir(d);
    else if (own >= 0)
        close(own);
    return r;
}

int tree_copy_layer(int from, int to, struct fl_err *err)
{
    struct copy c = {.root = to};
    struct linked *l, *tmp;
    struct stat st;
    int r = 0;

    if (fstat(from, &st) < 0)
        return fl_err_errno(err, errno, "look at a layer");
    if (is_opaque(from))
        r = tree_empty(to, err);
    if (r == 0)
        r = copy_folder(&c, from, to, "", 0, err);
    if (r == 0 && (r = copy_metadata(from, to, &st)) < 0)
        r = fl_err_errno(err, -r, "give the root of an image its owner");
    HASH_ITER (hh, c.linked, l, tmp) {
        HASH_DEL(c.linked, l);
        free(l->path);
        free(l);
    }
    return r;
}
