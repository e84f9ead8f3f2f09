/* Where an image comes from: a registry, or files on this machine. The helper's process. */
#ifndef AGENT_IMAGES_SOURCE_H
#define AGENT_IMAGES_SOURCE_H

#include "agent/images/manifest.h"
#include "agent/images/reference.h"
#include "common/base/buf.h"

struct image_source;
struct image_source_ops {
    /* Which blobs the image has; *ret_id: the digest of what says so, the caller's. */
    int (*describe)(struct image_source *s, struct image_manifest *ret, char **ret_id,
                    struct fl_err *err);
    /* Its bytes, verified, at their beginning; `scratch` is a file that may be made for them. Any thread, several at a time. */
    int (*blob)(struct image_source *s, const struct image_blob *b, const char *scratch,
                int *ret_fd, struct fl_err *err);
    void (*free)(struct image_source *s);
};
struct image_source {
    const struct image_source_ops *ops;
};

/* Ours or the operator's, from the request. Borrowed for the source's life. */
struct source_options {
    const char *registry; /* --docker_registry: a folder or a URL */
    const char
        *config; /* credentials like Docker's config.json, or NULL: this one is asked first */
    const char *default_config;
    const char *user, *password; /* or NULL; go before both */
    uint64_t stall_us;           /* that long without a byte is a failure */
    const char *staging;         /* a folder of the pull's own */
    uint64_t spare_bytes;
};

/* Images below a folder: `<name>.tar`, an archive of docker save or of an OCI layout, or a folder with an OCI layout. */
int source_folder_new(const struct source_options *o, const struct image_ref *ref,
                      struct image_source **ret, struct fl_err *err);
/* A registry, protocol version 2. `ref` is resolved, `base` is the URL. */
int source_registry_new(const struct source_options *o, const struct image_ref *ref,
                        const char *base, struct image_source **ret, struct fl_err *err);

/* Goes from the first manifest, that may be an index, to the image's own. get() appends the manifest of the digest, NULL: the first. */
int source_describe(struct image_source *s,
                    int (*get)(struct image_source *s, const char *digest, struct fl_buf *out,
                               struct fl_err *err),
                    const char *wanted_digest, struct image_manifest *ret, char **ret_id,
                    struct fl_err *err);
/* Reads the file to its end and back. */
int source_verify(int fd, const struct image_blob *b, struct fl_err *err);
int source_read_all(int fd, struct fl_buf *out, struct fl_err *err);

#endif
