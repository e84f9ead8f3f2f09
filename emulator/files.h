/* An emulated agent's disk, in memory: only what its core reads again is kept (below meta/). The functions of `struct agent_io` with the same
 * names, without the context. Folders need not be made; sandboxes hold nothing. */
#ifndef EMULATOR_FILES_H
#define EMULATOR_FILES_H

#include "common/base/buf.h"
#include "common/base/err.h"

#define EMU_WORK_DIR "/emulated"

struct emu_file;
struct emu_files {
    struct emu_file *all;    /* those that are in no folder */
    struct emu_file **slots; /* owned: by folder and name, once there are many */
    size_t n, n_slots;       /* a power of two, or 0 */
};
void emu_files_done(struct emu_files *f);
void emu_files_write(struct emu_files *f, const char *path, const void *p, size_t n);
void emu_files_append(struct emu_files *f, const char *path, const void *p, size_t n);
int emu_files_truncate(struct emu_files *f, const char *path, size_t n, struct fl_err *err);
int emu_files_read(const struct emu_files *f, const char *path, struct fl_buf *out,
                   struct fl_err *err);
/* The names directly below, each once. */
int emu_files_list(const struct emu_files *f, const char *path,
                   void (*fn)(const char *name, void *arg), void *arg, struct fl_err *err);
void emu_files_link(struct emu_files *f, const char *target, const char *path);
int emu_files_readlink(const struct emu_files *f, const char *path, struct fl_buf *out,
                       struct fl_err *err);
void emu_files_remove(struct emu_files *f, const char *path); /* a tree */

#endif
