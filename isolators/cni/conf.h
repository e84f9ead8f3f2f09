/* Network configurations of the CNI specification: files of one plug-in (.conf, .json) and of a chain of plug-ins (.conflist), as jansson
 * objects. What a plug-in is given is made from them. No state but the catalogue; any thread. */
#ifndef ISOLATORS_CNI_CONF_H
#define ISOLATORS_CNI_CONF_H

#include <jansson.h>

#include "common/base/err.h"
#include "proto/mesos.pb-c.h"

#define CNI_MAX_FILE (1u << 20)

static inline void cni_json_freep(json_t **j)
{
    json_decref(*j);
}
#define _cleanup_json_ _cleanup_(cni_json_freep)

/* Checks what every network needs: a name that can be that of a folder, and plug-ins with types that are names of programs. */
int cni_conf_parse(const char *text, size_t len, json_t **ret, struct fl_err *err);
const char *cni_conf_name(const json_t *conf);
size_t cni_conf_plugins(const json_t *conf); /* how many: 1 where it is no list */
const char *cni_conf_type(const json_t *conf, size_t i);
/* Whether its cniVersion is major.minor or later; none at all counts as 0.1. */
bool cni_conf_version_is(const json_t *conf, unsigned major, unsigned minor);

/* Puts in what a container asks for: args."org.apache.mesos".network_info for every plug-in, and runtimeConfig.portMappings for those
 * with that capability. FL_INVALID when the file has set the reserved argument itself. */
int cni_conf_bind(json_t *conf, const V1__NetworkInfo *info, struct fl_err *err);
/* What was bound; the caller's. NULL when there is nothing. */
V1__NetworkInfo *cni_conf_bound(const json_t *conf);
/* What plug-in `i` reads; the caller's. `prev`: the result of the one before it, or NULL. */
char *cni_conf_request(const json_t *conf, size_t i, json_t *prev);

/* Where a plug-in is; the caller's, NULL: nowhere. `dirs` has colons. The reference's port mapper is also found under our name in
 * --launcher_dir or where this program lies. */
char *cni_plugin_find(const char *dirs, const char *launcher_dir, const char *type);

/* The networks of a folder, by name. Files are read again for every container; the folder when a name is not known. */
struct cni_catalog;
struct cni_catalog *cni_catalog_new(const char *config_dir, const char *plugins_dir,
                                    const char *launcher_dir); /* borrows */
void cni_catalog_free(struct cni_catalog *c);
/* Returns how many there are. Logs what is wrong with the others. */
size_t cni_catalog_read(struct cni_catalog *c);
int cni_catalog_find(struct cni_catalog *c, const char *name, json_t **ret, struct fl_err *err);

#endif
