/* A container's runtime folder, <runtime_dir>/containers/<id>, and below it .../containers/<name> for one that is nested: what it holds is in shim/note.h. Any thread; no state. */
#ifndef AGENT_CONTAINERIZER_RUNTIME_DIR_H
#define AGENT_CONTAINERIZER_RUNTIME_DIR_H

#include <sys/types.h>

#include "common/base/err.h"

struct agent_flags;

/* Opens fairlead-shim (O_PATH): --shim_path, or in --launcher_dir, or beside this program or in ../bin, ../libexec/fairlead. */
int shim_open(const struct agent_flags *flags, int *ret_fd, struct fl_err *err);

/* A program of ours: in --launcher_dir, beside this one, or where packages put helpers; the caller's, or NULL. */
char *helper_path(const struct agent_flags *flags, const char *name);

/* Makes <runtime_dir>/containers. */
int runtime_dir_prepare(const char *runtime_dir, struct fl_err *err);
char *runtime_folder(const char *runtime_dir, const char *id); /* the caller's */
/* Makes the folder; an older one of that id is emptied. */
int runtime_folder_make(const char *folder, struct fl_err *err);
void runtime_folder_remove(const char *folder);
/* Writes a file whole, mode 0600. */
int runtime_file_write(const char *folder, const char *name, const char *data, size_t n,
                       struct fl_err *err);
/* Reads a file whole; NUL-terminated, the caller's. -ENOENT when there is none. */
int runtime_file_read(const char *folder, const char *name, size_t max, char **ret_data,
                      size_t *ret_n, struct fl_err *err);

/* `shim` or `started`: the pid when that very process still runs, with a pidfd; 0 when it does not; negative errno when the file
 * cannot be read. */
pid_t runtime_process(const char *folder, const char *name, int *ret_pidfd);

/* Writes such a file for a process that another program started. */
int runtime_process_write(const char *folder, const char *name, pid_t pid, struct fl_err *err);

enum runtime_status { RUNTIME_NO_STATUS, RUNTIME_EXITED, RUNTIME_FAILED };
/* What the shim left. value: wait status or errno; text: what failed. */
enum runtime_status runtime_status_read(const char *folder, int *ret_value, char *text,
                                        size_t size);

#endif
