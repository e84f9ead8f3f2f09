/* The store of layers and images, --docker_store_dir:
 *
 *     layers/<sha256 of the unpacked layer>/   its files, whiteouts as overlay's; whole, for it came there by a rename
 *     images/<sha256 of the name>.json         an image record: name, manifest, layers (bottom first), config
 *     staging/<pull>/                          what a pull has so far; locked (flock) while it lives
 *     gc/                                      what is being removed
 *     lock                                     shared by the agents that use the store, exclusive to prune
 *
 * Whatever ends at any instant leaves whole layers and whole records. The agent reads records; all else is the helper's (images.h). */
#ifndef AGENT_IMAGES_STORE_H
#define AGENT_IMAGES_STORE_H

#include <jansson.h>

#include "agent/images/reference.h"
#include "isolators/image_config.h"

/* An image that is all there. */
struct image_record {
    char *name, *manifest; /* owned; manifest: its digest */
    char **layers;         /* owned, bottom first: hex digits of digests */
    size_t n_layers;
    struct image_config *config; /* owned */
};
void image_record_free(struct image_record *r);
FL_DEFINE_CLEANUP(struct image_record *, image_record_free, image_record_freep)

/* FL_INVALID when it is damaged. */
int image_record_parse(const char *text, size_t n, struct image_record **ret, struct fl_err *err);
/* FL_NOT_FOUND also when a layer is missing, FL_INVALID when it is damaged. Quick: one small file. */
int store_find(const char *store, const char *name, struct image_record **ret, struct fl_err *err);

/* The caller's. */
char *store_layer_path(const char *store, const char *hex);
char *store_record_path(const char *store, const char *name);

/* Makes the folders, and opens `lock`, shared. */
int store_open(const char *store, int *ret_lock, struct fl_err *err);

/* ---- the helper's ---- */

/* A new folder below staging, held by *ret_fd. */
int store_stage(const char *store, char **ret_path, int *ret_fd, struct fl_err *err);
bool store_has_layer(const char *store, const char *hex);
/* The staged folder becomes a layer; that it is one already is no error. */
int store_take_layer(const char *store, const char *staged, const char *hex, struct fl_err *err);
int store_put_record(const char *store, const char *staging, const char *name, const json_t *record,
                     struct fl_err *err);
/* Removes what pulls and prunes that are gone left, and records that are damaged. */
int store_clean(const char *store, struct fl_err *err);
/* Removes records but those of the names in `keep`, and layers that neither they nor `used` (hex digits) need. The caller holds `lock`
 * for itself. */
int store_prune(const char *store, const json_t *keep, const json_t *used, struct fl_err *err);

#endif
