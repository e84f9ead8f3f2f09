/* Parameters of a module, from --modules or from the files of --modules_dir, as the reference writes them:
 *   {"libraries":[{"modules":[{"name":"...", "parameters":[{"key":"...","value":"..."}]}]}]}
 * What is built in here has the names of the reference's modules, so that its files can stay as they are. */
#ifndef AGENT_MODULE_PARAMS_H
#define AGENT_MODULE_PARAMS_H

#include "common/base/err.h"

struct module_parameters {
    struct module_parameter {
        char *key, *value; /* owned */
    } * items;
    size_t n, cap;
};
/* The last value of `key`, or NULL. */
const char *module_parameter(const struct module_parameters *p, const char *key);

struct agent_flags;
struct agent_io;
/* Which flags, and how their files are read: `list` and `read` of io. Borrowed. */
struct module_source {
    const struct agent_flags *flags;
    const struct agent_io *io;
    void *ctx;
};
/* Each of `names` is a name of the module; NULL ends. A module may have no name. */
bool module_has_name(const char *const *names, const char *name);
int module_parameters_read(const struct module_source *src, const char *const *names,
                           struct module_parameters *out, struct fl_err *err);
void module_parameters_set(struct module_parameters *p, const char *key, const char *value);
void module_parameters_done(struct module_parameters *p);

#endif
