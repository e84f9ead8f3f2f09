/* Archives that were fetched, read by libarchive, written by us (fetch_beneath.h). The fetcher's process. */
#ifndef AGENT_CONTAINERIZER_FETCH_EXTRACT_H
#define AGENT_CONTAINERIZER_FETCH_EXTRACT_H

#include "common/base/err.h"

enum archive_kind {
    ARCHIVE_NONE,
    ARCHIVE_MANY, /* tar, compressed or not; zip */
    ARCHIVE_GZIP, /* one file, compressed */
    ARCHIVE_EXTRA, /* as ARCHIVE_MANY, but the reference leaves it as it is, so it is kept beside what was in it */
};
/* By the end of its name: .tar .tgz .tar.gz .tbz2 .tar.bz2 .txz .tar.xz .zip .gz; .tar.zst .tzst */
enum archive_kind archive_kind(const char *name);

/* What an archive may become: `free_bytes`, or 200 times its own size if that is more; and so many entries. */
#define ARCHIVE_FREE_BYTES  ((uint64_t)1 << 30) /* the fetcher's */
#define ARCHIVE_MAX_RATIO   200
#define ARCHIVE_MAX_ENTRIES 2000000

/* Unpacks the archive open as `fd` into the folder `sandbox`. Nothing is written outside of it: no absolute names, no `..`, no links that
 * lead out are followed; devices, pipes and sockets are left out; no set-id bits, no owners but ourselves. ARCHIVE_GZIP: into the file
 * of that name without folders and ending. FL_LIMIT when it becomes more than it may, or the disk is nearly full. */
int archive_extract(int sandbox, int fd, const char *name, enum archive_kind kind,
                    uint64_t free_bytes, struct fl_err *err);

#endif
