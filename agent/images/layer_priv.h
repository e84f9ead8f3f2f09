/* Inside of unpacking: an entry of the archive onto the disk. */
#ifndef AGENT_IMAGES_LAYER_PRIV_H
#define AGENT_IMAGES_LAYER_PRIV_H

#include <archive.h>
#include <archive_entry.h>

#include "agent/images/layer.h"

struct unpacking {
    struct archive *tar;
    int root;
    enum layer_kind kind;
    struct layer_limits limits;
    uint64_t bytes, entries, check_at;
    struct dir_time
        *times; /* owned; folders get theirs at the end, when nothing is put into them any more */
    size_t n_times, cap_times;
};
struct dir_time {
    char *path; /* owned */
    struct timespec mtime;
};

int layer_entry(struct unpacking *u, struct archive_entry *e, struct fl_err *err);
void layer_set_times(struct unpacking *u);

#endif
