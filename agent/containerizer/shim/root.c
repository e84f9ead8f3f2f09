/* The root file system of a container that has one: what every such root gets (/proc, /sys, /dev, the sandbox), and how it becomes
 * the root. The image's content is not ours: its links are followed inside of it only (mounts.c). The old root is detached, so
 * nothing of the machine's files can be reached afterwards but what was mounted; no descriptor of ours survives the exec. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define PLAIN (MS_NOSUID | MS_NOEXEC | MS_NODEV)

static const struct {
    const char *at, *type, *data;
    unsigned long flags;
} systems[] = {
    {"/proc", "proc", NULL, PLAIN}, /* first: see prepare_systems() */
    {"/sys", "sysfs", NULL, PLAIN | MS_RDONLY},
    {"/sys/fs/cgroup", "tmpfs", "mode=755", PLAIN},
    {"/dev", "tmpfs", "mode=755", MS_NOSUID | MS_NOEXEC | MS_STRICTATIME},
    /* Group 5 is `tty` wherever there is one. */
    {"/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC},
};

static const struct {
    const char *name;
    unsigned major, minor;
} devices[] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
               {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};

static const struct {
    const char *name, *to;
} links[] = {{"fd", "/proc/self/fd"},
             {"stdin", "/proc/self/fd/0"},
             {"stdout", "/proc/self/fd/1"},
             {"stderr", "/proc/self/fd/2"},
             {"ptmx", "pts/ptmx"}};

/* What would change the machine is read-only, ... */
static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                        "/proc/sysrq-trigger"};
/* ... and what tells of it is not seen, but by those who share its processes anyway. */
static const char *const masked[] = {
    "/proc/acpi",       "/proc/asound",        "/proc/kcore",       "/proc/keys",
    "/proc/key-users",  "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/timer_list", "/proc/timer_stats",   "/sys/firmware",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int mount_in_root(const struct shim *s, const char *source, const char *at, const char *type,
                  unsigned long flags, const char *data)
{
    int fd = make_in_root(s, at, true), r = -1;

    if (fd >= 0 && fchdir(fd) == 0)
        r = mount(source, ".", type, flags, data);
    int errnum = errno;
    if (fd >= 0)
        close(fd);
    errno = errnum;
    return r;
}

static int make_devices(const struct shim *s, struct shim_error *e)
{
    int fd = open_in_root(s, "/dev"), r = 0;

    if (fd < 0)
        return fail(e, errno, "open in the root", "/dev");
    mode_t mask = umask(0);
    for (size_t i = 0; i < COUNT(devices) && r == 0; i++)
        if (mknodat(fd, devices[i].name, S_IFCHR | 0666,
                    makedev(devices[i].major, devices[i].minor)) < 0)
            r = fail(e, errno, "make the device", devices[i].name);
    umask(mask);
    for (size_t i = 0; i < COUNT(links) && r == 0; i++)
        if (symlinkat(links[i].to, fd, links[i].name) < 0)
            r = fail(e, errno, "make in /dev the link", links[i].name);
    close(fd);
    return r;
}

/* Whether /proc is the parent's: ours would show the processes of the machine, for we are not in the pid namespace that the
 * command will be in. */
static bool borrows_proc(const struct shim *s)
{
    struct plan_record r;
    const char *str[2];
    size_t pos;

    plan_begin(s->plan, s->plan_len, &pos);
    while (plan_next(s->plan, s->plan_len, &pos, &r) > 0)
        if (r.tag == PLAN_BORROW && plan_strings(&r, sizeof(struct plan_borrow), str, 2) &&
            strcmp(str[1], "/proc") == 0)
            return true;
    return false;
}

static int show_sandbox(struct shim *s, struct shim_error *e)
{
    int tree = copy_tree(s->sandbox_fd, "", true);

    if (tree < 0)
        return fail(e, errno, "copy the mounts of the sandbox", s->sandbox);
    if (put_at(s, tree, s->sandbox_target, false) < 0) {
        int errnum = errno;
        close(tree);
        return fail(e, errnum, "mount the sandbox at", s->sandbox_target);
    }
    close(s->sandbox_fd);
    s->sandbox_fd = tree; /* all that is done in it from now on is seen there */
    return 0;
}

int root_prepare(struct shim *s, struct shim_error *e)
{
    size_t first = borrows_proc(s) ? 1 : 0;

    s->root_fd = copy_tree(AT_FDCWD, s->rootfs, true);
    if (s->root_fd < 0)
        return fail(e, errno, "open the root file system", s->rootfs);
    /* The new root must be a mount, anywhere. */
    int at = open(s->rootfs, O_PATH | O_CLOEXEC);
    if (at < 0 || put_tree(s->root_fd, at) < 0)
        return fail(e, errno, "mount the root file system", s->rootfs);
    close(at);
    for (size_t i = first; i < COUNT(systems); i++)
        if (mount_in_root(s, systems[i].type, systems[i].at, systems[i].type, systems[i].flags,
                          systems[i].data) < 0)
            return fail(e, errno, "mount in the root file system", systems[i].at);
    if (make_devices(s, e) < 0)
        return -1;
    return s->sandbox_target ? show_sandbox(s, e) : 0;
}

/* A place of ours put on another, read-only; what is not there needs none. */
static int cover(const struct shim *s, const char *with, const char *path, struct shim_error *e)
{
    int fd = open_in_root(s, path), r = 0;

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail(e, errno, "protect", path);
    int source = with ? open_in_root(s, with) : fd;
    int tree = source < 0 ? -1 : copy_tree(source, "", true);
    if (tree < 0 || restrict_tree(tree, PLAIN | MS_RDONLY, true) < 0 || put_tree(tree, fd) < 0)
        r = fail(e, errno, "protect", path);
    if (tree >= 0)
        close(tree);
    if (with && source >= 0)
        close(source);
    close(fd);
    return r;
}

static int mask(const struct shim *s, const char *path, struct shim_error *e)
{
    struct stat st;
    int fd = open_in_root(s, path), r = 0;

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail(e, errno, "mask", path);
    if (fstat(fd, &st) < 0)
        r = fail(e, errno, "mask", path);
    else if (!S_ISDIR(st.st_mode))
        r = cover(s, "/dev/null", path, e);
    else if (fchdir(fd) < 0 || mount("tmpfs", ".", "tmpfs", MS_RDONLY, "size=0") < 0)
        r = fail(e, errno, "mask", path);
    close(fd);
    return r;
}

static int protect(const struct shim *s, struct shim_error *e)
{
    for (size_t i = 0; i < COUNT(read_only); i++)
        if (cover(s, NULL, read_only[i], e) < 0)
            return -1;
    for (size_t i = 0; s->flags & PLAN_MASK && i < COUNT(masked); i++)
        if (mask(s, masked[i], e) < 0)
            return -1;
    return 0;
}

/* As the reference: a working directory that the image names and does not have is made. */
static int make_directory(const struct shim *s, struct shim_error *e)
{
    int fd = make_in_root(s, s->directory, true);

    if (fd < 0)
        return fail(e, errno, "make the working directory", s->directory);
    close(fd);
    return 0;
}

int root_enter(struct shim *s, struct shim_error *e)
{
    if (protect(s, e) < 0 || (s->directory && make_directory(s, e) < 0))
        return -1;
    /* The old root lies over the new one after it, at ".", and is taken away. */
    if (fchdir(s->root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
        umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return fail(e, errno, "change the root to", s->rootfs);
    close(s->root_fd);
    s->root_fd = -1;
    return 0;
}

int root_hide_ourselves(struct shim *s, struct shim_error *e)
{
    /* Who is root in the container may look at our descriptors when it may trace: what is open of the runtime folder has no way up. */
    int folder = copy_tree(s->folder_fd, "", false);

    if (folder < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        return fail(e, errno, "keep from the container", "the runtime folder");
    close(s->folder_fd);
    s->folder_fd = folder;
    s->hidden = true;
    return 0;
}
