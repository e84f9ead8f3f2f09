/* Places and binds. Whatever lies in the new root or in the sandbox, whose content is not ours, is held open before something is mounted
 * on it or taken from it, and is looked for so that no link leads out: below the root as if it were the root, in the sandbox through
 * no link at all. A bind is a copy of the tree first, made read-only where nobody sees it yet, and put in its place then. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* sys/mount.h, which has these too, cannot be read together with linux/mount.h. */
#define MOUNT_READ_ONLY 1
#define MOUNT_NOSUID    2
#define MOUNT_NODEV     4
#define MOUNT_NOEXEC    8

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

int open_below(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve | RESOLVE_NO_MAGICLINKS};
    int fd = -1;

    /* EAGAIN: something was renamed while a ".." was looked up. */
    for (int i = 0; i < 32 && fd < 0; i++) {
        fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
        if (fd < 0 && errno != EAGAIN)
            return -1;
    }
    return fd;
}

int open_in_root(const struct shim *s, const char *path)
{
    return open_below(s->root_fd, path, O_PATH, RESOLVE_IN_ROOT);
}

static int make_at(int dir, const char *name, bool folder)
{
    if (folder)
        return mkdirat(dir, name, 0755);
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? -1 : 0;
}

/* One step at a time: `upto` is the path as far as `name`, which is not there yet or not looked at. */
static int step_in_root(const struct shim *s, int dir, const char *upto, const char *name,
                        bool folder)
{
    int fd = open_in_root(s, upto);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (make_at(dir, name, folder) < 0 && errno != EEXIST)
        return -1;
    return open_in_root(s, upto);
}

int make_in_root(const struct shim *s, const char *path, bool folder)
{
    char upto[4096];
    size_t n = strlen(path);
    int fd = open_in_root(s, path), dir;

    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (n >= sizeof(upto)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    dir = open_in_root(s, "/");
    for (size_t from = 0; dir >= 0;) {
        while (path[from] == '/')
            from++;
        size_t end = from + strcspn(path + from, "/");
        if (from == end)
            return dir;
        memcpy(upto, path, end);
        upto[end] = '\0';
        fd = step_in_root(s, dir, upto, upto + from,
                          folder || path[end + strspn(path + end, "/")] != '\0');
        int errnum = errno;
        close(dir);
        errno = errnum;
        dir = fd;
        from = end;
    }
    return -1;
}

int copy_tree(int dir, const char *path, bool recursive)
{
    return (int)syscall(SYS_open_tree, dir, path,
                        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
                            (recursive ? AT_RECURSIVE : 0));
}

int restrict_tree(int tree, unsigned long flags, bool recursive)
{
    struct mount_attr attr = {
        .attr_set = (flags & MOUNT_READ_ONLY ? MOUNT_ATTR_RDONLY : 0) |
                    (flags & MOUNT_NOSUID ? MOUNT_ATTR_NOSUID : 0) |
                    (flags & MOUNT_NODEV ? MOUNT_ATTR_NODEV : 0) |
                    (flags & MOUNT_NOEXEC ? MOUNT_ATTR_NOEXEC : 0),
    };

    if (!attr.attr_set)
        return 0;
    return (int)syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0),
                        &attr, sizeof(attr));
}

int put_tree(int tree, int target)
{
    return (int)syscall(SYS_move_mount, tree, "", target, "",
                        MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* Steps into `name`, which is made if need be and then given to whom `dir` belongs. Closes `dir`. */
static int step_in_sandbox(int dir, const char *name, bool folder)
{
    bool made = make_at(dir, name, folder) == 0;
    int fd = made || errno == EEXIST ? openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
    struct stat st;

    if (made && fd >= 0 &&
        (fstat(dir, &st) < 0 || fchownat(fd, "", st.st_uid, st.st_gid, AT_EMPTY_PATH) < 0)) {
        int errnum = errno;
        close(fd);
        errno = errnum;
        fd = -1;
    }
    int errnum = errno;
    close(dir);
    errno = errnum;
    return fd;
}

static int make_in_sandbox(int sandbox, const char *path, bool folder)
{
    const uint64_t how = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    char name[256];
    int fd = open_below(sandbox, path, O_PATH, how);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    int dir = open_below(sandbox, ".", O_PATH, how);
    while (dir >= 0 && *(path += strspn(path, "/"))) {
        size_t n = strcspn(path, "/");
        if (n >= sizeof(name) || (n == 2 && memcmp(path, "..", 2) == 0)) {
            close(dir);
            errno = EINVAL;
            return -1;
        }
        memcpy(name, path, n);
        name[n] = '\0';
        path += n;
        dir = step_in_sandbox(dir, name, folder || path[strspn(path, "/")]);
    }
    return dir;
}

/* A folder of the sandbox, made when it is not there. */
static int source_in_sandbox(const struct shim *s, bool of_root, const char *path)
{
    if (!of_root)
        return make_in_sandbox(s->sandbox_fd, path, true);
    int dir =
        open(s->sandbox_root ? s->sandbox_root : s->sandbox, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -1;
    int fd = make_in_sandbox(dir, path, true), errnum = errno;
    close(dir);
    errno = errnum;
    return fd;
}

static int source_tree(struct shim *s, const struct plan_mount *m, const char *path, bool recursive)
{
    bool of_root = m->options & PLAN_MOUNT_SOURCE_IN_SANDBOX_ROOT;

    if (m->options & PLAN_MOUNT_SHARED)
        return s->shared[s->n_shared_put++];
    if (!of_root && !(m->options & PLAN_MOUNT_SOURCE_IN_SANDBOX))
        return copy_tree(AT_FDCWD, path, recursive);
    int fd = source_in_sandbox(s, of_root, path);
    if (fd < 0)
        return -1;
    int tree = copy_tree(fd, "", recursive), errnum = errno;
    close(fd);
    errno = errnum;
    return tree;
}

int take_shared(struct shim *s, struct shim_error *e)
{
    struct plan_record r;
    struct plan_mount m;
    const char *str[4];
    size_t pos, n = 0;

    plan_begin(s->plan, s->plan_len, &pos);
    while (plan_next(s->plan, s->plan_len, &pos, &r) > 0) {
        if (r.tag != PLAN_MOUNT)
            continue;
        memcpy(&m, r.data, sizeof(m));
        if (!(m.options & PLAN_MOUNT_SHARED))
            continue;
        if (n == SHIM_MAX_BORROWED || !plan_mount_strings(&r, str))
            return fail(e, EPROTO, "understand", "plan");
        s->shared[n] = copy_tree(AT_FDCWD, str[0], true);
        if (s->shared[n++] < 0)
            return fail(e, errno, "open to mount it", str[0]);
    }
    return 0;
}

int open_target(const struct shim *s, const char *path, bool in_sandbox, bool folder)
{
    if (in_sandbox)
        return make_in_sandbox(s->sandbox_fd, path, folder);
    if (s->root_fd >= 0)
        return make_in_root(s, path, folder);
    return open(path, O_PATH | O_CLOEXEC);
}

int put_at(const struct shim *s, int tree, const char *path, bool in_sandbox)
{
    struct stat st;

    if (fstat(tree, &st) < 0)
        return -1;
    int fd = open_target(s, path, in_sandbox, S_ISDIR(st.st_mode));
    if (fd < 0)
        return -1;
    int r = put_tree(tree, fd), errnum = errno;
    close(fd);
    errno = errnum;
    return r;
}

int bind_mount(struct shim *s, const struct plan_mount *m, const char *const str[4], bool recursive,
               struct shim_error *e)
{
    unsigned long flags =
        (m->flags & ~1UL) | (m->options & PLAN_MOUNT_READ_ONLY ? MOUNT_READ_ONLY : 0);
    int tree = source_tree(s, m, str[0], recursive), r;

    if (tree < 0)
        return fail(e, errno, "open to mount it", str[0]);
    if (restrict_tree(tree, flags, recursive) < 0)
        r = fail(e, errno, "limit the mount of", str[0]);
    else if (put_at(s, tree, str[1], m->options & PLAN_MOUNT_TARGET_IN_SANDBOX) < 0)
        r = fail(e, errno, "mount at", str[1]);
    else
        r = 0;
    close(tree);
    return r;
}
