/* The configuration file: contexts, that is, clusters with what is needed to ask them. Text of lines:
 *
 *     current = prod
 *     [prod]
 *     master = m1:5050,m2:5050
 *     credential-file = prod.json
 *
 * Pure functions on its text, and reading and writing it (mode 0600, whole or not at all). */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "common/base/buf.h"
#include "common/base/err.h"

enum config_key {
#define CONFIG_KEY(id, name, secret, help) CONFIG_##id,
#include "cli/config_keys.def"
#undef CONFIG_KEY
    CONFIG_KEYS
};
const char *config_key_name(enum config_key k);
bool config_key_is_secret(enum config_key k);

struct context {
    char *name;
    char *values[CONFIG_KEYS]; /* NULL: not set */
};
struct config {
    char *current; /* or NULL */
    struct context *contexts;
    size_t n, cap;
};
#define CONFIG_MAX_BYTES (256u << 10)
#define CONFIG_MAX_NAME  64

/* Letters, digits, '.', '_', '-'; not longer than CONFIG_MAX_NAME. */
bool config_name_is_good(const char *name);
int config_parse(const char *text, size_t n, struct config *ret, struct fl_err *err);
void config_format(const struct config *c, struct fl_buf *out);
void config_done(struct config *c);
#define _cleanup_config_ _cleanup_(config_done)
struct context *config_find(const struct config *c, const char *name); /* or NULL */
struct context *config_add(struct config *c, const char *name);
bool config_remove(struct config *c, const char *name);
/* NULL takes it away. */
int context_set(struct context *x, enum config_key k, const char *value, struct fl_err *err);

char *config_path(void); /* heap memory */
/* A file that is not there is an empty one. One that others may write is refused; so is one with secrets that others may read. */
int config_read(const char *path, struct config *ret, struct fl_err *err);
int config_write(const char *path, const struct config *c, struct fl_err *err);

#endif
