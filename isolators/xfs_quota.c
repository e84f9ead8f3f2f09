/* See xfs_quota.h. A folder is opened for each call, so nothing here keeps a file system busy. */
#include "isolators/xfs_quota.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define BLOCK 512 /* bytes, whatever those of the file system are */

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

static int open_folder(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int control(int fd, unsigned command, uint32_t id, void *data)
{
    return (int)syscall(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), id, data);
}

int xfs_quota_check(const char *path, struct fl_err *err)
{
    _cleanup_close_ int fd = open_folder(path);
    struct fs_quota_statv st = {.qs_version = FS_QSTATV_VERSION1};
    struct statfs fs;

    if (fd < 0 || fstatfs(fd, &fs) < 0)
        return fl_err_errno(err, errno, "look at the file system of '%s'", path);
    if (fs.f_type != XFS_SUPER_MAGIC)
        return fl_err_set(err, FL_UNSUPPORTED, "'%s' is not an XFS filesystem", path);
    if (control(fd, Q_XGETQSTATV, 0, &st) < 0 && errno != ENOSYS)
        return fl_err_errno(err, errno, "get the quota status for '%s'", path);
    if (!(st.qs_flags & FS_QUOTA_PDQ_ACCT))
        return fl_err_set(
            err, FL_UNSUPPORTED,
            "XFS project quotas are not enabled on '%s'; mount it with the option prjquota", path);
    unsigned on = FS_QUOTA_PDQ_ENFD;
    if (!(st.qs_flags & FS_QUOTA_PDQ_ENFD) && control(fd, Q_XQUOTAON, 0, &on) < 0)
        return fl_err_errno(err, errno, "enable XFS project quotas on '%s'", path);
    return 0;
}

int64_t xfs_project_of(const char *path)
{
    _cleanup_close_ int fd = open_folder(path);
    struct fsxattr x;

    return fd < 0 || ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0 ? -errno : (int64_t)x.fsx_projid;
}

static int set_one(int fd, bool folder, uint32_t project)
{
    struct fsxattr x;

    if (ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0)
        return -1;
    x.fsx_projid = project;
    if (folder)
        x.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    return ioctl(fd, FS_IOC_FSSETXATTR, &x);
}

/* Links, devices and the like cannot be given to a project; they hold next to nothing. */
static int set_entry(const FTSENT *e, uint32_t project)
{
    if (e->fts_info != FTS_D && e->fts_info != FTS_F)
        return 0;
    _cleanup_close_ int fd = open(e->fts_accpath, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    return set_one(fd, e->fts_info == FTS_D, project);
}

int xfs_project_set(const char *path, uint32_t project, struct fl_err *err)
{
    char *paths[] = {(char *)(uintptr_t)path, NULL};
    FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    const FTSENT *e;
    int errnum = fts ? 0 : errno;

    while (fts && errnum == 0 && (e = fts_read(fts)))
        if (set_entry(e, project) < 0)
            errnum = errno;
    if (fts)
        fts_close(fts);
    return errnum ? fl_err_errno(err, errnum, "give '%s' to the XFS project %u", path, project) : 0;
}

int xfs_quota_set(const char *path, uint32_t project, uint64_t soft, uint64_t hard,
                  struct fl_err *err)
{
    _cleanup_close_ int fd = open_folder(path);
    struct fs_disk_quota q = {.d_version = FS_DQUOT_VERSION,
                              .d_flags = FS_PROJ_QUOTA,
                              .d_fieldmask = FS_DQ_BSOFT | FS_DQ_BHARD,
                              .d_id = project,
                              .d_blk_softlimit = soft / BLOCK,
                              .d_blk_hardlimit = hard / BLOCK};

    if (fd < 0 || control(fd, Q_XSETQLIM, project, &q) < 0)
        return fl_err_errno(err, errno, "set the quota of the XFS project %u for '%s'", project,
                            path);
    return 0;
}

int xfs_quota_used(const char *path, uint32_t project, uint64_t *ret)
{
    _cleanup_close_ int fd = open_folder(path);
    struct fs_disk_quota q = {.d_version = FS_DQUOT_VERSION};

    if (fd < 0)
        return -errno;
    if (control(fd, Q_XGETQUOTA, project, &q) < 0 && errno != ENOENT)
        return -errno;
    *ret = q.d_bcount * BLOCK;
    return 0;
}
