/* See fetch_dir.h. */
#include "agent/containerizer/fetch_dir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

static int make_folders(const char *path, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(path);

    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return fl_err_errno(err, errno, "make '%s'", copy);
        *p = '/';
    }
    if (mkdir(copy, 0700) < 0 && errno != EEXIST)
        return fl_err_errno(err, errno, "make '%s'", copy);
    return 0;
}

static bool is_safe(const struct stat *st, bool last)
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return false;
    return !(st->st_mode & 022) || (!last && (st->st_mode & S_ISVTX));
}

/* Of every folder on the way. */
static int check_safe(char *path, struct fl_err *err)
{
    size_t len = strlen(path);

    for (size_t i = 1; i <= len; i++) {
        char end = path[i];
        struct stat st;
        if (end != '/' && end != '\0')
            continue;
        path[i] = '\0';
        bool safe = stat(path, &st) == 0 && S_ISDIR(st.st_mode) && is_safe(&st, i == len);
        int r = safe ? 0
                     : fl_err_set(err, FL_FORBIDDEN,
                                  "another user could change the fetcher's cache in '%s'; give a "
                                  "--fetcher_cache_dir in which only the agent's user can write",
                                  path);
        path[i] = end;
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_ours(const char *name)
{
    const char *p = name;

    if (*p++ != 'c' || !isdigit((unsigned char)*p))
        return false;
    while (isdigit((unsigned char)*p))
        p++;
    return *p == '-';
}

static int empty(int dir, struct fl_err *err)
{
    const struct dirent *e;
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (!d) {
        if (fd >= 0)
            close(fd);
        return fl_err_errno(err, errno, "list the fetcher's cache");
    }
    while ((e = readdir(d)))
        if (is_ours(e->d_name))
            unlinkat(dir, e->d_name, 0);
    closedir(d);
    return 0;
}

static int take_over(struct fetch_dir *d, const char *path, struct fl_err *err)
{
    int r = make_folders(path, err);

    if (r < 0)
        return r;
    d->path = realpath(path, NULL);
    if (!d->path)
        return fl_err_errno(err, errno, "find '%s'", path);
    r = check_safe(d->path, err);
    if (r < 0)
        return r;
    d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (d->fd < 0)
        return fl_err_errno(err, errno, "open '%s'", d->path);
    d->lock_fd = openat(d->fd, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (d->lock_fd < 0)
        return fl_err_errno(err, errno, "make '.lock' in '%s'", d->path);
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return fl_err_set(err, FL_CONFLICT,
                          "another agent uses '%s' as its fetcher's cache; give each its own "
                          "--fetcher_cache_dir",
                          d->path);
    return empty(d->fd, err);
}

int fetch_dir_open(struct fetch_dir *d, const char *path, struct fl_err *err)
{
    struct fetch_dir made = {.fd = -EBADF, .lock_fd = -EBADF};

    if (*path != '/')
        return fl_err_set(err, FL_INVALID, "--fetcher_cache_dir '%s' must be an absolute path",
                          path);
    int r = take_over(&made, path, err);
    if (r < 0)
        fetch_dir_close(&made);
    else
        *d = made;
    return r;
}

void fetch_dir_close(struct fetch_dir *d)
{
    free(d->path);
    if (d->fd >= 0)
        close(d->fd);
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    *d = (struct fetch_dir){.fd = -EBADF, .lock_fd = -EBADF};
}

int fetch_dir_make(struct fetch_dir *d, const char *file, struct fl_err *err)
{
    int fd = openat(d->fd, file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return fl_err_errno(err, errno, "make '%s/%s'", d->path, file);
    close(fd);
    return 0;
}

void fetch_dir_remove(struct fetch_dir *d, const char *file)
{
    if (d->path)
        unlinkat(d->fd, file, 0);
}

int64_t fetch_dir_size(const struct fetch_dir *d, const char *file)
{
    struct stat st;

    return fstatat(d->fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) ? st.st_size
                                                                                      : -1;
}
