/* Where the data of a persistent volume lies on the machine (features.md 3.7). */
#ifndef ISOLATORS_PERSISTENT_PATH_H
#define ISOLATORS_PERSISTENT_PATH_H

#include "common/model/resources.h"

/* The folder of the volume's data, for the caller to free:
 *   the agent's own disk  <work_dir>/volumes/roles/<role, with / as space>/<id>
 *   PATH disks            <root>/volumes/roles/<role, with / as space>/<id>
 *   MOUNT disks           <root>
 * A relative root is below work_dir. FL_UNSUPPORTED: a kind of disk that holds no files (RAW, BLOCK, of a resource provider).
 * FL_INVALID: a role or id that cannot be the name of a folder. */
int persistent_volume_path(const char *work_dir, const V1__Resource *volume, char **ret,
                           struct fl_err *err);
/* Calls fn with each persistent volume of the resources and the path of its data, which fn takes. Ends at the first that has none, with
 * its error. */
typedef void persistent_volume_f(const V1__Resource *volume, char *path, void *arg);
int persistent_volumes_each(const char *work_dir, const struct resources *of,
                            persistent_volume_f *fn, void *arg, struct fl_err *err);
/* The folder itself is not the agent's to make or remove. */
bool persistent_volume_is_mount(const V1__Resource *volume);

#endif
