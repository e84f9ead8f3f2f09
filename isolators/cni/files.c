/* See files.h. */
#include "isolators/cni/files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "isolators/cni/state.h"

static const char *const names[] = {"hosts", "hostname", "resolv.conf"};

static int write_in(const char *folder, const char *name, const char *text, bool durable,
                    struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);

    return cni_file_write(path, text, durable, err);
}

int cni_files_write(const char *folder, const char *hostname, const char *address,
                    const struct cni_dns *dns, bool durable, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf hosts = FL_BUF_INIT, resolv = FL_BUF_INIT;
    _cleanup_free_ char *line = xasprintf("%s\n", hostname);

    fl_buf_adds(&hosts, "127.0.0.1 localhost\n");
    if (address)
        fl_buf_addf(&hosts, "%s %s\n", address, hostname);
    int r = write_in(folder, "hostname", line, durable, err);
    if (r == 0)
        r = write_in(folder, "hosts", fl_buf_cstr(&hosts), durable, err);
    if (r < 0 || !dns->servers)
        return r;
    cni_dns_format(dns, &resolv);
    return write_in(folder, "resolv.conf", fl_buf_cstr(&resolv), durable, err);
}

/* ---- into a root file system ---- */

static int open_in(int root, const char *path, uint64_t flags, uint64_t mode)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .mode = mode,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

static int open_etc(int root)
{
    int fd = open_in(root, "etc", O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0 && errno == ENOENT && mkdirat(root, "etc", 0755) == 0)
        fd = open_in(root, "etc", O_RDONLY | O_DIRECTORY, 0);
    return fd;
}

/* O_PATH of a plain file there. */
static int open_plain(int etc, const char *name)
{
    struct stat st;

    if (fstatat(etc, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode) &&
        unlinkat(etc, name, 0) < 0)
        return -1;
    int fd = openat(etc, name, O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
    if (fd < 0 && (errno == EROFS || errno == EACCES))
        fd = openat(etc, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return fd;
}

int cni_files_make(const char *rootfs, const char *name, struct fl_err *err)
{
    _cleanup_close_ int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int etc = root < 0 ? -1 : open_etc(root);
    _cleanup_close_ int file = etc < 0 ? -1 : open_plain(etc, name);

    return file < 0 ? fl_err_errno(err, errno, "make '/etc/%s' in the root file system '%s'", name,
                                   rootfs)
                    : 0;
}

/* ---- mounts ---- */

static int mount_one(const char *source, const char *name, const char *rootfs, bool read_only,
                     struct launch_plan *plan, struct fl_err *err)
{
    _cleanup_free_ char *target = xasprintf("/etc/%s", name);

    /* Nothing is made on the machine for it. */
    if (!rootfs && access(target, F_OK) < 0)
        return 0;
    int r = rootfs ? cni_files_make(rootfs, name, err) : 0;
    if (r == 0)
        launch_plan_mount(plan, source, target, NULL, MS_BIND, NULL,
                          read_only ? PLAN_MOUNT_READ_ONLY : 0);
    return r;
}

int cni_files_mount(const char *folder, const char *rootfs, struct launch_plan *plan,
                    struct fl_err *err)
{
    int r = 0;

    for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++) {
        _cleanup_free_ char *own = xasprintf("%s/%s", folder, names[i]);
        _cleanup_free_ char *machine = xasprintf("/etc/%s", names[i]);
        if (access(own, F_OK) == 0)
            r = mount_one(own, names[i], rootfs, false, plan, err);
        else if (rootfs && access(machine, F_OK) == 0)
            r = mount_one(machine, names[i], rootfs, true, plan, err);
    }
    return r;
}
