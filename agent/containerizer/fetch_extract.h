/* Archives that were fetched, unpacked into the sandbox by libarchive. */
#ifndef AGENT_CONTAINERIZER_FETCH_EXTRACT_H
#define AGENT_CONTAINERIZER_FETCH_EXTRACT_H

#include "common/base/err.h"

enum archive_kind {
    ARCHIVE_NONE,
    ARCHIVE_MANY, /* tar, compressed or not; zip */
    ARCHIVE_GZIP, /* one file, compressed */
};
/* By the end of its name, as the protocol has it: .tar .tgz .tar.gz .tbz2 .tar.bz2 .txz .tar.xz .zip .gz */
enum archive_kind archive_kind(const char *name);

/* Unpacks the archive open as `fd` into the folder `sandbox`, which must be the working directory. Nothing is written outside of it: no
 * absolute names, no `..`, not through links; no devices, no set-id bits, no owners but ourselves. ARCHIVE_GZIP: into `name` without its
 * ending. FL_LIMIT when it unpacks to more than a bomb's size. */
int archive_extract(int sandbox, int fd, const char *name, struct fl_err *err);

#endif
