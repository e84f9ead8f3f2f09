/* Unpacks a layer, that is a tar archive, plain or compressed (gzip, zstd). The archive is a
 * stranger's: nothing is made outside of the folder, whatever its names and links say. Any thread; blocks. */
#ifndef AGENT_IMAGES_LAYER_H
#define AGENT_IMAGES_LAYER_H

#include "common/base/err.h"
#include "common/base/sha256.h"

enum layer_kind {
    LAYER_OF_IMAGE, /* owners, modes, devices, attributes; whiteouts become overlay's. For root */
    LAYER_ARCHIVE,  /* files around layers (docker save, OCI archive): just their bytes */
};
struct layer_limits {
    uint64_t max_bytes;   /* unpacked; 0: none */
    uint64_t max_entries; /* 0: the default */
    uint64_t spare_bytes; /* that many stay free on the disk */
};
/* *ret_digest: SHA-256 of the unpacked archive, which the caller compares. What was made stays when it fails. */
int layer_unpack(int archive, int root, enum layer_kind kind, const struct layer_limits *limits,
                 char ret_digest[FL_SHA256_HEX], struct fl_err *err);

#endif
