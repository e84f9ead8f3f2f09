/* struct agent_io's files on a real disk; contracts there. `ctx` is not used. */
#ifndef AGENT_DISK_H
#define AGENT_DISK_H

#include "common/base/buf.h"
#include "common/base/err.h"

int agent_disk_write(void *ctx, const char *path, const void *p, size_t n, bool durable,
                     struct fl_err *err);
int agent_disk_append(void *ctx, const char *path, const void *p, size_t n, struct fl_err *err);
int agent_disk_truncate(void *ctx, const char *path, size_t n, struct fl_err *err);
int agent_disk_read(void *ctx, const char *path, struct fl_buf *out, struct fl_err *err);
int agent_disk_list(void *ctx, const char *path, void (*fn)(const char *name, void *arg), void *arg,
                    struct fl_err *err);
/* A folder that is given to a user is a sandbox: nobody else comes in. */
int agent_disk_mkdir(void *ctx, const char *path, const char *user_or_null, struct fl_err *err);
int agent_disk_link(void *ctx, const char *target, const char *path, struct fl_err *err);
int agent_disk_readlink(void *ctx, const char *path, struct fl_buf *out, struct fl_err *err);
int agent_disk_remove(void *ctx, const char *path, struct fl_err *err);
/* disk_empty.c */
int agent_disk_sync(void *ctx, const char *path, struct fl_err *err);
int agent_disk_empty(void *ctx, const char *path, bool root, struct fl_err *err);
int agent_disk_empty_below(void *ctx, const char *base, const char *path, struct fl_err *err);

#endif
