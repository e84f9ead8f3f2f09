/* The agent's table of flags, the rules between them, and the defaults that depend on the machine. */
#include "agent/flags.h"

const struct fl_flag agent_flags_rows[] = {
#define FLAG(name, type, field, def, opts, help, ...)                                              \
    FL_FLAG_ROW(struct agent_flags, name, type, field, def, opts, help, ##__VA_ARGS__)
#define FLAG_TAKEN(name, type, def, opts, help, ...)                                               \
    FL_FLAG_TAKEN_ROW(name, type, def, opts, help, ##__VA_ARGS__)
#include "agent/flags.def"
#undef FLAG
#undef FLAG_TAKEN
};
const size_t agent_flags_n = ARRAY_SIZE(agent_flags_rows);

int agent_flags_new(struct agent_flags *values, struct fl_flags **ret_flags, struct fl_err *err)
{
    struct fl_flags *f = NULL;
    int r = fl_flags_new("fairlead-agent", NULL, agent_flags_rows, agent_flags_n, values, &f, err);
    if (r == 0)
        r = fl_flags_set_default(f, "launcher", geteuid() == 0 ? "linux" : "posix", err);
    if (r < 0) {
        fl_flags_free(f);
        return r;
    }
    *ret_flags = f;
    return 0;
}

static int set_dependent(struct fl_flags *f, const char *name, const char *directory,
                         const char *file, struct fl_err *err)
{
    _cleanup_free_ char *path = file ? xasprintf("%s/%s", directory, file) : xstrdup(directory);
    return fl_flags_set_default(f, name, path, err);
}

int agent_flags_finish(struct fl_flags *f, const struct agent_flags *values, struct fl_err *err)
{
    static const struct fl_flag_pair pairs[] = {
        {"ip", "ip_discovery_command"},
        {"ip6", "ip6_discovery_command"},
        {"modules", "modules_dir"},
    };
    int r = fl_flags_exclude(f, pairs, ARRAY_SIZE(pairs), err);
    if (r < 0)
        return r;
    if (values->perf_events && values->perf_duration >= values->perf_interval)
        return fl_err_set(err, FL_INVALID,
                          "flag '--perf_duration' must be shorter than --perf_interval");
    if (geteuid() == 0)
        r = set_dependent(f, "runtime_dir", "/var/run/mesos", NULL, err);
    else
        r = set_dependent(f, "runtime_dir", values->work_dir, "run", err);
    if (r == 0)
        r = set_dependent(f, "domain_socket_location", values->runtime_dir, "agent.sock", err);
    return r;
}
