/* See runtime_dir.h. */
#include "agent/containerizer/runtime_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/containerizer/containerizer.h"
#include "agent/containerizer/shim/note.h"
#include "agent/flags.h"
#include "common/base/buf.h"

static bool try_shim(const char *dir, const char *below, int *ret_fd)
{
    char path[PATH_MAX];

    if (!dir || fl_snprintf(path, sizeof(path), "%s%s/fairlead-shim", dir, below) < 0 ||
        access(path, X_OK) < 0)
        return false;
    *ret_fd = open(path, O_PATH | O_CLOEXEC);
    return *ret_fd >= 0;
}

int shim_open(const struct agent_flags *flags, int *ret_fd, struct fl_err *err)
{
    char exe[PATH_MAX];

    if (flags->shim_path) {
        int fd = open(flags->shim_path, O_PATH | O_CLOEXEC);
        if (fd < 0)
            return fl_err_errno(err, errno, "open the shim '%s' of --shim_path", flags->shim_path);
        *ret_fd = fd;
        return 0;
    }
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n < 0)
        return fl_err_errno(err, errno, "read '/proc/self/exe'");
    exe[n] = '\0';
    const char *dir = dirname(exe);
    static const char *const below[] = {"", "/../bin", "/../libexec/fairlead", "/../../bin"};
    if (try_shim(flags->launcher_dir, "", ret_fd))
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(below); i++)
        if (try_shim(dir, below[i], ret_fd))
            return 0;
    return fl_err_set(err, FL_NOT_FOUND,
                      "no program 'fairlead-shim' in --launcher_dir '%s' or beside '%s'; give its "
                      "place by --shim_path",
                      flags->launcher_dir ? flags->launcher_dir : "", dir);
}

char *helper_path(const struct agent_flags *flags, const char *name)
{
    static const char *const below[] = {"", "/../bin", "/../libexec/fairlead", "/../../bin"};
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    char *path = flags->launcher_dir ? xasprintf("%s/%s", flags->launcher_dir, name) : NULL;

    if (path && access(path, X_OK) == 0)
        return path;
    free(path);
    if (n < 0)
        return NULL;
    exe[n] = '\0';
    const char *dir = dirname(exe);
    for (size_t i = 0; i < ARRAY_SIZE(below); i++) {
        path = xasprintf("%s%s/%s", dir, below[i], name);
        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

static int make_dirs(const char *path, struct fl_err *err)
{
    _cleanup_free_ char *p = xstrdup(path);

    for (char *s = strchr(p + 1, '/');; s = strchr(s + 1, '/')) {
        if (s)
            *s = '\0';
        if (mkdir(p, 0755) < 0 && errno != EEXIST)
            return fl_err_errno(err, errno, "make the folder '%s'", p);
        if (!s)
            return 0;
        *s = '/';
    }
}

int runtime_dir_prepare(const char *runtime_dir, struct fl_err *err)
{
    _cleanup_free_ char *p = xasprintf("%s/containers", runtime_dir);

    return make_dirs(p, err);
}

char *runtime_folder(const char *runtime_dir, const char *id)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    fl_buf_addf(&b, "%s", runtime_dir);
    for (const char *p = id; *p;) {
        size_t n = strcspn(p, ".");
        fl_buf_addf(&b, "/containers/%.*s", (int)n, p);
        p += n + (p[n] == '.');
    }
    return xstrdup(fl_buf_cstr(&b));
}

/* The folder of a first child goes into one that is not there yet. */
static int make_in_parent(const char *folder)
{
    if (mkdir(folder, 0700) == 0)
        return 0;
    if (errno != ENOENT)
        return -1;
    _cleanup_free_ char *copy = xstrdup(folder);
    if (mkdir(dirname(copy), 0700) < 0 && errno != EEXIST)
        return -1;
    return mkdir(folder, 0700);
}

int runtime_folder_make(const char *folder, struct fl_err *err)
{
    if (make_in_parent(folder) == 0)
        return 0;
    if (errno != EEXIST)
        return fl_err_errno(err, errno, "make the runtime folder '%s'", folder);
    runtime_folder_remove(folder);
    return mkdir(folder, 0700) < 0
               ? fl_err_errno(err, errno, "make the runtime folder '%s'", folder)
               : 0;
}

static void remove_at(int parent, const char *name, unsigned depth);

/* What was nested in it. */
static void remove_children(int dir, unsigned depth)
{
    int fd = openat(dir, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;

    if (!d) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while (depth > 0 && (e = readdir(d)))
        if (e->d_name[0] != '.')
            remove_at(fd, e->d_name, depth - 1);
    closedir(d);
    unlinkat(dir, "containers", AT_REMOVEDIR);
}

/* Only what can be in it: files by their names, and folders of the same kind. */
static void remove_at(int parent, const char *name, unsigned depth)
{
    static const char *const files[] = {"plan",  "shim",        "started",   "status",
                                        "fetch", "fetch-cache", "shim.tmp",  "started.tmp",
                                        "io",    "logs",        "status.tmp"};

    int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir < 0)
        return;
    remove_children(dir, depth);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        unlinkat(dir, files[i], 0);
    close(dir);
    unlinkat(parent, name, AT_REMOVEDIR);
}

void runtime_folder_remove(const char *folder)
{
    remove_at(AT_FDCWD, folder, CONTAINER_MAX_DEPTH);
}

int runtime_file_write(const char *folder, const char *name, const char *data, size_t n,
                       struct fl_err *err)
{
    char path[PATH_MAX];

    if (fl_snprintf(path, sizeof(path), "%s/%s", folder, name) < 0)
        return fl_err_set(err, FL_INVALID, "the path '%s' is too long", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fl_err_errno(err, errno, "open '%s'", path);
    int r = 0;
    for (size_t done = 0; done < n && r == 0;) {
        ssize_t k = write(fd, data + done, n - done);
        if (k < 0 && errno != EINTR)
            r = fl_err_errno(err, errno, "write '%s'", path);
        done += k > 0 ? (size_t)k : 0;
    }
    close(fd);
    return r;
}

int runtime_file_read(const char *folder, const char *name, size_t max, char **ret_data,
                      size_t *ret_n, struct fl_err *err)
{
    char path[PATH_MAX];
    struct stat st;

    if (fl_snprintf(path, sizeof(path), "%s/%s", folder, name) < 0)
        return fl_err_set(err, FL_INVALID, "the path '%s' is too long", folder);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fl_err_errno(err, errno, "open '%s'", path);
    if (fstat(fd, &st) < 0)
        return fl_err_errno(err, errno, "stat '%s'", path);
    if (st.st_size < 0 || (uint64_t)st.st_size > max)
        return fl_err_set(err, FL_TOO_LARGE, "'%s' has %lld bytes, more than %zu", path,
                          (long long)st.st_size, max);
    _cleanup_free_ char *data = xmalloc((size_t)st.st_size + 1);
    size_t n = 0;
    while (n < (size_t)st.st_size) {
        ssize_t k = read(fd, data + n, (size_t)st.st_size - n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return fl_err_errno(err, errno, "read '%s'", path);
        if (k == 0)
            break;
        n += (size_t)k;
    }
    data[n] = '\0';
    *ret_data = TAKE_PTR(data);
    *ret_n = n;
    return 0;
}

/* Field 22 of /proc/<pid>/stat; 0 when there is no such process, or it is a zombie. */
static uint64_t start_time(pid_t pid)
{
    char path[64], text[1024];

    fl_snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    char *p = strrchr(text, ')');
    if (!p || str_starts(p, ") Z") || str_starts(p, ") X"))
        return 0;
    for (int field = 2; field < 22 && p; field++)
        p = strchr(p + 1, ' ');
    char *end = p ? strchr(p + 1, ' ') : NULL;
    uint64_t v = 0;
    if (!end)
        return 0;
    *end = '\0';
    return fl_parse_u64(p + 1, &v) < 0 ? 0 : v;
}

int runtime_process_write(const char *folder, const char *name, pid_t pid, struct fl_err *err)
{
    char text[64];

    fl_snprintf(text, sizeof(text), "%d %" PRIu64 "\n", pid, start_time(pid));
    return runtime_file_write(folder, name, text, strlen(text), err);
}

pid_t runtime_process(const char *folder, const char *name, int *ret_pidfd)
{
    _cleanup_free_ char *text = NULL;
    size_t n;
    int64_t pid;
    uint64_t start;

    int r = runtime_file_read(folder, name, 128, &text, &n, NULL);
    if (r < 0)
        return r;
    char *space = strchr(text, ' '), *nl = strchr(text, '\n');
    if (!space || !nl || nl < space)
        return -EPROTO;
    *space = *nl = '\0';
    if (fl_parse_i64(text, &pid) < 0 || pid <= 0 || pid > INT_MAX ||
        fl_parse_u64(space + 1, &start) < 0)
        return -EPROTO;
    /* First the pidfd, then the look: what it names cannot change in between. */
    int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (pidfd < 0)
        return 0;
    if (start_time((pid_t)pid) != start) {
        close(pidfd);
        return 0;
    }
    *ret_pidfd = pidfd;
    return (pid_t)pid;
}

enum runtime_status runtime_status_read(const char *folder, int *ret_value, char *text, size_t size)
{
    _cleanup_free_ char *data = NULL;
    size_t n;
    int64_t v;

    if (runtime_file_read(folder, "status", 2 * SHIM_TEXT_MAX, &data, &n, NULL) < 0)
        return RUNTIME_NO_STATUS;
    enum runtime_status kind = str_starts(data, "exited ")   ? RUNTIME_EXITED
                               : str_starts(data, "failed ") ? RUNTIME_FAILED
                                                             : RUNTIME_NO_STATUS;
    char *number = data + strlen("exited "), *rest = kind ? strchr(number, ' ') : NULL;
    if (!rest)
        return RUNTIME_NO_STATUS;
    *rest++ = '\0';
    rest[strcspn(rest, "\n")] = '\0';
    if (fl_parse_i64(number, &v) < 0)
        return RUNTIME_NO_STATUS;
    *ret_value = (int)v;
    fl_snprintf(text, size, "%s", rest);
    return kind;
}
