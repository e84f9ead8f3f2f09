/* Making files below the sandbox and nowhere else: the kernel resolves every path (openat2, RESOLVE_BENEATH), so neither `..`, nor an absolute
 * name, nor a symbolic link leads out, whenever it was made. The fetcher's process, with the rights of the container's user. */
#ifndef AGENT_CONTAINERIZER_FETCH_BENEATH_H
#define AGENT_CONTAINERIZER_FETCH_BENEATH_H

#include <sys/types.h>

#include "common/base/err.h"

#define BENEATH_MAX_DEPTH 255

/* How much may still be written: of what one URI is, and of the disk. */
struct fetch_budget {
    int fd;             /* anything on the disk that is not to be filled */
    uint64_t left;      /* bytes */
    uint64_t unchecked; /* written since the disk was last looked at */
};
/* Takes n bytes. -ENOSPC with FL_LIMIT: too much, or the disk would be left with less than 256 MiB and 2 % of it. */
int fetch_budget_take(struct fetch_budget *b, uint64_t n, struct fl_err *err);

/* write(2) until all is written. */
int fetch_write(int fd, const char *data, size_t n, struct fl_err *err);

/* Opens the new file `name`, 0644; one that is there is replaced; folders are made. Through no link at all. */
int beneath_output(int sandbox, const char *name, int *ret_fd, struct fl_err *err);

/* For entries of archives: links are followed as long as they stay below. Whatever has the name is removed before, folders excepted. */
int beneath_file(int sandbox, const char *path, int *ret_fd, struct fl_err *err); /* new, 0600 */
int beneath_folder(int sandbox, const char *path, mode_t mode, struct fl_err *err);
int beneath_symlink(int sandbox, const char *path, const char *target, struct fl_err *err);
int beneath_hardlink(int sandbox, const char *path, const char *target, struct fl_err *err);

#endif
