/* The values of secrets (--secret_resolver), for environment_secret and volume/secret.
 *
 * Without the flag a secret must be given by value, as in the reference. There is one resolver of references,
 * fairlead_DirectorySecretResolver (or just `directory`), with one parameter in --modules or --modules_dir:
 *   {"libraries":[{"modules":[{"name":"fairlead_DirectorySecretResolver","parameters":[{"key":"dir","value":"/etc/fairlead/secrets"}]}]}]}
 * The reference {name} is the file <dir>/<name>, {name, key} is <dir>/<name>/<key>; each time it is asked for it is read again, up to
 * 1 MiB. Every framework may name every secret of the folder. Reading a file may block for as long as the file system does. */
#ifndef ISOLATORS_SECRET_RESOLVER_H
#define ISOLATORS_SECRET_RESOLVER_H

#include "isolators/stateless.h"

struct secret_resolver {
    int dir; /* owned; -1: only by value */
};

int secret_resolver_open(const struct isolator_config *config, struct secret_resolver *out,
                         struct fl_err *err);
void secret_resolver_close(struct secret_resolver *r);

/* *ret is the caller's, to be freed by secret_free(); a NUL follows the *ret_n bytes. */
int secret_resolve(const struct secret_resolver *r, const V1__Secret *secret, char **ret,
                   size_t *ret_n, struct fl_err *err);
void secret_free(char *value, size_t n);

/* An isolator that keeps nothing but the resolver. */
struct secret_isolator {
    struct stateless_isolator base; /* first */
    struct secret_resolver resolver;
};
int secret_isolator_new(const struct isolator_ops *ops, const struct isolator_config *config,
                        struct isolator **ret, struct fl_err *err);
void secret_isolator_free(struct isolator *i);

#endif
