/* Whole trees of files that images brought: removed, copied. What is in them is a stranger's: no link is followed, nothing mounted is entered,
 * any depth. Processes that may block. */
#ifndef AGENT_IMAGES_TREE_H
#define AGENT_IMAGES_TREE_H

#include <sys/stat.h>

#include "common/base/err.h"

#define TREE_MAX_DEPTH 1000 /* of what is copied */

/* Removes the file or folder `name` of the folder `dir`; nothing there is no error. EBUSY: something is mounted in it. */
int tree_remove(int dir, const char *name, struct fl_err *err);
/* Everything of the folder, not the folder. */
int tree_empty(int dir, struct fl_err *err);

/* Lays the layer `from` over what the folder `to` holds: its whiteouts (character devices 0/0, and folders with the attribute
 * trusted.overlay.opaque) take away what lower layers brought. Data is shared where the file system can. */
int tree_copy_layer(int from, int to, struct fl_err *err);

/* Makes `dir` (path) with parents, mode 0755. */
int tree_make(const char *path, struct fl_err *err);

/* Whether overlay would hide it: a whiteout. */
static inline bool tree_is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}
#define TREE_OPAQUE "trusted.overlay.opaque"

#endif
