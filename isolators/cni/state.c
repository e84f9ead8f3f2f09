/* See state.h. */
#include "isolators/cni/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static int read_all(int fd, const char *path, size_t max, char **ret, size_t *ret_n,
                    struct fl_err *err)
{
    _cleanup_free_ char *text = NULL;
    size_t n = 0, cap = 0;
    ssize_t got;

    do {
        text = xgrow(text, &cap, n + 4097, 1);
        got = read(fd, text + n, 4096);
        if (got < 0)
            return fl_err_errno(err, errno, "read '%s'", path);
        n += (size_t)got;
        if (n > max)
            return fl_err_set(err, FL_TOO_LARGE, "'%s' is larger than %zu bytes", path, max);
    } while (got > 0);
    text[n] = '\0';
    *ret_n = n;
    *ret = TAKE_PTR(text);
    return 0;
}

int cni_file_read(const char *path, size_t max, char **ret, size_t *ret_n, struct fl_err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return fl_err_errno(err, errno, "open '%s'", path);
    return read_all(fd, path, max, ret, ret_n, err);
}

int cni_file_write(const char *path, const char *text, bool durable, struct fl_err *err)
{
    _cleanup_free_ char *next = xasprintf("%s.next", path);
    _cleanup_close_ int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t n = strlen(text), done = 0;

    while (fd >= 0 && done < n) {
        ssize_t k = write(fd, text + done, n - done);
        if (k < 0)
            break;
        done += (size_t)k;
    }
    /* The tasks' users read some of them, whatever the agent's umask. */
    if (fd < 0 || done < n || fchmod(fd, 0644) < 0 || (durable && fdatasync(fd) < 0) ||
        rename(next, path) < 0)
        return fl_err_errno(err, errno, "write '%s'", path);
    return 0;
}

void cni_folder_each(const char *path, void (*fn)(void *arg, const char *name), void *arg)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    char **names = NULL;
    size_t n = 0, cap = 0;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.') {
            names = xgrow(names, &cap, n + 1, sizeof(*names));
            names[n++] = xstrdup(e->d_name);
        }
    if (d)
        closedir(d);
    for (size_t i = 0; i < n; i++) {
        fn(arg, names[i]);
        free(names[i]);
    }
    free(names);
}

static int remove_below(int dir, const char *name, dev_t dev, unsigned depth)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISDIR(st.st_mode))
        return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
    if (depth == 0 || st.st_dev != dev)
        return -EBUSY;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    int r = 0;
    while (d && r == 0 && (e = readdir(d)))
        if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
            r = remove_below(dirfd(d), e->d_name, dev, depth - 1);
    if (d)
        closedir(d);
    if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        r = -errno;
    return r;
}

int cni_folder_remove(const char *path, unsigned depth)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    return remove_below(AT_FDCWD, path, st.st_dev, depth);
}
