/* Places inside a sandbox, whose content belongs to the container's user: no `..` and no symbolic link leads out of it. */
#ifndef ISOLATORS_SANDBOX_PATH_H
#define ISOLATORS_SANDBOX_PATH_H

#include "common/base/err.h"

enum sandbox_kind { SANDBOX_DIR, SANDBOX_FILE, SANDBOX_LINK };
/* Makes `path` (relative) and the folders before it, owned by the sandbox's owner. LINK: a symbolic link to `target`. What is already
 * there and of the right kind is left. */
int sandbox_make(const char *sandbox, const char *path, enum sandbox_kind kind, const char *target,
                 struct fl_err *err);
/* Removes the symbolic link at `path` if it leads to `target`; anything else is left. */
void sandbox_unlink(const char *sandbox, const char *path, const char *target);
/* mkdir -p, ordinary. */
int make_folders(const char *path, struct fl_err *err);

#endif
