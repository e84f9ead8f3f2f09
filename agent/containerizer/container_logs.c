/* Rotation of stdout and stderr: --container_log_max_size, or --container_logger=org_apache_mesos_LogrotateContainerLogger with its
 * parameters in --modules, each container's environment going first (CONTAINER_LOGGER_MAX_STDOUT_SIZE and its kin). The shim does it.
 *
 * Of logrotate's own options there is `rotate N`, the number of older files. What else they may say (compress, ...) is not done. */
#include "agent/containerizer/containerizer_priv.h"

#include <ctype.h>

#include "agent/agent.h"
#include "agent/disk.h"
#include "agent/module_params.h"

#define REFERENCE_MAX_SIZE (10u << 20)
#define LEAST_MAX_SIZE     4096u /* a page, as the reference has it */
#define MOST_FILES         1000u

static const char *const logrotate_names[] = {"org_apache_mesos_LogrotateContainerLogger",
                                              "logrotate", NULL};
static const char *const sandbox_names[] = {"org_apache_mesos_SandboxContainerLogger", "sandbox",
                                            NULL};

/* By `which` of struct plan_log. */
static const struct {
    const char *max_size, *options; /* parameters of the module */
    const char *env_max_size, *env_options;
} keys[2] = {
    {"max_stdout_size", "logrotate_stdout_options", "MAX_STDOUT_SIZE", "LOGROTATE_STDOUT_OPTIONS"},
    {"max_stderr_size", "logrotate_stderr_options", "MAX_STDERR_SIZE", "LOGROTATE_STDERR_OPTIONS"},
};

/* The number behind the word `rotate` in a text of options. */
static void take_rotate(const char *options, uint32_t *keep)
{
    static const char word[] = "rotate";
    uint64_t v;

    for (const char *p = options; (p = strstr(p, word)); p += strlen(word)) {
        const char *number = p + strlen(word);
        char text[16];
        size_t n;

        if ((p > options && !isspace((unsigned char)p[-1])) || !isspace((unsigned char)*number))
            continue;
        number += strspn(number, " \t");
        n = strspn(number, "0123456789");
        if (n == 0 || n >= sizeof(text))
            continue;
        memcpy(text, number, n);
        text[n] = '\0';
        if (fl_parse_u64(text, &v) == 0)
            *keep = (uint32_t)FL_MIN(v, (uint64_t)MOST_FILES);
    }
}

static int take_size(const char *text, const char *what, uint64_t *ret, struct fl_err *err)
{
    uint64_t v;
    int r = fl_bytes_parse(text, &v, err);

    if (r < 0)
        return fl_err_wrap(err, "%s", what);
    if (v < LEAST_MAX_SIZE)
        return fl_err_set(err, FL_INVALID, "%s must be at least %u bytes, not '%s'", what,
                          LEAST_MAX_SIZE, text);
    *ret = v;
    return 0;
}

static int take_module(struct container_logs *l, const struct module_parameters *p,
                       struct fl_err *err)
{
    const char *prefix = module_parameter(p, "environment_variable_prefix");
    int r = 0;

    l->prefix = xstrdup(prefix ? prefix : "CONTAINER_LOGGER_");
    for (unsigned i = 0; i < ARRAY_SIZE(keys) && r == 0; i++) {
        const char *size = module_parameter(p, keys[i].max_size);
        const char *options = module_parameter(p, keys[i].options);

        l->log[i] = (struct plan_log){.which = i, .max_size = REFERENCE_MAX_SIZE};
        if (size)
            r = take_size(size, keys[i].max_size, &l->log[i].max_size, err);
        if (options)
            take_rotate(options, &l->log[i].keep);
    }
    return r;
}

int container_logs_init(struct container_logs *l, const struct agent_flags *flags,
                        struct fl_err *err)
{
    const char *name = flags->container_logger;
    static const struct agent_io disk = {.list = agent_disk_list, .read = agent_disk_read};
    const struct module_source source = {.flags = flags, .io = &disk};
    struct module_parameters p = {0};
    int r = 0;

    *l = (struct container_logs){.prefix = NULL};
    if (name && module_has_name(logrotate_names, name)) {
        r = module_parameters_read(&source, logrotate_names, &p, err);
        if (r == 0)
            r = take_module(l, &p, err);
        module_parameters_done(&p);
        return r < 0 ? fl_err_wrap(err, "--container_logger") : 0;
    }
    if (name && !module_has_name(sandbox_names, name))
        return fl_err_set(err, FL_INVALID,
                          "--container_logger: there is no '%s'; there are %s and %s", name,
                          sandbox_names[0], logrotate_names[0]);
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
        l->log[i] =
            (struct plan_log){i, flags->container_log_max_files, flags->container_log_max_size};
    return 0;
}

void container_logs_done(struct container_logs *l)
{
    free(l->prefix);
}

static const char *variable(const V1__CommandInfo *command, const char *prefix, const char *name)
{
    const V1__Environment *e = command->environment;
    size_t n = strlen(prefix);

    for (size_t i = 0; e && i < e->n_variables; i++) {
        const V1__Environment__Variable *v = e->variables[i];
        if (strncmp(v->name, prefix, n) == 0 && streq(v->name + n, name))
            return v->value;
    }
    return NULL;
}

int container_plan_logs(struct container *c, struct fl_err *err)
{
    const struct container_logs *l = &c->cz->logs;
    int r = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(keys) && r == 0; i++) {
        struct plan_log log = l->log[i];
        const char *size = l->prefix ? variable(c->command, l->prefix, keys[i].env_max_size) : NULL;
        const char *options =
            l->prefix ? variable(c->command, l->prefix, keys[i].env_options) : NULL;

        if (size)
            r = take_size(size, keys[i].env_max_size, &log.max_size, err);
        if (options)
            take_rotate(options, &log.keep);
        if (r == 0 && log.max_size)
            launch_plan_bytes(&c->plan, PLAN_LOG, &log, sizeof(log));
    }
    return r;
}
