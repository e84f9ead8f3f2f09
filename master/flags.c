/* The master's table of flags, and the rules between them. */
#include "master/flags.h"

const struct fl_flag master_flags_rows[] = {
#define FLAG(name, type, field, def, opts, help, ...)                                              \
    FL_FLAG_ROW(struct master_flags, name, type, field, def, opts, help, ##__VA_ARGS__)
#define FLAG_TAKEN(name, type, def, opts, help, ...)                                               \
    FL_FLAG_TAKEN_ROW(name, type, def, opts, help, ##__VA_ARGS__)
#include "master/flags.def"
#undef FLAG
#undef FLAG_TAKEN
};
const size_t master_flags_n = ARRAY_SIZE(master_flags_rows);

int master_flags_new(struct master_flags *values, struct fl_flags **ret_flags, struct fl_err *err)
{
    return fl_flags_new("fairlead-master", NULL, master_flags_rows, master_flags_n, values,
                        ret_flags, err);
}

int master_flags_finish(struct fl_flags *f, const struct master_flags *values, struct fl_err *err)
{
    static const struct fl_flag_pair pairs[] = {
        {"ip", "ip_discovery_command"},
        {"modules", "modules_dir"},
    };
    int r = fl_flags_exclude(f, pairs, ARRAY_SIZE(pairs), err);
    if (r < 0)
        return r;
    if (!values->work_dir && !streq(values->registry, "in_memory"))
        return fl_err_set(err, FL_INVALID,
                          "flag '--work_dir' is required for --registry=%s; write --work_dir=PATH, "
                          "or --registry=in_memory",
                          values->registry);
    if (!values->zk && streq(values->registry, "zookeeper"))
        return fl_err_set(err, FL_INVALID,
                          "flag '--registry=zookeeper' needs --zk=zk://host:port/path");
    return 0;
}
