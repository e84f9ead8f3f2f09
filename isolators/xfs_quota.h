/* Project quotas of XFS: which project a folder belongs to, how much a project holds and may hold. Linux 5.14 or later (quotactl_fd).
 * Bytes. Any thread; no state. */
#ifndef ISOLATORS_XFS_QUOTA_H
#define ISOLATORS_XFS_QUOTA_H

#include "common/base/err.h"

/* Is it on XFS with project quotas? Turns their enforcement on. FL_UNSUPPORTED says what is missing. */
int xfs_quota_check(const char *path, struct fl_err *err);
/* 0: none. Negative errno. */
int64_t xfs_project_of(const char *path);
/* The folder, all that is in it, and what will be made there. */
int xfs_project_set(const char *path, uint32_t project, struct fl_err *err);
/* On the file system of `path`; 0: no limit. */
int xfs_quota_set(const char *path, uint32_t project, uint64_t soft, uint64_t hard,
                  struct fl_err *err);
/* What the project holds. Negative errno. */
int xfs_quota_used(const char *path, uint32_t project, uint64_t *ret);

#endif
