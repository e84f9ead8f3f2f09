/* What describes images: Docker's schema 2 and OCI's manifests, lists and indexes of them, and the images' own configuration
 * (the image specification of OCI). Everything here is a stranger's. Pure. */
#ifndef AGENT_IMAGES_MANIFEST_H
#define AGENT_IMAGES_MANIFEST_H

#include <jansson.h>

#include "common/base/err.h"
#include "isolators/image_config.h"

#define IMAGE_MAX_MANIFEST ((size_t)4 << 20) /* bytes of a manifest, an index or a configuration */
#define IMAGE_MAX_LAYERS   500               /* as many as overlay takes */

#define MEDIA_MANIFESTS                                                                            \
    "application/vnd.docker.distribution.manifest.v2+json, "                                       \
    "application/vnd.docker.distribution.manifest.list.v2+json, "                                  \
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"

struct image_blob {
    char *digest; /* "sha256:..."; owned */
    uint64_t size;
    char *path; /* in a docker-save archive; then digest is NULL until the configuration is read */
};
struct image_manifest {
    struct image_blob config;
    struct image_blob *layers; /* bottom first; owned */
    size_t n_layers;
};
void image_manifest_done(struct image_manifest *m);
#define _cleanup_image_manifest_ _cleanup_(image_manifest_done)

/* Exactly one of the results: the manifest, or, when it is an index, the digest of the manifest for this machine (the caller's). */
int image_manifest_parse(const void *data, size_t n, struct image_manifest *ret_manifest,
                         char **ret_other, struct fl_err *err);
/* The image named `tag` of an OCI layout's index.json (the only one, if it has no name): a digest, the caller's. */
int image_index_find(const void *data, size_t n, const char *tag, char **ret, struct fl_err *err);
/* An image of docker save's manifest.json: the one tagged with any of `names` (NULL-terminated), or the only one if it has no tag. */
int image_saved_find(const void *data, size_t n, const char *const *names,
                     struct image_manifest *ret, struct fl_err *err);

/* The configuration: `ret_diff_ids` are digests of the layers' unpacked archives (owned, NULL-terminated). */
int image_config_parse(const void *data, size_t n, json_t **ret_config, char ***ret_diff_ids,
                       struct fl_err *err);
/* From what image_config_parse() returned, or the same read from the store. */
struct image_config *image_config_from_json(const json_t *config);

/* "amd64", "arm64", ... */
const char *image_architecture(void);

#endif
