/* One entry of a layer onto the disk. Every path is resolved by the kernel as if the layer's folder were the root (openat2), so neither
 * `..`, nor absolute names, nor links that the layer itself made lead out of it. Last parts of names are never followed.
 *
 * Whiteouts of the archive (.wh.NAME, .wh..wh..opq) become overlay's: a character device 0/0, an attribute of the folder. They speak of
 * lower layers only, so what the layer itself has of that name stays. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "agent/images/layer_priv.h"
#include "agent/images/tree.h"

#define CHECK_DISK_EVERY ((uint64_t)16 << 20)
#define WHITEOUT         ".wh."
#define OPAQUE           ".wh..wh..opq"
#define AUFS_OWN         ".wh..wh."

/* ---- paths ---- */

static int open_in_root(const struct unpacking *u, const char *path, uint64_t flags)
{
    const struct open_how how = {.flags = flags | O_CLOEXEC,
                                 .resolve =
                                     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
    long fd;

    do
        fd = syscall(SYS_openat2, u->root, *path ? path : ".", &how, sizeof(how));
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    return (int)fd;
}

/* Opens the folder `path`; it and those above it are made if they are missing. */
static int open_folder(const struct unpacking *u, const char *path)
{
    int fd = open_in_root(u, path, O_RDONLY | O_DIRECTORY);

    if (fd >= 0 || errno != ENOENT || !*path)
        return fd;
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *above = xstrndup(path, slash ? (size_t)(slash - path) : 0);
    _cleanup_close_ int parent = open_folder(u, above);
    if (parent < 0 || (mkdirat(parent, slash ? slash + 1 : path, 0755) < 0 && errno != EEXIST))
        return -1;
    return open_in_root(u, path, O_RDONLY | O_DIRECTORY);
}

/* Without what is at the front and end and doubled; NULL: a name that an honest archive does not have. "" is the root. */
static char *clean_path(const char *name)
{
    char *out, *at;

    if (!name || strlen(name) > 4095)
        return NULL;
    out = at = xmalloc(strlen(name) + 2);
    for (const char *p = name; *p;) {
        size_t n = strcspn(p, "/");

        if (n == 2 && p[0] == '.' && p[1] == '.') {
            free(out);
            return NULL;
        }
        if (n > 0 && !(n == 1 && *p == '.')) {
            memcpy(at, p, n);
            at += n;
            *at++ = '/';
        }
        p += n + (p[n] == '/');
    }
    if (at > out)
        at--;
    *at = '\0';
    return out;
}

struct place {
    char *path; /* owned */
    const char *name;
    int parent;
};

static void place_done(struct place *p)
{
    free(p->path);
    if (p->parent >= 0)
        close(p->parent);
}

static int place_of(const struct unpacking *u, const char *name, bool make, struct place *p,
                    struct fl_err *err)
{
    p->path = clean_path(name);
    if (!p->path)
        return fl_err_set(err, FL_INVALID,
                          "the layer has an entry '%.200s', which would lie outside of it, or a "
                          "name that no file can have",
                          name ? name : "");
    char *slash = strrchr(p->path, '/');
    _cleanup_free_ char *above = xstrndup(p->path, slash ? (size_t)(slash - p->path) : 0);
    p->name = slash ? slash + 1 : p->path;
    p->parent = make ? open_folder(u, above) : open_in_root(u, above, O_RDONLY | O_DIRECTORY);
    return p->parent >= 0 ? 0 : fl_err_errno(err, errno, "make the folder of '%.200s'", p->path);
}

/* ---- limits ---- */

static int spend(struct unpacking *u, uint64_t n, struct fl_err *err)
{
    struct statvfs fs;

    u->bytes += n;
    if (u->limits.max_bytes && u->bytes > u->limits.max_bytes)
        return fl_err_set(err, FL_LIMIT, "the layer unpacks to more than %" PRIu64 " bytes",
                          u->limits.max_bytes);
    if (!u->limits.spare_bytes || u->bytes < u->check_at)
        return 0;
    u->check_at = u->bytes + CHECK_DISK_EVERY;
    if (fstatvfs(u->root, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < u->limits.spare_bytes)
        return fl_err_set(err, FL_LIMIT,
                          "unpacking stops because less than %" PRIu64
                          " MB are free where images are kept (--docker_store_dir)",
                          u->limits.spare_bytes >> 20);
    return 0;
}

/* ---- what an entry becomes ---- */

static int entry_failed(const struct place *p, struct fl_err *err)
{
    return fl_err_errno(err, errno, "unpack '%.200s'", p->path);
}

static int write_data(struct unpacking *u, const struct place *p, int fd, struct fl_err *err)
{
    const void *data;
    size_t n;
    la_int64_t offset, end = 0;
    int r;

    while ((r = archive_read_data_block(u->tar, &data, &n, &offset)) == ARCHIVE_OK) {
        int k = spend(u, n, err);
        if (k < 0)
            return k;
        for (size_t done = 0; done < n;) {
            ssize_t w = pwrite(fd, (const char *)data + done, n - done, offset + (off_t)done);
            if (w < 0 && errno != EINTR)
                return entry_failed(p, err);
            done += w > 0 ? (size_t)w : 0;
        }
        end = offset + (la_int64_t)n;
    }
    if (r != ARCHIVE_EOF)
        return fl_err_set(err, FL_INVALID, "unpack '%.200s': %s", p->path,
                          archive_error_string(u->tar) ? archive_error_string(u->tar) : "damaged");
    return ftruncate(fd, end) < 0 ? entry_failed(p, err) : 0;
}

static int make_file(struct unpacking *u, const struct place *p, int *ret_fd, struct fl_err *err)
{
    _cleanup_close_ int fd =
        openat(p->parent, p->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return entry_failed(p, err);
    int r = write_data(u, p, fd, err);
    if (r == 0)
        *ret_fd = TAKE_FD(fd);
    return r;
}

static int make_hard_link(struct unpacking *u, const struct place *p, const char *target,
                          struct fl_err *err)
{
    _cleanup_(place_done) struct place t = {.parent = -EBADF};
    int r = place_of(u, target, false, &t, err);

    if (r < 0)
        return r;
    return linkat(t.parent, t.name, p->parent, p->name, 0) < 0 ? entry_failed(p, err) : 0;
}

static int set_opaque(int dir, const char *path, struct fl_err *err)
{
    if (fsetxattr(dir, TREE_OPAQUE, "y", 1, 0) == 0)
        return 0;
    return fl_err_errno(err, errno,
                        "mark '%.200s' as hiding lower layers; the file system of "
                        "--docker_store_dir must have extended attributes",
                        path);
}

/* A folder where the layer also has, or had, a whiteout hides what lower layers have in it. */
static int make_folder(const struct place *p, int *ret_fd, struct fl_err *err)
{
    bool replaces = false;
    struct stat st;

    if (fstatat(p->parent, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode)) {
        replaces = tree_is_whiteout(&st);
        if (unlinkat(p->parent, p->name, 0) < 0)
            return entry_failed(p, err);
    }
    if (mkdirat(p->parent, p->name, 0755) < 0 && errno != EEXIST)
        return entry_failed(p, err);
    _cleanup_close_ int fd =
        openat(p->parent, p->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return entry_failed(p, err);
    int r = replaces ? set_opaque(fd, p->path, err) : 0;
    if (r == 0)
        *ret_fd = TAKE_FD(fd);
    return r;
}

static int whiteout(const struct unpacking *u, const struct place *p, struct fl_err *err)
{
    const char *hidden = p->name + strlen(WHITEOUT);
    struct stat st;

    if (streq(p->name, OPAQUE))
        return set_opaque(p->parent, p->path, err);
    if (str_starts(p->name, AUFS_OWN))
        return 0;
    if (!*hidden || streq(hidden, ".") || streq(hidden, ".."))
        return fl_err_set(err, FL_INVALID, "the layer has a whiteout of nothing, '%.200s'",
                          p->path);
    if (fstatat(p->parent, hidden, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return mknodat(p->parent, hidden, S_IFCHR | 0600, 0) < 0 ? entry_failed(p, err) : 0;
    if (!S_ISDIR(st.st_mode))
        return 0;
    _cleanup_close_ int fd =
        openat(p->parent, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? entry_failed(p, err) : set_opaque(fd, p->path, err);
}

/* Attributes beginning with trusted.overlay. would lead overlay anywhere; others belong to the system that packed them. */
static void set_attributes(struct archive_entry *e, int fd)
{
    const char *name;
    const void *value;
    size_t n;

    archive_entry_xattr_reset(e);
    while (archive_entry_xattr_next(e, &name, &value, &n) == ARCHIVE_OK)
        if (name && (streq(name, "security.capability") || str_starts(name, "user.")))
            fsetxattr(fd, name, value, n, 0);
}

static struct timespec mtime_of(struct archive_entry *e)
{
    return (struct timespec){archive_entry_mtime(e), archive_entry_mtime_nsec(e)};
}

static void remember_time(struct unpacking *u, const struct place *p, struct archive_entry *e)
{
    u->times = xgrow(u->times, &u->cap_times, u->n_times + 1, sizeof(*u->times));
    u->times[u->n_times++] = (struct dir_time){xstrdup(p->path), mtime_of(e)};
}

void layer_set_times(struct unpacking *u)
{
    for (size_t i = u->n_times; i-- > 0;) {
        _cleanup_close_ int fd = open_in_root(u, u->times[i].path, O_RDONLY | O_DIRECTORY);
        const struct timespec t[2] = {u->times[i].mtime, u->times[i].mtime};

        if (fd >= 0)
            futimens(fd, t);
    }
}

/* Owner first: changing it takes set-user-id and capabilities away. `fd` is of a file or folder, or negative. */
static int set_metadata(struct unpacking *u, const struct place *p, struct archive_entry *e, int fd,
                        struct fl_err *err)
{
    const struct timespec t[2] = {mtime_of(e), mtime_of(e)};
    uid_t uid = (uid_t)archive_entry_uid(e);
    gid_t gid = (gid_t)archive_entry_gid(e);
    mode_t mode = archive_entry_perm(e) & 07777;

    if (fd >= 0) {
        if (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0)
            return entry_failed(p, err);
        set_attributes(e, fd);
        if (archive_entry_filetype(e) == AE_IFDIR)
            remember_time(u, p, e);
        else
            futimens(fd, t);
        return 0;
    }
    if (fchownat(p->parent, p->name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
        return entry_failed(p, err);
    if (archive_entry_filetype(e) != AE_IFLNK && fchmodat(p->parent, p->name, mode, 0) < 0)
        return entry_failed(p, err);
    utimensat(p->parent, p->name, t, AT_SYMLINK_NOFOLLOW);
    return 0;
}

static int make_special(struct unpacking *u, const struct place *p, struct archive_entry *e,
                        struct fl_err *err)
{
    mode_t type = archive_entry_filetype(e);
    int r;

    if (type == AE_IFLNK) {
        const char *target = archive_entry_symlink(e);

        r = symlinkat(target && *target ? target : ".", p->parent, p->name);
    } else if (type == AE_IFCHR || type == AE_IFBLK || type == AE_IFIFO) {
        r = mknodat(p->parent, p->name, type | 0600, archive_entry_rdev(e));
    } else {
        return fl_err_set(err, FL_INVALID,
                          "the layer has an entry '%.200s' of a kind that no file is", p->path);
    }
    return r < 0 ? entry_failed(p, err) : set_metadata(u, p, e, -EBADF, err);
}

static int image_entry(struct unpacking *u, const struct place *p, struct archive_entry *e,
                       struct fl_err *err)
{
    _cleanup_close_ int fd = -EBADF;
    mode_t type = archive_entry_filetype(e);
    int r;

    if (str_starts(p->name, WHITEOUT))
        return whiteout(u, p, err);
    if (type == AE_IFDIR && !archive_entry_hardlink(e)) {
        r = make_folder(p, &fd, err);
        return r < 0 ? r : set_metadata(u, p, e, fd, err);
    }
    r = tree_remove(p->parent, p->name, err);
    if (r < 0)
        return r;
    if (archive_entry_hardlink(e))
        return make_hard_link(u, p, archive_entry_hardlink(e), err);
    if (type != AE_IFREG)
        return make_special(u, p, e, err);
    r = make_file(u, p, &fd, err);
    return r < 0 ? r : set_metadata(u, p, e, fd, err);
}

/* Links stay links: docker save has them for layers that are there twice. */
static int archive_file(struct unpacking *u, const struct place *p, struct archive_entry *e,
                        struct fl_err *err)
{
    _cleanup_close_ int fd = -EBADF;
    mode_t type = archive_entry_filetype(e);

    if (type == AE_IFDIR && !archive_entry_hardlink(e))
        return make_folder(p, &fd, err);
    int r = tree_remove(p->parent, p->name, err);
    if (r < 0)
        return r;
    if (archive_entry_hardlink(e))
        return make_hard_link(u, p, archive_entry_hardlink(e), err);
    if (type == AE_IFLNK)
        return symlinkat(archive_entry_symlink(e), p->parent, p->name) < 0 ? entry_failed(p, err)
                                                                           : 0;
    return type == AE_IFREG ? make_file(u, p, &fd, err) : 0;
}

int layer_entry(struct unpacking *u, struct archive_entry *e, struct fl_err *err)
{
    _cleanup_(place_done) struct place p = {.parent = -EBADF};
    _cleanup_close_ int root = -EBADF;
    int r = spend(u, 512, err);

    if (r == 0)
        r = place_of(u, archive_entry_pathname(e), true, &p, err);
    if (r < 0)
        return r;
    if (!*p.path) {
        /* The layer's own folder: mode and owner of the container's root. */
        root = fcntl(p.parent, F_DUPFD_CLOEXEC, 3);
        return u->kind == LAYER_OF_IMAGE && archive_entry_filetype(e) == AE_IFDIR
                   ? set_metadata(u, &p, e, root, err)
                   : 0;
    }
    return u->kind == LAYER_OF_IMAGE ? image_entry(u, &p, e, err) : archive_file(u, &p, e, err);
}
