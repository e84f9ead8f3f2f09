/* See netns.h. */
#include "isolators/cni/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "isolators/sandbox_path.h"

#define NSFS_TYPE   0x6e736673 /* linux/magic.h has it only in newer versions */
#define NETNS_MAGIC 0xc4170002u

/* ---- the folder of all ---- */

static bool is_mount(const char *path)
{
    struct statx st;

    return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MODE, &st) == 0 &&
           (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

int cni_root_make(const char *root, struct fl_err *err)
{
    int r = make_folders(root, err);

    if (r < 0)
        return r;
    /* Of its own peer group: first private, then shared. One that is there keeps its group, which containers follow. */
    if (!is_mount(root) && (mount(root, root, NULL, MS_BIND, NULL) < 0 ||
                            mount(NULL, root, NULL, MS_PRIVATE, NULL) < 0))
        return fl_err_errno(err, errno, "make a mount of '%s'", root);
    if (mount(NULL, root, NULL, MS_SHARED, NULL) < 0)
        return fl_err_errno(err, errno, "make the mount '%s' shared", root);
    return 0;
}

void cni_root_drop(const char *root)
{
    /* rmdir() fails with EBUSY on the mount, with ENOTEMPTY below it: asked from the inside. */
    _cleanup_free_ char *probe = xasprintf("%s/.", root);
    struct stat st;

    if (stat(probe, &st) == 0 && st.st_nlink <= 2 && is_mount(root))
        umount2(root, UMOUNT_NOFOLLOW);
}

/* ---- one ---- */

struct cni_netns {
    unsigned magic;
    struct fl_loop *loop;
    char *path;
    cni_netns_f *done; /* NULL: nobody is interested any more */
    void *arg;
    pthread_t thread;
    bool joined;
    /* of the thread, until it has posted */
    int errnum;
    const char *what;
};

static int bring_lo_up(void)
{
    _cleanup_close_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq ifr = {.ifr_name = "lo"};

    if (s < 0 || ioctl(s, SIOCGIFFLAGS, &ifr) < 0)
        return -1;
    ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP | IFF_RUNNING);
    return ioctl(s, SIOCSIFFLAGS, &ifr);
}

static void answered(void *arg);

static void *make(void *arg)
{
    struct cni_netns *n = FL_CAST(cni_netns, NETNS_MAGIC, arg);

    if (unshare(CLONE_NEWNET) < 0)
        n->what = "make a network namespace for";
    else if (bring_lo_up() < 0)
        n->what = "bring up lo in the network namespace of";
    else if (mount("/proc/thread-self/ns/net", n->path, NULL, MS_BIND, NULL) < 0)
        n->what = "mount a network namespace at";
    if (n->what)
        n->errnum = errno;
    fl_loop_post(n->loop, answered, n);
    return NULL;
}

static void join(struct cni_netns *n)
{
    if (!n->joined)
        pthread_join(n->thread, NULL);
    n->joined = true;
}

static void answered(void *arg)
{
    struct cni_netns *n = FL_CAST(cni_netns, NETNS_MAGIC, arg);
    cni_netns_f *done = n->done;
    void *owner = n->arg;
    struct fl_err err;
    bool failed = n->errnum != 0;

    join(n);
    if (failed)
        fl_err_errno(&err, n->errnum, "%s '%s'", n->what, n->path);
    free(n->path);
    n->magic = 0;
    free(n);
    if (done)
        done(owner, failed ? &err : NULL);
}

int cni_netns_make(struct fl_loop *loop, const char *path, cni_netns_f *done, void *arg,
                   struct cni_netns **ret, struct fl_err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

    if (fd < 0)
        return fl_err_errno(err, errno, "make the file '%s'", path);
    struct cni_netns *n = xnew0(struct cni_netns);
    *n = (struct cni_netns){
        .magic = NETNS_MAGIC, .loop = loop, .path = xstrdup(path), .done = done, .arg = arg};
    int r = pthread_create(&n->thread, NULL, make, n);
    if (r != 0) {
        free(n->path);
        free(n);
        return fl_err_errno(err, r, "start a thread for '%s'", path);
    }
    *ret = n;
    return 0;
}

void cni_netns_free(struct cni_netns *n)
{
    if (!n)
        return;
    join(n);
    n->done = NULL; /* its post is on the way and frees it */
}

bool cni_netns_is(const char *path)
{
    struct statfs fs;

    return statfs(path, &fs) == 0 && fs.f_type == NSFS_TYPE;
}

int cni_netns_remove(const char *path)
{
    /* Lazily: what still looks at it must not keep it. More than one: an agent was killed between two. */
    while (cni_netns_is(path))
        if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
            return -errno;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}
